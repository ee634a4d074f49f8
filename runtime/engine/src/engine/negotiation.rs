//! Offers and answers of a leg, and the sessions they open.

use std::net::{IpAddr, SocketAddr};

use media::NegotiateError;
use media::negotiate::{self, Capabilities};
use media::sdp::Description;
use vocab::call::{Cause, Side};
use vocab::{CallId, LegId, Now, SessionId};

use super::Engine;
use super::command::respond;
use crate::WorkerId;
use crate::leg::{Asked, Ending, Leg, Negotiation, Session};
use crate::ports::Family;

impl Engine {
    /// Accepts an inbound call: opens media, negotiates, and sends 200.
    pub(super) fn answer(&mut self, now: Now, leg: LegId) {
        let Some(Leg::Offered { dialog, offer }) = self.legs.get(&leg) else {
            return;
        };
        let (dialog, offer) = (*dialog, offer.clone());
        let theirs = (!offer.is_empty()).then(|| Description::parse(&offer));
        let Ok(theirs) = theirs.transpose() else {
            return self.refused(now, leg, 400, Cause::NotAcceptable);
        };
        let family = self.family_of(dialog, theirs.as_ref());
        let Some((worker, local)) = self.port_for(leg.call, family) else {
            return self.reject(now, leg, 503);
        };
        let version = u64::from(self.rng.u32());
        let capabilities = &self.config.capabilities;
        let negotiated = match &theirs {
            // RFC 3261 §13.2.1: an INVITE without offer gets ours in the 200.
            None => {
                let ours = negotiate::offer(capabilities, local, version, version);
                Ok((ours, Negotiation::Offering))
            }
            Some(theirs) => negotiate::answer(theirs, capabilities, local, version, version)
                .map(|(ours, params)| (ours, Negotiation::Settled(params)))
                .map_err(NegotiateError::status),
        };
        let (description, negotiation) = match negotiated {
            Ok(ours) => ours,
            Err(status) => {
                self.ports.give_back(worker, local);
                return self.refused(now, leg, status, Cause::NotAcceptable);
            }
        };
        let id = self.open(leg, worker, local);
        if let Negotiation::Settled(params) = &negotiation {
            let params = params.clone();
            self.media(
                worker,
                media::Command::Configure {
                    session: id,
                    params,
                },
            );
        }
        self.actions.push_back(sip::Action::Respond {
            dialog,
            status: 200,
            headers: Vec::new(),
            body: description.to_bytes(),
        });
        let session = Session {
            id,
            worker,
            local,
            description,
            origin: version,
            version,
            negotiation,
            asked: Asked::default(),
        };
        self.legs.insert(leg, Leg::Accepting { dialog, session });
    }

    /// The IP version for a caller's media: the first in its offer that we have, or without an offer
    /// that of its signalling.
    fn family_of(&self, dialog: sip::DialogId, offer: Option<&Description>) -> Family {
        let signalling = || self.sip.hop(dialog).map(|hop| hop.remote.ip());
        let offered: Vec<IpAddr> = match offer {
            Some(offer) => negotiate::addresses(offer).collect(),
            None => signalling().into_iter().collect(),
        };
        self.ports.family(offered.into_iter().map(Family::of))
    }

    /// The IP version for media to phones that are reached at these addresses. They get one offer,
    /// and one that is reached over IPv4 may know nothing else.
    pub(super) fn family_to(&self, mut hops: impl Iterator<Item = IpAddr>) -> Family {
        let all = hops.all(|ip| Family::of(ip) == Family::V6);
        self.ports
            .family([if all { Family::V6 } else { Family::V4 }])
    }

    /// A port for a new leg. All legs of a call are on one worker, or they could not be bridged.
    fn port_for(&mut self, call: CallId, family: Family) -> Option<(WorkerId, SocketAddr)> {
        let legs = LegId { call, n: 0 }..=LegId { call, n: u16::MAX };
        let session = self.legs.range(legs).find_map(|(_, leg)| leg.session());
        match session.map(|session| session.worker) {
            Some(worker) => Some((worker, self.ports.take_on(worker, family)?)),
            None => self.ports.take(family),
        }
    }

    /// Opens the session of a leg we dial, with our offer.
    pub(super) fn open_outbound(
        &mut self,
        leg: LegId,
        codecs: &[String],
        family: Family,
    ) -> Option<Session> {
        let (worker, local) = self.port_for(leg.call, family)?;
        let version = u64::from(self.rng.u32());
        let capabilities = self.preferring(codecs);
        let description = negotiate::offer(&capabilities, local, version, version);
        Some(Session {
            id: self.open(leg, worker, local),
            worker,
            local,
            description,
            origin: version,
            version,
            negotiation: Negotiation::Offering,
            asked: Asked::default(),
        })
    }

