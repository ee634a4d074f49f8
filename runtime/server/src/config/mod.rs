//! The configuration: one TOML file becomes one checked [`Config`].
//!
//! Nothing else leaves this module. The file is read through [`reader`], which knows the line of
//! every value, so that all problems are found in one go and each names file, line and remedy. A
//! derived deserializer would stop at the first.
//!
//! This is also the only place that reads the environment, by the names that the file gives, for
//! secrets.

mod audio;
mod catalogue;
mod dns;
mod groups;
mod guard;
mod limits;
mod listeners;
mod problem;
mod reader;
mod recordings;
mod routes;
mod secret;
mod sections;
mod spelling;
mod tenant;
mod trace;
mod trunks;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use media::negotiate::Srtp;
use media::{Codec, OpusParams};
use vocab::Pii;

pub(crate) use dns::server as dns_server;
pub use problem::{Errors, Problem};
pub(crate) use secret::{no_colour, secret};
pub(crate) use spelling::did_you_mean;
pub use trace::{Hep, Trace};

use crate::net::io::Way;

use problem::Report;
use reader::Source;
use secret::{Environment, Unset};

/// Everything the server is told, checked and complete.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// What deserves a look and keeps nothing from working.
    pub warnings: Vec<Problem>,
    /// Where the database, recordings and the cache of compiled plugins live.
    pub data_dir: PathBuf,
    /// `[sip]`.
    pub sip: Sip,
    /// `[sip.trace]` and `[sip.hep]`.
    pub trace: Trace,
    /// `[tls]`. Taken over without a restart.
    pub tls: Tls,
    /// `[media]`.
    pub media: Media,
    /// `[dns]`.
    pub dns: Dns,
    /// `[http]`.
    pub http: Http,
    /// `[plugins]`.
    pub plugins: Plugins,
    /// `[speech]`.
    pub speech: Speech,
    /// `[log]`.
    pub log: Log,
    /// `[recordings.s3]`: the object store of recordings, if there is one.
    pub(crate) recordings: Option<crate::archive::Remote>,
    /// How each tenant's recordings are kept. Taken over without a restart.
    pub(crate) policies: Arc<crate::archive::Policies>,
    /// The tenants. Taken over without a restart.
    pub node: Arc<node::Config>,
}

/// Signalling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sip {
    /// Where datagrams are received, first of all.
    pub udp: SocketAddr,
    /// Where plain streams are accepted, first of all.
    pub tcp: SocketAddr,
    /// Everything that is listened on, those two included.
    pub listeners: Vec<(sip::Transport, SocketAddr)>,
    /// The address peers are told to send to, unless another is told for their family.
    pub advertise: IpAddr,
    /// The addresses peers are told, one a family; where there is none, what is bound.
    pub advertised: Vec<IpAddr>,
    /// Pages that may connect over WebSockets.
    pub origins: Vec<String>,
    /// Digest realm, and the host of our own identity.
    pub realm: String,
    /// Hashes that phones may answer a challenge with, strongest first.
    pub digest: Vec<sip::auth::Algorithm>,
    /// How long a call lasts unless it is refreshed; `None` asks nobody to (RFC 4028).
    pub session_interval: Option<Duration>,
    /// Ring reliably for callers who can take that (RFC 3262).
    pub reliable_provisional: bool,
    /// `[sip.guard]`: who is listened to.
    pub guard: sip::guard::Config,
}

/// Certificates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The files, and who is believed.
    pub setup: crate::net::tls::Setup,
    /// Make a certificate that vouches for itself.
    pub self_signed: bool,
}

/// Audio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media {
    /// Where RTP is received: at most one address of each IP version.
    pub addresses: Vec<MediaAddress>,
    /// Ports of each address; the even ones are for RTP, each next one for its RTCP. Begins even, ends odd.
    pub rtp_ports: RangeInclusive<u16>,
    /// Where browsers bring their audio: the port of the first media thread, over each address; each
    /// further one has the next. `None`: there are no browsers.
    pub webrtc_port: Option<u16>,
    /// Media threads.
    pub threads: usize,
    /// How their sockets are read and written.
    pub io: Way,
    /// The cores they run on, in turn; none: any.
    pub pin: Vec<usize>,
    /// The code point of the packets they send, 0 to 63 (RFC 2474).
    pub dscp: u8,
    /// A call that receives nothing for this long is ended.
    pub inactive_after: Duration,
    /// Codecs in order of preference: at least one.
    pub codecs: Vec<Codec>,
    /// Whether audio is secured.
    pub srtp: Srtp,
    /// How Opus is used.
    pub opus: OpusParams,
}

