//! Tones a caller hears where no recording does the job. Made once, shared by all calls.

use media::tone::{self, Region, Tone};
use vocab::Clip;

/// The node's tones.
#[derive(Debug)]
pub(crate) struct Tones {
    /// One period of ringing, to be repeated.
    pub(crate) ringback: Clip,
    /// What a party on hold hears if its tenant has no music of its own.
    pub(crate) music: Clip,
    /// Four seconds of busy.
    pub(crate) busy: Clip,
    /// Before a message.
    pub(crate) beep: Clip,
}

impl Tones {
    pub(crate) fn new() -> Self {
        // China's ringing has a period of five seconds: one on, four off (ITU-T E.180).
        Self {
            ringback: clip("ringback", Tone::ringback(Region::China), 5),
            music: media::music::on_hold(),
            busy: clip("busy", Tone::busy(Region::China), 4),
            beep: tone::beep(300),
        }
    }
}

fn clip(name: &str, mut tone: Tone, seconds: usize) -> Clip {
    let mut samples = vec![0; seconds * Clip::CLOCK_HZ as usize];
    let filled = tone.fill(&mut samples);
    samples.truncate(filled);
    Clip::new(name, samples)
}
