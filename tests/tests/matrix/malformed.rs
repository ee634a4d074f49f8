//! Calls and registrations that break a rule in what they carry, and what they are answered.

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::lab::{Lab, PASSWORD};
use jackfield_tests::peers::raw::{Challenge, Hash, Line, Raw, status};
use jackfield_tests::peers::scenario::header;

use super::SDP;

/// An offer, and where it is said that a call comes from, changed one after the other.
pub(crate) fn calls(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut raw = Raw::udp(lab.server.sip)?;
    let changes = [
        ("Contact: <sip:", "Contact: <sip:a b", 400),
        ("Contact: <sip:visitor", "Contact: \"<sip:visitor", 400),
        (
            "Content-Type: application/sdp",
            "Content-Type: text/plain",
            415,
        ),
        ("m=audio 9", "m=audio 99999", 400),
        ("m=audio 9", "m=audio many", 400),
        ("v=0\r\n", "v=1\r\n", 400),
        ("v=0\r\n", "", 400),
        ("c=IN IP4 127.0.0.1", "c=IN IP4 nobody.example", 488),
        ("c=IN IP4 127.0.0.1\r\n", "", 400),
        ("m=audio 9 RTP/AVP 0\r\n", "", 488),
        ("RTP/AVP 0", "RTP/AVP", 488),
    ];
    let mut wrong = Vec::new();
    for (index, (from, to, wanted)) in changes.into_iter().enumerate() {
        let call_id = format!("{name}-{index}");
        let mut line = Line {
            method: "INVITE",
            number: "1000",
            user: "visitor",
            call_id: &call_id,
            cseq: 1,
        };
        let text = raw.request(&line, "", &SDP.replacen(from, to, 1));
        let changed = match SDP.contains(from) {
            true => text,
            false => text.replacen(from, to, 1),
        };
        ensure!(changed.contains(to), "{from} is not in {changed}");
        raw.send(changed)?;
        let answer = raw.answer(&call_id, "INVITE")?;
        // Of the same transaction (RFC 3261 §17.1.1.3).
        line.method = "ACK";
        let ack = raw.request(&line, "", "").replacen("x1ACK", "x1INVITE", 1);
        raw.send(ack)?;
        if status(&answer) != Some(wanted) {
            wrong.push(format!("{to:?}: not {wanted} but {answer}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What a phone that has proved who it is says of where it is, and for how long.
pub(crate) fn registrations(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut raw = Raw::udp(lab.server.sip)?;
    let user = lab.phone().user;
    let uri = format!("sip:{}", lab.server.sip);
    let own = format!("Contact: <sip:{user}@{}>", raw.own);
    // Contact, Expires, the status, and how many contacts there are then.
    let changes: [(&str, &str, u16, usize); 10] = [
        ("Contact: <sip:a b@127.0.0.1>", "60", 400, 0),
        ("Contact: \"<sip:a@127.0.0.1>", "60", 400, 0),
        ("Contact: nobody", "60", 400, 0),
        // All of them, but not to be forgotten, or with another (RFC 3261 §10.3 step 6).
        ("Contact: *", "60", 400, 0),
        ("Contact: *, <sip:a@127.0.0.1>", "0", 400, 0),
        // Too brief for us (§10.3 step 7).
        (&own, "1", 423, 0),
        // What makes no sense stands for 3600 (§10.2.1.1, §20.19).
        (&own, "soon", 200, 1),
        (&own, "-1", 200, 1),
        (&own, "99999999999999999999", 200, 1),
        ("Contact: *", "0", 200, 0),
    ];
    let mut wrong = Vec::new();
    for (index, (contact, expires, wanted, count)) in changes.into_iter().enumerate() {
        let call_id = format!("{name}-{index}");
        let mut line = Line {
            method: "REGISTER",
            number: "",
            user: &user,
            call_id: &call_id,
            cseq: 1,
        };
        let more = format!("{contact}\r\nExpires: {expires}\r\n");
        raw.send(raw.request(&line, "", ""))?;
        let challenge = Challenge::of(&raw.answer(&call_id, "REGISTER")?)?;
        let proof = challenge.answer(Hash::Md5, &user, PASSWORD, "REGISTER", &uri, 1, "c");
        line.cseq = 2;
        let more = format!("{more}Authorization: {proof}\r\n");
        raw.send(raw.request(&line, &more, ""))?;
        let answer = raw.answer(&call_id, "REGISTER")?;
        let found = contacts(lab, &user)?;
        if status(&answer) != Some(wanted) || found != count {
            wrong.push(format!(
                "{contact} for {expires}: not {wanted} and {count}, but {found} and {answer}"
            ));
        }
        if wanted == 423 {
            header(&answer, "Min-Expires").with_context(|| answer.clone())?;
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// How many contacts a user has.
fn contacts(lab: &Lab, user: &str) -> anyhow::Result<usize> {
    let json = lab.server.json("/api/v1/registrations")?;
    let items = json["items"].as_array().context("a list")?;
    let found = items.iter().find(|it| it["user"] == user);
    let contacts = found.and_then(|it| it["contacts"].as_array());
    Ok(contacts.map_or(0, Vec::len))
}
