//! A media thread: one worker, its RTP sockets, one 20 ms clock.

// A thread of its own, with its own sleep, is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::WorkerId;
use media::webrtc::{Path, Ways};
use media::{Channel, Command, Input, Output, Packet, Worker};
use vocab::{Mono, Rng, SessionId};

mod load;

use load::Load;

use crate::clock::Clock;
use crate::config::MediaAddress;
use crate::control::{Handle, Message};
use crate::doors::Doors;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;
use crate::net::bind;
use crate::net::gates::Gates;
use crate::net::io::{Io, Way};
use crate::recorder::Recorder;

/// Commands that may wait for a worker: a call makes some ten in its life, a worker carries at
/// most a few thousand calls and takes all commands every 10 ms.
const COMMANDS_MAX: usize = 1 << 16;

/// How often sockets are swept. Half a packet time, so that a relayed packet waits 5 ms on average.
const SWEEP: Duration = Duration::from_millis(10);

/// Time a thread is late for which it takes so many datagrams more of a socket: a source sends 100 a
/// second at most.
const BATCH_TIME: Duration = Duration::from_millis(100);

/// Most of them at once: a socket's buffer holds some 250 datagrams.
const BATCHES_MAX: usize = 16;

/// Datagrams that are said to have come at one time: as many as are read together.
const SAME_TIME: usize = 16;

/// Calls for what browsers sent, of some 16 datagrams each: those of a thousand in 20 ms.
const DOOR_BATCHES: usize = 64;

/// Sweeps between two looks at the RTCP sockets: reports come every five seconds.
const RTCP_SWEEPS: u64 = 50;

/// Waits for ports that are in use, and how long each is: the kernel takes some 50 ms to give back
/// those of a server that was killed, whose rings it ends first.
const PORT_WAITS: usize = 25;
const PORT_WAIT: Duration = Duration::from_millis(10);

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
    /// Binds RTP (even) and RTCP (odd) pairs over a range; pairs that stay in use are left out.
    pub(crate) fn bind(at: MediaAddress, range: &RangeInclusive<u16>, dscp: u8) -> Self {
        let (mut pairs, mut waits) = (BTreeMap::new(), PORT_WAITS);
        for port in range.clone().filter(|port| port.is_multiple_of(2)) {
            if port == u16::MAX {
                break;
            }
            let mut socket = |port| {
                let at = SocketAddr::new(at.bind, port);
                let mut bound = bind::media(at, dscp);
                while waits > 0 && is_taken(&bound) {
                    waits -= 1;
                    std::thread::sleep(PORT_WAIT);
                    bound = bind::media(at, dscp);
                }
                bound
            };
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

fn is_taken(bound: &io::Result<UdpSocket>) -> bool {
    let error = bound.as_ref().err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// What a media thread is started with.
pub(crate) struct Setup {
    pub(crate) clock: Clock,
    pub(crate) worker: WorkerId,
    pub(crate) config: media::Config,
    /// Where browsers come to, if any do.
    pub(crate) doors: Option<Doors>,
    pub(crate) ports: Ports,
    pub(crate) io: Way,
    /// Which core it runs on, if not any.
    pub(crate) core: Option<usize>,
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
        if let Some(core) = setup.core {
            stay_on(core);
        }
        Thread::new(setup).run(&commands);
    })
}

/// The core of a thread by its number: they take turns.
pub(crate) fn core(cores: &[usize], thread: usize) -> Option<usize> {
    cores.get(thread.checked_rem(cores.len())?).copied()
}

/// Binds the calling thread to a core, where there is such a one.
fn stay_on(core: usize) {
    // SAFETY: all-zero bytes are the empty set; the configuration has checked that the core is one of
    // those that a set has room for; and 0 names the calling thread.
    #[allow(unsafe_code)]
    let refused = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) != 0
    };
    if refused {
        let error = io::Error::last_os_error();
        tracing::warn!(core, %error, "a media thread cannot run on this core: it runs on any");
    }
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
    /// RTP sockets have even numbers, each next one is for its RTCP.
    io: Io,
    /// Those that browsers come to.
    doors: Option<Io>,
    /// Those of them that are listeners, and the number of the first.
    gates: Option<(usize, Gates)>,
    /// What is to go through them.
    through: Vec<(Path, Packet)>,
    /// Pairs of sockets by their RTP addresses.
    pairs: BTreeMap<SocketAddr, usize>,
    /// Open sessions, and the pair of each.
    open: BTreeMap<SessionId, usize>,
    /// The session of each pair.
    sessions: Vec<Option<SessionId>>,
    /// Events that did not fit the control thread's mailbox yet.
    events: VecDeque<media::Event>,
    load: Load,
    /// Whether it is full, if the control thread is still to be told.
    full: Option<bool>,
}

