//! Calls that come in: INVITE, our answers, ACK and CANCEL (RFC 3261 §13.3, §9.2).

use std::borrow::Cow;
use std::sync::Arc;

use vocab::{Now, Wall};

use super::receive::Arrival;
use super::session::{Agreed, Sdp};
use super::table::{Slot, Verdict};
use super::wire::{self, Reply};
use super::{Around, Endpoint, Inviter, around};
use crate::auth::{Verdict as Proof, read_pass};
use crate::border::{DialogId, End, Event, Hop};
use crate::dialog::{Accepted, Chore, Dialog, Inbound, Pending, State};
use crate::guard::Source;
use crate::limits::PROVISIONAL_INTERVAL;
use crate::message::{HeaderName, Headers};
use crate::transaction::{Key, ServerInvite, server_invite};

/// `Reason` of the BYE that ends a session nobody refreshed; 408 as RFC 4028 §10 has it for a
/// refresh without an answer.
const EXPIRED: &str = "SIP;cause=408;text=\"Session expired\"";

/// The request was answered already.
pub(super) struct Answered;

impl Endpoint {
    /// An INVITE outside any dialog.
    pub(super) fn on_invite(&mut self, now: Now, arrival: Arrival) {
        let merge = self.merge_key(arrival.headers());
        if self.merges.contains(&merge) {
            // The same request came by another way as well (§8.2.2.2).
            return self.refuse(&arrival, 482, None, &[]);
        }
        if self.dialogs.len() >= self.limits.dialogs
            || self.transactions() >= self.limits.transactions
        {
            return self.overload(&arrival);
        }
        if arrival.headers().max_forwards() == Ok(Some(0)) {
            // Whoever answers may well call on, as a proxy would; a call that comes back to us
            // again and again ends here (§16.3).
            return self.refuse(&arrival, 483, None, &[]);
        }
        let Ok(session) = self.session_asked(None, &arrival, None) else {
            return;
        };
        let Ok(user) = self.authenticate(now, &arrival) else {
            return;
        };
        let replaces = match self.replaced(arrival.headers()) {
            Ok(replaces) => replaces,
            Err(status) => return self.refuse(&arrival, status, None, &[]),
        };
        let tag = self.token();
        let head = wire::head(&arrival.request, &arrival.via, &tag);
        let trying = trying(&head, arrival.headers());
        let Some(mut pending) = pending(&arrival, head, session) else {
            return;
        };
        pending.reliable = self.reliable(arrival.headers());
        let state = State::Ringing(pending);
        let (request, seen) = (&arrival.request, arrival.seen);
        let dialog = match Dialog::incoming(request, &tag, seen, arrival.natted, state) {
            Ok(dialog) => dialog,
            Err(error) => {
                self.tally.malformed += 1;
                return self.refuse(&arrival, 400, Some(&error.to_string()), &[]);
            }
        };
        let id = self.allocate();
        let inviter = Inviter {
            dialog: id,
            merge: Some(merge),
        };
        self.merges.insert(merge);
        self.add_invite(now, &arrival, inviter, trying);
        self.add_dialog(id, dialog);
        let request = Arc::new(arrival.request);
        self.event(Event::Incoming {
            dialog: id,
            request,
            hop: seen,
            user,
            replaces,
        });
    }

    /// Begins an INVITE server transaction and sends its 100.
    pub(super) fn add_invite(
        &mut self,
        now: Now,
        arrival: &Arrival,
        owner: Inviter,
        trying: Arc<[u8]>,
    ) {
        let machine = ServerInvite::new(arrival.seen.transport, trying);
        let slot = Slot {
            machine,
            hop: arrival.reply_hop(),
            owner,
        };
        self.server_invites
            .insert(&mut around!(self, now), arrival.key, slot);
    }

