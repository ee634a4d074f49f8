//! IPv4 and IPv6: media goes over the one that the far end takes.

use std::net::SocketAddr;

use jackfield_engine::{Config, Engine, Input, Output, WorkerId};
use media::sdp::Description;
use sip::Transport;
use sip::message::Message;
use vocab::call::{Command, Event, Target};
use vocab::{CallId, LegId, Mono, Now, Party, Pii, Rng, Wall};

use crate::world::{address, s};

const HOME_4: &str = "192.0.2.1:5060";
const HOME_6: &str = "[2001:db8::1]:5060";
const FAR_4: &str = "192.0.2.50:5060";
const FAR_6: &str = "[2001:db8::50]:5060";

/// An engine with one port for RTP at each of these addresses.
struct Home {
    engine: Engine,
    calls: u32,
}

impl Home {
    fn new(media: &[&str]) -> Self {
        let sip = sip::Config {
            addresses: vec![(Transport::Udp, address(HOME_6))],
            ..sip::Config::new(address(HOME_4), address(HOME_4), [7; 32])
        };
        let config = Config {
            sip,
            capabilities: media::Capabilities::default(),
            credentials: None,
            browsers: Vec::new(),
        };
        let mut home = Self {
            engine: Engine::new(config, Rng::from_u64(1)),
            calls: 0,
        };
        let ports = media.iter().map(|at| address(at)).collect();
        let worker = WorkerId(0);
        home.feed(Input::Ports { worker, ports });
        home
    }

    /// The messages that it sends, and its events.
    fn feed(&mut self, input: Input<'_>) -> (Vec<Message>, Vec<Event>) {
        let now = Now::new(Mono(0), Wall(1_795_270_987_000_000));
        self.engine.handle(now, input);
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Transmit { bytes, .. } => {
                    sent.push(sip::message::parse(&bytes).expect("we send valid messages"));
                }
                Output::Event(event) => events.push(event),
                Output::CloseStream { .. } | Output::Media { .. } | Output::Response { .. } => {}
            }
        }
        (sent, events)
    }

    /// The answer to a call from there with this offer: its status and the address of its media.
    fn answer(&mut self, from: &str, offer: &str) -> (u16, Option<String>) {
        self.calls += 1;
        let n = self.calls;
        let content = match offer {
            "" => "",
            _ => "Content-Type: application/sdp\r\n",
        };
        let invite = format!(
            "INVITE sip:1000@demo SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-{n}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:far@demo>;tag=f{n}\r\nTo: <sip:1000@demo>\r\n\
             Call-ID: call-{n}\r\nCSeq: 1 INVITE\r\nContact: <sip:far@{from}>\r\n\
             {content}Content-Length: {}\r\n\r\n{offer}",
            offer.len()
        );
        let input = sip::Input::Datagram {
            remote: address(from),
            bytes: invite.as_bytes(),
        };
        let (sent, events) = self.feed(Input::Sip(input));
        let leg = events.iter().find_map(|event| match event {
            Event::Incoming { leg, .. } => Some(*leg),
            _ => None,
        });
        let Some(leg) = leg else {
            return final_answer(&sent);
        };
        final_answer(&self.feed(Input::Command(Command::Answer { leg })).0)
    }

    /// The address of our media in the INVITE to this next hop.
    fn offer(&mut self, next_hop: &str) -> Option<String> {
        self.calls += 1;
        let call = CallId(u128::from(self.calls));
        let target = Target::Uri {
            uri: Pii::new("sip:1@far".into()),
            next_hop: address(next_hop),
            tcp: false,
            carrier: None,
        };
        let dial = Command::Dial {
            leg: LegId { call, n: 1 },
            target,
            caller: Party::Anonymous,
            timeout: s(20),
            sent_by: None,
        };
        let (sent, _) = self.feed(Input::Command(dial));
        let invite = sent.iter().find_map(|message| match message {
            Message::Request(request) => Some(&request.body),
            Message::Response(_) => None,
        });
        media_address(invite?)
    }
}

fn final_answer(sent: &[Message]) -> (u16, Option<String>) {
    let found = sent.iter().find_map(|message| match message {
        Message::Response(response) if response.status >= 200 => {
            Some((response.status, media_address(&response.body)))
        }
        Message::Response(_) | Message::Request(_) => None,
    });
    found.expect("an answer")
}

