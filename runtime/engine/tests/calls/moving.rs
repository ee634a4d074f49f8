//! Legs that go on under another name.

use expect_test::expect;
use vocab::call::{Cause, Command, Event, GatherSpec};
use vocab::{CallId, LegId, PlayId, RecordingId};

use crate::audio::speech;
use crate::dial::{hop, second};
use crate::far::{Far, sdp};
use crate::gather::record;
use crate::world::{World, ms, s};

/// A far end of this name whose call is up.
fn caller(world: &mut World, name: &str, at: &str) -> (Far, LegId) {
    let mut far = Far::at(world, name, at);
    far.send(world, "INVITE", &sdp(1, "0", "sendrecv"));
    let leg = world.incoming();
    world.answer_by_hand(leg, &mut far);
    (far, leg)
}

/// A far end that we call as the second leg of a call, bridged with the first.
fn called(world: &mut World, first: LegId, name: &str, at: &str) -> (Far, LegId) {
    let far = Far::at(world, name, at);
    let leg = second(first);
    world.command(hop(leg, &format!("sip:1@{}", far.at.ip()), at));
    world.run(ms(50));
    far.reply(world, "INVITE", "200 OK", &sdp(1, "0", "sendrecv"));
    world.until("Answered", |event| *event == Event::Answered { leg });
    world.command(Command::Bridge { a: first, b: leg });
    world.run(ms(50));
    (far, leg)
}

const ANN: &str = "192.0.2.50:5060";
const BOB: &str = "192.0.2.60:5060";
const CAROL: &str = "192.0.2.70:5060";

fn new(leg: LegId) -> LegId {
    LegId {
        call: leg.call,
        n: 7,
    }
}

fn bye(world: &mut World, far: &mut Far) {
    far.next();
    far.send(world, "BYE", "");
    world.run(ms(50));
}

/// Hangs up on a far end that we called.
fn leave(world: &mut World, far: &Far, leg: LegId) {
    let cause = Cause::Normal;
    world.command(Command::Hangup { leg, cause });
    world.run(ms(50));
    far.reply(world, "BYE", "200 OK", "");
    world.run(ms(50));
}

