//! Cutting a byte stream into messages.

use super::parse::{Head, find_head_end};
use super::{Message, ParseError, SyntaxError};
use crate::limits;

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
    /// No end of the head within [`limits::HEAD_BYTES_MAX`].
    #[error("head too large")]
    HeadTooLarge,
    /// The body exceeds [`limits::BODY_BYTES_MAX`]. The refusal (513) can be sent before closing.
    #[error("body too large")]
    BodyTooLarge(ParseError),
    /// `Content-Length` is missing or bad (RFC 3261 §18.3). The refusal (400) can be sent before
    /// closing.
    #[error("no usable content length")]
    NoLength(ParseError),
    /// The first line tells of no SIP message.
    #[error("not SIP")]
    NotSip,
}

/// Cuts a stream into messages by `Content-Length` (RFC 3261 §18.3).
///
/// Feed bytes with [`Framer::push`], then call [`Framer::next`] until it gives `None`. Each byte is
/// looked at once, however small the pieces. A single line end between messages is skipped
/// (RFC 3261 §7.5).
#[derive(Default)]
pub struct Framer {
    /// Bytes that arrived; those before `start` were given out.
    buffer: Vec<u8>,
    start: usize,
    state: State,
}

#[derive(Default)]
enum State {
    /// Between messages.
    #[default]
    Between,
    /// Within a head. The first `scanned` bytes after `start` hold no end of it.
    Head { scanned: usize },
    /// The head was read; the body is complete when `end` bytes are there after `start`.
    Body {
        head: Box<Head>,
        head_end: usize,
        end: usize,
    },
    /// Closed to further bytes.
    Failed(FrameError),
}

/// A buffer larger than this is given back when it runs empty, so that idle connections are cheap.
const IDLE_BYTES_MAX: usize = 4096;

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that arrived. When [`Framer::next`] has given `None`, at most one unfinished
    /// message is kept: [`limits::HEAD_BYTES_MAX`] and [`limits::BODY_BYTES_MAX`] beside the
    /// largest piece that is pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Failed(_)) {
            return;
        }
        if self.start > 0 {
            // What is moved belongs to a message that has only begun, so it moves once.
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next thing in the stream, or `None` until more arrives.
    ///
    /// # Errors
    /// The stream cannot go on; every further call gives the same error.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        match self.step() {
            Ok(frame) => {
                if self.start == self.buffer.len() {
                    self.buffer.clear();
                    self.start = 0;
                    if self.buffer.capacity() > IDLE_BYTES_MAX {
                        self.buffer = Vec::new();
                    }
                }
                Ok(frame)
            }
            Err(error) => {
                *self = Self {
                    state: State::Failed(error.clone()),
                    ..Self::default()
                };
                Err(error)
            }
        }
    }

    /// No message has begun. To be asked when [`Framer::next`] has given `None`.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    fn step(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let rest = &self.buffer[self.start..];
            match &mut self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Between => match rest {
                    [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return Ok(None),
                    [b'\r', b'\n', b'\r', b'\n', ..] => {
                        self.start += 4;
                        return Ok(Some(Frame::Ping));
                    }
                    [b'\r', b'\n', ..] => self.start += 2,
                    _ => self.state = State::Head { scanned: 0 },
                },
                State::Head { scanned } => match find_head_end(rest, *scanned) {
                    Ok(end) if end <= limits::HEAD_BYTES_MAX => {
                        self.state = Self::read_head(&rest[..end])?;
                    }
                    Err(seen) if seen <= limits::HEAD_BYTES_MAX => {
                        *scanned = seen;
                        return Ok(None);
                    }
                    Ok(_) | Err(_) => return Err(FrameError::HeadTooLarge),
                },
                State::Body { end, .. } if rest.len() < *end => return Ok(None),
                State::Body { .. } => return Ok(Some(self.take_message())),
            }
        }
    }

    fn read_head(bytes: &[u8]) -> Result<State, FrameError> {
        let mut head = Head::read(bytes).map_err(|_| FrameError::NotSip)?;
        let refuse = |mut head: Head, status, why: SyntaxError| {
            head.blame(status, why.0);
            head.finish(&[])
                .expect_err("a message that was blamed is refused")
        };
        match head.length {
            Ok(Some(length)) if length <= limits::BODY_BYTES_MAX => {
                let head_end = bytes.len();
                head.length = Ok(None);
                Ok(State::Body {
                    head: Box::new(head),
                    head_end,
                    end: head_end + length,
                })
            }
            Ok(Some(_)) => {
                let why = SyntaxError("body too large");
                Err(FrameError::BodyTooLarge(refuse(head, 513, why)))
            }
            Ok(None) => {
                let why = SyntaxError("missing Content-Length");
                Err(FrameError::NoLength(refuse(head, 400, why)))
            }
            Err(why) => Err(FrameError::NoLength(refuse(head, 400, why))),
        }
    }

    fn take_message(&mut self) -> Frame {
        let State::Body {
            head,
            head_end,
            end,
        } = std::mem::take(&mut self.state)
        else {
            unreachable!("called with a body only")
        };
        assert!(
            head_end <= end && self.start + end <= self.buffer.len(),
            "the body is there"
        );
        let frame = match head.finish(&self.buffer[self.start + head_end..self.start + end]) {
            Ok(message) => Frame::Message(message),
            Err(error) => Frame::Bad(error),
        };
        self.start += end;
        frame
    }
}

#[cfg(test)]
mod tests;
