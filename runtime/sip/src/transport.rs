//! What carries messages, and what its names are in each place.

use crate::message::SipUri;

/// What carries a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams: one message each.
    Udp,
    /// A stream, framed by `Content-Length` (RFC 3261 §18.3).
    Tcp,
    /// The same inside TLS (RFC 3261 §26.2.1, RFC 5630).
    Tls,
    /// A WebSocket: one message in each of its messages (RFC 7118 §5).
    Ws,
    /// The same inside TLS.
    Wss,
}

impl Transport {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// Its name in `Via` (RFC 3261 §25.1, RFC 7118 §5.2).
    pub fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The value of a URI's `transport` parameter that leads here.
    ///
    /// RFC 7118 §5.2 knows `ws` alone, for both kinds: which of the two it is, the connection tells.
    pub fn uri_name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss => "ws",
        }
    }

    /// Reads a name of any of these places, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|transport| transport.via_name().eq_ignore_ascii_case(name))
    }

    /// What a URI asks for; `None` if it leaves the choice open (RFC 3263 §4.1).
    pub fn of_uri(uri: &SipUri) -> Option<Self> {
        let named = uri.params.value("transport").and_then(Self::from_name);
        match (named, uri.secure) {
            // `sips` with `tcp` is TLS over TCP (RFC 3261 §19.1.2), and there is none over UDP.
            (None | Some(Self::Udp | Self::Tcp | Self::Tls), true) => Some(Self::Tls),
            (Some(Self::Ws | Self::Wss), true) => Some(Self::Wss),
            (named, false) => named,
        }
    }

    /// The port of a URI or `Via` without one (RFC 3261 §18.2.2, §19.1.2; RFC 7118 §5.3).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// Nothing is lost on the way while the connection is up, so nothing is sent again.
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// Others on the way cannot read along.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// A WebSocket of either kind: the other side can be reached over its own connection only.
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Uri;

    #[test]
    fn uris_say_what_carries() {
        for (text, transport) in [
            ("sip:a@b", None),
            ("sip:a@b;transport=UDP", Some(Transport::Udp)),
            ("sip:a@b;transport=tcp", Some(Transport::Tcp)),
            ("sip:a@b;transport=tls", Some(Transport::Tls)),
            ("sip:a@b;transport=ws", Some(Transport::Ws)),
            ("sip:a@b;transport=wss", Some(Transport::Wss)),
            ("sip:a@b;transport=sctp", None),
            ("sips:a@b", Some(Transport::Tls)),
            ("sips:a@b;transport=tcp", Some(Transport::Tls)),
            ("sips:a@b;transport=ws", Some(Transport::Wss)),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!(Transport::of_uri(uri.sip().unwrap()), transport, "{text}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for transport in Transport::ALL {
            assert_eq!(Transport::from_name(transport.via_name()), Some(transport));
        }
        assert_eq!(Transport::from_name("SCTP"), None);
    }
}
