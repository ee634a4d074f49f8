//! Keys that nobody may know, pressed while others are on the line.

use std::sync::Arc;

use expect_test::expect;
use jackfield_node::{Control, ControlError, Controlled, SecretKeys, Watching};
use vocab::CallId;
use vocab::call::{Command, GatherEnd, GatherSpec};
use vocab::flow::{Op, Reply};

use crate::world::{World, dial, ms, phone, s, user};

const CARD: &str = "4111111111111111";

/// A card's number, or the number of digits that is said.
fn keys(max: u8) -> SecretKeys {
    SecretKeys {
        prompts: Vec::new(),
        spec: GatherSpec {
            min: 1,
            max,
            terminators: "#".to_owned(),
            first_timeout: s(20),
            inter_timeout: s(25),
            barge_in: true,
        },
    }
}

fn secure(call: CallId, who: &str, max: u8) -> Control {
    let (leg, keys) = (user(who), Box::new(keys(max)));
    Control::Secure { call, leg, keys }
}

/// A house all of whose numbers are recorded, in which Ann has called Bob by one.
fn talking() -> (World, CallId) {
    let mut world = World::with(|tenant| {
        for route in tenant.routes.values_mut() {
            Arc::make_mut(route).record = true;
        }
    });
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.op(dial("bob"));
    world.run(s(2));
    world.skip_ladder();
    let call = world.node.live_calls().last().expect("a call");
    (world, call)
}

fn press(world: &mut World, who: &str, keys: &str) {
    for key in keys.chars() {
        world.press(who, key);
        world.run(ms(200));
    }
}

/// What the vault has got.
fn kept(world: &World) -> Vec<&str> {
    let secrets = world.secrets.iter();
    secrets.map(|it| it.digits.reveal().as_str()).collect()
}

