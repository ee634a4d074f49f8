//! Supervision: somebody listens to a party of a call, speaks to that one alone, joins in, or takes its
//! place.
//!
//! A watcher is no party: a call goes on, and ends, as if nobody listened. Whom it listens to talks in
//! the call's conference instead of on a bridge as long as it does, which neither side hears. Its keys
//! change what it does, as team leaders are used to: 1 listens, 2 speaks to the watched one, 3 joins in.

use std::sync::Arc;

use media::GAIN_DB_MAX;
use vocab::call::{Beep, Cause, Command, Part, Target};
use vocab::record::{CallEventKind, Step};
use vocab::{CallId, LegId, Now, Party};

use super::{Hears, Member, Noted, Place, Talk, Why, Wish};
use crate::call::Call;
use crate::control::{
    Actor, ControlError, Controlled, Destination, Loudness, PartyState, Watching,
};
use crate::limits::{LEGS_MAX, TALK_RING, WATCHERS_MAX};
use crate::node::Node;
use crate::way::{NoWay, Where};

/// Somebody who supervises.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) user: String,
    /// Whom it watches.
    pub(crate) of: u16,
    pub(crate) mode: Watching,
    pub(crate) state: WatcherState,
}

/// How far a watcher is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WatcherState {
    /// Its phone rings.
    Rung,
    /// It is there; what the engine was last told of its part, once it has joined.
    Up(Option<Part>),
}

impl Watcher {
    pub(crate) fn party(&self) -> Party {
        Party::Sip(self.user.clone())
    }

    pub(super) fn view(&self) -> PartyState {
        match self.state {
            WatcherState::Rung => PartyState::Ringing,
            WatcherState::Up(_) => PartyState::Watching {
                of: self.of,
                mode: self.mode,
            },
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.state, WatcherState::Up(_))
    }

    fn part(&self, call: CallId) -> Part {
        let of = LegId { call, n: self.of };
        Part {
            muted: self.mode == Watching::Listen,
            coaches: (self.mode == Watching::Whisper).then_some(of),
            ..Part::default()
        }
    }
}

impl Talk {
    /// Somebody listens to this party.
    pub(super) fn is_watched(&self, n: u16) -> bool {
        let mut watchers = self.watchers.values();
        watchers.any(|watcher| watcher.is_up() && watcher.of == n)
    }
}

impl Call {
    /// The watcher that is meant.
    fn watcher(&self, who: &Actor) -> Option<u16> {
        let mut watchers = self.talk.watchers.iter();
        match who {
            Actor::Leg(n) => self.talk.watchers.contains_key(n).then_some(*n),
            Actor::User(user) => watchers
                .find(|(_, watcher)| watcher.user == *user)
                .map(|(n, _)| *n),
        }
    }
}

impl Node {
    /// Has a user's phone rung, to listen to a party from then on.
    pub(super) fn watch(
        &mut self,
        now: Now,
        id: CallId,
        of: &Actor,
        user: &str,
        mode: Watching,
    ) -> Result<Controlled, ControlError> {
        let of = self.actor(id, of)?;
        let call = &self.calls[&id];
        if !call.tenant.phones.contains_key(user) {
            return Err(NoWay::UnknownPhone.into());
        }
        if !self.registered(user) {
            return Err(NoWay::NotRegistered.into());
        }
        let user_is = |it: Option<&String>| it.is_some_and(|it| it == user);
        let mut members = call.talk.members.values();
        if members.any(|it| user_is(it.user.as_ref()))
            || call.watcher(&Actor::User(user.to_owned())).is_some()
        {
            return Err(ControlError::Conflict("this user is in the call already"));
        }
        if call.talk.watchers.len() >= WATCHERS_MAX {
            return Err(ControlError::Limit("enough people watch this call"));
        }
        if call.leg_last >= LEGS_MAX {
            return Err(ControlError::Limit("the call has had too many legs"));
        }
        let caller = call.shown(of).party;
        let call = self.calls.get_mut(&id).expect("just seen");
        call.leg_last += 1;
        let n = call.leg_last;
        let watcher = Watcher {
            user: user.to_owned(),
            of,
            mode,
            state: WatcherState::Rung,
        };
        let (to, trunk) = (watcher.party(), None);
        call.talk.watchers.insert(n, watcher);
        let kind = CallEventKind::Dialed { leg: n, to, trunk };
        self.journal.note(call, now.wall, kind);
        self.command(Command::Dial {
            leg: LegId { call: id, n },
            target: Target::User(user.to_owned()),
            caller,
            timeout: TALK_RING,
            sent_by: None,
        });
        Ok(Controlled::Calling { legs: vec![n] })
    }

