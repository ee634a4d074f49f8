//! Where the trunks are: their names looked up in time, so that no call waits for DNS, and which of
//! their servers answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use sip::locate::{Answer, Input, LocateId, Locator, LookupId, NoAnswer, Output, Place, Target};
use vocab::Mono;

use super::TrunkId;
use crate::limits::{LOCATE_PAUSE, PROBE_TIME};

/// A server of a trunk, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrunkTarget {
    /// Where, and how.
    pub target: Target,
    /// It answers, as far as is known.
    pub alive: bool,
}

/// What came of a look at the answers.
#[derive(Debug)]
pub(super) enum News {
    /// A DNS server is to be asked.
    Lookup(LookupId, sip::locate::Question),
    /// A trunk was looked for; it is to be looked for again then.
    Located(TrunkId, Option<Mono>),
}

/// The locator and who asked it for what.
#[derive(Debug)]
pub(super) struct Places {
    locator: Locator,
    searches: BTreeMap<LocateId, TrunkId>,
    search_last: u64,
}

impl Places {
    pub(super) fn new(locator: Locator) -> Self {
        Self {
            locator,
            searches: BTreeMap::new(),
            search_last: 0,
        }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.locator.deadline()
    }

    pub(super) fn timeout(&mut self, now: Mono) {
        if self.locator.deadline().is_some_and(|at| at <= now) {
            self.locator.handle(now, Input::Timeout);
        }
    }

    pub(super) fn looked_up(&mut self, now: Mono, id: LookupId, answer: Result<Answer, NoAnswer>) {
        self.locator.handle(now, Input::Answer { id, answer });
    }

    /// Looks for a trunk; nothing happens if it is being looked for.
    pub(super) fn locate(&mut self, now: Mono, trunk: TrunkId, place: &Place) {
        if self.searches.values().any(|searched| *searched == trunk) {
            return;
        }
        self.search_last += 1;
        let id = LocateId(self.search_last);
        self.searches.insert(id, trunk);
        let place = place.clone();
        self.locator.handle(now, Input::Locate { id, place });
    }

    /// What has come of it; drained after each of the above.
    pub(super) fn poll(&mut self, now: Mono) -> Option<News> {
        match self.locator.poll()? {
            Output::Lookup { id, question } => Some(News::Lookup(id, question)),
            Output::Located { id, result, until } => {
                let trunk = self.searches.remove(&id).expect("who was looked for");
                // What could not be found may be there soon.
                let soon = now + LOCATE_PAUSE;
                let again = match result {
                    Ok(_) => until.map(|until| until.max(soon)),
                    Err(_) => Some(until.map_or(soon, |until| until.max(soon))),
                };
                Some(News::Located(trunk, again))
            }
        }
    }

    /// The servers of a place in the order to try them now, those that are known to be silent only if
    /// there are no others; empty if none is known, or all have asked for a rest.
    pub(super) fn servers(
        &mut self,
        now: Mono,
        place: &Place,
        silent: &BTreeSet<Target>,
    ) -> Vec<Target> {
        let mut servers = self.locator.known(now, place);
        if servers.iter().any(|it| !silent.contains(it)) {
            servers.retain(|it| !silent.contains(it));
        }
        servers
    }

    pub(super) fn is_known(&self, now: Mono, place: &Place) -> bool {
        !self.locator.all(now, place).is_empty()
    }

    /// All servers of a place, for people.
    pub(super) fn view(&self, now: Mono, place: &Place) -> Vec<TrunkTarget> {
        let all = self.locator.all(now, place).into_iter();
        all.map(|(target, dead)| TrunkTarget {
            target,
            alive: dead.is_none(),
        })
        .collect()
    }

    /// Where requests of a place come from.
    pub(super) fn addresses(&self, now: Mono, place: &Place) -> BTreeSet<IpAddr> {
        let all = self.locator.all(now, place).into_iter();
        all.map(|(target, _)| target.address.ip()).collect()
    }

    /// It answered. One that has asked for a rest has it all the same: this may be the answer to what
    /// was sent before.
    pub(super) fn worked(&mut self, now: Mono, target: Target) {
        if !self.rests(now, target) {
            self.locator.worked(target);
        }
    }

    /// Whether a server has asked for a rest.
    pub(super) fn rests(&self, now: Mono, target: Target) -> bool {
        self.locator.rests_until(now, target).is_some()
    }

    /// When the first server of a place may be sent something again, if all have asked for a rest.
    pub(super) fn rests_until(&self, now: Mono, place: &Place) -> Option<Mono> {
        let all = self.locator.all(now, place);
        let mut rests = all
            .iter()
            .map(|&(target, _)| self.locator.rests_until(now, target));
        let first = rests.next()??;
        rests.try_fold(first, |soonest, rest| rest.map(|rest| soonest.min(rest)))
    }

    pub(super) fn failed(&mut self, now: Mono, target: Target, retry_after: Option<Duration>) {
        self.locator.failed(now, target, retry_after);
    }

    /// Whether a place has servers that may answer, apart from those that are known to be silent.
    pub(super) fn has_others(&self, now: Mono, place: &Place, silent: &BTreeSet<Target>) -> bool {
        let all = self.locator.all(now, place);
        all.iter()
            .any(|(target, dead)| dead.is_none() && !silent.contains(target))
    }

    /// When the first of a trunk's silent servers may be asked whether it is back.
    pub(super) fn probe_at(&self, now: Mono, silent: &BTreeSet<Target>) -> Option<Mono> {
        let until = |target| self.locator.dead_until(now, target).unwrap_or(now);
        silent.iter().map(|&target| until(target)).min()
    }

    /// When the first server of a place that was left alone may be tried again.
    pub(super) fn forgiven_at(&self, now: Mono, place: &Place) -> Option<Mono> {
        let all = self.locator.all(now, place);
        all.iter().filter_map(|(_, dead)| *dead).min()
    }

    /// Takes the silent servers whose time has come; until their answers are known no call goes
    /// there.
    pub(super) fn probe(&mut self, now: Mono, silent: &BTreeSet<Target>) -> Vec<Target> {
        let due = |target: &Target| self.locator.dead_until(now, *target).is_none();
        let due: Vec<Target> = silent.iter().copied().filter(due).collect();
        for &target in &due {
            self.locator.probe(target, now + PROBE_TIME);
        }
        due
    }
}
