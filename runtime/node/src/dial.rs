//! A flow dials somebody: who may be dialled, what the caller hears, and how it ends.

use std::time::Duration;

use vocab::call::{Cause, Command, Side, Target};
use vocab::flow::{DialOptions, DialResult, DialTarget, FlowError, Reply};
use vocab::record::CallEventKind;
use vocab::{CallId, Clip, LegId, Now, Party, Pii, PlayId};

use crate::call::{Call, Dial, DialStep, Pending, Stage, Turn, total};
use crate::limits::{CALL_TIME, LEGS_MAX, OP_SLACK, RING_MAX};
use crate::node::Node;
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
        let (to, target) = match self.way_to(&self.calls[&id], target) {
            Ok(way) => way,
            Err(error) => return self.refuse(now, id, error),
        };
        let ringback = self.next_play();
        let call = self.calls.get_mut(&id).expect("a flow has a call");
        if call.leg_last >= LEGS_MAX {
            let error = FlowError::Limit(format!("a call dials {LEGS_MAX} times"));
            return self.refuse(now, id, error);
        }
        call.leg_last += 1;
        let leg = LegId {
            call: id,
            n: call.leg_last,
        };
        let (first, caller) = (call.leg, shown(call, options));
        self.journal
            .note(call, now.wall, CallEventKind::Dialed { leg: leg.n, to });
        let timeout = options.timeout.clamp(Duration::from_secs(1), RING_MAX);
        let wait = timeout + total(&whisper) + OP_SLACK;
        self.deadlines.set(id, Wait::Op, now.mono + wait);
        self.pend(
            id,
            Pending::Dial(Dial {
                leg,
                transfer,
                whisper,
                step: DialStep::Ringing,
            }),
        );
        // The caller hears ringing from us until the far end answers.
        let clips = vec![self.tones.ringback.clone()];
        self.command(Command::Play {
            leg: first,
            play: ringback,
            clips,
            repeat: true,
        });
        self.command(Command::Dial {
            leg,
            target,
            caller,
            timeout,
        });
    }

    /// Where a target is reached, if this caller may reach it.
    fn way_to(&self, call: &Call, target: &DialTarget) -> Result<(Party, Target), FlowError> {
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
            return Ok((Party::Sip(user.to_owned()), Target::User(user.to_owned())));
        }
        if host.is_some() {
            let why = "addresses outside are not dialled: use a number and a trunk";
            return Err(FlowError::Denied(why.to_owned()));
        }
        let digits = user.strip_prefix('+').unwrap_or(user);
        if !(2..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(FlowError::Invalid(
                "not a number: digits with an optional +".to_owned(),
            ));
        }
        let fits = call.tenant.trunks.iter().flat_map(|trunk| {
            let prefixes = trunk
                .prefixes
                .iter()
                .filter(|prefix| user.starts_with(*prefix));
            prefixes.map(move |prefix| (prefix.len(), trunk))
        });
        // The longest prefix wins; of equals the first in the configuration.
        let Some((_, trunk)) = fits.rev().max_by_key(|(len, _)| *len) else {
            let why = "no trunk of this tenant allows this destination: add its prefix to one";
            return Err(FlowError::Denied(why.to_owned()));
        };
        let uri = Pii::new(format!("sip:{user}@{}", trunk.address));
        let to = if user.starts_with('+') {
            Party::E164(user.to_owned())
        } else {
            Party::Sip(user.to_owned())
        };
        Ok((
            to,
            Target::Uri {
                uri,
                next_hop: trunk.address,
                tcp: trunk.tcp,
            },
        ))
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

    pub(crate) fn dialed_ended(
        &mut self,
        now: Now,
        leg: LegId,
        cause: Cause,
        _by: Side,
        status: Option<u16>,
    ) {
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
        let transfer = dial.transfer;
        let (result, talk) = match dial.step {
            DialStep::Talking { since } => (DialResult::Answered, now.mono.since(since)),
            DialStep::Ringing | DialStep::Whispering { .. } => (result_of(cause), Duration::ZERO),
        };
        self.journal.note(
            call,
            now.wall,
            CallEventKind::DialEnded { leg: leg.n, result },
        );
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

    /// Nobody waits for this attempt any more: it is cancelled, or its talk ended.
    pub(crate) fn leave_dialed(&mut self, now: Now, id: CallId, dial: &Dial) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        self.journal.note(call, now.wall, dial.left());
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

impl Dial {
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
        | Cause::Interrupted => DialResult::Unreachable,
    }
}
