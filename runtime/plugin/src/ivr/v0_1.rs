//! The `ivr` world, version 0.1.0: host functions, and the words in both directions.
//!
//! Every argument is checked here, before it becomes a `vocab::flow::Op`: what makes no sense is
//! answered with `invalid`, what is too much with `limit`, what was not granted with `denied`,
//! without leaving the run.

use std::time::Duration;

use jiff::Timestamp;
use vocab::call::{GatherEnd, GatherSpec};
use vocab::flow::{
    DialOptions, DialResult, DialTarget, FlowError, FlowEvent, Level, Op, Outcome, Prompt, Reply,
    Taping,
};
use vocab::{Direction, Party, Pii};
use wasmtime::component::{HasSelf, InstancePre, Linker, Resource};
use wasmtime::{Result as Wasm, Store};

use crate::error::cut;
use crate::grant::Capability;
use crate::guest::{State, lock};
use crate::limits;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated from wit/"
)]
mod wit {
    wasmtime::component::bindgen!({
        path: ["../../wit/types", "../../wit/host", "../../wit/ivr"],
        world: "jackfield:ivr/ivr",
        imports: {
            "jackfield:ivr/calls.[method]call.answer": async | trappable,
            "jackfield:ivr/calls.[method]call.dial": async | trappable,
            "jackfield:ivr/calls.[method]call.enqueue": async | trappable,
            "jackfield:ivr/calls.[method]call.gather": async | trappable,
            "jackfield:ivr/calls.[method]call.gather-secret": async | trappable,
            "jackfield:ivr/calls.[method]call.hangup": async | trappable,
            "jackfield:ivr/calls.[method]call.next-event": async | trappable,
            "jackfield:ivr/calls.[method]call.play": async | trappable,
            "jackfield:ivr/calls.[method]call.play-start": async | trappable,
            "jackfield:ivr/calls.[method]call.play-stop": async | trappable,
            "jackfield:ivr/calls.[method]call.record-audio": async | trappable,
            "jackfield:ivr/calls.[method]call.record-pause": async | trappable,
            "jackfield:ivr/calls.[method]call.record-resume": async | trappable,
            "jackfield:ivr/calls.[method]call.record-start": async | trappable,
            "jackfield:ivr/calls.[method]call.record-stop": async | trappable,
            "jackfield:ivr/calls.[method]call.set-attr": async | trappable,
            "jackfield:ivr/calls.[method]call.sleep": async | trappable,
            "jackfield:ivr/calls.[method]call.transfer": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: { "jackfield:ivr/calls.call": crate::ivr::v0_1::CallHandle },
    });
}

use wit::jackfield::host::{clock, config, http, kv, log};
use wit::jackfield::ivr::calls as words;
use wit::jackfield::types::types;
use wit::jackfield::types::types::Error;

/// This version.
pub(crate) const VERSION: &str = "0.1.0";

/// The export that makes a component a plugin of this world.
pub(crate) const EXPORT: &str = "jackfield:ivr/flow@0.1.0";

/// Interfaces of ours that may be imported.
pub(crate) const IMPORTS: [&str; 7] = [
    "jackfield:types/types@0.1.0",
    "jackfield:host/log@0.1.0",
    "jackfield:host/clock@0.1.0",
    "jackfield:host/config@0.1.0",
    "jackfield:host/kv@0.1.0",
    "jackfield:host/http@0.1.0",
    "jackfield:ivr/calls@0.1.0",
];

/// What a handle of the resource `call` stands for: the one call of the run.
#[allow(unreachable_pub, reason = "the generated code re-exports it")]
pub struct CallHandle;

/// A component ready to be instantiated.
pub(crate) type Pre = wit::IvrPre<State>;

/// Links our interfaces.
pub(crate) fn link(linker: &mut Linker<State>) -> Wasm<()> {
    wit::Ivr::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

/// Looks the export up once, so that starting a run need not.
pub(crate) fn prepare(pre: InstancePre<State>) -> Wasm<Pre> {
    Pre::new(pre)
}

/// How a run that was not killed came to its end.
pub(crate) enum Finish {
    /// The guest returned.
    Returned(Result<Outcome, FlowError>),
    /// It could not be instantiated.
    NotStarted(wasmtime::Error),
    /// It trapped.
    Trapped(wasmtime::Error),
}

/// One run from start to end.
pub(crate) async fn run(pre: Pre, mut store: Store<State>) -> Finish {
    let ivr = match pre.instantiate_async(&mut store).await {
        Ok(ivr) => ivr,
        Err(error) => return Finish::NotStarted(error),
    };
    match ivr
        .jackfield_ivr_flow()
        .call_run(&mut store, Resource::new_own(0))
        .await
    {
        Ok(Ok(outcome)) => Finish::Returned(Ok(Outcome {
            label: cut(&outcome.label, limits::LABEL_CHARS_MAX),
            detail: outcome
                .detail
                .map(|detail| cut(&detail, limits::OUTCOME_DETAIL_CHARS_MAX)),
        })),
        Ok(Err(error)) => Finish::Returned(Err(error.into())),
        Err(error) => Finish::Trapped(error),
    }
}

type Call = Resource<CallHandle>;

impl types::Host for State {}

impl words::Host for State {}

impl words::HostCall for State {
    fn info(&mut self, _: Call) -> Wasm<types::CallInfo> {
        let info = &self.info;
        Ok(types::CallInfo {
            id: info.call.to_string(),
            direction: match info.direction {
                Direction::Inbound => types::Direction::Inbound,
                Direction::Outbound => types::Direction::Outbound,
            },
            caller: party(&info.caller),
            callee: party(&info.callee),
            started_at: u64::try_from(info.started_at.millis()).unwrap_or(0),
            attrs: self
                .attrs
                .iter()
                .map(|(key, value)| types::Attr {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
        })
    }

    fn attr(&mut self, _: Call, key: String) -> Wasm<Option<String>> {
        Ok(self.attrs.get(&key).cloned())
    }

    async fn set_attr(&mut self, _: Call, key: String, value: String) -> Wasm<Result<(), Error>> {
        let chars = key.chars().count();
        if !(1..=limits::ATTR_KEY_CHARS_MAX).contains(&chars) {
            return invalid(format!(
                "a key has 1 to {} characters",
                limits::ATTR_KEY_CHARS_MAX
            ));
        }
        if value.chars().count() > limits::ATTR_VALUE_CHARS_MAX {
            return limit(format!(
                "a value has up to {} characters",
                limits::ATTR_VALUE_CHARS_MAX
            ));
        }
        if self.attrs.len() >= limits::ATTRS_MAX && !self.attrs.contains_key(&key) {
            return limit(format!(
                "a call remembers up to {} facts",
                limits::ATTRS_MAX
            ));
        }
        let op = Op::SetAttr {
            key: key.clone(),
            value: Pii::new(value.clone()),
        };
        let answer = done(self.ask(op).await?);
        if answer.is_ok() {
            self.attrs.insert(key, value);
            assert!(self.attrs.len() <= limits::ATTRS_MAX, "facts stay bounded");
        }
        Ok(answer)
    }

    async fn answer(&mut self, _: Call) -> Wasm<Result<(), Error>> {
        Ok(done(self.ask(Op::Answer).await?))
    }

    async fn play(&mut self, _: Call, prompts: Vec<words::Prompt>) -> Wasm<Result<(), Error>> {
        let prompts = match prompt_list(prompts) {
            Ok(prompts) => prompts,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(done(self.ask(Op::Play { prompts }).await?))
    }

    async fn play_start(
        &mut self,
        _: Call,
        prompts: Vec<words::Prompt>,
        loop_it: bool,
    ) -> Wasm<Result<u32, Error>> {
        let prompts = match prompt_list(prompts) {
            Ok(prompts) => prompts,
            Err(error) => return Ok(Err(error.into())),
        };
        let answer = self
            .ask(Op::PlayStart {
                prompts,
                repeat: loop_it,
            })
            .await?;
        Ok(reply(answer, |reply| match reply {
            Reply::Token(token) => Some(token),
            Reply::Done
            | Reply::Digits { .. }
            | Reply::Secret { .. }
            | Reply::Recorded(_)
            | Reply::Dialed { .. }
            | Reply::Event(_) => None,
        }))
    }

    async fn play_stop(&mut self, _: Call, token: u32) -> Wasm<Result<(), Error>> {
        Ok(done(self.ask(Op::PlayStop { token }).await?))
    }

    async fn gather(
        &mut self,
        _: Call,
        options: words::GatherOptions,
    ) -> Wasm<Result<words::Digits, Error>> {
        let op = match gather(options, false) {
            Ok(op) => op,
            Err(error) => return Ok(Err(error.into())),
        };
        let answer = self.ask(op).await?;
        Ok(reply(answer, |reply| match reply {
            Reply::Digits { value, end } => Some(words::Digits {
                value: value.into_inner(),
                end: gather_end(end),
            }),
            Reply::Done
            | Reply::Token(_)
            | Reply::Secret { .. }
            | Reply::Recorded(_)
            | Reply::Dialed { .. }
            | Reply::Event(_) => None,
        }))
    }

    async fn gather_secret(
        &mut self,
        _: Call,
        options: words::GatherOptions,
    ) -> Wasm<Result<words::SecretDigits, Error>> {
        let op = match gather(options, true) {
            Ok(op) => op,
            Err(error) => return Ok(Err(error.into())),
        };
        let answer = self.ask(op).await?;
        Ok(reply(answer, |reply| match reply {
            Reply::Secret {
                token,
                digits,
                luhn,
                end,
            } => Some(words::SecretDigits {
                token: token.map(|token| token.to_string()),
                length: digits,
                luhn,
                end: gather_end(end),
            }),
            Reply::Done
            | Reply::Token(_)
            | Reply::Digits { .. }
            | Reply::Recorded(_)
            | Reply::Dialed { .. }
            | Reply::Event(_) => None,
        }))
    }

    async fn record_start(&mut self, _: Call) -> Wasm<Result<(), Error>> {
        self.tape(Taping::Start).await
    }

    async fn record_pause(&mut self, _: Call, max: u32) -> Wasm<Result<(), Error>> {
        let lasting = (max > 0).then(|| Duration::from_millis(max.into()));
        self.tape(Taping::Pause { lasting }).await
    }

    async fn record_resume(&mut self, _: Call) -> Wasm<Result<(), Error>> {
        self.tape(Taping::Resume).await
    }

    async fn record_stop(&mut self, _: Call) -> Wasm<Result<(), Error>> {
        self.tape(Taping::Stop).await
    }

    async fn record_audio(
        &mut self,
        _: Call,
        max: u32,
        silence: u32,
        beep: bool,
    ) -> Wasm<Result<String, Error>> {
        let op = self.permitted(Capability::Record).and_then(|()| {
            Ok(Op::Record {
                max: wait("max", max)?,
                silence: wait("silence", silence)?,
                beep,
            })
        });
        let op = match op {
            Ok(op) => op,
            Err(error) => return Ok(Err(error.into())),
        };
        let answer = self.ask(op).await?;
        Ok(reply(answer, |reply| match reply {
            Reply::Recorded(recording) => Some(recording),
            Reply::Done
            | Reply::Token(_)
            | Reply::Digits { .. }
            | Reply::Secret { .. }
            | Reply::Dialed { .. }
            | Reply::Event(_) => None,
        }))
    }

    async fn dial(
        &mut self,
        _: Call,
        target: words::DialTarget,
        options: words::DialOptions,
    ) -> Wasm<Result<words::DialOutcome, Error>> {
        let op = self.dial_op(target, options);
        let op = match op {
            Ok(op) => op,
            Err(error) => return Ok(Err(error.into())),
        };
        let answer = self.ask(op).await?;
        Ok(reply(answer, |reply| match reply {
            Reply::Dialed {
                result,
                cause,
                talk,
            } => Some(words::DialOutcome {
                ended: match result {
                    DialResult::Answered => words::DialResult::Answered,
                    DialResult::Busy => words::DialResult::Busy,
                    DialResult::NoAnswer => words::DialResult::NoAnswer,
                    DialResult::Rejected => words::DialResult::Rejected,
                    DialResult::Unreachable => words::DialResult::Unreachable,
                },
                cause,
                talk: u32::try_from(talk.as_millis()).unwrap_or(u32::MAX),
            }),
            Reply::Done
            | Reply::Token(_)
            | Reply::Digits { .. }
            | Reply::Secret { .. }
            | Reply::Recorded(_)
            | Reply::Event(_) => None,
        }))
    }

    async fn enqueue(
        &mut self,
        _: Call,
        queue: String,
        priority: i32,
        attrs: Vec<(String, String)>,
    ) -> Wasm<Result<(), Error>> {
        let queue = match name("queue", queue) {
            Ok(queue) => queue,
            Err(error) => return Ok(Err(error.into())),
        };
        let too_long = |(key, value): &(String, String)| {
            key.chars().count() > limits::ATTR_KEY_CHARS_MAX
                || value.chars().count() > limits::ATTR_VALUE_CHARS_MAX
        };
        if attrs.len() > limits::ATTRS_MAX || attrs.iter().any(too_long) {
            return limit(format!(
                "up to {} attributes of bounded length",
                limits::ATTRS_MAX
            ));
        }
        Ok(done(
            self.ask(Op::Enqueue {
                queue,
                priority,
                attrs,
            })
            .await?,
        ))
    }

    async fn transfer(&mut self, _: Call, target: words::DialTarget) -> Wasm<Result<(), Error>> {
        let target = match self.dial_target(target) {
            Ok(target) => target,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(done(self.ask(Op::Transfer { target }).await?))
    }

    async fn next_event(&mut self, _: Call, timeout: u32) -> Wasm<Result<words::Event, Error>> {
        let timeout = match wait("timeout", timeout) {
            Ok(timeout) => timeout,
            Err(error) => return Ok(Err(error.into())),
        };
        let answer = self.ask(Op::NextEvent { timeout }).await?;
        Ok(reply(answer, |reply| match reply {
            Reply::Event(FlowEvent::Dtmf(key)) => {
                Some(words::Event::Dtmf(key.reveal().to_string()))
            }
            Reply::Event(FlowEvent::PlayDone(token)) => Some(words::Event::PlayDone(token)),
            Reply::Done
            | Reply::Token(_)
            | Reply::Digits { .. }
            | Reply::Secret { .. }
            | Reply::Recorded(_)
            | Reply::Dialed { .. } => None,
        }))
    }

    async fn sleep(&mut self, _: Call, ms: u32) -> Wasm<Result<(), Error>> {
        let time = match wait("ms", ms) {
            Ok(time) => time,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(done(self.ask(Op::Sleep { time }).await?))
    }

    async fn hangup(&mut self, _: Call, cause: Option<String>) -> Wasm<()> {
        let cause = cause.map(|cause| cut(&cause, limits::NAME_CHARS_MAX));
        // Whatever the answer, the call is over for the guest.
        drop(self.ask(Op::Hangup { cause }).await?);
        Ok(())
    }

    fn drop(&mut self, _: Call) -> Wasm<()> {
        Ok(())
    }
}

impl State {
    fn dial_op(
        &mut self,
        target: words::DialTarget,
        options: words::DialOptions,
    ) -> Result<Op, FlowError> {
        let target = self.dial_target(target)?;
        let options = DialOptions {
            timeout: wait("timeout", options.timeout)?,
            caller_id: options
                .caller_id
                .map(|id| name("caller-id", id))
                .transpose()?,
            whisper: prompt_list(options.whisper)?,
        };
        Ok(Op::Dial { target, options })
    }

    /// Changes what is recorded of the call, if the plugin may.
    async fn tape(&mut self, wish: Taping) -> Wasm<Result<(), Error>> {
        if let Err(error) = self.permitted(Capability::Record) {
            return Ok(Err(error.into()));
        }
        Ok(done(self.ask(Op::Tape(wish)).await?))
    }

    /// Numbers and addresses lead out of the house and need a grant; agents and queues do not.
    fn dial_target(&mut self, target: words::DialTarget) -> Result<DialTarget, FlowError> {
        match target {
            words::DialTarget::Agent(id) => Ok(DialTarget::Agent(name("agent", id)?)),
            words::DialTarget::Queue(queue) => Ok(DialTarget::Queue(name("queue", queue)?)),
            words::DialTarget::E164(number) => {
                self.permitted(Capability::Dial)?;
                e164(number).map(DialTarget::E164)
            }
            words::DialTarget::Sip(address) => {
                self.permitted(Capability::Dial)?;
                sip_address(address).map(DialTarget::Sip)
            }
            words::DialTarget::Other(_) => Err(FlowError::Unsupported(
                "this host knows no other kind of target".into(),
            )),
        }
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> Wasm<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        Ok(lock(&self.desk).log(level, &message)?)
    }
}

impl clock::Host for State {
    fn now(&mut self) -> Wasm<u64> {
        Ok(u64::try_from(State::now(self).wall.millis()).unwrap_or(0))
    }

    fn utc_offset(&mut self, zone: String, at: u64) -> Wasm<Result<i32, String>> {
        let Ok(zone_rules) = self.zones.get(&zone) else {
            return Ok(Err(format!("no time zone is called {:?}", cut(&zone, 60))));
        };
        let at = i64::try_from(at)
            .ok()
            .and_then(|at| Timestamp::from_millisecond(at).ok());
        Ok(at
            .map(|at| zone_rules.to_offset(at).seconds().div_euclid(60))
            .ok_or_else(|| "the moment is after the year 9999".into()))
    }
}

impl config::Host for State {
    fn get(&mut self, key: String) -> Wasm<Option<String>> {
        Ok(self.config.lookup(&key))
    }
}

impl State {
    /// The answer of an interface that this version of the host does not have.
    fn absent<T>(&mut self, capability: Capability) -> Wasm<Result<T, Error>> {
        Ok(Err(match self.permitted(capability) {
            Ok(()) => Error::Unsupported(format!("this host has no {capability} yet")),
            Err(denied) => denied.into(),
        }))
    }
}

impl kv::Host for State {
    fn get(&mut self, _key: String) -> Wasm<Result<Option<Vec<u8>>, Error>> {
        self.absent(Capability::Kv)
    }

    fn set(&mut self, _key: String, _value: Vec<u8>, _ttl: Option<u32>) -> Wasm<Result<(), Error>> {
        self.absent(Capability::Kv)
    }

    fn delete(&mut self, _key: String) -> Wasm<Result<(), Error>> {
        self.absent(Capability::Kv)
    }

    fn incr(&mut self, _key: String, _by: i64) -> Wasm<Result<i64, Error>> {
        self.absent(Capability::Kv)
    }
}

impl http::Host for State {
    fn send(&mut self, _request: http::Request) -> Wasm<Result<http::Response, Error>> {
        self.absent(Capability::Http)
    }
}

impl From<FlowError> for Error {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Hangup(text) => Self::Hangup(text),
            FlowError::Timeout => Self::Timeout,
            FlowError::Cancelled => Self::Cancelled,
            FlowError::Denied(text) => Self::Denied(text),
            FlowError::Invalid(text) => Self::Invalid(text),
            FlowError::Limit(text) => Self::Limit(text),
            FlowError::NotFound(text) => Self::NotFound(text),
            FlowError::Unsupported(text) => Self::Unsupported(text),
            FlowError::Unavailable(text) => Self::Unavailable(text),
            FlowError::Failed(text) => Self::Failed(text),
        }
    }
}

impl From<Error> for FlowError {
    fn from(error: Error) -> Self {
        let short = |text: String| cut(&text, limits::DETAIL_CHARS_MAX);
        match error {
            Error::Hangup(text) => Self::Hangup(short(text)),
            Error::Timeout => Self::Timeout,
            Error::Cancelled => Self::Cancelled,
            Error::Denied(text) => Self::Denied(short(text)),
            Error::Invalid(text) => Self::Invalid(short(text)),
            Error::Limit(text) => Self::Limit(short(text)),
            Error::NotFound(text) => Self::NotFound(short(text)),
            Error::Unsupported(text) => Self::Unsupported(short(text)),
            Error::Unavailable(text) => Self::Unavailable(short(text)),
            Error::Failed(text) => Self::Failed(short(text)),
            // An unknown case counts as failed, as the interface says.
            Error::Other((kind, text)) => Self::Failed(short(format!("{kind}: {text}"))),
        }
    }
}

/// An operation's answer in the guest's words; `pick` takes the kind of reply that belongs to it.
fn reply<T>(
    answer: Result<Reply, FlowError>,
    pick: impl FnOnce(Reply) -> Option<T>,
) -> Result<T, Error> {
    let picked = pick(answer?);
    debug_assert!(picked.is_some(), "each operation has its own kind of reply");
    picked.ok_or_else(|| Error::Failed("the host gave an answer of another kind".into()))
}

fn done(answer: Result<Reply, FlowError>) -> Result<(), Error> {
    reply(answer, |reply| match reply {
        Reply::Done => Some(()),
        Reply::Token(_)
        | Reply::Digits { .. }
        | Reply::Secret { .. }
        | Reply::Recorded(_)
        | Reply::Dialed { .. }
        | Reply::Event(_) => None,
    })
}

fn invalid<T>(reason: String) -> Wasm<Result<T, Error>> {
    Ok(Err(Error::Invalid(reason)))
}

fn limit<T>(reason: String) -> Wasm<Result<T, Error>> {
    Ok(Err(Error::Limit(reason)))
}

fn party(party: &Party) -> types::Party {
    match party {
        Party::E164(number) => types::Party::E164(number.clone()),
        Party::Sip(address) => types::Party::Sip(address.clone()),
        Party::Anonymous => types::Party::Anonymous,
    }
}

/// A name of a prompt, queue, agent or voice: something a person would write on one line.
fn name(what: &str, text: String) -> Result<String, FlowError> {
    let chars = text.chars().count();
    if !(1..=limits::NAME_CHARS_MAX).contains(&chars) || text.chars().any(char::is_control) {
        let most = limits::NAME_CHARS_MAX;
        return Err(FlowError::Invalid(format!(
            "{what} has 1 to {most} printable characters"
        )));
    }
    Ok(text)
}

/// ITU-T E.164 §6: at most 15 digits; written here with the plus sign.
fn e164(number: String) -> Result<String, FlowError> {
    let digits = number.strip_prefix('+').unwrap_or_default();
    if !(1..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FlowError::Invalid(
            "a number is + and 1 to 15 digits".into(),
        ));
    }
    Ok(number)
}

/// A local user or an address without `sip:`; the node decides whether it is allowed.
fn sip_address(address: String) -> Result<String, FlowError> {
    let chars = address.chars().count();
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"');
    if !(1..=limits::ADDRESS_CHARS_MAX).contains(&chars) || address.chars().any(bad) {
        return Err(FlowError::Invalid(
            "an address is user or user@host, without spaces".into(),
        ));
    }
    Ok(address)
}

fn wait(what: &str, ms: u32) -> Result<Duration, FlowError> {
    let time = Duration::from_millis(ms.into());
    if time > limits::WAIT_MAX {
        let most = limits::WAIT_MAX.as_millis();
        return Err(FlowError::Limit(format!("{what} is at most {most} ms")));
    }
    Ok(time)
}

fn prompt_list(prompts: Vec<words::Prompt>) -> Result<Vec<Prompt>, FlowError> {
    if prompts.len() > limits::PROMPTS_MAX {
        return Err(FlowError::Limit(format!(
            "at most {} prompts at once",
            limits::PROMPTS_MAX
        )));
    }
    prompts.into_iter().map(prompt).collect()
}

fn prompt(prompt: words::Prompt) -> Result<Prompt, FlowError> {
    let spoken = |text: String| {
        if text.chars().count() > limits::SAY_CHARS_MAX {
            let most = limits::SAY_CHARS_MAX;
            return Err(FlowError::Limit(format!(
                "at most {most} characters are spoken at once"
            )));
        }
        Ok(Pii::new(text))
    };
    match prompt {
        words::Prompt::Audio(audio) => Ok(Prompt::Audio(name("a prompt's name", audio)?)),
        words::Prompt::Say((text, voice)) => Ok(Prompt::Say {
            text: spoken(text)?,
            voice: voice.map(|voice| name("a voice", voice)).transpose()?,
        }),
        words::Prompt::Value((kind, value)) => Ok(Prompt::Value {
            kind: name("a value's kind", kind)?,
            value: spoken(value)?,
        }),
        words::Prompt::Silence(ms) => Ok(Prompt::Silence(wait("silence", ms)?)),
        words::Prompt::Other((kind, _)) => Err(FlowError::Unsupported(format!(
            "no prompt of kind {:?}",
            cut(&kind, 40)
        ))),
    }
}

fn gather_end(end: GatherEnd) -> words::GatherEnd {
    match end {
        GatherEnd::Complete => words::GatherEnd::Complete,
        GatherEnd::Terminator => words::GatherEnd::Terminator,
        GatherEnd::Timeout => words::GatherEnd::Timeout,
        GatherEnd::Hangup => words::GatherEnd::Hangup,
    }
}

fn gather(options: words::GatherOptions, secret: bool) -> Result<Op, FlowError> {
    if !(1..=limits::GATHER_DIGITS_MAX).contains(&options.max) || options.min > options.max {
        let most = limits::GATHER_DIGITS_MAX;
        return Err(FlowError::Invalid(format!(
            "0 <= min <= max and 1 <= max <= {most}"
        )));
    }
    let key = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D');
    if options.terminators.len() > 16 || !options.terminators.chars().all(key) {
        return Err(FlowError::Invalid(
            "terminators are keys out of 0-9, *, # and A-D".into(),
        ));
    }
    Ok(Op::Gather {
        prompts: prompt_list(options.prompts)?,
        spec: GatherSpec {
            min: options.min,
            max: options.max,
            terminators: options.terminators,
            first_timeout: wait("first-timeout", options.first_timeout)?,
            inter_timeout: wait("inter-timeout", options.inter_timeout)?,
            barge_in: options.barge_in,
        },
        secret,
    })
}
