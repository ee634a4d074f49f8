//! URIs: `sip:`, `sips:`, `tel:`, and others kept as they are.

use std::fmt;

use super::{Host, Params, SyntaxError};

/// A URI of a request line or header.
///
/// Written back as it was read, but for the case of the scheme and the form of IPv6 addresses.
/// `==` compares what was written; [`Uri::matches`] compares what it means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Uri {
    /// `sip:` or `sips:` (RFC 3261 §19.1).
    Sip(SipUri),
    /// `tel:` (RFC 3966).
    Tel(TelUri),
    /// Any other scheme, whole and as written.
    Other(Box<str>),
}

/// A `sip:` or `sips:` URI (RFC 3261 §19.1.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SipUri {
    /// The scheme is `sips`.
    pub secure: bool,
    /// User part as written, escapes included; see [`SipUri::user_decoded`].
    pub user: Option<Box<str>>,
    /// Password as written.
    pub password: Option<Box<str>>,
    /// Host.
    pub host: Host,
    /// Port, if written.
    pub port: Option<u16>,
    /// Parameters as written, such as `transport=tcp` and `lr`.
    pub params: Params,
    /// What follows `?`, as written and without it.
    pub headers: Option<Box<str>>,
}

/// A `tel:` URI (RFC 3966).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TelUri {
    /// Number as written, visual separators included.
    pub number: Box<str>,
    /// Parameters as written, such as `phone-context`.
    pub params: Params,
}

impl Uri {
    /// Reads a URI alone, without angle brackets.
    ///
    /// # Errors
    /// No scheme, white space or control characters within, or a `sip:`, `sips:` or `tel:` URI that
    /// does not follow its grammar.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (scheme, rest) = text
            .split_once(':')
            .ok_or(SyntaxError("no scheme in URI"))?;
        let scheme_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            || !scheme.bytes().all(scheme_char)
        {
            return Err(SyntaxError("bad URI scheme"));
        }
        if text
            .bytes()
            .any(|b| b <= b' ' || b == 0x7f || matches!(b, b'<' | b'>' | b'"'))
        {
            return Err(SyntaxError("bad character in URI"));
        }
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::parse(false, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::parse(true, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("tel") {
            TelUri::parse(rest).map(Self::Tel)
        } else if rest.is_empty() {
            Err(SyntaxError("empty URI"))
        } else {
            Ok(Self::Other(text.into()))
        }
    }

    /// The `sip:` or `sips:` URI, if it is one.
    pub fn sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Tel(_) | Self::Other(_) => None,
        }
    }

    /// Both mean the same resource by RFC 3261 §19.1.4 (`tel:` by RFC 3966 §4, others by text).
    /// Used to find a registered contact.
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => a.matches(b),
            (Self::Tel(a), Self::Tel(b)) => a.matches(b),
            (Self::Other(a), Self::Other(b)) => a == b,
            (Self::Sip(_), Self::Tel(_) | Self::Other(_))
            | (Self::Tel(_), Self::Sip(_) | Self::Other(_))
            | (Self::Other(_), Self::Sip(_) | Self::Tel(_)) => false,
        }
    }
}

impl SipUri {
    /// `sip:user@host:port`; the user is escaped where needed.
    pub fn new(user: Option<&str>, host: impl Into<Host>, port: Option<u16>) -> Self {
        Self {
            secure: false,
            user: user.map(|user| escape_user(user).into()),
            password: None,
            host: host.into(),
            port,
            params: Params::new(),
            headers: None,
        }
    }

