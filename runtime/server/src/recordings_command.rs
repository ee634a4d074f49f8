//! `jackfield recordings`: the index of recordings, their audio, holds and the audit trail.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use vocab::{CallId, RecordingId};

use crate::archive::{Key, Keys, Unsealed};
use crate::ask::{Answer, Api, Server, fine, with_query};
use crate::cli::{columns, say};
use crate::config;

/// What is asked, and of whom.
#[derive(Args, Debug)]
pub(crate) struct RecordingsArgs {
    #[command(subcommand)]
    command: RecordingsCommand,

    #[command(flatten)]
    api: Api,

    /// Print the server's answer as it is.
    #[arg(long, global = true)]
    json: bool,
}

/// How audio is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// A WAV file, whatever it is kept as.
    Wav,
    /// Opus in an Ogg file, if it is kept so.
    Opus,
}

/// Who asks for it, and why.
#[derive(Args, Debug)]
struct Why {
    /// Who asks for it, for the audit trail.
    #[arg(long)]
    by: Option<String>,
    /// Why, for the audit trail.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Subcommand, Debug)]
enum RecordingsCommand {
    /// List finished recordings, newest first.
    #[command(after_help = "\
Examples:
  jackfield recordings list
  jackfield recordings list --tenant demo --since 2026-11-01T00:00:00Z
  jackfield recordings list --interaction 01kaj8q2zk5v7n3r9t4w6y8b0c
  jackfield recordings list --gaps --json")]
    List {
        /// Only this tenant's.
        #[arg(long)]
        tenant: Option<String>,
        /// Only this call's.
        #[arg(long)]
        call: Option<String>,
        /// Only those of the calls of this interaction.
        #[arg(long)]
        interaction: Option<String>,
        /// Only of this party, as it is listed: tel:+862155501234 or sip:1001@example.com.
        #[arg(long)]
        party: Option<String>,
        /// Only those that began at this time or later.
        #[arg(long)]
        since: Option<String>,
        /// Only those that began before this time.
        #[arg(long)]
        until: Option<String>,
        /// Only those that miss more than 200 ms.
        #[arg(long)]
        gaps: bool,
        /// Those that were deleted as well.
        #[arg(long)]
        deleted: bool,
        /// Only those behind this one.
        #[arg(long)]
        after: Option<String>,
        /// At most so many, up to 1000.
        #[arg(long)]
        limit: Option<String>,
    },

    /// Show all that is known of a recording.
    #[command(after_help = "\
Examples:
  jackfield recordings show 01kaj8q2zk5v7n3r9t4w6y8b0c-s1")]
    Show {
        /// The recording.
        id: RecordingId,
    },

    /// Save the audio of a recording, or of a whole call.
    #[command(after_help = "\
Examples:
  jackfield recordings get 01kaj8q2zk5v7n3r9t4w6y8b0c
  jackfield recordings get 01kaj8q2zk5v7n3r9t4w6y8b0c-s2 --output agent.wav
  jackfield recordings get 01kaj8q2zk5v7n3r9t4w6y8b0c-s2 --format opus")]
    Get {
        /// A recording; or a call, for what its first party said and heard.
        id: RecordingId,
        /// Where to. Without it a file of the recording's name, here.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// How it is wanted.
        #[arg(long, value_enum, default_value = "wav")]
        format: Format,
    },

    /// Read a recording through and compare it with the index.
    #[command(after_help = "\
Examples:
  jackfield recordings verify 01kaj8q2zk5v7n3r9t4w6y8b0c-s1")]
    Verify {
        /// The recording.
        id: RecordingId,
    },

    /// Delete a recording. Its entry in the index stays.
    #[command(after_help = "\
Examples:
  jackfield recordings delete 01kaj8q2zk5v7n3r9t4w6y8b0c-s1 --by li.na --reason \"asked for\"")]
    Delete {
        /// The recording.
        id: RecordingId,
        #[command(flatten)]
        why: Why,
    },

    /// Keep everything of an interaction from being deleted.
    #[command(after_help = "\
