//! Reliable provisional responses (RFC 3262).

use expect_test::expect;
use jackfield_sip::limits::Limits;
use jackfield_sip::{Action, Hop, Transport};

use super::far::{self, Far};
use super::world::{SDP, World};
use super::{ANN, BOB, check, s};

/// Both sides send provisional answers reliably.
fn world() -> World {
    World::with_config(1, Limits::default(), |config| {
        config.reliable_provisional = true;
    })
}

fn ring(world: &mut World, who: usize, status: u16, body: &[u8]) {
    let dialog = world.incoming(who);
    let action = Action::Respond {
        dialog,
        status,
        headers: Vec::new(),
        body: body.to_vec(),
    };
    world.act(who, action);
}

#[test]
fn ringing_and_early_media_are_acknowledged_and_the_answer_waits_for_it() {
    let mut world = world();
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    for (status, body) in [(180, &b""[..]), (183, SDP), (200, SDP)] {
        let action = Action::Respond {
            dialog: bob,
            status,
            headers: Vec::new(),
            body: body.to_vec(),
        };
        world.act(BOB, action);
    }
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
            1.000   bob → ann: 180 Ringing (INVITE)
            1.010   ann → bob: PRACK
            1.010     ann: Progress 180
            1.020   bob → ann: 200 OK (PRACK)
            1.020   bob → ann: 183 Session Progress (INVITE, application/sdp)
            1.030   ann → bob: PRACK
            1.030     ann: Progress 183
            1.040   bob → ann: 200 OK (PRACK)
            1.040   bob → ann: 200 OK (INVITE, application/sdp)
            1.050   ann → bob: ACK
            1.050     ann: Answered, 5 bytes
            1.060     bob: Confirmed
            2.000   ann → bob: BYE
            2.000     ann: Ended Ours
            2.010   bob → ann: 200 OK (BYE)
            2.010     bob: Ended Theirs
        "#]],
    );
}

#[test]
fn lost_and_late_ones_come_again_in_order() {
    let mut world = world();
    let (mut rings, mut pracks) = (0, 0);
    world.lose(move |_, line| {
        rings += u32::from(line.starts_with("180"));
        pracks += u32::from(line.starts_with("PRACK"));
        line.starts_with("180") && rings <= 2 || line.starts_with("PRACK") && pracks <= 2
    });
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 180);
    world.run(s(10));
    world.respond(BOB, bob, 200);
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
            1.000   bob → ann: 180 Ringing (INVITE) ✗
            1.500   bob → ann: 180 Ringing (INVITE) ✗
            2.500   bob → ann: 180 Ringing (INVITE)
            2.510   ann → bob: PRACK ✗
            2.510     ann: Progress 180
            3.010   ann → bob: PRACK ✗
            4.010   ann → bob: PRACK
            4.020   bob → ann: 200 OK (PRACK)
            11.000  bob → ann: 200 OK (INVITE, application/sdp)
            11.010  ann → bob: ACK
            11.010    ann: Answered, 5 bytes
            11.020    bob: Confirmed
            12.000  ann → bob: BYE
            12.000    ann: Ended Ours
            12.010  bob → ann: 200 OK (BYE)
            12.010    bob: Ended Theirs
        "#]],
    );
}

#[test]
fn a_caller_who_insists_gets_them_and_others_do_not() {
    for (headers, required) in [
        ("Require: 100rel\n", "100rel"),
        ("Supported: 100rel\n", ""),
        ("", ""),
    ] {
        let mut world = World::new(1);
        Far::call(&mut world, headers);
        ring(&mut world, ANN, 180, b"");
        assert_eq!(far::said(&world, "Require"), required, "{headers}");
    }
}

#[test]
fn only_the_right_prack_counts() {
    let mut world = World::new(1);
    let mut far = Far::call(&mut world, "Require: 100rel\n");
    world.take_ladder();
    ring(&mut world, ANN, 180, b"");
    far.learn(&world);
    let rseq: u32 = far::said(&world, "RSeq").parse().unwrap();
    for rack in [
        format!("{} 1 INVITE", rseq + 1),
        format!("{rseq} 2 INVITE"),
        format!("{rseq} 1 BYE"),
        String::new(),
        format!("{rseq} 1 INVITE"),
        format!("{rseq} 1 INVITE"),
    ] {
        far.request(&mut world, "PRACK", &format!("RAck: {rack}\n"), "");
    }
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: 180 Ringing (INVITE)
        0.000   192.0.2.9:5060 → ann: PRACK
        0.000   ann → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (PRACK)
        0.000   192.0.2.9:5060 → ann: PRACK
        0.000   ann → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (PRACK)
        0.000   192.0.2.9:5060 → ann: PRACK
        0.000   ann → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (PRACK)
        0.000   192.0.2.9:5060 → ann: PRACK
        0.000   ann → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (PRACK)
        0.000   192.0.2.9:5060 → ann: PRACK
        0.000   ann → 192.0.2.9:5060: 200 OK (PRACK)
        0.000   192.0.2.9:5060 → ann: PRACK
        0.000   ann → 192.0.2.9:5060: 481 Call/Transaction Does Not Exist (PRACK)
    "#]],
    );
}

