//! Session timers (RFC 4028).

use expect_test::expect;

use super::far::{self, Far};
use super::world::{World, read};
use super::{ANN, check, s, talking};

#[test]
fn the_caller_refreshes_by_update() {
    let (mut world, ann, _) = talking();
    world.run(s(2_000));
    world.hang_up(ANN, ann);
    world.settle();
    check(
        &mut world,
        expect![[r#"
        901.010 ann → bob: UPDATE
        901.020 bob → ann: 200 OK (UPDATE)
        1801.030 ann → bob: UPDATE
        1801.040 bob → ann: 200 OK (UPDATE)
        2002.000 ann → bob: BYE
        2002.000   ann: Ended Ours
        2002.010 bob → ann: 200 OK (BYE)
        2002.010   bob: Ended Theirs
    "#]],
    );
}

#[test]
fn what_is_settled_with_each_kind_of_caller() {
    for (asked, told) in [
        ("", "1800;refresher=uas, require "),
        ("Supported: timer\n", "1800;refresher=uac, require timer"),
        (
            "Supported: timer\nSession-Expires: 600\n",
            "600;refresher=uac, require timer",
        ),
        (
            "Supported: timer\nx: 600 ; refresher=UAS\n",
            "600;refresher=uas, require ",
        ),
        // A proxy asked.
        (
            "Session-Expires: 600;refresher=uac\n",
            "600;refresher=uas, require ",
        ),
        (
            "Supported: timer\nSession-Expires: 3600;refresher=uac\n",
            "1800;refresher=uac, require timer",
        ),
        (
            "Supported: timer\nSession-Expires: 3600;refresher=uac\nMin-SE: 2400\n",
            "2400;refresher=uac, require timer",
        ),
        (
            "Supported: timer\nSession-Expires: soon\n",
            "1800;refresher=uac, require timer",
        ),
    ] {
        let mut world = World::new(1);
        Far::call(&mut world, asked);
        let ann = world.incoming(ANN);
        far::accept(&mut world, ann);
        let said = format!(
            "{}, require {}",
            far::said(&world, "Session-Expires"),
            far::said(&world, "Require")
        );
        assert_eq!(said, told, "{asked:?}");
    }
    let mut world = World::new(1);
    Far::call(&mut world, "Supported: timer\nSession-Expires: 89\n");
    assert_eq!(far::line(&world), "SIP/2.0 422 Session Interval Too Small");
    assert_eq!(far::said(&world, "Min-SE"), "90");
}

#[test]
fn we_refresh_for_a_caller_who_cannot() {
    let mut world = World::new(1);
    let (far, _) = Far::talking(&mut world, "Session-Expires: 600\n");
    world.take_ladder();
    let offer = world.outside.last().unwrap().1.clone();
    world.run(s(301));
    let refresh = far::last(&world);
    assert_eq!(&*refresh.body, read(&offer).body());
    assert_eq!(far::said(&world, "Session-Expires"), "600;refresher=uac");
    // They agree without knowing what to, and are asked again.
    far.answer(&mut world, 200, "", "v=0\n");
    world.run(s(301));
    // To refuse it is a sign of life as well.
    far.answer(&mut world, 488, "", "");
    for _ in 0..5 {
        world.run(s(100));
        if far::line(&world).starts_with("INVITE") {
            far.answer(&mut world, 488, "", "");
        }
    }
    check(
        &mut world,
        expect![[r#"
            300.000 ann → 192.0.2.9:5060: INVITE (application/sdp)
            300.500 ann → 192.0.2.9:5060: INVITE (application/sdp)
            301.000 192.0.2.9:5060 → ann: 200 OK (INVITE, application/sdp)
            301.000 ann → 192.0.2.9:5060: ACK
            301.000   ann: Reanswered, 5 bytes
            601.000 ann → 192.0.2.9:5060: INVITE (application/sdp)
            601.500 ann → 192.0.2.9:5060: INVITE (application/sdp)
            602.000 192.0.2.9:5060 → ann: 488 Not Acceptable Here (INVITE)
            602.000 ann → 192.0.2.9:5060: ACK
            735.500 ann → 192.0.2.9:5060: INVITE (application/sdp)
            736.000 ann → 192.0.2.9:5060: INVITE (application/sdp)
            737.000 ann → 192.0.2.9:5060: INVITE (application/sdp)
            739.000 ann → 192.0.2.9:5060: INVITE (application/sdp)
            743.000 ann → 192.0.2.9:5060: INVITE (application/sdp)
            751.000 ann → 192.0.2.9:5060: INVITE (application/sdp)
            767.000 ann → 192.0.2.9:5060: INVITE (application/sdp)
            767.500 ann → 192.0.2.9:5060: BYE
            767.500   ann: Ended Lost
            768.000 ann → 192.0.2.9:5060: BYE
            769.000 ann → 192.0.2.9:5060: BYE
            771.000 ann → 192.0.2.9:5060: BYE
            775.000 ann → 192.0.2.9:5060: BYE
            779.000 ann → 192.0.2.9:5060: BYE
            783.000 ann → 192.0.2.9:5060: BYE
            787.000 ann → 192.0.2.9:5060: BYE
            791.000 ann → 192.0.2.9:5060: BYE
            795.000 ann → 192.0.2.9:5060: BYE
            799.000 ann → 192.0.2.9:5060: BYE
        "#]],
    );
}

#[test]
fn a_refused_refresh_is_tried_again_until_the_session_ends() {
    let mut world = World::new(1);
    let headers = "Allow: UPDATE\nSession-Expires: 600;refresher=uac\n";
    let (far, _) = Far::called(&mut world, headers);
    world.take_ladder();
    for _ in 0..12 {
        world.run(s(60));
        if far::line(&world).starts_with("UPDATE") {
            far.answer(&mut world, 503, "", "");
        }
    }
    check(
        &mut world,
        expect![[r#"
        300.000 ann → 192.0.2.9:5060: UPDATE
        300.000 192.0.2.9:5060 → ann: 503 Service Unavailable (UPDATE)
        360.000 192.0.2.9:5060 → ann: 503 Service Unavailable (UPDATE)
        420.000 192.0.2.9:5060 → ann: 503 Service Unavailable (UPDATE)
        434.000 ann → 192.0.2.9:5060: UPDATE
        434.500 ann → 192.0.2.9:5060: UPDATE
        435.500 ann → 192.0.2.9:5060: UPDATE
        437.500 ann → 192.0.2.9:5060: UPDATE
        441.500 ann → 192.0.2.9:5060: UPDATE
        445.500 ann → 192.0.2.9:5060: UPDATE
        449.500 ann → 192.0.2.9:5060: UPDATE
        453.500 ann → 192.0.2.9:5060: UPDATE
        457.500 ann → 192.0.2.9:5060: UPDATE
        461.500 ann → 192.0.2.9:5060: UPDATE
        465.500 ann → 192.0.2.9:5060: UPDATE
        466.000 ann → 192.0.2.9:5060: BYE
        466.000   ann: Ended Lost
        466.500 ann → 192.0.2.9:5060: BYE
        467.500 ann → 192.0.2.9:5060: BYE
        469.500 ann → 192.0.2.9:5060: BYE
        473.500 ann → 192.0.2.9:5060: BYE
        477.500 ann → 192.0.2.9:5060: BYE
        481.500 ann → 192.0.2.9:5060: BYE
        485.500 ann → 192.0.2.9:5060: BYE
        489.500 ann → 192.0.2.9:5060: BYE
        493.500 ann → 192.0.2.9:5060: BYE
        497.500 ann → 192.0.2.9:5060: BYE
    "#]],
    );
}

#[test]
fn who_does_not_know_update_after_all_is_asked_no_more() {
    let mut world = World::new(1);
    let headers = "Allow: UPDATE\nSession-Expires: 600;refresher=uac\n";
    let (far, ann) = Far::called(&mut world, headers);
    world.take_ladder();
    world.run(s(301));
    // It said that it knows UPDATE, and there is no SDP kept for the other way.
    far.answer(&mut world, 501, "", "");
    world.run(s(1_000));
    world.hang_up(ANN, ann);
    check(
        &mut world,
        expect![[r#"
        300.000 ann → 192.0.2.9:5060: UPDATE
        300.500 ann → 192.0.2.9:5060: UPDATE
        301.000 192.0.2.9:5060 → ann: 501 Not Implemented (UPDATE)
        1301.000 ann → 192.0.2.9:5060: BYE
        1301.000   ann: Ended Ours
    "#]],
    );
}

#[test]
fn a_peer_that_stops_refreshing_is_left() {
    let mut world = World::new(1);
    let headers = "Supported: timer\nAllow: UPDATE\nSession-Expires: 600;refresher=uac\n";
    let (mut far, _) = Far::talking(&mut world, headers);
    world.take_ladder();
    world.run(s(300));
    far.request(
        &mut world,
        "UPDATE",
        "Supported: timer\nSession-Expires: 600;refresher=uac\n",
        "",
    );
    assert_eq!(far::said(&world, "Session-Expires"), "600;refresher=uac");
    world.run(s(600));
    assert_eq!(
        far::said(&world, "Reason"),
        "SIP;cause=408;text=\"Session expired\""
    );
    world.run(s(40));
    check(
        &mut world,
        expect![[r#"
        300.000 192.0.2.9:5060 → ann: UPDATE
        300.000 ann → 192.0.2.9:5060: 200 OK (UPDATE)
        868.000 ann → 192.0.2.9:5060: BYE
        868.000   ann: Ended Lost
        868.500 ann → 192.0.2.9:5060: BYE
        869.500 ann → 192.0.2.9:5060: BYE
        871.500 ann → 192.0.2.9:5060: BYE
        875.500 ann → 192.0.2.9:5060: BYE
        879.500 ann → 192.0.2.9:5060: BYE
        883.500 ann → 192.0.2.9:5060: BYE
        887.500 ann → 192.0.2.9:5060: BYE
        891.500 ann → 192.0.2.9:5060: BYE
        895.500 ann → 192.0.2.9:5060: BYE
        899.500 ann → 192.0.2.9:5060: BYE
    "#]],
    );
}

#[test]
fn a_too_short_interval_is_made_longer_once() {
    let mut world = World::new(1);
    let hop = jackfield_sip::Hop {
        transport: jackfield_sip::Transport::Udp,
        remote: far::ADDRESS.parse().unwrap(),
        conn: None,
    };
    world.call_by(ANN, hop, None, &[]);
    let far = Far::rung(&world);
    assert_eq!(far::said(&world, "Session-Expires"), "1800");
    assert_eq!(far::said(&world, "Supported"), "timer, 100rel, replaces");
    far.answer(&mut world, 422, "Min-SE: 3600\n", "");
    assert_eq!(far::said(&world, "Session-Expires"), "3600");
    assert_eq!(far::said(&world, "Min-SE"), "3600");
    let far = Far::rung(&world);
    far.answer(&mut world, 422, "Min-SE: 7200\n", "");
    check(
        &mut world,
        expect![[r#"
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 422 Session Interval Too Small (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000   ann → 192.0.2.9:5060: INVITE (application/sdp)
        0.000   192.0.2.9:5060 → ann: 422 Session Interval Too Small (INVITE)
        0.000   ann → 192.0.2.9:5060: ACK
        0.000     ann: Failed 422
    "#]],
    );
}
