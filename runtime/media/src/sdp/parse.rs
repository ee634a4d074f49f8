//! Reading a session description, line by line.

use crate::limits::{
    SDP_BYTES_MAX, SDP_FORMATS_MAX, SDP_LINE_BYTES_MAX, SDP_LINES_MAX, SDP_MEDIA_MAX,
};
use crate::sdp::{
    Attribute, Connection, Description, Direction, Fmtp, Host, Line, Media, Origin, Rtcp, RtpMap,
};

/// Why a session description could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// The line, from 1; 0 for the description as a whole.
    pub line: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What can be wrong with a session description.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing.
    #[error("the description is empty")]
    Empty,
    /// Larger than [`SDP_BYTES_MAX`].
    #[error("the description is longer than {SDP_BYTES_MAX} bytes")]
    TooLong,
    /// More lines than [`SDP_LINES_MAX`].
    #[error("more than {SDP_LINES_MAX} lines")]
    TooManyLines,
    /// A line longer than [`SDP_LINE_BYTES_MAX`].
    #[error("longer than {SDP_LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// More sections than [`SDP_MEDIA_MAX`].
    #[error("more than {SDP_MEDIA_MAX} media sections")]
    TooManyMedia,
    /// More formats in a section than [`SDP_FORMATS_MAX`].
    #[error("more than {SDP_FORMATS_MAX} formats")]
    TooManyFormats,
    /// Not a letter, `=` and a value.
    #[error("not of the form x=value")]
    NotALine,
    /// A control character.
    #[error("a control character")]
    Control,
    /// A type letter that RFC 8866 does not have, or not here: the description may not be used
    /// (RFC 8866 §5).
    #[error("a type letter unknown here")]
    Type,
    /// A line that may stand once, twice.
    #[error("a line of this type stands above")]
    Repeated,
    /// Does not begin with `v=0`.
    #[error("expected v=0")]
    Version,
    /// No `o=` line.
    #[error("the o= line is missing")]
    NoOrigin,
    /// Bad `o=` line.
    #[error("expected o=user id version IN IP4|IP6 address")]
    Origin,
    /// Bad `c=` line.
    #[error("expected c=IN IP4|IP6 address")]
    Connection,
    /// Bad `m=` line.
    #[error("expected m=kind port protocol formats")]
    Media,
    /// A port or port count that is not a number up to 65535.
    #[error("a port that is not a number up to 65535")]
    Port,
    /// An attribute without a name.
    #[error("an attribute without a name")]
    Attribute,
    /// Bad `a=rtpmap`.
    #[error("expected rtpmap:type encoding/clock")]
    RtpMap,
}

/// Reads a whole description; see [`Description::parse`].
pub(super) fn description(bytes: &[u8]) -> Result<Description, ParseError> {
    let whole = |reason| ParseError { line: 0, reason };
    if bytes.len() > SDP_BYTES_MAX {
        return Err(whole(Reason::TooLong));
    }
    // Session names come in local encodings at times. What is not UTF-8 is replaced, since
    // nothing we use can be anything but ASCII.
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::default();
    for (index, line) in text.split('\n').enumerate() {
        let at = |reason| ParseError {
            line: index + 1,
            reason,
        };
        if index > SDP_LINES_MAX {
            return Err(at(Reason::TooManyLines));
        }
        if line.len() > SDP_LINE_BYTES_MAX {
            return Err(at(Reason::LineTooLong));
        }
        let line = line.trim_end();
        if !line.is_empty() {
            reader.line(line).map_err(at)?;
        }
    }
    reader.finish().map_err(whole)
}

