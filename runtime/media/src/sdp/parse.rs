//! Reading.

use crate::sdp::Description;

/// Why a session description could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// The line, from 1; 0 for the description as a whole.
    pub line: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What can be wrong with a session description.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing.
    #[error("the description is empty")]
    Empty,
}

pub(super) fn description(bytes: &[u8]) -> Result<Description, ParseError> {
    let _ = bytes;
    Err(ParseError { line: 0, reason: Reason::Empty })
}
