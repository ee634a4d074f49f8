//! Keeps a phone's ladder.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sip::ConnId;
use sip::message::{Frame, Framer, Message, Method};
use vocab::Mono;

use super::{Arrow, LadderLine};

/// Lines kept: a call makes some twenty, a lossy one a few hundred.
const LINES_MAX: usize = 10_000;

/// The messages of a phone, from datagrams and streams.
pub(super) struct Trace {
    /// What times count from: the last call or registration.
    began: Mono,
    /// Cut what streams bring into messages. One for each stream of the endpoint, which closes
    /// those beyond its bound.
    framers: BTreeMap<ConnId, Framer>,
    lines: Vec<LadderLine>,
}

impl Trace {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            began: now,
            framers: BTreeMap::new(),
            lines: Vec::new(),
        }
    }

    /// Times count from now on.
    pub(super) fn restart(&mut self, now: Mono) {
        self.began = now;
    }

    /// All lines so far.
    pub(super) fn lines(&self) -> &[LadderLine] {
        &self.lines
    }

    /// A message leaves.
    pub(super) fn sent(&mut self, now: Mono, bytes: &[u8]) -> Option<LadderLine> {
        let line = LadderLine::new(Arrow::Sent, self.age(now), bytes)?;
        self.keep(&line);
        Some(line)
    }

    /// Something arrives; gives the lines it makes. `idle` tells that there is no call, so that an
    /// INVITE begins one.
    pub(super) fn received(
        &mut self,
        now: Mono,
        input: &sip::Input<'_>,
        idle: bool,
    ) -> Vec<LadderLine> {
        match input {
            sip::Input::Datagram { bytes, .. } => {
                if idle && bytes.starts_with(b"INVITE ") {
                    self.began = now;
                }
                let line = LadderLine::new(Arrow::Received, self.age(now), bytes);
                line.inspect(|line| self.keep(line)).into_iter().collect()
            }
            sip::Input::Stream { conn, bytes, .. } => self.stream(now, *conn, bytes, idle),
            sip::Input::StreamClosed { conn } => {
                self.closed(*conn);
                Vec::new()
            }
            sip::Input::StreamOpened { .. }
            | sip::Input::StreamBroken { .. }
            | sip::Input::SendFailed { .. }
            | sip::Input::Action(_)
            | sip::Input::Timeout => Vec::new(),
        }
    }

    /// A stream is gone.
    pub(super) fn closed(&mut self, conn: ConnId) {
        self.framers.remove(&conn);
    }

    fn stream(&mut self, now: Mono, conn: ConnId, bytes: &[u8], idle: bool) -> Vec<LadderLine> {
        let mut lines = Vec::new();
        let mut framer = self.framers.remove(&conn).unwrap_or_default();
        framer.push(bytes);
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(message))) => {
                    let invite = matches!(&message, Message::Request(request)
                        if request.method == Method::Invite);
                    if idle && invite {
                        self.began = now;
                    }
                    let line = LadderLine::of(Arrow::Received, self.age(now), &message);
                    self.keep(&line);
                    lines.push(line);
                }
                Ok(Some(Frame::Bad(_) | Frame::Ping)) => {}
                Ok(None) => break,
                // The endpoint closes such a stream.
                Err(_) => return lines,
            }
        }
        self.framers.insert(conn, framer);
        lines
    }

    fn keep(&mut self, line: &LadderLine) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(line.clone());
        }
    }

    fn age(&self, now: Mono) -> Duration {
        now.since(self.began)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("lines", &self.lines.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_stream_are_lines_however_they_are_cut() {
        let reply = |status: &str| {
            let lines = [
                &*format!("SIP/2.0 {status}"),
                "Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1",
                "From: <sip:a@b>;tag=1",
                "To: <sip:c@d>;tag=2",
                "Call-ID: x",
                "CSeq: 1 INVITE",
                "Content-Length: 0",
            ];
            lines.join("\r\n") + "\r\n\r\n"
        };
        let bytes = reply("180 Ringing") + &reply("200 OK");
        for piece in [1, 7, 1_000] {
            let mut trace = Trace::new(Mono(0));
            let remote = "192.0.2.1:5060".parse().unwrap();
            for bytes in bytes.as_bytes().chunks(piece) {
                let conn = ConnId(1);
                trace.received(
                    Mono(0),
                    &sip::Input::Stream {
                        conn,
                        remote,
                        bytes,
                    },
                    false,
                );
            }
            let texts: Vec<_> = trace.lines().iter().map(|line| &*line.text).collect();
            assert_eq!(texts, ["180 Ringing (INVITE)", "200 OK (INVITE)"]);
        }
    }

    #[test]
    fn a_call_that_comes_in_begins_at_zero() {
        let mut trace = Trace::new(Mono(0));
        let remote = "192.0.2.1:5060".parse().unwrap();
        let (at, bytes) = (Mono(7_000_000_000), &b"INVITE sip:a@b SIP/2.0\r\n\r\n"[..]);
        for (idle, age) in [(true, 0), (false, 0)] {
            let input = sip::Input::Datagram { remote, bytes };
            let lines = trace.received(at, &input, idle);
            assert_eq!(lines[0].at, Duration::from_secs(age));
        }
        let line = trace.sent(
            at + Duration::from_secs(2),
            b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n",
        );
        assert_eq!(line.map(|line| line.at), Some(Duration::from_secs(2)));
    }
}
