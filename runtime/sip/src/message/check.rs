//! What a request is refused with before anybody looks at its meaning.

use super::{HeaderError, HeaderName, Headers, Method, ParseError, Request, Response, Uri};

/// What a user agent understands, for [`check_request`].
#[derive(Clone, Copy, Debug)]
pub struct Supports<'a> {
    /// Option tags for `Require` (RFC 3261 §8.2.2.3).
    pub extensions: &'a [&'a str],
    /// Media types of bodies, in lower case.
    pub content_types: &'a [&'a str],
}

/// The answer that a request deserves instead of being handled.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    /// 400, 406, 415, 416 or 420.
    pub status: u16,
    /// Reason phrase that says what is wrong.
    pub reason: String,
    /// Headers that go into the answer, such as `Unsupported`.
    pub headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    fn new(status: u16, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            headers: Vec::new(),
        }
    }

    /// With the usual phrase and a header that tells what would be fine.
    fn hint(status: u16, header: HeaderName, value: String) -> Self {
        let reason = super::reason_phrase(status).to_owned();
        Self {
            status,
            reason,
            headers: vec![(header, value)],
        }
    }

    /// The answer to `request`.
    pub fn response(self, request: &Request) -> Response {
        let mut response = Response::to_request(request, self.status).with_reason(self.reason);
        for (name, value) in self.headers {
            response.headers.push(name, value);
        }
        response
    }
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self::new(400, error.to_string())
    }
}

impl ParseError {
    /// The answer to send back to where the message came from, if there may be one.
    pub fn response(&self) -> Option<Response> {
        match self {
            Self::KeepAlive | Self::Drop(_) => None,
            Self::Reply {
                request,
                status,
                why,
            } => {
                let response = Response::to_request(request, *status);
                // 505 and 513 explain themselves; what is wrong with a 400 is worth a word.
                Some(if *status == 400 {
                    response.with_reason(why.0)
                } else {
                    response
                })
            }
        }
    }
}

/// Headers that may stand only once (RFC 4475 §3.3.8).
const SINGLE: [HeaderName; 7] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::ContentType,
    HeaderName::Expires,
];

/// Checks what every request must have, whatever it means (RFC 3261 §8.2).
///
/// Whether the method is known (§8.2.1) is the caller's to decide first. `Max-Forwards` 0 is fine
/// here: only a proxy answers 483. A missing `From` tag, branch or `Max-Forwards` is fine too: RFC
/// 2543 had none (RFC 4475 §3.4.1). After `Ok`, `via`, `from`, `to`, `call_id` and `cseq` of the
/// headers cannot fail.
///
/// # Errors
/// The refusal. Never answer an ACK with it: drop that instead.
pub fn check_request(request: &Request, supports: &Supports<'_>) -> Result<(), Refusal> {
    check_headers(&request.headers)?;
    if request.headers.cseq()?.method != request.method {
        return Err(Refusal::new(400, "CSeq has another method"));
    }
    request.headers.max_forwards()?;
    if uses_contact(&request.method) {
        request.headers.contacts()?;
    }
    check_uri(request)?;
    check_require(request, supports)?;
    check_body(request, supports)?;
    check_accept(request, supports)
}

/// Checks what every response must have: top `Via`, `From`, `To`, `Call-ID`, `CSeq`, each once
/// but `Via`.
///
/// # Errors
/// The first header that is missing or bad. Drop the response.
pub fn check_response(response: &Response) -> Result<(), HeaderError> {
    check_headers(&response.headers)
}

fn check_headers(headers: &Headers) -> Result<(), HeaderError> {
    headers.via()?;
    headers.from()?;
    headers.to()?;
    headers.call_id()?;
    headers.cseq()?;
    match SINGLE.into_iter().find(|name| headers.count(name) > 1) {
        Some(header) => Err(HeaderError::Invalid {
            header,
            why: super::SyntaxError("several values"),
        }),
        None => Ok(()),
    }
}

