//! A media thread: one worker, its RTP sockets, one 20 ms clock.

// A thread of its own, with its own sleep, is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::WorkerId;
use media::{Channel, Command, Input, Output, Packet, Worker};
use vocab::{Mono, Rng, SessionId};

use crate::clock::Clock;
use crate::config::MediaAddress;
use crate::control::{Handle, Message};
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::net::batch::{self, Receiver};
use crate::net::bind;
use crate::recorder::Recorder;

/// Commands that may wait for a worker: a call makes some ten in its life, a worker carries at
/// most a few thousand calls and takes all commands every 10 ms.
const COMMANDS_MAX: usize = 1 << 16;

/// How often sockets are swept. Half a packet time, so that a relayed packet waits 5 ms on average.
const SWEEP: Duration = Duration::from_millis(10);

/// Datagrams taken from one socket at a time; two arrive in 20 ms, more after a network hiccup.
const DATAGRAMS: usize = 16;

/// Time a thread is late for which it takes so many more: a source sends 100 a second at most.
const BATCH_TIME: Duration = Duration::from_millis(100);

/// Most of them at once: a socket's buffer holds some 250 datagrams.
const BATCHES_MAX: u128 = 16;

/// RTP over Ethernet fits 1,500 bytes.
const DATAGRAM_BYTES: usize = 1_500;

/// Sweeps between two looks at the RTCP sockets: reports come every five seconds.
const RTCP_SWEEPS: u64 = 50;

/// A pair of bound sockets.
#[derive(Debug)]
struct Pair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

/// Bound ports, ready to be handed to a thread.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    /// By the RTP address as far ends see it.
    pairs: BTreeMap<SocketAddr, Pair>,
}

impl Ports {
    /// Binds RTP (even) and RTCP (odd) pairs over a range; pairs in use are left out.
    pub(crate) fn bind(at: MediaAddress, range: &RangeInclusive<u16>) -> Self {
        let mut pairs = BTreeMap::new();
        for port in range.clone().filter(|port| port.is_multiple_of(2)) {
            if port == u16::MAX {
                break;
            }
            let socket = |port| bind::media(SocketAddr::new(at.bind, port));
            if let (Ok(rtp), Ok(rtcp)) = (socket(port), socket(port + 1)) {
                pairs.insert(SocketAddr::new(at.advertise, port), Pair { rtp, rtcp });
            }
        }
        Self { pairs }
    }

    /// Those of two addresses together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.pairs.extend(other.pairs);
        self
    }

    /// Number of pairs.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The RTP addresses as far ends see them.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.pairs.keys().copied().collect()
    }

    /// Splits evenly into `parts`.
    pub(crate) fn split(self, parts: usize) -> Vec<Self> {
        let mut split: Vec<Self> = (0..parts)
            .map(|_| Self {
                pairs: BTreeMap::new(),
            })
            .collect();
        for (index, (local, pair)) in self.pairs.into_iter().enumerate() {
            split[index % parts].pairs.insert(local, pair);
        }
        split
    }
}

/// What a media thread is started with.
pub(crate) struct Setup {
    pub(crate) clock: Clock,
    pub(crate) worker: WorkerId,
    pub(crate) config: media::Config,
    pub(crate) ports: Ports,
    pub(crate) rng: Rng,
    pub(crate) control: Handle,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: Arc<AtomicBool>,
}

/// A mailbox for commands to a media thread.
pub(crate) fn mailbox() -> Mailbox<Command> {
    // The thread looks every 10 ms by itself: nothing to wake.
    Mailbox::new(COMMANDS_MAX, || {})
}

/// Starts a media thread.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(
    setup: Setup,
    commands: Mailbox<Command>,
) -> io::Result<std::thread::JoinHandle<()>> {
    let name = format!("media-{}", setup.worker.0);
    std::thread::Builder::new().name(name).spawn(move || {
        raise_priority();
        Thread::new(setup).run(&commands);
    })
}

