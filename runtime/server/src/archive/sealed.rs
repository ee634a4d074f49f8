//! Encrypted files: what is in them can be read at any place, and nothing in them can be changed,
//! cut off or swapped for another file unnoticed.
//!
//! ```text
//! "JFSEAL1\n" | key id, 8 | nonce, 12 | the file's own key, encrypted, 32 + 16 | length of the name, 1 | name
//! then pieces of 65,536 bytes, each with a tag of 16; the last one is shorter, or empty
//! ```
//!
//! Everything is AES-256 in Galois/counter mode (NIST SP 800-38D). The file's own key is random and
//! encrypted with the tenant's, whose id is the beginning of a hash of it. What stands before the
//! pieces is authenticated with the file's key. Pieces are numbered in their nonces, and the last one
//! is marked there: the construction STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (2015).

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

use super::open::place;

const MAGIC: &[u8; 8] = b"JFSEAL1\n";
const TAG: usize = 16;
const KEY: usize = 32;
const ID: usize = 8;

/// Bytes of what is said in a piece.
const PIECE: usize = 1 << 16;

/// Bytes of a header with the longest name.
const HEADER_MAX: usize = MAGIC.len() + ID + NONCE_LEN + KEY + TAG + 1 + 255;

/// A tenant's key.
#[derive(Clone)]
pub(crate) struct Key {
    id: String,
    key: Arc<LessSafeKey>,
}

impl Key {
    /// A key of 32 bytes.
    pub(crate) fn new(bytes: &[u8; KEY]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"jackfield recording key");
        hash.update(bytes);
        let id = hash.finalize();
        Self {
            id: hex(&id[..ID]),
            key: Arc::new(aes(bytes)),
        }
    }

    /// A key written as 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().as_bytes();
        if digits.len() != 2 * KEY || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut bytes = [0; KEY];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self::new(&bytes))
    }

    /// Names it without telling anything of it: 16 hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// The keys that files may have been encrypted with, by their ids.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// These.
    pub(crate) fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self(keys.into_iter().map(|key| (key.id.clone(), key)).collect())
    }

    fn get(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn aes(bytes: &[u8]) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes are a key of AES-256");
    LessSafeKey::new(key)
}

