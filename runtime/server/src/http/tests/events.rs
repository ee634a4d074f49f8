//! Events as they happen, over a connection that stays.

use expect_test::expect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vocab::Wall;

use super::document::check;
use super::support::{Server, TOKEN, call, eventful, missed};
use crate::feed::{Committed, News, Other, What};
use crate::http::{events, limits};

/// Somebody who listens.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    async fn start(server: &Server, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // Version 1.0, so that the answer is not in chunks.
        let request = format!(
            "GET /api/v1/events{path} HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self {
            stream,
            heard: String::new(),
        };
        listener.until("\n\n").await;
        let begin = listener.heard.find("retry:").unwrap_or_else(|| {
            panic!("no stream: {}", listener.heard);
        });
        listener.heard.drain(..begin);
        listener
    }

    /// Reads until this is there, or the end.
    async fn until(&mut self, text: &str) {
        let mut buffer = [0; 4_096];
        while !self.heard.contains(text) {
            let read = self.stream.read(&mut buffer).await.unwrap();
            if read == 0 {
                return;
            }
            self.heard += std::str::from_utf8(&buffer[..read]).unwrap();
        }
    }
}

fn phone(user: &str) -> News {
    News::Other(Other {
        at: Wall(1_767_225_600_000_000),
        tenant: Some("demo".parse().unwrap()),
        what: What::PhoneRegistered {
            user: user.to_owned(),
            contacts: 1,
            refreshed: false,
        },
    })
}

fn calls(seconds: u64) -> Vec<News> {
    let events = missed("demo", call(seconds));
    Committed::all(&events.into()).map(News::Call).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_as_they_happen() {
    let server = Server::start(Some(TOKEN)).await;
    server.feed.tell([phone("1000")]);
    let mut all = Listener::start(&server, "", "").await;
    let mut phones = Listener::start(&server, "?kind=phone.&tenant=demo", "").await;
    let path = format!("?call={}", call(2));
    let mut one = Listener::start(&server, &path, "").await;
    let mut none = Listener::start(&server, "?tenant=other", "").await;
    server.feed.tell([phone("1001")]);
    server.feed.tell(calls(1));
    server.feed.tell(calls(2));
    server.feed.close();
    for listener in [&mut all, &mut phones, &mut one, &mut none] {
        listener.until("never said").await;
    }
    expect![[r#"
        retry: 1000
        : listening

        id: 7-2
        event: phone.registered
        data: {"at":"2026-01-01T00:00:00.000Z","contacts":1,"kind":"phone.registered","refreshed":false,"tenant":"demo","user":"1001"}

    "#]].assert_eq(&phones.heard);
    let kinds = |heard: &str| {
        let lines = heard
            .lines()
            .filter_map(|line| line.strip_prefix("event: "));
        lines.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        kinds(&all.heard),
        "phone.registered call.started call.ended call.started call.ended"
    );
    assert_eq!(kinds(&one.heard), "call.started call.ended");
    assert!(one.heard.contains(&call(2).to_string()));
    assert_eq!(kinds(&none.heard), "");
    let late = server.ask("GET", "/api/v1/events").await;
    assert_eq!((late.status, late.code().as_str()), (503, "draining"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_misses_nothing_or_is_told_so() {
    let server = Server::start(Some(TOKEN)).await;
    server.feed.tell(["1", "2", "3"].map(phone));
    let mut said = String::new();
    for id in ["7-1", "7-3", "6-1", "junk", "7-99"] {
        let header = format!("Last-Event-ID: {id}\r\n");
        let mut listener = Listener::start(&server, "", &header).await;
        server.feed.tell([phone("last")]);
        listener.until("\"user\":\"last\"").await;
        let lines = listener.heard.lines();
        let kept: Vec<_> = lines
            .filter(|line| line.starts_with("id:") || line.starts_with("event: gap"))
            .collect();
        said += &format!("after {id}: {}\n", kept.join(", "));
        if id == "7-99" {
            break;
        }
    }
    expect![[r#"
        after 7-1: id: 7-2, id: 7-3, id: 7-4
        after 7-3: id: 7-4
        after 6-1: event: gap, id: 7-6
        after junk: event: gap, id: 7-7
        after 7-99: event: gap, id: 7-8
    "#]]
    .assert_eq(&said);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_room_for_so_many() {
    let server = Server::start(Some(TOKEN)).await;
    let mut listeners = Vec::new();
    for _ in 0..limits::LISTENERS_MAX {
        listeners.push(Listener::start(&server, "", "").await);
    }
    let answer = server.ask("GET", "/api/v1/events").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "too_many_listeners")
    );
    for bad in ["?tenant=A", "?call=x", "?what=1"] {
        let answer = server.ask("GET", &format!("/api/v1/events{bad}")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_parameter")
        );
    }
}

#[test]
fn events_are_as_told() {
    let whats = [
        What::PhoneRegistered {
            user: "1001".to_owned(),
            contacts: 1,
            refreshed: true,
        },
        What::PhoneUnregistered {
            user: "1001".to_owned(),
            why: "expired",
        },
        What::TrunkChanged {
            trunk: "ims".to_owned(),
            state: "dead",
        },
        What::SourceBanned {
            source: "192.0.2.66".to_owned(),
            reason: "scanner",
        },
    ];
    for what in whats {
        let other = Other {
            at: Wall(0),
            tenant: None,
            what,
        };
        check(
            "/components/schemas/OtherEvent",
            &events::told(&News::Other(other)),
        );
    }
    for event in Committed::all(&eventful(call(0)).into()) {
        let mut told = events::told(&News::Call(event));
        let fields = told.as_object_mut().unwrap();
        assert_eq!(fields.remove("tenant").unwrap(), "demo");
        assert_eq!(fields.remove("call").unwrap(), call(0).to_string());
        check("/components/schemas/Event", &told);
    }
}
