//! Goal: while strangers sit on half-open WebSockets, flood them with pings and break their rules,
//! an honest phone calls over one, the server holds a bounded number of them, and who breaks the
//! rules is shut out; all of it is counted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use jackfield_tests::peers::until;
use jackfield_tests::shell::{PATIENCE, Server, Setup, free_port};
use socket2::{Domain, Socket, Type};

/// Who never asks for a WebSocket, who asks byte by byte, and who breaks the rules of open ones.
const IDLE: &str = "127.0.0.6";
const DRIPPING: &str = "127.0.0.7";
const BREAKER: &str = "127.0.0.8";
const FLOODER: &str = "127.0.0.9";

/// Half-open connections, and how many of them the server takes of one source.
const HALF_OPEN: usize = 1_000;
const HALF_OPEN_TAKEN: usize = 128;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: sip\r\n\r\n";

fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from: SocketAddr = format!("{from}:0").parse().expect("an address");
    socket
        .bind(&from.into())
        .expect("loopback has many addresses");
    socket.connect(&to.into()).expect("the server listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream
}

/// Asks for a WebSocket, sends this, and reads until the server has closed.
fn abuse(from: &str, to: SocketAddr, bytes: &[u8]) {
    let mut stream = connect(from, to);
    // It may be closed before all is written.
    drop(stream.write_all(REQUEST.as_bytes()));
    drop(stream.write_all(bytes));
    closed(&mut stream);
}

fn closed(stream: &mut TcpStream) {
    let end = stream.read_to_end(&mut Vec::new());
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(end.as_ref().map_or_else(reset, |_| true), "{end:?}");
}

/// A masked frame: its first byte, and content of this length.
fn frame(first: u8, length: u8) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | length, 0, 0, 0, 0];
    bytes.resize(bytes.len() + usize::from(length), b'x');
    bytes
}

/// What breaks the rules of an open WebSocket, each in its own way (RFC 6455 §5).
fn abuses() -> [Vec<u8>; 5] {
    let mut endless = frame(0x01, 1);
    endless.extend(frame(0x00, 1).repeat(200));
    let mut oversized = vec![0x82, 0xff];
    oversized.extend(u64::MAX.to_be_bytes());
    [
        // Not masked.
        vec![0x81, 1, b'x'],
        endless,
        oversized,
        frame(0x89, 125).repeat(1_000),
        // An unknown kind.
        frame(0x83, 1),
    ]
}

fn reaches(server: &Server, name: &str, least: f64) {
    let found = until(name, || {
        let value = server.metric(name)?;
        Ok((value >= least).then_some(value))
    });
    found.unwrap_or_else(|error| panic!("{name} does not reach {least}: {error}"));
}

#[test]
fn an_honest_phone_calls_over_a_websocket_under_attack() {
    let ws = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut setup = Setup::demo("websocket-attack");
    setup.sip = format!("ws = [\"{ws}\"]");
    // Nobody is trusted, not even this machine.
    setup.tenants.push_str("\n[sip.guard]\nallow = []\n");
    let server = Server::start(setup).expect("a server");
    let honest = |server: &Server| {
        let args = ["--transport", "ws", "--wait", "1", "--hangup-after", "1"];
        let report = server.call_to(&format!("sip:1000@{ws}"), &args);
        let report = report.expect("a report");
        assert_eq!(report["ok"], true, "{report}");
    };
    let files = server.metric("process_open_fds").expect("a count");

    let mut half_open: Vec<TcpStream> = (0..HALF_OPEN).map(|_| connect(IDLE, ws)).collect();
    let mut dripping = connect(DRIPPING, ws);
    dripping.write_all(&REQUEST.as_bytes()[..20]).expect("sent");
    let failed =
        |reason: &str| format!("jackfield_sip_connections_failed_total{{reason=\"{reason}\"}}");
    let refused = (HALF_OPEN - HALF_OPEN_TAKEN) as f64;
    reaches(&server, &failed("full"), refused);
    let held = server.metric("process_open_fds").expect("a count") - files;
    assert!(held <= HALF_OPEN_TAKEN as f64 + 20.0, "{held} are held");
    honest(&server);

    // Each way is noticed, and who goes on gets no answer any more.
    let mut broken = 0;
    for bytes in abuses() {
        abuse(FLOODER, ws, &bytes);
        broken += 1;
        reaches(&server, &failed("broken"), f64::from(broken));
    }
    let bans = "jackfield_sip_bans_total{reason=\"malformed\"}";
    for _ in 0..100 {
        abuse(BREAKER, ws, &[0x81, 1, b'x']);
    }
    reaches(&server, bans, 1.0);
    honest(&server);
    let banned = server.json("/api/v1/sip/bans").expect("the bans");
    assert_eq!(banned["items"][0]["address"], BREAKER, "{banned}");
    assert_eq!(banned["items"].as_array().map(Vec::len), Some(1));

    // Who says nothing does not stay.
    dripping
        .write_all(&REQUEST.as_bytes()[20..21])
        .expect("sent");
    closed(&mut dripping);
    for stream in &mut half_open {
        closed(stream);
    }
    reaches(&server, &failed("late"), HALF_OPEN_TAKEN as f64 + 1.0);
    honest(&server);
}
