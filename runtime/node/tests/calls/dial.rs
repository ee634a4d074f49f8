//! A flow has somebody called for a caller who was not answered.

use expect_test::expect;
use jackfield_node::EarlyMedia;
use vocab::flow::Op;

use crate::phone::Manner;
use crate::world::{World, dial, ms, s};

/// Ann calls a number whose flow, without an answer, has Bob called.
fn dialed(world: &mut World) {
    world.install();
    world.show_sip = true;
    world.dial("ann", "1000");
    world.run(s(1));
    world.skip_ladder();
    world.op(dial("bob"));
}

#[test]
fn a_caller_is_answered_when_the_far_end_answers() {
    let mut world = World::new();
    dialed(&mut world);
    world.run(s(3));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        2.00    home → bob: INVITE (application/sdp)
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.01    bob → home: 100 Trying (INVITE)
        2.01    bob → home: 180 Ringing (INVITE)
        2.02    home → ann: 180 Ringing (INVITE)
        3.01    bob → home: 200 OK (INVITE, application/sdp)
        3.02    home → bob: ACK
        3.02    home → ann: 200 OK (INVITE, application/sdp)
        3.02        bob hears nothing
        3.03    ann → home: ACK
        3.04    A call.answered
        3.04    A leg.bridged 1 2
        3.04        bob hears ann
        3.04        ann hears bob
        5.00    bob → home: BYE
        5.01    home → bob: 200 OK (BYE)
        5.01    A leg.unbridged 1 2
        5.01        ann hears nothing
        5.01    flow is told Ok(Dialed { result: Answered, cause: None, talk: 1.97s })
        5.01    A leg.dial_ended leg 2 Answered
        5.01        ann hears silence
        5.03        ann hears nothing
    "#]]);
    world.settle();
}

