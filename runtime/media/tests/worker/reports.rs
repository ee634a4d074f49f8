//! What the two ends tell each other about quality (RFC 3550 §6).

use std::time::Duration;

use media::rtcp::{Block, Compound, Rtcp};
use media::{Channel, Codec, Event, Way};

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

fn one_way(world: &World) -> Vec<(u64, Way)> {
    let events = world.events.iter();
    let told = events.filter_map(|event| match event {
        Event::OneWay { session, missing } => Some((session.0, *missing)),
        _ => None,
    });
    told.collect()
}

#[test]
fn audio_that_goes_one_way_is_told_until_it_is_back() {
    let mut world = World::new(5, 1);
    world.open(0, ONE, params_to(phone(1)));
    world.run_ms(4_900);
    assert_eq!(one_way(&world), []);
    world.run_ms(8_000);
    assert_eq!(one_way(&world), [(1, Way::In)]);
    world.run_ms(3_000);
    assert_eq!(one_way(&world).len(), 2);
    // It is back, and goes again.
    for n in 0..10_u16 {
        let bytes = packet(9, n, u32::from(n) * 160, &[0xff; 160]);
        world.send(phone(1), port(ONE, Channel::Rtp), bytes);
        world.run_ms(20);
    }
    world.run_ms(4_000);
    assert_eq!(one_way(&world).len(), 2);
    world.run_ms(2_000);
    assert_eq!(one_way(&world), [(1, Way::In); 3]);
    // Who is on hold hears nothing, and that is as it should be.
    let session = TWO;
    let mut held = params_to(phone(2));
    held.send = false;
    world.open(0, session, held);
    world.run_ms(8_000);
    assert!(one_way(&world).iter().all(|(session, _)| *session == 1));
}

/// Only the far end knows that nothing arrives there: its reports say so.
#[test]
fn a_far_end_that_hears_nothing_is_told_of() {
    let mut world = World::new(5, 1);
    world.open(0, ONE, params_to(phone(1)));
    let ours = |world: &World| {
        let tap = world.tapped.iter().rfind(|tap| tap.to == phone(1));
        tap.map_or(0, |tap| tap.rtp().header.ssrc)
    };
    let mut reports = phone(1);
    reports.set_port(4_001);
    for n in 0..1_500_u16 {
        let bytes = packet(9, n, u32::from(n) * 160, &[0xff; 160]);
        world.send(phone(1), port(ONE, Channel::Rtp), bytes);
        world.run_ms(20);
        if n % 150 == 149 {
            // What it has heard grows for 10 s and then no more.
            let block = Block {
                ssrc: ours(&world),
                highest_sequence: u32::from(n.min(500)),
                lost: 7,
                ..Block::default()
            };
            let report = media::rtcp::Outgoing {
                ssrc: 9,
                sender: None,
                block: Some(block),
                cname: "phone",
                goodbye: false,
            };
            let mut bytes = vec![0; report.len_bytes()];
            report.write(&mut bytes);
            world.send(reports, port(ONE, Channel::Rtcp), bytes);
        }
    }
    assert_eq!(one_way(&world), [(1, Way::Out)]);
    let stats = world.worker(0).stats(ONE).expect("it is open");
    assert_eq!(stats.far_lost, Some(7));
}

#[test]
fn the_score_falls_with_loss_and_with_delay() {
    let score = |loss: f64, delay_ms: u64| {
        let link = Link {
            loss,
            delay_ms,
            ..Link::default()
        };
        let mut world = World::call(6, link, Codec::Pcma);
        world.run(Duration::from_secs(60));
        let stats = world.worker(0).stats(ONE).expect("it is open");
        assert_eq!((stats.codec, stats.secured), (Some(Codec::Pcma), false));
        stats.mos.expect("something came")
    };
    assert!((438..=441).contains(&score(0.0, 10)), "{}", score(0.0, 10));
    assert!(
        (375..=405).contains(&score(0.05, 10)),
        "{}",
        score(0.05, 10)
    );
    assert!((230..=290).contains(&score(0.2, 10)), "{}", score(0.2, 10));
    assert!(
        (300..=400).contains(&score(0.0, 300)),
        "{}",
        score(0.0, 300)
    );
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    world.run_ms(1_000);
    let stats = world.worker(0).stats(ONE).expect("it is open");
    assert_eq!(stats.mos, None, "nothing came");
}
