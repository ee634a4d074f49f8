//! Every message of RFC 4475 gets what the RFC asks for, as far as it is decided without state:
//! read and accepted, refused with a status, or dropped.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jackfield_sip::message::{
    Contacts, HeaderName, Message, Method, ParseError, Request, Supports, Uri, check_request,
    check_response, parse,
};

/// What a plain phone understands.
const SUPPORTS: Supports<'static> = Supports {
    extensions: &[],
    content_types: &["application/sdp"],
};

/// Each vector and the start of its fate.
const FATES: [(&str, &str); 49] = [
    ("3.1.1.1-wsinv", "accept"),
    // Well formed; an unknown method is answered 501 or 405 by whoever knows the methods.
    ("3.1.1.2-intmeth", "accept"),
    ("3.1.1.3-esc01", "accept"),
    ("3.1.1.4-escnull", "accept"),
    ("3.1.1.5-esc02", "accept"),
    ("3.1.1.6-lwsdisp", "accept"),
    ("3.1.1.7-longreq", "accept"),
    ("3.1.1.8-dblreq", "accept"),
    ("3.1.1.9-semiuri", "accept"),
    ("3.1.1.10-transports", "accept"),
    // Well formed; of several parts only a session description is read, and this has none.
    ("3.1.1.11-mpart01", "415 Unsupported Media Type"),
    ("3.1.1.12-unreason", "accept"),
    ("3.1.1.13-noreason", "accept"),
    ("3.1.2.1-badinv01", "400 bad Via"),
    ("3.1.2.2-clerr", "400 Content-Length beyond the datagram"),
    ("3.1.2.3-ncl", "400 bad Content-Length"),
    ("3.1.2.4-scalar02", "400 bad CSeq: number out of range"),
    ("3.1.2.5-scalarlg", "drop bad CSeq: number out of range"),
    ("3.1.2.6-quotbal", "400 bad To: unterminated quoted string"),
    ("3.1.2.7-ltgtruri", "400 bad request URI"),
    ("3.1.2.8-lwsruri", "400 white space in the request line"),
    ("3.1.2.9-lwsstart", "400 white space in the request line"),
    ("3.1.2.10-trws", "400 white space after the version"),
    ("3.1.2.11-escruri", "400 headers in the request URI"),
    // The RFC lets an element ignore a Date that it does not use.
    ("3.1.2.12-baddate", "accept"),
    (
        "3.1.2.13-regbadct",
        "400 bad Contact: URI needs angle brackets",
    ),
    // The RFC lets an element be liberal with both of these.
    ("3.1.2.14-badaspec", "accept"),
    ("3.1.2.15-baddn", "accept"),
    ("3.1.2.16-badvers", "505 unknown version"),
    ("3.1.2.17-mismatch01", "400 CSeq has another method"),
    ("3.1.2.18-mismatch02", "400 CSeq has another method"),
    ("3.1.2.19-bigcode", "drop bad status"),
    // The branch names no transaction: it is matched as in RFC 2543.
    ("3.2.1-badbranch", "accept"),
    ("3.3.1-insuf", "400 missing From"),
    ("3.3.2-unkscm", "416 Unsupported URI Scheme"),
    ("3.3.3-novelsc", "416 Unsupported URI Scheme"),
    // Only a registrar minds: its users have SIP URIs.
    ("3.3.4-unksm2", "accept"),
    ("3.3.5-bext01", "420 Bad Extension"),
    ("3.3.6-invut", "415 Unsupported Media Type"),
    // Challenged like a request without credentials.
    ("3.3.7-regaut01", "accept"),
    ("3.3.8-multi01", "400 bad From: several values"),
    ("3.3.9-mcl01", "400 several values of Content-Length"),
    // Dropped where the top Via is compared with our own.
    ("3.3.10-bcast", "accept"),
    // Only a proxy answers 483.
    ("3.3.11-zeromf", "accept"),
    ("3.3.12-cparam01", "accept"),
    ("3.3.13-cparam02", "accept"),
    ("3.3.14-regescrt", "accept"),
    ("3.3.15-sdp01", "406 Not Acceptable"),
    ("3.4.1-inv2543", "accept"),
];

#[test]
fn each_message_meets_its_fate() {
    for (name, expected) in FATES {
        let fate = fate(&vector(name));
        assert!(fate.starts_with(expected), "{name}: {fate}");
    }
}

