//! Browsers whose network lets no datagrams through come by TCP (RFC 6544): each datagram is a frame behind
//! its length (RFC 4571 §2).

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use vocab::Mono;

use super::limits::{
    FRAME_BYTES_MAX, FRAMES_WAITING_BYTES, GATE_PATIENCE, GATE_QUIET, GATE_STREAMS_MAX,
    GATE_STREAMS_OF_SOURCE_MAX, READ_BYTES,
};

/// Connections told of at once; more take another turn.
const EVENTS: usize = 256;

/// Listeners of one thread and what came in by them.
#[derive(Debug)]
pub struct Gates {
    poll: Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    streams: BTreeMap<usize, Stream>,
    /// Whose connection comes from there, to that listener.
    places: BTreeMap<(usize, SocketAddr), usize>,
    /// How many each source has.
    sources: BTreeMap<IpAddr, usize>,
    /// Those that held more than was read.
    again: Vec<usize>,
    last: usize,
    /// When connections are looked at for those that have fallen silent.
    look: Mono,
    buffer: Box<[u8; READ_BYTES]>,
}

#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    gate: usize,
    far: SocketAddr,
    /// What came of a frame that is not whole yet.
    read: Vec<u8>,
    /// What the kernel did not take yet, from the middle of a frame on.
    write: Vec<u8>,
    opened: Mono,
    heard: Mono,
    /// Something of it was of use.
    known: bool,
}

