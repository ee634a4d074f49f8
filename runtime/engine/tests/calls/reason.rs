//! Why calls end, as far ends say it, and how far calls may go.

use expect_test::expect;
use sip::message::{HeaderName, Message};
use vocab::call::{Cause, Command, Event};

use crate::dial::{alone, hop, second};
use crate::far::{Far, sdp};
use crate::reoffer::up;
use crate::world::{World, ms};

/// The end of a leg: its cause, the status and the Q.850 cause.
fn ended(world: &mut World) -> (Cause, Option<u16>, Option<u8>) {
    match world.until("end", |event| matches!(event, Event::Ended { .. })) {
        Event::Ended {
            cause,
            status,
            q850,
            ..
        } => (cause, status, q850),
        other => panic!("{other:?}"),
    }
}

/// The header of the last message of this kind that came.
fn header(world: &mut World, far: &Far, kind: &str, name: &HeaderName) -> Option<String> {
    let messages = std::iter::from_fn(|| world.received(far.at));
    let of_kind = |message: &Message| match message {
        Message::Request(request) => request.method.as_str() == kind,
        Message::Response(response) => response.status.to_string() == kind,
    };
    let last = messages.filter(of_kind).last().expect("one came");
    last.headers().first(name).map(str::to_owned)
}

#[test]
fn a_refusal_tells_more_by_its_reason() {
    for (status, reason, expected) in [
        (
            "480 Gone",
            "Q.850;cause=17",
            (Cause::Busy, Some(480), Some(17)),
        ),
        (
            "503 No",
            "Q.850;cause=34",
            (Cause::Unreachable, Some(503), Some(34)),
        ),
        (
            "500 No",
            "Q.850;cause=1",
            (Cause::NotFound, Some(500), Some(1)),
        ),
        ("480 Gone", "SIP;cause=486", (Cause::Busy, Some(480), None)),
        (
            "608 No",
            "Q.850;cause=17",
            (Cause::Blocked, Some(608), Some(17)),
        ),
    ] {
        let mut world = World::new();
        let far = Far::new(&mut world, "far");
        world.command(hop(alone(), "sip:1@192.0.2.50", "192.0.2.50:5060"));
        world.run(ms(50));
        let status = format!("{status}\r\nReason: {reason}");
        far.reply(&mut world, "INVITE", &status, "");
        assert_eq!(ended(&mut world), expected, "{status}");
        world.settle();
    }
}

#[test]
fn a_caller_may_say_why_it_gives_up() {
    let mut world = World::new();
    let mut far = Far::new(&mut world, "far");
    far.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
    world.incoming();
    let text = far.request("CANCEL", "");
    let reason = "Reason: SIP;cause=200;text=\"a, b\"\r\nReason: Q.850;cause=26\r\nContact:";
    world.send(far.at, &text.replace("Contact:", reason));
    assert_eq!(ended(&mut world), (Cause::Cancelled, Some(487), Some(26)));
    world.run(ms(50));
    far.give_in(&mut world);
    world.settle();
}

#[test]
fn why_one_side_of_a_bridge_left_is_told_to_the_other() {
    for (cause, expected) in [
        (Cause::Normal, "Q.850;cause=31"),
        // The node has a reason of its own.
        (Cause::Lost, "Q.850;cause=102;text=\"no media received\""),
    ] {
        let (mut world, mut far, leg) = up();
        let other = Far::at(&mut world, "other", "192.0.2.60:5060");
        let b = second(leg);
        world.command(hop(b, "sip:1@192.0.2.60", "192.0.2.60:5060"));
        world.run(ms(50));
        other.reply(&mut world, "INVITE", "200 OK", &sdp(1, "0", "sendrecv"));
        world.run(ms(50));
        world.command(Command::Bridge { a: leg, b });
        far.next();
        let text = far.request("BYE", "");
        let text = text.replace("Contact:", "Reason: Q.850;cause=31\r\nContact:");
        world.send(far.at, &text);
        assert_eq!(ended(&mut world), (Cause::Normal, None, Some(31)));
        world.command(Command::Hangup { leg: b, cause });
        world.run(ms(50));
        other.reply(&mut world, "BYE", "200 OK", "");
        let reason = other.header_of_asked(&HeaderName::Reason);
        assert_eq!(reason.as_deref(), Some(expected));
        world.settle();
    }
}

