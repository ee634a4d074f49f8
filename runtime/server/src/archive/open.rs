//! Audio as it is asked for, wherever it is and however it is kept.

// Blocking reads on threads that are for it.
#![allow(clippy::disallowed_methods)]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use store::{Format, Kept};

use super::remote::Failure;
use super::sealed::Unsealed;
use super::wav::{Bytes, Decoded};
use super::{Inner, names};
use crate::recorder;

/// Longest wait for a recording from the object store.
const FETCH: Duration = Duration::from_secs(120);

/// A plain WAV file, perhaps one that is being written. It is open: it can be read even when it is
/// finished, and moved or removed, in the meantime.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    path: PathBuf,
    file: Arc<File>,
}

impl Plain {
    /// Opens it; `None` if it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub(super) fn open(path: PathBuf) -> io::Result<Option<Self>> {
        match File::open(&path) {
            Ok(file) => Ok(Some(Self {
                path,
                file: Arc::new(file),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn reader(&self) -> Reader {
        Reader {
            file: Arc::clone(&self.file),
            at: 0,
        }
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Plain {}

/// Reads a file that others read as well, each at its own place.
struct Reader {
    file: Arc<File>,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Where a step goes from here, in something of a length.
pub(super) fn place(to: SeekFrom, here: u64, length: u64) -> io::Result<u64> {
    let at = match to {
        SeekFrom::Start(at) => Some(at),
        SeekFrom::End(by) => length.checked_add_signed(by),
        SeekFrom::Current(by) => here.checked_add_signed(by),
    };
    at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the beginning"))
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = self.file.metadata()?.len();
        self.at = place(to, self.at, length)?;
        Ok(self.at)
    }
}

/// Where audio is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// In a plain WAV file.
    Live(Plain),
    /// Wherever its row in the index says.
    Kept(Box<Kept>),
}

/// What is known of audio without opening it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Audio {
    /// Length of the WAV file.
    pub(crate) bytes: u64,
    /// Length of its samples, as its header says or as far as it is written.
    pub(crate) audio: u64,
    /// Changes when the file does.
    pub(crate) version: u128,
    /// It ends before its call did.
    pub(crate) cut: bool,
}

impl Source {
    /// Any.
    #[cfg(test)]
    pub(crate) fn some() -> Self {
        Self::Live(Plain {
            path: PathBuf::from("a.wav"),
            file: Arc::new(tempfile::tempfile().expect("a file")),
        })
    }

    /// Length of the file as it is coded, where that is not WAV.
    pub(crate) fn coded_bytes(&self) -> Option<u64> {
        match self {
            Self::Kept(kept) if kept.segment.format == Format::Opus => Some(kept.segment.bytes),
            Self::Kept(_) | Self::Live(_) => None,
        }
    }

    /// What is known of it; for a plain file, which is looked into, on a thread that may wait.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn audio(&self) -> io::Result<Audio> {
        match self {
            Self::Live(plain) => {
                let known = plain.file.metadata()?;
                let changed = known.modified().ok();
                let changed =
                    changed.and_then(|at| Some(at.duration_since(UNIX_EPOCH).ok()?.as_micros()));
                let cut = recorder::is_cut(&mut plain.reader())?;
                Ok(Audio {
                    bytes: known.len(),
                    audio: recorder::audio_bytes(&mut plain.reader(), cut)?,
                    version: changed.unwrap_or_default(),
                    cut,
                })
            }
            Self::Kept(kept) => {
                let segment = &kept.segment;
                let frames = u64::try_from(segment.length.as_micros() / 125);
                let frames = frames.map_err(io::Error::other)?;
                let audio = frames * 2 * u64::from(segment.channels);
                let (hash, _) = segment.sha256.0.split_at(16);
                Ok(Audio {
                    bytes: match segment.format {
                        Format::Wav => segment.bytes,
                        Format::Opus => media::wav::HEADER_BYTES as u64 + audio,
                    },
                    audio,
                    version: u128::from_be_bytes(hash.try_into().map_err(io::Error::other)?),
                    cut: segment.reason == vocab::recording::SegmentEnd::Cut,
                })
            }
        }
    }
}

/// Opens it as a WAV file.
pub(super) async fn wav(archive: &Arc<Inner>, source: &Source) -> io::Result<Box<dyn Bytes>> {
    let file = coded(archive, source).await?;
    match source {
        Source::Kept(kept) if kept.segment.format == Format::Opus => {
            let decoded = tokio::task::spawn_blocking(move || Decoded::open(file)).await;
            Ok(Box::new(decoded.map_err(io::Error::other)??))
        }
        Source::Kept(_) | Source::Live(_) => Ok(file),
    }
}

/// Opens it as it is coded.
pub(super) async fn coded(archive: &Arc<Inner>, source: &Source) -> io::Result<Box<dyn Bytes>> {
    let kept = match source {
        Source::Live(plain) => return Ok(Box::new(plain.reader())),
        Source::Kept(kept) => kept.clone(),
    };
    let file = file(archive, &kept).await?;
    if kept.segment.key.is_none() {
        return Ok(Box::new(file));
    }
    let keys = archive.policies.of(&kept.segment.tenant).keys;
    let name = kept.segment.recording.to_string();
    let opened = tokio::task::spawn_blocking(move || Unsealed::open(file, &keys, &name));
    Ok(Box::new(opened.await.map_err(io::Error::other)??))
}

/// The file as it is kept: here, or fetched from the object store into one without a name.
async fn file(archive: &Arc<Inner>, kept: &Kept) -> io::Result<File> {
    let path = names::kept(&archive.folder, &kept.segment);
    let opened = tokio::task::spawn_blocking(move || File::open(path)).await;
    match opened.map_err(io::Error::other)? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let remote = archive.remote.as_ref().ok_or_else(gone)?;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the object store took too long");
    let fetch = async {
        let _place = archive.fetches.acquire().await.map_err(io::Error::other)?;
        let file = tempfile::tempfile_in(&archive.folder)?;
        let got = remote.get(&kept.segment, file).await;
        got.map_err(|failure| match failure {
            Failure::NotThere => gone(),
            Failure::File(error) => error,
            away @ Failure::Away(_) => {
                io::Error::new(io::ErrorKind::NotConnected, away.to_string())
            }
        })
    };
    tokio::time::timeout(FETCH, fetch).await.map_err(late)?
}
