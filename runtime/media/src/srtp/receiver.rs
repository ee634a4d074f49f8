//! Taking what arrives.

use std::fmt;

use super::error::Error;
use super::keys::MasterKey;
use super::sources::{Entry, Sources};
use super::transform::{ENCRYPTED, Place};
use super::{Added, Protection, RTCP_HEAD_BYTES, RtpHead, rtcp_ssrc};

/// Takes the RTP and RTCP packets of one direction, made with one master key.
pub struct Receiver {
    pub(super) protection: Protection,
    pub(super) sources: Sources,
}

impl Receiver {
    /// A receiver that has received nothing yet.
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

    /// Goes on with another master key, as after a new offer and answer. With the key it has,
    /// nothing changes.
    ///
    /// Roll-over counters should stay as they are (RFC 3711 §3.3.1), but products that make a new
    /// context for a new key begin at zero: the first packet of a source tells which it is.
    pub fn rekey(&mut self, key: &MasterKey) {
        if *key != self.protection.key {
            self.protection = Protection::new(key);
            self.sources.rekey();
        }
    }

    /// Checks and decrypts the RTP packet that fills `buf`, and returns how long it is then.
    ///
    /// # Errors
    /// [`Error`], and nothing is remembered. [`Error::Tag`] is a packet of somebody else, or of the
    /// same one with another key; [`Error::Replayed`] and [`Error::Old`] happen in any network.
    pub fn unprotect(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let added = self.protection.rtp_added();
        let (packet, rest) = split(buf, &added)?;
        let head = RtpHead::parse(packet)?;
        self.check_mki(rest, &added)?;
        let entry = self.sources.rtp(head.ssrc, head.sequence)?;
        let tag = &rest[added.tag.clone()];
        let entry = match self.sources.rtp_again(entry) {
            None => self.open(entry, packet, &head, tag)?,
            Some(again) => {
                // The first attempt spoils the packet.
                let copy = packet.to_vec();
                self.open(entry, packet, &head, tag).or_else(|_| {
                    packet.copy_from_slice(&copy);
                    self.open(again, packet, &head, tag)
                })?
            }
        };
        self.sources.commit_rtp(entry);
        Ok(packet.len())
    }

    /// Opens an RTP packet as the one with the entry's number.
    fn open(
        &self,
        entry: Entry,
        packet: &mut [u8],
        head: &RtpHead,
        tag: &[u8],
    ) -> Result<Entry, Error> {
        let place = Place::Rtp {
            ssrc: head.ssrc,
            index: entry.index,
        };
        self.protection.rtp.open(place, packet, head.len, tag)?;
        Ok(entry)
    }

    /// Checks and decrypts the RTCP packet that fills `buf`, and returns how long it is then.
    ///
    /// # Errors
    /// As [`Self::unprotect`], and [`Error::Clear`] if the packet says that it is not encrypted: no
    /// agreement allows it.
    pub fn unprotect_rtcp(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let added = self.protection.rtcp_added();
        let (packet, rest) = split(buf, &added)?;
        let ssrc = rtcp_ssrc(packet)?;
        self.check_mki(rest, &added)?;
        let word = rest[added.index.clone()].try_into();
        let word = u32::from_be_bytes(word.expect("the word has four bytes"));
        if word & ENCRYPTED == 0 {
            return Err(Error::Clear);
        }
        let index = word & !ENCRYPTED;
        let entry = self.sources.rtcp(ssrc, index)?;
        let place = Place::Rtcp { ssrc, index };
        let tag = &rest[added.tag.clone()];
        let rtcp = &self.protection.rtcp;
        rtcp.open(place, packet, RTCP_HEAD_BYTES, tag)?;
        self.sources.commit_rtcp(entry);
        Ok(packet.len())
    }

    fn check_mki(&self, rest: &[u8], added: &Added) -> Result<(), Error> {
        match self.protection.key.mki() {
            Some(mki) if !mki.is(&rest[added.mki.clone()]) => Err(Error::Mki),
            Some(_) | None => Ok(()),
        }
    }
}

/// The packet, and what was added behind it.
fn split<'a>(buf: &'a mut [u8], added: &Added) -> Result<(&'a mut [u8], &'a [u8]), Error> {
    let len = buf.len().checked_sub(added.len).ok_or(Error::Truncated)?;
    let (packet, rest) = buf.split_at_mut(len);
    Ok((packet, rest))
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({})", self.protection.key.suite().name())
    }
}
