//! Offers within a call: another codec, hold and resume, and those that come at a bad time.

use expect_test::expect;
use vocab::LegId;
use vocab::call::{Command, Event};

use crate::dial::{alone, hop};
use crate::far::{Far, line, sdp};
use crate::world::{World, ms, s};

/// A far end whose call is up, with the media commands in the ladder.
pub(crate) fn up() -> (World, Far, LegId) {
    let mut world = World::new();
    let mut far = Far::new(&mut world, "far");
    far.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
    let leg = world.incoming();
    world.command(Command::Answer { leg });
    world.run(ms(50));
    assert_eq!(far.answer(&mut world).0, 200);
    far.send(&mut world, "ACK", "");
    world.until("Answered", |event| *event == Event::Answered { leg });
    world.run(ms(50));
    world.show_media = true;
    world.skip_ladder();
    (world, far, leg)
}

/// Offers this and acknowledges the answer; gives that.
fn reoffer(world: &mut World, far: &mut Far, body: &str) -> (u16, String) {
    far.next();
    far.send(world, "INVITE", body);
    world.run(ms(50));
    let answer = far.answer(world);
    far.send(world, "ACK", "");
    world.run(ms(50));
    answer
}

pub(crate) fn leave(mut world: World, mut far: Far) -> World {
    far.next();
    far.send(&mut world, "BYE", "");
    world.settle();
    world
}

