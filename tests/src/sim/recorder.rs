//! Recording files of the simulation: only how long they are, and whether the disk took them.

use std::collections::BTreeMap;
use std::time::Duration;

use media::RecordingOutput;
use vocab::RecordingId;

/// The files that are being written.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    open: BTreeMap<RecordingId, File>,
}

#[derive(Debug)]
struct File {
    channels: u16,
    samples: usize,
}

impl Recorder {
    /// Takes what a worker hands over. Gives what is kept if the recording ends here.
    pub(super) fn take(
        &mut self,
        id: RecordingId,
        what: &RecordingOutput,
        full: bool,
    ) -> Option<Duration> {
        match what {
            RecordingOutput::Start { .. } if full => return Some(Duration::ZERO),
            RecordingOutput::Start { channels, .. } => {
                let (channels, samples) = (*channels, 0);
                self.open.insert(id, File { channels, samples });
            }
            RecordingOutput::Samples(_) if full => {
                let File { channels, samples } = self.open.remove(&id)?;
                let frames = samples / usize::from(channels.max(1));
                return Some(Duration::from_micros(125) * u32::try_from(frames).ok()?);
            }
            RecordingOutput::Samples(more) => {
                if let Some(file) = self.open.get_mut(&id) {
                    file.samples += more.len();
                }
            }
            RecordingOutput::End { .. } => {
                self.open.remove(&id);
            }
        }
        None
    }
}
