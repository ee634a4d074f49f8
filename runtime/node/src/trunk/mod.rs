//! Ways to carriers: which one takes a call, which ones are there, and how many calls each has.
//!
//! A trunk is one carrier's address. It may want us to register ([`registration`]); it is asked
//! whether it lives ([`health`]); and it takes so many calls at a time and a second ([`room`]).
//! A call that one trunk cannot take goes on to the next within the same attempt.

mod health;
mod identity;
mod registration;
mod room;

pub(crate) use identity::call;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use vocab::{Deadlines, LegId, Mono, Now, Rng, TenantId};

use crate::config::{Tenant, Trunk};
use health::Health;
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
}

/// The answer to a request outside calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Answer {
    /// The final status; `None` is no answer.
    pub(crate) status: Option<u16>,
    pub(crate) times: sip::Times,
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
}

impl TrunkState {
    /// Stable lower-case name for logs, the API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unregistered => "unregistered",
            Self::Dead => "dead",
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
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it is used.
    pub state: TrunkState,
    /// Calls on it.
    pub calls: u32,
    /// Most calls at a time; `None` is any number.
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
}

/// All trunks of the node.
#[derive(Debug)]
pub(crate) struct Trunks {
    ways: BTreeMap<TrunkId, Way>,
    /// Legs by the trunk they are on, and whether their far end was heard of.
    legs: BTreeMap<LegId, (TrunkId, bool)>,
    requests: BTreeMap<sip::RequestId, (TrunkId, Wait)>,
    deadlines: Deadlines<TrunkId, Wait>,
    /// Who may call us, by address.
    sources: BTreeMap<IpAddr, TrunkId>,
    contacts: Contacts,
    rng: Rng,
    way_last: u32,
    request_last: u64,
    out: VecDeque<Output>,
}

/// Our addresses, for `Contact`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contacts {
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) tls: SocketAddr,
}

/// Why no trunk takes a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoTrunk {
    /// None allows the destination.
    Forbidden,
    /// Those that do have no line left.
    Full,
}

