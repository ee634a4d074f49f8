//! Requests within dialogs (RFC 3261 §12.2.2, §14.2, §15.1.2).

use vocab::Now;

use super::inbound::{pending, reason_of, trying};
use super::receive::Arrival;
use super::session::Sdp;
use super::table::Slot;
use super::wire::{self, Reply};
use super::{Around, Endpoint, Inviter, around};
use crate::border::{DialogId, End, Event};
use crate::dialog::{Inbound, State};
use crate::message::{HeaderName, Headers, Method};
use crate::transaction::{Server, ServerInvite, server};

impl Endpoint {
    pub(super) fn on_request_within(&mut self, now: Now, arrival: Arrival) {
        let Some(id) = self.leg_of(arrival.headers()) else {
            return self.refuse(&arrival, 481, None, &[]);
        };
        // Requests within dialogs are what ends them, so they have room beyond the limit.
        if self.transactions() >= self.limits.transactions + self.limits.transactions / 4 {
            return self.overload(&arrival);
        }
        if !self.is_theirs(id, arrival.headers()) {
            let calling = matches!(self.dialogs[&id].state, State::Calling(_));
            if calling && arrival.request.method == Method::Invite {
                // It has overtaken the answer that makes its dialog: our INVITE is in progress
                // (§14.2). With 481 the far end would give the call up.
                return self.refuse_now(now, id, &arrival, 491, &[]);
            }
            return self.refuse(&arrival, 481, None, &[]);
        }
        let Ok(cseq) = arrival.headers().cseq() else {
            return;
        };
        let dialog = self.dialogs.get_mut(&id).expect("what has a name exists");
        if dialog.note_cseq(cseq.number).is_err() {
            // Kept, so that a copy that comes after the dialog's end is answered the same.
            let answer = (500, Some("CSeq Out Of Order"));
            return self.refuse_as(now, id, &arrival, answer, &[]);
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
            Method::Update => self.on_update(now, id, &arrival),
            Method::Prack => self.on_prack(now, id, &arrival),
            Method::Refer => self.on_refer(now, id, &arrival),
            Method::Notify => self.on_notify(now, id, &arrival),
            Method::Options => self.on_options(&arrival),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Message
            | Method::Publish
            | Method::Other(_) => unreachable!("these never get here"),
        }
    }

    /// The dialog a request names with its `Call-ID` and our tag.
    fn leg_of(&self, headers: &Headers) -> Option<DialogId> {
        let local = wire::tag_of(headers.first(&HeaderName::To)?)?;
        let name = self.name(headers.first(&HeaderName::CallId)?, local);
        self.names.get(&name).copied()
    }

    /// The dialog a request names with its `Call-ID` and tags (§12).
    pub(super) fn dialog_of(&self, headers: &Headers) -> Option<DialogId> {
        let id = self.leg_of(headers)?;
        self.is_theirs(id, headers).then_some(id)
    }

    /// Whether a request that names this dialog by our tag names it by theirs, too.
    fn is_theirs(&self, id: DialogId, headers: &Headers) -> bool {
        let Some(from) = headers.first(&HeaderName::From) else {
            return false;
        };
        // A peer of RFC 2543 may have no tag (§12.2.2).
        let remote = wire::tag_of(from).unwrap_or_default();
        let dialog = self.dialogs.get(&id).expect("what has a name exists");
        match &dialog.state {
            State::Calling(calling) => calling.early.iter().any(|early| *early.tag == *remote),
            State::Ringing(_) | State::Up(_) | State::Leaving(..) | State::Ending => {
                *dialog.remote_tag == *remote
            }
        }
    }

