//! Whether an engine is asked: one that fails is left alone for a while, so that callers do not wait for
//! it each time.

use std::time::Duration;

use vocab::Mono;

/// Failures in a row after which it is left alone.
const FAILURES: u32 = 3;

/// How long at first, and at most; twice as long each time it fails again.
const REST_FIRST: Duration = Duration::from_secs(10);
const REST_MAX: Duration = Duration::from_secs(300);

/// | state | failed | succeeded | asked |
/// |---|---|---|---|
/// | fine | after the third resting | | yes |
/// | resting | rests twice as long | fine | once, when the rest is over |
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    rest: Option<Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    length: Duration,
    until: Mono,
}

/// What a failure or a success changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// It is left alone from now on.
    Rests(Duration),
    /// It is asked again.
    Recovered,
}

impl Breaker {
    /// Whether it is asked now. Of those who want to while it rests one may try, when it is time.
    pub(super) fn admits(&mut self, now: Mono) -> bool {
        match &mut self.rest {
            None => true,
            Some(rest) if now < rest.until => false,
            Some(rest) => {
                // The others wait for what becomes of this one.
                rest.until = now + rest.length;
                true
            }
        }
    }

    pub(super) fn failed(&mut self, now: Mono) -> Option<Change> {
        self.failures += 1;
        let length = match self.rest {
            Some(rest) => (rest.length * 2).min(REST_MAX),
            None if self.failures < FAILURES => return None,
            None => REST_FIRST,
        };
        let new = self.rest.is_none();
        let until = now + length;
        self.rest = Some(Rest { length, until });
        new.then_some(Change::Rests(length))
    }

    pub(super) fn succeeded(&mut self) -> Option<Change> {
        self.failures = 0;
        self.rest.take().map(|_| Change::Recovered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_is_left_alone_and_asked_again_now_and_then() {
        let at = |seconds: u64| Mono(seconds * 1_000_000_000);
        let mut breaker = Breaker::default();
        for _ in 0..2 {
            assert!(breaker.admits(at(0)));
            assert_eq!(breaker.failed(at(0)), None);
        }
        assert_eq!(breaker.succeeded(), None, "not in a row");
        for _ in 0..2 {
            assert_eq!(breaker.failed(at(1)), None);
        }
        assert_eq!(breaker.failed(at(1)), Some(Change::Rests(REST_FIRST)));
        assert!(!breaker.admits(at(10)));
        assert!(breaker.admits(at(11)), "one may try");
        assert!(!breaker.admits(at(11)), "and no other");
        assert_eq!(breaker.failed(at(12)), None, "that was said");
        assert!(!breaker.admits(at(31)) && breaker.admits(at(32)));
        for _ in 0..10 {
            breaker.failed(at(40));
        }
        assert!(
            !breaker.admits(at(339)) && breaker.admits(at(340)),
            "five minutes at most"
        );
        assert_eq!(breaker.succeeded(), Some(Change::Recovered));
        assert!(breaker.admits(at(341)) && breaker.admits(at(341)));
    }
}
