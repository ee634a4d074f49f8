//! Goal: whoever runs a server sees what a call's messages were, while it goes on and afterwards,
//! and no secret is in what is shown or kept.

// The far end is a thread of the test.
#![allow(clippy::disallowed_methods)]

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use jackfield_tests::shell::{PATIENCE, Server, Setup, TOKEN, binary};
use serde_json::Value;

/// A key that a far end puts into its session description.
const KEY: &str = "cGxhbnRlZC1rZXktb2YtYS10ZXN0LW9ubHktISEhISE";

/// The number that the menu transfers to, over the trunk.
const NUMBER: &str = "+862155500001";

/// A far end at the other end of a trunk: answers one call, tells when it is up, and ends with it.
fn far_end(socket: &UdpSocket, up: &SyncSender<()>) {
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let own = socket.local_addr().expect("bound");
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio 9 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20\r\n"
    );
    let mut buffer = [0; 16 << 10];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).expect("a message");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let method = text.split(' ').next().expect("a method");
        if method == "ACK" {
            up.send(()).expect("the test waits");
            continue;
        }
        let copied = text.lines().filter(|line| {
            let name = line.split(':').next().unwrap_or_default();
            ["via", "from", "call-id", "cseq"].contains(&&*name.to_ascii_lowercase())
        });
        let to = text
            .lines()
            .find(|line| line.starts_with("To:"))
            .expect("To");
        let tag = if to.contains(";tag=") { "" } else { ";tag=far" };
        let body = if method == "INVITE" { sdp.as_str() } else { "" };
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}\r\n{to}{tag}\r\nContact: <sip:far@{own}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            copied.collect::<Vec<_>>().join("\r\n"),
            body.len()
        );
        socket.send_to(answer.as_bytes(), from).expect("sent");
        if method == "BYE" {
            return;
        }
    }
}

fn setup(trunk: &UdpSocket) -> Setup {
    let mut setup = Setup::demo("trace");
    let menu = setup.files.get_mut("menu.toml").expect("the demo has one");
    *menu = menu.replace("transfer = \"1001\"", &format!("transfer = \"{NUMBER}\""));
    assert!(menu.contains(NUMBER), "the demo's menu transfers");
    let address = trunk.local_addr().expect("bound");
    setup.tenants.push_str(&format!(
        "\n[[tenant.trunk]]\nid = \"far\"\naddress = \"{address}\"\nprefixes = [\"+8621\"]\n"
    ));
    setup
}

/// `jackfield trace` with these arguments.
fn trace(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(binary().expect("built"));
    command.args(["trace", "--url", &format!("http://{}", server.http)]);
    command.args(args).env("JACKFIELD_TOKEN", TOKEN);
    command.output().expect("it runs")
}

fn text(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// First line and leg of each message, retransmissions left out.
fn ladder(trace: &Value) -> Vec<(String, u64)> {
    let messages = trace["messages"].as_array().expect("messages").iter();
    let messages = messages.filter(|message| message["retransmission"] == false);
    let line = |message: &Value| {
        let way = if message["way"] == "in" { ">" } else { "<" };
        let summary = message["summary"].as_str().expect("a summary");
        (
            format!("{way} {summary}"),
            message["leg"].as_u64().unwrap_or(0),
        )
    };
    messages.map(line).collect()
}

/// That no secret is in some text: neither passwords nor what proves them, nor keys.
fn assert_no_secret(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in ["secret-one", "secret-two", KEY, &KEY[..20]] {
        assert!(!text.contains(secret), "{what} holds {secret}");
    }
    for proof in text.split("response=").skip(1) {
        let value = proof.trim_start_matches(['\\', '"']);
        assert!(
            value.starts_with("****"),
            "{what} holds a proof: {}",
            &value[..8]
        );
    }
}

fn every_file(folder: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            every_file(&path, look);
        } else if let Ok(bytes) = std::fs::read(&path) {
            look(&path, &bytes);
        }
    }
}

fn wait(up: &Receiver<()>) {
    up.recv_timeout(PATIENCE).expect("the far end is called");
}

