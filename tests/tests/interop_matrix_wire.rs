//! Goal: what arrives on the wire in strange ways is taken as the standards say, or refused, and never
//! hurts anybody else: digests of every kind, one nonce used hundreds of times, streams in pieces,
//! messages of any size, IPv6, and what is no SIP at all.

#[path = "matrix/malformed.rs"]
mod malformed;

use std::net::Ipv6Addr;

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::lab::{Lab, PASSWORD, Scenario, TALKED, all, same};
use jackfield_tests::peers::raw::{Challenge, Hash, Line, Raw, status};
use jackfield_tests::peers::scenario::header;

const CALL: &str = "
    > INVITE sdp
    < 100
    < 200
    > ACK
    wait 200
    > BYE
    < 200
";

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 9 RTP/AVP 0\r\n";

#[test]
fn strange_ways_on_the_wire() {
    let lab = Lab::start("interop-wire", |setup| {
        setup.sip = "digest = [\"SHA-256\", \"MD5\"]\n".to_owned();
    });
    let lab = lab.expect("a server");
    let scenarios: &[(&str, Scenario)] = &[
        ("digests", digests),
        ("one-nonce", one_nonce),
        ("stale", stale),
        ("login-again", login_again),
        ("bytes", bytes),
        ("pieces", pieces),
        ("sizes", sizes),
        ("broken-streams", broken_streams),
        ("malformed", malformed),
        ("malformed-calls", malformed::calls),
        ("malformed-registrations", malformed::registrations),
    ];
    all(&lab, &[], scenarios);
    // After all of it an honest call works.
    honest(&lab, "honest").expect("an honest call");
    lab.nothing_left().expect("nothing is left");
}

#[test]
fn calls_over_ipv6() {
    let lab = Lab::start("interop-ipv6", |setup| {
        setup.ip = Ipv6Addr::LOCALHOST.into()
    });
    let lab = lab.expect("a server");
    for tcp in [false, true] {
        let name = if tcp { "ipv6-tcp" } else { "ipv6-udp" };
        let mut play = lab.stranger(name, "1000", CALL);
        play.ip = Ipv6Addr::LOCALHOST.into();
        play.tcp = tcp;
        play.run().expect("a call");
        let story = lab.story(name).expect("a record");
        assert_eq!(
            story,
            "asks answer, call.answered, asks gather, ended normal far"
        );
    }
}

#[test]
fn a_call_between_phones_over_ipv6() {
    let lab = Lab::start("interop-ipv6-phones", |setup| {
        setup.ip = Ipv6Addr::LOCALHOST.into();
    });
    let lab = lab.expect("a server");
    let caller = "
        > INVITE sdp
        <? 100
        < 401
        > ACK
        > INVITE sdp login
        <? 100
        < 200
            body: c=IN IP6 ::1
        > ACK
        < BYE
        > 200
    ";
    let callee = "
        < INVITE
            body: c=IN IP6 ::1
            Contact: \\[::1\\]
        > 180
        > 200 sdp
        < ACK
        wait 200
        > BYE
        < 200
    ";
    let name = "ipv6-between";
    let (_, _, story) = lab.between(name, caller, callee).expect("a call");
    assert_eq!(story, TALKED);
}

fn honest(lab: &Lab, name: &str) -> anyhow::Result<()> {
    lab.stranger(name, "1000", CALL).run()?;
    same(
        &lab.story(name)?,
        "asks answer, call.answered, asks gather, ended normal far",
    )
}

/// A REGISTER with this proof.
fn register(
    raw: &mut Raw,
    call_id: &str,
    user: &str,
    cseq: u32,
    proof: &str,
) -> anyhow::Result<String> {
    let line = Line {
        method: "REGISTER",
        number: "",
        user,
        call_id,
        cseq,
    };
    let more = match proof {
        "" => "Expires: 60\r\n".to_owned(),
        proof => format!("Expires: 60\r\nAuthorization: {proof}\r\n"),
    };
    raw.send(raw.request(&line, &more, ""))?;
    raw.answer(call_id, "REGISTER")
}

