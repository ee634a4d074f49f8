//! Thousands of calls in virtual time over a bad network: each INVITE gets exactly one final
//! answer, both ends learn of every end, and nothing is left behind.

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_sip::limits::Limits;
use jackfield_sip::{Action, DialogId, End, Event};
use vocab::{Mono, Rng};

use world::{SDP, Weather, World, credentials};

/// What one end has been told of a call.
#[derive(Default, Debug)]
struct Told {
    accepted: u32,
    refused: u32,
    ended: u32,
}

/// Something a person does at some time.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Call,
    Respond(usize, DialogId, u16),
    Challenge(usize, DialogId),
    HangUp(usize, DialogId),
    Reinvite(usize, DialogId),
    Update(usize, DialogId),
    Refer(usize, DialogId),
    Notify(usize, DialogId, u16),
}

struct Crowd {
    world: World,
    rng: Rng,
    plans: BTreeMap<(Mono, u64), Plan>,
    planned: u64,
    /// By peer and dialog.
    callers: BTreeMap<(usize, DialogId), Told>,
    called: BTreeMap<(usize, DialogId), Told>,
    left: u32,
    /// Calls are changed while they run.
    lively: bool,
    /// How often each kind of thing was told.
    heard: BTreeMap<&'static str, u32>,
}

impl Crowd {
    fn new(seed: u64, calls: u32, weather: Weather) -> Self {
        Self::of(World::new(seed), calls, weather)
    }

    /// Calls that ring reliably and change while they run.
    fn lively(seed: u64, calls: u32, weather: Weather) -> Self {
        let world = World::with_config(seed, Limits::default(), |config| {
            config.reliable_provisional = true;
        });
        let mut crowd = Self::of(world, calls, weather);
        crowd.lively = true;
        crowd
    }

    fn of(mut world: World, calls: u32, weather: Weather) -> Self {
        world.ladder = None;
        world.weather = weather;
        let rng = world.rng.fork();
        let mut crowd = Self {
            world,
            rng,
            plans: BTreeMap::new(),
            planned: 0,
            callers: BTreeMap::new(),
            called: BTreeMap::new(),
            left: calls,
            lively: false,
            heard: BTreeMap::new(),
        };
        crowd.plan(0, Plan::Call);
        crowd
    }

    /// Plans something within so many milliseconds.
    fn plan(&mut self, within_ms: u64, plan: Plan) {
        let wait = Duration::from_millis(self.rng.below(within_ms + 1));
        self.planned += 1;
        self.plans
            .insert((self.world.now.mono + wait, self.planned), plan);
    }

    /// Lives through all calls and 64 s more.
    fn live(&mut self) {
        while let Some(((at, _), plan)) = self.plans.pop_first() {
            while self.world.step(at) {
                self.listen();
                if self
                    .plans
                    .first_key_value()
                    .is_some_and(|((next, _), _)| *next < at)
                {
                    break;
                }
            }
            if self
                .plans
                .first_key_value()
                .is_some_and(|((next, _), _)| *next < at)
            {
                self.planned += 1;
                self.plans.insert((at, self.planned), plan);
                continue;
            }
            self.world.run(at.since(self.world.now.mono));
            self.carry_out(plan);
            self.listen();
        }
        let end = self.world.now.mono + Duration::from_secs(130);
        while self.world.step(end) {
            self.listen();
        }
    }

