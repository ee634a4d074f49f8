//! Somebody who is called sends us elsewhere (3xx): by policy the call goes on there.

use std::sync::Arc;

use sip::message::{SipUri, Uri};
use vocab::{CallId, LegId, Now, Pii};

use crate::call::{Call, DialStep};
use crate::config::{Tenant, Trunk};
use crate::control::Destination;
use crate::limits::{LEGS_MAX, REDIRECTS_MAX};
use crate::node::Node;
use crate::ring::Ring;
use crate::way::{Way, Where};

impl Node {
    /// Goes on to the first contact that the policy allows; false if there is none.
    pub(crate) fn sent_on(&mut self, now: Now, leg: LegId, contacts: &[Pii<String>]) -> bool {
        let id = leg.call;
        let Some(way) = self.next_hop(now, id, contacts) else {
            return false;
        };
        let dial = self.take_dial(id).expect("it was just seen");
        let mut hops = dial.hops.clone();
        hops.push(dial.party.reveal().to_owned());
        let ring = Ring {
            way,
            caller: dial.caller.clone(),
            timeout: dial.until.since(now.mono),
            whisper: dial.whisper.clone(),
            errand: dial.errand.clone(),
        };
        if self.ring(now, id, ring).is_err() {
            self.keep_dial(id, dial);
            return false;
        }
        if let Some(dial) = self.calls.get_mut(&id).and_then(Call::dialing) {
            dial.hops = hops;
        }
        true
    }

    fn next_hop(&mut self, now: Now, id: CallId, contacts: &[Pii<String>]) -> Option<Way> {
        let call = self.calls.get_mut(&id)?;
        let (tenant, legs) = (Arc::clone(&call.tenant), call.leg_last);
        let dial = call.dialing()?;
        let hops = dial.hops.clone();
        let first = dial.party.reveal().to_owned();
        let done = !matches!(dial.step, DialStep::Ringing) || dial.until <= now.mono;
        if done || hops.len() >= REDIRECTS_MAX || legs >= LEGS_MAX {
            return None;
        }
        let trunk = dial.outside.as_ref().map(|it| it.trunk.clone());
        let trunk = match trunk {
            Some(name) => Some(tenant.trunks.iter().find(|trunk| trunk.id == name)?),
            None => None,
        };
        for contact in contacts {
            let Ok(Uri::Sip(uri)) = Uri::parse(contact.reveal()) else {
                continue;
            };
            let Some(to) = allowed(&tenant, trunk, &uri) else {
                continue;
            };
            let Ok(Where::Person(way)) = self.find(now.mono, &tenant, &to) else {
                continue;
            };
            let name = match &way {
                Way::Phone(name) | Way::Device { user: name, .. } | Way::Group { name, .. } => name,
                Way::Trunks { number, .. } => number,
            };
            // Whoever was called before would send us in a circle.
            if *name != first && !hops.contains(name) {
                return Some(way);
            }
        }
        None
    }
}

/// Where a contact may take a call that went to a trunk, or to a phone of the tenant.
fn allowed(tenant: &Tenant, trunk: Option<&Arc<Trunk>>, uri: &SipUri) -> Option<Destination> {
    let user = uri.user_decoded().filter(|user| !user.is_empty())?;
    let Some(trunk) = trunk else {
        // A phone names others by whatever host it knows us by.
        return tenant
            .follow_redirects
            .then(|| Destination::Dialled(Pii::new(user)));
    };
    let host = uri.host.to_string();
    let own = trunk.domain.as_ref().is_some_and(|domain| *domain == host)
        || trunk.address.host == uri.host;
    (trunk.follow_redirects && own).then(|| Destination::Number(Pii::new(user)))
}
