//! Legs that go on under another name: transfers, seen from the engine.

use std::collections::VecDeque;

use media::StreamParams;
use vocab::call::{Cause, Event};
use vocab::hearing::Listening;
use vocab::recording::SegmentEnd;
use vocab::{CallId, LegId, Now, SessionId};

use super::Engine;
use super::command::respond;
use crate::WorkerId;
use crate::keys::Keys;
use crate::leg::{Ending, Leg, Session, Where, Wish};
use crate::limits::CLOSE_WAIT;
use crate::outcome::{ELSEWHERE, reason_of, status_of};
use crate::ports::Family;
use crate::timer::Timer;

impl Engine {
    /// Gives an answered leg another name.
    pub(super) fn go_on_as(&mut self, now: Now, from: LegId, to: LegId, with: Option<LegId>) {
        let up = match self.legs.get(&from) {
            None => return,
            Some(leg) => matches!(leg, Leg::Up { .. }),
        };
        let there = self.legs.get(&to);
        let gone = matches!(there, Some(Leg::Ending { .. }));
        let replaces = there.is_some();
        let wish = Wish::Move { to, replaces, with };
        if !up || gone || from == to || !self.is_there(with) {
            return self.denied(from, wish, 481);
        }
        let session = self.legs.get(&from).and_then(Leg::session);
        let on_its_way = session.is_some_and(Session::is_moving);
        if on_its_way || self.is_far_from(from, to) {
            self.wish(now, from, wish);
        } else {
            self.moved(now, from, to);
        }
    }

    /// The leg's session is on another worker than those of the call it is to go on in.
    pub(super) fn is_far_from(&self, from: LegId, to: LegId) -> bool {
        let here = self.legs.get(&from).and_then(Leg::session);
        let there = self.worker_beside(to.call, from);
        here.zip(there)
            .is_some_and(|(session, worker)| session.worker != worker)
    }

    /// The worker of a call's other legs.
    fn worker_beside(&self, call: CallId, but: LegId) -> Option<WorkerId> {
        let mut others = self
            .legs
            .range(LegId::all_of(call))
            .filter(|(leg, _)| **leg != but);
        others.find_map(|(_, leg)| leg.session().map(|session| session.worker))
    }

    /// A session for a leg on the worker of the call it is to go on in.
    pub(super) fn new_place(&mut self, from: LegId, to: LegId) -> Option<Where> {
        let worker = self.worker_beside(to.call, from)?;
        let session = self.legs.get(&from).and_then(Leg::session)?;
        let family = Family::of(session.local.ip());
        let local = self.ports.take_on(worker, family)?;
        Some((self.open(from, worker, local), worker, local))
    }

    /// The far end of a leg has come to its new session, and the leg goes on under its new name,
    /// unless that is not to be had any more: then the far end is asked to come back to the session
    /// it had, which goes on with all that it does.
    pub(super) fn arrived(
        &mut self,
        now: Now,
        from: LegId,
        (id, worker, local): Where,
        params: StreamParams,
        wish: Wish,
    ) {
        let Wish::Move { to, replaces, with } = wish else {
            return;
        };
        if !self.sessions.contains_key(&id) {
            // Its worker has given it up, and the far end with it.
            self.denied(from, wish, 503);
            return self.drop_leg(now, from);
        }
        if !self.finds(worker, from, to, replaces) || !self.is_there(with) {
            self.close(now, id);
            return self.begin(now, from, Wish::Back);
        }
        self.stop_doing(from);
        self.end_recording(from, SegmentEnd::Moved);
        let Some(session) = self.legs.get_mut(&from).and_then(Leg::session_mut) else {
            return;
        };
        let old = session.id;
        (session.id, session.worker, session.local) = (id, worker, local);
        session.agreed = Some(params.clone());
        // Nobody listens to the new one yet.
        session.listened = Listening::default();
        session.owed.retain(|id| self.sessions.contains_key(id));
        session.owed.push(old);
        let session = id;
        self.media(worker, media::Command::Configure { session, params });
        self.perk_up(from);
        self.close(now, old);
        self.moved(now, from, to);
    }

    /// Whether a leg that has come to another worker finds there what it came for. A call that all
    /// have left is none.
    fn finds(&self, worker: WorkerId, from: LegId, to: LegId, replaces: bool) -> bool {
        let there = self.legs.get(&to);
        let ends = matches!(there, Some(Leg::Ending { .. }));
        !ends && there.is_some() == replaces && self.worker_beside(to.call, from) == Some(worker)
    }

    /// Whether the one for whom a leg moves is answered and has not ended, if it is for one.
    pub(super) fn is_there(&self, with: Option<LegId>) -> bool {
        with.is_none_or(|leg| matches!(self.legs.get(&leg), Some(Leg::Up { .. })))
    }

