//! Offer and answer (RFC 3264): from two session descriptions to one stream.
//!
//! We take part with one audio section over RTP ([`AVP`], RFC 3551), plain or secured with keys in the
//! descriptions ([`SAVP`], RFC 3711, RFC 4568): one codec and, if both sides can, digits as
//! telephone-events (RFC 4733) of the same clock, and reports on the port of media (RFC 5761). With
//! browsers keys come of a handshake on the way that ICE found (RFC 8829).
//!
//! Every error tells the offerer something by [`NegotiateError::status`]; no description can make
//! these functions panic.

mod browser;
mod events;
mod opus;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use vocab::Rng;

use crate::negotiate::events::Events;
use crate::negotiate::opus::Wishes;
use crate::sdp::{
    Attribute, Connection, Description, Direction, Fmtp, Host, Line, Media, Origin, RtpMap,
};
use crate::srtp::Suite;
use crate::srtp::sdes::{self, Crypto};
use crate::webrtc::{Agreed, Far, Near};
use crate::{Codec, EventFormat, OpusParams, Rate, SrtpKeys, StreamParams};

/// RTP over UDP without protection (RFC 3551).
pub const AVP: &str = "RTP/AVP";

/// Secure RTP (RFC 3711 §12).
pub const SAVP: &str = "RTP/SAVP";

/// The same two with early feedback (RFC 4585, RFC 5124), of which we send none: that is allowed.
const WITH_FEEDBACK: [(&str, bool); 2] = [("RTP/AVPF", false), ("RTP/SAVPF", true)];

/// Suites that we offer: what the fast processors of today do best, and what every phone has. We
/// take all others as well; each would take another hundred bytes of every INVITE.
const SUITES: [Suite; 2] = [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80];

/// Milliseconds of audio in each packet that we ask for, and send to whom does not care.
/// Source: RFC 3551 §4.2, default packetization interval.
pub const PTIME_MS: u16 = 20;

/// Shortest and longest packets that we send, and what all their lengths are multiples of.
pub const PTIMES_MS: std::ops::RangeInclusive<u16> = 10..=60;
const PTIME_STEP_MS: u16 = 10;

/// Payload types that we offer for telephone-event, by the clock rate: dynamic (RFC 3551 §6), and by
/// custom these.
const EVENT_PAYLOAD_TYPES: [(u32, u8); 3] = [(8_000, 101), (16_000, 105), (48_000, 110)];

/// Name of the RFC 4733 encoding, compared without regard to case.
const EVENT_ENCODING: &str = "telephone-event";

/// What we can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Codecs, most wanted first. The order counts in our offers; in an answer the offerer's does.
    pub codecs: Vec<Codec>,
    /// Digits as RFC 4733 events.
    pub dtmf: bool,
    /// How we use Opus at the most.
    pub opus: OpusParams,
    /// Taken out of an offer before all others: what the other side of a call has, so that nothing
    /// needs to be converted.
    pub preferred: Option<Codec>,
    /// Whether media is secured.
    pub srtp: Srtp,
    /// Our keys, one for each suite that we can do; see [`keys`]. The same for all descriptions of a
    /// stream, or its far end would be deaf in between.
    pub keys: Vec<Crypto>,
    /// What browsers are told of us. In an offer: it is for one. Without it those of browsers are not
    /// taken.
    pub webrtc: Option<Near>,
}

/// Whether media is secured, with keys in the descriptions (RFC 4568).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Srtp {
    /// Never.
    Off,
    /// If the far end offers it.
    #[default]
    Allow,
    /// If the far end can; we offer nothing else.
    Offer,
    /// Always: what is not is refused.
    Require,
}

impl Srtp {
    /// Whether our offers are secure.
    pub const fn offers(self) -> bool {
        match self {
            Self::Off | Self::Allow => false,
            Self::Offer | Self::Require => true,
        }
    }
}

