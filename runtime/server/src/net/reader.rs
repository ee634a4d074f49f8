//! Reading sockets one after the other: all of them, or those of which `epoll` says that they hold
//! something.

use std::net::UdpSocket;

use super::batch::Receiver;
use super::epoll::Epoll;
use super::io::{DATAGRAM_BYTES, Datagram};

/// Datagrams taken from one socket at a time; two arrive in 20 ms, more after a network hiccup.
const DATAGRAMS: usize = 16;

/// Calls that empty a socket: its buffer holds a few hundred datagrams.
const EMPTYING_CALLS: usize = 64;

/// Reads sockets, one after the other.
#[derive(Debug)]
pub(super) struct Reader {
    receiver: Receiver,
    /// Sockets to be read, and how many of them are done.
    turn: Vec<usize>,
    done: usize,
    /// Datagrams that the receiver holds, and how many of them are handed out.
    held: usize,
    given: usize,
    /// Calls left for the socket whose turn it is, of how many.
    calls: usize,
    calls_max: usize,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            receiver: Receiver::new(DATAGRAMS, DATAGRAM_BYTES),
            turn: Vec::new(),
            done: 0,
            held: 0,
            given: 0,
            calls: 1,
            calls_max: 1,
        }
    }

    /// Begins a turn in which each of these is read so many times at most.
    pub(super) fn begin(&mut self, calls_max: usize, sockets: impl Iterator<Item = usize>) {
        self.turn.clear();
        self.turn.extend(sockets);
        (self.done, self.held, self.given) = (0, 0, 0);
        self.calls_max = calls_max.max(1);
        self.calls = self.calls_max;
    }

    /// The next datagram of this turn. `epoll` is told of sockets that may hold more.
    pub(super) fn take_next(
        &mut self,
        sockets: &[UdpSocket],
        mut epoll: Option<&mut Epoll>,
    ) -> Option<Datagram<'_>> {
        loop {
            let socket = *self.turn.get(self.done)?;
            if self.given < self.held {
                let at = self.given;
                self.given += 1;
                let Some(from) = self.receiver.from(at) else {
                    continue;
                };
                return Some(Datagram {
                    socket,
                    from,
                    bytes: self.receiver.bytes(at),
                });
            }
            let more = self.calls == self.calls_max || self.receiver.was_full();
            if more && self.calls > 0 {
                self.calls -= 1;
                let received = self.receiver.receive(&sockets[socket]);
                // An ICMP error of an earlier datagram is no reason to stop. It says nothing of what
                // waits behind it.
                if let (Err(_), Some(epoll)) = (&received, &mut epoll) {
                    epoll.again(socket);
                }
                self.held = received.unwrap_or(0);
                self.given = 0;
                continue;
            }
            if let (true, Some(epoll)) = (more, &mut epoll) {
                epoll.again(socket);
            }
            self.done += 1;
            self.calls = self.calls_max;
        }
    }

    /// Throws away what waits in a socket.
    pub(super) fn empty(&mut self, socket: &UdpSocket) {
        (self.held, self.given) = (0, 0);
        for _ in 0..EMPTYING_CALLS {
            match self.receiver.receive(socket) {
                Ok(count) if count > 0 => {}
                Ok(_) | Err(_) => break,
            }
        }
    }
}
