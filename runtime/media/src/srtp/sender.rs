//! Protecting what leaves.

use std::fmt;

use super::error::Error;
use super::keys::MasterKey;
use super::sources::Sources;
use super::transform::{ENCRYPTED, Place, Tag};
use super::{Added, Protection, RtpHead, rtcp_ssrc};

/// Protects the RTP and RTCP packets of one direction with one master key.
pub struct Sender {
    pub(super) protection: Protection,
    pub(super) sources: Sources,
}

impl Sender {
    /// A sender that has sent nothing yet.
    ///
    /// There must be no second one with the same key: it would use packet numbers again.
    pub fn new(key: &MasterKey) -> Self {
        Self::of(Protection::new(key))
    }

    pub(super) fn of(protection: Protection) -> Self {
        let sources = Sources::default();
        Self {
            protection,
            sources,
        }
    }

    /// Goes on with another master key, as after a new offer and answer: roll-over counters stay
    /// (RFC 3711 §3.3.1), RTCP packets are counted from zero again. With the key it has, nothing
    /// changes.
    ///
    /// A key that was used before and then replaced must not come back: packet numbers would be
    /// used again with it. Far ends that make a new context for a new key take the counters for
    /// zero; a new source with a new key is understood by those, too.
    pub fn rekey(&mut self, key: &MasterKey) {
        if *key != self.protection.key {
            self.protection = Protection::new(key);
            self.sources.rekey();
        }
    }

    /// How many bytes [`Self::protect`] adds.
    pub fn rtp_added_bytes(&self) -> usize {
        self.protection.rtp_added().len
    }

    /// How many bytes [`Self::protect_rtcp`] adds.
    pub fn rtcp_added_bytes(&self) -> usize {
        self.protection.rtcp_added().len
    }

    /// Protects the RTP packet in the first `len` bytes of `buf`, and returns how long it is then.
    ///
    /// Header, contributors and extension stay readable. Sequence numbers may leave gaps and come
    /// out of order, but not fall 128 or more behind.
    ///
    /// # Errors
    /// [`Error`], and nothing is remembered: [`Error::Length`] if `buf` has no room behind the
    /// packet, [`Error::Truncated`] and [`Error::Version`] if it is no RTP packet,
    /// [`Error::Replayed`] and [`Error::Old`] if its sequence number was or may have been used,
    /// [`Error::Sources`], [`Error::Exhausted`].
    pub fn protect(&mut self, buf: &mut [u8], len: usize) -> Result<usize, Error> {
        let added = self.protection.rtp_added();
        let (packet, room) = split(buf, len, &added)?;
        let head = RtpHead::parse(packet)?;
        let entry = self.sources.rtp(head.ssrc, head.sequence)?;
        let place = Place::Rtp {
            ssrc: head.ssrc,
            index: entry.index,
        };
        let tag = self.protection.rtp.seal(place, packet, head.len)?;
        self.sources.commit_rtp(entry);
        self.add(room, &added, &tag);
        Ok(len + added.len)
    }

    /// Protects the RTCP packet in the first `len` bytes of `buf`, and returns how long it is then.
    ///
    /// # Errors
    /// As [`Self::protect`]; RTCP packets have no numbers of their own that could be old.
    pub fn protect_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, Error> {
        let added = self.protection.rtcp_added();
        let (packet, room) = split(buf, len, &added)?;
        let ssrc = rtcp_ssrc(packet)?;
        let entry = self.sources.next_rtcp(ssrc)?;
        let index = u32::try_from(entry.index).expect("an index of RTCP has 31 bits");
        let place = Place::Rtcp { ssrc, index };
        let tag = self
            .protection
            .rtcp
            .seal(place, packet, super::RTCP_HEAD_BYTES)?;
        self.sources.commit_rtcp(entry);
        room[added.index.clone()].copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
        self.add(room, &added, &tag);
        Ok(len + added.len)
    }

    fn add(&self, room: &mut [u8], added: &Added, tag: &Tag) {
        room[added.tag.clone()].copy_from_slice(tag.as_bytes());
        if let Some(mki) = self.protection.key.mki() {
            mki.write(&mut room[added.mki.clone()]);
        }
    }
}

/// The packet, and the room for what is added behind it.
fn split<'a>(
    buf: &'a mut [u8],
    len: usize,
    added: &Added,
) -> Result<(&'a mut [u8], &'a mut [u8]), Error> {
    let (packet, room) = buf.split_at_mut_checked(len).ok_or(Error::Length)?;
    let room = room.get_mut(..added.len).ok_or(Error::Length)?;
    Ok((packet, room))
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.protection.key.suite().name())
    }
}
