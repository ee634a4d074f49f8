//! The non-INVITE client transaction (RFC 3261 §17.1.2).

use std::sync::Arc;

use vocab::{Mono, Now};

use super::Timer;
use super::pending::{BROKEN, DELIVER, Pending, TIMED_OUT, TRANSMIT};
use super::timer::{GIVE_UP, T2, Timers};
use crate::Transport;

/// Sends any request but INVITE and ACK until it is answered.
///
/// | State | Input | Next | Outputs |
/// |---|---|---|---|
/// | Trying, Proceeding | timer E | the same | `Transmit` |
/// | Trying, Proceeding | timer F | Terminated | `TimedOut` |
/// | Trying, Proceeding | 1xx | Proceeding | `Deliver` |
/// | Trying, Proceeding | 200-699 | Completed | `Deliver` |
/// | Trying, Proceeding | transport error | Terminated | `Broken` |
/// | Completed | timer K, transport error | Terminated | |
#[derive(Debug)]
pub struct Client {
    state: State,
    timers: Timers,
    transport: Transport,
    resends: u8,
    out: Pending,
}

#[derive(Debug)]
enum State {
    Trying { request: Arc<[u8]> },
    Proceeding { request: Arc<[u8]> },
    Completed,
    Terminated,
}

/// What the machine is fed.
#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// A response that belongs to this transaction.
    Response {
        /// 100 to 699.
        status: u16,
    },
    /// The request could not be sent.
    TransportError,
    /// The deadline has come.
    Timeout,
}

/// What the machine asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send the request.
    Transmit(Arc<[u8]>),
    /// Hand the response just fed to the transaction user.
    Deliver,
    /// Nothing answered.
    TimedOut,
    /// The request could not be sent.
    Broken,
}

impl Client {
    /// A transaction whose first output is the transmission of `request`.
    pub fn new(now: Now, transport: Transport, request: Arc<[u8]>) -> Self {
        assert!(
            !request.starts_with(b"INVITE "),
            "INVITE has a machine of its own"
        );
        assert!(!request.starts_with(b"ACK "), "ACK is no transaction");
        let mut timers = Timers::default();
        if let Some(first) = Timer::E.first(transport) {
            timers.arm(Timer::E, now.mono + first);
        }
        timers.arm(Timer::F, now.mono + GIVE_UP);
        let mut out = Pending::default();
        out.add(TRANSMIT);
        Self {
            state: State::Trying { request },
            timers,
            transport,
            resends: 0,
            out,
        }
    }

    /// Feeds one input. The caller drains [`Self::poll`] before the next call.
    pub fn handle(&mut self, now: Now, input: Input) {
        debug_assert!(self.out.is_empty());
        match (&mut self.state, input) {
            (
                State::Trying { request } | State::Proceeding { request },
                Input::Response { status: ..200 },
            ) => {
                self.state = State::Proceeding {
                    request: request.clone(),
                };
                self.out.add(DELIVER);
            }
            (State::Trying { .. } | State::Proceeding { .. }, Input::Response { .. }) => {
                self.timers.clear();
                let wait = Timer::K
                    .first(self.transport)
                    .expect("K runs over every transport");
                self.timers.arm(Timer::K, now.mono + wait);
                self.state = State::Completed;
                self.out.add(DELIVER);
            }
            (State::Trying { .. } | State::Proceeding { .. }, Input::TransportError) => {
                self.end(BROKEN);
            }
            (State::Completed, Input::TransportError) => self.end(0),
            (
                State::Trying { .. } | State::Proceeding { .. } | State::Completed,
                Input::Timeout,
            ) => self.fire(now),
            (State::Completed, Input::Response { .. })
            | (
                State::Terminated,
                Input::Response { .. } | Input::TransportError | Input::Timeout,
            ) => {}
        }
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        match self.out.pop()? {
            TRANSMIT => match &self.state {
                State::Trying { request } | State::Proceeding { request } => {
                    Some(Output::Transmit(request.clone()))
                }
                State::Completed | State::Terminated => None,
            },
            DELIVER => Some(Output::Deliver),
            TIMED_OUT => Some(Output::TimedOut),
            BROKEN => Some(Output::Broken),
            other => unreachable!("no output has bit {other}"),
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

    fn fire(&mut self, now: Now) {
        let Some(timer) = self.timers.take_due(now.mono) else {
            return;
        };
        match timer {
            Timer::E => {
                self.resends = self.resends.saturating_add(1);
                // A provisional response slows the retransmissions down to T2 at once.
                let pause = match self.state {
                    State::Proceeding { .. } => T2,
                    State::Trying { .. } | State::Completed | State::Terminated => {
                        Timer::E.pause(self.resends)
                    }
                };
                self.timers.arm(Timer::E, now.mono + pause);
                self.out.add(TRANSMIT);
            }
            Timer::F => self.end(TIMED_OUT),
            Timer::K => self.end(0),
            Timer::A
            | Timer::B
            | Timer::D
            | Timer::G
            | Timer::H
            | Timer::I
            | Timer::J
            | Timer::L
            | Timer::M => unreachable!("a non-INVITE client arms E, F and K"),
        }
    }

    fn end(&mut self, last: u8) {
        self.state = State::Terminated;
        self.timers.clear();
        self.out.add(last);
    }
}
