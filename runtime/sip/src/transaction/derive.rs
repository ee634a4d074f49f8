//! The two requests that are made out of an INVITE already sent: ACK to a failure, and CANCEL.

use std::sync::Arc;

/// Which request is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Derived<'a> {
    /// ACK to a final response of 300 or more, with that response's `To` (RFC 3261 §17.1.1.3).
    Ack {
        /// The `To` value, tag included.
        to: &'a str,
    },
    /// CANCEL (RFC 3261 §9.1), with a `Reason` value if there is one (RFC 3326).
    Cancel {
        /// Such as `SIP;cause=200;text="Call completed elsewhere"`.
        reason: Option<&'a str>,
    },
}

/// Writes a request that goes the way of `invite`: its request line, topmost `Via`, `Route`s,
/// `From`, `Call-ID` and `CSeq` number.
///
/// `invite` is a request we wrote, so its lines are CRLF-ended and its headers unfolded and under
/// their long names.
pub(crate) fn derive(invite: &[u8], derived: Derived<'_>) -> Arc<[u8]> {
    let text = std::str::from_utf8(invite.split_at(header_len(invite)).0)
        .expect("we write our requests in UTF-8");
    let mut lines = text.split("\r\n");
    let line = lines.next().expect("split yields one part at least");
    let target = line
        .split_once(' ')
        .expect("a request line has three parts")
        .1;
    let (method, to) = match derived {
        Derived::Ack { to } => ("ACK", Some(to)),
        Derived::Cancel { .. } => ("CANCEL", None),
    };
    let mut out = String::with_capacity(invite.len().min(1024));
    out.extend([method, " ", target, "\r\n"]);
    let mut via = false;
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        match name {
            "Via" if !via => {
                via = true;
                out.extend([line, "\r\n"]);
            }
            "To" => out.extend(["To: ", to.unwrap_or(value), "\r\n"]),
            "CSeq" => {
                let number = value
                    .split(' ')
                    .next()
                    .expect("split yields one part at least");
                out.extend(["CSeq: ", number, " ", method, "\r\n"]);
            }
            "From" | "Call-ID" | "Route" | "Max-Forwards" => out.extend([line, "\r\n"]),
            _ => {}
        }
    }
    debug_assert!(via, "we put a Via into every request");
    if let Derived::Cancel {
        reason: Some(reason),
    } = derived
    {
        out.extend(["Reason: ", reason, "\r\n"]);
    }
    out.push_str("Content-Length: 0\r\n\r\n");
    Arc::from(out.into_bytes())
}

/// Length of everything before the empty line.
fn header_len(message: &[u8]) -> usize {
    message
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(message.len())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const INVITE: &str = "INVITE sip:bob@192.0.2.4 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\n\
        Max-Forwards: 70\r\n\
        Route: <sip:192.0.2.9;lr>\r\n\
        From: <sip:ann@demo>;tag=1\r\n\
        To: <sip:bob@demo>\r\n\
        Call-ID: x@y\r\n\
        CSeq: 7 INVITE\r\n\
        Contact: <sip:192.0.2.1:5060>\r\n\
        Content-Length: 24\r\n\r\n\
        To: this is in the body.";

    fn check(derived: Derived<'_>, expected: Expect) {
        let bytes = derive(INVITE.as_bytes(), derived);
        expected.assert_eq(&String::from_utf8(bytes.to_vec()).unwrap().replace('\r', ""));
    }

    #[test]
    fn ack_takes_the_response_s_to() {
        check(
            Derived::Ack {
                to: "<sip:bob@demo>;tag=2",
            },
            expect![[r#"
                ACK sip:bob@192.0.2.4 SIP/2.0
                Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport
                Max-Forwards: 70
                Route: <sip:192.0.2.9;lr>
                From: <sip:ann@demo>;tag=1
                To: <sip:bob@demo>;tag=2
                Call-ID: x@y
                CSeq: 7 ACK
                Content-Length: 0

            "#]],
        );
    }

    #[test]
    fn cancel_takes_the_request_s_to_and_a_reason() {
        check(
            Derived::Cancel {
                reason: Some("SIP;cause=200"),
            },
            expect![[r#"
                CANCEL sip:bob@192.0.2.4 SIP/2.0
                Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport
                Max-Forwards: 70
                Route: <sip:192.0.2.9;lr>
                From: <sip:ann@demo>;tag=1
                To: <sip:bob@demo>
                Call-ID: x@y
                CSeq: 7 CANCEL
                Reason: SIP;cause=200
                Content-Length: 0

            "#]],
        );
    }
}
