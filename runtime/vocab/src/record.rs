//! A call's events, which are the truth, and the call record projected from them.
//!
//! Events hold no digits: they may be card numbers and PINs.

use std::time::Duration;

use crate::call::{Cause, GatherEnd, RecordEnd, Side};
use crate::flow::{DialResult, Fault, PluginRef};
use crate::hearing::Hearing;
use crate::recording::{Consent, SegmentEnd};
use crate::{CallId, Direction, MediaSummary, Party, RecordingId, SecretToken, TenantId, Wall};

/// One thing that happened to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallEvent {
    /// Whose call.
    pub tenant: TenantId,
    /// Which call.
    pub call: CallId,
    /// Position within the call, from 1 without gaps.
    pub n: u32,
    /// When.
    pub at: Wall,
    /// What.
    pub kind: CallEventKind,
}

/// What happened to a call. The first event of a call is `Started`, the last `Ended`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallEventKind {
    /// The call reached the node and was accepted for handling.
    Started {
        /// Seen from the node.
        direction: Direction,
        /// Who calls.
        from: Party,
        /// What was dialled.
        to: String,
        /// The authenticated user, if any.
        user: Option<String>,
        /// The SIP `Call-ID` of the first leg.
        sip_call_id: String,
        /// The trunk it came by, if it came by one.
        trunk: Option<String>,
        /// The caller does not want to be shown: `from` is for the record alone.
        withheld: bool,
    },
    /// The first leg is up.
    Answered,
    /// A flow took the call.
    FlowStarted {
        /// Which.
        plugin: PluginRef,
    },
    /// The flow asked for something that takes time: the WIT name and what was played or dialled.
    FlowAsked {
        /// The operation's WIT name.
        op: String,
        /// Clip names or a short description, without private values.
        detail: String,
    },
    /// A gather ended.
    Gathered {
        /// How many digits were pressed.
        digits: u8,
        /// Why it ended.
        end: GatherEnd,
    },
    /// The flow returned.
    FlowEnded {
        /// Its label.
        label: String,
    },
    /// The flow broke; the fallback follows.
    FlowFault {
        /// What it did.
        fault: Fault,
    },
    /// The route's fallback announcement is played.
    Fallback {
        /// Its catalogue name.
        announcement: String,
    },
    /// The call is recorded from now on, in segments.
    RecordingStarted {
        /// Which.
        recording: RecordingId,
    },
    /// A leg is recorded from now on, in a segment.
    SegmentStarted {
        /// Which.
        recording: RecordingId,
        /// Number of the leg within the call.
        leg: u16,
        /// 1: what the leg says. 2: and what it hears.
        channels: u16,
    },
    /// A segment ended.
    SegmentEnded {
        /// Which.
        recording: RecordingId,
        /// Why.
        end: SegmentEnd,
        /// How long it went on.
        length: Duration,
    },
    /// The recording of the call rests.
    RecordingPaused {
        /// The leg that asked for it, if one did.
        by: Option<u16>,
    },
    /// The recording of the call goes on.
    RecordingResumed {
        /// The leg that asked for it, if one did.
        by: Option<u16>,
        /// Why.
        why: PauseEnd,
    },
    /// The recording of the call was stopped before its end.
    RecordingStopped {
        /// The leg that asked for it, if one did.
        by: Option<u16>,
    },
    /// A party is asked for keys that nobody else may know: nothing is recorded, and the others hear a
    /// beep for each.
    SecretStarted {
        /// Who presses.
        leg: u16,
    },
    /// They are in the vault, or there were none.
    SecretEnded {
        /// Who pressed.
        leg: u16,
        /// Stands for them, if there are any.
        token: Option<SecretToken>,
        /// How many.
        digits: u8,
        /// Their check digit is right, as those of payment cards are (ISO/IEC 7812-1 annex B).
        luhn: bool,
        /// Why it ended.
        end: GatherEnd,
    },
    /// Whether the caller agreed to be recorded, where that is asked.
    Consent {
        /// What came of it.
        consent: Consent,
    },
    /// The call is part of an interaction that began with another one.
    Interaction {
        /// The call with which it began.
        with: CallId,
    },
    /// A message was left.
    MessageLeft {
        /// Which.
        recording: RecordingId,
        /// How long.
        length: Duration,
        /// How it ended.
        end: RecordEnd,
    },
    /// A recording ends early: it could not be written. The rest of it is lost.
    RecordingCut {
        /// Which.
        recording: RecordingId,
        /// What is kept of it; of one that is zero there is no file.
        length: Duration,
    },
    /// Another party is called.
    Dialed {
        /// Number of the leg within the call.
        leg: u16,
        /// Whom.
        to: Party,
        /// The trunk that carries it, if it goes outside.
        trunk: Option<String>,
    },
    /// A dial attempt ended.
    DialEnded {
        /// Number of the leg within the call.
        leg: u16,
        /// How.
        result: DialResult,
        /// Why nobody answered, which may tell more than the result.
        cause: Option<Cause>,
        /// The final status that was received, if there was one.
        status: Option<u16>,
    },
    /// Two legs were connected.
    Bridged {
        /// One leg's number.
        a: u16,
        /// The other's.
        b: u16,
    },
    /// The connection ended.
    Unbridged {
        /// One leg's number.
        a: u16,
        /// The other's.
        b: u16,
    },
    /// A step of call control.
    Step {
        /// Which.
        step: Step,
        /// The leg it happened to.
        leg: u16,
        /// The leg that asked for it, if one did.
        by: Option<u16>,
        /// The other leg it concerns, if there is one.
        other: Option<u16>,
        /// More, in a word and without private values.
        detail: String,
    },
    /// What went over a leg's audio. Of one that had several streams, after moving, there are several.
    Media {
        /// Number of the leg within the call.
        leg: u16,
        /// What.
        media: MediaSummary,
    },
    /// Something was heard of a leg besides words and keys.
    Heard {
        /// Number of the leg within the call.
        leg: u16,
        /// What.
        hearing: Hearing,
    },
    /// A fact was remembered with the call; only the key is kept here.
    AttrSet {
        /// Its key.
        key: String,
    },
    /// The call is over.
    Ended {
        /// Why.
        cause: Cause,
        /// Who ended it.
        by: Side,
    },
}

