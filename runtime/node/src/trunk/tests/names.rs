//! Trunks that are names: looked up before a call needs it, several servers behind one trunk, and
//! which of them is tried.

use std::collections::BTreeSet;

use sip::locate::{self, Kind, NoAnswer, Record, Srv};

use vocab::call::Cause;

use super::*;

/// Trunks, a DNS server that is a table, and carriers' servers that are there or not.
struct Names {
    trunks: Trunks,
    now: Mono,
    tenant: Arc<Tenant>,
    zone: BTreeMap<(Kind, &'static str), Vec<Record>>,
    ttl: Duration,
    /// No lookup is answered.
    deaf: bool,
    /// Servers that do not answer, by the last byte of their addresses.
    silent: BTreeSet<u8>,
    /// What servers answer instead of 200.
    answers: BTreeMap<u8, Answer>,
    /// Servers that take no calls, and when they say to come back.
    full: BTreeMap<u8, Duration>,
    /// Requests to silent servers, and when they are given up.
    waiting: Vec<(Mono, sip::RequestId)>,
    calls: u64,
    said: String,
}

/// A server of `carrier.example`.
fn srv(priority: u16, target: &str) -> Record {
    Record::Srv(Srv {
        priority,
        weight: 0,
        port: 5060,
        target: target.to_owned(),
    })
}

fn ip(last: u8) -> Record {
    Record::Address(IpAddr::from([192, 0, 2, last]))
}

fn last(target: Target) -> u8 {
    match target.address.ip() {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(_) => panic!("nobody has one here"),
    }
}

/// A trunk at `carrier.example`, asked every 30 s.
fn carrier(set: impl FnOnce(&mut Trunk)) -> Arc<Trunk> {
    trunk("carrier", 0, |it| {
        it.address = "carrier.example".parse().expect("a name");
        it.health = s(30);
        it.inbound = true;
        set(it);
    })
}

impl Names {
    fn new() -> Self {
        let own = SocketAddr::from(([192, 0, 2, 1], 5060));
        let contacts = Contacts::new(&sip::Config::new(own, own, [0; 32]));
        let zone = [
            (
                (Kind::Srv, "_sip._udp.carrier.example"),
                vec![srv(10, "a.carrier.example"), srv(20, "b.carrier.example")],
            ),
            ((Kind::A, "a.carrier.example"), vec![ip(10)]),
            ((Kind::A, "b.carrier.example"), vec![ip(20)]),
        ];
        Self {
            trunks: Trunks::new(contacts, Rng::from_u64(7)),
            now: Mono(0),
            tenant: tenant(Vec::new()),
            zone: BTreeMap::from(zone),
            ttl: s(600),
            deaf: false,
            silent: BTreeSet::new(),
            answers: BTreeMap::new(),
            full: BTreeMap::new(),
            waiting: Vec::new(),
            calls: 0,
            said: String::new(),
        }
    }

    fn configure(&mut self, trunks: Vec<Arc<Trunk>>) {
        self.tenant = tenant(trunks);
        let now = Now::new(self.now, Wall(0));
        self.trunks.configure(now, std::iter::once(&self.tenant));
        self.drain();
    }

