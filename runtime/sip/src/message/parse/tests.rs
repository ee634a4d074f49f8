//! Whole messages, good and bad.

use expect_test::expect;

use crate::limits;
use crate::message::{
    HeaderName, Message, Method, ParseError, Request, Response, Supports, check_request,
    check_response, parse,
};

const OPTIONS: &str = "OPTIONS sip:b SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
    From: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";

fn request(bytes: &[u8]) -> Request {
    match parse(bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn response(bytes: &[u8]) -> Response {
    match parse(bytes) {
        Ok(Message::Response(response)) => response,
        other => panic!("no response: {other:?}"),
    }
}

/// What becomes of a datagram, in words.
fn fate(bytes: &[u8]) -> String {
    match parse(bytes) {
        Ok(message) => message.first_line(),
        Err(error @ (ParseError::KeepAlive | ParseError::Drop(_))) => error.to_string(),
        Err(error @ ParseError::Reply { .. }) => error.to_string(),
    }
}

#[test]
fn keep_alives() {
    for bytes in [
        &b""[..],
        b"\r\n",
        b"\r\n\r\n",
        b"\0",
        b"\0\0\0\0",
        b"\r\n \t\r\n",
    ] {
        assert_eq!(parse(bytes), Err(ParseError::KeepAlive), "{bytes:?}");
    }
}

#[test]
fn first_lines() {
    let headers = &OPTIONS[OPTIONS.find("Via").expect("a Via")..];
    for (line, expected) in [
        ("OPTIONS sip:b SIP/2.0", "OPTIONS sip:b SIP/2.0"),
        ("\r\n\r\nOPTIONS sip:b SIP/2.0", "OPTIONS sip:b SIP/2.0"),
        ("options sip:b sip/2.0", "options sip:b SIP/2.0"),
        ("OPTIONS sip:b SIP/2.1", "refused with 505: unknown version"),
        (
            "OPTIONS sip:b SIP/2.0 ",
            "refused with 400: white space after the version",
        ),
        (
            "OPTIONS  sip:b SIP/2.0",
            "refused with 400: white space in the request line",
        ),
        (
            "OPTIONS sip:b  SIP/2.0",
            "refused with 400: white space in the request line",
        ),
        (
            "OPTIONS sip:\u{7f}b SIP/2.0",
            "refused with 400: control character in the request line",
        ),
        (
            "OPTIONS  SIP/2.0",
            "refused with 400: white space in the request line",
        ),
        ("OPTIONS SIP/2.0", "dropped: not SIP"),
        ("ACK sip:b SIP/2.1", "dropped: unknown version"),
        ("OPTIONS sip:b", "dropped: not SIP"),
        ("OPTIONS sip:b HTTP/1.1", "dropped: not SIP"),
        ("GET / HTTP/1.1", "dropped: not SIP"),
        ("O(TIONS sip:b SIP/2.0", "dropped: not SIP"),
        (" OPTIONS sip:b SIP/2.0", "dropped: not SIP"),
        ("SIP/2.0 200 OK", "SIP/2.0 200 OK"),
        ("SIP/2.0 200 ", "SIP/2.0 200 "),
        ("SIP/2.0 200", "SIP/2.0 200 "),
        ("SIP/2.0 099 OK", "dropped: bad status"),
        ("SIP/2.0 700 OK", "dropped: bad status"),
        ("SIP/2.0 20 OK", "dropped: bad status"),
        ("SIP/2.0 0200 OK", "dropped: bad status"),
        ("SIP/2.0 +20 OK", "dropped: bad status"),
        ("SIP/2.0  200 OK", "dropped: bad status"),
        ("SIP/3.0 200 OK", "dropped: unknown version"),
        ("SIP/2.0", "dropped: bad status line"),
    ] {
        assert_eq!(
            fate(format!("{line}\r\n{headers}\r\n").as_bytes()),
            expected,
            "{line:?}"
        );
    }
    assert_eq!(
        fate(b"OPTIONS sip:b SIP/2.0\r\n\r\n"),
        "OPTIONS sip:b SIP/2.0"
    );
    assert_eq!(
        fate(b"OPTIONS sip:b SIP/7.0\r\n\r\n"),
        "dropped: unknown version",
        "no Via"
    );
    assert_eq!(fate(b"\x80\x60rtp rtp rtp"), "dropped: not SIP");
}

#[test]
fn header_lines() {
    for (lines, expected) in [
        ("Subject: x\r\n\r\n", "OPTIONS sip:b SIP/2.0"),
        ("Subject:\r\n\r\n", "OPTIONS sip:b SIP/2.0"),
        ("Subject: x\r\n\ty\r\n  z\r\n\r\n", "OPTIONS sip:b SIP/2.0"),
        (
            "Subject x\r\n\r\n",
            "refused with 400: header without colon",
        ),
        (": x\r\n\r\n", "refused with 400: bad header name"),
        ("Sub ject: x\r\n\r\n", "refused with 400: bad header name"),
        ("Subject: x\n\r\n\r\n", "refused with 400: stray line end"),
        (
            "Subject: x\rEvil: y\r\n\r\n",
            "refused with 400: stray line end",
        ),
        (
            "Subject: x\r\n y\rz\r\n\r\n",
            "refused with 400: stray line end",
        ),
        ("Subject: x\r\n", "refused with 400: headers never end"),
        ("Subject: x", "refused with 400: headers never end"),
        ("", "refused with 400: headers never end"),
        (
            "l: 5\r\n\r\n1234",
            "refused with 400: Content-Length beyond the datagram",
        ),
        (
            "l: five\r\n\r\n12345",
            "refused with 400: bad Content-Length",
        ),
        (
            "l: 99999999999\r\n\r\n12345",
            "refused with 400: bad Content-Length",
        ),
        (
            "l: 5\r\nl: 4\r\n\r\n12345",
            "refused with 400: several values of Content-Length",
        ),
        ("l: 5\r\nl: 5\r\n\r\n12345", "OPTIONS sip:b SIP/2.0"),
        ("l:\r\n 5\r\n\r\n12345", "OPTIONS sip:b SIP/2.0"),
    ] {
        assert_eq!(
            fate(format!("{OPTIONS}{lines}").as_bytes()),
            expected,
            "{lines:?}"
        );
    }
}

#[test]
fn folds_become_spaces_and_lists_become_fields() {
    let request = request(
        format!(
            "{OPTIONS}Subject:  a\r\n\t b \r\n \r\n  c\r\n\
             Route: <sip:1;lr> ,\r\n <sip:2;lr>\r\nRoute: <sip:3;lr>,<sip:4;lr>, \r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(request.headers.first(&HeaderName::Subject), Some("a b c"));
    let routes: Vec<&str> = request.headers.all(&HeaderName::Route).collect();
    assert_eq!(
        routes,
        ["<sip:1;lr>", "<sip:2;lr>", "<sip:3;lr>", "<sip:4;lr>"]
    );
}

#[test]
fn bodies_are_measured() {
    for (lines, body) in [
        ("\r\n", ""),
        ("\r\nrest", "rest"),
        ("Content-Length: 4\r\n\r\nbody and more", "body"),
        ("Content-Length: 0\r\n\r\nmore", ""),
    ] {
        let request = request(format!("{OPTIONS}{lines}").as_bytes());
        assert_eq!(&*request.body, body.as_bytes());
        assert!(!request.headers.has(&HeaderName::ContentLength));
    }
}

#[test]
fn bytes_that_are_no_utf8_are_replaced() {
    let mut bytes = OPTIONS.as_bytes().to_vec();
    bytes.extend_from_slice(b"Subject: caf\xe9\r\n\r\n\xff\xfe");
    let request = request(&bytes);
    assert_eq!(
        request.headers.first(&HeaderName::Subject),
        Some("caf\u{fffd}")
    );
    assert_eq!(&*request.body, b"\xff\xfe");
}

#[test]
fn sizes_are_limited() {
    let many = "X: y\r\n".repeat(limits::HEADERS_MAX);
    assert_eq!(
        fate(format!("{OPTIONS}{many}\r\n").as_bytes()),
        "refused with 513: too many headers"
    );
    let long = "y".repeat(limits::HEAD_BYTES_MAX);
    assert_eq!(
        fate(format!("{OPTIONS}X: {long}\r\n\r\n").as_bytes()),
        "refused with 513: head too large"
    );
    let Err(error) = parse(format!("{OPTIONS}X: {long}\r\n\r\n").as_bytes()) else {
        panic!()
    };
    let answer = error.response().expect("an answer");
    assert_eq!((answer.status, &*answer.reason), (513, "Message Too Large"));
    assert!(check_response(&answer).is_ok(), "what fitted was read");
}

#[test]
fn an_invite_is_written() {
    let mut request = Request::new(Method::Invite, "sip:1000@192.0.2.1\r\nEvil: x");
    request.headers.push(
        HeaderName::Via,
        "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport",
    );
    request
        .headers
        .push(HeaderName::From, "\"Ann\" <sip:1001@demo>;tag=1");
    request.headers.push(HeaderName::To, "<sip:1000@demo>");
    request.headers.push(HeaderName::CallId, "abc");
    request.headers.push(HeaderName::CSeq, "1 INVITE");
    request.headers.push(HeaderName::ContentLength, "999");
    request
        .headers
        .push(HeaderName::Authorization, "Digest username=\"1001\"");
    request
        .headers
        .push(HeaderName::ContentType, "application/sdp");
    request.body = b"v=0\r\n"[..].into();
    let text = String::from_utf8(request.to_bytes())
        .expect("text")
        .replace('\r', "");
    expect![[r#"
        INVITE sip:1000@192.0.2.1%0D%0AEvil:%20x SIP/2.0
        Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport
        From: "Ann" <sip:1001@demo>;tag=1
        To: <sip:1000@demo>
        Call-ID: abc
        CSeq: 1 INVITE
        Authorization: Digest username="1001"
        Content-Type: application/sdp
        Content-Length: 5

        v=0
    "#]]
    .assert_eq(&text);
    expect![[r#"
        INVITE [private] SIP/2.0
        Via: [private]
        From: [private]
        To: [private]
        Call-ID: abc
        CSeq: 1 INVITE
        Authorization: [private]
        Content-Type: application/sdp
        [5 bytes]"#]]
    .assert_eq(&request.masked());
    assert_eq!(request.summary(), "INVITE (application/sdp)");
    assert!(
        !format!("{request:?}").contains("1001"),
        "debug text is not private"
    );
}

#[test]
fn a_response_copies_what_it_must() {
    let request = request(
        format!("{OPTIONS}Via: SIP/2.0/UDP second;branch=z9hG4bK2\r\nTimestamp: 54\r\nSubject: s\r\n\r\n")
            .as_bytes(),
    );
    let trying = Response::to_request(&request, 100);
    assert!(trying.headers.has(&HeaderName::Timestamp));
    let ok = Response::to_request(&request, 200)
        .with_to_tag("xyz")
        .with_to_tag("again")
        .with_reason("Fine\r\nEvil: x")
        .with_header(HeaderName::Allow, "OPTIONS")
        .with_body("application/sdp", b"v=0\r\n".to_vec());
    let text = String::from_utf8(ok.to_bytes())
        .expect("text")
        .replace('\r', "");
    expect![[r#"
        SIP/2.0 200 Fine  Evil: x
        Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
        Via: SIP/2.0/UDP second;branch=z9hG4bK2
        From: <sip:a>;tag=1
        To: <sip:b>;tag=xyz
        Call-ID: c
        CSeq: 1 OPTIONS
        Allow: OPTIONS
        Content-Type: application/sdp
        Content-Length: 5

        v=0
    "#]]
    .assert_eq(&text);
    assert_eq!(ok.summary(), "200 Fine  Evil: x (OPTIONS, application/sdp)");
    let read = response(&ok.to_bytes());
    assert_eq!(read.headers.to().expect("To").tag(), Some("xyz"));
    assert!(check_response(&read).is_ok());
}

#[test]
fn requests_are_checked() {
    let supports = Supports {
        extensions: &["timer"],
        content_types: &["application/sdp"],
    };
    let base = "INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
        From: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n";
    for (change, more, expected) in [
        (("", ""), "", "ok"),
        (("sip:b SIP", "tel:+1 SIP"), "", "ok"),
        (("sip:b SIP", "urn:x SIP"), "", "416 Unsupported URI Scheme"),
        (
            ("sip:b SIP", "sip:b;method=BYE SIP"),
            "",
            "400 method in the request URI",
        ),
        (
            ("sip:b SIP", "sip:b?x=y SIP"),
            "",
            "400 headers in the request URI",
        ),
        (
            ("sip:b SIP", "b SIP"),
            "",
            "400 bad request URI: no scheme in URI",
        ),
        (("Call-ID: c\r\n", ""), "", "400 missing Call-ID"),
        (("To: <sip:b>\r\n", ""), "", "400 missing To"),
        (("To: <sip:b>", "To: b"), "", "400 bad To: no scheme in URI"),
        (
            ("Via: SIP/2.0", "Via: SIP/1.0"),
            "",
            "400 bad Via: protocol is not SIP/2.0",
        ),
        (("1 INVITE", "1 BYE"), "", "400 CSeq has another method"),
        (
            ("", ""),
            "CSeq: 1 INVITE\r\n",
            "400 bad CSeq: several values",
        ),
        (("", ""), "Max-Forwards: 0\r\n", "ok"),
        (
            ("", ""),
            "Max-Forwards: 256\r\n",
            "400 bad Max-Forwards: number out of range",
        ),
        (("", ""), "Require: timer\r\n", "ok"),
        (
            ("", ""),
            "Require: timer, 100rel\r\n",
            "420 Bad Extension Unsupported: 100rel",
        ),
        (("", ""), "Content-Type: application/sdp\r\n\r\nx", "ok"),
        (("", ""), "c: Application/SDP;x=y\r\n\r\nx", "ok"),
        (("", ""), "\r\nx", "400 missing Content-Type"),
        (
            ("", ""),
            "c: text/plain\r\n\r\nx",
            "415 Unsupported Media Type Accept: application/sdp",
        ),
        (
            ("", ""),
            "c: text/plain\r\nContent-Disposition: x;handling=optional\r\n\r\nx",
            "ok",
        ),
        (
            ("", ""),
            "c: application/sdp\r\ne: gzip\r\n\r\nx",
            "415 Unsupported Media Type Accept-Encoding: identity",
        ),
        (
            ("", ""),
            "Accept: text/plain, application/*;q=0.1\r\n",
            "ok",
        ),
        (("", ""), "Accept: */*\r\n", "ok"),
        (("", ""), "Accept: text/plain\r\n", "406 Not Acceptable"),
        (("", ""), "Accept:\r\n", "406 Not Acceptable"),
        (
            ("INVITE sip:b", "ACK sip:b"),
            "Require: x\r\n",
            "400 CSeq has another method",
        ),
    ] {
        let text = format!("{}{more}\r\n", base.replacen(change.0, change.1, 1));
        let request = request(text.as_bytes());
        let found = match check_request(&request, &supports) {
            Ok(()) => "ok".to_owned(),
            Err(refusal) => {
                let hints = refusal
                    .headers
                    .iter()
                    .map(|(name, value)| format!(" {name}: {value}"));
                format!(
                    "{} {}{}",
                    refusal.status,
                    refusal.reason,
                    hints.collect::<String>()
                )
            }
        };
        assert_eq!(found, expected, "{change:?} {more:?}");
    }
    for method in ["BYE", "ACK", "CANCEL"] {
        let text = base.replace("INVITE", method);
        let ends = request(format!("{text}m: ?\r\nc: text/plain\r\n\r\nx").as_bytes());
        assert_eq!(
            check_request(&ends, &supports),
            Ok(()),
            "a call must be able to end"
        );
    }
    let cancel = base.replace("INVITE", "CANCEL");
    let cancel = request(format!("{cancel}Require: x\r\n\r\n").as_bytes());
    assert_eq!(
        check_request(&cancel, &supports),
        Ok(()),
        "Require does not apply to CANCEL"
    );
}
