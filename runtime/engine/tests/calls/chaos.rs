//! Anything may happen at any time: random commands, far ends, workers and weather. Each leg ends
//! once, each command has its answer, and nothing is left behind.
//!
//! The far ends are one SIP endpoint that does whatever comes to its mind, and somebody who writes
//! re-INVITEs by hand; the workers keep the media border's contract and nothing more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_engine::{Config, Engine, Input, LEGS_MAX, Output, WorkerId};
use sip::{Account, Action, Credentials, DialogId, Endpoint, Hop, RequestId, Transport};
use vocab::call::{Cause, Command, Event};
use vocab::{CallId, LegId, Mono, Now, Pii, Rng, SessionId, Wall};

use crate::far::sdp;
use crate::ledger::Ledger;
use crate::world::{HOME, address, ms, s};

mod commands;
mod wire;
mod workers;

use workers::Session;

const CROWD: &str = "192.0.2.50:5060";

/// Media ports of each of two workers. Few, so that they run out.
const PORTS: u16 = 8;

enum Parcel {
    ToEngine(Arc<[u8]>),
    ToCrowd(Arc<[u8]>),
    Report(WorkerId, media::Event),
}

struct Chaos {
    now: Now,
    rng: Rng,
    engine: Engine,
    crowd: Endpoint,
    /// Dialogs of the crowd, over or not.
    dialogs: Vec<DialogId>,
    /// INVITEs that ring at the crowd.
    ringing: Vec<DialogId>,
    /// New offers and REFERs that wait there.
    offers: Vec<DialogId>,
    referrals: Vec<DialogId>,
    sessions: BTreeMap<SessionId, Session>,
    /// All legs there ever were.
    legs: Vec<LegId>,
    offered: Vec<LegId>,
    up: Vec<LegId>,
    ledger: Ledger,
    /// The last ACKs of the crowd: what a re-INVITE is made from.
    acks: Vec<String>,
    /// Datagrams that may come again.
    old: Vec<Arc<[u8]>>,
    mail: BTreeMap<(Mono, u64), Parcel>,
    mailed: u64,
    last: u64,
    /// No loss and no whims any more.
    calm: bool,
    seen: BTreeMap<&'static str, u32>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::from_u64(seed);
        let (home, crowd) = (address(HOME), address(CROWD));
        let password = Pii::new("secret".to_owned());
        let sip = sip::Config {
            realm: "demo".into(),
            accounts: BTreeMap::from([("bob".into(), Account { password })]),
            ..sip::Config::new(home, home, [7; 32])
        };
        let config = Config {
            sip,
            capabilities: media::Capabilities::default(),
            credentials: None,
            browsers: Vec::new(),
        };
        let mut chaos = Self {
            now: Now::new(Mono(0), Wall(1_795_270_987_000_000)),
            engine: Engine::new(config, rng.fork()),
            crowd: Endpoint::new(sip::Config::new(crowd, crowd, [8; 32]), rng.fork()),
            rng,
            dialogs: Vec::new(),
            ringing: Vec::new(),
            offers: Vec::new(),
            referrals: Vec::new(),
            sessions: BTreeMap::new(),
            legs: Vec::new(),
            offered: Vec::new(),
            up: Vec::new(),
            ledger: Ledger::default(),
            acks: Vec::new(),
            old: Vec::new(),
            mail: BTreeMap::new(),
            mailed: 0,
            last: 0,
            calm: true,
            seen: BTreeMap::new(),
        };
        for worker in 0..2 {
            let port = |n| SocketAddr::new(home.ip(), 10_000 + 100 * worker + 2 * n);
            let ports = (0..PORTS).map(port).collect();
            chaos.feed(Input::Ports {
                worker: WorkerId(worker),
                ports,
            });
        }
        // Three contacts, so that calls to bob fork.
        for n in 1..=3 {
            chaos.act(register(n));
            chaos.pass(ms(200));
        }
        assert_eq!(chaos.engine.registered("bob"), 3);
        chaos.calm = false;
        chaos
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        pick(&mut self.rng, list)
    }

    fn post(&mut self, after: Duration, parcel: Parcel) {
        self.mailed += 1;
        self.mail
            .insert((self.now.mono + after, self.mailed), parcel);
    }

    fn act(&mut self, action: Action) {
        self.feed_crowd(sip::Input::Action(action));
    }

    fn feed_crowd(&mut self, input: sip::Input<'_>) {
        self.crowd.handle(self.now, input);
        while let Some(output) = self.crowd.poll() {
            match output {
                sip::Output::Transmit { bytes, .. } => {
                    if bytes.starts_with(b"ACK ") {
                        self.acks
                            .push(String::from_utf8(bytes.to_vec()).expect("text"));
                    }
                    if self.old.len() < 1_000 {
                        self.old.push(bytes.clone());
                    }
                    self.datagram(bytes, Parcel::ToEngine);
                }
                sip::Output::CloseStream { .. } => {}
                sip::Output::Event(event) => match event {
                    sip::Event::Incoming { dialog, .. } => {
                        self.ringing.push(dialog);
                        self.dialogs.push(dialog);
                    }
                    sip::Event::Reoffer { dialog, .. } => self.offers.push(dialog),
                    sip::Event::Refer { dialog, .. } => self.referrals.push(dialog),
                    _ => {}
                },
            }
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Transmit { bytes, .. } => self.datagram(bytes, Parcel::ToCrowd),
                Output::CloseStream { .. } | Output::Response { .. } => {}
                Output::Media { worker, command } => {
                    self.ledger.media(&command);
                    self.worker(worker, command);
                }
                Output::Event(event) => self.event(&event),
            }
        }
        let counts = self.engine.counts();
        assert_eq!(counts.panics, 0);
        assert!(counts.legs <= LEGS_MAX && counts.ports_free <= counts.ports_total);
        assert!(self.engine.deadline().is_none_or(|at| at > Mono(0)));
    }

    fn event(&mut self, event: &Event) {
        self.ledger.event(event);
        let name = match event {
            Event::Incoming { leg, .. } => {
                self.legs.push(*leg);
                self.offered.push(*leg);
                "Incoming"
            }
            Event::Answered { leg } => {
                self.up.push(*leg);
                "Answered"
            }
            Event::Ended { leg, cause, .. } => {
                self.offered.retain(|other| other != leg);
                self.up.retain(|other| other != leg);
                cause.name()
            }
            Event::Trying { .. } => "Trying",
            Event::Ringing { .. } => "Ringing",
            Event::Played { .. } => "Played",
            Event::Digit { .. } => "Digit",
            Event::Gathered { .. } => "Gathered",
            Event::Recorded { .. } => "Recorded",
            Event::Bridged { .. } => "Bridged",
            Event::Unbridged { .. } => "Unbridged",
            Event::EarlyMedia { .. } => "EarlyMedia",
            Event::OneWay { .. } => "OneWay",
            Event::Media { .. } => "Media",
            Event::Joined { .. } => "Joined",
            Event::Left { .. } => "Left",
            Event::Heard { .. } => "Heard",
            Event::Talking { .. } => "Talking",
            Event::Speaker { .. } => "Speaker",
            Event::Held { .. } => "Held",
            Event::Retrieved { .. } => "Retrieved",
            Event::Reoffered { refused: None, .. } => "Reoffered",
            Event::Reoffered { .. } => "not reoffered",
            Event::ReferAsked {
                replaces: Some(_), ..
            } => "ReferAsked in place",
            Event::ReferAsked { .. } => "ReferAsked",
            Event::Referred { over: false, .. } => "Referred",
            Event::Referred { .. } => "Referred at last",
            Event::Moved { from, to } if from == to => "stayed",
            Event::Moved { from, to } => {
                self.up.retain(|other| other != from && other != to);
                self.offered.retain(|other| other != to);
                self.up.push(*to);
                self.legs.push(*to);
                "Moved"
            }
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. }
            | Event::Banned { .. } => "",
        };
        *self.seen.entry(name).or_default() += 1;
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let mail = self.mail.first_key_value().map(|((at, _), _)| *at);
            let parts = [mail, self.engine.deadline(), self.crowd.deadline()];
            let Some(next) = parts.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now + next.since(self.now.mono);
            if mail == Some(next) {
                let (_, parcel) = self.mail.pop_first().expect("just seen");
                self.deliver(parcel);
            } else if self.engine.deadline() == Some(next) {
                self.feed(Input::Timeout);
                let still = self.engine.deadline().is_some_and(|at| at <= self.now.mono);
                assert!(!still, "a timeout leaves nothing due");
            } else {
                self.feed_crowd(sip::Input::Timeout);
            }
        }
        self.now = self.now + end.since(self.now.mono);
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::ToEngine(bytes) => {
                let input = sip::Input::Datagram {
                    remote: address(CROWD),
                    bytes: &bytes,
                };
                self.feed(Input::Sip(input));
            }
            Parcel::ToCrowd(bytes) => {
                self.acknowledge(&bytes);
                let input = sip::Input::Datagram {
                    remote: address(HOME),
                    bytes: &bytes,
                };
                self.feed_crowd(input);
            }
            Parcel::Report(worker, event) => {
                self.ledger.media_event(&event);
                self.feed(Input::Media { worker, event });
            }
        }
    }

    /// An offer or answer, good or bad.
    fn body(&mut self) -> String {
        match self.below(12) {
            0 => String::new(),
            1 => "v=0\r\nnonsense\r\n".into(),
            2 => sdp(1, "18", "sendrecv"),
            3 => sdp(1, "8", "sendonly"),
            4 => sdp(1, "0", "inactive"),
            _ => sdp(1, "0 8", "sendrecv"),
        }
    }

    /// Any leg there ever was or will be, but usually one that is up.
    fn leg(&mut self) -> LegId {
        let lists = [&self.up, &self.up, &self.up, &self.legs];
        let list = lists[self.rng.below(4) as usize];
        let call = CallId(u128::from(self.rng.below(3)));
        pick(&mut self.rng, list).unwrap_or(LegId { call, n: 9 })
    }

    fn command(&mut self, command: Command) {
        self.ledger.command(&command);
        self.feed(Input::Command(command));
    }

    /// One thing happens.
    fn step(&mut self) {
        match self.below(100) {
            0..8 => {
                let (dialog, body) = (self.crowd.allocate(), self.body());
                let credentials = (self.below(3) == 0).then(bob);
                self.dialogs.push(dialog);
                self.act(invite(dialog, body, credentials));
            }
            8..20 => {
                let Some(dialog) = pick(&mut self.rng, &self.ringing) else {
                    return;
                };
                let statuses = [180, 183, 200, 200, 200, 200, 302, 404, 486, 500, 603];
                let status = self.one_of(&statuses).expect("not empty");
                let body = self.body().into_bytes();
                if status >= 200 {
                    self.ringing.retain(|other| *other != dialog);
                }
                self.act(Action::Respond {
                    dialog,
                    status,
                    headers: Vec::new(),
                    body,
                });
            }
            20..23 => {
                if let Some(dialog) = pick(&mut self.rng, &self.dialogs) {
                    let reasons = [None, Some("Q.850;cause=16"), Some("SIP;cause=486, x")];
                    let reason = self.one_of(&reasons).flatten().map(str::to_owned);
                    self.act(Action::Hangup { dialog, reason });
                }
            }
            23..25 => self.reinvite(),
            25..28 => self.wish_within(),
            28 => self.answer_within(),
            29 => {
                if let Some(bytes) = pick(&mut self.rng, &self.old) {
                    self.datagram(bytes, Parcel::ToEngine);
                }
            }
            30..45 => self.media_step(),
            45..55 => {
                let Some(leg) = pick(&mut self.rng, &self.offered) else {
                    return;
                };
                self.command(Command::Answer { leg });
            }
            55..85 => {
                let command = self.any_command();
                self.command(command);
            }
            85..86 => self.feed(Input::Timeout),
            86..99 => {
                let time = ms(self.rng.below(200));
                self.pass(time);
            }
            _ => {
                let time = ms(self.rng.below(10_000));
                self.pass(time);
            }
        }
    }

    /// Everybody goes home.
    fn finish(&mut self) {
        self.calm = true;
        for leg in self.legs.clone() {
            self.command(Command::Hangup {
                leg,
                cause: Cause::Normal,
            });
        }
        for dialog in self.dialogs.clone() {
            self.act(Action::Hangup {
                dialog,
                reason: None,
            });
        }
        self.pass(s(70));
        // What rang when the others left, and rang out.
        for leg in self.legs.clone() {
            self.command(Command::Hangup {
                leg,
                cause: Cause::Normal,
            });
        }
        self.pass(s(70));
        let counts = self.engine.counts();
        assert_eq!(
            (counts.legs, counts.dialogs, counts.sessions, counts.timers),
            (0, 0, 0, 0)
        );
        assert_eq!(counts.conferences, 0);
        assert_eq!((counts.ports_free, counts.ports_total), (16, 16));
        assert!(
            self.engine.sip_counts().is_idle(),
            "{:?}",
            self.engine.sip_counts()
        );
        self.ledger.settled();
    }
}

