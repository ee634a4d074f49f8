//! Streams that strangers opened: how many, and how long they may do nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vocab::Mono;

use crate::guard::Source;
use crate::{ConnId, Hop};

/// Streams with their deadlines.
#[derive(Default)]
pub(super) struct Watch {
    seats: BTreeMap<ConnId, Seat>,
    sources: BTreeMap<Source, BTreeSet<ConnId>>,
    agenda: BTreeSet<(Mono, ConnId)>,
}

struct Seat {
    seen: Hop,
    source: Source,
    /// When it was opened, last carried a whole message, or was last found in use.
    heard: Mono,
    /// When the message began that is not complete.
    begun: Option<Mono>,
    armed: Option<Mono>,
}

/// How long a stream may take for what.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) message: Duration,
    pub(super) idle: Duration,
}

/// Why a stream is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Late {
    /// A message was begun long ago and is not complete.
    Slow,
    /// No message came for long.
    Idle,
}

impl Watch {
    /// Streams of a source.
    pub(super) fn count(&self, source: Source) -> usize {
        self.sources.get(&source).map_or(0, BTreeSet::len)
    }

    pub(super) fn of(&self, source: Source) -> impl Iterator<Item = ConnId> {
        self.sources.get(&source).into_iter().flatten().copied()
    }

    pub(super) fn seen(&self, conn: ConnId) -> Option<Hop> {
        self.seats.get(&conn).map(|seat| seat.seen)
    }

    pub(super) fn open(&mut self, now: Mono, conn: ConnId, seen: Hop, times: Times) {
        let source = Source::of(seen.remote.ip());
        self.close(conn);
        let (heard, begun, armed) = (now, None, None);
        let seat = Seat {
            seen,
            source,
            heard,
            begun,
            armed,
        };
        self.seats.insert(conn, seat);
        self.sources.entry(source).or_default().insert(conn);
        self.rearm(conn, times);
    }

    /// Bytes came: `whole` if they completed a message, `begun` if one is left that is not
    /// complete.
    pub(super) fn heard(
        &mut self,
        now: Mono,
        conn: ConnId,
        whole: bool,
        begun: bool,
        times: Times,
    ) {
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        if whole {
            seat.heard = now;
            seat.begun = None;
        }
        seat.begun = begun.then(|| seat.begun.unwrap_or(now));
        self.rearm(conn, times);
    }

    /// It is in use although it says nothing.
    pub(super) fn excuse(&mut self, now: Mono, conn: ConnId, times: Times) {
        if let Some(seat) = self.seats.get_mut(&conn) {
            seat.heard = now;
            seat.begun = seat.begun.map(|_| now);
            self.rearm(conn, times);
        }
    }

    pub(super) fn close(&mut self, conn: ConnId) {
        let Some(seat) = self.seats.remove(&conn) else {
            return;
        };
        if let Some(at) = seat.armed {
            self.agenda.remove(&(at, conn));
        }
        if let Some(streams) = self.sources.get_mut(&seat.source) {
            streams.remove(&conn);
            if streams.is_empty() {
                self.sources.remove(&seat.source);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// A stream whose time is up. It is closed or excused before the next call.
    pub(super) fn due(&self, now: Mono, times: Times) -> Option<(ConnId, Late)> {
        let &(_, conn) = self.agenda.first().filter(|(at, _)| *at <= now)?;
        let begun = self.seats[&conn].begun;
        let slow = begun.is_some_and(|begun| begun + times.message <= now);
        Some((conn, if slow { Late::Slow } else { Late::Idle }))
    }

    fn rearm(&mut self, conn: ConnId, times: Times) {
        let Some(seat) = self.seats.get_mut(&conn) else {
            return;
        };
        let idle = seat.heard + times.idle;
        let next = seat
            .begun
            .map_or(idle, |begun| idle.min(begun + times.message));
        if let Some(at) = seat.armed.replace(next) {
            self.agenda.remove(&(at, conn));
        }
        self.agenda.insert((next, conn));
    }
}
