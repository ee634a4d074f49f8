//! Goal: every decision of RFC 3263 §4 in virtual time, against a DNS server that is a table: which
//! records are asked for, which targets come of them and in which order, what is kept and for how
//! long, and what becomes of targets that do not answer.

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use expect_test::{Expect, expect};
use jackfield_sip::limits;
use jackfield_sip::locate::{
    Answer, Config, Families, Input, Kind, LocateId, Locator, LookupId, Naptr, NoAnswer, Output,
    Place, Question, Record, Srv, Target,
};
use jackfield_sip::message::Uri;
use vocab::{Mono, Rng};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Reads `A 192.0.2.1`, `SRV 10 60 5060 host` or `NAPTR 50 10 s SIP+D2U _sip._udp.host`.
fn record(text: &str) -> (Kind, Record) {
    let words: Vec<&str> = text.split(' ').collect();
    let number = |at: usize| words[at].parse::<u16>().unwrap();
    match words[0] {
        "A" => (Kind::A, Record::Address(words[1].parse().unwrap())),
        "AAAA" => (Kind::Aaaa, Record::Address(words[1].parse().unwrap())),
        "SRV" => {
            let srv = Srv {
                priority: number(1),
                weight: number(2),
                port: number(3),
                target: words[4].to_owned(),
            };
            (Kind::Srv, Record::Srv(srv))
        }
        "NAPTR" => {
            let naptr = Naptr {
                order: number(1),
                preference: number(2),
                flags: words[3].to_owned(),
                service: words[4].to_owned(),
                regexp: String::new(),
                replacement: words[5].to_owned(),
            };
            (Kind::Naptr, Record::Naptr(naptr))
        }
        other => panic!("{other}"),
    }
}

/// A DNS server, and one who asks it.
struct World {
    locator: Locator,
    now: Mono,
    zone: BTreeMap<(Kind, String), Vec<Record>>,
    ttl: Option<Duration>,
    /// Names that get no answer at all.
    silent: BTreeSet<String>,
    /// Names for which the server fails.
    failing: BTreeSet<String>,
    waiting: Vec<(LookupId, Question)>,
    searches: u64,
    said: String,
}

impl World {
    /// A server with these records, each as `name: record`.
    fn new(zone: &[&str]) -> Self {
        Self::with(Config::default(), zone)
    }

    fn with(config: Config, zone: &[&str]) -> Self {
        let mut world = Self {
            locator: Locator::new(config, Rng::from_u64(11)),
            now: Mono(0),
            zone: BTreeMap::new(),
            ttl: Some(s(300)),
            silent: BTreeSet::new(),
            failing: BTreeSet::new(),
            waiting: Vec::new(),
            searches: 0,
            said: String::new(),
        };
        world.add(zone);
        world
    }

    fn add(&mut self, zone: &[&str]) {
        for line in zone {
            let (name, text) = line.split_once(": ").unwrap();
            let (kind, record) = record(text);
            let records = self.zone.entry((kind, name.to_owned())).or_default();
            records.push(record);
        }
    }

    fn both() -> Config {
        let families = Families {
            ipv4: true,
            ipv6: true,
        };
        Config {
            families,
            ..Config::default()
        }
    }

    /// Looks for what a URI, or a host with its port, names.
    fn locate(&mut self, text: &str) {
        let place = if text.contains("sip") && text.contains('@') {
            let uri = Uri::parse(text).unwrap();
            Place::of_uri(uri.sip().unwrap())
        } else {
            text.parse().unwrap()
        };
        self.searches += 1;
        let id = LocateId(self.searches);
        self.say(&format!("{text}?"));
        self.locator.handle(self.now, Input::Locate { id, place });
        self.drain();
    }

    fn say(&mut self, line: &str) {
        let at = self.now.since(Mono(0)).as_secs();
        self.said += &format!("{at} s  {line}\n");
    }

