//! Who is called.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, anyhow};
use sip::message::{Host, Uri};

/// The port of SIP (RFC 3261 §18.1.1).
const PORT: u16 = 5060;

/// A `sip:` address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    uri: String,
    /// Its host, as written.
    pub(super) host: String,
    address: Option<IpAddr>,
    port: u16,
    /// It asks for TCP itself.
    pub(super) tcp: bool,
}

/// Reads `sip:1000@127.0.0.1:5060`; the scheme may be left out.
pub(super) fn parse(text: &str) -> Result<Target, String> {
    let example = "as in sip:1000@127.0.0.1";
    let lower = text.to_ascii_lowercase();
    let uri =
        if lower.starts_with("sip:") || lower.starts_with("sips:") || lower.starts_with("tel:") {
            text.to_owned()
        } else {
            format!("sip:{text}")
        };
    let sip = match Uri::parse(&uri) {
        Ok(Uri::Sip(sip)) => sip,
        Ok(Uri::Tel(_)) => {
            return Err(format!(
                "a number alone says not where; name a host, {example}"
            ));
        }
        Ok(Uri::Other(_)) => return Err(format!("not a SIP address, {example}")),
        Err(error) => return Err(format!("{error}; write it {example}")),
    };
    if sip.secure {
        return Err("sips: needs TLS, which is not there yet; use sip:".to_owned());
    }
    if sip.user.is_none() {
        return Err(format!("no number before the host; write it {example}"));
    }
    let address = match &sip.host {
        Host::Address(address) => Some(*address),
        Host::Name(_) => None,
    };
    let tcp = sip
        .params
        .value("transport")
        .is_some_and(|name| name.eq_ignore_ascii_case("tcp"));
    Ok(Target {
        host: sip.host.to_string(),
        address,
        port: sip.port.unwrap_or(PORT),
        tcp,
        uri,
    })
}

/// Reads the user to call as.
pub(super) fn user(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if !(1..=64).contains(&text.len()) || !text.chars().all(good) {
        return Err("not a name of letters, digits and . _ - +, as in 1001".to_owned());
    }
    Ok(text.to_owned())
}

impl Target {
    /// The URI of the request.
    pub(super) fn request_uri(&self) -> String {
        self.uri.clone()
    }

    /// Where requests are sent; of several addresses the first, IPv4 before IPv6.
    pub(super) fn resolve(&self) -> anyhow::Result<SocketAddr> {
        if let Some(address) = self.address {
            return Ok(SocketAddr::new(address, self.port));
        }
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found = found.with_context(|| format!("looking up {}", self.host))?;
        let first = found.min_by_key(|address| !address.is_ipv4());
        first.ok_or_else(|| anyhow!("{} has no address", self.host))
    }

    /// What to do if nothing answers there.
    pub(super) fn advice(&self) -> String {
        let Self { host, port, .. } = self;
        format!("start a server on {host}:{port} with `jackfield serve`, or check the address")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_good_and_bad() {
        for (text, host, port, tcp) in [
            ("sip:1000@127.0.0.1", "127.0.0.1", 5060, false),
            ("1000@127.0.0.1:5070", "127.0.0.1", 5070, false),
            (
                "sip:1000@example.com;transport=TCP",
                "example.com",
                5060,
                true,
            ),
            ("SIP:+861000@[::1]:5061", "[::1]", 5061, false),
        ] {
            let target = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(
                (target.host.as_str(), target.port, target.tcp),
                (host, port, tcp),
                "{text}"
            );
        }
        for bad in [
            "",
            "sip:127.0.0.1",
            "sips:1@h",
            "tel:+86100",
            "sip:1@",
            "http://x",
            "sip:1 2@h",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_need_no_look_up() {
        let target = parse("sip:1@[::1]:5061").unwrap();
        assert_eq!(target.resolve().unwrap(), "[::1]:5061".parse().unwrap());
    }
}
