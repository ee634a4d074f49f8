//! Somebody who is called sends us elsewhere (3xx): by policy the call goes on there.

use std::sync::Arc;

use sip::message::{SipUri, Uri};
use vocab::{CallId, Now, Pii};

use crate::call::Branch;
use crate::config::{Callee, Tenant, Trunk};
use crate::control::Destination;
use crate::limits::{LEGS_MAX, REDIRECTS_MAX};
use crate::node::Node;
use crate::way::{Way, Ways, Where};

impl Node {
    /// Goes on to the first contact that the policy allows; false if there is none.
    pub(crate) fn sent_on(
        &mut self,
        now: Now,
        id: CallId,
        branch: &Branch,
        contacts: &[Pii<String>],
    ) -> bool {
        let Some(ways) = self.next_hop(now, id, branch, contacts) else {
            return false;
        };
        let mut hops = branch.hops.clone();
        hops.push(branch.party.reveal().to_owned());
        let tenant = Arc::clone(&self.calls[&id].tenant);
        match ways {
            Ways::One(way) => self.branch_out(now, id, way, hops),
            // All of a group at once: others may ring beside it, whose turn is as long.
            Ways::Several(several) => {
                let mut begun = false;
                for callee in several.rounds.iter().flatten() {
                    if let Ok(way) = self.reach(now.mono, &tenant, callee) {
                        begun |= self.branch_out(now, id, way, hops.clone());
                    }
                }
                begun
            }
        }
    }

    fn next_hop(
        &mut self,
        now: Now,
        id: CallId,
        branch: &Branch,
        contacts: &[Pii<String>],
    ) -> Option<Ways> {
        let call = self.calls.get_mut(&id)?;
        let (tenant, legs) = (Arc::clone(&call.tenant), call.leg_last);
        let done = call.dialing()?.until <= now.mono;
        let (hops, first) = (&branch.hops, branch.party.reveal());
        if done || hops.len() >= REDIRECTS_MAX || legs >= LEGS_MAX {
            return None;
        }
        let trunk = branch.outside.as_ref().map(|it| it.trunk.clone());
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
            let Ok(Where::Person(mut ways)) = self.find(now.mono, &tenant, &to) else {
                continue;
            };
            // Whoever was called before would send us in a circle.
            let known = |name: &str| name == first || hops.iter().any(|hop| hop == name);
            let left = match &mut ways {
                Ways::One(Way::Phone(name) | Way::Device { user: name, .. }) => !known(name),
                Ways::One(Way::Trunks { number, .. }) => !known(number),
                Ways::Several(several) => {
                    for round in &mut several.rounds {
                        round.retain(|it| match it {
                            Callee::Phone(user) => !known(user),
                            Callee::Number(number) => !known(number.reveal()),
                        });
                    }
                    several.rounds.iter().any(|round| !round.is_empty())
                }
            };
            if left {
                return Some(ways);
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
