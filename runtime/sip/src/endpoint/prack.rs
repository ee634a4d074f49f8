//! Reliable provisional responses (RFC 3262), ours and theirs.

use std::collections::VecDeque;
use std::sync::Arc;

use vocab::{Mono, Now};

use super::receive::Arrival;
use super::{Endpoint, Purpose, outbound};
use crate::border::{DialogId, End, Event, Hop};
use crate::dialog::{Calling, Dialog, Early, State};
use crate::limits::{FORKS_MAX, PROVISIONALS_HELD_MAX};
use crate::message::{HeaderName, Headers, Response};
use crate::transaction::Key;
use crate::transaction::timer::{GIVE_UP, T1};

/// The provisional responses of an INVITE of theirs that are sent reliably (§3).
pub(crate) struct Reliable {
    /// `RSeq` of the last.
    rseq: u32,
    unacked: Option<Unacked>,
    /// What waits until that is acknowledged: one is under way at a time, and a 2xx after all.
    held: VecDeque<Held>,
    /// Their offer was answered, and they know.
    pub(crate) answered: bool,
}

/// A provisional response without a PRACK.
struct Unacked {
    status: u16,
    bytes: Arc<[u8]>,
    sdp: bool,
    resend_at: Mono,
    pause: std::time::Duration,
    give_up_at: Mono,
}

struct Held {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What [`Reliable`] wants done.
pub(crate) enum Due {
    Resend(u16, Arc<[u8]>),
    GiveUp,
}

impl Reliable {
    pub(super) fn new(rng: &mut vocab::Rng) -> Self {
        Self {
            // Between 1 and 2^31 - 1, and the first is one more.
            rseq: u32::try_from(rng.below((1 << 31) - 2)).unwrap_or(0),
            unacked: None,
            held: VecDeque::new(),
            answered: false,
        }
    }

    /// `RSeq` for the next response, or `None` if it has to wait and is held. With too many held
    /// a provisional one is forgotten: the next says more.
    pub(super) fn next(
        &mut self,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Option<u32> {
        if self.unacked.is_some() {
            if status >= 200 || self.held.len() < PROVISIONALS_HELD_MAX {
                self.held.push_back(Held {
                    status,
                    headers: headers.to_vec(),
                    body: body.to_vec(),
                });
            }
            return None;
        }
        Some(self.rseq + 1)
    }

    /// The call was answered, and that is held: nothing may follow it.
    pub(super) fn is_answered(&self) -> bool {
        self.unacked.is_some() && self.held.iter().any(|held| held.status >= 200)
    }

    pub(super) fn sent(&mut self, now: Mono, status: u16, bytes: Arc<[u8]>, sdp: bool) {
        self.rseq += 1;
        self.unacked = Some(Unacked {
            status,
            bytes,
            sdp,
            resend_at: now + T1,
            pause: T1,
            give_up_at: now + GIVE_UP,
        });
    }

    pub(crate) fn deadline(&self) -> Option<Mono> {
        let unacked = self.unacked.as_ref()?;
        Some(unacked.resend_at.min(unacked.give_up_at))
    }

    pub(crate) fn due(&mut self, now: Mono) -> Option<Due> {
        let unacked = self.unacked.as_mut()?;
        if unacked.give_up_at <= now {
            self.unacked = None;
            return Some(Due::GiveUp);
        }
        if unacked.resend_at > now {
            return None;
        }
        // It doubles without the bound T2 (§3).
        unacked.pause *= 2;
        unacked.resend_at = now + unacked.pause;
        Some(Due::Resend(unacked.status, unacked.bytes.clone()))
    }

    /// Takes a PRACK for this `RSeq`.
    fn acknowledged(&mut self, rseq: u32) -> bool {
        let known = self.rseq == rseq && self.unacked.is_some();
        if known && let Some(unacked) = self.unacked.take() {
            self.answered |= unacked.sdp;
        }
        known
    }
}

/// `RAck`: the number of the response and that of its INVITE (§7.2).
fn rack(headers: &Headers) -> Option<(u32, u32)> {
    let mut words = headers
        .first(&HeaderName::RAck)?
        .split([' ', '\t'])
        .filter(|word| !word.is_empty());
    let rseq = words.next()?.parse().ok()?;
    let cseq = words.next()?.parse().ok()?;
    (words.next() == Some("INVITE") && words.next().is_none()).then_some((rseq, cseq))
}

/// `RSeq` of a response that wants a PRACK.
fn rseq(response: &Response) -> Option<u32> {
    let headers = &response.headers;
    let rseq = headers.first(&HeaderName::RSeq)?.trim().parse().ok()?;
    headers
        .lists(&HeaderName::Require, "100rel")
        .then_some(rseq)
}

impl Endpoint {
    /// How the provisional responses of an INVITE are sent: reliably if it insists, or if it can
    /// and we are told to.
    pub(super) fn reliable(&mut self, headers: &Headers) -> Option<Box<Reliable>> {
        let wanted = headers.lists(&HeaderName::Require, "100rel")
            || self.config.reliable_provisional && headers.lists(&HeaderName::Supported, "100rel");
        wanted.then(|| Box::new(Reliable::new(&mut self.rng)))
    }

