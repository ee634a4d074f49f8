//! Speech that was wanted more than once, on the disk.
//!
//! A text may hold what is private, such as a name or a balance. Such texts are said once; so what is said
//! once is never written.

// Files, on threads that may wait, are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;

use media::wav;
use sha2::{Digest, Sha256};

/// Part of the room that is left when the oldest files were removed, in percent.
const AFTER_CLEARING: u64 = 80;

/// The folder.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    bytes_max: u64,
    /// Bytes of all files; unknown until the first is written.
    bytes: Mutex<Option<u64>>,
}

/// What a text is called when a certain engine says it with a certain voice.
pub(super) fn name(engine: &str, voice: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["1", engine, voice, text] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Disk {
    /// A folder of bounded size.
    pub(super) fn new(folder: PathBuf, bytes_max: u64) -> Self {
        Self {
            folder,
            bytes_max,
            bytes: Mutex::new(None),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(&name[..2]).join(format!("{name}.wav"))
    }

    /// What is there. A file that is broken is removed.
    pub(super) fn read(&self, name: &str) -> Option<Vec<i16>> {
        let path = self.path(name);
        let bytes = fs::read(&path).ok()?;
        let whole = wav::channels_of(&bytes).is_some() && bytes.len() > wav::HEADER_BYTES;
        let said = u32::from_le_bytes(bytes.get(40..44)?.try_into().ok()?);
        let whole = whole && said as usize + wav::HEADER_BYTES == bytes.len();
        match wav::read(&bytes).ok().filter(|_| whole) {
            Some(samples) => {
                // The oldest go first, by when they were last wanted.
                let file = fs::File::options().append(true).open(&path);
                drop(file.and_then(|file| file.set_modified(SystemTime::now())));
                Some(samples)
            }
            None => {
                drop(fs::remove_file(&path));
                None
            }
        }
    }

    /// Writes a file, and removes the oldest if there are too many bytes.
    ///
    /// # Errors
    /// When it cannot be written; it is not there then.
    pub(super) fn write(&self, name: &str, samples: &[i16]) -> io::Result<()> {
        let path = self.path(name);
        let file = wav::write(samples, 1);
        if path.exists() || file.len() as u64 > self.bytes_max {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let part = tempfile::NamedTempFile::new_in(folder)?;
        fs::write(part.path(), &file)?;
        part.persist(&path).map_err(|error| error.error)?;
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let all = match *bytes {
            Some(bytes) => bytes + file.len() as u64,
            None => files(&self.folder)?.iter().map(|file| file.bytes).sum(),
        };
        *bytes = Some(if all > self.bytes_max {
            self.clear()?
        } else {
            all
        });
        Ok(())
    }

    /// Removes the oldest; gives the bytes that are left.
    fn clear(&self) -> io::Result<u64> {
        let mut files = files(&self.folder)?;
        files.sort_by_key(|file| file.at);
        let mut all: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if all <= self.bytes_max / 100 * AFTER_CLEARING {
                break;
            }
            fs::remove_file(&file.path)?;
            all -= file.bytes;
        }
        Ok(all)
    }
}

struct Found {
    path: PathBuf,
    bytes: u64,
    at: SystemTime,
}

/// The files in the folders of a folder.
fn files(folder: &Path) -> io::Result<Vec<Found>> {
    let mut all = Vec::new();
    for inner in fs::read_dir(folder)? {
        let inner = inner?.path();
        if !inner.is_dir() {
            continue;
        }
        for file in fs::read_dir(inner)? {
            let file = file?;
            let known = file.metadata()?;
            all.push(Found {
                path: file.path(),
                bytes: known.len(),
                at: known.modified()?,
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_broken_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::new(folder.path().to_owned(), 1 << 20);
        let name = name("espeak", "en", "hello");
        assert_eq!(disk.read(&name), None);
        disk.write(&name, &[1, 2, 3]).expect("writes");
        assert_eq!(disk.read(&name), Some(vec![1, 2, 3]));
        let again = Disk::new(folder.path().to_owned(), 1 << 20);
        assert_eq!(again.read(&name), Some(vec![1, 2, 3]), "after a restart");
        let path = disk.path(&name);
        let whole = fs::read(&path).expect("a file");
        fs::write(&path, &whole[..whole.len() - 2]).expect("writes");
        assert_eq!(disk.read(&name), None);
        assert!(!path.exists(), "it is made again");
    }

    #[test]
    fn names_tell_engines_voices_and_texts_apart() {
        let all = [
            name("a", "b", "c"),
            name("ab", "", "c"),
            name("a", "bc", ""),
            name("a", "b", "d"),
        ];
        let mut apart = all.to_vec();
        apart.sort();
        apart.dedup();
        assert_eq!(apart.len(), all.len());
        assert!(all.iter().all(|name| name.len() == 64));
    }

    #[test]
    fn the_oldest_make_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::new(folder.path().to_owned(), 10_000);
        let names: Vec<String> = (0..12).map(|n| name("a", "b", &n.to_string())).collect();
        for (n, name) in names.iter().enumerate() {
            disk.write(name, &[7; 500]).expect("writes");
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(n as u64);
            if let Ok(file) = fs::File::options().append(true).open(disk.path(name)) {
                file.set_modified(at).expect("a time");
            }
        }
        let left: Vec<bool> = names.iter().map(|name| disk.path(name).exists()).collect();
        let count = left.iter().filter(|left| **left).count();
        assert!((7..=9).contains(&count), "{left:?}");
        assert!(left[11] && !left[0], "{left:?}");
        disk.write(&name("a", "b", "long"), &[7; 6_000])
            .expect("no error");
        assert!(
            !disk.path(&name("a", "b", "long")).exists(),
            "it would take all the room"
        );
    }
}
