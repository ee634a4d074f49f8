//! sipp signals, our RTP ends talk and listen.
//!
//! sipp's scenario takes each line's SDP from a file of fields. Once a call is up it says so over
//! its control connection (its "3PCC" mode), with the server's RTP port; when the line's script is
//! over we say so, and it sends BYE. So a call lasts as long as its conversation, whatever the load.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use server::clock::Clock;
use sip::Transport;
use vocab::Mono;

use super::capture::Capture;
use super::lines::{Caller, Lines};
use super::{hurry, require, spawn, until};
use crate::shell::{Folder, free_port};

/// What ends a message on the control connection: the escape character.
const END: u8 = 0x1b;

const LISTENER: Token = Token(0);
const CONTROL: Token = Token(1);
/// The first token of the lines.
const LINES: usize = 2;

/// Longest wait for anything to happen at all.
const TURN: Duration = Duration::from_millis(100);

/// Calls that one sipp makes.
#[derive(Debug)]
pub struct Calls {
    /// Names its folder.
    pub name: String,
    /// The scenario: a file of `tests/tests/sipp`.
    pub scenario: String,
    /// Where the server is.
    pub server: SocketAddr,
    /// How sipp signals; over TCP, all calls share one connection.
    pub transport: Transport,
    /// What is dialed.
    pub number: String,
    /// Who calls, at the same time.
    pub callers: Vec<Caller>,
    /// Calls begun each second.
    pub rate: u32,
    /// Longest time for all of it.
    pub limit: Duration,
}

/// How the calls went.
#[derive(Debug)]
pub struct Outcome {
    /// A call for each caller, in their order.
    pub calls: Vec<Call>,
    /// What sipp counted.
    pub statistics: Statistics,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Its `Call-ID`.
    pub call_id: String,
    /// What was heard.
    pub capture: Capture,
}

/// Totals of sipp's statistics file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// Calls made.
    pub created: u64,
    /// Calls that went as the scenario says.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Requests it sent again.
    pub retransmissions: u64,
}

impl Calls {
    /// Makes the calls and waits until they are over.
    ///
    /// # Errors
    /// If sipp is missing (with the command that installs it), says that a call failed, or the
    /// conversations do not come to their end in time (with what they wait for).
    pub fn run(self) -> anyhow::Result<Outcome> {
        require("sipp", "sip-tester")?;
        hurry();
        let folder = Folder::new(&self.name);
        let mut poll = Poll::new()?;
        let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let control = listener.local_addr()?;
        let count = self.callers.len();
        let limit = self.limit;
        let lines = Lines::open(self.callers.clone(), poll.registry(), LINES)?;
        let child = self.start(folder.path(), &lines, control)?;
        let clock = Clock::start();
        let mut running = Running {
            child: Process(child),
            listener,
            control: None,
            lines,
            call_ids: vec![None; count],
            over: 0,
        };
        let end = clock.now().mono + limit;
        let ended = running.run(&mut poll, clock, end);
        let report = || sipp_report(folder.path());
        ended.with_context(report)?;
        // Its control connection is closed, so it ends by itself.
        let child = &mut running.child.0;
        let status = until("sipp ends", || Ok(child.try_wait()?)).with_context(report)?;
        ensure!(status.success(), "sipp ended with {status}: {}", report());
        let statistics = Statistics::read(&folder.path().join("statistics.csv"))?;
        let ids = std::mem::take(&mut running.call_ids);
        let captures = running.lines.into_captures();
        let calls = ids.into_iter().zip(captures).map(|(call_id, capture)| {
            let call_id = call_id.context("a line was never called")?;
            Ok(Call { call_id, capture })
        });
        Ok(Outcome {
            calls: calls.collect::<anyhow::Result<_>>()?,
            statistics,
        })
    }