    /// What the call control answers: an UPDATE of theirs, or else their INVITE.
    pub(super) fn respond(
        &mut self,
        now: Now,
        id: DialogId,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) {
        if status >= 200 && self.update_waits(id) {
            let status = if status < 700 { status } else { 500 };
            return self.respond_update(now, id, status, headers, body);
        }
        self.respond_invite(now, id, status, headers, body);
    }

    /// Answers an INVITE or re-INVITE of theirs; nothing happens if none is pending.
    pub(super) fn respond_invite(
        &mut self,
        now: Now,
        id: DialogId,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) {
        // A status that is none of ours to give comes from a flow's mistake, not from a peer.
        let status = if (101..700).contains(&status) {
            status
        } else {
            500
        };
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let (State::Ringing(pending) | State::Up(Inbound::Pending(pending))) = &mut dialog.state
        else {
            return;
        };
        let mut rseq = None;
        if let (Some(reliable), ..300) = (&mut pending.reliable, status) {
            if reliable.is_answered() {
                return;
            }
            match reliable.next(status, headers, body) {
                Some(next) if status < 200 => rseq = Some(next.to_string()),
                Some(_) => {}
                None => return self.rearm(id),
            }
        }
        let (State::Ringing(pending) | State::Up(Inbound::Pending(pending))) = &dialog.state else {
            unreachable!("just seen")
        };
        let key = pending.transaction;
        let slot = self
            .server_invites
            .slot(key)
            .expect("what is pending has a transaction");
        let hop = slot.hop;
        let own = self.config.own(hop);
        let contact = wire::contact(hop.transport, own);
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(8 + headers.len());
        if status < 300 {
            if matches!(dialog.state, State::Ringing(_)) {
                all.extend(dialog.record_routes().map(|route| ("Record-Route", route)));
            }
            all.push(("Contact", &contact));
        }
        let mut buffer = String::new();
        if (200..300).contains(&status) {
            all.push(("Allow", wire::ALLOW));
            all.push(("Supported", wire::SUPPORTED));
            if let Some(agreed) = pending.session {
                let value = self.sessions.answered(agreed, &mut buffer);
                all.extend((!agreed.ours).then_some(("Require", "timer")));
                all.push(("Session-Expires", value));
            }
        }
        if status >= 200 {
            all.push(("Server", &self.config.product));
        }
        if let Some(rseq) = &rseq {
            all.extend([
                ("Require", "100rel"),
                ("RSeq", rseq),
                ("Allow", wire::ALLOW),
            ]);
        }
        all.extend(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let bytes = Reply::new(status, &pending.head).write(all, body);
        // Only who refreshes by re-INVITE needs its SDP again.
        if pending.session.is_some_and(|agreed| agreed.ours) && !dialog.updates {
            dialog.sdp = Sdp::within(&bytes, body).or(dialog.sdp.take());
        }
        let sdp = !body.is_empty();
        self.settle_answer(now, id, (key, hop), status, bytes, sdp);
    }

    /// Sends an answer through its transaction and moves the dialog on.
    fn settle_answer(
        &mut self,
        now: Now,
        id: DialogId,
        (key, hop): (Key, Hop),
        status: u16,
        bytes: Arc<[u8]>,
        sdp: bool,
    ) {
        self.answer_invite(now, key, status, bytes.clone());
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        match (&mut dialog.state, status) {
            (State::Ringing(pending) | State::Up(Inbound::Pending(pending)), ..200) => {
                if let Some(reliable) = &mut pending.reliable {
                    reliable.sent(now.mono, status, bytes.clone(), sdp);
                }
                pending.reminder = Some((now.mono + PROVISIONAL_INTERVAL, status, bytes));
            }
            (State::Ringing(pending) | State::Up(Inbound::Pending(pending)), 200..300) => {
                let agreed = pending.session;
                let accepted = Accepted::new(now.mono, hop, pending, bytes);
                dialog.settle_session(now, agreed);
                dialog.state = State::Up(Inbound::Accepted(accepted));
            }
            (State::Ringing(_), _) => {
                self.remove_dialog(id);
            }
            (State::Up(Inbound::Pending(_)), _) => dialog.state = State::Up(Inbound::Idle),
            (
                State::Calling(_)
                | State::Up(Inbound::Idle | Inbound::Accepted(_))
                | State::Leaving(..)
                | State::Ending,
                _,
            ) => unreachable!("only a pending INVITE is answered"),
        }
        self.rearm(id);
    }

    /// Feeds an answer to an INVITE's transaction.
    fn answer_invite(&mut self, now: Now, key: Key, status: u16, bytes: Arc<[u8]>) {
        let input = server_invite::Input::Respond { status, bytes };
        let fed = self.feed_server_invite(now, key, input);
        let sent = fed.is_some_and(|(Verdict { sent, .. }, _)| sent);
        assert!(sent, "an INVITE that is pending takes an answer");
    }

    /// Asks the sender of an INVITE for credentials and forgets the attempt.
    pub(super) fn challenge(&mut self, now: Now, id: DialogId) {
        if matches!(
            self.dialogs.get(&id).map(|d| &d.state),
            Some(State::Ringing(_))
        ) {
            let Some(source) = self.asker(id) else {
                return;
            };
            let challenges =
                self.verifier
                    .challenges_to(now.mono, &mut self.rng, false, &source.bytes());
            let named = |value| ("WWW-Authenticate".to_owned(), value);
            let headers: Vec<_> = challenges.into_iter().map(named).collect();
            self.respond_invite(now, id, 401, &headers, b"");
        }
    }

    /// Whose INVITE waits: its answers go to the address it came from (RFC 3581 §4).
    fn asker(&self, id: DialogId) -> Option<Source> {
        let State::Ringing(pending) = &self.dialogs.get(&id)?.state else {
            return None;
        };
        let slot = self.server_invites.slot(pending.transaction)?;
        Some(Source::of(slot.hop.remote.ip()))
    }

    /// Verifies the credentials of an INVITE, if it has any. Wrong ones are answered 401.
    fn authenticate(&mut self, now: Now, arrival: &Arrival) -> Result<Option<String>, Answered> {
        match self.prove(now, arrival) {
            Proof::Absent => Ok(None),
            Proof::Accepted { user } => Ok(Some(proven(user).0)),
            proof
            @ (Proof::Stale | Proof::Lapsed | Proof::Refused { .. } | Proof::Malformed(_)) => {
                self.reject(now, arrival, proof);
                Err(Answered)
            }
        }
    }

    pub(super) fn prove(&mut self, now: Now, arrival: &Arrival) -> Proof {
        let (accounts, passes) = (&self.config.accounts, &self.passes);
        let source = Source::of(arrival.seen.remote.ip()).bytes();
        let own = |user: &str| Some(accounts.get(user)?.password.reveal().as_str());
        let proof = self
            .verifier
            .verify_from(now.mono, &arrival.request, &source, |login| {
                let pass = || {
                    let (user, _) = read_pass(login)?;
                    Some(passes.as_ref()?.password(login, own(user)?))
                };
                own(login)
                    .map(Cow::Borrowed)
                    .or_else(|| pass().map(Cow::Owned))
            });
        match proof {
            Proof::Accepted { user }
                if read_pass(&user).is_some_and(|(_, until)| until <= now.wall) =>
            {
                Proof::Lapsed
            }
            proof @ (Proof::Accepted { .. }
            | Proof::Lapsed
            | Proof::Absent
            | Proof::Stale
            | Proof::Refused { .. }
            | Proof::Malformed(_)) => proof,
        }
    }

    /// Answers a request whose credentials were absent or no good.
    pub(super) fn reject(&mut self, now: Now, arrival: &Arrival, proof: Proof) {
        let stale = match proof {
            Proof::Malformed(why) => {
                if self.note_malformed(now, arrival.seen) {
                    self.refuse(arrival, 400, Some(why.0), &[]);
                }
                return;
            }
            Proof::Refused { user, .. } => {
                let source = arrival.seen.remote;
                self.event(Event::AuthFailed { source, user });
                if !self.note_failure(now, arrival.seen) {
                    return;
                }
                false
            }
            Proof::Lapsed => {
                // It knew the password, so it is no guess.
                return self.refuse(arrival, 403, Some("Credentials Expired"), &[]);
            }
            Proof::Stale => true,
            Proof::Absent => false,
            Proof::Accepted { .. } => unreachable!("who is accepted is not rejected"),
        };
        let source = Source::of(arrival.seen.remote.ip()).bytes();
        let challenges = self
            .verifier
            .challenges_to(now.mono, &mut self.rng, stale, &source);
        let named = |value| ("WWW-Authenticate", String::as_str(value));
        let headers: Vec<_> = challenges.iter().map(named).collect();
        self.refuse(arrival, 401, None, &headers);
    }

    /// An ACK: of a refusal, for its transaction; of a 2xx, for its dialog.
    pub(super) fn on_ack(&mut self, now: Now, arrival: &Arrival) {
        let fed = self.feed_server_invite(now, arrival.key, server_invite::Input::Ack);
        let headers = arrival.headers();
        let (Some(id), Ok(cseq)) = (self.dialog_of(headers), headers.cseq()) else {
            self.tally.strays += u64::from(fed.is_none());
            return;
        };
        let dialog = self.dialogs.get_mut(&id).expect("what has a name exists");
        match &mut dialog.state {
            State::Up(Inbound::Accepted(accepted)) if accepted.cseq == cseq.number => {
                dialog.state = State::Up(Inbound::Idle);
                self.rearm(id);
                let body = arrival.request.body.to_vec();
                self.event(Event::Confirmed { dialog: id, body });
            }
            State::Leaving(accepted, reason) if accepted.cseq == cseq.number => {
                let reason = reason.take();
                self.bye(now, id, reason.as_deref());
            }
            State::Calling(_)
            | State::Ringing(_)
            | State::Up(_)
            | State::Leaving(..)
            | State::Ending => self.tally.retransmits += 1,
        }
    }

    /// CANCEL: answered by itself, and its INVITE with 487 if that has no final answer (§9.2).
    pub(super) fn on_cancel(&mut self, now: Now, arrival: &Arrival) {
        let key = self.server_key(&arrival.request, &arrival.via, "INVITE");
        let Some(slot) = self.server_invites.slot(key) else {
            return self.refuse(arrival, 481, None, &[]);
        };
        let (id, pending) = (slot.owner.dialog, slot.machine.is_proceeding());
        // As long as the INVITE is remembered a copy of the CANCEL finds it, so this needs no
        // transaction of its own.
        let tag = self
            .dialogs
            .get(&id)
            .map(|dialog| dialog.local_tag.clone())
            .unwrap_or_default();
        if tag.is_empty() {
            self.refuse(arrival, 200, None, &[]);
        } else {
            let head = wire::head(&arrival.request, &arrival.via, &tag);
            let bytes = Reply::new(200, &head).write([], b"");
            self.transmit(arrival.reply_hop(), bytes);
        }
        if !pending {
            return;
        }
        let first = matches!(
            self.dialogs.get(&id).map(|d| &d.state),
            Some(State::Ringing(_))
        );
        self.respond_invite(now, id, 487, &[], b"");
        if first {
            let reason = reason_of(arrival.headers());
            self.event(Event::Cancelled { dialog: id, reason });
        }
    }

    /// Does what dialogs want done at their time.
    pub(super) fn tick_dialog(&mut self, now: Now, id: DialogId) {
        while let Some(chore) = self.dialogs.get_mut(&id).and_then(|d| d.due(now.mono)) {
            match chore {
                Chore::Resend(hop, bytes) => {
                    self.tally.retransmits += 1;
                    self.transmit(hop, bytes);
                }
                Chore::Remind(key, status, bytes) => self.remind(now, id, key, status, bytes),
                Chore::Repeat(key, status, bytes) => {
                    self.tally.retransmits += 1;
                    self.answer_invite(now, key, status, bytes);
                }
                Chore::Refer(due) => self.refer_over(now, id, &due),
                Chore::NoPrack => self.unacknowledged(now, id),
                Chore::NoAck => self.give_up(now, id, End::NoAck, None),
                Chore::Expired => self.give_up(now, id, End::Lost, Some(EXPIRED)),
                Chore::Refresh => self.refresh(now, id),
                Chore::Modify => self.send_ours(now, id),
                Chore::Withdraw => self.withdraw(now, id),
            }
        }
        self.rearm(id);
    }

    /// Says again that it rings. A reliable answer is a new one each time (RFC 3262 §3).
    fn remind(&mut self, now: Now, id: DialogId, key: Key, status: u16, bytes: Arc<[u8]>) {
        let reliable = match &self.dialogs[&id].state {
            State::Ringing(pending) => pending.reliable.is_some(),
            State::Calling(_) | State::Up(_) | State::Leaving(..) | State::Ending => false,
        };
        if reliable {
            self.respond_invite(now, id, status, &[], b"");
        } else {
            self.answer_invite(now, key, status, bytes);
        }
    }

    /// Leaves a dialog whose far end is silent.
    pub(super) fn give_up(&mut self, now: Now, id: DialogId, why: End, reason: Option<&str>) {
        let dialog = &self.dialogs[&id];
        let told = matches!(dialog.state, State::Leaving(..));
        self.refuse_pending(now, id);
        self.bye(now, id, reason);
        if !told {
            self.event(Event::Ended {
                dialog: id,
                why,
                reason: None,
            });
        }
    }

    /// Answers a re-INVITE or UPDATE that waits while its dialog ends (§15.1.2).
    pub(super) fn refuse_pending(&mut self, now: Now, id: DialogId) {
        if matches!(self.dialogs[&id].state, State::Up(Inbound::Pending(_))) {
            self.respond_invite(now, id, 487, &[], b"");
        }
        if self.update_waits(id) {
            self.respond_update(now, id, 487, &[], b"");
        }
    }

    /// Names a request whatever way it came (§8.2.2.2).
    fn merge_key(&self, headers: &Headers) -> Key {
        let value = |name| headers.first(&name).unwrap_or_default();
        let from = wire::tag_of(value(HeaderName::From)).unwrap_or_default();
        self.hash.key(&[
            b"merge",
            from.as_bytes(),
            value(HeaderName::CallId).as_bytes(),
            value(HeaderName::CSeq).as_bytes(),
        ])
    }
}

/// The user of a login that was accepted, and when that ends.
pub(super) fn proven(login: String) -> (String, Option<Wall>) {
    match read_pass(&login) {
        Some((user, until)) => (user.to_owned(), Some(until)),
        None => (login, None),
    }
}

/// The 100 to an INVITE; it carries the request's `Timestamp` (§8.2.6.1).
pub(super) fn trying(head: &str, headers: &Headers) -> Arc<[u8]> {
    let timestamp = headers
        .first(&HeaderName::Timestamp)
        .map(|value| ("Timestamp", value));
    Reply::new(100, head).write(timestamp, b"")
}

/// What is remembered of an INVITE until its final answer. `None` if it has no `CSeq`, which was
/// checked before.
pub(super) fn pending(arrival: &Arrival, head: String, session: Option<Agreed>) -> Option<Pending> {
    let cseq = arrival.headers().cseq().ok()?.number;
    Some(Pending {
        transaction: arrival.key,
        head: head.into(),
        cseq,
        offered: !arrival.request.body.is_empty(),
        session,
        reminder: None,
        reliable: None,
    })
}

/// `Reason` values of a request as written, joined.
pub(super) fn reason_of(headers: &Headers) -> Option<String> {
    let reasons: Vec<&str> = headers.all(&HeaderName::Reason).collect();
    (!reasons.is_empty()).then(|| reasons.join(", "))
}
