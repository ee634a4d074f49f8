//! Attacks: who gets no answer, what stays bounded, and that honest calls go on.

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.

mod world;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use expect_test::{Expect, expect};
use jackfield_sip::auth::{Challenge, Client};
use jackfield_sip::guard::{BanReason, Config, Rate};
use jackfield_sip::limits::{HEAD_BYTES_MAX, Limits, SOURCES_MAX};
use jackfield_sip::message::{HeaderName, Message, Method};
use jackfield_sip::{Action, ConnId, Credentials, Event, Input, Transport};
use vocab::{Pii, Rng};

use world::{World, read};

const ANN: usize = 0;
const BOB: usize = 1;

const URI: &str = "sip:192.0.2.2";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn check(world: &mut World, expected: Expect) {
    expected.assert_eq(&world.take_ladder());
}

/// A world with guards of small measures.
fn guarded() -> World {
    World::guarded(1, Limits::default(), &small())
}

fn small() -> Config {
    Config {
        requests: Rate::new(20, s(1), 20),
        registers: Rate::new(5, s(1), 5),
        invites: Rate::new(5, s(1), 5),
        failures: Rate::per_minute(3),
        malformed: Rate::per_minute(3),
        excess: Rate::new(100, s(10), 100),
        streams: 3,
        ..Config::default()
    }
}

/// Somebody at an address who sends what he likes.
struct Somebody {
    rng: Rng,
    source: String,
    number: u32,
    login: Option<Client>,
}

impl Somebody {
    fn at(source: &str) -> Self {
        Self {
            rng: Rng::from_u64(5),
            source: source.to_owned(),
            number: 0,
            login: None,
        }
    }

    fn text(&mut self, method: &str, lines: &str) -> String {
        self.number += 1;
        let (number, source) = (self.number, &self.source);
        format!(
            "{method} {URI} SIP/2.0\nVia: SIP/2.0/UDP {source};branch=z9hG4bK{source}{number};rport\n\
             Max-Forwards: 70\nFrom: <sip:ann@demo>;tag=1\nTo: <sip:ann@demo>\nCall-ID: {source}\n\
             CSeq: {number} {method}\n{lines}Content-Length: 0\n\n"
        )
    }

    /// Sends one request; gives back the answer's status, or zero for silence.
    fn send(&mut self, world: &mut World, method: &str, lines: &str) -> u16 {
        let text = self.text(method, lines);
        let before = world.outside.len();
        world.inject(BOB, &self.source, &text);
        let Some((_, bytes)) = world.outside.get(before) else {
            return 0;
        };
        let Message::Response(response) = read(bytes) else {
            panic!("a request")
        };
        if let Some(value) = response.headers.first(&HeaderName::WwwAuthenticate) {
            self.login = Some(Client::new(Challenge::parse(value).unwrap()));
        }
        response.status
    }

    /// Registers as ann with a password.
    fn register(&mut self, world: &mut World, password: &str) -> u16 {
        let contact = format!("Contact: <sip:ann@{}>\n", self.source);
        let credentials = Credentials {
            user: "ann".into(),
            password: Pii::new(password.into()),
        };
        let authorization = self.login.as_mut().map(|login| {
            let answer = login.answer(&mut self.rng, &Method::Register, URI, &credentials);
            format!("Authorization: {answer}\n")
        });
        let lines = contact + &authorization.unwrap_or_default();
        self.send(world, "REGISTER", &lines)
    }

    /// Is registered.
    fn registered(world: &mut World, source: &str) -> Self {
        let mut phone = Self::at(source);
        assert_eq!(phone.register(world, ""), 401);
        assert_eq!(phone.register(world, "secret of ann"), 200);
        phone
    }
}

const SCANNER: &str = "User-Agent: friendly-scanner\n";

