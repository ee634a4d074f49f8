//! What two user agents remember of each other between INVITE and BYE (RFC 3261 §12).

use std::sync::Arc;
use std::time::Duration;

use vocab::Mono;

use crate::border::{Credentials, Hop};
use crate::endpoint::modify::{Ours, Stage};
use crate::endpoint::prack::{self, EarlyDialog, Reliable};
use crate::endpoint::refer::{self, Referral, Transfer};
use crate::endpoint::route;
use crate::endpoint::session::{Agreed, Sdp, Session};
use crate::endpoint::wire::{Draft, MAX_FORWARDS, tag_of};
use crate::limits::{PROVISIONAL_INTERVAL, ROUTES_MAX};
use crate::message::{HeaderError, HeaderName, Headers, NameAddr, Request, SyntaxError};
use crate::transaction::Key;
use crate::transaction::timer::{GIVE_UP, T1, T2};

/// One dialog, from the INVITE that may create it to the BYE that ends it.
///
/// | State | Input | Next |
/// |---|---|---|
/// | Calling | 2xx | Up, Idle |
/// | Calling | 300-699, nothing | (gone) |
/// | Ringing | 2xx of ours | Up, Accepted |
/// | Ringing | 300-699 of ours, CANCEL | (gone) |
/// | Up, Idle | INVITE | Up, Pending |
/// | Up, Pending | 2xx of ours | Up, Accepted |
/// | Up, Pending | 300-699 of ours, CANCEL | Up, Idle |
/// | Up, Accepted | ACK | Up, Idle |
/// | Up, Accepted | hang-up | Leaving, Accepted |
/// | Up, Accepted | no ACK for 64·T1 | Ending |
/// | Up | hang-up, session expired | Ending |
/// | Up | 408, 481, nothing to a request of ours | Ending |
/// | Leaving | ACK, no ACK for 64·T1 | Ending |
/// | Up, Leaving, Ending | their BYE | (gone) |
/// | Ending | answer to our BYE, or none | (gone) |
pub(crate) struct Dialog {
    /// `Call-ID`.
    pub(crate) call_id: Arc<str>,
    /// Our tag.
    pub(crate) local_tag: Box<str>,
    /// Their tag; empty while it is not known.
    pub(crate) remote_tag: Box<str>,
    /// `From` of our requests.
    local: Box<str>,
    /// `To` of our requests.
    remote: Box<str>,
    /// Their `Contact`.
    target: Box<str>,
    routes: Vec<Box<str>>,
    /// Where our requests go.
    pub(crate) hop: Hop,
    local_cseq: u32,
    /// Highest number of their requests; `None` before the first (§12.2.2).
    remote_cseq: Option<u32>,
    /// What the far end asked us to prove, for ACK (§22.1) and BYE.
    pub(crate) login: Option<Box<Login>>,
    /// How long the session lasts unless it is refreshed (RFC 4028).
    pub(crate) session: Option<Session>,
    /// The first INVITE was ours, and so is the `Call-ID` (§14.1).
    pub(crate) owner: bool,
    /// Their `Allow` names UPDATE.
    pub(crate) updates: bool,
    /// The last SDP of ours that went out in an offer or answer.
    pub(crate) sdp: Option<Sdp>,
    /// Our re-INVITE or UPDATE.
    pub(crate) ours: Option<Box<Ours>>,
    /// Their UPDATE with an offer.
    pub(crate) update: Option<Box<Pending>>,
    /// Their REFER.
    pub(crate) referral: Option<Box<Referral>>,
    /// There was one already.
    pub(crate) referred: bool,
    /// Our REFER.
    pub(crate) transfer: Option<Transfer>,
    pub(crate) state: State,
    /// What is written in the agenda.
    pub(crate) armed: Option<Mono>,
}

