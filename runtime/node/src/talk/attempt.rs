//! Somebody is called for a party that waits: how it begins, and what becomes of both.

use vocab::call::{Cause, Command};
use vocab::flow::DialResult;
use vocab::record::Step;
use vocab::{CallId, LegId, Now};

use super::{Member, Noted, Place, Why, Wish};
use crate::call::Errand;
use crate::control::ControlError;
use crate::limits::{CALL_BACK, LEGS_MAX, OP_SLACK, TALK_RING};
use crate::node::Node;
use crate::ring::Ring;
use crate::wait::Wait;
use crate::way::{NoWay, Way, Ways};

impl Node {
    /// Has somebody called for a party of a call.
    ///
    /// # Errors
    /// A bound was reached; nothing has changed.
    pub(crate) fn attempt(
        &mut self,
        now: Now,
        id: CallId,
        ways: Ways,
        wish: Wish,
    ) -> Result<Vec<u16>, ControlError> {
        let call = &self.calls[&id];
        if call.leg_last >= LEGS_MAX {
            return Err(ControlError::Limit("the call has had too many legs"));
        }
        let timeout = match wish.why {
            Why::Back => CALL_BACK,
            Why::Transfer { .. }
            | Why::Refer { .. }
            | Why::Consult { .. }
            | Why::PickUp
            | Why::Target
            | Why::Add { .. } => ways.timeout(TALK_RING),
        };
        let ring = Ring {
            ways,
            // The called party sees who waits for it.
            caller: call.shown(wish.waits),
            timeout,
            whisper: Vec::new(),
            errand: Errand::Talk(wish),
        };
        let legs = self.ring(now, id, ring).map_err(|()| NoWay::Full)?;
        self.deadlines
            .set(id, Wait::Op, now.mono + timeout + OP_SLACK);
        Ok(legs)
    }

    /// Who was called has answered.
    pub(crate) fn attempt_answered(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let dial = call.talk.attempt.take().expect("the caller saw it");
        let Errand::Talk(wish) = dial.errand else {
            panic!("a talk calls for itself");
        };
        let won = dial.branches.into_iter().next();
        let won = won.expect("one has answered");
        let (n, waits) = (won.leg.n, wish.waits);
        let member = Member::new(won.user, won.party, Place::With(waits));
        call.talk.members.insert(n, member);
        if !matches!(wish.why, Why::Add { .. }) {
            call.talk.pair(waits, n);
        }
        for wait in [Wait::Op, Wait::Trying, Wait::Round] {
            self.deadlines.clear(id, wait);
        }
        match wish.why {
            Why::Transfer { .. } => {
                self.step(now, id, Noted::new(Step::Transferred, waits).with(n));
            }
            Why::Refer { by } => {
                self.step(now, id, Noted::new(Step::Transferred, waits).by(by).with(n));
                self.refer_done(id, by);
            }
            Why::Consult { .. } => {
                let call = self.calls.get_mut(&id).expect("the caller looked it up");
                call.talk.asked = Some(n);
            }
            Why::PickUp => self.picked_up(now, id, n),
            Why::Add { .. } => self.added(now, id, waits, n),
            Why::Back | Why::Target => {}
        }
        self.arrange(id);
        if wish.why == (Why::Add { beep: true }) {
            self.beep_joined(id);
        }
    }

    /// Who was called does not come.
    pub(crate) fn attempt_failed(&mut self, now: Now, id: CallId, result: DialResult) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let dial = call.talk.attempt.take().expect("the caller saw it");
        let Errand::Talk(Wish { waits, why }) = dial.errand else {
            panic!("a talk calls for itself");
        };
        for wait in [Wait::Op, Wait::Trying, Wait::Round] {
            self.deadlines.clear(id, wait);
        }
        let word = word(result);
        match why {
            Why::Transfer { back } => {
                self.step(
                    now,
                    id,
                    Noted::new(Step::TransferFailed, waits).detail(word),
                );
                self.call_back(now, id, waits, back.map(|sender| sender.user));
            }
            Why::Refer { by } => self.refer_failed(now, id, by, waits, result),
            Why::Consult { held } => {
                let call = self.calls.get_mut(&id).expect("the caller looked it up");
                call.talk.pair(waits, held);
                let noted = Noted::new(Step::ConsultEnded, held).by(waits).detail(word);
                self.step(now, id, noted);
            }
            Why::PickUp => self.not_picked_up(now, id),
            Why::Add { .. } => {
                let noted = Noted::new(Step::NotAdded, waits).detail(word);
                self.step(now, id, noted);
            }
            Why::Back | Why::Target => self.last_words(now, id, waits),
        }
        self.arrange(id);
    }

    /// Calls whoever sent a party away, since nobody else takes it; without anybody to call, it
    /// hears the announcement.
    pub(crate) fn call_back(&mut self, now: Now, id: CallId, waits: u16, back: Option<String>) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.talk.put(waits, Place::Awaiting);
        let user = back.filter(|user| self.registered(user));
        let Some(user) = user else {
            return self.last_words(now, id, waits);
        };
        let wish = Wish {
            waits,
            why: Why::Back,
        };
        match self.attempt(now, id, Ways::One(Way::Phone(user)), wish) {
            Ok(legs) => {
                let noted = Noted::new(Step::CalledBack, waits).with(legs[0]);
                self.step(now, id, noted);
            }
            Err(_) => self.last_words(now, id, waits),
        }
    }

    /// A party hears the announcement of the call's route and is hung up then.
    pub(crate) fn last_words(&mut self, now: Now, id: CallId, n: u16) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.talk.put(n, Place::Last);
        let clip = call.announcement().unwrap_or(&self.tones.busy);
        let (announcement, lasting) = (clip.name.to_string(), clip.duration());
        let kind = vocab::record::CallEventKind::Fallback { announcement };
        self.journal.note(call, now.wall, kind);
        self.deadlines
            .set(id, Wait::Op, now.mono + lasting + OP_SLACK);
    }

    /// The attempt is called off.
    pub(crate) fn cancel_attempt(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if let Some(dial) = call.talk.attempt.take() {
            self.leave_dialed(now, id, &dial, Cause::Cancelled);
            self.deadlines.clear(id, Wait::Op);
        }
    }

    /// A deadline of the talk: the attempt takes too long, or the announcement never ended.
    pub(crate) fn talk_timeout(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if let Some(dial) = &mut call.talk.attempt {
            let branches = std::mem::take(&mut dial.branches);
            self.dismiss(now, id, branches, Cause::NoAnswer);
            return self.attempt_failed(now, id, DialResult::NoAnswer);
        }
        let last = |n: &u16| call.talk.place(*n) == Some(Place::Last);
        let last: Vec<u16> = call.talk.members.keys().copied().filter(last).collect();
        for n in last {
            let (leg, cause) = (LegId { call: id, n }, Cause::Failed);
            self.command(Command::Hangup { leg, cause });
        }
    }
}

pub(super) fn word(result: DialResult) -> &'static str {
    match result {
        DialResult::Answered => "answered",
        DialResult::Busy => "busy",
        DialResult::NoAnswer => "no_answer",
        DialResult::Rejected => "rejected",
        DialResult::Unreachable => "unreachable",
    }
}
