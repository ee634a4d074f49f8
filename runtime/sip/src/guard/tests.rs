//! Limits, bans and their bounds.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(seconds: u64) -> Now {
    Now::default() + Duration::from_secs(seconds)
}

fn guard(change: impl FnOnce(&mut Config)) -> Guard {
    let mut config = Config {
        requests: Rate::new(10, Duration::from_secs(1), 10),
        registers: Rate::new(2, Duration::from_secs(1), 2),
        invites: Rate::new(1, Duration::from_secs(1), 1),
        failures: Rate::per_minute(3),
        malformed: Rate::per_minute(5),
        excess: Rate::new(20, Duration::from_secs(10), 20),
        ..Config::default()
    };
    change(&mut config);
    Guard::with_room(config, 100, 10)
}

fn source(text: &str) -> Payer {
    Payer::Source(Source::of(ip(text)))
}

#[test]
fn each_source_has_its_own_limits() {
    let mut guard = guard(|_| {});
    let now = Mono(0);
    for _ in 0..2 {
        assert_eq!(
            guard.meter(now, source("192.0.2.1"), Kind::Register),
            Ok(())
        );
    }
    let registers = Err(Dropped::Registers);
    assert_eq!(
        guard.meter(now, source("192.0.2.1"), Kind::Register),
        registers
    );
    for _ in 0..7 {
        assert_eq!(guard.meter(now, source("192.0.2.1"), Kind::Other), Ok(()));
    }
    let requests = Err(Dropped::Requests);
    assert_eq!(guard.meter(now, source("192.0.2.1"), Kind::Other), requests);
    assert_eq!(
        guard.meter(now, source("192.0.2.2"), Kind::Register),
        Ok(())
    );
    assert_eq!(guard.meter(now, source("192.0.2.3"), Kind::Invite), Ok(()));
    let invites = Err(Dropped::Invites);
    assert_eq!(guard.meter(now, source("192.0.2.3"), Kind::Invite), invites);
    // A registered phone behind the same address pays for itself.
    let flow = Payer::Flow("192.0.2.1:5060".parse().unwrap());
    assert_eq!(guard.meter(now, flow, Kind::Register), Ok(()));
    assert_eq!(
        guard.meter(at(1).mono, source("192.0.2.1"), Kind::Register),
        Ok(())
    );
    // One customer's IPv6 addresses are one.
    for host in 0..10 {
        let payer = source(&format!("2001:db8:0:1::{host}"));
        assert_eq!(guard.meter(now, payer, Kind::Other), Ok(()));
    }
    let payer = source("2001:db8:0:1:ffff::1");
    assert_eq!(guard.meter(now, payer, Kind::Other), requests);
    assert_eq!(
        guard.meter(now, source("2001:db8:0:2::1"), Kind::Other),
        Ok(())
    );
}

#[test]
fn bans_double_up_to_the_longest_and_are_forgotten() {
    let mut guard = guard(|config| {
        config.ban_first = Duration::from_secs(60);
        config.ban_longest = Duration::from_secs(200);
    });
    let mut clock = 0;
    let mut lengths = Vec::new();
    for _ in 0..4 {
        let banned = guard.note_scanner(at(clock), ip("192.0.2.1")).unwrap();
        lengths.push(banned.lasting.as_secs());
        assert_eq!(guard.note_scanner(at(clock), ip("192.0.2.1")), None, "once");
        clock += banned.lasting.as_secs();
        guard.expire(at(clock - 1).mono);
        assert_eq!(guard.hears(ip("192.0.2.1")), Err(Dropped::Banned));
        guard.expire(at(clock).mono);
        assert_eq!(guard.hears(ip("192.0.2.1")), Ok(()));
    }
    assert_eq!(lengths, [60, 120, 200, 200]);
    clock += 200;
    guard.expire(at(clock).mono);
    assert_eq!(guard.deadline(), None, "nothing is remembered for ever");
    let banned = guard.note_scanner(at(clock), ip("192.0.2.1")).unwrap();
    assert_eq!(banned.lasting.as_secs(), 60);
    assert_eq!(guard.counts().bans, [5, 0, 0, 0]);
}

