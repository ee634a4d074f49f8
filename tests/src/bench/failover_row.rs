//! A carrier that falls silent at 200 calls/s.

use std::collections::BTreeMap;
use std::time::Duration;

use super::process::{Plan, Process};
use super::{Figure, Row, Sample, Target};
use crate::load::failover::{CALLER, Course, MENU, run, trunks};
use crate::load::{Carrier, Load, Script};

/// RTP pairs: two a call, and four seconds' calls wait for a carrier that says nothing.
const RTP_PAIRS: u16 = 4_000;

/// How long two parties talk.
const TALK: Duration = Duration::from_millis(100);

/// Longest wait for the end of a call: those that were up at the silent carrier end when it is back.
const PATIENCE: Duration = Duration::from_secs(60);

const COURSE: Course = Course {
    rate: 200.0,
    before: Duration::from_secs(5),
    silent: Duration::from_secs(12),
    after: Duration::from_secs(5),
};

pub(super) const ROWS: &[Row] = &[Row {
    name: "trunk_failover",
    what: "of two carriers one falls silent for 12 s at 200 calls/s",
    runs: 2,
    figures: &[
        Figure {
            name: "lost",
            what: "calls that no carrier took, or that did not end as usual",
            unit: "calls",
            target: Target::AtMost(0.0),
        },
        Figure {
            name: "twice",
            what: "calls that two carriers took, or that one was still offered when it was back",
            unit: "calls",
            target: Target::AtMost(0.0),
        },
        Figure {
            name: "noticed",
            what: "from the carrier's return until it gets calls again",
            unit: "s",
            target: Target::None,
        },
    ],
    measure: trunk_failover,
}];

fn trunk_failover() -> anyhow::Result<Sample> {
    let [first, second] = [Carrier::start(TALK)?, Carrier::start(TALK)?];
    let (user, password) = CALLER;
    let tenants = format!(
        "[[tenant]]\nid = \"bench\"\ntime_zone = \"UTC\"\nlanguage = \"en\"\n\
         [[tenant.phone]]\nuser = \"{user}\"\npassword_env = \"PHONE\"\n\
         [[tenant.route]]\nnumber = \"1000\"\npublic = true\nplugin = \"ivr-menu\"\n\
         config = \"menu.toml\"\ngrant = [\"dial\"]\nfallback = \"sorry\"\nrecord = false\n{}",
        trunks(&[first.address, second.address])
    );
    let server = Process::start(&Plan {
        rtp_pairs: RTP_PAIRS,
        runs_max: 2 * u32::from(RTP_PAIRS),
        plugins: &["ivr-menu"],
        tenants,
        files: BTreeMap::from([("menu.toml".to_owned(), MENU.to_owned())]),
        env: BTreeMap::from([("PHONE".to_owned(), password.to_owned())]),
        browsers: false,
    })?;
    let script = Script {
        number: "1000",
        user: Some(CALLER),
        acts: Vec::new(),
        patience: PATIENCE,
        audio: None,
    };
    let mut load = Load::new(server.sip, script)?;
    let went = run(&mut load, [&first, &second], COURSE, PATIENCE)?;
    let calls = went.tally.started;
    let taken: u64 = went.end.iter().map(|seen| seen.taken).sum();
    let lost = went.tally.failures().max(calls.saturating_sub(taken));
    let twice = went.end[0].late.max(taken.saturating_sub(calls));
    let mut sample = Sample::default()
        .with("lost", lost as f64)
        .with("twice", twice as f64)
        .with("noticed", went.noticed.as_secs_f64());
    if lost + twice > 0 {
        let told = went.told().replace('\n', "; ");
        sample.notes.insert(told);
    }
    if (calls as f64) < 0.98 * COURSE.rate * (COURSE.before + COURSE.silent).as_secs_f64() {
        let note = format!("only {calls} calls could be started");
        sample.notes.insert(note);
    }
    Ok(sample)
}
