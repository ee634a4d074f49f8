//! Prompts that were uploaded: each tenant's, with the versions before.
//!
//! `<data_dir>/prompts/<tenant>/<language>/<name>/` holds each version as a WAV file, decoded already, and
//! `prompt.json`, which says which one is in force. A version is there before the index names it, and
//! goes after; so whenever the power fails, the prompt is as it was before or as it should be.
//!
//! **Invariant:** what the node plays is what the files say, in the same order: both change under one
//! lock.

// Files, on threads that may wait, are what this file is for.
#![allow(clippy::disallowed_methods)]

mod index;
pub(crate) mod limits;
mod name;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::sound::{self, SoundError};
use media::wav;
use node::Catalogue;
use sha2::{Digest, Sha256};
use vocab::{Clip, TenantId, Wall};

use crate::control::{Handle, Message};
use crate::disk::Trouble;

use index::{Index, New};
use limits::{ALL_SAMPLES_MAX, BYTES_MAX, INDEX_BYTES_MAX, PROMPTS_MAX, SAMPLES_MAX};

pub(crate) use index::Version;
pub(crate) use name::{PromptId, is_language};

/// The name of an index.
const INDEX: &str = "prompt.json";

/// What a file is called while it is written.
const DRAFT: &str = ".draft";

/// The uploaded prompts of all tenants. Clones share them. Every method waits for files.
#[derive(Clone, Debug)]
pub(crate) struct Prompts {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    control: Handle,
    shelves: Mutex<BTreeMap<TenantId, Shelf>>,
    /// Held while a sound file is decoded, which takes memory.
    decoding: Mutex<()>,
}

/// A tenant's.
type Shelf = BTreeMap<PromptId, Entry>;

#[derive(Clone, Debug)]
struct Entry {
    index: Index,
    /// What is in force; `None` if that is the folder's, or is damaged.
    clip: Option<Clip>,
}

impl Entry {
    fn shown(&self) -> Shown {
        Shown {
            active: self.index.active,
            versions: self.index.versions.clone(),
            damaged: self.index.active != 0 && self.clip.is_none(),
        }
    }
}

/// What is known of an uploaded prompt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    /// The version in force; 0 is the folder's.
    pub(crate) active: u32,
    /// Those that are kept, oldest first.
    pub(crate) versions: Vec<Version>,
    /// The version in force cannot be played: its file is damaged or gone.
    pub(crate) damaged: bool,
}

impl Shown {
    /// The version in force, if it is not the folder's.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.versions.iter().find(|it| it.version == self.active)
    }
}

/// What came of an upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Put {
    pub(crate) shown: Shown,
    /// It is a new version; otherwise it is the one in force already.
    pub(crate) new: bool,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Not a sound that can be played.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// A bound is reached.
    #[error("{0}; delete prompts that are not needed")]
    Full(String),
    /// There is no such version.
    #[error("there is no such version")]
    NoVersion,
    /// Nothing was uploaded for this prompt.
    #[error("nothing was uploaded for this prompt")]
    NotUploaded,
    /// The file of a version is not what it was.
    #[error("the file of this version is damaged")]
    Damaged,
    /// The disk did not do it.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl Refused {
    /// Whether the disk is full.
    pub(crate) fn is_full_disk(&self) -> bool {
        matches!(self, Self::Disk(error) if Trouble::of_file(error) == Trouble::Full)
    }
}

