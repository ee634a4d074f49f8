//! SIP alone: reading, writing, whole calls through an endpoint, registrations.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sip::auth::{Challenge, Client};
use sip::message::{self, Message, Method};
use sip::{Account, Action, Config, Credentials, Endpoint, Event, Input, Output};
use vocab::{Now, Pii, Rng};

use super::{Figure, Row, Sample, Target, micros_each, on_core};

/// Messages read or written in one run.
const MESSAGES: u32 = 100_000;

/// Calls in one run of an endpoint, each with transactions that stay for 32 s, as on a busy node.
const CALLS: u32 = 30_000;

/// Registrations in one run.
const REGISTRATIONS: u32 = 30_000;

/// Calls or registrations that go step by step at the same time: only what the endpoint does with
/// all of them is measured, not the making of the messages.
const AT_ONCE: u32 = 10_000;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "sip_parse",
        what: "read an INVITE of 1.1 KB",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "read an INVITE of 1.1 KB",
            unit: "µs",
            target: Target::AtMost(2.0),
        }],
        measure: parse,
    },
    Row {
        name: "sip_write",
        what: "write an INVITE of 1.1 KB",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "write an INVITE of 1.1 KB",
            unit: "µs",
            target: Target::None,
        }],
        measure: write,
    },
    Row {
        name: "sip_uas",
        what: "sip::Endpoint alone: INVITE, 100, 200, ACK, BYE, 200",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "calls taken by sip::Endpoint alone (INVITE, 100, 200, ACK, BYE, 200)",
            unit: "calls/s",
            target: Target::AtLeast(6_000.0),
        }],
        measure: uas,
    },
    Row {
        name: "register",
        what: "sip::Endpoint alone: REGISTER, 401, REGISTER with digest, 200",
        runs: super::RUNS,
        figures: &[Figure {
            name: "",
            what: "digest registrations by sip::Endpoint alone (challenge and answer)",
            unit: "1/s",
            target: Target::None,
        }],
        measure: register,
    },
];

/// What a desk phone sends, with its offer.
const INVITE: &str = "INVITE sip:1000@192.0.2.2:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-524287-1---9a1f73c2b4e0d5a7;rport\r\n\
    Max-Forwards: 70\r\n\
    Contact: <sip:1001@192.0.2.9:5060;transport=udp;ob>;+sip.instance=\"<urn:uuid:9d1c>\"\r\n\
    To: <sip:1000@192.0.2.2:5060>\r\n\
    From: \"Reception\" <sip:1001@192.0.2.2:5060>;tag=8c4f1b7a\r\n\
    Call-ID: 96237ODU0NmY1ZTU4YzNhNTg1MTcyNmE2Njk4OTk2OWFmYjE\r\n\
    CSeq: 1 INVITE\r\n\
    Session-Expires: 1800\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE\r\n\
    Supported: replaces, norefersub, extended-refer, timer, outbound, path\r\n\
    Allow-Events: presence, kpml, talk\r\n\
    User-Agent: Desk phone 5.2.1\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 415\r\n\r\n\
    v=0\r\no=- 3969270461 3969270461 IN IP4 192.0.2.9\r\ns=phone\r\nc=IN IP4 192.0.2.9\r\n\
    t=0 0\r\nm=audio 4002 RTP/AVP 96 9 8 0 97 101 98\r\na=rtcp:4003 IN IP4 192.0.2.9\r\n\
    a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1;maxplaybackrate=48000\r\n\
    a=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:97 iLBC/8000\r\na=fmtp:97 mode=20\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\na=rtpmap:98 speex/8000\r\na=ptime:20\r\na=sendrecv\r\n";

/// The message with the length it really has.
fn invite() -> String {
    let (head, body) = INVITE.split_once("\r\n\r\n").expect("it has a head");
    let head: Vec<String> = head
        .split("\r\n")
        .map(|line| match line.strip_prefix("Content-Length:") {
            Some(_) => format!("Content-Length: {}", body.len()),
            None => line.to_owned(),
        })
        .collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n"))
}

