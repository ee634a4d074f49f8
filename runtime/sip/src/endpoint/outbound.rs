//! Calls and requests we make (RFC 3261 §8.1, §13.2, §9.1, §22.3).

use std::sync::Arc;
use std::time::Duration;

use vocab::Now;

use super::table::{Due, Slot, Verdict};
use super::wire::{self, Draft};
use super::{Around, Endpoint, Purpose, around, route};
use crate::auth::{self, Challenge};
use crate::border::{Credentials, DialogId, End, Event, Hop, RequestId, Times};
use crate::dialog::{Attempt, Calling, Cancel, Dialog, Inbound, Login, State};
use crate::limits::FORKS_MAX;
use crate::message::{Contacts, HeaderName, Headers, Method, NameAddr, Response, Via};
use crate::transaction::{Client, ClientInvite, Derived, Key, client_invite, derive};

impl Endpoint {
    /// Sends our INVITE, for the first time or again with credentials.
    pub(super) fn invite(&mut self, now: Now, id: DialogId, attempt: Attempt) {
        let branch = self.token();
        let bytes = self.write(&attempt, &branch);
        let key = self.client_key(&cookie(&branch), "INVITE");
        let hop = self.outbox.resolve(attempt.hop);
        let cseq = attempt.cseq;
        let calling = Calling {
            transaction: key,
            branch: branch.into(),
            attempt,
            cancel: Cancel::No,
            early: Vec::new(),
        };
        match self.dialogs.get_mut(&id) {
            Some(dialog) => dialog.call_again(calling, cseq),
            None => {
                self.add_dialog(id, Dialog::calling(calling));
            }
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

    /// Sends a request outside dialogs, for the first time or again with credentials.
    pub(super) fn request(&mut self, now: Now, id: RequestId, attempt: Attempt) {
        let branch = self.token();
        let bytes = self.write(&attempt, &branch);
        let key = self.client_key(&cookie(&branch), &attempt.method);
        let hop = attempt.hop;
        self.requests.insert(id, attempt);
        self.add_client(now, key, hop, bytes, Purpose::Request(id));
    }

    fn write(&self, attempt: &Attempt, branch: &str) -> Arc<[u8]> {
        let transport = attempt.hop.transport;
        let own = self.own(transport);
        let contact = wire::contact(transport, own);
        let mut headers: Vec<(&str, &str)> = vec![("User-Agent", &self.config.product)];
        if attempt.method == "INVITE" {
            headers.extend([("Contact", &*contact), ("Allow", wire::ALLOW)]);
        }
        if let Some((name, value)) = &attempt.authorization {
            headers.push((name, value));
        }
        headers.extend(
            attempt
                .headers
                .iter()
                .map(|(name, value)| (&**name, &**value)),
        );
        Draft {
            method: &attempt.method,
            uri: &attempt.uri,
            transport,
            own,
            branch,
            routes: &[],
            from: &tagged(&attempt.from, &attempt.tag),
            to: &attempt.to,
            call_id: &attempt.call_id,
            cseq: attempt.cseq,
        }
        .write(headers, &attempt.body)
    }

    fn add_client(&mut self, now: Now, key: Key, hop: Hop, bytes: Arc<[u8]>, purpose: Purpose) {
        let hop = self.outbox.resolve(hop);
        self.ways
            .insert((hop.transport, hop.remote, Due::Client(key)));
        let machine = Client::new(now, hop.transport, bytes);
        let slot = Slot {
            machine,
            hop,
            owner: purpose,
        };
        self.clients.insert(&mut around!(self, now), key, slot);
    }

    /// A response to our INVITE that its transaction lets through.
    pub(super) fn on_invite_response(
        &mut self,
        now: Now,
        key: Key,
        id: DialogId,
        seen: Hop,
        response: &Response,
    ) {
        let calling = match self.dialogs.get_mut(&id).map(|dialog| &mut dialog.state) {
            Some(State::Calling(calling)) if calling.transaction == key => Some(calling),
            Some(
                State::Calling(_)
                | State::Ringing(_)
                | State::Up(_)
                | State::Leaving(..)
                | State::Ending,
            )
            | None => None,
        };
        match (response.status, calling) {
            (..200, Some(calling)) => {
                if response.status > 100 {
                    note_early(calling, &response.headers);
                }
                match &calling.cancel {
                    Cancel::No if response.status > 100 => {
                        let body = sdp(response);
                        let status = response.status;
                        self.event(Event::Progress {
                            dialog: id,
                            status,
                            body,
                        });
                    }
                    Cancel::Wanted { reason } => {
                        let reason = reason.clone();
                        self.cancel(now, id, reason.as_deref());
                    }
                    Cancel::No => self.event(Event::Trying { dialog: id }),
                    Cancel::Sent => {}
                }
            }
            (200..300, Some(calling)) if calling.cancel == Cancel::No => {
                self.accept(now, key, id, seen, response);
            }
            (200..300, calling) => {
                // A fork answered second, or the 2xx crossed our CANCEL: the far end must be told
                // that nobody is there (§13.2.2.4, §9.1).
                let cancelled = calling.is_some();
                self.dismiss(now, key, seen, response);
                if cancelled {
                    self.remove_dialog(id);
                    self.event(Event::Failed {
                        dialog: id,
                        status: Some(487),
                    });
                }
            }
            (300.., Some(_)) => self.refused(now, id, response),
            (..200 | 300.., None) => {}
        }
    }

    /// The first 2xx: the dialog is established.
    fn accept(&mut self, now: Now, key: Key, id: DialogId, seen: Hop, response: &Response) {
        let Ok(mut dialog) = Dialog::accepted(&response.headers, seen) else {
            // Nothing can be sent into such a dialog. The 2xx comes again until its sender gives up.
            self.tally.malformed += 1;
            self.remove_dialog(id);
            return self.event(Event::Failed {
                dialog: id,
                status: Some(response.status),
            });
        };
        let old = self.remove_dialog(id).expect("the caller has just seen it");
        if let State::Calling(calling) = old.state {
            // A registered phone answers with the contact it registered, and is reached where the
            // INVITE reached it, not there.
            let known = route::same_place(dialog.target(), &calling.attempt.uri);
            if known && dialog.record_routes().next().is_none() {
                let hop = calling.attempt.hop;
                dialog.hop = Hop {
                    conn: seen.conn.or(hop.conn),
                    ..hop
                };
            }
            let Attempt {
                credentials,
                authorization,
                ..
            } = calling.attempt;
            dialog.login = credentials.zip(authorization).map(|(credentials, header)| {
                Box::new(Login {
                    credentials,
                    header,
                })
            });
        }
        // The far end must not choose our half of the dialog's name.
        dialog.call_id = old.call_id;
        dialog.local_tag = old.local_tag;
        self.acknowledge(now, key, &dialog);
        self.add_dialog(id, dialog);
        self.event(Event::Answered {
            dialog: id,
            body: response.body.to_vec(),
        });
    }

    /// Acknowledges a 2xx, now and whenever it comes again (§13.2.2.4).
    fn acknowledge(&mut self, now: Now, key: Key, dialog: &Dialog) {
        let branch = self.token();
        let via = (self.own(dialog.hop.transport), branch.as_str());
        let login = dialog
            .login
            .as_ref()
            .map(|login| (login.header.0, login.header.1.as_str()));
        let ack = dialog.draft("ACK", dialog.last_cseq(), via).write(login);
        self.transmit(dialog.hop, ack.clone());
        let (tag, hop) = (&*dialog.remote_tag, dialog.hop);
        self.feed_client_invite(
            now,
            key,
            client_invite::Input::Acknowledged { tag, hop, ack },
        );
    }

    /// Acknowledges a 2xx that nobody wants and ends its dialog at once.
    fn dismiss(&mut self, now: Now, key: Key, seen: Hop, response: &Response) {
        let Ok(mut dialog) = Dialog::accepted(&response.headers, seen) else {
            self.tally.malformed += 1;
            return;
        };
        self.acknowledge(now, key, &dialog);
        let cseq = dialog.next_cseq();
        let branch = self.token();
        let via = (self.own(dialog.hop.transport), branch.as_str());
        let bytes = dialog.draft("BYE", cseq, via).write([]);
        let key = self.client_key(&cookie(&branch), "BYE");
        self.add_client(now, key, dialog.hop, bytes, Purpose::Farewell);
    }

    /// A final refusal of our INVITE.
    fn refused(&mut self, now: Now, id: DialogId, response: &Response) {
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        if let State::Calling(calling) = &mut dialog.state
            && calling.cancel == Cancel::No
            && let Some(header) = login(
                &mut self.rng,
                response,
                &Method::Invite,
                &calling.attempt.uri,
                calling.attempt.unused(),
            )
        {
            let mut attempt = calling.attempt.clone();
            attempt.cseq += 1;
            attempt.authorization = Some(header);
            return self.invite(now, id, attempt);
        }
        self.remove_dialog(id);
        self.event(Event::Failed {
            dialog: id,
            status: Some(response.status),
        });
    }

    /// What a client INVITE transaction says besides responses.
    pub(super) fn after_client_invite(&mut self, _now: Now, verdict: Verdict, id: DialogId) {
        let calling = matches!(
            self.dialogs.get(&id).map(|d| &d.state),
            Some(State::Calling(_))
        );
        if (verdict.timed_out || verdict.broken) && calling {
            self.remove_dialog(id);
            self.event(Event::Failed {
                dialog: id,
                status: None,
            });
        }
    }

    /// What another client transaction says besides responses.
    pub(super) fn after_client(&mut self, _now: Now, verdict: Verdict, purpose: Purpose) {
        if verdict.timed_out || verdict.broken {
            match purpose {
                Purpose::Bye { dialog, .. } => {
                    self.remove_dialog(dialog);
                }
                Purpose::Farewell => {}
                Purpose::Request(id) => {
                    self.requests.remove(&id);
                    self.event(Event::Response {
                        id,
                        status: None,
                        times: Times::default(),
                    });
                }
            }
        }
    }

    /// The final response to a request other than INVITE.
    pub(super) fn on_final(&mut self, now: Now, purpose: Purpose, response: &Response) {
        match purpose {
            Purpose::Farewell => {}
            Purpose::Bye { dialog: id, again } => {
                let Some(dialog) = self.dialogs.get(&id) else {
                    return;
                };
                let credentials = dialog.login.as_ref().filter(|_| !again);
                let header = login(
                    &mut self.rng,
                    response,
                    &Method::Bye,
                    dialog.target(),
                    credentials.map(|login| &login.credentials),
                );
                match header {
                    Some((name, value)) => {
                        let headers = [(name, value.as_str())];
                        self.send_bye(now, id, &headers, true);
                    }
                    None => {
                        self.remove_dialog(id);
                    }
                }
            }
            Purpose::Request(id) => {
                let Some(mut attempt) = self.requests.remove(&id) else {
                    return;
                };
                let method = Method::parse(&attempt.method).unwrap_or(Method::Options);
                let unused = attempt.unused();
                match login(&mut self.rng, response, &method, &attempt.uri, unused) {
                    Some(header) => {
                        attempt.cseq += 1;
                        attempt.authorization = Some(header);
                        self.request(now, id, attempt);
                    }
                    None => {
                        self.event(Event::Response {
                            id,
                            status: Some(response.status),
                            times: times(&response.headers, &attempt),
                        });
                    }
                }
            }
        }
    }

    /// Ends a dialog, whatever its state.
    pub(super) fn hang_up(&mut self, now: Now, id: DialogId, reason: Option<String>) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        match &mut dialog.state {
            State::Calling(calling) => {
                let slot = self.client_invites.slot(calling.transaction);
                let proceeding = slot.is_some_and(|slot| slot.machine.is_proceeding());
                match calling.cancel {
                    Cancel::No if proceeding => self.cancel(now, id, reason.as_deref()),
                    Cancel::No => calling.cancel = Cancel::Wanted { reason },
                    Cancel::Wanted { .. } | Cancel::Sent => {}
                }
            }
            State::Ringing(_) => {
                let headers: Vec<(String, String)> = reason
                    .map(|reason| ("Reason".to_owned(), reason))
                    .into_iter()
                    .collect();
                self.respond(now, id, 603, &headers, b"");
                self.event(Event::Ended {
                    dialog: id,
                    why: End::Ours,
                    reason: None,
                });
            }
            State::Up(inbound) => {
                match std::mem::replace(inbound, Inbound::Idle) {
                    Inbound::Accepted(accepted) => {
                        dialog.state = State::Leaving(accepted, reason);
                        self.rearm(id);
                    }
                    other @ (Inbound::Idle | Inbound::Pending(_)) => {
                        *inbound = other;
                        self.refuse_pending(now, id);
                        self.bye(now, id, reason.as_deref());
                    }
                }
                self.event(Event::Ended {
                    dialog: id,
                    why: End::Ours,
                    reason: None,
                });
            }
            State::Leaving(..) | State::Ending => {}
        }
    }

    /// Sends CANCEL after our INVITE (§9.1).
    fn cancel(&mut self, now: Now, id: DialogId, reason: Option<&str>) {
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        let State::Calling(calling) = &mut dialog.state else {
            unreachable!("only a pending INVITE is cancelled")
        };
        calling.cancel = Cancel::Sent;
        let (invite, branch) = (calling.transaction, cookie(&calling.branch));
        let slot = self
            .client_invites
            .slot(invite)
            .expect("a pending INVITE has a transaction");
        let request = slot
            .machine
            .request()
            .expect("a pending INVITE keeps its request");
        let (hop, bytes) = (slot.hop, derive(request, Derived::Cancel { reason }));
        let key = self.client_key(&branch, "CANCEL");
        self.add_client(now, key, hop, bytes, Purpose::Farewell);
        self.feed_client_invite(now, invite, client_invite::Input::Cancelled);
    }

    /// Sends BYE; the dialog ends with its answer.
    pub(super) fn bye(&mut self, now: Now, id: DialogId, reason: Option<&str>) {
        let headers: Vec<(&str, &str)> = reason
            .map(|reason| ("Reason", reason))
            .into_iter()
            .collect();
        self.send_bye(now, id, &headers, false);
    }

    fn send_bye(&mut self, now: Now, id: DialogId, headers: &[(&str, &str)], again: bool) {
        let branch = self.token();
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        dialog.state = State::Ending;
        let cseq = dialog.next_cseq();
        let own = match dialog.hop.transport {
            crate::Transport::Udp => self.config.udp,
            crate::Transport::Tcp => self.config.tcp,
        };
        let bytes = dialog
            .draft("BYE", cseq, (own, &branch))
            .write(headers.iter().copied());
        let hop = dialog.hop;
        self.rearm(id);
        let key = self.client_key(&cookie(&branch), "BYE");
        self.add_client(now, key, hop, bytes, Purpose::Bye { dialog: id, again });
    }
}

impl Attempt {
    /// Credentials that were not tried yet.
    fn unused(&self) -> Option<&Credentials> {
        self.credentials
            .as_ref()
            .filter(|_| self.authorization.is_none())
    }
}

/// The header that answers a challenge, if this is one and we have something to answer with.
fn login(
    rng: &mut vocab::Rng,
    response: &Response,
    method: &Method,
    uri: &str,
    credentials: Option<&Credentials>,
) -> Option<(&'static str, String)> {
    if !matches!(response.status, 401 | 407) {
        return None;
    }
    let challenge = Challenge::choose(&response.headers)?;
    let name = if challenge.answer_header() == HeaderName::Authorization {
        "Authorization"
    } else {
        "Proxy-Authorization"
    };
    let value = auth::Client::new(challenge).answer(rng, method, uri, credentials?);
    Some((name, value))
}

/// A branch as it is on the wire.
fn cookie(branch: &str) -> String {
    format!("{}{branch}", Via::MAGIC)
}

/// A `From` with our tag. In brackets, so that the tag is not taken for the URI's.
fn tagged(from: &str, tag: &str) -> String {
    if from.contains('<') {
        format!("{from};tag={tag}")
    } else {
        format!("<{from}>;tag={tag}")
    }
}

fn note_early(calling: &mut Calling, headers: &Headers) {
    let to = headers.first(&HeaderName::To).unwrap_or_default();
    if let Some(tag) = wire::tag_of(to)
        && calling.early.len() < FORKS_MAX
        && calling.early.iter().all(|known| **known != *tag)
    {
        calling.early.push(tag.into());
    }
}

/// The body, if it is SDP.
fn sdp(response: &Response) -> Vec<u8> {
    match response.headers.content_type() {
        Ok(Some(own)) if own.essence == wire::SDP => response.body.to_vec(),
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// What an answer to a request of ours says about time. Of several contacts ours counts.
fn times(headers: &Headers, attempt: &Attempt) -> Times {
    let (_, ours) = attempt
        .headers
        .iter()
        .find(|(name, _)| name == "Contact")
        .map_or(("", ""), |(name, value)| (name.as_str(), value.as_str()));
    let ours = NameAddr::parse(ours).ok();
    let of_contact = match headers.contacts() {
        Ok(Contacts::List(contacts)) => contacts
            .iter()
            .find(|theirs| {
                ours.as_ref()
                    .is_some_and(|ours| theirs.uri.matches(&ours.uri))
            })
            .and_then(NameAddr::expires)
            .map(|seconds| Duration::from_secs(seconds.into())),
        Ok(_) | Err(_) => None,
    };
    let retry_after = headers.retry_after().ok().flatten();
    Times {
        expires: of_contact.or_else(|| headers.expires().ok().flatten()),
        min_expires: headers.min_expires().ok().flatten(),
        retry_after: retry_after.map(|it| it.delay),
    }
}
