//! What a guard is told.

use std::time::Duration;

use super::{Prefix, Rate};

/// Words in the `User-Agent` of programs that look for telephone systems to break into. Compared
/// without regard to case.
pub const SCANNERS: [&str; 14] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "siparmyknife",
    "sivus",
    "pplsip",
    "sundayddr",
    "vaxsipuseragent",
    "vaxasip",
    "iwar",
    "svcrack",
];

/// Settings of a guard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Without it everything passes and streams may stay as long as they like.
    pub enabled: bool,
    /// Never limited and never banned. Wins over `deny`.
    pub allow: Vec<Prefix>,
    /// Gets no answer.
    pub deny: Vec<Prefix>,
    /// Messages of one source outside its dialogs, and those of one registered flow.
    pub requests: Rate,
    /// The same for REGISTER alone.
    pub registers: Rate,
    /// The same for INVITE outside dialogs: each one takes a port for audio.
    pub invites: Rate,
    /// Wrong credentials of one source before it is banned.
    pub failures: Rate,
    /// Messages of one source that are no SIP before it is banned.
    pub malformed: Rate,
    /// Messages beyond `requests`, `registers` and `invites` before their source is banned.
    pub excess: Rate,
    /// Words in the `User-Agent` that have a source banned at once.
    pub scanners: Vec<String>,
    /// How long a first ban lasts; each next one twice as long.
    pub ban_first: Duration,
    /// The longest ban; and for how long after its end a ban is remembered.
    pub ban_longest: Duration,
    /// Streams of one source.
    pub streams: usize,
    /// From the first byte of a message on a stream to its last.
    pub message_time: Duration,
    /// How long a stream may be without a message, unless a dialog or a registered contact uses it.
    pub idle_time: Duration,
}

impl Config {
    /// No guard: for a client, and for a network where all know each other.
    pub fn open() -> Self {
        Self {
            enabled: false,
            ..Self::default()
        }
    }
}

impl Default for Config {
    /// For an address that strangers reach.
    fn default() -> Self {
        Self {
            enabled: true,
            allow: Vec::new(),
            deny: Vec::new(),
            // An office of some hundred phones behind one address.
            requests: Rate::per_second(100),
            registers: Rate::per_second(20),
            invites: Rate::per_second(10),
            // A person mistypes; a phone with an old password tries again once or twice a minute.
            failures: Rate::per_minute(10),
            malformed: Rate::per_minute(60),
            // Nobody honest sends a thousand messages more than are answered.
            excess: Rate::new(1_000, Duration::from_secs(10), 1_000),
            scanners: SCANNERS.map(str::to_owned).into(),
            ban_first: Duration::from_secs(60),
            ban_longest: Duration::from_secs(3_600),
            streams: 200,
            message_time: Duration::from_secs(10),
            // Longer than 64·T1, so that answers find their stream (RFC 3261 §18).
            idle_time: Duration::from_secs(120),
        }
    }
}