    fn say(&mut self, what: &str) {
        let at = self.now.since(Mono(0)).as_secs();
        self.said += &format!("{at} s  {what}\n");
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let given_up = self.waiting.iter().map(|(at, _)| *at).min();
            let next = self.trunks.deadline().into_iter().chain(given_up).min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            let over: Vec<_> = self.waiting.extract_if(.., |it| it.0 <= at).collect();
            for (_, id) in over {
                self.trunks.answered(self.now, id, &Answer::default());
            }
            if self.trunks.deadline().is_some_and(|at| at <= self.now) {
                self.trunks.timeout(self.now);
            }
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.trunks.poll() {
            match output {
                Output::Changed { trunk, state, .. } => {
                    self.say(&format!("{trunk} is {}", state.name()));
                }
                Output::Request(sip::Action::Request {
                    id, method, hop, ..
                }) => {
                    let target = Target {
                        transport: hop.transport,
                        address: hop.remote,
                    };
                    let to = last(target);
                    if self.silent.contains(&to) {
                        self.say(&format!("{method} to {to}, in vain"));
                        self.waiting.push((self.now + s(32), id));
                        continue;
                    }
                    self.say(&format!("{method} to {to}"));
                    let good = Answer {
                        status: Some(200),
                        ..Answer::default()
                    };
                    let answer = self.answers.get(&to).copied().unwrap_or(good);
                    self.trunks.answered(self.now, id, &answer);
                }
                Output::Request(other) => panic!("{other:?}"),
                Output::Trusted(addresses) => self.say(&format!("trusted are {addresses:?}")),
                Output::Lookup { id, question } => {
                    let records = self.zone.iter();
                    let mut records = records.filter(|((kind, name), _)| {
                        *kind == question.kind && *name == question.name
                    });
                    let records = records.next().map(|(_, records)| records.clone());
                    let answer = locate::Answer {
                        records: records.unwrap_or_default(),
                        ttl: Some(self.ttl),
                    };
                    self.say(&format!("{question}?"));
                    let answer = if self.deaf { Err(NoAnswer) } else { Ok(answer) };
                    self.trunks.looked_up(self.now, id, answer);
                }
            }
        }
    }

    /// Makes a call as the node does; each silent server costs 4 s.
    fn call(&mut self) {
        self.calls += 1;
        let tries = self.trunks.candidates(self.now, &self.tenant.id, "+8610");
        let mut path = String::new();
        if let Err(why) = tries {
            path += &format!(" {why:?}");
        }
        for (n, next) in (2..).zip(tries.unwrap_or_default()) {
            let leg = LegId {
                call: CallId(u128::from(self.calls)),
                n,
            };
            let name = self
                .trunks
                .take(self.now, next, leg)
                .map(|it| it.id.clone());
            path += &format!(" {} at {}", name.expect("a place"), last(next.target));
            if self.silent.contains(&last(next.target)) {
                self.run(s(4));
                self.trunks.leg_ended(self.now, leg, Verdict::Silent);
                self.drain();
                path += ",";
                continue;
            }
            self.trunks.leg_spoke(self.now, leg);
            if let Some(&after) = self.full.get(&last(next.target)) {
                self.trunks.leg_ended(self.now, leg, Verdict::Later(after));
                self.drain();
                path += " (full),";
                continue;
            }
            self.trunks.leg_ended(self.now, leg, Verdict::There);
            self.drain();
            path += " answered";
            break;
        }
        self.say(&format!("call:{path}"));
    }

    fn check(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.said));
    }
}

