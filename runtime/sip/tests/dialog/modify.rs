//! Our re-INVITE and UPDATE, and theirs.

use expect_test::expect;
use jackfield_sip::{Action, Event};

use super::far::{self, Far};
use super::world::{SDP, World};
use super::{ANN, BOB, check, reinvite, s, talking, update};

#[test]
fn a_reinvite_is_answered() {
    let (mut world, ann, bob) = talking();
    reinvite(&mut world, ANN, ann);
    world.run(s(1));
    world.respond(BOB, bob, 200);
    world.run(s(1));
    reinvite(&mut world, BOB, bob);
    world.run(s(1));
    world.respond(ANN, ann, 488);
    world.run(s(1));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
        2.000   ann → bob: INVITE (application/sdp)
        2.010   bob → ann: 100 Trying (INVITE)
        2.010     bob: Reoffer, 5 bytes
        3.000   bob → ann: 200 OK (INVITE, application/sdp)
        3.010   ann → bob: ACK
        3.010     ann: Reanswered, 5 bytes
        3.020     bob: Confirmed
        4.000   bob → ann: INVITE (application/sdp)
        4.010   ann → bob: 100 Trying (INVITE)
        4.010     ann: Reoffer, 5 bytes
        5.000   ann → bob: 488 Not Acceptable Here (INVITE)
        5.010   bob → ann: ACK
        5.010     bob: Refused 488
        6.000   ann → bob: BYE
        6.000     ann: Ended Ours
        6.010   bob → ann: 200 OK (BYE)
        6.010     bob: Ended Theirs
    "#]],
    );
}

#[test]
fn an_update_is_answered() {
    let (mut world, ann, bob) = talking();
    update(&mut world, ANN, ann, SDP);
    world.run(s(1));
    // It comes again meanwhile, and is not reported twice.
    world.respond(BOB, bob, 200);
    world.run(s(1));
    update(&mut world, BOB, bob, b"");
    world.run(s(1));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
        2.000   ann → bob: UPDATE (application/sdp)
        2.010     bob: Reoffer, 5 bytes
        2.500   ann → bob: UPDATE (application/sdp)
        3.000   bob → ann: 200 OK (UPDATE, application/sdp)
        3.010     ann: Reanswered, 5 bytes
        4.000   bob → ann: UPDATE
        4.010   ann → bob: 200 OK (UPDATE)
        4.020     bob: Reanswered, 0 bytes
        5.000   ann → bob: BYE
        5.000     ann: Ended Ours
        5.010   bob → ann: 200 OK (BYE)
        5.010     bob: Ended Theirs
    "#]],
    );
}

#[test]
fn crossing_reinvites_are_tried_again_at_different_times() {
    let (mut world, ann, bob) = talking();
    reinvite(&mut world, ANN, ann);
    reinvite(&mut world, BOB, bob);
    world.run(s(2));
    world.respond(ANN, ann, 200);
    world.run(s(3));
    world.respond(BOB, bob, 200);
    world.run(s(1));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
        2.000   ann → bob: INVITE (application/sdp)
        2.000   bob → ann: INVITE (application/sdp)
        2.010   bob → ann: 491 Request Pending (INVITE)
        2.010   ann → bob: 491 Request Pending (INVITE)
        2.020   ann → bob: ACK
        2.020   bob → ann: ACK
        3.820   bob → ann: INVITE (application/sdp)
        3.830   ann → bob: 100 Trying (INVITE)
        3.830     ann: Reoffer, 5 bytes
        4.000   ann → bob: 200 OK (INVITE, application/sdp)
        4.010   bob → ann: ACK
        4.010     bob: Reanswered, 5 bytes
        4.020     ann: Confirmed
        5.290   ann → bob: INVITE (application/sdp)
        5.300   bob → ann: 100 Trying (INVITE)
        5.300     bob: Reoffer, 5 bytes
        7.000   bob → ann: 200 OK (INVITE, application/sdp)
        7.010   ann → bob: ACK
        7.010     ann: Reanswered, 5 bytes
        7.020     bob: Confirmed
        8.000   ann → bob: BYE
        8.000     ann: Ended Ours
        8.010   bob → ann: 200 OK (BYE)
        8.010     bob: Ended Theirs
    "#]],
    );
}

