//! Where signalling is received, and with which certificate.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use sip::Transport;

use super::reader::{At, Table};
use super::{Sip, Tls, limits};
use crate::net::tls::Setup;

const ADDRESS: &str = "an address with a port, as in \"127.0.0.1:5060\"";
const HOST: &str = "an IP address, as in \"192.0.2.1\"";

/// Listeners as they are read.
pub(super) struct Listeners {
    pub(super) all: Vec<(Transport, SocketAddr)>,
    /// The first that needs a certificate.
    pub(super) secure: Option<(&'static str, usize)>,
    /// Those on all addresses, by name.
    everywhere: Vec<(&'static str, At<SocketAddr>)>,
}

/// Reads the keys of all transports. UDP and TCP have a default, the others listen nowhere by
/// themselves.
pub(super) fn read(table: &mut Table<'_>, default: SocketAddr) -> Listeners {
    let mut listeners = Listeners {
        all: Vec::new(),
        secure: None,
        everywhere: Vec::new(),
    };
    let mut udp = default;
    for (key, transport) in [
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
        ("ws", Transport::Ws),
        ("wss", Transport::Wss),
    ] {
        let given = addresses(table, key);
        if transport == Transport::Udp {
            udp = given.first().map_or(default, |first| first.value);
            one_a_family(table, &given);
        }
        for address in &given {
            if transport.is_secure() {
                listeners.secure.get_or_insert((key, address.at));
            }
            if address.value.ip().is_unspecified() {
                listeners.everywhere.push((key, *address));
            }
            listeners.all.push((transport, address.value));
        }
        if given.is_empty() && matches!(transport, Transport::Udp | Transport::Tcp) {
            listeners.all.push((transport, udp));
        }
    }
    listeners
}

fn addresses(table: &mut Table<'_>, key: &'static str) -> Vec<At<SocketAddr>> {
    let texts = table.text_or_texts(key);
    if texts.len() > limits::LISTENERS_MAX {
        let most = limits::LISTENERS_MAX;
        let what = format!("{key} has more than {most} addresses; 0.0.0.0 stands for all");
        table.source.error(texts.first().map(|text| text.at), what);
    }
    let mut seen = BTreeSet::new();
    let mut addresses = Vec::new();
    for text in texts.into_iter().take(limits::LISTENERS_MAX) {
        let at = text.at;
        match text.value.parse::<SocketAddr>() {
            Ok(value) if !seen.insert(value) => {
                let what = format!("{key} names {value} twice; once is enough");
                table.source.error(Some(at), what);
            }
            Ok(value) => addresses.push(At { value, at }),
            Err(_) => {
                let what = format!("{key} = {:?} is not {ADDRESS}", text.value);
                table.source.error(Some(at), what);
            }
        }
    }
    addresses
}

/// What is sent over UDP leaves by the socket of its family, so there is one of each.
fn one_a_family(table: &Table<'_>, given: &[At<SocketAddr>]) {
    for (index, address) in given.iter().enumerate() {
        let mut before = given[..index].iter();
        if before.any(|other| other.value.is_ipv4() == address.value.is_ipv4()) {
            let what = "udp takes one IPv4 and one IPv6 address; 0.0.0.0 and [::] stand for all";
            table.source.error(Some(address.at), what);
        }
    }
}

/// The addresses peers are told, one a family; must be given for what listens on all of them.
pub(super) fn advertise(table: &mut Table<'_>, listeners: &Listeners) -> Vec<IpAddr> {
    let mut advertised: Vec<IpAddr> = Vec::new();
    let texts = table.text_or_texts("advertise");
    for text in &texts {
        match text.value.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => {
                let what = "advertise stands for all addresses; name the one that phones can reach";
                table.source.error(Some(text.at), what);
            }
            Ok(ip) if advertised.iter().any(|own| own.is_ipv4() == ip.is_ipv4()) => {
                let what = "advertise takes one IPv4 and one IPv6 address";
                table.source.error(Some(text.at), what);
            }
            Ok(ip) => advertised.push(ip),
            Err(_) => {
                let what = format!("advertise = {:?} is not {HOST}", text.value);
                table.source.error(Some(text.at), what);
            }
        }
    }
    for (key, address) in &listeners.everywhere {
        let is_ipv4 = address.value.is_ipv4();
        let told = advertised.iter().any(|own| own.is_ipv4() == is_ipv4);
        // Two transports of one line need one hint, and wrong values have had theirs.
        if !told && (texts.is_empty() || !advertised.is_empty()) {
            let what = format!(
                "{key} listens on all addresses; add advertise with the one that phones reach"
            );
            table.source.error(Some(address.at), what);
        }
    }
    if let (true, Some((_, udp))) = (advertised.is_empty(), listeners.all.first())
        && !udp.ip().is_unspecified()
    {
        advertised.push(udp.ip());
    }
    advertised
}

/// Reads `[tls]`.
pub(super) fn tls(mut table: Table<'_>, listeners: &Listeners) -> Tls {
    let certificate = table.path("certificate");
    let key = table.path("key");
    let client_ca = table.path("client_ca").map(|path| path.value);
    let ca = table.path("ca").map(|path| path.value);
    let insecure = table.truth("insecure").unwrap_or(false);
    let self_signed = table.truth("self_signed").unwrap_or(false);
    let at = certificate.as_ref().or(key.as_ref()).map(|path| path.at);
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate.value, key.value)),
        (None, None) => None,
        (Some(_), None) => {
            let what = "certificate has no key; add key with the PEM file of its private key";
            table.source.error(at, what);
            None
        }
        (None, Some(_)) => {
            let what = "key has no certificate; add certificate with its PEM file";
            table.source.error(at, what);
            None
        }
    };
    if self_signed && identity.is_some() {
        let what = "self_signed makes a certificate, and another one is named; leave one out";
        table.source.error(at, what);
    }
    if let (Some((key, at)), None, false) = (listeners.secure, at, self_signed) {
        let what = format!(
            "{key} needs a certificate; add certificate and key under [tls], or self_signed = true \
             to try it out"
        );
        table.source.error(Some(at), what);
    }
    if insecure {
        let what = "insecure = true: connections to carriers can be read along and changed by \
                    others; use ca instead";
        table.source.warning(table.at, what);
    }
    table.finish();
    Tls {
        setup: Setup {
            identity,
            client_ca,
            ca,
            insecure,
        },
        self_signed,
    }
}

