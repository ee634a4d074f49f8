//! One node, its phones and a network that loses nothing, on a virtual clock. What happens is
//! written down: the events of calls, who hears what, and what requests and flows are told.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use expect_test::Expect;
use jackfield_node::{
    Actor, Callee, Catalogue, Config, Control, ControlError, ControlId, Controlled, Destination,
    EarlyMedia, Group, Input, Node, NumberPlan, Output, Park, PluginChange, Route, Secret, Tenant,
    Trunk,
};
use plugin::{CacheKey, End, Grant, Host, HostConfig, Metering, Plugin, Registry, RunOutput};
use sip::message;
use vocab::call::Command;
use vocab::flow::{DialOptions, DialTarget, FlowError, Op, Outcome, Reply};
use vocab::hearing::{Hearing, Listening};
use vocab::record::{CallEvent, CallEventKind};
use vocab::recording::SegmentStart;
use vocab::{
    CallId, Clip, FlowId, LegId, Mono, Now, Pii, RecordingId, RecordingPart, Rng, SessionId,
    TenantId, Wall,
};

use crate::media::{Desk, Hears};
use crate::phone::{Manner, Phone};

/// Where the node signals.
pub(crate) const HOME: &str = "192.0.2.1:5060";

const LATENCY: Duration = Duration::from_millis(10);

pub(crate) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(crate) fn secret(user: &str) -> Pii<String> {
    Pii::new(format!("secret of {user}"))
}

pub(crate) fn leg(n: u16) -> Actor {
    Actor::Leg(n)
}

pub(crate) fn phone(user: &str) -> Destination {
    Destination::Phone(user.into())
}

pub(crate) fn user(name: &str) -> Actor {
    Actor::User(name.into())
}

/// A flow's wish to have somebody called.
pub(crate) fn dial(target: &str) -> Op {
    Op::Dial {
        target: DialTarget::Sip(target.into()),
        options: DialOptions {
            timeout: s(20),
            caller_id: None,
            whisper: Vec::new(),
        },
    }
}

struct Parcel {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Arc<[u8]>,
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) node: Node,
    pub(crate) phones: Vec<Phone>,
    pub(crate) show_sip: bool,
    /// The store takes no new call.
    pub(crate) disk_full: bool,
    /// The store says nothing.
    disk_stuck: bool,
    written: u64,
    tenant: Tenant,
    desk: Desk,
    rng: Rng,
    mail: BTreeMap<(Mono, u64), Parcel>,
    mailed: u64,
    controls: u64,
    pub(crate) results: VecDeque<Result<Controlled, ControlError>>,
    pub(crate) flows: Vec<FlowId>,
    calls: Vec<CallId>,
    /// Segments that were announced.
    pub(crate) segments: Vec<SegmentStart>,
    /// What went into the vault.
    pub(crate) secrets: Vec<Secret>,
    /// What flows were told.
    pub(crate) replies: Vec<Result<Reply, FlowError>>,
    told: BTreeMap<SessionId, String>,
    /// Answered dialogs by `Call-ID`: the tags of who called and of who answered.
    dialogs: BTreeMap<String, (String, String)>,
    /// The last INVITE to each.
    invites: BTreeMap<SocketAddr, Arc<[u8]>>,
    ladder: String,
}

/// The users of the world; each has one phone.
pub(crate) const USERS: [&str; 4] = ["ann", "bob", "carol", "dave"];

