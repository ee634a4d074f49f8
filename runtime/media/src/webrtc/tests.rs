//! Against another implementation of everything behind the socket: `str0m`, as a browser would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::config::{DtlsVersion, Fingerprint as TheirFingerprint};
use str0m::ice::IceCreds;
use str0m::media::{MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, Ssrc};
use str0m::{Candidate, Event as TheirEvent, Input, Output, Rtc, RtcConfig};
use vocab::{Mono, Rng};

use super::*;
use crate::SrtpKeys;
use crate::rtp::{Header, Rtp};
use crate::srtp::{Receiver, Sender};

const OURS: &str = "192.0.2.1:10000";
const THEIRS: &str = "192.0.2.50:40000";

/// Where it is after it has changed its network.
const MOVED: &str = "198.51.100.9:50000";

const MID: &str = "0";
const SSRC: u32 = 7;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn doors() -> Arc<[Door]> {
    Arc::from([Door {
        at: address(OURS),
        tcp: false,
    }])
}

fn from(text: &str) -> Path {
    Path {
        door: 0,
        far: address(text),
    }
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["jackfield".to_owned()]).expect("a certificate");
    let key = made.signing_key.serialize_der();
    Identity::new(made.cert.der().to_vec(), key)
}

/// A browser and our way to it, and what is under way between them.
struct World {
    epoch: Instant,
    now: Mono,
    us: Transport,
    browser: Rtc,
    /// Where the browser is.
    at: SocketAddr,
    /// Nothing that it sends arrives.
    cut: bool,
    /// What we told, but packets.
    told: Vec<Event>,
    /// Media that came to us, still secured.
    media: Vec<Vec<u8>>,
    /// Payloads that came to the browser.
    heard: Vec<Vec<u8>>,
}

impl World {
    fn new(role: Role, version: DtlsVersion) -> Self {
        Self::with(role, version, |_| {})
    }