/// Every algorithm, computed by other code than the server's (RFC 7616 §3.4.2).
fn digests(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let uri = format!("sip:{}", lab.server.sip);
    let user = lab.phone().user;
    for hash in [
        Hash::Md5,
        Hash::Md5Session,
        Hash::Sha256,
        Hash::Sha256Session,
    ] {
        let mut raw = Raw::udp(lab.server.sip)?;
        let call_id = format!("{name}-{hash:?}");
        let challenge = Challenge::of(&register(&mut raw, &call_id, &user, 1, "")?)?;
        let prove = |password, count| {
            challenge.answer(hash, &user, password, "REGISTER", &uri, count, "abc")
        };
        let answer = register(&mut raw, &call_id, &user, 2, &prove("wrong", 1))?;
        ensure!(status(&answer) == Some(401), "{hash:?}: {answer}");
        let answer = register(&mut raw, &call_id, &user, 3, &prove(PASSWORD, 2))?;
        ensure!(status(&answer) == Some(200), "{hash:?}: {answer}");
    }
    Ok(())
}

/// Past 0x0a, where decimal and hexadecimal part, and past 0x100, beyond one byte.
fn one_nonce(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let uri = format!("sip:{}", lab.server.sip);
    let user = lab.phone().user;
    let mut raw = Raw::udp(lab.server.sip)?;
    let challenge = Challenge::of(&register(&mut raw, name, &user, 1, "")?)?;
    let prove =
        |count| challenge.answer(Hash::Md5, &user, PASSWORD, "REGISTER", &uri, count, "abc");
    for count in 1..=0x104 {
        let answer = register(&mut raw, name, &user, count + 1, &prove(count))?;
        ensure!(status(&answer) == Some(200), "nc {count:x}: {answer}");
    }
    // A copied answer is worth nothing, and who has the password is told that it may try again.
    let answer = register(&mut raw, name, &user, 1_000, &prove(0x0a))?;
    ensure!(Challenge::of(&answer)?.stale, "{answer}");
    Ok(())
}

/// A nonce that is not ours, or no longer: a new one comes with `stale`, so that nobody is asked for
/// the password again (RFC 7616 §3.3).
fn stale(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let uri = format!("sip:{}", lab.server.sip);
    let user = lab.phone().user;
    let mut raw = Raw::udp(lab.server.sip)?;
    let mut old = Challenge::of(&register(&mut raw, name, &user, 1, "")?)?;
    old.nonce = old.nonce.chars().rev().collect();
    let proof = old.answer(Hash::Md5, &user, PASSWORD, "REGISTER", &uri, 1, "abc");
    let again = Challenge::of(&register(&mut raw, name, &user, 2, &proof)?)?;
    ensure!(again.stale, "{again:?}");
    let proof = again.answer(Hash::Md5, &user, PASSWORD, "REGISTER", &uri, 1, "abc");
    let answer = register(&mut raw, name, &user, 3, &proof)?;
    ensure!(status(&answer) == Some(200), "{answer}");
    Ok(())
}

/// A second call with the nonce of the first.
fn login_again(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let uri = format!("sip:1000@{}", lab.server.sip);
    let mut raw = Raw::udp(lab.server.sip)?;
    let mut challenge: Option<Challenge> = None;
    for (count, call_id) in [(1, format!("{name}-1")), (2, format!("{name}-2"))] {
        let mut line = Line {
            method: "INVITE",
            number: "1000",
            user: "caller",
            call_id: &call_id,
            cseq: 1,
        };
        let known = match challenge.clone() {
            Some(known) => known,
            None => {
                raw.send(raw.request(&line, "", SDP))?;
                let refused = raw.answer(&call_id, "INVITE")?;
                acknowledge(&mut raw, line, &refused)?;
                line.cseq += 1;
                Challenge::of(&refused)?
            }
        };
        let proof = known.answer(
            Hash::Sha256,
            "caller",
            PASSWORD,
            "INVITE",
            &uri,
            count,
            "abc",
        );
        challenge = Some(known);
        raw.send(raw.request(&line, &format!("Authorization: {proof}\r\n"), SDP))?;
        let accepted = raw.answer(&call_id, "INVITE")?;
        ensure!(status(&accepted) == Some(200), "{accepted}");
        acknowledge(&mut raw, line, &accepted)?;
        let tag = header(&accepted, "To").unwrap_or_default().to_owned();
        line.method = "BYE";
        line.cseq += 1;
        let bye = with_to(&raw.request(&line, "", ""), &tag);
        raw.send(bye)?;
        let answer = raw.answer(&call_id, "BYE")?;
        ensure!(status(&answer) == Some(200), "{answer}");
        same(
            &lab.story(&call_id)?,
            "asks answer, call.answered, asks gather, ended normal far",
        )?;
    }
    Ok(())
}

