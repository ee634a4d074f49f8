//! A receiver's exam: what must be heard, what must not (ITU-T Q.24 table A-1).

use std::f64::consts::TAU;

use vocab::Rng;

use super::*;
use crate::g711::{self, Law};
use crate::tone::{COLUMN_HZ, ROW_HZ, key, peak};

const DIGITS: &str = "123A456B789C*0#D";

/// A press as a test wants it.
#[derive(Clone, Copy)]
struct Press {
    digit: char,
    on_ms: usize,
    off_ms: usize,
    /// Of the low and the high tone.
    dbm0: (f64, f64),
    /// Deviation of the low and the high frequency in percent.
    percent: (f64, f64),
}

impl Press {
    fn new(digit: char) -> Self {
        Self {
            digit,
            on_ms: 50,
            off_ms: 50,
            dbm0: (-10.0, -10.0),
            percent: (0.0, 0.0),
        }
    }

    /// Hard edges: worse than any phone.
    fn samples(self) -> Vec<i16> {
        let (row, column) = key(self.digit).expect("a digit");
        let low = f64::from(ROW_HZ[row]) * (1.0 + self.percent.0 / 100.0);
        let high = f64::from(COLUMN_HZ[column]) * (1.0 + self.percent.1 / 100.0);
        let wave = |n: usize, hz: f64, dbm0: f64| peak(dbm0) * (TAU * hz * n as f64 / 8e3).sin();
        let sample = |n| wave(n, low, self.dbm0.0) + wave(n, high, self.dbm0.1);
        let mut samples: Vec<i16> = (0..self.on_ms * 8).map(|n| sample(n) as i16).collect();
        samples.resize((self.on_ms + self.off_ms) * 8, 0);
        samples
    }
}

fn heard(samples: &[i16]) -> String {
    let mut detector = Detector::new();
    samples
        .chunks(160)
        .filter_map(|frame| detector.feed(frame))
        .collect()
}

/// All digits with one change to each, after `lead` samples of silence, so that every place
/// within a window is tried.
fn all(lead: usize, change: impl Fn(&mut Press)) -> Vec<i16> {
    let mut samples = vec![0; lead];
    for digit in DIGITS.chars() {
        let mut press = Press::new(digit);
        change(&mut press);
        samples.extend(press.samples());
    }
    samples
}

#[track_caller]
fn check_heard(change: impl Fn(&mut Press)) {
    for lead in 0..HOP {
        assert_eq!(heard(&all(lead, &change)), DIGITS, "{lead} samples in");
    }
}

#[track_caller]
fn check_unheard(change: impl Fn(&mut Press)) {
    for lead in 0..HOP {
        assert_eq!(heard(&all(lead, &change)), "", "{lead} samples in");
    }
}

/// Roughly normal noise of the given level: the sum of four uniform numbers.
fn add_noise(samples: &mut [i16], dbm0: f64, rng: &mut Rng) {
    let rms = peak(dbm0) / 2_f64.sqrt();
    for sample in samples {
        let sum: f64 = (0..4)
            .map(|_| rng.below(1 << 20) as f64 / (1 << 19) as f64 - 1.0)
            .sum();
        // Each uniform number has a variance of 1/3, four of them 4/3.
        *sample = sample.saturating_add((sum * rms / (4.0_f64 / 3.0).sqrt()) as i16);
    }
}

#[test]
fn every_digit_is_heard_once() {
    check_heard(|_| {});
    check_heard(|press| (press.on_ms, press.off_ms) = (1_000, 500));
}

#[test]
fn short_digits_and_pauses_are_heard() {
    check_heard(|press| (press.on_ms, press.off_ms) = (40, 40));
    // A repeated key is two presses if the pause is long enough.
    let mut samples = Vec::new();
    for _ in 0..6 {
        samples.extend(
            Press {
                on_ms: 40,
                off_ms: 40,
                ..Press::new('5')
            }
            .samples(),
        );
    }
    assert_eq!(heard(&samples), "555555");
}

#[test]
fn shorter_tones_are_not() {
    for on_ms in [5, 10, 15, 20] {
        check_unheard(|press| press.on_ms = on_ms);
    }
}

#[test]
fn an_interruption_does_not_make_two_of_one() {
    for gap in [8, 40, 80] {
        for lead in 0..HOP {
            let mut samples = vec![0; lead];
            samples.extend(
                Press {
                    on_ms: 200,
                    ..Press::new('7')
                }
                .samples(),
            );
            samples[lead + 600..lead + 600 + gap].fill(0);
            assert_eq!(heard(&samples), "7", "{gap} samples, {lead} in");
        }
    }
}

