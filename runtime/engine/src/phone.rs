//! A scriptable softphone: one line, the same parts as the server.
//!
//! `jackfield call` drives one over real sockets, the simulator many over a virtual network.
//! It registers, dials or waits to be called, then follows its script and keeps what it heard.

mod ladder;
mod quiet;
mod script;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::negotiate::Capabilities;
use media::{Channel, Packet, RecordingOutput, Worker};
use sip::{Hop, RequestId, Transport};
use vocab::call::{Cause, Command, Event, Side, Target};
use vocab::{CallId, Clip, LegId, Mono, Now, Party, Pii, PlayId, RecordingId, Rng};

pub use ladder::{Arrow, LadderLine};
pub use script::{Digits, Step};

use crate::{Engine, Input as EngineInput, Output as EngineOutput, WorkerId};
use quiet::Quiet;

/// Settings of a phone.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its user name; also what it shows as caller.
    pub user: String,
    /// The host part of its address, usually the registrar's.
    pub domain: String,
    /// Digest password, for registration and calls.
    pub password: Option<Pii<String>>,
    /// Its own address for signalling.
    pub sip: SocketAddr,
    /// Its own address for RTP; RTCP is the next port up.
    pub rtp: SocketAddr,
    /// How it signals.
    pub transport: Transport,
    /// Codecs in order of preference, and whether RFC 4733 digits are offered.
    pub capabilities: Capabilities,
    /// How it sends digits.
    pub digits: Digits,
    /// Answer calls by itself after this long; `None` lets it ring.
    pub answer_after: Option<Duration>,
    /// What it does once a call is up.
    pub script: Vec<Step>,
    /// Vanish from the network without a word when the script is over, instead of hanging up.
    pub vanish: bool,
}

/// Something the phone is fed.
#[derive(Debug)]
pub enum Input<'a> {
    /// From the network, for signalling.
    Sip(sip::Input<'a>),
    /// From the network, for media.
    Media {
        /// Which socket.
        channel: Channel,
        /// Who sent it.
        from: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// Call somebody.
    Call {
        /// Request URI, such as `sip:1000@192.0.2.1`.
        uri: String,
        /// Where the request goes.
        next_hop: SocketAddr,
        /// Give up after this long without an answer.
        timeout: Duration,
    },
    /// Register with the registrar at this address.
    Register {
        /// Where the request goes.
        next_hop: SocketAddr,
        /// For how long.
        expires: Duration,
    },
    /// Hang up.
    Hangup,
    /// [`Phone::deadline`] has come.
    Timeout,
}

/// Something the phone asks for.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where.
        hop: Hop,
        /// One whole SIP message.
        bytes: Arc<[u8]>,
    },
    /// Close a stream.
    CloseStream {
        /// Which.
        conn: sip::ConnId,
    },
    /// Send a datagram from a media socket.
    Media {
        /// Which socket.
        channel: Channel,
        /// The receiver.
        to: SocketAddr,
        /// The datagram.
        packet: Packet,
    },
    /// Something happened.
    News(News),
}

/// What a phone reports.
#[derive(Clone, PartialEq, Debug)]
pub enum News {
    /// A message went over the wire.
    Ladder(LadderLine),
    /// The registrar has answered; `None` if it has not.
    Registered {
        /// The final status.
        status: Option<u16>,
    },
    /// Somebody calls this phone.
    Ringing,
    /// The far end of our call is ringing.
    FarRinging,
    /// The call is up.
    Answered,
    /// A step of the script begins.
    Step {
        /// Its place, from 0.
        index: usize,
    },
    /// A digit was heard.
    Heard {
        /// Which.
        digit: Pii<char>,
    },
    /// The call is over.
    Ended {
        /// Why.
        cause: Cause,
        /// Who ended it.
        by: Side,
        /// The final status of a call that was never answered.
        status: Option<u16>,
    },
}

/// A line that is in use.
#[derive(Debug)]
struct Line {
    leg: LegId,
    state: LineState,
    /// Step of the script in hand.
    step: usize,
    quiet: Quiet,
}

#[derive(Debug)]
enum LineState {
    /// Dialling or ringing.
    Early,
    /// Up; the script runs.
    Up(Doing),
}

/// What the script is doing.
#[derive(Debug, PartialEq, Eq)]
enum Doing {
    Until(Mono),
    Quiet { give_up: Mono },
    Play(PlayId),
    /// The script is over and the far end goes on.
    Listening,
}

/// The machine.
#[derive(Debug)]
pub struct Phone {
    config: Config,
    engine: Engine,
    worker: Worker,
    rng: Rng,
    line: Option<Line>,
    /// When the last call began: what the ladder counts from.
    began: Option<Mono>,
    answer_at: Option<(Mono, LegId)>,
    session: Option<vocab::SessionId>,
    play_last: u64,
    request_last: u64,
    heard: Vec<i16>,
    said: Vec<i16>,
    ladder: Vec<LadderLine>,
    gone: bool,
    out: VecDeque<Output>,
}

