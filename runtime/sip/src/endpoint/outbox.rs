//! Outputs that wait to be polled, and the open streams, which decide how bytes leave.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::{ConnId, Event, Hop, Output, Transport};

/// The queue behind [`Endpoint::poll`](crate::Endpoint::poll).
///
/// Bounded by what one input can cause: the caller drains it before the next.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    streams: BTreeMap<ConnId, (Transport, SocketAddr)>,
}

impl Outbox {
    /// Sends bytes. Over a stream that is still open they go to its other side; otherwise to
    /// `hop.remote` over any other (RFC 3261 §18.2.2).
    pub(crate) fn transmit(&mut self, hop: Hop, bytes: Arc<[u8]>) {
        let hop = self.resolve(hop);
        self.queue.push_back(Output::Transmit { hop, bytes });
    }

    /// The way bytes would take right now.
    pub(crate) fn resolve(&self, hop: Hop) -> Hop {
        match (hop.transport, hop.conn) {
            (Transport::Udp, _) => Hop { conn: None, ..hop },
            (_, None) => hop,
            (_, Some(conn)) => match self.streams.get(&conn) {
                Some(&(_, remote)) => Hop { remote, ..hop },
                None => Hop { conn: None, ..hop },
            },
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        self.streams.remove(&conn);
        self.queue.push_back(Output::CloseStream { conn });
    }

    pub(crate) fn stream_opened(&mut self, conn: ConnId, transport: Transport, remote: SocketAddr) {
        self.streams.insert(conn, (transport, remote));
    }

    /// What an open stream is.
    pub(crate) fn stream(&self, conn: ConnId) -> Option<Transport> {
        self.streams.get(&conn).map(|(transport, _)| *transport)
    }

    /// Open streams.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Forgets a stream and says what it was and where its other side was.
    pub(crate) fn stream_closed(&mut self, conn: ConnId) -> Option<(Transport, SocketAddr)> {
        self.streams.remove(&conn)
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
