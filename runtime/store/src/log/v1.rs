//! Version 1 of the stored events.
//!
//! Times and lengths are whole microseconds, legs are numbers within the call, recordings their
//! text form, and closed sets of words the spellings of [`super::words`].

use std::borrow::Cow;
use std::time::Duration;

use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use vocab::RecordingId;
use vocab::call::{Cause, GatherEnd, RecordEnd, Side};
use vocab::flow::{DialResult, Fault, FaultKind, PluginRef};
use vocab::hearing::{Answerer, Answering, Hearing, MessageEnd, Signal, SignalHeard};
use vocab::record::{CallEventKind, PauseEnd, Step};
use vocab::recording::{Consent, SegmentEnd};
use vocab::{Direction, MediaSummary, Party};

use super::words::{W, Word, cut, party_from_text, party_text};

/// The version, first in every payload.
struct V;

impl Serialize for V {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(1)
    }
}

impl<'de> Deserialize<'de> for V {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(de::Error::custom(format_args!(
                "version {other} read as version 1"
            ))),
        }
    }
}

/// A text, borrowed from the event when written.
type Text<'a> = Cow<'a, str>;

#[derive(Serialize, Deserialize)]
struct Started<'a> {
    v: V,
    direction: W<Direction>,
    #[serde(borrow)]
    from: Text<'a>,
    #[serde(borrow)]
    to: Text<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    user: Option<Text<'a>>,
    #[serde(borrow)]
    sip_call_id: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    trunk: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    withheld: bool,
}

/// An event that says nothing more than its name.
#[derive(Serialize, Deserialize)]
struct Bare {
    v: V,
}

#[derive(Serialize, Deserialize)]
struct Plugin<'a> {
    v: V,
    #[serde(borrow)]
    plugin: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct FlowAsked<'a> {
    v: V,
    #[serde(borrow)]
    op: Text<'a>,
    #[serde(borrow)]
    detail: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct Gathered {
    v: V,
    digits: u8,
    end: W<GatherEnd>,
}

#[derive(Serialize, Deserialize)]
struct FlowEnded<'a> {
    v: V,
    #[serde(borrow)]
    label: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct FlowFault<'a> {
    v: V,
    #[serde(borrow)]
    plugin: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    fault: W<FaultKind>,
    #[serde(borrow)]
    detail: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct Fallback<'a> {
    v: V,
    #[serde(borrow)]
    announcement: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct RecordingStarted<'a> {
    v: V,
    #[serde(borrow)]
    recording: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct SegmentStarted<'a> {
    v: V,
    #[serde(borrow)]
    recording: Text<'a>,
    leg: u16,
    channels: u16,
}

#[derive(Serialize, Deserialize)]
struct SegmentEnded<'a> {
    v: V,
    #[serde(borrow)]
    recording: Text<'a>,
    end: W<SegmentEnd>,
    length_us: u64,
}

/// A pause in a recording, or its end.
#[derive(Serialize, Deserialize)]
struct Asked {
    v: V,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<u16>,
}

#[derive(Serialize, Deserialize)]
struct Resumed {
    v: V,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<u16>,
    why: W<PauseEnd>,
}

#[derive(Serialize, Deserialize)]
struct Agreed {
    v: V,
    consent: W<Consent>,
}

#[derive(Serialize, Deserialize)]
struct SecretStarted {
    v: V,
    leg: u16,
}

#[derive(Serialize, Deserialize)]
struct SecretEnded<'a> {
    v: V,
    leg: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Cow<'a, str>>,
    digits: u8,
    luhn: bool,
    end: W<GatherEnd>,
}

#[derive(Serialize, Deserialize)]
struct Interaction<'a> {
    v: V,
    #[serde(borrow)]
    with: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct MessageLeft<'a> {
    v: V,
    #[serde(borrow)]
    recording: Text<'a>,
    length_us: u64,
    end: W<RecordEnd>,
}

#[derive(Serialize, Deserialize)]
struct RecordingCut<'a> {
    v: V,
    #[serde(borrow)]
    recording: Text<'a>,
    length_us: u64,
}

#[derive(Serialize, Deserialize)]
struct Dialed<'a> {
    v: V,
    leg: u16,
    #[serde(borrow)]
    to: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    trunk: Option<Text<'a>>,
}

