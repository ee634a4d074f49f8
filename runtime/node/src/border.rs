//! The border of the room: what a [`Node`](crate::Node) is fed and what it asks for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::WorkerId;
use plugin::{Plugin, RunOutput};
use sip::locate::{Answer, LookupId, NoAnswer, Question};
use sip::{ConnId, Hop};
use vocab::call::{Cause, Unregistered};
use vocab::flow::{CallInfo, Fault, FlowError, Level, PluginRef, Reply};
use vocab::hearing::Hearing;
use vocab::record::CallEvent;
use vocab::recording::SegmentStart;
use vocab::{CallId, Clip, FlowId, Pii, RecordingId, SecretToken, TenantId};

use crate::catalogue::Prompts;
use crate::config::{Config, Route};
use crate::control::{Control, ControlError, ControlId, Controlled};
use crate::trunk::TrunkState;

/// A piece of speech being made. Counted within a node's run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpeechId(pub u64);

/// Something the node is fed.
#[derive(Debug)]
pub enum Input<'a> {
    /// From the network, for signalling.
    Sip(sip::Input<'a>),
    /// From a media worker.
    Media {
        /// Which.
        worker: WorkerId,
        /// What.
        event: media::Event,
    },
    /// A media worker has no time for more calls, or has again. Those that are up go on.
    MediaFull {
        /// Which.
        worker: WorkerId,
        /// It has none.
        full: bool,
    },
    /// The shell has bound RTP ports for a worker.
    Ports {
        /// Which.
        worker: WorkerId,
        /// As the far end sees them.
        ports: Vec<SocketAddr>,
    },
    /// From a flow.
    Flow {
        /// Which.
        flow: FlowId,
        /// What. `Yielded` is the shell's matter and not for here.
        output: RunOutput,
    },
    /// The store has everything up to and with this number on disk.
    Committed {
        /// From `Output::Persist`.
        through: u64,
    },
    /// The store could not write this batch of a call; nothing of it is on disk.
    Refused {
        /// From `Output::Persist`.
        seq: u64,
    },
    /// Speech is ready, or could not be made.
    Spoken {
        /// From `Output::Speak`.
        id: SpeechId,
        /// The audio, or why not.
        result: Result<Clip, String>,
    },
    /// A recording could not be written on; the rest of it is lost.
    RecordingCut {
        /// Which.
        recording: RecordingId,
        /// What is kept of it; zero if there is no file.
        length: Duration,
    },
    /// A DNS server answered, or did not.
    LookedUp {
        /// From `Output::Lookup`.
        id: LookupId,
        /// What it said.
        answer: Result<Answer, NoAnswer>,
    },
    /// A new configuration. Live calls keep what they began with.
    Configure(Arc<Config>),
    /// A tenant's uploaded prompts, all of them. What is played from now on is out of these, in live calls
    /// as well.
    Prompts {
        /// Whose.
        tenant: TenantId,
        /// They take the place of those of the same name in the tenant's folder.
        uploaded: Prompts,
    },
    /// A plugin was loaded or taken back.
    Plugin(PluginChange),
    /// An operator ends a call.
    Hangup {
        /// Which.
        call: CallId,
    },
    /// An operator asks for something. Answered by [`Output::Controlled`].
    Control {
        /// Names it.
        id: ControlId,
        /// What.
        request: Control,
    },
    /// An operator ends the ban of an address.
    Unban {
        /// Which; in IPv6 any of its /64.
        address: IpAddr,
    },
    /// Take no more calls, and have carriers send none; the ones that are up go on.
    Drain,
    /// [`Node::deadline`](crate::Node::deadline) has come.
    Timeout,
}

/// What happened to a plugin's versions.
#[derive(Clone, Debug)]
pub enum PluginChange {
    /// A version takes new calls from now on.
    Install(Plugin),
    /// Back to the version before.
    Rollback {
        /// The plugin's name.
        name: String,
    },
    /// No new calls for this plugin.
    Remove {
        /// The plugin's name.
        name: String,
    },
}

