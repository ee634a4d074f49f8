//! What sessions are listened to for besides keys: signals, and who answers, also on a bridge.

use std::time::Duration;

use media::tone::{Region, Tone};
use media::{Codec, Command, Event, Rate};
use vocab::hearing::{AnswerParams, Answerer, Hearing, Listening, Signal};

use crate::conference::{FRAME, heard, phones, say, session};
use crate::world::{World, speech};

const PCMU: Codec = Codec::Pcmu;

fn listen(world: &mut World, listening: Listening) {
    let session = session(1);
    world.command(0, Command::Listen { session, listening });
}

/// The first phone says this, the second is silent.
fn plays(world: &mut World, from: u16, samples: &[i16]) {
    for (tick, frame) in (from..).zip(samples.chunks_exact(FRAME)) {
        say(world, tick, &[(1, PCMU, frame), (2, PCMU, &[0; FRAME])]);
    }
}

fn told(world: &World) -> Vec<String> {
    let hearings = world.events.iter().filter_map(|event| match event {
        Event::Heard { hearing, .. } => Some(match hearing {
            Hearing::Signal(heard) => heard.signal.name().to_owned(),
            Hearing::Answerer(who) => format!("{} {}", who.answerer.name(), who.cause),
            Hearing::MessageEnded(end) => format!("ended, beep {}", end.beep),
        }),
        _ => None,
    });
    hearings.collect()
}

const PROGRESS: Listening = Listening {
    progress: true,
    signals: false,
    answerer: None,
};

#[test]
fn signals_are_heard_while_they_are_listened_for() {
    let busy = Tone::busy(Region::China).render(Duration::from_secs(4));
    let mut world = phones(&[PCMU; 2]);
    plays(&mut world, 0, &busy);
    assert_eq!(told(&world), [""; 0], "nobody listens");
    listen(&mut world, PROGRESS);
    plays(&mut world, 200, &busy);
    assert_eq!(told(&world), ["busy"]);
    let heard = world.events.iter().find_map(|event| match event {
        Event::Heard {
            hearing: Hearing::Signal(heard),
            ..
        } => Some(*heard),
        _ => None,
    });
    let busy_heard = heard.expect("just seen");
    assert_eq!(busy_heard.signal, Signal::Busy);
    assert!(busy_heard.hz[0].abs_diff(450) < 5, "{busy_heard:?}");
    assert!(
        busy_heard.lengths_ms[0].abs_diff(350) < 20,
        "{busy_heard:?}"
    );
    listen(&mut world, Listening::default());
    plays(&mut world, 400, &busy);
    assert_eq!(told(&world), ["busy"], "nobody listens any more");
}

/// A word of 600 ms, and then silence: a person.
fn hello() -> Vec<i16> {
    let mut samples = vec![0; 4_000];
    samples.extend(speech(7, 600));
    samples.resize(32_000, 0);
    samples
}

/// Speech without an end: a machine.
fn greeting() -> Vec<i16> {
    speech(9, 5_000)
}

#[test]
fn who_answers_is_found_on_a_bridge_that_does_not_notice() {
    for (name, says, expected) in [
        ("a person", hello(), "human short_greeting"),
        ("nobody", vec![0; 32_000], "silence no_word"),
        ("a machine", greeting(), "machine long_greeting"),
    ] {
        let talk = |listening: bool| {
            let mut world = phones(&[PCMU; 2]);
            let (a, b) = (session(1), session(2));
            world.command(0, Command::Bridge { a, b });
            if listening {
                let answerer = Some(AnswerParams::default());
                let listening = Listening {
                    answerer,
                    ..PROGRESS
                };
                listen(&mut world, listening);
            }
            plays(&mut world, 0, &says);
            world
        };
        let (plain, listened) = (talk(false), talk(true));
        assert_eq!(told(&listened), [expected], "{name}");
        assert!(told(&plain).is_empty());
        let [through, decoded] = [&plain, &listened].map(|world| heard(world, 2, PCMU));
        assert_eq!(through, decoded, "{name}: packets go through as they came");
    }
}

#[test]
fn packets_go_through_again_once_it_is_known_who_answered() {
    let mut world = phones(&[PCMU; 2]);
    let (a, b) = (session(1), session(2));
    world.command(0, Command::Bridge { a, b });
    listen(
        &mut world,
        Listening {
            answerer: Some(AnswerParams::default()),
            ..Listening::default()
        },
    );
    plays(&mut world, 0, &hello());
    assert_eq!(told(&world), ["human short_greeting"]);
    // A payload that nobody would encode like this comes out as it went in.
    let strange: Vec<u8> = (0..160).collect();
    let from = world.tapped.len();
    for tick in 300..310 {
        let bytes = crate::world::packet(1, tick, u32::from(tick) * 160, &strange);
        world.send(
            crate::world::phone(1),
            crate::world::port(a, media::Channel::Rtp),
            bytes,
        );
        world.run_ms(20);
    }
    let same = world.tapped[from..]
        .iter()
        .filter(|tap| tap.to == crate::world::phone(2) && tap.rtp().payload == &strange[..]);
    assert!(same.count() >= 9);
}

#[test]
fn a_wideband_leg_is_listened_to_as_well() {
    let wide = Codec::L16(Rate::Wide);
    let mut world = World::new(3, 2);
    for (node, own, far) in [
        (0, crate::world::ONE, crate::world::TWO),
        (1, crate::world::TWO, crate::world::ONE),
    ] {
        let params = media::StreamParams {
            codec: wide,
            payload_type: 96,
            ..crate::world::params(far)
        };
        world.open(node, own, params);
    }
    let session = crate::world::TWO;
    let answerer = Some(AnswerParams::default());
    let listening = Listening {
        answerer,
        ..Listening::default()
    };
    world.command(1, Command::Listen { session, listening });
    world.play(0, crate::world::ONE, 1, &greeting());
    world.run_ms(4_000);
    let who = world.events.iter().find_map(|event| match event {
        Event::Heard {
            hearing: Hearing::Answerer(who),
            ..
        } => Some(who.answerer),
        _ => None,
    });
    assert_eq!(who, Some(Answerer::Machine));
}
