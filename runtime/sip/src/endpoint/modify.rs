//! Our re-INVITE and UPDATE within a dialog (RFC 3261 §14.1, RFC 3311 §5.1), and INFO.

use std::sync::Arc;
use std::time::Duration;

use vocab::{Mono, Now};

use super::session::Sdp;
use super::table::{Due, Slot};
use super::{Around, Endpoint, Purpose, around, outbound, session, wire};
use crate::border::{DialogId, End, Event, Hop};
use crate::dialog::{Dialog, Inbound, State};
use crate::limits::{MODIFY_RETRY_AFTER_MAX, MODIFY_TRIES_MAX, MODIFY_WAIT};
use crate::message::{Method, Response};
use crate::transaction::{ClientInvite, Key, client_invite};

/// A re-INVITE or UPDATE of ours (§14.1, RFC 3311 §5.1).
pub(crate) struct Ours {
    pub(crate) update: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Nobody but the session timer wants it.
    pub(crate) refresh: bool,
    pub(crate) stage: Stage,
    /// How often it was sent or put off.
    pub(crate) tries: u8,
    /// Our credentials were used.
    pub(crate) login: Option<(&'static str, String)>,
    /// Their `Min-SE`, once it was too short for them (RFC 4028 §7.3).
    pub(crate) min_se_s: Option<u32>,
}

/// How far [`Ours`] is.
pub(crate) enum Stage {
    /// It is sent at this time.
    Waiting(Mono),
    /// It was sent.
    Sent {
        transaction: Key,
        /// Without magic cookie.
        branch: Box<str>,
        cseq: u32,
        /// When a re-INVITE is cancelled.
        cancel_at: Option<Mono>,
    },
}

impl Ours {
    /// It is on its way and has an offer.
    pub(crate) fn is_offering(&self) -> bool {
        match self.stage {
            // A re-INVITE without a body asks for theirs: one more offer would cross that too.
            Stage::Sent { .. } => !self.update || !self.body.is_empty(),
            Stage::Waiting(_) => false,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Mono> {
        match self.stage {
            Stage::Waiting(at) => Some(at),
            Stage::Sent { cancel_at, .. } => cancel_at,
        }
    }
}

impl Ours {
    /// Waits before it is sent, unless that was done too often.
    fn put_off(&mut self, now: Now, wait: Duration) -> bool {
        self.tries += 1;
        self.stage = Stage::Waiting(now.mono + wait);
        self.tries < MODIFY_TRIES_MAX
    }

    fn method(&self) -> Method {
        if self.update {
            Method::Update
        } else {
            Method::Invite
        }
    }
}

impl Endpoint {
    /// Begins a re-INVITE or UPDATE that the call control wants.
    pub(super) fn modify(
        &mut self,
        now: Now,
        id: DialogId,
        update: bool,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let status = match dialog.state {
            State::Up(_) if update && !dialog.updates => 405,
            State::Up(_) if dialog.ours.is_none() => {
                dialog.ours = Some(Box::new(Ours {
                    update,
                    headers,
                    body,
                    refresh: false,
                    stage: Stage::Waiting(now.mono),
                    tries: 0,
                    login: None,
                    min_se_s: None,
                }));
                self.send_ours(now, id);
                return self.rearm(id);
            }
            State::Calling(_) | State::Ringing(_) | State::Up(_) => 491,
            // The call control was told that the dialog is over.
            State::Leaving(..) | State::Ending => return,
        };
        self.event(Event::Refused { dialog: id, status });
    }

    /// Sends what [`Dialog::ours`] has, or puts it off while theirs is under way.
    pub(super) fn send_ours(&mut self, now: Now, id: DialogId) {
        let theirs = self.update_waits(id);
        let wait = self.glare_wait(id);
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let Some(mut ours) = dialog.ours.take() else {
            return;
        };
        let busy = theirs || !matches!(dialog.state, State::Up(Inbound::Idle));
        let silent = ours.update && ours.body.is_empty();
        if busy && !silent {
            let again = ours.put_off(now, wait);
            dialog.ours = Some(ours);
            if !again {
                self.modify_failed(now, id, Some(491));
            }
            return;
        }
        let branch = self.token();
        let method = ours.method();
        let (cseq, hop, bytes) = self.write_ours(id, &ours, &branch);
        let hop = self.outbox.resolve(hop);
        let key = self.client_key(&outbound::cookie(&branch), method.as_str());
        ours.stage = Stage::Sent {
            transaction: key,
            branch: branch.into(),
            cseq,
            cancel_at: (!ours.update).then(|| now.mono + MODIFY_WAIT),
        };
        let update = ours.update;
        let dialog = self.dialogs.get_mut(&id).expect("just seen");
        dialog.ours = Some(ours);
        if update {
            let purpose = Purpose::Update { dialog: id, cseq };
            return self.add_client(now, key, hop, bytes, purpose);
        }
        self.ways
            .insert((hop.transport, hop.remote, Due::ClientInvite(key)));
        let machine = ClientInvite::new(now, hop.transport, bytes);
        let slot = Slot {
            machine,
            hop,
            owner: id,
        };
        self.client_invites
            .insert(&mut around!(self, now), key, slot);
    }

    fn write_ours(&mut self, id: DialogId, ours: &Ours, branch: &str) -> (u32, Hop, Arc<[u8]>) {
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        let cseq = dialog.next_cseq();
        let hop = dialog.hop;
        let own = self.config.own(hop);
        let contact = wire::contact(hop.transport, own);
        let mut headers: Vec<(&str, &str)> = vec![
            ("User-Agent", &self.config.product),
            ("Contact", &contact),
            ("Allow", wire::ALLOW),
            ("Supported", wire::SUPPORTED),
        ];
        let mut buffer = String::new();
        let agreed = dialog.agreed();
        if let Some(value) = self.sessions.repeated(agreed, ours.min_se_s, &mut buffer) {
            headers.push(("Session-Expires", value));
        }
        let min_se = ours.min_se_s.map(|seconds| seconds.to_string());
        headers.extend(min_se.as_deref().map(|value| ("Min-SE", value)));
        headers.extend(ours.login.as_ref().map(|(name, value)| (*name, &**value)));
        headers.extend(ours.headers.iter().map(|(name, value)| (&**name, &**value)));
        let bytes = dialog
            .draft(ours.method().as_str(), cseq, (own, branch))
            .write_with(headers, wire::SDP, &ours.body);
        (cseq, hop, bytes)
    }

    /// How long is waited after a 491 (§14.1): who chose the `Call-ID` waits longer. Never no time
    /// at all, or it would meet what is in its way again.
    fn glare_wait(&mut self, id: DialogId) -> Duration {
        let owner = self.dialogs.get(&id).is_some_and(|dialog| dialog.owner);
        let units = if owner {
            210 + self.rng.below(191)
        } else {
            1 + self.rng.below(200)
        };
        Duration::from_millis(units * 10)
    }

    /// This transaction is that of our re-INVITE.
    pub(super) fn is_ours(&self, id: DialogId, key: Key) -> bool {
        let ours = self
            .dialogs
            .get(&id)
            .and_then(|dialog| dialog.ours.as_ref());
        ours.is_some_and(|ours| match &ours.stage {
            Stage::Sent { transaction, .. } => *transaction == key,
            Stage::Waiting(_) => false,
        })
    }

    /// This UPDATE is the one that waits for its answer.
    pub(super) fn is_our_update(&self, id: DialogId, number: u32) -> bool {
        let ours = self
            .dialogs
            .get(&id)
            .and_then(|dialog| dialog.ours.as_ref());
        ours.is_some_and(|ours| match ours.stage {
            Stage::Sent { cseq, .. } => ours.update && cseq == number,
            Stage::Waiting(_) => false,
        })
    }

    /// A response to our re-INVITE (`invite` is its transaction) or UPDATE.
    pub(super) fn on_modified(
        &mut self,
        now: Now,
        id: DialogId,
        invite: Option<Key>,
        seen: Hop,
        response: &Response,
    ) {
        let wait = self.glare_wait(id);
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let target = dialog.target().to_owned();
        let Some(ours) = &mut dialog.ours else {
            return;
        };
        let headers = &response.headers;
        let again = match response.status {
            ..200 => return,
            200..300 => return self.modified(now, id, invite, seen, response),
            401 | 407 if ours.login.is_none() => {
                let method = ours.method();
                let credentials = dialog.login.as_ref().map(|login| &login.credentials);
                ours.login =
                    outbound::login(&mut self.rng, response, &method, &target, credentials);
                ours.stage = Stage::Waiting(now.mono);
                ours.login.is_some()
            }
            422 if ours.min_se_s.is_none() => {
                ours.min_se_s = session::min_se(headers);
                ours.stage = Stage::Waiting(now.mono);
                ours.min_se_s.is_some()
            }
            491 => ours.put_off(now, wait),
            500 => match headers.retry_after() {
                Ok(Some(after)) if after.delay <= MODIFY_RETRY_AFTER_MAX => {
                    ours.put_off(now, after.delay)
                }
                Ok(_) | Err(_) => false,
            },
            // They said they know UPDATE, and do not: the next refresh is a re-INVITE.
            405 | 501 if ours.refresh && ours.update => {
                dialog.updates = false;
                dialog.ours = None;
                if let Some(session) = &mut dialog.session {
                    session.refresh_at = Some(now.mono);
                }
                return self.tick_dialog(now, id);
            }
            300.. => false,
        };
        if !again {
            return self.modify_failed(now, id, Some(response.status));
        }
        self.tick_dialog(now, id);
    }

    /// Our re-INVITE or UPDATE was accepted.
    fn modified(
        &mut self,
        now: Now,
        id: DialogId,
        invite: Option<Key>,
        seen: Hop,
        response: &Response,
    ) {
        let mut dialog = self
            .dialogs
            .remove(&id)
            .expect("the caller has just seen it");
        let ours = dialog.ours.take().expect("the caller has just seen it");
        let moved = |dialog: &Dialog| {
            let contact = response.headers.contact();
            contact.is_ok_and(|contact| contact.uri.to_string() != dialog.target())
        };
        if moved(&dialog) {
            dialog.refresh_target(&response.headers, seen, false);
        }
        let agreed = self.sessions.told(&response.headers, dialog.agreed());
        dialog.settle_session(now, agreed);
        if let (Stage::Sent { cseq, .. }, Some(key)) = (&ours.stage, invite) {
            let login = ours.login.as_ref().map(|(name, value)| (*name, &**value));
            self.acknowledge(now, key, &dialog, *cseq, login);
        }
        let silent = ours.refresh && ours.update;
        if let Some(sdp) = Sdp::alone(ours.body) {
            dialog.sdp = Some(sdp);
        }
        self.dialogs.insert(id, dialog);
        self.rearm(id);
        if !silent {
            let body = response.body.to_vec();
            self.event(Event::Reanswered { dialog: id, body });
        }
    }

    /// Our re-INVITE or UPDATE was refused; `None`: it was never answered. Then, and if the far end
    /// does not know the dialog, the dialog is over (§12.2.1.2).
    pub(super) fn modify_failed(&mut self, now: Now, id: DialogId, status: Option<u16>) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let Some(ours) = dialog.ours.take() else {
            return;
        };
        match (status, &mut dialog.session) {
            (None | Some(408 | 481), _) => return self.lose(now, id),
            (Some(_), Some(session)) if ours.refresh => session.refused(now.mono),
            (Some(_), None) if ours.refresh => {}
            (Some(status), _) => self.event(Event::Refused { dialog: id, status }),
        }
        self.rearm(id);
    }

    /// A request of ours within the dialog got no answer, 408 or 481.
    pub(super) fn lose(&mut self, now: Now, id: DialogId) {
        if matches!(
            self.dialogs.get(&id).map(|dialog| &dialog.state),
            Some(State::Up(_))
        ) {
            self.give_up(now, id, End::Lost, None);
        }
    }

    /// Forgets our re-INVITE as the dialog ends. Its answer is waited for no longer than 64·T1.
    pub(super) fn abandon_ours(&mut self, now: Now, id: DialogId) {
        let ours = self
            .dialogs
            .get_mut(&id)
            .and_then(|dialog| dialog.ours.take());
        if let Some(Stage::Sent { transaction, .. }) = ours.map(|ours| ours.stage) {
            self.feed_client_invite(now, transaction, client_invite::Input::Cancelled);
        }
    }

    /// Cancels our re-INVITE, whose answer takes too long.
    pub(super) fn withdraw(&mut self, now: Now, id: DialogId) {
        let ours = self
            .dialogs
            .get(&id)
            .and_then(|dialog| dialog.ours.as_ref());
        let Some(Stage::Sent {
            transaction,
            branch,
            ..
        }) = ours.map(|ours| &ours.stage)
        else {
            return;
        };
        let (transaction, branch) = (*transaction, branch.clone());
        self.cancel_invite(now, transaction, &branch, None);
    }

    /// Sends INFO.
    pub(super) fn inform(&mut self, now: Now, id: DialogId, content_type: &str, body: &[u8]) {
        let up = self
            .dialogs
            .get(&id)
            .is_some_and(|dialog| matches!(dialog.state, State::Up(_)));
        if up {
            let product = self.config.product.clone();
            let headers = [("User-Agent", &*product)];
            self.send_within(
                now,
                id,
                "INFO",
                &headers,
                content_type,
                body,
                Purpose::Within(id),
            );
        }
    }

    /// Sends a request other than INVITE within a dialog.
    #[expect(clippy::too_many_arguments, reason = "what a request is made of")]
    pub(super) fn send_within(
        &mut self,
        now: Now,
        id: DialogId,
        method: &str,
        headers: &[(&str, &str)],
        content_type: &str,
        body: &[u8],
        purpose: Purpose,
    ) {
        let branch = self.token();
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        let cseq = dialog.next_cseq();
        let hop = dialog.hop;
        let own = self.config.own(hop);
        let bytes = dialog.draft(method, cseq, (own, &branch)).write_with(
            headers.iter().copied(),
            content_type,
            body,
        );
        let key = self.client_key(&outbound::cookie(&branch), method);
        self.add_client(now, key, hop, bytes, purpose);
    }
}
