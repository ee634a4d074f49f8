//! Sound files: prompts read, recordings written.
//!
//! Reading takes what sound tools write: PCM of 8 to 32 bits, 32 bit float, A-law and µ-law, one
//! or two channels, any usual rate; it comes out as mono at 8,000 samples a second. Writing is
//! 16 bit PCM at that rate, in pieces if need be: a recording starts with the [`header`] of an
//! empty file, grows by samples, and gets its header written again at the end. One that was
//! interrupted gets it from [`repair`].

mod resample;

use crate::g711;
use crate::limits::WAV_BYTES_MAX;

pub use resample::to_8_khz;

/// Length of the header written by [`header`].
pub const HEADER_BYTES: usize = 44;

/// Bytes of a 16 bit sample.
const SAMPLE_BYTES: u32 = 2;

/// Samples a second of what is written, as of every clip.
const CLOCK_HZ: u32 = vocab::Clip::CLOCK_HZ;

/// Rates that are read. Below lies nothing that is speech, above nothing that sound tools write.
const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// Why a sound file could not be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// Not a RIFF/WAVE file at all.
    #[error("not a WAV file")]
    NotWav,
    /// Longer than [`WAV_BYTES_MAX`].
    #[error("longer than {WAV_BYTES_MAX} bytes")]
    TooLong,
    /// It ends before its format is told.
    #[error("cut off before the format")]
    CutOff,
    /// No `fmt ` chunk before the samples.
    #[error("no format before the samples")]
    NoFormat,
    /// No `data` chunk.
    #[error("no samples: the data chunk is missing")]
    NoData,
    /// A `data` chunk without a whole frame.
    #[error("no samples: the data chunk is empty")]
    Empty,
    /// A coding that we do not read, by its number, with its bits a sample.
    #[error("coding {tag} with {bits} bits; PCM, float, A-law and µ-law are read")]
    Coding {
        /// `wFormatTag`: 1 is PCM, 3 float, 6 A-law, 7 µ-law, 85 MP3.
        tag: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// Neither one nor two channels.
    #[error("{0} channels; one or two are read")]
    Channels(u16),
    /// A rate out of the range that is read.
    #[error("{0} samples a second; 4,000 to 192,000 are read")]
    Rate(u32),
    /// The `fmt ` chunk contradicts itself: bytes a frame.
    #[error("{0} bytes a frame do not fit the channels and bits")]
    Frame(u16),
}

/// Decodes a WAV file into mono samples at 8,000 a second.
///
/// Two channels are averaged. A `data` chunk that claims more than there is, as streaming tools
/// write, is read to the end of the file.
///
/// # Errors
/// [`WavError`] names what is wrong.
pub fn read(bytes: &[u8]) -> Result<Vec<i16>, WavError> {
    if bytes.len() > WAV_BYTES_MAX {
        return Err(WavError::TooLong);
    }
    let mut chunks = Chunks::open(bytes)?;
    let mut format = None;
    while let Some((name, chunk)) = chunks.next() {
        match &name {
            b"fmt " => format = Some(Format::read(chunk)?),
            b"data" => return format.ok_or(WavError::NoFormat)?.samples(chunk),
            _ => {}
        }
    }
    Err(if chunks.rest.is_empty() {
        WavError::NoData
    } else {
        WavError::CutOff
    })
}

