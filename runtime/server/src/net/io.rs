//! Many sockets of one thread: what came to them, and what is to be sent, in few system calls.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::epoll::Epoll;
use super::reader::Reader;
use super::uring::Uring;

/// Longest datagram: RTP over Ethernet fits 1,500 bytes. What is longer is dropped.
pub const DATAGRAM_BYTES: usize = 1_500;

/// How sockets are read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Way {
    /// The best of the others that the kernel allows: [`Self::Epoll`], as measured in decision 0015.
    #[default]
    Auto,
    /// A ring of requests shared with the kernel; where there can be none, [`Self::Epoll`].
    Uring,
    /// The kernel names the sockets that hold something; these are read one by one. Where it does
    /// not, [`Self::Sweep`].
    Epoll,
    /// All sockets are read one by one.
    Sweep,
}

/// Something that arrived.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// The socket, by its number.
    pub socket: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// What.
    pub bytes: &'a [u8],
}

/// The sockets of a thread, by number from 0, and how they are read and written.
#[derive(Debug)]
pub struct Io {
    /// First, so that a ring lets go of the sockets before they are closed.
    means: Means,
    sockets: Vec<UdpSocket>,
    reader: Reader,
    refused: Option<io::Error>,
}

/// What each way needs.
#[derive(Debug)]
enum Means {
    /// Those that are open.
    Sweep(BTreeSet<usize>),
    Epoll(Epoll),
    Uring(Box<Uring>),
}

impl Io {
    /// Takes sockets, all closed, to be used by the calling thread alone.
    ///
    /// A way that the kernel does not allow gives way to the next one, see [`Self::refused`].
    pub fn new(sockets: Vec<UdpSocket>, way: Way) -> Self {
        Self::with(sockets, way, Uring::new)
    }

    fn with(
        sockets: Vec<UdpSocket>,
        way: Way,
        ring: impl FnOnce(&[UdpSocket]) -> io::Result<Uring>,
    ) -> Self {
        let mut refused = None;
        let ring = match way {
            Way::Uring => ring(&sockets).map_err(|error| refused = Some(error)).ok(),
            Way::Auto | Way::Epoll | Way::Sweep => None,
        };
        let means = match (ring, way) {
            (Some(ring), _) => Means::Uring(Box::new(ring)),
            (None, Way::Sweep) => Means::Sweep(BTreeSet::new()),
            (None, Way::Auto | Way::Uring | Way::Epoll) => match Epoll::new() {
                Ok(epoll) => Means::Epoll(epoll),
                Err(error) => {
                    refused = Some(error);
                    Means::Sweep(BTreeSet::new())
                }
            },
        };
        Self {
            means,
            sockets,
            reader: Reader::new(),
            refused,
        }
    }

    /// Why the way that was asked for was not taken, if it was not.
    pub fn refused(&self) -> Option<&io::Error> {
        self.refused.as_ref()
    }

    /// The way that was taken, never [`Way::Auto`].
    pub fn way(&self) -> Way {
        match &self.means {
            Means::Sweep(_) => Way::Sweep,
            Means::Epoll(_) => Way::Epoll,
            Means::Uring(_) => Way::Uring,
        }
    }

    /// Throws away what waits in a socket, and reads it from now on.
    ///
    /// # Panics
    /// If there is no such socket.
    pub fn open(&mut self, number: usize) {
        let socket = &self.sockets[number];
        self.reader.empty(socket);
        match &mut self.means {
            Means::Sweep(open) => drop(open.insert(number)),
            Means::Epoll(epoll) => epoll.add(number, socket),
            Means::Uring(uring) => uring.open(number),
        }
    }

    /// Reads it no longer. It can still be sent from.
    ///
    /// # Panics
    /// If there is no such socket.
    pub fn close(&mut self, number: usize) {
        let socket = &self.sockets[number];
        match &mut self.means {
            Means::Sweep(open) => drop(open.remove(&number)),
            Means::Epoll(epoll) => epoll.remove(number, socket),
            Means::Uring(uring) => uring.close(number),
        }
    }

    /// Begins to take what has arrived, from each socket `batches` times some 16 datagrams at most (by
    /// a ring 256, as many as a socket holds). `rare`: also from those with odd numbers, if each look costs something.
    pub fn begin(&mut self, batches: usize, rare: bool) {
        match &mut self.means {
            Means::Sweep(open) => {
                let turn = open.iter().copied();
                let wanted = |number: &usize| rare || number.is_multiple_of(2);
                self.reader.begin(batches, turn.filter(wanted));
            }
            Means::Epoll(epoll) => {
                let ready = epoll.ready();
                self.reader.begin(batches, ready.into_iter());
            }
            Means::Uring(uring) => uring.begin(),
        }
    }

    /// The next that had arrived; those of one socket in order.
    pub fn take_next(&mut self) -> Option<Datagram<'_>> {
        match &mut self.means {
            Means::Sweep(_) => self.reader.take_next(&self.sockets, None),
            Means::Epoll(epoll) => self.reader.take_next(&self.sockets, Some(epoll)),
            Means::Uring(uring) => uring.take_next(),
        }
    }

    /// Sends something, at the latest with the next [`Self::flush`].
    ///
    /// What the kernel refuses (no buffer, no route) is dropped, as a full network would.
    ///
    /// # Panics
    /// If there is no such socket.
    pub fn send(&mut self, number: usize, to: SocketAddr, bytes: &[u8]) {
        let socket = &self.sockets[number];
        match &mut self.means {
            Means::Uring(uring) if bytes.len() <= DATAGRAM_BYTES => {
                return uring.send(number, to, bytes);
            }
            // Not before what was to be sent earlier.
            Means::Uring(uring) => uring.flush(),
            Means::Sweep(_) | Means::Epoll(_) => {}
        }
        drop(socket.send_to(bytes, to));
    }

    /// Hands the kernel what is still to be sent.
    pub fn flush(&mut self) {
        match &mut self.means {
            Means::Uring(uring) => uring.flush(),
            Means::Sweep(_) | Means::Epoll(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