    /// The same, and what we believe of the browser.
    fn with(role: Role, version: DtlsVersion, change: impl FnOnce(&mut Far)) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "the browser wants one; only differences matter"
        )]
        let epoch = Instant::now();
        let mut rng = Rng::from_u64(1);
        let (identity, own) = (identity(), Credentials::random(&mut rng));
        let mut browser = RtcConfig::new()
            .set_rtp_mode(true)
            .set_dtls_version(version)
            .build(epoch);
        let candidate = Candidate::host(address(THEIRS), "udp").expect("a candidate");
        browser.add_local_candidate(candidate);
        let mut far = Far {
            credentials: credentials(&mut browser),
            fingerprint: fingerprint(&mut browser),
            candidates: vec![
                "1 1 udp 2122260223 192.0.2.50 40000 typ host generation 0".to_owned(),
                "2 1 udp 2122194687 4f4e.local 40001 typ host".to_owned(),
                "nonsense".to_owned(),
            ],
        };
        change(&mut far);
        let local = address(OURS);
        let ways = Ways {
            identity: identity.clone(),
            doors: doors(),
            epoch,
        };
        let us = Transport::new(&ways, Mono(0), (&own, &far), role);
        browser.add_remote_candidate(Candidate::host(local, "udp").expect("a candidate"));
        let mut api = browser.direct_api();
        api.set_ice_controlling(true);
        api.set_remote_ice_credentials(creds(&own));
        let ours = identity.fingerprint().to_string();
        let (_, digits) = ours.split_once(' ').expect("a name");
        api.set_remote_fingerprint(TheirFingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: digits
                .split(':')
                .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
                .collect(),
        });
        api.start_dtls(role == Role::Server).expect("a handshake");
        let mid = Mid::from(MID);
        api.declare_media(mid, MediaKind::Audio);
        api.declare_stream_tx(Ssrc::from(SSRC), None, mid, None);
        api.expect_stream_rx(Ssrc::from(SSRC + 1), None, mid, None);
        Self {
            epoch,
            now: Mono(0),
            us,
            browser,
            at: address(THEIRS),
            cut: false,
            told: Vec::new(),
            media: Vec::new(),
            heard: Vec::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.now.0)
    }

    /// Goes on for a while, in steps of a tick; packets take none of it.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(10);
            self.us.tick(self.now);
            if self.browser.is_alive() {
                let input = Input::Timeout(self.instant());
                self.browser.handle_input(input).expect("time");
            }
            while self.exchange() {}
        }
    }

    /// Whether anything went either way.
    fn exchange(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.us.poll() {
            match event {
                Event::Send { to, bytes } if to.far == self.at => {
                    moved = true;
                    self.deliver(address(OURS), &bytes);
                }
                Event::Send { .. } | Event::Known(_) | Event::Forgotten(_) => {}
                Event::Path(_) | Event::Keys(_) | Event::Away | Event::Failed(_) => {
                    self.told.push(event);
                }
            }
        }
        while self.browser.is_alive() {
            let Ok(output) = self.browser.poll_output() else {
                // Its handshake has come to nothing.
                self.browser.disconnect();
                break;
            };
            match output {
                Output::Timeout(_) => break,
                Output::Transmit(packet) if self.cut => drop(packet),
                Output::Transmit(packet) => {
                    moved = true;
                    match kind(&packet.contents) {
                        Kind::Media => self.media.push(packet.contents.to_vec()),
                        Kind::Stun | Kind::Dtls | Kind::Other => {
                            let from = Path {
                                door: 0,
                                far: self.at,
                            };
                            self.us.receive(self.now, from, &packet.contents);
                        }
                    }
                }
                Output::Event(TheirEvent::RtpPacket(packet)) => {
                    self.heard.push(packet.payload.to_vec());
                }
                Output::Event(_) => {}
            }
        }
        moved
    }

    fn deliver(&mut self, from: SocketAddr, bytes: &[u8]) {
        let receive = Receive {
            proto: Protocol::Udp,
            source: from,
            // The browser knows its own address only, wherever a NAT shows it.
            destination: address(THEIRS),
            contents: bytes.try_into().expect("a datagram"),
        };
        let input = Input::Receive(self.instant(), receive);
        self.browser.handle_input(input).expect("input");
    }

    fn keys(&self) -> Option<&SrtpKeys> {
        self.told.iter().find_map(|event| {
            if let Event::Keys(keys) = event {
                Some(&**keys)
            } else {
                None
            }
        })
    }

    fn paths(&self) -> Vec<SocketAddr> {
        let path = |event: &Event| {
            if let Event::Path(at) = event {
                Some(at.far)
            } else {
                None
            }
        };
        self.told.iter().filter_map(path).collect()
    }

    fn failures(&self) -> Vec<Failure> {
        let failure = |event: &Event| {
            if let Event::Failed(why) = event {
                Some(*why)
            } else {
                None
            }
        };
        self.told.iter().filter_map(failure).collect()
    }

    /// A packet of either side is what it was for the other.
    fn check_media(&mut self) {
        let keys = self.keys().expect("keys").clone();
        let now = self.instant();
        let said = b"from the browser".to_vec();
        let mut api = self.browser.direct_api();
        let stream = api.stream_tx(&Ssrc::from(SSRC)).expect("a stream");
        let write = RtpWrite::new(111.into(), 1.into(), 960, now, said.clone());
        stream.write_rtp(write);
        self.run(Duration::from_millis(40));
        let mut receiver = Receiver::new(&keys.receive);
        let open = |packet: &mut Vec<u8>| {
            let length = receiver.unprotect(packet).ok()?;
            let packet = Rtp::parse(&packet[..length]).ok()?;
            (packet.header.ssrc == SSRC).then(|| packet.payload.to_vec())
        };
        let came: Vec<Vec<u8>> = self.media.iter_mut().filter_map(open).collect();
        assert_eq!(came, [said]);

        let said = b"from us".to_vec();
        let header = Header {
            payload_type: 111,
            sequence: 1,
            timestamp: 960,
            ssrc: SSRC + 1,
            marker: false,
        };
        let packet = [&header.to_bytes()[..], &said].concat();
        let mut buffer = packet.clone();
        buffer.resize(packet.len() + crate::srtp::ADDED_BYTES_MAX, 0);
        let mut sender = Sender::new(&keys.send);
        let length = sender.protect(&mut buffer, packet.len()).expect("room");
        self.deliver(address(OURS), &buffer[..length]);
        self.run(Duration::from_millis(40));
        assert_eq!(self.heard, [said]);
    }
}

fn credentials(browser: &mut Rtc) -> Credentials {
    let creds = browser.direct_api().local_ice_credentials();
    Credentials {
        ufrag: creds.ufrag,
        password: creds.pass,
    }
}

fn creds(own: &Credentials) -> IceCreds {
    IceCreds {
        ufrag: own.ufrag.clone(),
        pass: own.password.clone(),
    }
}

