//! The guard at work: who is let in, and what becomes of the others.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use vocab::Now;

use super::Endpoint;
use super::receive::Arrival;
use super::watch::{Late, Times};
use crate::border::{ConnId, Event, Hop};
use crate::guard::peek::Kind;
use crate::guard::{Banned, Dropped, Payer, Source, peek};
use crate::message::{HeaderName, Headers, Message, Method};

/// Where dialogs talk.
#[derive(Default)]
struct Talking {
    streams: BTreeSet<ConnId>,
    remotes: BTreeSet<SocketAddr>,
}

impl Talking {
    fn over(&self, conn: ConnId, seen: Option<Hop>) -> bool {
        self.streams.contains(&conn) || seen.is_some_and(|seen| self.remotes.contains(&seen.remote))
    }
}

impl Endpoint {
    /// Whether a datagram is read.
    pub(super) fn lets_in(&mut self, now: Now, seen: Hop, bytes: &[u8]) -> bool {
        if self.guard.trusts(seen.remote.ip()) {
            return true;
        }
        let payer = self.payer(seen);
        let Err(why) = self.judge(now, payer, seen.remote, peek::kind(bytes)) else {
            return true;
        };
        let known = peek::dialog(bytes)
            .is_some_and(|(call_id, tag)| self.names.contains_key(&self.name(call_id, tag)));
        if known {
            return true;
        }
        let banned = self.guard.note_dropped(now, payer, why);
        self.shut_out(now, banned);
        false
    }

    /// Whether a message of a stream is handled. A request beyond the limit is answered 503: who
    /// holds a stream is who it says.
    pub(super) fn lets_through(&mut self, now: Now, seen: Hop, message: &Message) -> bool {
        if self.guard.trusts(seen.remote.ip()) {
            return true;
        }
        let Message::Request(request) = message else {
            return true;
        };
        let payer = self.payer(seen);
        let kind = if request.method == Method::Register {
            Kind::Register
        } else if request.method == Method::Invite {
            Kind::Invite
        } else {
            Kind::Other
        };
        let Err(why) = self.judge(now, payer, seen.remote, kind) else {
            return true;
        };
        if self.dialog_of(&request.headers).is_some() {
            return true;
        }
        let banned = self.guard.note_dropped(now, payer, why);
        match (why, &banned) {
            (Dropped::Requests | Dropped::Registers | Dropped::Invites, None) => {
                if let Ok(arrival) = self.arrival(seen, request.clone()) {
                    self.overload(&arrival);
                }
            }
            (
                Dropped::Requests
                | Dropped::Registers
                | Dropped::Invites
                | Dropped::Denied
                | Dropped::Banned,
                _,
            ) => {}
        }
        self.shut_out(now, banned);
        false
    }

    fn judge(
        &mut self,
        now: Now,
        payer: Payer,
        remote: SocketAddr,
        kind: Kind,
    ) -> Result<(), Dropped> {
        match payer {
            Payer::Source(_) => self.guard.hears(remote.ip())?,
            Payer::Flow(_) | Payer::Stream(_) => {}
        }
        self.guard.meter(now.mono, payer, kind)
    }

    /// Whose bucket a message draws from.
    fn payer(&self, seen: Hop) -> Payer {
        if !self.registrar.is_flow(seen) {
            return Payer::Source(Source::of(seen.remote.ip()));
        }
        match seen.conn {
            Some(conn) => Payer::Stream(conn),
            None => Payer::Flow(seen.remote),
        }
    }

    /// Somebody nobody knows asks for a call while most of the room is taken: what is left is for
    /// registered phones and trunks.
    pub(super) fn is_crowded_for(&self, arrival: &Arrival) -> bool {
        let seen = arrival.seen;
        let mostly = |limit: usize| limit - limit / 4;
        let full = self.dialogs.len() >= mostly(self.limits.dialogs)
            || self.transactions() >= mostly(self.limits.transactions);
        full && !self.guard.trusts(seen.remote.ip()) && !self.registrar.is_flow(seen)
    }

