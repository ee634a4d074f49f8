//! Legs that we dial: whom they ring, in which order, and what comes of it.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use sip::message::{Host, SipUri, Uri};
use sip::{DialogId, Transport};
use vocab::call::{Carrier, Cause, Event, Target};
use vocab::{LegId, Now, Party, Pii};

use super::Engine;
use super::negotiation::Called;
use crate::leg::{Dialing, Draft, Ending, Group, Leg, Place};
use crate::limits::{FORKS_MAX, HOPS, LEGS_MAX, Q_STEP, RING_GROUPS_MAX};
use crate::outcome::{ELSEWHERE, Reason, Refusal, cause_of, telling};
use crate::timer::Timer;

impl Engine {
    pub(super) fn dial(
        &mut self,
        now: Now,
        leg: LegId,
        target: Target,
        caller: &Party,
        sent_by: Option<&str>,
    ) {
        assert!(!self.legs.contains_key(&leg), "a dialled leg is new");
        let inside = matches!(target, Target::User(_) | Target::Device { .. });
        let sent_by = sent_by.filter(|_| inside);
        let (groups, carrier) = self.groups(target);
        let mut later = VecDeque::from(groups);
        let Some(Group {
            places: first,
            lasting,
        }) = later.pop_front()
        else {
            return self.not_dialled(leg, Cause::NotFound, 404);
        };
        let hops = self.hops(leg);
        if hops == Some(0) {
            // It has gone round in circles (RFC 3261 §16.3).
            let cause = cause_of(Some(483), Reason::default());
            return self.not_dialled(leg, cause, 483);
        }
        let hops = hops.map_or(HOPS, |hops| hops - 1);
        let room = self.legs.len() < LEGS_MAX;
        let codecs = carrier.as_ref().map_or(&[][..], |it| &it.codecs);
        let family = self.family_to(hosts(&first, &later).into_iter());
        let secure = match carrier.as_ref().and_then(|it| it.secure_media) {
            Some(secure) => secure,
            None => self.offers_secure(transports(&first, &later)),
        };
        let all = || {
            first
                .iter()
                .chain(later.iter().flat_map(|group| &group.places))
        };
        let served = !self.config.browsers.is_empty();
        let called = Called {
            browsers: served && all().any(is_browser),
            phones: !served || !all().all(is_browser),
            secure,
        };
        let session = room.then(|| self.open_outbound(leg, codecs, called, family, hops));
        let Some(session) = session.flatten() else {
            return self.not_dialled(leg, Cause::Overload, 503);
        };
        let dialing = Dialing {
            forks: Vec::new(),
            early: None,
            heard: false,
            ringing: false,
            last: Refusal::default(),
            draft: self.draft(caller, sent_by, carrier, hops),
            later,
        };
        let dialing = Box::new(dialing);
        self.legs.insert(leg, Leg::Dialing { dialing, session });
        debug_assert!(self.legs.len() <= LEGS_MAX, "legs are bounded");
        self.ring(now, leg, first, lasting);
    }

    /// A leg that came to nothing before anything was sent.
    fn not_dialled(&mut self, leg: LegId, cause: Cause, status: u16) {
        self.legs.insert(
            leg,
            Leg::Ending {
                waits: Vec::new(),
                end: Ending::near(cause, Some(status)),
            },
        );
        self.finish(leg);
    }

    /// How many hops a call has left, as far as somebody who called in has told: what we send goes
    /// out with one less, so that a call which comes back to us again and again ends.
    fn hops(&self, leg: LegId) -> Option<u8> {
        let call = leg.call;
        self.legs
            .range(LegId::all_of(call))
            .filter_map(|(_, leg)| leg.hops())
            .max()
    }

    /// Who is rung, in order.
    fn groups(&self, target: Target) -> (Vec<Group>, Option<Box<Carrier>>) {
        match target {
            Target::User(user) => (self.by_preference(&user), None),
            Target::Device { user, gr } => {
                let flows = self.sip.contacts_at(&user, &gr).take(RING_GROUPS_MAX);
                (flows.map(|flow| group(&[flow])).collect(), None)
            }
            Target::Uri {
                uri,
                next_hop,
                tcp,
                carrier,
            } => {
                // What the URI itself asks for goes first (RFC 3263 §4.1).
                let asked = Uri::parse(uri.reveal()).ok();
                let asked = asked
                    .as_ref()
                    .and_then(Uri::sip)
                    .and_then(Transport::of_uri);
                let otherwise = if tcp { Transport::Tcp } else { Transport::Udp };
                let hop = sip::Hop {
                    transport: asked.unwrap_or(otherwise),
                    remote: next_hop,
                    conn: None,
                };
                let place = Place {
                    uri: uri.into_inner(),
                    hop,
                    routes: Vec::new(),
                };
                let group = Group {
                    places: vec![place],
                    lasting: Q_STEP,
                };
                (vec![group], carrier)
            }
        }
    }

