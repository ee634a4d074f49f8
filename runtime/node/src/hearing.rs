//! What is heard of legs besides words and keys, and what follows from it.

use vocab::call::{Cause, Command};
use vocab::hearing::{Answerer, Hearing, Listening, Signal};
use vocab::record::CallEventKind;
use vocab::{CallId, LegId, Now};

use crate::border::Notice;
use crate::call::{Call, DialStep, Errand};
use crate::control::{Detection, OnMachine};
use crate::node::Node;
use crate::talk::Why;

impl Node {
    /// Has a leg that is being dialled listened to, as its trunk and its call want it.
    pub(crate) fn listen_to(&mut self, leg: LegId, progress: bool, signals: bool) {
        let call = self.calls.get_mut(&leg.call);
        let answerer = call.and_then(Call::detection).map(|it| it.params);
        let listening = Listening {
            progress,
            signals,
            answerer,
        };
        if listening != Listening::default() {
            self.command(Command::Listen { leg, listening });
        }
    }

    /// A caller who came by a trunk that wants it is listened to from the answer on.
    pub(crate) fn listen_to_caller(&mut self, id: CallId) {
        let call = self.calls.get(&id);
        if let Some(leg) = call.filter(|it| it.talk.caller_signals).map(|it| it.leg) {
            self.listen_to(leg, false, true);
        }
    }

    /// Whether a signal is news: of those after the answer, what says who or what is there, once for a
    /// leg. A tune on hold is full of beeps.
    fn is_news(&mut self, leg: LegId, hearing: &Hearing) -> bool {
        let (Hearing::Signal(heard), true) = (hearing, self.is_up(leg)) else {
            return true;
        };
        let telling = match heard.signal {
            Signal::Busy | Signal::Congestion | Signal::FaxCalling | Signal::FaxAnswering => true,
            Signal::Ringback
            | Signal::Intercept
            | Signal::VacantCode
            | Signal::Reorder
            | Signal::NoCircuit
            | Signal::Information
            | Signal::Beep => false,
        };
        let call = self.calls.get_mut(&leg.call);
        telling && call.is_some_and(|call| call.talk.signals.insert((leg.n, heard.signal)))
    }

    /// Something was heard: it is noted, and whoever only pretends to ring, or is a machine where none
    /// is wanted, is let go.
    pub(crate) fn heard(&mut self, now: Now, leg: LegId, hearing: Hearing) {
        if !self.is_news(leg, &hearing) {
            return;
        }
        let Some(call) = self.calls.get_mut(&leg.call) else {
            return;
        };
        let kind = CallEventKind::Heard {
            leg: leg.n,
            hearing: hearing.clone(),
        };
        self.journal.note(call, now.wall, kind);
        let rings = call.dialing().is_some_and(|dial| {
            let rings = matches!(dial.step, DialStep::Ringing);
            rings && dial.branch(leg).is_some()
        });
        if let (Some(Cause::Unreachable), Some(branch)) = (
            cause_before(&hearing),
            call.dialing().and_then(|dial| dial.branch(leg)),
        ) && let Some(outside) = &mut branch.outside
        {
            // What was heard before the answer was no ringing: another trunk may have its turn.
            outside.rings = false;
        }
        let unwanted = call.detection_over(leg) == Some(OnMachine::HangUp);
        let cause = match &hearing {
            Hearing::Signal(_) if rings => cause_before(&hearing),
            Hearing::Answerer(who) if unwanted && who.answerer == Answerer::Machine => {
                Some(Cause::Normal)
            }
            Hearing::Signal(_) | Hearing::Answerer(_) | Hearing::MessageEnded(_) => None,
        };
        self.notice(Notice::Heard {
            call: leg.call,
            hearing,
        });
        if let Some(cause) = cause {
            self.command(Command::Hangup { leg, cause });
        }
    }

    /// Whom a call of ours is for is listened to, if that was asked for.
    pub(crate) fn detect(&mut self, id: CallId, detection: Option<Detection>) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.talk.detection = detection;
        }
    }
}

impl Call {
    /// How to find who answers, while somebody is called of whom that is to be known.
    fn detection(&mut self) -> Option<Detection> {
        let dial = self.talk.attempt.as_ref()?;
        let target = matches!(&dial.errand, Errand::Talk(wish) if wish.why == Why::Target);
        self.talk.detection.filter(|_| target)
    }

    /// What is to become of a machine that answered as this leg.
    fn detection_over(&self, leg: LegId) -> Option<OnMachine> {
        let detection = self.talk.detection?;
        (self.leg != leg).then_some(detection.on_machine)
    }
}

/// What ends an attempt, if it does.
fn cause_before(hearing: &Hearing) -> Option<Cause> {
    match hearing {
        Hearing::Signal(heard) => cause_of(heard.signal),
        Hearing::Answerer(_) | Hearing::MessageEnded(_) => None,
    }
}

/// What a signal before the answer means for an attempt: ITU-T Q.850 has a cause for each. A number
/// that special information says nothing about may be reached another time.
fn cause_of(signal: Signal) -> Option<Cause> {
    match signal {
        Signal::Busy => Some(Cause::Busy),
        Signal::Intercept | Signal::VacantCode => Some(Cause::NotFound),
        Signal::Congestion | Signal::Reorder | Signal::NoCircuit | Signal::Information => {
            Some(Cause::Unreachable)
        }
        Signal::Ringback | Signal::FaxCalling | Signal::FaxAnswering | Signal::Beep => None,
    }
}
