//! What holds for RTP, RTCP and a worker whatever packets come. Shared by the corpus replay beside
//! this and by the fuzz target in `tests/fuzz`.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_media::rtcp::{Compound, Rtcp};
use jackfield_media::rtp::Rtp;
use jackfield_media::{
    Channel, Codec, Command, Config, Event, EventFormat, Input, Output, Rate, StreamParams, Worker,
};
use vocab::call::RecordEnd;
use vocab::{CallId, Clip, Mono, Now, PlayId, RecordingId, Rng, SessionId, Wall};

/// Nothing panics; what is read lies within the packet and can be written again; a worker that is
/// sent the packets stays within its bounds and ends empty.
///
/// # Panics
/// If a property does not hold.
pub(crate) fn check(bytes: &[u8]) {
    packet(bytes);
    reports(bytes);
    for codecs in CODECS {
        worker(codecs, bytes);
    }
}

/// Those without a memory, with one, and those that are converted into each other.
const CODECS: [[Codec; 2]; 4] = [
    [Codec::Pcmu, Codec::Pcma],
    [Codec::G722, Codec::G722],
    [Codec::Opus, Codec::Opus],
    [Codec::L16(Rate::Wide), Codec::Opus],
];

fn packet(bytes: &[u8]) {
    let Ok(read) = Rtp::parse(bytes) else {
        return;
    };
    assert!(12 + read.contributors.len() + read.payload.len() <= bytes.len());
    let again = [&read.header.to_bytes()[..], read.payload].concat();
    let again = Rtp::parse(&again).expect("what we write we must read");
    assert_eq!((again.header, again.payload), (read.header, read.payload));
}

fn reports(bytes: &[u8]) {
    let Ok(compound) = Compound::parse(bytes) else {
        return;
    };
    for (n, packet) in compound.enumerate() {
        let is_report = match packet {
            Rtcp::Sender { blocks, .. } | Rtcp::Receiver { blocks, .. } => {
                assert!(blocks.count() <= 31);
                true
            }
            Rtcp::Description { .. } | Rtcp::Goodbye { .. } | Rtcp::Other { .. } => false,
        };
        assert!(n > 0 || is_report, "a compound begins with a report");
    }
}

const SESSIONS: [SessionId; 2] = [SessionId(1), SessionId(2)];

