//! Calls and requests we make (RFC 3261 §8.1, §13.2, §9.1, §22.3).

use std::sync::Arc;
use std::time::Duration;

use vocab::Now;

use super::inbound::reason_of;
use super::session::Sdp;
use super::table::{Due, Slot, Verdict};
use super::wire::{self, Draft};
use super::{Around, Endpoint, Purpose, around, route, session};
use crate::auth::{self, Challenge};
use crate::border::{Credentials, DialogId, Event, Hop, RequestId, Times};
use crate::dialog::{Attempt, Calling, Cancel, Dialog, Early, Login, State};
use crate::limits::{FORKS_MAX, LOGINS_MAX, REDIRECTS_MAX};
use crate::message::{Contacts, HeaderName, Headers, Method, NameAddr, Response, Via};
use crate::transaction::{Client, ClientInvite, Key, client_invite};

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
        let own = self.config.own(attempt.hop);
        let contact = wire::contact(transport, own);
        let (mut buffer, min_se);
        let mut headers: Vec<(&str, &str)> = Vec::with_capacity(8 + attempt.headers.len());
        headers.push(("User-Agent", &self.config.product));
        if attempt.method == "INVITE" {
            headers.extend([
                ("Contact", &*contact),
                ("Allow", wire::ALLOW),
                ("Supported", wire::SUPPORTED),
            ]);
            buffer = String::new();
            if let Some(interval) = self.sessions.asked(attempt.min_se_s, &mut buffer) {
                headers.push(("Session-Expires", interval));
            }
            if let Some(seconds) = attempt.min_se_s {
                min_se = seconds.to_string();
                headers.push(("Min-SE", &min_se));
            }
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
            max_forwards: attempt.max_forwards().unwrap_or(wire::MAX_FORWARDS),
        }
        .write(headers, &attempt.body)
    }

    pub(super) fn add_client(
        &mut self,
        now: Now,
        key: Key,
        hop: Hop,
        bytes: Arc<[u8]>,
        purpose: Purpose,
    ) {
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
        if self.is_ours(id, key) {
            return self.on_modified(now, id, Some(key), seen, response);
        }
        if (200..300).contains(&response.status) && self.is_ending(id, response) {
            // It crossed our BYE, which is all that its sender needs besides the ACK.
            if let Ok(dialog) = Dialog::accepted(&response.headers, seen) {
                self.acknowledge(now, key, &dialog, dialog.last_cseq(), None);
            }
            return;
        }
        if (101..200).contains(&response.status) && !self.acknowledge_early(now, id, seen, response)
        {
            return;
        }
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
                    self.failed(id, Some(487), None);
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
            return self.failed(id, Some(response.status), None);
        };
        let old = self.remove_dialog(id).expect("the caller has just seen it");
        let mut offer = Vec::new();
        let invite_cseq = dialog.last_cseq();
        if let State::Calling(calling) = old.state {
            let mut forks = calling.early.iter();
            if let Some(early) = forks.find(|early| early.tag == dialog.remote_tag)
                && let Some(early) = &early.dialog
            {
                dialog.follow(&early.dialog);
            }
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
                body,
                ..
            } = calling.attempt;
            offer = body;
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
        let agreed = self.sessions.told(&response.headers, None);
        dialog.settle_session(now, agreed);
        if agreed.is_some_and(|agreed| agreed.ours) && !dialog.updates {
            dialog.sdp = Sdp::alone(offer);
        }
        let login = dialog.login.as_ref().map(|login| login.header.clone());
        let login = login.as_ref().map(|(name, value)| (*name, &**value));
        self.acknowledge(now, key, &dialog, invite_cseq, login);
        self.add_dialog(id, dialog);
        self.event(Event::Answered {
            dialog: id,
            body: response.body.to_vec(),
        });
    }

    /// Acknowledges a 2xx, now and whenever it comes again (§13.2.2.4).
    pub(super) fn acknowledge(
        &mut self,
        now: Now,
        key: Key,
        dialog: &Dialog,
        cseq: u32,
        login: Option<(&str, &str)>,
    ) {
        let branch = self.token();
        let via = (self.config.own(dialog.hop), branch.as_str());
        let ack = dialog.draft("ACK", cseq, via).write(login);
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
        self.acknowledge(now, key, &dialog, dialog.last_cseq(), None);
        let cseq = dialog.next_cseq();
        let branch = self.token();
        let via = (self.config.own(dialog.hop), branch.as_str());
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
                calling.attempt.usable(response),
            )
        {
            let mut attempt = calling.attempt.clone();
            attempt.proves(header);
            return self.invite(now, id, attempt);
        }
        if let State::Calling(calling) = &dialog.state
            && (response.status, &calling.cancel) == (422, &Cancel::No)
            && calling.attempt.min_se_s.is_none()
            && let Some(least) = session::min_se(&response.headers)
        {
            let mut attempt = calling.attempt.clone();
            attempt.cseq += 1;
            attempt.min_se_s = Some(least);
            return self.invite(now, id, attempt);
        }
        self.remove_dialog(id);
        self.failed(id, Some(response.status), Some(response));
    }

    /// Our INVITE is over, with what the final answer tells besides its status.
    fn failed(&mut self, dialog: DialogId, status: Option<u16>, response: Option<&Response>) {
        let reason = response.and_then(|response| reason_of(&response.headers));
        let contacts = response.map(redirections).unwrap_or_default();
        let retry_after = response.and_then(|response| retry_after_of(&response.headers));
        self.event(Event::Failed {
            dialog,
            status,
            reason,
            contacts,
            retry_after,
        });
    }

    /// A 2xx to a re-INVITE of ours belongs to a dialog that we are leaving.
    fn is_ending(&self, id: DialogId, response: &Response) -> bool {
        let to = response.headers.first(&HeaderName::To).unwrap_or_default();
        let tag = wire::tag_of(to).unwrap_or_default();
        self.dialogs.get(&id).is_some_and(|dialog| {
            matches!(dialog.state, State::Ending | State::Leaving(..)) && *dialog.remote_tag == *tag
        })
    }

    /// What a client INVITE transaction says besides responses.
    pub(super) fn after_client_invite(&mut self, now: Now, verdict: Verdict, id: DialogId) {
        let calling = matches!(
            self.dialogs.get(&id).map(|d| &d.state),
            Some(State::Calling(_))
        );
        if (verdict.timed_out || verdict.broken) && calling {
            self.remove_dialog(id);
            return self.failed(id, None, None);
        }
        let reinvite = self
            .dialogs
            .get(&id)
            .and_then(|dialog| dialog.ours.as_ref())
            .is_some_and(|ours| !ours.update);
        if (verdict.timed_out || verdict.broken) && reinvite {
            self.modify_failed(now, id, None);
        }
    }

    /// What another client transaction says besides responses.
    pub(super) fn after_client(&mut self, now: Now, verdict: Verdict, purpose: Purpose) {
        if verdict.timed_out || verdict.broken {
            match purpose {
                Purpose::Bye { dialog, .. } => {
                    self.remove_dialog(dialog);
                }
                Purpose::Farewell => {}
                Purpose::Update { dialog, cseq } => {
                    if self.is_our_update(dialog, cseq) {
                        self.modify_failed(now, dialog, None);
                    }
                }
                Purpose::Refer { dialog, cseq } => {
                    self.on_refer_answered(now, dialog, cseq, None);
                }
                Purpose::Notify(dialog) | Purpose::Within(dialog) => self.lose(now, dialog),
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
            Purpose::Update { dialog, cseq } => {
                if self.is_our_update(dialog, cseq) {
                    let seen = self.dialogs[&dialog].hop;
                    self.on_modified(now, dialog, None, seen, response);
                }
            }
            Purpose::Refer { dialog, cseq } => {
                self.on_refer_answered(now, dialog, cseq, Some(response));
            }
            // 481 may mean the subscription alone, so the dialog stays.
            Purpose::Notify(dialog) => {
                if response.status >= 300 {
                    self.unheard(dialog);
                }
            }
            Purpose::Within(dialog) => {
                if matches!(response.status, 408 | 481) {
                    self.lose(now, dialog);
                }
            }
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
                let usable = attempt.usable(response);
                match login(&mut self.rng, response, &method, &attempt.uri, usable) {
                    Some(header) => {
                        attempt.proves(header);
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
}

impl Attempt {
    /// What the call control asked for, if it did.
    fn max_forwards(&self) -> Option<u8> {
        let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("Max-Forwards");
        let (_, value) = self.headers.iter().find(named)?;
        value.parse().ok()
    }

    /// Credentials that were not tried yet, or are good and came with a nonce that had become too old
    /// (RFC 7616 §3.3).
    fn usable(&self, response: &Response) -> Option<&Credentials> {
        let is_stale = || Challenge::choose(&response.headers).is_some_and(|it| it.stale);
        let again = || self.logins < LOGINS_MAX && is_stale();
        self.credentials
            .as_ref()
            .filter(|_| self.logins == 0 || again())
    }

    /// The same request once more, with this proof.
    fn proves(&mut self, header: (&'static str, String)) {
        self.cseq += 1;
        self.logins += 1;
        self.authorization = Some(header);
    }
}

/// The header that answers a challenge, if this is one and we have something to answer with.
pub(super) fn login(
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

/// URIs of a 3xx, the preferred first (§8.1.3.4). Those that cannot be read are left out.
fn redirections(response: &Response) -> Vec<String> {
    if !(300..400).contains(&response.status) {
        return Vec::new();
    }
    let contacts = response.headers.all(&HeaderName::Contact);
    let mut contacts: Vec<NameAddr> = contacts
        .filter_map(|value| NameAddr::parse(value).ok())
        .take(REDIRECTS_MAX)
        .collect();
    contacts.sort_by_key(|contact| std::cmp::Reverse(contact.q_thousandths()));
    contacts
        .iter()
        .map(|contact| contact.uri.to_string())
        .collect()
}

/// A branch as it is on the wire.
pub(super) fn cookie(branch: &str) -> String {
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
        && calling.early.iter().all(|known| *known.tag != *tag)
    {
        calling.early.push(Early {
            tag: tag.into(),
            dialog: None,
        });
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
    Times {
        expires: of_contact.or_else(|| headers.expires().ok().flatten()),
        min_expires: headers.min_expires().ok().flatten(),
        retry_after: retry_after_of(headers),
    }
}

/// What `Retry-After` says; a value that makes no sense says nothing.
fn retry_after_of(headers: &Headers) -> Option<Duration> {
    let retry_after = headers.retry_after().ok().flatten();
    retry_after.map(|it| it.delay)
}
