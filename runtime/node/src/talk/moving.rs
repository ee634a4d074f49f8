//! A party goes on in another call, under another name: what that is for, and what becomes of it.
//!
//! The engine says once what came of it ([`Node::moved`]), or the party's leg ends first
//! ([`Node::forget_move`]). Where both have their media on one worker that is at once; else the far
//! end is asked to send its audio elsewhere first, and anybody may leave meanwhile.

use vocab::call::{Cause, Command, Side};
use vocab::record::Step;
use vocab::{CallId, LegId, Now, Party};

use super::{Hears, Member, Noted, Place};
use crate::call::Stage;
use crate::control::{ControlError, ControlId};
use crate::node::Node;

/// Why somebody did not come from another call.
const STAYS: ControlError = ControlError::Unavailable(
    "the second party cannot come over: its phone does not move its audio, or no port is free for \
     it; both talk on as before",
);

/// A party on its way into another call. Its leg's end, or the engine's report of where it is, takes
/// it off the way.
#[derive(Debug)]
pub(crate) struct Moving {
    /// Its new name.
    pub(super) to: LegId,
    pub(super) purpose: Purpose,
    pub(super) user: Option<String>,
    pub(super) party: Party,
    pub(super) withheld: bool,
}

/// What a party goes elsewhere for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// This one's phone put two of its calls together.
    Refer { referrer: LegId },
    /// It dialled a slot and takes whoever waits there. It goes there once it is answered.
    PickUp,
    /// It is to talk with a party of the other call, as was asked.
    Bridge { request: ControlId },
    /// Nothing any more: whom it was to talk with is gone.
    Nobody,
}

impl Moving {
    pub(super) fn new(to: LegId, member: &Member, purpose: Purpose) -> Self {
        Self {
            to,
            purpose,
            user: member.user.clone(),
            party: member.party.clone(),
            withheld: member.withheld,
        }
    }

    /// It was asked to be connected with somebody.
    pub(super) fn is_bridge(&self) -> bool {
        matches!(self.purpose, Purpose::Bridge { .. })
    }

    /// Who it is, where it arrives.
    fn member(&self, place: Place) -> Member {
        let mut member = Member::new(self.user.clone(), self.party.clone(), place);
        member.withheld = self.withheld;
        member
    }
}

impl Node {
    /// Has a party go on under its new name.
    pub(super) fn begin_move(&mut self, from: LegId, moving: Moving) {
        self.moves.insert(from, moving);
        self.go(from);
    }

    /// It goes there now. Whom it is to talk with must still be there when it comes.
    pub(super) fn go(&mut self, from: LegId) {
        let to = self.moves[&from].to;
        let call = self.calls.get(&to.call);
        let coming = call.and_then(|call| call.talk.coming);
        let coming = coming.filter(|coming| coming.from == from);
        let with = coming.map(|coming| LegId {
            n: coming.joins,
            ..to
        });
        self.command(Command::Move { from, to, with });
    }

    /// Whether somebody is about to leave a call for another, or to come into it.
    pub(super) fn is_between(&self, id: CallId) -> bool {
        let coming = self.calls.get(&id).and_then(|call| call.talk.coming);
        coming.is_some() || self.moves.range(LegId::all_of(id)).next().is_some()
    }

    /// Whether a party of a call is about to be connected with somebody of another.
    pub(crate) fn leaves_for_a_bridge(&self, id: CallId) -> bool {
        self.moves
            .range(LegId::all_of(id))
            .any(|(_, moving)| moving.is_bridge())
    }

    /// A party goes on in another call; or cannot, and stays where it is.
    pub(crate) fn moved(&mut self, now: Now, from: LegId, to: LegId) {
        let Some(moving) = self.moves.remove(&from) else {
            return;
        };
        if from == to {
            return if self.is_up(from) {
                self.not_moved(now, from, &moving);
            } else {
                // The leg is at its end, which follows.
                self.gave_up(now, &moving);
            };
        }
        self.trunks.leg_moved(from, to);
        match moving.purpose {
            Purpose::Refer { referrer } => self.place_taken(now, from, referrer, moving),
            Purpose::PickUp => {
                self.move_in(now, from, &moving);
                self.move_out(now, from);
            }
            Purpose::Bridge { request } => {
                let connected = self.move_in(now, from, &moving);
                self.move_out(now, from);
                let result = connected.then_some(()).ok_or(ControlError::Gone);
                self.answer_bridge(request, result);
            }
            Purpose::Nobody => {
                let (leg, cause) = (to, Cause::Normal);
                self.command(Command::Hangup { leg, cause });
            }
        }
    }

    fn not_moved(&mut self, now: Now, from: LegId, moving: &Moving) {
        match moving.purpose {
            Purpose::Refer { referrer } => self.place_not_taken(now, from, referrer),
            Purpose::PickUp => self.not_taken(now, from, moving.to.call),
            Purpose::Bridge { request } => {
                self.nobody_comes(now, moving.to.call);
                self.stays(now, from);
                self.answer_bridge(request, Err(STAYS));
            }
            Purpose::Nobody => self.stays(now, from),
        }
    }

