//! Call control: what is done with calls that are up, and calls that are made.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use node::{
    Actor, Control, ControlError, Controlled, Destination, Detection, Loudness, OnMachine,
    SecretKeys, Watching,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use vocab::call::GatherSpec;
use vocab::hearing::{AnswerParams, MessageParams};
use vocab::{CallId, Pii};

use super::error::Problem;
use super::extract::{Named, Told};
use super::record::gather_end;
use super::{App, Shared};
use crate::control::NotTaken;

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/calls/{id}/actions", post(act))
        .route("/parking/{slot}/pickup", post(pick_up))
}

/// What is done with a call.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Action {
    Hold {
        by: Party,
    },
    Retrieve {
        by: Party,
    },
    Transfer {
        by: Party,
        to: Target,
    },
    Consult {
        by: Party,
        to: Target,
    },
    Swap {
        by: Party,
    },
    Merge {
        by: Party,
        beep: Option<bool>,
    },
    Complete {
        by: Party,
    },
    Cancel {
        by: Party,
    },
    Park {
        by: Party,
        slot: Option<u16>,
    },
    Redirect {
        to: Target,
    },
    ToFlow {
        by: Party,
        route: String,
    },
    Bridge {
        leg: Party,
        with: Other,
    },
    SendDigits {
        leg: Party,
        digits: String,
    },
    Hangup {
        leg: Party,
    },
    Add {
        by: Party,
        to: Target,
        beep: Option<bool>,
    },
    Adjust(Adjust),
    Supervise {
        leg: Party,
        user: String,
        #[serde(default)]
        mode: Mode,
    },
    SuperviseAs {
        leg: Party,
        mode: Mode,
    },
    TakeOver {
        leg: Party,
    },
    Secure(Secure),
    EndSecure {},
}

/// Keys that a party presses for the vault; what is left out is as for the number of a card.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secure {
    leg: Party,
    #[serde(default)]
    prompts: Vec<String>,
    min: Option<u8>,
    max: Option<u8>,
    terminators: Option<String>,
    first_timeout_s: Option<KeySeconds>,
    inter_timeout_s: Option<KeySeconds>,
}

/// Digits of the longest number of a card (ISO/IEC 7812-1 §4.1).
const CARD_DIGITS_MAX: u8 = 19;

/// How long somebody has for the first key, who has to find the card first.
const FIRST_KEY: KeySeconds = KeySeconds(60);

/// How long for each of the next.
const NEXT_KEY: KeySeconds = KeySeconds(10);

/// How long a key is waited for: 1 to 300.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u16")]
struct KeySeconds(u16);

impl TryFrom<u16> for KeySeconds {
    type Error = &'static str;

    fn try_from(seconds: u16) -> Result<Self, Self::Error> {
        if (1..=300).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err("a key is waited for 1 to 300 seconds")
        }
    }
}

impl From<KeySeconds> for Duration {
    fn from(KeySeconds(seconds): KeySeconds) -> Self {
        Self::from_secs(seconds.into())
    }
}

impl Secure {
    fn on(self, call: CallId) -> Control {
        let max = self.max.unwrap_or(CARD_DIGITS_MAX);
        let spec = GatherSpec {
            min: self.min.unwrap_or(1),
            max,
            terminators: self.terminators.unwrap_or_else(|| "#".to_owned()),
            first_timeout: self.first_timeout_s.unwrap_or(FIRST_KEY).into(),
            inter_timeout: self.inter_timeout_s.unwrap_or(NEXT_KEY).into(),
            barge_in: true,
        };
        let prompts = self.prompts;
        Control::Secure {
            call,
            leg: self.leg.into(),
            keys: Box::new(SecretKeys { prompts, spec }),
        }
    }
}

/// How loud a party is; what is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adjust {
    leg: Party,
    muted: Option<bool>,
    deaf: Option<bool>,
    said_db: Option<i8>,
    heard_db: Option<i8>,
}

/// What somebody does who supervises.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Listen,
    Whisper,
    Barge,
}

impl From<Mode> for Watching {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Listen => Self::Listen,
            Mode::Whisper => Self::Whisper,
            Mode::Barge => Self::Barge,
        }
    }
}

/// A party of another call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    #[serde(deserialize_with = "call_id")]
    call: CallId,
    leg: Party,
}

