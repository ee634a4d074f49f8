//! A flow dials somebody: what the caller hears, and how it ends.

use std::time::Duration;

use vocab::call::{Cause, Command, Part};
use vocab::flow::{DialOptions, DialResult, DialTarget, FlowError, Reply};
use vocab::record::CallEventKind;
use vocab::{CallId, Clip, LegId, Now, Party, Pii, PlayId};

use crate::call::{Branch, Call, DialStep, Errand, Line, Refused, Stage, total};
use crate::caller::Shown;
use crate::control::Loudness;
use crate::limits::{CALL_TIME, LEGS_MAX, OP_SLACK, RING_MAX};
use crate::node::Node;
use crate::ring::{Ring, result_of};
use crate::talk::{Hears, Member, Place};
use crate::wait::Wait;
use crate::way::NoWay;

impl Node {
    pub(crate) fn dial(
        &mut self,
        now: Now,
        id: CallId,
        target: &DialTarget,
        options: &DialOptions,
        whisper: Vec<Clip>,
        errand: Errand,
    ) {
        let ways = match self.way_to(now.mono, id, target) {
            Ok(ways) => ways,
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
        // The caller hears ringing until the far end answers: from us, or, if it was not answered,
        // from its own phone.
        if call.is_up() {
            self.play_ringback(first);
        }
        let ring = Ring {
            ways,
            caller,
            timeout,
            whisper,
            errand,
        };
        if self.ring(now, id, ring).is_err() {
            self.stop_ringback(id);
            self.refuse(now, id, NoWay::Full.into());
        }
    }

    pub(crate) fn dialed_answered(&mut self, now: Now, leg: LegId) {
        if self.watcher_answered(now, leg) {
            return;
        }
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let Some(dial) = call.dialing() else {
            let cause = Cause::Cancelled;
            return self.command(Command::Hangup { leg, cause });
        };
        let Some(branch) = dial.branch(leg) else {
            return;
        };
        // A carrier need not say anything before (RFC 3261 §13.2.2.4).
        branch.trying = None;
        self.trunks.leg_spoke(now.mono, leg);
        self.choose(now, leg);
        let play = self.next_play();
        let Some(dial) = self.calls.get_mut(&leg.call).and_then(Call::dialing) else {
            return;
        };
        if let Errand::Talk(_) = dial.errand {
            return self.attempt_answered(now, leg.call);
        }
        if dial.whisper.is_empty() {
            return self.answer_for(now, leg.call);
        }
        let clips = std::mem::take(&mut dial.whisper);
        dial.step = DialStep::Whispering { play };
        if dial.early.take().is_some() {
            self.command(Command::Unbridge { leg });
        }
        self.deadlines
            .set(leg.call, Wait::Op, now.mono + total(&clips) + OP_SLACK);
        self.command(Command::Play {
            leg,
            play,
            clips,
            repeat: false,
        });
    }

    pub(crate) fn whispered(&mut self, now: Now, leg: LegId, play: PlayId) {
        let call = self.calls.get_mut(&leg.call);
        if let Some(dial) = call.and_then(Call::dialing)
            && matches!(dial.step, DialStep::Whispering { play: p } if p == play)
        {
            self.answer_for(now, leg.call);
        }
    }

    /// The far end is there: the caller is answered, if it was not, and connected then.
    fn answer_for(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let line = call.line;
        if let Some(dial) = call.dialing() {
            dial.step = DialStep::Connecting;
        }
        match line {
            Line::Up => self.connect_dialed(now, id),
            Line::Waiting => self.want_answer(now, id),
            Line::Wanted | Line::Answering | Line::Gone { .. } => {}
        }
    }

    /// Whether the caller is answered because somebody who was dialled has answered.
    pub(crate) fn connecting(&mut self, id: CallId) -> bool {
        let dial = self.calls.get_mut(&id).and_then(Call::dialing);
        dial.is_some_and(|dial| matches!(dial.step, DialStep::Connecting))
    }

    /// The party of the flow and the one it dialled talk with each other.
    pub(crate) fn connect_dialed(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let (first, first_member) = (call.leg.n, call.flow_member(Place::Flow));
        let Some(won) = call.dialing().and_then(|dial| dial.won()) else {
            return;
        };
        let n = won.leg.n;
        let member = Member::new(won.user.clone(), won.party.clone(), Place::With(first));
        let talk = &mut call.talk;
        talk.members.entry(first).or_insert(first_member);
        talk.members.insert(n, member);
        talk.pair(first, n);
        self.deadlines.set(id, Wait::Op, now.mono + OP_SLACK);
        self.arrange(id);
    }

    /// The flow has its party back: whom it dialled is gone.
    pub(crate) fn parted_from(&mut self, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let talk = &mut call.talk;
        if talk.members.remove(&leg.n).is_none() {
            return;
        }
        let first = call.leg;
        let Some(member) = talk.members.get_mut(&first.n) else {
            return;
        };
        // On a bridge it is alone with that; in a conference others may listen, who are not to hear
        // what it says to the flow.
        if member.hears == Hears::Room {
            self.commands.push_back(Command::Unbridge { leg: first });
        }
        let told = std::mem::take(&mut member.told);
        if told != Part::default() {
            let (leg, part) = (first, Part::default());
            self.commands.push_back(Command::SetPart { leg, part });
        }
        member.loudness = Loudness::default();
        (member.place, member.hears) = (Place::Flow, Hears::Nothing);
        if talk.visit.is_none() {
            talk.members.remove(&first.n);
        }
        self.arrange(leg.call);
    }

    pub(crate) fn bridged(&mut self, now: Now, a: LegId, b: LegId) {
        let Some(call) = self.calls.get_mut(&a.call) else {
            return;
        };
        if call.hears_early(a, b) {
            return;
        }
        call.bridges.insert((a.n.min(b.n), a.n.max(b.n)));
        self.journal
            .note(call, now.wall, CallEventKind::Bridged { a: a.n, b: b.n });
        self.record_from_answer(now, a.call);
        for leg in [a, b] {
            self.tell_outsider(now, leg);
        }
        let call = self.calls.get_mut(&a.call).expect("just seen");
        let Some(dial) = call.dialing() else { return };
        let Some(other) = dial.won().map(|won| won.leg) else {
            return;
        };
        // After a hold they are bridged again: that is no news to the flow.
        let new = matches!(dial.step, DialStep::Connecting);
        if (other != a && other != b) || !new {
            return;
        }
        dial.step = DialStep::Talking { since: now.mono };
        let transfer = dial.errand == Errand::Transfer;
        self.deadlines.set(a.call, Wait::Op, now.mono + CALL_TIME);
        if transfer {
            self.reply(now, a.call, Ok(Reply::Done));
            self.give_away(now, a.call, other);
        }
    }

    /// The call is in the hands of its parties; the flow, whose wish was answered, only has to
    /// return.
    pub(crate) fn give_away(&mut self, now: Now, id: CallId, other: LegId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let leg = other.n;
        let kind = CallEventKind::DialEnded {
            leg,
            result: DialResult::Answered,
            cause: None,
            status: None,
        };
        self.journal.note(call, now.wall, kind);
        self.detach(now, id);
        self.end_visit(now, id, "transferred");
    }

    pub(crate) fn unbridged(&mut self, now: Now, a: LegId, b: LegId) {
        let Some(call) = self.calls.get_mut(&a.call) else {
            return;
        };
        let pair = (a.n.min(b.n), a.n.max(b.n));
        // The end of a bridge that nobody was told of is no news.
        if call.bridges.remove(&pair) {
            let kind = CallEventKind::Unbridged {
                a: pair.0,
                b: pair.1,
            };
            self.journal.note(call, now.wall, kind);
        }
        for (n, other) in [(a.n, b.n), (b.n, a.n)] {
            if let Some(member) = call.talk.members.get_mut(&n)
                && member.hears == Hears::Bridge(other)
            {
                member.hears = Hears::Nothing;
            }
        }
        let other = if a == call.leg { b } else { a };
        // A bridge that never came about: the attempt failed.
        if let Some(dial) = call.dialing()
            && dial.has(other)
            && matches!(dial.step, DialStep::Connecting)
        {
            self.command(Command::Hangup {
                leg: other,
                cause: Cause::Failed,
            });
        }
    }

    /// Whom a flow has dialled, or whom somebody waits for, is gone.
    pub(crate) fn dialed_ended(
        &mut self,
        now: Now,
        leg: LegId,
        refused: Refused,
        contacts: &[Pii<String>],
    ) {
        let id = leg.call;
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let dial = call.dialing().expect("the caller saw it");
        let at = dial.branches.iter().position(|branch| branch.leg == leg);
        let branch = dial.branches.remove(at.expect("the caller saw it"));
        let heard = dial.early.take_if(|early| *early == leg).is_some();
        let (result, talk) = match dial.step {
            DialStep::Talking { since } => (DialResult::Answered, now.mono.since(since)),
            DialStep::Ringing | DialStep::Whispering { .. } | DialStep::Connecting => {
                (result_of(refused.cause), Duration::ZERO)
            }
        };
        let rings = matches!(dial.step, DialStep::Ringing);
        let failed = result != DialResult::Answered;
        // One that answered and left before it was connected tells no more than the result.
        let cause = (failed && refused.cause != Cause::Normal).then_some(refused.cause);
        let ended = CallEventKind::DialEnded {
            leg: leg.n,
            result,
            cause,
            status: refused.status.filter(|_| failed),
        };
        if !rings && failed {
            call.came_to_nothing(refused);
        }
        self.journal.note(call, now.wall, ended);
        self.watch_carriers(id);
        if rings && self.goes_on(now, id, branch, refused, contacts) {
            if heard {
                self.ring_again(id);
            }
            return;
        }
        self.dial_over(now, leg, result, talk);
    }

    /// Whether somebody rings, now that one does not any more.
    fn goes_on(
        &mut self,
        now: Now,
        id: CallId,
        branch: Branch,
        refused: Refused,
        contacts: &[Pii<String>],
    ) -> bool {
        let Refused { cause, status, .. } = refused;
        let branch = if branch.goes_on(cause, status) {
            match self.fail_over(now, id, branch) {
                Ok(()) => return true,
                Err(branch) => *branch,
            }
        } else {
            branch
        };
        if self.sent_on(now, id, &branch, contacts) {
            return true;
        }
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.came_to_nothing(refused);
        let dial = call.dialing();
        dial.is_some_and(|dial| !dial.branches.is_empty()) || self.next_round(now, id)
    }

    /// Nobody rings any more, or who has answered is gone.
    pub(crate) fn dial_over(&mut self, now: Now, leg: LegId, result: DialResult, talk: Duration) {
        let id = leg.call;
        for wait in [Wait::Trying, Wait::Round] {
            self.deadlines.clear(id, wait);
        }
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let dial = call.dialing().expect("the caller saw it");
        let errand = dial.errand.clone();
        let (result, cause) = match dial.last {
            Some(last) if result != DialResult::Answered => {
                (result_of(last.cause), Some(last.cause))
            }
            Some(_) | None => (result, None),
        };
        if let Errand::Talk(_) = errand {
            return self.attempt_failed(now, id, result);
        }
        self.parted_from(leg);
        self.stop_ringback(id);
        let cause = cause.filter(|cause| *cause != Cause::Normal);
        let reply = if errand == Errand::Transfer {
            Err(FlowError::Failed(format!(
                "the other party did not take the call: {result:?}"
            )))
        } else {
            Ok(Reply::Dialed {
                result,
                cause: cause.map(|cause| cause.name().to_owned()),
                talk,
            })
        };
        self.reply(now, id, reply);
    }

    /// Silence instead of ringing, until the flow says what comes next.
    fn stop_ringback(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if std::mem::take(&mut call.ringback) || call.is_up() {
            let leg = call.leg;
            self.quiet(leg);
        }
    }

    /// The flow is done with its party: it is hung up, or, if it was never answered, told what the
    /// far end said.
    pub(crate) fn turn_off(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let waits = matches!(call.line, Line::Waiting | Line::Wanted) && call.answers();
        match call.refusal {
            Some(refused) if waits => {
                let (leg, status, q850) = (call.leg, refused.answer(), refused.q850);
                self.command(Command::Reject { leg, status, q850 });
            }
            Some(_) | None => self.hang_up(id, Cause::Normal),
        }
    }

    /// Whatever plays to a leg is over.
    pub(crate) fn quiet(&mut self, leg: LegId) {
        let play = self.next_play();
        let clips = vec![Clip::silence(Duration::from_millis(20))];
        self.command(Command::Play {
            leg,
            play,
            clips,
            repeat: false,
        });
    }

    /// Lets the flow go on alone; the call is in other hands.
    pub(crate) fn detach(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let old = std::mem::replace(&mut call.stage, Stage::Talk);
        if let Stage::Flow(flow) = old {
            self.release_flow(now, id, flow.id, flow.ticket);
        }
    }
}

impl Call {
    /// One who was called does not come, and nobody is called in its place.
    pub(crate) fn came_to_nothing(&mut self, refused: Refused) {
        let Some(dial) = self.dialing() else { return };
        let last = dial.last.map_or(refused, |last| last.or(refused));
        dial.last = Some(last);
        self.refusal = Some(last);
    }

