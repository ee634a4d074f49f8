//! REGISTER (RFC 3261 §10.3).

use vocab::Now;

use super::receive::Arrival;
use super::wire::{self, Reply};
use super::{Endpoint, route};
use crate::auth::Verdict as Proof;
use crate::border::{Hop, Transport};
use crate::message::{Contacts, HeaderError, Headers};
use crate::registrar::{Refused, Registration};

impl Endpoint {
    pub(super) fn on_register(&mut self, now: Now, arrival: &Arrival) {
        if self.transactions() >= self.limits.transactions {
            return self.overload(arrival);
        }
        let user = match self.prove(now, arrival) {
            Proof::Accepted { user } => user,
            proof
            @ (Proof::Absent | Proof::Stale | Proof::Refused { .. } | Proof::Malformed(_)) => {
                return self.reject(now, arrival, proof);
            }
        };
        let (status, reason, headers) = self.registered(now, arrival, &user);
        // The copy of a request that changed something must not be judged again: its number is no
        // longer new and its nonce count used up.
        let tag = self.token();
        let head = wire::head(&arrival.request, &arrival.via, &tag);
        let reply = Reply {
            status,
            reason,
            head: &head,
        };
        let bytes = reply.write(
            headers.iter().map(|(name, value)| (*name, value.as_str())),
            b"",
        );
        self.add_server(now, arrival, bytes);
        self.tell_registrations();
    }

    /// The answer to a REGISTER whose sender is known.
    fn registered(
        &mut self,
        now: Now,
        arrival: &Arrival,
        user: &str,
    ) -> (u16, Option<&'static str>, Vec<(&'static str, String)>) {
        let headers = arrival.headers();
        let Ok((named, contacts, cseq)) = read(headers) else {
            self.tally.malformed += 1;
            return (400, Some("Bad Contact"), Vec::new());
        };
        if named.as_deref() != Some(user) {
            // Nobody registers for somebody else (§10.3 step 4).
            return (403, None, Vec::new());
        }
        let registration = Registration {
            user,
            contacts: &contacts,
            // A bad value reads as the default (§10.2.1.1).
            expires: headers.expires().ok().flatten(),
            call_id: headers.call_id().unwrap_or_default(),
            cseq,
            hop: contact_hop(arrival, &contacts),
        };
        match self.registrar.register(now, &registration) {
            Ok(()) => {
                let list = self.registrar.listing(now, user);
                let contacts = list.into_iter().map(|value| ("Contact", value));
                let server = ("Server", self.config.product.clone());
                (200, None, contacts.chain([server]).collect())
            }
            Err(Refused::Bad(why)) => (400, Some(why), Vec::new()),
            Err(Refused::TooBrief { shortest }) => (
                423,
                None,
                vec![("Min-Expires", shortest.as_secs().to_string())],
            ),
            Err(Refused::OutOfOrder) => (500, Some("CSeq Out Of Order"), Vec::new()),
        }
    }
}

/// `To` user, contacts and number of a REGISTER.
fn read(headers: &Headers) -> Result<(Option<String>, Contacts, u32), HeaderError> {
    let to = headers.to()?;
    let named = to.uri.sip().and_then(|uri| uri.user_decoded());
    Ok((named, headers.contacts()?, headers.cseq()?.number))
}

/// Where requests for the contact go: over UDP to where it was seen, since a phone's own idea of
/// its address is wrong behind NAT; over TCP and TLS through its stream, and when that is gone to the
/// address it wrote.
fn contact_hop(arrival: &Arrival, contacts: &Contacts) -> Hop {
    let seen = arrival.seen;
    match (seen.transport, contacts) {
        (Transport::Tcp | Transport::Tls, Contacts::List(list))
            if !arrival.natted && list.len() == 1 =>
        {
            let hop = route::dialog_hop(&[], &list[0].uri.to_string(), seen);
            if hop.transport == seen.transport {
                hop
            } else {
                seen
            }
        }
        // A browser can be reached over its own connection only, whatever it wrote (RFC 7118 §5).
        (Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss, _) => {
            seen
        }
    }
}
