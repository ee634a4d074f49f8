//! Media alone: what 20 ms of a session cost a worker, without sockets.

use std::hint::black_box;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use media::dtmf::Detector;
use media::resample::Resampler;
use media::rtp::Header;
use media::srtp::{MasterKey, Sender, Suite};
use media::{
    Channel, Codec, Command, Config, Encoder, EventFormat, Input, OpusParams, Output, Rate,
    SrtpKeys, StreamParams, Worker, g711, wav,
};
use vocab::{CallId, Clip, ConferenceId, Mono, Now, PlayId, RecordingId, Rng, SessionId, Wall};

use super::{Figure, Row, Sample, Target, micros, on_core};
use crate::shell::project;

/// Sessions of a worker, and ticks in one run.
const SESSIONS: u64 = 1_000;
const TICKS: u64 = 250;

/// Steps of a session in one run of a conference: as many as above.
const CONFERENCE_STEPS: u64 = SESSIONS * TICKS;

const fn figure(name: &'static str, what: &'static str) -> Figure {
    Figure {
        name,
        what,
        unit: "µs",
        target: Target::None,
    }
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "media_tick",
        what: "20 ms of one session of 1,000, its received packet included, without sockets",
        runs: super::RUNS,
        figures: &[
            figure("idle", "20 ms of a session that hears and plays nothing"),
            figure(
                "prompt",
                "20 ms of a session with a prompt out and speech in",
            ),
            figure("recorded", "the same, and the call is recorded"),
            figure(
                "bridged",
                "20 ms of one side of a bridge, packets passed through",
            ),
        ],
        measure: ticks,
    },
    Row {
        name: "conference_50",
        what: "a conference of 50, all talking, received packets included, without sockets",
        runs: super::RUNS,
        figures: &[
            figure("member", "20 ms of one of 50 who all talk"),
            Figure {
                name: "core",
                what: "a conference of 50 who all talk, without sockets",
                unit: "% of a core",
                target: Target::AtMost(5.0),
            },
        ],
        measure: || conference(50),
    },
    Row {
        name: "conference_500",
        what: "a conference of 500, all talking, received packets included, without sockets",
        runs: super::RUNS,
        figures: &[
            figure("member", "20 ms of one of 500 who all talk"),
            Figure {
                name: "core",
                what: "a conference of 500 who all talk, without sockets",
                unit: "% of a core",
                target: Target::None,
            },
        ],
        measure: || conference(500),
    },
    Row {
        name: "bridged",
        what: "20 ms of one side of a bridge by the formats of its sides, received packets included, without sockets",
        runs: super::RUNS,
        figures: &[
            figure("pcmu_pcmu", "the same codec: packets pass through"),
            figure("recorded", "the same codec, and both sides are recorded"),
            figure(
                "secured",
                "the same codec, both sides secured with AES-128-GCM",
            ),
            figure(
                "secured_cm",
                "the same codec, both sides secured with AES-CM and HMAC-SHA1",
            ),
            figure("pcma_pcmu", "A-law and µ-law"),
            figure("g722_pcmu", "G.722 and µ-law"),
            figure("opus_opus", "Opus on both sides: packets pass through"),
            figure("opus_pcmu", "Opus and µ-law"),
        ],
        measure: bridged,
    },
    Row {
        name: "dtmf",
        what: "the in-band digit detector, 20 ms of speech",
        runs: super::RUNS,
        figures: &[figure(
            "",
            "20 ms of speech through the in-band digit detector",
        )],
        measure: detector,
    },
];

/// Times that the detector hears the whole prompt.
const ROUNDS: usize = 200;

/// What the sessions do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Load {
    Idle,
    Prompt,
    Recorded,
    Bridged,
    Conference,
}

fn ticks() -> anyhow::Result<Sample> {
    let speech = speech()?;
    let mut sample = Sample::default();
    for (name, load) in [
        ("idle", Load::Idle),
        ("prompt", Load::Prompt),
        ("recorded", Load::Recorded),
        ("bridged", Load::Bridged),
    ] {
        sample = sample.with(name, worker(load, (SESSIONS, TICKS), &speech)?);
    }
    Ok(sample)
}

fn conference(members: u64) -> anyhow::Result<Sample> {
    let ticks = CONFERENCE_STEPS / members;
    let member = worker(Load::Conference, (members, ticks), &speech()?)?;
    let tick_us = 20_000.0;
    let core = member * members as f64 / tick_us * 100.0;
    Ok(Sample::default().with("member", member).with("core", core))
}

/// Sides of bridges, and ticks in one run: Opus takes a hundred times what passing through does.
const SIDES: u64 = 100;
const BRIDGED_TICKS: u64 = 500;

/// Ticks before that, in which nobody speaks: packets of a codec with a memory begin to pass through
/// then.
const QUIET_TICKS: u64 = 20;

/// How one side of a bridge talks.
#[derive(Clone, Copy)]
struct Side {
    codec: Codec,
    suite: Option<Suite>,
}