    fn carry_out(&mut self, plan: Plan) {
        match plan {
            Plan::Call => {
                self.left -= 1;
                let from = self.rng.below(3) as usize;
                let to = (from + 1 + self.rng.below(2) as usize) % 3;
                let hop = if self.rng.chance(0.2) {
                    self.world.tcp(to)
                } else {
                    self.world.hop(to)
                };
                let login = self.rng.chance(0.3).then(|| credentials("ann"));
                let dialog = self.world.call_by(from, hop, login, &[]);
                self.callers.insert((from, dialog), Told::default());
                if self.rng.chance(0.3) {
                    self.plan(4_000, Plan::HangUp(from, dialog));
                }
                if self.left > 0 {
                    self.plan(40, Plan::Call);
                }
            }
            Plan::Respond(who, dialog, status) => self.world.respond(who, dialog, status),
            Plan::Challenge(who, dialog) => self.world.act(who, Action::Challenge { dialog }),
            Plan::HangUp(who, dialog) => self.world.hang_up(who, dialog),
            Plan::Reinvite(who, dialog) => {
                let (headers, body) = (Vec::new(), SDP.to_vec());
                let action = Action::Reinvite {
                    dialog,
                    headers,
                    body,
                };
                self.world.act(who, action);
            }
            Plan::Refer(who, dialog) => {
                let action = Action::Refer {
                    dialog,
                    to: "sip:dan@demo".into(),
                    headers: Vec::new(),
                };
                self.world.act(who, action);
            }
            Plan::Notify(who, dialog, status) => {
                self.world.act(who, Action::Notify { dialog, status });
            }
            Plan::Update(who, dialog) => {
                let (headers, body) = (Vec::new(), SDP.to_vec());
                let action = Action::Update {
                    dialog,
                    headers,
                    body,
                };
                self.world.act(who, action);
            }
        }
    }

    /// Changes a call some time, or twice, and perhaps just when the other side does.
    fn stir(&mut self, who: usize, dialog: DialogId) {
        if !self.lively {
            return;
        }
        for _ in 0..self.rng.below(3) {
            match self.rng.below(5) {
                0 => self.plan(3_000, Plan::Refer(who, dialog)),
                1 | 2 => self.plan(3_000, Plan::Update(who, dialog)),
                _ => self.plan(3_000, Plan::Reinvite(who, dialog)),
            }
        }
    }

    fn listen(&mut self) {
        for who in 0..3 {
            while let Some(event) = self.world.peers[who].events.pop_front() {
                self.hear(who, event);
            }
        }
    }

