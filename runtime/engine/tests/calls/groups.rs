//! Who is rung after whom.

use std::time::Duration;

use expect_test::expect;
use sip::message::HeaderName;
use vocab::Party;
use vocab::call::{Command, Event, RingGroup, Target};

use crate::dial::alone;
use crate::far::Far;
use crate::world::{World, ms, s};

fn groups(groups: &[(&[&str], Duration)]) -> Command {
    let group = |(users, lasting): &(&[&str], Duration)| RingGroup {
        users: users.iter().map(|&user| user.to_owned()).collect(),
        lasting: *lasting,
    };
    Command::Dial {
        leg: alone(),
        target: Target::Users(groups.iter().map(group).collect()),
        caller: Party::Anonymous,
        timeout: s(60),
    }
}

/// Ann, bob and carol have registered; each answers after so many seconds, if at all.
fn three(answers: [Option<u64>; 3]) -> World {
    let mut world = World::new();
    for (user, answer) in ["ann", "bob", "carol"].into_iter().zip(answers) {
        let phone = world.phone(user, |config| config.answer_after = answer.map(s));
        world.register(phone);
    }
    world.skip_ladder();
    world
}

#[test]
fn the_next_group_rings_when_the_first_has_rung_long_enough() {
    let mut world = three([None, None, Some(2)]);
    // The same twice, and one who is not there, count for nothing; nor does a group of such.
    world.command(groups(&[
        (&["nobody"], s(9)),
        (&["bob", "ann", "bob", "nobody"], s(10)),
        (&["nobody"], s(9)),
        (&["carol"], s(10)),
    ]));
    world.until("Answered", |event| matches!(event, Event::Answered { .. }));
    world.run(s(1));
    world.check(expect![[r#"
        3.000   > Dial A1 nobody, then bob+ann+bob+nobody, then nobody, then carol
        3.000   home → ann: INVITE (application/sdp)
        3.000   home → bob: INVITE (application/sdp)
        3.010   ann → home: 100 Trying (INVITE)
        3.010   ann → home: 180 Ringing (INVITE)
        3.010   bob → home: 100 Trying (INVITE)
        3.010   bob → home: 180 Ringing (INVITE)
        3.020     Trying A1
        3.020     Ringing A1
        13.000  home → ann: CANCEL
        13.000  home → bob: CANCEL
        13.000  home → carol: INVITE (application/sdp)
        13.010  ann → home: 200 OK (CANCEL)
        13.010  ann → home: 487 Request Terminated (INVITE)
        13.010  bob → home: 200 OK (CANCEL)
        13.010  bob → home: 487 Request Terminated (INVITE)
        13.010  carol → home: 100 Trying (INVITE)
        13.010  carol → home: 180 Ringing (INVITE)
        13.020  home → ann: ACK
        13.020  home → bob: ACK
        15.010  carol → home: 200 OK (INVITE, application/sdp)
        15.020  home → carol: ACK
        15.020    Answered A1
    "#]]);
    world.hang_up(2);
    world.settle();
}

#[test]
fn the_next_group_rings_at_once_when_all_have_refused() {
    let mut world = three([None, None, None]);
    let ann = Far::at(&mut world, "far", "192.0.2.10:5060");
    world.command(groups(&[(&["ann"], s(10)), (&["bob"], s(10))]));
    world.run(ms(50));
    ann.reply(&mut world, "INVITE", "486 Busy Here", "");
    // The last group rings on until the dial gives up.
    world.run(s(70));
    world.check(expect![[r#"
        3.000   > Dial A1 ann, then bob
        3.000   home → far: INVITE (application/sdp)
        3.050   far → home: 486 Busy Here (INVITE)
        3.060   home → far: ACK
        3.060   home → bob: INVITE (application/sdp)
        3.070   bob → home: 100 Trying (INVITE)
        3.070   bob → home: 180 Ringing (INVITE)
        3.080     Trying A1
        3.080     Ringing A1
        63.000  home → bob: CANCEL
        63.000    Ended A1 no_answer by Near 408
        63.010  bob → home: 200 OK (CANCEL)
        63.010  bob → home: 487 Request Terminated (INVITE)
        63.020  home → bob: ACK
    "#]]);
    world.settle();
}

#[test]
fn one_who_declines_for_the_person_ends_it_for_all_groups() {
    let mut world = three([None, None, None]);
    let ann = Far::at(&mut world, "far", "192.0.2.10:5060");
    world.command(groups(&[(&["ann"], s(10)), (&["bob"], s(10))]));
    world.run(ms(50));
    ann.reply(&mut world, "INVITE", "603 Decline", "");
    world.run(s(1));
    world.check(expect![[r#"
        3.000   > Dial A1 ann, then bob
        3.000   home → far: INVITE (application/sdp)
        3.050   far → home: 603 Decline (INVITE)
        3.060   home → far: ACK
        3.060     Ended A1 rejected by Far 603
    "#]]);
    world.settle();
}

#[test]
fn those_who_answer_when_their_turn_is_over_are_dismissed() {
    let mut world = three([None, None, None]);
    let ann = Far::at(&mut world, "far", "192.0.2.10:5060");
    world.command(groups(&[(&["ann"], s(2)), (&["bob"], s(10))]));
    world.run(ms(50));
    ann.reply(&mut world, "INVITE", "180 Ringing", "");
    // The answer crosses the CANCEL.
    world.run(ms(1_955));
    ann.again(&mut world, "200 OK", &crate::far::sdp(1, "0", "sendrecv"));
    world.run(ms(100));
    let reason = Far::header(&mut world, ann.at, &HeaderName::Reason);
    assert_eq!(reason.as_deref(), Some("Q.850;cause=19;text=\"no answer\""));
    assert!(world.phones[1].is_busy());
    assert!(!world.events.contains(&Event::Answered { leg: alone() }));
    world.command(Command::Hangup {
        leg: alone(),
        cause: vocab::call::Cause::Normal,
    });
    world.run(s(70));
    world.settle();
}

#[test]
fn nobody_of_any_group_is_registered() {
    let mut world = World::new();
    world.command(groups(&[(&["bob"], s(10)), (&[], s(10))]));
    world.command(Command::Dial {
        leg: vocab::LegId { n: 2, ..alone() },
        target: Target::Users(Vec::new()),
        caller: Party::Anonymous,
        timeout: s(60),
    });
    world.check(expect![[r#"
        0.000   > Dial A1 bob, then 
        0.000     Ended A1 not_found by Near 404
        0.000   > Dial A2 
        0.000     Ended A2 not_found by Near 404
    "#]]);
    world.settle();
}

fn dial(target: Target) -> Command {
    Command::Dial {
        leg: alone(),
        target,
        caller: Party::Anonymous,
        timeout: s(21),
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
