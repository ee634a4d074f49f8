//! The production components, compiled once for all worlds of a process.

use std::path::PathBuf;

use plugin::{CacheKey, Host, HostConfig, Metering, Plugin};

/// Runs alive at the same time, over all worlds of the process.
const RUNS_MAX: u32 = 100;

/// The plugin host and the plugins, counted by instructions so that each run is the same.
#[derive(Debug)]
pub struct Guests {
    /// The host.
    pub host: Host,
    /// Two builds of the menu: the same code, other bytes.
    pub menu: [Plugin; 2],
    /// Two builds of the probe.
    pub probe: [Plugin; 2],
    /// The smallest plugin.
    pub hello: Plugin,
}

impl Guests {
    /// Loads and compiles the components of `target/guests`, or of the folder that
    /// `JACKFIELD_GUESTS` names.
    ///
    /// # Panics
    /// If one is missing; the message says how to build it.
    pub fn load() -> Self {
        let mut config = HostConfig::new(CacheKey::new([7; 32]));
        config.metering = Metering::Fuel;
        config.runs_max = RUNS_MAX;
        let host = Host::new(config).expect("the plugin host starts");
        let menu = component("ivr-menu");
        let probe = component("guest-probe");
        let load = |bytes: &[u8]| match host.load(bytes, None) {
            Ok(loaded) => loaded.plugin,
            Err(error) => panic!("a component of ours is refused: {error}"),
        };
        Self {
            menu: [load(&menu), load(&again(&menu))],
            probe: [load(&probe), load(&again(&probe))],
            hello: load(&component("hello-ivr")),
            host,
        }
    }
}

/// The same component as another file: one more custom section at its end (section 0, its length,
/// the name with its length; Component Model binary format).
fn again(component: &[u8]) -> Vec<u8> {
    [component, &[0, 5, 4], b"next"].concat()
}

fn component(name: &str) -> Vec<u8> {
    #[allow(
        clippy::disallowed_methods,
        reason = "tests may look where guests were put"
    )]
    let folder = std::env::var_os("JACKFIELD_GUESTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/guests"),
        PathBuf::from,
    );
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; build the guests with: cargo xtask plugins",
            path.display()
        )
    })
}