/// Lines kept of a phone's ladder: a call makes some twenty, a lossy one a few hundred.
const LADDER_MAX: usize = 10_000;

/// Samples kept of what was heard: one hour.
const HEARD_MAX: usize = 8_000 * 3_600;

impl Phone {
    /// A phone that does nothing yet.
    pub fn new(now: Now, config: Config, mut rng: Rng) -> Self {
        let mut nonce_key = [0; 32];
        rng.fill(&mut nonce_key);
        let sip = sip::Config {
            realm: config.domain.clone(),
            product: concat!("Jackfield-phone/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..sip::Config::new(config.sip, config.sip, nonce_key)
        };
        let credentials = config
            .password
            .clone()
            .map(|password| sip::Credentials { user: config.user.clone(), password });
        let capabilities = config.capabilities.clone();
        let mut engine =
            Engine::new(crate::Config { sip, capabilities, credentials }, rng.fork());
        engine.handle(
            now,
            EngineInput::Ports { worker: WorkerId(0), ports: vec![config.rtp] },
        );
        let worker = Worker::new(media::Config::default(), rng.fork());
        Self {
            config,
            engine,
            worker,
            rng,
            line: None,
            began: None,
            answer_at: None,
            session: None,
            play_last: 0,
            request_last: 0,
            heard: Vec::new(),
            said: Vec::new(),
            ladder: Vec::new(),
            gone: false,
            out: VecDeque::new(),
        }
    }

    /// Feeds one input. The caller drains [`Phone::poll`] before the next.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(self.out.is_empty(), "outputs are drained before the next input");
        if self.gone {
            return;
        }
        match input {
            Input::Sip(input) => {
                if let sip::Input::Datagram { bytes, .. } | sip::Input::Stream { bytes, .. } = &input
                {
                    self.trace(now, Arrow::Received, bytes);
                }
                self.engine.handle(now, EngineInput::Sip(input));
            }
            Input::Media { channel, from, bytes } => {
                if let Some(session) = self.session {
                    let input = media::Input::Packet { session, channel, from, bytes };
                    self.worker.handle(now, input);
                }
            }
            Input::Call { uri, next_hop, timeout } => self.call(now, uri, next_hop, timeout),
            Input::Register { next_hop, expires } => self.register(now, next_hop, expires),
            Input::Hangup => self.hang_up(now),
            Input::Timeout => self.timeout(now),
        }
        self.settle(now);
        self.advance(now);
        self.settle(now);
    }

    /// The next thing to do, or `None` until [`Phone::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When `Input::Timeout` is next due.
    pub fn deadline(&self) -> Option<Mono> {
        if self.gone {
            return None;
        }
        let script = match &self.line {
            Some(Line { state: LineState::Up(Doing::Until(at)), .. }) => Some(*at),
            Some(Line { state: LineState::Up(Doing::Quiet { give_up }), .. }) => Some(*give_up),
            Some(_) | None => None,
        };
        let answer = self.answer_at.map(|(at, _)| at);
        let parts = [self.engine.deadline(), self.worker.deadline(), script, answer];
        parts.into_iter().flatten().min()
    }

    /// What it heard since its last call began: mono, 8,000 samples a second.
    pub fn heard(&self) -> &[i16] {
        &self.heard
    }

    /// What it said, aligned with [`Phone::heard`].
    pub fn said(&self) -> &[i16] {
        &self.said
    }

    /// Messages sent and received since it was made.
    pub fn ladder(&self) -> &[LadderLine] {
        &self.ladder
    }

    /// Whether a call is being set up or is up.
    pub fn is_busy(&self) -> bool {
        self.line.is_some()
    }

    /// Whether it has left the network without a word.
    pub fn has_vanished(&self) -> bool {
        self.gone
    }

    /// What is alive in it.
    pub fn counts(&self) -> (crate::Counts, sip::Counts) {
        (self.engine.counts(), self.engine.sip_counts())
    }

    fn call(&mut self, now: Now, uri: String, next_hop: SocketAddr, timeout: Duration) {
        if self.line.is_some() {
            return;
        }
        let leg = LegId { call: CallId::new(now.wall, &mut self.rng), n: 1 };
        self.begin(now, leg);
        self.engine.handle(
            now,
            EngineInput::Command(Command::Dial {
                leg,
                target: Target::Uri {
                    uri: Pii::new(uri),
                    next_hop,
                    tcp: self.config.transport == Transport::Tcp,
                },
                caller: Party::Sip(self.config.user.clone()),
                timeout,
            }),
        );
    }

