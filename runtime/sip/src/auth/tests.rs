//! Published vectors, and a server against a client.

use std::time::Duration;

use expect_test::expect;
use vocab::{Mono, Pii, Rng};

use super::digest::{Inputs, Qop};
use super::replay::{NonceId, Replays, Use};
use super::{Algorithm, Challenge, Client, Verdict, Verifier};
use crate::Credentials;
use crate::message::{HeaderName, Method, Request};

const LIFETIME: Duration = Duration::from_secs(300);

#[test]
fn published_digests() {
    struct Case<'a> {
        source: &'a str,
        algorithm: Algorithm,
        names: (&'a str, &'a str, &'a str),
        request: (&'a str, &'a str),
        nonce: &'a str,
        qop: Option<Qop<'a>>,
        response: &'a str,
    }
    let http = ("GET", "/dir/index.html");
    let sip = ("INVITE", "sip:bob@biloxi.com");
    let old = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
    let new = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    let old_qop = Qop {
        nc: "00000001",
        cnonce: "0a4f113b",
    };
    let new_qop = Qop {
        nc: "00000001",
        cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    };
    let cases = [
        Case {
            source: "RFC 2617 §3.5",
            algorithm: Algorithm::Md5,
            names: ("Mufasa", "testrealm@host.com", "Circle Of Life"),
            request: http,
            nonce: old,
            qop: Some(old_qop),
            response: "6629fae49393a05397450978507c4ef1",
        },
        Case {
            source: "RFC 7616 §3.9.1, MD5",
            algorithm: Algorithm::Md5,
            names: ("Mufasa", "http-auth@example.org", "Circle of Life"),
            request: http,
            nonce: new,
            qop: Some(new_qop),
            response: "8ca523f5e9506fed4657c9700eebdbec",
        },
        Case {
            source: "RFC 7616 §3.9.1, SHA-256",
            algorithm: Algorithm::Sha256,
            names: ("Mufasa", "http-auth@example.org", "Circle of Life"),
            request: http,
            nonce: new,
            qop: Some(new_qop),
            response: "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        },
        Case {
            source: "RFC 2069 §2.4 as corrected by erratum 749",
            algorithm: Algorithm::Md5,
            names: ("Mufasa", "testrealm@host.com", "CircleOfLife"),
            request: http,
            nonce: old,
            qop: None,
            response: "1949323746fe6a43ef61f9606e7febea",
        },
        Case {
            source: "draft-smith-sipping-auth-examples, without qop",
            algorithm: Algorithm::Md5,
            names: ("bob", "biloxi.com", "zanzibar"),
            request: sip,
            nonce: old,
            qop: None,
            response: "bf57e4e0d0bffc0fbaedce64d59add5e",
        },
        Case {
            source: "draft-smith-sipping-auth-examples, qop auth",
            algorithm: Algorithm::Md5,
            names: ("bob", "biloxi.com", "zanzibar"),
            request: sip,
            nonce: old,
            qop: Some(old_qop),
            response: "89eb0059246c02b2f6ee02c7961d5ea3",
        },
        Case {
            source: "draft-smith-sipping-auth-examples, MD5-sess",
            algorithm: Algorithm::Md5Sess,
            names: ("bob", "biloxi.com", "zanzibar"),
            request: sip,
            nonce: old,
            qop: Some(old_qop),
            response: "e4e4ea61d186d07a92c9e1f6919902e9",
        },
    ];
    for case in cases {
        let inputs = Inputs {
            algorithm: case.algorithm,
            user: case.names.0,
            realm: case.names.1,
            password: case.names.2,
            method: case.request.0,
            uri: case.request.1,
            nonce: case.nonce,
            session_cnonce: case.qop.map_or("", |qop| qop.cnonce),
            qop: case.qop,
        };
        assert_eq!(inputs.response(), case.response, "{}", case.source);
    }
}

#[test]
fn session_keys_hold_the_first_client_nonce() {
    let inputs = |algorithm| Inputs {
        algorithm,
        user: "bob",
        realm: "biloxi.com",
        password: "zanzibar",
        method: "INVITE",
        uri: "sip:bob@biloxi.com",
        nonce: "84a4cc6f3082121f32b42a2187831a9e",
        session_cnonce: "first",
        qop: Some(Qop {
            nc: "0000000a",
            cnonce: "second",
        }),
    };
    // Computed with Python's hashlib.
    assert_eq!(
        inputs(Algorithm::Md5Sess).response(),
        "4cb217bef3b3b099b0d9b55033e69096"
    );
    assert_eq!(
        inputs(Algorithm::Sha256Sess).response(),
        "4bd25a869b45196dc376ce13b7a9bd892ec0984516773dd646a0c6b8ec95d03f"
    );
}

/// A server with one user, and the clock and generator that both sides are given.
struct Bench {
    server: Verifier,
    rng: Rng,
    now: Mono,
}

impl Bench {
    fn new() -> Self {
        let server = Verifier::new("demo", [7; 32], LIFETIME);
        Self {
            server,
            rng: Rng::from_u64(1),
            now: Mono(5_000_000_000),
        }
    }

    fn client(&mut self, algorithm: Algorithm) -> Client {
        let challenges = self.server.challenges(self.now, &mut self.rng, false);
        let [sha, md5] = challenges.try_into().expect("two offers");
        let mut challenge = match algorithm {
            Algorithm::Sha256 | Algorithm::Sha256Sess => Challenge::parse(&sha),
            Algorithm::Md5 | Algorithm::Md5Sess => Challenge::parse(&md5),
        }
        .expect("our own challenge");
        challenge.algorithm = algorithm;
        Client::new(challenge)
    }

    fn answer(&mut self, client: &mut Client, user: &str, password: &str) -> String {
        let password = Pii::new(password.to_owned());
        let credentials = Credentials {
            user: user.to_owned(),
            password,
        };
        client.answer(&mut self.rng, &Method::Register, "sip:demo", &credentials)
    }

    fn judge(&mut self, authorization: &str) -> Verdict {
        let mut request = Request::new(Method::Register, "sip:demo");
        request
            .headers
            .push(HeaderName::Authorization, authorization);
        self.server.verify(self.now, &request, |user| {
            (user == "1001").then_some("secret".into())
        })
    }
}

fn accepted() -> Verdict {
    Verdict::Accepted {
        user: "1001".to_owned(),
    }
}

fn refused(why: &'static str) -> Verdict {
    Verdict::Refused {
        user: "1001".to_owned(),
        why,
    }
}

#[test]
fn each_algorithm_is_accepted_past_the_tenth_and_the_256th_use() {
    for algorithm in [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
    ] {
        let mut bench = Bench::new();
        let mut client = bench.client(algorithm);
        for count in 1..=0x101 {
            let answer = bench.answer(&mut client, "1001", "secret");
            assert!(answer.contains(&format!("nc={count:08x}")));
            assert_eq!(
                bench.judge(&answer),
                accepted(),
                "{algorithm:?} use {count}"
            );
        }
    }
}

#[test]
fn challenges_offer_the_stronger_hash_first() {
    let mut bench = Bench::new();
    let challenges = bench
        .server
        .challenges(Mono(1), &mut bench.rng, true)
        .join("\n");
    expect![[r#"
        Digest realm="demo", nonce="000000000000000167094cea8ca40db11b7d6c2febedb636d861ba6af56d0bee", stale=true, algorithm=SHA-256, qop="auth"
        Digest realm="demo", nonce="000000000000000167094cea8ca40db11b7d6c2febedb636d861ba6af56d0bee", stale=true, algorithm=MD5, qop="auth""#]]
    .assert_eq(&challenges);
}

#[test]
fn answers_are_no_weaker_than_the_weakest_offer() {
    use Algorithm::{Md5, Md5Sess, Sha256, Sha256Sess};
    let all = [Md5, Md5Sess, Sha256, Sha256Sess];
    for (offers, good) in [
        (vec![Md5], [true, true, true, true]),
        (vec![Sha256], [false, false, true, true]),
        (vec![Sha256, Md5], [true, true, true, true]),
    ] {
        for (algorithm, good) in all.into_iter().zip(good) {
            let mut bench = Bench::new();
            let mut client = bench.client(algorithm);
            let answer = bench.answer(&mut client, "1001", "secret");
            bench.server = Verifier::new("demo", [7; 32], LIFETIME).offering(offers.clone());
            match bench.judge(&answer) {
                Verdict::Accepted { .. } => assert!(good, "{offers:?} took {algorithm:?}"),
                Verdict::Malformed(_) => assert!(!good, "{offers:?} refused {algorithm:?}"),
                other @ (Verdict::Absent
                | Verdict::Stale
                | Verdict::Lapsed
                | Verdict::Refused { .. }) => {
                    panic!("{other:?}")
                }
            }
        }
    }
}

#[test]
fn wrong_passwords_and_unknown_users_are_refused() {
    let mut bench = Bench::new();
    let mut client = bench.client(Algorithm::Sha256);
    let answer = bench.answer(&mut client, "1001", "guess");
    assert_eq!(bench.judge(&answer), refused("wrong password"));
    let answer = bench.answer(&mut client, "1002", "");
    let why = "unknown user";
    assert_eq!(
        bench.judge(&answer),
        Verdict::Refused {
            user: "1002".to_owned(),
            why
        }
    );
    let answer = bench.answer(&mut client, "1001", "secret");
    assert_eq!(
        bench.judge(&answer),
        accepted(),
        "failures do not use the nonce up"
    );
    let other_method = answer.replace("sip:demo", "sip:other");
    let why = crate::message::SyntaxError("digest is for another URI");
    assert_eq!(bench.judge(&other_method), Verdict::Malformed(why));
}

#[test]
fn a_count_is_good_for_one_use_in_any_order() {
    let mut bench = Bench::new();
    let mut client = bench.client(Algorithm::Md5);
    let answers: Vec<String> = (0..80)
        .map(|_| bench.answer(&mut client, "1001", "secret"))
        .collect();
    assert_eq!(bench.judge(&answers[0]), accepted());
    assert_eq!(bench.judge(&answers[0]), refused("nonce count used before"));
    assert_eq!(bench.judge(&answers[9]), accepted());
    assert_eq!(bench.judge(&answers[5]), accepted(), "overtaken on the way");
    assert_eq!(bench.judge(&answers[5]), refused("nonce count used before"));
    assert_eq!(bench.judge(&answers[79]), accepted());
    assert_eq!(
        bench.judge(&answers[15]),
        Verdict::Stale,
        "too far behind to tell"
    );
    assert_eq!(
        bench.judge(&answers[16]),
        accepted(),
        "just within the window"
    );
}

#[test]
fn a_nonce_grows_old() {
    let mut bench = Bench::new();
    let mut client = bench.client(Algorithm::Sha256);
    let first = bench.answer(&mut client, "1001", "secret");
    assert_eq!(bench.judge(&first), accepted());
    bench.now = bench.now + (LIFETIME - Duration::from_nanos(1));
    let last = bench.answer(&mut client, "1001", "secret");
    assert_eq!(bench.judge(&last), accepted());
    bench.now = bench.now + Duration::from_nanos(1);
    let late = bench.answer(&mut client, "1001", "secret");
    assert_eq!(bench.judge(&late), Verdict::Stale);
    assert_eq!(
        bench.judge(&first),
        Verdict::Stale,
        "a replay gains nothing"
    );
    let wrong = bench.answer(&mut client, "1001", "guess");
    assert_eq!(
        bench.judge(&wrong),
        refused("wrong password"),
        "age does not excuse"
    );
}

#[test]
fn a_nonce_of_another_process_is_stale() {
    let mut bench = Bench::new();
    let mut client = bench.client(Algorithm::Sha256);
    bench.server = Verifier::new("demo", [8; 32], LIFETIME);
    for password in ["secret", "guess"] {
        let answer = bench.answer(&mut client, "1001", password);
        assert_eq!(bench.judge(&answer), Verdict::Stale, "and tells nothing");
    }
}

#[test]
fn a_nonce_is_good_where_it_was_sent() {
    let mut bench = Bench::new();
    let challenge = |bench: &mut Bench, place: &[u8]| {
        let server = &bench.server;
        let challenges = server.challenges_to(bench.now, &mut bench.rng, false, place);
        Client::new(Challenge::parse(&challenges[0]).expect("our own challenge"))
    };
    let mut client = challenge(&mut bench, b"\xc0\0\x02\x07");
    let mut judge = |password: &str, place: &[u8]| {
        let answer = bench.answer(&mut client, "1001", password);
        let mut request = Request::new(Method::Register, "sip:demo");
        request.headers.push(HeaderName::Authorization, answer);
        bench
            .server
            .verify_from(bench.now, &request, place, |user| {
                (user == "1001").then_some("secret".into())
            })
    };
    assert_eq!(judge("guess", b"\xc0\0\x02\x07"), refused("wrong password"));
    assert_eq!(judge("secret", b"\xc0\0\x02\x07"), accepted());
    for password in ["secret", "guess"] {
        assert_eq!(judge(password, b"\xc0\0\x02\x08"), Verdict::Stale);
        assert_eq!(judge(password, b""), Verdict::Stale);
    }
}

#[test]
fn an_answer_without_qop_is_good_once() {
    let mut bench = Bench::new();
    let mut client = bench.client(Algorithm::Md5);
    let mut challenge = client.challenge().clone();
    challenge.qop = false;
    client = Client::new(challenge);
    let answer = bench.answer(&mut client, "1001", "secret");
    assert!(!answer.contains("qop") && !answer.contains("cnonce"));
    assert_eq!(bench.judge(&answer), accepted());
    assert_eq!(bench.judge(&answer), Verdict::Stale);
}

#[test]
fn a_session_key_of_the_first_answer_stays_good() {
    let mut bench = Bench::new();
    let mut client = bench.client(Algorithm::Md5Sess);
    let first = bench.answer(&mut client, "1001", "secret");
    assert_eq!(bench.judge(&first), accepted());
    // A client that changes its nonce but keeps the session key, as RFC 7616 §3.4.2 has it.
    let nonce = client.challenge().nonce.clone();
    let session_cnonce = first
        .split("cnonce=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let response = Inputs {
        algorithm: Algorithm::Md5Sess,
        user: "1001",
        realm: "demo",
        password: "secret",
        method: "REGISTER",
        uri: "sip:demo",
        nonce: &nonce,
        session_cnonce: session_cnonce.expect("a cnonce"),
        qop: Some(Qop {
            nc: "00000002",
            cnonce: "fresh",
        }),
    }
    .response();
    let second = format!(
        "Digest username=\"1001\", realm=\"demo\", nonce=\"{nonce}\", uri=\"sip:demo\", \
         response=\"{response}\", algorithm=MD5-sess, qop=auth, nc=00000002, cnonce=\"fresh\""
    );
    assert_eq!(bench.judge(&second), accepted());
}

#[test]
fn credentials_that_cannot_be_judged() {
    let long = "x".repeat(129);
    let base = "username=\"1001\", realm=\"demo\", nonce=\"00\", uri=\"sip:demo\", response=\"0\"";
    for (value, expected) in [
        (
            "NoOneKnowsThisScheme opaque-data=here".to_owned(),
            Verdict::Absent,
        ),
        (
            "Digest realm=\"elsewhere\", nonce=\"1\"".to_owned(),
            Verdict::Absent,
        ),
        (
            "Digest realm=\"demo".to_owned(),
            malformed("unterminated quoted string"),
        ),
        ("Digest realm=\"demo\"".to_owned(), malformed("no username")),
        (
            format!("Digest {base}, realm=\"demo\""),
            malformed("parameter given twice"),
        ),
        (
            format!("Digest {base}, algorithm=MD4"),
            malformed("algorithm was not offered"),
        ),
        (
            format!("Digest {base}, qop=auth-int"),
            malformed("qop was not offered"),
        ),
        (
            format!("Digest {base}, qop=auth"),
            malformed("no nonce count"),
        ),
        (
            format!("Digest {base}, qop=auth, nc=1, cnonce=a"),
            malformed("bad nonce count"),
        ),
        (
            format!("Digest {base}, qop=auth, nc=00000000, cnonce=a"),
            malformed("bad nonce count"),
        ),
        (
            format!("Digest {base}, qop=auth, nc=0000000g, cnonce=a"),
            malformed("bad nonce count"),
        ),
        (
            format!("Digest {base}, qop=auth, nc=00000001"),
            malformed("no cnonce"),
        ),
        (
            format!("Digest {base}, algorithm=SHA-256-sess"),
            malformed("no cnonce"),
        ),
        (
            format!("Digest {base}, cnonce={}", "c".repeat(129)),
            malformed("cnonce too long"),
        ),
        (
            format!("Digest {}", base.replace("1001", "")),
            malformed("username too short or too long"),
        ),
        (
            format!("Digest {}", base.replace("1001", &long)),
            malformed("username too short or too long"),
        ),
        // The nonce is none of ours.
        (format!("Digest {base}"), Verdict::Stale),
    ] {
        assert_eq!(Bench::new().judge(&value), expected, "{value}");
    }
}

fn malformed(why: &'static str) -> Verdict {
    Verdict::Malformed(crate::message::SyntaxError(why))
}

#[test]
fn upper_case_digits_are_digits() {
    let mut bench = Bench::new();
    let mut client = bench.client(Algorithm::Md5);
    for _ in 0..9 {
        bench.answer(&mut client, "1001", "secret");
    }
    let answer = bench.answer(&mut client, "1001", "secret");
    let at = answer.find("response=\"").expect("a response") + "response=\"".len();
    let shouted = format!(
        "{}{}{}",
        &answer[..at],
        answer[at..at + 32].to_uppercase(),
        &answer[at + 32..]
    );
    assert_eq!(bench.judge(&shouted), accepted());
}

#[test]
fn challenges_are_chosen_from_the_top() {
    let mut response =
        crate::message::Response::to_request(&Request::new(Method::Register, "sip:demo"), 401);
    for value in [
        "Basic realm=\"demo\"",
        "Digest realm=\"demo\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"",
        "Digest realm=\"demo\", nonce=\"n\", algorithm=MD5, qop=\"auth-int\"",
        "Digest realm=\"demo\", nonce=\"n\", opaque=\"o\", algorithm=SHA-256, qop=\"auth-int,auth\"",
        "Digest realm=\"demo\", nonce=\"n\"",
    ] {
        response.headers.push(HeaderName::WwwAuthenticate, value);
    }
    let chosen = Challenge::choose(&response.headers).expect("one that we know");
    assert_eq!(chosen.algorithm, Algorithm::Sha256);
    assert_eq!((chosen.qop, chosen.opaque.as_deref()), (true, Some("o")));
    assert_eq!(chosen.answer_header(), HeaderName::Authorization);

    response.headers.remove(&HeaderName::WwwAuthenticate);
    assert_eq!(Challenge::choose(&response.headers), None);
    response.headers.push(
        HeaderName::ProxyAuthenticate,
        "Digest realm=x, nonce=y, stale=TRUE",
    );
    let chosen = Challenge::choose(&response.headers).expect("a proxy's");
    assert!(chosen.stale && !chosen.qop && chosen.algorithm == Algorithm::Md5);
    assert_eq!(chosen.answer_header(), HeaderName::ProxyAuthorization);
}

#[test]
fn the_replay_table_keeps_its_bound_and_forgets_safely() {
    let nonce = |n: u64| NonceId {
        issued: Mono(n),
        random: n,
    };
    let mut replays = Replays::new(2);
    assert_eq!(replays.note(nonce(10), Some(1), None), Use::Fresh);
    assert_eq!(replays.note(nonce(20), Some(1), None), Use::Fresh);
    assert_eq!(
        replays.note(nonce(30), Some(1), None),
        Use::Fresh,
        "the oldest makes room"
    );
    assert_eq!(replays.len(), 2);
    assert_eq!(
        replays.note(nonce(10), Some(1), None),
        Use::Forgotten,
        "not fresh again"
    );
    assert_eq!(
        replays.note(nonce(5), Some(1), None),
        Use::Forgotten,
        "older than forgotten ones"
    );
    assert_eq!(replays.note(nonce(20), Some(1), None), Use::Replay);
    assert_eq!(
        replays.note(nonce(15), Some(1), None),
        Use::Forgotten,
        "older than all that stay"
    );
    assert_eq!(replays.len(), 1, "its place was taken from the oldest");
    replays.expire(Mono(30) + LIFETIME, LIFETIME);
    assert_eq!(replays.len(), 0);
}
