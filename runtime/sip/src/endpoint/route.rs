//! Where messages go: the answer to a request, and the requests of a dialog.

use std::net::{IpAddr, SocketAddr};

use crate::message::{self, HeaderName, Host, Message, NameAddr, SipUri, Uri, Via};
use crate::{Hop, Transport};

/// Where the answers to a request go (RFC 3261 §18.2.2, RFC 3581 §4).
///
/// `via` is the top one with the source noted in it. Over a stream, `remote` is where a new stream
/// is opened to should the old one be gone.
pub(crate) fn reply_hop(via: &Via, seen: Hop) -> Hop {
    let remote = match seen.transport {
        Transport::Udp => via.reply_to().unwrap_or(seen.remote),
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
            let port = via.port.unwrap_or(seen.transport.default_port());
            SocketAddr::new(seen.remote.ip(), port)
        }
    };
    Hop {
        transport: seen.transport,
        remote,
        conn: seen.conn,
    }
}

/// Where the requests of a dialog go: to the first of its routes or else its remote target
/// (RFC 3261 §12.2.1.1), if that is an address and one that can be meant; otherwise to `seen`,
/// where the far end was last heard from.
///
/// Names are not looked up here: whoever called or answered us from an address can be reached
/// there.
pub(crate) fn dialog_hop(routes: &[Box<str>], target: &str, seen: Hop) -> Hop {
    let first = match routes.first() {
        Some(route) => NameAddr::parse(route).ok().map(|route| route.uri),
        // A GRUU names the registrar that gave it, which may be us, and not where the device is.
        None => Uri::parse(target).ok().filter(|uri| !is_gruu(uri)),
    };
    match first
        .as_ref()
        .and_then(Uri::sip)
        .and_then(|uri| uri_hop(uri, seen))
    {
        Some(hop) => hop,
        None => seen,
    }
}

fn is_gruu(uri: &Uri) -> bool {
    uri.sip().is_some_and(|uri| uri.params.has("gr"))
}

/// The host that a request of ours is meant for: that of its first `Route`, or else of its URI. It
/// is what the certificate of the other side must name (RFC 5922 §7.1).
pub fn next_host(message: &[u8]) -> Option<Host> {
    let Ok(Message::Request(request)) = message::parse(message) else {
        return None;
    };
    let uri = match request.headers.first(&HeaderName::Route) {
        Some(route) => NameAddr::parse(route).ok()?.uri,
        None => request.parse_uri().ok()?,
    };
    uri.sip().map(|uri| uri.host.clone())
}

/// Both URIs name the same host and port.
pub(crate) fn same_place(a: &str, b: &str) -> bool {
    let place = |text| {
        let uri = Uri::parse(text).ok()?;
        let uri = uri.sip()?;
        let transport = Transport::of_uri(uri).unwrap_or(Transport::Udp);
        let port = uri.port.unwrap_or(transport.default_port());
        Some((uri.host.address()?, port))
    };
    place(a).is_some_and(|known| place(b) == Some(known))
}

fn uri_hop(uri: &SipUri, seen: Hop) -> Option<Hop> {
    let ip = uri.host.address()?;
    if is_local(ip) && !is_local(seen.remote.ip()) {
        // A phone behind NAT wrote down an address that means nothing here.
        return None;
    }
    if ip.is_unspecified() || ip.is_ipv4() != seen.remote.is_ipv4() {
        return None;
    }
    let transport = match Transport::of_uri(uri) {
        // `ws` stands for both kinds, and `sips` for both that are secure: then it is what it was.
        Some(Transport::Ws) if seen.transport == Transport::Wss => seen.transport,
        Some(Transport::Tls) if seen.transport == Transport::Wss && uri.secure => seen.transport,
        Some(transport) => transport,
        None => seen.transport,
    };
    let remote = SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port()));
    // The stream the far end opened is kept while it lasts: behind it may be a firewall that lets
    // no other through.
    let conn = seen
        .conn
        .filter(|_| transport.is_reliable() && seen.transport == transport);
    Some(Hop {
        transport,
        remote,
        conn,
    })
}

/// The request came straight from a user agent whose own address is not the one it was seen at,
/// so its `Contact` is no better.
pub(crate) fn is_natted(via: &Via, via_count: usize, source: IpAddr) -> bool {
    via_count == 1 && via.host.address().is_some_and(|host| host != source)
}

/// Addresses that mean something only inside one network: RFC 1918, RFC 4193, RFC 6598, loopback
/// and link-local.
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnId;

    fn udp(remote: &str) -> Hop {
        Hop {
            transport: Transport::Udp,
            remote: remote.parse().unwrap(),
            conn: None,
        }
    }

    #[test]
    fn answers_over_udp_follow_the_via() {
        let source: SocketAddr = "198.51.100.7:40000".parse().unwrap();
        for (via, expected) in [
            (
                "SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1",
                "198.51.100.7:5060",
            ),
            (
                "SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK1",
                "198.51.100.7:5070",
            ),
            (
                "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1",
                "198.51.100.7:5070",
            ),
            (
                "SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1",
                "198.51.100.7:40000",
            ),
            (
                "SIP/2.0/UDP phone.example:5070;branch=z9hG4bK1",
                "198.51.100.7:5070",
            ),
            // RFC 3261 §18.2.2 would send it to maddr: anybody could aim our answers with it.
            (
                "SIP/2.0/UDP 198.51.100.7;maddr=203.0.113.1;branch=z9hG4bK1",
                "198.51.100.7:5060",
            ),
        ] {
            let mut parsed = Via::parse(via).unwrap();
            parsed.note_source(source);
            let hop = reply_hop(&parsed, udp("198.51.100.7:40000"));
            assert_eq!(hop.remote, expected.parse().unwrap(), "{via}");
        }
    }

    #[test]
    fn requests_of_a_dialog_follow_route_then_target_then_source() {
        let seen = udp("198.51.100.7:40000");
        for (route, target, expected) in [
            (None, "sip:bob@198.51.100.9:5070", "198.51.100.9:5070"),
            (None, "sip:bob@198.51.100.9", "198.51.100.9:5060"),
            (
                Some("<sip:203.0.113.5;lr>"),
                "sip:bob@198.51.100.9:5070",
                "203.0.113.5:5060",
            ),
            (None, "sip:bob@bob.example", "198.51.100.7:40000"),
            (None, "sip:bob@192.168.1.5:5070", "198.51.100.7:40000"),
            (None, "tel:+1", "198.51.100.7:40000"),
            // A public GRUU: its host is the registrar's.
            (
                None,
                "sip:bob@192.0.2.2;gr=urn:uuid:f81d4fae",
                "198.51.100.7:40000",
            ),
            (None, "sip:bob@[2001:db8::1]:5070", "198.51.100.7:40000"),
        ] {
            let routes: Vec<Box<str>> = route.into_iter().map(Into::into).collect();
            assert_eq!(
                dialog_hop(&routes, target, seen).remote,
                expected.parse().unwrap(),
                "{target}"
            );
        }
    }

    #[test]
    fn a_stream_is_kept_for_the_dialog() {
        let seen = Hop {
            transport: Transport::Tcp,
            remote: "198.51.100.7:40000".parse().unwrap(),
            conn: Some(ConnId(3)),
        };
        let hop = dialog_hop(&[], "sip:bob@198.51.100.7:5060;transport=tcp", seen);
        assert_eq!(hop.conn, Some(ConnId(3)));
        let hop = dialog_hop(&[], "sip:bob@198.51.100.7:5060;transport=udp", seen);
        assert_eq!((hop.transport, hop.conn), (Transport::Udp, None));
    }
}
