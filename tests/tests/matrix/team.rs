//! Ring groups of phones and a number outside: the first that answers has the call.

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::lab::{CALLER, Lab, Scenario, same, team};
use jackfield_tests::peers::scenario::header;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("team-mobile-answers", mobile_answers),
    ("team-desk-answers", desk_answers),
    ("team-in-turn", in_turn),
];

const TALKS: &str = "> 200 sdp\n< ACK\nwait 200\n> BYE\n< 200\n";

/// Rings until it is told that it need not any more.
const RINGS: &str = "< INVITE\n> 180\n< CANCEL\n> 200\n> 487 invite\n< ACK\n";

/// One rings, one is busy, and the number outside answers after both.
fn mobile_answers(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let team = team(0);
    let [one, other] = &team.mates;
    let rings = lab.callee(&format!("{name}-rings"), one, RINGS)?;
    let busy = lab.callee(&format!("{name}-busy"), other, "< INVITE\n> 486\n< ACK\n")?;
    let answers = format!("< INVITE\n> 100\n> 180\nwait 1000\n{TALKS}");
    let mobile = lab.carrier_plays(&format!("{name}-mobile"), team.carrier, &answers)?;
    lab.caller(name, &team.number, CALLER).run()?;
    let story = lab.story(name)?;
    let rang = rings.end_soon().with_context(|| story.clone())?;
    // Its phone shows no missed call (RFC 3326 §2).
    let cancel = rang.received("CANCEL ");
    let reason = cancel.first().and_then(|cancel| header(cancel, "Reason"));
    ensure!(
        reason == Some("SIP;cause=200;text=\"call completed elsewhere\""),
        "{reason:?}{rang}"
    );
    busy.end_soon().with_context(|| story.clone())?;
    mobile.end_soon().with_context(|| story.clone())?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, leg.dialed, leg.dialed, dial busy, \
         dial no_answer, leg.bridged, leg.unbridged, dial answered, ended normal near",
    )
}

/// One declines for the person, which is not the others' word; the number outside can be heard already
/// when a phone answers.
fn desk_answers(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let team = team(1);
    let [one, other] = &team.mates;
    let declines = lab.callee(&format!("{name}-declines"), one, "< INVITE\n> 603\n< ACK\n")?;
    let answers = format!("< INVITE\n> 180\nwait 1000\n{TALKS}");
    let desk = lab.callee(&format!("{name}-desk"), other, &answers)?;
    let announces = RINGS.replace("> 180", "> 183 sdp");
    let mobile = lab.carrier_plays(&format!("{name}-mobile"), team.carrier, &announces)?;
    lab.caller(name, &team.number, CALLER).run()?;
    let story = lab.story(name)?;
    for party in [declines, desk, mobile] {
        party.end_soon().with_context(|| story.clone())?;
    }
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, leg.dialed, leg.dialed, \
         dial rejected, dial no_answer, leg.bridged, leg.unbridged, dial answered, \
         ended normal near",
    )
}

/// The first is not there, the second rings for its time, then it is the number's turn.
fn in_turn(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let team = team(2);
    let rings = lab.callee(&format!("{name}-rings"), &team.mates[1], RINGS)?;
    let answers = format!("< INVITE\n> 180\n{TALKS}");
    let mobile = lab.carrier_plays(&format!("{name}-mobile"), team.carrier, &answers)?;
    lab.caller(name, &team.number, CALLER).run()?;
    let story = lab.story(name)?;
    for party in [rings, mobile] {
        party.end_soon().with_context(|| story.clone())?;
    }
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, dial no_answer, leg.dialed, \
         leg.bridged, leg.unbridged, dial answered, ended normal near",
    )
}
