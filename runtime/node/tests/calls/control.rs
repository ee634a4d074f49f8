//! Requests: what is noted, who hears what, and that nothing is left.

use expect_test::expect;
use jackfield_node::{Control, ControlError, Controlled, Destination};
use vocab::flow::{Op, Prompt};

use crate::phone::Manner;
use crate::world::{World, dial, leg, phone, s, user};

#[test]
fn a_call_is_made_held_and_retrieved() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    world.ask(Control::Hold { call, by: leg(1) });
    world.run(s(2));
    world.ask(Control::Retrieve { call, by: leg(1) });
    world.run(s(2));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        1.00    request 1 is told Ok(Call(01m7z7tm70ddq4nvke6achnnyy))
        1.00    A call.started to bob
        2.02    A call.answered
        2.02    A leg.dialed leg 2 to bob
        2.02        ann hears ringback
        3.04    A leg.bridged 1 2
        3.04        ann hears bob
        3.04        bob hears ann
        5.00    request 2 is told Ok(Done)
        5.00    A leg.held leg 2 by 1
        5.00    A leg.unbridged 1 2
        5.00        ann hears nothing
        5.00        bob hears music on hold
        7.00    request 3 is told Ok(Done)
        7.00    A leg.retrieved leg 2 by 1
        7.00    A leg.bridged 1 2
        7.00        ann hears bob
        7.00        bob hears ann
        9.01    A leg.unbridged 1 2
        9.01        ann hears nothing
        9.01    A call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn a_party_is_transferred() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let to = phone("carol");
    let result = world.ask(Control::Transfer {
        call,
        by: leg(1),
        to,
    });
    assert_eq!(result, Some(Ok(Controlled::Calling { legs: vec![3] })));
    world.run(s(4));
    world.hang_up("carol");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A transfer.asked leg 2 by 1 phone
        5.00    A leg.dialed leg 3 to carol
        5.00    A leg.unbridged 1 2
        5.00        bob hears ringback
        6.02    A transfer.done leg 2 with 3
        6.02    A leg.bridged 2 3
        6.02        bob hears carol
        6.02        carol hears bob
        9.01    A leg.unbridged 2 3
        9.01        bob hears nothing
        9.01    A call.ended normal by Near
    "#]]);
    world.settle();
}

/// Ann talks with Bob and has asked Carol.
fn consulted(world: &mut World) -> vocab::CallId {
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let to = phone("carol");
    let result = world.ask(Control::Consult {
        call,
        by: user("ann"),
        to,
    });
    assert_eq!(result, Some(Ok(Controlled::Calling { legs: vec![3] })));
    world.run(s(3));
    call
}

#[test]
fn a_consultation_is_swapped_and_completed() {
    let mut world = World::new();
    let call = consulted(&mut world);
    let by = user("ann");
    world.ask(Control::Swap {
        call,
        by: by.clone(),
    });
    world.run(s(1));
    world.ask(Control::Complete { call, by });
    world.run(s(2));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        5.00    A leg.held leg 2 by 1
        5.00    A consult.started leg 2 by 1 with 3
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.00        bob hears music on hold
        6.02    A leg.bridged 1 3
        6.02        ann hears carol
        6.02        carol hears ann
        8.00    request 3 is told Ok(Done)
        8.00    A consult.swapped leg 3 by 1 with 2
        8.00    A leg.unbridged 1 3
        8.00    A leg.bridged 1 2
        8.00        ann hears bob
        8.00        bob hears ann
        8.00        carol hears music on hold
        9.00    request 4 is told Ok(Done)
        9.00    A transfer.done leg 3 by 1 with 2
        9.00    A leg.unbridged 1 2
        9.00    A leg.bridged 2 3
        9.00        bob hears carol
        9.00        carol hears bob
        11.01   A leg.unbridged 2 3
        11.01       carol hears nothing
        11.01   A call.ended normal by Far
    "#]]);
    world.settle();
}

