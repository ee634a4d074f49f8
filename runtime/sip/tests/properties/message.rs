//! What holds for any datagram. Used by the tests and by the fuzz target `sip_message`.

use std::sync::Arc;

use jackfield_sip::auth::{Challenge, Verifier};
use jackfield_sip::limits;
use jackfield_sip::message::{
    Message, ParseError, Supports, Uri, check_request, check_response, keep_description, parse,
};
use vocab::Mono;

const SUPPORTS: Supports<'static> = Supports {
    extensions: &["timer"],
    content_types: &["application/sdp"],
};

/// Does with a datagram what an endpoint would, and says whether it was a message.
///
/// # Panics
/// If a property does not hold: what is read can be written and read again, and every answer can
/// be read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let message = match parse(bytes) {
        Ok(message) => message,
        Err(error) => {
            if let Some(answer) = error.response() {
                let read = parse(&answer.to_bytes());
                assert!(!matches!(
                    read,
                    Err(ParseError::KeepAlive | ParseError::Reply { .. })
                ));
            }
            return false;
        }
    };
    assert_eq!(
        parse(&message.to_bytes()),
        Ok(message.clone()),
        "written and read again"
    );
    values(&message);
    parts(&message);
    match &message {
        Message::Request(request) => {
            if let Err(refusal) = check_request(request, &SUPPORTS) {
                let answer = refusal.response(request).with_to_tag("t");
                assert!(parse(&answer.to_bytes()).is_ok(), "a refusal can be read");
            } else {
                assert!(request.headers.via().is_ok() && request.headers.cseq().is_ok());
                assert!(request.headers.from().is_ok() && request.headers.to().is_ok());
            }
            let mut verifier = Verifier::new("example.com", [1; 32], limits::NONCE_LIFETIME);
            verifier.verify(Mono(1), request, |_| Some("secret".into()));
        }
        Message::Response(response) => {
            let _ = check_response(response);
        }
    }
    true
}

/// What is left of a body of several parts is a part of it.
fn parts(message: &Message) {
    let (mut headers, body) = match message {
        Message::Request(request) => (request.headers.clone(), &request.body),
        Message::Response(response) => (response.headers.clone(), &response.body),
    };
    let mut kept = Arc::clone(body);
    keep_description(&mut headers, &mut kept);
    let within = kept.is_empty() || body.windows(kept.len()).any(|part| *part == *kept);
    assert!(within, "nothing is made up");
}

/// Each typed value that can be read is the same when written and read again.
fn values(message: &Message) {
    let headers = message.headers();
    if let Ok(via) = headers.via() {
        let again = jackfield_sip::message::Via::parse(&via.to_string());
        assert_eq!(again, Ok(via));
    }
    for read in [headers.from(), headers.to(), headers.contact()]
        .into_iter()
        .flatten()
    {
        let again = Uri::parse(&read.uri.to_string()).expect("a URI that was read");
        assert_eq!(again, read.uri);
        assert!(again.matches(&read.uri), "a URI matches itself");
    }
    let _ = (
        headers.vias(),
        headers.contacts(),
        headers.routes(),
        headers.record_routes(),
    );
    let _ = (
        headers.expires(),
        headers.reasons(),
        headers.retry_after(),
        headers.content_type(),
    );
    assert!(
        !message.summary().contains(['\r', '\n']),
        "a ladder's line is one line"
    );
    let _ = (message.masked(), Challenge::choose(headers));
}
