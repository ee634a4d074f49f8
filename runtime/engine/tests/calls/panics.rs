//! A bug in one call is that call's end, not everybody's.

use expect_test::expect;
use vocab::call::Command;

use crate::audio::{assert_heard, speech};
use crate::dial::user;
use crate::gather::{record, spec};
use crate::world::{World, ms, s};

#[test]
fn a_bug_drops_one_leg() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let bob = world.phone("bob", |_| {});
    let broken = world.connected(ann);
    let other = world.connected(bob);
    let clip = speech(1, s(2));
    world.play(other, &clip);
    world.command(Command::Gather {
        leg: broken,
        clips: Vec::new(),
        spec: spec(1, 1, true),
    });
    world.skip_ladder();
    // A leg is dialled once; to dial it again is against the contract, so the engine asserts.
    world.engine_only(user(broken, "carol"));
    world.run(s(3));
    assert_eq!(world.engine.counts().panics, 1);
    assert!(!world.phones[ann].is_busy());
    world.check(expect![[r#"
        0.060   > Dial A1 carol
        0.060   home → ann: BYE
        0.060     Gathered A1 "" Hangup
        0.060     Ended A1 failed by Near
        0.070   ann → home: 200 OK (BYE)
        2.040     Played B1 1 finished
    "#]]);
    let heard = world.heard_in_all(bob);
    assert_heard(&clip, &heard);
    world.settle();
}

#[test]
fn a_bug_before_the_answer_refuses_the_call() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.skip_ladder();
    // 200 is no refusal.
    world.engine_only(Command::Reject {
        leg,
        status: 200,
        q850: None,
    });
    world.run(ms(100));
    world.command(record(leg, 1, &[]));
    world.settle();
    assert_eq!(world.engine.counts().panics, 1);
    world.check(expect![[r#"
        0.010   > Reject A1 200
        0.010   home → ann: 603 Decline (INVITE)
        0.010     Ended A1 failed by Near
        0.020   ann → home: ACK
        0.110   > Record A1 1
    "#]]);
}
