//! Reading a message from a datagram.

use super::{Message, ParseError, SyntaxError};

/// Reads the message of a datagram.
///
/// # Errors
/// See [`ParseError`], which says whether it can be answered.
pub fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
    let _ = bytes;
    Err(ParseError::Drop(SyntaxError("not yet")))
}
