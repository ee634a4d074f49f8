//! The border of the room: what a [`Worker`](crate::Worker) is fed and what it asks for.

use std::net::SocketAddr;
use std::time::Duration;

use vocab::call::{Beep, RecordEnd};
use vocab::hearing::{Hearing, Listening};
use vocab::recording::SegmentEnd;
use vocab::{Clip, ConferenceId, Pii, PlayId, RecordingId, SessionId};

use crate::negotiate::PTIME_MS;
use crate::part::Part;
use crate::rate::Rate;
use crate::srtp::MasterKey;
use crate::webrtc::{Agreed, Failure};

/// Which of a session's two sockets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// Media.
    Rtp,
    /// Reports: the next port up.
    Rtcp,
}

/// An audio codec.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, static payload type 9: wideband.
    G722,
    /// Opus, mono (RFC 7587): at the rate of [`OpusParams`].
    Opus,
    /// Samples as they are, mono: at 8,000 or 16,000 a second.
    L16(Rate),
}

/// How Opus is used on a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpusParams {
    /// Samples a second that are encoded and decoded; RTP timestamps count 48,000 in any case.
    pub rate: Rate,
    /// Packets also carry what the one before them said, in fewer bits.
    pub fec: bool,
    /// Nothing is sent while there is silence.
    pub dtx: bool,
    /// All packets have the same length, so that it tells nothing of what is said.
    pub cbr: bool,
    /// Bits a second, 6,000 to 510,000.
    pub bitrate: u32,
}

impl Default for OpusParams {
    /// Wideband speech with redundancy at 24 kbit/s, within what RFC 7587 §3.1.1 recommends, and 8
    /// for the redundancy.
    fn default() -> Self {
        Self {
            rate: Rate::Wide,
            fec: true,
            dtx: false,
            cbr: false,
            bitrate: 32_000,
        }
    }
}

/// How keys are sent and received as telephone events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventFormat {
    /// Its payload type on the wire.
    pub payload_type: u8,
    /// Ticks a second in which durations are told: those of the audio's clock (RFC 4733 §2.1).
    pub clock_hz: u32,
}

impl EventFormat {
    /// Of a payload type at the clock of telephones.
    pub const fn of(payload_type: u8) -> Self {
        Self {
            payload_type,
            clock_hz: 8_000,
        }
    }
}

/// Keys of both directions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SrtpKeys {
    /// Protects what we send.
    pub send: MasterKey,
    /// Protects what we receive.
    pub receive: MasterKey,
}

/// What offer and answer settled for one session (RFC 3264).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamParams {
    /// Where media is sent until symmetric RTP latches on to the real source.
    pub remote_rtp: SocketAddr,
    /// Where reports are sent.
    pub remote_rtcp: SocketAddr,
    /// The codec both sides use.
    pub codec: Codec,
    /// Its payload type on the wire.
    pub payload_type: u8,
    /// Payload types of audio and of telephone events that we offered for what was agreed, where the
    /// far end answered with others: what it sends may have either (RFC 3264 §6.1).
    pub offered: Option<u8>,
    /// See [`Self::offered`].
    pub offered_dtmf: Option<u8>,
    /// How the codec is used, if it is Opus.
    pub opus: OpusParams,
    /// Milliseconds of audio in each packet we send: 10 to 60, a multiple of 10.
    pub ptime_ms: u16,
    /// Telephone events (RFC 4733), if agreed.
    pub dtmf: Option<EventFormat>,
    /// Keys, if packets are secured by such as were in the descriptions.
    pub srtp: Option<SrtpKeys>,
    /// The way to the far end, if that is a browser: keys come out of it.
    pub webrtc: Option<Box<Agreed>>,
    /// Reports go to the port of media (RFC 5761).
    pub rtcp_mux: bool,
    /// We send media: the far end did not say `sendonly` or `inactive`.
    pub send: bool,
    /// We expect media: the far end did not say `recvonly` or `inactive`.
    pub receive: bool,
}

impl StreamParams {
    /// A stream both ways with what is usual: packets of 20 ms, reports at the next port, no
    /// telephone events.
    pub fn new(codec: Codec, remote_rtp: SocketAddr) -> Self {
        let reports = remote_rtp.port().saturating_add(1);
        Self {
            remote_rtp,
            remote_rtcp: SocketAddr::new(remote_rtp.ip(), reports),
            codec,
            payload_type: codec.payload_type(),
            offered: None,
            offered_dtmf: None,
            opus: OpusParams::default(),
            ptime_ms: PTIME_MS,
            dtmf: None,
            srtp: None,
            webrtc: None,
            rtcp_mux: false,
            send: true,
            receive: true,
        }
    }

    /// Samples a second of the session's audio.
    pub const fn rate(&self) -> Rate {
        self.codec.rate(self.opus)
    }
}

