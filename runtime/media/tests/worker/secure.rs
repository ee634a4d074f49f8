//! Secured streams: heard by whom they are for, and by nobody else.

use std::time::Duration;

use media::compare::similarity;
use media::negotiate::keys;
use media::srtp::{MasterKey, Suite};
use media::{Channel, Codec, Command, Event, SrtpKeys, StreamParams};
use vocab::{Rng, SessionId};

use crate::world::{ONE, TWO, World, packet, params, params_to, phone, port, recording, speech};

/// Keys of a suite for two ends.
fn pair(suite: Suite, seed: u64) -> [SrtpKeys; 2] {
    let mut rng = Rng::from_u64(seed);
    let [a, b] = [(); 2].map(|()| MasterKey::random(suite, &mut rng));
    let of = |send: &MasterKey, receive: &MasterKey| SrtpKeys {
        send: send.clone(),
        receive: receive.clone(),
    };
    [of(&a, &b), of(&b, &a)]
}

fn secured(keys: &SrtpKeys, params: StreamParams) -> StreamParams {
    StreamParams {
        srtp: Some(keys.clone()),
        ..params
    }
}

/// A call between two nodes, the second of which is recorded.
fn call(ends: &[SrtpKeys; 2], mux: bool) -> World {
    let mut world = World::new(3, 2);
    for (node, session, far) in [(0, ONE, TWO), (1, TWO, ONE)] {
        let params = StreamParams {
            rtcp_mux: mux,
            ..secured(&ends[node], params(far))
        };
        world.open(node, session, params);
    }
    let (session, recording) = (TWO, recording(TWO));
    world.command(
        1,
        Command::RecordCall {
            session,
            recording,
            channels: 2,
        },
    );
    world
}

#[test]
fn every_suite_carries_speech_keys_and_reports() {
    for suite in Suite::ALL {
        for mux in [false, true] {
            let mut world = call(&pair(suite, 5), mux);
            let said = speech(2, 3_000);
            world.play(0, ONE, 1, &said);
            world.run_ms(4_000);
            world.dial(0, ONE, "42#");
            world.run_ms(12_000);
            assert_eq!(world.digits(TWO), "42#", "{suite:?}");
            let round_trip = world.worker(0).round_trip(ONE);
            let near = Duration::from_millis(8)..Duration::from_millis(12);
            let known = round_trip.is_some_and(|time| near.contains(&time));
            assert!(known, "{suite:?}, {mux}: {round_trip:?}");
            assert_eq!(world.worker(1).counts().unauthentic, 0);
            world.close(0, ONE);
            world.close(1, TWO);
            let score = similarity(&said, &world.heard(TWO), 3_000).score;
            assert!(score > 0.99, "{suite:?}: {score:.3}");
            world.assert_empty();
        }
    }
}

#[test]
fn nothing_is_heard_without_the_key() {
    let suite = Suite::AesCm128HmacSha1_80;
    let [ours, _] = pair(suite, 1);
    let [_, theirs] = pair(suite, 2);
    let mut world = call(&[ours, theirs], false);
    world.play(0, ONE, 1, &speech(2, 3_000));
    world.run_ms(31_000);
    let counts = world.worker(1).counts();
    assert!(counts.unauthentic > 1_400, "{}", counts.unauthentic);
    assert_eq!(world.worker(1).stats(TWO).expect("it is open").received, 0);
    // Packets of a stranger are no sign of life.
    let inactive = |event: &Event| matches!(event, Event::Inactive { session } if *session == TWO);
    assert!(world.events.iter().any(inactive));
    world.close(0, ONE);
    world.close(1, TWO);
    assert!(world.heard(TWO).iter().all(|sample| *sample == 0));
}

/// Neither with plain packets nor with recorded ones does a stranger get a word in or the stream to
/// himself, however long the far end is silent.
#[test]
fn a_stranger_gets_nothing_of_a_secured_stream() {
    let ends = pair(Suite::AeadAes128Gcm, 4);
    let mut world = World::new(3, 1);
    world.open(0, ONE, secured(&ends[0], params(TWO)));
    for n in 0..400_u16 {
        let plain = packet(9, n, u32::from(n) * 160, &[0x20; 160]);
        world.send(phone(66), port(ONE, Channel::Rtp), plain);
        world.run_ms(20);
    }
    let to_stranger = world
        .tapped
        .iter()
        .filter(|tap| tap.to.ip() == phone(66).ip());
    assert_eq!(to_stranger.count(), 0);
    assert_eq!(world.worker(0).counts().unauthentic, 400);
    // What we send does not show what it says.
    let silence = [0xff; 160];
    assert!(world.tapped.len() >= 399);
    for tap in &world.tapped {
        assert!(!tap.bytes.windows(16).any(|it| it == &silence[..16]));
    }
}

