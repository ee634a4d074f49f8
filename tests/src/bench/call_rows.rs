//! Calls without audio from the caller: how many a second, and what they leave behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::process::{Plan, Process};
use super::{Figure, LOAD_SHARE_MAX, Row, Sample, Target, percentile, usage};
use crate::load::{Act, Goal, Load, Script, Tally};

/// RTP pairs of the server: a call holds one for a few tens of milliseconds.
const RTP_PAIRS: u16 = 2_000;

/// Share of calls that may fail at a rate that counts.
const FAILED_MAX: f64 = 0.001;

/// A call that is not answered and over by then has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The first rate that is tried, and by how much each next is greater.
const RATE_FIRST: f64 = 800.0;
const RATE_STEP: f64 = 1.35;

/// Halvings between the last good rate and the first bad one.
const HALVINGS: u32 = 3;

/// How long each rate is kept up.
const STEP: Duration = Duration::from_secs(5);

/// How long 200 calls/s are measured.
const AT_200: Duration = Duration::from_secs(20);

/// Short calls that must leave nothing, and how fast they come.
const SHORT_CALLS: u64 = 50_000;
const SHORT_RATE: f64 = 1_000.0;

/// Longest that a call over UDP leaves a transaction: 64·T1 (RFC 3261 §17.2.2), and some.
const LINGER: Duration = Duration::from_secs(45);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "answer_hangup",
        what: "whole server, UDP: answer with a Wasm IVR instance and a record in SQLite, hang up",
        runs: super::RUNS,
        figures: &[
            Figure {
                name: "max",
                what: "most calls/s answered and hung up, ≤ 0.1 % failed, a Wasm IVR instance and \
                       a record each",
                unit: "calls/s",
                target: Target::AtLeast(2_500.0),
            },
            Figure {
                name: "cpu",
                what: "the server's processor time for each at 200/s",
                unit: "ms",
                target: Target::AtMost(0.4),
            },
            Figure {
                name: "answer_p50",
                what: "INVITE to 200 at 200/s, first event on disk before it, median",
                unit: "ms",
                target: Target::None,
            },
            Figure {
                name: "answer_p99",
                what: "the same, 99 of 100 are faster",
                unit: "ms",
                target: Target::None,
            },
        ],
        measure: answer_hangup,
    },
    Row {
        name: "short_calls",
        what: "50,000 such calls at 1,000/s: what is left 45 s later",
        runs: 2,
        figures: &[
            Figure {
                name: "failed",
                what: "of 50,000 such calls at 1,000/s, failed",
                unit: "calls",
                target: Target::AtMost(0.0),
            },
            Figure {
                name: "left",
                what: "dialogs, transactions, flows, sessions, timers, events left 45 s later",
                unit: "things",
                target: Target::AtMost(0.0),
            },
            Figure {
                name: "fds",
                what: "open files beyond those before",
                unit: "files",
                target: Target::AtMost(0.0),
            },
            Figure {
                name: "memory",
                what: "resident memory beyond that after the first 5,000 calls",
                unit: "MB",
                target: Target::None,
            },
        ],
        measure: short_calls,
    },
    Row {
        name: "vanish",
        what: "3,000 callers in a menu vanish without BYE: what is left 64 s later",
        runs: 1,
        figures: &[
            Figure {
                name: "up",
                what: "calls that were up when all of them vanished",
                unit: "calls",
                target: Target::AtLeast(VANISHED as f64),
            },
            Figure {
                name: "left",
                what: "dialogs, transactions, flows, sessions, timers, ports left 64 s later",
                unit: "things",
                target: Target::AtMost(0.0),
            },
            Figure {
                name: "fds",
                what: "open files beyond those before",
                unit: "files",
                target: Target::AtMost(0.0),
            },
            Figure {
                name: "gone_after",
                what: "until the last of it is gone",
                unit: "s",
                target: Target::AtMost(64.0),
            },
        ],
        measure: vanish,
    },
];

/// Callers who vanish, how fast they come, and a menu in which they stay.
const VANISHED: usize = 3_000;
const VANISHED_RATE: f64 = 300.0;
const LONG_MENU: &str = "start = \"main\"\n[menu.main]\nprompt = \"sorry\"\ntimeout_s = 60\n\
                         tries = 2\n[menu.main.option]\n1 = \"hangup\"\n";

