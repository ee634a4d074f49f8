//! A party presses keys that nobody else may know, such as the number of a card, while the others stay
//! on the line.
//!
//! They go on talking; of its keys they hear a beep each, as neither tones nor events are let through.
//! Nothing of the call is recorded meanwhile, what was pressed goes to the vault, and everybody else is
//! told a token that stands for it. It is over by itself: once all keys are in, when none comes for long,
//! when the party or the talk is gone, and after [`SECRET_MAX`] in any case.

use vocab::call::{Command, GatherEnd, GatherSpec};
use vocab::record::CallEventKind;
use vocab::{CallId, LegId, Now, Pii};

use super::Place;
use crate::border::Output;
use crate::call::Stage;
use crate::control::{Actor, ControlError, ControlId, Controlled, SecretKeys};
use crate::limits::{CLIPS_ASKED_MAX, DIGITS_MAX, OP_SLACK, SECRET_MAX};
use crate::node::Node;
use crate::wait::Wait;

/// Keys of a party that are on their way to the vault.
#[derive(Debug)]
pub(crate) struct Secure {
    leg: u16,
    /// The request that is answered when it is over.
    request: ControlId,
    /// What is still wanted.
    spec: GatherSpec,
    /// What was pressed before something else began to play.
    digits: Pii<String>,
    /// It is to end, and why.
    ending: Option<GatherEnd>,
}

/// Why nothing else is changed meanwhile.
pub(super) const SECURING: ControlError =
    ControlError::Conflict("somebody presses keys in secret: wait until that is over, or end it");

impl Node {
    /// Answered when it is over.
    ///
    /// # Errors
    /// It makes no sense now; nothing has changed.
    pub(super) fn secure(
        &mut self,
        now: Now,
        id: CallId,
        who: &Actor,
        keys: SecretKeys,
        request: ControlId,
    ) -> Result<(), ControlError> {
        let n = self.actor(id, who)?;
        let SecretKeys { prompts, spec } = keys;
        let call = &self.calls[&id];
        if !matches!(call.talk.place(n), Some(Place::With(_) | Place::Room)) {
            return Err(ControlError::Conflict(
                "this party talks with nobody now: name one who does",
            ));
        }
        let fits = usize::from(spec.max) <= DIGITS_MAX && spec.min <= spec.max && spec.max > 0;
        if !fits {
            return Err(ControlError::Invalid(
                "1 to 32 digits, and no more at least than at most",
            ));
        }
        if prompts.len() > CLIPS_ASKED_MAX {
            return Err(ControlError::Limit("16 prompts at most"));
        }
        let find = |name: &String| call.tenant.catalogue.find(&call.language, name).cloned();
        let clips: Option<Vec<_>> = prompts.iter().map(find).collect();
        let clips = clips.ok_or(ControlError::NotFound(
            "no prompt of the tenant has this name: record it, or name another",
        ))?;
        let call = self.calls.get_mut(&id).expect("just seen");
        call.talk.secure = Some(Box::new(Secure {
            leg: n,
            request,
            spec: spec.clone(),
            digits: Pii::new(String::with_capacity(DIGITS_MAX)),
            ending: None,
        }));
        call.talk.screened = Some(n);
        let kind = CallEventKind::SecretStarted { leg: n };
        self.journal.note(call, now.wall, kind);
        self.keep_secret(now, id);
        // Before anybody can press: what is pressed from here on is heard by nobody.
        self.arrange(id);
        let leg = LegId { call: id, n };
        self.command(Command::Gather { leg, clips, spec });
        self.deadlines.set(id, Wait::Secret, now.mono + SECRET_MAX);
        Ok(())
    }

    /// Somebody wants no more keys; what was pressed is in the vault.
    pub(super) fn end_securing(
        &mut self,
        now: Now,
        id: CallId,
    ) -> Result<Controlled, ControlError> {
        let call = self.calls.get(&id).ok_or(ControlError::NoCall)?;
        if call.talk.secure.is_none() {
            return Err(ControlError::Conflict("nobody presses keys in secret"));
        }
        self.stop_securing(now, id, GatherEnd::Timeout);
        Ok(Controlled::Done)
    }

