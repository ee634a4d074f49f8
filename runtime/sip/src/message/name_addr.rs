//! `From`, `To`, `Contact`, `Route`, `Record-Route`: a URI with a name and parameters.

use std::fmt;

use super::{Params, SyntaxError, Uri, scan};

/// A URI with an optional display name and header parameters (RFC 3261 §20.10, §25.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameAddr {
    /// Display name without quotes and escapes; `None` if there is none or it is empty.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// Parameters of the header, such as `tag`. Those of the URI are within `uri`.
    pub params: Params,
}

/// The contacts of a message (RFC 3261 §20.10).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Contacts {
    /// `*`: all of them, in a REGISTER that removes them.
    All,
    /// Contacts in order; may be empty.
    List(Vec<NameAddr>),
}

impl NameAddr {
    /// A URI alone.
    pub fn new(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Params::new(),
        }
    }

    /// Reads `name-addr` or `addr-spec` with parameters; commas must be split before.
    ///
    /// Without angle brackets all parameters belong to the header (RFC 3261 §20), and a URI with
    /// `?` or `,` is refused. White space within the brackets around the URI is accepted
    /// (RFC 4475 §3.1.2.14 leaves that choice), and so are characters that no token has in an
    /// unquoted display name (§3.1.2.15).
    ///
    /// # Errors
    /// A quoted string or bracket that never ends, a bad URI or bad parameters.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let text = scan::trim(text);
        let (display, rest) = if text.starts_with('"') {
            let (raw, rest) =
                scan::quoted(text).ok_or(SyntaxError("unterminated quoted string"))?;
            let rest = scan::trim(rest);
            if !rest.starts_with('<') {
                return Err(SyntaxError("no address after display name"));
            }
            (Some(scan::unquote(raw)), rest)
        } else {
            match text.find('<') {
                Some(at) => {
                    let name = scan::trim(&text[..at]);
                    if name.contains('"') {
                        return Err(SyntaxError("quote within display name"));
                    }
                    (Some(name.to_owned()), &text[at..])
                }
                None => (None, text),
            }
        };
        let (uri, params) = match rest.strip_prefix('<') {
            Some(inner) => inner
                .split_once('>')
                .ok_or(SyntaxError("unterminated bracket"))?,
            None => {
                let (uri, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
                if uri.contains(['?', ',']) {
                    return Err(SyntaxError("URI needs angle brackets"));
                }
                (uri, params)
            }
        };
        Ok(Self {
            display: display.filter(|name| !name.is_empty()),
            uri: Uri::parse(scan::trim(uri))?,
            params: Params::parse(params)?,
        })
    }

    /// The `tag`.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }

    /// The same with this `tag`.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", Some(tag));
        self
    }

    /// The `expires` of a contact in seconds; a bad value reads as none (RFC 3261 §10.2.1.1).
    pub fn expires(&self) -> Option<u32> {
        self.params.value("expires").and_then(scan::number)
    }

    /// The `q` of a contact in thousandths, 0 to 1,000; 1,000 if absent or bad
    /// (RFC 3261 §20.10).
    pub fn q_thousandths(&self) -> u16 {
        let Some(value) = self.params.value("q") else {
            return 1_000;
        };
        let (whole, part) = value.split_once('.').unwrap_or((value, ""));
        if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return 1_000;
        }
        let part = format!("{part:0<3}")
            .parse::<u16>()
            .expect("three digits fit");
        match whole {
            "0" => part,
            _ => 1_000,
        }
    }
}

impl fmt::Display for NameAddr {
    /// Always with angle brackets, so that no parameter changes its place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", scan::quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}
