//! Requests: what is noted, who hears what, and that nothing is left.

use expect_test::expect;
use jackfield_node::{Control, Controlled};

use crate::world::{World, leg, phone, s};

#[test]
fn a_call_is_made_held_and_retrieved() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    world.ask(Control::Hold { call, by: leg(1) });
    world.run(s(2));
    world.ask(Control::Retrieve { call, by: leg(1) });
    world.run(s(2));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        1.00    request 1 is told Ok(Call(01m7z7tm70ddq4nvke6achnnyy))
        1.00    A call.started to bob
        2.02    A call.answered
        2.02    A leg.dialed leg 2 to bob
        2.02        ann hears ringback
        3.04    A leg.bridged 1 2
        3.04        ann hears bob
        3.04        bob hears ann
        5.00    request 2 is told Ok(Done)
        5.00    A leg.held leg 2 by 1
        5.00    A leg.unbridged 1 2
        5.00        ann hears nothing
        5.00        bob hears music on hold
        7.00    request 3 is told Ok(Done)
        7.00    A leg.retrieved leg 2 by 1
        7.00    A leg.bridged 1 2
        7.00        ann hears bob
        7.00        bob hears ann
        9.01    A leg.unbridged 1 2
        9.01        ann hears nothing
        9.01    A call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn a_party_is_transferred() {
    let mut world = World::new();
    let call = world.connected("ann", "bob");
    world.skip_ladder();
    let to = phone("carol");
    let result = world.ask(Control::Transfer {
        call,
        by: leg(1),
        to,
    });
    assert_eq!(result, Some(Ok(Controlled::Calling { leg: 3 })));
    world.run(s(4));
    world.hang_up("carol");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    request 2 is told Ok(Calling { leg: 3 })
        5.00    A transfer.asked leg 2 by 1 phone
        5.00    A leg.dialed leg 3 to carol
        5.00    A leg.unbridged 1 2
        5.00        bob hears ringback
        6.02    A transfer.done leg 2 with 3
        6.02    A leg.bridged 2 3
        6.02        bob hears carol
        6.02        carol hears bob
        9.01    A leg.unbridged 2 3
        9.01        bob hears nothing
        9.01    A call.ended normal by Near
    "#]]);
    world.settle();
}