/// The nonce of a piece.
fn nonce(n: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes[NONCE_LEN - 1] = last.into();
    Nonce::assume_unique_for_key(bytes)
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Encrypts what is written to it.
pub(crate) struct Sealer<W: Write> {
    out: W,
    key: LessSafeKey,
    header: Vec<u8>,
    piece: Vec<u8>,
    n: u64,
}

impl<W: Write> Sealer<W> {
    /// Begins a file. Its name is authenticated: read under another one, it is an error.
    ///
    /// # Errors
    /// When it cannot be written, or the system has no randomness.
    ///
    /// # Panics
    /// If the name is longer than 255 bytes.
    pub(crate) fn new(mut out: W, key: &Key, name: &str) -> io::Result<Self> {
        let mut random = [0; KEY + NONCE_LEN];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let (own, wrap) = random.split_at_mut(KEY);
        let mut header = MAGIC.to_vec();
        header.extend(key_id(&key.id)?);
        header.extend_from_slice(wrap);
        let file_key = aes(own);
        let mut wrapped = own.to_vec();
        own.fill(0);
        let wrap = Nonce::try_assume_unique_for_key(wrap).map_err(|_| broken("a nonce"))?;
        key.key
            .seal_in_place_append_tag(wrap, Aad::empty(), &mut wrapped)
            .map_err(|_| broken("the key could not be encrypted"))?;
        header.extend(wrapped);
        let length = u8::try_from(name.len()).expect("names of recordings are short");
        header.push(length);
        header.extend(name.as_bytes());
        out.write_all(&header)?;
        Ok(Self {
            out,
            key: file_key,
            header,
            piece: Vec::with_capacity(PIECE + TAG),
            n: 0,
        })
    }

    fn send(&mut self, last: bool) -> io::Result<()> {
        // The header belongs to the first piece; the others are bound to it by the key.
        let about = if self.n == 0 { &self.header[..] } else { &[] };
        self.key
            .seal_in_place_append_tag(nonce(self.n, last), Aad::from(about), &mut self.piece)
            .map_err(|_| broken("a piece could not be encrypted"))?;
        self.out.write_all(&self.piece)?;
        self.piece.clear();
        self.n += 1;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.send(true)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece waits until it is known whether it is the last one.
        if self.piece.len() == PIECE {
            self.send(false)?;
        }
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn key_id(text: &str) -> io::Result<[u8; ID]> {
    let byte = |n: usize| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..ID).map(byte).collect();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| broken("a key's id"))
}

/// Reads an encrypted file as if it were not.
pub(crate) struct Unsealed<R: Read + Seek> {
    file: R,
    key: LessSafeKey,
    header: Vec<u8>,
    /// Bytes of the file behind the header.
    sealed: u64,
    /// The piece that is in `clear`.
    current: Option<u64>,
    clear: Vec<u8>,
    at: u64,
}

impl<R: Read + Seek> Unsealed<R> {
    /// Opens a file of this name.
    ///
    /// # Errors
    /// `PermissionDenied` if none of the keys is the one it was encrypted with; `InvalidData` if it
    /// is no such file, was changed, cut off, or has another name.
    pub(crate) fn open(mut file: R, keys: &Keys, name: &str) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut header = Vec::new();
        (&mut file)
            .take(HEADER_MAX as u64)
            .read_to_end(&mut header)?;
        let fixed = MAGIC.len() + ID + NONCE_LEN + KEY + TAG;
        if !header.starts_with(MAGIC) || header.len() <= fixed {
            return Err(broken("this is not an encrypted recording"));
        }
        let end = fixed + 1 + usize::from(header[fixed]);
        if header.get(fixed + 1..end) != Some(name.as_bytes()) {
            return Err(broken("this is the file of another recording"));
        }
        header.truncate(end);
        let id = hex(&header[MAGIC.len()..][..ID]);
        let key = keys.get(&id).ok_or_else(|| {
            let what = format!("it was encrypted with the key {id}, which is not configured");
            io::Error::new(io::ErrorKind::PermissionDenied, what)
        })?;
        let wrap = &header[MAGIC.len() + ID..][..NONCE_LEN];
        let wrap = Nonce::try_assume_unique_for_key(wrap).map_err(|_| broken("a nonce"))?;
        let mut own = header[MAGIC.len() + ID + NONCE_LEN..fixed].to_vec();
        let opened = key.key.open_in_place(wrap, Aad::empty(), &mut own);
        let file_key = aes(opened.map_err(|_| broken("the file was changed"))?);
        own.fill(0);
        let mut file = Self {
            file,
            key: file_key,
            sealed: length - end as u64,
            header,
            current: None,
            clear: Vec::new(),
            at: 0,
        };
        // Whether its end is its end.
        file.load(file.last())?;
        Ok(file)
    }

    /// Number of the last piece.
    fn last(&self) -> u64 {
        (self.sealed.max(1) - 1) / (PIECE + TAG) as u64
    }

    /// Length of what is in it.
    pub(crate) fn len(&self) -> u64 {
        self.sealed.saturating_sub((self.last() + 1) * TAG as u64)
    }

    fn load(&mut self, n: u64) -> io::Result<()> {
        if self.current == Some(n) {
            return Ok(());
        }
        self.current = None;
        let whole = (PIECE + TAG) as u64;
        let from = self.header.len() as u64 + n * whole;
        self.file.seek(SeekFrom::Start(from))?;
        self.clear.clear();
        (&mut self.file).take(whole).read_to_end(&mut self.clear)?;
        let about = if n == 0 { &self.header[..] } else { &[] };
        let nonce = nonce(n, n == self.last());
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(about), &mut self.clear);
        let length = opened
            .map_err(|_| broken("the file was changed or cut off"))?
            .len();
        self.clear.truncate(length);
        self.current = Some(n);
        Ok(())
    }
}

