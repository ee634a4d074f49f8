//! The call and what a flow does with it.

use std::fmt;
use std::time::Duration;

use crate::dial::{Dial, Target};
use crate::export::bindings::jackfield::ivr::calls::{self, GatherOptions};
use crate::prompt::{millis, prompt_methods};
use crate::{CallInfo, Digits, Error, Event, GatherEnd, Prompt, SecretDigits};

/// One live call. Every method that takes time suspends the flow until it is done.
///
/// Once the caller is gone, each method answers [`Error::Hangup`].
pub struct Call {
    raw: calls::Call,
}

impl Call {
    pub(crate) fn new(raw: calls::Call) -> Self {
        Self { raw }
    }

    /// Who calls whom, since when, and the facts the node knows.
    pub fn info(&self) -> CallInfo {
        self.raw.info()
    }

    /// A fact kept with the call, such as `language`.
    pub fn attr(&self, key: &str) -> Option<String> {
        self.raw.attr(key)
    }

    /// Keeps a fact with the call: a key of 1 to 64 characters, a value of up to 1,024.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Limit`] for a key or value that is too long, or too many.
    pub fn set_attr(&self, key: &str, value: &str) -> Result<(), Error> {
        self.raw.set_attr(key, value)
    }

    /// Sets the language of the prompts that follow, by its tag, such as `zh-CN` or `en`.
    ///
    /// # Errors
    /// As [`Call::set_attr`].
    pub fn language(&self, tag: &str) -> Result<(), Error> {
        self.set_attr("language", tag)
    }

    /// Accepts the call. Done at once if it is up.
    ///
    /// # Errors
    /// [`Error::Hangup`] if the caller gave up first.
    pub fn answer(&self) -> Result<(), Error> {
        self.raw.answer()
    }

    /// Plays something: `call.play().audio("hello").digits("123").run()?`.
    pub fn play(&self) -> Play<'_> {
        Play {
            call: self,
            prompts: Vec::new(),
        }
    }

    /// Collects digits: `call.gather().audio("main").max(1).timeout_s(5).barge_in().run()?`.
    pub fn gather(&self) -> Gather<'_> {
        Gather {
            call: self,
            options: GatherOptions {
                prompts: Vec::new(),
                min: 1,
                max: 1,
                terminators: String::new(),
                first_timeout: 5_000,
                inter_timeout: 3_000,
                barge_in: false,
            },
        }
    }

    /// Records what the caller says: `call.record().max_s(60).beep().run()?`. Needs `record`.
    pub fn record(&self) -> Record<'_> {
        Record {
            call: self,
            max: 60_000,
            silence: 5_000,
            beep: false,
        }
    }

    /// Records the whole call from now on. Needs `record`.
    ///
    /// # Errors
    /// [`Error::Denied`] without the grant, [`Error::Invalid`] if it is recorded already.
    pub fn record_start(&self) -> Result<(), Error> {
        self.raw.record_start()
    }

    /// Records nothing of the call until [`Self::record_resume`], or for so long at most, up to ten
    /// minutes. Needs `record`.
    ///
    /// # Errors
    /// [`Error::Denied`] without the grant, [`Error::Invalid`] if it is not recorded.
    pub fn record_pause(&self, max: Duration) -> Result<(), Error> {
        self.raw.record_pause(millis(max))
    }

    /// Records the call again. Needs `record`.
    ///
    /// # Errors
    /// [`Error::Denied`] without the grant, [`Error::Invalid`] if the recording is not paused.
    pub fn record_resume(&self) -> Result<(), Error> {
        self.raw.record_resume()
    }

    /// Records the call no more. Needs `record`.
    ///
    /// # Errors
    /// [`Error::Denied`] without the grant, [`Error::Invalid`] if it is not recorded.
    pub fn record_stop(&self) -> Result<(), Error> {
        self.raw.record_stop()
    }

    /// Dials somebody and connects the two: `call.dial("sip:1001").timeout_s(20).run()?`. Needs
    /// `dial`.
    pub fn dial(&self, target: impl Into<Target>) -> Dial<'_> {
        Dial::new(&self.raw, target.into())
    }

    /// Gives the call away; the flow is over once that is done. Needs `dial`.
    ///
    /// # Errors
    /// [`Error::Denied`] without the grant, [`Error::NotFound`] for an unknown target.
    pub fn transfer(&self, target: impl Into<Target>) -> Result<(), Error> {
        self.raw.transfer(&target.into().into_raw())
    }

    /// Puts the call into a queue: `call.enqueue("sales").priority(5).run()?`. Needs `enqueue`.
    pub fn enqueue(&self, queue: impl Into<String>) -> Enqueue<'_> {
        Enqueue {
            call: self,
            queue: queue.into(),
            priority: 0,
            attrs: Vec::new(),
        }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`Error::Timeout`] if none came in time.
    pub fn next_event(&self, timeout: Duration) -> Result<Event, Error> {
        self.raw.next_event(millis(timeout))
    }

    /// Waits.
    ///
    /// # Errors
    /// [`Error::Hangup`] if the caller leaves meanwhile.
    pub fn sleep(&self, time: Duration) -> Result<(), Error> {
        self.raw.sleep(millis(time))
    }

    /// Ends the call.
    pub fn hangup(&self) {
        self.raw.hangup(None);
    }

    /// Ends the call, with a cause for the record.
    pub fn hangup_because(&self, cause: &str) {
        self.raw.hangup(Some(cause));
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// Something to be played. Nothing happens before [`Play::run`] or [`Play::start`].
#[derive(Debug)]
#[must_use = "nothing is played before `run` or `start`"]
pub struct Play<'a> {
    call: &'a Call,
    prompts: Vec<Prompt>,
}

