//! The world: everybody in it, and the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::WorkerId;
use engine::phone::{self, News, Phone};
use media::{Channel, Packet, Worker};
use node::{ControlId, Node, PartyView, PluginChange, SpeechId};
use plugin::{Registry, RunInput, RunOutput, Setup};
use sip::{ConnId, Hop, Transport};
use vocab::record::{CallEvent, CallRecord};
use vocab::{CallId, Clip, FlowId, Mono, Now, Pii, RecordingId, Rng, SessionId, Wall};

use super::checks::{Checks, GARBLED, HangUp};
use super::disk::{Disk, Wish};
use super::flows::Flows;
use super::guests::Guests;
use super::network::{Home, Line, NODE, NODE_RTP};
use super::recorder::Recorder;
use super::scenario::{Act, PhonePlan, Reload, Scenario};
use super::streams::Streams;
use super::trace::Trace;
use super::wire::Seen;
use super::words::{Word, Words};
use super::{ear, house};

/// After the last call everything that waits has an end within this time: 64·T1 of the last
/// transaction twice, and a little.
const AFTERMATH: Duration = Duration::from_secs(70);

/// No scenario lasts longer; past this something never ends.
const LONGEST: Duration = Duration::from_secs(900);

/// A slot that every tenant has, for when nobody waits anywhere.
const SLOT: u16 = 701;

/// Media ports of one worker lie within this many numbers.
const PORTS_OF_WORKER: u16 = 1_000;

/// Somebody with timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Who {
    Node,
    Worker(u16),
    Phone(usize),
    Disk,
}

/// Something on its way.
#[derive(Debug)]
enum Event {
    /// A SIP datagram, to one or the other side.
    ToNode {
        phone: usize,
        from: SocketAddr,
        bytes: Arc<[u8]>,
    },
    ToPhone {
        phone: usize,
        bytes: Arc<[u8]>,
    },
    /// Media, likewise.
    MediaToNode {
        to: SocketAddr,
        from: SocketAddr,
        packet: Packet,
    },
    MediaToPhone {
        phone: usize,
        channel: Channel,
        from: SocketAddr,
        packet: Packet,
    },
    /// Bytes of a stream, likewise.
    PieceToNode {
        conn: ConnId,
        bytes: Vec<u8>,
    },
    PieceToPhone {
        conn: ConnId,
        bytes: Vec<u8>,
    },
    /// A stream is gone.
    ClosedToNode {
        conn: ConnId,
    },
    ClosedToPhone {
        phone: usize,
        conn: ConnId,
    },
    /// The node could not connect.
    Failed {
        hop: Hop,
    },
    /// Between the node and its threads.
    Command {
        worker: WorkerId,
        command: media::Command,
    },
    Report {
        worker: WorkerId,
        event: media::Event,
    },
    Append {
        seq: u64,
        events: Vec<CallEvent>,
        urgent: bool,
    },
    Written,
    Committed {
        through: u64,
    },
    Refused {
        seq: u64,
    },
    Turn {
        flow: FlowId,
    },
    Said {
        flow: FlowId,
        output: RunOutput,
    },
    Spoken {
        id: SpeechId,
        result: Result<Clip, String>,
    },
    Cut {
        recording: RecordingId,
        length: Duration,
    },
    /// The scenario.
    Act(Act),
}

/// A way between two threads: messages stay in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Way {
    ToWorker(u16),
    FromWorker(u16),
    ToDisk,
    FromDisk,
    FromRecorder,
}

/// A phone and its line.
#[derive(Debug)]
struct Handset {
    phone: Phone,
    plan: PhonePlan,
    home: Home,
    line: Line,
    /// `Call-ID` of the call it has dialled.
    sip_call_id: Option<String>,
    /// It dials at this moment: an INVITE at another is an old one, once more.
    dials: bool,
    /// Its last datagram.
    sent: Arc<[u8]>,
    called_at: Mono,
    answered_at: Option<Mono>,
    /// What each call heard, after its end.
    heard: Vec<Vec<i16>>,
}

/// A media worker and its sockets.
#[derive(Debug)]
struct Desk {
    worker: Worker,
    sessions: BTreeMap<u16, SessionId>,
    ports: BTreeMap<SessionId, u16>,
}

/// A simulation.
#[derive(Debug)]
pub struct World {
    now: Now,
    rng: Rng,
    scenario: Scenario,
    guests: Arc<Guests>,
    node: Node,
    desks: Vec<Desk>,
    phones: Vec<Handset>,
    disk: Disk,
    recorder: Recorder,
    flows: Flows,
    streams: Streams,
    words: Words,
    passwords: BTreeMap<String, String>,
    queue: BTreeMap<(Mono, u64), Event>,
    serial: u64,
    ways: BTreeMap<Way, Mono>,
    due: BTreeSet<(Mono, Who)>,
    armed: BTreeMap<Who, Mono>,
    acts_left: usize,
    garbled: u8,
    /// The request of this step, and whether it was refused. What is answered later has begun.
    asked: Option<ControlId>,
    refused: bool,
    trace: Trace,
    checks: Checks,
}

