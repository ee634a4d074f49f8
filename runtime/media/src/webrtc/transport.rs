//! One way to a browser.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Output as DtlsOutput, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol};
use vocab::{Mono, Rng};

use super::{Fingerprint, Identity};
use crate::SrtpKeys;
use crate::srtp::{MasterKey, Suite};

/// Letters of our names and passwords in ICE: 96 and 192 bits, where 24 and 128 are asked for
/// (RFC 8445 §5.3).
const UFRAG_CHARS: usize = 16;
const PASSWORD_CHARS: usize = 32;

/// Candidates that are taken of a far end: a browser has some for each of its networks.
const CANDIDATES_MAX: usize = 32;

/// Addresses that may have proven that they belong to the far end, at the same time.
const SOURCES_MAX: usize = 16;

/// Longest time until the far end is there: what a browser takes to try all its networks.
const SEARCH_MAX: Duration = Duration::from_secs(30);

/// Longest handshake: over bad lines some flights are sent thrice.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);

/// How long the end of a call may come after that of its media: they take different ways.
const CLOSING: Duration = Duration::from_secs(3);

/// Longest record that we send or take.
const RECORD_BYTES_MAX: usize = 2_048;

/// What a datagram on the socket of a browser is (RFC 7983 §7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A check of ICE, or its answer.
    Stun,
    /// A record of DTLS.
    Dtls,
    /// RTP or RTCP.
    Media,
    /// Nothing that belongs there.
    Other,
}

/// What a datagram is, by its first byte.
pub fn kind(datagram: &[u8]) -> Kind {
    match datagram.first() {
        Some(0..=3) => Kind::Stun,
        Some(20..=63) => Kind::Dtls,
        Some(128..=191) => Kind::Media,
        Some(_) | None => Kind::Other,
    }
}

/// Whom a check is for: the first half of its name (RFC 8445 §7.2.2); `None` if it is none.
pub fn name(datagram: &[u8]) -> Option<String> {
    let message = StunMessage::parse(datagram).ok()?;
    let (name, _) = message.split_username()?;
    Some(name.to_owned())
}

/// What we are in the handshake (`a=setup`, RFC 5763 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The far end begins: we are `passive`.
    Server,
    /// We begin: we are `active`.
    Client,
}

/// A socket that many browsers come to: they are told apart by the names in their checks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Door {
    /// Its address as browsers see it.
    pub at: SocketAddr,
    /// It is a listener for TCP (RFC 6544 §4.5, passive) rather than a socket of UDP.
    pub tcp: bool,
}

impl Door {
    fn protocol(self) -> Protocol {
        if self.tcp {
            Protocol::Tcp
        } else {
            Protocol::Udp
        }
    }
}

/// Where a far end is: a door of ours, by its number, and the address that it comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Path {
    /// The door.
    pub door: u8,
    /// The far end.
    pub far: SocketAddr,
}

/// Name and password for checks (RFC 8445 §5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub password: String,
}

impl Credentials {
    /// New ones of ours.
    pub fn random(rng: &mut Rng) -> Self {
        Self {
            ufrag: rng.token(UFRAG_CHARS),
            password: rng.token(PASSWORD_CHARS),
        }
    }

    fn creds(&self) -> IceCreds {
        IceCreds {
            ufrag: self.ufrag.clone(),
            pass: self.password.clone(),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.ufrag)
    }
}

/// What a far end's description says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Far {
    /// Its name and password.
    pub credentials: Credentials,
    /// Its certificate's.
    pub fingerprint: Fingerprint,
    /// Values of its `a=candidate` lines. What cannot be read or used is left out: it checks from where
    /// it is, and we answer there.
    pub candidates: Vec<String>,
}

/// How browsers come to a media worker.
#[derive(Clone, Debug)]
pub struct Ways {
    /// Who the worker is for them. Each is another one, so that a browser which comes to it from another
    /// begins anew.
    pub identity: Identity,
    /// The sockets that they come to, up to 255.
    pub doors: Arc<[Door]>,
    /// The moment of `Mono(0)`, which libraries want; only differences to it matter.
    pub epoch: Instant,
}

/// What our own description says of us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Near {
    /// Our name and password.
    pub credentials: Credentials,
    /// Our certificate's.
    pub fingerprint: Fingerprint,
    /// Where we are.
    pub doors: Arc<[Door]>,
    /// What we are in the handshake, if that is settled.
    pub role: Option<Role>,
}

