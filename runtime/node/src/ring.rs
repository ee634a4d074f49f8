//! Has somebody called: phones, and numbers over as many trunks as it takes.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use vocab::call::{Cause, Command, Target};
use vocab::flow::DialResult;
use vocab::record::CallEventKind;
use vocab::{CallId, Clip, LegId, Now, Party};

use crate::border::Notice;
use crate::call::{
    Branch, Call, Dial, DialStep, Errand, Line, Outside, Pending, Refused, Stage, Turn,
};
use crate::caller::Shown;
use crate::config::{Callee, EarlyMedia};
use crate::limits::{LEGS_MAX, TRYING_WAIT};
use crate::node::Node;
use crate::talk::Why;
use crate::trunk;
use crate::wait::Wait;
use crate::way::{Way, Ways};

/// Whom to call, as whom, and what for.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) ways: Ways,
    /// Whom the called parties see.
    pub(crate) caller: Shown,
    pub(crate) timeout: Duration,
    pub(crate) whisper: Vec<Clip>,
    pub(crate) errand: Errand,
}

impl Node {
    /// Calls somebody for a call that calls nobody else. Gives the numbers of those who ring.
    ///
    /// # Errors
    /// No trunk has a line left, or the call has had too many legs.
    pub(crate) fn ring(&mut self, now: Now, id: CallId, ring: Ring) -> Result<Vec<u16>, ()> {
        let (later, lasting, way) = match ring.ways {
            Ways::One(way) => (VecDeque::new(), Duration::ZERO, Some(way)),
            Ways::Several(rounds) => (rounds.rounds, rounds.lasting, None),
        };
        let dial = Dial {
            errand: ring.errand,
            whisper: ring.whisper,
            step: DialStep::Ringing,
            branches: Vec::new(),
            early: None,
            called: BTreeSet::new(),
            later,
            lasting,
            caller: ring.caller,
            until: now.mono + ring.timeout,
            last: None,
        };
        self.keep_dial(id, dial);
        let begun = match way {
            Some(way) => self.branch_out(now, id, way, 0),
            None => self.next_round(now, id),
        };
        if !begun {
            self.take_dial(id);
            return Err(());
        }
        let branches = &self.dial_of(id).branches;
        Ok(branches.iter().map(|branch| branch.leg.n).collect())
    }

    fn dial_of(&mut self, id: CallId) -> &mut Dial {
        let dial = self.calls.get_mut(&id).and_then(Call::dialing);
        dial.expect("the caller looked it up")
    }

    /// Has one more phone or number called; false if that is not to be had.
    pub(crate) fn branch_out(&mut self, now: Now, id: CallId, way: Way, hops: usize) -> bool {
        self.dial_of(id).called.insert(way.name().to_owned());
        let call = &self.calls[&id];
        let (user, target) = match way {
            _ if call.leg_last >= LEGS_MAX => return false,
            Way::Phone(user) => (user.clone(), Target::User(user)),
            Way::Device { user, gr } => (user.clone(), Target::Device { user, gr }),
            Way::Trunks { number, mut best } => {
                best.reverse();
                let branch = Branch {
                    leg: call.leg,
                    user: None,
                    party: party(&number),
                    hops,
                    outside: Some(Box::new(Outside {
                        number,
                        trunk: String::new(),
                        rest: best,
                        rings: false,
                    })),
                    trying: None,
                };
                return self.by_trunk(now, id, branch).is_ok();
            }
        };
        let party = Party::Sip(user.clone());
        let leg = self.new_leg(now, id, party.clone(), None);
        let sent_by = self.sender(id);
        let branch = Branch {
            leg,
            user: Some(user),
            party,
            hops,
            outside: None,
            trying: None,
        };
        let dial = self.dial_of(id);
        dial.branches.push(branch);
        let (caller, timeout) = (dial.caller.to_phones(), dial.until.since(now.mono));
        self.command(Command::Dial {
            leg,
            target,
            caller,
            timeout,
            sent_by,
        });
        self.listen_to(leg, false, false);
        true
    }

