//! The archive of recordings: what is finished is hashed, coded, encrypted, entered in the index,
//! uploaded, found again, held, and in the end deleted.
//!
//! | Part | Does |
//! |---|---|
//! | [`finish`] | a thread that takes what the recorder has written to its end |
//! | [`keeper`] | a task that uploads, forgets files that are stored elsewhere, and deletes what is old |
//! | [`uploads`] | a machine: when what is uploaded |
//! | [`open`] | audio as it is asked for, wherever it is and however it is kept |
//! | [`sealed`] | encrypted files |
//!
//! The index is in the store; its row says where a recording is. The files are the truth of the audio,
//! and a step that was interrupted is done again: nothing is removed before what takes its place is
//! on the disk.

mod finish;
mod keeper;
mod names;
mod open;
mod policy;
mod remote;
mod sealed;
mod uploads;
mod wav;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use store::{Kept, Store};
use tokio::sync::{Notify, Semaphore};
use vocab::RecordingId;

use crate::clock::Clock;

pub(crate) use finish::Written;
pub(crate) use names::{about, live, live_folder, plain};
pub(crate) use open::Source;
pub(crate) use policy::{Policies, Policy};
pub(crate) use remote::Setup as Remote;
#[cfg(test)]
pub(crate) use sealed::Sealer;
pub(crate) use sealed::{Key, Keys, Unsealed};
pub(crate) use wav::Bytes;

/// Finished recordings that may wait for the thread. The recorder keeps more.
const WAITING_MAX: usize = 4_096;

/// Recordings fetched from the object store at a time.
const FETCHES_MAX: usize = 4;

/// The archive. Clones share it.
#[derive(Clone)]
pub(crate) struct Archive {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    store: Arc<Store>,
    policies: policy::InForce,
    remote: Option<remote::Remote>,
    clock: Clock,
    counts: Counted,
    /// Something waits for the object store.
    news: Notify,
    /// Something was deleted whose files are still there.
    erase: Notify,
    fetches: Semaphore,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = &self.inner.folder;
        f.debug_struct("Archive")
            .field("folder", folder)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Counted {
    finished: AtomicU64,
    unfinished: AtomicU64,
    gaps: AtomicU64,
    waiting: AtomicU64,
    failed: AtomicU64,
    away: AtomicBool,
}

/// Why it is not known where a recording is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFound {
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] store::Error),
    /// Its file cannot be opened.
    #[error(transparent)]
    File(#[from] io::Error),
}

/// What the archive has to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Recordings that were entered in the index.
    pub finished: u64,
    /// Tries to finish one that failed.
    pub unfinished: u64,
    /// Recordings that miss more than 200 ms.
    pub gaps: u64,
    /// Recordings that wait for the object store.
    pub waiting: u64,
    /// Uploads that failed.
    pub failed: u64,
    /// The object store does not take anything.
    pub away: bool,
}

/// What the archive is given.
pub(crate) struct Setup {
    pub(crate) folder: PathBuf,
    pub(crate) store: Arc<Store>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) remote: Option<Remote>,
    pub(crate) clock: Clock,
}

/// The parts of the archive that run.
pub(crate) struct Running {
    thread: JoinHandle<()>,
    task: tokio::task::JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
}

impl Running {
    /// Ends them; the recorder has ended before.
    pub(crate) async fn stop(self) {
        #[allow(clippy::disallowed_methods)] // The end of a thread is waited for.
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        drop(joined);
        let _ = self.stop.send(());
        drop(self.task.await);
    }
}

