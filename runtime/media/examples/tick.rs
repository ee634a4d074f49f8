//! What a session costs: nanoseconds for each 20 ms of it, and bytes.
//!
//! `cargo run --release --example tick -p jackfield-media`

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_media::rtp::Header;
use jackfield_media::{Channel, Codec, Command, Config, Input, Output, StreamParams, Worker, tone};
use vocab::{CallId, Clip, Mono, Now, PlayId, RecordingId, Rng, SessionId, Wall};

const SESSIONS: u64 = 1_000;
const TICKS: u64 = 250;

/// What the sessions do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Load {
    /// Silence out, nothing in.
    Idle,
    /// Silence out, audio in, listened to for tones.
    Listening,
    /// A prompt out, audio in, telephone events known.
    Prompt,
    /// The same, and the call is recorded.
    PromptRecorded,
    /// Pairs, packets passed on.
    BridgeThrough,
    /// Pairs, decoded, mixed and recorded on one side.
    BridgeRecorded,
}

fn main() {
    println!(
        "{:<16} {:>12} {:>14}",
        "load", "ns per tick", "of it the tick"
    );
    for load in [
        Load::Idle,
        Load::Listening,
        Load::Prompt,
        Load::PromptRecorded,
        Load::BridgeThrough,
        Load::BridgeRecorded,
    ] {
        let mut runs: Vec<(u128, u128)> = (0..5).map(|seed| measure(load, seed)).collect();
        runs.sort_unstable();
        let (total, ticks) = runs[2];
        let load = format!("{load:?}");
        println!("{load:<16} {total:>12} {ticks:>14}");
    }
}

/// Nanoseconds of one session's 20 ms, its received packet included; and of the tick alone.
fn measure(load: Load, seed: u64) -> (u128, u128) {
    let mut worker = Worker::new(Config::default(), Rng::from_u64(seed));
    for n in 0..SESSIONS {
        open(&mut worker, load, n);
    }
    let speech = tone::digits(
        "159D",
        Duration::from_millis(700),
        Duration::from_millis(300),
    )
    .expect("these are keys");
    let codes: Vec<u8> = speech
        .samples
        .iter()
        .map(|&sample| jackfield_media::g711::ulaw_encode(sample / 4))
        .collect();
    let (mut packets, mut ticks) = (Duration::ZERO, Duration::ZERO);
    for tick in 1..=TICKS {
        let now = at(tick * 20_000_000 - 10_000_000);
        let begun = Instant::now();
        if load != Load::Idle {
            for n in 0..SESSIONS {
                let bytes = packet(tick, &codes[tick as usize * 160 % 16_000..][..160]);
                let (session, channel) = (SessionId(n), Channel::Rtp);
                let input = Input::Packet {
                    session,
                    channel,
                    from: far(n),
                    bytes: &bytes,
                };
                worker.handle(now, input);
                drain(&mut worker);
            }
        }
        packets += begun.elapsed();
        let begun = Instant::now();
        worker.handle(at(tick * 20_000_000), Input::Tick);
        drain(&mut worker);
        ticks += begun.elapsed();
    }
    let counts = worker.counts();
    assert_eq!((counts.failed, counts.refused, counts.dropped), (0, 0, 0));
    let steps = u128::from(SESSIONS * TICKS);
    (
        (packets + ticks).as_nanos() / steps,
        ticks.as_nanos() / steps,
    )
}

fn open(worker: &mut Worker, load: Load, n: u64) {
    let session = SessionId(n);
    let mut far_rtcp = far(n);
    far_rtcp.set_port(far(n).port() + 1);
    let params = StreamParams {
        remote_rtp: far(n),
        remote_rtcp: far_rtcp,
        codec: Codec::Pcmu,
        payload_type: 0,
        dtmf_payload_type: Some(101),
        send: true,
        receive: true,
    };
    let local = SocketAddr::from(([127, 0, 0, 1], 10_000 + 2 * n as u16));
    command(worker, Command::Open { session, local });
    command(worker, Command::Configure { session, params });
    if load == Load::Prompt || load == Load::PromptRecorded {
        let prompt = tone::digits("0123456789", Duration::from_millis(400), Duration::ZERO);
        let clips = vec![prompt.unwrap_or_else(|| Clip::silence(Duration::from_secs(1)))];
        let play = PlayId(n);
        command(
            worker,
            Command::Play {
                session,
                play,
                clips,
                repeat: true,
            },
        );
        // One key, so that tones are no longer listened for.
        let header = Header {
            payload_type: 101,
            ssrc: 9,
            ..Header::default()
        };
        let bytes = [&header.to_bytes()[..], &[1, 0x8a, 3, 0x20]].concat();
        let channel = Channel::Rtp;
        worker.handle(
            at(0),
            Input::Packet {
                session,
                channel,
                from: far(n),
                bytes: &bytes,
            },
        );
        drain(worker);
    }
    if load == Load::PromptRecorded || load == Load::BridgeRecorded && n.is_multiple_of(2) {
        let recording = RecordingId {
            call: CallId(n.into()),
            n: 0,
        };
        command(worker, Command::RecordCall { session, recording });
    }
    if (load == Load::BridgeThrough || load == Load::BridgeRecorded) && n % 2 == 1 {
        command(
            worker,
            Command::Bridge {
                a: SessionId(n - 1),
                b: session,
            },
        );
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
            std::hint::black_box(packet.as_bytes());
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
