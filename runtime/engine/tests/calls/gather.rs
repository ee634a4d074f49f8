//! Playing and collecting digits.

use std::time::Duration;

use expect_test::expect;
use jackfield_engine::phone::{Digits, Step};
use vocab::call::{Cause, Command, Event, GatherEnd, GatherSpec};
use vocab::{Clip, LegId, Pii, RecordingId};

use crate::audio::{assert_heard, assert_not_heard, speech};
use crate::world::{World, ms, s};

pub(crate) fn spec(min: u8, max: u8, barge_in: bool) -> GatherSpec {
    GatherSpec {
        min,
        max,
        terminators: "#".into(),
        first_timeout: s(5),
        inter_timeout: s(2),
        barge_in,
    }
}

pub(crate) fn press(digits: &str) -> Step {
    Step::Press(Pii::new(digits.into()))
}

/// Every command that is answered by an event.
pub(crate) fn everything(world: &mut World, leg: LegId) {
    world.play(leg, &speech(1, s(1)));
    world.command(Command::Gather {
        leg,
        clips: Vec::new(),
        spec: spec(1, 1, true),
    });
    world.command(record(leg, 1, &[]));
    world.command(Command::Bridge { a: leg, b: leg });
    world.command(Command::Unbridge { leg });
    world.command(Command::Join { leg });
}

pub(crate) fn record(leg: LegId, n: u16, beep: &[Clip]) -> Command {
    Command::Record {
        leg,
        recording: RecordingId::message(leg.call, n),
        max: s(30),
        silence: s(3),
        beep: beep.to_vec(),
        terminators: "#".into(),
    }
}

/// A caller with this script is asked for digits with this prompt; gives what was gathered.
fn gathered(
    digits: Digits,
    script: Vec<Step>,
    prompt: Option<&Clip>,
    spec: GatherSpec,
) -> (String, GatherEnd, Vec<i16>) {
    let mut world = World::new();
    let ann = world.phone("ann", |config| {
        config.digits = digits;
        config.script = script;
    });
    let leg = world.connected(ann);
    let clips = prompt.into_iter().cloned().collect();
    world.command(Command::Gather { leg, clips, spec });
    let event = world.until("Gathered", |event| matches!(event, Event::Gathered { .. }));
    let Event::Gathered { digits, end, .. } = event else {
        unreachable!()
    };
    world.run(ms(300));
    let heard = world.heard_in_all(ann);
    world.settle();
    (digits.into_inner(), end, heard)
}

#[test]
fn a_prompt_is_heard_and_a_key_after_it_is_taken() {
    let prompt = speech(1, s(2));
    for digits in [Digits::Rfc4733, Digits::InBand] {
        let script = vec![Step::Quiet { give_up: s(10) }, press("1")];
        let (value, end, heard) = gathered(digits, script, Some(&prompt), spec(1, 1, true));
        assert_eq!((&*value, end), ("1", GatherEnd::Complete), "{digits:?}");
        assert_heard(&prompt, &heard);
    }
}

#[test]
fn barge_in_stops_the_prompt() {
    let prompt = speech(1, s(10));
    for digits in [Digits::Rfc4733, Digits::InBand] {
        let script = vec![Step::Wait(s(1)), press("42")];
        let (value, end, heard) = gathered(digits, script, Some(&prompt), spec(1, 2, true));
        assert_eq!((&*value, end), ("42", GatherEnd::Complete), "{digits:?}");
        assert!(
            heard.len() < 8_000 * 4,
            "the call lasted {} samples",
            heard.len()
        );
        let silent = heard[heard.len() - 1_600..]
            .iter()
            .all(|sample| sample.abs() < 100);
        assert!(silent, "the prompt is over");
    }
}

#[test]
fn without_barge_in_the_prompt_goes_on_and_keys_are_dropped() {
    let prompt = speech(1, s(3));
    let script = vec![Step::Wait(s(1)), press("1"), Step::Wait(s(3)), press("2")];
    let (value, end, heard) = gathered(Digits::Rfc4733, script, Some(&prompt), spec(1, 1, false));
    assert_eq!((&*value, end), ("2", GatherEnd::Complete));
    assert_heard(&prompt, &heard);
}

