//! Handshakes and frames, good and bad.

use super::*;

/// The request of RFC 6455 §1.3, for SIP.
const REQUEST: &str = "GET /sip HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: chat, SIP\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn opened() -> WebSocket {
    let mut socket = WebSocket::server(Origins::default());
    let mut events = Vec::new();
    socket
        .receive(REQUEST.as_bytes(), &mut events)
        .expect("good");
    assert_eq!(events, [Event::Opened]);
    socket.take_out();
    socket
}

/// A masked frame, as a client sends it; below 126 bytes.
fn frame(first: u8, bytes: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![first, 0x80 | bytes.len() as u8];
    frame.extend(mask);
    frame.extend(xor(bytes, mask));
    frame
}

#[test]
fn the_handshake_of_the_standard() {
    let mut socket = WebSocket::server(Origins::default());
    let mut events = Vec::new();
    for byte in REQUEST.bytes() {
        socket.receive(&[byte], &mut events).expect("good");
    }
    assert_eq!(events, [Event::Opened]);
    let answer = String::from_utf8(socket.take_out()).expect("text");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(answer.contains("\r\nSec-WebSocket-Protocol: sip\r\n"));
}

#[test]
fn what_is_refused_is_told_why() {
    for (from, to, status, why) in [
        ("chat, SIP", "chat", "400", "must offer \"sip\""),
        ("Version: 13", "Version: 8", "426", "must be 13"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "abc", "400", "16 bytes"),
        ("Upgrade: websocket", "Upgrade: h2c", "426", "ws://"),
        ("GET ", "POST ", "400", "ws://"),
        (
            "Host:",
            "Origin: https://evil.example\r\nHost:",
            "403",
            "origins under [sip]",
        ),
    ] {
        let mut socket = WebSocket::server(Origins::default());
        let request = REQUEST.replacen(from, to, 1);
        let error = socket.receive(request.as_bytes(), &mut Vec::new());
        let error = error.expect_err(to);
        let answer = String::from_utf8(socket.take_out()).expect("text");
        assert!(error.contains(why), "{error}");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(why), "{answer}");
        assert!(!socket.is_open());
    }
}

#[test]
fn pages_of_known_origins_connect() {
    let origins = Origins::new(vec!["https://phone.example".to_owned()]);
    let host = Some("sip.example:8443");
    assert!(origins.admit(None, host));
    assert!(origins.admit(Some("https://phone.example"), host));
    assert!(
        origins.admit(Some("https://sip.example:8443"), host),
        "its own page"
    );
    assert!(!origins.admit(Some("https://phone.example.evil"), host));
    assert!(!origins.admit(Some("null"), host));
    assert!(Origins::new(vec!["*".to_owned()]).admit(Some("null"), host));
}

#[test]
fn both_sides_understand_each_other_at_every_length() {
    let mut client = WebSocket::client("h", "/sip", Rng::from_u64(1));
    let mut server = WebSocket::server(Origins::default());
    let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
    server
        .receive(&client.take_out(), &mut at_server)
        .expect("good");
    client
        .receive(&server.take_out(), &mut at_client)
        .expect("good");
    for length in [0, 1, 125, 126, 65_535, 65_536, MESSAGE_BYTES_MAX] {
        let message = vec![b'x'; length];
        client.send(&message);
        server
            .receive(&client.take_out(), &mut at_server)
            .expect("good");
        assert_eq!(
            at_server.pop(),
            Some(Event::Message(message.clone())),
            "{length}"
        );
        server.send(&message);
        client
            .receive(&server.take_out(), &mut at_client)
            .expect("good");
        assert_eq!(at_client.pop(), Some(Event::Message(message)), "{length}");
    }
    assert_eq!(
        (at_client, at_server),
        (vec![Event::Opened], vec![Event::Opened])
    );
}

#[test]
fn pieces_pings_and_the_end() {
    let mut socket = opened();
    let mut events = Vec::new();
    let mut bytes = frame(TEXT, b"OPTIONS ");
    bytes.extend(frame(0x80 | PING, b"there?"));
    bytes.extend(frame(0x80 | CONTINUATION, b"sip:a"));
    for byte in bytes {
        socket.receive(&[byte], &mut events).expect("good");
    }
    assert_eq!(events, [Event::Message(b"OPTIONS sip:a".to_vec())]);
    assert_eq!(socket.take_out(), b"\x8a\x06there?");
    events.clear();
    let close = frame(0x80 | CLOSE, &1000u16.to_be_bytes());
    socket.receive(&close, &mut events).expect("good");
    assert_eq!(events, [Event::Closed]);
    assert_eq!(socket.take_out(), [0x88, 2, 0x03, 0xe8]);
}

#[test]
fn abuse_ends_the_connection() {
    let long = (MESSAGE_BYTES_MAX as u64 + 1).to_be_bytes();
    let mut too_long = vec![0x80 | BINARY, 0x80 | 127];
    too_long.extend(long);
    let many = |first: u8, count: usize| -> Vec<u8> {
        (0..count).flat_map(|_| frame(first, b"x")).collect()
    };
    let mut pieces = frame(TEXT, b"x");
    pieces.extend(many(CONTINUATION, FRAMES_MAX));
    for (name, bytes) in [
        ("not masked", vec![0x81, 1, b'x']),
        ("too long", too_long),
        ("too many pieces", pieces),
        ("too many pings", many(0x80 | PING, PINGS_MAX as usize + 1)),
        ("a piece of nothing", frame(0x80 | CONTINUATION, b"x")),
        ("an extension", frame(0xc0 | TEXT, b"x")),
        ("an unknown kind", frame(0x83, b"x")),
        ("a ping in pieces", frame(PING, b"x")),
    ] {
        let mut socket = opened();
        let result = socket.receive(&bytes, &mut Vec::new());
        assert!(result.is_err(), "{name}");
        assert!(!socket.is_open(), "{name}");
    }
    let mut socket = WebSocket::server(Origins::default());
    let endless = vec![b'x'; UPGRADE_BYTES_MAX + 1];
    assert!(socket.receive(&endless, &mut Vec::new()).is_err());
}
