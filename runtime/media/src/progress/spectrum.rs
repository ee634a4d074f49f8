//! One window of sound, cut into frequencies.
//!
//! Ringback in North America is two tones 40 Hz apart. 64 ms behind a Hann window is the shortest
//! that tells them apart, and a fast Fourier transform gives all of its 256 frequencies for less
//! than a filter for each of the forty that matter.

use std::f64::consts::PI;

/// Samples looked at together: 64 ms, 15.6 Hz to a bin.
pub(super) const WINDOW: usize = 512;

/// Frequencies in a window. Zero and half the clock are of no interest.
const BINS: usize = WINDOW / 2;

/// Width of a bin in Hz.
const BIN_HZ: f32 = 8_000.0 / WINDOW as f32;

/// Bins that count: 125 Hz to 3,900 Hz. Below is the hum of mains, above no line carries anything.
const FIRST: usize = 8;
const LAST: usize = 250;

/// Bins on either side of a peak that belong to it. A Hann window's main lobe is two wide; a tone
/// that begins within the window, or whose phase is reversed in it (ITU-T V.25, ANS), is wider.
const LOBE: usize = 3;

/// Power of the second peak against the first from which it counts: -17 dB. Noise 15 dB below a
/// tone is 35 dB below it in any one bin.
const SECOND_MIN: f32 = 0.02;

/// From power of all bins to the mean square of samples: both halves of the spectrum, and the sum
/// of a Hann window's squared weights.
const SCALE: f32 = 2.0 / (WINDOW as f32 * WINDOW as f32 * 3.0 / 8.0);

/// The Hann window.
const WEIGHTS: &[f32; WINDOW] = &{
    let mut table = [0.0; WINDOW];
    let mut n = 0;
    while n < WINDOW {
        table[n] = (0.5 - 0.5 * cosine((n as f64 + 0.5) / WINDOW as f64)) as f32;
        n += 1;
    }
    table
};

/// Cosines and sines of each part of a turn: n/512.
const TURNS: &[[f32; BINS]; 2] = &{
    let mut table = [[0.0; BINS]; 2];
    let mut n = 0;
    while n < BINS {
        let turns = n as f64 / WINDOW as f64;
        table[0][n] = cosine(turns) as f32;
        table[1][n] = cosine(turns - 0.25) as f32;
        n += 1;
    }
    table
};

/// The same for each stage of the transform, one after the other, so that a stage reads its own in a
/// row: the one of half-length h begins at h.
const STAGES: &[[f32; BINS]; 2] = &{
    let mut table = [[0.0; BINS]; 2];
    let mut half = 1;
    while half < BINS {
        let mut n = 0;
        while n < half {
            table[0][half + n] = TURNS[0][n * (BINS / half)];
            table[1][half + n] = TURNS[1][n * (BINS / half)];
            n += 1;
        }
        half *= 2;
    }
    table
};

/// Power at each frequency.
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    power: [f32; BINS],
}

/// The one or two frequencies that hold most of a window.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Peaks {
    /// The strongest frequency, and the next one if there is one worth the name; in Hz.
    pub(super) hz: (f32, Option<f32>),
    /// Power of the second against the first.
    pub(super) ratio: f32,
    /// Mean square of what belongs to them.
    pub(super) power: f32,
    /// Their share of all power.
    pub(super) share: f32,
}

