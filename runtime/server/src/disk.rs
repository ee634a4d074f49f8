//! Whether the data folder takes what calls leave behind. While it does not, new calls are refused
//! and live ones go on.

// Files are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Room there must be: a minute of two recordings, or some thousand calls' events. With less the
/// folder would be full again at once.
const ROOM_BYTES: usize = 1 << 20;

/// Who writes to the folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Call events and records.
    Store,
    /// Audio.
    Recordings,
}

/// Why nothing can be written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Trouble {
    /// Anything else, such as a disk that broke.
    Broken,
    /// No room is left.
    Full,
}

impl Trouble {
    /// What a file's error means.
    pub(crate) fn of_file(error: &io::Error) -> Self {
        if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ) {
            Self::Full
        } else {
            Self::Broken
        }
    }

    /// What the store's error means.
    pub(crate) fn of_store(error: &store::Error) -> Self {
        if matches!(error, store::Error::Full { .. }) {
            Self::Full
        } else {
            Self::Broken
        }
    }
}

/// The data folder, as those who write to it find it.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    /// By [`Part`].
    troubles: Mutex<[Option<Trouble>; 2]>,
    /// Some part is in trouble; beside the lock, because the control thread asks for each call.
    failing: AtomicBool,
    failures: AtomicU64,
}

impl Disk {
    /// A folder that takes everything so far.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            troubles: Mutex::default(),
            failing: AtomicBool::new(false),
            failures: AtomicU64::new(0),
        }
    }

    /// A part could not write. What is the matter is logged when it begins, not at every try.
    pub(crate) fn failed(&self, part: Part, trouble: Trouble, error: &dyn Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let (before, now) = self.set(part, Some(trouble));
        if before == now {
            return;
        }
        let folder = self.folder.display();
        match now {
            Some(Trouble::Full) => tracing::error!(
                %error,
                "disk full: free space in {folder}; until then new calls get 503, live ones go on"
            ),
            Some(Trouble::Broken) => tracing::error!(
                %error,
                "nothing can be written to {folder}: mend it; until then new calls get 503, live \
                 ones go on"
            ),
            None => {}
        }
    }

    /// A part could write.
    pub(crate) fn wrote(&self, part: Part) {
        if self.is_failing()
            && let (Some(_), None) = self.set(part, None)
        {
            tracing::info!(
                "{} can be written again: new calls are taken",
                self.folder.display()
            );
        }
    }

    /// Whether new calls are to be refused.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// What is the matter, if something is.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        worst(&troubles)
    }

    /// Writes that failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Notes how a part fares; gives what was the matter and what is.
    fn set(&self, part: Part, trouble: Option<Trouble>) -> (Option<Trouble>, Option<Trouble>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let before = worst(&troubles);
        troubles[match part {
            Part::Store => 0,
            Part::Recordings => 1,
        }] = trouble;
        let now = worst(&troubles);
        self.failing.store(now.is_some(), Ordering::Release);
        (before, now)
    }
}

fn worst(troubles: &[Option<Trouble>; 2]) -> Option<Trouble> {
    troubles.iter().copied().flatten().max()
}

/// Makes the data folder, and makes sure that it can be used.
///
/// # Errors
/// In one line, with what to do.
pub(crate) fn prepare(folder: &Path) -> anyhow::Result<()> {
    let made = fs::create_dir_all(folder).and_then(|()| find_room(folder));
    made.map_err(|error| {
        let folder = folder.display();
        if Trouble::of_file(&error) == Trouble::Full {
            return anyhow::anyhow!(
                "disk full: free space in the data folder {folder}, or set another data_dir"
            );
        }
        if matches!(
            error.kind(),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
        ) {
            return anyhow::anyhow!(
                "the data folder {folder} is read-only ({error}): let the user of this process \
                 write there, or set another data_dir"
            );
        }
        anyhow::anyhow!(
            "{folder} cannot be the data folder ({error}): mend it, or set another data_dir"
        )
    })
}

/// Whether a folder has room, found out by using it: what the system says is free may be reserved
/// for others, or be more than a quota allows.
///
/// # Errors
/// What the system says to the attempt.
pub(crate) fn find_room(folder: &Path) -> io::Result<()> {
    let path = folder.join("room.tmp");
    let written =
        File::create(&path).and_then(|mut file| file.write_all(vec![0; ROOM_BYTES].as_slice()));
    match fs::remove_file(path) {
        // It was not even made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => written,
        removed => written.and(removed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_calls_are_taken_when_every_part_can_write() {
        let disk = Disk::new(PathBuf::from("data"));
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!((disk.is_failing(), disk.trouble()), (false, None));
        disk.failed(Part::Store, Trouble::Broken, &full);
        assert_eq!(disk.trouble(), Some(Trouble::Broken));
        disk.failed(Part::Recordings, Trouble::of_file(&full), &full);
        assert_eq!(disk.trouble(), Some(Trouble::Full));
        disk.wrote(Part::Store);
        assert!(disk.is_failing(), "recordings cannot be written");
        disk.wrote(Part::Recordings);
        assert_eq!((disk.is_failing(), disk.trouble()), (false, None));
        assert_eq!(disk.failures(), 2);
    }

    #[test]
    fn a_folder_with_room_is_left_as_it_was() {
        let folder = tempfile::TempDir::new().unwrap();
        let data = folder.path().join("a/data");
        prepare(&data).unwrap();
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0);

        let file = data.join("file");
        fs::write(&file, "").unwrap();
        let line = prepare(&file).unwrap_err().to_string();
        assert!(line.contains("set another data_dir"), "{line}");
    }
}
