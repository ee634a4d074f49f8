//! Recording files: audio from the media threads goes to disk on a thread of its own.

// A thread of its own is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use media::{RecordingOutput, wav};
use vocab::RecordingId;

/// Pieces that may wait for the disk: 1 s of audio each at most, some 64 MB in all. Past this the
/// disk is too slow and pieces are dropped, counted and logged.
const WAITING_MAX: usize = 4_096;

/// The file of a recording. The folder is the first four characters of the call's id, which
/// change every twelve days: no folder grows without end.
pub(crate) fn path(recordings: &Path, id: RecordingId) -> PathBuf {
    let name = id.to_string();
    recordings.join(&name[..4]).join(format!("{name}.wav"))
}

enum Piece {
    Audio(RecordingId, RecordingOutput),
    Stop,
}

/// How media threads reach the recorder. Clones share it.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: SyncSender<Piece>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system gives no thread.
    pub(crate) fn start(folder: PathBuf) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        fs::create_dir_all(&folder)?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let run = move || {
            Files {
                folder,
                open: BTreeMap::new(),
                failing: false,
            }
            .run(&receiver)
        };
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(run)?;
        Ok((Self { sender, dropped }, thread))
    }

    /// Hands audio over; never waits, a media thread calls this.
    pub(crate) fn take(&self, id: RecordingId, what: RecordingOutput) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Piece::Audio(id, what))
            && self
                .dropped
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(1_000)
        {
            tracing::error!("the disk is too slow for the recordings: audio is dropped");
        }
    }

    /// Pieces that were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends the thread once everything before this is written.
    pub(crate) fn stop(&self) {
        drop(self.sender.send(Piece::Stop));
    }
}

struct Files {
    folder: PathBuf,
    open: BTreeMap<RecordingId, Open>,
    failing: bool,
}

struct Open {
    file: File,
    channels: u16,
    frames: u32,
}

impl Files {
    fn run(mut self, receiver: &Receiver<Piece>) {
        while let Ok(Piece::Audio(id, what)) = receiver.recv() {
            if let Err(error) = self.piece(id, what) {
                self.open.remove(&id);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        %error, recording = %id,
                        "a recording cannot be written: free space in the data folder"
                    );
                }
            }
        }
        for (_, mut open) in std::mem::take(&mut self.open) {
            drop(open.finish());
        }
    }

    fn piece(&mut self, id: RecordingId, what: RecordingOutput) -> io::Result<()> {
        match what {
            RecordingOutput::Start { channels } => {
                let path = path(&self.folder, id);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                let mut file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(path)?;
                file.write_all(&wav::header(channels, 0))?;
                self.open.insert(
                    id,
                    Open {
                        file,
                        channels,
                        frames: 0,
                    },
                );
                self.failing = false;
            }
            RecordingOutput::Samples(samples) => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.append(&samples)?;
                }
            }
            RecordingOutput::End => {
                if let Some(mut open) = self.open.remove(&id) {
                    open.finish()?;
                }
            }
        }
        Ok(())
    }
}

impl Open {
    fn append(&mut self, samples: &[i16]) -> io::Result<()> {
        let bytes: Vec<u8> = samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        self.file.write_all(&bytes)?;
        let frames = samples.len() / usize::from(self.channels.max(1));
        self.frames += u32::try_from(frames).unwrap_or(0);
        Ok(())
    }

    /// Writes the real length into the header.
    fn finish(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file
            .write_all(&wav::header(self.channels, self.frames))
    }
}

/// Mends the header of a recording whose process stopped before its end.
///
/// # Errors
/// When the file cannot be read or written; a missing file is fine.
pub(crate) fn repair(recordings: &Path, id: RecordingId) -> io::Result<()> {
    let path = path(recordings, id);
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut start = [0; 44];
    if file.read_exact(&mut start).is_ok()
        && let Some(channels) = wav::channels_of(&start)
    {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&wav::repair(channels, length))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use vocab::{CallId, Rng, Wall};

    use super::*;

    #[test]
    fn an_interrupted_recording_is_mended() {
        let folder =
            std::env::temp_dir().join(format!("jackfield-recorder-{}", std::process::id()));
        let call = CallId::new(Wall(1_795_270_987_000_000), &mut Rng::from_u64(1));
        let id = RecordingId { call, n: 0 };
        let mut files = Files {
            folder: folder.clone(),
            open: BTreeMap::new(),
            failing: false,
        };
        files
            .piece(id, RecordingOutput::Start { channels: 2 })
            .expect("start");
        let samples: Box<[i16]> = (0..800).collect();
        files
            .piece(id, RecordingOutput::Samples(samples))
            .expect("samples");
        drop(files);

        let file = path(&folder, id);
        let heard = |file: &Path| wav::read(&fs::read(file).expect("the file"));
        assert!(
            heard(&file).map_or(0, |samples| samples.len()) < 400,
            "the header says nothing"
        );
        repair(&folder, id).expect("repair");
        assert_eq!(heard(&file).expect("a whole file").len(), 400);
        repair(&folder, RecordingId { call, n: 1 }).expect("a missing file is fine");
        fs::remove_dir_all(folder).expect("clean up");
    }
}
