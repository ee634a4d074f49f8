//! Takes what must stay secret out of a message, before it is kept.
//!
//! Each secret byte becomes `*`: lengths stay, so `Content-Length` stays true and the text can
//! still be compared with what a far end saw. Addresses and numbers stay too, as in the call's
//! record: a trace without them explains nothing. Nothing is assumed about the message being well
//! formed: scanners write what they like.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

use super::find;

/// What stands for a secret byte.
const MASK: u8 = b'*';

/// What a body may hold that is secret beside keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    /// Nothing.
    Open,
    /// Digits that were pressed.
    Digits,
    /// What people write to each other.
    Text,
}

/// Masks passwords' proofs, keys, digits that were pressed, and texts.
pub(crate) fn mask(bytes: &mut [u8]) {
    let head = head(bytes);
    let body = body(&bytes[..head]);
    let mut at = 0;
    while at < bytes.len() {
        let mut line = line(bytes, at);
        if line.start < head {
            line.end = folded(bytes, line.end, head);
        }
        at = line.end + 1;
        let (start, line) = (line.start, &mut bytes[line]);
        uris(line);
        header(line);
        description(line);
        if start >= head {
            match body {
                Body::Open => {}
                Body::Digits => digits(line),
                Body::Text => all(line),
            }
        }
    }
}

/// Where the body begins: behind the first empty line.
fn head(bytes: &[u8]) -> usize {
    let ends: [&[u8]; 2] = [b"\r\n\r\n", b"\n\n"];
    let found = ends
        .into_iter()
        .filter_map(|end| memmem::find(bytes, end).map(|at| at + end.len()));
    found.min().unwrap_or(bytes.len())
}

fn body(head: &[u8]) -> Body {
    let kind = find::header(head, "Content-Type", b'c').unwrap_or("none");
    let holds = |word: &str| kind.to_ascii_lowercase().contains(word);
    // A value that goes on in the next line is not read, and so may be anything.
    if head.starts_with(b"INFO ") || kind.is_empty() || holds("dtmf") || holds("kpml") {
        Body::Digits
    } else if head.starts_with(b"MESSAGE ") {
        Body::Text
    } else {
        Body::Open
    }
}

/// The line at this place, without its end, which is CR or LF.
fn line(bytes: &[u8], at: usize) -> Range<usize> {
    let end = memchr2(b'\r', b'\n', &bytes[at..]);
    at..end.map_or(bytes.len(), |end| at + end)
}

/// Where a header ends that goes on in lines beginning with a space (RFC 3261 §7.3.1).
fn folded(bytes: &[u8], end: usize, head: usize) -> usize {
    let mut end = end;
    loop {
        let rest = &bytes[end..head.max(end)];
        let gap = rest
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n'))
            .count();
        match rest.get(gap) {
            // An empty line ends the head, whatever follows.
            Some(b' ' | b'\t') if (1..=2).contains(&gap) => end = line(bytes, end + gap).end,
            Some(_) | None => return end,
        }
    }
}

/// Credentials in a header.
fn header(line: &mut [u8]) {
    let Some(colon) = memchr(b':', line) else {
        return;
    };
    // The shortest of the names below, with what may stand before it.
    if colon < b"Authorization".len() {
        return;
    }
    let (name, value) = line.split_at_mut(colon + 1);
    let name = name[..colon].trim_ascii();
    let asks = [&b"Authorization"[..], b"Proxy-Authorization"];
    let tells = [&b"Authentication-Info"[..], b"Proxy-Authentication-Info"];
    // Most headers are another: their length alone says so.
    if !asks
        .iter()
        .chain(&tells)
        .any(|known| known.len() == name.len())
    {
        return;
    }
    let is = |names: [&[u8]; 2]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is(tells) {
        parameter(value, b"rspauth");
    } else if is(asks) {
        let start = value.iter().position(|b| !b.is_ascii_whitespace());
        let value = &mut value[start.unwrap_or(0)..];
        let word = value.iter().position(|b| b.is_ascii_whitespace());
        match word.map(|end| value.split_at_mut(end)) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"Digest") => {
                parameter(rest, b"response");
            }
            Some((scheme, rest)) if scheme.iter().all(u8::is_ascii_alphabetic) => all(rest),
            Some(_) | None => all(value),
        }
    }
}