    /// A watcher's phone has answered; false if it is none's.
    pub(crate) fn watcher_answered(&mut self, now: Now, leg: LegId) -> bool {
        let call = self.calls.get_mut(&leg.call);
        let watcher = call.and_then(|call| call.talk.watchers.get_mut(&leg.n));
        let Some(watcher) = watcher else {
            return false;
        };
        watcher.state = WatcherState::Up(None);
        let noted = Noted::new(Step::Watched, watcher.of).by(leg.n);
        let noted = noted.detail(watcher.mode.name());
        self.step(now, leg.call, noted);
        self.arrange(leg.call);
        true
    }

    /// A watcher's leg has ended; false if it is none's.
    pub(crate) fn watcher_gone(&mut self, now: Now, leg: LegId, cause: Cause) -> bool {
        let call = self.calls.get_mut(&leg.call);
        let gone = call.and_then(|call| call.talk.watchers.remove(&leg.n));
        let Some(gone) = gone else {
            return false;
        };
        let noted = Noted::new(Step::Unwatched, gone.of).by(leg.n);
        self.step(now, leg.call, noted.detail(cause.name()));
        self.arrange(leg.call);
        true
    }

    /// A watcher has pressed a key; false if it was none.
    pub(crate) fn watcher_pressed(&mut self, now: Now, leg: LegId, key: char) -> bool {
        let call = self.calls.get(&leg.call);
        if !call.is_some_and(|call| call.talk.watchers.contains_key(&leg.n)) {
            return false;
        }
        let mode = match key {
            '1' => Watching::Listen,
            '2' => Watching::Whisper,
            '3' => Watching::Barge,
            _ => return true,
        };
        self.watch_as(now, leg, mode);
        true
    }

    /// A watcher does something else from now on.
    pub(super) fn watch_otherwise(
        &mut self,
        now: Now,
        id: CallId,
        who: &Actor,
        mode: Watching,
    ) -> Result<Controlled, ControlError> {
        let call = self.calls.get(&id).ok_or(ControlError::NoCall)?;
        let n = call.watcher(who).ok_or(NO_WATCHER)?;
        self.watch_as(now, LegId { call: id, n }, mode);
        Ok(Controlled::Done)
    }

    fn watch_as(&mut self, now: Now, leg: LegId, mode: Watching) {
        let call = self.calls.get_mut(&leg.call);
        let watcher = call.and_then(|call| call.talk.watchers.get_mut(&leg.n));
        let watcher = watcher.expect("the caller looked it up");
        if std::mem::replace(&mut watcher.mode, mode) == mode || !watcher.is_up() {
            return;
        }
        let noted = Noted::new(Step::WatchedAs, watcher.of).by(leg.n);
        self.step(now, leg.call, noted.detail(mode.name()));
        self.arrange(leg.call);
    }

    /// A watcher goes on in the place of whom it watches, who is hung up.
    pub(super) fn take_place(
        &mut self,
        now: Now,
        id: CallId,
        who: &Actor,
    ) -> Result<Controlled, ControlError> {
        let call = self.calls.get(&id).ok_or(ControlError::NoCall)?;
        let n = call.watcher(who).ok_or(NO_WATCHER)?;
        let watcher = &call.talk.watchers[&n];
        if !watcher.is_up() {
            return Err(ControlError::Conflict("the phone still rings"));
        }
        let of = watcher.of;
        let (of, other) = self.pair_or_room(id, of)?;
        self.take_over(now, id);
        let call = self.calls.get_mut(&id).expect("just seen");
        let talk = &mut call.talk;
        let watcher = talk.watchers.remove(&n).expect("just seen");
        let place = talk.place(of).expect("it was just found");
        let mut member = Member::new(Some(watcher.user.clone()), watcher.party(), place);
        if let WatcherState::Up(Some(told)) = watcher.state {
            member.hears = Hears::Room;
            member.told = told;
        }
        talk.members.insert(n, member);
        if let Some(other) = other {
            talk.pair(n, other);
        }
        for watcher in talk.watchers.values_mut().filter(|it| it.of == of) {
            watcher.of = n;
        }
        if talk.asked == Some(of) {
            talk.asked = Some(n);
        }
        let noted = Noted::new(Step::PlaceTaken, of).by(n);
        self.step(now, id, noted);
        self.release_member(id, of);
        self.arrange(id);
        Ok(Controlled::Done)
    }

    /// Whom a party talks with or holds, if that is one.
    fn pair_or_room(&mut self, id: CallId, n: u16) -> Result<(u16, Option<u16>), ControlError> {
        let in_room = self.calls[&id].talk.place(n) == Some(Place::Room);
        if in_room && !self.is_between(id) {
            return Ok((n, None));
        }
        let (n, other) = self.pair_of(id, &Actor::Leg(n))?;
        Ok((n, Some(other)))
    }

