//! Who is let in, and what is told of calls.

use expect_test::expect;
use serde_json::Value;

use super::support::{Server, TOKEN, ask, call, eventful, missed};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_asks_for_the_token() {
    let server = Server::start(Some(TOKEN)).await;
    for path in [
        "/api/v1/calls",
        "/api/v1/openapi.json",
        "/api/v1/recordings/x",
        "/api/v1/nothing",
    ] {
        for headers in [&[][..], &[("Authorization", "Bearer wrong")]] {
            let answer = ask(server.address, "GET", path, headers).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (401, "unauthorized"),
                "{path}"
            );
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer realm=\"jackfield\"")
            );
        }
    }
    let answer = server.ask("GET", "/api/v1/calls").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.text(), r#"{"items":[],"next":null}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_api_is_closed() {
    let server = Server::start(None).await;
    let answer = server.ask("GET", "/api/v1/calls").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "no_token_configured")
    );
    assert!(answer.text().contains("token_env"), "it says what to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem() {
    let server = Server::start(Some(TOKEN)).await;
    server.keep(&missed("demo", call(1))).await;
    let (over, unknown) = (call(1), call(2));
    for (method, path, status, code) in [
        ("GET", "/nothing".to_owned(), 404, "no_such_path"),
        ("GET", "/api/v1/nothing".to_owned(), 404, "no_such_path"),
        ("PUT", "/api/v1/calls".to_owned(), 405, "no_such_method"),
        (
            "GET",
            format!("/api/v1/calls/{unknown}"),
            404,
            "call_not_found",
        ),
        ("GET", "/api/v1/calls/junk".to_owned(), 404, "not_found"),
        ("GET", "/api/v1/calls/%ff".to_owned(), 404, "not_found"),
        (
            "DELETE",
            format!("/api/v1/calls/{unknown}"),
            404,
            "call_not_found",
        ),
        ("DELETE", format!("/api/v1/calls/{over}"), 409, "call_over"),
        (
            "DELETE",
            "/api/v1/sip/bans/192.0.2.1".to_owned(),
            404,
            "ban_not_found",
        ),
        (
            "DELETE",
            "/api/v1/sip/bans/example.com".to_owned(),
            404,
            "not_found",
        ),
        (
            "GET",
            "/api/v1/registrations?limit=0".to_owned(),
            400,
            "bad_parameter",
        ),
        ("GET", "/phone/nothing.js".to_owned(), 404, "no_such_path"),
        (
            "POST",
            "/api/v1/plugins/menu/rollback".to_owned(),
            404,
            "plugin_not_found",
        ),
    ] {
        let answer = server.ask(method, &path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{method} {path}"
        );
    }
    let problem = server.ask("GET", "/api/v1/calls/junk").await;
    expect![[r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"this path names nothing: check its id","code":"not_found"}"#]].assert_eq(problem.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_make_no_sense_are_named() {
    let server = Server::start(Some(TOKEN)).await;
    let mut said = String::new();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "before=junk",
        "tenant=A",
        "tenant=",
        "disposition=Busy",
        "since=yesterday",
        "until=2026-01-01T00:00:00+08:00",
        "unknown=1",
        "limit=1&limit=2",
    ] {
        let answer = server.ask("GET", &format!("/api/v1/calls?{query}")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_parameter"),
            "{query}"
        );
        said += &format!("{query}: {}\n", answer.json()["detail"].as_str().unwrap());
    }
    expect![[r#"
        limit=0: limit: from 1 to 1000
        limit=1001: limit: from 1 to 1000
        limit=-1: limit: from 1 to 1000
        limit=x: limit: from 1 to 1000
        before=junk: before: the `next` of the page before
        tenant=A: tenant: 1 to 63 characters of a-z, 0-9 and -
        tenant=: tenant: 1 to 63 characters of a-z, 0-9 and -
        disposition=Busy: disposition: one of active, answered, no_answer, busy, failed, interrupted
        since=yesterday: since: a time as in 2026-11-21T14:03:07Z (RFC 3339); + is written %2B in a URL
        until=2026-01-01T00:00:00+08:00: until: a time as in 2026-11-21T14:03:07Z (RFC 3339); + is written %2B in a URL
        unknown=1: unknown: unknown field `unknown`, expected one of `tenant`, `before`, `limit`, `disposition`, `since`, `until`
        limit=1&limit=2: duplicate field `limit`
    "#]].assert_eq(&said);
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_met_once_while_paging() {
    let server = Server::start(Some(TOKEN)).await;
    for n in 0..5 {
        server.keep(&missed("demo", call(n))).await;
    }
    let mut met = Vec::new();
    let mut path = "/api/v1/calls?limit=2".to_owned();
    loop {
        let page = server.json(&path).await;
        met.extend(ids(&page));
        // Calls that begin meanwhile are newer, so they are on none of the pages to come.
        server
            .keep(&missed("demo", call(100 + met.len() as u64)))
            .await;
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/calls?limit=2&before={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..5).rev().map(|n| call(n).to_string()).collect();
    assert_eq!(met, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_filtered() {
    let server = Server::start(Some(TOKEN)).await;
    server.keep(&missed("demo", call(0))).await;
    server.keep(&missed("other", call(10))).await;
    server.keep(&eventful(call(20))).await;
    for (query, expected) in [
        ("", vec![20, 10, 0]),
        ("?tenant=other", vec![10]),
        ("?tenant=nobody", vec![]),
        ("?disposition=answered", vec![20]),
        ("?disposition=no_answer&tenant=demo", vec![0]),
        ("?since=2026-01-01T00:00:10Z", vec![20, 10]),
        ("?until=2026-01-01T08:00:10%2B08:00", vec![0]),
        ("?limit=1", vec![20]),
    ] {
        let page = server.json(&format!("/api/v1/calls{query}")).await;
        let expected: Vec<String> = expected.into_iter().map(|n| call(n).to_string()).collect();
        assert_eq!(ids(&page), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_told_with_its_events() {
    let server = Server::start(Some(TOKEN)).await;
    server.keep(&eventful(call(0))).await;
    let detail = server.json(&format!("/api/v1/calls/{}", call(0))).await;
    expect![[r#"
        {
          "answered_at": "2026-01-01T00:00:02.000Z",
          "cause": "normal",
          "consent": "announced",
          "direction": "inbound",
          "disposition": "answered",
          "duration_ms": 30000,
          "ended_at": "2026-01-01T00:00:30.000Z",
          "ended_by": "near",
          "event_count": 31,
          "events": [
            {
              "at": "2026-01-01T00:00:00.000Z",
              "direction": "inbound",
              "from": "tel:+8613800138000",
              "kind": "call.started",
              "n": 1,
              "sip_call_id": "a84b4c76e66710@pc33",
              "to": "1000",
              "trunk": null,
              "user": "1001",
              "withheld": false
            },
            {
              "at": "2026-01-01T00:00:01.000Z",
              "kind": "flow.started",
              "n": 2,
              "plugin": "ivr-menu",
              "version": "0.1.0"
            },
            {
              "at": "2026-01-01T00:00:02.000Z",
              "kind": "call.answered",
              "n": 3
            },
            {
              "at": "2026-01-01T00:00:03.000Z",
              "kind": "recording.started",
              "n": 4,
              "recording": "01kdvdna000000000000001ayd"
            },
            {
              "at": "2026-01-01T00:00:04.000Z",
              "channels": 2,
              "kind": "recording.segment_started",
              "leg": 1,
              "n": 5,
              "recording": "01kdvdna000000000000001ayd-s1"
            },
            {
              "at": "2026-01-01T00:00:05.000Z",
              "kind": "call.interaction",
              "n": 6,
              "with": "01kdvdna000000000000001ayd"
            },
            {
              "at": "2026-01-01T00:00:06.000Z",
              "consent": "announced",
              "kind": "recording.consent",
              "n": 7
            },
            {
              "at": "2026-01-01T00:00:07.000Z",
              "kind": "secret.started",
              "leg": 1,
              "n": 8
            },
            {
              "at": "2026-01-01T00:00:08.000Z",
              "digits": 16,
              "end": "complete",
              "kind": "secret.ended",
              "leg": 1,
              "luhn": true,
              "n": 9,
              "token": "sec_00000000000000000000000005"
            },
            {
              "at": "2026-01-01T00:00:09.000Z",
              "by": 2,
              "kind": "recording.paused",
              "n": 10
            },
            {
              "at": "2026-01-01T00:00:10.000Z",
              "by": null,
              "kind": "recording.resumed",
              "n": 11,
              "why": "time"
            },
            {
              "at": "2026-01-01T00:00:11.000Z",
              "by": null,
              "kind": "recording.stopped",
              "n": 12
            },
            {
              "at": "2026-01-01T00:00:12.000Z",
              "end": "split",
              "kind": "recording.segment_ended",
              "length_ms": 1200,
              "n": 13,
              "recording": "01kdvdna000000000000001ayd-s1"
            },
            {
              "at": "2026-01-01T00:00:13.000Z",
              "detail": "greeting",
              "kind": "flow.asked",
              "n": 14,
              "op": "gather"
            },
            {
              "at": "2026-01-01T00:00:14.000Z",
              "digits": 1,
              "end": "complete",
              "kind": "flow.gathered",
              "n": 15
            },
            {
              "at": "2026-01-01T00:00:15.000Z",
              "key": "language",
              "kind": "call.attr_set",
              "n": 16
            },
            {
              "at": "2026-01-01T00:00:16.000Z",
              "end": "silence",
              "kind": "message.left",
              "length_ms": 2500,
              "n": 17,
              "recording": "01kdvdna000000000000001ayd-m1"
            },
            {
              "at": "2026-01-01T00:00:17.000Z",
              "kind": "recording.cut",
              "length_ms": 1500,
              "n": 18,
              "recording": "01kdvdna000000000000001ayd"
            },
            {
              "at": "2026-01-01T00:00:18.000Z",
              "kind": "leg.dialed",
              "leg": 2,
              "n": 19,
              "to": "sip:1002",
              "trunk": null
            },
            {
              "at": "2026-01-01T00:00:19.000Z",
              "by": 2,
              "detail": "",
              "kind": "leg.held",
              "leg": 1,
              "n": 20,
              "other": null
            },
            {
              "a": 1,
              "at": "2026-01-01T00:00:20.000Z",
              "b": 2,
              "kind": "leg.bridged",
              "n": 21
            },
            {
              "a": 1,
              "at": "2026-01-01T00:00:21.000Z",
              "b": 2,
              "kind": "leg.unbridged",
              "n": 22
            },
            {
              "at": "2026-01-01T00:00:22.000Z",
              "codec": "opus",
              "far_lost": null,
              "jitter_ms": 3.25,
              "kind": "leg.media",
              "late": 8,
              "leg": 2,
              "lost": 12,
              "mos": 4.21,
              "n": 23,
              "received": 1480,
              "round_trip_ms": 41.0,
              "secured": true,
              "sent": 1500
            },
            {
              "at": "2026-01-01T00:00:23.000Z",
              "hz": [
                985,
                1371,
                1777
              ],
              "kind": "leg.signal",
              "leg": 2,
              "lengths_ms": [
                380,
                274,
                380
              ],
              "level_dbm0": -14,
              "n": 24,
              "signal": "vacant_code"
            },
            {
              "answerer": "machine",
              "at": "2026-01-01T00:00:24.000Z",
              "at_ms": 3120,
              "beep_at_ms": null,
              "cause": "long_greeting",
              "initial_silence_ms": 480,
              "kind": "leg.answerer",
              "leg": 2,
              "n": 25,
              "silence_ms": 0,
              "voice_ms": 2410,
              "words": 6
            },
            {
              "at": "2026-01-01T00:00:25.000Z",
              "at_ms": 9800,
              "beep": true,
              "kind": "leg.message_ended",
              "leg": 2,
              "n": 26,
              "unheard": false
            },
            {
              "at": "2026-01-01T00:00:26.000Z",
              "cause": null,
              "kind": "leg.dial_ended",
              "leg": 2,
              "n": 27,
              "result": "answered",
              "status": null
            },
            {
              "at": "2026-01-01T00:00:27.000Z",
              "kind": "flow.ended",
              "label": "sales",
              "n": 28
            },
            {
              "at": "2026-01-01T00:00:28.000Z",
              "detail": "50 ms spent",
              "fault": "out_of_time",
              "kind": "flow.fault",
              "n": 29,
              "plugin": "ivr-menu",
              "version": "0.1.0"
            },
            {
              "announcement": "sorry",
              "at": "2026-01-01T00:00:29.000Z",
              "kind": "call.fallback",
              "n": 30
            },
            {
              "at": "2026-01-01T00:00:30.000Z",
              "by": "near",
              "cause": "normal",
              "kind": "call.ended",
              "n": 31
            }
          ],
          "fault": "plugin ivr-menu 0.1.0: out_of_time: 50 ms spent",
          "from": "tel:+8613800138000",
          "id": "01kdvdna000000000000001ayd",
          "interaction": "01kdvdna000000000000001ayd",
          "messages": [
            "01kdvdna000000000000001ayd-m1"
          ],
          "outcome": "sales",
          "plugin": {
            "name": "ivr-menu",
            "version": "0.1.0"
          },
          "recording": "01kdvdna000000000000001ayd",
          "sip_call_id": "a84b4c76e66710@pc33",
          "started_at": "2026-01-01T00:00:00.000Z",
          "talk_ms": 28000,
          "tenant": "demo",
          "to": "1000",
          "user": "1001"
        }
    "#]]
    .assert_eq(&(serde_json::to_string_pretty(&detail).unwrap() + "\n"));
    let page = server.json("/api/v1/calls").await;
    let mut record = detail;
    record.as_object_mut().unwrap().remove("events");
    assert_eq!(page["items"][0], record, "the list tells the same");
}
