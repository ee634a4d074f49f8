//! Music for people on hold, made of soft tones.
//!
//! A waltz of eight bars in C without F and B, ours. Its notes keep away from the tones that
//! machines on the line listen for: nothing sounds between 400 and 500 Hz, where the world's
//! ringing and busy tones are (ITU-T E.180 Supplement 2), and no harmonic is near 2,100 Hz, which
//! switches echo cancellers off (ITU-T G.168 §7).

use std::f64::consts::TAU;

use vocab::Clip;

/// Samples of one beat: 0.75 s.
const BEAT: usize = 6_000;

/// Beats in all: eight bars of three.
const BEATS: usize = 24;

/// Samples over which a note rises: 15 ms, softer than a plucked string.
const ATTACK: usize = 120;

/// Samples after which a note is down to 1/e.
const DECAY: f64 = 7_200.0;

/// A note ends when it is down to this share, 50 dB below its peak.
const END: f64 = 0.003;

/// The partials of a note: how strong, and how much faster than the first they decay.
const PARTIALS: [(f64, f64); 3] = [(1.0, 1.0), (0.22, 1.8), (0.06, 2.6)];

/// Peaks of a note of the melody and of the accompaniment. With them the whole has -20 dBFS.
const MELODY: f64 = 5_600.0;
const ACCOMPANIMENT: f64 = 2_700.0;

const G3: f64 = 196.00;
const C4: f64 = 261.63;
const D4: f64 = 293.66;
const E4: f64 = 329.63;
const G4: f64 = 392.00;
const C5: f64 = 523.25;
const D5: f64 = 587.33;
const E5: f64 = 659.26;
const G5: f64 = 783.99;
const A5: f64 = 880.00;

/// The melody: when a note begins, in beats, and its pitch.
const TUNE: [(usize, f64); 19] = [
    (0, E5),
    (2, D5),
    (3, C5),
    (5, G4),
    (6, C5),
    (7, D5),
    (8, E5),
    (9, D5),
    (11, G4),
    (12, G5),
    (14, E5),
    (15, A5),
    (16, G5),
    (17, E5),
    (18, D5),
    (19, E5),
    (20, G4),
    (21, C5),
    (23, G4),
];

/// The accompaniment: a note for each beat.
const CHORDS: [f64; BEATS] = [
    C4, E4, G4, E4, G4, E4, C4, E4, G4, G3, D4, G4, C4, E4, G4, D4, G4, D4, G3, D4, G4, C4, G4, E4,
];

/// Eighteen seconds that may be repeated without end: what still sounds at the end goes on at the
/// beginning.
pub fn on_hold() -> Clip {
    let mut sum = vec![0.0; BEATS * BEAT];
    for (beat, hz) in TUNE {
        add(&mut sum, beat, hz, MELODY);
    }
    for (beat, hz) in CHORDS.into_iter().enumerate() {
        add(&mut sum, beat, hz, ACCOMPANIMENT);
    }
    let samples: Vec<i16> = sum
        .iter()
        .map(|sample: &f64| sample.round() as i16)
        .collect();
    Clip::new("music on hold", samples)
}

