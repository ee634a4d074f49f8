//! Sound files of every usual kind become samples: WAV, MP3, FLAC, and Opus or Vorbis in Ogg.
//!
//! What a file is, its first bytes tell and not its name. The bound of a file is its length before and
//! after decoding, so that a small file that unpacks to days of sound is refused, too.

use std::io::{self, Cursor};

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use crate::limits::{SOUND_FRAMES_MAX, WAV_BYTES_MAX};
use crate::ogg_opus;
use crate::wav::{self, WavError};

/// Endings of the files that are read, without their dot.
pub const ENDINGS: [&str; 5] = ["wav", "mp3", "flac", "opus", "ogg"];

/// Rates that are read: what sound tools write.
const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// Broken packets in a file that is still read; a few are left out, as players do.
const BROKEN_MAX: usize = 16;

/// Why a sound file could not be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SoundError {
    /// It is a WAV file, and cannot be read.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// Not a kind that is read.
    #[error("not a sound file that is read: WAV, MP3, FLAC, Opus or Vorbis")]
    Unknown,
    /// Longer than [`WAV_BYTES_MAX`].
    #[error("longer than {WAV_BYTES_MAX} bytes")]
    TooLarge,
    /// It unpacks to more than [`SOUND_FRAMES_MAX`].
    #[error("more than {} minutes of sound", SOUND_FRAMES_MAX / 48_000 / 60)]
    TooLong,
    /// No sound in it.
    #[error("no sound in it")]
    Empty,
    /// A rate or a number of channels that is not read.
    #[error(
        "{channels} channels at {rate_hz} samples a second; up to 8 at 4,000 to 192,000 are read"
    )]
    Shape {
        /// Channels.
        channels: usize,
        /// Samples a second.
        rate_hz: u32,
    },
    /// It is broken.
    #[error("broken: {0}")]
    Broken(String),
}

/// Decodes a sound file into mono samples at 8,000 a second; channels are averaged.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Vec<i16>, SoundError> {
    if bytes.len() > WAV_BYTES_MAX {
        return Err(SoundError::TooLarge);
    }
    if bytes.starts_with(b"RIFF") {
        return Ok(wav::read(bytes)?);
    }
    let opus = bytes.get(28..36) == Some(b"OpusHead");
    if bytes.starts_with(b"OggS") && opus {
        return opus_samples(bytes);
    }
    // MP3 has no magic number: a tag, or the eleven bits that each frame begins with.
    let mp3 = bytes.starts_with(b"ID3")
        || (bytes.len() > 1 && bytes[0] == 0xff && bytes[1] & 0xe0 == 0xe0);
    if mp3 || bytes.starts_with(b"fLaC") || bytes.starts_with(b"OggS") {
        return decoded(bytes);
    }
    Err(SoundError::Unknown)
}

/// The kind of a sound file by its first bytes: one of [`ENDINGS`].
pub fn kind(bytes: &[u8]) -> Option<&'static str> {
    let opus = bytes.get(28..36) == Some(b"OpusHead");
    match bytes {
        [b'R', b'I', b'F', b'F', ..] => Some("wav"),
        [b'f', b'L', b'a', b'C', ..] => Some("flac"),
        [b'O', b'g', b'g', b'S', ..] if opus => Some("opus"),
        [b'O', b'g', b'g', b'S', ..] => Some("ogg"),
        [b'I', b'D', b'3', ..] => Some("mp3"),
        [0xff, second, ..] if second & 0xe0 == 0xe0 => Some("mp3"),
        _ => None,
    }
}

fn broken(error: impl std::fmt::Display) -> SoundError {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(200));
    SoundError::Broken(text)
}

fn opus_samples(bytes: &[u8]) -> Result<Vec<i16>, SoundError> {
    let mut reader = ogg_opus::Reader::new(Cursor::new(bytes)).map_err(broken)?;
    let channels = usize::from(reader.channels());
    let frames = usize::try_from(reader.frames()).unwrap_or(usize::MAX);
    if frames > SOUND_FRAMES_MAX {
        return Err(SoundError::TooLong);
    }
    let mut samples = Vec::new();
    let mut piece = vec![0; 8_000 * channels];
    loop {
        let count = reader.read(&mut piece).map_err(broken)?;
        let frames = piece[..count].chunks_exact(channels);
        samples.extend(frames.map(|frame| {
            let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
            i16::try_from(sum / frame.len() as i32).unwrap_or(0)
        }));
        if samples.len() > SOUND_FRAMES_MAX {
            return Err(SoundError::TooLong);
        }
        if count < piece.len() {
            break;
        }
    }
    if samples.is_empty() {
        return Err(SoundError::Empty);
    }
    Ok(samples)
}