#[test]
fn a_consultation_is_completed_while_the_asked_one_rings() {
    let mut world = World::new();
    world.manner("carol", Manner::Answers(s(5)));
    let call = consulted(&mut world);
    let by = user("ann");
    world.ask(Control::Complete { call, by });
    world.run(s(5));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        5.00    A leg.held leg 2 by 1
        5.00    A consult.started leg 2 by 1 with 3
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.00        bob hears music on hold
        8.00    request 3 is told Ok(Done)
        8.00    A transfer.asked leg 2 by 1 consulted
        8.00        bob hears ringback
        10.02   A transfer.done leg 2 with 3
        10.02   A leg.bridged 2 3
        10.02       bob hears carol
        10.02       carol hears bob
    "#]]);
    world.settle();
}

#[test]
fn a_consultation_is_cancelled() {
    let mut world = World::new();
    let call = consulted(&mut world);
    let by = user("ann");
    // Whoever is talked with: the one who was asked is let go.
    world.ask(Control::Swap {
        call,
        by: by.clone(),
    });
    world.ask(Control::Cancel { call, by });
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        5.00    A leg.held leg 2 by 1
        5.00    A consult.started leg 2 by 1 with 3
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.00        bob hears music on hold
        6.02    A leg.bridged 1 3
        6.02        ann hears carol
        6.02        carol hears ann
        8.00    request 3 is told Ok(Done)
        8.00    A consult.swapped leg 3 by 1 with 2
        8.00    A leg.unbridged 1 3
        8.00    A leg.bridged 1 2
        8.00        ann hears bob
        8.00        bob hears ann
        8.00        carol hears music on hold
        8.00    request 4 is told Ok(Done)
        8.00    A consult.ended leg 2 by 1 with 3 cancelled
    "#]]);
    world.settle();
}

#[test]
fn whom_nobody_can_reach_is_given_back_to_the_one_who_waits() {
    let mut world = World::new();
    world.manner("carol", Manner::Refuses(486));
    consulted(&mut world);
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        5.00    A leg.held leg 2 by 1
        5.00    A consult.started leg 2 by 1 with 3
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.00        bob hears music on hold
        5.02    A leg.dial_ended leg 3 Busy
        5.02    A consult.ended leg 2 by 1 busy
        5.02    A leg.bridged 1 2
        5.02        ann hears bob
        5.02        bob hears ann
    "#]]);
    world.settle();
}

#[test]
fn three_talk_with_each_other() {
    let mut world = World::new();
    let call = consulted(&mut world);
    let by = user("ann");
    world.ask(Control::Merge {
        call,
        by,
        beep: false,
    });
    world.run(s(1));
    world.hang_up("ann");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A leg.dialed leg 3 to carol
        5.00    A leg.held leg 2 by 1
        5.00    A consult.started leg 2 by 1 with 3
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.00        bob hears music on hold
        6.02    A leg.bridged 1 3
        6.02        ann hears carol
        6.02        carol hears ann
        8.00    request 3 is told Ok(Done)
        8.00    A conference.started leg 2 by 1 with 3
        8.00    A leg.unbridged 1 3
        8.00    A conference.joined leg 1
        8.00    A conference.joined leg 2
        8.00    A conference.joined leg 3
        8.00        ann hears all
        8.00        bob hears all
        8.00        carol hears all
        9.01    A conference.left leg 1
        9.01    A leg.gone leg 1 normal
        9.01    A conference.left leg 2
        9.01    A conference.left leg 3
        9.01    A leg.bridged 2 3
        9.01        bob hears carol
        9.01        carol hears bob
    "#]]);
    world.settle();
}

#[test]
fn nobody_takes_a_transferred_party() {
    let mut world = World::new();
    world.manner("carol", Manner::Rings);
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let (by, to) = (leg(1), phone("carol"));
    world.ask(Control::Transfer { call, by, to });
    // Ann, who is called back, does not answer either: Bob hears the announcement.
    world.manner("ann", Manner::Rings);
    world.run(s(70));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A transfer.asked leg 2 by 1 phone
        5.00    A leg.dialed leg 3 to carol
        5.00    A leg.unbridged 1 2
        5.00        bob hears ringback
        35.00   A leg.dial_ended leg 3 NoAnswer
        35.00   A transfer.failed leg 2 no_answer
        35.00   A leg.dialed leg 4 to ann
        35.00   A transfer.called_back leg 2 with 4
        65.00   A leg.dial_ended leg 4 NoAnswer
        65.00   A call.fallback busy
        65.00       bob hears busy
        69.00   A call.ended failed by Near
    "#]]);
    world.settle();
}

