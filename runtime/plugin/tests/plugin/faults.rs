//! Goal: whatever a guest does, its run ends in a named fault and the host goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use expect_test::{Expect, expect};
use jackfield_plugin::{End, Metering, RunInput, RunOutput, limits};
use vocab::flow::FaultKind;

use crate::bench::{
    Bench, check, digits, done, hangup, host_and_plugin, host_config, load, plugin, setup, start,
};

/// The fault of a mode, and the number of lines it logged before.
fn fault(mode: &str, script: Vec<RunInput>, expected: Expect) {
    let mut bench = Bench::new(plugin(), setup(mode));
    for input in script {
        bench.feed(input);
    }
    let last = bench.ladder.lines().last().unwrap_or_default();
    let logged = bench
        .ladder
        .lines()
        .filter(|line| line.starts_with("Log"))
        .count();
    let last = anywhere(last);
    expected.assert_eq(&format!("{last}\n{logged} lines logged\n"));
    assert!(bench.run.is_over());
    assert_eq!(bench.run.poll(), None);
}

/// The same wherever in its file the guest panicked: that it says where is what matters.
fn anywhere(text: &str) -> String {
    let Some((before, place)) = text.split_once("lib.rs:") else {
        return text.to_owned();
    };
    let number = |text: &str| -> usize { text.bytes().take_while(u8::is_ascii_digit).count() };
    let (line, rest) = place.split_at(number(place));
    let column = rest.strip_prefix(':').unwrap_or_default();
    let (column, rest) = column.split_at(number(column));
    assert!(!line.is_empty() && !column.is_empty(), "a place: {text}");
    format!("{before}lib.rs:LINE:COLUMN{rest}")
}

#[test]
fn a_loop_is_cut_when_its_budget_is_spent() {
    check(
        setup("loop"),
        vec![RunInput::Start],
        expect![[r#"
        > Start
        Yielded × 4
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: OutOfTime, detail: "ran for more than 50 ms between two host calls" }))
    "#]],
    );
}

#[test]
fn a_loop_after_hangup_has_longer() {
    check(
        setup("loop-after-hangup"),
        vec![RunInput::Start, hangup()],
        expect![[r#"
            > Start
            Op(NextEvent { timeout: 1s })
            > Hangup("caller hung up")
            Yielded × 199
            Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: OutOfTime, detail: "ran for more than 2000 ms after hang-up" }))
        "#]],
    );
}

#[test]
fn faults_have_names() {
    fault(
        "memory",
        vec![RunInput::Start],
        expect![[r#"
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: OutOfMemory, detail: "asked for more than 32 MiB of memory" }))
        2 lines logged
    "#]],
    );
    fault(
        "recurse",
        vec![RunInput::Start],
        expect![[r#"
            Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: StackOverflow, detail: "more than 128 KiB of stack in guest_probe::recurse" }))
            0 lines logged
        "#]],
    );
    fault(
        "panic",
        vec![RunInput::Start],
        expect![[r#"
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: Panic, detail: "the menu has no entry 7 (tests/guests/probe/src/lib.rs:LINE:COLUMN)" }))
        0 lines logged
    "#]],
    );
    fault(
        "trap",
        vec![RunInput::Start],
        expect![[r#"
            Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: Trap, detail: "wasm `unreachable` instruction executed in <guest_probe::Probe as guest_probe::exports::jackfield::ivr::flow::Guest>::run" }))
            0 lines logged
        "#]],
    );
    fault(
        "exit",
        vec![RunInput::Start],
        expect![[r#"
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: Trap, detail: "exited with status 1 instead of returning" }))
        0 lines logged
    "#]],
    );
    fault(
        "flood",
        vec![RunInput::Start],
        expect![[r#"
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: HostLimit, detail: "flooded the log: more than 1000 lines dropped" }))
        101 lines logged
    "#]],
    );
    fault(
        "print-flood",
        vec![RunInput::Start],
        expect![[r#"
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: HostLimit, detail: "flooded the log: more than 1000 lines dropped" }))
        101 lines logged
    "#]],
    );
    fault(
        "big-log",
        vec![RunInput::Start],
        expect![[r#"
            Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: HostLimit, detail: "too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted" }))
            0 lines logged
        "#]],
    );
    fault(
        "error",
        vec![RunInput::Start],
        expect![[r#"
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: Error, detail: "returned failed: the menu has no root" }))
        0 lines logged
    "#]],
    );
    fault(
        "sleep",
        vec![RunInput::Start],
        expect![[r#"
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: HostLimit, detail: "slept through WASI; call.sleep is the way to wait" }))
        0 lines logged
    "#]],
    );
    fault(
        "calls-after-hangup",
        vec![RunInput::Start, hangup()],
        expect![[r#"
            Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: HostLimit, detail: "more than 1000 operations after hang-up" }))
            0 lines logged
        "#]],
    );
    fault(
        "wait",
        vec![
            RunInput::Start,
            RunInput::Kill(FaultKind::Stalled, "asked\nnothing".into()),
        ],
        expect![[r#"
            Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: Stalled, detail: "asked nothing" }))
            0 lines logged
        "#]],
    );
}