/// Who is asked for the addresses of names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dns {
    /// Servers; empty for the system's.
    pub servers: Vec<SocketAddr>,
    /// Longest wait for one of them, which is asked twice.
    pub timeout: Duration,
}

impl Default for Dns {
    /// The system's servers, each with two seconds.
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(dns::TIMEOUT_S),
        }
    }
}

/// An address of audio.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediaAddress {
    /// Where RTP is received.
    pub bind: IpAddr,
    /// What peers are told to send it to.
    pub advertise: IpAddr,
}

/// The API and the pages for probes and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Http {
    /// Where requests are accepted.
    pub bind: SocketAddr,
    /// What `/api` asks for. Without one it answers nobody.
    pub token: Option<Pii<String>>,
    /// What is asked for before digits are taken out of the vault. Without one nobody gets any.
    pub vault_token: Option<Pii<String>>,
    /// How long the vault keeps digits.
    pub vault_keep: Duration,
    /// Phones in browsers connect to `/sip` here.
    pub websocket: bool,
}

/// Guests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plugins {
    /// The folder that is watched for `<name>.wasm`.
    pub dir: PathBuf,
    /// Threads that run guests.
    pub threads: usize,
    /// Guests alive at the same time: one for each call that a plugin answers.
    pub runs_max: u32,
}

/// Speech synthesis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Speech {
    /// The program, called as espeak-ng is.
    pub command: PathBuf,
    /// An engine that is asked first.
    pub(crate) remote: Option<crate::speech::RemoteSetup>,
    /// Bytes of speech that are kept on the disk.
    pub cache_bytes: u64,
    /// Whether texts are spoken at all.
    pub enabled: bool,
}

/// The server's own log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// One JSON object a line, instead of text.
    pub json: bool,
    /// What is logged, in the language of `tracing-subscriber`'s `EnvFilter`.
    pub filter: String,
}

impl Config {
    /// Where HTTP is reached.
    pub fn http_address(&self) -> SocketAddr {
        let at = self.http.bind;
        if at.ip().is_unspecified() {
            SocketAddr::new(self.sip.advertise, at.port())
        } else {
            at
        }
    }

    /// Whether phones in browsers can sign in.
    pub fn is_for_browsers(&self) -> bool {
        let mut listeners = self.sip.listeners.iter();
        let streams = [sip::Transport::Ws, sip::Transport::Wss];
        self.http.websocket || listeners.any(|(transport, _)| streams.contains(transport))
    }

    /// Reads a file, what it refers to, and the secrets it names.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(path: &Path) -> Result<Self, Errors> {
        read(path, &Environment::process(Unset::Refuse))
    }

    /// The same for commands that only look and need no secret: variables that are not set are
    /// taken as empty.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load_without_secrets(path: &Path) -> Result<Self, Errors> {
        read(path, &Environment::process(Unset::Empty))
    }

    /// Sections that differ and are read at start only. A running server takes over everything
    /// else.
    pub fn restart_needed(&self, new: &Self) -> Vec<&'static str> {
        let sections = [
            ("data_dir", self.data_dir != new.data_dir),
            ("[sip]", self.sip != new.sip || self.trace != new.trace),
            ("[media]", self.media != new.media),
            ("[dns]", self.dns != new.dns),
            ("[http]", self.http != new.http),
            ("[plugins]", self.plugins != new.plugins),
            ("[speech]", self.speech != new.speech),
            ("[log]", self.log != new.log),
            ("[recordings]", self.recordings != new.recordings),
        ];
        sections
            .into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| name)
            .collect()
    }
}

fn read(path: &Path, environment: &Environment<'_>) -> Result<Config, Errors> {
    let report = Report::new(path);
    let text = match reader::file(path, limits::FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(why) => {
            report.error(path, None, why);
            return Err(report.errors());
        }
    };
    let source = Source {
        path,
        text: &text,
        report: &report,
    };
    let Some(document) = source.parse() else {
        return Err(report.errors());
    };
    let config = sections::read(source.root(&document), &source, environment);
    report.finish(config)
}

#[cfg(test)]
mod tests;
