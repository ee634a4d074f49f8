//! The machine that owns many sessions: one runs on each media thread.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use vocab::recording::SegmentEnd;
use vocab::{ConferenceId, Mono, Now, RecordingId, Rng, SessionId, Wall};

use crate::rate::Frame;
use crate::session::{Kind, Link, Session, Step};
use crate::webrtc::{Path, Ways};
use crate::{Channel, Command, Event, Stats};

mod browsers;
mod conference;
mod link;
mod packet;
mod sessions;
mod talker;
mod tick;

use browsers::Browsers;
use conference::Conference;
pub use packet::Packet;
use sessions::Sessions;

/// Longest datagram taken: what Ethernet carries (1,500 bytes) and no more.
const DATAGRAM_BYTES_MAX: usize = 1_500;

/// [`TICK`] in nanoseconds.
const TICK_NS: u64 = 20_000_000;

/// Settings of a [`Worker`].
#[derive(Clone, Debug)]
pub struct Config {
    /// A session that receives nothing for this long although media was agreed is reported with
    /// [`Event::Inactive`]. Default 30 s: longer than any silence suppression with comfort noise,
    /// short enough to free the lines of a phone that lost its network.
    pub inactive_after: Duration,
    /// Most sessions at once; an [`Command::Open`] beyond it is answered with [`Event::Closed`].
    /// Default 4,096, at 20 KB each.
    pub sessions_max: usize,
    /// How browsers come to the worker. Default not at all.
    pub webrtc: Option<Ways>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inactive_after: Duration::from_secs(30),
            sessions_max: 4_096,
            webrtc: None,
        }
    }
}

/// What a [`Worker`] is fed.
#[derive(Debug)]
pub enum Input<'a> {
    /// The engine wants something.
    Command(Command),
    /// A datagram arrived on a session's socket.
    Packet {
        /// Whose socket.
        session: SessionId,
        /// Which of its two.
        channel: Channel,
        /// Who sent it.
        from: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// A datagram arrived on a socket that browsers come to.
    Door {
        /// Which, and who sent it.
        from: Path,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// [`Worker::deadline`] has come.
    Tick,
}

/// What a [`Worker`] asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a datagram from a session's socket.
    Send {
        /// Whose socket.
        session: SessionId,
        /// Which of its two.
        channel: Channel,
        /// The receiver.
        to: SocketAddr,
        /// The datagram.
        packet: Packet,
    },
    /// Send a datagram through a socket that browsers come to.
    SendThrough {
        /// Which, and the receiver.
        to: Path,
        /// The datagram.
        packet: Packet,
    },
    /// Audio of a recording, in order.
    Recording {
        /// Which.
        recording: RecordingId,
        /// The next of it.
        what: RecordingOutput,
    },
    /// Tell the engine.
    Event(Event),
}

/// One step of a recording: a start, any number of chunks, an end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordingOutput {
    /// It begins.
    Start {
        /// 1: what is received. 2: left that, right what is sent.
        channels: u16,
        /// When its first sample was heard.
        at: Wall,
    },
    /// More audio at 8,000 frames a second, interleaved: about 8,000 samples, and where nothing was
    /// received for a while up to 4 s.
    Samples(Box<[i16]>),
    /// It is complete. Comes before the event that reports it.
    End {
        /// Why.
        end: SegmentEnd,
        /// How long it went on by the clock: what its samples should last.
        lasting: Duration,
    },
}

/// What a [`Worker`] has done since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Sessions open now.
    pub sessions: usize,
    /// RTP packets received, whatever became of them.
    pub packets_in: u64,
    /// RTP packets handed out to be sent.
    pub packets_out: u64,
    /// RTP packets not used: malformed, of a wrong source or payload type, twice, or too late.
    pub dropped: u64,
    /// RTP packets handed out over 20 ms after they were due.
    pub late_packets: u64,
    /// Of those dropped, the ones that were to be secured and are not from the far end, or were sent
    /// again.
    pub unauthentic: u64,
    /// Ticks done over 20 ms after they were due.
    pub late_ticks: u64,
    /// Ticks left out because the shell was too late to catch up.
    pub skipped_ticks: u64,
    /// Sessions closed because a step of theirs panicked: a bug each.
    pub failed: u64,
    /// Commands and packets for sessions that are not there, and commands that were refused.
    pub refused: u64,
    /// Datagrams to doors from whom nobody knows, or that are of no use.
    pub strangers: u64,
}

