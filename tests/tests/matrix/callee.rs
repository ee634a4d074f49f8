//! sipp is called: a user dials, the menu transfers, and the phone does this or that.

use anyhow::Context as _;
use jackfield_tests::peers::lab::{CALLER, Lab, Scenario, TALKED, failed, same};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("answers", answers),
    ("caller-hangs-up", caller_hangs_up),
    ("busy", busy),
    ("refusals", refusals),
    ("no-answer", no_answer),
    ("caller-gives-up", caller_gives_up),
    ("silent-phone", silent_phone),
    ("early-media", early_media),
    ("parts-callee", parts),
    ("reliable", reliable),
    ("update-early", update_early),
    ("changes", changes),
    ("late-offer-callee", late_offer),
    ("no-common-codec", no_common_codec),
    ("two-answers", two_answers),
    ("forks-none", forks_none),
    ("forks-one", forks_one),
    ("forks-two", forks_two),
    ("answers-cancel", answers_cancel),
    ("session-of-callee", session_of_callee),
];

/// A phone that answers, talks for a moment and hangs up.
const ANSWERS: &str = "
    < INVITE
        From: caller
        body: m=audio [0-9]+ RTP/AVP 0 111 9 8 101 110
    > 100
    > 180
    > 200 sdp
    < ACK
    wait 200
    > BYE
    < 200
";

fn answers(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let (_, _, story) = lab.between(name, CALLER, ANSWERS)?;
    same(&story, TALKED)
}

fn caller_hangs_up(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = CALLER.replace("< BYE\n    > 200", "wait 2500\n> BYE\n< 200");
    let callee = "
        < INVITE
        > 180
        > 200 sdp
        < ACK
        < BYE
        > 200
    ";
    let (_, _, story) = lab.between(name, &caller, callee)?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, leg.bridged, leg.unbridged, \
         dial answered, ended normal far",
    )
}

fn busy(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
        > 180
        > 486
        < ACK
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    same(&story, &failed("busy"))
}

/// Each refusal and what the flow is told.
fn refusals(lab: &Lab, name: &str) -> anyhow::Result<()> {
    for (status, result) in [
        (480, "no_answer"),
        (503, "unreachable"),
        (603, "rejected"),
        (488, "rejected"),
    ] {
        let callee = format!("< INVITE\n> {status}\n< ACK");
        let (_, _, story) = lab.between(&format!("{name}-{status}"), CALLER, &callee)?;
        same(&story, &failed(result))?;
    }
    Ok(())
}

/// It rings, nobody comes, and the server gives up (RFC 3261 §9.1).
fn no_answer(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
        > 180
        < CANCEL
        > 200
        > 487 invite
        < ACK
    ";
    let (_, _, story) = lab.between_at(name, &lab.impatient_phone(), CALLER, callee)?;
    same(&story, &failed("no_answer"))
}

fn caller_gives_up(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = CALLER.replace("< BYE\n    > 200", "wait 2500\n> BYE\n< 200");
    let callee = "
        < INVITE
        > 180
        < CANCEL
        > 200
        > 487 invite
        < ACK
    ";
    let (_, _, story) = lab.between(name, &caller, callee)?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, dial no_answer, ended normal far",
    )
}

/// It says nothing at all: the INVITE is repeated, and not cancelled before there is an answer.
fn silent_phone(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = CALLER.replace("< BYE\n    > 200", "wait 1200\n> BYE\n< 200");
    let callee = "
        < INVITE
        wait 1500
        > 180
        < CANCEL
        > 200
        > 487 invite
        < ACK
    ";
    let (_, _, story) = lab.between(name, &caller, callee)?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, dial no_answer, ended normal far",
    )
}

/// The answer lies beside a location (RFC 5621).
fn parts(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = ANSWERS.replace("> 200 sdp", "> 200 sdp:parts");
    assert_ne!(callee, ANSWERS);
    let (_, _, story) = lab.between(name, CALLER, &callee)?;
    same(&story, TALKED)
}

fn early_media(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = ANSWERS.replace("> 180", "> 183 sdp\n> 180\n> 183 sdp");
    let (_, _, story) = lab.between(name, CALLER, &callee)?;
    same(&story, TALKED)
}

/// Provisional answers that insist on being acknowledged (RFC 3262).
fn reliable(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
            Supported: 100rel
        > 180 rel
        < PRACK
            RAck: 1 [0-9]+ INVITE
        > 200
        > 183 sdp rel invite
        < PRACK
            RAck: 2 [0-9]+ INVITE
        > 200
        > 200 sdp invite
        < ACK
        > BYE
        < 200
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    same(&story, TALKED)
}

/// A new offer before the answer, in the dialog of a reliable one (RFC 3311 §5.2).
fn update_early(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
            Allow: UPDATE
        > 183 sdp rel
        < PRACK
        > 200
        > UPDATE sdp:alaw
        < 200
            body: RTP/AVP 8 101
        > 200 invite
        < ACK
        > BYE
        < 200
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    same(&story, TALKED)
}

