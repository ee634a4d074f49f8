//! One window of sound at the eight DTMF frequencies.

use std::f64::consts::PI;

use crate::tone::{COLUMN_HZ, ROW_HZ};

/// Samples looked at together: 15 ms. Shorter and the groups run into each other, longer and a
/// digit of 40 ms has too few windows.
pub(super) const WINDOW: usize = 120;

/// Samples from one window to the next: 5 ms. Phases turn by less than half a turn for
/// deviations up to 100 Hz, more than any that is of interest.
pub(super) const HOP: usize = 40;

/// Frequencies in a group; bins 0 to 3 are the low group, 4 to 7 the high one.
pub(super) const GROUP: usize = 4;

const BINS: usize = 2 * GROUP;
const HALF: usize = WINDOW / 2;
const CLOCK_HZ: f64 = vocab::Clip::CLOCK_HZ as f64;

/// Sum of a Hann window's weights, and of their squares.
const WEIGHT_SUM: f32 = WINDOW as f32 / 2.0;
const WEIGHT_SQUARE_SUM: f32 = WINDOW as f32 * 3.0 / 8.0;

/// Power that a Hann window loses for each (bin width)² beside the frequency: the first term of
/// its main lobe's series, 2 (π²/6 - 1), a little less to serve for up to half a width.
const LOSS: f32 = 1.2;

/// Width of a bin in Hz.
const BIN_HZ: f32 = CLOCK_HZ as f32 / WINDOW as f32;

/// Weighted cosines and sines of the upper half of the window, from the middle out. The lower half
/// is its mirror image.
const WAVES: &[[[f32; BINS]; 2]; HALF] = &{
    let mut table = [[[0.0; BINS]; 2]; HALF];
    let mut n = 0;
    while n < HALF {
        let offset = n as f64 + 0.5;
        let mut bin = 0;
        while bin < BINS {
            let turns = nominal_hz(bin) / CLOCK_HZ * offset;
            table[n][0][bin] = (weight(n) * cosine(turns)) as f32;
            table[n][1][bin] = (weight(n) * cosine(turns - 0.25)) as f32;
            bin += 1;
        }
        n += 1;
    }
    table
};

/// Squared weights of the upper half, from the middle out.
const SQUARES: &[f32; HALF] = &{
    let mut table = [0.0; HALF];
    let mut n = 0;
    while n < HALF {
        table[n] = (weight(n) * weight(n)) as f32;
        n += 1;
    }
    table
};

/// By how much each nominal frequency turns in a hop: cosines, then sines.
const TURNS: &[[f32; 2]; BINS] = &{
    let mut table = [[0.0; 2]; BINS];
    let mut bin = 0;
    while bin < BINS {
        let turns = nominal_hz(bin) / CLOCK_HZ * HOP as f64;
        table[bin] = [cosine(turns) as f32, cosine(turns - 0.25) as f32];
        bin += 1;
    }
    table
};

/// What a window holds at each frequency, as complex numbers with the phase of its middle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spectrum {
    re: [f32; BINS],
    im: [f32; BINS],
    total: f32,
}

impl Spectrum {
    /// Analyses a window.
    ///
    /// Samples at the same distance before and after the middle share their weights, so their sum
    /// goes with the cosines and their difference with the sines: half the multiplications.
    pub(super) fn of(window: &[f32; WINDOW]) -> Self {
        let (mut re, mut im) = ([0.0; BINS], [0.0; BINS]);
        let mut total = 0.0;
        for n in 0..HALF {
            let (before, after) = (window[HALF - 1 - n], window[HALF + n]);
            let (sum, difference) = (after + before, after - before);
            let [cosines, sines] = &WAVES[n];
            for bin in 0..BINS {
                re[bin] += sum * cosines[bin];
                im[bin] += difference * sines[bin];
            }
            total += SQUARES[n] * (after * after + before * before);
        }
        total /= WEIGHT_SQUARE_SUM;
        Self { re, im, total }
    }

    /// Mean square of everything in the window.
    pub(super) fn total(&self) -> f32 {
        self.total
    }

