//! From SIP's answers to our causes and back.

use vocab::call::Cause;

/// The cause a final status of our INVITE stands for; `None` is no answer at all.
///
/// Source: RFC 3261 §21.4 to §21.6.
pub(crate) fn cause_of(status: Option<u16>) -> Cause {
    match status {
        None => Cause::Unreachable,
        Some(486 | 600) => Cause::Busy,
        Some(408 | 480 | 487) => Cause::NoAnswer,
        Some(404 | 410 | 484 | 485 | 604) => Cause::NotFound,
        Some(488 | 606 | 415) => Cause::NotAcceptable,
        Some(500..=599) => Cause::Unreachable,
        Some(_) => Cause::Rejected,
    }
}

/// Of the final answers of two forks the one that says more; `None` is no answer at all.
///
/// A 6xx speaks for the person and wins (RFC 3261 §16.7 step 6). Among the others, which that step
/// leaves to us, whoever was there beats whoever was not.
pub(crate) fn telling(a: Option<u16>, b: Option<u16>) -> Option<u16> {
    let rank = |status: Option<u16>| match (status, cause_of(status)) {
        (Some(600..), _) => 6,
        (_, Cause::Busy) => 5,
        (_, Cause::Rejected) => 4,
        (_, Cause::NoAnswer) => 3,
        (_, Cause::NotAcceptable) => 2,
        (_, Cause::NotFound) => 1,
        (
            _,
            Cause::Unreachable
            | Cause::Normal
            | Cause::Cancelled
            | Cause::Challenged
            | Cause::Lost
            | Cause::Overload
            | Cause::Failed
            | Cause::Transferred
            | Cause::Interrupted,
        ) => 0,
    };
    if rank(b) > rank(a) || a.is_none() {
        b
    } else {
        a
    }
}

/// The status with which an unanswered inbound call is refused for a cause.
pub(crate) fn status_of(cause: Cause) -> u16 {
    match cause {
        Cause::Busy => 486,
        Cause::NoAnswer | Cause::Unreachable | Cause::Lost => 480,
        Cause::NotFound => 404,
        Cause::NotAcceptable => 488,
        Cause::Overload | Cause::Interrupted => 503,
        Cause::Failed => 500,
        Cause::Normal
        | Cause::Transferred
        | Cause::Rejected
        | Cause::Cancelled
        | Cause::Challenged => 603,
    }
}

/// The `Reason` value for phones that rang while another one answered, so that they do not show a
/// missed call (RFC 3326 §2).
pub(crate) const ELSEWHERE: &str = "SIP;cause=200;text=\"call completed elsewhere\"";

/// The `Reason` value sent with a BYE, so that a trace tells why (RFC 3326, Q.850 causes).
pub(crate) fn reason_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Normal => "Q.850;cause=16;text=\"normal clearing\"",
        Cause::Transferred => "Q.850;cause=16;text=\"transferred\"",
        Cause::Busy => "Q.850;cause=17;text=\"user busy\"",
        Cause::NoAnswer => "Q.850;cause=19;text=\"no answer\"",
        Cause::Rejected | Cause::Challenged => "Q.850;cause=21;text=\"call rejected\"",
        Cause::NotFound => "Q.850;cause=1;text=\"unallocated number\"",
        Cause::Unreachable => "Q.850;cause=27;text=\"destination out of order\"",
        Cause::Cancelled => "Q.850;cause=16;text=\"cancelled\"",
        Cause::NotAcceptable => "Q.850;cause=88;text=\"incompatible destination\"",
        Cause::Lost => "Q.850;cause=102;text=\"no media received\"",
        Cause::Overload => "Q.850;cause=42;text=\"overload\"",
        Cause::Failed => "Q.850;cause=41;text=\"temporary failure\"",
        Cause::Interrupted => "Q.850;cause=38;text=\"node stopping\"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_causes() {
        for (status, cause) in [
            (None, Cause::Unreachable),
            (Some(302), Cause::Rejected),
            (Some(403), Cause::Rejected),
            (Some(404), Cause::NotFound),
            (Some(408), Cause::NoAnswer),
            (Some(480), Cause::NoAnswer),
            (Some(486), Cause::Busy),
            (Some(487), Cause::NoAnswer),
            (Some(488), Cause::NotAcceptable),
            (Some(503), Cause::Unreachable),
            (Some(600), Cause::Busy),
            (Some(603), Cause::Rejected),
            (Some(604), Cause::NotFound),
        ] {
            assert_eq!(cause_of(status), cause, "{status:?}");
        }
    }

    #[test]
    fn a_refusal_for_a_cause_reads_as_that_cause() {
        for cause in [
            Cause::Busy,
            Cause::NotFound,
            Cause::NotAcceptable,
            Cause::Rejected,
        ] {
            assert_eq!(cause_of(Some(status_of(cause))), cause);
        }
    }

    #[test]
    fn of_two_answers_the_one_that_says_more() {
        for (a, b, expected) in [
            (Some(486), Some(408), Some(486)),
            (Some(480), Some(486), Some(486)),
            (Some(404), Some(480), Some(480)),
            (Some(486), Some(603), Some(603)),
            (Some(503), None, Some(503)),
            (None, Some(500), Some(500)),
            (None, None, None),
            (Some(403), Some(401), Some(403)),
        ] {
            assert_eq!(telling(a, b), expected, "{a:?} {b:?}");
        }
    }
}
