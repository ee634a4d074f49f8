//! The recording of a whole call in one piece: what its first leg said and heard, segment after
//! segment, each at its time, with silence where nothing was recorded.

use std::io;

use media::wav;
use store::Format;
use vocab::record::{CallEvent, CallEventKind};
use vocab::{Clip, RecordingId, Wall};

use crate::archive::Source;
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
    /// A part of a recording's file, in a format that it can be had in.
    Audio {
        source: Source,
        format: Format,
        from: u64,
        bytes: u64,
    },
}

impl Span {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Silence(bytes) | Self::Audio { bytes, .. } => *bytes,
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

/// Puts segments together, those that are there.
///
/// # Errors
/// When a file cannot be read; `NotFound` when there is none at all.
pub(super) fn assemble(segments: Vec<(Source, Wall)>) -> io::Result<Whole> {
    let mut whole = Whole::default();
    let mut audio = 0;
    let mut first = None;
    for (source, at) in segments {
        let known = match source.audio() {
            Ok(known) => known,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let first = *first.get_or_insert(at);
        let micros = u64::try_from(at.0 - first.0).unwrap_or(0);
        let due = micros * u64::from(Clip::CLOCK_HZ) / 1_000_000 * FRAME_BYTES;
        let silence = due.saturating_sub(audio);
        whole.changed = whole.changed.max(known.version);
        whole.cut |= known.cut;
        let bytes = known.audio - known.audio % FRAME_BYTES;
        if audio + silence + bytes > AUDIO_BYTES_MAX {
            break;
        }
        if silence > 0 {
            whole.spans.push(Span::Silence(silence));
        }
        let from = wav::HEADER_BYTES as u64;
        whole.spans.push(Span::Audio {
            source,
            format: Format::Wav,
            from,
            bytes,
        });
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
            Span::Audio {
                source,
                format,
                from,
                ..
            } => Span::Audio {
                source: source.clone(),
                format: *format,
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
        let source = Source::some();
        let file = |from, bytes| Span::Audio {
            source: source.clone(),
            format: Format::Wav,
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
