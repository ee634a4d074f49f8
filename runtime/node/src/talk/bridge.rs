//! Two parties of two calls are connected by request, and everybody else in both is let go.
//!
//! Nothing changes before the second one has come over: until then each talks on, so that nobody is
//! lost if it cannot. Who leaves meanwhile puts an end to it.

use vocab::call::Cause;
use vocab::flow::FlowError;
use vocab::{CallId, LegId, Now};

use super::moving::{Moving, Purpose};
use super::request::BETWEEN;
use super::{Coming, Place};
use crate::border::Output;
use crate::call::{Call, DialStep, Stage};
use crate::control::{Actor, ControlError, ControlId, Controlled};
use crate::limits::LEGS_MAX;
use crate::node::Node;
use crate::wait::Wait;

impl Node {
    /// Answered when the two talk, or cannot.
    pub(super) fn bridge(
        &mut self,
        request: ControlId,
        (id, who): (CallId, &Actor),
        (other, whom): (CallId, &Actor),
    ) -> Result<(), ControlError> {
        if id == other {
            return Err(ControlError::Invalid(
                "both are in one call: name a party of another",
            ));
        }
        let joins = self.connectable(id, who)?;
        let n = self.connectable(other, whom).map_err(|error| match error {
            ControlError::NoCall => {
                ControlError::NotFound("no such other call: it may be over; live calls are listed")
            }
            ControlError::NoParty => ControlError::NotFound(
                "no such party in the other call: name a leg of it, or a user whose phone is in it",
            ),
            ControlError::Conflict(_)
            | ControlError::NotFound(_)
            | ControlError::Denied(_)
            | ControlError::Invalid(_)
            | ControlError::Unavailable(_)
            | ControlError::Limit(_)
            | ControlError::Gone => error,
        })?;
        let (call, elsewhere) = (&self.calls[&id], &self.calls[&other]);
        if call.tenant.id != elsewhere.tenant.id {
            return Err(ControlError::Denied("the calls are of two tenants"));
        }
        if call.leg_last >= LEGS_MAX {
            return Err(ControlError::Limit("the call has had too many legs"));
        }
        let from = LegId { call: other, n };
        let to = LegId {
            call: id,
            n: call.leg_last + 1,
        };
        let purpose = Purpose::Bridge { request };
        let moving = match elsewhere.talk.members.get(&n) {
            Some(member) => Moving::new(to, member, purpose),
            // A flow's party that nobody has talked with.
            None => Moving::new(to, &elsewhere.flow_member(Place::Flow), purpose),
        };
        let call = self.calls.get_mut(&id).expect("just seen");
        call.leg_last = to.n;
        call.talk.coming = Some(Coming { from, joins });
        // Whoever waits in a slot is not called back while it is being connected.
        for id in [id, other] {
            self.deadlines.clear(id, Wait::Park);
        }
        self.begin_move(from, moving);
        Ok(())
    }

    /// The number of a party that can be connected with another.
    fn connectable(&self, id: CallId, who: &Actor) -> Result<u16, ControlError> {
        let call = self.calls.get(&id).ok_or(ControlError::NoCall)?;
        if self.is_between(id) {
            return Err(BETWEEN);
        }
        let n = call.party(who).ok_or(ControlError::NoParty)?;
        match call.why_not_connected(n) {
            // The end of a leg is told once its worker has reported all.
            None if !self.is_up(LegId { call: id, n }) => Err(ControlError::Gone),
            None => Ok(n),
            Some(why) => Err(ControlError::Conflict(why)),
        }
    }

    /// Has a flow, or the announcement in its place, let go of whom it looks after; false if the call
    /// is about to end.
    pub(super) fn let_go(&mut self, now: Now, id: CallId) -> bool {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if call.talks() {
            self.take_over(now, id);
            return true;
        }
        let leg = call.leg;
        match call.stage {
            Stage::Talk => {}
            Stage::Leaving => return false,
            Stage::Flow(_) => {
                // Somebody may have been called since.
                if let Some(dial) = self.take_dial(id) {
                    self.leave_dialed(now, id, &dial, Cause::Cancelled);
                }
                self.leave_flow(now, leg, Place::Holding);
            }
            Stage::Fallback { .. } => {
                call.stage = Stage::Talk;
                let member = call.flow_member(Place::Holding);
                call.talk.members.insert(leg.n, member);
                self.deadlines.clear(id, Wait::Op);
                self.quiet(leg);
            }
        }
        true
    }

    /// A flow's party is in the hands of people from now on.
    pub(super) fn leave_flow(&mut self, now: Now, leg: LegId, place: Place) {
        let id = leg.call;
        let why = "the caller was sent elsewhere".to_owned();
        self.reply(now, id, Err(FlowError::Hangup(why)));
        self.quiet(leg);
        self.detach(now, id);
        self.end_visit(now, id, "redirected");
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let member = call.flow_member(place);
        call.talk.members.insert(leg.n, member);
    }

    pub(super) fn answer_bridge(&mut self, id: ControlId, result: Result<(), ControlError>) {
        let result = result.map(|()| Controlled::Done);
        self.out.push_back(Output::Controlled { id, result });
    }
}

impl Call {
    /// Whether a flow has connected two who talk.
    pub(crate) fn talks(&self) -> bool {
        let talking = |step: &DialStep| matches!(step, DialStep::Talking { .. });
        matches!(self.stage, Stage::Flow(_)) && self.dialed().is_some_and(|it| talking(&it.step))
    }

    /// Why a party cannot be connected with somebody of another call, if it cannot.
    fn why_not_connected(&self, n: u16) -> Option<&'static str> {
        if matches!(self.stage, Stage::Fallback { .. } | Stage::Leaving) {
            return Some("the call is ending");
        }
        if self.dialed().is_some() && !self.talks() {
            return Some("somebody is being called: wait, complete or cancel first");
        }
        if self.talk.visit.is_some() {
            return Some("a flow has been visited and is not over yet");
        }
        let alone = matches!(self.stage, Stage::Flow(_)) && self.leg.n == n && self.is_up();
        let two = self.talk.members.len() == 2;
        match self.talk.place(n) {
            None | Some(Place::Flow) if alone => None,
            None => Some("this party has not answered"),
            Some(Place::Parked) => None,
            Some(Place::With(_) | Place::Holding | Place::Held) if two => None,
            Some(Place::With(_) | Place::Holding | Place::Held) => {
                Some("somebody else waits: swap, merge, complete or cancel first")
            }
            Some(Place::Room) => Some("not in a conference: hang up one of the three first"),
            Some(Place::Awaiting | Place::Flow | Place::Last) => Some("this party waits itself"),
        }
    }
}
