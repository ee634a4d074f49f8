//! Who is recorded, and when: each party of a recorded call, from its answer until it leaves.
//!
//! A party's recording is a row of segments. One ends when the party leaves, goes to another call,
//! or is an hour long, and where the recording goes on the next one begins in the same step: nothing
//! is lost between the two. All parties of a call are recorded or none, so that their segments can
//! be laid beside each other.
//!
//! Calls that belong together are one **interaction**, named by the oldest of them: a party that goes
//! from one call to another takes its recording along, and whom a phone asks while its recorded call
//! is on hold is recorded as well.

use std::collections::{BTreeMap, BTreeSet};

use vocab::call::{Beep, Command, GatherSpec};
use vocab::flow::Reply;
use vocab::record::{CallEventKind, PauseEnd};
use vocab::recording::{Consent, SegmentEnd, SegmentStart};
use vocab::{CallId, LegId, Mono, Now, Party, Pii, RecordingId, SecretToken};

use crate::border::{Output, Secret};
use crate::call::{Call, Line, Pending, Stage, Turn, total};
use crate::control::{Actor, ControlError, Controlled, RecordStep};
use crate::limits::{
    CONSENT_WAIT, OP_SLACK, PAUSE_MAX, PAUSE_UNLESS_SAID, SECRET_TAIL, SEGMENT_MAX, SEGMENTS_MAX,
    USERS_HOLDING_MAX,
};
use crate::node::Node;
use crate::talk::Place;
use crate::wait::Wait;

/// What is recorded of a call.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) taping: Taping,
    /// The segment of each leg that is recorded now.
    open: BTreeMap<u16, Segment>,
    /// Number of the last segment.
    last: u16,
    /// Something is pressed that nobody may hear: nothing is recorded, whatever is asked for.
    secret: bool,
    /// Parties outside that were called and have heard that they are recorded.
    told: BTreeSet<u16>,
    /// Whether somebody agreed, or did not, is in the call's events.
    consent_noted: bool,
}

/// Whether the parties of a call are recorded.
///
/// | state | meaning | next |
/// |---|---|---|
/// | `No` | they are not | `Wanted`, `On` |
/// | `Wanted` | they will be, from the answer, or once two talk | `On`, `No` |
/// | `On` | they are | `Paused`, `No` |
/// | `Paused` | not now | `On`, `No` |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taping {
    No,
    Wanted,
    On,
    Paused { until: Mono },
}

/// A segment that goes on.
#[derive(Clone, Copy, Debug)]
struct Segment {
    recording: RecordingId,
    since: Mono,
}

impl Capture {
    /// Of a call that is not answered.
    pub(crate) fn new(wanted: bool) -> Self {
        Self {
            taping: if wanted { Taping::Wanted } else { Taping::No },
            open: BTreeMap::new(),
            last: 0,
            secret: false,
            told: BTreeSet::new(),
            consent_noted: false,
        }
    }

    /// Whether it has begun and was not stopped.
    fn is_on(&self) -> bool {
        matches!(self.taping, Taping::On | Taping::Paused { .. })
    }
}

impl Call {
    /// Who an answered leg is; `None` of one that is let go.
    fn answered_party(&self, n: u16) -> Option<Party> {
        if let Some(member) = self.talk.members.get(&n) {
            return Some(member.party.clone());
        }
        let won = self.dialed().and_then(|dial| dial.won());
        if let Some(branch) = won.filter(|branch| branch.leg.n == n) {
            return Some(branch.party.clone());
        }
        // Who supervises is no party, and what it says is said all the same.
        if let Some(watcher) = self.talk.watchers.get(&n) {
            return Some(watcher.party());
        }
        (n == self.leg.n).then(|| self.flow_party().clone())
    }
}

impl Node {
    /// The call is answered: it is recorded from now on, if it is to be.
    pub(crate) fn record_from_answer(&mut self, now: Now, id: CallId) {
        if self.taping(id) == Some(Taping::Wanted) {
            self.start_recording(now, id);
        }
    }

