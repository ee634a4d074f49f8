//! Endpoints on one virtual clock, joined by a network that loses, repeats and reorders as its
//! seed says. What happens is written down as a ladder.

#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jackfield_sip::auth::Algorithm;
use jackfield_sip::guard;
use jackfield_sip::limits::Limits;
use jackfield_sip::message::{self, HeaderName, Message};
use jackfield_sip::{
    Account, Action, Config, ConnId, Counts, Credentials, DialogId, Endpoint, Event, Hop, Input,
    Output, Transport,
};
use vocab::{Mono, Now, Pii, Rng, Wall};

/// Time between two endpoints.
pub const LATENCY: Duration = Duration::from_millis(10);

/// One endpoint and what it was told.
pub struct Peer {
    pub name: &'static str,
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    pub events: VecDeque<Event>,
    pub streams: BTreeMap<ConnId, (SocketAddr, Option<(usize, ConnId)>)>,
}

/// How the network treats datagrams.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// Probability that a datagram is lost.
    pub loss: f64,
    /// Probability that it comes twice.
    pub repeat: f64,
    /// Most that is added to the latency.
    pub jitter: Duration,
}

enum Parcel {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Arc<[u8]>,
    },
    Piece {
        to: usize,
        conn: ConnId,
        remote: SocketAddr,
        bytes: Vec<u8>,
    },
}

/// Decides about one message by sender, line in the ladder and how many like it went before: true
/// loses it.
type Filter = Box<dyn FnMut(&str, &str) -> bool>;

pub struct World {
    pub now: Now,
    pub peers: Vec<Peer>,
    pub weather: Weather,
    pub rng: Rng,
    pub ladder: Option<String>,
    /// Messages sent to addresses where nobody is.
    pub outside: Vec<(Hop, Arc<[u8]>)>,
    filter: Option<Filter>,
    mail: BTreeMap<(Mono, u64), Parcel>,
    mailed: u64,
    conns: u64,
}

pub fn config(address: SocketAddr) -> Config {
    let account = |password: &str| Account {
        password: Pii::new(password.to_owned()),
    };
    Config {
        udp: address,
        tcp: address,
        addresses: Vec::new(),
        realm: "demo".into(),
        product: "Jackfield".into(),
        algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        accounts: BTreeMap::from([
            ("ann".into(), account("secret of ann")),
            ("bob".into(), account("secret of bob")),
        ]),
        nonce_key: [7; 32],
        pass_key: Some([8; 32]),
        nonce_lifetime: Duration::from_secs(300),
        expires: (Duration::from_secs(60), Duration::from_secs(3_600)),
        guard: guard::Config::open(),
        session_interval: Some(Duration::from_secs(1_800)),
        reliable_provisional: false,
    }
}

pub fn credentials(user: &str) -> Credentials {
    Credentials {
        user: user.into(),
        password: Pii::new(format!("secret of {user}")),
    }
}

pub const SDP: &[u8] = b"v=0\r\n";

impl World {
    /// A world of `ann`, `bob` and `carol` at 192.0.2.1, .2 and .3, in good weather.
    pub fn new(seed: u64) -> Self {
        Self::with_limits(seed, Limits::default())
    }

    pub fn with_limits(seed: u64, limits: Limits) -> Self {
        Self::with_config(seed, limits, |_| {})
    }

    /// The same, and nobody trusts anybody.
    pub fn guarded(seed: u64, limits: Limits, guard: &guard::Config) -> Self {
        Self::with_config(seed, limits, |config| config.guard = guard.clone())
    }

    pub fn with_config(seed: u64, limits: Limits, change: impl Fn(&mut Config)) -> Self {
        let mut rng = Rng::from_u64(seed);
        let peers = ["ann", "bob", "carol"]
            .into_iter()
            .zip(1..)
            .map(|(name, host)| {
                let address: SocketAddr = format!("192.0.2.{host}:5060").parse().unwrap();
                let mut config = config(address);
                change(&mut config);
                Peer {
                    name,
                    endpoint: Endpoint::with_limits(config, limits, rng.fork()),
                    address,
                    events: VecDeque::new(),
                    streams: BTreeMap::new(),
                }
            })
            .collect();
        Self {
            now: Now::new(Mono(0), Wall(1_795_270_987_000_000)),
            peers,
            weather: Weather::default(),
            rng,
            ladder: Some(String::new()),
            outside: Vec::new(),
            filter: None,
            mail: BTreeMap::new(),
            mailed: 0,
            conns: 0,
        }
    }

