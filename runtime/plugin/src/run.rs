//! One run of a plugin, for one call: a machine like any other.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use vocab::flow::{CallInfo, Fault, FaultKind, FlowError, Level, Op, Outcome, Reply};
use vocab::{Now, Rng};

use crate::config::Config;
use crate::error::cut;
use crate::grant::{Capability, Grant};
use crate::guest::{Desk, SharedDesk, Slot, classify, lock};
use crate::host::{Metering, Seat};
use crate::ivr::v0_1::Finish;
use crate::limits;
use crate::plugin::Plugin;

/// What one run is given at its start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the flow knows of its call.
    pub info: CallInfo,
    /// The route's configuration.
    pub config: Config,
    /// What the operator grants; effective is what the manifest needs as well.
    pub grant: Grant,
    /// The source of everything random in the run: the same seed, the same run.
    pub rng: Rng,
}

/// What a run is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunInput {
    /// Begin. Later ones are ignored.
    Start,
    /// The answer to the pending operation. Ignored if none is pending, which happens when the
    /// far end hung up meanwhile.
    Reply(Result<Reply, FlowError>),
    /// Continue after [`RunOutput::Yielded`].
    Slice,
    /// The far end is gone, with the reason: the pending operation and all later ones are
    /// answered with `hangup`.
    Hangup(String),
    /// End the run as a fault, whatever it is doing.
    Kill(FaultKind, String),
}

/// What a run reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunOutput {
    /// It asks for something and waits for [`RunInput::Reply`].
    Op(Op),
    /// Its slice is over; it waits for [`RunInput::Slice`].
    Yielded,
    /// It logged a line: no control characters, at most [`limits::LOG_LINE_BYTES_MAX`] bytes.
    Log {
        /// How loud.
        level: Level,
        /// The text.
        message: String,
    },
    /// It tried something it was not granted; reported once for each capability.
    Denied {
        /// What it tried.
        capability: Capability,
    },
    /// It is over. Nothing follows, and its instance is free.
    Ended(End),
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It returned an outcome.
    Outcome(Outcome),
    /// It returned `hangup`: a normal end.
    Hangup,
    /// It returned `cancelled`: a normal end.
    Cancelled,
    /// It broke; the route's fallback follows.
    Fault(Fault),
}

impl End {
    /// The fault, if it is one.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Outcome(_) | Self::Hangup | Self::Cancelled => None,
        }
    }
}

/// One run of a plugin.
///
/// | stage | on | becomes |
/// |---|---|---|
/// | new | `Start` | running |
/// | running | the guest asks: `Op` out | waiting |
/// | running | its slice is over: `Yielded` out | running, until `Slice` |
/// | waiting | `Reply`, `Hangup` | running |
/// | running | the guest returns or traps, the budget is spent: `Ended` out | over |
/// | any | `Kill`: `Ended` out | over |
///
/// A run has no timers: deadlines belong to whoever performs its operations. With
/// [`Metering::Epoch`] the caller measures each `handle` and reports it with [`Run::charge`]; with
/// [`Metering::Fuel`] slices are counted instead, and two runs with the same inputs give the same
/// outputs. `handle` may be called from any thread, one at a time.
///
/// Dropping a run at any stage frees its instance.
pub struct Run {
    plugin: Plugin,
    desk: SharedDesk,
    stage: Stage,
    /// Running time since the last host call that took time, or since hang-up.
    spent: Duration,
    busiest: Duration,
}

enum Stage {
    New(Box<Setup>),
    Live(Live),
    Over,
}

/// An instance and its fiber.
struct Live {
    guest: Pin<Box<dyn Future<Output = Finish> + Send>>,
    _seat: Seat,
}

impl Run {
    pub(crate) fn new(plugin: Plugin, setup: Setup) -> Self {
        Self {
            plugin,
            desk: Arc::new(Mutex::new(Desk::new())),
            stage: Stage::New(Box::new(setup)),
            spent: Duration::ZERO,
            busiest: Duration::ZERO,
        }
    }

