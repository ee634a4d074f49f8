//! Keys: once per press, by either way, under loss.

use media::g711::Law;
use media::rtp::Header;
use media::telephone_event::{Sender, Sending};
use media::tone;
use media::{Codec, StreamParams};
use std::time::Duration;

use crate::world::{Link, ONE, TWO, World, params, params_to, phone, port, speech};
use media::{Channel, g711};

const ALL: &str = "0123456789*#ABCD1122";

#[test]
fn events_arrive_once_each_under_loss() {
    let link = Link {
        loss: 0.05,
        duplicate: 0.05,
        delay_ms: 20,
        jitter_ms: 30,
    };
    for seed in 0..20 {
        let mut world = World::call(seed, link, Codec::Pcmu);
        world.run_ms(200);
        world.dial(0, ONE, ALL);
        world.dial(1, TWO, "5550199#");
        world.run_ms(6_000);
        assert_eq!(world.digits(TWO), ALL, "seed {seed}");
        assert_eq!(world.digits(ONE), "5550199#", "seed {seed}");
    }
}

#[test]
fn tones_are_heard_where_events_were_not_agreed() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = World::new(1, 2);
        let payload_type = crate::world::static_type(codec);
        let plain = |far| StreamParams {
            codec,
            payload_type,
            dtmf: None,
            ..params(far)
        };
        world.open(0, ONE, plain(TWO));
        world.open(1, TWO, plain(ONE));
        world.run_ms(200);
        world.dial(0, ONE, ALL);
        world.run_ms(6_000);
        assert_eq!(world.digits(TWO), ALL, "{codec:?}");
    }
}

/// A phone that agreed to events.
struct Phone {
    sequence: u16,
    timestamp: u32,
}

impl Phone {
    /// Sends 20 ms: audio, or a report of a key in its place, or both.
    fn tick(&mut self, world: &mut World, audio: Option<&[i16]>, key: Option<&mut Sender>) {
        if let Some(audio) = audio {
            self.speak(world, audio, false);
        }
        if let Some(Sending::Report {
            timestamp, report, ..
        }) = key.map(Sender::tick)
        {
            self.send(world, 101, timestamp, &report.to_bytes());
        }
        self.timestamp += 160;
        world.run_ms(20);
    }

    fn speak(&mut self, world: &mut World, audio: &[i16], marker: bool) {
        let mut codes = [0; 160];
        g711::encode(Law::Mu, audio, &mut codes);
        self.packet(world, (0, marker), self.timestamp, &codes);
    }

    fn send(&mut self, world: &mut World, payload_type: u8, timestamp: u32, payload: &[u8]) {
        self.packet(world, (payload_type, false), timestamp, payload);
    }

    fn packet(
        &mut self,
        world: &mut World,
        (payload_type, marker): (u8, bool),
        timestamp: u32,
        payload: &[u8],
    ) {
        let header = Header {
            marker,
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: 5,
        };
        self.sequence += 1;
        let bytes = [&header.to_bytes()[..], payload].concat();
        world.send(phone(1), port(ONE, Channel::Rtp), bytes);
    }
}

fn tones(keys: &str) -> Vec<i16> {
    let length = Duration::from_millis(100);
    tone::digits(keys, length, length)
        .expect("keys")
        .samples
        .to_vec()
}

#[test]
fn a_phone_that_agrees_to_events_and_sends_tones_is_heard() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    let mut phone = Phone {
        sequence: 0,
        timestamp: 0,
    };
    for frame in tones("42").chunks(160) {
        phone.tick(&mut world, Some(frame), None);
    }
    world.run_ms(200);
    assert_eq!(world.digits(ONE), "42");
}

#[test]
fn a_tone_torn_by_a_stall_is_one_press() {
    let tones = tones("5572");
    let frames: Vec<&[i16]> = tones.chunks_exact(160).collect();
    for stalled_at in 1..frames.len() {
        // Of one or the other end, or of the network between: the audio of that time comes at once.
        for stall in [3, 6, 9, 12, 20, 30] {
            let mut world = World::new(1, 1);
            world.open(0, ONE, params_to(phone(1)));
            let mut phone = Phone {
                sequence: 0,
                timestamp: 0,
            };
            for (n, frame) in frames.iter().enumerate() {
                if n == stalled_at {
                    world.run_ms(20 * stall);
                }
                if (stalled_at..stalled_at + stall as usize).contains(&n) {
                    phone.speak(&mut world, frame, false);
                    phone.timestamp += 160;
                } else {
                    phone.tick(&mut world, Some(frame), None);
                }
            }
            world.run_ms(500);
            assert_eq!(
                world.digits(ONE),
                "5572",
                "{} ms from frame {stalled_at} on",
                20 * stall
            );
        }
    }
}

