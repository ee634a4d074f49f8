//! `Content-Type` (RFC 3261 §20.15).

use std::fmt;

use super::{Params, SyntaxError, scan};

/// A media type. Type and subtype are kept in lower case, since case does not matter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContentType {
    /// `type/subtype` in lower case, such as `application/sdp`.
    pub essence: String,
    /// Parameters, such as `boundary`.
    pub params: Params,
}

impl ContentType {
    /// Reads a value.
    ///
    /// # Errors
    /// Type or subtype is no token, or the parameters are bad.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (essence, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (kind, subtype) = essence.split_once('/').ok_or(SyntaxError("no subtype"))?;
        let (kind, subtype) = (scan::trim(kind), scan::trim(subtype));
        if !scan::is_token(kind) || !scan::is_token(subtype) {
            return Err(SyntaxError("media type is no token"));
        }
        let essence = format!("{kind}/{subtype}").to_ascii_lowercase();
        Ok(Self {
            essence,
            params: Params::parse(params)?,
        })
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.essence, self.params)
    }
}