/// Credentials that were used in a dialog.
pub(crate) struct Login {
    pub(crate) credentials: Credentials,
    /// Name and value of the header that went with the INVITE.
    pub(crate) header: (&'static str, String),
}

/// See [`Dialog`].
pub(crate) enum State {
    /// Our INVITE has no final answer.
    Calling(Box<Calling>),
    /// Their INVITE has no final answer.
    Ringing(Pending),
    /// Established.
    Up(Inbound),
    /// Established and to be left as soon as the standard allows a BYE: the callee waits for the
    /// ACK (§15). The call control was told already.
    Leaving(Accepted, Option<String>),
    /// BYE was sent.
    Ending,
}

/// Our INVITE while it is pending.
pub(crate) struct Calling {
    /// Its transaction.
    pub(crate) transaction: Key,
    /// Its branch without magic cookie; CANCEL has the same.
    pub(crate) branch: Box<str>,
    /// What is needed to send it again with credentials.
    pub(crate) attempt: Attempt,
    pub(crate) cancel: Cancel,
    /// Dialogs that provisional responses made.
    pub(crate) early: Vec<Early>,
}

/// A dialog before the final answer.
pub(crate) struct Early {
    pub(crate) tag: Box<str>,
    /// More than the tag is kept if the far end wants PRACKs.
    pub(crate) dialog: Option<Box<EarlyDialog>>,
}

/// A request of ours that may be sent a second time, with credentials.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) hop: Hop,
    /// `From` without tag.
    pub(crate) from: String,
    /// Our tag.
    pub(crate) tag: String,
    pub(crate) to: String,
    pub(crate) call_id: Arc<str>,
    pub(crate) cseq: u32,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) credentials: Option<Credentials>,
    /// Set once they were used.
    pub(crate) authorization: Option<(&'static str, String)>,
    /// How often they were.
    pub(crate) logins: u8,
    /// Their `Min-SE`, once our session interval was too short for them (RFC 4028 §7.3).
    pub(crate) min_se_s: Option<u32>,
}

/// How far giving up our INVITE is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cancel {
    /// Nobody asked.
    No,
    /// CANCEL goes out with the first provisional response (§9.1).
    Wanted { reason: Option<String> },
    /// CANCEL went out.
    Sent,
}

/// What is going on with an INVITE of theirs in an established dialog.
pub(crate) enum Inbound {
    /// Nothing.
    Idle,
    /// A re-INVITE waits for our answer.
    Pending(Pending),
    /// Our 2xx waits for its ACK.
    Accepted(Accepted),
}

/// An INVITE of theirs without a final answer.
pub(crate) struct Pending {
    pub(crate) transaction: Key,
    /// What all its answers begin with.
    pub(crate) head: Box<str>,
    pub(crate) cseq: u32,
    /// It carried an offer; otherwise our 2xx does.
    pub(crate) offered: bool,
    /// Session interval that our 2xx settles.
    pub(crate) session: Option<Agreed>,
    /// The last provisional answer above 100 and when it is repeated.
    pub(crate) reminder: Option<(Mono, u16, Arc<[u8]>)>,
    /// Provisional answers want a PRACK each (RFC 3262).
    pub(crate) reliable: Option<Box<Reliable>>,
}

/// A 2xx of ours without an ACK. It is the user's to repeat (§13.3.1.4).
pub(crate) struct Accepted {
    pub(crate) ok: Arc<[u8]>,
    /// Where it goes.
    pub(crate) hop: Hop,
    /// Of the INVITE and its ACK.
    pub(crate) cseq: u32,
    /// It carries our offer, and the ACK will have their answer.
    pub(crate) offers: bool,
    resend_at: Mono,
    pause: Duration,
    give_up_at: Mono,
}

/// What a dialog wants done when its time has come.
pub(crate) enum Chore {
    /// Send the 2xx again.
    Resend(Hop, Arc<[u8]>),
    /// Send a provisional answer again, through its transaction.
    Remind(Key, u16, Arc<[u8]>),
    /// No ACK came.
    NoAck,
    /// Send a reliable provisional answer again.
    Repeat(Key, u16, Arc<[u8]>),
    /// No PRACK came.
    NoPrack,
    /// A transfer takes too long.
    Refer(refer::Due),
    /// The session was not refreshed.
    Expired,
    /// Refresh the session.
    Refresh,
    /// Try our re-INVITE or UPDATE now.
    Modify,
    /// Cancel our re-INVITE: it has waited too long.
    Withdraw,
}

/// Their request cannot follow the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfOrder;

impl Accepted {
    pub(crate) fn new(now: Mono, hop: Hop, invite: &Pending, ok: Arc<[u8]>) -> Self {
        Self {
            ok,
            hop,
            cseq: invite.cseq,
            offers: !invite.offered,
            resend_at: now + T1,
            pause: T1,
            give_up_at: now + GIVE_UP,
        }
    }
}