    /// Watchers follow the call: whose party is gone listens to another one, or leaves. It only
    /// listens, until it says otherwise: what was meant for an agent is not for a customer.
    pub(super) fn follow_watched(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let talk = &mut call.talk;
        let users = talk.members.iter().filter(|(_, it)| it.user.is_some());
        // An agent rather than a customer: there is somebody to speak to.
        let next = users.chain(&talk.members).map(|(n, _)| *n).next();
        let mut leaving = Vec::new();
        for (&n, watcher) in &mut talk.watchers {
            if talk.members.contains_key(&watcher.of) {
                continue;
            }
            match next {
                Some(next) => (watcher.of, watcher.mode) = (next, Watching::Listen),
                None => leaving.push(n),
            }
        }
        for n in leaving {
            let (leg, cause) = (LegId { call: id, n }, Cause::Normal);
            self.command(Command::Hangup { leg, cause });
        }
    }

    /// Has the watchers who are there hear and be heard as they should.
    pub(super) fn seat_watchers(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        for (&n, watcher) in &mut call.talk.watchers {
            let part = watcher.part(id);
            let WatcherState::Up(told) = &mut watcher.state else {
                continue;
            };
            let leg = LegId { call: id, n };
            // Who only listens is not heard for a moment, either.
            if told.unwrap_or_default() != part {
                self.commands.push_back(Command::SetPart { leg, part });
            }
            if told.replace(part).is_none() {
                self.commands.push_back(Command::Join { leg });
            }
        }
    }

    /// The call is over: nobody watches it any more.
    pub(crate) fn dismiss_watchers(&mut self, call: &mut Call, id: CallId) {
        for n in std::mem::take(&mut call.talk.watchers).into_keys() {
            let (leg, cause) = (LegId { call: id, n }, Cause::Normal);
            self.command(Command::Hangup { leg, cause });
        }
    }

    /// Brings somebody else into the talk of a party: all of them talk with each other once that one
    /// has answered.
    pub(super) fn add(
        &mut self,
        now: Now,
        id: CallId,
        by: &Actor,
        to: &Destination,
        beep: bool,
    ) -> Result<Controlled, ControlError> {
        let n = self.actor(id, by)?;
        let (a, other) = self.pair_or_room(id, n)?;
        let talk = &self.calls[&id].talk;
        if talk.attempt.is_some() {
            return Err(ControlError::Conflict(
                "somebody is being called: wait, or cancel first",
            ));
        }
        if other.is_some() && !matches!(talk.place(a), Some(Place::With(_))) {
            return Err(ControlError::Conflict("retrieve the one on hold first"));
        }
        let tenant = Arc::clone(&self.calls[&id].tenant);
        let Where::Person(ways) = self.find(now.mono, &tenant, to)? else {
            return Err(ControlError::Invalid("a flow cannot join: name a person"));
        };
        self.take_over(now, id);
        let wish = Wish {
            waits: a,
            why: Why::Add { beep },
        };
        let legs = self.attempt(now, id, ways, wish)?;
        Ok(Controlled::Calling { legs })
    }

    /// Who was called to join has answered: it and those it was called by talk with each other.
    pub(super) fn added(&mut self, now: Now, id: CallId, by: u16, n: u16) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let with = match call.talk.place(by) {
            Some(Place::With(with)) => Some(with),
            Some(_) | None => None,
        };
        for n in [Some(by), with, Some(n)].into_iter().flatten() {
            call.talk.put(n, Place::Room);
        }
        if let Some(with) = with {
            self.step(now, id, Noted::new(Step::Merged, n).by(by).with(with));
        }
    }

    /// Somebody has joined: all who talk hear a beep. Those who supervise are nobody who joins.
    pub(super) fn beep_joined(&mut self, id: CallId) {
        let members = &self.calls[&id].talk.members;
        let room = members.iter().filter(|(_, it)| it.place == Place::Room);
        let legs: Vec<LegId> = room.map(|(&n, _)| LegId { call: id, n }).collect();
        for leg in legs {
            let beep = Beep::Joined;
            self.command(Command::Beep { leg, beep });
        }
    }

    /// Changes how loud a party is to others, and they to it.
    pub(super) fn adjust(
        &mut self,
        now: Now,
        id: CallId,
        who: &Actor,
        change: Loudness,
    ) -> Result<Controlled, ControlError> {
        let n = self.actor(id, who)?;
        let call = self.calls.get_mut(&id).expect("just seen");
        let member = call.talk.members.get_mut(&n).expect("just seen");
        let before = member.loudness;
        let own = &mut member.loudness;
        own.muted = change.muted.or(own.muted);
        own.deaf = change.deaf.or(own.deaf);
        own.said_db = change.said_db.or(own.said_db);
        own.heard_db = change.heard_db.or(own.heard_db);
        for db in [own.said_db, own.heard_db].into_iter().flatten() {
            if !(-GAIN_DB_MAX..=GAIN_DB_MAX).contains(&db) {
                *own = before;
                return Err(ControlError::Invalid("-24 to 24 dB"));
            }
        }
        if *own != before {
            let detail = own.describe();
            self.step(now, id, Noted::new(Step::Adjusted, n).detail(detail));
            self.arrange(id);
        }
        Ok(Controlled::Done)
    }
}

const NO_WATCHER: ControlError = ControlError::NotFound(
    "nobody watches the call under this name: name a leg that does, or a user",
);
