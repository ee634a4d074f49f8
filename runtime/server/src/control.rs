//! The control thread: runs the node, and does what it asks for.

// A thread of its own is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use node::{Node, Output};
use plugin::RunOutput;
use rustls::ServerConnection;
use sip::Transport;
use vocab::{CallId, FlowId, Mono, Rng};

use crate::archive::Archive;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::dns::Asker;
use crate::feed::{Feed, News, Other};
use crate::mailbox::Mailbox;
use crate::metrics::{Metrics, Shell};
use crate::net::batch::{self, Receiver};
use crate::net::bind;
use crate::net::layers::Layers;
use crate::net::stream::{StreamEvent, Streams};
use crate::net::tls::Tls;
use crate::net::websocket::Origins;
use crate::plugin_pool::PluginPool;
use crate::recorder::Recorder;
use crate::speech::Speaker;
use crate::store_task::Writer;
use crate::telemetry;
use crate::trace::{Tap, Traces};
use crate::vault::Vault;

/// Messages that may wait for the control thread. Each live call has a handful at most; full means
/// that senders wait, which slows media and plugins down, never memory up.
const INBOX_MAX: usize = 1 << 17;

/// Datagrams taken in one system call, and the largest that is read: all there are, as RFC 3261
/// §18.1.1 demands. 4 MiB, of which the system gives what was ever used.
const DATAGRAMS: usize = 64;
const DATAGRAM_BYTES: usize = 64 << 10;

/// Batches taken before other work gets its turn.
const BATCHES_A_TURN: usize = 8;

/// How often gauges are refreshed.
const GAUGES: Duration = Duration::from_millis(500);

const WAKER: Token = Token(0);
/// Sockets for datagrams, one a family.
const UDP: usize = 1;
/// Listeners for streams.
const LISTENERS: usize = 16;
const STREAMS: usize = LISTENERS + LISTENERS_MAX;

/// Most listeners for streams: each transport on each family, and some more.
pub(crate) const LISTENERS_MAX: usize = 48;

/// Most requests of operators that wait for an answer. All but those for a flow's result are
/// answered at once, and HTTP lets in a quarter of it at a time.
const ASKERS_MAX: usize = 1_024;

/// Something another thread tells the control thread.
pub(crate) enum Message {
    /// A media thread has no time for more calls, or has again.
    MediaFull {
        worker: engine::WorkerId,
        full: bool,
    },
    /// From a media thread.
    Media {
        worker: engine::WorkerId,
        event: media::Event,
    },
    /// From a plugin thread.
    Flow { flow: FlowId, output: RunOutput },
    /// From the store.
    Committed { through: u64 },
    /// From the store.
    Refused { seq: u64 },
    /// From speech synthesis.
    Spoken {
        id: node::SpeechId,
        result: Result<vocab::Clip, String>,
    },
    /// From the recorder.
    RecordingCut {
        recording: vocab::RecordingId,
        length: Duration,
    },
    /// From a DNS server.
    LookedUp {
        id: sip::locate::LookupId,
        answer: Result<sip::locate::Answer, sip::locate::NoAnswer>,
    },
    /// A new configuration.
    Configure(Arc<node::Config>),
    /// A tenant's uploaded prompts.
    Prompts {
        tenant: vocab::TenantId,
        uploaded: node::Prompts,
    },
    /// What further connections are made with.
    Tls(Tls),
    /// A WebSocket that HTTP has let in, with what was read of it already.
    WebSocket {
        socket: std::net::TcpStream,
        remote: SocketAddr,
        /// Its TLS session, if it is secure.
        tls: Option<Box<ServerConnection>>,
        read: Vec<u8>,
    },
    /// A plugin was loaded or taken back.
    Plugin(node::PluginChange),
    /// An operator ends a call.
    Hangup { call: CallId },
    /// An operator wants something of a call.
    Control {
        request: node::Control,
        answer: Answering,
    },
    /// An operator ends the ban of an address.
    Unban { address: std::net::IpAddr },
    /// Take no more calls.
    Drain,
    /// Look at the node.
    Query(Box<dyn FnOnce(&Node) + Send>),
    /// End the thread.
    Stop,
}

/// Who waits for what becomes of a request.
pub(crate) type Answering =
    tokio::sync::oneshot::Sender<Result<node::Controlled, node::ControlError>>;

/// How others reach the control thread.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    inbox: Mailbox<Message>,
}

impl Handle {
    /// Tells the control thread something; waits only while its mailbox is full.
    pub(crate) fn send(&self, message: Message) {
        self.inbox.send(message);
    }

