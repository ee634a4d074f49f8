//! A phone puts whom it talks with on hold.

use expect_test::expect;
use vocab::call::Command;
use vocab::flow::Op;

use crate::world::{World, dial, s};

fn hold(world: &mut World, user: &str, hold: bool) {
    let n = world.of(user);
    let leg = *world.phones[n].legs.last().expect("a call");
    let codecs = Vec::new();
    world.phone_does(user, Command::Reoffer { leg, codecs, hold });
}

#[test]
fn the_other_one_hears_music_meanwhile() {
    let mut world = World::new();
    world.connected("ann", "bob");
    world.skip_ladder();
    hold(&mut world, "bob", true);
    world.run(s(2));
    hold(&mut world, "bob", false);
    world.run(s(2));
    world.check(expect![[r#"
        5.01    A leg.held leg 1 by 2
        5.01    A leg.unbridged 1 2
        5.01        ann hears music on hold
        5.01        bob hears nothing
        7.01    A leg.retrieved leg 1 by 2
        7.01    A leg.bridged 1 2
        7.01        ann hears bob
        7.01        bob hears ann
    "#]]);
    world.settle();
}

#[test]
fn a_flow_that_waits_for_the_end_of_the_talk_hears_nothing_of_it() {
    let mut world = World::new();
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.op(dial("bob"));
    world.run(s(2));
    world.skip_ladder();
    hold(&mut world, "ann", true);
    world.run(s(2));
    hold(&mut world, "ann", false);
    world.run(s(2));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        5.01    A leg.held leg 2 by 1
        5.01    A leg.unbridged 1 2
        5.01        ann hears nothing
        5.01        bob hears music on hold
        7.01    A leg.retrieved leg 2 by 1
        7.01    A leg.bridged 1 2
        7.01        ann hears bob
        7.01        bob hears ann
        9.01    A leg.unbridged 1 2
        9.01        ann hears nothing
        9.01    flow is told Ok(Dialed { result: Answered, cause: None, talk: 4.99s })
        9.01    A leg.dial_ended leg 2 Answered
        9.01        ann hears silence
        9.03        ann hears nothing
    "#]]);
    world.settle();
}

#[test]
fn both_hold_and_one_hangs_up() {
    let mut world = World::new();
    world.connected("ann", "bob");
    world.skip_ladder();
    hold(&mut world, "ann", true);
    world.run(s(1));
    hold(&mut world, "bob", true);
    world.run(s(1));
    hold(&mut world, "ann", false);
    world.run(s(1));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        5.01    A leg.held leg 2 by 1
        5.01    A leg.unbridged 1 2
        5.01        ann hears nothing
        5.01        bob hears music on hold
        6.01    A leg.held leg 1 by 2
        6.01        bob hears nothing
        7.01    A leg.retrieved leg 2 by 1
        7.01        ann hears music on hold
        8.01    A call.ended normal by Near
    "#]]);
    world.settle();
}