#[test]
fn a_scanner_hears_nothing_for_longer_and_longer() {
    let mut world = guarded();
    let mut scanner = Somebody::at("192.0.2.66:5060");
    assert_eq!(scanner.send(&mut world, "OPTIONS", ""), 200);
    assert_eq!(scanner.send(&mut world, "OPTIONS", SCANNER), 0);
    assert_eq!(scanner.send(&mut world, "OPTIONS", ""), 0);
    world.run(s(60));
    assert_eq!(scanner.send(&mut world, "OPTIONS", ""), 200);
    assert_eq!(scanner.send(&mut world, "INVITE", SCANNER), 0);
    world.run(s(119));
    assert_eq!(scanner.send(&mut world, "OPTIONS", ""), 0);
    let bans: Vec<_> = world.peers[BOB].endpoint.bans().collect();
    assert_eq!(bans.len(), 1);
    assert_eq!((bans[0].reason, bans[0].times), (BanReason::Scanner, 2));
    let address = "192.0.2.66".parse().unwrap();
    world.act(BOB, Action::Unban { address });
    assert_eq!(scanner.send(&mut world, "OPTIONS", ""), 200);
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.66:5060 → bob: OPTIONS
            0.000   bob → 192.0.2.66:5060: 200 OK (OPTIONS)
            0.000   192.0.2.66:5060 → bob: OPTIONS
            0.000     bob: Banned 192.0.2.66 for 60 s: scanner
            0.000   192.0.2.66:5060 → bob: OPTIONS
            60.000  192.0.2.66:5060 → bob: OPTIONS
            60.000  bob → 192.0.2.66:5060: 200 OK (OPTIONS)
            60.000  192.0.2.66:5060 → bob: INVITE
            60.000    bob: Banned 192.0.2.66 for 120 s: scanner
            179.000 192.0.2.66:5060 → bob: OPTIONS
            179.000 192.0.2.66:5060 → bob: OPTIONS
            179.000 bob → 192.0.2.66:5060: 200 OK (OPTIONS)
        "#]],
    );
    let counts = world.counts(BOB);
    assert!(counts.is_idle());
    assert_eq!(
        (counts.guard.dropped_banned, counts.guard.bans),
        (2, [2, 0, 0, 0])
    );
}

#[test]
fn who_guesses_passwords_is_banned_and_not_told_of_the_right_one() {
    let mut world = guarded();
    let mut thief = Somebody::at("192.0.2.66:5060");
    let mut heard = vec![thief.register(&mut world, "")];
    for guess in ["1234", "ann", "password", "secret", "secret of ann"] {
        heard.push(thief.register(&mut world, guess));
    }
    assert_eq!(heard, [401, 401, 401, 401, 0, 0]);
    assert_eq!(world.counts(BOB).contacts, 0);
    // A neighbour is not hurt.
    Somebody::registered(&mut world, "192.0.2.67:5060");
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.66:5060 → bob: REGISTER
            0.000   bob → 192.0.2.66:5060: 401 Unauthorized (REGISTER)
            0.000   192.0.2.66:5060 → bob: REGISTER
            0.000     bob: AuthFailed ann
            0.000   bob → 192.0.2.66:5060: 401 Unauthorized (REGISTER)
            0.000   192.0.2.66:5060 → bob: REGISTER
            0.000     bob: AuthFailed ann
            0.000   bob → 192.0.2.66:5060: 401 Unauthorized (REGISTER)
            0.000   192.0.2.66:5060 → bob: REGISTER
            0.000     bob: AuthFailed ann
            0.000   bob → 192.0.2.66:5060: 401 Unauthorized (REGISTER)
            0.000   192.0.2.66:5060 → bob: REGISTER
            0.000     bob: AuthFailed ann
            0.000     bob: Banned 192.0.2.66 for 60 s: credentials
            0.000   192.0.2.66:5060 → bob: REGISTER
            0.000   192.0.2.67:5060 → bob: REGISTER
            0.000   bob → 192.0.2.67:5060: 401 Unauthorized (REGISTER)
            0.000   192.0.2.67:5060 → bob: REGISTER
            0.000   bob → 192.0.2.67:5060: 200 OK (REGISTER)
            0.000     bob: Registered ann, 1 contacts
        "#]],
    );
}