/// The value of a parameter, quoted or not, wherever it stands.
fn parameter(text: &mut [u8], name: &[u8]) {
    let mut at = 0;
    while let Some(found) = text[at..]
        .windows(name.len())
        .position(|window| window.eq_ignore_ascii_case(name))
    {
        at += found + name.len();
        let blank = |text: &[u8], at: usize| {
            let blanks = text[at..].iter().take_while(|b| b.is_ascii_whitespace());
            at + blanks.count()
        };
        let equals = blank(text, at);
        if text.get(equals) != Some(&b'=') {
            continue;
        }
        let start = blank(text, equals + 1);
        let quoted = text.get(start) == Some(&b'"');
        let start = start + usize::from(quoted);
        let ends = |b: &u8| {
            if quoted {
                *b == b'"'
            } else {
                *b == b',' || b.is_ascii_whitespace()
            }
        };
        let end = text[start..].iter().position(ends);
        let end = end.map_or(text.len(), |end| start + end);
        all(&mut text[start..end]);
        at = end;
    }
}

/// Keys in a session description.
fn description(line: &mut [u8]) {
    if !matches!(line.first(), Some(b'a' | b'A' | b'k' | b'K')) {
        return;
    }
    let begins = |line: &[u8], with: &[u8]| {
        line.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if begins(line, b"a=crypto") {
        // RFC 4568 §9.1: each key is `inline:` and base64, then `|` and its lifetime.
        let name = b"inline:";
        let mut at = 0;
        while let Some(found) = line[at..]
            .windows(name.len())
            .position(|window| window.eq_ignore_ascii_case(name))
        {
            let start = at + found + name.len();
            let ends = |b: &u8| matches!(b, b'|' | b';') || b.is_ascii_whitespace();
            let end = line[start..].iter().position(ends);
            let end = end.map_or(line.len(), |end| start + end);
            all(&mut line[start..end]);
            at = end;
        }
    }
    // RFC 4567 §3, RFC 8839 §5.4, RFC 4566 §5.12.
    for name in [&b"a=key-mgmt:"[..], b"a=ice-pwd:", b"k="] {
        if begins(line, name) {
            all(&mut line[name.len()..]);
        }
    }
}

/// Passwords in URIs: `sip:user:password@host` (RFC 3261 §19.1.1).
fn uris(line: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = memchr(b':', &line[at..]) {
        let start = at + found + 1;
        let scheme = &line[..start - 1];
        at = start;
        let is = |known: &[u8]| {
            scheme.len() >= known.len()
                && scheme[scheme.len() - known.len()..].eq_ignore_ascii_case(known)
        };
        if !is(b"sip") && !is(b"sips") {
            continue;
        }
        let ends =
            |b: &u8| matches!(b, b'@' | b'<' | b'>' | b'"' | b',') || b.is_ascii_whitespace();
        let end = line[start..].iter().position(ends);
        let end = end.map_or(line.len(), |end| start + end);
        if line.get(end) == Some(&b'@')
            && let Some(colon) = line[start..end].iter().position(|b| *b == b':')
        {
            all(&mut line[start + colon + 1..end]);
        }
        at = end;
    }
}

/// Keys that were pressed: digits, `#`, and A to D where they stand alone.
fn digits(line: &mut [u8]) {
    for at in 0..line.len() {
        let beside = |at: Option<usize>| {
            let byte = at.and_then(|at| line.get(at));
            byte.is_some_and(u8::is_ascii_alphanumeric)
        };
        let key = match line[at] {
            b'0'..=b'9' | b'#' => true,
            b'A'..=b'D' | b'a'..=b'd' => !beside(at.checked_sub(1)) && !beside(Some(at + 1)),
            _ => false,
        };
        if key {
            line[at] = MASK;
        }
    }
}

fn all(text: &mut [u8]) {
    for byte in text.iter_mut().filter(|byte| !byte.is_ascii_whitespace()) {
        *byte = MASK;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        mask(&mut bytes);
        assert_eq!(bytes.len(), text.len(), "lengths stay");
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn credentials_are_masked_however_they_are_written() {
        for (text, expected) in [
            (
                "Authorization: Digest username=\"1001\", response=\"secret\", nc=00000001\r\n",
                "Authorization: Digest username=\"1001\", response=\"******\", nc=00000001\r\n",
            ),
            (
                "proxy-authorization : DIGEST Response = secret,a=b\r\n",
                "proxy-authorization : DIGEST Response = ******,a=b\r\n",
            ),
            (
                "Authorization: Digest username=\"x\",\r\n response=\"sec\r\n ret\"\r\nVia: x\r\n",
                "Authorization: Digest username=\"x\",\r\n response=\"***\r\n ***\"\r\nVia: x\r\n",
            ),
            (
                "AUTHORIZATION: Basic c2VjcmV0\n",
                "AUTHORIZATION: Basic ********\n",
            ),
            ("Authorization: secret\r\n", "Authorization: ******\r\n"),
            (
                "Authorization:response=secret",
                "Authorization:***************",
            ),
            (
                "Authentication-Info: rspauth=\"secret\", nc=1\r\n",
                "Authentication-Info: rspauth=\"******\", nc=1\r\n",
            ),
            // An unfinished quote hides what follows in the header, not the next one.
            (
                "Authorization: Digest response=\"secret, nc=1\r\nVia: x\r\n",
                "Authorization: Digest response=\"******* ****\r\nVia: x\r\n",
            ),
            ("Authorization", "Authorization"),
            ("Authorization:", "Authorization:"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn keys_and_passwords_are_masked() {
        for (text, expected) in [
            (
                "x\r\n\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:4;inline:YWdhaW4=\r\n",
                "x\r\n\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:********|2^20|1:4;inline:********\r\n",
            ),
            ("v=0\r\nk=clear:secret\r\n", "v=0\r\nk=************\r\n"),
            ("\r\n\r\na=ice-pwd:secret\n", "\r\n\r\na=ice-pwd:******\n"),
            (
                "INVITE sip:a:secret@b:5060 SIP/2.0\r\n",
                "INVITE sip:a:******@b:5060 SIP/2.0\r\n",
            ),
            (
                "To: \"x\" <SIPS:a:secret@b>;tag=1\r\n",
                "To: \"x\" <SIPS:a:******@b>;tag=1\r\n",
            ),
            (
                "Contact: <sip:1001@192.0.2.1:5060>\r\n",
                "Contact: <sip:1001@192.0.2.1:5060>\r\n",
            ),
            (
                "Route: <sip:192.0.2.1:5060;lr>, <sip:a@b>\r\n",
                "Route: <sip:192.0.2.1:5060;lr>, <sip:a@b>\r\n",
            ),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn digits_and_texts_are_masked() {
        for (text, expected) in [
            (
                "INFO sip:1 SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\nDuration=160\r\n",
                "INFO sip:1 SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=*\r\nDuration=***\r\n",
            ),
            (
                "INFO sip:1 SIP/2.0\n\nSignal= #\nSignal=D\nAbcd",
                "INFO sip:1 SIP/2.0\n\nSignal= *\nSignal=*\nAbcd",
            ),
            (
                "NOTIFY sip:1 SIP/2.0\r\nc: application/kpml-response+xml\r\n\r\n<r digits=\"4711\"/>",
                "NOTIFY sip:1 SIP/2.0\r\nc: application/kpml-response+xml\r\n\r\n<r digits=\"****\"/>",
            ),
            (
                "MESSAGE sip:1 SIP/2.0\r\n\r\nmeet me\r\n",
                "MESSAGE sip:1 SIP/2.0\r\n\r\n**** **\r\n",
            ),
            (
                "INVITE sip:1 SIP/2.0\r\n\r\nm=audio 4000\r\n",
                "INVITE sip:1 SIP/2.0\r\n\r\nm=audio 4000\r\n",
            ),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn nothing_makes_it_panic() {
        let pieces = [
            "Authorization:",
            "Digest ",
            "response",
            "=",
            "\"",
            "\r\n",
            "\n",
            " ",
            "sip:",
            "@",
            "a=crypto:inline:",
        ];
        // All texts of four pieces.
        for n in 0..pieces.len().pow(4) {
            let text: String = (0..4)
                .map(|i| pieces[n / pieces.len().pow(i) % pieces.len()])
                .collect();
            masked(&text);
        }
    }
}
