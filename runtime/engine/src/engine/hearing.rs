//! What legs are listened to for, and when.

use vocab::LegId;
use vocab::call::Event;
use vocab::hearing::{Answerer, Hearing, Listening};

use super::Engine;
use crate::leg::Leg;

impl Engine {
    /// A leg is listened to for something else from now on.
    pub(super) fn listen(&mut self, leg: LegId, listening: Listening) {
        if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) {
            session.listening = listening;
            self.perk_up(leg);
        }
    }

    /// Something was heard. Who answers is told once: nobody listens for it any more, wherever the leg
    /// goes.
    pub(super) fn heard(&mut self, leg: LegId, hearing: Hearing) {
        let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
        if let Some(session) = session {
            let message = session
                .listening
                .answerer
                .is_some_and(|it| it.message.is_some());
            let over = match &hearing {
                Hearing::Signal(_) => false,
                Hearing::Answerer(who) => !(message && who.answerer == Answerer::Machine),
                Hearing::MessageEnded(_) => true,
            };
            if over {
                session.listening.answerer = None;
                // Its ear is closed now.
                session.listened = Listening::default();
            }
        }
        self.event(Event::Heard { leg, hearing });
        self.perk_up(leg);
    }

    /// Listens to a leg as it is now: before its answer for signals, and from then on for who answers.
    /// Asked for at the moment when either begins.
    pub(super) fn perk_up(&mut self, leg: LegId) {
        let (session, up) = match self.legs.get(&leg) {
            Some(Leg::Up { session, .. }) => (session, true),
            Some(Leg::Dialing { dialing, session }) if dialing.early.is_some() => (session, false),
            Some(
                Leg::Offered { .. }
                | Leg::Early { .. }
                | Leg::Accepting { .. }
                | Leg::Dialing { .. }
                | Leg::Ending { .. },
            )
            | None => return,
        };
        let wanted = session.listening;
        let now = Listening {
            progress: if up { wanted.signals } else { wanted.progress },
            signals: false,
            answerer: wanted.answerer.filter(|_| up),
        };
        let (id, worker, before) = (session.id, session.worker, session.listened);
        if now == before || !self.sessions.contains_key(&id) {
            return;
        }
        if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) {
            session.listened = now;
        }
        let (session, listening) = (id, now);
        self.media(worker, media::Command::Listen { session, listening });
    }
}
