//! The INVITE server transaction (RFC 3261 §17.2.1 with RFC 6026 §7.1).

use std::sync::Arc;

use vocab::{Mono, Now};

use super::Timer;
use super::pending::{Pending, TIMED_OUT, TRANSMIT};
use super::timer::{GIVE_UP, Timers};
use crate::Transport;

/// Answers an INVITE and its retransmissions, and repeats a refusal until it is acknowledged.
///
/// | State | Input | Next | Outputs |
/// |---|---|---|---|
/// | Proceeding | INVITE again | Proceeding | `Transmit` (last 1xx) |
/// | Proceeding | 1xx from the user | Proceeding | `Transmit` |
/// | Proceeding | 2xx from the user | Accepted | `Transmit` |
/// | Proceeding | 300-699 from the user | Completed | `Transmit` |
/// | Completed | INVITE again, timer G | Completed | `Transmit` |
/// | Completed | ACK | Confirmed | |
/// | Completed | timer H | Terminated | `TimedOut` |
/// | Confirmed | timer I | Terminated | |
/// | Accepted | INVITE again | Accepted | (absorbed: the user repeats the 2xx) |
/// | Accepted | timer L | Terminated | |
#[derive(Debug)]
pub struct ServerInvite {
    state: State,
    timers: Timers,
    transport: Transport,
    resends: u8,
    out: Pending,
}

#[derive(Debug)]
enum State {
    Proceeding {
        last: Arc<[u8]>,
    },
    Completed {
        last: Arc<[u8]>,
    },
    Confirmed,
    /// Holds the 2xx only until it is polled.
    Accepted {
        passing: Option<Arc<[u8]>>,
    },
    Terminated,
}

/// What the machine is fed.
#[derive(Clone, Debug)]
pub enum Input {
    /// The INVITE came again.
    Invite,
    /// An ACK that matches this transaction came.
    Ack,
    /// The transaction user answers. Ignored after a final answer.
    Respond {
        /// 100 to 699.
        status: u16,
        /// The whole response.
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
    /// A refusal was never acknowledged.
    TimedOut,
}

impl ServerInvite {
    /// A transaction whose first output is the transmission of `trying`, a 100.
    ///
    /// §17.2.1 allows to wait 200 ms with it. We do not: it costs the peer a retransmission less
    /// and us a timer less.
    pub fn new(transport: Transport, trying: Arc<[u8]>) -> Self {
        let mut out = Pending::default();
        out.add(TRANSMIT);
        Self {
            state: State::Proceeding { last: trying },
            timers: Timers::default(),
            transport,
            resends: 0,
            out,
        }
    }

    /// A transaction whose first output is the transmission of a refusal (300 to 699).
    pub fn refused(now: Now, transport: Transport, status: u16, bytes: Arc<[u8]>) -> Self {
        debug_assert!(status >= 300, "a refusal");
        let mut machine = Self {
            state: State::Proceeding {
                last: bytes.clone(),
            },
            timers: Timers::default(),
            transport,
            resends: 0,
            out: Pending::default(),
        };
        machine.respond(now, status, bytes);
        machine
    }

    /// Feeds one input. The caller drains [`Self::poll`] before the next call.
    pub fn handle(&mut self, now: Now, input: Input) {
        debug_assert!(self.out.is_empty());
        match (&mut self.state, input) {
            (State::Proceeding { .. } | State::Completed { .. }, Input::Invite) => {
                self.out.add(TRANSMIT);
            }
            (State::Proceeding { .. }, Input::Respond { status, bytes }) => {
                self.respond(now, status, bytes);
            }
            (State::Completed { .. }, Input::Ack) => {
                self.timers.clear();
                let wait = Timer::I
                    .first(self.transport)
                    .expect("I runs over every transport");
                self.timers.arm(Timer::I, now.mono + wait);
                self.state = State::Confirmed;
            }
            (
                State::Completed { .. } | State::Confirmed | State::Accepted { .. },
                Input::Timeout,
            ) => self.fire(now),
            (State::Proceeding { .. }, Input::Ack | Input::Timeout)
            | (State::Completed { .. }, Input::Respond { .. })
            | (
                State::Confirmed | State::Accepted { .. },
                Input::Invite | Input::Ack | Input::Respond { .. },
            )
            | (
                State::Terminated,
                Input::Invite | Input::Ack | Input::Respond { .. } | Input::Timeout,
            ) => {}
        }
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        match self.out.pop()? {
            TRANSMIT => match &mut self.state {
                State::Proceeding { last } | State::Completed { last } => {
                    Some(Output::Transmit(last.clone()))
                }
                State::Accepted { passing } => passing.take().map(Output::Transmit),
                State::Confirmed | State::Terminated => None,
            },
            TIMED_OUT => Some(Output::TimedOut),
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

    /// No final response was given yet.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    fn respond(&mut self, now: Now, status: u16, bytes: Arc<[u8]>) {
        self.out.add(TRANSMIT);
        match status {
            ..200 => self.state = State::Proceeding { last: bytes },
            200..300 => {
                self.timers.arm(Timer::L, now.mono + GIVE_UP);
                self.state = State::Accepted {
                    passing: Some(bytes),
                };
            }
            300.. => {
                if let Some(first) = Timer::G.first(self.transport) {
                    self.timers.arm(Timer::G, now.mono + first);
                }
                self.timers.arm(Timer::H, now.mono + GIVE_UP);
                self.state = State::Completed { last: bytes };
            }
        }
    }

    fn fire(&mut self, now: Now) {
        let Some(timer) = self.timers.take_due(now.mono) else {
            return;
        };
        match timer {
            Timer::G => {
                self.resends = self.resends.saturating_add(1);
                self.timers
                    .arm(Timer::G, now.mono + Timer::G.pause(self.resends));
                self.out.add(TRANSMIT);
            }
            Timer::H => self.end(TIMED_OUT),
            Timer::I | Timer::L => self.end(0),
            Timer::A
            | Timer::B
            | Timer::D
            | Timer::E
            | Timer::F
            | Timer::J
            | Timer::K
            | Timer::M => unreachable!("an INVITE server arms G, H, I and L"),
        }
    }

    fn end(&mut self, last: u8) {
        self.state = State::Terminated;
        self.timers.clear();
        self.out.add(last);
    }
}
