//! Digest authentication of INVITE: how a nonce lives, and what is refused (RFC 8760, RFC 7616).

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.

mod world;

use std::time::Duration;

use expect_test::expect;
use jackfield_sip::auth::{Algorithm, Challenge, Client};
use jackfield_sip::message::{HeaderName, Message, Method};
use jackfield_sip::{Action, Event, Hop, RequestId, Transport};
use vocab::Rng;

use world::{World, credentials, header, read};

const ANN: usize = 0;
const BOB: usize = 1;
/// A carrier that the test plays.
const CARRIER: &str = "192.0.2.9:5060";
const URI: &str = "sip:1000@192.0.2.2";

/// A caller whose answers to challenges the test holds in its hand.
struct Caller {
    rng: Rng,
    login: Option<Client>,
    number: u32,
    source: &'static str,
}

impl Caller {
    /// One that was challenged with this algorithm.
    fn challenged(world: &mut World, algorithm: Algorithm) -> Self {
        let mut caller = Self {
            rng: Rng::from_u64(5),
            login: None,
            number: 0,
            source: "192.0.2.9:40000",
        };
        assert_eq!(caller.invite(world, None), 100);
        let Some(Event::Incoming { dialog, .. }) = world.peers[BOB].events.pop_back() else {
            panic!("no call")
        };
        world.act(BOB, Action::Challenge { dialog });
        caller.heed(world, algorithm);
        caller
    }

    /// Takes over the challenge that was just heard.
    fn heed(&mut self, world: &World, algorithm: Algorithm) {
        let (_, bytes) = world.outside.last().unwrap();
        let message = read(bytes);
        let value = message.headers().first(&HeaderName::WwwAuthenticate);
        let challenge = Challenge::parse(value.unwrap()).unwrap();
        self.login = Some(Client::new(Challenge {
            algorithm,
            ..challenge
        }));
    }

    /// `Authorization` for the next INVITE.
    fn answer(&mut self) -> String {
        let login = self.login.as_mut().unwrap();
        login.answer(&mut self.rng, &Method::Invite, URI, &credentials("ann"))
    }

    /// Sends an INVITE and gives the status of what comes back first.
    fn invite(&mut self, world: &mut World, authorization: Option<&str>) -> u16 {
        self.number += 1;
        let (number, source) = (self.number, self.source);
        let authorization = authorization
            .map(|value| format!("Authorization: {value}\n"))
            .unwrap_or_default();
        let text = format!(
            "INVITE {URI} SIP/2.0\nVia: SIP/2.0/UDP {source};branch=z9hG4bK{number};rport\n\
             Max-Forwards: 70\nFrom: <sip:ann@demo>;tag=1\nTo: <{URI}>\nCall-ID: {number}\n\
             CSeq: 1 INVITE\nContact: <sip:ann@{source}>\n{authorization}Content-Length: 0\n\n"
        );
        let before = world.outside.len();
        world.inject(BOB, source, &text);
        let (_, bytes) = &world.outside[before];
        let Message::Response(response) = read(bytes) else {
            panic!("a request")
        };
        response.status
    }

    fn told_stale(world: &World) -> bool {
        let (_, bytes) = world.outside.last().unwrap();
        String::from_utf8_lossy(bytes).contains("stale=true")
    }
}

#[test]
fn every_algorithm_lets_calls_in_past_the_tenth_and_the_256th() {
    for algorithm in [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
    ] {
        let mut world = World::new(1);
        world.ladder = None;
        let mut caller = Caller::challenged(&mut world, algorithm);
        for count in 1..=0x101 {
            let answer = caller.answer();
            assert!(answer.contains(&format!("nc={count:08x}")));
            let status = caller.invite(&mut world, Some(&answer));
            assert_eq!(status, 100, "{algorithm:?}, use {count}");
            let told = world.peers[BOB].events.pop_back();
            let Some(Event::Incoming { user, .. }) = told else {
                panic!("{told:?}")
            };
            assert_eq!(user.as_deref(), Some("ann"));
        }
    }
}

