//! Calls that we make: a user's phone first, then whom it calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vocab::call::{Command, Target};
use vocab::record::CallEventKind;
use vocab::{CallId, Direction, LegId, Now, Party};

use super::{Member, Place, Talk, Why, Wish};
use crate::border::Notice;
use crate::call::{Call, Line, Stage};
use crate::capture::Capture;
use crate::config::Route;
use crate::control::{ControlError, Controlled, Destination};
use crate::limits::{CALL_TIME, COMMIT_WAIT, OP_SLACK, REDIALS_MAX, TALK_RING, UNWRITTEN_MAX};
use crate::node::Node;
use crate::wait::Wait;
use crate::way::{NoWay, Where};

impl Node {
    pub(crate) fn originate(
        &mut self,
        now: Now,
        user: &str,
        to: Destination,
    ) -> Result<Controlled, ControlError> {
        if self.draining {
            return Err(ControlError::Unavailable("the node takes no more calls"));
        }
        if self.journal.unwritten() >= UNWRITTEN_MAX {
            return Err(ControlError::Limit("too many events wait for the disk"));
        }
        let tenant = self.config.tenant_of(user);
        let tenant = Arc::clone(tenant.ok_or(NoWay::UnknownPhone)?);
        if !self.registered(user) {
            return Err(NoWay::NotRegistered.into());
        }
        // Nobody's phone rings for a target that cannot be called.
        let shown = match self.find(now.mono, &tenant, &to)? {
            Where::Route(route) => route.number.clone(),
            Where::Person(_) => written(&to).to_owned(),
        };
        self.remember(user, &to);
        let id = CallId::new(now.wall, &mut self.rng);
        let leg = LegId { call: id, n: 1 };
        self.commands.push_back(Command::Dial {
            leg,
            target: Target::User(user.to_owned()),
            caller: Party::Sip(shown.clone()),
            timeout: TALK_RING,
            sent_by: None,
        });
        self.begin(now, leg, tenant, user, shown, to);
        Ok(Controlled::Call(id))
    }

    fn begin(
        &mut self,
        now: Now,
        leg: LegId,
        tenant: Arc<crate::config::Tenant>,
        user: &str,
        to: String,
        target: Destination,
    ) {
        let from = Party::Sip(user.to_owned());
        let route = Arc::new(Route::none(&tenant.id, &to));
        // A notice names no number outside: those are private.
        let named = match &target {
            Destination::Route(number) => number.clone(),
            Destination::Dialled(_)
            | Destination::Phone(_)
            | Destination::Group(_)
            | Destination::Number(_)
            | Destination::Several { .. } => target.kind().to_owned(),
        };
        let mut call = Call {
            language: tenant.language.clone(),
            tenant,
            route: Arc::clone(&route),
            leg,
            direction: Direction::Outbound,
            from: from.clone(),
            withheld: false,
            user: Some(user.to_owned()),
            attrs: BTreeSet::new(),
            started: now,
            journal_last: 0,
            written: false,
            unrecorded: false,
            line: Line::Waiting,
            stage: Stage::Talk,
            talk: Talk {
                target: Some(target),
                ..Talk::default()
            },
            rung: false,
            ringback: false,
            refusal: None,
            leg_last: 1,
            message_last: 0,
            bridges: BTreeSet::new(),
            capture: Capture::new(false),
            interaction: leg.call,
            cut: BTreeMap::new(),
        };
        let started = CallEventKind::Started {
            direction: Direction::Outbound,
            from,
            to,
            user: Some(user.to_owned()),
            // Its phones may have several dialogs; the notices of each name them.
            sip_call_id: String::new(),
            trunk: None,
            withheld: false,
        };
        self.journal.note(&mut call, now.wall, started);
        self.notice(Notice::Started {
            tenant: route.tenant.clone(),
            call: leg.call,
            route: named,
        });
        self.calls.insert(leg.call, call);
        self.deadlines
            .set(leg.call, Wait::Call, now.mono + CALL_TIME);
        self.consults(now, leg.call);
        let wait = TALK_RING + OP_SLACK;
        self.deadlines.set(leg.call, Wait::Op, now.mono + wait);
    }

    /// The phone of whoever calls has answered: on to the target, once the call is on disk.
    pub(crate) fn originated(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if !call.written {
            self.deadlines.set(id, Wait::Commit, now.mono + COMMIT_WAIT);
            return;
        }
        let Some(target) = call.talk.target.take() else {
            return;
        };
        let member = Member::new(call.user.clone(), call.from.clone(), Place::Awaiting);
        let first = call.leg.n;
        call.talk.members.insert(first, member);
        let tenant = Arc::clone(&call.tenant);
        let begun = match self.find(now.mono, &tenant, &target) {
            Ok(Where::Route(route)) => {
                self.want_recording(id, route.record);
                self.record_from_answer(now, id);
                return self.enter_flow(now, id, first, route);
            }
            Ok(Where::Person(ways)) => {
                // From the moment that the two talk: nobody wants to hear it ring.
                self.want_recording(id, tenant.record_made);
                let wish = Wish {
                    waits: first,
                    why: Why::Target,
                };
                self.attempt(now, id, ways, wish).is_ok()
            }
            Err(_) => false,
        };
        if !begun {
            self.last_words(now, id, first);
        }
        self.arrange(id);
    }

    pub(crate) fn redial(&mut self, now: Now, user: &str) -> Result<Controlled, ControlError> {
        if self.config.tenant_of(user).is_none() {
            return Err(NoWay::UnknownPhone.into());
        }
        let last = self.redials.get(user).cloned();
        let last = last.ok_or(ControlError::NotFound("this user has dialled nothing yet"))?;
        self.originate(now, user, last)
    }

    /// Keeps what a user dialled last.
    pub(crate) fn remember(&mut self, user: &str, to: &Destination) {
        if self.redials.len() < REDIALS_MAX || self.redials.contains_key(user) {
            self.redials.insert(user.to_owned(), to.clone());
        }
    }
}

/// What the record says was called.
fn written(to: &Destination) -> &str {
    match to {
        Destination::Dialled(text) | Destination::Number(text) => text.reveal(),
        Destination::Phone(name) | Destination::Group(name) | Destination::Route(name) => name,
        // The first stands for all: each that rings is an event of its own.
        Destination::Several { targets, .. } => targets.first().map_or("", written),
    }
}
