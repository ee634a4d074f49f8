//! Phones that hand a call on: by REFER, blind or attended, and by an INVITE that takes the place of
//! another phone's (Replaces).

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::lab::{Lab, PASSWORD, Phone, Scenario, TALKED, same};
use jackfield_tests::peers::scenario::{Party, header};
use jackfield_tests::peers::talker::sdp;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("refer-blind", blind),
    ("refer-to-device", to_device),
    ("refer-busy", busy),
    ("refer-and-hang-up", hangs_up),
    ("refer-to-nobody", nobody),
    ("refer-attended", attended),
    ("refer-attended-unknown", attended_unknown),
    ("replaces", replaces),
];

/// A user dials, and is hung up on.
const CALLER: &str = "
    > INVITE sdp
    <? 100
    < 401
    > ACK
    > INVITE sdp login
    <? 100
    <? 180
    < 200
    > ACK
    < BYE
    > 200
";

/// A phone that is called and hung up on.
const CALLED: &str = "
    < INVITE
    > 180
    > 200 sdp
    < ACK
    < BYE
    > 200
";

/// What a phone that asks for a transfer is told first (RFC 3515 §2.4.4).
const TRYING: &str = "
    < 202
    < NOTIFY
        Event: refer
        Subscription-State: active
        Content-Type: message/sipfrag
        body: SIP/2.0 100
    > 200
";

/// And last.
fn told(status: u16) -> String {
    format!("< NOTIFY\nSubscription-State: terminated\nbody: SIP/2.0 {status}\n> 200\n")
}

fn refer_to(lab: &Lab, phone: &Phone) -> String {
    format!(
        "> REFER\nRefer-To: <sip:{}@{}>\n",
        phone.user, lab.server.sip
    )
}

/// The story of a call of two, up to where its flow lets go of it.
const TALKED_FIRST: &str =
    "asks answer, call.answered, asks dial, leg.dialed, leg.bridged, dial answered";

/// And from where somebody else takes the party until both have hung up.
const CONNECTED: &str = "transfer.done, leg.bridged, leg.unbridged, ended normal near";

/// What a called phone does before it asks for a transfer.
const TALKS: &str = "
    < INVITE
    > 180
    > 200 sdp
    < ACK
";

/// The one who was called sends the caller on to a phone that rings and answers.
fn blind(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let target = lab.phone();
    let answers = "< INVITE\n> 180\nwait 300\n> 200 sdp\n< ACK\nwait 200\n> BYE\n< 200\n";
    let third = lab.callee(&format!("{name}-target"), &target, answers)?;
    let callee = format!(
        "{TALKS}{}{TRYING}< NOTIFY\nSubscription-State: active\nbody: SIP/2.0 180\n> 200\n{}\
         < BYE\n> 200\n",
        refer_to(lab, &target),
        told(200)
    );
    let (_, _, story) = lab.between(name, CALLER, &callee)?;
    third.end_soon().with_context(|| story.clone())?;
    same(
        &story,
        &format!("{TALKED_FIRST}, transfer.asked, leg.dialed, leg.unbridged, {CONNECTED}"),
    )
}

/// A phone that is transferred to by its GRUU rings alone, whatever else its user has.
fn to_device(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let target = lab.phone();
    let mut other = lab.talker(&format!("{name}-other"), &target, false)?;
    let answers = "< INVITE\n> 180\nwait 300\n> 200 sdp\n< ACK\nwait 200\n> BYE\n< 200\n";
    let device = format!("{name}-target");
    let third = lab.callee(&device, &target, answers)?;
    let callee = format!(
        "{TALKS}> REFER\nRefer-To: <sip:{}@{};gr=urn:x-device:{device}>\n{TRYING}\
         < NOTIFY\nSubscription-State: active\nbody: SIP/2.0 180\n> 200\n{}< BYE\n> 200\n",
        target.user,
        lab.server.sip,
        told(200)
    );
    let (_, _, story) = lab.between(name, CALLER, &callee)?;
    third.end_soon().with_context(|| story.clone())?;
    ensure!(other.is_left_alone()?, "another device rang");
    same(
        &story,
        &format!("{TALKED_FIRST}, transfer.asked, leg.dialed, leg.unbridged, {CONNECTED}"),
    )
}

/// The phone that is to take the caller is busy: the two talk on.
fn busy(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let target = lab.phone();
    let refuses = "< INVITE\nwait 100\n> 486\n< ACK\n";
    let third = lab.callee(&format!("{name}-target"), &target, refuses)?;
    let callee = format!(
        "{TALKS}{}{TRYING}{}wait 200\n> BYE\n< 200\n",
        refer_to(lab, &target),
        told(486)
    );
    let (_, _, story) = lab.between(name, CALLER, &callee)?;
    third.end_soon().with_context(|| story.clone())?;
    same(
        &story,
        &format!(
            "{TALKED_FIRST}, transfer.asked, leg.dialed, leg.unbridged, dial busy, transfer.failed, \
             leg.bridged, leg.unbridged, ended normal near"
        ),
    )
}

/// The caller sends on whom it has called, and hangs up without waiting for what comes of it.
fn hangs_up(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let (other, target) = (lab.phone(), lab.phone());
    let mut third = lab.talker(&format!("{name}-target"), &target, false)?;
    let callee = lab.callee(&format!("{name}-callee"), &other, CALLED)?;
    let refers = format!("{}{TRYING}> BYE\n< 200\n", refer_to(lab, &target));
    let caller = CALLER.replace("< BYE\n    > 200\n", &refers);
    lab.caller(name, &other.before, &caller).run()?;
    third.expect("INVITE")?;
    third.answer("200 OK", "", &sdp(9))?;
    third.expect("ACK")?;
    third.hang_up()?;
    let story = lab.story(name)?;
    callee.end_soon().with_context(|| story.clone())?;
    // That the caller is gone is written down when its audio is closed, before the phone that is
    // called has answered or after.
    same(
        &story.replace(", leg.gone", ""),
        &format!(
            "asks dial, leg.dialed, call.answered, leg.bridged, dial answered, transfer.asked, \
             leg.dialed, leg.unbridged, {CONNECTED}"
        ),
    )
}

