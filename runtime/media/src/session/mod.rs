//! One session: what it receives, hears, says and sends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use vocab::call::RecordEnd;
use vocab::hearing::Listening;
use vocab::recording::SegmentEnd;
use vocab::{Clip, Mono, Now, PlayId, RecordingId, Rng, SessionId};

use crate::jitter::Heard;
use crate::limits::CLIPS_MAX;
use crate::part::Voice;
use crate::player::{Filled, Player};
use crate::rate::{FRAME, Frame, Narrow, Rate};
use crate::rtp::{Header, is_rtcp};
use crate::tone::Tone;
use crate::webrtc::{Path, Ways};
use crate::worker::{Counts, Output, Packet, RecordingOutput};
use crate::{Channel, Event, EventFormat, Stats, StreamParams, Way, g711, quality, srtp};

mod browser;
mod convert;
mod dialing;
mod ear;
mod inbound;
mod latch;
mod link;
mod outbound;
mod presses;
mod reception;
mod recording;
mod reports;

use browser::Browser;
pub(crate) use browser::News;
pub(crate) use convert::Converter;
use dialing::{Dialed, Dialing};
use ear::Ear;
pub(crate) use inbound::Kind;
pub(crate) use inbound::Received;
use inbound::{Inbound, Use};
pub(crate) use link::Link;
use outbound::Outbound;
use recording::Recorders;
use reports::Reports;

/// Ticks without a packet that goes through after which there is silence: more than jitter mostly is.
const EAR_PATIENCE: u8 = 3;

/// Time of one tick.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// Nanoseconds of one sample.
const SAMPLE_NS: u128 = 125_000;

/// Where a datagram is sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum To {
    /// From the session's own port.
    Port(SocketAddr),
    /// Through one that browsers come to.
    Door(Path),
}

/// What a step of a session is given, and where it leaves what it asks for.
pub(crate) struct Step<'a> {
    /// The moment.
    pub(crate) now: Now,
    /// In a tick, when that was due; else when the next one is.
    pub(crate) due: Mono,
    /// The session whose step it is.
    pub(crate) id: SessionId,
    /// What it asks for.
    pub(crate) out: &'a mut VecDeque<Output>,
    /// What is counted.
    pub(crate) counts: &'a mut Counts,
    /// Ticks that the next [`crate::Input::Tick`] leaves out, if it comes now.
    pub(crate) left_out: u64,
}

