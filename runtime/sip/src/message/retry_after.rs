//! `Retry-After` (RFC 3261 §20.33).

use std::fmt;
use std::time::Duration;

use super::{Params, SyntaxError, scan};

/// When to ask again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryAfter {
    /// Wait this long; whole seconds on the wire.
    pub delay: Duration,
}

impl RetryAfter {
    /// Reads a value; a comment and parameters after the seconds are skipped.
    ///
    /// # Errors
    /// No number of seconds at the start, or bad parameters.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let text = scan::trim(text);
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (seconds, rest) = text.split_at(digits);
        let seconds = scan::number(seconds).ok_or(SyntaxError("no seconds"))?;
        let rest = scan::trim(rest);
        let rest = match rest.strip_prefix('(') {
            Some(comment) => {
                comment
                    .rsplit_once(')')
                    .ok_or(SyntaxError("unterminated comment"))?
                    .1
            }
            None => rest,
        };
        Params::parse(rest)?;
        Ok(Self {
            delay: Duration::from_secs(seconds.into()),
        })
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.delay.as_secs())
    }
}