#[test]
fn ends_of_a_gather() {
    for (name, keys, spec, expected) in [
        (
            "most digits",
            &["123"][..],
            spec(1, 3, true),
            ("123", GatherEnd::Complete),
        ),
        (
            "terminator",
            &["12#"],
            spec(1, 9, true),
            ("12", GatherEnd::Terminator),
        ),
        (
            "terminator too early",
            &["#1#"],
            spec(1, 9, true),
            ("1", GatherEnd::Terminator),
        ),
        (
            "terminator alone",
            &["#"],
            spec(0, 9, true),
            ("", GatherEnd::Terminator),
        ),
        (
            "enough, then nothing",
            &["12"],
            spec(2, 9, true),
            ("12", GatherEnd::Complete),
        ),
        (
            "too few, then nothing",
            &["1"],
            spec(2, 9, true),
            ("1", GatherEnd::Timeout),
        ),
        ("nothing", &[], spec(1, 1, true), ("", GatherEnd::Timeout)),
        // The pause between the two is longer than two seconds.
        (
            "too slow",
            &["1", "2"],
            spec(2, 2, true),
            ("1", GatherEnd::Timeout),
        ),
        // No digits at all makes no sense: one is taken.
        (
            "at most none",
            &["7"],
            spec(0, 0, true),
            ("7", GatherEnd::Complete),
        ),
        (
            "more than most",
            &["7"],
            spec(9, 1, true),
            ("7", GatherEnd::Complete),
        ),
    ] {
        let mut script = Vec::new();
        for key in keys {
            script.extend([press(key), Step::Wait(s(3))]);
        }
        let (value, end, _) = gathered(Digits::Rfc4733, script, None, spec);
        assert_eq!((&*value, end), expected, "{name}");
    }
}

