//! Goal: a thousand suspended runs cost a bounded amount of memory, and leave nothing behind.

use jackfield_plugin::{Metering, RunInput};

use crate::bench::{Bench, host_and_plugin, host_config, key, setup};

/// Resident memory of this process in KiB (`/proc/self/statm`, second field, in pages).
fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells its memory");
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .expect("a second field")
        .parse()
        .expect("a number");
    pages * 4
}

#[test]
fn a_thousand_runs_wait_side_by_side() {
    let mut config = host_config(Metering::Epoch);
    config.runs_max = 1_000;
    let (host, plugin) = host_and_plugin(config);
    let before = resident_kib();
    let mut runs: Vec<Bench> = (0..1_000)
        .map(|_| {
            let mut bench = Bench::new(&plugin, setup("wait"));
            bench.feed(RunInput::Start);
            bench
        })
        .collect();
    assert_eq!(host.live(), 1_000);
    let each = (resident_kib().saturating_sub(before)) / 1_000;
    // Measured 40 to 50; a copy of the component for each run would be 150 more.
    assert!(each < 120, "{each} KiB for each waiting run");

    for bench in &mut runs {
        bench.feed(key('7'));
    }
    for (i, bench) in runs.iter_mut().enumerate() {
        if i % 2 == 0 {
            bench.feed(key('#'));
            assert!(
                bench.ladder.ends_with("label: \"7\", detail: None }))\n"),
                "{}",
                bench.ladder
            );
        }
    }
    assert_eq!(host.live(), 500);
    drop(runs);
    assert_eq!(host.live(), 0);
}

/// Runs move between plugin threads; hosts are shared by them.
#[test]
fn a_run_goes_on_from_another_thread() {
    fn shared<T: Send + Sync>(_: &T) {}
    let (host, plugin) = host_and_plugin(host_config(Metering::Epoch));
    shared(&host);
    shared(&plugin);
    let mut bench = Bench::new(&plugin, setup("wait"));
    bench.feed(RunInput::Start);
    std::thread::scope(|scope| {
        scope.spawn(|| bench.feed(key('5')));
    });
    bench.feed(key('#'));
    assert!(bench.ladder.contains("label: \"5\""), "{}", bench.ladder);
}
