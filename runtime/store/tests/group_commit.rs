//! Goal: events are committed in order, none too late, none lost, and never more than fit.

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use expect_test::{Expect, expect};
use jackfield_store::{GroupCommit, Input, Output, Pace};
use support::{call, event, started};
use vocab::record::{CallEvent, CallEventKind};
use vocab::{Mono, Now, Rng, Wall};

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Now {
    Now::new(Mono(ms * MS), Wall(0))
}

/// Events that can be told apart: event `n` of call `seq`.
fn events(seq: u64, count: u32) -> Vec<CallEvent> {
    (1..=count)
        .map(|n| {
            event(
                call(seq),
                n,
                if n == 1 {
                    started()
                } else {
                    CallEventKind::Answered
                },
            )
        })
        .collect()
}

fn small() -> Pace {
    Pace {
        batch_events_max: 8,
        queue_new_events_max: 12,
        queue_events_max: 20,
        ..Pace::default()
    }
}

/// Plays a script, `ms what`, and compares what comes out. `u3`, `e3` append one urgent or other
/// event as seq 3, `e3x4` four of them; `c`, `f`, `flush` and `t` are the other inputs.
fn check(pace: Pace, script: &str, expected: Expect) {
    let mut commit = GroupCommit::new(pace);
    let mut ladder = String::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (ms, what) = line.split_once(' ').expect("a time and an input");
        let append = |text: &str, urgent| {
            let (seq, count) = text.split_once('x').unwrap_or((text, "1"));
            let seq = seq.parse().expect("a seq");
            let events = events(seq, count.parse().expect("a count"));
            Input::Append {
                seq,
                events,
                urgent,
            }
        };
        let input = match what {
            "c" => Input::Committed,
            "f" => Input::Failed,
            "t" => Input::Timeout,
            "flush" => Input::Flush,
            _ if what.starts_with('u') => append(&what[1..], true),
            _ => append(what.strip_prefix('e').expect("an input"), false),
        };
        commit.handle(at(ms.parse().expect("milliseconds")), input);
        ladder += &format!("{ms} {what}");
        while let Some(output) = commit.poll() {
            ladder += &match output {
                Output::Write(batch) => {
                    let mut calls: Vec<_> = batch.iter().map(|e| (e.call.0 >> 80) as u64).collect();
                    calls.dedup();
                    format!(" write {calls:?} ({})", batch.len())
                }
                Output::Committed { through } => format!(" committed {through}"),
                Output::Refused { seq } => format!(" refused {seq}"),
            };
        }
        if let Some(deadline) = commit.deadline() {
            ladder += &format!(" until {}", deadline.0 / MS);
        }
        ladder += "\n";
    }
    expected.assert_eq(&ladder);
}