    /// A call of ours is to be recorded, unless that is decided already.
    pub(crate) fn want_recording(&mut self, id: CallId, wanted: bool) {
        if let Some(call) = self.calls.get_mut(&id)
            && wanted
            && call.capture.taping == Taping::No
        {
            call.capture.taping = Taping::Wanted;
        }
    }

    /// Each answered party that is to be recorded and is not, is from now on.
    pub(crate) fn record_legs(&mut self, now: Now, id: CallId) {
        if self.taping(id) != Some(Taping::On) {
            return;
        }
        let call = &self.calls[&id];
        if call.capture.secret {
            return;
        }
        let begins = call.capture.open.is_empty();
        let new = |leg: &LegId| !call.capture.open.contains_key(&leg.n);
        let legs: Vec<LegId> = self.legs_up(id).filter(new).collect();
        for leg in legs {
            self.begin_segment(now, leg);
        }
        if begins {
            self.beep_recorded(now, id);
        }
    }

    /// A leg is over, and its segment with it.
    pub(crate) fn recorded_leg_ended(&mut self, now: Now, leg: LegId) {
        self.end_segment(now, leg, SegmentEnd::Gone);
    }

    /// The call is over.
    pub(crate) fn recording_over(&mut self, now: Now, id: CallId) {
        self.end_segments(now, id, SegmentEnd::Gone);
    }

    /// A leg is about to be known by another name: the engine has ended what was recorded of it, and
    /// of whom it takes the place of. The two calls are one interaction from now on, and recorded if
    /// the first was.
    pub(crate) fn recorded_leg_moves(&mut self, now: Now, from: LegId, to: LegId) {
        for leg in [from, to] {
            self.end_segment(now, leg, SegmentEnd::Moved);
        }
        if from.call == to.call {
            return;
        }
        self.join_interactions(now, from.call, to.call);
        let taping = self.taping(from.call);
        let Some(call) = self.calls.get_mut(&to.call) else {
            return;
        };
        let recorded = matches!(taping, Some(Taping::On | Taping::Paused { .. }));
        if recorded && call.capture.taping == Taping::No {
            match call.line {
                Line::Up => self.start_recording(now, to.call),
                Line::Waiting | Line::Wanted | Line::Answering => {
                    call.capture.taping = Taping::Wanted;
                }
                Line::Gone { .. } => {}
            }
        }
        if let Some(Taping::Paused { until }) = taping
            && self.taping(to.call) == Some(Taping::On)
        {
            // What must not be kept may still be said.
            self.pause_until(now, to.call, None, until);
        }
    }

    /// A timer of a call's recording is due: a segment is as long as it may be.
    pub(crate) fn split_segments(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let full = call.capture.open.iter();
        let full = full.filter(|(_, segment)| segment.since + SEGMENT_MAX <= now.mono);
        let full: Vec<u16> = full.map(|(n, _)| *n).collect();
        for n in full {
            if self.calls[&id].capture.last >= SEGMENTS_MAX {
                // There is no next one: the last goes on.
                return;
            }
            let (leg, end) = (LegId { call: id, n }, SegmentEnd::Split);
            self.command(Command::EndRecording { leg, end });
            self.end_segment(now, leg, end);
            self.begin_segment(now, leg);
        }
        self.watch_segments(id);
    }

    /// A pause has lasted as long as it may.
    pub(crate) fn pause_over(&mut self, now: Now, id: CallId) {
        if matches!(self.taping(id), Some(Taping::Paused { .. })) {
            self.resume_recording(now, id, None, PauseEnd::Time);
        }
    }

