//! REGISTER (RFC 3261 §10.3).

use vocab::{Now, Wall};

use super::Endpoint;
use super::inbound::proven;
use super::receive::Arrival;
use super::wire::{self, Reply};
use crate::auth::Verdict as Proof;
use crate::limits::{CONTACT_BYTES_MAX, FLOW_TIMER_S, PATHS_MAX};
use crate::message::{Contacts, HeaderError, HeaderName, Headers, NameAddr};
use crate::registrar::{Refused, Registration, device_of};

/// Option tags that a REGISTER may require.
pub(super) const EXTENSIONS: [&str; 3] = ["path", "outbound", "gruu"];

/// The answer to a REGISTER before it is written.
struct Answer {
    status: u16,
    reason: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    fn new(status: u16, reason: Option<&'static str>) -> Self {
        Self {
            status,
            reason,
            headers: Vec::new(),
        }
    }
}

impl Endpoint {
    pub(super) fn on_register(&mut self, now: Now, arrival: &Arrival) {
        if self.transactions() >= self.limits.transactions {
            return self.overload(arrival);
        }
        let (user, until) = match self.prove(now, arrival) {
            Proof::Accepted { user } => proven(user),
            proof @ (Proof::Absent
            | Proof::Stale
            | Proof::Lapsed
            | Proof::Refused { .. }
            | Proof::Malformed(_)) => {
                return self.reject(now, arrival, proof);
            }
        };
        let Answer {
            status,
            reason,
            headers,
        } = self.registered(now, arrival, (&user, until));
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
        (user, until): (&str, Option<Wall>),
    ) -> Answer {
        let headers = arrival.headers();
        let Ok((to, contacts, cseq)) = read(headers) else {
            self.tally.malformed += 1;
            return Answer::new(400, Some("Bad Contact"));
        };
        let address = to.uri.sip().map(|uri| uri.address_of_record());
        let named = to.uri.sip().and_then(|uri| uri.user_decoded());
        if named.as_deref() != Some(user) {
            // Nobody registers for somebody else (§10.3 step 4).
            return Answer::new(403, None);
        }
        let path: Vec<&str> = headers.all(&HeaderName::Path).collect();
        let long = |value: &&str| value.len() > CONTACT_BYTES_MAX;
        if path.len() > PATHS_MAX || path.iter().any(long) {
            return Answer::new(400, Some("Path Too Long"));
        }
        let outbound = match outbound(headers, &contacts, &path) {
            Ok(outbound) => outbound,
            Err((status, reason)) => return Answer::new(status, Some(reason)),
        };
        let registration = Registration {
            user,
            contacts: &contacts,
            // A bad value reads as the default (§10.2.1.1).
            expires: headers.expires().ok().flatten(),
            call_id: headers.call_id().unwrap_or_default(),
            cseq,
            // A phone's own idea of its address is wrong behind NAT: it is reached where it was
            // seen, over a stream through that stream alone (RFC 5626 §5.3).
            hop: arrival.seen,
            path: &path,
            user_agent: headers.first(&HeaderName::UserAgent).unwrap_or_default(),
            outbound,
            longest: until.map(|until| until.since(now.wall)),
        };
        match self.registrar.register(now, &registration) {
            Ok(()) => {
                let gruu = knows(headers, "gruu").then(|| address.map(|aor| aor.to_string()));
                let list = self.registrar.listing(now, user, gruu.flatten().as_deref());
                let mut answer = Answer::new(200, None);
                answer
                    .headers
                    .extend(list.into_iter().map(|value| ("Contact", value)));
                if knows(headers, "path") {
                    let path = path.iter().map(|&value| ("Path", value.to_owned()));
                    answer.headers.extend(path);
                }
                if outbound {
                    // RFC 5626 §6 and §10.
                    answer.headers.push(("Require", "outbound".to_owned()));
                    answer
                        .headers
                        .push(("Flow-Timer", FLOW_TIMER_S.to_string()));
                }
                let supported = EXTENSIONS.join(", ");
                answer.headers.push(("Supported", supported));
                let product = self.config.product.clone();
                answer.headers.push(("Server", product));
                answer
            }
            Err(Refused::Bad(why)) => Answer::new(400, Some(why)),
            Err(Refused::TooBrief { shortest }) => Answer {
                headers: vec![("Min-Expires", shortest.as_secs().to_string())],
                ..Answer::new(423, None)
            },
            Err(Refused::OutOfOrder) => Answer::new(500, Some("CSeq Out Of Order")),
        }
    }
}

/// `To`, contacts and number of a REGISTER.
fn read(headers: &Headers) -> Result<(NameAddr, Contacts, u32), HeaderError> {
    Ok((headers.to()?, headers.contacts()?, headers.cseq()?.number))
}

/// The sender understands this extension.
fn knows(headers: &Headers, extension: &str) -> bool {
    headers.lists(&HeaderName::Supported, extension)
        || headers.lists(&HeaderName::Require, extension)
}

/// Whether a registration is one of RFC 5626: it names device and flow, and the first hop keeps
/// flows; that is ourselves, or a proxy that says so with `ob` (§6).
///
/// # Errors
/// Status and reason if that cannot be.
fn outbound(
    headers: &Headers,
    contacts: &Contacts,
    path: &[&str],
) -> Result<bool, (u16, &'static str)> {
    let Contacts::List(list) = contacts else {
        return Ok(false);
    };
    let flows = list.iter().filter(|contact| device_of(contact).1.is_some());
    if flows.count() == 0 || !knows(headers, "outbound") {
        return Ok(false);
    }
    if list.len() > 1 {
        return Err((400, "One Contact A Flow"));
    }
    let direct = headers.count(&HeaderName::Via) == 1;
    // The first proxy has written its `Path` first, so it stands last.
    let kept = path.last().is_some_and(|value| {
        let uri = NameAddr::parse(value).ok().map(|path| path.uri);
        uri.as_ref()
            .and_then(|uri| uri.sip())
            .is_some_and(|uri| uri.params.has("ob"))
    });
    if !direct && !kept {
        return Err((439, "First Hop Lacks Outbound Support"));
    }
    Ok(true)
}
