//! Somebody hangs up at each step of what people do with a call: nothing is left, and nobody waits
//! in silence.

use jackfield_node::{Actor, Control};
use vocab::CallId;

use crate::phone::Manner;
use crate::world::{USERS, World, ms, phone, s, user};

/// One thing after the other, and the time between them.
type Step = fn(&mut World, CallId);

fn ask(world: &mut World, request: Control) {
    // It may be refused: whoever asks is gone, perhaps.
    let _ = world.ask(request);
}

fn ann() -> Actor {
    user("ann")
}

const HOLD: Step = |world, call| ask(world, Control::Hold { call, by: ann() });
const RETRIEVE: Step = |world, call| ask(world, Control::Retrieve { call, by: ann() });
const SWAP: Step = |world, call| ask(world, Control::Swap { call, by: ann() });
const MERGE: Step = |world, call| {
    ask(
        world,
        Control::Merge {
            call,
            by: ann(),
            beep: false,
        },
    )
};
const COMPLETE: Step = |world, call| ask(world, Control::Complete { call, by: ann() });
const CANCEL: Step = |world, call| ask(world, Control::Cancel { call, by: ann() });
const CONSULT: Step = |world, call| {
    let to = phone("carol");
    ask(
        world,
        Control::Consult {
            call,
            by: ann(),
            to,
        },
    );
};
const TRANSFER: Step = |world, call| {
    let to = phone("carol");
    ask(
        world,
        Control::Transfer {
            call,
            by: ann(),
            to,
        },
    );
};
const PARK: Step = |world, call| {
    let slot = None;
    ask(
        world,
        Control::Park {
            call,
            by: ann(),
            slot,
        },
    );
};
const PICK_UP: Step = |world, _| {
    let (user, slot) = ("dave".to_owned(), 701);
    ask(world, Control::PickUp { user, slot });
};
const DIAL: Step = |world, _| world.dial("dave", "701");
const ANOTHER: Step = |world, _| {
    let (user, to) = ("carol".to_owned(), phone("dave"));
    ask(
        world,
        Control::Originate {
            user,
            to,
            detection: None,
        },
    );
};
const BRIDGE: Step = |world, call| {
    let other = world.node.live_calls().find(|it| *it != call);
    let other = other.unwrap_or(call);
    let (leg, other_leg) = (user("bob"), user("carol"));
    ask(
        world,
        Control::Bridge {
            call,
            leg,
            other,
            other_leg,
        },
    );
};
const MOMENT: Step = |world, _| world.run(ms(30));
const WAIT: Step = |world, _| world.run(s(2));
const RING: Step = |world, _| world.manner("carol", Manner::Rings);
const REFUSE: Step = |world, _| world.manner("carol", Manner::Refuses(486));
const ANN_IS_OUT: Step = |world, _| world.manner("ann", Manner::Rings);

const STORIES: [(&str, &[Step]); 15] = [
    ("hold", &[HOLD, WAIT, RETRIEVE]),
    ("consult and swap", &[CONSULT, WAIT, SWAP, WAIT, SWAP]),
    ("consult and complete", &[CONSULT, WAIT, COMPLETE]),
    ("complete while it rings", &[RING, CONSULT, WAIT, COMPLETE]),
    ("consult and cancel", &[CONSULT, WAIT, SWAP, CANCEL]),
    ("cancel while it rings", &[RING, CONSULT, WAIT, CANCEL]),
    ("merge", &[CONSULT, WAIT, MERGE]),
    ("transfer", &[TRANSFER, WAIT]),
    ("transfer to nobody", &[RING, ANN_IS_OUT, TRANSFER, WAIT]),
    ("transfer is refused", &[REFUSE, TRANSFER, WAIT]),
    ("park and pick up", &[PARK, WAIT, PICK_UP, WAIT]),
    ("park for nobody", &[HOLD, PARK]),
    (
        "park and dial the slot",
        &[PARK, WAIT, DIAL, MOMENT, MOMENT, WAIT],
    ),
    ("bridge", &[ANOTHER, WAIT, WAIT, BRIDGE, MOMENT, WAIT]),
    (
        "bridge while it rings",
        &[RING, ANOTHER, WAIT, BRIDGE, MOMENT],
    ),
];

#[test]
fn whoever_hangs_up_when_leaves_nothing_and_nobody_in_silence() {
    // On one media worker, and on two, where calls are apart.
    for (name, steps) in STORIES {
        hang_up_at_each_step(name, steps, World::new());
        let apart = World::with_workers(&[10, 10], |_| {});
        hang_up_at_each_step(name, steps, apart);
    }
}

fn hang_up_at_each_step(name: &str, steps: &[Step], mut world: World) {
    for done in 0..=steps.len() {
        for who in whoever(name, done) {
            world.again();
            let call = world.connected("ann", "bob");
            for step in &steps[..done] {
                step(&mut world, call);
            }
            if USERS.contains(&who) {
                world.hang_up(who);
            }
            // What is on its way crosses the hang-up.
            for step in &steps[done..] {
                step(&mut world, call);
            }
            // Longer than any ring, slot and announcement together.
            world.run(s(150));
            let silent = world.in_silence();
            let at = format!("{name}, {who} after step {done}:\n{}", world.ladder());
            let held = world
                .node
                .parties(call)
                .iter()
                .any(|party| party.state == jackfield_node::PartyState::Held);
            // Whoever holds another hears nothing, and can end that; nobody else.
            assert!(
                silent.is_empty() || (silent == ["ann"] && held),
                "{silent:?}: {at}"
            );
            world.settle();
        }
    }
}

/// Who is in a story; once nobody hangs up at all.
fn whoever(name: &str, done: usize) -> Vec<&'static str> {
    let mut whoever = vec!["ann", "bob"];
    if name.starts_with("park") {
        whoever.push("dave");
    } else if name.starts_with("bridge") {
        whoever.extend(["carol", "dave"]);
    } else if name != "hold" {
        whoever.push("carol");
    }
    if done == 0 {
        whoever.push("nobody");
    }
    whoever
}
