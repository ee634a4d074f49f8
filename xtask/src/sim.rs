//! `cargo xtask sim`: seeds through the simulator.

use crate::step::{cargo, execute};

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: [SEED=n] cargo xtask sim [options of the simulator]

The production node, its plugins and a lossy network on one virtual clock.
A failure prints the seed that shows it again and the last lines of the ladder.

Examples:
  cargo xtask sim                  200 seeds
  cargo xtask sim --seeds 1000     more of them
  SEED=42 cargo xtask sim          200 seeds from 42 on
  SEED=42 cargo xtask sim --seeds 1
                                   one seed, again, and what was in it
";

/// Builds the plugins and the simulator, and hands the rest to it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    crate::suite::build_plugins()?;
    execute(
        cargo(&[
            "run",
            "--release",
            "-p",
            "jackfield-tests",
            "--bin",
            "sim",
            "--",
        ])
        .args(args),
    )
}
