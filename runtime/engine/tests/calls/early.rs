//! What is heard before the answer: of those we dial, and by those who call in.

use expect_test::expect;
use sip::message::HeaderName;
use vocab::LegId;
use vocab::call::{Cause, Command, Event};
use vocab::hearing::{AnswerParams, Listening};

use crate::audio::speech;
use crate::dial::{alone, hop, second, user};
use crate::far::{Far, line, sdp};
use crate::world::{World, ms, s};

/// A far end that we dial and whose INVITE has arrived.
fn dialled() -> (World, Far) {
    let mut world = World::new();
    let far = Far::new(&mut world, "far");
    world.show_media = true;
    world.command(hop(alone(), "sip:1@192.0.2.50", "192.0.2.50:5060"));
    world.run(ms(50));
    (world, far)
}

/// A far end that calls in and is let hear us.
fn early(offer: &str) -> (World, Far, LegId) {
    let mut world = World::new();
    let mut far = Far::new(&mut world, "far");
    world.show_media = true;
    far.send(&mut world, "INVITE", offer);
    let leg = world.incoming();
    world.command(Command::Progress { leg });
    world.run(ms(50));
    (world, far, leg)
}

#[test]
fn a_leg_is_listened_to_for_signals_and_then_for_who_answers() {
    let (mut world, far) = dialled();
    let listening = Listening {
        progress: true,
        signals: true,
        answerer: Some(AnswerParams::default()),
    };
    let leg = alone();
    world.command(Command::Listen { leg, listening });
    let answer = sdp(1, "8", "sendrecv");
    far.reply(&mut world, "INVITE", "183 Session Progress", &answer);
    world.run(ms(50));
    far.again(&mut world, "200 OK", &answer);
    world.run(s(1));
    // Nobody speaks, and so nobody is there.
    world.run(s(2));
    let listening = Listening::default();
    world.command(Command::Listen { leg, listening });
    world.command(Command::Hangup {
        leg,
        cause: Cause::Normal,
    });
    world.run(ms(50));
    far.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
    world.check(expect![[r#"
        0.000   > Dial A1 sip:1@192.0.2.50
        0.000       media 1 Open 192.0.2.1:10000
        0.000   home → far: INVITE (application/sdp)
        0.050   > Listen A1
        0.050   far → home: 183 Session Progress (INVITE, application/sdp)
        0.060       media 1 Configure Pcma both ways
        0.060       media 1 Listen for signals
        0.060     Trying A1
        0.060     Ringing A1
        0.060     EarlyMedia A1
        0.100   far → home: 200 OK (INVITE, application/sdp)
        0.110   home → far: ACK
        0.110       media 1 Configure Pcma both ways
        0.110       media 1 Listen for who answers
        0.110     Answered A1
        2.600       media 1 Listen for signals
        2.600     Heard A1 silence no_word
        3.100   > Listen A1
        3.100       media 1 Listen for nothing
        3.100   > Hangup A1 normal
        3.100       media 1 Close
        3.100   home → far: BYE
        3.100     Ended A1 normal by Near
        3.150   far → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn what_a_carrier_says_before_it_answers_is_heard() {
    let (mut world, far) = dialled();
    far.reply(
        &mut world,
        "INVITE",
        "183 Session Progress",
        &sdp(1, "8", "sendrecv"),
    );
    world.run(ms(50));
    far.again(&mut world, "180 Ringing", &sdp(1, "0", "sendrecv"));
    world.run(s(1));
    let play = speech(1, ms(100));
    world.play(alone(), &play);
    world.run(s(1));
    far.again(&mut world, "200 OK", &sdp(2, "0", "sendrecv"));
    world.run(ms(50));
    world.command(Command::Hangup {
        leg: alone(),
        cause: Cause::Normal,
    });
    world.run(ms(50));
    far.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
    world.check(expect![[r#"
        0.000   > Dial A1 sip:1@192.0.2.50
        0.000       media 1 Open 192.0.2.1:10000
        0.000   home → far: INVITE (application/sdp)
        0.050   far → home: 183 Session Progress (INVITE, application/sdp)
        0.060       media 1 Configure Pcma both ways
        0.060     Trying A1
        0.060     Ringing A1
        0.060     EarlyMedia A1
        0.100   far → home: 180 Ringing (INVITE, application/sdp)
        1.100   > Play A1 1
        1.100       media 1 Play
        1.200     Played A1 1 finished
        2.100   far → home: 200 OK (INVITE, application/sdp)
        2.110   home → far: ACK
        2.110       media 1 Configure Pcmu both ways
        2.110     Answered A1
        2.150   > Hangup A1 normal
        2.150       media 1 Close
        2.150   home → far: BYE
        2.150     Ended A1 normal by Near
        2.200   far → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn an_answer_without_sdp_keeps_what_was_agreed_early() {
    for (early, answered) in [
        (sdp(1, "8", "sendrecv"), true),
        (sdp(1, "18", "sendrecv"), false),
        (String::new(), false),
    ] {
        let (mut world, far) = dialled();
        far.reply(&mut world, "INVITE", "183 Session Progress", &early);
        world.run(ms(50));
        far.again(&mut world, "200 OK", "");
        world.run(ms(50));
        let up = world.events.contains(&Event::Answered { leg: alone() });
        assert_eq!(up, answered, "{early}");
        let heard = world.events.contains(&Event::EarlyMedia { leg: alone() });
        assert_eq!(heard, answered, "{early}");
        world.command(Command::Hangup {
            leg: alone(),
            cause: Cause::Normal,
        });
        world.run(ms(50));
        far.reply(&mut world, "BYE", "200 OK", "");
        world.settle();
    }
}

#[test]
fn the_first_fork_with_sdp_is_heard_and_another_may_answer() {
    let mut world = World::new();
    for _ in 0..2 {
        let bob = world.phone("bob", |_| {});
        world.register(bob);
    }
    let one = Far::at(&mut world, "one", "192.0.2.10:5060");
    let two = Far::at(&mut world, "two", "192.0.2.11:5060");
    world.show_media = true;
    world.skip_ladder();
    world.command(user(alone(), "bob"));
    world.run(ms(50));
    one.reply(
        &mut world,
        "INVITE",
        "183 Session Progress",
        &sdp(1, "8", "sendrecv"),
    );
    world.run(ms(50));
    two.reply(
        &mut world,
        "INVITE",
        "183 Session Progress",
        &sdp(1, "0", "sendrecv"),
    );
    world.run(ms(50));
    // The one that is heard gives up; the other is not heard before it says something new.
    one.again(&mut world, "486 Busy Here", "");
    world.run(ms(50));
    two.again(&mut world, "183 Session Progress", &sdp(1, "0", "sendrecv"));
    world.run(ms(50));
    two.again(&mut world, "200 OK", &sdp(2, "8", "sendrecv"));
    world.run(ms(50));
    world.command(Command::Hangup {
        leg: alone(),
        cause: Cause::Normal,
    });
    world.run(ms(50));
    two.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
    world.check(expect![[r#"
        2.000   > Dial A1 bob
        2.000       media 1 Open 192.0.2.1:10000
        2.000   home → two: INVITE (application/sdp)
        2.000   home → one: INVITE (application/sdp)
        2.050   one → home: 183 Session Progress (INVITE, application/sdp)
        2.060       media 1 Configure Pcma both ways
        2.060     Trying A1
        2.060     Ringing A1
        2.060     EarlyMedia A1
        2.100   two → home: 183 Session Progress (INVITE, application/sdp)
        2.150   one → home: 486 Busy Here (INVITE)
        2.160   home → one: ACK
        2.200   two → home: 183 Session Progress (INVITE, application/sdp)
        2.210       media 1 Configure Pcmu both ways
        2.250   two → home: 200 OK (INVITE, application/sdp)
        2.260   home → two: ACK
        2.260       media 1 Configure Pcma both ways
        2.260     Answered A1
        2.300   > Hangup A1 normal
        2.300       media 1 Close
        2.300   home → two: BYE
        2.300     Ended A1 normal by Near
        2.350   two → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn a_caller_hears_us_before_the_answer() {
    let (mut world, mut far, leg) = early(&sdp(1, "0", "sendrecv"));
    // Said once.
    world.command(Command::Progress { leg });
    world.play(leg, &speech(1, ms(100)));
    world.run(s(1));
    world.command(Command::Answer { leg });
    world.run(ms(50));
    let (status, answer) = far.answer(&mut world);
    assert_eq!(
        (status, line(&answer, "m=audio ")),
        (200, "10000 RTP/AVP 0")
    );
    far.send(&mut world, "ACK", "");
    world.run(ms(50));
    far.next();
    far.send(&mut world, "BYE", "");
    world.settle();
    world.check(expect![[r#"
        0.000   far → home: INVITE (application/sdp)
        0.010   home → far: 100 Trying (INVITE)
        0.010     Incoming A1 from far@192.0.2.50 to 1000
        0.010   > Progress A1
        0.010       media 1 Open 192.0.2.1:10000
        0.010       media 1 Configure Pcmu both ways
        0.010   home → far: 183 Session Progress (INVITE, application/sdp)
        0.060   > Progress A1
        0.060   > Play A1 1
        0.060       media 1 Play
        0.160     Played A1 1 finished
        1.060   > Answer A1
        1.060   home → far: 200 OK (INVITE, application/sdp)
        1.110   far → home: ACK
        1.120     Answered A1
        1.160   far → home: BYE
        1.170   home → far: 200 OK (BYE)
        1.170       media 1 Close
        1.170     Ended A1 normal by Far
    "#]]);
}

#[test]
fn the_183_and_the_200_say_the_same() {
    let (mut world, far, leg) = early(&sdp(1, "0", "sendrecv"));
    world.command(Command::Answer { leg });
    world.run(ms(50));
    let mut bodies = Vec::new();
    while let Some(message) = world.received(far.at) {
        if let sip::message::Message::Response(response) = message
            && !response.body.is_empty()
        {
            bodies.push((response.status, response.body.to_vec()));
        }
    }
    assert_eq!((bodies[0].0, bodies[1].0), (183, 200));
    assert_eq!(bodies[0].1, bodies[1].1);
}

#[test]
fn a_caller_without_an_offer_is_told_that_it_rings() {
    let (mut world, mut far, leg) = early("");
    world.command(Command::Answer { leg });
    world.run(ms(50));
    assert_eq!(far.answer(&mut world).0, 200);
    far.send(&mut world, "ACK", &sdp(1, "0", "sendrecv"));
    world.until("Answered", |event| *event == Event::Answered { leg });
    far.next();
    far.send(&mut world, "BYE", "");
    world.settle();
    world.check(expect![[r#"
        0.000   far → home: INVITE
        0.010   home → far: 100 Trying (INVITE)
        0.010     Incoming A1 from far@192.0.2.50 to 1000
        0.010   > Progress A1
        0.010   home → far: 180 Ringing (INVITE)
        0.060   > Answer A1
        0.060       media 1 Open 192.0.2.1:10000
        0.060   home → far: 200 OK (INVITE, application/sdp)
        0.110   far → home: ACK (application/sdp)
        0.120       media 1 Configure Pcmu both ways
        0.120     Answered A1
        0.120   far → home: BYE
        0.130   home → far: 200 OK (BYE)
        0.130       media 1 Close
        0.130     Ended A1 normal by Far
    "#]]);
}

#[test]
fn a_caller_who_hears_us_can_be_sent_away_in_all_ways() {
    type Way = fn(LegId) -> Command;
    let ways: [(&str, Way); 4] = [
        ("486", |leg| Command::Reject {
            leg,
            status: 486,
            q850: Some(17),
        }),
        ("302", |leg| Command::Redirect {
            leg,
            to: vocab::Pii::new("sip:else@192.0.2.9".into()),
        }),
        ("401", |leg| Command::Challenge { leg }),
        ("603", |leg| Command::Hangup {
            leg,
            cause: Cause::Normal,
        }),
    ];
    for (status, way) in ways {
        let (mut world, mut far, leg) = early(&sdp(1, "0", "sendrecv"));
        world.command(way(leg));
        world.run(ms(50));
        assert_eq!(far.answer(&mut world).0.to_string(), status);
        far.give_in(&mut world);
        world.settle();
    }
    // And it may hang up itself.
    let (mut world, mut far, _) = early(&sdp(1, "0", "sendrecv"));
    far.send(&mut world, "CANCEL", "");
    world.run(ms(50));
    far.give_in(&mut world);
    world.settle();
    world.check(expect![[r#"
        0.000   far → home: INVITE (application/sdp)
        0.010   home → far: 100 Trying (INVITE)
        0.010     Incoming A1 from far@192.0.2.50 to 1000
        0.010   > Progress A1
        0.010       media 1 Open 192.0.2.1:10000
        0.010       media 1 Configure Pcmu both ways
        0.010   home → far: 183 Session Progress (INVITE, application/sdp)
        0.060   far → home: CANCEL
        0.070   home → far: 200 OK (CANCEL)
        0.070   home → far: 487 Request Terminated (INVITE)
        0.070       media 1 Close
        0.070     Ended A1 cancelled by Far 487
        0.110   far → home: ACK
    "#]]);
}

#[test]
fn an_offer_that_is_no_good_is_refused_before_anything_is_heard() {
    let (mut world, mut far, _) = early(&sdp(1, "18", "sendrecv"));
    assert_eq!(far.answer(&mut world).0, 488);
    far.give_in(&mut world);
    world.settle();
}

#[test]
fn two_who_were_not_answered_hear_each_other() {
    let (mut world, mut far, leg) = early(&sdp(1, "0", "sendrecv"));
    let other = Far::at(&mut world, "other", "192.0.2.60:5060");
    let b = second(leg);
    world.command(hop(b, "sip:1@192.0.2.60", "192.0.2.60:5060"));
    world.run(ms(50));
    world.command(Command::Bridge { a: leg, b });
    other.reply(
        &mut world,
        "INVITE",
        "183 Session Progress",
        &sdp(1, "0", "sendrecv"),
    );
    world.run(ms(50));
    world.skip_ladder();
    world.command(Command::Bridge { a: leg, b });
    world.run(s(15));
    other.again(&mut world, "486 Busy Here", "");
    // A caller who was not answered need not send anything.
    world.run(s(20));
    world.command(Command::Reject {
        leg,
        status: 486,
        q850: None,
    });
    world.run(ms(50));
    far.give_in(&mut world);
    world.settle();
    world.check(expect![[r#"
        0.160   > Bridge A1 A2
        0.160       media 1 Bridge 2
        0.160     Bridged A1 A2
        15.160  other → home: 486 Busy Here (INVITE)
        15.170  home → other: ACK
        15.170      media 2 Unbridge
        15.170      media 2 Close
        15.170    Unbridged A2 A1
        15.170    Ended A2 busy by Far 486
        30.020      media 1 Configure Pcmu sends
        30.020      media 1 Configure Pcmu both ways
        35.160  > Reject A1 486
        35.160      media 1 Close
        35.160  home → far: 486 Busy Here (INVITE)
        35.160    Ended A1 busy by Near 486
        35.210  far → home: ACK
    "#]]);
}

#[test]
fn a_bridge_made_early_outlives_the_answers() {
    let (mut world, mut far, leg) = early(&sdp(1, "0", "sendrecv"));
    let other = Far::at(&mut world, "other", "192.0.2.60:5060");
    let b = second(leg);
    world.command(hop(b, "sip:1@192.0.2.60", "192.0.2.60:5060"));
    world.run(ms(50));
    other.reply(
        &mut world,
        "INVITE",
        "183 Session Progress",
        &sdp(1, "0", "sendrecv"),
    );
    world.run(ms(50));
    world.command(Command::Bridge { a: leg, b });
    world.skip_ladder();
    other.again(&mut world, "200 OK", &sdp(1, "0", "sendrecv"));
    world.run(ms(50));
    world.command(Command::Answer { leg });
    world.run(ms(50));
    far.answer(&mut world);
    far.send(&mut world, "ACK", "");
    world.run(ms(50));
    far.next();
    far.send(&mut world, "BYE", "");
    world.run(ms(50));
    world.command(Command::Hangup {
        leg: b,
        cause: Cause::Normal,
    });
    world.run(ms(50));
    other.reply(&mut world, "BYE", "200 OK", "");
    world.settle();
    world.check(expect![[r#"
        0.160   other → home: 200 OK (INVITE, application/sdp)
        0.170   home → other: ACK
        0.170       media 2 Configure Pcmu both ways
        0.170     Answered A2
        0.210   > Answer A1
        0.210   home → far: 200 OK (INVITE, application/sdp)
        0.260   far → home: ACK
        0.270     Answered A1
        0.310   far → home: BYE
        0.320   home → far: 200 OK (BYE)
        0.320       media 1 Unbridge
        0.320       media 1 Close
        0.320     Unbridged A1 A2
        0.320     Ended A1 normal by Far
        0.360   > Hangup A2 normal
        0.360       media 2 Close
        0.360   home → other: BYE
        0.360     Ended A2 normal by Near
        0.410   other → home: 200 OK (BYE)
    "#]]);
}

#[test]
fn a_caller_is_sent_elsewhere() {
    for (to, status, contact) in [
        ("sip:else@192.0.2.9", 302, Some("<sip:else@192.0.2.9>")),
        ("tel:+8610", 500, None),
        ("sip:a@b\r\nX: y", 500, None),
        ("", 500, None),
    ] {
        let mut world = World::new();
        let mut far = Far::new(&mut world, "far");
        far.send(&mut world, "INVITE", &sdp(1, "0", "sendrecv"));
        let leg = world.incoming();
        world.command(Command::Redirect {
            leg,
            to: vocab::Pii::new(to.into()),
        });
        world.run(ms(50));
        let mut answer = None;
        while let Some(message) = world.received(far.at) {
            answer = Some(message);
        }
        let answer = answer.expect("an answer");
        let given = answer.headers().first(&HeaderName::Contact);
        assert_eq!(given, contact, "{to}");
        let ended = world.until("end", |event| matches!(event, Event::Ended { .. }));
        let sent = Some(status);
        assert!(matches!(ended, Event::Ended { status, .. } if status == sent));
        far.take_tag(&answer);
        far.give_in(&mut world);
        world.settle();
    }
}
