//! Transfers that a far end asks for, and those that we ask a far end for (RFC 3515).

use sip::DialogId;
use sip::message::{Replaces, Uri};
use vocab::call::Event;
use vocab::{LegId, Now, Pii};

use super::Engine;
use crate::leg::Leg;
use crate::limits::REFER_ANSWER_WAIT;
use crate::timer::Timer;

impl Engine {
    /// The far end wants somebody else called. The node decides.
    pub(super) fn refer_asked(
        &mut self,
        now: Now,
        leg: LegId,
        dialog: DialogId,
        to: String,
        replaces: Option<&Replaces>,
    ) {
        let Some(Leg::Up { session, .. }) = self.legs.get_mut(&leg) else {
            // The call is not up before our 2xx is acknowledged.
            return self.answer_refer_of(dialog, 480);
        };
        session.refer_asked = true;
        let at = now.mono + REFER_ANSWER_WAIT;
        self.timers.set(leg, Timer::Refer, at);
        let place = replaces
            .and_then(|replaces| self.sip.named(replaces))
            .and_then(|dialog| self.dialogs.get(&dialog).copied());
        self.event(Event::ReferAsked {
            leg,
            to: Pii::new(to),
            replaces: place,
            elsewhere: replaces.is_some() && place.is_none(),
        });
    }

    /// Answers the REFER that waits, if there is one.
    pub(super) fn answer_refer(&mut self, leg: LegId, status: u16) {
        self.timers.clear(leg, Timer::Refer);
        if let Some(Leg::Up { dialog, session }) = self.legs.get_mut(&leg)
            && std::mem::take(&mut session.refer_asked)
        {
            let dialog = *dialog;
            self.answer_refer_of(dialog, status);
        }
    }

    fn answer_refer_of(&mut self, dialog: DialogId, status: u16) {
        self.actions
            .push_back(sip::Action::AnswerRefer { dialog, status });
    }

    /// Tells how far a REFER is that was accepted.
    pub(super) fn tell_refer(&mut self, leg: LegId, status: u16) {
        if let Some(&Leg::Up { dialog, .. }) = self.legs.get(&leg) {
            self.actions
                .push_back(sip::Action::Notify { dialog, status });
        }
    }

    /// Asks the far end to call somebody else.
    pub(super) fn refer(&mut self, leg: LegId, to: Pii<String>) {
        let refused = match self.legs.get(&leg) {
            None => return,
            Some(Leg::Up { session, .. }) if session.referring => Some(491),
            Some(Leg::Up { .. }) => {
                let uri = Uri::parse(to.reveal());
                (!matches!(uri, Ok(Uri::Sip(_)))).then_some(400)
            }
            Some(Leg::Ending { .. }) => Some(481),
            Some(
                Leg::Offered { .. }
                | Leg::Early { .. }
                | Leg::Accepting { .. }
                | Leg::Dialing { .. },
            ) => Some(491),
        };
        if let Some(status) = refused {
            let (status, over) = (Some(status), true);
            return self.event(Event::Referred { leg, status, over });
        }
        if let Some(Leg::Up { dialog, session }) = self.legs.get_mut(&leg) {
            session.referring = true;
            self.actions.push_back(sip::Action::Refer {
                dialog: *dialog,
                to: to.into_inner(),
                headers: Vec::new(),
            });
        }
    }

    /// How far a REFER of ours is. Its last NOTIFY may have overtaken its answer, and then nothing
    /// follows.
    pub(super) fn referred(&mut self, leg: LegId, status: Option<u16>, over: bool) {
        let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
        if let Some(session) = session.filter(|session| session.referring) {
            session.referring = !over;
            self.event(Event::Referred { leg, status, over });
        }
    }
}