    /// Whether a scanner sent this; then it hears nothing more.
    pub(super) fn is_scanned(&mut self, now: Now, seen: Hop, headers: &Headers) -> bool {
        let name = headers.first(&HeaderName::UserAgent).unwrap_or_default();
        let scanned = self.guard.is_scanner(seen.remote.ip(), name);
        if scanned {
            let banned = self.guard.note_scanner(now, seen.remote.ip());
            self.shut_out(now, banned);
        }
        scanned
    }

    /// A message was no SIP or broke its rules. Tells whether its sender is still listened to.
    pub(super) fn note_malformed(&mut self, now: Now, seen: Hop) -> bool {
        self.tally.malformed += 1;
        if self.registrar.is_flow(seen) {
            return true;
        }
        let banned = self.guard.note_malformed(now, seen.remote.ip());
        let heard = banned.is_none();
        self.shut_out(now, banned);
        heard
    }

    /// Credentials were wrong. Tells whether their sender is still listened to.
    ///
    /// A registered contact that guesses the passwords of others is banned like anybody: its nonce
    /// says that it was there.
    pub(super) fn note_failure(&mut self, now: Now, seen: Hop) -> bool {
        self.tally.auth_failures += 1;
        let banned = self.guard.note_failure(now, seen.remote.ip());
        let heard = banned.is_none() && self.guard.hears(seen.remote.ip()).is_ok();
        if !heard {
            self.registrar.revoke(seen);
        }
        self.shut_out(now, banned);
        heard
    }

    /// Tells of a ban and closes the streams of who was banned, apart from those in use.
    fn shut_out(&mut self, now: Now, banned: Option<Banned>) {
        let Some(banned) = banned else { return };
        self.event(Event::Banned {
            source: banned.source.address(),
            reason: banned.reason,
            lasting: banned.lasting,
        });
        if self.watch.count(banned.source) == 0 {
            return;
        }
        let talking = self.talking();
        let streams: Vec<ConnId> = self.watch.of(banned.source).collect();
        for conn in streams {
            let seen = self.watch.seen(conn);
            if !talking.over(conn, seen) && !self.registrar.is_stream(conn) {
                self.close_stream(now, conn);
            }
        }
    }

    /// Streams that dialogs use. One of our own making may not know its stream's name, only where
    /// it leads.
    fn talking(&self) -> Talking {
        let mut talking = Talking::default();
        for hop in self.dialogs.values().map(|dialog| dialog.hop) {
            match hop.conn {
                Some(conn) => talking.streams.insert(conn),
                None => talking.remotes.insert(hop.remote),
            };
        }
        talking
    }

    /// Whether a new stream is taken.
    pub(super) fn takes_stream(&mut self, now: Now, conn: ConnId, seen: Hop) -> bool {
        let ip = seen.remote.ip();
        if self.guard.trusts(ip) {
            return true;
        }
        let source = Source::of(ip);
        if let Err(why) = self.guard.hears(ip) {
            self.guard.note_dropped(now, Payer::Source(source), why);
            return false;
        }
        if self.watch.count(source) >= self.guard.config().streams {
            self.guard.counts.streams_refused += 1;
            return false;
        }
        self.watch.open(now.mono, conn, seen, self.times());
        true
    }

    pub(super) fn times(&self) -> Times {
        let config = self.guard.config();
        Times {
            message: config.message_time,
            idle: config.idle_time,
        }
    }

    /// Closes the streams whose time is up.
    pub(super) fn tick_streams(&mut self, now: Now) {
        let times = self.times();
        let mut talking = None;
        while let Some((conn, late)) = self.watch.due(now.mono, times) {
            let seen = self.watch.seen(conn);
            let trusted = seen.is_some_and(|seen| self.guard.trusts(seen.remote.ip()));
            let idle = late == Late::Idle;
            let in_use = idle
                && (self.registrar.is_stream(conn)
                    || talking
                        .get_or_insert_with(|| self.talking())
                        .over(conn, seen));
            if trusted || in_use {
                self.watch.excuse(now.mono, conn, times);
                continue;
            }
            match late {
                Late::Slow => self.guard.counts.streams_slow += 1,
                Late::Idle => self.guard.counts.streams_idle += 1,
            }
            self.close_stream(now, conn);
        }
    }
}
