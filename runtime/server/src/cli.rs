//! The command line.
//!
//! Whatever goes wrong is said in one line on standard error, with what to do about it. The exit
//! code is 0 if all went well, 1 if not, and 2 if the command line or the configuration is wrong.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Errors};
use crate::{
    call_command, calls_command, memory, plugin_command, prompts_command, recordings_command,
    serve, trace_command,
};

/// A programmable telephony server: SIP phones call in, WebAssembly plugins answer.
#[derive(Parser, Debug)]
#[command(
    name = "jackfield",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  jackfield serve --config jackfield.toml
  jackfield check-config --config jackfield.toml
  jackfield call sip:1000@127.0.0.1 --press 1 --record heard.wav
  jackfield phone sip:1001@127.0.0.1 --password-env PHONE_1001
  jackfield trace --last
  jackfield calls list
  jackfield plugin install ivr-menu.wasm --config jackfield.toml

`jackfield COMMAND --help` has more of each."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the server until it is told to stop.
    ///
    /// SIGTERM or Ctrl-C lets calls finish first; a second one ends them. When the configuration
    /// file changes, tenants, phones, routes and trunks are taken over at once; calls that are up
    /// keep theirs.
    #[command(after_help = "\
Examples:
  jackfield serve
  jackfield serve --config /etc/jackfield/jackfield.toml
  PHONE_1001=secret JACKFIELD_TOKEN=secret jackfield serve")]
    Serve(ConfigFile),

    /// Check a configuration and all it refers to, without starting anything.
    ///
    /// Every problem is one line that begins with file and line. Prompts are decoded, plugin
    /// settings parsed and secrets looked up, so the environment should be that of the server.
    #[command(after_help = "\
Examples:
  jackfield check-config
  jackfield check-config --config /etc/jackfield/jackfield.toml")]
    CheckConfig(ConfigFile),

    // Its help is with its arguments.
    Call(call_command::CallArgs),
    Phone(call_command::PhoneArgs),
    Trace(trace_command::TraceArgs),

    /// See the calls that are up, and do what an agent does: hold, transfer, park and the like.
    ///
    /// Asks a running server over its API. A call is named by its id, or by a user whose phone is in
    /// it.
    #[command(
        arg_required_else_help = true,
        after_help = "\
Examples:
  jackfield calls list
  jackfield calls dial 1001 1002
  jackfield calls hold --by 1001
  jackfield calls transfer --by 1001 --to 1002
  jackfield calls hangup 01kaj8q2zk5v7n3r9t4w6y8b0c"
    )]
    Calls(calls_command::CallsArgs),

    /// Find, hear, hold and delete recordings, and see who did.
    ///
    /// Asks a running server over its API. A recording is named by its id, as the list shows it.
    #[command(
        arg_required_else_help = true,
        after_help = "\
Examples:
  jackfield recordings list --party tel:+862155501234
  jackfield recordings get 01kaj8q2zk5v7n3r9t4w6y8b0c-s1 --output caller.wav
  jackfield recordings hold 01kaj8q2zk5v7n3r9t4w6y8b0c --reason \"complaint 4711\"
  jackfield recordings audit --action recording.deleted"
    )]
    Recordings(recordings_command::RecordingsArgs),

    /// Upload, list, hear, undo and delete a tenant's prompts.
    ///
    /// Asks a running server over its API. A prompt is named by its language, or `common`, and its name.
    #[command(
        arg_required_else_help = true,
        after_help = "\
Examples:
  jackfield prompts list --tenant demo --language zh-CN
  jackfield prompts put zh-CN greeting greeting.mp3 --tenant demo --by li.na
  jackfield prompts versions zh-CN greeting --tenant demo
  jackfield prompts activate zh-CN greeting 1 --tenant demo"
    )]
    Prompts(prompts_command::PromptsArgs),

    /// Check, install, list and roll back plugins.
    #[command(
        arg_required_else_help = true,
        after_help = "\
Examples:
  jackfield plugin check ivr-menu.wasm
  jackfield plugin install ivr-menu.wasm --config jackfield.toml
  jackfield plugin list --config jackfield.toml
  jackfield plugin rollback ivr-menu --config jackfield.toml"
    )]
    Plugin {
        #[command(subcommand)]
        command: plugin_command::PluginCommand,
    },

    /// Print the version.
    #[command(after_help = "\
Examples:
  jackfield version")]
    Version,
}

#[derive(Args, Debug)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "jackfield.toml")]
    config: PathBuf,
}

