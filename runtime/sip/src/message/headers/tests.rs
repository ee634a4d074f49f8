//! Headers, field by field.

use std::net::SocketAddr;
use std::time::Duration;

use crate::message::{
    Contacts, ContentType, HeaderName, Headers, NameAddr, Reason, RetryAfter, Via,
};

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.push(HeaderName::parse(name).expect("a token"), *value);
    }
    headers
}

fn text(headers: &Headers) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

#[test]
fn names_ignore_case_and_have_short_forms() {
    for (a, b) in [
        ("VIA", "v"),
        ("From", "f"),
        ("to", "T"),
        ("Call-ID", "I"),
        ("contact", "m"),
        ("Content-Length", "l"),
        ("Content-Type", "C"),
        ("Content-Encoding", "e"),
        ("Subject", "s"),
        ("Supported", "k"),
        ("Session-Expires", "x"),
        ("Refer-To", "r"),
        ("Referred-By", "b"),
        ("Allow-Events", "u"),
        ("X-Custom", "x-custom"),
    ] {
        assert_eq!(HeaderName::parse(a), HeaderName::parse(b), "{a}");
    }
    assert_ne!(HeaderName::parse("X-A"), HeaderName::parse("X-B"));
    assert_ne!(HeaderName::parse("Via"), HeaderName::parse("Vial"));
    for bad in ["", "a b", "a:b", "naïve", "a\r\nb"] {
        assert_eq!(HeaderName::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn fields_are_pushed_set_and_removed_in_place() {
    let mut headers = headers(&[
        ("v", "SIP/2.0/UDP a"),
        ("To", "<sip:b>"),
        ("Via", "SIP/2.0/UDP c"),
    ]);
    headers.push_front(HeaderName::Route, "<sip:r>");
    headers.set(HeaderName::To, "<sip:d>");
    headers.set_first(&HeaderName::Via, "SIP/2.0/UDP e");
    headers.set_first(&HeaderName::Subject, "nobody asked");
    headers.set(HeaderName::Expires, "60");
    assert_eq!(
        text(&headers),
        [
            "Route: <sip:r>",
            "Via: SIP/2.0/UDP e",
            "To: <sip:d>",
            "Via: SIP/2.0/UDP c",
            "Expires: 60"
        ]
    );
    headers.set(HeaderName::Via, "SIP/2.0/UDP f");
    assert_eq!(headers.remove(&HeaderName::Route), 1);
    assert_eq!(headers.remove(&HeaderName::Route), 0);
    assert_eq!(
        text(&headers),
        ["Via: SIP/2.0/UDP f", "To: <sip:d>", "Expires: 60"]
    );
}

#[test]
fn lists_are_split_outside_quotes_and_brackets() {
    let mut headers = headers(&[("Contact", "\"a, \\\"b\" <sip:x@y;p=1,2>;q=0.5 , , <sip:z>")]);
    headers.push(HeaderName::Require, "100rel, ,timer,\"a,b\"");
    assert_eq!(
        text(&headers),
        [
            "Contact: \"a, \\\"b\" <sip:x@y;p=1,2>;q=0.5",
            "Contact: <sip:z>",
            "Require: 100rel, ,timer,\"a,b\""
        ]
    );
    let tokens: Vec<&str> = headers.tokens(&HeaderName::Require).collect();
    assert_eq!(tokens, ["100rel", "timer", "\"a,b\""]);
    assert!(headers.lists(&HeaderName::Require, "TIMER"));
}

#[test]
fn no_value_adds_a_header() {
    let headers = headers(&[("Reason", " SIP;text=\"a\r\nEvil: yes\0\" ")]);
    assert_eq!(text(&headers), ["Reason: SIP;text=\"a  Evil: yes \""]);
}

#[test]
fn copies_keep_order_and_equality_ignores_where_the_text_is() {
    let ours = headers(&[
        ("Via", "SIP/2.0/UDP a"),
        ("To", "<sip:b>"),
        ("Via", "SIP/2.0/UDP c"),
    ]);
    let mut copy = Headers::new();
    copy.copy(&ours, &HeaderName::Via);
    copy.copy(&ours, &HeaderName::To);
    assert_eq!(
        text(&copy),
        ["Via: SIP/2.0/UDP a", "Via: SIP/2.0/UDP c", "To: <sip:b>"]
    );
    assert_ne!(copy, ours);
    assert_eq!(copy.clone(), copy);
}

#[test]
fn via_values() {
    for (value, written) in [
        ("SIP/2.0/UDP h", "SIP/2.0/UDP h"),
        (
            "sip / 2.0 / tcp  h : 5061 ; branch = z9hG4bK1 ;x",
            "SIP/2.0/tcp h:5061;branch=z9hG4bK1;x",
        ),
        (
            "SIP/2.0/UDP [2001:db8::1]:5070;rport",
            "SIP/2.0/UDP [2001:db8::1]:5070;rport",
        ),
        (
            "SIP/2.0/UDP h;received=2001:db8::9:1;branch=z9hG4bKas3-111",
            "SIP/2.0/UDP h;received=2001:db8::9:1;branch=z9hG4bKas3-111",
        ),
    ] {
        assert_eq!(
            Via::parse(value).map(|via| via.to_string()).as_deref(),
            Ok(written)
        );
    }
    for bad in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/3.0/UDP h",
        "HTTP/1.1/TCP h",
        "SIP/2.0 UDP h",
        "SIP/2.0/U(P h",
        "SIP/2.0/UDP h:0",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h i",
        "SIP/2.0/UDP ;branch=x",
        "SIP/2.0/UDP h;;",
        "SIP/2.0/UDP h;branch=\"x",
        "SIP/2.0/UDP h;branch=",
    ] {
        assert!(Via::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn via_notes_where_a_request_came_from() {
    let source: SocketAddr = "192.0.2.9:40000".parse().expect("an address");
    for (value, written, reply_to) in [
        (
            "SIP/2.0/UDP pc.example.com:5070;branch=z9hG4bK1",
            "SIP/2.0/UDP pc.example.com:5070;branch=z9hG4bK1;received=192.0.2.9",
            "192.0.2.9:5070",
        ),
        (
            "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;received=203.0.113.1",
            "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
            "192.0.2.9:5060",
        ),
        (
            "SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bK1",
            "SIP/2.0/UDP 10.1.1.1:4540;rport=40000;branch=z9hG4bK1;received=192.0.2.9",
            "192.0.2.9:40000",
        ),
        (
            "SIP/2.0/UDP 192.0.2.9;rport",
            "SIP/2.0/UDP 192.0.2.9;rport=40000;received=192.0.2.9",
            "192.0.2.9:40000",
        ),
    ] {
        let mut via = Via::parse(value).expect("a Via");
        via.note_source(source);
        assert_eq!(via.to_string(), written);
        assert_eq!(
            via.reply_to().map(|to| to.to_string()).as_deref(),
            Some(reply_to)
        );
    }
    let named = Via::parse("SIP/2.0/UDP pc.example.com").expect("a Via");
    assert_eq!(named.reply_to(), None);
    let bracketed = Via::parse("SIP/2.0/UDP h;received=[2001:db8::9]").expect("a Via");
    assert_eq!(
        bracketed.received().map(|ip| ip.to_string()).as_deref(),
        Some("2001:db8::9")
    );
}

#[test]
fn transaction_branches_have_the_cookie_and_more() {
    for (branch, unique) in [
        ("z9hG4bKa", true),
        ("Z9HG4BKa", true),
        ("z9hG4bK", false),
        ("390skdjuw", false),
        ("é", false),
    ] {
        let via = Via::parse(&format!("SIP/2.0/UDP h;branch=\"{branch}\""));
        assert!(via.is_ok());
        let Ok(via) = Via::parse(&format!("SIP/2.0/UDP h;branch={branch}")) else {
            continue;
        };
        assert_eq!(via.transaction_branch().is_some(), unique, "{branch}");
    }
    let own = Via::new("UDP", "192.0.2.1:5060".parse().expect("an address"), "abc");
    assert_eq!(
        own.to_string(),
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport"
    );
}

#[test]
fn name_addrs() {
    for (value, display, uri, params) in [
        ("sip:a@b", None, "sip:a@b", ""),
        ("sip:a@b;tag=x", None, "sip:a@b", ";tag=x"),
        ("<sip:a@b;lr>;tag=x", None, "sip:a@b;lr", ";tag=x"),
        ("< sip:a@b >", None, "sip:a@b", ""),
        ("Ann <sip:a@b>", Some("Ann"), "sip:a@b", ""),
        (
            "Ann of B.<sip:a@b> ; tag = x",
            Some("Ann of B."),
            "sip:a@b",
            ";tag=x",
        ),
        ("\"\" <sip:a@b>", None, "sip:a@b", ""),
        (
            r#""A \"n\" \\ <x>, n" <sip:a@b>"#,
            Some(r#"A "n" \ <x>, n"#),
            "sip:a@b",
            "",
        ),
        ("\"张三\" <sip:a@b>", Some("张三"), "sip:a@b", ""),
        ("<tel:+1234>;x=\"a;b\"", None, "tel:+1234", ";x=\"a;b\""),
        (
            "<sip:a@b?Route=%3Csip:c%3E>",
            None,
            "sip:a@b?Route=%3Csip:c%3E",
            "",
        ),
    ] {
        let read = NameAddr::parse(value).expect(value);
        assert_eq!(read.display.as_deref(), display, "{value}");
        assert_eq!(
            (read.uri.to_string(), read.params.to_string()),
            (uri.into(), params.into())
        );
        assert_eq!(NameAddr::parse(&read.to_string()), Ok(read), "{value}");
    }
    for bad in [
        "",
        "Ann",
        "\"Ann",
        "\"Ann\" sip:a@b",
        "An\"n <sip:a@b>",
        "<sip:a@b",
        "sip:a@b>",
        "sip:a@b?Route=x",
        "sip:a,b@c",
        "<sip:a@b>tag=x",
        "<sip:a@b>;",
        "<sip:a@b>;;tag=x",
        "<sip:a@b>;tag=",
        "<sip:a@b>;tag=\"x",
        "<sip:a@b>;tag=x y",
        "<>",
    ] {
        assert!(NameAddr::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn contact_parameters() {
    for (value, expires, q) in [
        ("<sip:a@b>", None, 1_000),
        ("<sip:a@b>;expires=60;q=0.7", Some(60), 700),
        ("<sip:a@b>;expires=soon;q=1.0", None, 1_000),
        ("<sip:a@b>;expires=280297596632815;q=0", None, 0),
        ("<sip:a@b>;q=0.123", None, 123),
        ("<sip:a@b>;q=0.1234", None, 1_000),
    ] {
        let contact = NameAddr::parse(value).expect(value);
        assert_eq!(
            (contact.expires(), contact.q_thousandths()),
            (expires, q),
            "{value}"
        );
    }
    assert_eq!(headers(&[("Contact", "*")]).contacts(), Ok(Contacts::All));
    assert!(
        headers(&[("Contact", "*"), ("Contact", "<sip:a>")])
            .contacts()
            .is_err()
    );
    assert_eq!(headers(&[]).contacts(), Ok(Contacts::List(Vec::new())));
}

#[test]
fn numbers_and_lists() {
    for (value, number) in [
        ("0", Some(0)),
        ("0070", Some(70)),
        ("255", Some(255)),
        ("256", None),
        ("-1", None),
        ("", None),
        ("7x", None),
    ] {
        let read = headers(&[("Max-Forwards", value)]).max_forwards();
        assert_eq!(read.ok().flatten(), number, "{value}");
    }
    for (value, number) in [
        ("1 INVITE", Some(1)),
        ("2147483647 INVITE", Some(2_147_483_647)),
        ("2147483648 INVITE", None),
        ("1", None),
        ("1  ", None),
        ("x INVITE", None),
        ("1 INV ITE", None),
    ] {
        let read = headers(&[("CSeq", value)]).cseq();
        assert_eq!(read.ok().map(|cseq| cseq.number), number, "{value}");
    }
    let huge = headers(&[("Expires", "99999999999999")]).expires();
    assert_eq!(huge, Ok(Some(Duration::from_secs(u32::MAX.into()))));
    assert!(
        headers(&[("Expires", "Thu, 01 Dec 1994 16:00:00 GMT")])
            .expires()
            .is_err()
    );
    assert!(headers(&[("Call-ID", "a b")]).call_id().is_err());
    assert!(headers(&[("Call-ID", "")]).call_id().is_err());
    let missing = headers(&[]).cseq().expect_err("it is not there");
    assert_eq!(missing.to_string(), "missing CSeq");
}

#[test]
fn reasons_and_delays_and_types() {
    let headers = headers(&[("Reason", "SIP ;cause=200 ;text=\"a, b\", Q.850;cause=16")]);
    let reasons = headers.reasons().expect("two reasons");
    assert_eq!(reasons.len(), 2);
    assert_eq!(reasons[0].text.as_deref(), Some("a, b"));
    assert_eq!(reasons[0].to_string(), "SIP;cause=200;text=\"a, b\"");
    assert_eq!(
        (reasons[1].protocol.as_str(), reasons[1].cause),
        ("Q.850", Some(16))
    );
    assert!(Reason::parse(";cause=1").is_err());

    for (value, seconds) in [
        ("18000;duration=3600", Some(18_000)),
        ("120 (I'm in a meeting)", Some(120)),
        ("5", Some(5)),
        ("5 (never", None),
        ("soon", None),
        ("949302838503028349304023988", None),
    ] {
        let read = RetryAfter::parse(value)
            .ok()
            .map(|after| after.delay.as_secs());
        assert_eq!(read, seconds, "{value}");
    }

    let mixed = ContentType::parse("Multipart / Mixed ; boundary=\"x;y\"").expect("a type");
    assert_eq!(mixed.essence, "multipart/mixed");
    assert_eq!(mixed.params.unquoted("Boundary").as_deref(), Some("x;y"));
    for bad in ["", "application", "application/", "a/b/c", "a/b;c d"] {
        assert!(ContentType::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn parameters_are_set_in_place_and_cannot_grow_others() {
    let mut params = NameAddr::parse("<sip:a>;a=1;TAG=x;b")
        .expect("an address")
        .params;
    params.set("tag", Some("y;evil=1,\r\n z"));
    params.set("c", Some("\"q;\\\"r\""));
    params.set("d", None);
    params.remove("A");
    assert_eq!(params.to_string(), ";TAG=yevil1z;b;c=\"q;\\\"r\";d");
    assert_eq!(params.unquoted("c").as_deref(), Some("q;\"r"));
    assert_eq!((params.find("b"), params.find("a")), (Some(None), None));
    assert!(params.has("D") && !params.is_empty());
    let names: Vec<&str> = params.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["TAG", "b", "c", "d"]);
}
