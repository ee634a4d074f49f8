//! A phone or carrier that the test moves step by step: for what a ladder cannot tell, since it waits
//! for what happens elsewhere, and for phones that are called over a connection of their own.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, ensure};

use super::raw::{Raw, status};
use super::scenario::header;

/// Somebody who is called, once.
#[derive(Debug)]
pub struct Talker {
    raw: Raw,
    name: String,
    /// Requests that came; one that comes again is no news.
    seen: Vec<String>,
    /// The INVITE of its call.
    invite: String,
    cseq: u32,
}

impl Talker {
    /// Waits for a call at this end; `name` makes its tag.
    pub fn new(name: &str, raw: Raw) -> Self {
        Self {
            raw,
            name: name.to_owned(),
            seen: Vec::new(),
            invite: String::new(),
            cseq: 0,
        }
    }

    /// Whether nobody has asked anything new of it: a request that was answered late comes again.
    ///
    /// # Errors
    /// If its socket fails.
    pub fn is_left_alone(&mut self) -> anyhow::Result<bool> {
        while let Some(message) = self.raw.received()? {
            if !self.seen.contains(&message) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next request, which must be of this method.
    ///
    /// # Errors
    /// If another one comes, or none.
    pub fn expect(&mut self, method: &str) -> anyhow::Result<String> {
        loop {
            let message = self.raw.receive()?;
            if status(&message).is_some() || self.seen.contains(&message) {
                continue;
            }
            ensure!(
                message.starts_with(&format!("{method} ")),
                "{}: not {method} but {message}",
                self.name
            );
            if method == "INVITE" && self.invite.is_empty() {
                self.invite.clone_from(&message);
            }
            self.seen.push(message.clone());
            return Ok(message);
        }
    }

    /// Answers its INVITE.
    ///
    /// # Errors
    /// If nothing can be sent.
    pub fn answer(&mut self, status: &str, more: &str, body: &str) -> anyhow::Result<()> {
        self.reply(&self.invite.clone(), status, more, body)
    }

    /// Answers a request: `status` with its reason, further headers each with its line end.
    ///
    /// # Errors
    /// If nothing can be sent.
    pub fn reply(
        &mut self,
        request: &str,
        status: &str,
        more: &str,
        body: &str,
    ) -> anyhow::Result<()> {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in request.lines().filter(|line| line.starts_with("Via:")) {
            text += &format!("{via}\r\n");
        }
        for name in ["From", "To", "Call-ID", "CSeq"] {
            let value = header(request, name).with_context(|| format!("no {name}: {request}"))?;
            let tag = match name {
                "To" if !value.contains(";tag=") => format!(";tag={}", self.name),
                _ => String::new(),
            };
            text += &format!("{name}: {value}{tag}\r\n");
        }
        let content = content(body);
        text += &format!("{}{more}{content}{body}", self.contact());
        self.raw.send(text)
    }

    /// Sends a request within its call; gives the final answer. What else comes until then is lost.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn ask(&mut self, method: &str, more: &str, body: &str) -> anyhow::Result<String> {
        self.cseq += 1;
        let cseq = self.cseq;
        let of = |name| header(&self.invite, name).context("it was not called yet");
        let (from, to, call_id) = (of("To")?, of("From")?, of("Call-ID")?.to_owned());
        let contact = of("Contact")?;
        let target = contact.split(['<', '>']).nth(1).unwrap_or(contact);
        let (way, own, name) = (self.raw.transport(), self.raw.own, &self.name);
        let text = format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/{way} {own};branch=z9hG4bK{name}x{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: {from};tag={name}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\n{}{more}{}{body}",
            self.contact(),
            content(body)
        );
        self.raw.send(text)?;
        self.raw.answer(&call_id, method)
    }

    /// Hangs up.
    ///
    /// # Errors
    /// If that is not answered with 200.
    pub fn hang_up(&mut self) -> anyhow::Result<()> {
        let answer = self.ask("BYE", "", "")?;
        ensure!(status(&answer) == Some(200), "{}: {answer}", self.name);
        Ok(())
    }

    /// Is hung up on.
    ///
    /// # Errors
    /// If something else comes, or nothing.
    pub fn is_hung_up_on(&mut self) -> anyhow::Result<()> {
        let bye = self.expect("BYE")?;
        self.reply(&bye, "200 OK", "", "")
    }

    /// Where its INVITE wants audio.
    ///
    /// # Errors
    /// If it does not say.
    pub fn audio(&self) -> anyhow::Result<SocketAddr> {
        let value = |start: &str| {
            let found = self.invite.lines().find_map(|it| it.strip_prefix(start));
            found.and_then(|rest| rest.split_whitespace().next())
        };
        let ip: IpAddr = value("c=IN IP4 ").context("an address")?.parse()?;
        let port = value("m=audio ").context("a port")?.parse()?;
        Ok(SocketAddr::new(ip, port))
    }

    fn contact(&self) -> String {
        let (own, way) = (self.raw.own, self.raw.transport());
        format!("Contact: <sip:{own};transport={way}>\r\n")
    }
}

/// The headers of a body, and the line between.
fn content(body: &str) -> String {
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!("{kind}Content-Length: {}\r\n\r\n", body.len())
}

/// µ-law audio and keys at this port of loopback.
pub fn sdp(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}