/// What was read so far. `origin` tells apart "missing" from "there".
#[derive(Default)]
struct Reader {
    version: bool,
    origin: Option<Origin>,
    name: Option<String>,
    connection: Option<Connection>,
    times: Vec<Line>,
    direction: Option<Direction>,
    attributes: Vec<Attribute>,
    others: Vec<Line>,
    media: Vec<Media>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), Reason> {
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(Reason::Control);
        }
        let mut chars = line.chars();
        let kind = chars
            .next()
            .filter(char::is_ascii_alphabetic)
            .ok_or(Reason::NotALine)?;
        if chars.next() != Some('=') {
            return Err(Reason::NotALine);
        }
        let value = chars.as_str();
        if !self.version {
            self.version = kind == 'v' && value == "0";
            return if self.version {
                Ok(())
            } else {
                Err(Reason::Version)
            };
        }
        if kind == 'm' {
            if self.media.len() == SDP_MEDIA_MAX {
                return Err(Reason::TooManyMedia);
            }
            self.media.push(media(value)?);
            return Ok(());
        }
        match self.media.last_mut() {
            Some(section) => media_line(section, kind, value),
            None => self.session_line(kind, value),
        }
    }

    /// The order of lines within a part is fixed by the grammar but of no consequence, so it is
    /// not enforced.
    fn session_line(&mut self, kind: char, value: &str) -> Result<(), Reason> {
        match kind {
            'v' => Err(Reason::Repeated),
            'o' => once(&mut self.origin, origin(value)?),
            's' => once(&mut self.name, value.to_owned()),
            'c' => once(&mut self.connection, connection(value)?),
            't' | 'r' | 'z' => {
                self.times.push(Line {
                    kind,
                    value: value.to_owned(),
                });
                Ok(())
            }
            'i' | 'u' | 'e' | 'p' | 'b' | 'k' => {
                self.others.push(Line {
                    kind,
                    value: value.to_owned(),
                });
                Ok(())
            }
            'a' => {
                let attribute = attribute(value)?;
                match direction(&attribute) {
                    Some(direction) => self.direction = Some(direction),
                    None => self.attributes.push(attribute),
                }
                Ok(())
            }
            _ => Err(Reason::Type),
        }
    }

    fn finish(mut self) -> Result<Description, Reason> {
        if !self.version {
            return Err(Reason::Empty);
        }
        if self.times.is_empty() {
            self.times.push(Line {
                kind: 't',
                value: "0 0".to_owned(),
            });
        }
        in_order(&mut self.others);
        for section in &mut self.media {
            in_order(&mut section.others);
        }
        Ok(Description {
            origin: self.origin.ok_or(Reason::NoOrigin)?,
            name: self
                .name
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "-".to_owned()),
            connection: self.connection,
            times: self.times,
            direction: self.direction,
            attributes: self.attributes,
            others: self.others,
            media: self.media,
        })
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Reason> {
    if place.is_some() {
        return Err(Reason::Repeated);
    }
    *place = Some(value);
    Ok(())
}

/// Puts kept lines into the order of the grammar, the order they are written in.
fn in_order(lines: &mut [Line]) {
    lines.sort_by_key(|line| "iuepcbk".find(line.kind));
}

/// Products put spaces into the user name, so the five fields after it are counted from the end.
fn origin(value: &str) -> Result<Origin, Reason> {
    let fields: Vec<&str> = value.split_whitespace().collect();
    let (username, rest) = fields.split_at(
        fields
            .len()
            .checked_sub(5)
            .filter(|n| *n > 0)
            .ok_or(Reason::Origin)?,
    );
    let [session_id, version, network, family, address] = rest else {
        return Err(Reason::Origin);
    };
    // Some write an IPv6 address as in a URI; nobody ever sends anything there.
    let bare = address
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'));
    let address = bare.unwrap_or(address);
    Ok(Origin {
        username: username.join(" "),
        session_id: (*session_id).to_owned(),
        version: (*version).to_owned(),
        host: host(network, family, address).ok_or(Reason::Origin)?,
    })
}

fn connection(value: &str) -> Result<Connection, Reason> {
    let fields: Vec<&str> = value.split_whitespace().collect();
    let [network, family, address] = fields[..] else {
        return Err(Reason::Connection);
    };
    let (address, suffix) = match address.split_once('/') {
        Some((address, suffix)) => (address, Some(suffix.to_owned())),
        None => (address, None),
    };
    let host = host(network, family, address).ok_or(Reason::Connection)?;
    Ok(Connection { host, suffix })
}

fn host(network: &str, family: &str, address: &str) -> Option<Host> {
    if !network.eq_ignore_ascii_case("IN") {
        return None;
    }
    let v6 = match family.to_ascii_uppercase().as_str() {
        "IP4" => false,
        "IP6" => true,
        _ => return None,
    };
    if let Ok(ip) = address.parse() {
        return Some(Host::Ip(ip));
    }
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let name = address.to_owned();
    (!name.is_empty() && name.bytes().all(letters)).then_some(Host::Name { v6, name })
}

fn media(value: &str) -> Result<Media, Reason> {
    let mut fields = value.split_whitespace();
    let (Some(kind), Some(ports), Some(protocol)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(Reason::Media);
    };
    // A format is required by the grammar, but products refuse a section without naming one.
    let formats: Vec<String> = fields.map(str::to_owned).collect();
    if formats.len() > SDP_FORMATS_MAX {
        return Err(Reason::TooManyFormats);
    }
    let (port, count) = ports.split_once('/').unwrap_or((ports, "1"));
    let port_count = number(count)
        .filter(|count| *count > 0)
        .ok_or(Reason::Port)?;
    Ok(Media {
        port: number(port).ok_or(Reason::Port)?,
        port_count,
        formats,
        ..Media::new(kind, 0, protocol)
    })
}

