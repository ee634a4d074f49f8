//! The stream a session receives.

use std::net::SocketAddr;
use std::time::Duration;

use vocab::Mono;

use crate::codec::Decoder;
use crate::dtmf::Detector;
use crate::jitter::{Heard, Playout, Stored};
use crate::limits::{PLAYOUT_DEPTH_MAX_MS, RTP_PAYLOAD_BYTES_MAX};
use crate::quality::Measured;
use crate::rate::{FRAME, Frame, Narrow, Rate};
use crate::rtp::{Header, Rtp};
use crate::session::Step;
use crate::session::convert::Converter;
use crate::session::latch::Latch;
use crate::session::presses::{Presses, Way};
use crate::session::reception::{Arrival, Reception};
use crate::session::recording::Recorders;
use crate::telephone_event::{Receiver, Report};
use crate::{Event, StreamParams, Way as Direction};

/// Silent frames fed to the detector after audio, so that it notices the end of a tone.
const DETECTOR_TAIL: u8 = 5;

/// Frames without audio until the detector is fed one that is silent, which lets it tell a key that
/// ended with the last packet: by then, what is late is lost.
const DETECTOR_FLUSH: u8 = (PLAYOUT_DEPTH_MAX_MS / 20) as u8;

/// Frames without audio after which a gap in the far end's clock is a pause, said or not: 1 s.
const DETECTOR_PATIENCE: u8 = 50;

/// Samples of the shortest pause in which nothing is sent: pauses between keys are longer than three
/// packets, and so many may be lost in a tone.
const TORN_MAX: u32 = 3 * FRAME as u32;

/// How long nothing comes before somebody is told. Longer than Opus is silent between two signs of
/// life, shorter than a caller asks whether anybody is there.
pub(super) const ONE_WAY_AFTER: Duration = Duration::from_secs(5);

/// How long until they are told again.
const ONE_WAY_AGAIN: Duration = Duration::from_secs(10);

/// Samples of the longest payload: Opus of 120 ms at 48,000 a second.
const LATE_MAX: usize = Rate::Full.ms(120);

/// Soft frames that make a pause: 100 ms, in which predictors forget what was before.
const HUSHED_FRAMES: u8 = 5;

/// Peak below which nobody speaks: about -36 dBm0, above what rooms and lines make.
const HUSHED_PEAK: u16 = 500;

/// Payload type of comfort noise (RFC 3389 §4), which many phones send without asking.
const COMFORT_NOISE: u8 = 13;

/// A packet that was received and is to be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    /// Its header.
    pub(crate) header: Header,
    /// Its payload.
    pub(crate) payload: &'a [u8],
    /// How long it lasts on the clock of its stream; a key, no time.
    pub(crate) ticks: u32,
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
#[derive(Debug)]
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
    /// The sample after the newest audio that the detector was given although it came too late to
    /// be played.
    overheard: Option<i64>,
    /// What makes that audible, once there was any.
    late: Option<Box<Late>>,
    /// The last frame as narrowband audio, if it is none and somebody asks for it.
    lowered: Option<Box<(Converter, Narrow)>>,
    /// Soft frames in a row: nobody spoke in them.
    hushed: u8,
    /// It has said that there is nothing but noise.
    noisy: bool,
    /// A key was reported and not asked for since.
    pressed: bool,
    /// When something was last received, or first expected.
    heard: Mono,
    /// When audio or a key last came.
    spoke: Option<Mono>,
    /// [`Event::Inactive`] was reported since.
    inactive: bool,
    /// When [`Event::OneWay`] is next reported.
    one_way: Mono,
    received: u64,
    dropped: u64,
    late_packets: u64,
    /// Samples of the delay that the jitter buffer made, and in how many frames.
    depths: u64,
    frames: u64,
}

/// Decodes what comes too late to be played.
#[derive(Debug)]
struct Late {
    decoder: Decoder,
    converter: Converter,
}

impl Late {
    fn new(params: &StreamParams) -> Self {
        Self {
            decoder: Decoder::new(params.codec, params.rate()),
            converter: Converter::default(),
        }
    }
}

fn events(params: &StreamParams) -> Receiver {
    params
        .dtmf
        .map_or_else(Receiver::default, |dtmf| Receiver::new(dtmf.clock_hz))
}

impl Inbound {
    pub(crate) fn new(now: Mono, params: &StreamParams) -> Self {
        let mut reception = Reception::default();
        reception.set_clock(params.codec.clock_hz());
        Self {
            latch: Latch::default(),
            reception,
            playout: Playout::new(params.codec, params.rate()),
            events: events(params),
            presses: Presses::default(),
            detector: Some(Box::default()),
            detector_dry: DETECTOR_PATIENCE + 1,
            paused: false,
            overheard: None,
            late: None,
            lowered: None,
            hushed: 0,
            noisy: false,
            pressed: false,
            heard: now,
            spoke: None,
            inactive: false,
            one_way: now + ONE_WAY_AFTER,
            received: 0,
            dropped: 0,
            late_packets: 0,
            depths: 0,
            frames: 0,
        }
    }