    /// A user's contacts: those it prefers most ring first, and equal ones together (RFC 3261
    /// §16.6).
    fn by_preference(&self, user: &str) -> Vec<Group> {
        let contacts: Vec<sip::Contact> = self.devices(user).take(FORKS_MAX).collect();
        let equal = |a: &sip::Contact, b: &sip::Contact| a.q_thousandths == b.q_thousandths;
        contacts.chunk_by(equal).map(group).collect()
    }

    /// A user's contacts, one for each device: one that is registered over several flows rings over
    /// one of them (RFC 5626 §7).
    fn devices(&self, user: &str) -> impl Iterator<Item = sip::Contact> {
        let mut seen = BTreeSet::new();
        self.sip.contacts(user).filter(move |contact| {
            let instance = contact.instance.clone();
            instance.is_none_or(|instance| seen.insert(instance))
        })
    }

    fn draft(
        &self,
        caller: &Party,
        sent_by: Option<&str>,
        carrier: Option<Box<Carrier>>,
        hops: u8,
    ) -> Draft {
        let mut draft = Draft {
            from: self.identity(caller),
            headers: Vec::new(),
            credentials: self.config.credentials.clone(),
        };
        if hops != HOPS {
            let value = hops.to_string();
            draft.headers.push(("Max-Forwards".to_owned(), value));
        }
        if let Some(user) = sent_by {
            let value = self.identity(&Party::Sip(user.to_owned()));
            draft.headers.push(("Referred-By".to_owned(), value));
        }
        if let Some(carrier) = carrier {
            draft.from = carrier.from.into_inner();
            let values = carrier.headers.into_iter();
            let values = values.map(|(name, value)| (name, value.into_inner()));
            draft.headers.extend(values);
            draft.credentials = carrier.login.map(|login| sip::Credentials {
                user: login.user,
                password: login.password,
            });
        }
        draft
    }

    /// Sends the INVITEs of a group.
    fn ring(&mut self, now: Now, leg: LegId, places: Vec<Place>, lasting: Duration) {
        let Some(Leg::Dialing { dialing, session }) = self.legs.get_mut(&leg) else {
            return;
        };
        let offer = session.description.to_bytes();
        let for_browsers = session.for_browsers.as_ref().map(|it| it.to_bytes());
        let Draft {
            from,
            headers,
            credentials,
        } = &dialing.draft;
        for Place { uri, hop, routes } in places {
            let dialog = self.sip.allocate();
            self.dialogs.insert(dialog, leg);
            dialing.forks.push(dialog);
            let body = for_browsers.as_ref().filter(|_| is_browser_at(&uri));
            let body = body.unwrap_or(&offer).clone();
            // The way back through the proxies it registered by (RFC 3327 §5.3).
            let routes = routes.into_iter().map(|value| ("Route".to_owned(), value));
            self.actions.push_back(sip::Action::Invite {
                dialog,
                // In brackets, or its parameters would be those of the header (RFC 3261 §20.10).
                to: format!("<{uri}>"),
                uri,
                hop,
                from: from.clone(),
                headers: routes.chain(headers.iter().cloned()).collect(),
                body,
                credentials: credentials.clone(),
            });
        }
        if dialing.later.is_empty() {
            self.timers.clear(leg, Timer::Group);
        } else {
            self.timers.set(leg, Timer::Group, now.mono + lasting);
        }
    }

    /// It is the next group's turn. Those who ring now go on if there is nobody else.
    pub(super) fn next_group(&mut self, now: Now, leg: LegId) -> bool {
        let Some(Leg::Dialing { dialing, .. }) = self.legs.get_mut(&leg) else {
            return false;
        };
        let Some(Group { places, lasting }) = dialing.later.pop_front() else {
            return false;
        };
        dialing.early = None;
        for fork in std::mem::take(&mut dialing.forks) {
            self.hang_up_dialog(fork, Cause::NoAnswer);
        }
        self.ring(now, leg, places, lasting);
        true
    }

    /// The dial gives up.
    pub(super) fn rung_out(&mut self, now: Now, leg: LegId) {
        if let Some(Leg::Dialing { dialing, .. }) = self.legs.get(&leg) {
            for fork in dialing.forks.clone() {
                self.hang_up_dialog(fork, Cause::NoAnswer);
            }
            self.end(now, leg, Ending::near(Cause::NoAnswer, Some(408)));
        }
    }

    /// Something is there, whatever comes of it.
    pub(super) fn trying(&mut self, leg: LegId) {
        if let Some(Leg::Dialing { dialing, .. }) = self.legs.get_mut(&leg)
            && !std::mem::replace(&mut dialing.heard, true)
        {
            self.event(Event::Trying { leg });
        }
    }

