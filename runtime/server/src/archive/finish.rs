//! What becomes of a recording when its last sample is written: it is hashed, coded and encrypted as
//! its tenant wants it, and entered in the index.
//!
//! On a thread of its own. What cannot be finished now is tried again, and what the process leaves
//! behind is finished after its next start: the file of a recording stays in the folder `live` until
//! its row is in the index.

// A thread of its own, with its own waits, is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use media::{ogg_opus, wav};
use sha2::{Digest, Sha256};
use store::{Format, Segment};
use vocab::recording::{SegmentEnd, SegmentStart};
use vocab::{Party, RecordingId, Wall};

use super::policy::Policy;
use super::sealed::Sealer;
use super::{Inner, names};
use crate::recorder;

/// Time until one that could not be finished is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Recordings that wait to be tried again. What is more is finished after the next start.
const WAITING_MAX: usize = 65_536;

/// Longest time for what is left when the server stops; the rest is finished after the next start.
const FAREWELL: Duration = Duration::from_secs(3);

/// Missing audio that is an alarm.
const GAP: Duration = Duration::from_millis(200);

/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// A file of audio that is written to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Written {
    pub(crate) recording: RecordingId,
    /// What was known when it began; nothing of one whose beginning was not told.
    pub(crate) about: Option<SegmentStart>,
    pub(crate) channels: u16,
    /// When its first sample was heard.
    pub(crate) at: Wall,
    /// Samples of a channel.
    pub(crate) frames: u64,
    /// How long it should be.
    pub(crate) lasting: Duration,
    pub(crate) end: SegmentEnd,
}

impl Written {
    fn length(&self) -> Duration {
        Duration::from_micros(self.frames * 125)
    }
}

/// The thread.
pub(super) struct Finisher {
    pub(super) archive: Arc<Inner>,
    pub(super) runtime: tokio::runtime::Handle,
    /// Those that could not be finished, and are tried again.
    again: VecDeque<Written>,
    /// Those that the last run left and that could not be looked at yet.
    unread: Vec<RecordingId>,
    retry_at: Option<Instant>,
    /// That something cannot be finished was said.
    said: bool,
}

impl Finisher {
    pub(super) fn new(archive: Arc<Inner>, left_over: LeftOver) -> Self {
        Self {
            archive,
            runtime: tokio::runtime::Handle::current(),
            again: left_over.written.into(),
            unread: left_over.unread,
            retry_at: Some(Instant::now()),
            said: false,
        }
    }

