//! Sound files: prompts read, recordings written.

/// Why a sound file could not be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// Not a RIFF/WAVE file at all.
    #[error("not a WAV file")]
    NotWav,
}

/// Length of the header written by [`header`].
pub const HEADER_BYTES: usize = 44;

/// Decodes a WAV file into mono samples at 8,000 a second.
///
/// # Errors
/// [`WavError`] names what is wrong.
pub fn read(bytes: &[u8]) -> Result<Vec<i16>, WavError> {
    let _ = bytes;
    Err(WavError::NotWav)
}

/// The header of a 16 bit PCM file at 8,000 samples a second, holding `frames` frames of
/// `channels` samples each.
pub fn header(channels: u16, frames: u32) -> [u8; HEADER_BYTES] {
    let _ = (channels, frames);
    [0; HEADER_BYTES]
}

/// The header that an interrupted recording of `file_bytes` bytes, header included, should have.
pub fn repair(channels: u16, file_bytes: u64) -> [u8; HEADER_BYTES] {
    let _ = (channels, file_bytes);
    [0; HEADER_BYTES]
}

/// A whole file from interleaved samples.
pub fn write(samples: &[i16], channels: u16) -> Vec<u8> {
    let _ = (samples, channels);
    Vec::new()
}