    /// No more keys are taken. What the engine says of those that it has ends it.
    fn stop_securing(&mut self, now: Now, id: CallId, end: GatherEnd) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let secure = call.talk.secure.as_mut();
        let secure = secure.expect("the caller looked it up");
        secure.ending = Some(end);
        let leg = LegId {
            call: id,
            n: secure.leg,
        };
        // What the engine does for a leg ends when something else begins.
        self.quiet(leg);
        self.deadlines.set(id, Wait::Secret, now.mono + OP_SLACK);
    }

    /// The engine has gathered keys; false if those are for somebody else.
    pub(crate) fn secured(
        &mut self,
        now: Now,
        leg: LegId,
        digits: &Pii<String>,
        end: GatherEnd,
    ) -> bool {
        let is_up = self.is_up(leg);
        let call = self.calls.get_mut(&leg.call);
        let secure = call.and_then(|call| call.talk.secure.as_mut());
        let Some(secure) = secure.filter(|secure| secure.leg == leg.n) else {
            return false;
        };
        let mut all = String::with_capacity(DIGITS_MAX);
        all.push_str(secure.digits.reveal());
        all.push_str(digits.reveal());
        secure.digits = Pii::new(all);
        let end = match (end, secure.ending) {
            (GatherEnd::Hangup, Some(end)) => end,
            // Somebody else goes on hold, or listens in: that cuts it short, and it goes on.
            (GatherEnd::Hangup, None) if is_up => {
                let taken = u8::try_from(digits.reveal().len()).unwrap_or(u8::MAX);
                secure.spec.max = secure.spec.max.saturating_sub(taken);
                secure.spec.min = secure.spec.min.saturating_sub(taken);
                if secure.spec.max > 0 {
                    let (spec, clips) = (secure.spec.clone(), Vec::new());
                    self.command(Command::Gather { leg, clips, spec });
                    return true;
                }
                GatherEnd::Complete
            }
            (end, _) => end,
        };
        self.securing_over(now, leg.call, end);
        true
    }

    /// Keys are in the vault, or there are none: who asked is told.
    fn securing_over(&mut self, now: Now, id: CallId, end: GatherEnd) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Some(secure) = call.talk.secure.take() else {
            return;
        };
        let Secure {
            leg,
            request,
            digits,
            ..
        } = *secure;
        let gone = end == GatherEnd::Hangup;
        let digits = if gone {
            Pii::new(String::new())
        } else {
            digits
        };
        let kept = self.lock_up(id, digits);
        let call = self.calls.get_mut(&id).expect("just seen");
        let kind = CallEventKind::SecretEnded {
            leg,
            token: kept.token,
            digits: kept.digits,
            luhn: kept.luhn,
            end,
        };
        self.journal.note(call, now.wall, kind);
        let result = if gone {
            Err(ControlError::Gone)
        } else {
            Ok(Controlled::Secret {
                token: kept.token,
                digits: kept.digits,
                luhn: kept.luhn,
                end,
            })
        };
        self.out.push_back(Output::Controlled {
            id: request,
            result,
        });
        self.secret_over(now, id);
    }

    /// A leg has ended, or goes by another name: if it pressed keys there will be no more, and if a flow
    /// looks after the call nobody is left who asked for them.
    pub(crate) fn securing_leg_ended(&mut self, now: Now, leg: LegId) {
        let Some(call) = self.calls.get(&leg.call) else {
            return;
        };
        let Some(secure) = &call.talk.secure else {
            return;
        };
        if secure.leg == leg.n {
            self.securing_over(now, leg.call, GatherEnd::Hangup);
        } else if matches!(call.stage, Stage::Flow(_)) {
            self.stop_securing(now, leg.call, GatherEnd::Hangup);
        }
    }

    /// The call is over, and all that was to come.
    pub(crate) fn securing_call_over(&mut self, now: Now, id: CallId) {
        self.securing_over(now, id, GatherEnd::Hangup);
    }

    /// A secret has taken as long as it may, or the last key has sounded for as long as it will.
    pub(crate) fn secret_timeout(&mut self, now: Now, id: CallId) {
        let call = &self.calls[&id];
        match call.talk.secure.as_ref().map(|secure| secure.ending) {
            Some(None) => self.stop_securing(now, id, GatherEnd::Timeout),
            Some(Some(end)) => self.securing_over(now, id, end),
            None => self.reveal(now, id),
        }
    }

    /// Nothing is secret any more: all hear what is pressed, and the recording goes on if there is one.
    fn reveal(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if call.talk.screened.take().is_some() {
            self.arrange(id);
        }
        self.secret_forgotten(now, id);
    }
}