#[test]
fn without_a_prack_the_call_is_refused() {
    let mut world = World::new(1);
    Far::call(&mut world, "Require: 100rel\n");
    world.take_ladder();
    ring(&mut world, ANN, 183, SDP);
    world.run(s(33));
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: 183 Session Progress (INVITE, application/sdp)
        0.500   ann → 192.0.2.9:5060: 183 Session Progress (INVITE, application/sdp)
        1.500   ann → 192.0.2.9:5060: 183 Session Progress (INVITE, application/sdp)
        3.500   ann → 192.0.2.9:5060: 183 Session Progress (INVITE, application/sdp)
        7.500   ann → 192.0.2.9:5060: 183 Session Progress (INVITE, application/sdp)
        15.500  ann → 192.0.2.9:5060: 183 Session Progress (INVITE, application/sdp)
        31.500  ann → 192.0.2.9:5060: 183 Session Progress (INVITE, application/sdp)
        32.000  ann → 192.0.2.9:5060: 504 Server Time-out (INVITE)
        32.000    ann: Ended NoAck
        32.500  ann → 192.0.2.9:5060: 504 Server Time-out (INVITE)
    "#]],
    );
    world.settle();
}

#[test]
fn an_answered_offer_can_be_changed_before_the_call_is_answered() {
    let mut world = World::new(1);
    let mut far = Far::call(&mut world, "Require: 100rel\nAllow: UPDATE\n");
    world.take_ladder();
    let ann = world.incoming(ANN);
    let action = Action::Respond {
        dialog: ann,
        status: 183,
        headers: Vec::new(),
        body: SDP.to_vec(),
    };
    world.act(ANN, action);
    far.learn(&world);
    let rseq = far::said(&world, "RSeq");
    far.request(&mut world, "UPDATE", "", "v=0\n");
    far.request(&mut world, "PRACK", &format!("RAck: {rseq} 1 INVITE\n"), "");
    far.request(&mut world, "UPDATE", "", "v=0\n");
    far::accept(&mut world, ann);
    far::accept(&mut world, ann);
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: 183 Session Progress (INVITE, application/sdp)
        0.000   192.0.2.9:5060 → ann: UPDATE (application/sdp)
        0.000   ann → 192.0.2.9:5060: 500 Server Internal Error (UPDATE)
        0.000   192.0.2.9:5060 → ann: PRACK
        0.000   ann → 192.0.2.9:5060: 200 OK (PRACK)
        0.000   192.0.2.9:5060 → ann: UPDATE (application/sdp)
        0.000     ann: Reoffer, 5 bytes
        0.000   ann → 192.0.2.9:5060: 200 OK (UPDATE, application/sdp)
        0.000   ann → 192.0.2.9:5060: 200 OK (INVITE, application/sdp)
    "#]],
    );
}

#[test]
fn theirs_are_acknowledged_in_order_for_each_fork() {
    let mut world = World::new(1);
    let hop = Hop {
        transport: Transport::Udp,
        remote: far::ADDRESS.parse().unwrap(),
        conn: None,
    };
    let ann = world.call_by(ANN, hop, None, &[]);
    assert_eq!(far::said(&world, "Supported"), "timer, 100rel, replaces");
    let invite = far::last(&world);
    let far = Far::rung(&world);
    let fork = far.fork("other");
    let reliable = |rseq: u32| format!("Require: 100rel\nRSeq: {rseq}\n");
    far.answer_to(&mut world, &invite, 183, &reliable(7), "v=0\n");
    assert_eq!(far::said(&world, "RAck"), "7 1 INVITE");
    // Again, one too far, and the next.
    far.answer_to(&mut world, &invite, 183, &reliable(7), "v=0\n");
    far.answer_to(&mut world, &invite, 180, &reliable(9), "");
    far.answer_to(&mut world, &invite, 180, &reliable(8), "");
    assert_eq!(far::said(&world, "CSeq"), "3 PRACK");
    fork.answer_to(&mut world, &invite, 180, &reliable(100), "");
    assert_eq!(far::said(&world, "CSeq"), "2 PRACK");
    far.answer_to(&mut world, &invite, 200, "", "v=0\n");
    assert_eq!(far::said(&world, "CSeq"), "1 ACK");
    world.hang_up(ANN, ann);
    assert_eq!(far::said(&world, "CSeq"), "4 BYE");
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 183 Session Progress (INVITE, application/sdp)
        0.000   ann → 192.0.2.9:5060: PRACK
        0.000     ann: Progress 183
        0.000   192.0.2.9:5060 → ann: 183 Session Progress (INVITE, application/sdp)
        0.000   192.0.2.9:5060 → ann: 180 Ringing (INVITE)
        0.000   192.0.2.9:5060 → ann: 180 Ringing (INVITE)
        0.000   ann → 192.0.2.9:5060: PRACK
        0.000     ann: Progress 180
        0.000   192.0.2.9:5060 → ann: 180 Ringing (INVITE)
        0.000   ann → 192.0.2.9:5060: PRACK
        0.000     ann: Progress 180
        0.000   192.0.2.9:5060 → ann: 200 OK (INVITE, application/sdp)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000     ann: Answered, 5 bytes
        0.000   ann → 192.0.2.9:5060: BYE
        0.000     ann: Ended Ours
    "#]],
    );
}