/// A call's id as the API writes it.
fn call_id<'de, D: Deserializer<'de>>(from: D) -> Result<CallId, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(D::Error::custom)
}

/// A leg's number, or a user whose phone is in the call.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a party is the number of a leg, or the name of a user"
)]
pub(super) enum Party {
    Leg(u16),
    User(String),
}

/// What a phone would dial, or one kind of target by name.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a target is a text, or an object with one of phone, group, route, number and any"
)]
pub(super) enum Target {
    Dialled(String),
    Kind(Kind),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Phone(String),
    Group(String),
    Route(String),
    Number(String),
    #[serde(untagged)]
    Any(Any),
}

/// Several, of whom the first that answers has the call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Any {
    any: Vec<Target>,
    #[serde(default)]
    order: Order,
    ring_s: Option<Seconds>,
    timeout_s: Option<Seconds>,
}

/// How long somebody is rung: 1 to 180.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u16")]
struct Seconds(u16);

impl TryFrom<u16> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: u16) -> Result<Self, Self::Error> {
        if (1..=180).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err("somebody is rung for 1 to 180 seconds")
        }
    }
}

impl From<Seconds> for Duration {
    fn from(Seconds(seconds): Seconds) -> Self {
        Self::from_secs(seconds.into())
    }
}

/// All at the same time, or one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    All,
    InTurn,
}

/// How long each of several is rung that are rung in turn, unless it is said, in seconds.
const RING_S: Seconds = Seconds(20);

impl From<Party> for Actor {
    fn from(party: Party) -> Self {
        match party {
            Party::Leg(n) => Self::Leg(n),
            Party::User(user) => Self::User(user),
        }
    }
}

impl From<Target> for Destination {
    fn from(target: Target) -> Self {
        match target {
            Target::Dialled(number) => Self::Dialled(Pii::new(number)),
            Target::Kind(Kind::Phone(user)) => Self::Phone(user),
            Target::Kind(Kind::Group(name)) => Self::Group(name),
            Target::Kind(Kind::Route(number)) => Self::Route(number),
            Target::Kind(Kind::Number(number)) => Self::Number(Pii::new(number)),
            Target::Kind(Kind::Any(any)) => Self::Several {
                targets: any.any.into_iter().map(Self::from).collect(),
                in_order: any.order == Order::InTurn,
                each: any.ring_s.unwrap_or(RING_S).into(),
                timeout: any.timeout_s.map(Duration::from),
            },
        }
    }
}

impl Action {
    fn on(self, call: CallId) -> Control {
        match self {
            Self::Hold { by } => Control::Hold {
                call,
                by: by.into(),
            },
            Self::Retrieve { by } => Control::Retrieve {
                call,
                by: by.into(),
            },
            Self::Transfer { by, to } => {
                let (by, to) = (by.into(), to.into());
                Control::Transfer { call, by, to }
            }
            Self::Consult { by, to } => {
                let (by, to) = (by.into(), to.into());
                Control::Consult { call, by, to }
            }
            Self::Swap { by } => Control::Swap {
                call,
                by: by.into(),
            },
            Self::Merge { by, beep } => Control::Merge {
                call,
                by: by.into(),
                beep: beep.unwrap_or(true),
            },
            Self::Complete { by } => Control::Complete {
                call,
                by: by.into(),
            },
            Self::Cancel { by } => Control::Cancel {
                call,
                by: by.into(),
            },
            Self::Park { by, slot } => {
                let by = by.into();
                Control::Park { call, by, slot }
            }
            Self::Redirect { to } => Control::Redirect {
                call,
                to: to.into(),
            },
            Self::ToFlow { by, route } => {
                let by = by.into();
                Control::ToFlow { call, by, route }
            }
            Self::Bridge { leg, with } => Control::Bridge {
                call,
                leg: leg.into(),
                other: with.call,
                other_leg: with.leg.into(),
            },
            Self::SendDigits { leg, digits } => {
                let (leg, digits) = (leg.into(), Pii::new(digits));
                Control::SendDigits { call, leg, digits }
            }
            Self::Hangup { leg } => Control::Hangup {
                call,
                leg: leg.into(),
            },
            Self::Add { by, to, beep } => Control::Add {
                call,
                by: by.into(),
                to: to.into(),
                beep: beep.unwrap_or(true),
            },
            Self::Adjust(adjust) => Control::Adjust {
                call,
                leg: adjust.leg.into(),
                change: Loudness {
                    muted: adjust.muted,
                    deaf: adjust.deaf,
                    said_db: adjust.said_db,
                    heard_db: adjust.heard_db,
                },
            },
            Self::Supervise { leg, user, mode } => Control::Watch {
                call,
                leg: leg.into(),
                user,
                mode: mode.into(),
            },
            Self::SuperviseAs { leg, mode } => Control::WatchAs {
                call,
                leg: leg.into(),
                mode: mode.into(),
            },
            Self::TakeOver { leg } => Control::TakePlace {
                call,
                leg: leg.into(),
            },
            Self::Secure(secure) => secure.on(call),
            Self::EndSecure {} => Control::EndSecure { call },
        }
    }