#[test]
fn an_urgent_event_is_written_at_once_when_nothing_was() {
    check(
        Pace::default(),
        "100 u1
         103 c
         200 u2
         205 c",
        expect![[r#"
            100 u1 write [1] (1)
            103 c committed 1
            200 u2 write [2] (1)
            205 c committed 2
        "#]],
    );
}

#[test]
fn urgent_events_close_together_share_a_transaction() {
    check(
        Pace::default(),
        "100 u1
         101 u2
         102 c
         103 u3
         108 t
         109 e4
         110 c
         160 t
         161 c",
        expect![[r#"
            100 u1 write [1] (1)
            101 u2
            102 c committed 1 until 108
            103 u3 until 108
            108 t write [2, 3] (2)
            109 e4
            110 c committed 3 until 159
            160 t write [4] (1)
            161 c committed 4
        "#]],
    );
}

#[test]
fn other_events_wait_for_company_but_not_long() {
    check(
        Pace::default(),
        "100 e1
         120 e2
         149 t
         150 t
         152 c
         160 e3
         170 u4
         171 c",
        expect![[r#"
            100 e1 until 150
            120 e2 until 150
            149 t until 150
            150 t write [1, 2] (2)
            152 c committed 2
            160 e3 until 210
            170 u4 write [3, 4] (2)
            171 c committed 4
        "#]],
    );
}

#[test]
fn a_full_transaction_is_written_at_once_and_appends_stay_whole() {
    check(
        small(),
        "100 e1x5
         101 e2x5
         102 e3x5
         103 c
         104 c
         153 t
         154 c",
        expect![[r#"
            100 e1x5 until 150
            101 e2x5 write [1] (5)
            102 e3x5
            103 c committed 1 write [2] (5)
            104 c committed 2 until 152
            153 t write [3] (5)
            154 c committed 3
        "#]],
    );
}

#[test]
fn a_full_queue_refuses_new_calls_first() {
    check(
        small(),
        "100 u1x8
         101 e2x4
         102 u3
         103 e4x8
         104 e5
         105 c
         106 u6
         107 c
         108 c",
        expect![[r#"
            100 u1x8 write [1] (8)
            101 e2x4
            102 u3 refused 3
            103 e4x8
            104 e5 refused 5
            105 c committed 1 write [2] (4)
            106 u6 refused 6
            107 c committed 2 write [4] (8)
            108 c committed 4
        "#]],
    );
}

#[test]
fn a_failed_transaction_is_tried_again_and_new_calls_are_refused_meanwhile() {
    check(
        Pace::default(),
        "100 u1
         101 e2
         102 f
         103 u3
         104 e4
         351 t
         352 t
         353 u5
         354 f
         604 t
         606 c
         612 t
         614 c
         625 u6",
        expect![[r#"
            100 u1 write [1] (1)
            101 e2
            102 f until 352
            103 u3 refused 3 until 352
            104 e4 until 352
            351 t until 352
            352 t write [1] (1)
            353 u5 refused 5
            354 f until 604
            604 t write [1] (1)
            606 c committed 1 until 612
            612 t write [2, 4] (2)
            614 c committed 4
            625 u6 write [6] (1)
        "#]],
    );
}

#[test]
fn a_flush_writes_what_is_there_and_only_that() {
    check(
        small(),
        "100 e1
         101 flush
         102 e2x6
         103 e3x6
         104 flush
         105 c
         106 c
         107 e4
         108 c
         157 t
         158 f
         159 flush",
        expect![[r#"
            100 e1 until 150
            101 flush write [1] (1)
            102 e2x6
            103 e3x6
            104 flush
            105 c committed 1 write [2] (6)
            106 c committed 2 write [3] (6)
            107 e4
            108 c committed 3 until 157
            157 t write [4] (1)
            158 f until 408
            159 flush write [4] (1)
        "#]],
    );
}

#[test]
#[should_panic(expected = "seq increases")]
fn a_seq_that_repeats_is_a_bug() {
    let mut commit = GroupCommit::new(Pace::default());
    for _ in 0..2 {
        commit.handle(
            at(0),
            Input::Append {
                seq: 1,
                events: events(1, 1),
                urgent: false,
            },
        );
        while commit.poll().is_some() {}
    }
}

#[test]
#[should_panic(expected = "nothing is being written")]
fn a_commit_of_nothing_is_a_bug() {
    GroupCommit::new(Pace::default()).handle(at(0), Input::Committed);
}

/// What a random run is checked against.
#[derive(Default)]
struct Ledger {
    /// When each append came, and whether it was urgent.
    asked: BTreeMap<u64, (u64, bool)>,
    /// Appends accepted and not committed, in order, with their number of events.
    open: VecDeque<(u64, u32)>,
    written: Vec<CallEvent>,
    committed: usize,
    refused: usize,
    worst_urgent_ms: u64,
    worst_other_ms: u64,
}

/// Random appends against a disk that takes up to `disk_ms` and fails with this chance in 100.
fn run(seed: u64, disk_ms: u64, failures: u64) -> Ledger {
    let mut rng = Rng::from_u64(seed);
    let mut commit = GroupCommit::new(Pace::default());
    let mut ledger = Ledger::default();
    let mut writing: Option<(u64, Vec<CallEvent>)> = None;
    let mut next_append = 0;
    let mut seq = 0;
    let mut now = 0;
    loop {
        // The earliest of: the disk, the deadline, the next append.
        let done = writing.as_ref().map(|(done, _)| *done);
        let deadline = commit.deadline().map(|at| at.0.div_ceil(MS));
        let append = (seq < 3_000).then_some(next_append);
        let Some(next) = [done, deadline, append].into_iter().flatten().min() else {
            break;
        };
        now = now.max(next);
        let input = if done == Some(next) {
            let (_, batch) = writing.take().expect("the disk is busy");
            if rng.u64() % 100 < failures {
                Input::Failed
            } else {
                ledger.written.extend(batch);
                Input::Committed
            }
        } else if deadline == Some(next) {
            Input::Timeout
        } else {
            next_append += rng.u64() % 4;
            seq += 1 + rng.u64() % 3;
            let urgent = rng.u64().is_multiple_of(4);
            let count = 1 + u32::try_from(rng.u64() % 5).expect("small");
            ledger.asked.insert(seq, (now, urgent));
            ledger.open.push_back((seq, count));
            Input::Append {
                seq,
                events: events(seq, count),
                urgent,
            }
        };
        commit.handle(at(now), input);
        while let Some(output) = commit.poll() {
            match output {
                Output::Write(batch) => {
                    assert!(writing.is_none(), "one transaction at a time");
                    assert!(
                        !batch.is_empty()
                            && batch.len() <= jackfield_store::limits::BATCH_EVENTS_MAX
                    );
                    writing = Some((now + rng.u64() % (disk_ms + 1), batch.to_vec()));
                }
                Output::Committed { through } => {
                    while ledger.open.front().is_some_and(|&(seq, _)| seq <= through) {
                        let (seq, _) = ledger.open.pop_front().expect("a front");
                        let (asked, urgent) = ledger.asked[&seq];
                        let worst = if urgent {
                            &mut ledger.worst_urgent_ms
                        } else {
                            &mut ledger.worst_other_ms
                        };
                        *worst = (*worst).max(now - asked);
                        ledger.committed += 1;
                    }
                }
                Output::Refused { seq } => {
                    assert_eq!(ledger.open.pop_back().map(|(seq, _)| seq), Some(seq));
                    ledger.refused += 1;
                }
            }
        }
    }
    assert!(
        commit.is_idle() && commit.depth() == 0,
        "nothing is left behind"
    );
    assert!(ledger.open.is_empty(), "each append is answered");
    assert_eq!(
        ledger.committed + ledger.refused,
        ledger.asked.len(),
        "each once"
    );
    let mut sorted = ledger.written.clone();
    sorted.sort_by_key(|event| (event.call, event.n));
    sorted.dedup();
    assert_eq!(
        ledger.written, sorted,
        "in order, each once, each append whole"
    );
    ledger
}

#[test]
fn with_a_working_disk_nothing_is_refused_or_late() {
    for seed in 0..50 {
        let ledger = run(seed, 5, 0);
        assert_eq!(ledger.refused, 0);
        assert!(
            ledger.worst_urgent_ms <= 20,
            "seed {seed}: {} ms",
            ledger.worst_urgent_ms
        );
        assert!(
            ledger.worst_other_ms <= 200,
            "seed {seed}: {} ms",
            ledger.worst_other_ms
        );
    }
}

#[test]
fn with_a_failing_disk_everything_accepted_is_committed_in_the_end() {
    for seed in 0..50 {
        let ledger = run(seed, 30, 20);
        assert!(
            ledger.refused > 0,
            "seed {seed}: new calls are refused while it fails"
        );
        assert!(ledger.committed > ledger.refused);
    }
}

#[test]
fn waits_are_within_what_the_issue_allows() {
    let pace = Pace::default();
    assert!(pace.spacing < Duration::from_millis(20) && pace.delay < Duration::from_millis(200));
}