/// What offer and answer settled of the way to a browser.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// Our name and password.
    pub own: Credentials,
    /// The browser.
    pub far: Far,
    /// What we are in the handshake.
    pub role: Role,
}

/// What a transport asks for, or reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Send this from the socket.
    Send {
        /// Where to.
        to: Path,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Media goes to and comes from here from now on.
    Path(Path),
    /// Who comes from here knows our password.
    Known(Path),
    /// So many more came since that this one is forgotten.
    Forgotten(Path),
    /// The handshake is over and the far end is who its description says. Told once.
    Keys(Box<SrtpKeys>),
    /// Nothing has been heard of the far end for long; it may come back.
    Away,
    /// It will come to nothing. Told once; nothing follows.
    Failed(Failure),
}

/// Why a transport came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// Its checks have not come.
    #[error("the far end was not found")]
    Unreachable,
    /// Somebody else's certificate.
    #[error("the far end's certificate is not that of its description")]
    Certificate,
    /// The handshake broke, or took too long.
    #[error("the handshake came to nothing")]
    Handshake,
    /// It has ended what was up.
    #[error("the far end has closed")]
    Closed,
}

/// How far it is.
///
/// | state | meaning | next |
/// |---|---|---|
/// | `Checking` | the far end is not found yet | `Shaking` |
/// | `Shaking` | the handshake goes on | `Up`, `Over` |
/// | `Up` | both have keys | `Closing` |
/// | `Closing` | the far end has closed; the call's end is to follow | `Over` |
/// | `Over` | it has failed, or was closed | |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Checking,
    Shaking,
    Up,
    Closing { until: Mono },
    Over,
}

/// One way to a browser. A machine: it has no clock and no socket.
#[derive(Debug)]
pub struct Transport {
    /// The moment of `Mono(0)`, for libraries that want an `Instant`.
    epoch: Instant,
    doors: Arc<[Door]>,
    ice: IceAgent,
    dtls: Dtls,
    role: Role,
    fingerprint: Fingerprint,
    state: State,
    /// When it is given up unless it is found.
    found_by: Mono,
    /// Where the far end is.
    path: Option<Path>,
    /// Where from somebody came who knows our password.
    known: BTreeSet<Path>,
    /// The certificate that was shown is the right one.
    proven: bool,
    keys: Option<Box<SrtpKeys>>,
    record: Vec<u8>,
    dtls_due: Option<Instant>,
    events: VecDeque<Event>,
}

impl Transport {
    /// A way to the far end that this description is of.
    pub fn new(ways: &Ways, now: Mono, (own, far): (&Credentials, &Far), role: Role) -> Self {
        let Ways {
            identity,
            doors,
            epoch,
        } = ways;
        let mut ice = IceAgent::new(own.creds());
        ice.set_ice_lite(true);
        ice.set_controlling(false);
        ice.set_max_candidate_pairs(CANDIDATES_MAX);
        for door in doors.iter() {
            if let Ok(candidate) = Candidate::host(door.at, door.protocol()) {
                ice.add_local_candidate(candidate);
            }
        }
        let config = Config::builder()
            .with_crypto_provider(dimpl::crypto::rust_crypto::default_provider())
            .require_client_certificate(true)
            .handshake_timeout(HANDSHAKE_MAX)
            .build()
            .expect("a constant");
        let certificate = DtlsCertificate {
            certificate: identity.certificate.clone(),
            private_key: identity.key.clone(),
        };
        let mut dtls = Dtls::new_auto(Arc::new(config), certificate, *epoch);
        dtls.set_active(role == Role::Client);
        let mut transport = Self {
            epoch: *epoch,
            doors: Arc::clone(doors),
            ice,
            dtls,
            role,
            fingerprint: far.fingerprint,
            state: State::Checking,
            found_by: now + SEARCH_MAX,
            path: None,
            known: BTreeSet::new(),
            proven: false,
            keys: None,
            record: vec![0; RECORD_BYTES_MAX],
            dtls_due: None,
            events: VecDeque::new(),
        };
        transport.know(far);
        transport
    }

    /// Where media goes to, once that is known.
    pub fn path(&self) -> Option<Path> {
        self.path
    }

    /// Where from somebody came who knows our password.
    pub fn known(&self) -> impl Iterator<Item = Path> {
        self.known.iter().copied()
    }

