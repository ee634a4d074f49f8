//! What the call control asks for.

use std::sync::Arc;

use vocab::Now;

use super::Endpoint;
use crate::border::{Action, Event, Times};
use crate::dialog::Attempt;
use crate::limits::LOGINS_MAX;

impl Endpoint {
    pub(super) fn on_action(&mut self, now: Now, action: Action) {
        match action {
            Action::Invite {
                dialog: id,
                uri,
                hop,
                from,
                to,
                headers,
                body,
                credentials,
            } => {
                if self.dialogs.contains_key(&id) {
                    debug_assert!(false, "a dialog is begun once");
                    return;
                }
                if self.dialogs.len() >= self.limits.dialogs
                    || self.transactions() >= self.limits.transactions
                {
                    self.tally.overloads += 1;
                    return self.event(Event::Failed {
                        dialog: id,
                        status: Some(503),
                        reason: None,
                        contacts: Vec::new(),
                        retry_after: None,
                    });
                }
                let attempt = Attempt {
                    method: "INVITE".to_owned(),
                    uri,
                    hop,
                    from,
                    tag: self.token(),
                    to,
                    call_id: self.call_id(),
                    cseq: 1,
                    headers,
                    body,
                    credentials,
                    authorization: None,
                    logins: 0,
                    min_se_s: None,
                };
                self.invite(now, id, attempt);
            }
            Action::Respond {
                dialog,
                status,
                headers,
                body,
            } => {
                self.respond(now, dialog, status, &headers, &body);
            }
            Action::Challenge { dialog } => self.challenge(now, dialog),
            Action::Hangup { dialog, reason } => self.hang_up(now, dialog, reason),
            Action::Reinvite {
                dialog,
                headers,
                body,
            } => self.modify(now, dialog, false, headers, body),
            Action::Update {
                dialog,
                headers,
                body,
            } => self.modify(now, dialog, true, headers, body),
            Action::Refer {
                dialog,
                to,
                headers,
            } => self.refer(now, dialog, &to, &headers),
            Action::AnswerRefer { dialog, status } => self.answer_refer(now, dialog, status),
            Action::Notify { dialog, status } => self.notify(now, dialog, status),
            Action::Info {
                dialog,
                content_type,
                body,
            } => self.inform(now, dialog, &content_type, &body),
            Action::Request {
                id,
                method,
                uri,
                hop,
                from,
                to,
                headers,
                credentials,
            } => {
                let full = self.requests.len() >= self.limits.requests;
                if full || self.requests.contains_key(&id) || !is_plain(&method) {
                    self.tally.overloads += u64::from(full);
                    return self.event(Event::Response {
                        id,
                        status: None,
                        times: Times::default(),
                    });
                }
                let (call_id, cseq) = if method == "REGISTER" {
                    self.series(&from, &uri)
                } else {
                    (self.call_id(), 1)
                };
                let attempt = Attempt {
                    method,
                    uri,
                    hop,
                    from,
                    tag: self.token(),
                    to,
                    call_id,
                    cseq,
                    headers,
                    body: Vec::new(),
                    credentials,
                    authorization: None,
                    logins: 0,
                    min_se_s: None,
                };
                self.request(now, id, attempt);
            }
            Action::SetAccounts(accounts) => {
                self.config.accounts = accounts;
                let accounts = &self.config.accounts;
                self.registrar.retain(|user| accounts.contains_key(user));
                self.tell_registrations();
            }
            Action::SetTrusted(trusted) => self.guard.set_trusted(trusted),
            Action::Unban { address } => {
                self.guard.unban(address);
            }
        }
    }

    /// `Call-ID` and next `CSeq` of the registrations of an address at a registrar: they are one
    /// series, so that it can tell an old one from a new one (RFC 3261 §10.2.4).
    fn series(&mut self, from: &str, uri: &str) -> (Arc<str>, u32) {
        let key = (from.to_owned(), uri.to_owned());
        if !self.series.contains_key(&key) {
            if self.series.len() >= self.limits.requests {
                // More than can be under way: whichever goes begins anew.
                self.series.pop_first();
            }
            let call_id = self.call_id();
            self.series.insert(key.clone(), (call_id, 1));
        }
        let (call_id, next) = self.series.get_mut(&key).expect("just there");
        let cseq = *next;
        // Each answer to a challenge takes one more. It may grow up to 2^31 (§8.1.1.5): at one
        // registration a minute in a thousand years.
        *next = cseq.saturating_add(1 + u32::from(LOGINS_MAX)) & 0x7fff_ffff;
        (Arc::clone(call_id), cseq)
    }

    fn call_id(&mut self) -> Arc<str> {
        format!("{}@{}", self.rng.token(24), self.config.realm).into()
    }
}

/// A method that can go out alone: INVITE has a dialog, ACK and CANCEL follow one.
fn is_plain(method: &str) -> bool {
    crate::message::Method::parse(method).is_some()
        && !matches!(method, "INVITE" | "ACK" | "CANCEL" | "BYE")
}
