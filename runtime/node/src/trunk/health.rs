//! Whether a carrier answers: asked by OPTIONS, and learnt from calls.

use std::time::Duration;

use vocab::Mono;

use super::Answer;

/// OPTIONS in a row without an answer that make a trunk dead. One may be lost for other reasons.
const MISSES: u8 = 2;

/// How often a dead trunk is asked, or forgiven if it is never asked: short enough that a recovery
/// is noticed soon.
const DEAD: Duration = Duration::from_secs(10);

/// The state of a carrier's far end.
#[derive(Debug)]
pub(super) struct Health {
    /// Time between questions; zero never asks.
    every: Duration,
    alive: bool,
    misses: u8,
    asking: bool,
    at: Option<Mono>,
}

impl Health {
    pub(super) fn new(now: Mono, every: Duration) -> Self {
        Self {
            every,
            alive: true,
            misses: 0,
            asking: false,
            at: (!every.is_zero()).then_some(now),
        }
    }

    /// When it is to ask, or to forgive.
    pub(super) fn next(&self) -> Option<Mono> {
        self.at.filter(|_| !self.asking)
    }

    /// Its time has come: whether to ask.
    pub(super) fn due(&mut self) -> bool {
        debug_assert!(!self.asking, "one OPTIONS at a time");
        self.at = None;
        if self.every.is_zero() {
            self.alive = true;
            return false;
        }
        self.asking = true;
        true
    }

    pub(super) fn answered(&mut self, now: Mono, answer: &Answer) {
        self.asking = false;
        if answer.is_there() {
            (self.alive, self.misses) = (true, 0);
        } else {
            self.misses = self.misses.saturating_add(1);
            self.alive &= self.misses < MISSES;
        }
        let wait = if self.misses == 0 {
            self.every
        } else {
            self.every.min(DEAD)
        };
        self.at = Some(now + wait);
    }

    /// A call found nobody there.
    pub(super) fn failed_call(&mut self, now: Mono) {
        (self.alive, self.misses) = (false, MISSES);
        if !self.asking {
            self.at = Some(now + DEAD);
        }
    }

    /// Whether the last question had no answer.
    pub(super) fn has_missed(&self) -> bool {
        self.misses > 0
    }

    /// The server that was asked is left alone from now on; another one is asked at once.
    pub(super) fn goes_elsewhere(&mut self, now: Mono) {
        (self.alive, self.misses) = (true, 0);
        self.at = Some(now);
    }

    /// A call was answered in some way.
    pub(super) fn good_call(&mut self) {
        (self.alive, self.misses) = (true, 0);
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn answer(status: Option<u16>) -> Answer {
        Answer {
            status,
            ..Answer::default()
        }
    }

    fn ask(health: &mut Health) -> Mono {
        let at = health.next().expect("it waits");
        assert!(health.due());
        assert_eq!(health.next(), None);
        at
    }

    #[test]
    fn one_miss_is_no_death_and_two_are() {
        let mut health = Health::new(Mono(0), s(30));
        let at = ask(&mut health);
        health.answered(at, &answer(Some(200)));
        let at = ask(&mut health);
        assert_eq!(at, Mono(0) + s(30));
        health.answered(at + s(32), &answer(None));
        assert!(health.is_alive());
        let at = ask(&mut health);
        assert_eq!(at, Mono(0) + s(30 + 32 + 10));
        health.answered(at, &answer(Some(503)));
        assert!(!health.is_alive());
        // It is asked on, and the first answer of any kind brings it back.
        let at = ask(&mut health);
        health.answered(at, &answer(Some(405)));
        assert!(health.is_alive());
        assert_eq!(health.next(), Some(at + s(30)));
    }

    #[test]
    fn a_call_that_finds_nobody_is_enough() {
        let mut health = Health::new(Mono(0), s(60));
        let at = ask(&mut health);
        health.answered(at, &answer(Some(200)));
        health.failed_call(at + s(1));
        assert!(!health.is_alive());
        assert_eq!(health.next(), Some(at + s(11)));
        health.good_call();
        assert!(health.is_alive());
    }

    #[test]
    fn one_that_is_never_asked_is_forgiven() {
        let mut health = Health::new(Mono(0), Duration::ZERO);
        assert_eq!(health.next(), None);
        health.failed_call(Mono(5));
        assert!(!health.is_alive());
        assert_eq!(health.next(), Some(Mono(5) + DEAD));
        assert!(!health.due());
        assert!(health.is_alive());
        assert_eq!(health.next(), None);
    }
}