    /// Mean square of a tone at a bin's nominal frequency.
    pub(super) fn power(&self, bin: usize) -> f32 {
        let (re, im) = (self.re[bin], self.im[bin]);
        2.0 * (re * re + im * im) / (WEIGHT_SUM * WEIGHT_SUM)
    }

    /// Mean square of a tone beside a bin's nominal frequency by `deviation` (a fraction).
    pub(super) fn power_at(&self, bin: usize, deviation: f32) -> f32 {
        let widths = deviation * nominal_hz(bin) as f32 / BIN_HZ;
        self.power(bin) / (1.0 - LOSS * widths * widths).max(0.5)
    }

    /// The strongest bin of the group that begins at `first`.
    pub(super) fn strongest(&self, first: usize) -> usize {
        let stronger = |a, b| if self.power(b) > self.power(a) { b } else { a };
        (first..first + GROUP).fold(first, stronger)
    }

    /// How far the tone in a bin is from the nominal frequency, as a fraction; `last` is one hop
    /// earlier. A tone of the nominal frequency turns by a known angle in a hop; what it turns
    /// more or less is its deviation.
    pub(super) fn deviation(&self, bin: usize, last: &Self) -> f32 {
        let (re, im) = (self.re[bin], self.im[bin]);
        let (last_re, last_im) = (last.re[bin], last.im[bin]);
        // The sums above correlate with cos and sin, which is the conjugate of the tone's phase.
        let (turn_re, turn_im) = (re * last_re + im * last_im, re * last_im - im * last_re);
        let [cos, sin] = TURNS[bin];
        let (re, im) = (turn_re * cos + turn_im * sin, turn_im * cos - turn_re * sin);
        let hz = im.atan2(re) * (CLOCK_HZ / (2.0 * PI * HOP as f64)) as f32;
        hz / nominal_hz(bin) as f32
    }
}

const fn nominal_hz(bin: usize) -> f64 {
    if bin < GROUP {
        ROW_HZ[bin] as f64
    } else {
        COLUMN_HZ[bin - GROUP] as f64
    }
}

/// The Hann window, `n` samples up from the middle.
const fn weight(n: usize) -> f64 {
    0.5 + 0.5 * cosine((n as f64 + 0.5) / WINDOW as f64)
}

/// The cosine of so many turns, by its power series: `f64::cos` is not for constants.
const fn cosine(turns: f64) -> f64 {
    let whole = turns as i64 as f64;
    // Within one turn either side of zero; 20 terms are exact to 1e-12 there.
    let x = (turns - whole) * 2.0 * PI;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1);
    while k < 20 {
        term *= -x * x / ((2 * k - 1) * (2 * k)) as f64;
        sum += term;
        k += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_of(hz: f64, peak: f64, start: usize) -> [f32; WINDOW] {
        std::array::from_fn(|n| {
            (peak * (2.0 * PI * hz * (n + start) as f64 / CLOCK_HZ + 0.3).sin()) as f32
        })
    }

    #[test]
    fn the_series_is_the_cosine() {
        for n in -400..400 {
            let turns = f64::from(n) / 57.0;
            assert!(
                (cosine(turns) - (2.0 * PI * turns).cos()).abs() < 1e-10,
                "{turns}"
            );
        }
    }

    #[test]
    fn power_and_deviation_of_pure_tones() {
        for bin in 0..BINS {
            for percent in [-4.0, -2.5, -1.5, 0.0, 1.5, 2.5, 4.0] {
                let hz = nominal_hz(bin) * (1.0 + percent / 100.0);
                let last = Spectrum::of(&window_of(hz, 1_000.0, 0));
                let now = Spectrum::of(&window_of(hz, 1_000.0, HOP));
                assert_eq!(now.strongest(bin / GROUP * GROUP), bin, "{hz}");
                let deviation = f64::from(now.deviation(bin, &last)) * 100.0;
                assert!((deviation - percent).abs() < 0.2, "{hz}: {deviation}");
                let power = now.power_at(bin, (percent / 100.0) as f32);
                if percent.abs() < 2.0 {
                    assert!((power / 500_000.0 - 1.0).abs() < 0.1, "{hz}: {power}");
                }
                assert!(
                    (now.total() / 500_000.0 - 1.0).abs() < 0.1,
                    "{hz}: {}",
                    now.total()
                );
            }
        }
    }
}