#[test]
fn a_leg_goes_on_in_another_call() {
    let mut world = World::new();
    let (mut ann, leg) = caller(&mut world, "ann", ANN);
    let to = LegId {
        call: CallId(5),
        n: 1,
    };
    world.show_media = true;
    world.skip_ladder();
    world.command(Command::RecordCall {
        leg,
        recording: RecordingId::of_call(leg.call),
        channels: 2,
    });
    world.play(leg, &speech(1, s(5)));
    world.command(record(leg, 1, &[]));
    world.run(s(1));
    world.command(Command::Move {
        from: leg,
        to,
        with: None,
    });
    world.command(Command::Play {
        leg,
        play: PlayId(9),
        clips: Vec::new(),
        repeat: false,
    });
    world.run(s(1));
    world.play(to, &speech(2, ms(100)));
    world.run(s(1));
    bye(&mut world, &mut ann);
    world.settle();
    world.check(expect![[r#"
        0.120   > RecordCall A1
        0.120       media 1 RecordCall
        0.120   > Play A1 1
        0.120       media 1 Play
        0.120   > Record A1 1
        0.120       media 1 RecordMessage 1
        1.120   > Move A1 to B1
        1.120       media 1 StopRecording 1 Terminator
        1.120       media 1 Stop
        1.120       media 1 EndRecording moved
        1.120     Moved A1 to B1
        1.120   > Play A1 9
        1.120     Played A1 9 stopped
        1.120     Recorded A1 1 Terminator 1000 ms
        1.120     Played A1 1 stopped
        1.120     Ended A1 transferred by Near
        2.120   > Play B1 2
        2.120       media 1 Play
        2.220     Played B1 2 finished
        3.120   ann → home: BYE
        3.130   home → ann: 200 OK (BYE)
        3.130       media 1 Close
        3.130     Ended B1 normal by Far
    "#]]);
}

#[test]
fn a_leg_takes_the_place_of_another_in_its_bridge() {
    let mut world = World::new();
    let (mut ann, first) = caller(&mut world, "ann", ANN);
    let (bob, b) = called(&mut world, first, "bob", BOB);
    let (mut carol, c) = caller(&mut world, "carol", CAROL);
    let recording = RecordingId::of_call(b.call);
    world.command(Command::RecordCall {
        leg: b,
        recording,
        channels: 2,
    });
    world.run(s(1));
    world.show_media = true;
    world.skip_ladder();
    world.command(Command::Move {
        from: c,
        to: b,
        with: None,
    });
    world.run(ms(50));
    bob.reply(&mut world, "BYE", "200 OK", "");
    world.run(s(1));
    world.check(expect![[r#"
        1.350   > Move B1 to A2
        1.350       media 2 EndRecording moved
        1.350       media 2 Unbridge
        1.350       media 3 Bridge 1
        1.350       media 2 Close
        1.350   home → bob: BYE
        1.350     Moved B1 to A2
        1.350     Ended B1 transferred by Near
        1.400   bob → home: 200 OK (BYE)
    "#]]);
    bye(&mut world, &mut carol);
    bye(&mut world, &mut ann);
    world.settle();
    // What bob said, and nothing of carol: she begins another one, if she is recorded.
    let frames = world.recordings[&recording].len() / 2;
    assert!((8_000..8_640).contains(&frames), "{frames}");
}

#[test]
fn a_leg_that_rings_is_taken_over_by_one_that_is_up() {
    let mut world = World::new();
    let (mut ann, first) = caller(&mut world, "ann", ANN);
    let bob = Far::at(&mut world, "bob", BOB);
    let b = second(first);
    world.command(hop(b, "sip:1@192.0.2.60", BOB));
    world.run(ms(50));
    bob.reply(&mut world, "INVITE", "180 Ringing", "");
    let (mut carol, c) = caller(&mut world, "carol", CAROL);
    world.skip_ladder();
    world.command(Command::Move {
        from: c,
        to: b,
        with: None,
    });
    world.command(Command::Bridge { a: first, b });
    world.run(ms(50));
    bob.reply(&mut world, "CANCEL", "200 OK", "");
    bob.again(&mut world, "200 OK", "");
    world.run(ms(50));
    world.check(expect![[r#"
        0.290   > Move B1 to A2
        0.290   home → bob: CANCEL
        0.290     Moved B1 to A2
        0.290     Answered A2
        0.290   > Bridge A1 A2
        0.290     Bridged A1 A2
        0.290     Ended B1 transferred by Near
        0.340   bob → home: 200 OK (CANCEL)
        0.340   bob → home: 200 OK (CANCEL)
    "#]]);
    bye(&mut world, &mut carol);
    bye(&mut world, &mut ann);
    world.run(s(40));
    world.settle();
}

#[test]
fn a_caller_who_waits_is_replaced() {
    let mut world = World::new();
    let (mut ann, first) = caller(&mut world, "ann", ANN);
    let mut bob = Far::at(&mut world, "bob", BOB);
    bob.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
    let b = world.incoming();
    world.skip_ladder();
    world.command(Command::Move {
        from: first,
        to: b,
        with: None,
    });
    world.run(ms(50));
    assert_eq!(bob.answer(&mut world).0, 603);
    bob.give_in(&mut world);
    world.run(ms(50));
    world.check(expect![[r#"
        0.130   > Move A1 to B1
        0.130   home → bob: 603 Decline (INVITE)
        0.130     Moved A1 to B1
        0.130     Answered B1
        0.130     Ended A1 transferred by Near
        0.180   bob → home: ACK
    "#]]);
    bye(&mut world, &mut ann);
    world.settle();
}

#[test]
fn who_cannot_move_stays() {
    let mut world = World::new();
    let (mut ann, first) = caller(&mut world, "ann", ANN);
    let b = second(first);
    let bob = Far::at(&mut world, "bob", BOB);
    world.command(hop(b, "sip:1@192.0.2.60", BOB));
    world.skip_ladder();
    world.command(Command::Move {
        from: first,
        to: first,
        with: None,
    });
    // Nobody has answered it.
    world.command(Command::Move {
        from: b,
        to: new(b),
        with: None,
    });
    world.run(ms(50));
    world.check(expect![[r#"
        0.120   > Move A1 to A1
        0.120     Moved A1 to A1
        0.120   > Move A2 to A7
        0.120     Moved A2 to A2
    "#]]);
    bob.reply(&mut world, "INVITE", "486 Busy Here", "");
    bye(&mut world, &mut ann);
    world.settle();
}

/// Two calls on two workers: ann and bob on the first, carol on the second.
fn apart() -> (World, [(Far, LegId); 3]) {
    let mut world = World::with(1, &[5, 4]);
    let (ann, first) = caller(&mut world, "ann", ANN);
    let (bob, b) = called(&mut world, first, "bob", BOB);
    let (carol, c) = caller(&mut world, "carol", CAROL);
    world.show_media = true;
    world.skip_ladder();
    (world, [(ann, first), (bob, b), (carol, c)])
}

#[test]
fn a_leg_on_another_worker_is_sent_to_the_right_one_first() {
    let (mut world, [(mut ann, _), (bob, b), (mut carol, c)]) = apart();
    world.command(Command::Move {
        from: c,
        to: b,
        with: None,
    });
    world.run(ms(50));
    carol.reply(&mut world, "INVITE", "200 OK", &sdp(2, "0", "sendrecv"));
    world.run(ms(50));
    bob.reply(&mut world, "BYE", "200 OK", "");
    world.run(ms(50));
    world.check(expect![[r#"
        0.350   > Move B1 to A2
        0.350       media 4 Open 192.0.2.1:10004
        0.350   home → carol: INVITE (application/sdp)
        0.400   carol → home: 200 OK (INVITE, application/sdp)
        0.410   home → carol: ACK
        0.410       media 4 Configure Pcmu both ways
        0.410       media 3 Close
        0.410       media 2 Unbridge
        0.410       media 4 Bridge 1
        0.410       media 2 Close
        0.410   home → bob: BYE
        0.410     Moved B1 to A2
        0.410     Ended B1 transferred by Near
        0.450   bob → home: 200 OK (BYE)
    "#]]);
    bye(&mut world, &mut carol);
    bye(&mut world, &mut ann);
    world.settle();
}

#[test]
fn a_leg_whose_far_end_does_not_want_to_travel_stays_as_it_was() {
    for answer in ["488 Not Acceptable Here", "200 OK"] {
        let (mut world, [(mut ann, _), (bob, b), (mut carol, c)]) = apart();
        world.command(Command::Move {
            from: c,
            to: b,
            with: None,
        });
        world.run(ms(50));
        // A 200 with what cannot be used is as good as a refusal.
        carol.reply(&mut world, "INVITE", answer, "");
        world.run(ms(50));
        let ladder = world.ladder();
        assert!(ladder.contains("Moved B1 to B1"), "{ladder}");
        assert!(!ladder.contains("Unbridged"), "{ladder}");
        leave(&mut world, &bob, b);
        for far in [&mut carol, &mut ann] {
            bye(&mut world, far);
        }
        world.settle();
    }
}

#[test]
fn somebody_leaves_while_a_leg_is_on_its_way() {
    // The one whose place it was to take: the leg stays, with the session that it has now.
    let (mut world, [(mut ann, _), (bob, b), (mut carol, c)]) = apart();
    world.command(Command::Move {
        from: c,
        to: b,
        with: None,
    });
    world.command(Command::Move {
        from: c,
        to: new(b),
        with: None,
    });
    world.run(ms(50));
    leave(&mut world, &bob, b);
    carol.reply(&mut world, "INVITE", "200 OK", &sdp(2, "0", "sendrecv"));
    world.run(ms(50));
    world.check(expect![[r#"
        0.350   > Move B1 to A2
        0.350       media 4 Open 192.0.2.1:10004
        0.350   home → carol: INVITE (application/sdp)
        0.350   > Move B1 to A7
        0.400   > Hangup A2 normal
        0.400       media 2 Unbridge
        0.400       media 2 Close
        0.400   home → bob: BYE
        0.400     Unbridged A2 A1
        0.400     Ended A2 normal by Near
        0.450   bob → home: 200 OK (BYE)
        0.500   carol → home: 200 OK (INVITE, application/sdp)
        0.510   home → carol: ACK
        0.510       media 4 Close
        0.510   home → carol: INVITE (application/sdp)
    "#]]);
    bye(&mut world, &mut carol);
    bye(&mut world, &mut ann);
    world.settle();
    // The leg itself.
    let (mut world, [(mut ann, _), (bob, b), (mut carol, c)]) = apart();
    world.command(Command::Move {
        from: c,
        to: b,
        with: None,
    });
    world.run(ms(50));
    bye(&mut world, &mut carol);
    world.check(expect![[r#"
        0.350   > Move B1 to A2
        0.350       media 4 Open 192.0.2.1:10004
        0.350   home → carol: INVITE (application/sdp)
        0.400   carol → home: BYE
        0.410   home → carol: 200 OK (BYE)
        0.410       media 4 Close
        0.410       media 3 Close
        0.410     Moved B1 to B1
        0.410     Ended B1 normal by Far
    "#]]);
    leave(&mut world, &bob, b);
    bye(&mut world, &mut ann);
    world.settle();
}

/// Carol, who talks with Dave, is to go over to Ann and Bob, who leave meanwhile.
fn nobody_is_left() -> (World, [(Far, LegId); 2]) {
    let (mut world, [(mut ann, _), (bob, b), (carol, c)]) = apart();
    let (dave, d) = called(&mut world, c, "dave", "192.0.2.80:5060");
    world.skip_ladder();
    world.command(Command::Move {
        from: c,
        to: new(b),
        with: None,
    });
    world.run(ms(50));
    leave(&mut world, &bob, b);
    bye(&mut world, &mut ann);
    carol.reply(&mut world, "INVITE", "200 OK", &sdp(2, "0", "sendrecv"));
    world.run(ms(50));
    (world, [(carol, c), (dave, d)])
}

#[test]
fn who_finds_nobody_goes_back_to_the_one_it_was_with() {
    let (mut world, [(mut carol, c), (dave, d)]) = nobody_is_left();
    carol.reply(&mut world, "INVITE", "200 OK", &sdp(3, "0", "sendrecv"));
    world.run(ms(50));
    world.command(Command::Bridge { a: c, b: d });
    world.run(ms(50));
    world.check(expect![[r#"
        0.460   > Move B1 to A7
        0.460       media 5 Open 192.0.2.1:10004
        0.460   home → carol: INVITE (application/sdp)
        0.510   > Hangup A2 normal
        0.510       media 2 Unbridge
        0.510       media 2 Close
        0.510   home → bob: BYE
        0.510     Unbridged A2 A1
        0.510     Ended A2 normal by Near
        0.560   bob → home: 200 OK (BYE)
        0.610   ann → home: BYE
        0.620   home → ann: 200 OK (BYE)
        0.620       media 1 Close
        0.620     Ended A1 normal by Far
        0.660   carol → home: 200 OK (INVITE, application/sdp)
        0.670   home → carol: ACK
        0.670       media 5 Close
        0.670   home → carol: INVITE (application/sdp)
        0.710   carol → home: 200 OK (INVITE, application/sdp)
        0.720   home → carol: ACK
        0.720       media 3 Configure Pcmu both ways
        0.720     Moved B1 to B1
        0.760   > Bridge B1 B2
        0.760     Bridged B1 B2
    "#]]);
    leave(&mut world, &dave, d);
    bye(&mut world, &mut carol);
    world.settle();
}

#[test]
fn who_does_not_want_to_go_back_is_hung_up() {
    let (mut world, [(mut carol, _), (dave, d)]) = nobody_is_left();
    world.skip_ladder();
    carol.reply(&mut world, "INVITE", "488 Not Acceptable Here", "");
    world.run(ms(50));
    world.check(expect![[r#"
        0.710   carol → home: 488 Not Acceptable Here (INVITE)
        0.720   home → carol: ACK
        0.720       media 3 Unbridge
        0.720       media 3 Close
        0.720   home → carol: BYE
        0.720     Moved B1 to B1
        0.720     Unbridged B1 B2
        0.720     Ended B1 failed by Near
    "#]]);
    leave(&mut world, &dave, d);
    bye(&mut world, &mut carol);
    world.settle();
}

#[test]
fn there_is_no_port_for_who_would_travel() {
    let mut world = World::with(1, &[2, 1]);
    let (mut ann, first) = caller(&mut world, "ann", ANN);
    let (bob, b) = called(&mut world, first, "bob", BOB);
    let (mut carol, c) = caller(&mut world, "carol", CAROL);
    world.skip_ladder();
    world.command(Command::Move {
        from: c,
        to: b,
        with: None,
    });
    world.run(ms(50));
    world.check(expect![[r#"
        0.350   > Move B1 to A2
        0.350     Moved B1 to B1
    "#]]);
    leave(&mut world, &bob, b);
    for far in [&mut carol, &mut ann] {
        bye(&mut world, far);
    }
    world.settle();
}

#[test]
fn a_gather_ends_when_its_leg_moves_and_hold_is_told_again() {
    let mut world = World::new();
    let (mut ann, leg) = caller(&mut world, "ann", ANN);
    ann.next();
    ann.send(&mut world, "INVITE", &sdp(2, "0", "sendonly"));
    world.run(ms(50));
    ann.answer(&mut world);
    ann.send(&mut world, "ACK", "");
    world.run(ms(50));
    world.skip_ladder();
    let spec = GatherSpec {
        min: 1,
        max: 4,
        terminators: String::new(),
        first_timeout: s(60),
        inter_timeout: s(60),
        barge_in: true,
    };
    world.command(Command::Gather {
        leg,
        clips: vec![speech(1, s(5))],
        spec,
    });
    world.command(Command::Reoffer {
        leg,
        codecs: Vec::new(),
        hold: false,
    });
    world.run(ms(50));
    let to = new(leg);
    world.command(Command::Move {
        from: leg,
        to,
        with: None,
    });
    world.run(ms(50));
    ann.reply(&mut world, "INVITE", "200 OK", &sdp(3, "0", "sendrecv"));
    world.run(ms(50));
    world.command(Command::Hangup {
        leg: to,
        cause: Cause::Transferred,
    });
    world.run(ms(50));
    ann.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
    world.check(expect![[r#"
        0.220   > Gather A1
        0.220   > Reoffer A1 [] hold false
        0.220   home → ann: INVITE (application/sdp)
        0.270   > Move A1 to A7
        0.270     Gathered A1 "" Hangup
        0.270     Moved A1 to A7
        0.270     Held A7
        0.270     Ended A1 transferred by Near
        0.320   ann → home: 200 OK (INVITE, application/sdp)
        0.330   home → ann: ACK
        0.330     Reoffered A7 accepted
        0.330     Retrieved A7
        0.370   > Hangup A7 transferred
        0.370   home → ann: BYE
        0.370     Ended A7 transferred by Near
        0.420   ann → home: 200 OK (BYE)
    "#]]);
}

/// Its worker takes its time, and the leg has another session when the end of the message is told.
#[test]
fn a_message_is_told_of_although_the_leg_was_taken_over_and_moved_on() {
    let mut world = World::new();
    let (mut ann, a) = caller(&mut world, "ann", ANN);
    let (mut bob, b) = caller(&mut world, "bob", BOB);
    world.command(record(a, 1, &[]));
    world.run(s(1));
    world.skip_ladder();
    world.thread_delay = ms(20);
    world.command(Command::Move {
        from: b,
        to: a,
        with: None,
    });
    let to = new(a);
    world.command(Command::Move {
        from: a,
        to,
        with: None,
    });
    world.run(ms(50));
    ann.reply(&mut world, "BYE", "200 OK", "");
    world.run(ms(50));
    world.check(expect![[r#"
        1.240   > Move B1 to A1
        1.240   home → ann: BYE
        1.240     Moved B1 to A1
        1.240   > Move A1 to A7
        1.240     Moved A1 to A7
        1.280     Recorded A1 1 Hangup 1000 ms
        1.280     Ended A1 transferred by Near
        1.280     Ended B1 transferred by Near
        1.290   ann → home: 200 OK (BYE)
    "#]]);
    bye(&mut world, &mut bob);
    ann.next();
    world.settle();
}
