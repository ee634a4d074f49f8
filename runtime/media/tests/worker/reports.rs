//! What the two ends tell each other about quality (RFC 3550 §6).

use std::time::Duration;

use media::rtcp::{Block, Compound, Rtcp};
use media::{Channel, Codec, Event};

use crate::world::{Link, ONE, TWO, World, packet, params_to, phone, port};

#[test]
fn both_ends_know_the_round_trip_and_the_losses() {
    let link = Link {
        loss: 0.05,
        duplicate: 0.0,
        delay_ms: 30,
        jitter_ms: 0,
    };
    let mut world = World::call(6, link, Codec::Pcmu);
    world.run(Duration::from_secs(60));
    for (node, session) in [(0, ONE), (1, TWO)] {
        let trip = world
            .worker(node)
            .round_trip(session)
            .expect("reports went both ways");
        assert!(
            trip.abs_diff(Duration::from_millis(60)) < Duration::from_millis(2),
            "{trip:?}"
        );
        let stats = world.worker(node).stats(session).expect("it is open");
        assert_eq!(stats.sent, 3_000);
        // What is still on its way is neither.
        assert!((2_995..=3_000).contains(&(stats.received + stats.lost + stats.dropped)));
        assert!((100..200).contains(&stats.lost), "{stats:?}");
        assert!(stats.jitter_us < 1_000, "{stats:?}");
    }
}

#[test]
fn jitter_is_measured() {
    let link = Link {
        delay_ms: 5,
        jitter_ms: 40,
        ..Link::default()
    };
    let mut world = World::call(6, link, Codec::Pcmu);
    world.run(Duration::from_secs(20));
    // The mean difference of two numbers out of 0 to 40 ms is a third of that.
    let jitter = world.worker(0).stats(ONE).expect("it is open").jitter_us;
    assert!((10_000..17_000).contains(&jitter), "{jitter}");
}

fn blocks(world: &World) -> Vec<Option<Block>> {
    let mut to = phone(1);
    to.set_port(4_001);
    world
        .tapped
        .iter()
        .filter(|tap| tap.to == to)
        .map(|tap| {
            let mut packets = Compound::parse(&tap.bytes).expect("we send valid reports");
            match packets.next() {
                Some(Rtcp::Sender {
                    info, mut blocks, ..
                }) => {
                    assert!(info.packets > 0 && info.octets == info.packets * 160);
                    blocks.next()
                }
                Some(Rtcp::Receiver { mut blocks, .. }) => blocks.next(),
                other => panic!("{other:?} is no report"),
            }
        })
        .collect()
}

#[test]
fn reports_say_what_was_received_and_close_says_goodbye() {
    let mut world = World::new(2, 1);
    world.open(0, ONE, params_to(phone(1)));
    world.run(Duration::from_secs(8));
    assert_eq!(
        blocks(&world).first(),
        Some(&None),
        "nothing was received yet"
    );
    // Every fourth of 200 packets is lost.
    for n in 0..1_000_u16 {
        if n % 4 != 3 {
            let bytes = packet(
                88,
                65_000_u16.wrapping_add(n),
                u32::from(n) * 160,
                &[0x55; 160],
            );
            world.send(phone(1), port(ONE, Channel::Rtp), bytes);
        }
        world.run_ms(20);
    }
    let reports: Vec<Block> = blocks(&world).into_iter().flatten().collect();
    assert!(
        (3..=8).contains(&reports.len()),
        "about every five seconds: {}",
        reports.len()
    );
    for report in &reports {
        assert_eq!(report.ssrc, 88);
        assert!(
            (60..=67).contains(&report.fraction_lost),
            "a quarter: {report:?}"
        );
        let expected = report.highest_sequence - 65_000 + 1;
        assert!(
            report.lost.abs_diff(expected.cast_signed() / 4) <= 1,
            "{report:?}"
        );
    }
    assert!(
        reports
            .last()
            .is_some_and(|report| report.highest_sequence > 0xffff),
        "it wrapped"
    );
    world.close(0, ONE);
    world.run_ms(100);
    let last = &world.tapped.last().expect("a goodbye").bytes;
    let kinds: Vec<bool> = Compound::parse(last)
        .expect("valid")
        .map(|packet| matches!(packet, Rtcp::Goodbye { .. }))
        .collect();
    assert_eq!(kinds, [false, false, true]);
    let Some(Event::Closed { stats, .. }) = world.events.last() else {
        panic!("it is closed")
    };
    assert_eq!((stats.received, stats.lost, stats.dropped), (750, 249, 0));
    assert_eq!(stats.sent, 8 * 50 + 1_000);
}
