//! Digits heard in audio (ITU-T Q.23 tones, Q.24 receiver).
//!
//! Every 5 ms the last 15 ms are looked at through a Hann window at the eight frequencies. A
//! window **hits** a key if nearly all its energy lies in one low and one high tone, loud enough,
//! of similar level, and near the nominal frequencies. Five hits in a row with steady levels are a
//! digit, five windows in a row without it are its end.
//!
//! How near a tone is to its nominal frequency is read from the turn of its phase from window to
//! window, not from its strength: 15 ms are too short to tell 1.5 % (must be accepted) from 3.5 %
//! (must be refused) by strength alone.
//!
//! That nearly all energy must be in two tones is also what tells keys from speech. It includes
//! the customary checks on second harmonics and on the other six frequencies: whatever else is
//! there lowers the share of the two.

mod spectrum;
mod suspicion;

use crate::dtmf::spectrum::{GROUP, HOP, Spectrum, WINDOW};
use crate::tone::KEYS;

pub(crate) use suspicion::Suspicion;

/// Most samples a call of [`Detector::feed`] takes: within 60 ms no second digit can be complete.
pub const FEED_MAX: usize = 480;

/// Windows in a row that make a digit. They span 35 ms: a tone of 40 ms holds five whole windows
/// wherever it begins, one of 20 ms cannot fill five (ITU-T Q.24 table A-1: accept from 40 ms).
const HITS_MIN: u8 = 5;

/// Windows in a row without the digit that end it. A pause of 40 ms holds five empty windows
/// wherever it begins; an interruption of 10 ms spoils no more than four (ITU-T Q.24 table A-1).
const MISSES_MIN: u8 = 5;

/// Weakest tone: -38 dBm0 as mean square. ITU-T Q.24 asks for -25 dBm and more, so that phones
/// with weak tones and calls through several networks are still heard.
const POWER_MIN: f32 = 41_300.0;

/// Most that the low tone may be above the high one: 8 dB (ITU-T Q.24 table A-1), and 1 dB for
/// what noise and a frequency beside the nominal one do to the measurement.
const LOW_OVER_HIGH_MAX: f32 = 7.94;

/// Most that the high tone may be above the low one: 4 dB and 1 dB, as above.
const HIGH_OVER_LOW_MAX: f32 = 3.16;

/// Least share of all energy that must be in the two tones: what remains is 10 dB below them.
/// A signal-to-noise ratio of 15 dB leaves 97 %.
const SHARE_MIN: f32 = 0.9;

/// Largest deviation of a frequency over a whole digit, as a fraction: between the 1.5 % that
/// must and the 3.5 % that must not be accepted (ITU-T Q.24 table A-1).
const DEVIATION_MAX: f32 = 0.025;

/// Largest deviation in a single window. Wide, because windows at the edge of a tone measure
/// badly; it only spares speech from being counted.
const DEVIATION_ONCE_MAX: f32 = 0.05;

/// Most by which a tone's power may vary within the hits that make a digit: 2 dB. Keys are
/// steady, voices are not; windows that a short tone fills in part are weaker.
const STEADY_MAX: f32 = 1.6;

/// Most by which a frequency may wander within a digit, as a fraction. Keys stand still; 15 dB of
/// noise make it seem 0.3 %.
const WANDER_MAX: f32 = 0.012;

/// Hears DTMF digits in one direction of one call.
///
/// | state | hit of the same key | other |
/// |---|---|---|
/// | no run | run of 1 | no run |
/// | run of n | run of n + 1; at 5 and steady: reported, sounding | no run |
/// | sounding | sounding | after 5 in a row: no run |
///
/// 680 bytes; about 1 µs for a frame of 160 samples with sound in it, a tenth of that for silence.
#[derive(Clone, Debug)]
pub struct Detector {
    /// The last samples, oldest first; the last hop of it is being filled.
    window: [f32; WINDOW],
    /// New samples in the last hop.
    filled: usize,
    /// Which of the window's three hops have any sound, as bits, newest lowest.
    loud: u8,
    /// The spectrum one hop ago, if there was sound.
    last: Option<Spectrum>,
    run: Run,
    /// The digit that was reported and still sounds, and how many windows in a row were without it.
    sounding: Option<char>,
    misses: u8,
}

/// Hits of one key in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    key: char,
    hits: u8,
    /// The last hits, newest last.
    recent: [Hit; HITS_MIN as usize],
}

/// A window that holds a key: of the low and the high tone.
#[derive(Clone, Copy, Debug)]
struct Hit {
    key: char,
    /// Deviation from the nominal frequency, as a fraction.
    deviation: [f32; 2],
    /// Mean square.
    power: [f32; 2],
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// A detector that has heard nothing.
    pub fn new() -> Self {
        Self {
            window: [0.0; WINDOW],
            filled: 0,
            loud: 0,
            last: None,
            run: Run::NONE,
            sounding: None,
            misses: 0,
        }
    }

