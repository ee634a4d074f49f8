//! Calls that go out, and bridges.

use expect_test::expect;
use sip::message::HeaderName;
use vocab::call::{Cause, Command, Event, Side, Target};
use vocab::{CallId, LegId, Party, Pii};

use crate::far::{Far, sdp};
use crate::world::{World, address, ms, s};

/// Every phone of a user is dialled.
pub(crate) fn user(leg: LegId, name: &str) -> Command {
    let (target, caller) = (Target::User(name.into()), Party::Sip("1000".into()));
    Command::Dial {
        leg,
        target,
        caller,
        timeout: s(20),
        sent_by: None,
    }
}

/// An address is dialled by way of a next hop.
pub(crate) fn hop(leg: LegId, uri: &str, at: &str) -> Command {
    let target = Target::Uri {
        uri: Pii::new(uri.into()),
        next_hop: address(at),
        tcp: false,
        carrier: None,
    };
    Command::Dial {
        leg,
        target,
        caller: Party::E164("+861055501234".into()),
        timeout: s(20),
        sent_by: None,
    }
}

/// The second leg of a call.
pub(crate) const fn second(leg: LegId) -> LegId {
    LegId {
        call: leg.call,
        n: 2,
    }
}

/// The only leg of a call that nobody made by calling in.
pub(crate) fn alone() -> LegId {
    LegId {
        call: CallId(77),
        n: 1,
    }
}

/// A world in which bob has registered two phones, which answer after so long if at all.
fn two_phones(first: Option<u64>, second: Option<u64>) -> World {
    let mut world = World::new();
    for answer in [first, second] {
        let bob = world.phone("bob", |config| config.answer_after = answer.map(s));
        world.register(bob);
    }
    assert_eq!(world.engine.registered("bob"), 2);
    world.skip_ladder();
    world
}

