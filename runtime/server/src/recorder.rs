//! Recording files: audio from the media threads goes to disk on a thread of its own.
//!
//! A file is in the folder `live` while it is written, with what is known of it in another beside it.
//! What becomes of it after its last sample is the archive's.

// A thread of its own is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use media::{RecordingOutput, wav};
use serde_json::{Value, json};
use vocab::record::{CallEvent, CallEventKind};
use vocab::recording::{SegmentEnd, SegmentStart};
use vocab::{Party, RecordingId, Wall};

use crate::archive::{self, Written};
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

/// Beginnings that may wait for their first sample. What is more is known by its call alone.
const ABOUT_MAX: usize = 65_536;

/// Finished recordings that may wait for the archive's thread. What is more is finished after the
/// next start.
const FINISHED_MAX: usize = 65_536;

enum Piece {
    About(Box<SegmentStart>),
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
        archive: SyncSender<Written>,
    ) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        fs::create_dir_all(archive::live_folder(&folder))?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let files = Files::new(folder, disk, control, archive);
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

    /// Tells whose segment is about to begin, before its first sample comes; never waits.
    pub(crate) fn segment(&self, start: SegmentStart) {
        // Without it, it is known by its call.
        drop(self.sender.try_send(Piece::About(Box::new(start))));
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
    /// What was told before the first sample.
    abouts: BTreeMap<RecordingId, SegmentStart>,
    open: BTreeMap<RecordingId, Open>,
    /// Those that end early, until their call says how long they should have been.
    early: BTreeMap<RecordingId, Written>,
    /// What the archive had no room for.
    finished: VecDeque<Written>,
    archive: SyncSender<Written>,
    disk: Arc<Disk>,
    cut: Arc<AtomicU64>,
    control: Handle,
    /// The folder took no audio; when it is tried again.
    retry_at: Option<Instant>,
}

struct Open {
    file: File,
    about: Option<SegmentStart>,
    at: Wall,
    channels: u16,
    frames: u32,
}

