//! Goal: a disk that fills up under a running server costs no live call a sound, and no answered
//! call its record: new calls get 503 until there is room again. And a start on a disk that is
//! full, or cannot be written, says so in one line.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engine::phone::News;
use jackfield_tests::peers::capture::Capture;
use jackfield_tests::peers::menu::prompts;
use jackfield_tests::peers::until;
use jackfield_tests::phones::Phones;
use jackfield_tests::shell::{Folder, PATIENCE, Server, Setup, binary, complaint, request};
use media::Codec;

/// Callers that are turned away.
const REFUSED: usize = 20;

/// Size of a disk that a test fills.
const DISK_BYTES: u64 = 64 << 20;

/// A command that mounts a disk of its own at `data` and becomes the command that follows it.
///
/// A file system in memory that only the server's mount namespace holds: it is really full when it
/// is full, and gone with the server. Root makes one, and where the system allows it, everybody.
fn own_disk(options: &str) -> Option<Vec<String>> {
    let script = format!(
        "mkdir -p data && mount -t tmpfs -o size={DISK_BYTES},{options} none data && exec \"$@\""
    );
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    ways.iter().find_map(|way| {
        let mut command: Vec<String> = vec!["unshare".to_owned()];
        command.extend(way.iter().map(|&word| word.to_owned()));
        command.extend(["--", "sh", "-ec", &script, "sh"].map(str::to_owned));
        let folder = Folder::new("own-disk");
        let tried = Command::new(&command[0])
            .args(&command[1..])
            .arg("true")
            .current_dir(folder.path())
            .stderr(Stdio::null())
            .status();
        tried
            .is_ok_and(|status| status.success())
            .then_some(command)
    })
}

/// How the disk is filled.
enum Disk {
    /// It is the server's own, seen through this folder, and a file takes what is left.
    Own(PathBuf),
    /// The system lets the server write no file past so many bytes. That needs no rights at all;
    /// for the server it is the same but for the error's number.
    Limit,
}

impl Disk {
    fn fill(&self, server: &Server) {
        match self {
            Self::Own(data) => fill(&data.join("ballast")),
            // Three seconds of a recording; the database is larger already.
            Self::Limit => limit(server, "98304"),
        }
    }

    fn free(&self, server: &Server) {
        match self {
            Self::Own(data) => fs::remove_file(data.join("ballast")).expect("the ballast"),
            Self::Limit => limit(server, "unlimited"),
        }
    }
}

/// Writes until not one byte more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    let mut piece = vec![0; 1 << 20];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

/// Changes the soft limit on the size of files; the hard one stays, so that it can be raised again.
fn limit(server: &Server, bytes: &str) {
    let pid = server.pid().to_string();
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={bytes}:")])
        .status();
    assert!(set.is_ok_and(|status| status.success()), "prlimit works");
}