#[test]
fn a_party_waits_in_a_slot_until_a_phone_takes_it() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let (by, slot) = (user("ann"), None);
    let result = world.ask(Control::Park { call, by, slot });
    assert_eq!(result, Some(Ok(Controlled::Parked { slot: 701 })));
    world.run(s(2));
    let parked: Vec<_> = world.node.parked().map(|(_, slot, _)| slot).collect();
    assert_eq!(parked, [701]);
    let (user, slot) = ("carol".to_owned(), 701);
    let result = world.ask(Control::PickUp { user, slot });
    assert_eq!(result, Some(Ok(Controlled::Calling { legs: vec![3] })));
    world.run(s(3));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Parked { slot: 701 })
        5.00    A park.parked leg 2 by 1 701
        5.00    A leg.unbridged 1 2
        5.00        bob hears music on hold
        7.00    request 3 is told Ok(Calling { legs: [3] })
        7.00    A leg.dialed leg 3 to carol
        8.02    A park.picked_up leg 2 with 3 701
        8.02    A leg.bridged 2 3
        8.02        bob hears carol
        8.02        carol hears bob
    "#]]);
    world.settle();
}

#[test]
fn whoever_parked_a_party_is_rung_when_nobody_takes_it() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let (by, slot) = (user("ann"), Some(702));
    world.ask(Control::Park { call, by, slot });
    world.run(s(30));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Parked { slot: 702 })
        5.00    A park.parked leg 2 by 1 702
        5.00    A leg.unbridged 1 2
        5.00        bob hears music on hold
        25.00   A park.timed_out leg 2 702
        25.00   A leg.dialed leg 3 to ann
        25.00   A transfer.called_back leg 2 with 3
        25.00       bob hears ringback
        26.02   A leg.bridged 2 3
        26.02       bob hears ann
        26.02       ann hears bob
    "#]]);
    world.settle();
}