impl Spectrum {
    /// Analyses a window.
    pub(super) fn of(window: &[f32; WINDOW]) -> Self {
        // Even samples as real, odd ones as imaginary parts: half the transform.
        let (mut re, mut im) = ([0.0; BINS], [0.0; BINS]);
        for n in 0..BINS {
            let at = usize::from((n as u8).reverse_bits());
            re[at] = window[2 * n] * WEIGHTS[2 * n];
            im[at] = window[2 * n + 1] * WEIGHTS[2 * n + 1];
        }
        transform(&mut re, &mut im);
        let mut power = [0.0; BINS];
        for n in FIRST..=LAST {
            // What belongs to the even samples is symmetric, what belongs to the odd ones is not.
            let (a, b, c, d) = (re[n], im[n], re[BINS - n], im[BINS - n]);
            let (even_re, even_im) = ((a + c) / 2.0, (b - d) / 2.0);
            let (odd_re, odd_im) = ((b + d) / 2.0, (c - a) / 2.0);
            let (cos, sin) = (TURNS[0][n], TURNS[1][n]);
            let sum_re = even_re + odd_re * cos + odd_im * sin;
            let sum_im = even_im + odd_im * cos - odd_re * sin;
            power[n] = (sum_re * sum_re + sum_im * sum_im) * SCALE;
        }
        Self { power }
    }

    /// What stands out.
    pub(super) fn peaks(&self) -> Peaks {
        let total = self.power[FIRST..=LAST].iter().sum::<f32>().max(1e-3);
        let (first, second) = self.strongest();
        let ratio = if first == second {
            0.0
        } else {
            self.power[second] / self.power[first].max(1e-6)
        };
        let lobe = |peak: usize| peak.saturating_sub(LOBE).max(FIRST)..=(peak + LOBE).min(LAST);
        let mut power: f32 = self.power[lobe(first)].iter().sum();
        // Within its lobe a second peak may be the same tone, torn by a reversal of its phase.
        if ratio >= SECOND_MIN {
            let own = lobe(second).filter(|bin| bin.abs_diff(first) > LOBE);
            power += own.map(|bin| self.power[bin]).sum::<f32>();
        }
        Peaks {
            hz: (
                self.hz(first),
                (ratio >= SECOND_MIN).then(|| self.hz(second)),
            ),
            ratio,
            power,
            share: power / total,
        }
    }

    /// How much like noise the window is: the geometric mean of its power between 250 and 3,400 Hz
    /// against the arithmetic one. White noise has 0.56, a voice less than 0.1.
    pub(super) fn flatness(&self) -> f32 {
        let band = &self.power[16..16 + 200];
        let mean = band.iter().sum::<f32>() / band.len() as f32;
        // Ten products side by side; twenty numbers below 1e10 are far from the end of a double.
        let mut products = [1.0_f64; 10];
        for row in band.chunks_exact(products.len()) {
            for (product, power) in products.iter_mut().zip(row) {
                *product *= f64::from(power.clamp(1e-9, 1e10));
            }
        }
        let logs: f64 = products.into_iter().map(f64::ln).sum();
        (logs / band.len() as f64).exp() as f32 / mean.max(1e-9)
    }

    /// The two strongest bins that are above their neighbors; so they are never neighbors themselves.
    fn strongest(&self) -> (usize, usize) {
        let (mut first, mut second) = ((FIRST + 1, 0.0), (FIRST + 1, 0.0));
        let neighbors = self.power[FIRST..=LAST].windows(3);
        for (bin, powers) in (FIRST + 1..).zip(neighbors) {
            let [below, power, above] = [powers[0], powers[1], powers[2]];
            // Few bins get past the first condition.
            if power > second.1 && power > below && power >= above {
                if power > first.1 {
                    second = first;
                    first = (bin, power);
                } else {
                    second = (bin, power);
                }
            }
        }
        (first.0, second.0)
    }

    /// Where a peak is between the bins: for a Hann window the amplitudes of two neighbors tell.
    fn hz(&self, bin: usize) -> f32 {
        let (below, own, above) = (
            self.power[bin - 1],
            self.power[bin].max(1e-9),
            self.power[bin + 1],
        );
        let (side, sign) = if above > below {
            (above, 1.0)
        } else {
            (below, -1.0)
        };
        let ratio = (side / own).sqrt();
        (bin as f32 + sign * ((2.0 * ratio - 1.0) / (ratio + 1.0)).max(0.0)) * BIN_HZ
    }
}

