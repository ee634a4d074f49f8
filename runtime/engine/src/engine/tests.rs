//! What only the inside can test: a step that panics because of what is broken already.

use media::sdp::Description;
use vocab::call::{Cause, Side};
use vocab::{CallId, Wall};

use super::*;
use crate::leg::{Asked, Session};
use crate::limits::CLOSE_WAIT;
use crate::ports::Family;

fn home() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

fn now() -> Now {
    Now::new(Mono(0), Wall(1_800_000_000_000_000))
}

fn leg(n: u16) -> LegId {
    LegId { call: CallId(1), n }
}

fn up(n: u16, peer: Option<LegId>) -> Leg {
    let id = SessionId(u64::from(n));
    let local = SocketAddr::new(home().ip(), 10_000 + 2 * n);
    let description = Description::parse(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n")
        .expect("a description");
    let mut session = Session::new((id, WorkerId(0), local), description, 1, 70);
    session.peer = peer;
    let dialog = DialogId(u64::from(n));
    Leg::Up { dialog, session }
}

#[test]
fn a_bridge_with_one_end_drops_that_leg_alone() {
    let sip = sip::Config::new(home(), home(), [0; 32]);
    let capabilities = Capabilities::default();
    let config = Config {
        sip,
        capabilities,
        credentials: None,
        browsers: Vec::new(),
    };
    let mut engine = Engine::new(config, Rng::from_u64(1));
    for (n, peer) in [(1, Some(leg(2))), (2, None)] {
        engine.legs.insert(leg(n), up(n, peer));
        let track = Track {
            leg: leg(n),
            carries: leg(n),
            worker: WorkerId(0),
            closing: false,
            keys: Vec::new(),
            asked: Asked::default(),
        };
        engine.sessions.insert(SessionId(u64::from(n)), track);
    }
    // Which breaks an assertion while it is dropped for having broken another.
    engine.handle(
        now(),
        Input::Command(Command::Dial {
            leg: leg(1),
            target: vocab::call::Target::User("ann".into()),
            caller: vocab::Party::Anonymous,
            timeout: CLOSE_WAIT,
            sent_by: None,
        }),
    );
    let outputs: Vec<_> = std::iter::from_fn(|| engine.poll()).collect();
    let closes = |output: &Output| {
        let close = media::Command::Close {
            session: SessionId(1),
        };
        matches!(output, Output::Media { command, .. } if *command == close)
    };
    assert!(outputs.iter().any(closes), "{outputs:?}");
    let stats = media::Stats::default();
    let (session, local) = (SessionId(1), SocketAddr::new(home().ip(), 10_002));
    engine.handle(
        now(),
        Input::Ports {
            worker: WorkerId(0),
            ports: Vec::new(),
        },
    );
    let event = media::Event::Closed {
        session,
        local,
        stats,
    };
    engine.handle(
        now(),
        Input::Media {
            worker: WorkerId(0),
            event,
        },
    );
    let (cause, by) = (Cause::Failed, Side::Near);
    let ended = Event::Ended {
        leg: leg(1),
        cause,
        by,
        status: None,
        q850: None,
        contacts: Vec::new(),
        retry_after: None,
    };
    assert_eq!(engine.poll(), Some(Output::Event(ended)));
    assert_eq!(engine.poll(), None);
    assert_eq!((engine.counts().panics, engine.counts().legs), (1, 1));
}

#[test]
fn phones_that_ring_together_get_one_offer_that_all_can_take() {
    let sip = sip::Config::new(home(), home(), [0; 32]);
    let config = Config {
        sip,
        capabilities: Capabilities::default(),
        credentials: None,
        browsers: Vec::new(),
    };
    let mut engine = Engine::new(config, Rng::from_u64(1));
    let [four, six]: [IpAddr; 2] = ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse().expect("one"));
    let ports = [four, six].map(|ip| SocketAddr::new(ip, 10_000)).into();
    let worker = WorkerId(0);
    engine.handle(now(), Input::Ports { worker, ports });
    for (hops, expected) in [
        (&[four][..], Family::V4),
        (&[six, six], Family::V6),
        (&[six, four], Family::V4),
    ] {
        assert_eq!(engine.family_to(hops.iter().copied()), expected, "{hops:?}");
    }
}