#[test]
fn glare_is_given_up_some_time() {
    let mut world = World::new(1);
    let (far, ann) = Far::called(&mut world, "Allow: INVITE, UPDATE\n");
    world.take_ladder();
    reinvite(&mut world, ANN, ann);
    for _ in 0..5 {
        far.answer(&mut world, 491, "", "");
        world.run(s(5));
    }
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 491 Request Pending (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        3.270   ann → 192.0.2.9:5060: INVITE (application/sdp)
        3.770   ann → 192.0.2.9:5060: INVITE (application/sdp)
        4.770   ann → 192.0.2.9:5060: INVITE (application/sdp)
        5.000   192.0.2.9:5060 → ann: 491 Request Pending (INVITE)
        5.000   ann → 192.0.2.9:5060: ACK
        7.210   ann → 192.0.2.9:5060: INVITE (application/sdp)
        7.710   ann → 192.0.2.9:5060: INVITE (application/sdp)
        8.710   ann → 192.0.2.9:5060: INVITE (application/sdp)
        10.000  192.0.2.9:5060 → ann: 491 Request Pending (INVITE)
        10.000  ann → 192.0.2.9:5060: ACK
        13.970  ann → 192.0.2.9:5060: INVITE (application/sdp)
        14.470  ann → 192.0.2.9:5060: INVITE (application/sdp)
        15.000  192.0.2.9:5060 → ann: 491 Request Pending (INVITE)
        15.000  ann → 192.0.2.9:5060: ACK
        18.920  ann → 192.0.2.9:5060: INVITE (application/sdp)
        19.420  ann → 192.0.2.9:5060: INVITE (application/sdp)
        20.000  192.0.2.9:5060 → ann: 491 Request Pending (INVITE)
        20.000  ann → 192.0.2.9:5060: ACK
        20.000    ann: Refused 491
    "#]],
    );
}

/// Tried again at once, it would meet what is in its way again, or be given up on the spot.
#[test]
fn an_offer_that_has_to_wait_is_not_due_at_once() {
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        Far::call(&mut world, "");
        let ann = world.incoming(ANN);
        world.respond(ANN, ann, 200);
        reinvite(&mut world, ANN, ann);
        let deadline = world.peers[ANN].endpoint.deadline();
        assert!(
            deadline.is_some_and(|at| at > world.now.mono),
            "seed {seed}: there is no ACK yet"
        );
    }
}

