//! Sessions that talk with each other.

use vocab::call::Beep;
use vocab::{ConferenceId, Now, SessionId};

use crate::Part;
use crate::limits::CONFERENCE_MEMBERS_MAX;
use crate::session::{Link, Session};
use crate::worker::Worker;
use crate::worker::conference::Conference;

impl Worker {
    pub(super) fn bridge(&mut self, now: Now, a: SessionId, b: SessionId) {
        let both = self.sessions.place(a).and(self.sessions.place(b));
        if a == b || both.is_none() {
            self.counts.refused += 1;
            return;
        }
        self.unbridge(a);
        self.unbridge(b);
        let mut link = |side, other| {
            let linked = self.step(now, side, |it, step| it.link_to(step, Link::Bridge(other)));
            linked.is_some()
        };
        if link(a, b) && link(b, a) {
            self.refresh_through(a, b);
        }
    }

    pub(super) fn join(&mut self, now: Now, session: SessionId, id: ConferenceId) {
        let Some(place) = self.sessions.place(session) else {
            self.counts.refused += 1;
            return;
        };
        let link = Link::Conference(id);
        if self.sessions.at(place).link() == link {
            return;
        }
        let members = self.conferences.get(&id).map_or(0, Conference::len);
        if members >= CONFERENCE_MEMBERS_MAX {
            self.counts.refused += 1;
            return;
        }
        self.unbridge(session);
        self.conferences.entry(id).or_default().join(session);
        self.step(now, session, |it, step| it.link_to(step, link));
    }

    pub(super) fn set_part(&mut self, now: Now, session: SessionId, part: Part) {
        self.step(now, session, |it, _| it.take_part(part));
        self.look_through(session);
    }

    pub(super) fn beep(&mut self, now: Now, session: SessionId, beep: Beep) {
        self.step(now, session, |it, _| it.beep(beep));
        self.look_through(session);
    }

    /// What went through may not any more.
    fn look_through(&mut self, session: SessionId) {
        let place = self.sessions.place(session);
        if let Some(Link::Bridge(other)) = place.map(|it| self.sessions.at(it).link()) {
            self.refresh_through(session, other);
        }
    }

    pub(super) fn unbridge(&mut self, session: SessionId) {
        let Some(place) = self.sessions.place(session) else {
            self.counts.refused += 1;
            return;
        };
        let link = self.sessions.at(place).link();
        self.sessions.at_mut(place).part();
        self.unlink(session, link);
    }

    /// A session's link is over: whoever was at its other end knows.
    pub(super) fn unlink(&mut self, session: SessionId, link: Link) {
        match link {
            Link::Nobody => {}
            Link::Bridge(other) => {
                // After a panic one side may be linked without the other.
                if let Some(place) = self.sessions.place(other)
                    && self.sessions.at(place).link() == Link::Bridge(session)
                {
                    self.sessions.at_mut(place).part();
                }
            }
            Link::Conference(id) => {
                let conference = self.conferences.get_mut(&id);
                let conference = conference.expect("a conference lasts as long as its members");
                conference.leave(session);
                if conference.len() == 0 {
                    self.conferences.remove(&id);
                }
            }
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