impl World {
    /// A world at its beginning. The same seed and scenario give the same world.
    pub fn new(seed: u64, scenario: Scenario, guests: &Arc<Guests>) -> Self {
        let mut rng = Rng::from_u64(seed ^ 0x5eed);
        let now = Now::new(Mono(0), scenario.wall);
        let node = new_node(scenario.capabilities.clone(), &mut rng);
        let desks = (0..scenario.workers)
            .map(|_| Desk {
                worker: Worker::new(media::Config::default(), rng.fork()),
                sessions: BTreeMap::new(),
                ports: BTreeMap::new(),
            })
            .collect();
        let phones = scenario
            .phones
            .iter()
            .enumerate()
            .map(|(index, plan)| Handset::new(now, index, plan, &mut rng))
            .collect();
        let passwords = scenario
            .phones
            .iter()
            .filter_map(|plan| Some((plan.user.clone(), plan.account.clone()?)))
            .collect();
        let mut world = Self {
            now,
            disk: Disk::new(scenario.disk.clone(), rng.fork()),
            recorder: Recorder::default(),
            flows: Flows::new(scenario.think, rng.fork()),
            checks: Checks::new(&scenario),
            guests: Arc::clone(guests),
            node,
            desks,
            phones,
            streams: Streams::default(),
            words: Words::default(),
            passwords,
            queue: BTreeMap::new(),
            serial: 0,
            ways: BTreeMap::new(),
            due: BTreeSet::new(),
            armed: BTreeMap::new(),
            acts_left: scenario.acts.len(),
            garbled: 0,
            asked: None,
            refused: false,
            trace: Trace::new(false),
            rng,
            scenario,
        };
        world.begin();
        world
    }

    /// Keeps all lines of the trace instead of the last ones.
    pub fn keep_trace(mut self) -> Self {
        self.trace = Trace::new(true);
        self
    }

    /// Lets everything happen, and what follows from it, until all is quiet.
    ///
    /// # Panics
    /// When a check fails, or anything in the world does.
    pub fn run(&mut self) {
        while !self.is_quiet() {
            assert!(
                self.step(Mono(u64::MAX)),
                "calls are up and nothing is left to happen"
            );
            assert!(self.now.mono.since(Mono(0)) < LONGEST, "a call never ends");
        }
        let end = self.now.mono + AFTERMATH;
        while self.step(end) {}
        self.over();
    }

    /// What happened.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Time since the start.
    pub fn time(&self) -> Duration {
        self.now.mono.since(Mono(0))
    }

    /// The records on disk.
    pub fn records(&self) -> impl Iterator<Item = &CallRecord> {
        self.disk.records().values()
    }

    /// The events of a call on disk.
    pub fn events(&self, call: CallId) -> &[CallEvent] {
        self.disk.events(call)
    }

    /// What else was seen, and how often.
    pub(super) fn sights(&self) -> &BTreeMap<String, usize> {
        self.checks.sights()
    }

