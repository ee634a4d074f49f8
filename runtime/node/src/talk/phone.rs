//! What phones do by themselves: they hold whom they talk with.

use vocab::record::Step;
use vocab::{LegId, Now};

use super::{Noted, Place};
use crate::node::Node;

impl Node {
    /// A phone has put its call on hold, or is back.
    pub(crate) fn phone_holds(&mut self, now: Now, leg: LegId, holds: bool) {
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let Some(member) = call.talk.members.get_mut(&leg.n) else {
            return;
        };
        member.holds = holds;
        if let Place::With(other) = member.place {
            let step = if holds { Step::Held } else { Step::Retrieved };
            self.step(now, leg.call, Noted::new(step, other).by(leg.n));
        }
        if holds {
            self.user_holds(leg.call, leg.n);
        }
        self.arrange(leg.call);
    }
}
