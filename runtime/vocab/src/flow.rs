//! The border of `plugin`: what a flow asks for and what it is told. Mirrors `wit/ivr`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::call::{GatherEnd, GatherSpec};
use crate::{CallId, Direction, Party, Pii, SecretToken, Wall};

/// A plugin and its version, as its manifest names them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PluginRef {
    /// Name: 1 to 63 characters of `a-z`, `0-9` and `-`.
    pub name: Arc<str>,
    /// Semantic version.
    pub version: Arc<str>,
}

impl fmt::Display for PluginRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// What a flow knows of its call when it starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallInfo {
    /// The call.
    pub call: CallId,
    /// Seen from the node.
    pub direction: Direction,
    /// Who calls.
    pub caller: Party,
    /// Who was called.
    pub callee: Party,
    /// When the call reached the node.
    pub started_at: Wall,
    /// The tenant's language tag, such as `zh-CN`, and other facts set by the node.
    pub attrs: Vec<(String, String)>,
}

/// One piece of what is played. Mirrors `calls.prompt`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Prompt {
    /// Audio by catalogue name.
    Audio(String),
    /// Text to be synthesised, with a voice or language.
    Say {
        /// What is said.
        text: Pii<String>,
        /// A voice or a language tag; the call's language if none.
        voice: Option<String>,
    },
    /// A spoken value.
    Value {
        /// `digits`, `telephone`, `number`, `ordinal`, `date`, `year`, `time`, `duration` or
        /// `amount:` with an ISO 4217 code, as `amount:CNY`.
        kind: String,
        /// The value in plain form, such as `2026-11-21`.
        value: Pii<String>,
    },
    /// Nothing, for a while.
    Silence(Duration),
}

/// Whom a flow dials. Mirrors `calls.dial-target`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DialTarget {
    /// An agent by id.
    Agent(String),
    /// A queue by name.
    Queue(String),
    /// A number in E.164 form.
    E164(String),
    /// A registered user or a SIP address.
    Sip(String),
}

/// Options of a dial. Mirrors `calls.dial-options`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DialOptions {
    /// Give up after this long without an answer.
    pub timeout: Duration,
    /// Shown instead of the caller, if allowed.
    pub caller_id: Option<String>,
    /// Heard by the called party before the two are connected.
    pub whisper: Vec<Prompt>,
}

/// How a dial attempt ended. Mirrors `calls.dial-result`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DialResult {
    /// It was answered and bridged; the bridge is over.
    Answered,
    /// Busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// Refused.
    Rejected,
    /// Could not be reached.
    Unreachable,
}

/// What a flow asks for. Each is answered once, by a [`Reply`] or a [`FlowError`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Accept the call. Done at once if it is up.
    Answer,
    /// Play to the end.
    Play {
        /// In order.
        prompts: Vec<Prompt>,
    },
    /// Start playing; answered at once with [`Reply::Token`].
    PlayStart {
        /// In order.
        prompts: Vec<Prompt>,
        /// Until stopped.
        repeat: bool,
    },
    /// Stop what `PlayStart` started.
    PlayStop {
        /// From [`Reply::Token`].
        token: u32,
    },
    /// Play and collect digits.
    Gather {
        /// Played first.
        prompts: Vec<Prompt>,
        /// What is collected.
        spec: GatherSpec,
        /// The digits go into the vault, and nowhere else; answered with [`Reply::Secret`].
        secret: bool,
    },
    /// Change what is recorded of the call.
    Tape(Taping),
    /// Record the caller; answered with [`Reply::Recorded`].
    Record {
        /// Ends after this long.
        max: Duration,
        /// Ends after this much silence; zero never.
        silence: Duration,
        /// A tone first.
        beep: bool,
    },
    /// Dial, bridge, and wait until the bridge ends or the attempt failed.
    Dial {
        /// Whom.
        target: DialTarget,
        /// How.
        options: DialOptions,
    },
    /// Put the call into a queue.
    Enqueue {
        /// The queue's name.
        queue: String,
        /// Higher first.
        priority: i32,
        /// Handed to routing.
        attrs: Vec<(String, String)>,
    },
    /// Give the call away; the flow is over once it is done.
    Transfer {
        /// To whom.
        target: DialTarget,
    },
    /// Wait for the next event.
    NextEvent {
        /// Longest wait.
        timeout: Duration,
    },
    /// Wait.
    Sleep {
        /// How long.
        time: Duration,
    },
    /// Remember a fact with the call; `language` also changes the prompts' language.
    SetAttr {
        /// 1 to 64 characters.
        key: String,
        /// Up to 1,024 characters.
        value: Pii<String>,
    },
    /// End the call.
    Hangup {
        /// For the record.
        cause: Option<String>,
    },
}