    /// Feeds the next samples and tells the digit that was recognized, once for each press, while
    /// it still sounds: 30 to 40 ms after it began.
    ///
    /// # Panics
    /// If there are more than [`FEED_MAX`] samples.
    pub fn feed(&mut self, samples: &[i16]) -> Option<char> {
        assert!(
            samples.len() <= FEED_MAX,
            "at most one digit can be told at a time"
        );
        let mut told = None;
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(HOP - self.filled));
            let at = WINDOW - HOP + self.filled;
            for (place, sample) in self.window[at..].iter_mut().zip(now) {
                *place = f32::from(*sample);
            }
            self.filled += now.len();
            rest = later;
            if self.filled == HOP {
                let digit = self.hop();
                debug_assert!(told.is_none() || digit.is_none(), "two digits in one feed");
                told = told.or(digit);
                self.window.copy_within(HOP.., 0);
                self.filled = 0;
            }
        }
        told
    }

    /// The digit that sounds now, from when it was told until its end.
    pub fn current(&self) -> Option<char> {
        self.sounding
    }

    /// Looks at a full window.
    fn hop(&mut self) -> Option<char> {
        let loud = energy(&self.window[WINDOW - HOP..]) > POWER_MIN * HOP as f32;
        self.loud = (self.loud << 1 | u8::from(loud)) & ((1 << (WINDOW / HOP)) - 1);
        let spectrum = (self.loud != 0).then(|| Spectrum::of(&self.window));
        let last = std::mem::replace(&mut self.last, spectrum);
        let hit = last
            .zip(spectrum)
            .and_then(|(last, now)| Hit::of(&last, &now));
        self.track(hit)
    }

    fn track(&mut self, hit: Option<Hit>) -> Option<char> {
        self.run = match hit {
            Some(hit) => self.run.with(hit),
            None => Run::NONE,
        };
        if let Some(digit) = self.sounding {
            self.misses = if self.run.hits > 0 && self.run.key == digit {
                0
            } else {
                self.misses + 1
            };
            if self.misses < MISSES_MIN {
                return None;
            }
            self.sounding = None;
        }
        if !self.run.is_digit() {
            return None;
        }
        self.misses = 0;
        self.sounding = Some(self.run.key);
        self.sounding
    }
}

/// Sum of squares. In eight sums side by side, which the processor adds at once.
fn energy(samples: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for eight in samples.chunks_exact(sums.len()) {
        for (sum, sample) in sums.iter_mut().zip(eight) {
            *sum += sample * sample;
        }
    }
    sums.iter().sum()
}

impl Run {
    const NONE: Self = Self {
        key: ' ',
        hits: 0,
        recent: [Hit::NONE; HITS_MIN as usize],
    };

    fn with(mut self, hit: Hit) -> Self {
        self.hits = if self.hits > 0 && self.key == hit.key {
            self.hits.saturating_add(1)
        } else {
            1
        };
        self.key = hit.key;
        self.recent.rotate_left(1);
        self.recent[self.recent.len() - 1] = hit;
        self
    }

    /// Long enough, of the right frequencies and steady.
    fn is_digit(&self) -> bool {
        self.hits >= HITS_MIN && (0..2).all(|tone| self.is_tone(tone))
    }

    fn is_tone(&self, tone: usize) -> bool {
        // The deviation between the first hit and the window before it is left out: that window
        // may lie before the tone.
        let between = self.recent[1..].iter().map(|hit| hit.deviation[tone]);
        let (lowest, highest) = range(between.clone());
        let mean = between.sum::<f32>() / f32::from(HITS_MIN - 1);
        let (weakest, strongest) = range(self.recent.iter().map(|hit| hit.power[tone]));
        mean.abs() < DEVIATION_MAX
            && highest - lowest < WANDER_MAX
            && strongest < STEADY_MAX * weakest
    }
}

/// The least and the greatest.
fn range(values: impl Iterator<Item = f32>) -> (f32, f32) {
    values.fold((f32::MAX, f32::MIN), |(least, most), value| {
        (least.min(value), most.max(value))
    })
}

impl Hit {
    const NONE: Self = Self {
        key: ' ',
        deviation: [0.0; 2],
        power: [0.0; 2],
    };

    /// The key in `now`, if there is one; `last` is one hop earlier.
    fn of(last: &Spectrum, now: &Spectrum) -> Option<Self> {
        let row = now.strongest(0);
        let column = now.strongest(GROUP);
        let (low, high) = (now.power(row), now.power(column));
        let level = low.min(high) >= POWER_MIN
            && low <= LOW_OVER_HIGH_MAX * high
            && high <= HIGH_OVER_LOW_MAX * low;
        // Before the correction below, which costs an arc tangent for each tone.
        if !level || low + high < 0.7 * SHARE_MIN * now.total() {
            return None;
        }
        let bins = [row, column];
        let deviation = bins.map(|bin| now.deviation(bin, last));
        if deviation
            .iter()
            .any(|fraction| fraction.abs() > DEVIATION_ONCE_MAX)
        {
            return None;
        }
        let power = [0, 1].map(|tone| now.power_at(bins[tone], deviation[tone]));
        let share = (power[0] + power[1]) / now.total();
        (share >= SHARE_MIN).then(|| Self {
            key: KEYS[row][column - GROUP],
            deviation,
            power,
        })
    }
}

#[cfg(test)]
mod tests;
