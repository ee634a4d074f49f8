//! What is looked for, and what is found.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::message::{Host, SipUri, SyntaxError};
use crate::{Hop, Transport};

/// Where requests are to go, as somebody wrote it: a host, and what else is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// A name or an address.
    pub host: Host,
    /// Written beside it.
    pub port: Option<u16>,
    /// Asked for: by a URI's `transport` parameter or by a setting.
    pub transport: Option<Transport>,
    /// Nothing but TLS will do, as for `sips`.
    pub secure: bool,
}

impl Place {
    /// The place that a URI names: its `maddr`, else its host (RFC 3263 §4, TARGET).
    pub fn of_uri(uri: &SipUri) -> Self {
        let other = uri.params.value("maddr");
        let other = other.and_then(|host| Host::parse(host).ok());
        Self {
            host: other.unwrap_or_else(|| uri.host.clone()),
            port: uri.port,
            transport: Transport::of_uri(uri).filter(|_| uri.params.has("transport")),
            secure: uri.secure,
        }
    }

    /// The same over something else.
    #[must_use]
    pub fn over(self, transport: Option<Transport>) -> Self {
        Self { transport, ..self }
    }

    /// The address, if it is one: nothing is looked up then.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.address()
    }
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: Host::Address(address.ip()),
            port: Some(address.port()),
            transport: None,
            secure: false,
        }
    }
}

impl FromStr for Place {
    type Err = SyntaxError;

    /// Reads `host` or `host:port`.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let (host, port) = Host::parse_with_port(text)?;
        if let Host::Name(name) = &host
            && !is_name(name)
        {
            return Err(SyntaxError("bad host name"));
        }
        if port == Some(0) {
            return Err(SyntaxError("bad port"));
        }
        Ok(Self {
            host,
            port,
            transport: None,
            secure: false,
        })
    }
}

impl fmt::Display for Place {
    /// `host` or `host:port`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// An address to send to, and how.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Target {
    /// What carries the requests.
    pub transport: Transport,
    /// Where they go.
    pub address: SocketAddr,
}

impl Target {
    /// The way there, over any stream.
    pub fn hop(self) -> Hop {
        Hop {
            transport: self.transport,
            remote: self.address,
            conn: None,
        }
    }
}

impl fmt::Display for Target {
    /// `udp 192.0.2.1:5060`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.transport.via_name().to_ascii_lowercase();
        write!(f, "{name} {}", self.address)
    }
}

/// A domain name that can be asked for: labels of 1 to 63 characters, 253 in all (RFC 1035 §2.3.4),
/// without the final dot.
pub(super) fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(good)
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Uri;

    #[test]
    fn places_are_read_and_written() {
        for text in [
            "192.0.2.1",
            "192.0.2.1:5070",
            "[2001:db8::1]:5060",
            "sip.example.com",
            "sip.example.com:5070",
            "pbx",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "a..b",
            ".a",
            "a b",
            "sip:a",
            "a:0",
            "a:65536",
            "2001:db8::1",
            "a/24",
            &"a".repeat(64),
            &"a.".repeat(127),
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_uri_names_a_place() {
        for (text, place, transport, secure) in [
            ("sip:a@example.com", "example.com", None, false),
            ("sips:a@example.com:5071", "example.com:5071", None, true),
            (
                "sip:a@example.com;maddr=192.0.2.7;transport=tcp",
                "192.0.2.7",
                Some(Transport::Tcp),
                false,
            ),
            (
                "sips:a@example.com;transport=tcp",
                "example.com",
                Some(Transport::Tls),
                true,
            ),
        ] {
            let uri = Uri::parse(text).unwrap();
            let found = Place::of_uri(uri.sip().unwrap());
            assert_eq!(
                (found.to_string().as_str(), found.transport, found.secure),
                (place, transport, secure),
                "{text}"
            );
        }
    }
}
