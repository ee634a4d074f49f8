//! A great many calls through call control and signalling, between far ends on bad lines.
//!
//! An [`engine::Engine`] stands between three [`sip::Endpoint`]s, each on a line that loses,
//! repeats and reorders datagrams. The far ends call, answer, refuse, change their calls and hang
//! up as they like; a few rules in the place of the node (`control.rs`) answer, dial, bridge,
//! refuse and end legs; media workers keep the border's contract and play nothing (`stub.rs`).
//!
//! Looked at while it runs: each INVITE transaction gets one final answer, the same to the byte
//! each time it is sent (`invites.rs`); each far end and each leg is told of its end once. Looked
//! at in the end: 64 s after the last call is over nothing is left, neither dialog nor timer. And
//! [`Alive`], counted while the calls come and go, does not grow.

mod alive;
mod control;
mod far;
mod invites;
mod report;
mod stub;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, Input, Output, WorkerId};
use sip::{Account, Endpoint, Hop, Transport};
use vocab::{Mono, Now, Pii, Rng, Wall};

pub use alive::Alive;
pub use report::{Report, run};

use crate::sim::network::Line;
use crate::sim::wire::Seen;
use crate::sim::{Trace, Weather};
use control::Control;
use far::Far;
use invites::Invites;
use stub::Workers;

/// Where the engine signals.
const HOME: &str = "192.0.2.1:5060";

/// Calls begin this long after one another, on average: 100 a second, or fewer if they are few.
const BETWEEN: Duration = Duration::from_millis(10);

/// Calls begin for this long at least, so that there is a time in which as many end.
const BEGINNING: Duration = Duration::from_secs(200);

/// Pairs of media ports of each of two workers: a few times what calls of this length need.
const PORTS: u16 = 8_000;

/// Twice 64·T1 (RFC 3261 §17): the last BYE is sent for half of it, and the last copy of it is
/// remembered for the other half.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(64);

/// Behind whom the registered user's three phones are, and how the calls of each fare.
const LINES: [Weather; 3] = [
    Weather {
        latency: Duration::from_millis(10),
        jitter: Duration::from_millis(100),
        loss: 0.02,
        repeat: 0.01,
    },
    // Copies come later than the first retransmission after T1.
    Weather {
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(700),
        loss: 0.10,
        repeat: 0.05,
    },
    Weather {
        latency: Duration::from_millis(50),
        jitter: Duration::from_millis(1_000),
        loss: 0.20,
        repeat: 0.20,
    },
];

/// The longest that a copy of a datagram is on its way.
const LATEST: Duration = Duration::from_millis(2 * 1_050);

/// Something that happens at some time.
#[derive(Debug)]
enum Happening {
    /// A datagram reaches the engine.
    ToEngine(SocketAddr, Parcel),
    /// A datagram reaches a far end.
    ToFar(usize, Parcel),
    /// A worker says something.
    Report(WorkerId, media::Event),
    /// Somebody calls.
    Call,
    /// The person at a far end does something.
    Far(usize, far::Act),
    /// What stands for the node does something.
    Control(control::Act),
}

#[derive(Clone, Debug)]
struct Parcel {
    bytes: Arc<[u8]>,
    /// The transaction, if this is an INVITE.
    invite: Option<invites::Key>,
}

/// All of it.
struct Crowd {
    now: Now,
    rng: Rng,
    engine: Engine,
    fars: Vec<Far>,
    lines: Vec<Line>,
    control: Control,
    workers: Workers,
    invites: Invites,
    queue: BTreeMap<(Mono, u64), Happening>,
    queued: u64,
    /// What the engine and the far ends say in this step.
    reports: VecDeque<vocab::call::Event>,
    words: VecDeque<(usize, sip::Event)>,
    /// Calls that have not begun.
    left: u32,
    begun: u32,
    between_ms: u64,
    /// When a leg or a far end's call was over for the last time.
    last_end: Mono,
    trace: Trace,
}

