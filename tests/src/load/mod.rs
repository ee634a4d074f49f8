//! A load generator: many calls at a rate or at a time, on `sip::Endpoint`, with audio or without.
//!
//! One thread and no reactor: a turn every half millisecond takes what has arrived and sends what
//! is due. A call follows a [`Script`]; what became of it is counted in a [`Tally`]. With audio
//! each call sends and receives a packet every 20 ms, and each received one is judged by when it
//! came.

// It is a shell of its own: clocks and waits are its business.
#![allow(clippy::disallowed_methods)]

mod audio;
pub mod browsers;
mod carrier;
pub mod failover;
mod script;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use server::clock::Clock;
use server::net::batch::{self, Receiver};
use sip::{
    Action, Config, Credentials, DialogId, End, Endpoint, Event, Hop, Input, Output, Transport,
};
use vocab::{Mono, Now, Pii, Rng};

use self::audio::{Audio, StreamId};
pub use self::carrier::{Carrier, Seen};
pub use self::script::{Act, Script};
pub use self::tally::{Packets, Tally};

/// Length of a turn.
const TURN: Duration = Duration::from_micros(500);

/// Datagrams taken in one system call, and the largest.
const DATAGRAMS: usize = 64;
const DATAGRAM_BYTES: usize = 4_096;

/// Least share of the packets of a call's time that it must have received, or it failed: nobody
/// heard anything otherwise.
const HEARD_MIN: f64 = 0.8;

/// How many calls there are to be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Goal {
    /// No new ones.
    Nothing,
    /// So many new ones a second.
    Rate(f64),
    /// So many at a time: each that ends is replaced.
    Live {
        /// How many.
        calls: usize,
        /// Most new ones a second.
        rate_max: f64,
    },
}

/// The generator.
pub struct Load {
    clock: Clock,
    rng: Rng,
    server: SocketAddr,
    script: Script,
    socket: UdpSocket,
    /// Away only while its datagrams are fed.
    receiver: Option<Receiver>,
    endpoint: Endpoint,
    datagrams: Vec<(SocketAddr, Arc<[u8]>)>,
    calls: BTreeMap<DialogId, Call>,
    /// When a call's next act is due, or its patience ends.
    agenda: BTreeSet<(Mono, DialogId)>,
    audio: Option<Audio>,
    /// Where calls without audio want theirs sent, and nobody looks.
    sink: UdpSocket,
    goal: Goal,
    /// New calls that are due, with their fraction.
    owed: f64,
    owed_at: Mono,
    next_number: u64,
    tally: Tally,
}

struct Call {
    begun: Mono,
    /// On the agenda.
    due: Mono,
    state: State,
}

enum State {
    Calling,
    Up {
        since: Mono,
        acts_done: usize,
        stream: Option<StreamId>,
    },
}

