//! The phone's sockets and its clock: carries inputs and outputs, decides nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use engine::phone::{Input, News, Output, Phone};
use media::Channel;
use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use sip::{ConnId, Transport, locate};
use vocab::{Mono, Now, Rng};

use super::capture::Capture;
use super::target::Target;
use crate::clock::Clock;
use crate::net::layers::{Layers, Received};
use crate::net::tls::Tls;

/// Largest datagram there is.
const DATAGRAM_BYTES: usize = 65_535;

/// Longest wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Longest wait for the system to say that nothing listens on a port of this machine.
const PROBE_WAIT: Duration = Duration::from_millis(50);

/// Tries to find two ports in a row of which the first is even.
const PORT_TRIES: usize = 100;

/// Bytes waiting for a connection to take them; a call has some 10 KB in all.
const PENDING_BYTES_MAX: usize = 1 << 20;

/// Our only connection.
const CONN: ConnId = ConnId(1);

const SIP: Token = Token(0);
const RTP: Token = Token(1);
const RTCP: Token = Token(2);

/// Sockets of a phone.
#[derive(Debug)]
pub(super) struct Ports {
    next_hop: SocketAddr,
    local: SocketAddr,
    sip: Sip,
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

#[derive(Debug)]
enum Sip {
    Udp(UdpSocket),
    Stream(Box<Stream>),
}

/// A connection with what lies between it and SIP.
#[derive(Debug)]
struct Stream {
    transport: Transport,
    socket: TcpStream,
    layers: Layers,
    /// Bytes that wait until the connection takes them.
    pending: Vec<u8>,
    /// Messages that came with the end of the handshake.
    early: Vec<Received>,
}

impl Ports {
    /// Opens them towards a target, on ports that the system chooses: to the first of its servers
    /// that can be reached.
    pub(super) fn open(
        target: &Target,
        servers: &[locate::Target],
        tls: &Tls,
        rng: &mut Rng,
    ) -> anyhow::Result<Self> {
        let mut first = None;
        for server in servers {
            match Self::open_to(target, *server, tls, rng) {
                Ok(ports) => return Ok(ports),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| anyhow!("{} is nowhere", target.host)))
    }

    fn open_to(
        target: &Target,
        server: locate::Target,
        tls: &Tls,
        rng: &mut Rng,
    ) -> anyhow::Result<Self> {
        let locate::Target { transport, address } = server;
        let next_hop = address;
        let ip = local_ip(next_hop).with_context(|| format!("no way to {}", next_hop.ip()))?;
        let refused = || anyhow!("nothing answers on {next_hop}; {}", target.advice());
        let (sip, local) = match transport {
            Transport::Udp => {
                if next_hop.ip().is_loopback() && nobody_listens(next_hop) {
                    return Err(refused());
                }
                let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).context("opening a port")?;
                let local = socket.local_addr()?;
                (Sip::Udp(socket), local)
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let mut stream = std::net::TcpStream::connect_timeout(&next_hop, CONNECT_WAIT)
                    .map_err(|error| {
                        if error.kind() == ErrorKind::ConnectionRefused {
                            refused()
                        } else {
                            let advice = target.advice();
                            anyhow!("no connection to {next_hop}: {error}; {advice}")
                        }
                    })?;
                stream.set_nodelay(true)?;
                let host = &target.host;
                let mut layers =
                    Layers::connect(transport, tls, host, rng).map_err(|why| anyhow!("{why}"))?;
                let early = shake_hands(&mut stream, &mut layers).with_context(|| {
                    let name = super::outcome::transport(transport);
                    format!("no way to {next_hop} over {name}")
                })?;
                stream.set_nonblocking(true)?;
                let local = stream.local_addr()?;
                let stream = Stream {
                    transport,
                    socket: TcpStream::from_std(stream),
                    layers,
                    pending: Vec::new(),
                    early,
                };
                (Sip::Stream(Box::new(stream)), local)
            }
        };
        let (rtp, rtcp) = media_ports(ip)?;
        Ok(Self {
            next_hop,
            local,
            sip,
            rtp,
            rtcp,
        })
    }

