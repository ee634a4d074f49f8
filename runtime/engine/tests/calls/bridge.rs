//! Two legs that hear each other.

use expect_test::expect;
use jackfield_engine::phone::Step;
use media::{Capabilities, Codec};
use vocab::LegId;
use vocab::call::{Cause, Command, Event};

use crate::audio::{assert_heard, speech};
use crate::dial::{second, user};
use crate::gather::press;
use crate::world::{World, ms, s};

/// Ann is connected to bob by way of the engine.
fn bridged(ann_codec: Codec, ann: Vec<Step>, bob: Vec<Step>) -> (World, LegId) {
    let mut world = World::new();
    let ann = world.phone("ann", |config| {
        config.capabilities = Capabilities {
            codecs: vec![ann_codec],
            dtmf: true,
            ..Capabilities::default()
        };
        config.script = ann;
    });
    let bob = world.phone("bob", |config| {
        config.answer_after = Some(s(1));
        config.script = bob;
    });
    world.register(bob);
    let leg = world.connected(ann);
    world.command(user(second(leg), "bob"));
    world.until(
        "Answered",
        |event| matches!(event, Event::Answered { leg } if leg.n == 2),
    );
    world.skip_ladder();
    world.command(Command::Bridge {
        a: leg,
        b: second(leg),
    });
    (world, leg)
}

#[test]
fn two_people_hear_each_other() {
    let (question, answer) = (speech(1, s(2)), speech(2, s(2)));
    // With the same law packets go through, with different ones they are decoded.
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let (mut world, leg) = bridged(
            codec,
            vec![Step::Wait(s(2)), Step::Play(question.clone())],
            vec![Step::Wait(s(4)), Step::Play(answer.clone())],
        );
        world.run(s(8));
        world.command(Command::Hangup {
            leg,
            cause: Cause::Normal,
        });
        world.run(ms(100));
        world.hang_up(1);
        world.settle();
        assert_heard(&answer, world.heard(0));
        assert_heard(&question, world.heard(1));
    }
}

#[test]
fn keys_reach_us_and_the_other_side() {
    let (mut world, _) = bridged(Codec::Pcmu, vec![Step::Wait(s(3)), press("7")], vec![]);
    world.run(s(5));
    world.hang_up(0);
    world.run(s(1));
    world.hang_up(1);
    world.settle();
    let heard = |news: &&jackfield_engine::phone::News| {
        matches!(news, jackfield_engine::phone::News::Heard { .. })
    };
    assert_eq!(world.news[1].iter().filter(heard).count(), 1);
    world.check(expect![[r#"
        2.050   > Bridge A1 A2
        2.050     Bridged A1 A2
        4.030     Digit A1 7
        7.050   ann → home: BYE
        7.060   home → ann: 200 OK (BYE)
        7.060     Unbridged A1 A2
        7.060     Ended A1 normal by Far Q.850 16
        8.050   bob → home: BYE
        8.060   home → bob: 200 OK (BYE)
        8.060     Ended A2 normal by Far Q.850 16
    "#]]);
}

#[test]
fn one_side_hangs_up_and_the_other_stays() {
    let (mut world, _) = bridged(Codec::Pcmu, vec![Step::Wait(s(2)), Step::Hangup], vec![]);
    world.show_media = true;
    world.run(s(5));
    assert!(world.phones[1].is_busy());
    world.check(expect![[r#"
        2.050   > Bridge A1 A2
        2.050     Bridged A1 A2
        3.020   ann → home: BYE
        3.030   home → ann: 200 OK (BYE)
        3.030       media 1 Unbridge
        3.030       media 1 Close
        3.030     Unbridged A1 A2
        3.030     Ended A1 normal by Far Q.850 16
    "#]]);
    world.hang_up(1);
    world.settle();
}

#[test]
fn a_bridge_is_taken_apart_and_made_again() {
    let (mut world, leg) = bridged(Codec::Pcmu, vec![], vec![]);
    let other = second(leg);
    world.run(ms(100));
    // It stands already.
    world.command(Command::Bridge { a: other, b: leg });
    world.command(Command::Unbridge { leg: other });
    world.command(Command::Unbridge { leg });
    let clip = speech(3, s(1));
    world.play(leg, &clip);
    world.run(s(2));
    world.command(Command::Bridge { a: leg, b: other });
    world.run(s(1));
    // A leg that is bridged is not bridged to anybody else, nor to itself.
    world.command(Command::Bridge { a: leg, b: leg });
    world.hang_up(1);
    world.run(s(1));
    world.command(Command::Bridge { a: leg, b: other });
    world.hang_up(0);
    world.settle();
    assert_heard(&clip, world.heard(0));
    world.check(expect![[r#"
        2.050   > Bridge A1 A2
        2.050     Bridged A1 A2
        2.150   > Bridge A2 A1
        2.150     Bridged A2 A1
        2.150   > Unbridge A2
        2.150     Unbridged A2 A1
        2.150   > Unbridge A1
        2.150   > Play A1 1
        3.140     Played A1 1 finished
        4.150   > Bridge A1 A2
        4.150     Bridged A1 A2
        5.150   > Bridge A1 A1
        5.150     Unbridged A1 A1
        5.150   bob → home: BYE
        5.160   home → bob: 200 OK (BYE)
        5.160     Unbridged A2 A1
        5.160     Ended A2 normal by Far Q.850 16
        6.150   > Bridge A1 A2
        6.150   ann → home: BYE
        6.160   home → ann: 200 OK (BYE)
        6.160     Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn all_legs_of_a_call_are_on_one_worker() {
    // Dialled before the caller is answered, while the other worker has more ports free.
    let mut world = World::with(1, &[3, 3]);
    world.show_media = true;
    let ann = world.phone("ann", |_| {});
    let bob = world.phone("bob", |config| config.answer_after = Some(s(1)));
    world.register(bob);
    world.dial(ann, "1000");
    let leg = world.incoming();
    world.skip_ladder();
    world.command(user(second(leg), "bob"));
    world.until(
        "Answered",
        |event| matches!(event, Event::Answered { leg } if leg.n == 2),
    );
    world.answer(leg);
    world.command(Command::Bridge {
        a: leg,
        b: second(leg),
    });
    world.run(ms(100));
    world.check(expect![[r#"
        1.010   > Dial A2 bob
        1.010       media 1 Open 192.0.2.1:10000
        1.010   home → bob: INVITE (application/sdp)
        1.020   bob → home: 100 Trying (INVITE)
        1.020   bob → home: 180 Ringing (INVITE)
        1.030     Trying A2
        1.030     Ringing A2
        2.020   bob → home: 200 OK (INVITE, application/sdp)
        2.030   home → bob: ACK
        2.030       media 1 Configure Pcmu both ways
        2.030     Answered A2
        2.030   > Answer A1
        2.030       media 2 Open 192.0.2.1:10002
        2.030       media 2 Configure Pcmu both ways
        2.030   home → ann: 200 OK (INVITE, application/sdp)
        2.040   ann → home: ACK
        2.050     Answered A1
        2.050   > Bridge A1 A2
        2.050       media 2 Bridge 1
        2.050     Bridged A1 A2
    "#]]);
    world.hang_up(ann);
    world.hang_up(bob);
    world.settle();
}
