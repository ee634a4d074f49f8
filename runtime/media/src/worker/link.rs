//! Sessions that talk with each other.

use vocab::{Now, SessionId};

use crate::session::Session;
use crate::worker::Worker;

impl Worker {
    pub(super) fn bridge(&mut self, now: Now, a: SessionId, b: SessionId) {
        let both = self.sessions.place(a).and(self.sessions.place(b));
        if a == b || both.is_none() {
            self.counts.refused += 1;
            return;
        }
        self.unbridge(a);
        self.unbridge(b);
        let joined = self.step(now, a, |it, step| it.join(step, b)).is_some()
            && self.step(now, b, |it, step| it.join(step, a)).is_some();
        if joined {
            self.refresh_through(a, b);
        }
    }

    pub(super) fn unbridge(&mut self, session: SessionId) {
        let Some(place) = self.sessions.place(session) else {
            self.counts.refused += 1;
            return;
        };
        let other = self.sessions.at(place).bridge();
        self.sessions.at_mut(place).part();
        if let Some(other) = other.and_then(|other| self.sessions.place(other)) {
            self.sessions.at_mut(other).part();
        }
    }

    /// Decides anew whether packets go through between two sides.
    pub(super) fn refresh_through(&mut self, a: SessionId, b: SessionId) -> bool {
        let (Some(a), Some(b)) = (self.sessions.place(a), self.sessions.place(b)) else {
            return false;
        };
        let through = Session::can_go_through(self.sessions.at(a), self.sessions.at(b));
        for side in self.sessions.pair_mut(a, b) {
            side.set_through(through);
        }
        through
    }
}