impl<'a> Play<'a> {
    prompt_methods!(prompts);

    /// Plays to the end.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an audio that is not in the catalogue.
    pub fn run(self) -> Result<(), Error> {
        self.call.raw.play(&self.prompts)
    }

    /// Starts playing and returns at once. [`Event::PlayDone`] tells of the end.
    ///
    /// # Errors
    /// As [`Play::run`].
    pub fn start(self) -> Result<Playing<'a>, Error> {
        let token = self.call.raw.play_start(&self.prompts, false)?;
        Ok(Playing {
            call: self.call,
            token,
        })
    }

    /// Starts playing, again and again, until stopped. Returns at once.
    ///
    /// # Errors
    /// As [`Play::run`].
    pub fn start_loop(self) -> Result<Playing<'a>, Error> {
        let token = self.call.raw.play_start(&self.prompts, true)?;
        Ok(Playing {
            call: self.call,
            token,
        })
    }
}

/// A playback in the background.
#[derive(Debug)]
pub struct Playing<'a> {
    call: &'a Call,
    token: u32,
}

impl Playing<'_> {
    /// What [`Event::PlayDone`] names it by.
    pub fn token(&self) -> u32 {
        self.token
    }

    /// Stops it; nothing happens if it is over.
    ///
    /// # Errors
    /// [`Error::Hangup`] if the caller is gone.
    pub fn stop(self) -> Result<(), Error> {
        self.call.raw.play_stop(self.token)
    }
}

/// Digits to be collected. Without further word: one digit, 5 s for the first, 3 s for each
/// further one, no terminator, and the prompt plays to its end.
#[derive(Debug)]
#[must_use = "nothing is collected before `run`"]
pub struct Gather<'a> {
    call: &'a Call,
    options: GatherOptions,
}