/// A request URI has a scheme we know and neither headers nor a method (RFC 3261 §19.1.1, table 1).
fn check_uri(request: &Request) -> Result<(), Refusal> {
    match request.parse_uri() {
        Ok(Uri::Sip(uri)) if uri.headers.is_some() => {
            Err(Refusal::new(400, "headers in the request URI"))
        }
        Ok(Uri::Sip(uri)) if uri.params.has("method") => {
            Err(Refusal::new(400, "method in the request URI"))
        }
        Ok(Uri::Sip(_) | Uri::Tel(_)) => Ok(()),
        Ok(Uri::Other(_)) => Err(Refusal::new(416, super::reason_phrase(416))),
        Err(why) => Err(Refusal::new(400, format!("bad request URI: {why}"))),
    }
}

/// A `Contact` means something in requests that make or refresh a dialog or register. A broken one
/// elsewhere is ignored (RFC 3261 §8.2.2): a call must be able to end.
fn uses_contact(method: &Method) -> bool {
    match method {
        Method::Invite
        | Method::Register
        | Method::Update
        | Method::Subscribe
        | Method::Notify
        | Method::Refer => true,
        Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Options
        | Method::Info
        | Method::Prack
        | Method::Message
        | Method::Publish
        | Method::Other(_) => false,
    }
}

/// `Require` does not apply to CANCEL and ACK (RFC 3261 §8.2.2.3).
fn check_require(request: &Request, supports: &Supports<'_>) -> Result<(), Refusal> {
    if matches!(request.method, Method::Cancel | Method::Ack) {
        return Ok(());
    }
    let known = |tag: &str| {
        supports
            .extensions
            .iter()
            .any(|have| have.eq_ignore_ascii_case(tag))
    };
    let unknown: Vec<&str> = request
        .headers
        .tokens(&HeaderName::Require)
        .filter(|tag| !known(tag))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::hint(
        420,
        HeaderName::Unsupported,
        unknown.join(", "),
    ))
}

/// The body is of a type and encoding that we read, or marked as optional (RFC 3261 §8.2.3).
///
/// Bodies of ACK, CANCEL and BYE are not judged: some networks put theirs there, and a refused BYE
/// would keep the call.
fn check_body(request: &Request, supports: &Supports<'_>) -> Result<(), Refusal> {
    if matches!(request.method, Method::Ack | Method::Cancel | Method::Bye) {
        return Ok(());
    }
    let headers = &request.headers;
    let optional = headers
        .first(&HeaderName::ContentDisposition)
        .is_some_and(|value| value.to_ascii_lowercase().contains("handling=optional"));
    if request.body.is_empty() || optional {
        return Ok(());
    }
    let Some(content_type) = headers.content_type()? else {
        return Err(HeaderError::Missing(HeaderName::ContentType).into());
    };
    if !supports
        .content_types
        .contains(&content_type.essence.as_str())
    {
        let types = supports.content_types.join(", ");
        return Err(Refusal::hint(415, HeaderName::Accept, types));
    }
    if headers
        .tokens(&HeaderName::ContentEncoding)
        .any(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        return Err(Refusal::hint(
            415,
            HeaderName::AcceptEncoding,
            "identity".to_owned(),
        ));
    }
    Ok(())
}

/// An INVITE is answered with a body of a type we write, so its `Accept` must allow one
/// (RFC 4475 §3.3.15).
fn check_accept(request: &Request, supports: &Supports<'_>) -> Result<(), Refusal> {
    let name = HeaderName::Accept;
    if request.method != Method::Invite || !request.headers.has(&name) {
        return Ok(());
    }
    let allows = |range: &str| {
        let range = range
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        supports.content_types.iter().any(|have| {
            let kind = have.split('/').next().unwrap_or("");
            range == *have || range == "*/*" || range.strip_suffix("/*") == Some(kind)
        })
    };
    if request.headers.tokens(&name).any(allows) {
        return Ok(());
    }
    Err(Refusal::new(406, super::reason_phrase(406)))
}