/// Media before everything else, where the system allows it.
fn raise_priority() {
    // SAFETY: `setpriority` takes plain numbers; 0 names the calling thread on Linux.
    #[allow(unsafe_code)]
    let refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -11) } != 0;
    if refused {
        tracing::debug!("media threads run at normal priority: the system allows no higher one");
    }
}

struct Thread {
    setup: Setup,
    worker: Worker,
    /// RTP addresses of open sessions.
    open: BTreeMap<SessionId, SocketAddr>,
    receiver: Receiver,
    /// Events that did not fit the control thread's mailbox yet.
    events: VecDeque<media::Event>,
    /// Packets of one socket, sent together.
    batch: Vec<(SocketAddr, Packet)>,
}

impl Thread {
    fn new(setup: Setup) -> Self {
        let worker = Worker::new(setup.config.clone(), setup.rng.clone());
        Self {
            setup,
            worker,
            open: BTreeMap::new(),
            receiver: Receiver::new(DATAGRAMS, DATAGRAM_BYTES),
            events: VecDeque::new(),
            batch: Vec::new(),
        }
    }

    fn run(mut self, commands: &Mailbox<Command>) {
        let mut next = self.setup.clock.now().mono;
        let mut sweeps = 0u64;
        while !self.setup.stop.load(Ordering::Relaxed) {
            let due = self.worker.deadline();
            if due.is_some_and(|at| self.setup.clock.now().mono.since(at) > BATCH_TIME) {
                // What came while it stood still came before what was asked meanwhile.
                self.sweep(Channel::Rtp);
            }
            for command in commands.drain() {
                self.command(command);
            }
            let swept = self.setup.clock.now().mono;
            self.sweep(Channel::Rtp);
            if sweeps.is_multiple_of(RTCP_SWEEPS) {
                self.sweep(Channel::Rtcp);
                self.setup
                    .metrics
                    .media(self.setup.worker.0, &self.worker.counts());
            }
            if self.setup.clock.now().mono.since(swept) > BATCH_TIME {
                // It stood still since.
                self.sweep(Channel::Rtp);
            }
            let now = self.setup.clock.now();
            if self.worker.deadline().is_some_and(|at| at <= now.mono) {
                self.worker.handle(now, Input::Tick);
                self.drain();
            }
            self.report();
            sweeps += 1;
            next = next + SWEEP;
            let now = self.setup.clock.now().mono;
            if next < now {
                // Late: the clock goes on from here, the worker counts what it missed.
                next = now;
            }
            std::thread::sleep(self.wait(now, next));
        }
    }

    /// Until the next sweep, or the worker's tick if that comes first.
    fn wait(&self, now: Mono, next: Mono) -> Duration {
        let sweep = next.since(now);
        match self.worker.deadline() {
            Some(at) => sweep.min(at.since(now)),
            None => sweep,
        }
    }

    fn command(&mut self, command: Command) {
        match &command {
            Command::Open { session, local } => {
                self.open.insert(*session, *local);
                self.empty(*local);
            }
            Command::Configure { .. }
            | Command::Play { .. }
            | Command::Stop { .. }
            | Command::SendDigits { .. }
            | Command::RecordMessage { .. }
            | Command::RecordCall { .. }
            | Command::TakeRecording { .. }
            | Command::StopRecording { .. }
            | Command::Bridge { .. }
            | Command::Join { .. }
            | Command::Unbridge { .. }
            | Command::Close { .. } => {}
        }
        self.worker
            .handle(self.setup.clock.now(), Input::Command(command));
        self.drain();
    }

    /// Throws away what strangers or the last call's far end sent to a port while it was idle.
    fn empty(&mut self, local: SocketAddr) {
        let Some(pair) = self.setup.ports.pairs.get(&local) else {
            return;
        };
        for socket in [&pair.rtp, &pair.rtcp] {
            // The socket's buffer holds some 100 KB: a few hundred datagrams.
            for _ in 0..64 {
                match self.receiver.receive(socket) {
                    Ok(count) if count > 0 => {}
                    Ok(_) | Err(_) => break,
                }
            }
        }
    }