impl Thread {
    fn new(mut setup: Setup) -> Self {
        let mut config = setup.config.clone();
        let mut gates = None;
        let doors = setup.doors.take().map(|doors| {
            gates = Some((doors.sockets.len(), doors.gates));
            config.webrtc = Some(Ways {
                identity: doors.identity,
                doors: doors.told,
                epoch: Instant::now(),
            });
            let count = doors.sockets.len();
            // One busy socket gains nothing from a ring.
            let mut io = Io::new(doors.sockets, Way::Auto);
            (0..count).for_each(|number| io.open(number));
            io
        });
        let worker = Worker::new(config, setup.rng.clone());
        let (mut sockets, mut pairs) = (Vec::new(), BTreeMap::new());
        for (local, pair) in std::mem::take(&mut setup.ports).pairs {
            pairs.insert(local, sockets.len() / 2);
            sockets.extend([pair.rtp, pair.rtcp]);
        }
        let io = Io::new(sockets, setup.io);
        // All threads get the same answer.
        if setup.worker == WorkerId(0) {
            if let Some(error) = io.refused() {
                tracing::info!(
                    %error,
                    way = ?io.way(),
                    "sockets of audio are read in another way: the kernel allows no better one"
                );
            }
            tracing::debug!(way = ?io.way(), "how sockets of audio are read and written");
        }
        Self {
            worker,
            io,
            doors,
            gates,
            through: Vec::new(),
            sessions: vec![None; pairs.len()],
            setup,
            pairs,
            open: BTreeMap::new(),
            events: VecDeque::new(),
            load: Load::default(),
            full: None,
        }
    }

    fn run(mut self, commands: &Mailbox<Command>) {
        let mut next = self.setup.clock.now().mono;
        let mut sweeps = 0u64;
        while !self.setup.stop.load(Ordering::Relaxed) {
            let due = self.worker.deadline();
            if due.is_some_and(|at| self.setup.clock.now().mono.since(at) > BATCH_TIME) {
                // What came while it stood still came before what was asked meanwhile.
                self.sweep(false);
            }
            for command in commands.drain() {
                self.command(command);
            }
            let swept = self.setup.clock.now().mono;
            let reports = sweeps.is_multiple_of(RTCP_SWEEPS);
            self.sweep(reports);
            if reports {
                self.setup.metrics.media(
                    self.setup.worker.0,
                    &self.worker.counts(),
                    self.load.is_full(),
                );
            }
            if self.setup.clock.now().mono.since(swept) > BATCH_TIME {
                // It stood still since.
                self.sweep(false);
            }
            let now = self.setup.clock.now();
            if self.worker.deadline().is_some_and(|at| at <= now.mono) {
                self.worker.handle(now, Input::Tick);
                self.drain();
            }
            self.io.flush();
            self.report();
            sweeps += 1;
            next = next + SWEEP;
            let now = self.setup.clock.now().mono;
            if next < now {
                // Late: the clock goes on from here, the worker counts what it missed.
                next = now;
            }
            let late = self.worker.counts().late_ticks;
            if let Some(full) = self.load.look(now, late) {
                self.full = Some(full);
            }
            std::thread::sleep(self.wait(now, next));
            self.load.rested(self.setup.clock.now().mono.since(now));
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
            Command::Open { session, local } => self.open(*session, *local),
            Command::Configure { .. }
            | Command::Play { .. }
            | Command::Stop { .. }
            | Command::SendDigits { .. }
            | Command::RecordMessage { .. }
            | Command::RecordCall { .. }
            | Command::EndRecording { .. }
            | Command::StopRecording { .. }
            | Command::Bridge { .. }
            | Command::Join { .. }
            | Command::SetPart { .. }
            | Command::Beep { .. }
            | Command::Listen { .. }
            | Command::Unbridge { .. }
            | Command::Close { .. } => {}
        }
        self.worker
            .handle(self.setup.clock.now(), Input::Command(command));
        self.drain();
    }

    /// Gives a session its sockets, without what strangers or the last call's far end sent to them
    /// while they were idle.
    fn open(&mut self, session: SessionId, local: SocketAddr) {
        let Some(&pair) = self.pairs.get(&local) else {
            return;
        };
        self.open.insert(session, pair);
        self.sessions[pair] = Some(session);
        self.io.open(2 * pair);
        self.io.open(2 * pair + 1);
    }

    fn close(&mut self, session: SessionId) {
        let Some(pair) = self.open.remove(&session) else {
            return;
        };
        // The next one may have it already.
        if self.sessions[pair] == Some(session) {
            self.sessions[pair] = None;
            self.io.close(2 * pair);
            self.io.close(2 * pair + 1);
        }
    }