    /// The prompts a phone heard in its calls, by name.
    pub fn heard(&self, phone: usize) -> Vec<Vec<&'static str>> {
        self.phones[phone]
            .heard
            .iter()
            .map(|heard| ear::prompts(heard))
            .collect()
    }

    /// The machine under test.
    pub fn node(&self) -> &Node {
        &self.node
    }

    fn begin(&mut self) {
        let trunks = self.trunks();
        let config = house::config(&self.passwords, &BTreeSet::new(), &trunks);
        self.feed(node::Input::Configure(config));
        for worker in 0..self.scenario.workers {
            let first = NODE_RTP + worker * PORTS_OF_WORKER;
            let ports = (0..self.scenario.ports)
                .map(|n| SocketAddr::new(NODE.ip(), first + 2 * n))
                .collect();
            self.feed(node::Input::Ports {
                worker: WorkerId(worker),
                ports,
            });
        }
        let guests = Arc::clone(&self.guests);
        for plugin in [&guests.menu[0], &guests.probe[0], &guests.hello] {
            self.feed(node::Input::Plugin(PluginChange::Install(plugin.clone())));
        }
        for (at, act) in std::mem::take(&mut self.scenario.acts) {
            self.put(Mono(0) + at, Event::Act(act));
        }
    }

    fn trunks(&self) -> Vec<usize> {
        let is_trunk = |n: &usize| self.phones[*n].plan.user.starts_with(house::TRUNK_USER);
        (0..self.phones.len()).filter(is_trunk).collect()
    }

    fn is_quiet(&self) -> bool {
        let busy = |handset: &Handset| handset.phone.is_busy();
        self.acts_left == 0
            && self.node.live_calls().next().is_none()
            && !self.phones.iter().any(busy)
    }

    /// Does the earliest thing if it happens by `end`.
    fn step(&mut self, end: Mono) -> bool {
        let event = self.queue.first_key_value().map(|(&(at, _), _)| at);
        let timer = self.due.first().copied();
        let Some(at) = event.into_iter().chain(timer.map(|(at, _)| at)).min() else {
            return false;
        };
        if at > end {
            return false;
        }
        let past = at.since(self.now.mono);
        self.now = self.now + past;
        if event == Some(at) {
            let (_, event) = self.queue.pop_first().expect("it was just seen");
            self.deliver(event);
        } else if let Some((_, who)) = timer {
            self.wake(who);
        }
        self.checks.step(self.now.mono, &self.node);
        true
    }

    fn wake(&mut self, who: Who) {
        match who {
            Who::Node => self.feed(node::Input::Timeout),
            Who::Worker(worker) => self.work(worker, media::Input::Tick),
            Who::Phone(phone) => self.ring(phone, phone::Input::Timeout),
            Who::Disk => {
                let wishes = self.disk.handle(self.now, store::Input::Timeout);
                self.disk_wishes(wishes);
            }
        }
        let late = self.armed.get(&who).is_some_and(|at| *at <= self.now.mono);
        assert!(!late, "{who:?} has the same thing due after its timeout");
    }

    fn rearm(&mut self, who: Who) {
        let next = match who {
            Who::Node => self.node.deadline(),
            Who::Worker(worker) => self.desks[usize::from(worker)].worker.deadline(),
            Who::Phone(phone) => self.phones[phone].phone.deadline(),
            Who::Disk => self.disk.deadline(),
        };
        if let Some(old) = self.armed.remove(&who) {
            self.due.remove(&(old, who));
        }
        if let Some(next) = next {
            self.armed.insert(who, next);
            self.due.insert((next, who));
        }
    }

    fn put(&mut self, at: Mono, event: Event) {
        self.serial += 1;
        self.queue.insert((at, self.serial), event);
    }

    /// Sends something from one thread of the node to another.
    fn mail(&mut self, way: Way, event: Event) {
        let most = u64::try_from(self.scenario.mailbox.as_nanos()).unwrap_or(0);
        let at = self.now.mono + Duration::from_nanos(self.rng.below(most + 1));
        let at = at.max(self.ways.get(&way).copied().unwrap_or_default());
        self.ways.insert(way, at);
        self.put(at, event);
    }

    fn deliver(&mut self, event: Event) {
        match event {
            Event::ToNode { phone, from, bytes } => {
                self.tell_message(&self.phone_name(phone), "node", &bytes, "");
                self.checks.message_in(&bytes);
                let input = sip::Input::Datagram {
                    remote: from,
                    bytes: &bytes,
                };
                self.feed(node::Input::Sip(input));
            }
            Event::ToPhone { phone, bytes } => {
                self.tell_message("node", &self.phone_name(phone), &bytes, "");
                let input = sip::Input::Datagram {
                    remote: NODE,
                    bytes: &bytes,
                };
                self.ring(phone, phone::Input::Sip(input));
            }
            Event::MediaToNode { to, from, packet } => self.media_to_node(to, from, &packet),
            Event::MediaToPhone {
                phone,
                channel,
                from,
                packet,
            } => {
                self.trace.packet(self.now.mono, packet.as_bytes());
                let bytes = packet.as_bytes();
                self.ring(
                    phone,
                    phone::Input::Media {
                        channel,
                        from,
                        bytes,
                    },
                );
            }
            Event::PieceToNode { conn, bytes } => self.piece_to_node(conn, &bytes),
            Event::PieceToPhone { conn, bytes } => {
                let Some(phone) = self.streams.stream(conn).map(|stream| stream.phone) else {
                    return;
                };
                self.trace.line(
                    self.now.mono,
                    format_args!("node → phone {phone} (tcp {})", bytes.len()),
                );
                let input = sip::Input::Stream {
                    conn,
                    remote: NODE,
                    bytes: &bytes,
                };
                self.ring(phone, phone::Input::Sip(input));
            }
            Event::ClosedToNode { conn } => {
                self.feed(node::Input::Sip(sip::Input::StreamClosed { conn }));
            }
            Event::ClosedToPhone { phone, conn } => {
                self.ring(phone, phone::Input::Sip(sip::Input::StreamClosed { conn }));
            }
            Event::Failed { hop } => self.feed(node::Input::Sip(sip::Input::SendFailed { hop })),
            Event::Command { worker, command } => self.command(worker, command),
            Event::Report { worker, event } => self.feed(node::Input::Media { worker, event }),
            Event::Append {
                seq,
                events,
                urgent,
            } => {
                let input = store::Input::Append {
                    seq,
                    events,
                    urgent,
                };
                let wishes = self.disk.handle(self.now, input);
                self.disk_wishes(wishes);
            }
            Event::Written => {
                let wishes = self.disk.written(self.now);
                self.disk_wishes(wishes);
            }
            Event::Committed { through } => self.feed(node::Input::Committed { through }),
            Event::Refused { seq } => {
                self.trace
                    .line(self.now.mono, format_args!("disk: refused {seq}"));
                self.feed(node::Input::Refused { seq });
            }
            Event::Turn { flow } => self.turn(flow),
            Event::Said { flow, output } => {
                self.trace
                    .line(self.now.mono, format_args!("flow {flow}: {output:?}"));
                self.feed(node::Input::Flow { flow, output });
            }
            Event::Cut { recording, length } => {
                self.trace.line(
                    self.now.mono,
                    format_args!("recorder: {recording} is cut after {length:?}"),
                );
                self.checks.cut(recording, length);
                self.feed(node::Input::RecordingCut { recording, length });
            }
            Event::Spoken { id, result } => self.feed(node::Input::Spoken { id, result }),
            Event::Act(act) => {
                self.acts_left -= 1;
                self.act(act);
            }
        }
    }

    fn act(&mut self, act: Act) {
        self.trace
            .line(self.now.mono, format_args!("scenario: {act:?}"));
        match act {
            Act::Register { phone } => {
                let expires = Duration::from_secs(3_600);
                self.ring(
                    phone,
                    phone::Input::Register {
                        next_hop: NODE,
                        expires,
                    },
                );
            }
            Act::DialSlot { phone } => {
                let taken = self.node.parked().map(|(_, slot, _)| slot).next();
                let number = taken.unwrap_or(SLOT).to_string();
                self.act(Act::Call { phone, number });
            }
            Act::Call { phone, number } => {
                if self.phones[phone].phone.is_busy() || self.phones[phone].phone.has_vanished() {
                    return;
                }
                self.phones[phone].called_at = self.now.mono;
                self.phones[phone].sip_call_id = None;
                let uri = format!("sip:{number}@{}", NODE.ip());
                let timeout = Duration::from_secs(20);
                self.phones[phone].dials = true;
                self.ring(
                    phone,
                    phone::Input::Call {
                        uri,
                        next_hop: NODE,
                        timeout,
                    },
                );
                self.phones[phone].dials = false;
            }
            Act::HangUp { phone } => self.ring(phone, phone::Input::Hangup),
            Act::Break { phone } => {
                while let Some(conn) = self.streams.of_phone(phone) {
                    self.close(conn);
                }
            }
            Act::Garble { phone } => self.garble(phone),
            Act::Operator => {
                let oldest = self.node.live_calls().next();
                if let Some(call) = oldest {
                    self.checks.operator(call);
                    self.feed(node::Input::Hangup { call });
                }
            }
            Act::Control(word) => self.control(word),
            Act::Hold { phone, on } => {
                self.phone_does(phone, if on { "holds" } else { "talks again" });
                self.ring(phone, phone::Input::Hold { on });
            }
            Act::Refer { phone, to } => {
                self.phone_does(phone, "refers");
                let to = format!("sip:{to}@{}", NODE.ip());
                self.ring(phone, phone::Input::Refer { to });
            }
            Act::Plugin(reload) => self.reload(reload),
            Act::Configure { without } => {
                let without = without.into_iter().collect();
                let config = house::config(&self.passwords, &without, &self.trunks());
                self.feed(node::Input::Configure(config));
            }
            Act::SetClock { by_ms } => {
                self.now.wall = Wall(self.now.wall.0 + by_ms * 1_000);
            }
            Act::Drain => self.feed(node::Input::Drain),
        }
    }

    fn phone_does(&mut self, phone: usize, what: &str) {
        if self.phones[phone].phone.is_up() {
            self.checks.saw(format!("phone {what}"));
        }
    }

    /// An operator asks for something. What is refused changes nothing.
    fn control(&mut self, word: Word) {
        let (id, about, request) = self.words.ask(&mut self.rng, &self.node, word);
        self.trace
            .line(self.now.mono, format_args!("operator: {id:?} {request:?}"));
        let before = self.parties();
        for call in about.into_iter().filter(|call| before.contains_key(call)) {
            self.checks.operator(call);
        }
        (self.asked, self.refused) = (Some(id), false);
        self.feed(node::Input::Control { id, request });
        if std::mem::take(&mut self.refused) {
            assert_eq!(self.parties(), before, "what is refused changes nothing");
        }
    }

    /// Everybody in every call, and what they do.
    fn parties(&self) -> BTreeMap<CallId, Vec<PartyView>> {
        let calls = self.node.live_calls();
        calls.map(|call| (call, self.node.parties(call))).collect()
    }

    /// A stranger to all calls sends what a phone has sent, damaged: as a new call, request or
    /// answer, since the ids are damaged first.
    fn garble(&mut self, phone: usize) {
        let mut bytes = self.phones[phone].sent.to_vec();
        self.garbled += 1;
        for (name, value) in [
            ("Call-ID: ", GARBLED),
            ("z9hG4bK", GARBLED),
            ("m=audio ", '5'),
        ] {
            let name = name.as_bytes();
            let found = bytes.windows(name.len()).position(|window| window == name);
            if let Some(at) = found.filter(|at| at + name.len() + 2 < bytes.len()) {
                bytes[at + name.len()] = value as u8;
                bytes[at + name.len() + 1] = b'0' + self.garbled % 10;
            }
        }
        for _ in 0..=self.rng.below(4) {
            let at = self.rng.below(bytes.len().max(1) as u64) as usize;
            match self.rng.below(3) {
                0 if at < bytes.len() => bytes[at] = (self.rng.u32() & 0xff) as u8,
                1 if at < bytes.len() => bytes[at] = b'9',
                _ => bytes.truncate(at.max(1)),
            }
        }
        self.tell_message("garbled", "node", &bytes, "");
        self.checks.garbled();
        let from = SocketAddr::new([10, 9, 9, 9].into(), 5060);
        let input = sip::Input::Datagram {
            remote: from,
            bytes: &bytes,
        };
        self.feed(node::Input::Sip(input));
        let session = self.desks[0].sessions.values().next().copied();
        if let Some(session) = session {
            // Its first bytes as media, while we are at it.
            bytes.truncate(200);
            let channel = if self.rng.chance(0.5) {
                Channel::Rtp
            } else {
                Channel::Rtcp
            };
            let bytes = &bytes;
            self.work(
                0,
                media::Input::Packet {
                    session,
                    channel,
                    from,
                    bytes,
                },
            );
        }
    }

    fn reload(&mut self, reload: Reload) {
        let guests = Arc::clone(&self.guests);
        let change = match reload {
            Reload::Menu(build) => PluginChange::Install(guests.menu[build].clone()),
            Reload::Probe(build) => PluginChange::Install(guests.probe[build].clone()),
            Reload::RollbackMenu => PluginChange::Rollback {
                name: "ivr-menu".to_owned(),
            },
            Reload::RemoveHello => PluginChange::Remove {
                name: "hello-ivr".to_owned(),
            },
            Reload::InstallHello => PluginChange::Install(guests.hello.clone()),
        };
        self.checks.reloaded(reload);
        self.feed(node::Input::Plugin(change));
    }

    /// Feeds the node and does what it asks for.
    fn feed(&mut self, input: node::Input<'_>) {
        self.node.handle(self.now, input);
        while let Some(output) = self.node.poll() {
            self.node_output(output);
        }
        self.checks.after_node(self.now.mono, &self.node);
        self.rearm(Who::Node);
    }

    fn node_output(&mut self, output: node::Output) {
        match output {
            node::Output::Transmit { hop, bytes } => {
                let disk = &self.disk;
                self.checks
                    .message_out(&bytes, |call_id| disk.has_started(call_id));
                self.transmit(hop, bytes);
            }
            node::Output::CloseStream { conn } => self.close(conn),
            node::Output::Media { worker, command } => {
                self.mail(Way::ToWorker(worker.0), Event::Command { worker, command });
            }
            node::Output::StartFlow {
                flow,
                plugin,
                info,
                route,
                seed,
            } => {
                self.trace.line(
                    self.now.mono,
                    format_args!("node: start flow {flow} {plugin:?}"),
                );
                let setup = Setup {
                    info,
                    config: route.settings.clone(),
                    grant: route.grant.clone(),
                    rng: Rng::from_u64(seed),
                };
                let at = self.flows.start(self.now.mono, flow, &plugin, setup);
                self.put(at, Event::Turn { flow });
            }
            node::Output::Reply { flow, reply } => {
                self.trace.line(
                    self.now.mono,
                    format_args!("node: reply to flow {flow} {reply:?}"),
                );
                self.flow_input(flow, RunInput::Reply(reply));
            }
            node::Output::FlowHangup { flow, reason } => {
                self.trace.line(
                    self.now.mono,
                    format_args!("node: hang up flow {flow} {reason}"),
                );
                self.flow_input(flow, RunInput::Hangup(reason));
            }
            node::Output::StopFlow { flow } => {
                self.trace
                    .line(self.now.mono, format_args!("node: stop flow {flow}"));
                self.flows.stop(flow);
            }
            node::Output::Persist {
                seq,
                events,
                urgent,
            } => {
                for event in &events {
                    let (n, kind) = (event.n, event.kind.name());
                    let call = event.call;
                    self.trace.line(
                        self.now.mono,
                        format_args!("node: persist {seq} {call} {n} {kind}"),
                    );
                    self.checks.persist(event);
                }
                self.mail(
                    Way::ToDisk,
                    Event::Append {
                        seq,
                        events,
                        urgent,
                    },
                );
            }
            node::Output::Segment(start) => self.checks.segment(start),
            node::Output::Secret(secret) => self.checks.secret(&secret),
            node::Output::Speak { id, text, voice } => self.speak(id, &text, &voice),
            node::Output::Controlled { id, result } => {
                self.trace
                    .line(self.now.mono, format_args!("node: {id:?} {result:?}"));
                self.refused |= result.is_err() && self.asked == Some(id);
                let what = self.words.answered(id, &result);
                self.checks.saw(what);
            }
            // No trunk here has a name; the lookup would run out.
            node::Output::Lookup { .. } => {}
            node::Output::Notice(notice) => {
                self.trace
                    .line(self.now.mono, format_args!("node: {notice:?}"));
                self.checks.notice(&notice);
            }
        }
    }

    fn flow_input(&mut self, flow: FlowId, input: RunInput) {
        if let Some(at) = self.flows.input(self.now.mono, flow, input) {
            self.put(at, Event::Turn { flow });
        }
    }

    fn turn(&mut self, flow: FlowId) {
        let turn = self.flows.turn(self.now, flow);
        for (at, output) in turn.outputs {
            self.put(at, Event::Said { flow, output });
        }
        if let Some(at) = turn.next {
            self.put(at, Event::Turn { flow });
        }
    }

    fn speak(&mut self, id: SpeechId, text: &Pii<String>, voice: &str) {
        let plan = self.scenario.speech;
        let (least, most) = plan.latency;
        let spread = u64::try_from((most - least).as_nanos()).unwrap_or(0);
        let after = least + Duration::from_nanos(self.rng.below(spread + 1));
        let result = if self.rng.chance(plan.fails) {
            Err(format!("no voice {voice}"))
        } else {
            Ok(house::speech(text.reveal()))
        };
        self.put(self.now.mono + after, Event::Spoken { id, result });
    }

    fn disk_wishes(&mut self, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Write { after } => self.put(self.now.mono + after, Event::Written),
                Wish::Committed { through } => {
                    self.mail(Way::FromDisk, Event::Committed { through });
                }
                Wish::Refused { seq } => self.mail(Way::FromDisk, Event::Refused { seq }),
            }
        }
        self.rearm(Who::Disk);
    }

    fn command(&mut self, id: WorkerId, command: media::Command) {
        self.trace
            .line(self.now.mono, format_args!("media {}: {command:?}", id.0));
        let desk = &mut self.desks[usize::from(id.0)];
        if let media::Command::Open { session, local } = &command {
            let before = desk.sessions.insert(local.port(), *session);
            assert!(
                before.is_none(),
                "port {local} is used by one session at a time"
            );
            desk.ports.insert(*session, local.port());
        }
        self.checks.command(self.now.mono, &command);
        self.work(id.0, media::Input::Command(command));
    }

    fn media_to_node(&mut self, to: SocketAddr, from: SocketAddr, packet: &Packet) {
        self.trace.packet(self.now.mono, packet.as_bytes());
        let Some(worker) = to.port().checked_sub(NODE_RTP).map(|n| n / PORTS_OF_WORKER) else {
            return;
        };
        let channel = if to.port().is_multiple_of(2) {
            Channel::Rtp
        } else {
            Channel::Rtcp
        };
        let Some(desk) = self.desks.get(usize::from(worker)) else {
            return;
        };
        // Nobody listens at a port without a session.
        let Some(&session) = desk.sessions.get(&(to.port() & !1)) else {
            return;
        };
        let bytes = packet.as_bytes();
        self.work(
            worker,
            media::Input::Packet {
                session,
                channel,
                from,
                bytes,
            },
        );
    }

    /// Feeds a media worker and does what it asks for.
    fn work(&mut self, id: u16, input: media::Input<'_>) {
        let desk = &mut self.desks[usize::from(id)];
        desk.worker.handle(self.now, input);
        let mut outputs = VecDeque::new();
        while let Some(output) = desk.worker.poll() {
            outputs.push_back(output);
        }
        self.checks.worker(&desk.worker.counts());
        for output in outputs {
            self.worker_output(id, output);
        }
        self.rearm(Who::Worker(id));
    }

    fn worker_output(&mut self, id: u16, output: media::Output) {
        match output {
            media::Output::Send {
                session,
                channel,
                to,
                packet,
            } => {
                let Some(&port) = self.desks[usize::from(id)].ports.get(&session) else {
                    panic!("session {session} sends without a port");
                };
                let port = match channel {
                    Channel::Rtp => {
                        self.checks.sent(self.now.mono, session);
                        port
                    }
                    Channel::Rtcp => port + 1,
                };
                self.send_media(SocketAddr::new(NODE.ip(), port), to, &packet);
            }
            media::Output::SendThrough { .. } => panic!("no browser is called"),
            media::Output::Recording { recording, what } => {
                self.checks.recording(self.now.mono, recording, &what);
                let full = self.disk.is_full(self.now.mono);
                if let Some(length) = self.recorder.take(recording, &what, full) {
                    self.mail(Way::FromRecorder, Event::Cut { recording, length });
                }
            }
            media::Output::Event(event) => {
                self.trace
                    .line(self.now.mono, format_args!("media {id}: {event:?}"));
                if let media::Event::Closed { session, local, .. } = &event {
                    let desk = &mut self.desks[usize::from(id)];
                    desk.ports.remove(session);
                    desk.sessions.remove(&local.port());
                    self.checks.closed(self.now.mono, *session);
                }
                let worker = WorkerId(id);
                self.mail(Way::FromWorker(id), Event::Report { worker, event });
            }
        }
    }

    fn send_media(&mut self, from: SocketAddr, to: SocketAddr, packet: &Packet) {
        let home = |handset: &Handset| handset.home.port(to).is_some();
        let Some(phone) = self.phones.iter().position(home) else {
            return;
        };
        let channel = match to.port() {
            40_000 => Channel::Rtp,
            40_001 => Channel::Rtcp,
            _ => return,
        };
        for at in self.phones[phone]
            .line
            .datagram(self.now.mono)
            .into_iter()
            .flatten()
        {
            let packet = packet.clone();
            self.put(
                at,
                Event::MediaToPhone {
                    phone,
                    channel,
                    from,
                    packet,
                },
            );
        }
    }

    /// A SIP message of the node leaves.
    fn transmit(&mut self, hop: Hop, bytes: Arc<[u8]>) {
        match hop.transport {
            Transport::Udp => {
                let home = |handset: &Handset| handset.home.port(hop.remote) == Some(5060);
                let Some(phone) = self.phones.iter().position(home) else {
                    self.tell_message("node", "nowhere", &bytes, "");
                    return;
                };
                let copies = self.phones[phone].line.datagram(self.now.mono);
                if copies == [None, None] {
                    self.tell_message("node", &self.phone_name(phone), &bytes, " is lost");
                }
                for at in copies.into_iter().flatten() {
                    let bytes = Arc::clone(&bytes);
                    self.put(at, Event::ToPhone { phone, bytes });
                }
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let known = self.streams.of_node(hop.conn, hop.remote);
                let conn = known.or_else(|| self.connect_to(hop.remote));
                let Some(conn) = conn else {
                    let hop = Hop { conn: None, ..hop };
                    let at = self.now.mono + Duration::from_secs(1);
                    return self.put(at, Event::Failed { hop });
                };
                self.write(conn, &bytes, false);
            }
        }
    }

    /// The node connects to a phone, if it can.
    fn connect_to(&mut self, remote: SocketAddr) -> Option<ConnId> {
        let now = self.now.mono;
        let reachable = |handset: &Handset| {
            handset.home.port(remote) == Some(5060)
                && !handset.plan.nat
                && !handset.phone.has_vanished()
                && handset.line.outage(now).is_none()
        };
        let phone = self.phones.iter().position(reachable)?;
        Some(self.streams.open(phone, remote))
    }

    /// Writes to a stream: the bytes arrive in order, in up to three pieces.
    fn write(&mut self, conn: ConnId, bytes: &[u8], to_node: bool) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let whole = rest.len();
            let cut = if self.rng.chance(0.5) {
                whole
            } else {
                1 + self.rng.below(whole as u64) as usize
            };
            let (piece, after) = rest.split_at(cut);
            rest = after;
            let stream = self.streams.stream(conn).expect("the caller found it open");
            let line = &mut self.phones[stream.phone].line;
            let last = if to_node {
                &mut stream.to_node
            } else {
                &mut stream.to_phone
            };
            let at = line.stream(self.now.mono).max(*last);
            *last = at;
            let bytes = piece.to_vec();
            self.put(
                at,
                if to_node {
                    Event::PieceToNode { conn, bytes }
                } else {
                    Event::PieceToPhone { conn, bytes }
                },
            );
        }
    }

    fn piece_to_node(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(stream) = self.streams.stream(conn) else {
            return;
        };
        let (phone, remote) = (stream.phone, stream.remote);
        for message in stream.framing_in.push(bytes) {
            self.tell_message(&self.phone_name(phone), "node", &message, " (tcp)");
            self.checks.message_in(&message);
        }
        self.feed(node::Input::Sip(sip::Input::Stream {
            conn,
            remote,
            bytes,
        }));
    }

    /// A stream breaks: both ends are told.
    fn close(&mut self, conn: ConnId) {
        let Some(stream) = self.streams.close(conn) else {
            return;
        };
        self.trace.line(
            self.now.mono,
            format_args!("tcp {} of phone {} breaks", conn.0, stream.phone),
        );
        let at = self.now.mono + Duration::from_millis(1);
        self.put(at, Event::ClosedToNode { conn });
        self.put(
            at,
            Event::ClosedToPhone {
                phone: stream.phone,
                conn,
            },
        );
    }

    /// Feeds a phone and does what it asks for.
    fn ring(&mut self, index: usize, input: phone::Input<'_>) {
        self.phones[index].phone.handle(self.now, input);
        while let Some(output) = self.phones[index].phone.poll() {
            self.phone_output(index, output);
        }
        self.checks.phone(&self.phones[index].phone.counts().0);
        self.rearm(Who::Phone(index));
    }

    fn phone_output(&mut self, index: usize, output: phone::Output) {
        match output {
            phone::Output::Transmit { hop, bytes } => {
                if self.phones[index].dials
                    && let Some(seen) = Seen::read(&bytes)
                    && seen.status.is_none()
                    && seen.method == "INVITE"
                    && !seen.in_dialog
                {
                    self.phones[index].sip_call_id = Some(seen.call_id);
                }
                self.phone_transmits(index, hop, bytes);
            }
            phone::Output::CloseStream { conn } => self.close(conn),
            phone::Output::Media {
                channel,
                to,
                packet,
            } => {
                if to.ip() != NODE.ip() {
                    return;
                }
                let port = match channel {
                    Channel::Rtp => 40_000,
                    Channel::Rtcp => 40_001,
                };
                let handset = &mut self.phones[index];
                let from = handset.home.out(port);
                for at in handset.line.datagram(self.now.mono).into_iter().flatten() {
                    let packet = packet.clone();
                    self.put(at, Event::MediaToNode { to, from, packet });
                }
            }
            phone::Output::News(news) => self.news(index, news),
        }
    }

    fn phone_transmits(&mut self, index: usize, hop: Hop, bytes: Arc<[u8]>) {
        if hop.remote.ip() != NODE.ip() && hop.transport == Transport::Udp {
            return self.tell_message(&self.phone_name(index), "nowhere", &bytes, "");
        }
        match hop.transport {
            Transport::Udp => {
                let handset = &mut self.phones[index];
                handset.sent = Arc::clone(&bytes);
                let from = handset.home.out(5060);
                let copies = handset.line.datagram(self.now.mono);
                if copies == [None, None] {
                    self.tell_message(&self.phone_name(index), "node", &bytes, " is lost");
                }
                for at in copies.into_iter().flatten() {
                    let bytes = Arc::clone(&bytes);
                    self.put(
                        at,
                        Event::ToNode {
                            phone: index,
                            from,
                            bytes,
                        },
                    );
                }
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let conn = self.streams.of_phone(index).unwrap_or_else(|| {
                    let port = 50_000 + self.rng.below(10_000) as u16;
                    self.streams.open(index, self.phones[index].home.out(port))
                });
                self.write(conn, &bytes, true);
            }
        }
    }

    fn news(&mut self, index: usize, news: News) {
        if let News::Ladder(_) = news {
            return;
        }
        let name = self.phone_name(index);
        self.trace
            .line(self.now.mono, format_args!("{name}: {news:?}"));
        let handset = &mut self.phones[index];
        match news {
            News::Answered => handset.answered_at = Some(self.now.mono),
            News::Ringing => {
                handset.called_at = self.now.mono;
                handset.sip_call_id = None;
            }
            News::Ended { by, .. } => {
                let heard = handset.phone.heard().to_vec();
                let up = handset.answered_at.take();
                let end = HangUp {
                    sip_call_id: handset.sip_call_id.as_deref(),
                    by,
                    up: up.map(|at| self.now.mono.since(at)),
                    good_line: handset.line.weather().is_good()
                        && !handset.line.was_cut(handset.called_at, self.now.mono),
                    heard: &heard,
                };
                self.checks.hung_up(&end);
                handset.heard.push(heard);
            }
            News::Ladder(_)
            | News::Registered { .. }
            | News::FarRinging
            | News::Step { .. }
            | News::Heard { .. } => {}
        }
    }

    /// Everything is over: nothing may be left of it.
    fn over(&mut self) {
        assert!(self.disk.is_idle(), "everything is written in the end");
        assert_eq!(self.flows.guests(), 0, "every plugin's run has ended");
        assert_eq!(self.words.open(), 0, "every request is answered");
        for (index, handset) in self.phones.iter().enumerate() {
            if handset.phone.has_vanished() {
                continue;
            }
            let (engine, sip) = handset.phone.counts();
            assert_eq!(
                (engine.legs, engine.sessions),
                (0, 0),
                "phone {index} is idle: {engine:?}"
            );
            assert!(sip.is_idle(), "phone {index} is idle: {sip:?}");
        }
        self.checks.over(&self.node, &self.disk);
    }

    fn phone_name(&self, index: usize) -> String {
        format!("phone {index}")
    }

    fn tell_message(&mut self, from: &str, to: &str, bytes: &[u8], more: &str) {
        if let Some(seen) = Seen::read(bytes) {
            let what = seen.summary();
            self.trace
                .line(self.now.mono, format_args!("{from} → {to}: {what}{more}"));
        }
    }
}

