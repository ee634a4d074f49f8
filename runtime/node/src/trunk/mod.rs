//! Ways to carriers: which one takes a call, which ones are there, and how many calls each has.
//!
//! A trunk is one carrier: an address, or a name with several servers behind it ([`places`]). It may
//! want us to register ([`registration`]); it is asked whether it lives ([`health`]); and it takes so
//! many calls at a time and a second ([`room`]). A call that one server cannot take goes on to the
//! next, and then to the next trunk, within the same attempt ([`choice`]).

mod choice;
mod health;
mod identity;
mod places;
mod registration;
mod room;
mod servers;

pub(crate) use choice::{NoTrunk, Try};
pub(crate) use identity::{Contacts, call};
pub use places::TrunkTarget;
pub(crate) use servers::Verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::locate::{Locator, LookupId, Question, Target};
use vocab::{Deadlines, LegId, Mono, Now, Rng, TenantId};

use crate::config::{Tenant, Trunk};
use health::Health;
use places::Places;
use registration::Registration;
use room::Room;

/// A trunk among all of the node; numbered as they come and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct TrunkId(u32);

/// What a trunk may wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Wait {
    Register,
    Health,
    /// Its registration runs out.
    Lapse,
    /// Its name is looked up again.
    Locate,
    /// A server that was silent is asked, or forgiven.
    Probe,
}

/// The answer to a request outside calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Answer {
    /// The final status; `None` is no answer.
    pub(crate) status: Option<u16>,
    pub(crate) times: sip::Times,
}

impl Answer {
    /// Any answer shows that somebody is there; these say that nobody is, or not now.
    fn is_there(&self) -> bool {
        !matches!(self.status, None | Some(408 | 503))
    }
}

/// Why a trunk is used or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TrunkState {
    /// Calls go there.
    Up,
    /// It wants a registration and has none.
    Unregistered,
    /// It does not answer.
    Dead,
    /// Its name has no address.
    Unresolved,
    /// All its servers have asked to be left alone for a while.
    Resting,
}

impl TrunkState {
    /// Stable lower-case name for logs, the API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unregistered => "unregistered",
            Self::Dead => "dead",
            Self::Unresolved => "unresolved",
            Self::Resting => "resting",
        }
    }
}

/// A trunk as it is now, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrunkView {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub id: String,
    /// Where it is, as configured.
    pub address: String,
    /// Its servers, as far as they are known.
    pub servers: Vec<TrunkTarget>,
    /// Whether it is used.
    pub state: TrunkState,
    /// Calls on it, in both directions.
    pub calls: u32,
    /// Most calls at a time, in both directions; `None` is any number.
    pub calls_max: Option<u32>,
}

/// What the table asks for.
#[derive(Debug)]
pub(crate) enum Output {
    Request(sip::Action),
    Changed {
        tenant: TenantId,
        trunk: String,
        state: TrunkState,
    },
    /// A DNS server is to be asked.
    Lookup {
        id: LookupId,
        question: Question,
    },
    /// All addresses of trunks, if they are others than before.
    Trusted(BTreeSet<IpAddr>),
}

/// One trunk.
#[derive(Debug)]
struct Way {
    tenant: Arc<Tenant>,
    trunk: Arc<Trunk>,
    registration: Option<Registration>,
    health: Health,
    room: Room,
    state: TrunkState,
    /// Servers that did not answer and are asked from time to time whether they are back.
    silent: BTreeSet<Target>,
    /// When its name is to be looked up again.
    locate_at: Option<Mono>,
}

/// All trunks of the node.
#[derive(Debug)]
pub(crate) struct Trunks {
    ways: BTreeMap<TrunkId, Way>,
    places: Places,
    legs: BTreeMap<LegId, Leg>,
    requests: BTreeMap<sip::RequestId, (Try, Wait)>,
    deadlines: Deadlines<TrunkId, Wait>,
    /// Who may call us, by address; the trunks of one in their order.
    sources: BTreeMap<IpAddr, Vec<TrunkId>>,
    trusted: BTreeSet<IpAddr>,
    contacts: Contacts,
    rng: Rng,
    way_last: u32,
    request_last: u64,
    /// The node takes no more calls, and wants none sent.
    leaving: bool,
    out: VecDeque<Output>,
}

/// A leg that is on a trunk.
#[derive(Clone, Copy, Debug)]
struct Leg {
    trunk: TrunkId,
    /// The server that we called; none for a call that came in.
    called: Option<Target>,
    /// Its far end was heard of.
    spoke: bool,
}