    /// Whether one of these is heard by the other before it has answered.
    fn hears_early(&mut self, a: LegId, b: LegId) -> bool {
        self.dialing().is_some_and(|dial| {
            let early = dial.early == Some(a) || dial.early == Some(b);
            early && matches!(dial.step, DialStep::Ringing)
        })
    }
}

impl Refused {
    /// Of two who did not come the one that says more: whoever was there beats whoever was not.
    fn or(self, other: Self) -> Self {
        let rank = |it: Self| match result_of(it.cause) {
            DialResult::Busy => 3,
            DialResult::Rejected => 2,
            DialResult::NoAnswer => 1,
            DialResult::Unreachable | DialResult::Answered => 0,
        };
        // Of equals the last, which is what happened in the end.
        if rank(self) > rank(other) {
            self
        } else {
            other
        }
    }

    /// What a caller is answered for whom nobody came: what the far end said, where that makes sense
    /// to somebody who called us, or else what fits best.
    fn answer(self) -> u16 {
        match self.status {
            Some(status @ (403 | 404 | 410 | 480 | 484 | 486 | 488 | 600 | 603 | 604 | 606)) => {
                status
            }
            Some(_) | None => match result_of(self.cause) {
                DialResult::Busy => 486,
                DialResult::Rejected => 603,
                DialResult::NoAnswer | DialResult::Unreachable | DialResult::Answered => 480,
            },
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
fn shown(call: &Call, options: &DialOptions) -> Shown {
    match &options.caller_id {
        Some(number) if call.tenant.routes.contains_key(number) => {
            Shown::plainly(Party::Sip(number.clone()))
        }
        Some(_) | None => call.shown(call.leg.n),
    }
}
