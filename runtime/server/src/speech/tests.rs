//! Engines over real sockets, with the command in their place when they fail.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::post;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::*;
use crate::control::{Desk, Signalling};
use crate::net::tls;

/// What the command says: so many samples.
const BY_COMMAND: usize = 777;

/// A program that says the same whatever it is told.
fn command(folder: &Path) -> PathBuf {
    let (file, program) = (folder.join("said.wav"), folder.join("speak"));
    std::fs::write(&file, wav::write(&[5; BY_COMMAND], 1)).expect("writes");
    let script = format!("#!/bin/sh\ncat > /dev/null\ncat {}\n", file.display());
    std::fs::write(&program, script).expect("writes");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("it may be run");
    program
}

fn engine(url: &str) -> RemoteSetup {
    RemoteSetup {
        url: url.to_owned(),
        key: Some(Pii::new("a-key".to_owned())),
        body: RemoteSetup::usual_body(),
        timeout: Duration::from_millis(400),
    }
}

fn speaker(folder: &Path, url: &str, with_command: bool) -> Speaker {
    let desk = Desk::bind(Signalling::anywhere()).expect("a desk");
    let setup = Setup {
        command: with_command.then(|| command(folder)),
        remote: Some(engine(url)),
        tls: tls::Tls::load(&tls::Setup::default())
            .expect("loads")
            .client(),
        folder: folder.join("speech"),
        bytes_max: 1 << 20,
        clock: Clock::start(),
        control: desk.handle(),
        metrics: Arc::default(),
    };
    Speaker::new(setup).expect("a speaker")
}

/// Samples of what is said.
async fn said(speaker: &Speaker, text: &str) -> Result<usize, String> {
    let clip = speaker.inner.speech(text, "zh-CN").await?;
    Ok(clip.samples.len())
}

fn counted(speaker: &Speaker, engine: &str, result: &str) -> bool {
    let line = format!("jackfield_speech_total{{engine=\"{engine}\",result=\"{result}\"}}");
    speaker.inner.metrics.render().contains(&line)
}

