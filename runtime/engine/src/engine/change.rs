//! Offers of ours within a call: one at a time, the others wait.

use std::collections::VecDeque;

use media::negotiate;
use media::sdp::Description;
use vocab::call::Event;
use vocab::{LegId, Now};

use super::Engine;
use super::negotiation::{For, deafen};
use crate::leg::{Change, Leg, Session, Wish};
use crate::limits::{CODECS_MAX, WISHES_MAX};

impl Engine {
    /// A new offer to the far end of a leg.
    pub(super) fn offer_anew(&mut self, now: Now, leg: LegId, mut codecs: Vec<String>, hold: bool) {
        codecs.truncate(CODECS_MAX);
        let wish = Wish::Reoffer { codecs, hold };
        match self.legs.get(&leg) {
            Some(Leg::Up { .. }) => self.wish(now, leg, wish),
            // It is over, or not yet at the point where there is something to change.
            Some(Leg::Ending { .. }) => self.denied(leg, wish, 481),
            Some(
                Leg::Offered { .. }
                | Leg::Early { .. }
                | Leg::Accepting { .. }
                | Leg::Dialing { .. },
            ) => self.denied(leg, wish, 491),
            None => {}
        }
    }

    /// Begins what an answered leg is to ask of its far end, once what it asked before is answered.
    pub(super) fn wish(&mut self, now: Now, leg: LegId, wish: Wish) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) else {
            return;
        };
        if session.change.is_none() {
            self.begin(now, leg, wish);
        } else if session.wishes.len() < WISHES_MAX {
            session.wishes.push_back(wish);
        } else {
            self.denied(leg, wish, 491);
        }
    }

    pub(super) fn begin(&mut self, now: Now, leg: LegId, wish: Wish) {
        let Some(Leg::Up { dialog, session }) = self.legs.get(&leg) else {
            return self.denied(leg, wish, 481);
        };
        let (dialog, origin) = (*dialog, session.origin);
        if let Wish::Move { to, replaces, with } = wish
            && !self.is_far_from(leg, to)
        {
            let there = self.legs.get(&to);
            let gone = matches!(there, Some(Leg::Ending { .. })) || there.is_some() != replaces;
            return if gone || leg == to || !self.is_there(with) {
                self.denied(leg, wish, 481);
            } else {
                self.moved(now, leg, to);
            };
        }
        // One number is left for the answer to an offer of theirs that ours has to wait for.
        let version = session.version + 2;
        let (codecs, hold) = match &wish {
            Wish::Reoffer { codecs, hold } => (codecs.clone(), *hold),
            Wish::Move { .. } | Wish::Back => (session.codecs.clone(), session.hold),
        };
        let (local, own) = (session.local, session.id);
        let (mut whom, is_browser) = (self.whom(session, session.worker), session.is_browser());
        let (place, local) = match &wish {
            Wish::Reoffer { .. } | Wish::Back => (None, local),
            Wish::Move { to, .. } => match self.new_place(leg, *to) {
                Some(place) => (Some(place), place.2),
                None => return self.denied(leg, wish, 503),
            },
        };
        let id = place.map_or(own, |place| place.0);
        if let Some((_, worker, _)) = place.filter(|_| is_browser) {
            whom = For::Browser(worker);
        }
        let capabilities = self.offering(leg, &codecs, whom, Some(id));
        let mut description = negotiate::offer(&capabilities, local, origin, version);
        if hold {
            deafen(&mut description);
        }
        let body = description.to_bytes();
        let change = Change {
            wish,
            description,
            version,
            place,
        };
        if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) {
            session.change = Some(change);
        }
        self.actions.push_back(sip::Action::Reinvite {
            dialog,
            headers: Vec::new(),
            body,
        });
    }

    /// The far end has answered an offer of ours, or our refresh of the session, which nobody asked
    /// for. An answer to that which cannot be used changes nothing.
    pub(super) fn reanswered(&mut self, now: Now, leg: LegId, body: &[u8]) {
        let Some(Leg::Up { session, .. }) = self.legs.get_mut(&leg) else {
            return;
        };
        let Some(change) = session.change.take() else {
            if !body.is_empty() && self.settle_offer(leg, body).is_ok() {
                self.note_hold(leg);
            }
            return;
        };
        let answer = Description::parse(body).ok();
        let params = answer.and_then(|it| negotiate::accept(&change.description, &it).ok());
        let Some(params) = params else {
            return self.not_changed(now, leg, change, 488);
        };
        session.version = session.version.max(change.version);
        session.description = change.description;
        session.offering = false;
        match change.wish {
            Wish::Reoffer { codecs, hold } => {
                (session.codecs, session.hold) = (codecs, hold);
                session.agreed = Some(params.clone());
                let (worker, session) = (session.worker, session.id);
                self.media(worker, media::Command::Configure { session, params });
                self.event(Event::Reoffered { leg, refused: None });
                self.note_hold(leg);
                self.next_wish(now, leg);
            }
            Wish::Move { .. } => {
                let place = change.place.expect("who moves gets a new place");
                self.arrived(now, leg, place, params, change.wish);
            }
            Wish::Back => {
                session.agreed = Some(params.clone());
                let (worker, session) = (session.worker, session.id);
                self.media(worker, media::Command::Configure { session, params });
                self.note_hold(leg);
                self.denied(leg, change.wish, 481);
                self.next_wish(now, leg);
            }
        }
    }

    /// The far end has refused an offer of ours: everything stays as it was.
    pub(super) fn not_reanswered(&mut self, now: Now, leg: LegId, status: u16) {
        let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
        if let Some(change) = session.and_then(|session| session.change.take()) {
            self.not_changed(now, leg, change, status);
        }
    }

    /// A change that did not come about leaves all as it was; but one who does not come back sends
    /// its audio to where nobody is.
    fn not_changed(&mut self, now: Now, leg: LegId, change: Change, status: u16) {
        let lost = matches!(change.wish, Wish::Back);
        self.undone(now, leg, change, status);
        if lost {
            return self.drop_leg(now, leg);
        }
        self.next_wish(now, leg);
    }

    /// What waited for the end of the last change.
    pub(super) fn next_wish(&mut self, now: Now, leg: LegId) {
        // A wish that comes to nothing at once leaves the turn to the next.
        while let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) {
            if session.change.is_some() {
                return;
            }
            let Some(wish) = session.wishes.pop_front() else {
                return;
            };
            self.begin(now, leg, wish);
        }
    }

    fn undone(&mut self, now: Now, leg: LegId, change: Change, status: u16) {
        if let Some((session, ..)) = change.place {
            self.close(now, session);
        }
        self.denied(leg, change.wish, status);
    }

    /// Answers a wish that came to nothing.
    pub(super) fn denied(&mut self, leg: LegId, wish: Wish, status: u16) {
        match wish {
            Wish::Reoffer { .. } => self.event(Event::Reoffered {
                leg,
                refused: Some(status),
            }),
            Wish::Move { .. } | Wish::Back => {
                self.event(Event::Moved { from: leg, to: leg });
            }
        }
    }

    /// The far end is about to be another, or none: what was asked of it comes to nothing.
    pub(super) fn give_up_wishes(&mut self, now: Now, leg: LegId) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) else {
            return;
        };
        let change = session.change.take();
        let Session { wishes, .. } = session;
        let wishes: VecDeque<Wish> = std::mem::take(wishes);
        let referring = std::mem::take(&mut session.referring);
        session.refer_asked = false;
        if let Some(change) = change {
            self.undone(now, leg, change, 487);
        }
        for wish in wishes {
            self.denied(leg, wish, 487);
        }
        if referring {
            self.event(Event::Referred {
                leg,
                status: None,
                over: true,
            });
        }
    }
}
