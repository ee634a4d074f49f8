//! `Via` (RFC 3261 §20.42).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{Host, Params, SyntaxError, scan};

/// One `Via` value: who sent the message, and where its answer goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Via {
    /// `UDP`, `TCP`, or what was written. Compared without regard to case; see [`Via::is`].
    pub transport: Box<str>,
    /// Host the sender wrote (`sent-by`).
    pub host: Host,
    /// Port the sender wrote.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params,
}

impl Via {
    /// What every `branch` of RFC 3261 begins with (§8.1.1.7).
    pub const MAGIC: &'static str = "z9hG4bK";

    /// A `Via` of our own that asks for `rport` (RFC 3581 §3).
    ///
    /// `branch` is given without the magic cookie.
    pub fn new(transport: &str, sent_by: SocketAddr, branch: &str) -> Self {
        let mut params = Params::new();
        params.set("branch", Some(&format!("{}{branch}", Self::MAGIC)));
        params.set("rport", None);
        Self {
            transport: transport.into(),
            host: sent_by.ip().into(),
            port: Some(sent_by.port()),
            params,
        }
    }

    /// Reads one value; commas must be split before.
    ///
    /// # Errors
    /// The protocol is not `SIP/2.0`, or a part does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (name, rest) = text.split_once('/').ok_or(SyntaxError("no protocol"))?;
        let (version, rest) = rest.split_once('/').ok_or(SyntaxError("no protocol"))?;
        if !scan::trim(name).eq_ignore_ascii_case("SIP") || scan::trim(version) != "2.0" {
            return Err(SyntaxError("protocol is not SIP/2.0"));
        }
        let rest = scan::trim(rest);
        let end = rest.find([' ', '\t']).ok_or(SyntaxError("no sent-by"))?;
        let (transport, rest) = rest.split_at(end);
        if !scan::is_token(transport) {
            return Err(SyntaxError("transport is no token"));
        }
        let (sent_by, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = Host::parse_with_port(scan::trim(sent_by))?;
        Ok(Self {
            transport: transport.into(),
            host,
            port,
            params: Params::parse(params)?,
        })
    }

    /// The transport is this one, such as `UDP`.
    pub fn is(&self, transport: &str) -> bool {
        self.transport.eq_ignore_ascii_case(transport)
    }

    /// The `branch`.
    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch")
    }

    /// The `branch`, if it names the transaction alone: it has the magic cookie and more
    /// (RFC 3261 §17.2.3). Otherwise the request is matched as RFC 2543 did.
    pub fn transaction_branch(&self) -> Option<&str> {
        let branch = self.branch()?;
        let cookie = branch.get(..Self::MAGIC.len())?;
        (cookie.eq_ignore_ascii_case(Self::MAGIC) && branch.len() > Self::MAGIC.len())
            .then_some(branch)
    }

    /// The `received` address. Brackets around IPv6 are optional here (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let value = self.params.value("received")?;
        value
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .ok()
    }

    /// The `rport` value; `None` if it is absent, empty or no port.
    pub fn rport(&self) -> Option<u16> {
        self.params.value("rport").and_then(scan::port)
    }

    /// The sender asks for the source port to be written here (RFC 3581 §3).
    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// Writes down where the request came from: `received` if it differs from the host or `rport`
    /// was asked for, and `rport` if asked for (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn note_source(&mut self, source: SocketAddr) {
        if self.wants_rport() {
            self.params.set("rport", Some(&source.port().to_string()));
        }
        if self.wants_rport() || self.host.address() != Some(source.ip()) {
            self.params.set("received", Some(&source.ip().to_string()));
        } else {
            self.params.remove("received");
        }
    }

    /// Where an answer goes over UDP (RFC 3261 §18.2.2, RFC 3581 §4), apart from `maddr`, which is
    /// not followed: it would let anybody aim our answers. `None` if the host is a name and nothing
    /// was received.
    pub fn reply_to(&self) -> Option<SocketAddr> {
        let address = self.received().or_else(|| self.host.address())?;
        let port = self.rport().or(self.port).unwrap_or(5060);
        Some(SocketAddr::new(address, port))
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}
