//! What must be heard with how much off, and what must not be heard at all.

use std::f64::consts::TAU;
use std::time::Duration;

use vocab::Rng;

use super::*;
use crate::tone::{Region, Tone, peak};
use crate::{g711, music};

/// A line on which tones and pauses are strung together.
struct Line {
    samples: Vec<i16>,
    /// Level of each frequency.
    dbm0: f64,
    /// Deviation of all frequencies in Hz.
    off_hz: f64,
    /// Deviation of all lengths, as a factor.
    pace: f64,
}

impl Line {
    fn new() -> Self {
        Self {
            samples: vec![0; 4_000],
            dbm0: -15.0,
            off_hz: 0.0,
            pace: 1.0,
        }
    }

    /// Hard edges, and phases that begin anew: worse than any exchange.
    fn tone(&mut self, hz: &[f64], ms: f64) {
        let wave = |n: usize, hz: &f64| {
            peak(self.dbm0) * (TAU * (hz + self.off_hz) * n as f64 / 8e3 + hz).sin()
        };
        let count = (ms * self.pace * 8.0) as usize;
        let tone: Vec<i16> = (0..count)
            .map(|n| hz.iter().map(|hz| wave(n, hz)).sum::<f64>() as i16)
            .collect();
        self.samples.extend(tone);
    }

    fn pause(&mut self, ms: f64) {
        let count = (ms * self.pace * 8.0) as usize;
        self.samples.resize(self.samples.len() + count, 0);
    }

    fn cadence(&mut self, hz: &[f64], cadence: &[f64], rounds: usize) {
        for _ in 0..rounds {
            for (n, &ms) in cadence.iter().enumerate() {
                if n % 2 == 0 {
                    self.tone(hz, ms);
                } else {
                    self.pause(ms);
                }
            }
        }
    }
}

/// Roughly normal noise of the given level: the sum of four uniform numbers.
pub(crate) fn add_noise(samples: &mut [i16], dbm0: f64, rng: &mut Rng) {
    let rms = peak(dbm0) / 2_f64.sqrt();
    for sample in samples {
        let sum: f64 = (0..4)
            .map(|_| rng.below(1 << 20) as f64 / (1 << 19) as f64 - 1.0)
            .sum();
        // Each uniform number has a variance of 1/3, four of them 4/3.
        *sample = sample.saturating_add((sum * rms / (4.0_f64 / 3.0).sqrt()) as i16);
    }
}

fn all_heard(samples: &[i16]) -> Vec<Heard> {
    let mut detector = Detector::default();
    samples
        .chunks(160)
        .filter_map(|frame| detector.feed(frame))
        .collect()
}

fn signals(samples: &[i16]) -> Vec<(Signal, &'static str)> {
    let heard = all_heard(samples);
    heard
        .iter()
        .map(|heard| (heard.signal, heard.network))
        .collect()
}

