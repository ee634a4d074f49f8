//! Several are rung for one call: together or in turn, phones and numbers outside, and the first that
//! answers has it.

use std::time::Duration;

use expect_test::expect;
use jackfield_node::{
    Callee, Control, ControlError, Controlled, Destination, EarlyMedia, Group, Phone, Trunk,
};
use vocab::call::{Cause, Command};
use vocab::flow::Op;
use vocab::{CallId, Pii};

use crate::phone::Manner;
use crate::world::{World, address, dial, leg, ms, phone, s, secret, user};

const MOBILE: &str = "192.0.2.20:5060";
const SPARE: &str = "192.0.2.21:5060";

/// A house with two carriers to the same numbers, of which the second is the spare.
fn house() -> World {
    house_with(|_| {})
}

fn house_with(set: impl FnOnce(&mut jackfield_node::Tenant)) -> World {
    let out = |id: &str, at: &str, priority| Trunk {
        id: id.into(),
        address: address(at).into(),
        prefixes: vec!["+86".into()],
        priority,
        ..Trunk::default()
    };
    let mut world = World::with(|tenant| {
        let trunks = [out("mobile", MOBILE, 0), out("spare", SPARE, 1)];
        tenant.trunks = trunks.map(std::sync::Arc::new).into();
        tenant.follow_redirects = true;
        let reachable = Group {
            members: vec![
                Callee::Phone("bob".into()),
                Callee::Number(Pii::new("+8613800138000".into())),
            ],
            in_order: false,
            ring: s(10),
        };
        tenant.groups.insert("reach".into(), reachable);
        let password = secret("eve");
        tenant.phones.insert("eve".into(), Phone { password });
        set(tenant);
    });
    world.outsider("mobile", MOBILE);
    world.outsider("spare", SPARE);
    world
}

fn number() -> Destination {
    Destination::Number(Pii::new("+8613800138000".into()))
}

fn all(targets: Vec<Destination>) -> Destination {
    Destination::Several {
        targets,
        in_order: false,
        each: s(10),
        timeout: None,
    }
}

fn in_turn(targets: Vec<Destination>) -> Destination {
    Destination::Several {
        targets,
        in_order: true,
        each: s(10),
        timeout: None,
    }
}

/// Ann and dave talk; dave sends her to these.
fn sent(world: &mut World, to: Destination) -> (CallId, Option<Result<Controlled, ControlError>>) {
    let call = world.connected("dave", "ann");
    world.skip_ladder();
    let by = user("dave");
    let result = world.ask(Control::Transfer { call, by, to });
    (call, result)
}

#[test]
fn a_desk_and_a_mobile_ring_together_and_the_first_that_answers_has_the_call() {
    let mut world = house();
    world.manner("bob", Manner::Rings);
    let (call, result) = sent(&mut world, all(vec![phone("bob"), number()]));
    assert_eq!(result, Some(Ok(Controlled::Calling { legs: vec![3, 4] })));
    // The house is told who sent her, and the carrier is not.
    world.run(ms(20));
    expect!["sip:ann@demo | Referred-By: <sip:dave@demo>"].assert_eq(&world.shown_to("bob"));
    expect!["sip:ann@192.0.2.20:5060"].assert_eq(&world.shown_to("mobile"));
    world.show_sip = true;
    let parties = |world: &World| {
        let views = world.node.parties(call).into_iter();
        let views = views.map(|it| format!("{} {:?} {}", it.leg, it.user, it.state.name()));
        views.collect::<Vec<_>>()
    };
    assert_eq!(
        parties(&world),
        [
            "2 Some(\"ann\") alone",
            "3 Some(\"bob\") ringing",
            "4 None ringing"
        ]
    );
    world.run(s(2));
    assert_eq!(
        parties(&world),
        ["2 Some(\"ann\") talking", "4 None talking"]
    );
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3, 4] })
        5.00    A transfer.asked leg 2 by 1 several
        5.00    A leg.dialed leg 3 to bob
        5.00    A leg.dialed leg 4 to +8613800138000 by mobile
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        6.01    mobile → home: 200 OK (INVITE, application/sdp)
        6.02    home → mobile: ACK
        6.02    home → bob: CANCEL
        6.02    A leg.dial_ended leg 3 NoAnswer (Elsewhere)
        6.02    A transfer.done leg 2 with 4
        6.02    A leg.bridged 2 4
        6.02        ann hears mobile
        6.02        mobile hears ann
        6.03    bob → home: 200 OK (CANCEL)
        6.03    bob → home: 487 Request Terminated (INVITE)
        6.04    home → bob: ACK
    "#]]);
    world.settle();
}