#[test]
fn a_nonce_ages_and_is_good_once_for_each_count_and_at_one_address() {
    let mut world = World::new(1);
    let mut caller = Caller::challenged(&mut world, Algorithm::Md5Sess);
    let first = caller.answer();
    assert_eq!(caller.invite(&mut world, Some(&first)), 100);
    // The same answer in another INVITE: somebody listened.
    assert_eq!(caller.invite(&mut world, Some(&first)), 401);
    assert!(!Caller::told_stale(&world));
    // An answer that was never used, from somewhere else.
    let unused = caller.answer();
    caller.source = "192.0.2.10:40000";
    assert_eq!(caller.invite(&mut world, Some(&unused)), 401);
    assert!(Caller::told_stale(&world));
    caller.source = "192.0.2.9:40000";
    world.run(Duration::from_secs(301));
    let late = caller.answer();
    assert_eq!(caller.invite(&mut world, Some(&late)), 401);
    assert!(Caller::told_stale(&world));
    caller.heed(&world, Algorithm::Md5Sess);
    let fresh = caller.answer();
    assert!(fresh.contains("nc=00000001"));
    assert_eq!(caller.invite(&mut world, Some(&fresh)), 100);
    expect![[r#"
        0.000   192.0.2.9:40000 → bob: INVITE
        0.000   bob → 192.0.2.9:40000: 100 Trying (INVITE)
        0.000     bob: Incoming
        0.000   bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        0.000   192.0.2.9:40000 → bob: INVITE
        0.000   bob → 192.0.2.9:40000: 100 Trying (INVITE)
        0.000     bob: Incoming from ann
        0.000   192.0.2.9:40000 → bob: INVITE
        0.000     bob: AuthFailed ann
        0.000   bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        0.000   192.0.2.10:40000 → bob: INVITE
        0.000   bob → 192.0.2.10:40000: 401 Unauthorized (INVITE)
        0.500   bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        1.500   bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        3.500   bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        7.500   bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        11.500  bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        15.500  bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        19.500  bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        23.500  bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        27.500  bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        31.500  bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        301.000 192.0.2.9:40000 → bob: INVITE
        301.000 bob → 192.0.2.9:40000: 401 Unauthorized (INVITE)
        301.000 192.0.2.9:40000 → bob: INVITE
        301.000 bob → 192.0.2.9:40000: 100 Trying (INVITE)
        301.000   bob: Incoming from ann
    "#]]
    .assert_eq(&world.take_ladder());
    assert_eq!(world.counts(BOB).auth_failures, 1);
}

/// The carrier challenges what it was sent last, which proved this nonce.
fn challenge(world: &mut World, proved: Option<&str>, (nonce, stale): (&str, bool)) {
    let (_, bytes) = world.outside.last().unwrap().clone();
    let of = |name| header(&bytes, name);
    let proof = read(&bytes)
        .headers()
        .first(&HeaderName::Authorization)
        .map(str::to_owned);
    let wanted = proved.map(|nonce| format!(" nonce=\"{nonce}\","));
    match (&proof, wanted) {
        (Some(proof), Some(wanted)) => assert!(proof.contains(&wanted), "{proof}"),
        (proof, wanted) => assert_eq!(*proof, wanted),
    }
    let text = format!(
        "SIP/2.0 401 Unauthorized\nVia: {}\nFrom: {}\nTo: {};tag=c\nCall-ID: {}\nCSeq: {}\n\
         WWW-Authenticate: Digest realm=\"c\", nonce=\"{nonce}\", qop=\"auth\", stale={stale}\n\
         Content-Length: 0\n\n",
        of(HeaderName::Via),
        of(HeaderName::From),
        of(HeaderName::To),
        of(HeaderName::CallId),
        of(HeaderName::CSeq),
    );
    world.inject(ANN, CARRIER, &text);
}

#[test]
fn a_nonce_that_was_too_old_is_no_wrong_password() {
    let mut world = World::new(1);
    let hop = Hop {
        transport: Transport::Udp,
        remote: CARRIER.parse().unwrap(),
        ..world.hop(BOB)
    };
    world.call_by(ANN, hop, Some(credentials("ann")), &[]);
    challenge(&mut world, None, ("one", false));
    challenge(&mut world, Some("one"), ("two", true));
    challenge(&mut world, Some("two"), ("three", false));
    world.run(Duration::from_secs(40));
    // One that never is content is not asked for ever.
    world.act(
        ANN,
        Action::Request {
            id: RequestId(1),
            method: "REGISTER".into(),
            uri: "sip:carrier".into(),
            hop,
            from: "<sip:ann@carrier>".into(),
            to: "<sip:ann@carrier>".into(),
            headers: Vec::new(),
            credentials: Some(credentials("ann")),
        },
    );
    challenge(&mut world, None, ("one", false));
    challenge(&mut world, Some("one"), ("two", true));
    challenge(&mut world, Some("two"), ("three", true));
    challenge(&mut world, Some("three"), ("four", true));
    expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 401 Unauthorized (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 401 Unauthorized (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 401 Unauthorized (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000     ann: Failed 401
        40.000  ann → 192.0.2.9:5060: REGISTER
        40.000  192.0.2.9:5060 → ann: 401 Unauthorized (REGISTER)
        40.000  ann → 192.0.2.9:5060: REGISTER
        40.000  192.0.2.9:5060 → ann: 401 Unauthorized (REGISTER)
        40.000  ann → 192.0.2.9:5060: REGISTER
        40.000  192.0.2.9:5060 → ann: 401 Unauthorized (REGISTER)
        40.000  ann → 192.0.2.9:5060: REGISTER
        40.000  192.0.2.9:5060 → ann: 401 Unauthorized (REGISTER)
        40.000    ann: Response 401
    "#]]
    .assert_eq(&world.take_ladder());
}

#[test]
fn registrations_at_one_registrar_are_one_series() {
    let mut world = World::new(1);
    let hop = Hop {
        transport: Transport::Udp,
        remote: CARRIER.parse().unwrap(),
        ..world.hop(BOB)
    };
    let mut ask = |n: u64, method: &str, uri: &str| {
        world.act(
            ANN,
            Action::Request {
                id: RequestId(n),
                method: method.to_owned(),
                uri: uri.to_owned(),
                hop,
                from: "<sip:ann@carrier>".into(),
                to: "<sip:ann@carrier>".into(),
                headers: Vec::new(),
                credentials: Some(credentials("ann")),
            },
        );
        let sent = |world: &World| {
            let (_, bytes) = world.outside.last().expect("a request").clone();
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            let value = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name));
                line.expect("a header")
                    .split(": ")
                    .nth(1)
                    .map(str::to_owned)
            };
            let cseq = value("CSeq").expect("a value");
            let number = cseq.split(' ').next().expect("a number").parse::<u32>();
            (
                value("Call-ID").expect("a value"),
                number.expect("a number"),
            )
        };
        let first = sent(&world);
        challenge(&mut world, None, ("one", false));
        let proof = sent(&world);
        assert_eq!(proof, (first.0.clone(), first.1 + 1), "the proof follows");
        world.run(Duration::from_secs(40));
        first
    };
    let (first, one) = ask(1, "REGISTER", "sip:carrier");
    let (second, two) = ask(2, "REGISTER", "sip:carrier");
    assert_eq!(first, second, "RFC 3261 §10.2.4");
    assert!(two > one + 1, "{one} and its proof came before {two}");
    let (other, number) = ask(3, "REGISTER", "sip:other");
    assert!(other != first && number == 1);
    let (options, _) = ask(4, "OPTIONS", "sip:carrier");
    assert_ne!(options, first);
}