fn media_line(section: &mut Media, kind: char, value: &str) -> Result<(), Reason> {
    match kind {
        'c' if section.connection.is_none() => section.connection = Some(connection(value)?),
        // More than one is for layered multicast.
        'c' | 'i' | 'b' | 'k' => section.others.push(Line {
            kind,
            value: value.to_owned(),
        }),
        'a' => media_attribute(section, attribute(value)?)?,
        _ => return Err(Reason::Type),
    }
    Ok(())
}

/// Takes an attribute apart that has a field of its own. One whose value makes no sense is kept
/// as it is, because none of them stops a call; only `rtpmap` says what bytes mean.
fn media_attribute(section: &mut Media, attribute: Attribute) -> Result<(), Reason> {
    if let Some(direction) = direction(&attribute) {
        section.direction = Some(direction);
        return Ok(());
    }
    let value = attribute.value.as_deref();
    let taken = match (attribute.name.as_str(), value) {
        ("rtpmap", value) => {
            section
                .rtpmaps
                .push(value.and_then(rtpmap).ok_or(Reason::RtpMap)?);
            true
        }
        ("fmtp", Some(value)) => fmtp(value).map(|fmtp| section.fmtps.push(fmtp)).is_some(),
        ("ptime", Some(value)) if section.ptime_ms.is_none() => {
            section.ptime_ms = milliseconds(value);
            section.ptime_ms.is_some()
        }
        ("maxptime", Some(value)) if section.maxptime_ms.is_none() => {
            section.maxptime_ms = milliseconds(value);
            section.maxptime_ms.is_some()
        }
        ("rtcp", Some(value)) if section.rtcp.is_none() => {
            section.rtcp = rtcp(value);
            section.rtcp.is_some()
        }
        ("rtcp-mux", None) => {
            section.rtcp_mux = true;
            true
        }
        _ => false,
    };
    if !taken {
        section.attributes.push(attribute);
    }
    Ok(())
}

fn attribute(value: &str) -> Result<Attribute, Reason> {
    let (name, value) = match value.split_once(':') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (value, None),
    };
    if name.is_empty() {
        return Err(Reason::Attribute);
    }
    Ok(Attribute {
        name: name.to_owned(),
        value,
    })
}

fn direction(attribute: &Attribute) -> Option<Direction> {
    match (attribute.name.as_str(), &attribute.value) {
        ("sendrecv", None) => Some(Direction::SendRecv),
        ("sendonly", None) => Some(Direction::SendOnly),
        ("recvonly", None) => Some(Direction::RecvOnly),
        ("inactive", None) => Some(Direction::Inactive),
        _ => None,
    }
}

fn rtpmap(value: &str) -> Option<RtpMap> {
    let mut fields = value.split_whitespace();
    let (payload_type, coding) = (fields.next()?, fields.next()?);
    let mut parts = coding.splitn(3, '/');
    let map = RtpMap {
        payload_type: number(payload_type).filter(|n| *n < 128)?,
        encoding: parts.next().filter(|name| !name.is_empty())?.to_owned(),
        clock_hz: number(parts.next()?)?,
        parameters: parts.next().map(str::to_owned),
    };
    fields.next().is_none().then_some(map)
}

fn fmtp(value: &str) -> Option<Fmtp> {
    let (format, parameters) = value.split_once(' ')?;
    let parameters = parameters.trim_start();
    (!format.is_empty() && !parameters.is_empty()).then(|| Fmtp {
        format: format.to_owned(),
        parameters: parameters.to_owned(),
    })
}

/// RFC 8866 allows a fraction (§6.4); what lies behind the point is dropped.
fn milliseconds(value: &str) -> Option<u16> {
    let whole = value.trim().split('.').next()?;
    number(whole).filter(|ms| *ms > 0)
}

fn rtcp(value: &str) -> Option<Rtcp> {
    let fields: Vec<&str> = value.split_whitespace().collect();
    let (port, host) = match fields[..] {
        [port] => (port, None),
        [port, network, family, address] => (port, Some(host(network, family, address)?)),
        _ => return None,
    };
    Some(Rtcp {
        port: number(port)?,
        host,
    })
}

/// Digits only: `parse` alone would take a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}