    /// Feeds one input. The caller drains [`Run::poll`] to `None` before the next call.
    pub fn handle(&mut self, now: Now, input: RunInput) {
        {
            let mut desk = lock(&self.desk);
            debug_assert!(
                desk.out.is_empty(),
                "outputs are drained before the next input"
            );
            desk.now = now;
        }
        if self.is_over() {
            return;
        }
        match input {
            RunInput::Start => self.start(),
            RunInput::Reply(answer) => self.answer(answer),
            RunInput::Slice => self.slice(),
            RunInput::Hangup(reason) => self.hang_up(reason),
            RunInput::Kill(kind, detail) => self.fault(kind, &detail),
        }
    }

    /// The next thing to do, or `None` until the next input.
    pub fn poll(&mut self) -> Option<RunOutput> {
        lock(&self.desk).out.pop_front()
    }

    /// Adds the running time of the last `handle`, [`limits::SLICE_MAX`] at most. The run ends with
    /// [`FaultKind::OutOfTime`] at the first [`RunInput::Slice`] after its budget is spent.
    /// Ignored with [`Metering::Fuel`].
    pub fn charge(&mut self, ran: Duration) {
        match self.plugin.host().config().metering {
            Metering::Epoch => self.spend(ran.min(limits::SLICE_MAX)),
            Metering::Fuel => {}
        }
    }

    /// The plugin that runs.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Whether it ended. Outputs may still be waiting to be polled.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// The longest running time between two host calls so far; beside [`Run::budget`] it tells a
    /// plugin's author how far the limit is.
    pub fn busiest(&self) -> Duration {
        self.busiest
    }

    /// The running time allowed at the moment: between two host calls, or after hang-up in all.
    pub fn budget(&self) -> Duration {
        let config = self.plugin.host().config();
        if lock(&self.desk).gone.is_some() {
            config.budget_after_hangup
        } else {
            config.budget
        }
    }

