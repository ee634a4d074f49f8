//! Who is called.

use std::fmt;

use anyhow::Context as _;
use sip::Transport;
use sip::locate::{self, Place};
use sip::message::{Host, Uri};

use crate::clock::Clock;
use crate::config::Dns;
use crate::dns;

/// A `sip:` address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    uri: String,
    /// Its host, as written.
    pub(super) host: Host,
    place: Place,
    /// What it asks for itself.
    transport: Option<Transport>,
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
    Ok(Target {
        place: Place::of_uri(&sip),
        transport: Transport::of_uri(&sip),
        host: sip.host,
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

    /// Where requests are sent: what answers first is used. `transport` goes before what the address
    /// asks for.
    ///
    /// # Errors
    /// The name is nowhere.
    pub(super) fn locate(
        &self,
        transport: Option<Transport>,
        dns: &Dns,
        clock: Clock,
    ) -> anyhow::Result<Vec<locate::Target>> {
        let place = self.place.clone();
        let transport = transport.or(place.transport);
        dns::find(&place.over(transport), dns, clock)
            .with_context(|| format!("looking up {}", self.host))
    }

    /// What to do if nothing answers there.
    pub(super) fn advice(&self) -> String {
        let host = &self.host;
        let transport = self.transport.unwrap_or(Transport::Udp);
        let port = self.place.port.unwrap_or(transport.default_port());
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
                (
                    target.host.to_string().as_str(),
                    target.place.port,
                    target.transport
                ),
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
        let at = |text, transport| {
            let target = parse(text).unwrap();
            let found = target.locate(transport, &Dns::default(), Clock::start());
            let found: Vec<String> = found.unwrap().iter().map(ToString::to_string).collect();
            found.join(", ")
        };
        assert_eq!(at("sip:1@[::1]:5061", None), "udp [::1]:5061");
        let tls = Some(Transport::Tls);
        assert_eq!(at("sip:1@192.0.2.1", tls), "tls 192.0.2.1:5061");
        assert_eq!(at("sips:1@192.0.2.1", None), "tls 192.0.2.1:5061");
        let tcp = "sip:1@192.0.2.1:9;transport=tcp";
        assert_eq!(at(tcp, None), "tcp 192.0.2.1:9");
        assert_eq!(at(tcp, Some(Transport::Udp)), "udp 192.0.2.1:9");
    }
}