fn ready(server: &Server) -> (u16, String) {
    let (status, body) = request(server.http, "GET", "/readyz", None).expect("an answer");
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

fn metric(server: &Server, name: &str) -> f64 {
    server.metric(name).expect("a metric")
}

/// Calls with many phones at once; each is turned away.
fn check_refused(server: &Server) {
    let mut phones = Phones::new(REFUSED, &[]).expect("phones");
    for index in 0..REFUSED {
        phones.call(index, "1000", server.sip);
    }
    let ended = |news: &News| matches!(news, News::Ended { .. });
    let all = |news: &[Vec<News>]| news.iter().all(|news| news.iter().any(ended));
    phones.run_until(PATIENCE, all).expect("all have ended");
    assert_eq!(phones.count(|news| *news == News::Answered), 0);
    let report = server.call("1000", &[]).expect("a report");
    assert_eq!(report["status"], 503, "{report}");
}

/// The recording's samples, and whether it is said to be cut, in the file and by the API.
fn recording(server: &Server, call: &serde_json::Value) -> (usize, bool) {
    let id = call["id"].as_str().expect("an id");
    let path = format!("/api/v1/calls/{id}/recording");
    let (status, file) = server.get(&path).expect("an answer");
    assert_eq!(status, 200, "{call}");
    let head = server.head(&path).expect("an answer");
    let said = head
        .to_ascii_lowercase()
        .contains("\r\nrecording-cut: true");
    let noted = file.windows(7).any(|bytes| bytes == b"cut off");
    assert_eq!(said, noted, "the file and the API say the same");
    (media::wav::read(&file).expect("a WAV file").len(), said)
}

fn check(mut server: Server, disk: &Disk) {
    let pcap = server.folder.path().join("call.pcap");
    let live = [
        "--press",
        "1",
        "--press",
        "1",
        "--hangup-after",
        "9",
        "--pcap",
        pcap.to_str().expect("UTF-8"),
    ];
    let live = server.phone("1000", &live).expect("a phone");
    server.wait_for("answered").expect("it is answered");
    assert_eq!(ready(&server).0, 200);

    disk.fill(&server);
    let line = server.wait_for("disk full").expect("it says so");
    assert!(
        line.contains("free space in") && line.contains("503"),
        "{line}"
    );
    assert_eq!(ready(&server), (503, "disk_full".to_owned()));
    assert_eq!(server.json("/api/v1/status").expect("JSON")["ready"], false);
    check_refused(&server);
    until("the gauge", || {
        let failing = server.metric("jackfield_disk_failing")? == 1.0;
        Ok(failing.then_some(()))
    })
    .expect("a gauge of 1");
    assert!(metric(&server, "jackfield_disk_failures_total") >= 1.0);

    // The live call goes on to its end, all of it without a disk.
    let output = live.wait_with_output().expect("the phone ends");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    let came = Capture::of_phone(Codec::Pcmu, &pcap).expect("a capture file");
    let menu = prompts(&["common/welcome", "zh-CN/main", "zh-CN/hours"]);
    came.check(&menu).expect("all of the menu");
    check_refused(&server);
    assert_eq!(ready(&server), (503, "disk_full".to_owned()));

    disk.free(&server);
    server.wait_for("new calls are taken").expect("it says so");
    assert_eq!(ready(&server).0, 200);
    let report = server
        .call("1000", &["--wait", "2", "--hangup-after", "0"])
        .expect("a report");
    assert_eq!(report["ok"], true, "{report}");

    // Newest first. Calls that were turned away may have left a record each, as such.
    let calls = server.calls().expect("calls");
    let answered: Vec<_> = calls
        .iter()
        .filter(|call| call["disposition"] == "answered")
        .collect();
    assert_eq!(answered.len(), 2, "one record an answered call: {calls:?}");
    for call in &answered {
        assert_eq!(
            (&call["ended_by"], &call["fault"]),
            (&"far".into(), &().into())
        );
    }
    let (samples, cut) = recording(&server, answered[0]);
    assert!(!cut && samples > 8_000, "{samples} samples, cut: {cut}");
    let (samples, cut) = recording(&server, answered[1]);
    assert!(
        cut && samples < came.codes().len(),
        "{samples} samples, cut: {cut}"
    );
    // And the call's events say it.
    let id = answered[1]["id"].as_str().expect("an id");
    let detail = server.json(&format!("/api/v1/calls/{id}")).expect("JSON");
    let events = detail["events"].as_array().expect("events");
    let cut: Vec<_> = events
        .iter()
        .filter(|event| event["kind"] == "recording.cut")
        .collect();
    assert_eq!(cut.len(), 1, "{events:?}");
    let segment = format!("{id}-s1");
    assert_eq!(cut[0]["recording"], segment.as_str());
    assert_eq!(cut[0]["length_ms"], samples as u64 / 8, "{cut:?}");
    let cut = until("the count", || {
        let cut = server.metric("jackfield_recordings_cut_total")?;
        Ok((cut > 0.0).then_some(cut))
    });
    assert_eq!(cut.expect("a count"), 1.0);
    assert_eq!(metric(&server, "jackfield_calls"), 0.0);
    let said = server
        .read_log()
        .iter()
        .filter(|line| line.contains("disk full"));
    assert_eq!(
        said.count(),
        1,
        "it is said once:\n{}",
        server.log.join("\n")
    );
}

#[test]
fn a_full_disk_costs_live_calls_nothing_and_refuses_new_ones() {
    let Some(before) = own_disk("mode=0755") else {
        println!("this system lets nobody mount: only the limit on the size of files is tested");
        return;
    };
    let mut setup = Setup::demo("disk-full");
    setup.before = before;
    let server = Server::start(setup).expect("a server");
    // Other mount namespaces are seen through the process.
    let folder = server.folder.path().join("data");
    let folder = folder.strip_prefix("/").expect("absolute").to_owned();
    let data = PathBuf::from(format!("/proc/{}/root", server.pid())).join(folder);
    check(server, &Disk::Own(data));
}

#[test]
fn a_limit_on_the_size_of_files_is_met_like_a_full_disk() {
    let server = Server::start(Setup::demo("file-limit")).expect("a server");
    check(server, &Disk::Limit);
}

/// What a server says that does not start because of its data folder.
fn failed_start(before: &[String], name: &str) -> String {
    let folder = Folder::new(name);
    fs::write(
        folder.path().join("jackfield.toml"),
        "data_dir = \"data\"\n",
    )
    .expect("a file");
    let output = Command::new(&before[0])
        .args(&before[1..])
        .arg(binary().expect("the binary"))
        .args(["serve", "--config", "jackfield.toml"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    complaint(&output)
}

#[test]
fn a_start_without_a_disk_to_write_to_says_what_to_do() {
    // A few kilobytes: less than a start needs.
    let limited = ["sh", "-ec", "ulimit -f 8 && exec \"$@\"", "sh"].map(str::to_owned);
    let mut ways = vec![("limited", limited.to_vec(), "disk full")];
    let small = own_disk("size=64k");
    ways.extend(small.map(|before| ("small", before, "disk full")));
    let read_only = own_disk("ro");
    ways.extend(read_only.map(|before| ("read-only", before, "read-only")));
    for (name, before, what) in ways {
        let line = failed_start(&before, name);
        for part in [what, "data", "set another data_dir"] {
            assert!(line.contains(part), "{name}: {line}");
        }
    }
}
