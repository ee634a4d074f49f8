//! Requests.

use std::fmt;
use std::sync::Arc;

use super::{Headers, Method, SyntaxError, Uri};

/// A request. Its URI is kept as written; [`Request::parse_uri`] reads it.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Request URI as written.
    pub uri: String,
    /// Header fields.
    pub headers: Headers,
    /// Opaque bytes. `Content-Length` is written from their length.
    pub body: Arc<[u8]>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, uri: impl Into<String>) -> Self {
        Self {
            method,
            uri: uri.into(),
            headers: Headers::new(),
            body: Arc::default(),
        }
    }

    /// The request URI.
    ///
    /// # Errors
    /// It does not follow its grammar.
    pub fn parse_uri(&self) -> Result<Uri, SyntaxError> {
        Uri::parse(&self.uri)
    }
}

impl fmt::Debug for Request {
    /// The method and header names; the rest is private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
