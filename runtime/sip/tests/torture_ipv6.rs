//! The cases of RFC 5118 (§4.1 to §4.10) in messages of our own: IPv6 where it may stand in SIP, and
//! where it may not.

use jackfield_sip::message::{
    HeaderName, Host, Message, ParseError, Request, Supports, Via, check_request, parse,
};

const SUPPORTS: Supports<'static> = Supports {
    extensions: &[],
    content_types: &["application/sdp"],
};

/// A request to this URI, with this topmost `Via`, further headers and a body.
fn message(uri: &str, via: &str, more: &str, body: &str) -> Vec<u8> {
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\n"
    };
    let text = format!(
        "INVITE {uri} SIP/2.0\nVia: SIP/2.0/UDP {via};branch=z9hG4bKipv6\nMax-Forwards: 70\n\
         From: \"Ann\" <sip:ann@[2001:db8::21]>;tag=7\nTo: <sip:bob@[2001:db8::22]>\n\
         Call-ID: ipv6@[2001:db8::21]\nCSeq: 1 INVITE\nContact: <sip:ann@[2001:db8::21]>\n\
         {more}{kind}Content-Length: {}\n\n{body}",
        body.replace('\n', "\r\n").len()
    );
    text.replace('\n', "\r\n").into_bytes()
}

/// What is read, if nothing is wrong with it.
fn good(bytes: &[u8]) -> Request {
    match parse(bytes) {
        Ok(Message::Request(request)) => {
            assert_eq!(check_request(&request, &SUPPORTS), Ok(()));
            request
        }
        other => panic!("{other:?}"),
    }
}

/// How a request is refused.
fn refusal(bytes: &[u8]) -> String {
    match parse(bytes) {
        Err(ParseError::Reply { status, why, .. }) => format!("{status} {why}"),
        Ok(Message::Request(request)) => match check_request(&request, &SUPPORTS) {
            Err(refusal) => format!("{} {}", refusal.status, refusal.reason),
            Ok(()) => "accepted".to_owned(),
        },
        other => panic!("{other:?}"),
    }
}

const URI: &str = "sip:bob@[2001:db8::22]";
const VIA: &str = "[2001:db8::21]:5090";

/// Host and port of the request's URI.
fn target(request: &Request) -> (Host, Option<u16>) {
    let uri = request.parse_uri().expect("a URI");
    let uri = uri.sip().expect("of SIP");
    (uri.host.clone(), uri.port)
}

fn via(request: &Request) -> Via {
    let value = request.headers.first(&HeaderName::Via);
    Via::parse(value.expect("one")).expect("that can be read")
}

fn host(text: &str) -> Host {
    Host::parse(text).expect("a host")
}

#[test]
fn references_in_brackets_are_read() {
    // §4.1.
    let request = good(&message(URI, VIA, "", ""));
    assert_eq!(target(&request), (host("[2001:db8::22]"), None));
    assert_eq!(via(&request).host, host("[2001:db8::21]"));
    assert_eq!(via(&request).port, Some(5090));
}

#[test]
fn without_brackets_it_is_no_host() {
    // §4.2.
    assert_eq!(
        refusal(&message("sip:bob@2001:db8::22", VIA, "", "")),
        "400 bad request URI: bad port"
    );
}

#[test]
fn a_port_is_what_stands_behind_the_brackets() {
    // §4.3: within them it is one more group of the address.
    let request = good(&message("sip:bob@[2001:db8::22:5070]", VIA, "", ""));
    assert_eq!(target(&request), (host("[2001:db8::22:5070]"), None));
    // §4.4.
    let request = good(&message("sip:bob@[2001:db8::22]:5070", VIA, "", ""));
    assert_eq!(target(&request), (host("[2001:db8::22]"), Some(5070)));
}

#[test]
fn received_may_come_with_brackets_and_without() {
    // §4.5: the grammar of RFC 3261 has it without.
    for received in ["[2001:db8::9:1]", "2001:db8::9:1"] {
        let request = good(&message(URI, &format!("{VIA};received={received}"), "", ""));
        assert_eq!(via(&request).port, Some(5090), "{received}");
    }
}

#[test]
fn both_families_may_stand_in_one_message() {
    // §4.7.
    let more = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother;received=192.0.2.30\n\
                Route: <sip:[2001:db8::1];lr>, <sip:192.0.2.2;lr>\n";
    let request = good(&message(URI, VIA, more, ""));
    assert_eq!(request.headers.all(&HeaderName::Via).count(), 2);
    // §4.6 and §4.8: of the body nothing is read here.
    let body = "v=0\no=ann 1 1 IN IP6 2001:db8::20\ns=-\nc=IN IP6 2001:db8::20\nt=0 0\n\
                m=audio 6000 RTP/AVP 0\nm=audio 6002 RTP/AVP 0\nc=IN IP4 192.0.2.30\n";
    let request = good(&message(URI, VIA, "", body));
    assert_eq!(request.body.len(), body.replace('\n', "\r\n").len());
}

#[test]
fn an_address_of_ipv4_may_be_written_in_ipv6() {
    // §4.9.
    let request = good(&message(
        "sip:bob@[::ffff:192.0.2.10]",
        "[::ffff:192.0.2.2]",
        "",
        "",
    ));
    assert_eq!(target(&request).0, host("[::ffff:192.0.2.10]"));
    assert_eq!(via(&request).host, host("[::ffff:192.0.2.2]"));
}

#[test]
fn three_colons_are_a_slip_of_an_old_grammar() {
    // §4.10; RFC 5954 §3.1 has corrected the grammar. Who still writes so gets a 400.
    assert_eq!(
        refusal(&message("sip:bob@[2001:db8:::192.0.2.1]", VIA, "", "")),
        "400 bad request URI: bad IPv6 address"
    );
    let request = good(&message("sip:bob@[2001:db8::192.0.2.1]", VIA, "", ""));
    assert_eq!(target(&request).0, host("[2001:db8::c000:201]"));
}
