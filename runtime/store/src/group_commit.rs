//! Decides when events are written: many in one transaction, none too late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use vocab::record::CallEvent;
use vocab::{Mono, Now};

use crate::limits::{
    BATCH_EVENTS_MAX, QUEUE_EVENTS_MAX, QUEUE_NEW_EVENTS_MAX, RETRY_DELAY, WRITE_DELAY,
    WRITE_SPACING,
};

/// How long events may wait, and how many. The default is for production.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Shortest time between the starts of two transactions. Default [`WRITE_SPACING`].
    pub spacing: Duration,
    /// Longest wait of an event that is not urgent. Default [`WRITE_DELAY`].
    pub delay: Duration,
    /// Time until a failed transaction is tried again. Default [`RETRY_DELAY`].
    pub retry: Duration,
    /// Most events in one transaction. Default [`BATCH_EVENTS_MAX`].
    pub batch_events_max: usize,
    /// Bound of the queue for urgent events. Default [`QUEUE_NEW_EVENTS_MAX`].
    pub queue_new_events_max: usize,
    /// Bound of the queue. Default [`QUEUE_EVENTS_MAX`].
    pub queue_events_max: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            spacing: WRITE_SPACING,
            delay: WRITE_DELAY,
            retry: RETRY_DELAY,
            batch_events_max: BATCH_EVENTS_MAX,
            queue_new_events_max: QUEUE_NEW_EVENTS_MAX,
            queue_events_max: QUEUE_EVENTS_MAX,
        }
    }
}

/// What a group commit is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Events to be written together. Answered once, by [`Output::Committed`] through this or a
    /// later `seq`, or by [`Output::Refused`].
    Append {
        /// Names the append; each is greater than the one before.
        seq: u64,
        /// At least one, at most [`Pace::batch_events_max`].
        events: Vec<CallEvent>,
        /// Somebody waits for it: the first event of a call, whose 200 OK follows.
        urgent: bool,
    },
    /// Write what is queued as soon as the writer is free: the node is stopping.
    Flush,
    /// The last [`Output::Write`] is committed.
    Committed,
    /// The last [`Output::Write`] failed and left nothing behind.
    Failed,
    /// [`GroupCommit::deadline`] has passed.
    Timeout,
}

/// What a group commit asks for or reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Commit these in one transaction, then tell [`Input::Committed`] or [`Input::Failed`].
    Write(Arc<[CallEvent]>),
    /// Every append with this `seq` or a lower one that was not refused is committed.
    Committed {
        /// The last of them.
        through: u64,
    },
    /// The append was dropped: the queue is full, or the store is failing and the append urgent.
    /// A new call is answered with 503.
    Refused {
        /// Which.
        seq: u64,
    },
}

/// Whether the writer is busy.
///
/// | state | append | `Committed` | `Failed` | due or `Timeout` |
/// |---|---|---|---|---|
/// | `Idle` | queued | bug | bug | `Write` -> `Writing` |
/// | `Writing` | queued | `Committed` -> `Idle` | -> `Failing` | |
/// | `Failing` | queued; urgent refused | bug | bug | `Write` -> `Writing` |
#[derive(Debug)]
enum State {
    Idle,
    Writing {
        batch: Batch,
        /// It has failed before.
        again: bool,
    },
    Failing {
        batch: Batch,
        retry_at: Mono,
    },
}

/// Events being written, kept until they are committed.
#[derive(Clone, Debug)]
struct Batch {
    events: Arc<[CallEvent]>,
    through: u64,
}

/// An append that waits.
#[derive(Debug)]
struct Waiting {
    seq: u64,
    events: Vec<CallEvent>,
    urgent: bool,
    /// When it must be written at the latest.
    due: Mono,
}

/// Collects events into transactions. A machine: it sees no clock and no database.
///
/// Appends are committed in their order, each whole. An urgent one is written at once if the last
/// transaction began at least [`Pace::spacing`] ago, otherwise then; the others when an urgent one
/// is, when the oldest has waited for [`Pace::delay`], or when they fill a transaction. While one
/// is being written the next one gathers.
///
/// A failed transaction is kept and tried again until it succeeds; meanwhile urgent appends are
/// refused, the others wait.
#[derive(Debug)]
pub struct GroupCommit {
    pace: Pace,
    state: State,
    queue: VecDeque<Waiting>,
    /// Events in `queue`.
    queued: usize,
    /// Urgent appends in `queue`.
    urgent: usize,
    /// What was queued at the last flush is not yet all taken.
    flush: bool,
    last_seq: Option<u64>,
    /// The next transaction does not begin earlier, unless it is full.
    not_before: Mono,
    out: VecDeque<Output>,
}

impl GroupCommit {
    /// An idle one.
    pub fn new(pace: Pace) -> Self {
        assert!(
            pace.batch_events_max > 0,
            "a transaction holds at least one event"
        );
        assert!(
            pace.queue_new_events_max <= pace.queue_events_max,
            "urgent appends yield first"
        );
        Self {
            pace,
            state: State::Idle,
            queue: VecDeque::new(),
            queued: 0,
            urgent: 0,
            flush: false,
            last_seq: None,
            not_before: Mono::default(),
            out: VecDeque::new(),
        }
    }

