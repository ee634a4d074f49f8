//! Calls that come in by a carrier: whom they reach, what is known of the caller, and who is told.

use std::sync::Arc;

use expect_test::expect;
use jackfield_node::{
    ConsentPolicy, Control, Destination, NumberPlan, Tenant, Trunk, TrunkRegistration,
};
use vocab::Pii;
use vocab::flow::Op;

use crate::phone::Manner;
use crate::world::{World, address, dial, leg, ms, s};

const CITY: &str = "192.0.2.20:5060";
const CLOSE: &str = "192.0.2.21:5060";
const LOOSE: &str = "192.0.2.22:5060";

/// From whom the carrier's calls come, unless a test says otherwise.
const CALLER: &str = "<sip:02155501234@city.example>";

/// A house with three carriers: calls come in by one and go out by the others, of which one is told
/// who calls for certain.
fn world() -> World {
    world_with(None)
}

/// The same house with one more carrier.
fn world_with(more: Option<Trunk>) -> World {
    world_changed(more, |_| {})
}

/// The same, changed.
fn world_changed(more: Option<Trunk>, change: impl FnOnce(&mut Tenant)) -> World {
    let out = |id: &str, at: &str, prefix: &str, asserts| Trunk {
        id: id.into(),
        address: address(at).into(),
        prefixes: vec![prefix.into()],
        asserts,
        ..Trunk::default()
    };
    let city = Trunk {
        id: "city".into(),
        address: address(CITY).into(),
        calls_max: Some(2),
        inbound: true,
        ..Trunk::default()
    };
    let mut world = World::with(|tenant| {
        tenant.numbers = NumberPlan {
            country: "86".into(),
            area: "21".into(),
            national: "0".into(),
            international: "00".into(),
        };
        for route in tenant.routes.values_mut() {
            Arc::make_mut(route).public = false;
        }
        let close = out("close", CLOSE, "+8621", true);
        let loose = out("loose", LOOSE, "+8610", false);
        let trunks = [city, close, loose].into_iter().chain(more);
        tenant.trunks = trunks.map(Arc::new).collect();
        change(tenant);
    });
    world.outsider("city", CITY);
    world.outsider("close", CLOSE);
    world.outsider("loose", LOOSE);
    world.outsider("stranger", "192.0.2.30:5060");
    world.install();
    world
}

/// The carrier calls a number whose flow asks for somebody.
fn calls(world: &mut World, more: &[(&str, &str)], target: &str) {
    world.dial_as("city", "1000", CALLER, more);
    world.run(s(1));
    world.op(dial(target));
}

