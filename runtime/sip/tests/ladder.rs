//! The call flows of RFC 3665 and what goes wrong with them, as ladders in virtual time.

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.

mod world;

use std::time::Duration;

use expect_test::{Expect, expect};
use jackfield_sip::message::HeaderName;
use jackfield_sip::{Action, Event, Hop, Input, RequestId, Transport};

use world::{World, credentials, header};

const ANN: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn check(world: &mut World, expected: Expect) {
    expected.assert_eq(&world.take_ladder());
}

/// A world in which ann's call to bob is up.
fn talking() -> (World, jackfield_sip::DialogId, jackfield_sip::DialogId) {
    let mut world = World::new(1);
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.run(s(1));
    world.take_ladder();
    (world, ann, bob)
}

#[test]
fn a_call_is_answered_and_ended_by_the_caller() {
    let mut world = World::new(1);
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 180);
    world.run(s(2));
    world.respond(BOB, bob, 200);
    world.run(s(10));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 180 Ringing (INVITE)
            1.010     ann: Progress 180
            3.000   bob → ann: 200 OK (INVITE, application/sdp)
            3.010   ann → bob: ACK
            3.010     ann: Answered, 5 bytes
            3.020     bob: Confirmed
            13.000  ann → bob: BYE
            13.000    ann: Ended Ours
            13.010  bob → ann: 200 OK (BYE)
            13.010    bob: Ended Theirs
        "#]],
    );
}

#[test]
fn a_call_is_ended_by_the_called() {
    let (mut world, _, bob) = talking();
    let reason = Some("Q.850;cause=16".to_owned());
    world.act(
        BOB,
        Action::Hangup {
            dialog: bob,
            reason,
        },
    );
    world.settle();
    check(
        &mut world,
        expect![[r#"
            2.000   bob → ann: BYE
            2.000     bob: Ended Ours
            2.010   ann → bob: 200 OK (BYE)
            2.010     ann: Ended Theirs [Q.850;cause=16]
        "#]],
    );
}

#[test]
fn both_hang_up_at_once() {
    let (mut world, ann, bob) = talking();
    world.hang_up(ANN, ann);
    world.hang_up(BOB, bob);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            2.000   ann → bob: BYE
            2.000     ann: Ended Ours
            2.000   bob → ann: BYE
            2.000     bob: Ended Ours
            2.010   bob → ann: 200 OK (BYE)
            2.010   ann → bob: 200 OK (BYE)
        "#]],
    );
}

#[test]
fn busy() {
    let mut world = World::new(1);
    world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 486);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 486 Busy Here (INVITE)
            1.010   ann → bob: ACK
            1.010     ann: Failed 486
        "#]],
    );
}

#[test]
fn the_caller_gives_up_while_it_rings() {
    let mut world = World::new(1);
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 180);
    world.run(s(4));
    let reason = Some("SIP;cause=200;text=\"Call completed elsewhere\"".to_owned());
    world.act(
        ANN,
        Action::Hangup {
            dialog: ann,
            reason,
        },
    );
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 180 Ringing (INVITE)
            1.010     ann: Progress 180
            5.000   ann → bob: CANCEL
            5.010   bob → ann: 200 OK (CANCEL)
            5.010   bob → ann: 487 Request Terminated (INVITE)
            5.010     bob: Cancelled [SIP;cause=200;text="Call completed elsewhere"]
            5.020   ann → bob: ACK
            5.020     ann: Failed 487
        "#]],
    );
}

#[test]
fn cancel_waits_for_a_provisional() {
    let mut world = World::new(1);
    let ann = world.call(ANN, BOB);
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020   ann → bob: CANCEL
            0.030   bob → ann: 200 OK (CANCEL)
            0.030   bob → ann: 487 Request Terminated (INVITE)
            0.030     bob: Cancelled
            0.040   ann → bob: ACK
            0.040     ann: Failed 487
        "#]],
    );
}

#[test]
fn cancel_crosses_the_answer() {
    let mut world = World::new(1);
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 200 OK (INVITE, application/sdp)
            1.000   ann → bob: CANCEL
            1.010   ann → bob: ACK
            1.010   ann → bob: BYE
            1.010     ann: Failed 487
            1.010   bob → ann: 200 OK (CANCEL)
            1.020     bob: Confirmed
            1.020   bob → ann: 200 OK (BYE)
            1.020     bob: Ended Theirs
        "#]],
    );
}

#[test]
fn nobody_is_there() {
    let mut world = World::new(1);
    world.lose(|_, _| true);
    world.call(ANN, BOB);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp) ✗
            0.500   ann → bob: INVITE (application/sdp) ✗
            1.500   ann → bob: INVITE (application/sdp) ✗
            3.500   ann → bob: INVITE (application/sdp) ✗
            7.500   ann → bob: INVITE (application/sdp) ✗
            15.500  ann → bob: INVITE (application/sdp) ✗
            31.500  ann → bob: INVITE (application/sdp) ✗
            32.000    ann: Failed
        "#]],
    );
}

#[test]
fn the_called_hangs_up_before_it_answers() {
    let mut world = World::new(1);
    world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.hang_up(BOB, bob);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 603 Decline (INVITE)
            1.000     bob: Ended Ours
            1.010   ann → bob: ACK
            1.010     ann: Failed 603
        "#]],
    );
}

#[test]
fn a_ringing_phone_says_so_every_minute() {
    let mut world = World::new(1);
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 180);
    world.run(s(130));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 180 Ringing (INVITE)
            1.010     ann: Progress 180
            61.000  bob → ann: 180 Ringing (INVITE)
            61.010    ann: Progress 180
            121.000 bob → ann: 180 Ringing (INVITE)
            121.010   ann: Progress 180
            131.000 ann → bob: CANCEL
            131.010 bob → ann: 200 OK (CANCEL)
            131.010 bob → ann: 487 Request Terminated (INVITE)
            131.010   bob: Cancelled
            131.020 ann → bob: ACK
            131.020   ann: Failed 487
        "#]],
    );
}

#[test]
fn lost_invite_and_answer_come_again() {
    let mut world = World::new(1);
    let mut invites = 0;
    let mut answers = 0;
    world.lose(move |_, line| {
        invites += u32::from(line.starts_with("INVITE"));
        answers += u32::from(line.starts_with("200 OK (INVITE"));
        (line.starts_with("INVITE") && invites <= 2) || (line.starts_with("200") && answers <= 3)
    });
    let ann = world.call(ANN, BOB);
    world.run(s(2));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.run(s(10));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp) ✗
            0.500   ann → bob: INVITE (application/sdp) ✗
            1.500   ann → bob: INVITE (application/sdp)
            1.510   bob → ann: 100 Trying (INVITE)
            1.510     bob: Incoming
            1.520     ann: Trying
            2.000   bob → ann: 200 OK (INVITE, application/sdp) ✗
            2.500   bob → ann: 200 OK (INVITE, application/sdp) ✗
            3.500   bob → ann: 200 OK (INVITE, application/sdp) ✗
            5.500   bob → ann: 200 OK (INVITE, application/sdp)
            5.510   ann → bob: ACK
            5.510     ann: Answered, 5 bytes
            5.520     bob: Confirmed
            12.000  ann → bob: BYE
            12.000    ann: Ended Ours
            12.010  bob → ann: 200 OK (BYE)
            12.010    bob: Ended Theirs
        "#]],
    );
}

