//! The smallest HTTP client: one request on the loopback, for `demo`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for the server to take or send anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes of an answer that are read: a list of one demo's calls is far smaller.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Asks `127.0.0.1:port` for a path and returns the status and the body.
///
/// # Errors
/// Nobody listens, the answer does not come in time, or it is not HTTP.
pub(crate) fn get(port: u16, path: &str, token: Option<&str>) -> Result<(u16, String), String> {
    ask(port, ("GET", path), token, "")
}

/// Sends JSON to a path in the same way.
///
/// # Errors
/// As [`get`].
pub(crate) fn post(
    port: u16,
    path: &str,
    token: Option<&str>,
    json: &str,
) -> Result<(u16, String), String> {
    let body = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    ask(port, ("POST", path), token, &body)
}

/// `body` is its header fields, an empty line and itself.
fn ask(
    port: u16,
    (method, path): (&str, &str),
    token: Option<&str>,
    body: &str,
) -> Result<(u16, String), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let failed = |error: std::io::Error| format!("{method} {path}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let bearer = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    // HTTP/1.0: the server closes after the answer and sends no chunks.
    let end = if body.is_empty() { "\r\n" } else { body };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{bearer}Connection: close\r\n{end}"
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .map_err(failed)?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| format!("{method} {path}: not HTTP"))
}

/// Status and body of an answer.
fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut words = head.split(' ');
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = words.next()?.split_whitespace().next()?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (answer, expected) in [
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\nready",
                Some((200, "ready".to_owned())),
            ),
            (
                "HTTP/1.0 503 Service Unavailable\r\n\r\n",
                Some((503, String::new())),
            ),
            ("HTTP/1.1 200\r\n\r\n{}", Some((200, "{}".to_owned()))),
            ("SIP/2.0 200 OK\r\n\r\n", None),
            ("HTTP/1.1 soon\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(parse(answer), expected, "{answer:?}");
        }
    }
}