impl Prompts {
    /// Opens the folder and tells the node what is in it. What is damaged is said, and left alone.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub(crate) fn open(folder: PathBuf, control: Handle) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut shelves = BTreeMap::new();
        let mut samples = 0;
        for (name, path) in folders(&folder)? {
            let Ok(tenant) = name.parse::<TenantId>() else {
                continue;
            };
            let shelf = read_shelf(&path, &mut samples)?;
            shelves.insert(tenant, shelf);
        }
        let prompts = Self {
            inner: Arc::new(Inner {
                folder,
                control,
                shelves: Mutex::new(shelves),
                decoding: Mutex::default(),
            }),
        };
        let shelves = prompts.lock();
        for (tenant, shelf) in shelves.iter().filter(|(_, shelf)| !shelf.is_empty()) {
            prompts.tell(tenant, shelf);
        }
        drop(shelves);
        Ok(prompts)
    }

    /// A tenant's, in order of language and name.
    pub(crate) fn list(&self, tenant: &TenantId) -> BTreeMap<PromptId, Shown> {
        let shelves = self.lock();
        let shelf = shelves.get(tenant).into_iter().flatten();
        shelf
            .map(|(id, entry)| (id.clone(), entry.shown()))
            .collect()
    }

    /// One of them.
    pub(crate) fn find(&self, tenant: &TenantId, id: &PromptId) -> Option<Shown> {
        Some(self.lock().get(tenant)?.get(id)?.shown())
    }

    /// Takes a sound file as the version in force. What is in force already is no new version.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub(crate) fn put(
        &self,
        tenant: &TenantId,
        id: &PromptId,
        upload: &[u8],
        (at, by): (Wall, String),
    ) -> Result<Put, Refused> {
        let upload_sha256 = hash(upload);
        if let Some(shown) = self.find(tenant, id)
            && !shown.damaged
            && shown
                .version()
                .is_some_and(|it| it.upload_sha256 == upload_sha256)
        {
            return Ok(Put { shown, new: false });
        }
        let decoding = self.inner.decoding.lock();
        let samples = sound::read(upload)?;
        drop(decoding.unwrap_or_else(PoisonError::into_inner));
        let file = wav::write(&samples, 1);
        let clip = Clip::new(id.name(), samples);

        let mut shelves = self.lock();
        let known = shelves.get(tenant).and_then(|shelf| shelf.get(id)).cloned();
        let mut index = known.map_or_else(Index::new, |entry| entry.index);
        room(&shelves, tenant, id, clip.samples.len())?;
        let gone = index.add(New {
            at,
            by,
            kind: sound::kind(upload).unwrap_or("wav"),
            upload_sha256,
            sha256: hash(&file),
            samples: clip.samples.len(),
        });
        let folder = self.folder(tenant, id);
        let named = wav_of(&folder, index.active);
        fs::create_dir_all(&folder)?;
        let written = write(&named, &file).and_then(|()| write_index(&folder, &index));
        if let Err(error) = written {
            // The index is the old one, or there is none.
            drop(fs::remove_file(named));
            drop(fs::remove_dir(&folder));
            return Err(error.into());
        }
        if let Some(gone) = gone {
            drop(fs::remove_file(wav_of(&folder, gone.version)));
        }
        let entry = Entry {
            index,
            clip: Some(clip),
        };
        let shown = entry.shown();
        let shelf = shelves.entry(tenant.clone()).or_default();
        shelf.insert(id.clone(), entry);
        self.tell(tenant, shelf);
        Ok(Put { shown, new: true })
    }

    /// Puts a version in force that is kept; 0 is the folder's.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub(crate) fn activate(
        &self,
        tenant: &TenantId,
        id: &PromptId,
        version: u32,
    ) -> Result<Shown, Refused> {
        let mut shelves = self.lock();
        let entry = shelves.get(tenant).and_then(|shelf| shelf.get(id)).cloned();
        let mut entry = entry.ok_or(Refused::NotUploaded)?;
        let folder = self.folder(tenant, id);
        let clip = match version {
            0 => None,
            _ => {
                let kept = entry.index.version(version).ok_or(Refused::NoVersion)?;
                let samples = read_version(&folder, kept).ok_or(Refused::Damaged)?;
                room(&shelves, tenant, id, samples.len())?;
                Some(Clip::new(id.name(), samples))
            }
        };
        entry.index.active = version;
        entry.clip = clip;
        write_index(&folder, &entry.index)?;
        let shown = entry.shown();
        let shelf = shelves.entry(tenant.clone()).or_default();
        shelf.insert(id.clone(), entry);
        self.tell(tenant, shelf);
        Ok(shown)
    }

    /// The sound of a version that was uploaded, as a WAV file.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) fn audio(
        &self,
        tenant: &TenantId,
        id: &PromptId,
        version: u32,
    ) -> Result<Vec<u8>, Refused> {
        let shown = self.find(tenant, id).ok_or(Refused::NotUploaded)?;
        let mut versions = shown.versions.iter();
        let kept = versions.find(|it| it.version == version);
        let kept = kept.ok_or(Refused::NoVersion)?;
        let samples = read_version(&self.folder(tenant, id), kept).ok_or(Refused::Damaged)?;
        Ok(wav::write(&samples, 1))
    }

    /// Deletes all that was uploaded for a prompt; from now on the folder's is heard, if there is one.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub(crate) fn delete(&self, tenant: &TenantId, id: &PromptId) -> Result<Shown, Refused> {
        let mut shelves = self.lock();
        let shelf = shelves.get_mut(tenant).ok_or(Refused::NotUploaded)?;
        let entry = shelf.get(id).ok_or(Refused::NotUploaded)?;
        let shown = entry.shown();
        let folder = self.folder(tenant, id);
        // Without its index the rest is nothing, and is removed at the next start if not now.
        match fs::remove_file(folder.join(INDEX)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => sync(&folder),
        }
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::warn!(%error, "files of a deleted prompt are removed at the next start");
        }
        shelf.remove(id);
        self.tell(tenant, shelf);
        Ok(shown)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, Shelf>> {
        let shelves = self.inner.shelves.lock();
        shelves.unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, tenant: &TenantId, id: &PromptId) -> PathBuf {
        let tenant = self.inner.folder.join(tenant.to_string());
        tenant.join(id.language()).join(id.folder())
    }

    /// Has the node play what is on a shelf now. The lock is held, so that changes come in order.
    fn tell(&self, tenant: &TenantId, shelf: &Shelf) {
        let mut uploaded = BTreeMap::<String, BTreeMap<String, Clip>>::new();
        for (id, entry) in shelf {
            if let Some(clip) = &entry.clip {
                let names = uploaded.entry(id.language().to_owned()).or_default();
                names.insert(id.name().to_owned(), clip.clone());
            }
        }
        self.inner.control.send(Message::Prompts {
            tenant: tenant.clone(),
            uploaded: Arc::new(uploaded),
        });
    }
}