#[test]
fn a_lost_ack_is_repeated_for_each_copy_of_the_answer() {
    let mut world = World::new(1);
    let mut acks = 0;
    world.lose(move |_, line| {
        acks += u32::from(line == "ACK");
        line == "ACK" && acks <= 2
    });
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.run(s(5));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 200 OK (INVITE, application/sdp)
            1.010   ann → bob: ACK ✗
            1.010     ann: Answered, 5 bytes
            1.500   bob → ann: 200 OK (INVITE, application/sdp)
            1.510   ann → bob: ACK ✗
            2.500   bob → ann: 200 OK (INVITE, application/sdp)
            2.510   ann → bob: ACK
            2.520     bob: Confirmed
            6.000   ann → bob: BYE
            6.000     ann: Ended Ours
            6.010   bob → ann: 200 OK (BYE)
            6.010     bob: Ended Theirs
        "#]],
    );
}

#[test]
fn without_any_ack_the_called_gives_up() {
    let mut world = World::new(1);
    world.lose(|_, line| line == "ACK");
    world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.run(s(3));
    world.take_ladder();
    world.run(s(34));
    check(
        &mut world,
        expect![[r#"
            4.500   bob → ann: 200 OK (INVITE, application/sdp)
            4.510   ann → bob: ACK ✗
            8.500   bob → ann: 200 OK (INVITE, application/sdp)
            8.510   ann → bob: ACK ✗
            12.500  bob → ann: 200 OK (INVITE, application/sdp)
            12.510  ann → bob: ACK ✗
            16.500  bob → ann: 200 OK (INVITE, application/sdp)
            16.510  ann → bob: ACK ✗
            20.500  bob → ann: 200 OK (INVITE, application/sdp)
            20.510  ann → bob: ACK ✗
            24.500  bob → ann: 200 OK (INVITE, application/sdp)
            24.510  ann → bob: ACK ✗
            28.500  bob → ann: 200 OK (INVITE, application/sdp)
            28.510  ann → bob: ACK ✗
            32.500  bob → ann: 200 OK (INVITE, application/sdp)
            32.510  ann → bob: ACK ✗
            33.000  bob → ann: BYE
            33.000    bob: Ended NoAck
            33.010  ann → bob: 200 OK (BYE)
            33.010    ann: Ended Theirs
        "#]],
    );
    world.settle();
}

#[test]
fn a_hang_up_before_the_ack_waits_for_it() {
    let mut world = World::new(1);
    let mut acks = 0;
    world.lose(move |_, line| {
        acks += u32::from(line == "ACK");
        line == "ACK" && acks <= 1
    });
    world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.hang_up(BOB, bob);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 200 OK (INVITE, application/sdp)
            1.000     bob: Ended Ours
            1.010   ann → bob: ACK ✗
            1.010     ann: Answered, 5 bytes
            1.500   bob → ann: 200 OK (INVITE, application/sdp)
            1.510   ann → bob: ACK
            1.520   bob → ann: BYE
            1.530   ann → bob: 200 OK (BYE)
            1.530     ann: Ended Theirs
        "#]],
    );
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut world = World::new(1);
    let mut acks = 0;
    world.lose(move |_, line| {
        acks += u32::from(line == "ACK");
        line == "ACK" && acks <= 2
    });
    world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 486);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 486 Busy Here (INVITE)
            1.010   ann → bob: ACK ✗
            1.010     ann: Failed 486
            1.500   bob → ann: 486 Busy Here (INVITE)
            1.510   ann → bob: ACK ✗
            2.500   bob → ann: 486 Busy Here (INVITE)
            2.510   ann → bob: ACK
        "#]],
    );
}

#[test]
fn a_bye_that_nobody_answers_ends_all_the_same() {
    let (mut world, ann, _) = talking();
    world.lose(|from, _| from == "ann");
    world.hang_up(ANN, ann);
    world.run(s(33));
    assert_eq!(world.counts(ANN).dialogs, 0);
    check(
        &mut world,
        expect![[r#"
            2.000   ann → bob: BYE ✗
            2.000     ann: Ended Ours
            2.500   ann → bob: BYE ✗
            3.500   ann → bob: BYE ✗
            5.500   ann → bob: BYE ✗
            9.500   ann → bob: BYE ✗
            13.500  ann → bob: BYE ✗
            17.500  ann → bob: BYE ✗
            21.500  ann → bob: BYE ✗
            25.500  ann → bob: BYE ✗
            29.500  ann → bob: BYE ✗
            33.500  ann → bob: BYE ✗
        "#]],
    );
}

#[test]
fn a_call_with_credentials() {
    let mut world = World::new(1);
    let hop = world.hop(BOB);
    let ann = world.call_by(ANN, hop, Some(credentials("ann")), &[]);
    world.run(s(1));
    let first = world.incoming(BOB);
    world.act(BOB, Action::Challenge { dialog: first });
    world.run(s(1));
    let second = world.incoming(BOB);
    world.respond(BOB, second, 200);
    world.run(s(1));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 401 Unauthorized (INVITE)
            1.010   ann → bob: ACK
            1.010   ann → bob: INVITE (application/sdp)
            1.020   bob → ann: 100 Trying (INVITE)
            1.020     bob: Incoming from ann
            1.030     ann: Trying
            2.000   bob → ann: 200 OK (INVITE, application/sdp)
            2.010   ann → bob: ACK
            2.010     ann: Answered, 5 bytes
            2.020     bob: Confirmed
            3.000   ann → bob: BYE
            3.000     ann: Ended Ours
            3.010   bob → ann: 200 OK (BYE)
            3.010     bob: Ended Theirs
        "#]],
    );
}

#[test]
fn a_call_with_a_wrong_password() {
    let mut world = World::new(1);
    let hop = world.hop(BOB);
    let mut wrong = credentials("ann");
    wrong.password = vocab::Pii::new("guess".into());
    world.call_by(ANN, hop, Some(wrong), &[]);
    world.run(s(1));
    let first = world.incoming(BOB);
    world.act(BOB, Action::Challenge { dialog: first });
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 401 Unauthorized (INVITE)
            1.010   ann → bob: ACK
            1.010   ann → bob: INVITE (application/sdp)
            1.020     bob: AuthFailed ann
            1.020   bob → ann: 401 Unauthorized (INVITE)
            1.030   ann → bob: ACK
            1.030     ann: Failed 401
        "#]],
    );
}

