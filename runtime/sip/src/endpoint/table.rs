//! Transactions of one kind by key, with what the endpoint knows of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vocab::{Mono, Now};

use super::outbox::Outbox;
use crate::transaction::{
    Client, ClientInvite, Key, Server, ServerInvite, client, client_invite, server, server_invite,
};
use crate::{DialogId, Hop};

/// Something that waits for its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    ClientInvite(Key),
    Client(Key),
    ServerInvite(Key),
    Server(Key),
    Dialog(DialogId),
}

/// What waits, earliest first. Arming and disarming is O(log n), the next deadline O(log n) too.
pub(super) type Agenda = BTreeSet<(Mono, Due)>;

/// A transaction with its way and its user.
pub(super) struct Slot<M, O> {
    pub(super) machine: M,
    /// Where it sends.
    pub(super) hop: Hop,
    /// Whose it is.
    pub(super) owner: O,
}

/// Transactions of one kind.
pub(super) struct Table<M, O> {
    slots: BTreeMap<Key, Slot<M, O>>,
    due: fn(Key) -> Due,
}

/// What a transaction did, apart from what it sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Verdict {
    /// The message just fed is for the transaction user.
    pub(super) deliver: bool,
    /// Something went out.
    pub(super) sent: bool,
    /// Nothing came back.
    pub(super) timed_out: bool,
    /// Nothing could be sent.
    pub(super) broken: bool,
    /// The transaction is over and forgotten.
    pub(super) over: bool,
}

/// What the table needs around it.
pub(super) struct Around<'a> {
    pub(super) now: Now,
    pub(super) agenda: &'a mut Agenda,
    pub(super) outbox: &'a mut Outbox,
}

/// What the four machines have in common.
pub(super) trait Transaction {
    type Input<'a>;
    const TIMEOUT: Self::Input<'static>;
    fn handle(&mut self, now: Now, input: Self::Input<'_>);
    fn poll(&mut self) -> Option<Effect>;
    fn deadline(&self) -> Option<Mono>;
    fn is_over(&self) -> bool;
}

/// The outputs of the four machines.
pub(super) enum Effect {
    Transmit(Arc<[u8]>),
    TransmitTo(Hop, Arc<[u8]>),
    Deliver,
    TimedOut,
    Broken,
}

impl<M: Transaction, O: Copy> Table<M, O> {
    pub(super) fn new(due: fn(Key) -> Due) -> Self {
        Self {
            slots: BTreeMap::new(),
            due,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slot(&self, key: Key) -> Option<&Slot<M, O>> {
        self.slots.get(&key)
    }

    /// Adds a transaction that was just made, and sends what it has to send.
    pub(super) fn insert(&mut self, around: &mut Around<'_>, key: Key, slot: Slot<M, O>) {
        let vacant = !self.slots.contains_key(&key);
        assert!(vacant, "a new transaction has a new key");
        self.slots.insert(key, slot);
        self.settle(around, key, None);
    }

    /// Feeds one transaction and sends what it has to send. `None` if there is no such.
    pub(super) fn feed(
        &mut self,
        around: &mut Around<'_>,
        key: Key,
        input: M::Input<'_>,
    ) -> Option<(Verdict, O)> {
        let slot = self.slots.get_mut(&key)?;
        let owner = slot.owner;
        let before = slot.machine.deadline();
        slot.machine.handle(around.now, input);
        Some((self.settle(around, key, before), owner))
    }

    /// Drains a transaction, moves its deadline and forgets it if it is over.
    fn settle(&mut self, around: &mut Around<'_>, key: Key, before: Option<Mono>) -> Verdict {
        let slot = self
            .slots
            .get_mut(&key)
            .expect("the caller has just seen it");
        let mut verdict = Verdict::default();
        loop {
            while let Some(effect) = slot.machine.poll() {
                match effect {
                    Effect::Transmit(bytes) => {
                        verdict.sent = true;
                        around.outbox.transmit(slot.hop, bytes);
                    }
                    Effect::TransmitTo(hop, bytes) => {
                        verdict.sent = true;
                        around.outbox.transmit(hop, bytes);
                    }
                    Effect::Deliver => verdict.deliver = true,
                    Effect::TimedOut => verdict.timed_out = true,
                    Effect::Broken => verdict.broken = true,
                }
            }
            // Timers of zero length (reliable transports) need no detour through the shell.
            if slot
                .machine
                .deadline()
                .is_none_or(|at| at > around.now.mono)
            {
                break;
            }
            slot.machine.handle(around.now, M::TIMEOUT);
        }
        verdict.over = slot.machine.is_over();
        let after = slot.machine.deadline();
        assert!(
            !verdict.over || after.is_none(),
            "what is over waits for nothing"
        );
        if before != after {
            let due = (self.due)(key);
            if let Some(at) = before {
                around.agenda.remove(&(at, due));
            }
            if let Some(at) = after {
                around.agenda.insert((at, due));
            }
        }
        if verdict.over {
            self.slots.remove(&key);
        }
        verdict
    }
}

impl Transaction for ClientInvite {
    type Input<'a> = client_invite::Input<'a>;
    const TIMEOUT: Self::Input<'static> = client_invite::Input::Timeout;

    fn handle(&mut self, now: Now, input: Self::Input<'_>) {
        self.handle(now, input);
    }

    fn poll(&mut self) -> Option<Effect> {
        Some(match self.poll()? {
            client_invite::Output::Transmit(bytes) => Effect::Transmit(bytes),
            client_invite::Output::Acknowledge(hop, bytes) => Effect::TransmitTo(hop, bytes),
            client_invite::Output::Deliver => Effect::Deliver,
            client_invite::Output::TimedOut => Effect::TimedOut,
            client_invite::Output::Broken => Effect::Broken,
        })
    }

    fn deadline(&self) -> Option<Mono> {
        self.deadline()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}

impl Transaction for Client {
    type Input<'a> = client::Input;
    const TIMEOUT: Self::Input<'static> = client::Input::Timeout;

    fn handle(&mut self, now: Now, input: Self::Input<'_>) {
        self.handle(now, input);
    }

    fn poll(&mut self) -> Option<Effect> {
        Some(match self.poll()? {
            client::Output::Transmit(bytes) => Effect::Transmit(bytes),
            client::Output::Deliver => Effect::Deliver,
            client::Output::TimedOut => Effect::TimedOut,
            client::Output::Broken => Effect::Broken,
        })
    }

    fn deadline(&self) -> Option<Mono> {
        self.deadline()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}

impl Transaction for ServerInvite {
    type Input<'a> = server_invite::Input;
    const TIMEOUT: Self::Input<'static> = server_invite::Input::Timeout;

    fn handle(&mut self, now: Now, input: Self::Input<'_>) {
        self.handle(now, input);
    }

    fn poll(&mut self) -> Option<Effect> {
        Some(match self.poll()? {
            server_invite::Output::Transmit(bytes) => Effect::Transmit(bytes),
            server_invite::Output::TimedOut => Effect::TimedOut,
        })
    }

    fn deadline(&self) -> Option<Mono> {
        self.deadline()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}

impl Transaction for Server {
    type Input<'a> = server::Input;
    const TIMEOUT: Self::Input<'static> = server::Input::Timeout;

    fn handle(&mut self, now: Now, input: Self::Input<'_>) {
        self.handle(now, input);
    }

    fn poll(&mut self) -> Option<Effect> {
        Some(match self.poll()? {
            server::Output::Transmit(bytes) => Effect::Transmit(bytes),
        })
    }

    fn deadline(&self) -> Option<Mono> {
        self.deadline()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}
