//! Who is shut out, until when, and who was.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use vocab::{Mono, Now, Wall};

use super::Source;

/// Why a source was banned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BanReason {
    /// Its `User-Agent` is a scanner's.
    Scanner,
    /// Too many wrong credentials.
    Credentials,
    /// Too many messages that are no SIP.
    Malformed,
    /// Far more messages than its limit.
    Flood,
}

impl BanReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::Scanner,
        Self::Credentials,
        Self::Malformed,
        Self::Flood,
    ];

    /// Stable lower-case name for logs, metrics and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::Credentials => "credentials",
            Self::Malformed => "malformed",
            Self::Flood => "flood",
        }
    }
}

/// A source that gets no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ban {
    /// The address, or the first of its /64 in IPv6.
    pub address: IpAddr,
    /// Why.
    pub reason: BanReason,
    /// Since when.
    pub since: Wall,
    /// Until when.
    pub until: Wall,
    /// The how-many-eth ban of this source, from 1, while its earlier ones are remembered.
    pub times: u32,
}

/// Bans and what is remembered of them.
#[derive(Debug)]
pub(super) struct Bans {
    max: usize,
    held: BTreeMap<Source, Record>,
    /// When each record is looked at next.
    agenda: BTreeSet<(Mono, Source)>,
    active: usize,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    ban: Ban,
    /// `false` once it has ended and is only remembered.
    active: bool,
    next: Mono,
}

impl Bans {
    pub(super) fn new(max: usize) -> Self {
        assert!(max > 0, "a guard without room bans nobody");
        Self {
            max,
            held: BTreeMap::new(),
            agenda: BTreeSet::new(),
            active: 0,
        }
    }

    /// Sources that are banned now.
    pub(super) fn len(&self) -> usize {
        self.active
    }

    pub(super) fn has(&self, source: Source) -> bool {
        self.held.get(&source).is_some_and(|record| record.active)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Ban> {
        let active = self.held.values().filter(|record| record.active);
        active.map(|record| record.ban)
    }

    /// Bans a source, twice as long as the last time. `None` if it is banned already.
    pub(super) fn add(
        &mut self,
        now: Now,
        source: Source,
        reason: BanReason,
        (first, longest): (Duration, Duration),
    ) -> Option<Duration> {
        let times = match self.held.get(&source) {
            Some(record) if record.active => return None,
            Some(record) => record.ban.times.saturating_add(1),
            None => 1,
        };
        let doubled = 1u32.checked_shl(times - 1).unwrap_or(u32::MAX);
        let lasting = first.saturating_mul(doubled).min(longest);
        self.forget(source);
        if self.held.len() >= self.max
            && let Some(&(_, ends_first)) = self.agenda.first()
        {
            self.forget(ends_first);
        }
        let ban = Ban {
            address: source.address(),
            reason,
            since: now.wall,
            until: now.wall + lasting,
            times,
        };
        self.put(
            source,
            Record {
                ban,
                active: true,
                next: now.mono + lasting,
            },
        );
        Some(lasting)
    }

    /// Ends what is over, and forgets what ended `memory` ago.
    pub(super) fn expire(&mut self, now: Mono, memory: Duration) {
        while let Some(&(at, source)) = self.agenda.first().filter(|(at, _)| *at <= now) {
            let record = self.forget(source).expect("what is due is held");
            if record.active {
                let (active, next) = (false, at + memory);
                self.put(
                    source,
                    Record {
                        active,
                        next,
                        ..record
                    },
                );
            }
        }
    }

    /// Ends a ban and forgets it; tells whether there was one.
    pub(super) fn lift(&mut self, source: Source) -> bool {
        self.forget(source).is_some_and(|record| record.active)
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.agenda.first().map(|(at, _)| *at)
    }

    fn put(&mut self, source: Source, record: Record) {
        self.active += usize::from(record.active);
        self.agenda.insert((record.next, source));
        let old = self.held.insert(source, record);
        assert!(old.is_none(), "the old record was taken out before");
        assert!(self.held.len() <= self.max, "bans keep their bound");
    }

    fn forget(&mut self, source: Source) -> Option<Record> {
        let record = self.held.remove(&source)?;
        self.agenda.remove(&(record.next, source));
        self.active -= usize::from(record.active);
        Some(record)
    }
}
