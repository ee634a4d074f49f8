//! The commands of this repository: `cargo xtask <command>`.
//!
//! What a person or CI does here, it does through these commands, so that both do the same.
//! They run other programs and print what they run; nothing here is part of the product.

// These commands live outside the machines: they read the clock, the environment and files.
#![allow(clippy::disallowed_methods)]

mod bench;
mod check;
mod demo;
mod fuzz;
mod http;
mod peers;
mod plugins;
mod prompts;
mod sim;
mod step;
mod suite;
mod tidy;

use std::process::ExitCode;

/// One command: how it is called, what it says of itself, and what it does.
struct Command {
    /// The word after `cargo xtask`.
    name: &'static str,
    /// One line for the list of commands.
    summary: &'static str,
    /// Options and examples, printed by `cargo xtask <name> --help`.
    help: &'static str,
    /// Runs it with the words after its name.
    run: fn(&[String]) -> Result<(), String>,
}

/// Every command, in the order of the list.
const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        summary: "Build everything, start a demo server and call it once",
        help: demo::HELP,
        run: demo::run,
    },
    Command {
        name: "test",
        summary: "Install what the tests need and run every test",
        help: suite::HELP,
        run: suite::run,
    },
    Command {
        name: "check",
        summary: "Formatting, lints, documentation, dependencies and tidy",
        help: check::HELP,
        run: check::run,
    },
    Command {
        name: "tidy",
        summary: "The rules of the house alone, with a table of numbers",
        help: tidy::HELP,
        run: tidy::run,
    },
    Command {
        name: "sim",
        summary: "Run seeds through the simulator",
        help: sim::HELP,
        run: sim::run,
    },
    Command {
        name: "bench",
        summary: "Measure the rows of the performance table",
        help: bench::HELP,
        run: bench::run,
    },
    Command {
        name: "plugins",
        summary: "Build the plugins and examples for WebAssembly",
        help: plugins::HELP,
        run: plugins::run,
    },
    Command {
        name: "prompts",
        summary: "Speak the demo's texts into WAV files",
        help: prompts::HELP,
        run: prompts::run,
    },
    Command {
        name: "fuzz",
        summary: "Fuzz the parsers on nightly",
        help: fuzz::HELP,
        run: fuzz::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Finds the command, or answers the call for help.
fn dispatch(args: &[String]) -> Result<(), String> {
    let Some((name, rest)) = args.split_first() else {
        print!("{}", overview());
        return Ok(());
    };
    if is_help(name) {
        print!("{}", overview());
        return Ok(());
    }
    let command = COMMANDS
        .iter()
        .find(|command| command.name == name)
        .ok_or_else(|| format!("no command `{name}`; `cargo xtask --help` lists them"))?;
    if rest
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| is_help(word))
    {
        println!("{}\n\n{}", command.summary, command.help.trim());
        return Ok(());
    }
    (command.run)(rest)
}

/// True for the words that ask for help.
fn is_help(word: &str) -> bool {
    matches!(word, "--help" | "-h" | "help")
}

/// The list of commands.
fn overview() -> String {
    let mut text = String::from("Usage: cargo xtask <command> [options]\n\nCommands:\n");
    for command in COMMANDS {
        text.push_str(&format!("  {:<9} {}\n", command.name, command.summary));
    }
    text.push_str(
        "\nExamples:\n  cargo xtask demo             from a fresh clone to a first call\n",
    );
    text.push_str("  cargo xtask test             everything CI runs\n");
    text.push_str("  cargo xtask check --help     options and examples of one command\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_shows_an_example_of_itself() {
        for command in COMMANDS {
            let example = format!("cargo xtask {}", command.name);
            assert!(
                command.help.contains(&example),
                "no example in the help of {}",
                command.name
            );
            assert!(
                overview().contains(command.summary),
                "{} is not listed",
                command.name
            );
        }
    }

    #[test]
    fn unknown_commands_name_the_way_out() {
        let error = dispatch(&["tset".to_owned()]).expect_err("no such command");
        assert!(
            error.contains("`tset`") && error.contains("--help"),
            "{error}"
        );
    }
}
