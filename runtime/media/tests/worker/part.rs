//! How loud members of a conference and sides of a bridge are, and who talks.

use media::{Channel, Codec, Command, Event, Part, Rate, StreamParams};
use vocab::SessionId;

use crate::conference::{FRAME, conference, heard, join, phones, say, session, to};
use crate::world::{World, packet, params_to, phone, port};

const PCMU: Codec = Codec::Pcmu;

fn set(world: &mut World, n: u8, part: Part) {
    let session = session(n);
    world.command(0, Command::SetPart { session, part });
}

/// Everybody says his level for so many ticks.
fn drone(world: &mut World, ticks: std::ops::Range<u16>, levels: &[i16]) {
    for tick in ticks {
        let frames: Vec<_> = levels.iter().map(|&level| [level; FRAME]).collect();
        let said: Vec<_> = (1..).zip(&frames).collect();
        let said: Vec<_> = said
            .iter()
            .map(|(n, frame)| (*n, PCMU, &frame[..]))
            .collect();
        say(world, tick, &said);
    }
}

/// Checks the level that each hears in the end, but for the steps of µ-law.
fn check(world: &World, what: &str, expected: &[i16]) {
    for (n, &level) in (1..).zip(expected) {
        let last = heard(world, n, PCMU).last().copied().unwrap_or(0);
        let most = 10 + level / 20;
        let found = (last - level).abs() <= most;
        assert!(found, "{what}: phone {n} hears {last} instead of {level}");
    }
}

#[test]
fn each_is_as_loud_to_others_as_its_part_says() {
    let muted = Part {
        muted: true,
        ..Part::default()
    };
    let deaf = Part {
        deaf: true,
        ..Part::default()
    };
    let louder = Part {
        said_db: 6,
        ..Part::default()
    };
    let softer = Part {
        heard_db: -6,
        ..Part::default()
    };
    for (name, parts, expected) in [
        ("plain", &[][..], [1_000, 900, 300]),
        ("who is muted hears", &[(1, muted)], [1_000, 800, 200]),
        ("who is deaf is heard", &[(1, deaf)], [0, 900, 300]),
        (
            "neither",
            &[
                (1, muted),
                (
                    1,
                    Part {
                        deaf: true,
                        ..muted
                    },
                ),
            ],
            [0, 800, 200],
        ),
        ("louder", &[(3, louder)], [1_800, 1_700, 300]),
        ("softer", &[(1, softer)], [500, 900, 300]),
        (
            "as before",
            &[(1, muted), (1, Part::default())],
            [1_000, 900, 300],
        ),
        ("all but one", &[(2, muted), (3, muted)], [0, 100, 100]),
    ] {
        let mut world = conference(&[PCMU; 3]);
        for &(n, part) in parts {
            set(&mut world, n, part);
        }
        drone(&mut world, 0..30, &[100, 200, 800]);
        check(&world, name, &expected);
    }
}

#[test]
fn a_coach_hears_all_and_is_heard_by_one() {
    let mut world = conference(&[PCMU; 4]);
    let coach = |n| Part {
        coaches: Some(session(n)),
        ..Part::default()
    };
    let says = [100, 200, 800, 3_000];
    set(&mut world, 4, coach(1));
    drone(&mut world, 0..30, &says);
    check(&world, "coached", &[4_000, 900, 300, 1_100]);
    // Another one, somebody who is not there, himself, and all of them.
    set(&mut world, 4, coach(2));
    drone(&mut world, 30..40, &says);
    check(&world, "coached", &[1_000, 3_900, 300, 1_100]);
    for (nobody, at) in [(9, 40), (4, 50)] {
        set(&mut world, 4, coach(nobody));
        drone(&mut world, at..at + 10, &says);
        check(&world, "nobody", &[1_000, 900, 300, 1_100]);
    }
    set(&mut world, 4, Part::default());
    drone(&mut world, 60..70, &says);
    check(&world, "coached", &[4_000, 3_900, 3_300, 1_100]);
    // Two coach the same one, and the one who is coached is the only one who says anything else.
    set(&mut world, 4, coach(1));
    set(&mut world, 3, coach(1));
    drone(&mut world, 70..90, &[100, 0, 800, 3_000]);
    check(&world, "coached", &[3_800, 100, 100, 100]);
    world.close(0, session(4));
    drone(&mut world, 90..100, &[100, 0, 800]);
    check(&world, "coached", &[800, 100, 100]);
    for n in 1..=3 {
        world.close(0, session(n));
    }
    world.assert_empty();
}