    fn start(&mut self) {
        let setup = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::New(setup) => *setup,
            other @ (Stage::Live(_) | Stage::Over) => {
                self.stage = other;
                return;
            }
        };
        let Some(seat) = self.plugin.host().seat() else {
            let places = self.plugin.host().config().runs_max;
            let detail = format!("all {places} places for running plugins are taken");
            return self.fault(FaultKind::Start, &detail);
        };
        let guest = self.plugin.instantiate(self.desk.clone(), setup);
        self.stage = Stage::Live(Live { guest, _seat: seat });
        self.step(Resumed::Fresh);
    }

    fn answer(&mut self, answer: Result<Reply, FlowError>) {
        {
            let mut desk = lock(&self.desk);
            match desk.slot {
                Slot::Asked => desk.slot = Slot::Answered(answer),
                Slot::Empty | Slot::Answered(_) => return,
            }
            if desk.gone.is_none() {
                self.spent = Duration::ZERO;
            }
        }
        self.step(Resumed::Fresh);
    }

    fn slice(&mut self) {
        if self.is_waiting() {
            return;
        }
        if self.spent >= self.budget() {
            return self.out_of_time();
        }
        self.step(Resumed::Sliced);
    }

    fn hang_up(&mut self, reason: String) {
        let waiting = self.is_waiting();
        {
            let mut desk = lock(&self.desk);
            if desk.gone.is_some() {
                return;
            }
            let reason = cut(&reason, limits::NAME_CHARS_MAX);
            if waiting {
                desk.slot = Slot::Answered(Err(FlowError::Hangup(reason.clone())));
            }
            desk.gone = Some(reason);
        }
        self.spent = Duration::ZERO;
        if waiting {
            self.step(Resumed::Fresh);
        }
    }

    /// Lets the guest run until it asks, yields or ends.
    fn step(&mut self, mut resumed: Resumed) {
        loop {
            let Stage::Live(live) = &mut self.stage else {
                return;
            };
            let mut context = Context::from_waker(Waker::noop());
            match live.guest.as_mut().poll(&mut context) {
                Poll::Ready(finish) => return self.finish(finish),
                Poll::Pending if self.is_waiting() => return,
                Poll::Pending => {}
            }
            match (self.plugin.host().config().metering, resumed) {
                // Its epoch deadline passed while it was waiting, so it yields at once; the real
                // slice begins now.
                (Metering::Epoch, Resumed::Fresh) => resumed = Resumed::Sliced,
                (Metering::Epoch, Resumed::Sliced) => {
                    return lock(&self.desk).out.push_back(RunOutput::Yielded);
                }
                (Metering::Fuel, Resumed::Fresh | Resumed::Sliced) => {
                    self.spend(limits::TICK);
                    if self.spent >= self.budget() {
                        return self.out_of_time();
                    }
                    return lock(&self.desk).out.push_back(RunOutput::Yielded);
                }
            }
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Live(_)) && matches!(lock(&self.desk).slot, Slot::Asked)
    }

    fn spend(&mut self, ran: Duration) {
        self.spent = self.spent.saturating_add(ran);
        self.busiest = self.busiest.max(self.spent);
    }

    fn out_of_time(&mut self) {
        let when = if lock(&self.desk).gone.is_some() {
            "after hang-up"
        } else {
            "between two host calls"
        };
        let detail = format!("ran for more than {} ms {when}", self.budget().as_millis());
        self.fault(FaultKind::OutOfTime, &detail);
    }

    fn finish(&mut self, finish: Finish) {
        let memory_max = self.plugin.manifest().memory_bytes;
        match finish {
            Finish::Returned(Ok(outcome)) => self.end(End::Outcome(outcome)),
            Finish::Returned(Err(FlowError::Hangup(_))) => self.end(End::Hangup),
            Finish::Returned(Err(FlowError::Cancelled)) => self.end(End::Cancelled),
            Finish::Returned(Err(
                error @ (FlowError::Timeout
                | FlowError::Denied(_)
                | FlowError::Invalid(_)
                | FlowError::Limit(_)
                | FlowError::NotFound(_)
                | FlowError::Unsupported(_)
                | FlowError::Unavailable(_)
                | FlowError::Failed(_)),
            )) => self.fault(FaultKind::Error, &describe(&error)),
            Finish::Trapped(error) => {
                let (kind, detail) = classify(&error, &lock(&self.desk), memory_max);
                self.fault(kind, &detail);
            }
            Finish::NotStarted(error) => {
                let (kind, detail) = classify(&error, &lock(&self.desk), memory_max);
                let kind = if kind == FaultKind::OutOfMemory {
                    kind
                } else {
                    FaultKind::Start
                };
                self.fault(kind, &detail);
            }
        }
    }

    fn fault(&mut self, kind: FaultKind, detail: &str) {
        if kind == FaultKind::Panic {
            // The message is in the detail.
            lock(&self.desk).stderr.clear();
        }
        let detail = cut(detail, limits::DETAIL_CHARS_MAX);
        self.end(End::Fault(Fault {
            plugin: self.plugin.reference().clone(),
            kind,
            detail,
        }));
    }

    fn end(&mut self, end: End) {
        assert!(
            !self.is_over() || matches!(end, End::Fault(_)),
            "a run ends once"
        );
        // The instance goes before the news of it.
        self.stage = Stage::Over;
        let mut desk = lock(&self.desk);
        desk.log_stderr();
        desk.out.push_back(RunOutput::Ended(end));
    }
}

/// How the guest came to run again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Resumed {
    /// After it waited: its epoch deadline may have passed long ago.
    Fresh,
    /// After it yielded.
    Sliced,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = match &self.stage {
            Stage::New(_) => "new",
            Stage::Live(_) if self.is_waiting() => "waiting",
            Stage::Live(_) => "running",
            Stage::Over => "over",
        };
        write!(f, "Run({}, {stage})", self.plugin.reference())
    }
}

fn describe(error: &FlowError) -> String {
    let (name, text): (&str, &str) = match error {
        FlowError::Hangup(text) => ("hangup", text),
        FlowError::Timeout => ("timeout", ""),
        FlowError::Cancelled => ("cancelled", ""),
        FlowError::Denied(text) => ("denied", text),
        FlowError::Invalid(text) => ("invalid", text),
        FlowError::Limit(text) => ("limit", text),
        FlowError::NotFound(text) => ("not-found", text),
        FlowError::Unsupported(text) => ("unsupported", text),
        FlowError::Unavailable(text) => ("unavailable", text),
        FlowError::Failed(text) => ("failed", text),
    };
    if text.is_empty() {
        format!("returned {name}")
    } else {
        format!("returned {name}: {text}")
    }
}