    fn begin(&mut self, now: Now, leg: LegId) {
        self.began = Some(now.mono);
        self.heard.clear();
        self.said.clear();
        let (state, quiet) = (LineState::Early, Quiet::default());
        self.line = Some(Line { leg, state, step: 0, quiet });
    }

    fn register(&mut self, now: Now, next_hop: SocketAddr, expires: Duration) {
        self.request_last += 1;
        let Config { user, domain, sip, transport, .. } = &self.config;
        let aor = format!("<sip:{user}@{domain}>");
        let tcp = if *transport == Transport::Tcp { ";transport=tcp" } else { "" };
        let contact = format!("<sip:{user}@{sip}{tcp}>");
        let credentials = self
            .config
            .password
            .clone()
            .map(|password| sip::Credentials { user: user.clone(), password });
        let action = sip::Action::Request {
            id: RequestId(self.request_last),
            method: "REGISTER".to_owned(),
            uri: format!("sip:{domain}"),
            hop: Hop { transport: *transport, remote: next_hop, conn: None },
            from: aor.clone(),
            to: aor,
            headers: vec![
                ("Contact".to_owned(), contact),
                ("Expires".to_owned(), expires.as_secs().to_string()),
            ],
            credentials,
        };
        self.engine.handle(now, EngineInput::Request(action));
    }

    fn hang_up(&mut self, now: Now) {
        if let Some(line) = &self.line {
            let command = Command::Hangup { leg: line.leg, cause: Cause::Normal };
            self.engine.handle(now, EngineInput::Command(command));
        }
    }

    fn timeout(&mut self, now: Now) {
        if self.engine.deadline().is_some_and(|at| at <= now.mono) {
            self.engine.handle(now, EngineInput::Timeout);
            self.settle(now);
        }
        if self.worker.deadline().is_some_and(|at| at <= now.mono) {
            self.worker.handle(now, media::Input::Tick);
        }
        if let Some((at, leg)) = self.answer_at
            && at <= now.mono
        {
            self.answer_at = None;
            self.settle(now);
            self.engine.handle(now, EngineInput::Command(Command::Answer { leg }));
        }
    }

