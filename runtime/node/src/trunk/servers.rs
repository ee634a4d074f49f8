//! Servers of trunks: who is on them, which answer, and what their names lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::locate::{LookupId, NoAnswer};
use vocab::call::Cause;
use vocab::{LegId, Mono};

use super::places::News;
use super::{Answer, Leg, Output, TrunkId, Trunks, Try, Wait, Way};
use crate::config::{Tenant, Trunk};

/// What the end of a leg tells of the server that it was on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is there.
    There,
    /// It said nothing, unless it was heard of before.
    Silent,
    /// It takes no calls for so long: 503 with `Retry-After` (RFC 3261 §21.5.4).
    Later(Duration),
}

impl Verdict {
    pub(crate) fn of(cause: Cause, status: Option<u16>, retry_after: Option<Duration>) -> Self {
        match (status, retry_after) {
            (None, _) if cause == Cause::Unreachable => Self::Silent,
            (Some(503), Some(after)) => Self::Later(after),
            (Some(_) | None, _) => Self::There,
        }
    }
}

impl Trunks {
    /// A DNS server answered, or did not.
    pub(crate) fn looked_up(
        &mut self,
        now: Mono,
        id: LookupId,
        answer: Result<sip::locate::Answer, NoAnswer>,
    ) {
        self.places.looked_up(now, id, answer);
        self.places_news(now);
    }

    pub(super) fn places_news(&mut self, now: Mono) {
        while let Some(news) = self.places.poll(now) {
            match news {
                News::Lookup(id, question) => {
                    self.out.push_back(Output::Lookup { id, question });
                }
                News::Located(id, again) => {
                    let Some(way) = self.ways.get_mut(&id) else {
                        continue;
                    };
                    way.locate_at = again;
                    let servers = self.places.view(now, &way.trunk.address);
                    let is_there = |silent| servers.iter().any(|it| it.target == silent);
                    way.silent.retain(|&silent| is_there(silent));
                    self.note_addresses(now);
                    self.judge(now, id);
                    self.rearm(now, id);
                }
            }
        }
    }

    /// Sees from which addresses requests of trunks come.
    pub(super) fn note_addresses(&mut self, now: Mono) {
        let mut sources: BTreeMap<_, Vec<TrunkId>> = BTreeMap::new();
        let mut trusted = BTreeSet::new();
        for (&id, way) in &self.ways {
            for address in self.places.addresses(now, &way.trunk.address) {
                trusted.insert(address);
                if way.trunk.inbound {
                    sources.entry(address).or_default().push(id);
                }
            }
        }
        self.sources = sources;
        if trusted != self.trusted {
            self.trusted.clone_from(&trusted);
            self.out.push_back(Output::Trusted(trusted));
        }
    }

    /// The trunk by which a call to a number comes: by address alone, since carriers send from any
    /// port. Several may share one, if tenants have the same carrier or a tenant has two accounts
    /// there: then it is the one whose registration is called, or else the first whose tenant has
    /// the number.
    pub(crate) fn of_source(
        &self,
        source: SocketAddr,
        to: &str,
    ) -> Option<(&Arc<Tenant>, TrunkId)> {
        let here = self.sources.get(&source.ip())?;
        let ways = || here.iter().filter_map(|id| Some((*id, self.ways.get(id)?)));
        let called = |way: &Way| {
            let registration = way.trunk.registration.as_ref();
            registration.is_some_and(|it| it.user == to)
        };
        let routed = |way: &Way| way.tenant.route_of(to).is_some();
        let (id, way) = ways()
            .find(|(_, way)| called(way) && routed(way))
            .or_else(|| ways().find(|(_, way)| routed(way)))
            .or_else(|| ways().next())?;
        Some((&way.tenant, id))
    }

    /// A call takes a place; `None` if there is none any more, the trunk is gone, or the server has
    /// asked for a rest meanwhile.
    pub(crate) fn take(&mut self, now: Mono, on: Try, leg: LegId) -> Option<&Arc<Trunk>> {
        if self.places.rests(now, on.target) {
            return None;
        }
        let way = self.ways.get_mut(&on.trunk)?;
        if !way.room.take(now) {
            return None;
        }
        let line = Leg {
            trunk: on.trunk,
            called: Some(on.target),
            spoke: false,
        };
        let before = self.legs.insert(leg, line);
        debug_assert!(before.is_none(), "a leg is on one trunk");
        Some(&way.trunk)
    }

