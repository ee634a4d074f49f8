//! What the endpoint keeps in memory, and how it treats streams.

use std::sync::Arc;
use std::time::Duration;

use vocab::{Mono, Now, Rng};

use super::table::Slot;
use super::*;
use crate::Action;
use crate::auth::Algorithm;

fn endpoint(limits: Limits) -> Endpoint {
    let address = "192.0.2.2:5060".parse().unwrap();
    let config = Config {
        udp: address,
        tcp: address,
        addresses: Vec::new(),
        realm: "demo".into(),
        product: "Jackfield".into(),
        algorithms: vec![Algorithm::Md5],
        accounts: BTreeMap::new(),
        nonce_key: [7; 32],
        pass_key: None,
        nonce_lifetime: Duration::from_secs(300),
        expires: (Duration::from_secs(60), Duration::from_secs(3_600)),
        guard: guard::Config::open(),
        session_interval: Some(Duration::from_secs(1_800)),
        reliable_provisional: false,
    };
    Endpoint::with_limits(config, limits, Rng::from_u64(1))
}

fn after(seconds: u64) -> Now {
    Now::default() + Duration::from_secs(seconds)
}

fn outputs(endpoint: &mut Endpoint) -> Vec<Output> {
    std::iter::from_fn(|| endpoint.poll()).collect()
}

fn sent(outputs: &[Output]) -> Vec<Arc<[u8]>> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Transmit { bytes, .. } => Some(bytes.clone()),
            Output::CloseStream { .. } | Output::Event(_) => None,
        })
        .collect()
}

fn request(method: &str, number: u32, to: &str) -> String {
    format!(
        "{method} sip:1000@192.0.2.2 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{method}{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:dan@demo>;tag={number}\r\nTo: {to}\r\n\
         Call-ID: {number}\r\nCSeq: {} {method}\r\nContact: <sip:dan@192.0.2.9:5060>\r\n\
         Content-Length: 0\r\n\r\n",
        if method == "BYE" { 2 } else { 1 },
    )
}

/// A whole inbound call within one moment.
fn call(endpoint: &mut Endpoint, now: Now, number: u32) {
    let remote = "192.0.2.9:5060".parse().unwrap();
    let mut feed = |method: &str, to: &str| {
        let text = request(method, number, to);
        endpoint.handle(
            now,
            Input::Datagram {
                remote,
                bytes: text.as_bytes(),
            },
        );
        outputs(endpoint)
    };
    let told = feed("INVITE", "<sip:1000@demo>");
    let Some(Output::Event(Event::Incoming { dialog, .. })) = told.last() else {
        panic!("no call: {told:?}")
    };
    let dialog = *dialog;
    let (headers, body) = (Vec::new(), b"v=0\r\n".to_vec());
    let action = Action::Respond {
        dialog,
        status: 200,
        headers,
        body,
    };
    endpoint.handle(now, Input::Action(action));
    let ok = sent(&outputs(endpoint)).pop().expect("a 200");
    let ok = String::from_utf8_lossy(&ok).into_owned();
    let to = ok
        .lines()
        .find_map(|line| line.strip_prefix("To: "))
        .expect("a To");
    let mut feed = |method: &str| {
        let text = request(method, number, to);
        endpoint.handle(
            now,
            Input::Datagram {
                remote,
                bytes: text.as_bytes(),
            },
        );
        outputs(endpoint)
    };
    assert!(matches!(
        feed("ACK")[..],
        [Output::Event(Event::Confirmed { .. })]
    ));
    let ended = feed("BYE");
    assert!(matches!(
        ended.last(),
        Some(Output::Event(Event::Ended { .. }))
    ));
}

/// Bytes that one inbound call over UDP leaves for 32 s, by what is kept of it.
#[test]
fn a_past_call_is_small() {
    let mut endpoint = endpoint(Limits::default());
    call(&mut endpoint, after(0), 1);
    let counts = endpoint.counts();
    assert_eq!(
        (counts.dialogs, counts.server_invites, counts.servers),
        (0, 1, 1)
    );
    let invite = size_of::<(Key, Slot<ServerInvite, Inviter>)>();
    let bye = size_of::<(Key, Slot<Server, ()>)>();
    let due = size_of::<(Mono, Due)>();
    let merge = size_of::<Key>();
    assert!(invite <= 184, "{invite}");
    assert!(bye <= 136, "{bye}");
    assert!(due <= 32, "{due}");
    // With B-tree nodes half full in the worst case, and about 330 bytes of the 200 to the BYE.
    assert!(2 * (invite + bye + 2 * due + merge) + 330 <= 1_200);
}