#[test]
fn each_is_rung_in_turn_and_those_who_are_not_there_are_left_out() {
    let mut world = house();
    world.manner("bob", Manner::Rings);
    world.manner("carol", Manner::Refuses(486));
    let absent = Destination::Phone("eve".into());
    sent(
        &mut world,
        in_turn(vec![absent, phone("bob"), phone("carol"), number()]),
    );
    world.run(s(13));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3] })
        5.00    A transfer.asked leg 2 by 1 several
        5.00    A leg.dialed leg 3 to bob
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        15.00   A leg.dial_ended leg 3 NoAnswer
        15.00   A leg.dialed leg 4 to carol
        15.02   A leg.dial_ended leg 4 Busy
        15.02   A leg.dialed leg 5 to +8613800138000 by mobile
        16.04   A transfer.done leg 2 with 5
        16.04   A leg.bridged 2 5
        16.04       ann hears mobile
        16.04       mobile hears ann
    "#]]);
    world.settle();
}

#[test]
fn nobody_of_them_comes_and_the_one_who_sent_the_call_is_rung() {
    let mut world = house();
    world.manner("bob", Manner::Refuses(603));
    world.manner("carol", Manner::Rings);
    world.manner("mobile", Manner::Refuses(486));
    sent(
        &mut world,
        all(vec![phone("bob"), phone("carol"), number()]),
    );
    world.run(s(32));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3, 4, 5] })
        5.00    A transfer.asked leg 2 by 1 several
        5.00    A leg.dialed leg 3 to bob
        5.00    A leg.dialed leg 4 to carol
        5.00    A leg.dialed leg 5 to +8613800138000 by mobile
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.02    A leg.dial_ended leg 3 Rejected
        5.02    A leg.dial_ended leg 5 Busy
        35.00   A leg.dial_ended leg 4 NoAnswer
        35.00   A transfer.failed leg 2 busy
        35.00   A leg.dialed leg 6 to dave
        35.00   A transfer.called_back leg 2 with 6
        36.02   A leg.bridged 2 6
        36.02       ann hears dave
        36.02       dave hears ann
    "#]]);
    world.settle();
}

#[test]
fn the_one_who_is_heard_gives_up_and_ringing_is_heard_again() {
    for early_media in [EarlyMedia::Relay, EarlyMedia::Ringback] {
        let mut world = house_with(|tenant| tenant.early_media = early_media);
        world.manner("mobile", Manner::Regrets(s(2)));
        world.manner("bob", Manner::Answers(s(4)));
        sent(&mut world, all(vec![phone("bob"), number()]));
        world.run(s(5));
        let heard = world.ladder().contains("ann hears mobile");
        assert_eq!(heard, early_media == EarlyMedia::Relay);
        if heard {
            world.check(expect![[r#"
                5.00    request 2 is told Ok(Calling { legs: [3, 4] })
                5.00    A transfer.asked leg 2 by 1 several
                5.00    A leg.dialed leg 3 to bob
                5.00    A leg.dialed leg 4 to +8613800138000 by mobile
                5.00    A leg.unbridged 1 2
                5.00        ann hears ringback
                5.02        ann hears mobile
                5.02        mobile hears ann
                7.02        ann hears nothing
                7.02    A leg.dial_ended leg 4 Busy
                7.02        ann hears ringback
                9.02    A transfer.done leg 2 with 3
                9.02    A leg.bridged 2 3
                9.02        ann hears bob
                9.02        bob hears ann
            "#]]);
        }
        world.settle();
    }
}

#[test]
fn who_is_heard_first_need_not_be_who_answers() {
    let mut world = house();
    world.manner("mobile", Manner::Announces(s(9)));
    world.manner("bob", Manner::Announces(s(2)));
    sent(&mut world, all(vec![number(), phone("bob")]));
    world.run(s(4));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3, 4] })
        5.00    A transfer.asked leg 2 by 1 several
        5.00    A leg.dialed leg 3 to +8613800138000 by mobile
        5.00    A leg.dialed leg 4 to bob
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.02        ann hears mobile
        5.02        mobile hears ann
        5.02        bob hears nothing
        7.02    A leg.dial_ended leg 3 NoAnswer (Elsewhere)
        7.02    A transfer.done leg 2 with 4
        7.02    A leg.bridged 2 4
        7.02        ann hears bob
        7.02        bob hears ann
    "#]]);
    world.settle();
}

