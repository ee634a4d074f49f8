//! TCP connections between phones and the node: bytes in order, in pieces that mean nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sip::ConnId;
use vocab::Mono;

use super::wire::Framing;

/// One connection. Both ends know it by the same number.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) phone: usize,
    /// The phone's end, as the node sees it.
    pub(super) remote: SocketAddr,
    /// What was last sent arrives then: bytes stay in order.
    pub(super) to_node: Mono,
    pub(super) to_phone: Mono,
    /// Where messages end, at the node's end of each direction.
    pub(super) framing_in: Framing,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: BTreeMap<ConnId, Stream>,
    last: u64,
}

impl Streams {
    pub(super) fn open(&mut self, phone: usize, remote: SocketAddr) -> ConnId {
        self.last += 1;
        let conn = ConnId(self.last);
        let stream = Stream {
            phone,
            remote,
            to_node: Mono::default(),
            to_phone: Mono::default(),
            framing_in: Framing::default(),
        };
        self.open.insert(conn, stream);
        conn
    }

    pub(super) fn stream(&mut self, conn: ConnId) -> Option<&mut Stream> {
        self.open.get_mut(&conn)
    }

    pub(super) fn close(&mut self, conn: ConnId) -> Option<Stream> {
        self.open.remove(&conn)
    }

    /// The stream a message of the node goes over.
    pub(super) fn of_node(&self, conn: Option<ConnId>, remote: SocketAddr) -> Option<ConnId> {
        conn.filter(|conn| self.open.contains_key(conn))
            .or_else(|| self.find(|stream| stream.remote == remote))
    }

    /// The stream a message of a phone goes over; a phone has one at a time.
    pub(super) fn of_phone(&self, phone: usize) -> Option<ConnId> {
        self.find(|stream| stream.phone == phone)
    }

    fn find(&self, good: impl Fn(&Stream) -> bool) -> Option<ConnId> {
        self.open
            .iter()
            .find(|(_, stream)| good(stream))
            .map(|(&conn, _)| conn)
    }
}
