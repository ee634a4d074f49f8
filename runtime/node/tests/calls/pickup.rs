//! A phone dials a slot and takes whoever waits there.

use expect_test::expect;
use jackfield_node::{Control, ControlError, Input, PartyState};
use vocab::call::Command;
use vocab::flow::Op;

use crate::world::{World, ms, s, user};

#[test]
fn a_phone_dials_a_slot_and_talks_with_the_one_who_waits() {
    let mut world = World::new();
    let call = world.parked();
    world.show_sip = true;
    world.dial("carol", "701");
    world.run(s(2));
    world.show_sip = false;
    assert_eq!(world.node.parked().count(), 0);
    let parties = world.node.parties(call);
    let who: Vec<_> = parties
        .iter()
        .map(|it| (it.leg, it.user.as_deref(), it.state))
        .collect();
    let talking = |with| PartyState::Talking { with };
    assert_eq!(
        who,
        [(2, Some("bob"), talking(3)), (3, Some("carol"), talking(2))]
    );
    // What can be done with a call can be done with this one.
    world.ask(Control::Hold {
        call,
        by: user("carol"),
    });
    world.run(s(1));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    B call.started to 701
        6.03    home → carol: 200 OK (INVITE, application/sdp)
        6.04    carol → home: ACK
        6.05    A leg.moved_in leg 3 with 2 01m7z7ts461f06yq0675qgb5b6
        6.05    A park.picked_up leg 2 with 3 701
        6.05    A leg.bridged 2 3
        6.05    B call.answered
        6.05    B call.interaction with A
        6.05    B leg.moved_away leg 1
        6.05    B call.ended transferred by Near
        6.05        bob hears carol
        6.05        carol hears bob
        8.00    request 3 is told Ok(Done)
        8.00    A leg.held leg 2 by 3
        8.00    A leg.unbridged 2 3
        8.00        bob hears music on hold
        8.00        carol hears nothing
        9.01    A call.ended normal by Far
    "#]]);
    world.settle();
}

#[test]
fn a_phone_on_another_worker_is_sent_to_the_right_one() {
    let mut world = World::with_workers(&[4, 4], |_| {});
    world.parked();
    world.show_sip = true;
    world.dial("carol", "701");
    world.run(s(2));
    world.show_sip = false;
    world.hang_up("carol");
    world.run(s(1));
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    B call.started to 701
        6.03    home → carol: 200 OK (INVITE, application/sdp)
        6.04    carol → home: ACK
        6.05    home → carol: INVITE (application/sdp)
        6.05    B call.answered
        6.05        carol hears ringback
        6.06    carol → home: 100 Trying (INVITE)
        6.06    carol → home: 200 OK (INVITE, application/sdp)
        6.07    home → carol: ACK
        6.07    A leg.moved_in leg 3 with 2 01m7z7ts461f06yq0675qgb5b6
        6.07    A park.picked_up leg 2 with 3 701
        6.07    A leg.bridged 2 3
        6.07    B call.interaction with A
        6.07    B leg.moved_away leg 1
        6.07    B call.ended transferred by Near
        6.07        bob hears carol
        6.07        carol hears bob
        8.01    A leg.unbridged 2 3
        8.01        bob hears nothing
        8.01    A call.ended normal by Near
    "#]]);
    world.settle();
}

