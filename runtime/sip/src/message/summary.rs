//! Short and masked forms of messages, for ladders and logs.

use std::fmt::Write as _;

use super::{HeaderName, Headers, Message, Request, Response};

impl Message {
    /// See [`Request::first_line`] and [`Response::first_line`].
    pub fn first_line(&self) -> String {
        match self {
            Self::Request(request) => request.first_line(),
            Self::Response(response) => response.first_line(),
        }
    }

    /// See [`Request::summary`] and [`Response::summary`].
    pub fn summary(&self) -> String {
        match self {
            Self::Request(request) => request.summary(),
            Self::Response(response) => response.summary(),
        }
    }

    /// See [`Request::masked`] and [`Response::masked`].
    pub fn masked(&self) -> String {
        match self {
            Self::Request(request) => request.masked(),
            Self::Response(response) => response.masked(),
        }
    }
}

impl Request {
    /// The first line as on the wire. The URI is private: for eyes, not for logs.
    pub fn first_line(&self) -> String {
        one_line(format!("{} {} SIP/2.0", self.method, self.uri))
    }

    /// Its line in a ladder: the method, and what the body is, such as `INVITE (application/sdp)`.
    pub fn summary(&self) -> String {
        match content(&self.headers, &self.body) {
            Some(content) => format!("{} ({content})", self.method),
            None => self.method.to_string(),
        }
    }

    /// The request as text for logs: header names, and the values of those that say nothing of a
    /// person, an address or a password. The body is only counted.
    pub fn masked(&self) -> String {
        masked(
            format!("{} [private] SIP/2.0", self.method),
            &self.headers,
            self.body.len(),
        )
    }
}

impl Response {
    /// The first line as on the wire.
    pub fn first_line(&self) -> String {
        one_line(format!("SIP/2.0 {} {}", self.status, self.reason))
    }

    /// Its line in a ladder: status, reason and the method it answers, such as
    /// `200 OK (INVITE, application/sdp)`.
    pub fn summary(&self) -> String {
        let method = self.headers.cseq().map(|cseq| cseq.method.to_string()).ok();
        let parts: Vec<String> = method
            .into_iter()
            .chain(content(&self.headers, &self.body))
            .collect();
        let line = one_line(format!("{} {}", self.status, self.reason));
        if parts.is_empty() {
            line
        } else {
            format!("{line} ({})", parts.join(", "))
        }
    }

    /// The response as text for logs; see [`Request::masked`].
    pub fn masked(&self) -> String {
        masked(self.first_line(), &self.headers, self.body.len())
    }
}

/// What a peer wrote cannot start a new line in a log.
fn one_line(text: String) -> String {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ")
    } else {
        text
    }
}

fn content(headers: &Headers, body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    match headers.content_type() {
        Ok(Some(content_type)) => Some(content_type.essence),
        Ok(None) | Err(_) => Some("unknown body".to_owned()),
    }
}

fn masked(first_line: String, headers: &Headers, body_bytes: usize) -> String {
    let mut text = first_line;
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| **name != HeaderName::ContentLength)
    {
        let value = if is_plain(name) { value } else { "[private]" };
        write!(text, "\n{name}: {value}").expect("a string takes any text");
    }
    write!(text, "\n[{body_bytes} bytes]").expect("a string takes any text");
    text
}

/// The value says nothing of a person, an address or a password. `Call-ID` is the key by which a
/// call's lines are found.
fn is_plain(name: &HeaderName) -> bool {
    matches!(
        name,
        HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::MaxForwards
            | HeaderName::Expires
            | HeaderName::MinExpires
            | HeaderName::MinSe
            | HeaderName::SessionExpires
            | HeaderName::ContentType
            | HeaderName::Allow
            | HeaderName::Require
            | HeaderName::Supported
            | HeaderName::Unsupported
            | HeaderName::RetryAfter
            | HeaderName::RSeq
            | HeaderName::RAck
    )
}
