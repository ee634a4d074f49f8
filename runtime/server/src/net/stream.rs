//! SIP over TCP: accepted and opened connections, polled by the control thread.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use sip::ConnId;

/// Most connections at once; further ones are closed at once.
const STREAMS_MAX: usize = 4_096;

/// Most bytes waiting for a slow reader; past this its connection is closed.
const WAITING_MAX: usize = 256 << 10;

/// Bytes read at a time from one connection, so that one talker does not starve the others.
const READ_BYTES: usize = 16 << 10;

/// Something a connection did.
#[derive(Debug)]
pub enum StreamEvent {
    /// The other side opened one.
    Opened {
        /// Which connection.
        conn: ConnId,
        /// Its other side.
        remote: SocketAddr,
    },
    /// Bytes arrived.
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
    /// A connection could not be opened.
    Failed {
        /// Where to.
        remote: SocketAddr,
    },
}

/// All connections.
#[derive(Debug)]
pub struct Streams {
    registry: Registry,
    base: usize,
    last: u64,
    open: BTreeMap<u64, Stream>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    remote: SocketAddr,
    connected: bool,
    waiting: VecDeque<Arc<[u8]>>,
    waiting_bytes: usize,
    /// Bytes of the first waiting message that are already written.
    written: usize,
}

impl Streams {
    /// No connections. Their poll tokens start at `base`.
    pub fn new(registry: Registry, base: usize) -> Self {
        let buffer = vec![0; READ_BYTES];
        Self {
            registry,
            base,
            last: 0,
            open: BTreeMap::new(),
            buffer,
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

    /// Takes all connections that wait at the listener, and tells of them.
    pub fn accept(&mut self, listener: &TcpListener, out: &mut Vec<StreamEvent>) {
        loop {
            match listener.accept() {
                Ok((socket, remote)) if self.open.len() < STREAMS_MAX => {
                    if let Ok(id) = self.add(socket, remote, true) {
                        let conn = ConnId(id);
                        out.push(StreamEvent::Opened { conn, remote });
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn add(&mut self, socket: TcpStream, remote: SocketAddr, connected: bool) -> io::Result<u64> {
        let mut socket = socket;
        self.last += 1;
        let id = self.last;
        let token = Token(self.base + usize::try_from(id).unwrap_or(usize::MAX - self.base));
        self.registry
            .register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        // One message is one answer: waiting to fill a segment only adds delay.
        drop(socket.set_nodelay(true));
        let (waiting, waiting_bytes, written) = (VecDeque::new(), 0, 0);
        let stream = Stream {
            socket,
            remote,
            connected,
            waiting,
            waiting_bytes,
            written,
        };
        self.open.insert(id, stream);
        Ok(id)
    }

    /// Sends a message on a connection, or on any to `remote`, opening one if there is none.
    pub fn send(
        &mut self,
        conn: Option<ConnId>,
        remote: SocketAddr,
        bytes: Arc<[u8]>,
    ) -> Option<StreamEvent> {
        let known = conn
            .map(|conn| conn.0)
            .filter(|id| self.open.contains_key(id));
        let to_remote = || {
            self.open
                .iter()
                .find(|(_, stream)| stream.remote == remote)
                .map(|(&id, _)| id)
        };
        let id = match known.or_else(to_remote) {
            Some(id) => id,
            None => {
                let room = self.open.len() < STREAMS_MAX;
                let opened = room.then(|| TcpStream::connect(remote).ok()).flatten();
                match opened.map(|socket| self.add(socket, remote, false)) {
                    Some(Ok(id)) => id,
                    Some(Err(_)) | None => return Some(StreamEvent::Failed { remote }),
                }
            }
        };
        let stream = self.open.get_mut(&id).expect("found or opened above");
        stream.waiting_bytes += bytes.len();
        stream.waiting.push_back(bytes);
        if stream.waiting_bytes > WAITING_MAX || (stream.connected && stream.write().is_err()) {
            return Some(self.close(ConnId(id)));
        }
        None
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
                if stream.socket.take_error().ok().flatten().is_some()
                    || stream.socket.peer_addr().is_err()
                {
                    let remote = stream.remote;
                    self.close(conn);
                    out.push(StreamEvent::Failed { remote });
                    return;
                }
                stream.connected = true;
            }
            if stream.write().is_err() {
                out.push(self.close(conn));
                return;
            }
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(conn, out);
        }
    }

    fn read(&mut self, conn: ConnId, out: &mut Vec<StreamEvent>) {
        loop {
            let Some(stream) = self.open.get_mut(&conn.0) else {
                return;
            };
            let remote = stream.remote;
            match stream.socket.read(&mut self.buffer) {
                Ok(0) => return out.push(self.close(conn)),
                Ok(count) => {
                    let bytes = self.buffer[..count].to_vec();
                    out.push(StreamEvent::Bytes {
                        conn,
                        remote,
                        bytes,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return out.push(self.close(conn)),
            }
        }
    }

    /// Closes a connection.
    pub fn close(&mut self, conn: ConnId) -> StreamEvent {
        if let Some(mut stream) = self.open.remove(&conn.0) {
            drop(self.registry.deregister(&mut stream.socket));
        }
        StreamEvent::Closed { conn }
    }
}

impl Stream {
    /// Writes as much as the kernel takes.
    fn write(&mut self) -> io::Result<()> {
        while let Some(message) = self.waiting.front() {
            match self.socket.write(&message[self.written..]) {
                Ok(count) => {
                    self.written += count;
                    self.waiting_bytes -= count;
                    if self.written == message.len() {
                        self.waiting.pop_front();
                        self.written = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
