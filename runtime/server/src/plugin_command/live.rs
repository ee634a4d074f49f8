//! What a running server says about its plugins.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use vocab::flow::PluginRef;

use crate::ask::exchange;
use crate::config::Http;

/// Longest wait for the server, which is near or not there.
const WAIT: Duration = Duration::from_secs(2);

/// Longest answer that is read: a thousand plugins take some 200 KB.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Where it is asked.
const PATH: &str = "/api/v1/plugins";

/// One version in the server. Fields that are not named here are left alone: the API may grow.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct Live {
    name: String,
    version: String,
    /// `current`, `standby` or `leaving`.
    standing: String,
    /// Calls that run on it.
    live: u64,
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Live>,
}

/// Asks the server; in one line why it does not say.
pub(super) fn ask(http: &Http) -> Result<Vec<Live>, String> {
    let Some(token) = &http.token else {
        return Err(
            "the server asks for a token; set the variable that token_env names".to_owned(),
        );
    };
    let address = reachable(http.bind);
    let bounds = (WAIT, ANSWER_BYTES_MAX);
    let answer = exchange(address, &address.to_string(), PATH, token, bounds);
    let answer = answer.map_err(|error| format!("no server answers on {address} ({error})"))?;
    read(&answer)
}

/// What is said about one version.
pub(super) fn describe(live: &[Live], plugin: &PluginRef) -> String {
    let ours = |entry: &&Live| entry.name == *plugin.name && entry.version == *plugin.version;
    match live
        .iter()
        .filter(ours)
        .min_by_key(|entry| entry.standing != "current")
    {
        Some(entry) => {
            let calls = if entry.live == 1 { "call" } else { "calls" };
            match entry.standing.as_str() {
                "current" => format!("yes, {} {calls}", entry.live),
                standing => format!("{standing}, {} {calls}", entry.live),
            }
        }
        None => "no".to_owned(),
    }
}

/// A server that listens on all addresses is reached on this machine's own.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => bind.ip(),
    };
    SocketAddr::new(ip, bind.port())
}

fn read(answer: &[u8]) -> Result<Vec<Live>, String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or("the answer is not HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" => {
            let answer: Answer = serde_json::from_str(body)
                .map_err(|error| format!("the server's answer is not understood ({error})"))?;
            Ok(answer.items)
        }
        "401" | "403" => Err("the server does not take our token".to_owned()),
        "404" => Err("this server does not list its plugins".to_owned()),
        other => Err(format!("the server answers with status {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let body = r#"{"items":[
            {"name":"menu","version":"1.0.0","standing":"leaving","live":1,"runs":9},
            {"name":"menu","version":"1.1.0","standing":"current","live":0}]}"#;
        let live = read(format!("HTTP/1.0 200 OK\r\nX: y\r\n\r\n{body}").as_bytes()).unwrap();
        for (version, expected) in [
            ("1.0.0", "leaving, 1 call"),
            ("1.1.0", "yes, 0 calls"),
            ("2.0.0", "no"),
        ] {
            let plugin = PluginRef {
                name: "menu".into(),
                version: version.into(),
            };
            assert_eq!(describe(&live, &plugin), expected);
        }
        for bad in [
            "",
            "HTTP/1.0 200 OK\r\n\r\nno",
            "HTTP/1.0 401 No\r\n\r\n",
            "HTTP/1.0 500 X\r\n\r\n",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn all_addresses_are_reached_on_our_own() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(reachable(address("0.0.0.0:80")), address("127.0.0.1:80"));
        assert_eq!(reachable(address("[::]:80")), address("[::1]:80"));
        assert_eq!(reachable(address("192.0.2.1:80")), address("192.0.2.1:80"));
    }
}