    /// Tells it something if there is room.
    pub(crate) fn try_send(&self, message: Message) -> Result<(), Message> {
        self.inbox.try_send(message)
    }

    /// Asks the node something; `None` if the control thread did not answer within two seconds.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node) -> T + Send + 'static,
    ) -> Option<T> {
        self.answered(|answer| {
            Message::Query(Box::new(move |node: &Node| drop(answer.send(look(node)))))
        })
        .await
        .ok()
        .flatten()
    }

    /// Asks something of a call; `None` if there was no answer within two seconds, which for
    /// [`node::Control::ToFlow`] is usual: what comes of it is in the call's events.
    ///
    /// # Errors
    /// The control thread has too much to do to take it: nothing was asked.
    pub(crate) async fn control(
        &self,
        request: node::Control,
    ) -> Result<Option<Result<node::Controlled, node::ControlError>>, NotTaken> {
        self.answered(|answer| Message::Control { request, answer })
            .await
    }

    /// Sends a message that is answered, and waits for that for two seconds.
    async fn answered<T>(
        &self,
        message: impl FnOnce(tokio::sync::oneshot::Sender<T>) -> Message,
    ) -> Result<Option<T>, NotTaken> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.try_send(message(answer)).map_err(|_| NotTaken)?;
        let answered = tokio::time::timeout(Duration::from_secs(2), answered);
        Ok(answered.await.ok().and_then(Result::ok))
    }
}

/// The control thread has too much to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotTaken;

/// What others may read at any time.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Everything is started.
    pub(crate) ready: AtomicBool,
    /// No more calls are taken.
    pub(crate) draining: AtomicBool,
    /// Calls that are up or being set up.
    pub(crate) live_calls: AtomicUsize,
}

/// What the control thread hands work to.
pub(crate) struct Hands {
    pub(crate) media: Vec<Mailbox<media::Command>>,
    pub(crate) pool: PluginPool,
    pub(crate) writer: Writer,
    pub(crate) speaker: Speaker,
    pub(crate) dns: Asker,
    pub(crate) recorder: Recorder,
    pub(crate) archive: Archive,
    pub(crate) vault: Vault,
    pub(crate) tap: Tap,
    pub(crate) traces: Traces,
    pub(crate) disk: Arc<Disk>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) status: Arc<Status>,
    pub(crate) feed: Arc<Feed>,
}

/// Where signalling is received, and how its connections are made.
#[derive(Debug)]
pub(crate) struct Signalling {
    /// Datagrams: one address a family.
    pub(crate) udp: Vec<SocketAddr>,
    /// Streams, and what they are.
    pub(crate) streams: Vec<(Transport, SocketAddr)>,
    pub(crate) tls: Tls,
    pub(crate) origins: Origins,
    pub(crate) rng: Rng,
}

#[cfg(test)]
impl Signalling {
    /// On ports of this machine that the system chooses.
    pub(crate) fn anywhere() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            udp: vec![any],
            streams: vec![(Transport::Tcp, any)],
            tls: Tls::load(&crate::net::tls::Setup::default()).expect("nothing to load"),
            origins: Origins::default(),
            rng: Rng::from_u64(1),
        }
    }
}

/// Sockets and mailbox, made before the threads that need them.
pub(crate) struct Desk {
    poll: Poll,
    inbox: Mailbox<Message>,
    udp: Vec<Datagrams>,
    listeners: Vec<(Transport, TcpListener)>,
    tls: Tls,
    origins: Origins,
    rng: Rng,
}

/// A socket for datagrams.
#[derive(Debug)]
struct Datagrams {
    socket: UdpSocket,
    is_ipv4: bool,
    /// Datagrams of this turn, sent together at its end.
    out: Vec<(SocketAddr, Arc<[u8]>)>,
    /// More were waiting when its turn was over.
    more: bool,
}