/// A guest that loops, with slices that last so long. The epoch ticks as fast as it can meanwhile;
/// the number of slices does not depend on how fast that is.
fn looped(slice: Duration) -> String {
    let (host, plugin) = host_and_plugin(host_config(Metering::Epoch));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                host.tick();
                std::thread::yield_now();
            }
        });
        let mut bench = Bench::new(&plugin, setup("loop"));
        bench.slice = slice;
        bench.feed(RunInput::Start);
        over.store(true, Ordering::Relaxed);
        bench.ladder
    })
}

#[test]
fn a_loop_is_cut_under_epochs_too() {
    expect![[r#"
        > Start
        Yielded × 5
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: OutOfTime, detail: "ran for more than 50 ms between two host calls" }))
    "#]].assert_eq(&looped(limits::TICK));
}

/// One slice alone never spends the budget, however long the machine stood still in it.
#[test]
fn a_machine_that_stands_still_is_not_the_guests_fault() {
    expect![[r#"
        > Start
        Yielded × 3
        Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: OutOfTime, detail: "ran for more than 50 ms between two host calls" }))
    "#]].assert_eq(&looped(Duration::from_secs(1)));
}

/// A run that waited while the epoch went on is not cut short, and does not yield for it.
#[test]
fn waiting_costs_no_slice() {
    let (host, plugin) = host_and_plugin(host_config(Metering::Epoch));
    let mut bench = Bench::new(&plugin, setup("menu"));
    for input in [
        RunInput::Start,
        done(),
        digits("1"),
        digits("2"),
        digits("3"),
        done(),
    ] {
        for _ in 0..100 {
            host.tick();
        }
        bench.feed(input);
    }
    assert!(!bench.ladder.contains("Yielded"), "{}", bench.ladder);
    assert!(bench.ladder.contains("label: \"123\""), "{}", bench.ladder);
}

/// The host goes on after every fault: the next run of the same plugin is served.
#[test]
fn a_fault_hurts_one_run_only() {
    let (host, plugin) = host_and_plugin(host_config(Metering::Fuel));
    let mut bystander = Bench::new(&plugin, setup("menu"));
    bystander.feed(RunInput::Start);
    for mode in [
        "loop", "memory", "recurse", "panic", "trap", "exit", "flood", "big-log",
    ] {
        let mut bench = Bench::new(&plugin, setup(mode));
        bench.feed(RunInput::Start);
        assert!(bench.run.is_over(), "{mode}");
        assert_eq!(host.live(), 1, "{mode}");
    }
    for input in [done(), digits("4"), digits("5"), digits("6"), done()] {
        bystander.feed(input);
    }
    assert!(
        bystander.ladder.contains("label: \"456\""),
        "{}",
        bystander.ladder
    );
    assert_eq!(host.live(), 0);
}

#[test]
fn no_place_is_a_fault_of_the_start() {
    let mut config = host_config(Metering::Fuel);
    config.runs_max = 2;
    let plugin = load(config);
    let mut first = Bench::new(&plugin, setup("wait"));
    first.feed(RunInput::Start);
    let second = {
        let mut second = Bench::new(&plugin, setup("wait"));
        second.feed(RunInput::Start);
        let mut third = plugin.run(setup("wait"));
        third.handle(start(), RunInput::Start);
        let Some(RunOutput::Ended(End::Fault(fault))) = third.poll() else {
            panic!("no place")
        };
        expect!["plugin probe 1.2.3: start: all 2 places for running plugins are taken"]
            .assert_eq(&fault.to_string());
        second
    };
    // Dropped while it waits: its place is free at once.
    drop(second);
    let mut fourth = Bench::new(&plugin, setup("wait"));
    fourth.feed(RunInput::Start);
    assert!(!fourth.run.is_over());
}