    /// Loses the messages for which `filter` says so, by sender and ladder line.
    pub fn lose(&mut self, filter: impl FnMut(&str, &str) -> bool + 'static) {
        self.filter = Some(Box::new(filter));
    }

    pub fn hop(&self, to: usize) -> Hop {
        Hop {
            transport: Transport::Udp,
            remote: self.peers[to].address,
            conn: None,
        }
    }

    pub fn tcp(&self, to: usize) -> Hop {
        Hop {
            transport: Transport::Tcp,
            ..self.hop(to)
        }
    }

    /// Has a peer do something.
    pub fn act(&mut self, who: usize, action: Action) {
        self.feed(who, Input::Action(action));
    }

    pub fn feed(&mut self, who: usize, input: Input<'_>) {
        self.peers[who].endpoint.handle(self.now, input);
        self.drain(who);
    }

    /// Calls `to` and returns the caller's dialog.
    pub fn call(&mut self, from: usize, to: usize) -> DialogId {
        let hop = self.hop(to);
        self.call_by(from, hop, None, &[])
    }

    pub fn call_by(
        &mut self,
        from: usize,
        hop: Hop,
        credentials: Option<Credentials>,
        headers: &[(&str, &str)],
    ) -> DialogId {
        let dialog = self.peers[from].endpoint.allocate();
        let name = self.peers[from].name;
        let to = self
            .peers
            .iter()
            .find(|p| p.address == hop.remote)
            .map_or("nobody", |p| p.name);
        let uri = format!("sip:{to}@{}", hop.remote);
        self.act(
            from,
            Action::Invite {
                dialog,
                uri: uri.clone(),
                hop,
                from: format!("<sip:{name}@demo>"),
                to: format!("<{uri}>"),
                headers: headers
                    .iter()
                    .map(|(n, v)| ((*n).into(), (*v).into()))
                    .collect(),
                body: SDP.to_vec(),
                credentials,
            },
        );
        dialog
    }

    /// Answers the last INVITE.
    pub fn respond(&mut self, who: usize, dialog: DialogId, status: u16) {
        let body = if status == 200 {
            SDP.to_vec()
        } else {
            Vec::new()
        };
        self.act(
            who,
            Action::Respond {
                dialog,
                status,
                headers: Vec::new(),
                body,
            },
        );
    }

    pub fn hang_up(&mut self, who: usize, dialog: DialogId) {
        self.act(
            who,
            Action::Hangup {
                dialog,
                reason: None,
            },
        );
    }

    /// The dialog of the oldest `Incoming` that was not taken.
    pub fn incoming(&mut self, who: usize) -> DialogId {
        loop {
            match self.peers[who].events.pop_front() {
                Some(Event::Incoming { dialog, .. }) => return dialog,
                Some(_) => {}
                None => panic!("nobody called {}", self.peers[who].name),
            }
        }
    }

    /// Gives a datagram to a peer as if it came from `from`.
    pub fn inject(&mut self, who: usize, from: &str, text: &str) {
        let bytes = text.replace('\n', "\r\n");
        let remote = from.parse().unwrap();
        self.write(
            &format!("{from} → {}", self.peers[who].name),
            &line(bytes.as_bytes()),
            "",
        );
        self.feed(
            who,
            Input::Datagram {
                remote,
                bytes: bytes.as_bytes(),
            },
        );
    }

