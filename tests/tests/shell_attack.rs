//! Goal: while strangers flood the signalling, look for systems to break into, guess passwords and sit
//! on half messages, an honest caller hears every word, the strangers are shut out and counted, and
//! what they cost in memory is bounded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::ensure;

use jackfield_tests::peers::capture::Capture;
use jackfield_tests::peers::menu::prompts;
use jackfield_tests::peers::raw::{Challenge, Hash};
use jackfield_tests::peers::until;
use jackfield_tests::shell::{PATIENCE, Server, Setup, TOKEN, request};
use media::Codec;
use socket2::{Domain, Socket, Type};

/// Whose packets are noise, whose are scans, who floods, who holds streams, and who guesses passwords.
const NOISY: &str = "127.0.0.2";
const SCANNER: &str = "127.0.0.3";
const FLOODER: &str = "127.0.0.4";
const SLOW: &str = "127.0.0.5";
const GUESSER: &str = "127.0.0.6";

/// Gauges, and the most that they may ever show while all of that goes on.
const BOUNDS: [(&str, f64); 6] = [
    // Who floods is let in five seconds' worth of registers_per_s and invites_per_s, and some more in
    // the second until it is banned; for each a server remembers its answer for 32 s. The honest ones
    // have a handful.
    ("jackfield_sip_transactions", 100.0),
    // Its calls: five seconds' worth of invites_per_s, one more for each second until it is banned,
    // and the honest one.
    ("jackfield_sip_dialogs", 15.0),
    ("jackfield_calls", 15.0),
    // streams_per_source.
    ("jackfield_sip_streams", 20.0),
    // One meter for each address.
    ("jackfield_sip_guard_sources", 6.0),
    ("jackfield_sip_banned", 3.0),
];

/// What the server may grow by: twenty streams with a whole message each (128 KiB), fifteen calls with
/// their guests, and room for what an allocator keeps. The floods themselves are far more than this.
const GROWTH_BYTES: f64 = 48.0 * 1_024.0 * 1_024.0;

/// Half-open streams, of which the server takes twenty.
const STREAMS: usize = 30;
const STREAMS_TAKEN: usize = 20;

fn setup(name: &str) -> Setup {
    let mut setup = Setup::demo(name);
    // Nobody is trusted, not even this machine.
    setup.tenants.push_str(
        "\n[sip.guard]\nallow = []\nrequests_per_s = 50\nregisters_per_s = 10\ninvites_per_s = 1\n\
         streams_per_source = 20\nmessage_s = 2\n",
    );
    setup
}

fn stranger(ip: &str, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).expect("loopback has many addresses");
    socket.connect(server).expect("on this machine");
    socket
}

