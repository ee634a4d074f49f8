//! Records and events as JSON. Digits are in neither, so there are none to leave out.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use vocab::call::{Cause, GatherEnd, RecordEnd, Side};
use vocab::flow::{DialResult, PluginRef};
use vocab::hearing::Hearing;
use vocab::record::{CallEvent, CallEventKind, CallRecord};
use vocab::recording::Consent;
use vocab::{Direction, Party, Wall};

/// A call in one object. Every field is always there; what is not known is null.
#[derive(Serialize)]
pub(super) struct Record {
    id: String,
    tenant: String,
    direction: &'static str,
    from: String,
    to: String,
    user: Option<String>,
    sip_call_id: String,
    started_at: String,
    answered_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<u64>,
    talk_ms: Option<u64>,
    disposition: &'static str,
    cause: Option<&'static str>,
    ended_by: Option<&'static str>,
    plugin: Option<Plugin>,
    outcome: Option<String>,
    fault: Option<String>,
    recording: Option<String>,
    messages: Vec<String>,
    interaction: String,
    consent: Option<&'static str>,
    event_count: u32,
}

/// A plugin and its version.
#[derive(Serialize)]
struct Plugin {
    name: String,
    version: String,
}

impl From<&PluginRef> for Plugin {
    fn from(plugin: &PluginRef) -> Self {
        Self {
            name: plugin.name.to_string(),
            version: plugin.version.to_string(),
        }
    }
}

impl From<&CallRecord> for Record {
    fn from(record: &CallRecord) -> Self {
        let until_end = |from: Option<Wall>| {
            let length = record.ended_at?.since(from?);
            u64::try_from(length.as_millis()).ok()
        };
        Self {
            id: record.call.to_string(),
            tenant: record.tenant.to_string(),
            direction: direction(record.direction),
            from: party(&record.from),
            to: record.to.clone(),
            user: record.user.clone(),
            sip_call_id: record.sip_call_id.clone(),
            started_at: record.started_at.rfc3339(),
            answered_at: record.answered_at.map(Wall::rfc3339),
            ended_at: record.ended_at.map(Wall::rfc3339),
            duration_ms: until_end(Some(record.started_at)),
            talk_ms: until_end(record.answered_at),
            disposition: record.disposition.name(),
            cause: record.cause.map(Cause::name),
            ended_by: record.ended_by.map(side),
            plugin: record.plugin.as_ref().map(Plugin::from),
            outcome: record.outcome.clone(),
            fault: record.fault.clone(),
            recording: record.recording.map(|id| id.to_string()),
            messages: record.messages.iter().map(ToString::to_string).collect(),
            interaction: record.interaction.to_string(),
            consent: record.consent.map(Consent::name),
            event_count: record.events,
        }
    }
}

