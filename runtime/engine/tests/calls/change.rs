//! Offers of ours within a call: hold and retrieve, another order of codecs, one at a time.

use expect_test::expect;
use sip::message::Message;
use vocab::LegId;
use vocab::call::{Cause, Command, Event};

use crate::dial::{alone, hop};
use crate::far::{Far, line, sdp};
use crate::reoffer::{leave, up};
use crate::world::{World, ms, s};

fn reoffer(world: &mut World, leg: LegId, codecs: &[&str], hold: bool) {
    let codecs = codecs.iter().map(|&codec| codec.to_owned()).collect();
    world.command(Command::Reoffer { leg, codecs, hold });
    world.run(ms(50));
}

/// The offer of the request that arrived last; it stays to be answered.
fn offer(world: &mut World, far: &Far, answer: &str) -> String {
    let request = std::iter::from_fn(|| world.received(far.at))
        .filter_map(|message| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        })
        .last()
        .expect("a request");
    let body = String::from_utf8(request.body.to_vec()).expect("SDP is text");
    far.answer_request(world, Message::Request(request), "200 OK", answer);
    body
}

#[test]
fn hold_and_retrieve() {
    let (mut world, far, leg) = up();
    reoffer(&mut world, leg, &[], true);
    let body = offer(&mut world, &far, &sdp(2, "0", "recvonly"));
    assert!(body.contains("a=sendonly"), "{body}");
    world.run(ms(50));
    // Who is not listened to need not send.
    world.run(s(60));
    reoffer(&mut world, leg, &["PCMA"], false);
    let body = offer(&mut world, &far, &sdp(3, "8", "sendrecv"));
    assert!(body.contains("a=sendrecv"), "{body}");
    assert_eq!(line(&body, "m=audio "), "10000 RTP/AVP 8 101");
    world.run(ms(50));
    world.check(expect![[r#"
        0.120   > Reoffer A1 [] hold true
        0.120   home → far: INVITE (application/sdp)
        0.170   far → home: 200 OK (INVITE, application/sdp)
        0.180   home → far: ACK
        0.180       media 1 Configure Pcmu sends
        0.180     Reoffered A1 accepted
        60.220  > Reoffer A1 ["PCMA"] hold false
        60.220  home → far: INVITE (application/sdp)
        60.270  far → home: 200 OK (INVITE, application/sdp)
        60.280  home → far: ACK
        60.280      media 1 Configure Pcma both ways
        60.280    Reoffered A1 accepted
    "#]]);
    leave(world, far);
}

#[test]
fn who_is_on_hold_stays_so_whatever_it_offers() {
    let (mut world, mut far, leg) = up();
    reoffer(&mut world, leg, &[], true);
    offer(&mut world, &far, &sdp(2, "0", "recvonly"));
    world.run(ms(50));
    world.skip_ladder();
    for (direction, answered) in [("sendrecv", "sendonly"), ("sendonly", "inactive")] {
        far.next();
        far.send(&mut world, "INVITE", &sdp(3, "0", direction));
        world.run(ms(50));
        let (status, answer) = far.answer(&mut world);
        assert_eq!(status, 200);
        assert!(answer.contains(&format!("a={answered}")), "{answer}");
        far.send(&mut world, "ACK", "");
        world.run(ms(50));
    }
    // And if it asks for our offer.
    far.next();
    far.send(&mut world, "INVITE", "");
    world.run(ms(50));
    let (_, answer) = far.answer(&mut world);
    assert!(answer.contains("a=sendonly"), "{answer}");
    far.send(&mut world, "ACK", &sdp(4, "0", "recvonly"));
    world.run(ms(50));
    world.check(expect![[r#"
        0.220   far → home: INVITE (application/sdp)
        0.230   home → far: 100 Trying (INVITE)
        0.230       media 1 Configure Pcmu sends
        0.230   home → far: 200 OK (INVITE, application/sdp)
        0.270   far → home: ACK
        0.320   far → home: INVITE (application/sdp)
        0.330   home → far: 100 Trying (INVITE)
        0.330       media 1 Configure Pcmu rests
        0.330   home → far: 200 OK (INVITE, application/sdp)
        0.330     Held A1
        0.370   far → home: ACK
        0.420   far → home: INVITE
        0.430   home → far: 100 Trying (INVITE)
        0.430   home → far: 200 OK (INVITE, application/sdp)
        0.470   far → home: ACK (application/sdp)
        0.480       media 1 Configure Pcmu sends
        0.480     Retrieved A1
    "#]]);
    leave(world, far);
}

#[test]
fn what_is_refused_leaves_everything_as_it_was() {
    let (mut world, far, leg) = up();
    reoffer(&mut world, leg, &[], true);
    far.reply(&mut world, "INVITE", "488 Not Acceptable Here", "");
    world.run(ms(50));
    // Accepted without an answer that could be used.
    reoffer(&mut world, leg, &[], true);
    offer(&mut world, &far, &sdp(2, "18", "recvonly"));
    world.run(ms(50));
    world.check(expect![[r#"
        0.120   > Reoffer A1 [] hold true
        0.120   home → far: INVITE (application/sdp)
        0.170   far → home: 488 Not Acceptable Here (INVITE)
        0.180   home → far: ACK
        0.180     Reoffered A1 488
        0.220   > Reoffer A1 [] hold true
        0.220   home → far: INVITE (application/sdp)
        0.270   far → home: 200 OK (INVITE, application/sdp)
        0.280   home → far: ACK
        0.280     Reoffered A1 488
    "#]]);
    leave(world, far);
}

#[test]
fn one_offer_waits_for_the_other_and_too_many_are_refused() {
    let (mut world, far, leg) = up();
    world.show_media = false;
    for n in 0..10 {
        reoffer(&mut world, leg, &[], n % 2 == 0);
    }
    for n in 0..9 {
        let direction = if n % 2 == 0 { "recvonly" } else { "sendrecv" };
        offer(&mut world, &far, &sdp(2 + n, "0", direction));
        world.run(ms(50));
    }
    world.check(expect![[r#"
        0.120   > Reoffer A1 [] hold true
        0.120   home → far: INVITE (application/sdp)
        0.170   > Reoffer A1 [] hold false
        0.220   > Reoffer A1 [] hold true
        0.270   > Reoffer A1 [] hold false
        0.320   > Reoffer A1 [] hold true
        0.370   > Reoffer A1 [] hold false
        0.420   > Reoffer A1 [] hold true
        0.470   > Reoffer A1 [] hold false
        0.520   > Reoffer A1 [] hold true
        0.570   > Reoffer A1 [] hold false
        0.570     Reoffered A1 491
        0.620   home → far: INVITE (application/sdp)
        0.620   far → home: 200 OK (INVITE, application/sdp)
        0.630   home → far: ACK
        0.630   home → far: INVITE (application/sdp)
        0.630     Reoffered A1 accepted
        0.670   far → home: 200 OK (INVITE, application/sdp)
        0.680   home → far: ACK
        0.680   home → far: INVITE (application/sdp)
        0.680     Reoffered A1 accepted
        0.720   far → home: 200 OK (INVITE, application/sdp)
        0.730   home → far: ACK
        0.730   home → far: INVITE (application/sdp)
        0.730     Reoffered A1 accepted
        0.770   far → home: 200 OK (INVITE, application/sdp)
        0.780   home → far: ACK
        0.780   home → far: INVITE (application/sdp)
        0.780     Reoffered A1 accepted
        0.820   far → home: 200 OK (INVITE, application/sdp)
        0.830   home → far: ACK
        0.830   home → far: INVITE (application/sdp)
        0.830     Reoffered A1 accepted
        0.870   far → home: 200 OK (INVITE, application/sdp)
        0.880   home → far: ACK
        0.880   home → far: INVITE (application/sdp)
        0.880     Reoffered A1 accepted
        0.920   far → home: 200 OK (INVITE, application/sdp)
        0.930   home → far: ACK
        0.930   home → far: INVITE (application/sdp)
        0.930     Reoffered A1 accepted
        0.970   far → home: 200 OK (INVITE, application/sdp)
        0.980   home → far: ACK
        0.980   home → far: INVITE (application/sdp)
        0.980     Reoffered A1 accepted
        1.020   far → home: 200 OK (INVITE, application/sdp)
        1.030   home → far: ACK
        1.030     Reoffered A1 accepted
    "#]]);
    leave(world, far);
}

#[test]
fn who_is_not_up_cannot_be_offered_anything() {
    let mut world = World::new();
    let far = Far::new(&mut world, "far");
    world.command(hop(alone(), "sip:1@192.0.2.50", "192.0.2.50:5060"));
    world.run(ms(50));
    reoffer(&mut world, alone(), &[], true);
    far.reply(&mut world, "INVITE", "486 Busy Here", "");
    world.settle();
    world.check(expect![[r#"
        0.000   > Dial A1 sip:1@192.0.2.50
        0.000   home → far: INVITE (application/sdp)
        0.050   > Reoffer A1 [] hold true
        0.050     Reoffered A1 491
        0.100   far → home: 486 Busy Here (INVITE)
        0.110   home → far: ACK
        0.110     Ended A1 busy by Far 486
    "#]]);
}

#[test]
fn a_hang_up_crosses_our_offer() {
    let (mut world, mut far, leg) = up();
    reoffer(&mut world, leg, &[], true);
    reoffer(&mut world, leg, &[], false);
    far.next();
    far.send(&mut world, "BYE", "");
    world.run(ms(50));
    world.check(expect![[r#"
        0.120   > Reoffer A1 [] hold true
        0.120   home → far: INVITE (application/sdp)
        0.170   > Reoffer A1 [] hold false
        0.220   far → home: BYE
        0.230   home → far: 200 OK (BYE)
        0.230       media 1 Close
        0.230     Reoffered A1 487
        0.230     Reoffered A1 487
        0.230     Ended A1 normal by Far
    "#]]);
    far.reply(&mut world, "INVITE", "487 Request Terminated", "");
    world.settle();

    let (mut world, far, leg) = up();
    reoffer(&mut world, leg, &[], true);
    world.command(Command::Hangup {
        leg,
        cause: Cause::Normal,
    });
    world.run(ms(50));
    far.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
}

#[test]
fn offers_that_cross_are_made_one_after_the_other() {
    let (mut world, mut far, leg) = up();
    world.show_media = false;
    reoffer(&mut world, leg, &[], true);
    far.next();
    far.send(&mut world, "INVITE", &sdp(2, "0", "sendrecv"));
    world.run(ms(50));
    far.reply(&mut world, "INVITE", "491 Request Pending", "");
    world.run(s(5));
    far.reply(&mut world, "INVITE", "200 OK", &sdp(3, "0", "recvonly"));
    world.until("answer", |event| {
        *event == Event::Reoffered { leg, refused: None }
    });
    world.run(ms(50));
    leave(world, far);
}

#[test]
fn a_far_end_that_begins_on_hold_is_reported_so() {
    let mut world = World::new();
    let mut far = Far::new(&mut world, "far");
    let offer = sdp(1, "0", "sendrecv").replace("c=IN IP4 192.0.2.50", "c=IN IP4 0.0.0.0");
    far.send(&mut world, "INVITE", &offer);
    let leg = world.incoming();
    world.answer_by_hand(leg, &mut far);
    far.next();
    far.send(&mut world, "UPDATE", &sdp(2, "0", "sendrecv"));
    world.run(ms(50));
    far.next();
    far.send(&mut world, "UPDATE", &sdp(3, "0", "inactive"));
    world.run(ms(50));
    world.check(expect![[r#"
        0.000   far → home: INVITE (application/sdp)
        0.010   home → far: 100 Trying (INVITE)
        0.010     Incoming A1 from far@192.0.2.50 to 1000
        0.010   > Answer A1
        0.010   home → far: 200 OK (INVITE, application/sdp)
        0.060   far → home: ACK
        0.070     Answered A1
        0.070     Held A1
        0.120   far → home: UPDATE (application/sdp)
        0.130   home → far: 200 OK (UPDATE, application/sdp)
        0.130     Retrieved A1
        0.170   far → home: UPDATE (application/sdp)
        0.180   home → far: 200 OK (UPDATE, application/sdp)
        0.180     Held A1
    "#]]);
    leave(world, far);
}
