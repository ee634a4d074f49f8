//! How loud legs are to those they talk with.

use vocab::LegId;
use vocab::call::Part;

use super::Engine;
use crate::leg::Leg;

impl Engine {
    /// Changes the part of a leg.
    pub(super) fn set_part(&mut self, leg: LegId, part: Part) {
        if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) {
            session.part = part;
            self.tell_part(leg);
        }
    }

    /// A leg has another session, which begins with the default. Those for whom it is named say it
    /// anew.
    pub(super) fn renew_part(&mut self, leg: LegId) {
        if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut)
            && std::mem::take(&mut session.part) != Part::default()
        {
            self.tell_part(leg);
        }
        let named = |part: Part| [part.coaches, part.keys_to].contains(&Some(leg));
        let others = self.legs.range(LegId::all_of(leg.call));
        let others = others.filter(|(_, it)| it.session().is_some_and(|it| named(it.part)));
        let others: Vec<LegId> = others.map(|(leg, _)| *leg).collect();
        for other in others {
            self.tell_part(other);
        }
    }

    fn tell_part(&mut self, leg: LegId) {
        let Some(session) = self.legs.get(&leg).and_then(Leg::session) else {
            return;
        };
        let (id, worker, part) = (session.id, session.worker, session.part);
        if !self.sessions.contains_key(&id) {
            return;
        }
        let session_of = |leg: LegId| self.legs.get(&leg)?.session().map(|session| session.id);
        let coaches = part.coaches.and_then(session_of);
        // Who speaks to one alone who is not there is not to be heard by all.
        let nobody = part.coaches.is_some() && coaches.is_none();
        let part = media::Part {
            muted: part.muted || nobody,
            deaf: part.deaf,
            said_db: part.said_db,
            heard_db: part.heard_db,
            coaches,
            keys_to: part.keys_to.and_then(session_of),
            screened: part.screened,
        };
        let session = id;
        self.media(worker, media::Command::SetPart { session, part });
    }
}
