//! A call's messages as a person reads them.

use std::fmt;
use std::time::Duration;

use sip::message::Message;

/// Which way a message went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrow {
    /// From the phone.
    Sent,
    /// To the phone.
    Received,
}

/// One message. `Display` gives one line, as in `   0.021  <── 200 OK (INVITE)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LadderLine {
    /// Which way.
    pub arrow: Arrow,
    /// Since the call began.
    pub at: Duration,
    /// The message in a few words, without private values.
    pub text: String,
}

impl LadderLine {
    /// A line from a message.
    pub(super) fn of(arrow: Arrow, at: Duration, message: &Message) -> Self {
        let text = match message {
            Message::Request(request) => request.method.to_string(),
            Message::Response(response) => {
                let line = format!("{} {}", response.status, response.reason);
                match response.headers.cseq() {
                    Ok(cseq) => format!("{line} ({})", cseq.method),
                    Err(_) => line,
                }
            }
        };
        Self {
            arrow,
            at,
            text: plain(&text),
        }
    }

    /// A line from a datagram; `None` for keep-alives and what is no message at all. A broken
    /// message has one too, as far as its first line can be read.
    pub fn new(arrow: Arrow, at: Duration, bytes: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(bytes.split(|&b| b == b'\r' || b == b'\n').next()?).ok()?;
        let cseq = || {
            let text = String::from_utf8_lossy(bytes);
            let line = text
                .lines()
                .find(|line| line.to_ascii_lowercase().starts_with("cseq:"))?;
            line.split_whitespace().last().map(str::to_owned)
        };
        let text = if let Some(rest) = head.strip_prefix("SIP/2.0 ") {
            format!("{rest} ({})", cseq()?)
        } else {
            let mut words = head.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some(method), Some(_), Some("SIP/2.0")) => method.to_owned(),
                _ => return None,
            }
        };
        Some(Self {
            arrow,
            at,
            text: plain(&text),
        })
    }
}

/// What a far end wrote must not steer the terminal it is shown on.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

impl fmt::Display for LadderLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.arrow {
            Arrow::Sent => "──>",
            Arrow::Received => "<──",
        };
        write!(f, "{:>8.3}  {arrow} {}", self.at.as_secs_f64(), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_lines() {
        let at = Duration::from_millis(21);
        let line =
            |bytes: &[u8]| LadderLine::new(Arrow::Received, at, bytes).map(|l| l.to_string());
        assert_eq!(
            line(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n").as_deref(),
            Some("   0.021  <── 200 OK (INVITE)")
        );
        assert_eq!(
            line(b"BYE sip:1@h SIP/2.0\r\nCSeq: 2 BYE\r\n\r\n").as_deref(),
            Some("   0.021  <── BYE")
        );
        assert_eq!(
            line(b"SIP/2.0 200 \x1b[2J\r\nCSeq: 1 INVITE\r\n\r\n").as_deref(),
            Some("   0.021  <── 200  [2J (INVITE)")
        );
        assert_eq!(line(b"\r\n\r\n"), None);
        assert_eq!(line(b"\xff\xff"), None);
    }
}
