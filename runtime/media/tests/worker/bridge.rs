//! Two sessions of one node that hear each other.

use std::time::Duration;

use media::compare::similarity;
use media::g711::{self, Law};
use media::rtp::Header;
use media::telephone_event::{Report, Sender, Sending};
use media::{Channel, Codec, Command, Event, EventFormat, StreamParams};
use vocab::SessionId;

use crate::world::{
    Link, ONE, TWO, Tapped, World, packet, params, params_to, peak, phone, port, recording, speech,
};

const LEFT: SessionId = SessionId(11);
const RIGHT: SessionId = SessionId(12);

fn bridge(world: &mut World, node: usize, a: SessionId, b: SessionId) {
    world.command(node, Command::Bridge { a, b });
}

/// One node with two sessions, bridged, with raw phones on both ends.
fn bridged() -> World {
    let mut world = World::new(4, 1);
    world.link.delay_ms = 0;
    world.open(0, ONE, params_to(phone(1)));
    world.open(
        0,
        TWO,
        StreamParams {
            dtmf: Some(EventFormat::of(96)),
            ..params_to(phone(2))
        },
    );
    bridge(&mut world, 0, ONE, TWO);
    world
}

fn to(world: &World, host: u8) -> Vec<&Tapped> {
    world
        .tapped
        .iter()
        .filter(|tap| tap.to == phone(host))
        .collect()
}

fn from_phone(world: &mut World, host: u8, bytes: Vec<u8>) {
    let session = SessionId(u64::from(host));
    world.send(phone(host), port(session, Channel::Rtp), bytes);
}

#[test]
fn packets_go_through_untouched_when_they_come() {
    let mut world = bridged();
    world.run_ms(13);
    // Once a packet has come, no silence is sent between them.
    let mut expected = Vec::new();
    for n in 0..50_u16 {
        let payload = [n as u8; 160];
        if n != 20 {
            from_phone(
                &mut world,
                1,
                packet(77, 900 + n, 5_000 + u32::from(n) * 160, &payload),
            );
            expected.push((world.now, n, payload));
        }
        if n == 30 {
            // A duplicate and one of a wrong type are not passed on.
            from_phone(&mut world, 1, packet(77, 930, 5_000 + 30 * 160, &payload));
            let mut wrong = packet(77, 931, 0, &payload);
            wrong[1] = 9;
            from_phone(&mut world, 1, wrong);
        }
        world.run_ms(20);
    }
    let heard: Vec<_> = to(&world, 2)
        .into_iter()
        .filter(|tap| tap.rtp().payload != [0xff; 160])
        .collect();
    assert_eq!(heard.len(), expected.len());
    let first = heard[0].rtp().header;
    for (tap, (sent_at, n, payload)) in heard.iter().zip(expected) {
        let rtp = tap.rtp();
        assert_eq!(tap.at, sent_at, "passed on at once");
        assert_eq!(rtp.payload, payload);
        assert_eq!(
            rtp.header.sequence,
            first.sequence.wrapping_add(n),
            "a loss shows"
        );
        assert_eq!(
            rtp.header.timestamp,
            first.timestamp.wrapping_add(u32::from(n) * 160)
        );
        assert_eq!((rtp.header.ssrc, rtp.header.payload_type), (first.ssrc, 0));
        assert_eq!(rtp.header.marker, n == 0);
    }
    let silence = to(&world, 1);
    assert!(
        silence.len() >= 50,
        "the silent side is sent silence all the time"
    );
    assert!(silence.iter().all(|tap| tap.rtp().payload == [0xff; 160]));
}

