//! sipp calls.

use jackfield_tests::peers::lab::{Lab, SILENT, Scenario, same};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("basic", basic),
    ("basic-tcp", basic_tcp),
    ("late-offer", late_offer),
    ("no-codec", no_codec),
    ("no-number", no_number),
    ("cancel", cancel),
    ("cancel-tcp", cancel_tcp),
    ("hold", hold),
    ("codec", codec),
    ("refused-reoffer", refused_reoffer),
    ("update", update),
    ("glare", glare),
    ("others", others),
    ("unknown-extension", unknown_extension),
    ("options", options),
    ("brief-session", brief_session),
    ("login", login),
    ("wrong-password", wrong_password),
    ("no-such-dialog", no_such_dialog),
    ("large", large),
    ("parts", parts),
];

/// What the record of a call says that the caller ended.
const HUNG_UP: &str = "asks answer, call.answered, asks gather, ended normal far";

const BASIC: &str = "
    > INVITE sdp
    < 100
    < 200
        body: m=audio
    > ACK
    wait 200
    > BYE
    < 200
";

fn basic(lab: &Lab, name: &str) -> anyhow::Result<()> {
    lab.stranger(name, "1000", BASIC).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

fn basic_tcp(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut play = lab.stranger(name, "1000", BASIC);
    play.tcp = true;
    play.run()?;
    same(&lab.story(name)?, HUNG_UP)
}

/// The server makes the offer, and the answer comes in the ACK (RFC 3261 §13.2.1).
fn late_offer(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE
        < 100
        < 200
            body: m=audio [0-9]+ RTP/AVP.* 0
        > ACK sdp:ulaw
        wait 200
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

fn no_codec(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp:strange
        < 100
        < 488
        > ACK
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, "asks answer, ended not_acceptable near")
}

fn no_number(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        < 100
        < 404
        > ACK
    ";
    drop(lab.stranger(name, "7777", ladder).run()?);
    Ok(())
}

const CANCEL: &str = "
    > INVITE sdp
    < 100
    wait 100
    > CANCEL
    < 200
        CSeq: 1 CANCEL
    < 487
        CSeq: 1 INVITE
    > ACK
";

fn cancel(lab: &Lab, name: &str) -> anyhow::Result<()> {
    lab.stranger(name, SILENT, CANCEL).run()?;
    same(&lab.story(name)?, "ended cancelled far")
}

fn cancel_tcp(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut play = lab.stranger(name, SILENT, CANCEL);
    play.tcp = true;
    play.run()?;
    same(&lab.story(name)?, "ended cancelled far")
}

/// Hold in all its forms, and back (RFC 3264 §8.4).
fn hold(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        < 100
        < 200
        > ACK
        > INVITE sdp:sendonly
        <? 100
        < 200
            body: a=recvonly
        > ACK
        > INVITE sdp
        <? 100
        < 200
            !body: a=(recvonly|inactive)
        > ACK
        > INVITE sdp:inactive
        <? 100
        < 200
            body: a=inactive
        > ACK
        > INVITE sdp:zero
        <? 100
        < 200
            body: m=audio [1-9]
        > ACK
        > INVITE sdp
        <? 100
        < 200
            !body: a=(recvonly|inactive)
        > ACK
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

fn codec(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp:ulaw
        < 100
        < 200
            body: RTP/AVP 0 101
        > ACK
        > INVITE sdp:alaw
        <? 100
        < 200
            body: RTP/AVP 8 101
        > ACK
        > INVITE
        <? 100
        < 200
            body: RTP/AVP.* 0
        > ACK sdp:ulaw
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

/// A new offer that cannot be taken leaves the call as it was (RFC 3261 §14.2).
fn refused_reoffer(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        < 100
        < 200
        > ACK
        > INVITE sdp:strange
        <? 100
        < 488
        > ACK
        > INVITE sdp:alaw
        <? 100
        < 200
            body: RTP/AVP 8 101
        > ACK
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

/// UPDATE after the answer, with an offer and without (RFC 3311).
fn update(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        < 100
        < 200
            Allow: UPDATE
        > ACK
        > UPDATE sdp:sendonly
        < 200
            body: a=recvonly
        > UPDATE
        < 200
            !body: m=audio
        > UPDATE sdp:strange
        < 488
        > UPDATE sdp:alaw
        < 200
            body: RTP/AVP 8 101
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

/// A new offer while the answer to the last one is not acknowledged yet is too early, and so is one
/// while the server waits for an answer to its own (RFC 3311 §5.2, RFC 3261 §14.2).
fn glare(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        < 100
        < 200
        > ACK
        > INVITE
        <? 100
        < 200
            body: m=audio
        > UPDATE sdp
        < 491
        > ACK sdp
        > UPDATE sdp
        < 200
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

/// Other methods within a dialog: what is not known is refused with what is (§8.2.1).
fn others(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        < 100
        < 200
        > INFO
        < 200
        > ACK
        > OPTIONS
        < 200
            Allow: INVITE
        > MESSAGE
        < 405
            Allow: INVITE
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

fn unknown_extension(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
            Require: telepathy
        < 420
            Unsupported: telepathy
        > ACK
    ";
    drop(lab.stranger(name, "1000", ladder).run()?);
    Ok(())
}

fn options(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > OPTIONS
        < 200
            Accept: application/sdp
    ";
    drop(lab.stranger(name, "1000", ladder).run()?);
    Ok(())
}

/// RFC 4028 §9: a session interval below ours is refused with the least that is taken.
fn brief_session(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
            Supported: timer
            Session-Expires: 60
        <? 100
        < 422
            Min-SE: 90
        > ACK
        > INVITE sdp
            Supported: timer
            Session-Expires: 3600
            Min-SE: 90
        <? 100
        < 200
            Session-Expires: 90;refresher=uac
            Require: timer
        > ACK
        > BYE
        < 200
    ";
    lab.stranger(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

/// A user of ours is asked who it is, and proves it.
fn login(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        <? 100
        < 401
            WWW-Authenticate: Digest .*nonce=
        > ACK
        > INVITE sdp login
        <? 100
        < 200
        > ACK
        wait 100
        > BYE
        < 200
    ";
    lab.caller(name, "1000", ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

fn wrong_password(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
        <? 100
        < 401
        > ACK
        > INVITE sdp login
        <? 100
        < 401
            !WWW-Authenticate: stale=true
        > ACK
    ";
    let play = lab.stranger(name, "1000", ladder);
    drop(play.as_user("caller", "a-wrong-password").run()?);
    Ok(())
}

fn no_such_dialog(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = "
        > INVITE sdp
            Require: replaces
            Replaces: nobody@nowhere;from-tag=1;to-tag=2
        <? 100
        < 481
        > ACK
    ";
    drop(lab.stranger(name, "1000", ladder).run()?);
    Ok(())
}

/// The offer lies beside a location (RFC 5621).
fn parts(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = BASIC.replace("INVITE sdp", "INVITE sdp:parts");
    lab.stranger(name, "1000", &ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}

/// Beyond what fits into one packet (RFC 3261 §18.1.1).
fn large(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let ladder = BASIC.replace("INVITE sdp", "INVITE sdp:long");
    lab.stranger(name, "1000", &ladder).run()?;
    same(&lab.story(name)?, HUNG_UP)
}