/// An event: where it stands, when, what, and the fields of its kind.
#[derive(Serialize)]
pub(super) struct Event {
    n: u32,
    at: String,
    kind: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl From<&CallEvent> for Event {
    fn from(event: &CallEvent) -> Self {
        let fields = match fields(&event.kind) {
            Value::Object(fields) => fields,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        Self {
            n: event.n,
            at: event.at.rfc3339(),
            kind: event.kind.name(),
            fields,
        }
    }
}

/// The fields of a kind, under the names of `docs/reference/call-events.md`.
fn fields(kind: &CallEventKind) -> Value {
    match kind {
        CallEventKind::Started {
            direction: way,
            from,
            to,
            user,
            sip_call_id,
            trunk,
            withheld,
        } => json!({
            "direction": direction(*way),
            "from": party(from),
            "to": to,
            "user": user,
            "sip_call_id": sip_call_id,
            "trunk": trunk,
            "withheld": withheld,
        }),
        CallEventKind::Answered => json!({}),
        CallEventKind::FlowStarted { plugin } => {
            json!({ "plugin": &*plugin.name, "version": &*plugin.version })
        }
        CallEventKind::FlowAsked { op, detail } => json!({ "op": op, "detail": detail }),
        CallEventKind::Gathered { digits, end } => {
            json!({ "digits": digits, "end": gather_end(*end) })
        }
        CallEventKind::FlowEnded { label } => json!({ "label": label }),
        CallEventKind::FlowFault { fault } => json!({
            "plugin": &*fault.plugin.name,
            "version": &*fault.plugin.version,
            "fault": fault.kind.name(),
            "detail": fault.detail,
        }),
        CallEventKind::Fallback { announcement } => json!({ "announcement": announcement }),
        CallEventKind::RecordingStarted { recording } => {
            json!({ "recording": recording.to_string() })
        }
        CallEventKind::SegmentStarted {
            recording,
            leg,
            channels,
        } => json!({
            "recording": recording.to_string(),
            "leg": leg,
            "channels": channels,
        }),
        CallEventKind::SegmentEnded {
            recording,
            end,
            length,
        } => json!({
            "recording": recording.to_string(),
            "end": end.name(),
            "length_ms": u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        }),
        CallEventKind::RecordingPaused { by } | CallEventKind::RecordingStopped { by } => {
            json!({ "by": by })
        }
        CallEventKind::RecordingResumed { by, why } => json!({ "by": by, "why": why.name() }),
        CallEventKind::SecretStarted { leg } => json!({ "leg": leg }),
        CallEventKind::SecretEnded {
            leg,
            token,
            digits,
            luhn,
            end,
        } => json!({
            "leg": leg,
            "token": token.map(|token| token.to_string()),
            "digits": digits,
            "luhn": luhn,
            "end": gather_end(*end),
        }),
        CallEventKind::Consent { consent } => json!({ "consent": consent.name() }),
        CallEventKind::Interaction { with } => json!({ "with": with.to_string() }),
        CallEventKind::MessageLeft {
            recording,
            length,
            end,
        } => json!({
            "recording": recording.to_string(),
            "length_ms": u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
            "end": record_end(*end),
        }),
        CallEventKind::RecordingCut { recording, length } => json!({
            "recording": recording.to_string(),
            "length_ms": u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        }),
        CallEventKind::Dialed { leg, to, trunk } => {
            json!({ "leg": leg, "to": party(to), "trunk": trunk })
        }
        CallEventKind::DialEnded {
            leg,
            result,
            cause,
            status,
        } => json!({
            "leg": leg,
            "result": dial_result(*result),
            "cause": cause.map(Cause::name),
            "status": status,
        }),
        CallEventKind::Bridged { a, b } | CallEventKind::Unbridged { a, b } => {
            json!({ "a": a, "b": b })
        }
        CallEventKind::Step {
            step: _,
            leg,
            by,
            other,
            detail,
        } => json!({ "leg": leg, "by": by, "other": other, "detail": detail }),
        CallEventKind::Media { leg, media } => json!({
            "leg": leg,
            "codec": media.codec,
            "secured": media.secured,
            "sent": media.sent,
            "received": media.received,
            "lost": media.lost,
            "late": media.late,
            "jitter_ms": milliseconds(media.jitter),
            "far_lost": media.far_lost,
            "round_trip_ms": media.round_trip.map(milliseconds),
            "mos": media.mos.map(|hundredths| f64::from(hundredths) / 100.0),
        }),
        CallEventKind::Heard { leg, hearing } => match hearing {
            Hearing::Signal(heard) => json!({
                "leg": leg,
                "signal": heard.signal.name(),
                "hz": heard.hz,
                "lengths_ms": heard.lengths_ms,
                "level_dbm0": heard.level_dbm0,
            }),
            Hearing::Answerer(who) => json!({
                "leg": leg,
                "answerer": who.answerer.name(),
                "cause": who.cause,
                "at_ms": who.at_ms,
                "words": who.words,
                "voice_ms": who.voice_ms,
                "initial_silence_ms": who.initial_silence_ms,
                "silence_ms": who.silence_ms,
                "beep_at_ms": who.beep_at_ms,
            }),
            Hearing::MessageEnded(end) => json!({
                "leg": leg,
                "beep": end.beep,
                "unheard": end.unheard,
                "at_ms": end.at_ms,
            }),
        },
        CallEventKind::AttrSet { key } => json!({ "key": key }),
        CallEventKind::Ended { cause, by } => json!({ "cause": cause.name(), "by": side(*by) }),
    }
}

/// With a fraction: jitter is often below one.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A party: `tel:` and a number, `sip:` and an address, or `anonymous`.
pub(super) fn party(party: &Party) -> String {
    match party {
        Party::E164(number) => format!("tel:{number}"),
        Party::Sip(address) => format!("sip:{address}"),
        Party::Anonymous => "anonymous".to_owned(),
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Far => "far",
        Side::Near => "near",
    }
}

pub(super) fn gather_end(end: GatherEnd) -> &'static str {
    match end {
        GatherEnd::Complete => "complete",
        GatherEnd::Terminator => "terminator",
        GatherEnd::Timeout => "timeout",
        GatherEnd::Hangup => "hangup",
    }
}

fn record_end(end: RecordEnd) -> &'static str {
    match end {
        RecordEnd::Terminator => "terminator",
        RecordEnd::MaxTime => "max_time",
        RecordEnd::Silence => "silence",
        RecordEnd::Hangup => "hangup",
    }
}

fn dial_result(result: DialResult) -> &'static str {
    match result {
        DialResult::Answered => "answered",
        DialResult::Busy => "busy",
        DialResult::NoAnswer => "no_answer",
        DialResult::Rejected => "rejected",
        DialResult::Unreachable => "unreachable",
    }
}