impl Archive {
    /// Opens the archive and finishes what the last run left behind. What is finished from now on
    /// is sent to the sender.
    ///
    /// # Errors
    /// When the folder cannot be read, the object store's settings make no sense, or the system gives
    /// no thread.
    pub(crate) async fn start(
        setup: Setup,
    ) -> anyhow::Result<(Self, SyncSender<Written>, Running)> {
        let inner = Arc::new(Inner {
            folder: setup.folder,
            store: setup.store,
            policies: policy::InForce::new(setup.policies),
            remote: setup.remote.as_ref().map(remote::Remote::new).transpose()?,
            clock: setup.clock,
            counts: Counted::default(),
            news: Notify::new(),
            erase: Notify::new(),
            fetches: Semaphore::new(FETCHES_MAX),
        });
        let left_over = finish::left_over(&inner).await?;
        let recordings = left_over.written.len() + left_over.unread.len();
        if recordings > 0 {
            tracing::info!(recordings, "finishing recordings that the last run left");
        }
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let finisher = finish::Finisher::new(Arc::clone(&inner), left_over);
        #[allow(clippy::disallowed_methods)] // The thread of the archive.
        let thread = std::thread::Builder::new()
            .name("archive".to_owned())
            .spawn(move || finisher.run(&receiver))?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        #[allow(clippy::disallowed_methods)] // The shell's own task.
        let task = tokio::spawn(keeper::run(Arc::clone(&inner), stopped));
        let archive = Self { inner };
        Ok((archive, sender, Running { thread, task, stop }))
    }

    /// Policies of a changed configuration.
    pub(crate) fn set_policies(&self, policies: Arc<Policies>) {
        self.inner.policies.set(policies);
    }

    /// Something was deleted: its files are to go.
    pub(crate) fn erase(&self) {
        self.inner.erase.notify_one();
    }

    /// What there is to tell.
    pub(crate) fn counts(&self) -> Counts {
        let counts = &self.inner.counts;
        Counts {
            finished: counts.finished.load(Ordering::Relaxed),
            unfinished: counts.unfinished.load(Ordering::Relaxed),
            gaps: counts.gaps.load(Ordering::Relaxed),
            waiting: counts.waiting.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            away: counts.away.load(Ordering::Relaxed),
        }
    }

    /// Deletes what is old enough, as is done now and then.
    #[cfg(test)]
    pub(crate) async fn sweep(&self) {
        keeper::sweep(&self.inner).await;
    }

    /// Where the audio of a recording is; `None` if there is none, or it was deleted.
    ///
    /// # Errors
    /// When the index cannot be read, or a file cannot be opened.
    pub(crate) async fn find(&self, id: RecordingId) -> Result<Option<Source>, NotFound> {
        let folder = &self.inner.folder;
        if let Some(live) = open::Plain::open(live(folder, id))? {
            return Ok(Some(Source::Live(live)));
        }
        // Its row is written before the live file is removed.
        if let Some(kept) = self.inner.store.segment(id).await? {
            return Ok(self.source(kept));
        }
        // One of a release before the index.
        let plain = open::Plain::open(plain(folder, id))?;
        Ok(plain.map(Source::Live))
    }

    fn source(&self, kept: Kept) -> Option<Source> {
        let there = kept.deleted.is_none() && (kept.local || kept.stored_at.is_some());
        there.then(|| Source::Kept(Box::new(kept)))
    }

    /// Opens what was found: a WAV file, whatever it is kept as.
    ///
    /// # Errors
    /// When it cannot be read; `PermissionDenied` if its key is not configured.
    pub(crate) async fn open(&self, source: &Source) -> io::Result<Box<dyn Bytes>> {
        open::wav(&self.inner, source).await
    }

    /// Opens the file as it is coded, decrypted.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub(crate) async fn open_coded(&self, source: &Source) -> io::Result<Box<dyn Bytes>> {
        open::coded(&self.inner, source).await
    }

    /// Reads a recording through and compares it with what the index says of it: its hash now, and
    /// whether it is the same.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub(crate) async fn verify(&self, kept: &Kept) -> io::Result<(store::Sha256, bool)> {
        let file = self
            .open_coded(&Source::Kept(Box::new(kept.clone())))
            .await?;
        #[allow(clippy::disallowed_methods)] // The shell's own task.
        let hashed = tokio::task::spawn_blocking(move || finish::hash_of(file)).await;
        let (bytes, sha256) = hashed.map_err(io::Error::other)??;
        let same = bytes == kept.segment.bytes && sha256 == kept.segment.sha256;
        Ok((sha256, same))
    }
}