#[test]
fn levels_from_loud_to_faint() {
    for dbm0 in [-36.0, -30.0, -20.0, -10.0, -3.0] {
        check_heard(|press| press.dbm0 = (dbm0, dbm0));
    }
    // Two tones at 0 dBm0 are beyond full scale: clipped, and heard all the same.
    let clipped: Vec<i16> = all(0, |press| press.dbm0 = (-1.0, -1.0));
    assert_eq!(heard(&clipped), DIGITS);
    check_unheard(|press| press.dbm0 = (-42.0, -42.0));
}

#[test]
fn twist() {
    for (low, high) in [(-10.0, -18.0), (-14.0, -10.0), (-7.0, -9.0), (-10.0, -12.0)] {
        check_heard(|press| press.dbm0 = (low, high));
    }
    for (low, high) in [(-10.0, -21.0), (-18.0, -10.0)] {
        check_unheard(|press| press.dbm0 = (low, high));
    }
}

#[test]
fn frequencies_beside_the_nominal_ones() {
    for (low, high) in [
        (1.5, 1.5),
        (-1.5, -1.5),
        (1.5, -1.5),
        (-1.5, 1.5),
        (1.8, 1.8),
        (-1.8, -1.8),
    ] {
        check_heard(|press| (press.percent, press.on_ms) = ((low, high), 40));
    }
    for (low, high) in [
        (3.5, 0.0),
        (-3.5, 0.0),
        (0.0, 3.5),
        (0.0, -3.5),
        (3.5, 3.5),
        (-3.5, -3.5),
        (5.0, 0.0),
    ] {
        check_unheard(|press| (press.percent, press.on_ms) = ((low, high), 200));
    }
}

#[test]
fn everything_at_its_limit_at_once() {
    for (law, dbm0) in [(Law::Mu, -10.0), (Law::A, -10.0), (Law::A, -24.0)] {
        let mut samples = all(13, |press| {
            press.dbm0 = (dbm0, dbm0 - 6.0);
            press.percent = (1.5, -1.5);
            (press.on_ms, press.off_ms) = (45, 45);
        });
        through(law, &mut samples);
        assert_eq!(heard(&samples), DIGITS, "{law:?}");
    }
}

fn through(law: Law, samples: &mut [i16]) {
    let mut codes = vec![0; samples.len()];
    g711::encode(law, samples, &mut codes);
    g711::decode(law, &codes, samples);
}

#[test]
fn both_laws_at_every_level() {
    for law in [Law::Mu, Law::A] {
        for dbm0 in [-34.0, -25.0, -10.0, -3.0] {
            let mut samples = all(7, |press| press.dbm0 = (dbm0, dbm0));
            through(law, &mut samples);
            assert_eq!(heard(&samples), DIGITS, "{law:?} {dbm0}");
        }
    }
}

#[test]
fn noise_15_db_below() {
    let mut rng = Rng::from_u64(1);
    for round in 0..40 {
        let mut samples = all(round, |press| press.dbm0 = (-10.0, -10.0));
        // The two tones together have -7 dBm0.
        add_noise(&mut samples, -22.0, &mut rng);
        assert_eq!(heard(&samples), DIGITS, "round {round}");
    }
}

#[test]
fn pieces_of_any_size_are_heard_alike() {
    let samples = all(5, |_| {});
    for size in [1, 10, 80, 160, 240, 480] {
        let mut detector = Detector::new();
        let told: String = samples
            .chunks(size)
            .filter_map(|piece| detector.feed(piece))
            .collect();
        assert_eq!(told, DIGITS, "{size}");
    }
}

#[test]
fn a_digit_is_told_while_it_sounds() {
    let mut detector = Detector::new();
    let samples = Press {
        on_ms: 100,
        off_ms: 100,
        ..Press::new('8')
    }
    .samples();
    let seen: Vec<(Option<char>, Option<char>)> = samples
        .chunks(160)
        .map(|frame| (detector.feed(frame), detector.current()))
        .collect();
    let eight = Some('8');
    assert_eq!(seen[0], (None, None));
    assert_eq!(seen[1], (eight, eight));
    assert_eq!(seen[2], (None, eight));
    assert_eq!(seen[4], (None, eight));
    assert_eq!(seen[7], (None, None));
}

#[test]
fn single_tones_and_call_progress_are_no_digits() {
    use crate::tone::{Region, Tone};
    use std::time::Duration;
    let length = Duration::from_secs(8);
    for region in [Region::China, Region::NorthAmerica, Region::Europe] {
        for tone in [
            Tone::ringback(region),
            Tone::busy(region),
            Tone::congestion(region),
        ] {
            assert_eq!(heard(&tone.render(length)), "");
        }
    }
    assert_eq!(heard(&Tone::special_information().render(length)), "");
    assert_eq!(heard(&Tone::beep(length).render(length)), "");
    for hz in (300..3_400).step_by(7) {
        let wave = |n: i32| peak(-10.0) * (TAU * f64::from(hz * n) / 8e3).sin();
        let samples: Vec<i16> = (0..2_400).map(|n| wave(n) as i16).collect();
        assert_eq!(heard(&samples), "", "{hz} Hz");
    }
}