/// Adds a note: partials that die away, each an oscillator of two multiplications a sample.
fn add(sum: &mut [f64], beat: usize, hz: f64, peak: f64) {
    for ((strength, haste), n) in PARTIALS.into_iter().zip(1..) {
        let turn = TAU * hz * f64::from(n) / f64::from(Clip::CLOCK_HZ);
        let decay = (-haste / DECAY).exp();
        let (near, far) = (2.0 * decay * turn.cos(), decay * decay);
        let length = (DECAY / haste * -END.ln()) as usize;
        // y[n] = r^n·sin(n·turn) follows from its last two values.
        let (mut before, mut now) = (0.0, decay * turn.sin());
        for n in 0..length {
            let rise = if n < ATTACK {
                0.5 - 0.5 * (n as f64 / ATTACK as f64 * TAU / 2.0).cos()
            } else {
                1.0
            };
            sum[(beat * BEAT + n) % (BEATS * BEAT)] += peak * strength * rise * now;
            (before, now) = (now, near * now - far * before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::Detector;
    use crate::g711::{self, Law};
    use crate::rate::FRAME;
    use crate::tone::{COLUMN_HZ, ROW_HZ, Region, Tone};

    /// Twice around, so that the seam is in the middle.
    fn twice() -> Vec<i16> {
        let clip = on_hold();
        [&clip.samples[..], &clip.samples[..]].concat()
    }

    fn level_dbfs(samples: &[i16]) -> f64 {
        let squares: f64 = samples
            .iter()
            .map(|&sample| f64::from(sample).powi(2))
            .sum();
        10.0 * (squares / samples.len() as f64 / 32_768.0_f64.powi(2)).log10()
    }

    /// The share of a window's energy around a frequency, seen through a Hann window.
    fn share(window: &[i16], hz: f64) -> f64 {
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (n, &sample) in window.iter().enumerate() {
            let part = n as f64 / window.len() as f64;
            let hann = 0.5 - 0.5 * (TAU * part).cos();
            let (sin, cos) = (TAU * hz * n as f64 / 8_000.0).sin_cos();
            let sample = f64::from(sample) * hann;
            (re, im) = (re + sample * cos, im + sample * sin);
            all += sample * sample;
        }
        // A sine is spread over the window's 1.5 bins.
        (re * re + im * im) / (all * window.len() as f64 / 2.0 / 1.5).max(1.0)
    }

    #[test]
    fn it_is_calm_and_as_loud_as_a_voice_that_is_not_raised() {
        let clip = on_hold();
        let seconds = clip.duration().as_secs_f64();
        assert!((12.0..=20.0).contains(&seconds), "{seconds} s");
        assert_eq!(clip.samples.len() % FRAME, 0);
        let level = level_dbfs(&clip.samples);
        assert!((-20.5..-19.5).contains(&level), "{level} dBFS");
        let peak = clip
            .samples
            .iter()
            .map(|sample| sample.unsigned_abs())
            .max();
        assert!(peak < Some(20_000), "{peak:?}");
        for (n, second) in clip.samples.chunks(8_000).enumerate() {
            let level = level_dbfs(second);
            assert!((-25.0..-16.0).contains(&level), "second {n}: {level} dBFS");
        }
    }

    #[test]
    fn it_begins_again_without_a_click() {
        let sound = twice();
        let seam = sound.len() / 2;
        // The second difference: what a click has and soft tones have not.
        let bend = |at: usize| {
            let [a, b, c] = [at - 1, at, at + 1].map(|at| i32::from(sound[at]));
            (a - 2 * b + c).abs()
        };
        let most = (1_000..seam - 1_000).map(bend).max().expect("many");
        let there = (seam - 20..seam + 20).map(bend).max().expect("many");
        assert!(there <= most, "{there} at the seam, {most} elsewhere");
        assert!(most < 7_000, "{most}");
    }

    #[test]
    fn nobody_takes_it_for_a_key() {
        let sound = twice();
        for law in [Law::Mu, Law::A] {
            for gain in [0.05, 0.3, 1.0, 1.6] {
                for delay in [0, 13, 27] {
                    let mut detector = Detector::new();
                    for frame in sound[delay..].chunks_exact(FRAME) {
                        let (mut codes, mut heard) = ([0; FRAME], [0; FRAME]);
                        let scaled: Vec<i16> = frame
                            .iter()
                            .map(|&sample| (f64::from(sample) * gain) as i16)
                            .collect();
                        g711::encode(law, &scaled, &mut codes);
                        g711::decode(law, &codes, &mut heard);
                        assert_eq!(detector.feed(&heard), None, "{law:?} {gain}");
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_takes_it_for_a_tone_of_the_network() {
        // Ringing, busy and dial tones, special information, fax and the echo cancellers' tone,
        // as far off as they may be (ITU-T E.180 §6, T.30 §4, G.168 §7).
        let tones = [
            (350.0, 0.015),
            (425.0, 0.035),
            (440.0, 0.015),
            (450.0, 0.055),
            (480.0, 0.015),
            (620.0, 0.015),
            (950.0, 0.02),
            (1_400.0, 0.02),
            (1_800.0, 0.02),
            (1_100.0, 0.035),
            (2_100.0, 0.01),
        ];
        let heard = |sound: &[i16]| {
            let windows = sound.windows(1_600).step_by(400);
            let shares = windows.flat_map(|window| {
                tones.iter().flat_map(move |&(hz, off)| {
                    [1.0 - off, 1.0, 1.0 + off].map(|times| share(window, hz * times))
                })
            });
            shares.fold(0.0, f64::max)
        };
        let music = heard(&twice());
        assert!(music < 0.05, "{music}");
        // So that the test can fail.
        let length = std::time::Duration::from_secs(1);
        for region in [Region::China, Region::Europe, Region::NorthAmerica] {
            assert!(heard(&Tone::ringback(region).render(length)) > 0.4);
        }
    }

    #[test]
    fn no_note_is_a_frequency_of_the_keys() {
        for (_, hz) in TUNE {
            for key in ROW_HZ.iter().chain(&COLUMN_HZ) {
                let off = (hz / f64::from(*key) - 1.0).abs();
                assert!(off > 0.015, "{hz} Hz and {key} Hz");
            }
        }
    }
}