Examples:
  jackfield recordings hold 01kaj8q2zk5v7n3r9t4w6y8b0c --reason \"complaint 4711\" --by li.na")]
    Hold {
        /// Any call of the interaction.
        call: CallId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Who asks for it, for the audit trail.
        #[arg(long)]
        by: Option<String>,
    },

    /// Lift the hold of an interaction.
    #[command(after_help = "\
Examples:
  jackfield recordings release 01kaj8q2zk5v7n3r9t4w6y8b0c --by wang --reason settled")]
    Release {
        /// Any call of the interaction.
        call: CallId,
        #[command(flatten)]
        why: Why,
    },

    /// List the interactions that are held.
    #[command(after_help = "\
Examples:
  jackfield recordings holds
  jackfield recordings holds --tenant demo")]
    Holds {
        /// Only this tenant's.
        #[arg(long)]
        tenant: Option<String>,
    },

    /// See who did what, newest first.
    #[command(after_help = "\
Examples:
  jackfield recordings audit
  jackfield recordings audit --action recording.listened --since 2026-11-01T00:00:00Z
  jackfield recordings audit --object 01kaj8q2zk5v7n3r9t4w6y8b0c-s1")]
    Audit {
        /// Only about this tenant's data.
        #[arg(long)]
        tenant: Option<String>,
        /// Only what this one did.
        #[arg(long)]
        by: Option<String>,
        /// Only this, as in recording.deleted.
        #[arg(long)]
        action: Option<String>,
        /// Only about this id.
        #[arg(long)]
        object: Option<String>,
        /// Only at this time or later.
        #[arg(long)]
        since: Option<String>,
        /// Only before this time.
        #[arg(long)]
        until: Option<String>,
        /// At most so many, up to 1000.
        #[arg(long)]
        limit: Option<String>,
    },

    /// Decrypt a file from the folder of recordings or from the object store, without a server.
    #[command(after_help = "\
