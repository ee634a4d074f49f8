//! A scriptable softphone: one line, the same parts as the server.
//!
//! `jackfield call` drives one over real sockets, the simulator many over a virtual network.
//! It registers, dials or waits to be called, then follows its script and keeps what it heard.

mod border;
mod ladder;
mod line;
mod quiet;
mod script;
mod trace;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use media::{RecordingOutput, Worker};
use sip::message::Uri;
use sip::{Hop, RequestId, Transport};
use vocab::call::{Cause, Command, Event, Target};
use vocab::{CallId, Clip, LegId, Mono, Now, Party, Pii, PlayId, RecordingId, Rng};

pub use border::{Config, Input, News, Output};
pub use ladder::{Arrow, LadderLine};
pub use script::{Digits, Step};

use crate::{Engine, Input as EngineInput, Output as EngineOutput, WorkerId};
use line::{Doing, Line, LineState};
use trace::Trace;

/// The machine.
#[derive(Debug)]
pub struct Phone {
    config: Config,
    engine: Engine,
    worker: Worker,
    rng: Rng,
    line: Option<Line>,
    /// A leg rings until then: it is answered, or given up.
    ring_until: Option<(Mono, LegId)>,
    session: Option<vocab::SessionId>,
    play_last: u64,
    request_last: u64,
    heard: Vec<i16>,
    said: Vec<i16>,
    trace: Trace,
    gone: bool,
    /// From the worker to the engine.
    reports: VecDeque<media::Event>,
    /// From the phone to its engine.
    commands: VecDeque<Command>,
    out: VecDeque<Output>,
}

/// Samples kept of what was heard: one hour.
const HEARD_MAX: usize = 8_000 * 3_600;

