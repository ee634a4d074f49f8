//! Calls and messages on record.

use std::time::Duration;

use media::compare::{coverage, similarity};
use media::{Codec, Command, Event};
use vocab::call::RecordEnd;
use vocab::recording::SegmentEnd;
use vocab::{CallId, RecordingId, RecordingPart};

use crate::world::{Link, ONE, TWO, World, params_to, phone, recording, speech};

const MESSAGE: RecordingId = RecordingId::message(CallId(1), 1);

fn recorded(world: &World) -> Vec<(RecordingId, RecordEnd, Duration)> {
    world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Recorded {
                recording,
                end,
                length,
                ..
            } => Some((*recording, *end, *length)),
            _ => None,
        })
        .collect()
}

#[test]
fn both_channels_are_aligned_and_without_gaps() {
    let mut world = World::call(
        1,
        Link {
            delay_ms: 5,
            ..Link::default()
        },
        Codec::Pcmu,
    );
    let (question, answer) = (speech(1, 3_000), speech(2, 3_000));
    world.run_ms(3_000);
    world.play(0, ONE, 1, &question);
    world.run_ms(3_500);
    world.play(1, TWO, 2, &answer);
    world.run_ms(3_500);
    world.close(0, ONE);
    world.close(1, TWO);
    for (session, first, second) in [(ONE, 1, 0), (TWO, 0, 1)] {
        let record = &world.recordings[&recording(session)];
        assert_eq!(record.channels, 2);
        assert_eq!(record.samples.len(), 2 * 8 * 10_000, "as long as the call");
        let asked = similarity(&question, &record.channel(first), 30_000);
        let answered = similarity(&answer, &record.channel(second), 60_000);
        assert!(
            asked.score > 0.95 && answered.score > 0.95,
            "{asked:?} {answered:?}"
        );
        // 3.5 s lay between the two; each end adds at most its delay of the other.
        let between = answered.lag - asked.lag;
        assert!(between.abs_diff(28_000) < 800, "{session}: {between}");
    }
    assert!(recorded(&world).is_empty(), "only messages are reported");
    world.assert_empty();
}

/// A call of ten seconds, recorded by the one who listens to `words`, with five times something
/// that holds them up; what was recorded of the words.
fn held_up(words: &[i16], mut hold: impl FnMut(&mut World)) -> Vec<i16> {
    let link = Link {
        delay_ms: 5,
        ..Link::default()
    };
    let mut world = World::call(1, link, Codec::Pcmu);
    world.run_ms(500);
    world.play(0, ONE, 1, words);
    for _ in 0..5 {
        world.run_ms(1_000);
        hold(&mut world);
    }
    world.run_ms(4_500);
    world.close(0, ONE);
    world.close(1, TWO);
    world.heard(TWO)
}

/// Samples of [`held_up`]'s call.
const CALL: usize = 8 * 10_000;

#[test]
fn audio_that_waited_for_a_late_shell_is_not_lost() {
    // Up to 200 ms all ticks are made up for; beyond that the recording alone is.
    for stall_ms in [60, 120, 180, 300, 450, 700, 1_000] {
        let words = speech(7, 6_000);
        let stall = Duration::from_millis(stall_ms);
        let heard = held_up(&words, |world| world.stall(1, stall));
        assert_eq!(heard.len(), CALL, "{stall_ms} ms");
        let share = coverage(&words, &heard, 8_000);
        let found = similarity(&words, &heard, 8_000);
        // As a whole: nothing has even moved.
        assert!(
            share > 0.98 && found.score > 0.98,
            "{stall_ms} ms: {share} {found:?}"
        );
    }
}

#[test]
fn audio_that_a_stalled_network_delivers_too_late_is_not_lost() {
    // A jam of over half a second that comes again each second delays what is heard so much that
    // the jitter buffer leaves some of it out for good.
    for (jam_ms, least) in [
        (60, 0.97),
        (120, 0.97),
        (180, 0.97),
        (300, 0.97),
        (450, 0.97),
        (700, 0.87),
        (950, 0.87),
    ] {
        let words = speech(7, 6_000);
        let jam = Duration::from_millis(jam_ms);
        let heard = held_up(&words, |world| world.jam(jam));
        assert_eq!(heard.len(), CALL, "{jam_ms} ms");
        let share = coverage(&words, &heard, 8_000);
        assert!(share > least, "{jam_ms} ms: {share}");
    }
}

