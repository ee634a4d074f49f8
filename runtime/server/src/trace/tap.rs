//! The control thread's side: copies of messages into a bounded queue.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use node::Notice;
use vocab::{CallId, Wall};

use super::Traces;
use super::limits::{PAUSE, QUEUE_BYTES_MAX, QUEUE_MAX, SWEEP};
use super::message::{Carrier, Way};

/// Our own addresses, as peers see them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Locals {
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
}

impl Locals {
    pub(super) fn of(self, carrier: Carrier) -> SocketAddr {
        match carrier {
            Carrier::Udp => self.udp,
            Carrier::Tcp | Carrier::Tls | Carrier::Ws | Carrier::Wss => self.tcp,
        }
    }
}

/// Something that passed.
#[derive(Debug)]
pub(super) enum Entry {
    /// A whole message.
    Message {
        at: Wall,
        way: Way,
        carrier: Carrier,
        remote: SocketAddr,
        bytes: Arc<[u8]>,
    },
    /// A stream is up that is not TCP.
    Opened { conn: sip::ConnId, carrier: Carrier },
    /// A piece of a stream.
    Piece {
        at: Wall,
        conn: sip::ConnId,
        remote: SocketAddr,
        bytes: Arc<[u8]>,
    },
    /// A stream is closed.
    Closed { conn: sip::ConnId },
    /// A dialog belongs to a call.
    Dialog {
        call: CallId,
        leg: u16,
        sip_call_id: Arc<str>,
    },
    /// A call is over.
    Ended { call: CallId },
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Message { bytes, .. } | Self::Piece { bytes, .. } => bytes.len(),
            Self::Opened { .. }
            | Self::Closed { .. }
            | Self::Dialog { .. }
            | Self::Ended { .. } => 0,
        }
    }
}

/// Between the control thread and the trace's.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Entry>,
    bytes: usize,
    /// The thread sleeps until it is woken.
    idle: bool,
    stopping: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a turn's entries in; gives the number of messages for which there was no room.
    fn put(&self, batch: &mut Vec<Entry>) -> u64 {
        let mut waiting = self.lock();
        let mut missed = 0;
        for entry in batch.drain(..) {
            let bytes = entry.bytes();
            let room = waiting.bytes + bytes <= QUEUE_BYTES_MAX || bytes == 0;
            if room && waiting.entries.len() < QUEUE_MAX {
                waiting.bytes += bytes;
                waiting.entries.push(entry);
            } else {
                missed += 1;
            }
        }
        let wake = waiting.idle;
        drop(waiting);
        if wake {
            self.news.notify_one();
        }
        missed
    }

    /// Waits for entries and takes them; tells whether these are the last. May take none, so that
    /// the thread looks for calls that are over.
    pub(super) fn take(&self) -> (Vec<Entry>, bool) {
        let mut waiting = self.lock();
        let sleep = |waiting, time| {
            let slept = self.news.wait_timeout(waiting, time);
            slept.unwrap_or_else(PoisonError::into_inner).0
        };
        if waiting.entries.is_empty() && !waiting.stopping {
            waiting.idle = true;
            waiting = sleep(waiting, SWEEP);
            waiting.idle = false;
        }
        // More come soon; nobody wakes it for them.
        if !waiting.stopping {
            waiting = sleep(waiting, PAUSE);
        }
        waiting.bytes = 0;
        (std::mem::take(&mut waiting.entries), waiting.stopping)
    }

    /// Ends the thread once it has taken what is there.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.news.notify_one();
    }
}

/// What the control thread tells of its messages. Nothing here waits.
#[derive(Debug)]
pub(crate) struct Tap {
    queue: Arc<Queue>,
    traces: Traces,
    on: bool,
    now: Wall,
    batch: Vec<Entry>,
}

impl Tap {
    pub(super) fn new(queue: Arc<Queue>, traces: Traces, on: bool) -> Self {
        Self {
            queue,
            traces,
            on,
            now: Wall(0),
            batch: Vec::new(),
        }
    }

    /// One that is not listened to.
    #[cfg(test)]
    pub(crate) fn closed() -> Self {
        Self::new(Arc::default(), Traces::default(), false)
    }