impl Gates {
    /// Listens by these, counted from 0.
    ///
    /// # Errors
    /// When the system cannot watch them.
    pub fn new(mut listeners: Vec<TcpListener>) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (number, listener) in listeners.iter_mut().enumerate() {
            let registry = poll.registry();
            registry.register(listener, Token(number), Interest::READABLE)?;
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            last: listeners.len(),
            listeners,
            streams: BTreeMap::new(),
            places: BTreeMap::new(),
            sources: BTreeMap::new(),
            again: Vec::new(),
            look: Mono(0),
            buffer: Box::new([0; READ_BYTES]),
        })
    }

    /// Takes what has come. `take` is given the listener, who sent it and the datagram, and says whether it
    /// was of use: who sends nothing that is, is cut.
    pub fn sweep(&mut self, now: Mono, mut take: impl FnMut(usize, SocketAddr, &[u8]) -> bool) {
        let mut ready = std::mem::take(&mut self.again);
        if self
            .poll
            .poll(&mut self.events, Some(Duration::ZERO))
            .is_ok()
        {
            ready.extend(self.events.iter().map(|event| event.token().0));
        }
        ready.sort_unstable();
        ready.dedup();
        for number in ready {
            if number < self.listeners.len() {
                self.accept(now, number);
            } else if self.serve(now, number, &mut take).is_none() {
                self.cut(number);
            }
        }
        if now >= self.look {
            self.look = now + Duration::from_secs(1);
            let silent = |stream: &Stream| {
                let patience = if stream.known {
                    GATE_QUIET
                } else {
                    GATE_PATIENCE
                };
                let since = if stream.known {
                    stream.heard
                } else {
                    stream.opened
                };
                now.since(since) >= patience
            };
            let silent = self.streams.iter().filter(|(_, stream)| silent(stream));
            let silent: Vec<usize> = silent.map(|(number, _)| *number).collect();
            silent.into_iter().for_each(|number| self.cut(number));
        }
    }

    /// Sends a datagram to who came from there; what does not fit its connection is dropped, as a full
    /// network would: audio that waits is of no use.
    pub fn send(&mut self, gate: usize, far: SocketAddr, datagram: &[u8]) {
        let Some(&number) = self.places.get(&(gate, far)) else {
            return;
        };
        let Ok(length) = u16::try_from(datagram.len()) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        if stream.write.len() + 2 + datagram.len() > FRAMES_WAITING_BYTES {
            return;
        }
        stream.write.extend(length.to_be_bytes());
        stream.write.extend(datagram);
        if stream.flush().is_err() {
            self.cut(number);
        }
    }

    fn accept(&mut self, now: Mono, gate: usize) {
        loop {
            let (mut socket, far) = match self.listeners[gate].accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // It may go on, such as when there are files again.
                    tracing::debug!(%error, "a browser's connection cannot be taken");
                    self.again.push(gate);
                    return;
                }
            };
            let of_source = self.sources.get(&far.ip()).copied().unwrap_or(0);
            if self.streams.len() >= GATE_STREAMS_MAX || of_source >= GATE_STREAMS_OF_SOURCE_MAX {
                continue;
            }
            drop(socket.set_nodelay(true));
            self.last += 1;
            let (number, interest) = (self.last, Interest::READABLE | Interest::WRITABLE);
            let registry = self.poll.registry();
            if registry
                .register(&mut socket, Token(number), interest)
                .is_err()
            {
                continue;
            }
            *self.sources.entry(far.ip()).or_default() += 1;
            self.places.insert((gate, far), number);
            let stream = Stream {
                socket,
                gate,
                far,
                read: Vec::new(),
                write: Vec::new(),
                opened: now,
                heard: now,
                known: false,
            };
            self.streams.insert(number, stream);
        }
    }

    /// Reads and writes what can be; `None` when it is over.
    fn serve(
        &mut self,
        now: Mono,
        number: usize,
        take: &mut impl FnMut(usize, SocketAddr, &[u8]) -> bool,
    ) -> Option<()> {
        // It may have been cut by what came before.
        let stream = self.streams.get_mut(&number)?;
        stream.flush().ok()?;
        let count = match stream.socket.read(&mut self.buffer[..]) {
            Ok(0) => return None,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(()),
            Err(_) => return None,
        };
        // The kernel tells of it again only when more comes.
        self.again.push(number);
        stream.heard = now;
        stream.read.extend(&self.buffer[..count]);
        let mut frames = stream.read.as_slice();
        while let Some((length, rest)) = frames.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length > FRAME_BYTES_MAX {
                return None;
            }
            let Some((datagram, rest)) = rest.split_at_checked(length) else {
                break;
            };
            stream.known |= take(stream.gate, stream.far, datagram);
            frames = rest;
        }
        let left = frames.len();
        stream.read.drain(..stream.read.len() - left);
        Some(())
    }

    fn cut(&mut self, number: usize) {
        let Some(mut stream) = self.streams.remove(&number) else {
            return;
        };
        drop(self.poll.registry().deregister(&mut stream.socket));
        let place = (stream.gate, stream.far);
        if self.places.get(&place) == Some(&number) {
            self.places.remove(&place);
        }
        if let Some(count) = self.sources.get_mut(&stream.far.ip()) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&stream.far.ip());
            }
        }
    }
}

