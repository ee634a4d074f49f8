//! Reading a message from a datagram.

use std::borrow::Cow;
use std::sync::Arc;

use super::{
    HeaderName, Headers, Message, Method, ParseError, Request, Response, SyntaxError, scan,
};
use crate::limits;

/// Reads the message of a datagram.
///
/// The body is what `Content-Length` says, or the rest of the datagram without it; bytes behind the
/// body are ignored (RFC 3261 §18.3). `Content-Length` is not kept among the headers: the body's
/// length is the truth. Bytes of the head that are no UTF-8 read as U+FFFD.
///
/// # Errors
/// See [`ParseError`], which says whether it can be answered.
pub fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
    let bytes = skip_line_ends(bytes)?;
    let (head, rest) = match find_head_end(bytes, 0) {
        Ok(end) => bytes.split_at(end),
        Err(_) => (bytes, &[][..]),
    };
    if head.len() > limits::HEAD_BYTES_MAX {
        // What fits is read, so that the refusal can be sent.
        let mut head = Head::read(&head[..limits::HEAD_BYTES_MAX])?;
        head.fault = Some(Fault {
            status: 513,
            why: SyntaxError("head too large"),
        });
        return head.finish(&[]);
    }
    let mut head = Head::read(head)?;
    let body = match head.length {
        Ok(None) => rest,
        Ok(Some(length)) => match rest.get(..length) {
            Some(body) => body,
            None => {
                head.blame(400, "Content-Length beyond the datagram");
                &[]
            }
        },
        Err(why) => {
            head.blame(400, why.0);
            &[]
        }
    };
    head.finish(body)
}

/// Without line ends before the message (RFC 3261 §7.5).
fn skip_line_ends(bytes: &[u8]) -> Result<&[u8], ParseError> {
    let blank = |byte: u8| matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0);
    match bytes
        .iter()
        .position(|&byte| !matches!(byte, b'\r' | b'\n'))
    {
        Some(at) if bytes[at..].iter().all(|&byte| blank(byte)) => Err(ParseError::KeepAlive),
        Some(at) => Ok(&bytes[at..]),
        None => Err(ParseError::KeepAlive),
    }
}

/// Where the body begins: behind the first empty line. The search starts at `from`; without an
/// empty line the error is where the next search may start.
pub(super) fn find_head_end(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut from = from;
    while let Some(at) = scan::find_byte(bytes, from, b'\n') {
        if bytes[..=at].ends_with(b"\r\n\r\n") {
            return Ok(at + 1);
        }
        from = at + 1;
    }
    Err(bytes.len())
}

/// A message without its body, and what is wrong with it.
pub(super) struct Head {
    start: Start,
    headers: Headers,
    fault: Option<Fault>,
    /// `Content-Length`, which is then removed from the headers.
    pub(super) length: Result<Option<usize>, SyntaxError>,
}

enum Start {
    Request {
        method: Method,
        uri: String,
    },
    Response {
        status: u16,
        reason: Cow<'static, str>,
    },
}

struct Fault {
    status: u16,
    why: SyntaxError,
}