#[test]
fn a_caller_hears_the_far_end_before_it_answers() {
    let mut world = World::new();
    world.manner("bob", Manner::Announces(s(2)));
    dialed(&mut world);
    world.run(s(3));
    world.check(expect![[r#"
        2.00    home → bob: INVITE (application/sdp)
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.01    bob → home: 100 Trying (INVITE)
        2.01    bob → home: 183 Session Progress (INVITE, application/sdp)
        2.02    home → ann: 180 Ringing (INVITE)
        2.02    home → ann: 183 Session Progress (INVITE, application/sdp)
        2.02        bob hears ann
        2.02        ann hears bob
        4.01    bob → home: 200 OK (INVITE, application/sdp)
        4.02    home → bob: ACK
        4.02    home → ann: 200 OK (INVITE, application/sdp)
        4.03    ann → home: ACK
        4.04    A call.answered
        4.04    A leg.bridged 1 2
    "#]]);
    world.settle();
}

/// Bob was heard, answers, and is gone before Ann's phone has confirmed that it is connected: the two
/// never talked, and nothing says that they stopped.
#[test]
fn the_far_end_hangs_up_before_the_caller_is_connected() {
    let mut world = World::new();
    world.manner("bob", Manner::Announces(s(2)));
    dialed(&mut world);
    world.run(ms(2_015));
    world.skip_ladder();
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        4.02    home → bob: ACK
        4.02    home → ann: 200 OK (INVITE, application/sdp)
        4.03    bob → home: BYE
        4.03    ann → home: ACK
        4.04    home → bob: 200 OK (BYE)
        4.04        ann hears nothing
        4.04    flow is told Ok(Dialed { result: Unreachable, cause: None, talk: 0ns })
        4.04    A leg.dial_ended leg 2 Unreachable
        4.04    A call.answered
    "#]]);
    world.settle();
}

#[test]
fn a_tenant_may_want_its_callers_to_hear_ringing_only() {
    let mut world = World::with(|tenant| tenant.early_media = EarlyMedia::Ringback);
    world.manner("bob", Manner::Announces(s(2)));
    dialed(&mut world);
    world.run(s(1));
    world.check(expect![[r#"
        2.00    home → bob: INVITE (application/sdp)
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.01    bob → home: 100 Trying (INVITE)
        2.01    bob → home: 183 Session Progress (INVITE, application/sdp)
        2.02    home → ann: 180 Ringing (INVITE)
        2.02        bob hears nothing
    "#]]);
    world.settle();
}

#[test]
fn an_answered_caller_hears_the_far_end_instead_of_our_ringing() {
    let mut world = World::new();
    world.install();
    world.manner("bob", Manner::Announces(s(2)));
    world.dial("ann", "1000");
    world.run(s(1));
    world.op(Op::Answer);
    world.run(s(1));
    world.skip_ladder();
    world.op(dial("bob"));
    world.run(s(3));
    world.check(expect![[r#"
        3.00    A flow.asked dial
        3.00    A leg.dialed leg 2 to bob
        3.00        ann hears ringback
        3.02        ann hears bob
        3.02        bob hears ann
        5.02    A leg.bridged 1 2
    "#]]);
    world.settle();
}

#[test]
fn a_caller_is_refused_as_the_far_end_refused() {
    let mut world = World::new();
    world.manner("bob", Manner::Refuses(486));
    dialed(&mut world);
    world.run(s(1));
    world.op(Op::Hangup { cause: None });
    world.run(s(1));
    world.check(expect![[r#"
        2.00    home → bob: INVITE (application/sdp)
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.01    bob → home: 100 Trying (INVITE)
        2.01    bob → home: 486 Busy Here (INVITE)
        2.02    home → bob: ACK
        2.02    flow is told Ok(Dialed { result: Busy, cause: Some("busy"), talk: 0ns })
        2.02    A leg.dial_ended leg 2 Busy
        3.00    flow is told Ok(Done)
        3.00    home → ann: 486 Busy Here (INVITE)
        3.00    flow is over: busy
        3.00    A flow.asked hangup
        3.01    ann → home: ACK
    "#]]);
    world.settle();
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let mut world = World::new();
    world.manner("bob", Manner::Announces(s(20)));
    dialed(&mut world);
    world.run(s(1));
    world.show_sip = false;
    world.hang_up("ann");
    world.run(s(9));
    world.check(expect![[r#"
        2.00    home → bob: INVITE (application/sdp)
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.01    bob → home: 100 Trying (INVITE)
        2.01    bob → home: 183 Session Progress (INVITE, application/sdp)
        2.02    home → ann: 180 Ringing (INVITE)
        2.02    home → ann: 183 Session Progress (INVITE, application/sdp)
        2.02        bob hears ann
        2.02        ann hears bob
        3.01        bob hears nothing
        3.01    flow is over: cancelled
        3.01    A leg.dial_ended leg 2 NoAnswer
        8.01    A flow.ended hangup
        8.01    A call.ended cancelled by Far
    "#]]);
    world.settle();
}

#[test]
fn a_phone_sends_a_call_elsewhere() {
    let mut world = World::with(|tenant| tenant.follow_redirects = true);
    world.manner("bob", Manner::SendsTo("carol"));
    dialed(&mut world);
    world.show_sip = false;
    world.run(s(3));
    world.check(expect![[r#"
        2.00    home → bob: INVITE (application/sdp)
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.02    A leg.dial_ended leg 2 Rejected
        2.02    A leg.dialed leg 3 to carol
        3.04        carol hears nothing
        3.06    A call.answered
        3.06    A leg.bridged 1 3
        3.06        carol hears ann
        3.06        ann hears carol
    "#]]);
    world.settle();
}

#[test]
fn nobody_is_called_twice_nor_by_the_wish_of_a_stranger() {
    for follow_redirects in [true, false] {
        let mut world = World::with(|tenant| tenant.follow_redirects = follow_redirects);
        world.manner("bob", Manner::SendsTo("carol"));
        world.manner("carol", Manner::SendsTo("bob"));
        dialed(&mut world);
        world.run(s(3));
        let called = world.ladder().matches("leg.dialed").count();
        assert_eq!(called, if follow_redirects { 2 } else { 1 });
        assert!(
            world.ladder().contains("flow is told Ok(Dialed"),
            "{}",
            world.ladder()
        );
        world.settle();
    }
}

#[test]
fn a_group_is_rung_all_at_once_or_in_turn() {
    let mut world = World::new();
    world.manner("bob", Manner::Rings);
    dialed_group(&mut world, "sales");
    world.run(s(3));
    world.check(expect![[r#"
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.00    A leg.dialed leg 3 to carol
        3.02    A leg.dial_ended leg 2 NoAnswer (Elsewhere)
        3.02        carol hears nothing
        3.04    A call.answered
        3.04    A leg.bridged 1 3
        3.04        carol hears ann
        3.04        ann hears carol
    "#]]);
    world.settle();
    let mut world = World::new();
    world.manner("bob", Manner::Rings);
    dialed_group(&mut world, "night");
    world.run(s(13));
    world.check(expect![[r#"
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        12.00   A leg.dial_ended leg 2 NoAnswer
        12.00   A leg.dialed leg 3 to carol
        13.02       carol hears nothing
        13.04   A call.answered
        13.04   A leg.bridged 1 3
        13.04       carol hears ann
        13.04       ann hears carol
    "#]]);
    world.settle();
}

fn dialed_group(world: &mut World, group: &str) {
    world.install();
    world.dial("ann", "1000");
    world.run(s(1));
    world.skip_ladder();
    world.op(dial(group));
}

#[test]
fn why_nobody_answered_is_told_beside_the_result() {
    let why = |status: u16| {
        let mut world = World::new();
        world.manner("bob", Manner::Refuses(status));
        dialed(&mut world);
        world.run(s(1));
        let ladder = world.ladder().to_owned();
        let line = |what: &str| {
            let line = ladder.lines().find_map(|line| line.split_once(what));
            line.unwrap_or_else(|| panic!("{status}: {ladder}"))
                .1
                .to_owned()
        };
        world.op(Op::Hangup { cause: None });
        world.settle();
        format!(
            "{status}{} | {}\n",
            line("leg.dial_ended leg 2"),
            line("flow is told")
        )
    };
    let told: String = [404, 480, 486, 488, 500, 503, 600, 603, 604, 607, 608]
        .map(why)
        .concat();
    expect![[r#"
        404 Unreachable (NotFound) |  Ok(Dialed { result: Unreachable, cause: Some("not_found"), talk: 0ns })
        480 NoAnswer |  Ok(Dialed { result: NoAnswer, cause: Some("no_answer"), talk: 0ns })
        486 Busy |  Ok(Dialed { result: Busy, cause: Some("busy"), talk: 0ns })
        488 Rejected (NotAcceptable) |  Ok(Dialed { result: Rejected, cause: Some("not_acceptable"), talk: 0ns })
        500 Unreachable |  Ok(Dialed { result: Unreachable, cause: Some("unreachable"), talk: 0ns })
        503 Unreachable |  Ok(Dialed { result: Unreachable, cause: Some("unreachable"), talk: 0ns })
        600 Busy |  Ok(Dialed { result: Busy, cause: Some("busy"), talk: 0ns })
        603 Rejected |  Ok(Dialed { result: Rejected, cause: Some("rejected"), talk: 0ns })
        604 Unreachable (NotFound) |  Ok(Dialed { result: Unreachable, cause: Some("not_found"), talk: 0ns })
        607 Rejected (Blocked) |  Ok(Dialed { result: Rejected, cause: Some("blocked"), talk: 0ns })
        608 Rejected (Blocked) |  Ok(Dialed { result: Rejected, cause: Some("blocked"), talk: 0ns })
    "#]].assert_eq(&told);
}
