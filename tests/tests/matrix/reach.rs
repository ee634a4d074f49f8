//! Where a called phone is: behind a connection, or where another phone sends the call.

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::lab::{
    CALLER, Lab, PASSWORD, Phone, STRICT, STRICT_CALLER, STRICT_USER, Scenario, TALKED, same,
};
use jackfield_tests::peers::scenario::header;
use jackfield_tests::peers::talker::sdp;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("called-over-tcp", over_tcp),
    ("phone-redirects", redirects),
    ("phone-redirects-in-a-circle", circle),
    ("phone-may-not-redirect", may_not_redirect),
];

/// It registered over a connection, and is rung over the same (RFC 5626 §5.3, RFC 3261 §18.1.1): it
/// listens nowhere else.
fn over_tcp(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let phone = lab.phone();
    let mut callee = lab.talker(&format!("{name}-callee"), &phone, true)?;
    let caller = lab.caller(name, &phone.number, CALLER).start()?;
    let invite = callee.expect("INVITE")?;
    let via = header(&invite, "Via").unwrap_or_default();
    ensure!(via.starts_with("SIP/2.0/TCP "), "{invite}");
    let contact = header(&invite, "Contact").unwrap_or_default();
    ensure!(contact.to_lowercase().contains("transport=tcp"), "{invite}");
    callee.answer("180 Ringing", "", "")?;
    callee.answer("200 OK", "", &sdp(9))?;
    callee.expect("ACK")?;
    callee.hang_up()?;
    caller.end_soon()?;
    same(&lab.story(name)?, TALKED)
}

/// Sends a call to whoever this is.
fn moved(lab: &Lab, to: &str) -> String {
    format!(
        "< INVITE\n> 180\n> 302\nContact: <sip:{to}@{}>\n< ACK\n",
        lab.server.sip
    )
}

/// Who is sent elsewhere by the phone is rung there.
fn redirects(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let target = lab.phone();
    let answers = "< INVITE\n> 180\n> 200 sdp\n< ACK\nwait 200\n> BYE\n< 200\n";
    let next = lab.callee(&format!("{name}-next"), &target, answers)?;
    let (_, _, story) = lab.between(name, CALLER, &moved(lab, &target.user))?;
    next.end_soon().with_context(|| story.clone())?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, dial rejected, leg.dialed, \
         leg.bridged, leg.unbridged, dial answered, ended normal near",
    )
}

/// Two phones that send calls to each other.
fn circle(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let (one, other) = (lab.phone(), lab.phone());
    let back = lab.callee(&format!("{name}-back"), &other, &moved(lab, &one.user))?;
    let there = moved(lab, &other.user);
    let (_, _, story) = lab.between_at(name, &one, CALLER, &there)?;
    back.end_soon().with_context(|| story.clone())?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, dial rejected, leg.dialed, \
         dial rejected, ended normal near",
    )
}

/// In a house where no phone may send calls elsewhere, the call has failed.
fn may_not_redirect(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let strict = Phone {
        user: STRICT_USER.to_owned(),
        number: STRICT.to_owned(),
        before: STRICT.to_owned(),
    };
    let ladder = moved(lab, STRICT_USER);
    let callee = lab.callee(&format!("{name}-callee"), &strict, &ladder)?;
    let caller = lab.stranger(name, STRICT, CALLER);
    caller.as_user(STRICT_CALLER, PASSWORD).run()?;
    let story = lab.story(name)?;
    callee.end_soon().with_context(|| story.clone())?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, dial rejected, ended normal near",
    )
}
