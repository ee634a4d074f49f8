//! Session timers (RFC 4028): what both sides settle, and refreshing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use vocab::{Mono, Now};

use super::Endpoint;
use super::inbound::Answered;
use super::modify::{Ours, Stage};
use super::receive::Arrival;
use crate::border::DialogId;
use crate::dialog::Dialog;
use crate::limits::{REFRESH_PAUSE_MIN, SESSION_INTERVAL_MIN};
use crate::message::{HeaderName, Headers};

/// A session interval as a 2xx settles it (RFC 4028 §9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Agreed {
    pub(crate) interval_s: u32,
    /// We refresh.
    pub(crate) ours: bool,
    /// The far end knows of it. If not, only we learn from it whether the other is there.
    pub(crate) shared: bool,
}

/// A session that ends unless it is refreshed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    pub(crate) agreed: Agreed,
    /// When we refresh it; `None` if they do or there is no time left.
    pub(crate) refresh_at: Option<Mono>,
    pub(crate) end_at: Mono,
}

impl Session {
    /// Half the interval until a refresh (RFC 4028 §10), and the end a little before the interval
    /// is over: the smaller of 32 s and a third of it.
    pub(crate) fn new(now: Mono, agreed: Agreed) -> Self {
        let interval = Duration::from_secs(agreed.interval_s.into());
        Self {
            agreed,
            refresh_at: agreed.ours.then(|| now + interval / 2),
            end_at: now + (interval - (interval / 3).min(Duration::from_secs(32))),
        }
    }

    /// A refresh was refused: half of the time that is left is waited for the next.
    pub(crate) fn refused(&mut self, now: Mono) {
        let left = self.end_at.since(now);
        self.refresh_at = (left > REFRESH_PAUSE_MIN * 2).then(|| now + left / 2);
    }

    pub(crate) fn deadline(&self) -> Mono {
        self.refresh_at.unwrap_or(self.end_at).min(self.end_at)
    }
}

/// An SDP of ours, kept without a copy.
pub(crate) enum Sdp {
    /// The end of the message that carried it, from this byte on.
    Within(Arc<[u8]>, usize),
    Alone(Vec<u8>),
}

impl Sdp {
    /// The body of a message of ours; `None` if it had none.
    pub(crate) fn within(message: &Arc<[u8]>, body: &[u8]) -> Option<Self> {
        let at = message.len().checked_sub(body.len())?;
        (!body.is_empty()).then(|| Self::Within(message.clone(), at))
    }

    pub(crate) fn alone(body: Vec<u8>) -> Option<Self> {
        (!body.is_empty()).then_some(Self::Alone(body))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Within(message, at) => &message[*at..],
            Self::Alone(body) => body,
        }
    }
}

/// What our messages say of sessions. Written once: most sessions have the interval we ask for.
pub(super) struct Sessions {
    interval_s: Option<u32>,
    /// `Session-Expires` of our requests.
    asked: String,
    /// The same of our 2xx, if they refresh.
    theirs: String,
    /// The same of our 2xx, if we refresh.
    ours: String,
}

impl Sessions {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        let interval_s = interval.map(|interval| seconds(interval.max(SESSION_INTERVAL_MIN)));
        let value = |ours| {
            let mut text = String::new();
            write_agreed(&mut text, interval_s.unwrap_or(0), ours, "uas", "uac");
            text
        };
        Self {
            interval_s,
            asked: interval_s.unwrap_or(0).to_string(),
            theirs: value(false),
            ours: value(true),
        }
    }

    /// `Session-Expires` of an INVITE of ours, with their `Min-SE` in mind (§7.1, §7.3).
    pub(super) fn asked<'a>(
        &'a self,
        min_se_s: Option<u32>,
        buffer: &'a mut String,
    ) -> Option<&'a str> {
        let own = self.interval_s?;
        match min_se_s.filter(|least| *least > own) {
            None => Some(&self.asked),
            Some(least) => {
                *buffer = least.to_string();
                Some(buffer)
            }
        }
    }

    /// `Session-Expires` of a 2xx of ours (§9).
    pub(super) fn answered<'a>(&'a self, agreed: Agreed, buffer: &'a mut String) -> &'a str {
        if Some(agreed.interval_s) == self.interval_s {
            return if agreed.ours {
                &self.ours
            } else {
                &self.theirs
            };
        }
        write_agreed(buffer, agreed.interval_s, agreed.ours, "uas", "uac");
        buffer
    }

    /// `Session-Expires` of a re-INVITE or UPDATE of ours: who refreshes stays (§7.4).
    pub(super) fn repeated<'a>(
        &'a self,
        session: Option<Agreed>,
        min_se_s: Option<u32>,
        buffer: &'a mut String,
    ) -> Option<&'a str> {
        let Some(agreed) = session else {
            return self.asked(min_se_s, buffer);
        };
        let interval_s = agreed.interval_s.max(min_se_s.unwrap_or(0));
        write_agreed(buffer, interval_s, agreed.ours, "uac", "uas");
        Some(buffer)
    }
}

