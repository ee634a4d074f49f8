//! One simulation from beginning to end, and what is told about it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use vocab::record::{CallEvent, CallEventKind};

use super::guests::Guests;
use super::scenario::Scenario;
use super::trace::Fingerprint;
use super::world::World;

/// What a simulation was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Time that passed in it.
    pub time: Duration,
    /// Calls on record, by disposition.
    pub calls: BTreeMap<&'static str, usize>,
    /// Calls whose plugin broke.
    pub faults: usize,
    /// How often what was in the mix: events, causes, faults, answers of the node.
    pub sights: BTreeMap<String, usize>,
    /// Its trace in short.
    pub fingerprint: Fingerprint,
}

/// Runs the scenario of a seed.
///
/// # Panics
/// When a check fails; before that, the command that shows it again and the last lines of the
/// trace are printed.
pub fn run_seed(seed: u64, guests: &Arc<Guests>) -> Report {
    run(seed, Scenario::from_seed(seed), guests).1
}

/// Runs a scenario, and gives the world as it is afterwards.
///
/// # Panics
/// As [`run_seed`].
pub fn run(seed: u64, scenario: Scenario, guests: &Arc<Guests>) -> (World, Report) {
    let mut world = World::new(seed, scenario, guests);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.run())) {
        let lines: Vec<&str> = world.trace().last().collect();
        eprintln!(
            "{}\nSEED={seed} cargo xtask sim --seeds 1",
            lines.join("\n")
        );
        resume_unwind(panic);
    }
    let (mut calls, mut sights) = (BTreeMap::new(), world.sights().clone());
    for record in world.records() {
        *calls.entry(record.disposition.name()).or_default() += 1;
        for event in world.events(record.call) {
            *sights.entry(sight(event)).or_default() += 1;
        }
    }
    let report = Report {
        seed,
        time: world.time(),
        calls,
        faults: world
            .records()
            .filter(|record| record.fault.is_some())
            .count(),
        sights,
        fingerprint: world.trace().fingerprint(),
    };
    (world, report)
}

/// An event by its name, and by what tells it from others of its name.
fn sight(event: &CallEvent) -> String {
    let name = event.kind.name();
    match &event.kind {
        CallEventKind::Ended { cause, .. } => format!("{name} {}", cause.name()),
        CallEventKind::FlowFault { fault } => format!("{name} {}", fault.kind.name()),
        CallEventKind::FlowAsked { op, .. } => format!("{name} {op}"),
        CallEventKind::DialEnded { result, .. } => format!("{name} {result:?}"),
        CallEventKind::Gathered { end, .. } => format!("{name} {end:?}"),
        CallEventKind::Started { .. }
        | CallEventKind::Answered
        | CallEventKind::FlowStarted { .. }
        | CallEventKind::FlowEnded { .. }
        | CallEventKind::Fallback { .. }
        | CallEventKind::RecordingStarted { .. }
        | CallEventKind::SegmentStarted { .. }
        | CallEventKind::SegmentEnded { .. }
        | CallEventKind::RecordingPaused { .. }
        | CallEventKind::RecordingResumed { .. }
        | CallEventKind::RecordingStopped { .. }
        | CallEventKind::Interaction { .. }
        | CallEventKind::SecretStarted { .. }
        | CallEventKind::SecretEnded { .. }
        | CallEventKind::Consent { .. }
        | CallEventKind::MessageLeft { .. }
        | CallEventKind::RecordingCut { .. }
        | CallEventKind::Dialed { .. }
        | CallEventKind::Bridged { .. }
        | CallEventKind::Unbridged { .. }
        | CallEventKind::Step { .. }
        | CallEventKind::Media { .. }
        | CallEventKind::Heard { .. }
        | CallEventKind::AttrSet { .. } => name.to_owned(),
    }
}
