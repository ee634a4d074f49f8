//! Bodies of several parts (RFC 2046 §5.1, RFC 5621), of which a user agent for calls needs one: the
//! session description. Carriers put ISUP or a location beside it.

use std::sync::Arc;

use super::{ContentType, HeaderName, Headers};

/// Most parts looked at: carriers send two or three.
const PARTS_MAX: usize = 16;

/// Characters of a boundary (RFC 2046 §5.1.1).
const BOUNDARY: std::ops::RangeInclusive<usize> = 1..=70;

/// The media type of session descriptions (RFC 8866 §8).
const SDP: &str = "application/sdp";

/// Leaves the session description of a body of several parts as the only one. Without one, or if a
/// part says that it must be understood (`handling=required`, RFC 3261 §20.11), nothing changes.
///
/// A part that says nothing of the kind is taken for optional: by the letter it is required, but
/// those who add locations to calls hardly ever say so, and the calls are better than none.
pub fn keep_description(headers: &mut Headers, body: &mut Arc<[u8]>) {
    let Ok(Some(kind)) = headers.content_type() else {
        return;
    };
    if body.is_empty() || !kind.essence.starts_with("multipart/") {
        return;
    }
    let boundary = kind.params.unquoted("boundary");
    let Some(boundary) = boundary.filter(|it| BOUNDARY.contains(&it.len())) else {
        return;
    };
    let mut found = None;
    for part in parts(body, &boundary).take(PARTS_MAX) {
        let kind = part.header("content-type");
        let kind = ContentType::parse(kind.as_deref().unwrap_or("text/plain"));
        if found.is_none()
            && let Ok(kind) = kind
            && kind.essence == SDP
            && part.is_session()
        {
            found = Some((kind.to_string(), Arc::from(part.body)));
        } else if part.is_required() {
            return;
        }
    }
    if let Some((kind, description)) = found {
        headers.set(HeaderName::ContentType, kind);
        *body = description;
    }
}

/// One part: lines of headers, and what they describe.
#[derive(Debug)]
struct Part<'a> {
    head: &'a str,
    body: &'a [u8],
}

impl<'a> Part<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        // A part without headers begins with the empty line.
        let (head, body) = match bytes {
            [b'\r', b'\n', body @ ..] | [b'\n', body @ ..] => (&bytes[..0], body),
            _ => ["\r\n\r\n", "\n\n"]
                .iter()
                .filter_map(|end| Some((find(bytes, end.as_bytes())?, end.len())))
                .min()
                .map_or((bytes, &bytes[..0]), |(at, len)| {
                    (&bytes[..at], &bytes[at + len..])
                }),
        };
        Self {
            head: std::str::from_utf8(head).unwrap_or(""),
            body,
        }
    }

    /// A value in one line, wherever it was folded (RFC 5322 §2.2.3).
    fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines();
        let mut value = lines.by_ref().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            let found = known.trim().eq_ignore_ascii_case(name);
            found.then(|| value.trim().to_owned())
        })?;
        for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
            value.push(' ');
            value.push_str(more.trim());
        }
        Some(value)
    }

    fn disposition(&self) -> String {
        let value = self.header("content-disposition");
        value.unwrap_or_default().to_ascii_lowercase()
    }

    fn is_required(&self) -> bool {
        self.disposition().contains("handling=required")
    }

    /// It describes the call's own session (RFC 3261 §20.11), as it is written.
    fn is_session(&self) -> bool {
        let disposition = self.disposition();
        let kind = disposition.split(';').next().unwrap_or_default().trim();
        let coding = self.header("content-transfer-encoding");
        let plain = coding.is_none_or(|it| {
            ["7bit", "8bit", "binary"]
                .iter()
                .any(|known| it.eq_ignore_ascii_case(known))
        });
        plain && matches!(kind, "" | "session")
    }
}

/// The parts of a body, up to its end or to where it was cut off.
fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = Part<'a>> {
    let delimiter = format!("--{boundary}");
    let mut rest = next(body, delimiter.as_bytes()).and_then(|(_, rest)| rest);
    std::iter::from_fn(move || {
        let here = rest?;
        let Some((part, after)) = next(here, delimiter.as_bytes()) else {
            rest = None;
            return Some(Part::read(here));
        };
        rest = after;
        Some(Part::read(part))
    })
}

