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

/// The status with which an unanswered inbound call is refused for a cause.
pub(crate) fn status_of(cause: Cause) -> u16 {
    match cause {
        Cause::Busy => 486,
        Cause::NoAnswer | Cause::Unreachable | Cause::Lost => 480,
        Cause::NotFound => 404,
        Cause::NotAcceptable => 488,
        Cause::Overload | Cause::Interrupted => 503,
        Cause::Failed => 500,
        Cause::Normal | Cause::Rejected | Cause::Cancelled | Cause::Challenged => 603,
    }
}

/// The `Reason` value sent with a BYE, so that a trace tells why (RFC 3326, Q.850 causes).
pub(crate) fn reason_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Normal => "Q.850;cause=16;text=\"normal clearing\"",
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
