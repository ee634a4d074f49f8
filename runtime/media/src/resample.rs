//! From one of the three rates to another, frame by frame.
//!
//! A polyphase filter for each pair: a windowed sinc that reaches 24 samples of the lower rate to
//! either side, so what comes out lies 3 ms (narrowband) or 1.5 ms (wideband) behind what goes in.
//! It passes up to 85 % of the lower rate's band and is 60 dB down where the band ends: 3,400 and
//! 4,000 Hz for narrowband.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::rate::{FRAME_MAX, Rate};

/// Samples of the lower rate on either side that have a say in one that comes out.
const REACH: usize = 24;

/// Middle of the transition, as a part of the lower rate's band: 3,700 of 4,000 Hz.
const CUTOFF: f64 = 0.925;

/// Shape of the window: 60 dB (Kaiser 1974: beta = 0.1102 (A - 8.7)).
const KAISER_BETA: f64 = 5.65;

/// One in the coefficients' fixed point. Their magnitudes sum up to less than two, so a sum of
/// products with 16 bits stays within 32.
const ONE: f64 = 16_384.0;
const ONE_BITS: u32 = 14;

/// Coefficients for twice, three times and six times the rate, one set for each place between two
/// samples of the lower rate. They follow from the constants above and are made once.
static FILTERS: LazyLock<[Vec<Vec<i16>>; 3]> = LazyLock::new(|| [2, 3, 6].map(phases));

/// Brings a stream of audio from one rate to another.
#[derive(Clone, Debug)]
pub struct Resampler {
    from: Rate,
    to: Rate,
    /// The last samples that came in, the newest last: what the next ones need of them.
    past: Vec<i16>,
}

impl Resampler {
    /// One that has heard nothing.
    ///
    /// # Panics
    /// If both rates are the same.
    pub fn new(from: Rate, to: Rate) -> Self {
        assert_ne!(from, to, "there is nothing to do between equal rates");
        let past = match from < to {
            true => 2 * REACH - 1,
            false => 2 * REACH * ratio(from, to) - 1,
        };
        Self {
            from,
            to,
            past: vec![0; past],
        }
    }

    /// From where to where it brings audio.
    pub fn rates(&self) -> (Rate, Rate) {
        (self.from, self.to)
    }

    /// Brings up to 20 ms over. `out` is as long as the same time lasts at the other rate.
    ///
    /// # Panics
    /// If the lengths do not fit, or there are more than 20 ms.
    pub fn push(&mut self, samples: &[i16], out: &mut [i16]) {
        let ratio = ratio(self.from, self.to);
        let mut all = [0; FRAME_MAX + 2 * REACH * 6];
        let (past, len) = (self.past.len(), samples.len());
        assert!(len <= FRAME_MAX, "a frame at a time");
        all[..past].copy_from_slice(&self.past);
        all[past..past + len].copy_from_slice(samples);
        let all = &all[..past + len];
        let filter = &FILTERS[match ratio {
            2 => 0,
            3 => 1,
            _ => 2,
        }];
        if self.from < self.to {
            assert_eq!(len * ratio, out.len(), "the same time on both sides");
            for (out, window) in out.chunks_exact_mut(ratio).zip(all.windows(2 * REACH)) {
                for (out, phase) in out.iter_mut().zip(filter) {
                    *out = weigh(window, phase);
                }
            }
        } else {
            assert_eq!(len, out.len() * ratio, "the same time on both sides");
            // All phases together, in one row, are the same low pass at the higher rate.
            let taps = 2 * REACH * ratio;
            let row = &DOWN[match ratio {
                2 => 0,
                3 => 1,
                _ => 2,
            }];
            let starts = (ratio - 1..).step_by(ratio);
            for (out, start) in out.iter_mut().zip(starts) {
                *out = weigh(&all[start..start + taps], row);
            }
        }
        self.past.copy_from_slice(&all[len..]);
    }
}

/// The same filters in one row each, for going down.
static DOWN: LazyLock<[Vec<i16>; 3]> = LazyLock::new(|| [2, 3, 6].map(row));

fn ratio(a: Rate, b: Rate) -> usize {
    a.max(b).factor() / a.min(b).factor()
}