#[test]
fn the_table_names_every_vector() {
    let table: BTreeMap<&str, &str> = FATES.into_iter().collect();
    let names = vectors();
    assert_eq!(names.len(), FATES.len());
    assert!(names.iter().all(|name| table.contains_key(name.as_str())));
}

#[test]
fn what_is_read_survives_writing() {
    for name in vectors() {
        let Ok(message) = parse(&vector(&name)) else {
            continue;
        };
        assert_eq!(parse(&message.to_bytes()), Ok(message.clone()), "{name}");
    }
}

#[test]
fn what_is_refused_can_be_answered() {
    let mut answered = 0;
    for name in vectors() {
        let answer = match parse(&vector(&name)) {
            Err(error) => error.response(),
            Ok(Message::Request(request)) => check_request(&request, &SUPPORTS)
                .err()
                .map(|refusal| refusal.response(&request)),
            Ok(Message::Response(_)) => None,
        };
        let Some(answer) = answer else { continue };
        let Ok(Message::Response(read)) = parse(&answer.to_bytes()) else {
            panic!("{name}: the answer cannot be read")
        };
        assert_eq!(read.status, answer.status, "{name}");
        assert!(read.headers.has(&HeaderName::Via), "{name}");
        answered += 1;
    }
    assert_eq!(
        answered,
        FATES
            .iter()
            .filter(|(_, fate)| fate.as_bytes()[0] == b'4')
            .count()
            + 1
    );
}

#[test]
fn short_tortuous_invite() {
    let request = request("3.1.1.1-wsinv");
    let headers = &request.headers;
    assert_eq!(request.method, Method::Invite);
    assert_eq!(
        request.uri,
        "sip:vivekg@chair-dnrc.example.com;unknownparam"
    );
    assert_eq!(request.body.len(), 150);
    let to = headers.to().expect("To");
    assert_eq!(
        (to.display.as_deref(), to.tag()),
        (None, Some("1918181833n"))
    );
    let from = headers.from().expect("From");
    assert_eq!(
        (from.display.as_deref(), from.tag()),
        (Some("J Rosenberg \\\""), Some("98asjd8"))
    );
    assert_eq!(headers.max_forwards(), Ok(Some(68)));
    assert_eq!(headers.cseq().expect("CSeq").number, 9);
    assert_eq!(headers.first(&HeaderName::Subject), Some(""));
    let fangled = HeaderName::parse("newfangledheader").expect("a token");
    assert_eq!(
        headers.first(&fangled),
        Some("newfangled value continued newfangled value")
    );
    let unusual = HeaderName::parse("UnknownHeaderWithUnusualValue").expect("a token");
    assert_eq!(headers.first(&unusual), Some(";;,,;;,;"));
    let vias: Vec<String> = headers
        .vias()
        .expect("Vias")
        .iter()
        .map(|via| {
            format!(
                "{} {} {}",
                via.transport,
                via.host,
                via.branch().unwrap_or("")
            )
        })
        .collect();
    assert_eq!(
        vias,
        [
            "UDP 192.0.2.2 390skdjuw",
            "TCP spindle.example.com z9hG4bK9ikj8",
            "UDP 192.168.255.111 z9hG4bK30239",
        ]
    );
    let route = headers.routes().expect("Route").remove(0);
    let params = &route.uri.sip().expect("a SIP URI").params;
    assert!(params.has("lr") && params.has("unknown-no-value"));
    let contact = headers.contact().expect("Contact");
    assert_eq!(contact.display.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.params.value("newparam"), Some("newvalue"));
    assert_eq!(contact.params.find("secondparam"), Some(None));
    assert_eq!(contact.q_thousandths(), 330);
}

