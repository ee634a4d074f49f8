//! Transfers: REFER with its NOTIFYs (RFC 3515), and INVITE with Replaces (RFC 3891).

use std::fmt::Write as _;

use vocab::{Mono, Now};

use super::receive::Arrival;
use super::table::Slot;
use super::wire::{self, Reply};
use super::{Around, Endpoint, Purpose, around};
use crate::border::{DialogId, Event};
use crate::dialog::{Dialog, State};
use crate::limits::REFER_WAIT;
use crate::message::{
    HeaderName, Headers, NameAddr, Replaces, Response, Uri, reason_phrase, unescape,
};
use crate::transaction::timer::GIVE_UP;
use crate::transaction::{Key, Server, server};

/// Body of a NOTIFY (RFC 3420).
const SIPFRAG: &str = "message/sipfrag;version=2.0";

/// A REFER of theirs: what we owe them.
pub(crate) struct Referral {
    /// The `id` of its event; `None` for the first, which needs none (RFC 3515 §2.4.6).
    id: Option<u32>,
    /// Its transaction and what all its answers begin with, until it is answered.
    asked: Option<(Key, Box<str>)>,
    until: Mono,
}

/// A REFER of ours.
pub(crate) struct Transfer {
    cseq: u32,
    until: Mono,
}

/// What a transfer wants done.
pub(crate) enum Due {
    /// They are not told of the end of theirs, and we do not care any more.
    Referral,
    /// They never told the end of ours.
    Transfer,
}

/// What a REFER asks for.
struct Wish {
    to: String,
    replaces: Option<Replaces>,
}

fn wish(headers: &Headers) -> Result<Wish, &'static str> {
    if headers.count(&HeaderName::ReferTo) != 1 {
        return Err("Not One Refer-To");
    }
    let value = headers.first(&HeaderName::ReferTo).unwrap_or_default();
    let mut uri = NameAddr::parse(value).map_err(|_| "Bad Refer-To")?.uri;
    let mut replaces = None;
    if let Uri::Sip(sip) = &mut uri {
        if sip
            .params
            .value("method")
            .is_some_and(|method| method != "INVITE")
        {
            return Err("Refer-To Without INVITE");
        }
        for header in sip.headers.take().iter().flat_map(|all| all.split('&')) {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            if unescape(name).eq_ignore_ascii_case("Replaces") {
                let value = Replaces::parse(&unescape(value)).map_err(|_| "Bad Replaces")?;
                replaces = Some(value);
            }
        }
    }
    let to = uri.to_string();
    Ok(Wish { to, replaces })
}

impl Dialog {
    pub(crate) fn refer_deadline(&self) -> Option<Mono> {
        let theirs = self.referral.as_ref().map(|referral| referral.until);
        let ours = self.transfer.as_ref().map(|transfer| transfer.until);
        theirs.into_iter().chain(ours).min()
    }

    pub(crate) fn refer_due(&mut self, now: Mono) -> Option<Due> {
        if self
            .referral
            .as_ref()
            .is_some_and(|theirs| theirs.until <= now)
        {
            return Some(Due::Referral);
        }
        let ended = self.transfer.take_if(|ours| ours.until <= now);
        ended.map(|_| Due::Transfer)
    }
}

impl Endpoint {
    /// REFER: the call control decides. One at a time.
    pub(super) fn on_refer(&mut self, now: Now, id: DialogId, arrival: &Arrival) {
        match self.dialogs[&id].state {
            State::Up(_) => {}
            State::Calling(_) | State::Ringing(_) => return self.not_yet(now, id, arrival),
            State::Leaving(..) | State::Ending => {
                return self.refuse_now(now, id, arrival, 481, &[]);
            }
        }
        let Wish { to, replaces } = match wish(arrival.headers()) {
            Ok(wish) => wish,
            Err(why) => return self.refuse_as(now, id, arrival, (400, Some(why)), &[]),
        };
        let cseq = arrival.headers().cseq().map_or(0, |cseq| cseq.number);
        if self.dialogs[&id].referral.is_some() {
            return self.refuse_now(now, id, arrival, 491, &[]);
        }
        let head = wire::head(&arrival.request, &arrival.via, "");
        let slot = Slot {
            machine: Server::trying(now),
            hop: arrival.reply_hop(),
            owner: (),
        };
        self.servers
            .insert(&mut around!(self, now), arrival.key, slot);
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        let first = !std::mem::replace(&mut dialog.referred, true);
        dialog.referral = Some(Box::new(Referral {
            id: (!first).then_some(cseq),
            asked: Some((arrival.key, head.into())),
            until: now.mono + GIVE_UP,
        }));
        self.rearm(id);
        let referred_by = arrival
            .headers()
            .first(&HeaderName::ReferredBy)
            .map(str::to_owned);
        self.event(Event::Refer {
            dialog: id,
            to,
            replaces,
            referred_by,
        });
    }

