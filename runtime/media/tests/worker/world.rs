//! The vocabulary of these tests: workers with their own clocks, a seeded network, raw phones.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use media::rtp::{Header, Rtp};
use media::{
    Channel, Codec, Command, Config, Event, EventFormat, Input, Output, RecordingOutput,
    StreamParams, Worker,
};
use vocab::{CallId, Clip, Mono, Now, PlayId, RecordingId, Rng, SessionId, Wall};

/// What the network does to a packet.
#[derive(Clone, Copy, Default)]
pub(crate) struct Link {
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    pub(crate) delay_ms: u64,
    /// Added at random to each packet, so that it also changes their order.
    pub(crate) jitter_ms: u64,
}

/// A packet that reached an address where no worker listens.
pub(crate) struct Tapped {
    pub(crate) at: Mono,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Tapped {
    pub(crate) fn rtp(&self) -> Rtp<'_> {
        Rtp::parse(&self.bytes).expect("we send valid packets")
    }
}

/// A recording as it was handed over.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) channels: u16,
    pub(crate) samples: Vec<i16>,
    pub(crate) ended: bool,
}

impl Recorded {
    /// One channel of it.
    pub(crate) fn channel(&self, n: usize) -> Vec<i16> {
        let step = usize::from(self.channels);
        self.samples.iter().skip(n).step_by(step).copied().collect()
    }
}

struct Flying {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

struct Node {
    worker: Worker,
    /// How fast its clock is, in millionths.
    drift_ppm: i64,
    /// Its shell looks neither at the clock nor at its sockets before this.
    busy_until: Mono,
    /// What its sockets hold meanwhile.
    waiting: Vec<Flying>,
}

impl Node {
    fn local(&self, at: Mono) -> Mono {
        let drift = i128::from(at.0) * i128::from(self.drift_ppm) / 1_000_000;
        Mono(u64::try_from(i128::from(at.0) + drift).expect("time is positive"))
    }

    fn global(&self, local: Mono) -> Mono {
        // Rounded up, so that the local time has come when the global one has.
        let scale = i128::from(1_000_000 + self.drift_ppm);
        let nanos = (i128::from(local.0) * 1_000_000 + scale - 1) / scale;
        Mono(u64::try_from(nanos + 1).expect("time is positive"))
    }

    fn now(&self, at: Mono) -> Now {
        let mono = self.local(at);
        Now::new(mono, Wall(1_800_000_000_000_000 + (at.0 / 1_000) as i64))
    }
}

/// Nodes, the network and everything that was reported.
pub(crate) struct World {
    nodes: Vec<Node>,
    ports: BTreeMap<SocketAddr, (usize, SessionId, Channel)>,
    wire: BTreeMap<(Mono, u64), Flying>,
    serial: u64,
    rng: Rng,
    pub(crate) now: Mono,
    pub(crate) link: Link,
    /// Until then the network holds everything, and then delivers it at once.
    jammed_until: Mono,
    pub(crate) events: Vec<Event>,
    pub(crate) tapped: Vec<Tapped>,
    pub(crate) recordings: BTreeMap<RecordingId, Recorded>,
    /// Kinds of outputs in order, for tests about order.
    pub(crate) log: VecDeque<String>,
}

impl World {
    pub(crate) fn new(seed: u64, nodes: usize) -> Self {
        let mut rng = Rng::from_u64(seed);
        let node = |_| Node {
            worker: Worker::new(Config::default(), rng.fork()),
            drift_ppm: 0,
            busy_until: Mono(0),
            waiting: Vec::new(),
        };
        let nodes = (0..nodes).map(node).collect();
        Self {
            nodes,
            ports: BTreeMap::new(),
            wire: BTreeMap::new(),
            serial: 0,
            rng,
            // Not on the grid of ticks.
            now: Mono(1_003_000_000),
            link: Link {
                delay_ms: 5,
                ..Link::default()
            },
            jammed_until: Mono(0),
            events: Vec::new(),
            tapped: Vec::new(),
            recordings: BTreeMap::new(),
            log: VecDeque::new(),
        }
    }

    pub(crate) fn drift(&mut self, node: usize, ppm: i64) {
        self.nodes[node].drift_ppm = ppm;
    }

    /// Its shell does nothing for this long.
    pub(crate) fn stall(&mut self, node: usize, length: Duration) {
        self.nodes[node].busy_until = self.now + length;
    }

    /// The network delivers nothing for this long, and then everything.
    pub(crate) fn jam(&mut self, length: Duration) {
        self.jammed_until = self.now + length;
    }

    pub(crate) fn worker(&self, node: usize) -> &Worker {
        &self.nodes[node].worker
    }