#[test]
fn a_name_is_looked_up_before_a_call_needs_it() {
    let mut world = Names::new();
    world.ttl = s(60);
    world.configure(vec![carrier(|_| {})]);
    world.call();
    world.run(s(59));
    // The carrier moves; its new address is trusted and the old one is not.
    world
        .zone
        .insert((Kind::A, "a.carrier.example"), vec![ip(11)]);
    world.run(s(1));
    world.call();
    let from = |last: u8| SocketAddr::from(([192, 0, 2, last], 9));
    assert!(world.trunks.of_source(from(11), "1").is_some());
    assert!(world.trunks.of_source(from(20), "1").is_some());
    assert!(world.trunks.of_source(from(10), "1").is_none());
    let view = world.trunks.views(world.now).next().expect("one");
    assert_eq!(view.address, "carrier.example");
    let servers: Vec<_> = view
        .servers
        .iter()
        .map(|it| it.target.to_string())
        .collect();
    assert_eq!(servers, ["udp 192.0.2.11:5060", "udp 192.0.2.20:5060"]);
    world.check(expect![[r#"
        0 s  NAPTR carrier.example?
        0 s  SRV _sip._udp.carrier.example?
        0 s  SRV _sip._tcp.carrier.example?
        0 s  A a.carrier.example?
        0 s  A b.carrier.example?
        0 s  trusted are {192.0.2.10, 192.0.2.20}
        0 s  carrier is up
        0 s  call: carrier at 10 answered
        0 s  OPTIONS to 10
        30 s  OPTIONS to 10
        60 s  OPTIONS to 10
        60 s  NAPTR carrier.example?
        60 s  SRV _sip._udp.carrier.example?
        60 s  SRV _sip._tcp.carrier.example?
        60 s  A a.carrier.example?
        60 s  A b.carrier.example?
        60 s  trusted are {192.0.2.11, 192.0.2.20}
        60 s  call: carrier at 11 answered
    "#]]);
}

#[test]
fn a_call_goes_on_to_the_next_server_and_the_next_call_begins_there() {
    let mut world = Names::new();
    world.silent.insert(10);
    let other = trunk("other", 30, |it| it.priority = 1);
    world.configure(vec![carrier(|_| {}), other]);
    world.run(s(1));
    world.call();
    world.call();
    // Silent once more, it costs more patience; then it is back, and that is noticed by OPTIONS
    // before a call is risked.
    world.run(s(60));
    world.call();
    world.silent.clear();
    world.run(s(40));
    world.call();
    world.check(expect![[r#"
        0 s  NAPTR carrier.example?
        0 s  trusted are {192.0.2.30}
        0 s  SRV _sip._udp.carrier.example?
        0 s  SRV _sip._tcp.carrier.example?
        0 s  A a.carrier.example?
        0 s  A b.carrier.example?
        0 s  trusted are {192.0.2.10, 192.0.2.20, 192.0.2.30}
        0 s  carrier is up
        0 s  OPTIONS to 10, in vain
        5 s  call: carrier at 10, carrier at 20 answered
        5 s  call: carrier at 20 answered
        15 s  OPTIONS to 10, in vain
        42 s  OPTIONS to 20
        65 s  call: carrier at 20 answered
        67 s  OPTIONS to 10
        72 s  OPTIONS to 10
        102 s  OPTIONS to 10
        105 s  call: carrier at 10 answered
    "#]]);
}

#[test]
fn without_options_a_silent_server_is_forgiven() {
    let mut world = Names::new();
    world.silent.insert(10);
    world.configure(vec![carrier(|it| it.health = Duration::ZERO)]);
    world.call();
    world.run(s(9));
    world.call();
    world.run(s(1));
    world.call();
    world.silent.clear();
    world.run(s(20));
    world.call();
    world.check(expect![[r#"
        0 s  NAPTR carrier.example?
        0 s  SRV _sip._udp.carrier.example?
        0 s  SRV _sip._tcp.carrier.example?
        0 s  A a.carrier.example?
        0 s  A b.carrier.example?
        0 s  trusted are {192.0.2.10, 192.0.2.20}
        0 s  carrier is up
        4 s  call: carrier at 10, carrier at 20 answered
        13 s  call: carrier at 20 answered
        18 s  call: carrier at 10, carrier at 20 answered
        38 s  call: carrier at 10 answered
    "#]]);
}

#[test]
fn all_silent_is_a_dead_trunk_and_the_next_one_goes_first() {
    let mut world = Names::new();
    world.silent.extend([10, 20]);
    let other = trunk("other", 30, |it| it.priority = 1);
    world.configure(vec![carrier(|_| {}), other]);
    world.call();
    world.call();
    // The second comes back first.
    world.run(s(100));
    world.silent.remove(&20);
    world.run(s(100));
    world.call();
    world.check(expect![[r#"
        0 s  NAPTR carrier.example?
        0 s  trusted are {192.0.2.30}
        0 s  SRV _sip._udp.carrier.example?
        0 s  SRV _sip._tcp.carrier.example?
        0 s  A a.carrier.example?
        0 s  A b.carrier.example?
        0 s  trusted are {192.0.2.10, 192.0.2.20, 192.0.2.30}
        0 s  carrier is up
        0 s  OPTIONS to 10, in vain
        8 s  carrier is dead
        8 s  call: carrier at 10, carrier at 20, other at 30 answered
        8 s  call: other at 30 answered
        42 s  OPTIONS to 20, in vain
        84 s  OPTIONS to 10, in vain
        126 s  OPTIONS to 20
        126 s  carrier is up
        156 s  OPTIONS to 20
        156 s  OPTIONS to 10, in vain
        186 s  OPTIONS to 20
        208 s  call: carrier at 20 answered
    "#]]);
}

#[test]
fn a_server_that_says_503_is_obeyed() {
    let mut world = Names::new();
    let busy = Answer {
        status: Some(503),
        times: sip::Times {
            retry_after: Some(s(45)),
            ..sip::Times::default()
        },
    };
    world.answers.insert(10, busy);
    world.configure(vec![carrier(|_| {})]);
    world.call();
    world.run(s(44));
    world.answers.clear();
    world.call();
    world.run(s(1));
    world.call();
    world.check(expect![[r#"
        0 s  NAPTR carrier.example?
        0 s  SRV _sip._udp.carrier.example?
        0 s  SRV _sip._tcp.carrier.example?
        0 s  A a.carrier.example?
        0 s  A b.carrier.example?
        0 s  trusted are {192.0.2.10, 192.0.2.20}
        0 s  carrier is up
        0 s  call: carrier at 10 answered
        0 s  OPTIONS to 10
        0 s  OPTIONS to 20
        30 s  OPTIONS to 20
        44 s  call: carrier at 20 answered
        45 s  OPTIONS to 10
        45 s  call: carrier at 10 answered
    "#]]);
}

#[test]
fn only_503_with_a_time_asks_for_a_rest() {
    let later = Some(s(9));
    for (cause, status, after, verdict) in [
        (Cause::Unreachable, None, None, Verdict::Silent),
        (Cause::Unreachable, Some(503), None, Verdict::There),
        (Cause::Unreachable, Some(503), later, Verdict::Later(s(9))),
        (Cause::Unreachable, Some(500), later, Verdict::There),
        // A person is away: that is not the server's matter (RFC 3261 §20.33).
        (Cause::Busy, Some(486), later, Verdict::There),
        (Cause::NoAnswer, Some(503), later, Verdict::Later(s(9))),
        (Cause::Cancelled, None, None, Verdict::There),
    ] {
        assert_eq!(Verdict::of(cause, status, after), verdict, "{status:?}");
    }
}

#[test]
fn a_server_that_takes_no_calls_for_a_while_is_left_alone() {
    let mut world = Names::new();
    world.full.insert(10, s(45));
    world.configure(vec![carrier(|_| {})]);
    world.run(s(1));
    world.call();
    world.run(s(44));
    world.call();
    world.full.clear();
    world.run(s(1));
    world.call();
    world.check(expect![[r#"
        0 s  NAPTR carrier.example?
        0 s  SRV _sip._udp.carrier.example?
        0 s  SRV _sip._tcp.carrier.example?
        0 s  A a.carrier.example?
        0 s  A b.carrier.example?
        0 s  trusted are {192.0.2.10, 192.0.2.20}
        0 s  carrier is up
        0 s  OPTIONS to 10
        1 s  call: carrier at 10 (full), carrier at 20 answered
        30 s  OPTIONS to 20
        45 s  call: carrier at 20 answered
        46 s  OPTIONS to 10
        46 s  call: carrier at 10 answered
    "#]]);
}

#[test]
fn a_trunk_whose_servers_all_want_rest_has_it() {
    let mut world = Names::new();
    world.full.extend([(10, s(1_000_000)), (20, s(20))]);
    world.configure(vec![carrier(|it| it.health = Duration::ZERO)]);
    world.call();
    world.full.clear();
    world.run(s(19));
    world.call();
    world.run(s(1));
    world.call();
    // However long it asked for, five minutes are enough.
    world.run(s(279));
    world.call();
    world.run(s(1));
    world.call();
    world.check(expect![[r#"
        0 s  NAPTR carrier.example?
        0 s  SRV _sip._udp.carrier.example?
        0 s  SRV _sip._tcp.carrier.example?
        0 s  A a.carrier.example?
        0 s  A b.carrier.example?
        0 s  trusted are {192.0.2.10, 192.0.2.20}
        0 s  carrier is up
        0 s  carrier is resting
        0 s  call: carrier at 10 (full), carrier at 20 (full),
        19 s  call: Resting
        20 s  carrier is up
        20 s  call: carrier at 20 answered
        299 s  call: carrier at 20 answered
        300 s  call: carrier at 10 answered
    "#]]);
}

#[test]
fn the_only_server_of_a_trunk_is_left_alone_too() {
    let mut world = Names::new();
    world.full.insert(30, s(60));
    let only = trunk("only", 30, |it| {
        it.health = s(10);
        it.registration = Some(TrunkRegistration {
            user: "8621".into(),
            expires: s(60),
        });
    });
    let other = trunk("other", 40, |it| it.priority = 1);
    world.configure(vec![only, other]);
    world.run(s(1));
    world.call();
    world.call();
    world.full.clear();
    world.run(s(60));
    world.run(s(1));
    world.call();
    world.check(expect![[r#"
        0 s  trusted are {192.0.2.30, 192.0.2.40}
        0 s  OPTIONS to 30
        0 s  REGISTER to 30
        0 s  only is up
        1 s  only is resting
        1 s  call: only at 30 (full), other at 40 answered
        1 s  call: other at 40 answered
        61 s  OPTIONS to 30
        61 s  only is unregistered
        61 s  OPTIONS to 30
        61 s  REGISTER to 30
        61 s  only is up
        62 s  call: only at 30 answered
    "#]]);
}

#[test]
fn a_call_that_was_under_way_does_not_go_to_a_server_that_rests() {
    let mut world = Names::new();
    world.configure(vec![carrier(|_| {})]);
    let tries = world
        .trunks
        .candidates(world.now, &world.tenant.id, "+8610");
    let tries = tries.expect("two servers");
    world.full.insert(10, s(45));
    world.call();
    let leg = LegId {
        call: CallId(77),
        n: 2,
    };
    assert_eq!(last(tries[0].target), 10);
    assert!(world.trunks.take(world.now, tries[0], leg).is_none());
    world.run(s(45));
    assert!(world.trunks.take(world.now, tries[0], leg).is_some());
    world.said.clear();
}

#[test]
fn without_dns_a_trunk_is_not_there_and_an_old_answer_is_better_than_none() {
    let mut world = Names::new();
    world.deaf = true;
    let registered = |it: &mut Trunk| {
        it.registration = Some(TrunkRegistration {
            user: "8621".into(),
            expires: s(600),
        });
    };
    world.configure(vec![carrier(registered)]);
    let refused = world
        .trunks
        .candidates(world.now, &world.tenant.id, "+8610");
    assert_eq!(refused, Err(NoTrunk::Unresolved));
    world.run(s(10));
    world.deaf = false;
    world.run(s(20));
    world.call();
    world.said.clear();
    world.deaf = true;
    world.run(s(600));
    world.said.clear();
    world.call();
    world.check(expect![[r#"
        630 s  call: carrier at 10 answered
    "#]]);
}

#[test]
fn a_registration_goes_to_a_server_that_lives() {
    let mut world = Names::new();
    world.silent.insert(10);
    let registered = |it: &mut Trunk| {
        it.health = Duration::ZERO;
        it.registration = Some(TrunkRegistration {
            user: "8621".into(),
            expires: s(600),
        });
    };
    world.configure(vec![carrier(registered)]);
    world.run(s(60));
    world.check(expect![[r#"
        0 s  NAPTR carrier.example?
        0 s  SRV _sip._udp.carrier.example?
        0 s  SRV _sip._tcp.carrier.example?
        0 s  A a.carrier.example?
        0 s  A b.carrier.example?
        0 s  trusted are {192.0.2.10, 192.0.2.20}
        0 s  carrier is unregistered
        0 s  REGISTER to 10, in vain
        32 s  REGISTER to 20
        32 s  carrier is up
    "#]]);
}

#[test]
fn a_trunk_that_goes_takes_its_addresses_with_it() {
    let mut world = Names::new();
    world.configure(vec![carrier(|_| {}), trunk("other", 30, |_| {})]);
    world.said.clear();
    world.deaf = true;
    world.configure(vec![trunk("other", 30, |_| {})]);
    world.run(s(2_000));
    world.configure(Vec::new());
    world.check(expect![[r#"
        0 s  trusted are {192.0.2.30}
        2000 s  trusted are {}
    "#]]);
}
