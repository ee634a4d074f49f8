//! Opus in Ogg files (RFC 7845): recordings in a tenth of the room of a WAV file.
//!
//! What is written comes from recordings, 16 bits at 8,000 samples a second, and is read back the
//! same way. Two channels stay two: left is one party and right the other.

use std::io::{self, Read, Seek, SeekFrom, Write};

use ogg::reading::{OggReadError, PacketReader};
use ogg::writing::{PacketWriteEndInfo, PacketWriter};

/// Samples a second of what is coded, as of every clip.
const RATE_HZ: u32 = vocab::Clip::CLOCK_HZ;

/// Ticks of the file's clock in one sample of ours: its clock has 48,000 a second whatever is coded
/// (RFC 7845 §4).
const TICKS: u64 = 48_000 / RATE_HZ as u64;

/// Samples of a channel in a packet: 20 ms.
const FRAME: usize = (RATE_HZ / 50) as usize;

/// Packets of a page: a second, so that a place is found without decoding more than two.
const PAGE_PACKETS: u32 = 50;

/// Bits a second of one channel. Speech of telephones has no more than this keeps.
const CHANNEL_BITS: i32 = 20_000;

/// Samples before a place that are decoded to come into step: 80 ms (RFC 7845 §4.6).
const PREROLL: u64 = 4 * FRAME as u64;

/// Longest packet of 20 ms in two channels (RFC 6716 §3.2.1: 1,275 bytes a frame).
const PACKET_BYTES_MAX: usize = 1_275;

/// Longest packet there can be, in samples of a channel: 120 ms.
const PACKET_SAMPLES_MAX: usize = 6 * FRAME;

/// All pages are of the only stream.
const SERIAL: u32 = 1;

fn opus_error(error: opus::Error) -> io::Error {
    io::Error::other(error)
}

/// Writes a file.
pub struct Writer<W: Write> {
    packets: PacketWriter<'static, W>,
    encoder: opus::Encoder,
    channels: usize,
    /// Samples that are no whole packet yet.
    rest: Vec<i16>,
    /// Samples of a channel so far.
    frames: u64,
    /// Samples of a channel in the packets so far.
    coded: u64,
    /// What a decoder leaves out at the beginning, in ticks.
    skip: u16,
    /// The last packet, kept back: it may be the last of the file.
    last: Option<Vec<u8>>,
    in_page: u32,
}

impl<W: Write> Writer<W> {
    /// Begins a file of one channel or two. `comments` are `NAME=value` (RFC 7845 §5.2).
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// If there are neither one nor two channels.
    pub fn new(out: W, channels: u16, comments: &[String]) -> io::Result<Self> {
        assert!(
            (1..=2).contains(&channels),
            "recordings have one or two channels"
        );
        let both = channels == 2;
        let layout = if both {
            opus::Channels::Stereo
        } else {
            opus::Channels::Mono
        };
        let mut encoder =
            opus::Encoder::new(RATE_HZ, layout, opus::Application::Voip).map_err(opus_error)?;
        let bits = CHANNEL_BITS * i32::from(channels);
        encoder
            .set_bitrate(opus::Bitrate::Bits(bits))
            .map_err(opus_error)?;
        encoder
            .set_signal(opus::Signal::Voice)
            .map_err(opus_error)?;
        // Silence costs next to nothing, and there is much of it.
        encoder.set_dtx(true).map_err(opus_error)?;
        let lookahead = encoder.get_lookahead().map_err(opus_error)?;
        let skip = u64::from(lookahead.cast_unsigned()) * TICKS;
        let skip = u16::try_from(skip).map_err(io::Error::other)?;
        let mut packets = PacketWriter::new(out);
        let end = PacketWriteEndInfo::EndPage;
        packets.write_packet(head(channels, skip), SERIAL, end, 0)?;
        packets.write_packet(tags(comments), SERIAL, end, 0)?;
        Ok(Self {
            packets,
            encoder,
            channels: channels.into(),
            rest: Vec::new(),
            frames: 0,
            coded: 0,
            skip,
            last: None,
            in_page: 0,
        })
    }

