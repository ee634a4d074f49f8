//! Which transports, ports and addresses a place has (RFC 3263 §4.1, §4.2).

use std::net::{IpAddr, SocketAddr};

use vocab::Mono;

use super::Families;
use super::cache::Known;
use super::order::{Server, by_family};
use super::place::{Place, is_name};
use super::record::{Kind, Naptr, Question, Record};
use crate::Transport;
use crate::message::Host;

/// What is known of a place so far.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// The ways, the preferred first.
    pub(super) ways: Vec<(Transport, Vec<Server>)>,
    /// What has to be asked before more can be said.
    pub(super) missing: Vec<Question>,
    /// How long this holds; `None` is for ever.
    pub(super) until: Option<Mono>,
    /// A lookup failed: more might be known otherwise.
    pub(super) failed: bool,
    /// The domain says that it does not offer this.
    pub(super) refused: bool,
}

/// Looks up what is known of a place; `look` never waits.
pub(super) fn select<'a>(
    place: &Place,
    families: Families,
    look: &dyn Fn(&Question) -> Known<'a>,
) -> Selection {
    let mut selector = Selector {
        families,
        look,
        found: Selection::default(),
    };
    selector.place(place);
    selector.found
}

struct Selector<'l, 'a> {
    families: Families,
    look: &'l dyn Fn(&Question) -> Known<'a>,
    found: Selection,
}

/// What is known of a service.
enum Service {
    /// Not yet.
    Unknown,
    /// It has no SRV records.
    Unnamed,
    /// The domain says that there is none.
    Refused,
    /// Some servers.
    Servers(Vec<Server>),
}

