//! Our registration with a carrier: refreshed in time, and tried again with patience.

use std::time::Duration;

use vocab::{Mono, Rng};

use super::Answer;

/// Waits after failures: the first, doubled each time, and the longest (RFC 5626 §4.5).
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(1_800));

/// The first attempt comes within this time, so that the trunks of a node do not begin at once.
const SPREAD_MS: u64 = 1_000;

/// Shortest and longest time a carrier may give.
const GRANTED: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(86_400));

/// A registration.
///
/// | state | waits for | next |
/// |---|---|---|
/// | `Waiting` | the moment of the next REGISTER | `Asking` |
/// | `Asking` | its answer; the transaction gives up after 32 s | `Waiting` |
#[derive(Debug)]
pub(super) struct Registration {
    state: State,
    /// Asked for.
    expires: Duration,
    good_until: Option<Mono>,
    failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting { until: Mono },
    Asking,
}

impl Registration {
    pub(super) fn new(now: Mono, expires: Duration, rng: &mut Rng) -> Self {
        let until = now + Duration::from_millis(rng.below(SPREAD_MS));
        Self {
            state: State::Waiting { until },
            expires,
            good_until: None,
            failures: 0,
        }
    }

    /// When it is to ask.
    pub(super) fn next(&self) -> Option<Mono> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Asking => None,
        }
    }

    /// Begins to ask; gives the `Expires` to ask for.
    pub(super) fn ask(&mut self) -> Duration {
        debug_assert_ne!(self.state, State::Asking, "one REGISTER at a time");
        self.state = State::Asking;
        self.expires
    }

    /// When the carrier forgets us.
    pub(super) fn lapse(&self) -> Option<Mono> {
        self.good_until
    }

    /// The carrier has forgotten us.
    pub(super) fn lapsed(&mut self) {
        self.good_until = None;
    }

    /// The carrier knows where we are.
    pub(super) fn is_good(&self, now: Mono) -> bool {
        self.good_until.is_some_and(|until| now < until)
    }

    pub(super) fn answered(&mut self, now: Mono, answer: &Answer, rng: &mut Rng) {
        let wait = match answer.status {
            Some(200..=299) => {
                self.failures = 0;
                let granted = answer.times.expires.unwrap_or(self.expires);
                let granted = granted.clamp(GRANTED.0, GRANTED.1);
                self.good_until = Some(now + granted);
                // Between 70 and 85 %: early enough to fail twice, and not with everybody else.
                granted * (70 + u32::try_from(rng.below(16)).expect("small")) / 100
            }
            // RFC 3261 §10.2.8: once more, with what is long enough for them.
            Some(423)
                if answer
                    .times
                    .min_expires
                    .is_some_and(|least| least > self.expires) =>
            {
                let least = answer.times.min_expires.expect("checked");
                self.expires = least.min(GRANTED.1);
                Duration::ZERO
            }
            Some(_) | None => self.back_off(answer, rng),
        };
        self.state = State::Waiting { until: now + wait };
    }

    /// The carrier is back: there is no reason to be patient any more.
    pub(super) fn hurry(&mut self, now: Mono, rng: &mut Rng) {
        let soon = now + Duration::from_millis(rng.below(SPREAD_MS));
        if self.is_good(now) {
            return;
        }
        if let State::Waiting { until } = &mut self.state {
            *until = (*until).min(soon);
        }
    }

    fn back_off(&mut self, answer: &Answer, rng: &mut Rng) -> Duration {
        let (first, most) = BACK_OFF;
        let longest = first.saturating_mul(1 << self.failures.min(16)).min(most);
        self.failures = self.failures.saturating_add(1);
        let share = 50 + u32::try_from(rng.below(51)).expect("small");
        let wait = longest * share / 100;
        let asked = answer.times.retry_after.unwrap_or_default();
        wait.max(asked.min(GRANTED.1))
    }
}

#[cfg(test)]
mod tests {
    use sip::Times;

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn with(status: u16, times: Times) -> Answer {
        Answer {
            status: Some(status),
            times,
        }
    }

    fn status(status: u16) -> Answer {
        with(status, Times::default())
    }

    /// Asks at its time; gives the time and what was asked for.
    fn ask(registration: &mut Registration) -> (Mono, Duration) {
        let at = registration.next().expect("it waits");
        (at, registration.ask())
    }

    #[test]
    fn it_is_refreshed_before_it_ends() {
        let mut rng = Rng::from_u64(1);
        let mut it = Registration::new(Mono(0), s(600), &mut rng);
        let (mut at, asked) = ask(&mut it);
        assert_eq!((asked, it.is_good(at), it.next()), (s(600), false, None));
        for _ in 0..50 {
            let granted = with(
                200,
                Times {
                    expires: Some(s(300)),
                    ..Times::default()
                },
            );
            it.answered(at, &granted, &mut rng);
            let (next, _) = ask(&mut it);
            assert!((s(210)..=s(255)).contains(&next.since(at)), "{next:?}");
            assert!(it.is_good(at + s(299)) && !it.is_good(at + s(300)));
            at = next;
        }
    }

    #[test]
    fn failures_are_met_with_patience() {
        let mut rng = Rng::from_u64(2);
        let mut it = Registration::new(Mono(0), s(600), &mut rng);
        let (mut at, _) = ask(&mut it);
        for longest in [30, 60, 120, 240, 480, 960, 1_800, 1_800, 1_800] {
            it.answered(at, &Answer::default(), &mut rng);
            let (next, _) = ask(&mut it);
            let wait = next.since(at);
            assert!(wait >= s(longest) / 2 && wait <= s(longest), "{wait:?}");
            at = next;
        }
        let asked = with(
            503,
            Times {
                retry_after: Some(s(7_200)),
                ..Times::default()
            },
        );
        it.answered(at, &asked, &mut rng);
        let (next, _) = ask(&mut it);
        assert_eq!(next.since(at), s(7_200));
        // One good answer, and the next failure is the first again.
        it.answered(next, &status(200), &mut rng);
        let (at, _) = ask(&mut it);
        it.answered(at, &status(403), &mut rng);
        assert!(it.next().expect("it waits").since(at) <= s(30));
    }

    #[test]
    fn too_brief_is_asked_again_at_once_and_once() {
        let mut rng = Rng::from_u64(3);
        let mut it = Registration::new(Mono(0), s(60), &mut rng);
        let (at, _) = ask(&mut it);
        let brief = with(
            423,
            Times {
                min_expires: Some(s(1_800)),
                ..Times::default()
            },
        );
        it.answered(at, &brief, &mut rng);
        assert_eq!(ask(&mut it), (at, s(1_800)));
        it.answered(at, &brief, &mut rng);
        assert!(it.next().expect("it waits") > at);
    }
}
