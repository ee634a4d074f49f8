//! A trace as the API tells it and the terminal draws it: messages and events of a call in order.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use engine::phone::{Arrow, LadderLine};
use serde::{Deserialize, Serialize};
use vocab::call::Side;
use vocab::flow::DialResult;
use vocab::hearing::Hearing;
use vocab::record::{CallEvent, CallEventKind};
use vocab::{CallId, Party, Wall};

use super::message::{Message, Trace, Way};
use super::{Stage, find};

/// The signalling of a call. Fields may be added.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Sheet {
    pub(crate) call: String,
    /// `live`, `ending` or `past`.
    pub(crate) stage: String,
    pub(crate) legs: Vec<Leg>,
    /// Messages that were not kept.
    pub(crate) left_out: u64,
    pub(crate) messages: Vec<Line>,
    pub(crate) events: Vec<Mark>,
}

/// A dialog of the call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    pub(crate) leg: u16,
    pub(crate) sip_call_id: String,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Microseconds since the first message.
    pub(crate) offset_us: i64,
    pub(crate) at: String,
    /// `in` or `out`, seen from the node.
    pub(crate) way: String,
    pub(crate) transport: String,
    pub(crate) local: String,
    pub(crate) remote: String,
    /// The leg, unless the message belongs to no call.
    pub(crate) leg: Option<u16>,
    /// As in `200 OK (INVITE)`.
    pub(crate) summary: String,
    /// It holds a session description.
    pub(crate) sdp: bool,
    /// The same bytes went the same way before.
    pub(crate) retransmission: bool,
    /// Bytes that were cut off at its end.
    pub(crate) cut_bytes: u32,
    /// The whole message, masked.
    pub(crate) text: String,
}

/// An event between the messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) n: u32,
    pub(crate) offset_us: i64,
    pub(crate) at: String,
    pub(crate) kind: String,
    /// In a few words.
    pub(crate) summary: String,
}

impl Sheet {
    /// The sheet of a call.
    pub(crate) fn new(call: CallId, stage: Stage, trace: &Trace, events: &[CallEvent]) -> Self {
        let first = trace.messages.first().map(|message| message.at);
        let start = first.or(events.first().map(|event| event.at));
        let start = start.unwrap_or_default();
        let stage = match stage {
            Stage::Live => "live",
            Stage::Ending => "ending",
            Stage::Past => "past",
        };
        let mut seen = BTreeSet::new();
        let line = |message: &Message| {
            let dialog = find::call_id(&message.bytes);
            let leg = trace
                .legs
                .iter()
                .find(|leg| Some(&*leg.sip_call_id) == dialog);
            let mut line = Line::new(start, leg.map(|leg| leg.n), message);
            line.retransmission = message.carrier.is_datagram() && !seen.insert(print(message));
            line
        };
        Self {
            call: call.to_string(),
            stage: stage.to_owned(),
            left_out: trace.left_out,
            messages: trace.messages.iter().map(line).collect(),
            legs: trace
                .legs
                .iter()
                .map(|leg| Leg {
                    leg: leg.n,
                    sip_call_id: leg.sip_call_id.to_string(),
                })
                .collect(),
            events: events
                .iter()
                .map(|event| Mark {
                    n: event.n,
                    offset_us: event.at.0.saturating_sub(start.0),
                    at: event.at.rfc3339(),
                    kind: event.kind.name().to_owned(),
                    summary: summary(&event.kind),
                })
                .collect(),
        }
    }
}

/// What tells a message from others that went the same way.
fn print(message: &Message) -> (bool, u64) {
    let mut hasher = DefaultHasher::new();
    (message.remote, &message.bytes).hash(&mut hasher);
    (message.way == Way::In, hasher.finish())
}

impl Line {
    /// A message, with its time since `start`.
    pub(crate) fn new(start: Wall, leg: Option<u16>, message: &Message) -> Self {
        let (way, arrow) = match message.way {
            Way::In => ("in", Arrow::Received),
            Way::Out => ("out", Arrow::Sent),
        };
        let line = LadderLine::new(arrow, Duration::ZERO, &message.bytes);
        let kind = find::header(&message.bytes, "Content-Type", b'c').unwrap_or_default();
        Self {
            offset_us: message.at.0.saturating_sub(start.0),
            at: message.at.rfc3339(),
            way: way.to_owned(),
            transport: message.carrier.name().to_owned(),
            local: message.local.to_string(),
            remote: message.remote.to_string(),
            leg,
            summary: line.map_or_else(|| "not SIP".to_owned(), |line| line.text),
            // Some answers name a type and have no body.
            sdp: kind.to_ascii_lowercase().starts_with("application/sdp")
                && !message.bytes.ends_with(b"\r\n\r\n"),
            retransmission: false,
            cut_bytes: message.cut,
            text: String::from_utf8_lossy(&message.bytes).into_owned(),
        }
    }
}