#[test]
fn a_coach_is_understood_at_another_rate() {
    let mut world = phones(&[PCMU; 2]);
    let wide = Codec::L16(Rate::Wide);
    let params = StreamParams {
        codec: wide,
        payload_type: 96,
        ..params_to(phone(3))
    };
    world.open(0, session(3), params);
    for n in 1..=3 {
        join(&mut world, n);
    }
    let coaches = Some(session(3));
    set(
        &mut world,
        2,
        Part {
            coaches,
            ..Part::default()
        },
    );
    let words = crate::world::speech(3, 3_000);
    for (tick, frame) in (0..).zip(words.chunks_exact(FRAME)) {
        let silence = [0_u8; 640];
        let mut bytes = packet(3, tick, u32::from(tick) * 320, &silence);
        bytes[1] = 96;
        world.send(phone(3), port(session(3), Channel::Rtp), bytes);
        say(
            &mut world,
            tick,
            &[(1, PCMU, &[0; FRAME]), (2, PCMU, frame)],
        );
    }
    let samples: Vec<i16> = to(&world, 3)
        .iter()
        .flat_map(|tap| tap.rtp().payload.chunks_exact(4))
        .map(|two| i16::from_be_bytes([two[0], two[1]]))
        .collect();
    let found = media::compare::similarity(&words, &samples, 4_000);
    assert!(found.score > 0.95, "{found:?}");
    assert_eq!(crate::world::peak(&heard(&world, 1, PCMU)), 0);
}

#[test]
fn a_side_of_a_bridge_has_a_part_too() {
    let mut world = phones(&[PCMU; 2]);
    let (a, b) = (session(1), session(2));
    world.command(0, Command::Bridge { a, b });
    let mut at = 0;
    let mut hears = |world: &mut World, part: Part, expected: [i16; 2]| {
        set(world, 1, part);
        drone(world, at..at + 20, &[1_000, 2_000]);
        at += 20;
        check(world, &format!("{part:?}"), &expected);
    };
    hears(&mut world, Part::default(), [2_000, 1_000]);
    let muted = Part {
        muted: true,
        ..Part::default()
    };
    hears(&mut world, muted, [2_000, 0]);
    let deaf = Part {
        deaf: true,
        heard_db: 20,
        ..Part::default()
    };
    hears(&mut world, deaf, [0, 1_000]);
    let soft = Part {
        said_db: -20,
        heard_db: 6,
        ..Part::default()
    };
    hears(&mut world, soft, [4_000, 100]);
    let aside = Part {
        coaches: Some(SessionId(7)),
        ..Part::default()
    };
    hears(&mut world, aside, [2_000, 0]);
    let aside = Part {
        coaches: Some(session(2)),
        ..Part::default()
    };
    hears(&mut world, aside, [2_000, 1_000]);
    // It stays what it is on the next bridge, and in a conference.
    set(&mut world, 1, muted);
    world.command(0, Command::Unbridge { session: a });
    world.command(0, Command::Bridge { a, b });
    drone(&mut world, 120..140, &[1_000, 2_000]);
    check(&world, "coached", &[2_000, 0]);
    join(&mut world, 1);
    join(&mut world, 2);
    drone(&mut world, 140..160, &[1_000, 2_000]);
    check(&world, "coached", &[2_000, 0]);
}

#[test]
fn nobody_clicks_who_is_muted_or_coaches_while_packets_fly() {
    let mut world = conference(&[PCMU; 3]);
    let level = [3_000, 0, 0];
    drone(&mut world, 0..30, &level);
    let muted = Part {
        muted: true,
        ..Part::default()
    };
    let coach = Part {
        coaches: Some(session(3)),
        ..Part::default()
    };
    let loud = Part {
        said_db: 5,
        ..Part::default()
    };
    let mut at = 30;
    for part in [muted, Part::default(), coach, Part::default(), loud, muted] {
        set(&mut world, 1, part);
        drone(&mut world, at..at + 10, &level);
        at += 10;
    }
    let audio = heard(&world, 2, PCMU);
    let frames: Vec<i16> = audio
        .chunks_exact(FRAME)
        .map(|frame| frame[FRAME - 1])
        .collect();
    let heard: Vec<i32> = [35, 45, 55, 65, 75, 85]
        .map(|tick| (f64::from(frames[tick]) / 1_000.0).round() as i32)
        .into();
    assert_eq!(heard, [0, 3, 0, 3, 5, 0]);
    let steepest = audio[30 * FRAME..].windows(2);
    let steepest = steepest.map(|pair| pair[0].abs_diff(pair[1])).max();
    // A 32nd of the level, and the steps of µ-law.
    assert!(steepest < Some(500), "{steepest:?}");
}

#[test]
fn it_is_told_who_talks_and_who_is_heard_most() {
    let mut world = conference(&[PCMU; 3]);
    // Half a second of each in turn, with a muted one who is not heard and so does not talk.
    set(
        &mut world,
        3,
        Part {
            muted: true,
            ..Part::default()
        },
    );
    drone(&mut world, 0..50, &[10, 10, 10]);
    drone(&mut world, 50..100, &[4_000, 10, 9_000]);
    drone(&mut world, 100..150, &[10, 2_000, 9_000]);
    drone(&mut world, 150..200, &[10, 10, 10]);
    let told = world.events.iter().filter_map(|event| match event {
        Event::Talking { session, talking } => Some(format!("{} {talking}", session.0)),
        Event::Speaker { session } => Some(format!("{} is heard", session.0)),
        _ => None,
    });
    let told: Vec<String> = told.collect();
    assert_eq!(
        told,
        [
            "1 true",
            "1 is heard",
            "2 true",
            "1 false",
            "2 is heard",
            "2 false"
        ]
    );
}
