//! Where media comes from: routers, thieves, silence.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Channel, Event, StreamParams};

use crate::world::{ONE, World, packet, params_to, phone, port, speech};

/// Sends `count` packets, 20 ms apart, and tells how many were used.
fn talk(world: &mut World, from: SocketAddr, ssrc: u32, first: u16, count: u16) -> u64 {
    let before = world.worker(0).stats(ONE).expect("it is open").received;
    for n in first..first + count {
        let bytes = packet(ssrc, n, u32::from(n) * 160, &[0x55; 160]);
        world.send(from, port(ONE, Channel::Rtp), bytes);
        world.run_ms(20);
    }
    world.run_ms(10);
    world.worker(0).stats(ONE).expect("it is open").received - before
}

/// Where the last packet went.
fn target(world: &World) -> SocketAddr {
    world
        .tapped
        .iter()
        .rev()
        .find(|tap| tap.bytes.len() == 172)
        .expect("we send")
        .to
}

#[test]
fn media_goes_to_where_it_comes_from() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    world.run_ms(100);
    assert_eq!(target(&world), phone(1), "as negotiated");
    let mut public = phone(77);
    public.set_port(31_000);
    assert_eq!(talk(&mut world, public, 5, 1, 10), 10);
    assert_eq!(target(&world), public, "behind a router");
}

#[test]
fn a_thief_is_not_listened_to() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    assert_eq!(talk(&mut world, phone(1), 5, 1, 10), 10);
    for round in 0..10 {
        // Even with the right numbers.
        assert_eq!(talk(&mut world, phone(66), 5, 11 + round, 1), 0);
        assert_eq!(talk(&mut world, phone(1), 5, 11 + round, 1), 1);
        assert_eq!(target(&world), phone(1));
    }
    world.run(Duration::from_secs(3));
    // The router has moved the port after a silence.
    let mut moved = phone(1);
    moved.set_port(4_444);
    assert_eq!(talk(&mut world, moved, 5, 300, 10), 10);
    assert_eq!(target(&world), moved);
    let stats = world.worker(0).stats(ONE).expect("it is open");
    assert_eq!((stats.dropped, world.worker(0).counts().dropped), (10, 10));
}

#[test]
fn a_new_offer_moves_the_media() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    talk(&mut world, phone(1), 5, 1, 10);
    let params = params_to(phone(2));
    world.command(
        0,
        media::Command::Configure {
            session: ONE,
            params,
        },
    );
    world.run_ms(100);
    assert_eq!(target(&world), phone(2));
    assert!(
        talk(&mut world, phone(2), 6, 1, 10) >= 8,
        "another source, after two in a row"
    );
}

#[test]
fn garbage_is_counted_and_does_nothing() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    let good = packet(5, 1, 160, &[0x55; 160]);
    let mut wrong_type = good.clone();
    wrong_type[1] = 18;
    let long = packet(5, 1, 160, &[0x55; 2_000]);
    let empty = packet(5, 1, 160, &[]);
    let mut event = packet(5, 2, 160, &[1, 2]);
    event[1] = 101;
    for bytes in [
        &b"hello"[..],
        &[],
        &[0; 12],
        &good[..11],
        &wrong_type,
        &long,
        &empty,
        &event,
    ] {
        world.send(phone(1), port(ONE, Channel::Rtp), bytes.to_vec());
        world.send(phone(1), port(ONE, Channel::Rtcp), bytes.to_vec());
    }
    world.run_ms(100);
    let stats = world.worker(0).stats(ONE).expect("it is open");
    assert_eq!((stats.received, stats.dropped), (0, 8));
    assert_eq!(world.digits(ONE), "");
    assert_eq!(world.worker(0).counts().failed, 0);
}

#[test]
fn silence_is_reported_once_until_something_comes() {
    let mut world = World::new(1, 1);
    let inactive = |world: &World| {
        world
            .events
            .iter()
            .filter(|event| matches!(event, Event::Inactive { .. }))
            .count()
    };
    world.open(0, ONE, params_to(phone(1)));
    world.run(Duration::from_secs(29));
    assert_eq!(inactive(&world), 0);
    world.run(Duration::from_secs(60));
    assert_eq!(inactive(&world), 1);
    talk(&mut world, phone(1), 5, 1, 5);
    world.run(Duration::from_secs(29));
    assert_eq!(inactive(&world), 1);
    world.run(Duration::from_secs(2));
    assert_eq!(inactive(&world), 2);
    // On hold nothing is expected; after it the time begins anew.
    let held = StreamParams {
        receive: false,
        ..params_to(phone(1))
    };
    world.command(
        0,
        media::Command::Configure {
            session: ONE,
            params: held,
        },
    );
    world.run(Duration::from_secs(120));
    let params = params_to(phone(1));
    world.command(
        0,
        media::Command::Configure {
            session: ONE,
            params,
        },
    );
    world.run(Duration::from_secs(29));
    assert_eq!(inactive(&world), 2);
    world.run(Duration::from_secs(2));
    assert_eq!(inactive(&world), 3);
}

#[test]
fn another_source_on_the_same_line_is_heard() {
    let mut world = World::call(1, Default::default(), media::Codec::Pcmu);
    world.run_ms(100);
    world.play(0, ONE, 1, &speech(1, 500));
    world.run_ms(600);
    // The far end was replaced: other source, numbers and times.
    let from = port(ONE, Channel::Rtp);
    for n in 0..50_u16 {
        let bytes = packet(
            999,
            40_000 + n,
            3_000_000_000 + u32::from(n) * 160,
            &[0x10; 160],
        );
        world.send(from, port(crate::world::TWO, Channel::Rtp), bytes);
        if n == 0 {
            world.close(0, ONE);
        }
        world.run_ms(20);
    }
    world.close(1, crate::world::TWO);
    let heard = world.heard(crate::world::TWO);
    let loud = heard[700 * 8..]
        .iter()
        .filter(|sample| sample.unsigned_abs() > 10_000)
        .count();
    assert!(loud > 45 * 160, "{loud} samples of the new source");
}

#[test]
fn comfort_noise_is_a_sign_of_life() {
    let mut world = World::new(1, 1);
    world.open(0, ONE, params_to(phone(1)));
    for n in 0..20_u16 {
        let mut bytes = packet(5, n, u32::from(n) * 32_000, &[0x40]);
        bytes[1] = 13;
        world.send(phone(1), port(ONE, Channel::Rtp), bytes);
        world.run(Duration::from_secs(4));
    }
    assert!(world.events.is_empty(), "{:?}", world.events);
    let stats = world.worker(0).stats(ONE).expect("it is open");
    assert_eq!((stats.received, stats.lost, stats.dropped), (20, 0, 0));
}

#[test]
fn nothing_is_sent_to_no_address() {
    let mut world = World::new(1, 1);
    world.open(
        0,
        ONE,
        params_to("0.0.0.0:4000".parse().expect("an address")),
    );
    world.run(Duration::from_secs(20));
    assert!(world.tapped.is_empty());
}
