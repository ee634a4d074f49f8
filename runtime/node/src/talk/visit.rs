//! A party goes to a route's flow: for good, or to come back to whoever waits for it.

use std::sync::Arc;

use vocab::flow::Outcome;
use vocab::record::Step;
use vocab::{CallId, LegId, Now};

use super::{Hears, Noted, Place, Visit};
use crate::border::Output;
use crate::call::{Line, Stage};
use crate::config::Route;
use crate::control::{Actor, ControlError, ControlId, Controlled};
use crate::node::Node;
use crate::wait::Wait;
use crate::way::NoWay;

impl Node {
    /// Answered when the flow is over.
    pub(crate) fn visit_flow(
        &mut self,
        now: Now,
        id: CallId,
        by: &Actor,
        number: &str,
        request: ControlId,
    ) -> Result<(), ControlError> {
        let (a, b) = self.pair_of(id, by)?;
        let call = &self.calls[&id];
        if call.talk.visit.is_some() {
            return Err(ControlError::Conflict(
                "a flow has been visited and is not over yet",
            ));
        }
        let route = call.tenant.routes.get(number);
        let route = Arc::clone(route.ok_or(NoWay::UnknownRoute)?);
        self.take_over(now, id);
        let call = self.calls.get_mut(&id).expect("just seen");
        call.talk.visit = Some(Visit {
            by: a,
            request,
            route: Arc::clone(&call.route),
        });
        call.talk.put(a, Place::Held);
        let noted = Noted::new(Step::FlowVisited, b).by(a);
        self.step(now, id, noted.detail(number));
        self.enter_flow(now, id, b, route);
        Ok(())
    }

    /// A party is looked after by a route's plugin from now on.
    pub(crate) fn enter_flow(&mut self, now: Now, id: CallId, n: u16, route: Arc<Route>) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        // Nothing is heard until the flow plays something.
        call.talk.put(n, Place::Holding);
        call.talk.asked = None;
        self.arrange(id);
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.talk.put(n, Place::Flow);
        call.leg = LegId { call: id, n };
        call.line = Line::Up;
        call.route = route;
        self.deadlines.clear(id, Wait::Op);
        self.start_flow(now, id);
    }

    /// A visit is over and its party back with whoever waits; false if there was none, or nobody
    /// waits any more.
    pub(crate) fn come_back(&mut self, now: Now, id: CallId, outcome: &Outcome) -> bool {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Some(visit) = call.talk.visit.take() else {
            return false;
        };
        let b = call.leg.n;
        // If nobody waits, the party hears the announcement of the route it was sent to, unless
        // the call has one of its own.
        if call.talk.members.contains_key(&visit.by) || !visit.route.fallback.is_empty() {
            call.route = visit.route;
        }
        self.out.push_back(Output::Controlled {
            id: visit.request,
            result: Ok(Controlled::Flow {
                label: outcome.label.clone(),
                detail: outcome.detail.clone(),
            }),
        });
        call.stage = Stage::Talk;
        // What the flow had played is not ours to know; a bridge or a sound takes its place.
        if let Some(member) = call.talk.members.get_mut(&b) {
            member.hears = Hears::Nothing;
        }
        let noted = Noted::new(Step::FlowReturned, b).detail(outcome.label.clone());
        if call.talk.members.contains_key(&visit.by) {
            call.talk.pair(visit.by, b);
            self.step(now, id, noted.with(visit.by));
        } else {
            self.step(now, id, noted);
            self.last_words(now, id, b);
        }
        self.arrange(id);
        true
    }

    /// The party of a visit will not come back: whoever waits for it is let go.
    pub(crate) fn end_visit(&mut self, _now: Now, id: CallId, label: &str) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Some(visit) = call.talk.visit.take() else {
            return;
        };
        call.route = visit.route;
        self.release_member(id, visit.by);
        self.out.push_back(Output::Controlled {
            id: visit.request,
            result: Ok(Controlled::Flow {
                label: label.to_owned(),
                detail: None,
            }),
        });
    }

    /// The party of a visit has hung up.
    pub(crate) fn visitor_gone(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Some(visit) = call.talk.visit.take() else {
            return;
        };
        let leg = call.leg.n;
        call.talk.members.remove(&leg);
        for n in call.talk.members.keys().copied().collect::<Vec<_>>() {
            let (leg, cause) = (LegId { call: id, n }, vocab::call::Cause::Normal);
            self.command(vocab::call::Command::Hangup { leg, cause });
        }
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.talk.members.clear();
        self.out.push_back(Output::Controlled {
            id: visit.request,
            result: Err(ControlError::Gone),
        });
    }
}
