//! A flow dials somebody: who may be dialled, what the caller hears, and how it ends.

use std::time::Duration;

use vocab::call::{Cause, Command, Target};
use vocab::flow::{DialOptions, DialResult, DialTarget, FlowError, Reply};
use vocab::record::CallEventKind;
use vocab::{CallId, Clip, LegId, Now, Party, PlayId};

use crate::border::Notice;
use crate::call::{Call, Dial, DialStep, Outside, Pending, Stage, Turn, total};
use crate::limits::{CALL_TIME, LEGS_MAX, OP_SLACK, RING_MAX, TRYING_WAIT};
use crate::node::Node;
use crate::trunk::{self, NoTrunk, Try};
use crate::wait::Wait;

impl Node {
    pub(crate) fn dial(
        &mut self,
        now: Now,
        id: CallId,
        target: &DialTarget,
        options: &DialOptions,
        whisper: Vec<Clip>,
        transfer: bool,
    ) {
        let way = match self.way_to(now, id, target) {
            Ok(way) => way,
            Err(error) => return self.refuse(now, id, error),
        };
        let call = &self.calls[&id];
        if call.leg_last >= LEGS_MAX {
            let error = FlowError::Limit(format!("a call dials {LEGS_MAX} times"));
            return self.refuse(now, id, error);
        }
        let (first, caller) = (call.leg, shown(call, options));
        let timeout = options.timeout.clamp(Duration::from_secs(1), RING_MAX);
        let wait = timeout + total(&whisper) + OP_SLACK;
        self.deadlines.set(id, Wait::Op, now.mono + wait);
        // The caller hears ringing from us until the far end answers.
        let ringback = Command::Play {
            leg: first,
            play: self.next_play(),
            clips: vec![self.tones.ringback.clone()],
            repeat: true,
        };
        self.command(ringback);
        let mut dial = Dial {
            leg: first,
            transfer,
            whisper,
            step: DialStep::Ringing,
            outside: None,
        };
        match way {
            Way::Phone(user) => {
                dial.leg = self.new_leg(now, id, Party::Sip(user.clone()));
                let (leg, target) = (dial.leg, Target::User(user));
                self.pend(id, Pending::Dial(dial));
                self.command(Command::Dial {
                    leg,
                    target,
                    caller,
                    timeout,
                });
            }
            Way::Trunks { number, mut best } => {
                best.reverse();
                dial.outside = Some(Box::new(Outside {
                    number,
                    caller,
                    trunk: String::new(),
                    rest: best,
                    until: now.mono + timeout,
                    rings: false,
                }));
                if let Err(_none) = self.try_trunks(now, id, dial) {
                    self.stop_ringback(id);
                    self.refuse(now, id, full());
                }
            }
        }
    }

    /// The next leg of a call, and the event that it is dialled.
    fn new_leg(&mut self, now: Now, id: CallId, to: Party) -> LegId {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.leg_last += 1;
        let n = call.leg_last;
        self.journal
            .note(call, now.wall, CallEventKind::Dialed { leg: n, to });
        LegId { call: id, n }
    }

    /// Dials by the best trunk that is left and has a place; gives the attempt back if none has.
    fn try_trunks(&mut self, now: Now, id: CallId, mut dial: Dial) -> Result<(), Dial> {
        while let Some(outside) = &mut dial.outside
            && outside.until > now.mono
            && self.calls[&id].leg_last < LEGS_MAX
            && let Some(next) = outside.rest.pop()
        {
            let n = self.calls[&id].leg_last + 1;
            let Some(trunk) = self.trunks.take(now.mono, next, LegId { call: id, n }) else {
                continue;
            };
            let (tenant, caller) = (&self.calls[&id].tenant, &outside.caller);
            let target = trunk::call(tenant, (trunk, next.target), &outside.number, caller);
            outside.trunk.clone_from(&trunk.id);
            let (caller, timeout) = (outside.caller.clone(), outside.until.since(now.mono));
            let leg = self.new_leg(now, id, party(&outside.number));
            dial.leg = leg;
            self.deadlines.set(id, Wait::Trying, now.mono + TRYING_WAIT);
            self.pend(id, Pending::Dial(dial));
            self.command(Command::Dial {
                leg,
                target,
                caller,
                timeout,
            });
            return Ok(());
        }
        Err(dial)
    }