#[test]
fn numbers_go_on_whatever_is_switched() {
    let mut world = bridged();
    let mut sequence = 65_500_u16;
    let mut timestamp = u32::MAX - 8_000;
    for round in 0..8 {
        for n in 0..25 {
            from_phone(&mut world, 1, packet(77, sequence, timestamp, &[0x30; 160]));
            sequence = sequence.wrapping_add(1);
            timestamp = timestamp.wrapping_add(160);
            world.run_ms(20);
            match (round % 4, n) {
                (1, 10) => world.command(
                    0,
                    Command::RecordCall {
                        session: TWO,
                        recording: recording(SessionId(round)),
                        channels: 2,
                    },
                ),
                (2, 10) => world.command(
                    0,
                    Command::StopRecording {
                        session: TWO,
                        recording: recording(SessionId(round - 1)),
                        end: vocab::call::RecordEnd::Terminator,
                    },
                ),
                // The far end pauses, and goes on.
                (3, 10) => {
                    world.run_ms(600);
                    timestamp = timestamp.wrapping_add(4_800);
                }
                _ => {}
            }
        }
    }
    let heard: Vec<Header> = to(&world, 2).iter().map(|tap| tap.rtp().header).collect();
    for pair in heard.windows(2) {
        assert_eq!(
            pair[1].sequence,
            pair[0].sequence.wrapping_add(1),
            "no gap, no repetition"
        );
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        // A pause is filled up after 200 ms.
        assert!((1..=11 * 160).contains(&step), "time goes forward: {step}");
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
    }
    let audio = to(&world, 2)
        .iter()
        .filter(|tap| tap.rtp().payload[0] != 0xff)
        .count();
    // What is in the jitter buffer when packets go through again is not played.
    assert!(audio >= 190, "{audio} of 200 packets were heard");
}

#[test]
fn keys_go_through_with_the_other_number() {
    let mut world = bridged();
    let mut sender = Sender::new('7', 8_000, 8_000).expect("a key");
    let mut sequence = 50;
    while let Sending::Report {
        marker,
        timestamp,
        report,
    } = sender.tick()
    {
        let header = Header {
            marker,
            payload_type: 101,
            sequence,
            timestamp,
            ssrc: 77,
        };
        from_phone(
            &mut world,
            1,
            [&header.to_bytes()[..], &report.to_bytes()].concat(),
        );
        sequence += 1;
        world.run_ms(20);
    }
    let events: Vec<_> = to(&world, 2)
        .into_iter()
        .filter(|tap| tap.rtp().header.payload_type == 96)
        .map(|tap| {
            (
                tap.rtp().header.timestamp,
                Report::parse(tap.rtp().payload).expect("four"),
            )
        })
        .collect();
    assert_eq!(events.len(), 7);
    assert!(
        events
            .iter()
            .all(|(timestamp, report)| *timestamp == events[0].0 && report.code == 7)
    );
    assert_eq!(events.iter().filter(|(_, report)| report.end).count(), 3);
    assert_eq!(world.digits(ONE), "7");
    assert_eq!(world.digits(TWO), "");
}

/// Session 1 and 2 at the ends, 11 and 12 bridged in the middle.
fn chain(seed: u64, link: Link, left: StreamParams, right: StreamParams) -> World {
    let mut world = World::new(seed, 3);
    world.link = link;
    world.open(0, ONE, StreamParams { ..left.clone() });
    world.open(2, TWO, StreamParams { ..right.clone() });
    let to = |params: StreamParams, far| {
        let at = |channel| port(far, channel);
        StreamParams {
            remote_rtp: at(Channel::Rtp),
            remote_rtcp: at(Channel::Rtcp),
            ..params
        }
    };
    world.open(1, LEFT, to(left, ONE));
    world.open(1, RIGHT, to(right, TWO));
    bridge(&mut world, 1, LEFT, RIGHT);
    for (node, session) in [(0, ONE), (2, TWO)] {
        world.command(
            node,
            Command::RecordCall {
                session,
                recording: recording(session),
                channels: 2,
            },
        );
    }
    world
}

#[test]
fn both_ends_hear_each_other_whatever_the_codecs() {
    let a_law = StreamParams {
        codec: Codec::Pcma,
        payload_type: 8,
        ..params(RIGHT)
    };
    let plain = StreamParams {
        dtmf: None,
        ..params(RIGHT)
    };
    for (name, right) in [
        ("same", params(RIGHT)),
        ("other law", a_law),
        ("no events", plain),
    ] {
        let mut world = chain(
            1,
            Link {
                delay_ms: 5,
                ..Link::default()
            },
            params(LEFT),
            right,
        );
        let (question, answer) = (speech(1, 3_000), speech(2, 3_000));
        world.run_ms(1_000);
        world.play(0, ONE, 1, &question);
        world.play(2, TWO, 2, &answer);
        world.run_ms(4_000);
        world.dial(0, ONE, "159");
        world.run_ms(2_000);
        assert_eq!(
            (world.digits(LEFT), world.digits(TWO)),
            ("159".into(), "159".into()),
            "{name}"
        );
        for (node, session) in [(0, ONE), (1, LEFT), (1, RIGHT), (2, TWO)] {
            world.close(node, session);
        }
        for (session, said) in [(TWO, question), (ONE, answer)] {
            let found = similarity(&said, &world.heard(session), 12_000);
            assert!(found.score > 0.95, "{name}: {session} heard {found:?}");
            assert!(found.lag < 1_300 * 8, "{name}: {session} heard {found:?}");
        }
        world.assert_empty();
    }
}

