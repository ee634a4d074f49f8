//! Speech synthesis: an engine over the network, if there is one, and `espeak-ng` as a subprocess; results
//! are kept by content, in memory and, what was wanted twice, on the disk.
//!
//! A caller always hears something: what the engine does not say in time the command says, and an engine
//! that fails is left alone for a while.

// Tasks are what this file is for.
#![allow(clippy::disallowed_methods)]

mod breaker;
mod command;
mod disk;
mod remote;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use media::wav;
use node::SpeechId;
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use vocab::{Clip, Pii};

use crate::clock::Clock;
use crate::control::{Handle, Message};
use crate::metrics::Metrics;

use breaker::{Breaker, Change};
use disk::Disk;
use remote::Remote;

pub(crate) use remote::Setup as RemoteSetup;

/// Subprocesses at once: one takes some 20 ms of a core for a long sentence.
const PROCESSES_MAX: usize = 2;

/// Requests to the engine at once. Beyond it the command speaks.
const REQUESTS_MAX: usize = 64;

/// Requests that may wait; a further one is refused, its flow hears `unavailable`.
const WAITING_MAX: usize = 256;

/// Longest run of the subprocess. The node gives up after five seconds.
const LONGEST: Duration = Duration::from_secs(4);

/// Longest time for both together, so that the command has its turn before the node gives up.
const ALTOGETHER: Duration = Duration::from_millis(4_800);

/// Samples kept of earlier results: 64 MB, some hour of speech.
const KEPT_SAMPLES_MAX: usize = 32 << 20;

/// Texts that are remembered as wanted once, by their hashes.
const SEEN_MAX: usize = 10_000;

/// What the speaker is given.
pub(crate) struct Setup {
    /// The program, called as espeak-ng is; without it only the engine speaks.
    pub(crate) command: Option<PathBuf>,
    /// The engine.
    pub(crate) remote: Option<RemoteSetup>,
    /// Who vouches for the engine.
    pub(crate) tls: Arc<ClientConfig>,
    /// Where speech is kept, and how many bytes; none if that is 0.
    pub(crate) folder: PathBuf,
    pub(crate) bytes_max: u64,
    pub(crate) clock: Clock,
    pub(crate) control: Handle,
    pub(crate) metrics: Arc<Metrics>,
}

/// Makes speech. Clones share the cache.
#[derive(Clone)]
pub(crate) struct Speaker {
    inner: Arc<Inner>,
    runtime: tokio::runtime::Handle,
}

struct Inner {
    command: Option<PathBuf>,
    remote: Option<Remote>,
    breaker: Mutex<Breaker>,
    disk: Option<Disk>,
    clock: Clock,
    control: Handle,
    metrics: Arc<Metrics>,
    requests: Semaphore,
    processes: Semaphore,
    waiting: Semaphore,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    clips: BTreeMap<String, Clip>,
    order: VecDeque<String>,
    samples: usize,
    /// What was wanted once, oldest first.
    seen: BTreeSet<String>,
    seen_order: VecDeque<String>,
}

impl Speaker {
    /// A speaker; without command and engine every request is refused.
    ///
    /// # Errors
    /// When the engine's settings make no sense.
    pub(crate) fn new(setup: Setup) -> Result<Self, String> {
        let tls = setup.tls;
        let remote = setup.remote.map(|remote| Remote::new(remote, tls));
        let inner = Inner {
            command: setup.command,
            remote: remote.transpose()?,
            breaker: Mutex::default(),
            disk: (setup.bytes_max > 0).then(|| Disk::new(setup.folder, setup.bytes_max)),
            clock: setup.clock,
            control: setup.control,
            metrics: setup.metrics,
            requests: Semaphore::new(REQUESTS_MAX),
            processes: Semaphore::new(PROCESSES_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            kept: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
            runtime: tokio::runtime::Handle::current(),
        })
    }

    /// One that says nothing.
    #[cfg(test)]
    pub(crate) fn silent(control: Handle) -> Self {
        let setup = Setup {
            command: None,
            remote: None,
            tls: crate::net::tls::Tls::load(&crate::net::tls::Setup::default())
                .expect("nothing to load")
                .client(),
            folder: PathBuf::new(),
            bytes_max: 0,
            clock: Clock::start(),
            control,
            metrics: Arc::default(),
        };
        Self::new(setup).expect("nothing to check")
    }

    /// Makes speech of a text. Answered on the control thread.
    pub(crate) fn speak(&self, id: SpeechId, text: Pii<String>, voice: String) {
        let inner = Arc::clone(&self.inner);
        self.runtime.spawn(async move {
            let speech = inner.speech(text.reveal(), &voice);
            let spoken = tokio::time::timeout(ALTOGETHER, speech).await;
            let late = |_| Err("speech synthesis took too long".to_owned());
            let result = spoken.unwrap_or_else(late);
            inner.control.send(Message::Spoken { id, result });
        });
    }
}

