//! A server to ask, a client to ask it with, and calls to ask for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use axum::Router;
use media::wav;
use node::Node;
use plugin::Registry;
use serde_json::Value;
use store::Store;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vocab::call::{Cause, GatherEnd, RecordEnd, Side};
use vocab::flow::{DialResult, Fault, FaultKind, PluginRef};
use vocab::hearing::{Answerer, Answering, Hearing, MessageEnd, Signal, SignalHeard};
use vocab::record::{CallEvent, CallEventKind, PauseEnd, Step};
use vocab::recording::{Consent, SegmentEnd};
use vocab::{CallId, Direction, MediaSummary, Party, Pii, RecordingId, Rng, SecretToken, Wall};

use crate::archive::{self, Archive, Written};
use crate::clock::Clock;
use crate::control::{Desk, Handle, Hands, Message, Signalling, Status};
use crate::disk::Disk;
use crate::dns::Asker;
use crate::feed::Feed;
use crate::http::{self, App, Door};
use crate::metrics::Metrics;
use crate::net::websocket::Origins;
use crate::plugin_pool::PluginPool;
use crate::prompts::Prompts;
use crate::recorder::Recorder;
use crate::speech::Speaker;
use crate::store_task;
use crate::trace::{Tap, Traces};
use crate::vault::Vault;

pub(super) const TOKEN: &str = "a-token-for-tests";

/// That of the vault.
pub(super) const VAULT_TOKEN: &str = "a-token-for-the-vault";

/// A server on loopback, ready, with an empty database.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) store: Arc<Store>,
    pub(super) status: Arc<Status>,
    pub(super) recordings: PathBuf,
    pub(super) finished: SyncSender<Written>,
    pub(super) archive: Archive,
    pub(super) vault: Vault,
    _archiving: archive::Running,
    pub(super) disk: Arc<Disk>,
    pub(super) traces: Traces,
    pub(super) feed: Arc<Feed>,
    control: Handle,
    _folder: TempDir,
    _stop_store: tokio::sync::oneshot::Sender<()>,
}

impl Server {
    pub(super) async fn start(token: Option<&str>) -> Self {
        Self::keeping(token, archive::Policies::default()).await
    }

