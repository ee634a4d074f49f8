//! Carriers that are called: they ask who we are, and send calls elsewhere.

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::lab::{
    CALLER, Lab, PASSWORD, SUBSCRIBER, Scenario, TALKED, failed, same,
};
use jackfield_tests::peers::raw::{Challenge, Raw};
use jackfield_tests::peers::scenario::{Seen, header};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("carrier-asks", asks),
    ("proxy-asks", proxy_asks),
    ("carrier-asks-for-another", asks_for_another),
    ("carrier-redirects", redirects),
    ("carrier-may-not-redirect", may_not_redirect),
    ("carrier-redirects-abroad", redirects_abroad),
    ("carrier-fails-over", fails_over),
    ("carrier-has-the-last-word", has_the_last_word),
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
    let uri = invites[1].split(' ').nth(1).unwrap_or_default();
    challenge.check(proof, (SUBSCRIBER, PASSWORD), "INVITE", uri)?;
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

/// Carriers that do not take the call, each in its way: the next one is asked within the same attempt,
/// and what it lets hear and answers reaches the caller, who is not answered before.
fn fails_over(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let caller = "
        > INVITE sdp
        <? 100
        < 401
        > ACK
        > INVITE sdp login
        <? 100
        <? 180
        < 183
            body: m=audio [1-9]
        < 200
            body: m=audio [1-9]
        > ACK
        < BYE
        > 200
    ";
    for (status, result) in [
        (503, "unreachable"),
        (500, "unreachable"),
        (504, "unreachable"),
        (408, "no_answer"),
    ] {
        let name = format!("{name}-{status}");
        let refuses = format!("< INVITE\n> 100\n> {status}\n< ACK\n");
        let takes = format!("< INVITE\n> 183 sdp\nwait 300\n{THEN_TALKS}");
        let first = lab.carrier_plays(&format!("{name}-first"), 10, &refuses)?;
        let second = lab.carrier_plays(&format!("{name}-second"), 11, &takes)?;
        lab.caller(&name, &lab.carrier(10).before, caller).run()?;
        let story = lab.story(&name)?;
        first.end_soon().with_context(|| story.clone())?;
        second.end_soon().with_context(|| story.clone())?;
        let wanted = format!(
            "asks dial, leg.dialed, dial {result}, leg.dialed, call.answered, leg.bridged, \
             leg.unbridged, dial answered, ended normal near"
        );
        same(&story, &wanted).context(name)?;
    }
    let failovers = "jackfield_trunk_failovers_total{trunk=\"carrier10\"}";
    let count = lab.server.metric(failovers)?;
    ensure!(count == 4.0, "{count} {failovers}");
    Ok(())
}

/// Carriers that speak for whoever was called, or have made a phone ring: nobody is dialled twice,
/// although there is another carrier.
fn has_the_last_word(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut other = Raw::udp_at(lab.server.sip, lab.carrier(13).port)?;
    for (status, result) in [
        ("> 486", "busy"),
        ("> 404", "unreachable"),
        ("> 603", "rejected"),
        ("> 180\n> 503", "unreachable"),
        ("> 180\n> 408", "no_answer"),
        ("> 183 sdp\n> 500", "unreachable"),
    ] {
        let number = status.rsplit(' ').next().unwrap_or_default();
        let rang = if status.contains('\n') { "-late" } else { "" };
        let name = format!("{name}-{number}{rang}");
        let ladder = format!("< INVITE\n{status}\n< ACK\n");
        let (_, story) = call(lab, &name, 12, &ladder)?;
        same(&story, &failed(result)).context(name)?;
        ensure!(
            other.received()?.is_none(),
            "the other carrier was asked: {story}"
        );
    }
    Ok(())
}
