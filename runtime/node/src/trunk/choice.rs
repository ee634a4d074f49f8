//! Which trunk takes a call, and which of its servers.

use sip::locate::Target;
use vocab::{Mono, Rng, TenantId};

use super::{TrunkId, TrunkState, Trunks};

/// One server of one trunk: what a call is tried by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Try {
    pub(crate) trunk: TrunkId,
    pub(crate) target: Target,
}

/// Why no trunk takes a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoTrunk {
    /// None allows the destination.
    Forbidden,
    /// Those that do have no line left.
    Full,
    /// The names of those that do have no address.
    Unresolved,
    /// Those that do have asked to be left alone for a while.
    Resting,
}

impl Trunks {
    /// The trunks that may take a call to this number, best first: the longest prefix, then the
    /// lowest priority, then by chance and weight (as RFC 2782 has it for servers). One that is not
    /// up comes after all that are: it may be back, and nothing better is there. Each with its servers
    /// in the order to try them.
    ///
    /// # Errors
    /// No trunk takes it.
    pub(crate) fn candidates(
        &mut self,
        now: Mono,
        tenant: &TenantId,
        number: &str,
    ) -> Result<Vec<Try>, NoTrunk> {
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
        let mut tries = Vec::new();
        let mut rests = false;
        for trunk in ordered {
            let way = &self.ways[&trunk];
            rests |= self.places.rests_until(now, &way.trunk.address).is_some();
            let servers = self.places.servers(now, &way.trunk.address, &way.silent);
            tries.extend(servers.into_iter().map(|target| Try { trunk, target }));
        }
        match (tries.is_empty(), rests) {
            (false, _) => Ok(tries),
            (true, true) => Err(NoTrunk::Resting),
            (true, false) => Err(NoTrunk::Unresolved),
        }
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
