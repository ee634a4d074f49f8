//! `jackfield prompts`: a tenant's prompts and their versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use media::limits::WAV_BYTES_MAX;
use serde_json::{Value, json};

use crate::ask::{Answer, Api, Server, escaped, fine, with_query};
use crate::cli::{columns, say};

/// What is asked, and of whom.
#[derive(Args, Debug)]
pub(crate) struct PromptsArgs {
    #[command(subcommand)]
    command: PromptsCommand,

    #[command(flatten)]
    api: Api,

    /// Print the server's answer as it is.
    #[arg(long, global = true)]
    json: bool,
}

/// A prompt.
#[derive(Args, Debug)]
struct Prompt {
    /// Its language, as in zh-CN, or common for all languages.
    language: String,
    /// Its name, as in greeting or digits/1.
    name: String,
    /// Whose it is.
    #[arg(long)]
    tenant: String,
}

#[derive(Subcommand, Debug)]
enum PromptsCommand {
    /// List prompts: those of the folder, and those that were uploaded.
    #[command(after_help = "\
Examples:
  jackfield prompts list --tenant demo
  jackfield prompts list --tenant demo --language zh-CN --json")]
    List {
        /// Whose.
        #[arg(long)]
        tenant: String,
        /// Only of this language, or of common.
        #[arg(long)]
        language: Option<String>,
        /// Only those behind this one.
        #[arg(long)]
        after: Option<String>,
        /// At most so many, up to 1000.
        #[arg(long)]
        limit: Option<String>,
    },

    /// Upload a sound file as a new version, which is heard from now on.
    #[command(after_help = "\
Examples:
  jackfield prompts put zh-CN greeting greeting.mp3 --tenant demo --by li.na
  jackfield prompts put common music-on-hold music.flac --tenant demo")]
    Put {
        #[command(flatten)]
        prompt: Prompt,
        /// A WAV, MP3, FLAC, Opus or Vorbis file.
        file: PathBuf,
        /// Who does it, for the audit trail.
        #[arg(long)]
        by: Option<String>,
    },

    /// Show the versions that are kept, newest first; 0 is the file in the folder of prompts.
    #[command(after_help = "\
Examples:
  jackfield prompts versions zh-CN greeting --tenant demo")]
    Versions {
        #[command(flatten)]
        prompt: Prompt,
    },

    /// Have another version heard from now on; 0 is the file in the folder of prompts.
    #[command(after_help = "\
Examples:
  jackfield prompts activate zh-CN greeting 1 --tenant demo
  jackfield prompts activate zh-CN greeting 0 --tenant demo --by li.na")]
    Activate {
        #[command(flatten)]
        prompt: Prompt,
        /// Its number.
        version: u32,
        /// Who does it, for the audit trail.
        #[arg(long)]
        by: Option<String>,
    },

