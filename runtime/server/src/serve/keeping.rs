//! What keeps calls and tells of them: the store, the recordings, the traces and the feed, with their threads.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use store::Store;
use tokio::sync::oneshot;
use vocab::RecordingId;
use vocab::record::CallEventKind;

use super::join;
use crate::archive::{self, Archive};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Handle;
use crate::disk::Disk;
use crate::feed::Feed;
use crate::recorder::{self, Recorder};
use crate::store_task::{self, Writer};
use crate::trace::{self, Tap, Traces};

/// All of it, running.
pub(super) struct Keeping {
    pub(super) disk: Arc<Disk>,
    pub(super) store: Arc<Store>,
    pub(super) writer: Writer,
    pub(super) archive: Archive,
    pub(super) recorder: Recorder,
    pub(super) traces: Traces,
    pub(super) feed: Arc<Feed>,
    stop_store: oneshot::Sender<()>,
    stop_trace: trace::Stop,
    store_thread: JoinHandle<()>,
    recorder_thread: JoinHandle<()>,
    archiving: archive::Running,
    trace_thread: JoinHandle<()>,
}

impl Keeping {
    /// Opens everything and starts the threads; the tap is for the control thread.
    ///
    /// # Errors
    /// In one line, with what to do.
    pub(super) async fn start(
        config: &Config,
        clock: Clock,
        control: &Handle,
    ) -> anyhow::Result<(Self, Tap)> {
        let recordings = config.data_dir.join("recordings");
        let store = open_store(config, clock, &recordings).await?;
        let setup = archive::Setup {
            folder: recordings.clone(),
            store: Arc::clone(&store),
            policies: Arc::clone(&config.policies),
            remote: config.recordings.clone(),
            clock,
        };
        let (archive, finished, archiving) = Archive::start(setup)
            .await
            .context("opening the archive of recordings")?;
        let (stop_store, stopped) = oneshot::channel();
        let disk = Arc::new(Disk::new(config.data_dir.clone()));
        let feed = Arc::new(Feed::new(clock.now().wall));
        let setup = store_task::Setup {
            store: Arc::clone(&store),
            clock,
            control: control.clone(),
            disk: Arc::clone(&disk),
            feed: Arc::clone(&feed),
            traces: store_task::Keeping {
                age: config.trace.keep,
                bytes_max: config.trace.keep_bytes,
            },
        };
        let (writer, store_thread) = store_task::start(setup, stopped)?;
        let (recorder, recorder_thread) =
            Recorder::start(recordings, Arc::clone(&disk), control.clone(), finished)
                .context("making the recordings' folder")?;
        let (tap, traces, stop_trace, trace_thread) =
            trace::start(trace_setup(config, clock, writer.clone()))
                .context("opening a socket for the HEP collector under [sip.hep]")?;
        let keeping = Self {
            disk,
            store,
            writer,
            archive,
            recorder,
            traces,
            feed,
            stop_store,
            stop_trace,
            store_thread,
            recorder_thread,
            archiving,
            trace_thread,
        };
        Ok((keeping, tap))
    }

    /// Writes the rest and closes everything; all that the node has to say was said.
    ///
    /// # Errors
    /// If the store cannot be closed.
    pub(super) async fn stop<T>(self, web: tokio::task::JoinHandle<T>) -> anyhow::Result<()> {
        self.recorder.stop();
        join(self.recorder_thread).await;
        self.archiving.stop().await;
        // What the calls have said is packed, and then with the store, too.
        self.stop_trace.stop();
        join(self.trace_thread).await;
        // Everything the node has said is with the store now: let it finish writing.
        let _ = self.stop_store.send(());
        join(self.store_thread).await;
        web.abort();
        drop(web.await);
        // Requests that are still being answered keep it open; dropping it is safe too.
        if let Ok(store) = Arc::try_unwrap(self.store) {
            store.close().await?;
        }
        Ok(())
    }
}

async fn open_store(
    config: &Config,
    clock: Clock,
    recordings: &Path,
) -> anyhow::Result<Arc<Store>> {
    let path = config.data_dir.join("jackfield.db");
    let (store, closed) = store_task::open(path, clock).await?;
    for call in closed {
        // A release before the index left what was interrupted at its place.
        let events = store.events(call).await?;
        let segments = events.iter().filter_map(|event| {
            let CallEventKind::SegmentStarted { recording, .. } = &event.kind else {
                return None;
            };
            Some(*recording)
        });
        let whole = RecordingId::of_call(call);
        for id in segments.chain([whole]) {
            if let Err(error) = recorder::repair(&archive::plain(recordings, id)) {
                tracing::warn!(%error, recording = %id, "an interrupted recording was not mended");
            }
        }
    }
    Ok(Arc::new(store))
}

/// What the thread of the traces is given.
fn trace_setup(config: &Config, clock: Clock, writer: Writer) -> trace::Setup {
    let at = |port| std::net::SocketAddr::new(config.sip.advertise, port);
    let hep = config.trace.hep.as_ref().map(|hep| trace::Hep {
        to: hep.to,
        marks: trace::Marks {
            capture_id: hep.capture_id,
            key: hep.key.clone(),
        },
    });
    trace::Setup {
        clock,
        locals: trace::Locals {
            udp: at(config.sip.udp.port()),
            tcp: at(config.sip.tcp.port()),
        },
        writer,
        on: config.trace.enabled,
        keep: !config.trace.keep.is_zero(),
        hep,
    }
}
