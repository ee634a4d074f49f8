//! When something was heard.

use std::time::Duration;

use vocab::Clip;

/// Samples of one frame: 20 ms.
const FRAME: usize = 160;

/// Time of one frame.
const FRAME_TIME: Duration = Duration::from_millis(20);

/// Peaks above this are speech: about -40 dBFS, above the noise G.711 makes of silence.
const LOUD: u16 = 330;

/// Pauses up to this length belong to the speech around them; the same 700 ms after which the
/// phone takes the far end to be done.
const PAUSE: usize = 35;

/// Which frames of a recording hold speech.
#[derive(Debug)]
pub(super) struct Hearing {
    frames: Vec<bool>,
}

impl Hearing {
    /// Listens to samples, 8,000 a second.
    pub(super) fn new(samples: &[i16]) -> Self {
        let loud = |frame: &[i16]| frame.iter().any(|sample| sample.unsigned_abs() > LOUD);
        let mut frames: Vec<bool> = samples.chunks(FRAME).map(loud).collect();
        let mut last = None;
        for at in 0..frames.len() {
            if !frames[at] {
                continue;
            }
            if let Some(last) = last
                && at - last <= PAUSE
            {
                frames[last..at].fill(true);
            }
            last = Some(at);
        }
        debug_assert_eq!(Clip::CLOCK_HZ as usize, FRAME * 50, "frames of 20 ms");
        Self { frames }
    }

    /// How much speech there is between two moments, and when it begins.
    pub(super) fn between(&self, from: Duration, to: Duration) -> (Duration, Option<Duration>) {
        let frame = |time: Duration| (time.as_millis() / 20) as usize;
        let end = frame(to).min(self.frames.len());
        let start = frame(from).min(end);
        let speech = (start..end).filter(|at| self.frames[*at]);
        let time = |frames: usize| FRAME_TIME * u32::try_from(frames).unwrap_or(u32::MAX);
        (time(speech.clone().count()), speech.min().map(time))
    }

    /// All speech.
    pub(super) fn total(&self) -> Duration {
        self.between(Duration::ZERO, Duration::MAX).0
    }

    /// How long the recording is.
    pub(super) fn length(&self) -> Duration {
        FRAME_TIME * u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn short_pauses_belong_to_speech() {
        let mut samples = Vec::new();
        for (length, level) in [
            (500, 8),
            (1_000, 9_000),
            (400, 0),
            (600, -9_000),
            (2_000, 8),
        ] {
            samples.extend(std::iter::repeat_n(level, length * 8));
        }
        let hearing = Hearing::new(&samples);
        assert_eq!((hearing.length(), hearing.total()), (ms(4_500), ms(2_000)));
        assert_eq!(hearing.between(ms(0), ms(1_000)), (ms(500), Some(ms(500))));
        assert_eq!(hearing.between(ms(2_500), ms(9_000)), (ms(0), None));
        assert_eq!(hearing.between(ms(2_000), ms(1_000)), (ms(0), None));
    }

    #[test]
    fn long_pauses_do_not() {
        let mut samples = vec![9_000; 8_000];
        samples.extend([0; 8_000]);
        samples.extend([9_000; 8_000]);
        assert_eq!(Hearing::new(&samples).total(), ms(2_000));
        assert_eq!(Hearing::new(&[]).total(), ms(0));
    }
}