#[test]
fn a_call_over_a_stream_cut_into_pieces() {
    let mut world = World::new(1);
    let hop = world.tcp(BOB);
    let ann = world.call_by(ANN, hop, None, &[]);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 180);
    world.respond(BOB, bob, 200);
    world.run(s(1));
    world.hang_up(BOB, bob);
    world.run(s(1));
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 180 Ringing (INVITE)
            1.000   bob → ann: 200 OK (INVITE, application/sdp)
            1.010     ann: Progress 180
            1.010   ann → bob: ACK
            1.010     ann: Answered, 5 bytes
            1.020     bob: Confirmed
            2.000   bob → ann: BYE
            2.000     bob: Ended Ours
            2.010   ann → bob: 200 OK (BYE)
            2.010     ann: Ended Theirs
        "#]],
    );
    // Nothing lingers over a reliable transport but the INVITE's Accepted state.
    assert_eq!(world.counts(ANN).servers + world.counts(BOB).clients, 0);
    let _ = ann;
    world.settle();
}

#[test]
fn a_refused_call_over_a_stream_leaves_nothing() {
    let mut world = World::new(1);
    let hop = world.tcp(BOB);
    world.call_by(ANN, hop, None, &[]);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 603);
    world.run(s(1));
    assert!(world.counts(ANN).is_idle() && world.counts(BOB).is_idle());
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   bob → ann: 603 Decline (INVITE)
            1.010   ann → bob: ACK
            1.010     ann: Failed 603
        "#]],
    );
}

#[test]
fn a_stream_that_breaks_fails_the_call_being_made() {
    let mut world = World::new(1);
    let hop = world.tcp(BOB);
    world.call_by(ANN, hop, None, &[]);
    world.run(s(1));
    let conn = *world.peers[ANN].streams.keys().next().unwrap();
    world.peers[ANN].streams.clear();
    world.feed(ANN, Input::StreamClosed { conn });
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000     ann: Failed
        "#]],
    );
}

#[test]
fn a_stream_that_cannot_be_opened_fails_the_call() {
    let mut world = World::new(1);
    world.lose(|_, _| true);
    let hop = world.tcp(BOB);
    world.call_by(ANN, hop, None, &[]);
    world.feed(ANN, Input::SendFailed { hop });
    assert!(world.counts(ANN).is_idle());
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp) ✗
            0.000     ann: Failed
        "#]],
    );
}

#[test]
fn a_second_fork_that_answers_is_hung_up() {
    let mut world = World::new(1);
    world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.run(s(1));
    world.take_ladder();
    // Carol answers the same INVITE, as a proxy that forked it would pass on; her 200 comes twice.
    let answer = answer_of_carol();
    for _ in 0..2 {
        world.inject(ANN, "192.0.2.3:5060", &answer);
        world.run(s(1));
    }
    check(
        &mut world,
        expect![[r#"
            2.000   192.0.2.3:5060 → ann: 200 OK (INVITE)
            2.000   ann → carol: ACK
            2.000   ann → carol: BYE
            2.010   carol → ann: 481 Call/Transaction Does Not Exist (BYE)
            3.000   192.0.2.3:5060 → ann: 200 OK (INVITE)
            3.000   ann → carol: ACK
        "#]],
    );
}

/// Carol's 200 to the first INVITE that ann sends in world 1.
fn answer_of_carol() -> String {
    let mut world = World::new(1);
    world.call_by(ANN, dan(), None, &[]);
    let bytes = world.outside[0].1.clone();
    format!(
        "SIP/2.0 200 OK\nVia: {}\nFrom: {}\nTo: <sip:carol@demo>;tag=carol\nCall-ID: {}\n\
         CSeq: 1 INVITE\nContact: <sip:carol@192.0.2.3:5060>\nContent-Length: 0\n\n",
        header(&bytes, HeaderName::Via),
        header(&bytes, HeaderName::From),
        header(&bytes, HeaderName::CallId),
    )
}

/// Where dan is, who is not simulated.
fn dan() -> Hop {
    Hop {
        transport: Transport::Udp,
        remote: "192.0.2.9:5060".parse().unwrap(),
        conn: None,
    }
}

/// Dan's answer to the last request sent to him.
fn answer_of_dan(world: &World, status: &str, lines: &str) -> String {
    let (_, request) = world.outside.last().expect("a request");
    let to = header(request, HeaderName::To);
    let to = if to.contains(";tag=") {
        to
    } else {
        format!("{to};tag=dan")
    };
    format!(
        "SIP/2.0 {status}\nVia: {}\nFrom: {}\nTo: {to}\nCall-ID: {}\nCSeq: {}\n{lines}\
         Content-Length: 0\n\n",
        header(request, HeaderName::Via),
        header(request, HeaderName::From),
        header(request, HeaderName::CallId),
        header(request, HeaderName::CSeq),
    )
}

fn invite(branch: &str, cseq: u32, extra: &str) -> String {
    format!(
        "INVITE sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch={branch}\n\
         Max-Forwards: 70\nFrom: <sip:dan@demo>;tag=dan\nTo: <sip:bob@demo>\nCall-ID: raw\n\
         CSeq: {cseq} INVITE\nContact: <sip:dan@192.0.2.9:5060>\n{extra}Content-Length: 0\n\n"
    )
}

/// A request in the dialog of the INVITE above.
fn inside(world: &World, method: &str, branch: &str, cseq: u32, extra: &str) -> String {
    let (_, bytes) = world.outside.last().expect("an answer");
    format!(
        "{method} sip:192.0.2.2:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch={branch}\n\
         Max-Forwards: 70\nFrom: <sip:dan@demo>;tag=dan\nTo: {}\nCall-ID: raw\n\
         CSeq: {cseq} {method}\nContact: <sip:dan@192.0.2.9:5060>\n{extra}Content-Length: 0\n\n",
        header(bytes, HeaderName::To)
    )
}

/// A world in which dan, who is not simulated, has a call with bob.
fn raw_call(extra: &str) -> (World, jackfield_sip::DialogId) {
    let mut world = World::new(1);
    world.inject(BOB, "192.0.2.9:5060", &invite("z9hG4bKa", 1, extra));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    let ack = inside(&world, "ACK", "z9hG4bKb", 1, "");
    world.inject(BOB, "192.0.2.9:5060", &ack);
    world.take_ladder();
    (world, bob)
}

#[test]
fn the_same_invite_by_two_ways_is_one_call() {
    let mut world = World::new(1);
    world.inject(BOB, "192.0.2.9:5060", &invite("z9hG4bKa", 1, ""));
    world.inject(BOB, "192.0.2.9:5060", &invite("z9hG4bKb", 1, ""));
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
            0.000     bob: Incoming
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 482 Loop Detected (INVITE)
        "#]],
    );
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 486);
    world.run(s(40));
    // Once the transaction is over it is a new call.
    world.take_ladder();
    world.inject(BOB, "192.0.2.9:5060", &invite("z9hG4bKc", 1, ""));
    check(
        &mut world,
        expect![[r#"
            40.000  192.0.2.9:5060 → bob: INVITE
            40.000  bob → 192.0.2.9:5060: 100 Trying (INVITE)
            40.000    bob: Incoming
        "#]],
    );
}

#[test]
fn a_peer_of_rfc_2543_is_matched_without_branch() {
    let mut world = World::new(1);
    world.inject(BOB, "192.0.2.9:5060", &invite("1", 1, ""));
    world.inject(BOB, "192.0.2.9:5060", &invite("1", 1, ""));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 486);
    let ack = inside(&world, "ACK", "1", 1, "").replace("sip:192.0.2.2:5060", "sip:bob@192.0.2.2");
    world.inject(BOB, "192.0.2.9:5060", &ack);
    world.run(s(40));
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
            0.000     bob: Incoming
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
            0.000   bob → 192.0.2.9:5060: 486 Busy Here (INVITE)
            0.000   192.0.2.9:5060 → bob: ACK
        "#]],
    );
    assert!(world.counts(BOB).is_idle());
}

