//! What is heard of those who are called, and what follows from it.

use expect_test::expect;
use jackfield_node::{Control, Controlled, Detection, OnMachine, Trunk};
use vocab::CallId;
use vocab::flow::Op;
use vocab::hearing::{AnswerParams, Answerer, Answering, Hearing, Listening, Signal, SignalHeard};

use crate::phone::Manner;
use crate::world::{World, address, dial, phone, s};

fn signal(signal: Signal) -> Hearing {
    Hearing::Signal(SignalHeard {
        signal,
        hz: [450, 0, 0],
        lengths_ms: [350, 350, 350],
        level_dbm0: -12,
    })
}

fn answered_by(answerer: Answerer) -> Hearing {
    Hearing::Answerer(Answering {
        answerer,
        cause: "long_greeting".into(),
        at_ms: 2_900,
        words: 5,
        voice_ms: 2_410,
        initial_silence_ms: 300,
        silence_ms: 0,
        beep_at_ms: None,
    })
}

/// A house with two carriers for the same numbers, of which the first announces before it answers.
/// A flow's caller dials one of them.
fn dialled(progress: bool) -> World {
    dialled_by(progress, Manner::Announces(s(20)))
}

/// The same, and how the first carrier takes the call.
fn dialled_by(progress: bool, manner: Manner) -> World {
    let trunk = |id: &str, at: &str, priority| Trunk {
        id: id.into(),
        address: address(at).into(),
        prefixes: vec!["+8621".into()],
        priority,
        progress,
        signals: true,
        inbound: true,
        ..Trunk::default()
    };
    let (near, far) = ("192.0.2.70:5060", "192.0.2.80:5060");
    let mut world = World::with(|tenant| {
        let trunks = [trunk("near", near, 0), trunk("far", far, 1)];
        tenant.trunks = trunks.map(std::sync::Arc::new).into();
    });
    world.outsider("near", near);
    world.outsider("far", far);
    world.manner("near", manner);
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.skip_ladder();
    world.op(dial("+862155501234"));
    world.run(s(1));
    world
}

/// The same, and what is heard of the carrier.
fn hears(hearing: Hearing) -> World {
    let mut world = dialled(true);
    assert!(world.listens_to("near").progress);
    world.hears_of("near", hearing);
    world.run(s(1));
    world
}

fn ends(mut world: World) {
    world.hang_up("ann");
    world.run(s(1));
    world.settle();
}

#[test]
fn a_busy_tone_is_a_busy_answer() {
    let mut world = hears(signal(Signal::Busy));
    world.check(expect![[r#"
        3.00    A flow.asked dial
        3.00    A leg.dialed leg 2 to +862155501234 by near
        3.00        ann hears ringback
        3.02        ann hears near
        3.02        near hears ann
        4.00    A leg.signal leg 2 busy
        4.00        ann hears nothing
        4.00    flow is told Ok(Dialed { result: Busy, cause: Some("busy"), talk: 0ns })
        4.00    A leg.dial_ended leg 2 Busy
        4.00        ann hears silence
        4.02        ann hears nothing
    "#]]);
    ends(world);
}

#[test]
fn where_there_is_no_way_through_the_next_carrier_has_its_turn() {
    let mut world = hears(signal(Signal::Congestion));
    world.run(s(2));
    world.check(expect![[r#"
        3.00    A flow.asked dial
        3.00    A leg.dialed leg 2 to +862155501234 by near
        3.00        ann hears ringback
        3.02        ann hears near
        3.02        near hears ann
        4.00    A leg.signal leg 2 congestion
        4.00        ann hears nothing
        4.00    A leg.dial_ended leg 2 Unreachable
        4.00    A leg.dialed leg 3 to +862155501234 by far
        4.00        ann hears ringback
        5.02    A leg.bridged 1 3
        5.02        ann hears far
        5.02        far hears ann
    "#]]);
    ends(world);
}

#[test]
fn ringing_is_ringing_and_a_trunk_may_not_be_listened_to() {
    let world = hears(signal(Signal::Ringback));
    assert!(world.ladder().contains("leg.signal leg 2 ringback"));
    assert!(!world.ladder().contains("dial_ended"));
    ends(world);
    let world = dialled(false);
    assert_eq!(world.listens_to("near"), Listening::default());
    ends(world);
}

/// Ann calls Bob, of whom it is to be found out who answers.
fn called(world: &mut World, on_machine: OnMachine) -> CallId {
    let result = world.ask(Control::Originate {
        user: "ann".into(),
        to: phone("bob"),
        detection: Some(Box::new(Detection {
            on_machine,
            ..Detection::default()
        })),
    });
    let Some(Ok(Controlled::Call(call))) = result else {
        panic!("{result:?}");
    };
    world.run(s(4));
    let answerer = Some(AnswerParams::default());
    let wanted = Listening {
        answerer,
        ..Listening::default()
    };
    assert_eq!(world.listens_to("bob"), wanted);
    assert_eq!(world.listens_to("ann"), Listening::default());
    world.skip_ladder();
    call
}

#[test]
fn a_machine_is_hung_up_if_that_was_asked_for() {
    for (on_machine, answerer, stays) in [
        (OnMachine::HangUp, Answerer::Machine, false),
        (OnMachine::HangUp, Answerer::Unknown, true),
        (OnMachine::HangUp, Answerer::Silence, true),
        (OnMachine::HangUp, Answerer::Human, true),
        (OnMachine::Connect, Answerer::Machine, true),
    ] {
        let mut world = World::new();
        let call = called(&mut world, on_machine);
        world.hears_of("bob", answered_by(answerer));
        world.run(s(1));
        let live = world.node.live_calls().any(|live| live == call);
        assert_eq!(live, stays, "{on_machine:?} {answerer:?}");
        let line = format!("leg.answerer leg 2 {} (long_greeting)", answerer.name());
        assert!(world.ladder().contains(&line), "{}", world.ladder());
        if stays {
            world.hang_up("ann");
        }
        world.run(s(1));
        world.settle();
    }
}

#[test]
fn tones_after_the_answer_are_told_once() {
    let mut world = dialled_by(false, Manner::Answers(s(1)));
    world.run(s(3));
    world.skip_ladder();
    assert!(world.listens_to("near").progress, "as it did before");
    for heard in [
        Signal::FaxAnswering,
        Signal::Beep,
        Signal::Ringback,
        Signal::FaxAnswering,
        Signal::Busy,
        Signal::Beep,
        Signal::Busy,
    ] {
        world.hears_of("near", signal(heard));
    }
    world.run(s(1));
    world.check(expect![[r#"
        7.00    A leg.signal leg 2 fax_answering
        7.00    A leg.signal leg 2 busy
    "#]]);
    ends(world);
}

#[test]
fn who_calls_in_by_a_trunk_is_listened_to_from_the_answer() {
    let mut world = dialled(true);
    ends_quietly(&mut world);
    world.dial_as("near", "1000", "<sip:02155509999@near.example>", &[]);
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.skip_ladder();
    assert!(world.listens_to("near").progress);
    world.hears_of("near", signal(Signal::FaxCalling));
    world.run(s(1));
    world.check(expect![[r#"
        8.00    B leg.signal leg 1 fax_calling
    "#]]);
    world.hang_up("near");
    world.run(s(1));
    world.settle();
}

/// What is up ends.
fn ends_quietly(world: &mut World) {
    world.hang_up("ann");
    world.run(s(2));
}
