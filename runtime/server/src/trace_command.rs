//! `jackfield trace`: the SIP ladder of a call in the terminal, from a running server.

// A live call is looked at again and again: the wait between is what this file does.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use serde_json::Value;
use vocab::CallId;

use crate::ask::{Api, Server};
use crate::cli::say;
use crate::config;
use crate::trace::ladder::{Ladder, Row, Style, plain, rows};
use crate::trace::sheet::{Line, Sheet};

/// Columns where there is no terminal to ask.
const WIDTH: usize = 100;

/// How often a live call is looked at.
const FOLLOW: Duration = Duration::from_millis(250);

/// Show the SIP ladder of a call, live or past.
///
/// Draws the messages between our node and each peer of the call, with their times, and what
/// happened to the call between them. Passwords' proofs, keys and digits that were pressed are
/// masked. Answers come from a running server, over its API.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  jackfield trace --last
  jackfield trace 01kaj8q2zk5v7n3r9t4w6y8b0c
  jackfield trace --last --follow
  jackfield trace --last --messages
  jackfield trace 01kaj8q2zk5v7n3r9t4w6y8b0c --pcap call.pcap
  jackfield trace --last --url http://192.0.2.1:8080 --token-env OTHER_TOKEN --json")]
pub(crate) struct TraceArgs {
    /// The call's id, as in the log, in its record and in events.
    #[arg(value_name = "CALL", required_unless_present = "last")]
    call: Option<CallId>,

    /// The call that came in last.
    #[arg(long, conflicts_with = "call")]
    last: bool,

    /// Go on until the call is over, and its last messages have passed.
    #[arg(long, conflicts_with_all = ["pcap", "json"])]
    follow: bool,

    /// Show each message in full, behind the ladder.
    #[arg(long, conflicts_with_all = ["pcap", "json"])]
    messages: bool,

    /// Write a capture file for Wireshark or sngrep instead.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pcap: Option<PathBuf>,

    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    api: Api,

    /// Columns to draw in. Without it, those of the terminal.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
}

