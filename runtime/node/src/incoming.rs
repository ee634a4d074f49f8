//! How a call comes in: who may call what, and the answer once its first event is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vocab::call::{Cause, Command};
use vocab::flow::Reply;
use vocab::record::CallEventKind;
use vocab::{CallId, Direction, LegId, Now, Party, Pii};

use crate::border::{Notice, Refusal};
use crate::call::{Call, Line, Pending, Stage};
use crate::caller::{self, by_carrier};
use crate::capture::Capture;
use crate::config::{Route, Tenant};
use crate::control::Destination;
use crate::limits::{ANSWER_WAIT, CALL_TIME, COMMIT_WAIT, UNWRITTEN_MAX};
use crate::node::Node;
use crate::talk::Talk;
use crate::trunk::TrunkId;
use crate::wait::Wait;

/// An INVITE that waits for a decision.
pub(crate) struct Incoming {
    pub(crate) leg: LegId,
    pub(crate) from: Party,
    pub(crate) asserted: Option<Party>,
    pub(crate) withheld: bool,
    pub(crate) to: String,
    pub(crate) user: Option<String>,
    pub(crate) source: std::net::SocketAddr,
}

/// What a call may reach.
pub(crate) struct Admitted {
    /// Whose number is called.
    pub(crate) tenant: Arc<Tenant>,
    /// What is there.
    pub(crate) route: Arc<Route>,
    /// By which the call comes.
    pub(crate) trunk: Option<TrunkId>,
    /// Who waits there, if it is a slot.
    pub(crate) parked: Option<CallId>,
}

impl Refusal {
    /// What the caller is answered; `None` asks for credentials.
    fn status(self) -> Option<u16> {
        match self {
            Self::Credentials => None,
            Self::UnknownNumber | Self::SlotEmpty => Some(404),
            Self::SlotTaken => Some(486),
            Self::Draining | Self::Overload | Self::TrunkFull => Some(503),
        }
    }
}

impl Node {
    pub(crate) fn incoming(&mut self, now: Now, incoming: Incoming, sip_call_id: &Arc<str>) {
        let (leg, source) = (incoming.leg, incoming.source);
        let admitted = self.admit(&incoming).and_then(|admitted| {
            let trunk = self.trunks.take_in(admitted.trunk, leg);
            let trunk = trunk.map_err(|()| Refusal::TrunkFull)?;
            Ok((admitted.tenant, admitted.route, trunk, admitted.parked))
        });
        let (tenant, route, trunk, parked) = match admitted {
            Ok(found) => found,
            Err(refusal) => {
                let q850 = None;
                self.commands.push_back(match refusal.status() {
                    Some(status) => Command::Reject { leg, status, q850 },
                    None => Command::Challenge { leg },
                });
                return self.notice(Notice::TurnedAway { source, refusal });
            }
        };
        let Incoming {
            from,
            asserted,
            withheld,
            to,
            user,
            ..
        } = incoming;
        let from = match &trunk {
            Some(_) => by_carrier(&tenant.numbers, from, asserted),
            None => from,
        };
        // A phone of another tenant is a stranger here: it may listen, not dial out.
        let user = user.filter(|user| tenant.phones.contains_key(user));
        // A phone that names nobody hides as well; who it is, its credentials say.
        let withheld = withheld || user.is_some() && from == Party::Anonymous;
        let seen = match &user {
            None if withheld => Party::Anonymous,
            Some(_) | None => from.clone(),
        };
        let mut call = Call {
            language: tenant.language.clone(),
            tenant,
            route: Arc::clone(&route),
            leg,
            direction: Direction::Inbound,
            from: seen,
            withheld,
            user: user.clone(),
            attrs: BTreeSet::new(),
            started: now,
            journal_last: 0,
            written: false,
            unrecorded: false,
            line: Line::Waiting,
            stage: Stage::Leaving,
            talk: Talk::default(),
            rung: false,
            ringback: false,
            refusal: None,
            leg_last: 1,
            message_last: 0,
            bridges: BTreeSet::new(),
            capture: Capture::new(route.record),
            interaction: leg.call,
            cut: BTreeMap::new(),
        };
        let mut trunks = call.tenant.trunks.iter();
        call.talk.caller_signals = trunk
            .as_ref()
            .and_then(|id| trunks.find(|trunk| trunk.id == **id))
            .is_some_and(|trunk| trunk.signals);
        // Whoever waits in a slot now is not the one who waits there next time.
        if let Some(user) = user.as_ref().filter(|_| parked.is_none()) {
            self.remember(user, &Destination::Dialled(Pii::new(to.clone())));
        }
        let started = CallEventKind::Started {
            direction: Direction::Inbound,
            from,
            to,
            user,
            sip_call_id: sip_call_id.to_string(),
            trunk,
            withheld,
        };
        self.journal.note(&mut call, now.wall, started);
        self.notice(Notice::Started {
            tenant: route.tenant.clone(),
            call: leg.call,
            route: route.number.clone(),
        });
        self.notice(Notice::Dialog {
            call: leg.call,
            leg: leg.n,
            sip_call_id: sip_call_id.clone(),
        });
        self.calls.insert(leg.call, call);
        self.deadlines
            .set(leg.call, Wait::Call, now.mono + CALL_TIME);
        self.consults(now, leg.call);
        match parked {
            Some(parked) => self.reserve(now, leg, parked),
            None => self.start_flow(now, leg.call),
        }
    }