#[test]
fn wrong_passwords_under_a_forged_address_hurt_nobody() {
    let mut world = guarded();
    world.ladder = None;
    let mut thief = Somebody::at("192.0.2.66:5060");
    assert_eq!(thief.register(&mut world, ""), 401);
    // He has a nonce, and writes another's address on his packets.
    thief.source = "192.0.2.9:5060".to_owned();
    for _ in 0..50 {
        let contact = "Contact: <sip:ann@192.0.2.9>\n";
        let credentials = Credentials {
            user: "ann".into(),
            password: Pii::new("guess".into()),
        };
        let login = thief.login.as_mut().unwrap();
        let answer = login.answer(&mut thief.rng, &Method::Register, URI, &credentials);
        let nonce = login.challenge().clone();
        let lines = format!("{contact}Authorization: {answer}\n");
        assert_eq!(thief.send(&mut world, "REGISTER", &lines), 401, "stale");
        // The fresh nonce goes to the address he forged, not to him.
        thief.login = Some(Client::new(nonce));
        world.run(s(1));
    }
    assert_eq!(world.counts(BOB).guard.bans, [0; 4]);
    assert_eq!(world.counts(BOB).auth_failures, 0);
}

#[test]
fn a_call_goes_on_when_its_address_is_banned() {
    let mut world = guarded();
    let ann = world.call(ANN, BOB);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.run(s(1));
    world.take_ladder();
    // Another program at ann's address, or somebody who forges it.
    Somebody::at("192.0.2.1:9999").send(&mut world, "OPTIONS", SCANNER);
    world.call(ANN, BOB);
    world.run(s(2));
    let body = b"v=0\r\n".to_vec();
    world.hang_up(ANN, ann);
    world.run(s(1));
    drop(body);
    check(
        &mut world,
        expect![[r#"
            2.000   192.0.2.1:9999 → bob: OPTIONS
            2.000     bob: Banned 192.0.2.1 for 60 s: scanner
            2.000   ann → bob: INVITE (application/sdp)
            2.500   ann → bob: INVITE (application/sdp)
            3.500   ann → bob: INVITE (application/sdp)
            4.000   ann → bob: BYE
            4.000     ann: Ended Ours
            4.010   bob → ann: 200 OK (BYE)
            4.010     bob: Ended Theirs
        "#]],
    );
}

#[test]
fn a_registered_phone_stays_when_its_address_is_banned() {
    let mut world = guarded();
    let mut phone = Somebody::registered(&mut world, "192.0.2.9:40000");
    let mut stranger = Somebody::at("192.0.2.9:40001");
    assert_eq!(stranger.send(&mut world, "OPTIONS", SCANNER), 0);
    world.take_ladder();
    assert_eq!(stranger.register(&mut world, ""), 0);
    assert_eq!(phone.register(&mut world, "secret of ann"), 200);
    assert_eq!(
        phone.send(&mut world, "INVITE", "Contact: <sip:ann@192.0.2.9:40000>\n"),
        100
    );
    // It has limits, too: its own.
    let answered = (0..100)
        .filter(|_| phone.send(&mut world, "OPTIONS", "") == 200)
        .count();
    assert_eq!(answered, 18);
    assert_eq!(world.counts(BOB).guard.banned, 1);

    // But not the right to guess the passwords of others.
    world.run(s(10));
    for _ in 0..3 {
        assert_eq!(phone.register(&mut world, "guess"), 0);
    }
    world.run(s(1));
    assert_eq!(phone.register(&mut world, "secret of ann"), 0);
}

#[test]
fn noise_is_silenced() {
    let mut world = guarded();
    for _ in 0..5 {
        world.inject(BOB, "192.0.2.66:5060", "GET / HTTP/1.1\n\n");
        world.inject(BOB, "192.0.2.67:5060", "\n\n");
    }
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.66:5060 → bob: (dropped: not SIP)
            0.000   192.0.2.67:5060 → bob: (keep-alive)
            0.000   192.0.2.66:5060 → bob: (dropped: not SIP)
            0.000   192.0.2.67:5060 → bob: (keep-alive)
            0.000   192.0.2.66:5060 → bob: (dropped: not SIP)
            0.000   192.0.2.67:5060 → bob: (keep-alive)
            0.000   192.0.2.66:5060 → bob: (dropped: not SIP)
            0.000     bob: Banned 192.0.2.66 for 60 s: malformed
            0.000   192.0.2.67:5060 → bob: (keep-alive)
            0.000   192.0.2.66:5060 → bob: (dropped: not SIP)
            0.000   192.0.2.67:5060 → bob: (keep-alive)
        "#]],
    );
    let counts = world.counts(BOB);
    assert_eq!((counts.malformed, counts.guard.dropped_banned), (4, 1));
}

#[test]
fn a_flood_from_one_source_is_cut_and_then_banned() {
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        let mut world = guarded();
        world.ladder = None;
        let mut phone = Somebody::registered(&mut world, "192.0.2.9:40000");
        let mut attacker = Somebody::at("192.0.2.66:5060");
        let contact = "Contact: <sip:x@192.0.2.66>\n";
        let mut answered = 0;
        for n in 0..10_000 {
            answered += u32::from(attacker.send(&mut world, method, contact) != 0);
            if n % 1_000 == 0 {
                assert_eq!(phone.register(&mut world, "secret of ann"), 200, "{n}");
                world.run(Duration::from_millis(200));
            }
        }
        let counts = world.counts(BOB);
        assert!(answered < 40, "{method}: {answered} were answered");
        assert_eq!(counts.guard.bans, [0, 0, 0, 1], "{method}");
        let guard = counts.guard;
        let limited = guard.dropped_requests + guard.dropped_registers + guard.dropped_invites;
        let dropped = guard.dropped_banned + limited;
        assert_eq!(
            dropped,
            10_000 - u64::from(answered),
            "{method}: all are counted"
        );
        assert!(
            counts.dialogs + counts.server_invites + counts.servers < 80,
            "{counts:?}"
        );
    }
}