    pub(crate) fn command(&mut self, node: usize, command: Command) {
        self.feed(node, Input::Command(command));
    }

    fn feed(&mut self, node: usize, input: Input<'_>) {
        let now = self.nodes[node].now(self.now);
        self.nodes[node].worker.handle(now, input);
        while let Some(output) = self.nodes[node].worker.poll() {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send {
                session,
                channel,
                to,
                packet,
            } => {
                if channel == Channel::Rtp {
                    self.log.push_back("send".into());
                }
                let from = port(session, channel);
                self.send(from, to, packet.as_bytes().to_vec());
            }
            Output::SendThrough { .. } => panic!("no browser is called"),
            Output::Recording { recording, what } => {
                let recorded = self.recordings.entry(recording).or_default();
                assert!(!recorded.ended, "nothing follows the end");
                match what {
                    RecordingOutput::Start { channels, .. } => {
                        assert_eq!(recorded.channels, 0, "it starts once");
                        recorded.channels = channels;
                    }
                    RecordingOutput::Samples(samples) => recorded.samples.extend(samples),
                    RecordingOutput::End { .. } => recorded.ended = true,
                }
            }
            Output::Event(event) => {
                self.log.push_back(format!("{event:?}"));
                self.events.push(event);
            }
        }
        self.log.truncate(100_000);
    }

