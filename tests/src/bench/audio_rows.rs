//! Calls with audio both ways: what they cost, and when it comes late.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::process::{Plan, Process};
use super::usage::Usage;
use super::{Figure, LOAD_SHARE_MAX, Row, Sample, Target, usage};
use crate::load::failover::{CALLER, MENU, trunks};
use crate::load::{Act, Carrier, Goal, Load, Script, Tally, voice};
use crate::shell::project;

/// How long a `hello-ivr` call takes: 3.4 s of greeting, one digit, 3 s of answer.
const CALL: Duration = Duration::from_millis(6_700);

/// How long steady calls are measured.
const STEADY: Duration = Duration::from_secs(20);

/// How fast calls that stay are made.
const BRIDGED_RATE: f64 = 25.0;

/// How long a call that stays lasts, if nobody hangs up.
const LONG: Duration = Duration::from_secs(600);

/// Share of late packets at which a number of calls is too many.
const LATE_PERCENT_MAX: f64 = 5.0;

/// What the server counts itself.
const LATE_OWN: &str = "jackfield_media_packets_late_total";

/// Steps of the search for the greatest number of calls.
const CALLS_FIRST: usize = 500;
const CALLS_STEP: usize = 500;
const CALLS_FINEST: usize = 125;

const fn late(what: &'static str) -> Figure {
    Figure {
        name: "late",
        what,
        unit: "%",
        target: Target::None,
    }
}

const FAILED_BRIDGED: Figure = Figure {
    name: "failed",
    what: "calls that failed or heard too little",
    unit: "calls",
    target: Target::AtMost(0.0),
};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "ivr_100",
        what: "whole server, 100 concurrent IVR calls: answer, 3.4 s prompt, one digit, answer",
        runs: super::RUNS,
        figures: &[
            Figure {
                name: "cpu",
                what: "processor time for 100 concurrent IVR calls (3.4 s prompt, one digit)",
                unit: "% core",
                target: Target::AtMost(8.0),
            },
            late("of their packets over 20 ms late or lost, seen by the callers"),
            Figure {
                name: "late_own",
                what: "packets the server itself counted over 20 ms late",
                unit: "packets",
                target: Target::None,
            },
            Figure {
                name: "rss",
                what: "resident memory for each call",
                unit: "KB",
                target: Target::AtMost(100.0),
            },
            Figure {
                name: "failed",
                what: "calls that failed or heard too little",
                unit: "calls",
                target: Target::AtMost(0.0),
            },
        ],
        measure: ivr_100,
    },
    Row {
        name: "ivr_300",
        what: "whole server, 300 concurrent calls through the demo's menu, each recorded",
        runs: super::RUNS,
        figures: &[
            Figure {
                name: "failed",
                what: "of 300 concurrent calls through the menu, failed or heard too little",
                unit: "calls",
                target: Target::AtMost(0.0),
            },
            late("of their packets over 20 ms late or lost, seen by the callers"),
            Figure {
                name: "cpu",
                what: "processor time for all 300, their recordings included",
                unit: "% core",
                target: Target::None,
            },
            Figure {
                name: "memory",
                what: "resident memory after the second 300 beyond that after the first 300",
                unit: "MB",
                target: Target::AtMost(5.0),
            },
        ],
        measure: ivr_300,
    },
    Row {
        name: "bridged_100",
        what: "whole server, 100 calls that two talk in, G.711 through the server both ways",
        runs: super::RUNS,
        figures: &[
            Figure {
                name: "cpu",
                what: "processor time for 100 calls that two talk in, the same codec on both sides",
                unit: "% core",
                target: Target::AtMost(7.0),
            },
            Figure {
                name: "late",
                what: "of the callers' packets over 20 ms late or lost, seen by whom they call",
                unit: "%",
                target: Target::AtMost(0.0),
            },
            Figure {
                name: "rss",
                what: "resident memory for each call, both legs and its flow",
                unit: "KB",
                target: Target::AtMost(60.0),
            },
            FAILED_BRIDGED,
        ],
        measure: || bridged(false),
    },
    Row {
        name: "recorded_100",
        what: "the same, each recorded in a file for each party",
        runs: 3,
        figures: &[
            Figure {
                name: "cpu",
                what: "processor time for 100 calls that two talk in and that are recorded",
                unit: "% core",
                target: Target::None,
            },
            late("of the callers' packets over 20 ms late or lost, seen by whom they call"),
            Figure {
                name: "rss",
                what: "resident memory for each such call",
                unit: "KB",
                target: Target::None,
            },
            FAILED_BRIDGED,
        ],
        measure: || bridged(true),
    },
    Row {
        name: "ivr_max",
        what: "whole server: most concurrent IVR calls with < 5 % of packets late",
        runs: 3,
        figures: &[
            Figure {
                name: "",
                what: "most concurrent IVR calls, < 5 % of packets over 20 ms late, none failed",
                unit: "calls",
                target: Target::AtLeast(1_500.0),
            },
            late("of the packets late or lost at that number"),
        ],
        measure: ivr_max,
    },
];

