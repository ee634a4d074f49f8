//! A party goes on in another call, under another name: what that is for, and what becomes of it.

use vocab::call::Command;
use vocab::{LegId, Now, Party};

use super::Member;
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
}

impl Node {
    /// Has a party go on under its new name.
    pub(super) fn begin_move(&mut self, from: LegId, moving: Moving) {
        let to = moving.to;
        self.moves.insert(from, moving);
        self.command(Command::Move { from, to });
    }

    /// A party goes on in another call; or cannot, and stays where it is.
    pub(crate) fn moved(&mut self, now: Now, from: LegId, to: LegId) {
        let Some(moving) = self.moves.remove(&from) else {
            return;
        };
        let stays = from == to;
        if !stays {
            self.trunks.leg_moved(from, to);
        }
        match moving.purpose {
            Purpose::Refer { referrer } if stays => self.place_not_taken(now, from, referrer),
            Purpose::Refer { referrer } => self.place_taken(now, from, referrer, moving),
        }
    }

    /// A leg has ended that was on its way. One that has arrived is not any more: that is reported
    /// before its old name ends.
    pub(crate) fn forget_move(&mut self, leg: LegId) {
        let Some(moving) = self.moves.remove(&leg) else {
            return;
        };
        match moving.purpose {
            Purpose::Refer { referrer } => self.tell_referrer(referrer, 480),
        }
    }
}
