//! A ladder at several widths, and what it must never do to a terminal.

use expect_test::{Expect, expect};

use super::super::Stage;
use super::super::message::{Carrier, Leg, Message, Trace, Way};
use super::super::sheet::Sheet;
use super::*;
use vocab::call::{Cause, GatherEnd, Side};
use vocab::record::{CallEvent, CallEventKind};
use vocab::{CallId, Wall};

const LOCAL: &str = "192.0.2.1:5060";
const CALLER: &str = "192.0.2.10:5062";
const CALLEE: &str = "192.0.2.20:5060";

/// A call of two legs, with a challenge, a retransmission and a refusal's words.
fn sheet() -> Sheet {
    let rows: &[(i64, Way, &str, &str, &str)] = &[
        (
            0,
            Way::In,
            CALLER,
            "a",
            "INVITE sip:1000@h SIP/2.0\r\nContent-Type: application/sdp",
        ),
        (
            300,
            Way::Out,
            CALLER,
            "a",
            "SIP/2.0 401 Unauthorized\r\nCSeq: 1 INVITE",
        ),
        (2_000, Way::In, CALLER, "a", "ACK sip:1000@h SIP/2.0"),
        (
            3_000,
            Way::In,
            CALLER,
            "a",
            "INVITE sip:1000@h SIP/2.0\r\nCSeq: 2 INVITE\r\nc: application/sdp",
        ),
        (
            500_000,
            Way::In,
            CALLER,
            "a",
            "INVITE sip:1000@h SIP/2.0\r\nCSeq: 2 INVITE\r\nc: application/sdp",
        ),
        (
            501_000,
            Way::Out,
            CALLER,
            "a",
            "SIP/2.0 200 OK\r\nCSeq: 2 INVITE\r\nc: application/sdp",
        ),
        (
            700_000,
            Way::Out,
            CALLEE,
            "b",
            "INVITE sip:1002@h SIP/2.0\r\nc: application/sdp",
        ),
        (
            710_000,
            Way::In,
            CALLEE,
            "b",
            "SIP/2.0 180 \x1b[2JRinging\r\nCSeq: 1 INVITE",
        ),
        (
            1_200_000,
            Way::In,
            CALLEE,
            "b",
            "SIP/2.0 480 Temporarily Unavailable\r\nCSeq: 1 INVITE",
        ),
        (61_000_000, Way::In, CALLER, "a", "BYE sip:1000@h SIP/2.0"),
    ];
    let message = |(at, way, remote, dialog, text): &(i64, Way, &str, &str, &str)| {
        let ends = (LOCAL.parse().unwrap(), remote.parse().unwrap());
        let text = format!("{text}\r\nCall-ID: {dialog}\r\n\r\nv=0\r\n");
        Message::new((Wall(*at), *way, Carrier::Udp), ends, text.into_bytes())
    };
    let leg = |n, id: &str| Leg {
        n,
        sip_call_id: id.into(),
    };
    let trace = Trace {
        legs: vec![leg(1, "a"), leg(2, "b")],
        messages: rows.iter().map(message).collect(),
        left_out: 2,
    };
    let kinds = [
        (3_000, CallEventKind::Answered),
        (
            600_000,
            CallEventKind::Gathered {
                digits: 1,
                end: GatherEnd::Complete,
            },
        ),
        (
            61_000_000,
            CallEventKind::Ended {
                cause: Cause::Normal,
                by: Side::Far,
            },
        ),
    ];
    let events: Vec<_> = (1..)
        .zip(kinds)
        .map(|(n, (at, kind))| CallEvent {
            tenant: "demo".parse().unwrap(),
            call: CallId(1),
            n,
            at: Wall(at),
            kind,
        })
        .collect();
    Sheet::new(CallId(1), Stage::Past, &trace, &events)
}

fn check(width: usize, expected: Expect) {
    let text = text(
        &sheet(),
        Style {
            width,
            colour: false,
        },
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= width),
        "{text}"
    );
    expected.assert_eq(&text);
}

