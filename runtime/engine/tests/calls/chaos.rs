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
use sip::message::{self, HeaderName, Message};
use sip::{Account, Action, Credentials, DialogId, Endpoint, Hop, RequestId, Transport};
use vocab::call::{Cause, Command, Event, GatherSpec, RecordEnd, Target};
use vocab::{
    CallId, Clip, LegId, Mono, Now, Party, Pii, PlayId, RecordingId, Rng, SessionId, Wall,
};

use crate::far::sdp;
use crate::ledger::Ledger;
use crate::world::{HOME, address, ms, s};

const CROWD: &str = "192.0.2.50:5060";

/// Media ports of each of two workers. Few, so that they run out.
const PORTS: u16 = 8;

enum Parcel {
    ToEngine(Arc<[u8]>),
    ToCrowd(Arc<[u8]>),
    Report(WorkerId, media::Event),
}

/// A session as its worker knows it.
struct Session {
    worker: WorkerId,
    local: SocketAddr,
    play: Option<PlayId>,
    message: Option<RecordingId>,
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
        };
        let mut chaos = Self {
            now: Now::new(Mono(0), Wall(1_795_270_987_000_000)),
            engine: Engine::new(config, rng.fork()),
            crowd: Endpoint::new(sip::Config::new(crowd, crowd, [8; 32]), rng.fork()),
            rng,
            dialogs: Vec::new(),
            ringing: Vec::new(),
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
        let bound = list.len().max(1);
        list.get(self.below(bound)).cloned()
    }

    fn post(&mut self, after: Duration, parcel: Parcel) {
        self.mailed += 1;
        self.mail
            .insert((self.now.mono + after, self.mailed), parcel);
    }

    /// A datagram is under way: lost, doubled or late, as it comes.
    fn datagram(&mut self, bytes: Arc<[u8]>, parcel: fn(Arc<[u8]>) -> Parcel) {
        let copies = match (self.calm, self.below(100)) {
            (false, 0..6) => 0,
            (false, 6..10) => 2,
            (..) => 1,
        };
        for _ in 0..copies {
            let late = if self.calm { 0 } else { self.rng.below(100) };
            self.post(ms(5 + late), parcel(bytes.clone()));
        }
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
                    self.old.push(bytes.clone());
                    self.datagram(bytes, Parcel::ToEngine);
                }
                sip::Output::CloseStream { .. } => {}
                sip::Output::Event(event) => {
                    if let sip::Event::Incoming { dialog, .. } = event {
                        self.ringing.push(dialog);
                        self.dialogs.push(dialog);
                    }
                }
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
            Event::Ringing { .. } => "Ringing",
            Event::Played { .. } => "Played",
            Event::Digit { .. } => "Digit",
            Event::Gathered { .. } => "Gathered",
            Event::Recorded { .. } => "Recorded",
            Event::Bridged { .. } => "Bridged",
            Event::Unbridged { .. } => "Unbridged",
            Event::Registered { .. } | Event::Unregistered { .. } | Event::AuthFailed { .. } => "",
        };
        *self.seen.entry(name).or_default() += 1;
    }

    fn report(&mut self, worker: WorkerId, event: media::Event) {
        self.post(ms(5), Parcel::Report(worker, event));
    }

    /// What a worker makes of a command.
    fn worker(&mut self, worker: WorkerId, command: media::Command) {
        use media::Command as C;
        match command {
            C::Open { session, local } => {
                let opened = Session {
                    worker,
                    local,
                    play: None,
                    message: None,
                };
                self.sessions.insert(session, opened);
                if self.below(100) == 0 {
                    self.close(session);
                }
            }
            C::Play { session, play, .. } => {
                self.stop_play(session, false);
                if let Some(it) = self.sessions.get_mut(&session) {
                    it.play = Some(play);
                }
            }
            C::Stop { session, play } => {
                if self
                    .sessions
                    .get(&session)
                    .is_some_and(|it| it.play == Some(play))
                {
                    self.stop_play(session, false);
                }
            }
            C::RecordMessage {
                session, recording, ..
            } => {
                self.stop_message(session, RecordEnd::Terminator);
                if let Some(it) = self.sessions.get_mut(&session) {
                    it.message = Some(recording);
                }
            }
            C::StopRecording {
                session,
                recording,
                end,
            } => {
                if self
                    .sessions
                    .get(&session)
                    .is_some_and(|it| it.message == Some(recording))
                {
                    self.stop_message(session, end);
                }
            }
            C::Bridge { a, b } => {
                self.stop_play(a, false);
                self.stop_play(b, false);
            }
            C::Close { session } => self.close(session),
            C::Configure { .. }
            | C::SendDigits { .. }
            | C::RecordCall { .. }
            | C::Unbridge { .. } => {}
        }
    }

    fn stop_play(&mut self, session: SessionId, finished: bool) {
        let Some(it) = self.sessions.get_mut(&session) else {
            return;
        };
        if let Some(play) = it.play.take() {
            let worker = it.worker;
            self.report(
                worker,
                media::Event::Played {
                    session,
                    play,
                    finished,
                },
            );
        }
    }

    fn stop_message(&mut self, session: SessionId, end: RecordEnd) {
        let Some(it) = self.sessions.get_mut(&session) else {
            return;
        };
        if let Some(recording) = it.message.take() {
            let (worker, length) = (it.worker, s(1));
            self.report(
                worker,
                media::Event::Recorded {
                    session,
                    recording,
                    end,
                    length,
                },
            );
        }
    }

    fn close(&mut self, session: SessionId) {
        self.stop_play(session, false);
        self.stop_message(session, RecordEnd::Hangup);
        if let Some(Session { worker, local, .. }) = self.sessions.remove(&session) {
            let stats = media::Stats::default();
            self.report(
                worker,
                media::Event::Closed {
                    session,
                    local,
                    stats,
                },
            );
        }
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

    /// Writes a re-INVITE by hand, out of an ACK of the crowd.
    fn reinvite(&mut self) {
        let Some(ack) = self.one_of(&self.acks.clone()) else {
            return;
        };
        let body = self.body();
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        // The crowd's own requests in the dialog have low numbers.
        self.last += 1;
        let invite = rewrite(&ack, "INVITE", 1_000 + self.last);
        let length = format!("{content}Content-Length: {}\r\n\r\n{body}", body.len());
        let invite = invite.replace("Content-Length: 0\r\n\r\n", &length);
        self.datagram(invite.into_bytes().into(), Parcel::ToEngine);
    }

    /// Acknowledges an answer to a re-INVITE, usually.
    fn acknowledge(&mut self, bytes: &[u8]) {
        let Ok(Message::Response(response)) = message::parse(bytes) else {
            return;
        };
        let number = response
            .headers
            .cseq()
            .map(|cseq| cseq.number)
            .unwrap_or_default();
        if !(200..300).contains(&response.status) || number < 1_000 || self.below(4) == 0 {
            return;
        }
        let call_id = response
            .headers
            .first(&HeaderName::CallId)
            .unwrap_or_default()
            .to_owned();
        let Some(ack) = self.acks.iter().find(|ack| ack.contains(&call_id)).cloned() else {
            return;
        };
        let ack = rewrite(&ack, "ACK", u64::from(number));
        self.datagram(ack.into_bytes().into(), Parcel::ToEngine);
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
        let list = lists[self.rng.below(4) as usize].clone();
        let call = CallId(u128::from(self.rng.below(3)));
        self.one_of(&list).unwrap_or(LegId { call, n: 9 })
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
                let Some(dialog) = self.one_of(&self.ringing.clone()) else {
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
            20..25 => {
                if let Some(dialog) = self.one_of(&self.dialogs.clone()) {
                    self.act(Action::Hangup {
                        dialog,
                        reason: None,
                    });
                }
            }
            25..28 => self.reinvite(),
            28..30 => {
                if let Some(bytes) = self.one_of(&self.old.clone()) {
                    self.datagram(bytes, Parcel::ToEngine);
                }
            }
            30..45 => self.media_step(),
            45..55 => {
                let Some(leg) = self.one_of(&self.offered.clone()) else {
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

    /// A worker reports something.
    fn media_step(&mut self) {
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        let Some(session) = self.one_of(&sessions) else {
            return;
        };
        let worker = self.sessions[&session].worker;
        match self.below(100) {
            0..40 => {
                let keys: Vec<char> = "0123456789*#ABCD".chars().collect();
                let digit = Pii::new(self.one_of(&keys).expect("not empty"));
                self.report(worker, media::Event::Digit { session, digit });
            }
            40..75 => self.stop_play(session, true),
            75..95 => self.stop_message(session, RecordEnd::Silence),
            95..98 => self.report(worker, media::Event::Inactive { session }),
            _ => self.close(session),
        }
    }

    fn any_command(&mut self) -> Command {
        let leg = self.leg();
        self.last += 1;
        let clips = match self.below(3) {
            0 => Vec::new(),
            _ => vec![Clip::silence(ms(100))],
        };
        match self.below(28) {
            0 => Command::Challenge { leg },
            1 => Command::Ring { leg },
            2 => Command::Answer { leg },
            3 => Command::Reject {
                leg,
                status: 300 + self.rng.below(400) as u16,
            },
            4..7 => Command::Play {
                leg,
                play: PlayId(self.last),
                clips,
                repeat: false,
            },
            7 => Command::Stop {
                leg,
                play: PlayId(self.last - self.rng.below(5).min(self.last)),
            },
            8..11 => {
                let spec = GatherSpec {
                    min: self.rng.below(3) as u8,
                    max: self.rng.below(4) as u8,
                    terminators: "#*".into(),
                    first_timeout: ms(self.rng.below(3_000)),
                    inter_timeout: ms(self.rng.below(1_000)),
                    barge_in: self.below(2) == 0,
                };
                Command::Gather { leg, clips, spec }
            }
            11..14 => Command::Record {
                leg,
                recording: RecordingId {
                    call: leg.call,
                    n: self.last as u16,
                },
                max: s(9),
                silence: s(2),
                beep: clips,
                terminators: "#".into(),
            },
            14 => Command::RecordCall {
                leg,
                recording: RecordingId {
                    call: leg.call,
                    n: 0,
                },
            },
            15..19 => {
                let known = self
                    .one_of(&self.up.clone())
                    .filter(|_| !self.last.is_multiple_of(3));
                let call = known.map_or(CallId(u128::from(self.last)), |leg| leg.call);
                let leg = LegId {
                    call,
                    n: 100 + self.last as u16,
                };
                let target = match self.below(4) {
                    0 | 1 => Target::User("bob".into()),
                    2 => Target::User("nobody".into()),
                    _ => Target::Uri {
                        uri: Pii::new("sip:1@192.0.2.50".into()),
                        next_hop: address(CROWD),
                        tcp: false,
                    },
                };
                self.legs.push(leg);
                let timeout = ms(self.rng.below(20_000));
                Command::Dial {
                    leg,
                    target,
                    caller: Party::Anonymous,
                    timeout,
                }
            }
            19..22 => {
                let same = |other: &LegId| other.call == leg.call && *other != leg;
                let others: Vec<_> = self
                    .up
                    .iter()
                    .filter(|other| same(other))
                    .copied()
                    .collect();
                let b = self.one_of(&others).unwrap_or_else(|| self.leg());
                Command::Bridge { a: leg, b }
            }
            22 => Command::Unbridge { leg },
            23 => Command::SendDigits {
                leg,
                digits: Pii::new("1#x".into()),
            },
            _ => {
                let causes = [
                    Cause::Normal,
                    Cause::Busy,
                    Cause::Failed,
                    Cause::Interrupted,
                ];
                let cause = self.one_of(&causes).expect("not empty");
                Command::Hangup { leg, cause }
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
        assert_eq!((counts.ports_free, counts.ports_total), (16, 16));
        assert!(
            self.engine.sip_counts().is_idle(),
            "{:?}",
            self.engine.sip_counts()
        );
        self.ledger.settled();
    }
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

/// Another request in the dialog of an ACK.
fn rewrite(ack: &str, method: &str, number: u64) -> String {
    let mut text = String::new();
    for line in ack.split_inclusive("\r\n") {
        if let Some(rest) = line.strip_prefix("ACK ") {
            text += &format!("{method} {rest}");
        } else if line.starts_with("CSeq: ") {
            text += &format!("CSeq: {number} {method}\r\n");
            text += &format!("Contact: <sip:{CROWD}>\r\n");
        } else if line.starts_with("Via: ") {
            text += &format!("Via: SIP/2.0/UDP {CROWD};branch=z9hG4bK-{method}-{number};rport\r\n");
        } else {
            text += line;
        }
    }
    text
}

#[test]
fn every_leg_ends_once_whatever_happens() {
    let mut seen = BTreeMap::new();
    for seed in 0..50 {
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
    ] {
        assert!(
            seen.get(name).is_some_and(|count| *count > 20),
            "{name} is rare: {seen:?}"
        );
    }
}
