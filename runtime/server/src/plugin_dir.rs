//! The plugins' folder: what lies there is loaded, and loaded again when it changes.

// A thread of its own and its waits are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, SystemTime};

use node::PluginChange;
use notify::{RecursiveMode, Watcher};
use plugin::{CacheUse, Host};
use sha2::{Digest, Sha256};

use crate::control::{Handle, Message};

/// Changes are collected for this long before files are read: a copy comes as several events.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// The folder is looked through this often even if no event came: not every file system reports.
const SWEEP: Duration = Duration::from_secs(10);

/// Events that may wait; one is enough to look at the whole folder.
const EVENTS_MAX: usize = 64;

/// Watches one folder and loads what is in it.
pub(crate) struct PluginDir {
    dir: PathBuf,
    cache: PathBuf,
    host: Host,
    control: Handle,
    /// By file: what it looked like, and what it held, when it was last read.
    seen: BTreeMap<PathBuf, Seen>,
}

struct Seen {
    modified: Option<SystemTime>,
    bytes: u64,
    sha256: [u8; 32],
    /// The plugin's name, if it was loaded.
    name: Option<Arc<str>>,
}

impl PluginDir {
    /// A watcher that has loaded nothing yet.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub(crate) fn new(
        dir: PathBuf,
        cache: PathBuf,
        host: Host,
        control: Handle,
    ) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        // Compiled code: nobody else may put any there.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&cache)?;
        Ok(Self {
            dir,
            cache,
            host,
            control,
            seen: BTreeMap::new(),
        })
    }

    /// Loads what lies in the folder now. Called once before calls are taken.
    pub(crate) fn load_all(&mut self) {
        let files = match self.files() {
            Ok(files) => files,
            Err(error) => {
                return tracing::error!(%error, dir = %self.dir.display(), "plugins cannot be read");
            }
        };
        let gone: Vec<PathBuf> = self
            .seen
            .keys()
            .filter(|file| !files.contains(file))
            .cloned()
            .collect();
        for file in files {
            if let Err(error) = self.look_at(&file) {
                tracing::warn!(%error, file = %file.display(), "plugin file cannot be read");
            }
        }
        for file in gone {
            if let Some(Seen {
                name: Some(name), ..
            }) = self.seen.remove(&file)
            {
                let name = name.to_string();
                tracing::info!(
                    plugin.name = name,
                    "plugin file was removed: no new calls for it"
                );
                self.control
                    .send(Message::Plugin(PluginChange::Remove { name }));
            }
        }
    }

    /// Starts a thread that keeps looking until `stop`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn watch(
        mut self,
        stop: Arc<AtomicBool>,
    ) -> io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new()
            .name("plugin-dir".to_owned())
            .spawn(move || {
                let (sender, receiver) = sync_channel(EVENTS_MAX);
                // Reading a file is reported as well: without the filter a look would cause the next.
                let watcher =
                    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                        if event.is_ok_and(|event| !event.kind.is_access()) {
                            let _ = sender.try_send(());
                        }
                    });
                let watched = watcher.and_then(|mut watcher| {
                    watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
                    Ok(watcher)
                });
                if let Err(error) = &watched {
                    tracing::warn!(%error, "the plugins' folder is looked at every 10 s only");
                }
                self.run(&receiver, &stop);
                drop(watched);
            })
    }

    fn run(&mut self, events: &Receiver<()>, stop: &AtomicBool) {
        let mut quiet = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            let step = Duration::from_millis(200);
            match events.recv_timeout(step) {
                Ok(()) => {
                    // Until nothing has come for a moment.
                    while events.recv_timeout(DEBOUNCE).is_ok() {}
                    self.load_all();
                }
                Err(RecvTimeoutError::Timeout) => {
                    quiet += step;
                    if quiet >= SWEEP {
                        quiet = Duration::ZERO;
                        self.load_all();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(step),
            }
        }
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let hidden = path
                .file_name()
                .is_none_or(|name| name.to_string_lossy().starts_with('.'));
            if !hidden && path.extension().is_some_and(|ending| ending == "wasm") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn look_at(&mut self, file: &Path) -> io::Result<()> {
        let meta = fs::metadata(file)?;
        let (modified, bytes) = (meta.modified().ok(), meta.len());
        let before = self.seen.get(file);
        if before.is_some_and(|seen| seen.modified == modified && seen.bytes == bytes) {
            return Ok(());
        }
        let content = fs::read(file)?;
        let sha256: [u8; 32] = Sha256::digest(&content).into();
        let mut name = before.and_then(|seen| seen.name.clone());
        let changed = before.is_none_or(|seen| seen.sha256 != sha256);
        if changed && let Some(loaded) = self.load(file, &content, &sha256) {
            name = Some(loaded);
        }
        let seen = Seen {
            modified,
            bytes,
            sha256,
            name,
        };
        self.seen.insert(file.to_owned(), seen);
        Ok(())
    }

    /// Loads a component; on failure what ran before goes on.
    fn load(&self, file: &Path, content: &[u8], sha256: &[u8; 32]) -> Option<Arc<str>> {
        let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let cache = self.cache.join(hex);
        let cached = fs::read(&cache).ok();
        match self.host.load(content, cached.as_deref()) {
            Ok(loaded) => {
                if let CacheUse::Compiled {
                    entry: Some(entry), ..
                } = &loaded.cache
                    && let Err(error) = write_private(&cache, entry)
                {
                    tracing::warn!(%error, "the compiled plugin was not kept");
                }
                let name = loaded.plugin.reference().name.clone();
                let change = PluginChange::Install(loaded.plugin);
                self.control.send(Message::Plugin(change));
                Some(name)
            }
            Err(error) => {
                tracing::error!(
                    file = %file.display(), %error,
                    "plugin refused; what ran before goes on"
                );
                None
            }
        }
    }
}

/// Writes a file whole or not at all, readable by this user only.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, path)
}
