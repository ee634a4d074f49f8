//! What went over a phone's sockets, for a capture file.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use vocab::Wall;

use super::line::Line;
use crate::cli::complain;
use crate::trace::{Packet, mask, pcap};

/// Bytes that are kept: forty minutes of a call with G.711, both ways.
const BYTES_MAX: usize = 64 << 20;

/// Bytes of one packet, so that it fits into one of IP with its headers.
const PACKET_BYTES_MAX: usize = 65_000;

/// Memory that a packet costs beside its bytes.
const OVERHEAD: usize = 120;

/// Packets in the order in which they were read and written.
#[derive(Debug, Default)]
pub(super) struct Capture {
    packets: Vec<Kept>,
    bytes: usize,
    /// Packets that were not kept, because there were too many or one was too large.
    left_out: u64,
}

#[derive(Debug)]
struct Kept {
    at: Wall,
    datagram: bool,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Box<[u8]>,
}

impl Capture {
    /// Keeps a SIP message; credentials in it are masked.
    pub(super) fn message(
        &mut self,
        at: Wall,
        datagram: bool,
        ends: (SocketAddr, SocketAddr),
        bytes: &[u8],
    ) {
        let mut bytes = bytes.to_vec();
        mask(&mut bytes);
        self.keep(at, datagram, ends, &bytes);
    }

    /// Keeps a packet of audio, or a report on it.
    pub(super) fn media(&mut self, at: Wall, ends: (SocketAddr, SocketAddr), bytes: &[u8]) {
        self.keep(at, true, ends, bytes);
    }

    fn keep(
        &mut self,
        at: Wall,
        datagram: bool,
        (from, to): (SocketAddr, SocketAddr),
        bytes: &[u8],
    ) {
        let cost = bytes.len() + OVERHEAD;
        if bytes.len() > PACKET_BYTES_MAX || self.bytes + cost > BYTES_MAX {
            self.left_out += 1;
            return;
        }
        self.bytes += cost;
        let bytes = bytes.into();
        self.packets.push(Kept {
            at,
            datagram,
            from,
            to,
            bytes,
        });
    }

    /// Writes the file.
    fn write(&self, file: &Path) -> anyhow::Result<()> {
        let packets = self.packets.iter().map(|kept| Packet {
            at: kept.at,
            datagram: kept.datagram,
            from: kept.from,
            to: kept.to,
            bytes: &kept.bytes,
        });
        std::fs::write(file, pcap(packets))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Makes sure that the file can be written: a call is not worth making if not.
pub(super) fn check(file: Option<&Path>) -> anyhow::Result<()> {
    file.map_or(Ok(()), |file| Capture::default().write(file))
}

/// Writes what a line has kept so far.
pub(super) fn write(line: &Line, file: Option<&Path>) -> anyhow::Result<()> {
    let (Some(file), Some(capture)) = (file, line.capture()) else {
        return Ok(());
    };
    if capture.left_out > 0 {
        let (left_out, file) = (capture.left_out, file.display());
        complain(&format!(
            "jackfield: {file} lacks {left_out} packets: a capture holds 64 MiB"
        ));
    }
    capture.write(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_masks_and_is_bounded() {
        let ends = (
            SocketAddr::from(([192, 0, 2, 1], 5060)),
            SocketAddr::from(([192, 0, 2, 2], 5060)),
        );
        let mut capture = Capture::default();
        let text = b"REGISTER sip:a SIP/2.0\r\n\
                     Authorization: Digest username=\"a\", response=\"0123456789abcdef\"\r\n\r\n";
        capture.message(Wall(1), true, ends, text);
        let kept = String::from_utf8_lossy(&capture.packets[0].bytes).into_owned();
        assert!(!kept.contains("0123456789abcdef"), "{kept}");
        assert_eq!(kept.len(), text.len());
        capture.media(Wall(2), ends, text);
        assert_eq!(&*capture.packets[1].bytes, text, "audio is kept as it is");

        capture.media(Wall(3), ends, &[0; PACKET_BYTES_MAX + 1]);
        assert_eq!(capture.left_out, 1);
        let room = BYTES_MAX / (PACKET_BYTES_MAX + OVERHEAD);
        for _ in 0..room + 10 {
            capture.media(Wall(4), ends, &[0; PACKET_BYTES_MAX]);
        }
        assert!(capture.bytes <= BYTES_MAX);
        assert!((11..=13).contains(&capture.left_out));
    }
}
