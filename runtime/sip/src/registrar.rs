//! Who can be reached where: the bindings that REGISTER makes (RFC 3261 §10.3), with paths
//! (RFC 3327), flows (RFC 5626) and devices (RFC 5627).

mod binding;
mod flows;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use vocab::call::Unregistered;
use vocab::{Mono, Now};

use crate::border::{ConnId, Contact, Event, Hop};
use crate::limits::{CONTACT_BYTES_MAX, CONTACTS_PER_USER_MAX};
use crate::message::{Contacts, NameAddr};
use binding::Binding;
pub(crate) use binding::{Registration, device_of};
use flows::Flows;

/// The location table of one realm. Authentication is over before it is asked.
pub(crate) struct Registrar {
    users: BTreeMap<String, User>,
    /// One entry a user: when its first binding expires.
    agenda: BTreeSet<(Mono, String)>,
    flows: Flows,
    contacts: usize,
    shortest: Duration,
    longest: Duration,
    out: VecDeque<Event>,
}

#[derive(Default)]
struct User {
    /// The youngest last.
    bindings: Vec<Binding>,
    armed: Option<Mono>,
}

/// Why a REGISTER changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// 400: `*` with an expiry other than zero, or a contact that cannot be called.
    Bad(&'static str),
    /// 423 with `Min-Expires` (§10.3 step 7).
    TooBrief { shortest: Duration },
    /// 500: not newer than what is known under the same `Call-ID` (§10.3 steps 6 and 7).
    OutOfOrder,
}

impl Registrar {
    /// An empty table. `expires` is the shortest and longest registration.
    pub(crate) fn new(expires: (Duration, Duration)) -> Self {
        let (shortest, longest) = expires;
        assert!(
            shortest <= longest,
            "the shortest registration is not above the longest"
        );
        Self {
            users: BTreeMap::new(),
            agenda: BTreeSet::new(),
            flows: Flows::default(),
            contacts: 0,
            shortest,
            longest,
            out: VecDeque::new(),
        }
    }

    /// Takes over one REGISTER, wholly or not at all.
    ///
    /// # Errors
    /// Why it was refused; nothing has changed.
    pub(crate) fn register(
        &mut self,
        now: Now,
        registration: &Registration<'_>,
    ) -> Result<(), Refused> {
        debug_assert!(self.out.is_empty());
        let known = self.users.get(registration.user);
        let known = known.map_or(&[][..], |user| &user.bindings);
        match registration.contacts {
            Contacts::All => {
                if registration.expires != Some(Duration::ZERO) {
                    return Err(Refused::Bad("* needs Expires: 0"));
                }
                if known
                    .iter()
                    .any(|binding| !registration.is_newer_than(binding))
                {
                    return Err(Refused::OutOfOrder);
                }
                self.change(registration.user, Unregistered::Asked, Vec::clear);
            }
            Contacts::List(list) => {
                let mut wanted = Vec::with_capacity(list.len());
                for contact in list {
                    wanted.push((contact, self.lifetime(registration, contact)?));
                    let mut old = known
                        .iter()
                        .filter(|binding| registration.replaces(contact, binding));
                    if old.any(|binding| !registration.is_newer_than(binding)) {
                        return Err(Refused::OutOfOrder);
                    }
                }
                if wanted.is_empty() {
                    return Ok(()); // A question, not a change (§10.2.3).
                }
                self.flows.pardon(registration.hop);
                self.change(registration.user, Unregistered::Asked, |bindings| {
                    for (contact, lifetime) in wanted {
                        bindings.retain(|binding| !registration.replaces(contact, binding));
                        if !lifetime.is_zero() {
                            bindings.push(registration.binding(now, contact, lifetime));
                        }
                    }
                    // A phone that forgets its bindings when it restarts must not lock its user
                    // out: the ones that expire first go.
                    bindings.sort_by_key(|binding| std::cmp::Reverse(binding.expires_at));
                    bindings.truncate(CONTACTS_PER_USER_MAX);
                });
            }
        }
        Ok(())
    }

    /// Drops what has expired. The caller drains [`Self::poll`] before the next call.
    pub(crate) fn expire(&mut self, now: Now) {
        debug_assert!(self.out.is_empty());
        while let Some((at, user)) = self
            .agenda
            .first()
            .filter(|(at, _)| *at <= now.mono)
            .cloned()
        {
            let before = self.agenda.len();
            self.change(&user, Unregistered::Expired, |bindings| {
                bindings.retain(|binding| binding.expires_at > now.mono);
            });
            assert!(
                self.agenda.len() < before || self.agenda.first() > Some(&(at, user)),
                "an expired binding is gone, or the agenda would never move on"
            );
        }
    }

