//! A network that loses, doubles and delays, and somebody on it who writes re-INVITEs by hand.

use std::sync::Arc;

use sip::message::{self, HeaderName, Message};

use super::{CROWD, Chaos, Parcel, pick};
use crate::world::ms;

impl Chaos {
    /// A datagram is under way: lost, doubled or late, as it comes.
    pub(super) fn datagram(&mut self, bytes: Arc<[u8]>, parcel: fn(Arc<[u8]>) -> Parcel) {
        let copies = match (self.calm, self.below(100)) {
            (false, 0..6) => 0,
            (false, 6..10) => 2,
            (..) => 1,
        };
        for _ in 0..copies {
            let late = if self.calm { 0 } else { self.rng.below(100) };
            self.post(ms(5 + late), parcel(bytes.clone()));
        }
    }

    /// Writes a re-INVITE by hand, out of an ACK of the crowd.
    pub(super) fn reinvite(&mut self) {
        let Some(ack) = pick(&mut self.rng, &self.acks) else {
            return;
        };
        let body = self.body();
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        // The crowd's own requests in the dialog have low numbers.
        self.last += 1;
        let invite = rewrite(&ack, "INVITE", 1_000 + self.last);
        let length = format!("{content}Content-Length: {}\r\n\r\n{body}", body.len());
        let invite = invite.replace("Content-Length: 0\r\n\r\n", &length);
        self.datagram(invite.into_bytes().into(), Parcel::ToEngine);
    }

    /// Acknowledges an answer to a re-INVITE, usually.
    pub(super) fn acknowledge(&mut self, bytes: &[u8]) {
        let Ok(Message::Response(response)) = message::parse(bytes) else {
            return;
        };
        let number = response
            .headers
            .cseq()
            .map(|cseq| cseq.number)
            .unwrap_or_default();
        if !(200..300).contains(&response.status) || number < 1_000 || self.below(4) == 0 {
            return;
        }
        let call_id = response
            .headers
            .first(&HeaderName::CallId)
            .unwrap_or_default()
            .to_owned();
        let Some(ack) = self.acks.iter().find(|ack| ack.contains(&call_id)).cloned() else {
            return;
        };
        let ack = rewrite(&ack, "ACK", u64::from(number));
        self.datagram(ack.into_bytes().into(), Parcel::ToEngine);
    }
}

/// Another request in the dialog of an ACK.
fn rewrite(ack: &str, method: &str, number: u64) -> String {
    let mut text = String::new();
    for line in ack.split_inclusive("\r\n") {
        if let Some(rest) = line.strip_prefix("ACK ") {
            text += &format!("{method} {rest}");
        } else if line.starts_with("CSeq: ") {
            text += &format!("CSeq: {number} {method}\r\n");
            text += &format!("Contact: <sip:{CROWD}>\r\n");
        } else if line.starts_with("Via: ") {
            text += &format!("Via: SIP/2.0/UDP {CROWD};branch=z9hG4bK-{method}-{number};rport\r\n");
        } else {
            text += line;
        }
    }
    text
}