#[test]
fn a_flow_connects_a_carriers_caller_with_a_phone_and_with_nobody_outside() {
    let mut world = world();
    world.show_sip = true;
    calls(&mut world, &[], "bob");
    world.run(s(2));
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        1.00    city → home: INVITE (application/sdp)
        1.01    home → city: 100 Trying (INVITE)
        1.01    flow 1000 starts for +862155501234
        1.01    A call.started to 1000 from +862155501234 by city
        1.01    A flow.started
        2.00    home → bob: INVITE (application/sdp)
        2.00    A flow.asked dial
        2.00    A leg.dialed leg 2 to bob
        2.01    bob → home: 100 Trying (INVITE)
        2.01    bob → home: 180 Ringing (INVITE)
        2.02    home → city: 180 Ringing (INVITE)
        3.01    bob → home: 200 OK (INVITE, application/sdp)
        3.02    home → bob: ACK
        3.02    home → city: 200 OK (INVITE, application/sdp)
        3.02        bob hears nothing
        3.03    city → home: ACK
        3.04    A call.answered
        3.04    A leg.bridged 1 2
        3.04        bob hears city
        3.04        city hears bob
        4.00    bob → home: BYE
        4.01    home → bob: 200 OK (BYE)
        4.01    A leg.unbridged 1 2
        4.01        city hears nothing
        4.01    flow is told Ok(Dialed { result: Answered, cause: None, talk: 970ms })
        4.01    A leg.dial_ended leg 2 Answered
        4.01        city hears silence
        4.03        city hears nothing
    "#]]);
    world.show_sip = false;
    // A ring group is the house, too.
    world.op(dial("sales"));
    world.run(s(2));
    world.hang_up("carol");
    world.hang_up("bob");
    world.run(s(1));
    world.check(expect![[r#"
        5.00    A flow.asked dial
        5.00    A leg.dialed leg 3 to bob
        5.00    A leg.dialed leg 4 to carol
        5.00        city hears ringback
        6.02    A leg.dial_ended leg 4 NoAnswer (Elsewhere)
        6.02    A leg.bridged 1 3
        6.02        city hears bob
        6.02        bob hears city
        7.01    A leg.unbridged 1 3
        7.01        city hears nothing
        7.01    flow is told Ok(Dialed { result: Answered, cause: None, talk: 990ms })
        7.01    A leg.dial_ended leg 3 Answered
        7.01        city hears silence
        7.03        city hears nothing
    "#]]);
    // Not so a number outside, however it is written, nor somebody at another host.
    for target in [
        "+862155501111",
        "02155501111",
        "55501111",
        "110",
        "bob@192.0.2.11",
    ] {
        world.op(dial(target));
    }
    world.op(Op::Transfer {
        target: vocab::flow::DialTarget::E164("+862155501111".into()),
    });
    world.run(s(1));
    world.check(expect![[r#"
        8.00    flow is told Err(Denied("a caller from a trunk reaches phones and ring groups of the tenant: numbers outside are for callers with credentials"))
        8.00    A flow.asked dial
        8.00    flow is told Err(Denied("a caller from a trunk reaches phones and ring groups of the tenant: numbers outside are for callers with credentials"))
        8.00    A flow.asked dial
        8.00    flow is told Err(Denied("a caller from a trunk reaches phones and ring groups of the tenant: numbers outside are for callers with credentials"))
        8.00    A flow.asked dial
        8.00    flow is told Err(Denied("a caller from a trunk reaches phones and ring groups of the tenant: numbers outside are for callers with credentials"))
        8.00    A flow.asked dial
        8.00    flow is told Err(Denied("addresses outside are not dialled: use a number and a trunk"))
        8.00    A flow.asked dial
        8.00    flow is told Err(Denied("a caller from a trunk reaches phones and ring groups of the tenant: numbers outside are for callers with credentials"))
        8.00    A flow.asked transfer
    "#]]);
    assert_eq!(world.shown_to("close"), "nothing");
    world.settle();
}

#[test]
fn a_phone_of_another_tenant_is_not_there() {
    let mut world = world();
    world.moves_out("dave");
    calls(&mut world, &[], "dave");
    world.run(s(2));
    world.check(expect![[r#"
        1.01    flow 1000 starts for +862155501234
        1.01    A call.started to 1000 from +862155501234 by city
        1.01    A flow.started
        2.00    flow is told Err(NotFound("no such phone in this tenant"))
        2.00    A flow.asked dial
    "#]]);
    assert_eq!(world.shown_to("dave"), "nothing");
    world.settle();
}

#[test]
fn whoever_is_no_carrier_is_asked_for_credentials_whatever_it_asserts() {
    let mut world = world();
    world.show_sip = true;
    let asserted = [("P-Asserted-Identity", "<tel:+862155501234>")];
    world.dial_as("stranger", "1000", CALLER, &asserted);
    world.run(s(1));
    world.check(expect![[r#"
        1.00    stranger → home: INVITE (application/sdp)
        1.01    home → stranger: 100 Trying (INVITE)
        1.01    home → stranger: 401 Unauthorized (INVITE)
        1.02    stranger → home: ACK
        1.02    stranger → home: INVITE (application/sdp)
        1.03    home → stranger: 401 Unauthorized (INVITE)
        1.04    stranger → home: ACK
    "#]]);
    world.settle();
}

/// One more at the address of the first.
fn beside_city(id: &str) -> Trunk {
    Trunk {
        id: id.into(),
        address: address(CITY).into(),
        inbound: true,
        ..Trunk::default()
    }
}

#[test]
fn of_tenants_with_one_carrier_each_gets_the_calls_to_its_numbers() {
    let mut world = world();
    world.gives_away("2000", beside_city("theirs"));
    world.show_sip = true;
    for number in ["1000", "2000", "3000"] {
        world.dial_as("city", number, CALLER, &[]);
        world.run(s(1));
    }
    world.check(expect![[r#"
        1.00    city → home: INVITE (application/sdp)
        1.01    home → city: 100 Trying (INVITE)
        1.01    flow 1000 starts for +862155501234
        1.01    A call.started to 1000 from +862155501234 by city
        1.01    A flow.started
        2.00    city → home: INVITE (application/sdp)
        2.01    home → city: 100 Trying (INVITE)
        2.01    flow 2000 starts for +862155501234
        2.01    B call.started to 2000 from +862155501234 by theirs
        2.01    B flow.started
        3.00    city → home: INVITE (application/sdp)
        3.01    home → city: 100 Trying (INVITE)
        3.01    home → city: 404 Not Found (INVITE)
        3.02    city → home: ACK
    "#]]);
    world.settle();
}

#[test]
fn of_accounts_at_one_carrier_the_one_that_is_called_has_the_call() {
    let mut account = beside_city("account");
    account.registration = Some(TrunkRegistration {
        user: "2000".into(),
        expires: s(600),
    });
    let mut world = world_with(Some(account));
    for number in ["1000", "2000"] {
        world.dial_as("city", number, CALLER, &[]);
        world.run(s(1));
    }
    world.check(expect![[r#"
        1.01    flow 1000 starts for +862155501234
        1.01    A call.started to 1000 from +862155501234 by city
        1.01    A flow.started
        2.01    flow 2000 starts for +862155501234
        2.01    B call.started to 2000 from +862155501234 by account
        2.01    B flow.started
    "#]]);
    world.settle();
}

#[test]
fn whoever_is_called_outside_hears_that_it_is_recorded() {
    for prefixes in [["+86"], ["+49"]] {
        let mut world = world_changed(None, |tenant| {
            for route in tenant.routes.values_mut() {
                Arc::make_mut(route).record = true;
            }
            tenant.consent = Some(ConsentPolicy {
                announcement: "sorry".to_owned(),
                key: Some('1'),
                prefixes: prefixes.map(str::to_owned).to_vec(),
            });
        });
        world.dial("ann", "1000");
        world.run(s(1));
        world.op(Op::Answer);
        world.run(ms(500));
        world.press("ann", '1');
        world.run(s(1));
        world.op(dial("+862155501111"));
        world.run(s(4));
        let lines = world.ladder().lines();
        let about = |line: &&str| {
            let words = ["hears", "recording.", "bridged"];
            words.iter().any(|word| line.contains(word))
        };
        let told: Vec<&str> = lines.filter(about).collect();
        let told = told.join("\n") + "\n";
        if prefixes == ["+86"] {
            expect![[r#"
                2.02        ann hears sorry
                2.50    A recording.consent given
                2.50    A recording.started
                2.50    A recording.segment_started s1 leg 1, 2
                2.50        ann hears nothing
                3.50        ann hears ringback
                4.52    A recording.segment_started s2 leg 2, 1
                4.52    A leg.bridged 1 2
                4.52        ann hears close
                4.52        close hears sorry
                5.52        close hears ann
            "#]]
            .assert_eq(&told);
        } else {
            expect![[r#"
                2.02        ann hears sorry
                2.50    A recording.consent given
                2.50    A recording.started
                2.50    A recording.segment_started s1 leg 1, 2
                2.50        ann hears nothing
                3.50        ann hears ringback
                4.52    A recording.segment_started s2 leg 2, 1
                4.52    A leg.bridged 1 2
                4.52        ann hears close
                4.52        close hears ann
            "#]]
            .assert_eq(&told);
        }
        world.settle();
    }
}

#[test]
fn a_call_takes_a_line_of_its_trunk_until_it_ends() {
    let mut world = world();
    let lines = |world: &World| {
        let trunks = world.node.trunks().map(|it| (it.id, it.calls));
        trunks.collect::<Vec<_>>()
    };
    for _ in 0..2 {
        world.dial_as("city", "1000", CALLER, &[]);
    }
    world.run(s(1));
    assert_eq!(
        lines(&world),
        [("city".into(), 2), ("close".into(), 0), ("loose".into(), 0)]
    );
    world.skip_ladder();
    world.show_sip = true;
    world.dial_as("city", "1000", CALLER, &[]);
    world.run(s(1));
    world.check(expect![[r#"
        2.00    city → home: INVITE (application/sdp)
        2.01    home → city: 100 Trying (INVITE)
        2.01    home → city: 503 Service Unavailable (INVITE)
        2.02    city → home: ACK
    "#]]);
    world.show_sip = false;
    // One that is refused gives its line back as well as one that hangs up.
    world.op(Op::Hangup { cause: None });
    world.run(s(1));
    assert_eq!(lines(&world)[0].1, 1);
    world.hang_up("city");
    world.run(s(9));
    assert_eq!(lines(&world)[0].1, 0);
    world.skip_ladder();
    world.dial_as("city", "1000", CALLER, &[]);
    world.run(s(1));
    assert!(
        world.ladder().contains("call.started"),
        "{}",
        world.ladder()
    );
    world.settle();
    assert_eq!(lines(&world)[0].1, 0);
}

#[test]
fn a_callers_number_is_the_one_that_is_asserted_where_it_shows_none() {
    let number = "<sip:02155509999@city.example>";
    let nobody = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    let mut told = String::new();
    let mut world = world();
    for (from, more) in [
        (CALLER, vec![]),
        (CALLER, vec![("P-Asserted-Identity", number)]),
        (nobody, vec![("P-Asserted-Identity", number)]),
        (nobody, vec![]),
        (
            nobody,
            vec![("P-Asserted-Identity", number), ("Privacy", "id")],
        ),
        (CALLER, vec![("Privacy", "user;id")]),
        (CALLER, vec![("Privacy", "none")]),
    ] {
        world.dial_as("city", "1000", from, &more);
        world.run(s(1));
        world.op(dial("bob"));
        world.run(s(1));
        for line in world.ladder().lines() {
            if line.contains("call.started") || line.contains("flow 1000") {
                told += &format!("{}\n", line[8..].trim());
            }
        }
        told += &format!("bob sees {}\n\n", world.shown_to("bob"));
        world.hang_up("city");
        world.run(s(9));
        world.skip_ladder();
    }
    world.settle();
    expect![[r#"
        flow 1000 starts for +862155501234
        A call.started to 1000 from +862155501234 by city
        bob sees sip:+862155501234@demo

        flow 1000 starts for +862155501234
        B call.started to 1000 from +862155501234 by city
        bob sees sip:+862155501234@demo

        flow 1000 starts for +862155509999
        C call.started to 1000 from +862155509999 by city
        bob sees sip:+862155509999@demo

        flow 1000 starts for anonymous
        D call.started to 1000 from anonymous by city
        bob sees sip:anonymous@anonymous.invalid

        flow 1000 starts for anonymous
        E call.started to 1000 from +862155509999 by city, withheld
        bob sees sip:anonymous@anonymous.invalid

        flow 1000 starts for anonymous
        F call.started to 1000 from +862155501234 by city, withheld
        bob sees sip:anonymous@anonymous.invalid

        flow 1000 starts for +862155501234
        G call.started to 1000 from +862155501234 by city
        bob sees sip:+862155501234@demo

    "#]]
    .assert_eq(&told);
}

/// Bob sends a carrier's caller, who does not want to be shown, on to a number outside: that is his
/// to do, and the other carrier is not told who it is.
#[test]
fn a_phone_sends_a_withheld_caller_outside() {
    let mut world = world();
    calls(&mut world, &[("Privacy", "id")], "bob");
    world.run(s(2));
    world.skip_ladder();
    let call = world.node.live_calls().next().expect("a call");
    let to = Destination::Number(Pii::new("02155501111".into()));
    world.ask(Control::Transfer {
        call,
        by: leg(2),
        to,
    });
    world.run(s(3));
    world.check(expect![[r#"
        4.00    flow is told Err(Hangup("the call is in other hands"))
        4.00    flow is over: transferred
        4.00    request 1 is told Ok(Calling { legs: [3] })
        4.00    A leg.dial_ended leg 2 Answered
        4.00    A transfer.asked leg 1 by 2 number
        4.00    A leg.dialed leg 3 to +862155501111 by close
        4.00    A leg.unbridged 1 2
        4.00        city hears ringback
        5.02    A transfer.done leg 1 with 3
        5.02    A leg.bridged 1 3
        5.02        city hears close
        5.02        close hears city
    "#]]);
    expect!["sip:anonymous@anonymous.invalid | Privacy: id"].assert_eq(&world.shown_to("close"));
    world.settle();
}

/// A phone that does not want to be shown is not, to colleagues and to carriers; one that wants to know
/// for certain is told who it is, to keep it to itself.
#[test]
fn a_phone_withholds_who_it_is() {
    let clear = "<sip:ann@demo>";
    let nobody = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    let mut told = String::new();
    let mut world = world();
    world.manner("bob", Manner::Refuses(486));
    for who in ["close", "loose"] {
        world.manner(who, Manner::Refuses(486));
    }
    for (from, more) in [
        (clear, vec![]),
        (clear, vec![("Privacy", "id")]),
        (nobody, vec![]),
        // What a phone asserts of itself counts for nothing.
        (clear, vec![("P-Asserted-Identity", "<tel:+8613800138000>")]),
    ] {
        world.dial_as("ann", "1000", from, &more);
        world.run(s(1));
        for target in ["bob", "02155501111", "01055501111"] {
            world.op(dial(target));
            world.run(s(1));
        }
        for who in ["bob", "close", "loose"] {
            told += &format!("{who} sees {}\n", world.shown_to(who));
        }
        told += "\n";
        world.hang_up("ann");
        world.run(s(9));
    }
    world.settle();
    expect![[r#"
        bob sees sip:ann@demo
        close sees sip:ann@192.0.2.21:5060 | P-Asserted-Identity: <sip:ann@192.0.2.21:5060>
        loose sees sip:ann@192.0.2.22:5060

        bob sees sip:anonymous@anonymous.invalid
        close sees sip:anonymous@anonymous.invalid | P-Asserted-Identity: <sip:ann@192.0.2.21:5060> | Privacy: id
        loose sees sip:anonymous@anonymous.invalid | Privacy: id

        bob sees sip:anonymous@anonymous.invalid
        close sees sip:anonymous@anonymous.invalid | P-Asserted-Identity: <sip:ann@192.0.2.21:5060> | Privacy: id
        loose sees sip:anonymous@anonymous.invalid | Privacy: id

        bob sees sip:ann@demo
        close sees sip:ann@192.0.2.21:5060 | P-Asserted-Identity: <sip:ann@192.0.2.21:5060>
        loose sees sip:ann@192.0.2.22:5060

    "#]].assert_eq(&told);
}
