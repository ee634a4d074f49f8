//! Running other programs: every step is printed before it runs and timed after.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A list of steps with their times. Steps after a failed one still run if asked to, so that one
/// run shows everything that is wrong.
pub(crate) struct Steps {
    done: Vec<(String, Duration, Result<(), String>)>,
}

impl Steps {
    /// No steps yet.
    pub(crate) fn new() -> Self {
        Self { done: Vec::new() }
    }

    /// Runs one step and remembers how it went; the caller may go on.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<(), String>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        let result = step();
        let took = start.elapsed();
        match &result {
            Ok(()) => println!("== {name}: ok, {}", seconds(took)),
            Err(reason) => println!("== {name}: FAILED, {}: {reason}", seconds(took)),
        }
        let passed = result.is_ok();
        self.done.push((name.to_owned(), took, result));
        passed
    }

    /// Runs one step that later ones build on: its failure ends the run.
    pub(crate) fn need(
        &mut self,
        name: &str,
        step: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        self.run(name, step);
        match self.done.last() {
            Some((_, _, Err(reason))) => Err(format!("{name}: {reason}")),
            Some((_, _, Ok(()))) | None => Ok(()),
        }
    }

    /// Prints the table of steps; an error names those that failed.
    pub(crate) fn finish(self) -> Result<(), String> {
        println!("\n{:<28} {:>9}  result", "step", "time");
        let mut failed = Vec::new();
        for (name, took, result) in &self.done {
            let word = if result.is_ok() { "ok" } else { "FAILED" };
            println!("{name:<28} {:>9}  {word}", seconds(*took));
            if let Err(reason) = result {
                failed.push(format!("{name}: {reason}"));
            }
        }
        let total: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        println!("{:<28} {:>9}", "total", seconds(total));
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed.join("\n       "))
        }
    }
}

/// Seconds with one decimal.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map(Path::to_path_buf)
        .expect("xtask is a folder of the repository")
}

/// The folder cargo builds into: `CARGO_TARGET_DIR` where it is set.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A cargo command at the root, with the cargo that runs this program.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = command(program, args);
    // Tests look there for the plugins, also where the target folder is elsewhere.
    command.env("JACKFIELD_GUESTS", target_dir().join("guests"));
    command
}

/// A command at the root.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// Runs a command to its end, its output on ours.
pub(crate) fn execute(command: &mut Command) -> Result<(), String> {
    let line = line(command);
    println!("$ {line}");
    let status = command
        .status()
        .map_err(|error| format!("cannot run `{line}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{line}` ended with {status}"))
    }
}

/// Runs a command to its end and returns what it wrote to standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String, String> {
    let line = line(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run `{line}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{line}` wrote something not UTF-8"))
}

/// True if a program of this name is on the `PATH`.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The command as a person would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    let mut line = String::new();
    for (key, value) in command.get_envs() {
        // Only what changes the meaning of the line; secrets are never passed on a line.
        if let (Some("RUSTDOCFLAGS"), Some(value)) = (key.to_str(), value) {
            line.push_str(&format!("RUSTDOCFLAGS=\"{}\" ", value.to_string_lossy()));
        }
    }
    line.push_str(&name);
    for arg in command.get_args() {
        let arg = arg.to_string_lossy();
        let plain =
            !arg.is_empty() && !arg.contains(|c: char| c.is_whitespace() || "*()|".contains(c));
        line.push(' ');
        line.push_str(&if plain {
            arg.into_owned()
        } else {
            format!("'{arg}'")
        });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_named_and_the_others_still_run() {
        let mut steps = Steps::new();
        assert!(!steps.run("first", || Err("broken".to_owned())));
        assert!(steps.run("second", || Ok(())));
        assert_eq!(steps.finish(), Err("first: broken".to_owned()));
    }

    #[test]
    fn a_line_can_be_typed_again() {
        let mut command = command("/usr/bin/cargo", &["test", "--test", "shell_*"]);
        command
            .env("RUSTDOCFLAGS", "-D warnings")
            .env("JACKFIELD_TOKEN", "secret");
        assert_eq!(
            line(&command),
            "RUSTDOCFLAGS=\"-D warnings\" cargo test --test 'shell_*'"
        );
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("runtime/vocab/Cargo.toml").is_file());
        assert!(has("sh") && !has("no-such-program-here"));
    }
}
