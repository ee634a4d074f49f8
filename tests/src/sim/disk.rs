//! The store of the simulation: the production queue in front of a disk that takes its time, and
//! sometimes takes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use store::{GroupCommit, Input, Output, Pace, Projected};
use vocab::record::{CallEvent, CallEventKind, CallRecord};
use vocab::{CallId, Mono, Now, Rng};

use super::scenario::DiskPlan;

/// What the disk wants of the world.
#[derive(Debug)]
pub(super) enum Wish {
    /// Tell the disk [`Disk::written`] after this long.
    Write { after: Duration },
    /// Tell the node.
    Committed { through: u64 },
    /// Tell the node.
    Refused { seq: u64 },
}

/// The store.
#[derive(Debug)]
pub(super) struct Disk {
    group: GroupCommit,
    plan: DiskPlan,
    rng: Rng,
    writing: Option<Arc<[CallEvent]>>,
    records: BTreeMap<CallId, CallRecord>,
    events: BTreeMap<CallId, Vec<CallEvent>>,
    /// `Call-ID`s of calls whose first event is on disk.
    started: BTreeSet<String>,
}

impl Disk {
    pub(super) fn new(plan: DiskPlan, rng: Rng) -> Self {
        Self {
            group: GroupCommit::new(Pace::default()),
            plan,
            rng,
            writing: None,
            records: BTreeMap::new(),
            events: BTreeMap::new(),
            started: BTreeSet::new(),
        }
    }

    pub(super) fn handle(&mut self, now: Now, input: Input) -> Vec<Wish> {
        self.group.handle(now, input);
        let mut wishes = Vec::new();
        while let Some(output) = self.group.poll() {
            wishes.push(match output {
                Output::Write(batch) => {
                    assert!(
                        self.writing.is_none(),
                        "the store writes one batch at a time"
                    );
                    self.writing = Some(batch);
                    let (least, most) = self.plan.latency;
                    let spread = u64::try_from((most - least).as_nanos()).unwrap_or(0);
                    let after = least + Duration::from_nanos(self.rng.below(spread + 1));
                    Wish::Write { after }
                }
                Output::Committed { through } => Wish::Committed { through },
                Output::Refused { seq } => Wish::Refused { seq },
            });
        }
        wishes
    }

    /// The write in hand is over.
    pub(super) fn written(&mut self, now: Now) -> Vec<Wish> {
        let batch = self.writing.take().expect("something was being written");
        if self.is_full(now.mono) {
            return self.handle(now, Input::Failed);
        }
        for event in &*batch {
            self.keep(event);
        }
        self.handle(now, Input::Committed)
    }

    /// Nothing can be written.
    pub(super) fn is_full(&self, now: Mono) -> bool {
        let at = now.since(Mono::default());
        let full = &self.plan.full;
        full.iter().any(|(from, to)| *from <= at && at < *to)
    }

    /// Folds an event into its record; whatever does not fit is a bug of the node.
    fn keep(&mut self, event: &CallEvent) {
        let events = self.events.entry(event.call).or_default();
        let n = u32::try_from(events.len()).expect("a call has few events") + 1;
        assert_eq!(
            event.n, n,
            "events of call {} have no gap: {:?}",
            event.call, event.kind
        );
        events.push(event.clone());
        let mut record = self.records.remove(&event.call);
        match store::project(&mut record, event) {
            Ok(Projected::Changed | Projected::Counted) => {}
            Ok(Projected::Repeated) => panic!("{} {:?} came twice", event.call, event.kind),
            Err(misplaced) => panic!("{misplaced}: {:?}", event.kind),
        }
        // A call that we make names none.
        if let CallEventKind::Started { sip_call_id, .. } = &event.kind
            && !sip_call_id.is_empty()
        {
            let new = self.started.insert(sip_call_id.clone());
            assert!(new, "one call for each Call-ID");
        }
        self.records.insert(
            event.call,
            record.expect("a projected event leaves a record"),
        );
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.group.deadline()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.group.is_idle() && self.writing.is_none()
    }

    /// Whether the call with this `Call-ID` has its first event on disk.
    pub(super) fn has_started(&self, sip_call_id: &str) -> bool {
        self.started.contains(sip_call_id)
    }

    pub(super) fn records(&self) -> &BTreeMap<CallId, CallRecord> {
        &self.records
    }

    pub(super) fn events(&self, call: CallId) -> &[CallEvent] {
        self.events.get(&call).map_or(&[], Vec::as_slice)
    }
}
