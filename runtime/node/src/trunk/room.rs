//! How many calls a carrier takes, at a time and a second.
//!
//! Its lines are the same for calls of both directions; how fast calls come is its own matter.

use vocab::Mono;

/// Places for calls, and a bucket of attempts that fills up again within a second.
#[derive(Debug)]
pub(super) struct Room {
    calls: u32,
    calls_max: Option<u32>,
    per_second: Option<u32>,
    /// Attempts at hand, in millionths.
    bucket: u64,
    filled: Mono,
}

/// One attempt, in millionths: a rate of n a second adds n of them each microsecond.
const ONE: u64 = 1_000_000;

impl Room {
    pub(super) fn new(now: Mono, calls_max: Option<u32>, per_second: Option<u32>) -> Self {
        Self {
            calls: 0,
            calls_max,
            per_second,
            bucket: u64::from(per_second.unwrap_or(0)) * ONE,
            filled: now,
        }
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls
    }

    fn is_full(&self) -> bool {
        self.calls_max.is_some_and(|max| self.calls >= max)
    }

    /// A call may go there now.
    pub(super) fn has_place(&mut self, now: Mono) -> bool {
        if self.is_full() {
            return false;
        }
        let Some(rate) = self.per_second else {
            return true;
        };
        let micros = u64::try_from(now.since(self.filled).as_micros()).unwrap_or(u64::MAX);
        self.filled = now;
        let rate = u64::from(rate);
        // A second's worth at most: a bucket that is fuller would let a burst through.
        self.bucket = self
            .bucket
            .saturating_add(micros.saturating_mul(rate))
            .min(rate * ONE);
        self.bucket >= ONE
    }

    pub(super) fn take(&mut self, now: Mono) -> bool {
        if !self.has_place(now) {
            return false;
        }
        if self.per_second.is_some() {
            self.bucket -= ONE;
        }
        self.calls += 1;
        true
    }

    /// A call that comes from there takes a place; false if there is none.
    pub(super) fn take_in(&mut self) -> bool {
        let takes = !self.is_full();
        self.calls += u32::from(takes);
        takes
    }

    pub(super) fn leave(&mut self) {
        debug_assert!(self.calls > 0, "a call leaves once");
        self.calls = self.calls.saturating_sub(1);
    }

    /// Nobody was there to hear of a call: it does not count for the second.
    pub(super) fn unheard(&mut self) {
        if let Some(rate) = self.per_second {
            self.bucket = (self.bucket + ONE).min(u64::from(rate) * ONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_at_a_time() {
        let mut room = Room::new(Mono(0), Some(2), None);
        assert!(room.take(Mono(1)) && room.take(Mono(1)));
        assert!(!room.take(Mono(2)));
        room.leave();
        assert!(room.take(Mono(3)));
        assert_eq!(room.calls(), 2);
    }

    #[test]
    fn both_directions_share_the_lines_and_not_the_rate() {
        let mut room = Room::new(Mono(0), Some(3), Some(1));
        assert!(room.take_in() && room.take_in());
        assert!(room.take(Mono(1)));
        assert!(!room.take_in() && !room.has_place(Mono(0) + Duration::from_secs(9)));
        room.leave();
        assert!(room.take_in());
        assert_eq!(room.calls(), 3);
    }

    #[test]
    fn what_nobody_heard_does_not_count() {
        let mut room = Room::new(Mono(0), None, Some(1));
        assert!(room.take(Mono(0)) && !room.take(Mono(0)));
        room.leave();
        room.unheard();
        room.unheard();
        assert!(room.take(Mono(0)) && !room.take(Mono(0)));
    }

    #[test]
    fn so_many_a_second() {
        let mut room = Room::new(Mono(0), None, Some(5));
        let mut taken = 0;
        for n in 0..100 {
            taken += u32::from(room.take(Mono(0) + Duration::from_millis(20 * n)));
        }
        // Five at once, and then five a second for two seconds, less the last 20 ms.
        assert_eq!(taken, 5 + 9);
        assert!(!room.take(Mono(0) + Duration::from_millis(1_980)));
        assert!(room.take(Mono(0) + Duration::from_secs(60)));
    }
}