impl Crowd {
    fn new(seed: u64, calls: u32) -> Self {
        let mut rng = Rng::from_u64(seed);
        let account = |user: &str| {
            let password = Pii::new(far::password(user));
            (user.to_owned(), Account { password })
        };
        let home = home();
        let sip = sip::Config {
            realm: "demo".into(),
            accounts: ["ann", far::RESIDENT].map(account).into(),
            ..sip::Config::new(home, home, [7; 32])
        };
        let config = engine::Config {
            sip,
            capabilities: media::Capabilities::default(),
            credentials: None,
            browsers: Vec::new(),
        };
        let far = |index: usize, rng: &mut Rng| {
            let at = far::address(index);
            let config = sip::Config::new(at, at, [8; 32]);
            Far::new(Endpoint::new(config, rng.fork()))
        };
        let mut crowd = Self {
            now: Now::new(Mono(0), Wall(1_795_270_987_000_000)),
            engine: Engine::new(config, rng.fork()),
            fars: (0..LINES.len()).map(|index| far(index, &mut rng)).collect(),
            lines: LINES
                .map(|weather| Line::new(weather, Vec::new(), rng.fork()))
                .into(),
            rng,
            control: Control::default(),
            workers: Workers::default(),
            invites: Invites::default(),
            queue: BTreeMap::new(),
            queued: 0,
            reports: VecDeque::new(),
            words: VecDeque::new(),
            left: calls,
            begun: 0,
            between_ms: BETWEEN.max(BEGINNING / calls.max(1)).as_millis() as u64,
            last_end: Mono(0),
            trace: Trace::new(false),
        };
        for worker in 0..2_u8 {
            let ip = [10, 0, 0, worker + 1];
            let ports = (0..PORTS).map(|n| SocketAddr::from((ip, 10_000 + 2 * n)));
            let (worker, ports) = (WorkerId(worker.into()), ports.collect());
            crowd.feed(Input::Ports { worker, ports });
        }
        for far in 0..LINES.len() {
            crowd.within(1_000, Happening::Far(far, far::Act::Register));
        }
        // When the phones are there.
        crowd.at(Duration::from_secs(2), Happening::Call);
        crowd
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    /// Has something happen after this time.
    fn at(&mut self, after: Duration, what: Happening) {
        self.queued += 1;
        self.queue
            .insert((self.now.mono + after, self.queued), what);
    }

    /// Has something happen within so many milliseconds.
    fn within(&mut self, within_ms: u64, what: Happening) {
        let after = Duration::from_micros(self.below(within_ms * 1_000 + 1));
        self.at(after, what);
    }

    /// Does the next thing if it happens by `end`.
    fn step(&mut self, end: Mono) -> bool {
        let queue = self.queue.first_key_value().map(|((at, _), _)| *at);
        let engine = self.engine.deadline();
        let fars = self.fars.iter().enumerate();
        let far = fars
            .filter_map(|(far, it)| Some((it.endpoint.deadline()?, far)))
            .min();
        let next = [queue, engine, far.map(|(at, _)| at)];
        let Some(next) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now + next.since(self.now.mono);
        if queue == Some(next) {
            let (_, what) = self.queue.pop_first().expect("just seen");
            self.happen(what);
        } else if engine == Some(next) {
            self.feed(Input::Timeout);
            let due = self.engine.deadline().filter(|at| *at <= self.now.mono);
            assert_eq!(due, None, "a timeout leaves nothing due");
        } else if let Some((_, far)) = far {
            self.feed_far(far, sip::Input::Timeout);
            let deadline = self.fars[far].endpoint.deadline();
            let due = deadline.filter(|at| *at <= self.now.mono);
            assert_eq!(due, None, "a timeout leaves nothing due");
        }
        self.listen();
        true
    }

    /// Takes what was said in the order in which it was.
    fn listen(&mut self) {
        loop {
            if let Some(event) = self.reports.pop_front() {
                self.told(event);
            } else if let Some((far, event)) = self.words.pop_front() {
                self.hear(far, event);
            } else {
                return;
            }
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::ToEngine(remote, parcel) => {
                self.arrives(&parcel);
                let bytes = &parcel.bytes;
                self.feed(Input::Sip(sip::Input::Datagram { remote, bytes }));
            }
            Happening::ToFar(far, parcel) => {
                self.arrives(&parcel);
                let (remote, bytes) = (home(), &parcel.bytes);
                self.feed_far(far, sip::Input::Datagram { remote, bytes });
            }
            Happening::Report(worker, event) => self.feed(Input::Media { worker, event }),
            Happening::Call => self.begin(),
            Happening::Far(far, act) => self.act(far, act),
            Happening::Control(act) => self.decide(act),
        }
    }

    /// A call begins, and the next is planned.
    fn begin(&mut self) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        self.begun += 1;
        let far = self.below(LINES.len() as u64) as usize;
        self.call(far);
        if self.left > 0 {
            self.within(2 * self.between_ms, Happening::Call);
            return;
        }
        for far in 0..LINES.len() {
            self.within(5_000, Happening::Far(far, far::Act::Unregister));
        }
    }

