//! The scriptable phone, as `jackfield call` and the simulator use it.

use expect_test::{Expect, expect};
use jackfield_engine::phone::{News, Step};
use sip::Transport;
use vocab::Pii;
use vocab::call::{Command, Event};

use crate::audio::{assert_heard, speech};
use crate::dial::{alone, second, user};
use crate::gather::press;
use crate::world::{World, ms, s};

fn check(world: &World, phone: usize, expected: Expect) {
    let lines = world.phones[phone].ladder().iter();
    let text: String = lines
        .map(|line| format!("{}\n", line.to_string().trim_start()))
        .collect();
    expected.assert_eq(&text);
}

/// What a phone reported, without its ladder.
fn news(world: &World, phone: usize) -> String {
    let mut text = String::new();
    for news in &world.news[phone] {
        match news {
            News::Ladder(_) => {}
            News::Heard { digit } => text += &format!("Heard {}\n", digit.reveal()),
            other => text += &format!("{other:?}\n"),
        }
    }
    text
}

#[test]
fn a_script_is_followed_to_its_end() {
    let mut world = World::new();
    let prompt = speech(1, s(2));
    let ann = world.scripted(
        "ann",
        vec![
            Step::Quiet { give_up: s(30) },
            press("1"),
            Step::Wait(ms(500)),
            Step::Play(speech(2, s(1))),
            Step::Hangup,
        ],
    );
    let leg = world.connected(ann);
    world.run(s(1));
    world.play(leg, &prompt);
    world.run(s(10));
    let said = world.phones[ann].said().to_vec();
    assert_eq!(said.len(), world.heard(ann).len());
    assert_heard(&speech(2, s(1)), &said);
    assert_heard(&prompt, world.heard(ann));
    expect![[r#"
        Answered
        Step { index: 0 }
        Step { index: 1 }
        Step { index: 2 }
        Step { index: 3 }
        Step { index: 4 }
        Ended { cause: Normal, by: Near, status: None }
    "#]]
    .assert_eq(&news(&world, ann));
    check(
        &world,
        ann,
        expect![[r#"
               0.000  ──> INVITE
               0.020  <── 100 Trying (INVITE)
               0.020  <── 200 OK (INVITE)
               0.020  ──> ACK
               5.720  ──> BYE
               5.740  <── 200 OK (BYE)
        "#]],
    );
    world.settle();
}

#[test]
fn it_waits_for_what_is_said_after_a_key_not_before() {
    // The prompt goes on for so long after the key that its end is all a careless ear would hear.
    let mut world = World::new();
    let quiet = Step::Quiet { give_up: s(30) };
    let ann = world.scripted(
        "ann",
        vec![Step::Wait(s(1)), press("1"), quiet, Step::Hangup],
    );
    let leg = world.connected(ann);
    let play = world.play(leg, &speech(1, s(9)));
    world.until("Digit", |event| matches!(event, Event::Digit { .. }));
    world.command(Command::Stop { leg, play });
    world.run(s(3));
    assert!(world.phones[ann].is_busy(), "nothing was said since");
    let answer = speech(2, s(1));
    world.play(leg, &answer);
    world.run(s(4));
    assert!(!world.phones[ann].is_busy());
    assert_heard(&answer, world.heard(ann));
    world.settle();
}

#[test]
fn it_gives_up_waiting() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![Step::Quiet { give_up: s(5) }, Step::Hangup]);
    world.connected(ann);
    let up = world.now.mono;
    world.until("end", |event| matches!(event, Event::Ended { .. }));
    let took = world.now.mono.since(up);
    assert!(took >= s(5) && took < s(6), "{took:?}");
    world.settle();
}

#[test]
fn it_registers_with_its_password() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    world.register(ann);
    expect![[r#"
        Registered { status: Some(200) }
    "#]]
    .assert_eq(&news(&world, ann));
    check(
        &world,
        ann,
        expect![[r#"
               0.000  ──> REGISTER
               0.020  <── 401 Unauthorized (REGISTER)
               0.020  ──> REGISTER
               0.040  <── 200 OK (REGISTER)
        "#]],
    );
    assert_eq!(world.engine.registered("ann"), 1);
}

#[test]
fn a_wrong_password_is_refused() {
    let mut world = World::new();
    let ann = world.phone("ann", |config| {
        config.password = Some(Pii::new("guess".into()))
    });
    let bob = world.phone("bob", |config| config.password = None);
    world.register(ann);
    world.register(bob);
    expect![[r#"
        Registered { status: Some(401) }
        Registered { status: Some(401) }
    "#]]
    .assert_eq(&(news(&world, ann) + &news(&world, bob)));
    assert_eq!(
        world.engine.registered("ann") + world.engine.registered("bob"),
        0
    );
    world.check(expect![[r#"
        0.000   ann → home: REGISTER
        0.010   home → ann: 401 Unauthorized (REGISTER)
        0.020   ann → home: REGISTER
        0.030   home → ann: 401 Unauthorized (REGISTER)
        0.030     AuthFailed ann
        1.000   bob → home: REGISTER
        1.010   home → bob: 401 Unauthorized (REGISTER)
    "#]]);
}

#[test]
fn an_answering_machine() {
    let mut world = World::new();
    let greeting = speech(1, s(2));
    let bob = world.phone("bob", |config| {
        config.answer_after = Some(s(2));
        config.script = vec![Step::Play(greeting.clone()), Step::Wait(s(1)), Step::Hangup];
    });
    world.register(bob);
    let ann = world.phone("ann", |_| {});
    let leg = world.connected(ann);
    let other = second(leg);
    world.command(user(other, "bob"));
    world.until("Answered", |event| *event == Event::Answered { leg: other });
    world.command(Command::Bridge { a: leg, b: other });
    world.until(
        "end",
        |event| matches!(event, Event::Ended { leg, .. } if *leg == other),
    );
    let heard = world.heard_in_all(ann);
    assert_heard(&greeting, &heard);
    expect![[r#"
        Registered { status: Some(200) }
        Ringing
        Answered
        Step { index: 0 }
        Step { index: 1 }
        Step { index: 2 }
        Ended { cause: Normal, by: Near, status: None }
    "#]]
    .assert_eq(&news(&world, bob));
    // It is ready for the next.
    assert!(!world.phones[bob].is_busy());
    world.settle();
}

#[test]
fn it_vanishes_without_a_word() {
    let mut world = World::new();
    let ann = world.phone("ann", |config| {
        config.script = vec![Step::Wait(s(1))];
        config.vanish = true;
    });
    world.connected(ann);
    world.run(s(2));
    assert!(world.phones[ann].has_vanished() && !world.phones[ann].is_busy());
    assert_eq!(world.phones[ann].deadline(), None);
    let before = world.phones[ann].ladder().len();
    world.hang_up(ann);
    world.dial(ann, "1000");
    world.settle();
    assert_eq!(world.phones[ann].ladder().len(), before);
}

#[test]
fn a_second_caller_finds_it_busy() {
    let mut world = World::new();
    let bob = world.phone("bob", |_| {});
    world.register(bob);
    world.connected(bob);
    world.skip_ladder();
    world.command(user(alone(), "bob"));
    world.run(s(1));
    assert!(world.phones[bob].is_busy(), "the first call goes on");
    world.hang_up(bob);
    world.settle();
    world.check(expect![[r#"
        1.030   > Dial B1 bob
        1.030   home → bob: INVITE (application/sdp)
        1.040   bob → home: 100 Trying (INVITE)
        1.040   bob → home: 486 Busy Here (INVITE)
        1.050     Trying B1
        1.050   home → bob: ACK
        1.050     Ended B1 busy by Far 486
        2.030   bob → home: BYE
        2.040   home → bob: 200 OK (BYE)
        2.040     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn a_line_that_rings_is_taken_too() {
    let mut world = World::new();
    let bob = world.phone("bob", |_| {});
    world.register(bob);
    world.skip_ladder();
    for call in [5, 6] {
        let leg = vocab::LegId {
            call: vocab::CallId(call),
            n: 1,
        };
        world.command(user(leg, "bob"));
        world.run(s(1));
    }
    world.settle();
    world.check(expect![[r#"
        1.000   > Dial A1 bob
        1.000   home → bob: INVITE (application/sdp)
        1.010   bob → home: 100 Trying (INVITE)
        1.010   bob → home: 180 Ringing (INVITE)
        1.020     Trying A1
        1.020     Ringing A1
        2.000   > Dial B1 bob
        2.000   home → bob: INVITE (application/sdp)
        2.010   bob → home: 100 Trying (INVITE)
        2.010   bob → home: 486 Busy Here (INVITE)
        2.020     Trying B1
        2.020   home → bob: ACK
        2.020     Ended B1 busy by Far 486
        21.000  home → bob: CANCEL
        21.000    Ended A1 no_answer by Near 408
        21.010  bob → home: 200 OK (CANCEL)
        21.010  bob → home: 487 Request Terminated (INVITE)
        21.020  home → bob: ACK
    "#]]);
}

#[test]
fn over_a_stream_it_is_the_same() {
    let mut world = World::new();
    let ann = world.phone("ann", |config| {
        config.transport = Transport::Tcp;
        config.script = vec![Step::Wait(s(1)), Step::Hangup];
    });
    world.register(ann);
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.command(Command::Ring { leg });
    world.answer(leg);
    world.settle();
    check(
        &world,
        ann,
        expect![[r#"
               0.000  ──> REGISTER
               0.020  <── 401 Unauthorized (REGISTER)
               0.020  ──> REGISTER
               0.040  <── 200 OK (REGISTER)
               0.000  ──> INVITE
               0.020  <── 100 Trying (INVITE)
               0.020  <── 180 Ringing (INVITE)
               0.020  <── 200 OK (INVITE)
               0.020  ──> ACK
               1.020  ──> BYE
               1.040  <── 200 OK (BYE)
        "#]],
    );
}

#[test]
fn times_count_from_the_call_they_belong_to() {
    let mut world = World::new();
    let ann = world.scripted("ann", vec![Step::Hangup]);
    world.run(s(5));
    world.connected(ann);
    world.run(s(5));
    world.connected(ann);
    world.settle();
    check(
        &world,
        ann,
        expect![[r#"
               0.000  ──> INVITE
               0.020  <── 100 Trying (INVITE)
               0.020  <── 200 OK (INVITE)
               0.020  ──> ACK
               0.020  ──> BYE
               0.040  <── 200 OK (BYE)
               0.000  ──> INVITE
               0.020  <── 100 Trying (INVITE)
               0.020  <── 200 OK (INVITE)
               0.020  ──> ACK
               0.020  ──> BYE
               0.040  <── 200 OK (BYE)
        "#]],
    );
}

#[test]
fn a_phone_nobody_picks_up_does_not_ring_for_ever() {
    let mut world = World::new();
    let bob = world.phone("bob", |_| {});
    world.register(bob);
    let leg = alone();
    let Command::Dial { target, caller, .. } = user(leg, "bob") else {
        unreachable!()
    };
    let timeout = s(300);
    world.command(Command::Dial {
        leg,
        target,
        caller,
        timeout,
        sent_by: None,
    });
    world.run(s(170));
    let end = world.until("end", |event| matches!(event, Event::Ended { .. }));
    assert!(matches!(
        end,
        Event::Ended {
            status: Some(480),
            ..
        }
    ));
    expect![[r#"
        Registered { status: Some(200) }
        Ringing
        Ended { cause: NoAnswer, by: Near, status: Some(480) }
    "#]]
    .assert_eq(&news(&world, bob));
    assert!(!world.phones[bob].is_busy());
}