    /// Whether it may take longer than a request.
    fn is_slow(&self) -> bool {
        match self {
            Self::ToFlow { .. } | Self::Bridge { .. } | Self::Secure { .. } => true,
            Self::Hold { .. }
            | Self::Retrieve { .. }
            | Self::Transfer { .. }
            | Self::Consult { .. }
            | Self::Swap { .. }
            | Self::Merge { .. }
            | Self::Complete { .. }
            | Self::Cancel { .. }
            | Self::Park { .. }
            | Self::Redirect { .. }
            | Self::SendDigits { .. }
            | Self::Hangup { .. }
            | Self::Add { .. }
            | Self::Adjust { .. }
            | Self::Supervise { .. }
            | Self::SuperviseAs { .. }
            | Self::TakeOver { .. }
            | Self::EndSecure { .. } => false,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "hold",
            Self::Retrieve { .. } => "retrieve",
            Self::Transfer { .. } => "transfer",
            Self::Consult { .. } => "consult",
            Self::Swap { .. } => "swap",
            Self::Merge { .. } => "merge",
            Self::Complete { .. } => "complete",
            Self::Cancel { .. } => "cancel",
            Self::Park { .. } => "park",
            Self::Redirect { .. } => "redirect",
            Self::ToFlow { .. } => "to_flow",
            Self::Bridge { .. } => "bridge",
            Self::SendDigits { .. } => "send_digits",
            Self::Hangup { .. } => "hangup",
            Self::Add { .. } => "add",
            Self::Adjust { .. } => "adjust",
            Self::Supervise { .. } => "supervise",
            Self::SuperviseAs { .. } => "supervise_as",
            Self::TakeOver { .. } => "take_over",
            Self::Secure { .. } => "secure",
            Self::EndSecure { .. } => "end_secure",
        }
    }
}

/// What came of a request.
#[derive(Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(super) enum Answer {
    #[serde(rename = "done")]
    Taken,
    Calling {
        /// The first of them.
        leg: u16,
        legs: Vec<u16>,
    },
    Call {
        id: String,
    },
    Parked {
        slot: u16,
    },
    Flow {
        label: String,
        detail: Option<String>,
    },
    Secret {
        token: Option<String>,
        digits: u8,
        luhn: bool,
        end: &'static str,
    },
    /// It goes on; what comes of it is in the call's events.
    Begun,
}

impl From<Controlled> for Answer {
    fn from(controlled: Controlled) -> Self {
        match controlled {
            Controlled::Done => Self::Taken,
            Controlled::Calling { legs } => Self::Calling {
                leg: legs.first().copied().unwrap_or_default(),
                legs,
            },
            Controlled::Call(call) => Self::Call {
                id: call.to_string(),
            },
            Controlled::Parked { slot } => Self::Parked { slot },
            Controlled::Flow { label, detail } => Self::Flow { label, detail },
            Controlled::Secret {
                token,
                digits,
                luhn,
                end,
            } => Self::Secret {
                token: token.map(|token| token.to_string()),
                digits,
                luhn,
                end: gather_end(end),
            },
        }
    }
}

async fn act(
    State(app): Shared,
    Named(call): Named<CallId>,
    Told(action): Told<Action>,
) -> Result<(StatusCode, Json<Answer>), Problem> {
    let name = action.name();
    let slow = action.is_slow();
    let asked = app.control.control(action.on(call)).await;
    let answer = match asked.map_err(|NotTaken| Problem::no_answer())? {
        Some(answer) => answer.map(Some),
        None if slow => Ok(None),
        None => return Err(Problem::no_answer()),
    };
    match answer {
        Ok(done) => {
            tracing::info!(call.id = %call, action = name, "call control as asked over the API");
            Ok(match done {
                Some(done) => (StatusCode::OK, Json(done.into())),
                None => (StatusCode::ACCEPTED, Json(Answer::Begun)),
            })
        }
        Err(error) => Err(not_done(&app, call, &error).await?),
    }
}