    /// Who may call what, and by which trunk it comes.
    fn admit(&self, incoming: &Incoming) -> Result<Admitted, Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        if self.journal.unwritten() >= UNWRITTEN_MAX {
            return Err(Refusal::Overload);
        }
        if let Some((tenant, trunk)) = self.trunks.of_source(incoming.source, &incoming.to) {
            let route = tenant.route_of(&incoming.to);
            let route = route.ok_or(Refusal::UnknownNumber)?;
            return Ok(Admitted {
                tenant: Arc::clone(tenant),
                route: Arc::clone(route),
                trunk: Some(trunk),
                parked: None,
            });
        }
        let proven = incoming.user.as_deref();
        let claims_phone = match &incoming.from {
            Party::Sip(address) => self.config.tenant_of(caller::user(address)).is_some(),
            Party::E164(_) | Party::Anonymous => false,
        };
        let route = self.config.route(&incoming.to);
        // A phone of ours must show that it is one; a stranger may reach what is public.
        let open = route.is_some_and(|route| route.public) && !claims_phone;
        if proven.is_none() && !open && (claims_phone || route.is_some()) {
            return Err(Refusal::Credentials);
        }
        let tenant_of = |route: &Route| &self.config.tenants()[&route.tenant];
        let reached = route.filter(|route| {
            let own = proven.is_some_and(|user| tenant_of(route).phones.contains_key(user));
            route.public || own
        });
        match (reached, proven) {
            (Some(route), _) => Ok(Admitted {
                tenant: Arc::clone(tenant_of(route)),
                route: Arc::clone(route),
                trunk: None,
                parked: None,
            }),
            (None, Some(user)) => self.admit_to_slot(user, &incoming.to),
            (None, None) => Err(Refusal::UnknownNumber),
        }
    }

    /// Answers as soon as the call's first event is on disk.
    pub(crate) fn want_answer(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        debug_assert_eq!(call.line, Line::Waiting, "an answer is wanted once");
        if call.written {
            call.line = Line::Answering;
            let leg = call.leg;
            self.commands.push_back(Command::Answer { leg });
            self.deadlines.set(id, Wait::Op, now.mono + ANSWER_WAIT);
        } else {
            call.line = Line::Wanted;
            self.deadlines.set(id, Wait::Commit, now.mono + COMMIT_WAIT);
        }
    }

    pub(crate) fn committed(&mut self, now: Now, through: u64) {
        for batch in self.journal.committed(through) {
            if !batch.first {
                continue;
            }
            let Some(call) = self.calls.get_mut(&batch.call) else {
                continue;
            };
            call.written = true;
            if call.line == Line::Wanted {
                call.line = Line::Waiting;
                self.deadlines.clear(batch.call, Wait::Commit);
                self.want_answer(now, batch.call);
            } else if call.is_originating() {
                self.deadlines.clear(batch.call, Wait::Commit);
                self.originated(now, batch.call);
            } else {
                self.dial_at_last(now, batch.call);
            }
        }
    }

    pub(crate) fn refused(&mut self, seq: u64) {
        let Some(batch) = self.journal.refused(seq) else {
            return;
        };
        self.notice(Notice::NotWritten { call: batch.call });
        if !batch.first {
            return;
        }
        let Some(call) = self.calls.get_mut(&batch.call) else {
            return;
        };
        // A call that cannot be recorded is not answered.
        call.unrecorded = true;
        // Nor does one that we make get any further.
        if matches!(call.line, Line::Waiting | Line::Wanted) || call.is_originating() {
            self.turn_away(batch.call);
        }
    }

    /// Refuses a call that could not be written down.
    pub(crate) fn turn_away(&mut self, id: CallId) {
        let call = &self.calls[&id];
        let (leg, direction) = (call.leg, call.direction);
        self.deadlines.clear(id, Wait::Commit);
        self.commands.push_back(match direction {
            Direction::Inbound => Command::Reject {
                leg,
                status: 503,
                q850: None,
            },
            // A phone that we ring for a call of ours rings no more.
            Direction::Outbound => Command::Hangup {
                leg,
                cause: Cause::Overload,
            },
        });
    }

    pub(crate) fn answered(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.line = Line::Up;
        let after = now.mono.since(call.started.mono);
        self.journal.note(call, now.wall, CallEventKind::Answered);
        self.listen_to_caller(id);
        let asked = self.ask_consent(now, id);
        if !asked {
            self.record_from_answer(now, id);
        }
        let call = self.calls.get_mut(&id).expect("just seen");
        let waits = matches!(call.pending(), Some(Pending::Answer));
        let fallback = matches!(call.stage, Stage::Fallback { .. });
        let talk = matches!(call.stage, Stage::Talk);
        let takes = talk && call.answers();
        if !asked {
            self.deadlines.clear(id, Wait::Op);
        }
        self.notice(Notice::Answered { call: id, after });
        if self.connecting(id) {
            self.connect_dialed(now, id);
        } else if waits {
            self.reply(now, id, Ok(Reply::Done));
        } else if fallback {
            self.announce(now, id);
        } else if takes {
            self.take_parked(now, id);
        } else if talk {
            self.originated(now, id);
        }
    }
}
