//! What takes long: sessions that are refreshed or not (RFC 4028, 90 s here, the least there is), and
//! messages that never come. A session that is not refreshed ends a third, and at most 32 s, before
//! its time is over (§10); it is refreshed at half of it.

use jackfield_tests::peers::lab::{Lab, Scenario, TALKED, same};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("caller-refreshes", caller_refreshes),
    ("caller-stops-refreshing", caller_stops),
    ("server-refreshes", server_refreshes),
    ("server-refreshes-callee", server_refreshes_callee),
    ("callee-stops-refreshing", callee_stops),
    ("crossing-offers", crossing_offers),
    ("crossing-offers-callee", crossing_offers_callee),
    ("never-acknowledged", never_acknowledged),
];

const HUNG_UP: &str = "asks answer, call.answered, asks gather, ended normal far";

/// By UPDATE and by re-INVITE; it goes on beyond the time at which it would have been given up.
fn caller_refreshes(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
            Supported: timer
            Session-Expires: 90;refresher=uac
        <? 100
        < 200
            Session-Expires: 90;refresher=uac
            Require: timer
        > ACK
        wait 35000
        > UPDATE
            Supported: timer
            Session-Expires: 90;refresher=uac
        < 200
            Session-Expires: 90;refresher=uac
        wait 15000
        > INVITE sdp
            Supported: timer
            Session-Expires: 90;refresher=uac
        <? 100
        < 200
            Session-Expires: 90;refresher=uac
        > ACK
        wait 14000
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

fn caller_stops(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
            Supported: timer
            Session-Expires: 90;refresher=uac
        <? 100
        < 200
        > ACK
        < BYE
        > 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(
        &lab.story(name)?,
        "asks answer, call.answered, asks gather, ended lost far",
    )
}

/// The caller leaves it to us, and we ask by UPDATE, which it allows.
fn server_refreshes(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
            Supported: timer
            Allow: INVITE, ACK, BYE, CANCEL, UPDATE
            Session-Expires: 90;refresher=uas
        <? 100
        < 200
            Session-Expires: 90;refresher=uas
        > ACK
        < UPDATE
            Session-Expires: 90;refresher=uac
        > 200
            Require: timer
            Session-Expires: 90;refresher=uac
        wait 500
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

const CALLER: &str = "
    > INVITE sdp
        Supported: timer
        Allow: UPDATE
    <? 100
    < 401
    > ACK
    > INVITE sdp login
        Supported: timer
        Session-Expires: 3600;refresher=uac
    <? 100
    < 200
    > ACK
    < BYE
    > 200
";

/// A phone that knows no UPDATE is asked by re-INVITE.
fn server_refreshes_callee(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
            Session-Expires: 90
        > 200 sdp
            Require: timer
            Session-Expires: 90;refresher=uac
        < ACK
        < INVITE
            Session-Expires: 90;refresher=uac
            body: m=audio
        > 200 sdp
            Require: timer
            Session-Expires: 90;refresher=uac
        < ACK
        > BYE
        < 200
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    same(&story, TALKED)
}

/// A phone that wants to refresh and does not: both sides of the call end.
fn callee_stops(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
        > 200 sdp
            Require: timer
            Session-Expires: 90;refresher=uas
        < ACK
        < BYE
        > 200
    ";
    // The caller has a session of its own, which we refresh.
    let caller = CALLER
        .replace("3600;refresher=uac", "90;refresher=uas\nAllow: UPDATE")
        .replace(
            "< BYE",
            "< UPDATE\n> 200\nRequire: timer\nSession-Expires: 90;refresher=uac\n< BYE",
        );
    let (_, _, story) = lab.between(name, &caller, callee)?;
    same(&story, TALKED)
}

/// Both offer at once, both are refused, and ours comes again after a random time (RFC 3261 §14.1).
fn crossing_offers(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
            Supported: timer
            Session-Expires: 90;refresher=uas
        <? 100
        < 200
        > ACK
        < INVITE
            body: m=audio
        > INVITE sdp
        < 491
        > ACK
        > 491 invite
        < ACK
        < INVITE
            body: m=audio
        > 200 sdp
            Require: timer
            Session-Expires: 90;refresher=uac
        < ACK
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

/// The same with a phone that was called, whose offer crosses our refresh.
fn crossing_offers_callee(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
            Session-Expires: 90
        > 200 sdp
            Require: timer
            Session-Expires: 90;refresher=uac
        < ACK
        < INVITE
            body: m=audio
        > INVITE sdp
        < 491
        > ACK
        > 491 invite
        < ACK
        < INVITE
            body: m=audio
        > 200 sdp
            Require: timer
            Session-Expires: 90;refresher=uac
        < ACK
        > BYE
        < 200
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    same(&story, TALKED)
}

/// Our 200 is repeated for 32 s, then the call is hung up (RFC 3261 §13.3.1.4).
fn never_acknowledged(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        <? 100
        < 200
        < BYE
        > 200
    ";
    let seen = lab.stranger(name, "1000", ladder).run()?;
    anyhow::ensure!(
        seen.ladder()
            == [
                "> INVITE",
                "< 100 INVITE",
                "< 200 INVITE",
                "< BYE",
                "> 200 BYE"
            ]
    );
    same(&lab.story(name)?, "asks answer, ended lost far")
}
