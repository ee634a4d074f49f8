//! Every event survives the way to the database and back, and what was stored yesterday too.

use std::time::Duration;

use expect_test::expect;
use vocab::call::{Cause, GatherEnd, RecordEnd, Side};
use vocab::flow::{DialResult, Fault, FaultKind, PluginRef};
use vocab::hearing::{Answerer, Answering, Hearing, MessageEnd, Signal, SignalHeard};
use vocab::record::{CallEventKind, Disposition, PauseEnd, Step};
use vocab::recording::{Consent, SegmentEnd};
use vocab::{CallId, Direction, MediaSummary, Party, RecordingId, SecretToken};

use super::{Word, decode, encode, party_from_text, party_text};

/// Events as the golden file holds them: every kind, and the variants that are stored differently.
pub(crate) fn samples() -> Vec<CallEventKind> {
    let call = CallId(0x0193_4a5b_6c7d_0000_0000_0000_0000_002a);
    let plugin = PluginRef {
        name: "ivr-menu".into(),
        version: "0.1.0".into(),
    };
    let started = |direction, from, user: Option<&str>| CallEventKind::Started {
        direction,
        from,
        to: "1000".into(),
        user: user.map(Into::into),
        sip_call_id: "a84b4c76e66710@pc33".into(),
        trunk: None,
        withheld: false,
    };
    let fault = Fault {
        plugin: plugin.clone(),
        kind: FaultKind::Panic,
        detail: "index out of bounds: \"len\" is 3\nbut the index is 7 \u{2014} 越界".into(),
    };
    vec![
        started(
            Direction::Inbound,
            Party::Sip("1001@example.com".into()),
            Some("1001"),
        ),
        started(
            Direction::Inbound,
            Party::E164("+8613800138000".into()),
            None,
        ),
        started(Direction::Outbound, Party::Anonymous, None),
        CallEventKind::Answered,
        CallEventKind::FlowStarted { plugin },
        CallEventKind::FlowAsked {
            op: "play".into(),
            detail: "greeting".into(),
        },
        CallEventKind::Gathered {
            digits: 1,
            end: GatherEnd::Complete,
        },
        CallEventKind::FlowEnded {
            label: "sales".into(),
        },
        CallEventKind::FlowFault { fault },
        CallEventKind::Fallback {
            announcement: "sorry".into(),
        },
        CallEventKind::RecordingStarted {
            recording: RecordingId::of_call(call),
        },
        CallEventKind::MessageLeft {
            recording: RecordingId::message(call, 1),
            length: Duration::from_micros(7_340_125),
            end: RecordEnd::Terminator,
        },
        CallEventKind::Dialed {
            leg: 2,
            to: Party::Sip("1002".into()),
            trunk: None,
        },
        CallEventKind::DialEnded {
            leg: 2,
            result: DialResult::NoAnswer,
            cause: None,
            status: None,
        },
        CallEventKind::Bridged { a: 1, b: 2 },
        CallEventKind::Unbridged { a: 1, b: 2 },
        CallEventKind::AttrSet {
            key: "language".into(),
        },
        CallEventKind::Ended {
            cause: Cause::Normal,
            by: Side::Far,
        },
    ]
}

/// A number for each kind, so that a new kind breaks the build here until it has a sample.
fn number(kind: &CallEventKind) -> usize {
    match kind {
        CallEventKind::Started { .. } => 0,
        CallEventKind::Answered => 1,
        CallEventKind::FlowStarted { .. } => 2,
        CallEventKind::FlowAsked { .. } => 3,
        CallEventKind::Gathered { .. } => 4,
        CallEventKind::FlowEnded { .. } => 5,
        CallEventKind::FlowFault { .. } => 6,
        CallEventKind::Fallback { .. } => 7,
        CallEventKind::RecordingStarted { .. } => 8,
        CallEventKind::MessageLeft { .. } => 9,
        CallEventKind::Dialed { .. } => 10,
        CallEventKind::DialEnded { .. } => 11,
        CallEventKind::Bridged { .. } => 12,
        CallEventKind::Unbridged { .. } => 13,
        CallEventKind::AttrSet { .. } => 14,
        CallEventKind::Ended { .. } => 15,
        CallEventKind::Step { .. } => 16,
        CallEventKind::RecordingCut { .. } => 17,
        CallEventKind::Media { .. } => 18,
        CallEventKind::Heard { .. } => 25,
        CallEventKind::SegmentStarted { .. } => 19,
        CallEventKind::SegmentEnded { .. } => 20,
        CallEventKind::RecordingPaused { .. } => 21,
        CallEventKind::RecordingResumed { .. } => 22,
        CallEventKind::RecordingStopped { .. } => 23,
        CallEventKind::Interaction { .. } => 24,
        CallEventKind::Consent { .. } => 26,
        CallEventKind::SecretStarted { .. } => 27,
        CallEventKind::SecretEnded { .. } => 28,
    }
}

