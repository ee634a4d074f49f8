//! A menu tree from configuration: levels, jumps, languages, working hours, transfers, messages.
//!
//! Two halves. [`menu`] reads and checks the configuration, [`schedule`] knows when somebody is
//! there, and [`walker`] decides the next step from what the caller pressed: all pure, tested
//! natively. This file makes the steps happen on a live call.

pub mod limits;
pub mod menu;
pub mod schedule;
pub mod walker;

use jackfield::{Call, Error, Outcome, clock, config, log};

use crate::menu::Tree;
use crate::walker::{Answer, Step, Walker};

/// Reads the route's configuration and walks it with the caller.
#[jackfield::ivr(needs = ["dial", "record"])]
fn run(call: &Call) -> Result<Outcome, Error> {
    // A broken configuration is found before the call is answered: the caller hears the fallback.
    let source = config::json("").unwrap_or_default();
    let tree = Tree::from_json(&source).map_err(Error::invalid)?;
    call.answer()?;

    let local = |zone: &str| clock::local(zone).map_err(|error| error.to_string());
    let mut walker = Walker::new(&tree);
    let mut answer = Answer::Done;
    loop {
        let step = walker.next(&local, answer).map_err(Error::invalid)?;
        answer = match step {
            Step::Play(prompts) => {
                call.play().prompts(prompts).run()?;
                Answer::Done
            }
            Step::Ask(ask) => {
                let gather = call.gather().prompts(ask.prompts).min(ask.min).max(ask.max);
                let gather = gather.terminators(ask.terminators).barge_in();
                let digits = gather.timeout(ask.first).inter_timeout(ask.inter).run()?;
                Answer::Digits(digits.value)
            }
            Step::Set { key, value } => {
                call.set_attr(&key, &value)?;
                Answer::Done
            }
            Step::Dial { target, timeout } => {
                let dialed = call.dial(target).timeout(timeout).run();
                reached("dial", dialed.map(|outcome| outcome.is_answered()))?
            }
            Step::Transfer { target } => reached("transfer", call.transfer(target).map(|()| true))?,
            Step::Record { max, silence } => {
                let recorded = call.record().max(max).silence(silence).beep().run();
                reached("record", recorded.map(|_| true))?
            }
            Step::Finish { label, trail } => return Ok(Outcome::new(label).detail(trail)),
        };
    }
}

/// A refusal or a failed attempt is one of the menu's own branches; only a caller who is gone
/// ends the flow.
fn reached(what: &str, result: Result<bool, Error>) -> Result<Answer, Error> {
    match result {
        Ok(true) => Ok(Answer::Done),
        Ok(false) => Ok(Answer::Failed),
        Err(error) if error.is_end() => Err(error),
        Err(error) => {
            log::warn!("{what} did not work: {error}");
            Ok(Answer::Failed)
        }
    }
}
