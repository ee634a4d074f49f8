//! Signalling and call control together, without sockets and without audio.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use engine::{Config, Engine, Input, Output, WorkerId};
use media::Capabilities;
use sip::auth::{Challenge, Client};
use sip::message::{self, HeaderName, Message, Method};
use sip::{Account, Credentials};
use vocab::call::{Cause, Command, Event, Target};
use vocab::{LegId, Now, Party, Pii, Rng, SessionId};

use super::{Figure, Row, Sample, Target as Wanted, on_core};

/// Calls in one run, each with transactions that stay for 32 s, as on a busy node.
const CALLS: u32 = 10_000;

/// Calls that go step by step at the same time: only what the engine does with all of them is
/// measured, not the making of the messages.
const AT_ONCE: u32 = 2_000;

/// Between two inputs: two thousand calls a second, and eleven inputs a call.
const PAUSE: Duration = Duration::from_micros(45);

const HOME: &str = "192.0.2.2:5060";
const CALLER: &str = "192.0.2.9:5060";
const PHONE: &str = "192.0.2.10:5060";

pub(super) const ROWS: &[Row] = &[Row {
    name: "bridged_calls",
    what: "Engine alone: a call in, a registered phone rung, both bridged, both hung up",
    runs: super::RUNS,
    figures: &[Figure {
        name: "",
        what: "calls of two legs through signalling and call control, without audio",
        unit: "calls/s",
        target: Wanted::None,
    }],
    measure: bridged,
}];

/// An engine whose own time is measured, and nothing else.
struct Timed {
    engine: Engine,
    now: Now,
    spent: Duration,
    /// Ports of open sessions: the worker that gives them back is not measured.
    open: BTreeMap<SessionId, SocketAddr>,
}

/// A far end's message or a command.
enum Step {
    Says(&'static str, String),
    Told(Command),
    Closed(media::Event),
}

impl Timed {
    fn new() -> anyhow::Result<Self> {
        let home = HOME.parse()?;
        let password = Pii::new("secret".to_owned());
        let sip = sip::Config {
            accounts: BTreeMap::from([("1002".to_owned(), Account { password })]),
            ..sip::Config::new(home, home, [7; 32])
        };
        let config = Config {
            sip,
            capabilities: Capabilities::default(),
            credentials: None,
            browsers: Vec::new(),
        };
        let mut engine = Engine::new(config, Rng::from_u64(1));
        let port = |n| SocketAddr::new(home.ip(), 10_000 + 2 * n as u16);
        let input = Input::Ports {
            worker: WorkerId(0),
            ports: (0..2 * AT_ONCE).map(port).collect(),
        };
        engine.handle(Now::default(), input);
        Ok(Self {
            engine,
            now: Now::default(),
            spent: Duration::ZERO,
            open: BTreeMap::new(),
        })
    }

    /// Feeds steps, timers included; gives the outputs of each.
    fn feed(&mut self, steps: Vec<Step>) -> anyhow::Result<Vec<Vec<Output>>> {
        let places = [CALLER, PHONE].map(|at| (at, at.parse::<SocketAddr>()));
        let inputs: Vec<Input<'_>> = steps
            .iter()
            .map(|step| match step {
                Step::Says(from, text) => {
                    let place = places.iter().find(|(at, _)| at == from);
                    let remote = place.context("a place that is known")?.1.clone()?;
                    let bytes = text.as_bytes();
                    Ok(Input::Sip(sip::Input::Datagram { remote, bytes }))
                }
                Step::Told(command) => Ok(Input::Command(command.clone())),
                Step::Closed(event) => Ok(Input::Media {
                    worker: WorkerId(0),
                    event: event.clone(),
                }),
            })
            .collect::<anyhow::Result<_>>()?;
        let mut all: Vec<Vec<Output>> = Vec::with_capacity(inputs.len());
        let (engine, now) = (&mut self.engine, &mut self.now);
        self.spent += on_core(|| {
            for input in inputs {
                *now = *now + PAUSE;
                while engine.deadline().is_some_and(|at| at <= now.mono) {
                    engine.handle(*now, Input::Timeout);
                    while engine.poll().is_some() {}
                }
                engine.handle(*now, input);
                all.push(std::iter::from_fn(|| engine.poll()).collect());
            }
        });
        for output in all.iter().flatten() {
            if let Output::Media {
                command: media::Command::Open { session, local },
                ..
            } = output
            {
                self.open.insert(*session, *local);
            }
        }
        Ok(all)
    }

