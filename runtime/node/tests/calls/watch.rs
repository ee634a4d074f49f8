//! Supervision and conferences: who hears whom, and that a call does not notice who listens.

use expect_test::expect;
use jackfield_node::{Control, ControlError, Controlled, Loudness, PartyState, Watching};
use vocab::CallId;
use vocab::flow::Op;

use crate::phone::Manner;
use crate::world::{World, dial, leg, ms, phone, s, user};

/// Carol listens to Bob, who talks with Ann.
fn watched(world: &mut World, mode: Watching) -> CallId {
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let result = world.ask(watch(call, "bob", "carol", mode));
    assert_eq!(result, Some(Ok(Controlled::Calling { legs: vec![3] })));
    world.run(s(2));
    call
}

fn watch(call: CallId, whom: &str, who: &str, mode: Watching) -> Control {
    Control::Watch {
        call,
        leg: user(whom),
        user: who.to_owned(),
        mode,
    }
}

#[test]
fn a_leader_listens_whispers_and_joins_in_by_keys() {
    let mut world = World::new();
    let call = watched(&mut world, Watching::Listen);
    for key in ['2', '2', '7', '3', '1'] {
        world.press("carol", key);
        world.run(s(1));
    }
    assert!(world.in_silence().is_empty());
    let states: Vec<PartyState> = world
        .node
        .parties(call)
        .into_iter()
        .map(|it| it.state)
        .collect();
    let of = 2;
    let mode = Watching::Listen;
    assert_eq!(
        states,
        [
            PartyState::Talking { with: 2 },
            PartyState::Talking { with: 1 },
            PartyState::Watching { of, mode }
        ]
    );
    world.hang_up("carol");
    world.run(s(1));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        6.02    A supervision.began leg 2 by 3 listen
        6.02    A leg.unbridged 1 2
        6.02    A conference.joined leg 1
        6.02    A conference.joined leg 2
        6.02    A conference.joined leg 3
        6.02        ann hears all, keys to bob
        6.02        bob hears all, keys to ann
        6.02        carol hears all, muted
        7.00    A supervision.changed leg 2 by 3 whisper
        7.00        carol hears all, to bob alone
        10.00   A supervision.changed leg 2 by 3 barge
        10.00       carol hears all
        11.00   A supervision.changed leg 2 by 3 listen
        11.00       carol hears all, muted
        12.01   A conference.left leg 3
        12.01   A supervision.ended leg 2 by 3 normal
        12.01   A conference.left leg 1
        12.01   A conference.left leg 2
        12.01   A leg.bridged 1 2
        12.01       ann hears bob
        12.01       bob hears ann
        13.01   A leg.unbridged 1 2
        13.01       ann hears nothing
        13.01   A call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn a_leader_takes_over_and_the_agent_is_free() {
    let mut world = World::new();
    let call = watched(&mut world, Watching::Whisper);
    let result = world.ask(Control::TakePlace {
        call,
        leg: user("carol"),
    });
    assert_eq!(result, Some(Ok(Controlled::Done)));
    world.run(s(2));
    world.hang_up("ann");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        6.02    A supervision.began leg 2 by 3 whisper
        6.02    A leg.unbridged 1 2
        6.02    A conference.joined leg 1
        6.02    A conference.joined leg 2
        6.02    A conference.joined leg 3
        6.02        ann hears all, keys to bob
        6.02        bob hears all, keys to ann
        6.02        carol hears all, to bob alone
        7.00    request 3 is told Ok(Done)
        7.00    A supervision.took_over leg 2 by 3
        7.00    A conference.left leg 2
        7.00    A conference.left leg 1
        7.00    A conference.left leg 3
        7.00    A leg.bridged 1 3
        7.00        ann hears carol
        7.00        carol hears ann
        9.01    A leg.unbridged 1 3
        9.01        carol hears nothing
        9.01    A call.ended normal by Far
    "#]]);
    world.settle();
}

#[test]
fn a_flow_does_not_notice_who_listens_to_whom_it_connected() {
    let mut world = World::new();
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.op(dial("bob"));
    world.run(s(3));
    world.skip_ladder();
    let call = world.node.live_calls().next().expect("a call");
    world.ask(watch(call, "bob", "carol", Watching::Listen));
    world.run(s(2));
    world.hang_up("bob");
    world.run(s(1));
    world.returns("done");
    world.run(s(1));
    world.check(expect![[r#"
        6.00    request 1 is told Ok(Calling { legs: [3] })
        6.00    A leg.dialed leg 3 to carol
        7.02    A supervision.began leg 2 by 3 listen
        7.02    A leg.unbridged 1 2
        7.02    A conference.joined leg 1
        7.02    A conference.joined leg 2
        7.02    A conference.joined leg 3
        7.02        ann hears all, keys to bob
        7.02        bob hears all, keys to ann
        7.02        carol hears all, muted
        8.01    A conference.left leg 2
        8.01        ann hears all, keys to ?
        8.01    flow is told Ok(Dialed { result: Answered, cause: None, talk: 3.99s })
        8.01    A leg.dial_ended leg 2 Answered
        8.01    A conference.left leg 1
        8.01    A conference.left leg 3
        8.01        ann hears silence
        8.01    A supervision.ended leg 2 by 3 normal
        8.03        ann hears nothing
        9.00    A flow.ended done
        9.00    A call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn who_listens_follows_the_call_through_hold_and_transfer() {
    let mut world = World::new();
    let call = watched(&mut world, Watching::Whisper);
    world.ask(Control::Hold {
        call,
        by: user("bob"),
    });
    world.run(s(1));
    world.ask(Control::Retrieve {
        call,
        by: user("bob"),
    });
    world.run(s(1));
    world.ask(Control::Transfer {
        call,
        by: user("bob"),
        to: phone("dave"),
    });
    world.run(s(3));
    world.hang_up("ann");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        6.02    A supervision.began leg 2 by 3 whisper
        6.02    A leg.unbridged 1 2
        6.02    A conference.joined leg 1
        6.02    A conference.joined leg 2
        6.02    A conference.joined leg 3
        6.02        ann hears all, keys to bob
        6.02        bob hears all, keys to ann
        6.02        carol hears all, to bob alone
        7.00    request 3 is told Ok(Done)
        7.00    A leg.held leg 1 by 2
        7.00    A conference.left leg 1
        7.00    A conference.left leg 2
        7.00        ann hears music on hold
        7.00        bob hears nothing
        8.00    request 4 is told Ok(Done)
        8.00    A leg.retrieved leg 1 by 2
        8.00    A conference.joined leg 1
        8.00    A conference.joined leg 2
        8.00        ann hears all, keys to bob
        8.00        bob hears all, keys to ann
        9.00    request 5 is told Ok(Calling { legs: [4] })
        9.00    A transfer.asked leg 1 by 2 phone
        9.00    A leg.dialed leg 4 to dave
        9.00    A conference.left leg 2
        9.00    A conference.left leg 1
        9.00        ann hears ringback
        9.00        carol hears all, muted
        10.02   A transfer.done leg 1 with 4
        10.02   A conference.joined leg 1
        10.02   A conference.joined leg 4
        10.02       ann hears all, keys to dave
        10.02       dave hears all, keys to ann
        12.01   A conference.left leg 1
        12.01       dave hears all, keys to ?
        12.01   A call.ended normal by Far
    "#]]);
    world.settle();
}

#[test]
fn watching_has_its_conditions() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    let refused = |world: &mut World, request| match world.ask(request) {
        Some(Err(error)) => error,
        other => panic!("{other:?}"),
    };
    let listen = |whom, who| watch(call, whom, who, Watching::Listen);
    let error = refused(&mut world, listen("bob", "nobody"));
    assert!(matches!(error, ControlError::NotFound(_)), "{error}");
    let error = refused(&mut world, listen("bob", "ann"));
    assert!(matches!(error, ControlError::Conflict(_)), "{error}");
    let error = refused(&mut world, listen("dave", "carol"));
    assert_eq!(error, ControlError::NoParty);
    for request in [
        Control::WatchAs {
            call,
            leg: user("carol"),
            mode: Watching::Barge,
        },
        Control::TakePlace {
            call,
            leg: user("bob"),
        },
    ] {
        let error = refused(&mut world, request);
        assert!(matches!(error, ControlError::NotFound(_)), "{error}");
    }
    // A phone that rings for it watches nobody yet, and only once.
    world.manner("carol", Manner::Rings);
    assert!(matches!(world.ask(listen("bob", "carol")), Some(Ok(_))));
    world.run(ms(500));
    let error = refused(&mut world, listen("bob", "carol"));
    assert!(matches!(error, ControlError::Conflict(_)), "{error}");
    let error = refused(
        &mut world,
        Control::TakePlace {
            call,
            leg: user("carol"),
        },
    );
    assert!(matches!(error, ControlError::Conflict(_)), "{error}");
    // The call ends meanwhile: the phone rings no more.
    world.hang_up("ann");
    world.run(s(1));
    world.settle();
}

#[test]
fn somebody_joins_and_the_loudness_is_changed() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let by = user("ann");
    let add = |to: &str| Control::Add {
        call,
        by: by.clone(),
        to: phone(to),
        beep: true,
    };
    world.manner("dave", Manner::Refuses(486));
    world.ask(add("dave"));
    world.run(s(1));
    world.ask(add("carol"));
    world.run(s(2));
    let change = Loudness {
        muted: Some(true),
        said_db: Some(6),
        ..Loudness::default()
    };
    world.ask(Control::Adjust {
        call,
        leg: user("carol"),
        change,
    });
    world.run(s(1));
    let loud = Loudness {
        said_db: Some(25),
        ..Loudness::default()
    };
    let result = world.ask(Control::Adjust {
        call,
        leg: user("carol"),
        change: loud,
    });
    assert!(matches!(result, Some(Err(ControlError::Invalid(_)))));
    world.manner("dave", Manner::Answers(s(1)));
    world.ask(add("dave"));
    world.run(s(2));
    let rooms = world.node.parties(call).into_iter();
    assert!(rooms.clone().all(|it| it.state == PartyState::Conference));
    assert_eq!(rooms.count(), 4);
    // With two left it is a bridge again, and who was muted is.
    world.hang_up("ann");
    world.run(s(1));
    world.hang_up("dave");
    world.run(s(1));
    world.hang_up("carol");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to dave
        5.02    A leg.dial_ended leg 3 Busy
        5.02    A conference.not_added leg 1 busy
        6.00    request 3 is told Ok(Calling { legs: [4] })
        6.00    A leg.dialed leg 4 to carol
        7.02        ann hears a beep: Joined
        7.02        bob hears a beep: Joined
        7.02        carol hears a beep: Joined
        7.02    A conference.started leg 4 by 1 with 2
        7.02    A leg.unbridged 1 2
        7.02    A conference.joined leg 1
        7.02    A conference.joined leg 2
        7.02    A conference.joined leg 4
        7.02        ann hears all
        7.02        bob hears all
        7.02        carol hears all
        8.00    request 4 is told Ok(Done)
        8.00    A leg.adjusted leg 4 muted, said +6 dB
        8.00        carol hears all, muted, +6 dB
        9.00    request 5 is told Err(Invalid("-24 to 24 dB"))
        9.00    request 6 is told Ok(Calling { legs: [5] })
        9.00    A leg.dialed leg 5 to dave
        10.02       ann hears a beep: Joined
        10.02       bob hears a beep: Joined
        10.02       carol hears a beep: Joined
        10.02       dave hears a beep: Joined
        10.02   A conference.joined leg 5
        10.02       dave hears all
        11.01   A conference.left leg 1
        11.01   A leg.gone leg 1 normal
        12.01   A conference.left leg 5
        12.01   A leg.gone leg 5 normal
        12.01   A conference.left leg 2
        12.01   A conference.left leg 4
        12.01   A leg.bridged 2 4
        12.01       bob hears carol
        12.01       carol hears bob
        13.01   A leg.unbridged 2 4
        13.01       bob hears nothing
        13.01   A call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn who_is_muted_on_a_bridge_stays_on_it() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let change = Loudness {
        muted: Some(true),
        ..Loudness::default()
    };
    let result = world.ask(Control::Adjust {
        call,
        leg: leg(1),
        change,
    });
    assert_eq!(result, Some(Ok(Controlled::Done)));
    let ann = world.node.parties(call).into_iter().next().expect("two");
    assert_eq!(ann.loudness.muted, Some(true));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Done)
        5.00    A leg.adjusted leg 1 muted
    "#]]);
    world.hang_up("ann");
    world.run(s(1));
    world.settle();
}
