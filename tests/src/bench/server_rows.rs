//! The server when nobody calls.

use std::time::Duration;

use super::process::{Plan, Process};
use super::{Figure, Row, Sample, Target};

pub(super) const ROWS: &[Row] = &[Row {
    name: "idle_rss",
    what: "resident memory of the demo's server when nobody calls, plugins loaded",
    runs: super::RUNS,
    figures: &[Figure {
        name: "",
        what: "resident memory of the demo's server when nobody calls, plugins loaded",
        unit: "MB",
        target: Target::AtMost(60.0),
    }],
    measure: idle,
}];

fn idle() -> anyhow::Result<Sample> {
    let server = Process::start(&Plan::demo(1_000))?;
    std::thread::sleep(Duration::from_secs(2));
    Ok(Sample::one(server.usage()?.rss_kb / 1e3))
}