    /// Where we signal from.
    pub(super) fn sip_address(&self) -> SocketAddr {
        self.local
    }

    /// Where we receive audio.
    pub(super) fn rtp_address(&self) -> SocketAddr {
        self.rtp
            .local_addr()
            .expect("a bound socket has an address")
    }

    /// How we signal.
    pub(super) fn transport(&self) -> Transport {
        match &self.sip {
            Sip::Udp(_) => Transport::Udp,
            Sip::Stream(stream) => stream.transport,
        }
    }
}

/// Waits for the handshakes of TLS and of a WebSocket; gives what came right behind them.
fn shake_hands(
    stream: &mut std::net::TcpStream,
    layers: &mut Layers,
) -> anyhow::Result<Vec<Received>> {
    stream.set_read_timeout(Some(CONNECT_WAIT))?;
    let mut buffer = [0; 4_096];
    let mut early = Vec::new();
    while !layers.is_open() {
        stream.write_all(&layers.take_out())?;
        let length = match stream.read(&mut buffer) {
            Ok(0) => bail!("the other side closed the connection during the handshake"),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!("no handshake within {} s", CONNECT_WAIT.as_secs())
            }
            Err(error) => return Err(error.into()),
        };
        let result = layers.receive(&buffer[..length], &mut early);
        if let Err(why) = result {
            // Our alert, so that the other side can say in its log what was wrong.
            let _ = stream.write_all(&layers.take_out());
            bail!("{why}");
        }
    }
    early.retain(|piece| *piece != Received::Opened);
    Ok(early)
}

/// The address this machine has towards another.
fn local_ip(remote: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a datagram socket sends nothing: it only asks for the way.
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// Whether this machine says at once that a port is closed. A keep-alive (RFC 5626 §4.4.1) brings
/// the answer; an open port says nothing.
fn nobody_listens(port: SocketAddr) -> bool {
    let probe = || -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind((port.ip(), 0))?;
        socket.connect(port)?;
        socket.send(b"\r\n\r\n")?;
        socket.set_read_timeout(Some(PROBE_WAIT))?;
        socket.recv(&mut [0; 16]).map(|_| ())
    };
    probe().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Two ports in a row, the first even (RFC 3550 §11).
fn media_ports(ip: IpAddr) -> anyhow::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..PORT_TRIES {
        let first = UdpSocket::bind(SocketAddr::new(ip, 0)).context("opening a port")?;
        let port = first.local_addr()?.port();
        let other = if port % 2 == 0 {
            port.checked_add(1)
        } else {
            port.checked_sub(1)
        };
        let Some(other) = other.filter(|port| *port > 0) else {
            continue;
        };
        if let Ok(second) = UdpSocket::bind(SocketAddr::new(ip, other)) {
            return Ok(if port % 2 == 0 {
                (first, second)
            } else {
                (second, first)
            });
        }
    }
    bail!("no two free ports in a row on {ip}; close some programs and try again")
}

/// A phone on its sockets.
#[derive(Debug)]
pub(super) struct Line {
    ports: Ports,
    phone: Phone,
    clock: Clock,
    poll: Poll,
    /// Datagrams with audio that came in.
    packets: u64,
    /// What went over the sockets, if that is asked for.
    capture: Option<Capture>,
}