    /// Carries outputs of the parts to each other and outside, until quiet.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some(output) = self.engine.poll() {
                self.engine_output(now, output);
            } else if let Some(output) = self.worker.poll() {
                self.worker_output(now, output);
            } else {
                return;
            }
        }
    }

    fn engine_output(&mut self, now: Now, output: EngineOutput) {
        match output {
            EngineOutput::Transmit { hop, bytes } => {
                self.trace(now, Arrow::Sent, &bytes);
                self.out.push_back(Output::Transmit { hop, bytes });
            }
            EngineOutput::CloseStream { conn } => self.out.push_back(Output::CloseStream { conn }),
            EngineOutput::Media { command, .. } => {
                if let media::Command::Open { session, .. } = &command {
                    self.session = Some(*session);
                }
                // The engine may have more to say first: what it said so far must stay in order.
                let mut held = VecDeque::new();
                while let Some(output) = self.worker.poll() {
                    held.push_back(output);
                }
                for output in held {
                    self.worker_output(now, output);
                }
                self.worker.handle(now, media::Input::Command(command));
            }
            EngineOutput::Response { status, .. } => self.news(News::Registered { status }),
            EngineOutput::Event(event) => self.event(now, event),
        }
    }

    fn worker_output(&mut self, now: Now, output: media::Output) {
        match output {
            media::Output::Send { channel, to, packet, .. } => {
                self.out.push_back(Output::Media { channel, to, packet });
            }
            media::Output::Recording { what: RecordingOutput::Samples(samples), .. } => {
                for frame in samples.chunks_exact(2) {
                    if self.heard.len() < HEARD_MAX {
                        self.heard.push(frame[0]);
                        self.said.push(frame[1]);
                    }
                    if let Some(line) = &mut self.line {
                        line.quiet.hear(frame[0]);
                    }
                }
            }
            media::Output::Recording { .. } => {}
            media::Output::Event(event) => {
                // What the engine says next waits its turn behind this.
                let mut held = VecDeque::new();
                while let Some(output) = self.engine.poll() {
                    held.push_back(output);
                }
                for output in held {
                    self.engine_output(now, output);
                }
                self.engine.handle(now, EngineInput::Media { worker: WorkerId(0), event });
            }
        }
    }

    fn event(&mut self, now: Now, event: Event) {
        match event {
            Event::Incoming { leg, .. } => self.rung(now, leg),
            Event::Ringing { .. } => self.news(News::FarRinging),
            Event::Answered { leg } => {
                let recording = RecordingId { call: leg.call, n: 0 };
                let command = Command::RecordCall { leg, recording };
                self.pass(now, command);
                if let Some(line) = &mut self.line {
                    line.state = LineState::Up(Doing::Until(now.mono));
                }
                self.news(News::Answered);
            }
            Event::Digit { digit, .. } => self.news(News::Heard { digit }),
            Event::Played { play, .. } => {
                if let Some(Line { state: LineState::Up(doing), .. }) = &mut self.line
                    && *doing == Doing::Play(play)
                {
                    *doing = Doing::Until(now.mono);
                }
            }
            Event::Ended { leg, cause, by, status } => {
                if self.line.as_ref().is_some_and(|line| line.leg == leg) {
                    self.line = None;
                    self.session = None;
                    self.news(News::Ended { cause, by, status });
                }
                if self.answer_at.is_some_and(|(_, ringing)| ringing == leg) {
                    self.answer_at = None;
                }
            }
            Event::Gathered { .. }
            | Event::Recorded { .. }
            | Event::Bridged { .. }
            | Event::Unbridged { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. } => {}
        }
    }

    fn rung(&mut self, now: Now, leg: LegId) {
        if self.line.is_some() {
            return self.pass(now, Command::Reject { leg, status: 486 });
        }
        self.begin(now, leg);
        self.pass(now, Command::Ring { leg });
        self.answer_at = self.config.answer_after.map(|after| (now.mono + after, leg));
        self.news(News::Ringing);
    }

    /// Gives the engine a command while it may still have outputs: they go first.
    fn pass(&mut self, now: Now, command: Command) {
        while let Some(output) = self.engine.poll() {
            self.engine_output(now, output);
        }
        self.engine.handle(now, EngineInput::Command(command));
    }

    /// Takes the script on as far as it goes now.
    fn advance(&mut self, now: Now) {
        loop {
            let Some(Line { leg, state: LineState::Up(doing), step, quiet, .. }) = &mut self.line
            else {
                return;
            };
            let done = match doing {
                Doing::Until(at) => *at <= now.mono,
                Doing::Quiet { give_up } => *give_up <= now.mono || quiet.is_quiet(),
                Doing::Play(_) | Doing::Listening => false,
            };
            if !done {
                return;
            }
            let (leg, index) = (*leg, *step);
            *step += 1;
            match self.config.script.get(index).cloned() {
                Some(next) => {
                    self.news(News::Step { index });
                    self.step(now, leg, next);
                }
                None if self.config.vanish => {
                    self.gone = true;
                    self.line = None;
                    return;
                }
                None => {
                    self.doing(Doing::Listening);
                    return;
                }
            }
            self.settle(now);
        }
    }

    fn step(&mut self, now: Now, leg: LegId, step: Step) {
        match step {
            Step::Wait(time) => self.doing(Doing::Until(now.mono + time)),
            Step::Quiet { give_up } => {
                if let Some(line) = &mut self.line {
                    line.quiet = Quiet::default();
                }
                self.doing(Doing::Quiet { give_up: now.mono + give_up });
            }
            Step::Press(digits) => self.press(now, leg, digits),
            Step::Play(clip) => {
                let play = self.next_play();
                self.doing(Doing::Play(play));
                self.pass(now, Command::Play { leg, play, clips: vec![clip], repeat: false });
            }
            Step::Hangup => {
                self.doing(Doing::Listening);
                self.pass(now, Command::Hangup { leg, cause: Cause::Normal });
            }
        }
    }

    fn press(&mut self, now: Now, leg: LegId, digits: Pii<String>) {
        let (on, off) = (Duration::from_millis(120), Duration::from_millis(100));
        let clip = match self.config.digits {
            Digits::InBand => media::tone::digits(digits.reveal(), on, off),
            Digits::Rfc4733 => None,
        };
        match clip {
            Some(clip) => {
                let play = self.next_play();
                let clips = vec![Clip::silence(Duration::from_millis(60)), clip];
                self.doing(Doing::Play(play));
                self.pass(now, Command::Play { leg, play, clips, repeat: false });
            }
            None => {
                let count = u32::try_from(digits.reveal().len()).unwrap_or(0);
                self.doing(Doing::Until(now.mono + (on + off) * count));
                self.pass(now, Command::SendDigits { leg, digits });
            }
        }
    }

    fn doing(&mut self, doing: Doing) {
        if let Some(line) = &mut self.line {
            line.state = LineState::Up(doing);
        }
    }

    fn next_play(&mut self) -> PlayId {
        self.play_last += 1;
        PlayId(self.play_last)
    }

    fn trace(&mut self, now: Now, arrow: Arrow, bytes: &[u8]) {
        let since = self.began.unwrap_or(now.mono);
        let Some(line) = LadderLine::new(arrow, now.mono.since(since), bytes) else { return };
        if self.ladder.len() < LADDER_MAX {
            self.ladder.push(line.clone());
        }
        self.news(News::Ladder(line));
    }

    fn news(&mut self, news: News) {
        self.out.push_back(Output::News(news));
    }
}