impl Trunks {
    pub(crate) fn new(contacts: Contacts, mut rng: Rng) -> Self {
        let config = sip::locate::Config {
            families: contacts.families(),
            ..sip::locate::Config::default()
        };
        Self {
            ways: BTreeMap::new(),
            places: Places::new(Locator::new(config, rng.fork())),
            legs: BTreeMap::new(),
            requests: BTreeMap::new(),
            deadlines: Deadlines::default(),
            sources: BTreeMap::new(),
            trusted: BTreeSet::new(),
            contacts,
            rng,
            way_last: 0,
            request_last: 0,
            leaving: false,
            out: VecDeque::new(),
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub(crate) fn deadline(&self) -> Option<Mono> {
        let parts = [self.deadlines.next(), self.places.deadline()];
        parts.into_iter().flatten().min()
    }

    /// All trunks, by tenant and then as they were configured.
    pub(crate) fn views(&self, now: Mono) -> impl Iterator<Item = TrunkView> {
        self.ways.values().map(move |way| TrunkView {
            tenant: way.tenant.id.clone(),
            id: way.trunk.id.clone(),
            address: way.trunk.address.to_string(),
            servers: self.places.view(now, &way.trunk.address),
            state: way.state,
            calls: way.room.calls(),
            calls_max: way.trunk.calls_max,
        })
    }

    /// Takes the trunks of a new configuration. Those that did not change keep what they know.
    pub(crate) fn configure<'a>(
        &mut self,
        now: Now,
        tenants: impl Iterator<Item = &'a Arc<Tenant>>,
    ) {
        let mut old = std::mem::take(&mut self.ways);
        for tenant in tenants {
            for trunk in &tenant.trunks {
                let same = old
                    .iter()
                    .find(|(_, way)| way.tenant.id == tenant.id && way.trunk == *trunk)
                    .map(|(&id, _)| id);
                if let Some(id) = same {
                    let mut way = old.remove(&id).expect("just found");
                    way.tenant = Arc::clone(tenant);
                    self.ways.insert(id, way);
                } else {
                    self.add(now.mono, tenant, trunk);
                }
            }
        }
        for (id, mut way) in old {
            self.deadlines.clear_all(id);
            self.unregister(now.mono, id, &mut way);
        }
        self.note_addresses(now.mono);
    }

    /// The node takes no more calls: carriers are to send none, and none is registered with again.
    pub(crate) fn leave(&mut self, now: Mono) {
        self.leaving = true;
        let mut ways = std::mem::take(&mut self.ways);
        for (&id, way) in &mut ways {
            self.unregister(now, id, way);
        }
        let ids: Vec<TrunkId> = ways.keys().copied().collect();
        self.ways = ways;
        for id in ids {
            self.judge(now, id);
            self.rearm(now, id);
        }
    }

    /// Contacts that carriers are asked to forget and may still have.
    pub(crate) fn farewells(&self) -> usize {
        let waits = self.requests.values();
        waits.filter(|(_, wait)| *wait == Wait::Lapse).count()
    }

    /// Takes our contact back from a carrier that has it (RFC 3261 §10.2.2).
    fn unregister(&mut self, now: Mono, id: TrunkId, way: &mut Way) {
        let Some(registration) = way.registration.as_mut().filter(|it| it.is_good(now)) else {
            return;
        };
        registration.lapsed();
        let servers = self.places.servers(now, &way.trunk.address, &way.silent);
        if let Some(&target) = servers.first() {
            let at = Try { trunk: id, target };
            self.request(at, &way.trunk, Wait::Lapse, Duration::ZERO);
        }
    }

    fn add(&mut self, now: Mono, tenant: &Arc<Tenant>, trunk: &Arc<Trunk>) {
        self.way_last += 1;
        let id = TrunkId(self.way_last);
        let registration = trunk
            .registration
            .as_ref()
            .map(|it| Registration::new(now, it.expires, &mut self.rng));
        let state = match &registration {
            _ if trunk.address.address().is_none() => TrunkState::Unresolved,
            Some(_) => TrunkState::Unregistered,
            None => TrunkState::Up,
        };
        let way = Way {
            tenant: Arc::clone(tenant),
            trunk: Arc::clone(trunk),
            registration,
            health: Health::new(now, trunk.health),
            room: Room::new(now, trunk.calls_max, trunk.calls_per_second),
            state,
            silent: BTreeSet::new(),
            locate_at: None,
        };
        self.ways.insert(id, way);
        if trunk.address.address().is_none() {
            self.places.locate(now, id, &trunk.address);
            self.places_news(now);
        }
        self.rearm(now, id);
    }

    /// The answer to a request of ours.
    pub(crate) fn answered(&mut self, now: Mono, id: sip::RequestId, answer: &Answer) {
        let Some((at, wait)) = self.requests.remove(&id) else {
            return;
        };
        let id = at.trunk;
        let others = self.server_answered(now, at, wait, answer);
        let Some(way) = self.ways.get_mut(&id) else {
            return;
        };
        match (wait, &mut way.registration) {
            (Wait::Register, Some(registration)) => {
                registration.answered(now, answer, &mut self.rng);
                if others {
                    registration.hurry(now, &mut self.rng);
                }
                // It was asked before we left.
                if self.leaving
                    && let Some(mut way) = self.ways.remove(&id)
                {
                    self.unregister(now, id, &mut way);
                    self.ways.insert(id, way);
                }
            }
            (Wait::Health, registration) => {
                let before = way.health.is_alive();
                way.health.answered(now, answer);
                if others {
                    way.health.goes_elsewhere(now);
                }
                if let Some(registration) = registration
                    && way.health.is_alive()
                    && !before
                {
                    registration.hurry(now, &mut self.rng);
                }
            }
            (Wait::Register | Wait::Lapse | Wait::Locate | Wait::Probe, _) => {}
        }
        self.judge(now, id);
        self.rearm(now, id);
    }

    pub(crate) fn timeout(&mut self, now: Mono) {
        self.places.timeout(now);
        self.places_news(now);
        while let Some((id, wait)) = self.deadlines.expire(now) {
            let Some(way) = self.ways.get_mut(&id) else {
                continue;
            };
            let trunk = Arc::clone(&way.trunk);
            let place = &trunk.address;
            let servers = self.places.servers(now, place, &way.silent);
            let server = servers.first().copied();
            let at = server.map(|target| Try { trunk: id, target });
            match (wait, &mut way.registration, at) {
                (Wait::Register, Some(registration), Some(at)) => {
                    let expires = registration.ask();
                    self.request(at, &trunk, Wait::Register, expires);
                }
                (Wait::Health, _, Some(at)) => {
                    if way.health.due() {
                        self.request(at, &trunk, Wait::Health, Duration::ZERO);
                    }
                }
                (Wait::Lapse, Some(registration), _) => registration.lapsed(),
                (Wait::Locate, ..) => {
                    way.locate_at = None;
                    self.places.locate(now, id, place);
                    self.places_news(now);
                }
                (Wait::Probe, ..) => {
                    for target in self.places.probe(now, &way.silent) {
                        let at = Try { trunk: id, target };
                        self.request(at, &trunk, Wait::Probe, Duration::ZERO);
                    }
                }
                (Wait::Register | Wait::Lapse, None, _)
                | (Wait::Register | Wait::Health, _, None) => {}
            }
            self.judge(now, id);
            self.rearm(now, id);
        }
    }

    /// Sees whether a trunk is up, and says so if that is new.
    fn judge(&mut self, now: Mono, id: TrunkId) {
        let Some(way) = self.ways.get_mut(&id) else {
            return;
        };
        let state = match &way.registration {
            _ if !self.places.is_known(now, &way.trunk.address) => TrunkState::Unresolved,
            _ if self.places.rests_until(now, &way.trunk.address).is_some() => TrunkState::Resting,
            _ if !way.health.is_alive() => TrunkState::Dead,
            Some(registration) if !registration.is_good(now) => TrunkState::Unregistered,
            Some(_) | None => TrunkState::Up,
        };
        if std::mem::replace(&mut way.state, state) != state {
            self.out.push_back(Output::Changed {
                tenant: way.tenant.id.clone(),
                trunk: way.trunk.id.clone(),
                state,
            });
        }
    }

    fn rearm(&mut self, now: Mono, id: TrunkId) {
        let Some(way) = self.ways.get_mut(&id) else {
            return;
        };
        // What has no address is asked nothing, nor who wants to rest.
        let place = &way.trunk.address;
        let rest = self.places.rests_until(now, place);
        let known = self.places.is_known(now, place) && rest.is_none();
        let registers = known && !self.leaving;
        let registration = way.registration.as_ref().filter(|_| registers);
        let probe = if rest.is_some() {
            rest
        } else if way.trunk.health.is_zero() {
            self.places.forgiven_at(now, place)
        } else {
            let probe = self.places.probe_at(now, &way.silent);
            probe.filter(|_| self.places.has_others(now, place, &way.silent))
        };
        for (wait, at) in [
            (Wait::Register, registration.and_then(Registration::next)),
            (
                Wait::Lapse,
                way.registration.as_ref().and_then(Registration::lapse),
            ),
            (Wait::Health, way.health.next().filter(|_| known)),
            (Wait::Locate, way.locate_at),
            (Wait::Probe, probe),
        ] {
            match at {
                Some(at) => self.deadlines.set(id, wait, at),
                None => self.deadlines.clear(id, wait),
            }
        }
    }

    /// Sends OPTIONS or REGISTER; the latter with no time left takes our contact back.
    fn request(&mut self, at: Try, trunk: &Trunk, wait: Wait, expires: Duration) {
        self.request_last += 1;
        let request = sip::RequestId(self.request_last);
        let action = match wait {
            Wait::Health | Wait::Probe => identity::options(request, trunk, at.target),
            Wait::Register | Wait::Lapse => {
                identity::register(request, trunk, at.target, &self.contacts, expires)
            }
            Wait::Locate => return,
        };
        self.requests.insert(request, (at, wait));
        self.out.push_back(Output::Request(action));
    }
}

#[cfg(test)]
mod tests;
