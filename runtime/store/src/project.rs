//! The call record, folded from the call's events.

use vocab::call::Cause;
use vocab::record::{CallEvent, CallEventKind, CallRecord, Disposition};

use crate::error::{Misfit, Misplaced};
use crate::limits::{CALL_EVENTS_MAX, RECORD_MESSAGES_MAX};
use crate::log::cut;

/// Version of the folding below. Raised when the same events give another record, so that
/// [`crate::Store::open`] folds old records again.
pub(crate) const PROJECTION: i64 = 1;

/// What an event did to its call's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Projected {
    /// The record tells of it now.
    Changed,
    /// The record only counts it.
    Counted,
    /// It was delivered before: the record already tells of it.
    Repeated,
}

/// Folds one event into its call's record, which is `None` before the call's first event.
///
/// Events come in the order of their positions. A position left out is tolerated: a log with a
/// hole is worth more than none, and [`crate::Store::check`] reports it. `CallRecord::events` is
/// the position of the last event.
///
/// | record | `Started` | `Ended` | other |
/// |---|---|---|---|
/// | none | active | not started | not started |
/// | active | started twice | ended | active |
/// | ended | started twice | after end | after end |
///
/// In each row an event at or below the last position is a repetition instead.
///
/// # Errors
///
/// [`Misplaced`] if the event cannot follow; the record is as before.
///
/// # Panics
///
/// If the event is another call's.
pub fn project(record: &mut Option<CallRecord>, event: &CallEvent) -> Result<Projected, Misplaced> {
    let misplaced = |why| {
        Err(Misplaced {
            call: event.call,
            n: event.n,
            why,
        })
    };
    if event.n == 0 {
        return misplaced(Misfit::Zero);
    }
    let Some(record) = record else {
        return match begin(event) {
            Some(begun) => {
                *record = Some(begun);
                Ok(Projected::Changed)
            }
            None => misplaced(Misfit::NotStarted),
        };
    };
    assert_eq!(
        record.call, event.call,
        "an event is folded into its own call's record"
    );
    if record.tenant != event.tenant {
        return misplaced(Misfit::OtherTenant);
    }
    if event.n <= record.events {
        return Ok(Projected::Repeated);
    }
    let last = matches!(event.kind, CallEventKind::Ended { .. });
    if matches!(event.kind, CallEventKind::Started { .. }) {
        return misplaced(Misfit::StartedTwice);
    } else if record.ended_at.is_some() {
        return misplaced(Misfit::AfterEnd);
    } else if event.n > CALL_EVENTS_MAX && !last {
        return misplaced(Misfit::TooMany);
    }
    record.events = event.n;
    Ok(advance(record, event))
}

/// The record of a call that has just started, if the event says that.
fn begin(event: &CallEvent) -> Option<CallRecord> {
    let CallEventKind::Started {
        direction,
        from,
        to,
        user,
        sip_call_id,
        ..
    } = &event.kind
    else {
        return None;
    };
    Some(CallRecord {
        tenant: event.tenant.clone(),
        call: event.call,
        direction: *direction,
        from: from.clone(),
        to: cut(to).to_owned(),
        user: user.as_deref().map(|user| cut(user).to_owned()),
        sip_call_id: cut(sip_call_id).to_owned(),
        started_at: event.at,
        answered_at: None,
        ended_at: None,
        disposition: Disposition::Active,
        cause: None,
        ended_by: None,
        plugin: None,
        outcome: None,
        fault: None,
        recording: None,
        messages: Vec::new(),
        interaction: event.call,
        consent: None,
        events: event.n,
    })
}

/// What each kind of event changes in the record of a call that is going on, besides the count.
fn advance(record: &mut CallRecord, event: &CallEvent) -> Projected {
    match &event.kind {
        CallEventKind::Started { .. } => unreachable!("a call starts once"),
        CallEventKind::Answered => {
            record.answered_at.get_or_insert(event.at);
        }
        // A flow may hand over to another: the record names the last one and its result.
        CallEventKind::FlowStarted { plugin } => record.plugin = Some(plugin.clone()),
        CallEventKind::FlowEnded { label } => record.outcome = Some(cut(label).to_owned()),
        CallEventKind::FlowFault { fault } => record.fault = Some(cut(&fault.to_string()).into()),
        CallEventKind::RecordingStarted { recording } => record.recording = Some(*recording),
        CallEventKind::MessageLeft { recording, .. } => {
            if record.messages.len() < RECORD_MESSAGES_MAX {
                record.messages.push(*recording);
            }
        }
        CallEventKind::Interaction { with } => record.interaction = *with,
        CallEventKind::Consent { consent } => record.consent = Some(*consent),
        // Of one that was cut at its beginning there is no file.
        CallEventKind::RecordingCut { recording, length } => {
            let claimed =
                record.recording == Some(*recording) || record.messages.contains(recording);
            if !length.is_zero() || !claimed {
                return Projected::Counted;
            }
            record.recording.take_if(|own| own == recording);
            record.messages.retain(|own| own != recording);
        }
        CallEventKind::Ended { cause, by } => {
            record.ended_at = Some(event.at);
            record.cause = Some(*cause);
            record.ended_by = Some(*by);
            record.disposition = disposition(record.answered_at.is_some(), *cause);
        }
        CallEventKind::FlowAsked { .. }
        | CallEventKind::SegmentStarted { .. }
        | CallEventKind::SegmentEnded { .. }
        | CallEventKind::RecordingPaused { .. }
        | CallEventKind::SecretStarted { .. }
        | CallEventKind::SecretEnded { .. }
        | CallEventKind::RecordingResumed { .. }
        | CallEventKind::RecordingStopped { .. }
        | CallEventKind::Gathered { .. }
        | CallEventKind::Fallback { .. }
        | CallEventKind::Dialed { .. }
        | CallEventKind::DialEnded { .. }
        | CallEventKind::Bridged { .. }
        | CallEventKind::Unbridged { .. }
        | CallEventKind::Step { .. }
        | CallEventKind::Media { .. }
        | CallEventKind::Heard { .. }
        | CallEventKind::AttrSet { .. } => return Projected::Counted,
    }
    Projected::Changed
}