    fn hear(&mut self, who: usize, event: Event) {
        *self.heard.entry(kind(&event)).or_default() += 1;
        match event {
            Event::Incoming { dialog, user, .. } => {
                let fresh = self.called.insert((who, dialog), Told::default()).is_none();
                assert!(fresh, "an INVITE is told of once");
                if user.is_none() && self.rng.chance(0.2) {
                    // The next attempt is another dialog here.
                    self.called.get_mut(&(who, dialog)).unwrap().refused += 1;
                    return self.plan(500, Plan::Challenge(who, dialog));
                }
                if self.rng.chance(0.5) {
                    self.plan(300, Plan::Respond(who, dialog, 180));
                }
                match self.rng.below(10) {
                    0 => self.plan(2_000, Plan::HangUp(who, dialog)),
                    1 => self.plan(2_000, Plan::Respond(who, dialog, 486)),
                    // Both may happen at once.
                    _ => self.plan(2_000, Plan::Respond(who, dialog, 200)),
                }
                if self.rng.chance(0.3) {
                    self.plan(10_000, Plan::HangUp(who, dialog));
                } else {
                    self.plan(20_000, Plan::HangUp(who, dialog));
                }
            }
            Event::Answered { dialog, .. } => {
                let told = self
                    .callers
                    .get_mut(&(who, dialog))
                    .expect("a call of ours");
                assert_eq!((told.accepted, told.refused), (0, 0), "one final answer");
                told.accepted += 1;
                self.plan(10_000, Plan::HangUp(who, dialog));
                self.stir(who, dialog);
            }
            Event::Failed { dialog, .. } => {
                let told = self
                    .callers
                    .get_mut(&(who, dialog))
                    .expect("a call of ours");
                assert_eq!((told.accepted, told.refused), (0, 0), "one final answer");
                told.refused += 1;
            }
            Event::Ended { dialog, why, .. } => {
                let told = self.callers.get_mut(&(who, dialog));
                let told = match told {
                    Some(told) => told,
                    None => self.called.get_mut(&(who, dialog)).expect("a call"),
                };
                assert_eq!(told.ended, 0, "a dialog ends once");
                // A request that finds the dialog gone before its BYE is heard.
                assert!(
                    why != End::Lost || self.lively,
                    "no session timer runs here"
                );
                told.ended += 1;
            }
            Event::Cancelled { dialog, .. } => {
                let told = self.called.get_mut(&(who, dialog)).expect("a call");
                assert_eq!(told.ended, 0, "a dialog ends once");
                told.ended += 1;
            }
            // The ACK to the callee's re-INVITE.
            Event::Confirmed { dialog, .. } if self.callers.contains_key(&(who, dialog)) => {
                assert!(self.lively, "the caller confirms");
            }
            Event::Confirmed { dialog, .. } => {
                let told = self.called.get_mut(&(who, dialog)).expect("a call");
                assert!(
                    told.accepted == 0 || self.lively,
                    "an answer is confirmed once"
                );
                told.accepted += 1;
                if told.accepted == 1 {
                    self.stir(who, dialog);
                }
            }
            Event::Reoffer { dialog, .. } if self.lively => {
                let status = if self.rng.chance(0.2) { 488 } else { 200 };
                // At once, or as somebody who has to ask first.
                if self.rng.chance(0.5) {
                    self.world.respond(who, dialog, status);
                } else {
                    self.plan(500, Plan::Respond(who, dialog, status));
                }
            }
            Event::Refer { dialog, .. } if self.lively => {
                let status = if self.rng.chance(0.2) { 603 } else { 202 };
                self.world.act(who, Action::AnswerRefer { dialog, status });
                for status in [180, 200] {
                    self.plan(2_000, Plan::Notify(who, dialog, status));
                }
            }
            Event::Reanswered { .. }
            | Event::Refused { .. }
            | Event::ReferAnswered { .. }
            | Event::ReferProgress { .. }
                if self.lively => {}
            Event::Trying { .. } | Event::Progress { .. } | Event::AuthFailed { .. } => {}
            Event::Reoffer { .. }
            | Event::Reanswered { .. }
            | Event::Refused { .. }
            | Event::Refer { .. }
            | Event::ReferAnswered { .. }
            | Event::ReferProgress { .. }
            | Event::Info { .. }
            | Event::Response { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. } => panic!("nobody asked for {event:?}"),
        }
    }

    fn assert_clean(&self) {
        for peer in &self.world.peers {
            let counts = peer.endpoint.counts();
            assert!(counts.is_idle(), "{} keeps {counts:?}", peer.name);
            assert_eq!(
                peer.endpoint.deadline(),
                None,
                "{} waits for nothing",
                peer.name
            );
        }
        for (call, told) in &self.callers {
            assert_eq!(
                told.accepted + told.refused,
                1,
                "{call:?} has one final answer: {told:?}"
            );
            assert_eq!(
                told.ended, told.accepted,
                "{call:?} ends if it was accepted: {told:?}"
            );
        }
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Incoming { user: Some(_), .. } => "known caller",
        Event::Incoming { user: None, .. } => "unknown caller",
        Event::Cancelled { .. } => "cancelled",
        Event::Progress { .. } => "progress",
        Event::Answered { .. } => "answered",
        Event::Failed {
            status: Some(401), ..
        } => "unauthorized",
        Event::Failed {
            status: Some(486), ..
        } => "busy",
        Event::Failed {
            status: Some(487), ..
        } => "gave up",
        Event::Failed {
            status: Some(603), ..
        } => "declined",
        Event::Failed {
            status: Some(_), ..
        } => "failed otherwise",
        Event::Failed { status: None, .. } => "unreachable",
        Event::Trying { .. } => "trying",
        Event::Confirmed { .. } => "confirmed",
        Event::Ended {
            why: End::Theirs, ..
        } => "ended by them",
        Event::Ended { why: End::Ours, .. } => "ended by us",
        Event::Ended {
            why: End::NoAck, ..
        } => "no ACK",
        Event::Ended { why: End::Lost, .. } => "lost",
        Event::Reoffer { .. } => "offered anew",
        Event::Reanswered { .. } => "answered anew",
        Event::Refused { status: 488, .. } => "offer refused",
        Event::Refused { status: 491, .. } => "offers crossed",
        Event::Refused { .. } => "refused otherwise",
        Event::Refer { .. } => "asked to call",
        Event::ReferProgress { over: true, .. } => "transferred",
        Event::Info { .. }
        | Event::ReferAnswered { .. }
        | Event::ReferProgress { .. }
        | Event::Response { .. }
        | Event::Registered { .. }
        | Event::Unregistered { .. }
        | Event::AuthFailed { .. } => "other",
    }
}