/// Something a worker is told by the engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Begins a session on a pair of ports that the shell has bound.
    Open {
        /// Names it.
        session: SessionId,
        /// The RTP port's address; RTCP is the next port up.
        local: SocketAddr,
    },
    /// Sets or changes what was negotiated. Media flows from here on.
    Configure {
        /// The session.
        session: SessionId,
        /// What was settled.
        params: StreamParams,
    },
    /// Plays clips in order, stopping what plays now (its `Played` comes first).
    Play {
        /// The session.
        session: SessionId,
        /// Names it.
        play: PlayId,
        /// In order.
        clips: Vec<Clip>,
        /// Until stopped.
        repeat: bool,
    },
    /// Stops a playback; nothing happens if it is over.
    Stop {
        /// The session.
        session: SessionId,
        /// The playback.
        play: PlayId,
    },
    /// Sends digits as RFC 4733 events, or in-band if those were not agreed.
    SendDigits {
        /// The session.
        session: SessionId,
        /// Out of `0-9*#A-D`.
        digits: Pii<String>,
    },
    /// Records what the session receives (mono), for a message.
    RecordMessage {
        /// The session.
        session: SessionId,
        /// Names it.
        recording: RecordingId,
        /// Ends after this long.
        max: Duration,
        /// Ends after this much silence; zero never.
        silence: Duration,
    },
    /// Records what the session receives, until it closes or [`Command::EndRecording`]. What was
    /// recorded of its call before ends.
    RecordCall {
        /// The session.
        session: SessionId,
        /// Names it.
        recording: RecordingId,
        /// 1: what is received. 2: left that, right what is sent.
        channels: u16,
    },
    /// Ends the recording that [`Command::RecordCall`] began. Another one that is begun in the same
    /// step goes on behind its last sample.
    EndRecording {
        /// The session.
        session: SessionId,
        /// Why.
        end: SegmentEnd,
    },
    /// Ends a message recording early.
    StopRecording {
        /// The session.
        session: SessionId,
        /// Which.
        recording: RecordingId,
        /// Reported back.
        end: RecordEnd,
    },
    /// Two sessions of one worker hear each other; playbacks on them stop.
    Bridge {
        /// One.
        a: SessionId,
        /// The other.
        b: SessionId,
    },
    /// Lets a session hear all others of a conference and be heard by them, up to
    /// [`CONFERENCE_MEMBERS_MAX`](crate::limits::CONFERENCE_MEMBERS_MAX). What plays on it stops; a
    /// bridge or another conference that it is in is left. Nothing happens if it is in this one.
    Join {
        /// The session.
        session: SessionId,
        /// The conference; it begins with its first member and ends with its last.
        conference: ConferenceId,
    },
    /// Changes how loud a session is to those it talks with, now and later, and they to it.
    SetPart {
        /// The session.
        session: SessionId,
        /// How.
        part: Part,
    },
    /// Sends a beep, mixed with whatever else is sent.
    Beep {
        /// The session.
        session: SessionId,
        /// Which.
        beep: Beep,
    },
    /// Listens to what a session receives from now on, for signals of the network or for who answered,
    /// instead of what it was listened to for before. G.711 goes through all the same.
    Listen {
        /// The session.
        session: SessionId,
        /// For what; if an answerer is to be found, for that alone. Nothing ends it.
        listening: Listening,
    },
    /// Takes a bridge apart, or takes a session out of its conference.
    Unbridge {
        /// Either side, or the member.
        session: SessionId,
    },
    /// Ends a session, its playback and its recordings.
    Close {
        /// The session.
        session: SessionId,
    },
}

/// What a worker reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A playback ended.
    Played {
        /// The session.
        session: SessionId,
        /// The playback.
        play: PlayId,
        /// It played to its end.
        finished: bool,
    },
    /// A key was pressed: once, however many ways it was heard.
    Digit {
        /// The session.
        session: SessionId,
        /// One of `0-9*#A-D`.
        digit: Pii<char>,
    },
    /// A message recording ended; its audio was handed over before this.
    Recorded {
        /// The session.
        session: SessionId,
        /// Which.
        recording: RecordingId,
        /// How.
        end: RecordEnd,
        /// How long it is.
        length: Duration,
    },
    /// Nothing was received for the configured time although media was agreed. Reported once
    /// until something is received again.
    Inactive {
        /// The session.
        session: SessionId,
    },
    /// Something was heard that the session is listened to for.
    Heard {
        /// The session.
        session: SessionId,
        /// What.
        hearing: Hearing,
    },
    /// A member of a conference begins to talk, or has not talked for half a second.
    Talking {
        /// The session.
        session: SessionId,
        /// It talks now.
        talking: bool,
    },
    /// Of those who talk in a conference this one is heard most from now on: who was, falls silent or
    /// is talked down.
    Speaker {
        /// The session.
        session: SessionId,
    },
    /// Audio has gone only one way for 5 s although both ways were agreed. Reported again every 10 s as
    /// long as it lasts.
    OneWay {
        /// The session.
        session: SessionId,
        /// Which way it does not go.
        missing: Way,
    },
    /// The way to a browser came to nothing, or has ended.
    Cut {
        /// The session.
        session: SessionId,
        /// Why.
        why: Failure,
    },
    /// A session is closed and its ports are free.
    Closed {
        /// The session.
        session: SessionId,
        /// Its ports, for the next session.
        local: SocketAddr,
        /// What went over them.
        stats: Stats,
    },
}

/// A direction of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Way {
    /// From the far end to us.
    In,
    /// From us to the far end.
    Out,
}

/// Counts of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets received and used.
    pub received: u64,
    /// RTP packets that never came (RFC 3550 §A.3).
    pub lost: u64,
    /// RTP packets that came too late, twice, or with the wrong payload or source.
    pub dropped: u64,
    /// Interarrival jitter in µs (RFC 3550 §A.8).
    pub jitter_us: u32,
    /// RTP packets that came too late to be played, which are among those dropped.
    pub late: u64,
    /// Packets of ours that the far end has missed, by its reports.
    pub far_lost: Option<u32>,
    /// The way to the far end and back in µs, by the reports.
    pub round_trip_us: Option<u32>,
    /// What was spoken last.
    pub codec: Option<Codec>,
    /// It was secured.
    pub secured: bool,
    /// Hundredths of the opinion score of what was received ([`crate::quality`]): 100 to 450; `None`
    /// if nothing was.
    pub mos: Option<u16>,
}
