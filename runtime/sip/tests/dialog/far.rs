//! A far end at 192.0.2.9 whose messages are written by hand.

use jackfield_sip::message::{HeaderName, Message, Method, Request};
use jackfield_sip::{Action, DialogId, Hop, Transport};

use crate::ANN;
use crate::world::{SDP, World, read};

pub(crate) const ADDRESS: &str = "192.0.2.9:5060";

/// The far end's half of a dialog with ann.
pub(crate) struct Far {
    /// `From` of the far end's requests.
    local: String,
    /// `To` of them.
    remote: String,
    call_id: String,
    cseq: u32,
}

impl Far {
    /// Calls ann with further headers. The caller makes ann answer, then [`Self::ack`].
    pub(crate) fn call(world: &mut World, headers: &str) -> Self {
        let mut far = Self {
            local: "<sip:far@192.0.2.9>;tag=far".into(),
            remote: "<sip:ann@demo>".into(),
            call_id: "call".into(),
            cseq: 0,
        };
        far.request(world, "INVITE", headers, "v=0\n");
        far
    }

    /// Calls ann, who answers with 200 at once.
    pub(crate) fn talking(world: &mut World, headers: &str) -> (Self, DialogId) {
        let mut far = Self::call(world, headers);
        let ann = world.incoming(ANN);
        world.respond(ANN, ann, 200);
        far.learn(world);
        far.ack(world);
        (far, ann)
    }

    /// Ann calls, and the far end answers with 200 and further headers.
    pub(crate) fn called(world: &mut World, headers: &str) -> (Self, DialogId) {
        let hop = Hop {
            transport: Transport::Udp,
            remote: ADDRESS.parse().unwrap(),
            conn: None,
        };
        let ann = world.call_by(ANN, hop, None, &[]);
        let far = Self::rung(world);
        far.answer(world, 200, headers, "v=0\n");
        (far, ann)
    }

    /// The dialog that ann's INVITE offers.
    pub(crate) fn rung(world: &World) -> Self {
        let invite = last(world);
        let value = |name| invite.headers.first(&name).unwrap().to_owned();
        Self {
            local: format!("{};tag=far", value(HeaderName::To)),
            remote: value(HeaderName::From),
            call_id: value(HeaderName::CallId),
            cseq: 0,
        }
    }

    /// Another fork of the same INVITE.
    pub(crate) fn fork(&self, tag: &str) -> Self {
        Self {
            local: self.local.replace(";tag=far", &format!(";tag={tag}")),
            remote: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq: 0,
        }
    }

    /// Learns ann's tag from her last answer.
    pub(crate) fn learn(&mut self, world: &World) {
        let bytes = &world.outside.last().expect("ann said something").1;
        let to = read(bytes)
            .headers()
            .first(&HeaderName::To)
            .unwrap()
            .to_owned();
        self.remote = to;
    }

    pub(crate) fn ack(&mut self, world: &mut World) {
        self.cseq -= 1;
        self.request(world, "ACK", "", "");
    }

    /// Sends a request with further headers, each a line.
    pub(crate) fn request(&mut self, world: &mut World, method: &str, headers: &str, body: &str) {
        self.cseq += 1;
        let body = body.replace('\n', "\r\n");
        let (local, remote, call_id, cseq) = (&self.local, &self.remote, &self.call_id, self.cseq);
        let content = if body.is_empty() || headers.contains("Content-Type") {
            ""
        } else {
            "Content-Type: application/sdp\n"
        };
        let head = format!(
            "{method} sip:ann@192.0.2.1 SIP/2.0\n\
             Via: SIP/2.0/UDP {ADDRESS};branch=z9hG4bK{method}{cseq}\n\
             Max-Forwards: 70\nFrom: {local}\nTo: {remote}\nCall-ID: {call_id}\n\
             CSeq: {cseq} {method}\nContact: <sip:far@{ADDRESS}>\n{headers}{content}\
             Content-Length: {}\n\n",
            body.len()
        );
        world.inject(
            ANN,
            ADDRESS,
            &format!("{head}{}", body.replace("\r\n", "\n")),
        );
    }

    /// Sends the last request again, which was this one.
    pub(crate) fn again(&mut self, world: &mut World, method: &str, headers: &str, body: &str) {
        self.cseq -= 1;
        self.request(world, method, headers, body);
    }

    /// Answers ann's last request.
    pub(crate) fn answer(&self, world: &mut World, status: u16, headers: &str, body: &str) {
        self.answer_to(world, &last(world), status, headers, body);
    }

    pub(crate) fn answer_to(
        &self,
        world: &mut World,
        request: &Request,
        status: u16,
        headers: &str,
        body: &str,
    ) {
        let value = |name| request.headers.first(&name).unwrap();
        let contact = if status < 300 && !headers.contains("Contact") {
            "Contact: <sip:far@192.0.2.9:5060>\n"
        } else {
            ""
        };
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\n"
        };
        let text = format!(
            "SIP/2.0 {status} {}\nVia: {}\nFrom: {}\nTo: {}\nCall-ID: {}\nCSeq: {}\n\
             {contact}{headers}{content}Content-Length: {}\n\n{body}",
            jackfield_sip::message::reason_phrase(status),
            value(HeaderName::Via),
            value(HeaderName::From),
            self.local,
            value(HeaderName::CallId),
            value(HeaderName::CSeq),
            body.replace('\n', "\r\n").len(),
        );
        world.inject(ANN, ADDRESS, &text);
    }
}

/// The last request ann sent to the far end.
pub(crate) fn last(world: &World) -> Request {
    let requests = world.outside.iter().rev().map(|(_, bytes)| read(bytes));
    requests
        .filter_map(|message| match message {
            Message::Request(request) if request.method != Method::Ack => Some(request),
            Message::Request(_) | Message::Response(_) => None,
        })
        .next()
        .expect("ann asked for something")
}

/// A header of the last message ann sent to the far end.
pub(crate) fn said(world: &World, name: &str) -> String {
    let bytes = &world.outside.last().expect("ann said something").1;
    let name = HeaderName::parse(name).unwrap();
    let message = read(bytes);
    let values: Vec<&str> = message.headers().all(&name).collect();
    values.join(" | ")
}

/// What ann's last message says, in lines as on the wire.
pub(crate) fn line(world: &World) -> String {
    let bytes = &world.outside.last().expect("ann said something").1;
    read(bytes).first_line()
}

/// Ann answers with SDP.
pub(crate) fn accept(world: &mut World, dialog: DialogId) {
    let (headers, body) = (Vec::new(), SDP.to_vec());
    let action = Action::Respond {
        dialog,
        status: 200,
        headers,
        body,
    };
    world.act(ANN, action);
}