/// An engine that does what the text says.
async fn http() -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = move |headers: HeaderMap, body: Bytes| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let wish: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(wish["voice"], "zh-CN");
            let key = headers
                .get(header::AUTHORIZATION)
                .and_then(|it| it.to_str().ok());
            assert_eq!(key, Some("Bearer a-key"));
            let kind = |kind| [(header::CONTENT_TYPE, kind)];
            let text = wish["text"].as_str().expect("a text");
            match text.split(' ').next().unwrap_or_default() {
                "wav" => (kind("audio/wav"), wav::write(&[9; 1_234], 1)).into_response(),
                "raw" => (kind("audio/pcm;rate=24000"), vec![1; 6_000]).into_response(),
                "mp3" => {
                    let file = include_bytes!("../../../media/src/sound/tone.mp3");
                    (kind("audio/mpeg"), file.to_vec()).into_response()
                }
                "page" => (kind("text/html"), "<html>").into_response(),
                "noise" => (kind("audio/mpeg"), "no sound").into_response(),
                "large" => (kind("audio/pcm"), vec![0; 13 << 20]).into_response(),
                "late" => {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    StatusCode::OK.into_response()
                }
                "elsewhere" => {
                    let to = [(header::LOCATION, "http://127.0.0.1:1/")];
                    (StatusCode::FOUND, to).into_response()
                }
                _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    };
    let router = Router::new().route("/speak", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (at, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_speaks_by_http_and_the_command_where_it_does_not() {
    let (at, _) = http().await;
    let url = format!("http://{at}/speak");
    let folder = tempfile::tempdir().expect("a folder");
    for (text, samples) in [("wav", 1_234), ("raw", 1_000), ("mp3", 8_365)] {
        let speaker = speaker(folder.path(), &url, true);
        let heard = said(&speaker, text).await.expect("it speaks");
        assert!(heard.abs_diff(samples) < 700, "{text}: {heard}");
        assert!(counted(&speaker, "remote", "ok") && !counted(&speaker, "command", "ok"));
    }
    for text in ["page", "noise", "large", "late", "elsewhere", "broken"] {
        let speaker = speaker(folder.path(), &url, true);
        assert_eq!(said(&speaker, text).await, Ok(BY_COMMAND), "{text}");
        assert!(counted(&speaker, "remote", "failed") && counted(&speaker, "command", "ok"));
    }
    let alone = speaker(folder.path(), &url, false);
    let why = said(&alone, "broken once more")
        .await
        .expect_err("nobody else speaks");
    assert_eq!(why, "it answers with 500 Internal Server Error");
    let nobody = speaker(folder.path(), "http://127.0.0.1:1/speak", true);
    assert_eq!(said(&nobody, "wav").await, Ok(BY_COMMAND));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_fails_is_left_alone() {
    let (at, asked) = http().await;
    let folder = tempfile::tempdir().expect("a folder");
    let speaker = speaker(folder.path(), &format!("http://{at}/speak"), true);
    for n in 0..10 {
        assert_eq!(said(&speaker, &format!("broken {n}")).await, Ok(BY_COMMAND));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3, "and then no more");
    assert!(counted(&speaker, "remote", "resting"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wanted_twice_outlives_the_process() {
    let (at, asked) = http().await;
    let url = format!("http://{at}/speak");
    let folder = tempfile::tempdir().expect("a folder");
    let first = speaker(folder.path(), &url, true);
    for text in ["wav once", "wav twice", "wav twice"] {
        assert_eq!(said(&first, text).await, Ok(1_234));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "one was known");
    let name = |text| {
        disk::name(
            &first.inner.remote.as_ref().expect("there").name(),
            "zh-CN",
            text,
        )
    };
    let (once, twice) = (name("wav once"), name("wav twice"));
    let disk = first.inner.disk.as_ref().expect("there");
    for _ in 0..1_000 {
        if disk.read(&twice).is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(disk.read(&twice).is_some() && disk.read(&once).is_none());
    let second = speaker(folder.path(), &url, true);
    assert_eq!(said(&second, "wav twice").await, Ok(1_234));
    assert_eq!(asked.load(Ordering::Relaxed), 2, "it was on the disk");
    assert_eq!(said(&second, "wav once").await, Ok(1_234));
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_speaks_by_websocket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream)
                    .await
                    .expect("WebSocket");
                let Some(Ok(Frame::Text(wish))) = socket.next().await else {
                    return;
                };
                let wish: Value = serde_json::from_str(&wish).expect("JSON");
                assert_eq!(
                    (&wish["type"], &wish["voice"]),
                    (&"speak".into(), &"zh-CN".into())
                );
                let say = |value: Value| Frame::text(value.to_string());
                let start = say(json!({ "type": "start", "rate_hz": 16_000 }));
                let frames = match wish["text"].as_str().expect("a text") {
                    "今天天气很好" => vec![
                        start,
                        Frame::binary(vec![1; 3_200]),
                        Frame::binary(vec![1; 3_200]),
                        say(json!({ "type": "end" })),
                    ],
                    "cut" => vec![start, Frame::binary(vec![1; 3_200])],
                    "wrong" => vec![say(json!({ "type": "error", "message": "no such voice" }))],
                    _ => Vec::new(),
                };
                for frame in frames {
                    drop(socket.send(frame).await);
                }
            });
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("ws://{at}/speak");
    let with = speaker(folder.path(), &url, true);
    assert_eq!(said(&with, "今天天气很好").await, Ok(1_600));
    assert_eq!(said(&with, "cut").await, Ok(BY_COMMAND));
    let alone = speaker(folder.path(), &url, false);
    assert_eq!(said(&alone, "wrong").await, Err("no such voice".to_owned()));
    let cut = said(&alone, "cut off").await;
    assert!(cut.is_err(), "{cut:?}");
}
