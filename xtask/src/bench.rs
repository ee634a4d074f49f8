//! `cargo xtask bench`: the rows of the performance table.

use std::process::Command;

use crate::step::{cargo, execute, target_dir};

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [ROW...] [--runs N] [--json FILE] [--list]

Prints each row with median, minimum and maximum beside its target, and the machine it ran on.
A row is named in full or by its beginning. Rows compare only within one run of one machine: close
everything else first. docs/operations/budgets.md says how to read them.

Examples:
  cargo xtask bench                        all rows
  cargo xtask bench answer_hangup reload   two rows
  cargo xtask bench sip --runs 9           all rows about SIP alone, nine times each
  cargo xtask bench --json rows.json       also as JSON
  cargo xtask bench --list                 names of the rows
";

/// Builds the plugins, the server and the bench in release, and hands the rest to it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    crate::suite::build_plugins()?;
    // In one build, so that both share their dependencies' features.
    execute(&mut cargo(&[
        "build",
        "--release",
        "-p",
        "jackfield-server",
        "-p",
        "jackfield-tests",
    ]))?;
    execute(Command::new(target_dir().join("release/bench")).args(args))
}