/// Each signal with a cadence: whose, which, its frequencies and lengths.
type Row = (&'static str, Signal, &'static [f64], &'static [f64]);

const TABLE: [Row; 12] = [
    ("cn", Signal::Ringback, &[450.0], &[1_000.0, 4_000.0]),
    ("cn", Signal::Busy, &[450.0], &[350.0, 350.0]),
    ("cn", Signal::Congestion, &[450.0], &[700.0, 700.0]),
    ("us", Signal::Ringback, &[440.0, 480.0], &[2_000.0, 4_000.0]),
    ("us", Signal::Busy, &[480.0, 620.0], &[500.0, 500.0]),
    ("us", Signal::Congestion, &[480.0, 620.0], &[250.0, 250.0]),
    (
        "gb",
        Signal::Ringback,
        &[400.0, 450.0],
        &[400.0, 200.0, 400.0, 2_000.0],
    ),
    ("gb", Signal::Busy, &[400.0], &[375.0, 375.0]),
    ("eu", Signal::Ringback, &[425.0], &[1_000.0, 4_000.0]),
    ("eu", Signal::Busy, &[425.0], &[500.0, 500.0]),
    ("eu", Signal::Congestion, &[425.0], &[250.0, 250.0]),
    ("itu", Signal::FaxCalling, &[1_100.0], &[500.0, 3_000.0]),
];

#[test]
fn every_cadence_is_heard_once_however_it_comes() {
    // Level of each frequency, Hz off, pace, noise below the level in dB.
    let ways = [
        (-15.0, 0.0, 1.0, None),
        (-8.0, 0.0, 1.0, None),
        (-38.0, 0.0, 1.0, None),
        (-15.0, 4.0, 1.0, None),
        (-15.0, -4.0, 1.0, None),
        (-15.0, 0.0, 0.92, None),
        (-15.0, 0.0, 1.08, None),
        (-15.0, 0.0, 1.0, Some(20.0)),
        (-15.0, 0.0, 1.0, Some(15.0)),
        (-15.0, -3.0, 1.06, Some(18.0)),
    ];
    let mut rng = Rng::from_u64(1);
    for (network, signal, hz, cadence) in TABLE {
        for (dbm0, off_hz, pace, snr_db) in ways {
            for lead in [0, 23, 61] {
                let mut line = Line {
                    dbm0,
                    off_hz,
                    pace,
                    ..Line::new()
                };
                line.samples.resize(4_000 + lead, 0);
                line.cadence(hz, cadence, 4);
                if let Some(snr_db) = snr_db {
                    add_noise(&mut line.samples, dbm0 - snr_db, &mut rng);
                }
                assert_eq!(
                    signals(&line.samples),
                    [(signal, network)],
                    "{dbm0} dBm0, {off_hz} Hz off, {pace}, {snr_db:?}, {lead}"
                );
            }
        }
    }
}

/// Each name of special information: frequencies and lengths of the first two parts, and the third.
const SPECIAL: [(Information, [f64; 3], [f64; 3]); 5] = [
    (
        Information::Intercept,
        [913.8, 1_370.6, 1_776.7],
        [274.0, 274.0, 380.0],
    ),
    (
        Information::VacantCode,
        [985.2, 1_370.6, 1_776.7],
        [380.0, 274.0, 380.0],
    ),
    (
        Information::Reorder,
        [913.8, 1_428.5, 1_776.7],
        [274.0, 380.0, 380.0],
    ),
    (
        Information::NoCircuit,
        [985.2, 1_428.5, 1_776.7],
        [380.0, 380.0, 380.0],
    ),
    (
        Information::Unnamed,
        [950.0, 1_400.0, 1_800.0],
        [330.0, 330.0, 330.0],
    ),
];

#[test]
fn special_information_is_named() {
    let mut rng = Rng::from_u64(2);
    for (information, hz, ms) in SPECIAL {
        for (dbm0, off_hz, pace, snr_db, gap_ms) in [
            (-15.0, 0.0, 1.0, None, 0.0),
            (-15.0, 0.0, 1.0, None, 4.0),
            (-15.0, 0.0, 1.0, None, 30.0),
            (-8.0, 0.0, 1.0, None, 0.0),
            (-36.0, 0.0, 1.0, None, 0.0),
            (-15.0, 6.0, 1.0, None, 0.0),
            (-15.0, -6.0, 1.0, None, 0.0),
            (-15.0, 0.0, 1.05, None, 0.0),
            (-15.0, 0.0, 0.95, None, 0.0),
            (-15.0, 0.0, 1.0, Some(20.0), 0.0),
            (-15.0, 0.0, 1.0, Some(15.0), 4.0),
        ] {
            for lead in [0, 23, 61] {
                let mut line = Line {
                    dbm0,
                    off_hz,
                    pace,
                    ..Line::new()
                };
                line.samples.resize(4_000 + lead, 0);
                for (hz, ms) in hz.iter().zip(ms) {
                    line.tone(&[*hz], ms);
                    line.pause(gap_ms);
                }
                line.pause(1_000.0);
                if let Some(snr_db) = snr_db {
                    add_noise(&mut line.samples, dbm0 - snr_db, &mut rng);
                }
                let heard = all_heard(&line.samples);
                let way = format!("{dbm0} dBm0, {off_hz} Hz, {pace}, {snr_db:?}, {gap_ms} ms");
                assert_eq!(heard.len(), 1, "{information:?}, {way}: {heard:?}");
                assert_eq!(
                    heard[0].signal,
                    Signal::SpecialInformation(information),
                    "{way}: {heard:?}"
                );
                for (measured, hz) in heard[0].hz.iter().zip(hz) {
                    assert!(
                        (f64::from(*measured) - hz - off_hz).abs() < 3.0,
                        "{heard:?}"
                    );
                }
            }
        }
    }
    // Ours.
    let ours = Tone::special_information().render(Duration::from_secs(2));
    assert_eq!(
        signals(&ours),
        [(Signal::SpecialInformation(Information::Unnamed), "itu")]
    );
}

#[test]
fn special_information_of_wrong_order_or_length_is_none() {
    for (hz, ms) in [
        ([1_400.0, 950.0, 1_800.0], [330.0; 3]),
        ([950.0, 1_400.0, 1_650.0], [330.0; 3]),
        ([950.0, 1_400.0, 1_800.0], [150.0, 330.0, 330.0]),
        ([950.0, 1_400.0, 1_800.0], [330.0, 330.0, 800.0]),
        ([820.0, 1_400.0, 1_800.0], [330.0; 3]),
    ] {
        let mut line = Line::new();
        for (hz, ms) in hz.iter().zip(ms) {
            line.tone(&[*hz], ms);
        }
        line.pause(1_500.0);
        assert_eq!(signals(&line.samples), [], "{hz:?} {ms:?}");
    }
}

/// 2,100 Hz as V.8 has it: phase reversed every 450 ms, amplitude modulated by 15 Hz.
fn answer(ms: usize, hz: f64, dbm0: f64, reversed: bool, modulated: bool) -> Vec<i16> {
    let sample = |n: usize| {
        let at = n as f64 / 8e3;
        let sign = if reversed && n / 3_600 % 2 == 1 {
            -1.0
        } else {
            1.0
        };
        let swell = if modulated {
            1.0 + 0.2 * (TAU * 15.0 * at).sin()
        } else {
            1.0
        };
        (sign * swell * peak(dbm0) * (TAU * hz * at).sin()) as i16
    };
    (0..ms * 8).map(sample).collect()
}

#[test]
fn a_fax_machine_that_answers_is_heard_with_and_without_v8() {
    let mut rng = Rng::from_u64(3);
    for (reversed, modulated) in [(false, false), (true, false), (false, true), (true, true)] {
        for hz in [2_085.0, 2_100.0, 2_115.0] {
            for (dbm0, snr_db) in [
                (-12.0, None),
                (-36.0, None),
                (-12.0, Some(20.0)),
                (-12.0, Some(15.0)),
            ] {
                let mut samples = vec![0; 8_000];
                samples.extend(answer(3_300, hz, dbm0, reversed, modulated));
                samples.resize(samples.len() + 16_000, 0);
                if let Some(snr_db) = snr_db {
                    add_noise(&mut samples, dbm0 - snr_db, &mut rng);
                }
                let heard = all_heard(&samples);
                assert_eq!(
                    heard.len(),
                    1,
                    "{hz} {dbm0} {snr_db:?} {reversed} {modulated}: {heard:?}"
                );
                assert_eq!(heard[0].signal, Signal::FaxAnswering);
                assert!(heard[0].since.abs_diff(8_000) < 160, "{heard:?}");
                assert!(heard[0].until < 8_000 + 4_800, "told early: {heard:?}");
            }
        }
    }
    // Too short, and beside it.
    let mut samples = answer(400, 2_100.0, -12.0, false, false);
    samples.resize(16_000, 0);
    samples.extend(answer(3_300, 2_050.0, -12.0, false, false));
    assert_eq!(signals(&samples), []);
}

/// Voiced sound that glides, in syllables: enough of a voice to speak before a beep.
pub(crate) fn speech(ms: usize) -> Vec<i16> {
    let mut phase: f64 = 0.0;
    let sample = |n: usize| {
        let at = n as f64 / 8e3;
        phase += (130.0 + 40.0 * (TAU * 1.3 * at).sin()) / 8e3;
        let swell = (TAU * 4.0 * at / 2.0).sin().abs();
        let formant = |harmonic: f64| {
            let hz = 130.0 * harmonic;
            [500.0, 1_500.0, 2_500.0]
                .iter()
                .map(|center: &f64| 1.0 / (1.0 + ((hz - center) / 150.0).powi(2)))
                .sum::<f64>()
        };
        let sum: f64 = (1..24)
            .map(f64::from)
            .map(|harmonic| formant(harmonic) * (TAU * phase * harmonic).sin())
            .sum();
        (swell * 3_000.0 * sum) as i16
    };
    (0..ms * 8).map(sample).collect()
}

#[test]
fn a_beep_after_speech_is_heard_when_it_is_over() {
    let mut rng = Rng::from_u64(4);
    for hz in [400.0, 440.0, 700.0, 1_000.0, 1_400.0, 2_000.0, 2_290.0] {
        for ms in [130.0, 250.0, 500.0, 1_000.0, 1_450.0] {
            for (dbm0, snr_db) in [
                (-12.0, None),
                (-32.0, None),
                (-15.0, Some(20.0)),
                (-15.0, Some(15.0)),
            ] {
                let mut line = Line {
                    dbm0,
                    ..Line::new()
                };
                line.samples.extend(speech(2_000));
                line.pause(700.0);
                let begins = line.samples.len() as u64;
                line.tone(&[hz], ms);
                line.pause(1_300.0);
                if let Some(snr_db) = snr_db {
                    add_noise(&mut line.samples, dbm0 - snr_db, &mut rng);
                }
                let heard = all_heard(&line.samples);
                // A second of 400 to 450 Hz and then silence is how phones ring in half the world.
                if ms == 1_000.0 && hz < 450.0 {
                    assert!(heard.len() <= 1);
                    continue;
                }
                assert_eq!(
                    heard.len(),
                    1,
                    "{hz} Hz, {ms} ms, {dbm0} dBm0, {snr_db:?}: {heard:?}"
                );
                assert_eq!(heard[0].signal, Signal::Beep);
                assert!(
                    heard[0].since.abs_diff(begins) <= 160,
                    "{begins}: {heard:?}"
                );
                assert!(
                    f64::from(heard[0].lengths_ms[0].abs_diff(ms as u32)) < 25.0,
                    "{heard:?}"
                );
            }
        }
    }
}

#[test]
fn a_beep_is_none_without_speech_or_of_the_wrong_length() {
    for (spoken_ms, ms) in [(0, 500.0), (100, 500.0), (2_000, 60.0), (2_000, 1_900.0)] {
        let mut line = Line::new();
        line.samples.extend(speech(spoken_ms));
        line.pause(500.0);
        line.tone(&[1_000.0], ms);
        line.pause(1_500.0);
        assert_eq!(signals(&line.samples), [], "{spoken_ms} {ms}");
    }
}

#[test]
fn who_hangs_up_after_speaking_is_busy_and_no_beep() {
    for (network, signal, hz, cadence) in TABLE {
        if matches!(signal, Signal::Busy | Signal::Congestion) {
            let mut line = Line::new();
            line.samples.extend(speech(3_000));
            line.pause(400.0);
            line.cadence(hz, cadence, 6);
            assert_eq!(signals(&line.samples), [(signal, network)]);
        }
    }
}

#[test]
fn wrong_cadences_are_nothing() {
    for (hz, cadence) in [
        (&[450.0][..], &[150.0, 150.0][..]),
        (&[425.0], &[500.0, 250.0]),
        (&[480.0, 620.0], &[500.0, 250.0]),
        (&[440.0, 480.0], &[1_000.0, 1_000.0]),
        (&[540.0], &[350.0, 350.0]),
        (&[350.0, 440.0], &[5_000.0, 100.0]),
        (&[1_100.0], &[300.0, 3_000.0]),
        (&[1_160.0], &[500.0, 3_000.0]),
    ] {
        let mut line = Line::new();
        line.cadence(hz, cadence, 6);
        assert_eq!(signals(&line.samples), [], "{hz:?} {cadence:?}");
    }
}

#[test]
fn digits_are_no_signals() {
    let mut line = Line::new();
    line.samples.extend(speech(1_000));
    for (on_ms, off_ms) in [
        (50, 50),
        (100, 100),
        (350, 350),
        (500, 500),
        (250, 250),
        (1_000, 1_200),
    ] {
        for digit in "1234567890*#ABCD".chars() {
            let (on, off) = (Duration::from_millis(on_ms), Duration::from_millis(off_ms));
            let tone = Tone::dtmf(digit, on, off).expect("a digit");
            line.samples.extend(tone.render(on + off));
        }
    }
    assert_eq!(signals(&line.samples), []);
}

#[test]
fn music_speech_and_noise_are_no_signals() {
    let mut samples = speech(60_000);
    assert_eq!(signals(&samples), []);
    samples.truncate(16_000);
    for _ in 0..4 {
        samples.extend_from_slice(&music::on_hold().samples);
    }
    assert_eq!(signals(&samples), []);
    let mut noise = vec![0; 480_000];
    add_noise(&mut noise, -20.0, &mut Rng::from_u64(5));
    assert_eq!(signals(&noise), []);
}

/// Pure notes one after the other, as a music box or a telephone's own melody has them, after speech.
#[test]
fn a_melody_is_no_beep() {
    for note_ms in [150.0, 250.0, 400.0, 700.0] {
        for gap_ms in [0.0, 10.0, 40.0, 80.0] {
            let mut line = Line::new();
            line.samples.extend(speech(2_000));
            for hz in [
                523.0, 659.0, 784.0, 659.0, 523.0, 1_047.0, 988.0, 880.0, 784.0, 587.0,
            ] {
                line.tone(&[hz], note_ms);
                line.pause(gap_ms);
            }
            line.samples.extend(speech(1_000));
            assert_eq!(
                signals(&line.samples),
                [],
                "{note_ms} ms, {gap_ms} ms between"
            );
        }
    }
}

#[test]
fn both_laws_and_pieces_of_any_size_are_heard_alike() {
    for (network, signal, hz, cadence) in TABLE {
        let mut line = Line::new();
        line.cadence(hz, cadence, 3);
        let laws: [fn(i16) -> i16; 2] = [
            |sample| g711::alaw_decode(g711::alaw_encode(sample)),
            |sample| g711::ulaw_decode(g711::ulaw_encode(sample)),
        ];
        for law in laws {
            let samples: Vec<i16> = line.samples.iter().map(|&sample| law(sample)).collect();
            assert_eq!(signals(&samples), [(signal, network)]);
        }
        let whole = all_heard(&line.samples);
        for size in [1, 10, 80, 240, 480] {
            let mut detector = Detector::default();
            let told: Vec<Heard> = line
                .samples
                .chunks(size)
                .filter_map(|piece| detector.feed(piece))
                .collect();
            assert_eq!(told, whole, "{size}");
        }
    }
}

#[test]
fn what_we_play_is_heard_as_what_it_is() {
    let length = Duration::from_secs(9);
    for (region, network) in [
        (Region::China, "cn"),
        (Region::NorthAmerica, "us"),
        (Region::Europe, "eu"),
    ] {
        for (tone, signal) in [
            (Tone::ringback(region), Signal::Ringback),
            (Tone::busy(region), Signal::Busy),
            (Tone::congestion(region), Signal::Congestion),
        ] {
            assert_eq!(signals(&tone.render(length)), [(signal, network)]);
        }
    }
}

#[test]
#[should_panic(expected = "one at a time")]
fn too_much_at_once_is_a_bug() {
    Detector::default().feed(&[0; FEED_MAX + 1]);
}

#[test]
#[should_panic(expected = "each plan costs")]
fn too_many_plans_are_a_bug() {
    let _ = Detector::new(&[Plan::FAX_CALLING; PLANS_MAX + 1]);
}
