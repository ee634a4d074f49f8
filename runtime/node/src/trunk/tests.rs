//! A table of trunks and carriers in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use expect_test::{Expect, expect};
use sip::locate::Place;
use vocab::{CallId, Wall};

use super::*;
use crate::catalogue::Catalogue;
use crate::config::{EarlyMedia, Park, TrunkRegistration};
use crate::number::NumberPlan;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn trunk(id: &str, last: u8, set: impl FnOnce(&mut Trunk)) -> Arc<Trunk> {
    let mut trunk = Trunk {
        id: id.into(),
        address: SocketAddr::from(([192, 0, 2, last], 5060)).into(),
        prefixes: vec!["+86".into()],
        ..Trunk::default()
    };
    set(&mut trunk);
    Arc::new(trunk)
}

fn tenant(trunks: Vec<Arc<Trunk>>) -> Arc<Tenant> {
    Arc::new(Tenant {
        id: "demo".parse().expect("an id"),
        time_zone: "Asia/Shanghai".into(),
        language: "zh-CN".into(),
        phones: BTreeMap::new(),
        routes: BTreeMap::new(),
        trunks,
        numbers: NumberPlan::default(),
        groups: BTreeMap::new(),
        park: Park::default(),
        early_media: EarlyMedia::default(),
        follow_redirects: false,
        consent: None,
        record_made: false,
        beep: None,
        catalogue: Catalogue::default(),
    })
}

mod names;

/// A table of trunks, and carriers that answer or not.
struct World {
    trunks: Trunks,
    now: Mono,
    tenant: Arc<Tenant>,
    legs: u64,
    /// By the last byte of the address: whether the carrier is there.
    there: BTreeMap<u8, bool>,
    said: String,
}

impl World {
    fn new(trunks: Vec<Arc<Trunk>>) -> Self {
        let own = SocketAddr::from(([192, 0, 2, 1], 5060));
        let contacts = Contacts::new(&sip::Config::new(own, own, [0; 32]));
        let mut world = Self {
            trunks: Trunks::new(contacts, Rng::from_u64(7)),
            now: Mono(0),
            tenant: tenant(Vec::new()),
            legs: 0,
            there: BTreeMap::new(),
            said: String::new(),
        };
        world.configure(trunks);
        world
    }

    fn configure(&mut self, trunks: Vec<Arc<Trunk>>) {
        self.tenant = tenant(trunks);
        let now = Now::new(self.now, Wall(0));
        self.trunks.configure(now, std::iter::once(&self.tenant));
        self.drain();
    }

    /// Lets time pass; carriers that are there answer 200 at once, others after 32 s.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.trunks.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.trunks.timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.trunks.poll() {
            let at = self.now.since(Mono(0)).as_secs();
            match output {
                Output::Changed { trunk, state, .. } => {
                    self.said += &format!("{at} s: {trunk} is {}\n", state.name());
                }
                Output::Request(sip::Action::Request {
                    id,
                    method,
                    hop,
                    headers,
                    ..
                }) => {
                    let last = hop.remote.ip().to_string();
                    let last: u8 = last
                        .rsplit('.')
                        .next()
                        .expect("a byte")
                        .parse()
                        .expect("a byte");
                    let there = self.there.get(&last).copied().unwrap_or(true);
                    if method == "REGISTER" {
                        let expires = &headers[1].1;
                        self.said += &format!("{at} s: REGISTER {expires} at {last}\n");
                    }
                    let answer = Answer {
                        status: there.then_some(200),
                        times: sip::Times::default(),
                    };
                    self.trunks.answered(self.now, id, &answer);
                }
                Output::Request(other) => panic!("{other:?}"),
                Output::Trusted(_) => {}
                Output::Lookup { question, .. } => panic!("{question} is no address"),
            }
        }
    }

    fn leg(&mut self) -> LegId {
        self.legs += 1;
        LegId {
            call: CallId(u128::from(self.legs)),
            n: 2,
        }
    }

    /// Names of the trunks that would be tried, in order.
    fn order(&mut self, number: &str) -> Result<String, NoTrunk> {
        let found = self.trunks.candidates(self.now, &self.tenant.id, number)?;
        let names = found
            .iter()
            .map(|it| self.trunks.ways[&it.trunk].trunk.id.clone());
        Ok(names.collect::<Vec<_>>().join(" "))
    }

    fn check(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.said));
    }
}

