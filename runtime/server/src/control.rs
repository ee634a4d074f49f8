//! The control thread: runs the node, and does what it asks for.

// A thread of its own is what this file is for.
#![allow(clippy::disallowed_methods)]

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
use sip::Transport;
use vocab::{CallId, FlowId, Mono};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::mailbox::Mailbox;
use crate::metrics::{Metrics, Shell};
use crate::net::batch::{self, Receiver};
use crate::net::stream::{StreamEvent, Streams};
use crate::plugin_pool::PluginPool;
use crate::recorder::Recorder;
use crate::speech::Speaker;
use crate::store_task::Writer;
use crate::telemetry;
use crate::trace::{Tap, Traces};

/// Messages that may wait for the control thread. Each live call has a handful at most; full means
/// that senders wait, which slows media and plugins down, never memory up.
const INBOX_MAX: usize = 1 << 17;

/// Datagrams taken in one system call, and the largest that is read: a SIP message over UDP should
/// stay below the path's MTU (RFC 3261 §18.1.1), so 16 KiB is generous.
const DATAGRAMS: usize = 64;
const DATAGRAM_BYTES: usize = 16 << 10;

/// Batches taken before other work gets its turn.
const BATCHES_A_TURN: usize = 8;

/// How often gauges are refreshed.
const GAUGES: Duration = Duration::from_millis(500);

const WAKER: Token = Token(0);
const UDP: Token = Token(1);
const LISTENER: Token = Token(2);
const STREAMS: usize = 16;

/// Something another thread tells the control thread.
pub(crate) enum Message {
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
    /// A new configuration.
    Configure(Arc<node::Config>),
    /// A plugin was loaded or taken back.
    Plugin(node::PluginChange),
    /// An operator ends a call.
    Hangup { call: CallId },
    /// Take no more calls.
    Drain,
    /// Look at the node.
    Query(Box<dyn FnOnce(&Node) + Send>),
    /// End the thread.
    Stop,
}

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
        let (answer, answered) = tokio::sync::oneshot::channel();
        let query = Box::new(move |node: &Node| drop(answer.send(look(node))));
        self.try_send(Message::Query(query)).ok()?;
        tokio::time::timeout(Duration::from_secs(2), answered)
            .await
            .ok()?
            .ok()
    }
}

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
    pub(crate) recorder: Recorder,
    pub(crate) tap: Tap,
    pub(crate) traces: Traces,
    pub(crate) disk: Arc<Disk>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) status: Arc<Status>,
}

/// Sockets and mailbox, made before the threads that need them.
pub(crate) struct Desk {
    poll: Poll,
    inbox: Mailbox<Message>,
    udp: UdpSocket,
    listener: TcpListener,
}

