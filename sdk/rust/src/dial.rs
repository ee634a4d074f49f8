//! Dialing somebody.

use std::time::Duration;

use crate::export::bindings::jackfield::ivr::calls::{self, DialOptions, DialTarget};
use crate::prompt::{millis, prompt_methods};
use crate::{DialOutcome, DialResult, Error};

/// Whom a call goes to.
///
/// From text: `tel:+8613800000000` or `+8613800000000` is a number, `agent:7` an agent,
/// `queue:sales` a queue, and anything else, with or without `sip:`, a phone or SIP address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A phone registered here, such as `1001`, or a SIP address such as `1001@example.com`.
    Sip(String),
    /// A number in E.164 form, with its `+`.
    E164(String),
    /// An agent by id.
    Agent(String),
    /// A queue by name.
    Queue(String),
}

impl Target {
    pub(crate) fn into_raw(self) -> DialTarget {
        match self {
            Self::Sip(address) => DialTarget::Sip(address),
            Self::E164(number) => DialTarget::E164(number),
            Self::Agent(id) => DialTarget::Agent(id),
            Self::Queue(name) => DialTarget::Queue(name),
        }
    }
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        match text.split_once(':') {
            Some(("sip", address)) => Self::Sip(address.to_owned()),
            Some(("tel", number)) => Self::E164(number.to_owned()),
            Some(("agent", id)) => Self::Agent(id.to_owned()),
            Some(("queue", name)) => Self::Queue(name.to_owned()),
            Some(_) | None if text.starts_with('+') => Self::E164(text.to_owned()),
            Some(_) | None => Self::Sip(text.to_owned()),
        }
    }
}

impl From<String> for Target {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

/// A dial attempt. Without further word it gives up after 30 s. The prompts are heard by the
/// called party before the two are connected.
#[derive(Debug)]
#[must_use = "nobody is dialed before `run`"]
pub struct Dial<'a> {
    raw: &'a calls::Call,
    target: Target,
    options: DialOptions,
}

impl<'a> Dial<'a> {
    pub(crate) fn new(raw: &'a calls::Call, target: Target) -> Self {
        let options = DialOptions {
            timeout: 30_000,
            caller_id: None,
            whisper: Vec::new(),
        };
        Self {
            raw,
            target,
            options,
        }
    }

    prompt_methods!(options.whisper);

    /// Gives up after this long without an answer.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.options.timeout = millis(time);
        self
    }

    /// Gives up after this many seconds without an answer.
    pub fn timeout_s(self, seconds: u32) -> Self {
        self.timeout(Duration::from_secs(seconds.into()))
    }

    /// Shown to the called party instead of the caller's number, if that is allowed.
    pub fn caller_id(mut self, number: impl Into<String>) -> Self {
        self.options.caller_id = Some(number.into());
        self
    }

    /// Dials, connects, and returns when the two are apart again or the attempt failed. Busy and
    /// no answer are outcomes, not errors.
    ///
    /// # Errors
    /// [`Error::Denied`] without the grant, or for a target that is not allowed.
    pub fn run(self) -> Result<DialOutcome, Error> {
        self.raw.dial(&self.target.into_raw(), &self.options)
    }
}

impl DialOutcome {
    /// The two were connected.
    pub fn is_answered(&self) -> bool {
        self.ended == DialResult::Answered
    }

    /// How long they were connected.
    pub fn talk_time(&self) -> Duration {
        Duration::from_millis(self.talk.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_from_text() {
        let table = [
            ("1001", Target::Sip("1001".to_owned())),
            ("sip:1001", Target::Sip("1001".to_owned())),
            (
                "sip:1001@192.0.2.1:5070",
                Target::Sip("1001@192.0.2.1:5070".to_owned()),
            ),
            (
                "1001@192.0.2.1:5070",
                Target::Sip("1001@192.0.2.1:5070".to_owned()),
            ),
            ("+861012345678", Target::E164("+861012345678".to_owned())),
            (
                "tel:+861012345678",
                Target::E164("+861012345678".to_owned()),
            ),
            ("agent:7", Target::Agent("7".to_owned())),
            ("queue:sales", Target::Queue("sales".to_owned())),
        ];
        for (text, target) in table {
            assert_eq!(Target::from(text), target, "{text}");
        }
    }
}
