//! Requests within dialogs (RFC 3261 §12.2.2, §14.2, §15.1.2).

use vocab::Now;

use super::inbound::{pending, reason_of, trying};
use super::receive::Arrival;
use super::table::Slot;
use super::wire::{self, Reply};
use super::{Around, Endpoint, Inviter, around};
use crate::border::{DialogId, End, Event};
use crate::dialog::{Inbound, State};
use crate::message::{HeaderName, Headers, Method};
use crate::transaction::Server;

impl Endpoint {
    pub(super) fn on_request_within(&mut self, now: Now, arrival: Arrival) {
        let Some(id) = self.dialog_of(arrival.headers()) else {
            return self.refuse(&arrival, 481, None, &[]);
        };
        // Requests within dialogs are what ends them, so they have room beyond the limit.
        if self.transactions() >= self.limits.transactions + self.limits.transactions / 4 {
            return self.overload(&arrival);
        }
        let Ok(cseq) = arrival.headers().cseq() else {
            return;
        };
        let dialog = self.dialogs.get_mut(&id).expect("what has a name exists");
        if dialog.note_cseq(cseq.number).is_err() {
            return self.refuse(&arrival, 500, Some("CSeq Out Of Order"), &[]);
        }
        if let (Some(_), hop) = (arrival.seen.conn, &mut dialog.hop)
            && hop.transport == arrival.seen.transport
        {
            hop.conn = arrival.seen.conn;
        }
        match arrival.request.method {
            Method::Invite => self.on_reinvite(now, id, arrival),
            Method::Bye => self.on_bye(now, id, &arrival),
            Method::Info => self.on_info(now, id, &arrival),
            Method::Options => self.on_options(&arrival),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Prack
            | Method::Update
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => unreachable!("these never get here"),
        }
    }

    /// The dialog a request names with its `Call-ID` and tags (§12).
    pub(super) fn dialog_of(&self, headers: &Headers) -> Option<DialogId> {
        let local = wire::tag_of(headers.first(&HeaderName::To)?)?;
        // A peer of RFC 2543 may have no tag (§12.2.2).
        let remote = wire::tag_of(headers.first(&HeaderName::From)?).unwrap_or_default();
        let id = *self
            .names
            .get(&self.name(headers.first(&HeaderName::CallId)?, local))?;
        let dialog = self.dialogs.get(&id).expect("what has a name exists");
        let known = match &dialog.state {
            State::Calling(calling) => calling.early.iter().any(|tag| **tag == *remote),
            State::Ringing(_) | State::Up(_) | State::Leaving(..) | State::Ending => {
                *dialog.remote_tag == *remote
            }
        };
        known.then_some(id)
    }

    fn on_reinvite(&mut self, now: Now, id: DialogId, arrival: Arrival) {
        match self.dialogs[&id].state {
            State::Up(Inbound::Idle) => {}
            // Ours is under way, and so are they (§14.2).
            State::Calling(_) => return self.refuse(&arrival, 491, None, &[]),
            State::Ringing(_) | State::Up(Inbound::Pending(_) | Inbound::Accepted(_)) => {
                let wait = self.rng.below(11).to_string();
                return self.refuse(&arrival, 500, None, &[("Retry-After", &wait)]);
            }
            State::Leaving(..) | State::Ending => return self.refuse(&arrival, 481, None, &[]),
        }
        let Ok(session) = self.session_asked(&arrival) else {
            return;
        };
        let head = wire::head(&arrival.request, &arrival.via, "");
        let trying = trying(&head, arrival.headers());
        let Some(pending) = pending(&arrival, head, session) else {
            return;
        };
        self.add_invite(
            now,
            &arrival,
            Inviter {
                dialog: id,
                merge: None,
            },
            trying,
        );
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        dialog.refresh_target(arrival.headers(), arrival.seen, arrival.natted);
        dialog.state = State::Up(Inbound::Pending(pending));
        self.rearm(id);
        let body = arrival.request.body.to_vec();
        self.event(Event::Reoffer { dialog: id, body });
    }

    fn on_bye(&mut self, now: Now, id: DialogId, arrival: &Arrival) {
        let reason = reason_of(arrival.headers());
        match self.dialogs[&id].state {
            // The callee cannot end what it has not accepted (§15).
            State::Calling(_) => return self.refuse(arrival, 481, None, &[]),
            State::Ringing(_) => {
                self.answer(now, arrival, 200);
                self.respond(now, id, 487, &[], b"");
                return self.event(Event::Cancelled { dialog: id, reason });
            }
            State::Up(_) => {
                self.answer(now, arrival, 200);
                self.refuse_pending(now, id);
                self.event(Event::Ended {
                    dialog: id,
                    why: End::Theirs,
                    reason,
                });
            }
            // Both said good-bye at once; the call control was told when we did.
            State::Leaving(..) | State::Ending => self.answer(now, arrival, 200),
        }
        self.remove_dialog(id);
    }

    fn on_info(&mut self, now: Now, id: DialogId, arrival: &Arrival) {
        match self.dialogs[&id].state {
            State::Leaving(..) | State::Ending => return self.refuse(arrival, 481, None, &[]),
            State::Calling(_) | State::Ringing(_) | State::Up(_) => {}
        }
        self.answer(now, arrival, 200);
        let content_type = arrival.headers().content_type().ok().flatten();
        self.event(Event::Info {
            dialog: id,
            content_type: content_type.map(|own| own.essence).unwrap_or_default(),
            body: arrival.request.body.to_vec(),
        });
    }

    /// Answers a request in a dialog through a transaction, since it must not count twice.
    fn answer(&mut self, now: Now, arrival: &Arrival, status: u16) {
        let head = wire::head(&arrival.request, &arrival.via, "");
        let bytes = Reply::new(status, &head).write([], b"");
        self.add_server(now, arrival, bytes);
    }

    /// Begins a server transaction with its final answer.
    pub(super) fn add_server(&mut self, now: Now, arrival: &Arrival, bytes: std::sync::Arc<[u8]>) {
        let machine = Server::new(now, arrival.seen.transport, bytes);
        let slot = Slot {
            machine,
            hop: arrival.reply_hop(),
            owner: (),
        };
        self.servers
            .insert(&mut around!(self, now), arrival.key, slot);
    }
}