    /// Somebody who was on the way does not come: whom it was to talk with is as before.
    pub(super) fn nobody_comes(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.talk.coming = None;
        if call.talk.parked.is_some() {
            return self.not_picked_up(now, id);
        }
        self.not_alone(now, id);
    }

    /// Who was on the way stays in its call, as before.
    fn stays(&mut self, now: Now, from: LegId) {
        let Some(call) = self.calls.get_mut(&from.call) else {
            return;
        };
        if let Some(member) = call.talk.members.get_mut(&from.n)
            && matches!(member.hears, Hears::Sound(..))
        {
            // It may have been on the way for a while, and what it was played is over with that.
            member.hears = Hears::Nothing;
        }
        let parked = call.talk.parked.as_ref();
        if parked.is_some_and(|it| it.leg == from.n) {
            self.not_picked_up(now, from.call);
        }
        self.not_alone(now, from.call);
        self.arrange(from.call);
    }

    /// Ends a call in which only one is left of two, who was to be connected with somebody.
    fn not_alone(&mut self, now: Now, id: CallId) {
        let call = &self.calls[&id];
        let mut places = call.talk.members.values().map(|it| it.place);
        let left = |place| matches!(place, Place::With(_) | Place::Holding | Place::Held);
        let alone = places.len() == 1 && places.next().is_some_and(left);
        if alone && matches!(call.stage, Stage::Talk) {
            self.over(now, id, Cause::Normal, Side::Near);
        }
    }

    /// A leg has ended that was on its way. One that has arrived is not any more: that is reported
    /// before its old name ends.
    pub(crate) fn forget_move(&mut self, now: Now, leg: LegId) {
        if let Some(moving) = self.moves.remove(&leg) {
            self.gave_up(now, &moving);
        }
    }

    /// Who was on the way is gone.
    fn gave_up(&mut self, now: Now, moving: &Moving) {
        match moving.purpose {
            Purpose::Refer { referrer } => self.tell_referrer(referrer, 480),
            Purpose::PickUp => self.nobody_comes(now, moving.to.call),
            Purpose::Bridge { request } => {
                self.nobody_comes(now, moving.to.call);
                self.answer_bridge(request, Err(ControlError::Gone));
            }
            Purpose::Nobody => {}
        }
    }

    /// Whom somebody on the way was to talk with is gone, or its call is.
    pub(crate) fn nobody_to_join(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Some(coming) = call.talk.coming.take() else {
            return;
        };
        let moving = self.moves.get_mut(&coming.from);
        let moving = moving.expect("who comes is on the way");
        match std::mem::replace(&mut moving.purpose, Purpose::Nobody) {
            Purpose::PickUp => self.slot_left(now, coming.from),
            Purpose::Bridge { request } => self.answer_bridge(request, Err(ControlError::Gone)),
            Purpose::Refer { .. } | Purpose::Nobody => {}
        }
    }

    /// Somebody from another call talks with the one it came for, and everybody else is let go. False
    /// if that one is about to leave: nobody is connected.
    fn move_in(&mut self, now: Now, from: LegId, moving: &Moving) -> bool {
        let (id, n) = (moving.to.call, moving.to.n);
        let call = self.calls.get_mut(&id);
        let call = call.expect("its end would have been told");
        let coming = call.talk.coming.take().expect("somebody is waited for");
        let with = coming.joins;
        let there = call.leg.n == with || call.talk.members.contains_key(&with);
        if !there || !self.let_go(now, id) {
            let (leg, cause) = (moving.to, Cause::Normal);
            self.command(Command::Hangup { leg, cause });
            return false;
        }
        let call = self.calls.get_mut(&id).expect("just seen");
        call.talk
            .members
            .insert(n, moving.member(Place::With(with)));
        call.talk.pair(with, n);
        call.talk.asked = None;
        let rest = call.talk.others(n).filter(|it| *it != with);
        let rest: Vec<u16> = rest.collect();
        let noted = Noted::new(Step::MovedIn, n).with(with);
        self.step(now, id, noted.detail(from.call.to_string()));
        self.picked_up(now, id, n);
        for n in rest {
            self.release_member(id, n);
        }
        self.arrange(id);
        true
    }

    /// Who has gone to another call leaves this one, which ends with that: a flow is told as of a
    /// hang-up, and everybody else is let go.
    fn move_out(&mut self, now: Now, from: LegId) {
        let id = from.call;
        self.step(now, id, Noted::new(Step::MovedAway, from.n));
        let (cause, by) = (Cause::Transferred, Side::Near);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        // A flow is told when its party's leg has ended, behind what that still has to report.
        if matches!(call.stage, Stage::Flow(_)) && !call.talks() {
            return;
        }
        self.take_over(now, id);
        let call = self.calls.get_mut(&id).expect("just seen");
        if matches!(call.stage, Stage::Talk) {
            call.talk.members.remove(&from.n);
            self.end_talk(now, id, (cause, by), cause);
        }
    }
}
