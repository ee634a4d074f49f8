//! The noise that a far end says is all there is (RFC 3389).

/// Full scale, that of 0 dBov: a square wave of the largest samples (RFC 3389 §3).
const FULL_SCALE: f32 = 32_767.0;

/// How much of the last sample stays in the next: rooms are softer than white noise is.
const SOFT: f32 = 0.5;

/// Makes comfort noise.
///
/// Its spectrum is always the same, that of a quiet room: the reflection coefficients that a far end
/// may send (RFC 3389 §4.1) are not looked at.
#[derive(Debug)]
pub(super) struct Noise {
    /// Largest sample before it is made soft; `None` while the far end has audio.
    peak: Option<f32>,
    /// The sample it is there from: what is buffered before it is played first.
    since: i64,
    /// Audio from behind that has come.
    over: bool,
    seed: u32,
    last: f32,
}

impl Default for Noise {
    fn default() -> Self {
        Self {
            peak: None,
            since: i64::MIN,
            over: false,
            // Any number but 0.
            seed: 0x9e37_79b9,
            last: 0.0,
        }
    }
}

impl Noise {
    /// From a sample on there is nothing but noise, of -`level` dBov, 0 to 127.
    pub(super) fn begin(&mut self, since: i64, level: u8) {
        (self.since, self.over) = (since, false);
        let rms = FULL_SCALE * 10_f32.powf(-f32::from(level.min(127)) / 20.0);
        // Evenly spread samples have a power of a third of their peak's, and making them soft leaves
        // (1 - a) / (1 + a) of it.
        let softness = (1.0 + SOFT) / (1.0 - SOFT);
        self.peak = Some(rms * (3.0 * softness).sqrt());
    }

    /// Audio from this sample on has come, and is not played yet.
    pub(super) fn audio(&mut self, start: i64) {
        self.over |= start >= self.since;
    }

    /// Audio is played: that from before the noise, or that from behind it.
    pub(super) fn end_if_over(&mut self) {
        if self.over {
            self.end();
        }
    }

    /// There is no noise any more.
    pub(super) fn end(&mut self) {
        self.peak = None;
    }

    /// Writes noise over samples; false if there is to be none.
    pub(super) fn fill(&mut self, out: &mut [i16]) -> bool {
        let Some(peak) = self.peak else {
            return false;
        };
        for sample in out {
            // Marsaglia, Xorshift RNGs (2003), the first of its triples.
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 17;
            self.seed ^= self.seed << 5;
            let even = (self.seed >> 8) as f32 / (1 << 23) as f32 - 1.0;
            self.last = self.last * SOFT + even * peak * (1.0 - SOFT);
            *sample = self.last.clamp(-FULL_SCALE, FULL_SCALE) as i16;
        }
        true
    }
}