/// The phone holds, comes back, and wants another codec, by re-INVITE and by UPDATE.
fn changes(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
        > 180
        > 200 sdp
        < ACK
        > INVITE sdp:sendonly
        <? 100
        < 200
            body: a=recvonly
        > ACK
        > INVITE sdp:zero
        <? 100
        < 200
        > ACK
        > UPDATE sdp:inactive
        < 200
            body: a=inactive
        > UPDATE sdp
        < 200
            !body: a=(inactive|recvonly)
        > INVITE sdp:alaw
        <? 100
        < 200
            body: RTP/AVP 8 101
        > ACK
        > INVITE sdp:strange
        <? 100
        < 488
        > ACK
        > BYE
        < 200
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    anyhow::ensure!(
        story.starts_with("asks answer, call.answered, asks dial, leg.dialed, leg.bridged")
    );
    for word in [
        "leg.held",
        "leg.retrieved",
        "dial answered, ended normal near",
    ] {
        anyhow::ensure!(story.contains(word), "no {word:?} in {story}");
    }
    Ok(())
}

/// The phone asks for an offer, and answers it in the ACK.
fn late_offer(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
        > 200 sdp:alaw
        < ACK
        > INVITE
        <? 100
        < 200
            body: m=audio [0-9]+ RTP/AVP
        > ACK sdp:ulaw
        > BYE
        < 200
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    same(&story, TALKED)
}

/// An answer with which nobody hears anything: acknowledged, and hung up.
fn no_common_codec(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
        > 200 sdp:strange
        < ACK
        < BYE
        > 200
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    same(&story, &failed("rejected"))
}

/// A proxy behind which two phones answer: the second is acknowledged and hung up (RFC 3261
/// §13.2.2.4).
fn two_answers(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
        > 180 tag:a
        > 180 tag:b
        > 200 sdp tag:a
        < ACK
            To: sa
        > 200 sdp tag:b invite
        < ACK
            To: sb
        < BYE
            To: sb
        > 200
        < BYE
            To: sa
        > 200
    ";
    let caller = CALLER.replace("< BYE\n    > 200", "wait 1500\n> BYE\n< 200");
    let (_, _, story) = lab.between(name, &caller, callee)?;
    same(&story, &TALKED.replace("normal near", "normal far"))
}

/// Two contacts of one user ring at the same time.
fn forks(lab: &Lab, name: &str, one: &str, other: &str) -> anyhow::Result<String> {
    let phone = lab.phone();
    let first = lab.callee(&format!("{name}-one"), &phone, one)?;
    let second = lab.callee(&format!("{name}-other"), &phone, other)?;
    lab.caller(name, &phone.number, CALLER).run()?;
    let story = lab.story(name)?;
    first.end_soon().with_context(|| story.clone())?;
    second.end_soon().with_context(|| story.clone())?;
    Ok(story)
}

fn forks_none(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let refuses = |status| format!("< INVITE\n> 180\nwait 200\n> {status}\n< ACK");
    let story = forks(lab, name, &refuses(486), &refuses(480))?;
    same(&story, &failed("busy"))
}

const CANCELLED: &str = "
    < INVITE
    > 180
    < CANCEL
        !Reason: cause=487
    > 200
    > 487 invite
    < ACK
";

fn forks_one(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let answers = ANSWERS.replace("> 200 sdp", "wait 500\n> 200 sdp");
    let story = forks(lab, name, &answers, CANCELLED)?;
    same(&story, TALKED)
}

/// The second answers while it is being cancelled: it is acknowledged and hung up.
fn forks_two(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let answers = ANSWERS.replace("> 200 sdp", "wait 500\n> 200 sdp");
    let crosses = "
        < INVITE
        > 180
        < CANCEL
        > 200
        > 200 sdp invite
        < ACK
        < BYE
        > 200
    ";
    let story = forks(lab, name, &answers, crosses)?;
    same(&story, TALKED)
}

/// The answer crosses the CANCEL of a caller who has gone (RFC 3261 §9.1).
fn answers_cancel(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = CALLER.replace("< BYE\n    > 200", "wait 2500\n> BYE\n< 200");
    let callee = "
        < INVITE
        > 180
        < CANCEL
        > 481
        > 200 sdp invite
        < ACK
        < BYE
        > 200
    ";
    let (_, _, story) = lab.between(name, &caller, callee)?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, dial no_answer, ended normal far",
    )
}

/// It refuses our session interval as too short for it (RFC 4028 §7.3), and is asked again.
fn session_of_callee(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let callee = "
        < INVITE
            Session-Expires: 90
        > 422
            Min-SE: 600
        < ACK
        < INVITE
            Session-Expires: 600
            Min-SE: 600
        > 200 sdp
            Require: timer
            Session-Expires: 600;refresher=uas
        < ACK
        > BYE
        < 200
    ";
    let (_, _, story) = lab.between(name, CALLER, callee)?;
    same(&story, TALKED)
}