impl CallEventKind {
    /// Stable dotted name used in the log, the API and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "call.started",
            Self::Answered => "call.answered",
            Self::FlowStarted { .. } => "flow.started",
            Self::FlowAsked { .. } => "flow.asked",
            Self::Gathered { .. } => "flow.gathered",
            Self::FlowEnded { .. } => "flow.ended",
            Self::FlowFault { .. } => "flow.fault",
            Self::Fallback { .. } => "call.fallback",
            Self::RecordingStarted { .. } => "recording.started",
            Self::SegmentStarted { .. } => "recording.segment_started",
            Self::SegmentEnded { .. } => "recording.segment_ended",
            Self::RecordingPaused { .. } => "recording.paused",
            Self::RecordingResumed { .. } => "recording.resumed",
            Self::RecordingStopped { .. } => "recording.stopped",
            Self::SecretStarted { .. } => "secret.started",
            Self::SecretEnded { .. } => "secret.ended",
            Self::Consent { .. } => "recording.consent",
            Self::Interaction { .. } => "call.interaction",
            Self::MessageLeft { .. } => "message.left",
            Self::RecordingCut { .. } => "recording.cut",
            Self::Dialed { .. } => "leg.dialed",
            Self::DialEnded { .. } => "leg.dial_ended",
            Self::Bridged { .. } => "leg.bridged",
            Self::Unbridged { .. } => "leg.unbridged",
            Self::Step { step, .. } => step.name(),
            Self::Media { .. } => "leg.media",
            Self::Heard { hearing, .. } => match hearing {
                Hearing::Signal(_) => "leg.signal",
                Hearing::Answerer(_) => "leg.answerer",
                Hearing::MessageEnded(_) => "leg.message_ended",
            },
            Self::AttrSet { .. } => "call.attr_set",
            Self::Ended { .. } => "call.ended",
        }
    }
}

/// Why a recording goes on after a pause.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PauseEnd {
    /// Somebody asked for it.
    Asked,
    /// The pause was as long as it may be.
    Time,
}

impl PauseEnd {
    /// Stable lower-case name used in the log and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Time => "time",
        }
    }
}

