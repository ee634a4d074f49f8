//! Records what a session hears and says, frame by frame.

use std::time::Duration;

use vocab::call::RecordEnd;
use vocab::{Mono, RecordingId};

use crate::limits::{RECORDING_CHUNK_SAMPLES, RECORDING_HELD_SAMPLES};
use crate::rate::{FRAME, Narrow};
use crate::voice::VoiceMeter;

/// Silence behind late audio that is taken for the jitter buffer's new start and not for a pause:
/// it is moved before the late audio. 60 ms.
const RESTART_MAX: usize = 3 * FRAME;

/// Gathers samples into chunks, the first channel of which is what was received.
///
/// While nothing comes from the far end chunks are kept back for a while, so that audio that comes
/// too late to be played still finds its place in the silence it left.
#[derive(Clone, Debug)]
struct Chunks {
    samples: Vec<i16>,
    channels: usize,
    /// Samples of a channel since audio was last received.
    dry: usize,
    gap: Gap,
}

/// Where nothing was received, in samples of a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    /// Where it begins, among what is kept.
    start: usize,
    /// Silence.
    silent: usize,
    /// Audio behind the silence that came late.
    filled: usize,
}

impl Gap {
    fn end(self) -> usize {
        self.start + self.silent + self.filled
    }
}

impl Chunks {
    fn new(channels: usize) -> Self {
        Self {
            samples: Vec::new(),
            channels,
            dry: 0,
            gap: Gap::default(),
        }
    }

    /// Samples of a channel that are kept.
    fn len(&self) -> usize {
        self.samples.len() / self.channels
    }

    /// Takes so many samples of each channel. Of the first so many as `heard` says were missing,
    /// or all.
    fn push(
        &mut self,
        samples: impl Iterator<Item = i16>,
        count: usize,
        heard: Option<usize>,
    ) -> Option<Box<[i16]>> {
        if self.samples.capacity() == 0 {
            self.samples.reserve_exact(RECORDING_CHUNK_SAMPLES);
        }
        let before = self.len();
        self.samples.extend(samples);
        if let Some(lead) = heard {
            self.close_gap(before + lead);
            self.dry = 0;
        } else {
            self.dry += count;
            if self.gap.silent == 0 {
                self.gap = Gap {
                    start: before,
                    ..Gap::default()
                };
            }
            // Silence behind late audio is left alone: more of that may come.
            if self.gap.end() == before && self.gap.filled == 0 {
                self.gap.silent += count;
            }
        }
        let awaited = (1..RECORDING_HELD_SAMPLES).contains(&self.dry);
        let full = self.samples.len() >= RECORDING_CHUNK_SAMPLES && !awaited;
        full.then(|| {
            self.gap = Gap::default();
            std::mem::take(&mut self.samples).into_boxed_slice()
        })
    }

    /// Audio is heard again from a place on: what came late belongs right before it.
    fn close_gap(&mut self, audio: usize) {
        let gap = std::mem::take(&mut self.gap);
        let audio = audio.min(self.len());
        let silence = audio.saturating_sub(gap.end());
        if gap.filled > 0 && silence <= RESTART_MAX {
            for n in (gap.start + gap.silent..gap.end()).rev() {
                self.samples[(n + silence) * self.channels] = self.samples[n * self.channels];
            }
            for n in gap.start + gap.silent..gap.start + gap.silent + silence {
                self.samples[n * self.channels] = 0;
            }
        }
    }

    /// Puts audio that came late before what comes next, in place of silence; what is more than
    /// that is left out.
    fn fill(&mut self, late: &[i16]) {
        let count = late.len().min(self.gap.silent);
        if count == 0 {
            return;
        }
        let Gap { start, .. } = self.gap;
        let filled = self.gap.end() - count;
        for n in start..filled {
            self.samples[n * self.channels] = self.samples[(n + count) * self.channels];
        }
        for (n, sample) in (filled..).zip(&late[..count]) {
            self.samples[n * self.channels] = *sample;
        }
        self.gap.silent -= count;
        self.gap.filled += count;
    }

    fn rest(self) -> Option<Box<[i16]>> {
        (!self.samples.is_empty()).then(|| self.samples.into_boxed_slice())
    }
}

