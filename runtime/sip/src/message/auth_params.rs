//! `WWW-Authenticate`, `Authorization` and their proxy twins: a scheme and its parameters.

use super::{SyntaxError, scan};

/// A scheme with comma-separated parameters (RFC 3261 §25.1 `challenge`, `credentials`).
///
/// No `Debug`, so that credentials are not printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthParams {
    /// Scheme as written; [`AuthParams::is`] compares it.
    pub scheme: String,
    params: Vec<(String, String)>,
}

impl AuthParams {
    /// Reads a header value. One field holds one challenge or one set of credentials
    /// (RFC 3261 §7.3.1).
    ///
    /// # Errors
    /// No scheme; or, for the Digest scheme, a parameter that is not `name=value`, or one given
    /// twice. Parameters of other schemes are not read.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let text = scan::trim(text);
        let (scheme, rest) = text.split_at(text.find([' ', '\t']).unwrap_or(text.len()));
        if !scan::is_token(scheme) {
            return Err(SyntaxError("scheme is no token"));
        }
        let mut auth = Self {
            scheme: scheme.to_owned(),
            params: Vec::new(),
        };
        if !auth.is("Digest") {
            return Ok(auth);
        }
        for part in scan::split_outside(rest, b',').filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or(SyntaxError("parameter without value"))?;
            let (name, value) = (scan::trim(name), scan::trim(value));
            if !scan::is_token(name) {
                return Err(SyntaxError("parameter name is no token"));
            }
            if value.starts_with('"') && !matches!(scan::quoted(value), Some((_, ""))) {
                return Err(SyntaxError("unterminated quoted string"));
            }
            if auth.value(name).is_some() {
                return Err(SyntaxError("parameter given twice"));
            }
            auth.params
                .push((name.to_ascii_lowercase(), scan::unquote(value)));
        }
        Ok(auth)
    }

    /// The scheme is this one.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// A parameter's value, without quotes and escapes.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}
