//! Who it is, by hand-made sounds: each rule by itself.

use std::f64::consts::TAU;

use vocab::Rng;

use super::*;
use crate::music;
use crate::progress::tests::{add_noise, speech};
use crate::tone::{Region, Tone, peak};

/// What is heard, piece by piece.
#[derive(Clone, Copy)]
enum Piece {
    /// A voice, in words of a quarter of a second.
    Voice(usize),
    Pause(usize),
    /// A tone of so many Hz.
    Tone(f64, usize),
}

use Piece::{Pause, Voice};

fn sound(pieces: &[Piece]) -> Vec<i16> {
    let mut samples = Vec::new();
    for piece in pieces {
        match *piece {
            Voice(ms) => samples.extend(speech(ms)),
            Pause(ms) => samples.resize(samples.len() + ms * 8, 0),
            Piece::Tone(hz, ms) => samples.extend(
                (0..ms * 8).map(|n| (peak(-12.0) * (TAU * hz * n as f64 / 8e3).sin()) as i16),
            ),
        }
    }
    samples
}

/// All that is told, with silence after the end.
fn told(params: &Params, samples: &[i16]) -> Vec<Told> {
    let mut listener = Listener::new(params);
    let mut samples = samples.to_vec();
    samples.resize(samples.len() + 40 * 8_000, 0);
    let told = samples
        .chunks(160)
        .filter_map(|frame| listener.feed(frame))
        .collect();
    assert!(listener.is_over());
    told
}

