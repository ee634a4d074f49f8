//! `[dns]`: who is asked for the addresses of names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Dns;
use super::limits::DNS_SERVERS_MAX;
use super::reader::Table;

/// Seconds for an answer. A server that is there takes some 50 ms, a second one is asked beside it.
pub(super) const TIMEOUT_S: u64 = 2;

/// The port of DNS (RFC 1035 §4.2.1).
const PORT: u16 = 53;

pub(super) fn read(mut table: Table<'_>) -> Dns {
    let texts = table.text_or_texts("servers");
    let mut servers = Vec::new();
    for text in &texts {
        match server(text.value) {
            Ok(server) => servers.push(server),
            Err(why) => {
                let what = format!("server {:?} is {why}", text.value);
                table.source.error(Some(text.at), what);
            }
        }
    }
    if let Some(text) = texts.get(DNS_SERVERS_MAX) {
        let what = format!("more than {DNS_SERVERS_MAX} servers; name the nearest ones");
        table.source.error(Some(text.at), what);
    }
    let timeout = table.whole("timeout_s", 1..=3).unwrap_or(TIMEOUT_S);
    table.finish();
    Dns {
        servers,
        timeout: Duration::from_secs(timeout),
    }
}

/// Reads an address with or without a port.
///
/// # Errors
/// What is wrong with it, to be put behind "is".
pub(crate) fn server(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    alone
        .or_else(|_| text.parse())
        .map_err(|_| "not an IP address, as in \"192.0.2.53\"".to_owned())
}
