//! Parameters: `;name=value` after a header value or within a URI.

use std::fmt;

use super::{SyntaxError, scan};

/// Ordered parameters. Names are compared without regard to case.
///
/// Values are kept as written, quotes included, so that they are written back as they came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// The raw value of the first parameter of this name: `Some(None)` for a name without value.
    pub fn find(&self, name: &str) -> Option<Option<&str>> {
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_deref())
    }

    /// The raw value of the first parameter of this name that has one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.find(name).flatten()
    }

    /// The same without quotes and escapes.
    pub fn unquoted(&self, name: &str) -> Option<String> {
        self.value(name).map(scan::unquote)
    }

    /// The parameter is there, with or without value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets a parameter in its place, or appends it. The value must be a token or quoted string.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self
            .0
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Removes every parameter of this name.
    pub fn remove(&mut self, name: &str) {
        self.0
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Names and raw values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads header parameters from `;` on, white space allowed around `;` and `=`
    /// (`generic-param`, RFC 3261 §25.1).
    ///
    /// # Errors
    /// A name that is no token, or a quoted value that never ends.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut params = Self::new();
        let mut rest = scan::trim(text);
        while !rest.is_empty() {
            let after = rest
                .strip_prefix(';')
                .ok_or(SyntaxError("junk before parameters"))?;
            let end = scan::find_outside(after, b";").unwrap_or(after.len());
            let (param, next) = after.split_at(end);
            params.0.push(Self::param(scan::trim(param))?);
            rest = next;
        }
        Ok(params)
    }

    fn param(text: &str) -> Result<(String, Option<String>), SyntaxError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (scan::trim(name), Some(scan::trim(value))),
            None => (text, None),
        };
        if !scan::is_token(name) {
            return Err(SyntaxError("parameter name is no token"));
        }
        match value {
            Some(value) if value.starts_with('"') => match scan::quoted(value) {
                Some((_, "")) => {}
                Some(_) => return Err(SyntaxError("junk after quoted value")),
                None => return Err(SyntaxError("unterminated quoted string")),
            },
            Some(value) => {
                let host =
                    |byte: u8| scan::is_token_byte(byte) || matches!(byte, b'[' | b']' | b':');
                if value.is_empty() || !value.bytes().all(host) {
                    return Err(SyntaxError("parameter value is no token"));
                }
            }
            None => {}
        }
        Ok((name.to_owned(), value.map(str::to_owned)))
    }

    pub(super) fn push_raw(&mut self, name: &str, value: Option<&str>) {
        self.0.push((name.to_owned(), value.map(str::to_owned)));
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}
