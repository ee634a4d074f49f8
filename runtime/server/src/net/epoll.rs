//! Which sockets hold something, asked in one call for all of them.

use std::collections::BTreeSet;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

/// Sockets told of in one call; more take more calls.
const EVENTS: usize = 1_024;

/// A set of sockets of which the kernel keeps a list: those that something came to since they were
/// last told of.
#[derive(Debug)]
pub(super) struct Epoll {
    poll: Poll,
    events: Events,
    /// Sockets that held more than was read: the kernel tells of them only when more comes.
    again: Vec<usize>,
    /// Those that the kernel does not watch, for want of memory: they are read every time.
    unwatched: BTreeSet<usize>,
}

impl Epoll {
    /// # Errors
    /// When the system gives none.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            again: Vec::new(),
            unwatched: BTreeSet::new(),
        })
    }

    /// Watches a socket.
    pub(super) fn add(&mut self, number: usize, socket: &UdpSocket) {
        let registry = self.poll.registry();
        let fd = socket.as_raw_fd();
        match registry.register(&mut SourceFd(&fd), Token(number), Interest::READABLE) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                tracing::debug!(%error, "a socket of audio is not watched, but read every time");
                self.unwatched.insert(number);
            }
        }
    }

    /// Watches it no longer.
    pub(super) fn remove(&mut self, number: usize, socket: &UdpSocket) {
        let fd = socket.as_raw_fd();
        // It may never have been watched.
        drop(self.poll.registry().deregister(&mut SourceFd(&fd)));
        self.again.retain(|other| *other != number);
        self.unwatched.remove(&number);
    }

    /// It holds more than may be read now.
    pub(super) fn again(&mut self, number: usize) {
        self.again.push(number);
    }

    /// Those that hold something, each once.
    pub(super) fn ready(&mut self) -> Vec<usize> {
        let mut ready = std::mem::take(&mut self.again);
        ready.extend(&self.unwatched);
        loop {
            if self
                .poll
                .poll(&mut self.events, Some(Duration::ZERO))
                .is_err()
            {
                break;
            }
            ready.extend(self.events.iter().map(|event| event.token().0));
            if self.events.iter().count() < EVENTS {
                break;
            }
        }
        ready.sort_unstable();
        ready.dedup();
        ready
    }
}
