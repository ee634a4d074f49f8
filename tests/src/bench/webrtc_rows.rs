//! Browsers: how fast many come, what each costs, and what a call costs that joins one with a line outside.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use media::Codec;

use super::process::{Plan, Process};
use super::{Figure, LOAD_SHARE_MAX, Row, Sample, Target, percentile, usage};
use crate::load::browsers::{Browsers, Plan as What};
use crate::load::failover::{CALLER, MENU, trunks};
use crate::load::{Carrier, voice};
use crate::shell::project;

/// Browsers that join, and how fast: all within a minute.
const JOINING: usize = 500;
const JOIN_RATE: f64 = 10.0;

/// Browsers that talk with lines outside, and how fast they come.
const TALKING: usize = 100;
const TALK_RATE: f64 = 10.0;

/// How long steady calls are measured.
const STEADY: Duration = Duration::from_secs(20);

/// How long the last ones may take to join.
const SETTLE: Duration = Duration::from_secs(5);

/// How long a call outside lasts, if nobody hangs up.
const LONG: Duration = Duration::from_secs(600);

/// A menu that goes on speaking: `main` takes some 10 s.
const SPEAKING: &str = "start = \"main\"\n[menu.main]\n\
    prompt = [\"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \
    \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\", \"main\"]\n\
    timeout_s = 60\ntries = 2\n[menu.main.option]\n1 = \"hangup\"\n";

const FAILED: Figure = Figure {
    name: "failed",
    what: "browsers that came to nothing",
    unit: "browsers",
    target: Target::AtMost(0.0),
};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "webrtc_join",
        what: "whole server, 500 browsers join in 50 s: WebSocket, SIP, ICE, DTLS, first audio heard",
        runs: 2,
        figures: &[
            Figure {
                name: "up",
                what: "of 500 browsers that join in 50 s, that hear the menu (µ-law)",
                unit: "browsers",
                target: Target::AtLeast(JOINING as f64),
            },
            Figure {
                name: "p50",
                what: "from the first packet to the first audio heard, median",
                unit: "ms",
                target: Target::None,
            },
            Figure {
                name: "p99",
                what: "the same, 99 of 100 are faster",
                unit: "ms",
                target: Target::None,
            },
            Figure {
                name: "join_cpu",
                what: "the server's processor time while they join, for each, its audio included",
                unit: "ms",
                target: Target::None,
            },
            Figure {
                name: "cpu",
                what: "processor time for each that is there: it is spoken to, and heard",
                unit: "% core",
                target: Target::None,
            },
            Figure {
                name: "rss",
                what: "resident memory for each",
                unit: "KB",
                target: Target::None,
            },
        ],
        measure: join,
    },
    Row {
        name: "webrtc_bridged/pcmu",
        what: "whole server, 100 browsers bridged to SIP lines by a trunk, µ-law on both sides",
        runs: 3,
        figures: &[
            Figure {
                name: "cpu",
                what: "processor time for one call of a browser with a SIP line, µ-law passed through",
                unit: "% core",
                target: Target::AtMost(0.15),
            },
            Figure {
                name: "rss",
                what: "resident memory for each call",
                unit: "KB",
                target: Target::None,
            },
            FAILED,
        ],
        measure: || bridged(Codec::Pcmu),
    },
    Row {
        name: "webrtc_bridged/opus",
        what: "the same, Opus in the browser and µ-law on the line",
        runs: 3,
        figures: &[
            Figure {
                name: "cpu",
                what: "processor time for one call of a browser with a SIP line, Opus to µ-law and back",
                unit: "% core",
                target: Target::AtMost(0.42),
            },
            Figure {
                name: "rss",
                what: "resident memory for each call",
                unit: "KB",
                target: Target::None,
            },
            FAILED,
        ],
        measure: || bridged(Codec::Opus),
    },
];

fn join() -> anyhow::Result<Sample> {
    let mut plan = Plan::hello(u16::try_from(JOINING)? + 100);
    plan.browsers = true;
    plan.plugins = &["ivr-menu"];
    let menu = "plugin = \"ivr-menu\"\nconfig = \"menu.toml\"";
    plan.tenants = plan.tenants.replace("plugin = \"hello-ivr\"", menu);
    plan.files
        .insert("menu.toml".to_owned(), SPEAKING.to_owned());
    let server = Process::start(&plan)?;
    let what = What {
        server: server.http,
        number: "1000",
        user: None,
        codec: Codec::Pcmu,
        speech: voice(&project("examples/demo/prompts/en/hello.wav"))?,
        mangle: |offer| offer,
    };
    // The first call makes what later ones share.
    let mut first = Browsers::new(what.clone())?;
    first.run(Duration::from_secs(3), (1, 1_000.0))?;
    first.leave(Duration::from_secs(5))?;
    let floor = server.usage()?;
    let mut browsers = Browsers::new(what)?;
    let time = Duration::from_secs_f64(JOINING as f64 / JOIN_RATE) + SETTLE;
    browsers.run(time, (JOINING, JOIN_RATE))?;
    let joined = server.usage()?;
    let standing = browsers.standing();
    let mut waits: Vec<f64> = standing.joined.iter().map(|wait| wait * 1e3).collect();
    let (steady, load_share) = measure(&server, &mut browsers)?;
    let up = browsers.standing().joined.len();
    let mut sample = Sample::default()
        .with("up", up as f64)
        .with("p50", percentile(&mut waits, 0.5))
        .with("p99", percentile(&mut waits, 0.99))
        .with(
            "join_cpu",
            (joined.cpu - floor.cpu).as_secs_f64() * 1e3 / JOINING as f64,
        )
        .with("cpu", steady / up.max(1) as f64)
        .with(
            "rss",
            (server.usage()?.rss_kb - floor.rss_kb) / JOINING as f64,
        );
    note(&mut sample, &browsers, load_share);
    browsers.leave(Duration::from_secs(10))?;
    Ok(sample)
}