/// A step of call control; its kind is the step.
#[derive(Serialize, Deserialize)]
struct Controlled<'a> {
    v: V,
    leg: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    other: Option<u16>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    detail: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct DialEnded {
    v: V,
    leg: u16,
    result: W<DialResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<W<Cause>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

#[derive(Serialize, Deserialize)]
struct Pair {
    v: V,
    a: u16,
    b: u16,
}

#[derive(Serialize, Deserialize)]
struct Media<'a> {
    v: V,
    leg: u16,
    #[serde(borrow)]
    codec: Text<'a>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    secured: bool,
    sent: u64,
    received: u64,
    lost: u64,
    late: u64,
    jitter_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    far_lost: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    round_trip_us: Option<u64>,
    /// Hundredths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mos: Option<u16>,
}

#[derive(Serialize, Deserialize)]
struct SignalTold<'a> {
    v: V,
    leg: u16,
    #[serde(borrow)]
    signal: Text<'a>,
    hz: [u16; 3],
    lengths_ms: [u16; 3],
    level_dbm0: i8,
}

#[derive(Serialize, Deserialize)]
struct AnswererTold<'a> {
    v: V,
    leg: u16,
    #[serde(borrow)]
    answerer: Text<'a>,
    #[serde(borrow)]
    cause: Text<'a>,
    at_ms: u32,
    words: u32,
    voice_ms: u32,
    initial_silence_ms: u32,
    silence_ms: u32,
    beep_at_ms: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct MessageEnded {
    v: V,
    leg: u16,
    beep: bool,
    unheard: bool,
    at_ms: u32,
}

#[derive(Serialize, Deserialize)]
struct AttrSet<'a> {
    v: V,
    #[serde(borrow)]
    key: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct Ended {
    v: V,
    cause: W<Cause>,
    by: W<Side>,
}

