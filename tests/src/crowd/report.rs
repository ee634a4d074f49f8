//! A run from beginning to end, and what is told about it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use vocab::Mono;

use super::{Alive, Crowd, FORGOTTEN_AFTER, LATEST};
use crate::sim::Fingerprint;

/// How often what is alive is counted.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// From here on as many calls end as begin, and INVITEs are forgotten as fast as they come.
const WARM: Mono = Mono(130_000_000_000);

/// How much more may be alive later than at the first checkpoint after [`WARM`]: a share of it, and
/// what a few calls more or less make.
const SWING: (f64, f64) = (1.25, 200.0);

/// What a run was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Calls that far ends made.
    pub calls: u32,
    /// Time that passed in it.
    pub time: Duration,
    /// INVITE transactions, each with its one final answer.
    pub invites: u64,
    /// Final answers to INVITEs that were sent again, the same to the byte.
    pub repeated: u64,
    /// Most that was ever alive at a checkpoint.
    pub most: Alive,
    /// The same once the run was warm, first and last.
    pub warm: Option<(Alive, Alive)>,
    /// What the engine reported, and how often.
    pub seen: BTreeMap<&'static str, u64>,
    /// What the far ends were told, and how often.
    pub heard: BTreeMap<&'static str, u64>,
    /// All messages in short.
    pub fingerprint: Fingerprint,
}

/// Has so many calls made, and tells `progress` at each checkpoint how many have begun and what is
/// alive.
///
/// # Panics
/// When a check fails; before that, the command that shows it again and the last messages are
/// printed.
pub fn run(seed: u64, calls: u32, mut progress: impl FnMut(u32, &Alive)) -> Report {
    let mut crowd = Crowd::new(seed, calls);
    let mut live = || live(&mut crowd, &mut progress);
    let (most, warm) = catch_unwind(AssertUnwindSafe(&mut live)).unwrap_or_else(|panic| {
        let lines: Vec<&str> = crowd.trace.last().collect();
        let lines = lines.join("\n");
        eprintln!("{lines}\nSEED={seed} cargo xtask sim --calls {calls}");
        resume_unwind(panic)
    });
    let mut heard = BTreeMap::new();
    for far in &crowd.fars {
        for (name, count) in &far.heard {
            *heard.entry(*name).or_default() += count;
        }
    }
    Report {
        seed,
        calls,
        time: crowd.now.mono.since(Mono(0)),
        invites: crowd.invites.settled,
        repeated: crowd.invites.repeated,
        most,
        warm,
        seen: crowd.control.seen.clone(),
        heard,
        fingerprint: crowd.trace.fingerprint(),
    }
}

/// All calls and 64 s more.
fn live(
    crowd: &mut Crowd,
    progress: &mut dyn FnMut(u32, &Alive),
) -> (Alive, Option<(Alive, Alive)>) {
    let (mut most, mut warm, mut next) = (Alive::default(), None, Mono(0) + CHECKPOINT);
    while !crowd.is_over() {
        assert!(
            crowd.step(Mono(u64::MAX)),
            "calls are left, and nothing happens"
        );
        if crowd.now.mono < next || crowd.left == 0 {
            continue;
        }
        next = next + CHECKPOINT;
        let alive = crowd.alive();
        progress(crowd.begun, &alive);
        if alive.total() > most.total() {
            most = alive;
        }
        if crowd.now.mono < WARM {
            continue;
        }
        let (first, _) = *warm.get_or_insert((alive, alive));
        warm = Some((first, alive));
        let bound = first.total() as f64 * SWING.0 + SWING.1;
        assert!(
            alive.total() as f64 <= bound,
            "memory grows: after {} calls there are {alive}; before, {first}",
            crowd.begun
        );
    }
    let end = crowd.last_end + FORGOTTEN_AFTER + LATEST;
    while crowd.step(end) {}
    clean(crowd);
    (most, warm)
}

/// Nothing is left.
fn clean(crowd: &mut Crowd) {
    crowd.invites.over();
    let alive = crowd.alive();
    assert_eq!(alive.total(), 0, "something is left: {alive}");
    let counts = crowd.engine.counts();
    assert_eq!(counts.ports_free, counts.ports_total, "all ports are back");
    assert_eq!(
        crowd.engine.sip_counts().contacts,
        0,
        "no phone is registered"
    );
    assert_eq!(
        crowd.engine.deadline(),
        None,
        "the engine waits for nothing"
    );
    for far in &crowd.fars {
        assert_eq!(far.endpoint.deadline(), None, "a far end waits for nothing");
    }
}
