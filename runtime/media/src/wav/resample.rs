//! From any rate to 8,000 samples a second.

use std::f64::consts::PI;

/// Samples on either side of an output sample, counted at 8 kHz, that have a say in it.
///
/// With [`KAISER_BETA`] the transition takes 630 Hz: full up to 3,390 Hz, gone at 4,010 Hz.
const REACH: f64 = 32.0;

/// Shape of the window: stop band 80 dB down (Kaiser 1974: beta = 0.1102 (A - 8.7)).
const KAISER_BETA: f64 = 7.86;

/// Middle of the transition for rates above 8 kHz. A telephone channel ends at 3,400 Hz.
const CUTOFF_HZ: f64 = 3_700.0;

/// Brings mono audio, on the scale of 16 bits, to 8,000 samples a second.
///
/// A polyphase filter with a windowed sinc: one set of coefficients for each place that an output
/// sample can have between two input samples. At 8,000 Hz nothing but rounding happens.
pub fn to_8_khz(samples: &[f32], rate_hz: u32) -> Vec<i16> {
    assert!(
        (1_000..=1_000_000).contains(&rate_hz),
        "a rate that sound can have"
    );
    if rate_hz == 8_000 {
        return samples.iter().map(|sample| round(*sample)).collect();
    }
    let divisor = gcd(rate_hz, 8_000);
    let (up, down) = ((8_000 / divisor) as usize, (rate_hz / divisor) as usize);
    let phases = phases(rate_hz, up);
    let reach = phases[0].len() / 2;
    // As many as lie within the input.
    let length = samples.len().saturating_mul(up).div_ceil(down);
    (0..length)
        .map(|n| {
            // The output's place is `position / up` input samples; `at` is the one before it.
            let position = n * down;
            let (at, phase) = (position / up, &phases[position % up]);
            // Coefficient `k` belongs to input sample `at + 1 - reach + k`.
            let first = (at + 1).saturating_sub(reach);
            let skipped = first + reach - (at + 1);
            let inputs = samples.get(first..).unwrap_or(&[]);
            let sum: f32 = inputs
                .iter()
                .zip(&phase[skipped..])
                .map(|(x, c)| x * c)
                .sum();
            round(sum)
        })
        .collect()
}

/// For each of the `up` places between two input samples, the weights of the input samples around.
fn phases(rate_hz: u32, up: usize) -> Vec<Vec<f32>> {
    let rate = f64::from(rate_hz);
    // When the rate rises, the input's own band is the limit.
    let cutoff = (CUTOFF_HZ * 2.0 / rate).min(0.925);
    let reach_inputs = REACH * (rate / 8_000.0).max(1.0);
    let reach = reach_inputs.ceil() as usize;
    (0..up)
        .map(|index| {
            let fraction = index as f64 / up as f64;
            let weight = |k: usize| {
                let distance = k as f64 + 1.0 - reach as f64 - fraction;
                sinc(distance * cutoff) * kaiser(distance / reach_inputs)
            };
            let weights: Vec<f64> = (0..2 * reach).map(weight).collect();
            // Each place has the same gain, or a constant input would come out rippled.
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| (weight / sum) as f32).collect()
        })
        .collect()
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The Kaiser window over -1 to 1.
fn kaiser(x: f64) -> f64 {
    if x.abs() >= 1.0 {
        0.0
    } else {
        bessel_i0(KAISER_BETA * (1.0 - x * x).sqrt())
    }
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

fn round(sample: f32) -> i16 {
    // A cast saturates: what overshoots is clipped.
    sample.round() as i16
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
