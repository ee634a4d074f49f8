//! Goal: what an engine sees of calls it makes, as ladders: early media and what is said after the
//! answer, heard through the doors that others use.

use std::f64::consts::TAU;
use std::time::Duration;

use expect_test::{Expect, expect};
use jackfield_media::amd::{Listener, Message, Params, Told};
use jackfield_media::progress::{Detector, Plan, Signal};
use jackfield_media::tone::{Region, Tone};

/// 20 ms.
const FRAME: usize = 160;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn silence(length: f64) -> Vec<i16> {
    vec![0; (length * 8e3) as usize]
}

/// A sound like a vowel: a pitch that glides, and its harmonics, in syllables of a quarter second.
fn voice(length: f64) -> Vec<i16> {
    let mut phase: f64 = 0.0;
    let sample = |n: usize| {
        let at = n as f64 / 8e3;
        phase += (150.0 + 50.0 * (TAU * 1.1 * at).sin()) / 8e3;
        let swell = (TAU * 2.0 * at).sin().abs();
        let harmonic = |n: u32| (TAU * phase * f64::from(n)).sin() / f64::from(n).sqrt();
        (swell * 1_500.0 * (1..20).map(harmonic).sum::<f64>()) as i16
    };
    (0..(length * 8e3) as usize).map(sample).collect()
}

fn sine(hz: f64, length: f64) -> Vec<i16> {
    let sample = |n: usize| (6_000.0 * (TAU * hz * n as f64 / 8e3).sin()) as i16;
    (0..(length * 8e3) as usize).map(sample).collect()
}

/// What is told and when, in ms.
fn check_signals(mut detector: Detector, samples: &[i16], expected: &Expect) {
    let mut ladder = String::new();
    for (frame, n) in samples.chunks(FRAME).zip(1..) {
        if let Some(heard) = detector.feed(frame) {
            let hz: Vec<String> = heard
                .hz
                .iter()
                .filter(|hz| **hz > 0.0)
                .map(|hz| format!("{hz:.0}"))
                .collect();
            ladder += &format!(
                "{:<6} {:?} {} {} Hz {:?} ms {:.0} dBm0, {} to {}\n",
                n * 20,
                heard.signal,
                heard.network,
                hz.join("+"),
                heard.lengths_ms,
                heard.dbm0,
                heard.since / 8,
                heard.until / 8,
            );
        }
    }
    expected.assert_eq(&ladder);
}

fn check_answer(samples: &[i16], expected: &Expect) {
    let params = Params {
        message: Some(Message::default()),
        ..Params::default()
    };
    let mut listener = Listener::new(&params);
    let mut ladder = String::new();
    for frame in samples.chunks(FRAME) {
        match listener.feed(frame) {
            Some(Told::Decided(it)) => {
                let e = it.evidence;
                ladder += &format!(
                    "{:<6} {:?} {:?}: {} words, {} ms after {}, silent {}\n",
                    e.at_ms,
                    it.answer,
                    it.cause,
                    e.words,
                    e.voice_ms,
                    e.initial_silence_ms,
                    e.silence_ms,
                );
            }
            Some(Told::MessageEnded(ending, e)) => {
                ladder += &format!("{:<6} {ending:?}, beep at {:?}\n", e.at_ms, e.beep_at_ms);
            }
            None => {}
        }
    }
    expected.assert_eq(&ladder);
}

#[test]
fn early_media_of_a_call_that_fails() {
    let samples = [
        silence(0.7),
        Tone::ringback(Region::China).render(seconds(10.0)),
        Tone::special_information().render(seconds(2.0)),
        voice(3.0),
        silence(0.5),
        Tone::busy(Region::China).render(seconds(4.0)),
    ]
    .concat();
    check_signals(
        Detector::default(),
        &samples,
        &expect![[r#"
            2700   Ringback cn 450 Hz [990, 0, 0] ms -13 dBm0, 703 to 1693
            11740  SpecialInformation(Unnamed) itu 950+1400+1800 Hz [330, 330, 320] ms -13 dBm0, 10703 to 11683
            17300  Busy cn 450 Hz [340, 360, 340] ms -13 dBm0, 16193 to 17233
        "#]],
    );
}

#[test]
fn a_plan_of_ones_own() {
    // Japan's busy tone (ITU-T E.180 Supplement 2).
    let japan = Plan {
        signal: Signal::Busy,
        network: "jp",
        hz: (400.0, None),
        tolerance_hz: 20.0,
        cadence_ms: [500, 500, 0, 0],
    };
    let mut samples = silence(0.3);
    for _ in 0..4 {
        samples.extend(sine(400.0, 0.5));
        samples.extend(silence(0.5));
    }
    check_signals(
        Detector::new(&[japan]),
        &samples,
        &expect![[r#"
            1860   Busy jp 400 Hz [500, 500, 500] ms -12 dBm0, 303 to 1803
        "#]],
    );
    // By the plans we have, it is none.
    check_signals(Detector::default(), &samples, &expect![[r#""#]]);
}

#[test]
fn a_person_says_hello() {
    let samples = [silence(0.8), voice(0.6), silence(3.0)].concat();
    check_answer(
        &samples,
        &expect![[r#"
            2400   Human ShortGreeting: 1 words, 600 ms after 800, silent 1000
        "#]],
    );
}

#[test]
fn a_machine_takes_a_message() {
    let samples = [
        silence(0.5),
        voice(5.0),
        silence(0.6),
        sine(1_000.0, 0.4),
        silence(2.0),
    ]
    .concat();
    check_answer(
        &samples,
        &expect![[r#"
            2910   Machine LongGreeting: 1 words, 2410 ms after 500, silent 0
            6660   Beep, beep at Some(6103)
        "#]],
    );
}

#[test]
fn an_announcement_says_that_there_is_no_such_number() {
    let samples = [Tone::special_information().render(seconds(2.0)), voice(4.0)].concat();
    check_answer(
        &samples,
        &expect![[r#"
            1040   Machine Signal(SpecialInformation(Unnamed)): 0 words, 0 ms after 1040, silent 1040
        "#]],
    );
}