    /// Lets time pass until nothing is left to happen within `span`.
    pub fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.step(end) {}
        self.move_to(end);
    }

    /// Does the next thing if it happens by `end`.
    pub fn step(&mut self, end: Mono) -> bool {
        let mail = self.mail.first_key_value().map(|((at, _), _)| *at);
        let timer = (0..self.peers.len())
            .filter_map(|who| Some((self.peers[who].endpoint.deadline()?, who)))
            .min();
        let next = mail.into_iter().chain(timer.map(|(at, _)| at)).min();
        let Some(next) = next.filter(|at| *at <= end) else {
            return false;
        };
        self.move_to(next.max(self.now.mono));
        if mail.is_some_and(|at| at <= next) {
            let (_, parcel) = self.mail.pop_first().expect("just seen");
            self.deliver(parcel);
        } else if let Some((_, who)) = timer {
            self.feed(who, Input::Timeout);
            assert!(
                self.peers[who]
                    .endpoint
                    .deadline()
                    .is_none_or(|at| at > self.now.mono),
                "a timeout leaves nothing due"
            );
        }
        true
    }

    fn move_to(&mut self, at: Mono) {
        self.now = self.now + at.since(self.now.mono);
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Datagram { from, to, bytes } => {
                let who = self
                    .peers
                    .iter()
                    .position(|peer| peer.address == to)
                    .expect("known");
                self.feed(
                    who,
                    Input::Datagram {
                        remote: from,
                        bytes: &bytes,
                    },
                );
            }
            Parcel::Piece {
                to,
                conn,
                remote,
                bytes,
            } => {
                self.feed(
                    to,
                    Input::Stream {
                        conn,
                        remote,
                        bytes: &bytes,
                    },
                );
            }
        }
    }

    fn drain(&mut self, who: usize) {
        while let Some(output) = self.peers[who].endpoint.poll() {
            match output {
                Output::Transmit { hop, bytes } => self.transmit(who, hop, bytes),
                Output::CloseStream { conn } => {
                    self.write(self.peers[who].name, "closes the stream", "");
                    self.peers[who].streams.remove(&conn);
                }
                Output::Event(event) => {
                    self.write(self.peers[who].name, &describe(&event), "  ");
                    self.peers[who].events.push_back(event);
                }
            }
        }
    }

    fn transmit(&mut self, who: usize, hop: Hop, bytes: Arc<[u8]>) {
        let from = self.peers[who].address;
        let to = self
            .peers
            .iter()
            .position(|peer| peer.address == hop.remote);
        let name = self.peers[who].name;
        let watched = self.ladder.is_some() || self.filter.is_some();
        let text = if watched { line(&bytes) } else { String::new() };
        let lost = self.filter.as_mut().is_some_and(|lost| lost(name, &text));
        let stream = hop.conn.and_then(|conn| self.peers[who].streams.get(&conn));
        let to = match (to, stream) {
            (_, Some((_, Some((other, _))))) => Some(*other),
            (to, _) => to,
        };
        if self.ladder.is_some() {
            let other = to.map_or(hop.remote.to_string(), |to| self.peers[to].name.to_owned());
            let mark = if lost { " ✗" } else { "" };
            self.write(&format!("{name} → {other}"), &format!("{text}{mark}"), "");
        }
        if lost {
            return;
        }
        match (hop.transport, to) {
            (_, None) => self.outside.push((hop, bytes)),
            (Transport::Udp, Some(_)) => self.mail_datagram(from, hop.remote, bytes),
            (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss, Some(to)) => {
                self.mail_stream(who, to, hop, &bytes)
            }
        }
    }

    fn mail_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Arc<[u8]>) {
        let Weather {
            loss,
            repeat,
            jitter,
        } = self.weather;
        let copies = 1 + u32::from(self.rng.chance(repeat));
        for _ in 0..copies {
            if self.rng.chance(loss) {
                continue;
            }
            let late = self.rng.below(jitter.as_nanos() as u64 + 1);
            let at = self.now.mono + LATENCY + Duration::from_nanos(late);
            let bytes = bytes.clone();
            self.mailed += 1;
            self.mail
                .insert((at, self.mailed), Parcel::Datagram { from, to, bytes });
        }
    }

    /// Cuts a message into pieces of 1 to 100 bytes.
    fn mail_stream(&mut self, who: usize, to: usize, hop: Hop, bytes: &[u8]) {
        let conn = hop.conn.unwrap_or_else(|| self.connect(who, to));
        let (_, other) = self.peers[who].streams[&conn];
        let (to, conn) = other.expect("streams of peers have two ends");
        let remote = self.peers[to].streams[&conn].0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(1 + self.rng.below(100) as usize));
            rest = after;
            let piece = Parcel::Piece {
                to,
                conn,
                remote,
                bytes: piece.to_vec(),
            };
            self.mailed += 1;
            self.mail
                .insert((self.now.mono + LATENCY, self.mailed), piece);
        }
    }

    /// A stream from `who`, reused while it is open.
    fn connect(&mut self, who: usize, to: usize) -> ConnId {
        let address = self.peers[to].address;
        let open = self.peers[who]
            .streams
            .iter()
            .find(|(_, (remote, _))| *remote == address);
        if let Some((conn, _)) = open {
            return *conn;
        }
        self.conns += 1;
        let (near, far) = (ConnId(self.conns * 2), ConnId(self.conns * 2 + 1));
        let port = 40_000 + self.conns as u16;
        let source = SocketAddr::new(self.peers[who].address.ip(), port);
        self.peers[who]
            .streams
            .insert(near, (address, Some((to, far))));
        self.peers[to]
            .streams
            .insert(far, (source, Some((who, near))));
        near
    }

    fn write(&mut self, who: &str, what: &str, indent: &str) {
        if let Some(ladder) = &mut self.ladder {
            let seconds = self.now.mono.0 as f64 / 1e9;
            writeln!(ladder, "{seconds:<7.3} {indent}{who}: {what}").unwrap();
        }
    }

    /// What was written since the last call.
    pub fn take_ladder(&mut self) -> String {
        std::mem::take(self.ladder.as_mut().expect("the ladder is written"))
    }

    pub fn counts(&self, who: usize) -> Counts {
        self.peers[who].endpoint.counts()
    }

    /// Runs until all must be forgotten and checks that it is.
    pub fn settle(&mut self) {
        self.run(Duration::from_secs(70));
        for peer in &self.peers {
            let counts = peer.endpoint.counts();
            assert!(counts.is_idle(), "{} keeps {counts:?}", peer.name);
        }
    }
}