/// An event in a few words; nothing that the event does not say.
fn summary(kind: &CallEventKind) -> String {
    match kind {
        CallEventKind::Started {
            from,
            to,
            user,
            trunk,
            ..
        } => {
            let who = match (user, trunk) {
                (Some(_), _) => String::new(),
                (None, Some(trunk)) => format!(" by {trunk}"),
                (None, None) => " (as claimed)".to_owned(),
            };
            format!("call from {}{who} to {to}", party(from))
        }
        CallEventKind::Answered => "answered".to_owned(),
        CallEventKind::FlowStarted { plugin } => format!("plugin {plugin}"),
        CallEventKind::FlowAsked { op, detail } if detail.is_empty() => op.clone(),
        CallEventKind::FlowAsked { op, detail } => format!("{op} {detail}"),
        CallEventKind::Gathered { digits, .. } => {
            format!(
                "{} pressed",
                crate::cli::counted(usize::from(*digits), "key")
            )
        }
        CallEventKind::FlowEnded { label } => format!("plugin ended: {label}"),
        CallEventKind::FlowFault { fault } => format!("plugin failed: {}", fault.kind.name()),
        CallEventKind::Fallback { announcement } => format!("fallback: {announcement}"),
        CallEventKind::RecordingStarted { .. } => "recording".to_owned(),
        CallEventKind::SegmentStarted { leg, .. } => format!("leg {leg} recorded"),
        CallEventKind::SegmentEnded { recording, end, .. } => {
            format!("{recording} ended: {}", end.name())
        }
        CallEventKind::RecordingPaused { .. } => "recording paused".to_owned(),
        CallEventKind::RecordingResumed { .. } => "recording resumed".to_owned(),
        CallEventKind::RecordingStopped { .. } => "recording stopped".to_owned(),
        CallEventKind::SecretStarted { leg } => format!("leg {leg} presses keys in secret"),
        CallEventKind::SecretEnded { leg, digits, .. } => {
            format!("leg {leg} has pressed {digits} keys in secret")
        }
        CallEventKind::Consent { consent } => format!("consent: {}", consent.name()),
        CallEventKind::Interaction { with } => format!("belongs to call {with}"),
        CallEventKind::MessageLeft { length, .. } => {
            format!("message of {:.1} s left", length.as_secs_f64())
        }
        CallEventKind::RecordingCut { length, .. } => {
            format!("recording cut after {:.1} s", length.as_secs_f64())
        }
        CallEventKind::Dialed { leg, to, trunk } => {
            let by = trunk.as_ref().map(|trunk| format!(" by {trunk}"));
            format!("leg {leg} dialled: {}{}", party(to), by.unwrap_or_default())
        }
        CallEventKind::DialEnded {
            leg,
            result,
            cause,
            status,
        } => {
            let result = match result {
                DialResult::Answered => return format!("leg {leg} ended"),
                DialResult::Busy => "busy",
                DialResult::NoAnswer => "no answer",
                DialResult::Rejected => "rejected",
                DialResult::Unreachable => "unreachable",
            };
            let cause = cause.map_or(result.to_owned(), |cause| cause.name().replace('_', " "));
            let status = status.map(|status| format!(" ({status})"));
            format!("leg {leg} ended: {cause}{}", status.unwrap_or_default())
        }
        CallEventKind::Bridged { a, b } => format!("legs {a} and {b} bridged"),
        CallEventKind::Unbridged { a, b } => format!("legs {a} and {b} parted"),
        CallEventKind::Step {
            step,
            leg,
            by: _,
            other,
            detail,
        } => {
            let other = other.map(|other| format!(", leg {other}"));
            let words = [step.name(), detail].join(" ");
            format!(
                "{}: leg {leg}{}",
                words.trim_end(),
                other.unwrap_or_default()
            )
        }
        CallEventKind::Media { leg, media } => {
            let secured = if media.secured { ", secured" } else { "" };
            let mos = media
                .mos
                .map(|mos| format!(", MOS {:.2}", f64::from(mos) / 100.0));
            format!(
                "leg {leg}: {}{secured}, {} packets received, {} lost, {} late{}",
                media.codec,
                media.received,
                media.lost,
                media.late,
                mos.unwrap_or_default()
            )
        }
        CallEventKind::Heard { leg, hearing } => match hearing {
            Hearing::Signal(heard) => {
                format!("leg {leg} sends {}", heard.signal.name().replace('_', " "))
            }
            Hearing::Answerer(who) => {
                let (who, why) = (who.answerer.name(), who.cause.replace('_', " "));
                format!("leg {leg} answered by {who}: {why}")
            }
            Hearing::MessageEnded(end) => {
                let how = if end.beep { ", with a beep" } else { "" };
                format!("leg {leg} has said its message{how}")
            }
        },
        CallEventKind::AttrSet { key } => format!("remembered {key}"),
        CallEventKind::Ended { cause, by } => {
            let by = match by {
                Side::Far => "the caller",
                Side::Near => "us",
            };
            format!("ended by {by}: {}", cause.name())
        }
    }
}

fn party(party: &Party) -> &str {
    match party {
        Party::E164(number) => number,
        Party::Sip(address) => address,
        Party::Anonymous => "nobody",
    }
}