fn parse() -> anyhow::Result<Sample> {
    let text = invite();
    message::parse(text.as_bytes()).context("the INVITE is well-formed")?;
    let each = micros_each(MESSAGES, || {
        drop(black_box(message::parse(black_box(text.as_bytes()))));
    });
    Ok(Sample::one(each))
}

fn write() -> anyhow::Result<Sample> {
    let message = message::parse(invite().as_bytes()).context("the INVITE is well-formed")?;
    let each = micros_each(MESSAGES, || drop(black_box(black_box(&message).to_bytes())));
    Ok(Sample::one(each))
}

fn endpoint() -> anyhow::Result<Endpoint> {
    let at: SocketAddr = "192.0.2.2:5060".parse()?;
    let password = Pii::new("secret".to_owned());
    let accounts = BTreeMap::from([("1001".to_owned(), Account { password })]);
    let config = Config {
        accounts,
        ..Config::new(at, at, [7; 32])
    };
    Ok(Endpoint::new(config, Rng::from_u64(1)))
}

/// An endpoint whose own time is measured, and nothing else.
struct Timed {
    endpoint: Endpoint,
    now: Now,
    remote: SocketAddr,
    spent: Duration,
}

impl Timed {
    fn new() -> anyhow::Result<Self> {
        let remote = "192.0.2.9:5060".parse()?;
        let now = Now::default();
        Ok(Self {
            endpoint: endpoint()?,
            now,
            remote,
            spent: Duration::ZERO,
        })
    }

    /// Feeds inputs `pause` apart, timers included; gives the outputs of each.
    fn feed(&mut self, inputs: Vec<Input<'_>>, pause: Duration) -> Vec<Vec<Output>> {
        let mut all = Vec::with_capacity(inputs.len());
        let (endpoint, now) = (&mut self.endpoint, &mut self.now);
        self.spent += on_core(|| {
            for input in inputs {
                *now = *now + pause;
                while endpoint.deadline().is_some_and(|at| at <= now.mono) {
                    endpoint.handle(*now, Input::Timeout);
                    while endpoint.poll().is_some() {}
                }
                endpoint.handle(*now, input);
                all.push(std::iter::from_fn(|| endpoint.poll()).collect());
            }
        });
        all
    }

    fn datagrams(&mut self, texts: &[String], pause: Duration) -> Vec<Vec<Output>> {
        let remote = self.remote;
        let inputs = texts.iter().map(|text| Input::Datagram {
            remote,
            bytes: text.as_bytes(),
        });
        self.feed(inputs.collect(), pause)
    }
}

