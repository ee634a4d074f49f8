//! What descriptions of browsers have beyond those of phones (RFC 8829, JSEP): a name and a password
//! for the checks of ICE (RFC 8839), and the fingerprint of a certificate (RFC 8122).

use std::net::SocketAddr;

use crate::sdp::{Attribute, Description, Media};
use crate::srtp::sdes;
use crate::webrtc::{Credentials, Door, Far, Fingerprint, Near, Role};

/// Secure RTP with keys of DTLS (RFC 5764 §8), with feedback. We answer with what is offered.
pub(super) const PROFILE: &str = "UDP/TLS/RTP/SAVPF";

/// All of its kind.
const PROFILES: [&str; 4] = [
    PROFILE,
    "UDP/TLS/RTP/SAVP",
    "TCP/DTLS/RTP/SAVPF",
    "TCP/DTLS/RTP/SAVP",
];

/// Names of attributes.
const UFRAG: &str = "ice-ufrag";
const PASSWORD: &str = "ice-pwd";
const FINGERPRINT: &str = "fingerprint";
const SETUP: &str = "setup";
const CANDIDATE: &str = "candidate";
const GROUP: &str = "group";
const MID: &str = "mid";

/// What the only section of our offers is called.
const OUR_MID: &str = "0";

/// The first candidates of a far end are looked at, for those that no browser has.
const CANDIDATES_MAX: usize = 64;

/// Preference of host candidates by their kind, and of doors among them (RFC 8445 §5.1.2.1).
const HOST_PREFERENCE: u32 = 126 << 24;
const UDP_PREFERENCE: u32 = 65_535;
/// RFC 6544 §4.2: those of TCP come after all others.
const TCP_PREFERENCE: u32 = 16_383;

/// Whether a section is one of a browser. Old ones say so by a fingerprint alone.
pub(super) fn is_browser(session: &Description, section: &Media) -> bool {
    let named = PROFILES
        .iter()
        .any(|it| it.eq_ignore_ascii_case(&section.protocol));
    let keyed = || {
        section
            .attributes
            .iter()
            .any(|it| it.name.eq_ignore_ascii_case(sdes::ATTRIBUTE))
    };
    let secure = super::is_secure_profile(&section.protocol) == Some(true);
    named || (secure && !keyed() && value(session, section, FINGERPRINT).is_some())
}

/// What a section says of the way to its writer.
pub(super) fn far(session: &Description, section: &Media) -> Option<Far> {
    let credentials = credentials(session, section)?;
    let prints = values(section, FINGERPRINT).chain(of_session(session, FINGERPRINT));
    // Some send several, of other functions too.
    let fingerprint = prints
        .filter_map(|it| it.parse::<Fingerprint>().ok())
        .next()?;
    let candidates = values(section, CANDIDATE).take(CANDIDATES_MAX);
    Some(Far {
        credentials,
        fingerprint,
        candidates: candidates.map(str::to_owned).collect(),
    })
}

/// Name and password of a section's writer, of lengths that RFC 8839 §5.4 allows.
fn credentials(session: &Description, section: &Media) -> Option<Credentials> {
    let (ufrag, password) = (
        value(session, section, UFRAG)?,
        value(session, section, PASSWORD)?,
    );
    let fits = (4..=256).contains(&ufrag.len()) && (22..=256).contains(&password.len());
    fits.then(|| Credentials {
        ufrag: ufrag.to_owned(),
        password: password.to_owned(),
    })
}

/// What we are where this is an offer to us. What we were we stay (RFC 8842 §5.5).
pub(super) fn role_to(session: &Description, section: &Media, settled: Option<Role>) -> Role {
    match value(session, section, SETUP) {
        Some(setup) if setup.eq_ignore_ascii_case("active") => Role::Server,
        Some(setup) if setup.eq_ignore_ascii_case("passive") => Role::Client,
        // Who begins saves a flight (RFC 5763 §5).
        Some(_) | None => settled.unwrap_or(Role::Client),
    }
}

/// What we are after this answer.
pub(super) fn role_after(session: &Description, section: &Media) -> Role {
    match value(session, section, SETUP) {
        Some(setup) if setup.eq_ignore_ascii_case("passive") => Role::Client,
        Some(_) | None => Role::Server,
    }
}

