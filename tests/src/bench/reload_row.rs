//! A new version of a plugin while calls run on the old one.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::process::{Plan, Process};
use super::{Figure, Row, Sample, Target, micros};
use crate::load::{Act, Goal, Load, Script, voice};
use crate::shell::{guest, project};

/// Calls that are up meanwhile.
const CALLS: usize = 100;

pub(super) const ROWS: &[Row] = &[Row {
    name: "reload",
    what: "a new version of a plugin (62 KB) with 100 live calls on the old one",
    runs: super::RUNS,
    figures: &[
        Figure {
            name: "live",
            what: "from the rename of a new component of 62 KB until it takes calls, 100 live",
            unit: "ms",
            target: Target::AtMost(100.0),
        },
        Figure {
            name: "failed",
            what: "calls on the old version that did not finish as usual",
            unit: "calls",
            target: Target::AtMost(0.0),
        },
        Figure {
            name: "left",
            what: "calls left on the old version after the last hung up",
            unit: "calls",
            target: Target::AtMost(0.0),
        },
    ],
    measure: reload,
}];

fn reload() -> anyhow::Result<Sample> {
    let server = Process::start(&Plan::hello(300))?;
    let script = Script {
        number: "1000",
        user: None,
        // Between the calls' beginnings and this the new version comes.
        acts: vec![(Duration::from_secs(5), Act::Press('1'))],
        patience: Duration::from_secs(15),
        audio: Some(voice(&project("examples/demo/prompts/en/query.wav"))?),
    };
    let mut load = Load::new(server.sip, script)?;
    load.set_goal(Goal::Live {
        calls: CALLS,
        rate_max: 100.0,
    });
    load.run_for(Duration::from_millis(1_500));
    load.set_goal(Goal::Nothing);
    let old = version(&server, |it| it["standing"] == "current")?.context("a version is live")?;
    ensure!(old["live"] == CALLS, "not all calls are up: {old}");

    // The same code, and one more custom section at its end: another file.
    let mut component = std::fs::read(guest("hello-ivr")?)?;
    component.extend_from_slice(&[0, 5, 4]);
    component.extend_from_slice(b"next");
    let sha256: String = Sha256::digest(&component)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let plugins = server.folder.path().join("plugins");
    std::fs::write(plugins.join(".hello-ivr.draft"), &component)?;

    let wait = wait_for(&server, &mut load, &sha256, || {
        std::fs::rename(
            plugins.join(".hello-ivr.draft"),
            plugins.join("hello-ivr.wasm"),
        )
    })?;
    load.run_until_idle(Duration::from_secs(20));
    let tally = load.take_tally();
    // The last run frees its instance just after the hang-up is on the wire.
    let old_sha256 = old["sha256"].clone();
    let mut left = 0.0;
    for _ in 0..50 {
        let old = version(&server, |it| it["sha256"] == old_sha256)?;
        left = old.and_then(|old| old["live"].as_f64()).unwrap_or(0.0);
        if left == 0.0 {
            break;
        }
        load.run_for(Duration::from_millis(20));
    }
    let mut sample = Sample::default()
        .with("live", micros(wait) / 1e3)
        .with(
            "failed",
            tally.failures() as f64 + (CALLS as f64 - tally.ended as f64),
        )
        .with("left", left);
    if tally.failures() > 0 {
        sample.notes.insert(format!("failed: {}", tally.reasons()));
    }
    Ok(sample)
}

/// Renames, and asks every few milliseconds until the new version takes calls. Calls go on.
fn wait_for(
    server: &Process,
    load: &mut Load,
    sha256: &str,
    rename: impl FnOnce() -> std::io::Result<()>,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    rename()?;
    loop {
        let current = version(server, |it| it["standing"] == "current")?;
        if current.is_some_and(|current| current["sha256"] == sha256) {
            return Ok(begun.elapsed());
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(3),
            "the new version was not taken"
        );
        load.run_for(Duration::from_millis(2));
    }
}

/// The version of the plugin that is looked for.
fn version(
    server: &Process,
    is_it: impl Fn(&serde_json::Value) -> bool,
) -> anyhow::Result<Option<serde_json::Value>> {
    let plugins = server.json("/api/v1/plugins")?;
    let items = plugins["items"].as_array().context("a list of plugins")?;
    Ok(items.iter().find(|it| is_it(it)).cloned())
}
