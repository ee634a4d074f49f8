//! The plugin host alone: starting, running, waiting, loading and cutting runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use plugin::{
    CacheKey, CacheUse, Config, End, Grant, Host, HostConfig, Plugin, Run, RunInput, RunOutput,
    Setup, Value,
};
use vocab::call::GatherEnd;
use vocab::flow::{CallInfo, FaultKind, Op, Reply};
use vocab::{CallId, Direction, Mono, Now, Party, Pii, Rng, Wall};

use super::{Figure, Row, Sample, Target, micros, micros_each, usage};
use crate::shell;

/// Runs started in one run of a row, and runs that wait at the same time.
const STARTS: u32 = 10_000;
const WAITING: u32 = 10_000;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "plugin_start",
        what: "fresh store, instance, drop",
        runs: super::RUNS,
        figures: &[
            Figure {
                name: "",
                what: "fresh store, instance, a flow that returns at once, drop",
                unit: "µs",
                target: Target::AtMost(8.0),
            },
            Figure {
                name: "cut_short",
                what: "the same, dropped while its first operation is waited for",
                unit: "µs",
                target: Target::None,
            },
        ],
        measure: start,
    },
    Row {
        name: "plugin_ivr_run",
        what: "short IVR runs: 2 plays and 3 gathers, suspended at each",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "short IVR runs (2 plays, 3 gathers, suspended at each)",
            unit: "1/s",
            target: Target::AtLeast(50_000.0),
        }],
        measure: ivr_run,
    },
    Row {
        name: "plugin_compile",
        what: "a component from its bytes to a plugin",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "compile a component (guest-probe, 150 KB)",
            unit: "ms",
            target: Target::None,
        }],
        measure: compile,
    },
    Row {
        name: "plugin_cache_load",
        what: "the same from the cache",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "load it from the cache",
            unit: "ms",
            target: Target::None,
        }],
        measure: cache_load,
    },
    Row {
        name: "plugin_memory",
        what: "private memory of a run that waits, its page tables included",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "private memory of a run that waits, its page tables included",
            unit: "KiB",
            target: Target::AtMost(40.0),
        }],
        measure: memory,
    },
    Row {
        name: "plugin_loop_cut",
        what: "from its start to the cut of a plugin in an endless loop, 50 ms allowed",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "until an endless loop is cut (50 ms allowed, ticks of 10 ms)",
            unit: "ms",
            target: Target::AtMost(60.0),
        }],
        measure: loop_cut,
    },
];

fn component() -> anyhow::Result<Vec<u8>> {
    let path = shell::guest("guest-probe")?;
    std::fs::read(&path).with_context(|| path.display().to_string())
}

fn host() -> anyhow::Result<Host> {
    let defaults = HostConfig::new(CacheKey::new([1; 32]));
    Host::new(HostConfig {
        runs_max: WAITING + 100,
        ..defaults
    })
    .context("the plugin host")
}

fn probe() -> anyhow::Result<Plugin> {
    Ok(host()?
        .load(&component()?, None)
        .context("loading guest-probe")?
        .plugin)
}

fn start() -> anyhow::Result<Sample> {
    let plugin = probe()?;
    let mut ended = true;
    let returned = micros_each(STARTS, || {
        let mut run = plugin.run(setup("none"));
        run.handle(now(), RunInput::Start);
        ended &= matches!(run.poll(), Some(RunOutput::Ended(End::Outcome(_))));
    });
    ensure!(ended, "each run returns");
    let mut asked = true;
    let cut_short = micros_each(STARTS, || asked &= begin(&plugin).is_ok());
    ensure!(asked, "each run asks for its first operation");
    Ok(Sample::one(returned).with("cut_short", cut_short))
}

/// A run that waits for an event.
fn begin(plugin: &Plugin) -> anyhow::Result<Run> {
    let mut run = plugin.run(setup("wait"));
    run.handle(now(), RunInput::Start);
    match run.poll() {
        Some(RunOutput::Op(Op::NextEvent { .. })) => Ok(run),
        other => bail!("the probe does not wait: {other:?}"),
    }
}