    /// PRACK (§3). One with an offer is acknowledged but not accepted: the call control answers
    /// offers in UPDATE and INVITE alone (RFC 6337 §3.1.1 has its sender fall back).
    pub(super) fn on_prack(&mut self, now: Now, id: DialogId, arrival: &Arrival) {
        let dialog = self.dialogs.get_mut(&id).expect("what has a name exists");
        let known = match (&mut dialog.state, rack(arrival.headers())) {
            (State::Ringing(pending), Some((rseq, cseq))) if pending.cseq == cseq => {
                let reliable = pending.reliable.as_mut();
                reliable.is_some_and(|reliable| reliable.acknowledged(rseq))
            }
            (
                State::Calling(_)
                | State::Ringing(_)
                | State::Up(_)
                | State::Leaving(..)
                | State::Ending,
                _,
            ) => false,
        };
        if !known {
            return self.answer(now, arrival, 481);
        }
        let offers = !arrival.request.body.is_empty();
        self.answer(now, arrival, if offers { 488 } else { 200 });
        self.release(now, id);
    }

    /// Sends what had to wait for a PRACK.
    fn release(&mut self, now: Now, id: DialogId) {
        let held = match self.dialogs.get_mut(&id).map(|dialog| &mut dialog.state) {
            Some(State::Ringing(pending)) => pending
                .reliable
                .as_mut()
                .and_then(|reliable| reliable.held.pop_front()),
            Some(State::Calling(_) | State::Up(_) | State::Leaving(..) | State::Ending) | None => {
                None
            }
        };
        if let Some(held) = held {
            self.respond_invite(now, id, held.status, &held.headers, &held.body);
        }
        self.rearm(id);
    }

    /// A reliable provisional response was never acknowledged: the call is refused (§3).
    pub(super) fn unacknowledged(&mut self, now: Now, id: DialogId) {
        self.respond_invite(now, id, 504, &[], b"");
        let (why, reason) = (End::NoAck, None);
        self.event(Event::Ended {
            dialog: id,
            why,
            reason,
        });
    }

    /// Acknowledges a provisional response of theirs if it wants that (§4). False if it came again
    /// or before its turn, and is to be ignored.
    pub(super) fn acknowledge_early(
        &mut self,
        now: Now,
        id: DialogId,
        seen: Hop,
        response: &Response,
    ) -> bool {
        let Some(rseq) = rseq(response) else {
            return true;
        };
        let branch = self.token();
        let Some(State::Calling(calling)) = self.dialogs.get_mut(&id).map(|d| &mut d.state) else {
            return true;
        };
        let invite = calling.attempt.cseq;
        let Some(early) = early(calling, seen, response) else {
            return false;
        };
        if early.rseq.is_some_and(|last| rseq != last + 1) {
            return false;
        }
        early.rseq = Some(rseq);
        early.answered |= !response.body.is_empty();
        let cseq = early.dialog.next_cseq();
        let hop = early.dialog.hop;
        let rack = format!("{rseq} {invite} INVITE");
        let bytes = early
            .dialog
            .draft("PRACK", cseq, (self.config.own(hop), &branch))
            .write([("RAck", &*rack)]);
        let key: Key = self.client_key(&outbound::cookie(&branch), "PRACK");
        self.add_client(now, key, hop, bytes, Purpose::Farewell);
        true
    }
}

/// The early dialog of a response, made if it is new. `None` if it cannot be one.
fn early<'a>(
    calling: &'a mut Calling,
    seen: Hop,
    response: &Response,
) -> Option<&'a mut EarlyDialog> {
    let to = response.headers.first(&HeaderName::To)?;
    let tag = super::wire::tag_of(to)?;
    if calling.early.iter().all(|known| *known.tag != *tag) {
        if calling.early.len() == FORKS_MAX {
            return None;
        }
        calling.early.push(Early {
            tag: tag.into(),
            dialog: None,
        });
    }
    let early = calling.early.iter_mut().find(|known| *known.tag == *tag)?;
    if early.dialog.is_none() {
        let dialog = Dialog::accepted(&response.headers, seen).ok()?;
        early.dialog = Some(Box::new(EarlyDialog {
            dialog,
            rseq: None,
            answered: false,
        }));
    }
    early.dialog.as_deref_mut()
}

/// A dialog that a reliable provisional response made.
pub(crate) struct EarlyDialog {
    pub(crate) dialog: Dialog,
    /// Of the last response that was acknowledged.
    rseq: Option<u32>,
    /// One of them had the answer to our offer.
    pub(crate) answered: bool,
}
