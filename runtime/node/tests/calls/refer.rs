//! Phones that transfer by REFER.

use expect_test::expect;
use jackfield_node::Control;
use vocab::call::Command;

use crate::phone::Manner;
use crate::world::{World, phone, s};

/// A phone asks for the transfer of its oldest call.
fn refer(world: &mut World, user: &str, to: &str) {
    let n = world.of(user);
    let leg = *world.phones[n].legs.first().expect("a call");
    let to = to.to_owned().into();
    world.phone_does(user, Command::Refer { leg, to });
}

#[test]
fn a_phone_transfers_blind() {
    let mut world = World::new();
    world.connected("ann", "bob");
    world.skip_ladder();
    world.show_sip = true;
    refer(&mut world, "bob", "sip:carol@demo");
    world.run(s(3));
    world.check(expect![[r#"
        5.00    bob → home: REFER
        5.01    home → carol: INVITE (application/sdp)
        5.01    home → bob: 202 Accepted (REFER)
        5.01    home → bob: NOTIFY (message/sipfrag)
        5.01    A transfer.asked leg 1 by 2 dialled
        5.01    A leg.dialed leg 3 to carol
        5.01    A leg.unbridged 1 2
        5.01        ann hears ringback
        5.01        bob hears nothing
        5.02    carol → home: 100 Trying (INVITE)
        5.02    carol → home: 180 Ringing (INVITE)
        5.02    bob → home: 200 OK (NOTIFY)
        5.03    home → bob: NOTIFY (message/sipfrag)
        5.04    bob → home: 200 OK (NOTIFY)
        6.02    carol → home: 200 OK (INVITE, application/sdp)
        6.03    home → carol: ACK
        6.03    home → bob: NOTIFY (message/sipfrag)
        6.03    home → bob: BYE
        6.03    A transfer.done leg 1 by 2 with 3
        6.03    A leg.bridged 1 3
        6.03        ann hears carol
        6.03        carol hears ann
        6.04    bob → home: 200 OK (NOTIFY)
        6.04    bob → home: 200 OK (BYE)
    "#]]);
    expect!["sip:ann@demo | Referred-By: <sip:bob@demo>"].assert_eq(&world.shown_to("carol"));
    world.settle();
}

#[test]
fn a_phone_transfers_to_a_device_that_is_not_there_and_the_others_ring() {
    let mut world = World::new();
    world.connected("ann", "bob");
    world.skip_ladder();
    refer(&mut world, "bob", "sip:carol@demo;gr=urn:uuid:1");
    world.run(s(3));
    let ladder = world.ladder();
    assert!(
        ladder.contains("transfer.done leg 1 by 2 with 3"),
        "{ladder}"
    );
    world.settle();
}

#[test]
fn a_transfer_that_nobody_takes_leaves_all_as_it_was() {
    let mut world = World::new();
    world.manner("carol", Manner::Refuses(486));
    world.connected("ann", "bob");
    world.skip_ladder();
    refer(&mut world, "bob", "sip:carol@demo");
    world.run(s(3));
    world.check(expect![[r#"
        5.01    A transfer.asked leg 1 by 2 dialled
        5.01    A leg.dialed leg 3 to carol
        5.01    A leg.unbridged 1 2
        5.01        ann hears ringback
        5.01        bob hears nothing
        5.03    A leg.dial_ended leg 3 Busy
        5.03    A transfer.failed leg 1 by 2 busy
        5.03    A leg.bridged 1 2
        5.03        ann hears bob
        5.03        bob hears ann
    "#]]);
    world.settle();
}

#[test]
fn a_transfer_to_nobody_is_declined() {
    let mut world = World::new();
    world.connected("ann", "bob");
    world.skip_ladder();
    for to in ["sip:eve@demo", "sip:+8613800138000@demo", "mailto:carol"] {
        refer(&mut world, "bob", to);
        world.run(s(2));
    }
    world.check(expect![[r#""#]]);
    world.settle();
}

#[test]
fn who_hangs_up_during_its_transfer_leaves_the_rest_to_us() {
    let mut world = World::new();
    world.manner("carol", Manner::Rings);
    world.connected("ann", "bob");
    world.skip_ladder();
    refer(&mut world, "bob", "sip:carol@demo");
    world.run(s(2));
    world.hang_up("bob");
    world.run(s(40));
    world.check(expect![[r#"
        5.01    A transfer.asked leg 1 by 2 dialled
        5.01    A leg.dialed leg 3 to carol
        5.01    A leg.unbridged 1 2
        5.01        ann hears ringback
        5.01        bob hears nothing
        7.01    A leg.gone leg 2 normal
        35.01   A leg.dial_ended leg 3 NoAnswer
        35.01   A transfer.failed leg 1 no_answer
        35.01   A leg.dialed leg 4 to bob
        35.01   A transfer.called_back leg 1 with 4
        36.03   A leg.bridged 1 4
        36.03       ann hears bob
        36.03       bob hears ann
    "#]]);
    world.settle();
}

/// Ann talks with Bob in one call and with Carol in another, and wants the two put together.
fn two_calls_of_ann(world: &mut World) {
    world.connected("bob", "ann");
    let user = "ann".to_owned();
    let to = phone("carol");
    world.ask(Control::Originate {
        user,
        to,
        detection: None,
    });
    world.run(s(4));
    world.skip_ladder();
    let n = world.of("ann");
    let (first, second) = (world.phones[n].legs[0], world.phones[n].legs[1]);
    let to = world.in_place_of("carol", "ann", second);
    world.phone_does("ann", Command::Refer { leg: first, to });
    world.run(s(3));
}

#[test]
fn a_phone_puts_two_of_its_calls_together() {
    let mut world = World::new();
    two_calls_of_ann(&mut world);
    world.hang_up("carol");
    world.run(s(1));
    world.check(expect![[r#"
        9.01    A transfer.asked leg 1 by 2 consulted
        9.01    A leg.unbridged 1 2
        9.01    A leg.moved_away leg 1 by 2
        9.01    B call.interaction with A
        9.01    B leg.taken_over leg 1
        9.01        bob hears carol
        9.01        ann hears nothing
        9.01        carol hears bob
        9.01    A call.ended transferred by Near
        12.01   B leg.unbridged 1 2
        12.01       bob hears nothing
        12.01   B call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn two_calls_that_cannot_be_put_together_stay_as_they_were() {
    // Each call fills a worker, so that nobody can come over from the other one.
    let mut world = World::with_workers(&[2, 2], |_| {});
    world.show_sip = true;
    two_calls_of_ann(&mut world);
    // The phone is told at once, and nobody else is asked or let go.
    world.check(expect![[r#"
        9.00    ann → home: REFER
        9.01    home → ann: 202 Accepted (REFER)
        9.01    home → ann: NOTIFY (message/sipfrag)
        9.01    home → ann: NOTIFY (message/sipfrag)
        9.01    A transfer.asked leg 1 by 2 consulted
        9.01    A transfer.failed leg 1 by 2 unreachable
        9.02    ann → home: 200 OK (NOTIFY)
        9.02    ann → home: 200 OK (NOTIFY)
    "#]]);
    world.show_sip = false;
    assert_eq!(world.in_silence(), Vec::<String>::new());
    world.hang_up("carol");
    world.run(s(1));
    world.check(expect![[r#"
        12.01   B leg.unbridged 1 2
        12.01       ann hears nothing
        12.01   B call.ended normal by Near
    "#]]);
    world.settle();
}