/// Pages that may connect over WebSockets.
pub(super) fn origins(table: &mut Table<'_>) -> Vec<String> {
    let mut origins = Vec::new();
    for text in table.texts("origins") {
        let web = text.value == "*"
            || text.value.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/')
            });
        if web {
            origins.push(text.value.to_owned());
        } else {
            let what = format!(
                "origins has {:?}, which is not an origin as in \"https://phone.example.com\"",
                text.value
            );
            table.source.error(Some(text.at), what);
        }
    }
    origins
}

impl Sip {
    /// What peers are told to send to: for each transport and family the advertised address, or
    /// else the one that is bound.
    pub fn addresses(&self) -> Vec<(Transport, SocketAddr)> {
        let listeners = self.listeners.iter();
        let told = listeners.filter_map(|(transport, bind)| {
            let mut advertised = self.advertised.iter();
            let advertised = advertised.find(|own| own.is_ipv4() == bind.is_ipv4());
            let ip = match advertised {
                Some(ip) => *ip,
                None if bind.ip().is_unspecified() => return None,
                None => bind.ip(),
            };
            Some((*transport, SocketAddr::new(ip, bind.port())))
        });
        told.collect()
    }

    /// Where datagrams are received.
    pub fn datagrams(&self) -> Vec<SocketAddr> {
        let listeners = self.listeners.iter();
        let udp = listeners.filter(|(transport, _)| !transport.is_reliable());
        udp.map(|(_, at)| *at).collect()
    }

    /// Where streams are accepted.
    pub fn streams(&self) -> Vec<(Transport, SocketAddr)> {
        let listeners = self.listeners.iter();
        let streams = listeners.filter(|(transport, _)| transport.is_reliable());
        streams.copied().collect()
    }
}
