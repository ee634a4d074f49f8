//! The stream a session receives.

use std::net::SocketAddr;
use std::time::Duration;

use vocab::Mono;

use crate::dtmf::Detector;
use crate::jitter::{FRAME, Frame, Heard, Playout, Stored};
use crate::limits::{PLAYOUT_DEPTH_MAX, PLAYOUT_SAMPLES, RTP_PAYLOAD_BYTES_MAX};
use crate::rtp::{Header, Rtp, timestamp_diff};
use crate::session::Step;
use crate::session::latch::Latch;
use crate::session::presses::{Presses, Way};
use crate::session::reception::{Arrival, Reception};
use crate::session::recording::Recorders;
use crate::telephone_event::{Receiver, Report};
use crate::{Codec, Event, StreamParams, g711};

/// Silent frames fed to the detector after audio, so that it notices the end of a tone.
const DETECTOR_TAIL: u8 = 5;

/// Frames without audio until the detector is fed one that is silent, which lets it tell a key that
/// ended with the last packet: by then, what is late is lost.
const DETECTOR_FLUSH: u8 = (PLAYOUT_DEPTH_MAX / FRAME) as u8;

/// Frames without audio after which a gap in the far end's clock is a pause, said or not: 1 s.
const DETECTOR_PATIENCE: u8 = 50;

/// Samples of the shortest pause in which nothing is sent: pauses between keys are longer than three
/// packets, and so many may be lost in a tone.
const TORN_MAX: u32 = 3 * FRAME as u32;

/// Payload type of comfort noise (RFC 3389 §4), which many phones send without asking.
const COMFORT_NOISE: u8 = 13;

/// Nanoseconds of one sample.
const SAMPLE_NS: u64 = 125_000;

/// A packet that was received and is to be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    /// Its header.
    pub(crate) header: Header,
    /// Its payload.
    pub(crate) payload: &'a [u8],
    /// Its stream has just begun.
    pub(crate) first: bool,
    /// Audio or a key.
    pub(crate) kind: Kind,
}

/// What becomes of audio.
#[derive(Debug)]
pub(crate) struct Use<'a> {
    /// It is passed on as it comes.
    pub(crate) through: bool,
    /// Tones are keys.
    pub(crate) listen: bool,
    /// What is recorded.
    pub(crate) recorders: &'a mut Recorders,
}

/// What a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Encoded samples.
    Audio,
    /// A report of a key; the key itself if it begins a press that is new.
    Event(Option<char>),
    /// Comfort noise: the far end is silent, and says so.
    Silence,
}

/// All that is known of the received stream.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    latch: Latch,
    reception: Reception,
    playout: Playout,
    events: Receiver,
    presses: Presses,
    /// Listens for tones as long as no telephone event came: some phones agree to events and send
    /// tones all the same.
    detector: Option<Box<Detector>>,
    /// Frames in a row that had no audio for the detector.
    detector_dry: u8,
    /// The far end said that it was silent before what came last: a marked packet (RFC 3551 §4.1)
    /// or comfort noise. Not yet seen by the detector.
    paused: bool,
    /// Timestamp after the newest audio that the detector was given although it came too late to
    /// be played.
    overheard: Option<u32>,
    /// When something was last received, or first expected.
    heard: Mono,
    /// When audio or a key last came.
    spoke: Option<Mono>,
    /// [`Event::Inactive`] was reported since.
    inactive: bool,
    received: u64,
    dropped: u64,
}

impl Inbound {
    pub(crate) fn new(now: Mono) -> Self {
        Self {
            latch: Latch::default(),
            reception: Reception::default(),
            playout: Playout::new(),
            events: Receiver::default(),
            presses: Presses::default(),
            detector: Some(Box::default()),
            detector_dry: DETECTOR_PATIENCE + 1,
            paused: false,
            overheard: None,
            heard: now,
            spoke: None,
            inactive: false,
            received: 0,
            dropped: 0,
        }
    }

    /// Something else was negotiated.
    pub(crate) fn configure(&mut self, now: Mono, old: &StreamParams, new: &StreamParams) {
        if old.remote_rtp != new.remote_rtp {
            self.latch = Latch::default();
        }
        if (old.codec, old.payload_type) != (new.codec, new.payload_type) {
            self.playout.reset();
        }
        if old.dtmf_payload_type.is_some() && new.dtmf_payload_type.is_none() {
            self.detector.get_or_insert_default();
        }
        if !old.receive && new.receive {
            (self.heard, self.inactive) = (now, false);
        }
    }

