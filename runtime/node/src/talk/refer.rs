//! A phone asks for a transfer (REFER): blind, or by putting together two of its own calls.

use std::sync::Arc;

use sip::message::Uri;
use vocab::call::Command;
use vocab::flow::DialResult;
use vocab::record::Step;
use vocab::{CallId, LegId, Now, Pii};

use super::moving::{Moving, Purpose};
use super::{Noted, Place, Why, Wish};
use crate::call::Stage;
use crate::control::{Actor, Destination};
use crate::node::Node;
use crate::way::{Way, Ways, Where};

/// Declined, whatever the reason (RFC 3515 §2.4.2).
const DECLINED: u16 = 603;

/// Who asks is not allowed to (RFC 3261 §21.4.4).
const FORBIDDEN: u16 = 403;

/// What a REFER asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) to: Pii<String>,
    pub(crate) replaces: Option<LegId>,
    pub(crate) elsewhere: bool,
}

impl Node {
    pub(crate) fn refer_asked(&mut self, now: Now, leg: LegId, asked: &Asked) {
        let begun = match asked.replaces {
            // Whoever is to be replaced talks with another node.
            _ if asked.elsewhere => Err(DECLINED),
            Some(other) => self.refer_attended(now, leg, other),
            None => self.refer_blind(now, leg, &asked.to),
        };
        if let Err(status) = begun {
            self.command(Command::AnswerRefer { leg, status });
        }
    }

    /// Who asks, whom it talks with, if it is a phone of the tenant.
    fn referrer(&mut self, leg: LegId) -> Result<(u16, u16), u16> {
        let pair = self.pair_of(leg.call, &Actor::Leg(leg.n));
        let (a, b) = pair.map_err(|_| DECLINED)?;
        let call = &self.calls[&leg.call];
        let user = call.talk.members[&a].user.as_ref();
        let known = user.is_some_and(|user| call.tenant.phones.contains_key(user));
        if known { Ok((a, b)) } else { Err(FORBIDDEN) }
    }

    fn refer_blind(&mut self, now: Now, leg: LegId, to: &Pii<String>) -> Result<(), u16> {
        let (a, b) = self.referrer(leg)?;
        let id = leg.call;
        // Phones write whatever host they know us by: what counts is who it names.
        let (user, device) = match Uri::parse(to.reveal()) {
            Ok(Uri::Sip(uri)) => (uri.user_decoded(), uri.params.unquoted("gr")),
            Ok(Uri::Tel(uri)) => (Some(uri.digits()), None),
            Ok(Uri::Other(_)) | Err(_) => (None, None),
        };
        let user = user.filter(|user| !user.is_empty()).ok_or(DECLINED)?;
        let tenant = Arc::clone(&self.calls[&id].tenant);
        let to = Destination::Dialled(Pii::new(user));
        let found = self.find(now.mono, &tenant, &to).map_err(|_| DECLINED)?;
        let found = match (found, device) {
            // A GRUU is of one device, if that is there.
            (Where::Person(Ways::One(Way::Phone(user))), Some(gr))
                if self.has_device(&user, &gr) =>
            {
                Where::Person(Ways::One(Way::Device { user, gr }))
            }
            (found, _) => found,
        };
        self.take_over(now, id);
        let noted = Noted::new(Step::TransferAsked, b).by(a).detail(to.kind());
        self.step(now, id, noted);
        let ways = match found {
            Where::Route(route) => {
                let status = 202;
                self.command(Command::AnswerRefer { leg, status });
                self.tell_referrer(leg, 200);
                self.release_member(id, a);
                self.enter_flow(now, id, b, route);
                return Ok(());
            }
            Where::Person(ways) => ways,
        };
        let wish = Wish {
            waits: b,
            why: Why::Refer { by: a },
        };
        match self.attempt(now, id, ways, wish) {
            Ok(_) => {
                self.command(Command::AnswerRefer { leg, status: 202 });
                let call = self.calls.get_mut(&id).expect("just seen");
                call.talk.put(b, Place::Awaiting);
                call.talk.put(a, Place::Holding);
                self.arrange(id);
                Ok(())
            }
            Err(error) => {
                let noted = Noted::new(Step::TransferFailed, b).detail(error.name());
                self.step(now, id, noted);
                self.arrange(id);
                Err(DECLINED)
            }
        }
    }