impl Desk {
    /// Binds the signalling sockets.
    ///
    /// # Errors
    /// In one line, with the address and what to do.
    pub(crate) fn bind(udp: SocketAddr, tcp: SocketAddr) -> anyhow::Result<Self> {
        let taken = |what: &str, at: SocketAddr, error: &io::Error| {
            let hint = if error.kind() == io::ErrorKind::AddrInUse {
                "another program uses this port: stop it, or set another address under [sip]"
            } else {
                "set an address of this machine under [sip]"
            };
            anyhow::anyhow!("cannot listen on {what} {at}: {error}; {hint}")
        };
        let socket = UdpSocket::bind(udp).map_err(|error| taken("udp", udp, &error))?;
        let mut listener = TcpListener::bind(tcp).map_err(|error| taken("tcp", tcp, &error))?;
        socket.set_nonblocking(true)?;
        // A burst of calls is some hundred datagrams of 1 KB between two turns of the loop.
        let sock = socket2::SockRef::from(&socket);
        drop(sock.set_recv_buffer_size(4 << 20));
        drop(sock.set_send_buffer_size(4 << 20));
        if sock.recv_buffer_size().unwrap_or(0) < 1 << 20 {
            tracing::warn!(
                "the kernel gives the SIP socket a small receive buffer: raise net.core.rmem_max \
                 to 4194304, or bursts of calls lose packets"
            );
        }
        let poll = Poll::new()?;
        let registry = poll.registry();
        registry.register(&mut SourceFd(&socket.as_raw_fd()), UDP, Interest::READABLE)?;
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(registry, WAKER)?;
        let inbox = Mailbox::new(INBOX_MAX, move || drop(waker.wake()));
        Ok(Self {
            poll,
            inbox,
            udp: socket,
            listener,
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
        let streams = Streams::new(self.poll.registry().try_clone()?, STREAMS);
        let control = Control {
            clock,
            node,
            hands,
            streams,
            udp: self.udp,
            datagrams: Vec::new(),
            stream_events: Vec::new(),
            not_taken: Vec::new(),
            gauges_at: Mono(0),
            lines: telemetry::Lines::default(),
        };
        let (poll, listener, inbox) = (self.poll, self.listener, self.inbox);
        let run = move || control.run(poll, &listener, &inbox);
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
    udp: UdpSocket,
    /// Datagrams of this turn, sent together at its end.
    datagrams: Vec<(SocketAddr, Arc<[u8]>)>,
    stream_events: Vec<StreamEvent>,
    /// Events the store did not take, to be told to the node.
    not_taken: Vec<u64>,
    gauges_at: Mono,
    lines: telemetry::Lines,
}

impl Control {
    fn run(mut self, mut poll: Poll, listener: &TcpListener, inbox: &Mailbox<Message>) {
        let mut events = Events::with_capacity(256);
        let mut receiver = Receiver::new(DATAGRAMS, DATAGRAM_BYTES);
        let mut more_datagrams = false;
        loop {
            let wait = if more_datagrams {
                Duration::ZERO
            } else {
                self.wait()
            };
            if let Err(error) = poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "polling sockets failed");
            }
            let mut udp_ready = more_datagrams;
            for event in &events {
                match event.token() {
                    WAKER => {}
                    UDP => udp_ready = true,
                    LISTENER => self.streams.accept(listener),
                    _ => self.streams.ready(event, &mut self.stream_events),
                }
            }
            self.stream_turn();
            if udp_ready {
                more_datagrams = self.datagram_turn(&mut receiver);
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
            self.stream_turn();
            self.flush();
            self.gauges();
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

    /// Takes datagrams; tells whether more are waiting.
    fn datagram_turn(&mut self, receiver: &mut Receiver) -> bool {
        for _ in 0..BATCHES_A_TURN {
            match receiver.receive(&self.udp) {
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
                    StreamEvent::Failed { remote } => sip::Input::SendFailed {
                        hop: sip::Hop {
                            transport: Transport::Tcp,
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
            Message::Flow { flow, output } => self.feed(node::Input::Flow { flow, output }),
            Message::Committed { through } => self.feed(node::Input::Committed { through }),
            Message::Refused { seq } => self.feed(node::Input::Refused { seq }),
            Message::Spoken { id, result } => self.feed(node::Input::Spoken { id, result }),
            Message::Configure(config) => self.feed(node::Input::Configure(config)),
            Message::Plugin(change) => self.feed(node::Input::Plugin(change)),
            Message::Hangup { call } => self.feed(node::Input::Hangup { call }),
            Message::Drain => {
                self.hands.status.draining.store(true, Ordering::Relaxed);
                self.feed(node::Input::Drain);
            }
            Message::Query(look) => look(&self.node),
            Message::Stop => {}
        }
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
                match hop.transport {
                    Transport::Udp => self.datagrams.push((hop.remote, bytes)),
                    Transport::Tcp => {
                        if let Some(event) = self.streams.send(hop.conn, hop.remote, bytes) {
                            self.stream_events.push(event);
                        }
                    }
                }
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
            Output::Notice(notice) => {
                self.hands.tap.notice(&notice);
                self.hands.metrics.notice(&notice);
                self.lines.notice(self.clock.now().mono, &notice);
            }
        }
    }

    fn flush(&mut self) {
        self.hands.tap.flush();
        if !self.datagrams.is_empty() {
            batch::send(&self.udp, &self.datagrams);
            self.datagrams.clear();
        }
    }

    fn gauges(&mut self) {
        let now = self.clock.now();
        if now.mono < self.gauges_at {
            return;
        }
        self.gauges_at = now.mono + GAUGES;
        let counts = self.node.counts();
        self.hands.metrics.counts(&counts);
        self.hands.metrics.shell(Shell {
            guests: self.hands.pool.len(),
            store_waiting: self.hands.writer.depth(),
            recordings_dropped: self.hands.recorder.dropped(),
            recordings_cut: self.hands.recorder.cut(),
            disk_failing: self.hands.disk.is_failing(),
            disk_failures: self.hands.disk.failures(),
            traces: self.hands.traces.counts(),
        });
        self.lines.turn(now.mono);
        self.hands
            .status
            .live_calls
            .store(counts.calls, Ordering::Relaxed);
    }
}