/// A message's line in the ladder.
pub fn line(bytes: &[u8]) -> String {
    match message::parse(bytes) {
        Ok(message) => message.summary(),
        Err(_) if bytes == b"\r\n" => "pong".to_owned(),
        Err(error) => format!("({error})"),
    }
}

/// The only response or request among bytes.
pub fn read(bytes: &[u8]) -> Message {
    message::parse(bytes).expect("what an endpoint sends can be read")
}

/// A header of a message.
pub fn header(bytes: &[u8], name: HeaderName) -> String {
    read(bytes)
        .headers()
        .first(&name)
        .unwrap_or("(none)")
        .to_owned()
}

/// An event's line in the ladder.
pub fn describe(event: &Event) -> String {
    let quoted = |reason: &Option<String>| match reason {
        Some(reason) => format!(" [{reason}]"),
        None => String::new(),
    };
    match event {
        Event::Incoming {
            replaces: Some(DialogId(id)),
            ..
        } => format!("Incoming, replaces {id}"),
        Event::Incoming {
            user: Some(user), ..
        } => format!("Incoming from {user}"),
        Event::Incoming { user: None, .. } => "Incoming".into(),
        Event::Cancelled { reason, .. } => format!("Cancelled{}", quoted(reason)),
        Event::Progress { status, .. } => format!("Progress {status}"),
        Event::Answered { body, .. } => format!("Answered, {} bytes", body.len()),
        Event::Failed {
            status: Some(status),
            reason,
            contacts,
            retry_after,
            ..
        } => {
            let to: String = contacts.iter().map(|to| format!(" → {to}")).collect();
            let again = retry_after
                .map(|after| format!(", again after {} s", after.as_secs()))
                .unwrap_or_default();
            format!("Failed {status}{}{to}{again}", quoted(reason))
        }
        Event::Failed { status: None, .. } => "Failed".into(),
        Event::Reanswered { body, .. } => format!("Reanswered, {} bytes", body.len()),
        Event::Refer { to, replaces, .. } => match replaces {
            Some(replaces) => format!("Refer to {to} replacing {replaces}"),
            None => format!("Refer to {to}"),
        },
        Event::ReferAnswered { status, .. } => format!("ReferAnswered {status:?}"),
        Event::ReferProgress { status, over, .. } => {
            let over = if *over { ", over" } else { "" };
            format!("ReferProgress {status:?}{over}")
        }
        Event::Refused { status, .. } => format!("Refused {status}"),
        Event::Trying { .. } => "Trying".into(),
        Event::Confirmed { .. } => "Confirmed".into(),
        Event::Reoffer { body, .. } => format!("Reoffer, {} bytes", body.len()),
        Event::Info { content_type, .. } => format!("Info {content_type}"),
        Event::Ended { why, reason, .. } => format!("Ended {why:?}{}", quoted(reason)),
        Event::Response {
            status: Some(status),
            ..
        } => format!("Response {status}"),
        Event::Response { status: None, .. } => "Response (none)".into(),
        Event::Registered {
            user,
            contacts,
            refreshed,
        } => {
            let again = if *refreshed { " again" } else { "" };
            format!("Registered {user}{again}, {contacts} contacts")
        }
        Event::Unregistered { user, why } => format!("Unregistered {user}: {}", why.name()),
        Event::AuthFailed { user, .. } => format!("AuthFailed {user}"),
        Event::Banned {
            source,
            reason,
            lasting,
        } => format!(
            "Banned {source} for {} s: {}",
            lasting.as_secs(),
            reason.name()
        ),
    }
}