/// A file of the folder of prompts, as the node has it.
pub(crate) fn of_folder<'a>(catalogue: &'a Catalogue, id: &PromptId) -> Option<&'a Clip> {
    catalogue.folder().get(id.language())?.get(id.name())
}

/// Makes sure that there is room for so many samples in the place of a prompt's.
fn room(
    shelves: &BTreeMap<TenantId, Shelf>,
    tenant: &TenantId,
    id: &PromptId,
    samples: usize,
) -> Result<(), Refused> {
    let in_force = |shelf: &Shelf| -> usize {
        let clips = shelf.values().filter_map(|entry| entry.clip.as_ref());
        clips.map(|clip| clip.samples.len()).sum()
    };
    let none = Shelf::new();
    let shelf = shelves.get(tenant).unwrap_or(&none);
    let own = shelf.get(id).and_then(|entry| entry.clip.as_ref());
    let own = own.map_or(0, |clip| clip.samples.len());
    if !shelf.contains_key(id) && shelf.len() >= PROMPTS_MAX {
        let what = format!("the tenant has {PROMPTS_MAX} uploaded prompts");
        return Err(Refused::Full(what));
    }
    if in_force(shelf) - own + samples > SAMPLES_MAX {
        let minutes = SAMPLES_MAX / 8_000 / 60;
        let what = format!("the tenant's prompts would be longer than {minutes} minutes");
        return Err(Refused::Full(what));
    }
    let all: usize = shelves.values().map(in_force).sum();
    if all - own + samples > ALL_SAMPLES_MAX {
        let what = "the prompts of all tenants would take more memory than they may";
        return Err(Refused::Full(what.to_owned()));
    }
    let versions = shelf.values().flat_map(|entry| &entry.index.versions);
    let bytes: u64 = versions.map(|it| bytes(it.samples)).sum();
    if bytes + self::bytes(samples) > BYTES_MAX {
        let what = "the versions of the tenant's prompts would take more than 1 GiB";
        return Err(Refused::Full(what.to_owned()));
    }
    Ok(())
}

