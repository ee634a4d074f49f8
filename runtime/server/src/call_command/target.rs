//! Who is called.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, anyhow};
use sip::Transport;
use sip::message::{Host, Uri};

/// A `sip:` address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    uri: String,
    /// Its host, as written.
    pub(super) host: String,
    address: Option<IpAddr>,
    port: Option<u16>,
    /// What it asks for itself.
    pub(super) transport: Option<Transport>,
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
    if sip.user.is_none() {
        return Err(format!("no number before the host; write it {example}"));
    }
    let address = match &sip.host {
        Host::Address(address) => Some(*address),
        Host::Name(_) => None,
    };
    let transport = Transport::of_uri(&sip);
    Ok(Target {
        host: sip.host.to_string(),
        address,
        port: sip.port,
        transport,
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

    /// The user part.
    pub(super) fn user(&self) -> String {
        let parsed = Uri::parse(&self.uri).ok();
        let user = parsed
            .as_ref()
            .and_then(Uri::sip)
            .and_then(|uri| uri.user_decoded());
        user.map(|user| user.to_string()).unwrap_or_default()
    }

    /// Where requests are sent; of several addresses the first, IPv4 before IPv6.
    pub(super) fn resolve(&self, transport: Transport) -> anyhow::Result<SocketAddr> {
        let port = self.port.unwrap_or(transport.default_port());
        if let Some(address) = self.address {
            return Ok(SocketAddr::new(address, port));
        }
        let found = (self.host.as_str(), port).to_socket_addrs();
        let found = found.with_context(|| format!("looking up {}", self.host))?;
        let first = found.min_by_key(|address| !address.is_ipv4());
        first.ok_or_else(|| anyhow!("{} has no address", self.host))
    }

    /// What to do if nothing answers there.
    pub(super) fn advice(&self) -> String {
        let host = &self.host;
        let transport = self.transport.unwrap_or(Transport::Udp);
        let port = self.port.unwrap_or(transport.default_port());
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
        let tcp = Some(Transport::Tcp);
        let tls = Some(Transport::Tls);
        for (text, host, port, transport) in [
            ("sip:1000@127.0.0.1", "127.0.0.1", None, None),
            ("1000@127.0.0.1:5070", "127.0.0.1", Some(5070), None),
            ("sip:1@example.com;transport=TCP", "example.com", None, tcp),
            ("sips:1@example.com", "example.com", None, tls),
            ("SIP:+861000@[::1]:5061", "[::1]", Some(5061), None),
        ] {
            let target = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(
                (target.host.as_str(), target.port, target.transport),
                (host, port, transport),
                "{text}"
            );
        }
        for bad in [
            "",
            "sip:127.0.0.1",
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
        let given = target.resolve(Transport::Udp).unwrap();
        assert_eq!(given, "[::1]:5061".parse().unwrap());
        let target = parse("sip:1@192.0.2.1").unwrap();
        let default = target.resolve(Transport::Tls).unwrap();
        assert_eq!(default, "192.0.2.1:5061".parse().unwrap());
    }
}
