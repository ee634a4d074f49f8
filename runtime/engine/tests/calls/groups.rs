//! Who is rung after whom.

use expect_test::expect;
use sip::message::HeaderName;
use vocab::Party;
use vocab::call::{Cause, Command, Event, Target};

use crate::dial::alone;
use crate::far::{Far, sdp};
use crate::world::{World, ms, s};

/// Bob's phones, each liked as much as it says.
fn liked(phones: &[(&str, &str)]) -> (World, Vec<Far>) {
    let mut world = World::new();
    let mut fars = Vec::new();
    for (n, (name, q)) in phones.iter().enumerate() {
        let far = Far::at(&mut world, name, &format!("192.0.2.{}:5060", 61 + n));
        world.register_by_hand(&far, "bob", &format!("q={q}"));
        fars.push(far);
    }
    world.skip_ladder();
    (world, fars)
}

fn bob() -> Command {
    Command::Dial {
        leg: alone(),
        target: Target::User("bob".to_owned()),
        caller: Party::Anonymous,
        timeout: s(60),
        sent_by: None,
    }
}

#[test]
fn the_next_group_rings_when_the_first_has_rung_long_enough() {
    let (mut world, fars) = liked(&[("desk", "0.9"), ("mobile", "0.9"), ("sofa", "0.5")]);
    world.command(bob());
    world.run(ms(50));
    for far in &fars[..2] {
        far.reply(&mut world, "INVITE", "180 Ringing", "");
    }
    world.run(s(20));
    fars[2].reply(&mut world, "INVITE", "200 OK", &sdp(1, "0", "sendrecv"));
    world.until("Answered", |event| matches!(event, Event::Answered { .. }));
    world.check(expect![[r#"
        0.300   > Dial A1 bob
        0.300   home → mobile: INVITE (application/sdp)
        0.300   home → desk: INVITE (application/sdp)
        0.350   desk → home: 180 Ringing (INVITE)
        0.350   mobile → home: 180 Ringing (INVITE)
        0.360     Trying A1
        0.360     Ringing A1
        20.300  home → mobile: CANCEL
        20.300  home → desk: CANCEL
        20.300  home → sofa: INVITE (application/sdp)
        20.350  sofa → home: 200 OK (INVITE, application/sdp)
        20.360  home → sofa: ACK
        20.360    Answered A1
    "#]]);
    world.command(Command::Hangup {
        leg: alone(),
        cause: Cause::Normal,
    });
    world.run(s(70));
    world.settle();
}

#[test]
fn the_next_group_rings_at_once_when_all_have_refused() {
    let (mut world, fars) = liked(&[("desk", "0.9"), ("sofa", "0.5")]);
    world.command(bob());
    world.run(ms(50));
    fars[0].reply(&mut world, "INVITE", "486 Busy Here", "");
    world.run(ms(50));
    fars[1].reply(&mut world, "INVITE", "180 Ringing", "");
    // The last group rings on until the dial gives up.
    world.run(s(70));
    world.check(expect![[r#"
        0.200   > Dial A1 bob
        0.200   home → desk: INVITE (application/sdp)
        0.250   desk → home: 486 Busy Here (INVITE)
        0.260   home → desk: ACK
        0.260   home → sofa: INVITE (application/sdp)
        0.300   sofa → home: 180 Ringing (INVITE)
        0.310     Trying A1
        0.310     Ringing A1
        60.200  home → sofa: CANCEL
        60.200    Ended A1 no_answer by Near 408
        60.700  home → sofa: CANCEL
        61.700  home → sofa: CANCEL
        63.700  home → sofa: CANCEL
        67.700  home → sofa: CANCEL
    "#]]);
    world.settle();
}

#[test]
fn one_who_declines_for_the_person_ends_it_for_all_groups() {
    let (mut world, fars) = liked(&[("desk", "0.9"), ("sofa", "0.5")]);
    world.command(bob());
    world.run(ms(50));
    fars[0].reply(&mut world, "INVITE", "603 Decline", "");
    world.run(s(1));
    world.check(expect![[r#"
        0.200   > Dial A1 bob
        0.200   home → desk: INVITE (application/sdp)
        0.250   desk → home: 603 Decline (INVITE)
        0.260   home → desk: ACK
        0.260     Ended A1 rejected by Far 603
    "#]]);
    world.settle();
}

#[test]
fn those_who_answer_when_their_turn_is_over_are_dismissed() {
    let (mut world, fars) = liked(&[("desk", "0.9"), ("sofa", "0.5")]);
    let desk = &fars[0];
    world.command(bob());
    world.run(ms(50));
    desk.reply(&mut world, "INVITE", "180 Ringing", "");
    // The answer crosses the CANCEL.
    world.run(ms(19_955));
    desk.again(&mut world, "200 OK", &sdp(1, "0", "sendrecv"));
    world.run(ms(100));
    let reason = Far::header(&mut world, desk.at, &HeaderName::Reason);
    assert_eq!(reason.as_deref(), Some("Q.850;cause=19;text=\"no answer\""));
    assert!(world.ladder().contains("home → sofa"), "{}", world.ladder());
    assert!(!world.events.contains(&Event::Answered { leg: alone() }));
    world.command(Command::Hangup {
        leg: alone(),
        cause: Cause::Elsewhere,
    });
    world.run(s(70));
    world.settle();
}

#[test]
fn nobody_is_registered() {
    let mut world = World::new();
    world.command(bob());
    world.check(expect![[r#"
        0.000   > Dial A1 bob
        0.000     Ended A1 not_found by Near 404
    "#]]);
    world.settle();
}

fn dial(target: Target) -> Command {
    Command::Dial {
        leg: alone(),
        target,
        caller: Party::Anonymous,
        timeout: s(21),
        sent_by: None,
    }
}

/// Bob's desk phone is registered over two flows, and so is his mobile once.
fn two_devices() -> World {
    let mut world = World::new();
    let contacts = [("old", "1"), ("mobile", "2"), ("new", "1")];
    for (n, (name, device)) in contacts.into_iter().enumerate() {
        let far = Far::at(&mut world, name, &format!("192.0.2.{}:5060", 61 + n));
        let params = format!("+sip.instance=\"<urn:uuid:{device}>\"");
        world.register_by_hand(&far, "bob", &params);
    }
    world.skip_ladder();
    world
}

#[test]
fn a_device_with_two_flows_rings_over_the_younger() {
    let mut world = two_devices();
    world.command(dial(Target::User("bob".to_owned())));
    world.check(expect![[r#"
        0.300   > Dial A1 bob
        0.300   home → new: INVITE (application/sdp)
        0.300   home → mobile: INVITE (application/sdp)
    "#]]);
    world.run(s(100));
    world.settle();
}

#[test]
fn one_device_rings_alone_over_one_flow_after_the_other() {
    let mut world = two_devices();
    let gr = "urn:uuid:1".to_owned();
    let user = "bob".to_owned();
    world.command(dial(Target::Device { user, gr }));
    world.run(s(20));
    world.check(expect![[r#"
        0.300   > Dial A1 bob at urn:uuid:1
        0.300   home → new: INVITE (application/sdp)
        0.800   home → new: INVITE (application/sdp)
        1.800   home → new: INVITE (application/sdp)
        3.800   home → new: INVITE (application/sdp)
        7.800   home → new: INVITE (application/sdp)
        15.800  home → new: INVITE (application/sdp)
        20.300  home → old: INVITE (application/sdp)
    "#]]);
    world.run(s(100));
    world.settle();
}

#[test]
fn contacts_ring_in_the_order_in_which_the_user_likes_them() {
    let mut world = World::new();
    for (n, params) in [(1, "q=0.5"), (2, "q=0.9"), (3, "q=0.5")] {
        let at = format!("192.0.2.{}:5060", 60 + n);
        let far = Far::at(&mut world, &format!("phone{n}"), &at);
        world.register_by_hand(&far, "bob", params);
    }
    world.skip_ladder();
    world.command(dial(Target::User("bob".to_owned())));
    world.run(s(22));
    let invites: Vec<String> = world
        .ladder()
        .lines()
        .filter(|line| line.contains("INVITE"))
        .map(|line| line[8..].to_owned())
        .collect();
    let first = |name: &str| invites.iter().position(|line| line.contains(name));
    assert_eq!(first("phone2"), Some(0), "{invites:?}");
    assert!(first("phone1").is_some() && first("phone3").is_some());
    world.run(s(70));
    world.settle();
}