/// The payload of an event.
pub(super) fn encode(kind: &CallEventKind) -> String {
    match kind {
        CallEventKind::Started {
            direction,
            from,
            to,
            user,
            sip_call_id,
            trunk,
            withheld,
        } => json(&Started {
            v: V,
            direction: W(*direction),
            from: party_text(from).into(),
            to: text(to),
            user: user.as_deref().map(text),
            sip_call_id: text(sip_call_id),
            trunk: trunk.as_deref().map(text),
            withheld: *withheld,
        }),
        CallEventKind::Answered => json(&Bare { v: V }),
        CallEventKind::FlowStarted { plugin } => json(&Plugin {
            v: V,
            plugin: text(&plugin.name),
            version: text(&plugin.version),
        }),
        CallEventKind::FlowAsked { op, detail } => json(&FlowAsked {
            v: V,
            op: text(op),
            detail: text(detail),
        }),
        CallEventKind::Gathered { digits, end } => json(&Gathered {
            v: V,
            digits: *digits,
            end: W(*end),
        }),
        CallEventKind::FlowEnded { label } => json(&FlowEnded {
            v: V,
            label: text(label),
        }),
        CallEventKind::FlowFault { fault } => json(&FlowFault {
            v: V,
            plugin: text(&fault.plugin.name),
            version: text(&fault.plugin.version),
            fault: W(fault.kind),
            detail: text(&fault.detail),
        }),
        CallEventKind::Fallback { announcement } => json(&Fallback {
            v: V,
            announcement: text(announcement),
        }),
        CallEventKind::RecordingStarted { recording } => json(&RecordingStarted {
            v: V,
            recording: recording.to_string().into(),
        }),
        CallEventKind::SegmentStarted {
            recording,
            leg,
            channels,
        } => json(&SegmentStarted {
            v: V,
            recording: recording.to_string().into(),
            leg: *leg,
            channels: *channels,
        }),
        CallEventKind::SegmentEnded {
            recording,
            end,
            length,
        } => json(&SegmentEnded {
            v: V,
            recording: recording.to_string().into(),
            end: W(*end),
            length_us: micros(*length),
        }),
        CallEventKind::RecordingPaused { by } | CallEventKind::RecordingStopped { by } => {
            json(&Asked { v: V, by: *by })
        }
        CallEventKind::RecordingResumed { by, why } => json(&Resumed {
            v: V,
            by: *by,
            why: W(*why),
        }),
        CallEventKind::Consent { consent } => json(&Agreed {
            v: V,
            consent: W(*consent),
        }),
        CallEventKind::SecretStarted { leg } => json(&SecretStarted { v: V, leg: *leg }),
        CallEventKind::SecretEnded {
            leg,
            token,
            digits,
            luhn,
            end,
        } => json(&SecretEnded {
            v: V,
            leg: *leg,
            token: token.map(|token| token.to_string().into()),
            digits: *digits,
            luhn: *luhn,
            end: W(*end),
        }),
        CallEventKind::Interaction { with } => json(&Interaction {
            v: V,
            with: with.to_string().into(),
        }),
        CallEventKind::MessageLeft {
            recording,
            length,
            end,
        } => json(&MessageLeft {
            v: V,
            recording: recording.to_string().into(),
            length_us: micros(*length),
            end: W(*end),
        }),
        CallEventKind::RecordingCut { recording, length } => json(&RecordingCut {
            v: V,
            recording: recording.to_string().into(),
            length_us: micros(*length),
        }),
        CallEventKind::Dialed { leg, to, trunk } => json(&Dialed {
            v: V,
            leg: *leg,
            to: party_text(to).into(),
            trunk: trunk.as_deref().map(text),
        }),
        CallEventKind::DialEnded {
            leg,
            result,
            cause,
            status,
        } => json(&DialEnded {
            v: V,
            leg: *leg,
            result: W(*result),
            cause: cause.map(W),
            status: *status,
        }),
        CallEventKind::Bridged { a, b } | CallEventKind::Unbridged { a, b } => {
            json(&Pair { v: V, a: *a, b: *b })
        }
        CallEventKind::Step {
            step: _,
            leg,
            by,
            other,
            detail,
        } => json(&Controlled {
            v: V,
            leg: *leg,
            by: *by,
            other: *other,
            detail: text(detail),
        }),
        CallEventKind::Media { leg, media } => json(&Media {
            v: V,
            leg: *leg,
            codec: text(&media.codec),
            secured: media.secured,
            sent: media.sent,
            received: media.received,
            lost: media.lost,
            late: media.late,
            jitter_us: micros(media.jitter),
            far_lost: media.far_lost,
            round_trip_us: media.round_trip.map(micros),
            mos: media.mos,
        }),
        CallEventKind::Heard { leg, hearing } => heard(*leg, hearing),
        CallEventKind::AttrSet { key } => json(&AttrSet {
            v: V,
            key: text(key),
        }),
        CallEventKind::Ended { cause, by } => json(&Ended {
            v: V,
            cause: W(*cause),
            by: W(*by),
        }),
    }
}