#[test]
fn a_phone_that_shows_no_credentials_is_asked_for_them() {
    let mut world = World::new();
    world.outsider("eve", "192.0.2.50:5060");
    world.parked();
    world.show_sip = true;
    // Whoever says to be Carol has to prove it; somebody else finds nothing.
    world.dial_as("eve", "701", "<sip:carol@demo>", &[]);
    world.run(s(1));
    world.dial("eve", "701");
    world.run(s(1));
    world.check(expect![[r#"
        6.00    eve → home: INVITE (application/sdp)
        6.01    home → eve: 100 Trying (INVITE)
        6.01    home → eve: 401 Unauthorized (INVITE)
        6.02    eve → home: ACK
        6.02    eve → home: INVITE (application/sdp)
        6.03    home → eve: 401 Unauthorized (INVITE)
        6.04    eve → home: ACK
        7.00    eve → home: INVITE (application/sdp)
        7.01    home → eve: 100 Trying (INVITE)
        7.01    home → eve: 404 Not Found (INVITE)
        7.02    eve → home: ACK
    "#]]);
    world.settle();
}

#[test]
fn a_slot_in_which_nobody_waits_is_no_number() {
    let mut world = World::new();
    world.parked();
    world.show_sip = true;
    // No slot is dialled by another spelling of its number.
    for number in ["702", "0701", "700", "703"] {
        world.dial("carol", number);
        world.run(s(1));
    }
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    home → carol: 404 Not Found (INVITE)
        6.04    carol → home: ACK
        7.00    carol → home: INVITE (application/sdp)
        7.01    home → carol: 100 Trying (INVITE)
        7.01    home → carol: 401 Unauthorized (INVITE)
        7.02    carol → home: ACK
        7.02    carol → home: INVITE (application/sdp)
        7.03    home → carol: 100 Trying (INVITE)
        7.03    home → carol: 404 Not Found (INVITE)
        7.04    carol → home: ACK
        8.00    carol → home: INVITE (application/sdp)
        8.01    home → carol: 100 Trying (INVITE)
        8.01    home → carol: 401 Unauthorized (INVITE)
        8.02    carol → home: ACK
        8.02    carol → home: INVITE (application/sdp)
        8.03    home → carol: 100 Trying (INVITE)
        8.03    home → carol: 404 Not Found (INVITE)
        8.04    carol → home: ACK
        9.00    carol → home: INVITE (application/sdp)
        9.01    home → carol: 100 Trying (INVITE)
        9.01    home → carol: 401 Unauthorized (INVITE)
        9.02    carol → home: ACK
        9.02    carol → home: INVITE (application/sdp)
        9.03    home → carol: 100 Trying (INVITE)
        9.03    home → carol: 404 Not Found (INVITE)
        9.04    carol → home: ACK
    "#]]);
    world.settle();
}

#[test]
fn a_phone_of_another_tenant_finds_nobody() {
    let mut world = World::new();
    world.parked();
    world.moves_out("carol");
    world.show_sip = true;
    world.dial("carol", "701");
    world.run(s(1));
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    home → carol: 404 Not Found (INVITE)
        6.04    carol → home: ACK
    "#]]);
    world.settle();
}

#[test]
fn a_route_of_the_same_number_is_nearer() {
    let mut world = World::with(|tenant| {
        let mut route = tenant.routes["2000"].clone();
        std::sync::Arc::make_mut(&mut route).number = "701".into();
        tenant.routes.insert("701".into(), route);
    });
    world.install();
    world.parked();
    world.dial("carol", "701");
    world.run(s(1));
    world.check(expect![[r#"
        6.03    flow 701 starts for carol@demo
        6.03    B call.started to 701
        6.03    B flow.started
    "#]]);
    world.settle();
}

#[test]
fn one_takes_a_call_at_a_time() {
    let mut world = World::new();
    world.parked();
    world.show_sip = true;
    world.dial("carol", "701");
    world.dial("dave", "701");
    world.run(ms(35));
    // Not by request either.
    let (user, slot) = ("ann".to_owned(), 701);
    let result = world.ask(Control::PickUp { user, slot });
    assert!(
        matches!(result, Some(Err(ControlError::Conflict(_)))),
        "{result:?}"
    );
    world.run(s(1));
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.00    dave → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.01    home → dave: 100 Trying (INVITE)
        6.01    home → dave: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.02    dave → home: ACK
        6.02    dave → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    B call.started to 701
        6.03    home → carol: 200 OK (INVITE, application/sdp)
        6.03    home → dave: 100 Trying (INVITE)
        6.03    home → dave: 486 Busy Here (INVITE)
        6.04    request 3 is told Err(Conflict("somebody is taking this call"))
        6.04    carol → home: ACK
        6.04    dave → home: ACK
        6.05    A leg.moved_in leg 3 with 2 01m7z7ts467y8rb0xesdw8ckh7
        6.05    A park.picked_up leg 2 with 3 701
        6.05    A leg.bridged 2 3
        6.05    B call.answered
        6.05    B call.interaction with A
        6.05    B leg.moved_away leg 1
        6.05    B call.ended transferred by Near
        6.05        bob hears carol
        6.05        carol hears bob
    "#]]);
    world.settle();
    // Nor the other way round.
    world.show_sip = false;
    world.again();
    world.parked();
    let (user, slot) = ("ann".to_owned(), 701);
    world
        .ask(Control::PickUp { user, slot })
        .expect("an answer")
        .expect("she is rung");
    world.show_sip = true;
    world.dial("carol", "701");
    world.run(s(2));
    world.check(expect![[r#"
        83.03   request 6 is told Ok(Calling { legs: [3] })
        83.03   C leg.dialed leg 3 to ann
        83.03   carol → home: INVITE (application/sdp)
        83.05   ann → home: 100 Trying (INVITE)
        83.05   ann → home: 180 Ringing (INVITE)
        83.05   home → carol: 100 Trying (INVITE)
        83.05   home → carol: 401 Unauthorized (INVITE)
        83.06   carol → home: ACK
        83.06   carol → home: INVITE (application/sdp)
        83.06   home → carol: 100 Trying (INVITE)
        83.06   home → carol: 486 Busy Here (INVITE)
        83.08   carol → home: ACK
        84.05   ann → home: 200 OK (INVITE, application/sdp)
        84.06   home → ann: ACK
        84.06   C park.picked_up leg 2 with 3 701
        84.06   C leg.bridged 2 3
        84.06       bob hears ann
        84.06       ann hears bob
    "#]]);
    world.settle();
}

#[test]
fn who_gives_up_too_late_has_taken_the_other() {
    let mut world = World::new();
    world.parked();
    world.show_sip = true;
    world.dial("carol", "701");
    world.run(ms(25));
    // The cancellation and our answer cross: the phone acknowledges, and hangs up.
    world.hang_up("carol");
    world.run(s(1));
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    B call.started to 701
        6.03    home → carol: 200 OK (INVITE, application/sdp)
        6.04    carol → home: CANCEL
        6.04    carol → home: ACK
        6.04    carol → home: BYE
        6.05    home → carol: 200 OK (CANCEL)
        6.05    A leg.moved_in leg 3 with 2 01m7z7ts461f06yq0675qgb5b6
        6.05    A park.picked_up leg 2 with 3 701
        6.05    A leg.bridged 2 3
        6.05    B call.answered
        6.05    B call.interaction with A
        6.05    B leg.moved_away leg 1
        6.05    B call.ended transferred by Near
        6.05        bob hears carol
        6.05        carol hears bob
        6.05    home → carol: 200 OK (BYE)
        6.05    A leg.unbridged 2 3
        6.05        bob hears nothing
        6.05    home → bob: BYE
        6.05    A call.ended normal by Near
        6.06    bob → home: 200 OK (BYE)
    "#]]);
    world.settle();
}

#[test]
fn who_hangs_up_on_the_way_leaves_the_other_waiting() {
    let mut world = World::with_workers(&[4, 4], |_| {});
    world.parked();
    world.dial("carol", "701");
    world.run(ms(55));
    world.skip_ladder();
    world.show_sip = true;
    // It is asked to send its audio elsewhere, and has left.
    world.hang_up("carol");
    world.run(s(1));
    world.show_sip = false;
    world.dial("dave", "701");
    world.run(s(1));
    world.check(expect![[r#"
        6.05    carol → home: BYE
        6.06    carol → home: 481 Call/Transaction Does Not Exist (INVITE)
        6.07    home → carol: 200 OK (BYE)
        6.07    B call.ended normal by Far
        6.07    home → carol: ACK
        7.08    C call.started to 701
        7.11    C call.answered
        7.11        dave hears ringback
        7.12    A leg.moved_in leg 4 with 2 01m7z7tt55j02mst52dtcrwg10
        7.12    A park.picked_up leg 2 with 4 701
        7.12    A leg.bridged 2 4
        7.12    C call.interaction with A
        7.12    C leg.moved_away leg 1
        7.12    C call.ended transferred by Near
        7.12        bob hears dave
        7.12        dave hears bob
    "#]]);
    world.settle();
}

/// Carol dials the slot from another worker, and Bob, who waits there, hangs up so much later.
fn bob_leaves(after: std::time::Duration) -> World {
    let mut world = World::with_workers(&[4, 4], |_| {});
    world.parked();
    world.dial("carol", "701");
    world.run(after);
    world.hang_up("bob");
    world.run(s(10));
    world
}

#[test]
fn who_waited_and_is_gone_is_told_by_a_busy_tone() {
    // Before the answer is acknowledged.
    let mut world = bob_leaves(ms(25));
    world.check(expect![[r#"
        6.03    B call.started to 701
        6.04    A call.ended normal by Far
        6.05    B call.answered
        6.05    B call.fallback busy
        6.05        carol hears busy
        10.05   B call.ended failed by Near
    "#]]);
    world.settle();
    // While Carol is sent to Bob's worker: she hears it again when she is there.
    let mut world = bob_leaves(ms(50));
    world.check(expect![[r#"
        6.03    B call.started to 701
        6.05    B call.answered
        6.05        carol hears ringback
        6.06    A call.ended normal by Far
        6.06    B call.fallback busy
        6.06        carol hears busy
        10.09   B call.ended failed by Near
    "#]]);
    world.settle();
}

#[test]
fn who_is_gone_before_the_store_has_answered_is_told_by_a_refusal() {
    let mut world = World::new();
    world.parked();
    world.disk_sticks(true);
    world.show_sip = true;
    world.dial("carol", "701");
    world.run(s(1));
    world.hang_up("bob");
    world.run(s(1));
    world.disk_sticks(false);
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    B call.started to 701
        7.00    bob → home: BYE
        7.01    home → bob: 200 OK (BYE)
        7.01    home → carol: 486 Busy Here (INVITE)
        7.01    A call.ended normal by Far
        7.02    carol → home: ACK
        8.00    B call.ended busy by Near
    "#]]);
    world.settle();
}

#[test]
fn a_call_that_cannot_be_written_down_takes_nobody() {
    let mut world = World::new();
    world.parked();
    world.disk_full = true;
    world.show_sip = true;
    world.dial("carol", "701");
    world.run(s(1));
    world.disk_full = false;
    world.dial("dave", "701");
    world.run(s(1));
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    home → carol: 503 Service Unavailable (INVITE)
        6.04    carol → home: ACK
        7.00    dave → home: INVITE (application/sdp)
        7.01    home → dave: 100 Trying (INVITE)
        7.01    home → dave: 401 Unauthorized (INVITE)
        7.02    dave → home: ACK
        7.02    dave → home: INVITE (application/sdp)
        7.03    home → dave: 100 Trying (INVITE)
        7.03    B call.started to 701
        7.03    home → dave: 200 OK (INVITE, application/sdp)
        7.04    dave → home: ACK
        7.05    A leg.moved_in leg 3 with 2 01m7z7tt3em9q9k3hb19va2k78
        7.05    A park.picked_up leg 2 with 3 701
        7.05    A leg.bridged 2 3
        7.05    B call.answered
        7.05    B call.interaction with A
        7.05    B leg.moved_away leg 1
        7.05    B call.ended transferred by Near
        7.05        bob hears dave
        7.05        dave hears bob
    "#]]);
    world.settle();
}

#[test]
fn who_cannot_get_there_hears_a_busy_tone() {
    let mut world = World::with_workers(&[2, 2], |_| {});
    world.install();
    world.parked();
    world.dial("carol", "701");
    world.dial("dave", "1000");
    // Dave has the last port on Bob's worker.
    world.run(ms(35));
    world.op(Op::Answer);
    world.run(s(10));
    world.check(expect![[r#"
        6.03    B call.started to 701
        6.03    flow 1000 starts for dave@demo
        6.03    C call.started to 1000
        6.03    C flow.started
        6.04    C flow.asked answer
        6.05    B call.answered
        6.05    B call.fallback busy
        6.05        carol hears busy
        6.05    flow is told Ok(Done)
        6.05    C call.answered
        10.05   B call.ended failed by Near
        11.05   C flow.fault
        11.05   C call.fallback sorry
        11.05       dave hears sorry
        12.05   C call.ended failed by Near
    "#]]);
    world.settle();
}

#[test]
fn slots_that_are_taken_out_of_the_configuration_are_dialled_no_more() {
    let mut world = World::new();
    world.parked();
    world.reconfigure(|tenant| tenant.park.slots = 801..=802);
    world.dial("carol", "701");
    world.run(s(1));
    world.dial("carol", "801");
    world.run(s(1));
    // By request it is still there.
    let (user, slot) = ("carol".to_owned(), 701);
    world.ask(Control::PickUp { user, slot });
    world.run(s(2));
    world.check(expect![[r#"
        8.00    request 3 is told Ok(Calling { legs: [3] })
        8.00    A leg.dialed leg 3 to carol
        9.02    A park.picked_up leg 2 with 3 701
        9.02    A leg.bridged 2 3
        9.02        bob hears carol
        9.02        carol hears bob
    "#]]);
    world.settle();
}

#[test]
fn who_is_accepted_comes_in_though_the_node_takes_no_more_calls() {
    let mut world = World::new();
    world.parked();
    world.dial("carol", "701");
    world.run(ms(35));
    world.feed(Input::Drain);
    world.run(s(1));
    world.check(expect![[r#"
        6.03    B call.started to 701
        6.05    A leg.moved_in leg 3 with 2 01m7z7ts461f06yq0675qgb5b6
        6.05    A park.picked_up leg 2 with 3 701
        6.05    A leg.bridged 2 3
        6.05    B call.answered
        6.05    B call.interaction with A
        6.05    B leg.moved_away leg 1
        6.05    B call.ended transferred by Near
        6.05        bob hears carol
        6.05        carol hears bob
    "#]]);
    world.settle();
}

#[test]
fn a_phone_that_holds_at_once_holds_the_other() {
    let mut world = World::new();
    world.parked();
    world.dial("carol", "701");
    world.run(ms(45));
    let n = world.of("carol");
    let leg = *world.phones[n].legs.last().expect("a call");
    let (codecs, hold) = (Vec::new(), true);
    world.phone_does("carol", Command::Reoffer { leg, codecs, hold });
    world.run(s(2));
    world.check(expect![[r#"
        6.03    B call.started to 701
        6.05    A leg.moved_in leg 3 with 2 01m7z7ts461f06yq0675qgb5b6
        6.05    A park.picked_up leg 2 with 3 701
        6.05    A leg.bridged 2 3
        6.05    B call.answered
        6.05    B call.interaction with A
        6.05    B leg.moved_away leg 1
        6.05    B call.ended transferred by Near
        6.05        bob hears carol
        6.05        carol hears bob
        6.05    A leg.held leg 2 by 3
        6.05    A leg.unbridged 2 3
        6.05        bob hears music on hold
        6.05        carol hears nothing
    "#]]);
    world.settle();
}

#[test]
fn who_gives_up_before_the_store_has_answered_leaves_the_other_waiting() {
    let mut world = World::new();
    world.parked();
    world.disk_sticks(true);
    world.show_sip = true;
    world.dial("carol", "701");
    world.run(s(1));
    world.hang_up("carol");
    world.run(s(1));
    world.disk_sticks(false);
    world.show_sip = false;
    // It waits as long as if nobody had tried, and then for the one who parked it.
    world.run(s(25));
    world.check(expect![[r#"
        6.00    carol → home: INVITE (application/sdp)
        6.01    home → carol: 100 Trying (INVITE)
        6.01    home → carol: 401 Unauthorized (INVITE)
        6.02    carol → home: ACK
        6.02    carol → home: INVITE (application/sdp)
        6.03    home → carol: 100 Trying (INVITE)
        6.03    B call.started to 701
        7.00    carol → home: CANCEL
        7.01    home → carol: 200 OK (CANCEL)
        7.01    home → carol: 487 Request Terminated (INVITE)
        7.02    carol → home: ACK
        8.00    B call.ended cancelled by Far
        27.01   A park.timed_out leg 2 701
        27.01   A leg.dialed leg 3 to ann
        27.01   A transfer.called_back leg 2 with 3
        27.01       bob hears ringback
        28.03   A leg.bridged 2 3
        28.03       bob hears ann
        28.03       ann hears bob
    "#]]);
    world.settle();
}
