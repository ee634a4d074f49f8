//! Offer and answer (RFC 3264): from two session descriptions to one stream.
//!
//! We take part with one audio section over plain RTP ([`AVP`], RFC 3551): one G.711 codec and,
//! if both sides can, digits as telephone-events (RFC 4733).
//!
//! Every error tells the offerer something by [`NegotiateError::status`]; no description can make
//! these functions panic.

mod events;

use std::net::{IpAddr, SocketAddr};

use crate::negotiate::events::Events;
use crate::sdp::{
    Attribute, Connection, Description, Direction, Fmtp, Host, Line, Media, Origin, RtpMap,
};
use crate::{Codec, StreamParams};

/// The only transport profile we speak: RTP over UDP without protection (RFC 3551).
pub const AVP: &str = "RTP/AVP";

/// Milliseconds of audio in each packet we send, and the least that a far end must be able to take.
/// Source: RFC 3551 §4.2, default packetization interval.
pub const PTIME_MS: u16 = 20;

/// Payload type that we offer for telephone-event: dynamic (RFC 3551 §6), and by custom this one.
const EVENT_PAYLOAD_TYPE: u8 = 101;

/// Name of the RFC 4733 encoding, compared without regard to case.
const EVENT_ENCODING: &str = "telephone-event";

/// What we can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Codecs, most wanted first. The order counts in our offers; in an answer the offerer's does.
    pub codecs: Vec<Codec>,
    /// Digits as RFC 4733 events.
    pub dtmf: bool,
}

impl Default for Capabilities {
    /// Both laws, µ first, and telephone-event.
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            dtmf: true,
        }
    }
}

/// Why no stream came out of an offer or an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiateError {
    /// No audio section, or only disabled ones.
    #[error("no audio section that is in use")]
    NoAudio,
    /// The answer refuses our audio section (port 0).
    #[error("the audio section was refused")]
    Refused,
    /// The answer has another number of sections than the offer, or another kind in our place.
    #[error("the answer's sections are not those of the offer")]
    Sections,
    /// Another transport than [`AVP`], such as SRTP or TCP.
    #[error("a transport other than RTP/AVP")]
    Protocol,
    /// No codec in common.
    #[error("no codec in common")]
    NoCodec,
    /// Neither the section nor the session has a `c=` line.
    #[error("no connection address")]
    NoAddress,
    /// The connection address is a name; we do not look names up while a call waits.
    #[error("the connection address is a host name")]
    HostName,
    /// IPv4 where we have IPv6, or the other way.
    #[error("the connection address is of the other IP version")]
    AddressFamily,
    /// A multicast or broadcast address.
    #[error("the connection address is not unicast")]
    NotUnicast,
    /// The far end cannot take packets of [`PTIME_MS`].
    #[error("packets of 20 ms are too long for the far end")]
    PacketTime,
}

impl NegotiateError {
    /// The SIP status that tells the offerer: 488 if another offer could succeed, 400 if the
    /// description breaks the rules.
    pub fn status(self) -> u16 {
        match self {
            Self::NoAudio
            | Self::Refused
            | Self::Protocol
            | Self::NoCodec
            | Self::HostName
            | Self::AddressFamily
            | Self::NotUnicast
            | Self::PacketTime => 488,
            Self::Sections | Self::NoAddress => 400,
        }
    }
}

