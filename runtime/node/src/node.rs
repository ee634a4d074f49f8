//! The machine: how a call comes in, who looks after it, how it ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use engine::Engine;
use plugin::{Installed, Registry, RegistryOutput, RunOutput, Ticket};
use vocab::call::{Cause, Command, Event, GatherEnd, Side};
use vocab::flow::{CallInfo, Fault, FaultKind, FlowError, FlowEvent, Outcome, PluginRef, Reply};
use vocab::record::CallEventKind;
use vocab::{CallId, Direction, FlowId, LegId, Mono, Now, Party, PlayId, RecordingId, Rng};

use crate::border::{Input, Notice, Output, PluginChange, Refusal, SpeechId};
use crate::call::{Call, Flow, Line, Pending, Stage, Turn, total};
use crate::config::{Config, Route, Tenant};
use crate::counts::Counts;
use crate::deadlines::{Deadlines, Wait};
use crate::journal::Journal;
use crate::limits::{
    AFTER_HANGUP, ANSWER_WAIT, CALL_TIME, COMMIT_WAIT, EVENTS_MAX, FLOW_WAIT, OP_SLACK,
    UNWRITTEN_MAX,
};
use crate::tones::Tones;

/// The machine. See the crate's documentation.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Arc<Config>,
    engine: Engine,
    registry: Registry,
    rng: Rng,
    pub(crate) calls: BTreeMap<CallId, Call>,
    flows: BTreeMap<FlowId, CallId>,
    pub(crate) speeches: BTreeMap<SpeechId, CallId>,
    pub(crate) deadlines: Deadlines,
    pub(crate) journal: Journal,
    draining: bool,
    flow_last: u64,
    play_last: u64,
    pub(crate) speech_last: u64,
    commands: VecDeque<Command>,
    pub(crate) out: VecDeque<Output>,
    pub(crate) tones: Tones,
}

impl Node {
    /// A node without media ports, plugins and tenants; it is given them as inputs.
    pub fn new(engine: engine::Config, registry: Registry, mut rng: Rng) -> Self {
        Self {
            config: Arc::default(),
            engine: Engine::new(engine, rng.fork()),
            registry,
            rng,
            calls: BTreeMap::new(),
            flows: BTreeMap::new(),
            speeches: BTreeMap::new(),
            deadlines: Deadlines::default(),
            journal: Journal::default(),
            draining: false,
            flow_last: 0,
            play_last: 0,
            speech_last: 0,
            commands: VecDeque::new(),
            out: VecDeque::new(),
            tones: Tones::new(),
        }
    }