/// The last message that was sent, as text.
fn sent(outputs: &[Output]) -> anyhow::Result<String> {
    let bytes = outputs.iter().rev().find_map(|output| match output {
        Output::Transmit { bytes, .. } => Some(bytes),
        Output::CloseStream { .. } | Output::Event(_) => None,
    });
    let bytes = bytes.with_context(|| format!("nothing was sent: {outputs:?}"))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn uas() -> anyhow::Result<Sample> {
    let mut timed = Timed::new()?;
    for first in (0..CALLS).step_by(AT_ONCE as usize) {
        calls(&mut timed, first..first + AT_ONCE)?;
    }
    ensure!(timed.endpoint.counts().dialogs == 0, "no dialog is left");
    Ok(Sample::one(f64::from(CALLS) / timed.spent.as_secs_f64()))
}

/// Takes calls, all through one step before the next.
fn calls(timed: &mut Timed, numbers: Range<u32>) -> anyhow::Result<()> {
    // Six thousand calls a second, and four inputs a call.
    let pause = Duration::from_secs(1) / 24_000;
    let whole = invite();
    let (branch, call_id) = (
        "9a1f73c2b4e0d5a7",
        "ODU0NmY1ZTU4YzNhNTg1MTcyNmE2Njk4OTk2OWFmYjE",
    );
    let invites: Vec<String> = numbers
        .clone()
        .map(|n| {
            let (branch_of, id) = (format!("b{n:015x}"), format!("{n:043x}"));
            whole
                .replacen(branch, &branch_of, 1)
                .replacen(call_id, &id, 1)
        })
        .collect();
    let mut answers = Vec::with_capacity(invites.len());
    for told in timed.datagrams(&invites, pause) {
        let Some(Output::Event(Event::Incoming { dialog, .. })) = told.last() else {
            bail!("the INVITE is no call: {told:?}");
        };
        let body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
            m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
        let (dialog, status, headers) = (*dialog, 200, Vec::new());
        let action = Action::Respond {
            dialog,
            status,
            headers,
            body: body.to_vec(),
        };
        answers.push(Input::Action(action));
    }
    let (mut acks, mut byes) = (Vec::new(), Vec::new());
    for (n, told) in numbers.zip(timed.feed(answers, pause)) {
        let ok = sent(&told)?;
        let to = ok
            .lines()
            .find(|line| line.starts_with("To:"))
            .context("a 200 has a To")?;
        let within = |method: &str, cseq: u32| {
            format!(
                "{method} sip:192.0.2.2:5060 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{method}{n};rport\r\n\
                 Max-Forwards: 70\r\n{to}\r\n\
                 From: \"Reception\" <sip:1001@192.0.2.2:5060>;tag=8c4f1b7a\r\n\
                 Call-ID: 96237{n:043x}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
            )
        };
        acks.push(within("ACK", 1));
        byes.push(within("BYE", 2));
    }
    timed.datagrams(&acks, pause);
    for ended in timed.datagrams(&byes, pause) {
        let over = matches!(ended.last(), Some(Output::Event(Event::Ended { .. })));
        ensure!(over, "the BYE ends no call: {ended:?}");
    }
    Ok(())
}

fn register() -> anyhow::Result<Sample> {
    let mut timed = Timed::new()?;
    let mut rng = Rng::from_u64(2);
    for first in (0..REGISTRATIONS).step_by(AT_ONCE as usize) {
        registrations(&mut timed, &mut rng, first..first + AT_ONCE)?;
    }
    Ok(Sample::one(
        f64::from(REGISTRATIONS) / timed.spent.as_secs_f64(),
    ))
}

/// Takes registrations, all challenged before the first is answered.
fn registrations(timed: &mut Timed, rng: &mut Rng, numbers: Range<u32>) -> anyhow::Result<()> {
    let pause = Duration::from_secs(1) / 6_000;
    let password = Pii::new("secret".to_owned());
    let credentials = Credentials {
        user: "1001".to_owned(),
        password,
    };
    let uri = "sip:192.0.2.2";
    let request = |n: u32, cseq: u32, authorization: &str| {
        format!(
            "REGISTER {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKr{n}x{cseq};rport\r\n\
             Max-Forwards: 70\r\nTo: <sip:1001@192.0.2.2>\r\n\
             From: <sip:1001@192.0.2.2>;tag=r{n}\r\nCall-ID: register-{n}\r\n\
             CSeq: {cseq} REGISTER\r\nContact: <sip:1001@192.0.2.9:5060>\r\n\
             Expires: 300\r\n{authorization}Content-Length: 0\r\n\r\n"
        )
    };
    let first: Vec<String> = numbers.clone().map(|n| request(n, 1, "")).collect();
    let mut again = Vec::with_capacity(first.len());
    for (n, told) in numbers.zip(timed.datagrams(&first, pause)) {
        let answer = message::parse(sent(&told)?.as_bytes()).context("the answer is SIP")?;
        let challenge = Challenge::choose(answer.headers()).context("a challenge is in it")?;
        let name = challenge.answer_header();
        let value = Client::new(challenge).answer(rng, &Method::Register, uri, &credentials);
        again.push(request(n, 2, &format!("{name}: {value}\r\n")));
    }
    for told in timed.datagrams(&again, pause) {
        let answer = sent(&told)?;
        match message::parse(answer.as_bytes()).context("the answer is SIP")? {
            Message::Response(response) if response.is_success() => {}
            Message::Response(_) | Message::Request(_) => bail!("refused: {answer}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invite_is_as_long_as_the_row_says() {
        let text = invite();
        assert!((1_050..1_300).contains(&text.len()), "{}", text.len());
        message::parse(text.as_bytes()).expect("well-formed");
    }
}
