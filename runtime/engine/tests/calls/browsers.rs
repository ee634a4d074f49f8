//! Browsers and phones of one user: each gets an offer that it understands, and whoever answers has the call.

use std::sync::Arc;
use std::time::Duration;

use jackfield_engine::{Config, Door, Engine, Input, Output, WorkerId};
use media::webrtc::{Door as Entrance, Fingerprint};
use sip::Account;
use sip::auth::{Challenge, Client};
use sip::message::{HeaderName, Message, Method, Request, Response};
use vocab::call::{Command, Event, Target};
use vocab::{CallId, LegId, Mono, Now, Party, Pii, Rng, Wall};

use crate::world::{address, s};

const HOME: &str = "192.0.2.1:5060";
const DOOR: &str = "192.0.2.1:19000";
const PHONE: &str = "192.0.2.50:5060";
const BROWSER: &str = "192.0.2.60:40000";

const LEG: LegId = LegId {
    call: CallId(1),
    n: 1,
};

/// Where the two have registered as bob.
const CONTACTS: [(&str, &str); 2] = [
    (PHONE, "sip:bob@192.0.2.50:5060"),
    (BROWSER, "sip:bob@k2j1.invalid;transport=ws"),
];

struct House {
    engine: Engine,
    now: Now,
    rng: Rng,
}

/// What came of an input.
#[derive(Default)]
struct Came {
    requests: Vec<(String, Request)>,
    responses: Vec<Response>,
    events: Vec<Event>,
    media: Vec<media::Command>,
}

impl House {
    /// Where bob has a phone and a browser.
    fn new() -> Self {
        Self::of(&CONTACTS)
    }

    /// Where bob has these.
    fn of(contacts: &[(&str, &str)]) -> Self {
        let password = Pii::new("secret".to_owned());
        let home = address(HOME);
        let sip = sip::Config {
            accounts: [("bob".to_owned(), Account { password })].into(),
            ..sip::Config::new(home, home, [7; 32])
        };
        let door = Door {
            fingerprint: Fingerprint::of(b"ours"),
            doors: Arc::from([Entrance {
                at: address(DOOR),
                tcp: false,
            }]),
        };
        let config = Config {
            sip,
            capabilities: media::Capabilities::default(),
            credentials: None,
            browsers: vec![door],
        };
        let mut house = Self {
            engine: Engine::new(config, Rng::from_u64(1)),
            now: Now::new(Mono(0), Wall(1_795_270_987_000_000)),
            rng: Rng::from_u64(2),
        };
        let ports = (0..4).map(|n| format!("192.0.2.1:{}", 20_000 + 2 * n));
        let ports = ports.map(|at| address(&at)).collect();
        let worker = WorkerId(0);
        house.feed(Input::Ports { worker, ports });
        for &(from, contact) in contacts {
            house.register(from, contact);
        }
        house
    }

    fn feed(&mut self, input: Input<'_>) -> Came {
        self.engine.handle(self.now, input);
        let mut came = Came::default();
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Transmit { hop, bytes } => {
                    match sip::message::parse(&bytes).expect("we send valid messages") {
                        Message::Request(request) => {
                            came.requests.push((hop.remote.to_string(), request));
                        }
                        Message::Response(response) => came.responses.push(response),
                    }
                }
                Output::Event(event) => came.events.push(event),
                Output::Media { command, .. } => came.media.push(command),
                Output::CloseStream { .. } | Output::Response { .. } => {}
            }
        }
        came
    }

    fn send(&mut self, from: &str, text: &str) -> Came {
        self.feed(Input::Sip(sip::Input::Datagram {
            remote: address(from),
            bytes: text.as_bytes(),
        }))
    }

    fn register(&mut self, from: &str, contact: &str) {
        let mut proof = String::new();
        for n in 1..=2 {
            let text = format!(
                "REGISTER sip:demo SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{n}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:bob@demo>;tag=r\r\nTo: <sip:bob@demo>\r\n\
                 Call-ID: r{from}\r\nCSeq: {n} REGISTER\r\nContact: <{contact}>\r\n\
                 Expires: 600\r\n{proof}Content-Length: 0\r\n\r\n"
            );
            let came = self.send(from, &text);
            let answer = came.responses.first().expect("an answer");
            if answer.status == 200 {
                return;
            }
            let challenge = answer.headers.first(&HeaderName::WwwAuthenticate);
            let challenge = Challenge::parse(challenge.expect("a challenge")).expect("one of ours");
            let own = sip::Credentials {
                user: "bob".to_owned(),
                password: Pii::new("secret".to_owned()),
            };
            let answer =
                Client::new(challenge).answer(&mut self.rng, &Method::Register, "sip:demo", &own);
            proof = format!("Authorization: {answer}\r\n");
        }
        panic!("{contact} is not registered");
    }

    /// Calls bob: the INVITE that each address gets.
    fn dial(&mut self) -> Vec<(String, Request)> {
        let dial = Command::Dial {
            leg: LEG,
            target: Target::User("bob".to_owned()),
            caller: Party::Anonymous,
            timeout: s(20),
            sent_by: None,
        };
        let came = self.feed(Input::Command(dial));
        let mut invites = came.requests;
        invites.sort_by(|a, b| a.0.cmp(&b.0));
        invites
    }
}

