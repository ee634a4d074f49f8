//! Connections over loopback, polled as the control thread does, with a clock that is turned by
//! hand.

use std::time::Duration;

use mio::{Events, Poll};

use super::super::tls::{Setup, self_signed};
use super::*;

const LISTENER: Token = Token(0);

/// A request as far as these tests look at it.
const MESSAGE: &[u8] =
    b"OPTIONS sip:localhost SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1\r\n\
    From: <sip:a@localhost>;tag=1\r\nTo: <sip:b@localhost>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
    Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

/// One side.
struct Side {
    poll: Poll,
    listener: TcpListener,
    transport: Transport,
    streams: Streams,
    events: Vec<StreamEvent>,
}

impl Side {
    fn new(transport: Transport, tls: Tls) -> Self {
        let poll = Poll::new().expect("epoll");
        let any = "127.0.0.1:0".parse().expect("an address");
        let mut listener = super::super::bind::tcp(any).expect("a port");
        let registry = poll.registry();
        registry
            .register(&mut listener, LISTENER, Interest::READABLE)
            .expect("registered");
        let registry = registry.try_clone().expect("a copy");
        let streams = Streams::new(registry, 1, tls, Origins::default(), Rng::from_u64(1));
        Self {
            poll,
            listener,
            transport,
            streams,
            events: Vec::new(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    /// Handles what is ready by now, or within a moment.
    fn turn(&mut self) {
        let mut events = Events::with_capacity(16);
        let moment = Some(Duration::from_millis(5));
        self.poll.poll(&mut events, moment).expect("polled");
        for event in &events {
            if event.token() == LISTENER {
                let (listener, transport) = (&self.listener, self.transport);
                self.streams
                    .accept(Mono(0), listener, transport, &mut self.events);
            } else {
                self.streams.ready(event, &mut self.events);
            }
        }
    }

    fn send(&mut self, remote: SocketAddr) {
        self.send_bytes(remote, MESSAGE);
    }

    /// Sends a request that is meant for this host.
    fn send_for(&mut self, remote: SocketAddr, host: &str) {
        let text = format!(
            "OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a>;tag=1\r\nTo: <sip:{host}>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.send_bytes(remote, text.as_bytes());
    }

    fn send_bytes(&mut self, remote: SocketAddr, bytes: &[u8]) {
        let hop = sip::Hop {
            transport: self.transport,
            remote,
            conn: None,
        };
        self.streams
            .send(Mono(0), hop, Arc::from(bytes), &mut self.events);
    }

    /// What has happened, as words.
    fn told(&mut self) -> Vec<String> {
        let events = self.events.drain(..);
        let words = events.map(|event| match event {
            StreamEvent::Opened { transport, .. } => format!("opened {}", transport.via_name()),
            StreamEvent::Bytes { bytes, .. } => format!("{} bytes", bytes.len()),
            StreamEvent::Closed { .. } => "closed".to_owned(),
            StreamEvent::Failed { transport, .. } => format!("failed {}", transport.via_name()),
            StreamEvent::Trouble { why, .. } => why,
            StreamEvent::Broken { transport, .. } => format!("broken {}", transport.via_name()),
        });
        words.collect()
    }
}

/// Turns both until one of them has something to tell, and lets the other have its say too.
fn until_told(near: &mut Side, far: &mut Side, count: usize) -> (Vec<String>, Vec<String>) {
    for _ in 0..2_000 {
        near.turn();
        far.turn();
        if near.events.len() + far.events.len() >= count {
            break;
        }
    }
    (near.told(), far.told())
}

fn certificates(folder: &tempfile::TempDir) -> (Tls, Setup) {
    let names = ["127.0.0.1".parse().expect("an address")];
    let identity = self_signed(folder.path(), &names).expect("a certificate");
    let setup = Setup {
        ca: Some(identity.0.clone()),
        identity: Some(identity),
        ..Setup::default()
    };
    (Tls::load(&setup).expect("good files"), setup)
}

fn nothing() -> Tls {
    Tls::load(&Setup::default()).expect("nothing to load")
}

#[test]
fn requests_share_one_tls_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tls, _) = certificates(&folder);
    let mut far = Side::new(Transport::Tls, tls.clone());
    let mut near = Side::new(Transport::Tls, tls);
    near.send(far.address());
    near.send(far.address());
    let (ours, theirs) = until_told(&mut near, &mut far, 4);
    assert_eq!(ours, ["opened TLS"]);
    assert_eq!(theirs[0], "opened TLS");
    let bytes: Vec<_> = theirs[1..].iter().map(String::as_str).collect();
    let one = format!("{} bytes", MESSAGE.len());
    assert!(bytes == [&*one, &*one] || bytes == [format!("{} bytes", 2 * MESSAGE.len())]);
    assert_eq!((near.streams.len(), far.streams.len()), (1, 1));
}

#[test]
fn a_connection_serves_whom_its_certificate_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tls, _) = certificates(&folder);
    let mut far = Side::new(Transport::Tls, tls.clone());
    let mut near = Side::new(Transport::Tls, tls);
    near.send_for(far.address(), "localhost");
    let (ours, _) = until_told(&mut near, &mut far, 3);
    assert_eq!(ours, ["opened TLS"]);
    near.send_for(far.address(), "LocalHost");
    let (ours, theirs) = until_told(&mut near, &mut far, 1);
    assert_eq!((ours.len(), theirs.len()), (0, 1), "{ours:?} {theirs:?}");
    // At the same address there is nobody else.
    near.send_for(far.address(), "carrier.example");
    let (ours, _) = until_told(&mut near, &mut far, 3);
    assert!(
        ours[0].contains("its certificate is not believed"),
        "{ours:?}"
    );
    assert_eq!(ours[1..], ["failed TLS"]);
    // By its address it is somebody that the certificate names, too.
    near.send_for(far.address(), "127.0.0.1");
    let (ours, _) = until_told(&mut near, &mut far, 3);
    assert_eq!(ours, ["opened TLS"]);
    assert_eq!(near.streams.len(), 2);
}