fn weigh(samples: &[i16], weights: &[i16]) -> i16 {
    let products = samples.iter().zip(weights);
    let sum: i32 = products.map(|(x, c)| i32::from(*x) * i32::from(*c)).sum();
    let rounded = (sum + (1 << (ONE_BITS - 1))) >> ONE_BITS;
    rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// For each of `up` places between two samples, the weights of the samples around.
fn phases(up: usize) -> Vec<Vec<i16>> {
    let place = |phase: usize| {
        let fraction = phase as f64 / up as f64;
        let weights = (0..2 * REACH).map(|k| k as f64 + 1.0 - REACH as f64 - fraction);
        normal(weights.map(weight).collect())
    };
    (0..up).map(place).collect()
}

/// The weights of the samples of a rate `down` times as high around one that comes out.
fn row(down: usize) -> Vec<i16> {
    let taps = 2 * REACH * down;
    // A whole number of samples, so that there and back again is a whole number as well.
    let middle = (taps / 2) as f64;
    let weights = (0..taps).map(|k| (k as f64 - middle) / down as f64);
    normal(weights.map(weight).collect())
}

/// The weight at a distance in samples of the lower rate.
fn weight(distance: f64) -> f64 {
    let x = distance / REACH as f64;
    let window = if x.abs() >= 1.0 {
        0.0
    } else {
        bessel_i0(KAISER_BETA * (1.0 - x * x).sqrt())
    };
    let angle = PI * distance * CUTOFF;
    let sinc = if angle.abs() < 1e-9 {
        1.0
    } else {
        angle.sin() / angle
    };
    sinc * window
}

/// In fixed point, with a sum of exactly one, so that a constant stays what it is.
fn normal(weights: Vec<f64>) -> Vec<i16> {
    let sum: f64 = weights.iter().sum();
    let mut fixed: Vec<i16> = weights
        .iter()
        .map(|weight| (weight / sum * ONE).round() as i16)
        .collect();
    let total: i32 = fixed.iter().map(|weight| i32::from(*weight)).sum();
    let largest = fixed.iter_mut().max_by_key(|weight| weight.abs());
    *largest.expect("a filter has weights") += (ONE as i32 - total) as i16;
    fixed
}

/// Modified Bessel function of the first kind and order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [Rate; 3] = [Rate::Narrow, Rate::Wide, Rate::Full];

    /// One second of a tone of a level, through frames of 20 ms.
    fn through(from: Rate, to: Rate, hz: f64, peak: f64) -> Vec<i16> {
        let wave = |n: u32| {
            let angle = 2.0 * PI * hz * f64::from(n) / f64::from(from.hz());
            (peak * angle.sin()).round() as i16
        };
        let input: Vec<i16> = (0..from.hz()).map(wave).collect();
        let mut resampler = Resampler::new(from, to);
        let mut all = Vec::new();
        for frame in input.chunks(from.frame()) {
            let mut out = vec![0; to.frame()];
            resampler.push(frame, &mut out);
            all.extend(out);
        }
        all
    }

    /// Level of the tone of this frequency in it, and of all the rest, in dB of full scale: the
    /// sine that fits best is taken away.
    fn levels(samples: &[i16], rate: Rate, hz: f64) -> (f64, f64) {
        let samples = &samples[samples.len() / 10..];
        let n = samples.len() as f64;
        let angle = |k: usize| 2.0 * PI * hz * k as f64 / f64::from(rate.hz());
        let (mut re, mut im) = (0.0, 0.0);
        for (k, sample) in samples.iter().enumerate() {
            re += f64::from(*sample) * angle(k).cos() * 2.0 / n;
            im += f64::from(*sample) * angle(k).sin() * 2.0 / n;
        }
        let rest: f64 = samples
            .iter()
            .enumerate()
            .map(|(k, sample)| {
                let tone = re * angle(k).cos() + im * angle(k).sin();
                (f64::from(*sample) - tone).powi(2)
            })
            .sum();
        let db = |power: f64| 10.0 * (power / 32_768.0_f64.powi(2)).max(1e-12).log10();
        (db((re * re + im * im) / 2.0), db(rest / n))
    }

    #[test]
    fn tones_of_the_band_pass_clean() {
        for from in RATES {
            for to in RATES.into_iter().filter(|to| *to != from) {
                let band = f64::from(from.min(to).hz()) / 2.0;
                for part in [0.025, 0.25, 0.6, 0.85] {
                    let hz = (band * part / 10.0).round() * 10.0;
                    let out = through(from, to, hz, 10_000.0);
                    assert_eq!(out.len(), to.hz() as usize);
                    let (tone, rest) = levels(&out, to, hz);
                    let sent = 20.0 * (10_000.0_f64 / 32_768.0 / 2.0_f64.sqrt()).log10();
                    let what = format!("{from:?} to {to:?}, {hz} Hz: {tone:.2} dB, {rest:.1} dB");
                    assert!((tone - sent).abs() < 0.25, "{what}");
                    assert!(tone - rest > 58.0, "{what}");
                }
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_gone() {
        for (from, to) in [
            (Rate::Wide, Rate::Narrow),
            (Rate::Full, Rate::Narrow),
            (Rate::Full, Rate::Wide),
        ] {
            let band = f64::from(to.hz()) / 2.0;
            for part in [1.01, 1.3, 1.9] {
                let hz = (band * part / 10.0).round() * 10.0;
                let out = through(from, to, hz, 10_000.0);
                let loudest = out[out.len() / 10..].iter().map(|x| x.unsigned_abs()).max();
                assert!(
                    loudest < Some(20),
                    "{from:?} to {to:?}, {hz} Hz: {loudest:?}"
                );
            }
        }
    }

    #[test]
    fn loud_audio_is_cut_off_and_does_not_wrap() {
        for (from, to) in [(Rate::Narrow, Rate::Full), (Rate::Full, Rate::Narrow)] {
            let mut resampler = Resampler::new(from, to);
            let mut out = vec![0; to.frame()];
            let square: Vec<i16> = (0..from.frame())
                .map(|n| {
                    if n / from.ms(2) % 2 == 0 {
                        i16::MAX
                    } else {
                        i16::MIN
                    }
                })
                .collect();
            resampler.push(&square, &mut out);
            resampler.push(&square, &mut out);
            let high = out.iter().filter(|sample| **sample > 30_000).count();
            assert!(high > to.frame() / 4, "{high}");
        }
    }

    #[test]
    fn lengths_of_frames_do_not_matter() {
        let wave: Vec<i16> = (0..960i32)
            .map(|n| (n * 7_919 % 20_011 - 10_000) as i16)
            .collect();
        let run = |len: usize| {
            let mut resampler = Resampler::new(Rate::Wide, Rate::Narrow);
            let mut all = Vec::new();
            for frame in wave.chunks(len) {
                let mut out = vec![0; frame.len() / 2];
                resampler.push(frame, &mut out);
                all.extend(out);
            }
            all
        };
        assert_eq!(run(320), run(40));
    }
}