impl<'a> Step<'a> {
    pub(crate) fn new(
        now: Now,
        due: Mono,
        id: SessionId,
        out: &'a mut VecDeque<Output>,
        counts: &'a mut Counts,
    ) -> Self {
        Self {
            now,
            due,
            id,
            out,
            counts,
            left_out: 0,
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn recording(&mut self, recording: RecordingId, what: RecordingOutput) {
        self.out.push_back(Output::Recording { recording, what });
    }

    /// Sends media, unless the far end gave an address that is none, as some do on hold (RFC 3264
    /// §8.4).
    fn send(&mut self, to: To, packet: Packet) {
        if let To::Port(to) = to
            && is_nowhere(to)
        {
            return;
        }
        self.counts.packets_out += 1;
        self.counts.late_packets += u64::from(self.now.mono.since(self.due) > TICK);
        self.send_report(Channel::Rtp, to, packet);
    }

    /// Sends a report, under the same condition.
    fn send_report(&mut self, channel: Channel, to: To, packet: Packet) {
        self.out.push_back(match to {
            To::Port(to) if is_nowhere(to) => return,
            To::Port(to) => Output::Send {
                session: self.id,
                channel,
                to,
                packet,
            },
            To::Door(to) => Output::SendThrough { to, packet },
        });
    }

    /// Samples' time until the next tick, up to 160.
    fn until_tick(&self) -> u32 {
        let samples = self.due.since(self.now.mono).as_nanos() / SAMPLE_NS;
        u32::try_from(samples).map_or(FRAME as u32, |samples| samples.min(FRAME as u32))
    }
}

fn is_nowhere(to: SocketAddr) -> bool {
    to.ip().is_unspecified() || to.port() == 0
}

/// One session: about 4 KB, 6 to 60 KB for what it receives and sends by its codecs once there is
/// any, and 16 KB for each recording.
#[derive(Debug)]
pub(crate) struct Session {
    local: SocketAddr,
    inactive_after: Duration,
    rng: Rng,
    stream: Option<Stream>,
    /// The way to the far end, if that is a browser.
    browser: Option<Box<Browser>>,
    player: Player,
    dialing: Dialing,
    /// A tone that is mixed with all else that is sent.
    beep: Option<Tone>,
    /// Ticks that were left out while a tone was sent, which the stream's clock has yet to make.
    owed: u32,
    recorders: Recorders,
    ear: Ear,
    /// Ticks since packets that went through were last listened to.
    ear_dry: u8,
    /// What is played here and what others say, brought to the rate of the session.
    near: Converter,
    far: Converter,
    link: Link,
    /// How loud it is to those it talks with, and they to it.
    voice: Voice,
    /// Packets go through to the other side of the bridge as they come.
    through: bool,
    /// A test has planted a bug here.
    #[cfg(test)]
    pub(crate) fault: bool,
}

/// What begins with the first [`crate::Command::Configure`].
#[derive(Debug)]
struct Stream {
    params: StreamParams,
    /// Where the far end is, if that is a browser.
    path: Option<Path>,
    /// Opens what is received.
    guard: Option<Box<srtp::Receiver>>,
    inbound: Inbound,
    outbound: Outbound,
    reports: Reports,
}

impl Stream {
    /// Where media is sent.
    fn to(&self) -> To {
        match self.path {
            Some(path) => To::Door(path),
            None => To::Port(self.source()),
        }
    }

    fn source(&self) -> SocketAddr {
        self.inbound.source().unwrap_or(self.params.remote_rtp)
    }

    /// Where reports are sent: to where they come from; else to where they were negotiated, or,
    /// if media comes from another host than negotiated, to the port above that.
    fn reports_to(&self) -> SocketAddr {
        let source = self
            .inbound
            .source()
            .filter(|at| at.ip() != self.params.remote_rtp.ip());
        self.reports.source().unwrap_or_else(|| match source {
            Some(at) => SocketAddr::new(at.ip(), at.port().saturating_add(1)),
            None => self.params.remote_rtcp,
        })
    }

    fn report(&mut self, step: &mut Step<'_>, goodbye: bool) {
        let reception = self.inbound.reception();
        let packet = self
            .reports
            .write(step.now, &mut self.outbound, reception, goodbye);
        let Some(packet) = packet else {
            return;
        };
        if self.params.rtcp_mux {
            step.send_report(Channel::Rtp, self.to(), packet);
        } else {
            step.send_report(Channel::Rtcp, To::Port(self.reports_to()), packet);
        }
    }
}

impl Session {
    pub(crate) fn new(local: SocketAddr, inactive_after: Duration, rng: Rng) -> Self {
        Self {
            local,
            inactive_after,
            rng,
            stream: None,
            browser: None,
            player: Player::default(),
            dialing: Dialing::default(),
            beep: None,
            owed: 0,
            recorders: Recorders::default(),
            ear: Ear::default(),
            ear_dry: 0,
            near: Converter::default(),
            far: Converter::default(),
            link: Link::Nobody,
            voice: Voice::default(),
            through: false,
            #[cfg(test)]
            fault: false,
        }
    }

    /// Its RTP port.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// What went over it.
    pub(crate) fn stats(&self) -> Stats {
        let Some(stream) = &self.stream else {
            return Stats::default();
        };
        let (received, lost, dropped, jitter_us) = stream.inbound.counts();
        let round_trip = stream.reports.round_trip();
        let measured = stream.inbound.measured(round_trip);
        Stats {
            sent: stream.outbound.packets(),
            received,
            lost,
            dropped,
            jitter_us,
            late: stream.inbound.late_packets(),
            far_lost: stream.reports.far_lost(),
            round_trip_us: round_trip.and_then(|time| u32::try_from(time.as_micros()).ok()),
            codec: Some(stream.params.codec),
            secured: stream.params.srtp.is_some(),
            mos: measured.map(|measured| (quality::mos(measured) * 100.0).round() as u16),
        }
    }

    /// The time to the far end and back, once reports told.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.stream
            .as_ref()
            .and_then(|stream| stream.reports.round_trip())
    }

    /// Sets or changes what was negotiated. With browsers that waits for their keys.
    pub(crate) fn configure(
        &mut self,
        step: &mut Step<'_>,
        params: StreamParams,
        ways: Option<&Ways>,
    ) {
        if let Some(params) = self.find(step.now.mono, params, ways) {
            self.settle(step.now.mono, params);
        }
    }

    fn settle(&mut self, now: Mono, params: StreamParams) {
        let path = self.browser.as_ref().and_then(|browser| browser.path());
        match &mut self.stream {
            Some(stream) => {
                if stream.params.remote_rtcp != params.remote_rtcp {
                    stream.reports.forget_source();
                }
                stream.inbound.configure(now, &stream.params, &params);
                stream
                    .outbound
                    .configure(&mut self.rng, &stream.params, &params);
                match (&mut stream.guard, &params.srtp) {
                    // The same key changes nothing.
                    (Some(guard), Some(keys)) => guard.rekey(&keys.receive),
                    (None, _) | (_, None) => stream.guard = guard(&params),
                }
                (stream.params, stream.path) = (params, path);
            }
            None => {
                let outbound = Outbound::new(&mut self.rng, &params);
                let reports = Reports::new(now, self.rng.fork());
                let inbound = Inbound::new(now, &params);
                self.stream = Some(Stream {
                    guard: guard(&params),
                    params,
                    path,
                    inbound,
                    outbound,
                    reports,
                });
            }
        }
    }

    pub(crate) fn play(
        &mut self,
        step: &mut Step<'_>,
        play: PlayId,
        clips: Vec<Clip>,
        repeat: bool,
    ) {
        let stopped = if clips.len() > CLIPS_MAX {
            step.counts.refused += 1;
            Some(play)
        } else {
            self.player.play(play, clips, repeat)
        };
        self.stopped(step, stopped);
    }

    pub(crate) fn stop(&mut self, step: &mut Step<'_>, play: PlayId) {
        let stopped = self.player.stop(play).then_some(play);
        self.stopped(step, stopped);
    }

    fn stopped(&mut self, step: &mut Step<'_>, play: Option<PlayId>) {
        if let Some(play) = play {
            step.event(Event::Played {
                session: step.id,
                play,
                finished: false,
            });
        }
    }

    /// Sends a key; what is no key, or too many, is refused.
    pub(crate) fn dial(&mut self, step: &mut Step<'_>, key: char) {
        if !self.dialing.push(key) {
            step.counts.refused += 1;
        }
    }

    /// Ends everything and says goodbye. The worker unlinks it.
    pub(crate) fn close(&mut self, step: &mut Step<'_>) {
        if let Some(stream) = &mut self.stream
            && stream.outbound.packets() > 0
        {
            stream.report(step, true);
        }
        let stopped = self.player.stop_all();
        self.stopped(step, stopped);
        self.end_message(step, RecordEnd::Hangup);
        self.end_call_recording(step, SegmentEnd::Gone);
    }

    /// Opens a datagram that is secured: copies it to `plain`, where it must fit, and gives it
    /// back if it is from the far end and was not here before. Others are given back as they are.
    pub(crate) fn open<'a>(
        &mut self,
        step: &mut Step<'_>,
        channel: Channel,
        bytes: &'a [u8],
        plain: &'a mut [u8],
    ) -> Option<&'a [u8]> {
        let guard = self.stream.as_mut().and_then(|it| it.guard.as_mut());
        let Some(guard) = guard else {
            return Some(bytes);
        };
        let opened = plain.get_mut(..bytes.len()).and_then(|plain| {
            plain.copy_from_slice(bytes);
            let opened = match channel {
                Channel::Rtp if !is_rtcp(bytes) => guard.unprotect(plain),
                Channel::Rtp | Channel::Rtcp => guard.unprotect_rtcp(plain),
            };
            opened.ok()
        });
        if opened.is_none() {
            step.counts.dropped += 1;
            step.counts.unauthentic += 1;
        }
        opened.map(|len| &plain[..len])
    }

    /// Takes a datagram; gives the packet if the other side of a bridge may want it.
    pub(crate) fn receive<'a>(
        &mut self,
        step: &mut Step<'_>,
        channel: Channel,
        from: Option<SocketAddr>,
        bytes: &'a [u8],
    ) -> Option<Received<'a>> {
        #[cfg(test)]
        assert!(!self.fault, "a planted bug");
        let listen = self.listens();
        self.make_room(step);
        let Some(stream) = &mut self.stream else {
            step.counts.dropped += 1;
            return None;
        };
        // A browser has one address for us, whatever way it takes.
        let from = from.unwrap_or(stream.params.remote_rtp);
        match channel {
            Channel::Rtp if !is_rtcp(bytes) => {
                let audio = Use {
                    through: self.through,
                    listen,
                    recorders: &mut self.recorders,
                };
                let received = stream
                    .inbound
                    .receive(step, &stream.params, from, bytes, audio);
                if self.through
                    && let Some(received) = &received
                    && received.kind == Kind::Audio
                {
                    self.overhear(step, received.payload);
                }
                received
            }
            // Reports may share the media port (RFC 5761).
            Channel::Rtp | Channel::Rtcp => {
                let hosts = [stream.source().ip(), stream.params.remote_rtcp.ip()];
                if hosts.contains(&from.ip()) {
                    stream
                        .reports
                        .read(step.now, from, stream.outbound.ssrc(), bytes);
                }
                None
            }
        }
    }

    /// First half of a tick: what the session hears.
    pub(crate) fn hear(&mut self, step: &mut Step<'_>, frame: &mut Frame) -> Heard {
        #[cfg(test)]
        assert!(!self.fault, "a planted bug");
        let listens = self.listens();
        let Some(stream) = &mut self.stream else {
            frame.clear(Rate::Narrow);
            return Heard::Silence;
        };
        if stream.reports.is_due(step.now.mono) {
            stream.report(step, false);
        }
        stream
            .inbound
            .watch(step, &stream.params, self.inactive_after);
        if stream.params.send && stream.reports.is_unheard() {
            step.event(Event::OneWay {
                session: step.id,
                missing: Way::Out,
            });
        }
        if self.through {
            frame.clear(stream.params.rate());
            self.pass_time(step);
            return Heard::Silence;
        }
        let lower = self.recorders.any() || !self.ear.is_idle();
        let heard = stream.inbound.pull(step, listens, lower, frame);
        if !self.ear.is_idle() {
            let narrow = stream.inbound.narrow(frame).unwrap_or(&[0; FRAME]);
            if let Some(hearing) = self.ear.feed(narrow) {
                let session = step.id;
                step.event(Event::Heard { session, hearing });
            }
        }
        heard
    }

    /// Whether packets that go through can be listened to: where each is heard by itself.
    fn overhears(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.params.codec.law().is_some())
    }

    /// Listens to a packet that goes through as it came.
    fn overhear(&mut self, step: &mut Step<'_>, payload: &[u8]) {
        let law = self.stream.as_ref().and_then(|it| it.params.codec.law());
        let Some(law) = law.filter(|_| !self.ear.is_idle()) else {
            return;
        };
        self.ear_dry = 0;
        for codes in payload.chunks(FRAME) {
            let mut samples = [0; FRAME];
            let samples = &mut samples[..codes.len()];
            g711::decode(law, codes, samples);
            self.listen_to(step, samples);
        }
    }

    /// While packets go through, time passes for who listens even if none comes.
    fn pass_time(&mut self, step: &mut Step<'_>) {
        if self.ear.is_idle() {
            return;
        }
        self.ear_dry = self.ear_dry.saturating_add(1);
        if self.ear_dry > EAR_PATIENCE {
            self.listen_to(step, &[0; FRAME]);
        }
    }

    fn listen_to(&mut self, step: &mut Step<'_>, samples: &[i16]) {
        if let Some(hearing) = self.ear.feed(samples) {
            let session = step.id;
            step.event(Event::Heard { session, hearing });
        }
    }

    /// Nobody listens to it for anything but keys.
    fn is_unheard(&self) -> bool {
        self.ear.is_idle()
    }

    /// Listens for something else from now on, from the next tick.
    pub(crate) fn listen_for(&mut self, listening: Listening) {
        self.ear = Ear::new(listening);
    }

    /// Whether tones are keys for us: between the two sides of a bridge they are for the other, unless
    /// that must not hear them.
    fn listens(&self) -> bool {
        !matches!(self.link, Link::Bridge(_)) || self.voice.is_screened()
    }

    /// Second half of a tick: what the session says, and the recordings of both. `other` is what
    /// those it talks with hear; `relayed` tells that its packets went through. `sent` is written
    /// over.
    pub(crate) fn speak(
        &mut self,
        step: &mut Step<'_>,
        (heard, frame): (Heard, &Frame),
        other: Option<&Frame>,
        relayed: bool,
        sent: &mut Frame,
    ) {
        sent.clear(self.rate());
        if relayed {
            assert!(
                self.through,
                "packets are relayed only while they go through"
            );
            if let Some(stream) = &mut self.stream {
                stream.outbound.advance(1);
            }
        } else {
            self.send_frame(step, other, sent);
        }
        self.record(step, heard, frame, sent);
    }

    /// Samples a second of its audio.
    pub(crate) fn rate(&self) -> Rate {
        let params = self.stream.as_ref().map(|stream| &stream.params);
        params.map_or(Rate::Narrow, StreamParams::rate)
    }

    fn send_frame(&mut self, step: &mut Step<'_>, other: Option<&Frame>, sent: &mut Frame) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        stream.outbound.end_relay();
        let to = stream.to();
        let events = stream.params.dtmf;
        let mut near: Narrow = [0; FRAME];
        let mut last = None;
        if !self.dialing.is_in_tone() {
            stream.outbound.advance(std::mem::take(&mut self.owed));
        }
        let clock = events.map(|events| events.clock_hz);
        let timestamp = stream.outbound.timestamp();
        let dialed = self.dialing.tick(timestamp, clock, &mut near);
        let (own, other) = match dialed {
            Dialed::Event { .. } => (false, None),
            Dialed::Frame => (true, None),
            Dialed::Nothing => {
                let filled = self.player.fill(&mut near);
                if let Filled::Last(play) = filled {
                    last = Some(play);
                }
                let beeps = sound(&mut self.beep, &mut near);
                (filled != Filled::Nothing || beeps, other)
            }
        };
        let own = match own {
            true => {
                self.near.raise(&near, sent);
                true
            }
            false => self.near.end(sent),
        };
        if let Some(other) = other {
            let mut spare = Frame::new(Rate::Narrow);
            let other = self.far.convert(other, sent.rate(), &mut spare);
            mix(sent, other);
        }
        match (dialed, events) {
            _ if !stream.params.send => sent.fill(0),
            (
                Dialed::Event {
                    marker,
                    timestamp,
                    report,
                },
                Some(EventFormat { payload_type, .. }),
            ) => {
                let header = Header {
                    marker,
                    payload_type,
                    timestamp,
                    ..Header::default()
                };
                stream.outbound.event(step, to, header, report);
            }
            (Dialed::Event { .. } | Dialed::Frame | Dialed::Nothing, _) => {
                let audible = own || other.is_some();
                let frame = audible.then_some(&*sent);
                stream.outbound.audio(step, &stream.params, to, frame);
            }
        }
        stream.outbound.advance(1);
        if let Some(play) = last {
            step.event(Event::Played {
                session: step.id,
                play,
                finished: true,
            });
        }
    }
}

fn guard(params: &StreamParams) -> Option<Box<srtp::Receiver>> {
    let keys = params.srtp.as_ref()?;
    Some(Box::new(srtp::Receiver::new(&keys.receive)))
}

/// Adds the next of a tone, if there is one; tells if there was.
fn sound(tone: &mut Option<Tone>, into: &mut Narrow) -> bool {
    let Some(sounding) = tone else { return false };
    let mut samples: Narrow = [0; FRAME];
    if sounding.fill(&mut samples) < FRAME {
        *tone = None;
    }
    mix(into, &samples);
    true
}

/// Adds a frame to another, cutting off what is too loud.
fn mix(into: &mut [i16], other: &[i16]) {
    for (sample, other) in into.iter_mut().zip(other) {
        *sample = sample.saturating_add(*other);
    }
}