    /// Drops the contacts of users for whom `keep` is false.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        debug_assert!(self.out.is_empty());
        let gone: Vec<String> = self
            .users
            .keys()
            .filter(|user| !keep(user))
            .cloned()
            .collect();
        for user in gone {
            self.change(&user, Unregistered::AccountGone, Vec::clear);
        }
    }

    /// Drops the contacts behind a stream that is closed: a phone behind address translation is
    /// reached by no other (RFC 5626 §5.3).
    pub(crate) fn drop_stream(&mut self, conn: ConnId) {
        debug_assert!(self.out.is_empty());
        for user in self.flows.users_of(conn) {
            self.change(&user, Unregistered::FlowClosed, |bindings| {
                bindings.retain(|binding| binding.hop.conn != Some(conn));
            });
        }
    }

    /// A registered contact is heard from here.
    pub(crate) fn is_flow(&self, seen: Hop) -> bool {
        self.flows.has(seen)
    }

    /// A registered contact is reached over this stream.
    pub(crate) fn is_stream(&self, conn: ConnId) -> bool {
        self.flows.has_stream(conn)
    }

    /// Takes from a flow what [`Self::is_flow`] gives it, until somebody registers over it again.
    pub(crate) fn revoke(&mut self, seen: Hop) {
        self.flows.revoke(seen);
    }

    /// What became of users' registrations: `Registered` and `Unregistered`.
    pub(crate) fn poll(&mut self) -> Option<Event> {
        self.out.pop_front()
    }

    /// When [`Self::expire`] is next due.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Contacts of a user, the preferred one first (by `q`, then the youngest).
    pub(crate) fn contacts(&self, user: &str) -> impl Iterator<Item = Contact> {
        let known = self.users.get(user).map_or(&[][..], |user| &user.bindings);
        let mut order: Vec<&Binding> = known.iter().collect();
        order.sort_by_key(|binding| std::cmp::Reverse(binding.q_thousandths));
        order.into_iter().map(Binding::contact)
    }

    /// Contacts of one device of a user, the youngest first.
    pub(crate) fn contacts_at(&self, user: &str, gr: &str) -> impl Iterator<Item = Contact> {
        let known = self.users.get(user).map_or(&[][..], |user| &user.bindings);
        let mut order: Vec<&Binding> = known
            .iter()
            .filter(|binding| binding.instance.as_deref() == Some(gr))
            .collect();
        order.sort_by_key(|binding| std::cmp::Reverse(binding.registered_at));
        order.into_iter().map(Binding::contact)
    }

    /// Users behind `after`, each with its contacts.
    pub(crate) fn users(&self, after: &str) -> impl Iterator<Item = (&str, Vec<Contact>)> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let users = self.users.range::<str, _>(behind);
        users.map(|(user, _)| (user.as_str(), self.contacts(user).collect()))
    }

    /// Values for the `Contact`s of a 200, with the time each has left and, if `aor` is given, the
    /// public GRUU of each device (RFC 5627 §5.3).
    pub(crate) fn listing(&self, now: Now, user: &str, aor: Option<&str>) -> Vec<String> {
        let known = self.users.get(user).map_or(&[][..], |user| &user.bindings);
        known
            .iter()
            .map(|binding| binding.listed(now, aor))
            .collect()
    }

    /// Number of contacts of all users.
    pub(crate) fn len(&self) -> usize {
        self.contacts
    }

    /// How long a contact is to live (§10.3 step 7, §10.2.1.1).
    fn lifetime(
        &self,
        registration: &Registration<'_>,
        contact: &NameAddr,
    ) -> Result<Duration, Refused> {
        if contact.uri.sip().is_none() {
            return Err(Refused::Bad("contact is no SIP URI"));
        }
        if contact.uri.to_string().len() > CONTACT_BYTES_MAX {
            return Err(Refused::Bad("contact too long"));
        }
        let own = contact
            .expires()
            .map(|seconds| Duration::from_secs(seconds.into()));
        let asked = own.or(registration.expires).unwrap_or(self.longest);
        if !asked.is_zero() && asked < self.shortest {
            return Err(Refused::TooBrief {
                shortest: self.shortest,
            });
        }
        let longest = registration.longest.unwrap_or(self.longest);
        Ok(asked.min(self.longest).min(longest))
    }

    /// Changes a user's bindings and tells what came of it.
    fn change(&mut self, user: &str, why: Unregistered, change: impl FnOnce(&mut Vec<Binding>)) {
        let entry = self.users.entry(user.to_owned()).or_default();
        let before = entry.bindings.len();
        let old: Vec<Hop> = entry.bindings.iter().map(|binding| binding.hop).collect();
        change(&mut entry.bindings);
        let left = entry.bindings.len();
        assert!(left <= CONTACTS_PER_USER_MAX, "a change keeps to the limit");
        self.flows
            .change(user, &old, entry.bindings.iter().map(|binding| binding.hop));
        self.contacts = self.contacts + left - before;
        let next = entry
            .bindings
            .iter()
            .map(|binding| binding.expires_at)
            .min();
        let armed = std::mem::replace(&mut entry.armed, next);
        if armed != next {
            if let Some(at) = armed {
                self.agenda.remove(&(at, user.to_owned()));
            }
            if let Some(at) = next {
                self.agenda.insert((at, user.to_owned()));
            }
        }
        if left == 0 {
            self.users.remove(user);
            if before > 0 {
                self.out.push_back(Event::Unregistered {
                    user: user.to_owned(),
                    why,
                });
            }
        } else {
            self.out.push_back(Event::Registered {
                user: user.to_owned(),
                contacts: left,
                refreshed: left <= before,
            });
        }
    }
}
