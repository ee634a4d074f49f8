//! Records what a session hears and says, frame by frame.

use std::time::Duration;

use vocab::RecordingId;
use vocab::call::RecordEnd;

use crate::jitter::{FRAME, Frame};
use crate::limits::RECORDING_CHUNK_SAMPLES;

/// Gathers samples into chunks.
#[derive(Clone, Debug, Default)]
struct Chunks(Vec<i16>);

impl Chunks {
    fn push(&mut self, samples: impl Iterator<Item = i16>) -> Option<Box<[i16]>> {
        if self.0.capacity() == 0 {
            self.0.reserve_exact(RECORDING_CHUNK_SAMPLES);
        }
        self.0.extend(samples);
        let full = self.0.len() >= RECORDING_CHUNK_SAMPLES;
        full.then(|| std::mem::take(&mut self.0).into_boxed_slice())
    }

    fn rest(self) -> Option<Box<[i16]>> {
        (!self.0.is_empty()).then(|| self.0.into_boxed_slice())
    }
}

/// Records both directions of a call: left is what was received, right is what was sent.
///
/// Both come from the same tick of the clock, so they stay aligned, and nothing is left out:
/// what was not received or not sent is silence. Keys sent as events leave silence on the right.
#[derive(Clone, Debug)]
pub struct CallRecorder {
    recording: RecordingId,
    chunks: Chunks,
}

impl CallRecorder {
    /// A recorder that has heard nothing.
    pub fn new(recording: RecordingId) -> Self {
        Self {
            recording,
            chunks: Chunks::default(),
        }
    }

    /// Which recording this is.
    pub fn recording(&self) -> RecordingId {
        self.recording
    }

    /// Takes 20 ms of both directions; gives a chunk each 0.5 s, interleaved.
    pub fn push(&mut self, received: &Frame, sent: &Frame) -> Option<Box<[i16]>> {
        self.chunks.push(
            received
                .iter()
                .zip(sent)
                .flat_map(|(&left, &right)| [left, right]),
        )
    }

    /// What was not handed over yet.
    pub fn finish(self) -> Option<Box<[i16]>> {
        self.chunks.rest()
    }
}

/// Records a message: what is received, until it is long enough or the caller is silent.
///
/// The silence that ends it stays in; so does the silence at its beginning, which counts as well:
/// a caller who says nothing ends the recording.
#[derive(Clone, Debug)]
pub struct MessageRecorder {
    recording: RecordingId,
    chunks: Chunks,
    samples: u64,
    samples_max: u64,
    silence_max: u64,
    voice: Voice,
}

impl MessageRecorder {
    /// A recorder that ends after `max`, or after `silence` without a voice unless that is zero.
    pub fn new(recording: RecordingId, max: Duration, silence: Duration) -> Self {
        Self {
            recording,
            chunks: Chunks::default(),
            samples: 0,
            samples_max: to_samples(max),
            silence_max: match to_samples(silence) {
                0 => u64::MAX,
                samples => samples,
            },
            voice: Voice::default(),
        }
    }

    /// Which recording this is.
    pub fn recording(&self) -> RecordingId {
        self.recording
    }

    /// How long it is.
    pub fn length(&self) -> Duration {
        Duration::from_micros(self.samples * 125)
    }

    /// Takes 20 ms; gives a chunk each second, and why the recording is over once it is.
    pub fn push(&mut self, received: &Frame) -> (Option<Box<[i16]>>, Option<RecordEnd>) {
        let left = self.samples_max - self.samples;
        let take = FRAME.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.samples += take as u64;
        let chunk = self.chunks.push(received[..take].iter().copied());
        self.voice.push(received);
        let end = if self.samples == self.samples_max {
            Some(RecordEnd::MaxTime)
        } else if self.voice.silence >= self.silence_max {
            Some(RecordEnd::Silence)
        } else {
            None
        };
        (chunk, end)
    }

    /// What was not handed over yet.
    pub fn finish(self) -> Option<Box<[i16]>> {
        self.chunks.rest()
    }
}

fn to_samples(length: Duration) -> u64 {
    u64::try_from(length.as_micros() / 125).unwrap_or(u64::MAX)
}

/// Tells a voice from the noise of the line by its level.
///
/// The noise is taken to be the lowest level heard, rising by 0.4 dB a second so that a line that
/// gets noisier is noticed. A voice is 9 dB above it, and above -51 dBov in any case.
#[derive(Clone, Debug)]
struct Voice {
    /// Mean magnitude of the noise, in 1/256.
    floor: u32,
    /// Samples since a voice was heard.
    silence: u64,
}

/// Mean magnitude below which nothing is a voice, in 1/256: 60 of 32,768.
const VOICE_LEAST: u32 = 60 << 8;

