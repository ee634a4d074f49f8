//! All legs of a call that have joined talk with each other.

use expect_test::expect;
use jackfield_engine::phone::Step;
use vocab::LegId;
use vocab::call::{Cause, Command, Event};

use crate::audio::{assert_heard, assert_not_heard, speech};
use crate::dial::user;
use crate::gather::{press, spec};
use crate::world::{World, ms, s};

fn leg(of: LegId, n: u16) -> LegId {
    LegId { n, ..of }
}

/// Ann has called, and bob and carol were dialled for her: legs 1, 2 and 3, all answered.
fn three(scripts: [Vec<Step>; 3]) -> (World, LegId) {
    let mut world = World::new();
    let mut scripts = scripts.into_iter();
    let mut phone = |user: &str| {
        let script = scripts.next().expect("three");
        world.phone(user, |config| {
            config.answer_after = Some(ms(500));
            config.script = script;
        })
    };
    let (ann, bob, carol) = (phone("ann"), phone("bob"), phone("carol"));
    world.register(bob);
    world.register(carol);
    let first = world.connected(ann);
    for (n, name) in [(2, "bob"), (3, "carol")] {
        world.command(user(leg(first, n), name));
        let up = Event::Answered { leg: leg(first, n) };
        world.until("Answered", |event| *event == up);
    }
    world.skip_ladder();
    (world, first)
}

fn join(world: &mut World, leg: LegId) {
    world.command(Command::Join { leg });
}

