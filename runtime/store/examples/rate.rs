//! How fast the store is on this disk: `cargo run --release -p jackfield-store --example rate`,
//! with a directory as argument if not the temporary one.
//!
//! Four loads, each with both durabilities:
//! - *bulk*: full batches of whole calls; what the writer can do at most.
//! - *spread*: 1,000 calls at once, each batch with one event of each; what a busy node does.
//! - *small*: the same with 12 calls at once: about 8 ms of 200 calls/s.
//! - *single*: one first event in each transaction; what a caller waits for when nothing else is.
#![allow(clippy::disallowed_methods, reason = "this measures real time")]
#![allow(
    clippy::unwrap_used,
    reason = "a measurement that fails has nothing to say"
)]

use std::time::{Duration, Instant};

use jackfield_store::{Durability, Options, Store};
use vocab::call::{Cause, GatherEnd, Side};
use vocab::flow::PluginRef;
use vocab::record::{CallEvent, CallEventKind};
use vocab::{CallId, Direction, Party, Rng, Wall};

/// A short call through a menu: eight events.
fn menu_call(call: CallId, started: Wall) -> Vec<CallEvent> {
    let plugin = PluginRef {
        name: "ivr-menu".into(),
        version: "0.1.0".into(),
    };
    let asked = |op: &str, detail: &str| CallEventKind::FlowAsked {
        op: op.into(),
        detail: detail.into(),
    };
    let kinds = [
        CallEventKind::Started {
            direction: Direction::Inbound,
            from: Party::Sip("1001@192.0.2.10".into()),
            to: "1000".into(),
            user: Some("1001".into()),
            sip_call_id: format!("{call}@192.0.2.10"),
        },
        CallEventKind::FlowStarted { plugin },
        CallEventKind::Answered,
        asked("gather", "greeting"),
        CallEventKind::Gathered {
            digits: 1,
            end: GatherEnd::Complete,
        },
        asked("play", "you-pressed-one"),
        CallEventKind::FlowEnded {
            label: "one".into(),
        },
        CallEventKind::Ended {
            cause: Cause::Normal,
            by: Side::Far,
        },
    ];
    let tenant: vocab::TenantId = "demo".parse().unwrap();
    (1..)
        .zip(kinds)
        .map(|(n, kind)| {
            let at = started + Duration::from_millis(500) * n;
            CallEvent {
                tenant: tenant.clone(),
                call,
                n,
                at,
                kind,
            }
        })
        .collect()
}

/// Calls 200 µs apart, 5,000 a second, from a running count.
struct Calls {
    rng: Rng,
    next: i64,
}

impl Calls {
    fn take(&mut self, count: usize) -> Vec<Vec<CallEvent>> {
        (0..count)
            .map(|_| {
                self.next += 200;
                let at = Wall(1_795_000_000_000_000 + self.next);
                menu_call(CallId::new(at, &mut self.rng), at)
            })
            .collect()
    }
}

/// User and system time of this process; the kernel counts in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// Appends batch after batch and prints a row.
async fn measure(store: &Store, load: &str, batches: &[Vec<CallEvent>]) {
    let mut times = Vec::with_capacity(batches.len());
    let (start, cpu_start) = (Instant::now(), cpu());
    for batch in batches {
        let start = Instant::now();
        let appended = store.append(batch).await.unwrap();
        times.push(start.elapsed());
        assert_eq!(appended.added, batch.len());
    }
    let (took, cpu_took) = (start.elapsed(), cpu() - cpu_start);
    let events: usize = batches.iter().map(Vec::len).sum();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 1_000].as_secs_f64() * 1e3;
    println!(
        "{load:<8} {:>6} {:>6} {:>10.0} {:>9.1} {:>8.2} {:>8.2} {:>8.2} {:>8.2}",
        batches.len(),
        events / batches.len(),
        events as f64 / took.as_secs_f64(),
        cpu_took.as_secs_f64() * 1e6 / events as f64,
        at(500),
        at(990),
        at(999),
        at(1_000),
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let dir = match std::env::args().nth(1) {
        Some(dir) => tempfile::tempdir_in(dir).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    for durability in [Durability::PowerLoss, Durability::ProcessCrash] {
        let path = dir.path().join(format!("{durability:?}.db"));
        let options = Options {
            durability,
            ..Options::default()
        };
        let store = Store::open(&path, options).await.unwrap();
        let mut calls = Calls {
            rng: Rng::from_u64(1),
            next: 0,
        };
        println!("\n{durability:?}");
        println!(
            "load      commits events   events/s CPU µs/ev   p50 ms   p99 ms p99.9 ms   max ms"
        );

        let bulk: Vec<Vec<_>> = (0..300)
            .map(|_| calls.take(128).into_iter().flatten().collect())
            .collect();
        measure(&store, "bulk", &bulk).await;

        // Each call is at another of its eight events, as in the middle of a busy hour.
        let spread: Vec<Vec<_>> = (0..40)
            .flat_map(|_| {
                let calls = calls.take(1_000);
                (0..8).map(move |n| calls.iter().map(|events| events[n].clone()).collect())
            })
            .collect();
        measure(&store, "spread", &spread).await;

        let small: Vec<Vec<_>> = (0..200)
            .flat_map(|_| {
                let calls = calls.take(12);
                (0..8).map(move |n| calls.iter().map(|events| events[n].clone()).collect())
            })
            .collect();
        measure(&store, "small", &small).await;

        let single: Vec<Vec<_>> = calls
            .take(3_000)
            .into_iter()
            .map(|events| events[..1].to_vec())
            .collect();
        measure(&store, "single", &single).await;

        let bytes = std::fs::metadata(&path).unwrap().len();
        let events = 300 * 1_024 + 40 * 8 * 1_000 + 200 * 8 * 12 + 3_000;
        println!(
            "database: {:.0} bytes per event",
            bytes as f64 / f64::from(events)
        );
        store.close().await.unwrap();
    }
}
