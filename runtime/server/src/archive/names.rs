//! What recordings' files are called, and where they are.

use std::path::{Path, PathBuf};

use store::{Format, Segment};
use vocab::RecordingId;

/// The folder of those that are being written, or were and are not in the index yet.
pub(crate) fn live_folder(recordings: &Path) -> PathBuf {
    recordings.join("live")
}

/// The file of one that is being written.
pub(crate) fn live(recordings: &Path, id: RecordingId) -> PathBuf {
    live_folder(recordings).join(format!("{id}.wav"))
}

/// What is known of one that is being written.
pub(crate) fn about(recordings: &Path, id: RecordingId) -> PathBuf {
    live_folder(recordings).join(format!("{id}.json"))
}

/// The name of a finished file.
pub(super) fn file(segment: &Segment) -> String {
    let id = segment.recording;
    let coded = match segment.format {
        Format::Wav => "wav",
        Format::Opus => "opus",
    };
    match segment.key {
        None => format!("{id}.{coded}"),
        Some(_) => format!("{id}.{coded}.sealed"),
    }
}

/// A finished file. The folder is the first four characters of the call's id, which change every
/// twelve days: no folder grows without end.
pub(super) fn kept(recordings: &Path, segment: &Segment) -> PathBuf {
    folder(recordings, segment.recording).join(file(segment))
}

/// The file of a recording that a release before the index made, or of one that is neither coded
/// nor encrypted.
pub(crate) fn plain(recordings: &Path, id: RecordingId) -> PathBuf {
    folder(recordings, id).join(format!("{id}.wav"))
}

fn folder(recordings: &Path, id: RecordingId) -> PathBuf {
    let name = id.to_string();
    recordings.join(&name[..4])
}