impl Desk {
    /// Binds the signalling sockets.
    ///
    /// # Errors
    /// In one line, with the address and what to do.
    pub(crate) fn bind(signalling: Signalling) -> anyhow::Result<Self> {
        let taken = |what: &str, at: SocketAddr, error: &io::Error| {
            let hint = if error.kind() == io::ErrorKind::AddrInUse {
                "another program uses this port: stop it, or set another address under [sip]"
            } else {
                "set an address of this machine under [sip]"
            };
            anyhow::anyhow!("cannot listen on {what} {at}: {error}; {hint}")
        };
        let poll = Poll::new()?;
        let registry = poll.registry();
        let mut udp = Vec::new();
        for (index, at) in signalling.udp.into_iter().enumerate() {
            let socket = bind::udp(at).map_err(|error| taken("udp", at, &error))?;
            let token = Token(UDP + index);
            registry.register(
                &mut SourceFd(&socket.as_raw_fd()),
                token,
                Interest::READABLE,
            )?;
            udp.push(Datagrams {
                socket,
                is_ipv4: at.is_ipv4(),
                out: Vec::new(),
                more: false,
            });
        }
        let mut listeners = Vec::new();
        for (index, (transport, at)) in signalling.streams.into_iter().enumerate() {
            let what = transport.via_name().to_ascii_lowercase();
            let mut listener = bind::tcp(at).map_err(|error| taken(&what, at, &error))?;
            let token = Token(LISTENERS + index);
            registry.register(&mut listener, token, Interest::READABLE)?;
            listeners.push((transport, listener));
        }
        assert!(
            udp.len() <= LISTENERS - UDP && listeners.len() <= LISTENERS_MAX,
            "the configuration bounds the listeners"
        );
        let waker = Waker::new(registry, WAKER)?;
        let inbox = Mailbox::new(INBOX_MAX, move || drop(waker.wake()));
        Ok(Self {
            poll,
            inbox,
            udp,
            listeners,
            tls: signalling.tls,
            origins: signalling.origins,
            rng: signalling.rng,
        })
    }

    /// How others reach the thread.
    pub(crate) fn handle(&self) -> Handle {
        Handle {
            inbox: self.inbox.clone(),
        }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        self,
        clock: Clock,
        node: Node,
        hands: Hands,
    ) -> io::Result<std::thread::JoinHandle<()>> {
        let registry = self.poll.registry().try_clone()?;
        let streams = Streams::new(registry, STREAMS, self.tls, self.origins, self.rng);
        let control = Control {
            clock,
            node,
            hands,
            streams,
            udp: self.udp,
            stream_events: Vec::new(),
            not_taken: Vec::new(),
            gauges_at: Mono(0),
            lines: telemetry::Lines::default(),
            askers: BTreeMap::new(),
            asker_last: 0,
        };
        let (poll, listeners, inbox) = (self.poll, self.listeners, self.inbox);
        let run = move || control.run(poll, &listeners, &inbox);
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(run)
    }
}

struct Control {
    clock: Clock,
    node: Node,
    hands: Hands,
    streams: Streams,
    udp: Vec<Datagrams>,
    stream_events: Vec<StreamEvent>,
    /// Events the store did not take, to be told to the node.
    not_taken: Vec<u64>,
    gauges_at: Mono,
    lines: telemetry::Lines,
    /// Who waits for what becomes of a request; see [`ASKERS_MAX`].
    askers: BTreeMap<node::ControlId, Answering>,
    asker_last: u64,
}