#[test]
fn a_call_of_two_legs_at_80_columns() {
    check(
        80,
        expect![[r#"
                              leg 1                 jackfield                 leg 2
                         192.0.2.10:5062         192.0.2.1:5060          192.0.2.20:5060
               0.000            │───── INVITE SDP ─────>│                       │
               0.000            │<── 401 Unauthorized ──│                       │
               0.002            │──────── ACK ─────────>│                       │
               0.003            │───── INVITE SDP ─────>│                       │
               0.003            │                       ◆ answered              │
               0.500            │── INVITE SDP again ──>│                       │
               0.501            │<───── 200 OK SDP ─────│                       │
               0.600            │                       ◆ 1 key pressed         │
               0.700            │                       │───── INVITE SDP ─────>│
               0.710            │                       │<── 180  [2JRinging ───│
               1.200            │                       │<─ 480 Temporarily U… ─│
              61.000            │──────── BYE ─────────>│                       │
              61.000            │                       ◆ ended by the caller: normal

            2 messages left out: there were too many.
        "#]],
    );
}

#[test]
fn a_call_of_two_legs_at_140_columns() {
    check(
        140,
        expect![[r#"
                              leg 1                                       jackfield                                       leg 2
                         192.0.2.10:5062                               192.0.2.1:5060                                192.0.2.20:5060
               0.000            │──────────────── INVITE SDP ────────────────>│                                             │
               0.000            │<──────── 401 Unauthorized (INVITE) ─────────│                                             │
               0.002            │─────────────────── ACK ────────────────────>│                                             │
               0.003            │──────────────── INVITE SDP ────────────────>│                                             │
               0.003            │                                             ◆ answered                                    │
               0.500            │───────────── INVITE SDP again ─────────────>│                                             │
               0.501            │<─────────── 200 OK (INVITE) SDP ────────────│                                             │
               0.600            │                                             ◆ 1 key pressed                               │
               0.700            │                                             │──────────────── INVITE SDP ────────────────>│
               0.710            │                                             │<───────── 180  [2JRinging (INVITE) ─────────│
               1.200            │                                             │<─── 480 Temporarily Unavailable (INVITE) ───│
              61.000            │─────────────────── BYE ────────────────────>│                                             │
              61.000            │                                             ◆ ended by the caller: normal                 │

            2 messages left out: there were too many.
        "#]],
    );
}

#[test]
fn colours_take_no_room_and_nothing_else_steers_the_terminal() {
    let plain = text(
        &sheet(),
        Style {
            width: 80,
            colour: false,
        },
    );
    let painted = text(
        &sheet(),
        Style {
            width: 80,
            colour: true,
        },
    );
    let mut stripped = String::new();
    let mut rest = painted.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        stripped.push_str(before);
        let (code, after) = after.split_once('m').expect("a colour");
        assert!(
            code.bytes().all(|b| b.is_ascii_digit() || b == b';'),
            "{code}"
        );
        rest = after;
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
}

#[test]
fn a_crowd_and_an_empty_call_can_be_drawn() {
    let mut crowd = sheet();
    let line = crowd.messages[0].clone();
    for n in 0..20 {
        let mut line = line.clone();
        line.remote = format!("[2001:db8:0:1:2:3:4:{n}]:5060");
        crowd.messages.push(line);
    }
    for width in [0, 60, 80, 240, 1_000] {
        let text = text(
            &crowd,
            Style {
                width,
                colour: false,
            },
        );
        let most = width.clamp(*WIDTHS.start(), *WIDTHS.end());
        assert!(
            text.lines().all(|line| line.chars().count() <= most),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2 + 30 + 3 + 4);
    }
    crowd.messages.clear();
    let text = text(
        &crowd,
        Style {
            width: 80,
            colour: false,
        },
    );
    assert_eq!(text.lines().filter(|line| line.contains('◆')).count(), 3);
}
