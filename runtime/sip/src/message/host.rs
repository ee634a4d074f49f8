//! The host part of URIs and `Via`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::{SyntaxError, scan};

/// A host name or address (RFC 3261 §25.1 `host`). Names are compared without regard to case.
#[derive(Clone, Debug)]
pub enum Host {
    /// An address; IPv6 is written in brackets.
    Address(IpAddr),
    /// A domain name as written: letters, digits, `-`, `_` and dots.
    Name(Box<str>),
}

impl Host {
    /// Reads a host alone, without port.
    ///
    /// # Errors
    /// Characters that no host has, or brackets around something else than an IPv6 address.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if let Some(inner) = text.strip_prefix('[') {
            let address = inner
                .strip_suffix(']')
                .and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            return address
                .map(|address| Self::Address(IpAddr::V6(address)))
                .ok_or(SyntaxError("bad IPv6 address"));
        }
        if text.is_empty() {
            return Err(SyntaxError("empty host"));
        }
        // The underscore is not in the grammar, but is common in names of hosts inside a company.
        if !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        {
            return Err(SyntaxError("bad character in host"));
        }
        match text.parse::<std::net::Ipv4Addr>() {
            Ok(address) => Ok(Self::Address(IpAddr::V4(address))),
            Err(_) => Ok(Self::Name(text.into())),
        }
    }

    /// Reads `host [":" port]`, white space allowed around the colon as in `Via`.
    pub(crate) fn parse_with_port(text: &str) -> Result<(Self, Option<u16>), SyntaxError> {
        let host_end = if text.starts_with('[') {
            text.find(']').ok_or(SyntaxError("bad IPv6 address"))? + 1
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (host, rest) = text.split_at(host_end);
        let host = Self::parse(scan::trim_end(host))?;
        let rest = scan::trim(rest);
        if rest.is_empty() {
            return Ok((host, None));
        }
        let port = rest
            .strip_prefix(':')
            .ok_or(SyntaxError("junk after host"))?;
        let port = scan::port(scan::trim(port)).ok_or(SyntaxError("bad port"))?;
        Ok((host, Some(port)))
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(a), Self::Address(b)) => a == b,
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Address(_), Self::Name(_)) | (Self::Name(_), Self::Address(_)) => false,
        }
    }
}

impl Eq for Host {}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}
