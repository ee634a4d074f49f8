//! The stored spelling of closed sets of words.
//!
//! A spelling here is a promise to every database ever written: add, never change. It is apart
//! from the `name()` of the core types on purpose, so that renaming one breaks no log.

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use vocab::call::{Cause, GatherEnd, RecordEnd, Side};
use vocab::flow::{DialResult, FaultKind};
use vocab::record::{Disposition, PauseEnd, Step};
use vocab::recording::{Consent, SegmentEnd};
use vocab::{Direction, Party};

/// A core type that is stored as one word.
pub(crate) trait Word: Sized + Copy {
    /// As stored.
    fn text(self) -> &'static str;
    /// From what is stored.
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $text:literal,)+ })+) => {$(
        impl Word for $name {
            fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    )+};
}

words! {
    Direction {
        Inbound = "inbound",
        Outbound = "outbound",
    }
    Side {
        Far = "far",
        Near = "near",
    }
    GatherEnd {
        Complete = "complete",
        Terminator = "terminator",
        Timeout = "timeout",
        Hangup = "hangup",
    }
    RecordEnd {
        Terminator = "terminator",
        MaxTime = "max_time",
        Silence = "silence",
        Hangup = "hangup",
    }
    SegmentEnd {
        Gone = "gone",
        Paused = "paused",
        Secured = "secured",
        Stopped = "stopped",
        Moved = "moved",
        Split = "split",
        Cut = "cut",
        Interrupted = "interrupted",
    }
    Consent {
        NotAsked = "not_asked",
        Announced = "announced",
        Given = "given",
        Refused = "refused",
    }
    PauseEnd {
        Asked = "asked",
        Time = "time",
    }
    DialResult {
        Answered = "answered",
        Busy = "busy",
        NoAnswer = "no_answer",
        Rejected = "rejected",
        Unreachable = "unreachable",
    }
    FaultKind {
        Panic = "panic",
        Trap = "trap",
        OutOfTime = "out_of_time",
        OutOfMemory = "out_of_memory",
        StackOverflow = "stack_overflow",
        HostLimit = "host_limit",
        Error = "error",
        Start = "start",
        Stalled = "stalled",
    }
    Cause {
        Normal = "normal",
        Busy = "busy",
        NoAnswer = "no_answer",
        Rejected = "rejected",
        Blocked = "blocked",
        NotFound = "not_found",
        Unreachable = "unreachable",
        Cancelled = "cancelled",
        Challenged = "challenged",
        NotAcceptable = "not_acceptable",
        Lost = "lost",
        Overload = "overload",
        Failed = "failed",
        Transferred = "transferred",
        Elsewhere = "elsewhere",
        Interrupted = "interrupted",
    }
    Step {
        Held = "leg.held",
        Retrieved = "leg.retrieved",
        TransferAsked = "transfer.asked",
        Transferred = "transfer.done",
        TransferFailed = "transfer.failed",
        CalledBack = "transfer.called_back",
        Consulting = "consult.started",
        ConsultEnded = "consult.ended",
        Swapped = "consult.swapped",
        Merged = "conference.started",
        Joined = "conference.joined",
        Left = "conference.left",
        Parked = "park.parked",
        PickedUp = "park.picked_up",
        ParkTimedOut = "park.timed_out",
        Redirected = "call.redirected",
        FlowVisited = "flow.visited",
        FlowReturned = "flow.returned",
        DigitsSent = "leg.digits_sent",
        MovedAway = "leg.moved_away",
        TakenOver = "leg.taken_over",
        MovedIn = "leg.moved_in",
        Gone = "leg.gone",
        Watched = "supervision.began",
        WatchedAs = "supervision.changed",
        Unwatched = "supervision.ended",
        PlaceTaken = "supervision.took_over",
        NotAdded = "conference.not_added",
        Adjusted = "leg.adjusted",
        OneWay = "leg.one_way",
    }
    Disposition {
        Active = "active",
        Answered = "answered",
        NoAnswer = "no_answer",
        Busy = "busy",
        Failed = "failed",
        Interrupted = "interrupted",
    }
}

/// A [`Word`] in JSON.
pub(super) struct W<T>(pub(super) T);

impl<T: Word> Serialize for W<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.text())
    }
}

impl<'de, T: Word> Deserialize<'de> for W<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        T::from_text(text)
            .map(Self)
            .ok_or_else(|| de::Error::custom(format_args!("unknown word `{text}`")))
    }
}

/// A party as stored: `tel:` and a number (RFC 3966), `sip:` and an address, or `anonymous`.
pub(crate) fn party_text(party: &Party) -> String {
    match party {
        Party::E164(number) => format!("tel:{}", cut(number)),
        Party::Sip(address) => format!("sip:{}", cut(address)),
        Party::Anonymous => "anonymous".to_owned(),
    }
}

/// The party stored as this text.
pub(crate) fn party_from_text(text: &str) -> Option<Party> {
    match text.split_once(':') {
        Some(("tel", number)) => Some(Party::E164(number.to_owned())),
        Some(("sip", address)) => Some(Party::Sip(address.to_owned())),
        None if text == "anonymous" => Some(Party::Anonymous),
        Some(_) | None => None,
    }
}

/// As much of a text as is kept: up to [`crate::limits::TEXT_BYTES_MAX`], whole characters.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(crate::limits::TEXT_BYTES_MAX)]
}
