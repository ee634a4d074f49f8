//! sipp with a ladder.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use super::{Side, checked, xml};
use crate::peers::{require, spawn, until};
use crate::shell::{Folder, port_to_hand_over};

/// What sipp writes before each message it sent or received.
const RULE: &str = "-----------------------------------------------";

/// Looks, each a twentieth of a second, for the end of a call whose other side is over.
const LOOKS_MAX: u32 = 200;

/// Longest time that sipp waits for a call to come or to go on, in seconds; longer than any ladder.
const LIMIT_S: u32 = 110;

/// Most of what sipp says that a failure shows.
const ERROR_CHARS: usize = 600;
const REPORT_CHARS: usize = 8_000;

/// One side of one call, to be played by sipp.
#[derive(Clone, Debug)]
pub struct Play {
    /// Names its folder, and the `Call-ID` of what it calls.
    pub name: String,
    /// The ladder.
    pub ladder: String,
    /// Who begins.
    pub side: Side,
    /// Where the server is.
    pub server: SocketAddr,
    /// What a caller dials.
    pub number: String,
    /// Who it is, and the password for `login`.
    pub user: String,
    /// See there.
    pub password: String,
    /// Over TCP instead of UDP.
    pub tcp: bool,
    /// Its address; a port that is free if there is none.
    pub ip: IpAddr,
    /// See there.
    pub port: Option<u16>,
}

/// A sipp that plays. Killed when dropped.
#[derive(Debug)]
pub struct Party {
    child: Child,
    folder: Folder,
    name: String,
    /// Where it signals.
    pub address: SocketAddr,
}

/// What a sipp saw once its call is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Every message: sent or received, and its text. Repeated ones are there once.
    pub messages: Vec<(bool, String)>,
}

impl Play {
    /// A caller who dials a number; a stranger, over UDP.
    pub fn caller(name: &str, server: SocketAddr, number: &str, ladder: &str) -> Self {
        Self {
            name: name.to_owned(),
            ladder: ladder.to_owned(),
            side: Side::Caller,
            server,
            number: number.to_owned(),
            user: "visitor".to_owned(),
            password: String::new(),
            tcp: false,
            ip: match server.is_ipv4() {
                true => Ipv4Addr::LOCALHOST.into(),
                false => Ipv6Addr::LOCALHOST.into(),
            },
            port: None,
        }
    }

    /// Somebody who is called at a port.
    pub fn callee(name: &str, server: SocketAddr, port: u16, ladder: &str) -> Self {
        Self {
            side: Side::Callee,
            user: "callee".to_owned(),
            port: Some(port),
            ..Self::caller(name, server, "", ladder)
        }
    }

    /// The same as a user with a password.
    #[must_use]
    pub fn as_user(mut self, user: &str, password: &str) -> Self {
        user.clone_into(&mut self.user);
        password.clone_into(&mut self.password);
        self
    }

