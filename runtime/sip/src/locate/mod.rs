//! Where a request goes when its URI names a domain (RFC 3263): a machine that asks for NAPTR, SRV
//! and address records, and makes of the answers a list of targets in the order to try them.
//!
//! - [`Place`] is what is looked for, [`Target`] what is found.
//! - `select` decides which records matter, `order` who of equals goes first.
//! - `cache` keeps answers as long as they hold, the negative ones too; `dead` keeps those targets
//!   apart that did not answer.
//!
//! ```
//! use jackfield_sip::locate::*;
//! use vocab::{Mono, Rng};
//!
//! let mut locator = Locator::new(Config::default(), Rng::from_u64(1));
//! let place = "pbx.example.com:5070".parse::<Place>().unwrap();
//! locator.handle(Mono(0), Input::Locate { id: LocateId(1), place });
//! let Some(Output::Lookup { id, question }) = locator.poll() else { panic!("it asks") };
//! assert_eq!(question.to_string(), "A pbx.example.com");
//! let ip = "192.0.2.1".parse().unwrap();
//! let answer = Answer { records: vec![Record::Address(ip)], ttl: None };
//! locator.handle(Mono(0), Input::Answer { id, answer: Ok(answer) });
//! let Some(Output::Located { result: Ok(located), .. }) = locator.poll() else { panic!() };
//! assert_eq!(located.targets[0].to_string(), "udp 192.0.2.1:5070");
//! ```

mod cache;
mod dead;
mod order;
mod place;
mod record;
mod select;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use vocab::{Deadlines, Mono, Rng};

use crate::limits::{LOOKUP_WAIT, LOOKUPS_EACH_MAX, LOOKUPS_MAX, SEARCHES_MAX, TARGETS_MAX};

pub use place::{Place, Target};
pub use record::{Answer, Kind, LookupId, Naptr, NoAnswer, Question, Record, Srv};

use cache::Cache;
use dead::DeadList;
use order::by_weight;
use select::{Selection, select};

/// One search; chosen by the caller, unique while it is under way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocateId(pub u64);

/// Which families of addresses can be sent to: those we have an address of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Families {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

/// Settings of a locator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Addresses of other families are not looked up. Default: IPv4 alone.
    pub families: Families,
    /// Longest wait for the answer to a lookup. Default 6 s.
    pub wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let families = Families {
            ipv4: true,
            ipv6: false,
        };
        let wait = LOOKUP_WAIT;
        Self { families, wait }
    }
}

/// Something the locator is fed.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// Find a place. Answered by [`Output::Located`], at once if nothing has to be asked.
    Locate {
        /// Names the search.
        id: LocateId,
        /// What is looked for.
        place: Place,
    },
    /// The answer to a lookup. One that is no longer waited for is dropped.
    Answer {
        /// From [`Output::Lookup`].
        id: LookupId,
        /// What the server said.
        answer: Result<Answer, NoAnswer>,
    },
    /// [`Locator::deadline`] has come.
    Timeout,
}

/// Something the locator asks for. Drained after each input.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Ask a DNS server. Answered by [`Input::Answer`].
    Lookup {
        /// Names the lookup.
        id: LookupId,
        /// What to ask.
        question: Question,
    },
    /// A search is over.
    Located {
        /// Which.
        id: LocateId,
        /// What was found.
        result: Result<Located, NotFound>,
        /// When to search again for what may be new; `None` is never.
        until: Option<Mono>,
    },
}

/// Where a place is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// In the order to try them; not empty. Without those that did not answer of late, unless none
    /// did.
    pub targets: Vec<Target>,
}

/// Why a place is nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotFound {
    /// The name has no address that we could use.
    NoAddress,
    /// No DNS server has an answer now.
    NoAnswer,
    /// The domain says that it does not take SIP, or not by a transport we have.
    NotOffered,
    /// Too many searches at once.
    Busy,
}

impl NotFound {
    /// For people, in one line.
    pub fn why(self) -> &'static str {
        match self {
            Self::NoAddress => "the name has no address",
            Self::NoAnswer => "no DNS server answers",
            Self::NotOffered => "the domain does not take SIP over a transport we have",
            Self::Busy => "too many look-ups at once",
        }
    }
}

