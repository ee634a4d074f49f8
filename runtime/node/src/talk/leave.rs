//! A party is gone: what becomes of the others.

use vocab::call::{Cause, Command, Side};
use vocab::record::Step;
use vocab::{CallId, LegId, Now};

use super::{Moving, Noted, Place, Sender, Why, Wish};
use crate::call::{Errand, Line, Stage};
use crate::node::Node;
use crate::wait::Wait;

impl Node {
    /// A party of a talk has ended, whoever ended it.
    pub(crate) fn member_gone(&mut self, now: Now, leg: LegId, cause: Cause, by: Side) {
        let (id, n) = (leg.call, leg.n);
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Some(gone) = call.talk.members.remove(&n) else {
            return;
        };
        if !matches!(call.stage, Stage::Talk) {
            // Who waits for a party that is with a flow: that one is told when the flow is over.
            return;
        }
        if call.talk.parked.as_ref().is_some_and(|it| it.leg == n) {
            self.free_slot(id);
        }
        self.left_waiting(now, id, n, gone.sender());
        let call = self.calls.get_mut(&id).expect("it was just there");
        // Who is about to be connected with somebody else does not go because the other one left.
        let joined = call.talk.coming.map(|coming| coming.joins);
        let leaves = |n: u16| {
            let moving = self.moves.get(&LegId { call: id, n });
            moving.is_some_and(Moving::is_bridge)
        };
        let rest: Vec<u16> = call.talk.members.keys().copied().collect();
        let alone = |n: u16| match call.talk.place(n) {
            Some(Place::Awaiting | Place::Parked | Place::Last) => false,
            Some(Place::With(_) | Place::Holding | Place::Held | Place::Room | Place::Flow)
            | None => joined != Some(n) && !leaves(n),
        };
        match rest[..] {
            [] => return self.over(now, id, cause, by),
            [one] if alone(one) => return self.over(now, id, cause, by),
            // Who is left talks with each other: a hold has no meaning without who holds.
            [a, b] if alone(a) && alone(b) => {
                let held = [a, b]
                    .into_iter()
                    .find(|n| call.talk.place(*n) == Some(Place::Held));
                call.talk.pair(a, b);
                call.talk.asked = None;
                if let Some(held) = held {
                    self.step(now, id, Noted::new(Step::Retrieved, held));
                }
            }
            [..] => {}
        }
        let noted = Noted::new(Step::Gone, n).detail(cause.name());
        self.step(now, id, noted);
        self.follow(id, n);
        self.arrange(id);
    }

    /// Who has gone had somebody called, or waited for somebody.
    fn left_waiting(&mut self, now: Now, id: CallId, n: u16, sender: Option<Sender>) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Some(dial) = &mut call.talk.attempt else {
            return;
        };
        let Errand::Talk(Wish { waits, why }) = &mut dial.errand else {
            return;
        };
        match why {
            // Whoever hangs up while it asks hands the one on hold over, as phones do.
            Why::Consult { held } if *waits == n => {
                let held = *held;
                *waits = held;
                *why = Why::Transfer { back: sender };
                call.talk.put(held, Place::Awaiting);
                let noted = Noted::new(Step::TransferAsked, held).by(n);
                self.step(now, id, noted.detail("consulted"));
            }
            // Who was held is gone: the one who asks goes on calling.
            Why::Consult { held } if *held == n => *why = Why::Target,
            // A phone that hangs up before its transfer is done leaves the rest to us.
            Why::Refer { by } if *by == n => *why = Why::Transfer { back: sender },
            Why::Refer { by } if *waits == n => {
                let by = *by;
                self.cancel_attempt(now, id);
                self.tell_referrer(LegId { call: id, n: by }, 487);
            }
            Why::Transfer { .. }
            | Why::Refer { .. }
            | Why::Consult { .. }
            | Why::Back
            | Why::PickUp
            | Why::Target
            | Why::Add { .. } => {
                if *waits == n {
                    self.cancel_attempt(now, id);
                }
            }
        }
    }

    /// The call is that of the parties which are left.
    pub(crate) fn follow(&mut self, id: CallId, gone: u16) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if call.leg.n == gone
            && let Some(&n) = call.talk.members.keys().next()
        {
            call.leg = LegId { call: id, n };
            call.line = Line::Up;
        }
    }

    /// A party is let go: it has done its part.
    pub(crate) fn release_member(&mut self, id: CallId, n: u16) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if call.talk.members.remove(&n).is_some() {
            let (leg, cause) = (LegId { call: id, n }, Cause::Normal);
            self.commands.push_back(Command::Hangup { leg, cause });
            self.follow(id, n);
        }
    }

    /// Ends a call that is in the hands of people.
    pub(crate) fn over(&mut self, now: Now, id: CallId, cause: Cause, by: Side) {
        self.end_talk(now, id, (cause, by), Cause::Normal);
    }

    /// The same, and why its leg is hung up if that is still there: it is the call's cause then.
    pub(super) fn end_talk(
        &mut self,
        now: Now,
        id: CallId,
        (cause, by): (Cause, Side),
        last: Cause,
    ) {
        self.cancel_attempt(now, id);
        self.nobody_to_join(now, id);
        self.free_slot(id);
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        for wait in [Wait::Op, Wait::Trying, Wait::Round, Wait::Park] {
            self.deadlines.clear(id, wait);
        }
        let members = std::mem::take(&mut call.talk.members);
        for n in members.keys().copied().filter(|n| *n != call.leg.n) {
            let (leg, cause) = (LegId { call: id, n }, Cause::Normal);
            self.commands.push_back(Command::Hangup { leg, cause });
        }
        if members.contains_key(&call.leg.n) {
            call.stage = Stage::Leaving;
            let (leg, cause) = (call.leg, last);
            return self.commands.push_back(Command::Hangup { leg, cause });
        }
        call.line = Line::Gone {
            cause,
            by,
            at: now.wall,
        };
        self.finish(now, id);
    }
}