    /// Takes what arrived on the sockets of open sessions, `reports` or not.
    fn sweep(&mut self, reports: bool) {
        let mut now = self.setup.clock.now();
        // What came while this thread stood still is read before the clock goes on: the worker takes
        // what it has not seen for lost.
        let late = self.worker.deadline().map(|due| now.mono.since(due));
        let batches = late.unwrap_or_default().as_nanos() / BATCH_TIME.as_nanos() + 1;
        let batches = usize::try_from(batches).unwrap_or(BATCHES_MAX);
        self.io.begin(batches.min(BATCHES_MAX), reports);
        let mut taken = 0usize;
        while let Some(datagram) = self.io.take_next() {
            if taken.is_multiple_of(SAME_TIME) {
                now = self.setup.clock.now();
            }
            taken += 1;
            let Some(session) = self.sessions[datagram.socket / 2] else {
                continue;
            };
            let rtp = datagram.socket.is_multiple_of(2);
            let channel = if rtp { Channel::Rtp } else { Channel::Rtcp };
            self.worker.handle(
                now,
                Input::Packet {
                    session,
                    channel,
                    from: datagram.from,
                    bytes: datagram.bytes,
                },
            );
            self.drain();
        }
        self.sweep_doors();
        // What is relayed does not wait for the tick.
        self.io.flush();
    }

    /// Takes what browsers sent.
    fn sweep_doors(&mut self) {
        let Some(mut doors) = self.doors.take() else {
            return;
        };
        let mut now = self.setup.clock.now();
        doors.begin(DOOR_BATCHES, true);
        let mut taken = 0usize;
        while let Some(datagram) = doors.take_next() {
            if taken.is_multiple_of(SAME_TIME) {
                now = self.setup.clock.now();
            }
            taken += 1;
            let Ok(door) = u8::try_from(datagram.socket) else {
                continue;
            };
            let far = datagram.from;
            let bytes = datagram.bytes;
            let from = Path { door, far };
            self.worker.handle(now, Input::Door { from, bytes });
            self.drain();
        }
        self.doors = Some(doors);
        self.send_through();
        self.sweep_gates();
    }

    /// Takes what browsers sent by TCP.
    fn sweep_gates(&mut self) {
        let Some((first, mut gates)) = self.gates.take() else {
            return;
        };
        let now = self.setup.clock.now();
        gates.sweep(now.mono, |gate, far, bytes| {
            let Ok(door) = u8::try_from(first + gate) else {
                return false;
            };
            let from = Path { door, far };
            let strangers = self.worker.counts().strangers;
            self.worker.handle(now, Input::Door { from, bytes });
            self.drain();
            self.worker.counts().strangers == strangers
        });
        self.gates = Some((first, gates));
        self.send_through();
    }

    /// Sends what waits for the doors.
    fn send_through(&mut self) {
        // While one of the two is being read it is not here; then what waits is sent.
        let (Some(doors), Some((first, gates))) = (&mut self.doors, &mut self.gates) else {
            return;
        };
        for (to, packet) in self.through.drain(..) {
            let door = usize::from(to.door);
            match door.checked_sub(*first) {
                Some(gate) => gates.send(gate, to.far, packet.as_bytes()),
                None => doors.send(door, to.far, packet.as_bytes()),
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.worker.poll() {
            match output {
                Output::Send {
                    session,
                    channel,
                    to,
                    packet,
                } => {
                    if let Some(pair) = self.open.get(&session) {
                        let number = match channel {
                            Channel::Rtp => 2 * pair,
                            Channel::Rtcp => 2 * pair + 1,
                        };
                        self.io.send(number, to, packet.as_bytes());
                    }
                }
                Output::SendThrough { to, packet } => self.through.push((to, packet)),
                Output::Recording { recording, what } => self.setup.recorder.take(recording, what),
                Output::Event(event) => {
                    if let media::Event::Closed { session, .. } = &event {
                        self.close(*session);
                    }
                    self.events.push_back(event);
                }
            }
        }
        self.send_through();
    }

    /// Tells the control thread, as far as its mailbox has room; the rest next time.
    fn report(&mut self) {
        let worker = self.setup.worker;
        if let Some(full) = self.full.take() {
            let number = worker.0;
            if full {
                tracing::warn!(
                    worker = number,
                    "media thread {number} is full: new calls are refused until it has room"
                );
            } else {
                tracing::info!(worker = number, "media thread {number} has room again");
            }
            let told = self
                .setup
                .control
                .try_send(Message::MediaFull { worker, full });
            if told.is_err() {
                self.full = Some(full);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns_on_their_cores() {
        let cores = |pin: &[usize]| (0..4).map(|thread| core(pin, thread)).collect::<Vec<_>>();
        assert_eq!(cores(&[]), [None; 4]);
        assert_eq!(cores(&[5, 2, 5]), [Some(5), Some(2), Some(5), Some(5)]);
    }

    #[test]
    fn a_thread_stays_on_its_core_and_goes_on_without_one() {
        // The one it is on is there, whichever the test may run on.
        // SAFETY: takes nothing.
        #[allow(unsafe_code)]
        let here = || usize::try_from(unsafe { libc::sched_getcpu() }).expect("a core");
        let first = here();
        stay_on(first);
        assert_eq!(here(), first);
        stay_on(1_023);
        assert_eq!(here(), first);
    }
}