#[test]
fn a_transferred_call_is_traced_live_and_past_without_its_secrets() {
    let trunk = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let mut server = Server::start(setup(&trunk)).expect("a server");
    let (sender, up) = sync_channel(16);
    let far = std::thread::spawn(move || far_end(&trunk, &sender));
    let args = [
        "--from",
        "1002",
        "--password-env",
        "PHONE_1002",
        "--press",
        "1",
        "--press",
        "0",
        "--hangup-after",
        "10",
    ];
    let phone = server.phone("1000", &args).expect("a phone");
    wait(&up);

    let page = server.json("/api/v1/calls?limit=1").expect("calls");
    let call = page["items"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/calls/{call}/trace");
    // The trace is a few milliseconds behind the call.
    let live = (0..20_000)
        .map(|_| server.json(&path).expect("a live trace"))
        .find(|live| ladder(live).contains(&("< ACK".to_owned(), 2)))
        .expect("the second leg's ACK");
    assert_eq!(live["stage"], "live");
    let legs: Vec<_> = live["legs"].as_array().expect("legs").iter().collect();
    assert_eq!(legs.len(), 2, "{legs:?}");
    assert_eq!(
        ladder(&live)[..5],
        [
            ("> INVITE", 1),
            ("< 100 Trying (INVITE)", 1),
            ("< 401 Unauthorized (INVITE)", 1),
            ("> ACK", 1),
            ("> INVITE", 1),
        ]
        .map(|(line, leg)| (line.to_owned(), leg))
    );
    let dialled: Vec<_> = ladder(&live)
        .into_iter()
        .filter(|(_, leg)| *leg == 2)
        .collect();
    assert_eq!(
        dialled,
        [("< INVITE", 2), ("> 200 OK (INVITE)", 2), ("< ACK", 2)]
            .map(|(line, leg)| (line.to_owned(), leg))
    );

    // Until the call is over, and then what was kept of it.
    let drawn = text(&trace(&server, &[&call, "--follow", "--width", "100"]));
    phone.wait_with_output().expect("the phone ends");
    far.join().expect("the far end ends");
    assert!(
        drawn.contains("legs 1 and 2 bridged") && drawn.contains("─ BYE ─"),
        "{drawn}"
    );
    let past = server.json(&path).expect("a past trace");
    assert_eq!(
        (&past["stage"], &past["left_out"]),
        (&"past".into(), &0.into())
    );
    assert!(ladder(&past).len() > ladder(&live).len());

    let capture = server.folder.path().join("call.pcap");
    let file = capture.to_str().expect("UTF-8");
    text(&trace(&server, &["--last", "--pcap", file]));
    let capture = std::fs::read(&capture).expect("a capture");
    assert!(capture.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]));
    let full = text(&trace(&server, &["--last", "--messages", "--width", "80"]));
    assert!(
        full.contains("Authorization: Digest ") && full.contains("a=crypto:1"),
        "{full}"
    );
    let json = text(&trace(&server, &[&call, "--json"]));

    let unknown = trace(&server, &["00000000000000000000000000"]);
    assert_eq!(unknown.status.code(), Some(1));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        said.starts_with("jackfield: the server knows no such call"),
        "{said}"
    );
    let (_, strays) = server.get("/api/v1/sip/messages").expect("messages");

    for (what, bytes) in [
        ("the ladder", drawn.as_bytes()),
        ("the messages", full.as_bytes()),
        ("the JSON", json.as_bytes()),
        ("the ring", &strays),
        ("the capture", &capture),
    ] {
        assert_no_secret(what, bytes);
    }
    assert_no_secret("the log", server.read_log().join("\n").as_bytes());
    let mut looked = 0;
    every_file(&server.folder.path().join("data"), &mut |path, bytes| {
        assert_no_secret(&path.display().to_string(), bytes);
        looked += 1;
    });
    assert!(looked >= 2, "the database and a recording are there");

    if let Ok(tcpdump) = Command::new("tcpdump").args(["-nr", file]).output() {
        assert!(tcpdump.status.success(), "{tcpdump:?}");
    }
    if std::env::args().any(|arg| arg == "--nocapture") {
        println!("{full}");
    }
}
