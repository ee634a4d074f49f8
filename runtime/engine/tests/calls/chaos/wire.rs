//! A network that loses, doubles and delays, and somebody on it who writes re-INVITEs by hand.

use std::sync::Arc;

use sip::Action;
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

    /// The crowd wants something within one of its calls.
    pub(super) fn wish_within(&mut self) {
        // Most of the others are over.
        let last = self.dialogs.len().saturating_sub(12);
        let [dialog, other] = [(); 2].map(|()| pick(&mut self.rng, &self.dialogs[last..]));
        let (Some(dialog), Some(other)) = (dialog, other) else {
            return;
        };
        let (headers, body) = (Vec::new(), self.body().into_bytes());
        let action = match self.below(6) {
            0 => Action::Reinvite {
                dialog,
                headers,
                body,
            },
            1 => Action::Update {
                dialog,
                headers,
                body,
            },
            2 => Action::Info {
                dialog,
                content_type: "application/dtmf-relay".into(),
                body: b"Signal=5\r\n".to_vec(),
            },
            _ => {
                let to = self.crowd.refer_to(other);
                let to = to.unwrap_or_else(|| "sip:somebody@192.0.2.9".into());
                Action::Refer {
                    dialog,
                    to,
                    headers,
                }
            }
        };
        self.act(action);
    }

    /// The crowd answers what it was asked within a call, if only by hanging up.
    pub(super) fn answer_within(&mut self) {
        let body = self.body().into_bytes();
        if let Some(dialog) = self.offers.pop() {
            let status = self.one_of(&[200, 200, 200, 488, 491, 500]).expect("some");
            self.act(Action::Respond {
                dialog,
                status,
                headers: Vec::new(),
                body,
            });
        }
        if let Some(dialog) = pick(&mut self.rng, &self.referrals) {
            let status = self.one_of(&[202, 202, 405]).expect("some");
            self.act(Action::AnswerRefer { dialog, status });
            let status = self.one_of(&[180, 200, 486]).expect("some");
            self.act(Action::Notify { dialog, status });
        }
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
