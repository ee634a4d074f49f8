//! RTP ends that listen and act: a script each, all on one loop, over real sockets.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use media::{Channel, Codec, Command, Config, EventFormat, Input, Output, StreamParams, Worker};
use mio::net::UdpSocket;
use mio::{Events, Interest, Registry, Token};
use server::clock::Clock;
use vocab::{Clip, Mono, Pii, PlayId, Rng, SessionId};

use super::capture::Capture;
use super::prompt::{Prompt, encoded};

/// Payload type of telephone-event in our offers.
const EVENTS: u8 = 101;

/// Tries to find two free ports in a row.
const PORT_TRIES: usize = 100;

/// How keys are pressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys {
    /// As events of their own (RFC 4733).
    Events,
    /// As tones in the audio; events are not offered.
    Tones,
}

/// What a caller waits for or does next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Waits until one of these prompts has begun.
    Begin(Vec<Prompt>),
    /// Waits until one of these prompts is over.
    Hear(Vec<Prompt>),
    /// Presses a key.
    Press(char),
    /// Says something again and again from now on; goes on at once.
    Say(Prompt),
}

/// One caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The only codec it offers.
    pub codec: Codec,
    /// How it presses keys.
    pub keys: Keys,
    /// What it does, in order; at the end it hangs up.
    pub script: Vec<Step>,
}

/// A step in the form the loop needs.
#[derive(Debug)]
enum Todo {
    /// Waits for one of these in what is heard.
    Await(Vec<Vec<u8>>),
    Press(char),
    Say(Clip),
}

/// A caller's sockets and where it is in its script.
#[derive(Debug)]
struct Line {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    caller: Caller,
    todo: VecDeque<Todo>,
    capture: Capture,
    /// What is before this in the capture is done with.
    from: usize,
    /// Windows before this were looked at for the cue that is waited for.
    seen: usize,
    plays: u64,
    begun: bool,
}

/// Many RTP ends on one loop.
#[derive(Debug)]
pub struct Lines {
    clock: Clock,
    worker: Worker,
    lines: Vec<Line>,
    /// Lines whose script ended since they were last asked for.
    done: Vec<usize>,
}

impl Lines {
    /// Binds ports for these callers, and registers them: line `n` as tokens `base + 2n` and the
    /// next one.
    ///
    /// # Errors
    /// If the system gives no ports.
    pub fn open(callers: Vec<Caller>, registry: &Registry, base: usize) -> anyhow::Result<Self> {
        let mut lines = Vec::with_capacity(callers.len());
        for (index, caller) in callers.into_iter().enumerate() {
            let (mut rtp, mut rtcp) = ports()?;
            registry.register(&mut rtp, Token(base + 2 * index), Interest::READABLE)?;
            registry.register(&mut rtcp, Token(base + 2 * index + 1), Interest::READABLE)?;
            let todo = caller
                .script
                .iter()
                .map(|step| todo(step, caller.codec))
                .collect();
            lines.push(Line {
                rtp,
                rtcp,
                todo,
                capture: Capture::new(caller.codec),
                from: 0,
                seen: 0,
                plays: 0,
                begun: false,
                caller,
            });
        }
        let worker = Worker::new(Config::default(), Rng::from_u64(1));
        Ok(Self {
            clock: Clock::start(),
            worker,
            lines,
            done: Vec::new(),
        })
    }

