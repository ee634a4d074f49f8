//! A caller who is not answered before the phone is: what the phone says reaches the caller.

use jackfield_tests::peers::lab::{Lab, Scenario, same};
use jackfield_tests::peers::scenario::Seen;
use jackfield_tests::peers::talker::sdp;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("rings-then-answers", rings),
    ("early-media-relayed", early_media),
    ("busy-before-answer", busy),
    ("cancel-while-ringing", cancel),
    ("reliable-caller", reliable),
    ("caller-updates-early", update),
];

/// Takes as long as a PRACK is waited for.
pub(crate) const SLOW: &[(&str, Scenario)] = &[("never-confirmed", never_confirmed)];

/// Up to the INVITE with credentials; what follows is the scenario's.
const LOGIN: &str = "
    > INVITE sdp
    <? 100
    < 401
    > ACK
    > INVITE sdp login
";

const TALKS: &str = "
    > ACK
    < BYE
    > 200
";

/// What sets the phone's talk up and ends it.
const ANSWERS: &str = "
    wait 500
    > 200 sdp
    < ACK
    wait 200
    > BYE
    < 200
";

fn between(lab: &Lab, name: &str, caller: &str, callee: &str) -> anyhow::Result<(Seen, String)> {
    let mut phone = lab.phone();
    phone.number = phone.before.clone();
    let (seen, _, story) = lab.between_at(name, &phone, caller, callee)?;
    Ok((seen, story))
}

/// That the story has these words.
fn has(story: &str, words: &[&str]) -> anyhow::Result<()> {
    for word in words {
        anyhow::ensure!(story.contains(word), "no {word:?} in {story}");
    }
    Ok(())
}

fn rings(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = format!("{LOGIN}<? 100\n< 180\n< 200\nbody: m=audio\n{TALKS}");
    let callee = format!("< INVITE\n> 180\n{ANSWERS}");
    let (_, story) = between(lab, name, &caller, &callee)?;
    has(
        &story,
        &["leg.dialed", "call.answered", "leg.bridged", "ended normal"],
    )
}

/// The caller hears the phone before it answers: 183 with SDP.
fn early_media(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller =
        format!("{LOGIN}<? 100\n<? 180\n< 183\nbody: m=audio [1-9]\n< 200\nbody: m=audio\n{TALKS}");
    let callee = format!("< INVITE\n> 183 sdp\n{ANSWERS}");
    let (_, story) = between(lab, name, &caller, &callee)?;
    has(
        &story,
        &["leg.dialed", "call.answered", "leg.bridged", "ended normal"],
    )
}

fn busy(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = format!("{LOGIN}<? 100\n<? 180\n< 486\n> ACK\n");
    let callee = "< INVITE\n> 486\n< ACK\n";
    let (_, story) = between(lab, name, &caller, callee)?;
    has(&story, &["dial busy", "ended busy"])
}

fn cancel(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = format!(
        "{LOGIN}<? 100\n< 180\n> CANCEL\n< 200\nCSeq: CANCEL\n< 487\nCSeq: INVITE\n> ACK\n"
    );
    let callee = "< INVITE\n> 180\n< CANCEL\n> 200\n> 487 invite\n< ACK\n";
    let (_, story) = between(lab, name, &caller, callee)?;
    has(&story, &["ended cancelled far"])
}

/// A caller who insists on confirming what it is told while it rings (RFC 3262).
fn reliable(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = format!(
        "{LOGIN}Require: 100rel\n<? 100\n< 180 rel\nRequire: 100rel\n> PRACK\n< 200\nCSeq: PRACK\n\
         < 200\nCSeq: INVITE\nbody: m=audio\n{TALKS}"
    );
    let callee = format!("< INVITE\n> 180\n{ANSWERS}");
    let (_, story) = between(lab, name, &caller, &callee)?;
    has(&story, &["call.answered", "ended normal"])
}

/// A new offer of the caller's before it is answered, once what it heard is confirmed (RFC 3311 §5.1).
/// The phone answers when that is done.
fn update(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = format!(
        "{LOGIN}Require: 100rel\n<? 100\n< 180 rel\n> PRACK\n< 200\nCSeq: PRACK\n< 183 rel\n\
         body: m=audio\n> PRACK\n< 200\nCSeq: PRACK\n> UPDATE sdp:alaw\n< 200\nCSeq: UPDATE\nbody: RTP/AVP 8 101\n\
         < 200\nCSeq: INVITE\n> ACK\n> BYE\n< 200\n"
    );
    let phone = lab.phone();
    let mut callee = lab.talker(&format!("{name}-callee"), &phone, false)?;
    let caller = lab.caller(name, &phone.before, &caller).start()?;
    callee.expect("INVITE")?;
    callee.answer("183 Session Progress", "", &sdp(9))?;
    lab.seen(&caller, "< 200 UPDATE")?;
    callee.answer("200 OK", "", &sdp(9))?;
    callee.expect("ACK")?;
    callee.is_hung_up_on()?;
    caller.end_soon()?;
    same(
        &lab.story(name)?,
        "asks dial, leg.dialed, call.answered, leg.bridged, leg.unbridged, dial answered, \
         ended normal far",
    )
}

/// One who insists and then does not: the call is refused after 32 s (RFC 3262 §3).
fn never_confirmed(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = format!("{LOGIN}Require: 100rel\n<? 100\n< 180 rel\n< 504\n> ACK\n");
    let callee = "< INVITE\n> 180\n< CANCEL\n> 200\n> 487 invite\n< ACK\n";
    let (_, story) = between(lab, name, &caller, callee)?;
    has(&story, &["ended lost"])
}