#[test]
fn two_answer_at_the_same_time_and_one_is_sent_home() {
    let mut world = house();
    sent(&mut world, all(vec![phone("bob"), phone("carol")]));
    world.show_sip = true;
    world.run(s(2));
    let ladder = world.ladder();
    assert_eq!(ladder.matches("200 OK (INVITE").count(), 2, "{ladder}");
    assert_eq!(ladder.matches("home → carol: BYE").count(), 1, "{ladder}");
    assert_eq!(ladder.matches("leg.bridged").count(), 1, "{ladder}");
    world.settle();
}

#[test]
fn a_silent_carrier_is_left_for_the_next_while_a_phone_rings() {
    let mut world = house();
    world.manner("mobile", Manner::Dead);
    world.manner("bob", Manner::Rings);
    sent(&mut world, all(vec![phone("bob"), number()]));
    world.run(s(6));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3, 4] })
        5.00    A transfer.asked leg 2 by 1 several
        5.00    A leg.dialed leg 3 to bob
        5.00    A leg.dialed leg 4 to +8613800138000 by mobile
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        9.00    A leg.dial_ended leg 4 Unreachable
        9.00    A leg.dialed leg 5 to +8613800138000 by spare
        10.02   A leg.dial_ended leg 3 NoAnswer (Elsewhere)
        10.02   A transfer.done leg 2 with 5
        10.02   A leg.bridged 2 5
        10.02       ann hears spare
        10.02       spare hears ann
    "#]]);
    world.settle();
}

#[test]
fn one_of_them_is_sent_on_while_the_other_rings() {
    let mut world = house();
    world.manner("bob", Manner::SendsTo("carol"));
    world.manner("mobile", Manner::Rings);
    sent(&mut world, all(vec![phone("bob"), number()]));
    world.run(s(2));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3, 4] })
        5.00    A transfer.asked leg 2 by 1 several
        5.00    A leg.dialed leg 3 to bob
        5.00    A leg.dialed leg 4 to +8613800138000 by mobile
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.02    A leg.dial_ended leg 3 Rejected
        5.02    A leg.dialed leg 5 to carol
        6.04    A leg.dial_ended leg 4 NoAnswer (Elsewhere)
        6.04    A transfer.done leg 2 with 5
        6.04    A leg.bridged 2 5
        6.04        ann hears carol
        6.04        carol hears ann
    "#]]);
    world.settle();
    // To a group: all of it, but nobody who was called before.
    for (group, rung) in [("sales", 1), ("others", 2)] {
        let mut world = house_with(|tenant| {
            let members = ["carol", "ann"].map(|user| Callee::Phone(user.into()));
            let others = Group {
                members: members.into(),
                in_order: true,
                ring: s(10),
            };
            tenant.groups.insert("others".into(), others);
        });
        world.manner("bob", Manner::SendsTo(group));
        world.manner("mobile", Manner::Rings);
        sent(&mut world, all(vec![phone("bob"), number()]));
        world.run(ms(500));
        let dialed = world.ladder().matches("leg.dialed").count();
        assert_eq!(dialed, 2 + rung, "{}", world.ladder());
        world.settle();
    }
}