impl<R: Read + Seek> Read for Unsealed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.len() || out.is_empty() {
            return Ok(0);
        }
        self.load(self.at / PIECE as u64)?;
        let within = usize::try_from(self.at % PIECE as u64).map_err(io::Error::other)?;
        let rest = self.clear.get(within..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Unsealed<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = place(to, self.at, self.len())?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn key(n: u8) -> Key {
        Key::new(&[n; KEY])
    }

    fn seal(bytes: &[u8], name: &str) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), &key(1), name).expect("begins");
        for piece in bytes.chunks(10_007) {
            sealer.write_all(piece).expect("writes");
        }
        sealer.finish().expect("ends")
    }

    fn open(file: &[u8], name: &str) -> io::Result<Vec<u8>> {
        let keys = Keys::new([key(2), key(1)]);
        let mut opened = Unsealed::open(Cursor::new(file), &keys, name)?;
        let mut all = Vec::new();
        opened.read_to_end(&mut all)?;
        assert_eq!(opened.len(), all.len() as u64);
        Ok(all)
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn what_is_sealed_is_read_whole_and_from_any_place() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 200_003] {
            let clear = bytes(length);
            let sealed = seal(&clear, "a-s1");
            assert!(open(&sealed, "a-s1").expect("opens") == clear, "{length}");
            assert_ne!(sealed, seal(&clear, "a-s1"), "each file has its own key");
        }
        let clear = bytes(200_003);
        let sealed = seal(&clear, "a-s1");
        let keys = Keys::new([key(1)]);
        let mut opened = Unsealed::open(Cursor::new(&sealed), &keys, "a-s1").expect("opens");
        for at in [0, 1, 65_535, 65_536, 131_072, 200_002, 200_003, 300_000] {
            opened.seek(SeekFrom::Start(at as u64)).expect("seeks");
            let mut some = Vec::new();
            (&mut opened)
                .take(100)
                .read_to_end(&mut some)
                .expect("reads");
            let from = at.min(clear.len());
            assert!(some == clear[from..clear.len().min(from + 100)], "{at}");
        }
        assert!(opened.seek(SeekFrom::End(-3)).is_ok_and(|at| at == 200_000));
        assert!(opened.seek(SeekFrom::Current(-300_000)).is_err());
    }

    #[test]
    fn nothing_of_it_can_be_changed_unnoticed() {
        let clear = bytes(150_000);
        let sealed = seal(&clear, "a-s1");
        for at in (0..sealed.len())
            .step_by(997)
            .chain([8, 20, 76, 77, 80, sealed.len() - 1])
        {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, "a-s1").is_err(), "byte {at}");
        }
        let header = sealed.len() - (150_000 + 3 * TAG);
        for length in [
            0,
            50,
            header,
            header + PIECE + TAG,
            header + 2 * (PIECE + TAG),
            sealed.len() - 1,
        ] {
            let error = open(&sealed[..length], "a-s1").map(drop);
            assert!(error.is_err(), "cut off at {length}");
        }
        // Pieces in another order, and the pieces of another file behind this one's header.
        let mut swapped = sealed.clone();
        let (a, b) = swapped[header..].split_at_mut(PIECE + TAG);
        a.swap_with_slice(&mut b[..PIECE + TAG]);
        assert!(open(&swapped, "a-s1").is_err());
        let other = seal(&clear, "a-s1");
        let mixed = [&sealed[..header], &other[header..]].concat();
        assert!(open(&mixed, "a-s1").is_err());
        let error = open(&sealed, "b-s1")
            .map(drop)
            .map_err(|error| error.to_string());
        assert_eq!(
            error,
            Err("this is the file of another recording".to_owned())
        );
    }

    #[test]
    fn without_its_key_nothing_is_read() {
        let sealed = seal(b"what was said", "a-s1");
        assert!(!sealed.windows(8).any(|part| part == b"what was"));
        let keys = Keys::new([key(2)]);
        let error = Unsealed::open(Cursor::new(&sealed), &keys, "a-s1")
            .err()
            .expect("refused");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let text = format!(
            "it was encrypted with the key {}, which is not configured",
            key(1).id()
        );
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn keys_are_read_and_not_shown() {
        let text = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let read = Key::parse(&format!("{text}\n")).expect("a key");
        assert_eq!(format!("{read:?}"), format!("Key({})", read.id()));
        assert!(!text.to_lowercase().contains(read.id()));
        for bad in ["", "00", &text[1..], &text.replace('0', "g")] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }
}
