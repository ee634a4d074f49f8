//! Who is listened to: limits for each source, lists of addresses, and bans.
//!
//! The guard is asked before a message is read, and told what came of it: that it was no SIP, that
//! its credentials were wrong, that a scanner sent it. It answers by letting less through. It never
//! sends anything: who is not listened to hears nothing.
//!
//! The source address of a datagram can be forged, so a stranger must not be able to turn it
//! against others:
//! - what is configured as `allow`, and every trunk's address, is never limited nor banned;
//! - a message of a dialog of ours passes, whatever its source has done: it names a tag that only
//!   the far end knows;
//! - a registered contact has buckets of its own and is not banned with its
//!   address;
//! - wrong credentials count only with a nonce that was sent to the same source, which a forger
//!   never saw ([`Verifier::verify_from`](crate::auth::Verifier::verify_from)).
//!
//! What a forger can still do is to keep an address from which nobody is registered from
//! registering or calling for the time of a ban; `allow` is the remedy.

mod bans;
mod config;
mod meters;
pub(crate) mod peek;
mod prefix;
mod rate;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use vocab::{Mono, Now};

pub use bans::{Ban, BanReason};
pub use config::{Config, SCANNERS};
pub use prefix::{Prefix, PrefixError, Source};
pub use rate::Rate;

use crate::limits::{BANS_MAX, SOURCES_MAX};
use bans::Bans;
use meters::Meters;
pub(crate) use meters::Payer;
use peek::Kind;
use prefix::Ranges;

/// Why something was not listened to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dropped {
    /// Its address is on the list of those that get no answer.
    Denied,
    /// Its source is banned.
    Banned,
    /// More messages than its limit.
    Requests,
    /// More REGISTERs than its limit.
    Registers,
    /// More INVITEs than its limit.
    Invites,
}

/// What a guard holds and has seen. The first two are what is there now, the others only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Sources and registered flows that are remembered.
    pub sources: usize,
    /// Sources that are banned now.
    pub banned: usize,
    /// Messages and streams from addresses on the deny list.
    pub dropped_denied: u64,
    /// Messages and streams of banned sources.
    pub dropped_banned: u64,
    /// Messages beyond their source's limit.
    pub dropped_requests: u64,
    /// REGISTERs beyond their source's limit.
    pub dropped_registers: u64,
    /// INVITEs beyond their source's limit.
    pub dropped_invites: u64,
    /// Bans by reason, in the order of [`BanReason::ALL`].
    pub bans: [u64; BanReason::ALL.len()],
    /// Streams closed because a message took too long to arrive.
    pub streams_slow: u64,
    /// Streams closed because nobody used them.
    pub streams_idle: u64,
    /// Streams not taken because their source had too many.
    pub streams_refused: u64,
}

/// A ban that was just made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Banned {
    pub(crate) source: Source,
    pub(crate) reason: BanReason,
    pub(crate) lasting: Duration,
}

/// The machine. See the module's documentation.
pub(crate) struct Guard {
    config: Config,
    allow: Ranges,
    deny: Ranges,
    /// Addresses of trunks.
    trusted: BTreeSet<IpAddr>,
    meters: Meters,
    bans: Bans,
    pub(crate) counts: Counts,
}

impl Guard {
    pub(crate) fn new(config: Config) -> Self {
        Self::with_room(config, SOURCES_MAX, BANS_MAX)
    }

    fn with_room(mut config: Config, sources: usize, bans: usize) -> Self {
        for word in &mut config.scanners {
            word.make_ascii_lowercase();
        }
        Self {
            allow: Ranges::new(&config.allow),
            deny: Ranges::new(&config.deny),
            trusted: BTreeSet::new(),
            meters: Meters::new(sources),
            bans: Bans::new(bans),
            counts: Counts::default(),
            config,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Nothing is limited.
    pub(crate) fn is_open(&self) -> bool {
        !self.config.enabled
    }

    /// Never limited nor banned.
    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        self.is_open() || self.allow.hold(ip) || self.trusted.contains(&ip.to_canonical())
    }

    /// Replaces the addresses of trunks; they are free at once.
    pub(crate) fn set_trusted(&mut self, trusted: BTreeSet<IpAddr>) {
        self.trusted = trusted.into_iter().map(|ip| ip.to_canonical()).collect();
        for ip in &self.trusted {
            self.bans.lift(Source::of(*ip));
        }
    }

    /// Whether an address gets no answer at all, apart from its dialogs and registered contacts.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn hears(&self, ip: IpAddr) -> Result<(), Dropped> {
        if self.trusts(ip) {
            return Ok(());
        }
        if self.deny.hold(ip) {
            return Err(Dropped::Denied);
        }
        if self.bans.has(Source::of(ip)) {
            return Err(Dropped::Banned);
        }
        Ok(())
    }