    /// The source that is listened to.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        self.latch.source()
    }

    /// Numbers and timing.
    pub(crate) fn reception(&mut self) -> &mut Reception {
        &mut self.reception
    }

    /// Packets used, lost and dropped, and the jitter in µs.
    pub(crate) fn counts(&self) -> (u64, u64, u64, u32) {
        (
            self.received,
            self.reception.lost(),
            self.dropped,
            self.reception.jitter_us(),
        )
    }

    /// Whether audio or a key came within this time.
    pub(crate) fn spoke_within(&self, now: Mono, time: Duration) -> bool {
        self.spoke.is_some_and(|spoke| now.since(spoke) < time)
    }

    /// Samples at the start of the last frame that had not come, if the rest of it had.
    pub(crate) fn lead(&self) -> usize {
        self.playout.lead()
    }

    /// Whether the jitter buffer may have no place for one more packet.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.playout.depth() + RTP_PAYLOAD_BYTES_MAX > PLAYOUT_SAMPLES
    }

    /// Forgets what is buffered: it is not played, or will be too old when it is.
    pub(crate) fn forget_audio(&mut self) {
        self.playout.reset();
    }

    /// Takes a datagram. Gives the packet if it is to be used; `None` counts it as dropped.
    /// Audio is kept for the ticks unless it is passed on instead. What cannot be kept is recorded
    /// and listened to for tones all the same, if anything is.
    pub(crate) fn receive<'a>(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        from: SocketAddr,
        bytes: &'a [u8],
        audio: Use<'_>,
    ) -> Option<Received<'a>> {
        let received = self.admit(step, params, from, bytes);
        let used = received.filter(|received| match received.kind {
            Kind::Audio if audio.through => true,
            Kind::Audio => {
                if received.first {
                    self.playout.reset();
                }
                let (timestamp, codes) = (received.header.timestamp, received.payload);
                let listen = audio.listen && self.detector.is_some();
                let wanted = listen || audio.recorders.any();
                let codec = params.codec;
                if wanted && !self.playout.fits(timestamp, codes.len()) {
                    self.overhear_buffered(step, codec, listen, audio.recorders);
                }
                let stored = self.playout.store(timestamp, codes, step.until_tick());
                if wanted && stored == Stored::Late {
                    self.overhear(step, codec, (timestamp, codes), listen, audio.recorders);
                }
                stored == Stored::Used
            }
            Kind::Event(_) | Kind::Silence => true,
        });
        match used {
            Some(_) => self.received += 1,
            None => {
                self.dropped += 1;
                step.counts.dropped += 1;
            }
        }
        used
    }

    /// Checks everything that makes a packet this stream's next.
    fn admit<'a>(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        from: SocketAddr,
        bytes: &'a [u8],
    ) -> Option<Received<'a>> {
        let Rtp {
            header, payload, ..
        } = Rtp::parse(bytes).ok()?;
        let is_event = Some(header.payload_type) == params.dtmf_payload_type;
        let is_audio = header.payload_type == params.payload_type;
        let is_noise = header.payload_type == COMFORT_NOISE;
        let fits = payload.len() <= RTP_PAYLOAD_BYTES_MAX && (is_event || is_audio || is_noise);
        if !fits || !params.receive || !self.latch.accept(step.now.mono, params.remote_rtp, from) {
            return None;
        }
        (self.heard, self.inactive) = (step.now.mono, false);
        let arrival = (!is_event).then_some((step.now.mono.0 / SAMPLE_NS) as u32);
        let first = match self.reception.note(&header, arrival) {
            Arrival::Fresh => false,
            Arrival::First => {
                self.events = Receiver::default();
                true
            }
            Arrival::Duplicate | Arrival::Stray => return None,
        };
        let kind = if is_event {
            Kind::Event(self.press(step, &header, Report::parse(payload)?))
        } else if is_audio {
            Kind::Audio
        } else {
            Kind::Silence
        };
        if kind != Kind::Silence {
            self.spoke = Some(step.now.mono);
        }
        self.paused |= kind == Kind::Silence || (is_audio && header.marker && !first);
        Some(Received {
            header,
            payload,
            first,
            kind,
        })
    }

    fn press(&mut self, step: &mut Step<'_>, header: &Header, report: Report) -> Option<char> {
        self.detector = None;
        let key = self.events.receive(header.timestamp, report)?;
        self.report(step, key, Way::Event)
    }

    fn report(&mut self, step: &mut Step<'_>, key: char, way: Way) -> Option<char> {
        if !self.presses.is_new(step.now.mono, key, way) {
            return None;
        }
        step.event(Event::Digit {
            session: step.id,
            digit: key.into(),
        });
        Some(key)
    }

    /// The next 20 ms of what is heard, with an ear for tones unless it is bridged.
    pub(crate) fn pull(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        listen: bool,
        frame: &mut Frame,
    ) -> Heard {
        let heard = self.playout.pull(params.codec, frame);
        if heard == Heard::Audio {
            self.overheard = None;
        }
        if listen {
            let key = self.listen(heard, frame);
            self.report_tone(step, key);
        }
        heard
    }

    fn report_tone(&mut self, step: &mut Step<'_>, key: Option<char>) {
        if let Some(key) = key {
            self.report(step, key, Way::Tone);
        }
    }

    /// Gives the detector what the far end sent, by the far end's clock: where audio is late or left
    /// out there is no silence in a tone, unless the far end said so, or a key would count twice for
    /// every stall of the network or the phone.
    fn listen(&mut self, heard: Heard, frame: &Frame) -> Option<char> {
        if heard == Heard::Audio {
            return self.go_on(self.playout.gap(), &frame[self.playout.lead()..]);
        }
        let detector = self.detector.as_mut()?;
        let dry = self.detector_dry.saturating_add(1);
        self.detector_dry = dry.min(DETECTOR_PATIENCE + 1);
        let untold = dry == DETECTOR_FLUSH && detector.current().is_none();
        untold.then(|| detector.feed(&[0; FRAME])).flatten()
    }

    /// Gives the detector audio before which so many samples of the far end's time had not come.
    fn go_on(&mut self, gap: u32, samples: &[i16]) -> Option<char> {
        let detector = self.detector.as_mut()?;
        let dry = std::mem::take(&mut self.detector_dry);
        // After so long it was a pause, said or not; but a gap by the far end's clock it must be.
        let torn = dry > 0 && gap > TORN_MAX;
        let silent = torn && (std::mem::take(&mut self.paused) || dry > DETECTOR_PATIENCE);
        let pause = if silent { DETECTOR_TAIL } else { 0 };
        let ended = (0..pause).fold(None, |told, _| told.or(detector.feed(&[0; FRAME])));
        ended.or(detector.feed(samples))
    }

    /// Takes audio that came too late to be played: a key counts however late it comes, or a stall
    /// would cost it, and a recording has a place for it.
    fn overhear(
        &mut self,
        step: &mut Step<'_>,
        codec: Codec,
        (timestamp, codes): (u32, &[u8]),
        listen: bool,
        recorders: &mut Recorders,
    ) {
        let Some(gap) = self.playout.missed(timestamp) else {
            return;
        };
        let before = self.overheard;
        if before.is_some_and(|before| timestamp_diff(timestamp, before) < 0) {
            return;
        }
        self.overheard = Some(timestamp.wrapping_add(codes.len() as u32));
        let mut gap = before.map_or(gap, |before| timestamp.wrapping_sub(before));
        let mut frame = [0; FRAME];
        for codes in codes.chunks(FRAME) {
            let samples = &mut frame[..codes.len()];
            g711::decode(codec, codes, samples);
            recorders.fill(samples);
            if listen {
                let key = self.go_on(std::mem::take(&mut gap), samples);
                self.report_tone(step, key);
            }
        }
    }

    /// Takes what is buffered and is about to be thrown away, as [`Self::overhear`] does.
    fn overhear_buffered(
        &mut self,
        step: &mut Step<'_>,
        codec: Codec,
        listen: bool,
        recorders: &mut Recorders,
    ) {
        let mut frame = [0; FRAME];
        let mut gap = self.playout.dry();
        while let Some(len) = self.playout.take(codec, &mut frame) {
            let samples = &frame[..len];
            recorders.fill(samples);
            if listen {
                let key = self.go_on(std::mem::take(&mut gap), samples);
                self.report_tone(step, key);
            }
        }
    }

    /// Reports that nothing comes, once.
    pub(crate) fn watch(&mut self, step: &mut Step<'_>, params: &StreamParams, after: Duration) {
        if params.receive && !self.inactive && step.now.mono.since(self.heard) >= after {
            self.inactive = true;
            step.event(Event::Inactive { session: step.id });
        }
    }
}
