//! A far end whose every message the test writes by hand.

use std::cell::RefCell;
use std::net::SocketAddr;

use sip::message::{HeaderName, Message};

use crate::world::World;

/// One dialog of it.
pub(crate) struct Far {
    pub(crate) at: SocketAddr,
    pub(crate) cseq: u32,
    pub(crate) call_id: String,
    pub(crate) tag: String,
    /// The engine's tag, once it is known.
    pub(crate) to_tag: Option<String>,
    branch: u32,
    /// What it answered last.
    asked: RefCell<Option<Message>>,
}

impl Far {
    pub(crate) fn new(world: &mut World, name: &str) -> Self {
        Self::at(world, name, "192.0.2.50:5060")
    }

    /// At an address from which the test may have taken a phone.
    pub(crate) fn at(world: &mut World, name: &str, at: &str) -> Self {
        let at = world.far(name, at);
        let (call_id, tag) = (format!("call-of-{name}"), format!("tag-of-{name}"));
        Self {
            at,
            cseq: 1,
            call_id,
            tag,
            to_tag: None,
            branch: 0,
            asked: RefCell::new(None),
        }
    }

    /// A request; an ACK repeats the number of the last INVITE and takes a branch of its own, a
    /// CANCEL both.
    pub(crate) fn request(&mut self, method: &str, body: &str) -> String {
        if method != "CANCEL" {
            self.branch += 1;
        }
        let Self {
            at,
            cseq,
            call_id,
            tag,
            branch,
            ..
        } = self;
        let to = match &self.to_tag {
            Some(to_tag) => format!("<sip:1000@demo>;tag={to_tag}"),
            None => "<sip:1000@demo>".to_owned(),
        };
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} sip:1000@192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {at};branch=z9hG4bK-far-{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:far@{at}>;tag={tag}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:far@{at}>\r\n\
             {content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    pub(crate) fn send(&mut self, world: &mut World, method: &str, body: &str) {
        let text = self.request(method, body);
        world.send(self.at, &text);
    }

    /// Acknowledges a refusal: with the branch of its INVITE (RFC 3261 §17.1.1.3).
    pub(crate) fn give_in(&mut self, world: &mut World) {
        self.branch -= 1;
        self.send(world, "ACK", "");
    }

    /// The next request in the dialog has the next number.
    pub(crate) fn next(&mut self) {
        self.cseq += 1;
    }

    /// The next final answer that arrived, whose tag is taken on. Gives its status and body.
    pub(crate) fn answer(&mut self, world: &mut World) -> (u16, String) {
        while let Some(message) = world.received(self.at) {
            if let Message::Response(response) = message
                && response.status >= 200
            {
                let to = response.headers.first(&HeaderName::To).unwrap_or_default();
                self.to_tag = to.split_once(";tag=").map(|(_, tag)| tag.to_owned());
                let body = String::from_utf8(response.body.to_vec()).expect("SDP is text");
                return (response.status, body);
            }
        }
        panic!("no final answer came");
    }

    /// The answers in full, for their headers.
    pub(crate) fn header(world: &mut World, at: SocketAddr, name: &HeaderName) -> Option<String> {
        let mut value = None;
        while let Some(message) = world.received(at) {
            value = message.headers().first(name).map(str::to_owned).or(value);
        }
        value
    }

    /// Answers the request that arrived last, with this status and body.
    pub(crate) fn reply(&self, world: &mut World, method: &str, status: &str, body: &str) {
        let request = std::iter::from_fn(|| world.received(self.at))
            .filter(|message| matches!(message, Message::Request(r) if r.method.as_str() == method))
            .last()
            .unwrap_or_else(|| panic!("no {method} came"));
        self.answer_request(world, request, status, body);
    }

    /// Answers this request.
    pub(crate) fn answer_request(
        &self,
        world: &mut World,
        request: Message,
        status: &str,
        body: &str,
    ) {
        let text = self.answer_to(&request, status, body);
        self.asked.replace(Some(request));
        world.send(self.at, &text);
    }

    /// Answers once more what was answered last.
    pub(crate) fn again(&self, world: &mut World, status: &str, body: &str) {
        let asked = self.asked.borrow();
        let text = self.answer_to(asked.as_ref().expect("it was answered"), status, body);
        world.send(self.at, &text);
    }

    /// A header of what was answered last.
    pub(crate) fn header_of_asked(&self, name: &HeaderName) -> Option<String> {
        let asked = self.asked.borrow();
        let value = asked.as_ref()?.headers().first(name)?;
        Some(value.to_owned())
    }

    /// Takes on the tag of an answer.
    pub(crate) fn take_tag(&mut self, answer: &Message) {
        let to = answer.headers().first(&HeaderName::To).unwrap_or_default();
        self.to_tag = to.split_once(";tag=").map(|(_, tag)| tag.to_owned());
    }

    /// An answer to a request.
    fn answer_to(&self, request: &Message, status: &str, body: &str) -> String {
        let header = |name| {
            request
                .headers()
                .first(&name)
                .unwrap_or_default()
                .to_owned()
        };
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let to = header(HeaderName::To);
        let to = if to.contains(";tag=") {
            to
        } else {
            format!("{to};tag={}", self.tag)
        };
        format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:far@{}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            header(HeaderName::Via),
            header(HeaderName::From),
            header(HeaderName::CallId),
            header(HeaderName::CSeq),
            self.at,
            body.len()
        )
    }
}

/// A description with these formats and this direction, raised to a version.
pub(crate) fn sdp(version: u32, formats: &str, direction: &str) -> String {
    format!(
        "v=0\r\no=far 77 {version} IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\n\
         m=audio 6000 RTP/AVP {formats}\r\na={direction}\r\n"
    )
}

/// The value of a description's line, without what it begins with.
pub(crate) fn line<'a>(sdp: &'a str, start: &str) -> &'a str {
    let found = sdp.lines().find_map(|line| line.strip_prefix(start));
    found.unwrap_or_else(|| panic!("no {start} in {sdp}"))
}