#[test]
fn a_recorded_bridge_has_both_sides_in_it() {
    let mut world = chain(
        1,
        Link {
            delay_ms: 5,
            ..Link::default()
        },
        params(LEFT),
        params(RIGHT),
    );
    let middle = recording(SessionId(99));
    world.command(
        1,
        Command::RecordCall {
            session: LEFT,
            recording: middle,
            channels: 2,
        },
    );
    let (question, answer) = (speech(1, 3_000), speech(2, 3_000));
    world.play(0, ONE, 1, &question);
    world.play(2, TWO, 2, &answer);
    world.run_ms(4_000);
    world.close(1, LEFT);
    let recorded = &world.recordings[&middle];
    for (channel, said) in [(0, question), (1, answer)] {
        let found = similarity(&said, &recorded.channel(channel), 4_000);
        assert!(found.score > 0.95, "channel {channel}: {found:?}");
    }
}

#[test]
fn a_playback_on_a_bridge_is_heard_by_one_side_above_the_other() {
    let mut world = bridged();
    let mut codes = [0; 160];
    g711::encode(Law::Mu, &[2_000; 160], &mut codes);
    world.play(0, TWO, 5, &[4_000; 1_600]);
    for n in 0..40 {
        from_phone(&mut world, 1, packet(77, n, u32::from(n) * 160, &codes));
        world.run_ms(20);
    }
    let loud: Vec<u16> = to(&world, 2)
        .iter()
        .map(|tap| {
            let mut samples = vec![0; tap.rtp().payload.len()];
            g711::decode(Law::Mu, tap.rtp().payload, &mut samples);
            peak(&samples)
        })
        .collect();
    assert!(
        loud.iter().any(|&peak| (5_500..6_500).contains(&peak)),
        "both: {loud:?}"
    );
    assert!(
        (1_800..2_200).contains(loud.last().expect("some")),
        "then the far end alone"
    );
}

#[test]
fn a_bridge_stops_playbacks_and_ends_with_either_side() {
    let mut world = World::new(4, 1);
    for n in 1..=3 {
        world.open(0, SessionId(n), params_to(phone(n as u8)));
        world.play(0, SessionId(n), n, &speech(n, 9_000));
    }
    bridge(&mut world, 0, ONE, TWO);
    let stopped = |world: &World| {
        let played = |event: &&Event| {
            matches!(
                event,
                Event::Played {
                    finished: false,
                    ..
                }
            )
        };
        world.events.iter().filter(played).count()
    };
    assert_eq!(stopped(&world), 2);
    // A bridge to somebody else ends the first one.
    bridge(&mut world, 0, TWO, SessionId(3));
    assert_eq!(stopped(&world), 3);
    world.run(Duration::from_millis(100));
    from_phone(&mut world, 1, packet(1, 1, 160, &[0x20; 160]));
    world.run_ms(200);
    assert!(to(&world, 2).iter().all(|tap| tap.rtp().payload[0] != 0x20));
    world.close(0, TWO);
    let before = to(&world, 3).len();
    from_phone(&mut world, 3, packet(1, 1, 160, &[0x20; 160]));
    world.run_ms(200);
    assert_eq!(
        to(&world, 3).len() - before,
        10,
        "the one left is sent silence"
    );
    world.command(
        0,
        Command::Unbridge {
            session: SessionId(3),
        },
    );
    bridge(&mut world, 0, ONE, ONE);
    bridge(&mut world, 0, ONE, TWO);
    assert_eq!(world.worker(0).counts().refused, 2);
    world.close(0, ONE);
    world.close(0, SessionId(3));
    world.assert_empty();
}