    /// A request about the recording of a call.
    ///
    /// # Errors
    /// It makes no sense now; nothing has changed.
    pub(crate) fn record_step(
        &mut self,
        now: Now,
        id: CallId,
        by: Option<&Actor>,
        step: RecordStep,
    ) -> Result<Controlled, ControlError> {
        let call = self.calls.get(&id).ok_or(ControlError::NoCall)?;
        let numbered = |by| call.party(by).ok_or(ControlError::NoParty);
        let by = by.map(numbered).transpose()?;
        if call.is_gone() {
            return Err(ControlError::Conflict("the call is ending"));
        }
        let up = call.line == Line::Up;
        match (step, call.capture.taping) {
            (RecordStep::Start, Taping::No) if up => self.start_recording(now, id),
            (RecordStep::Start, Taping::No) => {
                let call = self.calls.get_mut(&id).expect("just seen");
                call.capture.taping = Taping::Wanted;
            }
            (RecordStep::Start, Taping::Wanted | Taping::On | Taping::Paused { .. }) => {
                return Err(ControlError::Conflict("the call is recorded already"));
            }
            (RecordStep::Pause { lasting }, Taping::On) => {
                let lasting = lasting.unwrap_or(PAUSE_UNLESS_SAID);
                if lasting.is_zero() || lasting > PAUSE_MAX {
                    return Err(ControlError::Invalid("a pause lasts 1 to 600 seconds"));
                }
                self.pause_until(now, id, by, now.mono + lasting);
            }
            (RecordStep::Pause { .. }, Taping::Paused { .. }) => {
                return Err(ControlError::Conflict("the recording is paused already"));
            }
            (RecordStep::Resume, Taping::Paused { .. }) => {
                self.resume_recording(now, id, by, PauseEnd::Asked);
            }
            (RecordStep::Resume, Taping::On) => {
                return Err(ControlError::Conflict("the recording is not paused"));
            }
            (RecordStep::Stop, Taping::On | Taping::Paused { .. }) => {
                self.stop_recording(now, id, by);
            }
            (RecordStep::Stop, Taping::Wanted) => {
                let call = self.calls.get_mut(&id).expect("just seen");
                call.capture.taping = Taping::No;
            }
            (RecordStep::Pause { .. } | RecordStep::Resume, Taping::No | Taping::Wanted)
            | (RecordStep::Stop, Taping::No) => {
                return Err(ControlError::Conflict("the call is not recorded"));
            }
        }
        Ok(Controlled::Done)
    }

    fn taping(&self, id: CallId) -> Option<Taping> {
        self.calls.get(&id).map(|call| call.capture.taping)
    }

    fn start_recording(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.capture.taping = Taping::On;
        let recording = RecordingId::of_call(id);
        let kind = CallEventKind::RecordingStarted { recording };
        self.journal.note(call, now.wall, kind);
        self.record_legs(now, id);
    }

    fn pause_until(&mut self, now: Now, id: CallId, by: Option<u16>, until: Mono) {
        self.cease(now, id, SegmentEnd::Paused);
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.capture.taping = Taping::Paused { until };
        let kind = CallEventKind::RecordingPaused { by };
        self.journal.note(call, now.wall, kind);
        self.deadlines.set(id, Wait::Resume, until);
    }