/// Why a call could not be controlled.
///
/// # Errors
/// The store does not tell whether there was such a call.
pub(super) async fn not_done(
    app: &App,
    call: CallId,
    error: &ControlError,
) -> Result<Problem, Problem> {
    if *error != ControlError::NoCall {
        return Ok(refused(error));
    }
    // A call that is over is known, and one that never was is not.
    Ok(match app.store.record(call).await? {
        Some(_) => Problem::conflict("call_over", "this call is over"),
        None => Problem::not_found("call_not_found", "no call has this id"),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PickUp {
    user: String,
}

async fn pick_up(
    State(app): Shared,
    Named(slot): Named<u16>,
    Told(PickUp { user }): Told<PickUp>,
) -> Result<Json<Answer>, Problem> {
    let request = Control::PickUp { user, slot };
    let answer = app.control.control(request).await;
    let done = answer.ok().flatten().ok_or_else(Problem::no_answer)?;
    done.map(|done| Json(done.into()))
        .map_err(|error| refused(&error))
}

/// A new call that the API makes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCall {
    user: String,
    to: Option<Target>,
    #[serde(default)]
    redial: bool,
    detect: Option<Detect>,
}

/// How to find out who answers. What is left out is as usual.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detect {
    #[serde(default)]
    on_machine: MachineFate,
    initial_silence_ms: Option<Span>,
    greeting_ms: Option<Span>,
    after_greeting_silence_ms: Option<Span>,
    total_ms: Option<Span>,
    word_min_ms: Option<Span>,
    between_words_ms: Option<Span>,
    word_max_ms: Option<Span>,
    words_max: Option<u32>,
    silence_level: Option<u16>,
    /// Goes on until a machine's message is over.
    #[serde(default)]
    message: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MachineFate {
    #[default]
    Connect,
    Hangup,
}

/// A time in ms: up to a minute, so that nobody is listened to for a whole call.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
struct Span(u32);

impl TryFrom<u32> for Span {
    type Error = &'static str;

    fn try_from(ms: u32) -> Result<Self, Self::Error> {
        if (10..=60_000).contains(&ms) {
            Ok(Self(ms))
        } else {
            Err("10 to 60000 ms")
        }
    }
}

impl From<Detect> for Detection {
    fn from(detect: Detect) -> Self {
        let usual = AnswerParams::default();
        let time = |given: Option<Span>, usual| {
            given.map_or(usual, |Span(ms)| Duration::from_millis(ms.into()))
        };
        Self {
            params: AnswerParams {
                initial_silence: time(detect.initial_silence_ms, usual.initial_silence),
                greeting: time(detect.greeting_ms, usual.greeting),
                after_greeting_silence: time(
                    detect.after_greeting_silence_ms,
                    usual.after_greeting_silence,
                ),
                total: time(detect.total_ms, usual.total),
                word_min: time(detect.word_min_ms, usual.word_min),
                between_words: time(detect.between_words_ms, usual.between_words),
                word_max: time(detect.word_max_ms, usual.word_max),
                words_max: detect.words_max.unwrap_or(usual.words_max),
                silence_level: detect.silence_level.unwrap_or(usual.silence_level),
                message: detect.message.then(MessageParams::default),
            },
            on_machine: match detect.on_machine {
                MachineFate::Connect => OnMachine::Connect,
                MachineFate::Hangup => OnMachine::HangUp,
            },
        }
    }
}

/// Rings a user's phone, and then whom it calls.
pub(super) async fn make(
    State(app): Shared,
    Told(NewCall {
        user,
        to,
        redial,
        detect,
    }): Told<NewCall>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Answer>), Problem> {
    let request = match (to, redial) {
        (Some(to), false) => {
            let (to, detection) = (to.into(), detect.map(|it| Box::new(Detection::from(it))));
            Control::Originate {
                user,
                to,
                detection,
            }
        }
        (None, true) if detect.is_some() => {
            let detail = "`detect` goes with `to`: a redial finds out nothing";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_body", detail));
        }
        (None, true) => Control::Redial { user },
        (Some(_), true) | (None, false) => {
            let detail = "give either `to` or `redial`: true";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_body", detail));
        }
    };
    let answer = app.control.control(request).await;
    match answer.ok().flatten().ok_or_else(Problem::no_answer)? {
        Ok(done) => {
            let done = Answer::from(done);
            let place = match &done {
                Answer::Call { id } => format!("/api/v1/calls/{id}"),
                Answer::Taken
                | Answer::Calling { .. }
                | Answer::Parked { .. }
                | Answer::Flow { .. }
                | Answer::Secret { .. }
                | Answer::Begun => return Err(Problem::internal()),
            };
            tracing::info!(call = %place, "call is made as asked over the API");
            Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(done)))
        }
        Err(error) => Err(refused(&error)),
    }
}