    /// Answers their REFER. Accepted, they are told at once that it is tried (RFC 3515 §2.4.4).
    pub(super) fn answer_refer(&mut self, now: Now, id: DialogId, status: u16) {
        let status = match status {
            200..300 => 202,
            300..700 => status,
            _ => 500,
        };
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let Some(referral) = &mut dialog.referral else {
            return;
        };
        let Some((key, head)) = referral.asked.take() else {
            return;
        };
        referral.until = now.mono + REFER_WAIT;
        if status >= 300 {
            dialog.referral = None;
        }
        if let Some(slot) = self.servers.slot(key) {
            let hop = slot.hop;
            let own = self.config.own(hop);
            let contact = wire::contact(hop.transport, own);
            let bytes = Reply::new(status, &head).write([("Contact", &*contact)], b"");
            let transport = hop.transport;
            self.feed_server(now, key, server::Input::Respond { transport, bytes });
        }
        if status == 202 {
            self.notify(now, id, 100);
        }
        self.rearm(id);
    }

    /// Tells how far their REFER is. A final status is the last.
    pub(super) fn notify(&mut self, now: Now, id: DialogId, status: u16) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let up = matches!(dialog.state, State::Up(_));
        let Some(referral) = dialog.referral.as_ref().filter(|_| up) else {
            return;
        };
        if referral.asked.is_some() || !(100..700).contains(&status) {
            return;
        }
        let event = match referral.id {
            Some(cseq) => format!("refer;id={cseq}"),
            None => "refer".to_owned(),
        };
        let state = if status < 200 {
            format!(
                "active;expires={}",
                referral.until.since(now.mono).as_secs()
            )
        } else {
            dialog.referral = None;
            "terminated;reason=noresource".to_owned()
        };
        let hop = dialog.hop;
        let own = self.config.own(hop);
        let contact = wire::contact(hop.transport, own);
        let headers = [
            ("Contact", &*contact),
            ("Event", &*event),
            ("Subscription-State", &*state),
        ];
        let body = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status));
        let purpose = Purpose::Notify(id);
        self.send_within(
            now,
            id,
            "NOTIFY",
            &headers,
            SIPFRAG,
            body.as_bytes(),
            purpose,
        );
        self.rearm(id);
    }

    /// A NOTIFY was refused: nobody listens any more (RFC 6665 §4.2.2).
    pub(super) fn unheard(&mut self, id: DialogId) {
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.referral = None;
            self.rearm(id);
        }
    }

    /// Sends REFER.
    pub(super) fn refer(&mut self, now: Now, id: DialogId, to: &str, headers: &[(String, String)]) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        match dialog.state {
            State::Up(_) if dialog.transfer.is_none() => {}
            State::Calling(_) | State::Ringing(_) | State::Up(_) => {
                let status = Some(491);
                return self.event(Event::ReferAnswered { dialog: id, status });
            }
            State::Leaving(..) | State::Ending => return,
        }
        let cseq = dialog.last_cseq() + 1;
        let until = now.mono + REFER_WAIT;
        dialog.transfer = Some(Transfer { cseq, until });
        let hop = dialog.hop;
        let own = self.config.own(hop);
        let contact = wire::contact(hop.transport, own);
        let to = format!("<{to}>");
        let mut all: Vec<(&str, &str)> = vec![("Contact", &contact), ("Refer-To", &to)];
        all.extend(headers.iter().map(|(name, value)| (&**name, &**value)));
        let purpose = Purpose::Refer { dialog: id, cseq };
        self.send_within(now, id, "REFER", &all, "", b"", purpose);
        self.rearm(id);
    }

    /// The final answer to our REFER; `None`: there was none.
    pub(super) fn on_refer_answered(
        &mut self,
        now: Now,
        id: DialogId,
        cseq: u32,
        response: Option<&Response>,
    ) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let known = dialog
            .transfer
            .as_ref()
            .is_some_and(|ours| ours.cseq == cseq);
        // The last NOTIFY may have overtaken this answer.
        if known && response.is_none_or(|response| response.status >= 300) {
            dialog.transfer = None;
        }
        if !matches!(dialog.state, State::Up(_)) {
            return;
        }
        let status = response.map(|response| response.status);
        self.event(Event::ReferAnswered { dialog: id, status });
        if matches!(status, None | Some(408 | 481)) {
            return self.lose(now, id);
        }
        self.rearm(id);
    }

    /// NOTIFY: how far our REFER is (RFC 3515 §2.4.5).
    pub(super) fn on_notify(&mut self, now: Now, id: DialogId, arrival: &Arrival) {
        let dialog = self.dialogs.get_mut(&id).expect("what has a name exists");
        let up = matches!(dialog.state, State::Up(_));
        if !up || dialog.transfer.is_none() || !is_refer(arrival.headers()) {
            return self.refuse_now(now, id, arrival, 481, &[]);
        }
        let status = sipfrag(&arrival.request.body);
        let state = HeaderName::parse("Subscription-State");
        let state = state.and_then(|name| arrival.headers().first(&name));
        let ended = state.is_some_and(|state| {
            let word = state.split(';').next().unwrap_or_default();
            word.trim().eq_ignore_ascii_case("terminated")
        });
        let over = ended || status.is_some_and(|status| status >= 200);
        if over {
            dialog.transfer = None;
        }
        self.answer(now, arrival, 200);
        self.rearm(id);
        self.event(Event::ReferProgress {
            dialog: id,
            status,
            over,
        });
    }

    /// A transfer has taken too long.
    pub(super) fn refer_over(&mut self, now: Now, id: DialogId, due: &Due) {
        match due {
            Due::Transfer => self.event(Event::ReferProgress {
                dialog: id,
                status: None,
                over: true,
            }),
            Due::Referral => {
                self.notify(now, id, 408);
                self.unheard(id);
            }
        }
    }

    /// The dialog that an INVITE is to take the place of (RFC 3891 §3).
    ///
    /// # Errors
    /// What the INVITE is refused with.
    pub(super) fn replaced(&self, headers: &Headers) -> Result<Option<DialogId>, u16> {
        let Some(value) = headers.first(&HeaderName::Replaces) else {
            return Ok(None);
        };
        if headers.count(&HeaderName::Replaces) > 1 {
            return Err(400);
        }
        let replaces = Replaces::parse(value).map_err(|_| 400_u16)?;
        let name = self.name(&replaces.call_id, &replaces.to_tag);
        let id = *self.names.get(&name).ok_or(481_u16)?;
        let dialog = self.dialogs.get(&id).ok_or(481_u16)?;
        let same = *dialog.remote_tag == *replaces.from_tag;
        match &dialog.state {
            State::Up(_) if same && replaces.early_only => Err(486),
            State::Up(_) if same => Ok(Some(id)),
            State::Leaving(..) | State::Ending if same => Err(603),
            // An early dialog may be taken over only if the call was ours.
            State::Calling(calling) => {
                let early = &calling.early;
                let known = early.iter().any(|early| *early.tag == *replaces.from_tag);
                known.then_some(Some(id)).ok_or(481)
            }
            State::Ringing(_) | State::Up(_) | State::Leaving(..) | State::Ending => Err(481),
        }
    }

    /// The dialog that a `Replaces` names, as whoever sends it sees it: our tag is the `to-tag`. It
    /// may be early.
    pub fn named(&self, replaces: &Replaces) -> Option<DialogId> {
        let name = self.name(&replaces.call_id, &replaces.to_tag);
        let id = *self.names.get(&name)?;
        let dialog = self.dialogs.get(&id)?;
        let same = match &dialog.state {
            State::Calling(calling) => {
                let mut early = calling.early.iter();
                early.any(|early| *early.tag == *replaces.from_tag)
            }
            State::Ringing(_) | State::Up(_) => *dialog.remote_tag == *replaces.from_tag,
            State::Leaving(..) | State::Ending => false,
        };
        same.then_some(id)
    }

    /// What an INVITE says in `Replaces` to take the place of this dialog at its far end; `None`
    /// if that is not established.
    pub fn replaces(&self, dialog: DialogId) -> Option<Replaces> {
        let dialog = self.dialogs.get(&dialog)?;
        matches!(dialog.state, State::Up(_)).then(|| Replaces {
            call_id: dialog.call_id.to_string(),
            to_tag: dialog.remote_tag.to_string(),
            from_tag: dialog.local_tag.to_string(),
            early_only: false,
        })
    }

    /// What a REFER says in `Refer-To` to have its receiver take our place in this dialog
    /// (RFC 5589 §7.1); `None` if that is not established.
    pub fn refer_to(&self, dialog: DialogId) -> Option<String> {
        let replaces = self.replaces(dialog)?.escaped();
        let mut to = self.dialogs.get(&dialog)?.target().to_owned();
        write!(to, "?Replaces={replaces}").expect("a string takes any text");
        Some(to)
    }
}

/// The event is that of a REFER.
fn is_refer(headers: &Headers) -> bool {
    let event = HeaderName::parse("Event").and_then(|name| headers.first(&name));
    event.is_some_and(|event| {
        let word = event.split(';').next().unwrap_or_default();
        word.trim().eq_ignore_ascii_case("refer")
    })
}

/// The status of the response that a body begins with.
fn sipfrag(body: &[u8]) -> Option<u16> {
    let line = body.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let text = std::str::from_utf8(line).ok()?.strip_prefix("SIP/2.0 ")?;
    let status = text.get(..3)?.parse().ok()?;
    (100..700).contains(&status).then_some(status)
}
