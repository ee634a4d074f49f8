//! Many sessions of one node that hear each other.

use media::compare::similarity;
use media::dtmf::Detector;
use media::g711::{self, Law};
use media::limits::CONFERENCE_MEMBERS_MAX;
use media::rtp::Header;
use media::telephone_event::{Report, Sender, Sending};
use media::tone::Tone;
use media::{Channel, Codec, Command, Event, Part, StreamParams};
use vocab::{ConferenceId, SessionId};

use crate::world::{
    Tapped, World, packet, params_to, peak, phone, port, recording, speech, static_type,
};

const ROOM: ConferenceId = ConferenceId(5);
pub(crate) const FRAME: usize = 160;

pub(crate) fn session(n: u8) -> SessionId {
    SessionId(u64::from(n))
}

pub(crate) fn join(world: &mut World, n: u8) {
    let (session, conference) = (session(n), ROOM);
    world.command(
        0,
        Command::Join {
            session,
            conference,
        },
    );
}

fn leave(world: &mut World, n: u8) {
    let session = session(n);
    world.command(0, Command::Unbridge { session });
}

/// One node with so many sessions, and raw phones with these codecs at their ends.
pub(crate) fn phones(codecs: &[Codec]) -> World {
    let mut world = World::new(4, 1);
    world.link.delay_ms = 0;
    for (n, &codec) in (1..).zip(codecs) {
        let params = StreamParams {
            codec,
            payload_type: static_type(codec),
            ..params_to(phone(n))
        };
        world.open(0, session(n), params);
    }
    world
}

pub(crate) fn conference(codecs: &[Codec]) -> World {
    let mut world = phones(codecs);
    (1..).zip(codecs).for_each(|(n, _)| join(&mut world, n));
    world
}

/// Everybody says his next 20 ms.
pub(crate) fn say(world: &mut World, tick: u16, frames: &[(u8, Codec, &[i16])]) {
    for &(n, codec, frame) in frames {
        let mut codes = [0; FRAME];
        g711::encode(law(codec), frame, &mut codes);
        let mut bytes = packet(u32::from(n), tick, u32::from(tick) * 160, &codes);
        bytes[1] = static_type(codec);
        world.send(phone(n), port(session(n), Channel::Rtp), bytes);
    }
    world.run_ms(20);
}

pub(crate) fn to(world: &World, n: u8) -> Vec<&Tapped> {
    let taps = world.tapped.iter();
    taps.filter(|tap| tap.to == phone(n)).collect()
}

/// What a phone was sent, decoded.
pub(crate) fn heard(world: &World, n: u8, codec: Codec) -> Vec<i16> {
    let mut samples = Vec::new();
    for tap in to(world, n) {
        let at = samples.len();
        samples.resize(at + tap.rtp().payload.len(), 0);
        g711::decode(law(codec), tap.rtp().payload, &mut samples[at..]);
    }
    samples
}

/// A level as it is after it was sent once.
fn sent_once(codec: Codec, level: i16) -> i16 {
    let (mut code, mut back) = ([0], [0]);
    g711::encode(law(codec), &[level], &mut code);
    g711::decode(law(codec), &code, &mut back);
    back[0]
}