/// Runs the command of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(file) => {
            memory::keep_together();
            serve::run(&file.config)
        }
        Command::CheckConfig(file) => check_config(&file.config),
        Command::Call(args) => call_command::run(&args),
        Command::Phone(args) => call_command::take_calls(&args),
        Command::Trace(args) => trace_command::run(&args),
        Command::Calls(args) => calls_command::run(&args),
        Command::Recordings(args) => recordings_command::run(&args),
        Command::Prompts(args) => prompts_command::run(&args),
        Command::Plugin { command } => plugin_command::run(&command),
        Command::Version => {
            say(&format!("jackfield {}", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Says what went wrong. A configuration's problems begin with their file, so that editors and
/// people find the place.
fn failed(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<Errors>() {
        Some(errors) => {
            complain(&errors.to_string());
            ExitCode::from(2)
        }
        None => {
            complain(&format!("jackfield: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn check_config(path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    crate::net::tls::Tls::load(&config.tls.setup)?;
    let mut warnings = config.warnings.clone();
    warnings.extend(plugin_command::grants_missing(&config));
    for warning in &warnings {
        complain(&format!("warning: {warning}"));
    }
    say(&format!("{}: good: {}", path.display(), summary(&config)));
    Ok(ExitCode::SUCCESS)
}

/// What a configuration holds, in a few words.
fn summary(config: &Config) -> String {
    let tenants = config.node.tenants().values();
    let count = |of: fn(&node::Tenant) -> usize| tenants.clone().map(|tenant| of(tenant)).sum();
    [
        counted(config.node.tenants().len(), "tenant"),
        counted(count(|tenant| tenant.routes.len()), "route"),
        counted(count(|tenant| tenant.phones.len()), "phone"),
        counted(count(|tenant| tenant.trunks.len()), "trunk"),
        counted(count(|tenant| tenant.catalogue.len()), "prompt"),
    ]
    .join(", ")
}

/// `1 route`, `2 routes`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Rows as a table, two spaces between the columns.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|n| width(n).unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Prints a line; a reader that has gone away is no reason to panic.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    if out.is_terminal() {
        let _ = out.flush();
    }
}

/// Prints a line on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn check(command: &mut clap::Command, seen: &mut Vec<String>) {
            let help = command.render_long_help().to_string();
            assert!(
                help.contains("Examples:\n  "),
                "{}: {help}",
                command.get_name()
            );
            seen.push(command.get_name().to_owned());
            for inner in command.get_subcommands_mut() {
                check(inner, seen);
            }
        }
        let mut command = Cli::command();
        command.build();
        let mut seen = Vec::new();
        check(&mut command, &mut seen);
        let expected = [
            "jackfield",
            "serve",
            "check-config",
            "call",
            "phone",
            "trace",
            "calls",
            "list",
            "dial",
            "redial",
            "hold",
            "retrieve",
            "transfer",
            "consult",
            "swap",
            "merge",
            "complete",
            "cancel",
            "park",
            "pickup",
            "redirect",
            "flow",
            "bridge",
            "add",
            "adjust",
            "supervise",
            "takeover",
            "secure",
            "digits",
            "hangup",
            "watch",
            "recordings",
            "list",
            "show",
            "get",
            "verify",
            "delete",
            "hold",
            "release",
            "holds",
            "audit",
            "decrypt",
            "prompts",
            "list",
            "put",
            "versions",
            "activate",
            "get",
            "delete",
            "plugin",
            "check",
            "install",
            "list",
            "rollback",
            "version",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn examples_parse() {
        let mut command = Cli::command();
        command.build();
        let mut examples = Vec::new();
        fn collect(command: &mut clap::Command, examples: &mut Vec<String>) {
            let help = command.render_long_help().to_string();
            let at = help.find("Examples:").expect("checked above");
            let lines = help[at..]
                .lines()
                .filter_map(|line| line.strip_prefix("  "));
            examples.extend(lines.map(str::to_owned));
            for inner in command.get_subcommands_mut() {
                collect(inner, examples);
            }
        }
        collect(&mut command, &mut examples);
        assert!(examples.len() > 15);
        for example in examples {
            let words = words(&example);
            let at = words
                .iter()
                .position(|word| word == "jackfield")
                .expect("our command");
            Cli::try_parse_from(&words[at..]).unwrap_or_else(|error| panic!("{example}: {error}"));
        }
    }

    /// Words as a shell would cut them.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = None;
        for c in line.chars() {
            match (quoted, c) {
                (Some(quote), c) if c == quote => quoted = None,
                (None, '\'' | '"') => quoted = Some(c),
                (None, ' ') => words.push(String::new()),
                (_, c) => words.last_mut().expect("never empty").push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn counts_have_their_plural() {
        assert_eq!(
            (counted(1, "route"), counted(0, "route")),
            ("1 route".into(), "0 routes".into())
        );
    }
}
