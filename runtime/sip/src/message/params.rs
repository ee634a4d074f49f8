//! Parameters: `;name=value` after a header value or within a URI.

use std::fmt;

use super::{SyntaxError, scan};

/// Ordered parameters. Names are compared without regard to case.
///
/// Values are kept as written, quotes included, so that they are written back as they came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params(
    /// As on the wire, each with its `;`, without white space around `;` and `=`. One text instead
    /// of a list: most parameters are only looked at once or passed on.
    String,
);

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// The raw value of the first parameter of this name: `Some(None)` for a name without value.
    pub fn find(&self, name: &str) -> Option<Option<&str>> {
        self.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
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

    /// Sets a parameter in its place, or appends it. The value is a token or quoted string; of
    /// anything else, what would end the parameter is left out.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(|value| match scan::quoted(value) {
            Some((_, "")) => value.to_owned(),
            Some(_) | None => value.replace([';', ',', '=', '"', '<', '>', ' ', '\r', '\n'], ""),
        });
        let mut changed = Self::new();
        let mut done = false;
        for (known, old) in self.iter() {
            if !done && known.eq_ignore_ascii_case(name) {
                done = true;
                changed.append(known, value.as_deref());
            } else {
                changed.append(known, old);
            }
        }
        if !done {
            changed.append(name, value.as_deref());
        }
        *self = changed;
    }

    /// Removes every parameter of this name.
    pub fn remove(&mut self, name: &str) {
        let mut changed = Self::new();
        for (known, value) in self
            .iter()
            .filter(|(known, _)| !known.eq_ignore_ascii_case(name))
        {
            changed.append(known, value);
        }
        *self = changed;
    }

    /// Names and raw values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            let after = rest.strip_prefix(';')?;
            let (param, next) = after.split_at(param_end(after));
            rest = next;
            Some(match param.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (param, None),
            })
        })
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
        let mut params = Self(String::with_capacity(text.len()));
        let mut rest = scan::trim(text);
        while !rest.is_empty() {
            let after = rest
                .strip_prefix(';')
                .ok_or(SyntaxError("junk before parameters"))?;
            let (param, next) = after.split_at(param_end(after));
            params.append_checked(scan::trim(param))?;
            rest = next;
        }
        Ok(params)
    }

    fn append_checked(&mut self, text: &str) -> Result<(), SyntaxError> {
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
                // `gen-value` is a token, a quoted string or a host, with IPv6 in brackets or,
                // in `received`, without.
                let host =
                    |byte: u8| scan::is_token_byte(byte) || matches!(byte, b'[' | b']' | b':');
                if value.is_empty() || !value.bytes().all(host) {
                    return Err(SyntaxError("parameter value is no token"));
                }
            }
            None => {}
        }
        self.append(name, value);
        Ok(())
    }

    /// Appends a parameter whose name and value hold nothing that would end it.
    pub(super) fn append(&mut self, name: &str, value: Option<&str>) {
        self.0.push(';');
        self.0.push_str(name);
        if let Some(value) = value {
            self.0.push('=');
            self.0.push_str(value);
        }
    }
}

/// Where the parameter that `text` starts with ends: at the next `;` outside quotes.
fn param_end(text: &str) -> usize {
    let end = text.find(';').unwrap_or(text.len());
    if text[..end].contains('"') {
        scan::find_outside(text, b";").unwrap_or(text.len())
    } else {
        end
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
