//! The few headers that a trace needs, found without parsing the message.

use memchr::memchr;

/// The value of a header by its name or its compact form (RFC 3261 §7.3.3), up to the line's end.
pub(super) fn header<'a>(bytes: &'a [u8], name: &str, compact: u8) -> Option<&'a str> {
    let mut start = 0;
    while start < bytes.len() {
        let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |end| start + end);
        let line = &bytes[start..end];
        start = end + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        let Some(colon) = memchr(b':', line) else {
            continue;
        };
        let known = line[..colon].trim_ascii();
        if known.eq_ignore_ascii_case(name.as_bytes()) || known.eq_ignore_ascii_case(&[compact]) {
            return std::str::from_utf8(line[colon + 1..].trim_ascii()).ok();
        }
    }
    None
}

/// The `Call-ID`.
pub(super) fn call_id(bytes: &[u8]) -> Option<&str> {
    header(bytes, "Call-ID", b'i').filter(|id| !id.is_empty())
}

/// Whether the message is from, to or for this user: by the user part of a URI in its first line,
/// in `From`, `To` or `Contact`.
pub(super) fn concerns(bytes: &[u8], user: &str) -> bool {
    let first = bytes.split(|b| *b == b'\r' || *b == b'\n').next();
    let first = first.and_then(|line| std::str::from_utf8(line).ok());
    let headers = [("From", b'f'), ("To", b't'), ("Contact", b'm')];
    let mut texts = headers
        .into_iter()
        .filter_map(|(name, compact)| header(bytes, name, compact))
        .chain(first);
    texts.any(|text| names(text, user))
}

fn names(text: &str, user: &str) -> bool {
    text.match_indices(':').any(|(at, _)| {
        let rest = &text[at + 1..];
        rest.strip_prefix(user)
            .is_some_and(|rest| rest.starts_with(['@', ':', ';']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_the_head_only() {
        for (text, expected) in [
            ("OPTIONS x SIP/2.0\r\nCall-ID: a@b\r\n\r\n", Some("a@b")),
            ("OPTIONS x SIP/2.0\r\nVia: x\r\ni :  a \r\n\r\n", Some("a")),
            ("OPTIONS x SIP/2.0\ncall-id:a\n\n", Some("a")),
            ("OPTIONS x SIP/2.0\r\n\r\nCall-ID: a\r\n", None),
            ("OPTIONS x SIP/2.0\n\nCall-ID: a\n", None),
            ("OPTIONS x SIP/2.0\r\nCall-ID: \r\n", None),
            ("OPTIONS x SIP/2.0\r\nCall-ID: a", Some("a")),
            ("", None),
            ("\r\n\r\n", None),
        ] {
            assert_eq!(call_id(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(call_id(b"x\r\nCall-ID: \xff\r\n"), None);
    }

    #[test]
    fn a_user_is_found_where_one_is_named() {
        let text = b"REGISTER sip:example.com SIP/2.0\r\nFrom: <sip:1001@example.com>\r\n\
            t: \"1002\" <sip:1003@example.com>\r\nContact: <sip:1004:x@h>\r\n\r\nsip:1005@h";
        for (user, expected) in [
            ("1001", true),
            ("1003", true),
            ("1004", true),
            ("100", false),
            ("1002", false),
            ("1005", false),
            ("example.com", false),
        ] {
            assert_eq!(concerns(text, user), expected, "{user}");
        }
    }
}