impl Inner {
    async fn speech(self: &Arc<Self>, text: &str, voice: &str) -> Result<Clip, String> {
        // What the engine says is kept as its own: what the command said in its place is not.
        let engine = self.remote.as_ref().map_or_else(String::new, Remote::name);
        let name = disk::name(&engine, voice, text);
        if let Some(clip) = self.known(&name).await {
            return Ok(clip);
        }
        if self.command.is_none() && self.remote.is_none() {
            return Err("speech synthesis is off: install espeak-ng, or record the prompt".into());
        }
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| "too much speech at once".to_owned())?;
        if let Some(remote) = &self.remote {
            match self.by_remote(remote, text, voice).await {
                Ok(samples) => {
                    let clip = Clip::new("speech", samples);
                    self.keep(name, &clip);
                    return Ok(clip);
                }
                Err(why) if self.command.is_none() => return Err(why),
                Err(_) => {}
            }
        }
        let own = disk::name("", voice, text);
        if engine.is_empty() {
            // It has the same name.
        } else if let Some(clip) = self.known(&own).await {
            return Ok(clip);
        }
        let samples = self.by_command(text, voice).await;
        let result = if samples.is_ok() { "ok" } else { "failed" };
        self.metrics.spoken("command", result);
        let clip = Clip::new("speech", samples?);
        self.keep(own, &clip);
        Ok(clip)
    }

    /// What was said before, from memory or from the disk.
    async fn known(self: &Arc<Self>, name: &str) -> Option<Clip> {
        let known = self.lock().clips.get(name).cloned();
        if let Some(clip) = known {
            // It is wanted again: from now on it is on the disk, too.
            self.write(name.to_owned(), clip.clone());
            return Some(clip);
        }
        self.disk.as_ref()?;
        let (inner, wanted) = (Arc::clone(self), name.to_owned());
        let read = tokio::task::spawn_blocking(move || inner.disk.as_ref()?.read(&wanted));
        let clip = Clip::new("speech", read.await.ok()??);
        let mut kept = self.lock();
        kept.see(name);
        kept.keep(name.to_owned(), clip.clone());
        Some(clip)
    }

    /// Keeps what was said; on the disk if it was wanted before.
    fn keep(self: &Arc<Self>, name: String, clip: &Clip) {
        let mut kept = self.lock();
        let again = kept.see(&name);
        kept.keep(name.clone(), clip.clone());
        drop(kept);
        if again {
            self.write(name, clip.clone());
        }
    }

    fn write(self: &Arc<Self>, name: String, clip: Clip) {
        if self.disk.is_none() {
            return;
        }
        let inner = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let Some(disk) = &inner.disk else { return };
            if let Err(error) = disk.write(&name, &clip.samples) {
                tracing::warn!(%error, "speech is not kept on the disk");
            }
        });
    }

    async fn by_remote(
        &self,
        remote: &Remote,
        text: &str,
        voice: &str,
    ) -> Result<Vec<i16>, String> {
        let Ok(_turn) = self.requests.try_acquire() else {
            self.metrics.spoken("remote", "busy");
            return Err("too much speech at once".to_owned());
        };
        if !self.breaker().admits(self.clock.now().mono) {
            self.metrics.spoken("remote", "resting");
            return Err("the speech engine does not answer".to_owned());
        }
        let spoken = remote.speak(text, voice).await;
        let now = self.clock.now().mono;
        let (result, change) = match &spoken {
            Ok(_) => ("ok", self.breaker().succeeded()),
            Err(_) => ("failed", self.breaker().failed(now)),
        };
        self.metrics.spoken("remote", result);
        match (change, &spoken) {
            (Some(Change::Rests(_)), Err(why)) => tracing::warn!(
                why,
                "the speech engine fails: the command of [speech] speaks in its place"
            ),
            (Some(Change::Recovered), _) => tracing::info!("the speech engine speaks again"),
            (Some(Change::Rests(_)) | None, _) => {}
        }
        spoken
    }

    async fn by_command(&self, text: &str, voice: &str) -> Result<Vec<i16>, String> {
        let Some(command) = &self.command else {
            return Err("speech synthesis is off: install espeak-ng, or record the prompt".into());
        };
        let _turn = self
            .processes
            .acquire()
            .await
            .map_err(|_| "stopping".to_owned())?;
        let run = command::run(command, text, voice);
        let bytes = tokio::time::timeout(LONGEST, run)
            .await
            .map_err(|_| "speech synthesis took too long".to_owned())??;
        wav::read(&bytes).map_err(|error| format!("espeak-ng's audio: {error}"))
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Remembers that this was wanted; tells whether it was before.
    fn see(&mut self, name: &str) -> bool {
        if !self.seen.insert(name.to_owned()) {
            return true;
        }
        self.seen_order.push_back(name.to_owned());
        if self.seen_order.len() > SEEN_MAX
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        false
    }

    fn keep(&mut self, key: String, clip: Clip) {
        self.samples += clip.samples.len();
        if let Some(old) = self.clips.insert(key.clone(), clip) {
            self.samples -= old.samples.len();
            return;
        }
        self.order.push_back(key);
        while self.samples > KEPT_SAMPLES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(clip) = self.clips.remove(&oldest) {
                self.samples -= clip.samples.len();
            }
        }
    }
}

#[cfg(test)]
mod tests;