/// Many media sessions under one 20 ms clock.
///
/// The clock runs while there is a session, on multiples of 20 ms of [`Now::mono`]. At each tick
/// every session plays 20 ms out of its jitter buffer and sends 20 ms, silence if nothing else.
/// A shell that is late catches up, tick by tick, for up to 200 ms; time beyond that is left out,
/// but for recordings, which keep what was received in up to 6 s of it. It reads its sockets before
/// it feeds [`Input::Tick`]: to the ticks it makes up for, what is still in a socket has not come.
///
/// # Rules
/// - Media is sent from the first [`Command::Configure`] on, if the far end wants any. Playbacks
///   wait for it; from then on they run even while the far end receives nothing (on hold).
/// - While keys are sent, playbacks pause and the audio of a bridge is muted.
/// - The audio of bridged sessions is mixed with what is played to them, at the rate of the one that
///   hears it. If both sides have the same formats and nothing is played, recorded or dialed, and but for G.711 nothing listened for, packets go through as they come, with
///   only the header rewritten; their keys are still reported, but tones are not listened for.
/// - How loud a session is to those it talks with, and they to it, is its [`Part`](crate::Part): it stays the same
///   from one bridge or conference to the next.
/// - A beep is mixed with what else a session is sent, and lasts as long as it does.
/// - Of one that is screened the others hear no keys, neither as tones nor as events; each of them is
///   a beep instead, on bridges and in conferences.
/// - Members of a conference hear the sum of all others, cut off where it is too loud, mixed with
///   what is played to them. Two of them hear what they would hear on a bridge. Keys are reported,
///   as events or as tones; events are sent on to whom the part of the one who presses names. Who of them is talking is reported, and who is heard most.
/// - A step of a session that panics closes that session alone: [`Event::Closed`] without a
///   command, counted in [`Counts::failed`].
/// - Media is sent to where valid media comes from. The first source is kept; another one is let
///   in after 3 s without the first, or at once in the first 5 s if it is the negotiated host.
/// - Where keys were agreed, what is not encrypted with them is dropped before anything else is made
///   of it: a stranger's packet does not even keep a session from being inactive.
/// - A key counts once: heard as an event and as a tone within 700 ms, it is one press. Tones are
///   listened for until the first event.
/// - A session has at most one recording of each kind; a second of a kind ends the first.
///   [`Command::StopRecording`] ends that of a call as well. [`Event::Recorded`] is for messages;
///   the silence that ends a message stays in it, and counts from its beginning. What comes up to
///   3 s too late to be heard is recorded all the same, in place of the silence it left.
/// - What was settled with a browser takes effect once it is found and keys are made: until then nothing
///   is played, and what comes is dropped. [`Event::Cut`] tells that it comes to nothing, or is over.
/// - Commands for a session that is not there do nothing. An [`Command::Open`] that is refused
///   because there are too many sessions is answered with [`Event::Closed`].
#[derive(Debug)]
pub struct Worker {
    config: Config,
    rng: Rng,
    sessions: Sessions,
    /// Those with at least one member.
    conferences: BTreeMap<ConferenceId, Conference>,
    next_tick: Option<Mono>,
    counts: Counts,
    out: VecDeque<Output>,
    /// Frames that a tick writes over; kept so that it does not make them.
    scratch: Box<[Frame; 4]>,
    /// Where a datagram is decrypted.
    plain: Vec<u8>,
    browsers: Browsers,
}