/// What a call takes while it runs, besides its texts: what few calls need is kept apart.
#[test]
fn a_running_call_is_small() {
    let dialog = size_of::<(DialogId, Dialog)>();
    assert!(dialog <= 480, "{dialog}");
}

#[test]
fn past_calls_are_forgotten_in_time() {
    let mut endpoint = endpoint(Limits::default());
    for number in 0..1_000 {
        call(&mut endpoint, after(u64::from(number) / 100), number);
    }
    assert_eq!(endpoint.counts().server_invites, 1_000);
    assert_eq!(endpoint.agenda.len(), 2_000);
    endpoint.handle(after(36), Input::Timeout);
    let left = endpoint.counts();
    assert_eq!((left.server_invites, left.servers), (500, 500));
    endpoint.handle(after(42), Input::Timeout);
    assert!(endpoint.counts().is_idle());
    assert!(endpoint.merges.is_empty() && endpoint.names.is_empty() && endpoint.ways.is_empty());
    assert_eq!(endpoint.deadline(), None);
}

#[test]
fn full_of_transactions_new_calls_wait_and_running_ones_end() {
    let mut endpoint = endpoint(Limits {
        transactions: 4,
        ..Limits::default()
    });
    call(&mut endpoint, after(0), 1);
    call(&mut endpoint, after(0), 2);
    let remote = "192.0.2.9:5060".parse().unwrap();
    let text = request("INVITE", 3, "<sip:1000@demo>");
    for _ in 0..2 {
        endpoint.handle(
            after(0),
            Input::Datagram {
                remote,
                bytes: text.as_bytes(),
            },
        );
        let answers = sent(&outputs(&mut endpoint));
        let text = String::from_utf8_lossy(&answers[0]).into_owned();
        assert!(
            text.starts_with("SIP/2.0 503 Service Unavailable\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nRetry-After: 10\r\n"), "{text}");
    }
    assert_eq!(endpoint.counts().overloads, 2);
    assert_eq!(endpoint.transactions(), 4);
    endpoint.handle(after(33), Input::Timeout);
    call(&mut endpoint, after(33), 3);
}

#[test]
fn a_stream_is_answered_kept_alive_and_closed() {
    let mut endpoint = endpoint(Limits {
        streams: 1,
        ..Limits::default()
    });
    let remote = "192.0.2.9:40000".parse().unwrap();
    let conn = ConnId(1);
    let mut feed = |conn, bytes: &[u8]| {
        endpoint.handle(
            after(0),
            Input::Stream {
                conn,
                remote,
                bytes,
            },
        );
        outputs(&mut endpoint)
    };
    let hop = Hop {
        transport: Transport::Tcp,
        remote,
        conn: Some(conn),
    };
    let pong = Output::Transmit {
        hop,
        bytes: Arc::from(*b"\r\n"),
    };
    assert_eq!(feed(conn, b"\r\n\r\n"), [pong]);
    let options = request("OPTIONS", 1, "<sip:demo>").replace("/UDP", "/TCP");
    let (half, rest) = options.as_bytes().split_at(100);
    assert_eq!(feed(conn, half), []);
    let answers = sent(&feed(conn, rest));
    assert!(answers[0].starts_with(b"SIP/2.0 200 OK\r\n"));

    // One more than the limit is closed unread.
    assert_eq!(
        feed(ConnId(2), b"x"),
        [Output::CloseStream { conn: ConnId(2) }]
    );
    // A message without length is answered, and the stream closed.
    let broken = options.replace("Content-Length: 0", "X: y");
    let outputs = feed(conn, broken.as_bytes());
    assert!(sent(&outputs)[0].starts_with(b"SIP/2.0 400 "));
    assert_eq!(outputs.last(), Some(&Output::CloseStream { conn }));
    assert_eq!(
        (endpoint.counts().streams, endpoint.counts().malformed),
        (0, 1)
    );
}