impl Head {
    /// Reads a first line and headers. What is broken is noted and the rest still read, so that a
    /// refusal has what it needs.
    ///
    /// # Errors
    /// The first line tells of no request or response.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ParseError> {
        // The check alone is several times faster than the reading that replaces.
        let text: Arc<str> = match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(bytes).into(),
        };
        let line_end = scan::find_byte(text.as_bytes(), 0, b'\n').unwrap_or(text.len());
        let line = &text[..line_end];
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (start, fault) = Start::read(line)?;
        let headers = Headers::over(Arc::clone(&text));
        let mut head = Self {
            start,
            headers,
            fault,
            length: Ok(None),
        };
        if scan::find_byte(line.as_bytes(), 0, b'\r').is_some() {
            head.blame(400, "stray line end");
        }
        head.read_fields(&text, (line_end + 1).min(text.len()));
        Ok(head)
    }

    /// Notes what is wrong, unless something was before.
    pub(super) fn blame(&mut self, status: u16, why: &'static str) {
        self.fault.get_or_insert(Fault {
            status,
            why: SyntaxError(why),
        });
    }

    fn read_fields(&mut self, text: &str, mut at: usize) {
        let bytes = text.as_bytes();
        loop {
            let Some(mut end) = scan::find_byte(bytes, at, b'\n') else {
                // Only an unfinished line is left: the empty line never came.
                self.blame(400, "headers never end");
                return;
            };
            if &bytes[at..=end] == b"\r\n" {
                return;
            }
            let mut folded = false;
            while matches!(bytes.get(end + 1), Some(b' ' | b'\t')) {
                let Some(next) = scan::find_byte(bytes, end + 1, b'\n') else {
                    break;
                };
                (folded, end) = (true, next);
            }
            if self.headers.len() >= limits::HEADERS_MAX {
                self.blame(513, "too many headers");
                return;
            }
            self.read_field(text, at, end, folded);
            at = end + 1;
        }
    }

    /// Reads the field between `start` and the line feed at `end`.
    fn read_field(&mut self, text: &str, start: usize, end: usize, folded: bool) {
        let line = &text[start..end];
        let Some(line) = line.strip_suffix('\r') else {
            return self.blame(400, "stray line end");
        };
        let Some(colon) = scan::find_byte(line.as_bytes(), 0, b':') else {
            return self.blame(400, "header without colon");
        };
        let Some(name) = HeaderName::parse(scan::trim_end(&line[..colon])) else {
            return self.blame(400, "bad header name");
        };
        if folded {
            match unfold(&line[colon + 1..]) {
                Some(value) => self.headers.push_unfolded(name, value),
                None => self.blame(400, "stray line end"),
            }
            return self.note_length();
        }
        let raw = &line[colon + 1..];
        if scan::find_byte(raw.as_bytes(), 0, b'\r').is_some() {
            return self.blame(400, "stray line end");
        }
        let value = scan::trim(raw);
        let at = start + colon + 1 + scan::blanks(raw);
        if name.splits() && scan::find_byte(value.as_bytes(), 0, b',').is_some() {
            let mut from = at;
            for part in scan::split_outside(value, b',') {
                let part_at = from + text[from..].find(part).expect("a part lies in its whole");
                from = part_at + part.len();
                if !part.is_empty() {
                    self.headers.push_shared(name.clone(), part_at..from);
                }
            }
        } else {
            self.headers.push_shared(name, at..at + value.len());
            self.note_length();
        }
    }

    /// Takes a `Content-Length` that was just read out of the headers again.
    fn note_length(&mut self) {
        let Some(value) = self.headers.pop_if(&HeaderName::ContentLength) else {
            return;
        };
        let length = scan::number(&value)
            .map(|length| Some(length as usize))
            .ok_or(SyntaxError("bad Content-Length"));
        self.length = match (self.length, length) {
            (Ok(None), new) => new,
            (Ok(old), Ok(new)) if old == new => Ok(old),
            (Ok(_), Ok(_)) => Err(SyntaxError("several values of Content-Length")),
            (Err(why), _) | (_, Err(why)) => Err(why),
        };
    }

    /// The message with this body, or what its faults lead to.
    pub(super) fn finish(self, body: &[u8]) -> Result<Message, ParseError> {
        let body = Arc::from(body);
        let headers = self.headers;
        match (self.start, self.fault) {
            (Start::Request { method, uri }, None) => Ok(Message::Request(Request {
                method,
                uri,
                headers,
                body,
            })),
            (Start::Response { status, reason }, None) => Ok(Message::Response(Response {
                status,
                reason,
                headers,
                body,
            })),
            (Start::Request { method, uri }, Some(Fault { status, why })) => {
                if method == Method::Ack || !headers.has(&HeaderName::Via) {
                    return Err(ParseError::Drop(why));
                }
                let request = Request {
                    method,
                    uri,
                    headers,
                    body: Arc::default(),
                };
                Err(ParseError::Reply {
                    request: Box::new(request),
                    status,
                    why,
                })
            }
            (Start::Response { .. }, Some(Fault { why, .. })) => Err(ParseError::Drop(why)),
        }
    }
}

impl Start {
    fn read(line: &str) -> Result<(Self, Option<Fault>), ParseError> {
        match line.get(..4) {
            Some(start) if start.eq_ignore_ascii_case("SIP/") => Self::status_line(line)
                .map(|start| (start, None))
                .map_err(ParseError::Drop),
            _ => Self::request_line(line).map_err(ParseError::Drop),
        }
    }

    /// `SIP/2.0 SP 3DIGIT SP reason`; the last space may be missing with the reason.
    fn status_line(line: &str) -> Result<Self, SyntaxError> {
        let (version, rest) = line.split_once(' ').ok_or(SyntaxError("bad status line"))?;
        if !version.eq_ignore_ascii_case("SIP/2.0") {
            return Err(SyntaxError("unknown version"));
        }
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = Some(status)
            .filter(|status| status.len() == 3)
            .and_then(scan::number)
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..700).contains(status))
            .ok_or(SyntaxError("bad status"))?;
        let usual = super::reason_phrase(status);
        let reason = if reason == usual {
            Cow::Borrowed(usual)
        } else {
            Cow::Owned(reason.to_owned())
        };
        Ok(Self::Response { status, reason })
    }

    /// `Method SP Request-URI SP SIP-Version`, with exactly these spaces (RFC 3261 §7.1).
    fn request_line(line: &str) -> Result<(Self, Option<Fault>), SyntaxError> {
        let not_sip = SyntaxError("not SIP");
        let blame = |status, why| {
            Some(Fault {
                status,
                why: SyntaxError(why),
            })
        };
        let trimmed = scan::trim_end(line);
        let (method, rest) = trimmed.split_once(' ').ok_or(not_sip)?;
        let (uri, version) = rest.rsplit_once(' ').ok_or(not_sip)?;
        let method = Method::parse(method).ok_or(not_sip)?;
        let number = version
            .get(..4)
            .filter(|start| start.eq_ignore_ascii_case("SIP/"))
            .and_then(|_| version.get(4..))
            .ok_or(not_sip)?;
        let fault = if number != "2.0" {
            blame(505, "unknown version")
        } else if trimmed.len() != line.len() {
            blame(400, "white space after the version")
        } else if uri.is_empty() || uri.contains([' ', '\t']) {
            blame(400, "white space in the request line")
        } else if uri.contains(char::is_control) {
            blame(400, "control character in the request line")
        } else {
            None
        };
        Ok((
            Self::Request {
                method,
                uri: scan::trim(uri).to_owned(),
            },
            fault,
        ))
    }
}

/// A value whose folds became single spaces (RFC 3261 §7.3.1); `None` if a line end within is no
/// fold.
fn unfold(raw: &str) -> Option<String> {
    let mut value = String::with_capacity(raw.len());
    for line in raw.split("\r\n").map(scan::trim) {
        if line.contains(['\r', '\n']) {
            return None;
        }
        if !value.is_empty() && !line.is_empty() {
            value.push(' ');
        }
        value.push_str(line);
    }
    Some(value)
}

#[cfg(test)]
mod tests;
