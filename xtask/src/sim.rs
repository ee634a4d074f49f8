//! `cargo xtask sim`: seeds through the simulator.

use crate::step::{cargo, execute};

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: [SEED=n] cargo xtask sim [options of the simulator]

The production node, its plugins and a lossy network on one virtual clock.
A failure prints the seed that shows it again and the last lines of the ladder.

With --calls: so many calls through call control and signalling alone, between far ends whose lines
lose, repeat and reorder. Each INVITE has one final answer, nothing is left 64 s after the last
call, and what is alive does not grow. A million takes a quarter of an hour.

Examples:
  cargo xtask sim                  200 seeds
  cargo xtask sim --seeds 1000     more of them
  SEED=42 cargo xtask sim          200 seeds from 42 on
  SEED=42 cargo xtask sim --seeds 1
                                   one seed, again, and what was in it
  cargo xtask sim --calls 1000000  a million calls over bad lines
  SEED=7 cargo xtask sim --calls 20000 -v
                                   other ones, and what happened in them
";

/// Builds the plugins and the simulator, and hands the rest to it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.iter().any(|arg| arg == "--calls") {
        crate::suite::build_plugins()?;
    }
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