fn message(method: &str, ip: &str, number: usize, agent: &str) -> String {
    format!(
        "{method} sip:1000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {ip};branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x@{ip}>;tag={number}\r\nTo: <sip:1000@127.0.0.1>\r\n\
         Call-ID: {number}@{ip}\r\nCSeq: 1 {method}\r\nContact: <sip:x@{ip}>\r\n\
         User-Agent: {agent}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A stream from the slow one with the first half of a message.
fn half(server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from: SocketAddr = format!("{SLOW}:0").parse().expect("an address");
    socket
        .bind(&from.into())
        .expect("loopback has many addresses");
    socket.connect(&server.into()).expect("the server listens");
    let mut stream = TcpStream::from(socket);
    let text = message("OPTIONS", SLOW, 1, "half");
    // One that is not taken may be closed already.
    drop(stream.write_all(&text.as_bytes()[..100]));
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream
}

/// Waits for a counter; gauges are refreshed twice a second, each try is an exchange.
fn reaches(server: &Server, name: &str, least: f64) {
    let mut last = 0.0;
    for _ in 0..20_000 {
        last = server.metric(name).expect("the metric");
        if last >= least {
            return;
        }
    }
    panic!("{name} is {last}, not {least}");
}

/// A value of the metrics.
fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

fn metrics(server: &Server) -> String {
    let (_, body) = server.get("/metrics").expect("the metrics");
    String::from_utf8(body).expect("text")
}

#[test]
fn an_honest_caller_hears_every_word_under_attack() {
    let mut server = Server::start(setup("attack")).expect("a server");
    let pcap = server.folder.path().join("honest.pcap");
    let file = pcap.display().to_string();
    // The greeting lasts 8 s, and longer where the machine stands still.
    let args = ["--wait", "13", "--hangup-after", "0", "--pcap", &file];
    let resident = "process_resident_memory_bytes";
    // The first call makes what all share.
    let first = server.call("1000", &["--wait", "1", "--hangup-after", "0"]);
    assert_eq!(first.expect("a call")["status"], 200);
    let before = value(&metrics(&server), resident);
    let mut most = BOUNDS.map(|_| 0.0_f64);
    let mut grown = 0.0_f64;
    let mut honest = server.phone("1000", &args).expect("a phone");

    let mut streams: Vec<TcpStream> = (0..STREAMS).map(|_| half(server.sip)).collect();
    let noisy = stranger(NOISY, server.sip);
    let scanner = stranger(SCANNER, server.sip);
    let flooder = stranger(FLOODER, server.sip);
    let mut sent = 0;
    while honest.try_wait().expect("a child").is_none() {
        for _ in 0..20 {
            sent += 1;
            let method = ["REGISTER", "INVITE"][sent % 2];
            let flood = message(method, FLOODER, sent, "flood");
            let scan = message("OPTIONS", SCANNER, sent, "friendly-scanner");
            drop(flooder.send(flood.as_bytes()));
            drop(scanner.send(scan.as_bytes()));
            drop(noisy.send(b"GET / HTTP/1.1\r\n\r\n"));
        }
        // An exchange with the server sets the pace.
        let metrics = metrics(&server);
        for (most, (name, _)) in most.iter_mut().zip(BOUNDS) {
            *most = most.max(value(&metrics, name));
        }
        grown = grown.max(value(&metrics, resident) - before);
    }
    for (most, (name, bound)) in most.iter().zip(BOUNDS) {
        assert!(*most <= bound, "{most} {name}");
    }
    assert!(grown <= GROWTH_BYTES, "{grown} bytes for {sent} rounds");
    let output = honest.wait_with_output().expect("a phone ends");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}");
    let came = Capture::of_phone(Codec::Pcmu, &pcap).expect("a capture file");
    let greeting = prompts(&["common/welcome"]);
    came.check(&greeting).expect("the whole greeting");

    // Every slow stream was closed by the server.
    for stream in &mut streams {
        let mut rest = Vec::new();
        let closed = stream.read_to_end(&mut rest);
        assert!(
            closed.as_ref().map_or_else(
                |error| error.kind() == std::io::ErrorKind::ConnectionReset,
                |_| true
            ),
            "{closed:?}"
        );
    }
    let by =
        |name: &str, reason: &str| format!("jackfield_sip_{name}_total{{reason=\"{reason}\"}}");
    reaches(&server, &by("streams_closed", "slow"), STREAMS_TAKEN as f64);
    let refused = (STREAMS - STREAMS_TAKEN) as f64;
    reaches(&server, &by("streams_closed", "too_many"), refused);
    for reason in ["scanner", "malformed", "flood"] {
        reaches(&server, &by("bans", reason), 1.0);
    }
    reaches(&server, &by("dropped", "banned"), sent as f64);

    // They are listed, named in the log, and let in again when an operator says so.
    let bans = server.json("/api/v1/sip/bans").expect("the bans");
    let banned: Vec<&str> = bans["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|ban| ban["address"].as_str().expect("an address"))
        .collect();
    assert_eq!(banned, [NOISY, SCANNER, FLOODER], "{bans}");
    server.read_log();
    for ip in &banned {
        let told = |line: &String| line.contains(&format!("{ip} gets no answer for 60 s"));
        assert!(server.log.iter().any(told), "{ip} is not in the log");
    }
    let mut answer = [0; 2_048];
    let path = format!("/api/v1/sip/bans/{SCANNER}");
    let wait = Duration::from_millis(200);
    scanner.set_read_timeout(Some(wait)).expect("a time");
    let length = until("an answer to who is let in again", || {
        // Scans that still waited in the server's socket may have shut it out once more.
        let (status, _) = request(server.http, "DELETE", &path, Some(TOKEN))?;
        ensure!(status == 202 || status == 404, "{status}");
        scanner.send(message("OPTIONS", SCANNER, 0, "reformed").as_bytes())?;
        Ok(scanner.recv(&mut answer).ok())
    });
    let length = length.expect("an answer");
    assert!(answer[..length].starts_with(b"SIP/2.0 200 "));
}

/// Sends a REGISTER for the first phone from the address of who guesses; its answer, or `None` if the
/// address is banned instead.
fn guess(server: &Server, from: &UdpSocket, number: usize, proof: &str) -> Option<String> {
    let text = message("REGISTER", GUESSER, number, "guess")
        .replace("Content-Length", &format!("{proof}Content-Length"));
    from.send(text.as_bytes()).expect("sent");
    let mut answer = [0; 2_048];
    let told = until("an answer or a ban", || {
        if let Ok(length) = from.recv(&mut answer) {
            return Ok(Some(Some(length)));
        }
        let bans = server.json("/api/v1/sip/bans")?;
        let mut items = bans["items"].as_array().into_iter().flatten();
        Ok(items.any(|ban| ban["address"] == GUESSER).then_some(None))
    });
    let length = told.expect("one of them")?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[test]
fn who_guesses_passwords_is_shut_out() {
    let server = Server::start(setup("attack-guesses")).expect("a server");
    let as_user = ["--from", "1001", "--password-env", "PHONE_1001"];
    let talk = ["--wait", "3", "--hangup-after", "0"];
    let honest = server.phone("1000", &[&as_user[..], &talk].concat());
    let honest = honest.expect("a phone");

    let socket = stranger(GUESSER, server.sip);
    socket.set_nonblocking(true).expect("a mode");
    let mut answer = guess(&server, &socket, 0, "");
    let (mut tried, mut right) = (0, String::new());
    while let Some(challenged) = answer {
        assert!(tried < 60, "it may go on and on");
        tried += 1;
        let challenge = Challenge::of(&challenged).expect("nothing but challenges");
        assert!(!challenge.stale, "{challenged}");
        let proof = |password: &str| {
            let uri = "sip:1000@127.0.0.1";
            let value = challenge.answer(Hash::Md5, "1001", password, "REGISTER", uri, 1, "c");
            format!("Authorization: {value}\r\n")
        };
        right = proof("secret-one");
        answer = guess(&server, &socket, tried, &proof(&format!("guess-{tried}")));
    }
    // Ten a minute, and the one that is too much.
    assert!(tried > 10, "{tried} guesses");
    reaches(
        &server,
        "jackfield_sip_bans_total{reason=\"credentials\"}",
        1.0,
    );
    reaches(&server, "jackfield_sip_auth_failures_total", tried as f64);
    // Nor does it learn that it has found the right one.
    assert_eq!(guess(&server, &socket, tried + 1, &right), None);
    reaches(
        &server,
        "jackfield_sip_dropped_total{reason=\"banned\"}",
        1.0,
    );
    assert!(socket.recv(&mut [0; 1]).is_err(), "it got an answer");
    assert_eq!(
        server.metric("jackfield_registrations_total").expect("one"),
        0.0
    );

    // Whose password was guessed calls as before, and so does who was in a call.
    let output = honest.wait_with_output().expect("a phone ends");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}");
    let call = server.call("1000", &[&as_user[..], &talk].concat());
    assert_eq!(call.expect("a call")["status"], 200);
}