#[test]
fn their_offer_is_refused_while_ours_is_pending_and_ours_waits_for_theirs() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "Allow: INVITE, UPDATE\n");
    world.take_ladder();
    update(&mut world, ANN, ann, SDP);
    let ours = far::last(&world);
    far.request(&mut world, "INVITE", "", "v=0\n");
    far.request(&mut world, "UPDATE", "", "v=0\n");
    far.request(&mut world, "UPDATE", "", "");
    far.answer_to(&mut world, &ours, 200, "", "v=0\n");
    // Theirs first: the next waits for its answer, and so does ours.
    far.request(&mut world, "UPDATE", "", "v=0\n");
    far.request(&mut world, "UPDATE", "", "v=0\n");
    let wait: u32 = far::said(&world, "Retry-After").parse().unwrap();
    assert!(wait <= 10);
    far.request(&mut world, "INVITE", "", "v=0\n");
    reinvite(&mut world, ANN, ann);
    far::accept(&mut world, ann);
    world.run(s(2));
    far.answer(&mut world, 200, "", "v=0\n");
    check(
        &mut world,
        expect![[r#"
            0.000   ann → 192.0.2.9:5060: UPDATE (application/sdp)
            0.000   192.0.2.9:5060 → ann: INVITE (application/sdp)
            0.000   ann → 192.0.2.9:5060: 491 Request Pending (INVITE)
            0.000   192.0.2.9:5060 → ann: UPDATE (application/sdp)
            0.000   ann → 192.0.2.9:5060: 491 Request Pending (UPDATE)
            0.000   192.0.2.9:5060 → ann: UPDATE
            0.000   ann → 192.0.2.9:5060: 200 OK (UPDATE)
            0.000   192.0.2.9:5060 → ann: 200 OK (UPDATE, application/sdp)
            0.000     ann: Reanswered, 5 bytes
            0.000   192.0.2.9:5060 → ann: UPDATE (application/sdp)
            0.000     ann: Reoffer, 5 bytes
            0.000   192.0.2.9:5060 → ann: UPDATE (application/sdp)
            0.000   ann → 192.0.2.9:5060: 500 Server Internal Error (UPDATE)
            0.000   192.0.2.9:5060 → ann: INVITE (application/sdp)
            0.000   ann → 192.0.2.9:5060: 500 Server Internal Error (INVITE)
            0.000   ann → 192.0.2.9:5060: 200 OK (UPDATE, application/sdp)
            0.500   ann → 192.0.2.9:5060: 500 Server Internal Error (INVITE)
            0.500   ann → 192.0.2.9:5060: 491 Request Pending (INVITE)
            0.870   ann → 192.0.2.9:5060: INVITE (application/sdp)
            1.370   ann → 192.0.2.9:5060: INVITE (application/sdp)
            1.500   ann → 192.0.2.9:5060: 500 Server Internal Error (INVITE)
            1.500   ann → 192.0.2.9:5060: 491 Request Pending (INVITE)
            2.000   192.0.2.9:5060 → ann: 200 OK (INVITE, application/sdp)
            2.000   ann → 192.0.2.9:5060: ACK
            2.000     ann: Reanswered, 5 bytes
        "#]],
    );
}

/// Found by `cargo xtask sim --calls`, seed 1: the copy was accepted with 200.
#[test]
fn a_late_copy_of_a_refused_request_gets_the_same_refusal() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "Allow: INVITE, UPDATE\n");
    for method in ["INVITE", "UPDATE"] {
        far.request(&mut world, "UPDATE", "", "v=0\n");
        far.request(&mut world, method, "", "v=0\n");
        let refusal = world.outside.last().unwrap().1.clone();
        assert!(refusal.starts_with(b"SIP/2.0 500 "));
        // Now it would be accepted.
        far::accept(&mut world, ann);
        far.again(&mut world, method, "", "v=0\n");
        assert_eq!(world.outside.last().unwrap().1, refusal);
    }
    world.hang_up(ANN, ann);
    far.answer(&mut world, 200, "", "");
    world.settle();
}

#[test]
fn an_offer_that_crosses_the_one_in_our_2xx_is_glare() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "Allow: INVITE, UPDATE\n");
    world.take_ladder();
    far.request(&mut world, "INVITE", "", "");
    far::accept(&mut world, ann);
    far.request(&mut world, "UPDATE", "", "v=0\n");
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:5060 → ann: INVITE
            0.000   ann → 192.0.2.9:5060: 100 Trying (INVITE)
            0.000     ann: Reoffer, 0 bytes
            0.000   ann → 192.0.2.9:5060: 200 OK (INVITE, application/sdp)
            0.000   192.0.2.9:5060 → ann: UPDATE (application/sdp)
            0.000   ann → 192.0.2.9:5060: 491 Request Pending (UPDATE)
        "#]],
    );
}

#[test]
fn an_update_nobody_answers_blocks_the_next_for_32_s() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "Allow: INVITE, UPDATE\n");
    world.take_ladder();
    far.request(&mut world, "UPDATE", "", "v=0\n");
    world.run(s(31));
    far.request(&mut world, "UPDATE", "", "v=0\n");
    world.run(s(1));
    far.request(&mut world, "UPDATE", "", "v=0\n");
    far::accept(&mut world, ann);
    far::accept(&mut world, ann);
    check(
        &mut world,
        expect![[r#"
        0.000   192.0.2.9:5060 → ann: UPDATE (application/sdp)
        0.000     ann: Reoffer, 5 bytes
        31.000  192.0.2.9:5060 → ann: UPDATE (application/sdp)
        31.000  ann → 192.0.2.9:5060: 500 Server Internal Error (UPDATE)
        32.000  192.0.2.9:5060 → ann: UPDATE (application/sdp)
        32.000    ann: Reoffer, 5 bytes
        32.000  ann → 192.0.2.9:5060: 200 OK (UPDATE, application/sdp)
    "#]],
    );
}

#[test]
fn a_dialog_they_do_not_know_any_more_ends() {
    for status in [408, 481] {
        let mut world = World::new(1);
        let (far, ann) = Far::talking(&mut world, "");
        world.take_ladder();
        reinvite(&mut world, ANN, ann);
        far.answer(&mut world, status, "", "");
        far.answer(&mut world, 481, "", "");
        assert_eq!(
            world.peers[ANN].events.back(),
            Some(&Event::Ended {
                dialog: ann,
                why: jackfield_sip::End::Lost,
                reason: None
            })
        );
        world.settle();
    }
    let mut world = World::new(1);
    let (far, ann) = Far::talking(&mut world, "");
    world.take_ladder();
    let action = Action::Info {
        dialog: ann,
        content_type: "application/dtmf-relay".into(),
        body: b"Signal=5\r\n".to_vec(),
    };
    world.act(ANN, action);
    assert_eq!(far::said(&world, "Content-Type"), "application/dtmf-relay");
    far.answer(&mut world, 481, "", "");
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INFO (application/dtmf-relay)
        0.000   192.0.2.9:5060 → ann: 481 Call/Transaction Does Not Exist (INFO)
        0.000   ann → 192.0.2.9:5060: BYE
        0.000     ann: Ended Lost
    "#]],
    );
}

