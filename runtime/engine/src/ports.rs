//! The media ports the shell has bound, and which of them are free.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::WorkerId;

/// The IP version of media, which is that of the far end's: each session has ports of one only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Free RTP ports of each worker. A port that comes back goes to the end of its row, so that
/// stray packets of its last call have died down when it is used again.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    v4: Rows,
    v6: Rows,
    /// Workers that have no time for more calls: they get none, whatever ports they have.
    full: BTreeSet<usize>,
}

/// Those of one family.
#[derive(Debug, Default)]
struct Rows {
    free: Vec<VecDeque<SocketAddr>>,
    total: usize,
}

impl Ports {
    /// Adds ports that were bound for a worker.
    pub(crate) fn add(&mut self, worker: WorkerId, ports: impl IntoIterator<Item = SocketAddr>) {
        let index = usize::from(worker.0);
        for rows in [&mut self.v4, &mut self.v6] {
            if rows.free.len() <= index {
                rows.free.resize_with(index + 1, VecDeque::new);
            }
        }
        for port in ports {
            let rows = self.rows(Family::of(port.ip()));
            rows.free[index].push_back(port);
            rows.total += 1;
        }
    }

    /// The first family of these that there are ports of, free or not; the other one if there is
    /// nothing else.
    pub(crate) fn family(&self, wanted: impl IntoIterator<Item = Family>) -> Family {
        let has = |family: &Family| match family {
            Family::V4 => self.v4.total > 0,
            Family::V6 => self.v6.total > 0,
        };
        let any = [Family::V4, Family::V6];
        let mut all = wanted.into_iter().chain(any);
        all.find(has).unwrap_or(Family::V4)
    }

    /// A worker has no time for more calls, or has again.
    pub(crate) fn set_full(&mut self, worker: WorkerId, full: bool) {
        let index = usize::from(worker.0);
        if full {
            self.full.insert(index);
        } else {
            self.full.remove(&index);
        }
    }

    /// Whether there is a port for a new call.
    pub(crate) fn has_room(&self) -> bool {
        let rows = [&self.v4, &self.v6].into_iter();
        let mut rows = rows.flat_map(|rows| rows.free.iter().enumerate());
        rows.any(|(index, row)| !row.is_empty() && !self.full.contains(&index))
    }

    /// A port for a new call: of the worker with the most free ones that has time for it.
    pub(crate) fn take(&mut self, family: Family) -> Option<(WorkerId, SocketAddr)> {
        let rows = match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        // The first of several equal ones, so that the choice is the same in each run.
        let rows = rows.free.iter_mut().enumerate().rev();
        let rows = rows.filter(|(index, _)| !self.full.contains(index));
        let (index, row) = rows.max_by_key(|(_, row)| row.len())?;
        let port = row.pop_front()?;
        Some((
            WorkerId(u16::try_from(index).expect("workers are numbered by u16")),
            port,
        ))
    }

    /// A port of this worker.
    pub(crate) fn take_on(&mut self, worker: WorkerId, family: Family) -> Option<SocketAddr> {
        let row = self.rows(family).free.get_mut(usize::from(worker.0))?;
        row.pop_front()
    }

    /// How many ports a worker has free.
    pub(crate) fn free_on(&self, worker: WorkerId, family: Family) -> usize {
        let rows = match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        rows.free
            .get(usize::from(worker.0))
            .map_or(0, VecDeque::len)
    }

    /// Gives a port back.
    pub(crate) fn give_back(&mut self, worker: WorkerId, port: SocketAddr) {
        let row = &mut self.rows(Family::of(port.ip())).free[usize::from(worker.0)];
        debug_assert!(!row.contains(&port), "a port is given back once");
        row.push_back(port);
    }

    pub(crate) fn free(&self) -> usize {
        let rows = self.v4.free.iter().chain(&self.v6.free);
        rows.map(VecDeque::len).sum()
    }

    pub(crate) fn total(&self) -> usize {
        self.v4.total + self.v6.total
    }

    fn rows(&mut self, family: Family) -> &mut Rows {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(n: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], n))
    }

    fn port6(n: u16) -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], n))
    }

    #[test]
    fn calls_are_spread_and_ports_rest_before_reuse() {
        use Family::V4;
        let mut ports = Ports::default();
        ports.add(WorkerId(0), [port(10), port(12)]);
        ports.add(WorkerId(1), [port(20), port(22)]);
        assert_eq!(ports.take(V4), Some((WorkerId(0), port(10))));
        assert_eq!(ports.take(V4), Some((WorkerId(1), port(20))));
        ports.give_back(WorkerId(0), port(10));
        assert_eq!(ports.take_on(WorkerId(0), V4), Some(port(12)));
        assert_eq!(ports.take_on(WorkerId(0), V4), Some(port(10)));
        assert_eq!(ports.take_on(WorkerId(0), V4), None);
        assert_eq!(ports.take_on(WorkerId(9), V4), None);
        assert_eq!((ports.free(), ports.total()), (1, 4));
    }

    #[test]
    fn a_full_worker_gets_no_new_call_and_keeps_those_it_has() {
        use Family::V4;
        let mut ports = Ports::default();
        assert!(!ports.has_room());
        ports.add(WorkerId(0), [port(10), port(12), port(14)]);
        ports.add(WorkerId(1), [port(20)]);
        ports.set_full(WorkerId(0), true);
        assert!(ports.has_room());
        assert_eq!(ports.take(V4), Some((WorkerId(1), port(20))));
        assert_eq!((ports.take(V4), ports.has_room()), (None, false));
        // A call that it has already may grow.
        assert_eq!(ports.take_on(WorkerId(0), V4), Some(port(10)));
        ports.set_full(WorkerId(0), false);
        assert!(ports.has_room());
        assert_eq!(ports.take(V4), Some((WorkerId(0), port(12))));
    }

    #[test]
    fn families_are_kept_apart() {
        use Family::{V4, V6};
        let mut ports = Ports::default();
        assert_eq!((ports.family([V6]), ports.take(V6)), (V4, None));
        ports.add(WorkerId(0), [port(10), port(12)]);
        assert_eq!(ports.family([V6]), V4);
        ports.add(WorkerId(1), [port6(10)]);
        assert_eq!(ports.family([]), V4);
        assert_eq!(ports.family([V6, V4]), V6);
        assert_eq!(ports.take(V6), Some((WorkerId(1), port6(10))));
        // None is free, but there are some: a call that needs one is refused, not given another.
        assert_eq!((ports.family([V6, V4]), ports.take(V6)), (V6, None));
        ports.give_back(WorkerId(1), port6(10));
        assert_eq!(ports.take_on(WorkerId(0), V6), None);
        assert_eq!(ports.take_on(WorkerId(1), V6), Some(port6(10)));
        assert_eq!((ports.free(), ports.total()), (2, 3));
    }
}
