//! Decoded audio ready to be played.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A piece of audio: mono, signed 16 bit, 8,000 samples a second; shared, never copied.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip {
    /// Its name in the catalogue, or what was synthesised; shown in the call's events.
    pub name: Arc<str>,
    /// The samples.
    pub samples: Arc<[i16]>,
}

impl Clip {
    /// Samples a second of every clip.
    pub const CLOCK_HZ: u32 = 8_000;

    /// A clip from samples.
    pub fn new(name: impl Into<Arc<str>>, samples: impl Into<Arc<[i16]>>) -> Self {
        Self {
            name: name.into(),
            samples: samples.into(),
        }
    }

    /// Silence of the given length, rounded down to whole samples.
    pub fn silence(length: Duration) -> Self {
        let samples = length.as_millis().min(600_000) as usize * 8;
        Self::new("silence", vec![0; samples])
    }

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 125)
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip({}, {:?})", self.name, self.duration())
    }
}
