//! A carrier whose customers call in: whom they reach, and what is known of them and shown.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::lab::{CARRIER_AT, CARRIER_NAME, Lab, Scenario, events, hotline, same};
use jackfield_tests::peers::raw::{Line, Raw, status};
use jackfield_tests::peers::scenario::header;
use jackfield_tests::peers::talker::sdp;
use jackfield_tests::peers::{record, until};
use serde_json::Value;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("inbound-forms", forms),
    ("inbound-talks", talks),
    ("inbound-asserted", asserted),
    ("inbound-withheld", withheld),
    ("inbound-forged", forged),
];

/// Who calls, as the carrier writes it.
const CUSTOMER: &str = "<sip:02155501234@carrier.test>";

/// Who shows nobody.
const NOBODY: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// What the carrier vouches for.
const ASSERTED: &str = "P-Asserted-Identity: <tel:+862155501234>\r\n";

/// An end of the carrier's, at its own address.
fn carrier(lab: &Lab) -> anyhow::Result<Raw> {
    Raw::udp_from(lab.server.sip, SocketAddr::from((CARRIER_AT, 0)))
}

/// An INVITE from somebody; `more` is further headers, each with its line end.
fn invite(raw: &Raw, number: &str, call_id: &str, from: &str, more: &str) -> String {
    let user = "customer";
    let line = Line {
        method: "INVITE",
        number,
        user,
        call_id,
        cseq: 1,
    };
    let text = raw.request(&line, more, &sdp(9));
    let own = header(&text, "From").unwrap_or_default();
    text.replace(own, &format!("{from};tag=f{call_id}"))
}

/// Confirms the answer to an INVITE.
fn acknowledge(raw: &mut Raw, invite: &str, answer: &str) -> anyhow::Result<()> {
    let head = invite.split("Contact:").next().unwrap_or_default();
    let [ours, theirs] = [invite, answer].map(|it| header(it, "To").unwrap_or_default());
    let ack = head
        .replace("INVITE", "ACK")
        .replace(&format!("To: {ours}"), &format!("To: {theirs}"));
    raw.send(format!("{ack}Content-Length: 0\r\n\r\n"))
}

