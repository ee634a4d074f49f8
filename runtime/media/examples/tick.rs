//! What a session costs: nanoseconds for each 20 ms of it, and bytes.
//!
//! `cargo run --release --example tick -p jackfield-media [-- LOAD]`
//!
//! Memory is that of the first run of a load; with several loads the later ones reuse what the
//! earlier ones gave back, so name one to see its own.

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
    let wanted = std::env::args().nth(1);
    println!(
        "{:<16} {:>12} {:>14} {:>12}",
        "load", "ns per tick", "of it the tick", "KB each"
    );
    for load in [
        Load::Idle,
        Load::Listening,
        Load::Prompt,
        Load::PromptRecorded,
        Load::BridgeThrough,
        Load::BridgeRecorded,
    ] {
        if wanted
            .as_ref()
            .is_some_and(|wanted| *wanted != format!("{load:?}"))
        {
            continue;
        }
        let mut runs: Vec<(u128, u128, u64)> = (0..5).map(|seed| measure(load, seed)).collect();
        // Memory is given back late: the first run begins with the least.
        let kilobytes = runs[0].2;
        runs.sort_unstable();
        let (total, ticks, _) = runs[2];
        let load = format!("{load:?}");
        println!("{load:<16} {total:>12} {ticks:>14} {kilobytes:>12}");
    }
}

/// Nanoseconds of one session's 20 ms, its received packet included; of the tick alone; and how
/// many KB the process grew for each session.
fn measure(load: Load, seed: u64) -> (u128, u128, u64) {
    let resident_before = resident_kb();
    let mut worker = Worker::new(Config::default(), Rng::from_u64(seed));
    let pause = Duration::ZERO;
    let prompt = tone::digits("0123456789", Duration::from_millis(400), pause);
    let prompt = prompt.expect("these are keys");
    for n in 0..SESSIONS {
        open(&mut worker, load, n, &prompt);
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
    let grown = resident_kb().saturating_sub(resident_before) / SESSIONS;
    (
        (packets + ticks).as_nanos() / steps,
        ticks.as_nanos() / steps,
        grown,
    )
}

/// Resident memory of this process; zero where the system does not tell.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

fn open(worker: &mut Worker, load: Load, n: u64, prompt: &Clip) {
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
        let clips = vec![prompt.clone()];
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