#[test]
fn all_stop_ringing_when_the_time_is_over_and_when_the_caller_leaves() {
    for leaves in [false, true] {
        let mut world = house();
        for who in ["bob", "carol", "mobile"] {
            world.manner(who, Manner::Rings);
        }
        let to = Destination::Several {
            targets: vec![phone("bob"), number()],
            in_order: false,
            each: s(10),
            timeout: Some(s(7)),
        };
        sent(&mut world, to);
        world.run(s(1));
        if leaves {
            world.hang_up("ann");
        } else {
            world.manner("dave", Manner::Refuses(486));
        }
        world.run(s(7));
        let ladder = world.ladder();
        let ended = ladder.matches("leg.dial_ended").count();
        assert_eq!(ended, if leaves { 2 } else { 3 }, "{ladder}");
        assert_eq!(world.sessions(), usize::from(!leaves), "{ladder}");
        world.settle();
    }
}

#[test]
fn one_who_rings_is_hung_up_by_request_and_the_others_ring_on() {
    let mut world = house();
    world.manner("bob", Manner::Rings);
    let (call, _) = sent(&mut world, all(vec![phone("bob"), number()]));
    world.run(ms(100));
    let leg = user("bob");
    assert_eq!(
        world.ask(Control::Hangup { call, leg }),
        Some(Ok(Controlled::Done))
    );
    world.run(s(2));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3, 4] })
        5.00    A transfer.asked leg 2 by 1 several
        5.00    A leg.dialed leg 3 to bob
        5.00    A leg.dialed leg 4 to +8613800138000 by mobile
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.10    request 3 is told Ok(Done)
        5.10    A leg.dial_ended leg 3 NoAnswer (Cancelled)
        6.02    A transfer.done leg 2 with 4
        6.02    A leg.bridged 2 4
        6.02        ann hears mobile
        6.02        mobile hears ann
    "#]]);
    world.settle();
}

#[test]
fn a_consultation_with_whoever_answers_and_its_cancelling() {
    let mut world = house();
    world.manner("bob", Manner::Rings);
    world.manner("mobile", Manner::Rings);
    let call = world.connected("ann", "dave");
    world.skip_ladder();
    let to = all(vec![phone("bob"), number()]);
    let by = user("ann");
    world.ask(Control::Consult { call, by, to });
    world.run(s(1));
    let by = user("ann");
    world.ask(Control::Cancel { call, by });
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { legs: [3, 4] })
        5.00    A leg.dialed leg 3 to bob
        5.00    A leg.dialed leg 4 to +8613800138000 by mobile
        5.00    A leg.held leg 2 by 1
        5.00    A consult.started leg 2 by 1 with 3
        5.00    A leg.unbridged 1 2
        5.00        ann hears ringback
        5.00        dave hears music on hold
        6.00    request 3 is told Ok(Done)
        6.00    A leg.dial_ended leg 3 NoAnswer
        6.00    A leg.dial_ended leg 4 NoAnswer
        6.00    A consult.ended leg 2 by 1 with 3 cancelled
        6.00    A leg.bridged 1 2
        6.00        ann hears dave
        6.00        dave hears ann
    "#]]);
    world.settle();
}

