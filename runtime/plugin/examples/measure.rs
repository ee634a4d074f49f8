//! Prints what a run costs: `cargo run --release -p jackfield-plugin --example measure`.
//!
//! Each row is the median, least and most of several rounds. The component is the one that the
//! tests use, from `target/guests` or the folder in `JACKFIELD_GUESTS`.

// A measurement reads the clock, and prints.
#![allow(clippy::disallowed_methods, missing_docs)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jackfield_plugin::{
    CacheKey, CacheUse, Config, Grant, Host, HostConfig, Metering, Plugin, Run, RunInput,
    RunOutput, Setup, Value,
};
use vocab::call::GatherEnd;
use vocab::flow::{CallInfo, Op, Reply};
use vocab::{CallId, Direction, Mono, Now, Party, Pii, Rng, Wall};

fn main() {
    let folder = std::env::var_os("JACKFIELD_GUESTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests"),
        PathBuf::from,
    );
    let path = folder.join("guest-probe.wasm");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; build the guests with: cargo xtask plugins",
            path.display()
        )
    });
    println!("component: {} KiB", bytes.len() >> 10);
    let config = HostConfig {
        runs_max: 10_000,
        ..HostConfig::new(CacheKey::new([1; 32]))
    };
    let host = Host::new(config.clone()).expect("the engine starts");
    let loaded = host.load(&bytes, None).expect("the component is a plugin");
    let CacheUse::Compiled {
        entry: Some(entry), ..
    } = loaded.cache
    else {
        panic!("the component was compiled")
    };
    println!("cache entry: {} KiB", entry.len() >> 10);
    row("compile", 5, 1, || drop(host.load(&bytes, None)));
    row("load from the cache", 50, 1, || {
        drop(host.load(&bytes, Some(&entry)))
    });
    let plugin = loaded.plugin;
    row("start, first operation, drop", 30, 1_000, || {
        let mut run = plugin.run(setup("wait"));
        run.handle(now(), RunInput::Start);
        assert!(matches!(
            run.poll(),
            Some(RunOutput::Op(Op::NextEvent { .. }))
        ));
    });
    row("short IVR run (2 play, 3 gather)", 30, 1_000, || {
        short(&plugin)
    });
    let fuel = Host::new(HostConfig {
        metering: Metering::Fuel,
        ..config
    })
    .expect("it starts");
    let fuel = fuel
        .load(&bytes, None)
        .expect("the component is a plugin")
        .plugin;
    row("the same, counting fuel", 30, 1_000, || short(&fuel));
}

fn row(name: &str, rounds: usize, each: u32, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..each {
                work();
            }
            start.elapsed() / each
        })
        .collect();
    times.sort_unstable();
    let micros = |time: Duration| time.as_nanos() as f64 / 1_000.0;
    println!(
        "{name:36} {:>10.1} µs   ({:.1} to {:.1})",
        micros(times[times.len() / 2]),
        micros(times[0]),
        micros(times[times.len() - 1])
    );
}

fn short(plugin: &Plugin) {
    let mut run = plugin.run(setup("menu"));
    let mut next = Some(RunInput::Start);
    while let Some(input) = next.take() {
        run.handle(now(), input);
        while let Some(output) = run.poll() {
            match output {
                RunOutput::Op(Op::Gather { .. }) => {
                    let value = Pii::new("1".to_owned());
                    next = Some(RunInput::Reply(Ok(Reply::Digits {
                        value,
                        end: GatherEnd::Complete,
                    })));
                }
                RunOutput::Op(_) => next = Some(RunInput::Reply(Ok(Reply::Done))),
                RunOutput::Yielded => next = Some(RunInput::Slice),
                RunOutput::Log { .. } | RunOutput::Denied { .. } | RunOutput::Ended(_) => {}
            }
        }
    }
    assert!(run.is_over());
}

fn waiting(plugin: &Plugin, count: usize) {
    let (before, maps_before) = (resident_kib(), mappings());
    let runs: Vec<Run> = (0..count)
        .map(|_| {
            let mut run = plugin.run(setup("wait"));
            run.handle(now(), RunInput::Start);
            assert!(run.poll().is_some());
            run
        })
        .collect();
    let kib = resident_kib() - before;
    let maps = mappings() - maps_before;
    let each = |sum: u64| sum as f64 / runs.len() as f64;
    println!(
        "{} waiting runs: {:.1} KiB and {:.2} mappings each, {maps_before} mappings before",
        runs.len(),
        each(kib),
        each(maps),
    );
}

fn mappings() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux tells its mappings");
    maps.lines().count() as u64
}

fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells its memory");
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .expect("a number")
        * 4
}

fn now() -> Now {
    Now::new(Mono(1), Wall(1_795_269_787_000_000))
}

fn setup(mode: &str) -> Setup {
    Setup {
        info: CallInfo {
            call: CallId(1),
            direction: Direction::Inbound,
            caller: Party::Anonymous,
            callee: Party::Sip("1000".into()),
            started_at: now().wall,
            attrs: vec![("language".into(), "en".into())],
        },
        config: Config::new(vec![("mode".into(), Value::Text(mode.into()))]),
        grant: Grant::none(),
        rng: Rng::from_u64(1),
    }
}