#[test]
fn keys_are_sent_and_one_party_is_hung_up() {
    let mut world = World::new();
    let call = consulted(&mut world);
    world.skip_ladder();
    let digits = "12#".to_owned().into();
    world.ask(Control::SendDigits {
        call,
        leg: user("bob"),
        digits,
    });
    world.ask(Control::Hangup {
        call,
        leg: user("carol"),
    });
    world.run(s(1));
    world.check(expect![[r#"
        8.00    request 3 is told Ok(Done)
        8.00    A leg.digits_sent leg 2 3
        8.00    request 4 is told Ok(Done)
        8.00    A leg.unbridged 1 3
        8.00        ann hears nothing
        8.00    A leg.retrieved leg 2
        8.00    A leg.gone leg 3 normal
        8.00    A leg.bridged 1 2
        8.00        ann hears bob
        8.00        bob hears ann
    "#]]);
    world.settle();
}

#[test]
fn the_last_number_is_dialled_again() {
    let mut world = World::new();
    let result = world.ask(Control::Redial { user: "ann".into() });
    assert!(matches!(result, Some(Err(ControlError::NotFound(_)))));
    world.connected("ann", "bob");
    world.hang_up("ann");
    world.run(s(1));
    world.skip_ladder();
    world.ask(Control::Redial { user: "ann".into() });
    world.run(s(4));
    world.check(expect![[r#"
        6.00    request 3 is told Ok(Call(01m7z7ts38mva5wpfdatbgahyn))
        6.00    B call.started to bob
        7.02    B call.answered
        7.02    B leg.dialed leg 2 to bob
        7.02        ann hears ringback
        8.04    B leg.bridged 1 2
        8.04        ann hears bob
        8.04        bob hears ann
    "#]]);
    world.settle();
}

#[test]
fn a_party_goes_through_a_flow_and_comes_back() {
    let mut world = World::new();
    world.install();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let (by, route) = (user("ann"), "2000".to_owned());
    let result = world.ask(Control::ToFlow { call, by, route });
    assert_eq!(result, None, "answered when the flow is over");
    world.run(s(1));
    let prompts = vec![Prompt::Audio("welcome".into())];
    world.op(Op::Play { prompts });
    world.run(s(2));
    world.returns("satisfied");
    world.run(s(2));
    world.check(expect![[r#"
        5.00    flow 2000 starts for bob
        5.00    A flow.visited leg 2 by 1 2000
        5.00    A flow.started
        5.00    A leg.unbridged 1 2
        5.00        ann hears music on hold
        5.00        bob hears nothing
        6.00    A flow.asked play
        6.00        bob hears welcome
        7.00    flow is told Ok(Done)
        7.00        bob hears nothing
        8.00    request 2 is told Ok(Flow { label: "satisfied", detail: None })
        8.00    A flow.ended satisfied
        8.00    A flow.returned leg 2 with 1 satisfied
        8.00    A leg.bridged 1 2
        8.00        ann hears bob
        8.00        bob hears ann
    "#]]);
    world.settle();
}

#[test]
fn nobody_waits_any_more_when_the_flow_is_over() {
    let mut world = World::new();
    world.install();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let (by, route) = (user("ann"), "2000".to_owned());
    world.ask(Control::ToFlow { call, by, route });
    world.run(s(1));
    world.hang_up("ann");
    world.run(s(1));
    world.returns("satisfied");
    world.run(s(9));
    world.check(expect![[r#"
        5.00    flow 2000 starts for bob
        5.00    A flow.visited leg 2 by 1 2000
        5.00    A flow.started
        5.00    A leg.unbridged 1 2
        5.00        ann hears music on hold
        5.00        bob hears nothing
        7.00    request 2 is told Ok(Flow { label: "satisfied", detail: None })
        7.00    A flow.ended satisfied
        7.00    A flow.returned leg 2 satisfied
        7.00    A call.fallback sorry
        7.00        bob hears sorry
        8.00    A call.ended failed by Near
    "#]]);
    world.settle();
}

#[test]
fn a_flow_lets_go_of_whom_it_has_connected() {
    let mut world = World::new();
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.skip_ladder();
    world.op(dial("bob"));
    world.run(s(2));
    let call = world.node.live_calls().next().expect("a call");
    // Bob puts Ann on hold, which the flow is not to know of.
    let by = user("bob");
    let result = world.ask(Control::Hold { call, by });
    assert_eq!(result, Some(Ok(Controlled::Done)));
    world.run(s(1));
    world.hang_up("ann");
    world.run(s(1));
    world.check(expect![[r#"
        3.00    A flow.asked dial
        3.00    A leg.dialed leg 2 to bob
        3.00        ann hears ringback
        4.02    A leg.bridged 1 2
        4.02        ann hears bob
        4.02        bob hears ann
        5.00    flow is told Err(Hangup("the call is in other hands"))
        5.00    flow is over: transferred
        5.00    request 1 is told Ok(Done)
        5.00    A leg.dial_ended leg 2 Answered
        5.00    A leg.held leg 1 by 2
        5.00    A leg.unbridged 1 2
        5.00        ann hears music on hold
        5.00        bob hears nothing
        6.01    A call.ended normal by Far
    "#]]);
    world.settle();
}

#[test]
fn a_caller_is_sent_elsewhere_before_an_answer_and_after() {
    let mut world = World::new();
    world.install();
    world.show_sip = true;
    world.dial("ann", "1000");
    world.run(s(1));
    let call = world.node.live_calls().next().expect("a call");
    world.skip_ladder();
    let to = phone("bob");
    world.ask(Control::Redirect { call, to });
    world.run(s(1));
    world.check(expect![[r#"
        2.00    request 1 is told Ok(Done)
        2.00    home → ann: 302 Moved Temporarily (INVITE)
        2.00    flow is over: transferred
        2.00    A call.redirected leg 1 phone
        2.01    ann → home: ACK
    "#]]);
    world.show_sip = false;
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    let call = world.node.live_calls().last().expect("a call");
    world.skip_ladder();
    let to = phone("bob");
    world.ask(Control::Redirect { call, to });
    world.run(s(3));
    world.check(expect![[r#"
        5.00    flow is over: transferred
        5.00    request 2 is told Ok(Calling { legs: [2] })
        5.00    B transfer.asked leg 1 phone
        5.00    B leg.dialed leg 2 to bob
        5.00        ann hears ringback
        6.02    B transfer.done leg 1 with 2
        6.02    B leg.bridged 1 2
        6.02        ann hears bob
        6.02        bob hears ann
        7.00    A flow.ended hangup
        7.00    A call.ended transferred by Near
    "#]]);
    world.settle();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut world = World::new();
    world.install();
    let call = world.connected("ann", "bob");
    let nobody = vocab::CallId(1);
    let (by, ann) = (leg(1), user("ann"));
    let digits = |text: &str| text.to_owned().into();
    let table = [
        Control::Hold {
            call: nobody,
            by: by.clone(),
        },
        Control::Hold { call, by: leg(9) },
        Control::Retrieve {
            call,
            by: by.clone(),
        },
        Control::Swap {
            call,
            by: by.clone(),
        },
        Control::Merge {
            call,
            by: by.clone(),
            beep: false,
        },
        Control::Complete {
            call,
            by: by.clone(),
        },
        Control::Cancel {
            call,
            by: ann.clone(),
        },
        Control::Transfer {
            call,
            by: by.clone(),
            to: phone("nobody"),
        },
        Control::Transfer {
            call,
            by: by.clone(),
            to: Destination::Number(digits("+8613800138000")),
        },
        Control::Transfer {
            call,
            by: by.clone(),
            to: Destination::Dialled(digits("sip:x@elsewhere.example")),
        },
        Control::Consult {
            call,
            by: by.clone(),
            to: Destination::Route("1000".into()),
        },
        Control::Park {
            call,
            by: by.clone(),
            slot: Some(999),
        },
        Control::PickUp {
            user: "carol".into(),
            slot: 701,
        },
        Control::PickUp {
            user: "eve".into(),
            slot: 701,
        },
        Control::ToFlow {
            call,
            by,
            route: "4711".into(),
        },
        Control::SendDigits {
            call,
            leg: ann,
            digits: digits("call me"),
        },
        Control::Originate {
            user: "eve".into(),
            to: phone("bob"),
            detection: None,
        },
    ];
    world.skip_ladder();
    let mut said = String::new();
    for request in table {
        match world.ask(request) {
            Some(Err(error)) => said += &format!("{}: {error}\n", error.name()),
            other => panic!("{other:?}"),
        }
    }
    expect![[r#"
        no_call: no such call: it may be over; live calls are listed
        no_party: no such party in this call: name a leg of it, or a user whose phone is in it
        conflict: not now: nobody is on hold
        conflict: not now: this party talks with one and holds none: consult somebody first
        conflict: not now: this party talks with one and holds none: consult somebody first
        conflict: not now: this party talks with one and holds none: consult somebody first
        conflict: not now: this party talks with one and holds none: consult somebody first
        not_found: not found: no such phone in this tenant
        denied: denied: no trunk of this tenant allows this destination: add its prefix to one
        denied: denied: addresses outside are not dialled: use a number and a trunk
        invalid: invalid: a flow cannot be asked: transfer to it, or visit it
        not_found: not found: the tenant has no such slot
        not_found: not found: nobody waits in this slot
        not_found: not found: no such phone in this tenant
        not_found: not found: no such route in this tenant
        invalid: invalid: 1 to 32 digits out of 0-9, *, # and A-D
        not_found: not found: no such phone in this tenant
    "#]]
    .assert_eq(&said);
    let lines = world.ladder().lines();
    assert!(
        lines.clone().all(|line| line.contains("is told Err")),
        "nothing has changed"
    );
    world.settle();
}