    /// The certificate that the far end is to show.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether it has come to nothing.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// The far end looks for another way, as after a change of networks (RFC 8839 §4.4.1.1.1): media goes
    /// on by the old one until it is found, with the same keys.
    pub fn restart(&mut self, own: &Credentials, far: &Far) {
        self.ice.ice_restart(own.creds(), true);
        self.know(far);
    }

    /// Whom we expect.
    fn know(&mut self, far: &Far) {
        self.ice.set_remote_credentials(far.credentials.creds());
        for candidate in far.candidates.iter().take(CANDIDATES_MAX) {
            // Names of mDNS, TCP and what else cannot be used: it will check from there itself.
            if let Ok(candidate) = Candidate::from_sdp_string(&format!("candidate:{candidate}")) {
                self.ice.add_remote_candidate(candidate);
            }
        }
    }

    /// A datagram that is no media has come. Says whether it was of any use.
    pub fn receive(&mut self, now: Mono, from: Path, datagram: &[u8]) -> bool {
        if self.state == State::Over {
            return false;
        }
        match kind(datagram) {
            Kind::Stun => self.check(now, from, datagram),
            Kind::Dtls if self.known.contains(&from) => {
                self.shake(now, datagram);
                true
            }
            // Whoever has not shown that it knows our password is nobody.
            Kind::Dtls | Kind::Media | Kind::Other => false,
        }
    }