#[test]
fn a_flood_from_a_hundred_thousand_sources_leaves_room_for_phones() {
    let limits = Limits {
        dialogs: 1_000,
        transactions: 4_000,
        ..Limits::default()
    };
    for method in ["REGISTER", "INVITE"] {
        let mut world = World::guarded(1, limits, &Config::default());
        world.ladder = None;
        let mut phone = Somebody::registered(&mut world, "192.0.2.9:40000");
        let contact = "Contact: <sip:x@192.0.2.66>\n";
        // One text with a number in it, since a hundred thousand take their time.
        let text = Somebody::at("NNNNNN").text(method, contact);
        let mut bytes = text.replace('\n', "\r\n").into_bytes();
        let marks: Vec<usize> = (0..bytes.len() - 6)
            .filter(|&at| bytes[at..].starts_with(b"NNNNNN"))
            .collect();
        for n in 0..100_000u32 {
            let ip = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            let remote = SocketAddr::new(ip, 5060);
            for &at in &marks {
                bytes[at..at + 6].copy_from_slice(format!("{n:06}").as_bytes());
            }
            let bytes = &bytes[..];
            world.feed(BOB, Input::Datagram { remote, bytes });
            world.outside.clear();
            world.peers[BOB].events.clear();
        }
        let counts = world.counts(BOB);
        assert_eq!(counts.guard.sources, SOURCES_MAX);
        assert!(
            counts.dialogs <= 750 && counts.server_invites <= 750,
            "{counts:?}"
        );
        if method == "INVITE" {
            assert_eq!(counts.overloads, 100_000 - 750);
        }
        assert_eq!(phone.register(&mut world, "secret of ann"), 200);
        assert_eq!(phone.send(&mut world, "INVITE", contact), 100);
        let told = world.peers[BOB].events.back();
        assert!(matches!(told, Some(Event::Incoming { .. })), "{told:?}");
    }
}