/// Something the node asks for.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where.
        hop: Hop,
        /// One whole SIP message.
        bytes: Arc<[u8]>,
    },
    /// Close a stream.
    CloseStream {
        /// Which.
        conn: ConnId,
    },
    /// Tell a media worker.
    Media {
        /// Which.
        worker: WorkerId,
        /// What.
        command: media::Command,
    },
    /// Run a plugin for a call.
    StartFlow {
        /// Names the run.
        flow: FlowId,
        /// The version to run.
        plugin: Plugin,
        /// Its call.
        info: CallInfo,
        /// Settings and grant.
        route: Arc<Route>,
        /// For the guest's random numbers.
        seed: u64,
    },
    /// Answer a flow's wish.
    Reply {
        /// Which.
        flow: FlowId,
        /// The answer.
        reply: Result<Reply, FlowError>,
    },
    /// The caller is gone; the flow may finish.
    FlowHangup {
        /// Which.
        flow: FlowId,
        /// Why.
        reason: String,
    },
    /// Drop a flow, wherever it is. No more is expected of it.
    StopFlow {
        /// Which.
        flow: FlowId,
    },
    /// Write events. Answered by `Committed` or `Refused`.
    Persist {
        /// Counts from 1 without gaps.
        seq: u64,
        /// Of one call, in order.
        events: Vec<CallEvent>,
        /// An answer waits for it.
        urgent: bool,
    },
    /// Make speech. Answered by `Spoken`.
    Speak {
        /// Names it.
        id: SpeechId,
        /// What is said.
        text: Pii<String>,
        /// A voice or a language tag.
        voice: String,
    },
    /// What came of a request.
    Controlled {
        /// From [`Input::Control`].
        id: ControlId,
        /// The answer.
        result: Result<Controlled, ControlError>,
    },
    /// Ask a DNS server. Answered by `LookedUp`; if it never is, the node goes on after some seconds.
    Lookup {
        /// Names the lookup.
        id: LookupId,
        /// What to ask.
        question: Question,
    },
    /// Digits that nobody but the vault may know.
    Secret(Secret),
    /// A segment of a call's recording, or a message, is about to begin. Comes before the media worker is told.
    Segment(SegmentStart),
    /// Something worth a log line or a count.
    Notice(Notice),
}