    fn parse(secure: bool, rest: &str) -> Result<Self, SyntaxError> {
        // User parts may hold `;`, `?`, `/` and `,`, but `@` always ends them.
        let (user, password, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => {
                let (user, password) = match userinfo.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                if user.is_empty() || !user.bytes().all(is_user_byte) {
                    return Err(SyntaxError("bad user in URI"));
                }
                if !password.is_none_or(|password| password.bytes().all(is_password_byte)) {
                    return Err(SyntaxError("bad password in URI"));
                }
                (Some(user.into()), password.map(Into::into), rest)
            }
            None => (None, None, rest),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers.into())),
            None => (rest, None),
        };
        let (hostport, params) = match rest.find(';') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = Host::parse_with_port(hostport)?;
        Ok(Self {
            secure,
            user,
            password,
            host,
            port,
            params: uri_params(params)?,
            headers,
        })
    }

    /// The user with `%` escapes decoded; an escape that is none, or gives no UTF-8, stays.
    pub fn user_decoded(&self) -> Option<String> {
        self.user.as_deref().map(unescape)
    }

    /// The same address without password, port, parameters and headers: an address of record's
    /// key (RFC 3261 §10.3, step 5).
    pub fn address_of_record(&self) -> Self {
        let user = self.user_decoded().map(|user| escape_user(&user).into());
        Self {
            secure: self.secure,
            user,
            password: None,
            host: self.host.clone(),
            port: None,
            params: Params::new(),
            headers: None,
        }
    }

    /// Both mean the same resource (RFC 3261 §19.1.4).
    pub fn matches(&self, other: &Self) -> bool {
        self.secure == other.secure
            && same_escaped(self.user.as_deref(), other.user.as_deref(), false)
            && same_escaped(self.password.as_deref(), other.password.as_deref(), false)
            && self.host == other.host
            && self.port == other.port
            && self.params_match(other)
            && other.params_match(self)
            && self.headers_match(other)
    }

    /// Every parameter of ours that is also theirs has the same value, and those that change the
    /// meaning are there.
    fn params_match(&self, other: &Self) -> bool {
        self.params.iter().all(|(name, _)| {
            let name = unescape(name);
            let ours = first_param(&self.params, &name).flatten();
            match first_param(&other.params, &name) {
                Some(theirs) => same_escaped(ours, theirs, true),
                None => !["user", "ttl", "method", "maddr", "transport"]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(&name)),
            }
        })
    }

    /// Header components are never ignored; their order does not matter.
    fn headers_match(&self, other: &Self) -> bool {
        let sorted = |headers: Option<&str>| {
            let mut parts: Vec<String> = headers
                .unwrap_or("")
                .split('&')
                .map(|part| match part.split_once('=') {
                    Some((name, value)) => {
                        format!(
                            "{}={}",
                            unescape(name).to_ascii_lowercase(),
                            unescape(value)
                        )
                    }
                    None => unescape(part).to_ascii_lowercase(),
                })
                .collect();
            parts.sort_unstable();
            parts
        };
        match (self.headers.as_deref(), other.headers.as_deref()) {
            (None, None) => true,
            (ours, theirs) => sorted(ours) == sorted(theirs),
        }
    }
}

impl TelUri {
    fn parse(rest: &str) -> Result<Self, SyntaxError> {
        let (number, params) = match rest.find(';') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let digit =
            |b: u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#' | b'-' | b'.' | b'(' | b')');
        let digits = number.strip_prefix('+').unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(digit) {
            return Err(SyntaxError("bad number in tel URI"));
        }
        Ok(Self {
            number: number.into(),
            params: uri_params(params)?,
        })
    }

    /// The number without visual separators (RFC 3966 §5.1.1).
    pub fn digits(&self) -> String {
        self.number
            .chars()
            .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
            .collect()
    }

    fn matches(&self, other: &Self) -> bool {
        self.digits().eq_ignore_ascii_case(&other.digits())
            && self.params_within(other)
            && other.params_within(self)
    }

    /// Every parameter of ours is also theirs, with the same value.
    fn params_within(&self, other: &Self) -> bool {
        self.params.iter().all(|(name, _)| {
            let name = unescape(name);
            let ours = first_param(&self.params, &name).flatten();
            first_param(&other.params, &name).is_some_and(|theirs| same_escaped(ours, theirs, true))
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Tel(uri) => write!(f, "tel:{}{}", uri.number, uri.params),
            Self::Other(uri) => f.write_str(uri),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        write!(f, "{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        if let Some(headers) = &self.headers {
            write!(f, "?{headers}")?;
        }
        Ok(())
    }
}

/// URI parameters from `;` on. `%` and a few characters beyond `token` are allowed
/// (`paramchar`, RFC 3261 §25.1).
fn uri_params(text: &str) -> Result<Params, SyntaxError> {
    let mut params = Params::new();
    for param in text.split(';').skip(1) {
        let (name, value) = match param.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (param, None),
        };
        // Empty parameters (`;;`, or `;` at the end) are not in the grammar, but phones send them.
        if param.is_empty() {
            continue;
        }
        if name.is_empty() || !param.bytes().all(|b| is_paramchar(b) || b == b'=') {
            return Err(SyntaxError("bad URI parameter"));
        }
        params.append(name, value);
    }
    Ok(params)
}

/// The value of the first parameter with this decoded name. A name may stand only once (RFC 3261
/// §19.1.1); where it does not, the first one counts, so that every URI matches itself.
fn first_param<'a>(params: &'a Params, name: &str) -> Option<Option<&'a str>> {
    params
        .iter()
        .find(|(known, _)| unescape(known).eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
        )
}

fn is_paramchar(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$' | b'%')
}

/// `user`, and `#`, which phones send unescaped in feature codes. Characters beyond ASCII pass too.
fn is_user_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' | b'%' | b'#'
        )
        || byte >= 0x80
}

fn is_password_byte(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',' | b'%') || byte >= 0x80
}

/// Equal after decoding escapes. Absent equals only absent.
fn same_escaped(a: Option<&str>, b: Option<&str>, ignore_case: bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) if ignore_case => unescape(a).eq_ignore_ascii_case(&unescape(b)),
        (Some(a), Some(b)) => a == b || unescape(a) == unescape(b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |n: usize| bytes.get(at + n).and_then(|&b| char::from(b).to_digit(16));
        match (byte, hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two hex digits fit a byte"));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

fn escape_user(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for byte in user.bytes() {
        if is_unreserved(byte)
            || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
        {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