/// Listens to the greeting, presses a key, listens until the far end hangs up.
fn caller() -> anyhow::Result<Script> {
    Ok(Script {
        number: "1000",
        user: None,
        acts: vec![(Duration::from_millis(3_600), Act::Press('1'))],
        patience: Duration::from_secs(15),
        audio: Some(voice(&project("examples/demo/prompts/en/query.wav"))?),
    })
}

/// Through the demo's menu: English, opening hours, and listens.
fn menu_caller() -> anyhow::Result<Script> {
    let at = Duration::from_secs;
    Ok(Script {
        number: "1000",
        user: None,
        acts: vec![
            (at(4), Act::Press('2')),
            (at(8), Act::Press('1')),
            (at(14), Act::HangUp),
        ],
        ..caller()?
    })
}

/// What was seen while the number of calls was steady.
struct Steady {
    tally: Tally,
    before: Usage,
    after: Usage,
    time: Duration,
    /// Packets the server itself counted as late.
    late_own: f64,
    load_share: f64,
}

impl Steady {
    fn cpu_percent(&self) -> f64 {
        100.0 * (self.after.cpu - self.before.cpu).as_secs_f64() / self.time.as_secs_f64()
    }

    fn note(&self, sample: &mut Sample) {
        if self.load_share > LOAD_SHARE_MAX {
            sample
                .notes
                .insert("load-limited: the generator used over 90 % of its core".into());
        }
        if self.tally.failures() > 0 {
            sample
                .notes
                .insert(format!("failed: {}", self.tally.reasons()));
        }
    }
}

/// Brings `calls` up, evenly over the time of one call, and measures for `time`.
fn steady(
    server: &Process,
    load: &mut Load,
    calls: usize,
    time: Duration,
) -> anyhow::Result<Steady> {
    // As many come a second as end, and a few more until the number is reached.
    let rate_max = calls as f64 / CALL.as_secs_f64() * 1.15;
    load.set_goal(Goal::Live { calls, rate_max });
    load.run_for(CALL + Duration::from_secs(1));
    let late_before = server.metric(LATE_OWN)?;
    load.take_tally();
    let before = server.usage()?;
    let (begun, cpu) = (Instant::now(), usage::thread_cpu());
    load.run_for(time);
    let time = begun.elapsed();
    let load_share = (usage::thread_cpu() - cpu).as_secs_f64() / time.as_secs_f64();
    let after = server.usage()?;
    let tally = load.take_tally();
    let late_own = server.metric(LATE_OWN)? - late_before;
    Ok(Steady {
        tally,
        before,
        after,
        time,
        late_own,
        load_share,
    })
}

/// Lets all calls end; adds how they did.
fn finish(load: &mut Load, tally: &mut Tally) {
    load.set_goal(Goal::Nothing);
    load.run_until_idle(Duration::from_secs(20));
    for (why, count) in load.take_tally().failed {
        *tally.failed.entry(why).or_default() += count;
    }
}

fn ivr_100() -> anyhow::Result<Sample> {
    let server = Process::start(&Plan::hello(300))?;
    let floor = server.usage()?;
    let mut load = Load::new(server.sip, caller()?)?;
    let mut steady = steady(&server, &mut load, 100, STEADY)?;
    finish(&mut load, &mut steady.tally);
    let mut sample = Sample::default()
        .with("cpu", steady.cpu_percent())
        .with("late", steady.tally.packets.late_percent())
        .with("late_own", steady.late_own)
        .with("rss", (steady.after.rss_kb - floor.rss_kb) / 100.0)
        .with("failed", steady.tally.failures() as f64);
    steady.note(&mut sample);
    Ok(sample)
}

fn ivr_300() -> anyhow::Result<Sample> {
    let server = Process::start(&Plan::demo(700))?;
    let mut load = Load::new(server.sip, menu_caller()?)?;
    let mut first = steady(&server, &mut load, 300, Duration::from_secs(10))?;
    finish(&mut load, &mut first.tally);
    quiet(&server)?;
    let floor = server.usage()?;
    let mut second = steady(&server, &mut load, 300, STEADY)?;
    finish(&mut load, &mut second.tally);
    quiet(&server)?;
    let after = server.usage()?;
    for (why, count) in first.tally.failed {
        *second.tally.failed.entry(why).or_default() += count;
    }
    let mut sample = Sample::default()
        .with("failed", second.tally.failures() as f64)
        .with("late", second.tally.packets.late_percent())
        .with("cpu", second.cpu_percent())
        .with("memory", (after.rss_kb - floor.rss_kb) / 1e3);
    second.note(&mut sample);
    Ok(sample)
}

