//! Bodies of requests, and what is said of calls that cannot be controlled.

use expect_test::expect;
use node::{Controlled, Loudness, PartyState, PartyView, Watching};
use vocab::call::GatherEnd;
use vocab::{Party, SecretToken};

use super::document::check;
use super::support::{Server, TOKEN, call, missed};
use crate::http::{actions, limits, parties};

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_make_no_sense_are_named() {
    let server = Server::start(Some(TOKEN)).await;
    let actions = format!("/api/v1/calls/{}/actions", call(1));
    let long = format!("{{\"action\":\"{}\"}}", "x".repeat(limits::BODY_BYTES_MAX));
    let mut said = String::new();
    for (path, kind, body) in [
        ("/api/v1/calls", "text/plain", "{}"),
        ("/api/v1/calls", "application/json", ""),
        ("/api/v1/calls", "application/json", "{}"),
        ("/api/v1/calls", "application/json", r#"{"user":"1001"}"#),
        (
            "/api/v1/calls",
            "application/json; charset=utf-8",
            r#"{"user":"1001","to":"1002","redial":true}"#,
        ),
        (
            "/api/v1/calls",
            "application/json",
            r#"{"user":"1001","redial":true,"detect":{}}"#,
        ),
        (actions.as_str(), "application/json", r#"{"action":"hold"}"#),
        (&actions, "application/json", r#"{"action":"hold","by":[]}"#),
        (
            &actions,
            "application/json",
            r#"{"action":"transfer","by":1,"to":{"queue":"a"}}"#,
        ),
        (
            &actions,
            "application/json",
            r#"{"action":"bridge","leg":1,"with":{"call":"x","leg":1}}"#,
        ),
        (
            &actions,
            "application/json",
            r#"{"action":"secure","leg":1,"inter_timeout_s":301}"#,
        ),
        (
            &actions,
            "application/json",
            r#"{"action":"secure","leg":1,"digits":"4111"}"#,
        ),
        (&actions, "application/json", "\u{0}"),
        (&actions, "application/json", &long),
        ("/api/v1/parking/7/pickup", "application/json", "[]"),
    ] {
        let answer = server.post_as(path, kind, body).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        let about: String = body.chars().take(60).collect();
        let (status, code) = (answer.status, answer.code());
        said += &format!("{about:?}: {status} {code}: {detail}\n");
    }
    expect![[r#"
        "{}": 415 not_json: send JSON, with the header Content-Type: application/json
        "": 400 bad_body: the body is not as it should be: EOF while parsing a value at line 1 column 0
        "{}": 400 bad_body: the body is not as it should be: missing field `user` at line 1 column 2
        "{\"user\":\"1001\"}": 400 bad_body: give either `to` or `redial`: true
        "{\"user\":\"1001\",\"to\":\"1002\",\"redial\":true}": 400 bad_body: give either `to` or `redial`: true
        "{\"user\":\"1001\",\"redial\":true,\"detect\":{}}": 400 bad_body: `detect` goes with `to`: a redial finds out nothing
        "{\"action\":\"hold\"}": 400 bad_body: the body is not as it should be: missing field `by`
        "{\"action\":\"hold\",\"by\":[]}": 400 bad_body: the body is not as it should be: a party is the number of a leg, or the name of a user
        "{\"action\":\"transfer\",\"by\":1,\"to\":{\"queue\":\"a\"}}": 400 bad_body: the body is not as it should be: a target is a text, or an object with one of phone, group, route, number and any
        "{\"action\":\"bridge\",\"leg\":1,\"with\":{\"call\":\"x\",\"leg\":1}}": 400 bad_body: the body is not as it should be: not a valid id
        "{\"action\":\"secure\",\"leg\":1,\"inter_timeout_s\":301}": 400 bad_body: the body is not as it should be: a key is waited for 1 to 300 seconds
        "{\"action\":\"secure\",\"leg\":1,\"digits\":\"4111\"}": 400 bad_body: the body is not as it should be: unknown field `digits`, expected one of `leg`, `prompts`, `min`, `max`, `terminators`, `first_timeout_s`, `inter_timeout_s`
        "\0": 400 bad_body: the body is not as it should be: expected value at line 1 column 1
        "{\"action\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": 413 too_large: the body has more than 16384 bytes
        "[]": 400 bad_body: the body is not as it should be: invalid length 0, expected struct PickUp with 1 element at line 1 column 2
    "#]].assert_eq(&said);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_not_up_cannot_be_controlled() {
    let server = Server::start(Some(TOKEN)).await;
    server.keep(&missed("demo", call(1))).await;
    let hold = r#"{"action":"hold","by":"1001"}"#;
    for (n, status, code) in [(1, 409, "call_over"), (2, 404, "call_not_found")] {
        let path = format!("/api/v1/calls/{}/actions", call(n));
        let answer = server.post(&path, hold).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_calls_that_are_not_up_cannot_be_controlled() {
    let server = Server::start(Some(TOKEN)).await;
    server.keep(&missed("demo", call(1))).await;
    let mut said = String::new();
    for (n, step, body) in [
        (1, "pause", r#"{"leg":"1001","max_s":30}"#),
        (1, "resume", r#"{"leg":2}"#),
        (2, "start", "{}"),
        (2, "stop", "{}"),
        (2, "stop", r#"{"max_s":30}"#),
        (2, "pause", r#"{"max_s":-1}"#),
        (2, "pause", r#"{"leg":[1]}"#),
        (2, "rewind", "{}"),
    ] {
        let path = format!("/api/v1/calls/{}/recording/{step}", call(n));
        let answer = server.post(&path, body).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        let (status, code) = (answer.status, answer.code());
        said += &format!("{step} {body}: {status} {code}: {detail}\n");
    }
    expect![[r#"
        pause {"leg":"1001","max_s":30}: 409 call_over: this call is over
        resume {"leg":2}: 409 call_over: this call is over
        start {}: 404 call_not_found: no call has this id
        stop {}: 404 call_not_found: no call has this id
        stop {"max_s":30}: 400 bad_body: the body is not as it should be: unknown field `max_s`, expected `leg` at line 1 column 8
        pause {"max_s":-1}: 400 bad_body: the body is not as it should be: invalid value: integer `-1`, expected u16 at line 1 column 11
        pause {"leg":[1]}: 400 bad_body: the body is not as it should be: a party is the number of a leg, or the name of a user at line 1 column 11
        rewind {}: 404 no_such_path: there is nothing here; see /api/v1/openapi.json
    "#]].assert_eq(&said);
}

#[test]
fn answers_are_as_told() {
    for controlled in [
        Controlled::Done,
        Controlled::Calling { legs: vec![2, 3] },
        Controlled::Call(call(1)),
        Controlled::Parked { slot: 7 },
        Controlled::Flow {
            label: "verified".to_owned(),
            detail: None,
        },
        Controlled::Secret {
            token: Some(SecretToken(7)),
            digits: 16,
            luhn: true,
            end: GatherEnd::Terminator,
        },
        Controlled::Secret {
            token: None,
            digits: 0,
            luhn: false,
            end: GatherEnd::Timeout,
        },
    ] {
        let answer = serde_json::to_value(actions::Answer::from(controlled)).unwrap();
        check("/components/schemas/Result", &answer);
    }
    let begun = serde_json::to_value(actions::Answer::Begun).unwrap();
    check("/components/schemas/Result", &begun);
    for state in [
        PartyState::Ringing,
        PartyState::Waiting,
        PartyState::Flow,
        PartyState::Talking { with: 1 },
        PartyState::Conference,
        PartyState::Held,
        PartyState::Parked { slot: 7 },
        PartyState::Watching {
            of: 1,
            mode: Watching::Whisper,
        },
        PartyState::Alone,
    ] {
        let view = PartyView {
            leg: 2,
            user: Some("1001".to_owned()),
            party: Party::Sip("1001".to_owned()),
            state,
            loudness: Loudness {
                muted: Some(true),
                said_db: Some(-6),
                ..Loudness::default()
            },
            talks: true,
            leads: false,
        };
        let party = serde_json::to_value(parties::Party::from((call(1), view))).unwrap();
        check("/components/schemas/LiveParty", &party);
    }
}
