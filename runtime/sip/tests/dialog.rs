//! What happens within a dialog, as ladders in virtual time: against another endpoint, and against
//! a far end whose messages are written by hand.

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.

#[path = "dialog/far.rs"]
mod far;
#[path = "dialog/modify.rs"]
mod modify;
#[path = "dialog/prack.rs"]
mod prack;
#[path = "dialog/refer.rs"]
mod refer;
#[path = "dialog/session.rs"]
mod session;
#[path = "dialog/vanish.rs"]
mod vanish;
mod world;

use std::time::Duration;

use expect_test::Expect;
use jackfield_sip::{Action, DialogId};

use world::{SDP, World};

const ANN: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn check(world: &mut World, expected: Expect) {
    expected.assert_eq(&world.take_ladder());
}

/// A world in which ann's call to bob is up.
fn talking() -> (World, DialogId, DialogId) {
    let mut world = World::new(1);
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.run(s(1));
    world.take_ladder();
    (world, ann, bob)
}

fn reinvite(world: &mut World, who: usize, dialog: DialogId) {
    let (headers, body) = (Vec::new(), SDP.to_vec());
    let action = Action::Reinvite {
        dialog,
        headers,
        body,
    };
    world.act(who, action);
}

fn update(world: &mut World, who: usize, dialog: DialogId, body: &[u8]) {
    let (headers, body) = (Vec::new(), body.to_vec());
    let action = Action::Update {
        dialog,
        headers,
        body,
    };
    world.act(who, action);
}
