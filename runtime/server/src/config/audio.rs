//! `[media]`: where audio is received, and how.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use media::negotiate::Srtp;
use media::{Codec, OpusParams, Rate};

use super::reader::{At, Table};
use super::spelling::did_you_mean;
use super::{Media, MediaAddress, Sip, limits};
use crate::net::io::Way;

/// A thousand calls. Below the ports that Linux gives to outgoing connections, which begin at
/// 32,768.
const RTP_PORTS: RangeInclusive<u16> = 20_000..=21_999;

/// Below those of RTP, with room for all threads.
const WEBRTC_PORT: u16 = 19_000;

/// Expedited forwarding, the class of telephony (RFC 4594 §4.1).
const DSCP: u8 = 46;

const HOST: &str = "an IP address, as in \"192.0.2.1\"";

/// Codecs of calls where nothing is said: the best first. L16 takes four times the network of G.711
/// and is for those who ask for it.
const CODECS: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma];

/// Reads the section. What it leaves open follows from where signalling is.
pub(super) fn read(mut table: Table<'_>, sip: &Sip) -> Media {
    let addresses = addresses(&mut table, sip);
    let rtp_ports = match table.text("rtp_ports") {
        None => RTP_PORTS,
        Some(text) => match rtp_ports(text.value) {
            Ok(ports) => {
                let mut signalling = sip.datagrams().into_iter();
                let bound = |ip| addresses.iter().any(|address| address.bind == ip);
                if let Some(taken) =
                    signalling.find(|at| bound(at.ip()) && ports.contains(&at.port()))
                {
                    let port = taken.port();
                    let what =
                        format!("rtp_ports holds {port}, which SIP uses; choose other ports");
                    table.source.error(Some(text.at), what);
                }
                ports
            }
            Err(why) => {
                let what = format!("rtp_ports = {:?}: {why}", text.value);
                table.source.error(Some(text.at), what);
                RTP_PORTS
            }
        },
    };
    let webrtc_port = webrtc_port(&mut table, sip, &rtp_ports);
    let threads = table
        .whole("threads", 1..=limits::MEDIA_THREADS_MAX)
        .unwrap_or(1);
    let io = way(&mut table);
    let pin = table.wholes("pin", 0..=limits::CORE_MAX).into_iter();
    let dscp = table.whole("dscp", 0..=limits::DSCP_MAX);
    let inactive_after = table
        .whole("inactive_after_s", 5..=86_400)
        .map(Duration::from_secs);
    let mut codecs = codecs(&mut table);
    if codecs.is_empty() {
        codecs = CODECS.to_vec();
    }
    let srtp = srtp(&mut table);
    let opus = opus(table.table("opus"));
    table.finish();
    Media {
        codecs,
        srtp,
        opus,
        addresses,
        rtp_ports,
        webrtc_port,
        threads: usize::try_from(threads).unwrap_or(1),
        io,
        pin: pin.filter_map(|core| usize::try_from(core).ok()).collect(),
        dscp: dscp.and_then(|dscp| dscp.try_into().ok()).unwrap_or(DSCP),
        inactive_after: inactive_after.unwrap_or(media::Config::default().inactive_after),
    }
}

/// Where browsers bring their audio.
fn webrtc_port(table: &mut Table<'_>, sip: &Sip, rtp_ports: &RangeInclusive<u16>) -> Option<u16> {
    let port = table.whole("webrtc_port", 0..=u64::from(u16::MAX));
    let port = port.and_then(|port| u16::try_from(port).ok());
    let Some(port) = port else {
        return Some(WEBRTC_PORT);
    };
    let taken = match port {
        _ if rtp_ports.contains(&port) => Some("is one of rtp_ports"),
        _ if sip.datagrams().iter().any(|at| at.port() == port) => Some("is used by SIP"),
        _ => None,
    };
    if let Some(why) = taken {
        let what = format!("webrtc_port = {port} {why}; choose another");
        table.source.error(None, what);
    }
    (port > 0).then_some(port)
}

/// The codecs of a list, each once; none is as good as no list.
pub(super) fn codecs(table: &mut Table<'_>) -> Vec<Codec> {
    let mut codecs = Vec::new();
    for text in table.texts("codecs") {
        let names = Codec::ALL.map(Codec::name);
        match Codec::of_name(text.value) {
            Some(codec) if codecs.contains(&codec) => {
                let what = format!("codec {:?} is named twice", text.value);
                table.source.error(Some(text.at), what);
            }
            Some(codec) => codecs.push(codec),
            None => {
                let hint = did_you_mean(text.value, names);
                let what = format!(
                    "codec {:?} is none of {}{hint}",
                    text.value,
                    names.join(", ")
                );
                table.source.error(Some(text.at), what);
            }
        }
    }
    codecs
}

fn srtp(table: &mut Table<'_>) -> Srtp {
    const WORDS: [(&str, Srtp); 4] = [
        ("off", Srtp::Off),
        ("allow", Srtp::Allow),
        ("offer", Srtp::Offer),
        ("require", Srtp::Require),
    ];
    let Some(text) = table.text("srtp") else {
        return Srtp::default();
    };
    let found = WORDS.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let words = WORDS.map(|(word, _)| word);
        let hint = did_you_mean(text.value, words);
        let what = format!(
            "srtp = {:?} is none of {}{hint}",
            text.value,
            words.join(", ")
        );
        table.source.error(Some(text.at), what);
    }
    found.map_or(Srtp::default(), |&(_, srtp)| srtp)
}