impl Files {
    fn new(
        folder: PathBuf,
        disk: Arc<Disk>,
        control: Handle,
        archive: SyncSender<Written>,
    ) -> Self {
        Self {
            control,
            folder,
            abouts: BTreeMap::new(),
            open: BTreeMap::new(),
            early: BTreeMap::new(),
            finished: VecDeque::new(),
            archive,
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
            let wait = if self.finished.is_empty() {
                wait
            } else {
                wait.min(RETRY_DELAY)
            };
            match receiver.recv_timeout(wait) {
                Ok(Piece::About(about)) => {
                    if self.abouts.len() < ABOUT_MAX {
                        self.abouts.insert(about.recording, *about);
                    }
                }
                Ok(Piece::Audio(id, what)) => {
                    if let Err(error) = self.piece(id, what) {
                        self.cut(id, &error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Piece::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.hand_over();
            // Other audio may come faster than a timeout.
            if self.retry_at.is_some_and(|at| at <= Instant::now()) {
                self.retry();
            }
        }
        for (id, mut open) in std::mem::take(&mut self.open) {
            drop(open.finish());
            let length = wav_time(open.frames);
            let written = open.written(id, SegmentEnd::Interrupted, length);
            self.finished.push_back(written);
        }
        let early = std::mem::take(&mut self.early);
        self.finished.extend(early.into_values());
        for written in std::mem::take(&mut self.finished) {
            // The archive's thread ends after this one.
            drop(self.archive.send(written));
        }
    }

    /// Hands finished recordings to the archive as far as it has room; never waits.
    fn hand_over(&mut self) {
        while let Some(written) = self.finished.pop_front() {
            if let Err(TrySendError::Full(written)) = self.archive.try_send(written) {
                self.finished.push_front(written);
                if self.finished.len() > FINISHED_MAX {
                    self.finished.pop_back();
                    tracing::warn!(
                        "too many recordings wait: some are finished after the next start"
                    );
                }
                return;
            }
        }
    }

    /// Ends a recording here. What comes later of it is dropped: audio with a hole in it would tell
    /// a wrong time for everything behind the hole.
    fn cut(&mut self, id: RecordingId, error: &io::Error) {
        let trouble = Trouble::of_file(error);
        self.disk.failed(Part::Recordings, trouble, error);
        self.retry_at.get_or_insert(Instant::now() + RETRY_DELAY);
        self.cut.fetch_add(1, Ordering::Relaxed);
        let open = self.open.remove(&id);
        let kept = open.map(|open| {
            let rest = open.written(id, SegmentEnd::Cut, Duration::ZERO);
            (open.cut(), rest)
        });
        let kept = match kept {
            Some((Ok(0), _)) => {
                // Nothing that anybody could hear.
                self.forget(id);
                Ok(0)
            }
            Some((kept, written)) => {
                let frames = u64::from(kept.unwrap_or_else(|frames| frames));
                self.early.insert(id, Written { frames, ..written });
                kept
            }
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

    /// Removes what there is of a recording that holds nothing.
    fn forget(&mut self, id: RecordingId) {
        self.abouts.remove(&id);
        drop(fs::remove_file(archive::live(&self.folder, id)));
        drop(fs::remove_file(archive::about(&self.folder, id)));
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
            RecordingOutput::Start { channels, at } => {
                let about = self.abouts.remove(&id);
                let path = archive::live(&self.folder, id);
                let mut file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(&path)?;
                let mut begin = file.write_all(&wav::header(channels, 0));
                if let Some(about) = &about {
                    let path = archive::about(&self.folder, id);
                    begin = begin.and_then(|()| fs::write(path, about_text(about, at)));
                }
                if let Err(error) = begin {
                    // Better none than one that nobody can read.
                    self.forget(id);
                    return Err(error);
                }
                let open = Open {
                    file,
                    about,
                    at,
                    channels,
                    frames: 0,
                };
                self.open.insert(id, open);
            }
            RecordingOutput::Samples(samples) => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.append(&samples)?;
                }
            }
            RecordingOutput::End { end, lasting } => {
                if let Some(mut open) = self.open.remove(&id) {
                    open.finish()?;
                    self.finished.push_back(open.written(id, end, lasting));
                } else if let Some(written) = self.early.remove(&id) {
                    self.finished.push_back(Written { lasting, ..written });
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

    fn written(&self, recording: RecordingId, end: SegmentEnd, lasting: Duration) -> Written {
        Written {
            recording,
            about: self.about.clone(),
            channels: self.channels,
            at: self.at,
            frames: self.frames.into(),
            lasting,
            end,
        }
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

/// Mends the header of a recording whose process stopped before its end. Gives its channels and its
/// samples of a channel; `None` if nobody could hear anything of it.
///
/// # Errors
/// When the file cannot be read or written; a missing file is fine.
pub(crate) fn repair(path: &Path) -> io::Result<Option<(u16, u64)>> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let cut = is_cut(&mut file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut start = [0; wav::HEADER_BYTES];
    if file.read_exact(&mut start).is_err() {
        return Ok(None);
    }
    let Some(channels) = wav::channels_of(&start) else {
        return Ok(None);
    };
    if !cut {
        // Of one that is cut the header is right.
        start = wav::repair(channels, length);
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&start)?;
    }
    let audio = u32::from_le_bytes([start[40], start[41], start[42], start[43]]);
    let frames = u64::from(audio) / 2 / u64::from(channels);
    Ok((frames > 0).then_some((channels, frames)))
}

/// How much of a file is audio: what its header says, or all of it while it is being written.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn audio_bytes(file: &mut (impl Read + Seek), cut: bool) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let all = length.saturating_sub(wav::HEADER_BYTES as u64);
    let mut header = [0; wav::HEADER_BYTES];
    file.seek(SeekFrom::Start(0))?;
    if let Err(error) = file.read_exact(&mut header) {
        // Its header is not written yet.
        let early = error.kind() == io::ErrorKind::UnexpectedEof;
        return if early { Ok(0) } else { Err(error) };
    }
    let said = u32::from_le_bytes([header[40], header[41], header[42], header[43]]);
    let frame = 2 * u64::from(wav::channels_of(&header).unwrap_or(1));
    let bytes = match said {
        0 if !cut => all,
        said => all.min(u64::from(said)),
    };
    Ok(bytes - bytes % frame)
}

/// What is known of a recording when it begins, to be kept beside its file.
fn about_text(about: &SegmentStart, at: Wall) -> String {
    let (kind, address) = match &about.party {
        Party::E164(number) => ("e164", number.as_str()),
        Party::Sip(address) => ("sip", address.as_str()),
        Party::Anonymous => ("anonymous", ""),
    };
    let text = json!({
        "v": 1,
        "tenant": about.tenant.as_str(),
        "interaction": about.interaction.to_string(),
        "leg": about.leg,
        "party": { "kind": kind, "address": address },
        "channels": about.channels,
        "at_us": at.0,
    });
    text.to_string()
}

/// What was kept beside a recording's file, if it is there and makes sense: when it began, and what was
/// known then.
pub(crate) fn about(recordings: &Path, id: RecordingId) -> Option<(Wall, SegmentStart)> {
    let text = fs::read(archive::about(recordings, id)).ok()?;
    let about: Value = serde_json::from_slice(&text).ok()?;
    let address = about["party"]["address"].as_str()?.to_owned();
    let party = match about["party"]["kind"].as_str()? {
        "e164" => Party::E164(address),
        "sip" => Party::Sip(address),
        "anonymous" => Party::Anonymous,
        _ => return None,
    };
    let start = SegmentStart {
        tenant: about["tenant"].as_str()?.parse().ok()?,
        interaction: about["interaction"].as_str()?.parse().ok()?,
        recording: id,
        leg: u16::try_from(about["leg"].as_u64()?).ok()?,
        party,
        channels: u16::try_from(about["channels"].as_u64()?).ok()?,
    };
    Some((Wall(about["at_us"].as_i64()?), start))
}

/// What a call's events tell of a segment: when it began; and why it ended and how long it was.
pub(crate) fn told(
    events: &[CallEvent],
    id: RecordingId,
) -> (Option<Wall>, Option<(SegmentEnd, Duration)>) {
    let mut at = None;
    let mut ended = None;
    for event in events {
        if let CallEventKind::SegmentStarted { recording, .. } = &event.kind
            && *recording == id
        {
            at = Some(event.at);
        } else if let CallEventKind::SegmentEnded {
            recording,
            end,
            length,
        } = &event.kind
            && *recording == id
        {
            ended = Some((*end, *length));
        }
    }
    (at, ended)
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
        fs::create_dir_all(archive::live_folder(&folder)).expect("a folder");
        let (sender, finished) = sync_channel(1);
        let mut files = Files::new(folder.clone(), disk, desk.handle(), sender);
        let about = SegmentStart {
            tenant: "demo".parse().expect("a tenant"),
            interaction: call,
            recording: id,
            leg: 3,
            party: Party::E164("+862155501234".to_owned()),
            channels: 2,
        };
        files.abouts.insert(id, about.clone());
        files
            .piece(
                id,
                RecordingOutput::Start {
                    channels: 2,
                    at: Wall(77),
                },
            )
            .expect("start");
        let samples: Box<[i16]> = (0..800).collect();
        files
            .piece(id, RecordingOutput::Samples(samples))
            .expect("samples");
        drop(files);

        let file = archive::live(&folder, id);
        assert_eq!(super::about(&folder, id), Some((Wall(77), about)));
        assert!(finished.try_recv().is_err(), "it has no end");
        let heard = |file: &Path| wav::read(&fs::read(file).expect("the file"));
        assert!(
            heard(&file).map_or(0, |samples| samples.len()) < 400,
            "the header says nothing"
        );
        assert_eq!(repair(&file).expect("repair"), Some((2, 400)));
        assert_eq!(heard(&file).expect("a whole file").len(), 400);

        // One that was cut is whole already, its comment included.
        let open = OpenOptions::new().read(true).write(true).open(&file);
        let open = Open {
            file: open.expect("the file"),
            about: None,
            at: Wall(0),
            channels: 2,
            frames: 400,
        };
        assert_eq!(open.cut(), Ok(387), "in place");
        let bytes = fs::read(&file).expect("the file");
        assert_eq!(bytes.len(), 44 + 1_600, "no room was taken");
        assert_eq!(bytes[4..8], (36 + 1_600_u32).to_le_bytes());
        assert!(bytes.ends_with(CUT) && CUT.len() == 52);
        assert_eq!(repair(&file).expect("nothing to do"), Some((2, 387)));
        let frames = heard(&file).expect("a whole file").len();
        assert_eq!((frames, fs::read(&file).expect("the file")), (387, bytes));
        let missing = archive::live(&folder, RecordingId::message(call, 1));
        assert_eq!(repair(&missing).expect("a missing file is fine"), None);
        fs::remove_dir_all(folder).expect("clean up");
    }
}