impl Trunks {
    pub(crate) fn new(contacts: Contacts, rng: Rng) -> Self {
        Self {
            ways: BTreeMap::new(),
            legs: BTreeMap::new(),
            requests: BTreeMap::new(),
            deadlines: Deadlines::default(),
            sources: BTreeMap::new(),
            contacts,
            rng,
            way_last: 0,
            request_last: 0,
            out: VecDeque::new(),
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.deadlines.next()
    }

    /// All trunks, by tenant and then as they were configured.
    pub(crate) fn views(&self) -> impl Iterator<Item = TrunkView> {
        self.ways.values().map(|way| TrunkView {
            tenant: way.tenant.id.clone(),
            id: way.trunk.id.clone(),
            address: way.trunk.address,
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
        for (id, way) in old {
            self.deadlines.clear_all(id);
            if way.registration.is_some_and(|it| it.is_good(now.mono)) {
                self.request(id, &way.trunk, Wait::Lapse, Duration::ZERO);
            }
        }
        let inbound = self.ways.iter().filter(|(_, way)| way.trunk.inbound);
        self.sources = inbound
            .map(|(&id, way)| (way.trunk.address.ip(), id))
            .collect();
    }

    fn add(&mut self, now: Mono, tenant: &Arc<Tenant>, trunk: &Arc<Trunk>) {
        self.way_last += 1;
        let id = TrunkId(self.way_last);
        let registration = trunk
            .registration
            .as_ref()
            .map(|it| Registration::new(now, it.expires, &mut self.rng));
        let state = if registration.is_some() {
            TrunkState::Unregistered
        } else {
            TrunkState::Up
        };
        let way = Way {
            tenant: Arc::clone(tenant),
            trunk: Arc::clone(trunk),
            registration,
            health: Health::new(now, trunk.health),
            room: Room::new(now, trunk.calls_max, trunk.calls_per_second),
            state,
        };
        self.ways.insert(id, way);
        self.rearm(id);
    }

    /// The trunks that may take a call to this number, best first: the longest prefix, then the
    /// lowest priority, then by chance and weight (as RFC 2782 has it for servers). One that is not
    /// up comes after all that are: it may be back, and nothing better is there.
    ///
    /// # Errors
    /// No trunk takes it.
    pub(crate) fn candidates(
        &mut self,
        now: Mono,
        tenant: &TenantId,
        number: &str,
    ) -> Result<Vec<TrunkId>, NoTrunk> {
        let mut found = Vec::new();
        let mut fits = false;
        for (&id, way) in &mut self.ways {
            let Some(prefix) = way
                .trunk
                .prefixes
                .iter()
                .filter(|prefix| way.tenant.id == *tenant && number.starts_with(*prefix))
                .map(String::len)
                .max()
            else {
                continue;
            };
            fits = true;
            if way.room.has_place(now) {
                let down = way.state != TrunkState::Up;
                let rank = (down, std::cmp::Reverse(prefix), way.trunk.priority);
                found.push((rank, way.trunk.weight, id));
            }
        }
        if !fits {
            return Err(NoTrunk::Forbidden);
        }
        if found.is_empty() {
            return Err(NoTrunk::Full);
        }
        found.sort_by_key(|&(rank, _, id)| (rank, id));
        let mut ordered = Vec::with_capacity(found.len());
        for equals in found.chunk_by(|a, b| a.0 == b.0) {
            let equals = equals.iter().map(|&(_, weight, id)| (weight, id));
            by_weight(equals.collect(), &mut self.rng, &mut ordered);
        }
        Ok(ordered)
    }

    /// A call takes a place; `None` if there is none any more, or the trunk is gone.
    pub(crate) fn take(&mut self, now: Mono, id: TrunkId, leg: LegId) -> Option<&Arc<Trunk>> {
        let way = self.ways.get_mut(&id)?;
        if !way.room.take(now) {
            return None;
        }
        let before = self.legs.insert(leg, (id, false));
        debug_assert!(before.is_none(), "a leg is on one trunk");
        Some(&way.trunk)
    }

    /// The far end of a trunk's leg said something, whatever it was.
    pub(crate) fn leg_spoke(&mut self, now: Mono, leg: LegId) {
        let Some((id, spoke)) = self.legs.get_mut(&leg) else {
            return;
        };
        let id = *id;
        if !std::mem::replace(spoke, true)
            && let Some(way) = self.ways.get_mut(&id)
        {
            way.health.good_call();
            self.judge(now, id);
        }
    }

    /// A leg is over. `unanswered` if it failed without a status of the far end.
    pub(crate) fn leg_ended(&mut self, now: Mono, leg: LegId, unanswered: bool) {
        let Some((id, spoke)) = self.legs.remove(&leg) else {
            return;
        };
        let Some(way) = self.ways.get_mut(&id) else {
            return;
        };
        way.room.leave();
        if unanswered && !spoke {
            way.health.failed_call(now);
            self.judge(now, id);
            self.rearm(id);
        }
    }

    /// A leg goes on under another name, and its trunk's line with it.
    pub(crate) fn leg_moved(&mut self, from: LegId, to: LegId) {
        let Some(line) = self.legs.remove(&from) else {
            return;
        };
        let replaced = self.legs.insert(to, line);
        if let Some(way) = replaced.and_then(|(id, _)| self.ways.get_mut(&id)) {
            way.room.leave();
        }
    }

    /// The trunk from which a request comes: by address alone, since carriers send from any port.
    pub(crate) fn of_source(&self, source: SocketAddr) -> Option<(&Arc<Tenant>, &Arc<Trunk>)> {
        let way = self.ways.get(self.sources.get(&source.ip())?)?;
        Some((&way.tenant, &way.trunk))
    }

    /// The answer to a request of ours.
    pub(crate) fn answered(&mut self, now: Mono, id: sip::RequestId, answer: &Answer) {
        let Some((id, wait)) = self.requests.remove(&id) else {
            return;
        };
        let Some(way) = self.ways.get_mut(&id) else {
            return;
        };
        match (wait, &mut way.registration) {
            (Wait::Register, Some(registration)) => {
                registration.answered(now, answer, &mut self.rng);
            }
            (Wait::Health, registration) => {
                let before = way.health.is_alive();
                way.health.answered(now, answer);
                if let Some(registration) = registration
                    && way.health.is_alive()
                    && !before
                {
                    registration.hurry(now, &mut self.rng);
                }
            }
            (Wait::Register | Wait::Lapse, _) => {}
        }
        self.judge(now, id);
        self.rearm(id);
    }

    pub(crate) fn timeout(&mut self, now: Mono) {
        while let Some((id, wait)) = self.deadlines.expire(now) {
            let Some(way) = self.ways.get_mut(&id) else {
                continue;
            };
            let trunk = Arc::clone(&way.trunk);
            match (wait, &mut way.registration) {
                (Wait::Register, Some(registration)) => {
                    let expires = registration.ask();
                    self.request(id, &trunk, Wait::Register, expires);
                }
                (Wait::Health, _) => {
                    if way.health.due() {
                        self.request(id, &trunk, Wait::Health, Duration::ZERO);
                    }
                }
                (Wait::Lapse, Some(registration)) => registration.lapsed(),
                (Wait::Register | Wait::Lapse, None) => {}
            }
            self.judge(now, id);
            self.rearm(id);
        }
    }

    /// Sees whether a trunk is up, and says so if that is new.
    fn judge(&mut self, now: Mono, id: TrunkId) {
        let Some(way) = self.ways.get_mut(&id) else {
            return;
        };
        let state = match &way.registration {
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

    fn rearm(&mut self, id: TrunkId) {
        let Some(way) = self.ways.get(&id) else {
            return;
        };
        let registration = way.registration.as_ref();
        for (wait, at) in [
            (Wait::Register, registration.and_then(Registration::next)),
            (Wait::Lapse, registration.and_then(Registration::lapse)),
            (Wait::Health, way.health.next()),
        ] {
            match at {
                Some(at) => self.deadlines.set(id, wait, at),
                None => self.deadlines.clear(id, wait),
            }
        }
    }

    /// Sends OPTIONS or REGISTER; the latter with no time left takes our contact back.
    fn request(&mut self, id: TrunkId, trunk: &Trunk, wait: Wait, expires: Duration) {
        self.request_last += 1;
        let request = sip::RequestId(self.request_last);
        let action = match wait {
            Wait::Health => identity::options(request, trunk),
            Wait::Register | Wait::Lapse => {
                identity::register(request, trunk, self.contacts, expires)
            }
        };
        self.requests.insert(request, (id, wait));
        self.out.push_back(Output::Request(action));
    }
}

/// Orders equals by chance with odds by weight, as RFC 2782 has it for servers; the weight 0 comes
/// up rarely.
fn by_weight(mut equals: Vec<(u16, TrunkId)>, rng: &mut Rng, ordered: &mut Vec<TrunkId>) {
    while !equals.is_empty() {
        let total: u64 = equals.iter().map(|&(weight, _)| u64::from(weight)).sum();
        let mut drawn = rng.below(total + 1);
        let place = equals.iter().position(|&(weight, _)| {
            let hit = drawn <= u64::from(weight);
            drawn = drawn.saturating_sub(u64::from(weight));
            hit
        });
        let (_, id) = equals.remove(place.expect("the draw is within the sum"));
        ordered.push(id);
    }
}

#[cfg(test)]
mod tests;
