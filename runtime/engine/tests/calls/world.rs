//! One engine with its media workers, phones and hand-written far ends, on one virtual clock and
//! joined by a network that loses, repeats and reorders as its seed says. What happens is written
//! down as a ladder, and a ledger checks every step.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use expect_test::Expect;
use jackfield_engine::phone::{self, Digits, News, Phone, Step};
use jackfield_engine::{Config, Counts, Engine, Input, Output, WorkerId};
use media::{Channel, RecordingOutput, Worker};
use sip::message::{self, Message};
use sip::{Account, ConnId, Hop, Transport};
use vocab::call::{Command, Event};
use vocab::{Clip, LegId, Mono, Now, Pii, PlayId, RecordingId, Rng, SessionId, Wall};

use crate::describe::{Names, describe_command, describe_event, describe_media};
use crate::ledger::Ledger;

/// Time between two hosts.
pub(crate) const LATENCY: Duration = Duration::from_millis(10);

/// Where the engine signals.
pub(crate) const HOME: &str = "192.0.2.1:5060";

/// First RTP port of the engine.
const RTP: u16 = 10_000;

pub(crate) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// How the network treats datagrams.
#[derive(Clone, Copy, Default)]
pub(crate) struct Weather {
    /// Probability that one is lost.
    pub(crate) loss: f64,
    /// Probability that one comes twice.
    pub(crate) repeat: f64,
    /// Most that is added to the latency.
    pub(crate) jitter: Duration,
}

/// Who is at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Engine,
    Phone(usize),
    Session(usize, SessionId, Channel),
    PhoneMedia(usize, Channel),
    /// The test itself.
    Far,
}

enum Parcel {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Piece {
        conn: ConnId,
        bytes: Vec<u8>,
    },
    ToWorker {
        worker: usize,
        command: media::Command,
    },
    ToEngine {
        worker: usize,
        event: media::Event,
    },
}

#[derive(Clone, Copy)]
struct Stream {
    owner: Place,
    /// The address it was opened to or from.
    remote: SocketAddr,
    other: ConnId,
}