    /// One that keeps recordings by these policies.
    pub(super) async fn keeping(token: Option<&str>, policies: archive::Policies) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::start();
        let any = "127.0.0.1:0".parse().unwrap();
        let desk = Desk::bind(Signalling::anywhere()).unwrap();
        let control = desk.handle();
        let (store, _) = store_task::open(folder.path().join("test.db"), clock)
            .await
            .unwrap();
        let store = Arc::new(store);
        let (stop_store, stopped) = tokio::sync::oneshot::channel();
        let disk = Arc::new(Disk::new(folder.path().to_owned()));
        let feed = Arc::new(Feed::new(Wall(7)));
        let setup = store_task::Setup {
            store: Arc::clone(&store),
            clock,
            control: control.clone(),
            disk: Arc::clone(&disk),
            feed: Arc::clone(&feed),
            traces: store_task::Keeping {
                age: Duration::from_secs(1 << 40),
                bytes_max: u64::MAX,
            },
        };
        let (writer, _) = store_task::start(setup, stopped).expect("a thread for the store");
        let metrics = Arc::new(Metrics::default());
        let status = Arc::new(Status::default());
        let recordings = folder.path().join("recordings");
        let setup = archive::Setup {
            folder: recordings.clone(),
            store: Arc::clone(&store),
            policies: Arc::new(policies),
            remote: None,
            clock,
        };
        let (archive, finished, archiving) = Archive::start(setup).await.unwrap();
        let (recorder, _) = Recorder::start(
            recordings.clone(),
            Arc::clone(&disk),
            control.clone(),
            finished.clone(),
        )
        .unwrap();
        let vault = Vault::new(Duration::from_secs(900));
        let hands = Hands {
            media: Vec::new(),
            pool: PluginPool::new(),
            writer,
            speaker: Speaker::silent(control.clone()),
            dns: Asker::new(None, control.clone(), tokio::runtime::Handle::current()),
            recorder,
            archive: archive.clone(),
            vault: vault.clone(),
            tap: Tap::closed(),
            traces: Traces::default(),
            disk: Arc::clone(&disk),
            feed: Arc::clone(&feed),
            metrics: Arc::clone(&metrics),
            status: Arc::clone(&status),
        };
        let config = engine::Config {
            sip: sip::Config {
                pass_key: Some([9; 32]),
                ..sip::Config::new(any, any, [7; 32])
            },
            capabilities: media::Capabilities::default(),
            credentials: None,
            browsers: Vec::new(),
        };
        let node = Node::new(config, Registry::new(), Rng::from_u64(7));
        desk.start(clock, node, hands).unwrap();
        status.ready.store(true, Ordering::Release);
        let traces = Traces::default();
        let prompts = Prompts::open(folder.path().join("prompts"), control.clone()).unwrap();
        let app = App {
            store: Arc::clone(&store),
            metrics,
            control: control.clone(),
            token: token.map(|token| Pii::new(token.to_owned())),
            archive: archive.clone(),
            prompts,
            uploads: App::uploads(),
            vault: vault.clone(),
            vault_token: token.map(|_| Pii::new(VAULT_TOKEN.to_owned())),
            clock,
            traces: traces.clone(),
            disk: Arc::clone(&disk),
            status: Arc::clone(&status),
            realm: "jackfield".to_owned(),
            websocket: Some(Origins::default()),
            feed: Arc::clone(&feed),
            listeners: App::listeners(),
        };
        Self {
            disk,
            traces,
            feed,
            address: serve(http::router(app)).await,
            store,
            status,
            recordings,
            finished,
            archive,
            vault,
            _archiving: archiving,
            control,
            _folder: folder,
            _stop_store: stop_store,
        }
    }

    /// Asks with the token.
    pub(super) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, &[]).await
    }

    /// Asks with the token and more.
    pub(super) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        ask(self.address, method, path, &all).await
    }

    /// Sends JSON with the token.
    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        self.post_as(path, "application/json", body).await
    }

    /// Sends JSON with the token, to take the place of what is there.
    pub(super) async fn put(&self, path: &str, body: &str) -> Answer {
        self.send_as("PUT", path, "application/json", body.as_bytes())
            .await
    }

    /// Sends a file with the token.
    pub(super) async fn put_file(&self, path: &str, file: &[u8]) -> Answer {
        let kind = "application/octet-stream";
        self.send_as("PUT", path, kind, file).await
    }

    /// Has the node serve these tenants.
    pub(super) fn configure(&self, tenants: impl IntoIterator<Item = node::Tenant>) {
        let config = Arc::new(node::Config::new(tenants));
        self.control.send(Message::Configure(config));
    }

    /// Looks at the node.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node) -> T + Send + 'static,
    ) -> T {
        self.control.query(look).await.expect("an answer")
    }

    /// Sends a body that says of itself what it is.
    pub(super) async fn post_as(&self, path: &str, kind: &str, body: &str) -> Answer {
        self.send_as("POST", path, kind, body.as_bytes()).await
    }

    async fn send_as(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let (bearer, length) = (format!("Bearer {TOKEN}"), body.len().to_string());
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", kind),
            ("Content-Length", length.as_str()),
        ];
        send(self.address, method, path, &headers, body).await
    }

    /// The JSON of a page that is there.
    pub(super) async fn json(&self, path: &str) -> Value {
        let answer = self.ask("GET", path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Puts a call into the database.
    pub(super) async fn keep(&self, events: &[CallEvent]) {
        let appended = self.store.append(events).await.unwrap();
        assert_eq!(appended.misplaced, []);
    }

    /// Puts a recording into the folder.
    pub(super) fn record(&self, id: RecordingId, bytes: &[u8]) {
        let path = archive::plain(&self.recordings, id);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Server {
    /// Writes a recording as the recorder does, and waits until the index has it.
    pub(super) async fn finish(&self, written: Written, samples: &[i16]) {
        let id = written.recording;
        let file = archive::live(&self.recordings, id);
        std::fs::write(file, wav::write(samples, written.channels)).unwrap();
        self.finished.send(written).unwrap();
        self.until(async || {
            let known = self.store.segment(id).await.unwrap();
            known.is_some() && !archive::live(&self.recordings, id).exists()
        })
        .await;
    }

    /// Waits until something is so, which no event tells.
    #[allow(clippy::disallowed_methods)] // There is nothing else to wait on.
    pub(super) async fn until(&self, so: impl AsyncFn() -> bool) {
        for _ in 0..1_000 {
            if so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it is never so");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.send(Message::Stop);
    }
}

/// Serves a router until the test is over.
#[allow(clippy::disallowed_methods)] // A server for the test.
pub(super) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        async move { axum::serve(Door::new(listener, watch::channel(None).1), router).await },
    );
    address
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let find = |line: &'_ str| {
            let (known, _) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(())
        };
        let line = self.head.lines().find(|line| find(line).is_some())?;
        Some(line.split_once(':')?.1.trim())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// That it is a problem of this status, and its code.
    pub(super) fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// Asks over a connection of its own.
pub(super) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    send(address, method, path, headers, b"").await
}

async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("{request}\r\n").into_bytes();
    request.extend_from_slice(body);
    stream.write_all(&request).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

/// The call that reached the node so many seconds after 2026-01-01T00:00:00Z.
pub(super) fn call(seconds: u64) -> CallId {
    CallId((u128::from(1_767_225_600_000 + seconds * 1_000) << 80) | 0xabcd)
}

/// Events of a call, a second apart.
pub(super) fn events(tenant: &str, call: CallId, kinds: Vec<CallEventKind>) -> Vec<CallEvent> {
    let began = i64::try_from(call.0 >> 80).unwrap() * 1_000;
    let event = |(n, kind): (u32, CallEventKind)| CallEvent {
        tenant: tenant.parse().unwrap(),
        call,
        n,
        at: Wall(began + i64::from(n - 1) * 1_000_000),
        kind,
    };
    (1..).zip(kinds).map(event).collect()
}

/// A call that was not answered.
pub(super) fn missed(tenant: &str, call: CallId) -> Vec<CallEvent> {
    let ended = CallEventKind::Ended {
        cause: Cause::Cancelled,
        by: Side::Far,
    };
    events(tenant, call, vec![started(), ended])
}

/// The first event.
pub(super) fn started() -> CallEventKind {
    CallEventKind::Started {
        direction: Direction::Inbound,
        from: Party::E164("+8613800138000".to_owned()),
        to: "1000".to_owned(),
        user: Some("1001".to_owned()),
        sip_call_id: "a84b4c76e66710@pc33".to_owned(),
        trunk: None,
        withheld: false,
    }
}

/// A call with an event of every kind.
pub(super) fn eventful(call: CallId) -> Vec<CallEvent> {
    let plugin = PluginRef {
        name: "ivr-menu".into(),
        version: "0.1.0".into(),
    };
    let fault = Fault {
        plugin: plugin.clone(),
        kind: FaultKind::OutOfTime,
        detail: "50 ms spent".to_owned(),
    };
    let (op, detail) = ("gather".to_owned(), "greeting".to_owned());
    let kinds = vec![
        started(),
        CallEventKind::FlowStarted { plugin },
        CallEventKind::Answered,
        CallEventKind::RecordingStarted {
            recording: RecordingId::of_call(call),
        },
        CallEventKind::SegmentStarted {
            recording: RecordingId::segment(call, 1),
            leg: 1,
            channels: 2,
        },
        CallEventKind::Interaction { with: call },
        CallEventKind::Consent {
            consent: Consent::Announced,
        },
        CallEventKind::SecretStarted { leg: 1 },
        CallEventKind::SecretEnded {
            leg: 1,
            token: Some(SecretToken(5)),
            digits: 16,
            luhn: true,
            end: GatherEnd::Complete,
        },
        CallEventKind::RecordingPaused { by: Some(2) },
        CallEventKind::RecordingResumed {
            by: None,
            why: PauseEnd::Time,
        },
        CallEventKind::RecordingStopped { by: None },
        CallEventKind::SegmentEnded {
            recording: RecordingId::segment(call, 1),
            end: SegmentEnd::Split,
            length: Duration::from_millis(1_200),
        },
        CallEventKind::FlowAsked { op, detail },
        CallEventKind::Gathered {
            digits: 1,
            end: GatherEnd::Complete,
        },
        CallEventKind::AttrSet {
            key: "language".to_owned(),
        },
        CallEventKind::MessageLeft {
            recording: RecordingId::message(call, 1),
            length: Duration::from_millis(2_500),
            end: RecordEnd::Silence,
        },
        CallEventKind::RecordingCut {
            recording: RecordingId::of_call(call),
            length: Duration::from_millis(1_500),
        },
        CallEventKind::Dialed {
            leg: 2,
            to: Party::Sip("1002".to_owned()),
            trunk: None,
        },
        CallEventKind::Step {
            step: Step::Held,
            leg: 1,
            by: Some(2),
            other: None,
            detail: String::new(),
        },
        CallEventKind::Bridged { a: 1, b: 2 },
        CallEventKind::Unbridged { a: 1, b: 2 },
        CallEventKind::Media {
            leg: 2,
            media: MediaSummary {
                codec: "opus".to_owned(),
                secured: true,
                sent: 1_500,
                received: 1_480,
                lost: 12,
                late: 8,
                jitter: Duration::from_micros(3_250),
                far_lost: None,
                round_trip: Some(Duration::from_millis(41)),
                mos: Some(421),
            },
        },
        CallEventKind::Heard {
            leg: 2,
            hearing: Hearing::Signal(SignalHeard {
                signal: Signal::VacantCode,
                hz: [985, 1_371, 1_777],
                lengths_ms: [380, 274, 380],
                level_dbm0: -14,
            }),
        },
        CallEventKind::Heard {
            leg: 2,
            hearing: Hearing::Answerer(Answering {
                answerer: Answerer::Machine,
                cause: "long_greeting".to_owned(),
                at_ms: 3_120,
                words: 6,
                voice_ms: 2_410,
                initial_silence_ms: 480,
                silence_ms: 0,
                beep_at_ms: None,
            }),
        },
        CallEventKind::Heard {
            leg: 2,
            hearing: Hearing::MessageEnded(MessageEnd {
                beep: true,
                unheard: false,
                at_ms: 9_800,
            }),
        },
        CallEventKind::DialEnded {
            leg: 2,
            result: DialResult::Answered,
            cause: None,
            status: None,
        },
        CallEventKind::FlowEnded {
            label: "sales".to_owned(),
        },
        CallEventKind::FlowFault { fault },
        CallEventKind::Fallback {
            announcement: "sorry".to_owned(),
        },
        CallEventKind::Ended {
            cause: Cause::Normal,
            by: Side::Near,
        },
    ];
    events("demo", call, kinds)
}
