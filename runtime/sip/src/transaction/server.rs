//! The non-INVITE server transaction (RFC 3261 §17.2.2).

use std::sync::Arc;

use vocab::{Mono, Now};

use super::Timer;
use super::pending::{Pending, TRANSMIT};
use super::timer::Timers;
use crate::Transport;

/// Answers any request but INVITE and ACK, and its retransmissions with the same bytes.
///
/// The endpoint answers every such request within the input that brought it, so `Proceeding` of
/// the RFC never occurs and the final response is there from the start.
///
/// | State | Input | Next | Outputs |
/// |---|---|---|---|
/// | Completed | request again | Completed | `Transmit` |
/// | Completed | timer J | Terminated | |
#[derive(Debug)]
pub struct Server {
    state: State,
    timers: Timers,
    out: Pending,
}

#[derive(Debug)]
enum State {
    Completed { last: Arc<[u8]> },
    Terminated,
}

/// What the machine is fed.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// The request came again.
    Request,
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

    /// Feeds one input. The caller drains [`Self::poll`] before the next call.
    pub fn handle(&mut self, now: Now, input: Input) {
        debug_assert!(self.out.is_empty());
        match (&self.state, input) {
            (State::Completed { .. }, Input::Request) => self.out.add(TRANSMIT),
            (State::Completed { .. }, Input::Timeout) => {
                if self.timers.take_due(now.mono) == Some(Timer::J) {
                    self.state = State::Terminated;
                }
            }
            (State::Terminated, Input::Request | Input::Timeout) => {}
        }
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        match (self.out.pop()?, &self.state) {
            (TRANSMIT, State::Completed { last }) => Some(Output::Transmit(last.clone())),
            (TRANSMIT, State::Terminated) => None,
            (other, _) => unreachable!("no output has bit {other}"),
        }
    }

    /// When [`Input::Timeout`] is next due.
    pub fn deadline(&self) -> Option<Mono> {
        self.timers.deadline()
    }

    /// The transaction can be forgotten.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}