fn pick<T: Clone>(rng: &mut Rng, list: &[T]) -> Option<T> {
    let bound = list.len().max(1) as u64;
    list.get(rng.below(bound) as usize).cloned()
}

fn bob() -> Credentials {
    Credentials {
        user: "bob".into(),
        password: Pii::new("secret".into()),
    }
}

fn home() -> Hop {
    Hop {
        transport: Transport::Udp,
        remote: address(HOME),
        conn: None,
    }
}

fn register(n: u64) -> Action {
    Action::Request {
        id: RequestId(n),
        method: "REGISTER".into(),
        uri: "sip:demo".into(),
        hop: home(),
        from: "<sip:bob@demo>".into(),
        to: "<sip:bob@demo>".into(),
        headers: vec![
            ("Contact".into(), format!("<sip:bob{n}@{CROWD}>")),
            ("Expires".into(), "3600".into()),
        ],
        credentials: Some(bob()),
    }
}

fn invite(dialog: DialogId, body: String, credentials: Option<Credentials>) -> Action {
    Action::Invite {
        dialog,
        uri: "sip:1000@demo".into(),
        hop: home(),
        from: "<sip:bob@demo>".into(),
        to: "<sip:1000@demo>".into(),
        headers: Vec::new(),
        body: body.into_bytes(),
        credentials,
    }
}