/// Something worth a log line or a count. Carries no private value.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// A call was taken in.
    Started {
        /// Whose.
        tenant: TenantId,
        /// Which.
        call: CallId,
        /// The dialled route.
        route: String,
    },
    /// A SIP dialog belongs to a leg of a call. Comes before the messages of a dialog that the
    /// node opens; may come again for one that is known.
    Dialog {
        /// Which call.
        call: CallId,
        /// The leg's number within the call.
        leg: u16,
        /// The dialog's `Call-ID`. Written by the far end, for a leg that came in.
        sip_call_id: Arc<str>,
    },
    /// A call was answered.
    Answered {
        /// Which.
        call: CallId,
        /// From the INVITE to the ACK.
        after: Duration,
    },
    /// A signal was heard of a leg, or who answered.
    Heard {
        /// Which call.
        call: CallId,
        /// What.
        hearing: Hearing,
    },
    /// A party of a conference begins to talk, or has not talked for half a second.
    Talking {
        /// Whose.
        tenant: TenantId,
        /// Which call.
        call: CallId,
        /// The leg's number within the call.
        leg: u16,
        /// It talks now.
        talking: bool,
    },
    /// Of those who talk in a conference this party is heard most from now on.
    Speaker {
        /// Whose.
        tenant: TenantId,
        /// Which call.
        call: CallId,
        /// The leg's number within the call.
        leg: u16,
    },
    /// A call is over.
    Ended {
        /// Whose.
        tenant: TenantId,
        /// Which.
        call: CallId,
        /// Why.
        cause: Cause,
        /// From start to end.
        duration: Duration,
    },
    /// A call was turned away before it began.
    TurnedAway {
        /// Where it came from.
        source: SocketAddr,
        /// Why.
        refusal: Refusal,
    },
    /// A plugin broke; its caller hears the fallback.
    Fault {
        /// Whose call.
        tenant: TenantId,
        /// Which call.
        call: CallId,
        /// What it did.
        fault: Fault,
    },
    /// A plugin asked for what it was not granted.
    Denied {
        /// Which call.
        call: CallId,
        /// Which plugin.
        plugin: PluginRef,
        /// What it lacked.
        capability: &'static str,
    },
    /// A plugin wrote a log line.
    PluginLog {
        /// Which call.
        call: CallId,
        /// Which plugin.
        plugin: PluginRef,
        /// How loud.
        level: Level,
        /// What. Written by the plugin: may hold anything, length is bounded by the host.
        message: String,
    },
    /// A plugin version takes new calls.
    PluginLive {
        /// Which.
        plugin: PluginRef,
    },
    /// A plugin version was not taken.
    PluginRefused {
        /// Which.
        plugin: PluginRef,
        /// Why, in one line.
        why: String,
    },
    /// A plugin version was taken back after too many faults.
    PluginRolledBack {
        /// What failed.
        from: PluginRef,
        /// What takes new calls now.
        to: PluginRef,
    },
    /// A plugin fails again and again, and no earlier version is kept.
    PluginFailing {
        /// Which.
        plugin: PluginRef,
    },
    /// The last call on an older version has ended; its code is kept for a rollback.
    PluginDrained {
        /// Which.
        plugin: PluginRef,
    },
    /// An older version with no calls left was forgotten.
    PluginFreed {
        /// Which.
        plugin: PluginRef,
    },
    /// A trunk came up or went down.
    Trunk {
        /// Whose.
        tenant: TenantId,
        /// Which.
        trunk: String,
        /// What it is now.
        state: TrunkState,
    },
    /// A call goes on to the next trunk.
    Failover {
        /// Which call.
        call: CallId,
        /// The trunk that did not take it.
        from: String,
    },
    /// A phone registered or refreshed.
    Registered {
        /// Whose phone.
        tenant: Option<TenantId>,
        /// The user.
        user: String,
        /// Contacts it now has.
        contacts: usize,
        /// It had at least as many before: nothing new, only a refresh.
        refreshed: bool,
    },
    /// A user has no phone any more.
    Unregistered {
        /// Whose phone.
        tenant: Option<TenantId>,
        /// The user.
        user: String,
        /// Why.
        why: Unregistered,
    },
    /// Wrong credentials.
    AuthFailed {
        /// Where they came from.
        source: SocketAddr,
    },
    /// A source of signalling gets no answer for some time.
    Banned {
        /// The address; in IPv6 the first of its /64.
        source: IpAddr,
        /// Why: a stable lower-case name.
        reason: &'static str,
        /// For how long.
        lasting: Duration,
    },
    /// Events of a call could not be written.
    NotWritten {
        /// Which.
        call: CallId,
    },
}

/// Why a call was turned away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Refusal {
    /// No such number.
    UnknownNumber,
    /// Credentials are needed; the caller was asked for them.
    Credentials,
    /// The node takes no more calls.
    Draining,
    /// Too many events wait for the disk.
    Overload,
    /// All lines of the trunk it came by are in use.
    TrunkFull,
    /// A slot was dialled in which nobody waits.
    SlotEmpty,
    /// Whoever waits in the slot is being taken by somebody else.
    SlotTaken,
}

impl Refusal {
    /// Stable lower-case name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownNumber => "unknown_number",
            Self::Credentials => "credentials",
            Self::Draining => "draining",
            Self::Overload => "overload",
            Self::TrunkFull => "trunk_full",
            Self::SlotEmpty => "slot_empty",
            Self::SlotTaken => "slot_taken",
        }
    }
}

/// Digits for the vault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secret {
    /// Stands for them.
    pub token: SecretToken,
    /// Whose call it was.
    pub tenant: TenantId,
    /// The call they were pressed in.
    pub call: CallId,
    /// What was pressed.
    pub digits: Pii<String>,
}