impl Gather<'_> {
    prompt_methods!(options.prompts);

    /// Fewest digits that make a complete input.
    pub fn min(mut self, digits: u8) -> Self {
        self.options.min = digits;
        self
    }

    /// Most digits; the gather ends when they are in.
    pub fn max(mut self, digits: u8) -> Self {
        self.options.max = digits;
        self
    }

    /// Keys that end the input and are not part of it, such as `#`.
    pub fn terminators(mut self, keys: impl Into<String>) -> Self {
        self.options.terminators = keys.into();
        self
    }

    /// Longest wait for the first digit, from the end of the prompt.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.options.first_timeout = millis(time);
        self
    }

    /// Longest wait for the first digit, in seconds.
    pub fn timeout_s(self, seconds: u32) -> Self {
        self.timeout(Duration::from_secs(seconds.into()))
    }

    /// Longest wait for each further digit.
    pub fn inter_timeout(mut self, time: Duration) -> Self {
        self.options.inter_timeout = millis(time);
        self
    }

    /// Longest wait for each further digit, in seconds.
    pub fn inter_timeout_s(self, seconds: u32) -> Self {
        self.inter_timeout(Duration::from_secs(seconds.into()))
    }

    /// The first digit stops the prompt.
    pub fn barge_in(mut self) -> Self {
        self.options.barge_in = true;
        self
    }

    /// Plays the prompts and collects. No digit in time is not an error but an empty value.
    ///
    /// # Errors
    /// [`Error::Hangup`] if the caller leaves, [`Error::NotFound`] for an unknown audio.
    pub fn run(self) -> Result<Digits, Error> {
        self.call.raw.gather(&self.options)
    }

    /// Plays the prompts and collects what must not be kept, such as a card's number: nothing of the
    /// call is recorded meanwhile, and what comes back is a token that stands for the digits. Whoever
    /// runs the payments takes them from the host by it.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_secret(self) -> Result<SecretDigits, Error> {
        self.call.raw.gather_secret(&self.options)
    }
}

impl Digits {
    /// The digits, without terminator; empty if none were pressed. Private: never log them.
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// Time ran out before the input was complete.
    pub fn is_timeout(&self) -> bool {
        self.end == GatherEnd::Timeout
    }
}

/// A message to be recorded. Without further word: up to 60 s, ended by 5 s of silence, no tone.
#[derive(Debug)]
#[must_use = "nothing is recorded before `run`"]
pub struct Record<'a> {
    call: &'a Call,
    max: u32,
    silence: u32,
    beep: bool,
}

impl Record<'_> {
    /// Ends after this long.
    pub fn max(mut self, time: Duration) -> Self {
        self.max = millis(time);
        self
    }

    /// Ends after this many seconds.
    pub fn max_s(self, seconds: u32) -> Self {
        self.max(Duration::from_secs(seconds.into()))
    }

    /// Ends after this much silence; zero never.
    pub fn silence(mut self, time: Duration) -> Self {
        self.silence = millis(time);
        self
    }

    /// Ends after this many seconds of silence; zero never.
    pub fn silence_s(self, seconds: u32) -> Self {
        self.silence(Duration::from_secs(seconds.into()))
    }

    /// Plays a tone first.
    pub fn beep(mut self) -> Self {
        self.beep = true;
        self
    }

    /// Records and returns the recording's id. A caller who hangs up instead of pressing a key
    /// has left a message all the same: it is kept, and the flow gets [`Error::Hangup`].
    ///
    /// # Errors
    /// [`Error::Denied`] without the grant.
    pub fn run(self) -> Result<String, Error> {
        self.call
            .raw
            .record_audio(self.max, self.silence, self.beep)
    }
}

/// A queue the call is to wait in.
#[derive(Debug)]
#[must_use = "the call is not queued before `run`"]
pub struct Enqueue<'a> {
    call: &'a Call,
    queue: String,
    priority: i32,
    attrs: Vec<(String, String)>,
}

impl Enqueue<'_> {
    /// Higher is served first; 0 without further word.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Hands a fact to routing.
    pub fn attr(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attrs.push((key.into(), value.into()));
        self
    }

    /// Queues the call; the flow is over once that is done.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown queue, [`Error::Denied`] without the grant.
    pub fn run(self) -> Result<(), Error> {
        self.call
            .raw
            .enqueue(&self.queue, self.priority, &self.attrs)
    }
}
