//! Slots of a tenant in which a party waits until a phone takes it.

use vocab::record::Step;
use vocab::{CallId, Now};

use super::{Noted, Parked, Place, Why, Wish};
use crate::control::{Actor, ControlError, Controlled};
use crate::node::Node;
use crate::wait::Wait;
use crate::way::{NoWay, Way, Ways};

impl Node {
    pub(crate) fn park(
        &mut self,
        now: Now,
        id: CallId,
        by: &Actor,
        slot: Option<u16>,
    ) -> Result<Controlled, ControlError> {
        let (a, b) = self.pair_of(id, by)?;
        let call = &self.calls[&id];
        let (tenant, park) = (call.tenant.id.clone(), call.tenant.park.clone());
        let taken = |slot: &u16| self.slots.contains_key(&(tenant.clone(), *slot));
        let slot = match slot {
            Some(slot) if !park.slots.contains(&slot) => {
                return Err(ControlError::NotFound("the tenant has no such slot"));
            }
            Some(slot) if taken(&slot) => {
                return Err(ControlError::Conflict(
                    "somebody waits in this slot: name another",
                ));
            }
            Some(slot) => slot,
            None => park
                .slots
                .clone()
                .find(|slot| !taken(slot))
                .ok_or(ControlError::Limit(
                    "all slots are taken: pick one up first",
                ))?,
        };
        self.take_over(now, id);
        self.slots.insert((tenant, slot), id);
        let call = self.calls.get_mut(&id).expect("just seen");
        let back = call.talk.members.get(&a).and_then(|it| it.user.clone());
        call.talk.parked = Some(Parked { leg: b, slot, back });
        call.talk.put(b, Place::Parked);
        let noted = Noted::new(Step::Parked, b).by(a).detail(slot.to_string());
        self.step(now, id, noted);
        self.release_member(id, a);
        self.deadlines.set(id, Wait::Park, now.mono + park.timeout);
        self.arrange(id);
        Ok(Controlled::Parked { slot })
    }

    pub(crate) fn pick_up(
        &mut self,
        now: Now,
        user: &str,
        slot: u16,
    ) -> Result<Controlled, ControlError> {
        let tenant = self.config.tenant_of(user);
        let tenant = tenant.ok_or(NoWay::UnknownPhone)?.id.clone();
        let empty = ControlError::NotFound("nobody waits in this slot");
        let &id = self.slots.get(&(tenant, slot)).ok_or(empty)?;
        let call = &self.calls[&id];
        if self.is_taken(id) {
            return Err(ControlError::Conflict("somebody is taking this call"));
        }
        let parked = call.talk.parked.as_ref().expect("a slot has its call");
        let waits = parked.leg;
        if !self.registered(user) {
            return Err(NoWay::NotRegistered.into());
        }
        let wish = Wish {
            waits,
            why: Why::PickUp,
        };
        let phone = Ways::One(Way::Phone(user.to_owned()));
        let legs = self.attempt(now, id, phone, wish)?;
        self.deadlines.clear(id, Wait::Park);
        Ok(Controlled::Calling { legs })
    }

    /// Whether somebody is taking the party of a slot.
    pub(super) fn is_taken(&self, id: CallId) -> bool {
        self.calls[&id].talk.attempt.is_some() || self.is_between(id)
    }

    /// A phone has taken the party out of its slot.
    pub(crate) fn picked_up(&mut self, now: Now, id: CallId, n: u16) {
        if let Some(Parked { leg, slot, .. }) = self.free_slot(id) {
            let noted = Noted::new(Step::PickedUp, leg).with(n);
            self.step(now, id, noted.detail(slot.to_string()));
        }
    }

    /// The phone that was to take it does not: it waits on.
    pub(crate) fn not_picked_up(&mut self, now: Now, id: CallId) {
        let timeout = self.calls[&id].tenant.park.timeout;
        self.deadlines.set(id, Wait::Park, now.mono + timeout);
    }

    /// Nobody took the party: whoever parked it is rung.
    pub(crate) fn park_timeout(&mut self, now: Now, id: CallId) {
        if let Some(Parked { leg, slot, back }) = self.free_slot(id) {
            let noted = Noted::new(Step::ParkTimedOut, leg);
            self.step(now, id, noted.detail(slot.to_string()));
            self.call_back(now, id, leg, back);
            self.arrange(id);
        }
    }

    pub(crate) fn free_slot(&mut self, id: CallId) -> Option<Parked> {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let parked = call.talk.parked.take()?;
        self.slots.remove(&(call.tenant.id.clone(), parked.slot));
        self.deadlines.clear(id, Wait::Park);
        Some(parked)
    }
}
