//! A carrier that takes calls, says what it hears there if it is to, hangs up each after a while, and
//! falls silent when told to.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use media::rtp::Rtp;
use server::clock::Clock;
use server::net::batch::{self, Receiver};
use sip::{Action, Config, DialogId, Endpoint, Event, Input, Output};
use vocab::{Mono, Now, Rng};

use super::audio::Inbound;
use super::{DATAGRAM_BYTES, DATAGRAMS, Packets, offer, roomy};

/// Longest wait for a datagram: what is due is late by this at most.
const TURN: Duration = Duration::from_millis(2);

/// Longest wait for audio that is said again.
const ECHO_TURN: Duration = Duration::from_millis(1);

/// Longest packet of audio.
const AUDIO_BYTES: usize = 512;

/// What a carrier has seen so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Calls it took.
    pub taken: u64,
    /// Of these, calls whose caller confirmed that both talk.
    pub talked: u64,
    /// Calls that are over.
    pub over: u64,
    /// Call-IDs of the calls it was asked to take while it was silent, and did not.
    pub missed: BTreeSet<String>,
    /// How many of those it took after all, when they were sent again.
    pub late: u64,
}

/// A carrier on a thread of its own. Ends when dropped.
#[derive(Debug)]
pub struct Carrier {
    /// Where it takes calls, over UDP.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    silent: AtomicBool,
    ends: AtomicBool,
    seen: Mutex<Seen>,
    heard: Mutex<Heard>,
}

/// What came of calls' audio, by the port of the server.
#[derive(Debug, Default)]
struct Heard {
    streams: HashMap<SocketAddr, Inbound>,
    packets: Packets,
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carrier {
    /// Starts a carrier that hangs up `talk` after a call was confirmed.
    ///
    /// # Errors
    /// If the system gives no socket or thread.
    pub fn start(talk: Duration) -> anyhow::Result<Self> {
        Self::new(talk, false)
    }

    /// The same, and it says in each call what it hears there, as a line that is looped does.
    ///
    /// # Errors
    /// If the system gives no socket or thread.
    pub fn echoing(talk: Duration) -> anyhow::Result<Self> {
        Self::new(talk, true)
    }

    fn new(talk: Duration, echoes: bool) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        roomy(&socket);
        socket.set_read_timeout(Some(TURN))?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        roomy(&sink);
        let line = echoes.then(|| sink.try_clone()).transpose()?;
        let work = Work {
            clock: Clock::start(),
            endpoint: Endpoint::new(
                Config {
                    realm: "carrier".into(),
                    ..Config::new(address, address, [7; 32])
                },
                Rng::from_u64(u64::from(address.port())),
            ),
            socket,
            sink,
            talk,
            agenda: VecDeque::new(),
            shared: shared.clone(),
        };
        let mut carrier = Self {
            address,
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(work)
        };
        carrier
            .threads
            .push(spawn("carrier", Box::new(move || work.run()))?);
        if let Some(line) = line {
            let echo = spawn("echo", Box::new(move || echo(&line, &shared)))?;
            carrier.threads.push(echo);
        }
        Ok(carrier)
    }

    /// Falls silent: it neither answers nor hangs up.
    pub fn stop(&self) {
        self.shared.silent.store(true, Ordering::SeqCst);
    }

    /// Goes on where it stopped.
    pub fn resume(&self) {
        self.shared.silent.store(false, Ordering::SeqCst);
    }