#[test]
fn everybody_hears_all_others_and_no_echo() {
    let codecs = [Codec::Pcmu, Codec::Pcma, Codec::Pcmu, Codec::Pcma];
    for (name, levels) in [
        ("soft", [100, 2_000, -300, 900]),
        ("one is silent", [500, 0, -300, 900]),
        ("too loud", [30_000, 29_000, 31_000, -500]),
        ("too loud below zero", [-30_000, -29_000, -31_000, -28_000]),
    ] {
        let mut world = conference(&codecs);
        for tick in 0..30 {
            let frames: Vec<_> = levels.iter().map(|&level| [level; FRAME]).collect();
            let said: Vec<_> = (1..)
                .zip(codecs)
                .zip(&frames)
                .map(|((n, codec), frame)| (n, codec, &frame[..]))
                .collect();
            say(&mut world, tick, &said);
        }
        for (n, &codec) in (1..).zip(&codecs) {
            let others = (1..).zip(codecs).zip(levels);
            let sum: i32 = others
                .filter(|((other, _), _)| *other != n)
                .map(|((_, codec), level)| i32::from(sent_once(codec, level)))
                .sum();
            let sum = i16::try_from(sum.clamp(-32_768, 32_767)).expect("clamped");
            let last = heard(&world, n, codec);
            let expected = [sent_once(codec, sum); FRAME];
            assert_eq!(last[last.len() - FRAME..], expected, "{name}: phone {n}");
        }
    }
}

#[test]
fn two_of_them_hear_what_they_would_hear_on_a_bridge() {
    let codecs = [Codec::Pcmu, Codec::Pcma];
    let (a, b) = (session(1), session(2));
    let words = [speech(1, 4_000), speech(2, 4_000)];
    let talk = |bridged: bool| {
        let mut world = phones(&codecs);
        if bridged {
            world.command(0, Command::Bridge { a, b });
        } else {
            join(&mut world, 1);
            join(&mut world, 2);
        }
        for (tick, (one, two)) in (0..).zip(words[0].chunks(FRAME).zip(words[1].chunks(FRAME))) {
            let said = [(1, codecs[0], one), (2, codecs[1], two)];
            say(&mut world, tick, &said);
        }
        [(1, codecs[0]), (2, codecs[1])].map(|(n, codec)| heard(&world, n, codec))
    };
    let (bridge, conference) = (talk(true), talk(false));
    assert_eq!(bridge, conference);
    let found = similarity(&words[0], &conference[1], 4_000);
    assert!(found.score > 0.95, "{found:?}");
}

#[test]
fn a_member_is_recorded_with_what_it_hears() {
    let mut world = conference(&[Codec::Pcmu; 3]);
    let record = |n: u8| Command::RecordCall {
        session: session(n),
        recording: recording(session(n)),
        channels: 2,
    };
    world.command(0, record(1));
    let words = [speech(1, 3_000), speech(2, 3_000), speech(3, 3_000)];
    for tick in 0..150 {
        let at = usize::from(tick) * FRAME..usize::from(tick + 1) * FRAME;
        let said = [1, 2, 3].map(|n| (n, Codec::Pcmu, &words[usize::from(n) - 1][at.clone()]));
        say(&mut world, tick, &said);
    }
    world.run_ms(300);
    world.close(0, session(1));
    let record = &world.recordings[&recording(session(1))];
    let both: Vec<i16> = words[1]
        .iter()
        .zip(&words[2])
        .map(|(a, b)| a.saturating_add(*b))
        .collect();
    for (channel, said) in [(0, &words[0]), (1, &both)] {
        let found = similarity(said, &record.channel(channel), 4_000);
        assert!(found.score > 0.95, "channel {channel}: {found:?}");
    }
}