#[test]
fn audio_is_recorded_up_to_three_seconds_late_and_all_that_waited() {
    for (who, jam_ms, all) in [
        ("network", 2_900, true),
        ("network", 5_000, false),
        ("node", 2_900, true),
        ("node", 5_000, true),
    ] {
        let words = speech(7, 6_000);
        let mut first = true;
        let heard = held_up(&words, |world| {
            let jam = Duration::from_millis(jam_ms);
            match (std::mem::take(&mut first), who) {
                (true, "network") => world.jam(jam),
                (true, _) => world.stall(1, jam),
                (false, _) => {}
            }
        });
        let share = coverage(&words, &heard, 8_000);
        assert_eq!(share > 0.97, all, "{who} {jam_ms} ms: {share}");
        assert!(!all || heard.len() == CALL, "{who} {jam_ms} ms");
        assert!(share > 0.15, "{who} {jam_ms} ms: {share}");
    }
}

#[test]
fn a_message_ends_with_silence_and_is_handed_over_before_it_is_reported() {
    let mut world = World::call(
        1,
        Link {
            delay_ms: 5,
            ..Link::default()
        },
        Codec::Pcma,
    );
    world.run_ms(500);
    let words = speech(9, 4_000);
    world.play(1, TWO, 1, &words);
    let (max, silence) = (Duration::from_secs(60), Duration::from_secs(2));
    world.command(
        0,
        Command::RecordMessage {
            session: ONE,
            recording: MESSAGE,
            max,
            silence,
        },
    );
    world.run_ms(5_000);
    assert!(recorded(&world).is_empty());
    world.run_ms(3_000);
    let [(MESSAGE, RecordEnd::Silence, length)] = recorded(&world)[..] else {
        panic!("{:?}", recorded(&world));
    };
    let record = &world.recordings[&MESSAGE];
    assert!(record.ended);
    assert_eq!(record.channels, 1);
    assert_eq!(record.samples.len() as u128 * 125, length.as_micros());
    assert!((5_700..6_300).contains(&length.as_millis()), "{length:?}");
    assert!(similarity(&words, &record.samples, 2_000).score > 0.95);
}

#[test]
fn a_message_ends_by_time_key_and_hangup() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    let max = Duration::from_millis(1_230);
    let silence = Duration::ZERO;
    let record = |n| Command::RecordMessage {
        session: ONE,
        recording: RecordingId::message(MESSAGE.call, n),
        max,
        silence,
    };
    world.command(0, record(1));
    world.run_ms(2_000);
    world.command(0, record(2));
    world.run_ms(500);
    for _ in 0..2 {
        let recording = RecordingId::message(MESSAGE.call, 2);
        let end = RecordEnd::Terminator;
        world.command(
            0,
            Command::StopRecording {
                session: ONE,
                recording,
                end,
            },
        );
    }
    world.command(0, record(3));
    world.run_ms(500);
    world.close(0, ONE);
    let ends: Vec<_> = recorded(&world)
        .iter()
        .map(|(id, end, length)| (id.part, *end, length.as_millis()))
        .collect();
    assert_eq!(
        ends,
        [
            (RecordingPart::Message(1), RecordEnd::MaxTime, 1_230),
            (RecordingPart::Message(2), RecordEnd::Terminator, 500),
            (RecordingPart::Message(3), RecordEnd::Hangup, 500),
        ]
    );
    world.assert_empty();
}

#[test]
fn one_channel_is_what_was_received_and_a_split_loses_nothing_of_it() {
    let segment = |n| RecordingId::segment(MESSAGE.call, n);
    let record = |n| Command::RecordCall {
        session: ONE,
        recording: segment(n),
        channels: 1,
    };
    let answer = speech(2, 3_000);
    let kept = |split: bool| {
        let mut world = World::call(1, Link::default(), Codec::Pcmu);
        world.command(0, record(1));
        world.run_ms(500);
        world.play(0, ONE, 1, &speech(1, 3_000));
        world.play(1, TWO, 2, &answer);
        // In the middle of a tick, and of a word.
        world.run_ms(1_507);
        if split {
            let end = SegmentEnd::Split;
            world.command(0, Command::EndRecording { session: ONE, end });
            world.command(0, record(2));
        }
        world.run_ms(2_493);
        world.close(0, ONE);
        world.close(1, TWO);
        world.assert_empty();
        let mut parts = Vec::new();
        for n in 1..=2 {
            if let Some(recorded) = world.recordings.get(&segment(n)) {
                assert!(recorded.channels == 1 && recorded.ended);
                parts.push(recorded.samples.clone());
            }
        }
        parts
    };
    let (whole, halves) = (kept(false), kept(true));
    assert_eq!((whole.len(), halves.len()), (1, 2));
    assert_eq!(whole[0].len(), 8 * 4_500, "as long as the call");
    assert_eq!(halves[0].len(), 8 * 2_000, "as long as there were ticks");
    assert_eq!(whole[0], halves.concat());
    assert!(coverage(&answer, &whole[0], 8_000) > 0.95);
}