    /// What the worker reports of the sessions that were closed.
    fn closed(&mut self, told: &[Vec<Output>]) -> Vec<Step> {
        let mut closed = Vec::new();
        for output in told.iter().flatten() {
            if let Output::Media {
                command: media::Command::Close { session },
                ..
            } = output
                && let Some(local) = self.open.remove(session)
            {
                closed.push(Step::Closed(media::Event::Closed {
                    session: *session,
                    local,
                    stats: media::Stats::default(),
                }));
            }
        }
        closed
    }
}

fn bridged() -> anyhow::Result<Sample> {
    let mut timed = Timed::new()?;
    register(&mut timed)?;
    timed.spent = Duration::ZERO;
    for first in (0..CALLS).step_by(AT_ONCE as usize) {
        calls(&mut timed, first)?;
    }
    let counts = timed.engine.counts();
    let left = (counts.legs, counts.dialogs, counts.sessions, counts.panics);
    ensure!(left == (0, 0, 0, 0), "something is left: {counts:?}");
    Ok(Sample::one(f64::from(CALLS) / timed.spent.as_secs_f64()))
}

/// The phone registers, as phones do.
fn register(timed: &mut Timed) -> anyhow::Result<()> {
    let request = |cseq: u32, authorization: &str| {
        format!(
            "REGISTER sip:192.0.2.2 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {PHONE};branch=z9hG4bKr{cseq};rport\r\nMax-Forwards: 70\r\n\
             To: <sip:1002@192.0.2.2>\r\nFrom: <sip:1002@192.0.2.2>;tag=r\r\nCall-ID: register\r\n\
             CSeq: {cseq} REGISTER\r\nContact: <sip:1002@{PHONE}>\r\nExpires: 3600\r\n\
             {authorization}Content-Length: 0\r\n\r\n"
        )
    };
    let told = timed.feed(vec![Step::Says(PHONE, request(1, ""))])?;
    let answer = message::parse(&sent(told.first())?).context("the answer is SIP")?;
    let challenge = Challenge::choose(answer.headers()).context("a challenge is in it")?;
    let name = challenge.answer_header();
    let credentials = Credentials {
        user: "1002".to_owned(),
        password: Pii::new("secret".to_owned()),
    };
    let mut rng = Rng::from_u64(2);
    let mut client = Client::new(challenge);
    let value = client.answer(&mut rng, &Method::Register, "sip:192.0.2.2", &credentials);
    let again = request(2, &format!("{name}: {value}\r\n"));
    timed.feed(vec![Step::Says(PHONE, again)])?;
    ensure!(timed.engine.registered("1002") == 1, "the phone registers");
    Ok(())
}

/// The last message that was sent.
fn sent(told: Option<&Vec<Output>>) -> anyhow::Result<Vec<u8>> {
    let outputs = told.context("each step has outputs")?;
    let bytes = outputs.iter().rev().find_map(|output| match output {
        Output::Transmit { bytes, .. } => Some(bytes.to_vec()),
        Output::CloseStream { .. }
        | Output::Media { .. }
        | Output::Response { .. }
        | Output::Event(_) => None,
    });
    bytes.with_context(|| format!("nothing was sent: {outputs:?}"))
}

const fn second(leg: LegId) -> LegId {
    LegId {
        call: leg.call,
        n: 2,
    }
}

/// Takes calls from `first` on, all through one step before the next.
fn calls(timed: &mut Timed, first: u32) -> anyhow::Result<()> {
    let numbers = first..first + AT_ONCE;
    let invites = numbers
        .clone()
        .map(|n| Step::Says(CALLER, from_caller(n, "INVITE", 1, "")));
    let mut legs = Vec::new();
    for told in timed.feed(invites.collect())? {
        let Some(Output::Event(Event::Incoming { leg, .. })) = told.last() else {
            bail!("the INVITE is no call: {told:?}");
        };
        legs.push(*leg);
    }
    let answers = legs.iter().map(|&leg| Step::Told(Command::Answer { leg }));
    let told = timed.feed(answers.collect())?;
    let mut tags = Vec::new();
    for outputs in &told {
        let answer = message::parse(&sent(Some(outputs))?).context("the answer is SIP")?;
        let to = answer.headers().first(&HeaderName::To).unwrap_or_default();
        let (_, tag) = to.split_once(";tag=").context("a 200 has a tag")?;
        tags.push(format!(";tag={tag}"));
    }
    let within = |method: &'static str, cseq| {
        let calls = numbers.clone().zip(&tags);
        calls.map(move |(n, tag)| Step::Says(CALLER, from_caller(n, method, cseq, tag)))
    };
    timed.feed(within("ACK", 1).collect())?;