#[test]
fn keys_are_reported_and_sent_on_to_whom_it_was_said() {
    let mut world = conference(&[Codec::Pcmu; 3]);
    // The second one is here for the first alone, as on a bridge.
    let (session_2, part) = (
        session(2),
        Part {
            keys_to: Some(session(1)),
            ..Part::default()
        },
    );
    world.command(
        0,
        Command::SetPart {
            session: session_2,
            part,
        },
    );
    let tone = Tone::dtmf(
        '5',
        std::time::Duration::from_millis(100),
        std::time::Duration::ZERO,
    );
    let tone = tone
        .expect("a key")
        .render(std::time::Duration::from_secs(1));
    let quiet = [0; FRAME];
    for (tick, frame) in (0..).zip(tone.chunks(FRAME)) {
        say(
            &mut world,
            tick,
            &[(1, Codec::Pcmu, frame), (2, Codec::Pcmu, &quiet)],
        );
    }
    let mut sender = Sender::new('7', 8_000, 8_000).expect("a key");
    let mut sequence = 5;
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
            ssrc: 2,
        };
        let bytes = [&header.to_bytes()[..], &report.to_bytes()].concat();
        world.send(phone(2), port(session(2), Channel::Rtp), bytes);
        sequence += 1;
        world.run_ms(20);
    }
    world.run_ms(200);
    assert_eq!(world.digits(session(1)), "5");
    assert_eq!(world.digits(session(2)), "7");
    assert_eq!(world.digits(session(3)), "");
    for n in 1..=3 {
        let mut detector = media::telephone_event::Receiver::new(8_000);
        let events = to(&world, n).into_iter().map(|tap| tap.rtp());
        let keys: String = events
            .filter(|rtp| rtp.header.payload_type == 101)
            .filter_map(|rtp| {
                let report = Report::parse(rtp.payload)?;
                detector.receive(rtp.header.timestamp, report)
            })
            .collect();
        assert_eq!(keys, if n == 1 { "7" } else { "" }, "{n}");
    }
    // The tone itself is heard, as everything that is said.
    let mut detector = Detector::default();
    let audio = heard(&world, 3, Codec::Pcmu);
    let keys: Vec<char> = audio
        .chunks_exact(FRAME)
        .filter_map(|frame| detector.feed(frame))
        .collect();
    assert_eq!(keys, ['5']);
}

#[test]
fn nobody_clicks_who_comes_or_goes_while_packets_fly() {
    // On this bridge packets do not go through, so nobody's audio begins in the middle.
    let codecs = [Codec::Pcmu, Codec::Pcma, Codec::Pcmu, Codec::Pcmu];
    let mut world = phones(&codecs);
    let (a, b) = (session(1), session(2));
    world.command(0, Command::Bridge { a, b });
    join(&mut world, 3);
    // Three who say nothing but a level, the fourth listens: each change of it is a ramp of 4 ms.
    let frame = [3_000; FRAME];
    for tick in 0..200 {
        say(
            &mut world,
            tick,
            &[1, 2, 3].map(|n| (n, codecs[usize::from(n) - 1], &frame[..])),
        );
        match tick {
            30 => join(&mut world, 4),
            50 => join(&mut world, 1),
            70 => join(&mut world, 2),
            90 => leave(&mut world, 3),
            110 => world.close(0, session(2)),
            130 => join(&mut world, 3),
            150 => world.command(0, Command::Bridge { a, b: session(3) }),
            _ => {}
        }
    }
    let audio = heard(&world, 4, Codec::Pcmu);
    let levels: Vec<i16> = audio
        .chunks_exact(FRAME)
        .map(|frame| frame[FRAME - 1])
        .collect();
    let level = |tick: usize| f64::from(levels[tick]) / 3_000.0;
    let counted: Vec<u32> = [20, 40, 65, 85, 105, 125, 145, 190]
        .map(|tick| level(tick).round() as u32)
        .into();
    assert_eq!(counted, [0, 1, 2, 3, 2, 1, 2, 0]);
    let steepest = audio.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max();
    // A 32nd of two levels at once, and the steps of µ-law.
    assert!(steepest < Some(600), "{steepest:?}");
    for n in [1, 3, 4] {
        let headers: Vec<Header> = to(&world, n).iter().map(|tap| tap.rtp().header).collect();
        for pair in headers.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{n}");
            assert_eq!(pair[1].ssrc, pair[0].ssrc);
        }
    }
    for n in [1, 3, 4] {
        world.close(0, session(n));
    }
    world.assert_empty();
}