/// A step of call control.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step {
    /// The leg was put on hold: it hears music.
    Held,
    /// The leg is talked with again.
    Retrieved,
    /// The leg is to go to somebody else.
    TransferAsked,
    /// The leg talks with somebody else, and who transferred it is out of the call.
    Transferred,
    /// Nobody took the leg.
    TransferFailed,
    /// Who transferred the leg is called, since nobody took it.
    CalledBack,
    /// Somebody is asked while the leg waits.
    Consulting,
    /// The asking is over, and the leg is talked with again.
    ConsultEnded,
    /// The leg waits, and the one who waited is talked with.
    Swapped,
    /// All are to talk with each other.
    Merged,
    /// The leg talks with all others who joined.
    Joined,
    /// The leg is out of the conference.
    Left,
    /// The leg waits in a slot; the detail is its number.
    Parked,
    /// Somebody took the leg from its slot.
    PickedUp,
    /// Nobody took the leg from its slot in time.
    ParkTimedOut,
    /// The unanswered leg was sent elsewhere.
    Redirected,
    /// The leg goes through a flow and is to come back.
    FlowVisited,
    /// The leg is back; the detail is the flow's result.
    FlowReturned,
    /// The leg was sent digits; the detail is how many.
    DigitsSent,
    /// The leg goes on in another call.
    MovedAway,
    /// The leg's place was taken by somebody from another call.
    TakenOver,
    /// The leg came from another call, which the detail names.
    MovedIn,
    /// The leg is gone from a call that goes on; the detail is the cause.
    Gone,
    /// Somebody watches the leg; the detail tells how: `listen`, `whisper` or `barge`.
    Watched,
    /// Who watches the leg does so in another way; the detail tells how.
    WatchedAs,
    /// Who watched the leg has left; the detail is the cause.
    Unwatched,
    /// Who watched the leg goes on in its place.
    PlaceTaken,
    /// Nobody came whom the leg wanted to join; the detail tells why.
    NotAdded,
    /// The leg is louder or softer to those it talks with, or they to it; the detail tells how.
    Adjusted,
    /// Audio of the leg goes only one way; the detail tells what is missing: `in`, what it says, or
    /// `out`, what it is to hear.
    OneWay,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::Held,
        Self::Retrieved,
        Self::TransferAsked,
        Self::Transferred,
        Self::TransferFailed,
        Self::CalledBack,
        Self::Consulting,
        Self::ConsultEnded,
        Self::Swapped,
        Self::Merged,
        Self::Joined,
        Self::Left,
        Self::Parked,
        Self::PickedUp,
        Self::ParkTimedOut,
        Self::Redirected,
        Self::FlowVisited,
        Self::FlowReturned,
        Self::DigitsSent,
        Self::MovedAway,
        Self::TakenOver,
        Self::MovedIn,
        Self::Gone,
        Self::Watched,
        Self::WatchedAs,
        Self::Unwatched,
        Self::PlaceTaken,
        Self::NotAdded,
        Self::Adjusted,
        Self::OneWay,
    ];

    /// Stable dotted name used in the log, the API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "leg.held",
            Self::Retrieved => "leg.retrieved",
            Self::TransferAsked => "transfer.asked",
            Self::Transferred => "transfer.done",
            Self::TransferFailed => "transfer.failed",
            Self::CalledBack => "transfer.called_back",
            Self::Consulting => "consult.started",
            Self::ConsultEnded => "consult.ended",
            Self::Swapped => "consult.swapped",
            Self::Merged => "conference.started",
            Self::Joined => "conference.joined",
            Self::Left => "conference.left",
            Self::Parked => "park.parked",
            Self::PickedUp => "park.picked_up",
            Self::ParkTimedOut => "park.timed_out",
            Self::Redirected => "call.redirected",
            Self::FlowVisited => "flow.visited",
            Self::FlowReturned => "flow.returned",
            Self::DigitsSent => "leg.digits_sent",
            Self::MovedAway => "leg.moved_away",
            Self::TakenOver => "leg.taken_over",
            Self::MovedIn => "leg.moved_in",
            Self::Gone => "leg.gone",
            Self::Watched => "supervision.began",
            Self::WatchedAs => "supervision.changed",
            Self::Unwatched => "supervision.ended",
            Self::PlaceTaken => "supervision.took_over",
            Self::NotAdded => "conference.not_added",
            Self::Adjusted => "leg.adjusted",
            Self::OneWay => "leg.one_way",
        }
    }
}

/// What became of a call, in one word. Asterisk's CDR dispositions, and `Interrupted`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Disposition {
    /// Still going on.
    Active,
    /// It was answered.
    Answered,
    /// It ended unanswered.
    NoAnswer,
    /// It was busy.
    Busy,
    /// It failed before an answer.
    Failed,
    /// The process stopped while it was up.
    Interrupted,
}

impl Disposition {
    /// Stable lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Answered => "answered",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One call in one row, projected from its events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallRecord {
    /// Whose call.
    pub tenant: TenantId,
    /// Which call.
    pub call: CallId,
    /// Seen from the node.
    pub direction: Direction,
    /// Who called.
    pub from: Party,
    /// What was dialled.
    pub to: String,
    /// The authenticated user, if any.
    pub user: Option<String>,
    /// The SIP `Call-ID` of the first leg.
    pub sip_call_id: String,
    /// When the call reached the node.
    pub started_at: Wall,
    /// When it was answered.
    pub answered_at: Option<Wall>,
    /// When it ended.
    pub ended_at: Option<Wall>,
    /// In one word.
    pub disposition: Disposition,
    /// Why it ended.
    pub cause: Option<Cause>,
    /// Who ended it.
    pub ended_by: Option<Side>,
    /// The flow that took it.
    pub plugin: Option<PluginRef>,
    /// What the flow returned.
    pub outcome: Option<String>,
    /// The flow's fault, as text.
    pub fault: Option<String>,
    /// The recording of the whole call.
    pub recording: Option<RecordingId>,
    /// Messages left.
    pub messages: Vec<RecordingId>,
    /// The call with which its interaction began; itself unless it was told of another.
    pub interaction: CallId,
    /// Whether the caller agreed to be recorded, if that was asked.
    pub consent: Option<Consent>,
    /// Number of events so far.
    pub events: u32,
}
