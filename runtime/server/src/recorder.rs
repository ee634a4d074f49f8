//! Recording files: audio from the media threads goes to disk on a thread of its own.

// A thread of its own is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use media::{RecordingOutput, wav};
use vocab::RecordingId;
use vocab::recording::SegmentStart;

use crate::control::{Handle, Message};
use crate::disk::{self, Disk, Part, Trouble};

/// Pieces that may wait for the disk: 1 s of audio each at most, some 64 MB in all. Past this the
/// disk is too slow and pieces are dropped, counted and logged.
const WAITING_MAX: usize = 4_096;

/// Time until a folder that took no audio is tried again. New calls are refused meanwhile.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// What stands behind the audio of a recording that is cut: a comment, in the place of its last
/// milliseconds, because there is room for no more. Source: RIFF MCI 1.0, INFO list chunk.
pub(crate) const CUT: &[u8] = b"LIST\x2c\0\0\0INFOICMT\x20\0\0\0cut off: the disk took no more.\0";

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
    cut: Arc<AtomicU64>,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system gives no thread.
    pub(crate) fn start(
        folder: PathBuf,
        disk: Arc<Disk>,
        control: Handle,
    ) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        fs::create_dir_all(&folder)?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let files = Files::new(folder, disk, control);
        let recorder = Self {
            sender,
            dropped: Arc::default(),
            cut: Arc::clone(&files.cut),
        };
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || files.run(&receiver))?;
        Ok((recorder, thread))
    }

    /// Tells whose segment is about to begin, before its first sample comes.
    pub(crate) fn segment(&self, start: SegmentStart) {
        // The file is named by the segment alone, and its channels come with the audio.
        drop(start);
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

    /// Recordings that end early because they could not be written.
    pub(crate) fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Ends the thread once everything before this is written.
    pub(crate) fn stop(&self) {
        drop(self.sender.send(Piece::Stop));
    }
}

struct Files {
    folder: PathBuf,
    open: BTreeMap<RecordingId, Open>,
    disk: Arc<Disk>,
    cut: Arc<AtomicU64>,
    control: Handle,
    /// The folder took no audio; when it is tried again.
    retry_at: Option<Instant>,
}

struct Open {
    file: File,
    channels: u16,
    frames: u32,
}

impl Files {
    fn new(folder: PathBuf, disk: Arc<Disk>, control: Handle) -> Self {
        Self {
            control,
            folder,
            open: BTreeMap::new(),
            disk,
            cut: Arc::default(),
            retry_at: None,
        }
    }

