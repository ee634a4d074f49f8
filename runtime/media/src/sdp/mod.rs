//! Session descriptions (RFC 8866, and RFC 4566 before it).
//!
//! [`Description::parse`] reads what products send, which is a little more than the grammar:
//! lines may end in LF alone, `s=` and `t=` may be missing. [`Description::to_bytes`] writes the
//! grammar, in its order, with CRLF.

mod parse;
mod write;

use std::net::IpAddr;

pub use parse::{ParseError, Reason};

/// One session description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// `o=`: who made this description, and which version of it this is.
    pub origin: Origin,
    /// `s=`; `-` if there is none.
    pub name: String,
    /// `c=` for every section that has none of its own.
    pub connection: Option<Connection>,
    /// `t=`, `r=` and `z=` lines in order. Calls have the one line `t=0 0`.
    pub times: Vec<Line>,
    /// Direction of every section that has none of its own.
    pub direction: Option<Direction>,
    /// Session-level attributes other than the direction, in order.
    pub attributes: Vec<Attribute>,
    /// `i=`, `u=`, `e=`, `p=`, `b=` and `k=` lines, in order.
    pub others: Vec<Line>,
    /// `m=` sections in order: their position identifies them in offer and answer.
    pub media: Vec<Media>,
}

/// The `o=` line (RFC 8866 §5.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// User name on the origin host; `-` for none.
    pub username: String,
    /// Session id: digits, but kept as text because some products send more than 64 bits.
    pub session_id: String,
    /// Session version: one more each time the description changes (RFC 3264 §8).
    pub version: String,
    /// The origin host.
    pub host: Host,
}

/// An address, or a name that stands for one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, with the address family it is said to have.
    Name {
        /// `IP6` rather than `IP4`.
        v6: bool,
        /// The name, not resolved.
        name: String,
    },
}

/// The `c=` line (RFC 8866 §5.7): where the sender of the description wants media.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// The address.
    pub host: Host,
    /// What follows the address after a slash: a multicast time to live or count.
    pub suffix: Option<String>,
}

/// One line as it stands: the type letter and what follows `=`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The type letter.
    pub kind: char,
    /// The value.
    pub value: String,
}

/// An `a=` line without meaning to us, kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// Before the colon.
    pub name: String,
    /// After the colon, if there is one.
    pub value: Option<String>,
}

/// Which way media flows, seen by who wrote it (RFC 8866 §6.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// The writer sends only.
    SendOnly,
    /// The writer receives only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

/// One `m=` section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media {
    /// `audio`, `video`, `image` and so on.
    pub kind: String,
    /// Where media is wanted; 0 means that the section is refused or disabled.
    pub port: u16,
    /// How many ports (`m=audio 49170/2`), normally 1.
    pub port_count: u16,
    /// The transport, such as `RTP/AVP`.
    pub protocol: String,
    /// The formats, most wanted first. For RTP these are payload types.
    pub formats: Vec<String>,
    /// `c=` of this section.
    pub connection: Option<Connection>,
    /// `a=rtpmap` lines in order.
    pub rtpmaps: Vec<RtpMap>,
    /// `a=fmtp` lines in order.
    pub fmtps: Vec<Fmtp>,
    /// `a=ptime`: milliseconds of audio wanted in a packet.
    pub ptime_ms: Option<u16>,
    /// `a=maxptime`: most milliseconds of audio in a packet.
    pub maxptime_ms: Option<u16>,
    /// Direction of this section.
    pub direction: Option<Direction>,
    /// `a=rtcp` (RFC 3605): where reports are wanted if not on the next port.
    pub rtcp: Option<Rtcp>,
    /// `a=rtcp-mux` (RFC 5761): reports may come on the media port.
    pub rtcp_mux: bool,
    /// Other attributes, in order.
    pub attributes: Vec<Attribute>,
    /// `i=`, `b=` and `k=` lines, in order.
    pub others: Vec<Line>,
}

/// `a=rtpmap` (RFC 8866 §6.6): what a payload type means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RtpMap {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The encoding, compared without regard to case.
    pub encoding: String,
    /// RTP clock rate in Hz.
    pub clock_hz: u32,
    /// Audio channels or other parameters, if given.
    pub parameters: Option<String>,
}

/// `a=fmtp` (RFC 8866 §6.15): parameters of a format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fmtp {
    /// The format, as on the `m=` line.
    pub format: String,
    /// Its parameters, not interpreted.
    pub parameters: String,
}

/// `a=rtcp` (RFC 3605).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rtcp {
    /// The port for reports.
    pub port: u16,
    /// Its host, if not that of the section.
    pub host: Option<Host>,
}

impl Description {
    /// Reads a session description.
    ///
    /// # Errors
    /// [`ParseError`] names the line and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        parse::description(bytes)
    }

    /// The description as sent, with CRLF after each line.
    pub fn to_bytes(&self) -> Vec<u8> {
        write::description(self).into_bytes()
    }

    /// Which way a section's media flows: its own direction, else the session's, else both ways
    /// (RFC 3264 §5.1).
    pub fn direction_of(&self, media: &Media) -> Direction {
        media
            .direction
            .or(self.direction)
            .unwrap_or(Direction::SendRecv)
    }

    /// Where a section's media is wanted: its own `c=`, else the session's.
    pub fn connection_of<'a>(&'a self, media: &'a Media) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }
}

impl Media {
    /// A section without formats and attributes.
    pub fn new(kind: &str, port: u16, protocol: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            port,
            port_count: 1,
            protocol: protocol.to_owned(),
            formats: Vec::new(),
            connection: None,
            rtpmaps: Vec::new(),
            fmtps: Vec::new(),
            ptime_ms: None,
            maxptime_ms: None,
            direction: None,
            rtcp: None,
            rtcp_mux: false,
            attributes: Vec::new(),
            others: Vec::new(),
        }
    }
}

impl Media {
    /// What a payload type means here, if it is said.
    pub fn rtpmap(&self, payload_type: u8) -> Option<&RtpMap> {
        self.rtpmaps
            .iter()
            .find(|map| map.payload_type == payload_type)
    }

    /// The parameters of a payload type, if there are any.
    pub fn fmtp(&self, payload_type: u8) -> Option<&str> {
        let format = self
            .fmtps
            .iter()
            .find(|fmtp| fmtp.format.parse() == Ok(payload_type))?;
        Some(&format.parameters)
    }
}

impl RtpMap {
    /// It means this encoding with one channel, whatever the case of the letters.
    pub fn is(&self, encoding: &str, clock_hz: u32) -> bool {
        let mono = self
            .parameters
            .as_deref()
            .is_none_or(|parameters| parameters == "1");
        self.encoding.eq_ignore_ascii_case(encoding) && self.clock_hz == clock_hz && mono
    }
}

impl Host {
    /// The address, unless it is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name { .. } => None,
        }
    }
}

impl Direction {
    /// The writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The writer receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// From the two halves.
    pub fn from_halves(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The same flow seen from the other side: `sendonly` becomes `recvonly` (RFC 3264 §6.1).
    pub fn mirrored(self) -> Self {
        Self::from_halves(self.receives(), self.sends())
    }
}

#[cfg(test)]
mod tests;