#[test]
fn a_reinvite_without_an_answer_ends_the_dialog() {
    let mut world = World::new(1);
    let (_, ann) = Far::talking(&mut world, "");
    world.take_ladder();
    reinvite(&mut world, ANN, ann);
    world.run(s(33));
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.500   ann → 192.0.2.9:5060: INVITE (application/sdp)
        1.500   ann → 192.0.2.9:5060: INVITE (application/sdp)
        3.500   ann → 192.0.2.9:5060: INVITE (application/sdp)
        7.500   ann → 192.0.2.9:5060: INVITE (application/sdp)
        15.500  ann → 192.0.2.9:5060: INVITE (application/sdp)
        31.500  ann → 192.0.2.9:5060: INVITE (application/sdp)
        32.000  ann → 192.0.2.9:5060: BYE
        32.000    ann: Ended Lost
        32.500  ann → 192.0.2.9:5060: BYE
    "#]],
    );
}

#[test]
fn a_reinvite_that_only_rings_is_cancelled() {
    let mut world = World::new(1);
    let (far, ann) = Far::talking(&mut world, "");
    world.take_ladder();
    reinvite(&mut world, ANN, ann);
    let invite = far::last(&world);
    far.answer(&mut world, 100, "", "");
    world.run(s(61));
    far.answer(&mut world, 200, "", "");
    far.answer_to(&mut world, &invite, 487, "", "");
    world.hang_up(ANN, ann);
    far.answer(&mut world, 200, "", "");
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 100 Trying (INVITE)
        60.000  ann → 192.0.2.9:5060: CANCEL
        60.500  ann → 192.0.2.9:5060: CANCEL
        61.000  192.0.2.9:5060 → ann: 200 OK (CANCEL)
        61.000  192.0.2.9:5060 → ann: 487 Request Terminated (INVITE)
        61.000  ann → 192.0.2.9:5060: ACK
        61.000    ann: Refused 487
        61.000  ann → 192.0.2.9:5060: BYE
        61.000    ann: Ended Ours
        61.000  192.0.2.9:5060 → ann: 200 OK (BYE)
    "#]],
    );
    world.settle();
}

#[test]
fn they_hang_up_while_our_reinvite_is_pending() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "");
    world.take_ladder();
    reinvite(&mut world, ANN, ann);
    far.answer(&mut world, 100, "", "");
    far.request(&mut world, "BYE", "Reason: Q.850;cause=16\n", "");
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 100 Trying (INVITE)
        0.000   192.0.2.9:5060 → ann: BYE
        0.000   ann → 192.0.2.9:5060: 200 OK (BYE)
        0.000     ann: Ended Theirs [Q.850;cause=16]
    "#]],
    );
    world.settle();
}

#[test]
fn an_answer_that_crosses_our_bye_is_acknowledged_only() {
    let mut world = World::new(1);
    let (far, ann) = Far::talking(&mut world, "");
    world.take_ladder();
    reinvite(&mut world, ANN, ann);
    let invite = far::last(&world);
    world.hang_up(ANN, ann);
    far.answer_to(&mut world, &invite, 200, "", "v=0\n");
    far.answer(&mut world, 200, "", "");
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   ann → 192.0.2.9:5060: BYE
        0.000     ann: Ended Ours
        0.000   192.0.2.9:5060 → ann: 200 OK (INVITE, application/sdp)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000   192.0.2.9:5060 → ann: 200 OK (BYE)
    "#]],
    );
    world.settle();
}