    /// Ends what a leg does, and its bridge or its part in a conference, while its session goes on.
    fn stop_doing(&mut self, leg: LegId) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) else {
            return;
        };
        let (id, worker) = (session.id, session.worker);
        let activity = std::mem::take(&mut session.activity);
        self.cut_short(leg, id, worker, activity);
        let track = self.sessions.get(&id);
        let plays = track.map(|track| track.asked.plays.clone());
        for (_, play) in plays.unwrap_or_default() {
            self.media(worker, media::Command::Stop { session: id, play });
        }
        self.unbridge(leg);
    }

    /// The leg goes on under its new name.
    pub(super) fn moved(&mut self, now: Now, from: LegId, to: LegId) {
        self.answer_refer(from, 603);
        self.stop_doing(from);
        for leg in [from, to] {
            self.end_recording(leg, SegmentEnd::Moved);
        }
        let seat = self.vacate(now, to);
        let Some(Leg::Up {
            dialog,
            mut session,
        }) = self.legs.remove(&from)
        else {
            return;
        };
        let mut waits = vec![session.id];
        waits.append(&mut session.owed);
        (session.held, session.passed_on) = (false, None);
        session.keys = Keys::default();
        let wishes = std::mem::take(&mut session.wishes).into_iter();
        let (moves, stay): (VecDeque<Wish>, _) =
            wishes.partition(|wish| matches!(wish, Wish::Move { .. }));
        session.wishes = stay;
        let answers = seat.as_ref().is_some_and(|seat| !seat.up);
        if let Some(old) = seat.and_then(|seat| seat.session) {
            waits.push(old.id);
            self.take_seat(to, &mut session, &old);
            if let Some(track) = self.sessions.get_mut(&old.id) {
                track.leg = from;
            }
            self.close(now, old.id);
        }
        if let Some(track) = self.sessions.get_mut(&session.id) {
            (track.leg, track.carries) = (to, to);
        }
        self.dialogs.insert(dialog, to);
        self.legs.insert(to, Leg::Up { dialog, session });
        self.renew_part(to);
        for wish in moves {
            self.denied(from, wish, 481);
        }
        self.timers.clear_all(from);
        let end = Ending::near(Cause::Transferred, None);
        self.legs.insert(from, Leg::Ending { waits, end });
        self.event(Event::Moved { from, to });
        if answers {
            self.event(Event::Answered { leg: to });
        }
        self.note_hold(to);
        self.timers.set(from, Timer::Close, now.mono + CLOSE_WAIT);
        self.finish_if_quiet(from);
        self.next_wish(now, to);
    }

    /// Sends away the far end of a leg whose place is taken, and gives what it leaves: its session,
    /// and whether it was up.
    fn vacate(&mut self, now: Now, to: LegId) -> Option<Seat> {
        self.answer_refer(to, 603);
        self.give_up_wishes(now, to);
        let leg = self.legs.get_mut(&to)?;
        if let Some(session) = leg.session_mut() {
            let activity = std::mem::take(&mut session.activity);
            self.stop_activity(to, activity);
        }
        let leg = self.legs.remove(&to)?;
        self.timers.clear_all(to);
        for &dialog in leg.dialogs() {
            if leg.unanswered().is_some() {
                self.dialogs.remove(&dialog);
                let status = status_of(Cause::Transferred);
                self.actions.push_back(respond(dialog, status));
            } else if matches!(leg, Leg::Dialing { .. }) {
                self.leave(dialog, ELSEWHERE);
            } else {
                self.leave(dialog, reason_of(Cause::Transferred));
            }
        }
        Some(Seat {
            up: matches!(leg, Leg::Up { .. }),
            session: leg.into_session(),
        })
    }

    /// Puts a session where another was: into its bridge or conference. Who
    /// records it begins anew with who sits there now.
    fn take_seat(&mut self, to: LegId, session: &mut Session, old: &Session) {
        let (id, worker) = (session.id, session.worker);
        session.held = old.held;
        session.peer = old.peer;
        let owes = |id: &SessionId| {
            let track = self.sessions.get(id);
            track.is_some_and(|track| track.asked.of(to))
        };
        let owed = old.owed.iter().copied().chain([old.id]);
        session.owed = owed.filter(owes).collect();
        if !self.sessions.contains_key(&old.id) {
            return;
        }
        let peer = old.peer.and_then(|peer| self.legs.get(&peer));
        if let Some(peer) = peer.and_then(Leg::session).map(|peer| peer.id) {
            self.media(worker, media::Command::Unbridge { session: old.id });
            self.media(worker, media::Command::Bridge { a: id, b: peer });
        }
        self.sit_in(to, old.id, id);
    }

    /// What a leg says is recorded no more.
    pub(super) fn end_recording(&mut self, leg: LegId, end: SegmentEnd) {
        let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
        let Some(session) = session.filter(|session| session.recorded) else {
            return;
        };
        session.recorded = false;
        let (worker, session) = (session.worker, session.id);
        self.media(worker, media::Command::EndRecording { session, end });
    }
}

/// What a leg leaves to the one that takes its place.
struct Seat {
    up: bool,
    session: Option<Session>,
}
