//! The store's thread: groups events into transactions and tells the control thread what is on
//! disk.

// A thread of its own, with its own waits, is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use store::limits::TRACES_MAX;
use store::{GroupCommit, Input, Output, Pace, Retention, Store};
use tokio::sync::{Notify, oneshot};
use vocab::record::CallEvent;
use vocab::{CallId, Mono, Wall};

use crate::clock::Clock;
use crate::control::{Handle, Message};
use crate::disk::{Disk, Part, Trouble};
use crate::feed::{Committed, Feed, News};

/// Batches that may wait for the thread. The queue behind it has its own bound and refusals; this
/// one only has to hold what arrives during one transaction.
const WAITING_MAX: usize = 1 << 16;

struct Append {
    seq: u64,
    events: Vec<CallEvent>,
    urgent: bool,
}

/// Bytes of traces that may wait: some thousand calls. What comes then is not kept.
const TRACE_BYTES_MAX: usize = 16 << 20;

/// How often old traces are forgotten when no new ones come.
const FORGET: Duration = Duration::from_secs(3_600);

/// The signalling of a call that is over.
pub(crate) struct Trace {
    pub(crate) call: CallId,
    /// Packed.
    pub(crate) blob: Arc<[u8]>,
    /// Told whether it is in the database, once that is known.
    pub(crate) settled: Box<dyn FnOnce(bool) + Send>,
}

/// What waits for the thread.
#[derive(Default)]
struct Waiting {
    appends: Mutex<Appends>,
    news: Notify,
}