impl Dialog {
    /// The dialog their INVITE makes once it is accepted (§12.1.1). `seen` is where it came from;
    /// `natted` that its `Contact` is no good.
    ///
    /// # Errors
    /// What is missing or bad in the request.
    pub(crate) fn incoming(
        request: &Request,
        tag: &str,
        seen: Hop,
        natted: bool,
        state: State,
    ) -> Result<Self, HeaderError> {
        let headers = &request.headers;
        let peer = Peer {
            target: target(headers).or_else(|error| caller(headers, error))?,
            routes: taken_routes(headers.all(&HeaderName::RecordRoute))?,
        };
        let missing = || HeaderError::Missing(HeaderName::From);
        let from = headers.first(&HeaderName::From).ok_or_else(missing)?;
        let to = headers.first(&HeaderName::To).ok_or_else(missing)?;
        let hop = if natted {
            seen
        } else {
            route::dialog_hop(&peer.routes, &peer.target, seen)
        };
        Ok(Self {
            call_id: headers.call_id()?.into(),
            local_tag: tag.into(),
            remote_tag: tag_of(from).unwrap_or_default().into(),
            local: format!("{to};tag={tag}").into(),
            remote: from.into(),
            target: peer.target,
            routes: peer.routes,
            hop,
            // Any start below 2^31 will do (§12.1.1); one makes ladders readable.
            local_cseq: 0,
            remote_cseq: Some(headers.cseq()?.number),
            login: None,
            session: None,
            owner: false,
            updates: headers.lists(&HeaderName::Allow, "UPDATE"),
            sdp: None,
            ours: None,
            update: None,
            referral: None,
            referred: false,
            transfer: None,
            state,
            armed: None,
        })
    }

    /// The dialog our INVITE may make. It has no far end yet.
    pub(crate) fn calling(calling: Calling) -> Self {
        Self {
            call_id: calling.attempt.call_id.clone(),
            local_tag: calling.attempt.tag.clone().into(),
            remote_tag: Box::default(),
            local: Box::default(),
            remote: Box::default(),
            target: Box::default(),
            routes: Vec::new(),
            hop: calling.attempt.hop,
            local_cseq: calling.attempt.cseq,
            remote_cseq: None,
            login: None,
            session: None,
            owner: true,
            updates: false,
            sdp: None,
            ours: None,
            update: None,
            referral: None,
            referred: false,
            transfer: None,
            state: State::Calling(Box::new(calling)),
            armed: None,
        }
    }

    /// The dialog that a 2xx to our INVITE makes (§12.1.2); everything needed is in the response.
    ///
    /// A 2xx without a usable `Contact` breaks §12.1.1, but its sender waits for an ACK all the
    /// same: it is sent back to where the 2xx came from.
    ///
    /// # Errors
    /// What is missing or bad in the response.
    pub(crate) fn accepted(headers: &Headers, seen: Hop) -> Result<Self, HeaderError> {
        let routes: Vec<&str> = headers.all(&HeaderName::RecordRoute).collect();
        let peer = Peer {
            target: target(headers).unwrap_or_else(|_| format!("sip:{}", seen.remote).into()),
            routes: taken_routes(routes.into_iter().rev())?,
        };
        let missing = || HeaderError::Missing(HeaderName::To);
        let from = headers.first(&HeaderName::From).ok_or_else(missing)?;
        let to = headers.first(&HeaderName::To).ok_or_else(missing)?;
        let hop = route::dialog_hop(&peer.routes, &peer.target, seen);
        Ok(Self {
            call_id: headers.call_id()?.into(),
            local_tag: tag_of(from).unwrap_or_default().into(),
            remote_tag: tag_of(to).unwrap_or_default().into(),
            local: from.into(),
            remote: to.into(),
            target: peer.target,
            routes: peer.routes,
            hop,
            local_cseq: headers.cseq()?.number,
            remote_cseq: None,
            login: None,
            session: None,
            owner: true,
            updates: headers.lists(&HeaderName::Allow, "UPDATE"),
            sdp: None,
            ours: None,
            update: None,
            referral: None,
            referred: false,
            transfer: None,
            state: State::Up(Inbound::Idle),
            armed: None,
        })
    }