impl Stream {
    /// Hands the kernel as much as it takes.
    fn flush(&mut self) -> io::Result<()> {
        while !self.write.is_empty() {
            match self.socket.write(&self.write) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.write.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Peer;

    use super::*;
    use crate::net::bind;

    /// Looks until something is there.
    const TRIES: usize = 1_000;

    struct World {
        gates: Gates,
        at: SocketAddr,
        now: Mono,
        came: Vec<(SocketAddr, Vec<u8>)>,
    }

    impl World {
        fn new() -> Self {
            let listener = bind::tcp("127.0.0.1:0".parse().expect("an address")).expect("a port");
            let at = listener.local_addr().expect("its address");
            let gates = Gates::new(vec![listener]).expect("gates");
            Self {
                gates,
                at,
                now: Mono(0),
                came: Vec::new(),
            }
        }

        fn peer(&mut self) -> Peer {
            let before = self.gates.streams.len();
            let peer = Peer::connect(self.at).expect("a connection");
            self.until(|world| world.gates.streams.len() > before);
            peer
        }

        /// Whatever begins with `x` is of no use.
        fn sweep(&mut self) {
            let came = &mut self.came;
            self.gates.sweep(self.now, |gate, far, datagram| {
                assert_eq!(gate, 0);
                came.push((far, datagram.to_vec()));
                !datagram.starts_with(b"x")
            });
        }

        #[track_caller]
        fn until(&mut self, done: impl Fn(&Self) -> bool) {
            for _ in 0..TRIES {
                self.sweep();
                if done(self) {
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(1));
            }
            panic!("it has not come");
        }
    }

    fn frame(datagram: &[u8]) -> Vec<u8> {
        let length = u16::try_from(datagram.len()).expect("short");
        [&length.to_be_bytes()[..], datagram].concat()
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let mut world = World::new();
        let mut peer = world.peer();
        let all = [frame(b"one"), frame(b""), frame(&[7; 1_200]), frame(b"two")].concat();
        for piece in [&all[..1], &all[1..4], &all[4..600], &all[600..]] {
            peer.write_all(piece).expect("written");
            world.sweep();
        }
        world.until(|world| world.came.len() == 4);
        let far = peer.local_addr().expect("its address");
        let bytes: Vec<&[u8]> = world.came.iter().map(|(_, bytes)| &bytes[..]).collect();
        assert_eq!(bytes, [b"one", &b""[..], &[7; 1_200], b"two"]);
        assert!(world.came.iter().all(|(from, _)| *from == far));
        world.gates.send(0, far, b"back");
        let mut read = [0; 6];
        peer.read_exact(&mut read).expect("read");
        assert_eq!(&read, b"\0\x04back");
        // Nobody is there.
        world
            .gates
            .send(0, "127.0.0.1:9".parse().expect("an address"), b"x");
        drop(peer);
        world.until(|world| world.gates.streams.is_empty());
        assert!(world.gates.places.is_empty() && world.gates.sources.is_empty());
    }

    #[test]
    fn who_sends_nothing_of_use_or_too_much_is_cut() {
        let mut world = World::new();
        let mut peer = world.peer();
        peer.write_all(&frame(b"xyz")).expect("written");
        world.until(|world| world.came.len() == 1);
        world.now = Mono(0) + GATE_PATIENCE;
        world.sweep();
        assert_eq!(world.gates.streams.len(), 0);

        let mut known = world.peer();
        known.write_all(&frame(b"good")).expect("written");
        world.until(|world| world.came.len() == 2);
        world.now = world.now + GATE_PATIENCE;
        world.sweep();
        assert_eq!(world.gates.streams.len(), 1, "it was of use");
        world.now = world.now + GATE_QUIET;
        world.sweep();
        assert_eq!(world.gates.streams.len(), 0, "it has said nothing since");

        let mut greedy = world.peer();
        greedy.write_all(&[0xff; 4]).expect("written");
        world.until(|world| world.gates.streams.is_empty());
        assert_eq!(world.came.len(), 2);
    }

    #[test]
    fn one_source_has_so_many_and_one_that_does_not_read_loses_audio_alone() {
        let mut world = World::new();
        let peers: Vec<Peer> = (0..GATE_STREAMS_OF_SOURCE_MAX)
            .map(|_| world.peer())
            .collect();
        let mut more = Peer::connect(world.at).expect("a connection");
        more.set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a timeout");
        let mut closed = None;
        for _ in 0..TRIES {
            world.sweep();
            more.set_nonblocking(true).expect("it is a socket");
            closed = more.read(&mut [0; 1]).ok();
            if closed.is_some() {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        assert_eq!(closed, Some(0));
        assert_eq!(world.gates.streams.len(), GATE_STREAMS_OF_SOURCE_MAX);
        let far = peers[0].local_addr().expect("its address");
        for _ in 0..100_000 {
            world.gates.send(0, far, &[0; 1_000]);
        }
        assert_eq!(world.gates.streams.len(), GATE_STREAMS_OF_SOURCE_MAX);
        let waiting = world
            .gates
            .streams
            .values()
            .map(|stream| stream.write.len());
        assert!(waiting.sum::<usize>() <= FRAMES_WAITING_BYTES);
    }
}
