//! Keys that the others must not hear, and beeps.

use std::time::Duration;

use media::compare::similarity;
use media::dtmf::Detector;
use media::telephone_event::{Sender, Sending};
use media::tone;
use media::{Channel, Codec, Command, EventFormat, Part, StreamParams};
use vocab::call::Beep;

use crate::conference::{FRAME, conference, heard, join, phones, say, session, to};
use crate::world::{World, packet, params_to, peak, phone, port, speech};

const PCMU: Codec = Codec::Pcmu;

const CARD: &str = "5555444433332222";

fn set(world: &mut World, n: u8, part: Part) {
    let session = session(n);
    world.command(0, Command::SetPart { session, part });
}

fn screen(world: &mut World, n: u8, screened: bool) {
    let part = Part {
        screened,
        ..Part::default()
    };
    set(world, n, part);
}

fn bridge(world: &mut World) {
    let (a, b) = (session(1), session(2));
    world.command(0, Command::Bridge { a, b });
}

/// Keys as tones of this length with as much silence behind each, in whole frames.
fn tones(keys: &str, ms: u64) -> Vec<i16> {
    let length = Duration::from_millis(ms);
    let keys = tone::digits(keys, length, length).expect("keys");
    let mut samples = keys.samples.to_vec();
    samples.resize(samples.len().next_multiple_of(FRAME), 0);
    samples
}

/// The first phone says this; the others are silent.
fn says(world: &mut World, from: u16, samples: &[i16]) -> u16 {
    let mut tick = from;
    for frame in samples.chunks_exact(FRAME) {
        say(world, tick, &[(1, PCMU, frame)]);
        tick += 1;
    }
    tick
}

/// Energy of these samples at a frequency, as the peak of a tone.
fn at_hz(samples: &[i16], hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let turn = hz / 8_000.0 * n as f64 * std::f64::consts::TAU;
        re += f64::from(*sample) * turn.cos();
        im += f64::from(*sample) * turn.sin();
    }
    2.0 * (re * re + im * im).sqrt() / samples.len() as f64
}

/// The loudest that any high tone of a key is anywhere in there, in windows of 10 ms. The low ones are too
/// near to the beep to be told from it in windows as short as these.
fn loudest_key(samples: &[i16]) -> f64 {
    let hann = |n: usize| 0.5 - 0.5 * ((n as f64 + 0.5) / 80.0 * std::f64::consts::TAU).cos();
    let of = |window: &[i16]| {
        let weighted = window.iter().zip(0..);
        let weighted: Vec<i16> = weighted
            .map(|(sample, n)| (2.0 * hann(n) * f64::from(*sample)) as i16)
            .collect();
        let all = [1_209.0, 1_336.0, 1_477.0, 1_633.0].map(|hz| at_hz(&weighted, hz));
        all.into_iter().fold(0.0, f64::max)
    };
    samples.windows(80).step_by(20).map(of).fold(0.0, f64::max)
}

fn keys_in(samples: &[i16]) -> String {
    let mut detector = Detector::new();
    let told = samples
        .chunks(FRAME)
        .filter_map(|frame| detector.feed(frame));
    told.collect()
}

/// Stretches of at least 20 ms in which there is something.
fn sounds(samples: &[i16]) -> usize {
    let loud: Vec<bool> = samples.chunks(80).map(|part| peak(part) > 200).collect();
    loud.windows(3)
        .filter(|it| **it == [false, true, true])
        .count()
}

#[test]
fn nobody_else_hears_the_tones_of_one_who_is_screened() {
    for (name, room) in [("bridge", false), ("conference", true)] {
        for ms in [50, 80, 200] {
            let mut world = phones(&[PCMU; 3]);
            if room {
                (1..=3).for_each(|n| join(&mut world, n));
            } else {
                bridge(&mut world);
            }
            let tick = says(&mut world, 0, &[0; 20 * FRAME]);
            screen(&mut world, 1, true);
            // A moment that is no multiple of a frame.
            let said = [vec![0; 97], tones(CARD, ms), vec![0; 63 + 20 * FRAME]].concat();
            says(&mut world, tick, &said);
            assert_eq!(world.digits(session(1)), CARD, "{name} {ms}: we hear them");
            let others: &[u8] = if room { &[2, 3] } else { &[2] };
            for n in others {
                let heard = heard(&world, *n, PCMU);
                assert_eq!(keys_in(&heard), "", "{name} {ms}: phone {n}");
                let loudest = loudest_key(&heard);
                assert!(loudest < 60.0, "{name} {ms}: phone {n} hears {loudest}");
                assert_eq!(
                    sounds(&heard),
                    CARD.len(),
                    "{name} {ms}: a beep for each key"
                );
            }
        }
    }
}

#[test]
fn without_it_they_are_heard() {
    let mut world = phones(&[PCMU; 2]);
    bridge(&mut world);
    let said = [vec![0; 20 * FRAME], tones(CARD, 80), vec![0; 20 * FRAME]].concat();
    says(&mut world, 0, &said);
    let heard = heard(&world, 2, PCMU);
    assert_eq!(keys_in(&heard), CARD);
    assert!(loudest_key(&heard) > 1_000.0, "the measure tells them");
}

/// One who has agreed to events presses keys; the others are silent.
fn press(world: &mut World, n: u8, from: u16, keys: &str) {
    let (mut sequence, mut timestamp) = (from, u32::from(from) * 160);
    for key in keys.chars() {
        let mut sender = Sender::new(key, timestamp, 8_000).expect("a key");
        loop {
            match sender.tick() {
                Sending::Report {
                    timestamp, report, ..
                } => {
                    let mut bytes = packet(u32::from(n), sequence, timestamp, &report.to_bytes());
                    bytes[1] = 101;
                    world.send(phone(n), port(session(n), Channel::Rtp), bytes);
                    sequence += 1;
                }
                Sending::Pause => {}
                Sending::Done => break,
            }
            timestamp += 160;
            world.run_ms(20);
        }
    }
}