#[test]
fn every_leg_ends_once_whatever_happens() {
    walk(0..25);
}

#[test]
fn every_leg_ends_once_whatever_else_happens() {
    walk(25..50);
}

fn walk(seeds: std::ops::Range<u64>) {
    let mut seen = BTreeMap::new();
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let mut chaos = Chaos::new(seed);
            for _ in 0..2_000 {
                chaos.step();
            }
            chaos.finish();
            chaos.seen
        });
        match run {
            Ok(counts) => {
                for (name, count) in counts {
                    *seen.entry(name).or_insert(0) += count;
                }
            }
            Err(panic) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // A walk that never reaches a place proves nothing about it.
    for name in [
        "Incoming",
        "Answered",
        "Ringing",
        "Played",
        "Digit",
        "Gathered",
        "Recorded",
        "Bridged",
        "Unbridged",
        "Joined",
        "Left",
        "normal",
        "busy",
        "no_answer",
        "rejected",
        "not_found",
        "unreachable",
        "cancelled",
        "challenged",
        "not_acceptable",
        "lost",
        "overload",
        "failed",
        "interrupted",
        "EarlyMedia",
        "Held",
        "Retrieved",
        "Reoffered",
        "not reoffered",
        "ReferAsked",
        "ReferAsked in place",
        "Referred",
        "Referred at last",
        "Moved",
        "stayed",
        "transferred",
    ] {
        assert!(
            seen.get(name).is_some_and(|count| *count > 8),
            "{name} is rare: {seen:?}"
        );
    }
}