/// Length of the file of so many samples.
fn bytes(samples: usize) -> u64 {
    (samples * 2 + wav::HEADER_BYTES) as u64
}

fn hash(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file of a version.
fn wav_of(folder: &Path, version: u32) -> PathBuf {
    folder.join(format!("{version}.wav"))
}

/// The samples of a version, unless its file is not what it was.
fn read_version(folder: &Path, version: &Version) -> Option<Vec<i16>> {
    let path = wav_of(folder, version.version);
    let file = read(&path, bytes(version.samples)).ok()?;
    let same = hash(&file) == version.sha256;
    wav::read(&file).ok().filter(|_| same)
}

/// A file of a bounded length.
fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(bytes_max + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is too long",
        ));
    }
    Ok(bytes)
}

/// Writes a file that is there as a whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(&DRAFT[1..]);
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    });
    if written.is_err() {
        drop(fs::remove_file(&draft));
    }
    written
}

fn write_index(folder: &Path, index: &Index) -> io::Result<()> {
    // What the index names is there before it.
    sync(folder);
    write(&folder.join(INDEX), &index.bytes())?;
    sync(folder);
    Ok(())
}

/// Has the disk keep the names in a folder, and those of the folders it is in. What it is to keep is done
/// already, so there is no way back if it does not.
fn sync(folder: &Path) {
    // The prompt's, its language's, its tenant's, and that of all.
    for folder in folder.ancestors().take(4) {
        if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
            tracing::warn!(%error, "a change of prompts may be lost if the power fails now");
        }
    }
}

/// The folders in a folder, in order of their names.
fn folders(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.file_type()?.is_dir()) {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a tenant's prompts; `samples` counts those of all tenants.
fn read_shelf(folder: &Path, samples: &mut usize) -> io::Result<Shelf> {
    let mut shelf = Shelf::new();
    for (language, folder) in folders(folder)? {
        for (name, folder) in folders(&folder)? {
            let Some(id) = PromptId::of_folder(&language, &name) else {
                continue;
            };
            let shown = folder.display();
            if shelf.len() >= PROMPTS_MAX {
                tracing::error!("{shown}: more than {PROMPTS_MAX} prompts: it is not played");
                continue;
            }
            let index = match read(&folder.join(INDEX), INDEX_BYTES_MAX) {
                Ok(bytes) => Index::parse(&bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // What was begun and never named, or was deleted.
                    drop(fs::remove_dir_all(&folder));
                    continue;
                }
                Err(error) => Err(error.to_string()),
            };
            let index = match index {
                Ok(index) => index,
                Err(why) => {
                    tracing::error!(
                        why,
                        "{shown}: the index of a prompt is damaged: it is not played; upload it anew"
                    );
                    continue;
                }
            };
            tidy(&folder, &index);
            let clip = index.active().and_then(|version| {
                let read = read_version(&folder, version);
                if read.is_none() {
                    tracing::error!(
                        "{shown}: version {} of a prompt is damaged: it is not played; put another in \
                         force, or upload it anew",
                        version.version
                    );
                }
                let read = read?;
                *samples += read.len();
                if *samples > ALL_SAMPLES_MAX {
                    tracing::error!("{shown}: too many prompts for the memory: it is not played");
                    return None;
                }
                Some(Clip::new(id.name(), read))
            });
            shelf.insert(id, Entry { index, clip });
        }
    }
    Ok(shelf)
}

/// Removes what an interruption has left: drafts, and versions that the index does not name.
fn tidy(folder: &Path, index: &Index) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_suffix(".wav").and_then(|name| name.parse().ok());
        let unknown = number.is_some_and(|number: u32| index.version(number).is_none());
        if unknown || name.ends_with(DRAFT) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests;