    /// Feeds one input. The caller drains `poll` to `None` before the next call.
    ///
    /// # Panics
    ///
    /// On a `seq` that does not increase, an append that is empty or larger than a transaction,
    /// and `Committed` or `Failed` when nothing is being written.
    pub fn handle(&mut self, now: Now, input: Input) {
        debug_assert!(
            self.out.is_empty(),
            "the caller drains poll before the next input"
        );
        match input {
            Input::Append {
                seq,
                events,
                urgent,
            } => self.append(now.mono, seq, events, urgent),
            Input::Flush => self.flush(now.mono),
            Input::Committed => self.committed(),
            Input::Failed => self.failed(now.mono),
            Input::Timeout => {}
        }
        self.write_if_due(now.mono);
    }

    /// The next thing to do, or `None` until [`GroupCommit::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When `Input::Timeout` is next due.
    pub fn deadline(&self) -> Option<Mono> {
        match &self.state {
            State::Idle => self.due(),
            State::Writing { .. } => None,
            State::Failing { retry_at, .. } => Some(*retry_at),
        }
    }

    /// Nothing waits and nothing is being written.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && matches!(self.state, State::Idle)
    }

    /// The last transaction failed and has not succeeded since.
    pub fn is_failing(&self) -> bool {
        matches!(
            self.state,
            State::Failing { .. } | State::Writing { again: true, .. }
        )
    }

    /// Events waiting or being written, for metrics.
    pub fn depth(&self) -> usize {
        let writing = match &self.state {
            State::Idle => 0,
            State::Writing { batch, .. } | State::Failing { batch, .. } => batch.events.len(),
        };
        self.queued + writing
    }

    fn append(&mut self, now: Mono, seq: u64, events: Vec<CallEvent>, urgent: bool) {
        assert!(self.last_seq.is_none_or(|last| seq > last), "seq increases");
        assert!(!events.is_empty(), "an append has events");
        assert!(
            events.len() <= self.pace.batch_events_max,
            "an append fits into a transaction"
        );
        self.last_seq = Some(seq);
        let max = if urgent {
            self.pace.queue_new_events_max
        } else {
            self.pace.queue_events_max
        };
        if self.depth() + events.len() > max || (urgent && self.is_failing()) {
            self.out.push_back(Output::Refused { seq });
            return;
        }
        self.queued += events.len();
        self.urgent += usize::from(urgent);
        let due = if urgent { now } else { now + self.pace.delay };
        self.queue.push_back(Waiting {
            seq,
            events,
            urgent,
            due,
        });
    }

    fn flush(&mut self, now: Mono) {
        self.flush = !self.queue.is_empty();
        if let State::Failing { retry_at, .. } = &mut self.state {
            *retry_at = now;
        }
    }

    fn committed(&mut self) {
        let State::Writing { batch, .. } = &self.state else {
            panic!("committed while nothing is being written");
        };
        self.out.push_back(Output::Committed {
            through: batch.through,
        });
        self.state = State::Idle;
    }

    fn failed(&mut self, now: Mono) {
        let State::Writing { batch, .. } = &self.state else {
            panic!("failed while nothing is being written");
        };
        self.state = State::Failing {
            batch: batch.clone(),
            retry_at: now + self.pace.retry,
        };
    }

    /// When the next transaction should begin, with a free writer.
    fn due(&self) -> Option<Mono> {
        let oldest = self.queue.front()?;
        if self.queued >= self.pace.batch_events_max || self.flush {
            return Some(Mono::default());
        }
        // An urgent append behind others is due before the oldest.
        let due = if self.urgent > 0 {
            Mono::default()
        } else {
            oldest.due
        };
        Some(due.max(self.not_before))
    }

    fn write_if_due(&mut self, now: Mono) {
        let (batch, again) = match &self.state {
            State::Writing { .. } => return,
            State::Failing { retry_at, .. } if now < *retry_at => return,
            State::Failing { batch, .. } => (batch.clone(), true),
            State::Idle => match self.due() {
                Some(due) if due <= now => (self.gather(), false),
                Some(_) | None => return,
            },
        };
        self.out.push_back(Output::Write(Arc::clone(&batch.events)));
        self.state = State::Writing { batch, again };
        self.not_before = now + self.pace.spacing;
        self.flush &= !self.queue.is_empty();
    }

    /// Takes as many whole appends off the queue as fit into a transaction.
    fn gather(&mut self) -> Batch {
        let mut events = Vec::with_capacity(self.queued.min(self.pace.batch_events_max));
        let mut through = None;
        while let Some(next) = self.queue.front() {
            if events.len() + next.events.len() > self.pace.batch_events_max {
                break;
            }
            let next = self.queue.pop_front().expect("the queue has a front");
            self.queued -= next.events.len();
            self.urgent -= usize::from(next.urgent);
            events.extend(next.events);
            through = Some(next.seq);
        }
        let through = through.expect("every append fits into a transaction");
        Batch {
            events: events.into(),
            through,
        }
    }
}
