//! Targets that did not answer (RFC 3263 §4.3).

use std::collections::BTreeMap;
use std::time::Duration;

use vocab::Mono;

use super::Target;
use crate::limits::{DEAD_MAX, DEAD_MEMORY, DEAD_WAIT, RETRY_AFTER_MAX};

/// A target that is left alone.
#[derive(Clone, Copy, Debug)]
struct Dead {
    until: Mono,
    failures: u32,
    why: Why,
}

/// Why a target is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    /// It did not answer.
    Silent,
    /// Somebody asks it whether it is back.
    Probed,
    /// It asked for it, by 503 and `Retry-After`.
    Asked,
}

/// Targets that did not answer, and for how long each is left alone: longer each time in a row.
#[derive(Debug, Default)]
pub(super) struct DeadList {
    dead: BTreeMap<Target, Dead>,
}

impl DeadList {
    /// It did not answer, or said 503 and when to come back. Gives when it is tried again.
    pub(super) fn failed(&mut self, now: Mono, target: Target, asked: Option<Duration>) -> Mono {
        self.dead.retain(|_, dead| now < dead.until + DEAD_MEMORY);
        let before = self.dead.get(&target);
        if let Some(dead) = before
            && now < dead.until
            && asked.is_none()
            && dead.why != Why::Probed
        {
            // Several requests were under way when it went: that is one failure.
            return dead.until;
        }
        let failures = before.map_or(0, |dead| dead.failures);
        let (first, most) = DEAD_WAIT;
        let wait = match asked {
            Some(asked) => asked.min(RETRY_AFTER_MAX),
            None => first.saturating_mul(1 << failures.min(16)).min(most),
        };
        let until = now + wait;
        let failures = failures.saturating_add(1);
        let why = if asked.is_some() {
            Why::Asked
        } else {
            Why::Silent
        };
        self.insert(target, until, failures, why);
        until
    }

    /// Somebody asks a target whether it is back, and will know by `until`: it is left alone as
    /// long.
    pub(super) fn probe(&mut self, target: Target, until: Mono) {
        let failures = self.dead.get(&target).map_or(0, |dead| dead.failures);
        self.insert(target, until, failures, Why::Probed);
    }

    fn insert(&mut self, target: Target, until: Mono, failures: u32, why: Why) {
        if self.dead.len() >= DEAD_MAX
            && !self.dead.contains_key(&target)
            && let Some((&soonest, _)) = self.dead.iter().min_by_key(|(_, dead)| dead.until)
        {
            self.dead.remove(&soonest);
        }
        let dead = Dead {
            until,
            failures,
            why,
        };
        self.dead.insert(target, dead);
    }

    /// It answered.
    pub(super) fn worked(&mut self, target: Target) {
        self.dead.remove(&target);
    }

    /// Until when it wants to be left alone, if it does.
    pub(super) fn rests_until(&self, now: Mono, target: Target) -> Option<Mono> {
        let dead = self.dead.get(&target)?;
        (dead.why == Why::Asked && now < dead.until).then_some(dead.until)
    }

    /// Until when it is left alone, if it is.
    pub(super) fn until(&self, now: Mono, target: Target) -> Option<Mono> {
        let dead = self.dead.get(&target)?;
        (now < dead.until).then_some(dead.until)
    }

    /// Those of `targets` that live, in their order; if none does, all of them, the one that was
    /// silent for the longest time first.
    pub(super) fn living(&self, now: Mono, mut targets: Vec<Target>) -> Vec<Target> {
        if targets.iter().all(|it| self.until(now, *it).is_some()) {
            targets.sort_by_key(|it| self.until(now, *it));
        } else {
            targets.retain(|it| self.until(now, *it).is_none());
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn target(port: u16) -> Target {
        Target {
            transport: Transport::Udp,
            address: std::net::SocketAddr::from(([192, 0, 2, 1], port)),
        }
    }

    #[test]
    fn each_failure_in_a_row_costs_more() {
        let mut list = DeadList::default();
        let (mut now, it) = (Mono(0), target(1));
        for wait in [10, 20, 40, 60, 60] {
            let until = list.failed(now, it, None);
            assert_eq!(until, now + s(wait));
            // Further failures of the same time are the same failure.
            assert_eq!(list.failed(now + s(1), it, None), until);
            assert!(list.until(now + s(wait - 1), it).is_some());
            now = until;
            assert_eq!(list.until(now, it), None);
        }
        list.worked(it);
        assert_eq!(list.failed(now, it, None), now + s(10));
        // It is forgotten after a while without a word.
        let later = now + s(10) + DEAD_MEMORY;
        assert_eq!(list.failed(later, it, None), later + s(10));
    }

    #[test]
    fn one_that_is_asked_is_left_alone_until_it_answers() {
        let mut list = DeadList::default();
        let (now, it) = (Mono(0), target(1));
        let now = list.failed(now, it, None);
        list.probe(it, now + s(33));
        assert_eq!(list.until(now + s(32), it), Some(now + s(33)));
        // The probe failed: that is a failure of its own.
        let until = list.failed(now + s(1), it, None);
        assert_eq!(until, now + s(21));
        list.probe(it, until + s(33));
        list.worked(it);
        assert_eq!(list.until(until, it), None);
    }

    #[test]
    fn what_a_503_asks_for_is_done_within_reason() {
        let mut list = DeadList::default();
        let now = Mono(0);
        assert_eq!(list.failed(now, target(1), Some(s(7))), now + s(7));
        assert_eq!(list.failed(now, target(1), Some(s(70))), now + s(70));
        let long = list.failed(now, target(2), Some(s(1_000_000)));
        assert_eq!(long, now + RETRY_AFTER_MAX);
        // A silence does not change it.
        assert_eq!(list.failed(now + s(69), target(1), None), now + s(70));
        assert_eq!(list.rests_until(now + s(69), target(1)), Some(now + s(70)));
        assert_eq!(list.rests_until(now + s(70), target(1)), None);
        list.failed(now + s(70), target(1), None);
        assert_eq!(list.rests_until(now + s(70), target(1)), None);
    }

    #[test]
    fn all_dead_are_all_tried_the_longest_silent_first() {
        let mut list = DeadList::default();
        let all = vec![target(1), target(2), target(3)];
        list.failed(Mono(0) + s(2), target(1), None);
        assert_eq!(
            list.living(Mono(0) + s(3), all.clone()),
            [target(2), target(3)]
        );
        list.failed(Mono(0) + s(1), target(2), None);
        list.failed(Mono(0) + s(3), target(3), None);
        assert_eq!(
            list.living(Mono(0) + s(3), all),
            [target(2), target(1), target(3)]
        );
    }

    #[test]
    fn the_list_is_bounded() {
        let mut list = DeadList::default();
        for port in 0..3_000 {
            list.failed(Mono(0) + s(u64::from(port) / 1_000), target(port), None);
        }
        assert_eq!(list.dead.len(), DEAD_MAX);
        assert!(list.until(Mono(0) + s(3), target(2_999)).is_some());
    }
}
