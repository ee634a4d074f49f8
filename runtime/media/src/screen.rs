//! Takes keys out of what somebody says, before others hear it.
//!
//! A tone is known for what it is when some of it has been heard, so what is said is held back for
//! 40 ms meanwhile: whoever listens hears nothing of a key, not even its beginning.

use crate::dtmf::Suspicion;
use crate::part::rise;
use crate::rate::{FRAME, Frame, Rate};
use crate::session::Converter;

/// Frames that are held back: a tone is suspected 25 to 40 ms after it begins.
const HELD: usize = 2;

/// Frames that are silent once there may be a key in one: those held back, that one and the one behind
/// it, where the tone fades.
const SILENCED: u8 = HELD as u8 + 2;

/// What one talker says, without keys. 6 KB.
#[derive(Debug)]
pub(crate) struct Screen {
    keys: Suspicion,
    lower: Converter,
    /// Oldest first.
    held: [Frame; HELD],
    /// Frames that are still to be silent.
    silent: u8,
    /// The last one was.
    was_silent: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            keys: Suspicion::default(),
            lower: Converter::default(),
            held: [const { Frame::new(Rate::Narrow) }; HELD],
            // What is held at first is nothing, and what follows rises from there.
            silent: HELD as u8,
            was_silent: true,
        }
    }
}

impl Screen {
    /// Takes the next 20 ms that are said, and gives what others hear in their place.
    pub(crate) fn pass(&mut self, frame: &mut Frame) {
        let rate = frame.rate();
        let mut narrow = [0; FRAME];
        self.lower.lower(frame, rate, &mut narrow);
        if self.keys.feed(&narrow) {
            self.silent = SILENCED;
        }
        for held in self.held.iter_mut().rev() {
            std::mem::swap(held, frame);
        }
        let muted = self.silent > 0 || frame.rate() != rate;
        if muted {
            frame.clear(rate);
            self.silent = self.silent.saturating_sub(1);
            self.was_silent = true;
        } else if std::mem::take(&mut self.was_silent) {
            rise(frame);
        }
    }
}