/// Is hung up on.
fn hung_up_on(raw: &mut Raw) -> anyhow::Result<()> {
    let bye = loop {
        let message = raw.receive()?;
        if message.starts_with("BYE ") {
            break message;
        }
    };
    let kept = |line: &&str| {
        let names = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        names.iter().any(|name| line.starts_with(name))
    };
    let lines: Vec<&str> = bye.lines().filter(kept).collect();
    let lines = lines.join("\r\n");
    raw.send(format!(
        "SIP/2.0 200 OK\r\n{lines}\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// What the record says of how a call began.
fn began(lab: &Lab, call_id: &str) -> anyhow::Result<Value> {
    let started = events(lab, call_id, "call.started")?;
    started.into_iter().next().context("a beginning")
}

/// The number is the same in whatever form it is written, and so is the caller's. No phone is there:
/// the flow gives up.
fn forms(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let e164 = hotline(0).number;
    let abroad = e164.replace('+', "00");
    let at_home = e164.replace("+86", "0");
    for (n, number) in [e164, abroad, at_home].iter().enumerate() {
        let mut raw = carrier(lab)?;
        let call_id = format!("{name}{n}");
        let invite = invite(&raw, number, &call_id, CUSTOMER, "");
        raw.send(&invite)?;
        let answer = raw.answer(&call_id, "INVITE")?;
        // Not asked who it is, and not unknown.
        let refused = status(&answer);
        ensure!(!matches!(refused, Some(401 | 404 | 407)), "{answer}");
        acknowledge(&mut raw, &invite, &answer)?;
        let began = began(lab, &call_id)?;
        ensure!(began["from"] == "tel:+862155501234", "{began}");
        ensure!(began["trunk"] == CARRIER_NAME, "{began}");
        ensure!(began["user"].is_null(), "{began}");
        let asked = events(lab, &call_id, "flow.asked")?;
        ensure!(
            asked.first().is_some_and(|it| it["op"] == "dial"),
            "{asked:?}"
        );
    }
    Ok(())
}

/// A customer calls a hotline and talks with its phone: the INVITE that the phone saw.
fn call(lab: &Lab, name: &str, n: usize, from: &str, more: &str) -> anyhow::Result<String> {
    let phone = hotline(n);
    let mut callee = lab.talker(&format!("{name}-callee"), &phone, false)?;
    let mut raw = carrier(lab)?;
    let invite = invite(&raw, &phone.number, name, from, more);
    raw.send(&invite)?;
    let rung = callee.expect("INVITE")?;
    callee.answer("180 Ringing", "", "")?;
    callee.answer("200 OK", "", &sdp(9))?;
    let answer = raw.answer(name, "INVITE")?;
    ensure!(status(&answer) == Some(200), "{answer}");
    acknowledge(&mut raw, &invite, &answer)?;
    callee.expect("ACK")?;
    until("they talk", || talks_now(lab, name))?;
    callee.hang_up()?;
    hung_up_on(&mut raw)?;
    same(
        &lab.story(name)?,
        "asks dial, leg.dialed, call.answered, leg.bridged, leg.unbridged, dial answered, \
         ended normal near",
    )?;
    Ok(rung)
}

fn talks_now(lab: &Lab, call_id: &str) -> anyhow::Result<Option<()>> {
    let live = record::matching(&lab.server, |call| call["sip_call_id"] == call_id)?;
    let Some(id) = live.first().and_then(|call| call["id"].as_str()) else {
        return Ok(None);
    };
    let call = lab.server.json(&format!("/api/v1/calls/{id}"))?;
    let events = call["events"].as_array().context("events")?;
    let bridged = |event: &Value| event["kind"] == "leg.bridged";
    Ok(events.iter().any(bridged).then_some(()))
}

/// Whom a phone was shown, and what it must not be.
fn shown(rung: &str, wanted: &str) -> anyhow::Result<()> {
    let from = header(rung, "From").unwrap_or_default();
    ensure!(from.contains(wanted), "{from} is not {wanted}");
    for name in ["P-Asserted-Identity", "Privacy"] {
        ensure!(header(rung, name).is_none(), "{rung}");
    }
    Ok(())
}

/// A customer is connected with a phone of the house.
fn talks(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let rung = call(lab, name, 1, CUSTOMER, "")?;
    shown(&rung, "<sip:+862155501234@")
}

/// Who shows no number has the one that the carrier vouches for.
fn asserted(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let rung = call(lab, name, 2, NOBODY, ASSERTED)?;
    shown(&rung, "<sip:+862155501234@")?;
    let began = began(lab, name)?;
    ensure!(began["from"] == "tel:+862155501234", "{began}");
    ensure!(began["withheld"] == false, "{began}");
    Ok(())
}

/// Who does not want to be shown is not; only the record has the number.
fn withheld(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let more = format!("{ASSERTED}Privacy: id\r\n");
    let rung = call(lab, name, 3, NOBODY, &more)?;
    shown(&rung, "<sip:anonymous@anonymous.invalid>")?;
    ensure!(!rung.contains("55501234"), "{rung}");
    let began = began(lab, name)?;
    ensure!(began["from"] == "tel:+862155501234", "{began}");
    ensure!(began["withheld"] == true, "{began}");
    Ok(())
}

/// The same INVITE from anywhere else: who it is has to be proven, whatever is asserted.
fn forged(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut raw = Raw::udp(lab.server.sip)?;
    let number = hotline(0).number;
    let invite = invite(&raw, &number, name, NOBODY, ASSERTED);
    raw.send(&invite)?;
    let answer = raw.answer(name, "INVITE")?;
    ensure!(status(&answer) == Some(401), "{answer}");
    acknowledge(&mut raw, &invite, &answer)?;
    let kept = record::matching(&lab.server, |call| call["sip_call_id"] == name)?;
    ensure!(kept.is_empty(), "{kept:?}");
    Ok(())
}
