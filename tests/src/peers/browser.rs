//! Phones of browsers: SIP.js and JsSIP as published, in Node, told what to do line by line.
//!
//! They signal over WebSockets like a page would. Their audio is plain RTP to a socket of ours; those
//! of [`chromium`](super::chromium) speak WebRTC.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::{hear, require, spawn};
use crate::shell::{Folder, PATIENCE};

/// Which library is the phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Library {
    /// SIP.js.
    SipJs,
    /// JsSIP.
    JsSip,
}

/// A running phone. Ends when dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    events: Receiver<Value>,
    history: Vec<Value>,
    rtp: UdpSocket,
    folder: Folder,
}

impl Browser {
    /// Starts a phone and waits until its WebSocket is open. `authority` is the certificate that
    /// vouches for a secure one.
    ///
    /// # Errors
    /// If Node or the libraries are missing (with the command that installs them), or it does not
    /// get its connection.
    pub fn start(
        library: Library,
        url: &str,
        authority: Option<&Path>,
        (user, password): (&str, &str),
    ) -> anyhow::Result<Self> {
        require("node", "nodejs")?;
        let home = home();
        ensure!(
            home.join("node_modules/ws").is_dir(),
            "the libraries of the browser phones are missing; \
             install them: npm ci --omit=optional --prefix tests/browser"
        );
        let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        rtp.set_read_timeout(Some(PATIENCE))?;
        let library = match library {
            Library::SipJs => "sipjs",
            Library::JsSip => "jssip",
        };
        let setup = json!({
            "library": library, "url": url, "user": user, "password": password,
            "rtp": rtp.local_addr()?.port(),
        });
        let folder = Folder::new(&format!("browser-{library}-{user}"));
        let errors = std::fs::File::create(folder.path().join("errors.txt"))?;
        let mut command = Command::new("node");
        command.arg(home.join("phone.mjs")).arg(setup.to_string());
        if let Some(authority) = authority {
            command.env("NODE_EXTRA_CA_CERTS", authority);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut child = spawn(&mut command).context("node")?;
        let commands = child.stdin.take().context("it was asked for")?;
        let output = child.stdout.take().context("it was asked for")?;
        // Some ten events a call.
        let (sender, events) = sync_channel(1_000);
        std::thread::Builder::new().spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for event in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(event).is_err() {
                    return;
                }
            }
        })?;
        let mut phone = Self {
            child,
            commands,
            events,
            history: Vec::new(),
            rtp,
            folder,
        };
        phone.wait_for("connected")?;
        Ok(phone)
    }

    /// Gives a command: a word, and what it needs.
    ///
    /// # Errors
    /// If the phone is gone.
    pub fn tell(&mut self, command: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.commands, "{command}")?)
    }

    /// Waits for an event of this name, from the last one on; gives it.
    ///
    /// # Errors
    /// If there is none in time, or a command broke.
    pub fn wait_for(&mut self, name: &str) -> anyhow::Result<Value> {
        loop {
            let Ok(event) = self.events.recv_timeout(PATIENCE) else {
                bail!("no {name}; so far: {}", self.told());
            };
            self.history.push(event.clone());
            if event["event"] == name {
                return Ok(event);
            }
            ensure!(event["event"] != "broken", "{}", self.told());
        }
    }

    /// Waits for a packet of µ-law audio.
    ///
    /// # Errors
    /// If none comes, or something else does.
    pub fn hear(&self) -> anyhow::Result<()> {
        hear(&self.rtp)
    }

    /// What it said so far, and what Node complained about.
    fn told(&self) -> String {
        let errors = std::fs::read_to_string(self.folder.path().join("errors.txt"));
        format!("{:#?}\n{}", self.history, errors.unwrap_or_default())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The folder of the scripts and their libraries.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser")
}
