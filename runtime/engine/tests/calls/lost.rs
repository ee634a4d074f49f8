//! What goes missing: acknowledgements, far ends, workers. Nothing may stay behind.

use expect_test::expect;
use jackfield_engine::phone::Step;
use vocab::call::{Cause, Command, Event};
use vocab::{Pii, RecordingId};

use crate::audio::speech;
use crate::dial::{second, user};
use crate::far::{Far, sdp};
use crate::gather::{record, spec};
use crate::world::{Weather, World, ms, s};

fn ends(world: &World) -> usize {
    world
        .events
        .iter()
        .filter(|event| matches!(event, Event::Ended { .. }))
        .count()
}

#[test]
fn both_hang_up_at_once() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.skip_ladder();
    world.command(Command::Hangup {
        leg,
        cause: Cause::Normal,
    });
    world.hang_up(ann);
    world.settle();
    world.check(expect![[r#"
        0.030   > Hangup A1 normal
        0.030   home → ann: BYE
        0.030   ann → home: BYE
        0.030     Ended A1 normal by Near
        0.040   ann → home: 200 OK (BYE)
        0.040   home → ann: 200 OK (BYE)
    "#]]);
}

#[test]
fn a_call_that_is_never_acknowledged_is_lost_once() {
    let mut world = World::new();
    let mut far = Far::new(&mut world, "far");
    far.send(&mut world, "INVITE", &sdp(1, "0", "inactive"));
    let leg = world.incoming();
    world.command(Command::Answer { leg });
    let ended = world.until("end", |event| matches!(event, Event::Ended { .. }));
    assert!(
        matches!(
            ended,
            Event::Ended {
                cause: Cause::Lost,
                ..
            }
        ),
        "{ended:?}"
    );
    world.settle();
    assert_eq!(ends(&world), 0, "it was reported once");
    world.check(expect![[r#"
        0.000   far → home: INVITE (application/sdp)
        0.010   home → far: 100 Trying (INVITE)
        0.010     Incoming A1 from far@192.0.2.50 to 1000
        0.010   > Answer A1
        0.010   home → far: 200 OK (INVITE, application/sdp)
        0.510   home → far: 200 OK (INVITE, application/sdp)
        1.510   home → far: 200 OK (INVITE, application/sdp)
        3.510   home → far: 200 OK (INVITE, application/sdp)
        7.510   home → far: 200 OK (INVITE, application/sdp)
        11.510  home → far: 200 OK (INVITE, application/sdp)
        15.510  home → far: 200 OK (INVITE, application/sdp)
        19.510  home → far: 200 OK (INVITE, application/sdp)
        23.510  home → far: 200 OK (INVITE, application/sdp)
        27.510  home → far: 200 OK (INVITE, application/sdp)
        31.510  home → far: 200 OK (INVITE, application/sdp)
        32.010  home → far: BYE
        32.010    Ended A1 lost by Far
        32.510  home → far: BYE
        33.510  home → far: BYE
        35.510  home → far: BYE
        39.510  home → far: BYE
        43.510  home → far: BYE
        47.510  home → far: BYE
        51.510  home → far: BYE
        55.510  home → far: BYE
        59.510  home → far: BYE
        63.510  home → far: BYE
    "#]]);
}

#[test]
fn an_answer_whose_ack_is_lost_is_repeated() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let mut lost = 0;
    world.lose(move |_, line| {
        lost += u32::from(line == "ACK");
        line == "ACK" && lost <= 3
    });
    world.connected(ann);
    world.hang_up(ann);
    world.settle();
    world.check(expect![[r#"
        0.000   ann → home: INVITE (application/sdp)
        0.010   home → ann: 100 Trying (INVITE)
        0.010     Incoming A1 from ann@demo to 1000
        0.010   > Answer A1
        0.010   home → ann: 200 OK (INVITE, application/sdp)
        0.020   ann → home: ACK ✗
        0.510   home → ann: 200 OK (INVITE, application/sdp)
        0.520   ann → home: ACK ✗
        1.510   home → ann: 200 OK (INVITE, application/sdp)
        1.520   ann → home: ACK ✗
        3.510   home → ann: 200 OK (INVITE, application/sdp)
        3.520   ann → home: ACK
        3.530     Answered A1
        3.530   ann → home: BYE
        3.540   home → ann: 200 OK (BYE)
        3.540     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn callers_who_vanish_are_reaped() {
    let mut world = World::with(1, &[20]);
    let script = vec![Step::Play(speech(1, s(1)))];
    for _ in 0..10 {
        let ann = world.phone("ann", |config| {
            config.script = script.clone();
            config.vanish = true;
        });
        let leg = world.connected(ann);
        world.command(Command::RecordCall {
            leg,
            recording: RecordingId::of_call(leg.call),
            channels: 2,
        });
    }
    world.run(s(2));
    assert!(world.phones.iter().all(|phone| phone.has_vanished()));
    assert_eq!(world.engine.counts().legs, 10);
    // 30 s without media, then a BYE that nobody answers for 32 s.
    world.run(s(64));
    assert_eq!(ends(&world), 10);
    assert!(world.events.iter().all(|event| match event {
        Event::Ended { cause, .. } => *cause == Cause::Lost,
        _ => true,
    }));
    let counts = world.engine.counts();
    assert_eq!(
        (counts.legs, counts.sessions, counts.ports_free),
        (0, 0, 20)
    );
    assert!(world.engine.sip_counts().is_idle());
    world.settle();
}

#[test]
fn one_side_of_a_bridge_vanishes() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let bob = world.phone("bob", |config| {
        config.answer_after = Some(s(1));
        config.script = vec![Step::Wait(s(1))];
        config.vanish = true;
    });
    world.register(bob);
    let a = world.connected(ann);
    let b = second(a);
    world.command(user(b, "bob"));
    world.until("Answered", |event| *event == Event::Answered { leg: b });
    world.command(Command::Bridge { a, b });
    world.skip_ladder();
    world.until("end", |event| matches!(event, Event::Ended { .. }));
    world.check(expect![[r#"
        8.060     OneWay A2 in
        33.060  home → bob: BYE
        33.060    Unbridged A2 A1
        33.060    Ended A2 lost by Far
    "#]]);
    world.hang_up(ann);
    world.settle();
}

#[test]
fn a_worker_that_never_answers_is_given_up() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    world.skip_ladder();
    world.deafen();
    world.command(record(leg, 1, &[]));
    world.hang_up(ann);
    world.run(s(40));
    world.check(expect![[r#"
        0.030   > Record A1 1
        0.030   ann → home: BYE
        0.040   home → ann: 200 OK (BYE)
        2.040     Recorded A1 1 Hangup 0 ms
        2.040     Ended A1 normal by Far Q.850 16
    "#]]);
    let counts = world.engine.counts();
    assert_eq!((counts.legs, counts.sessions, counts.timers), (0, 0, 0));
    // A port that may still be in use is not given to another call, until its worker says so.
    assert_eq!((counts.ports_free, counts.ports_total), (9, 10));
    let closed = media::Event::Closed {
        session: vocab::SessionId(1),
        local: "192.0.2.1:10000".parse().unwrap(),
        stats: media::Stats::default(),
    };
    world.inject(0, closed);
    world.settle();
}

#[test]
fn a_session_that_breaks_takes_its_call_along() {
    let mut world = World::new();
    world.show_media = true;
    let ann = world.phone("ann", |_| {});
    let bob = world.phone("bob", |config| config.answer_after = Some(s(1)));
    world.register(bob);
    let a = world.connected(ann);
    let b = second(a);
    world.command(user(b, "bob"));
    world.until("Answered", |event| *event == Event::Answered { leg: b });
    world.command(Command::Bridge { a, b });
    world.command(record(a, 1, &[]));
    world.run(ms(100));
    world.skip_ladder();
    let session = vocab::SessionId(1);
    let local = "192.0.2.1:10000".parse().unwrap();
    world.inject(
        0,
        media::Event::Closed {
            session,
            local,
            stats: media::Stats::default(),
        },
    );
    world.run(ms(100));
    world.check(expect![[r#"
        2.150   home → ann: BYE
        2.150     Recorded A1 1 Hangup 0 ms
        2.150     Unbridged A1 A2
        2.150     Ended A1 failed by Near
        2.160   ann → home: 200 OK (BYE)
    "#]]);
    assert!(!world.phones[ann].is_busy() && world.phones[bob].is_busy());
}

#[test]
fn calls_come_and_go_in_bad_weather() {
    for seed in 1..=10 {
        let mut world = World::with(seed, &[4, 4]);
        world.thread_delay = ms(7);
        world.weather = Weather {
            loss: 0.1,
            repeat: 0.05,
            jitter: ms(30),
        };
        let prompt = speech(seed, s(1));
        let ann = world.scripted(
            "ann",
            vec![
                Step::Quiet { give_up: s(5) },
                Step::Press(Pii::new("1".into())),
                Step::Wait(s(2)),
                Step::Hangup,
            ],
        );
        world.dial(ann, "1000");
        let leg = world.incoming();
        world.command(Command::Answer { leg });
        world.until("answer or end", |event| {
            matches!(event, Event::Answered { .. } | Event::Ended { .. })
        });
        world.command(Command::Gather {
            leg,
            clips: vec![prompt],
            spec: spec(1, 1, true),
        });
        world.run(s(60));
        world.settle();
    }
}

#[test]
fn the_same_seed_gives_the_same_call() {
    let ladder = |seed| {
        let mut world = World::with(seed, &[4]);
        world.weather = Weather {
            loss: 0.2,
            repeat: 0.1,
            jitter: ms(50),
        };
        let ann = world.scripted("ann", vec![Step::Wait(s(2)), Step::Hangup]);
        world.dial(ann, "1000");
        let leg = world.incoming();
        world.command(Command::Answer { leg });
        world.run(s(100));
        world.ladder()
    };
    assert_eq!(ladder(7), ladder(7));
    assert_ne!(ladder(7), ladder(8));
}