    fn resume_recording(&mut self, now: Now, id: CallId, by: Option<u16>, why: PauseEnd) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.capture.taping = Taping::On;
        let kind = CallEventKind::RecordingResumed { by, why };
        self.journal.note(call, now.wall, kind);
        self.deadlines.clear(id, Wait::Resume);
        self.record_legs(now, id);
    }

    fn stop_recording(&mut self, now: Now, id: CallId, by: Option<u16>) {
        self.cease(now, id, SegmentEnd::Stopped);
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.capture.taping = Taping::No;
        let kind = CallEventKind::RecordingStopped { by };
        self.journal.note(call, now.wall, kind);
        self.deadlines.clear(id, Wait::Resume);
    }

    /// Nobody in the call is recorded any more, all at the same time.
    fn cease(&mut self, now: Now, id: CallId, end: SegmentEnd) {
        let open = self.calls[&id].capture.open.keys();
        let legs: Vec<LegId> = open.map(|&n| LegId { call: id, n }).collect();
        for leg in legs {
            self.command(Command::EndRecording { leg, end });
        }
        self.end_segments(now, id, end);
        self.deadlines.clear(id, Wait::Beep);
    }

    fn begin_segment(&mut self, now: Now, leg: LegId) {
        let call = self.calls.get_mut(&leg.call);
        let call = call.expect("the caller looked it up");
        let Some(party) = call.answered_party(leg.n) else {
            return;
        };
        if call.capture.last >= SEGMENTS_MAX {
            return;
        }
        call.capture.last += 1;
        let recording = RecordingId::segment(leg.call, call.capture.last);
        // Who started the call is heard with all that it hears; of the others what they say is
        // enough to have every voice once.
        let channels = if leg.n == 1 { 2 } else { 1 };
        let since = now.mono;
        let segment = Segment { recording, since };
        call.capture.open.insert(leg.n, segment);
        let kind = CallEventKind::SegmentStarted {
            recording,
            leg: leg.n,
            channels,
        };
        self.journal.note(call, now.wall, kind);
        self.out.push_back(Output::Segment(SegmentStart {
            tenant: call.tenant.id.clone(),
            interaction: call.interaction,
            recording,
            leg: leg.n,
            party,
            channels,
        }));
        self.command(Command::RecordCall {
            leg,
            recording,
            channels,
        });
        self.watch_segments(leg.call);
    }

    /// Notes the end of a leg's segment, which the engine knows of.
    fn end_segment(&mut self, now: Now, leg: LegId, end: SegmentEnd) {
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let Some(Segment { recording, since }) = call.capture.open.remove(&leg.n) else {
            return;
        };
        let length = now.mono.since(since);
        let kind = CallEventKind::SegmentEnded {
            recording,
            end,
            length,
        };
        self.journal.note(call, now.wall, kind);
        self.watch_segments(leg.call);
    }

    fn end_segments(&mut self, now: Now, id: CallId, end: SegmentEnd) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let legs: Vec<u16> = call.capture.open.keys().copied().collect();
        for n in legs {
            self.end_segment(now, LegId { call: id, n }, end);
        }
    }

    /// Waits for the first segment that is as long as it may be.
    fn watch_segments(&mut self, id: CallId) {
        let capture = &self.calls[&id].capture;
        let first = capture.open.values().map(|segment| segment.since).min();
        match first.filter(|_| capture.last < SEGMENTS_MAX) {
            Some(since) => self.deadlines.set(id, Wait::Split, since + SEGMENT_MAX),
            None => self.deadlines.clear(id, Wait::Split),
        }
    }
}

/// Whether who is recorded agrees.
impl Node {
    /// Tells the caller of an answered call that it is to be recorded, or asks it, if the tenant's
    /// policy says so; the flow waits for that as it waits for the answer. Where there is no flow that
    /// waits, there is no moment for it, and the call is not recorded by itself. Tells whether the
    /// caller hears something now.
    pub(crate) fn ask_consent(&mut self, now: Now, id: CallId) -> bool {
        if self.taping(id) != Some(Taping::Wanted) {
            return false;
        }
        let call = &self.calls[&id];
        let policy = call.tenant.consent.as_ref();
        let Some(policy) = policy.filter(|policy| policy.is_for(call.flow_party())) else {
            return false;
        };
        let waits = matches!(
            &call.stage,
            Stage::Flow(flow) if matches!(flow.turn, Turn::Host(Pending::Answer))
        );
        let clip = call
            .tenant
            .catalogue
            .find(&call.language, &policy.announcement);
        let (Some(clip), true) = (clip, waits) else {
            self.consent(now, id, Consent::NotAsked);
            return false;
        };
        let (clips, key, leg) = (vec![clip.clone()], policy.key, call.leg);
        let mut wait = total(&clips) + OP_SLACK;
        let mut play = None;
        if key.is_some() {
            wait += CONSENT_WAIT;
            let spec = GatherSpec {
                min: 1,
                max: 1,
                terminators: String::new(),
                first_timeout: CONSENT_WAIT,
                inter_timeout: CONSENT_WAIT,
                barge_in: true,
            };
            self.command(Command::Gather { leg, clips, spec });
        } else {
            let id = self.next_play();
            play = Some(id);
            let repeat = false;
            self.command(Command::Play {
                leg,
                play: id,
                clips,
                repeat,
            });
        }
        self.pend(id, Pending::Consent { play, key });
        self.deadlines.set(id, Wait::Op, now.mono + wait);
        true
    }

