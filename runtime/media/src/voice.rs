//! Tells a voice from the noise of a line.

/// Mean magnitude below which nothing is a voice, in 1/256: 60 of 32,768.
const VOICE_LEAST: u32 = 60 << 8;

/// Mean magnitude above which everything is a voice, in 1/256: about -27 dBov. So a caller who
/// talks without a pause from the first moment is not taken for noise.
const VOICE_SURELY: u32 = 1_000 << 8;

/// Tells a voice from the noise of the line by its level.
///
/// The noise is taken to be the lowest level heard, rising by 0.4 dB a second so that a line that
/// gets noisier is noticed. A voice is 9 dB above it, and above -51 dBov in any case.
#[derive(Clone, Debug)]
pub(crate) struct VoiceMeter {
    /// Mean magnitude of the noise, in 1/256.
    floor: u32,
}

impl Default for VoiceMeter {
    fn default() -> Self {
        Self { floor: u32::MAX }
    }
}

impl VoiceMeter {
    /// Takes 20 ms; gives their mean magnitude if that is a voice.
    pub(crate) fn push(&mut self, frame: &[i16]) -> Option<u32> {
        let sum: u64 = frame
            .iter()
            .map(|sample| u64::from(sample.unsigned_abs()))
            .sum();
        let level = ((sum << 8) / frame.len().max(1) as u64) as u32;
        self.floor = if level < self.floor {
            level
        } else {
            // 1/1024 each frame is 0.008 dB, 50 frames a second.
            (self.floor + self.floor / 1_024 + 1).min(level)
        };
        let threshold = (self.floor.saturating_mul(14) / 5).clamp(VOICE_LEAST, VOICE_SURELY);
        (level > threshold).then_some(level >> 8)
    }
}