#[test]
fn each_offence_has_its_measure() {
    let mut guard = guard(|_| {});
    let now = at(0);
    let bans = |banned: Vec<Option<Banned>>| {
        let reasons = banned
            .iter()
            .map(|banned| banned.map(|banned| banned.reason));
        reasons.collect::<Vec<_>>()
    };
    let three = (0..4)
        .map(|_| guard.note_failure(now, ip("192.0.2.1")))
        .collect();
    assert_eq!(
        bans(three),
        [None, None, None, Some(BanReason::Credentials)]
    );
    let six = (0..6)
        .map(|_| guard.note_malformed(now, ip("192.0.2.2")))
        .collect::<Vec<_>>();
    assert_eq!(bans(six)[4..], [None, Some(BanReason::Malformed)]);
    let (payer, why) = (source("192.0.2.3"), Dropped::Requests);
    let flood = (0..21)
        .map(|_| guard.note_dropped(now, payer, why))
        .collect::<Vec<_>>();
    assert_eq!(bans(flood)[19..], [None, Some(BanReason::Flood)]);
    // Slow failures are a person's.
    for minute in 0..100 {
        assert_eq!(guard.note_failure(at(minute * 20), ip("192.0.2.4")), None);
    }
    assert_eq!(guard.counts().banned, 3);
    let held: Vec<_> = guard
        .bans()
        .map(|ban| (ban.address, ban.reason, ban.times))
        .collect();
    assert_eq!(held[0], (ip("192.0.2.1"), BanReason::Credentials, 1));
}

#[test]
fn allowed_addresses_and_trunks_are_never_banned() {
    let mut guard = guard(|config| {
        config.allow = vec!["198.51.100.0/24".parse().unwrap()];
        config.deny = vec![
            "198.51.0.0/16".parse().unwrap(),
            "203.0.113.0/24".parse().unwrap(),
        ];
    });
    guard.note_scanner(at(0), ip("192.0.2.99")).unwrap();
    guard.set_trusted([ip("192.0.2.99"), ip("203.0.113.1")].into());
    for trusted in [
        "198.51.100.7",
        "192.0.2.99",
        "::ffff:192.0.2.99",
        "203.0.113.1",
    ] {
        assert!(!guard.is_scanner(ip(trusted), "friendly-scanner"));
        assert_eq!(guard.note_scanner(at(0), ip(trusted)), None);
        for _ in 0..100 {
            assert_eq!(guard.note_failure(at(0), ip(trusted)), None);
            assert_eq!(guard.note_malformed(at(0), ip(trusted)), None);
        }
        assert_eq!(guard.hears(ip(trusted)), Ok(()), "{trusted}");
    }
    assert_eq!(guard.hears(ip("198.51.101.7")), Err(Dropped::Denied));
    assert_eq!(guard.hears(ip("203.0.113.2")), Err(Dropped::Denied));
    assert_eq!(guard.hears(ip("192.0.2.1")), Ok(()));
}

#[test]
fn scanners_are_known_by_name() {
    let mut guard = guard(|config| config.scanners.push("Evil Dialler".to_owned()));
    for (name, known) in [
        ("friendly-scanner", true),
        ("sipcli/v1.8", true),
        ("VaxSIPUserAgent/3.5", true),
        ("the evil dialler 2", true),
        ("baresip v1.0.0 (x86_64/linux)", false),
        ("Yealink SIP-T46S 66.84.0.15", false),
        ("", false),
    ] {
        assert_eq!(guard.is_scanner(ip("192.0.2.1"), name), known, "{name}");
    }
    guard.config.enabled = false;
    assert!(!guard.is_scanner(ip("192.0.2.1"), "friendly-scanner"));
}

#[test]
fn an_operator_lifts_a_ban_and_its_memory() {
    let mut guard = guard(|_| {});
    guard.note_scanner(at(0), ip("2001:db8::1"));
    assert_eq!(guard.hears(ip("2001:db8::2")), Err(Dropped::Banned));
    assert!(guard.unban(ip("2001:db8::3")));
    assert!(!guard.unban(ip("2001:db8::3")));
    assert_eq!(guard.hears(ip("2001:db8::2")), Ok(()));
    let again = guard.note_scanner(at(1), ip("2001:db8::1")).unwrap();
    assert_eq!(again.lasting, Duration::from_secs(60));
}

#[test]
fn a_hundred_thousand_sources_take_bounded_room() {
    let mut guard = Guard::new(Config::default());
    for n in 0..100_000u32 {
        let address = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        guard
            .meter(Mono(0), Payer::Source(Source::of(address)), Kind::Register)
            .unwrap();
        guard.note_scanner(at(0), address).unwrap();
    }
    let counts = guard.counts();
    assert_eq!((counts.sources, counts.banned), (SOURCES_MAX, BANS_MAX));
    assert_eq!(counts.bans, [100_000, 0, 0, 0]);
    guard.expire(at(60).mono);
    assert_eq!(guard.counts().banned, 0);
    guard.expire(at(60 + 3_600).mono);
    assert_eq!(guard.deadline(), None);
}