impl Worker {
    /// A worker without sessions.
    pub fn new(config: Config, rng: Rng) -> Self {
        Self {
            config,
            rng,
            browsers: Browsers::default(),
            sessions: Sessions::default(),
            conferences: BTreeMap::new(),
            next_tick: None,
            counts: Counts::default(),
            out: VecDeque::new(),
            scratch: Box::default(),
            plain: vec![0; DATAGRAM_BYTES_MAX],
        }
    }

    /// Feeds one input. The caller drains [`Self::poll`] to `None` before the next call.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(
            self.out.is_empty(),
            "the caller drains poll before the next input"
        );
        match input {
            Input::Command(command) => self.command(now, command),
            Input::Packet {
                session,
                channel,
                from,
                bytes,
            } => {
                self.packet(now, session, channel, Some(from), bytes);
            }
            Input::Door { from, bytes } => self.door(now, from, bytes),
            Input::Tick => self.ticks(now),
        }
        self.counts.sessions = self.sessions.len();
        if self.sessions.is_empty() {
            self.next_tick = None;
        }
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Tick`] is next due: every 20 ms while there is a session.
    pub fn deadline(&self) -> Option<Mono> {
        self.next_tick
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What went over a session so far.
    pub fn stats(&self, session: SessionId) -> Option<Stats> {
        self.sessions
            .place(session)
            .map(|place| self.sessions.at(place).stats())
    }

    /// The time from a session to its far end and back, once reports told (RFC 3550 §6.4.1).
    pub fn round_trip(&self, session: SessionId) -> Option<Duration> {
        self.sessions
            .place(session)
            .and_then(|place| self.sessions.at(place).round_trip())
    }

    fn command(&mut self, now: Now, command: Command) {
        match command {
            Command::Open { session, local } => self.open(now, session, local),
            Command::Configure { session, params } => {
                self.configure(now, session, params);
                // What went through may not any more.
                let place = self.sessions.place(session);
                if let Some(Link::Bridge(other)) = place.map(|it| self.sessions.at(it).link()) {
                    self.refresh_through(session, other);
                }
            }
            Command::Play {
                session,
                play,
                clips,
                repeat,
            } => {
                self.step(now, session, |it, step| it.play(step, play, clips, repeat));
            }
            Command::Stop { session, play } => {
                self.step(now, session, |it, step| it.stop(step, play));
            }
            Command::SendDigits { session, digits } => {
                self.step(now, session, |it, step| {
                    digits.reveal().chars().for_each(|key| it.dial(step, key));
                });
            }
            Command::RecordMessage {
                session,
                recording,
                max,
                silence,
            } => {
                self.step(now, session, |it, step| {
                    it.record_message(step, recording, max, silence);
                });
            }
            Command::RecordCall {
                session,
                recording,
                channels,
            } => {
                self.step(now, session, |it, step| {
                    it.record_call(step, recording, channels);
                });
            }
            Command::EndRecording { session, end } => {
                self.step(now, session, |it, step| it.end_call_recording(step, end));
            }
            Command::StopRecording {
                session,
                recording,
                end,
            } => {
                self.step(now, session, |it, step| {
                    it.stop_recording(step, recording, end)
                });
            }
            Command::Bridge { a, b } => self.bridge(now, a, b),
            Command::Join {
                session,
                conference,
            } => self.join(now, session, conference),
            Command::SetPart { session, part } => self.set_part(now, session, part),
            Command::Beep { session, beep } => self.beep(now, session, beep),
            Command::Listen { session, listening } => {
                self.step(now, session, |it, _| it.listen_for(listening));
            }
            Command::Unbridge { session } => self.unbridge(session),
            Command::Close { session } => self.close(now, session),
        }
    }

    fn open(&mut self, now: Now, session: SessionId, local: SocketAddr) {
        if self.sessions.len() >= self.config.sessions_max {
            self.counts.refused += 1;
            let stats = Stats::default();
            self.out.push_back(Output::Event(Event::Closed {
                session,
                local,
                stats,
            }));
            return;
        }
        let opened = Session::new(local, self.config.inactive_after, self.rng.fork());
        if !self.sessions.insert(session, opened) {
            self.counts.refused += 1;
        }
        if self.next_tick.is_none() {
            self.next_tick = Some(Mono((now.mono.0 / TICK_NS + 1) * TICK_NS));
        }
    }

    /// Does something with one session, outside the ticks.
    fn step<T>(
        &mut self,
        now: Now,
        id: SessionId,
        action: impl FnOnce(&mut Session, &mut Step<'_>) -> T,
    ) -> Option<T> {
        let Some(place) = self.sessions.place(id) else {
            self.counts.refused += 1;
            return None;
        };
        let due = self.next_tick.unwrap_or(now.mono).max(now.mono);
        let left_out = self.left_out(now);
        let session = self.sessions.at_mut(place);
        let mut step = Step::new(now, due, id, &mut self.out, &mut self.counts);
        step.left_out = left_out;
        let done = guarded(|| action(session, &mut step));
        if done.is_none() {
            self.fail(now, id);
        }
        done
    }

    fn close(&mut self, now: Now, id: SessionId) {
        if self.step(now, id, |it, step| it.close(step)).is_some() {
            self.remove(id);
        }
    }

    /// A step panicked: the session ends, and as much as still works is brought to its end.
    fn fail(&mut self, now: Now, id: SessionId) {
        self.counts.failed += 1;
        let Some(place) = self.sessions.place(id) else {
            return;
        };
        let session = self.sessions.at_mut(place);
        let due = now.mono;
        let mut step = Step::new(now, due, id, &mut self.out, &mut self.counts);
        // A second panic leaves recordings without an end; the port is given back all the same.
        let _ = guarded(|| session.close(&mut step));
        self.remove(id);
    }

    fn remove(&mut self, id: SessionId) {
        let Some(place) = self.sessions.place(id) else {
            return;
        };
        self.unlink(id, self.sessions.at(place).link());
        self.forget_browser(id);
        let session = self.sessions.remove(place);
        let (local, stats) = (session.local(), session.stats());
        self.out.push_back(Output::Event(Event::Closed {
            session: id,
            local,
            stats,
        }));
    }

    /// A datagram of media. Where it comes from is not asked of browsers.
    fn packet(
        &mut self,
        now: Now,
        id: SessionId,
        channel: Channel,
        from: Option<SocketAddr>,
        bytes: &[u8],
    ) {
        if channel == Channel::Rtp {
            self.counts.packets_in += 1;
        }
        let mut plain = std::mem::take(&mut self.plain);
        let opened = self.step(now, id, |it, step| {
            it.open(step, channel, bytes, &mut plain)
        });
        if let Some(Some(bytes)) = opened {
            self.opened(now, id, channel, from, bytes);
        }
        self.plain = plain;
    }

    /// A datagram that nothing speaks against.
    fn opened(
        &mut self,
        now: Now,
        id: SessionId,
        channel: Channel,
        from: Option<SocketAddr>,
        bytes: &[u8],
    ) {
        let received = self.step(now, id, |it, step| it.receive(step, channel, from, bytes));
        let Some(Some(received)) = received else {
            return;
        };
        let Some(place) = self.sessions.place(id) else {
            return;
        };
        let session = self.sessions.at(place);
        if session.voice().is_screened() && received.kind != Kind::Audio {
            return;
        }
        match (session.link(), session.voice().keys_to(), received.kind) {
            (Link::Bridge(other), _, _) => {
                self.step(now, other, |it, step| it.relay(step, received));
            }
            // One who left since is no reason to count a refusal.
            (Link::Conference(_), Some(other), Kind::Event(Some(key)))
                if self.sessions.place(other).is_some() =>
            {
                self.step(now, other, |it, step| it.dial(step, key));
            }
            (Link::Conference(_) | Link::Nobody, _, _) => {}
        }
    }
}

/// Runs one step of one session; `None` if it panicked.
///
/// The session is closed then and nothing else of it is used, so what the panic left half done
/// does no harm.
fn guarded<T>(step: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(step)).ok()
}

#[cfg(test)]
mod tests;