impl Line {
    /// Puts a phone on its sockets.
    pub(super) fn new(mut ports: Ports, phone: Phone, clock: Clock) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        match &mut ports.sip {
            Sip::Udp(socket) => registry.register(socket, SIP, Interest::READABLE)?,
            Sip::Stream(stream) => {
                let both = Interest::READABLE | Interest::WRITABLE;
                registry.register(&mut stream.socket, SIP, both)?;
            }
        }
        registry.register(&mut ports.rtp, RTP, Interest::READABLE)?;
        registry.register(&mut ports.rtcp, RTCP, Interest::READABLE)?;
        let mut line = Self {
            ports,
            phone,
            clock,
            poll,
            packets: 0,
            capture: None,
        };
        line.announce();
        Ok(line)
    }

    /// Tells the phone what its connection is, and what came on it already.
    fn announce(&mut self) {
        let (remote, now) = (self.ports.next_hop, self.clock.now());
        let Sip::Stream(stream) = &mut self.ports.sip else {
            return;
        };
        let opened = sip::Input::StreamOpened {
            conn: CONN,
            transport: stream.transport,
            remote,
        };
        self.phone.handle(now, Input::Sip(opened));
        for piece in std::mem::take(&mut stream.early) {
            if let Received::Bytes(bytes) = piece {
                let input = sip::Input::Stream {
                    conn: CONN,
                    remote,
                    bytes: &bytes,
                };
                self.phone.handle(now, Input::Sip(input));
            }
        }
    }

    /// The moment.
    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Where requests go.
    pub(super) fn next_hop(&self) -> SocketAddr {
        self.ports.next_hop
    }

    /// How it signals.
    pub(super) fn transport(&self) -> Transport {
        self.ports.transport()
    }

    /// The phone.
    pub(super) fn phone(&self) -> &Phone {
        &self.phone
    }

    /// Datagrams with audio that came in.
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Keeps what goes over the sockets from now on.
    pub(super) fn start_capture(&mut self) {
        self.capture = Some(Capture::default());
    }

    /// What went over the sockets, if that was asked for.
    pub(super) fn capture(&self) -> Option<&Capture> {
        self.capture.as_ref()
    }

    /// Feeds the phone. What it asks for is done by the next [`Line::run`].
    pub(super) fn feed(&mut self, input: Input<'_>) {
        self.phone.handle(self.clock.now(), input);
    }

    /// Runs the phone until `done` says so of its news, or for this long.
    pub(super) fn run(&mut self, limit: Duration, mut done: impl FnMut(Now, News) -> bool) {
        let end = self.clock.now().mono + limit;
        let mut events = Events::with_capacity(16);
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut over = self.drain(&mut done);
        while !over {
            if self.clock.now().mono >= end {
                return;
            }
            let deadline = self.phone.deadline();
            self.wait(
                deadline.map_or(end, |deadline| deadline.min(end)),
                &mut events,
            );
            // Before the clock is looked at: when we were kept from running, the audio of that time
            // is here and belongs into the ticks that are made up for.
            for event in &events {
                over |= match event.token() {
                    RTP => self.datagrams(Channel::Rtp, &mut buffer, &mut done),
                    RTCP => self.datagrams(Channel::Rtcp, &mut buffer, &mut done),
                    _ => self.signalling(&mut buffer, &mut done),
                };
            }
            let now = self.clock.now();
            if !over && self.phone.deadline().is_some_and(|at| at <= now.mono) {
                self.phone.handle(now, Input::Timeout);
                over |= self.drain(&mut done);
            }
        }
    }

    fn wait(&mut self, until: Mono, events: &mut Events) {
        if let Err(error) = self.poll.poll(events, Some(self.clock.until(until))) {
            // A signal woke us: what there is to do is found out anew.
            debug_assert_eq!(error.kind(), ErrorKind::Interrupted);
            events.clear();
        }
    }

    fn datagrams(
        &mut self,
        channel: Channel,
        buffer: &mut [u8],
        done: &mut impl FnMut(Now, News) -> bool,
    ) -> bool {
        let mut over = false;
        loop {
            let socket = match channel {
                Channel::Rtp => &self.ports.rtp,
                Channel::Rtcp => &self.ports.rtcp,
            };
            match socket.recv_from(buffer) {
                Ok((length, from)) => {
                    self.packets += u64::from(channel == Channel::Rtp);
                    let bytes = &buffer[..length];
                    if let Some(capture) = &mut self.capture
                        && let Ok(local) = socket.local_addr()
                    {
                        capture.media(self.clock.now().wall, (from, local), bytes);
                    }
                    self.phone.handle(
                        self.clock.now(),
                        Input::Media {
                            channel,
                            from,
                            bytes,
                        },
                    );
                    over |= self.drain(done);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return over,
                // An earlier datagram was refused by its receiver; there may be more to read.
                Err(_) => {}
            }
        }
    }

    fn signalling(&mut self, buffer: &mut [u8], done: &mut impl FnMut(Now, News) -> bool) -> bool {
        let mut over = false;
        loop {
            let remote = self.ports.next_hop;
            let now = self.clock.now();
            match &mut self.ports.sip {
                Sip::Udp(socket) => match socket.recv_from(buffer) {
                    Ok((length, remote)) => {
                        let bytes = &buffer[..length];
                        if let Some(capture) = &mut self.capture {
                            capture.message(now.wall, true, (remote, self.ports.local), bytes);
                        }
                        self.phone
                            .handle(now, Input::Sip(sip::Input::Datagram { remote, bytes }));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return over,
                    Err(_) => continue,
                },
                Sip::Stream(stream) => {
                    stream.flush();
                    let mut received = Vec::new();
                    let good = match stream.socket.read(buffer) {
                        Ok(length) if length > 0 => {
                            let result = stream.layers.receive(&buffer[..length], &mut received);
                            stream.flush();
                            result.is_ok()
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return over,
                        Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                        Ok(_) | Err(_) => false,
                    };
                    let closed = !good || received.contains(&Received::Closed);
                    for piece in received {
                        if let Received::Bytes(bytes) = piece {
                            if let Some(capture) = &mut self.capture {
                                let ends = (remote, self.ports.local);
                                capture.message(now.wall, false, ends, &bytes);
                            }
                            let input = sip::Input::Stream {
                                conn: CONN,
                                remote,
                                bytes: &bytes,
                            };
                            self.phone.handle(now, Input::Sip(input));
                            over |= self.drain(done);
                        }
                    }
                    if closed {
                        let input = sip::Input::StreamClosed { conn: CONN };
                        self.phone.handle(now, Input::Sip(input));
                        return over | self.drain(done);
                    }
                }
            }
            over |= self.drain(done);
        }
    }

    /// Does what the phone asks for. True if `done` said so.
    fn drain(&mut self, done: &mut impl FnMut(Now, News) -> bool) -> bool {
        let mut over = false;
        while let Some(output) = self.phone.poll() {
            match output {
                Output::Transmit { hop, bytes } => {
                    if let Some(capture) = &mut self.capture {
                        let datagram = matches!(self.ports.sip, Sip::Udp(_));
                        let (now, ends) = (self.clock.now(), (self.ports.local, hop.remote));
                        capture.message(now.wall, datagram, ends, &bytes);
                    }
                    match &mut self.ports.sip {
                        // What is lost here is sent again, as on the network.
                        Sip::Udp(socket) => drop(socket.send_to(&bytes, hop.remote)),
                        Sip::Stream(stream) => {
                            if stream.pending.len() + bytes.len() <= PENDING_BYTES_MAX {
                                stream.layers.send(&bytes);
                            }
                            stream.flush();
                        }
                    }
                }
                Output::CloseStream { .. } => {
                    if let Sip::Stream(stream) = &self.ports.sip {
                        let _ = stream.socket.shutdown(std::net::Shutdown::Both);
                    }
                }
                Output::Media {
                    channel,
                    to,
                    packet,
                } => {
                    let socket = match channel {
                        Channel::Rtp => &self.ports.rtp,
                        Channel::Rtcp => &self.ports.rtcp,
                    };
                    if let Some(capture) = &mut self.capture
                        && let Ok(local) = socket.local_addr()
                    {
                        capture.media(self.clock.now().wall, (local, to), packet.as_bytes());
                    }
                    let _ = socket.send_to(packet.as_bytes(), to);
                }
                Output::News(news) => over |= done(self.clock.now(), news),
            }
        }
        over
    }
}

impl Stream {
    /// Writes what the connection takes. What it does not take waits until it is writable.
    fn flush(&mut self) {
        self.pending.append(&mut self.layers.take_out());
        while !self.pending.is_empty() {
            match self.socket.write(&self.pending) {
                Ok(0) => return,
                Ok(length) => drop(self.pending.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Either it is full, or it is broken and reading will say so.
                Err(_) => return,
            }
        }
    }
}