    /// Where a target is reached, if this caller may reach it.
    fn way_to(&mut self, now: Now, id: CallId, target: &DialTarget) -> Result<Way, FlowError> {
        let call = &self.calls[&id];
        if call.user.is_none() {
            let why =
                "the caller is not authenticated: only registered phones may cause a call out";
            return Err(FlowError::Denied(why.to_owned()));
        }
        let address = match target {
            DialTarget::Agent(_) => {
                return Err(FlowError::Unsupported(
                    "this version has no agents".to_owned(),
                ));
            }
            DialTarget::Queue(_) => {
                return Err(FlowError::Unsupported(
                    "this version has no queues".to_owned(),
                ));
            }
            DialTarget::E164(number) => number.as_str(),
            DialTarget::Sip(address) => address.strip_prefix("sip:").unwrap_or(address),
        };
        let (user, host) = match address.split_once('@') {
            Some((user, host)) => (user, Some(host)),
            None => (address, None),
        };
        if host.is_none() && call.tenant.phones.contains_key(user) {
            if !self.registered(user) {
                return Err(FlowError::Unavailable(
                    "the phone is not registered".to_owned(),
                ));
            }
            return Ok(Way::Phone(user.to_owned()));
        }
        if host.is_some() {
            let why = "addresses outside are not dialled: use a number and a trunk";
            return Err(FlowError::Denied(why.to_owned()));
        }
        let number = call.tenant.numbers.to_e164(user);
        let number = number.unwrap_or_else(|| user.to_owned());
        let digits = number.strip_prefix('+').unwrap_or(&number);
        if !(2..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(FlowError::Invalid(
                "not a number: digits with an optional +".to_owned(),
            ));
        }
        let tenant = call.tenant.id.clone();
        match self.trunks.candidates(now.mono, &tenant, &number) {
            Ok(best) => Ok(Way::Trunks { number, best }),
            Err(NoTrunk::Full) => Err(full()),
            Err(NoTrunk::Unresolved) => {
                let why = "the names of the trunks to this destination have no address now";
                Err(FlowError::Unavailable(why.to_owned()))
            }
            Err(NoTrunk::Forbidden) => {
                let why = "no trunk of this tenant allows this destination: add its prefix to one";
                Err(FlowError::Denied(why.to_owned()))
            }
        }
    }

    /// The far end of a dialled leg has said something; it may be ringing.
    pub(crate) fn dialed_heard(&mut self, now: Now, leg: LegId, ringing: bool) {
        self.trunks.leg_spoke(now.mono, leg);
        let pending = self.calls.get_mut(&leg.call).and_then(Call::pending);
        if let Some(Pending::Dial(dial)) = pending
            && dial.leg == leg
            && let Some(outside) = &mut dial.outside
        {
            outside.rings |= ringing;
            self.deadlines.clear(leg.call, Wait::Trying);
        }
    }

    /// A carrier has said nothing for too long: the attempt goes on elsewhere once its leg is over.
    pub(crate) fn dialed_in_vain(&mut self, id: CallId) {
        let pending = self.calls.get_mut(&id).and_then(Call::pending);
        if let Some(Pending::Dial(dial)) = pending {
            let (leg, cause) = (dial.leg, Cause::Unreachable);
            self.command(Command::Hangup { leg, cause });
        }
    }