/// The ACK of an answer to this INVITE. Of a 2xx it is a transaction of its own.
fn acknowledge(raw: &mut Raw, invite: Line<'_>, answer: &str) -> anyhow::Result<()> {
    let line = Line {
        method: "ACK",
        ..invite
    };
    let text = with_to(
        &raw.request(&line, "", ""),
        header(answer, "To").unwrap_or_default(),
    );
    let accepted = status(answer).is_some_and(|status| status < 300);
    let branch = |method| format!("x{}{method};", invite.cseq);
    raw.send(if accepted {
        text
    } else {
        text.replace(&branch("ACK"), &branch("INVITE"))
    })
}

fn with_to(request: &str, to: &str) -> String {
    let lines = request
        .split("\r\n")
        .map(|line| match line.strip_prefix("To: ") {
            Some(_) => format!("To: {to}"),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\r\n")
}

fn options<'a>(call_id: &'a str) -> Line<'a> {
    Line {
        method: "OPTIONS",
        number: "1000",
        user: "visitor",
        call_id,
        cseq: 1,
    }
}

/// A whole call over TCP, byte by byte.
fn bytes(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut raw = Raw::tcp(lab.server.sip)?;
    let line = Line {
        method: "INVITE",
        ..options(name)
    };
    for byte in raw.request(&line, "", SDP).into_bytes() {
        raw.send([byte])?;
    }
    let answer = raw.answer(name, "INVITE")?;
    ensure!(status(&answer) == Some(200), "{answer}");
    acknowledge(&mut raw, line, &answer)?;
    let line = Line {
        method: "BYE",
        cseq: 2,
        ..line
    };
    let bye = with_to(
        &raw.request(&line, "", ""),
        header(&answer, "To").unwrap_or_default(),
    );
    for byte in bye.into_bytes() {
        raw.send([byte])?;
    }
    let answer = raw.answer(name, "BYE")?;
    ensure!(status(&answer) == Some(200), "{answer}");
    same(
        &lab.story(name)?,
        "asks answer, call.answered, asks gather, ended normal far",
    )
}

/// Several messages in one segment, with keep-alives between them (RFC 5626 §4.4.1), and one over the
/// border of two.
fn pieces(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut raw = Raw::tcp(lab.server.sip)?;
    let ids: Vec<String> = (0..5).map(|n| format!("{name}-{n}")).collect();
    let mut all = String::new();
    for id in &ids {
        all += &raw.request(&options(id), "", SDP);
        all += "\r\n";
    }
    let (first, rest) = all.split_at(all.len() - 40);
    raw.send(first)?;
    for id in &ids[..4] {
        let answer = raw.answer(id, "OPTIONS")?;
        ensure!(status(&answer) == Some(200), "{answer}");
    }
    raw.send(rest)?;
    let answer = raw.answer(&ids[4], "OPTIONS")?;
    ensure!(status(&answer) == Some(200), "{answer}");
    Ok(())
}