Examples:
  RECORDING_KEY=... jackfield recordings decrypt 01kaj8q2zk5v7n3r9t4w6y8b0c-s1.opus.sealed
  jackfield recordings decrypt call.wav.sealed --name 01kaj8q2zk5v7n3r9t4w6y8b0c-s1 --key-env OLD_KEY")]
    Decrypt {
        /// The file, whose name ends in .sealed.
        file: PathBuf,
        /// Which recording it is, if the file has another name.
        #[arg(long)]
        name: Option<RecordingId>,
        /// The environment variable that holds its key.
        #[arg(long, value_name = "NAME", default_value = "RECORDING_KEY")]
        key_env: String,
        /// Where to. Without it the same name without .sealed.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// In one line, with what to do.
pub(crate) fn run(args: &RecordingsArgs) -> anyhow::Result<ExitCode> {
    if let RecordingsCommand::Decrypt {
        file,
        name,
        key_env,
        output,
    } = &args.command
    {
        decrypt(file, *name, key_env, output.as_deref())?;
        return Ok(ExitCode::SUCCESS);
    }
    let server = args.api.server()?;
    if let RecordingsCommand::Get { id, output, format } = &args.command {
        get(&server, *id, output.as_deref(), *format)?;
        return Ok(ExitCode::SUCCESS);
    }
    let answer = ask(&server, &args.command)?;
    if args.json {
        say(String::from_utf8_lossy(&answer.body).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    say(&told(&args.command, &body));
    // A recording that was changed is no success.
    let same = body["same"] != Value::Bool(false);
    Ok(if same {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn ask(server: &Server, command: &RecordingsCommand) -> anyhow::Result<Answer> {
    let yes = |flag: bool| flag.then(|| "true".to_owned());
    let answer = match command {
        RecordingsCommand::List {
            tenant,
            call,
            interaction,
            party,
            since,
            until,
            gaps,
            deleted,
            after,
            limit,
        } => server.get(&with_query(
            "/api/v1/recordings",
            &[
                ("tenant", tenant),
                ("call", call),
                ("interaction", interaction),
                ("party", party),
                ("since", since),
                ("until", until),
                ("gaps", &yes(*gaps)),
                ("deleted", &yes(*deleted)),
                ("after", after),
                ("limit", limit),
            ],
        )),
        RecordingsCommand::Show { id } => server.get(&format!("/api/v1/recordings/{id}/about")),
        RecordingsCommand::Verify { id } => {
            server.post(&format!("/api/v1/recordings/{id}/verify"), "{}")
        }
        RecordingsCommand::Delete { id, why } => {
            let path = format!("/api/v1/recordings/{id}");
            server.delete(&with_query(
                &path,
                &[("by", &why.by), ("reason", &why.reason)],
            ))
        }
        RecordingsCommand::Hold { call, reason, by } => {
            let body = json!({ "reason": reason, "by": by });
            server.put(&format!("/api/v1/calls/{call}/hold"), &body.to_string())
        }
        RecordingsCommand::Release { call, why } => {
            let path = format!("/api/v1/calls/{call}/hold");
            server.delete(&with_query(
                &path,
                &[("by", &why.by), ("reason", &why.reason)],
            ))
        }
        RecordingsCommand::Holds { tenant } => {
            server.get(&with_query("/api/v1/holds", &[("tenant", tenant)]))
        }
        RecordingsCommand::Audit {
            tenant,
            by,
            action,
            object,
            since,
            until,
            limit,
        } => server.get(&with_query(
            "/api/v1/audit",
            &[
                ("tenant", tenant),
                ("by", by),
                ("action", action),
                ("object", object),
                ("since", since),
                ("until", until),
                ("limit", limit),
            ],
        )),
        RecordingsCommand::Get { .. } | RecordingsCommand::Decrypt { .. } => {
            unreachable!("these have no answer to show")
        }
    };
    fine(answer?)
}

/// Saves audio; what is half there is removed.
fn get(
    server: &Server,
    id: RecordingId,
    output: Option<&Path>,
    format: Format,
) -> anyhow::Result<()> {
    let whole = id == RecordingId::of_call(id.call);
    let (path, ending) = match (whole, format) {
        (true, Format::Wav) => (format!("/api/v1/calls/{}/recording", id.call), "wav"),
        (true, Format::Opus) => bail!("a whole call is put together as WAV: leave --format out"),
        (false, Format::Wav) => (format!("/api/v1/recordings/{id}"), "wav"),
        (false, Format::Opus) => (format!("/api/v1/recordings/{id}?format=opus"), "opus"),
    };
    let file = output.map_or_else(|| PathBuf::from(format!("{id}.{ending}")), Path::to_owned);
    let named = || file.display().to_string();
    let shown = io::stderr().is_terminal();
    let mut part = file.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut out = File::create(&part).with_context(|| format!("{} cannot be written", named()))?;
    let told = |done: u64, length: u64| {
        if shown {
            let percent = done * 100 / length.max(1);
            let all = length >> 10;
            drop(write!(io::stderr(), "\r{percent:3} % of {all} KB"));
        }
    };
    let answer = server.download(&path, &mut out, told).and_then(fine);
    if shown {
        drop(write!(io::stderr(), "\r                         \r"));
    }
    let kept = answer.and_then(|_| Ok(std::fs::rename(&part, &file)?));
    if kept.is_err() {
        drop(std::fs::remove_file(&part));
    }
    kept?;
    say(&format!("saved as {}", named()));
    Ok(())
}

/// Decrypts a file.
fn decrypt(
    file: &Path,
    name: Option<RecordingId>,
    key_env: &str,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let stem = file.file_stem().map(PathBuf::from).unwrap_or_default();
    let name = match name {
        Some(name) => name,
        None => {
            let id = stem.file_stem().and_then(|id| id.to_str()?.parse().ok());
            id.context("the file's name is no recording's: say which it is by --name")?
        }
    };
    let key = config::secret(key_env).map_err(|why| anyhow::anyhow!("the key: {why}"))?;
    let key = Key::parse(key.reveal())
        .with_context(|| format!("the key in {key_env} is not 64 hexadecimal digits"))?;
    let shown = file.display();
    let sealed = File::open(file).with_context(|| format!("{shown} cannot be read"))?;
    let mut clear = Unsealed::open(sealed, &Keys::new([key]), &name.to_string())
        .with_context(|| format!("{shown} cannot be decrypted"))?;
    let output = output.map_or_else(|| file.with_file_name(&stem), Path::to_owned);
    if output == file {
        bail!("say where to by --output: the file would take its own place");
    }
    let into = output.display();
    let mut out = File::create(&output).with_context(|| format!("{into} cannot be written"))?;
    if let Err(error) = io::copy(&mut clear, &mut out) {
        // What is authentic of it is no recording.
        drop(std::fs::remove_file(&output));
        return Err(error).with_context(|| format!("{shown} cannot be decrypted"));
    }
    say(&format!("saved as {into}"));
    Ok(())
}

/// An answer in words.
fn told(command: &RecordingsCommand, body: &Value) -> String {
    let items = body["items"].as_array().map(Vec::as_slice);
    let items = items.unwrap_or_default();
    match command {
        RecordingsCommand::List { .. } => {
            let mut text = recordings(items);
            if let Some(next) = body["next"].as_str() {
                text += &format!("\nmore: --after {next}");
            }
            text
        }
        RecordingsCommand::Show { .. } => about(body),
        RecordingsCommand::Verify { .. } if body["same"] == true => {
            format!("it is what the index says: {}", word(body, "sha256"))
        }
        RecordingsCommand::Verify { .. } => format!(
            "it was changed: it hashes to {}, and the index says otherwise",
            word(body, "sha256")
        ),
        RecordingsCommand::Hold { .. } => {
            format!("held since {}: {}", word(body, "at"), word(body, "reason"))
        }
        RecordingsCommand::Holds { .. } if items.is_empty() => "nothing is held".to_owned(),
        RecordingsCommand::Holds { .. } => list(
            ["INTERACTION", "TENANT", "SINCE", "BY", "REASON"],
            ["interaction", "tenant", "at", "by", "reason"],
            items,
        ),
        RecordingsCommand::Audit { .. } if items.is_empty() => "nobody did anything".to_owned(),
        RecordingsCommand::Audit { .. } => list(
            ["AT", "TENANT", "BY", "ACTION", "OBJECT", "DETAIL"],
            ["at", "tenant", "by", "action", "object", "detail"],
            items,
        ),
        RecordingsCommand::Delete { .. }
        | RecordingsCommand::Release { .. }
        | RecordingsCommand::Get { .. }
        | RecordingsCommand::Decrypt { .. } => "done".to_owned(),
    }
}

/// A field as it is written, without quotes.
fn word(body: &Value, name: &str) -> String {
    match &body[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    }
}

fn list<const N: usize>(head: [&str; N], fields: [&str; N], items: &[Value]) -> String {
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(items.iter().map(|item| fields.map(|name| word(item, name))));
    columns(&rows)
}

/// A length as 1:02:03, or 2:03.
fn clock(millis: u64) -> String {
    let seconds = (millis + 500) / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

fn recordings(items: &[Value]) -> String {
    if items.is_empty() {
        return "no recording".to_owned();
    }
    let head = ["RECORDING", "BEGAN", "LENGTH", "PARTY", "END", "KEPT"];
    let mut rows = vec![head.map(str::to_owned)];
    for item in items {
        let mut end = word(item, "end");
        let gap = item["gap_ms"].as_u64().unwrap_or(0);
        if gap > 200 {
            end += &format!(", {gap} ms missing");
        }
        rows.push([
            word(item, "id"),
            word(item, "started_at"),
            clock(item["length_ms"].as_u64().unwrap_or(0)),
            word(item, "party"),
            end,
            kept(item),
        ]);
    }
    columns(&rows)
}

/// Where and how a recording is kept.
fn kept(item: &Value) -> String {
    if !item["deleted_at"].is_null() {
        return format!("deleted by {}", word(item, "deleted_by"));
    }
    let mut text = word(item, "format");
    if !item["key"].is_null() {
        text += ", encrypted";
    }
    text += match (item["local"] == true, !item["stored_at"].is_null()) {
        (true, true) => ", here and stored",
        (true, false) => ", here",
        (false, true) => ", stored",
        (false, false) => ", lost",
    };
    if item["held"] == true {
        text += ", held";
    }
    text
}

/// One recording, a field a line.
fn about(item: &Value) -> String {
    let mut rows = Vec::new();
    for (name, value) in item.as_object().into_iter().flatten() {
        if !value.is_null() {
            rows.push([name.replace('_', " "), word(item, name)]);
        }
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn sample() -> Value {
        json!({
            "id": "01kaj8q2zk5v7n3r9t4w6y8b0c-s1", "started_at": "2026-11-23T08:00:00Z",
            "length_ms": 83_400, "gap_ms": 20, "party": "tel:+862155501234", "end": "gone",
            "format": "opus", "key": "00ff", "local": true, "stored_at": "2026-11-23T08:02:00Z",
            "held": true, "deleted_at": null,
        })
    }

    #[test]
    fn recordings_are_listed() {
        let mut lost = sample();
        for (name, value) in [
            ("id", json!("01kaj8q2zk5v7n3r9t4w6y8b0c-s12")),
            ("length_ms", json!(3_723_000)),
            ("gap_ms", json!(700)),
            ("key", Value::Null),
            ("held", json!(false)),
            ("local", json!(false)),
        ] {
            lost[name] = value;
        }
        let mut deleted = sample();
        deleted["deleted_at"] = json!("2026-11-24T08:00:00Z");
        deleted["deleted_by"] = json!("retention");
        expect![[r#"
            RECORDING                       BEGAN                 LENGTH   PARTY              END                   KEPT
            01kaj8q2zk5v7n3r9t4w6y8b0c-s1   2026-11-23T08:00:00Z  1:23     tel:+862155501234  gone                  opus, encrypted, here and stored, held
            01kaj8q2zk5v7n3r9t4w6y8b0c-s12  2026-11-23T08:00:00Z  1:02:03  tel:+862155501234  gone, 700 ms missing  opus, stored
            01kaj8q2zk5v7n3r9t4w6y8b0c-s1   2026-11-23T08:00:00Z  1:23     tel:+862155501234  gone                  deleted by retention"#]].assert_eq(&recordings(&[sample(), lost, deleted]));
        assert_eq!(recordings(&[]), "no recording");
        expect![[r#"
            end         gone
            format      opus
            gap ms      20
            held        true
            id          01kaj8q2zk5v7n3r9t4w6y8b0c-s1
            key         00ff
            length ms   83400
            local       true
            party       tel:+862155501234
            started at  2026-11-23T08:00:00Z
            stored at   2026-11-23T08:02:00Z"#]]
        .assert_eq(&about(&sample()));
    }

    #[test]
    fn what_is_encrypted_is_decrypted_without_a_server() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = "01kaj8q2zk5v7n3r9t4w6y8b0c-s1";
        let key = Key::parse(&"5a".repeat(32)).expect("a key");
        let mut sealer = crate::archive::Sealer::new(Vec::new(), &key, id).expect("begins");
        sealer.write_all(b"what was said").expect("writes");
        let file = folder.path().join(format!("{id}.opus.sealed"));
        std::fs::write(&file, sealer.finish().expect("ends")).expect("writes");
        let error =
            decrypt(&file, None, "NO_SUCH_VARIABLE", None).map_err(|error| error.to_string());
        assert!(error.is_err_and(|error| error.starts_with("the key: the environment variable")));
        let mut clear = Vec::new();
        let sealed = File::open(&file).expect("opens");
        let mut opened = Unsealed::open(sealed, &Keys::new([key]), id).expect("decrypts");
        io::copy(&mut opened, &mut clear).expect("reads");
        assert_eq!(clear, b"what was said");
    }
}