const KINDS: usize = 16;

/// Kinds and fields that came after the first release, each step of call control once.
pub(crate) fn later_samples() -> Vec<CallEventKind> {
    let dialed = CallEventKind::Dialed {
        leg: 2,
        to: Party::E164("+862155501234".into()),
        trunk: Some("city".into()),
    };
    let steps = Step::ALL.into_iter().enumerate().map(|(n, step)| {
        let detail = if n % 2 == 0 { "" } else { "701" };
        CallEventKind::Step {
            step,
            leg: 1,
            by: (n % 3 == 0).then_some(2),
            other: (n % 4 == 0).then_some(3),
            detail: detail.into(),
        }
    });
    let cut = CallEventKind::RecordingCut {
        recording: RecordingId::of_call(CallId(7)),
        length: Duration::from_millis(2_500),
    };
    let started = CallEventKind::Started {
        direction: Direction::Inbound,
        from: Party::E164("+8613800138000".into()),
        to: "1000".into(),
        user: None,
        sip_call_id: "a84b4c76e66710@pc33".into(),
        trunk: Some("city".into()),
        withheld: true,
    };
    let refused = CallEventKind::DialEnded {
        leg: 2,
        result: DialResult::Unreachable,
        cause: Some(Cause::NotFound),
        status: Some(404),
    };
    let summary = MediaSummary {
        codec: "opus".into(),
        secured: true,
        sent: 1_500,
        received: 1_480,
        lost: 12,
        late: 8,
        jitter: Duration::from_micros(3_250),
        far_lost: Some(3),
        round_trip: Some(Duration::from_micros(41_000)),
        mos: Some(421),
    };
    let bare = MediaSummary {
        codec: "PCMA".into(),
        secured: false,
        far_lost: None,
        round_trip: None,
        mos: None,
        ..summary.clone()
    };
    let [full, bare] = [summary, bare].map(|media| CallEventKind::Media { leg: 2, media });
    let heard = [
        Hearing::Signal(SignalHeard {
            signal: Signal::VacantCode,
            hz: [985, 1_371, 1_777],
            lengths_ms: [380, 274, 380],
            level_dbm0: -14,
        }),
        Hearing::Answerer(Answering {
            answerer: Answerer::Machine,
            cause: "long_greeting".into(),
            at_ms: 3_120,
            words: 6,
            voice_ms: 2_410,
            initial_silence_ms: 480,
            silence_ms: 0,
            beep_at_ms: None,
        }),
        Hearing::MessageEnded(MessageEnd {
            beep: true,
            unheard: false,
            at_ms: 9_800,
        }),
    ];
    let heard = heard.map(|hearing| CallEventKind::Heard { leg: 2, hearing });
    let recording = RecordingId::segment(CallId(7), 2);
    let ends = SegmentEnd::ALL.map(|end| CallEventKind::SegmentEnded {
        recording,
        end,
        length: Duration::from_micros(1_250_375),
    });
    let recorded = [
        CallEventKind::SegmentStarted {
            recording,
            leg: 3,
            channels: 1,
        },
        CallEventKind::RecordingPaused { by: Some(2) },
        CallEventKind::RecordingPaused { by: None },
        CallEventKind::RecordingResumed {
            by: None,
            why: PauseEnd::Time,
        },
        CallEventKind::RecordingResumed {
            by: Some(1),
            why: PauseEnd::Asked,
        },
        CallEventKind::RecordingStopped { by: Some(1) },
        CallEventKind::Interaction { with: CallId(9) },
    ];
    let secret = |token, end| CallEventKind::SecretEnded {
        leg: 1,
        token,
        digits: if token.is_some() { 16 } else { 0 },
        luhn: token.is_some(),
        end,
    };
    let secrets = [
        CallEventKind::SecretStarted { leg: 1 },
        secret(Some(SecretToken(5)), GatherEnd::Complete),
        secret(None, GatherEnd::Hangup),
    ];
    let agreed = Consent::ALL.map(|consent| CallEventKind::Consent { consent });
    [started, dialed, cut, refused, full, bare]
        .into_iter()
        .chain(agreed)
        .chain(secrets)
        .chain(heard)
        .chain(steps)
        .chain(recorded)
        .chain(ends)
        .collect()
}