    fn run(mut self, receiver: &Receiver<Piece>) {
        loop {
            let wait = self
                .retry_at
                .map_or(Duration::MAX, |at| at.duration_since(Instant::now()));
            match receiver.recv_timeout(wait) {
                Ok(Piece::Audio(id, what)) => {
                    if let Err(error) = self.piece(id, what) {
                        self.cut(id, &error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Piece::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            // Other audio may come faster than a timeout.
            if self.retry_at.is_some_and(|at| at <= Instant::now()) {
                self.retry();
            }
        }
        for (_, mut open) in std::mem::take(&mut self.open) {
            drop(open.finish());
        }
    }

    /// Ends a recording here. What comes later of it is dropped: audio with a hole in it would tell
    /// a wrong time for everything behind the hole.
    fn cut(&mut self, id: RecordingId, error: &io::Error) {
        let trouble = Trouble::of_file(error);
        self.disk.failed(Part::Recordings, trouble, error);
        self.retry_at.get_or_insert(Instant::now() + RETRY_DELAY);
        self.cut.fetch_add(1, Ordering::Relaxed);
        let kept = match self.open.remove(&id).map(Open::cut) {
            Some(Ok(0)) => {
                // Nothing that anybody could hear.
                drop(fs::remove_file(path(&self.folder, id)));
                Ok(0)
            }
            Some(kept) => kept,
            None => Ok(0),
        };
        let marked = kept.is_ok();
        let length = wav_time(kept.unwrap_or_else(|frames| frames));
        let seconds = length.as_secs();
        tracing::warn!(recording = %id, seconds, marked, "recording {id} is cut after {seconds} s");
        // Without room the call's events do not say it, and the file still does.
        drop(self.control.try_send(Message::RecordingCut {
            recording: id,
            length,
        }));
    }

    /// Tries the folder: if it has room, calls are taken again.
    fn retry(&mut self) {
        match disk::find_room(&self.folder) {
            Ok(()) => {
                self.retry_at = None;
                self.disk.wrote(Part::Recordings);
            }
            Err(error) => {
                let trouble = Trouble::of_file(&error);
                self.disk.failed(Part::Recordings, trouble, &error);
                self.retry_at = Some(Instant::now() + RETRY_DELAY);
            }
        }
    }

    fn piece(&mut self, id: RecordingId, what: RecordingOutput) -> io::Result<()> {
        match what {
            RecordingOutput::Start { channels, .. } => {
                let path = path(&self.folder, id);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                let mut file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(&path)?;
                if let Err(error) = file.write_all(&wav::header(channels, 0)) {
                    // Better none than one that nobody can read.
                    drop(fs::remove_file(&path));
                    return Err(error);
                }
                self.open.insert(
                    id,
                    Open {
                        file,
                        channels,
                        frames: 0,
                    },
                );
            }
            RecordingOutput::Samples(samples) => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.append(&samples)?;
                }
            }
            RecordingOutput::End { .. } => {
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

    /// Says that it is cut, and how many frames are kept; an error if it could not be said.
    fn cut(mut self) -> Result<u32, u32> {
        self.mark().map_err(|_| self.frames)
    }

    /// Writes what is true into the header, and behind the audio that it is cut. All of it into
    /// room the file has already. Gives the frames that are left.
    fn mark(&mut self) -> io::Result<u32> {
        let length = self.file.metadata()?.len();
        let audio = length.saturating_sub(CUT.len() as u64);
        let mut header = wav::repair(self.channels, audio);
        let audio_bytes = u32::from_le_bytes([header[40], header[41], header[42], header[43]]);
        let end = header.len() as u64 + u64::from(audio_bytes);
        self.file.seek(SeekFrom::Start(end))?;
        self.file.write_all(CUT)?;
        let whole = end + CUT.len() as u64;
        self.file.set_len(whole)?;
        let riff_bytes = u32::try_from(whole - 8).unwrap_or(u32::MAX);
        header[4..8].copy_from_slice(&riff_bytes.to_le_bytes());
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        Ok(audio_bytes / 2 / u32::from(self.channels.max(1)))
    }
}

/// How long so many frames are: recordings have 8,000 a second.
fn wav_time(frames: u32) -> Duration {
    Duration::from_micros(u64::from(frames) * 125)
}

/// Whether a recording says that it is cut: the disk took no more before the call was over.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn is_cut(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    if length < CUT.len() as u64 {
        return Ok(false);
    }
    let mut end = [0; CUT.len()];
    file.seek(SeekFrom::End(-(CUT.len() as i64)))?;
    file.read_exact(&mut end)?;
    Ok(end == CUT)
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
    if is_cut(&mut file)? {
        // Its header is right.
        return Ok(());
    }
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut start = [0; wav::HEADER_BYTES];
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
    use crate::control::{Desk, Signalling};

    #[test]
    fn an_interrupted_recording_is_mended() {
        let folder =
            std::env::temp_dir().join(format!("jackfield-recorder-{}", std::process::id()));
        let call = CallId::new(Wall(1_795_270_987_000_000), &mut Rng::from_u64(1));
        let id = RecordingId::of_call(call);
        let disk = Arc::new(Disk::new(folder.clone()));
        let desk = Desk::bind(Signalling::anywhere()).expect("a desk");
        let mut files = Files::new(folder.clone(), disk, desk.handle());
        files
            .piece(
                id,
                RecordingOutput::Start {
                    channels: 2,
                    at: Wall(0),
                },
            )
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

        // One that was cut is whole already, its comment included.
        let open = OpenOptions::new().read(true).write(true).open(&file);
        let open = Open {
            file: open.expect("the file"),
            channels: 2,
            frames: 400,
        };
        assert_eq!(open.cut(), Ok(387), "in place");
        let bytes = fs::read(&file).expect("the file");
        assert_eq!(bytes.len(), 44 + 1_600, "no room was taken");
        assert_eq!(bytes[4..8], (36 + 1_600_u32).to_le_bytes());
        assert!(bytes.ends_with(CUT) && CUT.len() == 52);
        repair(&folder, id).expect("nothing to do");
        let frames = heard(&file).expect("a whole file").len();
        assert_eq!((frames, fs::read(&file).expect("the file")), (387, bytes));
        repair(&folder, RecordingId::message(call, 1)).expect("a missing file is fine");
        fs::remove_dir_all(folder).expect("clean up");
    }
}