#[test]
fn what_cannot_be_rung_is_refused_before_anything_changes() {
    let mut world = house();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let ask = |world: &mut World, targets: Vec<Destination>| {
        let (by, to) = (leg(1), all(targets));
        let result = world.ask(Control::Transfer { call, by, to });
        match result {
            Some(Err(error)) => error.to_string(),
            other => format!("{other:?}"),
        }
    };
    let dialled = |text: &str| Destination::Dialled(Pii::new(text.to_owned()));
    let mut said = String::new();
    for targets in [
        vec![],
        vec![dialled("1000"), phone("carol")],
        vec![Destination::Route("1000".into()), phone("carol")],
        vec![all(vec![phone("carol")])],
        vec![phone("nobody"), phone("carol")],
        vec![Destination::Group("nobody".into()), phone("carol")],
        vec![dialled("+4930123456"), phone("carol")],
        vec![dialled("somebody"), phone("carol")],
        vec![dialled("carol@elsewhere"), phone("carol")],
        vec![phone("eve")],
        (0..33)
            .map(|n| dialled(&format!("+86138001380{n:02}")))
            .collect(),
    ] {
        said += &format!("{}\n", ask(&mut world, targets));
    }
    expect![[r#"
        invalid: name 1 to 32 phones and numbers, those of ring groups counted
        invalid: a route's flow cannot be rung along with others: name it alone
        invalid: a route's flow cannot be rung along with others: name it alone
        invalid: a route's flow cannot be rung along with others: name it alone
        not found: no such phone in this tenant
        not found: no such ring group in this tenant
        denied: no trunk of this tenant allows this destination: add its prefix to one
        invalid: not a number: digits with an optional +
        denied: addresses outside are not dialled: use a number and a trunk
        unavailable: nobody who is to ring can be reached: no phone is registered
        invalid: name 1 to 32 phones and numbers, those of ring groups counted
    "#]]
    .assert_eq(&said);
    assert_eq!(world.node.parties(call).len(), 2);
    world.settle();
}

#[test]
fn a_flow_rings_a_group_of_a_desk_and_a_mobile() {
    let mut world = house();
    world.manner("bob", Manner::Rings);
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.skip_ladder();
    world.op(Op::Answer);
    world.run(ms(100));
    world.op(dial("reach"));
    world.run(s(2));
    world.hang_up("mobile");
    world.run(s(1));
    world.check(expect![[r#"
        2.00    A flow.asked answer
        2.02    flow is told Ok(Done)
        2.02    A call.answered
        2.10    A flow.asked dial
        2.10    A leg.dialed leg 2 to bob
        2.10    A leg.dialed leg 3 to +8613800138000 by mobile
        2.10        ann hears ringback
        3.12    A leg.dial_ended leg 2 NoAnswer (Elsewhere)
        3.12    A leg.bridged 1 3
        3.12        ann hears mobile
        3.12        mobile hears ann
        4.11    A leg.unbridged 1 3
        4.11        ann hears nothing
        4.11    flow is told Ok(Dialed { result: Answered, cause: None, talk: 990ms })
        4.11    A leg.dial_ended leg 3 Answered
        4.11        ann hears silence
        4.13        ann hears nothing
    "#]]);
    world.settle();
}

/// A caller who was not answered hears the mobile's announcement, and ringing once that is over.
#[test]
fn a_caller_who_was_not_answered_hears_one_after_the_other() {
    let mut world = house();
    world.manner("mobile", Manner::Regrets(s(2)));
    world.manner("bob", Manner::Answers(s(5)));
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.skip_ladder();
    world.op(dial("reach"));
    world.run(s(7));
    world.check(expect![[r#"
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.00    A leg.dialed leg 3 to +8613800138000 by mobile
        2.02        mobile hears ann
        2.02        ann hears mobile
        4.02        ann hears nothing
        4.02    A leg.dial_ended leg 3 Busy
        4.02        ann hears ringback
        7.02        bob hears nothing
        7.04    A call.answered
        7.04    A leg.bridged 1 2
        7.04        bob hears ann
        7.04        ann hears bob
    "#]]);
    world.settle();
}

#[test]
fn a_flow_that_gives_up_leaves_nobody_ringing() {
    let mut world = house();
    world.manner("bob", Manner::Rings);
    world.manner("mobile", Manner::Rings);
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(dial("reach"));
    world.run(s(1));
    world.skip_ladder();
    world.hang_up("ann");
    world.run(s(7));
    world.check(expect![[r#"
        3.01    flow is over: cancelled
        3.01    A leg.dial_ended leg 2 NoAnswer
        3.01    A leg.dial_ended leg 3 NoAnswer
        8.01    A flow.ended hangup
        8.01    A call.ended cancelled by Far
    "#]]);
    world.settle();
}

#[test]
fn a_redialled_call_to_several_and_a_phone_that_declines() {
    let mut world = house();
    world.manner("bob", Manner::Rings);
    let to = all(vec![phone("bob"), number()]);
    let user = "ann".to_owned();
    let result = world.ask(Control::Originate {
        user,
        to,
        detection: None,
    });
    assert!(
        matches!(result, Some(Ok(Controlled::Call(_)))),
        "{result:?}"
    );
    world.run(s(2));
    world.phone_does(
        "bob",
        Command::Hangup {
            leg: world.phones[world.of("bob")].legs[0],
            cause: Cause::Rejected,
        },
    );
    world.run(s(1));
    world.check(expect![[r#"
        1.00    request 1 is told Ok(Call(01m7z7tm70ddq4nvke6achnnyy))
        1.00    A call.started to bob
        2.02    A call.answered
        2.02    A leg.dialed leg 2 to bob
        2.02    A leg.dialed leg 3 to +8613800138000 by mobile
        2.02        ann hears ringback
        3.01    A leg.dial_ended leg 2 Rejected
        3.04    A leg.bridged 1 3
        3.04        ann hears mobile
        3.04        mobile hears ann
    "#]]);
    world.hang_up("mobile");
    world.run(s(2));
    world.skip_ladder();
    let user = "ann".to_owned();
    let result = world.ask(Control::Redial { user });
    assert!(
        matches!(result, Some(Ok(Controlled::Call(_)))),
        "{result:?}"
    );
    world.run(Duration::from_secs(3));
    assert_eq!(world.ladder().matches("leg.dialed").count(), 2);
    world.settle();
}

/// A carrier that says nothing before its 200, or whose 100 was lost, is there all the same.
#[test]
fn a_carrier_that_answers_without_a_word_is_not_left_for_the_next() {
    let mut world = house();
    world.manner("mobile", Manner::Curt(s(1)));
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(dial("+8613800138000"));
    world.run(s(9));
    let ladder = world.ladder();
    assert!(ladder.contains("A leg.bridged 1 2"), "{ladder}");
    assert!(!ladder.contains("leg.unbridged"), "{ladder}");
    world.settle();
}

/// Asks a flow's dial for whom it calls, and gives what the flow is told.
fn told(world: &mut World, target: &str) -> String {
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(dial(target));
    world.run(s(40));
    let ladder = world.ladder();
    let told = ladder.lines().find_map(|line| line.split_once("is told "));
    told.unwrap_or_else(|| panic!("{ladder}")).1.to_owned()
}

#[test]
fn what_was_said_on_the_way_is_not_the_result() {
    let mut world = house();
    world.manner("bob", Manner::SendsTo("carol"));
    world.manner("carol", Manner::Rings);
    let result = told(&mut world, "bob");
    expect![[r#"Ok(Dialed { result: NoAnswer, cause: Some("no_answer"), talk: 0ns })"#]]
        .assert_eq(&result);
    world.settle();
    // Who rang in its turn says more than one who was not to be had.
    let mut world = house_with(|tenant| {
        let group = tenant.groups.get_mut("reach").expect("just set");
        group.in_order = true;
    });
    world.manner("bob", Manner::Rings);
    world.manner("mobile", Manner::Refuses(404));
    world.manner("spare", Manner::Refuses(404));
    let result = told(&mut world, "reach");
    expect![[r#"Ok(Dialed { result: NoAnswer, cause: Some("no_answer"), talk: 0ns })"#]]
        .assert_eq(&result);
    world.settle();
}

#[test]
fn who_rings_already_is_not_called_again() {
    for in_order in [false, true] {
        let mut world = house();
        world.manner("bob", Manner::SendsTo("carol"));
        world.manner("carol", Manner::Answers(s(12)));
        let targets = vec![phone("bob"), phone("carol")];
        let to = if in_order {
            in_turn(targets)
        } else {
            all(targets)
        };
        sent(&mut world, to);
        world.run(s(15));
        let ladder = world.ladder();
        let called = ladder.matches("to carol").count();
        assert_eq!(called, 1, "{ladder}");
        assert!(ladder.contains("ann hears carol"), "{ladder}");
        world.settle();
    }
}

/// Everybody of a group has forwarded to the group itself, as at night.
#[test]
fn phones_that_send_calls_round_and_round_are_called_once() {
    let mut world = house();
    for user in ["bob", "carol"] {
        world.manner(user, Manner::SendsTo("sales"));
    }
    let (_, result) = sent(&mut world, Destination::Group("sales".into()));
    assert_eq!(result, Some(Ok(Controlled::Calling { legs: vec![3, 4] })));
    world.run(s(1));
    let ladder = world.ladder();
    // Both, and dave, who is called back.
    assert_eq!(ladder.matches("leg.dialed").count(), 3, "{ladder}");
    world.settle();
}

#[test]
fn one_that_is_sent_to_a_group_in_turn_is_rung_in_turn() {
    let mut world = house_with(|tenant| {
        let members = ["carol", "ann"].map(|user| Callee::Phone(user.into()));
        let group = Group {
            members: members.into(),
            in_order: true,
            ring: s(10),
        };
        tenant.groups.insert("others".into(), group);
    });
    world.manner("bob", Manner::SendsTo("others"));
    world.manner("carol", Manner::Rings);
    world.connected("ann", "dave");
    world.skip_ladder();
    let call = world.node.live_calls().next().expect("a call");
    let (by, to) = (user("dave"), phone("bob"));
    world.ask(Control::Transfer { call, by, to });
    world.run(s(8));
    let ladder = world.ladder();
    assert_eq!(ladder.matches("leg.dialed").count(), 2, "{ladder}");
    world.run(s(4));
    assert_eq!(world.ladder().matches("leg.dialed").count(), 3);
    world.settle();
}

#[test]
fn a_user_who_hides_is_not_named_when_it_transfers() {
    let mut world = house();
    world.install();
    let from = "<sip:ann@demo>";
    world.dial_as("ann", "1000", from, &[("Privacy", "id")]);
    world.run(s(1));
    world.op(dial("dave"));
    world.run(s(3));
    let call = world.node.live_calls().next().expect("a call");
    let (by, to) = (user("ann"), phone("bob"));
    world.ask(Control::Transfer { call, by, to });
    world.run(s(1));
    expect!["sip:dave@demo"].assert_eq(&world.shown_to("bob"));
    world.settle();
}

#[test]
fn ringing_that_a_caller_heard_before_the_answer_ends_with_the_dial() {
    let mut world = house();
    world.manner("mobile", Manner::Regrets(s(2)));
    world.manner("bob", Manner::Rings);
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(dial("reach"));
    world.run(s(4));
    assert!(world.ladder().ends_with("ann hears ringback\n"));
    world.skip_ladder();
    world.run(s(17));
    let ladder = world.ladder();
    assert!(ladder.contains("ann hears silence"), "{ladder}");
    assert!(ladder.ends_with("ann hears nothing\n"), "{ladder}");
    world.settle();
}

/// Three want a port and there are two: one phone rings, and the caller can be answered.
#[test]
fn those_who_ring_leave_a_port_for_the_caller() {
    let mut world = World::with_workers(&[2], |_| {});
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(dial("sales"));
    world.run(s(3));
    let ladder = world.ladder();
    assert!(ladder.contains("A leg.bridged 1 2"), "{ladder}");
    world.settle();
}

/// The port of one whose turn is over is there for the next.
#[test]
fn a_group_in_turn_needs_two_ports() {
    let mut world = World::with_workers(&[2], |_| {});
    world.manner("bob", Manner::Rings);
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(dial("night"));
    world.run(s(13));
    let ladder = world.ladder();
    assert!(ladder.contains("A leg.bridged 1 3"), "{ladder}");
    world.settle();
}
