//! Each machine through its states, in virtual time: what it says at which millisecond.

use std::sync::Arc;

use expect_test::{Expect, expect};
use vocab::{Mono, Now};

use super::{Client, ClientInvite, Server, ServerInvite};
use super::{client, client_invite, server, server_invite};
use crate::border::{Hop, Transport};

const UDP: Transport = Transport::Udp;
const TCP: Transport = Transport::Tcp;

fn at(ms: u64) -> Now {
    Now {
        mono: Mono(ms * 1_000_000),
        ..Now::default()
    }
}

fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

/// The first word of what is sent: the method or the status.
fn word(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix("SIP/2.0 ").unwrap_or(&text);
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Drives one machine and writes down what it says.
struct Bench<M> {
    machine: M,
    now_ms: u64,
    log: String,
}

/// What the four machines have in common, for the bench.
trait Machine {
    fn say(&mut self) -> Option<String>;
    fn timeout(&mut self, now: Now);
    fn deadline(&self) -> Option<Mono>;
    fn is_over(&self) -> bool;
}

macro_rules! machine {
    ($machine:ty, $module:ident, $($output:pat => $said:expr),* $(,)?) => {
        impl Machine for $machine {
            fn say(&mut self) -> Option<String> {
                Some(match self.poll()? { $($output => $said),* })
            }
            fn timeout(&mut self, now: Now) {
                self.handle(now, $module::Input::Timeout);
            }
            fn deadline(&self) -> Option<Mono> {
                self.deadline()
            }
            fn is_over(&self) -> bool {
                self.is_over()
            }
        }
    };
}

machine!(ClientInvite, client_invite,
    client_invite::Output::Transmit(bytes) => word(&bytes),
    client_invite::Output::Acknowledge(_, bytes) => format!("{} again", word(&bytes)),
    client_invite::Output::Deliver => "deliver".into(),
    client_invite::Output::TimedOut => "timed out".into(),
    client_invite::Output::Broken => "broken".into(),
);
machine!(Client, client,
    client::Output::Transmit(bytes) => word(&bytes),
    client::Output::Deliver => "deliver".into(),
    client::Output::TimedOut => "timed out".into(),
    client::Output::Broken => "broken".into(),
);
machine!(ServerInvite, server_invite,
    server_invite::Output::Transmit(bytes) => word(&bytes),
    server_invite::Output::TimedOut => "timed out".into(),
);
machine!(Server, server, server::Output::Transmit(bytes) => word(&bytes));

impl<M: Machine> Bench<M> {
    fn new(machine: M) -> Self {
        let mut bench = Self {
            machine,
            now_ms: 0,
            log: String::new(),
        };
        bench.drain("start");
        bench
    }

    fn drain(&mut self, what: &str) {
        let said: Vec<String> = std::iter::from_fn(|| self.machine.say()).collect();
        let over = if self.machine.is_over() {
            " (over)"
        } else {
            ""
        };
        let said = if said.is_empty() {
            "-".to_owned()
        } else {
            said.join(", ")
        };
        self.log += &format!("{:<6}{}: {said}{over}\n", self.now_ms, what.trim());
    }

    /// Feeds something after the timers that are due before it.
    fn feed(&mut self, ms: u64, what: &str, input: impl FnOnce(&mut M, Now)) {
        self.pass(ms);
        self.now_ms = ms;
        input(&mut self.machine, at(ms));
        self.drain(what);
    }

    /// Fires all timers up to a time.
    fn pass(&mut self, ms: u64) {
        while let Some(due) = self.machine.deadline().filter(|due| *due <= at(ms).mono) {
            self.now_ms = due.0 / 1_000_000;
            self.machine.timeout(at(self.now_ms));
            self.drain("timer");
        }
    }

    fn check(mut self, expected: Expect) {
        self.pass(100_000);
        expected.assert_eq(&self.log);
    }
}

const INVITE: &str = "INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a>;tag=1\r\n\
    To: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n";

fn client_invite(transport: Transport) -> Bench<ClientInvite> {
    Bench::new(ClientInvite::new(at(0), transport, bytes(INVITE)))
}

impl Bench<ClientInvite> {
    fn response(&mut self, ms: u64, status: u16, tag: &str) {
        self.feed(ms, &format!("{status} {tag}"), |machine, now| {
            let to = format!("<sip:b>;tag={tag}");
            machine.handle(
                now,
                client_invite::Input::Response {
                    status,
                    to: &to,
                    tag,
                },
            );
        });
    }

    fn acknowledged(&mut self, ms: u64, tag: &str) {
        let remote = "192.0.2.1:5060".parse().unwrap();
        let hop = Hop {
            transport: UDP,
            remote,
            conn: None,
        };
        self.feed(ms, &format!("acknowledged {tag}"), |machine, now| {
            let ack = bytes(&format!("ACK-{tag} "));
            machine.handle(now, client_invite::Input::Acknowledged { tag, hop, ack });
        });
    }
}

#[test]
fn an_invite_without_answer_is_repeated_until_timer_b() {
    client_invite(UDP).check(expect![[r#"
        0     start: INVITE
        500   timer: INVITE
        1500  timer: INVITE
        3500  timer: INVITE
        7500  timer: INVITE
        15500 timer: INVITE
        31500 timer: INVITE
        32000 timer: timed out (over)
    "#]]);
    client_invite(TCP).check(expect![[r#"
        0     start: INVITE
        32000 timer: timed out (over)
    "#]]);
}

#[test]
fn a_refused_invite_acknowledges_each_copy_until_timer_d() {
    let mut bench = client_invite(UDP);
    bench.response(100, 100, "");
    bench.response(600, 180, "x");
    bench.response(40_000, 486, "x");
    bench.response(40_500, 486, "x");
    bench.response(41_500, 180, "x");
    bench.response(41_600, 200, "x");
    bench.check(expect![[r#"
        0     start: INVITE
        100   100: deliver
        600   180 x: deliver
        40000 486 x: ACK, deliver
        40500 486 x: ACK
        41500 180 x: -
        41600 200 x: -
        72000 timer: - (over)
    "#]]);

    let mut bench = client_invite(TCP);
    bench.response(100, 486, "x");
    bench.check(expect![[r#"
        0     start: INVITE
        100   486 x: ACK, deliver
        100   timer: - (over)
    "#]]);
}

#[test]
fn an_accepted_invite_acknowledges_each_fork_until_timer_m() {
    let mut bench = client_invite(UDP);
    bench.response(100, 200, "x");
    bench.acknowledged(100, "x");
    bench.response(600, 200, "x");
    bench.response(700, 200, "y");
    bench.acknowledged(700, "y");
    bench.response(800, 200, "y");
    bench.response(900, 486, "x");
    bench.check(expect![[r#"
        0     start: INVITE
        100   200 x: deliver
        100   acknowledged x: -
        600   200 x: ACK-x again
        700   200 y: deliver
        700   acknowledged y: -
        800   200 y: ACK-y again
        900   486 x: -
        32100 timer: - (over)
    "#]]);
}

#[test]
fn of_many_forks_eight_are_delivered() {
    let mut bench = client_invite(UDP);
    for fork in 0..10 {
        let tag = fork.to_string();
        bench.response(fork, 200, &tag);
        if fork < 8 {
            bench.acknowledged(fork, &tag);
        }
    }
    assert_eq!(bench.log.matches("deliver").count(), 8);
}

#[test]
fn a_cancelled_invite_waits_for_its_end_no_longer_than_64_t1() {
    let mut bench = client_invite(UDP);
    bench.response(100, 180, "x");
    bench.feed(50_000, "cancelled", |machine, now| {
        machine.handle(now, client_invite::Input::Cancelled);
    });
    bench.response(51_000, 180, "x");
    bench.check(expect![[r#"
        0     start: INVITE
        100   180 x: deliver
        50000 cancelled: -
        51000 180 x: deliver
        82000 timer: timed out (over)
    "#]]);
}

#[test]
fn an_abandoned_invite_rings_nobody_who_comes_back() {
    for given_up in [100, 4_000] {
        let mut bench = client_invite(UDP);
        bench.feed(given_up, "abandoned", |machine, now| {
            machine.handle(now, client_invite::Input::Abandoned);
        });
        bench.response(31_000, 200, "x");
        let copies = bench.log.lines().filter(|line| line.ends_with("INVITE"));
        assert_eq!(copies.count(), 4, "{}", bench.log);
        assert!(bench.log.contains("3500  timer: INVITE"), "{}", bench.log);
        assert!(bench.log.contains("31000 200 x: deliver"), "{}", bench.log);
    }
}

#[test]
fn an_abandoned_invite_that_nobody_answers_is_over_after_64_t1() {
    let mut bench = client_invite(UDP);
    bench.feed(700, "abandoned", |machine, now| {
        machine.handle(now, client_invite::Input::Abandoned);
    });
    bench.check(expect![[r#"
        0     start: INVITE
        500   timer: INVITE
        700   abandoned: -
        1500  timer: INVITE
        3500  timer: INVITE
        32000 timer: timed out (over)
    "#]]);
}

#[test]
fn an_invite_that_cannot_be_sent_is_broken() {
    let mut bench = client_invite(UDP);
    bench.feed(10, "error", |machine, now| {
        machine.handle(now, client_invite::Input::TransportError);
    });
    bench.check(expect![[r#"
        0     start: INVITE
        10    error: broken (over)
    "#]]);
}

fn client(transport: Transport) -> Bench<Client> {
    Bench::new(Client::new(
        at(0),
        transport,
        bytes("BYE sip:b SIP/2.0\r\n\r\n"),
    ))
}

impl Bench<Client> {
    fn response(&mut self, ms: u64, status: u16) {
        self.feed(ms, &status.to_string(), |machine, now| {
            machine.handle(now, client::Input::Response { status });
        });
    }
}

#[test]
fn a_request_is_repeated_up_to_t2_until_timer_f() {
    client(UDP).check(expect![[r#"
        0     start: BYE
        500   timer: BYE
        1500  timer: BYE
        3500  timer: BYE
        7500  timer: BYE
        11500 timer: BYE
        15500 timer: BYE
        19500 timer: BYE
        23500 timer: BYE
        27500 timer: BYE
        31500 timer: BYE
        32000 timer: timed out (over)
    "#]]);
    client(TCP).check(expect![[r#"
        0     start: BYE
        32000 timer: timed out (over)
    "#]]);
}

#[test]
fn an_answered_request_lingers_for_timer_k() {
    let mut bench = client(UDP);
    bench.response(600, 100);
    bench.response(6_000, 200);
    bench.response(6_100, 200);
    bench.check(expect![[r#"
        0     start: BYE
        500   timer: BYE
        600   100: deliver
        1500  timer: BYE
        5500  timer: BYE
        6000  200: deliver
        6100  200: -
        11000 timer: - (over)
    "#]]);

    let mut bench = client(TCP);
    bench.response(600, 200);
    bench.check(expect![[r#"
        0     start: BYE
        600   200: deliver
        600   timer: - (over)
    "#]]);
}

fn server_invite(transport: Transport) -> Bench<ServerInvite> {
    Bench::new(ServerInvite::new(transport, bytes("SIP/2.0 100 Trying")))
}

impl Bench<ServerInvite> {
    fn respond(&mut self, ms: u64, status: u16) {
        self.feed(ms, &format!("user says {status}"), |machine, now| {
            let bytes = bytes(&format!("SIP/2.0 {status} x"));
            machine.handle(now, server_invite::Input::Respond { status, bytes });
        });
    }

    fn invite(&mut self, ms: u64) {
        self.feed(ms, "INVITE", |machine, now| {
            machine.handle(now, server_invite::Input::Invite);
        });
    }

    fn ack(&mut self, ms: u64) {
        self.feed(ms, "ACK", |machine, now| {
            machine.handle(now, server_invite::Input::Ack)
        });
    }
}

#[test]
fn a_refusal_is_repeated_up_to_t2_until_timer_h() {
    let mut bench = server_invite(UDP);
    bench.invite(400);
    bench.respond(1_000, 180);
    bench.invite(1_100);
    bench.respond(2_000, 486);
    bench.invite(2_100);
    bench.respond(2_200, 200);
    bench.check(expect![[r#"
        0     start: 100
        400   INVITE: 100
        1000  user says 180: 180
        1100  INVITE: 180
        2000  user says 486: 486
        2100  INVITE: 486
        2200  user says 200: -
        2500  timer: 486
        3500  timer: 486
        5500  timer: 486
        9500  timer: 486
        13500 timer: 486
        17500 timer: 486
        21500 timer: 486
        25500 timer: 486
        29500 timer: 486
        33500 timer: 486
        34000 timer: timed out (over)
    "#]]);
}

#[test]
fn an_acknowledged_refusal_lingers_for_timer_i() {
    let mut bench = server_invite(UDP);
    bench.respond(100, 486);
    bench.ack(200);
    bench.invite(300);
    bench.ack(400);
    bench.check(expect![[r#"
        0     start: 100
        100   user says 486: 486
        200   ACK: -
        300   INVITE: -
        400   ACK: -
        5200  timer: - (over)
    "#]]);

    let mut bench = server_invite(TCP);
    bench.respond(100, 486);
    bench.ack(200);
    bench.check(expect![[r#"
        0     start: 100
        100   user says 486: 486
        200   ACK: -
        200   timer: - (over)
    "#]]);
}

#[test]
fn an_accepted_invite_absorbs_copies_until_timer_l() {
    let mut bench = server_invite(UDP);
    bench.respond(100, 200);
    bench.invite(300);
    bench.ack(400);
    bench.respond(500, 486);
    bench.check(expect![[r#"
        0     start: 100
        100   user says 200: 200
        300   INVITE: -
        400   ACK: -
        500   user says 486: -
        32100 timer: - (over)
    "#]]);
}

fn server(transport: Transport) -> Bench<Server> {
    Bench::new(Server::new(at(0), transport, bytes("SIP/2.0 200 OK")))
}

#[test]
fn an_answer_is_repeated_for_each_copy_until_timer_j() {
    let mut bench = server(UDP);
    for ms in [500, 31_999] {
        bench.feed(ms, "request", |machine, now| {
            machine.handle(now, server::Input::Request)
        });
    }
    bench.check(expect![[r#"
        0     start: 200
        500   request: 200
        31999 request: 200
        32000 timer: - (over)
    "#]]);
    server(TCP).check(expect![[r#"
        0     start: 200
        0     timer: - (over)
    "#]]);
}

/// A call over UDP leaves two of these for 32 s, so each byte costs 12 KB at 6,000 calls/s.
#[test]
fn machines_are_small() {
    for (name, size, most) in [
        ("ClientInvite", size_of::<ClientInvite>(), 80),
        ("Client", size_of::<Client>(), 64),
        ("ServerInvite", size_of::<ServerInvite>(), 64),
        ("Server", size_of::<Server>(), 56),
    ] {
        assert!(size <= most, "{name} takes {size} bytes");
    }
}