/// The header of a 16 bit PCM file at 8,000 samples a second, holding `frames` frames of
/// `channels` samples each. With zero frames it begins a file that is still to be written.
///
/// A file that would pass the format's 4 GiB (37 hours of stereo) says it has the most it can.
///
/// # Panics
/// If there are neither one nor two channels.
pub fn header(channels: u16, frames: u32) -> [u8; HEADER_BYTES] {
    assert!(
        (1..=2).contains(&channels),
        "recordings have one or two channels"
    );
    let frame_bytes = u32::from(channels) * SAMPLE_BYTES;
    let frames_max = (u32::MAX - HEADER_BYTES as u32) / frame_bytes;
    let data_bytes = frames.min(frames_max) * frame_bytes;
    let mut header = [0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RIFF");
    put(4, &(data_bytes + HEADER_BYTES as u32 - 8).to_le_bytes());
    put(8, b"WAVEfmt ");
    put(16, &16_u32.to_le_bytes());
    put(20, &1_u16.to_le_bytes());
    put(22, &channels.to_le_bytes());
    put(24, &CLOCK_HZ.to_le_bytes());
    put(28, &(CLOCK_HZ * frame_bytes).to_le_bytes());
    put(32, &(channels * SAMPLE_BYTES as u16).to_le_bytes());
    put(34, &16_u16.to_le_bytes());
    put(36, b"data");
    put(40, &data_bytes.to_le_bytes());
    header
}

/// The header that an interrupted recording of `file_bytes` bytes, header included, should have:
/// that of the whole frames it holds.
///
/// # Panics
/// If there are neither one nor two channels.
pub fn repair(channels: u16, file_bytes: u64) -> [u8; HEADER_BYTES] {
    let frame_bytes = u64::from(channels) * u64::from(SAMPLE_BYTES);
    let data_bytes = file_bytes.saturating_sub(HEADER_BYTES as u64);
    let frames = data_bytes.checked_div(frame_bytes).unwrap_or(0);
    header(channels, u32::try_from(frames).unwrap_or(u32::MAX))
}

/// How many channels a file has whose header [`header`] wrote, whatever lengths it tells; `None`
/// if it is not such a file.
pub fn channels_of(start: &[u8]) -> Option<u16> {
    let start = start.get(..HEADER_BYTES)?;
    [1, 2].into_iter().find(|channels| {
        let ours = header(*channels, 0);
        start[..4] == ours[..4] && start[8..40] == ours[8..40]
    })
}

/// A whole file from samples, interleaved if there are two channels.
///
/// # Panics
/// If there are neither one nor two channels, or the samples are no whole frames.
pub fn write(samples: &[i16], channels: u16) -> Vec<u8> {
    let frames = samples.len() / usize::from(channels.max(1));
    assert_eq!(
        frames * usize::from(channels),
        samples.len(),
        "whole frames"
    );
    let frames = u32::try_from(frames).expect("a file in memory is below 4 GiB");
    let mut file = Vec::with_capacity(HEADER_BYTES + samples.len() * SAMPLE_BYTES as usize);
    file.extend(header(channels, frames));
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

/// The chunks of a RIFF file, in order.
struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    /// The length that RIFF itself tells is not looked at: it is often wrong and never needed.
    fn open(bytes: &'a [u8]) -> Result<Self, WavError> {
        match bytes.split_at_checked(12) {
            Some((head, rest)) if head.starts_with(b"RIFF") && head.ends_with(b"WAVE") => {
                Ok(Self { rest })
            }
            Some(_) | None => Err(WavError::NotWav),
        }
    }

    /// `None` at the end, leaving in `rest` what is not a whole chunk header.
    fn next(&mut self) -> Option<([u8; 4], &'a [u8])> {
        let (head, rest) = self.rest.split_at_checked(8)?;
        let name = head[..4].try_into().expect("four bytes");
        let length = u32::from_le_bytes(head[4..].try_into().expect("four bytes")) as usize;
        let (chunk, rest) = rest.split_at(length.min(rest.len()));
        // Chunks begin at even places.
        self.rest = rest.get(length % 2..).unwrap_or(&[]);
        Some((name, chunk))
    }
}

/// What the `fmt ` chunk tells.
struct Format {
    coding: Coding,
    channels: u16,
    rate_hz: u32,
}

#[derive(Clone, Copy)]
enum Coding {
    Pcm8,
    Pcm16,
    Pcm24,
    Pcm32,
    Float32,
    Alaw,
    Ulaw,
}

impl Format {
    fn read(chunk: &[u8]) -> Result<Self, WavError> {
        let u16_at = |at: usize| {
            let bytes = chunk.get(at..at + 2).ok_or(WavError::CutOff)?;
            Ok(u16::from_le_bytes(bytes.try_into().expect("two bytes")))
        };
        let mut tag = u16_at(0)?;
        let (channels, frame_bytes, bits) = (u16_at(2)?, u16_at(12)?, u16_at(14)?);
        let rate_hz = u32::from(u16_at(4)?) | u32::from(u16_at(6)?) << 16;
        if tag == 0xfffe {
            // WAVE_FORMAT_EXTENSIBLE: the coding is the start of the sub-format's GUID.
            tag = u16_at(24)?;
        }
        let coding = match (tag, bits) {
            (1, 8) => Coding::Pcm8,
            (1, 16) => Coding::Pcm16,
            (1, 24) => Coding::Pcm24,
            (1, 32) => Coding::Pcm32,
            (3, 32) => Coding::Float32,
            (6, 8) => Coding::Alaw,
            (7, 8) => Coding::Ulaw,
            _ => return Err(WavError::Coding { tag, bits }),
        };
        if !(1..=2).contains(&channels) {
            return Err(WavError::Channels(channels));
        }
        if !RATES_HZ.contains(&rate_hz) {
            return Err(WavError::Rate(rate_hz));
        }
        if usize::from(frame_bytes) != coding.bytes() * usize::from(channels) {
            return Err(WavError::Frame(frame_bytes));
        }
        Ok(Self {
            coding,
            channels,
            rate_hz,
        })
    }

    /// Mono samples at 8,000 a second; a broken frame at the end is dropped.
    fn samples(&self, data: &[u8]) -> Result<Vec<i16>, WavError> {
        let (width, channels) = (self.coding.bytes(), usize::from(self.channels));
        let mono = |frame: &[u8]| -> f32 {
            let sum: f32 = frame
                .chunks_exact(width)
                .map(|sample| self.coding.decode(sample))
                .sum();
            sum / channels as f32
        };
        let mono: Vec<f32> = data.chunks_exact(width * channels).map(mono).collect();
        if mono.is_empty() {
            return Err(WavError::Empty);
        }
        Ok(to_8_khz(&mono, self.rate_hz))
    }
}

impl Coding {
    fn bytes(self) -> usize {
        match self {
            Self::Pcm8 | Self::Alaw | Self::Ulaw => 1,
            Self::Pcm16 => 2,
            Self::Pcm24 => 3,
            Self::Pcm32 | Self::Float32 => 4,
        }
    }

    /// One sample on the scale of 16 bits. `bytes` is as long as [`Coding::bytes`] says.
    fn decode(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            // Eight bits are unsigned, all other widths signed.
            (Self::Pcm8, [a]) => (f32::from(*a) - 128.0) * 256.0,
            (Self::Alaw, [a]) => f32::from(g711::alaw_decode(*a)),
            (Self::Ulaw, [a]) => f32::from(g711::ulaw_decode(*a)),
            (Self::Pcm16, [a, b]) => f32::from(i16::from_le_bytes([*a, *b])),
            (Self::Pcm24, [a, b, c]) => i32::from_le_bytes([0, *a, *b, *c]) as f32 / 65_536.0,
            (Self::Pcm32, [a, b, c, d]) => i32::from_le_bytes([*a, *b, *c, *d]) as f32 / 65_536.0,
            (Self::Float32, [a, b, c, d]) => {
                let value = f32::from_le_bytes([*a, *b, *c, *d]);
                if value.is_finite() {
                    value.clamp(-1.0, 1.0) * 32_767.0
                } else {
                    0.0
                }
            }
            (
                Self::Pcm8
                | Self::Pcm16
                | Self::Pcm24
                | Self::Pcm32
                | Self::Float32
                | Self::Alaw
                | Self::Ulaw,
                _,
            ) => unreachable!("chunks are as wide as the coding"),
        }
    }
}

#[cfg(test)]
mod tests;
