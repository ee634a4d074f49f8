//! `Reason` (RFC 3326).

use std::fmt;

use super::{Params, SyntaxError, scan};

/// Why a request was sent, such as `SIP;cause=200;text="Call completed elsewhere"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// `SIP`, `Q.850` or another protocol.
    pub protocol: String,
    /// A status or cause code of that protocol.
    pub cause: Option<u32>,
    /// Text for people.
    pub text: Option<String>,
}

impl Reason {
    /// Reads one value; commas must be split before.
    ///
    /// # Errors
    /// The protocol is no token or the parameters are bad.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (protocol, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let protocol = scan::trim(protocol);
        if !scan::is_token(protocol) {
            return Err(SyntaxError("protocol is no token"));
        }
        let params = Params::parse(params)?;
        Ok(Self {
            protocol: protocol.to_owned(),
            cause: params.value("cause").and_then(scan::number),
            text: params.unquoted("text"),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        match &self.text {
            Some(text) => write!(f, ";text={}", scan::quote(text)),
            None => Ok(()),
        }
    }
}
