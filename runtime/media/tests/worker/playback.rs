//! What one node plays, the other hears; and the stream it is sent in.

use std::time::Duration;

use media::compare::{coverage, similarity};
use media::{Channel, Codec, Command, Event, StreamParams};
use vocab::{Clip, PlayId, SessionId};

use crate::world::{Link, ONE, TWO, World, params, params_to, phone, port, speech};

fn played(world: &World) -> Vec<(u64, bool)> {
    world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Played { play, finished, .. } => Some((play.0, *finished)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_prompt_is_heard_whole() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = World::call(
            1,
            Link {
                delay_ms: 15,
                ..Link::default()
            },
            codec,
        );
        let prompt = speech(1, 4_000);
        world.run_ms(500);
        world.play(0, ONE, 1, &prompt);
        world.run_ms(4_500);
        assert_eq!(played(&world), [(1, true)]);
        world.close(0, ONE);
        world.close(1, TWO);
        let heard = world.heard(TWO);
        let found = similarity(&prompt, &heard, 8_000);
        assert!(found.score > 0.98, "{codec:?}: {found:?}");
        // 500 ms before it, the network, the buffer and the phase of the two clocks.
        assert!(
            (500 * 8..600 * 8).contains(&found.lag),
            "{codec:?}: {found:?}"
        );
        world.assert_empty();
    }
}

#[test]
fn a_prompt_survives_a_bad_network() {
    let link = Link {
        loss: 0.03,
        duplicate: 0.02,
        delay_ms: 20,
        jitter_ms: 50,
    };
    for seed in 0..5 {
        let mut world = World::call(seed, link, Codec::Pcma);
        let prompt = speech(seed, 10_000);
        // The buffer has learned how bad it is.
        world.run_ms(4_000);
        world.play(0, ONE, 1, &prompt);
        world.run_ms(11_000);
        assert_eq!(played(&world), [(1, true)]);
        world.close(0, ONE);
        world.close(1, TWO);
        let heard = &world.heard(TWO)[4_000 * 8..];
        let found = coverage(&prompt, heard, 4_000);
        assert!(found > 0.6, "seed {seed}: {found}");
        world.assert_empty();
    }
}

#[test]
fn the_report_comes_after_the_last_packet() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    world.log.clear();
    // Three frames, the last not full.
    world.play(0, ONE, 7, &[5_000; 400]);
    world.run_ms(70);
    let log: Vec<&str> = world
        .log
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(log, ["send", "send", "send", "Played"]);
    let last = world
        .tapped
        .last()
        .expect("packets were sent")
        .rtp()
        .payload
        .to_vec();
    assert!(
        last[79] != 0xff && last[80] == 0xff,
        "the last word is not clipped"
    );
}

#[test]
fn the_stream_has_no_gap_from_configure_to_close() {
    let mut world = World::new(3, 1);
    world.open(0, ONE, params_to(phone(1)));
    world.run_ms(500);
    world.play(0, ONE, 1, &speech(1, 200));
    world.run_ms(500);
    world.close(0, ONE);
    world.run_ms(100);
    let packets: Vec<_> = world
        .tapped
        .iter()
        .filter(|tap| tap.to == phone(1))
        .collect();
    assert_eq!(packets.len(), 50);
    for pair in packets.windows(2) {
        let [a, b] = [pair[0].rtp().header, pair[1].rtp().header];
        assert_eq!(b.sequence, a.sequence.wrapping_add(1));
        assert_eq!(b.timestamp, a.timestamp.wrapping_add(160));
        assert_eq!((b.ssrc, b.marker), (a.ssrc, false));
        assert_eq!(pair[1].at - pair[0].at, Duration::from_millis(20));
    }
    assert!(packets[0].rtp().header.marker, "the beginning");
    assert!(packets.iter().all(|tap| tap.bytes.len() == 172));
}

#[test]
fn playbacks_replace_and_stop_one_another() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    let long = speech(1, 5_000);
    world.play(0, ONE, 1, &long);
    world.run_ms(100);
    world.play(0, ONE, 2, &long);
    world.command(
        0,
        Command::Stop {
            session: ONE,
            play: PlayId(1),
        },
    );
    world.run_ms(100);
    assert_eq!(played(&world), [(1, false)]);
    world.command(
        0,
        Command::Stop {
            session: ONE,
            play: PlayId(2),
        },
    );
    world.command(
        0,
        Command::Stop {
            session: ONE,
            play: PlayId(2),
        },
    );
    assert_eq!(played(&world), [(1, false), (2, false)]);
    let silence = Clip::silence(Duration::from_millis(40));
    let play = PlayId(3);
    world.command(
        0,
        Command::Play {
            session: ONE,
            play,
            clips: vec![silence],
            repeat: true,
        },
    );
    world.run_ms(500);
    world.close(0, ONE);
    assert_eq!(played(&world), [(1, false), (2, false), (3, false)]);
    assert!(
        matches!(world.events.last(), Some(Event::Closed { .. })),
        "after all else"
    );
}

