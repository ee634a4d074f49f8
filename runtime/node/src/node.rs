//! The machine: how a call comes in, who looks after it, how it ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use engine::Engine;
use plugin::{Installed, Registry};
use vocab::call::{Cause, Command, Side};
use vocab::flow::{Fault, FaultKind, FlowError, Outcome, PluginRef, Reply};
use vocab::record::CallEventKind;
use vocab::recording::Consent;
use vocab::{CallId, Deadlines, FlowId, LegId, Mono, Now, PlayId, Rng, TenantId, Wall};

use crate::border::{Input, Notice, Output, PluginChange, SpeechId};
use crate::call::{Call, Line, Pending, Stage, Turn};
use crate::catalogue::{Catalogue, Prompts};
use crate::config::{Config, Tenant};
use crate::control::Destination;
use crate::counts::Counts;
use crate::journal::Journal;
use crate::limits::{AFTER_HANGUP, FLOW_WAIT};
use crate::talk::Moving;
use crate::tones::Tones;
use crate::trunk::{self, Answer, Contacts, TrunkView, Trunks};
use crate::wait::Wait;

/// The machine. See the crate's documentation.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Arc<Config>,
    /// What was uploaded for each tenant, configured or not.
    uploaded: BTreeMap<TenantId, Prompts>,
    engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) rng: Rng,
    pub(crate) calls: BTreeMap<CallId, Call>,
    pub(crate) flows: BTreeMap<FlowId, CallId>,
    pub(crate) speeches: BTreeMap<SpeechId, CallId>,
    pub(crate) deadlines: Deadlines<CallId, Wait>,
    pub(crate) journal: Journal,
    pub(crate) draining: bool,
    pub(crate) flow_last: u64,
    play_last: u64,
    pub(crate) speech_last: u64,
    pub(crate) commands: VecDeque<Command>,
    pub(crate) out: VecDeque<Output>,
    pub(crate) tones: Tones,
    pub(crate) trunks: Trunks,
    /// Calls that wait in slots.
    pub(crate) slots: BTreeMap<(TenantId, u16), CallId>,
    /// Parties on their way into another call, by the leg they leave.
    pub(crate) moves: BTreeMap<LegId, Moving>,
    /// What each user dialled last.
    pub(crate) redials: BTreeMap<String, Destination>,
    /// Which call each user's phone put on hold last.
    pub(crate) holding: BTreeMap<String, CallId>,
    /// What our phones and callers know us by, for a 302.
    pub(crate) own_host: String,
    /// When it was last fed.
    fed: Mono,
}

impl Node {
    /// A node without media ports, plugins and tenants; it is given them as inputs.
    pub fn new(engine: engine::Config, registry: Registry, mut rng: Rng) -> Self {
        let contacts = Contacts::new(&engine.sip);
        let own_host = engine.sip.udp.to_string();
        Self {
            config: Arc::default(),
            uploaded: BTreeMap::new(),
            trunks: Trunks::new(contacts, rng.fork()),
            slots: BTreeMap::new(),
            moves: BTreeMap::new(),
            redials: BTreeMap::new(),
            holding: BTreeMap::new(),
            own_host,
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
            fed: Mono::default(),
        }
    }

