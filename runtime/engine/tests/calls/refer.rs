//! Transfers: those that a far end asks for, and those that we ask for.

use expect_test::expect;
use sip::message::{HeaderName, Message};
use vocab::Pii;
use vocab::call::{Cause, Command, Event};

use crate::far::{Far, sdp};
use crate::reoffer::{leave, up};
use crate::world::{World, ms, s};

/// The far end asks for a transfer to this `Refer-To`.
fn asks(world: &mut World, far: &mut Far, to: &str) {
    far.next();
    let text = far.request("REFER", "");
    let text = text.replace("Contact:", &format!("Refer-To: <{to}>\r\nContact:"));
    world.send(far.at, &text);
    world.run(ms(50));
}

/// Answers all NOTIFYs that came and gives their bodies.
fn told(world: &mut World, far: &Far) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some(message) = world.received(far.at) {
        if let Message::Request(request) = &message
            && request.method.as_str() == "NOTIFY"
        {
            let body = String::from_utf8(request.body.to_vec()).expect("text");
            bodies.push(body.trim().to_owned());
            far.answer_request(world, message, "200 OK", "");
        }
    }
    world.run(ms(50));
    bodies
}

#[test]
fn a_far_end_is_told_how_its_transfer_goes() {
    let (mut world, mut far, leg) = up();
    asks(&mut world, &mut far, "sip:carol@demo?Subject=x");
    world.command(Command::AnswerRefer { leg, status: 202 });
    world.run(ms(50));
    for status in [180, 200, 200] {
        world.command(Command::TellRefer { leg, status });
        world.run(ms(50));
    }
    assert_eq!(
        told(&mut world, &far),
        [
            "SIP/2.0 100 Trying",
            "SIP/2.0 180 Ringing",
            "SIP/2.0 200 OK"
        ]
    );
    world.check(expect![[r#"
        0.120   far → home: REFER
        0.130     ReferAsked A1 sip:carol@demo
        0.170   > AnswerRefer A1 202
        0.170   home → far: 202 Accepted (REFER)
        0.170   home → far: NOTIFY (message/sipfrag)
        0.220   > TellRefer A1 180
        0.220   home → far: NOTIFY (message/sipfrag)
        0.270   > TellRefer A1 200
        0.270   home → far: NOTIFY (message/sipfrag)
        0.320   > TellRefer A1 200
        0.370   far → home: 200 OK (NOTIFY)
        0.370   far → home: 200 OK (NOTIFY)
        0.370   far → home: 200 OK (NOTIFY)
    "#]]);
    leave(world, far);
}

#[test]
fn a_transfer_is_declined_by_the_node_or_because_nobody_decides() {
    let (mut world, mut far, leg) = up();
    asks(&mut world, &mut far, "sip:carol@demo");
    world.command(Command::AnswerRefer { leg, status: 403 });
    world.run(ms(50));
    assert_eq!(far.answer(&mut world).0, 403);
    world.skip_ladder();
    asks(&mut world, &mut far, "sip:carol@demo");
    world.run(s(11));
    assert_eq!(far.answer(&mut world).0, 603);
    // Too late, and told to nobody.
    world.command(Command::AnswerRefer { leg, status: 202 });
    world.command(Command::TellRefer { leg, status: 200 });
    world.check(expect![[r#"
        0.220   far → home: REFER
        0.230     ReferAsked A1 sip:carol@demo
        5.020     OneWay A1 in
        10.230  home → far: 603 Decline (REFER)
        11.270  > AnswerRefer A1 202
        11.270  > TellRefer A1 200
    "#]]);
    leave(world, far);
}

#[test]
fn whom_a_transfer_takes_the_place_of() {
    let (mut world, mut far, _) = up();
    let mut other = Far::at(&mut world, "other", "192.0.2.60:5060");
    other.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
    let second = world.incoming();
    world.answer_by_hand(second, &mut other);
    world.skip_ladder();
    let tag = other.to_tag.clone().expect("a tag");
    // As the far end sees the other dialog: our tag is the one of the other side.
    for (to, from) in [
        (tag.as_str(), "tag-of-other"),
        (tag.as_str(), "tag-of-nobody"),
        ("nothing", "tag-of-other"),
    ] {
        let replaces = format!("call-of-other%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}");
        asks(
            &mut world,
            &mut far,
            &format!("sip:bob@demo?Replaces={replaces}"),
        );
        let asked = world.until("wish", |event| matches!(event, Event::ReferAsked { .. }));
        let Event::ReferAsked {
            leg,
            to,
            replaces,
            elsewhere,
        } = asked
        else {
            unreachable!()
        };
        assert_eq!(to.reveal(), "sip:bob@demo");
        let known = from == "tag-of-other" && replaces.is_some();
        assert_eq!(replaces, known.then_some(second));
        assert_eq!(elsewhere, !known);
        world.command(Command::AnswerRefer { leg, status: 603 });
        world.run(ms(50));
    }
    other.next();
    other.send(&mut world, "BYE", "");
    leave(world, far);
}

#[test]
fn a_hang_up_leaves_no_transfer_behind() {
    let (mut world, mut far, _) = up();
    asks(&mut world, &mut far, "sip:carol@demo");
    leave(world, far);
    let (mut world, mut far, leg) = up();
    asks(&mut world, &mut far, "sip:carol@demo");
    world.command(Command::Hangup {
        leg,
        cause: Cause::Normal,
    });
    world.run(ms(50));
    far.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
}

#[test]
fn a_far_end_is_asked_to_call_somebody_else() {
    let (mut world, mut far, leg) = up();
    let refer = |to: &str| Command::Refer {
        leg,
        to: Pii::new(to.into()),
    };
    world.command(refer("nowhere"));
    world.command(refer("sip:carol@192.0.2.9"));
    world.command(refer("sip:carol@192.0.2.9"));
    world.run(ms(50));
    let request = std::iter::from_fn(|| world.received(far.at))
        .last()
        .expect("a REFER");
    let to = request.headers().first(&HeaderName::ReferTo);
    assert_eq!(to, Some("<sip:carol@192.0.2.9>"));
    far.answer_request(&mut world, request, "202 Accepted", "");
    world.run(ms(50));
    for (status, state) in [("180 Ringing", "active"), ("200 OK", "terminated")] {
        far.next();
        let text = far.request("NOTIFY", "");
        let text = text.replace(
            "Contact:",
            &format!("Event: refer\r\nSubscription-State: {state}\r\nContact:"),
        );
        let body = format!("SIP/2.0 {status}\r\n");
        let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let text = text.replace(
            "Content-Length: 0\r\n\r\n",
            &format!("Content-Type: message/sipfrag\r\n{length}"),
        );
        world.send(far.at, &text);
        world.run(ms(50));
    }
    // A second one, which is refused, and a third that the hang-up ends.
    world.command(refer("sip:carol@192.0.2.9"));
    world.run(ms(50));
    far.reply(&mut world, "REFER", "405 Method Not Allowed", "");
    world.run(ms(50));
    world.command(refer("sip:carol@192.0.2.9"));
    world.run(ms(50));
    far.reply(&mut world, "REFER", "202 Accepted", "");
    world.run(ms(50));
    far.next();
    far.send(&mut world, "BYE", "");
    world.run(ms(50));
    world.check(expect![[r#"
        0.120   > Refer A1 nowhere
        0.120     Referred A1 400, over
        0.120   > Refer A1 sip:carol@192.0.2.9
        0.120   home → far: REFER
        0.120   > Refer A1 sip:carol@192.0.2.9
        0.120     Referred A1 491, over
        0.170   far → home: 202 Accepted (REFER)
        0.180     Referred A1 202
        0.220   far → home: NOTIFY (message/sipfrag)
        0.230   home → far: 200 OK (NOTIFY)
        0.230     Referred A1 180
        0.270   far → home: NOTIFY (message/sipfrag)
        0.280   home → far: 200 OK (NOTIFY)
        0.280     Referred A1 200, over
        0.320   > Refer A1 sip:carol@192.0.2.9
        0.320   home → far: REFER
        0.370   far → home: 405 Method Not Allowed (REFER)
        0.380     Referred A1 405, over
        0.420   > Refer A1 sip:carol@192.0.2.9
        0.420   home → far: REFER
        0.470   far → home: 202 Accepted (REFER)
        0.480     Referred A1 202
        0.520   far → home: BYE
        0.530   home → far: 200 OK (BYE)
        0.530       media 1 Close
        0.530     Referred A1 silence, over
        0.530     Ended A1 normal by Far
    "#]]);
    world.settle();
}
