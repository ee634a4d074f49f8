//! SIP messages as the network sees them: by their text, without the parser under test.

/// What the checks and the trace need of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// The status of an answer; `None` for a request.
    pub(crate) status: Option<u16>,
    /// The method, of an answer that of its `CSeq`.
    pub(crate) method: String,
    pub(crate) call_id: String,
    pub(crate) cseq: String,
    /// Of the topmost `Via`.
    pub(crate) branch: String,
    /// It belongs to a dialog: `To` has a tag.
    pub(crate) in_dialog: bool,
}

impl Seen {
    /// `None` for keep-alives and what is no message.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.split(|&b| b == 0).next()?;
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let first = lines.next()?;
        let status = match first.strip_prefix("SIP/2.0 ") {
            Some(rest) => Some(rest.get(..3)?.parse().ok()?),
            None => None,
        };
        let mut seen = Self {
            status,
            method: first.split(' ').next()?.to_owned(),
            call_id: String::new(),
            cseq: String::new(),
            branch: String::new(),
            in_dialog: false,
        };
        for line in lines.take_while(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "call-id" | "i" => seen.call_id = value.to_owned(),
                "cseq" => {
                    let mut words = value.split_whitespace();
                    seen.cseq = words.next()?.to_owned();
                    if status.is_some() {
                        seen.method = words.next()?.to_owned();
                    }
                }
                "via" | "v" if seen.branch.is_empty() => {
                    let after = value.split(";branch=").nth(1).unwrap_or_default();
                    seen.branch = after
                        .split([';', ','])
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                }
                "to" | "t" => seen.in_dialog = value.contains(";tag="),
                _ => {}
            }
        }
        (!seen.call_id.is_empty()).then_some(seen)
    }

    /// Its line in the trace.
    pub(crate) fn summary(&self) -> String {
        let call: String = self.call_id.chars().take(6).collect();
        match self.status {
            Some(status) => format!("{status} ({} {}) {call}", self.cseq, self.method),
            None => format!("{} {} {call}", self.method, self.cseq),
        }
    }
}

/// The messages whose last byte lies in a stretch of a stream, framed by `Content-Length`.
#[derive(Debug, Default)]
pub(super) struct Framing {
    rest: Vec<u8>,
}

impl Framing {
    /// Takes the next bytes; gives the messages that are now complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.rest.extend_from_slice(bytes);
        let mut whole = Vec::new();
        loop {
            let start = self
                .rest
                .iter()
                .take_while(|b| matches!(b, b'\r' | b'\n'))
                .count();
            self.rest.drain(..start);
            let Some(head) = find(&self.rest, b"\r\n\r\n") else {
                return whole;
            };
            let text = String::from_utf8_lossy(&self.rest[..head]).to_ascii_lowercase();
            let length = text
                .split("\r\n")
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|value| value.trim().parse::<usize>().ok())
                .unwrap_or(0);
            let end = head + 4 + length;
            if self.rest.len() < end {
                return whole;
            }
            whole.push(self.rest.drain(..end).collect());
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_seen_and_framed() {
        let text = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;rport\r\n\
            To: <sip:a@b>;tag=x\r\nCall-ID: abc\r\nCSeq: 2 INVITE\r\nContent-Length: 2\r\n\r\nhi";
        let seen = Seen::read(text).expect("a message");
        assert_eq!((seen.status, seen.method.as_str()), (Some(200), "INVITE"));
        assert_eq!(
            (seen.branch.as_str(), seen.cseq.as_str()),
            ("z9hG4bKa", "2")
        );
        assert!(seen.in_dialog);
        assert_eq!(Seen::read(b"\r\n\r\n"), None);

        let mut framing = Framing::default();
        assert_eq!(framing.push(&text[..40]), Vec::<Vec<u8>>::new());
        let mut rest = text[40..].to_vec();
        rest.extend_from_slice(text);
        assert_eq!(framing.push(&rest), vec![text.to_vec(), text.to_vec()]);
    }
}