#[test]
fn the_target_moves_with_every_offer_and_answer() {
    let mut world = World::new(1);
    let (mut far, ann) = Far::talking(&mut world, "Allow: INVITE, UPDATE\n");
    update(&mut world, ANN, ann, b"");
    far.answer(&mut world, 200, "Contact: <sip:new@192.0.2.9:5070>\n", "");
    update(&mut world, ANN, ann, b"");
    assert_eq!(far::line(&world), "UPDATE sip:new@192.0.2.9:5070 SIP/2.0");
    assert_eq!(world.outside.last().unwrap().0.remote.port(), 5070);
    far.answer(&mut world, 200, "Contact: <sip:new@192.0.2.9:5070>\n", "");
    far.request(&mut world, "UPDATE", "", "");
    update(&mut world, ANN, ann, b"");
    assert_eq!(far::line(&world), "UPDATE sip:far@192.0.2.9:5060 SIP/2.0");
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let mut world = World::new(1);
    let (far, ann) = Far::called(&mut world, "Allow: INVITE\n");
    world.take_ladder();
    update(&mut world, ANN, ann, b"");
    reinvite(&mut world, ANN, ann);
    reinvite(&mut world, ANN, ann);
    far.answer(&mut world, 500, "Retry-After: 2\n", "");
    world.run(s(3));
    far.answer(&mut world, 200, "", "v=0\n");
    check(
        &mut world,
        expect![[r#"
        0.000     ann: Refused 405
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000     ann: Refused 491
        0.000   192.0.2.9:5060 → ann: 500 Server Internal Error (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        2.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        2.500   ann → 192.0.2.9:5060: INVITE (application/sdp)
        3.000   192.0.2.9:5060 → ann: 200 OK (INVITE, application/sdp)
        3.000   ann → 192.0.2.9:5060: ACK
        3.000     ann: Reanswered, 5 bytes
    "#]],
    );
}

#[test]
fn a_refusal_tells_why_and_where_else() {
    let mut world = World::new(1);
    let hop = jackfield_sip::Hop {
        transport: jackfield_sip::Transport::Udp,
        remote: far::ADDRESS.parse().unwrap(),
        conn: None,
    };
    world.call_by(ANN, hop, None, &[]);
    let far = Far::rung(&world);
    let headers = "Contact: <sip:b@192.0.2.8>;q=0.5, <sip:a@192.0.2.8>\nContact: \"\nReason: Q.850;cause=19\n";
    far.answer(&mut world, 302, headers, "");
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 302 Moved Temporarily (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000     ann: Failed 302 [Q.850;cause=19] → sip:a@192.0.2.8 → sip:b@192.0.2.8
    "#]],
    );
}

#[test]
fn a_refusal_tells_when_to_come_back() {
    for (headers, expected) in [
        ("Retry-After: 120\n", "again after 120 s"),
        (
            "Retry-After: 18 (in a meeting);duration=60\n",
            "again after 18 s",
        ),
        ("Retry-After: soon\n", "Failed 503"),
    ] {
        let mut world = World::new(1);
        let hop = jackfield_sip::Hop {
            transport: jackfield_sip::Transport::Udp,
            remote: far::ADDRESS.parse().unwrap(),
            conn: None,
        };
        world.call_by(ANN, hop, None, &[]);
        let far = Far::rung(&world);
        far.answer(&mut world, 503, headers, "");
        let ladder = world.take_ladder();
        assert!(ladder.trim_end().ends_with(expected), "{ladder}");
    }
}

#[test]
fn a_reinvite_that_our_bye_overtook_is_forgotten() {
    let mut world = World::new(1);
    let (far, ann) = Far::talking(&mut world, "");
    reinvite(&mut world, ANN, ann);
    let invite = far::last(&world);
    world.hang_up(ANN, ann);
    far.answer(&mut world, 200, "", "");
    // They say that they try, and then nothing.
    far.answer_to(&mut world, &invite, 100, "", "");
    world.settle();
}
