//! The vocabulary of these tests: the component, a host, and a run whose inputs and outputs
//! become a ladder.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use expect_test::Expect;
use jackfield_plugin::{
    CacheKey, CacheUse, Config, Grant, Host, HostConfig, Metering, Plugin, Run, RunInput,
    RunOutput, Setup, Value, limits,
};
use vocab::call::GatherEnd;
use vocab::flow::{CallInfo, FlowError, FlowEvent, Reply};
use vocab::{CallId, Direction, Mono, Now, Party, Pii, Rng, Wall};

/// The component's bytes.
///
/// # Panics
/// If it was not built; the message says how.
pub(crate) fn component() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        #[allow(
            clippy::disallowed_methods,
            reason = "tests may look where guests were put"
        )]
        let folder = std::env::var_os("JACKFIELD_GUESTS").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests"),
            PathBuf::from,
        );
        let path = folder.join("guest-probe.wasm");
        std::fs::read(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; build the guests with: cargo xtask plugins",
                path.display()
            )
        })
    })
}

/// A configuration for tests: few places, a fixed key.
pub(crate) fn host_config(metering: Metering) -> HostConfig {
    HostConfig {
        metering,
        runs_max: 64,
        ..HostConfig::new(CacheKey::new([7; 32]))
    }
}

/// A host that counts instructions and the plugin on it, shared by all tests that do not count
/// places.
fn shared() -> &'static (Host, Plugin) {
    static SHARED: OnceLock<(Host, Plugin)> = OnceLock::new();
    SHARED.get_or_init(|| host_and_plugin(host_config(Metering::Fuel)))
}

/// The shared plugin.
pub(crate) fn plugin() -> &'static Plugin {
    &shared().1
}

/// The shared host.
pub(crate) fn host() -> &'static Host {
    &shared().0
}

/// A host of its own, and the plugin on it; compiled once for each way of metering.
pub(crate) fn host_and_plugin(config: HostConfig) -> (Host, Plugin) {
    static ENTRIES: [OnceLock<Vec<u8>>; 2] = [OnceLock::new(), OnceLock::new()];
    let entry = match config.metering {
        Metering::Epoch => &ENTRIES[0],
        Metering::Fuel => &ENTRIES[1],
    };
    let host = Host::new(config).unwrap();
    let entry = entry.get_or_init(|| match host.load(component(), None).unwrap().cache {
        CacheUse::Compiled { entry, .. } => entry.expect("components serialize"),
        CacheUse::Hit => panic!("nothing was cached"),
    });
    let loaded = host.load(component(), Some(entry)).unwrap();
    assert_eq!(loaded.cache, CacheUse::Hit);
    (host, loaded.plugin)
}

/// The plugin on a host of its own.
pub(crate) fn load(config: HostConfig) -> Plugin {
    host_and_plugin(config).1
}

/// The component with one more custom section at its end (the component model's binary format:
/// section 0, its length, the name with its length, the data).
pub(crate) fn with_section(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    fn leb(mut n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = (n & 0x7f) as u8;
            n >>= 7;
            if n == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }
    let body = [&leb(name.len())[..], name.as_bytes(), data].concat();
    [component, &[0], &leb(body.len()), &body].concat()
}

/// 2026-11-21 14:03:07 UTC, one second after the node started.
pub(crate) fn start() -> Now {
    Now::new(Mono(1_000_000_000), Wall(1_795_269_787_000_000))
}

/// Everything granted, seed 1, and `mode` in the configuration.
pub(crate) fn setup(mode: &str) -> Setup {
    Setup {
        info: CallInfo {
            call: CallId(42),
            direction: Direction::Inbound,
            caller: Party::E164("+8613800138000".into()),
            callee: Party::Sip("1000".into()),
            started_at: start().wall,
            attrs: vec![("language".into(), "zh-CN".into())],
        },
        config: Config::new(vec![("mode".into(), Value::Text(mode.into()))]),
        grant: Grant::all(),
        rng: Rng::from_u64(1),
    }
}

/// A run, the moment, and what happened so far.
pub(crate) struct Bench {
    pub(crate) run: Run,
    pub(crate) now: Now,
    /// One line for each input (`>`) and output.
    pub(crate) ladder: String,
    /// What each slice counts as.
    pub(crate) slice: Duration,
    /// Slices since the last input of another kind.
    yields: u32,
}

impl Bench {
    pub(crate) fn new(plugin: &Plugin, setup: Setup) -> Self {
        let run = plugin.run(setup);
        Self {
            run,
            now: start(),
            ladder: String::new(),
            slice: limits::TICK,
            yields: 0,
        }
    }

    /// Feeds one input 100 ms after the last, and slices for as long as the guest yields.
    pub(crate) fn feed(&mut self, input: RunInput) {
        self.now = self.now + Duration::from_millis(100);
        writeln!(self.ladder, "> {input:?}").unwrap();
        let mut next = Some(input);
        self.yields = 0;
        while let Some(input) = next.take() {
            self.run.handle(self.now, input);
            self.run.charge(self.slice);
            while let Some(output) = self.run.poll() {
                if output == RunOutput::Yielded {
                    self.yields += 1;
                    next = Some(RunInput::Slice);
                } else {
                    if self.yields > 0 {
                        writeln!(self.ladder, "Yielded × {}", self.yields).unwrap();
                        self.yields = 0;
                    }
                    writeln!(self.ladder, "{output:?}").unwrap();
                }
            }
        }
    }
}

/// Runs a setup through a script on the shared plugin and compares the ladder.
pub(crate) fn check(setup: Setup, script: Vec<RunInput>, expected: Expect) {
    expected.assert_eq(&ladder(plugin(), setup, script));
}

/// The ladder of a setup and a script.
pub(crate) fn ladder(plugin: &Plugin, setup: Setup, script: Vec<RunInput>) -> String {
    let mut bench = Bench::new(plugin, setup);
    for input in script {
        bench.feed(input);
    }
    bench.ladder
}

pub(crate) fn ok(reply: Reply) -> RunInput {
    RunInput::Reply(Ok(reply))
}

pub(crate) fn done() -> RunInput {
    ok(Reply::Done)
}

pub(crate) fn failed(error: FlowError) -> RunInput {
    RunInput::Reply(Err(error))
}

pub(crate) fn digits(value: &str) -> RunInput {
    ok(Reply::Digits {
        value: Pii::new(value.into()),
        end: GatherEnd::Complete,
    })
}

pub(crate) fn key(key: char) -> RunInput {
    ok(Reply::Event(FlowEvent::Dtmf(Pii::new(key))))
}

pub(crate) fn hangup() -> RunInput {
    RunInput::Hangup("caller hung up".into())
}
