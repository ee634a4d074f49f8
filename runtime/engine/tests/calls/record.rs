//! Messages, and recordings of calls.

use expect_test::expect;
use jackfield_engine::phone::Step;
use vocab::RecordingId;
use vocab::call::{Cause, Command, Event, RecordEnd};

use crate::audio::{assert_heard, coverage, speech};
use crate::gather::{press, record};
use crate::world::{World, ms, s};

#[test]
fn a_message_after_the_beep_ends_with_silence() {
    let mut world = World::new();
    world.show_media = true;
    let message = speech(1, s(2));
    let script = vec![Step::Quiet { give_up: s(9) }, Step::Play(message.clone())];
    let ann = world.scripted("ann", script);
    let leg = world.connected(ann);
    world.skip_ladder();
    let beep = media::tone::beep(400);
    world.command(record(leg, 1, std::slice::from_ref(&beep)));
    world.until("Recorded", |event| matches!(event, Event::Recorded { .. }));
    world.check(expect![[r#"
        0.030   > Record A1 1
        0.030       media 1 Play
        0.420       media 1 RecordMessage 1
        6.560     Recorded A1 1 Silence 6140 ms
    "#]]);
    let kept = &world.recordings[&RecordingId::message(leg.call, 1)].clone();
    assert_heard(&message, kept);
    let heard = world.heard_in_all(ann);
    assert_heard(&beep, &heard);
    world.settle();
}

#[test]
fn a_terminator_ends_a_message_and_other_keys_do_not() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![Step::Wait(s(1)), press("5#")]);
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(record(leg, 1, &[]));
    world.until("Recorded", |event| {
        matches!(
            event,
            Event::Recorded {
                end: RecordEnd::Terminator,
                ..
            }
        )
    });
    world.hang_up(ann);
    world.settle();
    world.check(expect![[r#"
        0.030   > Record A1 1
        1.250     Recorded A1 1 Terminator 1220 ms
        1.250   ann → home: BYE
        1.260   home → ann: 200 OK (BYE)
        1.260     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn keys_during_the_beep_count_for_nothing() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![press("#")]);
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(record(leg, 1, &[speech(9, s(1))]));
    world.run(s(3));
    assert!(
        !world
            .events
            .iter()
            .any(|event| matches!(event, Event::Recorded { .. }))
    );
    world.hang_up(ann);
    world.settle();
    world.check(expect![[r#"
        0.030   > Record A1 1
        3.030   ann → home: BYE
        3.040   home → ann: 200 OK (BYE)
        3.040     Recorded A1 1 Hangup 2000 ms
        3.040     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn a_message_has_a_longest_time() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![Step::Play(speech(1, s(9)))]);
    let leg = world.connected(ann);
    let Command::Record {
        leg,
        recording,
        silence,
        terminators,
        ..
    } = record(leg, 1, &[])
    else {
        unreachable!()
    };
    let (max, beep) = (s(2), Vec::new());
    world.command(Command::Record {
        leg,
        recording,
        max,
        silence,
        beep,
        terminators,
    });
    let event = world.until("Recorded", |event| matches!(event, Event::Recorded { .. }));
    let end = RecordEnd::MaxTime;
    assert_eq!(
        event,
        Event::Recorded {
            leg,
            recording,
            end,
            length: s(2)
        }
    );
    world.hang_up(ann);
    world.settle();
}

#[test]
fn a_caller_who_hangs_up_during_the_beep_left_no_message() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![Step::Wait(ms(300)), Step::Hangup]);
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(record(leg, 1, &[speech(9, s(1))]));
    world.settle();
    assert!(world.recordings.is_empty());
    world.check(expect![[r#"
        0.030   > Record A1 1
        0.320   ann → home: BYE
        0.330   home → ann: 200 OK (BYE)
        0.330     Recorded A1 1 Hangup 0 ms
        0.330     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn a_caller_who_hangs_up_while_speaking_left_what_was_said() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![Step::Play(speech(1, ms(1_500))), Step::Hangup]);
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(record(leg, 1, &[]));
    world.settle();
    world.check(expect![[r#"
        0.030   > Record A1 1
        1.500   ann → home: BYE
        1.510   home → ann: 200 OK (BYE)
        1.510     Recorded A1 1 Hangup 1480 ms
        1.510     Ended A1 normal by Far Q.850 16
    "#]]);
    let kept = &world.recordings[&RecordingId::message(leg.call, 1)];
    assert!(coverage(&speech(1, ms(1_500)), kept) > 0.9);
}

#[test]
fn a_whole_call_is_recorded_with_both_voices() {
    let mut world = World::new();
    let (said, played) = (speech(1, s(2)), speech(2, s(2)));
    let ann = world.scripted("ann", vec![Step::Play(said.clone())]);
    let leg = world.connected(ann);
    let recording = RecordingId::of_call(leg.call);
    world.command(Command::RecordCall {
        leg,
        recording,
        channels: 2,
    });
    world.play(leg, &played);
    world.run(s(4));
    world.command(Command::Hangup {
        leg,
        cause: Cause::Normal,
    });
    world.settle();
    let both = &world.recordings[&recording];
    let channel = |n| both.iter().skip(n).step_by(2).copied().collect::<Vec<_>>();
    assert_heard(&said, &channel(0));
    assert_heard(&played, &channel(1));
}

#[test]
fn more_messages_than_a_worker_can_have_answered_are_refused() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.deafen();
    for n in 1..=9 {
        world.command(record(leg, n, &[]));
    }
    let refused = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::Recorded { .. }));
    assert_eq!(refused.count(), 1);
    world.command(Command::Hangup {
        leg,
        cause: Cause::Normal,
    });
    world.run(s(10));
}