    /// The caller was told, or has answered: the flow goes on.
    pub(crate) fn consented(&mut self, now: Now, id: CallId, consent: Consent) {
        self.consent(now, id, consent);
        self.record_from_answer(now, id);
        self.reply(now, id, Ok(Reply::Done));
    }

    /// A party outside that was called talks with somebody: if it is recorded, it hears so at once. Nobody
    /// asks it for a key, as the other one talks to it already.
    pub(crate) fn tell_outsider(&mut self, now: Now, leg: LegId) {
        if self.taping(leg.call) != Some(Taping::On) {
            return;
        }
        let call = &self.calls[&leg.call];
        let outside = |party: &Party| matches!(party, Party::E164(_));
        let party = call.answered_party(leg.n).filter(outside);
        let policy = call.tenant.consent.as_ref();
        let policy = policy.filter(|policy| party.is_some_and(|party| policy.is_for(&party)));
        let Some(policy) = policy.filter(|_| leg != call.leg) else {
            return;
        };
        let name = &policy.announcement;
        let Some(clip) = call.tenant.catalogue.find(&call.language, name) else {
            return;
        };
        let clips = vec![clip.clone()];
        let call = self.calls.get_mut(&leg.call).expect("just seen");
        if !call.capture.told.insert(leg.n) {
            return;
        }
        let noted = call.capture.consent_noted;
        let play = self.next_play();
        self.command(Command::Play {
            leg,
            play,
            clips,
            repeat: false,
        });
        if !noted {
            self.consent(now, leg.call, Consent::Announced);
        }
    }

    fn consent(&mut self, now: Now, id: CallId, consent: Consent) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.capture.consent_noted = true;
        if !consent.allows() && call.capture.taping == Taping::Wanted {
            call.capture.taping = Taping::No;
        }
        self.journal
            .note(call, now.wall, CallEventKind::Consent { consent });
    }
}

/// What must not be kept.
impl Node {
    /// Somebody is about to press what nobody may hear: nothing of the call is recorded until
    /// [`Self::secret_over`].
    pub(crate) fn keep_secret(&mut self, now: Now, id: CallId) {
        self.cease(now, id, SegmentEnd::Secured);
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        call.capture.secret = true;
        self.deadlines.clear(id, Wait::Secret);
    }

    /// It was pressed, or will not be: once the last key sounds no more, the recording goes on, if there
    /// is one.
    pub(crate) fn secret_over(&mut self, now: Now, id: CallId) {
        let call = self.calls.get(&id);
        if call.is_some_and(|call| call.capture.secret && call.talk.secure.is_none()) {
            let until = now.mono + SECRET_TAIL;
            self.deadlines.set(id, Wait::Secret, until);
        }
    }

    /// Whether somebody presses what nobody may know, or has just done so.
    pub(crate) fn keeps_secret(&self, id: CallId) -> bool {
        self.calls.get(&id).is_some_and(|call| call.capture.secret)
    }

    /// Nothing is to be kept secret any more.
    pub(crate) fn secret_forgotten(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if std::mem::take(&mut call.capture.secret) && !call.is_gone() {
            self.record_legs(now, id);
        }
    }

    /// Hands digits to the vault; gives what may be known of them.
    pub(crate) fn lock_up(&mut self, id: CallId, digits: Pii<String>) -> Kept {
        let text = digits.reveal();
        let (count, luhn) = (text.len(), is_luhn(text));
        let token = (count > 0).then(|| SecretToken::new(&mut self.rng));
        if let Some(token) = token {
            let tenant = self.calls[&id].tenant.id.clone();
            self.out.push_back(Output::Secret(Secret {
                token,
                tenant,
                call: id,
                digits,
            }));
        }
        Kept {
            token,
            digits: u8::try_from(count).unwrap_or(u8::MAX),
            luhn,
        }
    }
}

/// What may be known of digits in the vault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Stands for them, if there are any.
    pub(crate) token: Option<SecretToken>,
    pub(crate) digits: u8,
    pub(crate) luhn: bool,
}

