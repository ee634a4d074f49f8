//! The signalling of calls, as the API tells it.

use std::sync::Arc;

use store::Retention;
use vocab::Wall;

use super::support::{Server, TOKEN, call, eventful};
use crate::trace::packed_sample;

pub(super) const KEEP: Retention = Retention {
    since: Wall(0),
    bytes_max: u64::MAX,
};

/// A packed trace of two messages.
pub(super) fn sample() -> Vec<u8> {
    packed_sample()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_trace_is_json_text_and_a_capture() {
    let server = Server::start(Some(TOKEN)).await;
    server.keep(&eventful(call(0))).await;
    server.keep(&eventful(call(1))).await;
    let row = (call(0), Arc::from(sample()));
    server.store.keep_traces(&[row], KEEP).await.unwrap();
    let path = format!("/api/v1/calls/{}/trace", call(0));

    let told = server.json(&path).await;
    assert_eq!(
        (&told["stage"], &told["left_out"]),
        (&"past".into(), &0.into())
    );
    let invite = &told["messages"][0];
    assert_eq!(
        (&invite["summary"], &invite["leg"]),
        (&"INVITE".into(), &1.into())
    );
    let text = invite["text"].as_str().unwrap();
    assert!(
        text.contains("response=\"******\"") && !text.contains("secret"),
        "{text}"
    );

    let answer = server
        .ask_with(
            "GET",
            &format!("{path}?width=80"),
            &[("Accept", "text/plain")],
        )
        .await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(answer.text().contains("── INVITE ──"), "{}", answer.text());

    let answer = server.ask("GET", &format!("{path}.pcap")).await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.tcpdump.pcap")
    );
    assert!(answer.body.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]));
    assert!(!answer.body.windows(6).any(|window| window == b"secret"));

    for (path, status, code) in [
        (
            format!("/api/v1/calls/{}/trace", call(1)),
            404,
            "trace_not_found",
        ),
        (
            format!("/api/v1/calls/{}/trace.pcap", call(9)),
            404,
            "call_not_found",
        ),
        (format!("{path}?width=5"), 400, "bad_parameter"),
        (format!("{path}?wide=5"), 400, "bad_parameter"),
    ] {
        let answer = server.ask("GET", &path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_no_call_are_found_by_user_and_address() {
    let server = Server::start(Some(TOKEN)).await;
    server.traces.sample_stray();
    for (query, count) in [
        ("", 1),
        ("?user=1001", 1),
        ("?user=1002", 0),
        ("?address=192.0.2.9", 1),
        ("?address=192.0.2.9:5062&user=1001&limit=1", 1),
        ("?address=192.0.2.8", 0),
    ] {
        let page = server.json(&format!("/api/v1/sip/messages{query}")).await;
        assert_eq!(
            page["items"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
    for query in ["?address=here", "?limit=0", "?limit=1001", "?who=1"] {
        let answer = server
            .ask("GET", &format!("/api/v1/sip/messages{query}"))
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_parameter")
        );
    }
}
