//! SIP over connections: accepted and opened ones, with TLS and WebSockets, polled by the control
//! thread.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use sip::message::Host;
use sip::{ConnId, Transport};
use vocab::{Mono, Rng};

use super::faults::{Fault, Faults};
use super::layers::{Layers, Received};
use super::limits::{
    HANDSHAKE_TIME, HANDSHAKES_MAX, HANDSHAKES_OF_SOURCE_MAX, READ_BYTES, STREAMS_MAX, WAITING_MAX,
};
use super::tls::Tls;
use super::websocket::Origins;

/// A connection on which nothing was heard for this long is asked whether it is still there, so
/// that phones that vanished do not fill the table.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// Something a connection did.
#[derive(Debug)]
pub enum StreamEvent {
    /// Its handshakes are over. Not said of plain TCP that we opened.
    Opened {
        /// Which connection.
        conn: ConnId,
        /// What it is.
        transport: Transport,
        /// Its other side.
        remote: SocketAddr,
    },
    /// Bytes arrived; of a WebSocket one whole message.
    Bytes {
        /// Which connection.
        conn: ConnId,
        /// Its other side.
        remote: SocketAddr,
        /// What arrived.
        bytes: Vec<u8>,
    },
    /// It is closed, by whomever.
    Closed {
        /// Which connection.
        conn: ConnId,
    },
    /// The other side of a connection that came in broke the rules of what carries SIP on it;
    /// `Closed` comes next.
    Broken {
        /// Which connection.
        conn: ConnId,
        /// What it was.
        transport: Transport,
        /// Its other side.
        remote: SocketAddr,
    },
    /// A connection could not be opened, or its handshake failed.
    Failed {
        /// What it was to be.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
    },
    /// For the log: why a connection is no more.
    Trouble {
        /// What it was.
        transport: Transport,
        /// Its other side.
        remote: SocketAddr,
        /// In one line.
        why: String,
    },
}

/// Where a connection leads. Of one that we opened and that is secure, also whom the certificate of
/// the other side names: what is meant for somebody else takes another one (RFC 5922 §7.1).
type Place = (Transport, SocketAddr, Option<String>);

/// All connections.
#[derive(Debug)]
pub struct Streams {
    registry: Registry,
    base: usize,
    last: u64,
    open: BTreeMap<u64, Stream>,
    /// The newest to each place, for requests that have no connection yet.
    places: BTreeMap<Place, u64>,
    /// Until when the handshakes of the young ones may take.
    young: BTreeMap<u64, Mono>,
    /// How many of the young came in.
    young_in: usize,
    /// The same by source.
    young_of: BTreeMap<IpAddr, usize>,
    faults: Faults,
    tls: Tls,
    origins: Origins,
    rng: Rng,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    transport: Transport,
    remote: SocketAddr,
    /// Whom its certificate names, if we opened it and it is secure.
    name: Option<String>,
    /// We opened it.
    ours: bool,
    connected: bool,
    layers: Layers,
    /// Messages that the layers have not taken yet.
    waiting: VecDeque<Arc<[u8]>>,
    waiting_bytes: usize,
    /// Bytes for the socket, and how many of them are written.
    out: Vec<u8>,
    written: usize,
}