fn opus(mut table: Table<'_>) -> OpusParams {
    let usual = OpusParams::default();
    let rate = table.whole("rate_hz", 8_000..=48_000).map(|hz| {
        let rate = u32::try_from(hz).ok().and_then(Rate::of_hz);
        rate.unwrap_or_else(|| {
            let what = format!("rate_hz = {hz}: 8000, 16000 and 48000 are used");
            table.source.error(None, what);
            usual.rate
        })
    });
    let bitrate = table.whole("bitrate", 6_000..=128_000);
    let params = OpusParams {
        rate: rate.unwrap_or(usual.rate),
        fec: table.truth("fec").unwrap_or(usual.fec),
        dtx: table.truth("dtx").unwrap_or(usual.dtx),
        cbr: table.truth("cbr").unwrap_or(usual.cbr),
        bitrate: bitrate.map_or(usual.bitrate, |bits| bits as u32),
    };
    table.finish();
    params
}

/// How the sockets are read and written.
fn way(table: &mut Table<'_>) -> Way {
    let Some(text) = table.text("io") else {
        return Way::default();
    };
    match text.value {
        "auto" => Way::Auto,
        "io_uring" => Way::Uring,
        "epoll" => Way::Epoll,
        "sweep" => Way::Sweep,
        other => {
            let what =
                format!("io = {other:?} is not \"auto\", \"io_uring\", \"epoll\" or \"sweep\"");
            table.source.error(Some(text.at), what);
            Way::default()
        }
    }
}

/// Where audio is received, at most one address of each IP version, and what peers are told.
fn addresses(table: &mut Table<'_>, sip: &Sip) -> Vec<MediaAddress> {
    let bound = one_a_family(table, "bind");
    let told = one_a_family(table, "advertise");
    for given in &told {
        if given.value.is_unspecified() {
            let what = "advertise stands for all addresses; name the one that phones can reach";
            table.source.error(Some(given.at), what);
        }
    }
    let here = !bound.is_empty();
    let bound = if here { bound } else { signalling(sip) };
    for given in &told {
        if !bound
            .iter()
            .any(|bind| same_family(bind.value, given.value))
        {
            let version = if given.value.is_ipv4() {
                "IPv4"
            } else {
                "IPv6"
            };
            let what = format!("advertise has an {version} address, and bind has none; add one");
            table.source.error(Some(given.at), what);
        }
    }
    let addresses = bound.iter().map(|bind| {
        let mut told = told.iter().map(|told| told.value);
        let told = told.find(|told| same_family(*told, bind.value));
        let advertise = told.unwrap_or_else(|| inherited(bind.value, sip));
        // Not bound by this section: then the one it comes from has been reported.
        if told.is_none() && here && advertise.is_unspecified() {
            let what =
                "bind listens on all addresses; add advertise with the one that phones reach";
            table.source.error(Some(bind.at), what);
        }
        MediaAddress {
            bind: bind.value,
            advertise,
        }
    });
    addresses.collect()
}

/// The addresses of a key that takes one of each IP version.
fn one_a_family(table: &mut Table<'_>, key: &'static str) -> Vec<At<IpAddr>> {
    let mut all: Vec<At<IpAddr>> = Vec::new();
    for text in table.text_or_texts(key) {
        let at = text.at;
        match text.value.parse::<IpAddr>() {
            Ok(ip) if all.iter().any(|other| same_family(other.value, ip)) => {
                let what = format!("{key} takes one IPv4 and one IPv6 address");
                table.source.error(Some(at), what);
            }
            Ok(value) => all.push(At { value, at }),
            Err(_) => {
                let what = format!("{key} = {:?} is not {HOST}", text.value);
                table.source.error(Some(at), what);
            }
        }
    }
    all
}

/// Where signalling is received, the first of each IP version: UDP goes before the others.
fn signalling(sip: &Sip) -> Vec<At<IpAddr>> {
    let mut all: Vec<At<IpAddr>> = Vec::new();
    for (_, listener) in &sip.listeners {
        let value = listener.ip();
        if !all.iter().any(|other| same_family(other.value, value)) {
            all.push(At { value, at: 0 });
        }
    }
    all
}

/// Where signalling is reached, audio is, unless it is bound elsewhere.
fn inherited(bind: IpAddr, sip: &Sip) -> IpAddr {
    let mut signalling = signalling(sip).into_iter();
    if !bind.is_unspecified() && !signalling.any(|at| at.value == bind) {
        return bind;
    }
    let mut told = sip.advertised.iter().copied();
    told.find(|told| same_family(*told, bind)).unwrap_or(bind)
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// Reads `20000-21999`.
fn rtp_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        text.trim()
            .parse::<u16>()
            .ok()
            .filter(|port| *port >= 1_024)
    };
    let ends = text
        .split_once('-')
        .and_then(|(first, last)| Some((port(first)?, port(last)?)));
    let Some((first, last)) = ends else {
        return Err("not two ports from 1024 to 65535, as in \"20000-21999\"".to_owned());
    };
    if first % 2 == 1 {
        return Err(format!(
            "begins odd; RTP takes even ports, so begin at {}",
            first - 1
        ));
    }
    if last % 2 == 0 {
        return Err(format!(
            "ends even; the last RTCP port is odd, so end at {}",
            last + 1
        ));
    }
    let ports = usize::from(last.saturating_sub(first)) + 1;
    if last < first || ports < limits::RTP_PORTS_MIN {
        let least = limits::RTP_PORTS_MIN;
        return Err(format!(
            "too few; each party takes 2, so give at least {least} ports"
        ));
    }
    Ok(first..=last)
}