#[derive(Default)]
struct Appends {
    queue: Vec<Append>,
    traces: VecDeque<Trace>,
    trace_bytes: usize,
    /// The thread sleeps and has nothing in hand for which it would wake by itself.
    idle: bool,
    /// The thread has ended: nothing is taken any more.
    closed: bool,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Appends> {
        self.appends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an append in line, unless the line is full or closed. The thread is woken only if somebody waits
    /// for the append, or if it would not look before long: a call makes some ten of them, and each
    /// wake-up costs more than what is written.
    fn put(&self, append: Append) -> Result<(), Append> {
        let mut appends = self.lock();
        if appends.closed || appends.queue.len() >= WAITING_MAX {
            return Err(append);
        }
        let wake = append.urgent || appends.idle;
        appends.queue.push(append);
        drop(appends);
        if wake {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Puts a trace in line behind all events, unless too much is there.
    fn put_trace(&self, trace: Trace) -> Result<(), Trace> {
        let mut appends = self.lock();
        let bytes = appends.trace_bytes + trace.blob.len();
        if appends.closed || bytes > TRACE_BYTES_MAX || appends.traces.len() >= WAITING_MAX {
            return Err(trace);
        }
        appends.trace_bytes = bytes;
        appends.traces.push_back(trace);
        let wake = appends.idle;
        drop(appends);
        if wake {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Takes a batch of traces.
    fn take_traces(&self) -> Vec<Trace> {
        let mut appends = self.lock();
        let count = appends.traces.len().min(TRACES_MAX);
        let traces: Vec<_> = appends.traces.drain(..count).collect();
        appends.trace_bytes -= traces.iter().map(|trace| trace.blob.len()).sum::<usize>();
        traces
    }

    /// Takes what waits. If nothing does, remembers whether the thread is about to sleep without a
    /// deadline.
    fn take(&self, deadline: bool) -> Vec<Append> {
        let mut appends = self.lock();
        appends.idle = appends.queue.is_empty() && appends.traces.is_empty() && !deadline;
        std::mem::take(&mut appends.queue)
    }
}

/// Closes the line when the thread ends, by a panic too: what comes then is refused at once, and
/// what is still in line is refused here, so that no call waits for an answer that never comes.
struct Closing {
    waiting: Arc<Waiting>,
    control: Handle,
    disk: Arc<Disk>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let mut appends = self.waiting.lock();
        appends.closed = true;
        let left = std::mem::take(&mut appends.queue);
        drop(appends);
        if std::thread::panicking() {
            let bug = io::Error::other("the store's thread panicked, this is a bug: start again");
            self.disk.failed(Part::Store, Trouble::Broken, &bug);
        }
        for Append { seq, .. } in left {
            // The control thread may have ended before: nobody empties its mailbox then.
            drop(self.control.try_send(Message::Refused { seq }));
        }
    }
}

/// How the control thread reaches the store's.
#[derive(Clone)]
pub(crate) struct Writer {
    waiting: Arc<Waiting>,
    disk: Arc<Disk>,
    depth: Arc<AtomicUsize>,
}

impl Writer {
    /// Hands events over. Answered by `Committed` or `Refused` on the control thread, unless they
    /// are not taken at all: `false`. The first event of a call, which is urgent, is not taken while
    /// anything cannot be written, its audio included: what is answered is recorded.
    #[must_use]
    pub(crate) fn append(&self, seq: u64, events: Vec<CallEvent>, urgent: bool) -> bool {
        let append = Append {
            seq,
            events,
            urgent,
        };
        !(urgent && self.disk.is_failing()) && self.waiting.put(append).is_ok()
    }

    /// Hands a trace over, to be written when no event is. Given back if too many wait.
    pub(crate) fn keep_trace(&self, trace: Trace) -> Result<(), Trace> {
        self.waiting.put_trace(trace)
    }

    /// One that takes nothing.
    #[cfg(test)]
    pub(crate) fn closed() -> Self {
        let waiting = Waiting::default();
        waiting.lock().closed = true;
        Self {
            waiting: Arc::new(waiting),
            disk: Arc::new(Disk::new(PathBuf::from("data"))),
            depth: Arc::default(),
        }
    }

    /// Events that wait or are being written.
    pub(crate) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }
}

/// Opens the store and closes what the last run left open; tells which calls that were.
///
/// # Errors
/// In one line, with what to do.
pub(crate) async fn open(path: PathBuf, clock: Clock) -> anyhow::Result<(Store, Vec<CallId>)> {
    let store = Store::open(&path, store::Options::default()).await?;
    let closed = store.close_interrupted(clock.now().wall).await?;
    if !closed.is_empty() {
        tracing::warn!(
            calls = closed.len(),
            "closed calls that the last run left open"
        );
    }
    Ok((store, closed))
}

/// What the thread is given.
pub(crate) struct Setup {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    pub(crate) control: Handle,
    pub(crate) disk: Arc<Disk>,
    pub(crate) feed: Arc<Feed>,
    /// How long past calls' traces are kept.
    pub(crate) traces: Keeping,
}

/// How long traces of past calls are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Keeping {
    /// Zero: not at all.
    pub(crate) age: Duration,
    /// Bytes of all of them.
    pub(crate) bytes_max: u64,
}

impl Keeping {
    fn retention(self, now: Wall) -> Retention {
        let age = i64::try_from(self.age.as_micros()).unwrap_or(i64::MAX);
        Retention {
            since: Wall(now.0.saturating_sub(age)),
            bytes_max: self.bytes_max,
        }
    }
}

/// Starts the thread. It ends, with everything written, when `stop` is told or dropped.
///
/// It is a thread with a runtime of its own: a call's answer waits for it, and the threads of the
/// shared runtime would wake each other for every event.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(
    setup: Setup,
    stop: oneshot::Receiver<()>,
) -> io::Result<(Writer, JoinHandle<()>)> {
    let waiting = Arc::new(Waiting::default());
    let depth = Arc::new(AtomicUsize::new(0));
    let writer = Writer {
        waiting: Arc::clone(&waiting),
        disk: Arc::clone(&setup.disk),
        depth: Arc::clone(&depth),
    };
    let closing = Closing {
        waiting,
        control: setup.control.clone(),
        disk: Arc::clone(&setup.disk),
    };
    let task = Task {
        setup,
        depth,
        group: GroupCommit::new(Pace::default()),
        forget_at: Mono(0),
        traces_failing: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let thread = std::thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || runtime.block_on(task.run(&closing.waiting, stop)))?;
    Ok((writer, thread))
}

struct Task {
    setup: Setup,
    depth: Arc<AtomicUsize>,
    group: GroupCommit,
    forget_at: Mono,
    traces_failing: bool,
}

impl Task {
    async fn run(mut self, waiting: &Waiting, mut stop: oneshot::Receiver<()>) {
        let mut stopping = false;
        loop {
            // Everything that came meanwhile goes into the same transaction.
            let appends = waiting.take(self.group.deadline().is_some());
            let mut worked = !appends.is_empty();
            for append in appends {
                self.append(append).await;
            }
            let deadline = self.group.deadline();
            if stopping {
                self.feed(Input::Flush).await;
            } else if deadline.is_some_and(|at| at <= self.setup.clock.now().mono) {
                self.feed(Input::Timeout).await;
                worked = true;
            }
            self.depth.store(self.group.depth(), Ordering::Relaxed);
            // Events go first: nobody waits for a trace.
            if worked || self.keep_traces(waiting).await {
                continue;
            }
            if stopping {
                if !self.group.is_idle() {
                    tracing::error!(events = self.group.depth(), "events were not written");
                }
                return;
            }
            let wait = match self.group.deadline() {
                Some(at) => self.setup.clock.until(at),
                None => FORGET,
            };
            tokio::select! {
                biased;
                _ = &mut stop => stopping = true,
                () = waiting.news.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Writes a batch of traces, and now and then forgets old ones. Tells whether there was any.
    /// One that cannot be written is given up: it is no truth, and the next call has another.
    async fn keep_traces(&mut self, waiting: &Waiting) -> bool {
        let traces = waiting.take_traces();
        let now = self.setup.clock.now();
        if traces.is_empty() && now.mono < self.forget_at {
            return false;
        }
        self.forget_at = now.mono + FORGET;
        let rows: Vec<_> = traces
            .iter()
            .map(|trace| (trace.call, Arc::clone(&trace.blob)))
            .collect();
        let retention = self.setup.traces.retention(now.wall);
        let kept = self.setup.store.keep_traces(&rows, retention).await;
        if let Err(error) = &kept
            && !self.traces_failing
        {
            tracing::warn!(%error, "signalling of past calls is not kept until this is mended");
        }
        self.traces_failing = kept.is_err();
        let worked = !traces.is_empty();
        for trace in traces {
            (trace.settled)(kept.is_ok());
        }
        worked
    }

    async fn append(&mut self, append: Append) {
        let Append {
            seq,
            events,
            urgent,
        } = append;
        self.feed(Input::Append {
            seq,
            events,
            urgent,
        })
        .await;
    }

    /// Feeds the machine and does what it asks for. Messages that arrive during a transaction
    /// wait in the channel, and are the next transaction.
    async fn feed(&mut self, input: Input) {
        self.group.handle(self.setup.clock.now(), input);
        loop {
            let mut write = None;
            while let Some(output) = self.group.poll() {
                match output {
                    Output::Write(batch) => write = Some(batch),
                    Output::Committed { through } => {
                        self.setup.control.send(Message::Committed { through });
                    }
                    Output::Refused { seq } => self.setup.control.send(Message::Refused { seq }),
                }
            }
            let Some(batch) = write else { return };
            let result = self.setup.store.append(&batch).await;
            let next = match result {
                Ok(appended) => {
                    for misplaced in appended.misplaced {
                        tracing::error!(
                            call.id = %misplaced.call, n = misplaced.n, why = ?misplaced.why,
                            "an event did not fit its call: this is a bug"
                        );
                    }
                    self.setup.disk.wrote(Part::Store);
                    self.setup.feed.tell(Committed::all(&batch).map(News::Call));
                    Input::Committed
                }
                Err(error) => {
                    let trouble = Trouble::of_store(&error);
                    self.setup.disk.failed(Part::Store, trouble, &error);
                    Input::Failed
                }
            };
            self.group.handle(self.setup.clock.now(), next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    /// Whether the thread would wake now.
    fn woken(waiting: &Waiting) -> bool {
        pin!(waiting.news.notified()).enable()
    }

    #[test]
    fn the_thread_is_woken_only_when_it_would_not_look_in_time() {
        let waiting = Waiting::default();
        let mut seq = 0;
        let mut put = |urgent| {
            seq += 1;
            let events = Vec::new();
            assert!(
                waiting
                    .put(Append {
                        seq,
                        events,
                        urgent
                    })
                    .is_ok()
            );
            woken(&waiting)
        };
        // It has something in hand, and a time at which it looks again.
        assert!(waiting.take(true).is_empty());
        assert!(!put(false));
        assert!(put(true), "somebody waits for it");
        // It has nothing: whatever comes first wakes it.
        assert_eq!(waiting.take(false).len(), 2);
        assert!(!put(false), "it is awake until it finds nothing");
        assert_eq!(waiting.take(false).len(), 1);
        assert!(waiting.take(false).is_empty());
        assert!(put(false));
    }

    #[test]
    fn a_thread_that_panics_takes_no_more() {
        let anywhere = crate::control::Signalling::anywhere();
        let desk = crate::control::Desk::bind(anywhere).unwrap();
        let waiting = Arc::new(Waiting::default());
        let disk = Arc::new(Disk::new(PathBuf::from("data")));
        let append = |seq| Append {
            seq,
            events: Vec::new(),
            urgent: true,
        };
        assert!(waiting.put(append(1)).is_ok());
        let closing = Closing {
            waiting: Arc::clone(&waiting),
            control: desk.handle(),
            disk: Arc::clone(&disk),
        };
        let thread = std::thread::spawn(move || {
            let _closing = closing;
            panic!("as planned");
        });
        assert!(thread.join().is_err());
        assert!(waiting.put(append(2)).is_err(), "nobody will look");
        assert!(
            waiting.lock().queue.is_empty(),
            "and what waited is refused"
        );
        assert!(disk.is_failing(), "the server is not ready");
    }

    #[test]
    fn no_call_begins_while_its_audio_cannot_be_written() {
        let writer = Writer {
            waiting: Arc::default(),
            disk: Arc::new(Disk::new(PathBuf::from("data"))),
            depth: Arc::default(),
        };
        let full = io::Error::from(io::ErrorKind::StorageFull);
        writer.disk.failed(Part::Recordings, Trouble::Full, &full);
        assert!(!writer.append(1, Vec::new(), true));
        assert!(writer.append(2, Vec::new(), false), "live calls go on");
        writer.disk.wrote(Part::Recordings);
        assert!(writer.append(3, Vec::new(), true));
    }

    #[test]
    fn a_line_that_is_full_or_closed_takes_nothing() {
        let append = |seq| Append {
            seq,
            events: Vec::new(),
            urgent: false,
        };
        let waiting = Waiting::default();
        for n in 0..WAITING_MAX {
            assert!(waiting.put(append(n as u64)).is_ok());
        }
        assert!(waiting.put(append(0)).is_err(), "it is full");
        assert_eq!(waiting.take(false).len(), WAITING_MAX);
        assert!(waiting.put(append(0)).is_ok());
        waiting.lock().closed = true;
        assert!(waiting.put(append(1)).is_err(), "nobody will look");
    }
}
