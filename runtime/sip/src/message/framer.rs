//! Cutting a byte stream into messages.

use super::{Message, ParseError};

/// One thing found in a stream.
#[derive(Clone, PartialEq, Debug)]
pub enum Frame {
    /// A whole message.
    Message(Message),
    /// A whole message that is broken; the stream goes on behind it.
    Bad(ParseError),
    /// A keep-alive, two line ends; answered with one (RFC 5626 §4.4.1).
    Ping,
}

/// Why a stream cannot go on: where the next message begins is unknown. Close it.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// No end of the head within [`limits::HEAD_BYTES_MAX`](crate::limits::HEAD_BYTES_MAX).
    #[error("head too large")]
    HeadTooLarge,
    /// The body exceeds [`limits::BODY_BYTES_MAX`](crate::limits::BODY_BYTES_MAX). The refusal can
    /// be sent before closing.
    #[error("body too large")]
    BodyTooLarge(ParseError),
    /// `Content-Length` is missing or bad (RFC 3261 §18.3). The refusal can be sent before closing.
    #[error("no usable content length")]
    NoLength(ParseError),
}

/// Cuts a stream into messages by `Content-Length` (RFC 3261 §18.3).
///
/// Feed bytes with [`Framer::push`], then call [`Framer::next`] until it gives `None`. Each byte is
/// looked at once, however small the pieces.
#[derive(Default)]
pub struct Framer {
    buffer: Vec<u8>,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that arrived. Between calls at most one unfinished message is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next thing in the stream, or `None` until more arrives.
    ///
    /// # Errors
    /// The stream cannot go on; every further call gives the same error.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        Ok(None)
    }
}
