//! Deadlines of many things in one ordered table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::Mono;

/// The table `(owner, wait) -> moment`, with the earliest at hand: what a machine of many calls
/// answers `deadline()` from.
///
/// `K` is who waits, `W` what for. An owner waits for few things at a time, and for each of them
/// once. Setting and clearing cost the logarithm of the table's size.
#[derive(Debug)]
pub struct Deadlines<K, W> {
    due: BTreeSet<(Mono, K, W)>,
    set: BTreeMap<K, Vec<(W, Mono)>>,
}

impl<K, W> Default for Deadlines<K, W> {
    fn default() -> Self {
        Self {
            due: BTreeSet::new(),
            set: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord + Debug, W: Copy + Ord + Debug> Deadlines<K, W> {
    /// Sets a deadline in the place of the old one, if there was one.
    pub fn set(&mut self, owner: K, wait: W, at: Mono) {
        let waits = self.set.entry(owner).or_default();
        if let Some((_, old)) = waits.iter_mut().find(|(set, _)| *set == wait) {
            let gone = self.due.remove(&(*old, owner, wait));
            debug_assert!(gone, "{owner:?} waits for {wait:?} in one table only");
            *old = at;
        } else {
            waits.push((wait, at));
        }
        self.due.insert((at, owner, wait));
    }

    /// Removes a deadline, if there is one.
    pub fn clear(&mut self, owner: K, wait: W) {
        let Some(waits) = self.set.get_mut(&owner) else {
            return;
        };
        let Some(place) = waits.iter().position(|(set, _)| *set == wait) else {
            return;
        };
        let (_, at) = waits.swap_remove(place);
        if waits.is_empty() {
            self.set.remove(&owner);
        }
        let gone = self.due.remove(&(at, owner, wait));
        debug_assert!(gone, "{owner:?} waits for {wait:?} in one table only");
    }

    /// Removes all deadlines of an owner.
    pub fn clear_all(&mut self, owner: K) {
        for (wait, at) in self.set.remove(&owner).unwrap_or_default() {
            let gone = self.due.remove(&(at, owner, wait));
            debug_assert!(gone, "{owner:?} waits for {wait:?} in one table only");
        }
    }

    /// Takes out the earliest deadline that has come.
    pub fn expire(&mut self, now: Mono) -> Option<(K, W)> {
        let &(at, owner, wait) = self.due.first()?;
        if at > now {
            return None;
        }
        self.clear(owner, wait);
        Some((owner, wait))
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Mono> {
        self.due.first().map(|&(at, _, _)| at)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_once() {
        let mut table = Deadlines::default();
        table.set(1, "ring", Mono(30));
        table.set(2, "gather", Mono(10));
        table.set(1, "ring", Mono(20));
        assert_eq!((table.len(), table.next()), (2, Some(Mono(10))));
        assert_eq!(table.expire(Mono(9)), None);
        assert_eq!(table.expire(Mono(25)), Some((2, "gather")));
        assert_eq!(table.expire(Mono(25)), Some((1, "ring")));
        assert_eq!(table.expire(Mono(99)), None);
        assert!(table.is_empty() && table.set.is_empty());
    }

    #[test]
    fn an_owner_leaves_nothing_behind() {
        let mut table = Deadlines::default();
        for wait in ["ring", "gather", "close"] {
            table.set(1, wait, Mono(10));
            table.set(2, wait, Mono(20));
        }
        table.clear(1, "gather");
        table.clear(1, "gather");
        table.clear_all(1);
        table.clear_all(1);
        assert_eq!((table.len(), table.next()), (3, Some(Mono(20))));
        assert_eq!(table.set.len(), 1);
    }
}