    fn drain(&mut self) {
        loop {
            while let Some(output) = self.locator.poll() {
                match output {
                    Output::Lookup { id, question } => self.waiting.push((id, question)),
                    Output::Located { result, until, .. } => {
                        let until = until.map_or("ever".to_owned(), |until| {
                            format!("{} s", until.since(Mono(0)).as_secs())
                        });
                        let what = match result {
                            Ok(located) => list(&located.targets),
                            Err(why) => format!("nothing: {}", why.why()),
                        };
                        self.say(&format!("= {what} (until {until})"));
                    }
                }
            }
            let silent = &self.silent;
            let next = self
                .waiting
                .iter()
                .position(|(_, it)| !silent.contains(&it.name));
            let Some(next) = next else {
                return;
            };
            let (id, question) = self.waiting.remove(next);
            let answer = self.answer(&question);
            self.locator.handle(self.now, Input::Answer { id, answer });
        }
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, NoAnswer> {
        if self.failing.contains(&question.name) {
            self.say(&format!("  {question}: failure"));
            return Err(NoAnswer);
        }
        let records = self.zone.get(&(question.kind, question.name.clone()));
        let records = records.cloned().unwrap_or_default();
        self.say(&format!("  {question}: {}", records.len()));
        let ttl = self.ttl;
        Ok(Answer { records, ttl })
    }

    /// Lets time pass; lookups of silent names end then.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.locator.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let before = self.waiting.len();
            self.locator.handle(self.now, Input::Timeout);
            self.say(&format!("  {before} lookups ran out"));
            self.waiting.clear();
            self.drain();
        }
        self.now = end;
    }

    fn check(&mut self, expected: Expect) {
        assert_eq!(self.locator.pending(), 0, "nothing is left");
        expected.assert_eq(&std::mem::take(&mut self.said));
    }
}

fn list(targets: &[Target]) -> String {
    let targets: Vec<String> = targets.iter().map(Target::to_string).collect();
    targets.join(", ")
}

fn target(text: &str) -> Target {
    let (transport, address) = text.split_once(' ').unwrap();
    Target {
        transport: jackfield_sip::Transport::from_name(transport).unwrap(),
        address: address.parse().unwrap(),
    }
}

/// The example of RFC 3263 §4.1.
const EXAMPLE: [&str; 8] = [
    "example.com: NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com.",
    "example.com: NAPTR 90 50 s SIP+D2T _sip._tcp.example.com.",
    "example.com: NAPTR 100 50 s SIP+D2U _sip._udp.example.com.",
    "_sips._tcp.example.com: SRV 0 1 5061 server1.example.com.",
    "_sip._tcp.example.com: SRV 0 1 5060 server1.example.com.",
    "_sip._udp.example.com: SRV 0 1 5060 server2.example.com.",
    "server1.example.com: A 192.0.2.1",
    "server2.example.com: A 192.0.2.2",
];