/// Decides about one message by sender and line in the ladder: true loses it.
type Filter = Box<dyn FnMut(&str, &str) -> bool>;

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) engine: Engine,
    pub(crate) weather: Weather,
    /// Time from the engine to a worker, and back.
    pub(crate) thread_delay: Duration,
    /// The workers hear no command.
    deaf: bool,
    /// Media commands are in the ladder too.
    pub(crate) show_media: bool,
    pub(crate) events: VecDeque<Event>,
    pub(crate) recordings: BTreeMap<RecordingId, Vec<i16>>,
    ledger: Ledger,
    pub(crate) news: Vec<Vec<News>>,
    pub(crate) phones: Vec<Phone>,
    phone_configs: Vec<phone::Config>,
    workers: Vec<Worker>,
    sessions: BTreeMap<SocketAddr, (usize, SessionId)>,
    names: Names,
    inbox: BTreeMap<SocketAddr, VecDeque<Message>>,
    streams: BTreeMap<ConnId, Stream>,
    filter: Option<Filter>,
    rng: Rng,
    mail: BTreeMap<(Mono, u64), Parcel>,
    mailed: u64,
    play_last: u64,
    ladder: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(1, &[10])
    }

    /// A world with so many ports on each worker. The accounts are `ann`, `bob` and `carol`.
    pub(crate) fn with(seed: u64, ports: &[u16]) -> Self {
        let mut rng = Rng::from_u64(seed);
        let account = |user: &str| {
            (
                user.to_owned(),
                Account {
                    password: secret(user),
                },
            )
        };
        let home = address(HOME);
        let sip = sip::Config {
            realm: "demo".into(),
            accounts: ["ann", "bob", "carol"].map(account).into(),
            ..sip::Config::new(home, home, [7; 32])
        };
        let config = Config {
            sip,
            capabilities: media::Capabilities::default(),
            credentials: None,
        };
        let mut world = Self {
            // Not on the grid of ticks, but on the ladder's.
            now: Now::new(Mono(0), Wall(1_795_270_987_000_000)),
            engine: Engine::new(config, rng.fork()),
            weather: Weather::default(),
            thread_delay: Duration::ZERO,
            deaf: false,
            show_media: false,
            events: VecDeque::new(),
            recordings: BTreeMap::new(),
            ledger: Ledger::default(),
            news: Vec::new(),
            phones: Vec::new(),
            phone_configs: Vec::new(),
            workers: Vec::new(),
            sessions: BTreeMap::new(),
            names: Names::default(),
            inbox: BTreeMap::new(),
            streams: BTreeMap::new(),
            filter: None,
            rng,
            mail: BTreeMap::new(),
            mailed: 0,
            play_last: 0,
            ladder: String::new(),
        };
        world.names.place(home, "home");
        let mut port = RTP;
        for (index, count) in ports.iter().enumerate() {
            world
                .workers
                .push(Worker::new(media::Config::default(), world.rng.fork()));
            let row = (0..*count)
                .map(|n| SocketAddr::new(home.ip(), port + 2 * n))
                .collect();
            world.feed(Input::Ports {
                worker: WorkerId(index as u16),
                ports: row,
            });
            port += 2 * count;
        }
        world
    }

    /// Adds a phone of this user. It answers nothing by itself and has no script.
    pub(crate) fn phone(&mut self, user: &str, set: impl FnOnce(&mut phone::Config)) -> usize {
        let index = self.phones.len();
        let host = format!("192.0.2.{}", 10 + index);
        let mut config = phone::Config {
            user: user.into(),
            domain: "demo".into(),
            password: Some(secret(user)),
            sip: address(&format!("{host}:5060")),
            rtp: address(&format!("{host}:4000")),
            transport: Transport::Udp,
            capabilities: media::Capabilities::default(),
            digits: Digits::Rfc4733,
            answer_after: None,
            script: Vec::new(),
            vanish: false,
        };
        set(&mut config);
        let same = self
            .phone_configs
            .iter()
            .filter(|other| other.user == user)
            .count();
        let name = if same == 0 {
            user.to_owned()
        } else {
            format!("{user}{}", same + 1)
        };
        self.names.place(config.sip, &name);
        self.phones
            .push(Phone::new(self.now, config.clone(), self.rng.fork()));
        self.phone_configs.push(config);
        self.news.push(Vec::new());
        index
    }

    /// A phone that follows a script once its call is up.
    pub(crate) fn scripted(&mut self, user: &str, script: Vec<Step>) -> usize {
        self.phone(user, |config| config.script = script)
    }

    /// Gives an address that the test speaks for itself a name.
    pub(crate) fn far(&mut self, name: &str, at: &str) -> SocketAddr {
        let at = address(at);
        self.names.place(at, name);
        self.inbox.insert(at, VecDeque::new());
        at
    }

    /// Loses the messages for which `filter` says so, by sender and ladder line.
    pub(crate) fn lose(&mut self, filter: impl FnMut(&str, &str) -> bool + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// A phone dials a number.
    pub(crate) fn dial(&mut self, phone: usize, number: &str) {
        let uri = format!("sip:{number}@demo");
        let (next_hop, timeout) = (address(HOME), s(60));
        self.feed_phone(
            phone,
            phone::Input::Call {
                uri,
                next_hop,
                timeout,
            },
        );
    }

    /// A phone registers; time passes until it has its answer.
    pub(crate) fn register(&mut self, phone: usize) {
        let (next_hop, expires) = (address(HOME), s(600));
        self.feed_phone(phone, phone::Input::Register { next_hop, expires });
        self.run(s(1));
    }

    pub(crate) fn hang_up(&mut self, phone: usize) {
        self.feed_phone(phone, phone::Input::Hangup);
    }

    /// A phone dials and its call is answered.
    pub(crate) fn connected(&mut self, phone: usize) -> LegId {
        self.dial(phone, "1000");
        let leg = self.incoming();
        self.answer(leg);
        leg
    }

    /// The leg of the next call that comes in.
    pub(crate) fn incoming(&mut self) -> LegId {
        match self.until("Incoming", |event| matches!(event, Event::Incoming { .. })) {
            Event::Incoming { leg, .. } => leg,
            other => panic!("{other:?}"),
        }
    }

    /// Answers and waits until that is acknowledged.
    pub(crate) fn answer(&mut self, leg: LegId) {
        self.command(Command::Answer { leg });
        self.until("Answered", |event| *event == Event::Answered { leg });
    }

    /// A playback of its own name.
    pub(crate) fn play(&mut self, leg: LegId, clip: &Clip) -> PlayId {
        self.play_last += 1;
        let play = PlayId(self.play_last);
        self.command(Command::Play {
            leg,
            play,
            clips: vec![clip.clone()],
            repeat: false,
        });
        play
    }

    pub(crate) fn command(&mut self, command: Command) {
        let text = describe_command(&command, &mut self.names);
        self.write("", &format!("> {text}"));
        self.ledger.command(&command);
        self.feed(Input::Command(command));
    }

    /// Gives a command that breaks the contract, which the ledger does not count.
    pub(crate) fn engine_only(&mut self, command: Command) {
        let text = describe_command(&command, &mut self.names);
        self.write("", &format!("> {text}"));
        self.feed(Input::Command(command));
    }

    /// Lets time pass until this is reported, which is at most two minutes.
    pub(crate) fn until(&mut self, what: &str, found: impl Fn(&Event) -> bool) -> Event {
        let end = self.now.mono + s(120);
        loop {
            while let Some(event) = self.events.pop_front() {
                if found(&event) {
                    return event;
                }
            }
            assert!(
                self.step(end),
                "no {what} within two minutes:\n{}",
                self.ladder
            );
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.step(end) {}
        self.move_to(end);
    }

    /// Runs until all must be forgotten and checks that it is. 64·T1 after the last call the last
    /// transaction is gone; a BYE that is never answered may begin as late as 64·T1 after it.
    pub(crate) fn settle(&mut self) {
        self.run(s(70));
        let counts = self.engine.counts();
        let expected = Counts {
            ports_free: counts.ports_total,
            ports_total: counts.ports_total,
            panics: counts.panics,
            ..Counts::default()
        };
        assert_eq!(counts, expected, "something is left:\n{}", self.ladder);
        assert!(
            self.engine.sip_counts().is_idle(),
            "{:?}",
            self.engine.sip_counts()
        );
        for worker in self.workers.iter().filter(|_| !self.deaf) {
            assert_eq!(worker.counts().sessions, 0);
        }
        for phone in self.phones.iter().filter(|phone| !phone.has_vanished()) {
            let (engine, sip) = phone.counts();
            assert_eq!((engine.legs, engine.sessions, engine.timers), (0, 0, 0));
            assert!(sip.is_idle(), "{sip:?}");
        }
        self.ledger.settled();
    }

    /// Compares the ladder since the last call.
    pub(crate) fn check(&mut self, expected: Expect) {
        expected.assert_eq(&self.ladder());
    }

    /// The ladder since the last call.
    pub(crate) fn ladder(&mut self) -> String {
        std::mem::take(&mut self.ladder)
    }

    /// Forgets the ladder so far.
    pub(crate) fn skip_ladder(&mut self) {
        self.ladder.clear();
    }

    /// The oldest message that arrived where the test speaks for itself, if it was not taken yet.
    pub(crate) fn received(&mut self, at: SocketAddr) -> Option<Message> {
        self.inbox.get_mut(&at).expect("a far end").pop_front()
    }

    /// Sends what the test wrote to the engine.
    pub(crate) fn send(&mut self, from: SocketAddr, text: &str) {
        let to = address(HOME);
        let hop = Hop {
            transport: Transport::Udp,
            remote: to,
            conn: None,
        };
        self.transmit(Place::Far, from, hop, text.as_bytes());
    }

    /// From now on no worker hears a command, though packets still flow.
    pub(crate) fn deafen(&mut self) {
        self.deaf = true;
        self.ledger.deaf = true;
    }

    /// Has a worker report something it would not have.
    pub(crate) fn inject(&mut self, worker: u16, event: media::Event) {
        self.ledger.media_event(&event);
        self.feed(Input::Media {
            worker: WorkerId(worker),
            event,
        });
    }

    pub(crate) fn heard(&self, phone: usize) -> &[i16] {
        self.phones[phone].heard()
    }

    /// Ends a phone's call and gives all it heard: what was recorded last comes with the end.
    pub(crate) fn heard_in_all(&mut self, phone: usize) -> Vec<i16> {
        self.hang_up(phone);
        self.run(ms(100));
        self.heard(phone).to_vec()
    }

    fn feed(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
        let mut events = Vec::new();
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Transmit { hop, bytes } => {
                    self.transmit(Place::Engine, address(HOME), hop, &bytes);
                }
                Output::CloseStream { conn } => {
                    self.streams.remove(&conn);
                }
                Output::Media { worker, command } => self.tell_worker(worker, command),
                Output::Response { .. } => panic!("the engine was asked for no request"),
                Output::Event(event) => events.push(event),
            }
        }
        for event in events {
            let text = describe_event(&event, &mut self.names);
            self.write("  ", &text);
            self.ledger.event(&event);
            self.events.push_back(event);
        }
    }

    fn tell_worker(&mut self, worker: WorkerId, command: media::Command) {
        self.ledger.media(&command);
        if self.show_media {
            self.write("    ", &format!("media {}", describe_media(&command)));
        }
        if self.deaf {
            return;
        }
        let worker = usize::from(worker.0);
        self.post(self.thread_delay, Parcel::ToWorker { worker, command });
    }

    fn feed_worker(&mut self, worker: usize, input: media::Input<'_>) {
        self.workers[worker].handle(self.now, input);
        while let Some(output) = self.workers[worker].poll() {
            match output {
                media::Output::Send {
                    session,
                    channel,
                    to,
                    packet,
                } => {
                    let of = |(_, s): &(usize, SessionId)| *s == session;
                    let local = self
                        .sessions
                        .iter()
                        .find(|(_, place)| of(place))
                        .map(|(at, _)| *at);
                    let from = on_channel(local.expect("a session has a port"), channel);
                    self.mail_datagram(from, to, packet.as_bytes().to_vec());
                }
                media::Output::Recording { recording, what } => {
                    let samples = self.recordings.entry(recording).or_default();
                    if let RecordingOutput::Samples(chunk) = what {
                        samples.extend_from_slice(&chunk);
                    }
                }
                media::Output::Event(event) => {
                    self.post(self.thread_delay, Parcel::ToEngine { worker, event });
                }
            }
        }
    }

    fn feed_phone(&mut self, phone: usize, input: phone::Input<'_>) {
        self.phones[phone].handle(self.now, input);
        let config = self.phone_configs[phone].clone();
        while let Some(output) = self.phones[phone].poll() {
            match output {
                phone::Output::Transmit { hop, bytes } => {
                    self.transmit(Place::Phone(phone), config.sip, hop, &bytes);
                }
                phone::Output::CloseStream { conn } => {
                    self.streams.remove(&conn);
                }
                phone::Output::Media {
                    channel,
                    to,
                    packet,
                } => {
                    let from = on_channel(config.rtp, channel);
                    self.mail_datagram(from, to, packet.as_bytes().to_vec());
                }
                phone::Output::News(news) => self.news[phone].push(news),
            }
        }
    }

    /// Does the next thing if it happens by `end`.
    fn step(&mut self, end: Mono) -> bool {
        let mail = self.mail.first_key_value().map(|((at, _), _)| *at);
        let engine = self.engine.deadline().map(|at| (at, Place::Engine));
        let workers = (0..self.workers.len()).filter_map(|n| {
            let place = Place::Session(n, SessionId(0), Channel::Rtp);
            Some((self.workers[n].deadline()?, place))
        });
        let phones = (0..self.phones.len())
            .filter_map(|n| Some((self.phones[n].deadline()?, Place::Phone(n))));
        let timer = engine
            .into_iter()
            .chain(workers)
            .chain(phones)
            .min_by_key(|(at, _)| *at);
        let next = mail.into_iter().chain(timer.map(|(at, _)| at)).min();
        let Some(next) = next.filter(|at| *at <= end) else {
            return false;
        };
        self.move_to(next.max(self.now.mono));
        if mail.is_some_and(|at| at <= next) {
            let (_, parcel) = self.mail.pop_first().expect("just seen");
            self.deliver(parcel);
            return true;
        }
        match timer {
            Some((_, Place::Engine)) => {
                self.feed(Input::Timeout);
                let next = self.engine.deadline();
                assert!(
                    next.is_none_or(|at| at > self.now.mono),
                    "a timeout leaves nothing due"
                );
            }
            Some((_, Place::Session(worker, ..))) => self.feed_worker(worker, media::Input::Tick),
            Some((_, Place::Phone(phone))) => {
                self.feed_phone(phone, phone::Input::Timeout);
                let next = self.phones[phone].deadline();
                assert!(
                    next.is_none_or(|at| at > self.now.mono),
                    "a timeout leaves nothing due"
                );
            }
            Some((_, Place::Far | Place::PhoneMedia(..))) | None => {}
        }
        true
    }

    fn move_to(&mut self, at: Mono) {
        self.now = self.now + at.since(self.now.mono);
    }

    fn place(&self, at: SocketAddr) -> Option<Place> {
        if at == address(HOME) {
            return Some(Place::Engine);
        }
        if self.inbox.contains_key(&at) {
            return Some(Place::Far);
        }
        for (n, config) in self.phone_configs.iter().enumerate() {
            if at == config.sip {
                return Some(Place::Phone(n));
            }
            for channel in [Channel::Rtp, Channel::Rtcp] {
                if at == on_channel(config.rtp, channel) {
                    return Some(Place::PhoneMedia(n, channel));
                }
            }
        }
        let below = SocketAddr::new(at.ip(), at.port().saturating_sub(1));
        let found = |at: &SocketAddr, channel| {
            self.sessions
                .get(at)
                .map(|&(worker, session)| Place::Session(worker, session, channel))
        };
        found(&at, Channel::Rtp).or_else(|| found(&below, Channel::Rtcp))
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Datagram { from, to, bytes } => self.deliver_datagram(from, to, &bytes),
            Parcel::Piece { conn, bytes } => {
                let Some(stream) = self.streams.get(&conn).copied() else {
                    return;
                };
                let input = sip::Input::Stream {
                    conn,
                    remote: stream.remote,
                    bytes: &bytes,
                };
                match stream.owner {
                    Place::Engine => self.feed(Input::Sip(input)),
                    Place::Phone(phone) => self.feed_phone(phone, phone::Input::Sip(input)),
                    Place::Far | Place::Session(..) | Place::PhoneMedia(..) => {}
                }
            }
            Parcel::ToWorker { worker, command } => {
                if let media::Command::Open { session, local } = &command {
                    self.sessions.insert(*local, (worker, *session));
                }
                self.feed_worker(worker, media::Input::Command(command));
            }
            Parcel::ToEngine { worker, event } => {
                self.ledger.media_event(&event);
                let worker = WorkerId(worker as u16);
                self.feed(Input::Media { worker, event });
            }
        }
    }

    fn deliver_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let remote = from;
        match self.place(to) {
            Some(Place::Engine) => self.feed(Input::Sip(sip::Input::Datagram { remote, bytes })),
            Some(Place::Phone(phone)) => {
                let input = sip::Input::Datagram { remote, bytes };
                self.feed_phone(phone, phone::Input::Sip(input));
            }
            Some(Place::PhoneMedia(phone, channel)) => {
                self.feed_phone(
                    phone,
                    phone::Input::Media {
                        channel,
                        from,
                        bytes,
                    },
                );
            }
            Some(Place::Session(worker, session, channel)) => {
                let input = media::Input::Packet {
                    session,
                    channel,
                    from,
                    bytes,
                };
                self.feed_worker(worker, input);
            }
            Some(Place::Far) => {
                let message = message::parse(bytes).expect("the engine writes what can be read");
                self.inbox
                    .get_mut(&to)
                    .expect("a far end")
                    .push_back(message);
            }
            None => {}
        }
    }

    fn transmit(&mut self, who: Place, from: SocketAddr, hop: Hop, bytes: &[u8]) {
        let line = match message::parse(bytes) {
            Ok(message) => message.summary(),
            Err(error) => format!("({error})"),
        };
        let stream = hop.conn.and_then(|conn| self.streams.get(&conn));
        let to = stream
            .and_then(|near| self.streams.get(&near.other))
            .map(|far| far.owner);
        let name = self.names.of(from);
        let other = match to {
            Some(Place::Phone(n)) => self.names.of(self.phone_configs[n].sip),
            Some(Place::Engine | Place::Far | Place::Session(..) | Place::PhoneMedia(..))
            | None => self.names.of(hop.remote),
        };
        let lost = self.filter.as_mut().is_some_and(|lost| lost(&name, &line));
        let mark = if lost { " ✗" } else { "" };
        self.write("", &format!("{name} → {other}: {line}{mark}"));
        if lost {
            return;
        }
        match hop.transport {
            Transport::Udp => self.mail_datagram(from, hop.remote, bytes.to_vec()),
            Transport::Tcp => {
                let conn = hop.conn.filter(|conn| self.streams.contains_key(conn));
                let conn = conn.or_else(|| self.connect(who, from, hop.remote));
                let Some(stream) = conn.and_then(|conn| self.streams.get(&conn)) else {
                    return;
                };
                let conn = stream.other;
                // In pieces that do not end where messages do.
                for piece in bytes.chunks(100) {
                    self.post(
                        LATENCY,
                        Parcel::Piece {
                            conn,
                            bytes: piece.to_vec(),
                        },
                    );
                }
            }
        }
    }

    /// A stream from one place to the one at `remote`, reused while it is open.
    fn connect(&mut self, who: Place, from: SocketAddr, remote: SocketAddr) -> Option<ConnId> {
        let open =
            |(_, stream): &(&ConnId, &Stream)| stream.owner == who && stream.remote == remote;
        if let Some((conn, _)) = self.streams.iter().find(open) {
            return Some(*conn);
        }
        let to = self.place(remote)?;
        let count = self.streams.len() as u64;
        let (near, far) = (ConnId(2 * count + 1), ConnId(2 * count + 2));
        let source = SocketAddr::new(from.ip(), 40_000 + count as u16);
        self.streams.insert(
            near,
            Stream {
                owner: who,
                remote,
                other: far,
            },
        );
        self.streams.insert(
            far,
            Stream {
                owner: to,
                remote: source,
                other: near,
            },
        );
        Some(near)
    }

    fn mail_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let Weather {
            loss,
            repeat,
            jitter,
        } = self.weather;
        for _ in 0..1 + u32::from(self.rng.chance(repeat)) {
            if self.rng.chance(loss) {
                continue;
            }
            let late = Duration::from_nanos(self.rng.below(jitter.as_nanos() as u64 + 1));
            let bytes = bytes.clone();
            self.post(LATENCY + late, Parcel::Datagram { from, to, bytes });
        }
    }

    fn post(&mut self, after: Duration, parcel: Parcel) {
        self.mailed += 1;
        self.mail
            .insert((self.now.mono + after, self.mailed), parcel);
    }

    fn write(&mut self, indent: &str, what: &str) {
        let seconds = self.now.mono.0 as f64 / 1e9;
        writeln!(self.ladder, "{seconds:<7.3} {indent}{what}").expect("a string takes any text");
    }
}

