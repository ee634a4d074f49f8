//! A phone dials a slot and takes whoever waits there.
//!
//! It is a call of its own, which is written down and answered like any other. Only then does its
//! caller go on in the call that waits, and until then that one waits on: whatever the caller's call
//! comes to, its slot is as it was.

use std::sync::Arc;

use vocab::call::Command;
use vocab::{CallId, LegId, Now};

use super::moving::{Moving, Purpose};
use super::{Coming, Place};
use crate::border::Refusal;
use crate::call::{Line, Stage};
use crate::config::{Route, Tenant};
use crate::incoming::Admitted;
use crate::limits::LEGS_MAX;
use crate::node::Node;
use crate::wait::Wait;

/// Whoever dials a slot that was left at that moment (RFC 3261 §21.4.24).
const BUSY: u16 = 486;

impl Tenant {
    /// The slot that is dialled by this number.
    fn slot_of(&self, dialled: &str) -> Option<u16> {
        let slot = dialled.parse().ok();
        slot.filter(|slot: &u16| self.park.slots.contains(slot) && slot.to_string() == dialled)
    }
}

impl Node {
    /// A phone that has shown its credentials may take whoever waits in a slot of its tenant.
    pub(crate) fn admit_to_slot(&self, user: &str, dialled: &str) -> Result<Admitted, Refusal> {
        let tenant = self.config.tenant_of(user);
        let tenant = tenant.ok_or(Refusal::UnknownNumber)?;
        let slot = tenant.slot_of(dialled).ok_or(Refusal::UnknownNumber)?;
        let waits = self.slots.get(&(tenant.id.clone(), slot));
        let &parked = waits.ok_or(Refusal::SlotEmpty)?;
        if self.is_taken(parked) || self.calls[&parked].leg_last >= LEGS_MAX {
            return Err(Refusal::SlotTaken);
        }
        Ok(Admitted {
            tenant: Arc::clone(tenant),
            route: Arc::new(Route::none(&tenant.id, dialled)),
            trunk: None,
            parked: Some(parked),
        })
    }

    /// Nobody else takes the parked one from now on, and this caller is answered.
    pub(crate) fn reserve(&mut self, now: Now, from: LegId, parked: CallId) {
        let call = self.calls.get_mut(&from.call).expect("just inserted");
        call.stage = Stage::Talk;
        let taker = call.flow_member(Place::Awaiting);
        let there = self.calls.get_mut(&parked).expect("it was just admitted");
        let waits = there.talk.parked.as_ref().expect("a slot has its call").leg;
        there.talk.coming = Some(Coming { from, joins: waits });
        self.deadlines.clear(parked, Wait::Park);
        // The number is taken once the caller goes there: nobody else is called meanwhile.
        let n = there.leg_last + 1;
        let to = LegId { call: parked, n };
        self.moves
            .insert(from, Moving::new(to, &taker, Purpose::PickUp));
        self.want_answer(now, from.call);
    }

    /// The caller is up: it goes to the one who waits.
    pub(crate) fn take_parked(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let from = call.leg;
        let taker = call.flow_member(Place::Awaiting);
        call.talk.members.insert(from.n, taker);
        match self.moves.get(&from).map(|it| (it.purpose, it.to)) {
            Some((Purpose::PickUp, to)) => {
                let there = self.calls.get_mut(&to.call);
                let there = there.expect("a reserved call tells of its end");
                there.leg_last = to.n;
                self.go(from);
            }
            Some((Purpose::Nobody | Purpose::Refer { .. } | Purpose::Bridge { .. }, _)) | None => {
                self.moves.remove(&from);
                self.last_words(now, id, from.n);
            }
        }
        self.arrange(id);
    }

    /// The one who waits in the slot is gone: whoever was to take it hears that.
    pub(super) fn slot_left(&mut self, now: Now, from: LegId) {
        let Some(call) = self.calls.get(&from.call) else {
            return;
        };
        match call.line {
            Line::Waiting | Line::Wanted => {
                let (leg, status, q850) = (from, BUSY, None);
                self.command(Command::Reject { leg, status, q850 });
            }
            // It is told once it can hear.
            Line::Answering | Line::Gone { .. } => {}
            Line::Up => {
                self.last_words(now, from.call, from.n);
                self.arrange(from.call);
            }
        }
    }

    /// The caller could not go to the one who waits: that one waits on.
    pub(super) fn not_taken(&mut self, now: Now, from: LegId, parked: CallId) {
        self.nobody_comes(now, parked);
        let up = |id: &CallId| self.calls.get(id).is_some_and(|call| call.is_up());
        if up(&from.call) {
            self.last_words(now, from.call, from.n);
            self.arrange(from.call);
        }
    }
}