    /// Until nobody sends any more.
    pub(super) fn run(mut self, receiver: &Receiver<Written>) {
        loop {
            let wait = match self.retry_at {
                Some(at) if self.again.is_empty() && self.unread.is_empty() => {
                    // Nothing to try.
                    let _ = at;
                    self.retry_at = None;
                    Duration::MAX
                }
                Some(at) => at.saturating_duration_since(Instant::now()),
                None => Duration::MAX,
            };
            match receiver.recv_timeout(wait) {
                Ok(written) => self.take(written),
                Err(RecvTimeoutError::Timeout) => self.retry(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let until = Instant::now() + FAREWELL;
        while let Some(written) = self.again.pop_front() {
            if Instant::now() > until {
                let left = self.again.len() + 1;
                tracing::info!(left, "recordings are finished after the next start");
                return;
            }
            self.take(written);
            if self.retry_at.is_some() {
                return;
            }
        }
    }

    fn take(&mut self, written: Written) {
        match self.finish(&written) {
            Ok(()) => {
                if self.again.is_empty() {
                    self.said = false;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.said, true) {
                    let recording = written.recording;
                    tracing::warn!(%recording, %error, "a recording could not be finished: it is tried again");
                }
                self.archive
                    .counts
                    .unfinished
                    .fetch_add(1, Ordering::Relaxed);
                if self.again.len() < WAITING_MAX {
                    self.again.push_back(written);
                }
                self.retry_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Tries those again that could not be finished, until one still cannot.
    fn retry(&mut self) {
        self.retry_at = None;
        for id in std::mem::take(&mut self.unread) {
            let read = one_left_over(&self.archive, id);
            match self.runtime.block_on(read) {
                Ok(written) => self.again.extend(written),
                Err(_) => self.unread.push(id),
            }
        }
        if !self.unread.is_empty() {
            self.retry_at = Some(Instant::now() + RETRY);
        }
        for _ in 0..self.again.len() {
            let Some(written) = self.again.pop_front() else {
                return;
            };
            let unread = self.retry_at.take();
            self.take(written);
            let failed = self.retry_at.is_some();
            self.retry_at = self.retry_at.or(unread);
            if failed {
                return;
            }
        }
    }

    fn finish(&self, written: &Written) -> anyhow::Result<()> {
        let archive = &self.archive;
        let known = self
            .runtime
            .block_on(archive.store.segment(written.recording))?;
        let live = names::live(&archive.folder, written.recording);
        if let Some(known) = known {
            // The index has it: the process stopped before the last step.
            let at_its_place = names::kept(&archive.folder, &known.segment).exists();
            if at_its_place || !live.exists() {
                remove(&live)?;
                remove(&names::about(&archive.folder, written.recording))?;
                return Ok(());
            }
        }
        let (tenant, leg, party) = self.whose(written)?;
        let policy = archive.policies.of(&tenant);
        let mut segment = Segment {
            recording: written.recording,
            tenant,
            leg,
            party,
            channels: written.channels,
            started_at: written.at,
            length: written.length(),
            expected: written.lasting,
            reason: written.end,
            format: policy.format,
            key: policy.key.as_ref().map(|key| key.id().to_owned()),
            bytes: 0,
            sha256: store::Sha256([0; 32]),
        };
        let place = names::kept(&archive.folder, &segment);
        if live.exists() {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            (segment.bytes, segment.sha256) = keep(&live, &place, &segment, &policy)?;
        } else if policy.format == Format::Wav && policy.key.is_none() && place.exists() {
            // It was moved, and the process stopped before its row was written.
            (segment.bytes, segment.sha256) = hash(&place)?;
        } else {
            remove(&names::about(&archive.folder, written.recording))?;
            return Ok(());
        }
        let upload = archive.remote.is_some();
        self.runtime
            .block_on(archive.store.put_segment(&segment, upload))?;
        remove(&live)?;
        remove(&names::about(&archive.folder, written.recording))?;
        let counts = &archive.counts;
        counts.finished.fetch_add(1, Ordering::Relaxed);
        if segment.gap() > GAP && segment.reason != SegmentEnd::Cut {
            counts.gaps.fetch_add(1, Ordering::Relaxed);
            let missing_ms = u64::try_from(segment.gap().as_millis()).unwrap_or(u64::MAX);
            let recording = written.recording;
            tracing::warn!(%recording, missing_ms, "a recording misses audio");
        }
        if upload {
            archive.news.notify_one();
        }
        Ok(())
    }

    /// Whose it is: as was told when it began, or else its call's.
    fn whose(&self, written: &Written) -> anyhow::Result<(vocab::TenantId, u16, Party)> {
        if let Some(about) = &written.about {
            return Ok((about.tenant.clone(), about.leg, about.party.clone()));
        }
        let call = written.recording.call;
        let record = self.runtime.block_on(self.archive.store.record(call))?;
        let record = record.ok_or_else(|| anyhow::anyhow!("its call is not known yet"))?;
        Ok((record.tenant, 1, record.from))
    }
}

/// Removes a file; one that is not there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Brings a live file to its place, coded and encrypted as the segment says. Gives the length and
/// the hash of what is in it.
fn keep(
    live: &Path,
    place: &Path,
    segment: &Segment,
    policy: &Policy,
) -> io::Result<(u64, store::Sha256)> {
    if segment.format == Format::Wav && policy.key.is_none() {
        let hashed = hash(live)?;
        fs::rename(live, place)?;
        return Ok(hashed);
    }
    let mut part = place.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let coded = code(live, part, segment, policy);
    if coded.is_err() {
        remove(part)?;
    }
    let hashed = coded?;
    fs::rename(part, place)?;
    Ok(hashed)
}

/// Writes the coded and encrypted copy.
fn code(
    live: &Path,
    part: &Path,
    segment: &Segment,
    policy: &Policy,
) -> io::Result<(u64, store::Sha256)> {
    let out = BufWriter::new(File::create(part)?);
    let (file, hashed) = match &policy.key {
        None => {
            let out = convert(live, Hashing::new(out), segment)?;
            (out.out, (out.bytes, out.hash))
        }
        Some(key) => {
            let name = segment.recording.to_string();
            let out = Hashing::new(Sealer::new(out, key, &name)?);
            let out = convert(live, out, segment)?;
            (out.out.finish()?, (out.bytes, out.hash))
        }
    };
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    // The live file is removed next.
    file.sync_all()?;
    let (bytes, hash) = hashed;
    Ok((bytes, store::Sha256(hash.finalize().into())))
}

/// Copies a live file in the segment's format.
fn convert<W: Write>(
    live: &Path,
    mut out: Hashing<W>,
    segment: &Segment,
) -> io::Result<Hashing<W>> {
    let mut file = BufReader::with_capacity(CHUNK, File::open(live)?);
    match segment.format {
        Format::Wav => {
            io::copy(&mut file, &mut out)?;
            Ok(out)
        }
        Format::Opus => {
            let mut comments = vec![format!("RECORDING={}", segment.recording)];
            if segment.reason == SegmentEnd::Cut {
                comments.push("COMMENT=cut off: the disk took no more.".to_owned());
            }
            let mut writer = ogg_opus::Writer::new(out, segment.channels, &comments)?;
            file.seek(SeekFrom::Start(wav::HEADER_BYTES as u64))?;
            let frames =
                u64::try_from(segment.length.as_micros() / 125).map_err(io::Error::other)?;
            let mut audio = file.take(frames * 2 * u64::from(segment.channels));
            let mut chunk = vec![0; CHUNK];
            let mut samples = Vec::with_capacity(CHUNK / 2);
            loop {
                let count = fill(&mut audio, &mut chunk)?;
                if count == 0 {
                    return writer.finish();
                }
                samples.clear();
                let pairs = chunk[..count].chunks_exact(2);
                samples.extend(pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
                writer.push(&samples)?;
            }
        }
    }
}

/// Reads until the chunk is full or the file at its end.
fn fill(file: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match file.read(&mut chunk[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// The length and the hash of a file, which is on the disk from then on.
fn hash(path: &Path) -> io::Result<(u64, store::Sha256)> {
    let file = File::open(path)?;
    file.sync_all()?;
    hash_of(file)
}

/// The length and the hash of what can be read.
pub(super) fn hash_of(mut file: impl Read) -> io::Result<(u64, store::Sha256)> {
    let mut out = Hashing::new(io::sink());
    io::copy(&mut file, &mut out)?;
    Ok((out.bytes, store::Sha256(out.hash.finalize().into())))
}

/// Hashes and counts what goes through.
struct Hashing<W> {
    out: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Hashing<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            hash: Sha256::new(),
            bytes: 0,
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What the last run left in the folder of live recordings.
#[derive(Default)]
pub(super) struct LeftOver {
    /// Mended, and to be finished.
    pub(super) written: Vec<Written>,
    /// What could not be looked at: the database, or the disk, did not answer.
    pub(super) unread: Vec<RecordingId>,
}

/// Finds what the last run left; nobody writes there yet.
pub(super) async fn left_over(archive: &Inner) -> anyhow::Result<LeftOver> {
    let folder = names::live_folder(&archive.folder);
    fs::create_dir_all(&folder)?;
    let mut ids: Vec<RecordingId> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stem = Path::new(&name).file_stem();
        let id: Option<RecordingId> = stem.and_then(|stem| stem.to_str()?.parse().ok());
        ids.extend(id);
    }
    ids.sort();
    ids.dedup();
    let mut all = LeftOver::default();
    for id in ids {
        match one_left_over(archive, id).await {
            Ok(written) => all.written.extend(written),
            Err(error) => {
                tracing::warn!(%error, recording = %id, "an interrupted recording was not mended: it is tried again");
                all.unread.push(id);
            }
        }
    }
    Ok(all)
}

async fn one_left_over(archive: &Inner, id: RecordingId) -> anyhow::Result<Option<Written>> {
    let live = names::live(&archive.folder, id);
    let kept = names::plain(&archive.folder, id);
    let about = recorder::about(&archive.folder, id);
    let path = if live.exists() { &live } else { &kept };
    let Some((channels, frames)) = recorder::repair(path)? else {
        // Nothing of it can be heard.
        remove(&live)?;
        remove(&names::about(&archive.folder, id))?;
        return Ok(None);
    };
    let length = Duration::from_micros(frames * 125);
    let events = archive.store.events(id.call).await?;
    let (at, ended) = recorder::told(&events, id);
    let (end, lasting) = match ended {
        _ if recorder::is_cut(&mut File::open(path)?)? => (SegmentEnd::Cut, length),
        Some(ended) => ended,
        None => (SegmentEnd::Interrupted, length),
    };
    let at = about.as_ref().map(|(at, _)| *at).or(at);
    Ok(Some(Written {
        recording: id,
        at: at.unwrap_or(Wall(i64::try_from(id.call.0 >> 80).unwrap_or(0) * 1_000)),
        about: about.map(|(_, about)| about),
        channels,
        frames,
        lasting,
        end,
    }))
}
