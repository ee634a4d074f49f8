//! Tones: DTMF, ringback, busy, beep and special information.

use std::time::Duration;

use vocab::Clip;

/// Whose call progress tones are used (ITU-T E.180 Supplement 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Region {
    /// China: 450 Hz.
    China,
    /// North America: pairs of 350, 440, 480 and 620 Hz.
    NorthAmerica,
    /// Most of Europe: 425 Hz.
    Europe,
}

/// A tone with its cadence: made piece by piece, phase-continuous, with ramps against clicks.
#[derive(Clone, Debug)]
pub struct Tone {}

impl Tone {
    /// One DTMF digit out of `0-9*#A-D`, followed by a pause. `None` for another character.
    pub fn dtmf(digit: char, on: Duration, off: Duration) -> Option<Self> {
        let _ = (digit, on, off);
        Some(Self {})
    }

    /// The called phone is ringing. Endless.
    pub fn ringback(region: Region) -> Self {
        let _ = region;
        Self {}
    }

    /// The called party is busy. Endless.
    pub fn busy(region: Region) -> Self {
        let _ = region;
        Self {}
    }

    /// No way through the network (reorder). Endless.
    pub fn congestion(region: Region) -> Self {
        let _ = region;
        Self {}
    }

    /// Special information: 950, 1400 and 1800 Hz, 330 ms each, before an announcement.
    pub fn special_information() -> Self {
        Self {}
    }

    /// 1,000 Hz for the given length, as before a recording.
    pub fn beep(length: Duration) -> Self {
        let _ = length;
        Self {}
    }

    /// Writes the next samples and tells how many; fewer than asked for means that it is over.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        out.fill(0);
        0
    }
}

/// A beep of so many milliseconds.
pub fn beep(ms: u32) -> Clip {
    Clip::new("beep", Vec::with_capacity(ms as usize))
}

/// A clip of digits out of `0-9*#A-D`, each sounding for `on` and followed by `off`.
/// `None` if one is not a digit.
pub fn digits(digits: &str, on: Duration, off: Duration) -> Option<Clip> {
    let _ = (digits, on, off);
    None
}