#[test]
fn requests_that_fit_no_dialog() {
    let (mut world, _) = raw_call("");
    for (method, branch, cseq) in [
        ("OPTIONS", "z9hG4bKc", 9),
        ("BYE", "z9hG4bKd", 8),
        ("UPDATE", "z9hG4bKe", 10),
        ("REFER", "z9hG4bKf", 11),
        ("FLY", "z9hG4bKg", 12),
        ("BYE", "z9hG4bKh", 13),
        ("BYE", "z9hG4bKi", 14),
        ("INFO", "z9hG4bKj", 15),
        ("INVITE", "z9hG4bKk", 16),
    ] {
        let request = inside(&world, method, branch, cseq, "");
        world.inject(BOB, "192.0.2.9:5060", &request);
    }
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → bob: OPTIONS
            0.000   bob → 192.0.2.9:5060: 200 OK (OPTIONS)
            0.000   192.0.2.9:5060 → bob: BYE
            0.000   bob → 192.0.2.9:5060: 500 CSeq Out Of Order (BYE)
            0.000   192.0.2.9:5060 → bob: UPDATE
            0.000   bob → 192.0.2.9:5060: 200 OK (UPDATE)
            0.000   192.0.2.9:5060 → bob: REFER
            0.000   bob → 192.0.2.9:5060: 400 Not One Refer-To (REFER)
            0.000   192.0.2.9:5060 → bob: FLY
            0.000   bob → 192.0.2.9:5060: 501 Not Implemented (FLY)
            0.000   192.0.2.9:5060 → bob: BYE
            0.000   bob → 192.0.2.9:5060: 200 OK (BYE)
            0.000     bob: Ended Theirs
            0.000   192.0.2.9:5060 → bob: BYE
            0.000   bob → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (BYE)
            0.000   192.0.2.9:5060 → bob: INFO
            0.000   bob → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (INFO)
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (INVITE)
        "#]],
    );
}

#[test]
fn an_offer_that_overtakes_the_answer_waits() {
    let mut world = World::new(1);
    let _ann = world.call_by(ANN, dan(), None, &[]);
    let (_, invite) = world.outside[0].clone();
    let answer = answer_of_dan(&world, "200 OK", "Contact: <sip:dan@192.0.2.9:5060>\n");
    // Dan's own requests in the dialog that his answer makes: his is their From.
    let from = |method: &str, branch: &str, cseq: u32| {
        format!(
            "{method} sip:ann@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch={branch}\n\
             Max-Forwards: 70\nFrom: {};tag=dan\nTo: {}\nCall-ID: {}\nCSeq: {cseq} {method}\n\
             Contact: <sip:dan@192.0.2.9:5060>\nContent-Length: 0\n\n",
            header(&invite, HeaderName::To),
            header(&invite, HeaderName::From),
            header(&invite, HeaderName::CallId),
        )
    };
    let overtakes = from("INVITE", "z9hG4bKc", 1);
    for request in [
        &overtakes,
        &answer,
        &overtakes,
        &from("INFO", "z9hG4bKd", 2),
    ] {
        world.inject(ANN, "192.0.2.9:5060", request);
    }
    // A copy after what came behind it; and who is of no such call.
    let stranger = from("INVITE", "z9hG4bKe", 3).replace("Call-ID: ", "Call-ID: not-");
    for request in [&overtakes, &stranger] {
        world.inject(ANN, "192.0.2.9:5060", request);
    }
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: INVITE
        0.000   ann → 192.0.2.9:5060: 491 Request Pending (INVITE)
        0.000   192.0.2.9:5060 → ann: 200 OK (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000     ann: Answered, 0 bytes
        0.000   192.0.2.9:5060 → ann: INVITE
        0.000   ann → 192.0.2.9:5060: 491 Request Pending (INVITE)
        0.000   192.0.2.9:5060 → ann: INFO
        0.000   ann → 192.0.2.9:5060: 200 OK (INFO)
        0.000     ann: Info 
        0.000   192.0.2.9:5060 → ann: INVITE
        0.000   ann → 192.0.2.9:5060: 491 Request Pending (INVITE)
        0.000   192.0.2.9:5060 → ann: INVITE
        0.000   ann → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (INVITE)
    "#]],
    );
}