    /// A call that comes in takes a place of the trunk it comes by, if it is one; gives its name.
    ///
    /// # Errors
    /// All lines of the trunk are in use.
    pub(crate) fn take_in(
        &mut self,
        trunk: Option<TrunkId>,
        leg: LegId,
    ) -> Result<Option<String>, ()> {
        let Some(trunk) = trunk else {
            return Ok(None);
        };
        let Some(way) = self.ways.get_mut(&trunk) else {
            return Ok(None);
        };
        if !way.room.take_in() {
            return Err(());
        }
        let line = Leg {
            trunk,
            called: None,
            spoke: true,
        };
        let before = self.legs.insert(leg, line);
        debug_assert!(before.is_none(), "a leg is on one trunk");
        Ok(Some(way.trunk.id.clone()))
    }

    /// Whether a leg is on a trunk, whoever called whom.
    pub(crate) fn carries(&self, leg: LegId) -> bool {
        self.legs.contains_key(&leg)
    }

    /// The far end of a trunk's leg said something, whatever it was.
    pub(crate) fn leg_spoke(&mut self, now: Mono, leg: LegId) {
        let Some(leg) = self.legs.get_mut(&leg) else {
            return;
        };
        let (id, called) = (leg.trunk, leg.called);
        if !std::mem::replace(&mut leg.spoke, true)
            && let Some(target) = called
            && let Some(way) = self.ways.get_mut(&id)
        {
            way.health.good_call();
            way.silent.remove(&target);
            self.places.worked(now, target);
            self.judge(now, id);
            self.rearm(now, id);
        }
    }

    /// A leg is over.
    pub(crate) fn leg_ended(&mut self, now: Mono, leg: LegId, verdict: Verdict) {
        let Some(Leg {
            trunk,
            called,
            spoke,
        }) = self.legs.remove(&leg)
        else {
            return;
        };
        let Some(way) = self.ways.get_mut(&trunk) else {
            return;
        };
        way.room.leave();
        // The end of a call that came in tells nothing of whom we could call.
        let Some(target) = called else {
            return;
        };
        let on = Try { trunk, target };
        match verdict {
            Verdict::Silent if !spoke => {
                way.room.unheard();
                if !self.server_failed(now, on, None)
                    && let Some(way) = self.ways.get_mut(&on.trunk)
                {
                    way.health.failed_call(now);
                }
            }
            // It is there: the trunk is not dead, even if it has no other server.
            Verdict::Later(after) => {
                self.server_failed(now, on, Some(after));
            }
            Verdict::Silent | Verdict::There => return,
        }
        self.judge(now, on.trunk);
        self.rearm(now, on.trunk);
    }

    /// A leg goes on under another name, and its trunk's line with it.
    pub(crate) fn leg_moved(&mut self, from: LegId, to: LegId) {
        let Some(line) = self.legs.remove(&from) else {
            return;
        };
        let replaced = self.legs.insert(to, line);
        if let Some(way) = replaced.and_then(|leg| self.ways.get_mut(&leg.trunk)) {
            way.room.leave();
        }
    }

    /// What an answer to OPTIONS or REGISTER tells of the server. True if it is left alone from now
    /// on, and its trunk has others.
    pub(super) fn server_answered(
        &mut self,
        now: Mono,
        at: Try,
        wait: Wait,
        answer: &Answer,
    ) -> bool {
        let Some(way) = self.ways.get_mut(&at.trunk) else {
            return false;
        };
        if answer.is_there() {
            way.silent.remove(&at.target);
            self.places.worked(now, at.target);
            return false;
        }
        let asked = answer
            .times
            .retry_after
            .filter(|_| answer.status == Some(503));
        // One OPTIONS may be lost, unless it was sent because the server did not answer before.
        if asked.is_none() && wait == Wait::Health && !way.health.has_missed() {
            return false;
        }
        self.server_failed(now, at, asked)
    }

    /// A server did not answer. True if its trunk has others.
    fn server_failed(&mut self, now: Mono, at: Try, asked: Option<Duration>) -> bool {
        self.places.failed(now, at.target, asked);
        let Some(way) = self.ways.get_mut(&at.trunk) else {
            return false;
        };
        // Without OPTIONS it is forgiven after a while.
        if !way.trunk.health.is_zero() {
            way.silent.insert(at.target);
        }
        self.places.has_others(now, &way.trunk.address, &way.silent)
    }
}