fn fingerprint(browser: &mut Rtc) -> Fingerprint {
    let theirs = browser.direct_api().local_dtls_fingerprint().clone();
    let digits: Vec<String> = theirs.bytes.iter().map(|it| format!("{it:02X}")).collect();
    let text = format!("{} {}", theirs.hash_func, digits.join(":"));
    text.parse().expect("a fingerprint")
}

#[test]
fn media_is_secured_whoever_begins_and_in_either_version() {
    for role in [Role::Server, Role::Client] {
        for version in [DtlsVersion::Dtls12, DtlsVersion::Dtls13, DtlsVersion::Auto] {
            let mut world = World::new(role, version);
            world.run(Duration::from_secs(3));
            assert_eq!(world.paths(), [address(THEIRS)], "{role:?} {version:?}");
            assert_eq!(world.failures(), []);
            world.check_media();
        }
    }
}

#[test]
fn somebody_elses_certificate_gets_no_keys() {
    for role in [Role::Server, Role::Client] {
        let mut world = World::with(role, DtlsVersion::Auto, |far| {
            far.fingerprint = Fingerprint::of(b"somebody else");
        });
        world.run(Duration::from_secs(20));
        assert_eq!(world.keys(), None);
        assert_eq!(world.failures(), [Failure::Certificate]);
        assert_eq!(world.us.deadline(), None, "nothing is left to do");
    }
}

#[test]
fn whoever_does_not_know_the_password_is_nobody() {
    let mut world = World::with(Role::Server, DtlsVersion::Auto, |_| {});
    let stranger = from("203.0.113.66:6666");
    for datagram in [
        &[][..],
        &[0; 20],
        &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xff; 1_500],
    ] {
        let useful = world.us.receive(world.now, stranger, datagram);
        assert!(!useful);
    }
    let mut guess = World::with(Role::Server, DtlsVersion::Auto, |far| {
        far.credentials.ufrag = "else".to_owned();
    });
    guess.run(Duration::from_secs(35));
    assert_eq!((guess.paths(), guess.keys()), (vec![], None));
    assert_eq!(guess.failures(), [Failure::Unreachable]);
    assert_eq!(world.us.poll(), None, "nothing is said to a stranger");
    world.run(Duration::from_secs(3));
    // Garbage in the middle changes nothing.
    for from in [stranger, from(THEIRS)] {
        world.us.receive(world.now, from, &[22; 300]);
    }
    world.check_media();
}

#[test]
fn a_handshake_that_is_cut_off_is_given_up() {
    let mut world = World::new(Role::Server, DtlsVersion::Auto);
    while world.paths().is_empty() {
        world.run(Duration::from_millis(10));
    }
    world.cut = true;
    world.run(Duration::from_secs(60));
    let over = world.failures();
    assert!(
        over == [Failure::Handshake] || world.keys().is_some(),
        "{over:?}"
    );
}

#[test]
fn a_browser_that_changes_its_network_is_found_again_with_the_same_keys() {
    let mut world = World::new(Role::Server, DtlsVersion::Auto);
    world.run(Duration::from_secs(3));
    let mut rng = Rng::from_u64(2);
    let own = Credentials::random(&mut rng);
    let mut api = world.browser.direct_api();
    let mut theirs = creds(&Credentials::random(&mut rng));
    api.set_local_ice_credentials(theirs.clone());
    api.set_remote_ice_credentials(creds(&own));
    let far = Far {
        credentials: Credentials {
            ufrag: std::mem::take(&mut theirs.ufrag),
            password: std::mem::take(&mut theirs.pass),
        },
        fingerprint: fingerprint(&mut world.browser),
        candidates: Vec::new(),
    };
    world.us.restart(&own, &far);
    world.at = address(MOVED);
    world.run(Duration::from_secs(5));
    assert_eq!(world.paths(), [address(THEIRS), address(MOVED)]);
    let keys = world.told.iter().filter(|it| matches!(it, Event::Keys(_)));
    assert_eq!(keys.count(), 1);
    world.check_media();
}

#[test]
fn fingerprints_are_read_and_written() {
    let print = Fingerprint::of(b"a certificate");
    let text = print.to_string();
    assert_eq!(text.len(), "sha-256 ".len() + 32 * 3 - 1);
    assert_eq!(text.parse(), Ok(print));
    assert_eq!(text.to_lowercase().parse(), Ok(print));
    for bad in [
        "",
        "sha-256",
        "sha-1 00:11",
        "sha-256 00:11",
        &text[..text.len() - 1],
        &format!("{text}:00"),
        &text.replacen(':', "+", 1),
    ] {
        assert_eq!(bad.parse::<Fingerprint>(), Err(()), "{bad}");
    }
}