/// A call that nobody answers rings for this long: as long as a proxy lets it (RFC 3261 §16.6,
/// timer C). A caller who vanished sends no CANCEL.
const RING_MAX: Duration = Duration::from_secs(180);

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
        let credentials = config.password.clone().map(|password| sip::Credentials {
            user: config.user.clone(),
            password,
        });
        let capabilities = config.capabilities.clone();
        let mut engine = Engine::of_one_line(
            crate::Config {
                sip,
                capabilities,
                credentials,
                browsers: Vec::new(),
            },
            rng.fork(),
        );
        engine.handle(
            now,
            EngineInput::Ports {
                worker: WorkerId(0),
                ports: vec![config.rtp],
            },
        );
        let worker = Worker::new(media::Config::default(), rng.fork());
        Self {
            config,
            engine,
            worker,
            rng,
            line: None,
            ring_until: None,
            session: None,
            play_last: 0,
            request_last: 0,
            heard: Vec::new(),
            said: Vec::new(),
            trace: Trace::new(now.mono),
            gone: false,
            reports: VecDeque::new(),
            commands: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// Feeds one input. The caller drains [`Phone::poll`] before the next.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        if self.gone {
            return;
        }
        match input {
            Input::Sip(input) => {
                let lines = self.trace.received(now.mono, &input, self.line.is_none());
                self.tell(lines);
                self.engine.handle(now, EngineInput::Sip(input));
            }
            Input::Media {
                channel,
                from,
                bytes,
            } => {
                if let Some(session) = self.session {
                    if channel == media::Channel::Rtp
                        && let Some(line) = &mut self.line
                    {
                        line.came(now.mono);
                    }
                    self.media(
                        now,
                        media::Input::Packet {
                            session,
                            channel,
                            from,
                            bytes,
                        },
                    );
                }
            }
            Input::Call {
                uri,
                next_hop,
                timeout,
            } => self.call(now, uri, next_hop, timeout),
            Input::Register { next_hop, expires } => self.register(now, next_hop, expires),
            Input::Hangup => self.hang_up(),
            Input::Hold { on } => self.within(|leg| Command::Reoffer {
                leg,
                codecs: Vec::new(),
                hold: on,
            }),
            Input::Refer { to } => self.within(|leg| Command::Refer {
                leg,
                to: Pii::new(to),
            }),
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
        let script = self.line.as_ref().and_then(Line::deadline);
        let answer = self.ring_until.map(|(at, _)| at);
        let parts = [
            self.engine.deadline(),
            self.worker.deadline(),
            script,
            answer,
        ];
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
        self.trace.lines()
    }

    /// Whether a call is being set up or is up.
    pub fn is_busy(&self) -> bool {
        self.line.is_some()
    }

    /// Whether a call is up.
    pub fn is_up(&self) -> bool {
        let line = self.line.as_ref();
        line.is_some_and(|line| matches!(line.state, LineState::Up(_)))
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
        let leg = LegId {
            call: CallId::new(now.wall, &mut self.rng),
            n: 1,
        };
        self.trace.restart(now.mono);
        self.begin(now, leg);
        self.commands.push_back(Command::Dial {
            leg,
            target: Target::Uri {
                uri: Pii::new(self.named(uri)),
                next_hop,
                tcp: self.config.transport == Transport::Tcp,
                carrier: None,
            },
            caller: Party::Sip(self.config.user.clone()),
            timeout,
            sent_by: None,
        });
    }

    /// The URI with what it is carried by, where the leg's target alone does not say so.
    fn named(&self, uri: String) -> String {
        match self.config.transport {
            Transport::Udp | Transport::Tcp => uri,
            Transport::Tls | Transport::Ws | Transport::Wss => {
                let asked = Uri::parse(&uri).ok();
                let asked = asked
                    .as_ref()
                    .and_then(Uri::sip)
                    .and_then(Transport::of_uri);
                if asked.is_some_and(Transport::is_reliable) {
                    return uri;
                }
                let name = self.config.transport.via_name().to_ascii_lowercase();
                format!("{uri};transport={name}")
            }
        }
    }

    fn begin(&mut self, now: Now, leg: LegId) {
        self.heard.clear();
        self.said.clear();
        self.line = Some(Line::new(now.mono, leg));
    }

    fn register(&mut self, now: Now, next_hop: SocketAddr, expires: Duration) {
        self.request_last += 1;
        if self.line.is_none() {
            self.trace.restart(now.mono);
        }
        let Config {
            user,
            domain,
            sip,
            transport,
            ..
        } = &self.config;
        let aor = format!("<sip:{user}@{domain}>");
        let contact = match transport {
            Transport::Udp => format!("<sip:{user}@{sip}>"),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let name = transport.uri_name();
                format!("<sip:{user}@{sip};transport={name}>")
            }
        };
        let credentials = self
            .config
            .password
            .clone()
            .map(|password| sip::Credentials {
                user: user.clone(),
                password,
            });
        let action = sip::Action::Request {
            id: RequestId(self.request_last),
            method: "REGISTER".to_owned(),
            uri: format!("sip:{domain}"),
            hop: Hop {
                transport: *transport,
                remote: next_hop,
                conn: None,
            },
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

    fn hang_up(&mut self) {
        if let Some(line) = &self.line {
            self.commands.push_back(Command::Hangup {
                leg: line.leg,
                cause: Cause::Normal,
            });
        }
    }

    /// Has the engine do something with a call that is up.
    fn within(&mut self, what: impl FnOnce(LegId) -> Command) {
        if let Some(line) = self.line.as_ref().filter(|_| self.is_up()) {
            self.commands.push_back(what(line.leg));
        }
    }

    fn timeout(&mut self, now: Now) {
        if self.engine.deadline().is_some_and(|at| at <= now.mono) {
            self.engine.handle(now, EngineInput::Timeout);
        }
        if self.worker.deadline().is_some_and(|at| at <= now.mono) {
            self.media(now, media::Input::Tick);
        }
        if let Some((at, leg)) = self.ring_until
            && at <= now.mono
        {
            self.ring_until = None;
            self.commands.push_back(match self.config.answer_after {
                Some(_) => Command::Answer { leg },
                None => Command::Reject {
                    leg,
                    status: 480,
                    q850: None,
                },
            });
        }
    }

    /// Carries outputs of the parts to each other and outside, until quiet.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some(output) = self.engine.poll() {
                self.engine_output(now, output);
            } else if let Some(event) = self.reports.pop_front() {
                self.engine.handle(
                    now,
                    EngineInput::Media {
                        worker: WorkerId(0),
                        event,
                    },
                );
            } else if let Some(command) = self.commands.pop_front() {
                self.engine.handle(now, EngineInput::Command(command));
            } else {
                return;
            }
        }
    }

    fn engine_output(&mut self, now: Now, output: EngineOutput) {
        match output {
            EngineOutput::Transmit { hop, bytes } => {
                let line = self.trace.sent(now.mono, &bytes);
                self.tell(line);
                self.out.push_back(Output::Transmit { hop, bytes });
            }
            EngineOutput::CloseStream { conn } => {
                self.trace.closed(conn);
                self.out.push_back(Output::CloseStream { conn });
            }
            EngineOutput::Media { command, .. } => {
                if let media::Command::Open { session, .. } = &command {
                    self.session = Some(*session);
                }
                self.media(now, media::Input::Command(command));
            }
            EngineOutput::Response { status, .. } => self.news(News::Registered { status }),
            EngineOutput::Event(event) => self.event(now, event),
        }
    }

    /// Feeds the worker and takes what it has to say.
    fn media(&mut self, now: Now, input: media::Input<'_>) {
        self.worker.handle(now, input);
        while let Some(output) = self.worker.poll() {
            match output {
                media::Output::Send {
                    channel,
                    to,
                    packet,
                    ..
                } => {
                    self.out.push_back(Output::Media {
                        channel,
                        to,
                        packet,
                    });
                }
                media::Output::Recording {
                    what: RecordingOutput::Samples(samples),
                    ..
                } => {
                    self.hear(&samples);
                }
                // It talks with no browser.
                media::Output::Recording { .. } | media::Output::SendThrough { .. } => {}
                media::Output::Event(event) => self.reports.push_back(event),
            }
        }
    }

    /// Takes a chunk of the call's recording: left is what was heard, right what was said.
    fn hear(&mut self, samples: &[i16]) {
        for frame in samples.chunks_exact(2) {
            if self.heard.len() < HEARD_MAX {
                self.heard.push(frame[0]);
                self.said.push(frame[1]);
            }
            if let Some(line) = &mut self.line {
                line.hear(frame[0]);
            }
        }
    }

    fn event(&mut self, now: Now, event: Event) {
        match event {
            Event::Incoming { leg, .. } => self.rung(now, leg),
            Event::Trying { .. } => {}
            Event::Ringing { .. } => self.news(News::FarRinging),
            Event::Answered { leg } => {
                let recording = RecordingId::of_call(leg.call);
                self.commands.push_back(Command::RecordCall {
                    leg,
                    recording,
                    channels: 2,
                });
                if let Some(line) = &mut self.line {
                    line.state = LineState::Up(Doing::Until(now.mono));
                    line.up_at = now.mono;
                }
                self.news(News::Answered);
            }
            Event::Digit { digit, .. } => self.news(News::Heard { digit }),
            Event::Played { play, .. } => {
                if let Some(Line {
                    state: LineState::Up(doing),
                    ..
                }) = &mut self.line
                    && *doing == Doing::Play(play)
                {
                    *doing = Doing::Until(now.mono);
                }
            }
            Event::Ended {
                leg,
                cause,
                by,
                status,
                ..
            } => {
                if self.line.as_ref().is_some_and(|line| line.leg == leg) {
                    self.line = None;
                    self.session = None;
                    self.news(News::Ended { cause, by, status });
                }
                if self.ring_until.is_some_and(|(_, ringing)| ringing == leg) {
                    self.ring_until = None;
                }
            }
            Event::Gathered { .. }
            | Event::Recorded { .. }
            | Event::Bridged { .. }
            | Event::Unbridged { .. }
            | Event::EarlyMedia { .. }
            | Event::OneWay { .. }
            | Event::Media { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::Heard { .. }
            | Event::Talking { .. }
            | Event::Speaker { .. }
            | Event::Held { .. }
            | Event::Retrieved { .. }
            | Event::Reoffered { .. }
            | Event::ReferAsked { .. }
            | Event::Referred { .. }
            | Event::Moved { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. }
            | Event::Banned { .. } => {}
        }
    }

    fn rung(&mut self, now: Now, leg: LegId) {
        if self.line.is_some() {
            return self.commands.push_back(Command::Reject {
                leg,
                status: 486,
                q850: None,
            });
        }
        self.begin(now, leg);
        self.commands.push_back(Command::Ring { leg });
        let ring = self.config.answer_after.unwrap_or(RING_MAX);
        self.ring_until = Some((now.mono + ring, leg));
        self.news(News::Ringing);
    }

    /// Takes the script on as far as it goes now.
    fn advance(&mut self, now: Now) {
        loop {
            let Some(line) = &mut self.line else { return };
            let LineState::Up(doing) = &line.state else {
                return;
            };
            let done = match doing {
                Doing::Until(at) => *at <= now.mono,
                Doing::Quiet { give_up } => *give_up <= now.mono || line.is_quiet(now.mono),
                Doing::Play(_) | Doing::Listening => false,
            };
            if !done {
                return;
            }
            let (leg, index) = (line.leg, line.step);
            line.step += 1;
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
                    line.listen(now.mono);
                }
                self.doing(Doing::Quiet {
                    give_up: now.mono + give_up,
                });
            }
            Step::Press(digits) => self.press(now, leg, digits),
            Step::Play(clip) => {
                let play = self.next_play();
                self.doing(Doing::Play(play));
                let clips = vec![clip];
                self.commands.push_back(Command::Play {
                    leg,
                    play,
                    clips,
                    repeat: false,
                });
            }
            Step::Hangup => {
                self.doing(Doing::Listening);
                self.commands.push_back(Command::Hangup {
                    leg,
                    cause: Cause::Normal,
                });
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
                self.commands.push_back(Command::Play {
                    leg,
                    play,
                    clips,
                    repeat: false,
                });
            }
            None => {
                let count = u32::try_from(digits.reveal().len()).unwrap_or(0);
                self.doing(Doing::Until(now.mono + (on + off) * count));
                self.commands.push_back(Command::SendDigits { leg, digits });
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

    fn tell(&mut self, lines: impl IntoIterator<Item = LadderLine>) {
        for line in lines {
            self.news(News::Ladder(line));
        }
    }

    fn news(&mut self, news: News) {
        self.out.push_back(Output::News(news));
    }
}
