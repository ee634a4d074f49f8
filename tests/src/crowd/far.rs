//! The far ends and the people at them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sip::{Action, Credentials, DialogId, Endpoint, Event, Hop, RequestId, Transport};
use vocab::Pii;

use super::{Crowd, HOME, Happening, home};

/// The user whose phones all the far ends are.
pub(super) const RESIDENT: &str = "bob";

/// How long a phone is registered, and how often it says so again.
const EXPIRES_S: u64 = 600;
const REFRESH_MS: u64 = 300_000;

/// An offer or an answer.
const SDP: &str = "v=0\r\no=far 77 1 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\n\
    m=audio 6000 RTP/AVP 0 8\r\na=sendrecv\r\n";

/// The digest password of a user.
pub(super) fn password(user: &str) -> String {
    format!("secret of {user}")
}

/// Where a far end is.
pub(super) fn address(far: usize) -> SocketAddr {
    let host = u8::try_from(50 + far).expect("a few far ends");
    SocketAddr::from(([192, 0, 2, host], 5060))
}

/// Something a person does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Respond(DialogId, u16),
    HangUp(DialogId),
    Reinvite(DialogId),
    Update(DialogId),
    Refer(DialogId),
    Register,
    Unregister,
}

/// A far end's call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    /// It calls and has no final answer yet.
    Calling,
    /// It is called and has given no final answer.
    Called,
    /// There was a 2xx.
    Accepted,
}

/// One far end.
pub(super) struct Far {
    pub(super) endpoint: Endpoint,
    calls: BTreeMap<DialogId, Call>,
    /// A REGISTER waits for its answer.
    registering: Option<RequestId>,
    requests: u64,
    registered: bool,
    leaving: bool,
    /// What it was told, and how often.
    pub(super) heard: BTreeMap<&'static str, u64>,
}

impl Far {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            calls: BTreeMap::new(),
            registering: None,
            requests: 0,
            registered: false,
            leaving: false,
            heard: BTreeMap::new(),
        }
    }

    /// It has no call and is registered nowhere.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.registering.is_none() && !self.registered
    }

    /// Calls it knows of.
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }
}

impl Crowd {
    /// The person at a far end calls.
    pub(super) fn call(&mut self, far: usize) {
        let dialog = self.fars[far].endpoint.allocate();
        self.fars[far].calls.insert(dialog, Call::Calling);
        let login = self.rng.chance(0.3).then(|| credentials("ann"));
        let invite = Action::Invite {
            dialog,
            uri: format!("sip:1000@{HOME}"),
            hop: to_home(),
            from: "<sip:ann@demo>".into(),
            to: "<sip:1000@demo>".into(),
            headers: Vec::new(),
            body: SDP.into(),
            credentials: login,
        };
        self.feed_far(far, sip::Input::Action(invite));
        if self.rng.chance(0.2) {
            self.plan(far, 4_000, Act::HangUp(dialog));
        }
    }

    fn plan(&mut self, far: usize, within_ms: u64, act: Act) {
        self.within(within_ms, Happening::Far(far, act));
    }

    pub(super) fn act(&mut self, far: usize, act: Act) {
        let action = match act {
            Act::Register | Act::Unregister => return self.register(far, act),
            Act::Respond(dialog, status) => {
                let known = self.fars[far].calls.get(&dialog).copied();
                match known {
                    // Over before its person has made up his mind.
                    None => return,
                    Some(Call::Called) if status >= 300 => {
                        self.fars[far].calls.remove(&dialog);
                        self.over();
                    }
                    Some(Call::Called) if status >= 200 => {
                        self.fars[far].calls.insert(dialog, Call::Accepted);
                    }
                    Some(Call::Called | Call::Calling | Call::Accepted) => {}
                }
                let accepts = (200..300).contains(&status);
                Action::Respond {
                    dialog,
                    status,
                    headers: Vec::new(),
                    body: if accepts { SDP.into() } else { Vec::new() },
                }
            }
            Act::HangUp(dialog) => Action::Hangup {
                dialog,
                reason: None,
            },
            Act::Reinvite(dialog) => Action::Reinvite {
                dialog,
                headers: Vec::new(),
                body: self.new_offer(),
            },
            Act::Update(dialog) => Action::Update {
                dialog,
                headers: Vec::new(),
                body: self.new_offer(),
            },
            Act::Refer(dialog) => Action::Refer {
                dialog,
                to: "sip:dan@demo".into(),
                headers: Vec::new(),
            },
        };
        self.feed_far(far, sip::Input::Action(action));
    }

