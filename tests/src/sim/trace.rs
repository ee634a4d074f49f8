//! What happened, as text: hashed whole, the last lines kept.

use std::collections::VecDeque;
use std::fmt;

use sha2::{Digest, Sha256};
use vocab::Mono;

/// Lines kept for a failure: what led to it fits, and it can be read.
const LAST: usize = 200;

/// Everything that happened, in order. Two runs of one seed have the same [`Fingerprint`].
#[derive(Debug, Default)]
pub struct Trace {
    hash: Sha256,
    lines: u64,
    packets: u64,
    last: VecDeque<String>,
    keep_all: bool,
}

/// A whole trace in short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    /// Lines of text.
    pub lines: u64,
    /// Media packets, which have no lines.
    pub packets: u64,
    /// SHA-256 over all of it, in hexadecimal.
    pub sha256: String,
}

impl Trace {
    /// An empty trace; one that keeps all its lines if asked.
    pub fn new(keep_all: bool) -> Self {
        Self {
            keep_all,
            ..Self::default()
        }
    }

    /// Adds a line.
    pub fn line(&mut self, now: Mono, text: fmt::Arguments<'_>) {
        let line = format!("{:>11.6} {text}", now.0 as f64 / 1e9);
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.lines += 1;
        if self.last.len() >= LAST && !self.keep_all {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Adds a media packet: too many for lines, but they count for the fingerprint.
    pub fn packet(&mut self, now: Mono, bytes: &[u8]) {
        self.hash.update(now.0.to_le_bytes());
        self.hash.update(bytes);
        self.packets += 1;
    }

    /// The last lines, oldest first.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    /// The trace in short.
    pub fn fingerprint(&self) -> Fingerprint {
        let sha256 = self
            .hash
            .clone()
            .finalize()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        Fingerprint {
            lines: self.lines,
            packets: self.packets,
            sha256,
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lines, {} packets, {}",
            self.lines,
            self.packets,
            &self.sha256[..16]
        )
    }
}