    /// Feeds one input. The caller drains [`Node::poll`] before the next.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        self.fed = now.mono;
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
            Input::MediaFull { worker, full } => {
                self.engine
                    .handle(now, engine::Input::Full { worker, full });
            }
            Input::Flow { flow, output } => self.flow_output(now, flow, output),
            Input::Committed { through } => self.committed(now, through),
            Input::Refused { seq } => self.refused(seq),
            Input::Spoken { id, result } => self.spoken(now, id, result),
            Input::RecordingCut { recording, length } => {
                self.recording_cut(now, recording, length);
            }
            Input::LookedUp { id, answer } => self.trunks.looked_up(now.mono, id, answer),
            Input::Configure(config) => self.configure(now, config),
            Input::Prompts { tenant, uploaded } => self.set_prompts(tenant, uploaded),
            Input::Plugin(change) => self.plugin_change(now, change),
            Input::Hangup { call } => self.end_call(now, call),
            Input::Control { id, request } => self.control(now, id, request),
            Input::Unban { address } => self.engine.unban(now, address),
            Input::Drain => {
                self.draining = true;
                self.trunks.leave(now.mono);
            }
            Input::Timeout => {
                if self.engine.deadline().is_some_and(|at| at <= now.mono) {
                    self.engine.handle(now, engine::Input::Timeout);
                }
                self.trunks.timeout(now.mono);
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
        let parts = [
            self.engine.deadline(),
            self.deadlines.next(),
            self.trunks.deadline(),
        ];
        parts.into_iter().flatten().min()
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

    /// What a tenant can play; `None` if there is no such tenant.
    pub fn catalogue(&self, tenant: &TenantId) -> Option<&Catalogue> {
        Some(&self.config.tenants().get(tenant)?.catalogue)
    }

    /// The trunks and how they are.
    pub fn trunks(&self) -> impl Iterator<Item = TrunkView> {
        self.trunks.views(self.fed)
    }

    /// Carriers that were told that we leave, and have not answered yet.
    pub fn farewells(&self) -> usize {
        self.trunks.farewells()
    }

    /// Whether it takes no more calls.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Who is banned from signalling, by address.
    pub fn bans(&self) -> impl Iterator<Item = sip::guard::Ban> {
        self.engine.bans()
    }

    /// What a phone may authenticate with until then, besides its password, and its tenant; `None` if
    /// there is no such phone.
    pub fn pass(&self, user: &str, until: Wall) -> Option<(TenantId, sip::auth::Pass)> {
        let tenant = self.config.tenant_of(user)?.id.clone();
        Some((tenant, self.engine.pass(user, until)?))
    }

    /// Users behind `after` in alphabetical order, each with its contacts.
    pub fn registrations(&self, after: &str) -> impl Iterator<Item = (&str, Vec<sip::Contact>)> {
        self.engine.registrations(after)
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
                    engine::Output::Response { id, status, times } => {
                        self.trunks
                            .answered(now.mono, id, &Answer { status, times });
                    }
                    engine::Output::Event(event) => reports.push_back(event),
                }
            }
            if let Some(event) = reports.pop_front() {
                self.event(now, event);
            } else if let Some(command) = self.commands.pop_front() {
                let dialed = match &command {
                    Command::Dial { leg, .. } => Some(*leg),
                    Command::Challenge { .. }
                    | Command::Ring { .. }
                    | Command::Answer { .. }
                    | Command::Reject { .. }
                    | Command::Play { .. }
                    | Command::Stop { .. }
                    | Command::Gather { .. }
                    | Command::Record { .. }
                    | Command::RecordCall { .. }
                    | Command::EndRecording { .. }
                    | Command::Bridge { .. }
                    | Command::Unbridge { .. }
                    | Command::Join { .. }
                    | Command::SetPart { .. }
                    | Command::Beep { .. }
                    | Command::Listen { .. }
                    | Command::Redirect { .. }
                    | Command::Progress { .. }
                    | Command::Reoffer { .. }
                    | Command::Refer { .. }
                    | Command::AnswerRefer { .. }
                    | Command::TellRefer { .. }
                    | Command::Move { .. }
                    | Command::SendDigits { .. }
                    | Command::Hangup { .. } => None,
                };
                self.engine.handle(now, engine::Input::Command(command));
                if let Some(leg) = dialed {
                    self.tell_dialogs(leg);
                }
            } else if let Some(output) = self.trunks.poll() {
                self.trunk_output(now, output);
            } else {
                return;
            }
        }
    }

    /// Tells which dialogs a dialled leg has.
    fn tell_dialogs(&mut self, leg: LegId) {
        for sip_call_id in self.engine.sip_call_ids(leg) {
            let (call, leg) = (leg.call, leg.n);
            self.notice(Notice::Dialog {
                call,
                leg,
                sip_call_id,
            });
        }
    }

    fn trunk_output(&mut self, now: Now, output: trunk::Output) {
        match output {
            trunk::Output::Request(action) => {
                self.engine.handle(now, engine::Input::Request(action));
            }
            trunk::Output::Lookup { id, question } => {
                self.out.push_back(Output::Lookup { id, question });
            }
            trunk::Output::Trusted(addresses) => self.engine.set_trusted(now, addresses),
            trunk::Output::Changed {
                tenant,
                trunk,
                state,
            } => self.notice(Notice::Trunk {
                tenant,
                trunk,
                state,
            }),
        }
    }

    /// The caller's leg has ended, whoever ended it.
    pub(crate) fn caller_gone(&mut self, now: Now, id: CallId, cause: Cause, by: Side) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        // What a rule of ours decided is the cause, not the BYE that carried it out.
        call.line = Line::Gone {
            cause,
            by,
            at: now.wall,
        };
        for wait in [
            Wait::Commit,
            Wait::Op,
            Wait::Trying,
            Wait::Round,
            Wait::Flow,
            Wait::Park,
            Wait::Call,
        ] {
            self.deadlines.clear(id, wait);
        }
        self.nobody_to_join(now, id);
        let call = self.calls.get_mut(&id).expect("just seen");
        match &mut call.stage {
            Stage::Flow(flow) => {
                let turn = std::mem::replace(&mut flow.turn, Turn::Returning);
                let flow = flow.id;
                if let Turn::Host(Pending::Dial(dial)) = turn {
                    self.leave_dialed(now, id, &dial, Cause::Cancelled);
                }
                self.visitor_gone(id);
                self.deadlines.set(id, Wait::Grace, now.mono + AFTER_HANGUP);
                let reason = cause.name().to_owned();
                self.out.push_back(Output::FlowHangup { flow, reason });
            }
            Stage::Talk | Stage::Fallback { .. } | Stage::Leaving => self.finish(now, id),
        }
    }

    /// Writes the call's last event and forgets it.
    pub(crate) fn finish(&mut self, now: Now, id: CallId) {
        self.securing_call_over(now, id);
        self.recording_over(now, id);
        let mut call = self.calls.remove(&id).expect("a call ends once");
        let Line::Gone { cause, by, at } = call.line else {
            panic!("a call ends after its caller's leg");
        };
        self.dismiss_watchers(&mut call, id);
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
            Wait::Commit => self.turn_away(id),
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
            Wait::Trying => self.dialed_in_vain(now, id),
            Wait::Round => self.round_over(now, id),
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
            Wait::Park => self.park_timeout(now, id),
            Wait::Split => self.split_segments(now, id),
            Wait::Resume => self.pause_over(now, id),
            Wait::Secret => self.secret_timeout(now, id),
            Wait::Beep => self.beep_recorded(now, id),
            Wait::Call => self.end_call(now, id),
        }
    }

    fn op_timeout(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        match call.stage {
            Stage::Fallback { .. } => return self.hang_up(id, Cause::Failed),
            Stage::Talk if call.talk.members.is_empty() => {
                // The phone that was to call rang for too long.
                return self.hang_up(id, Cause::NoAnswer);
            }
            Stage::Talk => return self.talk_timeout(now, id),
            Stage::Flow(_) | Stage::Leaving => {}
        }
        if let Some(Pending::Consent { .. }) = call.pending() {
            // Who was not told, or did not answer, is not recorded.
            return self.consented(now, id, Consent::Refused);
        }
        let reply = match call.pending() {
            Some(Pending::NextEvent) => Err(FlowError::Timeout),
            Some(Pending::Sleep) => Ok(Reply::Done),
            Some(Pending::Resolving(_)) => Err(FlowError::Unavailable(
                "speech was not ready in time".to_owned(),
            )),
            Some(Pending::Dial(_)) => {
                if let Some(dial) = self.take_dial(id) {
                    self.leave_dialed(now, id, &dial, Cause::NoAnswer);
                }
                Err(FlowError::Failed(
                    "the dialled leg did not end in time".to_owned(),
                ))
            }
            Some(
                Pending::Answer
                | Pending::Play { .. }
                | Pending::Gather { .. }
                | Pending::Consent { .. }
                | Pending::Record { .. },
            ) => Err(FlowError::Failed(
                "the media engine did not answer in time".to_owned(),
            )),
            None => return,
        };
        self.secret_over(now, id);
        self.reply(now, id, reply);
    }

    fn configure(&mut self, now: Now, mut config: Arc<Config>) {
        for (tenant, uploaded) in &self.uploaded {
            Arc::make_mut(&mut config).set_uploaded(tenant, uploaded);
        }
        if config.accounts() != self.config.accounts() {
            self.engine.set_accounts(now, config.accounts());
        }
        self.trunks.configure(now, config.tenants().values());
        self.config = config;
    }

    /// Other prompts for a tenant's next calls and for those that are up, which keep everything else that
    /// they began with.
    fn set_prompts(&mut self, tenant: TenantId, uploaded: Prompts) {
        Arc::make_mut(&mut self.config).set_uploaded(&tenant, &uploaded);
        // Calls of one configuration share a tenant, and go on doing so.
        let mut renewed: Vec<(Arc<Tenant>, Arc<Tenant>)> = Vec::new();
        for call in self
            .calls
            .values_mut()
            .filter(|call| call.tenant.id == tenant)
        {
            let known = renewed
                .iter()
                .find(|(old, _)| Arc::ptr_eq(old, &call.tenant));
            let new = match known {
                Some((_, new)) => Arc::clone(new),
                None => {
                    let new = Arc::new(call.tenant.with_uploaded(&uploaded));
                    renewed.push((Arc::clone(&call.tenant), Arc::clone(&new)));
                    new
                }
            };
            call.tenant = new;
        }
        self.uploaded.insert(tenant, uploaded);
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

    /// Whether a leg is answered and has not ended.
    pub(crate) fn is_up(&self, leg: LegId) -> bool {
        self.engine.is_up(leg)
    }

    /// The legs of a call that are answered and have not ended.
    pub(crate) fn legs_up(&self, call: CallId) -> impl Iterator<Item = LegId> {
        self.engine.legs_up(call)
    }

    /// Whether a device of a user is registered.
    pub(crate) fn has_device(&self, user: &str, gr: &str) -> bool {
        self.engine.has_device(user, gr)
    }
}
