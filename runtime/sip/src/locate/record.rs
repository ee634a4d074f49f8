//! Questions for DNS servers, and their answers.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// One lookup; given out by the [`Locator`](super::Locator).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LookupId(pub u64);

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Transports of a domain (RFC 3403).
    Naptr,
    /// Servers of a service (RFC 2782).
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
}

/// A question. Aliases (CNAME) are followed by whoever answers it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Question {
    /// In lower case, without the final dot.
    pub name: String,
    /// What of it.
    pub kind: Kind,
}

impl Question {
    pub(super) fn new(kind: Kind, name: &str) -> Self {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        Self { name, kind }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Naptr => "NAPTR",
            Kind::Srv => "SRV",
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
        };
        write!(f, "{kind} {}", self.name)
    }
}

/// What a server says. No records: there are none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// In the server's order. Of other kinds than was asked for: not looked at.
    pub records: Vec<Record>,
    /// How long it holds: the shortest of the records, or of the negative answer (RFC 2308 §5).
    /// `None` if the server does not say.
    pub ttl: Option<Duration>,
}

/// There is no answer: no server was reached in time, or it failed. Not the same as an answer
/// without records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoAnswer;

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// See [`Naptr`].
    Naptr(Naptr),
    /// See [`Srv`].
    Srv(Srv),
    /// Of a host.
    Address(IpAddr),
}

/// How a domain may be reached (RFC 3403 §4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Naptr {
    /// The lowest of those that can be used is used.
    pub order: u16,
    /// Within an order the lower goes first.
    pub preference: u16,
    /// `s`: the replacement is looked up as SRV. RFC 3263 knows no other.
    pub flags: String,
    /// As in `SIP+D2U`.
    pub service: String,
    /// Not empty: the replacement is not used, and neither is the record.
    pub regexp: String,
    /// Where to go on.
    pub replacement: String,
}

/// A server of a service (RFC 2782).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Srv {
    /// The lower goes first.
    pub priority: u16,
    /// Share among those of a priority.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its host; `.` says that there is no such service.
    pub target: String,
}