#[test]
fn another_codec() {
    let (mut world, mut far, _) = up();
    let (status, answer) = reoffer(&mut world, &mut far, &sdp(2, "8 0", "sendrecv"));
    assert_eq!(
        (status, line(&answer, "m=audio ")),
        (200, "10000 RTP/AVP 8")
    );
    world.check(expect![[r#"
        0.120   far → home: INVITE (application/sdp)
        0.130   home → far: 100 Trying (INVITE)
        0.130       media 1 Configure Pcma both ways
        0.130   home → far: 200 OK (INVITE, application/sdp)
        0.170   far → home: ACK
    "#]]);
    leave(world, far);
}

#[test]
fn hold_and_resume() {
    let (mut world, mut far, _) = up();
    for (direction, answered) in [
        ("sendonly", "a=recvonly"),
        ("inactive", "a=inactive"),
        ("recvonly", "a=sendonly"),
        ("sendrecv", "a=sendrecv"),
    ] {
        let version = far.cseq + 1;
        let (status, answer) = reoffer(&mut world, &mut far, &sdp(version, "0", direction));
        assert_eq!(status, 200);
        assert!(answer.contains(answered), "{direction}: {answer}");
    }
    world.check(expect![[r#"
        0.120   far → home: INVITE (application/sdp)
        0.130   home → far: 100 Trying (INVITE)
        0.130       media 1 Configure Pcmu receives
        0.130   home → far: 200 OK (INVITE, application/sdp)
        0.130     Held A1
        0.170   far → home: ACK
        0.220   far → home: INVITE (application/sdp)
        0.230   home → far: 100 Trying (INVITE)
        0.230       media 1 Configure Pcmu rests
        0.230   home → far: 200 OK (INVITE, application/sdp)
        0.270   far → home: ACK
        0.320   far → home: INVITE (application/sdp)
        0.330   home → far: 100 Trying (INVITE)
        0.330       media 1 Configure Pcmu sends
        0.330   home → far: 200 OK (INVITE, application/sdp)
        0.330     Retrieved A1
        0.370   far → home: ACK
        0.420   far → home: INVITE (application/sdp)
        0.430   home → far: 100 Trying (INVITE)
        0.430       media 1 Configure Pcmu both ways
        0.430   home → far: 200 OK (INVITE, application/sdp)
        0.470   far → home: ACK
    "#]]);
    leave(world, far);
}

#[test]
fn who_holds_us_need_not_send() {
    let (mut world, mut far, _) = up();
    reoffer(&mut world, &mut far, &sdp(2, "0", "inactive"));
    // Far beyond the time after which silence means that a far end is gone.
    world.run(s(120));
    assert_eq!(world.engine.counts().legs, 1);
    reoffer(&mut world, &mut far, &sdp(3, "0", "sendrecv"));
    let ended = world.until("end", |event| matches!(event, Event::Ended { .. }));
    assert!(
        matches!(
            ended,
            Event::Ended {
                cause: vocab::call::Cause::Lost,
                ..
            }
        ),
        "{ended:?}"
    );
    world.run(ms(50));
    far.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
}

#[test]
fn an_offer_that_is_no_good_changes_nothing() {
    let (mut world, mut far, _) = up();
    for (offer, status) in [
        (sdp(2, "18", "sendrecv"), 488),
        ("v=0\r\nhello\r\n".to_owned(), 400),
        (
            sdp(2, "0", "sendrecv").replace("c=IN IP4 192.0.2.50\r\n", ""),
            400,
        ),
    ] {
        assert_eq!(reoffer(&mut world, &mut far, &offer).0, status, "{offer}");
    }
    assert_eq!(world.engine.counts().legs, 1);
    assert!(world.events.is_empty(), "{:?}", world.events);
    leave(world, far);
}

#[test]
fn a_far_end_that_wants_our_offer() {
    let (mut world, mut far, _) = up();
    far.next();
    far.send(&mut world, "INVITE", "");
    world.run(ms(50));
    let (status, offer) = far.answer(&mut world);
    assert_eq!(
        (status, line(&offer, "m=audio ")),
        (200, "10000 RTP/AVP 0 8 101")
    );
    far.send(&mut world, "ACK", &sdp(2, "8", "sendrecv"));
    world.run(ms(50));
    world.check(expect![[r#"
        0.120   far → home: INVITE
        0.130   home → far: 100 Trying (INVITE)
        0.130   home → far: 200 OK (INVITE, application/sdp)
        0.170   far → home: ACK (application/sdp)
        0.180       media 1 Configure Pcma both ways
    "#]]);
    // Without an answer to it there is no agreement left to talk on.
    far.next();
    far.send(&mut world, "INVITE", "");
    world.run(ms(50));
    far.answer(&mut world);
    far.send(&mut world, "ACK", "");
    world.run(ms(50));
    far.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
    world.check(expect![[r#"
        0.220   far → home: INVITE
        0.230   home → far: 100 Trying (INVITE)
        0.230   home → far: 200 OK (INVITE, application/sdp)
        0.270   far → home: ACK
        0.280       media 1 Close
        0.280   home → far: BYE
        0.280     Ended A1 not_acceptable by Near 488
        0.320   far → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn a_second_offer_waits_for_the_first_to_be_acknowledged() {
    let (mut world, mut far, _) = up();
    far.next();
    far.send(&mut world, "INVITE", &sdp(2, "0", "sendrecv"));
    world.run(ms(50));
    assert_eq!(far.answer(&mut world).0, 200);
    let unacknowledged = far.request("ACK", "");
    far.next();
    far.send(&mut world, "INVITE", &sdp(3, "8", "sendrecv"));
    world.run(ms(50));
    assert_eq!(far.answer(&mut world).0, 500);
    far.send(&mut world, "ACK", "");
    world.send(far.at, &unacknowledged);
    world.run(ms(50));
    world.check(expect![[r#"
        0.120   far → home: INVITE (application/sdp)
        0.130   home → far: 100 Trying (INVITE)
        0.130       media 1 Configure Pcmu both ways
        0.130   home → far: 200 OK (INVITE, application/sdp)
        0.170   far → home: INVITE (application/sdp)
        0.180   home → far: 500 Server Internal Error (INVITE)
        0.220   far → home: ACK
        0.220   far → home: ACK
    "#]]);
    leave(world, far);
}

#[test]
fn an_offer_while_ours_is_out_is_glare() {
    let mut world = World::new();
    let far = Far::new(&mut world, "far");
    world.command(hop(alone(), "sip:1@192.0.2.50", "192.0.2.50:5060"));
    world.run(ms(50));
    let invite = world.received(far.at).expect("an INVITE");
    let header = |name| invite.headers().first(&name).unwrap_or_default().to_owned();
    use sip::message::HeaderName as H;
    let (via, from, to) = (header(H::Via), header(H::From), header(H::To));
    let call_id = header(H::CallId);
    let far_at = far.at;
    world.send(
        far_at,
        &format!(
            "SIP/2.0 180 Ringing\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=far\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:far@{far_at}>\r\n\
         Content-Length: 0\r\n\r\n"
        ),
    );
    world.run(ms(50));
    let body = sdp(1, "0", "sendrecv");
    world.send(far_at, &format!(
        "INVITE sip:home@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {far_at};branch=z9hG4bK-glare\r\n\
         Max-Forwards: 70\r\nFrom: {to};tag=far\r\nTo: {from}\r\nCall-ID: {call_id}\r\n\
         CSeq: 9 INVITE\r\nContact: <sip:far@{far_at}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    world.run(ms(50));
    world.check(expect![[r#"
        0.000   > Dial A1 sip:1@192.0.2.50
        0.000   home → far: INVITE (application/sdp)
        0.050   far → home: 180 Ringing (INVITE)
        0.060     Trying A1
        0.060     Ringing A1
        0.100   far → home: INVITE (application/sdp)
        0.110   home → far: 491 Request Pending (INVITE)
    "#]]);
}

#[test]
fn a_description_keeps_its_name_and_counts_up() {
    let mut world = World::new();
    let mut far = Far::new(&mut world, "far");
    far.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
    let leg = world.incoming();
    world.command(Command::Answer { leg });
    world.run(ms(50));
    let (_, first) = far.answer(&mut world);
    far.send(&mut world, "ACK", "");
    let origin = |sdp: &str| -> (String, u64) {
        let words: Vec<&str> = line(sdp, "o=").split(' ').collect();
        (words[1].to_owned(), words[2].parse().expect("a number"))
    };
    let (id, version) = origin(&first);
    for n in 1..=3 {
        world.run(ms(50));
        far.next();
        far.send(&mut world, "INVITE", &sdp(1 + n, "0", "sendrecv"));
        world.run(ms(50));
        let (_, next) = far.answer(&mut world);
        far.send(&mut world, "ACK", "");
        // RFC 3264 §8: nothing of the line but the version changes, and that by one.
        assert_eq!(origin(&next), (id.clone(), version + u64::from(n)));
    }
    world.run(ms(50));
    far.next();
    far.send(&mut world, "BYE", "");
    world.settle();
}

/// An INVITE of the second far end that replaces the dialog of the first.
fn replacing(first: &Far, second: &mut Far, body: &str, headers: &str) -> String {
    let replaces = format!(
        "Replaces: {};to-tag={};from-tag={}\r\n",
        first.call_id,
        first.to_tag.as_deref().unwrap_or_default(),
        first.tag
    );
    let text = second.request("INVITE", body);
    text.replacen(
        "Content-Type",
        &format!("{replaces}{headers}Content-Type"),
        1,
    )
}

#[test]
fn a_known_caller_takes_the_place_of_a_far_end() {
    let (mut world, first, leg) = up();
    let mut second = Far::at(&mut world, "second", "192.0.2.51:5060");
    let body = sdp(1, "8", "sendrecv");
    let text = replacing(&first, &mut second, &body, "");
    world.send(second.at, &text);
    world.run(ms(50));
    // Nobody says who it is.
    let challenge = std::iter::from_fn(|| world.received(second.at))
        .find_map(|message| sip::auth::Challenge::choose(message.headers()))
        .expect("a challenge");
    let ack = second.request("ACK", "").replace("far-2", "far-1");
    world.send(second.at, &ack);
    second.next();
    let credentials = sip::Credentials {
        user: "ann".into(),
        password: crate::world::secret("ann"),
    };
    let login = sip::auth::Client::new(challenge).answer(
        &mut vocab::Rng::from_u64(1),
        &sip::message::Method::Invite,
        "sip:1000@192.0.2.1",
        &credentials,
    );
    let login = format!("Authorization: {login}\r\n");
    let text = replacing(&first, &mut second, &body, &login);
    world.send(second.at, &text);
    world.run(ms(50));
    let (status, answer) = second.answer(&mut world);
    assert_eq!(
        (status, line(&answer, "m=audio ")),
        (200, "10000 RTP/AVP 8")
    );
    second.send(&mut world, "ACK", "");
    first.reply(&mut world, "BYE", "200 OK", "");
    world.run(ms(50));
    assert_eq!(world.engine.counts().legs, 1);
    second.next();
    second.send(&mut world, "BYE", "");
    let ended = world.until("end", |event| matches!(event, Event::Ended { .. }));
    assert!(matches!(ended, Event::Ended { leg: of, .. } if of == leg));
    world.settle();
    world.check(expect![[r#"
        0.120   second → home: INVITE (application/sdp)
        0.130   home → second: 100 Trying (INVITE)
        0.130   home → second: 401 Unauthorized (INVITE)
        0.170   second → home: ACK
        0.170   second → home: INVITE (application/sdp)
        0.180   home → second: 100 Trying (INVITE)
        0.180       media 1 Configure Pcma both ways
        0.180   home → second: 200 OK (INVITE, application/sdp)
        0.180   home → far: BYE
        0.220   second → home: ACK
        0.220   far → home: 200 OK (BYE)
        0.270   second → home: BYE
        0.280   home → second: 200 OK (BYE)
        0.280       media 1 Close
        0.280     Ended A1 normal by Far
    "#]]);
}

#[test]
fn an_update_changes_the_codec() {
    let (mut world, mut far, _) = up();
    far.next();
    far.send(&mut world, "UPDATE", &sdp(2, "8 0", "sendrecv"));
    world.run(ms(50));
    let (status, answer) = far.answer(&mut world);
    assert_eq!(
        (status, line(&answer, "m=audio ")),
        (200, "10000 RTP/AVP 8")
    );
    world.check(expect![[r#"
        0.120   far → home: UPDATE (application/sdp)
        0.130       media 1 Configure Pcma both ways
        0.130   home → far: 200 OK (UPDATE, application/sdp)
    "#]]);
    leave(world, far);
}
