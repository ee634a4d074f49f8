//! Writes what the endpoint sends, each message once and straight into its bytes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::Transport;
use crate::message::{HeaderName, Request, Via, reason_phrase};

/// Methods we answer with something better than 405, for `Allow`.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REGISTER, UPDATE, PRACK, REFER, NOTIFY";

/// Option tags we understand, for `Supported`.
pub(crate) const SUPPORTED: &str = "timer, 100rel, replaces";

/// The same one by one.
pub(crate) const EXTENSIONS: [&str; 3] = ["timer", "100rel", "replaces"];

/// The only body an INVITE may carry.
pub(crate) const SDP: &str = "application/sdp";

/// Our `Contact`.
pub(crate) fn contact(transport: Transport, own: SocketAddr) -> String {
    match transport {
        Transport::Udp => format!("<sip:{own}>"),
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
            format!("<sip:{own};transport={}>", transport.uri_name())
        }
    }
}

/// What all responses to one request have in common: every `Via`, `From`, `To` with our tag,
/// `Call-ID` and `CSeq`, as far as the request has them (RFC 3261 §8.2.6.2).
///
/// `via` is the top one with the source noted in it.
pub(crate) fn head(request: &Request, via: &Via, tag: &str) -> String {
    let headers = &request.headers;
    let mut head = String::with_capacity(512);
    let _ = write!(head, "Via: {via}\r\n");
    for via in headers.all(&HeaderName::Via).skip(1) {
        head.extend(["Via: ", via, "\r\n"]);
    }
    if let Some(from) = headers.first(&HeaderName::From) {
        head.extend(["From: ", from, "\r\n"]);
    }
    if let Some(to) = headers.first(&HeaderName::To) {
        head.extend(["To: ", to]);
        if tag_of(to).is_none() {
            head.extend([";tag=", tag]);
        }
        head.push_str("\r\n");
    }
    for name in [HeaderName::CallId, HeaderName::CSeq] {
        if let Some(value) = headers.first(&name) {
            head.extend([name.as_str(), ": ", value, "\r\n"]);
        }
    }
    head
}

/// A response.
pub(crate) struct Reply<'a> {
    /// 100 to 699.
    pub(crate) status: u16,
    /// Other words than the usual.
    pub(crate) reason: Option<&'a str>,
    /// From [`head`].
    pub(crate) head: &'a str,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(status: u16, head: &'a str) -> Self {
        Self {
            status,
            reason: None,
            head,
        }
    }

    /// The response with further headers and, if `body` is not empty, SDP.
    pub(crate) fn write<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        body: &[u8],
    ) -> Arc<[u8]> {
        assert!(
            (100..700).contains(&self.status),
            "a response status is 100 to 699"
        );
        let reason = self.reason.unwrap_or_else(|| reason_phrase(self.status));
        let mut out = String::with_capacity(self.head.len() + body.len() + 384);
        let _ = write!(out, "SIP/2.0 {} ", self.status);
        push_clean(&mut out, reason);
        out.extend(["\r\n", self.head]);
        for (name, value) in headers {
            push_header(&mut out, name, value);
        }
        finish(out, SDP, body)
    }
}

/// A request of ours.
pub(crate) struct Draft<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) transport: Transport,
    /// Our address, for `Via`.
    pub(crate) own: SocketAddr,
    /// Without the magic cookie.
    pub(crate) branch: &'a str,
    pub(crate) routes: &'a [Box<str>],
    /// With our tag.
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    /// How many proxies it may pass.
    pub(crate) max_forwards: u8,
}

/// What requests begin with (RFC 3261 §8.1.1.6).
pub(crate) const MAX_FORWARDS: u8 = 70;

impl Draft<'_> {
    /// The request with further headers and, if `body` is not empty, SDP.
    pub(crate) fn write<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        body: &[u8],
    ) -> Arc<[u8]> {
        self.write_with(headers, SDP, body)
    }

    /// The request with further headers and, if `body` is not empty, a body of this type.
    pub(crate) fn write_with<'h>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        content_type: &str,
        body: &[u8],
    ) -> Arc<[u8]> {
        let mut out = String::with_capacity(640 + body.len());
        out.extend([self.method, " "]);
        for c in self.uri.chars() {
            // A space or line end would end the request line.
            if c <= ' ' || c == '\x7f' {
                let _ = write!(out, "%{:02X}", u32::from(c));
            } else {
                out.push(c);
            }
        }
        out.push_str(" SIP/2.0\r\n");
        let _ = write!(
            out,
            "Via: SIP/2.0/{} {};branch={}{};rport\r\nMax-Forwards: {}\r\n",
            self.transport.via_name(),
            self.own,
            Via::MAGIC,
            self.branch,
            self.max_forwards
        );
        for route in self.routes {
            out.extend(["Route: ", route, "\r\n"]);
        }
        push_header(&mut out, "From", self.from);
        push_header(&mut out, "To", self.to);
        push_header(&mut out, "Call-ID", self.call_id);
        let _ = write!(out, "CSeq: {} {}\r\n", self.cseq, self.method);
        for (name, value) in headers {
            push_header(&mut out, name, value);
        }
        finish(out, content_type, body)
    }
}

/// The `tag` of a `From` or `To` value whose grammar was checked.
pub(crate) fn tag_of(value: &str) -> Option<&str> {
    let after = value.rfind('>').map_or(value, |at| &value[at..]);
    after.split(';').skip(1).find_map(|param| {
        let (name, tag) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("tag").then(|| tag.trim())
    })
}

fn finish(mut out: String, content_type: &str, body: &[u8]) -> Arc<[u8]> {
    if !body.is_empty() {
        out.push_str("Content-Type: ");
        push_clean(&mut out, content_type);
        out.push_str("\r\n");
    }
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    Arc::from(out)
}

/// Headers come from the call control too: no value may end its line, and what the endpoint writes
/// itself is not written twice.
fn push_header(out: &mut String, name: &str, value: &str) {
    if name.is_empty() || name.contains([':', ' ', '\t', '\r', '\n', '\0']) {
        debug_assert!(false, "a header name is a token");
        return;
    }
    let own = ["Content-Length", "Content-Type", "Max-Forwards"];
    if own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return;
    }
    out.extend([name, ": "]);
    push_clean(out, value);
    out.push_str("\r\n");
}

fn push_clean(out: &mut String, value: &str) {
    let bad = ['\r', '\n', '\0'];
    if value.contains(bad) {
        out.extend(
            value
                .chars()
                .map(|c| if bad.contains(&c) { ' ' } else { c }),
        );
    } else {
        out.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_behind_names_and_uri_parameters() {
        for (value, tag) in [
            ("<sip:a@b>;tag=1", Some("1")),
            ("sip:a@b;tag=1", Some("1")),
            ("<sip:a@b;tag=no>", None),
            ("\"x;tag=no\" <sip:a@b>; Tag = q ;x=y", Some("q")),
            ("<sip:a@b>", None),
            ("sip:a@b", None),
        ] {
            assert_eq!(tag_of(value), tag, "{value}");
        }
    }

    #[test]
    fn no_value_ends_its_line() {
        let reply = Reply {
            status: 200,
            reason: Some("a\r\nX: y"),
            head: "",
        };
        let bytes = reply.write([("Subject", "a\r\nX: y")], b"");
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text,
            "SIP/2.0 200 a  X: y\r\nSubject: a  X: y\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