/// New keys for [`Capabilities::keys`].
pub fn keys(rng: &mut Rng) -> Vec<Crypto> {
    sdes::offer(&Suite::ALL, rng)
}

/// Whether a description asks for secure media, so that [`keys`] are needed for the answer.
pub fn is_secure(session: &Description) -> bool {
    let mut sections = session.media.iter().filter(|media| is_audio(media));
    sections.any(|media| is_secure_profile(&media.protocol) == Some(true))
}

/// Whether a description is one of a browser, so that [`Capabilities::webrtc`] is needed for the answer.
pub fn is_browser(session: &Description) -> bool {
    let mut sections = session.media.iter().filter(|media| is_audio(media));
    sections.any(|media| browser::is_browser(session, media))
}

/// What the browser that wrote a description says of the way to it: another name than before means that
/// it looks for another way (RFC 8839 §4.4.1.1.1).
pub fn browser(session: &Description) -> Option<Far> {
    let mut sections = session.media.iter().filter(|media| is_audio(media));
    let section = sections.find(|media| browser::is_browser(session, media))?;
    browser::far(session, section)
}

impl Default for Capabilities {
    /// Both laws, µ first, and telephone-event.
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            dtmf: true,
            opus: OpusParams::default(),
            preferred: None,
            srtp: Srtp::default(),
            keys: Vec::new(),
            webrtc: None,
        }
    }
}

impl Capabilities {
    /// All codecs, the best first.
    pub fn all() -> Self {
        Self {
            codecs: Codec::ALL.to_vec(),
            ..Self::default()
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
    /// A transport that we do not speak or are not to use: TCP, or media that is secured, or is not.
    #[error("a transport other than wanted")]
    Protocol,
    /// No usable key for a suite that both sides have (RFC 4568).
    #[error("no usable key of a common suite")]
    NoKey,
    /// A browser without name and password for checks, or without a SHA-256 fingerprint.
    #[error("no name for ICE, or no SHA-256 fingerprint")]
    NoFingerprint,
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
    /// The far end cannot take the shortest of [`PTIMES_MS`].
    #[error("packets of 10 ms are too long for the far end")]
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
            | Self::NoKey
            | Self::NoFingerprint
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
    /// All there are, the best first.
    pub const ALL: [Self; 6] = [
        Self::Opus,
        Self::G722,
        Self::Pcmu,
        Self::Pcma,
        Self::L16(Rate::Wide),
        Self::L16(Rate::Narrow),
    ];

    /// The payload type that we offer it with: that which RFC 3551 table 4 reserves for it, or a
    /// dynamic one.
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
            Self::L16(Rate::Narrow) => 118,
            Self::L16(Rate::Wide) => 119,
            Self::L16(Rate::Full) => 120,
        }
    }

    /// Whether that is reserved, so that it needs no `a=rtpmap` (RFC 3551 §6).
    const fn is_static(self) -> bool {
        self.payload_type() < 96
    }

