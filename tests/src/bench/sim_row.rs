//! The simulator: how long its seeds take.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::{Figure, Row, Sample, Target};

pub(super) const ROWS: &[Row] = &[Row {
    name: "sim_200",
    what: "200 seeds through the simulator",
    runs: 3,
    figures: &[Figure {
        name: "",
        what: "200 seeds through the simulator, on one core",
        unit: "s",
        target: Target::None,
    }],
    measure: seeds,
}];

fn seeds() -> anyhow::Result<Sample> {
    let program = std::env::current_exe()?.with_file_name("sim");
    ensure!(program.exists(), "{} is not built", program.display());
    let begun = Instant::now();
    let output = Command::new(&program)
        .args(["--seeds", "200"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.display().to_string())?;
    ensure!(
        output.status.success(),
        "a seed failed: {}",
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or_default()
    );
    Ok(Sample::one(begun.elapsed().as_secs_f64()))
}
