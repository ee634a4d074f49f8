//! How many samples a second audio has inside, and 20 ms of it.

use std::ops::{Deref, DerefMut};

/// Samples a second of the audio of a session.
///
/// Three are enough: what telephones had for a century, what they have with G.722 and the usual
/// Opus, and all that people hear. Each is a multiple of those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Rate {
    /// 8,000: narrowband, 300 to 3,400 Hz.
    #[default]
    Narrow,
    /// 16,000: wideband, 50 to 7,000 Hz.
    Wide,
    /// 48,000: fullband.
    Full,
}

impl Rate {
    /// In Hz.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
            Self::Full => 48_000,
        }
    }

    /// How many times narrowband it is.
    pub const fn factor(self) -> usize {
        match self {
            Self::Narrow => 1,
            Self::Wide => 2,
            Self::Full => 6,
        }
    }

    /// Samples of 20 ms.
    pub const fn frame(self) -> usize {
        FRAME * self.factor()
    }

    /// Samples of so many milliseconds.
    pub const fn ms(self, ms: usize) -> usize {
        8 * self.factor() * ms
    }

    /// That of so many Hz.
    pub const fn of_hz(hz: u32) -> Option<Self> {
        match hz {
            8_000 => Some(Self::Narrow),
            16_000 => Some(Self::Wide),
            48_000 => Some(Self::Full),
            _ => None,
        }
    }
}

/// Samples of 20 ms at 8,000 a second.
pub const FRAME: usize = 160;

/// Samples of the longest frame: 20 ms at 48,000 a second.
pub const FRAME_MAX: usize = FRAME * Rate::Full.factor();

/// 20 ms of narrowband audio: what recorders and detectors take.
pub type Narrow = [i16; FRAME];

/// 20 ms of audio at one of the rates: a slice of as many samples as that has.
#[derive(Clone, Debug)]
pub struct Frame {
    rate: Rate,
    samples: [i16; FRAME_MAX],
}

impl Default for Frame {
    fn default() -> Self {
        Self::new(Rate::Narrow)
    }
}

impl Frame {
    /// Silence.
    pub const fn new(rate: Rate) -> Self {
        Self {
            rate,
            samples: [0; FRAME_MAX],
        }
    }

    /// Its rate.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Gives it another rate; what it holds then is for the caller to write.
    pub const fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Makes it silence of a rate.
    pub fn clear(&mut self, rate: Rate) {
        self.rate = rate;
        self.fill(0);
    }

    /// Makes it the same as another.
    pub fn copy_from(&mut self, other: &Self) {
        self.rate = other.rate;
        self.copy_from_slice(other);
    }

    /// It as narrowband audio, if that is what it is.
    pub fn narrow(&self) -> Option<&Narrow> {
        match self.rate {
            Rate::Narrow => self.samples.first_chunk(),
            Rate::Wide | Rate::Full => None,
        }
    }
}

impl Deref for Frame {
    type Target = [i16];

    fn deref(&self) -> &[i16] {
        &self.samples[..self.rate.frame()]
    }
}

impl DerefMut for Frame {
    fn deref_mut(&mut self) -> &mut [i16] {
        &mut self.samples[..self.rate.frame()]
    }
}