/// Shows it.
pub(crate) fn run(args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let server = args.api.server()?;
    let call = match args.call {
        Some(call) => call,
        None => last(&server)?,
    };
    let path = format!("/api/v1/calls/{call}/trace");
    if let Some(file) = &args.pcap {
        return capture(&server, &format!("{path}.pcap"), file);
    }
    let body = fetch(&server, &path)?;
    if args.json {
        say(String::from_utf8_lossy(&body).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let style = Style {
        width: args.width.or_else(columns).unwrap_or(WIDTH),
        colour: colours(),
    };
    let mut sheet = parse(&body)?;
    let mut shown = Shown::new(style);
    shown.heading(&sheet);
    shown.news(&sheet);
    while args.follow && sheet.stage != "past" {
        std::thread::sleep(FOLLOW);
        match fetch(&server, &path) {
            Ok(body) => sheet = parse(&body)?,
            // Nothing is kept of past calls there: then the ending call was all of it.
            Err(_) if sheet.stage == "ending" => break,
            Err(error) => return Err(error),
        }
        shown.news(&sheet);
    }
    let foot = Ladder::new(&sheet, style).foot(&sheet);
    if !foot.is_empty() {
        say(foot.trim_end());
    }
    if args.messages {
        for (n, line) in sheet.messages.iter().enumerate() {
            say(&whole(n + 1, line));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn last(server: &Server) -> anyhow::Result<CallId> {
    let body = fetch(server, "/api/v1/calls?limit=1")?;
    let page: Value = serde_json::from_slice(&body).context("the server's answer is no JSON")?;
    let id = page["items"][0]["id"].as_str();
    let id =
        id.ok_or_else(|| anyhow!("there is no call yet: make one, as with `jackfield call`"))?;
    id.parse().context("the server names a call that is none")
}

fn fetch(server: &Server, path: &str) -> anyhow::Result<Vec<u8>> {
    let answer = server.get(path)?;
    if answer.status == 200 {
        return Ok(answer.body);
    }
    let (code, detail) = answer.problem();
    match code.as_str() {
        "call_not_found" => bail!("the server knows no such call: see its log, or try --last"),
        _ if detail.is_empty() => bail!("the server answers with status {}", answer.status),
        _ => bail!("{detail}"),
    }
}

fn parse(body: &[u8]) -> anyhow::Result<Sheet> {
    serde_json::from_slice(body)
        .context("the server's answer is not understood: is it as new as this?")
}

fn capture(server: &Server, path: &str, file: &Path) -> anyhow::Result<ExitCode> {
    let body = fetch(server, path)?;
    // The head of a capture file and its magic.
    ensure!(body.len() >= 24, "the server's answer is no capture file");
    std::fs::write(file, body).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// What was printed so far of a call that goes on.
struct Shown {
    style: Style,
    ladder: Option<Ladder>,
    messages: BTreeSet<usize>,
    events: BTreeSet<u32>,
}

impl Shown {
    fn new(style: Style) -> Self {
        Self {
            style,
            ladder: None,
            messages: BTreeSet::new(),
            events: BTreeSet::new(),
        }
    }

    fn heading(&self, sheet: &Sheet) {
        let began = sheet.messages.first().map(|line| line.at.as_str());
        let began = began.or(sheet.events.first().map(|mark| mark.at.as_str()));
        let began = began.unwrap_or_default();
        say(&format!(
            "Call {}, {}, {}\n",
            sheet.call, began, sheet.stage
        ));
    }

    /// Prints what came since, under new heads if there are new peers.
    fn news(&mut self, sheet: &Sheet) {
        let ladder = Ladder::new(sheet, self.style);
        if self.ladder.as_ref() != Some(&ladder) {
            let head = ladder.head();
            if !head.is_empty() {
                say(head.trim_end());
            }
        }
        for row in rows(sheet) {
            let new = match row {
                Row::Message(n, _) => self.messages.insert(n),
                Row::Event(mark) => self.events.insert(mark.n),
            };
            if new {
                say(ladder.row(row).trim_end());
            }
        }
        self.ladder = Some(ladder);
    }
}

/// A message in full.
fn whole(n: usize, line: &Line) -> String {
    let (way, seconds) = match line.way.as_str() {
        "in" => ("from", line.offset_us as f64 / 1e6),
        _ => ("to", line.offset_us as f64 / 1e6),
    };
    let mut text = format!(
        "\n{n}. {seconds:.3} {way} {} over {}\n",
        line.remote, line.transport
    );
    for line in line.text.trim_end().lines() {
        text.push_str("\n    ");
        text.push_str(&plain(line));
    }
    if line.cut_bytes > 0 {
        text.push_str(&format!("\n    … {} bytes more", line.cut_bytes));
    }
    text
}

/// Whether standard output takes colours.
fn colours() -> bool {
    std::io::stdout().is_terminal() && !config::no_colour()
}

/// Columns of the terminal, if there is one.
fn columns() -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the request writes one `winsize`, which is live in this frame.
    #[allow(unsafe_code)]
    let known = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) } == 0;
    (known && size.ws_col > 0).then(|| usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_full_cannot_steer_the_terminal() {
        let line = Line {
            offset_us: 1_500_000,
            at: String::new(),
            way: "in".to_owned(),
            transport: "udp".to_owned(),
            local: String::new(),
            remote: "192.0.2.1:5060".to_owned(),
            leg: Some(1),
            summary: String::new(),
            sdp: false,
            retransmission: false,
            cut_bytes: 7,
            text: "BYE x\r\nX: \x1b[2J\r\n\r\n".to_owned(),
        };
        assert_eq!(
            whole(3, &line),
            "\n3. 1.500 from 192.0.2.1:5060 over udp\n\n    BYE x\n    X:  [2J\n    … 7 bytes more"
        );
    }
}