    /// Samples of a channel so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Adds samples, interleaved if there are two channels; whole frames.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn push(&mut self, samples: &[i16]) -> io::Result<()> {
        self.frames += (samples.len() / self.channels) as u64;
        let mut samples = samples;
        let packet = FRAME * self.channels;
        while self.rest.len() + samples.len() >= packet {
            let (now, later) = samples.split_at(packet - self.rest.len());
            samples = later;
            self.rest.extend_from_slice(now);
            self.code()?;
        }
        self.rest.extend_from_slice(samples);
        Ok(())
    }

    /// Codes what is gathered, a whole packet.
    fn code(&mut self) -> io::Result<()> {
        let packet = self
            .encoder
            .encode_vec(&self.rest, PACKET_BYTES_MAX)
            .map_err(opus_error)?;
        self.rest.clear();
        self.send(false)?;
        self.last = Some(packet);
        self.coded += FRAME as u64;
        Ok(())
    }

    /// Writes the packet that was kept back.
    fn send(&mut self, end: bool) -> io::Result<()> {
        let Some(packet) = self.last.take() else {
            return Ok(());
        };
        self.in_page += 1;
        let (info, ticks) = if end {
            // The end is where the samples end, not the packet (RFC 7845 §4.4).
            let end = self.frames * TICKS + u64::from(self.skip);
            (PacketWriteEndInfo::EndStream, end)
        } else if self.in_page == PAGE_PACKETS {
            self.in_page = 0;
            (PacketWriteEndInfo::EndPage, self.coded * TICKS)
        } else {
            (PacketWriteEndInfo::NormalPacket, self.coded * TICKS)
        };
        self.packets.write_packet(packet, SERIAL, info, ticks)?;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        // The last samples come out of the decoder late by what it leaves out at the beginning.
        let end = self.frames + u64::from(self.skip).div_ceil(TICKS);
        while self.coded < end || self.last.is_none() {
            self.rest.resize(FRAME * self.channels, 0);
            self.code()?;
        }
        self.send(true)?;
        Ok(self.packets.into_inner())
    }
}

/// The identification header (RFC 7845 §5.1).
fn head(channels: u16, skip: u16) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels.to_le_bytes()[0]);
    head.extend(skip.to_le_bytes());
    head.extend(RATE_HZ.to_le_bytes());
    // Neither gain nor a mapping of channels.
    head.extend([0, 0, 0]);
    head
}