/// Records what a session of a call receives, or both of its directions: left is what was received,
/// right is what was sent.
///
/// Both come from the same tick of the clock, so they stay aligned, and nothing is left out:
/// what was not received or not sent is silence. Keys sent as events leave silence on the right.
#[derive(Clone, Debug)]
pub struct CallRecorder {
    recording: RecordingId,
    began: Mono,
    chunks: Chunks,
}

impl CallRecorder {
    /// A recorder that has heard nothing, of one channel or two.
    ///
    /// # Panics
    /// If there are more channels than directions, or none.
    pub fn new(recording: RecordingId, began: Mono, channels: u16) -> Self {
        assert!((1..=2).contains(&channels), "a session has two directions");
        Self {
            recording,
            began,
            chunks: Chunks::new(channels.into()),
        }
    }

    /// Which recording this is.
    pub fn recording(&self) -> RecordingId {
        self.recording
    }

    /// When it began.
    pub fn began(&self) -> Mono {
        self.began
    }

    /// Takes 20 ms of both directions; gives a chunk each 8,000 samples, interleaved. `heard` tells how
    /// many of the received samples were missing at its beginning. If it is `None` all were: then
    /// chunks are kept back for up to 3 s, for [`Self::fill`].
    pub fn push(
        &mut self,
        received: &Narrow,
        heard: Option<usize>,
        sent: &Narrow,
    ) -> Option<Box<[i16]>> {
        if self.chunks.channels == 1 {
            return self.chunks.push(received.iter().copied(), FRAME, heard);
        }
        let both = received
            .iter()
            .zip(sent)
            .flat_map(|(&left, &right)| [left, right]);
        self.chunks.push(both, FRAME, heard)
    }