#[test]
fn a_secured_side_talks_with_a_plain_one() {
    for right in [Codec::Pcmu, Codec::G722] {
        let ends = pair(Suite::Aes256CmHmacSha1_80, 6);
        let mut world = World::new(9, 3);
        let (near, far) = (SessionId(3), SessionId(4));
        let with = |params| StreamParams {
            codec: right,
            payload_type: right.payload_type(),
            ..params
        };
        world.open(0, ONE, secured(&ends[0], params(near)));
        world.open(1, near, secured(&ends[1], params(ONE)));
        world.open(1, far, with(params(TWO)));
        world.open(2, TWO, with(params(far)));
        world.command(1, Command::Bridge { a: near, b: far });
        for (node, session) in [(0, ONE), (2, TWO)] {
            let recording = recording(session);
            world.command(
                node,
                Command::RecordCall {
                    session,
                    recording,
                    channels: 2,
                },
            );
        }
        let (one, two) = (speech(1, 2_000), speech(2, 2_000));
        world.play(0, ONE, 1, &one);
        world.play(2, TWO, 2, &two);
        world.run_ms(3_000);
        for (node, session) in [(0, ONE), (1, near), (1, far), (2, TWO)] {
            world.close(node, session);
        }
        for (said, heard) in [(&one, world.heard(TWO)), (&two, world.heard(ONE))] {
            let score = similarity(said, &heard, 4_000).score;
            assert!(score > 0.98, "{right:?}: {score:.3}");
        }
        world.assert_empty();
    }
}

/// A key changes, and security begins and ends, in the middle of a call.
#[test]
fn keys_change_in_the_middle() {
    let ends = pair(Suite::AeadAes256Gcm, 1);
    let mut world = call(&ends, false);
    let other = pair(Suite::AesCm128HmacSha1_32, 2);
    let mut said = Vec::new();
    for (n, ends) in [Some(&ends), Some(&other), None, Some(&ends)]
        .into_iter()
        .enumerate()
    {
        for (node, session, far) in [(0, ONE, TWO), (1, TWO, ONE)] {
            let params = StreamParams {
                srtp: ends.map(|ends| ends[node].clone()),
                ..params(far)
            };
            world.command(node, Command::Configure { session, params });
        }
        world.run_ms(200);
        let part = speech(n as u64, 1_000);
        world.play(0, ONE, n as u64, &part);
        world.run_ms(1_500);
        said.push(part);
    }
    world.close(0, ONE);
    world.close(1, TWO);
    let heard = world.heard(TWO);
    for (n, said) in said.iter().enumerate() {
        let from = 1_700 * 8 * n + 800;
        let part = &heard[from..(from + 13_000).min(heard.len())];
        let score = similarity(said, part, 4_000).score;
        assert!(score > 0.98, "part {n}: {score:.3}");
    }
}

#[test]
fn there_is_a_key_for_every_suite() {
    let made = keys(&mut Rng::from_u64(1));
    let suites: Vec<Suite> = made.iter().map(|it| it.key.suite()).collect();
    assert_eq!(suites, Suite::ALL);
}

/// Numbers of our packets that are secured, with their source: RTP by sequence, RTCP by index.
fn numbers(world: &World) -> Vec<(bool, u32, u32)> {
    let secured = world.tapped.iter().filter(|tap| tap.bytes.len() > 172);
    let rtp = secured.filter(|tap| !media::rtp::is_rtcp(&tap.bytes));
    rtp.map(|tap| {
        let header = tap.rtp().header;
        (true, header.ssrc, u32::from(header.sequence))
    })
    .collect()
}

/// A key that comes back after security ended, or after another one, never meets a number that it
/// has protected: there is a new source each time.
#[test]
fn a_key_that_comes_back_protects_nothing_twice() {
    let [ours, _] = pair(Suite::AeadAes128Gcm, 1);
    let [other, _] = pair(Suite::AesCm128HmacSha1_80, 2);
    let mut world = World::new(3, 1);
    world.open(0, ONE, secured(&ours, params_to(phone(1))));
    let mut sources = Vec::new();
    for keys in [Some(&ours), None, Some(&ours), Some(&other), Some(&ours)] {
        let session = ONE;
        let params = StreamParams {
            srtp: keys.cloned(),
            ..params_to(phone(1))
        };
        world.command(0, Command::Configure { session, params });
        world.run_ms(15_000);
        sources.push(world.tapped.last().map(|tap| tap.rtp().header.ssrc));
    }
    let mut different = sources.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 5, "{sources:?}");
    let mut all = numbers(&world);
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "a number was used twice");
}

/// Who takes over a secured stream knows nothing of what was sent before, even if that was more than
/// the sequence numbers count.
#[test]
fn a_far_end_that_comes_late_hears_us() {
    let [ours, theirs] = pair(Suite::AesCm128HmacSha1_80, 1);
    let mut world = World::new(3, 1);
    world.open(0, ONE, secured(&ours, params_to(phone(1))));
    world.run(Duration::from_secs(23 * 60));
    let [_, successor] = pair(Suite::AesCm128HmacSha1_80, 9);
    let keys = SrtpKeys {
        send: ours.send.clone(),
        receive: successor.send,
    };
    let (session, params) = (ONE, secured(&keys, params_to(phone(2))));
    world.command(0, Command::Configure { session, params });
    world.tapped.clear();
    world.run_ms(1_000);
    let mut receiver = media::srtp::Receiver::new(&theirs.receive);
    let mut opened = 0;
    for tap in world.tapped.iter().filter(|tap| tap.to == phone(2)) {
        opened += usize::from(receiver.unprotect(&mut tap.bytes.clone()).is_ok());
    }
    assert!(opened >= 49, "{opened} of 50");
}
