//! Finished audio read as a WAV file, whatever it is kept as.

use std::io::{self, Read, Seek, SeekFrom};

use media::{ogg_opus, wav};

use super::open::place;

/// Bytes that can be read from any place.
pub(crate) trait Bytes: Read + Seek + Send {}

impl<T: Read + Seek + Send> Bytes for T {}

/// Samples decoded at a time: 100 ms of two channels.
const SAMPLES: usize = 1_600;

/// An Opus file as the WAV file that it would be.
pub(super) struct Decoded<R: Read + Seek> {
    opus: ogg_opus::Reader<R>,
    header: [u8; wav::HEADER_BYTES],
    length: u64,
    at: u64,
    /// Samples from here on are what the reader gives next, and what is in `ready`.
    next: u64,
    ready: Vec<u8>,
}

impl<R: Read + Seek> Decoded<R> {
    /// Opens an Opus file.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub(super) fn open(file: R) -> io::Result<Self> {
        let opus = ogg_opus::Reader::new(file)?;
        let frames = u32::try_from(opus.frames()).map_err(io::Error::other)?;
        let header = wav::header(opus.channels(), frames);
        let audio = opus.frames() * 2 * u64::from(opus.channels());
        Ok(Self {
            opus,
            length: header.len() as u64 + audio,
            header,
            at: 0,
            next: wav::HEADER_BYTES as u64,
            ready: Vec::new(),
        })
    }

    /// Goes to where `at` is, if what comes next is something else.
    fn find(&mut self) -> io::Result<()> {
        if self.next == self.at {
            return Ok(());
        }
        let frame = 2 * u64::from(self.opus.channels());
        let audio = self.at - wav::HEADER_BYTES as u64;
        self.opus.seek(audio / frame)?;
        self.ready.clear();
        self.next = self.at - audio % frame;
        // The rest of a frame begins within it.
        let skip = usize::try_from(audio % frame).map_err(io::Error::other)?;
        if skip > 0 {
            self.fill()?;
            self.ready.drain(..skip.min(self.ready.len()));
            self.next = self.at;
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut samples = [0; SAMPLES];
        let count = self.opus.read(&mut samples)?;
        let samples = samples[..count].iter();
        self.ready
            .extend(samples.flat_map(|sample| sample.to_le_bytes()));
        Ok(())
    }
}

impl<R: Read + Seek> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let header = usize::try_from(self.at).ok();
        let header = header
            .and_then(|at| self.header.get(at..))
            .unwrap_or_default();
        if !header.is_empty() {
            let count = header.len().min(out.len());
            out[..count].copy_from_slice(&header[..count]);
            self.at += count as u64;
            return Ok(count);
        }
        if self.at >= self.length || out.is_empty() {
            return Ok(0);
        }
        self.find()?;
        if self.ready.is_empty() {
            self.fill()?;
        }
        let count = self.ready.len().min(out.len());
        out[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        self.at += count as u64;
        self.next = self.at;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Decoded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = place(to, self.at, self.length)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn any_part_is_the_same_as_of_the_whole() {
        let sample = |n: i32| ((f64::from(n) * 0.3).sin() * f64::from(n % 8_000)) as i16;
        let samples: Vec<i16> = (0..2 * 40_001).map(sample).collect();
        let mut writer = ogg_opus::Writer::new(Vec::new(), 2, &[]).expect("begins");
        writer.push(&samples).expect("writes");
        let file = writer.finish().expect("ends");
        let open = || Decoded::open(Cursor::new(file.clone())).expect("opens");
        let mut whole = Vec::new();
        open().read_to_end(&mut whole).expect("reads");
        assert_eq!(whole.len(), 44 + 4 * 40_001);
        assert_eq!(wav::read(&whole).expect("a WAV file").len(), 40_001);

        let mut part = open();
        for (from, count) in [
            (0, 10),
            (40, 100),
            (44, 4),
            (45, 50),
            (46, 3),
            (10_000, 7_777),
            (17_777, 9),
            (9, 60),
            (160_040, 100),
            (200_000, 5),
        ] {
            part.seek(SeekFrom::Start(from)).expect("seeks");
            let mut some = Vec::new();
            (&mut part)
                .take(count)
                .read_to_end(&mut some)
                .expect("reads");
            let from = usize::try_from(from).expect("small").min(whole.len());
            let count = usize::try_from(count).expect("small");
            let expected = &whole[from..whole.len().min(from + count)];
            assert_eq!(some.len(), expected.len(), "{from}");
            // Another beginning may round a sample the other way.
            let sample = |bytes: &[u8]| i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
            if from >= 44 && from % 2 == 0 {
                let mut pairs = some.chunks_exact(2).zip(expected.chunks_exact(2));
                assert!(
                    pairs.all(|(a, b)| (sample(a) - sample(b)).abs() < 400),
                    "{from}"
                );
            }
        }
    }
}
