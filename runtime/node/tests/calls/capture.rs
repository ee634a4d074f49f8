//! Who is recorded: every party of a recorded call, for as long as it is there.

use std::sync::Arc;

use expect_test::expect;
use jackfield_node::{ConsentPolicy, Control, ControlError, Destination, RecordStep};
use vocab::call::{Command, GatherEnd, GatherSpec};
use vocab::flow::{Op, Reply};
use vocab::recording::SegmentStart;
use vocab::{CallId, RecordingPart};

use crate::world::{World, dial, ms, phone, s, user};

/// A house all of whose numbers are recorded.
fn recorded() -> World {
    let mut world = World::with(|tenant| {
        for route in tenant.routes.values_mut() {
            Arc::make_mut(route).record = true;
        }
    });
    world.install();
    world
}

/// A caller reaches somebody by a number that is recorded.
fn talk(world: &mut World, who: &str, with: &str) -> CallId {
    world.dial(who, "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.op(dial(with));
    world.run(s(2));
    world.node.live_calls().last().expect("a call")
}

fn hold(world: &mut World, user: &str, hold: bool) {
    let n = world.of(user);
    let leg = *world.phones[n].legs.first().expect("a call");
    let codecs = Vec::new();
    world.phone_does(user, Command::Reoffer { leg, codecs, hold });
}

/// The lines of the ladder that tell of recordings.
fn told(world: &mut World) -> String {
    let lines = world.ladder().lines();
    let about = |line: &&str| {
        [
            " recording.",
            "call.interaction",
            "call.answered",
            "call.ended",
            "_taken",
            "moved_",
        ]
        .iter()
        .any(|word| line.contains(word))
    };
    let told: Vec<&str> = lines.filter(about).collect();
    let told = told.join("\n") + "\n";
    world.skip_ladder();
    told
}

fn record(world: &mut World, call: CallId, step: RecordStep) -> Result<(), ControlError> {
    let by = None;
    let result = world.ask(Control::Record { call, by, step });
    result.expect("it is answered at once").map(|_| ())
}

#[test]
fn a_call_is_one_interaction_through_hold_consult_transfer_and_conference() {
    let mut world = recorded();
    let first = talk(&mut world, "ann", "bob");
    hold(&mut world, "bob", true);
    world.run(s(1));
    let (caller, to) = ("bob".to_owned(), phone("carol"));
    world.ask(Control::Originate {
        user: caller,
        to,
        detection: None,
    });
    world.run(s(4));
    let second = world.node.live_calls().last().expect("a call");
    let n = world.of("bob");
    let legs = world.phones[n].legs.clone();
    let to = world.in_place_of("carol", "bob", legs[1]);
    world.phone_does("bob", Command::Refer { leg: legs[0], to });
    world.run(s(1));
    let (by, to) = (user("carol"), phone("dave"));
    world.ask(Control::Consult {
        call: second,
        by: by.clone(),
        to,
    });
    world.run(s(3));
    world.ask(Control::Merge {
        call: second,
        by,
        beep: false,
    });
    world.run(s(2));
    world.hang_up("ann");
    world.run(s(1));
    world.hang_up("carol");
    world.run(s(1));
    expect![[r#"
        2.02    A call.answered
        2.02    A recording.started
        2.02    A recording.segment_started s1 leg 1, 2
        4.02    A recording.segment_started s2 leg 2, 1
        6.00    B call.interaction with A
        7.02    B call.answered
        7.02    B recording.started
        7.02    B recording.segment_started s1 leg 1, 2
        8.04    B recording.segment_started s2 leg 2, 1
        10.01   A recording.segment_ended s1 moved 7.99 s
        10.01   A leg.moved_away leg 1 by 2
        10.01   B recording.segment_ended s1 moved 2.99 s
        10.01   B recording.segment_started s3 leg 1, 2
        10.01   A recording.segment_ended s2 gone 5.99 s
        10.01   A call.ended transferred by Near
        12.02   B recording.segment_started s4 leg 3, 1
        16.01   B recording.segment_ended s3 gone 6.00 s
        17.01   B recording.segment_ended s2 gone 8.97 s
        17.01   B recording.segment_ended s4 gone 4.99 s
        17.01   B call.ended normal by Far
    "#]]
    .assert_eq(&told(&mut world));
    let one = |start: &SegmentStart| start.interaction == first;
    assert!(world.segments.iter().all(one), "{:?}", world.segments);
    assert!(first < second);
    world.settle();
}

#[test]
fn whom_a_phone_asks_while_it_holds_is_recorded_as_well() {
    let mut world = World::new();
    world.install();
    let first = talk(&mut world, "ann", "bob");
    // Not yet: this call is not recorded.
    assert_eq!(record(&mut world, first, RecordStep::Start), Ok(()));
    hold(&mut world, "bob", true);
    world.run(s(1));
    world.dial("bob", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    let second = world.node.live_calls().last().expect("a call");
    let of_second: Vec<_> = world
        .segments
        .iter()
        .filter(|it| it.recording.call == second)
        .collect();
    let [own] = of_second[..] else {
        panic!("{:?}", world.segments);
    };
    assert_eq!((own.interaction, own.leg, own.channels), (first, 1, 2));
    world.settle();
}

#[test]
fn who_calls_without_holding_anybody_begins_something_new() {
    let mut world = World::new();
    world.install();
    let first = talk(&mut world, "ann", "bob");
    assert_eq!(record(&mut world, first, RecordStep::Start), Ok(()));
    hold(&mut world, "bob", true);
    world.run(s(1));
    hold(&mut world, "bob", false);
    world.run(s(1));
    world.dial("bob", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    assert!(world.segments.iter().all(|it| it.recording.call == first));
    assert_eq!(world.segments.len(), 2);
    world.settle();
}

#[test]
fn a_recording_rests_and_goes_on_for_all_together() {
    let mut world = recorded();
    let call = talk(&mut world, "ann", "bob");
    let pause = |seconds: u64| RecordStep::Pause {
        lasting: Some(s(seconds)),
    };
    for (step, expected) in [
        (RecordStep::Start, Err("the call is recorded already")),
        (RecordStep::Resume, Err("the recording is not paused")),
        (pause(30), Ok(())),
        (pause(30), Err("the recording is paused already")),
    ] {
        let result = record(&mut world, call, step);
        let expected = expected.map_err(ControlError::Conflict);
        assert_eq!(result, expected, "{step:?}");
    }
    world.run(s(5));
    assert_eq!(world.recorded(), []);
    assert_eq!(record(&mut world, call, RecordStep::Resume), Ok(()));
    world.run(s(5));
    assert_eq!(record(&mut world, call, pause(60)), Ok(()));
    // It is not forgotten.
    world.run(s(70));
    assert_eq!(record(&mut world, call, RecordStep::Stop), Ok(()));
    let again = record(&mut world, call, RecordStep::Stop);
    assert_eq!(
        again,
        Err(ControlError::Conflict("the call is not recorded"))
    );
    for bad in [0, 601] {
        assert_eq!(record(&mut world, call, RecordStep::Start), Ok(()));
        let refused = record(&mut world, call, pause(bad));
        assert!(
            matches!(refused, Err(ControlError::Invalid(_))),
            "{refused:?}"
        );
        assert_eq!(record(&mut world, call, RecordStep::Stop), Ok(()));
    }
    let told = told(&mut world);
    expect![[r#"
        2.02    A call.answered
        2.02    A recording.started
        2.02    A recording.segment_started s1 leg 1, 2
        4.02    A recording.segment_started s2 leg 2, 1
        5.00    A recording.segment_ended s1 paused 2.98 s
        5.00    A recording.segment_ended s2 paused 0.98 s
        5.00    A recording.paused
        10.00   A recording.resumed asked
        10.00   A recording.segment_started s3 leg 1, 2
        10.00   A recording.segment_started s4 leg 2, 1
        15.00   A recording.segment_ended s3 paused 5.00 s
        15.00   A recording.segment_ended s4 paused 5.00 s
        15.00   A recording.paused
        75.00   A recording.resumed time
        75.00   A recording.segment_started s5 leg 1, 2
        75.00   A recording.segment_started s6 leg 2, 1
        85.00   A recording.segment_ended s5 stopped 10.00 s
        85.00   A recording.segment_ended s6 stopped 10.00 s
        85.00   A recording.stopped
        85.00   A recording.started
        85.00   A recording.segment_started s7 leg 1, 2
        85.00   A recording.segment_started s8 leg 2, 1
        85.00   A recording.segment_ended s7 stopped 0.00 s
        85.00   A recording.segment_ended s8 stopped 0.00 s
        85.00   A recording.stopped
        85.00   A recording.started
        85.00   A recording.segment_started s9 leg 1, 2
        85.00   A recording.segment_started s10 leg 2, 1
        85.00   A recording.segment_ended s9 stopped 0.00 s
        85.00   A recording.segment_ended s10 stopped 0.00 s
        85.00   A recording.stopped
    "#]]
    .assert_eq(&told);
    world.settle();
}

#[test]
fn a_segment_is_an_hour_long_at_most() {
    let mut world = recorded();
    talk(&mut world, "ann", "bob");
    world.skip_ladder();
    world.run(s(3_700));
    expect![[r#"
        3602.02 A recording.segment_ended s1 split 3600.00 s
        3602.02 A recording.segment_started s3 leg 1, 2
        3604.02 A recording.segment_ended s2 split 3600.00 s
        3604.02 A recording.segment_started s4 leg 2, 1
    "#]]
    .assert_eq(&told(&mut world));
    let parts: Vec<_> = world.segments.iter().map(|it| it.recording.part).collect();
    assert_eq!(parts, [1, 2, 3, 4].map(RecordingPart::Segment));
    world.settle();
}

#[test]
fn what_is_paused_stays_so_when_its_party_goes_to_another_call() {
    let mut world = recorded();
    let first = talk(&mut world, "ann", "bob");
    let second = talk(&mut world, "carol", "dave");
    let lasting = Some(s(60));
    assert_eq!(
        record(&mut world, second, RecordStep::Pause { lasting }),
        Ok(())
    );
    world.skip_ladder();
    world.ask(Control::Bridge {
        call: first,
        leg: user("ann"),
        other: second,
        other_leg: user("carol"),
    });
    world.run(s(2));
    assert_eq!(world.recorded(), []);
    world.run(s(60));
    expect![[r#"
        9.00    A recording.segment_ended s1 paused 6.98 s
        9.00    A recording.segment_ended s2 paused 4.98 s
        9.00    A recording.paused
        9.00    A leg.moved_in leg 3 with 1 01m7z7tr4ym9q9k3hb19va2k78
        9.00    B call.interaction with A
        9.00    B leg.moved_away leg 1
        9.00    B call.ended transferred by Near
        69.00   A recording.resumed time
        69.00   A recording.segment_started s3 leg 1, 2
        69.00   A recording.segment_started s4 leg 3, 1
    "#]]
    .assert_eq(&told(&mut world));
    world.settle();
}

#[test]
fn what_is_pressed_in_secret_is_not_recorded_and_told_nobody() {
    let mut world = recorded();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    let spec = GatherSpec {
        min: 1,
        max: 16,
        terminators: "#".to_owned(),
        first_timeout: s(10),
        inter_timeout: s(5),
        barge_in: true,
    };
    let gather = Op::Gather {
        prompts: Vec::new(),
        spec,
        secret: true,
    };
    world.op(gather.clone());
    world.run(s(1));
    let call = world.node.live_calls().last().expect("a call");
    // Whatever is asked for meanwhile, nothing is recorded before it is over.
    assert_eq!(
        record(&mut world, call, RecordStep::Pause { lasting: None }),
        Ok(())
    );
    assert_eq!(record(&mut world, call, RecordStep::Resume), Ok(()));
    for key in "4111111111111111".chars() {
        world.press("ann", key);
        world.run(ms(200));
    }
    world.run(s(1));
    let secret = world.secrets.pop().expect("it is in the vault");
    assert_eq!(
        (secret.digits.reveal().as_str(), secret.call),
        ("4111111111111111", call)
    );
    let told = Reply::Secret {
        token: Some(secret.token),
        digits: 16,
        luhn: true,
        end: GatherEnd::Complete,
    };
    assert_eq!(world.replies.last(), Some(&Ok(told)));
    // Nothing is pressed: there is nothing to keep.
    world.op(gather.clone());
    world.run(s(12));
    assert!(matches!(
        world.replies.last(),
        Some(Ok(Reply::Secret {
            token: None,
            digits: 0,
            ..
        }))
    ));
    // The caller goes in the middle of it.
    world.op(gather);
    world.run(s(1));
    world.press("ann", '7');
    world.hang_up("ann");
    world.run(s(1));
    assert!(world.secrets.is_empty());
    assert!(!world.ladder().contains("4111111111111111"));
    expect![[r#"
        2.02    A call.answered
        2.02    A recording.started
        2.02    A recording.segment_started s1 leg 1, 2
        3.00    A recording.segment_ended s1 secured 0.98 s
        4.00    A recording.paused
        4.00    A recording.resumed asked
        7.50    A recording.segment_started s2 leg 1, 2
        8.20    A recording.segment_ended s2 secured 0.70 s
        18.70   A recording.segment_started s3 leg 1, 2
        20.20   A recording.segment_ended s3 secured 1.50 s
    "#]]
    .assert_eq(&self::told(&mut world));
    world.settle();
}

#[test]
fn calls_that_are_made_are_recorded_once_two_talk() {
    type Made = (&'static str, Destination, bool, bool);
    let cases: [Made; 4] = [
        ("to somebody", phone("bob"), true, false),
        ("to somebody, and not to be", phone("bob"), false, true),
        ("to a route", Destination::Route("1000".into()), false, true),
        (
            "to a route that is not",
            Destination::Route("1000".into()),
            true,
            false,
        ),
    ];
    let mut told = String::new();
    for (name, to, made, route_record) in cases {
        let mut world = World::with(|tenant| {
            tenant.record_made = made;
            for route in tenant.routes.values_mut() {
                Arc::make_mut(route).record = route_record;
            }
        });
        world.install();
        world.ask(Control::Originate {
            user: "ann".to_owned(),
            to,
            detection: None,
        });
        world.run(s(6));
        told += &format!("{name}:\n{}", self::told(&mut world));
        world.hang_up("ann");
        world.run(s(1));
        world.settle();
    }
    expect![[r#"
        to somebody:
        2.02    A call.answered
        3.04    A recording.started
        3.04    A recording.segment_started s1 leg 1, 2
        3.04    A recording.segment_started s2 leg 2, 1
        to somebody, and not to be:
        2.02    A call.answered
        to a route:
        2.02    A call.answered
        2.02    A recording.started
        2.02    A recording.segment_started s1 leg 1, 2
        to a route that is not:
        2.02    A call.answered
    "#]]
    .assert_eq(&told);
}

/// A house that is recorded, and whose callers are told so, or asked.
fn asking(key: Option<char>, prefixes: &[&str]) -> World {
    let mut world = World::with(|tenant| {
        for route in tenant.routes.values_mut() {
            Arc::make_mut(route).record = true;
        }
        tenant.consent = Some(ConsentPolicy {
            announcement: "sorry".to_owned(),
            key,
            prefixes: prefixes.iter().map(|it| (*it).to_owned()).collect(),
        });
    });
    world.install();
    world
}

/// What is told of a call whose caller presses this, or nothing, after a flow has answered.
fn answers(world: &mut World, key: Option<char>) -> String {
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(ms(500));
    assert!(world.replies.is_empty(), "the flow waits");
    if let Some(key) = key {
        world.press("ann", key);
    }
    world.run(s(12));
    assert_eq!(world.replies.last(), Some(&Ok(Reply::Done)), "it goes on");
    told(world)
}

#[test]
fn callers_are_told_that_they_are_recorded() {
    let mut world = asking(None, &[]);
    expect![[r#"
        2.02    A call.answered
        3.02    A recording.consent announced
        3.02    A recording.started
        3.02    A recording.segment_started s1 leg 1, 2
        9.02    A recording.segment_ended s1 gone 6.00 s
        9.02    A call.ended failed by Near
    "#]]
    .assert_eq(&answers(&mut world, None));
}

#[test]
fn callers_are_asked_whether_they_may_be_recorded() {
    for (key, expected) in [
        (
            Some('1'),
            expect![[r#"
            2.02    A call.answered
            2.50    A recording.consent given
            2.50    A recording.started
            2.50    A recording.segment_started s1 leg 1, 2
            8.50    A recording.segment_ended s1 gone 6.00 s
            8.50    A call.ended failed by Near
        "#]],
        ),
        (
            Some('2'),
            expect![[r#"
            2.02    A call.answered
            2.50    A recording.consent refused
            8.50    A call.ended failed by Near
        "#]],
        ),
        (
            None,
            expect![[r#"
            2.02    A call.answered
            11.02   A recording.consent refused
        "#]],
        ),
    ] {
        expected.assert_eq(&answers(&mut asking(Some('1'), &[]), key));
    }
}

#[test]
fn who_goes_while_it_is_asked_is_not_recorded() {
    let mut world = asking(Some('1'), &[]);
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(ms(500));
    world.hang_up("ann");
    world.run(s(2));
    expect![[r#"
        2.02    A call.answered
    "#]]
    .assert_eq(&told(&mut world));
    world.settle();
}

#[test]
fn where_there_is_no_moment_to_ask_nothing_is_recorded() {
    let mut world = asking(None, &[]);
    world.dial("ann", "1000");
    world.run(s(1));
    // The flow connects without answering first.
    world.op(dial("bob"));
    world.run(s(4));
    expect![[r#"
        3.04    A call.answered
        3.04    A recording.consent not_asked
    "#]]
    .assert_eq(&told(&mut world));
}