#[test]
fn who_shows_no_known_certificate_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tls, setup) = certificates(&folder);
    let mut far = Side::new(Transport::Tls, tls);
    let stranger = Tls::load(&Setup {
        ca: Some(setup.ca.clone().expect("given")),
        ..Setup::default()
    });
    // Another certificate than the one that is trusted.
    let other = tempfile::tempdir().expect("a folder");
    let (_, foreign) = certificates(&other);
    let mistrusting = Tls::load(&Setup {
        ca: foreign.ca,
        ..Setup::default()
    });
    drop(stranger.expect("good files"));
    let mut near = Side::new(Transport::Tls, mistrusting.expect("good files"));
    near.send(far.address());
    let (ours, theirs) = until_told(&mut near, &mut far, 3);
    assert!(
        ours[0].contains("its certificate is not believed"),
        "{ours:?}"
    );
    assert_eq!(ours[1..], ["failed TLS"]);
    assert_eq!(
        theirs.last().map(String::as_str),
        Some("closed"),
        "{theirs:?}"
    );
    assert_eq!((near.streams.len(), far.streams.len()), (0, 0));
    // Unless the operator says that anybody is.
    let anybody = Tls::load(&Setup {
        insecure: true,
        ..Setup::default()
    });
    let mut near = Side::new(Transport::Tls, anybody.expect("nothing to load"));
    near.send(far.address());
    let (ours, _) = until_told(&mut near, &mut far, 3);
    assert_eq!(ours, ["opened TLS"]);
}

#[test]
fn strangers_are_kept_out_where_certificates_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let (member, setup) = certificates(&folder);
    let strict = Tls::load(&Setup {
        client_ca: setup.ca.clone(),
        ..setup.clone()
    });
    let mut far = Side::new(Transport::Tls, strict.expect("good files"));
    let stranger = Tls::load(&Setup {
        identity: None,
        ..setup
    });
    let mut near = Side::new(Transport::Tls, stranger.expect("good files"));
    near.send(far.address());
    let (_, theirs) = until_told(&mut near, &mut far, 4);
    assert!(theirs[0].contains("no certificates"), "{theirs:?}");
    assert_eq!(theirs[1..], ["closed"]);
    let mut near = Side::new(Transport::Tls, member);
    near.send(far.address());
    let (ours, theirs) = until_told(&mut near, &mut far, 3);
    assert_eq!((ours, theirs.len()), (vec!["opened TLS".to_owned()], 2));
}

#[test]
fn a_handshake_that_never_ends_is_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tls, _) = certificates(&folder);
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let mut far = Side::new(transport, tls.clone());
        let mut silent = std::net::TcpStream::connect(far.address()).expect("connected");
        while far.streams.is_empty() {
            far.turn();
        }
        let early = Mono(0) + (HANDSHAKE_TIME - Duration::from_millis(1));
        far.streams.expire(early, &mut far.events);
        assert_eq!(far.told(), Vec::<String>::new());
        far.streams
            .expire(Mono(0) + HANDSHAKE_TIME, &mut far.events);
        assert_eq!(far.told(), ["no handshake within 10 s", "closed"]);
        assert!(far.streams.is_empty() && far.streams.young.is_empty());
        assert_eq!(far.streams.young_in, 0);
        while silent.read(&mut [0; 64]).expect("closed, not broken") > 0 {}
    }
}

