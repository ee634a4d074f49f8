//! From SIP's answers to our causes and back.

use std::time::Duration;

use vocab::call::Cause;

/// A final refusal of our INVITE; all empty is no answer at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) status: Option<u16>,
    /// What it gave as reason.
    pub(crate) reason: Reason,
    /// Where a 3xx sends us, the best first.
    pub(crate) contacts: Vec<String>,
    /// Its `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// The cause it stands for.
    pub(crate) fn cause(&self) -> Cause {
        cause_of(self.status, self.reason)
    }
}

/// What a `Reason` header says (RFC 3326).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reason {
    /// `Q.850;cause=`, 0 to 127.
    pub(crate) q850: Option<u8>,
    /// `SIP;cause=`.
    pub(crate) sip: Option<u16>,
}

impl Reason {
    /// Reads the values of `Reason` headers, joined by commas. What cannot be read is skipped.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let mut reason = Self::default();
        for value in split(text.unwrap_or_default(), ',') {
            let mut parts = split(value, ';').into_iter();
            let protocol = parts.next().unwrap_or_default().trim();
            let cause = parts.find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case("cause")
                    .then(|| value.trim())
            });
            let cause = cause.and_then(|cause| cause.parse::<u16>().ok());
            if protocol.eq_ignore_ascii_case("Q.850") {
                let q850 = cause.and_then(|cause| u8::try_from(cause).ok());
                reason.q850 = reason.q850.or(q850.filter(|cause| *cause < 128));
            } else if protocol.eq_ignore_ascii_case("SIP") {
                let sip = cause.filter(|cause| (200..700).contains(cause));
                reason.sip = reason.sip.or(sip);
            }
        }
        reason
    }
}

/// Splits where the separator is not within quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped, mut from) = (false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// The cause a final status of our INVITE stands for; `None` is no answer at all. A status that
/// could mean anything is read by the reason given with it.
///
/// Sources: RFC 3261 §21.4 to §21.6, RFC 8197 (607), RFC 8688 (608); Q.850 causes as RFC 3398
/// §7.2.4.1 maps them.
pub(crate) fn cause_of(status: Option<u16>, reason: Reason) -> Cause {
    let Some(status) = status else {
        return Cause::Unreachable;
    };
    if let Some(cause) = plain(status) {
        return cause;
    }
    let by_reason = match reason.q850 {
        Some(1 | 28) => Some(Cause::NotFound),
        Some(17) => Some(Cause::Busy),
        Some(18 | 19) => Some(Cause::NoAnswer),
        Some(21) => Some(Cause::Rejected),
        Some(34 | 38 | 41 | 42) => Some(Cause::Unreachable),
        Some(_) | None => reason.sip.and_then(plain),
    };
    by_reason.unwrap_or(match status {
        408 | 480 | 487 => Cause::NoAnswer,
        500..=599 => Cause::Unreachable,
        _ => Cause::Rejected,
    })
}

/// The cause of a status that means one thing.
fn plain(status: u16) -> Option<Cause> {
    match status {
        486 | 600 => Some(Cause::Busy),
        404 | 410 | 484 | 485 | 604 => Some(Cause::NotFound),
        488 | 606 | 415 => Some(Cause::NotAcceptable),
        603 => Some(Cause::Rejected),
        607 | 608 => Some(Cause::Blocked),
        _ => None,
    }
}

/// Of the refusals of two forks the one that says more.
///
/// A 6xx speaks for the person and wins (RFC 3261 §16.7 step 6). Among the others, which that step
/// leaves to us, whoever was there beats whoever was not.
pub(crate) fn telling(a: Refusal, b: Refusal) -> Refusal {
    let rank = |refusal: &Refusal| match (refusal.status, refusal.cause()) {
        (Some(600..), _) => 6,
        (_, Cause::Busy) => 5,
        (_, Cause::Rejected | Cause::Blocked) => 4,
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
            | Cause::Elsewhere
            | Cause::Interrupted,
        ) => 0,
    };
    if rank(&b) > rank(&a) || a.status.is_none() {
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
        Cause::Blocked => 607,
        Cause::NotAcceptable => 488,
        Cause::Overload | Cause::Interrupted => 503,
        Cause::Failed => 500,
        Cause::Normal
        | Cause::Transferred
        | Cause::Elsewhere
        | Cause::Rejected
        | Cause::Cancelled
        | Cause::Challenged => 603,
    }
}