/// Calls through a trunk to a line that says what it hears: a packet crosses the server twice.
fn bridged(recorded: bool) -> anyhow::Result<Sample> {
    let calls = 100;
    let carrier = Carrier::echoing(LONG)?;
    let (user, password) = CALLER;
    let tenants = format!(
        "[[tenant]]\nid = \"bench\"\ntime_zone = \"UTC\"\nlanguage = \"en\"\n\
         [[tenant.phone]]\nuser = \"{user}\"\npassword_env = \"PHONE\"\n\
         [[tenant.route]]\nnumber = \"1000\"\npublic = true\nplugin = \"ivr-menu\"\n\
         config = \"menu.toml\"\ngrant = [\"dial\"]\nfallback = \"sorry\"\nrecord = {recorded}\n{}",
        trunks(&[carrier.address])
    );
    let server = Process::start(&Plan {
        rtp_pairs: 400,
        runs_max: 800,
        plugins: &["ivr-menu"],
        tenants,
        files: BTreeMap::from([("menu.toml".to_owned(), MENU.to_owned())]),
        env: BTreeMap::from([("PHONE".to_owned(), password.to_owned())]),
        browsers: false,
    })?;
    let mut load = Load::new(
        server.sip,
        Script {
            user: Some(CALLER),
            acts: vec![(LONG, Act::HangUp)],
            ..caller()?
        },
    )?;
    // The memory image of the plugin is made at its first run.
    load.set_goal(Goal::Live {
        calls: 1,
        rate_max: BRIDGED_RATE,
    });
    load.run_for(Duration::from_secs(2));
    let floor = server.usage()?;
    load.set_goal(Goal::Live {
        calls: calls + 1,
        rate_max: BRIDGED_RATE,
    });
    load.run_for(Duration::from_secs_f64(calls as f64 / BRIDGED_RATE + 3.0));
    let talk = carrier.seen().talked;
    ensure!(
        talk == calls as u64 + 1,
        "of {} calls {talk} are connected: {}",
        calls + 1,
        load.take_tally().reasons()
    );
    let late_before = server.metric(LATE_OWN)?;
    load.take_tally();
    carrier.take_packets();
    let before = server.usage()?;
    let (begun, cpu) = (Instant::now(), usage::thread_cpu());
    load.run_for(STEADY);
    let time = begun.elapsed();
    let load_share = (usage::thread_cpu() - cpu).as_secs_f64() / time.as_secs_f64();
    let steady = Steady {
        after: server.usage()?,
        tally: load.take_tally(),
        before,
        time,
        late_own: server.metric(LATE_OWN)? - late_before,
        load_share,
    };
    let (there, back) = (carrier.take_packets(), steady.tally.packets);
    let sent = time.as_secs_f64() * 50.0 * (calls + 1) as f64;
    ensure!(
        back.received as f64 > 0.95 * sent,
        "of some {sent:.0} packets {} came back",
        back.received
    );
    let mut sample = Sample::default()
        .with(
            "cpu",
            steady.cpu_percent() * calls as f64 / (calls + 1) as f64,
        )
        .with("late", there.late_percent())
        .with("rss", (steady.after.rss_kb - floor.rss_kb) / calls as f64)
        .with("failed", steady.tally.failures() as f64);
    if steady.late_own > 0.0 {
        let note = format!("the server itself sent {} packets late", steady.late_own);
        sample.notes.insert(note);
    }
    steady.note(&mut sample);
    Ok(sample)
}

/// Waits until the server holds nothing of its calls any more.
fn quiet(server: &Process) -> anyhow::Result<()> {
    let gone = |name: &str, counts: &BTreeMap<String, f64>| {
        counts.get(name).is_none_or(|count| *count == 0.0)
    };
    server.settle(Duration::from_secs(45), |counts| {
        [
            "calls",
            "flows",
            "media_sessions",
            "transactions",
            "unwritten",
        ]
        .iter()
        .all(|name| gone(name, counts))
    })?;
    Ok(())
}

fn ivr_max() -> anyhow::Result<Sample> {
    let server = Process::start(&Plan::hello(4_500))?;
    let mut load = Load::new(server.sip, caller()?)?;
    let (mut good, mut good_late, mut step) = (0, 0.0, CALLS_STEP);
    let mut calls = CALLS_FIRST;
    let mut sample = Sample::default();
    loop {
        let mut steady = steady(&server, &mut load, calls, Duration::from_secs(10))?;
        let late = steady.tally.packets.late_percent();
        let failed = steady.tally.failures();
        super::progress(&format!(
            "ivr_max: {calls} calls: {late:.2} % late, {failed} failed ({}), server {:.0} % of a \
             core, generator {:.0} %",
            steady.tally.reasons(),
            steady.cpu_percent(),
            100.0 * steady.load_share
        ));
        if late < LATE_PERCENT_MAX && failed == 0 {
            (good, good_late) = (calls, late);
        } else {
            if steady.load_share > LOAD_SHARE_MAX {
                let note = "load-limited: the generator used over 90 % of its core";
                sample.notes.insert(note.to_owned());
            }
            finish(&mut load, &mut steady.tally);
            quiet(&server)?;
            load.start_over()?;
            step /= 2;
            if step < CALLS_FINEST {
                break;
            }
        }
        calls = good + step;
        if calls > 4_400 {
            sample
                .notes
                .insert("no more RTP ports: the limit was not reached".to_owned());
            break;
        }
    }
    Ok(sample.with("", good as f64).with("late", good_late))
}
