//! How legs and sessions end.

use sip::DialogId;
use vocab::call::{Cause, Event};
use vocab::{LegId, Now, SessionId};

use super::Engine;
use crate::leg::{Ending, Leg};
use crate::limits::CLOSE_WAIT;
use crate::outcome::{q850, reason_of};

impl Engine {
    /// Ends a leg that cannot go on, whatever its state.
    pub(super) fn drop_leg(&mut self, now: Now, leg: LegId) {
        let of_leg = self.dialogs.iter().filter(|&(_, &of)| of == leg);
        let dialogs: Vec<DialogId> = of_leg.map(|(&dialog, _)| dialog).collect();
        for dialog in dialogs {
            self.leave(dialog, reason_of(Cause::Failed));
        }
        self.end(now, leg, Ending::near(Cause::Failed, None));
    }

    /// Ends a leg whose signalling is settled: closes its media, then reports `Ended`. One that is
    /// ending already goes on doing so: the first reason counts.
    pub(super) fn end(&mut self, now: Now, leg: LegId, end: Ending) {
        if matches!(self.legs.get(&leg), None | Some(Leg::Ending { .. })) {
            return;
        }
        self.give_up_wishes(now, leg);
        self.give_up_doing(leg, end.q850);
        let Some(old) = self.legs.remove(&leg) else {
            return;
        };
        for dialog in old.dialogs() {
            self.dialogs.remove(dialog);
        }
        self.timers.clear_all(leg);
        let mut waits = Vec::new();
        if let Some(mut session) = old.into_session() {
            self.close(now, session.id);
            waits.push(session.id);
            waits.append(&mut session.owed);
        }
        self.legs.insert(leg, Leg::Ending { waits, end });
        self.finish_if_quiet(leg);
    }

    /// Stops all that a leg does and takes it out of its bridge, whose other end is told why it
    /// will hear nothing more.
    pub(super) fn give_up_doing(&mut self, leg: LegId, q850: Option<u8>) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) else {
            return;
        };
        let (activity, peer) = (std::mem::take(&mut session.activity), session.peer.take());
        let (id, worker) = (session.id, session.worker);
        self.stop_activity(leg, activity);
        if let Some(peer) = peer {
            self.part(leg, peer, (id, worker));
            let other = self.legs.get_mut(&peer).and_then(Leg::session_mut);
            if let Some(other) = other {
                other.passed_on = q850;
            }
        }
        self.leave_conference(leg);
    }

    /// Tells a worker to close a session, unless it was told, or has closed it by itself.
    pub(super) fn close(&mut self, now: Now, session: SessionId) {
        let Some(track) = self.sessions.get_mut(&session) else {
            return;
        };
        if !std::mem::replace(&mut track.closing, true) {
            let worker = track.worker;
            self.media(worker, media::Command::Close { session });
            self.closing.set(session, (), now.mono + CLOSE_WAIT);
        }
    }

    /// A session is closed, or its worker taken for dead. What was not reported of it, and never
    /// will be, is reported now. Gives the leg it belonged to.
    pub(super) fn gone(&mut self, session: SessionId) -> Option<LegId> {
        let track = self.sessions.remove(&session)?;
        self.closing.clear_all(session);
        let mut legs = vec![track.leg];
        for (leg, play) in track.asked.plays {
            self.never_played(leg, play);
            legs.push(leg);
        }
        for (leg, recording) in track.asked.messages {
            self.never_recorded(leg, recording);
            legs.push(leg);
        }
        for leg in legs {
            self.finish_if_quiet(leg);
        }
        Some(track.leg)
    }

    /// Reports the end of a leg if its workers have reported everything.
    pub(super) fn finish_if_quiet(&mut self, leg: LegId) {
        let Some(Leg::Ending { waits, .. }) = self.legs.get(&leg) else {
            return;
        };
        let waiting = waits.iter().any(|session| {
            let track = self.sessions.get(session);
            track.is_some_and(|track| track.leg == leg || track.asked.of(leg))
        });
        if !waiting {
            self.finish(leg);
        }
    }

    /// The last that is said of a leg. What its workers did not report comes first.
    pub(super) fn finish(&mut self, leg: LegId) {
        if !matches!(self.legs.get(&leg), Some(Leg::Ending { .. })) {
            return;
        }
        let Some(Leg::Ending { waits, end }) = self.legs.remove(&leg) else {
            return;
        };
        self.timers.clear_all(leg);
        for session in waits {
            let track = self.sessions.get_mut(&session);
            let Some(asked) = track.map(|track| track.asked.take_of(leg)) else {
                continue;
            };
            for (_, play) in asked.plays {
                self.never_played(leg, play);
            }
            for (_, recording) in asked.messages {
                self.never_recorded(leg, recording);
            }
        }
        let Ending {
            cause,
            by,
            status,
            q850,
            contacts,
            retry_after,
        } = end;
        self.event(Event::Ended {
            leg,
            cause,
            by,
            status,
            q850,
            contacts,
            retry_after,
        });
    }

    /// Ends a dialog of a leg. What the other end of its bridge gave as reason is passed on.
    pub(super) fn hang_up_dialog(&mut self, dialog: DialogId, cause: Cause) {
        let leg = self.dialogs.get(&dialog).and_then(|leg| self.legs.get(leg));
        let passed_on = leg
            .and_then(Leg::session)
            .and_then(|session| session.passed_on);
        match (passed_on, cause) {
            (Some(theirs), Cause::Normal) => self.leave(dialog, &q850(theirs)),
            (Some(_) | None, _) => self.leave(dialog, reason_of(cause)),
        }
    }

    /// Ends a dialog that is no leg's any more, with a `Reason` (RFC 3326).
    pub(super) fn leave(&mut self, dialog: DialogId, reason: &str) {
        self.dialogs.remove(&dialog);
        let reason = Some(reason.to_owned());
        self.actions
            .push_back(sip::Action::Hangup { dialog, reason });
    }
}
