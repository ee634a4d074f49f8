//! Has somebody called: a phone, a ring group, or a number over as many trunks as it takes.

use std::time::Duration;

use vocab::call::{Cause, Command, Target};
use vocab::flow::DialResult;
use vocab::record::CallEventKind;
use vocab::{CallId, Clip, LegId, Now, Party};

use crate::border::Notice;
use crate::call::{Call, Dial, DialStep, Errand, Line, Outside, Pending, Stage, Turn};
use crate::caller::Shown;
use crate::config::EarlyMedia;
use crate::limits::{LEGS_MAX, TRYING_WAIT};
use crate::node::Node;
use crate::trunk;
use crate::wait::Wait;
use crate::way::Way;

/// Whom to call, as whom, and what for.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) way: Way,
    /// Whom the called party sees.
    pub(crate) caller: Shown,
    pub(crate) timeout: Duration,
    pub(crate) whisper: Vec<Clip>,
    pub(crate) errand: Errand,
}

impl Node {
    /// Calls somebody for a call that calls nobody else.
    ///
    /// # Errors
    /// No trunk has a line left.
    pub(crate) fn ring(&mut self, now: Now, id: CallId, ring: Ring) -> Result<u16, ()> {
        let Ring {
            way,
            caller,
            timeout,
            whisper,
            errand,
        } = ring;
        let mut dial = Dial {
            leg: self.calls[&id].leg,
            errand,
            whisper,
            step: DialStep::Ringing,
            early: false,
            user: None,
            party: Party::Anonymous,
            caller: caller.clone(),
            until: now.mono + timeout,
            hops: Vec::new(),
            outside: None,
        };
        let target = match way {
            Way::Phone(user) => {
                dial.party = Party::Sip(user.clone());
                dial.user = Some(user.clone());
                Target::User(user)
            }
            Way::Device { user, gr } => {
                dial.party = Party::Sip(user.clone());
                dial.user = Some(user.clone());
                Target::Device { user, gr }
            }
            Way::Group { name, rings } => {
                dial.party = Party::Sip(name);
                Target::Users(rings)
            }
            Way::Trunks { number, mut best } => {
                best.reverse();
                dial.party = party(&number);
                dial.outside = Some(Box::new(Outside {
                    number,
                    trunk: String::new(),
                    rest: best,
                    rings: false,
                }));
                return self.try_trunks(now, id, dial).map_err(|_dial| ());
            }
        };
        dial.leg = self.new_leg(now, id, dial.party.clone(), None);
        let leg = dial.leg;
        self.keep_dial(id, dial);
        self.command(Command::Dial {
            leg,
            target,
            caller: caller.to_phones(),
            timeout,
        });
        Ok(leg.n)
    }

    /// The next leg of a call, and the event that it is dialled.
    fn new_leg(&mut self, now: Now, id: CallId, to: Party, trunk: Option<String>) -> LegId {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.leg_last += 1;
        let n = call.leg_last;
        let kind = CallEventKind::Dialed { leg: n, to, trunk };
        self.journal.note(call, now.wall, kind);
        LegId { call: id, n }
    }

    /// Dials by the best trunk that is left and has a place; gives the attempt back if none has.
    fn try_trunks(&mut self, now: Now, id: CallId, mut dial: Dial) -> Result<u16, Box<Dial>> {
        while let Some(outside) = &mut dial.outside
            && dial.until > now.mono
            && self.calls[&id].leg_last < LEGS_MAX
            && let Some(next) = outside.rest.pop()
        {
            let n = self.calls[&id].leg_last + 1;
            let Some(trunk) = self.trunks.take(now.mono, next, LegId { call: id, n }) else {
                continue;
            };
            let (tenant, caller) = (&self.calls[&id].tenant, &dial.caller);
            let target = trunk::call(tenant, (trunk, next.target), &outside.number, caller);
            outside.trunk.clone_from(&trunk.id);
            let (caller, timeout) = (dial.caller.to_phones(), dial.until.since(now.mono));
            let by = Some(outside.trunk.clone());
            let leg = self.new_leg(now, id, dial.party.clone(), by);
            dial.leg = leg;
            self.deadlines.set(id, Wait::Trying, now.mono + TRYING_WAIT);
            self.keep_dial(id, dial);
            self.command(Command::Dial {
                leg,
                target,
                caller,
                timeout,
            });
            return Ok(leg.n);
        }
        Err(Box::new(dial))
    }

    /// Takes an attempt whose trunk failed to the next one; `Err` if there is none.
    pub(crate) fn fail_over(&mut self, now: Now, id: CallId) -> Result<(), ()> {
        let dial = self.take_dial(id).expect("the caller saw it");
        let from = dial.outside.as_ref().map(|it| it.trunk.clone());
        match self.try_trunks(now, id, dial) {
            Ok(_) => {
                let from = from.unwrap_or_default();
                self.notice(Notice::Failover { call: id, from });
                Ok(())
            }
            Err(dial) => {
                self.keep_dial(id, *dial);
                Err(())
            }
        }
    }