    /// What has come since this was last asked, if it says it again: judged by when each packet came, as
    /// those who talk have settled by now.
    pub fn take_packets(&self) -> Packets {
        let heard = std::mem::take(&mut *self.shared.heard());
        heard.packets
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// Sends each packet back where it came from: to the port of the call that it is of.
fn echo(line: &UdpSocket, shared: &Shared) {
    let clock = Clock::start();
    let mut receiver = Receiver::new(DATAGRAMS, AUDIO_BYTES);
    let mut packets: Vec<(SocketAddr, Vec<u8>)> = Vec::with_capacity(DATAGRAMS);
    while !shared.ends.load(Ordering::SeqCst) {
        // An ICMP error of an earlier packet is no reason to stop.
        if receiver.receive(line).unwrap_or(0) == 0 {
            std::thread::sleep(ECHO_TURN);
            continue;
        }
        let arrived = clock.now().mono;
        packets.clear();
        let came = receiver.iter();
        packets.extend(came.map(|(from, bytes)| (from, bytes.to_vec())));
        batch::send(line, &packets);
        let mut heard = shared.heard();
        let Heard {
            streams,
            packets: all,
        } = &mut *heard;
        for (from, bytes) in &packets {
            if let Ok(packet) = Rtp::parse(bytes) {
                let stream = streams.entry(*from).or_default();
                stream.take(all, arrived, packet.header);
            }
        }
    }
}

/// The carrier itself.
struct Work {
    clock: Clock,
    endpoint: Endpoint,
    socket: UdpSocket,
    /// Where it wants audio sent, and nobody looks.
    sink: UdpSocket,
    talk: Duration,
    /// Calls to hang up, the next one first.
    agenda: VecDeque<(Mono, DialogId)>,
    shared: Arc<Shared>,
}

impl Work {
    fn run(mut self) {
        // The caller is the server alone, however fast it calls.
        let trusted = BTreeSet::from([Ipv4Addr::LOCALHOST.into()]);
        self.feed(Input::Action(Action::SetTrusted(trusted)));
        let mut bytes = vec![0; DATAGRAM_BYTES];
        while !self.shared.ends.load(Ordering::SeqCst) {
            let received = self.socket.recv_from(&mut bytes);
            let silent = self.shared.silent.load(Ordering::SeqCst);
            match received {
                Ok((length, _)) if silent => self.miss(&bytes[..length]),
                Ok((length, remote)) => self.feed(Input::Datagram {
                    remote,
                    bytes: &bytes[..length],
                }),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                // An ICMP error of an earlier datagram.
                Err(_) => {}
            }
            if !silent {
                self.due();
            }
        }
    }

    /// Notes what it would have been asked.
    fn miss(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if !text.starts_with("INVITE ") {
            return;
        }
        if let Some(call_id) = call_id(&text) {
            self.shared.seen().missed.insert(call_id.to_owned());
        }
    }

    fn due(&mut self) {
        let now = self.clock.now().mono;
        while let Some(&(at, dialog)) = self.agenda.front()
            && at <= now
        {
            self.agenda.pop_front();
            self.feed(Input::Action(Action::Hangup {
                dialog,
                reason: None,
            }));
        }
        if self.endpoint.deadline().is_some_and(|at| at <= now) {
            self.feed(Input::Timeout);
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        let now = self.clock.now();
        self.endpoint.handle(now, input);
        let mut actions = Vec::new();
        loop {
            while let Some(output) = self.endpoint.poll() {
                match output {
                    // What the system drops is lost, as on any network.
                    Output::Transmit { hop, bytes } => {
                        drop(self.socket.send_to(&bytes, hop.remote));
                    }
                    Output::CloseStream { .. } => {}
                    Output::Event(event) => actions.extend(self.event(now, event)),
                }
            }
            let Some(action) = actions.pop() else { return };
            self.endpoint.handle(now, Input::Action(action));
        }
    }

    fn event(&mut self, now: Now, event: Event) -> Option<Action> {
        match event {
            Event::Incoming {
                dialog, request, ..
            } => {
                let mut seen = self.shared.seen();
                seen.taken += 1;
                let call_id = request.headers.first(&sip::message::HeaderName::CallId);
                if call_id.is_some_and(|call_id| seen.missed.contains(call_id)) {
                    seen.late += 1;
                }
                let port = self.sink.local_addr().map_or(9, |address| address.port());
                return Some(Action::Respond {
                    dialog,
                    status: 200,
                    headers: Vec::new(),
                    body: offer(port),
                });
            }
            Event::Confirmed { dialog, .. } => {
                self.shared.seen().talked += 1;
                self.agenda.push_back((now.mono + self.talk, dialog));
            }
            Event::Ended { .. } | Event::Cancelled { .. } => self.shared.seen().over += 1,
            Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Failed { .. }
            | Event::Reoffer { .. }
            | Event::Info { .. }
            | Event::Trying { .. }
            | Event::Reanswered { .. }
            | Event::Refused { .. }
            | Event::Refer { .. }
            | Event::ReferProgress { .. }
            | Event::ReferAnswered { .. }
            | Event::Response { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. }
            | Event::Banned { .. } => {}
        }
        None
    }
}

/// The `Call-ID` of a request.
fn call_id(request: &str) -> Option<&str> {
    let line = request
        .lines()
        .find_map(|line| line.strip_prefix("Call-ID:"))?;
    Some(line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_call_id() {
        let request = "INVITE sip:1@x SIP/2.0\r\nVia: x\r\nCall-ID: 7@y\r\n\r\n";
        assert_eq!(call_id(request), Some("7@y"));
        assert_eq!(call_id("INVITE sip:1@x SIP/2.0\r\n\r\n"), None);
    }
}