#[test]
fn samples_cover_every_kind() {
    let mut seen: Vec<_> = samples().iter().map(number).collect();
    seen.dedup();
    assert_eq!(seen, (0..KINDS).collect::<Vec<_>>());
}

#[test]
fn every_kind_reads_back() {
    for kind in samples().into_iter().chain(later_samples()) {
        let payload = encode(&kind);
        assert_eq!(decode(kind.name(), &payload), Ok(kind), "{payload}");
    }
}

/// The file was written by the first release and is never changed: it is what databases hold.
#[test]
fn what_version_1_stored_still_reads() {
    let stored: Vec<_> = include_str!("golden_v1.txt")
        .lines()
        .map(|line| line.split_once(' ').expect("a kind and a payload"))
        .collect();
    let read: Result<Vec<_>, _> = stored
        .iter()
        .map(|(kind, json)| decode(kind, json))
        .collect();
    assert_eq!(read, Ok(samples()));
    // While version 1 is the newest, it is also what is written, to the byte.
    let written: Vec<_> = samples().iter().map(|k| (k.name(), encode(k))).collect();
    let written: Vec<_> = written
        .iter()
        .map(|(kind, json)| (*kind, json.as_str()))
        .collect();
    assert_eq!(written, stored);
}

#[test]
fn every_word_reads_back() {
    fn check<T: Word + PartialEq + std::fmt::Debug>(words: &[T]) {
        for &word in words {
            assert_eq!(T::from_text(word.text()), Some(word));
        }
        assert_eq!(T::from_text(""), None);
        assert_eq!(T::from_text("Busy"), None, "spelling is exact");
    }
    check(&[Direction::Inbound, Direction::Outbound]);
    check(&[Side::Far, Side::Near]);
    check(&[
        GatherEnd::Complete,
        GatherEnd::Terminator,
        GatherEnd::Timeout,
        GatherEnd::Hangup,
    ]);
    check(&[
        RecordEnd::Terminator,
        RecordEnd::MaxTime,
        RecordEnd::Silence,
        RecordEnd::Hangup,
    ]);
    check(&[
        DialResult::Answered,
        DialResult::Busy,
        DialResult::NoAnswer,
        DialResult::Rejected,
        DialResult::Unreachable,
    ]);
    check(&[
        FaultKind::Panic,
        FaultKind::Trap,
        FaultKind::OutOfTime,
        FaultKind::OutOfMemory,
        FaultKind::StackOverflow,
        FaultKind::HostLimit,
        FaultKind::Error,
        FaultKind::Start,
        FaultKind::Stalled,
    ]);
    check(&[
        Cause::Normal,
        Cause::Busy,
        Cause::NoAnswer,
        Cause::Rejected,
        Cause::Blocked,
        Cause::NotFound,
        Cause::Unreachable,
        Cause::Cancelled,
        Cause::Challenged,
        Cause::NotAcceptable,
        Cause::Lost,
        Cause::Overload,
        Cause::Failed,
        Cause::Transferred,
        Cause::Elsewhere,
        Cause::Interrupted,
    ]);
    check(&[
        Disposition::Active,
        Disposition::Answered,
        Disposition::NoAnswer,
        Disposition::Busy,
        Disposition::Failed,
        Disposition::Interrupted,
    ]);
}