impl World {
    /// A world in which all phones are registered.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(set: impl FnOnce(&mut Tenant)) -> Self {
        Self::with_workers(&[20], set)
    }

    /// With so many pairs of ports on each media worker.
    pub(crate) fn with_workers(pairs: &[u16], set: impl FnOnce(&mut Tenant)) -> Self {
        let mut rng = Rng::from_u64(1);
        let now = Now::new(Mono(0), Wall(1_795_270_987_000_000));
        let home = address(HOME);
        let mut signalling = sip::Config::new(home, home, [7; 32]);
        signalling.realm = "demo".into();
        let config = engine::Config {
            sip: signalling,
            capabilities: ::media::Capabilities::default(),
            credentials: None,
            browsers: Vec::new(),
        };
        let node = Node::new(config, Registry::new(), rng.fork());
        let phones = USERS
            .iter()
            .enumerate()
            .map(|(n, user)| {
                let at = address(&format!("192.0.2.{}:5060", 10 + n));
                Phone::new(now, user, at, &mut rng)
            })
            .collect();
        let mut world = Self {
            now,
            node,
            phones,
            show_sip: false,
            disk_full: false,
            disk_stuck: false,
            written: 0,
            tenant: tenant(),
            desk: Desk::default(),
            rng,
            mail: BTreeMap::new(),
            mailed: 0,
            controls: 0,
            results: VecDeque::new(),
            flows: Vec::new(),
            calls: Vec::new(),
            segments: Vec::new(),
            secrets: Vec::new(),
            replies: Vec::new(),
            told: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            invites: BTreeMap::new(),
            ladder: String::new(),
        };
        for (index, &pairs) in (0..).zip(pairs) {
            let first = 10_000 + 100 * index;
            let ports = (0..pairs).map(|n| SocketAddr::new(home.ip(), first + 2 * n));
            let (worker, ports) = (engine::WorkerId(index), ports.collect());
            world.feed(Input::Ports { worker, ports });
        }
        set(&mut world.tenant);
        let tenants = [world.tenant.clone()];
        world.feed(Input::Configure(Arc::new(Config::new(tenants))));
        world.again();
        world
    }

    /// As at the beginning: all phones are registered and answer after a second.
    pub(crate) fn again(&mut self) {
        for n in 0..self.phones.len() {
            self.phones[n].manner = Manner::Answers(s(1));
            let sent = self.phones[n].register(self.now);
            self.post(n, sent);
        }
        self.run(s(1));
        self.ladder.clear();
    }

    /// Somebody who is no user: a carrier, or a stranger.
    pub(crate) fn outsider(&mut self, name: &str, at: &str) {
        let phone = Phone::new(self.now, name, address(at), &mut self.rng);
        self.phones.push(phone);
    }

    /// A user's phone is another tenant's from now on.
    pub(crate) fn moves_out(&mut self, user: &str) {
        let phone = self.tenant.phones.remove_entry(user).expect("a user");
        let other = Tenant {
            id: "other".parse().expect("a tenant's name"),
            phones: [phone].into(),
            routes: BTreeMap::new(),
            groups: BTreeMap::new(),
            trunks: Vec::new(),
            ..self.tenant.clone()
        };
        let tenants = [self.tenant.clone(), other];
        self.feed(Input::Configure(Arc::new(Config::new(tenants))));
    }

    /// The store says nothing for a while, and then what it has written meanwhile.
    pub(crate) fn disk_sticks(&mut self, sticks: bool) {
        self.disk_stuck = sticks;
        let through = self.written;
        if !sticks {
            self.feed(Input::Committed { through });
        }
    }

    /// The tenant is configured in another way from now on.
    pub(crate) fn reconfigure(&mut self, set: impl FnOnce(&mut Tenant)) {
        set(&mut self.tenant);
        let tenants = [self.tenant.clone()];
        self.feed(Input::Configure(Arc::new(Config::new(tenants))));
    }

    /// Two calls that are up, of two tenants: Ann's with Bob, and Carol's with Dave.
    pub(crate) fn two_tenants(&mut self) -> (CallId, CallId) {
        let one = self.connected("ann", "bob");
        let of_other = ["carol", "dave"].map(|user| {
            let phone = self.tenant.phones.remove_entry(user);
            phone.expect("a user")
        });
        let other = Tenant {
            id: "other".parse().expect("a tenant's name"),
            phones: of_other.into(),
            routes: BTreeMap::new(),
            groups: BTreeMap::new(),
            ..self.tenant.clone()
        };
        let tenants = [self.tenant.clone(), other];
        self.feed(Input::Configure(Arc::new(Config::new(tenants))));
        (one, self.connected("carol", "dave"))
    }

    /// A number is another tenant's from now on, who has this trunk.
    pub(crate) fn gives_away(&mut self, number: &str, trunk: Trunk) {
        let (number, mut route) = self.tenant.routes.remove_entry(number).expect("a number");
        let id: TenantId = "other".parse().expect("a tenant's name");
        Arc::make_mut(&mut route).tenant = id.clone();
        let other = Tenant {
            id,
            phones: BTreeMap::new(),
            routes: [(number, route)].into(),
            groups: BTreeMap::new(),
            trunks: vec![Arc::new(trunk)],
            ..self.tenant.clone()
        };
        let tenants = [self.tenant.clone(), other];
        self.feed(Input::Configure(Arc::new(Config::new(tenants))));
    }

    /// Takes calls to numbers with a plugin; what it wants is said by the test.
    pub(crate) fn install(&mut self) {
        self.feed(Input::Plugin(PluginChange::Install(guest())));
        self.ladder.clear();
    }

    /// The number of a user's phone.
    pub(crate) fn of(&self, user: &str) -> usize {
        let found = self.phones.iter().position(|it| it.user == user);
        found.expect("somebody")
    }

    pub(crate) fn manner(&mut self, user: &str, manner: Manner) {
        let n = self.of(user);
        self.phones[n].manner = manner;
    }

    pub(crate) fn dial(&mut self, user: &str, number: &str) {
        let n = self.of(user);
        let sent = self.phones[n].dial(self.now, number);
        self.post(n, sent);
    }

    /// The same with a `From` and further headers of its own.
    pub(crate) fn dial_as(&mut self, who: &str, number: &str, from: &str, more: &[(&str, &str)]) {
        let n = self.of(who);
        let sent = self.phones[n].dial_as(self.now, number, from, more);
        self.post(n, sent);
    }

    /// What the last INVITE to somebody says of who calls.
    pub(crate) fn shown_to(&self, who: &str) -> String {
        let at = self.phones[self.of(who)].at;
        let Some(Ok(message::Message::Request(invite))) =
            self.invites.get(&at).map(|bytes| message::parse(bytes))
        else {
            return "nothing".to_owned();
        };
        let from = invite.headers.from().expect("who calls");
        let mut text = from.uri.to_string();
        for name in [
            message::HeaderName::PAssertedIdentity,
            message::HeaderName::Privacy,
            message::HeaderName::ReferredBy,
        ] {
            for value in invite.headers.all(&name) {
                write!(text, " | {name}: {value}").expect("a string takes any text");
            }
        }
        text
    }

    pub(crate) fn hang_up(&mut self, user: &str) {
        let n = self.of(user);
        let sent = self.phones[n].hang_up(self.now);
        self.post(n, sent);
    }

    /// A phone does something with its latest call.
    pub(crate) fn phone_does(&mut self, user: &str, command: Command) {
        let n = self.of(user);
        let sent = self.phones[n].command(self.now, command);
        self.post(n, sent);
    }

    /// Something is heard of a phone.
    pub(crate) fn hears_of(&mut self, user: &str, hearing: Hearing) {
        let mut sessions = self.desk.sessions.keys().copied();
        let session = sessions.rfind(|session| self.who(*session) == user);
        let session = session.expect("a session with this phone");
        self.feed(Input::Media {
            worker: engine::WorkerId(0),
            event: ::media::Event::Heard { session, hearing },
        });
    }

    /// What is listened to a phone for.
    pub(crate) fn listens_to(&self, user: &str) -> Listening {
        let mut sessions = self.desk.sessions.iter();
        let found = sessions.rfind(|(session, _)| self.who(**session) == user);
        found.expect("a session with this phone").1.listening
    }

    /// A phone's user presses a key, which the node hears as a tone.
    pub(crate) fn press(&mut self, user: &str, digit: char) {
        let mut sessions = self.desk.sessions.keys().copied();
        let session = sessions.rfind(|session| self.who(*session) == user);
        let session = session.expect("a session with this phone");
        let digit = Pii::new(digit);
        self.feed(Input::Media {
            worker: engine::WorkerId(0),
            event: ::media::Event::Digit { session, digit },
        });
    }

    /// Asks for something and gives the answer, if it comes at once.
    pub(crate) fn ask(&mut self, request: Control) -> Option<Result<Controlled, ControlError>> {
        self.controls += 1;
        let id = ControlId(self.controls);
        self.results.clear();
        self.feed(Input::Control { id, request });
        self.results.pop_front()
    }

    /// Ann has parked Bob in slot 701.
    pub(crate) fn parked(&mut self) -> CallId {
        let call = self.connected("ann", "bob");
        let (by, slot) = (user("ann"), None);
        let parked = self.ask(Control::Park { call, by, slot });
        assert_eq!(parked, Some(Ok(Controlled::Parked { slot: 701 })));
        self.run(s(1));
        self.skip_ladder();
        call
    }

    /// A call from one user to another, made by request and up after some seconds.
    pub(crate) fn connected(&mut self, user: &str, other: &str) -> CallId {
        let (user, to) = (user.to_owned(), phone(other));
        let result = self.ask(Control::Originate {
            user,
            to,
            detection: None,
        });
        let Some(Ok(Controlled::Call(call))) = result else {
            panic!("{result:?}");
        };
        self.run(s(4));
        call
    }

    pub(crate) fn op(&mut self, op: Op) {
        let flow = *self.flows.last().expect("a flow runs");
        let output = RunOutput::Op(op);
        self.feed(Input::Flow { flow, output });
    }

    /// The latest flow returns.
    pub(crate) fn returns(&mut self, label: &str) {
        let flow = self.flows.pop().expect("a flow runs");
        let output = RunOutput::Ended(End::Outcome(Outcome {
            label: label.to_owned(),
            detail: None,
        }));
        self.feed(Input::Flow { flow, output });
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.step(end) {}
        self.now = self.now + end.since(self.now.mono);
    }

    fn step(&mut self, end: Mono) -> bool {
        let mail = self.mail.first_key_value().map(|((at, _), _)| *at);
        let phones = self.phones.iter().filter_map(Phone::deadline).min();
        let parts = [mail, self.node.deadline(), self.desk.deadline(), phones];
        let Some(at) = parts.into_iter().flatten().min().filter(|at| *at <= end) else {
            return false;
        };
        let at = at.max(self.now.mono);
        self.now = self.now + at.since(self.now.mono);
        if mail.is_some_and(|mail| mail <= at) {
            let (_, parcel) = self.mail.pop_first().expect("just seen");
            self.deliver(&parcel);
        } else if self.desk.deadline().is_some_and(|due| due <= at) {
            // Of clips that end, the worker does not matter.
            for event in self.desk.played(at) {
                let worker = engine::WorkerId(0);
                self.feed(Input::Media { worker, event });
            }
            self.tell_hearing();
        } else if self.node.deadline().is_some_and(|due| due <= at) {
            self.feed(Input::Timeout);
        } else {
            for n in 0..self.phones.len() {
                if self.phones[n].deadline().is_some_and(|due| due <= at) {
                    let sent = self.phones[n].wake(self.now);
                    self.post(n, sent);
                }
            }
        }
        true
    }

    fn deliver(&mut self, parcel: &Parcel) {
        let Parcel { from, to, bytes } = parcel;
        let input = sip::Input::Datagram {
            remote: *from,
            bytes,
        };
        if *to == address(HOME) {
            return self.feed(Input::Sip(input));
        }
        if let Some(n) = self.phones.iter().position(|phone| phone.at == *to) {
            let sent = self.phones[n].feed(self.now, engine::Input::Sip(input));
            self.post(n, sent);
        }
    }

    fn post(&mut self, n: usize, sent: Vec<Arc<[u8]>>) {
        let from = self.phones[n].at;
        for bytes in sent {
            self.mail_to(from, address(HOME), bytes);
        }
    }

    fn mail_to(&mut self, from: SocketAddr, to: SocketAddr, bytes: Arc<[u8]>) {
        if self.show_sip
            && let Ok(message) = message::parse(&bytes)
        {
            let line = format!(
                "{} → {}: {}",
                self.place(from),
                self.place(to),
                message.summary()
            );
            self.write("", &line);
        }
        self.learn(&bytes);
        if from == address(HOME) && bytes.starts_with(b"INVITE ") {
            self.invites.insert(to, Arc::clone(&bytes));
        }
        self.mailed += 1;
        let at = self.now.mono + LATENCY;
        self.mail
            .insert((at, self.mailed), Parcel { from, to, bytes });
    }

    /// Remembers the names of an answered dialog.
    fn learn(&mut self, bytes: &[u8]) {
        if let Ok(message::Message::Response(response)) = message::parse(bytes)
            && response.status == 200
            && let (Ok(from), Ok(to)) = (response.headers.from(), response.headers.to())
            && let Ok(id) = response.headers.call_id()
        {
            let tag = |tag: Option<&str>| tag.unwrap_or_default().to_owned();
            let tags = (tag(from.tag()), tag(to.tag()));
            self.dialogs.insert(id.to_owned(), tags);
        }
    }

    /// A REFER's target: this user, in the place of our own call of a phone, which was called.
    pub(crate) fn in_place_of(&self, to: &str, user: &str, leg: LegId) -> Pii<String> {
        let id = self.phones[self.of(user)].sip_call_id(leg).expect("a call");
        let (theirs, ours) = &self.dialogs[&*id];
        let id = id.replace('@', "%40");
        Pii::new(format!(
            "sip:{to}@demo?Replaces={id}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{ours}"
        ))
    }

    fn place(&self, at: SocketAddr) -> String {
        let found = self.phones.iter().find(|phone| phone.at == at);
        found.map_or("home".to_owned(), |phone| phone.user.clone())
    }

    pub(crate) fn feed(&mut self, input: Input<'_>) {
        self.node.handle(self.now, input);
        let mut reports = VecDeque::new();
        let (mut committed, mut refused) = (None, Vec::new());
        while let Some(output) = self.node.poll() {
            match output {
                Output::Transmit { hop, bytes } => self.mail_to(address(HOME), hop.remote, bytes),
                Output::Media { worker, command } => {
                    let told = self.desk.command(self.now.mono, &command);
                    reports.extend(told.into_iter().map(|event| (worker, event)));
                    for (session, beep) in std::mem::take(&mut self.desk.beeps) {
                        let line = format!("{} hears a beep: {beep:?}", self.who(session));
                        self.write("    ", &line);
                    }
                }
                Output::StartFlow { flow, info, .. } => {
                    self.flows.push(flow);
                    let callee = info.callee.reveal().to_owned();
                    self.write(
                        "",
                        &format!("flow {callee} starts for {}", info.caller.reveal()),
                    );
                }
                Output::Reply { reply, .. } => {
                    self.write("", &format!("flow is told {reply:?}"));
                    self.replies.push(reply);
                }
                Output::FlowHangup { flow, reason } => {
                    self.flows.retain(|it| *it != flow);
                    self.write("", &format!("flow is over: {reason}"));
                }
                // No trunk here has a name.
                Output::Lookup { .. } => {}
                Output::StopFlow { flow } => self.flows.retain(|it| *it != flow),
                Output::Persist {
                    seq, urgent: true, ..
                } if self.disk_full => refused.push(seq),
                Output::Persist { seq, events, .. } => {
                    committed = Some(seq);
                    self.written = seq;
                    for event in &events {
                        self.note(event);
                    }
                }
                Output::Controlled { id, result } => {
                    self.write("", &format!("request {} is told {result:?}", id.0));
                    self.results.push_back(result);
                }
                Output::Segment(start) => self.segments.push(start),
                Output::Secret(secret) => self.secrets.push(secret),
                Output::CloseStream { .. } | Output::Speak { .. } | Output::Notice(_) => {}
            }
        }
        self.tell_hearing();
        for seq in refused {
            self.feed(Input::Refused { seq });
        }
        if let Some(through) = committed.filter(|_| !self.disk_stuck) {
            self.feed(Input::Committed { through });
        }
        for (worker, event) in reports {
            self.feed(Input::Media { worker, event });
        }
    }

    /// Writes an event of a call, without its private parts.
    fn note(&mut self, event: &CallEvent) {
        if !self.calls.contains(&event.call) {
            self.calls.push(event.call);
        }
        let place = self.calls.iter().position(|it| *it == event.call);
        let call = letter(place.expect("just seen"));
        let text = match &event.kind {
            CallEventKind::Dialed { leg, to, trunk } => {
                let by = trunk
                    .as_ref()
                    .map(|it| format!(" by {it}"))
                    .unwrap_or_default();
                format!("leg {leg} to {}{by}", to.reveal())
            }
            CallEventKind::DialEnded {
                leg, result, cause, ..
            } => {
                // Where the cause says no more than the result, that is enough.
                let cause = cause.map(|cause| format!("{cause:?}"));
                let cause = cause.filter(|cause| *cause != format!("{result:?}"));
                let cause = cause.map(|cause| format!(" ({cause})"));
                format!("leg {leg} {result:?}{}", cause.unwrap_or_default())
            }
            CallEventKind::Bridged { a, b } | CallEventKind::Unbridged { a, b } => {
                format!("{a} {b}")
            }
            CallEventKind::Step {
                leg,
                by,
                other,
                detail,
                ..
            } => {
                let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
                let other = other.map(|it| format!(" with {it}")).unwrap_or_default();
                format!("leg {leg}{by}{other} {detail}")
                    .trim_end()
                    .to_owned()
            }
            CallEventKind::Heard { leg, hearing } => match hearing {
                Hearing::Signal(heard) => format!("leg {leg} {}", heard.signal.name()),
                Hearing::Answerer(who) => {
                    format!("leg {leg} {} ({})", who.answerer.name(), who.cause)
                }
                Hearing::MessageEnded(end) => format!("leg {leg} beep {}", end.beep),
            },
            CallEventKind::Media { leg, media } => format!("leg {leg} {}", media.codec),
            CallEventKind::Ended { cause, by } => format!("{} by {by:?}", cause.name()),
            CallEventKind::Fallback { announcement } => announcement.clone(),
            CallEventKind::SegmentStarted {
                recording,
                leg,
                channels,
            } => {
                format!("{} leg {leg}, {channels}", part(recording))
            }
            CallEventKind::SegmentEnded {
                recording,
                end,
                length,
            } => {
                format!(
                    "{} {} {:.2} s",
                    part(recording),
                    end.name(),
                    length.as_secs_f64()
                )
            }
            CallEventKind::RecordingPaused { by } | CallEventKind::RecordingStopped { by } => {
                by.map(|by| format!("by {by}")).unwrap_or_default()
            }
            CallEventKind::RecordingResumed { why, .. } => why.name().to_owned(),
            CallEventKind::SecretStarted { leg } => format!("leg {leg}"),
            CallEventKind::SecretEnded {
                leg,
                token,
                digits,
                luhn,
                end,
            } => {
                let token = if token.is_some() { " token" } else { "" };
                let luhn = if *luhn { " luhn" } else { "" };
                format!("leg {leg} {digits} {end:?}{luhn}{token}")
            }
            CallEventKind::Consent { consent } => consent.name().to_owned(),
            CallEventKind::Interaction { with } => {
                let place = self.calls.iter().position(|it| it == with);
                format!("with {}", letter(place.expect("a call that began")))
            }
            CallEventKind::FlowEnded { label } => label.clone(),
            CallEventKind::FlowAsked { op, .. } => op.clone(),
            CallEventKind::Started {
                from,
                to,
                trunk: Some(trunk),
                withheld,
                ..
            } => {
                let withheld = if *withheld { ", withheld" } else { "" };
                format!("to {to} from {} by {trunk}{withheld}", from.reveal())
            }
            CallEventKind::Started { to, .. } => format!("to {to}"),
            CallEventKind::Answered
            | CallEventKind::FlowStarted { .. }
            | CallEventKind::Gathered { .. }
            | CallEventKind::FlowFault { .. }
            | CallEventKind::RecordingStarted { .. }
            | CallEventKind::MessageLeft { .. }
            | CallEventKind::RecordingCut { .. }
            | CallEventKind::AttrSet { .. } => String::new(),
        };
        let line = format!("{call} {} {text}", event.kind.name());
        self.write("", line.trim_end());
    }

    /// What of a part is out of the ordinary.
    fn part(&self, part: ::media::Part) -> String {
        let words = [
            part.muted.then(|| ", muted".to_owned()),
            part.deaf.then(|| ", deaf".to_owned()),
            (part.said_db != 0).then(|| format!(", {:+} dB", part.said_db)),
            part.coaches
                .map(|it| format!(", to {} alone", self.who(it))),
            part.keys_to.map(|it| format!(", keys to {}", self.who(it))),
            part.screened.then(|| ", keys to nobody".to_owned()),
        ];
        words.into_iter().flatten().collect()
    }

    /// Writes who hears something else than before.
    fn tell_hearing(&mut self) {
        let mut now: BTreeMap<SessionId, String> = BTreeMap::new();
        for (id, session) in &self.desk.sessions {
            let what = match &session.hears {
                Hears::Nothing => "nothing".to_owned(),
                Hears::Clips(names, ..) => names.clone(),
                Hears::Session(other) if session.part.screened => {
                    format!("{}, keys to nobody", self.who(*other))
                }
                Hears::Session(other) => self.who(*other),
                Hears::Conference => format!("all{}", self.part(session.part)),
            };
            now.insert(*id, format!("{} hears {what}", self.who(*id)));
        }
        let before = std::mem::replace(&mut self.told, now.clone());
        for (id, text) in now {
            let known = before.get(&id).is_some_and(|it| *it == text);
            let dull = !before.contains_key(&id) || text.contains('?');
            let dull = dull && text.ends_with("nothing");
            if !known && !dull {
                self.write("    ", &text);
            }
        }
    }

    fn who(&self, session: SessionId) -> String {
        let remote = self.desk.sessions.get(&session).and_then(|it| it.remote);
        let found = remote.and_then(|remote| {
            let phone = self.phones.iter().find(|it| it.at.ip() == remote.ip());
            phone.map(|phone| phone.user.clone())
        });
        found.unwrap_or_else(|| "?".to_owned())
    }

    /// Who has a session that hears nothing.
    pub(crate) fn in_silence(&self) -> Vec<String> {
        let silent = self
            .desk
            .sessions
            .iter()
            .filter(|(_, session)| session.hears == Hears::Nothing);
        silent.map(|(id, _)| self.who(*id)).collect()
    }

    /// Segments that go on: of which call, and whose line they are of.
    pub(crate) fn recorded(&self) -> Vec<(CallId, String)> {
        let all = self.desk.recordings.iter();
        all.map(|(recording, of)| (recording.call, self.who(*of)))
            .collect()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.desk.sessions.len()
    }

    fn write(&mut self, indent: &str, what: &str) {
        let seconds = self.now.mono.0 as f64 / 1e9;
        writeln!(self.ladder, "{seconds:<7.2} {indent}{what}").expect("a string takes any text");
    }

    pub(crate) fn check(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.ladder));
    }

    pub(crate) fn skip_ladder(&mut self) {
        self.ladder.clear();
    }

    pub(crate) fn ladder(&self) -> &str {
        &self.ladder
    }

    /// All hang up; nothing may be left when the last transaction is forgotten.
    pub(crate) fn settle(&mut self) {
        for n in 0..self.phones.len() {
            let sent = self.phones[n].hang_up(self.now);
            self.post(n, sent);
        }
        self.run(s(70));
        let counts = self.node.counts();
        let (engine, sip) = (counts.engine, counts.sip);
        assert_eq!(
            (
                counts.calls,
                counts.flows,
                counts.deadlines,
                counts.unwritten
            ),
            (0, 0, 0, 0),
            "something is left:\n{}",
            self.ladder
        );
        assert_eq!(
            (engine.legs, engine.sessions, engine.conferences),
            (0, 0, 0)
        );
        assert_eq!((engine.ports_free, engine.panics), (engine.ports_total, 0));
        assert!(sip.is_idle(), "{sip:?}");
        assert_eq!(self.node.parked().count(), 0);
        assert_eq!(self.sessions(), 0);
        let _ = &self.rng;
    }
}

