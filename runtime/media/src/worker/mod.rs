//! The machine that owns many sessions: one runs on each media thread.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use vocab::{Mono, Now, RecordingId, Rng, SessionId};

use crate::{Channel, Command, Event};

mod packet;

pub use packet::Packet;

/// Settings of a [`Worker`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// A session that receives nothing for this long although media was agreed is reported with
    /// [`Event::Inactive`]. Default 30 s: longer than any silence suppression with comfort noise,
    /// short enough to free the lines of a phone that lost its network.
    pub inactive_after: Duration,
    /// Most sessions at once; an [`Command::Open`] beyond it is answered with [`Event::Closed`].
    /// Default 4,096, at 20 KB each.
    pub sessions_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { inactive_after: Duration::from_secs(30), sessions_max: 4_096 }
    }
}

/// What a [`Worker`] is fed.
#[derive(Debug)]
pub enum Input<'a> {
    /// The engine wants something.
    Command(Command),
    /// A datagram arrived on a session's socket.
    Packet {
        /// Whose socket.
        session: SessionId,
        /// Which of its two.
        channel: Channel,
        /// Who sent it.
        from: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// [`Worker::deadline`] has come.
    Tick,
}

/// What a [`Worker`] asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a datagram from a session's socket.
    Send {
        /// Whose socket.
        session: SessionId,
        /// Which of its two.
        channel: Channel,
        /// The receiver.
        to: SocketAddr,
        /// The datagram.
        packet: Packet,
    },
    /// Audio of a recording, in order.
    Recording {
        /// Which.
        recording: RecordingId,
        /// The next of it.
        what: RecordingOutput,
    },
    /// Tell the engine.
    Event(Event),
}

/// One step of a recording: a start, any number of chunks, an end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordingOutput {
    /// It begins.
    Start {
        /// 1 (a message) or 2 (a call: left is received, right is sent).
        channels: u16,
    },
    /// More audio at 8,000 frames a second, interleaved, up to 8,000 samples.
    Samples(Box<[i16]>),
    /// It is complete. Comes before the event that reports it.
    End,
}

/// What a [`Worker`] has done since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Sessions open now.
    pub sessions: usize,
    /// RTP packets received, whatever became of them.
    pub packets_in: u64,
    /// RTP packets handed out to be sent.
    pub packets_out: u64,
    /// RTP packets not used: malformed, of a wrong source or payload type, twice, or too late.
    pub dropped: u64,
    /// RTP packets handed out over 20 ms after they were due.
    pub late_packets: u64,
    /// Ticks done over 20 ms after they were due.
    pub late_ticks: u64,
    /// Ticks left out because the shell was too late to catch up.
    pub skipped_ticks: u64,
    /// Sessions closed because a step of theirs panicked: a bug each.
    pub failed: u64,
    /// Commands and packets for sessions that are not there, and commands that were refused.
    pub refused: u64,
}

/// Many media sessions under one 20 ms clock.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    rng: Rng,
    counts: Counts,
    out: VecDeque<Output>,
}

impl Worker {
    /// A worker without sessions.
    pub fn new(config: Config, rng: Rng) -> Self {
        Self { config, rng, counts: Counts::default(), out: VecDeque::new() }
    }

    /// Feeds one input. The caller drains [`Self::poll`] to `None` before the next call.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(self.out.is_empty(), "the caller drains poll before the next input");
        let _ = (now, input, &self.config, &self.rng);
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Tick`] is next due: every 20 ms while there is a session.
    pub fn deadline(&self) -> Option<Mono> {
        None
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