impl Op {
    /// Stable name used in events, logs and metrics; the WIT function's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Play { .. } => "play",
            Self::PlayStart { .. } => "play-start",
            Self::PlayStop { .. } => "play-stop",
            Self::Gather { secret: false, .. } => "gather",
            Self::Gather { secret: true, .. } => "gather-secret",
            Self::Tape(Taping::Start) => "record-start",
            Self::Tape(Taping::Pause { .. }) => "record-pause",
            Self::Tape(Taping::Resume) => "record-resume",
            Self::Tape(Taping::Stop) => "record-stop",
            Self::Record { .. } => "record-audio",
            Self::Dial { .. } => "dial",
            Self::Enqueue { .. } => "enqueue",
            Self::Transfer { .. } => "transfer",
            Self::NextEvent { .. } => "next-event",
            Self::Sleep { .. } => "sleep",
            Self::SetAttr { .. } => "set-attr",
            Self::Hangup { .. } => "hangup",
        }
    }
}

/// What a flow wants of its call's recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taping {
    /// Record it.
    Start,
    /// Not for a while: for so long at most, or for as long as is usual.
    Pause {
        /// It goes on by itself after this long.
        lasting: Option<Duration>,
    },
    /// Record it again.
    Resume,
    /// Record it no more.
    Stop,
}

/// What a flow is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Done, nothing to say.
    Done,
    /// Names a running playback.
    Token(u32),
    /// What was pressed.
    Digits {
        /// Without terminator.
        value: Pii<String>,
        /// Why it ended.
        end: GatherEnd,
    },
    /// What was pressed is in the vault.
    Secret {
        /// Stands for it; `None` if nothing was pressed.
        token: Option<SecretToken>,
        /// How many digits.
        digits: u8,
        /// Their check digit is right, as those of payment cards are (ISO/IEC 7812-1 annex B).
        luhn: bool,
        /// Why it ended.
        end: GatherEnd,
    },
    /// The recording's id.
    Recorded(String),
    /// How a dial attempt went.
    Dialed {
        /// Its end.
        result: DialResult,
        /// More about it, such as a SIP status.
        cause: Option<String>,
        /// Time the two were connected.
        talk: Duration,
    },
    /// An event.
    Event(FlowEvent),
}

/// Something that happened while the flow was waiting or busy. Mirrors `calls.event`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FlowEvent {
    /// A key was pressed.
    Dtmf(Pii<char>),
    /// A playback started by `PlayStart` ended.
    PlayDone(u32),
}

/// Why an operation did not succeed. Mirrors `types.error`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FlowError {
    /// The far end is gone.
    Hangup(String),
    /// No event, or no answer, in time.
    Timeout,
    /// The operator or a rule ended it.
    Cancelled,
    /// Not granted.
    Denied(String),
    /// An argument makes no sense.
    Invalid(String),
    /// A limit was reached.
    Limit(String),
    /// No such prompt, queue or target.
    NotFound(String),
    /// This version of the host cannot do it.
    Unsupported(String),
    /// It cannot be done now.
    Unavailable(String),
    /// It was tried and failed.
    Failed(String),
}

/// What a flow returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// A word for reports, such as `sales`.
    pub label: String,
    /// More, for a person.
    pub detail: Option<String>,
}

/// What a plugin did wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FaultKind {
    /// It panicked.
    Panic,
    /// It ran into an `unreachable`, a bad pointer or another trap.
    Trap,
    /// It spent its CPU time.
    OutOfTime,
    /// It asked for more memory than it may have.
    OutOfMemory,
    /// It recursed too deep.
    StackOverflow,
    /// It broke a limit on host calls, handles or data handed over.
    HostLimit,
    /// It returned an error that is not a normal end.
    Error,
    /// It could not be started at all.
    Start,
    /// It did not ask for anything for longer than it may.
    Stalled,
}

impl FaultKind {
    /// Stable lower-case name used in records, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Trap => "trap",
            Self::OutOfTime => "out_of_time",
            Self::OutOfMemory => "out_of_memory",
            Self::StackOverflow => "stack_overflow",
            Self::HostLimit => "host_limit",
            Self::Error => "error",
            Self::Start => "start",
            Self::Stalled => "stalled",
        }
    }
}

/// A plugin's fault: it hurts this one call, whose caller hears the route's fallback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The plugin that did it.
    pub plugin: PluginRef,
    /// What it did.
    pub kind: FaultKind,
    /// The panic message or trap, cut to 512 characters; never a host backtrace.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "plugin {}: {}: {}",
            self.plugin,
            self.kind.name(),
            self.detail
        )
    }
}

/// How loud a log line is. Mirrors `log.level`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Every step.
    Trace,
    /// For the plugin's author.
    Debug,
    /// Milestones.
    Info,
    /// Degraded but carried on.
    Warn,
    /// Somebody must act.
    Error,
}