#[test]
fn nobody_else_gets_the_events_of_one_who_is_screened() {
    for (name, room) in [("bridge", false), ("conference", true)] {
        let mut world = phones(&[PCMU; 2]);
        if room {
            join(&mut world, 1);
            join(&mut world, 2);
        } else {
            bridge(&mut world);
        }
        let part = Part {
            screened: true,
            keys_to: Some(session(2)),
            ..Part::default()
        };
        set(&mut world, 1, part);
        world.run_ms(100);
        press(&mut world, 1, 500, "4711");
        world.run_ms(400);
        assert_eq!(world.digits(session(1)), "4711", "{name}");
        let of_keys = |tap: &&crate::world::Tapped| tap.rtp().header.payload_type == 101;
        assert_eq!(
            to(&world, 2).into_iter().filter(of_keys).count(),
            0,
            "{name}"
        );
        assert_eq!(
            sounds(&heard(&world, 2, PCMU)),
            4,
            "{name}: a beep for each"
        );

        let screened = false;
        set(&mut world, 1, Part { screened, ..part });
        press(&mut world, 1, 1_000, "0");
        world.run_ms(400);
        let after = to(&world, 2).into_iter().filter(of_keys).count();
        assert!(after > 0, "{name}: keys are for the other again");
    }
}

#[test]
fn what_is_said_between_the_keys_is_heard() {
    let mut world = phones(&[PCMU; 2]);
    bridge(&mut world);
    screen(&mut world, 1, true);
    let words = speech(3, 6_000);
    says(&mut world, 0, &words);
    let heard = heard(&world, 2, PCMU);
    let found = similarity(&words, &heard, 4_000);
    assert!(found.score > 0.9, "{found:?}");
}

#[test]
fn a_beep_is_heard_beside_what_goes_on_and_packets_go_through_again() {
    for (beep, hz, ms) in [
        (Beep::Recorded, 1_400.0, 200),
        (Beep::Joined, 880.0, 150),
        (Beep::Key, 425.0, 60),
    ] {
        let mut world = phones(&[PCMU; 2]);
        bridge(&mut world);
        let tick = says(&mut world, 0, &[0; 20 * FRAME]);
        let before = heard(&world, 2, PCMU).len();
        let session = session(2);
        world.command(0, Command::Beep { session, beep });
        says(&mut world, tick, &[0; 50 * FRAME]);
        let heard = &heard(&world, 2, PCMU)[before..];
        let loud = heard
            .iter()
            .filter(|sample| sample.unsigned_abs() > 300)
            .count();
        let length = loud / 8;
        assert!(
            (ms * 8 / 10..=ms).contains(&length),
            "{beep:?}: {length} ms"
        );
        let sounding = &heard[80..ms * 8 - 80];
        let level = at_hz(sounding, hz);
        assert!((1_800.0..2_600.0).contains(&level), "{beep:?}: {level}");
        assert_eq!(
            peak(&crate::conference::heard(&world, 1, PCMU)),
            0,
            "{beep:?}: one hears it"
        );

        // A packet goes out when it comes in, whatever the ticks do.
        world.tapped.clear();
        world.run_ms(7);
        let payload = [0x31; FRAME];
        let bytes = packet(1, tick + 50, u32::from(tick + 50) * 160, &payload);
        world.send(
            phone(1),
            port(crate::conference::session(1), Channel::Rtp),
            bytes,
        );
        world.run_ms(1);
        let passed = to(&world, 2).iter().any(|tap| tap.rtp().payload == payload);
        assert!(passed, "{beep:?}: it goes through");
    }
}

#[test]
fn beeps_are_made_at_the_rate_of_who_hears_them() {
    let mut world = World::new(4, 1);
    world.link.delay_ms = 0;
    let params = StreamParams {
        dtmf: Some(EventFormat::of(101)),
        ..StreamParams::new(
            Codec::L16(media::Rate::Wide),
            params_to(phone(1)).remote_rtp,
        )
    };
    world.open(0, session(1), params);
    world.run_ms(100);
    let (session, beep) = (session(1), Beep::Recorded);
    world.command(0, Command::Beep { session, beep });
    world.run_ms(400);
    let samples: Vec<i16> = to(&world, 1)
        .iter()
        .flat_map(|tap| {
            let payload = tap.rtp().payload.to_vec();
            let samples = payload.chunks_exact(2);
            let samples = samples.map(|two| i16::from_be_bytes([two[0], two[1]]));
            samples.collect::<Vec<_>>()
        })
        .collect();
    let begin = samples
        .iter()
        .position(|sample| sample.unsigned_abs() > 300);
    let sounding = &samples[begin.expect("a beep") + 160..][..16 * 150];
    let level = at_hz(sounding, 700.0);
    assert!(
        (1_800.0..2_600.0).contains(&level),
        "1,400 Hz at 16,000 samples: {level}"
    );
}

#[test]
fn all_of_a_conference_but_the_one_hear_the_beep_for_a_key() {
    let mut world = conference(&[PCMU; 3]);
    screen(&mut world, 2, true);
    world.run_ms(100);
    press(&mut world, 2, 500, "99");
    world.run_ms(300);
    let beeps = [1, 2, 3].map(|n| sounds(&heard(&world, n, PCMU)));
    assert_eq!(beeps, [2, 0, 2]);
}
