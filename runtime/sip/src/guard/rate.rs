//! How often something may happen.

use std::time::Duration;

use vocab::Mono;

/// So many in a time on average, and so many at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many in [`Rate::per`]; zero: as many as come.
    pub count: u32,
    /// See [`Rate::count`].
    pub per: Duration,
    /// How many at once after a time of quiet; at least one.
    pub burst: u32,
}

impl Rate {
    /// No bound.
    pub const UNLIMITED: Self = Self::new(0, Duration::ZERO, 0);

    /// A rate.
    pub const fn new(count: u32, per: Duration, burst: u32) -> Self {
        Self { count, per, burst }
    }

    /// `count` a second, five seconds' worth of them at once: phones come back together after a
    /// power cut.
    pub const fn per_second(count: u32) -> Self {
        Self::new(count, Duration::from_secs(1), count.saturating_mul(5))
    }

    /// `count` a minute, in any order.
    pub const fn per_minute(count: u32) -> Self {
        Self::new(count, Duration::from_secs(60), count)
    }
}

/// A token bucket of eight bytes: when the next thing would be due if all came evenly spaced
/// (the generic cell rate algorithm of ITU-T I.371). New ones are full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bucket {
    due_ns: u64,
}

impl Bucket {
    /// Takes one token; `false` if there is none.
    pub(super) fn take(&mut self, now: Mono, rate: Rate) -> bool {
        if rate.count == 0 {
            return true;
        }
        let per_ns = u64::try_from(rate.per.as_nanos()).unwrap_or(u64::MAX);
        let interval_ns = per_ns / u64::from(rate.count);
        let depth_ns = interval_ns.saturating_mul(u64::from(rate.burst.max(1)));
        let due_ns = self.due_ns.max(now.0).saturating_add(interval_ns);
        let room = due_ns - now.0 <= depth_ns;
        if room {
            self.due_ns = due_ns;
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let rate = Rate::new(10, Duration::from_secs(1), 3);
        let mut bucket = Bucket::default();
        let mut taken = |ms: u64| bucket.take(Mono(ms * 1_000_000), rate);
        assert_eq!(
            [taken(0), taken(0), taken(0), taken(0)],
            [true, true, true, false]
        );
        assert_eq!([taken(99), taken(100), taken(100)], [false, true, false]);
        assert_eq!(
            [taken(900), taken(900), taken(900), taken(900)],
            [true, true, true, false]
        );
    }

    #[test]
    fn a_rate_of_zero_is_no_bound() {
        let mut bucket = Bucket::default();
        assert!((0..10_000).all(|_| bucket.take(Mono(0), Rate::UNLIMITED)));
    }

    #[test]
    fn absurd_rates_do_not_overflow() {
        let rate = Rate::new(1, Duration::MAX, u32::MAX);
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            bucket.take(Mono(u64::MAX), rate);
        }
    }
}