/// Where media is said to go: the door that all can reach.
pub(super) fn default_door(near: &Near) -> Option<SocketAddr> {
    let door = near.doors.iter().find(|door| !door.tcp);
    door.or(near.doors.first()).map(|door| door.at)
}

/// Writes what is said of us. `setup` is what we are; nothing where the far end is to choose.
pub(super) fn add(section: &mut Media, near: &Near, role: Option<Role>) {
    let setup = match role {
        None => "actpass",
        Some(Role::Server) => "passive",
        Some(Role::Client) => "active",
    };
    let Credentials { ufrag, password } = &near.credentials;
    push(section, UFRAG, ufrag);
    push(section, PASSWORD, password);
    let print = near.fingerprint.to_string();
    push(section, FINGERPRINT, &print);
    push(section, SETUP, setup);
    // Where audio of browsers is to belong to something, it belongs to this.
    push(section, "msid", "jackfield audio");
    for (number, door) in near.doors.iter().enumerate() {
        push(section, CANDIDATE, &candidate(number, *door));
    }
    flag(section, "end-of-candidates");
}

/// A candidate (RFC 8839 §5.1).
fn candidate(number: usize, door: Door) -> String {
    let place = u32::try_from(number).unwrap_or(u32::MAX).min(1_000);
    let (kind, most, suffix) = match door.tcp {
        false => ("udp", UDP_PREFERENCE, ""),
        true => ("tcp", TCP_PREFERENCE, " tcptype passive"),
    };
    let priority = HOST_PREFERENCE + ((most - place) << 8) + 255;
    let (ip, port) = (door.at.ip().to_canonical(), door.at.port());
    format!(
        "{} 1 {kind} {priority} {ip} {port} typ host{suffix}",
        number + 1
    )
}

/// Names our section as the offerer names it, and puts it into the bundle that it is offered in (RFC
/// 9143 §7.3).
pub(super) fn bundle(ours: &mut Description, index: usize, offer: &Description) {
    flag_session(ours, "ice-lite");
    let Some(mid) = values(&offer.media[index], MID).next() else {
        return;
    };
    let bundles = of_session(offer, GROUP);
    let bundled = |group: &str| {
        let mut words = group.split_whitespace();
        words
            .next()
            .is_some_and(|it| it.eq_ignore_ascii_case("BUNDLE"))
            && words.any(|it| it == mid)
    };
    if bundles.into_iter().any(bundled) {
        push_session(ours, GROUP, &format!("BUNDLE {mid}"));
    }
    for (section, offered) in ours.media.iter_mut().zip(&offer.media) {
        if let Some(mid) = values(offered, MID).next() {
            push(section, MID, mid);
        }
    }
}

/// The same in an offer of ours.
pub(super) fn bundle_own(ours: &mut Description) {
    flag_session(ours, "ice-lite");
    push_session(ours, GROUP, &format!("BUNDLE {OUR_MID}"));
    for section in &mut ours.media {
        push(section, MID, OUR_MID);
    }
}

fn value<'a>(session: &'a Description, section: &'a Media, name: &'a str) -> Option<&'a str> {
    values(section, name)
        .chain(of_session(session, name))
        .next()
}

fn values<'a>(section: &'a Media, name: &'a str) -> impl Iterator<Item = &'a str> {
    matching(&section.attributes, name)
}

fn of_session<'a>(session: &'a Description, name: &'a str) -> impl Iterator<Item = &'a str> {
    matching(&session.attributes, name)
}

fn matching<'a>(all: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = all
        .iter()
        .filter(move |it| it.name.eq_ignore_ascii_case(name));
    named.filter_map(|it| it.value.as_deref())
}

fn push(section: &mut Media, name: &str, value: &str) {
    section.attributes.push(attribute(name, Some(value)));
}

fn flag(section: &mut Media, name: &str) {
    section.attributes.push(attribute(name, None));
}

fn push_session(session: &mut Description, name: &str, value: &str) {
    session.attributes.push(attribute(name, Some(value)));
}

fn flag_session(session: &mut Description, name: &str) {
    session.attributes.push(attribute(name, None));
}

fn attribute(name: &str, value: Option<&str>) -> Attribute {
    Attribute {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
