//! Goal: new calls go to the newest good version, running calls keep theirs, and nothing of an
//! old version stays longer than it is needed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jackfield_plugin::{
    Installed, MANIFEST_SECTION, NotInstalled, NotRolledBack, Plugin, Registry, RegistryOutput,
    Ticket,
};
use vocab::Now;
use vocab::flow::FaultKind;

use crate::bench::{component, host, start, with_section};

/// The same component under another version: its outer manifest counts.
fn version(version: &str) -> Plugin {
    static VERSIONS: Mutex<BTreeMap<String, Plugin>> = Mutex::new(BTreeMap::new());
    let mut versions = VERSIONS.lock().unwrap();
    let load = || {
        let manifest =
            format!("name = \"menu\"\nversion = \"{version}\"\nworld = \"ivr\"\nwit = \"0.1.0\"\n");
        let bytes = with_section(component(), MANIFEST_SECTION, manifest.as_bytes());
        host().load(&bytes, None).unwrap().plugin
    };
    versions.entry(version.into()).or_insert_with(load).clone()
}

struct Shelf {
    registry: Registry,
    now: Now,
}

impl Shelf {
    fn new() -> Self {
        Self {
            registry: Registry::new(),
            now: start(),
        }
    }

    fn install(&mut self, name: &str) -> Result<Installed, NotInstalled> {
        self.registry.install(self.now, version(name))
    }

    fn take(&mut self) -> (String, Ticket) {
        let (plugin, ticket) = self.registry.take("menu").expect("a version takes calls");
        (plugin.reference().version.to_string(), ticket)
    }

    /// One call that fails, some seconds later.
    fn fail(&mut self, seconds: u64) -> String {
        self.now = self.now + Duration::from_secs(seconds);
        let (_, ticket) = self.take();
        self.registry
            .release(self.now, ticket, Some(FaultKind::Panic));
        self.outputs()
    }