impl Load {
    /// A generator for calls to a server on this machine.
    ///
    /// # Errors
    /// If it gets no sockets.
    pub fn new(server: SocketAddr, script: Script) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        roomy(&socket);
        let address = socket.local_addr()?;
        let config = Config {
            realm: "load".into(),
            ..Config::new(address, address, [9; 32])
        };
        let mut rng = Rng::from_u64(u64::from(std::process::id()));
        let audio = script
            .audio
            .as_ref()
            .map(|samples| Audio::new(samples))
            .transpose()?;
        Ok(Self {
            clock: Clock::start(),
            server,
            script,
            endpoint: Endpoint::new(config, rng.fork()),
            rng,
            socket,
            receiver: Some(Receiver::new(DATAGRAMS, DATAGRAM_BYTES)),
            datagrams: Vec::new(),
            calls: BTreeMap::new(),
            agenda: BTreeSet::new(),
            audio,
            sink: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            goal: Goal::Nothing,
            owed: 0.0,
            owed_at: Mono(0),
            next_number: 0,
            tally: Tally::default(),
        })
    }

    /// Sets how many calls there are to be from now on.
    pub fn set_goal(&mut self, goal: Goal) {
        self.goal = goal;
        self.owed = 0.0;
        self.owed_at = self.clock.now().mono;
    }

    /// Its clock.
    pub fn now(&self) -> Mono {
        self.clock.now().mono
    }

    /// Calls that are up or being set up.
    pub fn live(&self) -> usize {
        self.calls.len()
    }

    /// What was counted since the last time.
    pub fn take_tally(&mut self) -> Tally {
        let mut tally = std::mem::take(&mut self.tally);
        if let Some(audio) = &mut self.audio {
            tally.packets = audio.take_tally();
        }
        tally
    }

    /// Goes on for this long.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.clock.now().mono + time;
        while self.clock.now().mono < end {
            self.turn();
        }
    }

    /// Goes on until no call is left, but no longer than this. Calls that are left then have
    /// failed and are forgotten.
    pub fn run_until_idle(&mut self, patience: Duration) {
        let end = self.clock.now().mono + patience;
        while !self.calls.is_empty() && self.clock.now().mono < end {
            self.turn();
        }
        for dialog in self.calls.keys().copied().collect::<Vec<_>>() {
            self.finish(dialog, Err("it never ended"));
            self.feed(Input::Action(Action::Hangup {
                dialog,
                reason: None,
            }));
        }
        self.flush();
    }

    /// Forgets its past transactions as well, so that nothing of the calls so far is sent any more.
    ///
    /// # Errors
    /// If it gets no socket.
    pub fn start_over(&mut self) -> anyhow::Result<()> {
        ensure!(self.calls.is_empty(), "calls are still up");
        self.socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        roomy(&self.socket);
        let address = self.socket.local_addr()?;
        let config = Config {
            realm: "load".into(),
            ..Config::new(address, address, [9; 32])
        };
        self.endpoint = Endpoint::new(config, self.rng.fork());
        Ok(())
    }

    fn turn(&mut self) {
        let begun = Instant::now();
        self.receive();
        if let Some(audio) = &mut self.audio {
            audio.receive(&self.clock);
            audio.send(self.clock.now().mono);
        }
        self.due();
        self.new_calls();
        if self
            .endpoint
            .deadline()
            .is_some_and(|at| at <= self.clock.now().mono)
        {
            self.feed(Input::Timeout);
        }
        self.flush();
        let left = TURN.saturating_sub(begun.elapsed());
        if !left.is_zero() {
            std::thread::sleep(left);
        }
    }

    fn receive(&mut self) {
        let mut receiver = self.receiver.take().expect("invariant: put back below");
        for _ in 0..8 {
            // An ICMP error of an earlier datagram is no reason to stop.
            if receiver.receive(&self.socket).unwrap_or(0) == 0 {
                break;
            }
            for (remote, bytes) in receiver.iter() {
                self.feed(Input::Datagram { remote, bytes });
            }
        }
        self.receiver = Some(receiver);
    }

    fn flush(&mut self) {
        if !self.datagrams.is_empty() {
            batch::send(&self.socket, &self.datagrams);
            self.datagrams.clear();
        }
    }

    /// Feeds the endpoint, and does what follows from what it says.
    fn feed(&mut self, input: Input<'_>) {
        let now = self.clock.now();
        self.endpoint.handle(now, input);
        let mut actions = Vec::new();
        loop {
            while let Some(output) = self.endpoint.poll() {
                match output {
                    Output::Transmit { hop, bytes } => self.datagrams.push((hop.remote, bytes)),
                    Output::CloseStream { .. } => {}
                    Output::Event(event) => actions.extend(self.event(now, event)),
                }
            }
            let Some(action) = actions.pop() else { return };
            self.endpoint.handle(now, Input::Action(action));
        }
    }

    fn event(&mut self, now: Now, event: Event) -> Option<Action> {
        match event {
            Event::Answered { dialog, body } => return self.answered(now, dialog, &body),
            Event::Failed { dialog, status, .. } => {
                let why = match status {
                    Some(503) => "503",
                    Some(_) => "refused",
                    None => "no answer",
                };
                self.finish(dialog, Err(why));
            }
            Event::Ended { dialog, why, .. } => self.ended(dialog, why),
            Event::Incoming { .. }
            | Event::Cancelled { .. }
            | Event::Progress { .. }
            | Event::Confirmed { .. }
            | Event::Reoffer { .. }
            | Event::Info { .. }
            | Event::Trying { .. }
            | Event::Reanswered { .. }
            | Event::Refused { .. }
            | Event::Refer { .. }
            | Event::ReferProgress { .. }
            | Event::ReferAnswered { .. }
            | Event::Response { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. }
            | Event::Banned { .. } => {}
        }
        None
    }

    fn answered(&mut self, now: Now, dialog: DialogId, body: &[u8]) -> Option<Action> {
        let call = self.calls.get_mut(&dialog)?;
        let wait = now.mono.since(call.begun);
        self.tally.answered += 1;
        self.tally.waits_ms.push(wait.as_secs_f64() * 1e3);
        let stream = match &mut self.audio {
            None => None,
            Some(audio) => match audio_port(body) {
                Some(port) => {
                    let far = SocketAddr::new(self.server.ip(), port);
                    Some(audio.open(now.mono, dialog.0, far))
                }
                None => {
                    self.finish(dialog, Err("an answer without audio"));
                    return Some(Action::Hangup {
                        dialog,
                        reason: None,
                    });
                }
            },
        };
        let acts_done = 0;
        call.state = State::Up {
            since: now.mono,
            acts_done,
            stream,
        };
        self.schedule(dialog);
        // A script may begin with what is due at once.
        self.act(now, dialog)
    }

    fn ended(&mut self, dialog: DialogId, why: End) {
        let Some(call) = self.calls.get(&dialog) else {
            return;
        };
        let acts_done = match &call.state {
            State::Calling => 0,
            State::Up { acts_done, .. } => *acts_done,
        };
        let complete = acts_done == self.script.acts.len();
        let result = match why {
            End::Ours if complete => Ok(()),
            End::Theirs if complete && self.script.far_end_hangs_up() => Ok(()),
            End::Ours => Err("it never ended"),
            End::Theirs => Err("hung up too early"),
            End::NoAck | End::Lost => Err("lost"),
        };
        self.finish(dialog, result);
    }

    /// Counts a call and forgets it.
    fn finish(&mut self, dialog: DialogId, result: Result<(), &'static str>) {
        let Some(call) = self.calls.remove(&dialog) else {
            return;
        };
        self.agenda.remove(&(call.due, dialog));
        let mut result = result;
        if let State::Up {
            since,
            stream: Some(stream),
            ..
        } = call.state
            && let Some(audio) = &mut self.audio
        {
            let heard = audio.close(stream);
            let time = self.clock.now().mono.since(since);
            let expected = (time.as_secs_f64() / 0.02 - 10.0).max(0.0);
            if result.is_ok() && (heard as f64) < expected * HEARD_MIN {
                result = Err("too little audio");
            }
        }
        match result {
            Ok(()) => self.tally.ended += 1,
            Err(why) => *self.tally.failed.entry(why).or_default() += 1,
        }
    }

    /// Puts the next act, or the end of patience, on the agenda.
    fn schedule(&mut self, dialog: DialogId) {
        let Some(call) = self.calls.get_mut(&dialog) else {
            return;
        };
        self.agenda.remove(&(call.due, dialog));
        call.due = match &call.state {
            State::Calling => call.begun + self.script.patience,
            State::Up {
                since, acts_done, ..
            } => match self.script.acts.get(*acts_done) {
                Some((after, _)) => *since + *after,
                None => *since + self.script.patience,
            },
        };
        self.agenda.insert((call.due, dialog));
    }

    fn due(&mut self) {
        let now = self.clock.now();
        while let Some(&(at, dialog)) = self.agenda.first() {
            if at > now.mono {
                return;
            }
            self.agenda.pop_first();
            if let Some(action) = self.act(now, dialog) {
                self.feed(Input::Action(action));
            }
        }
    }

    /// Does what is due in a call.
    fn act(&mut self, now: Now, dialog: DialogId) -> Option<Action> {
        let call = self.calls.get_mut(&dialog)?;
        if call.due > now.mono {
            return None;
        }
        let hang_up = Some(Action::Hangup {
            dialog,
            reason: None,
        });
        let State::Up {
            acts_done, stream, ..
        } = &mut call.state
        else {
            // Not answered within its patience.
            self.finish(dialog, Err("no answer"));
            return hang_up;
        };
        let Some(&(_, act)) = self.script.acts.get(*acts_done) else {
            self.finish(dialog, Err("it never ended"));
            return hang_up;
        };
        *acts_done += 1;
        match act {
            Act::HangUp => hang_up,
            Act::Press(key) => {
                if let (Some(audio), Some(stream)) = (&mut self.audio, *stream) {
                    audio.press(stream, key);
                }
                self.schedule(dialog);
                None
            }
        }
    }

    fn new_calls(&mut self) {
        let now = self.clock.now();
        let passed = now.mono.since(self.owed_at).as_secs_f64();
        self.owed_at = now.mono;
        let wanted = match self.goal {
            Goal::Nothing => return,
            Goal::Rate(rate) => {
                self.owed += rate * passed;
                self.owed
            }
            Goal::Live { calls, rate_max } => {
                let missing = calls.saturating_sub(self.calls.len()) as f64;
                self.owed = (self.owed + rate_max * passed).min(missing);
                self.owed
            }
        };
        for _ in 0..wanted as usize {
            self.owed -= 1.0;
            self.call(now);
        }
    }

    fn call(&mut self, now: Now) {
        let dialog = self.endpoint.allocate();
        self.next_number += 1;
        self.tally.started += 1;
        let port = match &mut self.audio {
            Some(audio) => Ok(audio.port_for(dialog.0)),
            None => self.sink.local_addr().map(|address| address.port()),
        };
        let port = port.expect("invariant: the sink is bound");
        let server = self.server;
        let uri = format!("sip:{}@{server}", self.script.number);
        let invite = Action::Invite {
            dialog,
            to: format!("<{uri}>"),
            uri,
            hop: Hop {
                transport: Transport::Udp,
                remote: server,
                conn: None,
            },
            from: match self.script.user {
                Some((user, _)) => format!("<sip:{user}@{server}>"),
                None => format!("<sip:load{}@{server}>", self.next_number),
            },
            headers: Vec::new(),
            body: offer(port),
            credentials: self.script.user.map(|(user, password)| Credentials {
                user: user.to_owned(),
                password: Pii::new(password.to_owned()),
            }),
        };
        let call = Call {
            begun: now.mono,
            due: now.mono,
            state: State::Calling,
        };
        self.calls.insert(dialog, call);
        self.schedule(dialog);
        self.feed(Input::Action(invite));
    }
}

/// A large buffer, where the system gives one: everything waits here while others run.
fn roomy(socket: &UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    drop(socket.set_recv_buffer_size(4 << 20));
    drop(socket.set_send_buffer_size(4 << 20));
}

fn offer(port: u16) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    .into_bytes()
}

/// The port of an answer's audio.
fn audio_port(body: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(body).ok()?;
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))?;
    rest.split(' ')
        .next()?
        .parse()
        .ok()
        .filter(|port| *port != 0)
}

/// Samples of a prompt, to be what callers say.
///
/// # Errors
/// If the file cannot be read.
pub fn voice(path: &std::path::Path) -> anyhow::Result<Arc<[i16]>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(media::wav::read(&bytes).context("a WAV file")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_where_its_audio_is() {
        assert_eq!(audio_port(&offer(4_002)), Some(4_002));
        assert_eq!(audio_port(b"v=0\r\nm=audio 0 RTP/AVP 0\r\n"), None);
        assert_eq!(audio_port(b""), None);
    }
}