    let dials = legs.iter().map(|&leg| {
        Step::Told(Command::Dial {
            leg: second(leg),
            target: Target::User("1002".to_owned()),
            caller: Party::Sip("1001@192.0.2.2".to_owned()),
            timeout: Duration::from_secs(30),
            sent_by: None,
        })
    });
    let invites = requests(&timed.feed(dials.collect())?)?;
    let ring = invites
        .iter()
        .map(|invite| Step::Says(PHONE, reply(invite, "180 Ringing", false)));
    timed.feed(ring.collect())?;
    let pick_up = invites
        .iter()
        .map(|invite| Step::Says(PHONE, reply(invite, "200 OK", true)));
    timed.feed(pick_up.collect())?;
    let bridges = legs
        .iter()
        .map(|&a| Step::Told(Command::Bridge { a, b: second(a) }));
    for told in timed.feed(bridges.collect())? {
        let bridged = matches!(told.last(), Some(Output::Event(Event::Bridged { .. })));
        ensure!(bridged, "both are up: {told:?}");
    }

    let told = timed.feed(within("BYE", 2).collect())?;
    let closed = timed.closed(&told);
    timed.feed(closed)?;
    let hang_up = legs.iter().map(|&leg| {
        let (leg, cause) = (second(leg), Cause::Normal);
        Step::Told(Command::Hangup { leg, cause })
    });
    let told = timed.feed(hang_up.collect())?;
    let byes = requests(&told)?;
    let closed = timed.closed(&told);
    timed.feed(closed)?;
    let good = byes
        .iter()
        .map(|bye| Step::Says(PHONE, reply(bye, "200 OK", false)));
    timed.feed(good.collect())?;
    Ok(())
}

const OFFER: &str = "v=0\r\no=- 3969270461 3969270461 IN IP4 192.0.2.9\r\ns=phone\r\n\
    c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4002 RTP/AVP 8 0 101\r\na=rtcp:4003 IN IP4 192.0.2.9\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

/// A request of the caller in its call; `tag` is what the `To` has behind it.
fn from_caller(n: u32, method: &str, cseq: u32, tag: &str) -> String {
    let (content, body) = match method {
        "INVITE" => ("Content-Type: application/sdp\r\n", OFFER),
        _ => ("", ""),
    };
    format!(
        "{method} sip:1000@{HOME} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {CALLER};branch=z9hG4bK{method}{n};rport\r\nMax-Forwards: 70\r\n\
         Contact: <sip:1001@{CALLER}>\r\nTo: <sip:1000@{HOME}>{tag}\r\n\
         From: \"Reception\" <sip:1001@192.0.2.2>;tag=8c4f1b7a\r\nCall-ID: ODU0NmY1{n:036x}\r\n\
         CSeq: {cseq} {method}\r\nAllow: INVITE, ACK, CANCEL, BYE, UPDATE, REFER, NOTIFY, INFO\r\n\
         Supported: replaces, timer, outbound, path\r\nUser-Agent: Desk phone 5.2.1\r\n\
         {content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The requests that were sent, one in each step.
fn requests(told: &[Vec<Output>]) -> anyhow::Result<Vec<Message>> {
    let parse = |outputs| message::parse(&sent(Some(outputs))?).context("the request is SIP");
    told.iter().map(parse).collect()
}

/// The phone's answer to a request.
fn reply(request: &Message, status: &str, with_sdp: bool) -> String {
    let headers = request.headers();
    let header = |name| headers.first(&name).unwrap_or_default();
    let to = header(HeaderName::To);
    let tag = if to.contains(";tag=") {
        ""
    } else {
        ";tag=phone"
    };
    let (content, body) = match with_sdp {
        true => ("Content-Type: application/sdp\r\n", OFFER),
        false => ("", ""),
    };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:1002@{PHONE}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        header(HeaderName::Via),
        header(HeaderName::From),
        header(HeaderName::CallId),
        header(HeaderName::CSeq),
        body.len()
    )
}
