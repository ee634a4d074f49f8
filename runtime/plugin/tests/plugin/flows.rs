//! Goal: every word of the interface arrives on the other side as it was meant, and the same
//! inputs give the same outputs.

use std::time::Duration;

use expect_test::expect;
use jackfield_plugin::{Config, Metering, RunInput, Value};
use vocab::Rng;
use vocab::flow::{DialResult, FaultKind, FlowError, FlowEvent, Reply};

use crate::bench::{
    Bench, check, digits, done, failed, hangup, host_config, key, ladder, load, ok, plugin, setup,
};

#[test]
fn a_short_menu() {
    check(
        setup("menu"),
        vec![
            RunInput::Start,
            done(),
            digits("1"),
            digits("2"),
            digits("3"),
            done(),
        ],
        expect![[""]],
    );
}

#[test]
fn the_call_is_described_and_facts_are_remembered() {
    check(
        setup("echo"),
        vec![RunInput::Start, done(), digits("4711"), done(), done()],
        expect![[""]],
    );
}

#[test]
fn every_operation_and_every_reply() {
    let dialed = Reply::Dialed {
        result: DialResult::Busy,
        cause: Some("486".into()),
        talk: Duration::from_millis(1_500),
    };
    let recorded = Reply::Recorded("01J-m1".into());
    let script = vec![
        RunInput::Start,
        done(),
        ok(Reply::Token(9)),
        done(),
        done(),
        ok(dialed),
        ok(recorded),
        done(),
        done(),
        done(),
        done(),
    ];
    check(setup("every"), script, expect![[""]]);
}

#[test]
fn events_and_errors_reach_the_guest() {
    let done_playing = ok(Reply::Event(FlowEvent::PlayDone(3)));
    check(
        setup("wait"),
        vec![RunInput::Start, key('1'), done_playing, key('#')],
        expect![[""]],
    );
    check(
        setup("wait"),
        vec![RunInput::Start, failed(FlowError::Cancelled)],
        expect![[""]],
    );
    check(
        setup("wait"),
        vec![RunInput::Start, failed(FlowError::Timeout)],
        expect![[""]],
    );
}

#[test]
fn bounds_are_answered_without_leaving_the_run() {
    check(setup("bounds"), vec![RunInput::Start], expect![[""]]);
}

#[test]
fn the_configuration_is_read_by_path() {
    let mut setup = setup("config");
    setup.config = Config::new(vec![
        ("mode".into(), Value::Text("config".into())),
        (
            "keys".into(),
            Value::Text("mode menu.0.key menu nothing".into()),
        ),
        (
            "menu".into(),
            Value::List(vec![Value::Table(vec![("key".into(), Value::Int(1))])]),
        ),
    ]);
    check(setup, vec![RunInput::Start], expect![[""]]);
}

#[test]
fn time_stands_still_while_the_guest_runs() {
    check(setup("time"), vec![RunInput::Start], expect![[""]]);
}

#[test]
fn output_becomes_log_lines() {
    check(setup("print"), vec![RunInput::Start], expect![[""]]);
    check(setup("chat"), vec![RunInput::Start], expect![[""]]);
}

#[test]
fn hangup_answers_the_pending_operation_and_all_later_ones() {
    check(
        setup("asks-after-hangup"),
        vec![RunInput::Start, hangup(), digits("1")],
        expect![[""]],
    );
    check(
        setup("gone"),
        vec![RunInput::Start, hangup()],
        expect![[""]],
    );
}

#[test]
fn hangup_before_the_start_is_not_lost() {
    check(
        setup("gone"),
        vec![hangup(), RunInput::Start],
        expect![[""]],
    );
}

#[test]
fn inputs_out_of_turn_are_ignored() {
    check(
        setup("gone"),
        vec![
            done(),
            RunInput::Slice,
            RunInput::Start,
            RunInput::Start,
            RunInput::Slice,
            digits("1"),
            digits("2"),
            hangup(),
            RunInput::Kill(FaultKind::Stalled, "late".into()),
        ],
        expect![[""]],
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let random = |seed| {
        let mut setup = setup("random");
        setup.rng = Rng::from_u64(seed);
        ladder(plugin(), setup, vec![RunInput::Start])
    };
    assert_eq!(random(1), random(1));
    assert_ne!(random(1), random(2));

    // On a host of its own too, and when the run is cut off in the middle of a computation.
    let other = load(host_config(Metering::Fuel));
    for mode in ["menu", "loop", "memory", "recurse", "flood", "print-flood"] {
        let script = || vec![RunInput::Start, done(), digits("1"), hangup()];
        assert_eq!(
            ladder(plugin(), setup(mode), script()),
            ladder(&other, setup(mode), script()),
            "{mode}"
        );
    }
}

#[test]
fn the_busiest_stretch_is_told() {
    let mut bench = Bench::new(plugin(), setup("loop"));
    bench.feed(RunInput::Start);
    assert_eq!(bench.run.busiest(), bench.run.budget());
}