#[test]
fn a_peer_that_vanishes_mid_handshake_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tls, _) = certificates(&folder);
    let mut far = Side::new(Transport::Wss, tls);
    let mut near = std::net::TcpStream::connect(far.address()).expect("connected");
    // The beginning of a ClientHello.
    near.write_all(&[0x16, 3, 1, 2, 0, 1]).expect("written");
    while far.streams.is_empty() {
        far.turn();
    }
    drop(near);
    while !far.streams.is_empty() {
        far.turn();
    }
    assert_eq!(far.told(), ["closed"]);
    assert!(far.streams.young.is_empty() && far.streams.places.is_empty());
}

#[test]
fn half_open_connections_are_bounded() {
    let mut far = Side::new(Transport::Ws, nothing());
    far.streams.young_in = HANDSHAKES_MAX;
    let mut near = std::net::TcpStream::connect(far.address()).expect("connected");
    near.set_nonblocking(true).expect("set");
    let closed = loop {
        far.turn();
        match near.read(&mut [0; 8]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => break other,
        }
    };
    assert_eq!(closed.expect("closed, not broken"), 0);
    assert!(far.streams.is_empty());
    assert_eq!(far.streams.faults().counts()[Fault::Full as usize], 1);
}

#[test]
fn half_open_connections_of_one_source_leave_room_for_others() {
    let mut far = Side::new(Transport::Ws, nothing());
    let connect = |from: &str, to: SocketAddr| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        let from: SocketAddr = format!("{from}:0").parse().expect("an address");
        socket.bind(&from.into()).expect("bound");
        socket.connect(&to.into()).expect("connected");
        std::net::TcpStream::from(socket)
    };
    let mut idle = Vec::new();
    for _ in 0..HANDSHAKES_OF_SOURCE_MAX + 5 {
        idle.push(connect("127.0.0.9", far.address()));
        far.turn();
    }
    let honest = connect("127.0.0.1", far.address());
    while far.streams.len() <= HANDSHAKES_OF_SOURCE_MAX {
        far.turn();
    }
    assert_eq!(far.streams.faults().counts()[Fault::Full as usize], 5);
    // Who goes makes room.
    drop((idle, honest));
    while !far.streams.is_empty() {
        far.turn();
    }
    assert!(far.streams.young_of.is_empty() && far.streams.young_in == 0);
}

#[test]
fn who_breaks_the_rules_of_websockets_is_told_of() {
    let mut far = Side::new(Transport::Ws, nothing());
    let request = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: sip\r\n\r\n";
    let mut near = std::net::TcpStream::connect(far.address()).expect("connected");
    near.write_all(request.as_bytes()).expect("written");
    // Not masked.
    near.write_all(&[0x81, 1, b'x']).expect("written");
    while far.events.len() < 4 {
        far.turn();
    }
    let why = "a WebSocket frame is masked where it must not, or not";
    assert_eq!(far.told(), ["opened WS", "broken WS", why, "closed"]);
    // One that never was a WebSocket is refused and counted, and that is all.
    let mut near = std::net::TcpStream::connect(far.address()).expect("connected");
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
    while far.events.len() < 2 {
        far.turn();
    }
    assert_eq!(far.told()[1], "closed");
    assert_eq!(far.streams.faults().counts(), [0, 0, 1, 1, 0]);
}

#[test]
fn what_cannot_be_reached_is_said_so() {
    let mut near = Side::new(Transport::Tls, nothing());
    let mut nobody = Side::new(Transport::Tls, nothing());
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound")
    };
    near.send(gone);
    let (ours, _) = until_told(&mut near, &mut nobody, 2);
    assert!(ours[0].contains("refused"), "{ours:?}");
    assert_eq!(ours[1..], ["failed TLS"]);
    // Without a certificate nobody is let in by TLS, and the log says why.
    near.send(nobody.address());
    let (_, theirs) = until_told(&mut near, &mut nobody, 2);
    assert_eq!(theirs, ["no certificate is configured"]);
    // Browsers are not connected to.
    near.transport = Transport::Ws;
    near.send(gone);
    assert_eq!(
        near.told(),
        ["the WebSocket it was reached over is closed", "failed WS"]
    );
}

#[test]
fn a_websocket_that_was_let_in_elsewhere_goes_on() {
    let mut far = Side::new(Transport::Tcp, nothing());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut near = std::net::TcpStream::connect(listener.local_addr().expect("bound"));
    let near = near.as_mut().expect("connected");
    let (socket, remote) = listener.accept().expect("accepted");
    let mut frame = vec![0x82, 0x80 | 4, 0, 0, 0, 0];
    frame.extend(b"\r\n\r\n");
    let (read, rest) = frame.split_at(3);
    near.write_all(rest).expect("written");
    far.streams.adopt(
        Mono(0),
        (socket, remote),
        Layers::upgraded(None),
        read,
        &mut far.events,
    );
    while far.events.len() < 2 {
        far.turn();
    }
    assert_eq!(far.told(), ["opened WS", "4 bytes"]);
}