    /// Save what is heard, or another version, as a WAV file.
    #[command(after_help = "\
Examples:
  jackfield prompts get zh-CN greeting --tenant demo
  jackfield prompts get zh-CN greeting --tenant demo --version 1 --output before.wav")]
    Get {
        #[command(flatten)]
        prompt: Prompt,
        /// Its number. Without it the one in force.
        #[arg(long)]
        version: Option<u32>,
        /// Where to. Without it a file of the prompt's name, here.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },

    /// Delete all versions that were uploaded; the file in the folder of prompts is heard again.
    #[command(after_help = "\
Examples:
  jackfield prompts delete zh-CN greeting --tenant demo --by li.na")]
    Delete {
        #[command(flatten)]
        prompt: Prompt,
        /// Who does it, for the audit trail.
        #[arg(long)]
        by: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// In one line, with what to do.
pub(crate) fn run(args: &PromptsArgs) -> anyhow::Result<ExitCode> {
    let server = args.api.server()?;
    if let PromptsCommand::Get {
        prompt,
        version,
        output,
    } = &args.command
    {
        let version = version.map(|version| version.to_string());
        let path = format!("{}/audio", path(prompt));
        let path = with_query(&path, &[("version", &version)]);
        get(&server, &path, prompt, output.as_deref())?;
        return Ok(ExitCode::SUCCESS);
    }
    let answer = fine(ask(&server, &args.command)?)?;
    if args.json {
        say(String::from_utf8_lossy(&answer.body).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    say(&told(&args.command, answer.status, &body));
    Ok(ExitCode::SUCCESS)
}

/// Where a tenant's prompts are.
fn all(tenant: &str) -> String {
    format!("/api/v1/tenants/{}/prompts", escaped(tenant))
}

/// Where a prompt is.
fn path(prompt: &Prompt) -> String {
    let (language, name) = (escaped(&prompt.language), escaped(&prompt.name));
    format!("{}/{language}/{name}", all(&prompt.tenant))
}

fn ask(server: &Server, command: &PromptsCommand) -> anyhow::Result<Answer> {
    match command {
        PromptsCommand::List {
            tenant,
            language,
            after,
            limit,
        } => server.get(&with_query(
            &all(tenant),
            &[("language", language), ("after", after), ("limit", limit)],
        )),
        PromptsCommand::Put { prompt, file, by } => {
            let shown = file.display();
            let length = fs::metadata(file).with_context(|| format!("{shown} cannot be read"))?;
            ensure!(
                length.len() <= WAV_BYTES_MAX as u64,
                "{shown} has more than {WAV_BYTES_MAX} bytes: shorten it, or save it as MP3 or Opus"
            );
            let bytes = fs::read(file).with_context(|| format!("{shown} cannot be read"))?;
            server.put_file(&with_query(&path(prompt), &[("by", by)]), &bytes)
        }
        PromptsCommand::Versions { prompt } => server.get(&format!("{}/versions", path(prompt))),
        PromptsCommand::Activate {
            prompt,
            version,
            by,
        } => {
            let body = json!({ "version": version, "by": by });
            let path = format!("{}/activate", path(prompt));
            server.post(&path, &body.to_string())
        }
        PromptsCommand::Delete { prompt, by } => {
            server.delete(&with_query(&path(prompt), &[("by", by)]))
        }
        PromptsCommand::Get { .. } => unreachable!("its answer is a file"),
    }
}

/// Saves audio; what is half there is not left behind.
fn get(server: &Server, path: &str, prompt: &Prompt, output: Option<&Path>) -> anyhow::Result<()> {
    let named = || PathBuf::from(format!("{}.wav", prompt.name.replace('/', "-")));
    let file = output.map_or_else(named, Path::to_owned);
    let shown = file.display();
    let mut audio = Vec::new();
    fine(server.download(path, &mut audio, |_, _| {})?)?;
    fs::write(&file, &audio).with_context(|| format!("{shown} cannot be written"))?;
    say(&format!("saved as {shown}"));
    Ok(())
}

/// An answer in words.
fn told(command: &PromptsCommand, status: u16, body: &Value) -> String {
    let items = body["items"].as_array().map(Vec::as_slice);
    let items = items.unwrap_or_default();
    match command {
        PromptsCommand::List { .. } if items.is_empty() => "no prompt".to_owned(),
        PromptsCommand::List { .. } => {
            let mut text = prompts(items);
            if let Some(next) = body["next"].as_str() {
                text += &format!("\nmore: --after {next}");
            }
            text
        }
        PromptsCommand::Versions { .. } => versions(items),
        PromptsCommand::Put { .. } if status == 200 => {
            format!("it is version {}, which is heard already", body["version"])
        }
        PromptsCommand::Put { .. } | PromptsCommand::Activate { .. } => format!(
            "version {}, {} long, is heard from now on",
            body["version"],
            seconds(body)
        ),
        PromptsCommand::Delete { .. } | PromptsCommand::Get { .. } => "done".to_owned(),
    }
}

fn word(item: &Value, name: &str) -> String {
    item[name].as_str().unwrap_or_default().to_owned()
}

fn seconds(item: &Value) -> String {
    match item["length_ms"].as_u64() {
        Some(length) => format!("{}.{} s", length / 1_000, length % 1_000 / 100),
        None => String::new(),
    }
}

/// Where a version is from.
fn source(item: &Value) -> String {
    if item["damaged"] == true {
        return "damaged".to_owned();
    }
    item["kind"].as_str().unwrap_or("folder").to_owned()
}

fn prompts(items: &[Value]) -> String {
    let head = ["LANGUAGE", "NAME", "VERSION", "LENGTH", "FROM", "AT", "BY"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(items.iter().map(|item| {
        [
            word(item, "language"),
            word(item, "name"),
            item["version"].to_string(),
            seconds(item),
            source(item),
            word(item, "at"),
            word(item, "by"),
        ]
    }));
    columns(&rows)
}

fn versions(items: &[Value]) -> String {
    let head = ["VERSION", "HEARD", "LENGTH", "FROM", "AT", "BY"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(items.iter().map(|item| {
        let heard = item["active"] == true;
        [
            item["version"].to_string(),
            if heard { "yes" } else { "" }.to_owned(),
            seconds(item),
            source(item),
            word(item, "at"),
            word(item, "by"),
        ]
    }));
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_into_paths() {
        let prompt = Prompt {
            language: "zh-CN".to_owned(),
            name: "digits/1".to_owned(),
            tenant: "demo".to_owned(),
        };
        assert_eq!(
            path(&prompt),
            "/api/v1/tenants/demo/prompts/zh-CN/digits%2F1"
        );
    }

    #[test]
    fn answers_are_told_in_words() {
        let items = json!([
            {"version": 2, "active": true, "damaged": false, "length_ms": 1_250,
             "at": "2026-11-23T09:00:00Z", "by": "li.na", "kind": "mp3", "sha256": "ab"},
            {"version": 0, "active": false, "damaged": false, "length_ms": 80,
             "at": null, "by": null, "kind": null, "sha256": null},
        ]);
        let told = versions(items.as_array().unwrap());
        assert_eq!(
            told,
            "VERSION  HEARD  LENGTH  FROM    AT                    BY\n\
             2        yes    1.2 s   mp3     2026-11-23T09:00:00Z  li.na\n\
             0               0.0 s   folder"
        );
    }
}
