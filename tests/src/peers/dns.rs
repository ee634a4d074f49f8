//! A DNS server on loopback, over UDP, with a zone of a few records (RFC 1035 §4).

// A server has a socket and a thread.
#![allow(clippy::disallowed_methods)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is said of a name.
#[derive(Clone, Debug)]
pub enum Data {
    /// An address.
    A(IpAddr),
    /// Another name for it.
    Cname(&'static str),
    /// Priority, weight, port and host of a server.
    Srv(u16, u16, u16, &'static str),
    /// Order, preference, service and where to go on.
    Naptr(u16, u16, &'static str, &'static str),
}

impl Data {
    /// Its type (RFC 1035 §3.2.2, RFC 2782, RFC 3403, RFC 3596).
    fn number(&self) -> u16 {
        match self {
            Self::A(IpAddr::V4(_)) => 1,
            Self::A(IpAddr::V6(_)) => 28,
            Self::Cname(_) => 5,
            Self::Srv(..) => 33,
            Self::Naptr(..) => 35,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::A(IpAddr::V4(ip)) => out.extend(ip.octets()),
            Self::A(IpAddr::V6(ip)) => out.extend(ip.octets()),
            Self::Cname(host) => name(&mut out, host),
            Self::Srv(priority, weight, port, host) => {
                for number in [priority, weight, port] {
                    out.extend(number.to_be_bytes());
                }
                name(&mut out, host);
            }
            Self::Naptr(order, preference, service, replacement) => {
                out.extend(order.to_be_bytes());
                out.extend(preference.to_be_bytes());
                for text in ["s", *service, ""] {
                    out.push(u8::try_from(text.len()).expect("short"));
                    out.extend(text.bytes());
                }
                name(&mut out, replacement);
            }
        }
        out
    }
}

/// Names and what is said of them.
pub type Zone = Vec<(&'static str, Data)>;

/// The server. Stops when dropped.
#[derive(Debug)]
pub struct DnsServer {
    /// Where it answers.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DnsServer {
    /// Starts it; its records hold for so many seconds.
    ///
    /// # Panics
    /// If loopback has no port.
    pub fn start(zone: Zone, ttl_s: u32) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = socket.local_addr().expect("bound");
        let turn = Some(Duration::from_millis(200));
        socket.set_read_timeout(turn).expect("a time to wait");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (notes, end) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 1_500];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else {
                    continue;
                };
                let Some((answer, what)) = answer(&zone, ttl_s, &bytes[..length]) else {
                    continue;
                };
                notes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(what);
                drop(socket.send_to(&answer, from));
            }
        });
        Self {
            address,
            asked,
            stop,
            thread: Some(thread),
        }
    }

    /// What it was asked, as `33 _sip._udp.example`.
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn name(out: &mut Vec<u8>, text: &str) {
    for label in text.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).expect("short"));
        out.extend(label.bytes());
    }
    out.push(0);
}

/// The answer to a query, and what was asked.
fn answer(zone: &Zone, ttl_s: u32, query: &[u8]) -> Option<(Vec<u8>, String)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let asked = labels.join(".");
    let number = u16::from_be_bytes(query.get(at..at + 2)?.try_into().ok()?);
    let question = query.get(12..at + 4)?;

    // Aliases are followed here, as a resolver does.
    let mut found: Vec<(&str, &Data)> = Vec::new();
    let mut owner = asked.as_str();
    for _ in 0..8 {
        let of_owner = zone.iter().filter(|(name, _)| *name == owner);
        let alias = of_owner.clone().find_map(|(name, data)| match data {
            Data::Cname(target) => Some((*name, data, *target)),
            Data::A(_) | Data::Srv(..) | Data::Naptr(..) => None,
        });
        let wanted = of_owner.filter(|(_, data)| data.number() == number);
        found.extend(wanted.map(|(name, data)| (*name, data)));
        let Some((name, data, target)) = alias else {
            break;
        };
        found.push((name, data));
        owner = target;
    }
    let exists = zone.iter().any(|(name, _)| name.ends_with(&asked));
    let code: u16 = if found.is_empty() && !exists { 3 } else { 0 };

    let mut out = query.get(..2)?.to_vec();
    // An answer with authority, recursion wanted and to be had.
    out.extend((0x8580 | code).to_be_bytes());
    let records = u16::try_from(found.len()).ok()?;
    for count in [1, records, 0, 0] {
        out.extend(count.to_be_bytes());
    }
    out.extend(question);
    for (owner, data) in found {
        name(&mut out, owner);
        out.extend(data.number().to_be_bytes());
        out.extend(1_u16.to_be_bytes());
        out.extend(ttl_s.to_be_bytes());
        let bytes = data.bytes();
        out.extend(u16::try_from(bytes.len()).ok()?.to_be_bytes());
        out.extend(bytes);
    }
    Some((out, format!("{number} {asked}")))
}