    fn on_reinvite(&mut self, now: Now, id: DialogId, arrival: Arrival) {
        if self.is_offering(id) {
            // Ours is under way, and so are they (§14.2).
            return self.refuse_now(now, id, &arrival, 491, &[]);
        }
        if self.update_waits(id) {
            return self.not_yet(now, id, &arrival);
        }
        match self.dialogs[&id].state {
            State::Up(Inbound::Idle) => {}
            State::Calling(_) => return self.refuse_now(now, id, &arrival, 491, &[]),
            State::Ringing(_) | State::Up(Inbound::Pending(_) | Inbound::Accepted(_)) => {
                return self.not_yet(now, id, &arrival);
            }
            State::Leaving(..) | State::Ending => {
                return self.refuse_now(now, id, &arrival, 481, &[]);
            }
        }
        let before = self.dialogs[&id].agreed();
        let Ok(session) = self.session_asked(Some((now, id)), &arrival, before) else {
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

    /// UPDATE (RFC 3311 §5.2). One without an offer only refreshes target and session, and is
    /// answered at once; the other is the call control's to answer.
    fn on_update(&mut self, now: Now, id: DialogId, arrival: &Arrival) {
        let offers = !arrival.request.body.is_empty();
        if offers && self.is_offering(id) {
            return self.refuse_now(now, id, arrival, 491, &[]);
        }
        if offers && self.update_waits(id) {
            return self.not_yet(now, id, arrival);
        }
        match self.dialogs[&id].state {
            State::Leaving(..) | State::Ending => {
                return self.refuse_now(now, id, arrival, 481, &[]);
            }
            // An offer that was answered reliably does not cross this one.
            State::Calling(_) | State::Ringing(_) if offers && self.answered_early(id, arrival) => {
            }
            // Our offer has no answer.
            State::Calling(_) if offers => return self.refuse_now(now, id, arrival, 491, &[]),
            // Nor has the one in our 2xx.
            State::Up(Inbound::Accepted(ref accepted)) if offers && accepted.offers => {
                return self.refuse_now(now, id, arrival, 491, &[]);
            }
            // Their offer has no answer, or they have not seen it yet.
            State::Ringing(_) | State::Up(Inbound::Pending(_) | Inbound::Accepted(_)) if offers => {
                return self.not_yet(now, id, arrival);
            }
            State::Calling(_) | State::Ringing(_) | State::Up(_) => {}
        }
        let before = self.dialogs[&id].agreed();
        let Ok(session) = self.session_asked(Some((now, id)), arrival, before) else {
            return;
        };
        let head = wire::head(&arrival.request, &arrival.via, "");
        let Some(pending) = pending(arrival, head, session) else {
            return;
        };
        let machine = Server::trying(now);
        let slot = Slot {
            machine,
            hop: arrival.reply_hop(),
            owner: (),
        };
        self.servers
            .insert(&mut around!(self, now), arrival.key, slot);
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        dialog.refresh_target(arrival.headers(), arrival.seen, arrival.natted);
        dialog.update = Some(Box::new(pending));
        if offers {
            let body = arrival.request.body.to_vec();
            self.event(Event::Reoffer { dialog: id, body });
        } else {
            self.respond_update(now, id, 200, &[], b"");
        }
    }

    /// The first offer was answered in a provisional response that was acknowledged.
    fn answered_early(&self, id: DialogId, arrival: &Arrival) -> bool {
        let from = arrival.headers().first(&HeaderName::From);
        let tag = from.and_then(wire::tag_of).unwrap_or_default();
        match &self.dialogs[&id].state {
            State::Calling(calling) => calling.early.iter().any(|early| {
                *early.tag == *tag && early.dialog.as_ref().is_some_and(|d| d.answered)
            }),
            State::Ringing(pending) => pending.reliable.as_ref().is_some_and(|r| r.answered),
            State::Up(_) | State::Leaving(..) | State::Ending => false,
        }
    }

    /// Answers their UPDATE. It has no ACK, so nothing waits after it.
    pub(super) fn respond_update(
        &mut self,
        now: Now,
        id: DialogId,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let Some(pending) = dialog.update.take() else {
            return;
        };
        let Some(slot) = self.servers.slot(pending.transaction) else {
            return;
        };
        let transport = slot.hop.transport;
        let own = self.config.own(slot.hop);
        let contact = wire::contact(transport, own);
        let mut all: Vec<(&str, &str)> = vec![("Server", &self.config.product)];
        let mut buffer = String::new();
        if status < 300 {
            all.extend([
                ("Contact", &*contact),
                ("Allow", wire::ALLOW),
                ("Supported", wire::SUPPORTED),
            ]);
            if let Some(agreed) = pending.session {
                let value = self.sessions.answered(agreed, &mut buffer);
                all.push(("Session-Expires", value));
                all.extend((!agreed.ours).then_some(("Require", "timer")));
            }
        }
        all.extend(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let bytes = Reply::new(status, &pending.head).write(all, body);
        if status < 300 {
            if matches!(dialog.state, State::Up(_)) {
                dialog.settle_session(now, pending.session);
            }
            if let Some(sdp) = Sdp::within(&bytes, body) {
                dialog.sdp = Some(sdp);
            }
        }
        let input = server::Input::Respond { transport, bytes };
        self.feed_server(now, pending.transaction, input);
        self.rearm(id);
    }

    /// A re-INVITE or UPDATE of ours with an offer is under way.
    fn is_offering(&self, id: DialogId) -> bool {
        let ours = self.dialogs[&id].ours.as_ref();
        ours.is_some_and(|ours| ours.is_offering())
    }

    /// Their UPDATE waits for the call control. Its transaction ends by itself, should that forget
    /// to answer.
    pub(super) fn update_waits(&self, id: DialogId) -> bool {
        let update = self.dialogs.get(&id).and_then(|d| d.update.as_ref());
        let slot = update.and_then(|update| self.servers.slot(update.transaction));
        slot.is_some_and(|slot| slot.machine.is_trying())
    }

    /// Their last offer has no answer yet (§14.2, RFC 3311 §5.2).
    pub(super) fn not_yet(&mut self, now: Now, id: DialogId, arrival: &Arrival) {
        let wait = self.rng.below(11).to_string();
        self.refuse_now(now, id, arrival, 500, &[("Retry-After", &wait)]);
    }

    /// Refuses a request for what its dialog is doing now. A copy that comes later would find the
    /// dialog idle and be accepted, so a transaction answers it (§17.2.1, §17.2.2).
    pub(super) fn refuse_now(
        &mut self,
        now: Now,
        id: DialogId,
        arrival: &Arrival,
        status: u16,
        headers: &[(&str, &str)],
    ) {
        self.refuse_as(now, id, arrival, (status, None), headers);
    }

    /// The same in other words than the usual.
    pub(super) fn refuse_as(
        &mut self,
        now: Now,
        id: DialogId,
        arrival: &Arrival,
        (status, reason): (u16, Option<&str>),
        headers: &[(&str, &str)],
    ) {
        let head = wire::head(&arrival.request, &arrival.via, "");
        let reply = Reply {
            reason,
            ..Reply::new(status, &head)
        };
        let bytes = reply.write(headers.iter().copied(), b"");
        if arrival.request.method != Method::Invite {
            return self.add_server(now, arrival, bytes);
        }
        let transport = arrival.seen.transport;
        let slot = Slot {
            machine: ServerInvite::refused(now, transport, status, bytes),
            hop: arrival.reply_hop(),
            owner: Inviter {
                dialog: id,
                merge: None,
            },
        };
        self.server_invites
            .insert(&mut around!(self, now), arrival.key, slot);
    }

    fn on_bye(&mut self, now: Now, id: DialogId, arrival: &Arrival) {
        let reason = reason_of(arrival.headers());
        match self.dialogs[&id].state {
            // The callee cannot end what it has not accepted (§15).
            State::Calling(_) => return self.refuse_now(now, id, arrival, 481, &[]),
            State::Ringing(_) => {
                self.answer(now, arrival, 200);
                self.respond_invite(now, id, 487, &[], b"");
                return self.event(Event::Cancelled { dialog: id, reason });
            }
            State::Up(_) => {
                self.answer(now, arrival, 200);
                self.refuse_pending(now, id);
                self.abandon_ours(now, id);
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
            State::Leaving(..) | State::Ending => {
                return self.refuse_now(now, id, arrival, 481, &[]);
            }
            State::Calling(_) | State::Ringing(_) | State::Up(_) => {}
        }
        if arrival.headers().first(&HeaderName::InfoPackage).is_some() {
            // We offer to receive no package (RFC 6086 §4.2.2).
            return self.refuse_now(now, id, arrival, 469, &[("Recv-Info", "nil")]);
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
    pub(super) fn answer(&mut self, now: Now, arrival: &Arrival, status: u16) {
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