/// The `Reason` value for phones that rang while another one answered, so that they do not show a
/// missed call (RFC 3326 §2).
pub(crate) const ELSEWHERE: &str = "SIP;cause=200;text=\"call completed elsewhere\"";

/// A `Reason` value with a Q.850 cause.
pub(crate) fn q850(cause: u8) -> String {
    format!("Q.850;cause={cause}")
}

/// The `Reason` value sent with a BYE, so that a trace tells why (RFC 3326, Q.850 causes).
pub(crate) fn reason_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Normal => "Q.850;cause=16;text=\"normal clearing\"",
        Cause::Transferred => "Q.850;cause=16;text=\"transferred\"",
        Cause::Elsewhere => ELSEWHERE,
        Cause::Busy => "Q.850;cause=17;text=\"user busy\"",
        Cause::NoAnswer => "Q.850;cause=19;text=\"no answer\"",
        Cause::Rejected | Cause::Blocked | Cause::Challenged => {
            "Q.850;cause=21;text=\"call rejected\""
        }
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
            (Some(607), Cause::Blocked),
            (Some(608), Cause::Blocked),
        ] {
            assert_eq!(cause_of(status, Reason::default()), cause, "{status:?}");
        }
    }

    #[test]
    fn a_reason_makes_a_vague_status_plain() {
        for (status, reason, cause) in [
            (480, "Q.850;cause=17", Cause::Busy),
            (480, "Q.850;cause=1", Cause::NotFound),
            (480, "Q.850;cause=28", Cause::NotFound),
            (500, "Q.850;cause=18", Cause::NoAnswer),
            (503, "Q.850;cause=19", Cause::NoAnswer),
            (503, "Q.850;cause=34", Cause::Unreachable),
            (480, "Q.850;cause=41", Cause::Unreachable),
            (487, "Q.850;cause=42", Cause::Unreachable),
            (403, "Q.850;cause=38", Cause::Unreachable),
            (480, "Q.850;cause=21", Cause::Rejected),
            (480, "SIP;cause=486", Cause::Busy),
            (480, "SIP;cause=200", Cause::NoAnswer),
            (480, "Q.850;cause=16", Cause::NoAnswer),
            // What the status says by itself is not argued with.
            (486, "Q.850;cause=1", Cause::Busy),
            (404, "Q.850;cause=17", Cause::NotFound),
            (603, "Q.850;cause=17", Cause::Rejected),
            (608, "Q.850;cause=17", Cause::Blocked),
        ] {
            let read = Reason::parse(Some(reason));
            assert_eq!(cause_of(Some(status), read), cause, "{status} {reason}");
        }
    }

    #[test]
    fn reasons_are_read() {
        for (text, q850, sip) in [
            ("Q.850;cause=16", Some(16), None),
            ("q.850 ; Cause = 17 ;text=\"busy\"", Some(17), None),
            (
                "SIP;cause=200;text=\"a, \\\"b;cause=1\", Q.850;cause=3",
                Some(3),
                Some(200),
            ),
            ("Q.850;text=\"cause=5\";cause=6", Some(6), None),
            ("Q.850;cause=128", None, None),
            ("Q.850;cause=-1, Q.850;cause=2", Some(2), None),
            ("SIP;cause=99, Preemption;cause=1", None, None),
            ("Q.850;cause=é;é", None, None),
            (",;,=", None, None),
            ("", None, None),
        ] {
            assert_eq!(Reason::parse(Some(text)), Reason { q850, sip }, "{text}");
        }
        assert_eq!(Reason::parse(None), Reason::default());
    }

    #[test]
    fn a_refusal_for_a_cause_reads_as_that_cause() {
        for cause in [
            Cause::Busy,
            Cause::NotFound,
            Cause::NotAcceptable,
            Cause::Rejected,
            Cause::Blocked,
        ] {
            let status = Some(status_of(cause));
            assert_eq!(cause_of(status, Reason::default()), cause);
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
            let [first, second] = [a, b].map(|status| Refusal {
                status,
                ..Refusal::default()
            });
            assert_eq!(telling(first, second).status, expected, "{a:?} {b:?}");
        }
    }
}