    pub(crate) fn dialed_answered(&mut self, now: Now, leg: LegId) {
        let play = self.next_play();
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let first = call.leg;
        let Some(Pending::Dial(dial)) = call.pending() else {
            let cause = Cause::Cancelled;
            return self.command(Command::Hangup { leg, cause });
        };
        if dial.leg != leg {
            return;
        }
        if dial.whisper.is_empty() {
            return self.command(Command::Bridge { a: first, b: leg });
        }
        let clips = std::mem::take(&mut dial.whisper);
        dial.step = DialStep::Whispering { play };
        self.deadlines
            .set(leg.call, Wait::Op, now.mono + total(&clips) + OP_SLACK);
        self.command(Command::Play {
            leg,
            play,
            clips,
            repeat: false,
        });
    }

    pub(crate) fn whispered(&mut self, leg: LegId, play: PlayId) {
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let first = call.leg;
        if let Some(Pending::Dial(dial)) = call.pending()
            && matches!(dial.step, DialStep::Whispering { play: p } if p == play)
        {
            self.command(Command::Bridge { a: first, b: leg });
        }
    }

    pub(crate) fn bridged(&mut self, now: Now, a: LegId, b: LegId) {
        let Some(call) = self.calls.get_mut(&a.call) else {
            return;
        };
        self.journal
            .note(call, now.wall, CallEventKind::Bridged { a: a.n, b: b.n });
        let transfer = match call.pending() {
            Some(Pending::Dial(dial)) if dial.leg == b => {
                dial.step = DialStep::Talking { since: now.mono };
                dial.transfer
            }
            Some(_) | None => return,
        };
        self.deadlines.set(a.call, Wait::Op, now.mono + CALL_TIME);
        if transfer {
            self.give_away(now, a.call, b);
        }
    }

    /// The call is the other party's now; the flow only has to return.
    fn give_away(&mut self, now: Now, id: CallId, other: LegId) {
        self.reply(now, id, Ok(Reply::Done));
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let leg = other.n;
        let kind = CallEventKind::DialEnded {
            leg,
            result: DialResult::Answered,
        };
        self.journal.note(call, now.wall, kind);
        self.detach(now, id, Stage::Away { other });
    }

    pub(crate) fn unbridged(&mut self, now: Now, a: LegId, b: LegId) {
        let Some(call) = self.calls.get_mut(&a.call) else {
            return;
        };
        let kind = CallEventKind::Unbridged {
            a: a.n.min(b.n),
            b: a.n.max(b.n),
        };
        self.journal.note(call, now.wall, kind);
        let other = if a.n == 1 { b } else { a };
        // A bridge that never came about: the attempt failed.
        if let Some(Pending::Dial(dial)) = call.pending()
            && dial.leg == other
            && !matches!(dial.step, DialStep::Talking { .. })
        {
            self.command(Command::Hangup {
                leg: other,
                cause: Cause::Failed,
            });
        }
    }

    pub(crate) fn dialed_ended(&mut self, now: Now, leg: LegId, cause: Cause, status: Option<u16>) {
        let unanswered = cause == Cause::Unreachable && status.is_none();
        self.trunks.leg_ended(now.mono, leg, unanswered);
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let id = leg.call;
        if matches!(call.stage, Stage::Away { other } if other == leg) {
            call.stage = Stage::Leaving;
            return self.hang_up(id, Cause::Normal);
        }
        let Some(Pending::Dial(dial)) = call.pending() else {
            return;
        };
        if dial.leg != leg {
            return;
        }
        self.deadlines.clear(id, Wait::Trying);
        let transfer = dial.transfer;
        let (result, talk) = match dial.step {
            DialStep::Talking { since } => (DialResult::Answered, now.mono.since(since)),
            DialStep::Ringing | DialStep::Whispering { .. } => (result_of(cause), Duration::ZERO),
        };
        let elsewhere = dial.goes_on(cause, status);
        let ended = CallEventKind::DialEnded { leg: leg.n, result };
        self.journal.note(call, now.wall, ended);
        if elsewhere && self.fail_over(now, id).is_ok() {
            return;
        }
        self.stop_ringback(id);
        let cause = status.map(|status| status.to_string());
        let reply = if transfer {
            Err(FlowError::Failed(format!(
                "the other party did not take the call: {result:?}"
            )))
        } else {
            Ok(Reply::Dialed {
                result,
                cause,
                talk,
            })
        };
        self.reply(now, id, reply);
    }