#[test]
fn addresses_need_no_lookup() {
    let mut world = World::new(&[]);
    for uri in [
        "sip:a@192.0.2.1",
        "sip:a@192.0.2.1:5070",
        "sip:a@192.0.2.1;transport=tcp",
        "sips:a@192.0.2.1",
        "sips:a@192.0.2.1:5071;transport=tcp",
        "sip:a@[2001:db8::1]",
        "sip:a@example.com;maddr=192.0.2.9",
    ] {
        world.locate(uri);
    }
    world.check(expect![[r#"
           0 s  sip:a@192.0.2.1?
           0 s  = udp 192.0.2.1:5060 (until ever)
           0 s  sip:a@192.0.2.1:5070?
           0 s  = udp 192.0.2.1:5070 (until ever)
           0 s  sip:a@192.0.2.1;transport=tcp?
           0 s  = tcp 192.0.2.1:5060 (until ever)
           0 s  sips:a@192.0.2.1?
           0 s  = tls 192.0.2.1:5061 (until ever)
           0 s  sips:a@192.0.2.1:5071;transport=tcp?
           0 s  = tls 192.0.2.1:5071 (until ever)
           0 s  sip:a@[2001:db8::1]?
           0 s  = udp [2001:db8::1]:5060 (until ever)
           0 s  sip:a@example.com;maddr=192.0.2.9?
           0 s  = udp 192.0.2.9:5060 (until ever)
    "#]]);
}

#[test]
fn a_port_leaves_only_the_address_open() {
    let mut world = World::new(&EXAMPLE);
    world.add(&["example.com: A 192.0.2.5"]);
    for uri in [
        "sip:a@example.com:5080",
        "sip:a@EXAMPLE.com:5080;transport=tcp",
        "sips:a@example.com:5081",
    ] {
        world.locate(uri);
    }
    world.check(expect![[r#"
           0 s  sip:a@example.com:5080?
           0 s    A example.com: 1
           0 s  = udp 192.0.2.5:5080 (until 300 s)
           0 s  sip:a@EXAMPLE.com:5080;transport=tcp?
           0 s  = tcp 192.0.2.5:5080 (until 300 s)
           0 s  sips:a@example.com:5081?
           0 s  = tls 192.0.2.5:5081 (until 300 s)
    "#]]);
}

#[test]
fn a_transport_leaves_the_servers_open() {
    let mut world = World::new(&EXAMPLE);
    world.add(&["plain.example: A 192.0.2.5"]);
    for uri in [
        "sip:a@example.com;transport=udp",
        "sip:a@example.com;transport=tcp",
        "sip:a@example.com;transport=tls",
        "sips:a@example.com;transport=tcp",
        "sip:a@plain.example;transport=tcp",
        "sip:a@plain.example;transport=tls",
        "sip:a@plain.example;transport=wss",
    ] {
        world.locate(uri);
    }
    world.check(expect![[r#"
           0 s  sip:a@example.com;transport=udp?
           0 s    SRV _sip._udp.example.com: 1
           0 s    A server2.example.com: 1
           0 s  = udp 192.0.2.2:5060 (until 300 s)
           0 s  sip:a@example.com;transport=tcp?
           0 s    SRV _sip._tcp.example.com: 1
           0 s    A server1.example.com: 1
           0 s  = tcp 192.0.2.1:5060 (until 300 s)
           0 s  sip:a@example.com;transport=tls?
           0 s    SRV _sips._tcp.example.com: 1
           0 s  = tls 192.0.2.1:5061 (until 300 s)
           0 s  sips:a@example.com;transport=tcp?
           0 s  = tls 192.0.2.1:5061 (until 300 s)
           0 s  sip:a@plain.example;transport=tcp?
           0 s    SRV _sip._tcp.plain.example: 0
           0 s    A plain.example: 1
           0 s  = tcp 192.0.2.5:5060 (until 300 s)
           0 s  sip:a@plain.example;transport=tls?
           0 s    SRV _sips._tcp.plain.example: 0
           0 s  = tls 192.0.2.5:5061 (until 300 s)
           0 s  sip:a@plain.example;transport=wss?
           0 s  = wss 192.0.2.5:443 (until 300 s)
    "#]]);
}

#[test]
fn a_domain_says_how_it_is_reached() {
    let mut world = World::new(&EXAMPLE);
    world.locate("sip:a@example.com");
    world.locate("sips:a@example.com");
    world.check(expect![[r#"
           0 s  sip:a@example.com?
           0 s    NAPTR example.com: 3
           0 s    SRV _sips._tcp.example.com: 1
           0 s    A server1.example.com: 1
           0 s  = tls 192.0.2.1:5061 (until 300 s)
           0 s  sips:a@example.com?
           0 s  = tls 192.0.2.1:5061 (until 300 s)
    "#]]);
}

#[test]
fn preference_orders_within_an_order_and_case_does_not_matter() {
    let mut world = World::new(&[
        "example.com: NAPTR 10 30 S sip+d2u _sip._udp.example.com",
        "example.com: NAPTR 10 20 s SIP+D2T _sip._tcp.example.com",
        "example.com: NAPTR 20 1 s SIPS+D2T _sips._tcp.example.com",
        "_sip._tcp.example.com: SRV 0 0 5060 a.example.com",
        "_sip._udp.example.com: SRV 0 0 5060 b.example.com",
        "a.example.com: A 192.0.2.1",
        "b.example.com: A 192.0.2.2",
    ]);
    world.locate("sip:a@example.com");
    world.check(expect![[r#"
           0 s  sip:a@example.com?
           0 s    NAPTR example.com: 3
           0 s    SRV _sip._tcp.example.com: 1
           0 s    SRV _sip._udp.example.com: 1
           0 s    A a.example.com: 1
           0 s    A b.example.com: 1
           0 s  = tcp 192.0.2.1:5060, udp 192.0.2.2:5060 (until 300 s)
    "#]]);
}

#[test]
fn records_that_are_not_for_us_are_passed_over() {
    let mut world = World::new(&[
        // Not about SIP at all: as if there were none.
        "other.example: NAPTR 1 1 u E2U+sip _sip._udp.other.example",
        "other.example: A 192.0.2.1",
        // Transports we have not.
        "sctp.example: NAPTR 1 1 s SIP+D2S _sip._sctp.sctp.example",
        "sctp.example: NAPTR 1 1 s SIP+D2W _sip._ws.sctp.example",
        // Another flag than RFC 3263 knows, then a good one of a later order.
        "flag.example: NAPTR 1 1 a SIP+D2T _sip._tcp.flag.example",
        "flag.example: NAPTR 2 1 s SIP+D2U _sip._udp.flag.example",
        "_sip._udp.flag.example: SRV 0 0 5065 flag.example",
        "flag.example: A 192.0.2.3",
        // No TLS for `sips`.
        "open.example: NAPTR 1 1 s SIP+D2U _sip._udp.open.example",
    ]);
    for uri in [
        "sip:a@other.example",
        "sip:a@sctp.example",
        "sip:a@flag.example",
        "sips:a@open.example",
    ] {
        world.locate(uri);
    }
    world.check(expect![[r#"
           0 s  sip:a@other.example?
           0 s    NAPTR other.example: 1
           0 s    SRV _sip._udp.other.example: 0
           0 s    SRV _sip._tcp.other.example: 0
           0 s    A other.example: 1
           0 s  = udp 192.0.2.1:5060 (until 300 s)
           0 s  sip:a@sctp.example?
           0 s    NAPTR sctp.example: 2
           0 s  = nothing: the domain does not take SIP over a transport we have (until 300 s)
           0 s  sip:a@flag.example?
           0 s    NAPTR flag.example: 2
           0 s    SRV _sip._udp.flag.example: 1
           0 s    A flag.example: 1
           0 s  = udp 192.0.2.3:5065 (until 300 s)
           0 s  sips:a@open.example?
           0 s    NAPTR open.example: 1
           0 s  = nothing: the domain does not take SIP over a transport we have (until 300 s)
    "#]]);
}

#[test]
fn without_naptr_every_transport_is_asked_for() {
    let mut world = World::new(&[
        "both.example: A 192.0.2.1",
        "_sip._udp.both.example: SRV 0 0 5060 both.example",
        "_sip._tcp.both.example: SRV 0 0 5062 both.example",
        "tcp.example: A 192.0.2.2",
        "_sip._tcp.tcp.example: SRV 0 0 5060 tcp.example",
        "plain.example: A 192.0.2.3",
        "tls.example: A 192.0.2.4",
        "_sips._tcp.tls.example: SRV 0 0 5071 tls.example",
    ]);
    for uri in [
        "sip:a@both.example",
        "sip:a@tcp.example",
        "sip:a@plain.example",
        "sips:a@tls.example",
        "sips:a@plain.example",
        "sip:a@nowhere.example",
    ] {
        world.locate(uri);
    }
    world.check(expect![[r#"
           0 s  sip:a@both.example?
           0 s    NAPTR both.example: 0
           0 s    SRV _sip._udp.both.example: 1
           0 s    SRV _sip._tcp.both.example: 1
           0 s    A both.example: 1
           0 s  = udp 192.0.2.1:5060, tcp 192.0.2.1:5062 (until 300 s)
           0 s  sip:a@tcp.example?
           0 s    NAPTR tcp.example: 0
           0 s    SRV _sip._udp.tcp.example: 0
           0 s    SRV _sip._tcp.tcp.example: 1
           0 s    A tcp.example: 1
           0 s  = tcp 192.0.2.2:5060 (until 300 s)
           0 s  sip:a@plain.example?
           0 s    NAPTR plain.example: 0
           0 s    SRV _sip._udp.plain.example: 0
           0 s    SRV _sip._tcp.plain.example: 0
           0 s    A plain.example: 1
           0 s  = udp 192.0.2.3:5060 (until 300 s)
           0 s  sips:a@tls.example?
           0 s    NAPTR tls.example: 0
           0 s    SRV _sips._tcp.tls.example: 1
           0 s    A tls.example: 1
           0 s  = tls 192.0.2.4:5071 (until 300 s)
           0 s  sips:a@plain.example?
           0 s    SRV _sips._tcp.plain.example: 0
           0 s  = tls 192.0.2.3:5061 (until 300 s)
           0 s  sip:a@nowhere.example?
           0 s    NAPTR nowhere.example: 0
           0 s    SRV _sip._udp.nowhere.example: 0
           0 s    SRV _sip._tcp.nowhere.example: 0
           0 s    A nowhere.example: 0
           0 s  = nothing: the name has no address (until 300 s)
    "#]]);
}

#[test]
fn a_dot_says_that_there_is_no_such_service() {
    let mut world = World::new(&[
        "no.example: A 192.0.2.1",
        "_sip._udp.no.example: SRV 0 0 0 .",
        "_sip._tcp.no.example: SRV 0 0 0 .",
        "half.example: A 192.0.2.2",
        "_sip._udp.half.example: SRV 0 0 0 .",
        "_sip._tcp.half.example: SRV 0 0 5060 half.example",
        "less.example: A 192.0.2.2",
        "_sip._udp.less.example: SRV 0 0 0 .",
    ]);
    for uri in [
        "sip:a@no.example",
        "sip:a@no.example;transport=udp",
        "sip:a@half.example",
        "sip:a@less.example",
    ] {
        world.locate(uri);
    }
    world.check(expect![[r#"
           0 s  sip:a@no.example?
           0 s    NAPTR no.example: 0
           0 s    SRV _sip._udp.no.example: 1
           0 s    SRV _sip._tcp.no.example: 1
           0 s  = nothing: the domain does not take SIP over a transport we have (until 300 s)
           0 s  sip:a@no.example;transport=udp?
           0 s  = nothing: the domain does not take SIP over a transport we have (until 300 s)
           0 s  sip:a@half.example?
           0 s    NAPTR half.example: 0
           0 s    SRV _sip._udp.half.example: 1
           0 s    SRV _sip._tcp.half.example: 1
           0 s    A half.example: 1
           0 s  = tcp 192.0.2.2:5060 (until 300 s)
           0 s  sip:a@less.example?
           0 s    NAPTR less.example: 0
           0 s    SRV _sip._udp.less.example: 1
           0 s    SRV _sip._tcp.less.example: 0
           0 s  = nothing: the domain does not take SIP over a transport we have (until 300 s)
    "#]]);
}

#[test]
fn priorities_then_families_by_turns() {
    let zone = [
        "_sip._tcp.example.com: SRV 20 0 5060 c.example.com",
        "_sip._tcp.example.com: SRV 10 0 5060 a.example.com",
        "a.example.com: A 192.0.2.1",
        "a.example.com: A 192.0.2.2",
        "a.example.com: AAAA 2001:db8::1",
        "c.example.com: AAAA 2001:db8::2",
    ];
    let uri = "sip:a@example.com;transport=tcp";
    let mut world = World::with(World::both(), &zone);
    world.locate(uri);
    let mut four = World::new(&zone);
    four.locate(uri);
    world.said += &four.said;
    world.check(expect![[r#"
           0 s  sip:a@example.com;transport=tcp?
           0 s    SRV _sip._tcp.example.com: 2
           0 s    A a.example.com: 2
           0 s    AAAA a.example.com: 1
           0 s    A c.example.com: 0
           0 s    AAAA c.example.com: 1
           0 s  = tcp [2001:db8::1]:5060, tcp 192.0.2.1:5060, tcp 192.0.2.2:5060, tcp [2001:db8::2]:5060 (until 300 s)
           0 s  sip:a@example.com;transport=tcp?
           0 s    SRV _sip._tcp.example.com: 2
           0 s    A a.example.com: 2
           0 s    A c.example.com: 0
           0 s  = tcp 192.0.2.1:5060, tcp 192.0.2.2:5060 (until 300 s)
    "#]]);
}

#[test]
fn each_try_draws_by_weight_anew() {
    let mut world = World::new(&[
        "_sip._udp.example.com: SRV 0 75 5060 a.example.com",
        "_sip._udp.example.com: SRV 0 25 5060 b.example.com",
        "a.example.com: A 192.0.2.1",
        "b.example.com: A 192.0.2.2",
    ]);
    let place = "example.com".parse::<Place>().unwrap();
    let place = place.over(Some(jackfield_sip::Transport::Udp));
    assert!(world.locator.known(world.now, &place).is_empty());
    world.locate("sip:a@example.com;transport=udp");
    let mut first = 0;
    for _ in 0..4_000 {
        let order = world.locator.known(world.now, &place);
        assert_eq!(order.len(), 2);
        first += usize::from(order[0] == target("udp 192.0.2.1:5060"));
    }
    assert!((2_880..3_120).contains(&first), "{first}");
}

#[test]
fn answers_are_kept_as_long_as_they_hold() {
    let mut world = World::new(&[
        "_sip._udp.example.com: SRV 0 0 5060 a.example.com",
        "a.example.com: A 192.0.2.1",
    ]);
    world.locate("sip:a@example.com");
    world.run(s(299));
    world.locate("sip:a@example.com");
    world.run(s(1));
    world.ttl = Some(s(60));
    world.locate("sip:a@example.com");
    // What is not there is believed for an hour at most, what is there for a day.
    world.run(s(60));
    world.ttl = Some(s(1_000_000));
    world.locate("sip:a@example.com");
    // A time of zero is good for the search that asked, and no answer is asked for twice in it.
    world.run(s(100_000));
    world.ttl = Some(s(0));
    world.locate("sip:a@example.com");
    world.run(s(1));
    world.ttl = None;
    world.locate("sip:a@example.com");
    world.check(expect![[r#"
        0 s  sip:a@example.com?
        0 s    NAPTR example.com: 0
        0 s    SRV _sip._udp.example.com: 1
        0 s    SRV _sip._tcp.example.com: 0
        0 s    A a.example.com: 1
        0 s  = udp 192.0.2.1:5060 (until 300 s)
        299 s  sip:a@example.com?
        299 s  = udp 192.0.2.1:5060 (until 300 s)
        300 s  sip:a@example.com?
        300 s    NAPTR example.com: 0
        300 s    SRV _sip._udp.example.com: 1
        300 s    SRV _sip._tcp.example.com: 0
        300 s    A a.example.com: 1
        300 s  = udp 192.0.2.1:5060 (until 360 s)
        360 s  sip:a@example.com?
        360 s    NAPTR example.com: 0
        360 s    SRV _sip._udp.example.com: 1
        360 s    SRV _sip._tcp.example.com: 0
        360 s    A a.example.com: 1
        360 s  = udp 192.0.2.1:5060 (until 3960 s)
        100360 s  sip:a@example.com?
        100360 s    NAPTR example.com: 0
        100360 s    SRV _sip._udp.example.com: 1
        100360 s    SRV _sip._tcp.example.com: 0
        100360 s    A a.example.com: 1
        100360 s  = udp 192.0.2.1:5060 (until 100361 s)
        100361 s  sip:a@example.com?
        100361 s    NAPTR example.com: 0
        100361 s    SRV _sip._udp.example.com: 1
        100361 s    SRV _sip._tcp.example.com: 0
        100361 s    A a.example.com: 1
        100361 s  = udp 192.0.2.1:5060 (until 100391 s)
    "#]]);
}

#[test]
fn one_question_is_asked_once_for_all_who_wait() {
    let mut world = World::new(&["example.com: A 192.0.2.1"]);
    world.silent.insert("example.com".into());
    world.locate("example.com:5060");
    world.locate("example.com:5070");
    assert_eq!(world.waiting.len(), 1);
    world.silent.clear();
    world.drain();
    world.check(expect![[r#"
           0 s  example.com:5060?
           0 s  example.com:5070?
           0 s    A example.com: 1
           0 s  = udp 192.0.2.1:5070 (until 300 s)
           0 s  = udp 192.0.2.1:5060 (until 300 s)
    "#]]);
}

#[test]
fn a_silent_server_delays_and_does_not_stop() {
    let mut world = World::new(&[
        "example.com: A 192.0.2.1",
        "_sip._udp.example.com: SRV 0 0 5060 a.example.com",
        "a.example.com: A 192.0.2.7",
    ]);
    // It does not know NAPTR; SRV is asked for all the same.
    world.silent.insert("example.com".into());
    world.locate("sip:a@example.com");
    world.run(s(6));
    // A late answer is not waited for any more.
    let late = Input::Answer {
        id: LookupId(1),
        answer: Ok(Answer::default()),
    };
    world.locator.handle(world.now, late);
    world.drain();
    // Nobody answers anything: that is believed for ten seconds, and then asked again.
    for name in ["b.example", "_sip._udp.b.example", "_sip._tcp.b.example"] {
        world.silent.insert(name.into());
    }
    world.locate("sip:a@b.example");
    world.run(s(18));
    world.locate("b.example:5060");
    world.run(s(10));
    world.silent.clear();
    world.add(&["b.example: A 192.0.2.8"]);
    world.locate("b.example:5060");
    world.check(expect![[r#"
        0 s  sip:a@example.com?
        6 s    1 lookups ran out
        6 s    SRV _sip._udp.example.com: 1
        6 s    SRV _sip._tcp.example.com: 0
        6 s    A a.example.com: 1
        6 s  = udp 192.0.2.7:5060 (until 16 s)
        6 s  sip:a@b.example?
        12 s    1 lookups ran out
        18 s    2 lookups ran out
        24 s    1 lookups ran out
        24 s  = nothing: no DNS server answers (until 22 s)
        24 s  b.example:5060?
        24 s  = nothing: no DNS server answers (until 34 s)
        34 s  b.example:5060?
        34 s    A b.example: 1
        34 s  = udp 192.0.2.8:5060 (until 334 s)
    "#]]);
}

#[test]
fn old_answers_are_better_than_none() {
    let mut world = World::new(&["example.com: A 192.0.2.1"]);
    world.locate("example.com:5060");
    world.failing.insert("example.com".into());
    world.run(s(300));
    world.locate("example.com:5060");
    world.run(s(86_400));
    world.locate("example.com:5060");
    let place = "example.com:5060".parse::<Place>().unwrap();
    assert!(world.locator.known(world.now, &place).is_empty());
    // An answer that the name is gone is an answer.
    world.failing.clear();
    world.run(s(10));
    world.locate("example.com:5060");
    world.zone.clear();
    world.run(s(300));
    world.locate("example.com:5060");
    assert!(world.locator.known(world.now, &place).is_empty());
    world.check(expect![[r#"
        0 s  example.com:5060?
        0 s    A example.com: 1
        0 s  = udp 192.0.2.1:5060 (until 300 s)
        300 s  example.com:5060?
        300 s    A example.com: failure
        300 s  = udp 192.0.2.1:5060 (until 310 s)
        86700 s  example.com:5060?
        86700 s    A example.com: failure
        86700 s  = nothing: no DNS server answers (until 86710 s)
        86710 s  example.com:5060?
        86710 s    A example.com: 1
        86710 s  = udp 192.0.2.1:5060 (until 87010 s)
        87010 s  example.com:5060?
        87010 s    A example.com: 0
        87010 s  = nothing: the name has no address (until 87310 s)
    "#]]);
}

#[test]
fn a_target_that_did_not_answer_is_left_alone() {
    let mut world = World::new(&[
        "_sip._udp.example.com: SRV 10 0 5060 a.example.com",
        "_sip._udp.example.com: SRV 20 0 5060 b.example.com",
        "a.example.com: A 192.0.2.1",
        "b.example.com: A 192.0.2.2",
    ]);
    let (a, b) = (target("udp 192.0.2.1:5060"), target("udp 192.0.2.2:5060"));
    let uri = "sip:a@example.com";
    world.locate(uri);
    world.locator.failed(world.now, a, None);
    world.locate(uri);
    assert!(world.locator.dead_until(world.now, a).is_some());
    // All are dead: then all are tried, and the one that failed first goes first.
    world.run(s(1));
    world.locator.failed(world.now, b, Some(s(100)));
    world.locate(uri);
    world.run(s(9));
    world.locate(uri);
    // It fails again, which costs it twice the time; the other asked for more.
    world.locator.failed(world.now, a, None);
    world.run(s(19));
    assert!(world.locator.dead_until(world.now, a).is_some());
    world.run(s(1));
    world.locate(uri);
    world.locator.worked(b);
    world.locate(uri);
    let place = "example.com".parse::<Place>().unwrap();
    let all = world.locator.all(world.now, &place);
    assert_eq!(all, [(a, None), (b, None)]);
    world.check(expect![[r#"
        0 s  sip:a@example.com?
        0 s    NAPTR example.com: 0
        0 s    SRV _sip._udp.example.com: 2
        0 s    SRV _sip._tcp.example.com: 0
        0 s    A a.example.com: 1
        0 s    A b.example.com: 1
        0 s  = udp 192.0.2.1:5060, udp 192.0.2.2:5060 (until 300 s)
        0 s  sip:a@example.com?
        0 s  = udp 192.0.2.2:5060 (until 300 s)
        1 s  sip:a@example.com?
        1 s  = udp 192.0.2.1:5060, udp 192.0.2.2:5060 (until 300 s)
        10 s  sip:a@example.com?
        10 s  = udp 192.0.2.1:5060 (until 300 s)
        30 s  sip:a@example.com?
        30 s  = udp 192.0.2.1:5060 (until 300 s)
        30 s  sip:a@example.com?
        30 s  = udp 192.0.2.1:5060, udp 192.0.2.2:5060 (until 300 s)
    "#]]);
}

#[test]
fn garbage_leads_nowhere() {
    let mut world = World::new(&[
        // Round in circles: none of it is followed further than RFC 3263 goes.
        "loop.example: NAPTR 1 1 s SIP+D2U loop.example",
        "loop.example: SRV 0 0 5060 loop.example",
        "self.example: NAPTR 1 1 s SIP+D2U _sip._udp.self.example",
        "_sip._udp.self.example: SRV 0 0 5060 _sip._udp.self.example",
        // Names that are none, and addresses where nobody can be.
        "bad.example: NAPTR 1 1 s SIP+D2U -..bad",
        "bad.example: NAPTR 1 2 s SIP+D2T _sip._tcp.bad.example",
        "_sip._tcp.bad.example: SRV 0 0 5060 a@b",
        "_sip._tcp.bad.example: SRV 0 0 5060 0.bad.example",
        "_sip._tcp.bad.example: SRV 0 0 5060 1.bad.example",
        "0.bad.example: A 0.0.0.0",
        "1.bad.example: A 224.0.0.1",
    ]);
    for name in ["loop", "self", "bad"] {
        world.locate(&format!("sip:a@{name}.example"));
    }
    // Records of another kind than was asked for.
    let srv = record("SRV 0 0 5060 a.example").1;
    let six = record("AAAA 2001:db8::1").1;
    world
        .zone
        .insert((Kind::A, "odd.example".into()), vec![srv, six]);
    world.locate("odd.example:5060");
    world.check(expect![[r#"
           0 s  sip:a@loop.example?
           0 s    NAPTR loop.example: 1
           0 s    SRV loop.example: 1
           0 s    A loop.example: 0
           0 s  = nothing: the name has no address (until 300 s)
           0 s  sip:a@self.example?
           0 s    NAPTR self.example: 1
           0 s    SRV _sip._udp.self.example: 1
           0 s    A _sip._udp.self.example: 0
           0 s  = nothing: the name has no address (until 300 s)
           0 s  sip:a@bad.example?
           0 s    NAPTR bad.example: 2
           0 s    SRV _sip._tcp.bad.example: 3
           0 s    A 0.bad.example: 1
           0 s    A 1.bad.example: 1
           0 s  = nothing: the name has no address (until 300 s)
           0 s  odd.example:5060?
           0 s    A odd.example: 2
           0 s  = nothing: the name has no address (until 300 s)
    "#]]);
}

#[test]
fn a_flood_of_records_is_cut() {
    let mut world = World::with(World::both(), &[]);
    for n in 0..200 {
        world.add(&[
            &format!("example.com: NAPTR 1 {n} s SIP+D2U _{n}.example.com"),
            &format!("_{n}.example.com: SRV {} 0 5060 h{n}.example.com", 200 - n),
            &format!("h{n}.example.com: A 192.0.2.{n}"),
        ]);
        for server in 0..50 {
            let srv = format!("_{n}.example.com: SRV {server} 0 5060 h{n}-{server}.example.com");
            world.add(&[&srv]);
        }
    }
    world.locate("sip:a@example.com");
    let lookups = world
        .said
        .lines()
        .filter(|line| line.contains(": "))
        .count();
    assert!(lookups <= limits::LOOKUPS_EACH_MAX + 1, "{lookups}");
    assert_eq!(world.locator.pending(), 0);

    // Too many searches at once: the last ones are told so.
    let mut world = World::new(&[]);
    for n in 0..=limits::SEARCHES_MAX {
        world.silent.insert(format!("h{n}.example"));
    }
    for n in 0..=limits::SEARCHES_MAX {
        world.locate(&format!("h{n}.example:5060"));
    }
    assert_eq!(world.waiting.len(), limits::LOOKUPS_MAX);
    let busy = world.said.matches("too many look-ups at once").count();
    let failed = world.said.matches("no DNS server answers").count();
    // Lookups beyond the bound fail at once, so that their searches end and make room.
    assert_eq!(
        (busy, failed),
        (0, limits::SEARCHES_MAX + 1 - limits::LOOKUPS_MAX)
    );
    world.run(s(6));
    assert_eq!(world.locator.pending(), 0);

    // Searches that wait for the same answer take no lookup each, and are bounded too.
    let mut world = World::new(&[]);
    world.silent.insert("h.example".into());
    for _ in 0..=limits::SEARCHES_MAX {
        world.locate("h.example:5060");
    }
    assert_eq!(
        (world.waiting.len(), world.said.matches("too many").count()),
        (1, 1)
    );
    world.run(s(6));
    assert_eq!(
        world.said.matches("no DNS server").count(),
        limits::SEARCHES_MAX
    );
}