#[test]
fn parties_read_back_whatever_they_hold() {
    for party in [
        Party::E164("+8613800138000".into()),
        Party::E164(String::new()),
        Party::Sip("1001".into()),
        Party::Sip("sip:odd:1001@[2001:db8::1]:5060".into()),
        Party::Sip("anonymous".into()),
        Party::Anonymous,
    ] {
        assert_eq!(party_from_text(&party_text(&party)), Some(party));
    }
    for bad in ["", "1001", "mailto:x", "Anonymous"] {
        assert_eq!(party_from_text(bad), None, "{bad}");
    }
}

#[test]
fn overlong_texts_are_cut_between_characters() {
    // 3 bytes a character: the limit falls inside one.
    let long = CallEventKind::FlowEnded {
        label: "越".repeat(2_000),
    };
    let Ok(CallEventKind::FlowEnded { label }) = decode("flow.ended", &encode(&long)) else {
        panic!("not what was written");
    };
    assert_eq!(label, "越".repeat(1_365));
}

#[test]
fn bad_payloads_say_what_is_wrong() {
    let table = [
        ("call.answered", ""),
        ("call.answered", "[]"),
        ("call.answered", "{}"),
        ("call.answered", r#"{"v":2}"#),
        ("call.answered", r#"{"v":-1}"#),
        ("call.vanished", r#"{"v":1}"#),
        ("call.ended", r#"{"v":1,"cause":"bored","by":"far"}"#),
        ("call.ended", r#"{"v":1,"cause":"normal"}"#),
        ("leg.dialed", r#"{"v":1,"leg":2,"to":"1002"}"#),
        ("leg.dialed", r#"{"v":1,"leg":70000,"to":"sip:1002"}"#),
        (
            "recording.started",
            r#"{"v":1,"recording":"../etc/passwd"}"#,
        ),
    ];
    let mut said = String::new();
    for (kind, payload) in table {
        let wrong = decode(kind, payload).expect_err("bad payload");
        said += &format!("{kind} {payload}\n    {wrong}\n");
    }
    expect![[r#"
        call.answered 
            EOF while parsing a value at line 1 column 0
        call.answered []
            invalid length 0, expected struct Versioned with 1 element at line 1 column 2
        call.answered {}
            missing field `v` at line 1 column 2
        call.answered {"v":2}
            unknown payload version 2
        call.answered {"v":-1}
            invalid value: integer `-1`, expected u32 at line 1 column 7
        call.vanished {"v":1}
            unknown kind `call.vanished`
        call.ended {"v":1,"cause":"bored","by":"far"}
            unknown word `bored` at line 1 column 22
        call.ended {"v":1,"cause":"normal"}
            missing field `by` at line 1 column 24
        leg.dialed {"v":1,"leg":2,"to":"1002"}
            not a party
        leg.dialed {"v":1,"leg":70000,"to":"sip:1002"}
            invalid value: integer `70000`, expected u16 at line 1 column 18
        recording.started {"v":1,"recording":"../etc/passwd"}
            `../etc/passwd` is not a recording id
    "#]]
    .assert_eq(&said);
}

#[test]
fn unknown_fields_of_a_later_release_are_skipped() {
    let later = r#"{"v":1,"cause":"normal","by":"far","status":200}"#;
    assert_eq!(
        decode("call.ended", later),
        Ok(CallEventKind::Ended {
            cause: Cause::Normal,
            by: Side::Far
        })
    );
}

#[test]
fn the_reference_names_every_kind_and_word() {
    let page = include_str!("../../../../docs/reference/call-events.md");
    for kind in samples().into_iter().chain(later_samples()) {
        assert!(
            page.contains(&format!("### `{}`", kind.name())),
            "{} is missing",
            kind.name()
        );
        let serde_json::Value::Object(fields) =
            serde_json::from_str(&encode(&kind)).expect("valid JSON")
        else {
            panic!("a payload is an object");
        };
        for field in fields.keys() {
            assert!(
                page.contains(&format!("`{field}`")),
                "{}.{field} is missing",
                kind.name()
            );
        }
    }
}