impl Streams {
    /// No connections. Their poll tokens start at `base`.
    pub fn new(registry: Registry, base: usize, tls: Tls, origins: Origins, rng: Rng) -> Self {
        Self {
            registry,
            base,
            last: 0,
            open: BTreeMap::new(),
            places: BTreeMap::new(),
            young: BTreeMap::new(),
            young_in: 0,
            young_of: BTreeMap::new(),
            faults: Faults::default(),
            tls,
            origins,
            rng,
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Open connections.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Connections that came to nothing or to a bad end.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// What further connections are made with.
    pub fn set_tls(&mut self, tls: Tls) {
        self.tls = tls;
    }

    /// Takes all connections that wait at the listener.
    pub fn accept(
        &mut self,
        now: Mono,
        listener: &TcpListener,
        transport: Transport,
        out: &mut Vec<StreamEvent>,
    ) {
        loop {
            match listener.accept() {
                Ok((socket, remote)) => self.accepted(now, socket, remote, transport, out),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn accepted(
        &mut self,
        now: Mono,
        socket: TcpStream,
        remote: SocketAddr,
        transport: Transport,
        out: &mut Vec<StreamEvent>,
    ) {
        let of_source = self.young_of.get(&source(remote)).copied();
        if self.open.len() >= STREAMS_MAX
            || self.young_in >= HANDSHAKES_MAX
            || of_source.is_some_and(|count| count >= HANDSHAKES_OF_SOURCE_MAX)
        {
            return self.faults.add(Fault::Full);
        }
        match Layers::accept(transport, &self.tls, &self.origins) {
            Ok(layers) => {
                let stream = Stream::new(socket, transport, remote, layers);
                let up = stream.is_up();
                if let Ok(id) = self.add(now, stream)
                    && up
                {
                    let conn = ConnId(id);
                    out.push(StreamEvent::Opened {
                        conn,
                        transport,
                        remote,
                    });
                }
            }
            Err(why) => out.push(StreamEvent::Trouble {
                transport,
                remote,
                why,
            }),
        }
    }

    /// Takes over a WebSocket whose handshakes were answered elsewhere, with what was read (and
    /// decrypted) already.
    pub fn adopt(
        &mut self,
        now: Mono,
        (socket, remote): (std::net::TcpStream, SocketAddr),
        layers: Layers,
        read: &[u8],
        out: &mut Vec<StreamEvent>,
    ) {
        if self.open.len() >= STREAMS_MAX || socket.set_nonblocking(true).is_err() {
            return self.faults.add(Fault::Full);
        }
        let socket = TcpStream::from_std(socket);
        let transport = layers.websocket();
        let stream = Stream::new(socket, transport, remote, layers);
        let Ok(id) = self.add(now, stream) else {
            return;
        };
        let conn = ConnId(id);
        out.push(StreamEvent::Opened {
            conn,
            transport,
            remote,
        });
        self.pass(conn, out, |layers, received| layers.resume(read, received));
        self.read(conn, out);
    }

    fn add(&mut self, now: Mono, mut stream: Stream) -> io::Result<u64> {
        self.last += 1;
        let id = self.last;
        let token = Token(self.base + usize::try_from(id).unwrap_or(usize::MAX - self.base));
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut stream.socket, token, both)?;
        // One message is one answer: waiting to fill a segment only adds delay.
        drop(stream.socket.set_nodelay(true));
        let keep = socket2::TcpKeepalive::new().with_time(KEEP_ALIVE);
        drop(socket2::SockRef::from(&stream.socket).set_tcp_keepalive(&keep));
        if !stream.is_up() {
            self.young.insert(id, now + HANDSHAKE_TIME);
            if !stream.ours {
                self.young_in += 1;
                *self.young_of.entry(source(stream.remote)).or_default() += 1;
            }
        }
        self.places.insert(stream.place(), id);
        self.open.insert(id, stream);
        Ok(id)
    }

    /// Sends a message on a connection, or on any to `remote`, opening one if there is none.
    pub fn send(&mut self, now: Mono, hop: sip::Hop, bytes: Arc<[u8]>, out: &mut Vec<StreamEvent>) {
        let sip::Hop {
            transport, remote, ..
        } = hop;
        let known = hop.conn.map(|conn| conn.0);
        let known = known.filter(|id| self.open.contains_key(id));
        let host = || sip::next_host(&bytes).unwrap_or(Host::Address(remote.ip()));
        let host = (known.is_none() && transport.is_secure()).then(host);
        let id = match known.or_else(|| self.leading_to(transport, remote, host.as_ref())) {
            Some(id) => id,
            None => match self.connect(now, transport, remote, host) {
                Ok(id) => id,
                Err(why) => {
                    out.push(StreamEvent::Trouble {
                        transport,
                        remote,
                        why,
                    });
                    out.push(StreamEvent::Failed { transport, remote });
                    return;
                }
            },
        };
        let Some(stream) = self.open.get_mut(&id) else {
            unreachable!("found or opened above");
        };
        stream.waiting_bytes += bytes.len();
        stream.waiting.push_back(bytes);
        let unread = stream.waiting_bytes > WAITING_MAX;
        if unread {
            self.faults.add(Fault::Unread);
        }
        if unread || (stream.connected && stream.write().is_err()) {
            out.push(self.close(ConnId(id)));
        }
    }

    /// A connection that is there already.
    fn leading_to(
        &self,
        transport: Transport,
        remote: SocketAddr,
        host: Option<&Host>,
    ) -> Option<u64> {
        let named = self.places.get(&(transport, remote, host.map(name_of)));
        // One that came in is from whoever is there.
        let found = named.or_else(|| self.places.get(&(transport, remote, None)));
        found.copied()
    }

    fn connect(
        &mut self,
        now: Mono,
        transport: Transport,
        remote: SocketAddr,
        host: Option<Host>,
    ) -> Result<u64, String> {
        if transport.is_websocket() {
            // Browsers take no connections (RFC 7118 §5).
            return Err("the WebSocket it was reached over is closed".to_owned());
        }
        if self.open.len() >= STREAMS_MAX {
            return Err("too many connections are open".to_owned());
        }
        let host = host.unwrap_or(Host::Address(remote.ip()));
        let layers = Layers::connect(transport, &self.tls, &host, &mut self.rng)?;
        let socket = TcpStream::connect(remote).map_err(|error| error.to_string())?;
        let mut stream = Stream::new(socket, transport, remote, layers);
        (stream.ours, stream.connected) = (true, false);
        stream.name = transport.is_secure().then(|| name_of(&host));
        self.add(now, stream).map_err(|error| error.to_string())
    }

    /// Handles a poll event; tells what came of it.
    pub fn ready(&mut self, event: &mio::event::Event, out: &mut Vec<StreamEvent>) {
        let Some(id) = event.token().0.checked_sub(self.base).map(|id| id as u64) else {
            return;
        };
        let conn = ConnId(id);
        if event.is_writable()
            && let Some(stream) = self.open.get_mut(&id)
        {
            if !stream.connected {
                let error = stream.socket.take_error().ok().flatten();
                if error.is_some() || stream.socket.peer_addr().is_err() {
                    let why = error.map_or("no connection".to_owned(), |error| error.to_string());
                    return self.lose(conn, Some(why), out);
                }
                stream.connected = true;
                if stream.is_up() {
                    self.grown(id);
                }
            }
            let stream = self.open.get_mut(&id).expect("seen above");
            if stream.write().is_err() {
                return self.lose(conn, None, out);
            }
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(conn, out);
        }
    }

    fn read(&mut self, conn: ConnId, out: &mut Vec<StreamEvent>) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(stream) = self.open.get_mut(&conn.0) {
            match stream.socket.read(&mut buffer) {
                Ok(0) => self.lose(conn, None, out),
                Ok(count) => self.take(conn, &buffer[..count], out),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.lose(conn, None, out),
            }
        }
        self.buffer = buffer;
    }

    /// Passes bytes of the socket through the layers.
    fn take(&mut self, conn: ConnId, bytes: &[u8], out: &mut Vec<StreamEvent>) {
        self.pass(conn, out, |layers, received| {
            layers.receive(bytes, received)
        });
    }

    fn pass(
        &mut self,
        conn: ConnId,
        out: &mut Vec<StreamEvent>,
        feed: impl FnOnce(&mut Layers, &mut Vec<Received>) -> Result<(), String>,
    ) {
        let Some(stream) = self.open.get_mut(&conn.0) else {
            return;
        };
        let (transport, remote) = (stream.transport, stream.remote);
        let mut received = Vec::new();
        let result = feed(&mut stream.layers, &mut received);
        let mut closed = false;
        for piece in received {
            match piece {
                Received::Opened => {
                    self.grown(conn.0);
                    out.push(StreamEvent::Opened {
                        conn,
                        transport,
                        remote,
                    });
                }
                Received::Bytes(bytes) => out.push(StreamEvent::Bytes {
                    conn,
                    remote,
                    bytes,
                }),
                Received::Closed => closed = true,
            }
        }
        let written = match self.open.get_mut(&conn.0) {
            // Our part of a handshake, an alert, a pong, or what waited for the handshake.
            Some(stream) => stream.write(),
            None => return,
        };
        match result {
            Err(why) => {
                self.blame(conn, out);
                self.lose(conn, Some(why), out);
            }
            Ok(()) if closed || written.is_err() => self.lose(conn, None, out),
            Ok(()) => {}
        }
    }

    /// Ends what took too long to begin. To be called about once a second.
    pub fn expire(&mut self, now: Mono, out: &mut Vec<StreamEvent>) {
        let late = self.young.iter().filter(|(_, at)| **at <= now);
        let late: Vec<u64> = late.map(|(id, _)| *id).collect();
        for id in late {
            self.faults.add(Fault::Late);
            let why = format!("no handshake within {} s", HANDSHAKE_TIME.as_secs());
            self.lose(ConnId(id), Some(why), out);
        }
    }

    /// What arrived makes no sense: counts it, and tells of who was let in and broke the rules.
    fn blame(&mut self, conn: ConnId, out: &mut Vec<StreamEvent>) {
        let Some(stream) = self.open.get(&conn.0) else {
            return;
        };
        if !stream.is_up() {
            return self.faults.add(Fault::Handshake);
        }
        self.faults.add(Fault::Broken);
        if !stream.ours {
            out.push(StreamEvent::Broken {
                conn,
                transport: stream.transport,
                remote: stream.remote,
            });
        }
    }

    /// Its handshakes are over.
    fn grown(&mut self, id: u64) {
        let stream = self.open.get(&id).filter(|stream| !stream.ours);
        let came_in = stream.map(|stream| source(stream.remote));
        if self.young.remove(&id).is_none() {
            return;
        }
        let Some(source) = came_in else {
            return;
        };
        self.young_in -= 1;
        if let Some(count) = self.young_of.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.young_of.remove(&source);
            }
        }
    }

    /// Closes a connection that is of no more use, and says so.
    fn lose(&mut self, conn: ConnId, why: Option<String>, out: &mut Vec<StreamEvent>) {
        let Some(stream) = self.open.get(&conn.0) else {
            return;
        };
        let (transport, remote) = (stream.transport, stream.remote);
        let failed = stream.ours && !stream.is_up();
        if let Some(why) = why.or_else(|| failed.then(|| "it was closed at once".to_owned())) {
            out.push(StreamEvent::Trouble {
                transport,
                remote,
                why,
            });
        }
        let closed = self.close(conn);
        out.push(if failed {
            StreamEvent::Failed { transport, remote }
        } else {
            closed
        });
    }

    /// Closes a connection.
    pub fn close(&mut self, conn: ConnId) -> StreamEvent {
        self.grown(conn.0);
        if let Some(mut stream) = self.open.remove(&conn.0) {
            stream.layers.close();
            drop(stream.write());
            drop(self.registry.deregister(&mut stream.socket));
            let place = stream.place();
            if self.places.get(&place) == Some(&conn.0) {
                self.places.remove(&place);
            }
        }
        StreamEvent::Closed { conn }
    }
}

/// Names are the same in any case.
fn name_of(host: &Host) -> String {
    host.to_string().to_ascii_lowercase()
}

impl Stream {
    /// One that came in.
    fn new(socket: TcpStream, transport: Transport, remote: SocketAddr, layers: Layers) -> Self {
        Self {
            socket,
            transport,
            remote,
            name: None,
            ours: false,
            connected: true,
            layers,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            out: Vec::new(),
            written: 0,
        }
    }

    fn place(&self) -> Place {
        (self.transport, self.remote, self.name.clone())
    }

    /// Messages can be sent.
    fn is_up(&self) -> bool {
        self.connected && self.layers.is_open()
    }

    /// Writes as much as the kernel takes.
    fn write(&mut self) -> io::Result<()> {
        loop {
            while self.written < self.out.len() {
                match self.socket.write(&self.out[self.written..]) {
                    Ok(count) => self.written += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            self.written = 0;
            self.out = self.layers.take_out();
            if self.out.is_empty() {
                let Some(message) = self.next() else {
                    return Ok(());
                };
                self.layers.send(&message);
                self.out = self.layers.take_out();
            }
        }
    }

    fn next(&mut self) -> Option<Arc<[u8]>> {
        if !self.layers.is_open() {
            return None;
        }
        let message = self.waiting.pop_front()?;
        self.waiting_bytes -= message.len();
        Some(message)
    }
}

/// Whose connections count together.
fn source(remote: SocketAddr) -> IpAddr {
    remote.ip().to_canonical()
}

#[cfg(test)]
mod tests;