/// The transform of 256 complex numbers in bit-reversed order, radix 2.
fn transform(re: &mut [f32; BINS], im: &mut [f32; BINS]) {
    stage::<1>(re, im);
    stage::<2>(re, im);
    stage::<4>(re, im);
    stage::<8>(re, im);
    stage::<16>(re, im);
    stage::<32>(re, im);
    stage::<64>(re, im);
    stage::<128>(re, im);
}

/// One stage: pairs of numbers that are `HALF` apart. A constant, so that the processor does several
/// pairs at once.
fn stage<const HALF: usize>(re: &mut [f32; BINS], im: &mut [f32; BINS]) {
    let cosines = &STAGES[0][HALF..2 * HALF];
    let sines = &STAGES[1][HALF..2 * HALF];
    let blocks = re.chunks_exact_mut(2 * HALF);
    for (re, im) in blocks.zip(im.chunks_exact_mut(2 * HALF)) {
        let (low_re, high_re) = re.split_at_mut(HALF);
        let (low_im, high_im) = im.split_at_mut(HALF);
        for n in 0..HALF {
            let turned_re = high_re[n] * cosines[n] + high_im[n] * sines[n];
            let turned_im = high_im[n] * cosines[n] - high_re[n] * sines[n];
            high_re[n] = low_re[n] - turned_re;
            high_im[n] = low_im[n] - turned_im;
            low_re[n] += turned_re;
            low_im[n] += turned_im;
        }
    }
}

/// The cosine of so many turns, by its power series: `f64::cos` is not for constants.
const fn cosine(turns: f64) -> f64 {
    let x = turns * 2.0 * PI;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1);
    while k < 24 {
        term *= -x * x / ((2 * k - 1) * (2 * k)) as f64;
        sum += term;
        k += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_of(tones: &[(f64, f64)]) -> [f32; WINDOW] {
        std::array::from_fn(|n| {
            let wave = |(hz, peak): &(f64, f64)| peak * (2.0 * PI * hz * n as f64 / 8e3 + hz).sin();
            tones.iter().map(wave).sum::<f64>() as f32
        })
    }

    #[test]
    fn one_tone_is_measured() {
        for hz in (300..3_000).step_by(13).map(f64::from) {
            let peaks = Spectrum::of(&window_of(&[(hz, 1_000.0)])).peaks();
            assert!((f64::from(peaks.hz.0) - hz).abs() < 1.0, "{hz}: {peaks:?}");
            assert_eq!(peaks.hz.1, None, "{hz}");
            assert!((peaks.power / 500_000.0 - 1.0).abs() < 0.02, "{peaks:?}");
            assert!(peaks.share > 0.99, "{hz}: {peaks:?}");
        }
    }

    #[test]
    fn two_tones_40_hz_apart_are_two() {
        for shift in 0..50 {
            let (low, high) = (430.0 + f64::from(shift), 470.0 + f64::from(shift));
            let peaks = Spectrum::of(&window_of(&[(low, 1_000.0), (high, 1_000.0)])).peaks();
            let second = f64::from(peaks.hz.1.expect("a second tone"));
            let first = f64::from(peaks.hz.0);
            let (a, b) = (first.min(second), first.max(second));
            assert!((a - low).abs() < 8.0 && (b - high).abs() < 8.0, "{peaks:?}");
        }
    }

    #[test]
    fn noise_is_flat_and_a_tone_is_not() {
        let mut rng = vocab::Rng::from_u64(3);
        let noise = std::array::from_fn(|_| rng.below(2_000) as f32 - 1_000.0);
        assert!(Spectrum::of(&noise).flatness() > 0.4);
        let tone = window_of(&[(450.0, 1_000.0)]);
        assert!(Spectrum::of(&tone).flatness() < 0.01);
        assert!(Spectrum::of(&[0.0; WINDOW]).peaks().power < 1e-3);
    }
}
