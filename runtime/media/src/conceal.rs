//! What is played in place of audio that did not come.
//!
//! The last pitch period is repeated, then the last two, then three, so that it does not sound like
//! a machine; it fades from 10 to 60 ms. The idea, and the figures that are not otherwise explained,
//! are those of ITU-T G.711 Appendix I; ours adds no delay: the seam at the start is not smoothed
//! with samples held back, but lies where the wave repeats itself.

use crate::rate::Rate;

/// Longest and shortest pitch period at 8,000 samples a second: 66 to 200 Hz (Appendix I.2.2).
const PITCH_MAX: usize = 120;
const PITCH_MIN: usize = 40;

/// Samples compared to find it: 20 ms (Appendix I.2.2).
const COMPARED: usize = 160;

/// Samples kept: three of the longest periods, and a quarter for the seam (Appendix I.2.1).
const KEPT: usize = PITCH_MAX * 3 + PITCH_MAX / 4;

/// Samples that are repeated as they are, and after which all is silent: 10 and 60 ms.
const STEADY: u32 = 80;
const FADE: u32 = 480;

/// Samples over which real audio takes over: 4 ms, and as much again for each 10 ms that were
/// concealed, up to 10 ms (Appendix I.2.7).
const BLEND: u32 = 32;
const BLEND_MAX: u32 = 80;

/// Fills the gaps of one stream: about 1 KB for narrowband.
#[derive(Clone, Debug)]
pub(crate) struct Concealment {
    rate: Rate,
    /// The last samples played, in a ring that ends before `end`.
    history: Box<[i16]>,
    end: usize,
    /// What is repeated: the history as it was when the gap began, with a seam at its end.
    wave: Vec<i16>,
    /// What was at its end before there was a seam.
    tail: Vec<i16>,
    /// Samples of a pitch period, and how many periods of them are in use.
    pitch: usize,
    periods: usize,
    /// Where in the wave the next sample is.
    at: usize,
    /// Samples concealed in a row; from [`FADE`] on they are zero.
    lost: u32,
    /// There is a wave for this gap.
    begun: bool,
}

