//! One engine with its media workers, phones and hand-written far ends, on one virtual clock and
//! joined by a network that loses, repeats and reorders as its seed says. What happens is written
//! down as a ladder, and a ledger checks every step.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use expect_test::Expect;
use jackfield_engine::phone::{self, Digits, News, Phone, Step};
use jackfield_engine::{Config, Counts, Engine, Input, WorkerId};
use media::{Channel, Worker};
use sip::message::Message;
use sip::{Account, ConnId, Hop, Transport};
use vocab::call::{Command, Event};
use vocab::{Clip, LegId, Mono, Now, Pii, PlayId, RecordingId, Rng, SessionId, Wall};

use crate::describe::{Names, describe_command};
use crate::far::Far;
use crate::ledger::Ledger;

mod network;

pub(crate) use network::Weather;
use network::{Parcel, Place, Stream};

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
            browsers: Vec::new(),
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
    /// A worker has no time for more calls, or has again.
    pub(crate) fn full(&mut self, worker: u16, full: bool) {
        let worker = WorkerId(worker);
        self.feed(Input::Full { worker, full });
    }

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

    /// A far end that the test speaks for registers a contact with these parameters.
    pub(crate) fn register_by_hand(&mut self, far: &Far, user: &str, params: &str) {
        let at = far.at;
        let request = |number: u32, authorization: &str| {
            format!(
                "REGISTER sip:demo SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {at};branch=z9hG4bK-register-{number}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{user}@demo>;tag=1\r\nTo: <sip:{user}@demo>\r\n\
                 Call-ID: register-{at}\r\nCSeq: {number} REGISTER\r\n\
                 Contact: <sip:{user}@{at}>;{params}\r\n{authorization}Content-Length: 0\r\n\r\n"
            )
        };
        self.send(at, &request(1, ""));
        self.run(ms(50));
        let challenge = std::iter::from_fn(|| self.received(at))
            .find_map(|message| sip::auth::Challenge::choose(message.headers()))
            .expect("a challenge");
        let credentials = sip::Credentials {
            user: user.to_owned(),
            password: secret(user),
        };
        let method = sip::message::Method::Register;
        let answer = sip::auth::Client::new(challenge).answer(
            &mut self.rng,
            &method,
            "sip:demo",
            &credentials,
        );
        self.send(at, &request(2, &format!("Authorization: {answer}\r\n")));
        self.run(ms(50));
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

    /// Answers a far end that the test speaks for, which acknowledges it.
    pub(crate) fn answer_by_hand(&mut self, leg: LegId, far: &mut Far) {
        self.command(Command::Answer { leg });
        self.run(ms(50));
        assert_eq!(far.answer(self).0, 200);
        far.send(self, "ACK", "");
        self.until("Answered", |event| *event == Event::Answered { leg });
        self.run(ms(50));
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

    fn write(&mut self, indent: &str, what: &str) {
        let seconds = self.now.mono.0 as f64 / 1e9;
        writeln!(self.ladder, "{seconds:<7.3} {indent}{what}").expect("a string takes any text");
    }
}

pub(crate) fn secret(user: &str) -> Pii<String> {
    Pii::new(format!("secret of {user}"))
}