#[test]
fn of_two_phones_the_first_to_answer_gets_the_call() {
    let mut world = two_phones(Some(3), Some(1));
    world.command(user(alone(), "bob"));
    world.until("Answered", |event| matches!(event, Event::Answered { .. }));
    world.run(s(1));
    assert_eq!(
        world.phones.iter().filter(|phone| phone.is_busy()).count(),
        1
    );
    world.command(Command::Hangup {
        leg: alone(),
        cause: Cause::Normal,
    });
    world.settle();
    world.check(expect![[r#"
        2.000   > Dial A1 bob
        2.000   home → bob2: INVITE (application/sdp)
        2.000   home → bob: INVITE (application/sdp)
        2.010   bob2 → home: 100 Trying (INVITE)
        2.010   bob2 → home: 180 Ringing (INVITE)
        2.010   bob → home: 100 Trying (INVITE)
        2.010   bob → home: 180 Ringing (INVITE)
        2.020     Trying A1
        2.020     Ringing A1
        3.010   bob2 → home: 200 OK (INVITE, application/sdp)
        3.020   home → bob2: ACK
        3.020   home → bob: CANCEL
        3.020     Answered A1
        3.030   bob → home: 200 OK (CANCEL)
        3.030   bob → home: 487 Request Terminated (INVITE)
        3.040   home → bob: ACK
        4.020   > Hangup A1 normal
        4.020   home → bob2: BYE
        4.020     Ended A1 normal by Near
        4.030   bob2 → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn phones_that_rang_in_vain_are_told_that_another_answered() {
    let mut world = two_phones(Some(1), None);
    let far = Far::at(&mut world, "far", "192.0.2.11:5060");
    world.command(user(alone(), "bob"));
    world.run(ms(50));
    far.reply(&mut world, "INVITE", "180 Ringing", "");
    world.run(s(2));
    let reason = Far::header(&mut world, far.at, &HeaderName::Reason);
    assert_eq!(
        reason.as_deref(),
        Some("SIP;cause=200;text=\"call completed elsewhere\"")
    );
}

#[test]
fn both_answer_in_the_same_moment() {
    let mut world = two_phones(Some(1), Some(1));
    world.command(user(alone(), "bob"));
    world.run(s(3));
    assert_eq!(
        world.phones.iter().filter(|phone| phone.is_busy()).count(),
        1
    );
    world.command(Command::Hangup {
        leg: alone(),
        cause: Cause::Normal,
    });
    world.settle();
    world.check(expect![[r#"
        2.000   > Dial A1 bob
        2.000   home → bob2: INVITE (application/sdp)
        2.000   home → bob: INVITE (application/sdp)
        2.010   bob2 → home: 100 Trying (INVITE)
        2.010   bob2 → home: 180 Ringing (INVITE)
        2.010   bob → home: 100 Trying (INVITE)
        2.010   bob → home: 180 Ringing (INVITE)
        2.020     Trying A1
        2.020     Ringing A1
        3.010   bob → home: 200 OK (INVITE, application/sdp)
        3.010   bob2 → home: 200 OK (INVITE, application/sdp)
        3.020   home → bob: ACK
        3.020   home → bob2: CANCEL
        3.020     Answered A1
        3.020   home → bob2: ACK
        3.020   home → bob2: BYE
        3.030   bob2 → home: 200 OK (CANCEL)
        3.030   bob2 → home: 200 OK (BYE)
        5.000   > Hangup A1 normal
        5.000   home → bob: BYE
        5.000     Ended A1 normal by Near
        5.010   bob → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn both_phones_are_busy() {
    let mut world = two_phones(None, None);
    // Each calls in, so its one line is taken.
    let (first, second) = (world.connected(0), world.connected(1));
    world.skip_ladder();
    world.command(user(alone(), "bob"));
    world.run(s(1));
    for leg in [first, second] {
        world.command(Command::Hangup {
            leg,
            cause: Cause::Normal,
        });
    }
    world.settle();
    world.check(expect![[r#"
        2.060   > Dial C1 bob
        2.060   home → bob2: INVITE (application/sdp)
        2.060   home → bob: INVITE (application/sdp)
        2.070   bob2 → home: 100 Trying (INVITE)
        2.070   bob2 → home: 486 Busy Here (INVITE)
        2.070   bob → home: 100 Trying (INVITE)
        2.070   bob → home: 486 Busy Here (INVITE)
        2.080     Trying C1
        2.080   home → bob2: ACK
        2.080   home → bob: ACK
        2.080     Ended C1 busy by Far 486
        3.060   > Hangup A1 normal
        3.060   home → bob: BYE
        3.060   > Hangup B1 normal
        3.060   home → bob2: BYE
        3.060     Ended A1 normal by Near
        3.060     Ended B1 normal by Near
        3.070   bob → home: 200 OK (BYE)
        3.070   bob2 → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn nobody_answers() {
    let mut world = two_phones(None, None);
    world.command(user(alone(), "bob"));
    world.run(s(25));
    assert!(world.phones.iter().all(|phone| !phone.is_busy()));
    world.settle();
    world.check(expect![[r#"
        2.000   > Dial A1 bob
        2.000   home → bob2: INVITE (application/sdp)
        2.000   home → bob: INVITE (application/sdp)
        2.010   bob2 → home: 100 Trying (INVITE)
        2.010   bob2 → home: 180 Ringing (INVITE)
        2.010   bob → home: 100 Trying (INVITE)
        2.010   bob → home: 180 Ringing (INVITE)
        2.020     Trying A1
        2.020     Ringing A1
        22.000  home → bob2: CANCEL
        22.000  home → bob: CANCEL
        22.000    Ended A1 no_answer by Near 408
        22.010  bob2 → home: 200 OK (CANCEL)
        22.010  bob2 → home: 487 Request Terminated (INVITE)
        22.010  bob → home: 200 OK (CANCEL)
        22.010  bob → home: 487 Request Terminated (INVITE)
        22.020  home → bob2: ACK
        22.020  home → bob: ACK
    "#]]);
}

#[test]
fn nobody_is_registered() {
    let mut world = World::new();
    world.command(user(alone(), "carol"));
    world.settle();
    world.check(expect![[r#"
        0.000   > Dial A1 carol
        0.000     Ended A1 not_found by Near 404
    "#]]);
}

#[test]
fn without_a_port_nobody_is_dialled() {
    let mut world = World::with(1, &[1]);
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(hop(second(leg), "sip:1@192.0.2.50", "192.0.2.50:5060"));
    world.hang_up(ann);
    world.settle();
    world.check(expect![[r#"
        0.030   > Dial A2 sip:1@192.0.2.50
        0.030     Ended A2 overload by Near 503
        0.030   ann → home: BYE
        0.040   home → ann: 200 OK (BYE)
        0.040     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn a_hang_up_while_it_rings_cancels() {
    let mut world = two_phones(None, None);
    world.command(user(alone(), "bob"));
    world.run(s(1));
    world.skip_ladder();
    world.command(Command::Hangup {
        leg: alone(),
        cause: Cause::Normal,
    });
    world.settle();
    world.check(expect![[r#"
        3.000   > Hangup A1 normal
        3.000   home → bob2: CANCEL
        3.000   home → bob: CANCEL
        3.000     Ended A1 normal by Near
        3.010   bob2 → home: 200 OK (CANCEL)
        3.010   bob2 → home: 487 Request Terminated (INVITE)
        3.010   bob → home: 200 OK (CANCEL)
        3.010   bob → home: 487 Request Terminated (INVITE)
        3.020   home → bob2: ACK
        3.020   home → bob: ACK
    "#]]);
}

#[test]
fn what_a_next_hop_answers() {
    for (status, cause) in [
        ("486 Busy Here", Cause::Busy),
        ("404 Not Found", Cause::NotFound),
        ("480 Temporarily Unavailable", Cause::NoAnswer),
        ("403 Forbidden", Cause::Rejected),
        ("603 Decline", Cause::Rejected),
        ("488 Not Acceptable Here", Cause::NotAcceptable),
        ("503 Service Unavailable", Cause::Unreachable),
        ("302 Moved Temporarily", Cause::Rejected),
        ("407 Proxy Authentication Required", Cause::Rejected),
    ] {
        let mut world = World::new();
        let far = Far::new(&mut world, "far");
        world.command(hop(alone(), "sip:1@192.0.2.50", "192.0.2.50:5060"));
        world.run(ms(50));
        far.reply(&mut world, "INVITE", status, "");
        let event = world.until("end", |event| matches!(event, Event::Ended { .. }));
        let status = status[..3].parse().ok();
        let contact = || Pii::new("sip:far@192.0.2.50:5060".to_owned());
        assert_eq!(
            event,
            Event::Ended {
                leg: alone(),
                cause,
                by: Side::Far,
                status,
                q850: None,
                contacts: (status == Some(302)).then(contact).into_iter().collect(),
                retry_after: None,
            }
        );
        world.settle();
    }
}

#[test]
fn a_next_hop_that_says_nothing_is_unreachable() {
    let mut world = World::new();
    let Command::Dial {
        leg,
        target,
        caller,
        ..
    } = hop(alone(), "sip:1@192.0.2.99", "192.0.2.99:5060")
    else {
        unreachable!()
    };
    world.command(Command::Dial {
        leg,
        target,
        caller,
        timeout: s(60),
        sent_by: None,
    });
    let event = world.until("end", |event| matches!(event, Event::Ended { .. }));
    let (cause, by) = (Cause::Unreachable, Side::Far);
    assert_eq!(
        event,
        Event::Ended {
            leg,
            cause,
            by,
            status: None,
            q850: None,
            contacts: Vec::new(),
            retry_after: None,
        }
    );
    world.settle();
}

#[test]
fn an_answer_that_does_not_fit_our_offer_ends_the_call() {
    for body in ["", "v=0\r\n", &sdp(1, "18", "sendrecv")] {
        let mut world = World::new();
        let far = Far::new(&mut world, "far");
        world.command(hop(alone(), "sip:1@192.0.2.50", "192.0.2.50:5060"));
        world.run(ms(50));
        far.reply(&mut world, "INVITE", "200 OK", body);
        let event = world.until("end", |event| matches!(event, Event::Ended { .. }));
        let (cause, by, status) = (Cause::NotAcceptable, Side::Near, Some(488));
        assert_eq!(
            event,
            Event::Ended {
                leg: alone(),
                cause,
                by,
                status,
                q850: None,
                contacts: Vec::new(),
                retry_after: None,
            }
        );
        assert!(!world.events.contains(&Event::Answered { leg: alone() }));
        world.run(ms(50));
        far.reply(&mut world, "BYE", "200 OK", "");
        world.settle();
    }
}

#[test]
fn one_who_declines_speaks_for_all_phones() {
    let mut world = two_phones(None, None);
    let far = Far::at(&mut world, "far", "192.0.2.11:5060");
    world.command(user(alone(), "bob"));
    world.run(s(1));
    far.reply(&mut world, "INVITE", "603 Decline", "");
    world.run(s(1));
    assert!(!world.phones[0].is_busy());
    world.check(expect![[r#"
        2.000   > Dial A1 bob
        2.000   home → far: INVITE (application/sdp)
        2.000   home → bob: INVITE (application/sdp)
        2.010   bob → home: 100 Trying (INVITE)
        2.010   bob → home: 180 Ringing (INVITE)
        2.020     Trying A1
        2.020     Ringing A1
        2.500   home → far: INVITE (application/sdp)
        3.000   far → home: 603 Decline (INVITE)
        3.010   home → far: ACK
        3.010   home → bob: CANCEL
        3.010     Ended A1 rejected by Far 603
        3.020   bob → home: 200 OK (CANCEL)
        3.020   bob → home: 487 Request Terminated (INVITE)
        3.030   home → bob: ACK
    "#]]);
    world.settle();
}

#[test]
fn callers_are_shown_as_our_realm_vouches_for_them() {
    for (caller, expected) in [
        (
            Party::E164("+861055501234".into()),
            "<sip:+861055501234@demo>",
        ),
        (Party::Sip("1001".into()), "<sip:1001@demo>"),
        (Party::Sip("ann@far.example".into()), "<sip:ann@demo>"),
        (
            Party::Anonymous,
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
        ),
        (
            Party::Sip("@far.example".into()),
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
        ),
        // As decoded from somebody's `From`: it must not add to ours.
        (
            Party::Sip("x>;tag=1\r\nX: <y@h".into()),
            "<sip:x%3E;tag=1%0D%0AX%3A%20%3Cy@demo>",
        ),
    ] {
        let mut world = World::new();
        let far = Far::new(&mut world, "far");
        let Command::Dial {
            leg,
            target,
            timeout,
            ..
        } = hop(alone(), "sip:1@192.0.2.50;x=y", "192.0.2.50:5060")
        else {
            unreachable!()
        };
        world.command(Command::Dial {
            leg,
            target,
            caller,
            timeout,
            sent_by: None,
        });
        world.run(ms(50));
        let invite = world.received(far.at).expect("an INVITE");
        let from = invite.headers().first(&HeaderName::From).unwrap();
        assert_eq!(from.rsplit_once(";tag=").unwrap().0, expected);
        assert_eq!(
            invite.headers().first(&HeaderName::To),
            Some("<sip:1@192.0.2.50;x=y>")
        );
    }
}