fn media_address(body: &[u8]) -> Option<String> {
    let description = Description::parse(body).ok()?;
    let audio = description.media.iter().find(|media| media.port != 0)?;
    let ip = description.connection_of(audio)?.host.ip()?;
    Some(SocketAddr::new(ip, audio.port).to_string())
}

/// An offer with one audio section at each address.
fn offer(at: &[&str]) -> String {
    let sections = at.iter().map(|at| {
        let at: SocketAddr = address(at);
        let family = if at.is_ipv4() { "IP4" } else { "IP6" };
        let (port, ip) = (at.port(), at.ip());
        format!("m=audio {port} RTP/AVP 0\r\nc=IN {family} {ip}\r\n")
    });
    let sections: String = sections.collect();
    format!("v=0\r\no=far 1 1 IN IP4 192.0.2.50\r\ns=-\r\nt=0 0\r\n{sections}")
}

const MEDIA_4: &str = "192.0.2.1:10000";
const MEDIA_6: &str = "[2001:db8::1]:10000";
const TAKES_4: &str = "192.0.2.50:6000";
const TAKES_6: &str = "[2001:db8::50]:6000";

#[test]
fn a_caller_gets_the_ip_version_of_its_offer() {
    let answered = |at: &str| (200, Some(at.to_owned()));
    for (name, media, from, takes, expected) in [
        (
            "IPv4",
            &[MEDIA_4, MEDIA_6][..],
            FAR_4,
            &[TAKES_4][..],
            answered(MEDIA_4),
        ),
        (
            "IPv6",
            &[MEDIA_4, MEDIA_6],
            FAR_6,
            &[TAKES_6],
            answered(MEDIA_6),
        ),
        (
            "media apart",
            &[MEDIA_4, MEDIA_6],
            FAR_4,
            &[TAKES_6],
            answered(MEDIA_6),
        ),
        (
            "both",
            &[MEDIA_4, MEDIA_6],
            FAR_4,
            &[TAKES_6, TAKES_4],
            answered(MEDIA_6),
        ),
        (
            "both, we have one",
            &[MEDIA_4],
            FAR_4,
            &[TAKES_6, TAKES_4],
            answered(MEDIA_4),
        ),
        (
            "no offer, IPv4",
            &[MEDIA_4, MEDIA_6],
            FAR_4,
            &[],
            answered(MEDIA_4),
        ),
        (
            "no offer, IPv6",
            &[MEDIA_4, MEDIA_6],
            FAR_6,
            &[],
            answered(MEDIA_6),
        ),
        (
            "on hold, IPv6",
            &[MEDIA_4, MEDIA_6],
            FAR_6,
            &["[::]:6000"],
            answered(MEDIA_6),
        ),
        ("not here", &[MEDIA_4], FAR_6, &[TAKES_6], (488, None)),
        ("not there", &[MEDIA_6], FAR_4, &[TAKES_4], (488, None)),
    ] {
        let offer = if takes.is_empty() {
            String::new()
        } else {
            offer(takes)
        };
        assert_eq!(Home::new(media).answer(from, &offer), expected, "{name}");
    }
}

#[test]
fn who_is_called_gets_the_ip_version_by_which_it_is_reached() {
    let mut home = Home::new(&[MEDIA_4, MEDIA_6]);
    assert_eq!(home.offer(FAR_6).as_deref(), Some(MEDIA_6));
    assert_eq!(home.offer(FAR_4).as_deref(), Some(MEDIA_4));
    // The far end may know both, so what there is is tried.
    assert_eq!(Home::new(&[MEDIA_4]).offer(FAR_6).as_deref(), Some(MEDIA_4));
}

#[test]
fn a_version_without_a_free_port_refuses_its_callers_alone() {
    let mut home = Home::new(&[MEDIA_4, MEDIA_6]);
    let (four, six) = (offer(&[TAKES_4]), offer(&[TAKES_6]));
    assert_eq!(home.answer(FAR_6, &six).0, 200);
    assert_eq!(home.answer(FAR_6, &six).0, 503);
    assert_eq!(home.answer(FAR_4, &four).0, 200);
    assert_eq!(home.answer(FAR_4, &four).0, 503);
}