fn body(request: &Request) -> String {
    String::from_utf8_lossy(&request.body).into_owned()
}

/// A 200 with this SDP.
fn answer(invite: &Request, contact: &str, sdp: &str) -> String {
    let field = |name: &HeaderName| invite.headers.first(name).expect("it is there").to_owned();
    format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=b\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <{contact}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        field(&HeaderName::Via),
        field(&HeaderName::From),
        field(&HeaderName::To),
        field(&HeaderName::CallId),
        field(&HeaderName::CSeq),
        sdp.len()
    )
}

const PLAIN: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\n";

const OF_BROWSER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtcp-mux\r\na=setup:active\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\n\
    a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
    a=rtpmap:0 PCMU/8000\r\n";

#[test]
fn a_phone_and_a_browser_of_one_user_ring_together() {
    let mut house = House::new();
    let invites = house.dial();
    let [(phone, plain), (browser, secure)] = &invites[..] else {
        panic!("{} ring", invites.len());
    };
    assert_eq!((phone.as_str(), browser.as_str()), (PHONE, BROWSER));
    let (plain, secure) = (body(plain), body(secure));
    assert!(
        plain.contains(" RTP/AVP ") && !plain.contains("a=ice"),
        "{plain}"
    );
    assert!(
        secure.contains("m=audio 19000 UDP/TLS/RTP/SAVPF ") && secure.contains("a=ice-lite"),
        "{secure}"
    );
    assert!(
        !secure.contains("RTP/AVP ") && !secure.contains("a=crypto"),
        "{secure}"
    );
}

#[test]
fn whoever_answers_has_the_call_by_the_way_that_it_was_offered() {
    for (place, sdp) in [(0, PLAIN), (1, OF_BROWSER)] {
        let mut house = House::new();
        let invites = house.dial();
        let (from, contact) = CONTACTS[place];
        let came = house.send(from, &answer(&invites[place].1, contact, sdp));
        let answered = |event: &Event| matches!(event, Event::Answered { leg: LEG, .. });
        assert!(
            came.events.iter().any(answered),
            "{from}: {:?}",
            came.events
        );
        let params = came.media.iter().find_map(|command| {
            if let media::Command::Configure { params, .. } = command {
                Some(params)
            } else {
                None
            }
        });
        let params = params.expect("audio is settled");
        assert_eq!(params.webrtc.is_some(), place == 1, "{from}");
        let other = CONTACTS[1 - place].0;
        let cancelled =
            |(to, request): &(String, Request)| to == other && request.method == Method::Cancel;
        house.now = house.now + Duration::from_millis(100);
        // Before anything was heard of it, it cannot be cancelled (RFC 3261 §9.1): it rings now.
        let ringing = answer(&invites[1 - place].1, CONTACTS[1 - place].1, "");
        let ringing = ringing.replace("200 OK", "180 Ringing");
        let later = house.send(other, &ringing);
        let mut requests = came.requests.iter().chain(&later.requests);
        assert!(requests.any(cancelled), "{other} rings no more");
    }
}

#[test]
fn an_answer_that_does_not_fit_the_offer_is_the_end_of_that_one() {
    for (place, sdp) in [(0, OF_BROWSER), (1, PLAIN)] {
        let (from, contact) = CONTACTS[place];
        let mut house = House::of(&[(from, contact)]);
        let invites = house.dial();
        let came = house.send(from, &answer(&invites[0].1, contact, sdp));
        let answered = |event: &Event| matches!(event, Event::Answered { .. });
        assert!(
            !came.events.iter().any(answered),
            "{from}: {:?}",
            came.events
        );
        assert!(
            !came
                .media
                .iter()
                .any(|it| matches!(it, media::Command::Configure { .. })),
            "{from}: nothing is settled"
        );
        let bye = |(to, request): &(String, Request)| to == from && request.method == Method::Bye;
        assert!(
            came.requests.iter().any(bye),
            "{from} is told: {:?}",
            came.requests
        );
    }
}