    /// Takes a message into account before it is read.
    ///
    /// # Errors
    /// Why it is not to be read.
    pub(crate) fn meter(&mut self, now: Mono, payer: Payer, kind: Kind) -> Result<(), Dropped> {
        let meter = self.meters.of(payer);
        if !meter.requests.take(now, self.config.requests) {
            return Err(Dropped::Requests);
        }
        match kind {
            Kind::Register if !meter.registers.take(now, self.config.registers) => {
                Err(Dropped::Registers)
            }
            Kind::Invite if !meter.invites.take(now, self.config.invites) => Err(Dropped::Invites),
            Kind::Register | Kind::Invite | Kind::Other => Ok(()),
        }
    }

    /// Counts what was not listened to; a source that goes on and on is banned.
    pub(crate) fn note_dropped(&mut self, now: Now, payer: Payer, why: Dropped) -> Option<Banned> {
        match why {
            Dropped::Denied => self.counts.dropped_denied += 1,
            Dropped::Banned => self.counts.dropped_banned += 1,
            Dropped::Requests => self.counts.dropped_requests += 1,
            Dropped::Registers => self.counts.dropped_registers += 1,
            Dropped::Invites => self.counts.dropped_invites += 1,
        }
        match (why, payer) {
            (Dropped::Requests | Dropped::Registers | Dropped::Invites, Payer::Source(source)) => {
                let excess = self.config.excess;
                let room = self.meters.of(payer).excess.take(now.mono, excess);
                if room {
                    None
                } else {
                    self.ban(now, source, BanReason::Flood)
                }
            }
            // A registered contact is cut to its limit and stays: who floods in its name is
            // perhaps not it.
            (
                Dropped::Requests
                | Dropped::Registers
                | Dropped::Invites
                | Dropped::Denied
                | Dropped::Banned,
                Payer::Source(_) | Payer::Flow(_) | Payer::Stream(_),
            ) => None,
        }
    }

    /// A message that was no SIP.
    pub(crate) fn note_malformed(&mut self, now: Now, ip: IpAddr) -> Option<Banned> {
        let rate = self.config.malformed;
        self.offence(now, ip, BanReason::Malformed, |meter| {
            meter.malformed.take(now.mono, rate)
        })
    }

    /// Credentials that were wrong, with a nonce that this source was sent.
    pub(crate) fn note_failure(&mut self, now: Now, ip: IpAddr) -> Option<Banned> {
        let rate = self.config.failures;
        self.offence(now, ip, BanReason::Credentials, |meter| {
            meter.failures.take(now.mono, rate)
        })
    }

    /// Whether a `User-Agent` is a scanner's.
    pub(crate) fn is_scanner(&self, ip: IpAddr, user_agent: &str) -> bool {
        if self.trusts(ip) {
            return false;
        }
        let name = user_agent.to_ascii_lowercase();
        self.config.scanners.iter().any(|word| name.contains(word))
    }

    /// A scanner has spoken.
    pub(crate) fn note_scanner(&mut self, now: Now, ip: IpAddr) -> Option<Banned> {
        self.offence(now, ip, BanReason::Scanner, |_| false)
    }

    fn offence(
        &mut self,
        now: Now,
        ip: IpAddr,
        reason: BanReason,
        is_forgiven: impl FnOnce(&mut meters::Meter) -> bool,
    ) -> Option<Banned> {
        if self.trusts(ip) {
            return None;
        }
        let source = Source::of(ip);
        if is_forgiven(self.meters.of(Payer::Source(source))) {
            return None;
        }
        self.ban(now, source, reason)
    }

    fn ban(&mut self, now: Now, source: Source, reason: BanReason) -> Option<Banned> {
        let times = (self.config.ban_first, self.config.ban_longest);
        let lasting = self.bans.add(now, source, reason, times)?;
        let index = BanReason::ALL.iter().position(|known| *known == reason);
        self.counts.bans[index.expect("all reasons are listed")] += 1;
        Some(Banned {
            source,
            reason,
            lasting,
        })
    }

    /// Ends a ban; tells whether there was one.
    pub(crate) fn unban(&mut self, ip: IpAddr) -> bool {
        self.bans.lift(Source::of(ip))
    }

    /// Who is banned, by address.
    pub(crate) fn bans(&self) -> impl Iterator<Item = Ban> {
        self.bans.iter()
    }

    /// When [`Self::expire`] is next due.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.bans.deadline()
    }

    /// Ends the bans that are over.
    pub(crate) fn expire(&mut self, now: Mono) {
        self.bans.expire(now, self.config.ban_longest);
    }

    /// What is held and was seen.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            sources: self.meters.len(),
            banned: self.bans.len(),
            ..self.counts
        }
    }
}

#[cfg(test)]
mod tests;