#[test]
fn a_tone_that_a_phone_leaves_a_hole_in_is_one_press() {
    let tones = tones("55");
    for stalled_at in 1..10 {
        for stall in [1, 5, 11, 25] {
            let mut world = World::new(1, 1);
            world.open(0, ONE, params_to(phone(1)));
            let mut phone = Phone {
                sequence: 0,
                timestamp: 0,
            };
            for (n, frame) in tones.chunks_exact(160).enumerate() {
                if n == stalled_at {
                    // Its clock went on, and it says of no silence.
                    phone.timestamp += 160 * stall;
                    world.run_ms(20 * u64::from(stall));
                }
                phone.tick(&mut world, Some(frame), None);
            }
            world.run_ms(500);
            let what = format!("{} ms before frame {stalled_at}", 20 * stall);
            assert_eq!(world.digits(ONE), "55", "{what}");
        }
    }
}

#[test]
fn a_key_is_heard_once_though_either_end_or_both_stand_still() {
    let plain = |far| StreamParams {
        dtmf: None,
        ..params(far)
    };
    let mut failed = Vec::new();
    for (who, nodes) in [("caller", &[0][..]), ("node", &[1]), ("both", &[0, 1])] {
        for stall_ms in [100, 200, 300, 500, 700, 1_000, 1_600, 2_500] {
            for begin_ms in (0..240).step_by(20) {
                let mut world = World::new(1, 2);
                world.open(0, ONE, plain(TWO));
                world.open(1, TWO, plain(ONE));
                world.run_ms(500);
                world.dial(0, ONE, "1");
                world.run_ms(begin_ms);
                for node in nodes {
                    world.stall(*node, Duration::from_millis(stall_ms));
                }
                world.run_ms(3_000);
                let digits = world.digits(TWO);
                if digits != "1" {
                    failed.push(format!(
                        "{who}, {stall_ms} ms, {begin_ms} ms into it: {digits:?}"
                    ));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_pause_that_is_not_sent_is_between_two_presses() {
    // Silence suppression: the clock goes on, the numbers do not, and the first packet after the
    // pause is marked, or comfort noise was before it.
    for comfort_noise in [false, true] {
        let mut world = World::new(1, 1);
        world.open(0, ONE, params_to(phone(1)));
        let mut phone = Phone {
            sequence: 0,
            timestamp: 0,
        };
        let tones = tones("995");
        let mut silent = false;
        for frame in tones.chunks_exact(160) {
            if frame.iter().any(|sample| *sample != 0) {
                let marker = std::mem::take(&mut silent) && !comfort_noise;
                phone.speak(&mut world, frame, marker);
                phone.timestamp += 160;
                world.run_ms(20);
                continue;
            }
            if comfort_noise && !silent {
                phone.send(&mut world, 13, phone.timestamp, &[60]);
            }
            silent = true;
            phone.tick(&mut world, None, None);
        }
        // The last tone ends with the last packet, and is a key all the same.
        world.run_ms(500);
        assert_eq!(world.digits(ONE), "995", "comfort noise: {comfort_noise}");
    }
}

#[test]
fn a_phone_that_sends_both_is_counted_once() {
    // Events and tones at once, the events up to 300 ms before or after the tones.
    for (events_at, tones_at) in [(0, 0), (0, 5), (0, 15), (5, 0), (8, 0)] {
        let mut world = World::new(1, 1);
        world.open(0, ONE, params_to(phone(1)));
        let mut phone = Phone {
            sequence: 0,
            timestamp: 0,
        };
        let tones = tones("71");
        let mut senders: Vec<Sender> = Vec::new();
        for tick in 0..60 {
            let silence = [0; 160];
            let audio = (tick as usize)
                .checked_sub(tones_at)
                .and_then(|n| tones.chunks_exact(160).nth(n))
                .unwrap_or(&silence);
            for (key, at) in [('7', events_at), ('1', events_at + 10)] {
                if tick == at {
                    senders.push(Sender::new(key, phone.timestamp, 8_000).expect("a key"));
                }
            }
            phone.tick(&mut world, Some(audio), senders.last_mut());
        }
        world.run_ms(500);
        assert_eq!(
            world.digits(ONE),
            "71",
            "events at {events_at}, tones at {tones_at}"
        );
    }
}

#[test]
fn speech_is_no_key_and_a_playback_waits_for_the_keys() {
    let mut world = World::call(2, Link::default(), Codec::Pcmu);
    let prompt = speech(5, 3_000);
    world.dial(0, ONE, "12");
    world.play(0, ONE, 1, &prompt);
    world.run_ms(4_000);
    assert_eq!(world.digits(TWO), "12");
    world.close(0, ONE);
    let said = world.said(ONE);
    // Two keys of 200 ms each; then the prompt, whole.
    assert!(
        said[..3_200].iter().all(|&sample| sample == 0),
        "keys leave silence"
    );
    assert_eq!(said[3_200..3_200 + prompt.len()], prompt);
}

#[test]
fn what_is_no_key_or_too_much_is_refused() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    world.dial(0, ONE, "1x2 ");
    assert_eq!(world.worker(0).counts().refused, 2);
    world.dial(0, ONE, &"9".repeat(100));
    assert_eq!(world.worker(0).counts().refused, 2 + 38);
}