impl Control {
    fn run(
        mut self,
        mut poll: Poll,
        listeners: &[(Transport, TcpListener)],
        inbox: &Mailbox<Message>,
    ) {
        let mut events = Events::with_capacity(256);
        let mut receiver = Receiver::new(DATAGRAMS, DATAGRAM_BYTES);
        loop {
            let wait = if self.udp.iter().any(|udp| udp.more) {
                Duration::ZERO
            } else {
                self.wait()
            };
            if let Err(error) = poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "polling sockets failed");
            }
            for event in &events {
                self.ready(event, listeners);
            }
            self.stream_turn();
            for index in 0..self.udp.len() {
                if self.udp[index].more {
                    self.udp[index].more = self.datagram_turn(index, &mut receiver);
                }
            }
            for message in inbox.drain() {
                if matches!(message, Message::Stop) {
                    self.flush();
                    return;
                }
                self.message(message);
            }
            let now = self.clock.now();
            if self.node.deadline().is_some_and(|at| at <= now.mono) {
                self.feed(node::Input::Timeout);
            }
            self.gauges();
            self.stream_turn();
            self.flush();
        }
    }

    fn ready(&mut self, event: &mio::event::Event, listeners: &[(Transport, TcpListener)]) {
        match event.token() {
            WAKER => {}
            Token(token) if token < LISTENERS => {
                if let Some(udp) = self.udp.get_mut(token - UDP) {
                    udp.more = true;
                }
            }
            Token(token) if token < STREAMS => {
                if let Some((transport, listener)) = listeners.get(token - LISTENERS) {
                    let now = self.clock.now().mono;
                    let events = &mut self.stream_events;
                    self.streams.accept(now, listener, *transport, events);
                }
            }
            Token(_) => self.streams.ready(event, &mut self.stream_events),
        }
    }

    fn wait(&self) -> Duration {
        let gauges = self.clock.until(self.gauges_at);
        match self.node.deadline() {
            // Rounded up to whole milliseconds, as epoll does: waking early is a turn for nothing.
            Some(at) => gauges.min(self.clock.until(at) + Duration::from_micros(999)),
            None => gauges,
        }
    }

    /// Takes datagrams of a socket; tells whether more are waiting.
    fn datagram_turn(&mut self, index: usize, receiver: &mut Receiver) -> bool {
        for _ in 0..BATCHES_A_TURN {
            match receiver.receive(&self.udp[index].socket) {
                Ok(0) => return false,
                Ok(_) => {
                    for (remote, bytes) in receiver.iter() {
                        self.feed(node::Input::Sip(sip::Input::Datagram { remote, bytes }));
                    }
                    if !receiver.was_full() {
                        return false;
                    }
                }
                // An ICMP error of an earlier datagram: its transaction times out by itself.
                Err(_) => return true,
            }
        }
        true
    }

    fn stream_turn(&mut self) {
        while !self.stream_events.is_empty() {
            for event in std::mem::take(&mut self.stream_events) {
                let input = match &event {
                    StreamEvent::Opened {
                        conn,
                        transport,
                        remote,
                    } => sip::Input::StreamOpened {
                        conn: *conn,
                        transport: *transport,
                        remote: *remote,
                    },
                    StreamEvent::Broken {
                        conn,
                        transport,
                        remote,
                    } => sip::Input::StreamBroken {
                        conn: *conn,
                        transport: *transport,
                        remote: *remote,
                    },
                    StreamEvent::Trouble {
                        transport,
                        remote,
                        why,
                    } => {
                        let now = self.clock.now().mono;
                        self.lines.connection(now, *transport, *remote, why);
                        continue;
                    }
                    StreamEvent::Bytes {
                        conn,
                        remote,
                        bytes,
                    } => sip::Input::Stream {
                        conn: *conn,
                        remote: *remote,
                        bytes,
                    },
                    StreamEvent::Closed { conn } => sip::Input::StreamClosed { conn: *conn },
                    StreamEvent::Failed { transport, remote } => sip::Input::SendFailed {
                        hop: sip::Hop {
                            transport: *transport,
                            remote: *remote,
                            conn: None,
                        },
                    },
                };
                self.feed(node::Input::Sip(input));
            }
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Media { worker, event } => self.feed(node::Input::Media { worker, event }),
            Message::MediaFull { worker, full } => {
                self.feed(node::Input::MediaFull { worker, full });
            }
            Message::Flow { flow, output } => self.feed(node::Input::Flow { flow, output }),
            Message::Committed { through } => self.feed(node::Input::Committed { through }),
            Message::Refused { seq } => self.feed(node::Input::Refused { seq }),
            Message::RecordingCut { recording, length } => {
                self.feed(node::Input::RecordingCut { recording, length });
            }
            Message::Spoken { id, result } => self.feed(node::Input::Spoken { id, result }),
            Message::LookedUp { id, answer } => self.feed(node::Input::LookedUp { id, answer }),
            Message::Configure(config) => self.feed(node::Input::Configure(config)),
            Message::Prompts { tenant, uploaded } => {
                self.feed(node::Input::Prompts { tenant, uploaded });
            }
            Message::Tls(tls) => self.streams.set_tls(tls),
            Message::WebSocket {
                socket,
                remote,
                tls,
                read,
            } => {
                let now = self.clock.now().mono;
                let events = &mut self.stream_events;
                let layers = Layers::upgraded(tls);
                self.streams
                    .adopt(now, (socket, remote), layers, &read, events);
            }
            Message::Plugin(change) => self.feed(node::Input::Plugin(change)),
            Message::Hangup { call } => self.feed(node::Input::Hangup { call }),
            Message::Control { request, answer } => self.control(request, answer),
            Message::Unban { address } => self.feed(node::Input::Unban { address }),
            Message::Drain => {
                self.hands.status.draining.store(true, Ordering::Relaxed);
                self.feed(node::Input::Drain);
            }
            Message::Query(look) => look(&self.node),
            Message::Stop => {}
        }
    }

    fn control(&mut self, request: node::Control, answer: Answering) {
        if self.askers.len() >= ASKERS_MAX {
            self.askers.retain(|_, asker| !asker.is_closed());
        }
        if self.askers.len() >= ASKERS_MAX {
            let limit = node::ControlError::Limit("too many requests wait; try again");
            let _ = answer.send(Err(limit));
            return;
        }
        self.asker_last += 1;
        let id = node::ControlId(self.asker_last);
        self.askers.insert(id, answer);
        self.feed(node::Input::Control { id, request });
    }

    fn feed(&mut self, input: node::Input<'_>) {
        self.step(input);
        while let Some(seq) = self.not_taken.pop() {
            self.step(node::Input::Refused { seq });
        }
    }

    fn step(&mut self, input: node::Input<'_>) {
        let now = self.clock.now();
        self.hands.tap.given(now.wall, &input);
        self.node.handle(now, input);
        while let Some(output) = self.node.poll() {
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Transmit { hop, bytes } => {
                self.hands.tap.sent(&hop, &bytes);
                self.transmit(hop, bytes);
            }
            Output::CloseStream { conn } => {
                let event = self.streams.close(conn);
                self.stream_events.push(event);
            }
            Output::Media { worker, command } => {
                self.hands.media[usize::from(worker.0)].send(command);
            }
            Output::StartFlow {
                flow,
                plugin,
                info,
                route,
                seed,
            } => {
                self.hands.pool.start(flow, &plugin, info, &route, seed);
            }
            Output::Reply { flow, reply } => {
                self.hands.pool.input(flow, plugin::RunInput::Reply(reply));
            }
            Output::FlowHangup { flow, reason } => {
                self.hands
                    .pool
                    .input(flow, plugin::RunInput::Hangup(reason));
            }
            Output::StopFlow { flow } => self.hands.pool.stop(flow),
            Output::Persist {
                seq,
                events,
                urgent,
            } => {
                if !self.hands.writer.append(seq, events, urgent) {
                    self.not_taken.push(seq);
                }
            }
            Output::Speak { id, text, voice } => self.hands.speaker.speak(id, text, voice),
            Output::Controlled { id, result } => {
                if let Some(asker) = self.askers.remove(&id) {
                    // Whoever asked may have given up.
                    let _ = asker.send(result);
                }
            }
            Output::Lookup { id, question } => self.hands.dns.ask(id, question),
            Output::Segment(start) => self.hands.recorder.segment(start),
            Output::Secret(secret) => self.hands.vault.put(self.clock.now(), secret),
            Output::Notice(notice) => {
                self.hands.tap.notice(&notice);
                self.hands.metrics.notice(&notice);
                let now = self.clock.now();
                if let Some(other) = Other::of(now.wall, &notice) {
                    self.hands.feed.tell([News::Other(other)]);
                }
                self.lines.notice(now.mono, &notice);
            }
        }
    }

    fn transmit(&mut self, hop: sip::Hop, bytes: Arc<[u8]>) {
        let (transport, remote) = (hop.transport, hop.remote);
        if transport.is_reliable() {
            let now = self.clock.now().mono;
            return self.streams.send(now, hop, bytes, &mut self.stream_events);
        }
        let mut sockets = self.udp.iter_mut();
        match sockets.find(|udp| udp.is_ipv4 == remote.is_ipv4()) {
            Some(udp) => udp.out.push((remote, bytes)),
            None => self
                .stream_events
                .push(StreamEvent::Failed { transport, remote }),
        }
    }

    fn flush(&mut self) {
        self.hands.tap.flush();
        for udp in &mut self.udp {
            if !udp.out.is_empty() {
                batch::send(&udp.socket, &udp.out);
                udp.out.clear();
            }
        }
    }

    fn gauges(&mut self) {
        let now = self.clock.now();
        if now.mono < self.gauges_at {
            return;
        }
        self.gauges_at = now.mono + GAUGES;
        self.streams.expire(now.mono, &mut self.stream_events);
        let counts = self.node.counts();
        self.hands.metrics.counts(&counts);
        self.hands.metrics.shell(Shell {
            guests: self.hands.pool.len(),
            store_waiting: self.hands.writer.depth(),
            recordings_dropped: self.hands.recorder.dropped(),
            recordings_cut: self.hands.recorder.cut(),
            archive: self.hands.archive.counts(),
            disk_failing: self.hands.disk.is_failing(),
            disk_failures: self.hands.disk.failures(),
            traces: self.hands.traces.counts(),
            streams: self.streams.faults().counts(),
        });
        self.lines.turn(now.mono);
        self.hands.vault.expire(now);
        self.hands
            .status
            .live_calls
            .store(counts.calls, Ordering::Relaxed);
    }
}