#[test]
fn what_comes_while_we_leave_is_refused_the_same_way_each_time() {
    let (mut world, bob) = raw_call("");
    let late = inside(&world, "INVITE", "z9hG4bKc", 2, "");
    let asks = inside(&world, "REFER", "z9hG4bKd", 3, "");
    world.hang_up(BOB, bob);
    for request in [&late, &asks, &late, &asks] {
        world.inject(BOB, "192.0.2.9:5060", request);
    }
    check(
        &mut world,
        expect![[r#"
        0.000   bob → 192.0.2.9:5060: BYE
        0.000     bob: Ended Ours
        0.000   192.0.2.9:5060 → bob: INVITE
        0.000   bob → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (INVITE)
        0.000   192.0.2.9:5060 → bob: REFER
        0.000   bob → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (REFER)
        0.000   192.0.2.9:5060 → bob: INVITE
        0.000   bob → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (INVITE)
        0.000   192.0.2.9:5060 → bob: REFER
        0.000   bob → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (REFER)
    "#]],
    );
}

#[test]
fn what_came_out_of_order_is_refused_the_same_way_after_the_end() {
    let (mut world, _) = raw_call("");
    let late = inside(&world, "INVITE", "z9hG4bKc", 2, "");
    let bye = inside(&world, "BYE", "z9hG4bKd", 3, "");
    let info = inside(&world, "INFO", "z9hG4bKe", 9, "");
    for request in [&info, &late, &bye, &late] {
        world.inject(BOB, "192.0.2.9:5060", request);
    }
    let again = bye
        .replace("z9hG4bKd", "z9hG4bKf")
        .replace("3 BYE", "10 BYE");
    for request in [&again, &late, &bye] {
        world.inject(BOB, "192.0.2.9:5060", request);
    }
    let ack = inside(&world, "ACK", "z9hG4bKc", 2, "");
    world.inject(BOB, "192.0.2.9:5060", &ack);
    check(
        &mut world,
        expect![[r#"
        0.000   192.0.2.9:5060 → bob: INFO
        0.000   bob → 192.0.2.9:5060: 200 OK (INFO)
        0.000     bob: Info 
        0.000   192.0.2.9:5060 → bob: INVITE
        0.000   bob → 192.0.2.9:5060: 500 CSeq Out Of Order (INVITE)
        0.000   192.0.2.9:5060 → bob: BYE
        0.000   bob → 192.0.2.9:5060: 500 CSeq Out Of Order (BYE)
        0.000   192.0.2.9:5060 → bob: INVITE
        0.000   bob → 192.0.2.9:5060: 500 CSeq Out Of Order (INVITE)
        0.000   192.0.2.9:5060 → bob: BYE
        0.000   bob → 192.0.2.9:5060: 200 OK (BYE)
        0.000     bob: Ended Theirs
        0.000   192.0.2.9:5060 → bob: INVITE
        0.000   bob → 192.0.2.9:5060: 500 CSeq Out Of Order (INVITE)
        0.000   192.0.2.9:5060 → bob: BYE
        0.000   bob → 192.0.2.9:5060: 500 CSeq Out Of Order (BYE)
        0.000   192.0.2.9:5060 → bob: ACK
    "#]],
    );
    world.run(s(40));
    assert!(world.counts(BOB).is_idle());
}

#[test]
fn a_reinvite_is_offered_answered_and_refused() {
    let (mut world, bob) = raw_call("");
    let offer = inside(&world, "INVITE", "z9hG4bKc", 2, "");
    world.inject(BOB, "192.0.2.9:5060", &offer);
    let second = inside(&world, "INVITE", "z9hG4bKd", 3, "");
    world.inject(BOB, "192.0.2.9:5060", &second);
    world.respond(BOB, bob, 200);
    let ack = inside(&world, "ACK", "z9hG4bKe", 2, "");
    world.inject(BOB, "192.0.2.9:5060", &ack);
    let third = inside(&world, "INVITE", "z9hG4bKf", 4, "");
    world.inject(BOB, "192.0.2.9:5060", &third);
    world.respond(BOB, bob, 488);
    let ack = inside(&world, "ACK", "z9hG4bKf", 4, "");
    world.inject(BOB, "192.0.2.9:5060", &ack);
    let fourth = inside(&world, "INVITE", "z9hG4bKg", 5, "");
    world.inject(BOB, "192.0.2.9:5060", &fourth);
    let bye = inside(&world, "BYE", "z9hG4bKh", 6, "");
    world.inject(BOB, "192.0.2.9:5060", &bye);
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
            0.000     bob: Reoffer, 0 bytes
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 500 Server Internal Error (INVITE)
            0.000   bob → 192.0.2.9:5060: 200 OK (INVITE, application/sdp)
            0.000   192.0.2.9:5060 → bob: ACK
            0.000     bob: Confirmed
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
            0.000     bob: Reoffer, 0 bytes
            0.000   bob → 192.0.2.9:5060: 488 Not Acceptable Here (INVITE)
            0.000   192.0.2.9:5060 → bob: ACK
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
            0.000     bob: Reoffer, 0 bytes
            0.000   192.0.2.9:5060 → bob: BYE
            0.000   bob → 192.0.2.9:5060: 200 OK (BYE)
            0.000   bob → 192.0.2.9:5060: 487 Request Terminated (INVITE)
            0.000     bob: Ended Theirs
        "#]],
    );
    world.settle();
}

#[test]
fn an_offer_that_meets_ours_is_glare() {
    let mut world = World::new(1);
    world.call_by(ANN, dan(), None, &[]);
    let (_, invite) = world.outside[0].clone();
    let ringing = format!(
        "SIP/2.0 180 Ringing\nVia: {}\nFrom: {}\nTo: <sip:dan@demo>;tag=dan\nCall-ID: {}\n\
         CSeq: 1 INVITE\nContact: <sip:dan@192.0.2.9>\nContent-Length: 0\n\n",
        header(&invite, HeaderName::Via),
        header(&invite, HeaderName::From),
        header(&invite, HeaderName::CallId),
    );
    world.inject(ANN, "192.0.2.9:5060", &ringing);
    for (tag, branch) in [("dan", "z9hG4bKa"), ("eve", "z9hG4bKb")] {
        let offer = format!(
            "INVITE sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch={branch}\n\
             Max-Forwards: 70\nFrom: <sip:dan@demo>;tag={tag}\nTo: {}\nCall-ID: {}\n\
             CSeq: 1 INVITE\nContact: <sip:dan@192.0.2.9>\nContent-Length: 0\n\n",
            header(&invite, HeaderName::From),
            header(&invite, HeaderName::CallId),
        );
        world.inject(ANN, "192.0.2.9:5060", &offer);
    }
    check(
        &mut world,
        expect![[r#"
            0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
            0.000   192.0.2.9:5060 → ann: 180 Ringing (INVITE)
            0.000     ann: Progress 180
            0.000   192.0.2.9:5060 → ann: INVITE
            0.000   ann → 192.0.2.9:5060: 491 Request Pending (INVITE)
            0.000   192.0.2.9:5060 → ann: INVITE
            0.000   ann → 192.0.2.9:5060: 491 Request Pending (INVITE)
        "#]],
    );
}

#[test]
fn info_is_answered_and_told_once() {
    let (mut world, _) = raw_call("");
    let extra = "Content-Type: Application/DTMF-relay\n";
    let info = inside(&world, "INFO", "z9hG4bKc", 2, extra)
        .replace("Content-Length: 0\n\n", "Content-Length: 10\n\nSignal=5\n");
    world.inject(BOB, "192.0.2.9:5060", &info);
    world.inject(BOB, "192.0.2.9:5060", &info);
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → bob: INFO (application/dtmf-relay)
            0.000   bob → 192.0.2.9:5060: 200 OK (INFO)
            0.000     bob: Info application/dtmf-relay
            0.000   192.0.2.9:5060 → bob: INFO (application/dtmf-relay)
            0.000   bob → 192.0.2.9:5060: 200 OK (INFO)
        "#]],
    );
}

#[test]
fn info_of_a_package_that_we_did_not_ask_for_is_refused() {
    let (mut world, _) = raw_call("");
    let info = inside(
        &world,
        "INFO",
        "z9hG4bKc",
        2,
        "Info-Package: nice-to-have\n",
    );
    world.inject(BOB, "192.0.2.9:5060", &info);
    let (_, bytes) = world.outside.last().expect("an answer").clone();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains("\r\nRecv-Info: nil\r\n"), "{text}");
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → bob: INFO
            0.000   bob → 192.0.2.9:5060: 469 Bad Info Package (INFO)
        "#]],
    );
}

#[test]
fn options_say_what_we_can() {
    let mut world = World::new(1);
    let options = invite("z9hG4bKa", 1, "").replace("INVITE", "OPTIONS");
    world.inject(BOB, "192.0.2.9:5060", &options);
    let (_, bytes) = world.outside[0].clone();
    let text = String::from_utf8(bytes.to_vec()).unwrap().replace('\r', "");
    expect![[r#"
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKa
        From: <sip:dan@demo>;tag=dan
        To: <sip:bob@demo>;tag=0c82f6ffe04c4a59
        Call-ID: raw
        CSeq: 1 OPTIONS
        Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REGISTER, UPDATE, PRACK, REFER, NOTIFY
        Accept: application/sdp
        Supported: timer, 100rel, replaces
        Server: Jackfield
        Content-Length: 0

    "#]]
    .assert_eq(&text);
    assert!(world.counts(BOB).is_idle());
}

#[test]
fn extensions_we_do_not_know_are_refused() {
    let mut world = World::new(1);
    let request = invite("z9hG4bKa", 1, "Require: gruu, timer\n");
    world.inject(BOB, "192.0.2.9:5060", &request);
    assert_eq!(header(&world.outside[0].1, HeaderName::Unsupported), "gruu");
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 420 Bad Extension (INVITE)
        "#]],
    );
}

#[test]
fn a_session_that_is_not_refreshed_ends() {
    let session = "Supported: timer\nSession-Expires: 120\n";
    let (mut world, bob) = raw_call(session);
    let answer = world.outside.last().unwrap().1.clone();
    assert_eq!(
        header(&answer, HeaderName::SessionExpires),
        "120;refresher=uac"
    );
    assert_eq!(header(&answer, HeaderName::Require), "timer");
    world.run(s(60));
    let refresh = inside(&world, "INVITE", "z9hG4bKc", 2, session);
    world.inject(BOB, "192.0.2.9:5060", &refresh);
    world.respond(BOB, bob, 200);
    let ack = inside(&world, "ACK", "z9hG4bKd", 2, "");
    world.inject(BOB, "192.0.2.9:5060", &ack);
    world.run(s(60));
    world.settle();
    check(
        &mut world,
        expect![[r#"
            60.000  192.0.2.9:5060 → bob: INVITE
            60.000  bob → 192.0.2.9:5060: 100 Trying (INVITE)
            60.000    bob: Reoffer, 0 bytes
            60.000  bob → 192.0.2.9:5060: 200 OK (INVITE, application/sdp)
            60.000  192.0.2.9:5060 → bob: ACK
            60.000    bob: Confirmed
            148.000 bob → 192.0.2.9:5060: BYE
            148.000   bob: Ended Lost
            148.500 bob → 192.0.2.9:5060: BYE
            149.500 bob → 192.0.2.9:5060: BYE
            151.500 bob → 192.0.2.9:5060: BYE
            155.500 bob → 192.0.2.9:5060: BYE
            159.500 bob → 192.0.2.9:5060: BYE
            163.500 bob → 192.0.2.9:5060: BYE
            167.500 bob → 192.0.2.9:5060: BYE
            171.500 bob → 192.0.2.9:5060: BYE
            175.500 bob → 192.0.2.9:5060: BYE
            179.500 bob → 192.0.2.9:5060: BYE
        "#]],
    );
}

#[test]
fn a_session_timer_that_is_too_short_is_refused_and_ours_to_refresh_is_kept() {
    let mut world = World::new(1);
    let short = "Supported: timer\nSession-Expires: 30\n";
    world.inject(BOB, "192.0.2.9:5060", &invite("z9hG4bKa", 1, short));
    assert_eq!(header(&world.outside[0].1, HeaderName::MinSe), "90");
    let ours = "Supported: timer\nSession-Expires: 120;refresher=uas\n";
    world.inject(BOB, "192.0.2.9:5060", &invite("z9hG4bKb", 2, ours));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    assert_eq!(
        header(&world.outside.last().unwrap().1, HeaderName::SessionExpires),
        "120;refresher=uas"
    );
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 422 Session Interval Too Small (INVITE)
            0.000   192.0.2.9:5060 → bob: INVITE
            0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
            0.000     bob: Incoming
            0.000   bob → 192.0.2.9:5060: 200 OK (INVITE, application/sdp)
        "#]],
    );
}

#[test]
fn answers_go_where_the_via_says() {
    let mut world = World::new(1);
    world.inject(BOB, "198.51.100.7:40000", &invite("z9hG4bKa", 1, ""));
    let with_rport = invite("z9hG4bKb;rport", 2, "");
    world.inject(BOB, "198.51.100.7:40000", &with_rport);
    let hops: Vec<String> = world
        .outside
        .iter()
        .map(|(hop, _)| hop.remote.to_string())
        .collect();
    assert_eq!(hops, ["198.51.100.7:5060", "198.51.100.7:40000"]);
    let via = header(&world.outside[1].1, HeaderName::Via);
    assert_eq!(
        via,
        "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKb;rport=40000;received=198.51.100.7"
    );
}

#[test]
fn a_phone_behind_nat_is_reached_where_it_was_seen() {
    let mut world = World::new(1);
    let natted = invite("z9hG4bKa;rport", 1, "").replace("192.0.2.9", "192.168.1.5");
    world.inject(BOB, "198.51.100.7:40000", &natted);
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    let ack = inside(&world, "ACK", "z9hG4bKb", 1, "");
    world.inject(BOB, "198.51.100.7:40000", &ack);
    world.hang_up(BOB, bob);
    let (hop, bye) = world.outside.last().unwrap();
    assert_eq!(hop.remote.to_string(), "198.51.100.7:40000");
    assert!(bye.starts_with(b"BYE sip:dan@192.168.1.5:5060 SIP/2.0\r\n"));
}

#[test]
fn requests_of_a_dialog_take_its_recorded_routes() {
    let routes = "Record-Route: <sip:192.0.2.50;lr>, <sip:192.0.2.51:5070;lr>\n";
    let (mut world, bob) = raw_call(routes);
    let answer = world.outside.last().unwrap().1.clone();
    assert!(String::from_utf8_lossy(&answer).contains(
        "Record-Route: <sip:192.0.2.50;lr>\r\nRecord-Route: <sip:192.0.2.51:5070;lr>\r\n"
    ));
    world.hang_up(BOB, bob);
    let (hop, bye) = world.outside.last().unwrap();
    assert_eq!(hop.remote.to_string(), "192.0.2.50:5060");
    let text = String::from_utf8_lossy(bye);
    assert!(
        text.starts_with("BYE sip:dan@192.0.2.9:5060 SIP/2.0\r\n"),
        "{text}"
    );
    assert!(
        text.contains("Route: <sip:192.0.2.50;lr>\r\nRoute: <sip:192.0.2.51:5070;lr>\r\n"),
        "{text}"
    );
}

#[test]
fn a_strict_router_gets_its_own_uri() {
    let (mut world, bob) = raw_call("Record-Route: <sip:192.0.2.50>, <sip:192.0.2.51;lr>\n");
    world.hang_up(BOB, bob);
    let (hop, bye) = world.outside.last().unwrap();
    assert_eq!(hop.remote.to_string(), "192.0.2.50:5060");
    let text = String::from_utf8_lossy(bye);
    assert!(text.starts_with("BYE sip:192.0.2.50 SIP/2.0\r\n"), "{text}");
    assert!(
        text.contains("Route: <sip:192.0.2.51;lr>\r\nRoute: <sip:dan@192.0.2.9:5060>\r\n"),
        "{text}"
    );
}

#[test]
fn a_full_endpoint_says_when_to_come_again() {
    let limits = jackfield_sip::limits::Limits {
        dialogs: 1,
        ..Default::default()
    };
    let mut world = World::with_limits(1, limits);
    world.call(ANN, BOB);
    world.run(s(1));
    world.call(CAROL, BOB);
    world.run(s(1));
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: INVITE (application/sdp)
            0.010   bob → ann: 100 Trying (INVITE)
            0.010     bob: Incoming
            0.020     ann: Trying
            1.000   carol → bob: INVITE (application/sdp)
            1.010   bob → carol: 503 Service Unavailable (INVITE)
            1.020   carol → bob: ACK
            1.020     carol: Failed 503, again after 10 s
        "#]],
    );
    assert_eq!(world.counts(BOB).overloads, 1);
    assert_eq!(world.counts(BOB).server_invites, 1);
    let full = world.call(ANN, CAROL);
    assert_eq!(
        world.peers[ANN].events.pop_back().unwrap(),
        Event::Failed {
            dialog: full,
            status: Some(503),
            reason: None,
            contacts: Vec::new(),
            retry_after: None,
        }
    );
}

#[test]
fn options_of_ours_with_credentials_and_without_an_answer() {
    let mut world = World::new(1);
    for (id, to) in [(1, BOB), (2, CAROL)] {
        let hop = world.hop(to);
        world.act(
            ANN,
            Action::Request {
                id: RequestId(id),
                method: "OPTIONS".into(),
                uri: "sip:bob@demo".into(),
                hop,
                from: "\"Ann\" <sip:ann@demo>".into(),
                to: "<sip:bob@demo>".into(),
                headers: Vec::new(),
                credentials: None,
            },
        );
        world.lose(|_, _| true);
    }
    world.lose(|from, _| from == "carol");
    world.settle();
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: OPTIONS
            0.000   ann → carol: OPTIONS ✗
            0.010   bob → ann: 200 OK (OPTIONS)
            0.020     ann: Response 200
            0.500   ann → carol: OPTIONS
            0.510   carol → ann: 200 OK (OPTIONS) ✗
            1.500   ann → carol: OPTIONS
            1.510   carol → ann: 200 OK (OPTIONS) ✗
            3.500   ann → carol: OPTIONS
            3.510   carol → ann: 200 OK (OPTIONS) ✗
            7.500   ann → carol: OPTIONS
            7.510   carol → ann: 200 OK (OPTIONS) ✗
            11.500  ann → carol: OPTIONS
            11.510  carol → ann: 200 OK (OPTIONS) ✗
            15.500  ann → carol: OPTIONS
            15.510  carol → ann: 200 OK (OPTIONS) ✗
            19.500  ann → carol: OPTIONS
            19.510  carol → ann: 200 OK (OPTIONS) ✗
            23.500  ann → carol: OPTIONS
            23.510  carol → ann: 200 OK (OPTIONS) ✗
            27.500  ann → carol: OPTIONS
            27.510  carol → ann: 200 OK (OPTIONS) ✗
            31.500  ann → carol: OPTIONS
            31.510  carol → ann: 200 OK (OPTIONS) ✗
            32.000    ann: Response (none)
        "#]],
    );
}

#[test]
fn what_is_cancelled_while_it_can_be() {
    let mut world = World::new(1);
    let cancel = |branch: &str, cseq: u32, to: &str| {
        invite(branch, cseq, "")
            .replace("INVITE", "CANCEL")
            .replace("<sip:bob@demo>", to)
    };
    // Nothing of the kind is known.
    world.inject(
        BOB,
        "192.0.2.9:5060",
        &cancel("z9hG4bKa", 1, "<sip:bob@demo>"),
    );
    world.inject(BOB, "192.0.2.9:5060", &invite("z9hG4bKa", 1, ""));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    // Too late.
    world.inject(
        BOB,
        "192.0.2.9:5060",
        &cancel("z9hG4bKa", 1, "<sip:bob@demo>"),
    );
    let ack = inside(&world, "ACK", "z9hG4bKb", 1, "");
    world.inject(BOB, "192.0.2.9:5060", &ack);
    // A re-INVITE is cancelled without the call.
    let offer = inside(&world, "INVITE", "z9hG4bKc", 2, "");
    let to = header(offer.replace('\n', "\r\n").as_bytes(), HeaderName::To);
    world.inject(BOB, "192.0.2.9:5060", &offer);
    world.inject(BOB, "192.0.2.9:5060", &cancel("z9hG4bKc", 2, &to));
    world.respond(BOB, bob, 200);
    let bye = inside(&world, "BYE", "z9hG4bKd", 3, "");
    world.inject(BOB, "192.0.2.9:5060", &bye);
    check(
        &mut world,
        expect![[r#"
        0.000   192.0.2.9:5060 → bob: CANCEL
        0.000   bob → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (CANCEL)
        0.000   192.0.2.9:5060 → bob: INVITE
        0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
        0.000     bob: Incoming
        0.000   bob → 192.0.2.9:5060: 200 OK (INVITE, application/sdp)
        0.000   192.0.2.9:5060 → bob: CANCEL
        0.000   bob → 192.0.2.9:5060: 200 OK (CANCEL)
        0.000   192.0.2.9:5060 → bob: ACK
        0.000     bob: Confirmed
        0.000   192.0.2.9:5060 → bob: INVITE
        0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
        0.000     bob: Reoffer, 0 bytes
        0.000   192.0.2.9:5060 → bob: CANCEL
        0.000   bob → 192.0.2.9:5060: 200 OK (CANCEL)
        0.000   bob → 192.0.2.9:5060: 487 Request Terminated (INVITE)
        0.000   192.0.2.9:5060 → bob: BYE
        0.000   bob → 192.0.2.9:5060: 200 OK (BYE)
        0.000     bob: Ended Theirs
    "#]],
    );
    world.settle();
}

#[test]
fn a_caller_may_hang_up_with_bye_before_the_answer() {
    let mut world = World::new(1);
    world.inject(BOB, "192.0.2.9:5060", &invite("z9hG4bKa", 1, ""));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 180);
    let bye = inside(&world, "BYE", "z9hG4bKb", 2, "Reason: SIP;cause=600\n");
    world.inject(BOB, "192.0.2.9:5060", &bye);
    world.respond(BOB, bob, 200);
    check(
        &mut world,
        expect![[r#"
        0.000   192.0.2.9:5060 → bob: INVITE
        0.000   bob → 192.0.2.9:5060: 100 Trying (INVITE)
        0.000     bob: Incoming
        0.000   bob → 192.0.2.9:5060: 180 Ringing (INVITE)
        0.000   192.0.2.9:5060 → bob: BYE
        0.000   bob → 192.0.2.9:5060: 200 OK (BYE)
        0.000   bob → 192.0.2.9:5060: 487 Request Terminated (INVITE)
        0.000     bob: Cancelled [SIP;cause=600]
    "#]],
    );
}

#[test]
fn a_far_end_may_ask_for_credentials_with_bye_too() {
    let mut world = World::new(1);
    let challenge = "Proxy-Authenticate: Digest realm=\"dan\", nonce=\"1\", algorithm=MD5\n";
    let ann = world.call_by(ANN, dan(), Some(credentials("ann")), &[]);
    let answer = answer_of_dan(&world, "407 Proxy Authentication Required", challenge);
    world.inject(ANN, "192.0.2.9:5060", &answer);
    let answer = answer_of_dan(&world, "200 OK", "Contact: <sip:dan@192.0.2.9:5070>\n");
    world.inject(ANN, "192.0.2.9:5060", &answer);
    // The ACK carries what the INVITE carried (RFC 3261 §22.1) and goes to the contact.
    let (hop, ack) = world.outside.last().unwrap();
    assert_eq!(hop.remote.to_string(), "192.0.2.9:5070");
    assert!(header(ack, HeaderName::ProxyAuthorization).starts_with("Digest username=\"ann\""));
    world.hang_up(ANN, ann);
    let answer = answer_of_dan(&world, "407 Proxy Authentication Required", challenge);
    world.inject(ANN, "192.0.2.9:5070", &answer);
    let (_, bye) = world.outside.last().unwrap();
    assert!(header(bye, HeaderName::ProxyAuthorization).starts_with("Digest username=\"ann\""));
    let answer = answer_of_dan(&world, "407 Proxy Authentication Required", challenge);
    world.inject(ANN, "192.0.2.9:5070", &answer);
    assert_eq!(world.counts(ANN).dialogs, 0);
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 407 Proxy Authentication Required (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 200 OK (INVITE)
        0.000   ann → 192.0.2.9:5070: ACK
        0.000     ann: Answered, 0 bytes
        0.000   ann → 192.0.2.9:5070: BYE
        0.000     ann: Ended Ours
        0.000   192.0.2.9:5070 → ann: 407 Proxy Authentication Required (BYE)
        0.000   ann → 192.0.2.9:5070: BYE
        0.000   192.0.2.9:5070 → ann: 407 Proxy Authentication Required (BYE)
    "#]],
    );
}

#[test]
fn an_answer_without_contact_is_acknowledged_where_it_came_from() {
    let mut world = World::new(1);
    world.call_by(ANN, dan(), None, &[]);
    let answer = answer_of_dan(&world, "200 OK", "");
    world.inject(ANN, "192.0.2.99:5060", &answer);
    let (hop, ack) = world.outside.last().unwrap();
    assert_eq!(hop.remote.to_string(), "192.0.2.99:5060");
    assert!(ack.starts_with(b"ACK sip:192.0.2.99:5060 SIP/2.0\r\n"));
}

#[test]
fn answers_that_are_not_ours_are_dropped() {
    let mut world = World::new(1);
    world.call_by(ANN, dan(), None, &[]);
    let answer = answer_of_dan(&world, "200 OK", "");
    let strange = answer.replace("branch=z9hG4bK", "branch=z9hG4bKx");
    world.inject(ANN, "192.0.2.9:5060", &strange);
    let two = answer.replace(
        "From:",
        "Via: SIP/2.0/UDP 192.0.2.50;branch=z9hG4bK1\nFrom:",
    );
    world.inject(ANN, "192.0.2.9:5060", &two);
    assert_eq!(world.counts(ANN).strays, 2);
    assert!(world.peers[ANN].events.is_empty());
}

#[test]
fn a_registered_phone_behind_nat_is_called_where_it_was_seen() {
    let mut world = World::new(1);
    let dialog = world.peers[ANN].endpoint.allocate();
    let hop = Hop {
        remote: "172.17.0.1:40000".parse().unwrap(),
        ..dan()
    };
    let uri = "sip:dan@10.0.0.5:5060".to_owned();
    let (from, to) = ("sip:ann@demo".into(), "sip:dan@demo".into());
    let (headers, body, credentials) = (Vec::new(), Vec::new(), None);
    world.act(
        ANN,
        Action::Invite {
            dialog,
            uri,
            hop,
            from,
            to,
            headers,
            body,
            credentials,
        },
    );
    let answer = answer_of_dan(&world, "200 OK", "Contact: <sip:dan@10.0.0.5>\n");
    world.inject(ANN, "172.17.0.1:40000", &answer);
    let (hop, ack) = world.outside.last().unwrap();
    assert_eq!(hop.remote.to_string(), "172.17.0.1:40000");
    assert!(ack.starts_with(b"ACK sip:dan@10.0.0.5 SIP/2.0\r\n"));
}