    /// What we can do, with the codecs that are named in their order and before all others. A name
    /// that is no codec of ours is skipped.
    fn preferring(&self, names: &[String]) -> Capabilities {
        let mut capabilities = self.config.capabilities.clone();
        let place = |codec: &media::Codec| {
            let same = |name: &String| name.eq_ignore_ascii_case(codec.encoding());
            names.iter().position(same).unwrap_or(names.len())
        };
        capabilities.codecs.sort_by_key(place);
        capabilities
    }

    fn open(&mut self, leg: LegId, worker: WorkerId, local: SocketAddr) -> SessionId {
        self.session_last += 1;
        let id = SessionId(self.session_last);
        self.sessions.insert(id, leg);
        self.media(worker, media::Command::Open { session: id, local });
        id
    }

    /// Takes the far end's answer to our offer.
    ///
    /// # Errors
    /// A cause when the answer cannot be used; the caller then ends the leg.
    pub(super) fn settle_offer(&mut self, session: &mut Session, body: &[u8]) -> Result<(), Cause> {
        let answer = Description::parse(body).map_err(|_| Cause::NotAcceptable)?;
        let params =
            negotiate::accept(&session.description, &answer).map_err(|_| Cause::NotAcceptable)?;
        let command = media::Command::Configure {
            session: session.id,
            params: params.clone(),
        };
        self.media(session.worker, command);
        session.negotiation = Negotiation::Settled(params);
        Ok(())
    }

    /// Answers a re-INVITE or UPDATE, or the INVITE that replaces the dialog: same ports, new
    /// agreement. Says whether there is one.
    pub(super) fn reoffer(&mut self, leg: LegId, dialog: sip::DialogId, body: &[u8]) -> bool {
        let Some(Leg::Up { session, .. }) = self.legs.get(&leg) else {
            self.actions.push_back(respond(dialog, 500));
            return false;
        };
        let mut session = session.clone();
        let capabilities = &self.config.capabilities;
        session.version += 1;
        let origin = session.origin;
        if body.is_empty() {
            let ours = negotiate::offer(capabilities, session.local, origin, session.version);
            session.description = ours;
            session.negotiation = Negotiation::Offering;
        } else {
            let Ok(theirs) = Description::parse(body) else {
                self.actions.push_back(respond(dialog, 400));
                return false;
            };
            let local = session.local;
            match negotiate::answer(&theirs, capabilities, local, origin, session.version) {
                Ok((ours, params)) => {
                    session.description = ours;
                    let id = session.id;
                    session.negotiation = Negotiation::Settled(params.clone());
                    let command = media::Command::Configure {
                        session: id,
                        params,
                    };
                    self.media(session.worker, command);
                }
                Err(error) => {
                    self.actions.push_back(respond(dialog, error.status()));
                    return false;
                }
            }
        }
        self.actions.push_back(sip::Action::Respond {
            dialog,
            status: 200,
            headers: Vec::new(),
            body: session.description.to_bytes(),
        });
        if let Some(Leg::Up { session: kept, .. }) = self.legs.get_mut(&leg) {
            *kept = session;
        }
        true
    }

    /// Takes the answer to a re-INVITE that refreshed the session with what was agreed. One that
    /// cannot be used changes nothing.
    pub(super) fn reanswered(&mut self, leg: LegId, body: &[u8]) {
        let Some(Leg::Up { session, .. }) = self.legs.get(&leg) else {
            return;
        };
        let mut session = session.clone();
        if !body.is_empty()
            && self.settle_offer(&mut session, body).is_ok()
            && let Some(Leg::Up { session: kept, .. }) = self.legs.get_mut(&leg)
        {
            *kept = session;
        }
    }

    /// Ends a leg whose negotiation failed after the fact.
    pub(super) fn not_acceptable(&mut self, now: Now, leg: LegId) {
        if let Some(&Leg::Up { dialog, .. }) = self.legs.get(&leg) {
            self.hang_up_dialog(dialog, Cause::NotAcceptable);
        }
        let (cause, by, status) = (Cause::NotAcceptable, Side::Near, Some(488));
        self.end(now, leg, Ending { cause, by, status });
    }
}