    /// Takes over the `Contact` of a re-INVITE, an UPDATE or a 2xx to one (§12.2.2, §12.2.1.2);
    /// routes stay.
    pub(crate) fn refresh_target(&mut self, headers: &Headers, seen: Hop, natted: bool) {
        if headers.has(&HeaderName::Allow) {
            self.updates = headers.lists(&HeaderName::Allow, "UPDATE");
        }
        if let Ok(contact) = headers.contact() {
            self.target = contact.uri.to_string().into();
            self.hop = if natted && self.routes.is_empty() {
                seen
            } else {
                route::dialog_hop(&self.routes, &self.target, seen)
            };
        }
    }

    /// Notes the number of their next request (§12.2.2). An equal one passes: it is the same
    /// request by another way or after its transaction, and not dangerous.
    pub(crate) fn note_cseq(&mut self, number: u32) -> Result<(), OutOfOrder> {
        match self.remote_cseq {
            Some(last) if number < last => Err(OutOfOrder),
            Some(_) | None => {
                self.remote_cseq = Some(number);
                Ok(())
            }
        }
    }

    /// Our INVITE is sent again, with credentials.
    pub(crate) fn call_again(&mut self, calling: Calling, cseq: u32) {
        assert!(
            matches!(self.state, State::Calling(_)),
            "only a pending INVITE is repeated"
        );
        self.local_cseq = cseq;
        self.state = State::Calling(Box::new(calling));
    }

    /// Routes as they came in the INVITE, for our answers to it (§12.1.1).
    pub(crate) fn record_routes(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|route| &**route)
    }

    /// URI of the far end.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// Number of our last request.
    pub(crate) fn last_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Goes on with the numbers of the early dialog that became this one.
    pub(crate) fn follow(&mut self, early: &Self) {
        self.local_cseq = self.local_cseq.max(early.local_cseq);
        self.remote_cseq = early.remote_cseq;
    }

    /// The next number for a request of ours.
    pub(crate) fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// A request of ours in this dialog (§12.2.1.1). ACK repeats the number of its INVITE.
    pub(crate) fn draft<'a>(
        &'a self,
        method: &'a str,
        cseq: u32,
        via: (std::net::SocketAddr, &'a str),
    ) -> DialogDraft<'a> {
        // A first route without `lr` is a strict router: it wants its own URI in the request line
        // and ours at the end of the routes.
        let strict = self.routes.first().and_then(|first| {
            let uri = NameAddr::parse(first).ok()?.uri;
            let loose = uri.sip().is_some_and(|uri| uri.params.has("lr"));
            (!loose).then(|| uri.to_string())
        });
        let routes = strict.as_ref().map(|_| {
            let mut routes = self.routes[1..].to_vec();
            routes.push(format!("<{}>", self.target).into());
            routes
        });
        DialogDraft {
            dialog: self,
            method,
            cseq,
            via,
            strict,
            routes,
        }
    }

    /// When the dialog wants something done.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        let accepted = |accepted: &Accepted| accepted.resend_at.min(accepted.give_up_at);
        let own = match &self.state {
            State::Ringing(pending) | State::Up(Inbound::Pending(pending)) => {
                let reminder = pending.reminder.as_ref().map(|(at, ..)| *at);
                let reliable = pending.reliable.as_ref().and_then(|r| r.deadline());
                reminder.into_iter().chain(reliable).min()
            }
            State::Up(Inbound::Accepted(waiting)) | State::Leaving(waiting, _) => {
                Some(accepted(waiting))
            }
            State::Calling(_) | State::Up(Inbound::Idle) | State::Ending => None,
        };
        let (session, ours) = match &self.state {
            State::Up(_) => (
                self.session.map(|session| session.deadline()),
                self.ours
                    .as_ref()
                    .and_then(|ours| ours.deadline())
                    .into_iter()
                    .chain(self.refer_deadline())
                    .min(),
            ),
            State::Calling(_) | State::Ringing(_) | State::Leaving(..) | State::Ending => {
                (None, None)
            }
        };
        own.into_iter().chain(session).chain(ours).min()
    }

    /// The next thing that is due, if any.
    pub(crate) fn due(&mut self, now: Mono) -> Option<Chore> {
        if matches!(self.state, State::Up(_))
            && let Some(chore) = self.due_up(now)
        {
            return Some(chore);
        }
        match &mut self.state {
            State::Ringing(pending) | State::Up(Inbound::Pending(pending)) => {
                let reliable = pending.reliable.as_mut().and_then(|r| r.due(now));
                match reliable {
                    Some(prack::Due::Resend(status, bytes)) => {
                        return Some(Chore::Repeat(pending.transaction, status, bytes));
                    }
                    Some(prack::Due::GiveUp) => return Some(Chore::NoPrack),
                    None => {}
                }
                let (at, status, bytes) =
                    pending.reminder.as_mut().filter(|(at, ..)| *at <= now)?;
                *at = now + PROVISIONAL_INTERVAL;
                Some(Chore::Remind(pending.transaction, *status, bytes.clone()))
            }
            State::Up(Inbound::Accepted(waiting)) | State::Leaving(waiting, _) => {
                if waiting.give_up_at <= now {
                    return Some(Chore::NoAck);
                }
                if waiting.resend_at > now {
                    return None;
                }
                waiting.pause = (waiting.pause * 2).min(T2);
                waiting.resend_at = now + waiting.pause;
                Some(Chore::Resend(waiting.hop, waiting.ok.clone()))
            }
            State::Calling(_) | State::Up(Inbound::Idle) | State::Ending => None,
        }
    }

    /// What an established dialog wants besides answering.
    fn due_up(&mut self, now: Mono) -> Option<Chore> {
        if let Some(session) = &mut self.session {
            if session.end_at <= now {
                if session.agreed.shared {
                    self.session = None;
                    return Some(Chore::Expired);
                }
                // Whoever refuses a refresh he knows nothing of is there all the same.
                *session = Session::new(now, session.agreed);
            }
            if session.refresh_at.is_some_and(|at| at <= now) {
                session.refresh_at = None;
                return Some(Chore::Refresh);
            }
        }
        if let Some(due) = self.refer_due(now) {
            return Some(Chore::Refer(due));
        }
        match &mut self.ours.as_mut()?.stage {
            Stage::Waiting(at) => (*at <= now).then_some(Chore::Modify),
            Stage::Sent { cancel_at, .. } => {
                cancel_at.take_if(|at| *at <= now).map(|_| Chore::Withdraw)
            }
        }
    }
}

