//! `CSeq` (RFC 3261 §20.16).

use std::fmt;

use super::{Method, SyntaxError, scan};

/// A `CSeq` value: orders requests within a dialog and names the method of a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CSeq {
    /// Sequence number, below 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// Method of the request.
    pub method: Method,
}

impl CSeq {
    /// Reads a value.
    ///
    /// # Errors
    /// No number below 2^31, or no method after it.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let text = scan::trim(text);
        let (number, method) = text
            .split_once([' ', '\t'])
            .ok_or(SyntaxError("no method"))?;
        let number = scan::number(number)
            .filter(|&number| number < 1 << 31)
            .ok_or(SyntaxError("number out of range"))?;
        let method = Method::parse(scan::trim(method)).ok_or(SyntaxError("method is no token"))?;
        Ok(Self { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