fn bridged() -> anyhow::Result<Sample> {
    let plain = |codec| Side { codec, suite: None };
    let secured = |suite| Side {
        suite: Some(suite),
        ..plain(Codec::Pcmu)
    };
    let [gcm, cm] = [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80].map(secured);
    let [pcmu, pcma, g722, opus] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus].map(plain);
    let speech = speech()?;
    let mut sample = Sample::default();
    for (name, sides) in [
        ("pcmu_pcmu", [pcmu, pcmu]),
        ("secured", [gcm, gcm]),
        ("secured_cm", [cm, cm]),
        ("pcma_pcmu", [pcma, pcmu]),
        ("g722_pcmu", [g722, pcmu]),
        ("opus_opus", [opus, opus]),
        ("opus_pcmu", [opus, pcmu]),
    ] {
        sample = sample.with(name, bridge(sides, false, &speech)?);
    }
    Ok(sample.with("recorded", bridge([pcmu, pcmu], true, &speech)?))
}

/// Microseconds of one side's 20 ms.
fn bridge(sides: [Side; 2], recorded: bool, speech: &[i16]) -> anyhow::Result<f64> {
    let mut worker = Worker::new(Config::default(), Rng::from_u64(1));
    let key = |suite: Suite| MasterKey::random(suite, &mut Rng::from_u64(suite as u64));
    for n in 0..SIDES {
        let Side { codec, suite } = sides[(n % 2) as usize];
        let params = StreamParams {
            // One key for all: it is the same work.
            srtp: suite.map(|suite| SrtpKeys {
                send: key(suite),
                receive: key(suite),
            }),
            ..StreamParams::new(codec, far(n))
        };
        let session = SessionId(n);
        let local = SocketAddr::from(([127, 0, 0, 1], far(n).port()));
        command(&mut worker, Command::Open { session, local });
        command(&mut worker, Command::Configure { session, params });
        if n % 2 == 1 {
            let (a, b) = (SessionId(n - 1), session);
            command(&mut worker, Command::Bridge { a, b });
        }
        if recorded {
            // Who called with what it hears, the other with what it says.
            let recording = RecordingId::segment(CallId(u128::from(n) / 2), 1 + (n % 2) as u16);
            let channels = if n % 2 == 0 { 2 } else { 1 };
            let wish = Command::RecordCall {
                session,
                recording,
                channels,
            };
            command(&mut worker, wish);
        }
    }
    let streams: Vec<Vec<Vec<u8>>> = sides.iter().map(|side| stream(*side, speech)).collect();
    for tick in 1..=QUIET_TICKS {
        worker.handle(at(tick * 20_000_000), Input::Tick);
        drain(&mut worker);
    }
    let spent = on_core(|| {
        for tick in 1..=BRIDGED_TICKS {
            let due = (QUIET_TICKS + tick) * 20_000_000;
            for n in 0..SIDES {
                let bytes = &streams[(n % 2) as usize][tick as usize - 1];
                let input = Input::Packet {
                    session: SessionId(n),
                    channel: Channel::Rtp,
                    from: far(n),
                    bytes,
                };
                worker.handle(at(due - 10_000_000), input);
                drain(&mut worker);
            }
            worker.handle(at(due), Input::Tick);
            drain(&mut worker);
        }
    });
    let counts = worker.counts();
    let wrong = (counts.failed, counts.refused, counts.dropped);
    ensure!(
        wrong == (0, 0, 0),
        "sessions failed, were refused or dropped packets: {wrong:?}"
    );
    Ok(micros(spent) / (SIDES * BRIDGED_TICKS) as f64)
}

/// What a phone sends.
fn stream(side: Side, speech: &[i16]) -> Vec<Vec<u8>> {
    let Side { codec, suite } = side;
    let opus = OpusParams::default();
    let rate = codec.rate(opus);
    let mut encoder = Encoder::new(codec, opus);
    let mut raise = (rate != Rate::Narrow).then(|| Resampler::new(Rate::Narrow, rate));
    let key = suite.map(|suite| MasterKey::random(suite, &mut Rng::from_u64(suite as u64)));
    let mut guard = key.map(|key| Sender::new(&key));
    let frames = speech.chunks_exact(160).cycle();
    let packets = frames.zip(1..=BRIDGED_TICKS).map(|(frame, tick)| {
        let mut samples = vec![0; rate.frame()];
        match &mut raise {
            Some(raise) => raise.push(frame, &mut samples),
            None => samples.copy_from_slice(frame),
        }
        let mut bytes = vec![0; 1_500];
        let header = Header {
            marker: false,
            payload_type: codec.payload_type(),
            sequence: tick as u16,
            timestamp: tick as u32 * (codec.clock_hz() / 50),
            ssrc: 9,
        };
        bytes[..12].copy_from_slice(&header.to_bytes());
        let mut len = 12 + encoder.encode(&samples, &mut bytes[12..]);
        if let Some(guard) = &mut guard {
            len = guard.protect(&mut bytes, len).expect("a good packet");
        }
        bytes.truncate(len);
        bytes
    });
    packets.collect()
}