#[test]
fn the_longest_prefix_then_priority_then_what_is_up() {
    let mut world = World::new(vec![
        trunk("second", 2, |it| it.priority = 2),
        trunk("first", 3, |it| it.priority = 1),
        trunk("city", 4, |it| {
            (it.priority, it.prefixes) = (9, vec!["+8621".into(), "+86".into()]);
        }),
        trunk("far", 5, |it| it.prefixes = vec!["+1".into()]),
    ]);
    assert_eq!(
        world.order("+862155501234").as_deref(),
        Ok("city first second")
    );
    assert_eq!(
        world.order("+861055501234").as_deref(),
        Ok("first second city")
    );
    assert_eq!(world.order("+13015550100").as_deref(), Ok("far"));
    assert_eq!(world.order("+442079460018"), Err(NoTrunk::Forbidden));
    // One that did not answer a call comes last, and is not left out.
    let leg = world.leg();
    let id = world
        .trunks
        .candidates(world.now, &world.tenant.id, "+862155501234");
    let id = id.expect("three")[0];
    assert!(world.trunks.take(world.now, id, leg).is_some());
    world.trunks.leg_ended(world.now, leg, Verdict::Silent);
    assert_eq!(
        world.order("+862155501234").as_deref(),
        Ok("first second city")
    );
    world.run(s(10));
    assert_eq!(
        world.order("+862155501234").as_deref(),
        Ok("city first second")
    );
    world.check(expect![[r#"
        10 s: city is dead
        10 s: city is up
    "#]]);
}

#[test]
fn equals_share_by_weight() {
    let mut world = World::new(vec![
        trunk("a", 2, |it| it.weight = 30),
        trunk("b", 3, |it| it.weight = 10),
        trunk("c", 4, |it| it.weight = 0),
    ]);
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..4_000 {
        let order = world.order("+8610").expect("three");
        assert_eq!(order.len(), "a b c".len());
        *first.entry(order[..1].to_owned()).or_default() += 1;
    }
    let [a, b, c] = ["a", "b", "c"].map(|name| first.get(name).copied().unwrap_or(0));
    assert!((2_750..3_150).contains(&a), "{first:?}");
    assert!((850..1_150).contains(&b), "{first:?}");
    assert!(c < 200, "{first:?}");
}

#[test]
fn a_full_trunk_is_passed_over() {
    let mut world = World::new(vec![
        trunk("small", 2, |it| it.calls_max = Some(1)),
        trunk("slow", 3, |it| {
            (it.priority, it.calls_per_second) = (1, Some(1))
        }),
    ]);
    let mut taken = Vec::new();
    for _ in 0..2 {
        let leg = world.leg();
        let best = world
            .trunks
            .candidates(world.now, &world.tenant.id, "+8610");
        let trunk = world.trunks.take(world.now, best.expect("one")[0], leg);
        taken.push((leg, trunk.expect("a place").id.clone()));
    }
    assert_eq!(taken[0].1, "small");
    assert_eq!(taken[1].1, "slow");
    assert_eq!(world.order("+8610"), Err(NoTrunk::Full));
    world.run(s(1));
    assert_eq!(world.order("+8610").as_deref(), Ok("slow"));
    world
        .trunks
        .leg_ended(world.now, taken[0].0, Verdict::There);
    assert_eq!(world.order("+8610").as_deref(), Ok("small slow"));
    let calls: Vec<u32> = world
        .trunks
        .views(world.now)
        .map(|view| view.calls)
        .collect();
    assert_eq!(calls, [0, 1]);
}

#[test]
fn a_call_that_comes_in_takes_a_line_and_tells_nothing_of_the_carrier() {
    let mut world = World::new(vec![
        trunk("both", 2, |it| {
            (it.calls_max, it.inbound, it.health) = (Some(2), true, s(30));
        }),
        trunk("out", 3, |it| it.priority = 1),
    ]);
    let from = |last: u8| SocketAddr::from(([192, 0, 2, last], 40_000));
    let (first, second, third) = (world.leg(), world.leg(), world.leg());
    let by = |world: &World, last| {
        let found = world.trunks.of_source(from(last), "1000");
        found.map(|(_, trunk)| trunk)
    };
    let (carrier, out, stranger) = (by(&world, 2), by(&world, 3), by(&world, 9));
    // From any port of the trunk's address, and from no other's.
    assert_eq!(
        world.trunks.take_in(carrier, first),
        Ok(Some("both".into()))
    );
    assert_eq!(world.trunks.take_in(out, second), Ok(None));
    assert_eq!(world.trunks.take_in(stranger, second), Ok(None));
    let best = world
        .trunks
        .candidates(world.now, &world.tenant.id, "+8610");
    let best = best.expect("two")[0];
    assert!(world.trunks.take(world.now, best, second).is_some());
    assert_eq!(world.order("+8610").as_deref(), Ok("out"));
    assert_eq!(world.trunks.take_in(carrier, third), Err(()));
    assert!(world.trunks.carries(first) && !world.trunks.carries(third));
    let calls: Vec<u32> = world
        .trunks
        .views(world.now)
        .map(|view| view.calls)
        .collect();
    assert_eq!(calls, [2, 0]);
    // A caller who vanished is no reason to think that the carrier did.
    world.trunks.leg_ended(world.now, first, Verdict::Silent);
    assert!(!world.trunks.carries(first));
    assert_eq!(world.order("+8610").as_deref(), Ok("both out"));
    assert_eq!(
        world.trunks.take_in(carrier, third),
        Ok(Some("both".into()))
    );
}

#[test]
fn a_registration_is_kept_and_given_back() {
    let registered = |it: &mut Trunk| {
        it.registration = Some(TrunkRegistration {
            user: "8621".into(),
            expires: s(600),
        });
    };
    let mut world = World::new(vec![trunk("a", 2, registered)]);
    world.run(s(1_000));
    world.there.insert(2, false);
    world.run(s(2_000));
    world.there.insert(2, true);
    world.run(s(2_000));
    // A trunk that stays keeps what it knows; one that goes says so.
    world.configure(vec![
        trunk("b", 3, |it| it.priority = 7),
        trunk("a", 2, registered),
    ]);
    world.configure(vec![trunk("b", 3, |it| it.priority = 7)]);
    assert_eq!(world.trunks.views(world.now).count(), 1);
    world.check(expect![[r#"
        0 s: REGISTER 600 at 2
        0 s: a is up
        450 s: REGISTER 600 at 2
        876 s: REGISTER 600 at 2
        1374 s: REGISTER 600 at 2
        1395 s: REGISTER 600 at 2
        1455 s: REGISTER 600 at 2
        1476 s: a is unregistered
        1527 s: REGISTER 600 at 2
        1692 s: REGISTER 600 at 2
        2057 s: REGISTER 600 at 2
        2662 s: REGISTER 600 at 2
        3940 s: REGISTER 600 at 2
        3940 s: a is up
        4408 s: REGISTER 600 at 2
        4852 s: REGISTER 600 at 2
        5000 s: REGISTER 0 at 2
    "#]]);
}

#[test]
fn a_node_that_leaves_gives_its_registrations_back() {
    let registered = |it: &mut Trunk| {
        it.registration = Some(TrunkRegistration {
            user: "8621".into(),
            expires: s(600),
        });
    };
    let (a, b, c) = (
        trunk("a", 2, registered),
        trunk("b", 3, registered),
        trunk("c", 4, |_| {}),
    );
    let mut world = World::new(vec![Arc::clone(&a), b, c]);
    world.there.insert(3, false);
    world.run(s(10));
    world.trunks.leave(world.now);
    assert_eq!(world.trunks.farewells(), 1);
    world.drain();
    assert_eq!(world.trunks.farewells(), 0);
    world.run(s(4_000));
    world.check(expect![[r#"
        0 s: REGISTER 600 at 3
        0 s: REGISTER 600 at 2
        0 s: a is up
        10 s: REGISTER 0 at 2
        10 s: a is unregistered
    "#]]);
    // One that is registered with just then is told when it has answered.
    let mut world = World::new(vec![a]);
    let asked = world.trunks.deadline().expect("it registers");
    world.trunks.timeout(asked);
    world.now = asked;
    world.trunks.leave(asked);
    assert_eq!(world.trunks.farewells(), 0);
    world.drain();
    world.run(s(4_000));
    world.check(expect![[r#"
        0 s: REGISTER 600 at 2
        0 s: REGISTER 0 at 2
    "#]]);
}

#[test]
fn a_carrier_that_comes_back_is_registered_with_at_once() {
    let mut world = World::new(vec![trunk("a", 2, |it| {
        it.health = s(30);
        it.registration = Some(TrunkRegistration {
            user: "8621".into(),
            expires: s(60),
        });
    })]);
    world.there.insert(2, false);
    world.run(s(3_600));
    world.said.clear();
    world.there.insert(2, true);
    world.run(s(60));
    world.check(expect![[r#"
        3610 s: a is unregistered
        3610 s: REGISTER 60 at 2
        3610 s: a is up
        3655 s: REGISTER 60 at 2
    "#]]);
}

#[test]
fn a_carrier_that_stops_loses_no_call_and_gets_none_twice() {
    let mut world = World::new(vec![
        trunk("a", 2, |it| it.health = s(30)),
        trunk("b", 3, |it| (it.health, it.priority) = (s(30), 1)),
    ]);
    // 200 calls a second for a minute; the first carrier is silent from 20 s to 40 s. A silent
    // attempt is given up after 4 s, as the node does.
    let mut waiting: Vec<(Mono, LegId, Vec<Try>, Vec<String>)> = Vec::new();
    let mut tried: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let (mut connected, mut lost) = (0, 0);
    for n in 0..12_000_u64 {
        let at = Mono(0) + ms(5 * n);
        world.run(at.since(world.now));
        world.there.insert(2, !(4_000..8_000).contains(&n));
        let best = world.trunks.candidates(at, &world.tenant.id, "+8610");
        let mut best = best.expect("two");
        best.reverse();
        let leg = world.leg();
        let mut attempts = vec![(at, leg, best, Vec::new())];
        attempts.extend(waiting.extract_if(.., |it| it.0 + TRYING <= at).map(|it| {
            world.trunks.leg_ended(at, it.1, Verdict::Silent);
            (
                at,
                LegId {
                    n: it.1.n + 1,
                    ..it.1
                },
                it.2,
                it.3,
            )
        }));
        world.drain();
        for (at, leg, mut rest, mut names) in attempts {
            let Some(id) = rest.pop() else {
                lost += 1;
                continue;
            };
            let trunk = world.trunks.take(at, id, leg).expect("room for all");
            let name = trunk.id.clone();
            assert_eq!(id.target.address.port(), 5060);
            assert!(!names.contains(&name), "no call goes to a carrier twice");
            let there = name != "a" || world.there[&2];
            let count = tried.entry(name.clone()).or_default();
            names.push(name);
            if there {
                count.0 += 1;
                connected += 1;
                world.trunks.leg_spoke(at, leg);
                world.trunks.leg_ended(at, leg, Verdict::There);
            } else {
                count.1 += 1;
                waiting.push((at, leg, rest, names));
            }
        }
    }
    assert_eq!((connected, lost, waiting.len()), (12_000, 0, 0));
    expect![[r#"
        {"a": (6400, 801), "b": (5600, 0)}
    "#]]
    .assert_eq(&format!("{tried:?}\n"));
    world.check(expect![[r#"
        24 s: a is dead
        48 s: a is up
    "#]]);
}

/// Longest wait for a carrier's first word.
const TRYING: Duration = crate::limits::TRYING_WAIT;

#[test]
fn a_carrier_over_tls_is_asked_for_by_name() {
    let target = Target {
        transport: sip::Transport::Tls,
        address: SocketAddr::from(([192, 0, 2, 9], 5061)),
    };
    let trunk = Trunk {
        address: Place::from(target.address).over(Some(target.transport)),
        domain: Some("ims.example.com".to_owned()),
        ..Trunk::default()
    };
    let asked = identity::options(sip::RequestId(1), &trunk, target);
    let sip::Action::Request { hop, uri, .. } = asked else {
        panic!("OPTIONS is a request");
    };
    assert_eq!(hop.transport, sip::Transport::Tls);
    assert_eq!(uri, "sip:ims.example.com");
    // The leg knows UDP and TCP; what the URI asks for goes first.
    let tenant = tenant(Vec::new());
    let way = (&trunk, target);
    let nobody = crate::caller::Shown::plainly(vocab::Party::Anonymous);
    let target = call(&tenant, way, "+8621", &nobody);
    let vocab::call::Target::Uri { uri, .. } = target else {
        panic!("a carrier has a URI");
    };
    assert_eq!(uri.reveal(), "sip:+8621@ims.example.com;transport=tls");
}