#[test]
fn a_card_is_pressed_while_the_agent_talks() {
    let (mut world, call) = talking();
    assert_eq!(world.ask(secure(call, "ann", 16)), None);
    world.run(s(1));
    assert_eq!(world.recorded(), [], "nobody is recorded");
    press(&mut world, "ann", CARD);
    // One too many.
    press(&mut world, "ann", "9");
    world.run(s(2));
    assert_eq!(kept(&world), [CARD]);
    let token = world.secrets[0].token;
    let told = Controlled::Secret {
        token: Some(token),
        digits: 16,
        luhn: true,
        end: GatherEnd::Complete,
    };
    assert_eq!(world.results.pop_front(), Some(Ok(told)));
    assert!(!world.ladder().contains(CARD));
    assert_eq!(world.recorded().len(), 2, "both are recorded again");
    world.check(expect![[r#"
        5.00    A secret.started leg 1
        5.00    A recording.segment_ended s1 secured 2.98 s
        5.00    A recording.segment_ended s2 secured 0.98 s
        5.00        ann hears bob, keys to nobody
        9.00    request 1 is told Ok(Secret { token: Some(sec_7datbgbqzntzffyp27tpkd8qjs), digits: 16, luhn: true, end: Complete })
        9.00    A secret.ended leg 1 16 Complete luhn token
        9.50    A recording.segment_started s3 leg 1, 2
        9.50    A recording.segment_started s4 leg 2, 1
        9.50        ann hears bob
    "#]]);
    // The flow is still there, and goes on when Bob is gone.
    world.hang_up("bob");
    world.run(s(1));
    assert!(matches!(
        world.replies.last(),
        Some(Ok(Reply::Dialed { .. }))
    ));
    world.settle();
}

#[test]
fn it_goes_on_whatever_else_is_begun() {
    let (mut world, call) = talking();
    world.ask(Control::Watch {
        call,
        leg: user("bob"),
        user: "carol".to_owned(),
        mode: Watching::Listen,
    });
    world.run(ms(500));
    // Carol's phone answers in the middle of it, and Bob's puts the call on hold and takes it back.
    world.ask(secure(call, "ann", 16));
    press(&mut world, "ann", &CARD[..5]);
    world.run(s(1));
    press(&mut world, "ann", &CARD[5..9]);
    let n = world.of("bob");
    let leg = world.phones[n].legs[0];
    for hold in [true, false] {
        let codecs = Vec::new();
        world.phone_does("bob", Command::Reoffer { leg, codecs, hold });
        world.run(s(1));
        press(&mut world, "ann", "1");
    }
    press(&mut world, "ann", &CARD[11..]);
    world.run(s(1));
    assert_eq!(kept(&world), [CARD]);
    assert!(matches!(
        world.results.pop_front(),
        Some(Ok(Controlled::Secret {
            digits: 16,
            end: GatherEnd::Complete,
            ..
        }))
    ));
    world.check(expect![[r#"
        5.00    request 1 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        5.50    A secret.started leg 1
        5.50    A recording.segment_ended s1 secured 3.48 s
        5.50    A recording.segment_ended s2 secured 1.48 s
        5.50        ann hears bob, keys to nobody
        6.02    A supervision.began leg 2 by 3 listen
        6.02    A leg.unbridged 1 2
        6.02    A conference.joined leg 1
        6.02    A conference.joined leg 2
        6.02    A conference.joined leg 3
        6.02        ann hears all, keys to bob, keys to nobody
        6.02        bob hears all, keys to ann
        6.02        carol hears all, muted
        8.31    A leg.held leg 1 by 2
        8.31    A conference.left leg 1
        8.31    A conference.left leg 2
        8.31        ann hears music on hold
        8.31        bob hears nothing
        9.51    A leg.retrieved leg 1 by 2
        9.51    A conference.joined leg 1
        9.51    A conference.joined leg 2
        9.51        ann hears all, keys to bob, keys to nobody
        9.51        bob hears all, keys to ann
        11.50   request 2 is told Ok(Secret { token: Some(sec_7datbgbqzntzffyp27tpkd8qjs), digits: 16, luhn: true, end: Complete })
        11.50   A secret.ended leg 1 16 Complete luhn token
        12.00   A recording.segment_started s3 leg 1, 2
        12.00   A recording.segment_started s4 leg 2, 1
        12.00   A recording.segment_started s5 leg 3, 1
        12.00       ann hears all, keys to bob
    "#]]);
    world.settle();
}

#[test]
fn it_is_over_by_itself_in_any_case() {
    type Case = (
        &'static str,
        fn(&mut World, CallId),
        Option<(u8, GatherEnd)>,
        usize,
    );
    let cases: [Case; 6] = [
        (
            "nothing is pressed",
            |_, _| {},
            Some((0, GatherEnd::Timeout)),
            2,
        ),
        (
            "a key ends it",
            |world, _| press(world, "ann", "12#"),
            Some((2, GatherEnd::Terminator)),
            2,
        ),
        (
            "who asked ends it",
            |world, call| {
                press(world, "ann", "12");
                world.ask(Control::EndSecure { call });
            },
            Some((2, GatherEnd::Timeout)),
            2,
        ),
        (
            "who presses is gone",
            |world, _| {
                press(world, "ann", "12");
                world.hang_up("ann");
            },
            None,
            0,
        ),
        (
            "the other one is gone",
            |world, _| {
                press(world, "ann", "12");
                world.hang_up("bob");
                // Its flow has the caller back, until it says nothing for long.
                world.run(s(2));
                assert_eq!(world.recorded().len(), 1, "the caller is");
            },
            None,
            0,
        ),
        (
            "a key now and then, for ever",
            |world, _| {
                for _ in 0..40 {
                    world.press("ann", '*');
                    world.run(s(20));
                    if !world.results.is_empty() {
                        break;
                    }
                }
            },
            Some((15, GatherEnd::Timeout)),
            2,
        ),
    ];
    for (name, what, expected, recorded) in cases {
        let (mut world, call) = talking();
        assert_eq!(world.ask(secure(call, "ann", 32)), None, "{name}");
        what(&mut world, call);
        world.run(s(30));
        let result = world.results.pop_back().expect("an answer");
        match (expected, result) {
            (None, result) => {
                assert_eq!(result, Err(ControlError::Gone), "{name}");
                assert_eq!(kept(&world), [""; 0], "{name}");
            }
            (
                Some((count, end)),
                Ok(Controlled::Secret {
                    token,
                    digits,
                    end: ended,
                    ..
                }),
            ) => {
                assert_eq!((digits, ended), (count, end), "{name}");
                assert_eq!(token.is_some(), count > 0, "{name}");
            }
            (Some(_), other) => panic!("{name}: {other:?}"),
        }
        assert_eq!(world.recorded().len(), recorded, "{name}");
        world.settle();
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let (mut world, call) = talking();
    let asked = |who: &str, change: fn(&mut SecretKeys)| {
        let (leg, mut keys) = (user(who), keys(16));
        change(&mut keys);
        let keys = Box::new(keys);
        Control::Secure { call, leg, keys }
    };
    for (request, name) in [
        (asked("carol", |_| {}), "no_party"),
        (asked("ann", |it| it.spec.max = 0), "invalid"),
        (asked("ann", |it| it.spec.max = 33), "invalid"),
        (asked("ann", |it| it.spec.min = 17), "invalid"),
        (
            asked("ann", |it| it.prompts = vec!["nothing".to_owned()]),
            "not_found",
        ),
        (
            asked("ann", |it| it.prompts = vec!["sorry".to_owned(); 17]),
            "limit",
        ),
        (secure(CallId(7), "ann", 4), "no_call"),
        (Control::EndSecure { call }, "conflict"),
        (Control::EndSecure { call: CallId(7) }, "no_call"),
    ] {
        let result = world.ask(request.clone()).expect("at once");
        let error = result.expect_err("it is refused");
        assert_eq!(error.name(), name, "{request:?}");
    }
    assert_eq!(world.recorded().len(), 2, "the recording goes on");
    // While one goes on, nothing else is changed.
    assert_eq!(world.ask(secure(call, "ann", 4)), None);
    let by = user("bob");
    for request in [
        secure(call, "bob", 4),
        Control::Hold {
            call,
            by: by.clone(),
        },
        Control::Transfer {
            call,
            by,
            to: phone("carol"),
        },
    ] {
        let result = world.ask(request).expect("at once");
        assert_eq!(result.expect_err("it is refused").name(), "conflict");
    }
    press(&mut world, "ann", "1234");
    assert_eq!(kept(&world), ["1234"]);
    world.settle();
}

#[test]
fn a_prompt_is_heard_by_who_presses_alone() {
    let (mut world, call) = talking();
    let mut keys = keys(3);
    keys.prompts = vec!["sorry".to_owned()];
    let (leg, keys) = (user("bob"), Box::new(keys));
    world.ask(Control::Secure { call, leg, keys });
    world.run(ms(500));
    press(&mut world, "bob", "123");
    world.run(s(1));
    assert_eq!(kept(&world), ["123"]);
    world.check(expect![[r#"
        5.00    A secret.started leg 2
        5.00    A recording.segment_ended s1 secured 2.98 s
        5.00    A recording.segment_ended s2 secured 0.98 s
        5.00        bob hears sorry
        5.50        bob hears ann, keys to nobody
        5.90    request 1 is told Ok(Secret { token: Some(sec_7datbgbqzntzffyp27tpkd8qjs), digits: 3, luhn: false, end: Complete })
        5.90    A secret.ended leg 2 3 Complete token
        6.40    A recording.segment_started s3 leg 1, 2
        6.40    A recording.segment_started s4 leg 2, 1
        6.40        bob hears ann
    "#]]);
    world.settle();
}

#[test]
fn whoever_is_recorded_hears_beeps_and_who_listens_does_not() {
    let mut world = World::with(|tenant| {
        tenant.beep = Some(s(15));
        for route in tenant.routes.values_mut() {
            Arc::make_mut(route).record = true;
        }
    });
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.op(dial("bob"));
    world.run(s(2));
    let call = world.node.live_calls().last().expect("a call");
    world.ask(Control::Watch {
        call,
        leg: user("bob"),
        user: "carol".to_owned(),
        mode: Watching::Listen,
    });
    world.run(s(20));
    world.ask(secure(call, "ann", 3));
    world.run(s(15));
    press(&mut world, "ann", "123");
    world.run(s(16));
    world.hang_up("ann");
    world.run(s(20));
    let lines = world.ladder().lines();
    let about = |line: &&str| line.contains("beep") || line.contains("segment_");
    let told: Vec<&str> = lines.filter(about).collect();
    expect![[r#"
        2.02        ann hears a beep: Recorded
        2.02    A recording.segment_started s1 leg 1, 2
        4.02    A recording.segment_started s2 leg 2, 1
        6.02    A recording.segment_started s3 leg 3, 1
        17.02       ann hears a beep: Recorded
        17.02       bob hears a beep: Recorded
        25.00   A recording.segment_ended s1 secured 22.98 s
        25.00   A recording.segment_ended s2 secured 20.98 s
        25.00   A recording.segment_ended s3 secured 18.98 s
        40.90       ann hears a beep: Recorded
        40.90       bob hears a beep: Recorded
        40.90   A recording.segment_started s4 leg 1, 2
        40.90   A recording.segment_started s5 leg 2, 1
        40.90   A recording.segment_started s6 leg 3, 1
        55.90       ann hears a beep: Recorded
        55.90       bob hears a beep: Recorded
        56.61   A recording.segment_ended s4 gone 15.71 s
        56.61   A recording.segment_ended s6 gone 15.71 s
        56.61   A recording.segment_ended s5 gone 15.71 s
    "#]]
    .assert_eq(&(told.join("\n") + "\n"));
    world.settle();
}
