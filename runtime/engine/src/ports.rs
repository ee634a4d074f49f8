//! The media ports the shell has bound, and which of them are free.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::WorkerId;

/// Free RTP ports of each worker. A port that comes back goes to the end of its row, so that
/// stray packets of its last call have died down when it is used again.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    free: Vec<VecDeque<SocketAddr>>,
    total: usize,
}

impl Ports {
    /// Adds ports that were bound for a worker.
    pub(crate) fn add(&mut self, worker: WorkerId, ports: impl IntoIterator<Item = SocketAddr>) {
        let index = usize::from(worker.0);
        if self.free.len() <= index {
            self.free.resize_with(index + 1, VecDeque::new);
        }
        let before = self.free[index].len();
        self.free[index].extend(ports);
        self.total += self.free[index].len() - before;
    }

    /// A port of the worker with the most free ones.
    pub(crate) fn take(&mut self) -> Option<(WorkerId, SocketAddr)> {
        // The first of several equal ones, so that the choice is the same in each run.
        let (index, row) = self
            .free
            .iter_mut()
            .enumerate()
            .rev()
            .max_by_key(|(_, row)| row.len())?;
        let port = row.pop_front()?;
        Some((
            WorkerId(u16::try_from(index).expect("workers are numbered by u16")),
            port,
        ))
    }

    /// A port of this worker.
    pub(crate) fn take_on(&mut self, worker: WorkerId) -> Option<SocketAddr> {
        self.free.get_mut(usize::from(worker.0))?.pop_front()
    }

    /// Gives a port back.
    pub(crate) fn give_back(&mut self, worker: WorkerId, port: SocketAddr) {
        let row = &mut self.free[usize::from(worker.0)];
        debug_assert!(!row.contains(&port), "a port is given back once");
        row.push_back(port);
    }

    pub(crate) fn free(&self) -> usize {
        self.free.iter().map(VecDeque::len).sum()
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(n: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], n))
    }

    #[test]
    fn calls_are_spread_and_ports_rest_before_reuse() {
        let mut ports = Ports::default();
        ports.add(WorkerId(0), [port(10), port(12)]);
        ports.add(WorkerId(1), [port(20), port(22)]);
        assert_eq!(ports.take(), Some((WorkerId(0), port(10))));
        assert_eq!(ports.take(), Some((WorkerId(1), port(20))));
        ports.give_back(WorkerId(0), port(10));
        assert_eq!(ports.take_on(WorkerId(0)), Some(port(12)));
        assert_eq!(ports.take_on(WorkerId(0)), Some(port(10)));
        assert_eq!(ports.take_on(WorkerId(0)), None);
        assert_eq!(ports.take_on(WorkerId(9)), None);
        assert_eq!((ports.free(), ports.total()), (1, 4));
    }
}