    fn arrives(&mut self, parcel: &Parcel) {
        if let Some(key) = &parcel.invite {
            self.invites.asked(self.now.mono, key);
        }
    }

    /// Feeds the engine and does what it asks for.
    fn feed(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Transmit { hop, bytes } => {
                    // A dialled address where nobody is has no line.
                    let to = (0..LINES.len()).find(|&far| far::address(far) == hop.remote);
                    self.send(home(), hop, bytes, to);
                }
                Output::CloseStream { .. } | Output::Response { .. } => {
                    unreachable!("there are no streams, and the engine asks nothing by itself")
                }
                Output::Media { worker, command } => self.media(worker, command),
                Output::Event(event) => self.reports.push_back(event),
            }
        }
        assert_eq!(self.engine.counts().panics, 0, "a step of a leg panicked");
    }

    /// Feeds a far end and does what it asks for.
    fn feed_far(&mut self, far: usize, input: sip::Input<'_>) {
        self.fars[far].endpoint.handle(self.now, input);
        while let Some(output) = self.fars[far].endpoint.poll() {
            match output {
                sip::Output::Transmit { hop, bytes } => {
                    assert_eq!(hop.remote, home(), "a far end talks to the engine alone");
                    self.send(far::address(far), hop, bytes, Some(far));
                }
                sip::Output::CloseStream { .. } => unreachable!("there are no streams"),
                sip::Output::Event(event) => self.words.push_back((far, event)),
            }
        }
    }

    /// Puts a message on the line of a far end, whichever way it goes.
    fn send(&mut self, from: SocketAddr, hop: Hop, bytes: Arc<[u8]>, line: Option<usize>) {
        assert_eq!(hop.transport, Transport::Udp, "all there is are datagrams");
        let seen = Seen::read(&bytes);
        let mut invite = None;
        if let Some(seen) = &seen {
            let summary = format_args!("{from} → {}: {}", hop.remote, seen.summary());
            self.trace.line(self.now.mono, summary);
            invite = self.invites.sent(from, hop.remote, seen, &bytes);
        }
        let Some(line) = line else {
            return;
        };
        for at in self.lines[line].datagram(self.now.mono) {
            let Some(at) = at else { continue };
            let parcel = Parcel {
                bytes: bytes.clone(),
                invite: invite.clone(),
            };
            let what = if hop.remote == home() {
                Happening::ToEngine(from, parcel)
            } else {
                Happening::ToFar(line, parcel)
            };
            self.at(at.since(self.now.mono), what);
        }
    }

    /// All calls have begun and are over, for everybody.
    fn is_over(&self) -> bool {
        self.left == 0
            && self.control.is_idle()
            && self.fars.iter().all(Far::is_idle)
            && self.engine.counts().legs == 0
    }

    /// Something of a call is over.
    fn over(&mut self) {
        self.last_end = self.now.mono;
    }
}

/// The engine's address.
fn home() -> SocketAddr {
    HOME.parse().expect("an address")
}