/// The far end as its INVITE or 2xx describes it.
struct Peer {
    target: Box<str>,
    routes: Vec<Box<str>>,
}

fn target(headers: &Headers) -> Result<Box<str>, HeaderError> {
    Ok(headers.contact()?.uri.to_string().into())
}

/// The target of a caller of RFC 2543, which knew `INVITE`s without `Contact`: its `From` (RFC 4475
/// §3.4.1). A `Contact` that is there but bad stays an error.
fn caller(headers: &Headers, error: HeaderError) -> Result<Box<str>, HeaderError> {
    match error {
        HeaderError::Missing(_) => Ok(headers.from()?.uri.to_string().into()),
        HeaderError::Invalid { .. } => Err(error),
    }
}

fn taken_routes<'a>(routes: impl Iterator<Item = &'a str>) -> Result<Vec<Box<str>>, HeaderError> {
    let bad = |why| HeaderError::Invalid {
        header: HeaderName::RecordRoute,
        why,
    };
    let mut taken: Vec<Box<str>> = Vec::new();
    for route in routes {
        if taken.len() == ROUTES_MAX {
            return Err(bad(SyntaxError("too many routes")));
        }
        NameAddr::parse(route).map_err(bad)?;
        taken.push(route.into());
    }
    Ok(taken)
}

/// A request of ours about to be written; see [`Dialog::draft`].
pub(crate) struct DialogDraft<'a> {
    dialog: &'a Dialog,
    method: &'a str,
    cseq: u32,
    via: (std::net::SocketAddr, &'a str),
    strict: Option<String>,
    routes: Option<Vec<Box<str>>>,
}

impl DialogDraft<'_> {
    /// The bytes, with further headers.
    pub(crate) fn write<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Arc<[u8]> {
        self.write_with(headers, crate::endpoint::wire::SDP, b"")
    }

    /// The bytes, with further headers and a body of some type.
    pub(crate) fn write_with<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        content_type: &str,
        body: &[u8],
    ) -> Arc<[u8]> {
        let dialog = self.dialog;
        let (own, branch) = self.via;
        Draft {
            method: self.method,
            uri: self.strict.as_deref().unwrap_or(&dialog.target),
            transport: dialog.hop.transport,
            own,
            branch,
            routes: self.routes.as_deref().unwrap_or(&dialog.routes),
            from: &dialog.local,
            to: &dialog.remote,
            call_id: &dialog.call_id,
            cseq: self.cseq,
            max_forwards: MAX_FORWARDS,
        }
        .write_with(headers, content_type, body)
    }
}