fn heard(leg: u16, hearing: &Hearing) -> String {
    match hearing {
        Hearing::Signal(heard) => json(&SignalTold {
            v: V,
            leg,
            signal: text(heard.signal.name()),
            hz: heard.hz,
            lengths_ms: heard.lengths_ms,
            level_dbm0: heard.level_dbm0,
        }),
        Hearing::Answerer(who) => json(&AnswererTold {
            v: V,
            leg,
            answerer: text(who.answerer.name()),
            cause: text(&who.cause),
            at_ms: who.at_ms,
            words: who.words,
            voice_ms: who.voice_ms,
            initial_silence_ms: who.initial_silence_ms,
            silence_ms: who.silence_ms,
            beep_at_ms: who.beep_at_ms,
        }),
        Hearing::MessageEnded(end) => json(&MessageEnded {
            v: V,
            leg,
            beep: end.beep,
            unheard: end.unheard,
            at_ms: end.at_ms,
        }),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The event stored under this name with this payload.
pub(super) fn decode(kind: &str, payload: &str) -> Result<CallEventKind, String> {
    Ok(match kind {
        "call.started" => {
            let p: Started<'_> = parse(payload)?;
            CallEventKind::Started {
                direction: p.direction.0,
                from: party(&p.from)?,
                to: p.to.into_owned(),
                user: p.user.map(Cow::into_owned),
                sip_call_id: p.sip_call_id.into_owned(),
                trunk: p.trunk.map(Cow::into_owned),
                withheld: p.withheld,
            }
        }
        "call.answered" => {
            let Bare { v: V } = parse(payload)?;
            CallEventKind::Answered
        }
        "flow.started" => {
            let p: Plugin<'_> = parse(payload)?;
            CallEventKind::FlowStarted {
                plugin: plugin(&p.plugin, &p.version),
            }
        }
        "flow.asked" => {
            let p: FlowAsked<'_> = parse(payload)?;
            CallEventKind::FlowAsked {
                op: p.op.into_owned(),
                detail: p.detail.into_owned(),
            }
        }
        "flow.gathered" => {
            let p: Gathered = parse(payload)?;
            CallEventKind::Gathered {
                digits: p.digits,
                end: p.end.0,
            }
        }
        "flow.ended" => {
            let p: FlowEnded<'_> = parse(payload)?;
            CallEventKind::FlowEnded {
                label: p.label.into_owned(),
            }
        }
        "flow.fault" => {
            let p: FlowFault<'_> = parse(payload)?;
            let plugin = plugin(&p.plugin, &p.version);
            let fault = Fault {
                plugin,
                kind: p.fault.0,
                detail: p.detail.into_owned(),
            };
            CallEventKind::FlowFault { fault }
        }
        "call.fallback" => {
            let p: Fallback<'_> = parse(payload)?;
            CallEventKind::Fallback {
                announcement: p.announcement.into_owned(),
            }
        }
        "recording.started" => {
            let p: RecordingStarted<'_> = parse(payload)?;
            CallEventKind::RecordingStarted {
                recording: recording(&p.recording)?,
            }
        }
        "recording.segment_started" => {
            let p: SegmentStarted<'_> = parse(payload)?;
            CallEventKind::SegmentStarted {
                recording: recording(&p.recording)?,
                leg: p.leg,
                channels: p.channels,
            }
        }
        "recording.segment_ended" => {
            let p: SegmentEnded<'_> = parse(payload)?;
            CallEventKind::SegmentEnded {
                recording: recording(&p.recording)?,
                end: p.end.0,
                length: Duration::from_micros(p.length_us),
            }
        }
        "recording.paused" => {
            let p: Asked = parse(payload)?;
            CallEventKind::RecordingPaused { by: p.by }
        }
        "recording.consent" => {
            let p: Agreed = parse(payload)?;
            CallEventKind::Consent {
                consent: p.consent.0,
            }
        }
        "secret.started" => {
            let p: SecretStarted = parse(payload)?;
            CallEventKind::SecretStarted { leg: p.leg }
        }
        "secret.ended" => {
            let p: SecretEnded<'_> = parse(payload)?;
            let token = p.token.map(|token| token.parse());
            CallEventKind::SecretEnded {
                leg: p.leg,
                token: token.transpose().map_err(|_| "not a token".to_owned())?,
                digits: p.digits,
                luhn: p.luhn,
                end: p.end.0,
            }
        }
        "recording.resumed" => {
            let p: Resumed = parse(payload)?;
            CallEventKind::RecordingResumed {
                by: p.by,
                why: p.why.0,
            }
        }
        "recording.stopped" => {
            let p: Asked = parse(payload)?;
            CallEventKind::RecordingStopped { by: p.by }
        }
        "call.interaction" => {
            let p: Interaction<'_> = parse(payload)?;
            let with = p.with.parse();
            CallEventKind::Interaction {
                with: with.map_err(|_| "not the id of a call".to_owned())?,
            }
        }
        "message.left" => {
            let p: MessageLeft<'_> = parse(payload)?;
            CallEventKind::MessageLeft {
                recording: recording(&p.recording)?,
                length: Duration::from_micros(p.length_us),
                end: p.end.0,
            }
        }
        "recording.cut" => {
            let p: RecordingCut<'_> = parse(payload)?;
            CallEventKind::RecordingCut {
                recording: recording(&p.recording)?,
                length: Duration::from_micros(p.length_us),
            }
        }
        "leg.dialed" => {
            let p: Dialed<'_> = parse(payload)?;
            CallEventKind::Dialed {
                leg: p.leg,
                to: party(&p.to)?,
                trunk: p.trunk.map(Cow::into_owned),
            }
        }
        "leg.dial_ended" => {
            let p: DialEnded = parse(payload)?;
            CallEventKind::DialEnded {
                leg: p.leg,
                result: p.result.0,
                cause: p.cause.map(|cause| cause.0),
                status: p.status,
            }
        }
        "leg.bridged" => {
            let p: Pair = parse(payload)?;
            CallEventKind::Bridged { a: p.a, b: p.b }
        }
        "leg.unbridged" => {
            let p: Pair = parse(payload)?;
            CallEventKind::Unbridged { a: p.a, b: p.b }
        }
        "leg.media" => {
            let p: Media<'_> = parse(payload)?;
            CallEventKind::Media {
                leg: p.leg,
                media: MediaSummary {
                    codec: p.codec.into_owned(),
                    secured: p.secured,
                    sent: p.sent,
                    received: p.received,
                    lost: p.lost,
                    late: p.late,
                    jitter: Duration::from_micros(p.jitter_us),
                    far_lost: p.far_lost,
                    round_trip: p.round_trip_us.map(Duration::from_micros),
                    mos: p.mos,
                },
            }
        }
        "leg.signal" => {
            let p: SignalTold<'_> = parse(payload)?;
            let signal = Signal::from_name(&p.signal);
            CallEventKind::Heard {
                leg: p.leg,
                hearing: Hearing::Signal(SignalHeard {
                    signal: signal.ok_or_else(|| format!("`{}` is no signal", p.signal))?,
                    hz: p.hz,
                    lengths_ms: p.lengths_ms,
                    level_dbm0: p.level_dbm0,
                }),
            }
        }
        "leg.answerer" => {
            let p: AnswererTold<'_> = parse(payload)?;
            let answerer = Answerer::from_name(&p.answerer);
            CallEventKind::Heard {
                leg: p.leg,
                hearing: Hearing::Answerer(Answering {
                    answerer: answerer
                        .ok_or_else(|| format!("`{}` answers nothing", p.answerer))?,
                    cause: p.cause.into_owned(),
                    at_ms: p.at_ms,
                    words: p.words,
                    voice_ms: p.voice_ms,
                    initial_silence_ms: p.initial_silence_ms,
                    silence_ms: p.silence_ms,
                    beep_at_ms: p.beep_at_ms,
                }),
            }
        }
        "leg.message_ended" => {
            let p: MessageEnded = parse(payload)?;
            CallEventKind::Heard {
                leg: p.leg,
                hearing: Hearing::MessageEnded(MessageEnd {
                    beep: p.beep,
                    unheard: p.unheard,
                    at_ms: p.at_ms,
                }),
            }
        }
        "call.attr_set" => {
            let p: AttrSet<'_> = parse(payload)?;
            CallEventKind::AttrSet {
                key: p.key.into_owned(),
            }
        }
        "call.ended" => {
            let p: Ended = parse(payload)?;
            CallEventKind::Ended {
                cause: p.cause.0,
                by: p.by.0,
            }
        }
        other => {
            let step = Step::from_text(other).ok_or_else(|| format!("unknown kind `{other}`"))?;
            let p: Controlled<'_> = parse(payload)?;
            CallEventKind::Step {
                step,
                leg: p.leg,
                by: p.by,
                other: p.other,
                detail: p.detail.into_owned(),
            }
        }
    })
}

fn json(payload: &impl Serialize) -> String {
    serde_json::to_string(payload).expect("structs of texts and numbers are always valid JSON")
}

fn parse<'a, T: Deserialize<'a>>(payload: &'a str) -> Result<T, String> {
    serde_json::from_str(payload).map_err(|e| e.to_string())
}

fn text(text: &str) -> Text<'_> {
    Cow::Borrowed(cut(text))
}

fn plugin(name: &str, version: &str) -> PluginRef {
    PluginRef {
        name: name.into(),
        version: version.into(),
    }
}

fn party(text: &str) -> Result<Party, String> {
    // The text itself is private and stays out of the message.
    party_from_text(text).ok_or_else(|| "not a party".to_owned())
}

fn recording(text: &str) -> Result<RecordingId, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a recording id"))
}
