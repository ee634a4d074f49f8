//! Responses.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{HeaderName, Headers, NameAddr, Request, reason_phrase};

/// A response.
#[derive(Clone, PartialEq)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// Reason phrase; may be empty.
    pub reason: Cow<'static, str>,
    /// Header fields.
    pub headers: Headers,
    /// Opaque bytes. `Content-Length` is written from their length.
    pub body: Arc<[u8]>,
}

impl Response {
    /// A response to `request` with the usual reason phrase: all `Via` values, `From`, `To`,
    /// `Call-ID` and `CSeq` are copied as far as they are there (RFC 3261 §8.2.6.2), `Timestamp`
    /// too for 100 (§8.2.6.1). The `To` tag is added with [`Response::with_to_tag`].
    ///
    /// # Panics
    /// If the status is not within 100 to 699.
    pub fn to_request(request: &Request, status: u16) -> Self {
        assert!(
            (100..700).contains(&status),
            "a status has three digits from 100 to 699"
        );
        let mut headers = Headers::new();
        for name in [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            headers.copy(&request.headers, &name);
        }
        if status == 100 {
            headers.copy(&request.headers, &HeaderName::Timestamp);
        }
        let reason = Cow::Borrowed(reason_phrase(status));
        Self {
            status,
            reason,
            headers,
            body: Arc::default(),
        }
    }

    /// The same with another reason phrase.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The same with this tag in `To`, unless it has one (RFC 3261 §8.2.6.2) or cannot be read.
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> Self {
        let Some(raw) = self.headers.first(&HeaderName::To) else {
            return self;
        };
        if NameAddr::parse(raw).is_ok_and(|to| to.tag().is_none()) {
            let tagged = format!("{raw};tag={tag}");
            self.headers.set_first(&HeaderName::To, tagged);
        }
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The same with a body and its `Content-Type`.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Arc<[u8]>>) -> Self {
        self.headers.set(HeaderName::ContentType, content_type);
        self.body = body.into();
        self
    }

    /// It ends the transaction: 200 and above.
    pub fn is_final(&self) -> bool {
        self.status >= 200
    }

    /// It accepts: 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl fmt::Debug for Response {
    /// The status and header names; the rest is private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