    fn outputs(&mut self) -> String {
        std::iter::from_fn(|| self.registry.poll())
            .map(|output| match output {
                RegistryOutput::RolledBack { from, to } => format!("{from} back to {to}"),
                RegistryOutput::Failing { plugin } => format!("{plugin} failing"),
                RegistryOutput::Drained { plugin } => format!("{plugin} drained"),
                RegistryOutput::Freed { plugin } => format!("{plugin} freed"),
            })
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn list(&self) -> String {
        self.registry
            .list()
            .iter()
            .map(|row| {
                format!(
                    "{} {} {}",
                    row.plugin.version,
                    row.standing.name(),
                    row.live
                )
            })
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[test]
fn new_calls_go_to_the_new_version_and_old_ones_stay() {
    let mut shelf = Shelf::new();
    assert!(shelf.registry.take("menu").is_none());
    assert_eq!(shelf.install("1.0.0"), Ok(Installed::First));
    assert_eq!(shelf.install("1.0.0"), Ok(Installed::Unchanged));
    let old: Vec<Ticket> = (0..100).map(|_| shelf.take().1).collect();
    assert!(matches!(shelf.install("1.1.0"), Ok(Installed::Replaced(_))));
    assert_eq!(shelf.outputs(), "");
    let (version, new) = shelf.take();
    assert_eq!(version, "1.1.0");
    assert_eq!(shelf.list(), "1.1.0 current 1, 1.0.0 standby 100");
    for ticket in old {
        assert_eq!(shelf.outputs(), "");
        shelf.registry.release(shelf.now, ticket, None);
    }
    assert_eq!(shelf.outputs(), "menu 1.0.0 drained");
    shelf.registry.release(shelf.now, new, None);
    assert_eq!(shelf.outputs(), "");
    assert_eq!(shelf.list(), "1.1.0 current 0, 1.0.0 standby 0");
}

#[test]
fn old_versions_are_freed_after_their_last_run() {
    let mut shelf = Shelf::new();
    shelf.install("1.0.0").unwrap();
    let (_, ticket) = shelf.take();
    for version in ["1.1.0", "1.2.0", "1.3.0"] {
        shelf.install(version).unwrap();
        shelf.outputs();
    }
    assert_eq!(
        shelf.list(),
        "1.3.0 current 0, 1.2.0 standby 0, 1.1.0 standby 0, 1.0.0 leaving 1"
    );
    shelf.registry.release(shelf.now, ticket, None);
    assert_eq!(shelf.outputs(), "menu 1.0.0 freed");
    shelf.install("1.4.0").unwrap();
    assert_eq!(shelf.outputs(), "menu 1.3.0 drained, menu 1.1.0 freed");
}

#[test]
fn five_faults_in_a_minute_go_back_and_the_bytes_rest_longer_each_time() {
    let mut shelf = Shelf::new();
    shelf.install("1.0.0").unwrap();
    shelf.install("2.0.0").unwrap();
    shelf.outputs();
    let (_, running) = shelf.take();
    for _ in 0..4 {
        assert_eq!(shelf.fail(1), "");
    }
    // The first four have left the window by now.
    for _ in 0..4 {
        assert_eq!(shelf.fail(61), "");
    }
    for _ in 0..3 {
        assert_eq!(shelf.fail(1), "");
    }
    assert_eq!(shelf.fail(1), "menu 2.0.0 back to menu 1.0.0");
    assert_eq!(shelf.list(), "1.0.0 current 0, 2.0.0 leaving 1");
    let refusal = shelf.install("2.0.0").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "this version failed 5 times within 60 s; it is taken again in 60 s"
    );
    shelf.registry.release(shelf.now, running, None);
    assert_eq!(shelf.outputs(), "menu 2.0.0 freed");

    shelf.now = shelf.now + Duration::from_secs(61);
    shelf.install("2.0.0").unwrap();
    shelf.outputs();
    for _ in 0..4 {
        assert_eq!(shelf.fail(1), "");
    }
    assert_eq!(
        shelf.fail(1),
        "menu 2.0.0 back to menu 1.0.0, menu 2.0.0 freed"
    );
    let wait = Duration::from_secs(120);
    assert_eq!(shelf.install("2.0.0"), Err(NotInstalled::Failed { wait }));
    // Other bytes are taken at once.
    assert!(shelf.install("2.0.1").is_ok());
}

#[test]
fn without_a_good_version_it_goes_on_and_is_reported() {
    let mut shelf = Shelf::new();
    shelf.install("1.0.0").unwrap();
    for _ in 0..4 {
        assert_eq!(shelf.fail(1), "");
    }
    assert_eq!(shelf.fail(1), "menu 1.0.0 failing");
    assert_eq!(shelf.take().0, "1.0.0");
}

#[test]
fn rolling_back_by_hand_and_taking_out() {
    let mut shelf = Shelf::new();
    assert_eq!(
        shelf.registry.rollback("menu"),
        Err(NotRolledBack::Unknown("menu".into()))
    );
    shelf.install("1.0.0").unwrap();
    assert_eq!(
        shelf.registry.rollback("menu").unwrap_err().to_string(),
        "no earlier version of menu 1.0.0 is kept"
    );
    shelf.install("1.1.0").unwrap();
    shelf.outputs();
    assert_eq!(
        shelf.registry.rollback("menu").unwrap().to_string(),
        "menu 1.0.0"
    );
    assert_eq!(shelf.outputs(), "menu 1.1.0 freed");
    let (_, ticket) = shelf.take();
    assert!(shelf.registry.remove("menu"));
    assert!(!shelf.registry.remove("menu"));
    assert!(shelf.registry.take("menu").is_none());
    shelf.registry.release(shelf.now, ticket, None);
    assert_eq!(shelf.outputs(), "menu 1.0.0 freed");
    assert_eq!(shelf.list(), "");
}
