//! The store alone: how long a first event takes to the disk, and how many events it takes.

use std::time::Instant;

use anyhow::{Context, ensure};
use store::{Options, Store};
use vocab::call::{Cause, GatherEnd, Side};
use vocab::flow::PluginRef;
use vocab::record::{CallEvent, CallEventKind};
use vocab::{CallId, Direction, Party, Rng, TenantId, Wall};

use super::{Figure, Row, Sample, Target, micros, percentile};
use crate::shell::Folder;

/// First events that are committed alone.
const SINGLES: usize = 1_000;

/// Calls at the same time when many events come; each transaction has one event of each.
const CALLS: usize = 1_000;

/// Rounds of such calls.
const ROUNDS: usize = 10;

pub(super) const ROWS: &[Row] = &[Row {
    name: "store_commit",
    what: "SQLite on the disk of the temporary folder: first events alone, and many at once",
    runs: super::RUNS,
    figures: &[
        Figure {
            name: "p50",
            what: "a call's first event written and committed alone, median",
            unit: "ms",
            target: Target::None,
        },
        Figure {
            name: "p99",
            what: "the same, 99 of 100 are faster",
            unit: "ms",
            target: Target::AtMost(20.0),
        },
        Figure {
            name: "rate",
            what: "events of 1,000 calls at once, one of each in a transaction",
            unit: "events/s",
            target: Target::None,
        },
    ],
    measure: commit,
}];

fn commit() -> anyhow::Result<Sample> {
    let folder = Folder::new("bench-store");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = Store::open(&folder.path().join("bench.db"), Options::default())
            .await
            .context("opening the store")?;
        let mut calls = Calls {
            rng: Rng::from_u64(1),
            next: 0,
        };
        let mut waits = Vec::with_capacity(SINGLES);
        for call in calls.take(SINGLES)? {
            let begun = Instant::now();
            let appended = store.append(&call[..1]).await?;
            waits.push(micros(begun.elapsed()) / 1e3);
            ensure!(appended.added == 1, "the event was not taken");
        }
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            rounds.push(calls.take(CALLS)?);
        }
        let begun = Instant::now();
        let mut added = 0;
        for calls in &rounds {
            for n in 0..calls[0].len() {
                let batch: Vec<CallEvent> = calls.iter().map(|call| call[n].clone()).collect();
                added += store.append(&batch).await?.added;
            }
        }
        let rate = added as f64 / begun.elapsed().as_secs_f64();
        store.close().await?;
        let sample = Sample::default().with("p50", percentile(&mut waits, 0.5));
        Ok(sample
            .with("p99", percentile(&mut waits, 0.99))
            .with("rate", rate))
    })
}

/// Calls 200 µs apart.
struct Calls {
    rng: Rng,
    next: i64,
}

impl Calls {
    fn take(&mut self, count: usize) -> anyhow::Result<Vec<Vec<CallEvent>>> {
        let tenant: TenantId = "bench".parse().context("a tenant's name")?;
        let calls = (0..count).map(|_| {
            self.next += 200;
            let at = Wall(1_795_000_000_000_000 + self.next);
            menu_call(&tenant, CallId::new(at, &mut self.rng), at)
        });
        Ok(calls.collect())
    }
}

/// What a short call through a menu leaves: eight events.
fn menu_call(tenant: &TenantId, call: CallId, at: Wall) -> Vec<CallEvent> {
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
            trunk: None,
            withheld: false,
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
    let event = |(n, kind)| CallEvent {
        tenant: tenant.clone(),
        call,
        n,
        at,
        kind,
    };
    (1..).zip(kinds).map(event).collect()
}
