//! Which way registered contacts are reached, and who is behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::border::{ConnId, Hop};

/// What a contact's messages come over (RFC 5626 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Flow {
    Datagrams(SocketAddr),
    Stream(ConnId),
}

impl Flow {
    fn of(hop: Hop) -> Self {
        match hop.conn {
            Some(conn) => Self::Stream(conn),
            None => Self::Datagrams(hop.remote),
        }
    }
}

/// Users by flow.
#[derive(Default)]
pub(super) struct Flows {
    users: BTreeMap<Flow, BTreeSet<String>>,
    /// Flows that are treated like a stranger's.
    revoked: BTreeSet<Flow>,
}

impl Flows {
    pub(super) fn has(&self, seen: Hop) -> bool {
        let flow = Flow::of(seen);
        self.users.contains_key(&flow) && !self.revoked.contains(&flow)
    }

    pub(super) fn has_stream(&self, conn: ConnId) -> bool {
        self.users.contains_key(&Flow::Stream(conn))
    }

    pub(super) fn users_of(&self, conn: ConnId) -> Vec<String> {
        let users = self.users.get(&Flow::Stream(conn));
        users.into_iter().flatten().cloned().collect()
    }

    pub(super) fn revoke(&mut self, seen: Hop) {
        let flow = Flow::of(seen);
        if self.users.contains_key(&flow) {
            self.revoked.insert(flow);
        }
    }

    pub(super) fn pardon(&mut self, hop: Hop) {
        self.revoked.remove(&Flow::of(hop));
    }

    /// A user's contacts were reached over `old` and are over `new` now.
    pub(super) fn change(&mut self, user: &str, old: &[Hop], new: impl Iterator<Item = Hop>) {
        let new: BTreeSet<Flow> = new.map(Flow::of).collect();
        for flow in old.iter().map(|&hop| Flow::of(hop)) {
            if new.contains(&flow) {
                continue;
            }
            if let Some(users) = self.users.get_mut(&flow) {
                users.remove(user);
                if users.is_empty() {
                    self.users.remove(&flow);
                    self.revoked.remove(&flow);
                }
            }
        }
        for flow in new {
            self.users.entry(flow).or_default().insert(user.to_owned());
        }
    }
}