#[test]
fn a_caller_is_refused_with_what_the_called_said() {
    let mut world = World::new();
    let mut far = Far::new(&mut world, "far");
    far.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
    let leg = world.incoming();
    let (status, q850) = (480, Some(20));
    world.command(Command::Reject { leg, status, q850 });
    world.run(ms(50));
    let reason = header(&mut world, &far, "480", &HeaderName::Reason);
    assert_eq!(reason.as_deref(), Some("Q.850;cause=20"));
}

#[test]
fn a_redirection_names_where_to_the_best_first() {
    let mut world = World::new();
    let far = Far::new(&mut world, "far");
    world.command(hop(alone(), "sip:1@192.0.2.50", "192.0.2.50:5060"));
    world.run(ms(50));
    let status =
        "302 Moved Temporarily\r\nContact: <sip:b@192.0.2.9>;q=0.1, <sip:a@192.0.2.9>;q=0.9";
    far.reply(&mut world, "INVITE", status, "");
    let event = world.until("end", |event| matches!(event, Event::Ended { .. }));
    let Event::Ended { contacts, .. } = event else {
        unreachable!()
    };
    let contacts: Vec<&str> = contacts.iter().map(|it| it.reveal().as_str()).collect();
    // One without preference comes first (RFC 3261 §20.10 leaves it open).
    assert_eq!(
        contacts,
        [
            "sip:far@192.0.2.50:5060",
            "sip:a@192.0.2.9",
            "sip:b@192.0.2.9"
        ]
    );
    world.settle();
}

#[test]
fn a_next_hop_says_when_to_come_back() {
    let mut world = World::new();
    let far = Far::new(&mut world, "far");
    world.command(hop(alone(), "sip:1@192.0.2.50", "192.0.2.50:5060"));
    world.run(ms(50));
    let status = "503 Service Unavailable\r\nRetry-After: 120 (too many calls)";
    far.reply(&mut world, "INVITE", status, "");
    world.settle();
    world.check(expect![[r#"
        0.000   > Dial A1 sip:1@192.0.2.50
        0.000   home → far: INVITE (application/sdp)
        0.050   far → home: 503 Service Unavailable (INVITE)
        0.060   home → far: ACK
        0.060     Ended A1 unreachable by Far 503, again after 120 s
    "#]]);
}

#[test]
fn a_call_has_one_hop_less_to_go_with_each_leg() {
    for (came, went) in [
        ("70", Some("69")),
        ("2", Some("1")),
        ("1", Some("0")),
        ("0", None),
    ] {
        let mut world = World::new();
        let mut far = Far::new(&mut world, "far");
        let other = Far::at(&mut world, "other", "192.0.2.60:5060");
        let text = far.request("INVITE", &sdp(1, "0", "sendrecv"));
        let hops = format!("Max-Forwards: {came}");
        world.send(far.at, &text.replace("Max-Forwards: 70", &hops));
        world.run(ms(50));
        let Some(went) = went else {
            assert_eq!(far.answer(&mut world).0, 483);
            continue;
        };
        let leg = world.incoming();
        let b = second(leg);
        world.command(hop(b, "sip:1@192.0.2.60", "192.0.2.60:5060"));
        world.run(ms(50));
        let hops = header(&mut world, &other, "INVITE", &HeaderName::MaxForwards);
        assert_eq!(hops.as_deref(), Some(went));
    }
}

#[test]
fn a_call_with_no_hop_left_goes_nowhere() {
    // Its only leg was dialled with none left, and goes on as another.
    let mut world = World::new();
    let mut far = Far::new(&mut world, "far");
    let other = Far::at(&mut world, "other", "192.0.2.60:5060");
    let text = far.request("INVITE", &sdp(1, "0", "sendrecv"));
    world.send(far.at, &text.replace("Max-Forwards: 70", "Max-Forwards: 1"));
    let leg = world.incoming();
    let b = second(leg);
    world.command(hop(b, "sip:1@192.0.2.60", "192.0.2.60:5060"));
    world.run(ms(50));
    far.send(&mut world, "CANCEL", "");
    world.run(ms(50));
    far.give_in(&mut world);
    world.run(ms(50));
    world.events.clear();
    let third = vocab::LegId { n: 3, ..b };
    world.command(hop(third, "sip:2@192.0.2.60", "192.0.2.60:5060"));
    assert_eq!(ended(&mut world), (Cause::Rejected, Some(483), None));
    other.reply(&mut world, "INVITE", "486 Busy Here", "");
    world.settle();
}