    /// Nobody waits for this attempt any more: it is cancelled, or its talk ended.
    pub(crate) fn leave_dialed(&mut self, now: Now, id: CallId, dial: &Dial) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        self.journal.note(call, now.wall, dial.left());
        self.deadlines.clear(id, Wait::Trying);
        let (leg, cause) = (dial.leg, Cause::Cancelled);
        self.parted_from(leg);
        self.command(Command::Hangup { leg, cause });
    }

    /// Puts an attempt where it belongs: with the flow that waits for it, or with the talk.
    pub(crate) fn keep_dial(&mut self, id: CallId, dial: Dial) {
        match &dial.errand {
            Errand::Dial | Errand::Transfer => self.pend(id, Pending::Dial(Box::new(dial))),
            Errand::Talk(_) => {
                let call = self.calls.get_mut(&id).expect("the caller looked it up");
                debug_assert!(call.talk.attempt.is_none(), "one attempt at a time");
                call.talk.attempt = Some(dial);
            }
        }
    }

    /// Takes the attempt out; a flow that waits for it still waits.
    pub(crate) fn take_dial(&mut self, id: CallId) -> Option<Dial> {
        let call = self.calls.get_mut(&id)?;
        match &mut call.stage {
            Stage::Flow(flow) => match &mut flow.turn {
                Turn::Host(pending @ Pending::Dial(_)) => {
                    match std::mem::replace(pending, Pending::Answer) {
                        Pending::Dial(dial) => Some(*dial),
                        Pending::Answer
                        | Pending::Resolving(_)
                        | Pending::Play { .. }
                        | Pending::Gather
                        | Pending::Record { .. }
                        | Pending::NextEvent
                        | Pending::Sleep => None,
                    }
                }
                Turn::Host(_) | Turn::Plugin | Turn::Returning => None,
            },
            Stage::Talk => call.talk.attempt.take(),
            Stage::Fallback { .. } | Stage::Leaving => None,
        }
    }

    /// The far end of a dialled leg has said something; it may be ringing.
    pub(crate) fn dialed_heard(&mut self, now: Now, leg: LegId, ringing: bool) {
        self.trunks.leg_spoke(now.mono, leg);
        let dial = self.calls.get_mut(&leg.call).and_then(Call::dialing);
        if let Some(dial) = dial
            && dial.leg == leg
        {
            if let Some(outside) = &mut dial.outside {
                outside.rings |= ringing;
                self.deadlines.clear(leg.call, Wait::Trying);
            }
            let referrer = dial.referrer();
            if let Some(by) = referrer.filter(|_| ringing) {
                let by = LegId {
                    call: leg.call,
                    n: by,
                };
                self.tell_referrer(by, 180);
            }
            if ringing {
                self.tell_ringing(leg.call);
            }
        }
    }

    /// A caller who was not answered hears ringing from its own phone.
    fn tell_ringing(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let waits = call.line == Line::Waiting && call.answers();
        if waits && !std::mem::replace(&mut call.rung, true) {
            let leg = call.leg;
            self.command(Command::Ring { leg });
        }
    }

    /// The far end can be heard before it answers.
    pub(crate) fn dialed_early(&mut self, now: Now, leg: LegId) {
        self.dialed_heard(now, leg, true);
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let (first, line, ours) = (call.leg, call.line, call.answers());
        let relay = call.tenant.early_media == EarlyMedia::Relay;
        let Some(dial) = call.dialing() else { return };
        if dial.leg != leg || !relay || !matches!(dial.step, DialStep::Ringing) {
            return;
        }
        dial.early = true;
        if let Errand::Talk(_) = dial.errand {
            return self.arrange(leg.call);
        }
        if line == Line::Waiting && ours {
            self.command(Command::Progress { leg: first });
        }
        self.command(Command::Bridge { a: first, b: leg });
    }

    /// A carrier has said nothing for too long: the attempt goes on elsewhere once its leg is over.
    pub(crate) fn dialed_in_vain(&mut self, id: CallId) {
        if let Some(dial) = self.calls.get_mut(&id).and_then(Call::dialing) {
            let (leg, cause) = (dial.leg, Cause::Unreachable);
            self.command(Command::Hangup { leg, cause });
        }
    }
}

impl Dial {
    /// Whether another trunk is tried: nobody was reached by this one, and nobody's phone rang.
    pub(crate) fn goes_on(&self, cause: Cause, status: Option<u16>) -> bool {
        let failed = cause == Cause::Unreachable || status == Some(408);
        let outside = self.outside.as_ref();
        failed
            && matches!(self.step, DialStep::Ringing)
            && outside.is_some_and(|it| !it.rings && !it.rest.is_empty())
    }

    /// What the journal says of an attempt that the caller, or we, put an end to.
    pub(crate) fn left(&self) -> CallEventKind {
        let result = match self.step {
            DialStep::Talking { .. } => DialResult::Answered,
            DialStep::Ringing | DialStep::Whispering { .. } | DialStep::Connecting => {
                DialResult::NoAnswer
            }
        };
        CallEventKind::DialEnded {
            leg: self.leg.n,
            result,
            cause: None,
            status: None,
        }
    }
}

/// A dialled number in the words of records.
fn party(number: &str) -> Party {
    if number.starts_with('+') {
        Party::E164(number.to_owned())
    } else {
        Party::Sip(number.to_owned())
    }
}

/// The result of an attempt whose leg ended before an answer.
pub(crate) fn result_of(cause: Cause) -> DialResult {
    match cause {
        Cause::Busy => DialResult::Busy,
        Cause::NoAnswer | Cause::Cancelled => DialResult::NoAnswer,
        Cause::Rejected | Cause::Blocked | Cause::Challenged | Cause::NotAcceptable => {
            DialResult::Rejected
        }
        Cause::Normal
        | Cause::NotFound
        | Cause::Unreachable
        | Cause::Lost
        | Cause::Overload
        | Cause::Failed
        | Cause::Transferred
        | Cause::Interrupted => DialResult::Unreachable,
    }
}
