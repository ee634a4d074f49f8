//! The store's task: groups events into transactions and tells the control thread what is on disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use store::{GroupCommit, Input, Output, Pace, Store};
use tokio::sync::mpsc;
use vocab::record::CallEvent;

use crate::clock::Clock;
use crate::control::{Handle, Message};

/// Batches that may wait for the task. The queue behind it has its own bound and refusals; this
/// one only has to hold what arrives during one transaction.
const WAITING_MAX: usize = 1 << 16;

struct Append {
    seq: u64,
    events: Vec<CallEvent>,
    urgent: bool,
}

/// How the control thread reaches the task.
#[derive(Clone)]
pub(crate) struct Writer {
    sender: mpsc::Sender<Append>,
    control: Handle,
    depth: Arc<AtomicUsize>,
}

impl Writer {
    /// Hands events over. Answered by `Committed` or `Refused` on the control thread.
    pub(crate) fn append(&self, seq: u64, events: Vec<CallEvent>, urgent: bool) {
        if self
            .sender
            .try_send(Append {
                seq,
                events,
                urgent,
            })
            .is_err()
        {
            // The control thread calls this: its own mailbox must not make it wait.
            drop(self.control.try_send(Message::Refused { seq }));
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
pub(crate) async fn open(
    path: PathBuf,
    clock: Clock,
) -> anyhow::Result<(Store, Vec<vocab::CallId>)> {
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

/// Starts the task on the current runtime. It ends, with everything written, when `stop` is told.
pub(crate) fn start(
    store: Arc<Store>,
    clock: Clock,
    control: Handle,
    stop: tokio::sync::oneshot::Receiver<()>,
) -> (Writer, tokio::task::JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let depth = Arc::new(AtomicUsize::new(0));
    let task = Task {
        store,
        clock,
        control: control.clone(),
        depth: Arc::clone(&depth),
        group: GroupCommit::new(Pace::default()),
        failing: false,
    };
    #[allow(clippy::disallowed_methods)] // The shell's own task.
    let task = tokio::spawn(task.run(receiver, stop));
    (
        Writer {
            sender,
            control,
            depth,
        },
        task,
    )
}

struct Task {
    store: Arc<Store>,
    clock: Clock,
    control: Handle,
    depth: Arc<AtomicUsize>,
    group: GroupCommit,
    failing: bool,
}

impl Task {
    async fn run(
        mut self,
        mut receiver: mpsc::Receiver<Append>,
        mut stop: tokio::sync::oneshot::Receiver<()>,
    ) {
        let mut stopping = false;
        loop {
            if !stopping {
                let wait = match self.group.deadline() {
                    Some(at) => self.clock.until(at),
                    None => Duration::from_secs(3_600),
                };
                tokio::select! {
                    biased;
                    append = receiver.recv() => match append {
                        Some(append) => self.append(append).await,
                        None => stopping = true,
                    },
                    _ = &mut stop => stopping = true,
                    () = sleep(wait) => {}
                }
            }
            // Everything that came meanwhile goes into the same transaction.
            while let Ok(append) = receiver.try_recv() {
                self.append(append).await;
            }
            let due = self
                .group
                .deadline()
                .is_some_and(|at| at <= self.clock.now().mono);
            if stopping {
                self.feed(Input::Flush).await;
            } else if due {
                self.feed(Input::Timeout).await;
            }
            self.depth.store(self.group.depth(), Ordering::Relaxed);
            if stopping && receiver.is_empty() {
                if !self.group.is_idle() {
                    tracing::error!(events = self.group.depth(), "events were not written");
                }
                return;
            }
        }
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
        self.group.handle(self.clock.now(), input);
        loop {
            let mut write = None;
            while let Some(output) = self.group.poll() {
                match output {
                    Output::Write(batch) => write = Some(batch),
                    Output::Committed { through } => {
                        self.control.send(Message::Committed { through });
                    }
                    Output::Refused { seq } => self.control.send(Message::Refused { seq }),
                }
            }
            let Some(batch) = write else { return };
            let result = self.store.append(&batch).await;
            let next = match result {
                Ok(appended) => {
                    for misplaced in appended.misplaced {
                        tracing::error!(
                            call.id = %misplaced.call, n = misplaced.n, why = ?misplaced.why,
                            "an event did not fit its call: this is a bug"
                        );
                    }
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("the store takes events again");
                    }
                    Input::Committed
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::error!(
                            %error,
                            "call events cannot be written, new calls get 503: free space, or mend \
                             the data folder"
                        );
                    }
                    Input::Failed
                }
            };
            self.group.handle(self.clock.now(), next);
        }
    }
}

#[allow(clippy::disallowed_methods)] // The shell's own wait.
async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}