    /// Feeds one input. The caller drains [`Node::poll`] before the next.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        match input {
            Input::Sip(input) => self.engine.handle(now, engine::Input::Sip(input)),
            Input::Media { worker, event } => {
                self.engine
                    .handle(now, engine::Input::Media { worker, event });
            }
            Input::Ports { worker, ports } => {
                self.engine
                    .handle(now, engine::Input::Ports { worker, ports });
            }
            Input::Flow { flow, output } => self.flow_output(now, flow, output),
            Input::Committed { through } => self.committed(now, through),
            Input::Refused { seq } => self.refused(now, seq),
            Input::Spoken { id, result } => self.spoken(now, id, result),
            Input::Configure(config) => self.configure(now, config),
            Input::Plugin(change) => self.plugin_change(now, change),
            Input::Hangup { call } => self.hang_up(call, Cause::Normal),
            Input::Drain => self.draining = true,
            Input::Timeout => {
                if self.engine.deadline().is_some_and(|at| at <= now.mono) {
                    self.engine.handle(now, engine::Input::Timeout);
                }
                self.settle(now);
                while let Some((call, wait)) = self.deadlines.expire(now.mono) {
                    self.timeout(now, call, wait);
                    self.settle(now);
                }
            }
        }
        self.settle(now);
        let out = &mut self.out;
        self.journal.flush(|output| out.push_back(output));
    }

    /// The next thing to do, or `None` until [`Node::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When `Input::Timeout` is next due.
    pub fn deadline(&self) -> Option<Mono> {
        match (self.engine.deadline(), self.deadlines.next()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// How much is alive.
    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.len(),
            flows: self.flows.len(),
            deadlines: self.deadlines.len(),
            unwritten: self.journal.unwritten(),
            speeches: self.speeches.len(),
            engine: self.engine.counts(),
            sip: self.engine.sip_counts(),
        }
    }

    /// The plugins, their versions and live runs.
    pub fn plugins(&self) -> &Registry {
        &self.registry
    }

    /// Whether it takes no more calls.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Calls that are up, oldest first.
    pub fn live_calls(&self) -> impl Iterator<Item = CallId> {
        self.calls.keys().copied()
    }

    /// Carries the engine's reports to their calls and the calls' commands back, until quiet.
    fn settle(&mut self, now: Now) {
        let mut reports = VecDeque::new();
        loop {
            while let Some(output) = self.engine.poll() {
                match output {
                    engine::Output::Transmit { hop, bytes } => {
                        self.out.push_back(Output::Transmit { hop, bytes });
                    }
                    engine::Output::CloseStream { conn } => {
                        self.out.push_back(Output::CloseStream { conn });
                    }
                    engine::Output::Media { worker, command } => {
                        self.out.push_back(Output::Media { worker, command });
                    }
                    // A node sends no requests outside calls.
                    engine::Output::Response { .. } => {}
                    engine::Output::Event(event) => reports.push_back(event),
                }
            }
            if let Some(event) = reports.pop_front() {
                self.event(now, event);
            } else if let Some(command) = self.commands.pop_front() {
                self.engine.handle(now, engine::Input::Command(command));
            } else {
                return;
            }
        }
    }

    fn event(&mut self, now: Now, event: Event) {
        match event {
            Event::Incoming {
                leg,
                from,
                to,
                user,
                source,
                sip_call_id,
            } => {
                let incoming = Incoming {
                    leg,
                    from,
                    to,
                    user,
                    source,
                };
                self.incoming(now, incoming, &sip_call_id);
            }
            Event::Ringing { .. } => {}
            Event::Answered { leg } if leg.n == 1 => self.answered(now, leg.call),
            Event::Answered { leg } => self.dialed_answered(now, leg),
            Event::Played {
                leg,
                play,
                finished,
            } => self.played(now, leg, play, finished),
            Event::Digit { leg, digit } => {
                if leg.n == 1 {
                    self.flow_event(now, leg.call, FlowEvent::Dtmf(digit));
                }
            }
            Event::Gathered { leg, digits, end } => {
                let Some(call) = self.calls.get_mut(&leg.call) else {
                    return;
                };
                let count = u8::try_from(digits.reveal().len()).unwrap_or(u8::MAX);
                let kind = CallEventKind::Gathered { digits: count, end };
                self.journal.note(call, now.wall, kind);
                // A hang-up is told by the leg's end, which follows at once.
                if end != GatherEnd::Hangup && matches!(call.pending(), Some(Pending::Gather)) {
                    self.reply(now, leg.call, Ok(Reply::Digits { value: digits, end }));
                }
            }
            Event::Recorded {
                leg,
                recording,
                end,
                length,
            } => {
                let Some(call) = self.calls.get_mut(&leg.call) else {
                    return;
                };
                // A caller who hung up during the beep left nothing: there is no file.
                if !length.is_zero() {
                    let kind = CallEventKind::MessageLeft {
                        recording,
                        length,
                        end,
                    };
                    self.journal.note(call, now.wall, kind);
                }
                if matches!(call.pending(), Some(Pending::Record { recording: r }) if *r == recording)
                {
                    let reply = Ok(Reply::Recorded(recording.to_string()));
                    self.reply(now, leg.call, reply);
                }
            }
            Event::Bridged { a, b } => self.bridged(now, a, b),
            Event::Unbridged { a, b } => self.unbridged(now, a, b),
            Event::Ended {
                leg,
                cause,
                by,
                status,
            } if leg.n > 1 => {
                self.dialed_ended(now, leg, cause, by, status);
            }
            Event::Ended { leg, cause, by, .. } => self.caller_gone(now, leg.call, cause, by),
            Event::Registered { contacts, .. } => self.notice(Notice::Registered { contacts }),
            Event::Unregistered { .. } => self.notice(Notice::Unregistered),
            Event::AuthFailed { source, .. } => self.notice(Notice::AuthFailed { source }),
        }
    }

    fn incoming(&mut self, now: Now, incoming: Incoming, sip_call_id: &str) {
        let leg = incoming.leg;
        let (tenant, route) = match self.admit(&incoming) {
            Ok(found) => found,
            Err(refusal) => {
                let source = incoming.source;
                self.commands.push_back(match refusal {
                    Refusal::UnknownNumber => Command::Reject { leg, status: 404 },
                    Refusal::Credentials => Command::Challenge { leg },
                    Refusal::Draining | Refusal::Overload => Command::Reject { leg, status: 503 },
                });
                return self.notice(Notice::TurnedAway { source, refusal });
            }
        };
        let Incoming { from, to, user, .. } = incoming;
        // A phone of another tenant is a stranger here: it may listen, not dial out.
        let user = user.filter(|user| tenant.phones.contains_key(user));
        let mut call = Call {
            language: tenant.language.clone(),
            tenant,
            route: Arc::clone(&route),
            leg,
            from: from.clone(),
            user: user.clone(),
            attrs: BTreeSet::new(),
            started: now,
            journal_last: 0,
            written: false,
            unrecorded: false,
            line: Line::Waiting,
            stage: Stage::Leaving,
            leg_last: 1,
            message_last: 0,
        };
        let started = CallEventKind::Started {
            direction: Direction::Inbound,
            from,
            to,
            user,
            sip_call_id: sip_call_id.to_owned(),
        };
        self.journal.note(&mut call, now.wall, started);
        self.notice(Notice::Started {
            tenant: route.tenant.clone(),
            call: leg.call,
            route: route.number.clone(),
        });
        self.calls.insert(leg.call, call);
        self.deadlines
            .set(leg.call, Wait::Call, now.mono + CALL_TIME);
        self.start_flow(now, leg.call);
    }

    /// Who may call what.
    fn admit(&self, incoming: &Incoming) -> Result<(Arc<Tenant>, Arc<Route>), Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        if self.journal.unwritten() >= UNWRITTEN_MAX {
            return Err(Refusal::Overload);
        }
        let caller = incoming.user.as_deref();
        let claims_phone = match &incoming.from {
            Party::Sip(address) => {
                let user = address.split('@').next().unwrap_or_default();
                self.config.tenant_of(user).is_some()
            }
            Party::E164(_) | Party::Anonymous => false,
        };
        let route = self.config.route(&incoming.to);
        // A phone of ours must show that it is one; a stranger may reach what is public.
        let open = route.is_some_and(|route| route.public) && !claims_phone;
        if caller.is_none() && !open && (claims_phone || route.is_some()) {
            return Err(Refusal::Credentials);
        }
        let route = route.ok_or(Refusal::UnknownNumber)?;
        let tenant = &self.config.tenants[&route.tenant];
        let foreign = caller.is_some_and(|user| !tenant.phones.contains_key(user));
        if foreign && !route.public {
            return Err(Refusal::UnknownNumber);
        }
        Ok((Arc::clone(tenant), Arc::clone(route)))
    }

    fn start_flow(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller inserted it");
        let route = Arc::clone(&call.route);
        let Some((plugin, ticket)) = self.registry.take(&route.plugin) else {
            let plugin = PluginRef {
                name: route.plugin.as_str().into(),
                version: "none".into(),
            };
            let detail = format!("no plugin named {} is installed", route.plugin);
            return self.fault(
                now,
                id,
                Fault {
                    plugin,
                    kind: FaultKind::Start,
                    detail,
                },
            );
        };
        self.flow_last += 1;
        let flow = FlowId(self.flow_last);
        let reference = plugin.reference().clone();
        let kind = CallEventKind::FlowStarted {
            plugin: reference.clone(),
        };
        self.journal.note(call, now.wall, kind);
        call.stage = Stage::Flow(Box::new(Flow {
            id: flow,
            plugin: reference,
            ticket,
            events: VecDeque::new(),
            plays: BTreeMap::new(),
            turn: Turn::Plugin,
        }));
        let info = CallInfo {
            call: id,
            direction: Direction::Inbound,
            caller: call.from.clone(),
            callee: Party::Sip(route.number.clone()),
            started_at: call.started.wall,
            attrs: vec![
                ("language".to_owned(), call.language.clone()),
                ("time-zone".to_owned(), call.tenant.time_zone.clone()),
            ],
        };
        self.flows.insert(flow, id);
        self.deadlines.set(id, Wait::Flow, now.mono + FLOW_WAIT);
        let seed = self.rng.u64();
        self.out.push_back(Output::StartFlow {
            flow,
            plugin,
            info,
            route,
            seed,
        });
    }

    fn flow_output(&mut self, now: Now, flow: FlowId, output: RunOutput) {
        let Some(&id) = self.flows.get(&flow) else {
            return;
        };
        let call = self.calls.get_mut(&id).expect("a flow has a call");
        let Some(state) = call.flow() else { return };
        let plugin = state.plugin.clone();
        match output {
            RunOutput::Yielded => {}
            RunOutput::Log { level, message } => {
                self.notice(Notice::PluginLog {
                    call: id,
                    plugin,
                    level,
                    message,
                });
            }
            RunOutput::Denied { capability } => {
                let capability = capability.name();
                self.notice(Notice::Denied {
                    call: id,
                    plugin,
                    capability,
                });
            }
            RunOutput::Op(op) => self.op(now, id, op),
            RunOutput::Ended(end) => {
                let kind = end.fault().map(|fault| fault.kind);
                self.forget_flow(now, id, kind);
                match end {
                    plugin::End::Outcome(outcome) => self.returned(now, id, outcome),
                    plugin::End::Hangup | plugin::End::Cancelled => {
                        let label = "hangup".to_owned();
                        self.returned(
                            now,
                            id,
                            Outcome {
                                label,
                                detail: None,
                            },
                        );
                    }
                    plugin::End::Fault(fault) => self.fault(now, id, fault),
                }
            }
        }
    }

    /// The call goes on without its flow, which may still finish: whatever it says is ignored.
    pub(crate) fn release_flow(&mut self, now: Now, id: CallId, flow: FlowId, ticket: Ticket) {
        self.out.push_back(Output::FlowHangup {
            flow,
            reason: "transferred".to_owned(),
        });
        self.flows.remove(&flow);
        self.deadlines.clear(id, Wait::Flow);
        self.deadlines.clear(id, Wait::Op);
        self.release(now, ticket, None);
    }

    /// The flow's run is over; the call has no flow from here on.
    fn forget_flow(&mut self, now: Now, id: CallId, fault: Option<FaultKind>) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Stage::Flow(flow) = std::mem::replace(&mut call.stage, Stage::Leaving) else {
            panic!("the caller saw a flow");
        };
        self.flows.remove(&flow.id);
        for wait in [Wait::Flow, Wait::Op, Wait::Grace] {
            self.deadlines.clear(id, wait);
        }
        if let Turn::Host(Pending::Dial(dial)) = flow.turn {
            self.leave_dialed(now, id, &dial);
        }
        self.release(now, flow.ticket, fault);
    }

    fn release(&mut self, now: Now, ticket: Ticket, fault: Option<FaultKind>) {
        self.registry.release(now, ticket, fault);
        self.registry_news();
    }

    fn registry_news(&mut self) {
        while let Some(output) = self.registry.poll() {
            self.notice(match output {
                RegistryOutput::RolledBack { from, to } => Notice::PluginRolledBack { from, to },
                RegistryOutput::Failing { plugin } => Notice::PluginFailing { plugin },
                RegistryOutput::Drained { plugin } => Notice::PluginDrained { plugin },
                RegistryOutput::Freed { plugin } => Notice::PluginFreed { plugin },
            });
        }
    }

    /// The flow is over as it should be.
    fn returned(&mut self, now: Now, id: CallId, outcome: Outcome) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let kind = CallEventKind::FlowEnded {
            label: outcome.label,
        };
        self.journal.note(call, now.wall, kind);
        if call.is_gone() {
            return self.finish(now, id);
        }
        // A leg that was neither transferred nor enqueued is hung up.
        self.hang_up(id, Cause::Normal);
    }

    /// The flow broke: its caller hears the announcement, everybody else nothing of it.
    pub(crate) fn fault(&mut self, now: Now, id: CallId, fault: Fault) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let kind = CallEventKind::FlowFault {
            fault: fault.clone(),
        };
        self.journal.note(call, now.wall, kind);
        let tenant = call.tenant.id.clone();
        call.stage = Stage::Fallback { play: None };
        let line = call.line;
        self.notice(Notice::Fault {
            tenant,
            call: id,
            fault,
        });
        match line {
            Line::Gone { .. } => self.finish(now, id),
            Line::Up => self.announce(now, id),
            Line::Waiting => self.want_answer(now, id),
            Line::Wanted | Line::Answering => {
                self.deadlines.set(id, Wait::Op, now.mono + ANSWER_WAIT);
            }
        }
    }

    /// Plays the route's announcement; a busy tone if it is missing.
    fn announce(&mut self, now: Now, id: CallId) {
        let play = self.next_play();
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let name = &call.route.fallback;
        let found = call.tenant.catalogue.find(&call.language, name).cloned();
        let clips = vec![found.unwrap_or_else(|| self.tones.busy.clone())];
        let announcement = clips[0].name.to_string();
        call.stage = Stage::Fallback { play: Some(play) };
        let leg = call.leg;
        self.journal
            .note(call, now.wall, CallEventKind::Fallback { announcement });
        self.deadlines
            .set(id, Wait::Op, now.mono + total(&clips) + OP_SLACK);
        self.commands.push_back(Command::Play {
            leg,
            play,
            clips,
            repeat: false,
        });
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

    fn committed(&mut self, now: Now, through: u64) {
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
            }
        }
    }

    fn refused(&mut self, now: Now, seq: u64) {
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
        if matches!(call.line, Line::Waiting | Line::Wanted) {
            self.turn_away(now, batch.call);
        }
    }

    /// Refuses a call that could not be written down.
    fn turn_away(&mut self, _now: Now, id: CallId) {
        let leg = self.calls[&id].leg;
        self.deadlines.clear(id, Wait::Commit);
        self.commands
            .push_back(Command::Reject { leg, status: 503 });
    }

    fn answered(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.line = Line::Up;
        let (leg, record) = (call.leg, call.route.record);
        let after = now.mono.since(call.started.mono);
        self.journal.note(call, now.wall, CallEventKind::Answered);
        if record {
            let recording = RecordingId { call: id, n: 0 };
            let kind = CallEventKind::RecordingStarted { recording };
            self.journal.note(call, now.wall, kind);
            self.commands
                .push_back(Command::RecordCall { leg, recording });
        }
        let waits = matches!(call.pending(), Some(Pending::Answer));
        let fallback = matches!(call.stage, Stage::Fallback { .. });
        self.deadlines.clear(id, Wait::Op);
        self.notice(Notice::Answered { call: id, after });
        if waits {
            self.reply(now, id, Ok(Reply::Done));
        } else if fallback {
            self.announce(now, id);
        }
    }

    fn played(&mut self, now: Now, leg: LegId, play: PlayId, finished: bool) {
        if leg.n > 1 {
            return self.whispered(now, leg, play);
        }
        let id = leg.call;
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if matches!(call.stage, Stage::Fallback { play: Some(p) } if p == play) {
            call.stage = Stage::Leaving;
            self.deadlines.clear(id, Wait::Op);
            return self.hang_up(id, Cause::Failed);
        }
        let Some(flow) = call.flow() else { return };
        if let Some(token) = flow.plays.remove(&play) {
            return self.flow_event(now, id, FlowEvent::PlayDone(token));
        }
        if matches!(flow.turn, Turn::Host(Pending::Play { play: p }) if p == play) {
            let reply = if finished {
                Ok(Reply::Done)
            } else {
                Err(FlowError::Cancelled)
            };
            self.reply(now, id, reply);
        }
    }

    /// Gives the flow an event now if it waits for one, else later.
    fn flow_event(&mut self, now: Now, id: CallId, event: FlowEvent) {
        let Some(flow) = self.calls.get_mut(&id).and_then(Call::flow) else {
            return;
        };
        if matches!(flow.turn, Turn::Host(Pending::NextEvent)) {
            return self.reply(now, id, Ok(Reply::Event(event)));
        }
        if flow.events.len() >= EVENTS_MAX {
            flow.events.pop_front();
        }
        flow.events.push_back(event);
    }

    /// Answers what the flow waits for; the turn is the plugin's.
    pub(crate) fn reply(&mut self, now: Now, id: CallId, reply: Result<Reply, FlowError>) {
        let Some(flow) = self.calls.get_mut(&id).and_then(Call::flow) else {
            return;
        };
        let Turn::Host(_) = &flow.turn else { return };
        flow.turn = Turn::Plugin;
        let flow = flow.id;
        self.deadlines.clear(id, Wait::Op);
        self.deadlines.set(id, Wait::Flow, now.mono + FLOW_WAIT);
        self.out.push_back(Output::Reply { flow, reply });
    }

    /// The caller's leg has ended, whoever ended it.
    fn caller_gone(&mut self, now: Now, id: CallId, cause: Cause, by: Side) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        // What a rule of ours decided is the cause, not the BYE that carried it out.
        call.line = Line::Gone {
            cause,
            by,
            at: now.wall,
        };
        for wait in [Wait::Commit, Wait::Op, Wait::Flow, Wait::Call] {
            self.deadlines.clear(id, wait);
        }
        match &mut call.stage {
            Stage::Flow(flow) => {
                let turn = std::mem::replace(&mut flow.turn, Turn::Returning);
                let flow = flow.id;
                if let Turn::Host(Pending::Dial(dial)) = turn {
                    self.leave_dialed(now, id, &dial);
                }
                self.deadlines.set(id, Wait::Grace, now.mono + AFTER_HANGUP);
                let reason = cause.name().to_owned();
                self.out.push_back(Output::FlowHangup { flow, reason });
            }
            Stage::Away { other } => {
                let (leg, cause) = (*other, Cause::Normal);
                self.commands.push_back(Command::Hangup { leg, cause });
                self.finish(now, id);
            }
            Stage::Fallback { .. } | Stage::Leaving => self.finish(now, id),
        }
    }

    /// Writes the call's last event and forgets it.
    fn finish(&mut self, now: Now, id: CallId) {
        let mut call = self.calls.remove(&id).expect("a call ends once");
        let Line::Gone { cause, by, at } = call.line else {
            panic!("a call ends after its caller's leg");
        };
        self.deadlines.clear_all(id);
        self.speeches.retain(|_, call| *call != id);
        self.journal
            .note(&mut call, at, CallEventKind::Ended { cause, by });
        let duration = now.mono.since(call.started.mono);
        let tenant = call.tenant.id.clone();
        self.notice(Notice::Ended {
            tenant,
            call: id,
            cause,
            duration,
        });
    }

    pub(crate) fn hang_up(&mut self, id: CallId, cause: Cause) {
        if let Some(call) = self.calls.get(&id) {
            let leg = call.leg;
            self.commands.push_back(Command::Hangup { leg, cause });
        }
    }

    fn timeout(&mut self, now: Now, id: CallId, wait: Wait) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        match wait {
            Wait::Commit => self.turn_away(now, id),
            Wait::Flow => {
                let Some(flow) = call.flow() else { return };
                let (flow, plugin) = (flow.id, flow.plugin.clone());
                self.out.push_back(Output::StopFlow { flow });
                self.forget_flow(now, id, Some(FaultKind::Stalled));
                let detail = format!("asked for nothing for {} s", FLOW_WAIT.as_secs());
                self.fault(
                    now,
                    id,
                    Fault {
                        plugin,
                        kind: FaultKind::Stalled,
                        detail,
                    },
                );
            }
            Wait::Op => self.op_timeout(now, id),
            Wait::Grace => {
                let Some(flow) = call.flow() else { return };
                let flow = flow.id;
                self.out.push_back(Output::StopFlow { flow });
                self.forget_flow(now, id, None);
                self.returned(
                    now,
                    id,
                    Outcome {
                        label: "hangup".to_owned(),
                        detail: None,
                    },
                );
            }
            Wait::Call => self.hang_up(id, Cause::Normal),
        }
    }

    fn op_timeout(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if let Stage::Fallback { .. } = call.stage {
            return self.hang_up(id, Cause::Failed);
        }
        let reply = match call.pending() {
            Some(Pending::NextEvent) => Err(FlowError::Timeout),
            Some(Pending::Sleep) => Ok(Reply::Done),
            Some(Pending::Resolving(_)) => Err(FlowError::Unavailable(
                "speech was not ready in time".to_owned(),
            )),
            Some(Pending::Dial(dial)) => {
                let (leg, cause, kind) = (dial.leg, Cause::NoAnswer, dial.left());
                self.journal.note(call, now.wall, kind);
                self.commands.push_back(Command::Hangup { leg, cause });
                Err(FlowError::Failed(
                    "the dialled leg did not end in time".to_owned(),
                ))
            }
            Some(
                Pending::Answer | Pending::Play { .. } | Pending::Gather | Pending::Record { .. },
            ) => Err(FlowError::Failed(
                "the media engine did not answer in time".to_owned(),
            )),
            None => return,
        };
        self.reply(now, id, reply);
    }

    fn configure(&mut self, now: Now, config: Arc<Config>) {
        if config.accounts() != self.config.accounts() {
            self.engine.set_accounts(now, config.accounts());
        }
        self.config = config;
    }

    fn plugin_change(&mut self, now: Now, change: PluginChange) {
        match change {
            PluginChange::Install(plugin) => {
                let reference = plugin.reference().clone();
                match self.registry.install(now, plugin) {
                    Ok(Installed::Unchanged) => {}
                    Ok(Installed::First | Installed::Replaced(_)) => {
                        self.notice(Notice::PluginLive { plugin: reference });
                    }
                    Err(error) => {
                        let why = error.to_string();
                        self.notice(Notice::PluginRefused {
                            plugin: reference,
                            why,
                        });
                    }
                }
            }
            PluginChange::Rollback { name } => match self.registry.rollback(&name) {
                Ok(plugin) => self.notice(Notice::PluginLive { plugin }),
                Err(error) => {
                    let why = error.to_string();
                    let plugin = PluginRef {
                        name: name.as_str().into(),
                        version: "".into(),
                    };
                    self.notice(Notice::PluginRefused { plugin, why });
                }
            },
            PluginChange::Remove { name } => {
                self.registry.remove(&name);
            }
        }
        self.registry_news();
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.out.push_back(Output::Notice(notice));
    }

    pub(crate) fn next_play(&mut self) -> PlayId {
        self.play_last += 1;
        PlayId(self.play_last)
    }

    pub(crate) fn registered(&self, user: &str) -> bool {
        self.engine.registered(user) > 0
    }
}

/// An INVITE that waits for a decision.
struct Incoming {
    leg: LegId,
    from: Party,
    to: String,
    user: Option<String>,
    source: std::net::SocketAddr,
}