impl<'a> Selector<'_, 'a> {
    /// | host | port | transport | asked |
    /// |---|---|---|---|
    /// | address | any | given, else UDP (`sips`: TLS) | nothing |
    /// | name | given | given, else UDP (`sips`: TLS) | A, AAAA |
    /// | name | - | given | SRV, else A, AAAA |
    /// | name | - | - | NAPTR and SRV, else SRV of each transport, else A, AAAA |
    fn place(&mut self, place: &Place) {
        let usual = if place.secure {
            Transport::Tls
        } else {
            Transport::Udp
        };
        let transport = place.transport.unwrap_or(usual);
        let port = place.port.unwrap_or(transport.default_port());
        let name = match &place.host {
            Host::Address(ip) => return self.add(transport, vec![alone(*ip, port)]),
            Host::Name(name) => name,
        };
        if place.port.is_some() {
            self.plain(transport, name, port);
        } else if place.transport.is_some() {
            self.over(transport, name);
        } else {
            self.any(name, place.secure);
        }
    }

    /// Nobody has said how: the domain may (§4.1).
    fn any(&mut self, name: &str, secure: bool) {
        let Some(records) = self.ask(Kind::Naptr, name) else {
            return;
        };
        let records = records.iter().filter_map(|record| match record {
            Record::Naptr(naptr) => Some(naptr),
            Record::Srv(_) | Record::Address(_) => None,
        });
        let ours: Vec<&Naptr> = records.filter(|naptr| is_sip(naptr)).collect();
        if ours.is_empty() {
            return self.each(name, secure);
        }
        let mut usable: Vec<_> = ours
            .into_iter()
            .filter_map(|naptr| Some((carries(naptr, secure)?, naptr)))
            .collect();
        // Equals are sorted too, so that the same answer gives the same order.
        usable.sort_by_key(|(transport, it)| (it.order, it.preference, *transport));
        let Some(order) = usable.first().map(|(_, naptr)| naptr.order) else {
            self.found.refused = true;
            return;
        };
        // Once one of an order fits, later orders are not for us (RFC 3403 §4.1).
        usable.retain(|(_, naptr)| naptr.order == order);
        for (transport, naptr) in usable {
            if let Service::Servers(servers) = self.service(&naptr.replacement) {
                self.add(transport, servers);
            }
        }
    }

    /// The domain does not say how: every transport is tried that it has servers for (§4.1).
    fn each(&mut self, name: &str, secure: bool) {
        if secure {
            return self.over(Transport::Tls, name);
        }
        let both = [Transport::Udp, Transport::Tcp].map(|transport| {
            let service = self.service(&service_name(transport, name));
            (transport, service)
        });
        let is = |wanted: fn(&Service) -> bool| both.iter().all(|(_, service)| wanted(service));
        if is(|service| matches!(service, Service::Unnamed)) {
            return self.plain(Transport::Udp, name, Transport::Udp.default_port());
        }
        self.found.refused = is(|it| matches!(it, Service::Unnamed | Service::Refused));
        for (transport, service) in both {
            if let Service::Servers(servers) = service {
                self.add(transport, servers);
            }
        }
    }

    /// How is settled, the servers are not (§4.2).
    fn over(&mut self, transport: Transport, name: &str) {
        if transport.is_websocket() {
            // RFC 7118 §5.3 has the address of a web server, and those have no SRV records.
            return self.plain(transport, name, transport.default_port());
        }
        match self.service(&service_name(transport, name)) {
            Service::Unknown => {}
            Service::Unnamed => self.plain(transport, name, transport.default_port()),
            Service::Refused => self.found.refused = true,
            Service::Servers(servers) => self.add(transport, servers),
        }
    }

    /// The servers of a service, with their addresses (RFC 2782).
    fn service(&mut self, name: &str) -> Service {
        let Some(records) = self.ask(Kind::Srv, name) else {
            return Service::Unknown;
        };
        if records.is_empty() {
            return Service::Unnamed;
        }
        let mut servers = Vec::new();
        let mut unknown = false;
        let mut refused = true;
        for record in records {
            let Record::Srv(srv) = record else { continue };
            let target = srv.target.strip_suffix('.').unwrap_or(&srv.target);
            if target.is_empty() {
                continue;
            }
            refused = false;
            match self.host(target, srv.port) {
                Some(addresses) => servers.push(Server {
                    priority: srv.priority,
                    weight: srv.weight,
                    addresses,
                }),
                None => unknown = true,
            }
        }
        match (refused, unknown) {
            (true, _) => Service::Refused,
            (false, true) => Service::Unknown,
            (false, false) => Service::Servers(servers),
        }
    }

    /// A host without SRV records.
    fn plain(&mut self, transport: Transport, name: &str, port: u16) {
        if let Some(addresses) = self.host(name, port) {
            let server = Server {
                priority: 0,
                weight: 0,
                addresses,
            };
            self.add(transport, vec![server]);
        }
    }

    /// The addresses of a host, of the families we can use.
    fn host(&mut self, name: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let families = self.families;
        let mut of = |wanted: bool, kind| -> Option<Vec<IpAddr>> {
            if !wanted {
                return Some(Vec::new());
            }
            let records = self.ask(kind, name)?.iter();
            let ips = records.filter_map(|record| match record {
                // Nobody can be there.
                Record::Address(ip) if ip.is_unspecified() || ip.is_multicast() => None,
                Record::Address(ip) => Some(*ip),
                Record::Naptr(_) | Record::Srv(_) => None,
            });
            Some(ips.collect())
        };
        // Both are asked for at the same time.
        let (four, six) = (of(families.ipv4, Kind::A), of(families.ipv6, Kind::Aaaa));
        let ips = by_family(&four?, &six?).into_iter();
        Some(ips.map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// The records of a name; `None` if they have to be looked up first.
    fn ask(&mut self, kind: Kind, name: &str) -> Option<&'a [Record]> {
        let question = Question::new(kind, name);
        if !is_name(&question.name) {
            return Some(&[]);
        }
        let (records, until) = match (self.look)(&question) {
            Known::Records(records, until) => (records, until),
            Known::Failed(until) => {
                self.found.failed = true;
                (&[][..], until)
            }
            Known::Unknown => {
                if !self.found.missing.contains(&question) {
                    self.found.missing.push(question);
                }
                return None;
            }
        };
        let soonest = self.found.until.map_or(until, |soonest| soonest.min(until));
        self.found.until = Some(soonest);
        Some(records)
    }

    fn add(&mut self, transport: Transport, servers: Vec<Server>) {
        self.found.ways.push((transport, servers));
    }
}

fn alone(ip: IpAddr, port: u16) -> Server {
    Server {
        priority: 0,
        weight: 0,
        addresses: vec![SocketAddr::new(ip, port)],
    }
}

/// The name of a service (RFC 3263 §4.1, §4.2).
fn service_name(transport: Transport, name: &str) -> String {
    match transport {
        Transport::Udp => format!("_sip._udp.{name}"),
        Transport::Tcp | Transport::Ws | Transport::Wss => format!("_sip._tcp.{name}"),
        Transport::Tls => format!("_sips._tcp.{name}"),
    }
}

/// A record about SIP, whether we can use it or not.
fn is_sip(naptr: &Naptr) -> bool {
    let service = naptr.service.to_ascii_uppercase();
    service.starts_with("SIP+") || service.starts_with("SIPS+")
}

/// What a record about SIP leads to, if we can go there.
fn carries(naptr: &Naptr, secure: bool) -> Option<Transport> {
    if !naptr.flags.eq_ignore_ascii_case("s") || !naptr.regexp.is_empty() {
        return None;
    }
    let transport = match naptr.service.to_ascii_uppercase().as_str() {
        "SIP+D2U" => Transport::Udp,
        "SIP+D2T" => Transport::Tcp,
        "SIPS+D2T" => Transport::Tls,
        _ => return None,
    };
    (!secure || transport == Transport::Tls).then_some(transport)
}
