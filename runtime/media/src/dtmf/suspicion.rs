//! Whether there may be a key in audio: for those who must not hear one.
//!
//! [`Detector`](super::Detector) reports what surely is a key, as ITU-T Q.24 asks for. Somebody with
//! patience reads more out of a recording than that, so this is content with less: either tone may be
//! much weaker than the other, off its frequency, and beside it there may be noise.

use super::energy;
use super::spectrum::{GROUP, HOP, Spectrum, WINDOW};
use crate::rate::FRAME;

/// Weakest sound that is looked at: -55 dBm0 as mean square, which nobody tells from noise.
const POWER_MIN: f32 = 825.0;

/// Least share of all energy that the two tones have together.
const SHARE_MIN: f32 = 0.6;

/// Least share of the weaker one of them: 14 dB below the other.
const WEAKER_MIN: f32 = 0.025;

/// Windows in a row that look like a key. Three span 25 ms, less than any phone sends, and words seldom
/// do it.
const WINDOWS_MIN: u8 = 3;

/// Looks for keys in the audio of one talker.
#[derive(Debug)]
pub(crate) struct Suspicion {
    window: [f32; WINDOW],
    /// Windows in a row that look like a key.
    run: u8,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self {
            window: [0.0; WINDOW],
            run: 0,
        }
    }
}

impl Suspicion {
    /// Takes the next 20 ms; tells whether there may be a key in them, or in the 15 ms before.
    pub(crate) fn feed(&mut self, frame: &[i16; FRAME]) -> bool {
        let mut found = false;
        for hop in frame.chunks_exact(HOP) {
            self.window.copy_within(HOP.., 0);
            for (place, sample) in self.window[WINDOW - HOP..].iter_mut().zip(hop) {
                *place = f32::from(*sample);
            }
            self.run = match self.is_like_a_key() {
                true => self.run.saturating_add(1),
                false => 0,
            };
            found |= self.run >= WINDOWS_MIN;
        }
        found
    }

    fn is_like_a_key(&self) -> bool {
        if energy(&self.window) < POWER_MIN * WINDOW as f32 {
            return false;
        }
        let spectrum = Spectrum::of(&self.window);
        let (row, column) = (spectrum.strongest(0), spectrum.strongest(GROUP));
        let (low, high) = (spectrum.power(row), spectrum.power(column));
        let total = spectrum.total();
        low + high >= SHARE_MIN * total && low.min(high) >= WEAKER_MIN * total
    }
}