#[test]
fn the_two_timeouts() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![Step::Wait(s(4)), press("1")]);
    let leg = world.connected(ann);
    world.skip_ladder();
    // The first time out counts from the end of the prompt: 3 s and 5 s. The key comes before.
    let clips = vec![speech(1, s(3))];
    world.command(Command::Gather {
        leg,
        clips,
        spec: spec(2, 3, false),
    });
    world.run(s(12));
    world.command(Command::Gather {
        leg,
        clips: vec![speech(1, s(3))],
        spec: spec(1, 1, true),
    });
    world.run(s(12));
    world.check(expect![[r#"
        0.030   > Gather A1
        6.050     Gathered A1 "1" Timeout
        12.030  > Gather A1
        20.020    Gathered A1 "" Timeout
    "#]]);
}

#[test]
fn a_playback_ends_or_is_stopped_once() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.skip_ladder();
    let (first, second, third) = (speech(1, s(1)), speech(2, s(5)), speech(3, s(1)));
    world.play(leg, &first);
    world.run(s(2));
    let play = world.play(leg, &second);
    world.run(s(1));
    world.command(Command::Stop { leg, play });
    world.command(Command::Stop { leg, play });
    world.run(s(1));
    // The next one stops the one before.
    world.play(leg, &second);
    world.run(ms(500));
    world.play(leg, &third);
    world.run(s(2));
    let heard = world.heard_in_all(ann);
    assert_heard(&first, &heard);
    assert_heard(&third, &heard);
    // The last three of its five seconds.
    let rest = Clip::new("the rest", &second.samples[16_000..]);
    assert_not_heard(&rest, &heard);
    world.settle();
    world.check(expect![[r#"
        0.030   > Play A1 1
        1.020     Played A1 1 finished
        2.030   > Play A1 2
        3.030   > Stop A1 2
        3.030   > Stop A1 2
        3.030     Played A1 2 stopped
        4.030   > Play A1 3
        4.530   > Play A1 4
        4.530     Played A1 3 stopped
        5.520     Played A1 4 finished
        6.530   ann → home: BYE
        6.540   home → ann: 200 OK (BYE)
        6.540     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn a_playback_repeats_until_it_is_stopped() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    let (play, clip) = (vocab::PlayId(99), speech(4, ms(600)));
    world.command(Command::Play {
        leg,
        play,
        clips: vec![clip.clone()],
        repeat: true,
    });
    world.run(s(4));
    world.skip_ladder();
    world.command(Command::Stop { leg, play });
    world.run(ms(100));
    let heard = world.heard_in_all(ann);
    let thrice: Vec<i16> = clip.samples.repeat(3);
    assert_heard(&Clip::new("three times", thrice), &heard);
    world.settle();
    world.check(expect![[r#"
        4.030   > Stop A1 99
        4.030     Played A1 99 stopped
        4.130   ann → home: BYE
        4.140   home → ann: 200 OK (BYE)
        4.140     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn what_begins_next_ends_what_was_going_on() {
    let mut world = World::new();
    world.show_media = true;
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.skip_ladder();
    let prompt = vec![speech(1, s(9))];
    let gather = |clips: &[Clip]| Command::Gather {
        leg,
        clips: clips.to_vec(),
        spec: spec(1, 1, true),
    };
    // A prompt that nobody waits for any more falls silent.
    for command in [
        gather(&prompt),
        gather(&[]),
        gather(&prompt),
        record(leg, 1, &[]),
        gather(&[]),
        record(leg, 2, &prompt),
        record(leg, 3, &[]),
        record(leg, 4, &[]),
        gather(&prompt),
    ] {
        world.command(command);
        world.run(ms(100));
    }
    world.play(leg, &speech(2, ms(200)));
    world.run(s(1));
    world.check(expect![[r#"
        0.030   > Gather A1
        0.030       media 1 Play
        0.130   > Gather A1
        0.130       media 1 Stop
        0.130     Gathered A1 "" Hangup
        0.230   > Gather A1
        0.230       media 1 Play
        0.230     Gathered A1 "" Hangup
        0.330   > Record A1 1
        0.330       media 1 Stop
        0.330       media 1 RecordMessage 1
        0.330     Gathered A1 "" Hangup
        0.430   > Gather A1
        0.430       media 1 StopRecording 1 Terminator
        0.430     Recorded A1 1 Terminator 100 ms
        0.530   > Record A1 2
        0.530       media 1 Play
        0.530     Gathered A1 "" Hangup
        0.630   > Record A1 3
        0.630       media 1 Stop
        0.630       media 1 RecordMessage 3
        0.630     Recorded A1 2 Hangup 0 ms
        0.730   > Record A1 4
        0.730       media 1 StopRecording 3 Terminator
        0.730       media 1 RecordMessage 4
        0.730     Recorded A1 3 Terminator 100 ms
        0.830   > Gather A1
        0.830       media 1 StopRecording 4 Terminator
        0.830       media 1 Play
        0.830     Recorded A1 4 Terminator 100 ms
        0.930   > Play A1 1
        0.930       media 1 Stop
        0.930       media 1 Play
        0.930     Gathered A1 "" Hangup
        1.120     Played A1 1 finished
    "#]]);
    world.hang_up(ann);
    world.settle();
}

#[test]
fn keys_that_nobody_waits_for_are_reported() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![press("1*A"), Step::Hangup]);
    world.connected(ann);
    world.skip_ladder();
    world.settle();
    world.check(expect![[r#"
        0.030     Digit A1 1
        0.230     Digit A1 *
        0.430     Digit A1 A
        0.680   ann → home: BYE
        0.690   home → ann: 200 OK (BYE)
        0.690     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn digits_are_sent_to_the_far_end() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.command(Command::SendDigits {
        leg,
        digits: Pii::new("12 x#".into()),
    });
    world.run(s(2));
    let heard: String = world.news[ann]
        .iter()
        .filter_map(|news| match news {
            jackfield_engine::phone::News::Heard { digit } => Some(*digit.reveal()),
            _ => None,
        })
        .collect();
    assert_eq!(heard, "12#");
    world.hang_up(ann);
    world.settle();
}

#[test]
fn a_hang_up_ends_a_gather_with_what_was_pressed() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![press("12"), Step::Hangup]);
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(Command::Gather {
        leg,
        clips: vec![speech(1, s(9))],
        spec: spec(1, 9, true),
    });
    world.settle();
    world.check(expect![[r#"
        0.030   > Gather A1
        0.460   ann → home: BYE
        0.470   home → ann: 200 OK (BYE)
        0.470     Gathered A1 "12" Hangup
        0.470     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn commands_while_a_leg_ends_are_answered_before_its_end() {
    let mut world = World::new();
    world.thread_delay = Duration::from_millis(7);
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(Command::Hangup {
        leg,
        cause: Cause::Normal,
    });
    everything(&mut world, leg);
    world.settle();
    everything(&mut world, leg);
    world.check(expect![[r#"
        0.030   > Hangup A1 normal
        0.030   home → ann: BYE
        0.030   > Play A1 1
        0.030     Played A1 1 stopped
        0.030   > Gather A1
        0.030     Gathered A1 "" Hangup
        0.030   > Record A1 1
        0.030     Recorded A1 1 Hangup 0 ms
        0.030   > Bridge A1 A1
        0.030     Unbridged A1 A1
        0.030   > Unbridge A1
        0.030   > Join A1
        0.030     Left A1
        0.040   ann → home: 200 OK (BYE)
        0.044     Ended A1 normal by Near
        70.030  > Play A1 2
        70.030  > Gather A1
        70.030  > Record A1 1
        70.030  > Bridge A1 A1
        70.030  > Unbridge A1
        70.030  > Join A1
    "#]]);
}
