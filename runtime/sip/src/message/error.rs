//! What can be wrong with a message.

use super::{HeaderName, Request};

/// Why a value does not follow its grammar: a short phrase, without any part of the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SyntaxError(pub &'static str);

/// Why a header could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// It is not there, and the caller needs it.
    #[error("missing {0}")]
    Missing(HeaderName),
    /// Its value does not follow its grammar.
    #[error("bad {header}: {why}")]
    Invalid {
        /// Which header.
        header: HeaderName,
        /// What is wrong.
        why: SyntaxError,
    },
}

/// Why bytes are no message, and whether anything can be answered.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ParseError {
    /// Nothing but line ends, spaces or zeros: a keep-alive. Dropped without a word
    /// (RFC 5626 §4.4, and phones that send a single zero byte).
    #[error("keep-alive")]
    KeepAlive,
    /// Cannot or must not be answered: not SIP, a broken response, a broken ACK, or a request
    /// whose `Via` tells nobody where to send the answer.
    #[error("dropped: {0}")]
    Drop(SyntaxError),
    /// A broken request that can be answered: its top `Via` is good.
    ///
    /// `request` holds what could be read; [`Response::to_request`](super::Response::to_request)
    /// copies what is there.
    #[error("refused with {status}: {why}")]
    Reply {
        /// What could be read of it, without a body.
        request: Box<Request>,
        /// 400, 505 (version) or 513 (too large).
        status: u16,
        /// What is wrong; fit for the reason phrase.
        why: SyntaxError,
    },
}
