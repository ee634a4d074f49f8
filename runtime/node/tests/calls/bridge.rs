//! Parties of two calls are connected by request.

use expect_test::expect;
use jackfield_node::{Control, ControlError, Controlled};
use vocab::CallId;
use vocab::flow::{Op, Prompt};

use crate::phone::Manner;
use crate::world::{World, dial, leg, ms, phone, s, user};

type Told = Option<Result<Controlled, ControlError>>;

/// Ann with Bob, and Carol with Dave.
fn two_calls(world: &mut World) -> (CallId, CallId) {
    let calls = (
        world.connected("ann", "bob"),
        world.connected("carol", "dave"),
    );
    world.skip_ladder();
    calls
}

fn bridge(world: &mut World, (call, who): (CallId, &str), (other, whom): (CallId, &str)) -> Told {
    world.ask(Control::Bridge {
        call,
        leg: user(who),
        other,
        other_leg: user(whom),
    })
}

#[test]
fn two_of_four_are_connected_and_the_others_let_go() {
    let mut world = World::new();
    let (a, b) = two_calls(&mut world);
    world.show_sip = true;
    let told = bridge(&mut world, (a, "ann"), (b, "dave"));
    assert_eq!(told, Some(Ok(Controlled::Done)));
    world.run(s(1));
    world.show_sip = false;
    // It is a call like any other.
    let by = user("dave");
    world.ask(Control::Hold { call: a, by });
    world.run(s(1));
    world.hang_up("dave");
    world.run(s(1));
    world.check(expect![[r#"
        9.00    request 3 is told Ok(Done)
        9.00    home → bob: BYE
        9.00    home → carol: BYE
        9.00    A leg.moved_in leg 3 with 1 01m7z7tr40mva5wpfdatbgahyn
        9.00    A leg.unbridged 1 2
        9.00    A leg.bridged 1 3
        9.00    B leg.unbridged 1 2
        9.00    B call.interaction with A
        9.00    B leg.moved_away leg 2
        9.00        ann hears dave
        9.00        dave hears ann
        9.00    B call.ended transferred by Near
        9.01    bob → home: 200 OK (BYE)
        9.01    carol → home: 200 OK (BYE)
        10.00   request 4 is told Ok(Done)
        10.00   A leg.held leg 1 by 3
        10.00   A leg.unbridged 1 3
        10.00       ann hears music on hold
        10.00       dave hears nothing
        11.01   A call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn who_was_called_is_connected_with_who_calls() {
    let mut world = World::new();
    let (a, b) = two_calls(&mut world);
    bridge(&mut world, (a, "bob"), (b, "carol"));
    world.run(s(1));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        9.00    request 3 is told Ok(Done)
        9.00    A leg.moved_in leg 3 with 2 01m7z7tr40mva5wpfdatbgahyn
        9.00    A leg.unbridged 1 2
        9.00    A leg.bridged 2 3
        9.00    B leg.unbridged 1 2
        9.00    B call.interaction with A
        9.00    B leg.moved_away leg 1
        9.00    B call.ended transferred by Near
        9.00        bob hears carol
        9.00        carol hears bob
        10.01   A leg.unbridged 2 3
        10.01       carol hears nothing
        10.01   A call.ended normal by Far
    "#]]);
    world.settle();
}

#[test]
fn who_is_held_and_who_holds_can_be_connected() {
    let mut world = World::new();
    let (a, b) = two_calls(&mut world);
    let by = user("ann");
    world.ask(Control::Hold { call: a, by });
    let by = user("carol");
    world.ask(Control::Hold { call: b, by });
    world.run(s(1));
    world.skip_ladder();
    bridge(&mut world, (a, "bob"), (b, "carol"));
    world.run(s(1));
    world.check(expect![[r#"
        10.00   request 5 is told Ok(Done)
        10.00   A leg.moved_in leg 3 with 2 01m7z7tr40mva5wpfdatbgahyn
        10.00   A leg.bridged 2 3
        10.00   B call.interaction with A
        10.00   B leg.moved_away leg 1
        10.00   B call.ended transferred by Near
        10.00       bob hears carol
        10.00       carol hears bob
    "#]]);
    world.settle();
}

#[test]
fn who_is_parked_is_connected_and_its_slot_free() {
    // In the call that goes on, and in the other.
    let mut world = World::new();
    let (a, b) = two_calls(&mut world);
    let (by, slot) = (user("ann"), None);
    world.ask(Control::Park { call: a, by, slot });
    world.run(s(1));
    world.skip_ladder();
    bridge(&mut world, (a, "bob"), (b, "carol"));
    assert_eq!(world.node.parked().count(), 0);
    world.run(s(30));
    world.check(expect![[r#"
        10.00   request 4 is told Ok(Done)
        10.00   A leg.moved_in leg 3 with 2 01m7z7tr40mva5wpfdatbgahyn
        10.00   A park.picked_up leg 2 with 3 701
        10.00   A leg.bridged 2 3
        10.00   B leg.unbridged 1 2
        10.00   B call.interaction with A
        10.00   B leg.moved_away leg 1
        10.00   B call.ended transferred by Near
        10.00       bob hears carol
        10.00       carol hears bob
    "#]]);
    world.settle();
    world.again();
    let (a, b) = two_calls(&mut world);
    let (by, slot) = (user("carol"), None);
    world.ask(Control::Park { call: b, by, slot });
    world.run(s(1));
    world.skip_ladder();
    bridge(&mut world, (a, "bob"), (b, "dave"));
    assert_eq!(world.node.parked().count(), 0);
    world.run(s(30));
    world.check(expect![[r#"
        120.00  request 8 is told Ok(Done)
        120.00  C leg.moved_in leg 3 with 2 01m7z7y3hghds6p1bea27f05b0
        120.00  C leg.unbridged 1 2
        120.00  C leg.bridged 2 3
        120.00  D call.interaction with C
        120.00  D leg.moved_away leg 2
        120.00  D call.ended transferred by Near
        120.00      bob hears dave
        120.00      dave hears bob
    "#]]);
    world.settle();
}

/// Ann hears a prompt of a flow, and Carol talks with Dave.
fn a_flow_and_a_call(world: &mut World) -> (CallId, CallId) {
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    let prompts = vec![Prompt::Audio("welcome".into())];
    world.op(Op::Play { prompts });
    let flow = world.node.live_calls().next().expect("a call");
    let other = world.connected("carol", "dave");
    // It plays again.
    let prompts = vec![Prompt::Audio("welcome".into())];
    world.op(Op::Play { prompts });
    world.skip_ladder();
    (flow, other)
}

#[test]
fn a_flow_lets_go_of_its_caller_for_somebody_of_another_call() {
    let mut world = World::new();
    let (flow, other) = a_flow_and_a_call(&mut world);
    bridge(&mut world, (flow, "ann"), (other, "dave"));
    world.run(s(10));
    world.hang_up("ann");
    world.run(s(1));
    world.check(expect![[r#"
        7.00    flow is told Err(Hangup("the caller was sent elsewhere"))
        7.00    flow is over: transferred
        7.00    request 2 is told Ok(Done)
        7.00    A leg.moved_in leg 2 with 1 01m7z7tp5gxnb9e1ezyqbxwqjs
        7.00    A leg.bridged 1 2
        7.00    B leg.unbridged 1 2
        7.00    B call.interaction with A
        7.00    B leg.moved_away leg 2
        7.00        ann hears dave
        7.00        dave hears ann
        7.00    B call.ended transferred by Near
        17.01   A leg.unbridged 1 2
        17.01       dave hears nothing
        17.01   A call.ended normal by Far
    "#]]);
    world.settle();
}

#[test]
fn a_flow_whose_caller_goes_to_another_call_is_over() {
    let mut world = World::new();
    let (flow, other) = a_flow_and_a_call(&mut world);
    bridge(&mut world, (other, "dave"), (flow, "ann"));
    world.run(s(10));
    world.hang_up("ann");
    world.run(s(1));
    world.check(expect![[r#"
        7.00    request 2 is told Ok(Done)
        7.00    A leg.moved_away leg 1
        7.00    B call.interaction with A
        7.00    B leg.moved_in leg 3 with 2 01m7z7tm7yme0a5zt5p9nbavr5
        7.00    B leg.unbridged 1 2
        7.00    B leg.bridged 2 3
        7.00        ann hears dave
        7.00        dave hears ann
        7.00    flow is told Err(Cancelled)
        7.00    flow is over: transferred
        12.00   A flow.ended hangup
        12.00   A call.ended transferred by Near
        17.01   B leg.unbridged 2 3
        17.01       dave hears nothing
        17.01   B call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn a_flow_that_has_connected_two_lets_go_of_them() {
    for (first, second) in [("ann", "bob"), ("bob", "ann")] {
        let mut world = World::new();
        world.install();
        world.dial("ann", "1000");
        world.run(s(1));
        world.op(Op::Answer);
        world.run(s(1));
        world.op(dial("bob"));
        world.run(s(2));
        let flow = world.node.live_calls().next().expect("a call");
        let other = world.connected("carol", "dave");
        world.skip_ladder();
        let told = if first == "ann" {
            bridge(&mut world, (flow, first), (other, "dave"))
        } else {
            bridge(&mut world, (other, "dave"), (flow, first))
        };
        assert_eq!(told, Some(Ok(Controlled::Done)));
        world.run(s(10));
        let hears = |who: &str, whom: &str| format!("{who} hears {whom}\n");
        let ladder = world.ladder().to_owned();
        assert!(ladder.contains(&hears(first, "dave")), "{ladder}");
        assert!(ladder.contains(&hears("dave", first)), "{ladder}");
        let silent: Vec<String> = Vec::new();
        assert_eq!(world.in_silence(), silent);
        assert!(world.phones[world.of(second)].legs.is_empty(), "{ladder}");
        if first == "ann" {
            world.check(expect![[r#"
                9.00    flow is told Err(Hangup("the call is in other hands"))
                9.00    flow is over: transferred
                9.00    request 2 is told Ok(Done)
                9.00    A leg.dial_ended leg 2 Answered
                9.00    A leg.moved_in leg 3 with 1 01m7z7tr40xnb9e1ezyqbxwqjs
                9.00    A leg.unbridged 1 2
                9.00    A leg.bridged 1 3
                9.00    B leg.unbridged 1 2
                9.00    B call.interaction with A
                9.00    B leg.moved_away leg 2
                9.00        ann hears dave
                9.00        dave hears ann
                9.00    B call.ended transferred by Near
            "#]]);
        } else {
            world.check(expect![[r#"
                9.00    flow is told Err(Hangup("the call is in other hands"))
                9.00    flow is over: transferred
                9.00    request 2 is told Ok(Done)
                9.00    A leg.unbridged 1 2
                9.00    A leg.moved_away leg 2
                9.00    A leg.dial_ended leg 2 Answered
                9.00    B call.interaction with A
                9.00    B leg.moved_in leg 3 with 2 01m7z7tm7yme0a5zt5p9nbavr5
                9.00    B leg.unbridged 1 2
                9.00    B leg.bridged 2 3
                9.00        bob hears dave
                9.00        dave hears bob
                9.00    A call.ended transferred by Near
            "#]]);
        }
        world.settle();
    }
}

#[test]
fn the_recording_of_the_call_that_goes_on_goes_on() {
    let mut world = World::with(|tenant| {
        for route in tenant.routes.values_mut() {
            std::sync::Arc::make_mut(route).record = true;
        }
    });
    world.install();
    let mut calls = Vec::new();
    for caller in ["ann", "carol"] {
        world.dial(caller, "1000");
        world.run(s(1));
        world.op(Op::Answer);
        world.run(s(1));
        calls.push(world.node.live_calls().last().expect("a call"));
    }
    let (a, b) = (calls[0], calls[1]);
    let recorded = |call, who: &str| (call, who.to_owned());
    let both = [recorded(a, "ann"), recorded(b, "carol")];
    assert_eq!(world.recorded(), both);
    bridge(&mut world, (a, "ann"), (b, "carol"));
    world.run(s(1));
    // She is recorded where she is now.
    assert_eq!(world.recorded(), [recorded(a, "ann"), recorded(a, "carol")]);
    world.hang_up("carol");
    world.run(s(1));
    assert_eq!(world.recorded(), []);
    world.settle();
}

#[test]
fn what_cannot_be_connected_is_refused() {
    let mut world = World::new();
    world.install();
    let (a, b) = two_calls(&mut world);
    let nobody = CallId(1);
    let mut said = String::new();
    let mut refused = |world: &mut World, first: (CallId, &str), second: (CallId, &str)| {
        let before = (world.node.parties(a), world.node.parties(b));
        match bridge(world, first, second) {
            Some(Err(error)) => said += &format!("{}: {error}\n", error.name()),
            other => panic!("{other:?}"),
        }
        let after = (world.node.parties(a), world.node.parties(b));
        assert_eq!(before, after, "nothing has changed");
    };
    refused(&mut world, (a, "ann"), (a, "bob"));
    refused(&mut world, (a, "ann"), (nobody, "dave"));
    refused(&mut world, (nobody, "ann"), (b, "dave"));
    refused(&mut world, (a, "ann"), (b, "bob"));
    // Somebody is asked, and rings.
    world.manner("dave", Manner::Rings);
    let (by, to) = (user("ann"), phone("dave"));
    world.ask(Control::Consult { call: a, by, to });
    world.run(s(1));
    refused(&mut world, (b, "dave"), (a, "bob"));
    let by = user("ann");
    world.ask(Control::Cancel { call: a, by });
    world.run(s(1));
    // Somebody was asked, and then all talk.
    world.manner("dave", Manner::Answers(ms(100)));
    let (by, to) = (user("ann"), phone("dave"));
    world.ask(Control::Consult { call: a, by, to });
    world.run(s(1));
    refused(&mut world, (a, "bob"), (b, "carol"));
    let by = user("ann");
    world.ask(Control::Merge {
        call: a,
        by,
        beep: false,
    });
    world.run(s(1));
    refused(&mut world, (a, "ann"), (b, "carol"));
    world.ask(Control::Hangup {
        call: a,
        leg: leg(4),
    });
    world.run(s(1));
    // A flow is visited.
    let (by, route) = (user("ann"), "2000".to_owned());
    world.ask(Control::ToFlow { call: a, by, route });
    refused(&mut world, (a, "bob"), (b, "carol"));
    world.returns("done");
    // Nobody has answered.
    world.dial("bob", "1000");
    world.run(s(1));
    let ringing = world.node.live_calls().last().expect("a call");
    refused(&mut world, (ringing, "bob"), (b, "carol"));
    expect![[r#"
        invalid: invalid: both are in one call: name a party of another
        not_found: not found: no such other call: it may be over; live calls are listed
        no_call: no such call: it may be over; live calls are listed
        not_found: not found: no such party in the other call: name a leg of it, or a user whose phone is in it
        conflict: not now: somebody is being called: wait, complete or cancel first
        conflict: not now: somebody else waits: swap, merge, complete or cancel first
        conflict: not now: not in a conference: hang up one of the three first
        conflict: not now: a flow has been visited and is not over yet
        conflict: not now: this party has not answered
    "#]]
    .assert_eq(&said);
    world.settle();
}

#[test]
fn calls_of_two_tenants_are_not_connected() {
    let mut world = World::new();
    let (one, other) = world.two_tenants();
    world.skip_ladder();
    let told = world.ask(Control::Bridge {
        call: one,
        leg: leg(1),
        other,
        other_leg: leg(1),
    });
    let told = told.expect("an answer").expect_err("refused");
    expect!["denied: the calls are of two tenants"].assert_eq(&told.to_string());
    world.settle();
}

/// The same as [`two_calls`] on two media workers: who goes over is asked to send its audio elsewhere,
/// which takes 20 ms.
fn apart() -> (World, CallId, CallId) {
    let mut world = World::with_workers(&[4, 4], |_| {});
    let (a, b) = two_calls(&mut world);
    (world, a, b)
}

#[test]
fn somebody_on_another_worker_comes_over_first() {
    let (mut world, a, b) = apart();
    world.show_sip = true;
    let told = bridge(&mut world, (a, "ann"), (b, "dave"));
    assert_eq!(told, None, "answered when they talk");
    // Whoever is on the way is not sent anywhere else.
    for (call, who, other, whom) in [(a, "bob", b, "carol"), (b, "dave", a, "ann")] {
        let again = bridge(&mut world, (call, who), (other, whom));
        assert!(matches!(again, Some(Err(ControlError::Conflict(_)))));
    }
    let (by, slot) = (user("ann"), None);
    let parked = world.ask(Control::Park { call: a, by, slot });
    assert!(matches!(parked, Some(Err(ControlError::Conflict(_)))));
    world.run(s(1));
    world.show_sip = false;
    world.check(expect![[r#"
        9.00    home → dave: INVITE (application/sdp)
        9.00    request 4 is told Err(Conflict("somebody is on the way between this call and another: wait a moment"))
        9.00    request 5 is told Err(Conflict("somebody is on the way between this call and another: wait a moment"))
        9.00    request 6 is told Err(Conflict("somebody is on the way between this call and another: wait a moment"))
        9.01    dave → home: 100 Trying (INVITE)
        9.01    dave → home: 200 OK (INVITE, application/sdp)
        9.02    home → dave: ACK
        9.02    request 3 is told Ok(Done)
        9.02    home → bob: BYE
        9.02    home → carol: BYE
        9.02    A leg.moved_in leg 3 with 1 01m7z7tr40mva5wpfdatbgahyn
        9.02    A leg.unbridged 1 2
        9.02    A leg.bridged 1 3
        9.02    B leg.unbridged 1 2
        9.02    B call.interaction with A
        9.02    B leg.moved_away leg 2
        9.02        ann hears dave
        9.02        dave hears ann
        9.02    B call.ended transferred by Near
        9.03    bob → home: 200 OK (BYE)
        9.03    carol → home: 200 OK (BYE)
    "#]]);
    assert_eq!(world.in_silence(), Vec::<String>::new());
    world.settle();
}

/// Ann and Dave are to be connected, and this one hangs up meanwhile.
fn somebody_leaves(who: &str) -> World {
    let (mut world, a, b) = apart();
    bridge(&mut world, (a, "ann"), (b, "dave"));
    world.show_sip = true;
    world.hang_up(who);
    world.run(s(2));
    world.show_sip = false;
    assert_eq!(world.in_silence(), Vec::<String>::new());
    world
}

#[test]
fn the_one_who_was_to_be_joined_leaves() {
    let mut world = somebody_leaves("ann");
    world.check(expect![[r#"
        9.00    ann → home: BYE
        9.01    dave → home: 100 Trying (INVITE)
        9.01    dave → home: 200 OK (INVITE, application/sdp)
        9.01    home → ann: 200 OK (BYE)
        9.01    A leg.unbridged 1 2
        9.01        bob hears nothing
        9.01    request 3 is told Err(Gone)
        9.01    home → bob: BYE
        9.01    A call.ended normal by Far
        9.02    home → dave: ACK
        9.02    home → dave: INVITE (application/sdp)
        9.02    bob → home: 200 OK (BYE)
        9.03    dave → home: 100 Trying (INVITE)
        9.03    dave → home: 200 OK (INVITE, application/sdp)
        9.04    home → dave: ACK
    "#]]);
    world.settle();
}

#[test]
fn the_one_who_comes_over_leaves() {
    let mut world = somebody_leaves("dave");
    world.check(expect![[r#"
        9.00    dave → home: BYE
        9.01    dave → home: 481 Call/Transaction Does Not Exist (INVITE)
        9.01    home → dave: 200 OK (BYE)
        9.01    request 3 is told Err(Gone)
        9.01    B leg.unbridged 1 2
        9.01        carol hears nothing
        9.01    home → carol: BYE
        9.01    B call.ended normal by Near
        9.02    home → dave: ACK
        9.02    carol → home: 200 OK (BYE)
    "#]]);
    world.settle();
}

#[test]
fn who_talked_with_the_one_who_is_joined_leaves() {
    let mut world = somebody_leaves("bob");
    world.check(expect![[r#"
        9.00    bob → home: BYE
        9.01    dave → home: 100 Trying (INVITE)
        9.01    dave → home: 200 OK (INVITE, application/sdp)
        9.01    home → bob: 200 OK (BYE)
        9.01    A leg.unbridged 1 2
        9.01        ann hears nothing
        9.01    A leg.gone leg 2 normal
        9.01        ann hears music on hold
        9.02    home → dave: ACK
        9.02    request 3 is told Ok(Done)
        9.02    home → carol: BYE
        9.02    A leg.moved_in leg 3 with 1 01m7z7tr40mva5wpfdatbgahyn
        9.02    A leg.bridged 1 3
        9.02    B leg.unbridged 1 2
        9.02    B call.interaction with A
        9.02    B leg.moved_away leg 2
        9.02        ann hears dave
        9.02        dave hears ann
        9.02    B call.ended transferred by Near
        9.03    carol → home: 200 OK (BYE)
    "#]]);
    world.settle();
}

#[test]
fn who_talked_with_the_one_who_comes_over_leaves() {
    let mut world = somebody_leaves("carol");
    world.check(expect![[r#"
        9.00    carol → home: BYE
        9.01    dave → home: 100 Trying (INVITE)
        9.01    dave → home: 200 OK (INVITE, application/sdp)
        9.01    home → carol: 200 OK (BYE)
        9.01    B leg.unbridged 1 2
        9.01        dave hears nothing
        9.01    B leg.gone leg 1 normal
        9.01        dave hears music on hold
        9.02    home → dave: ACK
        9.02    request 3 is told Ok(Done)
        9.02    home → bob: BYE
        9.02    A leg.moved_in leg 3 with 1 01m7z7tr40mva5wpfdatbgahyn
        9.02    A leg.unbridged 1 2
        9.02    A leg.bridged 1 3
        9.02    B call.interaction with A
        9.02    B leg.moved_away leg 2
        9.02    B call.ended transferred by Near
        9.02        ann hears dave
        9.02        dave hears ann
        9.03    bob → home: 200 OK (BYE)
    "#]]);
    world.settle();
}

#[test]
fn who_cannot_come_over_talks_on() {
    // Each call fills its worker.
    let mut world = World::with_workers(&[2, 2], |_| {});
    let (a, b) = two_calls(&mut world);
    world.show_sip = true;
    let told = bridge(&mut world, (a, "ann"), (b, "dave"));
    assert!(
        matches!(told, Some(Err(ControlError::Unavailable(_)))),
        "{told:?}"
    );
    world.run(s(1));
    world.show_sip = false;
    assert_eq!(world.in_silence(), Vec::<String>::new());
    // Each can do as before.
    let by = user("dave");
    world.ask(Control::Hold { call: b, by });
    world.run(s(1));
    world.check(expect![[r#"
        9.00    request 3 is told Err(Unavailable("the second party cannot come over: its phone does not move its audio, or no port is free for it; both talk on as before"))
        10.00   request 4 is told Ok(Done)
        10.00   B leg.held leg 1 by 2
        10.00   B leg.unbridged 1 2
        10.00       carol hears music on hold
        10.00       dave hears nothing
    "#]]);
    world.settle();
}

#[test]
fn who_waits_in_a_slot_and_cannot_come_over_waits_on() {
    let mut world = World::with_workers(&[2, 2], |_| {});
    let (a, b) = two_calls(&mut world);
    let (by, slot) = (user("carol"), None);
    world.ask(Control::Park { call: b, by, slot });
    world.run(s(10));
    world.skip_ladder();
    let told = bridge(&mut world, (a, "ann"), (b, "dave"));
    assert!(matches!(told, Some(Err(ControlError::Unavailable(_)))));
    world.run(s(30));
    world.check(expect![[r#"
        19.00   request 4 is told Err(Unavailable("the second party cannot come over: its phone does not move its audio, or no port is free for it; both talk on as before"))
        39.00   B park.timed_out leg 2 701
        39.00   B leg.dialed leg 3 to carol
        39.00   B transfer.called_back leg 2 with 3
        39.00       dave hears ringback
        40.02   B leg.bridged 2 3
        40.02       dave hears carol
        40.02       carol hears dave
    "#]]);
    world.settle();
}

/// A flow has connected ann with bob; carol talks with dave, on the other worker.
fn apart_by_a_flow() -> (World, CallId, CallId) {
    let mut world = World::with_workers(&[4, 4], |_| {});
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.op(dial("bob"));
    world.run(s(2));
    let flow = world.node.live_calls().next().expect("a call");
    let other = world.connected("carol", "dave");
    world.skip_ladder();
    (world, flow, other)
}

fn hear_each_other(world: &World, one: &str, other: &str) {
    let ladder = world.ladder();
    for (who, whom) in [(one, other), (other, one)] {
        let heard = ladder.rfind(&format!("{who} hears "));
        let heard = heard.map(|at| ladder[at..].lines().next().unwrap_or_default());
        assert_eq!(heard, Some(&*format!("{who} hears {whom}")), "{ladder}");
    }
}

#[test]
fn one_whom_a_flow_had_connected_leaves_and_the_other_call_talks_on() {
    let (mut world, flow, other) = apart_by_a_flow();
    bridge(&mut world, (flow, "bob"), (other, "dave"));
    world.hang_up("bob");
    world.run(s(2));
    let ladder = world.ladder();
    assert!(ladder.contains("is told Err(Gone)"), "{ladder}");
    assert!(!ladder.contains("carol hears"), "{ladder}");
    assert!(!ladder.contains("B call.ended"), "{ladder}");
    assert_eq!(world.node.parties(other).len(), 2);
    world.settle();
}

#[test]
fn whoever_a_flow_had_connected_with_one_of_the_two_leaves_meanwhile() {
    for joined in [true, false] {
        let (mut world, flow, other) = apart_by_a_flow();
        if joined {
            bridge(&mut world, (flow, "bob"), (other, "dave"));
        } else {
            bridge(&mut world, (other, "dave"), (flow, "bob"));
        }
        world.hang_up("ann");
        world.run(s(9));
        assert!(
            world.ladder().contains("is told Ok(Done)"),
            "{}",
            world.ladder()
        );
        hear_each_other(&world, "bob", "dave");
        world.settle();
    }
}

/// Nothing that a flow does is stopped for a bridge that does not come about.
#[test]
fn a_flow_goes_on_as_it_was_when_nobody_is_there_to_be_connected_with() {
    let mut world = World::with_workers(&[4, 4], |_| {});
    let other = world.connected("carol", "dave");
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    let flow = world.node.live_calls().last().expect("a call");
    world.op(Op::Play {
        prompts: vec![Prompt::Audio("welcome".into())],
    });
    world.skip_ladder();
    bridge(&mut world, (other, "dave"), (flow, "ann"));
    world.hang_up("carol");
    world.hang_up("dave");
    world.run(ms(200));
    let ladder = world.ladder();
    assert!(ladder.contains("is told Err(Gone)"), "{ladder}");
    assert!(!ladder.contains("ann hears"), "{ladder}");
    assert!(!ladder.contains("flow is told"), "{ladder}");
    world.run(s(2));
    let ladder = world.ladder();
    assert!(ladder.contains("flow is told Ok(Done)"), "{ladder}");
    world.settle();
}
