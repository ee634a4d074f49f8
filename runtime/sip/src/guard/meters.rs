//! What was lately heard of whom: a table of fixed size.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::Source;
use super::rate::Bucket;
use crate::ConnId;

/// Whose messages are counted together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Payer {
    /// A source, for all that is not known better.
    Source(Source),
    /// A registered contact over UDP: its messages come from this address and port.
    Flow(SocketAddr),
    /// A stream with a registered contact.
    Stream(ConnId),
}

/// The buckets of one payer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    pub(super) requests: Bucket,
    pub(super) registers: Bucket,
    pub(super) invites: Bucket,
    pub(super) failures: Bucket,
    pub(super) malformed: Bucket,
    pub(super) excess: Bucket,
    /// Used since the hand last passed.
    used: bool,
}

/// Meters by payer. When full, one that was not used of late is forgotten, found by a hand that
/// goes round (the CLOCK algorithm): O(log n) whatever happens.
#[derive(Debug)]
pub(super) struct Meters {
    max: usize,
    meters: BTreeMap<Payer, Meter>,
    /// Every payer once, in the order of the hand.
    ring: VecDeque<Payer>,
}

/// Steps of the hand at most; then the next one goes, used or not.
const STEPS_MAX: usize = 8;

impl Meters {
    pub(super) fn new(max: usize) -> Self {
        assert!(max > 0, "a guard without room limits nobody");
        Self {
            max,
            meters: BTreeMap::new(),
            ring: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.meters.len()
    }

    /// The meter of a payer, new if it was forgotten.
    pub(super) fn of(&mut self, payer: Payer) -> &mut Meter {
        if !self.meters.contains_key(&payer) {
            if self.meters.len() >= self.max {
                self.make_room();
            }
            self.ring.push_back(payer);
        }
        assert!(self.ring.len() <= self.max, "the table keeps its bound");
        let meter = self.meters.entry(payer).or_default();
        meter.used = true;
        meter
    }

    fn make_room(&mut self) {
        for step in 1.. {
            let Some(payer) = self.ring.pop_front() else {
                return;
            };
            let meter = self.meters.get_mut(&payer).expect("the ring holds each");
            if step < STEPS_MAX && std::mem::replace(&mut meter.used, false) {
                self.ring.push_back(payer);
            } else {
                self.meters.remove(&payer);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payer(n: u8) -> Payer {
        Payer::Source(Source::of([192, 0, 2, n].into()))
    }

    #[test]
    fn what_is_not_used_is_forgotten_first() {
        let mut meters = Meters::new(4);
        for n in 0..4 {
            meters.of(payer(n));
        }
        // The hand goes round once and takes the oldest; from then on the used ones stay.
        meters.of(payer(4));
        for n in 5..100 {
            meters.of(payer(2));
            meters.of(payer(n));
            assert_eq!(meters.len(), 4);
        }
        assert!(meters.meters.contains_key(&payer(2)));
        assert!(!meters.meters.contains_key(&payer(1)));
    }
}
