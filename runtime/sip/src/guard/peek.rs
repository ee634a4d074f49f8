//! Looks at a message without reading it.

use crate::endpoint::wire::tag_of;

/// Bytes that are looked at: the headers of interest stand at the front of what phones send.
const PEEK_BYTES_MAX: usize = 4_096;

/// What a message costs its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Register,
    Invite,
    Other,
}

/// The kind of a message.
pub(crate) fn kind(bytes: &[u8]) -> Kind {
    if bytes.starts_with(b"REGISTER ") {
        Kind::Register
    } else if bytes.starts_with(b"INVITE ") {
        Kind::Invite
    } else {
        Kind::Other
    }
}

/// The `Call-ID` and our tag of a message that claims to belong to a dialog of ours: in `To` of a
/// request, in `From` of a response.
///
/// Our tags are random and go to the far end alone, so who knows one is it. Folded headers are not
/// found; nobody sends them any more (RFC 7230 §3.2.4 took them out of HTTP).
pub(crate) fn dialog(bytes: &[u8]) -> Option<(&str, &str)> {
    let bytes = &bytes[..bytes.len().min(PEEK_BYTES_MAX)];
    let ours = if bytes.starts_with(b"SIP/2.0 ") {
        ["from", "f"]
    } else {
        ["to", "t"]
    };
    let (mut call_id, mut tag) = (None, None);
    for line in bytes.split(|&byte| byte == b'\n').skip(1) {
        let line = line.trim_ascii_end();
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            // The end of the headers, or none of ours.
            break;
        };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        let is = |names: [&str; 2]| {
            names
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        if is(["call-id", "i"]) {
            call_id = std::str::from_utf8(value).ok();
        } else if is(ours) {
            tag = std::str::from_utf8(value).ok().and_then(tag_of);
        }
        if let (Some(call_id), Some(tag)) = (call_id, tag) {
            return Some((call_id, tag));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_found_in_any_spelling() {
        for (text, expected) in [
            (
                "BYE sip:a SIP/2.0\r\nTo: <sip:b>;tag=x\r\nCall-ID: c\r\n\r\n",
                Some(("c", "x")),
            ),
            ("BYE sip:a SIP/2.0\ni:c\nt : b;tag=x\n\n", Some(("c", "x"))),
            (
                "SIP/2.0 200 OK\r\nFrom: <sip:b>;tag=x\r\nTo: d;tag=y\r\nI: c\r\n\r\n",
                Some(("c", "x")),
            ),
            (
                "INVITE sip:a SIP/2.0\r\nTo: <sip:b>\r\nCall-ID: c\r\n\r\n",
                None,
            ),
            (
                "BYE sip:a SIP/2.0\r\n\r\nTo: <sip:b>;tag=x\r\nCall-ID: c\r\n",
                None,
            ),
            ("", None),
            ("\0\n\n:", None),
        ] {
            assert_eq!(dialog(text.as_bytes()), expected, "{text:?}");
        }
        let long = format!(
            "BYE sip:a SIP/2.0\nX: {}\nTo: b;tag=x\nCall-ID: c\n",
            "y".repeat(9_000)
        );
        assert_eq!(dialog(long.as_bytes()), None);
    }
}
