//! Goal: a call comes in by every transport, over IPv6 too, through the real binary at both ends;
//! who shows no known certificate is not talked to, and a connection that is refused is told why.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpStream};

use jackfield_tests::shell::{Folder, PATIENCE, Server, Setup, free_port};
use server::net::tls::self_signed;

/// What a caller does: listens for a moment.
const LISTEN: [&str; 4] = ["--wait", "1", "--hangup-after", "1"];

struct Ports {
    tls: SocketAddr,
    ws: SocketAddr,
    wss: SocketAddr,
}

fn start(name: &str) -> (Server, Ports) {
    let port = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let ports = Ports {
        tls: port(),
        ws: port(),
        wss: port(),
    };
    let mut setup = Setup::demo(name);
    let Ports { tls, ws, wss } = &ports;
    setup.sip = format!("tls = \"{tls}\"\nws = [\"{ws}\"]\nwss = [\"{wss}\"]");
    setup.http = "websocket = true".to_owned();
    setup.tenants = format!("[tls]\nself_signed = true\n\n{}", setup.tenants);
    (Server::start(setup).expect("a server"), ports)
}

#[test]
fn calls_come_in_by_every_transport() {
    let (server, ports) = start("transports");
    let certificate = server.folder.path().join("data/tls-self-signed.pem");
    let certificate = certificate.to_str().expect("UTF-8");
    let http = server.http;
    for (name, to) in [
        ("tls", ports.tls),
        ("ws", ports.ws),
        ("wss", ports.wss),
        // The port of HTTP takes WebSockets too.
        ("ws", http),
    ] {
        let mut args = vec!["--transport", name];
        if matches!(name, "tls" | "wss") {
            args.extend(["--ca", certificate]);
        }
        args.extend(LISTEN);
        let report = server.call_to(&format!("sip:1000@{to}"), &args);
        let report = report.expect("a report");
        assert_eq!(report["ok"], true, "{name} to {to}: {report}");
    }
    // A phone proves who it is, and is reached again over the connection it came on.
    let login = [
        "--from",
        "1001",
        "--password-env",
        "PHONE_1001",
        "--register",
    ];
    let mut args = vec!["--transport", "wss", "--ca", certificate];
    args.extend(login.iter().chain(&LISTEN));
    let report = server.call_to(&format!("sip:1000@{}", ports.wss), &args);
    assert_eq!(report.expect("a report")["ok"], true);
    let calls = server.calls().expect("calls");
    assert_eq!(calls.len(), 5);
}

#[test]
fn who_is_not_believed_is_said_in_one_line() {
    let (mut server, ports) = start("transports-strange");
    let uri = format!("sip:1000@{}", ports.tls);
    let report = server
        .call_to(&uri, &["--transport", "tls"])
        .expect("a report");
    let error = report["error"].as_str().expect("an error");
    assert!(error.contains("certificate is not believed"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    server.wait_for("over TLS failed").expect("a line about it");
    let mut insecure = vec!["--transport", "tls", "--insecure"];
    insecure.extend(LISTEN);
    let report = server.call_to(&uri, &insecure).expect("a report");
    assert_eq!(report["ok"], true, "{report}");
}

#[test]
fn other_websockets_are_refused_with_a_reason() {
    let (server, ports) = start("transports-refused");
    for at in [ports.ws, server.http] {
        for (fields, status, why) in [
            ("Sec-WebSocket-Protocol: chat\r\n", "400", "must offer"),
            (
                "Sec-WebSocket-Protocol: sip\r\nOrigin: https://evil.example\r\n",
                "403",
                "origins under [sip]",
            ),
        ] {
            let mut stream = TcpStream::connect(at).expect("connected");
            stream.set_read_timeout(Some(PATIENCE)).expect("set");
            write!(
                stream,
                "GET /sip HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 {fields}\r\n"
            )
            .expect("written");
            let mut answer = String::new();
            while !answer.contains(why) {
                let mut piece = [0; 1_024];
                let length = stream.read(&mut piece).expect("an answer");
                assert!(length > 0, "{at}: {answer}");
                answer.push_str(&String::from_utf8_lossy(&piece[..length]));
            }
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        }
    }
}

#[test]
fn calls_come_in_over_ipv6() {
    let mut setup = Setup::demo("transports-ipv6");
    setup.ip = Ipv6Addr::LOCALHOST.into();
    let server = Server::start(setup).expect("a server");
    for name in ["udp", "tcp"] {
        let mut args = vec!["--transport", name];
        args.extend(LISTEN);
        let report = server.call("1000", &args).expect("a report");
        assert_eq!(report["ok"], true, "{name}: {report}");
    }
}

#[test]
fn a_renewed_certificate_is_shown_at_once() {
    let names = ["127.0.0.1".parse().expect("an address")];
    let made = ["old", "new"].map(|name| {
        let folder = Folder::new(&format!("transports-certificate-{name}"));
        let (certificate, key) = self_signed(folder.path(), &names).expect("a certificate");
        let text = |path| std::fs::read_to_string(path).expect("text");
        let (shown, key) = (text(&certificate), text(&key));
        (folder, certificate, shown, key)
    });
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut setup = Setup::demo("transports-renewed");
    setup.sip = format!("tls = \"{tls}\"");
    setup.tenants = format!(
        "[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\n{}",
        setup.tenants
    );
    let [(_, _, old, old_key), (_, _, new, new_key)] = &made;
    setup.files.insert("c.pem".to_owned(), old.clone());
    setup.files.insert("k.pem".to_owned(), old_key.clone());
    let mut server = Server::start(setup).expect("a server");
    let believes = |server: &Server, which: usize| {
        let ca = made[which].1.to_str().expect("UTF-8");
        let mut args = vec!["--transport", "tls", "--ca", ca];
        args.extend(LISTEN);
        let report = server.call_to(&format!("sip:1000@{tls}"), &args);
        report.expect("a report")["ok"] == true
    };
    assert!(believes(&server, 0) && !believes(&server, 1));
    // One that does not fit its key is refused, and the old one stays.
    std::fs::write(server.folder.path().join("k.pem"), new_key).expect("written");
    let line = server
        .wait_for("the old certificate stays")
        .expect("a line");
    assert!(line.contains("does the key belong to it?"), "{line}");
    assert!(believes(&server, 0));
    std::fs::write(server.folder.path().join("c.pem"), new).expect("written");
    server.wait_for("configuration applied").expect("a line");
    server.wait_for("configuration applied").expect("a line");
    assert!(believes(&server, 1) && !believes(&server, 0));
}