    /// Something else was negotiated.
    pub(crate) fn configure(&mut self, now: Mono, old: &StreamParams, new: &StreamParams) {
        if old.remote_rtp != new.remote_rtp {
            self.latch = Latch::default();
        }
        let audio = |params: &StreamParams| (params.codec, params.payload_type, params.rate());
        if audio(old) != audio(new) {
            self.playout = Playout::new(new.codec, new.rate());
            self.reception.set_clock(new.codec.clock_hz());
            (self.overheard, self.late, self.lowered) = (None, None, None);
        }
        if old.dtmf != new.dtmf {
            self.events = events(new);
        }
        if old.dtmf.is_some() && new.dtmf.is_none() {
            self.detector.get_or_insert_default();
        }
        if !old.receive && new.receive {
            (self.heard, self.inactive, self.one_way) = (now, false, now + ONE_WAY_AFTER);
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

    /// Narrowband samples at the start of the last frame that had not come, if the rest of it had.
    pub(crate) fn lead(&self) -> usize {
        self.playout.lead() / self.playout.rate().factor()
    }

    /// The last frame as narrowband audio.
    pub(crate) fn narrow<'a>(&'a self, frame: &'a Frame) -> Option<&'a Narrow> {
        let lowered = self.lowered.as_ref().map(|lowered| &lowered.1);
        frame.narrow().or(lowered)
    }

    /// Whether the jitter buffer may have no place for one more packet.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.playout.is_nearly_full()
    }

    /// Whether nobody has spoken for a moment.
    pub(crate) fn is_hushed(&self) -> bool {
        self.hushed >= HUSHED_FRAMES
    }

    /// Whether a key was reported since this was last asked.
    pub(crate) fn take_pressed(&mut self) -> bool {
        std::mem::take(&mut self.pressed)
    }

    /// Whether the far end says when there is nothing but noise.
    pub(crate) fn is_noisy(&self) -> bool {
        self.noisy
    }

    /// Forgets what is buffered: it is not played, or will be too old when it is.
    pub(crate) fn forget_audio(&mut self) {
        self.hushed = 0;
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
            Kind::Audio if audio.through => {
                self.playout.pass(received.payload);
                true
            }
            Kind::Audio => {
                if received.first {
                    self.playout.reset();
                }
                let (timestamp, payload) = (received.header.timestamp, received.payload);
                let listen = audio.listen && self.detector.is_some();
                let wanted = listen || audio.recorders.any();
                if wanted && !self.playout.fits(timestamp, payload) {
                    self.overhear_buffered(step, params, listen, audio.recorders);
                }
                let until_tick = step.until_tick() * params.rate().factor() as u32;
                let stored = self.playout.store(timestamp, payload, until_tick);
                if wanted && stored == Stored::Late {
                    let late = (timestamp, payload);
                    self.overhear(step, params, late, listen, audio.recorders);
                }
                self.late_packets += u64::from(stored == Stored::Late);
                stored == Stored::Used
            }
            Kind::Silence => {
                // The first octet is the level; the others tell more than is looked at.
                if let Some(level) = received.payload.first() {
                    self.playout.noise(received.header.timestamp, level & 0x7f);
                    self.noisy = true;
                }
                true
            }
            Kind::Event(_) => true,
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
        let number = header.payload_type;
        let is_event = params.dtmf.is_some_and(|it| it.payload_type == number)
            || params.offered_dtmf == Some(number);
        let is_audio =
            !is_event && (number == params.payload_type || params.offered == Some(number));
        let is_noise = header.payload_type == COMFORT_NOISE;
        let fits = payload.len() <= RTP_PAYLOAD_BYTES_MAX && (is_event || is_audio || is_noise);
        if !fits || !params.receive || !self.latch.accept(step.now.mono, params.remote_rtp, from) {
            return None;
        }
        let now = step.now.mono;
        (self.heard, self.inactive, self.one_way) = (now, false, now + ONE_WAY_AFTER);
        let arrival = (!is_event).then(|| self.reception.ticks(step.now.mono));
        let first = match self.reception.note(&header, arrival) {
            Arrival::Fresh => false,
            Arrival::First => {
                self.events = events(params);
                true
            }
            Arrival::Duplicate | Arrival::Stray => return None,
        };
        let ticks = match is_audio {
            true => params.codec.ticks(payload)?,
            false => 0,
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
            ticks,
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
        self.pressed = true;
        step.event(Event::Digit {
            session: step.id,
            digit: key.into(),
        });
        Some(key)
    }

    /// The next 20 ms of what is heard, with an ear for tones if `listen` says so. `lower` tells that
    /// they are wanted as narrowband audio as well.
    pub(crate) fn pull(
        &mut self,
        step: &mut Step<'_>,
        listen: bool,
        lower: bool,
        frame: &mut Frame,
    ) -> Heard {
        frame.set_rate(self.playout.rate());
        let heard = self.playout.pull(frame);
        if heard == Heard::Audio {
            self.depths += self.playout.depth() as u64;
            self.frames += 1;
        }
        let soft = frame
            .iter()
            .all(|sample| sample.unsigned_abs() < HUSHED_PEAK);
        self.hushed = if soft {
            self.hushed.saturating_add(1)
        } else {
            0
        };
        if heard == Heard::Audio {
            self.overheard = None;
        }
        let listen = listen && self.detector.is_some();
        self.lower(frame, listen || lower);
        if listen {
            let key = self.listen(heard, frame);
            self.report_tone(step, key);
        }
        heard
    }

    fn lower(&mut self, frame: &Frame, wanted: bool) {
        if frame.rate() == Rate::Narrow || !wanted {
            self.lowered = None;
            return;
        }
        let silent = || Box::new((Converter::default(), [0; FRAME]));
        let (converter, narrow) = &mut **self.lowered.get_or_insert_with(silent);
        converter.lower(frame, frame.rate(), narrow);
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
            let gap = self.playout.gap() / self.playout.rate().factor() as u32;
            let mut samples = [0; FRAME];
            samples.copy_from_slice(self.narrow(frame)?);
            return self.go_on(gap, &samples[self.lead()..]);
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
        params: &StreamParams,
        (timestamp, payload): (u32, &[u8]),
        listen: bool,
        recorders: &mut Recorders,
    ) {
        let Some((start, gap)) = self.playout.missed(timestamp) else {
            return;
        };
        let before = self.overheard;
        if before.is_some_and(|before| start < before) {
            return;
        }
        let mut samples = [0; LATE_MAX];
        let late = self.late.get_or_insert_with(|| Box::new(Late::new(params)));
        let len = late.decoder.decode(payload, &mut samples);
        self.overheard = Some(start + len as i64);
        let gap = before.map_or(gap, |before| u32::try_from(start - before).unwrap_or(gap));
        self.take_late(step, params, gap, &samples[..len], listen, recorders);
    }

    /// Takes what is buffered and is about to be thrown away, as [`Self::overhear`] does.
    fn overhear_buffered(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        listen: bool,
        recorders: &mut Recorders,
    ) {
        let mut frame = Frame::new(params.rate());
        let mut gap = self.playout.dry();
        while let Some(len) = self.playout.take(&mut frame) {
            let gap = std::mem::take(&mut gap);
            self.take_late(step, params, gap, &frame[..len], listen, recorders);
        }
    }

    /// Takes samples that are not played, before which so many had not come.
    fn take_late(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        gap: u32,
        samples: &[i16],
        listen: bool,
        recorders: &mut Recorders,
    ) {
        let rate = params.rate();
        let mut gap = gap / rate.factor() as u32;
        for samples in samples.chunks(rate.frame()) {
            let mut narrow = [0; FRAME];
            let late = self.late.get_or_insert_with(|| Box::new(Late::new(params)));
            let len = late.converter.lower(samples, rate, &mut narrow);
            recorders.fill(&narrow[..len]);
            if listen {
                let key = self.go_on(std::mem::take(&mut gap), &narrow[..len]);
                self.report_tone(step, key);
            }
        }
    }

    /// What was heard, for a score: how much of it did not come in time, and the delay that is
    /// known.
    pub(crate) fn measured(&self, round_trip: Option<Duration>) -> Option<Measured> {
        if self.received == 0 {
            return None;
        }
        let samples = self.depths.checked_div(self.frames).unwrap_or(0);
        let hz = u64::from(self.playout.rate().hz());
        let buffered = Duration::from_micros(samples * 1_000_000 / hz);
        let missing = self.reception.lost() + self.late_packets;
        Some(Measured {
            expected: self.received + missing,
            missing,
            delay: round_trip.unwrap_or_default() / 2 + buffered,
        })
    }

    /// Packets that came too late to be played.
    pub(crate) fn late_packets(&self) -> u64 {
        self.late_packets
    }

    /// Reports that nothing comes, once.
    pub(crate) fn watch(&mut self, step: &mut Step<'_>, params: &StreamParams, after: Duration) {
        let silent = step.now.mono.since(self.heard);
        // Who is not to hear us need not speak either.
        if params.receive && params.send && step.now.mono >= self.one_way {
            self.one_way = step.now.mono + ONE_WAY_AGAIN;
            step.event(Event::OneWay {
                session: step.id,
                missing: Direction::In,
            });
        }
        if params.receive && !self.inactive && silent >= after {
            self.inactive = true;
            step.event(Event::Inactive { session: step.id });
        }
    }
}