    /// Whom the phone talks with takes its place in its other call.
    fn refer_attended(&mut self, now: Now, leg: LegId, other: LegId) -> Result<(), u16> {
        let (a, b) = self.referrer(leg)?;
        let id = leg.call;
        let user = self.calls[&id].talk.members[&a].user.clone();
        let call = self.calls.get_mut(&other.call).ok_or(DECLINED)?;
        let theirs = match call.talk.members.get(&other.n) {
            Some(member) => member.user.clone(),
            None if call.leg == other && call.is_up() => call.flow_user().cloned(),
            None => None,
        };
        if other.call == id || theirs != user {
            return Err(FORBIDDEN);
        }
        let ends = matches!(call.stage, Stage::Fallback { .. } | Stage::Leaving);
        let tenant = call.tenant.id.clone();
        if ends || tenant != self.calls[&id].tenant.id {
            return Err(DECLINED);
        }
        let from = LegId { call: id, n: b };
        if self.moves.contains_key(&from) || self.moves.contains_key(&other) {
            return Err(DECLINED);
        }
        self.take_over(now, id);
        let noted = Noted::new(Step::TransferAsked, b).by(a).detail("consulted");
        self.step(now, id, noted);
        self.command(Command::AnswerRefer { leg, status: 202 });
        let member = &self.calls[&id].talk.members[&b];
        let purpose = Purpose::Refer { referrer: leg };
        let moving = Moving::new(other, member, purpose);
        self.begin_move(from, moving);
        Ok(())
    }

    /// A party goes on in another call, in the place of the one who put the calls together.
    pub(super) fn place_taken(&mut self, now: Now, from: LegId, referrer: LegId, moving: Moving) {
        let Moving {
            to,
            user,
            party,
            withheld,
            purpose: _,
        } = moving;
        let noted = Noted::new(Step::MovedAway, from.n).by(referrer.n);
        self.step(now, from.call, noted);
        self.tell_referrer(referrer, 200);
        let Some(call) = self.calls.get_mut(&to.call) else {
            return;
        };
        if let Some(member) = call.talk.members.get_mut(&to.n) {
            (member.user, member.party) = (user.clone(), party.clone());
            (member.withheld, member.holds) = (withheld, false);
        }
        if to.n == 1 {
            // What a flow may do for its caller, it may do for this one.
            (call.user, call.from, call.withheld) = (user, party, withheld);
        }
        self.step(now, to.call, Noted::new(Step::TakenOver, to.n));
        self.arrange(to.call);
    }

    /// The party could not go on in the other call: all is as before.
    pub(super) fn place_not_taken(&mut self, now: Now, leg: LegId, referrer: LegId) {
        self.tell_referrer(referrer, 480);
        let noted = Noted::new(Step::TransferFailed, leg.n).by(referrer.n);
        self.step(now, leg.call, noted.detail("unreachable"));
        self.arrange(leg.call);
    }

    /// How far a transfer is that a phone asked for.
    pub(crate) fn tell_referrer(&mut self, leg: LegId, status: u16) {
        self.command(Command::TellRefer { leg, status });
    }

    /// Nobody takes the party of a phone that asked for a transfer: all is as before.
    pub(crate) fn refer_failed(
        &mut self,
        now: Now,
        id: CallId,
        by: u16,
        waits: u16,
        result: DialResult,
    ) {
        let status = match result {
            DialResult::Busy => 486,
            DialResult::NoAnswer | DialResult::Answered => 480,
            DialResult::Rejected => DECLINED,
            DialResult::Unreachable => 503,
        };
        self.tell_referrer(LegId { call: id, n: by }, status);
        let noted = Noted::new(Step::TransferFailed, waits).by(by);
        self.step(now, id, noted.detail(super::attempt::word(result)));
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.talk.pair(by, waits);
    }

    /// Somebody took the party: who asked for that is out of the call.
    pub(crate) fn refer_done(&mut self, id: CallId, by: u16) {
        self.tell_referrer(LegId { call: id, n: by }, 200);
        // Most phones hang up by themselves once they are told; none has anybody to talk to.
        self.release_member(id, by);
    }
}