impl Handset {
    fn new(now: Now, index: usize, plan: &PhonePlan, rng: &mut Rng) -> Self {
        let home = Home::new(index, plan.nat);
        let config = phone::Config {
            user: plan.user.clone(),
            domain: NODE.ip().to_string(),
            password: plan.password.clone().map(Pii::new),
            sip: home.sip(),
            rtp: home.rtp(),
            transport: plan.transport,
            capabilities: plan.capabilities.clone(),
            digits: plan.digits,
            answer_after: plan.answer_after,
            script: plan.script.clone(),
            vanish: plan.vanish,
        };
        let outages = plan
            .outages
            .iter()
            .map(|&(from, to)| (Mono(0) + from, Mono(0) + to))
            .collect();
        Self {
            phone: Phone::new(now, config, rng.fork()),
            plan: plan.clone(),
            home,
            line: Line::new(plan.weather, outages, rng.fork()),
            sip_call_id: None,
            dials: false,
            sent: Arc::default(),
            called_at: Mono(0),
            answered_at: None,
            heard: Vec::new(),
        }
    }
}

fn new_node(capabilities: media::Capabilities, rng: &mut Rng) -> Node {
    let mut nonce_key = [0; 32];
    rng.fill(&mut nonce_key);
    let sip = sip::Config {
        realm: NODE.ip().to_string(),
        ..sip::Config::new(NODE, NODE, nonce_key)
    };
    let config = engine::Config {
        sip,
        capabilities,
        credentials: None,
        browsers: Vec::new(),
    };
    Node::new(config, Registry::new(), rng.fork())
}
