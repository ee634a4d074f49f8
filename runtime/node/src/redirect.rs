//! Somebody who is called sends us elsewhere (3xx): by policy the call goes on there.

use std::sync::Arc;

use sip::message::{SipUri, Uri};
use vocab::{CallId, Now, Pii};

use crate::call::Branch;
use crate::config::{Tenant, Trunk};
use crate::control::Destination;
use crate::limits::{LEGS_MAX, REDIRECTS_MAX};
use crate::node::Node;
use crate::way::{Ways, Where};

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
        let hops = branch.hops + 1;
        let several = match ways {
            Ways::One(way) => return self.branch_out(now, id, way, hops),
            Ways::Several(several) => several,
        };
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let tenant = Arc::clone(&call.tenant);
        let Some(dial) = call.dialing() else {
            return false;
        };
        if dial.branches.is_empty() && dial.later.is_empty() {
            (dial.later, dial.lasting) = (several.rounds, several.lasting);
            return self.next_round(now, id);
        }
        // Beside others, whose turn is as long, all of a group ring at once.
        let mut begun = false;
        for callee in several.rounds.iter().flatten() {
            if let Ok(way) = self.reach(now.mono, &tenant, callee) {
                begun |= self.branch_out(now, id, way, hops);
            }
        }
        begun
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
        let dial = call.dialing()?;
        let (done, called) = (dial.until <= now.mono, dial.called.clone());
        if done || branch.hops >= REDIRECTS_MAX || legs >= LEGS_MAX {
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
            // Whoever was called before would send us in a circle, or rings already.
            let left = match &mut ways {
                Ways::One(way) => !called.contains(way.name()),
                Ways::Several(several) => {
                    for round in &mut several.rounds {
                        round.retain(|callee| !called.contains(callee.name()));
                    }
                    several.rounds.retain(|round| !round.is_empty());
                    let mut all = several.rounds.iter().flatten();
                    all.any(|callee| self.reach(now.mono, &tenant, callee).is_ok())
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
