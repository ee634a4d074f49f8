//! Carriers that are called: they ask who we are, and send calls elsewhere.

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::lab::{Lab, PASSWORD, SUBSCRIBER, Scenario, same};
use jackfield_tests::peers::raw::{Challenge, Hash};
use jackfield_tests::peers::scenario::{Seen, header};

use super::callee::{CALLER, TALKED, failed};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("carrier-asks", asks),
    ("proxy-asks", proxy_asks),
    ("carrier-asks-for-another", asks_for_another),
    ("carrier-redirects", redirects),
    ("carrier-may-not-redirect", may_not_redirect),
    ("carrier-redirects-abroad", redirects_abroad),
];

/// A carrier is called by a user: what it saw, and what the server kept.
fn call(lab: &Lab, name: &str, n: usize, ladder: &str) -> anyhow::Result<(Seen, String)> {
    let carrier = lab.carrier_plays(&format!("{name}-carrier"), n, ladder)?;
    lab.caller(name, &lab.carrier(n).number, CALLER).run()?;
    let story = lab.story(name)?;
    let seen = carrier.end_soon().with_context(|| story.clone())?;
    Ok((seen, story))
}

/// That the second INVITE of two proves that we have the password, by other code than the server's.
fn proven(seen: &Seen, status: &str, name: &str) -> anyhow::Result<()> {
    let invites = seen.received("INVITE ");
    ensure!(invites.len() == 2, "{} INVITEs:{seen}", invites.len());
    ensure!(header(invites[0], name).is_none(), "{}", invites[0]);
    let asked = seen
        .messages
        .iter()
        .find(|(_, text)| text.starts_with(status));
    let challenge = Challenge::of(&asked.context("a challenge")?.1)?;
    let proof = header(invites[1], name).context("a proof")?;
    let value = |key: &str| {
        let (_, rest) = proof.split_once(&format!("{key}="))?;
        let end = rest.trim_start_matches('"').find(['"', ',']);
        let rest = rest.trim_start_matches('"');
        Some(&rest[..end.unwrap_or(rest.len())])
    };
    let uri = invites[1].split(' ').nth(1).unwrap_or_default();
    ensure!(value("uri") == Some(uri), "{proof}");
    ensure!(value("nc") == Some("00000001"), "{proof}");
    let cnonce = value("cnonce").context("a cnonce")?;
    let right = challenge.answer(Hash::Md5, SUBSCRIBER, PASSWORD, "INVITE", uri, 1, cnonce);
    let response = format!("response=\"{}\"", value("response").context("a response")?);
    ensure!(right.contains(&response), "{proof} is not {right}");
    // The same call, one further (RFC 3261 §22.2).
    for name in ["Call-ID", "From", "To"] {
        let [first, second] = [0, 1].map(|n| header(invites[n], name));
        ensure!(first == second, "{name}: {first:?}, {second:?}");
    }
    Ok(())
}

const THEN_TALKS: &str = "> 200 sdp\n< ACK\nwait 200\n> BYE\n< 200\n";

fn asks(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = format!(
        "< INVITE\n!message: Authorization\n> 401\n\
         WWW-Authenticate: Digest realm=\"carrier\", nonce=\"abc\", qop=\"auth\", algorithm=MD5\n\
         < ACK\n< INVITE\nAuthorization: Digest\n> 100\n{THEN_TALKS}"
    );
    let (seen, story) = call(lab, name, 0, &ladder)?;
    proven(&seen, "SIP/2.0 401", "Authorization")?;
    same(&story, TALKED)
}

fn proxy_asks(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = format!(
        "< INVITE\n> 407\n\
         Proxy-Authenticate: Digest realm=\"proxy\", nonce=\"def\", qop=\"auth\", opaque=\"o\"\n\
         < ACK\n< INVITE\nProxy-Authorization: opaque=\"o\"\n{THEN_TALKS}"
    );
    let (seen, story) = call(lab, name, 2, &ladder)?;
    proven(&seen, "SIP/2.0 407", "Proxy-Authorization")?;
    same(&story, TALKED)
}

/// It does not believe us: it is not asked a third time.
fn asks_for_another(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let challenge = |nonce| {
        format!("> 401\nWWW-Authenticate: Digest realm=\"c\", nonce=\"{nonce}\", qop=\"auth\"\n")
    };
    let ladder = format!(
        "< INVITE\n{}< ACK\n< INVITE\nAuthorization: nonce=\"one\"\n{}< ACK\nwait 1000\n",
        challenge("one"),
        challenge("two")
    );
    let (seen, story) = call(lab, name, 4, &ladder)?;
    ensure!(seen.received("INVITE ").len() == 2, "{seen}");
    same(&story, &failed("rejected"))
}

/// Sends a call to whoever this is.
fn moved(to: &str) -> String {
    format!("< INVITE\n> 302\nContact: <sip:{to}>\n< ACK\n")
}

/// To another number, by its own name: the call goes on there, by the carrier that serves it.
fn redirects(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let (to, port) = (&lab.carrier(6).outside, lab.carrier(1).port);
    let then = format!("< INVITE\n> 180\n{THEN_TALKS}");
    let next = lab.carrier_plays(&format!("{name}-next"), 6, &then)?;
    let (_, story) = call(lab, name, 1, &moved(&format!("{to}@127.0.0.1:{port}")))?;
    next.end_soon().with_context(|| story.clone())?;
    same(
        &story,
        "asks answer, call.answered, asks dial, leg.dialed, dial rejected, leg.dialed, \
         leg.bridged, leg.unbridged, dial answered, ended normal near",
    )
}

/// One that may not: the call has failed.
fn may_not_redirect(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let (to, port) = (&lab.carrier(6).outside, lab.carrier(8).port);
    let (_, story) = call(lab, name, 8, &moved(&format!("{to}@127.0.0.1:{port}")))?;
    same(&story, &failed("rejected"))
}

/// One that may, but to somebody else's host, or where no carrier goes.
fn redirects_abroad(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let to = &lab.carrier(6).outside;
    let elsewhere = moved(&format!("{to}@192.0.2.9"));
    let (_, story) = call(lab, &format!("{name}-host"), 3, &elsewhere)?;
    same(&story, &failed("rejected"))?;
    let (_, story) = call(
        lab,
        &format!("{name}-number"),
        5,
        &moved("+1234567@127.0.0.1"),
    )?;
    same(&story, &failed("rejected"))
}