    /// Its name in `a=rtpmap`.
    pub const fn encoding(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::L16(_) => "L16",
        }
    }

    /// Its name for people: as in `a=rtpmap`, and with the rate where there are several.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::Opus => self.encoding(),
            Self::L16(Rate::Narrow) => "L16/8000",
            Self::L16(Rate::Wide) => "L16/16000",
            Self::L16(Rate::Full) => "L16/48000",
        }
    }

    /// The one of a name, whatever the case of its letters.
    pub fn of_name(name: &str) -> Option<Self> {
        let same = |codec: &Self| codec.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same)
    }

    /// RTP clock rate in Hz. That of G.722 is half its sampling rate by mistake (RFC 3551 §4.5.2).
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
            Self::L16(rate) => rate.hz(),
        }
    }

    /// What stands behind the clock rate in `a=rtpmap`: Opus always says two channels (RFC 7587 §7).
    const fn rtpmap_parameters(self) -> Option<&'static str> {
        match self {
            Self::Opus => Some("2"),
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16(_) => None,
        }
    }

    /// Whether an `a=rtpmap` means it, with one channel.
    fn is(self, map: &RtpMap) -> bool {
        match self {
            Self::Opus => {
                map.encoding.eq_ignore_ascii_case(self.encoding()) && map.clock_hz == 48_000
            }
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16(_) => {
                map.is(self.encoding(), self.clock_hz())
            }
        }
    }

    /// How long packets are that we send to somebody who wants such.
    fn ptime_ms(self, wanted: Option<u16>, most: Option<u16>) -> u16 {
        let (least, longest) = (*PTIMES_MS.start(), *PTIMES_MS.end());
        let longest = match self {
            // 60 ms would not fit into a datagram.
            Self::L16(Rate::Wide | Rate::Full) => 40,
            Self::Pcmu | Self::Pcma | Self::G722 | Self::Opus | Self::L16(Rate::Narrow) => longest,
        };
        let wanted = wanted.unwrap_or(PTIME_MS);
        let wanted = wanted.min(most.unwrap_or(longest)).clamp(least, longest);
        match (self, wanted / PTIME_STEP_MS * PTIME_STEP_MS) {
            // Opus has no frames of these lengths (RFC 6716 §2.1.4).
            (Self::Opus, ms @ (30 | 50)) => ms - PTIME_STEP_MS,
            (_, ms) => ms,
        }
    }
}

/// Makes an offer of one audio section, both ways, on `local`.
///
/// `session_id` stays the same for all descriptions of one dialog; `version` goes up by one with
/// each that differs (RFC 3264 §8). To hold or resume, change the section's `direction`.
///
/// # Panics
/// If `caps` has no codec, or no keys although it is to be secure, or `local` is not an address that a far end could send to.
pub fn offer(caps: &Capabilities, local: SocketAddr, session_id: u64, version: u64) -> Description {
    assert!(!caps.codecs.is_empty(), "an offer needs a codec");
    let near = caps.webrtc.as_ref();
    let secure = near.is_none() && caps.srtp.offers();
    let local = near.and_then(browser::default_door).unwrap_or(local);
    let profile = match (near, secure) {
        (Some(_), _) => browser::PROFILE,
        (None, true) => SAVP,
        (None, false) => AVP,
    };
    let mut section = Media::new("audio", local.port(), profile);
    for codec in &caps.codecs {
        add_codec(&mut section, *codec, codec.payload_type(), caps.opus);
    }
    for (clock_hz, payload_type) in EVENT_PAYLOAD_TYPES {
        let has_clock = caps.codecs.iter().any(|codec| codec.clock_hz() == clock_hz);
        if caps.dtmf && has_clock {
            let format = EventFormat {
                payload_type,
                clock_hz,
            };
            add_events(&mut section, format, Events::OURS);
        }
    }
    section.ptime_ms = Some(PTIME_MS);
    section.rtcp_mux = true;
    section.direction = Some(Direction::SendRecv);
    if secure {
        assert!(!caps.keys.is_empty(), "a secure offer needs keys");
        let usual = SUITES.iter().filter_map(|suite| key_for(caps, *suite));
        let usual: Vec<&Crypto> = usual.collect();
        // Where there is no usual one, it is the one that was agreed.
        match usual.is_empty() {
            true => add_key(&mut section, &caps.keys[0]),
            false => usual.into_iter().for_each(|it| add_key(&mut section, it)),
        }
    }
    if let Some(near) = near {
        // Who is to begin the handshake is the answerer's choice, each time anew (RFC 8842 §5.2).
        browser::add(&mut section, near, None);
    }
    let mut description = describe(local, session_id, version, vec![section]);
    if near.is_some() {
        browser::bundle_own(&mut description);
    }
    description
}