/// What is before the next line of the delimiter, its line break left out, and what is after that
/// line; nothing is after the last one.
fn next<'a>(bytes: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let mut from = 0;
    loop {
        let at = from + find(&bytes[from..], delimiter)?;
        let after = &bytes[at + delimiter.len()..];
        if at > 0 && bytes[at - 1] != b'\n' {
            // Before anything else is looked for, or a body full of these would take long.
            from = at + delimiter.len();
            continue;
        }
        let line = after.iter().position(|byte| *byte == b'\n');
        let tail = &after[..line.unwrap_or(after.len())];
        let last = tail.starts_with(b"--");
        if !last && !tail.trim_ascii().is_empty() {
            from = at + delimiter.len();
            continue;
        }
        let before = &bytes[..at];
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        let before = before.strip_suffix(b"\r").unwrap_or(before);
        let rest = line.map(|line| &after[line + 1..]).filter(|_| !last);
        return Some((before, rest));
    }
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";

    /// The type and body that are left of these.
    fn kept(kind: &str, body: &str) -> (String, String) {
        let mut headers = Headers::default();
        headers.push(HeaderName::ContentType, kind);
        let mut body: Arc<[u8]> = body.as_bytes().into();
        keep_description(&mut headers, &mut body);
        let kind = headers.first(&HeaderName::ContentType).expect("a type");
        (kind.to_owned(), String::from_utf8_lossy(&body).into_owned())
    }

    #[test]
    fn the_description_is_found_wherever_it_lies() {
        let kind = "multipart/mixed; boundary=\"a b\"";
        let sdp = format!("Content-Type: application/sdp\r\n\r\n{OFFER}");
        let isup = "Content-Type: application/ISUP;version=itu-t92+\r\n\
                    Content-Disposition: signal;handling=optional\r\n\r\n\x01\x00--a bc\r\n--a b x";
        for (name, body) in [
            (
                "first",
                format!("--a b\r\n{sdp}\r\n--a b\r\n{isup}\r\n--a b--\r\n"),
            ),
            (
                "second",
                format!("--a b\r\n{isup}\r\n--a b\r\n{sdp}\r\n--a b--"),
            ),
            ("alone", format!("--a b\r\n{sdp}\r\n--a b--\r\n")),
            (
                "after a preamble",
                format!("hello\r\n--a b \r\n{sdp}\r\n--a b--\r\nbye"),
            ),
            (
                "beside text",
                format!("--a b\r\n\r\nhello\r\n--a b\r\n{sdp}\r\n--a b--"),
            ),
            ("cut off", format!("--a b\r\n{isup}\r\n--a b\r\n{sdp}")),
        ] {
            assert_eq!(
                kept(kind, &body),
                (SDP.to_owned(), OFFER.to_owned()),
                "{name}"
            );
        }
        let folded =
            format!("--x\r\nContent-Type: application/sdp;\r\n charset=x\r\n\r\n{OFFER}\r\n--x--");
        assert_eq!(kept("multipart/mixed;boundary=x", &folded).1, OFFER);
        let bare = format!("--x\nContent-Type: Application/SDP\n\n{OFFER}\n--x--");
        assert_eq!(kept("Multipart/Related;boundary=x", &bare).1, OFFER);
    }

    #[test]
    fn what_has_none_or_must_be_understood_stays_as_it_is() {
        let sdp = format!("Content-Type: application/sdp\r\n\r\n{OFFER}");
        let must = "Content-Type: a/b\r\nContent-Disposition: signal; Handling=Required\r\n\r\nx";
        let folded = must.replace("signal; ", "signal;\r\n ");
        let early = format!("Content-Disposition: early-session\r\n{sdp}");
        let coded = format!("Content-Transfer-Encoding: base64\r\n{sdp}");
        let many = "--x\r\n\r\nhello\r\n".repeat(PARTS_MAX);
        for (kind, body) in [
            (
                "multipart/mixed;boundary=x",
                "--x\r\n\r\nhello\r\n--x--".to_owned(),
            ),
            (
                "multipart/mixed;boundary=x",
                format!("--x\r\n{sdp}\r\n--x\r\n{must}\r\n--x--"),
            ),
            (
                "multipart/mixed;boundary=x",
                format!("--x\r\n{sdp}\r\n--x\r\n{folded}\r\n--x--"),
            ),
            (
                "multipart/mixed;boundary=x",
                format!("--x\r\n{early}\r\n--x--"),
            ),
            (
                "multipart/mixed;boundary=x",
                format!("--x\r\n{coded}\r\n--x--"),
            ),
            (
                "multipart/mixed;boundary=\"\"",
                format!("--\r\n{sdp}\r\n----"),
            ),
            (
                "multipart/mixed;boundary=x",
                format!("{many}--x\r\n{sdp}\r\n--x--"),
            ),
            (
                "multipart/mixed;boundary=x",
                format!("--y\r\n{sdp}\r\n--y--"),
            ),
            ("multipart/mixed", format!("--x\r\n{sdp}\r\n--x--")),
            ("multipart/mixed;boundary=x", String::new()),
            ("multipart/mixed;boundary=x", "--x".to_owned()),
            ("application/sdp", OFFER.to_owned()),
        ] {
            assert_eq!(kept(kind, &body), (kind.to_owned(), body.clone()), "{body}");
        }
    }

    /// What is not at the beginning of a line is passed over at once: the time grows with the body's
    /// length, not with its square.
    #[test]
    fn a_body_full_of_what_looks_like_boundaries_is_read_once() {
        let body = format!("a{}", "-".repeat(60 << 10));
        // Thirty thousand of them: looked at to the end of the body each, this would take minutes.
        for _ in 0..100 {
            assert_eq!(kept("multipart/mixed;boundary=-", &body).1, body);
        }
    }
}