#[test]
fn noise_is_counted_and_never_answered() {
    let mut endpoint = endpoint(Limits::default());
    let remote = "192.0.2.9:5060".parse().unwrap();
    for (bytes, malformed) in [
        (&b"\0"[..], 0),
        (b"\r\n\r\n", 0),
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (b"\xff\xfe", 2),
        (b"SIP/2.0 200 OK\r\n\r\n", 3),
        (
            b"ACK sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\r\n",
            3,
        ),
    ] {
        endpoint.handle(after(0), Input::Datagram { remote, bytes });
        assert_eq!(outputs(&mut endpoint), []);
        assert_eq!(endpoint.counts().malformed, malformed, "{bytes:?}");
    }
    assert_eq!(endpoint.counts().strays, 1);
}

/// Text of the only message that was sent, and how.
fn only(outputs: &[Output]) -> (Hop, String) {
    let [Output::Transmit { hop, bytes }] = outputs else {
        panic!("not one message: {outputs:?}");
    };
    (*hop, String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn websocket_messages_are_whole_and_answered_on_their_connection() {
    let mut endpoint = endpoint(Limits::default());
    let remote: SocketAddr = "192.0.2.9:40000".parse().unwrap();
    let conn = ConnId(7);
    for (transport, name) in [(Transport::Ws, "WS"), (Transport::Wss, "WSS")] {
        let opened = Input::StreamOpened {
            conn,
            transport,
            remote,
        };
        endpoint.handle(after(0), opened);
        assert_eq!(outputs(&mut endpoint), []);
        // RFC 7118 §5: a browser knows no address of its own, and needs no length.
        let options = request("OPTIONS", 1, "<sip:demo>")
            .replace("/UDP 192.0.2.9", &format!("/{name} df7jal23ls0d.invalid"))
            .replace("/UDP", &format!("/{name}"))
            .replace("Content-Length: 0\r\n", "");
        let bytes = options.as_bytes();
        endpoint.handle(
            after(0),
            Input::Stream {
                conn,
                remote,
                bytes,
            },
        );
        let (hop, text) = only(&outputs(&mut endpoint));
        assert_eq!((hop.transport, hop.conn), (transport, Some(conn)));
        assert!(text.starts_with("SIP/2.0 200 OK\r\n"), "{text}");
        // A keep-alive is a message of its own (RFC 5626 §4.4.1).
        let bytes = b"\r\n\r\n";
        endpoint.handle(
            after(0),
            Input::Stream {
                conn,
                remote,
                bytes,
            },
        );
        assert_eq!(only(&outputs(&mut endpoint)).1, "\r\n");
        assert_eq!(endpoint.counts().streams, 1);
        endpoint.handle(after(0), Input::StreamClosed { conn });
        assert_eq!(
            (outputs(&mut endpoint), endpoint.counts().streams),
            (vec![], 0)
        );
    }
    assert_eq!(endpoint.counts().malformed, 0);
}

#[test]
fn requests_name_our_address_for_transport_and_family() {
    let mut endpoint = endpoint(Limits::default());
    endpoint.config.addresses = [
        (Transport::Udp, "[2001:db8::2]:5060"),
        (Transport::Tls, "192.0.2.2:5061"),
        (Transport::Tls, "[2001:db8::2]:5061"),
    ]
    .map(|(transport, own)| (transport, own.parse().unwrap()))
    .to_vec();
    for (transport, remote, via) in [
        (Transport::Udp, "192.0.2.9:5060", "UDP 192.0.2.2:5060"),
        (
            Transport::Udp,
            "[2001:db8::9]:5060",
            "UDP [2001:db8::2]:5060",
        ),
        (Transport::Tcp, "192.0.2.9:5060", "TCP 192.0.2.2:5060"),
        (Transport::Tls, "192.0.2.9:5061", "TLS 192.0.2.2:5061"),
        (
            Transport::Tls,
            "[2001:db8::9]:5061",
            "TLS [2001:db8::2]:5061",
        ),
    ] {
        let dialog = endpoint.allocate();
        let invite = Action::Invite {
            dialog,
            uri: "sip:b@example.com".into(),
            hop: Hop {
                transport,
                remote: remote.parse().unwrap(),
                conn: None,
            },
            from: "<sip:a@example.com>".into(),
            to: "<sip:b@example.com>".into(),
            headers: Vec::new(),
            body: b"v=0\r\n".to_vec(),
            credentials: None,
        };
        endpoint.handle(after(0), Input::Action(invite));
        let (hop, text) = only(&outputs(&mut endpoint));
        assert_eq!(hop.transport, transport);
        assert!(
            text.contains(&format!("\r\nVia: SIP/2.0/{via};branch=")),
            "{text}"
        );
        let (name, own) = via.split_once(' ').unwrap();
        let name = name.to_lowercase();
        let contact = if transport == Transport::Udp {
            format!("\r\nContact: <sip:{own}>\r\n")
        } else {
            format!("\r\nContact: <sip:{own};transport={name}>\r\n")
        };
        assert!(text.contains(&contact), "{text}");
    }
}

#[test]
fn ipv6_as_it_is_written_in_the_wild() {
    // The facts of RFC 5118: §4.1 brackets in the request URI, §4.5 `received` with and without
    // brackets, §4.6 several parameters with addresses, §4.8 three colons are no address, and §4.10
    // an IPv4 address that looks like IPv6.
    let remote: SocketAddr = "[2001:db8::9]:5080".parse().unwrap();
    for (uri, via, status, answered) in [
        (
            "sip:[2001:db8::10]",
            "[2001:db8::9]",
            200,
            "[2001:db8::9]:5060",
        ),
        (
            "sip:[2001:db8::10]:5070",
            "[2001:db8::9]:5070",
            200,
            "[2001:db8::9]:5070",
        ),
        (
            "sip:demo",
            "[2001:db8::9]:5070;rport",
            200,
            "[2001:db8::9]:5080",
        ),
        (
            "sip:demo",
            "[2001:db8::77];received=[2001:db8::1]",
            200,
            "[2001:db8::9]:5060",
        ),
        (
            "sip:demo",
            "[::ffff:192.0.2.10];received=2001:db8::1",
            200,
            "[2001:db8::9]:5060",
        ),
        (
            "sip:[2001:db8:::10]",
            "[2001:db8::9]",
            400,
            "[2001:db8::9]:5060",
        ),
        (
            "sip:2001:db8::10",
            "[2001:db8::9]",
            400,
            "[2001:db8::9]:5060",
        ),
    ] {
        let mut endpoint = endpoint(Limits::default());
        let text = format!(
            "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKas3\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=81x2\r\n\
             To: <sip:b@[2001:db8::10]>\r\nCall-ID: 1@[2001:db8::9]\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let bytes = text.as_bytes();
        endpoint.handle(after(0), Input::Datagram { remote, bytes });
        let (hop, answer) = only(&outputs(&mut endpoint));
        assert!(
            answer.starts_with(&format!("SIP/2.0 {status} ")),
            "{uri}: {answer}"
        );
        assert_eq!(hop.remote, answered.parse().unwrap(), "{via}");
    }
}

#[test]
fn a_call_that_went_round_in_circles_ends_here() {
    let mut endpoint = endpoint(Limits::default());
    let remote = "192.0.2.9:5060".parse().unwrap();
    for (hops, expected) in [("0", "SIP/2.0 483 "), ("1", "SIP/2.0 100 ")] {
        let text = request("INVITE", hops.parse().unwrap(), "<sip:1000@demo>");
        let text = text.replace("Max-Forwards: 70", &format!("Max-Forwards: {hops}"));
        let bytes = text.as_bytes();
        endpoint.handle(Now::default(), Input::Datagram { remote, bytes });
        let answers = sent(&outputs(&mut endpoint));
        let answer = String::from_utf8_lossy(&answers[0]);
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[test]
fn the_call_control_says_how_far_a_call_may_go() {
    let mut endpoint = endpoint(Limits::default());
    for (headers, expected) in [
        (Vec::new(), "Max-Forwards: 70"),
        (
            vec![("Max-Forwards".to_owned(), "9".to_owned())],
            "Max-Forwards: 9",
        ),
    ] {
        let hop = Hop {
            transport: Transport::Udp,
            remote: "192.0.2.9:5060".parse().unwrap(),
            conn: None,
        };
        let action = Action::Invite {
            dialog: endpoint.allocate(),
            uri: "sip:1@192.0.2.9".into(),
            hop,
            from: "<sip:a@demo>".into(),
            to: "<sip:1@192.0.2.9>".into(),
            headers,
            body: Vec::new(),
            credentials: None,
        };
        endpoint.handle(Now::default(), Input::Action(action));
        let invite = sent(&outputs(&mut endpoint));
        let invite = String::from_utf8_lossy(&invite[0]);
        let lines = invite
            .lines()
            .filter(|line| line.starts_with("Max-Forwards"));
        assert_eq!(lines.collect::<Vec<_>>(), [expected]);
    }
}
