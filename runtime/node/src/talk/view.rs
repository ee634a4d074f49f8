//! Live calls as people see them.

use vocab::{CallId, TenantId};

use super::Place;
use crate::call::{Call, Line, Stage};
use crate::control::{Loudness, PartyState, PartyView};
use crate::node::Node;

impl Node {
    /// The parties of a live call by number; empty if there is none.
    pub fn parties(&self, call: CallId) -> Vec<PartyView> {
        let Some(call) = self.calls.get(&call) else {
            return Vec::new();
        };
        let mut views: Vec<PartyView> = call
            .talk
            .members
            .iter()
            .map(|(&leg, member)| PartyView {
                leg,
                user: member.user.clone(),
                party: member.party.clone(),
                state: call.state(member.place),
                loudness: member.loudness,
                talks: member.talks,
                leads: member.leads,
            })
            .collect();
        let first = call.leg.n;
        if !call.talk.members.contains_key(&first) && !call.is_gone() {
            let state = match (&call.stage, call.line) {
                (_, Line::Waiting | Line::Wanted | Line::Answering) => PartyState::Waiting,
                (Stage::Flow(_), Line::Up | Line::Gone { .. }) => PartyState::Flow,
                (
                    Stage::Fallback { .. } | Stage::Talk | Stage::Leaving,
                    Line::Up | Line::Gone { .. },
                ) => PartyState::Alone,
            };
            views.push(PartyView {
                leg: first,
                user: call.flow_user().cloned(),
                party: call.flow_party().clone(),
                state,
                loudness: Loudness::default(),
                talks: false,
                leads: false,
            });
        }
        let rung = call.dialed().map(|dial| &dial.branches[..]);
        let rung = rung.unwrap_or_default().iter();
        for branch in rung.filter(|it| !call.talk.members.contains_key(&it.leg.n)) {
            views.push(PartyView {
                leg: branch.leg.n,
                user: branch.user.clone(),
                party: branch.party.clone(),
                state: PartyState::Ringing,
                loudness: Loudness::default(),
                talks: false,
                leads: false,
            });
        }
        for (&leg, watcher) in &call.talk.watchers {
            views.push(PartyView {
                leg,
                user: Some(watcher.user.clone()),
                party: watcher.party(),
                state: watcher.view(),
                loudness: Loudness::default(),
                talks: false,
                leads: false,
            });
        }
        views.sort_by_key(|view| view.leg);
        views
    }

    /// Calls that wait in slots: whose, which slot, which call.
    pub fn parked(&self) -> impl Iterator<Item = (&TenantId, u16, CallId)> {
        self.slots
            .iter()
            .map(|((tenant, slot), call)| (tenant, *slot, *call))
    }
}

impl Call {
    fn state(&self, place: Place) -> PartyState {
        match place {
            Place::With(with) => PartyState::Talking { with },
            Place::Held => PartyState::Held,
            Place::Holding | Place::Awaiting | Place::Last => PartyState::Alone,
            Place::Parked => match &self.talk.parked {
                Some(parked) => PartyState::Parked { slot: parked.slot },
                None => PartyState::Held,
            },
            Place::Room => PartyState::Conference,
            Place::Flow => PartyState::Flow,
        }
    }
}