impl Codec {
    /// The payload type that RFC 3551 table 4 reserves for it.
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// Its name in `a=rtpmap`.
    pub const fn encoding(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// RTP clock rate in Hz.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }
}

/// Makes an offer of one audio section, both ways, on `local`.
///
/// `session_id` stays the same for all descriptions of one dialog; `version` goes up by one with
/// each that differs (RFC 3264 §8). To hold or resume, change the section's `direction`.
///
/// # Panics
/// If `caps` has no codec, or `local` is not an address that a far end could send to.
pub fn offer(caps: &Capabilities, local: SocketAddr, session_id: u64, version: u64) -> Description {
    assert!(!caps.codecs.is_empty(), "an offer needs a codec");
    let mut section = Media::new("audio", local.port(), AVP);
    for codec in &caps.codecs {
        add_codec(&mut section, *codec, codec.static_payload_type());
    }
    if caps.dtmf {
        add_events(&mut section, EVENT_PAYLOAD_TYPE, Events::OURS);
    }
    section.ptime_ms = Some(PTIME_MS);
    section.direction = Some(Direction::SendRecv);
    describe(local, session_id, version, vec![section])
}

/// Answers an offer: the first audio section that can work is taken, the others are refused with
/// port 0 (RFC 3264 §6). The codec is the first of the offerer's that we have, with the offerer's
/// payload type.
///
/// # Errors
/// [`NegotiateError`] if no section can work: what stands in the way of the first audio section.
///
/// # Panics
/// If `local` is not an address that a far end could send to.
pub fn answer(
    offer: &Description,
    caps: &Capabilities,
    local: SocketAddr,
    session_id: u64,
    version: u64,
) -> Result<(Description, StreamParams), NegotiateError> {
    let mut reason = None;
    let mut taken = None;
    for (index, section) in offer
        .media
        .iter()
        .enumerate()
        .filter(|(_, media)| is_audio(media))
    {
        match far_end(offer, section, caps, Some(local.ip())) {
            Ok(far) => {
                taken = Some((index, far));
                break;
            }
            Err(error) => {
                reason.get_or_insert(error);
            }
        }
    }
    let Some((index, far)) = taken else {
        return Err(reason.unwrap_or(NegotiateError::NoAudio));
    };
    let media = offer.media.iter().enumerate();
    let media = media.map(|(at, section)| match at == index {
        true => accepted(section, &far, local.port()),
        false => refused(section),
    });
    let answer = describe(local, session_id, version, media.collect());
    debug_assert_eq!(
        answer.media.len(),
        offer.media.len(),
        "RFC 3264 §6: one section for each"
    );
    Ok((answer, far.params(Direction::SendRecv)))
}

/// What an answer to our offer settled. `offer` is what [`offer`] made, possibly with another
/// direction.
///
/// # Errors
/// [`NegotiateError`] if the answer refuses or does not fit the offer.
pub fn accept(offer: &Description, answer: &Description) -> Result<StreamParams, NegotiateError> {
    let index = offer
        .media
        .iter()
        .position(is_audio)
        .ok_or(NegotiateError::NoAudio)?;
    if answer.media.len() != offer.media.len() || answer.media[index].kind != "audio" {
        return Err(NegotiateError::Sections);
    }
    let (ours, theirs) = (&offer.media[index], &answer.media[index]);
    if theirs.port == 0 {
        return Err(NegotiateError::Refused);
    }
    let offered = Capabilities {
        codecs: codecs(ours).map(|(codec, _)| codec).collect(),
        dtmf: events(ours).is_some(),
    };
    let near = offer
        .connection_of(ours)
        .and_then(|connection| connection.host.ip());
    let far = far_end(answer, theirs, &offered, near)?;
    Ok(far.params(offer.direction_of(ours)))
}

/// The addresses at which the writer of a description takes audio, in the order of its sections.
pub fn addresses(session: &Description) -> impl Iterator<Item = IpAddr> {
    let sections = session.media.iter().filter(|media| is_audio(media));
    sections.filter_map(|section| session.connection_of(section)?.host.ip())
}

/// The far end of a section that can work.
struct FarEnd {
    codec: Codec,
    payload_type: u8,
    events: Option<(u8, Events)>,
    rtp: SocketAddr,
    rtcp: SocketAddr,
    /// As the far end sees it.
    direction: Direction,
}

impl FarEnd {
    /// `near` is the direction that we described ourselves, seen by us.
    fn params(&self, near: Direction) -> StreamParams {
        StreamParams {
            remote_rtp: self.rtp,
            remote_rtcp: self.rtcp,
            codec: self.codec,
            payload_type: self.payload_type,
            dtmf_payload_type: self.events.map(|(payload_type, _)| payload_type),
            send: near.sends() && self.direction.receives(),
            receive: near.receives() && self.direction.sends(),
        }
    }
}

fn is_audio(media: &Media) -> bool {
    media.kind == "audio" && media.port != 0
}

/// Reads what the writer of a section wants. `near` is our own address, if it is known.
fn far_end(
    session: &Description,
    section: &Media,
    caps: &Capabilities,
    near: Option<IpAddr>,
) -> Result<FarEnd, NegotiateError> {
    if !section.protocol.eq_ignore_ascii_case(AVP) {
        return Err(NegotiateError::Protocol);
    }
    let (codec, payload_type) = codecs(section)
        .find(|(codec, _)| caps.codecs.contains(codec))
        .ok_or(NegotiateError::NoCodec)?;
    if section.maxptime_ms.is_some_and(|ms| ms < PTIME_MS) {
        return Err(NegotiateError::PacketTime);
    }
    let connection = session
        .connection_of(section)
        .ok_or(NegotiateError::NoAddress)?;
    let ip = unicast(&connection.host, near)?;
    let direction = session.direction_of(section);
    // RFC 3264 §8.4: before there were directions, a stream was held by this address.
    let direction = Direction::from_halves(
        direction.sends(),
        direction.receives() && !ip.is_unspecified(),
    );
    Ok(FarEnd {
        codec,
        payload_type,
        events: events(section).filter(|_| caps.dtmf),
        rtp: SocketAddr::new(ip, section.port),
        rtcp: rtcp(section, ip, near),
        direction,
    })
}

/// Where reports go: `a=rtcp` (RFC 3605), else the next port (RFC 3550 §11). A host there that we
/// cannot use is no reason to refuse the call: then reports go to the media's address.
fn rtcp(section: &Media, ip: IpAddr, near: Option<IpAddr>) -> SocketAddr {
    match &section.rtcp {
        Some(rtcp) if rtcp.port != 0 => {
            let own = rtcp.host.as_ref().and_then(|host| unicast(host, near).ok());
            SocketAddr::new(own.unwrap_or(ip), rtcp.port)
        }
        // There is no port after the last one; reports that arrive with the media do no harm.
        Some(_) | None => SocketAddr::new(ip, section.port.saturating_add(1)),
    }
}

fn unicast(host: &Host, near: Option<IpAddr>) -> Result<IpAddr, NegotiateError> {
    let ip = host.ip().ok_or(NegotiateError::HostName)?.to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_multicast() || broadcast {
        return Err(NegotiateError::NotUnicast);
    }
    match near {
        Some(near) if near.to_canonical().is_ipv4() != ip.is_ipv4() => {
            Err(NegotiateError::AddressFamily)
        }
        Some(_) | None => Ok(ip),
    }
}

/// The codecs of a section that we know, in the writer's order, with their payload types.
fn codecs(section: &Media) -> impl Iterator<Item = (Codec, u8)> {
    payload_types(section).filter_map(|payload_type| {
        let codec = [Codec::Pcmu, Codec::Pcma].into_iter().find(|codec| {
            match section.rtpmap(payload_type) {
                Some(map) => map.is(codec.encoding(), codec.clock_hz()),
                // RFC 3551 §6: the static types need no map.
                None => codec.static_payload_type() == payload_type,
            }
        })?;
        Some((codec, payload_type))
    })
}

/// Telephone-events at the clock rate of our codecs, if they include the DTMF digits.
fn events(section: &Media) -> Option<(u8, Events)> {
    payload_types(section).find_map(|payload_type| {
        section
            .rtpmap(payload_type)
            .filter(|map| map.is(EVENT_ENCODING, 8_000))?;
        let parameters = section
            .fmtp(payload_type)
            .map_or(Events::DEFAULT, Events::parse);
        let events = parameters.intersection(Events::OURS);
        events
            .contains(Events::KEYS)
            .then_some((payload_type, events))
    })
}

fn payload_types(section: &Media) -> impl Iterator<Item = u8> {
    section
        .formats
        .iter()
        .filter_map(|format| format.parse().ok().filter(|n| *n < 128))
}

fn accepted(offered: &Media, far: &FarEnd, port: u16) -> Media {
    let mut section = Media::new("audio", port, &offered.protocol);
    add_codec(&mut section, far.codec, far.payload_type);
    if let Some((payload_type, events)) = far.events {
        add_events(&mut section, payload_type, events);
    }
    section.ptime_ms = Some(PTIME_MS);
    section.direction = Some(far.direction.mirrored());
    section
}

/// Port 0 refuses; kind, transport and formats are repeated because something must stand there.
fn refused(offered: &Media) -> Media {
    let mut section = Media::new(&offered.kind, 0, &offered.protocol);
    section.formats.clone_from(&offered.formats);
    section
}

fn add_codec(section: &mut Media, codec: Codec, payload_type: u8) {
    section.formats.push(payload_type.to_string());
    section.rtpmaps.push(RtpMap {
        payload_type,
        encoding: codec.encoding().to_owned(),
        clock_hz: codec.clock_hz(),
        parameters: None,
    });
}

fn add_events(section: &mut Media, payload_type: u8, events: Events) {
    section.formats.push(payload_type.to_string());
    section.rtpmaps.push(RtpMap {
        payload_type,
        encoding: EVENT_ENCODING.to_owned(),
        clock_hz: 8_000,
        parameters: None,
    });
    let fmtp = Fmtp {
        format: payload_type.to_string(),
        parameters: events.to_string(),
    };
    section.fmtps.push(fmtp);
}

fn describe(local: SocketAddr, session_id: u64, version: u64, media: Vec<Media>) -> Description {
    assert!(
        !local.ip().is_unspecified() && local.port() != 0,
        "media needs an address to go to"
    );
    let host = Host::Ip(local.ip().to_canonical());
    Description {
        origin: Origin {
            username: "-".to_owned(),
            session_id: session_id.to_string(),
            version: version.to_string(),
            host: host.clone(),
        },
        name: "-".to_owned(),
        connection: Some(Connection { host, suffix: None }),
        times: vec![Line {
            kind: 't',
            value: "0 0".to_owned(),
        }],
        direction: None,
        attributes: Vec::<Attribute>::new(),
        others: Vec::new(),
        media,
    }
}

#[cfg(test)]
mod tests;