/// Beeps that tell of a recording.
impl Node {
    /// Whoever is recorded hears a beep, and the next one after a while.
    pub(crate) fn beep_recorded(&mut self, now: Now, id: CallId) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let Some(every) = call.tenant.beep else {
            return;
        };
        let legs: Vec<u16> = call.capture.open.keys().copied().collect();
        if legs.is_empty() {
            return;
        }
        // Nobody is to notice who supervises, and who does knows.
        let heard = legs
            .into_iter()
            .filter(|n| !call.talk.watchers.contains_key(n));
        let heard: Vec<LegId> = heard.map(|n| LegId { call: id, n }).collect();
        for leg in heard {
            let beep = Beep::Recorded;
            self.command(Command::Beep { leg, beep });
        }
        self.deadlines.set(id, Wait::Beep, now.mono + every);
    }
}

/// Whether the check digit of a number is right: the Luhn algorithm (ISO/IEC 7812-1 annex B).
fn is_luhn(number: &str) -> bool {
    let mut sum = 0;
    for (n, digit) in number.bytes().rev().enumerate() {
        if !digit.is_ascii_digit() {
            return false;
        }
        let digit = u32::from(digit - b'0');
        sum += match n % 2 {
            0 => digit,
            _ => digit / 5 + digit * 2 % 10,
        };
    }
    number.len() > 1 && sum % 10 == 0
}

/// Calls that belong together.
impl Node {
    /// Two calls are one interaction from now on: that of the older one.
    fn join_interactions(&mut self, now: Now, a: CallId, b: CallId) {
        let of = |id| self.calls.get(&id).map(|call| call.interaction);
        let (Some(first), Some(second)) = (of(a), of(b)) else {
            return;
        };
        let older = first.min(second);
        for id in [a, b] {
            self.belongs_to(now, id, older);
        }
    }

    /// A call is part of an interaction from now on.
    fn belongs_to(&mut self, now: Now, id: CallId, with: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if call.interaction == with {
            return;
        }
        call.interaction = with;
        let kind = CallEventKind::Interaction { with };
        self.journal.note(call, now.wall, kind);
    }

    /// A user's phone has put whom it talks with on hold: whom it calls now, it asks about that.
    pub(crate) fn user_holds(&mut self, id: CallId, n: u16) {
        let call = &self.calls[&id];
        let Some(user) = call.talk.members.get(&n).and_then(|it| it.user.clone()) else {
            return;
        };
        let known = self.holding.contains_key(&user);
        if known || self.holding.len() < USERS_HOLDING_MAX {
            self.holding.insert(user, id);
        }
    }

    /// A call that a phone makes while it holds a recorded one is a consultation: it belongs to
    /// that, and is recorded.
    pub(crate) fn consults(&mut self, now: Now, id: CallId) {
        let Some(user) = self.calls.get(&id).and_then(|call| call.user.clone()) else {
            return;
        };
        let Some(&held) = self.holding.get(&user) else {
            return;
        };
        let Some(call) = self.calls.get(&held).filter(|_| held != id) else {
            self.holding.remove(&user);
            return;
        };
        let own = call.talk.members.values();
        let mut own = own.filter(|member| member.user.as_ref() == Some(&user));
        let holds = own.any(|member| member.holds || member.place == Place::Holding);
        let same = call.tenant.id == self.calls[&id].tenant.id;
        if !holds || !same || !call.capture.is_on() {
            return;
        }
        let interaction = call.interaction;
        self.belongs_to(now, id, interaction);
        let call = self.calls.get_mut(&id).expect("just seen");
        if call.capture.taping == Taping::No {
            call.capture.taping = Taping::Wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_luhn;

    #[test]
    fn check_digits_are_checked() {
        // Numbers that card schemes publish for tests, and the example of the standard.
        for good in [
            "4111111111111111",
            "378282246310005",
            "5555555555554444",
            "17893729974",
            "00",
        ] {
            assert!(is_luhn(good), "{good}");
        }
        for bad in [
            "4111111111111112",
            "378282246310050",
            "17893729975",
            "",
            "0",
            "41*1",
            "1234",
        ] {
            assert!(!is_luhn(bad), "{bad}");
        }
    }
}