fn calls() -> u32 {
    // An unoptimized build takes a tenth of them.
    if cfg!(debug_assertions) {
        2_000
    } else {
        20_000
    }
}

#[test]
fn in_good_weather_every_call_is_settled() {
    let mut crowd = Crowd::new(1, calls(), Weather::default());
    crowd.live();
    crowd.assert_clean();
    let retransmits: u64 = (0..3).map(|who| crowd.world.counts(who).retransmits).sum();
    assert_eq!(crowd.callers.len(), calls() as usize);
    // The crowd does everything there is to do.
    for kind in [
        "known caller",
        "unknown caller",
        "cancelled",
        "progress",
        "answered",
        "unauthorized",
        "busy",
        "gave up",
        "declined",
        "confirmed",
        "ended by them",
        "ended by us",
    ] {
        let heard = crowd.heard.get(kind).copied().unwrap_or_default();
        assert!(
            heard >= calls() / 100,
            "{kind}: {heard} of {:?}",
            crowd.heard
        );
    }
    for kind in ["failed otherwise", "unreachable", "no ACK", "lost", "other"] {
        assert_eq!(crowd.heard.get(kind), None, "{kind} of {:?}", crowd.heard);
    }
    // Hanging up at the same moment makes a few copies; loss would make thousands.
    assert!(retransmits < u64::from(calls()) / 10, "{retransmits}");
}

#[test]
fn in_bad_weather_every_call_is_settled() {
    let weather = Weather {
        loss: 0.15,
        repeat: 0.1,
        jitter: Duration::from_millis(700),
    };
    let mut crowd = Crowd::new(2, calls(), weather);
    crowd.live();
    crowd.assert_clean();
    let retransmits: u64 = (0..3).map(|who| crowd.world.counts(who).retransmits).sum();
    assert!(retransmits > u64::from(calls()), "{retransmits}");
}

#[test]
fn many_seeds_of_very_bad_weather() {
    for seed in 100..130 {
        let weather = Weather {
            loss: 0.05 * (seed % 9) as f64,
            repeat: 0.3,
            jitter: Duration::from_millis(seed % 7 * 300),
        };
        let mut crowd = Crowd::new(seed, 60, weather);
        crowd.live();
        crowd.assert_clean();
    }
}

#[test]
fn calls_that_change_while_they_run_are_settled() {
    for seed in 200..210 {
        let weather = Weather {
            loss: 0.05 * (seed % 3) as f64,
            repeat: 0.1,
            jitter: Duration::from_millis(seed % 4 * 200),
        };
        let mut crowd = Crowd::lively(seed, 100, weather);
        crowd.live();
        crowd.assert_clean();
        let kinds = [
            "offered anew",
            "answered anew",
            "offer refused",
            "asked to call",
            "transferred",
        ];
        for kind in kinds {
            let count = crowd.heard.get(kind).copied().unwrap_or(0);
            assert!(count > 2, "{kind}: {count}");
        }
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let life = |seed| {
        let weather = Weather {
            loss: 0.1,
            repeat: 0.1,
            jitter: Duration::from_millis(300),
        };
        let mut crowd = Crowd::new(seed, 50, weather);
        crowd.world.ladder = Some(String::new());
        crowd.live();
        crowd.world.take_ladder()
    };
    assert_eq!(life(7), life(7));
    assert_ne!(life(7), life(8));
}
