//! Writing a session description in the order of the grammar (RFC 8866 §9).

use std::fmt::{self, Write};
use std::net::IpAddr;

use crate::sdp::{Attribute, Connection, Description, Direction, Host, Line, Media};

/// Writes a whole description; see [`Description::to_bytes`].
pub(super) fn description(session: &Description) -> String {
    let mut text = String::with_capacity(256);
    session_part(&mut text, session).expect("writing to a string cannot fail");
    for media in &session.media {
        media_part(&mut text, media).expect("writing to a string cannot fail");
    }
    text
}

fn session_part(out: &mut String, session: &Description) -> fmt::Result {
    let origin = &session.origin;
    write!(out, "v=0\r\no={} ", origin.username)?;
    write!(
        out,
        "{} {} {}\r\n",
        origin.session_id,
        origin.version,
        Network(&origin.host)
    )?;
    write!(out, "s={}\r\n", session.name)?;
    lines(out, &session.others, "iuep")?;
    if let Some(connection) = &session.connection {
        connection_line(out, connection)?;
    }
    lines(out, &session.others, "b")?;
    lines(out, &session.times, "trz")?;
    lines(out, &session.others, "k")?;
    if let Some(direction) = session.direction {
        write!(out, "a={}\r\n", direction.name())?;
    }
    attributes(out, &session.attributes)
}

fn media_part(out: &mut String, media: &Media) -> fmt::Result {
    write!(out, "m={} {}", media.kind, media.port)?;
    if media.port_count != 1 {
        write!(out, "/{}", media.port_count)?;
    }
    write!(out, " {}", media.protocol)?;
    for format in &media.formats {
        write!(out, " {format}")?;
    }
    out.write_str("\r\n")?;
    lines(out, &media.others, "i")?;
    if let Some(connection) = &media.connection {
        connection_line(out, connection)?;
    }
    lines(out, &media.others, "cbk")?;
    for map in &media.rtpmaps {
        write!(
            out,
            "a=rtpmap:{} {}/{}",
            map.payload_type, map.encoding, map.clock_hz
        )?;
        if let Some(parameters) = &map.parameters {
            write!(out, "/{parameters}")?;
        }
        out.write_str("\r\n")?;
    }
    for fmtp in &media.fmtps {
        write!(out, "a=fmtp:{} {}\r\n", fmtp.format, fmtp.parameters)?;
    }
    if let Some(ms) = media.ptime_ms {
        write!(out, "a=ptime:{ms}\r\n")?;
    }
    if let Some(ms) = media.maxptime_ms {
        write!(out, "a=maxptime:{ms}\r\n")?;
    }
    if let Some(direction) = media.direction {
        write!(out, "a={}\r\n", direction.name())?;
    }
    if let Some(rtcp) = &media.rtcp {
        write!(out, "a=rtcp:{}", rtcp.port)?;
        if let Some(host) = &rtcp.host {
            write!(out, " {}", Network(host))?;
        }
        out.write_str("\r\n")?;
    }
    if media.rtcp_mux {
        out.write_str("a=rtcp-mux\r\n")?;
    }
    attributes(out, &media.attributes)
}

/// Writes the lines of the given kinds, in the order they are kept.
fn lines(out: &mut String, lines: &[Line], kinds: &str) -> fmt::Result {
    for line in lines.iter().filter(|line| kinds.contains(line.kind)) {
        write!(out, "{}={}\r\n", line.kind, line.value)?;
    }
    Ok(())
}

fn connection_line(out: &mut String, connection: &Connection) -> fmt::Result {
    write!(out, "c={}", Network(&connection.host))?;
    if let Some(suffix) = &connection.suffix {
        write!(out, "/{suffix}")?;
    }
    out.write_str("\r\n")
}

fn attributes(out: &mut String, attributes: &[Attribute]) -> fmt::Result {
    for attribute in attributes {
        write!(out, "a={}", attribute.name)?;
        if let Some(value) = &attribute.value {
            write!(out, ":{value}")?;
        }
        out.write_str("\r\n")?;
    }
    Ok(())
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// A host as `IN IP4 192.0.2.1`.
struct Network<'a>(&'a Host);

impl fmt::Display for Network<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Host::Ip(ip @ IpAddr::V4(_)) => write!(f, "IN IP4 {ip}"),
            Host::Ip(ip @ IpAddr::V6(_)) => write!(f, "IN IP6 {ip}"),
            Host::Name { v6: false, name } => write!(f, "IN IP4 {name}"),
            Host::Name { v6: true, name } => write!(f, "IN IP6 {name}"),
        }
    }
}