/// Reads the bytes as a story: one byte says how much time passes, to which socket a packet goes
/// and what is commanded before it; the next says how long the packet is.
///
/// | bits | meaning |
/// |---|---|
/// | 0 to 2 | ticks that pass |
/// | 3 | the second session |
/// | 4 | its RTCP socket |
/// | 5 | from somebody else |
/// | 6 and 7 | a command: none, bridge or unbridge, record, play and dial |
fn worker(codecs: [Codec; 2], mut bytes: &[u8]) {
    let mut world = World::new(codecs);
    while let [control, len, rest @ ..] = bytes {
        let (packet, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        bytes = rest;
        world.pass(*control & 7);
        let session = SESSIONS[usize::from(*control >> 3 & 1)];
        world.command(session, *control >> 6);
        let channel = if control & 0x10 == 0 {
            Channel::Rtp
        } else {
            Channel::Rtcp
        };
        let host = if control & 0x20 == 0 {
            session.0 as u8
        } else {
            66
        };
        world.packet(session, channel, far(host), packet);
    }
    world.end();
}

struct World {
    worker: Worker,
    now: Now,
    serial: u16,
    bridged: bool,
    started: usize,
    ended: usize,
}

impl World {
    fn new(codecs: [Codec; 2]) -> Self {
        let worker = Worker::new(Config::default(), Rng::from_u64(1));
        let now = Now::new(Mono(1), Wall(1_800_000_000_000_000));
        let mut world = Self {
            worker,
            now,
            serial: 0,
            bridged: false,
            started: 0,
            ended: 0,
        };
        for (session, codec) in SESSIONS.into_iter().zip(codecs) {
            let remote_rtp = far(session.0 as u8);
            let params = StreamParams {
                remote_rtcp: remote_rtp,
                payload_type: 0,
                dtmf: Some(EventFormat::of(101)),
                ..StreamParams::new(codec, remote_rtp)
            };
            world.feed(Input::Command(Command::Open {
                session,
                local: far(9),
            }));
            world.feed(Input::Command(Command::Configure { session, params }));
        }
        world
    }

    fn feed(&mut self, input: Input<'_>) {
        self.worker.handle(self.now, input);
        while let Some(output) = self.worker.poll() {
            match output {
                Output::Send {
                    channel: Channel::Rtp,
                    packet,
                    ..
                } => {
                    Rtp::parse(packet.as_bytes()).expect("what is sent is valid");
                }
                Output::Send {
                    channel: Channel::Rtcp,
                    packet,
                    ..
                } => {
                    Compound::parse(packet.as_bytes()).expect("what is sent is valid");
                }
                Output::Event(Event::Played { .. } | Event::Recorded { .. }) => self.ended += 1,
                Output::Event(
                    Event::Digit { .. }
                    | Event::OneWay { .. }
                    | Event::Inactive { .. }
                    | Event::Heard { .. }
                    | Event::Talking { .. }
                    | Event::Speaker { .. }
                    | Event::Cut { .. }
                    | Event::Closed { .. },
                )
                | Output::SendThrough { .. }
                | Output::Recording { .. } => {}
            }
        }
    }

    fn pass(&mut self, ticks: u8) {
        for _ in 0..ticks {
            self.now = self.now + Duration::from_millis(20);
            self.feed(Input::Tick);
        }
    }

    fn packet(&mut self, session: SessionId, channel: Channel, from: SocketAddr, bytes: &[u8]) {
        self.feed(Input::Packet {
            session,
            channel,
            from,
            bytes,
        });
    }

    fn command(&mut self, session: SessionId, kind: u8) {
        self.serial = self.serial.wrapping_add(1);
        let n = self.serial;
        match kind {
            0 => {}
            1 => {
                self.bridged = !self.bridged;
                let [a, b] = SESSIONS;
                let bridge = Command::Bridge { a, b };
                let unbridge = Command::Unbridge { session };
                self.feed(Input::Command(if self.bridged { bridge } else { unbridge }));
            }
            2 => {
                self.started += 1;
                let recording = RecordingId::message(CallId(1), n);
                let (max, silence) = (Duration::from_millis(700), Duration::from_millis(300));
                let record = Command::RecordMessage {
                    session,
                    recording,
                    max,
                    silence,
                };
                self.feed(Input::Command(record));
                let end = RecordEnd::Terminator;
                let recording = RecordingId::message(CallId(2), n.wrapping_sub(3));
                self.feed(Input::Command(Command::StopRecording {
                    session,
                    recording,
                    end,
                }));
                let recording = RecordingId::message(CallId(2), n);
                self.feed(Input::Command(Command::RecordCall {
                    session,
                    recording,
                    channels: 2,
                }));
            }
            _ => {
                self.started += 1;
                let play = PlayId(n.into());
                let clips = vec![Clip::silence(Duration::from_millis(50)); 2];
                let repeat = n.is_multiple_of(2);
                self.feed(Input::Command(Command::Play {
                    session,
                    play,
                    clips,
                    repeat,
                }));
                let digits = "1#".to_owned().into();
                self.feed(Input::Command(Command::SendDigits { session, digits }));
            }
        }
    }

    fn end(mut self) {
        self.pass(3);
        for session in SESSIONS {
            let stats = self.worker.stats(session).expect("nothing closed it");
            let counts = self.worker.counts();
            assert!(
                stats.received + stats.dropped <= counts.packets_in,
                "{stats:?} {counts:?}"
            );
            self.feed(Input::Command(Command::Close { session }));
        }
        let counts = self.worker.counts();
        assert_eq!((counts.sessions, counts.failed), (0, 0));
        assert_eq!(self.worker.deadline(), None);
        assert_eq!(
            self.started, self.ended,
            "each playback and message is reported once"
        );
    }
}

fn far(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 4_000))
}
