//! Writing messages.

use super::{HeaderName, Headers, Request, Response};

impl Request {
    /// The request as it goes on the wire: one field a line, `Content-Length` last and right,
    /// whatever the headers say.
    ///
    /// Spaces and control characters in the URI are escaped, so that it cannot end its line.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(capacity(&self.headers, self.body.len()));
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        let bad = |byte: &u8| matches!(byte, 0..=b' ' | 0x7f);
        for part in self.uri.as_bytes().split_inclusive(bad) {
            match part.split_last() {
                Some((last, good)) if bad(last) => {
                    out.extend_from_slice(good);
                    out.extend_from_slice(format!("%{last:02X}").as_bytes());
                }
                Some(_) | None => out.extend_from_slice(part),
            }
        }
        out.extend_from_slice(b" SIP/2.0\r\n");
        finish(out, &self.headers, &self.body)
    }
}

impl Response {
    /// The response as it goes on the wire; see [`Request::to_bytes`]. Line ends in the reason
    /// phrase become spaces.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(capacity(&self.headers, self.body.len()));
        out.extend_from_slice(b"SIP/2.0 ");
        assert!(
            (100..1000).contains(&self.status),
            "a status has three digits"
        );
        out.extend(
            [100, 10, 1]
                .map(|unit| b'0' + u8::try_from(self.status / unit % 10).expect("one digit")),
        );
        out.push(b' ');
        out.extend(self.reason.bytes().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            _ => byte,
        }));
        out.extend_from_slice(b"\r\n");
        finish(out, &self.headers, &self.body)
    }
}

fn capacity(headers: &Headers, body: usize) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum::<usize>()
        + body
        + 256
}

fn finish(mut out: Vec<u8>, headers: &Headers, body: &[u8]) -> Vec<u8> {
    for (name, value) in headers.iter() {
        if *name == HeaderName::ContentLength {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(body.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
    out
}