    /// Time has passed: what is due is done.
    pub fn tick(&mut self, now: Mono) {
        if self.state == State::Over {
            return;
        }
        if self.state == State::Checking && now >= self.found_by {
            return self.fail(Failure::Unreachable);
        }
        if let State::Closing { until } = self.state
            && now >= until
        {
            return self.fail(Failure::Closed);
        }
        let instant = self.instant(now);
        if self.ice.poll_timeout().is_some_and(|at| at <= instant) {
            self.ice.handle_timeout(instant);
            self.drain_ice(now);
        }
        if self.dtls_due.is_some_and(|at| at <= instant) {
            self.wind(now);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub fn deadline(&mut self) -> Option<Mono> {
        if self.state == State::Over {
            return None;
        }
        let own = match self.state {
            State::Checking => Some(self.found_by),
            State::Closing { until } => Some(until),
            State::Shaking | State::Up | State::Over => None,
        };
        let own = own.map(|at| self.instant(at));
        let due = [self.ice.poll_timeout(), self.dtls_due, own];
        let due = due.into_iter().flatten().min()?;
        let since = due.saturating_duration_since(self.epoch);
        Some(Mono(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn instant(&self, now: Mono) -> Instant {
        self.epoch + Duration::from_nanos(now.0)
    }

    /// A check has come.
    fn check(&mut self, now: Mono, from: Path, datagram: &[u8]) -> bool {
        let Some(door) = self.doors.get(usize::from(from.door)).copied() else {
            return false;
        };
        let Ok(message) = StunMessage::parse(datagram) else {
            return false;
        };
        // We ask nobody, so there are no answers.
        if !message.is_binding_request() || !self.ice.accepts_message(&message) {
            return false;
        }
        let packet = StunPacket {
            proto: door.protocol(),
            source: from.far,
            destination: door.at,
            message,
        };
        let instant = self.instant(now);
        self.ice.handle_packet(instant, packet);
        // What has come of it is found out in time only.
        self.ice.handle_timeout(instant);
        if !self.known.contains(&from) {
            if self.known.len() >= SOURCES_MAX {
                // One that it has left goes first.
                let left = self
                    .known
                    .iter()
                    .find(|it| Some(**it) != self.path)
                    .copied();
                if let Some(left) = left {
                    self.known.remove(&left);
                    self.events.push_back(Event::Forgotten(left));
                }
            }
            self.known.insert(from);
            self.events.push_back(Event::Known(from));
        }
        self.drain_ice(now);
        true
    }

    /// The door with this address.
    fn door(&self, protocol: Protocol, at: SocketAddr) -> Option<u8> {
        let same = |door: &Door| door.at == at && door.protocol() == protocol;
        let place = self.doors.iter().position(same)?;
        u8::try_from(place).ok()
    }

    fn drain_ice(&mut self, now: Mono) {
        while let Some(transmit) = self.ice.poll_transmit() {
            let Some(door) = self.door(transmit.proto, transmit.source) else {
                continue;
            };
            let far = transmit.destination;
            self.events.push_back(Event::Send {
                to: Path { door, far },
                bytes: transmit.contents.to_vec(),
            });
        }
        while let Some(event) = self.ice.poll_event() {
            match event {
                IceAgentEvent::NominatedSend {
                    proto,
                    source,
                    destination: far,
                } => {
                    if let Some(door) = self.door(proto, source) {
                        self.found(now, Path { door, far });
                    }
                }
                IceAgentEvent::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                    self.events.push_back(Event::Away);
                }
                IceAgentEvent::IceConnectionStateChange(_)
                | IceAgentEvent::IceRestart(_)
                | IceAgentEvent::DiscoveredRecv { .. } => {}
            }
        }
    }

    /// The far end is there.
    fn found(&mut self, now: Mono, at: Path) {
        if self.path.replace(at) != Some(at) {
            self.events.push_back(Event::Path(at));
        }
        if self.state == State::Checking {
            self.state = State::Shaking;
            // Who begins sends its first flight now.
            self.wind(now);
        }
    }

    /// A record has come.
    fn shake(&mut self, now: Mono, record: &[u8]) {
        let instant = self.instant(now);
        if self.dtls.handle_timeout(instant).is_err() || self.dtls.handle_packet(record).is_err() {
            return self.fail(Failure::Handshake);
        }
        self.drain_dtls(now);
    }

    /// The clock of the handshake goes on.
    fn wind(&mut self, now: Mono) {
        if self.dtls.handle_timeout(self.instant(now)).is_err() {
            return self.fail(Failure::Handshake);
        }
        self.drain_dtls(now);
    }

    fn drain_dtls(&mut self, now: Mono) {
        let mut record = std::mem::take(&mut self.record);
        loop {
            match self.dtls.poll_output(&mut record) {
                DtlsOutput::Packet(bytes) => {
                    if let Some(to) = self.path {
                        let bytes = bytes.to_vec();
                        self.events.push_back(Event::Send { to, bytes });
                    }
                }
                DtlsOutput::BufferTooSmall { needed } => record.resize(needed, 0),
                DtlsOutput::Timeout(at) => {
                    self.dtls_due = Some(at);
                    break;
                }
                DtlsOutput::PeerCert(certificate) => {
                    if Fingerprint::of(certificate) != self.fingerprint {
                        self.fail(Failure::Certificate);
                        break;
                    }
                    self.proven = true;
                }
                DtlsOutput::KeyingMaterial(material, profile) => {
                    self.keys = keys(&material, profile, self.role).map(Box::new);
                }
                DtlsOutput::CloseNotify => {
                    let until = now + CLOSING;
                    self.state = State::Closing { until };
                    self.dtls_due = None;
                    break;
                }
                // We have nothing to say beside media, and hear nothing else.
                DtlsOutput::Connected | DtlsOutput::ApplicationData(_) | _ => {}
            }
        }
        self.record = record;
        if self.state == State::Shaking
            && self.proven
            && let Some(keys) = self.keys.take()
        {
            self.state = State::Up;
            self.events.push_back(Event::Keys(keys));
        }
    }

    fn fail(&mut self, why: Failure) {
        if self.state != State::Over {
            self.state = State::Over;
            self.events.push_back(Event::Failed(why));
        }
    }
}

/// The keys of both directions, out of what the handshake exports: the client's key, the server's, the
/// client's salt, the server's (RFC 5764 §4.2).
fn keys(material: &[u8], profile: SrtpProfile, role: Role) -> Option<SrtpKeys> {
    let (suite, key) = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => (Suite::AesCm128HmacSha1_80, 16),
        SrtpProfile::AEAD_AES_128_GCM => (Suite::AeadAes128Gcm, 16),
        SrtpProfile::AEAD_AES_256_GCM => (Suite::AeadAes256Gcm, 32),
        _ => return None,
    };
    let salt = suite.master_bytes().checked_sub(key)?;
    if material.len() != 2 * (key + salt) {
        return None;
    }
    let (keys, salts) = material.split_at(2 * key);
    let master = |n: usize| {
        let key = &keys[n * key..][..key];
        MasterKey::new(suite, &[key, &salts[n * salt..][..salt]].concat())
    };
    let (client, server) = (master(0)?, master(1)?);
    let (send, receive) = match role {
        Role::Client => (client, server),
        Role::Server => (server, client),
    };
    Some(SrtpKeys { send, receive })
}