/// What the library reads.
fn decoded(bytes: &[u8]) -> Result<Vec<i16>, SoundError> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes.to_vec())), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(broken)?;
    let track = format.default_track(TrackType::Audio);
    let track = track.ok_or(SoundError::Empty)?;
    let id = track.id;
    let params = track.codec_params.as_ref().and_then(|it| it.audio());
    let params = params.ok_or(SoundError::Empty)?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default())
        .map_err(broken)?;
    let mut rate_hz = 0;
    let mut mono: Vec<f32> = Vec::new();
    let mut piece: Vec<f32> = Vec::new();
    let mut wrong = 0;
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // Cut off: what came before is heard.
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(broken(error)),
        };
        if packet.track_id != id {
            continue;
        }
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            Err(Error::DecodeError(why)) => {
                wrong += 1;
                if wrong > BROKEN_MAX {
                    return Err(broken(why));
                }
                continue;
            }
            Err(error) => return Err(broken(error)),
        };
        let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
        let same = rate_hz == 0 || rate == rate_hz;
        if !RATES_HZ.contains(&rate) || !(1..=8).contains(&channels) || !same {
            return Err(SoundError::Shape {
                channels,
                rate_hz: rate,
            });
        }
        rate_hz = rate;
        piece.resize(buffer.samples_interleaved(), 0.0);
        buffer.copy_to_slice_interleaved(&mut piece);
        if mono.len() + piece.len() / channels > SOUND_FRAMES_MAX {
            return Err(SoundError::TooLong);
        }
        let scale = 32_768.0 / channels as f32;
        let frames = piece.chunks_exact(channels);
        mono.extend(frames.map(|frame| frame.iter().sum::<f32>() * scale));
    }
    if mono.is_empty() {
        return Err(SoundError::Empty);
    }
    Ok(wav::to_8_khz(&mono, rate_hz))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// What `sox`, `lame` and `opusenc` make of a second of 1,000 Hz at half of full scale, as files of each kind.
    const FILES: [(&str, &[u8]); 4] = [
        ("mp3", include_bytes!("sound/tone.mp3")),
        ("flac", include_bytes!("sound/tone.flac")),
        ("ogg", include_bytes!("sound/tone.ogg")),
        ("opus", include_bytes!("sound/tone.opus")),
    ];

    /// Level at a frequency, relative to full scale, in dB.
    fn level(samples: &[i16], hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let at = TAU * hz * n as f64 / 8_000.0;
            re += f64::from(*sample) * at.cos();
            im += f64::from(*sample) * at.sin();
        }
        let amplitude = 2.0 * re.hypot(im) / samples.len() as f64;
        20.0 * (amplitude / 32_768.0).max(1e-9).log10()
    }

    #[test]
    fn every_kind_sounds_as_it_should() {
        for (name, file) in FILES {
            assert_eq!(kind(file), Some(name));
            let samples = read(file).expect(name);
            let seconds = samples.len() as f64 / 8_000.0;
            assert!((0.95..1.12).contains(&seconds), "{name}: {seconds} s");
            let middle = &samples[1_600..7_200];
            let tone = level(middle, 1_000.0);
            assert!((-7.5..-4.5).contains(&tone), "{name}: {tone:.1} dB");
            for other in [500.0, 1_500.0, 3_000.0] {
                let other = level(middle, other);
                assert!(
                    other < tone - 35.0,
                    "{name}: {other:.1} dB beside {tone:.1} dB"
                );
            }
        }
        let wav = wav::write(&[1_000; 800], 1);
        assert_eq!(
            (kind(&wav), read(&wav).map(|it| it.len())),
            (Some("wav"), Ok(800))
        );
    }

    #[test]
    fn what_is_no_sound_says_so() {
        for (bytes, said) in [
            (
                &b""[..],
                "not a sound file that is read: WAV, MP3, FLAC, Opus or Vorbis",
            ),
            (
                b"<html>not found</html>",
                "not a sound file that is read: WAV, MP3, FLAC, Opus or Vorbis",
            ),
            (b"RIFF....", "not a WAV file"),
            (b"fLaC", "broken"),
            (b"OggS\0\0", "broken"),
            (b"ID3\x04\0\0\0\0\0\0", "broken"),
        ] {
            let error = read(bytes).expect_err("refused").to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let large = vec![0; WAV_BYTES_MAX + 1];
        assert_eq!(read(&large), Err(SoundError::TooLarge));
    }

    #[test]
    fn broken_files_are_refused_or_shorter_and_never_more() {
        for (name, file) in FILES {
            for cut in [10, 40, 100, file.len() / 2, file.len() - 3] {
                if let Ok(samples) = read(&file[..cut.min(file.len())]) {
                    assert!(samples.len() < 10_000, "{name} cut at {cut}");
                }
            }
            for at in (0..file.len()).step_by(13) {
                let mut broken = file.to_vec();
                broken[at] ^= 0xa5;
                if let Ok(samples) = read(&broken) {
                    assert!(
                        samples.len() <= 10_000,
                        "{name} broken at {at}: {}",
                        samples.len()
                    );
                }
            }
        }
    }
}