    /// The user who sent the party there for whom somebody is called.
    fn sender(&mut self, id: CallId) -> Option<String> {
        let call = self.calls.get_mut(&id)?;
        let Errand::Talk(wish) = &call.dialing()?.errand else {
            return None;
        };
        let sender = match &wish.why {
            Why::Transfer { back } => back.clone(),
            Why::Refer { by } => {
                let by = *by;
                call.talk.members.get(&by)?.sender()
            }
            Why::Consult { .. } | Why::Back | Why::PickUp | Why::Target | Why::Add { .. } => None,
        };
        let shown = sender.filter(|sender| !sender.withheld);
        shown.map(|sender| sender.user)
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

    /// Dials by the best trunk that is left and has a place; gives the branch back if none has.
    fn by_trunk(&mut self, now: Now, id: CallId, mut branch: Branch) -> Result<(), Box<Branch>> {
        let dial = self.dial_of(id);
        let (shown, until) = (dial.caller.clone(), dial.until);
        while let Some(outside) = &mut branch.outside
            && until > now.mono
            && self.calls[&id].leg_last < LEGS_MAX
            && let Some(next) = outside.rest.pop()
        {
            let n = self.calls[&id].leg_last + 1;
            let Some(trunk) = self.trunks.take(now.mono, next, LegId { call: id, n }) else {
                continue;
            };
            let tenant = &self.calls[&id].tenant;
            let target = trunk::call(tenant, (trunk, next.target), &outside.number, &shown);
            let (progress, signals) = (trunk.progress, trunk.signals);
            outside.trunk.clone_from(&trunk.id);
            let by = Some(outside.trunk.clone());
            let leg = self.new_leg(now, id, branch.party.clone(), by);
            branch.leg = leg;
            branch.trying = Some(now.mono + TRYING_WAIT);
            self.dial_of(id).branches.push(branch);
            self.watch_carriers(id);
            self.command(Command::Dial {
                leg,
                target,
                caller: shown.to_phones(),
                timeout: until.since(now.mono),
                sent_by: None,
            });
            self.listen_to(leg, progress, signals);
            return Ok(());
        }
        Err(Box::new(branch))
    }

    /// Takes a branch whose trunk failed to the next one; gives it back if there is none.
    pub(crate) fn fail_over(
        &mut self,
        now: Now,
        id: CallId,
        branch: Branch,
    ) -> Result<(), Box<Branch>> {
        let from = branch.outside.as_ref().map(|it| it.trunk.clone());
        self.by_trunk(now, id, branch)?;
        let from = from.unwrap_or_default();
        self.notice(Notice::Failover { call: id, from });
        Ok(())
    }

    /// Rings those whose turn it is; those who rang until now are dismissed. False if there is
    /// nobody, and then those ring on.
    pub(crate) fn next_round(&mut self, now: Now, id: CallId) -> bool {
        let tenant = Arc::clone(&self.calls[&id].tenant);
        self.deadlines.clear(id, Wait::Round);
        loop {
            let dial = self.dial_of(id);
            if dial.until <= now.mono {
                return false;
            }
            let Some(round) = dial.later.pop_front() else {
                return false;
            };
            let called = |it: &&Callee| !dial.called.contains(it.name());
            let new: Vec<Callee> = round.iter().filter(called).cloned().collect();
            let reached = |callee| self.reach(now.mono, &tenant, callee).ok();
            let ways: Vec<Way> = new.iter().filter_map(reached).collect();
            // Who rings already, because another one sent the call there, rings on.
            let dial = self.dial_of(id);
            let stays = |branch: &Branch| round.iter().any(|it| it.name() == branch.name());
            if ways.is_empty() && !dial.branches.iter().any(stays) {
                continue;
            }
            let branches = std::mem::take(&mut dial.branches).into_iter();
            let (stay, before): (Vec<_>, Vec<_>) = branches.partition(stays);
            dial.branches = stay;
            // They go first: those who are rung next may need their ports and lines.
            let heard = self.ring_no_more(now, id, before);
            for way in ways {
                self.branch_out(now, id, way, 0);
            }
            let dial = self.dial_of(id);
            if dial.branches.is_empty() {
                continue;
            }
            if !dial.later.is_empty() {
                let at = now.mono + dial.lasting;
                self.deadlines.set(id, Wait::Round, at);
            }
            self.watch_carriers(id);
            if heard {
                self.ring_again(id);
            }
            return true;
        }
    }

    /// The turn of those who rang is over. Says whether one of them was heard.
    fn ring_no_more(&mut self, now: Now, id: CallId, branches: Vec<Branch>) -> bool {
        if branches.is_empty() {
            return false;
        }
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.came_to_nothing(Refused {
            cause: Cause::NoAnswer,
            status: None,
            q850: None,
        });
        self.dismiss(now, id, branches, Cause::NoAnswer)
    }

    /// Those who were rung are not wanted any more. Says whether one of them was heard.
    pub(crate) fn dismiss(
        &mut self,
        now: Now,
        id: CallId,
        branches: Vec<Branch>,
        cause: Cause,
    ) -> bool {
        let mut heard = false;
        for Branch { leg, .. } in branches {
            let call = self.calls.get_mut(&id).expect("the caller looked it up");
            let early = call.dialing().map(|dial| &mut dial.early);
            heard |= early.is_some_and(|early| early.take_if(|it| *it == leg).is_some());
            let kind = CallEventKind::DialEnded {
                leg: leg.n,
                result: DialResult::NoAnswer,
                cause: (cause == Cause::Elsewhere).then_some(cause),
                status: None,
            };
            self.journal.note(call, now.wall, kind);
            self.command(Command::Hangup { leg, cause });
        }
        heard
    }

    /// Who waits hears ringing again: whom it heard is gone, and others ring.
    pub(crate) fn ring_again(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let (leg, talk) = (call.leg, matches!(call.stage, Stage::Talk));
        let rings = |dial: &mut Dial| matches!(dial.step, DialStep::Ringing);
        if talk {
            self.arrange(id);
        } else if call.dialing().is_some_and(rings) {
            call.ringback = !call.is_up();
            self.play_ringback(leg);
        }
    }

    pub(crate) fn play_ringback(&mut self, leg: LegId) {
        let play = self.next_play();
        let clips = vec![self.tones.ringback.clone()];
        self.command(Command::Play {
            leg,
            play,
            clips,
            repeat: true,
        });
    }

    /// Whoever has answered is who is wanted: nobody else rings any more.
    pub(crate) fn choose(&mut self, now: Now, leg: LegId) {
        let id = leg.call;
        self.deadlines.clear(id, Wait::Round);
        let dial = self.dial_of(id);
        dial.later.clear();
        dial.step = DialStep::Connecting;
        let branches = std::mem::take(&mut dial.branches).into_iter();
        let (won, lost): (Vec<_>, Vec<_>) = branches.partition(|branch| branch.leg == leg);
        dial.branches = won;
        self.dismiss(now, id, lost, Cause::Elsewhere);
        self.watch_carriers(id);
    }

    /// Nobody waits for this dial any more: it is called off, or its talk ended.
    pub(crate) fn leave_dialed(&mut self, now: Now, id: CallId, dial: &Dial, cause: Cause) {
        for wait in [Wait::Trying, Wait::Round] {
            self.deadlines.clear(id, wait);
        }
        for branch in &dial.branches {
            let call = self.calls.get_mut(&id).expect("the caller looked it up");
            let leg = branch.leg;
            self.journal.note(call, now.wall, dial.left(leg));
            self.parted_from(leg);
            self.command(Command::Hangup { leg, cause });
        }
    }

    /// Puts a dial where it belongs: with the flow that waits for it, or with the talk.
    fn keep_dial(&mut self, id: CallId, dial: Dial) {
        match &dial.errand {
            Errand::Dial | Errand::Transfer => self.pend(id, Pending::Dial(Box::new(dial))),
            Errand::Talk(_) => {
                let call = self.calls.get_mut(&id).expect("the caller looked it up");
                debug_assert!(call.talk.attempt.is_none(), "one attempt at a time");
                call.talk.attempt = Some(dial);
            }
        }
    }

    /// Takes the dial out; a flow that waits for it still waits.
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
                        | Pending::Gather { .. }
                        | Pending::Consent { .. }
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
        let Some(dial) = dial else { return };
        let referrer = dial.referrer();
        let Some(branch) = dial.branch(leg) else {
            return;
        };
        branch.trying = None;
        if let Some(outside) = &mut branch.outside {
            outside.rings |= ringing;
            self.watch_carriers(leg.call);
        }
        if ringing {
            if let Some(n) = referrer {
                self.tell_referrer(LegId { n, ..leg }, 180);
            }
            self.tell_ringing(leg.call);
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

    /// The far end can be heard before it answers. Of several the first is.
    pub(crate) fn dialed_early(&mut self, now: Now, leg: LegId) {
        self.dialed_heard(now, leg, true);
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let (first, line, ours) = (call.leg, call.line, call.answers());
        let relay = call.tenant.early_media == EarlyMedia::Relay;
        let Some(dial) = call.dialing() else { return };
        let rings = matches!(dial.step, DialStep::Ringing) && dial.has(leg);
        if !rings || !relay || dial.early.is_some() {
            return;
        }
        dial.early = Some(leg);
        if let Errand::Talk(_) = dial.errand {
            return self.arrange(leg.call);
        }
        if line == Line::Waiting && ours {
            self.command(Command::Progress { leg: first });
        }
        self.command(Command::Bridge { a: first, b: leg });
    }

    /// Has a call's carriers say something in time.
    pub(crate) fn watch_carriers(&mut self, id: CallId) {
        let dial = self.dial_of(id);
        let waits = dial.branches.iter().filter_map(|branch| branch.trying);
        match waits.min() {
            Some(at) => self.deadlines.set(id, Wait::Trying, at),
            None => self.deadlines.clear(id, Wait::Trying),
        }
    }

    /// A carrier has said nothing for too long: its branch goes on elsewhere once its leg is over.
    pub(crate) fn dialed_in_vain(&mut self, now: Now, id: CallId) {
        let Some(dial) = self.calls.get_mut(&id).and_then(Call::dialing) else {
            return;
        };
        let mut silent = Vec::new();
        for branch in &mut dial.branches {
            if branch.trying.take_if(|at| *at <= now.mono).is_some() {
                silent.push(branch.leg);
            }
        }
        for leg in silent {
            let cause = Cause::Unreachable;
            self.command(Command::Hangup { leg, cause });
        }
        self.watch_carriers(id);
    }

    /// Those who ring have rung long enough.
    pub(crate) fn round_over(&mut self, now: Now, id: CallId) {
        let dial = self.calls.get_mut(&id).and_then(Call::dialing);
        let rings = dial.is_some_and(|dial| matches!(dial.step, DialStep::Ringing));
        if rings && !self.next_round(now, id) && self.dial_of(id).branches.is_empty() {
            // Those of the next turns were there, and there was no room to call them.
            let nobody = LegId { call: id, n: 0 };
            self.dial_over(now, nobody, DialResult::Unreachable, Duration::ZERO);
        }
    }
}

impl Branch {
    /// The user or the number that is called.
    pub(crate) fn name(&self) -> &str {
        match (&self.user, &self.outside) {
            (Some(user), _) => user,
            (None, Some(outside)) => &outside.number,
            (None, None) => "",
        }
    }

    /// Whether another trunk is tried: nobody was reached by this one, and nobody's phone rang.
    pub(crate) fn goes_on(&self, cause: Cause, status: Option<u16>) -> bool {
        let failed = cause == Cause::Unreachable || status == Some(408);
        let outside = self.outside.as_ref();
        failed && outside.is_some_and(|it| !it.rings && !it.rest.is_empty())
    }
}

impl Dial {
    /// What the journal says of somebody whom the caller, or we, put an end to.
    pub(crate) fn left(&self, leg: LegId) -> CallEventKind {
        let result = match self.step {
            DialStep::Talking { .. } => DialResult::Answered,
            DialStep::Ringing | DialStep::Whispering { .. } | DialStep::Connecting => {
                DialResult::NoAnswer
            }
        };
        CallEventKind::DialEnded {
            leg: leg.n,
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
        | Cause::Elsewhere
        | Cause::Interrupted => DialResult::Unreachable,
    }
}