/// When nothing may be left: 30 s of missed audio and 32 s of a BYE that nobody answers, and some.
const GONE: Duration = Duration::from_secs(64);

/// Up, and down at once.
fn touch() -> Script {
    Script {
        number: "1000",
        user: None,
        acts: vec![(Duration::ZERO, Act::HangUp)],
        patience: PATIENCE,
        audio: None,
    }
}

/// A stretch of load: what became of its calls, and how busy the generator was.
struct Stretch {
    tally: Tally,
    load_share: f64,
}

/// Calls at a rate for a time, all of them over at the end.
fn stretch(load: &mut Load, rate: f64, time: Duration) -> Stretch {
    load.take_tally();
    let (begun, cpu) = (Instant::now(), usage::thread_cpu());
    load.set_goal(Goal::Rate(rate));
    load.run_for(time);
    let load_share = (usage::thread_cpu() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    load.set_goal(Goal::Nothing);
    load.run_until_idle(PATIENCE);
    Stretch {
        tally: load.take_tally(),
        load_share,
    }
}

fn answer_hangup() -> anyhow::Result<Sample> {
    let server = Process::start(&Plan::hello(RTP_PAIRS))?;
    let mut load = Load::new(server.sip, touch())?;
    // The first calls make what later ones share.
    stretch(&mut load, 200.0, Duration::from_secs(2));
    let before = server.usage()?;
    let mut at_200 = stretch(&mut load, 200.0, AT_200);
    let spent = server.usage()?.cpu - before.cpu;
    let failures = at_200.tally.failures();
    ensure!(
        failures == 0,
        "at 200 calls/s there failed: {}",
        at_200.tally.reasons()
    );
    let cpu = spent.as_secs_f64() * 1e3 / at_200.tally.ended as f64;
    let (max, limited) = greatest_rate(&server, &mut load)?;
    let mut sample = Sample::default()
        .with("max", max)
        .with("cpu", cpu)
        .with("answer_p50", percentile(&mut at_200.tally.waits_ms, 0.5))
        .with("answer_p99", percentile(&mut at_200.tally.waits_ms, 0.99));
    if at_200.tally.failures() > 0 {
        let note = format!("at 200 calls/s there failed: {}", at_200.tally.reasons());
        sample.notes.insert(note);
    }
    if limited {
        sample
            .notes
            .insert("load-limited: the generator used over 90 % of its core".to_owned());
    }
    Ok(sample)
}

/// The greatest rate at which calls hardly fail, and whether the generator was the limit.
fn greatest_rate(server: &Process, load: &mut Load) -> anyhow::Result<(f64, bool)> {
    let (mut good, mut bad): (f64, Option<f64>) = (0.0, None);
    let mut limited = false;
    let mut halvings = 0;
    while halvings < HALVINGS {
        let rate = match bad {
            Some(bad) => {
                halvings += 1;
                (good + bad) / 2.0
            }
            None => (good * RATE_STEP).max(RATE_FIRST),
        };
        let stretch = stretch(load, rate, STEP);
        limited |= stretch.load_share > LOAD_SHARE_MAX;
        let started = stretch.tally.started as f64;
        let kept_up = started >= 0.98 * rate * STEP.as_secs_f64();
        let failed = stretch.tally.failures() as f64;
        super::progress(&format!(
            "answer_hangup: {rate:.0} calls/s: {failed} of {started} failed ({}), the generator \
             used {:.0} % of its core",
            stretch.tally.reasons(),
            100.0 * stretch.load_share
        ));
        if kept_up && failed <= FAILED_MAX * started {
            good = rate;
        } else {
            bad = Some(rate);
            // Late answers and repeats must not fall into the next step.
            server.settle(LINGER, |counts| {
                left(counts, &["calls", "flows", "unwritten"]) == 0.0
            })?;
            load.start_over()?;
        }
    }
    Ok((good, limited))
}

/// Sum of some counts.
fn left(counts: &BTreeMap<String, f64>, names: &[&str]) -> f64 {
    names.iter().filter_map(|name| counts.get(*name)).sum()
}

/// What must be gone when the last call is.
const LEFTOVERS: [&str; 10] = [
    "calls",
    "flows",
    "deadlines",
    "unwritten",
    "speeches",
    "legs",
    "media_sessions",
    "timers",
    "dialogs",
    "transactions",
];

/// RTP ports that are in use.
fn ports_used(counts: &BTreeMap<String, f64>) -> f64 {
    left(counts, &["rtp_ports"]) - left(counts, &["rtp_ports_free"])
}

/// What is in the second of two sorted lists more often than in the first.
fn more(before: &[String], after: &[String]) -> Vec<String> {
    let mut before = before.iter().peekable();
    let news = after.iter().filter(|file| {
        while before.next_if(|other| other < file).is_some() {}
        before.next_if(|other| other == file).is_none()
    });
    news.cloned().collect()
}

fn vanish() -> anyhow::Result<Sample> {
    let mut plan = Plan::hello(RTP_PAIRS * 2);
    plan.plugins = &["ivr-menu"];
    plan.tenants = plan.tenants.replace(
        "plugin = \"hello-ivr\"",
        "plugin = \"ivr-menu\"\nconfig = \"menu.toml\"",
    );
    plan.files
        .insert("menu.toml".to_owned(), LONG_MENU.to_owned());
    let server = Process::start(&plan)?;
    let mut script = touch();
    script.acts = vec![(Duration::from_secs(3_600), Act::HangUp)];
    script.patience = Duration::from_secs(10);
    let mut load = Load::new(server.sip, script)?;
    // The memory images of plugins are made at their first run.
    stretch(
        &mut Load::new(server.sip, touch())?,
        10.0,
        Duration::from_secs(1),
    );
    let before = server.open_files()?;
    load.set_goal(Goal::Live {
        calls: VANISHED,
        rate_max: VANISHED_RATE,
    });
    load.run_for(Duration::from_secs_f64(
        VANISHED as f64 / VANISHED_RATE + 5.0,
    ));
    let up = load.live();
    // From here on nobody reads or says anything; the sockets stay, so no ICMP tells of it.
    let begun = Instant::now();
    let gone =
        |counts: &BTreeMap<String, f64>| left(counts, &LEFTOVERS) + ports_used(counts) == 0.0;
    let counts = server.settle(GONE, gone)?;
    let after = begun.elapsed();
    let files = server.open_files()?;
    let mut sample = Sample::default()
        .with("up", up as f64)
        .with("left", left(&counts, &LEFTOVERS) + ports_used(&counts))
        .with("fds", files.len() as f64 - before.len() as f64)
        .with("gone_after", after.as_secs_f64());
    for file in more(&before, &files) {
        sample.notes.insert(format!("{file} is open"));
    }
    for name in LEFTOVERS {
        let count = left(&counts, &[name]);
        if count != 0.0 {
            sample.notes.insert(format!("{count} {name} left"));
        }
    }
    Ok(sample)
}

fn short_calls() -> anyhow::Result<Sample> {
    let server = Process::start(&Plan::hello(RTP_PAIRS))?;
    let mut load = Load::new(server.sip, touch())?;
    let seconds = |calls: u64| Duration::from_secs_f64(calls as f64 / SHORT_RATE);
    let mut failed = stretch(&mut load, SHORT_RATE, seconds(5_000)).tally;
    let before = server.usage()?;
    let rest = stretch(&mut load, SHORT_RATE, seconds(SHORT_CALLS - 5_000)).tally;
    let after_calls = failed.started + rest.started;
    for (why, count) in rest.failed {
        *failed.failed.entry(why).or_default() += count;
    }
    let counts = server.settle(LINGER, |counts| left(counts, &LEFTOVERS) == 0.0)?;
    let after = server.usage()?;
    let ports =
        counts.get("rtp_ports").unwrap_or(&0.0) - counts.get("rtp_ports_free").unwrap_or(&0.0);
    let mut sample = Sample::default()
        .with("failed", failed.failures() as f64)
        .with("left", left(&counts, &LEFTOVERS) + ports)
        .with("fds", after.fds as f64 - before.fds as f64)
        .with("memory", (after.rss_kb - before.rss_kb) / 1e3);
    if failed.failures() > 0 {
        sample.notes.insert(format!("failed: {}", failed.reasons()));
    }
    for name in LEFTOVERS {
        let count = left(&counts, &[name]);
        if count != 0.0 {
            sample.notes.insert(format!("{count} {name} left"));
        }
    }
    if ports != 0.0 {
        sample
            .notes
            .insert(format!("{ports} RTP ports left in use"));
    }
    if after_calls < SHORT_CALLS * 98 / 100 {
        sample
            .notes
            .insert(format!("only {after_calls} calls could be started"));
    }
    Ok(sample)
}