    /// A provisional answer. The first fork that sends SDP with one is heard.
    pub(super) fn progress(&mut self, leg: LegId, fork: DialogId, status: u16, body: &[u8]) {
        self.trying(leg);
        let Some(Leg::Dialing { dialing, session }) = self.legs.get_mut(&leg) else {
            return;
        };
        let rings = status >= 180 && !std::mem::replace(&mut dialing.ringing, true);
        let hears = !body.is_empty() && dialing.early.is_none();
        let first = session.agreed.is_none();
        if rings {
            self.event(Event::Ringing { leg });
        }
        // One that does not fit changes nothing: the final answer may.
        if hears && self.settle_offer(leg, body).is_ok() {
            if let Some(Leg::Dialing { dialing, session }) = self.legs.get_mut(&leg) {
                dialing.early = Some(fork);
                session.offering = true;
            }
            if first {
                self.event(Event::EarlyMedia { leg });
                self.perk_up(leg);
            }
        }
    }

    /// One of the forks answered: it is the leg now, and the others are called off.
    pub(super) fn answered(&mut self, now: Now, leg: LegId, dialog: DialogId, body: &[u8]) {
        let Some(Leg::Dialing { dialing, .. }) = self.legs.get(&leg) else {
            return;
        };
        // What was answered reliably before need not be said again (RFC 6337 §2.2).
        let settled_early = body.is_empty() && dialing.early == Some(dialog);
        let others = dialing.forks.clone();
        self.timers.clear(leg, Timer::Ring);
        self.timers.clear(leg, Timer::Group);
        for other in others.into_iter().filter(|&other| other != dialog) {
            self.leave(other, ELSEWHERE);
        }
        let settled = if settled_early {
            Ok(())
        } else {
            self.settle_offer(leg, body)
        };
        self.established(now, leg, dialog, settled);
    }

    pub(super) fn failed(&mut self, now: Now, leg: LegId, fork: DialogId, refusal: Refusal) {
        self.dialogs.remove(&fork);
        let Some(Leg::Dialing { dialing, .. }) = self.legs.get_mut(&leg) else {
            return;
        };
        dialing.forks.retain(|&other| other != fork);
        dialing.early = dialing.early.filter(|early| *early != fork);
        dialing.last = telling(std::mem::take(&mut dialing.last), refusal);
        // A 6xx speaks for the person, not the device: nobody else is asked (RFC 3261 §16.7).
        let everywhere = dialing.last.status.is_some_and(|status| status >= 600);
        if !everywhere && (!dialing.forks.is_empty() || self.next_group(now, leg)) {
            return;
        }
        let Some(Leg::Dialing { dialing, .. }) = self.legs.get_mut(&leg) else {
            return;
        };
        let last = std::mem::take(&mut dialing.last);
        for other in std::mem::take(&mut dialing.forks) {
            self.hang_up_dialog(other, Cause::Cancelled);
        }
        let contacts = last.contacts.iter().cloned().map(Pii::new).collect();
        let end = Ending::far(last.cause(), last.status, last.reason.q850);
        let end = Ending {
            contacts,
            retry_after: last.retry_after,
            ..end
        };
        self.end(now, leg, end);
    }

    /// How a caller is shown to the called party: our realm vouches for the user part.
    fn identity(&self, caller: &Party) -> String {
        let user = match caller {
            Party::E164(number) => number.as_str(),
            Party::Sip(address) => address.split('@').next().unwrap_or_default(),
            // RFC 3323 §4.1.1.3.
            Party::Anonymous => "",
        };
        if user.is_empty() {
            return "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned();
        }
        // The user may be anything that a stranger wrote into his `From`: it is escaped.
        let sip::Config { realm, udp, .. } = &self.config.sip;
        let host = Host::parse(realm).unwrap_or(Host::Address(udp.ip()));
        format!("<{}>", SipUri::new(Some(user), host, None))
    }
}

fn place(contact: sip::Contact) -> Place {
    Place {
        uri: contact.uri,
        hop: contact.hop,
        routes: contact.path,
    }
}

/// Where all those are whom it may come to.
fn hosts(first: &[Place], later: &VecDeque<Group>) -> Vec<IpAddr> {
    let later = later.iter().flat_map(|group| &group.places);
    let places = first.iter().chain(later);
    places.map(|place| place.hop.remote.ip()).collect()
}

/// How they are reached.
fn transports<'a>(
    first: &'a [Place],
    later: &'a VecDeque<Group>,
) -> impl Iterator<Item = Transport> {
    let later = later.iter().flat_map(|group| &group.places);
    first.iter().chain(later).map(|place| place.hop.transport)
}

/// Whether a browser is called there.
fn is_browser(place: &Place) -> bool {
    is_browser_at(&place.uri)
}

/// Browsers do not know their address, and say so (RFC 7118 §5).
fn is_browser_at(uri: &str) -> bool {
    let uri = Uri::parse(uri).ok();
    let host = uri.as_ref().and_then(Uri::sip).map(|uri| &uri.host);
    host.is_some_and(|host| match host {
        Host::Name(name) => name.to_ascii_lowercase().ends_with(".invalid"),
        Host::Address(_) => false,
    })
}

/// Contacts that ring together.
fn group(contacts: &[sip::Contact]) -> Group {
    Group {
        places: contacts.iter().cloned().map(place).collect(),
        lasting: Q_STEP,
    }
}
