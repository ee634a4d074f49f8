//! WebSockets for SIP, without I/O: the handshake (RFC 6455 §4, RFC 7118 §4) and the frames
//! (RFC 6455 §5), for both sides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};
use vocab::Rng;

use super::limits::{FRAMES_MAX, MESSAGE_BYTES_MAX, PINGS_MAX, UPGRADE_BYTES_MAX};

/// The subprotocol (RFC 7118 §4).
pub const SUBPROTOCOL: &str = "sip";

/// What a key is hashed with (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Which pages may connect. Programs that are no browser send no `Origin` and are not asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Pages of these origins, such as `https://phone.example`; `*` for all. Pages of the server's
    /// own host may always connect.
    pub fn new(origins: Vec<String>) -> Self {
        Self(origins)
    }

    /// Whether a page of this origin may connect to this host (the `Host` of its request).
    pub fn admit(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else {
            return true;
        };
        let own = origin.split_once("://").map(|(_, host)| host);
        let same = own
            .zip(host)
            .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
        let listed = |known: &String| known == "*" || known.eq_ignore_ascii_case(origin);
        same || self.0.iter().any(listed)
    }
}

/// The header fields of an opening handshake that matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upgrade<'a> {
    /// `Upgrade`.
    pub upgrade: Option<&'a str>,
    /// `Sec-WebSocket-Version`.
    pub version: Option<&'a str>,
    /// `Sec-WebSocket-Key`.
    pub key: Option<&'a str>,
    /// `Sec-WebSocket-Protocol`.
    pub protocol: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Host`.
    pub host: Option<&'a str>,
}

/// Why a handshake is refused: the status and what to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Its reason phrase.
    pub reason: &'static str,
    /// For whoever reads the answer.
    pub why: &'static str,
}

impl Refusal {
    const fn bad(why: &'static str) -> Self {
        Self {
            status: 400,
            reason: "Bad Request",
            why,
        }
    }
}

impl Upgrade<'_> {
    /// The `Sec-WebSocket-Accept` of the answer.
    ///
    /// # Errors
    /// Why the connection does not become a WebSocket for SIP.
    pub fn accept(&self, origins: &Origins) -> Result<String, Refusal> {
        let has = |list: Option<&str>, word: &str| {
            let mut words = list.unwrap_or_default().split(',');
            words.any(|own| own.trim().eq_ignore_ascii_case(word))
        };
        if !has(self.upgrade, "websocket") {
            return Err(Refusal {
                status: 426,
                reason: "Upgrade Required",
                why: "this is for WebSockets: connect with ws:// or wss://",
            });
        }
        if self.version.map(str::trim) != Some("13") {
            return Err(Refusal {
                status: 426,
                reason: "Upgrade Required",
                why: "Sec-WebSocket-Version must be 13",
            });
        }
        let key = self.key.map(str::trim).unwrap_or_default();
        if BASE64.decode(key).map_or(0, |key| key.len()) != 16 {
            return Err(Refusal::bad("Sec-WebSocket-Key is not 16 bytes in base64"));
        }
        if !has(self.protocol, SUBPROTOCOL) {
            return Err(Refusal::bad(
                "Sec-WebSocket-Protocol must offer \"sip\" (RFC 7118)",
            ));
        }
        if !origins.admit(self.origin, self.host) {
            return Err(Refusal {
                status: 403,
                reason: "Forbidden",
                why: "pages of this origin may not connect: add it to origins under [sip]",
            });
        }
        Ok(accept_of(key))
    }
}

fn accept_of(key: &str) -> String {
    BASE64.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// Something a WebSocket tells after bytes were fed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The handshake is over: messages may be sent.
    Opened,
    /// A whole message, text or binary.
    Message(Vec<u8>),
    /// The other side said that it closes.
    Closed,
}

/// One WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    state: State,
    /// We are the client: our frames are masked with this (RFC 6455 §5.3).
    masks: Option<Rng>,
    read: Vec<u8>,
    /// The message that comes in, and its frames so far.
    message: Vec<u8>,
    frames: usize,
    pings: u32,
    /// Bytes to be sent.
    out: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// The server waits for the request.
    Asked(Origins),
    /// The client waits for the answer, which must hold this.
    Asking(String),
    Open,
    Closed,
}

impl WebSocket {
    /// The side that was connected to.
    pub fn server(origins: Origins) -> Self {
        Self::new(State::Asked(origins), None)
    }

    /// A server's side whose handshake somebody else has answered.
    pub fn open() -> Self {
        Self::new(State::Open, None)
    }

    /// The side that connects; it asks for this path of this host.
    pub fn client(host: &str, path: &str, mut rng: Rng) -> Self {
        let mut key = [0; 16];
        rng.fill(&mut key);
        let key = BASE64.encode(key);
        let mut socket = Self::new(State::Asking(accept_of(&key)), Some(rng));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        socket.out.extend_from_slice(request.as_bytes());
        socket
    }

    fn new(state: State, masks: Option<Rng>) -> Self {
        Self {
            state,
            masks,
            read: Vec::new(),
            message: Vec::new(),
            frames: 0,
            pings: 0,
            out: Vec::new(),
        }
    }

    /// Whether messages may be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Bytes to be sent since the last time.
    pub fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Sends one message: as text if it is UTF-8, since browsers' programs expect that.
    pub fn send(&mut self, message: &[u8]) {
        let text = std::str::from_utf8(message).is_ok();
        self.frame(if text { TEXT } else { BINARY }, message);
    }

    /// Feeds what arrived.
    ///
    /// # Errors
    /// What is wrong with it; the connection is of no more use once [`Self::take_out`] is sent.
    pub fn receive(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), String> {
        self.read.extend_from_slice(bytes);
        match &self.state {
            State::Asked(_) | State::Asking(_) => {
                if !self.handshake()? {
                    return Ok(());
                }
                events.push(Event::Opened);
            }
            State::Open => {}
            State::Closed => {
                self.read.clear();
                return Ok(());
            }
        }
        let result = self.frames(events);
        if let Err((code, why)) = result {
            self.frame(CLOSE, &code.to_be_bytes());
            self.state = State::Closed;
            return Err(why.to_owned());
        }
        Ok(())
    }

    /// Whether the handshake is over now.
    fn handshake(&mut self) -> Result<bool, String> {
        let end = self.read.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            if self.read.len() > UPGRADE_BYTES_MAX {
                return Err("the request for a WebSocket is too long".to_owned());
            }
            return Ok(false);
        };
        let rest = self.read.split_off(end + 4);
        let head = std::mem::replace(&mut self.read, rest);
        let head = String::from_utf8_lossy(&head[..end]);
        match &self.state {
            State::Asked(origins) => match answer(&head, origins) {
                Ok(accept) => {
                    let answer = format!(
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                         Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
                         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
                    );
                    self.out.extend_from_slice(answer.as_bytes());
                }
                Err(Refusal {
                    status,
                    reason,
                    why,
                }) => {
                    let answer = format!(
                        "HTTP/1.1 {status} {reason}\r\nSec-WebSocket-Version: 13\r\n\
                         Content-Type: text/plain\r\nContent-Length: {}\r\n\
                         Connection: close\r\n\r\n{why}\n",
                        why.len() + 1
                    );
                    self.out.extend_from_slice(answer.as_bytes());
                    self.state = State::Closed;
                    return Err(format!("no WebSocket: {why}"));
                }
            },
            State::Asking(accept) => {
                let first = head.lines().next().unwrap_or_default();
                if first.split(' ').nth(1) != Some("101") {
                    return Err(format!("the server refused the WebSocket: {first}"));
                }
                if field(&head, "Sec-WebSocket-Accept") != Some(accept.as_str()) {
                    return Err("the server's answer is none to our WebSocket key".to_owned());
                }
                if field(&head, "Sec-WebSocket-Protocol") != Some(SUBPROTOCOL) {
                    return Err("the server does not speak SIP over WebSockets".to_owned());
                }
            }
            State::Open | State::Closed => {}
        }
        self.state = State::Open;
        Ok(true)
    }

    /// Takes all whole frames.
    fn frames(&mut self, events: &mut Vec<Event>) -> Result<(), (u16, &'static str)> {
        while let Some(frame) = self.next_frame()? {
            let Frame { last, code, bytes } = frame;
            match code {
                TEXT | BINARY | CONTINUATION => {
                    self.pings = 0;
                    if (code == CONTINUATION) == (self.frames == 0) {
                        return Err((1002, "a WebSocket message begins within another"));
                    }
                    self.frames += 1;
                    self.message.extend_from_slice(&bytes);
                    if self.frames > FRAMES_MAX || self.message.len() > MESSAGE_BYTES_MAX {
                        return Err((1009, "a WebSocket message is too long"));
                    }
                    if last {
                        self.frames = 0;
                        events.push(Event::Message(std::mem::take(&mut self.message)));
                    }
                }
                PING => {
                    self.pings += 1;
                    if self.pings > PINGS_MAX {
                        return Err((1008, "too many pings"));
                    }
                    self.frame(PONG, &bytes);
                }
                PONG => {}
                CLOSE => {
                    let code = bytes.get(..2).unwrap_or_default().to_vec();
                    self.frame(CLOSE, &code);
                    self.state = State::Closed;
                    events.push(Event::Closed);
                    self.read.clear();
                    return Ok(());
                }
                _ => return Err((1002, "a WebSocket frame of an unknown kind")),
            }
        }
        Ok(())
    }

    /// The next whole frame, unmasked.
    fn next_frame(&mut self) -> Result<Option<Frame>, (u16, &'static str)> {
        let [first, second, ..] = self.read[..] else {
            return Ok(None);
        };
        let (last, code) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err((1002, "a WebSocket frame uses an extension"));
        }
        let masked = second & 0x80 != 0;
        // Clients mask, servers do not (RFC 6455 §5.1).
        if masked == self.masks.is_some() {
            return Err((
                1002,
                "a WebSocket frame is masked where it must not, or not",
            ));
        }
        let short = usize::from(second & 0x7f);
        if code >= CLOSE && (short > 125 || !last) {
            return Err((1002, "a WebSocket control frame is long or in pieces"));
        }
        let (length, mut at) = match short {
            126 => match self.read.get(2..4) {
                Some(two) => (usize::from(u16::from_be_bytes([two[0], two[1]])), 4),
                None => return Ok(None),
            },
            127 => match self.read.get(2..10).map(<[u8; 8]>::try_from) {
                Some(Ok(eight)) => {
                    let length = usize::try_from(u64::from_be_bytes(eight));
                    (length.unwrap_or(usize::MAX), 10)
                }
                Some(Err(_)) | None => return Ok(None),
            },
            short => (short, 2),
        };
        if length > MESSAGE_BYTES_MAX {
            return Err((1009, "a WebSocket frame is too long"));
        }
        let mask = if masked {
            at += 4;
            match self.read.get(at - 4..at) {
                Some(mask) => [mask[0], mask[1], mask[2], mask[3]],
                None => return Ok(None),
            }
        } else {
            [0; 4]
        };
        let Some(bytes) = self.read.get(at..at + length) else {
            return Ok(None);
        };
        let bytes = xor(bytes, mask);
        self.read.drain(..at + length);
        Ok(Some(Frame { last, code, bytes }))
    }

    fn frame(&mut self, code: u8, bytes: &[u8]) {
        self.out.push(0x80 | code);
        let masked = if self.masks.is_some() { 0x80 } else { 0 };
        match u16::try_from(bytes.len()) {
            Ok(length @ 0..=125) => self.out.push(masked | u8::try_from(length).unwrap_or(125)),
            Ok(length) => {
                self.out.push(masked | 126);
                self.out.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                self.out.push(masked | 127);
                self.out
                    .extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            }
        }
        let mask = match &mut self.masks {
            Some(rng) => {
                let mask = rng.u32().to_be_bytes();
                self.out.extend_from_slice(&mask);
                mask
            }
            None => [0; 4],
        };
        self.out.extend(xor(bytes, mask));
    }
}

struct Frame {
    last: bool,
    code: u8,
    bytes: Vec<u8>,
}

fn xor(bytes: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mask = mask.into_iter().cycle();
    bytes
        .iter()
        .zip(mask)
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

/// The `Sec-WebSocket-Accept` for a request's head.
fn answer(head: &str, origins: &Origins) -> Result<String, Refusal> {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, version) = (words.next(), words.nth(1));
    if method != Some("GET") || !version.is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(Refusal::bad(
            "this is for WebSockets: connect with ws:// or wss://",
        ));
    }
    let upgrade = Upgrade {
        upgrade: field(head, "Upgrade"),
        version: field(head, "Sec-WebSocket-Version"),
        key: field(head, "Sec-WebSocket-Key"),
        protocol: field(head, "Sec-WebSocket-Protocol"),
        origin: field(head, "Origin"),
        host: field(head, "Host"),
    };
    upgrade.accept(origins)
}

/// The value of a header field.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests;