/// Percent of a core that the server takes while nothing changes, and the share of its core that the load
/// takes.
fn measure(server: &Process, browsers: &mut Browsers) -> anyhow::Result<(f64, f64)> {
    let (before, heard) = (server.usage()?, browsers.heard());
    let (begun, cpu) = (Instant::now(), usage::thread_cpu());
    browsers.run(STEADY, (0, 0.0))?;
    let time = begun.elapsed();
    let share = (usage::thread_cpu() - cpu).as_secs_f64() / time.as_secs_f64();
    let spent = server.usage()?.cpu - before.cpu;
    let sent = time.as_secs_f64() * 50.0 * browsers.standing().joined.len() as f64;
    let came = (browsers.heard() - heard) as f64;
    ensure!(
        came > 0.9 * sent,
        "of some {sent:.0} packets {came:.0} came"
    );
    Ok((100.0 * spent.as_secs_f64() / time.as_secs_f64(), share))
}

fn note(sample: &mut Sample, browsers: &Browsers, load_share: f64) {
    if load_share > LOAD_SHARE_MAX {
        let note = "load-limited: the generator used over 90 % of its core";
        sample.notes.insert(note.to_owned());
    }
    let mut reasons = BTreeMap::<String, usize>::new();
    for why in browsers.standing().failed {
        *reasons.entry(why).or_default() += 1;
    }
    for (why, count) in reasons {
        sample.notes.insert(format!("{count} failed: {why}"));
    }
}

/// Browsers whose calls go out through a trunk to a line that says what it hears.
fn bridged(codec: Codec) -> anyhow::Result<Sample> {
    let carrier = Carrier::echoing(LONG)?;
    let (user, password) = CALLER;
    let tenants = format!(
        "[[tenant]]\nid = \"bench\"\ntime_zone = \"UTC\"\nlanguage = \"en\"\n\
         [[tenant.phone]]\nuser = \"{user}\"\npassword_env = \"PHONE\"\n\
         [[tenant.route]]\nnumber = \"1000\"\npublic = true\nplugin = \"ivr-menu\"\n\
         config = \"menu.toml\"\ngrant = [\"dial\"]\nfallback = \"sorry\"\nrecord = false\n{}",
        trunks(&[carrier.address])
    );
    let server = Process::start(&Plan {
        rtp_pairs: 400,
        runs_max: 800,
        plugins: &["ivr-menu"],
        tenants,
        files: BTreeMap::from([("menu.toml".to_owned(), MENU.to_owned())]),
        env: BTreeMap::from([("PHONE".to_owned(), password.to_owned())]),
        browsers: true,
    })?;
    let what = What {
        server: server.http,
        number: "1000",
        user: Some(CALLER),
        codec,
        speech: voice(&project("examples/demo/prompts/en/hello.wav"))?,
        mangle: |offer| offer,
    };
    let mut browsers = Browsers::new(what)?;
    browsers.run(Duration::from_secs(3), (1, 1_000.0))?;
    let floor = server.usage()?;
    let time = Duration::from_secs_f64(TALKING as f64 / TALK_RATE) + SETTLE;
    browsers.run(time, (TALKING + 1, TALK_RATE))?;
    let (steady, load_share) = measure(&server, &mut browsers)?;
    let standing = browsers.standing();
    let talk = carrier.seen().talked;
    ensure!(
        talk == TALKING as u64 + 1,
        "of {} calls {talk} are connected: {:?}",
        TALKING + 1,
        standing.failed.first()
    );
    let mut sample = Sample::default()
        .with("cpu", steady / standing.joined.len().max(1) as f64)
        .with(
            "rss",
            (server.usage()?.rss_kb - floor.rss_kb) / TALKING as f64,
        )
        .with("failed", (TALKING + 1 - standing.joined.len()) as f64);
    note(&mut sample, &browsers, load_share);
    browsers.leave(Duration::from_secs(10))?;
    Ok(sample)
}