#[test]
fn responses_of_strangers_are_counted_like_requests() {
    let mut world = guarded();
    world.ladder = None;
    let text = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx\nFrom: <sip:b@demo>;tag=1\n\
                To: <sip:a@demo>;tag=2\nCall-ID: x\nCSeq: 1 INVITE\nContent-Length: 0\n\n";
    for _ in 0..1_000 {
        world.inject(BOB, "192.0.2.66:5060", text);
    }
    let counts = world.counts(BOB);
    assert_eq!((counts.strays, counts.guard.bans), (20, [0, 0, 0, 1]));
}

/// Opens a stream to bob and sends bytes on it.
fn pour(world: &mut World, conn: u64, from: &str, bytes: &[u8]) {
    let (conn, remote) = (ConnId(conn), from.parse().unwrap());
    world.feed(
        BOB,
        Input::Stream {
            conn,
            remote,
            bytes,
        },
    );
}

fn open(world: &mut World, conn: u64, from: &str) {
    let (conn, remote) = (ConnId(conn), from.parse().unwrap());
    world.feed(
        BOB,
        Input::StreamOpened {
            conn,
            transport: Transport::Tcp,
            remote,
        },
    );
}

#[test]
fn a_message_that_drips_in_closes_its_stream() {
    let mut world = guarded();
    let options = Somebody::at("192.0.2.66:5060").text("OPTIONS", "");
    let options = options.replace('\n', "\r\n").replace("UDP", "TCP");
    // One byte a second would take minutes.
    for byte in options.as_bytes().chunks(1).take(30) {
        pour(&mut world, 1, "192.0.2.66:40000", byte);
        world.run(s(1));
    }
    // The same in two pieces, three times.
    for _ in 0..3 {
        let (first, rest) = options.as_bytes().split_at(40);
        pour(&mut world, 2, "192.0.2.67:40000", first);
        world.run(s(9));
        pour(&mut world, 2, "192.0.2.67:40000", rest);
    }
    check(
        &mut world,
        expect![[r#"
            10.000  bob: closes the stream
            20.000  bob: closes the stream
            30.000  bob: closes the stream
            39.000  bob → 192.0.2.67:40000: 200 OK (OPTIONS)
            48.000  bob → 192.0.2.67:40000: 200 OK (OPTIONS)
            57.000  bob → 192.0.2.67:40000: 200 OK (OPTIONS)
        "#]],
    );
    let counts = world.counts(BOB);
    assert!(counts.guard.streams_slow >= 1, "{counts:?}");
}

#[test]
fn an_idle_stream_is_closed_unless_it_is_used() {
    let mut world = guarded();
    open(&mut world, 101, "192.0.2.66:40000");
    // Keep-alives are no use of it.
    for _ in 0..12 {
        world.run(s(10));
        if world.counts(BOB).streams > 0 {
            pour(&mut world, 101, "192.0.2.66:40000", b"\r\n\r\n");
        }
    }
    assert_eq!(world.counts(BOB).guard.streams_idle, 1);
    assert_eq!(world.counts(BOB).streams, 0);
    world.ladder = Some(String::new());

    // A call over a stream keeps it for as long as it lasts.
    let hop = world.tcp(BOB);
    let ann = world.call_by(ANN, hop, None, &[]);
    world.run(s(1));
    let bob = world.incoming(BOB);
    world.respond(BOB, bob, 200);
    world.run(s(1_000));
    assert_eq!(world.counts(BOB).streams, 1);
    world.hang_up(ANN, ann);
    world.run(s(200));
    assert_eq!(
        (
            world.counts(BOB).streams,
            world.counts(BOB).guard.streams_idle
        ),
        (0, 2)
    );
    check(
        &mut world,
        expect![[r#"
            120.000 ann → bob: INVITE (application/sdp)
            120.010 bob → ann: 100 Trying (INVITE)
            120.010   bob: Incoming
            120.020   ann: Trying
            121.000 bob → ann: 200 OK (INVITE, application/sdp)
            121.010 ann → bob: ACK
            121.010   ann: Answered, 5 bytes
            121.020   bob: Confirmed
            1021.010 ann → bob: UPDATE
            1021.020 bob → ann: 200 OK (UPDATE)
            1121.000 ann → bob: BYE
            1121.000   ann: Ended Ours
            1121.010 bob → ann: 200 OK (BYE)
            1121.010   bob: Ended Theirs
            1241.010 bob: closes the stream
            1241.020 ann: closes the stream
        "#]],
    );
}

#[test]
fn endless_and_oversized_headers_close_the_stream_and_are_banned() {
    let mut world = guarded();
    let mut poured = 0;
    for conn in 1..=5 {
        pour(
            &mut world,
            conn,
            "192.0.2.66:40000",
            b"OPTIONS sip:192.0.2.2 SIP/2.0\r\n",
        );
        while world.counts(BOB).streams > 0 {
            pour(&mut world, conn, "192.0.2.66:40000", &[b'x'; 1_000]);
            poured += 1_000;
        }
    }
    assert!(
        poured <= 4 * (HEAD_BYTES_MAX + 1_000),
        "{poured} bytes were taken"
    );
    check(
        &mut world,
        expect![[r#"
            0.000   bob: closes the stream
            0.000   bob: closes the stream
            0.000   bob: closes the stream
            0.000     bob: Banned 192.0.2.66 for 60 s: malformed
            0.000   bob: closes the stream
            0.000   bob: closes the stream
        "#]],
    );
    let counts = world.counts(BOB);
    assert_eq!((counts.streams, counts.guard.bans), (0, [0, 0, 1, 0]));
}

#[test]
fn streams_are_few_for_each_source_and_bounded_in_all() {
    let limits = Limits {
        streams: 5,
        ..Limits::default()
    };
    let mut world = World::guarded(1, limits, &small());
    for conn in 1..=4 {
        open(&mut world, conn, "192.0.2.66:40000");
    }
    for conn in 5..=7 {
        open(&mut world, conn, "192.0.2.67:40000");
    }
    let counts = world.counts(BOB);
    assert_eq!(
        (
            counts.streams,
            counts.guard.streams_refused,
            counts.overloads
        ),
        (5, 1, 1)
    );
    // A ban closes the streams of its source, and takes no new ones.
    Somebody::at("192.0.2.66:5060").send(&mut world, "OPTIONS", SCANNER);
    open(&mut world, 8, "192.0.2.66:40000");
    check(
        &mut world,
        expect![[r#"
            0.000   bob: closes the stream
            0.000   bob: closes the stream
            0.000   192.0.2.66:5060 → bob: OPTIONS
            0.000     bob: Banned 192.0.2.66 for 60 s: scanner
            0.000   bob: closes the stream
            0.000   bob: closes the stream
            0.000   bob: closes the stream
            0.000   bob: closes the stream
        "#]],
    );
    assert_eq!(world.counts(BOB).streams, 2);
}

#[test]
fn trunks_are_never_limited() {
    let mut world = guarded();
    world.ladder = None;
    let trunk: IpAddr = "192.0.2.70".parse().unwrap();
    world.act(BOB, Action::SetTrusted([trunk].into()));
    let mut carrier = Somebody::at("192.0.2.70:5060");
    for _ in 0..1_000 {
        assert_eq!(carrier.send(&mut world, "OPTIONS", SCANNER), 200);
        world.inject(BOB, "192.0.2.70:5060", "GET / HTTP/1.1\n\n");
    }
    open(&mut world, 1, "192.0.2.70:40000");
    world.run(s(1_000));
    let counts = world.counts(BOB);
    assert_eq!(
        (counts.streams, counts.guard.banned, counts.guard.sources),
        (1, 0, 0)
    );
}
