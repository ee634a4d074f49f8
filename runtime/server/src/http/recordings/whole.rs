//! The recording of a whole call in one piece: what its first leg said and heard, segment after
//! segment, each at its time, with silence where nothing was recorded.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use media::wav;
use vocab::record::{CallEvent, CallEventKind};
use vocab::{Clip, RecordingId, Wall};

use super::Since1970;
use crate::recorder;

/// Bytes of one moment of both channels.
const FRAME_BYTES: u64 = 4;

/// Most bytes of audio: what the header of a WAV file can say, and some room for what follows.
const AUDIO_BYTES_MAX: u64 = u32::MAX as u64 - 1_024;

/// A part of the whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Span {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many zeros.
    Silence(u64),
    /// A part of a file.
    File {
        path: PathBuf,
        from: u64,
        bytes: u64,
    },
}

impl Span {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Silence(bytes) | Self::File { bytes, .. } => *bytes,
        }
    }
}

/// All parts in order.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) spans: Vec<Span>,
    pub(super) bytes: u64,
    /// When it was last written on, as a number.
    pub(super) changed: u128,
    pub(super) cut: bool,
}

/// The segments that make the whole: those that hold what was heard as well, and when they began.
pub(super) fn segments(events: &[CallEvent]) -> Vec<(RecordingId, Wall)> {
    let started = events.iter().filter_map(|event| {
        let CallEventKind::SegmentStarted {
            recording,
            channels: 2,
            ..
        } = &event.kind
        else {
            return None;
        };
        Some((*recording, event.at))
    });
    started.collect()
}

/// Puts segments together. Those whose file is not there are left out: the disk took nothing of them.
///
/// # Errors
/// When a file cannot be read; `NotFound` when there is none at all.
pub(super) fn assemble(folder: &Path, segments: &[(RecordingId, Wall)]) -> io::Result<Whole> {
    let mut whole = Whole::default();
    let mut audio = 0;
    let mut first = None;
    for &(id, at) in segments {
        let path = recorder::path(folder, id);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let first = *first.get_or_insert(at);
        let micros = u64::try_from(at.0 - first.0).unwrap_or(0);
        let due = micros * u64::from(Clip::CLOCK_HZ) / 1_000_000 * FRAME_BYTES;
        let silence = due.saturating_sub(audio);
        let changed = file.metadata()?.modified().ok();
        let changed = changed.and_then(Since1970::elapsed_since_1970);
        whole.changed = whole.changed.max(changed.unwrap_or_default());
        let cut = recorder::is_cut(&mut file)?;
        let bytes = audio_bytes(&mut file, cut)?;
        whole.cut |= cut;
        if audio + silence + bytes > AUDIO_BYTES_MAX {
            break;
        }
        if silence > 0 {
            whole.spans.push(Span::Silence(silence));
        }
        let from = wav::HEADER_BYTES as u64;
        whole.spans.push(Span::File { path, from, bytes });
        audio += silence + bytes;
    }
    if whole.spans.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let frames = u32::try_from(audio / FRAME_BYTES).unwrap_or(u32::MAX);
    let mut header = wav::header(2, frames).to_vec();
    if whole.cut {
        let riff = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let riff = riff + recorder::CUT.len() as u32;
        header[4..8].copy_from_slice(&riff.to_le_bytes());
        whole.spans.push(Span::Bytes(recorder::CUT.to_vec()));
    }
    whole.spans.insert(0, Span::Bytes(header));
    whole.bytes = whole.spans.iter().map(Span::len).sum();
    Ok(whole)
}

/// How much of a file is audio: what its header says, or all of it while it is being written.
fn audio_bytes(file: &mut File, cut: bool) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let all = length.saturating_sub(wav::HEADER_BYTES as u64);
    let mut header = [0; wav::HEADER_BYTES];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut header)?;
    let said = u32::from_le_bytes([header[40], header[41], header[42], header[43]]);
    let bytes = match said {
        0 if !cut => all,
        said => all.min(u64::from(said)),
    };
    Ok(bytes - bytes % FRAME_BYTES)
}

/// The spans that hold a part of the whole.
pub(super) fn part(spans: &[Span], first: u64, bytes: u64) -> Vec<Span> {
    let (mut skip, mut left) = (first, bytes);
    let mut out = Vec::new();
    for span in spans {
        let len = span.len();
        if skip >= len {
            skip -= len;
            continue;
        }
        let take = (len - skip).min(left);
        if take == 0 {
            break;
        }
        out.push(match span {
            Span::Bytes(all) => {
                let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
                Span::Bytes(all[at(skip)..at(skip + take)].to_vec())
            }
            Span::Silence(_) => Span::Silence(take),
            Span::File { path, from, .. } => Span::File {
                path: path.clone(),
                from: from + skip,
                bytes: take,
            },
        });
        (skip, left) = (0, left - take);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_cut_out_of_what_holds_it() {
        let file = |from, bytes| Span::File {
            path: "a.wav".into(),
            from,
            bytes,
        };
        let spans = [
            Span::Bytes(vec![1, 2, 3, 4]),
            Span::Silence(10),
            file(44, 100),
        ];
        for (first, bytes, expected) in [
            (0, 114, spans.to_vec()),
            (0, 2, vec![Span::Bytes(vec![1, 2])]),
            (3, 3, vec![Span::Bytes(vec![4]), Span::Silence(2)]),
            (12, 4, vec![Span::Silence(2), file(44, 2)]),
            (113, 1, vec![file(143, 1)]),
            (114, 0, vec![]),
        ] {
            assert_eq!(part(&spans, first, bytes), expected, "{first} {bytes}");
        }
    }
}