    /// The offer's fields of a line, for a scenario: port, formats, and four attribute lines.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn offer(&self, line: usize) -> [String; 5] {
        let line = &self.lines[line];
        let port = line
            .rtp
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let number = line.caller.codec.payload_type();
        let name = line.caller.codec.encoding();
        let map = format!("rtpmap:{number} {name}/8000");
        let (formats, event_map, event_range) = match line.caller.keys {
            Keys::Events => (
                format!("{number} {EVENTS}"),
                format!("rtpmap:{EVENTS} telephone-event/8000"),
                format!("fmtp:{EVENTS} 0-15"),
            ),
            Keys::Tones => (
                number.to_string(),
                "ptime:20".to_owned(),
                "sendrecv".to_owned(),
            ),
        };
        [port.to_string(), formats, map, event_map, event_range]
    }

    /// The far end of a line is known: audio flows, and its script runs.
    pub fn begin(&mut self, index: usize, remote: SocketAddr) {
        let line = &mut self.lines[index];
        if std::mem::replace(&mut line.begun, true) {
            return;
        }
        let session = SessionId(index as u64);
        let local = line
            .rtp
            .local_addr()
            .expect("a bound socket has an address");
        let params = StreamParams {
            dtmf: match line.caller.keys {
                Keys::Events => Some(EventFormat::of(EVENTS)),
                Keys::Tones => None,
            },
            ..StreamParams::new(line.caller.codec, remote)
        };
        self.feed(Input::Command(Command::Open { session, local }));
        self.feed(Input::Command(Command::Configure { session, params }));
        self.advance(index);
    }

    /// The call of a line is over: nothing is sent any more.
    pub fn end(&mut self, index: usize) {
        if std::mem::replace(&mut self.lines[index].begun, false) {
            self.feed(Input::Command(Command::Close {
                session: SessionId(index as u64),
            }));
        }
    }

    /// How long nothing is due, at most `limit`.
    pub fn idle(&self, limit: Duration) -> Duration {
        self.worker
            .deadline()
            .map_or(limit, |at| self.clock.until(at).min(limit))
    }

    /// Does what is due, and reads the sockets that have something.
    pub fn turn(&mut self, events: &Events, base: usize) {
        for event in events.iter().filter(|event| event.token().0 >= base) {
            let place = event.token().0 - base;
            self.read(
                place / 2,
                if place.is_multiple_of(2) {
                    Channel::Rtp
                } else {
                    Channel::Rtcp
                },
            );
        }
        if self.worker.deadline().is_some_and(|at| at <= self.now()) {
            self.feed(Input::Tick);
        }
    }

    /// Lines whose script ended since the last time.
    pub fn done(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.done)
    }

    /// What a line waits for, for the report of a failure.
    pub fn stuck(&self, index: usize) -> String {
        let line = &self.lines[index];
        let at = line.caller.script.len() - line.todo.len();
        let step = line.caller.script.get(at);
        let what = match step {
            None => "nothing".to_owned(),
            Some(Step::Press(_)) => "its turn to press a key".to_owned(),
            Some(Step::Say(_)) => "its turn to speak".to_owned(),
            Some(Step::Begin(prompts) | Step::Hear(prompts)) => prompts
                .iter()
                .map(Prompt::name)
                .collect::<Vec<_>>()
                .join(" or "),
        };
        format!(
            "line {index} waits for {what} after {} packets",
            line.capture.packets
        )
    }

    /// What every line heard.
    pub fn into_captures(self) -> Vec<Capture> {
        self.lines.into_iter().map(|line| line.capture).collect()
    }

    fn now(&self) -> Mono {
        self.clock.now().mono
    }

    fn read(&mut self, index: usize, channel: Channel) {
        let session = SessionId(index as u64);
        let mut buffer = [0; 2_048];
        loop {
            let line = &mut self.lines[index];
            let socket = match channel {
                Channel::Rtp => &line.rtp,
                Channel::Rtcp => &line.rtcp,
            };
            let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                return;
            };
            let bytes = &buffer[..length];
            let heard = channel == Channel::Rtp && line.capture.take(self.clock.now().mono, bytes);
            if self.lines[index].begun {
                self.feed(Input::Packet {
                    session,
                    channel,
                    from,
                    bytes,
                });
                if heard {
                    self.advance(index);
                }
            }
        }
    }

    /// Takes the steps of a script that can be taken now.
    fn advance(&mut self, index: usize) {
        let session = SessionId(index as u64);
        let line = &mut self.lines[index];
        let mut commands = Vec::new();
        while let Some(next) = line.todo.front() {
            match next {
                Todo::Await(cues) => {
                    let capture = &line.capture;
                    let found = cues.iter().find_map(|cue| capture.find(cue, line.seen));
                    let Some(end) = found else {
                        let longest = cues.iter().map(Vec::len).max().unwrap_or(0);
                        line.seen = capture.codes().len().saturating_sub(longest).max(line.from);
                        break;
                    };
                    (line.from, line.seen) = (end, end);
                }
                Todo::Press(key) => {
                    let digits = Pii::new(key.to_string());
                    commands.push(Command::SendDigits { session, digits });
                }
                Todo::Say(clip) => {
                    line.plays += 1;
                    let (play, clips) = (PlayId(line.plays), vec![clip.clone()]);
                    commands.push(Command::Play {
                        session,
                        play,
                        clips,
                        repeat: true,
                    });
                }
            }
            line.todo.pop_front();
            if line.todo.is_empty() {
                self.done.push(index);
            }
        }
        for command in commands {
            self.feed(Input::Command(command));
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        self.worker.handle(self.clock.now(), input);
        while let Some(output) = self.worker.poll() {
            match output {
                Output::Send {
                    session,
                    channel,
                    to,
                    packet,
                } => {
                    let line = &self.lines[session.0 as usize];
                    let socket = match channel {
                        Channel::Rtp => &line.rtp,
                        Channel::Rtcp => &line.rtcp,
                    };
                    // What the system drops is lost, as on any network.
                    drop(socket.send_to(packet.as_bytes(), to));
                }
                Output::SendThrough { .. } | Output::Recording { .. } | Output::Event(_) => {}
            }
        }
    }
}

fn todo(step: &Step, codec: Codec) -> Todo {
    match step {
        Step::Begin(prompts) => Todo::Await(
            prompts
                .iter()
                .map(|it| encoded(codec, it.opening()))
                .collect(),
        ),
        Step::Hear(prompts) => Todo::Await(
            prompts
                .iter()
                .map(|it| encoded(codec, it.ending()))
                .collect(),
        ),
        Step::Press(key) => Todo::Press(*key),
        Step::Say(prompt) => Todo::Say(Clip::new(prompt.name(), prompt.samples())),
    }
}

/// Two free ports in a row on loopback, the first even (RFC 3550 §11).
fn ports() -> anyhow::Result<(UdpSocket, UdpSocket)> {
    let bind = |port| UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    for _ in 0..PORT_TRIES {
        let rtp = bind(0).context("a port on loopback")?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 0
            && let Ok(rtcp) = bind(port + 1)
        {
            return Ok((rtp, rtcp));
        }
    }
    bail!("no two free ports in a row on loopback")
}