fn ivr_run() -> anyhow::Result<Sample> {
    let plugin = probe()?;
    ensure!(short(&plugin), "the short run ends");
    let mut ended = true;
    let each = micros_each(STARTS, || ended &= short(&plugin));
    ensure!(ended, "each run ends");
    Ok(Sample::one(1e6 / each))
}

/// The probe's menu, answered at once; whether it ended.
fn short(plugin: &Plugin) -> bool {
    let mut run = plugin.run(setup("menu"));
    let mut next = Some(RunInput::Start);
    while let Some(input) = next.take() {
        run.handle(now(), input);
        while let Some(output) = run.poll() {
            match output {
                RunOutput::Op(Op::Gather { .. }) => {
                    let value = Pii::new("1".to_owned());
                    let reply = Reply::Digits {
                        value,
                        end: GatherEnd::Complete,
                    };
                    next = Some(RunInput::Reply(Ok(reply)));
                }
                RunOutput::Op(_) => next = Some(RunInput::Reply(Ok(Reply::Done))),
                RunOutput::Yielded => next = Some(RunInput::Slice),
                RunOutput::Log { .. } | RunOutput::Denied { .. } | RunOutput::Ended(_) => {}
            }
        }
    }
    run.is_over()
}

fn compile() -> anyhow::Result<Sample> {
    let (host, bytes) = (host()?, component()?);
    let begun = Instant::now();
    host.load(&bytes, None).context("loading guest-probe")?;
    Ok(Sample::one(micros(begun.elapsed()) / 1e3))
}

fn cache_load() -> anyhow::Result<Sample> {
    let (host, bytes) = (host()?, component()?);
    let loaded = host.load(&bytes, None).context("loading guest-probe")?;
    let CacheUse::Compiled {
        entry: Some(entry), ..
    } = loaded.cache
    else {
        bail!("the compiled component cannot be kept");
    };
    let mut hit = true;
    let each = micros_each(50, || {
        let loaded = host.load(&bytes, Some(&entry));
        hit &= loaded.is_ok_and(|loaded| loaded.cache == CacheUse::Hit);
    });
    ensure!(hit, "the cache is used");
    Ok(Sample::one(each / 1e3))
}

fn memory() -> anyhow::Result<Sample> {
    let plugin = probe()?;
    // The first run brings what all share.
    drop(begin(&plugin)?);
    let before = usage::private_kb();
    let runs: Vec<Run> = (0..WAITING)
        .map(|_| begin(&plugin))
        .collect::<Result<_, _>>()?;
    let grown = usage::private_kb() - before;
    Ok(Sample::one(grown / runs.len() as f64))
}

fn loop_cut() -> anyhow::Result<Sample> {
    let host = host()?;
    let plugin = host
        .load(&component()?, None)
        .context("loading guest-probe")?
        .plugin;
    let stop = Arc::new(AtomicBool::new(false));
    let ticker = std::thread::Builder::new()
        .name("ticker".to_owned())
        .spawn({
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(plugin::limits::TICK);
                    host.tick();
                }
            }
        })?;
    let cut = cut(&plugin);
    stop.store(true, Ordering::Relaxed);
    ticker
        .join()
        .map_err(|_| anyhow::anyhow!("the ticker panicked"))?;
    Ok(Sample::one(micros(cut?) / 1e3))
}

/// Runs the loop slice by slice as the shell does, until it is cut.
fn cut(plugin: &Plugin) -> anyhow::Result<Duration> {
    let mut run = plugin.run(setup("loop"));
    let begun = Instant::now();
    let mut input = RunInput::Start;
    loop {
        let slice = Instant::now();
        run.handle(now(), input);
        run.charge(slice.elapsed());
        let mut yielded = false;
        while let Some(output) = run.poll() {
            match output {
                RunOutput::Yielded => yielded = true,
                RunOutput::Ended(End::Fault(fault)) if fault.kind == FaultKind::OutOfTime => {
                    return Ok(begun.elapsed());
                }
                other @ (RunOutput::Op(_)
                | RunOutput::Log { .. }
                | RunOutput::Denied { .. }
                | RunOutput::Ended(_)) => bail!("the loop did {other:?}"),
            }
        }
        ensure!(yielded, "a slice ends by yielding or with the run");
        input = RunInput::Slice;
    }
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