/// The comment header (RFC 7845 §5.2).
fn tags(comments: &[String]) -> Vec<u8> {
    let mut tags = b"OpusTags".to_vec();
    let mut text = |text: &str| {
        tags.extend(u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        tags.extend(text.as_bytes());
    };
    text("jackfield");
    let count = u32::try_from(comments.len()).unwrap_or(0);
    tags.extend(count.to_le_bytes());
    let mut text = |text: &str| {
        tags.extend(u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        tags.extend(text.as_bytes());
    };
    comments.iter().for_each(|comment| text(comment));
    tags
}

/// Reads a file of this module's, or any of one or two channels, at 8,000 samples a second.
pub struct Reader<R: Read + Seek> {
    packets: PacketReader<R>,
    decoder: opus::Decoder,
    channels: usize,
    /// What is left out at the beginning, in samples of a channel.
    skip: u64,
    /// Samples of a channel in the file.
    frames: u64,
    /// Decoded and not yet given, interleaved.
    ready: Vec<i16>,
    given: usize,
    /// The place in the stream behind `ready`, in samples of a channel, what is left out included.
    /// `None` until the end of a page tells.
    at: Option<u64>,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the beginning and the end of a file.
    ///
    /// # Errors
    /// `InvalidData` if it is no such file; else what the file's reader says.
    pub fn new(mut file: R) -> io::Result<Self> {
        let end = last_ticks(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        let mut packets = PacketReader::new(file);
        let head = packets.read_packet().map_err(ogg_error)?;
        let head = head.ok_or_else(|| bad("the file is empty"))?;
        let (channels, skip) = read_head(&head.data)?;
        let tags = packets.read_packet().map_err(ogg_error)?;
        if !tags.is_some_and(|tags| tags.data.starts_with(b"OpusTags")) {
            return Err(bad("no comments behind the head"));
        }
        let layout = if channels == 2 {
            opus::Channels::Stereo
        } else {
            opus::Channels::Mono
        };
        Ok(Self {
            packets,
            decoder: opus::Decoder::new(RATE_HZ, layout).map_err(opus_error)?,
            channels: channels.into(),
            skip: u64::from(skip) / TICKS,
            frames: end.saturating_sub(skip.into()) / TICKS,
            ready: Vec::new(),
            given: 0,
            at: Some(0),
        })
    }

    /// Channels: one or two.
    pub fn channels(&self) -> u16 {
        if self.channels == 2 { 2 } else { 1 }
    }

    /// Samples of a channel in the file.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Gives the samples that follow, interleaved if there are two channels; less than there is room
    /// for at the end only.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, out: &mut [i16]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            if self.given == self.ready.len() && !self.decode()? {
                break;
            }
            let count = (out.len() - filled).min(self.ready.len() - self.given);
            let now = &self.ready[self.given..self.given + count];
            out[filled..filled + count].copy_from_slice(now);
            (filled, self.given) = (filled + count, self.given + count);
        }
        Ok(filled)
    }

    /// Goes to a place, in samples of a channel from the beginning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn seek(&mut self, frame: u64) -> io::Result<()> {
        let target = frame.min(self.frames) + self.skip;
        let page = u64::from(PAGE_PACKETS) * FRAME as u64;
        let from = target.saturating_sub(2 * page + PREROLL);
        if from > 0 {
            self.restart(from * TICKS)?;
            // The place of what comes first is known at the end of its page.
            while self.at.is_none() && self.packet()? {}
            if self.at.is_none_or(|at| at + PREROLL > target) {
                self.restart(0)?;
            }
        } else {
            self.restart(0)?;
        }
        self.ready.clear();
        self.given = 0;
        while self.at.is_some_and(|at| at < target) {
            if !self.packet()? {
                return Ok(());
            }
            let at = self.at.unwrap_or(target);
            if at > target {
                let keep = usize::try_from(at - target).unwrap_or(usize::MAX);
                let keep = keep.saturating_mul(self.channels).min(self.ready.len());
                self.given = self.ready.len() - keep;
            } else {
                self.given = self.ready.len();
            }
        }
        self.trim();
        Ok(())
    }

    /// Goes near a place of the file's clock, or to the beginning.
    fn restart(&mut self, ticks: u64) -> io::Result<()> {
        self.decoder.reset_state().map_err(opus_error)?;
        if ticks > 0 {
            let found = self.packets.seek_absgp(Some(SERIAL), ticks);
            if found.map_err(ogg_error)? {
                self.at = None;
                return Ok(());
            }
        }
        self.packets.seek_bytes(SeekFrom::Start(0))?;
        self.packets.delete_unread_packets();
        for _ in ["head", "tags"] {
            self.packets.read_packet().map_err(ogg_error)?;
        }
        self.at = Some(0);
        Ok(())
    }

    /// Decodes what comes next; `false` at the end.
    fn decode(&mut self) -> io::Result<bool> {
        loop {
            let before = self.at.unwrap_or(0);
            if !self.packet()? {
                return Ok(false);
            }
            // What a decoder gives at first was never said.
            let skip = self.skip.saturating_sub(before);
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            self.given = skip.saturating_mul(self.channels).min(self.ready.len());
            self.trim();
            if self.given < self.ready.len() {
                return Ok(true);
            }
        }
    }

    /// Leaves out what is behind the end.
    fn trim(&mut self) {
        let end = self.skip + self.frames;
        let over = self.at.unwrap_or(0).saturating_sub(end);
        let over = usize::try_from(over).unwrap_or(usize::MAX);
        let over = over.saturating_mul(self.channels).min(self.ready.len());
        self.ready.truncate(self.ready.len() - over);
        self.given = self.given.min(self.ready.len());
    }

    /// Decodes one packet into `ready`; `false` at the end.
    fn packet(&mut self) -> io::Result<bool> {
        self.ready.clear();
        self.given = 0;
        let Some(packet) = self.packets.read_packet().map_err(ogg_error)? else {
            return Ok(false);
        };
        self.ready.resize(PACKET_SAMPLES_MAX * self.channels, 0);
        let frames = self.decoder.decode(&packet.data, &mut self.ready, false);
        let frames = frames.map_err(|error| bad(&error.to_string()))?;
        self.ready.truncate(frames * self.channels);
        self.at = match self.at {
            Some(at) => Some(at + frames as u64),
            None if packet.last_in_page() => Some(packet.absgp_page() / TICKS),
            None => None,
        };
        Ok(true)
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("no Ogg Opus file: {what}"),
    )
}