    /// Takes an attempt whose trunk failed to the next one; `Err` if there is none.
    fn fail_over(&mut self, now: Now, id: CallId) -> Result<(), ()> {
        let pending = self.calls.get_mut(&id).and_then(Call::pending);
        let pending = pending.expect("the caller saw it");
        let Pending::Dial(dial) = std::mem::replace(pending, Pending::Answer) else {
            panic!("the caller saw an attempt");
        };
        let from = dial.outside.as_ref().map(|it| it.trunk.clone());
        match self.try_trunks(now, id, dial) {
            Ok(()) => {
                let from = from.unwrap_or_default();
                self.notice(Notice::Failover { call: id, from });
                Ok(())
            }
            Err(dial) => {
                self.pend(id, Pending::Dial(dial));
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
        self.command(Command::Hangup { leg, cause });
    }

    /// Silence instead of ringing, until the flow says what comes next.
    fn stop_ringback(&mut self, id: CallId) {
        let play = self.next_play();
        let leg = self.calls[&id].leg;
        let clips = vec![Clip::silence(Duration::from_millis(20))];
        self.command(Command::Play {
            leg,
            play,
            clips,
            repeat: false,
        });
    }

    /// Lets the flow go on alone; the call is in other hands.
    fn detach(&mut self, now: Now, id: CallId, stage: Stage) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let old = std::mem::replace(&mut call.stage, stage);
        if let Stage::Flow(flow) = old {
            debug_assert!(!matches!(flow.turn, Turn::Host(_)), "its wish was answered");
            self.release_flow(now, id, flow.id, flow.ticket);
        }
    }
}

/// Where a target is reached.
enum Way {
    /// Wherever this user's phones are registered.
    Phone(String),
    /// By one of these, the best first.
    Trunks { number: String, best: Vec<Try> },
}

impl Dial {
    /// Whether another trunk is tried: nobody was reached by this one, and nobody's phone rang.
    fn goes_on(&self, cause: Cause, status: Option<u16>) -> bool {
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
            DialStep::Ringing | DialStep::Whispering { .. } => DialResult::NoAnswer,
        };
        CallEventKind::DialEnded {
            leg: self.leg.n,
            result,
        }
    }
}

fn full() -> FlowError {
    FlowError::Limit("all lines of the trunks to this destination are in use".to_owned())
}

/// A dialled number in the words of records.
fn party(number: &str) -> Party {
    if number.starts_with('+') {
        Party::E164(number.to_owned())
    } else {
        Party::Sip(number.to_owned())
    }
}

/// How a transfer rings: as a caller would expect of a desk phone.
pub(crate) fn transfer_options() -> DialOptions {
    DialOptions {
        timeout: Duration::from_secs(30),
        caller_id: None,
        whisper: Vec::new(),
    }
}

/// What the journal says of a target: its kind, never the number.
pub(crate) fn describe(target: &DialTarget) -> &'static str {
    match target {
        DialTarget::Agent(_) => "agent",
        DialTarget::Queue(_) => "queue",
        DialTarget::E164(_) => "number",
        DialTarget::Sip(_) => "phone",
    }
}

/// Whom the called party sees. A flow may show only numbers of its own tenant's routes.
fn shown(call: &Call, options: &DialOptions) -> Party {
    match &options.caller_id {
        Some(number) if call.tenant.routes.contains_key(number) => Party::Sip(number.clone()),
        Some(_) | None => match &call.user {
            Some(user) => Party::Sip(user.clone()),
            None => call.from.clone(),
        },
    }
}

fn result_of(cause: Cause) -> DialResult {
    match cause {
        Cause::Busy => DialResult::Busy,
        Cause::NoAnswer | Cause::Cancelled => DialResult::NoAnswer,
        Cause::Rejected | Cause::Challenged | Cause::NotAcceptable => DialResult::Rejected,
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
