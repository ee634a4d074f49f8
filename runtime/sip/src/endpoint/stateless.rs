//! Answers that leave nothing behind (RFC 3261 §8.2.7).

use super::Endpoint;
use super::receive::Arrival;
use super::wire::{self, Reply};
use crate::border::Hop;
use crate::limits::RETRY_AFTER_S;
use crate::message::{Method, Request, Response};

/// The status for a method that nothing here serves (§8.2.1, §21.5.2): 405 if its name is known,
/// 501 if not.
pub(super) fn unsupported(method: &Method) -> Option<u16> {
    match method {
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Info
        | Method::Update
        | Method::Prack
        | Method::Refer
        | Method::Notify => None,
        Method::Subscribe | Method::Message | Method::Publish => Some(405),
        Method::Other(_) => Some(501),
    }
}

impl Endpoint {
    /// Refuses a request without a transaction. A retransmission gets the same answer, tag
    /// included, and the ACK of a refused INVITE is ignored.
    pub(super) fn refuse(
        &mut self,
        arrival: &Arrival,
        status: u16,
        reason: Option<&str>,
        headers: &[(&str, &str)],
    ) {
        debug_assert!(status >= 200, "a final answer");
        if arrival.request.method == Method::Ack {
            return;
        }
        let head = wire::head(&arrival.request, &arrival.via, &stateless_tag(arrival));
        let bytes = Reply {
            status,
            reason,
            head: &head,
        }
        .write(headers.iter().copied(), b"");
        self.transmit(arrival.reply_hop(), bytes);
    }

    /// Refuses a request whose `Via` does not tell where to: it is sent back to its source.
    pub(super) fn refuse_sender(
        &mut self,
        seen: Hop,
        request: &Request,
        status: u16,
        reason: &'static str,
    ) {
        if request.method != Method::Ack {
            let response = Response::to_request(request, status).with_reason(reason);
            self.transmit(seen, response.to_bytes().into());
        }
    }

    /// Refuses a request because a table is full (§21.5.4).
    pub(super) fn overload(&mut self, arrival: &Arrival) {
        self.tally.overloads += 1;
        self.refuse(
            arrival,
            503,
            None,
            &[("Retry-After", &RETRY_AFTER_S.to_string())],
        );
    }

    /// Says what we can do (§11.2). Nothing changes by it, so it needs no transaction.
    pub(super) fn on_options(&mut self, arrival: &Arrival) {
        let head = wire::head(&arrival.request, &arrival.via, &stateless_tag(arrival));
        let bytes = Reply::new(200, &head).write(self.abilities(), b"");
        self.transmit(arrival.reply_hop(), bytes);
    }

    /// Headers of an answer to OPTIONS.
    pub(super) fn abilities(&self) -> [(&'static str, &str); 4] {
        [
            ("Allow", wire::ALLOW),
            ("Accept", wire::SDP),
            ("Supported", wire::SUPPORTED),
            ("Server", &self.config.product),
        ]
    }
}

/// The same for each copy of a request (§8.2.7), and nothing a peer could use: it cannot be turned
/// back into the secret it was made with.
fn stateless_tag(arrival: &Arrival) -> String {
    format!("{:016x}", arrival.key.bits())
}