    /// Puts a packet on the network.
    pub(crate) fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let copies = if self.rng.chance(self.link.loss) {
            0
        } else {
            1 + u32::from(self.rng.chance(self.link.duplicate))
        };
        for _ in 0..copies {
            let jitter = self.rng.below(self.link.jitter_ms * 1_000 + 1);
            let delay = Duration::from_millis(self.link.delay_ms) + Duration::from_micros(jitter);
            self.serial += 1;
            let flying = Flying {
                from,
                to,
                bytes: bytes.clone(),
            };
            let at = (self.now + delay).max(self.jammed_until);
            self.wire.insert((at, self.serial), flying);
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, length: Duration) {
        let end = self.now + length;
        loop {
            let tick = self
                .nodes
                .iter()
                .enumerate()
                .filter_map(|(n, node)| {
                    let due = node.worker.deadline().map(|local| node.global(local))?;
                    Some((due.max(node.busy_until), n))
                })
                .min();
            let packet = self.wire.keys().next().copied();
            match (tick, packet) {
                (Some((at, node)), packet)
                    if at <= end && packet.is_none_or(|(then, _)| at <= then) =>
                {
                    self.now = self.now.max(at);
                    // As every shell does: sockets first.
                    for flying in std::mem::take(&mut self.nodes[node].waiting) {
                        self.deliver(flying);
                    }
                    self.feed(node, Input::Tick);
                }
                (_, Some(key)) if key.0 <= end => {
                    self.now = self.now.max(key.0);
                    let flying = self.wire.remove(&key).expect("it is there");
                    self.deliver(flying);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    fn deliver(&mut self, flying: Flying) {
        let to = self.ports.get(&flying.to).copied();
        if let Some((node, ..)) = to
            && self.nodes[node].busy_until > self.now
        {
            return self.nodes[node].waiting.push(flying);
        }
        let Flying {
            from,
            to: at,
            bytes,
        } = flying;
        match to {
            Some((node, session, channel)) => {
                self.feed(
                    node,
                    Input::Packet {
                        session,
                        channel,
                        from,
                        bytes: &bytes,
                    },
                );
            }
            None => self.tapped.push(Tapped {
                at: self.now,
                to: at,
                bytes,
            }),
        }
    }

    /// Opens and configures a session.
    pub(crate) fn open(&mut self, node: usize, session: SessionId, params: StreamParams) {
        let local = port(session, Channel::Rtp);
        self.ports.insert(local, (node, session, Channel::Rtp));
        self.ports
            .insert(port(session, Channel::Rtcp), (node, session, Channel::Rtcp));
        self.command(node, Command::Open { session, local });
        self.command(node, Command::Configure { session, params });
    }

    /// Two nodes with a call between their sessions 1 and 2, both recorded.
    pub(crate) fn call(seed: u64, link: Link, codec: Codec) -> Self {
        let mut world = Self::new(seed, 2);
        world.link = link;
        world.open(
            0,
            ONE,
            StreamParams {
                codec,
                payload_type: static_type(codec),
                ..params(TWO)
            },
        );
        world.open(
            1,
            TWO,
            StreamParams {
                codec,
                payload_type: static_type(codec),
                ..params(ONE)
            },
        );
        for (node, session) in [(0, ONE), (1, TWO)] {
            world.command(
                node,
                Command::RecordCall {
                    session,
                    recording: recording(session),
                    channels: 2,
                },
            );
        }
        world
    }

    /// Everything a session has heard or said so far, if its call is recorded and closed.
    pub(crate) fn heard(&self, session: SessionId) -> Vec<i16> {
        self.recordings[&recording(session)].channel(0)
    }

    pub(crate) fn said(&self, session: SessionId) -> Vec<i16> {
        self.recordings[&recording(session)].channel(1)
    }

    pub(crate) fn play(&mut self, node: usize, session: SessionId, play: u64, samples: &[i16]) {
        let clips = vec![Clip::new("test", samples.to_vec())];
        let play = PlayId(play);
        self.command(
            node,
            Command::Play {
                session,
                play,
                clips,
                repeat: false,
            },
        );
    }

    pub(crate) fn dial(&mut self, node: usize, session: SessionId, digits: &str) {
        let digits = digits.to_owned().into();
        self.command(node, Command::SendDigits { session, digits });
    }

    pub(crate) fn close(&mut self, node: usize, session: SessionId) {
        self.command(node, Command::Close { session });
    }

    /// The keys a session has reported.
    pub(crate) fn digits(&self, of: SessionId) -> String {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Digit { session, digit } if *session == of => Some(*digit.reveal()),
                _ => None,
            })
            .collect()
    }

    /// Asserts that all ended as it must once all sessions are closed.
    pub(crate) fn assert_empty(&self) {
        assert!(self.recordings.values().all(|recorded| recorded.ended));
        for node in &self.nodes {
            assert_eq!(node.worker.counts().sessions, 0);
            assert_eq!(node.worker.deadline(), None);
            assert_eq!(node.worker.counts().failed, 0);
        }
    }
}

pub(crate) const ONE: SessionId = SessionId(1);
pub(crate) const TWO: SessionId = SessionId(2);

/// Where a session listens.
pub(crate) fn port(session: SessionId, channel: Channel) -> SocketAddr {
    let offset = match channel {
        Channel::Rtp => 0,
        Channel::Rtcp => 1,
    };
    let port = u16::try_from(10_000 + 2 * session.0 + offset).expect("few sessions");
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A host outside.
pub(crate) fn phone(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 4_000))
}

pub(crate) fn static_type(codec: Codec) -> u8 {
    codec.payload_type()
}

/// µ-law and events with another session.
pub(crate) fn params(far: SessionId) -> StreamParams {
    params_to(port(far, Channel::Rtp))
}

/// µ-law and events with an address.
pub(crate) fn params_to(remote_rtp: SocketAddr) -> StreamParams {
    StreamParams {
        dtmf: Some(EventFormat::of(101)),
        ..StreamParams::new(Codec::Pcmu, remote_rtp)
    }
}

/// The recording of a session's call.
pub(crate) fn recording(session: SessionId) -> RecordingId {
    RecordingId::of_call(CallId(u128::from(session.0)))
}

/// A µ-law packet as a phone might send it.
pub(crate) fn packet(ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 0,
        sequence,
        timestamp,
        ssrc,
    };
    [&header.to_bytes()[..], payload].concat()
}

/// Something like speech: a voice of changing pitch, in syllables with pauses between them.
pub(crate) fn speech(seed: u64, ms: usize) -> Vec<i16> {
    let mut rng = Rng::from_u64(seed);
    let mut samples = Vec::with_capacity(ms * 8);
    let mut phase = 0.0_f64;
    while samples.len() < ms * 8 {
        let length = 800 + rng.below(1_600) as usize;
        let pitch = 90.0 + rng.below(120) as f64;
        let slide = rng.below(60) as f64 - 30.0;
        let colors: Vec<f64> = (0..12).map(|_| rng.below(100) as f64 / 100.0).collect();
        for n in 0..length {
            let part = n as f64 / length as f64;
            phase += (pitch + slide * part) / 8_000.0 * std::f64::consts::TAU;
            let voice: f64 = colors
                .iter()
                .zip(1..)
                .map(|(color, k)| color * (phase * f64::from(k)).sin())
                .sum();
            let envelope = (part * std::f64::consts::PI).sin();
            samples.push((voice * envelope * 2_500.0).clamp(-32_000.0, 32_000.0) as i16);
        }
        samples.extend(std::iter::repeat_n(0, 200 + rng.below(800) as usize));
    }
    samples.truncate(ms * 8);
    samples
}

/// The share of the energy of 20 ms windows.
pub(crate) fn peak(samples: &[i16]) -> u16 {
    samples
        .iter()
        .map(|sample| sample.unsigned_abs())
        .max()
        .unwrap_or(0)
}