fn on_channel(rtp: SocketAddr, channel: Channel) -> SocketAddr {
    match channel {
        Channel::Rtp => rtp,
        Channel::Rtcp => SocketAddr::new(rtp.ip(), rtp.port() + 1),
    }
}

fn secret(user: &str) -> Pii<String> {
    Pii::new(format!("secret of {user}"))
}

/// Something like a voice: pure tones below those of keys, each 60 ms long, different each time
/// and for each seed.
pub(crate) fn speech(seed: u64, length: Duration) -> Clip {
    let mut rng = Rng::from_u64(seed);
    let count = length.as_millis() as usize * 8;
    let (mut samples, mut phase, mut step) = (Vec::with_capacity(count), 0.0_f64, 0.0);
    for n in 0..count {
        if n % 480 == 0 {
            let pitch_hz = 150.0 + rng.below(450) as f64;
            step = std::f64::consts::TAU * pitch_hz / 8_000.0;
        }
        phase += step;
        samples.push((8_000.0 * phase.sin()) as i16);
    }
    Clip::new(format!("speech {seed}"), Arc::<[i16]>::from(samples))
}

/// The share of a clip that is in what was heard.
pub(crate) fn coverage(clip: &Clip, heard: &[i16]) -> f64 {
    media::compare::coverage(&clip.samples, heard, heard.len())
}

#[track_caller]
pub(crate) fn assert_heard(clip: &Clip, heard: &[i16]) {
    let share = coverage(clip, heard);
    assert!(share > 0.95, "only {share:.2} of {} was heard", clip.name);
}

#[track_caller]
pub(crate) fn assert_not_heard(clip: &Clip, heard: &[i16]) {
    let share = coverage(clip, heard);
    assert!(share < 0.2, "{share:.2} of {} was heard", clip.name);
}
