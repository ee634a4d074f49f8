//! Goal: recordings reach the object store, whatever happens to it, to the server or to both, and are
//! heard from there; none is lost, none is changed, and calls do not notice.
//!
//! The store is one that others wrote and that checks every signature.

// Threads and waits of the test.
#![allow(clippy::disallowed_methods)]

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use engine::phone::News;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use jackfield_tests::phones::Phones;
use jackfield_tests::shell::{Folder, PATIENCE, Server, Setup, TOKEN, binary, free_port, request};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const BUCKET: &str = "calls";

/// How often some call while the store is away, at most.
const BATCHES: usize = 10;

/// Bytes of two seconds of a plain recording: two channels of 16 bits, 8 kHz.
const TWO_SECONDS: u64 = 2 * 8_000 * 2 * 2;

/// An object store on a port of its own, which can go away and come back.
struct Store {
    folder: Folder,
    at: SocketAddr,
    running: Option<Runtime>,
}

impl Store {
    fn start(name: &str) -> Self {
        let folder = Folder::new(name);
        std::fs::create_dir_all(folder.path().join(BUCKET)).expect("a bucket");
        let mut store = Self {
            folder,
            at: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
            running: None,
        };
        store.come_back();
        store
    }

    fn come_back(&mut self) {
        let files = s3s_fs::FileSystem::new(self.folder.path()).expect("its folder");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single("the-key", "the-secret"));
        let service = service.build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let at = self.at;
        let listener = runtime.block_on(async move {
            let deadline = Instant::now() + PATIENCE;
            loop {
                match TcpListener::bind(at).await {
                    Ok(listener) => return listener,
                    Err(error) => assert!(Instant::now() < deadline, "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        self.running = Some(runtime);
    }

    /// Cuts every connection and listens no more.
    fn go_away(&mut self) {
        if let Some(runtime) = self.running.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }

    /// The files in the bucket, without those that the store keeps for itself.
    fn objects(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        find(&self.folder.path().join(BUCKET), &mut all);
        all.sort();
        all
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.go_away();
    }
}

fn find(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            find(&path, all);
        } else {
            all.push(path);
        }
    }
}

fn setup(name: &str, store: &Store, keep_local_h: u32) -> Setup {
    let mut setup = Setup::demo(name);
    setup.tenants.push_str(&format!(
        "\n[tenant.recording]\nformat = \"opus\"\nkey_env = \"RECORDING_KEY\"\n\
         [recordings.s3]\nendpoint = \"http://{}\"\nbucket = \"{BUCKET}\"\nprefix = \"jackfield\"\n\
         access_key_env = \"S3_ACCESS\"\nsecret_key_env = \"S3_SECRET\"\n\
         keep_local_h = {keep_local_h}\n",
        store.at
    ));
    for (name, value) in [
        ("S3_ACCESS", "the-key".to_owned()),
        ("S3_SECRET", "the-secret".to_owned()),
        ("RECORDING_KEY", "5a".repeat(32)),
    ] {
        setup.env.insert(name.to_owned(), value);
    }
    setup
}

/// Calls of these phones that the menu answers, which then last so long and are hung up.
fn calls(server: &Server, phones: &mut Phones, which: Range<usize>, lasting: Duration) {
    for index in which.clone() {
        phones.call(index, "1000", server.sip);
    }
    let mine = which.clone();
    let answered = move |news: &[Vec<News>]| {
        let mut news = news[mine.clone()].iter();
        news.all(|news| news.contains(&News::Answered))
    };
    phones
        .run_until(PATIENCE, answered)
        .expect("all are answered");
    let until = Instant::now() + lasting;
    phones
        .run_until(PATIENCE, |_| Instant::now() >= until)
        .expect("they go on");
    for index in which.clone() {
        phones.hang_up(index);
    }
    let over = move |news: &[Vec<News>]| {
        let ended = |news: &Vec<News>| news.iter().any(|it| matches!(it, News::Ended { .. }));
        news[which.clone()].iter().all(ended)
    };
    phones.run_until(PATIENCE, over).expect("all are over");
}

/// The index, once it is as wanted.
fn recordings(server: &mut Server, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = server
            .json("/api/v1/recordings?limit=1000")
            .expect("the index");
        let items = page["items"].as_array().expect("a list").clone();
        if wanted(&items) {
            return items;
        }
        if Instant::now() >= deadline {
            panic!("not {what}: {page}\n{}", server.read_log().join("\n"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn id(recording: &Value) -> &str {
    recording["id"].as_str().expect("an id")
}

#[test]
fn recordings_are_stored_elsewhere_and_heard_from_there() {
    let mut store = Store::start("archive-store");
    let mut server = Server::start(setup("archive", &store, 0)).expect("a server");
    let mut phones = Phones::new(3, &[]).expect("phones");
    calls(&server, &mut phones, 0..3, Duration::from_secs(2));
    let stored = |items: &[Value]| {
        items.len() == 3
            && items
                .iter()
                .all(|it| !it["stored_at"].is_null() && it["local"] == false)
    };
    let items = recordings(&mut server, "stored and gone from here", stored);
    let objects = store.objects();
    assert_eq!(objects.len(), 3, "{objects:?}");
    for object in &objects {
        let bytes = std::fs::read(object).expect("an object");
        assert!(
            bytes.starts_with(b"JFSEAL1"),
            "{} is encrypted",
            object.display()
        );
        assert!(object.starts_with(store.folder.path().join(BUCKET).join("jackfield/demo")));
    }
    for item in &items {
        let path = format!("/api/v1/recordings/{}", id(item));
        let (status, bytes) = server.get(&path).expect("an answer");
        assert_eq!(status, 200);
        let heard = media::wav::read(&bytes).expect("a WAV file");
        let length = item["length_ms"].as_u64().expect("a length");
        assert_eq!(heard.len() as u64 / 8, length);
        assert!((1_900..6_000).contains(&length), "{item}");
        assert!(
            item["gap_ms"].as_u64().is_some_and(|gap| gap <= 200),
            "{item}"
        );
        let (status, verified) = server
            .post(&format!("{path}/verify"), &Value::Null)
            .expect("an answer");
        assert_eq!(
            (status, &verified["same"]),
            (200, &true.into()),
            "{verified}"
        );
    }

    // By hand: listed, and an object of the store decrypted without the server.
    let jackfield = |args: &[&str]| {
        let mut command = Command::new(binary().expect("a binary"));
        command
            .args(args)
            .args(["--url", &format!("http://{}", server.http)])
            .env("JACKFIELD_TOKEN", TOKEN)
            .env("RECORDING_KEY", "5a".repeat(32));
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}: {output:?}");
        said
    };
    let listed = jackfield(&["recordings", "list"]);
    assert_eq!(listed.lines().count(), 1 + items.len(), "{listed}");
    assert!(listed.contains("opus, encrypted, stored"), "{listed}");
    let clear = server.folder.path().join("clear.opus");
    let (object, into) = (
        objects[0].display().to_string(),
        clear.display().to_string(),
    );
    jackfield(&["recordings", "decrypt", &object, "--output", &into]);
    let clear = std::fs::read(clear).expect("it is there");
    let sha256 = store::Sha256(Sha256::digest(&clear).into()).to_string();
    assert!(clear.starts_with(b"OggS"));
    assert!(
        items.iter().any(|item| item["sha256"] == sha256.as_str()),
        "{sha256}"
    );

    // Without the store they cannot be heard, which is said; and not deleted there before it is back.
    let path = format!("/api/v1/recordings/{}", id(&items[0]));
    store.go_away();
    let (status, said) = server.get(&path).expect("an answer");
    assert_eq!(status, 503, "{}", String::from_utf8_lossy(&said));
    store.come_back();
    let (status, _) = request(server.http, "DELETE", &path, Some(TOKEN)).expect("an answer");
    assert_eq!(status, 204);
    let deadline = Instant::now() + PATIENCE;
    while store.objects().len() > 2 {
        assert!(Instant::now() < deadline, "it is deleted in the store");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(server.get(&path).expect("an answer").0, 404);
}

/// How long the store is away. For the five minutes of a real outage set `JACKFIELD_OUTAGE_S=300`.
fn outage() -> Duration {
    let given = std::env::var("JACKFIELD_OUTAGE_S").ok();
    let seconds = given.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(8))
}

#[test]
fn a_store_that_is_away_costs_no_recording() {
    let mut store = Store::start("outage-store");
    let mut server = Server::start(setup("outage", &store, 24)).expect("a server");
    let mut phones = Phones::new(2 + 4 * BATCHES, &[]).expect("phones");
    calls(&server, &mut phones, 0..2, Duration::from_secs(1));
    let stored = |count: usize| {
        move |items: &[Value]| items.iter().filter(|it| !it["stored_at"].is_null()).count() == count
    };
    recordings(&mut server, "stored", stored(2));

    store.go_away();
    let back_at = Instant::now() + outage();
    let mut made = 2;
    while Instant::now() < back_at {
        calls(&server, &mut phones, made..made + 4, Duration::from_secs(1));
        made += 4;
        let items = recordings(&mut server, "in the index", |items| items.len() == made);
        assert!(stored(2)(&items), "none is stored: {items:?}");
        std::thread::sleep(outage() / BATCHES as u32);
    }
    let waiting = (made - 2) as f64;
    let seen = |server: &Server| {
        server
            .metric("jackfield_recordings_waiting")
            .expect("a gauge")
    };
    let deadline = Instant::now() + PATIENCE;
    while seen(&server) < waiting {
        assert!(Instant::now() < deadline, "{} wait", seen(&server));
        std::thread::sleep(Duration::from_millis(100));
    }
    // They are heard from here meanwhile, and outlive the process.
    let items = recordings(&mut server, "in the index", |items| items.len() == made);
    let (status, _) = server
        .get(&format!("/api/v1/recordings/{}", id(&items[0])))
        .expect("one");
    assert_eq!(status, 200);
    server.kill_and_restart().expect("it comes up again");
    store.come_back();
    let items = recordings(&mut server, "all stored", stored(made));
    assert_eq!(store.objects().len(), made, "each once");
    for item in &items {
        let path = format!("/api/v1/recordings/{}/verify", id(item));
        let (status, verified) = server.post(&path, &Value::Null).expect("an answer");
        assert_eq!((status, &verified["same"]), (200, &true.into()));
    }
    for call in server.calls().expect("calls") {
        assert_ne!(call["disposition"], "failed", "{call}");
    }
}

#[test]
fn what_a_kill_leaves_is_finished_after_the_next_start() {
    let store = Store::start("kill-store");
    let mut server = Server::start(setup("kill", &store, 24)).expect("a server");
    let mut phones = Phones::new(3, &[]).expect("phones");
    for index in 0..3 {
        phones.call(index, "1000", server.sip);
    }
    let answered = |news: &[Vec<News>]| news.iter().all(|news| news.contains(&News::Answered));
    phones
        .run_until(PATIENCE, answered)
        .expect("all are answered");
    // Their first second waits in memory; what a kill may not lose is what was written.
    let live = server.folder.path().join("data/recordings/live");
    let written = |_: &[Vec<News>]| {
        let files = std::fs::read_dir(&live).into_iter().flatten().flatten();
        let long = files.filter(|file| file.metadata().is_ok_and(|it| it.len() > TWO_SECONDS));
        long.count() == 3
    };
    phones
        .run_until(PATIENCE, written)
        .expect("all three are being written");
    server.kill_and_restart().expect("it comes up again");
    let stored =
        |items: &[Value]| items.len() == 3 && items.iter().all(|it| !it["stored_at"].is_null());
    for item in recordings(&mut server, "stored", stored) {
        assert_eq!(item["end"], "interrupted", "{item}");
        assert_eq!((&item["leg"], &item["channels"]), (&1.into(), &2.into()));
        assert!(
            item["length_ms"]
                .as_u64()
                .is_some_and(|length| length >= 1_000),
            "{item}"
        );
        assert!(
            item["party"]
                .as_str()
                .is_some_and(|party| party.starts_with("sip:")),
            "{item}"
        );
    }
    let left = std::fs::read_dir(live).expect("a folder").count();
    assert_eq!(left, 0, "nothing is left over");
}