/// Mean magnitude above which everything is a voice, in 1/256: about -27 dBov. So a caller who
/// talks without a pause from the first moment is not taken for noise.
const VOICE_SURELY: u32 = 1_000 << 8;

impl Default for Voice {
    fn default() -> Self {
        Self {
            floor: u32::MAX,
            silence: 0,
        }
    }
}

impl Voice {
    fn push(&mut self, frame: &Frame) {
        let sum: u32 = frame
            .iter()
            .map(|sample| u32::from(sample.unsigned_abs()))
            .sum();
        let level = (sum << 8) / FRAME as u32;
        self.floor = if level < self.floor {
            level
        } else {
            // 1/1024 each frame is 0.008 dB, 50 frames a second.
            (self.floor + self.floor / 1_024 + 1).min(level)
        };
        let threshold = (self.floor.saturating_mul(14) / 5).clamp(VOICE_LEAST, VOICE_SURELY);
        self.silence = if level > threshold {
            0
        } else {
            self.silence + FRAME as u64
        };
    }
}

#[cfg(test)]
mod tests {
    use vocab::CallId;

    use super::*;

    const ID: RecordingId = RecordingId {
        call: CallId(1),
        n: 1,
    };

    /// A frame of noise of a mean magnitude, different each time.
    fn noise(level: i16, seed: &mut u32) -> Frame {
        std::array::from_fn(|_| {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let part = i32::from(level) * 2 * ((*seed >> 16) as i32 - 32_768) / 32_768;
            i16::try_from(part).expect("within range")
        })
    }

    /// Pushes (ms, level) pieces and gives how and when it ended.
    fn ended(max_ms: u64, silence_ms: u64, pieces: &[(u64, i16)]) -> Option<(RecordEnd, u128)> {
        let (max, silence) = (
            Duration::from_millis(max_ms),
            Duration::from_millis(silence_ms),
        );
        let mut recorder = MessageRecorder::new(ID, max, silence);
        let (mut seed, mut total) = (1, 0);
        for &(ms, level) in pieces {
            for _ in 0..ms / 20 {
                let (chunk, end) = recorder.push(&noise(level, &mut seed));
                total += chunk.map_or(0, |chunk| chunk.len());
                if let Some(end) = end {
                    let length = recorder.length();
                    total += recorder.finish().map_or(0, |chunk| chunk.len());
                    assert_eq!(
                        total as u128 * 125,
                        length.as_micros(),
                        "all was handed over"
                    );
                    return Some((end, length.as_millis()));
                }
            }
        }
        None
    }

    #[test]
    fn messages_end_for_the_right_reason() {
        for (name, max, silence, pieces, expected) in [
            (
                "too long",
                3_000,
                2_000,
                &[(9_000, 2_000)][..],
                Some((RecordEnd::MaxTime, 3_000)),
            ),
            (
                "odd length",
                3_010,
                0,
                &[(9_000, 2_000)],
                Some((RecordEnd::MaxTime, 3_010)),
            ),
            (
                "no time at all",
                0,
                0,
                &[(20, 2_000)],
                Some((RecordEnd::MaxTime, 0)),
            ),
            (
                "clean silence",
                60_000,
                2_000,
                &[(1_000, 2_000), (9_000, 0)],
                Some((RecordEnd::Silence, 3_000)),
            ),
            (
                "noisy silence",
                60_000,
                2_000,
                &[(400, 150), (4_000, 2_000), (9_000, 150)],
                Some((RecordEnd::Silence, 6_400)),
            ),
            (
                "never spoke",
                60_000,
                2_000,
                &[(9_000, 20)],
                Some((RecordEnd::Silence, 2_000)),
            ),
            (
                "short pauses",
                60_000,
                2_000,
                &[(1_000, 2_000), (1_900, 0), (1_000, 2_000), (1_900, 0)],
                None,
            ),
            ("silence allowed", 60_000, 0, &[(30_000, 0)], None),
            (
                "quiet speaker",
                60_000,
                2_000,
                &[(500, 20), (8_000, 200)],
                None,
            ),
        ] {
            assert_eq!(ended(max, silence, pieces), expected, "{name}");
        }
    }

    #[test]
    fn calls_interleave_both_directions() {
        let mut recorder = CallRecorder::new(ID);
        let mut all = Vec::new();
        for n in 0..60 {
            all.extend(
                recorder
                    .push(&[n; FRAME], &[-n; FRAME])
                    .into_iter()
                    .flatten(),
            );
        }
        assert_eq!(all.len() % RECORDING_CHUNK_SAMPLES, 0);
        all.extend(recorder.finish().into_iter().flatten());
        assert_eq!(all.len(), 60 * FRAME * 2);
        assert!(
            all.chunks(2 * FRAME)
                .zip(0..)
                .all(|(frame, n)| frame.chunks(2).all(|pair| pair == [n, -n]))
        );
    }
}