/// Up to what a datagram holds and to 64 KiB of body over a stream; more is refused.
fn sizes(lab: &Lab, name: &str) -> anyhow::Result<()> {
    for (tcp, body, wanted) in [
        (false, 1_200, 200),
        (false, 1_500, 200),
        (false, 8_000, 200),
        (false, 60_000, 200),
        (true, 60_000, 200),
        (true, 65_536, 200),
        (true, 65_537, 513),
    ] {
        let mut raw = if tcp {
            Raw::tcp(lab.server.sip)?
        } else {
            Raw::udp(lab.server.sip)?
        };
        let call_id = format!("{name}-{tcp}-{body}");
        raw.send(raw.request(&options(&call_id), "", &"x".repeat(body)))?;
        let answer = raw.answer(&call_id, "OPTIONS").context(call_id)?;
        ensure!(status(&answer) == Some(wanted), "{tcp} {body}: {answer}");
    }
    // Headers beyond 32 KiB.
    let mut raw = Raw::tcp(lab.server.sip)?;
    let long = format!("X-Long: {}\r\n", "x".repeat(40_000));
    raw.send(raw.request(&options(name), &long, ""))?;
    ensure!(
        raw.is_closed()?,
        "{name}: who never ends his headers is not waited for"
    );
    Ok(())
}

/// A stream whose framing is lost cannot be read on (RFC 3261 §18.3).
fn broken_streams(lab: &Lab, name: &str) -> anyhow::Result<()> {
    for (index, text) in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS sip:1000@127.0.0.1 SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        "OPTIONS sip:1000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKb\r\n\
         Content-Length: 99999999999999999999\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut raw = Raw::tcp(lab.server.sip)?;
        raw.send(text)?;
        // What it may say before is not asked here.
        let mut said = 0;
        while raw.receive().is_ok() {
            said += 1;
        }
        ensure!(said <= 1 && raw.is_closed()?, "{name} {index}: {said}");
    }
    Ok(())
}

/// Requests that break a rule, and the status that says so; 0 is none.
fn malformed(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut raw = Raw::udp(lab.server.sip)?;
    let changes: [(&str, &str, u16); 14] = [
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", 400),
        ("CSeq: 1 OPTIONS", "CSeq: 4294967296 OPTIONS", 400),
        ("CSeq: 1 OPTIONS", "CSeq: one OPTIONS", 400),
        ("CSeq: 1 OPTIONS\r\n", "", 400),
        ("Call-ID: ", "X-Call-ID: ", 400),
        ("From: ", "X-From: ", 400),
        ("To: ", "X-To: ", 400),
        ("Content-Length: 0", "Content-Length: 5", 400),
        ("Content-Length: 0", "Content-Length: -1", 400),
        (
            "Content-Length: 0",
            "Content-Length: 0\r\nContent-Length: 7",
            400,
        ),
        ("Max-Forwards: 70", "Max-Forwards: -1", 400),
        ("Max-Forwards: 70", "Max-Forwards: many", 400),
        ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", 505),
        ("OPTIONS sip:", "OPTIONS gopher:", 416),
    ];
    let mut wrong = Vec::new();
    for (index, (from, to, wanted)) in changes.into_iter().enumerate() {
        let call_id = format!("{name}-{index}");
        let text = raw.request(&options(&call_id), "", "");
        let changed = text.replacen(from, to, 1);
        ensure!(changed != text, "{from} is not in {text}");
        raw.send(changed)?;
        let answer = raw.receive()?;
        if status(&answer) != Some(wanted) {
            wrong.push(format!("{to:?}: not {wanted} but {answer}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is no SIP gets no answer, and the next message its own.
    let noise: [&[u8]; 6] = [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xfe\x00\x01",
        b"OPTIONS",
        b"SIP/2.0 200 OK\r\n\r\n",
    ];
    for noise in noise {
        raw.send(noise)?;
    }
    let call_id = format!("{name}-after");
    raw.send(raw.request(&options(&call_id), "", ""))?;
    let answer = raw.receive()?;
    ensure!(header(&answer, "Call-ID") == Some(&*call_id), "{answer}");
    ensure!(status(&answer) == Some(200), "{answer}");
    Ok(())
}
