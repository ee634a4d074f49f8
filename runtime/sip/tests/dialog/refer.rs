//! Transfers: REFER, NOTIFY and Replaces.

use expect_test::expect;
use jackfield_sip::{Action, DialogId};

use super::far::{self, Far};
use super::world::World;
use super::{ANN, BOB, CAROL, check, s, talking};

fn refer(world: &mut World, who: usize, dialog: DialogId, to: &str) {
    let action = Action::Refer {
        dialog,
        to: to.to_owned(),
        headers: vec![("Referred-By".into(), "<sip:bob@demo>".into())],
    };
    world.act(who, action);
}

#[test]
fn a_blind_transfer_is_told_from_start_to_end() {
    let (mut world, ann, bob) = talking();
    refer(&mut world, BOB, bob, "sip:carol@192.0.2.3:5060");
    world.run(s(1));
    let (dialog, status) = (ann, 202);
    world.act(ANN, Action::AnswerRefer { dialog, status });
    world.run(s(1));
    for status in [180, 200, 200] {
        world.act(ANN, Action::Notify { dialog, status });
        world.run(s(1));
    }
    // Another one is another event.
    refer(&mut world, BOB, bob, "sip:carol@192.0.2.3:5060");
    world.run(s(1));
    world.act(
        ANN,
        Action::AnswerRefer {
            dialog,
            status: 603,
        },
    );
    world.run(s(1));
    world.hang_up(BOB, bob);
    world.settle();
    check(
        &mut world,
        expect![[r#"
        2.000   bob → ann: REFER
        2.010     ann: Refer to sip:carol@192.0.2.3:5060
        2.500   bob → ann: REFER
        3.000   ann → bob: 202 Accepted (REFER)
        3.000   ann → bob: NOTIFY (message/sipfrag)
        3.010     bob: ReferAnswered Some(202)
        3.010   bob → ann: 200 OK (NOTIFY)
        3.010     bob: ReferProgress Some(100)
        4.000   ann → bob: NOTIFY (message/sipfrag)
        4.010   bob → ann: 200 OK (NOTIFY)
        4.010     bob: ReferProgress Some(180)
        5.000   ann → bob: NOTIFY (message/sipfrag)
        5.010   bob → ann: 200 OK (NOTIFY)
        5.010     bob: ReferProgress Some(200), over
        7.000   bob → ann: REFER
        7.010     ann: Refer to sip:carol@192.0.2.3:5060
        7.500   bob → ann: REFER
        8.000   ann → bob: 603 Decline (REFER)
        8.010     bob: ReferAnswered Some(603)
        9.000   bob → ann: BYE
        9.000     bob: Ended Ours
        9.010   ann → bob: 200 OK (BYE)
        9.010     ann: Ended Theirs
    "#]],
    );
}

#[test]
fn an_attended_transfer_replaces_the_call() {
    let (mut world, ann, bob) = talking();
    let second = world.call(BOB, CAROL);
    world.run(s(1));
    let carol = world.incoming(CAROL);
    world.respond(CAROL, carol, 200);
    world.run(s(1));
    world.take_ladder();
    let to = world.peers[BOB].endpoint.refer_to(second).unwrap();
    refer(&mut world, BOB, bob, &to);
    world.run(s(1));
    let (dialog, status) = (ann, 202);
    world.act(ANN, Action::AnswerRefer { dialog, status });
    let replaces = world.peers[BOB].endpoint.replaces(second).unwrap();
    let hop = world.hop(CAROL);
    world.call_by(ANN, hop, None, &[("Replaces", &replaces.to_string())]);
    world.run(s(1));
    let third = world.incoming(CAROL);
    world.respond(CAROL, third, 200);
    world.hang_up(CAROL, carol);
    world.run(s(1));
    world.act(
        ANN,
        Action::Notify {
            dialog,
            status: 200,
        },
    );
    world.run(s(1));
    world.hang_up(BOB, bob);
    world.hang_up(CAROL, third);
    world.settle();
    let ladder = world.take_ladder();
    let hidden: String = ladder
        .lines()
        .map(|line| line.split(" replacing ").next().unwrap().to_owned() + "\n")
        .collect();
    expect![[r#"
        4.000   bob → ann: REFER
        4.010     ann: Refer to sip:192.0.2.3:5060
        4.500   bob → ann: REFER
        5.000   ann → bob: 202 Accepted (REFER)
        5.000   ann → bob: NOTIFY (message/sipfrag)
        5.000   ann → carol: INVITE (application/sdp)
        5.010     bob: ReferAnswered Some(202)
        5.010   bob → ann: 200 OK (NOTIFY)
        5.010     bob: ReferProgress Some(100)
        5.010   carol → ann: 100 Trying (INVITE)
        5.010     carol: Incoming, replaces 1
        5.020     ann: Trying
        6.000   carol → ann: 200 OK (INVITE, application/sdp)
        6.000   carol → bob: BYE
        6.000     carol: Ended Ours
        6.010   ann → carol: ACK
        6.010     ann: Answered, 5 bytes
        6.010   bob → carol: 200 OK (BYE)
        6.010     bob: Ended Theirs
        6.020     carol: Confirmed
        7.000   ann → bob: NOTIFY (message/sipfrag)
        7.010   bob → ann: 200 OK (NOTIFY)
        7.010     bob: ReferProgress Some(200), over
        8.000   bob → ann: BYE
        8.000     bob: Ended Ours
        8.000   carol → ann: BYE
        8.000     carol: Ended Ours
        8.010   ann → bob: 200 OK (BYE)
        8.010     ann: Ended Theirs
        8.010   ann → carol: 200 OK (BYE)
        8.010     ann: Ended Theirs
    "#]]
    .assert_eq(&hidden);
}

#[test]
fn what_a_refer_may_ask() {
    for (header, expected) in [
        (
            "Refer-To: <sip:a@b?Replaces=c%40d%3Bto-tag%3D1%3Bfrom-tag%3D2&x=y>\n",
            "Refer to sip:a@b replacing c@d;to-tag=1;from-tag=2",
        ),
        ("r: sip:a@b\n", "Refer to sip:a@b"),
        ("Refer-To: tel:+123\n", "Refer to tel:+123"),
        ("", "400 Not One Refer-To"),
        (
            "Refer-To: <sip:a@b>\nRefer-To: <sip:c@d>\n",
            "400 Not One Refer-To",
        ),
        ("Refer-To: a@b\n", "400 Bad Refer-To"),
        (
            "Refer-To: <sip:a@b;method=BYE>\n",
            "400 Refer-To Without INVITE",
        ),
        ("Refer-To: <sip:a@b?Replaces=1>\n", "400 Bad Replaces"),
    ] {
        let mut world = World::new(1);
        let (mut far, _) = Far::talking(&mut world, "");
        far.request(&mut world, "REFER", header, "");
        let ladder = world.take_ladder();
        assert!(
            ladder.lines().last().unwrap().contains(expected),
            "{header}: {ladder}"
        );
    }
}

#[test]
fn a_refer_that_nobody_answers_or_ends_is_forgotten() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "");
    world.take_ladder();
    let to = "Refer-To: <sip:a@b>\n";
    far.request(&mut world, "REFER", to, "");
    far.request(&mut world, "REFER", to, "");
    world.run(s(33));
    far.request(&mut world, "REFER", to, "");
    world.act(
        ANN,
        Action::AnswerRefer {
            dialog: ann,
            status: 202,
        },
    );
    assert_eq!(far::said(&world, "Event"), "refer;id=4");
    assert_eq!(
        far::said(&world, "Subscription-State"),
        "active;expires=180"
    );
    far.answer(&mut world, 200, "", "");
    world.run(s(180));
    assert_eq!(
        far::said(&world, "Subscription-State"),
        "terminated;reason=noresource"
    );
    far.answer(&mut world, 200, "", "");
    world.act(
        ANN,
        Action::Notify {
            dialog: ann,
            status: 200,
        },
    );
    check(
        &mut world,
        expect![[r#"
        0.000   192.0.2.9:5060 → ann: REFER
        0.000     ann: Refer to sip:a@b
        0.000   192.0.2.9:5060 → ann: REFER
        0.000   ann → 192.0.2.9:5060: 491 Request Pending (REFER)
        33.000  192.0.2.9:5060 → ann: REFER
        33.000    ann: Refer to sip:a@b
        33.000  ann → 192.0.2.9:5060: 202 Accepted (REFER)
        33.000  ann → 192.0.2.9:5060: NOTIFY (message/sipfrag)
        33.000  192.0.2.9:5060 → ann: 200 OK (NOTIFY)
        213.000 ann → 192.0.2.9:5060: NOTIFY (message/sipfrag)
        213.000 192.0.2.9:5060 → ann: 200 OK (NOTIFY)
    "#]],
    );
}

#[test]
fn a_notify_nobody_wants_ends_the_subscription_alone() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "");
    world.take_ladder();
    far.request(&mut world, "REFER", "Refer-To: <sip:a@b>\n", "");
    world.act(
        ANN,
        Action::AnswerRefer {
            dialog: ann,
            status: 202,
        },
    );
    far.answer(&mut world, 481, "", "");
    world.act(
        ANN,
        Action::Notify {
            dialog: ann,
            status: 200,
        },
    );
    far.request(
        &mut world,
        "NOTIFY",
        "Event: refer\nSubscription-State: active\n",
        "",
    );
    world.hang_up(ANN, ann);
    check(
        &mut world,
        expect![[r#"
        0.000   192.0.2.9:5060 → ann: REFER
        0.000     ann: Refer to sip:a@b
        0.000   ann → 192.0.2.9:5060: 202 Accepted (REFER)
        0.000   ann → 192.0.2.9:5060: NOTIFY (message/sipfrag)
        0.000   192.0.2.9:5060 → ann: 481 Call/Transaction Does Not Exist (NOTIFY)
        0.000   192.0.2.9:5060 → ann: NOTIFY
        0.000   ann → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (NOTIFY)
        0.000   ann → 192.0.2.9:5060: BYE
        0.000     ann: Ended Ours
    "#]],
    );
}

#[test]
fn our_transfer_is_followed_and_given_up_after_three_minutes() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "");
    world.take_ladder();
    let notify = |far: &mut Far, world: &mut World, state: &str, body: &str| {
        let headers =
            format!("Event: refer\nSubscription-State: {state}\nContent-Type: message/sipfrag\n");
        far.request(world, "NOTIFY", &headers, body);
    };
    refer(&mut world, ANN, ann, "sip:a@b");
    assert_eq!(far::said(&world, "Refer-To"), "<sip:a@b>");
    refer(&mut world, ANN, ann, "sip:a@b");
    let first = far::last(&world);
    notify(&mut far, &mut world, "active", "SIP/2.0 100 Trying\n");
    far.answer_to(&mut world, &first, 202, "", "");
    notify(&mut far, &mut world, "active", "SIP/2.0 180 Ringing\n");
    notify(
        &mut far,
        &mut world,
        "terminated;reason=noresource",
        "SIP/2.0 486 Busy\n",
    );
    notify(&mut far, &mut world, "terminated", "SIP/2.0 486 Busy\n");
    refer(&mut world, ANN, ann, "sip:a@b");
    far.answer(&mut world, 403, "", "");
    refer(&mut world, ANN, ann, "sip:a@b");
    far.answer(&mut world, 202, "", "");
    world.run(s(180));
    refer(&mut world, ANN, ann, "sip:a@b");
    far.answer(&mut world, 481, "", "");
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: REFER
        0.000     ann: ReferAnswered Some(491)
        0.000   192.0.2.9:5060 → ann: NOTIFY (message/sipfrag)
        0.000   ann → 192.0.2.9:5060: 200 OK (NOTIFY)
        0.000     ann: ReferProgress Some(100)
        0.000   192.0.2.9:5060 → ann: 202 Accepted (REFER)
        0.000     ann: ReferAnswered Some(202)
        0.000   192.0.2.9:5060 → ann: NOTIFY (message/sipfrag)
        0.000   ann → 192.0.2.9:5060: 200 OK (NOTIFY)
        0.000     ann: ReferProgress Some(180)
        0.000   192.0.2.9:5060 → ann: NOTIFY (message/sipfrag)
        0.000   ann → 192.0.2.9:5060: 200 OK (NOTIFY)
        0.000     ann: ReferProgress Some(486), over
        0.000   192.0.2.9:5060 → ann: NOTIFY (message/sipfrag)
        0.000   ann → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (NOTIFY)
        0.000   ann → 192.0.2.9:5060: REFER
        0.000   192.0.2.9:5060 → ann: 403 Forbidden (REFER)
        0.000     ann: ReferAnswered Some(403)
        0.000   ann → 192.0.2.9:5060: REFER
        0.000   192.0.2.9:5060 → ann: 202 Accepted (REFER)
        0.000     ann: ReferAnswered Some(202)
        180.000   ann: ReferProgress None, over
        180.000 ann → 192.0.2.9:5060: REFER
        180.000 192.0.2.9:5060 → ann: 481 Call/Transaction Does Not Exist (REFER)
        180.000   ann: ReferAnswered Some(481)
        180.000 ann → 192.0.2.9:5060: BYE
        180.000   ann: Ended Lost
    "#]],
    );
}

#[test]
fn an_invite_replaces_what_the_standard_allows() {
    let (mut world, ann, bob) = talking();
    let other = world.call(BOB, ANN);
    world.run(s(1));
    let ringing = world.incoming(ANN);
    let named = world.peers[BOB].endpoint.replaces(bob).unwrap();
    let hop = world.hop(ANN);
    let mut results = Vec::new();
    let mut try_it = |world: &mut World, value: String| {
        world.call_by(CAROL, hop, None, &[("Replaces", &value)]);
        world.run(s(1));
        let ladder = world.take_ladder();
        let line = ladder
            .lines()
            .rev()
            .find(|line| line.contains("ann: Incoming") || line.contains("carol: Failed"));
        results.push(
            line.unwrap_or("nothing")
                .split(": ")
                .nth(1)
                .unwrap()
                .to_owned(),
        );
    };
    try_it(&mut world, named.to_string());
    try_it(&mut world, format!("{named};early-only"));
    try_it(&mut world, "nonsense".to_owned());
    let mut wrong = named.clone();
    wrong.from_tag.push('x');
    try_it(&mut world, wrong.to_string());
    let _ = (other, ringing);
    world.lose(|_, line| line.contains("BYE"));
    world.hang_up(ANN, ann);
    try_it(&mut world, named.to_string());
    assert_eq!(
        results,
        [
            format!("Incoming, replaces {}", ann.0).as_str(),
            "Failed 486",
            "Failed 400",
            "Failed 481",
            "Failed 603"
        ]
    );
}