/// Answers an offer: the first audio section that can work is taken, the others are refused with
/// port 0 (RFC 3264 §6). The codec is the preferred one, else the first of the offerer's that we
/// have, with the offerer's payload type.
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
    let near = caps.webrtc.as_ref().filter(|_| far.webrtc.is_some());
    let local = near.and_then(browser::default_door).unwrap_or(local);
    let media = offer.media.iter().enumerate();
    let media = media.map(|(at, section)| match at == index {
        true => accepted(section, &far, local.port(), caps),
        false => refused(section),
    });
    let mut answer = describe(local, session_id, version, media.collect());
    if near.is_some() {
        browser::bundle(&mut answer, index, offer);
    }
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
    if browser::is_browser(offer, ours) != browser::is_browser(answer, theirs) {
        return Err(NegotiateError::Protocol);
    }
    let offered = Capabilities {
        codecs: codecs(ours).map(|(codec, _)| codec).collect(),
        dtmf: events(ours, None).is_some(),
        opus: opus_of(ours),
        preferred: None,
        srtp: match is_secure_profile(&ours.protocol) {
            Some(true) => Srtp::Require,
            Some(false) | None => Srtp::Off,
        },
        keys: cryptos(ours)
            .filter_map(|it| Crypto::parse(it).ok())
            .collect(),
        webrtc: browser::far(offer, ours).map(|near| Near {
            credentials: near.credentials,
            fingerprint: near.fingerprint,
            doors: Arc::from([]),
            role: Some(browser::role_after(answer, theirs)),
        }),
    };
    let near = offer
        .connection_of(ours)
        .and_then(|connection| connection.host.ip());
    let far = far_end(answer, theirs, &offered, near)?;
    let mut params = far.params(offer.direction_of(ours));
    if !ours.rtcp_mux {
        params.rtcp_mux = false;
    }
    let own = codecs(ours).find(|(codec, _)| *codec == params.codec);
    params.offered = own
        .map(|(_, number)| number)
        .filter(|it| *it != params.payload_type);
    let own = params.dtmf.and_then(|dtmf| {
        let (format, _) = events(ours, Some(params.codec))?;
        (format.payload_type != dtmf.payload_type).then_some(format.payload_type)
    });
    params.offered_dtmf = own.filter(|number| *number != params.payload_type);
    Ok(params)
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
    events: Option<(EventFormat, Events)>,
    opus: OpusParams,
    ptime_ms: u16,
    /// Our key and theirs.
    keys: Option<(Crypto, Crypto)>,
    webrtc: Option<Box<Agreed>>,
    mux: bool,
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
            offered: None,
            offered_dtmf: None,
            opus: self.opus,
            ptime_ms: self.ptime_ms,
            srtp: self.keys.as_ref().map(|(ours, theirs)| SrtpKeys {
                send: ours.key.clone(),
                receive: theirs.key.clone(),
            }),
            webrtc: self.webrtc.clone(),
            rtcp_mux: self.mux,
            dtmf: self.events.map(|(format, _)| format),
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
    let webrtc = match (browser::is_browser(session, section), &caps.webrtc) {
        (true, Some(near)) => Some(Box::new(Agreed {
            own: near.credentials.clone(),
            far: browser::far(session, section).ok_or(NegotiateError::NoFingerprint)?,
            role: browser::role_to(session, section, near.role),
        })),
        (true, None) => return Err(NegotiateError::Protocol),
        (false, _) => None,
    };
    let keys = match (is_secure_profile(&section.protocol), caps.srtp) {
        _ if webrtc.is_some() => None,
        (None, _) | (Some(true), Srtp::Off) | (Some(false), Srtp::Require) => {
            return Err(NegotiateError::Protocol);
        }
        (Some(true), Srtp::Allow | Srtp::Offer | Srtp::Require) => {
            Some(keys_with(section, caps).ok_or(NegotiateError::NoKey)?)
        }
        (Some(false), Srtp::Off | Srtp::Allow | Srtp::Offer) => None,
    };
    let ours = || codecs(section).filter(|(codec, _)| caps.codecs.contains(codec));
    let (codec, payload_type) = ours()
        .find(|(codec, _)| caps.preferred == Some(*codec))
        .or_else(|| ours().next())
        .ok_or(NegotiateError::NoCodec)?;
    if section
        .maxptime_ms
        .is_some_and(|ms| ms < *PTIMES_MS.start())
    {
        return Err(NegotiateError::PacketTime);
    }
    let connection = session
        .connection_of(section)
        .ok_or(NegotiateError::NoAddress)?;
    let ip = match &webrtc {
        // What is written there is of no consequence, and names are usual.
        Some(_) => connection
            .host
            .ip()
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        None => unicast(&connection.host, near)?,
    };
    let direction = session.direction_of(section);
    // RFC 3264 §8.4: before there were directions, a stream was held by this address.
    let direction = Direction::from_halves(
        direction.sends(),
        direction.receives() && (webrtc.is_some() || !ip.is_unspecified()),
    );
    Ok(FarEnd {
        codec,
        payload_type,
        events: events(section, Some(codec)).filter(|_| caps.dtmf),
        opus: wishes(section, payload_type).meet(caps.opus),
        ptime_ms: codec.ptime_ms(section.ptime_ms, section.maxptime_ms),
        rtp: SocketAddr::new(ip, section.port),
        rtcp: match section.rtcp_mux || webrtc.is_some() {
            true => SocketAddr::new(ip, section.port),
            false => rtcp(section, ip, near),
        },
        keys,
        // Browsers of today have no other way (RFC 8834 §4.5).
        mux: section.rtcp_mux || webrtc.is_some(),
        webrtc,
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

/// The codecs that a description's writer has and we know, in his order, each once.
pub fn offered(session: &Description) -> Vec<Codec> {
    let mut all: Vec<Codec> = Vec::new();
    let sections = session.media.iter().filter(|media| is_audio(media));
    for (codec, _) in sections.flat_map(codecs) {
        if !all.contains(&codec) {
            all.push(codec);
        }
    }
    all
}

/// The codecs of a section that we know, in the writer's order, with their payload types.
fn codecs(section: &Media) -> impl Iterator<Item = (Codec, u8)> {
    payload_types(section).filter_map(|payload_type| {
        let codec = Codec::ALL
            .into_iter()
            .find(|codec| match section.rtpmap(payload_type) {
                Some(map) => codec.is(map),
                None => codec.is_static() && codec.payload_type() == payload_type,
            })?;
        Some((codec, payload_type))
    })
}

/// What the writer of a section wishes for a payload type that is Opus.
fn wishes(section: &Media, payload_type: u8) -> Wishes {
    section
        .fmtp(payload_type)
        .map_or_else(Wishes::default, Wishes::parse)
}

/// How we offered Opus in a section of ours.
fn opus_of(section: &Media) -> OpusParams {
    let number = codecs(section).find(|(codec, _)| *codec == Codec::Opus);
    let most = OpusParams {
        rate: Rate::Full,
        fec: true,
        dtx: true,
        cbr: false,
        bitrate: u32::MAX,
    };
    number.map_or_else(OpusParams::default, |(_, payload_type)| {
        wishes(section, payload_type).meet(most)
    })
}

/// Telephone-events at the clock rate of a codec, or else at that of telephones, which some use with
/// every codec; if they include the DTMF digits.
fn events(section: &Media, codec: Option<Codec>) -> Option<(EventFormat, Events)> {
    let at = |clock_hz: u32| {
        payload_types(section).find_map(|payload_type| {
            section
                .rtpmap(payload_type)
                .filter(|map| map.is(EVENT_ENCODING, clock_hz))?;
            let parameters = section
                .fmtp(payload_type)
                .map_or(Events::DEFAULT, Events::parse);
            let events = parameters.intersection(Events::OURS);
            let format = EventFormat {
                payload_type,
                clock_hz,
            };
            events.contains(Events::KEYS).then_some((format, events))
        })
    };
    match codec {
        Some(codec) => at(codec.clock_hz()).or_else(|| at(8_000)),
        None => EVENT_PAYLOAD_TYPES
            .iter()
            .find_map(|(clock_hz, _)| at(*clock_hz)),
    }
}

fn payload_types(section: &Media) -> impl Iterator<Item = u8> {
    section
        .formats
        .iter()
        .filter_map(|format| format.parse().ok().filter(|n| *n < 128))
}

fn accepted(offered: &Media, far: &FarEnd, port: u16, caps: &Capabilities) -> Media {
    let mut section = Media::new("audio", port, &offered.protocol);
    add_codec(&mut section, far.codec, far.payload_type, caps.opus);
    if let Some((format, events)) = far.events {
        add_events(&mut section, format, events);
    }
    section.ptime_ms = Some(PTIME_MS);
    section.rtcp_mux = far.mux;
    section.direction = Some(far.direction.mirrored());
    if let Some((ours, _)) = &far.keys {
        add_key(&mut section, ours);
    }
    if let (Some(agreed), Some(near)) = (&far.webrtc, &caps.webrtc) {
        browser::add(&mut section, near, Some(agreed.role));
    }
    section
}

/// Whether a profile is that of secure media; `None` if it is none of ours.
fn is_secure_profile(protocol: &str) -> Option<bool> {
    let ours = [(AVP, false), (SAVP, true)]
        .into_iter()
        .chain(WITH_FEEDBACK);
    let mut same = ours.filter(|(name, _)| name.eq_ignore_ascii_case(protocol));
    same.next().map(|(_, secure)| secure)
}

/// The values of the `a=crypto` attributes of a section.
fn cryptos(section: &Media) -> impl Iterator<Item = &str> {
    let attributes = section.attributes.iter();
    let keys = attributes.filter(|it| it.name.eq_ignore_ascii_case(sdes::ATTRIBUTE));
    keys.filter_map(|it| it.value.as_deref())
}

/// Our key for a suite.
fn key_for(caps: &Capabilities, suite: Suite) -> Option<&Crypto> {
    caps.keys.iter().find(|it| it.key.suite() == suite)
}

/// Our key and theirs for the first attribute of a section with a suite that we have a key for. Ours
/// has the tag of theirs (RFC 4568 §5.1.2).
fn keys_with(section: &Media, caps: &Capabilities) -> Option<(Crypto, Crypto)> {
    cryptos(section).find_map(|value| {
        let theirs = Crypto::parse(value).ok()?;
        let ours = Crypto {
            tag: theirs.tag,
            ..key_for(caps, theirs.key.suite())?.clone()
        };
        Some((ours, theirs))
    })
}

fn add_key(section: &mut Media, crypto: &Crypto) {
    section.attributes.push(Attribute {
        name: sdes::ATTRIBUTE.to_owned(),
        value: Some(crypto.to_value()),
    });
}

/// Port 0 refuses; kind, transport and formats are repeated because something must stand there.
fn refused(offered: &Media) -> Media {
    let mut section = Media::new(&offered.kind, 0, &offered.protocol);
    section.formats.clone_from(&offered.formats);
    section
}

fn add_codec(section: &mut Media, codec: Codec, payload_type: u8, opus: OpusParams) {
    section.formats.push(payload_type.to_string());
    section.rtpmaps.push(RtpMap {
        payload_type,
        encoding: codec.encoding().to_owned(),
        clock_hz: codec.clock_hz(),
        parameters: codec.rtpmap_parameters().map(str::to_owned),
    });
    if codec == Codec::Opus {
        section.fmtps.push(Fmtp {
            format: payload_type.to_string(),
            parameters: Wishes::ours(opus).to_string(),
        });
    }
}

fn add_events(section: &mut Media, format: EventFormat, events: Events) {
    let EventFormat {
        payload_type,
        clock_hz,
    } = format;
    section.formats.push(payload_type.to_string());
    section.rtpmaps.push(RtpMap {
        payload_type,
        encoding: EVENT_ENCODING.to_owned(),
        clock_hz,
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
