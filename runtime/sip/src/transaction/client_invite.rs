//! The INVITE client transaction (RFC 3261 §17.1.1 with RFC 6026 §7.2).

use std::sync::Arc;

use vocab::{Mono, Now};

use super::pending::{BROKEN, DELIVER, Pending, TIMED_OUT, TRANSMIT};
use super::timer::{GIVE_UP, Timers};
use super::{Derived, Timer, derive};
use crate::border::{Hop, Transport};
use crate::limits::{ABANDONED_RESENDS_MAX, FORKS_MAX};

/// Sends an INVITE until something answers, acknowledges failures, and keeps the ACKs of 2xx for
/// their retransmissions.
///
/// | State | Input | Next | Outputs |
/// |---|---|---|---|
/// | Calling | timer A | Calling | `Transmit` |
/// | Calling | abandoned | Calling, timer A ends soon | |
/// | Calling | timer B | Terminated | `TimedOut` |
/// | Calling, Proceeding | 1xx | Proceeding | `Deliver` |
/// | Calling, Proceeding | 2xx | Accepted | `Deliver` |
/// | Calling, Proceeding | 300-699 | Completed | `Transmit` (ACK), `Deliver` |
/// | Calling, Proceeding | transport error | Terminated | `Broken` |
/// | Calling, Proceeding | cancelled | Proceeding | |
/// | Proceeding | timer B after that | Terminated | `TimedOut` |
/// | Completed | 300-699 | Completed | `Transmit` (ACK) |
/// | Completed | timer D, transport error | Terminated | |
/// | Accepted | 2xx of a known tag | Accepted | `Acknowledge` |
/// | Accepted | 2xx of a new tag | Accepted | `Deliver` |
/// | Accepted | timer M | Terminated | |
#[derive(Debug)]
pub struct ClientInvite {
    state: State,
    timers: Timers,
    transport: Transport,
    resends: u8,
    resends_max: u8,
    out: Pending,
}

#[derive(Debug)]
enum State {
    Calling { request: Arc<[u8]> },
    Proceeding { request: Arc<[u8]> },
    Completed { ack: Arc<[u8]> },
    Accepted { acks: Vec<Ack>, again: usize },
    Terminated,
}

/// The ACK of one fork's 2xx.
#[derive(Debug)]
struct Ack {
    tag: Box<str>,
    hop: Hop,
    bytes: Arc<[u8]>,
}

/// What the machine is fed.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A response that belongs to this transaction.
    Response {
        /// 100 to 699.
        status: u16,
        /// Its whole `To` value.
        to: &'a str,
        /// The tag of `to`; empty if it has none.
        tag: &'a str,
    },
    /// The transaction user acknowledged a 2xx; the same bytes go out for each retransmission.
    /// The first copy is the user's to send: it may take another way than the INVITE.
    Acknowledged {
        /// The 2xx's `To` tag.
        tag: &'a str,
        /// Where it went, and its copies go.
        hop: Hop,
        /// The whole ACK.
        ack: Arc<[u8]>,
    },
    /// CANCEL was sent, or the dialog is over: a final response is waited for no longer than 64·T1 (§9.1).
    Cancelled,
    /// Nobody waits for an answer any more, and CANCEL must not be sent before there is one (§9.1).
    Abandoned,
    /// The request could not be sent.
    TransportError,
    /// The deadline has come.
    Timeout,
}

/// What the machine asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this to where the INVITE went.
    Transmit(Arc<[u8]>),
    /// Send the ACK of a 2xx again, to where it went first.
    Acknowledge(Hop, Arc<[u8]>),
    /// Hand the response just fed to the transaction user.
    Deliver,
    /// Nothing answered.
    TimedOut,
    /// The INVITE could not be sent.
    Broken,
}

impl ClientInvite {
    /// A transaction whose first output is the transmission of `request`.
    pub fn new(now: Now, transport: Transport, request: Arc<[u8]>) -> Self {
        assert!(
            request.starts_with(b"INVITE "),
            "an INVITE transaction carries an INVITE"
        );
        let mut timers = Timers::default();
        if let Some(first) = Timer::A.first(transport) {
            timers.arm(Timer::A, now.mono + first);
        }
        timers.arm(Timer::B, now.mono + GIVE_UP);
        let mut out = Pending::default();
        out.add(TRANSMIT);
        Self {
            state: State::Calling { request },
            timers,
            transport,
            resends: 0,
            resends_max: u8::MAX,
            out,
        }
    }