    /// On hold, or not any more.
    fn new_offer(&mut self) -> Vec<u8> {
        let directions = ["sendrecv", "sendonly", "inactive"];
        let direction = directions[self.below(3) as usize];
        let version = format!("far 77 {}", 2 + self.below(1_000));
        SDP.replace("far 77 1", &version)
            .replace("sendrecv", direction)
            .into_bytes()
    }

    fn register(&mut self, far: usize, act: Act) {
        let phone = &mut self.fars[far];
        phone.leaving |= matches!(act, Act::Unregister);
        if phone.registering.is_some() {
            return self.plan(far, 1_000, act);
        }
        if phone.leaving && !matches!(act, Act::Unregister) {
            return;
        }
        phone.requests += 1;
        let id = RequestId(phone.requests);
        phone.registering = Some(id);
        // It may arrive though its answer does not.
        phone.registered = true;
        let expires = if phone.leaving { 0 } else { EXPIRES_S };
        let contact = format!("<sip:{RESIDENT}@{}>;expires={expires}", address(far));
        let request = Action::Request {
            id,
            method: "REGISTER".into(),
            uri: "sip:demo".into(),
            hop: to_home(),
            from: format!("<sip:{RESIDENT}@demo>"),
            to: format!("<sip:{RESIDENT}@demo>"),
            headers: vec![("Contact".into(), contact)],
            credentials: Some(credentials(RESIDENT)),
        };
        self.feed_far(far, sip::Input::Action(request));
    }

