//! The phone's sockets and its clock: carries inputs and outputs, decides nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use engine::phone::{Input, News, Output, Phone};
use media::Channel;
use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use sip::{ConnId, Transport};
use vocab::{Mono, Now};

use super::target::Target;
use crate::clock::Clock;

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
    Tcp { stream: TcpStream, pending: Vec<u8> },
}

impl Ports {
    /// Opens them towards a target, on ports that the system chooses.
    pub(super) fn open(target: &Target, transport: Transport) -> anyhow::Result<Self> {
        let next_hop = target.resolve()?;
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
            Transport::Tcp => {
                let stream = std::net::TcpStream::connect_timeout(&next_hop, CONNECT_WAIT)
                    .map_err(|error| {
                        if error.kind() == ErrorKind::ConnectionRefused {
                            refused()
                        } else {
                            let advice = target.advice();
                            anyhow!("no connection to {next_hop}: {error}; {advice}")
                        }
                    })?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?;
                (
                    Sip::Tcp {
                        stream: TcpStream::from_std(stream),
                        pending: Vec::new(),
                    },
                    local,
                )
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
        match self.sip {
            Sip::Udp(_) => Transport::Udp,
            Sip::Tcp { .. } => Transport::Tcp,
        }
    }
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
}

impl Line {
    /// Puts a phone on its sockets.
    pub(super) fn new(mut ports: Ports, phone: Phone, clock: Clock) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        match &mut ports.sip {
            Sip::Udp(socket) => registry.register(socket, SIP, Interest::READABLE)?,
            Sip::Tcp { stream, .. } => {
                registry.register(stream, SIP, Interest::READABLE | Interest::WRITABLE)?;
            }
        }
        registry.register(&mut ports.rtp, RTP, Interest::READABLE)?;
        registry.register(&mut ports.rtcp, RTCP, Interest::READABLE)?;
        Ok(Self {
            ports,
            phone,
            clock,
            poll,
            packets: 0,
        })
    }

    /// The moment.
    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Where requests go.
    pub(super) fn next_hop(&self) -> SocketAddr {
        self.ports.next_hop
    }

    /// The phone.
    pub(super) fn phone(&self) -> &Phone {
        &self.phone
    }

    /// Datagrams with audio that came in.
    pub(super) fn packets(&self) -> u64 {
        self.packets
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
            let now = self.clock.now();
            if now.mono >= end {
                return;
            }
            match self.phone.deadline() {
                Some(deadline) if deadline <= now.mono => {
                    self.phone.handle(now, Input::Timeout);
                    over |= self.drain(&mut done);
                    continue;
                }
                deadline => self.wait(
                    deadline.map_or(end, |deadline| deadline.min(end)),
                    &mut events,
                ),
            }
            for event in &events {
                over |= match event.token() {
                    RTP => self.datagrams(Channel::Rtp, &mut buffer, &mut done),
                    RTCP => self.datagrams(Channel::Rtcp, &mut buffer, &mut done),
                    _ => self.signalling(&mut buffer, &mut done),
                };
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
                        self.phone
                            .handle(now, Input::Sip(sip::Input::Datagram { remote, bytes }));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return over,
                    Err(_) => continue,
                },
                Sip::Tcp { stream, pending } => {
                    flush(stream, pending);
                    match stream.read(buffer) {
                        Ok(length) if length > 0 => {
                            let bytes = &buffer[..length];
                            let input = sip::Input::Stream {
                                conn: CONN,
                                remote,
                                bytes,
                            };
                            self.phone.handle(now, Input::Sip(input));
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return over,
                        Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                        Ok(_) | Err(_) => {
                            let input = sip::Input::StreamClosed { conn: CONN };
                            self.phone.handle(now, Input::Sip(input));
                            return over | self.drain(done);
                        }
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
                Output::Transmit { hop, bytes } => match &mut self.ports.sip {
                    // What is lost here is sent again, as on the network.
                    Sip::Udp(socket) => drop(socket.send_to(&bytes, hop.remote)),
                    Sip::Tcp { stream, pending } => {
                        if pending.len() + bytes.len() <= PENDING_BYTES_MAX {
                            pending.extend_from_slice(&bytes);
                        }
                        flush(stream, pending);
                    }
                },
                Output::CloseStream { .. } => {
                    if let Sip::Tcp { stream, .. } = &self.ports.sip {
                        let _ = stream.shutdown(std::net::Shutdown::Both);
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
                    let _ = socket.send_to(packet.as_bytes(), to);
                }
                Output::News(news) => over |= done(self.clock.now(), news),
            }
        }
        over
    }
}

/// Writes what the connection takes. What it does not take waits until it is writable.
fn flush(stream: &mut TcpStream, pending: &mut Vec<u8>) {
    while !pending.is_empty() {
        match stream.write(pending) {
            Ok(0) => return,
            Ok(length) => drop(pending.drain(..length)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Either it is full, or it is broken and reading will say so.
            Err(_) => return,
        }
    }
}