    fn start(&self, folder: &Path, lines: &Lines, control: SocketAddr) -> anyhow::Result<Child> {
        let mut fields = "SEQUENTIAL\n".to_owned();
        for line in 0..self.callers.len() {
            fields += &format!("{line};{};\n", lines.offer(line).join(";"));
        }
        std::fs::write(folder.join("lines.csv"), fields)?;
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp");
        let scenario = scenario.join(format!("{}.xml", self.scenario));
        let count = self.callers.len().to_string();
        let output = std::fs::File::create(folder.join("screen.txt"))?;
        let mut command = Command::new("sipp");
        command
            .arg(self.server.to_string())
            .arg("-sf")
            .arg(scenario)
            .args(["-inf", "lines.csv", "-s", &self.number, "-i", "127.0.0.1"])
            .args(["-p", &free_port().to_string()])
            .args([
                "-t",
                if self.transport == Transport::Tcp {
                    "t1"
                } else {
                    "u1"
                },
            ])
            .args(["-m", &count, "-l", &count, "-r", &self.rate.to_string()])
            .args(["-3pcc", &control.to_string()])
            .args([
                "-timeout",
                &format!("{}s", self.limit.as_secs() + 5),
                "-timeout_error",
            ])
            .args(["-trace_stat", "-stf", "statistics.csv"])
            .args(["-trace_err", "-error_file", "errors.txt", "-nostdin"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        spawn(&mut command).context("sipp")
    }
}

/// A process that does not outlive the test.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// sipp and the lines at work.
#[derive(Debug)]
struct Running {
    child: Process,
    listener: TcpListener,
    control: Option<Control>,
    lines: Lines,
    call_ids: Vec<Option<String>>,
    /// Lines whose script is over.
    over: usize,
}

impl Running {
    /// Works until sipp closes its control connection.
    fn run(&mut self, poll: &mut Poll, clock: Clock, end: Mono) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            let now = clock.now().mono;
            if now >= end {
                let stuck = (0..self.call_ids.len()).map(|line| self.lines.stuck(line));
                bail!(
                    "not over in time:\n{}",
                    stuck.collect::<Vec<_>>().join("\n")
                );
            }
            if let Err(error) = poll.poll(&mut events, Some(self.lines.idle(TURN))) {
                ensure!(error.kind() == ErrorKind::Interrupted, error);
                continue;
            }
            if let Some(status) = self.child.0.try_wait()?
                && self.control.is_none()
            {
                bail!("sipp ended with {status} before its first call");
            }
            if events.iter().any(|event| event.token() == LISTENER) {
                self.accept(poll)?;
            }
            self.lines.turn(&events, LINES);
            if events.iter().any(|event| event.token() == CONTROL) && self.listen()? {
                let whole = self.over == self.call_ids.len();
                let left = (0..self.call_ids.len()).map(|line| self.lines.stuck(line));
                let left = left.collect::<Vec<_>>().join("\n");
                ensure!(whole, "sipp ended before its calls were over:\n{left}");
                return Ok(());
            }
            for line in self.lines.done() {
                self.over += 1;
                let call_id = self.call_ids[line]
                    .as_deref()
                    .expect("a line that speaks is called");
                let control = self.control.as_mut().context("sipp has called")?;
                control.say(call_id)?;
            }
        }
    }

    fn accept(&mut self, poll: &Poll) -> anyhow::Result<()> {
        match self.listener.accept() {
            Ok((mut stream, _)) => {
                poll.registry()
                    .register(&mut stream, CONTROL, Interest::READABLE)?;
                self.control = Some(Control {
                    stream,
                    read: Vec::new(),
                });
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Hears what sipp says. True if it is gone.
    fn listen(&mut self) -> anyhow::Result<bool> {
        let control = self.control.as_mut().context("it speaks on a connection")?;
        let (messages, gone) = control.hear()?;
        for message in messages {
            let value = |name| {
                message
                    .lines()
                    .find_map(|line| line.trim().strip_prefix(name))
            };
            let line = value("Line: ").and_then(|line| line.parse::<usize>().ok());
            let line = line.with_context(|| format!("not from our scenario: {message}"))?;
            let call_id = value("Call-ID: ").context("a call has a Call-ID")?;
            ensure!(line < self.call_ids.len(), "there is no line {line}");
            self.call_ids[line] = Some(call_id.to_owned());
            let port = value("Port: ").and_then(|port| port.parse::<u16>().ok());
            let port = port.with_context(|| format!("no RTP port: {message}"))?;
            self.lines
                .begin(line, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        Ok(gone)
    }
}

/// The control connection.
#[derive(Debug)]
struct Control {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Control {
    /// The messages that are complete, and whether there will be no more.
    fn hear(&mut self) -> anyhow::Result<(Vec<String>, bool)> {
        let mut buffer = [0; 4_096];
        let gone = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(length) => self.read.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut messages = Vec::new();
        while let Some(end) = self.read.iter().position(|byte| *byte == END) {
            let message: Vec<u8> = self.read.drain(..=end).collect();
            messages.push(String::from_utf8(message)?);
        }
        Ok((messages, gone))
    }

    /// Tells that a call is over.
    fn say(&mut self, call_id: &str) -> anyhow::Result<()> {
        let mut message = format!("Call-ID: {call_id}\r\n\r\n").into_bytes();
        message.push(END);
        // Some hundred bytes a call always fit the socket's buffer.
        Ok(self.stream.write_all(&message)?)
    }
}

impl Statistics {
    /// Reads the last row.
    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).context("sipp's statistics")?;
        let mut rows = text.lines();
        let names: Vec<&str> = rows
            .next()
            .context("names of columns")?
            .split(';')
            .collect();
        let last: Vec<&str> = rows.next_back().context("a row")?.split(';').collect();
        let value = |name: &str| -> anyhow::Result<u64> {
            let column = names.iter().position(|it| *it == name);
            let text = column.and_then(|column| last.get(column));
            text.and_then(|text| text.trim().parse().ok())
                .with_context(|| format!("no {name}"))
        };
        Ok(Self {
            created: value("TotalCallCreated")?,
            successful: value("SuccessfulCall(C)")?,
            failed: value("FailedCall(C)")?,
            retransmissions: value("Retransmissions(C)")?,
        })
    }
}

/// What sipp says of itself, for the report of a failure.
fn sipp_report(folder: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let screen = read("screen.txt");
    let screen = screen
        .rfind("Messages  Retrans")
        .map_or(screen.as_str(), |at| &screen[at..]);
    let errors: String = read("errors.txt").chars().take(4_000).collect();
    format!("sipp says:\n{screen}\n{errors}")
}
