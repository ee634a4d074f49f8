//! Requests to the addresses an operator allowed. Needs `http`.
//!
//! Secrets are named, never read: the host puts the value in after it has checked the address.

use std::time::Duration;

use crate::Error;
use crate::export::bindings::jackfield::host::http as host;
pub use crate::export::bindings::jackfield::host::http::Response;
use crate::prompt::millis;

/// Starts a GET request.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// Starts a POST request.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// Starts a request with any method.
pub fn request(method: &str, url: impl Into<String>) -> Request {
    Request {
        raw: host::Request {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
        },
    }
}

/// A request. Without further word the host's own time limit applies.
#[must_use = "nothing is sent before `send`"]
pub struct Request {
    raw: host::Request,
}

impl Request {
    /// Adds a header.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.push(name, host::HeaderValue::Plain(value.into()))
    }

    /// Adds a header whose value is the named secret.
    pub fn secret_header(self, name: impl Into<String>, secret: impl Into<String>) -> Self {
        self.push(name, host::HeaderValue::Secret(secret.into()))
    }

    /// Adds `Authorization: Bearer` with the named secret.
    pub fn bearer(self, secret: impl Into<String>) -> Self {
        self.push("authorization", host::HeaderValue::Bearer(secret.into()))
    }

    /// Adds `Authorization: Basic` with a user and the named secret as password.
    pub fn basic(self, user: impl Into<String>, secret: impl Into<String>) -> Self {
        self.push(
            "authorization",
            host::HeaderValue::Basic((user.into(), secret.into())),
        )
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.raw.body = body.into();
        self
    }

    /// Gives up after this long.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.raw.timeout = Some(millis(time));
        self
    }

    /// Sends it. A status of 400 and more is an answer, not an error.
    ///
    /// # Errors
    /// [`Error::Denied`] without the grant or for an address that is not allowed.
    pub fn send(self) -> Result<Response, Error> {
        host::send(&self.raw)
    }

    fn push(mut self, name: impl Into<String>, value: host::HeaderValue) -> Self {
        self.raw.headers.push((name.into(), value));
        self
    }
}