    /// The node is given this now.
    pub(crate) fn given(&mut self, now: Wall, input: &node::Input<'_>) {
        self.now = now;
        let node::Input::Sip(input) = input else {
            return;
        };
        let at = now;
        match input {
            // Keep-alives and what is no SIP at all.
            sip::Input::Datagram { bytes, .. }
                if !bytes.first().is_some_and(u8::is_ascii_alphabetic) => {}
            sip::Input::Datagram { remote, bytes } => self.push(|| Entry::Message {
                at,
                way: Way::In,
                carrier: Carrier::Udp,
                remote: *remote,
                bytes: (*bytes).into(),
            }),
            sip::Input::Stream {
                conn,
                remote,
                bytes,
            } => self.push(|| Entry::Piece {
                at,
                conn: *conn,
                remote: *remote,
                bytes: (*bytes).into(),
            }),
            sip::Input::StreamOpened {
                conn, transport, ..
            } => self.push(|| Entry::Opened {
                conn: *conn,
                carrier: Carrier::of(*transport),
            }),
            sip::Input::StreamClosed { conn } => self.push(|| Entry::Closed { conn: *conn }),
            sip::Input::StreamBroken { .. }
            | sip::Input::SendFailed { .. }
            | sip::Input::Action(_)
            | sip::Input::Timeout => {}
        }
    }

    /// The node has this sent.
    pub(crate) fn sent(&mut self, hop: &sip::Hop, bytes: &Arc<[u8]>) {
        let at = self.now;
        self.push(|| Entry::Message {
            at,
            way: Way::Out,
            carrier: Carrier::of(hop.transport),
            remote: hop.remote,
            bytes: Arc::clone(bytes),
        });
    }

    /// The node tells whose a dialog is, or that a call is over.
    pub(crate) fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Dialog {
                call,
                leg,
                sip_call_id,
            } => self.push(|| Entry::Dialog {
                call: *call,
                leg: *leg,
                sip_call_id: Arc::clone(sip_call_id),
            }),
            Notice::Ended { call, .. } => self.push(|| Entry::Ended { call: *call }),
            Notice::Started { .. }
            | Notice::Answered { .. }
            | Notice::TurnedAway { .. }
            | Notice::Fault { .. }
            | Notice::Denied { .. }
            | Notice::PluginLog { .. }
            | Notice::PluginLive { .. }
            | Notice::PluginRefused { .. }
            | Notice::PluginRolledBack { .. }
            | Notice::PluginFailing { .. }
            | Notice::PluginDrained { .. }
            | Notice::PluginFreed { .. }
            | Notice::Registered { .. }
            | Notice::Trunk { .. }
            | Notice::Heard { .. }
            | Notice::Talking { .. }
            | Notice::Speaker { .. }
            | Notice::Failover { .. }
            | Notice::Unregistered { .. }
            | Notice::Banned { .. }
            | Notice::AuthFailed { .. }
            | Notice::NotWritten { .. } => {}
        }
    }

    /// A turn is over: what it brought is handed over.
    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            let missed = self.queue.put(&mut self.batch);
            let counts = &self.traces.inner.counts;
            counts.missed.fetch_add(missed, Ordering::Relaxed);
        }
    }

    fn push(&mut self, entry: impl FnOnce() -> Entry) {
        if self.on {
            self.batch.push(entry());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_in_bytes_and_ends_of_calls_get_through() {
        let queue = Queue::default();
        let message = || Entry::Message {
            at: Wall(0),
            way: Way::In,
            carrier: Carrier::Udp,
            remote: "192.0.2.1:5060".parse().unwrap(),
            bytes: vec![b'x'; 1 << 20].into(),
        };
        let mut batch: Vec<_> = (0..10).map(|_| message()).collect();
        batch.push(Entry::Ended { call: CallId(1) });
        assert_eq!(queue.put(&mut batch), 2);
        assert!(batch.is_empty());
        queue.stop();
        let (entries, last) = queue.take();
        assert!(last && entries.len() == 9);
        assert!(matches!(entries.last(), Some(Entry::Ended { .. })));
        let mut many: Vec<_> = (0..=QUEUE_MAX)
            .map(|_| Entry::Ended { call: CallId(1) })
            .collect();
        assert_eq!(queue.put(&mut many), 1);
        assert_eq!(
            queue.put(&mut vec![message()]),
            1,
            "entries are bounded, too"
        );
    }
}