/// What became of a call that ended.
fn disposition(answered: bool, cause: Cause) -> Disposition {
    let unanswered = match cause {
        Cause::Interrupted => return Disposition::Interrupted,
        Cause::Busy => Disposition::Busy,
        Cause::Normal
        | Cause::NoAnswer
        | Cause::Cancelled
        | Cause::Transferred
        | Cause::Elsewhere => Disposition::NoAnswer,
        Cause::Rejected
        | Cause::Blocked
        | Cause::NotFound
        | Cause::Unreachable
        | Cause::Challenged
        | Cause::NotAcceptable
        | Cause::Lost
        | Cause::Overload
        | Cause::Failed => Disposition::Failed,
    };
    if answered {
        Disposition::Answered
    } else {
        unanswered
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vocab::call::{RecordEnd, Side};
    use vocab::flow::{Fault, FaultKind, PluginRef};
    use vocab::recording::Consent;
    use vocab::{CallId, Direction, Party, RecordingId, Wall};

    use super::*;

    const CALL: CallId = CallId(7 << 80);
    const OLDER: CallId = CallId(6 << 80);

    fn event(n: u32, kind: CallEventKind) -> CallEvent {
        let tenant = "demo".parse().expect("a tenant");
        CallEvent {
            tenant,
            call: CALL,
            n,
            at: Wall(i64::from(n) * 1_000_000),
            kind,
        }
    }

    fn started() -> CallEventKind {
        CallEventKind::Started {
            direction: Direction::Inbound,
            from: Party::Sip("1001".into()),
            to: "1000".into(),
            user: Some("1001".into()),
            sip_call_id: "abc@host".into(),
            trunk: None,
            withheld: false,
        }
    }

    fn ended(cause: Cause) -> CallEventKind {
        CallEventKind::Ended {
            cause,
            by: Side::Far,
        }
    }

    fn fold(kinds: impl IntoIterator<Item = CallEventKind>) -> CallRecord {
        let mut record = None;
        for (i, kind) in kinds.into_iter().enumerate() {
            let n = u32::try_from(i + 1).expect("few events");
            assert_ne!(
                project(&mut record, &event(n, kind)),
                Ok(Projected::Repeated)
            );
        }
        record.expect("at least one event")
    }

    #[test]
    fn a_whole_call_becomes_one_record() {
        let plugin = PluginRef {
            name: "ivr-menu".into(),
            version: "1.2.0".into(),
        };
        let fault = Fault {
            plugin: plugin.clone(),
            kind: FaultKind::OutOfTime,
            detail: "10 ms".into(),
        };
        let message = RecordingId::message(CALL, 1);
        let record = fold([
            started(),
            CallEventKind::RecordingStarted {
                recording: RecordingId::of_call(CALL),
            },
            CallEventKind::Answered,
            CallEventKind::FlowStarted {
                plugin: plugin.clone(),
            },
            CallEventKind::MessageLeft {
                recording: message,
                length: Duration::from_secs(4),
                end: RecordEnd::Silence,
            },
            CallEventKind::FlowEnded {
                label: "message".into(),
            },
            CallEventKind::FlowFault { fault },
            CallEventKind::Interaction { with: OLDER },
            CallEventKind::Consent {
                consent: Consent::Given,
            },
            ended(Cause::Normal),
        ]);
        let expected = CallRecord {
            tenant: "demo".parse().expect("a tenant"),
            call: CALL,
            direction: Direction::Inbound,
            from: Party::Sip("1001".into()),
            to: "1000".into(),
            user: Some("1001".into()),
            sip_call_id: "abc@host".into(),
            started_at: Wall(1_000_000),
            answered_at: Some(Wall(3_000_000)),
            ended_at: Some(Wall(10_000_000)),
            disposition: Disposition::Answered,
            cause: Some(Cause::Normal),
            ended_by: Some(Side::Far),
            plugin: Some(plugin),
            outcome: Some("message".into()),
            fault: Some("plugin ivr-menu 1.2.0: out_of_time: 10 ms".into()),
            recording: Some(RecordingId::of_call(CALL)),
            messages: vec![message],
            interaction: OLDER,
            consent: Some(Consent::Given),
            events: 10,
        };
        assert_eq!(record, expected);
    }

    #[test]
    fn dispositions() {
        use Disposition as D;
        for (cause, unanswered, answered) in [
            (Cause::Normal, D::NoAnswer, D::Answered),
            (Cause::Busy, D::Busy, D::Answered),
            (Cause::NoAnswer, D::NoAnswer, D::Answered),
            (Cause::Cancelled, D::NoAnswer, D::Answered),
            (Cause::Rejected, D::Failed, D::Answered),
            (Cause::Blocked, D::Failed, D::Answered),
            (Cause::NotFound, D::Failed, D::Answered),
            (Cause::Unreachable, D::Failed, D::Answered),
            (Cause::Challenged, D::Failed, D::Answered),
            (Cause::NotAcceptable, D::Failed, D::Answered),
            (Cause::Lost, D::Failed, D::Answered),
            (Cause::Overload, D::Failed, D::Answered),
            (Cause::Failed, D::Failed, D::Answered),
            (Cause::Interrupted, D::Interrupted, D::Interrupted),
        ] {
            assert_eq!(
                fold([started(), ended(cause)]).disposition,
                unanswered,
                "{cause:?}"
            );
            let kinds = [started(), CallEventKind::Answered, ended(cause)];
            assert_eq!(
                fold(kinds).disposition,
                answered,
                "{cause:?} after an answer"
            );
        }
        assert_eq!(
            fold([started(), CallEventKind::Answered]).disposition,
            D::Active
        );
    }

    #[test]
    fn misplaced_events_leave_the_record_alone() {
        let none = None;
        let active = Some(fold([started(), CallEventKind::Answered]));
        let over = Some(fold([started(), ended(Cause::Busy)]));
        let mut foreign = event(3, CallEventKind::Answered);
        foreign.tenant = "other".parse().expect("a tenant");
        for (record, event, why) in [
            (&none, event(0, started()), Misfit::Zero),
            (&none, event(1, CallEventKind::Answered), Misfit::NotStarted),
            (&none, event(2, ended(Cause::Normal)), Misfit::NotStarted),
            (&active, event(3, started()), Misfit::StartedTwice),
            (&active, foreign, Misfit::OtherTenant),
            (
                &active,
                event(CALL_EVENTS_MAX + 1, CallEventKind::Answered),
                Misfit::TooMany,
            ),
            (&over, event(3, CallEventKind::Answered), Misfit::AfterEnd),
            (&over, event(3, ended(Cause::Interrupted)), Misfit::AfterEnd),
        ] {
            let mut after = record.clone();
            let misplaced = Misplaced {
                call: CALL,
                n: event.n,
                why,
            };
            assert_eq!(project(&mut after, &event), Err(misplaced));
            assert_eq!(after, *record, "{why:?}");
        }
    }

    /// The writer leaves the row alone when only the count changes, so nothing else may.
    #[test]
    fn an_event_that_is_only_counted_changes_the_count_alone() {
        let before = fold([started(), CallEventKind::Answered]);
        let samples = crate::log::tests::samples();
        let later = crate::log::tests::later_samples();
        for kind in samples.into_iter().chain(later) {
            let mut after = Some(before.clone());
            match project(&mut after, &event(3, kind.clone())) {
                Ok(Projected::Counted) => {
                    assert_eq!(
                        after,
                        Some(CallRecord {
                            events: 3,
                            ..before.clone()
                        })
                    );
                }
                // A second answer is the one change that is none.
                Ok(Projected::Changed) if kind == CallEventKind::Answered => {}
                Ok(Projected::Changed) => {
                    assert_ne!(
                        after,
                        Some(CallRecord {
                            events: 3,
                            ..before.clone()
                        })
                    );
                }
                Ok(Projected::Repeated) => panic!("{kind:?} is new"),
                Err(_) => assert!(matches!(kind, CallEventKind::Started { .. })),
            }
        }
    }

    #[test]
    fn repetitions_change_nothing_and_holes_are_tolerated() {
        let mut record = Some(fold([started(), CallEventKind::Answered]));
        let before = record.clone();
        for n in [1, 2] {
            assert_eq!(
                project(&mut record, &event(n, started())),
                Ok(Projected::Repeated)
            );
        }
        assert_eq!(record, before);
        // The end is kept even of a call with too many events.
        let end = event(CALL_EVENTS_MAX + 9, ended(Cause::Normal));
        assert_eq!(project(&mut record, &end), Ok(Projected::Changed));
        assert_eq!(record.expect("a record").events, CALL_EVENTS_MAX + 9);
    }

    #[test]
    fn a_record_names_a_bounded_number_of_messages() {
        let left = |n| CallEventKind::MessageLeft {
            recording: RecordingId::message(CALL, n),
            length: Duration::from_secs(1),
            end: RecordEnd::Hangup,
        };
        let record = fold([started()].into_iter().chain((1..=150).map(left)));
        assert_eq!(record.messages.len(), RECORD_MESSAGES_MAX);
        assert_eq!(record.events, 151);
    }
}
