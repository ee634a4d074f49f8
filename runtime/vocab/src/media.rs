//! What is told of a leg's audio when it is over.

use std::time::Duration;

/// What went over one stream of audio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaSummary {
    /// The codec, by its name in SDP, the last one if there were several.
    pub codec: String,
    /// It was secured (SRTP).
    pub secured: bool,
    /// Packets sent.
    pub sent: u64,
    /// Packets received and used.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came too late to be heard.
    pub late: u64,
    /// How unevenly packets came (RFC 3550 §A.8).
    pub jitter: Duration,
    /// Packets of ours that the far end has missed, by its reports.
    pub far_lost: Option<u32>,
    /// The way to the far end and back, by the reports.
    pub round_trip: Option<Duration>,
    /// Hundredths of the opinion score estimated for what was received (ITU-T G.107): 100 to 450.
    /// `None` if nothing was.
    pub mos: Option<u16>,
}