/// A search under way.
#[derive(Debug)]
struct Search {
    place: Place,
    since: Mono,
    waits_for: BTreeSet<Question>,
    /// Lookups so far.
    asked: usize,
}

/// Finds places: feed it with [`Locator::handle`], drain it with [`Locator::poll`].
#[derive(Debug)]
pub struct Locator {
    config: Config,
    rng: Rng,
    cache: Cache,
    dead: DeadList,
    searches: BTreeMap<LocateId, Search>,
    lookups: BTreeMap<LookupId, Question>,
    deadlines: Deadlines<LookupId, ()>,
    lookup_last: u64,
    out: VecDeque<Output>,
}

impl Locator {
    /// A locator that knows nothing.
    pub fn new(config: Config, rng: Rng) -> Self {
        Self {
            config,
            rng,
            cache: Cache::default(),
            dead: DeadList::default(),
            searches: BTreeMap::new(),
            lookups: BTreeMap::new(),
            deadlines: Deadlines::default(),
            lookup_last: 0,
            out: VecDeque::new(),
        }
    }

    /// Feeds one input. The caller drains [`Self::poll`] before the next call.
    pub fn handle(&mut self, now: Mono, input: Input) {
        debug_assert!(self.out.is_empty(), "outputs are drained first");
        match input {
            Input::Locate { id, place } => {
                debug_assert!(!self.searches.contains_key(&id), "a search has one name");
                if self.searches.len() >= SEARCHES_MAX {
                    return self.located(id, Err(NotFound::Busy), Some(now));
                }
                let search = Search {
                    place,
                    since: now,
                    waits_for: BTreeSet::new(),
                    asked: 0,
                };
                self.searches.insert(id, search);
                self.advance(now, vec![id]);
            }
            Input::Answer { id, answer } => {
                if let Some(question) = self.lookups.remove(&id) {
                    self.deadlines.clear_all(id);
                    self.answered(now, &question, answer);
                }
            }
            Input::Timeout => {
                while let Some((id, ())) = self.deadlines.expire(now) {
                    let question = self.lookups.remove(&id).expect("what is due is asked");
                    self.answered(now, &question, Err(NoAnswer));
                }
            }
        }
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is next due.
    pub fn deadline(&self) -> Option<Mono> {
        self.deadlines.next()
    }

    /// Where a place is by what is known already, for somebody who cannot wait: in the order to try
    /// now, as [`Located::targets`], without those that [rest](Self::rests_until). Empty if nothing is
    /// known, or all rest.
    pub fn known(&mut self, now: Mono, place: &Place) -> Vec<Target> {
        let found = self.last(now, place);
        let mut targets = flat(found, &mut self.rng);
        targets.retain(|it| self.dead.rests_until(now, *it).is_none());
        self.dead.living(now, targets)
    }

    /// Every target of a place by what is known already, with the time until which it is left alone
    /// if it did not answer. In the order of their addresses.
    pub fn all(&self, now: Mono, place: &Place) -> Vec<(Target, Option<Mono>)> {
        let found = self.last(now, place);
        let ways = found.ways.iter();
        let targets: BTreeSet<Target> = ways
            .flat_map(|(transport, servers)| {
                let addresses = servers.iter().flat_map(|server| &server.addresses);
                addresses.map(|&address| Target {
                    transport: *transport,
                    address,
                })
            })
            .take(TARGETS_MAX)
            .collect();
        let targets = targets.into_iter();
        targets.map(|it| (it, self.dead.until(now, it))).collect()
    }

    /// A target did not answer: it could not be reached, was silent, or said 503 and when to come
    /// back. It is left alone for that time, or for longer each time in a row. Gives until when.
    pub fn failed(&mut self, now: Mono, target: Target, retry_after: Option<Duration>) -> Mono {
        self.dead.failed(now, target, retry_after)
    }

    /// A target answered.
    pub fn worked(&mut self, target: Target) {
        self.dead.worked(target);
    }

    /// Until when a target said that nothing is to be sent to it, by 503 and `Retry-After`, if it did
    /// (RFC 3261 §21.5.4).
    pub fn rests_until(&self, now: Mono, target: Target) -> Option<Mono> {
        self.dead.rests_until(now, target)
    }

    /// Somebody asks a target that did not answer whether it is back, and will know by `until`: it is
    /// left alone as long.
    pub fn probe(&mut self, target: Target, until: Mono) {
        self.dead.probe(target, until);
    }

    /// Until when a target is left alone, if it is.
    pub fn dead_until(&self, now: Mono, target: Target) -> Option<Mono> {
        self.dead.until(now, target)
    }

    /// Searches and lookups that are under way: none, once all are answered.
    pub fn pending(&self) -> usize {
        self.searches.len() + self.lookups.len()
    }

    fn last(&self, now: Mono, place: &Place) -> Selection {
        let cache = &self.cache;
        select(place, self.config.families, &|question| {
            match cache.last(now, question) {
                // He cannot wait: what is not known is as if it were not there.
                cache::Known::Unknown => cache::Known::Failed(now),
                known @ (cache::Known::Records(..) | cache::Known::Failed(_)) => known,
            }
        })
    }

    fn answered(&mut self, now: Mono, question: &Question, answer: Result<Answer, NoAnswer>) {
        match answer {
            Ok(answer) => self.cache.take(now, question, answer),
            Err(NoAnswer) => self.cache.fail(now, question),
        }
        let mut ready = Vec::new();
        for (&id, search) in &mut self.searches {
            if search.waits_for.remove(question) && search.waits_for.is_empty() {
                ready.push(id);
            }
        }
        self.advance(now, ready);
    }

    /// Takes searches that wait for nothing on to their next questions, or to their end.
    fn advance(&mut self, now: Mono, mut ready: Vec<LocateId>) {
        while let Some(id) = ready.pop() {
            let search = self.searches.get_mut(&id).expect("it is under way");
            let (cache, since) = (&self.cache, search.since);
            let found = select(&search.place, self.config.families, &|question| {
                cache.look(now, since, question)
            });
            let left = LOOKUPS_EACH_MAX - search.asked;
            let missing: Vec<_> = found.missing.iter().take(left).cloned().collect();
            if missing.is_empty() {
                self.searches.remove(&id);
                self.conclude(now, id, found);
                continue;
            }
            search.asked += missing.len();
            search.waits_for = missing.iter().cloned().collect();
            for question in missing {
                if !self.lookup(now, &question) {
                    self.cache.fail(now, &question);
                    let search = self.searches.get_mut(&id).expect("it is under way");
                    search.waits_for.remove(&question);
                }
            }
            if self.searches[&id].waits_for.is_empty() {
                ready.push(id);
            }
        }
    }

    /// Asks, unless somebody has asked the same; false if too much is asked at once.
    fn lookup(&mut self, now: Mono, question: &Question) -> bool {
        if self.lookups.values().any(|asked| asked == question) {
            return true;
        }
        if self.lookups.len() >= LOOKUPS_MAX {
            return false;
        }
        self.lookup_last += 1;
        let id = LookupId(self.lookup_last);
        self.lookups.insert(id, question.clone());
        self.deadlines.set(id, (), now + self.config.wait);
        let question = question.clone();
        self.out.push_back(Output::Lookup { id, question });
        true
    }

    fn conclude(&mut self, now: Mono, id: LocateId, found: Selection) {
        let (failed, refused, until) = (found.failed, found.refused, found.until);
        let targets = flat(found, &mut self.rng);
        let targets = self.dead.living(now, targets);
        let result = match (targets.is_empty(), refused, failed) {
            (false, ..) => Ok(Located { targets }),
            (true, true, _) => Err(NotFound::NotOffered),
            (true, false, true) => Err(NotFound::NoAnswer),
            (true, false, false) => Err(NotFound::NoAddress),
        };
        self.located(id, result, until);
    }

    fn located(&mut self, id: LocateId, result: Result<Located, NotFound>, until: Option<Mono>) {
        self.out.push_back(Output::Located { id, result, until });
    }
}

/// The targets of a selection in the order of one try; each once.
fn flat(found: Selection, rng: &mut Rng) -> Vec<Target> {
    let mut targets = Vec::new();
    for (transport, servers) in found.ways {
        let servers = by_weight(servers, rng);
        for address in servers.into_iter().flat_map(|server| server.addresses) {
            let target = Target { transport, address };
            if !targets.contains(&target) && targets.len() < TARGETS_MAX {
                targets.push(target);
            }
        }
    }
    targets
}
