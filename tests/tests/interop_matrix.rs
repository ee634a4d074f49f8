//! Goal: what happens to calls in the world happens right, with sipp at the other end as caller and
//! as called phone. All of it runs at the same time on one server, since some of it takes a minute;
//! afterwards nothing is left.

#[path = "matrix/audio.rs"]
mod audio;
#[path = "matrix/callee.rs"]
mod callee;
#[path = "matrix/caller.rs"]
mod caller;
#[path = "matrix/carrier.rs"]
mod carrier;
#[path = "matrix/early.rs"]
mod early;
#[path = "matrix/inbound.rs"]
mod inbound;
#[path = "matrix/reach.rs"]
mod reach;
#[path = "matrix/team.rs"]
mod team;
#[path = "matrix/timers.rs"]
mod timers;
#[path = "matrix/transfer.rs"]
mod transfer;

use jackfield_tests::peers::lab::{Lab, all};

#[test]
fn every_scenario_goes_as_it_should_and_leaves_nothing() {
    let lab = Lab::start("interop-matrix", |setup| {
        setup.sip = "session_interval = 90\n".to_owned();
        // sipp sends no audio, and some scenarios last longer than a silent phone may.
        setup.media = "inactive_after_s = 300\n".to_owned();
    });
    let lab = lab.expect("a server");
    let slow = [timers::SCENARIOS, early::SLOW].concat();
    let quick = [
        callee::SCENARIOS,
        transfer::SCENARIOS,
        reach::SCENARIOS,
        team::SCENARIOS,
        carrier::SCENARIOS,
        inbound::SCENARIOS,
        early::SCENARIOS,
        audio::SCENARIOS,
        caller::SCENARIOS,
    ]
    .concat();
    all(&lab, &slow, &quick);
    lab.nothing_left().expect("nothing is left");
}