fn write_agreed(text: &mut String, interval_s: u32, ours: bool, we: &str, they: &str) {
    let refresher = if ours { we } else { they };
    write!(text, "{interval_s};refresher={refresher}").expect("a string takes any text");
}

fn seconds(interval: Duration) -> u32 {
    u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)
}

/// A `Session-Expires` value: the interval, and whether `refresher` names the UAS. An unreadable
/// one is as good as none.
fn expires(headers: &Headers) -> Option<(u32, Option<bool>)> {
    let value = headers.first(&HeaderName::SessionExpires)?;
    let (number, params) = value.split_once(';').unwrap_or((value, ""));
    let refresher = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        let uas = match value.trim() {
            value if value.eq_ignore_ascii_case("uas") => true,
            value if value.eq_ignore_ascii_case("uac") => false,
            _ => return None,
        };
        name.trim().eq_ignore_ascii_case("refresher").then_some(uas)
    });
    Some((number.trim().parse().ok()?, refresher))
}

/// `Min-SE` in seconds.
pub(super) fn min_se(headers: &Headers) -> Option<u32> {
    let value = headers.first(&HeaderName::MinSe)?;
    let number = value.split(';').next().unwrap_or_default();
    number.trim().parse().ok()
}

impl Sessions {
    /// What a 2xx to our INVITE or UPDATE settles (§7.2). None is shorter than the standard allows.
    /// A far end that says nothing is asked now and then whether it is there.
    pub(super) fn told(&self, headers: &Headers, before: Option<Agreed>) -> Option<Agreed> {
        match expires(headers) {
            Some((interval_s, uas)) => Some(Agreed {
                interval_s: interval_s.max(seconds(SESSION_INTERVAL_MIN)),
                ours: uas != Some(true),
                shared: true,
            }),
            None => self.interval_s.map(|interval_s| Agreed {
                interval_s: before.map_or(interval_s, |before| before.interval_s),
                ours: true,
                shared: false,
            }),
        }
    }
}

impl Endpoint {
    /// The session that our 2xx to this INVITE or UPDATE settles (§9). `before` is the one there
    /// is. A too short one is answered 422, which is remembered `within` a dialog.
    pub(super) fn session_asked(
        &mut self,
        within: Option<(Now, DialogId)>,
        arrival: &Arrival,
        before: Option<Agreed>,
    ) -> Result<Option<Agreed>, Answered> {
        let headers = arrival.headers();
        let own = self.sessions.interval_s;
        let asked = expires(headers);
        if asked.is_none() && own.is_none() {
            return Ok(None);
        }
        let timer = headers.lists(&HeaderName::Supported, "timer");
        let shortest = seconds(SESSION_INTERVAL_MIN);
        if timer && asked.is_some_and(|(interval_s, _)| interval_s < shortest) {
            let shortest = shortest.to_string();
            let headers = [("Min-SE", shortest.as_str())];
            match within {
                Some((now, id)) => self.refuse_now(now, id, arrival, 422, &headers),
                None => self.refuse(arrival, 422, None, &headers),
            }
            return Err(Answered);
        }
        // Who cannot refresh has it done by us; who leaves it open goes on as before.
        let ours = match asked.and_then(|(_, uas)| uas) {
            Some(uas) => uas || !timer,
            None => !timer || before.is_some_and(|before| before.ours),
        };
        if ours && own.is_none() {
            return Ok(None);
        }
        let least = min_se(headers).unwrap_or(0).max(shortest);
        let most = own.unwrap_or(u32::MAX);
        let interval_s = match asked {
            Some((interval_s, _)) => interval_s.min(most),
            None => most,
        };
        Ok(Some(Agreed {
            interval_s: interval_s.max(least),
            ours,
            shared: timer,
        }))
    }

    /// Refreshes a session: by UPDATE if they know it, else by a re-INVITE with the SDP they have
    /// (§7.4).
    pub(super) fn refresh(&mut self, now: Now, id: DialogId) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        if dialog.ours.is_some() {
            // That one refreshes it as well. Should it fail this is the second try.
            if let Some(session) = &mut dialog.session {
                session.refused(now.mono);
            }
            return;
        }
        let update = dialog.updates;
        let body = match &dialog.sdp {
            _ if update => Vec::new(),
            Some(sdp) => sdp.bytes().to_vec(),
            None => {
                // An offer we do not know cannot be repeated, so this session has no timer.
                dialog.session = None;
                return;
            }
        };
        dialog.ours = Some(Box::new(Ours {
            update,
            headers: Vec::new(),
            body,
            refresh: true,
            stage: Stage::Waiting(now.mono),
            tries: 0,
            login: None,
            min_se_s: None,
        }));
    }
}

impl Dialog {
    /// The session that a 2xx settled, from now on.
    pub(super) fn settle_session(&mut self, now: Now, agreed: Option<Agreed>) {
        self.session = agreed.map(|agreed| Session::new(now.mono, agreed));
    }

    pub(super) fn agreed(&self) -> Option<Agreed> {
        self.session.map(|session| session.agreed)
    }
}
