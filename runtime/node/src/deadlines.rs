//! Deadlines of all calls in one ordered table.

use std::collections::{BTreeMap, BTreeSet};

use vocab::{CallId, Mono};

/// What a call may wait for. Each call has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Wait {
    /// The first event's commit. Fallback: 503.
    Commit,
    /// The flow's next wish. Fallback: the announcement.
    Flow,
    /// The operation in hand. Fallback: an error to the flow, or hang-up after the announcement.
    Op,
    /// The flow's end after a hang-up. Fallback: it is dropped.
    Grace,
    /// The longest call. Fallback: hang-up.
    Call,
}

/// The table `(call, wait) -> moment`, with the earliest at hand.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    due: BTreeSet<(Mono, CallId, Wait)>,
    set: BTreeMap<(CallId, Wait), Mono>,
}

impl Deadlines {
    pub(crate) fn set(&mut self, call: CallId, wait: Wait, at: Mono) {
        if let Some(old) = self.set.insert((call, wait), at) {
            self.due.remove(&(old, call, wait));
        }
        self.due.insert((at, call, wait));
    }

    pub(crate) fn clear(&mut self, call: CallId, wait: Wait) {
        if let Some(at) = self.set.remove(&(call, wait)) {
            self.due.remove(&(at, call, wait));
        }
    }

    pub(crate) fn clear_all(&mut self, call: CallId) {
        for wait in [Wait::Commit, Wait::Flow, Wait::Op, Wait::Grace, Wait::Call] {
            self.clear(call, wait);
        }
    }

    /// Takes out the earliest deadline that has come.
    pub(crate) fn expire(&mut self, now: Mono) -> Option<(CallId, Wait)> {
        let &(at, call, wait) = self.due.first()?;
        if at > now {
            return None;
        }
        self.clear(call, wait);
        Some((call, wait))
    }

    pub(crate) fn next(&self) -> Option<Mono> {
        self.due.first().map(|&(at, _, _)| at)
    }

    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }
}