#[test]
fn wide_range_of_characters() {
    let request = request("3.1.1.2-intmeth");
    assert_eq!(
        request.method.as_str(),
        "!interesting-Method0123456789_*+`.%indeed'~"
    );
    let uri = request.parse_uri().expect("a URI");
    let uri = uri.sip().expect("a SIP URI");
    assert_eq!(
        uri.user.as_deref(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(
        uri.password.as_deref(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    let headers = &request.headers;
    assert_eq!(
        headers.to().expect("To").display.as_deref(),
        Some("BEL:\x07 NUL:\0 DEL:\x7f")
    );
    let from = headers.from().expect("From");
    assert_eq!(
        from.display.as_deref(),
        Some("token1~` token2'+_ token3*%!.-")
    );
    assert_eq!(
        from.params.unquoted("fromParam''~+*_!.-%").as_deref(),
        Some("работающий")
    );
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(
        headers.call_id(),
        Ok("intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{")
    );
    let extension = HeaderName::parse("extensionHeader-!.%*+_`'~").expect("a token");
    assert_eq!(headers.first(&extension), Some("\u{feff}大停電"));
}

#[test]
fn escapes() {
    let esc01 = request("3.1.1.3-esc01");
    let uri = esc01.parse_uri().expect("a URI");
    let user = uri.sip().expect("a SIP URI").user_decoded();
    assert_eq!(user.as_deref(), Some("sips:user@example.com"));
    let to = esc01.headers.to().expect("To").uri;
    assert!(to.matches(&Uri::parse("sip:user@example.com").expect("a URI")));
    let contact = esc01.headers.contact().expect("Contact").uri;
    let same = "sip:caller@host5.example.net;lr;name=value%2541";
    assert!(contact.matches(&Uri::parse(same).expect("a URI")));

    let Ok(Contacts::List(contacts)) = request("3.1.1.4-escnull").headers.contacts() else {
        panic!("contacts")
    };
    assert_eq!(contacts.len(), 2);
    assert!(
        !contacts[0].uri.matches(&contacts[1].uri),
        "one null is not two"
    );

    let esc02 = request("3.1.1.5-esc02");
    assert_eq!(esc02.method, Method::Other("RE%47IST%45R".into()));
    assert_eq!(
        esc02.headers.count(&HeaderName::Contact),
        2,
        "C%6Fntact is another header"
    );
    assert_eq!(
        esc02.headers.to().expect("To").display.as_deref(),
        Some("%Z%45")
    );
}

#[test]
fn framing_and_parameters() {
    let dblreq = request("3.1.1.8-dblreq");
    assert_eq!((dblreq.method, dblreq.body.len()), (Method::Register, 0));
    assert_eq!(
        request("3.1.1.7-longreq")
            .headers
            .vias()
            .expect("Vias")
            .len(),
        34
    );
    assert_eq!(request("3.1.1.11-mpart01").body.len(), 553);

    let uri = request("3.1.1.9-semiuri").parse_uri().expect("a URI");
    let user = uri.sip().expect("a SIP URI").user_decoded();
    assert_eq!(user.as_deref(), Some("user;par=u@example.net"));

    let Ok(Message::Response(noreason)) = parse(&vector("3.1.1.13-noreason")) else {
        panic!()
    };
    assert_eq!((noreason.status, &*noreason.reason), (100, ""));

    // Outside the brackets it belongs to the contact, inside to the URI.
    for (name, of_contact) in [("3.3.12-cparam01", true), ("3.3.13-cparam02", false)] {
        let contact = request(name).headers.contact().expect("Contact");
        assert_eq!(contact.params.has("unknownparam"), of_contact, "{name}");
        let uri = contact.uri.sip().expect("a SIP URI");
        assert_eq!(uri.params.has("unknownparam"), !of_contact, "{name}");
    }

    let via = request("3.2.1-badbranch").headers.via().expect("Via");
    assert_eq!(
        (via.branch(), via.transaction_branch()),
        (Some("z9hG4bK"), None)
    );

    let refusal = check_request(&request("3.3.5-bext01"), &SUPPORTS).expect_err("extensions");
    let unsupported = "nothingSupportsThis, nothingSupportsThisEither".to_owned();
    assert_eq!(refusal.headers, [(HeaderName::Unsupported, unsupported)]);
}

/// The fate of a datagram, in words.
fn fate(bytes: &[u8]) -> String {
    match parse(bytes) {
        Ok(Message::Request(request)) => match check_request(&request, &SUPPORTS) {
            Ok(()) => "accept".to_owned(),
            Err(refusal) => format!("{} {}", refusal.status, refusal.reason),
        },
        Ok(Message::Response(response)) => match check_response(&response) {
            Ok(()) => "accept".to_owned(),
            Err(error) => format!("drop {error}"),
        },
        Err(ParseError::Reply { status, why, .. }) => format!("{status} {why}"),
        Err(ParseError::Drop(why)) => format!("drop {why}"),
        Err(ParseError::KeepAlive) => "keep-alive".to_owned(),
    }
}

fn request(name: &str) -> Request {
    match parse(&vector(name)) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.dat"))).expect("a vector of the table")
}

fn vectors() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the folder of vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/rfc/4475"))
}