#[test]
fn a_third_tone_spoils_a_digit() {
    // A second harmonic 6 dB down, as a voice would have it.
    for digit in DIGITS.chars() {
        let (row, _) = key(digit).expect("a digit");
        let mut samples = Press {
            on_ms: 200,
            ..Press::new(digit)
        }
        .samples();
        let hz = f64::from(ROW_HZ[row]) * 2.0;
        for (n, sample) in samples.iter_mut().take(1_600).enumerate() {
            *sample += (peak(-13.0) * (TAU * hz * n as f64 / 8e3).sin()) as i16;
        }
        assert_eq!(heard(&samples), "", "{digit}");
    }
}

#[test]
fn noise_holds_no_digits() {
    let mut rng = Rng::from_u64(2);
    for dbm0 in [-40.0, -20.0, -5.0] {
        let mut samples = vec![0; 60 * 8_000];
        add_noise(&mut samples, dbm0, &mut rng);
        assert_eq!(heard(&samples), "", "{dbm0} dBm0");
    }
}

/// Voiced sound like a speaker's: a pitch that glides, three formants that wander, syllables that
/// swell and fade, some with breath. All from one seed.
fn voice(seconds: usize, rng: &mut Rng) -> Vec<i16> {
    let mut samples = Vec::with_capacity(seconds * 8_000);
    let uniform = |rng: &mut Rng, low: f64, high: f64| {
        low + (high - low) * rng.below(1 << 30) as f64 / f64::from(1 << 30)
    };
    let mut phase = 0.0;
    while samples.len() < seconds * 8_000 {
        let length = uniform(rng, 0.06, 0.35) * 8e3;
        let pitch = (uniform(rng, 80.0, 320.0), uniform(rng, 0.85, 1.2));
        let formants = [(250.0, 900.0), (800.0, 2_400.0), (2_000.0, 3_300.0)]
            .map(|(low, high)| (uniform(rng, low, high), uniform(rng, 0.9, 1.1)));
        let width = uniform(rng, 40.0, 160.0);
        let level = peak(uniform(rng, -25.0, -8.0));
        let breath = if rng.chance(0.3) { 0.2 } else { 0.01 };
        for n in 0..length as usize {
            let part = n as f64 / length;
            let hz = pitch.0 * (1.0 + (pitch.1 - 1.0) * part);
            phase = (phase + hz / 8e3).fract();
            let mut sum = 0.0;
            let mut weights = 0.0;
            for harmonic in 1..=(3_400.0 / hz) as u32 {
                let at = hz * f64::from(harmonic);
                let gain: f64 = formants
                    .iter()
                    .map(|(center, glide)| center * (1.0 + (glide - 1.0) * part))
                    .map(|center| 1.0 / (1.0 + ((at - center) / width).powi(2)))
                    .sum();
                sum += gain * (TAU * phase * f64::from(harmonic)).sin();
                weights += gain * gain;
            }
            let noise = uniform(rng, -breath, breath);
            let swell = (part * TAU / 2.0).sin();
            samples.push((level * swell * (sum / weights.max(1e-3).sqrt() + noise)) as i16);
        }
        samples.extend(vec![0; uniform(rng, 0.0, 800.0) as usize]);
    }
    samples
}

#[test]
fn voices_hold_no_digits() {
    for seed in 0..6 {
        let mut rng = Rng::from_u64(100 + seed);
        let mut samples = voice(30, &mut rng);
        through(Law::A, &mut samples);
        assert_eq!(heard(&samples), "", "seed {seed}");
    }
}

#[test]
fn a_digit_over_a_prompt_that_echoes_is_heard() {
    let mut rng = Rng::from_u64(9);
    for (n, digit) in DIGITS.chars().enumerate() {
        let mut samples = voice(1, &mut rng);
        // The prompt comes back 20 dB weaker; the digit has -9 and -7 dBm0.
        samples.iter_mut().for_each(|sample| *sample /= 10);
        let at = 1_000 + n * 37;
        let press = Press {
            on_ms: 100,
            dbm0: (-9.0, -7.0),
            ..Press::new(digit)
        };
        for (sample, own) in samples[at..].iter_mut().zip(press.samples()) {
            *sample += own;
        }
        assert_eq!(heard(&samples), digit.to_string());
    }
}

#[test]
#[should_panic(expected = "at most one digit")]
fn too_much_at_once_is_a_bug() {
    Detector::new().feed(&[0; FEED_MAX + 1]);
}
