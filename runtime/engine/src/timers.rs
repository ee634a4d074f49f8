//! Deadlines of all legs in one ordered table.

use std::collections::{BTreeMap, BTreeSet};

use vocab::{LegId, Mono};

/// What a leg may wait for. Each leg has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// A dialled leg was not answered.
    Ring,
    /// The first or next digit did not come.
    Gather,
    /// The media worker did not confirm the end of a session.
    Close,
}

/// The table `(leg, timer) -> moment`, with the earliest at hand.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Mono, LegId, Timer)>,
    set: BTreeMap<(LegId, Timer), Mono>,
}

impl Timers {
    pub(crate) fn set(&mut self, leg: LegId, timer: Timer, at: Mono) {
        if let Some(old) = self.set.insert((leg, timer), at) {
            self.due.remove(&(old, leg, timer));
        }
        self.due.insert((at, leg, timer));
        debug_assert_eq!(self.due.len(), self.set.len());
    }

    pub(crate) fn clear(&mut self, leg: LegId, timer: Timer) {
        if let Some(at) = self.set.remove(&(leg, timer)) {
            self.due.remove(&(at, leg, timer));
        }
    }

    pub(crate) fn clear_all(&mut self, leg: LegId) {
        for timer in [Timer::Ring, Timer::Gather, Timer::Close] {
            self.clear(leg, timer);
        }
    }

    /// Takes out the earliest timer that is due.
    pub(crate) fn expire(&mut self, now: Mono) -> Option<(LegId, Timer)> {
        let &(at, leg, timer) = self.due.first()?;
        if at > now {
            return None;
        }
        self.clear(leg, timer);
        Some((leg, timer))
    }

    pub(crate) fn next(&self) -> Option<Mono> {
        self.due.first().map(|&(at, _, _)| at)
    }

    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }
}

#[cfg(test)]
mod tests {
    use vocab::CallId;

    use super::*;

    #[test]
    fn timers_fire_in_order_and_once() {
        let leg = |n| LegId { call: CallId(1), n };
        let mut timers = Timers::default();
        timers.set(leg(1), Timer::Ring, Mono(30));
        timers.set(leg(2), Timer::Gather, Mono(10));
        timers.set(leg(1), Timer::Ring, Mono(20));
        assert_eq!(timers.next(), Some(Mono(10)));
        assert_eq!(timers.expire(Mono(9)), None);
        assert_eq!(timers.expire(Mono(25)), Some((leg(2), Timer::Gather)));
        assert_eq!(timers.expire(Mono(25)), Some((leg(1), Timer::Ring)));
        assert_eq!(timers.expire(Mono(99)), None);
        assert_eq!(timers.len(), 0);
    }
}
