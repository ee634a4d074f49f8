//! From one of the three rates to another, frame by frame.
//!
//! A polyphase filter for each pair: a windowed sinc that reaches 24 samples of the lower rate to
//! either side, so what comes out lies 3 ms (narrowband) or 1.5 ms (wideband) behind what goes in.
//! It passes up to 85 % of the lower rate's band and is 60 dB down where the band ends: 3,400 and
//! 4,000 Hz for narrowband.

use std::f64::consts::{PI, TAU};

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

/// Weights of samples of the lower rate around one that comes out.
const TAPS: usize = 2 * REACH;

/// For going up: one set for each place between two samples of the lower rate.
const UP_2: &[[i16; TAPS]] = &phases::<2>();
const UP_3: &[[i16; TAPS]] = &phases::<3>();
const UP_6: &[[i16; TAPS]] = &phases::<6>();

/// For going down: the same low pass at the higher rate.
const DOWN_2: &[i16] = &row::<{ 2 * TAPS }>();
const DOWN_3: &[i16] = &row::<{ 3 * TAPS }>();
const DOWN_6: &[i16] = &row::<{ 6 * TAPS }>();

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
            true => TAPS - 1,
            false => TAPS * ratio(from, to) - 1,
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
        let mut all = [0; FRAME_MAX + TAPS * 6];
        let (past, len) = (self.past.len(), samples.len());
        assert!(len <= FRAME_MAX, "a frame at a time");
        all[..past].copy_from_slice(&self.past);
        all[past..past + len].copy_from_slice(samples);
        let all = &all[..past + len];
        if self.from < self.to {
            assert_eq!(len * ratio, out.len(), "the same time on both sides");
            let phases = match ratio {
                2 => UP_2,
                3 => UP_3,
                _ => UP_6,
            };
            let windows = all.windows(TAPS);
            for (out, window) in out.chunks_exact_mut(ratio).zip(windows) {
                for (out, phase) in out.iter_mut().zip(phases) {
                    *out = weigh(window, phase);
                }
            }
        } else {
            assert_eq!(len, out.len() * ratio, "the same time on both sides");
            let row = match ratio {
                2 => DOWN_2,
                3 => DOWN_3,
                _ => DOWN_6,
            };
            let starts = (ratio - 1..).step_by(ratio);
            for (out, start) in out.iter_mut().zip(starts) {
                *out = weigh(&all[start..start + row.len()], row);
            }
        }
        self.past.copy_from_slice(&all[len..]);
    }
}

fn ratio(a: Rate, b: Rate) -> usize {
    a.max(b).factor() / a.min(b).factor()
}

fn weigh(samples: &[i16], weights: &[i16]) -> i16 {
    let products = samples.iter().zip(weights);
    let sum: i32 = products.map(|(x, c)| i32::from(*x) * i32::from(*c)).sum();
    let rounded = (sum + (1 << (ONE_BITS - 1))) >> ONE_BITS;
    rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// For each of `UP` places between two samples, the weights of the samples around.
const fn phases<const UP: usize>() -> [[i16; TAPS]; UP] {
    let mut phases = [[0; TAPS]; UP];
    let mut phase = 0;
    while phase < UP {
        let mut weights = [0.0; TAPS];
        let mut k = 0;
        while k < TAPS {
            let fraction = phase as f64 / UP as f64;
            weights[k] = weight(k as f64 + 1.0 - REACH as f64 - fraction);
            k += 1;
        }
        phases[phase] = normal(&weights);
        phase += 1;
    }
    phases
}

/// The weights of the samples of a higher rate around one that comes out.
const fn row<const LEN: usize>() -> [i16; LEN] {
    let down = (LEN / TAPS) as f64;
    // A whole number of samples, so that there and back again is a whole number as well.
    let middle = (LEN / 2) as f64;
    let mut weights = [0.0; LEN];
    let mut k = 0;
    while k < LEN {
        weights[k] = weight((k as f64 - middle) / down);
        k += 1;
    }
    normal(&weights)
}

/// The weight at a distance in samples of the lower rate: a sinc in a Kaiser window.
const fn weight(distance: f64) -> f64 {
    let x = distance / REACH as f64;
    if x <= -1.0 || x >= 1.0 {
        return 0.0;
    }
    let angle = PI * distance * CUTOFF;
    let near = angle < 1e-9 && angle > -1e-9;
    let sinc = if near { 1.0 } else { sine(angle) / angle };
    sinc * bessel_i0_of_square(KAISER_BETA * KAISER_BETA * (1.0 - x * x))
}

/// In fixed point, with a sum of exactly one, so that a constant stays what it is.
const fn normal<const LEN: usize>(weights: &[f64; LEN]) -> [i16; LEN] {
    let (mut sum, mut largest, mut k) = (0.0, 0, 0);
    while k < LEN {
        sum += weights[k];
        if weights[k] > weights[largest] {
            largest = k;
        }
        k += 1;
    }
    let (mut fixed, mut total) = ([0_i16; LEN], 0_i32);
    k = 0;
    while k < LEN {
        let exact = weights[k] / sum * ONE;
        let half = if exact < 0.0 { -0.5 } else { 0.5 };
        fixed[k] = (exact + half) as i16;
        total += fixed[k] as i32;
        k += 1;
    }
    fixed[largest] += (ONE as i32 - total) as i16;
    fixed
}

/// By its power series, of an angle brought near zero.
const fn sine(angle: f64) -> f64 {
    let turns = (angle / TAU) as i64 as f64;
    let x = angle - turns * TAU;
    let (mut term, mut sum, mut k) = (x, x, 1.0);
    while k < 20.0 {
        term *= -x * x / (2.0 * k * (2.0 * k + 1.0));
        sum += term;
        k += 1.0;
    }
    sum
}

/// Modified Bessel function of the first kind and order 0, by its power series, of a number whose
/// square is given.
const fn bessel_i0_of_square(square: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while k < 25.0 {
        term *= square / 4.0 / (k * k);
        sum += term;
        k += 1.0;
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