#[test]
fn a_playback_waits_for_media_and_runs_on_hold() {
    let mut world = World::new(1, 1);
    let local = port(ONE, Channel::Rtp);
    world.command(
        0,
        Command::Open {
            session: ONE,
            local,
        },
    );
    world.play(0, ONE, 1, &speech(1, 100));
    world.run_ms(500);
    assert_eq!((played(&world).len(), world.tapped.len()), (0, 0));
    let params = StreamParams {
        send: false,
        ..params_to(phone(1))
    };
    world.command(
        0,
        Command::Configure {
            session: ONE,
            params,
        },
    );
    world.run_ms(500);
    assert_eq!(played(&world), [(1, true)]);
    assert!(
        world.tapped.iter().all(|tap| tap.to != phone(1)),
        "it is on hold"
    );
}

#[test]
fn a_late_shell_catches_up_and_is_counted() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    world.run_ms(200);
    let before = world.worker(0).counts();
    assert_eq!(
        (before.packets_out, before.late_packets, before.late_ticks),
        (10, 0, 0)
    );
    world.stall(0, Duration::from_millis(75));
    world.run_ms(200);
    let after = world.worker(0).counts();
    // Three ticks fell into the 75 ms; they are done 58, 38 and 18 ms late.
    assert_eq!((after.packets_out, after.skipped_ticks), (20, 0));
    assert_eq!((after.late_packets, after.late_ticks), (2, 2));
    world.stall(0, Duration::from_secs(1));
    world.run_ms(1_200);
    let last = world.worker(0).counts();
    assert_eq!((last.packets_out, last.skipped_ticks), (20 + 60 - 40, 40));
    world.run_ms(100);
    let stamps: Vec<u32> = world
        .tapped
        .iter()
        .filter(|tap| tap.to == phone(1))
        .map(|tap| tap.rtp().header.timestamp)
        .collect();
    let jumps: Vec<u32> = stamps
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|step| *step != 160)
        .collect();
    assert_eq!(
        jumps,
        [160 * 41],
        "the time that was left out shows in the timestamps"
    );
}

#[test]
fn ports_come_back_and_nothing_stays() {
    let mut world = World::new(1, 1);
    for n in 1..=200 {
        let session = SessionId(n);
        world.open(0, session, params(SessionId(n + 1_000)));
        world.play(0, session, n, &speech(n, 300));
        world.run_ms(7);
    }
    world.run_ms(400);
    for n in 1..=200 {
        world.close(0, SessionId(n));
    }
    let closed: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Closed {
                session,
                local,
                stats,
            } => Some((*session, *local, stats.sent)),
            _ => None,
        })
        .collect();
    assert_eq!(closed.len(), 200);
    for (session, local, sent) in closed {
        assert_eq!(local, port(session, Channel::Rtp));
        assert!(sent >= 20);
    }
    assert_eq!(played(&world).len(), 200);
    world.assert_empty();
}

#[test]
fn too_many_sessions_are_refused_with_their_ports() {
    use media::{Config, Input, Output, Worker};
    use vocab::{Now, Rng};
    let config = Config {
        sessions_max: 2,
        ..Config::default()
    };
    let mut worker = Worker::new(config, Rng::from_u64(1));
    let mut closed = Vec::new();
    for n in 1..=3 {
        let session = SessionId(n);
        let local = port(session, Channel::Rtp);
        worker.handle(
            Now::default(),
            Input::Command(Command::Open { session, local }),
        );
        while let Some(output) = worker.poll() {
            closed.push(output);
        }
    }
    let [
        Output::Event(Event::Closed {
            session: SessionId(3),
            local,
            ..
        }),
    ] = closed[..]
    else {
        panic!("{closed:?}");
    };
    assert_eq!(local, port(SessionId(3), Channel::Rtp));
    assert_eq!(worker.counts().refused, 1);
}

#[test]
fn clocks_that_drift_apart_do_not_delay_a_call() {
    let mut world = World::call(
        1,
        Link {
            delay_ms: 10,
            jitter_ms: 5,
            ..Link::default()
        },
        Codec::Pcmu,
    );
    world.drift(0, 200);
    world.drift(1, -200);
    // Twelve minutes apart by 400 ppm is 288 ms.
    let prompt = speech(8, 2_000);
    let mut delays = Vec::new();
    for minute in 0..12 {
        world.run_ms(56_000);
        world.play(0, ONE, minute, &prompt);
        world.play(1, TWO, minute + 100, &prompt);
        world.run_ms(4_000);
        for session in [ONE, TWO] {
            // What was handed over so far ends up to 0.5 s ago.
            let (heard, said) = (world.heard(session), world.said(session));
            let start = said.len() - 5 * 8_000;
            let played = similarity(&prompt, &said[start..], 20_000);
            let came = similarity(&prompt, &heard[start..], 24_000);
            assert!(
                played.score > 0.99,
                "minute {minute}, {session}: {played:?}"
            );
            // Sometimes the buffer follows the clock just then.
            assert!(came.score > 0.5, "minute {minute}, {session}: {came:?}");
            delays.push(came.lag.abs_diff(played.lag));
        }
    }
    // Both prompts begin in the same moment, so the difference is one way's delay.
    assert!(
        delays.iter().all(|delay| (80..800).contains(delay)),
        "{delays:?}"
    );
}
