//! Calls that come in: what each command makes of them, and offers that are no good.

use expect_test::expect;
use sip::message::HeaderName;
use vocab::call::{Cause, Command, Event};

use crate::far::{Far, line, sdp};
use crate::world::{World, ms, s};

#[test]
fn answered_and_ended_by_the_caller() {
    let mut world = World::new();
    world.show_media = true;
    let ann = world.phone("ann", |_| {});
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.command(Command::Ring { leg });
    world.run(s(1));
    world.command(Command::Answer { leg });
    world.run(s(2));
    world.hang_up(ann);
    world.settle();
    world.check(expect![[r#"
        0.000   ann → home: INVITE (application/sdp)
        0.010   home → ann: 100 Trying (INVITE)
        0.010     Incoming A1 from ann@demo to 1000
        0.010   > Ring A1
        0.010   home → ann: 180 Ringing (INVITE)
        1.010   > Answer A1
        1.010       media 1 Open 192.0.2.1:10000
        1.010       media 1 Configure Pcmu both ways
        1.010   home → ann: 200 OK (INVITE, application/sdp)
        1.020   ann → home: ACK
        1.030     Answered A1
        3.010   ann → home: BYE
        3.020   home → ann: 200 OK (BYE)
        3.020       media 1 Close
        3.020     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn answered_and_ended_by_us_with_a_reason() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(Command::Hangup {
        leg,
        cause: Cause::Overload,
    });
    world.settle();
    world.check(expect![[r#"
        0.030   > Hangup A1 overload
        0.030   home → ann: BYE
        0.030     Ended A1 overload by Near
        0.040   ann → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn rejected() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.command(Command::Reject {
        leg,
        status: 404,
        q850: None,
    });
    world.settle();
    world.check(expect![[r#"
        0.000   ann → home: INVITE (application/sdp)
        0.010   home → ann: 100 Trying (INVITE)
        0.010     Incoming A1 from ann@demo to 1000
        0.010   > Reject A1 404
        0.010   home → ann: 404 Not Found (INVITE)
        0.010     Ended A1 not_found by Near 404
        0.020   ann → home: ACK
    "#]]);
}

#[test]
fn a_hang_up_before_the_answer_is_a_refusal() {
    for (cause, status) in [
        (Cause::Busy, 486),
        (Cause::Normal, 603),
        (Cause::Interrupted, 503),
        (Cause::Failed, 500),
    ] {
        let mut world = World::new();
        let mut far = Far::new(&mut world, "far");
        far.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
        let leg = world.incoming();
        world.command(Command::Hangup { leg, cause });
        world.run(s(1));
        assert_eq!(far.answer(&mut world).0, status, "{cause:?}");
        far.send(&mut world, "ACK", "");
        world.settle();
    }
}

#[test]
fn cancelled_while_it_rings() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.command(Command::Ring { leg });
    world.run(s(1));
    world.hang_up(ann);
    world.settle();
    // It is over: what is commanded now is too late.
    world.command(Command::Answer { leg });
    world.command(Command::Hangup {
        leg,
        cause: Cause::Normal,
    });
    world.check(expect![[r#"
        0.000   ann → home: INVITE (application/sdp)
        0.010   home → ann: 100 Trying (INVITE)
        0.010     Incoming A1 from ann@demo to 1000
        0.010   > Ring A1
        0.010   home → ann: 180 Ringing (INVITE)
        1.010   ann → home: CANCEL
        1.020   home → ann: 200 OK (CANCEL)
        1.020   home → ann: 487 Request Terminated (INVITE)
        1.020     Ended A1 cancelled by Far 487 Q.850 16
        1.030   ann → home: ACK
        71.010  > Answer A1
        71.010  > Hangup A1 normal
    "#]]);
}

#[test]
fn an_answer_that_crosses_a_cancel_is_hung_up() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.run(s(1));
    world.hang_up(ann);
    world.command(Command::Answer { leg });
    world.settle();
    world.check(expect![[r#"
        0.000   ann → home: INVITE (application/sdp)
        0.010   home → ann: 100 Trying (INVITE)
        0.010     Incoming A1 from ann@demo to 1000
        1.010   ann → home: CANCEL
        1.010   > Answer A1
        1.010   home → ann: 200 OK (INVITE, application/sdp)
        1.020   home → ann: 200 OK (CANCEL)
        1.020   ann → home: ACK
        1.020   ann → home: BYE
        1.030     Answered A1
        1.030   home → ann: 200 OK (BYE)
        1.030     Ended A1 normal by Far
    "#]]);
}

#[test]
fn challenged_and_proved() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.command(Command::Challenge { leg });
    let again = world.incoming();
    world.answer(again);
    world.hang_up(ann);
    world.settle();
    world.check(expect![[r#"
        0.000   ann → home: INVITE (application/sdp)
        0.010   home → ann: 100 Trying (INVITE)
        0.010     Incoming A1 from ann@demo to 1000
        0.010   > Challenge A1
        0.010   home → ann: 401 Unauthorized (INVITE)
        0.010     Ended A1 challenged by Near 401
        0.020   ann → home: ACK
        0.020   ann → home: INVITE (application/sdp)
        0.030   home → ann: 100 Trying (INVITE)
        0.030     Incoming B1 from ann@demo to 1000, proved ann
        0.030   > Answer B1
        0.030   home → ann: 200 OK (INVITE, application/sdp)
        0.040   ann → home: ACK
        0.050     Answered B1
        0.050   ann → home: BYE
        0.060   home → ann: 200 OK (BYE)
        0.060     Ended B1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn an_invite_without_an_offer_gets_ours() {
    let mut world = World::new();
    world.show_media = true;
    let mut far = Far::new(&mut world, "far");
    far.send(&mut world, "INVITE", "");
    let leg = world.incoming();
    world.command(Command::Answer { leg });
    world.run(ms(100));
    let (status, offer) = far.answer(&mut world);
    assert_eq!(
        (status, line(&offer, "m=audio ")),
        (200, "10000 RTP/AVP 0 8 101")
    );
    far.send(&mut world, "ACK", &sdp(1, "8", "sendrecv"));
    world.run(ms(100));
    far.next();
    far.send(&mut world, "BYE", "");
    world.settle();
    world.check(expect![[r#"
        0.000   far → home: INVITE
        0.010   home → far: 100 Trying (INVITE)
        0.010     Incoming A1 from far@192.0.2.50 to 1000
        0.010   > Answer A1
        0.010       media 1 Open 192.0.2.1:10000
        0.010   home → far: 200 OK (INVITE, application/sdp)
        0.110   far → home: ACK (application/sdp)
        0.120       media 1 Configure Pcma both ways
        0.120     Answered A1
        0.210   far → home: BYE
        0.220   home → far: 200 OK (BYE)
        0.220       media 1 Close
        0.220     Ended A1 normal by Far
    "#]]);
}

#[test]
fn an_answer_that_is_none_ends_a_late_offer() {
    for body in ["", "v=0\r\nnonsense\r\n", &sdp(1, "18", "sendrecv")] {
        let mut world = World::new();
        let mut far = Far::new(&mut world, "far");
        far.send(&mut world, "INVITE", "");
        let leg = world.incoming();
        world.command(Command::Answer { leg });
        world.run(ms(100));
        far.answer(&mut world);
        far.send(&mut world, "ACK", body);
        let ended = world.until("end", |event| matches!(event, Event::Ended { .. }));
        assert!(
            matches!(
                ended,
                Event::Ended {
                    cause: Cause::NotAcceptable,
                    ..
                }
            ),
            "{body}: {ended:?}"
        );
        world.run(ms(100));
        far.reply(&mut world, "BYE", "200 OK", "");
        world.settle();
    }
}

#[test]
fn offers_that_are_no_good() {
    for (offer, status) in [
        // No common codec: G.729 alone.
        (sdp(1, "18", "sendrecv"), 488),
        // No audio.
        (sdp(1, "0", "sendrecv").replace("m=audio", "m=video"), 488),
        // Media over another transport.
        (sdp(1, "0", "sendrecv").replace("RTP/AVP", "RTP/SAVP"), 488),
        // Not a session description.
        ("v=0\r\nhello\r\n".to_owned(), 400),
        ("\r\n".to_owned(), 400),
        // Nowhere to send to (RFC 8866 §5.7).
        (
            sdp(1, "0", "sendrecv").replace("c=IN IP4 192.0.2.50\r\n", ""),
            400,
        ),
    ] {
        let mut world = World::new();
        let mut far = Far::new(&mut world, "far");
        far.send(&mut world, "INVITE", &offer);
        let leg = world.incoming();
        world.command(Command::Answer { leg });
        world.run(ms(100));
        assert_eq!(far.answer(&mut world).0, status, "{offer}");
        far.send(&mut world, "ACK", "");
        let ended = world.until("end", |event| matches!(event, Event::Ended { .. }));
        let Event::Ended {
            cause,
            status: told,
            ..
        } = ended
        else {
            unreachable!()
        };
        assert_eq!(
            (cause, told),
            (Cause::NotAcceptable, Some(status)),
            "{offer}"
        );
        world.settle();
    }
}

#[test]
fn without_ports_the_caller_is_told_to_come_back() {
    let mut world = World::with(1, &[1]);
    let ann = world.phone("ann", |_| {});
    world.connected(ann);
    let mut far = Far::new(&mut world, "far");
    far.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
    world.run(ms(100));
    let retry = Far::header(&mut world, far.at, &HeaderName::RetryAfter);
    assert_eq!(retry.as_deref(), Some("5"));
    assert_eq!(
        world.engine.counts().legs,
        1,
        "it was refused without a leg"
    );
    world.hang_up(ann);
    world.settle();
}

#[test]
fn a_full_node_keeps_its_calls_and_refuses_new_ones() {
    let mut world = World::new();
    let (ann, bob) = (world.phone("ann", |_| {}), world.phone("bob", |_| {}));
    let first = world.connected(ann);
    world.full(0, true);
    world.skip_ladder();
    world.dial(bob, "1000");
    world.run(s(1));
    // The call that is up may still be joined by somebody, and is changed as before.
    world.command(Command::Reoffer {
        leg: first,
        codecs: Vec::new(),
        hold: false,
    });
    world.run(s(1));
    world.full(0, false);
    world.dial(bob, "1000");
    let second = world.incoming();
    world.answer(second);
    world.hang_up(ann);
    world.hang_up(bob);
    world.settle();
    world.check(expect![[r#"
        0.030   bob → home: INVITE (application/sdp)
        0.040   home → bob: 100 Trying (INVITE)
        0.040   home → bob: 503 Service Unavailable (INVITE)
        0.050   bob → home: ACK
        1.030   > Reoffer A1 [] hold false
        1.030   home → ann: INVITE (application/sdp)
        1.040   ann → home: 100 Trying (INVITE)
        1.040   ann → home: 200 OK (INVITE, application/sdp)
        1.050   home → ann: ACK
        1.050     Reoffered A1 accepted
        2.030   bob → home: INVITE (application/sdp)
        2.040   home → bob: 100 Trying (INVITE)
        2.040     Incoming B1 from bob@demo to 1000
        2.040   > Answer B1
        2.040   home → bob: 200 OK (INVITE, application/sdp)
        2.050   bob → home: ACK
        2.060     Answered B1
        2.060   ann → home: BYE
        2.060   bob → home: BYE
        2.070   home → ann: 200 OK (BYE)
        2.070   home → bob: 200 OK (BYE)
        2.070     Ended A1 normal by Far Q.850 16
        2.070     Ended B1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn two_calls_race_for_the_last_port() {
    let mut world = World::with(1, &[1]);
    let ann = world.phone("ann", |_| {});
    let bob = world.phone("bob", |_| {});
    world.dial(ann, "1000");
    world.dial(bob, "1000");
    let (first, second) = (world.incoming(), world.incoming());
    world.skip_ladder();
    world.command(Command::Answer { leg: first });
    world.command(Command::Answer { leg: second });
    world.run(s(1));
    world.hang_up(ann);
    world.settle();
    world.check(expect![[r#"
        0.010   > Answer A1
        0.010   home → ann: 200 OK (INVITE, application/sdp)
        0.010   > Answer B1
        0.010   home → bob: 503 Service Unavailable (INVITE)
        0.010     Ended B1 overload by Near 503
        0.020   ann → home: ACK
        0.020   bob → home: ACK
        0.030     Answered A1
        1.010   ann → home: BYE
        1.020   home → ann: 200 OK (BYE)
        1.020     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn commands_before_the_answer_are_answered_all_the_same() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.skip_ladder();
    crate::gather::everything(&mut world, leg);
    world.command(Command::Reject {
        leg,
        status: 480,
        q850: None,
    });
    world.settle();
    world.check(expect![[r#"
        0.010   > Play A1 1
        0.010     Played A1 1 stopped
        0.010   > Gather A1
        0.010     Gathered A1 "" Timeout
        0.010   > Record A1 1
        0.010     Recorded A1 1 Hangup 0 ms
        0.010   > Bridge A1 A1
        0.010     Unbridged A1 A1
        0.010   > Unbridge A1
        0.010   > Join A1
        0.010     Left A1
        0.010   > Reject A1 480
        0.010   home → ann: 480 Temporarily Unavailable (INVITE)
        0.010     Ended A1 no_answer by Near 480
        0.020   ann → home: ACK
    "#]]);
}

#[test]
fn callers_as_they_show_themselves() {
    for (from, expected) in [
        ("<sip:+861055501234@far.example>", "+861055501234"),
        ("\"Ann\" <sip:ann@far.example>", "ann@far.example"),
        ("<sip:a%6En@far.example>", "ann@far.example"),
        ("<tel:+861055501234>", "+861055501234"),
        ("<sip:anonymous@anonymous.invalid>", "anonymous"),
        ("<sip:far.example>", "anonymous"),
        ("<urn:service:sos>", "anonymous"),
        // A plus and letters is a name.
        ("<sip:+ann@far.example>", "+ann@far.example"),
    ] {
        let mut world = World::new();
        let mut far = Far::new(&mut world, "far");
        let invite = far.request("INVITE", &sdp(1, "0", "sendrecv"));
        let old = format!("<sip:far@{}>;tag", far.at);
        assert!(invite.contains(&old));
        world.send(far.at, &invite.replace(&old, &format!("{from};tag")));
        let event = world.until("Incoming", |event| matches!(event, Event::Incoming { .. }));
        let Event::Incoming {
            from: party, to, ..
        } = event
        else {
            unreachable!()
        };
        assert_eq!((party.reveal(), &*to), (expected, "1000"), "{from}");
    }
}
