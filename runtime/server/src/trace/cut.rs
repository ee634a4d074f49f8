//! Cuts what a stream brings into messages, by `Content-Length` (RFC 3261 §18.3).

use memchr::memmem;

use super::find;
use super::limits::STREAM_BYTES_MAX;

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    waiting: Vec<u8>,
    /// What came made no sense: the endpoint closes such a stream, and so nothing more is looked at.
    lost: bool,
}

impl Cutter {
    /// Takes what arrived; gives the messages that are whole now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        if self.lost {
            return messages;
        }
        self.waiting.extend_from_slice(bytes);
        loop {
            // Keep-alives between messages (RFC 5626 §3.5.1).
            let blanks = self.waiting.iter();
            let blanks = blanks.take_while(|b| matches!(b, b'\r' | b'\n')).count();
            self.waiting.drain(..blanks);
            let Some(head) = memmem::find(&self.waiting, b"\r\n\r\n") else {
                break;
            };
            let length = find::header(&self.waiting, "Content-Length", b'l');
            let body = length.map_or(Some(0), |length| length.parse::<usize>().ok());
            let whole = body.and_then(|body| body.checked_add(head + 4));
            match whole.filter(|whole| *whole <= STREAM_BYTES_MAX) {
                None => self.lose(),
                Some(whole) if whole <= self.waiting.len() => {
                    let rest = self.waiting.split_off(whole);
                    messages.push(std::mem::replace(&mut self.waiting, rest));
                    continue;
                }
                Some(_) => {}
            }
            break;
        }
        if self.waiting.len() > STREAM_BYTES_MAX {
            self.lose();
        }
        messages
    }

    fn lose(&mut self) {
        self.lost = true;
        self.waiting = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let first = "BYE sip:a SIP/2.0\r\nl: 3\r\n\r\nabc";
        let second = "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";
        let stream = format!("\r\n\r\n{first}\r\n{second}");
        for piece in [1, 5, 1_000] {
            let mut cutter = Cutter::default();
            let pieces = stream.as_bytes().chunks(piece);
            let messages: Vec<_> = pieces.flat_map(|piece| cutter.push(piece)).collect();
            assert_eq!(messages, [first.as_bytes(), second.as_bytes()]);
            assert!(cutter.waiting.is_empty());
        }
    }

    #[test]
    fn a_stream_without_an_end_is_given_up() {
        let mut cutter = Cutter::default();
        for _ in 0..=STREAM_BYTES_MAX / 1_000 {
            assert!(cutter.push(&[b'x'; 1_000]).is_empty());
        }
        assert!(cutter.lost && cutter.waiting.is_empty());
        for bad in [
            "Content-Length: -1",
            "Content-Length: 99999999999999999999",
            "l: 900000",
        ] {
            let mut cutter = Cutter::default();
            assert!(
                cutter
                    .push(format!("BYE x SIP/2.0\r\n{bad}\r\n\r\n").as_bytes())
                    .is_empty()
            );
            assert!(cutter.lost, "{bad}");
        }
    }
}