    /// A far end is told something.
    pub(super) fn hear(&mut self, far: usize, event: Event) {
        let name = kind(&event);
        *self.fars[far].heard.entry(name).or_default() += 1;
        match event {
            Event::Incoming { dialog, .. } => self.rings(far, dialog),
            Event::Answered { dialog, .. } => {
                let before = self.fars[far].calls.insert(dialog, Call::Accepted);
                assert_eq!(before, Some(Call::Calling), "one final answer to an INVITE");
                self.plan(far, 15_000, Act::HangUp(dialog));
                self.stir(far, dialog);
            }
            Event::Failed { dialog, .. } => {
                self.ends(
                    far,
                    dialog,
                    &[Call::Calling],
                    "one final answer to an INVITE",
                );
            }
            Event::Ended { dialog, .. } => {
                let may = [Call::Called, Call::Accepted];
                self.ends(far, dialog, &may, "a dialog ends once");
            }
            Event::Cancelled { dialog, .. } => {
                self.ends(far, dialog, &[Call::Called], "a dialog ends once");
            }
            Event::Confirmed { dialog, .. } => self.stir(far, dialog),
            Event::Reoffer { dialog, .. } => {
                let status = if self.rng.chance(0.2) { 488 } else { 200 };
                // At once, or as somebody who has to ask first.
                if self.rng.chance(0.5) {
                    self.act(far, Act::Respond(dialog, status));
                } else {
                    self.plan(far, 500, Act::Respond(dialog, status));
                }
            }
            Event::Refer { dialog, .. } => {
                let status = 603;
                self.feed_far(
                    far,
                    sip::Input::Action(Action::AnswerRefer { dialog, status }),
                );
            }
            Event::Response { id, status, .. } => self.registered(far, id, status),
            Event::Trying { .. }
            | Event::Progress { .. }
            | Event::Reanswered { .. }
            | Event::Refused { .. }
            | Event::ReferAnswered { .. }
            | Event::ReferProgress { .. }
            | Event::Info { .. } => {}
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. }
            | Event::Banned { .. } => panic!("nobody registers here: {event:?}"),
        }
    }

    /// Somebody calls; what its person does is chosen now.
    fn rings(&mut self, far: usize, dialog: DialogId) {
        let before = self.fars[far].calls.insert(dialog, Call::Called);
        assert_eq!(before, None, "an INVITE is told of once");
        if self.rng.chance(0.6) {
            self.plan(far, 500, Act::Respond(dialog, 180));
        }
        match self.below(20) {
            // It rings until the caller gives up.
            0 | 1 => {}
            2 | 3 => self.plan(far, 2_000, Act::Respond(dialog, 486)),
            4 => self.plan(far, 2_000, Act::Respond(dialog, 603)),
            5 => self.plan(far, 2_000, Act::Respond(dialog, 302)),
            6 => self.plan(far, 2_000, Act::HangUp(dialog)),
            _ => self.plan(far, 2_000, Act::Respond(dialog, 200)),
        }
        self.plan(far, 20_000, Act::HangUp(dialog));
    }

    /// A call is changed some time, or twice, or not.
    fn stir(&mut self, far: usize, dialog: DialogId) {
        match self.below(12) {
            0 | 1 => self.plan(far, 3_000, Act::Reinvite(dialog)),
            2 => self.plan(far, 3_000, Act::Update(dialog)),
            3 => {
                self.plan(far, 3_000, Act::Reinvite(dialog));
                self.plan(far, 3_000, Act::Reinvite(dialog));
            }
            4 => self.plan(far, 3_000, Act::Refer(dialog)),
            _ => {}
        }
    }

    fn ends(&mut self, far: usize, dialog: DialogId, may: &[Call], promise: &str) {
        let before = self.fars[far].calls.remove(&dialog);
        let fits = before.is_some_and(|before| may.contains(&before));
        assert!(fits, "{promise}: far end {far}, {dialog:?}, {before:?}");
        self.over();
    }

    fn registered(&mut self, far: usize, id: RequestId, status: Option<u16>) {
        let phone = &mut self.fars[far];
        assert_eq!(
            phone.registering.take(),
            Some(id),
            "one answer to a request"
        );
        let again = if phone.leaving {
            Act::Unregister
        } else {
            Act::Register
        };
        match status {
            Some(200) if phone.leaving => phone.registered = false,
            Some(200) => self.plan(far, REFRESH_MS, again),
            Some(_) | None => self.plan(far, 1_000, again),
        }
        self.over();
    }
}

fn to_home() -> Hop {
    Hop {
        transport: Transport::Udp,
        remote: home(),
        conn: None,
    }
}

fn credentials(user: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        password: Pii::new(password(user)),
    }
}

/// The name under which an event is counted.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::Incoming { .. } => "called",
        Event::Cancelled { .. } => "cancelled",
        Event::Trying { .. } => "trying",
        Event::Progress { .. } => "ringing",
        Event::Answered { .. } => "answered",
        Event::Failed {
            status: Some(status),
            ..
        } => match status {
            401 | 407 => "asked who it is",
            486 => "busy",
            487 => "gave up",
            408 | 480 => "no answer",
            500.. => "refused",
            _ => "failed",
        },
        Event::Failed { status: None, .. } => "unreachable",
        Event::Confirmed { .. } => "confirmed",
        Event::Ended { .. } => "ended",
        Event::Reoffer { .. } => "offered anew",
        Event::Reanswered { .. } => "answered anew",
        Event::Refused { .. } => "new offer refused",
        Event::Refer { .. } => "asked to call",
        Event::ReferAnswered { .. } | Event::ReferProgress { .. } => "transfer",
        Event::Response { .. } => "registered",
        Event::Info { .. }
        | Event::Registered { .. }
        | Event::Unregistered { .. }
        | Event::AuthFailed { .. }
        | Event::Banned { .. } => "other",
    }
}