#[test]
fn three_people_talk_and_one_after_the_other_goes() {
    let said = [1, 2, 3].map(|seed| speech(seed, s(2)));
    let scripts = [0, 1, 2].map(|n| {
        // Ann is up a second and a half before carol.
        let wait = s(4) + 3 * s(n as u64);
        vec![Step::Wait(wait), Step::Play(said[n].clone())]
    });
    let (mut world, ann) = three(scripts);
    world.show_media = true;
    for n in 1..=3 {
        join(&mut world, leg(ann, n));
    }
    world.run(s(16));
    world.hang_up(1);
    world.run(ms(100));
    world.command(Command::Hangup {
        leg: leg(ann, 3),
        cause: Cause::Normal,
    });
    world.run(ms(100));
    world.command(Command::Unbridge { leg: ann });
    world.command(Command::Unbridge { leg: ann });
    world.hang_up(0);
    world.settle();
    for (n, clip) in said.iter().enumerate() {
        for phone in 0..3 {
            if phone == n {
                assert_not_heard(clip, world.heard(phone));
            } else {
                assert_heard(clip, world.heard(phone));
            }
        }
    }
    world.check(expect![[r#"
        3.070   > Join A1
        3.070       media 1 Join 1
        3.070     Joined A1
        3.070   > Join A2
        3.070       media 2 Join 1
        3.070     Joined A2
        3.070   > Join A3
        3.070       media 3 Join 1
        3.070     Joined A3
        6.160     Talking A1
        6.160     Speaker A1
        8.580     Quiet A1
        9.700     Talking A2
        9.700     Speaker A2
        12.120    Quiet A2
        13.220    Talking A3
        13.220    Speaker A3
        15.640    Quiet A3
        19.070  bob → home: BYE
        19.080  home → bob: 200 OK (BYE)
        19.080      media 2 Unbridge
        19.080      media 2 Close
        19.080    Left A2
        19.080    Ended A2 normal by Far Q.850 16
        19.170  > Hangup A3 normal
        19.170      media 3 Unbridge
        19.170      media 3 Close
        19.170  home → carol: BYE
        19.170    Left A3
        19.170    Ended A3 normal by Near
        19.180  carol → home: 200 OK (BYE)
        19.270  > Unbridge A1
        19.270      media 1 Unbridge
        19.270    Left A1
        19.270  > Unbridge A1
        19.270  ann → home: BYE
        19.280  home → ann: 200 OK (BYE)
        19.280      media 1 Close
        19.280    Ended A1 normal by Far Q.850 16
    "#]]);
}

#[test]
fn a_bridge_becomes_a_conference_and_a_bridge_again() {
    let (mut world, ann) = three([vec![], vec![], vec![]]);
    let (bob, carol) = (leg(ann, 2), leg(ann, 3));
    world.show_media = true;
    world.command(Command::Bridge { a: ann, b: bob });
    for n in 1..=3 {
        join(&mut world, leg(ann, n));
    }
    // It has joined already.
    join(&mut world, bob);
    world.run(ms(100));
    world.command(Command::Bridge { a: bob, b: carol });
    join(&mut world, carol);
    world.run(ms(100));
    for phone in 0..3 {
        world.hang_up(phone);
    }
    world.settle();
    world.check(expect![[r#"
        3.070   > Bridge A1 A2
        3.070       media 1 Bridge 2
        3.070     Bridged A1 A2
        3.070   > Join A1
        3.070       media 1 Unbridge
        3.070       media 1 Join 1
        3.070     Unbridged A1 A2
        3.070     Joined A1
        3.070   > Join A2
        3.070       media 2 Join 1
        3.070     Joined A2
        3.070   > Join A3
        3.070       media 3 Join 1
        3.070     Joined A3
        3.070   > Join A2
        3.070     Joined A2
        3.170   > Bridge A2 A3
        3.170       media 2 Unbridge
        3.170       media 3 Unbridge
        3.170       media 2 Bridge 3
        3.170     Left A2
        3.170     Left A3
        3.170     Bridged A2 A3
        3.170   > Join A3
        3.170       media 3 Unbridge
        3.170       media 3 Join 1
        3.170     Unbridged A3 A2
        3.170     Joined A3
        3.270   ann → home: BYE
        3.270   bob → home: BYE
        3.270   carol → home: BYE
        3.280   home → ann: 200 OK (BYE)
        3.280       media 1 Unbridge
        3.280       media 1 Close
        3.280     Left A1
        3.280   home → bob: 200 OK (BYE)
        3.280       media 2 Close
        3.280   home → carol: 200 OK (BYE)
        3.280       media 3 Unbridge
        3.280       media 3 Close
        3.280     Left A3
        3.280     Ended A1 normal by Far Q.850 16
        3.280     Ended A2 normal by Far Q.850 16
        3.280     Ended A3 normal by Far Q.850 16
    "#]]);
}

#[test]
fn what_a_leg_does_ends_at_the_door_and_goes_on_inside() {
    let clip = speech(9, s(2));
    let keys = vec![Step::Wait(s(4)), press("7"), Step::Wait(s(1)), press("8")];
    let (mut world, ann) = three([keys, vec![], vec![]]);
    let bob = leg(ann, 2);
    let gather = |leg| Command::Gather {
        leg,
        clips: Vec::new(),
        spec: spec(1, 1, true),
    };
    world.command(gather(ann));
    world.play(bob, &clip);
    join(&mut world, ann);
    join(&mut world, bob);
    world.run(ms(100));
    // Prompts are heard by their leg alone, and keys are for who asked.
    world.play(bob, &clip);
    world.command(gather(ann));
    world.run(s(8));
    for phone in 0..3 {
        world.hang_up(phone);
    }
    world.settle();
    assert_heard(&clip, world.heard(1));
    assert_not_heard(&clip, world.heard(0));
    world.check(expect![[r#"
        3.070   > Gather A1
        3.070   > Play A2 1
        3.070   > Join A1
        3.070     Gathered A1 "" Hangup
        3.070     Joined A1
        3.070   > Join A2
        3.070     Joined A2
        3.070     Played A2 1 stopped
        3.170   > Play A2 2
        3.170   > Gather A1
        5.160     Played A2 2 finished
        6.050     Gathered A1 "7" Complete
        7.270     Digit A1 8
        11.170  ann → home: BYE
        11.170  bob → home: BYE
        11.170  carol → home: BYE
        11.180  home → ann: 200 OK (BYE)
        11.180    Left A1
        11.180  home → bob: 200 OK (BYE)
        11.180    Left A2
        11.180  home → carol: 200 OK (BYE)
        11.180    Ended A1 normal by Far Q.850 16
        11.180    Ended A2 normal by Far Q.850 16
        11.180    Ended A3 normal by Far Q.850 16
    "#]]);
}

#[test]
fn who_is_not_there_cannot_join() {
    let mut world = World::new();
    let ann = world.phone("ann", |_| {});
    let bob = world.phone("bob", |_| {});
    world.register(bob);
    world.dial(ann, "1000");
    let first = world.incoming();
    world.skip_ladder();
    join(&mut world, first);
    world.answer(first);
    world.command(user(leg(first, 2), "bob"));
    world.run(s(1));
    join(&mut world, leg(first, 2));
    join(&mut world, first);
    world.hang_up(ann);
    // It is ending, and then it is over.
    world.until("Left", |event| *event == Event::Left { leg: first });
    join(&mut world, first);
    world.run(ms(100));
    join(&mut world, first);
    world.command(Command::Hangup {
        leg: leg(first, 2),
        cause: Cause::Normal,
    });
    world.settle();
    world.check(expect![[r#"
        1.010   > Join A1
        1.010     Left A1
        1.010   > Answer A1
        1.010   home → ann: 200 OK (INVITE, application/sdp)
        1.020   ann → home: ACK
        1.030     Answered A1
        1.030   > Dial A2 bob
        1.030   home → bob: INVITE (application/sdp)
        1.040   bob → home: 100 Trying (INVITE)
        1.040   bob → home: 180 Ringing (INVITE)
        1.050     Trying A2
        1.050     Ringing A2
        2.030   > Join A2
        2.030     Left A2
        2.030   > Join A1
        2.030     Joined A1
        2.030   ann → home: BYE
        2.040   home → ann: 200 OK (BYE)
        2.040     Left A1
        2.040   > Join A1
        2.040     Left A1
        2.040     Ended A1 normal by Far Q.850 16
        2.140   > Join A1
        2.140   > Hangup A2 normal
        2.140   home → bob: CANCEL
        2.140     Ended A2 normal by Near
        2.150   bob → home: 200 OK (CANCEL)
        2.150   bob → home: 487 Request Terminated (INVITE)
        2.160   home → bob: ACK
    "#]]);
}

/// Media and reports of a leg of a conference that goes on as `to`.
fn moves(to: impl Fn(LegId) -> LegId, expected: expect_test::Expect) {
    let (mut world, ann) = three([vec![], vec![], vec![]]);
    for n in 1..=3 {
        join(&mut world, leg(ann, n));
    }
    world.run(ms(100));
    world.skip_ladder();
    world.show_media = true;
    let from = leg(ann, 2);
    let to = to(ann);
    world.command(Command::Move {
        from,
        to,
        with: None,
    });
    world.run(ms(100));
    for phone in 0..3 {
        world.hang_up(phone);
    }
    world.settle();
    world.check(expected);
}

#[test]
fn who_moves_leaves_the_conference_first() {
    let elsewhere = |ann: LegId| LegId {
        call: vocab::CallId(ann.call.0 + 1),
        n: 1,
    };
    moves(
        elsewhere,
        expect![[r#"
        3.170   > Move A2 to B1
        3.170       media 2 Unbridge
        3.170     Left A2
        3.170     Moved A2 to B1
        3.170     Ended A2 transferred by Near
        3.270   ann → home: BYE
        3.270   bob → home: BYE
        3.270   carol → home: BYE
        3.280   home → ann: 200 OK (BYE)
        3.280       media 1 Unbridge
        3.280       media 1 Close
        3.280     Left A1
        3.280   home → bob: 200 OK (BYE)
        3.280       media 2 Close
        3.280   home → carol: 200 OK (BYE)
        3.280       media 3 Unbridge
        3.280       media 3 Close
        3.280     Left A3
        3.280     Ended A1 normal by Far Q.850 16
        3.280     Ended B1 normal by Far Q.850 16
        3.280     Ended A3 normal by Far Q.850 16
    "#]],
    );
    // Under another name in the same call, too: whoever wants it in joins it again.
    moves(
        |ann| leg(ann, 9),
        expect![[r#"
        3.170   > Move A2 to A9
        3.170       media 2 Unbridge
        3.170     Left A2
        3.170     Moved A2 to A9
        3.170     Ended A2 transferred by Near
        3.270   ann → home: BYE
        3.270   bob → home: BYE
        3.270   carol → home: BYE
        3.280   home → ann: 200 OK (BYE)
        3.280       media 1 Unbridge
        3.280       media 1 Close
        3.280     Left A1
        3.280   home → bob: 200 OK (BYE)
        3.280       media 2 Close
        3.280   home → carol: 200 OK (BYE)
        3.280       media 3 Unbridge
        3.280       media 3 Close
        3.280     Left A3
        3.280     Ended A1 normal by Far Q.850 16
        3.280     Ended A9 normal by Far Q.850 16
        3.280     Ended A3 normal by Far Q.850 16
    "#]],
    );
    // In the place of another member it is in, once.
    moves(
        |ann| leg(ann, 3),
        expect![[r#"
        3.170   > Move A2 to A3
        3.170       media 2 Unbridge
        3.170       media 3 Unbridge
        3.170       media 2 Join 1
        3.170       media 3 Close
        3.170   home → carol: BYE
        3.170     Left A2
        3.170     Moved A2 to A3
        3.170     Ended A2 transferred by Near
        3.180   carol → home: 200 OK (BYE)
        3.270   ann → home: BYE
        3.270   bob → home: BYE
        3.280   home → ann: 200 OK (BYE)
        3.280       media 1 Unbridge
        3.280       media 1 Close
        3.280     Left A1
        3.280   home → bob: 200 OK (BYE)
        3.280       media 2 Unbridge
        3.280       media 2 Close
        3.280     Left A3
        3.280     Ended A1 normal by Far Q.850 16
        3.280     Ended A3 normal by Far Q.850 16
    "#]],
    );
}