    /// Takes audio that came too late to be heard, in the order in which it was sent. It takes
    /// the place of the silence before what is heard next, as far as there is any.
    pub fn fill(&mut self, late: &[i16]) {
        self.chunks.fill(late);
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
    quiet: Quiet,
}

impl MessageRecorder {
    /// A recorder that ends after `max`, or after `silence` without a voice unless that is zero.
    pub fn new(recording: RecordingId, max: Duration, silence: Duration) -> Self {
        Self {
            recording,
            chunks: Chunks::new(1),
            samples: 0,
            samples_max: to_samples(max),
            silence_max: match to_samples(silence) {
                0 => u64::MAX,
                samples => samples,
            },
            quiet: Quiet::default(),
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

    /// Takes 20 ms; gives a chunk each second, and why the recording is over once it is. `heard` is
    /// as for [`CallRecorder::push`].
    pub fn push(
        &mut self,
        received: &Narrow,
        heard: Option<usize>,
    ) -> (Option<Box<[i16]>>, Option<RecordEnd>) {
        let left = self.samples_max - self.samples;
        let take = FRAME.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.samples += take as u64;
        let samples = received[..take].iter().copied();
        let chunk = self.chunks.push(samples, take, heard);
        self.quiet.push(received);
        let end = if self.samples == self.samples_max {
            Some(RecordEnd::MaxTime)
        } else if self.quiet.silence >= self.silence_max {
            Some(RecordEnd::Silence)
        } else {
            None
        };
        (chunk, end)
    }

    /// Takes audio that came too late to be heard, as [`CallRecorder::fill`] does. It is no news
    /// to the silence that ends the recording: that was over already.
    pub fn fill(&mut self, late: &[i16]) {
        self.chunks.fill(late);
    }

    /// What was not handed over yet.
    pub fn finish(self) -> Option<Box<[i16]>> {
        self.chunks.rest()
    }
}

fn to_samples(length: Duration) -> u64 {
    u64::try_from(length.as_micros() / 125).unwrap_or(u64::MAX)
}

/// How long nobody has spoken.
#[derive(Clone, Debug, Default)]
struct Quiet {
    meter: VoiceMeter,
    /// Samples since a voice was heard.
    silence: u64,
}

impl Quiet {
    fn push(&mut self, frame: &Narrow) {
        self.silence = match self.meter.push(frame) {
            Some(_) => 0,
            None => self.silence + FRAME as u64,
        };
    }
}

#[cfg(test)]
mod tests {
    use vocab::CallId;

    use super::*;

    const ID: RecordingId = RecordingId::message(CallId(1), 1);

    /// A frame of noise of a mean magnitude, different each time.
    fn noise(level: i16, seed: &mut u32) -> Narrow {
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
                let (chunk, end) = recorder.push(&noise(level, &mut seed), Some(0));
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
        let mut recorder = CallRecorder::new(ID, Mono(0), 2);
        let mut all = Vec::new();
        for n in 0..60 {
            all.extend(
                recorder
                    .push(&[n; FRAME], Some(0), &[-n; FRAME])
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

    /// Records frames of received audio, gaps and late audio; gives what is left of each channel,
    /// a number for each frame, and how many frames each chunk had.
    fn recorded(steps: &[Step]) -> (Vec<i16>, Vec<i16>, Vec<usize>) {
        let mut recorder = CallRecorder::new(ID, Mono(0), 2);
        let (mut all, mut chunks, mut said) = (Vec::new(), Vec::new(), 0);
        for step in steps {
            let (frame, heard) = match *step {
                Step::Late(n) => {
                    recorder.fill(&[n; FRAME]);
                    continue;
                }
                Step::Heard(n) => ([n; FRAME], Some(0)),
                Step::Half(n) => {
                    let mut frame = [n; FRAME];
                    frame[..80].fill(0);
                    (frame, Some(80))
                }
                Step::Gap => ([0; FRAME], None),
            };
            said += 1;
            if let Some(chunk) = recorder.push(&frame, heard, &[-said; FRAME]) {
                chunks.push(chunk.len() / FRAME / 2);
                all.extend(chunk);
            }
        }
        all.extend(recorder.finish().into_iter().flatten());
        let channel = |first: usize| all[first..].iter().copied().step_by(2);
        let left = channel(0).step_by(80).collect();
        (left, channel(1).step_by(FRAME).collect(), chunks)
    }

    #[derive(Clone, Copy)]
    enum Step {
        Heard(i16),
        /// Its first half is missing.
        Half(i16),
        Gap,
        Late(i16),
    }

    #[test]
    fn late_audio_lies_before_what_is_heard_next() {
        use Step::{Gap, Half, Heard, Late};
        for (name, steps, left) in [
            (
                "all of it, in order",
                &[Heard(1), Gap, Gap, Late(2), Late(3), Heard(4)][..],
                &[1, 1, 2, 2, 3, 3, 4, 4][..],
            ),
            (
                "the rest never came",
                &[Heard(1), Gap, Gap, Gap, Late(3), Heard(4)],
                &[1, 1, 0, 0, 0, 0, 3, 3, 4, 4],
            ),
            (
                "more than was silent",
                &[Heard(1), Gap, Late(2), Late(3), Heard(4)],
                &[1, 1, 2, 2, 4, 4],
            ),
            (
                "nothing was silent",
                &[Heard(1), Late(2), Heard(4)],
                &[1, 1, 4, 4],
            ),
            (
                "the jitter buffer starts anew",
                &[Heard(1), Gap, Gap, Gap, Late(2), Gap, Half(3), Heard(4)],
                &[1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 3, 4, 4],
            ),
            (
                "it came in two parts",
                &[Heard(1), Gap, Gap, Late(2), Gap, Late(3), Heard(4)],
                &[1, 1, 0, 0, 2, 2, 3, 3, 4, 4],
            ),
            (
                "a pause follows",
                &[Heard(1), Gap, Gap, Late(2), Gap, Gap, Gap, Gap, Heard(4)],
                &[1, 1, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4],
            ),
            (
                "two gaps",
                &[Gap, Late(1), Heard(2), Gap, Gap, Late(3), Heard(4)],
                &[1, 1, 2, 2, 0, 0, 3, 3, 4, 4],
            ),
        ] {
            let (received, said, _) = recorded(steps);
            assert_eq!(received, left, "{name}");
            let ticks = i16::try_from(left.len() / 2).expect("few");
            let all: Vec<i16> = (1..=ticks).map(|n| -n).collect();
            assert_eq!(said, all, "{name}: what was sent stays");
        }
    }

    #[test]
    fn chunks_wait_for_late_audio_but_not_for_ever() {
        let pause = |frames: usize| {
            let mut steps = vec![Step::Heard(1); 20];
            steps.extend(vec![Step::Gap; frames]);
            steps.extend(vec![Step::Heard(2); 30]);
            recorded(&steps).2
        };
        assert_eq!(pause(0), [25, 25]);
        assert_eq!(pause(10), [31, 25]);
        assert_eq!(pause(149), [170, 25]);
        assert_eq!(pause(150), [170, 25]);
        assert_eq!(pause(200), [170, 25, 25, 25]);
    }
}