    /// Takes what arrived on the sockets of open sessions.
    fn sweep(&mut self, channel: Channel) {
        let now = self.setup.clock.now().mono;
        let late = self.worker.deadline().map(|due| now.since(due));
        let batches = late.unwrap_or_default().as_nanos() / BATCH_TIME.as_nanos() + 1;
        let batches = batches.min(BATCHES_MAX);
        let open = self.open.iter().map(|(&session, &local)| (session, local));
        let sessions: Vec<(SessionId, SocketAddr)> = open.collect();
        for (session, local) in sessions {
            // What came while this thread stood still is read before the clock goes on: the worker
            // takes what it has not seen for lost.
            for _ in 0..batches {
                if self.read(local, channel) == 0 {
                    break;
                }
                self.received(session, channel);
                if !self.receiver.was_full() {
                    break;
                }
            }
        }
    }

    /// Reads a socket; tells how many datagrams the receiver holds now.
    fn read(&mut self, local: SocketAddr, channel: Channel) -> usize {
        let Some(pair) = self.setup.ports.pairs.get(&local) else {
            return 0;
        };
        let socket = match channel {
            Channel::Rtp => &pair.rtp,
            Channel::Rtcp => &pair.rtcp,
        };
        // An ICMP error of an earlier packet is no reason to stop.
        self.receiver.receive(socket).unwrap_or(0)
    }

    /// Takes what the receiver holds.
    fn received(&mut self, session: SessionId, channel: Channel) {
        let now = self.setup.clock.now();
        let (worker, receiver) = (&mut self.worker, &self.receiver);
        let mut held = VecDeque::new();
        for (from, bytes) in receiver.iter() {
            worker.handle(
                now,
                Input::Packet {
                    session,
                    channel,
                    from,
                    bytes,
                },
            );
            while let Some(output) = worker.poll() {
                held.push_back(output);
            }
        }
        for output in held {
            self.output(output);
        }
    }

    fn drain(&mut self) {
        let mut current: Option<(SessionId, Channel)> = None;
        while let Some(output) = self.worker.poll() {
            match output {
                Output::Send {
                    session,
                    channel,
                    to,
                    packet,
                } => {
                    if current != Some((session, channel)) {
                        self.flush(current);
                        current = Some((session, channel));
                    }
                    self.batch.push((to, packet));
                }
                Output::Recording { .. } | Output::Event(_) => {
                    self.flush(current.take());
                    self.output(output);
                }
            }
        }
        self.flush(current);
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send {
                session,
                channel,
                to,
                packet,
            } => {
                self.batch.push((to, packet));
                self.flush(Some((session, channel)));
            }
            Output::Recording { recording, what } => self.setup.recorder.take(recording, what),
            Output::Event(event) => {
                if let media::Event::Closed { session, .. } = &event {
                    self.open.remove(session);
                }
                self.events.push_back(event);
            }
        }
    }

    fn flush(&mut self, from: Option<(SessionId, Channel)>) {
        let Some((session, channel)) = from else {
            return;
        };
        let pair = self
            .open
            .get(&session)
            .and_then(|local| self.setup.ports.pairs.get(local));
        if let Some(pair) = pair {
            let socket = match channel {
                Channel::Rtp => &pair.rtp,
                Channel::Rtcp => &pair.rtcp,
            };
            match &self.batch[..] {
                // The common case needs no vectors: one packet of 20 ms.
                [(to, packet)] => drop(socket.send_to(packet.as_bytes(), to)),
                many => drop(batch::send(socket, many)),
            }
        }
        self.batch.clear();
    }

    /// Tells the control thread, as far as its mailbox has room; the rest next time.
    fn report(&mut self) {
        let worker = self.setup.worker;
        while let Some(event) = self.events.pop_front() {
            if let Err(Message::Media { event, .. }) = self
                .setup
                .control
                .try_send(Message::Media { worker, event })
            {
                self.events.push_front(event);
                return;
            }
        }
    }
}
