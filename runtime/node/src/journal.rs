//! What happened to calls, on its way to the store.

use std::collections::BTreeMap;

use vocab::record::{CallEvent, CallEventKind};
use vocab::{CallId, Wall};

use crate::border::Output;
use crate::call::Call;
use crate::limits::JOURNAL_MAX;

/// Events of this step, and batches that are not on disk yet.
///
/// A call's later events follow its first one only when that is on disk: if the store refuses
/// it, none of them may be written, or the log would tell of a call that never started.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    step: BTreeMap<CallId, Vec<CallEvent>>,
    /// Later events of calls whose first one is on its way.
    held: BTreeMap<CallId, Vec<CallEvent>>,
    unwritten: BTreeMap<u64, Batch>,
    seq_last: u64,
}

/// A batch handed to the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    pub(crate) call: CallId,
    /// It holds the call's first event: an answer waits for it.
    pub(crate) first: bool,
}

impl Journal {
    /// Notes an event of a call. Past the bound of a call's journal only its end is noted, and
    /// of a call whose first event was refused nothing.
    pub(crate) fn note(&mut self, call: &mut Call, at: Wall, kind: CallEventKind) {
        let last = matches!(kind, CallEventKind::Ended { .. });
        if call.unrecorded || (call.journal_last >= JOURNAL_MAX && !last) {
            return;
        }
        call.journal_last += 1;
        let event = CallEvent {
            tenant: call.tenant.id.clone(),
            call: call.leg.call,
            n: call.journal_last,
            at,
            kind,
        };
        self.step.entry(call.leg.call).or_default().push(event);
    }

    /// Hands the step's events out, one batch a call.
    pub(crate) fn flush(&mut self, mut out: impl FnMut(Output)) {
        for (call, events) in std::mem::take(&mut self.step) {
            let first = events.first().is_some_and(|event| event.n == 1);
            if first {
                let before = self.held.insert(call, Vec::new());
                assert!(before.is_none(), "a call has one first event");
            } else if let Some(held) = self.held.get_mut(&call) {
                held.extend(events);
                continue;
            }
            self.seq_last += 1;
            let seq = self.seq_last;
            self.unwritten.insert(seq, Batch { call, first });
            out(Output::Persist {
                seq,
                events,
                urgent: first,
            });
        }
    }

    /// Takes out what is now on disk.
    pub(crate) fn committed(&mut self, through: u64) -> Vec<Batch> {
        let rest = self.unwritten.split_off(&(through + 1));
        let written = std::mem::replace(&mut self.unwritten, rest);
        for batch in written.values().filter(|batch| batch.first) {
            let held = self.held.remove(&batch.call).unwrap_or_default();
            if !held.is_empty() {
                self.step.insert(batch.call, held);
            }
        }
        written.into_values().collect()
    }

    /// Takes out a batch that could not be written, and what was to follow a call's first one.
    pub(crate) fn refused(&mut self, seq: u64) -> Option<Batch> {
        let batch = self.unwritten.remove(&seq)?;
        if batch.first {
            self.held.remove(&batch.call);
        }
        Some(batch)
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }
}
