//! How good a stream was: an opinion score estimated from loss and delay (ITU-T G.107, the E-model).
//!
//! All that is not measured has the model's default. The scale is that of narrowband telephony, on
//! which nothing is better than 4.41; wideband audio sounds better than it says.

use std::time::Duration;

/// Basic rating with all defaults (G.107 §7.7, table 3).
const R_BEST: f64 = 93.2;

/// Robustness against loss of a codec with concealment: packets lost at random, in percent, that
/// cost half of what the model gives (G.113 table I.4: G.711 with its Appendix I).
const LOSS_ROBUSTNESS: f64 = 25.1;

/// What was measured of what a listener hears.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measured {
    /// Packets that were to be played.
    pub expected: u64,
    /// Those of them that were not: lost or too late.
    pub missing: u64,
    /// From the mouth to the ear, as far as it is known.
    pub delay: Duration,
}

/// The mean opinion score, 1.0 to 4.5 (MOS-CQE, G.107 annex B).
pub fn mos(measured: Measured) -> f64 {
    let rating = R_BEST - delay_impairment(measured.delay) - loss_impairment(measured);
    match rating {
        r if r <= 0.0 => 1.0,
        r if r >= 100.0 => 4.5,
        // The curve dips below one for the worst ratings.
        r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
    }
}

/// Impairment by delay alone, without echo (G.107 §7.4, Idd).
fn delay_impairment(delay: Duration) -> f64 {
    let ms = delay.as_secs_f64() * 1_000.0;
    if ms <= 100.0 {
        return 0.0;
    }
    let x = (ms / 100.0).log2();
    let root = |x: f64| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

/// Impairment by loss at random (G.107 §7.5, Ie-eff with BurstR 1 and Ie 0).
fn loss_impairment(measured: Measured) -> f64 {
    if measured.expected == 0 {
        return 0.0;
    }
    let missing = measured.missing.min(measured.expected);
    let percent = 100.0 * missing as f64 / measured.expected as f64;
    95.0 * percent / (percent + LOSS_ROBUSTNESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_model() {
        // Worked out from the formulas of the Recommendation by another program.
        for (expected, missing, ms, score) in [
            (0, 0, 0, 4.41),
            (1_000, 0, 20, 4.41),
            (1_000, 0, 150, 4.41),
            (1_000, 0, 250, 4.18),
            (1_000, 0, 400, 3.56),
            (1_000, 10, 20, 4.33),
            (1_000, 50, 20, 3.92),
            (1_000, 200, 20, 2.63),
            (1_000, 1_000, 20, 1.18),
            (1_000, 2_000, 5_000, 1.00),
        ] {
            let delay = Duration::from_millis(ms);
            let measured = Measured {
                expected,
                missing,
                delay,
            };
            let got = mos(measured);
            assert!(
                (got - score).abs() < 0.02,
                "{missing} lost, {ms} ms: {got:.3}"
            );
        }
    }

    #[test]
    fn more_loss_and_more_delay_are_never_better() {
        let at = |missing, ms| {
            mos(Measured {
                expected: 1_000,
                missing,
                delay: Duration::from_millis(ms),
            })
        };
        for n in 0..100 {
            assert!(at(n * 10 + 10, 50) <= at(n * 10, 50));
            assert!(at(0, n * 20 + 20) <= at(0, n * 20) + 1e-9);
        }
    }
}