fn decision(samples: &[i16]) -> Decision {
    match told(&Params::default(), samples)[..] {
        [Told::Decided(decision)] => decision,
        ref other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check(pieces: &[Piece], answer: Answer, cause: Cause) -> Evidence {
    let decision = decision(&sound(pieces));
    assert_eq!(
        (decision.answer, decision.cause),
        (answer, cause),
        "{decision:?}"
    );
    decision.evidence
}

#[test]
fn a_few_words_are_a_person() {
    let evidence = check(
        &[Pause(600), Voice(700)],
        Answer::Human,
        Cause::ShortGreeting,
    );
    assert!((1..=4).contains(&evidence.words), "{evidence:?}");
    assert!(
        evidence.initial_silence_ms.abs_diff(600) <= 60,
        "{evidence:?}"
    );
    assert!(
        evidence.silence_ms >= 1_000 && evidence.silence_ms < 1_030,
        "{evidence:?}"
    );
    assert!(evidence.at_ms < 600 + 700 + 1_100, "{evidence:?}");
    check(
        &[Pause(2_300), Voice(400)],
        Answer::Human,
        Cause::ShortGreeting,
    );
    check(
        &[Pause(300), Voice(500), Pause(400), Voice(900)],
        Answer::Human,
        Cause::ShortGreeting,
    );
}

#[test]
fn who_talks_on_is_a_machine() {
    let evidence = check(
        &[Pause(300), Voice(6_000)],
        Answer::Machine,
        Cause::LongGreeting,
    );
    assert!(
        evidence.voice_ms > 2_400 && evidence.voice_ms < 2_430,
        "{evidence:?}"
    );
    let pieces: Vec<Piece> = (0..10).flat_map(|_| [Voice(130), Pause(200)]).collect();
    let params = Params {
        greeting: Duration::from_secs(10),
        ..Params::default()
    };
    let many = told(&params, &sound(&pieces));
    assert!(
        matches!(
            many[..],
            [Told::Decided(Decision {
                cause: Cause::ManyWords,
                ..
            })]
        ),
        "{many:?}"
    );
}

#[test]
fn nothing_is_silence() {
    let evidence = check(&[], Answer::Silence, Cause::NoWord);
    assert_eq!(evidence.at_ms, 2_500);
    assert_eq!((evidence.words, evidence.voice_ms), (0, 0));
    // A click is no word.
    check(&[Pause(500), Voice(40)], Answer::Silence, Cause::NoWord);
}

#[test]
fn tones_noise_and_music_are_no_words() {
    for region in [Region::China, Region::NorthAmerica, Region::Europe] {
        let ringing = Tone::ringback(region).render(Duration::from_secs(6));
        let decision = decision(&ringing);
        assert_eq!(decision.answer, Answer::Silence, "{decision:?}");
        assert_eq!(decision.evidence.words, 0, "{decision:?}");
    }
    for dbm0 in [-60.0, -45.0, -35.0, -25.0, -15.0] {
        let mut noise = vec![0; 48_000];
        add_noise(&mut noise, dbm0, &mut Rng::from_u64(7));
        let decision = decision(&noise);
        assert_eq!(
            decision.answer,
            Answer::Silence,
            "{dbm0} dBm0: {decision:?}"
        );
    }
    // Silence that is none at all, as before the first packet, teaches nothing about the line.
    for dbm0 in [-40.0, -30.0, -20.0] {
        let mut noise = vec![0; 48_000];
        add_noise(&mut noise[4_000..], dbm0, &mut Rng::from_u64(9));
        let decision = decision(&noise);
        assert_eq!(
            decision.answer,
            Answer::Silence,
            "{dbm0} dBm0: {decision:?}"
        );
    }
    let decision = decision(&music::on_hold().samples);
    assert!(!decision.answer.is_human(), "{decision:?}");
}

/// Whatever comes is survived, and time stays bounded.
#[test]
fn the_worst_there_is() {
    let mut rng = Rng::from_u64(10);
    let mut worst: Vec<Vec<i16>> = vec![vec![i16::MIN; 60_000], vec![i16::MAX; 60_000]];
    worst.push(
        (0..60_000)
            .map(|n| if n % 2 == 0 { i16::MIN } else { i16::MAX })
            .collect(),
    );
    worst.push(
        (0..60_000)
            .map(|n| if n / 9 % 2 == 0 { i16::MIN } else { i16::MAX })
            .collect(),
    );
    worst.push((0..60_000).map(|_| rng.u32() as i16).collect());
    worst.push(
        (0..60_000)
            .map(|n| if n % 777 == 0 { i16::MAX } else { 0 })
            .collect(),
    );
    for samples in worst {
        let decision = decision(&samples);
        assert!(decision.evidence.at_ms <= 5_000, "{decision:?}");
        let mut detector = Detector::default();
        for piece in samples.chunks(rng.below(480) as usize + 1) {
            let _ = detector.feed(piece);
        }
    }
}

#[test]
fn a_word_within_noise_is_heard() {
    for dbm0 in [-50.0, -40.0, -32.0] {
        let mut samples = sound(&[Pause(900), Voice(700), Pause(2_000)]);
        add_noise(&mut samples, dbm0, &mut Rng::from_u64(8));
        let decision = decision(&samples);
        assert_eq!(decision.answer, Answer::Human, "{dbm0} dBm0: {decision:?}");
    }
}

#[test]
fn signals_are_machines() {
    let special = Tone::special_information().render(Duration::from_secs(2));
    let fax = sound(&[Pause(300), Piece::Tone(2_100.0, 3_000)]);
    let busy = Tone::busy(Region::China).render(Duration::from_secs(5));
    for (samples, signal) in [
        (
            special,
            Signal::SpecialInformation(crate::progress::Information::Unnamed),
        ),
        (fax, Signal::FaxAnswering),
        (busy, Signal::Busy),
    ] {
        let decision = decision(&samples);
        assert_eq!(decision.answer, Answer::Machine, "{decision:?}");
        assert_eq!(decision.cause, Cause::Signal(signal), "{decision:?}");
    }
    let short = [Voice(900), Pause(300), Piece::Tone(1_000.0, 300)];
    let evidence = check(&short, Answer::Machine, Cause::Signal(Signal::Beep));
    assert!(
        evidence.beep_at_ms.expect("a beep").abs_diff(1_200) <= 20,
        "{evidence:?}"
    );
}

#[test]
fn time_is_bounded() {
    let params = Params {
        greeting: Duration::from_secs(60),
        words_max: 1_000,
        word_max: Duration::from_secs(60),
        ..Params::default()
    };
    let heard = told(&params, &sound(&[Voice(20_000)]));
    let [Told::Decided(decision)] = heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!(
        (decision.answer, decision.cause),
        (Answer::Unknown, Cause::TooLong)
    );
    assert_eq!(decision.evidence.at_ms, 5_000);
    assert!(decision.answer.is_human());
}

#[test]
fn a_message_ends_with_a_beep_or_silence_or_not() {
    let params = Params {
        message: Some(Message::default()),
        ..Params::default()
    };
    let greeting = [Voice(4_000), Pause(900), Voice(3_000), Pause(1_200)];
    let mut beep = greeting.to_vec();
    beep.extend([Piece::Tone(1_000.0, 400), Pause(3_000)]);
    let endless = [Voice(45_000)];
    let hung_up = Tone::busy(Region::Europe).render(Duration::from_secs(5));
    let mut hangs_up = sound(&greeting[..3]);
    hangs_up.extend(hung_up);
    for (samples, ending, from_ms, until_ms) in [
        (sound(&beep), Ending::Beep, 9_500, 9_700),
        (sound(&greeting), Ending::Silence, 9_850, 10_000),
        (sound(&endless), Ending::Unheard, 30_000, 30_020),
        (hangs_up, Ending::Unheard, 9_000, 10_000),
    ] {
        let heard = told(&params, &samples);
        let [Told::Decided(decision), Told::MessageEnded(ended, evidence)] = heard[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(decision.answer, Answer::Machine);
        assert_eq!(ended, ending, "{evidence:?}");
        assert!(
            (from_ms..=until_ms).contains(&evidence.at_ms),
            "{ended:?}: {evidence:?}"
        );
    }
    // Nobody waits for the end of what a person says.
    let heard = told(&params, &sound(&[Voice(600)]));
    assert_eq!(heard.len(), 1, "{heard:?}");
}

#[test]
fn pieces_of_any_size_are_heard_alike() {
    let samples = sound(&[Pause(300), Voice(800), Pause(1_500)]);
    let at = |size: usize| {
        let mut listener = Listener::new(&Params::default());
        let heard: Vec<Told> = samples
            .chunks(size)
            .filter_map(|piece| listener.feed(piece))
            .collect();
        heard
    };
    let whole = at(160);
    assert_eq!(whole.len(), 1);
    for size in [1, 80, 240, 480] {
        assert_eq!(at(size), whole, "{size}");
    }
}

#[test]
#[should_panic(expected = "one thing is told at a time")]
fn too_much_at_once_is_a_bug() {
    Listener::new(&Params::default()).feed(&[0; FEED_MAX + 1]);
}
