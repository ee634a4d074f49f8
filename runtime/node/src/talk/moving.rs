//! A party goes on in another call, under another name: what that is for, and what becomes of it.
//!
//! The engine says once what came of it ([`Node::moved`]), or the party's leg ends first
//! ([`Node::forget_move`]). Where both have their media on one worker that is at once; else the far
//! end is asked to send its audio elsewhere first, and anybody may leave meanwhile.

use vocab::call::{Cause, Command};
use vocab::record::Step;
use vocab::{CallId, LegId, Now, Party};

use super::{Member, Noted, Place};
use crate::node::Node;

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
        let to = moving.to;
        self.moves.insert(from, moving);
        self.command(Command::Move { from, to });
    }

    /// Whether somebody is about to leave a call for another, or to come into it.
    pub(super) fn is_between(&self, id: CallId) -> bool {
        let legs = LegId { call: id, n: 0 }..=LegId {
            call: id,
            n: u16::MAX,
        };
        let coming = self.calls.get(&id).and_then(|call| call.talk.coming);
        coming.is_some() || self.moves.range(legs).next().is_some()
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
            Purpose::Nobody if self.turns_back(from, to) => {}
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
            Purpose::Nobody => {}
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
            Purpose::PickUp => self.stays_parked(now, moving.to.call),
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
            Purpose::Refer { .. } | Purpose::Nobody => {}
        }
    }

    /// Somebody from another call talks with the one it came for, and nobody else is in the call.
    fn move_in(&mut self, now: Now, from: LegId, moving: &Moving) {
        let (id, n) = (moving.to.call, moving.to.n);
        let call = self
            .calls
            .get_mut(&id)
            .expect("its end would have been told");
        let coming = call.talk.coming.take().expect("somebody is waited for");
        let with = coming.joins;
        call.talk
            .members
            .insert(n, moving.member(Place::With(with)));
        call.talk.pair(with, n);
        let noted = Noted::new(Step::MovedIn, n).with(with);
        self.step(now, id, noted.detail(from.call.to_string()));
        self.picked_up(now, id, n);
        self.arrange(id);
    }

    /// Who has gone to another call leaves this one, which ends with that.
    fn move_out(&mut self, now: Now, from: LegId) {
        self.step(now, from.call, Noted::new(Step::MovedAway, from.n));
    }
}
