//! Callers who vanish without a word.

use std::time::Duration;

use super::world::World;
use super::{ANN, BOB, s};

const CALLS: usize = 1_500;

/// Audio that is missed for so long ends a call; that is decided above this room.
const MISSED: u64 = 30;

/// Calls ann makes at the same time and bob answers; bob's dialogs.
fn answered(world: &mut World) -> Vec<jackfield_sip::DialogId> {
    for _ in 0..CALLS {
        world.call(ANN, BOB);
    }
    world.run(Duration::from_millis(20));
    let dialogs: Vec<_> = (0..CALLS).map(|_| world.incoming(BOB)).collect();
    for &dialog in &dialogs {
        world.respond(BOB, dialog, 200);
    }
    world.run(Duration::from_millis(20));
    dialogs
}

/// Half of them while they talk, half before they acknowledge the answer.
#[test]
fn of_3000_callers_who_vanish_nothing_is_left_64_s_later() {
    let mut world = World::new(1);
    world.ladder = None;
    let talking = answered(&mut world);
    world.lose(|who, line| who == "ann" && line.starts_with("ACK"));
    answered(&mut world);
    assert_eq!(world.counts(BOB).dialogs, 2 * CALLS);
    world.lose(|who, _| who == "ann");

    world.run(s(MISSED));
    for dialog in talking {
        world.hang_up(BOB, dialog);
    }
    world.run(s(64 - MISSED) - Duration::from_millis(100));
    assert!(!world.counts(BOB).is_idle(), "the last BYE is still tried");
    world.run(Duration::from_millis(200));
    let left = world.counts(BOB);
    assert!(left.is_idle(), "{left:?}");
}