fn tenant() -> Tenant {
    let id: TenantId = "demo".parse().expect("a tenant's name");
    let phones = USERS.map(|user| {
        let password = secret(user);
        (user.to_owned(), jackfield_node::Phone { password })
    });
    let route = |number: &str| {
        let route = Route {
            tenant: id.clone(),
            number: number.into(),
            public: true,
            plugin: "hello-ivr".into(),
            settings: plugin::Config::default(),
            grant: Grant::all(),
            fallback: "sorry".into(),
            record: false,
        };
        (number.to_owned(), Arc::new(route))
    };
    let clip = |name: &str| (name.to_owned(), Clip::new(name, vec![0; 8_000]));
    let clips = ["sorry", "welcome"].map(clip).into();
    let group = |members: &[&str], in_order| Group {
        members: members
            .iter()
            .map(|user| Callee::Phone((*user).to_owned()))
            .collect(),
        in_order,
        ring: s(10),
    };
    Tenant {
        id: id.clone(),
        time_zone: "Asia/Shanghai".into(),
        language: "zh-CN".into(),
        phones: phones.into(),
        routes: ["1000", "2000"].map(route).into(),
        trunks: Vec::new(),
        numbers: NumberPlan::default(),
        groups: [
            ("sales".to_owned(), group(&["bob", "carol"], false)),
            ("night".to_owned(), group(&["bob", "carol"], true)),
        ]
        .into(),
        park: Park {
            slots: 701..=702,
            timeout: s(20),
        },
        early_media: EarlyMedia::default(),
        follow_redirects: false,
        consent: None,
        record_made: false,
        beep: None,
        catalogue: Catalogue::new([("zh-CN".to_owned(), clips)].into()),
    }
}

/// The smallest plugin, which is only named here: its flows say what the test says.
fn guest() -> Plugin {
    #[allow(
        clippy::disallowed_methods,
        reason = "tests may look where guests were put"
    )]
    let folder = std::env::var_os("JACKFIELD_GUESTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests"),
        PathBuf::from,
    );
    let path = folder.join("hello-ivr.wasm");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; build the guests with: cargo xtask plugins",
            path.display()
        )
    });
    let mut config = HostConfig::new(CacheKey::new([7; 32]));
    config.metering = Metering::Fuel;
    let host = Host::new(config).expect("the plugin host starts");
    host.load(&bytes, None).expect("a component of ours").plugin
}

/// The name of a call in a ladder, by when it began.
fn letter(place: usize) -> char {
    char::from(b'A' + u8::try_from(place % 26).expect("below 26"))
}

/// A recording within its call.
fn part(recording: &RecordingId) -> String {
    match recording.part {
        RecordingPart::Call => "all".to_owned(),
        RecordingPart::Message(n) => format!("m{n}"),
        RecordingPart::Segment(n) => format!("s{n}"),
    }
}
