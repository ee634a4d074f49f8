//! What an operator asks for, and when it makes no sense.

use std::sync::Arc;

use vocab::call::{Cause, Command, Side};
use vocab::flow::FlowError;
use vocab::record::Step;
use vocab::{CallId, LegId, Now, Pii};

use super::secure::SECURING;
use super::{Member, Noted, Place, Why, Wish};
use crate::border::Output;
use crate::call::{Call, DialStep, Errand, Line, Stage};
use crate::control::{Actor, Control, ControlError, ControlId, Controlled, Destination};
use crate::limits::DIGITS_MAX;
use crate::node::Node;
use crate::way::Where;

type Answer = Result<Controlled, ControlError>;

/// A call that somebody is about to leave or to come to changes by that alone.
pub(super) const BETWEEN: ControlError =
    ControlError::Conflict("somebody is on the way between this call and another: wait a moment");

impl Node {
    pub(crate) fn control(&mut self, now: Now, id: ControlId, request: Control) {
        let result = match request {
            Control::Hold { call, by } => self.hold(now, call, &by),
            Control::Retrieve { call, by } => self.retrieve(now, call, &by),
            Control::Transfer { call, by, to } => self.transfer(now, call, &by, &to),
            Control::Consult { call, by, to } => self.consult(now, call, &by, &to),
            Control::Swap { call, by } => self.swap(now, call, &by),
            Control::Merge { call, by, beep } => self.merge(now, call, &by, beep),
            Control::Complete { call, by } => self.complete(now, call, &by),
            Control::Cancel { call, by } => self.cancel(now, call, &by),
            Control::Park { call, by, slot } => self.park(now, call, &by, slot),
            Control::PickUp { user, slot } => self.pick_up(now, &user, slot),
            Control::Redirect { call, to } => self.redirect(now, call, &to),
            Control::ToFlow { call, by, route } => {
                match self.visit_flow(now, call, &by, &route, id) {
                    // Answered when the flow is over.
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            Control::Bridge {
                call,
                leg,
                other,
                other_leg,
            } => match self.bridge(id, (call, &leg), (other, &other_leg)) {
                // Answered when the two talk.
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Control::SendDigits { call, leg, digits } => self.send_digits(now, call, &leg, &digits),
            Control::Record { call, by, step } => self.record_step(now, call, by.as_ref(), step),
            Control::Secure { call, leg, keys } => match self.secure(now, call, &leg, *keys, id) {
                // Answered when the keys are pressed.
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Control::EndSecure { call } => self.end_securing(now, call),
            Control::Hangup { call, leg } => self.hang_up_one(call, &leg),
            Control::Add { call, by, to, beep } => self.add(now, call, &by, &to, beep),
            Control::Adjust { call, leg, change } => self.adjust(now, call, &leg, change),
            Control::Watch {
                call,
                leg,
                user,
                mode,
            } => self.watch(now, call, &leg, &user, mode),
            Control::WatchAs { call, leg, mode } => self.watch_otherwise(now, call, &leg, mode),
            Control::TakePlace { call, leg } => self.take_place(now, call, &leg),
            Control::Originate {
                user,
                to,
                detection,
            } => {
                let begun = self.originate(now, &user, to);
                if let Ok(Controlled::Call(call)) = begun {
                    self.detect(call, detection.map(|it| *it));
                }
                begun
            }
            Control::Redial { user } => self.redial(now, &user),
        };
        self.out.push_back(Output::Controlled { id, result });
    }

    /// The number of a party that acts, in a call that people may control now.
    pub(super) fn actor(&mut self, id: CallId, by: &Actor) -> Result<u16, ControlError> {
        let between = self.is_between(id);
        let call = self.calls.get_mut(&id).ok_or(ControlError::NoCall)?;
        if between {
            return Err(BETWEEN);
        }
        if call.talk.secure.is_some() {
            return Err(SECURING);
        }
        let talks = match &call.stage {
            Stage::Talk => true,
            Stage::Flow(_) => call
                .dialing()
                .is_some_and(|dial| matches!(dial.step, DialStep::Talking { .. })),
            Stage::Fallback { .. } | Stage::Leaving => {
                return Err(ControlError::Conflict("the call is ending"));
            }
        };
        if !talks {
            return Err(ControlError::Conflict(
                "a flow looks after the call: wait until it has connected somebody",
            ));
        }
        let members = &call.talk.members;
        match by {
            Actor::Leg(n) => members.contains_key(n).then_some(*n),
            Actor::User(user) => members
                .iter()
                .find(|(_, member)| member.user.as_ref() == Some(user))
                .map(|(n, _)| *n),
        }
        .ok_or(ControlError::NoParty)
    }

    /// Who acts, and whom it talks with or holds; nobody else is in the call.
    pub(crate) fn pair_of(&mut self, id: CallId, by: &Actor) -> Result<(u16, u16), ControlError> {
        let a = self.actor(id, by)?;
        let talk = &self.calls[&id].talk;
        if talk.attempt.is_some() {
            return Err(ControlError::Conflict(
                "somebody is being called: wait, complete or cancel first",
            ));
        }
        let b = match talk.place(a) {
            Some(Place::With(b)) => b,
            Some(Place::Holding) => talk
                .held(a)
                .ok_or(ControlError::Conflict("nobody is there to talk with"))?,
            Some(Place::Room) => {
                return Err(ControlError::Conflict(
                    "not in a conference: hang up one of the three first",
                ));
            }
            Some(Place::Held | Place::Awaiting | Place::Parked | Place::Flow | Place::Last)
            | None => {
                return Err(ControlError::Conflict("this party waits itself"));
            }
        };
        if talk
            .others(a)
            .any(|n| n != b && talk.place(n) != Some(Place::Flow))
            && talk.visit.is_none()
        {
            return Err(ControlError::Conflict(
                "somebody else waits: swap, merge, complete or cancel first",
            ));
        }
        Ok((a, b))
    }

    /// Who acts, whom it talks with, and who waits on hold.
    fn three_of(&mut self, id: CallId, by: &Actor) -> Result<(u16, u16, u16), ControlError> {
        let a = self.actor(id, by)?;
        let talk = &self.calls[&id].talk;
        match (talk.place(a), talk.held(a)) {
            (Some(Place::With(b)), Some(held)) => Ok((a, b, held)),
            _ => Err(ControlError::Conflict(
                "this party talks with one and holds none: consult somebody first",
            )),
        }
    }

    /// A flow that has connected two parties lets go of them.
    pub(crate) fn take_over(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if matches!(call.stage, Stage::Flow(_))
            && let Some(other) = call
                .dialing()
                .and_then(|dial| dial.won())
                .map(|won| won.leg)
        {
            let why = "the call is in other hands".to_owned();
            self.reply(now, id, Err(FlowError::Hangup(why)));
            self.give_away(now, id, other);
        }
    }

    fn hold(&mut self, now: Now, id: CallId, by: &Actor) -> Answer {
        let (a, b) = self.pair_of(id, by)?;
        if self.calls[&id].talk.place(a) == Some(Place::Holding) {
            return Err(ControlError::Conflict("the other one is on hold already"));
        }
        self.take_over(now, id);
        self.put_on_hold(now, id, a, b, Place::Holding);
        self.user_holds(id, a);
        self.arrange(id);
        Ok(Controlled::Done)
    }

    fn put_on_hold(&mut self, now: Now, id: CallId, a: u16, b: u16, place: Place) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let before = call.talk.place(b);
        call.talk.put(a, place);
        call.talk.put(b, Place::Held);
        if before != Some(Place::Held) {
            self.step(now, id, Noted::new(Step::Held, b).by(a));
        }
    }

    fn retrieve(&mut self, now: Now, id: CallId, by: &Actor) -> Answer {
        let (a, b) = self.pair_of(id, by)?;
        let call = self.calls.get_mut(&id).expect("just seen");
        if call.talk.place(a) != Some(Place::Holding) {
            return Err(ControlError::Conflict("nobody is on hold"));
        }
        call.talk.pair(a, b);
        self.step(now, id, Noted::new(Step::Retrieved, b).by(a));
        self.arrange(id);
        Ok(Controlled::Done)
    }

    fn transfer(&mut self, now: Now, id: CallId, by: &Actor, to: &Destination) -> Answer {
        let (a, b) = self.pair_of(id, by)?;
        self.send_to(now, id, b, Some(a), to)
    }

    /// Sends a party somewhere; who sends it leaves.
    fn send_to(
        &mut self,
        now: Now,
        id: CallId,
        b: u16,
        by: Option<u16>,
        to: &Destination,
    ) -> Answer {
        let tenant = Arc::clone(&self.calls[&id].tenant);
        let found = self.find(now.mono, &tenant, to)?;
        self.take_over(now, id);
        let noted = Noted::new(Step::TransferAsked, b).detail(to.kind());
        self.step(now, id, by.map_or(noted.clone(), |a| noted.by(a)));
        let call = self.calls.get_mut(&id).expect("just seen");
        let back = by.and_then(|a| call.talk.members.get(&a)?.sender());
        let ways = match found {
            Where::Route(route) => {
                if let Some(a) = by {
                    self.release_member(id, a);
                }
                self.enter_flow(now, id, b, route);
                return Ok(Controlled::Done);
            }
            Where::Person(ways) => ways,
        };
        let before = call.talk.place(b);
        call.talk.put(b, Place::Awaiting);
        let wish = Wish {
            waits: b,
            why: Why::Transfer { back },
        };
        match self.attempt(now, id, ways, wish) {
            Ok(legs) => {
                if let Some(a) = by {
                    self.release_member(id, a);
                }
                self.arrange(id);
                Ok(Controlled::Calling { legs })
            }
            Err(error) => {
                let call = self.calls.get_mut(&id).expect("just seen");
                if let Some(before) = before {
                    call.talk.put(b, before);
                }
                let noted = Noted::new(Step::TransferFailed, b).detail(error.name());
                self.step(now, id, noted);
                self.arrange(id);
                Err(error)
            }
        }
    }

    fn consult(&mut self, now: Now, id: CallId, by: &Actor, to: &Destination) -> Answer {
        let (a, b) = self.pair_of(id, by)?;
        let tenant = Arc::clone(&self.calls[&id].tenant);
        let Where::Person(ways) = self.find(now.mono, &tenant, to)? else {
            return Err(ControlError::Invalid(
                "a flow cannot be asked: transfer to it, or visit it",
            ));
        };
        self.take_over(now, id);
        let wish = Wish {
            waits: a,
            why: Why::Consult { held: b },
        };
        let legs = self.attempt(now, id, ways, wish)?;
        self.put_on_hold(now, id, a, b, Place::Awaiting);
        let noted = Noted::new(Step::Consulting, b).by(a).with(legs[0]);
        self.step(now, id, noted);
        self.arrange(id);
        Ok(Controlled::Calling { legs })
    }

    fn swap(&mut self, now: Now, id: CallId, by: &Actor) -> Answer {
        let (a, b, held) = self.three_of(id, by)?;
        let call = self.calls.get_mut(&id).expect("just seen");
        call.talk.pair(a, held);
        call.talk.put(b, Place::Held);
        self.step(now, id, Noted::new(Step::Swapped, b).by(a).with(held));
        self.arrange(id);
        Ok(Controlled::Done)
    }

    fn merge(&mut self, now: Now, id: CallId, by: &Actor, beep: bool) -> Answer {
        let (a, b, held) = self.three_of(id, by)?;
        let call = self.calls.get_mut(&id).expect("just seen");
        call.talk.asked = None;
        for n in [a, b, held] {
            call.talk.put(n, Place::Room);
        }
        self.step(now, id, Noted::new(Step::Merged, held).by(a).with(b));
        self.arrange(id);
        if beep {
            self.beep_joined(id);
        }
        Ok(Controlled::Done)
    }

    fn complete(&mut self, now: Now, id: CallId, by: &Actor) -> Answer {
        let a = self.actor(id, by)?;
        let call = self.calls.get_mut(&id).expect("just seen");
        let back = call.talk.members.get(&a).and_then(Member::sender);
        if let Some(dial) = &mut call.talk.attempt
            && let Errand::Talk(wish) = &mut dial.errand
            && let Why::Consult { held } = wish.why
            && wish.waits == a
        {
            *wish = Wish {
                waits: held,
                why: Why::Transfer { back },
            };
            call.talk.put(held, Place::Awaiting);
            let noted = Noted::new(Step::TransferAsked, held).by(a);
            self.step(now, id, noted.detail("consulted"));
            self.release_member(id, a);
            self.arrange(id);
            return Ok(Controlled::Done);
        }
        let (a, b, held) = self.three_of(id, by)?;
        let call = self.calls.get_mut(&id).expect("just seen");
        call.talk.asked = None;
        call.talk.pair(b, held);
        self.step(now, id, Noted::new(Step::Transferred, held).by(a).with(b));
        self.arrange(id);
        self.release_member(id, a);
        Ok(Controlled::Done)
    }

    fn cancel(&mut self, now: Now, id: CallId, by: &Actor) -> Answer {
        let a = self.actor(id, by)?;
        let call = self.calls.get_mut(&id).expect("just seen");
        if let Some(dial) = &call.talk.attempt
            && let Errand::Talk(Wish { waits, why }) = &dial.errand
            && let Why::Consult { held } = *why
            && *waits == a
        {
            let asked = dial.branches.first().map(|branch| branch.leg.n);
            self.cancel_attempt(now, id);
            return Ok(self.back_to(now, id, a, held, asked.unwrap_or_default()));
        }
        let (a, b, held) = self.three_of(id, by)?;
        let asked = self.calls[&id].talk.asked.unwrap_or(b);
        let other = if asked == b { held } else { b };
        self.release_member(id, asked);
        Ok(self.back_to(now, id, a, other, asked))
    }

    fn back_to(&mut self, now: Now, id: CallId, a: u16, other: u16, asked: u16) -> Controlled {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.talk.asked = None;
        call.talk.pair(a, other);
        let noted = Noted::new(Step::ConsultEnded, other).by(a).with(asked);
        self.step(now, id, noted.detail("cancelled"));
        self.arrange(id);
        Controlled::Done
    }

    fn redirect(&mut self, now: Now, id: CallId, to: &Destination) -> Answer {
        let between = self.is_between(id);
        let call = self.calls.get_mut(&id).ok_or(ControlError::NoCall)?;
        if between {
            return Err(BETWEEN);
        }
        let (first, line) = (call.leg, call.line);
        let unanswered = matches!(line, Line::Waiting | Line::Wanted) && call.answers();
        let dials = call.dialing().is_some();
        match &call.stage {
            Stage::Flow(_) | Stage::Fallback { .. } if unanswered => {
                self.redirect_unanswered(now, first, to)
            }
            Stage::Flow(_) if line == Line::Up && !dials => self.redirect_from_flow(now, first, to),
            Stage::Flow(_) | Stage::Talk if line == Line::Up => {
                let (b, a) = self.pair_of(id, &Actor::Leg(first.n))?;
                self.send_to(now, id, b, Some(a), to)
            }
            Stage::Flow(_) | Stage::Talk | Stage::Fallback { .. } | Stage::Leaving => Err(
                ControlError::Conflict("the call is just being answered, or ending: try again"),
            ),
        }
    }

    /// The caller's phone calls somebody else instead.
    fn redirect_unanswered(&mut self, now: Now, leg: LegId, to: &Destination) -> Answer {
        let tenant = Arc::clone(&self.calls[&leg.call].tenant);
        let user = match to {
            Destination::Phone(user) if tenant.phones.contains_key(user) => user.as_str(),
            Destination::Route(number) if tenant.routes.contains_key(number) => number.as_str(),
            Destination::Dialled(text) | Destination::Number(text) => text.reveal().as_str(),
            Destination::Phone(_) | Destination::Route(_) => {
                return Err(ControlError::NotFound(
                    "no such phone or route in this tenant",
                ));
            }
            Destination::Group(_) | Destination::Several { .. } => {
                return Err(ControlError::Invalid(
                    "phones do not dial ring groups: answer first, or name a route",
                ));
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-_.".contains(c);
        if user.is_empty() || user.len() > 64 || !user.chars().all(plain) {
            return Err(ControlError::Invalid("not a number or a user's name"));
        }
        let to_uri = Pii::new(format!("sip:{user}@{}", self.own_host));
        let noted = Noted::new(Step::Redirected, leg.n).detail(to.kind());
        self.step(now, leg.call, noted);
        self.command(Command::Redirect { leg, to: to_uri });
        Ok(Controlled::Done)
    }

    /// A caller who is with a flow goes elsewhere.
    fn redirect_from_flow(&mut self, now: Now, leg: LegId, to: &Destination) -> Answer {
        let id = leg.call;
        let tenant = Arc::clone(&self.calls[&id].tenant);
        self.find(now.mono, &tenant, to)?;
        self.leave_flow(now, leg, Place::Holding);
        let sent = self.send_to(now, id, leg.n, None, to);
        if sent.is_err() {
            self.last_words(now, id, leg.n);
            self.arrange(id);
        }
        sent
    }

    fn send_digits(&mut self, now: Now, id: CallId, to: &Actor, digits: &Pii<String>) -> Answer {
        let text = digits.reveal();
        let good = |c: char| c.is_ascii_digit() || "*#ABCD".contains(c);
        if text.is_empty() || text.len() > DIGITS_MAX || !text.chars().all(good) {
            return Err(ControlError::Invalid(
                "1 to 32 digits out of 0-9, *, # and A-D",
            ));
        }
        let call = self.calls.get(&id).ok_or(ControlError::NoCall)?;
        let n = call.party(to).ok_or(ControlError::NoParty)?;
        let up = call.talk.members.contains_key(&n) || (n == call.leg.n && call.is_up());
        if !up {
            return Err(ControlError::Conflict("this party has not answered"));
        }
        let noted = Noted::new(Step::DigitsSent, n).detail(text.len().to_string());
        self.step(now, id, noted);
        self.command(Command::SendDigits {
            leg: LegId { call: id, n },
            digits: digits.clone(),
        });
        Ok(Controlled::Done)
    }

    fn hang_up_one(&mut self, id: CallId, who: &Actor) -> Answer {
        let call = self.calls.get(&id).ok_or(ControlError::NoCall)?;
        let n = call.party(who).ok_or(ControlError::NoParty)?;
        let leg = LegId { call: id, n };
        let rings = call
            .dialed()
            .is_some_and(|dial| dial.has(leg) && dial.won().is_none());
        let cause = if rings {
            Cause::Cancelled
        } else {
            Cause::Normal
        };
        self.command(Command::Hangup { leg, cause });
        Ok(Controlled::Done)
    }

    /// An operator, or the longest time, ends a whole call.
    pub(crate) fn end_call(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        if matches!(call.stage, Stage::Talk) && !call.talk.members.is_empty() {
            return self.over(now, id, Cause::Normal, Side::Near);
        }
        self.hang_up(id, Cause::Normal);
    }
}

impl Call {
    /// The number of a party, answered or not.
    pub(crate) fn party(&self, who: &Actor) -> Option<u16> {
        let dialed = self.dialed();
        let known = |n: &u16| {
            self.talk.members.contains_key(n)
                || self.talk.watchers.contains_key(n)
                || (*n == self.leg.n && !self.is_gone())
                || dialed.is_some_and(|dial| dial.branches.iter().any(|it| it.leg.n == *n))
        };
        match who {
            Actor::Leg(n) => known(n).then_some(*n),
            Actor::User(user) => {
                let member = self
                    .talk
                    .members
                    .iter()
                    .find(|(_, member)| member.user.as_ref() == Some(user));
                let rung = dialed.map(|dial| &dial.branches[..]).unwrap_or_default();
                let rung = rung
                    .iter()
                    .find(|branch| branch.user.as_ref() == Some(user));
                let mut watchers = self.talk.watchers.iter();
                let watcher = watchers.find(|(_, watcher)| watcher.user == *user);
                let first = self.user.as_ref() == Some(user) && self.leg.n == 1;
                member
                    .map(|(n, _)| *n)
                    .or(rung.map(|branch| branch.leg.n))
                    .or(watcher.map(|(n, _)| *n))
                    .or((first && !self.is_gone()).then_some(1))
            }
        }
    }

    /// Whether its first leg called us, so that it is ours to answer or to send elsewhere.
    pub(crate) fn answers(&self) -> bool {
        self.direction == vocab::Direction::Inbound && self.leg.n == 1
    }
}
