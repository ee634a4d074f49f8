//! What is told of the recording of a call: its segments.
//!
//! A call is recorded by leg, in **segments**: what one leg said, without a break, in one file. A new
//! one begins after each break. Together they are the recording of the **interaction**: of the call
//! and of the others that its parties made for it, such as a consultation.

use crate::{CallId, Party, RecordingId, TenantId};

/// What is known of a segment when it begins; told before its first sample.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentStart {
    /// Whose call.
    pub tenant: TenantId,
    /// The call with which the interaction began; mostly the recorded one itself.
    pub interaction: CallId,
    /// Names the segment.
    pub recording: RecordingId,
    /// Number of the leg within its call.
    pub leg: u16,
    /// Who speaks.
    pub party: Party,
    /// 1: what the leg said. 2: and, right, what it heard.
    pub channels: u16,
}

/// Why a segment ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SegmentEnd {
    /// Its leg is gone, or the call is over.
    Gone,
    /// Recording was paused; another one follows if it is resumed.
    Paused,
    /// Something was said that must not be kept, such as the number of a card; another one follows.
    Secured,
    /// Recording was stopped for good, or the message is complete.
    Stopped,
    /// Its leg goes on in another call, or another one took its place.
    Moved,
    /// It was as long as a file may be; the next one follows without a break.
    Split,
    /// The disk took no more of it.
    Cut,
    /// The process stopped while the call was up.
    Interrupted,
}

impl SegmentEnd {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Gone,
        Self::Paused,
        Self::Secured,
        Self::Stopped,
        Self::Moved,
        Self::Split,
        Self::Cut,
        Self::Interrupted,
    ];

    /// Stable lower-case name used in records, the API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Paused => "paused",
            Self::Secured => "secured",
            Self::Stopped => "stopped",
            Self::Moved => "moved",
            Self::Split => "split",
            Self::Cut => "cut",
            Self::Interrupted => "interrupted",
        }
    }

    /// The reason with this [`SegmentEnd::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.name() == name)
    }
}

/// Whether who is recorded agreed to it, where a tenant's policy asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Consent {
    /// There was no moment to ask, or to tell: nothing is recorded by itself.
    NotAsked,
    /// It was told, and stayed.
    Announced,
    /// It said yes.
    Given,
    /// It did not say yes.
    Refused,
}

impl Consent {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotAsked, Self::Announced, Self::Given, Self::Refused];

    /// Stable lower-case name used in records and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::Announced => "announced",
            Self::Given => "given",
            Self::Refused => "refused",
        }
    }

    /// Whether the call may be recorded.
    pub fn allows(self) -> bool {
        matches!(self, Self::Announced | Self::Given)
    }
}