    /// Feeds one input. The caller drains [`Self::poll`] before the next call.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(self.out.is_empty());
        match (&mut self.state, input) {
            (
                State::Calling { request } | State::Proceeding { request },
                Input::Response { status, to, .. },
            ) => {
                let request = request.clone();
                self.respond(now, request, status, to);
            }
            (State::Completed { .. }, Input::Response { status: 300.., .. }) => {
                self.out.add(TRANSMIT);
            }
            (
                State::Accepted { acks, again },
                Input::Response {
                    status: 200..300,
                    tag,
                    ..
                },
            ) => match acks.iter().position(|ack| &*ack.tag == tag) {
                Some(known) => {
                    *again = known;
                    self.out.add(TRANSMIT);
                }
                None if acks.len() < FORKS_MAX => self.out.add(DELIVER),
                None => {}
            },
            (State::Accepted { acks, .. }, Input::Acknowledged { tag, hop, ack }) => {
                let known = acks.iter().any(|known| &*known.tag == tag);
                assert!(
                    !known && acks.len() < FORKS_MAX,
                    "each fork is delivered once"
                );
                acks.push(Ack {
                    tag: tag.into(),
                    hop,
                    bytes: ack,
                });
            }
            (State::Calling { request } | State::Proceeding { request }, Input::Cancelled) => {
                // A first 1xx would stop timer B, and the wait would have no end.
                self.state = State::Proceeding {
                    request: request.clone(),
                };
                self.timers.disarm(Timer::A);
                self.timers.arm(Timer::B, now.mono + GIVE_UP);
            }
            (State::Calling { .. }, Input::Abandoned) => {
                self.resends_max = ABANDONED_RESENDS_MAX;
                if self.resends >= self.resends_max {
                    self.timers.disarm(Timer::A);
                }
            }
            (State::Calling { .. } | State::Proceeding { .. }, Input::TransportError) => {
                self.end(BROKEN);
            }
            (State::Completed { .. }, Input::TransportError) => self.end(0),
            (
                State::Calling { .. }
                | State::Proceeding { .. }
                | State::Completed { .. }
                | State::Accepted { .. },
                Input::Timeout,
            ) => self.fire(now),
            // Late, early or crossed messages change nothing.
            (State::Completed { .. } | State::Accepted { .. }, Input::Response { .. })
            | (State::Accepted { .. }, Input::TransportError)
            | (State::Completed { .. } | State::Accepted { .. }, Input::Cancelled)
            | (
                State::Proceeding { .. } | State::Completed { .. } | State::Accepted { .. },
                Input::Abandoned,
            )
            | (
                State::Calling { .. } | State::Proceeding { .. } | State::Completed { .. },
                Input::Acknowledged { .. },
            )
            | (
                State::Terminated,
                Input::Response { .. }
                | Input::Acknowledged { .. }
                | Input::Cancelled
                | Input::Abandoned
                | Input::TransportError
                | Input::Timeout,
            ) => {}
        }
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        match self.out.pop()? {
            TRANSMIT => match &self.state {
                State::Calling { request } | State::Proceeding { request } => {
                    Some(Output::Transmit(request.clone()))
                }
                State::Completed { ack } => Some(Output::Transmit(ack.clone())),
                State::Accepted { acks, again } => {
                    let ack = &acks[*again];
                    Some(Output::Acknowledge(ack.hop, ack.bytes.clone()))
                }
                State::Terminated => None,
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

    /// The INVITE, while it has no final response.
    pub fn request(&self) -> Option<&Arc<[u8]>> {
        match &self.state {
            State::Calling { request } | State::Proceeding { request } => Some(request),
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }

    /// A provisional response came, so CANCEL may be sent (§9.1).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    fn respond(&mut self, now: Now, request: Arc<[u8]>, status: u16, to: &str) {
        self.timers.disarm(Timer::A);
        match status {
            100..200 => {
                // Timer B may be running again because of a CANCEL; only a first 1xx stops it.
                if matches!(self.state, State::Calling { .. }) {
                    self.timers.disarm(Timer::B);
                }
                self.state = State::Proceeding { request };
                self.out.add(DELIVER);
            }
            200..300 => {
                self.timers.disarm(Timer::B);
                self.timers.arm(Timer::M, now.mono + GIVE_UP);
                self.state = State::Accepted {
                    acks: Vec::new(),
                    again: 0,
                };
                self.out.add(DELIVER);
            }
            300.. => {
                self.timers.disarm(Timer::B);
                let wait = Timer::D
                    .first(self.transport)
                    .expect("D runs over every transport");
                self.timers.arm(Timer::D, now.mono + wait);
                self.state = State::Completed {
                    ack: derive(&request, Derived::Ack { to }),
                };
                self.out.add(TRANSMIT | DELIVER);
            }
            0..100 => debug_assert!(false, "the parser refuses a status below 100"),
        }
    }

    fn fire(&mut self, now: Now) {
        let Some(timer) = self.timers.take_due(now.mono) else {
            return;
        };
        match timer {
            Timer::A => {
                self.resends = self.resends.saturating_add(1);
                if self.resends < self.resends_max {
                    let pause = Timer::A.pause(self.resends);
                    self.timers.arm(Timer::A, now.mono + pause);
                }
                self.out.add(TRANSMIT);
            }
            Timer::B => self.end(TIMED_OUT),
            Timer::D | Timer::M => self.end(0),
            Timer::E
            | Timer::F
            | Timer::G
            | Timer::H
            | Timer::I
            | Timer::J
            | Timer::K
            | Timer::L => unreachable!("an INVITE client arms A, B, D and M"),
        }
    }

    fn end(&mut self, last: u8) {
        self.state = State::Terminated;
        self.timers.clear();
        self.out.add(last);
    }
}