    /// Starts sipp. A callee waits for its call once this returns.
    ///
    /// # Errors
    /// If the ladder is wrong, or sipp missing (with the command that installs it).
    pub fn start(&self) -> anyhow::Result<Party> {
        require("sipp", "sip-tester")?;
        let steps = checked(self.side, &self.ladder).with_context(|| self.name.clone())?;
        let folder = Folder::new(&format!("ladder-{}", self.name));
        let scenario = xml::write(self.side, &self.user, &steps);
        std::fs::write(folder.path().join("ladder.xml"), scenario)?;
        let address = SocketAddr::new(self.ip, self.port.unwrap_or_else(port_to_hand_over));
        let output = std::fs::File::create(folder.path().join("screen.txt"))?;
        let mut command = Command::new("sipp");
        command
            .arg(self.server.to_string())
            .args(["-sf", "ladder.xml", "-m", "1", "-l", "1", "-nostdin"])
            .args(["-s", &self.number, "-cid_str", &self.name])
            .args(["-i", &self.ip.to_string()])
            .args(["-p", &address.port().to_string()])
            .args(["-mp", &port_to_hand_over().to_string()])
            .args(["-t", if self.tcp { "t1" } else { "u1" }])
            // The digest is for the URI that is called, not for the server (RFC 7616 §3.4).
            .args(["-auth_uri", &format!("{}@{}", self.number, self.server)])
            .args(["-au", &self.user, "-ap", &self.password])
            .args(["-timeout", &format!("{LIMIT_S}s"), "-timeout_error"])
            // It is no fault of the server if sipp does not get the processor.
            .args(["-watchdog_interval", "0"])
            // What belongs to no call of the ladder is seen, and not answered by sipp's own idea.
            .args(["-default_behaviors", "none"])
            .args(["-trace_msg", "-message_file", "messages.txt"])
            .args(["-trace_err", "-error_file", "errors.txt"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = spawn(&mut command).context("sipp")?;
        let mut party = Party {
            child,
            folder,
            name: self.name.clone(),
            address,
        };
        if self.side == Side::Callee {
            party.wait_until_bound(self.tcp)?;
        }
        Ok(party)
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// As [`Play::start`] and [`Party::end`].
    pub fn run(&self) -> anyhow::Result<Seen> {
        self.start()?.end()
    }
}

impl Party {
    /// Waits until its port is taken: sipp says nothing when it is ready.
    fn wait_until_bound(&mut self, tcp: bool) -> anyhow::Result<()> {
        let table = match (tcp, self.address.is_ipv4()) {
            (false, true) => "/proc/net/udp",
            (false, false) => "/proc/net/udp6",
            (true, true) => "/proc/net/tcp",
            (true, false) => "/proc/net/tcp6",
        };
        let port = format!(":{:04X} ", self.address.port());
        until("sipp takes its port", || {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("sipp ended with {status}: {}", self.report());
            }
            let bound = std::fs::read_to_string(table)?;
            Ok(bound.contains(&port).then_some(()))
        })
    }

    /// Waits for the end of its call.
    ///
    /// # Errors
    /// If the call did not keep to the ladder: with what sipp says of it and all messages.
    pub fn end(mut self) -> anyhow::Result<Seen> {
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "{}: {status}: {}",
            self.name,
            self.report()
        );
        Ok(self.seen())
    }

    /// The same for one whose call must be over soon, since that of the other side is.
    ///
    /// # Errors
    /// The same, or if it goes on.
    pub fn end_soon(mut self) -> anyhow::Result<Seen> {
        let mut looks = 0;
        until("sipp ends", || {
            looks += 1;
            let stuck = looks > LOOKS_MAX;
            ensure!(!stuck, "{} waits: {}", self.name, self.report());
            Ok(self.child.try_wait()?)
        })?;
        self.end()
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        let text = self.read("messages.txt");
        let mut messages: Vec<(bool, String)> = Vec::new();
        for entry in text.split(RULE) {
            let sent = entry.contains("message sent");
            let texts = ["bytes):\n\n", "bytes :\n\n"].map(|head| entry.split_once(head));
            let Some((_, message)) = texts.into_iter().flatten().next() else {
                continue;
            };
            let message = (sent, message.trim().to_owned());
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
        Seen { messages }
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// For the report of a failure.
    fn report(&self) -> String {
        let errors = self.read("errors.txt");
        // The first says it; the same message that comes again is no news.
        let mut report: String = errors.chars().take(ERROR_CHARS).collect();
        report += &self.seen().to_string();
        if report.is_empty() {
            report = self.read("screen.txt");
        }
        report.chars().take(REPORT_CHARS).collect()
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Seen {
    /// First lines, `>` what sipp sent; of answers with the method they are for.
    pub fn ladder(&self) -> Vec<String> {
        let line = |(sent, message): &(bool, String)| {
            let arrow = if *sent { '>' } else { '<' };
            let first = message.lines().next().unwrap_or_default();
            let line = match first.strip_prefix("SIP/2.0 ") {
                Some(status) => {
                    let cseq = header(message, "CSeq").unwrap_or_default();
                    let method = cseq.split(' ').next_back().unwrap_or_default();
                    format!("{} {method}", status.split(' ').next().unwrap_or_default())
                }
                None => first.split(' ').next().unwrap_or_default().to_owned(),
            };
            format!("{arrow} {line}")
        };
        self.messages.iter().map(line).collect()
    }

    /// The received messages that begin so.
    pub fn received(&self, start: &str) -> Vec<&str> {
        let received = self.messages.iter().filter(|(sent, _)| !sent);
        received
            .map(|(_, message)| &**message)
            .filter(|message| message.starts_with(start))
            .collect()
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (line, (_, message)) in self.ladder().iter().zip(&self.messages) {
            f.write_str("\n")?;
            f.write_str(line)?;
            f.write_char('\n')?;
            f.write_str(message)?;
        }
        Ok(())
    }
}

/// The value of a message's header.
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = message.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}