/// Whoever is not there, or not in the house, is not called.
fn nobody(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let mut refers = String::new();
    for to in [
        "<sip:nobody@lab>",
        "<sip:+4912345@lab>",
        "<mailto:phone1@lab>",
    ] {
        refers += &format!("> REFER\nRefer-To: {to}\n< 603\n");
    }
    refers += "> REFER\n< 400\n> BYE\n< 200\n";
    let callee = format!("{TALKS}{refers}");
    let (_, _, story) = lab.between(name, CALLER, &callee)?;
    same(&story, TALKED)
}

/// How others name the dialog of a caller of ours that talks: its `Call-ID`, the server's tag, its
/// own (RFC 3891 §3).
fn dialog_of(lab: &Lab, caller: &Party, call_id: &str) -> anyhow::Result<[String; 3]> {
    let answer = lab.seen(caller, "< 200 INVITE")?;
    let tag = |name| {
        let value = header(&answer, name)?;
        Some(value.split_once(";tag=")?.1.to_owned())
    };
    let (to, from) = (tag("To").context("a tag")?, tag("From").context("a tag")?);
    Ok([call_id.to_owned(), to, from])
}

/// A phone talks with one in one call and asks another in a second call, and puts the two together.
fn attended(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let (one, other) = (lab.phone(), lab.phone());
    let asked = lab.callee(&format!("{name}-asked"), &other, CALLED)?;
    let second = format!("{name}-second");
    let consults = lab.caller(&second, &other.before, CALLER).start()?;
    let [id, to, from] = dialog_of(lab, &consults, &second)?;
    let mut first = lab.talker(&format!("{name}-first"), &one, false)?;
    let refers = format!(
        "> REFER\nRefer-To: <sip:{}@{}?Replaces={id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>\n\
         {TRYING}{}< BYE\n> 200\n",
        other.user,
        lab.server.sip,
        told(200)
    );
    let ladder = CALLER.replace("< BYE\n    > 200\n", &refers);
    let caller = lab.caller(name, &one.before, &ladder).start()?;
    first.expect("INVITE")?;
    first.answer("200 OK", "", &sdp(9))?;
    first.expect("ACK")?;
    // Both calls of the phone that put them together are over, and the two talk with each other.
    caller.end_soon()?;
    consults.end_soon()?;
    first.hang_up()?;
    asked.end_soon()?;
    same(
        &lab.story(name)?,
        "asks dial, leg.dialed, call.answered, leg.bridged, dial answered, transfer.asked, \
         leg.unbridged, call.interaction, leg.moved_away, ended normal near",
    )?;
    same(
        &lab.story(&second)?,
        "asks dial, leg.dialed, call.answered, leg.bridged, leg.taken_over, leg.unbridged, \
         dial answered, ended normal far",
    )
}

/// A call that is not ours, or not there, is not taken over: all stays as it is.
fn attended_unknown(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let refer = "> REFER\nRefer-To: \
                 <sip:phone1@lab?Replaces=nobody%3Bto-tag%3D1%3Bfrom-tag%3D2>\n< 603\n";
    let callee = format!("{TALKS}{refer}> BYE\n< 200\n");
    let (_, _, story) = lab.between(name, CALLER, &callee)?;
    same(&story, TALKED)
}

/// Another phone of the house goes on with the call of the caller, who is let go. With a wrong tag it
/// is told that there is no such call, without proof that it is who it says.
fn replaces(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let (other, taker) = (lab.phone(), lab.phone());
    let callee = lab.callee(&format!("{name}-callee"), &other, CALLED)?;
    let caller = lab.caller(name, &other.before, CALLER).start()?;
    let [id, to, from] = dialog_of(lab, &caller, name)?;
    for (to, from) in [(&*to, "wrong"), ("wrong", &*from), (&*from, &*to)] {
        let ladder = format!(
            "> INVITE sdp\nRequire: replaces\nReplaces: {id};to-tag={to};from-tag={from}\n\
             <? 100\n< 481\n> ACK\n"
        );
        lab.stranger(&format!("{name}-wrong"), "1000", &ladder)
            .run()?;
    }
    let line = format!("Require: replaces\nReplaces: {id};to-tag={to};from-tag={from}\n");
    // Who cannot prove who it is takes nobody's call.
    let guess = format!("> INVITE sdp\n{line}<? 100\n< 401\n> ACK\n");
    lab.stranger(&format!("{name}-stranger"), "1000", &guess)
        .run()?;
    let takes = format!(
        "> INVITE sdp\n{line}<? 100\n< 401\n> ACK\n> INVITE sdp login\n{line}<? 100\n< 200\n\
         body: m=audio\n> ACK\nwait 200\n> BYE\n< 200\n"
    );
    let play = lab.stranger(&format!("{name}-taker"), "1000", &takes);
    play.as_user(&taker.user, PASSWORD).run()?;
    let seen = caller.end_soon()?;
    callee.end_soon()?;
    let bye = seen.received("BYE ");
    let reason = bye.first().and_then(|bye| header(bye, "Reason"));
    same(
        reason.unwrap_or_default(),
        "SIP;cause=200;text=\"call completed elsewhere\"",
    )?;
    same(
        &lab.story(name)?,
        "asks dial, leg.dialed, call.answered, leg.bridged, leg.unbridged, dial answered, \
         ended normal far",
    )
}