fn ogg_error(error: OggReadError) -> io::Error {
    match error {
        OggReadError::ReadError(error) => error,
        OggReadError::NoCapturePatternFound
        | OggReadError::InvalidStreamStructVer(_)
        | OggReadError::HashMismatch(..)
        | OggReadError::InvalidData => bad(&error.to_string()),
    }
}

/// Channels, and the ticks that are left out at the beginning.
fn read_head(head: &[u8]) -> io::Result<(u8, u16)> {
    let known = head.len() >= 19 && head.starts_with(b"OpusHead") && head[8] & 0xf0 == 0;
    if !known {
        return Err(bad("it does not begin with an Opus head"));
    }
    if head[18] != 0 || !(1..=2).contains(&head[9]) {
        return Err(bad("more than two channels"));
    }
    Ok((head[9], u16::from_le_bytes([head[10], head[11]])))
}

/// The clock at the end of the file: the last page's.
fn last_ticks(file: &mut (impl Read + Seek)) -> io::Result<u64> {
    // The longest page there can be (RFC 3533 §6).
    const PAGE_BYTES_MAX: u64 = 65_307;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(PAGE_BYTES_MAX)))?;
    let mut end = Vec::new();
    file.take(PAGE_BYTES_MAX).read_to_end(&mut end)?;
    let pages = end.windows(14).rev();
    let mut pages = pages.filter(|page| page.starts_with(b"OggS\0"));
    let page = pages.next().ok_or_else(|| bad("no page"))?;
    let ticks: [u8; 8] = page[6..14].try_into().map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(ticks))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::io::Cursor;

    use super::*;

    /// So many samples of a tone, which gets louder, so that places differ.
    fn tone(hz: f64, frames: usize) -> Vec<i16> {
        let sample = |n: usize| {
            let at = n as f64 / f64::from(RATE_HZ);
            let level = 2_000.0 + 6_000.0 * n as f64 / frames as f64;
            (level * (TAU * hz * at).sin()) as i16
        };
        (0..frames).map(sample).collect()
    }

    fn both(left: &[i16], right: &[i16]) -> Vec<i16> {
        let pairs = left.iter().zip(right);
        pairs.flat_map(|(left, right)| [*left, *right]).collect()
    }

    fn write(samples: &[i16], channels: u16, piece: usize) -> Vec<u8> {
        let comments = ["TITLE=a call".to_owned()];
        let mut writer = Writer::new(Vec::new(), channels, &comments).expect("begins");
        for piece in samples.chunks(piece * usize::from(channels)) {
            writer.push(piece).expect("takes samples");
        }
        assert_eq!(
            writer.frames(),
            (samples.len() / usize::from(channels)) as u64
        );
        writer.finish().expect("ends")
    }

    fn read(reader: &mut Reader<Cursor<Vec<u8>>>, piece: usize) -> Vec<i16> {
        let mut all = Vec::new();
        loop {
            let mut out = vec![0; piece];
            let count = reader.read(&mut out).expect("reads");
            all.extend_from_slice(&out[..count]);
            if count < piece {
                return all;
            }
        }
    }

    /// Power of the difference below that of the signal, in dB.
    fn snr(signal: &[i16], heard: &[i16]) -> f64 {
        let power = |it: &mut dyn Iterator<Item = f64>| it.map(|it| it * it).sum::<f64>();
        let differ = signal
            .iter()
            .zip(heard)
            .map(|(a, b)| f64::from(*a) - f64::from(*b));
        let noise = power(&mut { differ }).max(1.0);
        10.0 * (power(&mut signal.iter().map(|it| f64::from(*it))) / noise).log10()
    }

    #[test]
    fn what_is_written_is_read_back_at_its_place_and_length() {
        for frames in [0, 1, 159, 160, 8_000, 80_003] {
            for channels in [1, 2] {
                let left = tone(440.0, frames);
                let samples = match channels {
                    1 => left.clone(),
                    _ => both(&left, &tone(620.0, frames)),
                };
                let file = write(&samples, channels, 1_000);
                let mut reader = Reader::new(Cursor::new(file)).expect("a file");
                assert_eq!(
                    (reader.channels(), reader.frames()),
                    (channels, frames as u64)
                );
                let heard = read(&mut reader, 777);
                assert_eq!(heard.len(), samples.len(), "{frames} {channels}");
                if frames >= 8_000 {
                    // Opus keeps how speech sounds, not its waveform; its time it keeps exactly.
                    let width = usize::from(channels);
                    let at = |lag: usize| {
                        snr(
                            &samples[..frames * width - 16 * width],
                            &heard[lag * width..],
                        )
                    };
                    let early = snr(&samples[8 * width..], &heard);
                    assert!(at(0) > 5.0, "{frames} {channels}: {:.1} dB", at(0));
                    assert!((1..8).all(|lag| at(lag) < at(0)) && early < at(0));
                }
            }
        }
    }

    #[test]
    fn a_place_is_found_without_what_is_before() {
        let frames = 90_000;
        let samples = both(&tone(440.0, frames), &tone(620.0, frames));
        let mut reader = Reader::new(Cursor::new(write(&samples, 2, 4_321))).expect("a file");
        let whole = read(&mut reader, 1_000);
        for frame in [
            0, 1, 500, 8_000, 16_100, 40_000, 71_999, 89_999, 90_000, 100_000,
        ] {
            reader.seek(frame as u64).expect("seeks");
            let rest = read(&mut reader, 1_000);
            let from = frame.min(frames) * 2;
            assert_eq!(rest.len(), whole.len() - from, "{frame}");
            if rest.len() > 2_000 {
                let snr = snr(&whole[from..], &rest);
                assert!(snr > 30.0, "{frame}: {snr:.1} dB");
            }
        }
    }

    #[test]
    fn each_channel_holds_its_own_party() {
        let frames = 40_000;
        let silence = vec![0; frames];
        for left in [true, false] {
            let voice = tone(440.0, frames);
            let samples = if left {
                both(&voice, &silence)
            } else {
                both(&silence, &voice)
            };
            let mut reader = Reader::new(Cursor::new(write(&samples, 2, 160))).expect("a file");
            let heard = read(&mut reader, 160);
            let level = |channel: usize| {
                let of = heard.iter().skip(channel).step_by(2);
                let power: f64 = of.map(|it| f64::from(*it).powi(2)).sum();
                10.0 * (power / frames as f64).max(1e-3).log10()
            };
            let apart = (level(0) - level(1)) * if left { 1.0 } else { -1.0 };
            assert!(apart > 25.0, "{apart:.1} dB apart");
        }
    }

    #[test]
    fn silence_takes_no_room() {
        let file = write(&vec![0; 8_000 * 60], 1, 8_000);
        assert!(file.len() < 20_000, "{} bytes for a minute", file.len());
        let speech = write(&tone(300.0, 8_000 * 60), 1, 8_000);
        assert!(
            speech.len() < 220_000,
            "{} bytes for a minute",
            speech.len()
        );
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let whole = write(&tone(440.0, 16_000), 1, 160);
        for (bytes, what) in [
            (Vec::new(), "no page"),
            (b"RIFF and so on, long enough".to_vec(), "no page"),
            (whole[..27].to_vec(), "end of file"),
            ([&whole[..40], &[0; 60][..]].concat(), "page"),
        ] {
            let error = Reader::new(Cursor::new(bytes))
                .err()
                .map(|it| it.to_string());
            assert!(error.is_some(), "{what}");
        }
        // Bytes that are broken are an error or less audio, and never a panic.
        for at in (0..whole.len()).step_by(7) {
            let mut broken = whole.clone();
            broken[at] ^= 0x55;
            let Ok(mut reader) = Reader::new(Cursor::new(broken)) else {
                continue;
            };
            let mut out = [0; 1_000];
            while reader.read(&mut out).is_ok_and(|count| count == out.len()) {}
            drop(reader.seek(8_000));
        }
    }
}