#[test]
fn playbacks_stop_at_the_door_and_later_ones_are_mixed_in() {
    let mut world = phones(&[Codec::Pcmu; 2]);
    world.play(0, session(1), 1, &[1_000; 80_000]);
    world.run_ms(100);
    join(&mut world, 1);
    join(&mut world, 1);
    join(&mut world, 2);
    let played = |world: &World| {
        let ended = world.events.iter().filter_map(|event| match event {
            Event::Played { play, finished, .. } => Some((play.0, *finished)),
            _ => None,
        });
        ended.collect::<Vec<_>>()
    };
    assert_eq!(played(&world), [(1, false)]);
    let frame = [2_000; FRAME];
    for tick in 0..40 {
        say(&mut world, tick, &[(2, Codec::Pcmu, &frame)]);
        if tick == 20 {
            world.play(0, session(1), 2, &[4_000; 1_600]);
        }
    }
    let audio = heard(&world, 1, Codec::Pcmu);
    assert!(
        (5_500..6_500).contains(&peak(&audio)),
        "both: {}",
        peak(&audio)
    );
    assert!(
        (1_800..2_200).contains(&peak(&audio[audio.len() - FRAME..])),
        "then the other alone"
    );
    assert_eq!(
        peak(&heard(&world, 2, Codec::Pcmu)),
        0,
        "it was not for him"
    );
    assert_eq!(played(&world), [(1, false), (2, true)]);
}

#[test]
fn comfort_noise_is_heard_on_bridges_and_in_conferences() {
    for bridged in [true, false] {
        let mut world = phones(&[Codec::Pcmu; 2]);
        let (a, b) = (session(1), session(2));
        match bridged {
            true => world.command(0, Command::Bridge { a, b }),
            false => (1..=2).for_each(|n| join(&mut world, n)),
        }
        let word = [3_000; FRAME];
        for tick in 0..20 {
            say(
                &mut world,
                tick,
                &[(1, Codec::Pcmu, &word), (2, Codec::Pcmu, &[0; FRAME])],
            );
        }
        // A pause of two seconds, of which only its noise is told: -40 dBov.
        let mut bytes = packet(1, 20, 20 * 160, &[40]);
        bytes[1] = 13;
        world.send(phone(1), port(a, Channel::Rtp), bytes);
        for tick in 21..121 {
            say(&mut world, tick, &[(2, Codec::Pcmu, &[0; FRAME])]);
        }
        let audio = heard(&world, 2, Codec::Pcmu);
        let pause = &audio[audio.len() - 60 * FRAME..];
        let power: f64 = pause.iter().map(|&it| f64::from(it).powi(2)).sum();
        let dbov = 10.0 * (power / pause.len() as f64 / 32_767_f64.powi(2)).log10();
        assert!((dbov + 40.0).abs() < 2.0, "bridged {bridged}: {dbov} dBov");
    }
}

#[test]
fn a_conference_has_a_bound_and_ends_with_its_last_member() {
    let mut world = World::new(4, 1);
    let most = CONFERENCE_MEMBERS_MAX as u64;
    let conference = ROOM;
    for n in 1..=most + 1 {
        world.open(0, SessionId(n), params_to(phone(9)));
        let session = SessionId(n);
        world.command(
            0,
            Command::Join {
                session,
                conference,
            },
        );
    }
    assert_eq!(world.worker(0).counts().refused, 1);
    world.run_ms(100);
    // A place is free as soon as somebody leaves.
    leave(&mut world, 1);
    let last = SessionId(most + 1);
    let session = last;
    world.command(
        0,
        Command::Join {
            session,
            conference,
        },
    );
    // Who is in no conference, or is not there at all, may be told to leave it.
    leave(&mut world, 1);
    assert_eq!(world.worker(0).counts().refused, 1);
    let session = SessionId(9_999);
    world.command(
        0,
        Command::Join {
            session,
            conference,
        },
    );
    assert_eq!(world.worker(0).counts().refused, 2);
    for n in 1..=most + 1 {
        world.close(0, SessionId(n));
    }
    world.assert_empty();
}

pub(crate) fn law(codec: Codec) -> Law {
    codec.law().expect("these phones have G.711")
}
