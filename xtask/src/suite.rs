//! `cargo xtask test`: everything CI runs.

use std::fs;

use crate::step::{Steps, cargo, execute, has, root};
use crate::{check, peers};

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: cargo xtask test

Installs what the tests need (by apt as root; else it prints the line to run; browser phones by
npm), builds the plugins, checks formatting, lints and tidy, and runs every test.
Uses cargo-nextest when it is installed and `cargo test` when it is not.

Examples:
  cargo xtask test
  cargo test -p jackfield-sip        one room while working on it
  cargo xtask tidy                   the rules of the house alone
";

/// Runs the steps; tests run even where a check failed, so that one run shows everything.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(word) = args.first() {
        return Err(format!(
            "unknown option `{word}`; see `cargo xtask test --help`"
        ));
    }
    let mut steps = Steps::new();
    steps.need("build tools", peers::build_tools)?;
    steps.need("test peers", peers::test_peers)?;
    steps.need("browser phones", peers::browser_libraries)?;
    steps.need("plugins", build_plugins)?;
    // The scenarios start it as a process.
    steps.need("server", || {
        execute(&mut cargo(&[
            "build",
            "-p",
            "jackfield-server",
            "-p",
            "jackfield-tests",
        ]))
    })?;
    steps.run("fmt", check::fmt);
    steps.run("clippy", check::clippy);
    steps.run("clippy, guests", check::clippy_guests);
    steps.run("tidy", || crate::tidy::run(&[]));
    if has("cargo-nextest") {
        steps.run("tests", || {
            execute(&mut cargo(&["nextest", "run", "--no-fail-fast"]))
        });
    } else {
        println!("\ncargo-nextest is not installed; `cargo test` runs the tests instead");
        let tests = scenario_names()?;
        steps.run("tests of the rooms", || {
            rooms(&["--no-fail-fast", "--lib", "--bins", "--tests"])
        });
        steps.run("scenarios", || scenarios(&tests, false));
        steps.run("scenarios with real peers", || scenarios(&tests, true));
    }
    steps.run("guest tests", || {
        execute(&mut cargo(&["test", "-p", "ivr-menu", "-p", "jackfield"]))
    });
    steps.run("doc tests", || execute(&mut cargo(&["test", "--doc"])));
    steps.finish()
}

/// Builds the guests.
pub(crate) fn build_plugins() -> Result<(), String> {
    crate::plugins::run(&[])
}

/// The scenarios of the tests crate, by the names of their files.
fn scenario_names() -> Result<Vec<String>, String> {
    let dir = root().join("tests/tests");
    let entries = fs::read_dir(&dir).map_err(|error| format!("tests/tests: {error}"))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// Every default member but the tests crate, whose scenarios are run apart.
fn rooms(args: &[&str]) -> Result<(), String> {
    let packages = check::packages()?;
    let mut command = cargo(&["test"]);
    for package in packages
        .defaults
        .iter()
        .filter(|name| *name != "jackfield-tests")
    {
        command.args(["-p", package]);
    }
    execute(command.args(args))
}

/// The scenarios: those with sockets and real peers one at a time, as nextest's serial group has it.
fn scenarios(names: &[String], serial: bool) -> Result<(), String> {
    let mut command = cargo(&["test", "-p", "jackfield-tests", "--no-fail-fast"]);
    if !serial {
        command.args(["--lib", "--bins"]);
    }
    for name in names.iter().filter(|name| needs_peers(name) == serial) {
        command.args(["--test", name]);
    }
    if serial {
        command.args(["--", "--test-threads=1"]);
    }
    execute(&mut command)
}

/// True for scenarios that use ports or real peers.
fn needs_peers(name: &str) -> bool {
    name.starts_with("shell_") || name.starts_with("interop_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_refused_rather_than_ignored() {
        assert!(
            run(&["--fast".to_owned()])
                .expect_err("no such option")
                .contains("--fast")
        );
    }

    #[test]
    fn serial_scenarios_are_known_by_their_names() {
        assert!(needs_peers("shell_http") && needs_peers("interop_baresip") && !needs_peers("sim"));
    }
}