impl Concealment {
    /// Of a stream that was silent so far.
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            history: vec![0; KEPT * rate.factor()].into(),
            end: 0,
            wave: Vec::new(),
            tail: Vec::new(),
            pitch: 0,
            periods: 0,
            at: 0,
            lost: FADE * rate.factor() as u32,
            begun: false,
        }
    }

    /// Forgets what was played: what comes next has nothing to do with it.
    pub(crate) fn reset(&mut self) {
        (self.lost, self.begun) = (self.scaled(FADE), false);
    }

    /// Whether what it gives now is silence.
    pub(crate) fn is_silent(&self) -> bool {
        self.lost >= self.scaled(FADE)
    }

    fn scaled(&self, samples: u32) -> u32 {
        samples * self.rate.factor() as u32
    }

    /// Writes the next samples of a gap.
    pub(crate) fn fill(&mut self, out: &mut [i16]) {
        if self.is_silent() {
            out.fill(0);
            return;
        }
        if !self.begun {
            self.begin();
        }
        for sample in out {
            *sample = self.next();
        }
    }

    /// A gap begins: finds the pitch and makes the wave.
    fn begin(&mut self) {
        self.begun = true;
        let (newer, older) = self.history.split_at(self.end);
        self.wave.clear();
        self.wave.extend_from_slice(older);
        self.wave.extend_from_slice(newer);
        self.pitch = pitch(&self.wave, self.rate.factor());
        let tail = self.wave.len() - self.pitch / 4;
        self.tail.clear();
        self.tail.extend_from_slice(&self.wave[tail..]);
        self.periods = 1;
        self.at = 0;
        self.seam();
    }

    /// The wave's end runs into what lies before its beginning, for as many periods as are in use.
    fn seam(&mut self) {
        let (len, quarter) = (self.wave.len(), self.tail.len());
        let start = len - self.pitch * self.periods;
        for n in 0..quarter {
            let before = self.wave[start - quarter + n];
            self.wave[len - quarter + n] = mix(self.tail[n], before, n, quarter);
        }
    }

    fn next(&mut self) -> i16 {
        let step = self.scaled(STEADY);
        if self.lost > 0 && self.lost.is_multiple_of(step) && self.periods < 3 {
            // Another period joins at every 10 ms; the place in the wave stays the same one.
            self.at %= self.pitch;
            self.periods += 1;
            self.seam();
        }
        let start = self.wave.len() - self.pitch * self.periods;
        let sample = self.wave[start + self.at];
        self.at = (self.at + 1) % (self.pitch * self.periods);
        let fade = self.scaled(FADE);
        let left = fade.saturating_sub(self.lost.max(step)) as i32;
        self.lost += 1;
        (i32::from(sample) * left / (fade - step) as i32) as i16
    }

    /// So many samples were made up by other means.
    pub(crate) fn pass(&mut self, samples: usize) {
        let samples = u32::try_from(samples).unwrap_or(u32::MAX);
        self.lost = self.lost.saturating_add(samples);
    }

    /// Real audio comes again: fades from what would have been concealed into it.
    pub(crate) fn blend(&mut self, piece: &mut [i16]) {
        if self.begun && !self.is_silent() {
            let length = BLEND + BLEND * (self.lost / self.scaled(STEADY));
            let length = self.scaled(length.min(BLEND_MAX)) as usize;
            let length = length.min(piece.len());
            for (n, sample) in piece[..length].iter_mut().enumerate() {
                *sample = mix(self.next(), *sample, n, length);
            }
        }
        (self.lost, self.begun) = (0, false);
    }

    /// Takes note of samples that are played, whether they came or not.
    pub(crate) fn note(&mut self, samples: &[i16]) {
        let len = self.history.len();
        let samples = &samples[samples.len().saturating_sub(len)..];
        let first = samples.len().min(len - self.end);
        self.history[self.end..self.end + first].copy_from_slice(&samples[..first]);
        self.history[..samples.len() - first].copy_from_slice(&samples[first..]);
        self.end = (self.end + samples.len()) % len;
    }
}

/// Between two samples, `part` of `whole` on the way to the second.
fn mix(from: i16, to: i16, part: usize, whole: usize) -> i16 {
    let (part, whole) = (part as i32, whole as i32);
    ((i32::from(from) * (whole - part) + i32::from(to) * part) / whole) as i16
}

/// Samples after which the end of the wave repeats itself best (Appendix I.2.2): every second lag
/// on every second sample at first, then its neighbors on all.
fn pitch(past: &[i16], factor: usize) -> usize {
    let compared = COMPARED * factor;
    let now = &past[past.len() - compared..];
    let likeness = |lag: usize, step: usize| -> f32 {
        let then = &past[past.len() - compared - lag..past.len() - lag];
        let (mut product, mut energy) = (0_i64, 1_i64);
        for (a, b) in now.iter().zip(then).step_by(step) {
            product += i64::from(*a) * i64::from(*b);
            energy += i64::from(*b) * i64::from(*b);
        }
        product.max(0) as f32 / (energy as f32).sqrt()
    };
    let best = |lags: &mut dyn Iterator<Item = usize>, step: usize| {
        lags.map(|lag| (lag, likeness(lag, step)))
            .fold((PITCH_MAX * factor, f32::MIN), |best, this| {
                if this.1 > best.1 { this } else { best }
            })
            .0
    };
    let (least, most) = (PITCH_MIN * factor, PITCH_MAX * factor);
    let coarse = 2 * factor;
    let near = best(&mut (least..=most).rev().step_by(coarse), coarse);
    let around = near.saturating_sub(coarse - 1).max(least)..=(near + coarse - 1).min(most);
    best(&mut around.rev(), 1)
}