/// A prompt of the demo, for both directions.
fn speech() -> anyhow::Result<Vec<i16>> {
    let path = project("examples/demo/prompts/en/main.wav");
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    wav::read(&bytes).context("a prompt of the demo is a WAV file")
}

fn detector() -> anyhow::Result<Sample> {
    let speech = speech()?;
    let mut detector = Detector::new();
    let frames: Vec<&[i16]> = speech.chunks_exact(160).collect();
    let mut heard = 0;
    let spent = on_core(|| {
        for _ in 0..ROUNDS {
            for frame in &frames {
                heard += usize::from(black_box(detector.feed(black_box(frame))).is_some());
            }
        }
    });
    let each = micros(spent) / (ROUNDS * frames.len()) as f64;
    ensure!(heard == 0, "speech was taken for {heard} digits");
    Ok(Sample::one(each))
}

/// Microseconds of one session's 20 ms.
fn worker(load: Load, size: (u64, u64), speech: &[i16]) -> anyhow::Result<f64> {
    let (sessions, ticks) = size;
    let mut worker = Worker::new(Config::default(), Rng::from_u64(1));
    let prompt = Clip {
        name: "main".into(),
        samples: speech.into(),
    };
    for n in 0..sessions {
        open(&mut worker, load, n, &prompt);
    }
    let codes: Vec<u8> = speech
        .iter()
        .map(|&sample| g711::ulaw_encode(sample))
        .collect();
    let frames: Vec<&[u8]> = codes.chunks_exact(160).collect();
    let packets: Vec<Vec<u8>> = (1..=ticks)
        .map(|tick| packet(tick, frames[tick as usize % frames.len()]))
        .collect();
    let spent = on_core(|| run(&mut worker, load, sessions, &packets));
    let counts = worker.counts();
    let wrong = (counts.failed, counts.refused, counts.dropped);
    ensure!(
        wrong == (0, 0, 0),
        "sessions failed, were refused or dropped packets: {wrong:?}"
    );
    Ok(micros(spent) / (sessions * ticks) as f64)
}

/// Each tick every session gets a packet, and then its tick.
fn run(worker: &mut Worker, load: Load, sessions: u64, packets: &[Vec<u8>]) {
    for (tick, bytes) in (1..).zip(packets) {
        let now = at(tick * 20_000_000 - 10_000_000);
        if load != Load::Idle {
            for n in 0..sessions {
                let (session, channel) = (SessionId(n), Channel::Rtp);
                let input = Input::Packet {
                    session,
                    channel,
                    from: far(n),
                    bytes,
                };
                worker.handle(now, input);
                drain(worker);
            }
        }
        worker.handle(at(tick * 20_000_000), Input::Tick);
        drain(worker);
    }
}

fn open(worker: &mut Worker, load: Load, n: u64, prompt: &Clip) {
    let session = SessionId(n);
    let port = far(n).port();
    let params = StreamParams {
        dtmf: Some(EventFormat::of(101)),
        ..StreamParams::new(Codec::Pcmu, far(n))
    };
    let local = SocketAddr::from(([127, 0, 0, 1], port));
    command(worker, Command::Open { session, local });
    command(worker, Command::Configure { session, params });
    match load {
        Load::Idle => {}
        Load::Prompt | Load::Recorded => {
            let (play, clips) = (PlayId(n), vec![prompt.clone()]);
            command(
                worker,
                Command::Play {
                    session,
                    play,
                    clips,
                    repeat: true,
                },
            );
            if load == Load::Recorded {
                let recording = RecordingId::of_call(CallId(n.into()));
                command(
                    worker,
                    Command::RecordCall {
                        session,
                        recording,
                        channels: 2,
                    },
                );
            }
        }
        Load::Bridged if n % 2 == 1 => {
            command(
                worker,
                Command::Bridge {
                    a: SessionId(n - 1),
                    b: session,
                },
            );
        }
        Load::Bridged => {}
        Load::Conference => {
            let conference = ConferenceId(1);
            command(
                worker,
                Command::Join {
                    session,
                    conference,
                },
            );
        }
    }
}

fn command(worker: &mut Worker, command: Command) {
    worker.handle(at(0), Input::Command(command));
    drain(worker);
}

/// Takes every output, as the shell does, without sending it.
fn drain(worker: &mut Worker) {
    while let Some(output) = worker.poll() {
        if let Output::Send { packet, .. } = output {
            black_box(packet.as_bytes());
        }
    }
}

fn packet(tick: u64, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 0,
        sequence: tick as u16,
        timestamp: tick as u32 * 160,
        ssrc: 9,
    };
    [&header.to_bytes()[..], payload].concat()
}

fn far(n: u64) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 20_000 + 2 * n as u16))
}

fn at(nanos: u64) -> Now {
    Now::new(
        Mono(nanos),
        Wall(1_800_000_000_000_000 + nanos as i64 / 1_000),
    )
}