/// Why the call control refused.
fn refused(error: &ControlError) -> Problem {
    let status = match error {
        ControlError::NoCall | ControlError::NoParty | ControlError::NotFound(_) => {
            StatusCode::NOT_FOUND
        }
        ControlError::Conflict(_) | ControlError::Gone => StatusCode::CONFLICT,
        ControlError::Denied(_) => StatusCode::FORBIDDEN,
        ControlError::Invalid(_) => StatusCode::BAD_REQUEST,
        ControlError::Unavailable(_) | ControlError::Limit(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let code = match error {
        ControlError::NoCall => "call_not_found",
        ControlError::NoParty => "party_not_found",
        ControlError::NotFound(_) => "target_not_found",
        ControlError::Conflict(_) => "not_now",
        ControlError::Gone => "party_gone",
        ControlError::Denied(_) => "denied",
        ControlError::Invalid(_) => "bad_target",
        ControlError::Unavailable(_) => "unavailable",
        ControlError::Limit(_) => "limit",
    };
    Problem::new(status, code, error.to_string())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn read(text: &str) -> String {
        match serde_json::from_str::<Action>(text) {
            Ok(action) => format!("{:?}", action.on(CallId(1))).replace("call: CallId(1)", "call"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn actions_are_read() {
        let mut said = String::new();
        for text in [
            r#"{"action":"hold","by":"1001"}"#,
            r#"{"action":"hold","by":2}"#,
            r#"{"action":"transfer","by":2,"to":"1002"}"#,
            r#"{"action":"transfer","by":2,"to":{"group":"sales"}}"#,
            r#"{"action":"transfer","by":2,"to":{"any":["1002",{"number":"+8613800138000"}]}}"#,
            r#"{"action":"transfer","by":2,"to":{"any":["1002"],"order":"in_turn","ring_s":15,"timeout_s":40}}"#,
            r#"{"action":"transfer","by":2,"to":{"any":["1002"],"order":"random"}}"#,
            r#"{"action":"park","by":2}"#,
            r#"{"action":"park","by":2,"slot":701}"#,
            r#"{"action":"to_flow","by":"1001","route":"7000"}"#,
            r#"{"action":"bridge","leg":2,"with":{"call":"0000000000000000000000000a","leg":"1001"}}"#,
            r#"{"action":"bridge","leg":2,"with":{"call":"0000000000000000000000000a"}}"#,
            r#"{"action":"bridge","leg":2,"with":{"call":"that one","leg":1}}"#,
            r#"{"action":"hold"}"#,
            r#"{"action":"hold","by":2,"slot":1}"#,
            r#"{"action":"transfer","by":2,"to":{"queue":"sales"}}"#,
            r#"{"action":"transfer","by":70000,"to":"1"}"#,
            r#"{"action":"add","by":2,"to":"1003"}"#,
            r#"{"action":"adjust","leg":"1001","muted":true,"said_db":-6}"#,
            r#"{"action":"adjust","leg":"1001","loud":true}"#,
            r#"{"action":"adjust","leg":"1001","said_db":200}"#,
            r#"{"action":"supervise","leg":2,"user":"1009"}"#,
            r#"{"action":"supervise","leg":2,"user":"1009","mode":"shout"}"#,
            r#"{"action":"supervise_as","leg":"1009","mode":"whisper"}"#,
            r#"{"action":"take_over","leg":"1009"}"#,
            r#"{"action":"dance"}"#,
            r#"{}"#,
        ] {
            said += &format!("{text}\n  {}\n", read(text));
        }
        expect![[r#"
            {"action":"hold","by":"1001"}
              Hold { call: 00000000000000000000000001, by: User("1001") }
            {"action":"hold","by":2}
              Hold { call: 00000000000000000000000001, by: Leg(2) }
            {"action":"transfer","by":2,"to":"1002"}
              Transfer { call: 00000000000000000000000001, by: Leg(2), to: Dialled([private]) }
            {"action":"transfer","by":2,"to":{"group":"sales"}}
              Transfer { call: 00000000000000000000000001, by: Leg(2), to: Group("sales") }
            {"action":"transfer","by":2,"to":{"any":["1002",{"number":"+8613800138000"}]}}
              Transfer { call: 00000000000000000000000001, by: Leg(2), to: Several { targets: [Dialled([private]), Number([private])], in_order: false, each: 20s, timeout: None } }
            {"action":"transfer","by":2,"to":{"any":["1002"],"order":"in_turn","ring_s":15,"timeout_s":40}}
              Transfer { call: 00000000000000000000000001, by: Leg(2), to: Several { targets: [Dialled([private])], in_order: true, each: 15s, timeout: Some(40s) } }
            {"action":"transfer","by":2,"to":{"any":["1002"],"order":"random"}}
              a target is a text, or an object with one of phone, group, route, number and any
            {"action":"park","by":2}
              Park { call: 00000000000000000000000001, by: Leg(2), slot: None }
            {"action":"park","by":2,"slot":701}
              Park { call: 00000000000000000000000001, by: Leg(2), slot: Some(701) }
            {"action":"to_flow","by":"1001","route":"7000"}
              ToFlow { call: 00000000000000000000000001, by: User("1001"), route: "7000" }
            {"action":"bridge","leg":2,"with":{"call":"0000000000000000000000000a","leg":"1001"}}
              Bridge { call: 00000000000000000000000001, leg: Leg(2), other: 0000000000000000000000000a, other_leg: User("1001") }
            {"action":"bridge","leg":2,"with":{"call":"0000000000000000000000000a"}}
              missing field `leg`
            {"action":"bridge","leg":2,"with":{"call":"that one","leg":1}}
              not a valid id
            {"action":"hold"}
              missing field `by`
            {"action":"hold","by":2,"slot":1}
              unknown field `slot`, expected `by`
            {"action":"transfer","by":2,"to":{"queue":"sales"}}
              a target is a text, or an object with one of phone, group, route, number and any
            {"action":"transfer","by":70000,"to":"1"}
              a party is the number of a leg, or the name of a user
            {"action":"add","by":2,"to":"1003"}
              Add { call: 00000000000000000000000001, by: Leg(2), to: Dialled([private]), beep: true }
            {"action":"adjust","leg":"1001","muted":true,"said_db":-6}
              Adjust { call: 00000000000000000000000001, leg: User("1001"), change: Loudness { muted: Some(true), deaf: None, said_db: Some(-6), heard_db: None } }
            {"action":"adjust","leg":"1001","loud":true}
              unknown field `loud`, expected one of `leg`, `muted`, `deaf`, `said_db`, `heard_db`
            {"action":"adjust","leg":"1001","said_db":200}
              invalid value: integer `200`, expected i8
            {"action":"supervise","leg":2,"user":"1009"}
              Watch { call: 00000000000000000000000001, leg: Leg(2), user: "1009", mode: Listen }
            {"action":"supervise","leg":2,"user":"1009","mode":"shout"}
              unknown variant `shout`, expected one of `listen`, `whisper`, `barge`
            {"action":"supervise_as","leg":"1009","mode":"whisper"}
              WatchAs { call: 00000000000000000000000001, leg: User("1009"), mode: Whisper }
            {"action":"take_over","leg":"1009"}
              TakePlace { call: 00000000000000000000000001, leg: User("1009") }
            {"action":"dance"}
              unknown variant `dance`, expected one of `hold`, `retrieve`, `transfer`, `consult`, `swap`, `merge`, `complete`, `cancel`, `park`, `redirect`, `to_flow`, `bridge`, `send_digits`, `hangup`, `add`, `adjust`, `supervise`, `supervise_as`, `take_over`, `secure`, `end_secure` at line 1 column 17
            {}
              missing field `action` at line 1 column 2
        "#]].assert_eq(&said);
    }
}
