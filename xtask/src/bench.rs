//! `cargo xtask bench`: the rows of the performance table.

use crate::step::{cargo, execute};

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [ROW...] [--json FILE]

Prints each row with median, minimum and maximum beside its target, and the machine it ran on.
Rows compare only within one run of one machine: close everything else first.

Examples:
  cargo xtask bench                      all rows
  cargo xtask bench calls reload         two rows
  cargo xtask bench --json rows.json     also as JSON
";

/// Builds the plugins, the server and the bench in release, and hands the rest to it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    crate::suite::build_plugins()?;
    execute(&mut cargo(&[
        "build",
        "--release",
        "-p",
        "jackfield-server",
    ]))?;
    execute(
        cargo(&[
            "run",
            "--release",
            "-p",
            "jackfield-tests",
            "--bin",
            "bench",
            "--",
        ])
        .args(args),
    )
}
