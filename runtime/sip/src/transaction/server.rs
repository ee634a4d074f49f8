//! The non-INVITE server transaction (RFC 3261 §17.2.2).

use std::sync::Arc;

use vocab::{Mono, Now};

use super::Timer;
use super::pending::{Pending, TRANSMIT};
use super::timer::{GIVE_UP, Timers};
use crate::Transport;

/// Answers any request but INVITE and ACK, and its retransmissions with the same bytes.
///
/// The endpoint answers nearly every such request within the input that brought it: then the final
/// response is there from the start. What the call control has to answer (UPDATE with an offer,
/// REFER) is `Trying` until then; no provisional response is sent (RFC 4320 §4.1).
///
/// | State | Input | Next | Outputs |
/// |---|---|---|---|
/// | Trying | request again | Trying | |
/// | Trying | answer | Completed | `Transmit` |
/// | Trying | timer J: its sender has given up (timer F) | Terminated | |
/// | Completed | request again | Completed | `Transmit` |
/// | Completed | timer J | Terminated | |
#[derive(Debug)]
pub struct Server {
    state: State,
    timers: Timers,
    out: Pending,
}

/// Terminated is to wait for nothing more: a third state would cost each transaction 8 bytes.
#[derive(Debug)]
enum State {
    Trying,
    Completed { last: Arc<[u8]> },
}

/// What the machine is fed.
#[derive(Clone, Debug)]
pub enum Input {
    /// The request came again.
    Request,
    /// The transaction user answers. Ignored after the first answer.
    Respond {
        /// What carries it.
        transport: Transport,
        /// The whole final response.
        bytes: Arc<[u8]>,
    },
    /// The deadline has come.
    Timeout,
}

/// What the machine asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send the response.
    Transmit(Arc<[u8]>),
}

impl Server {
    /// A transaction whose first output is the transmission of `response`, a final one.
    pub fn new(now: Now, transport: Transport, response: Arc<[u8]>) -> Self {
        let mut timers = Timers::default();
        let wait = Timer::J
            .first(transport)
            .expect("J runs over every transport");
        timers.arm(Timer::J, now.mono + wait);
        let mut out = Pending::default();
        out.add(TRANSMIT);
        Self {
            state: State::Completed { last: response },
            timers,
            out,
        }
    }

    /// A transaction whose request waits for an answer, no longer than its sender does: 64·T1.
    pub fn trying(now: Now) -> Self {
        let mut timers = Timers::default();
        timers.arm(Timer::J, now.mono + GIVE_UP);
        Self {
            state: State::Trying,
            timers,
            out: Pending::default(),
        }
    }

    /// No answer was given yet.
    pub fn is_trying(&self) -> bool {
        matches!(self.state, State::Trying)
    }

    /// Feeds one input. The caller drains [`Self::poll`] before the next call.
    pub fn handle(&mut self, now: Now, input: Input) {
        debug_assert!(self.out.is_empty());
        if self.is_over() {
            return;
        }
        match (&self.state, input) {
            (State::Trying, Input::Respond { transport, bytes }) => {
                *self = Self::new(now, transport, bytes);
            }
            (State::Completed { .. }, Input::Request) => self.out.add(TRANSMIT),
            (State::Trying | State::Completed { .. }, Input::Timeout) => {
                self.timers.take_due(now.mono);
            }
            (State::Trying, Input::Request) | (State::Completed { .. }, Input::Respond { .. }) => {}
        }
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        match (self.out.pop()?, &self.state) {
            (TRANSMIT, State::Completed { last }) => Some(Output::Transmit(last.clone())),
            (TRANSMIT, State::Trying) => None,
            (other, _) => unreachable!("no output has bit {other}"),
        }
    }

    /// When [`Input::Timeout`] is next due.
    pub fn deadline(&self) -> Option<Mono> {
        self.timers.deadline()
    }

    /// The transaction can be forgotten.
    pub fn is_over(&self) -> bool {
        self.timers.deadline().is_none()
    }
}
