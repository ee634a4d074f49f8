//! SIP messages: reading, writing and the values of their headers.
//!
//! [`parse()`] reads a datagram, [`Framer`] a stream. Both give a [`Message`]: a first line, ordered
//! [`Headers`] that share one text, and opaque body bytes. Header values are parsed when asked for,
//! by the typed readers on [`Headers`] ([`Headers::via`], [`Headers::from`], [`Headers::cseq`], …),
//! so a message that is only passed on or answered costs one pass.
//!
//! What a broken message deserves is decided here too, without I/O: [`ParseError`] says whether it
//! can be answered, and [`check_request`] what a well-formed request is refused with.

mod auth_params;
mod check;
mod content_type;
mod cseq;
mod error;
mod framer;
mod headers;
mod host;
mod method;
mod multipart;
mod name;
mod name_addr;
mod params;
mod parse;
mod reason;
mod replaces;
mod request;
mod response;
mod retry_after;
mod scan;
mod status;
mod summary;
mod typed;
mod uri;
mod via;
mod write;

pub use auth_params::AuthParams;
pub use check::{Refusal, Supports, check_request, check_response};
pub use content_type::ContentType;
pub use cseq::CSeq;
pub use error::{HeaderError, ParseError, SyntaxError};
pub use framer::{Frame, FrameError, Framer};
pub use headers::Headers;
pub use host::Host;
pub use method::Method;
pub use multipart::keep_description;
pub use name::HeaderName;
pub use name_addr::{Contacts, NameAddr};
pub use params::Params;
pub use parse::parse;
pub use reason::Reason;
pub use replaces::Replaces;
pub use request::Request;
pub use response::Response;
pub use retry_after::RetryAfter;
pub(crate) use scan::quote;
pub use status::reason_phrase;
pub(crate) use uri::unescape;
pub use uri::{SipUri, TelUri, Uri};
pub use via::Via;

/// A request or a response.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// Somebody asks.
    Request(Request),
    /// Somebody answers.
    Response(Response),
}

impl Message {
    /// The headers of either kind.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The body of either kind.
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }

    /// The message as it goes on the wire; see [`Request::to_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}
