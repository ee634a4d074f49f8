//! Offers and answers of a leg, and the sessions they open.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use media::negotiate::{self, Capabilities, Srtp};
use media::sdp::{Description, Direction};
use media::srtp::sdes::Crypto;
use media::webrtc::{Agreed, Credentials, Near, Role};
use media::{Codec, NegotiateError, StreamParams};
use sip::{DialogId, Transport};
use vocab::call::{Cause, Event};
use vocab::{CallId, LegId, Now, SessionId};

use super::Engine;
use super::command::respond;
use crate::WorkerId;
use crate::leg::{Asked, Ending, Leg, Session, Track};
use crate::ports::Family;

/// For whom an offer of ours is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum For {
    /// A phone; with keys, or without.
    Phone {
        /// With keys.
        secure: bool,
    },
    /// A browser, which comes to this worker.
    Browser(WorkerId),
}

/// Who is called together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Called {
    /// There are browsers.
    pub(super) browsers: bool,
    /// There are others.
    pub(super) phones: bool,
    /// These are to have keys.
    pub(super) secure: bool,
}

impl Engine {
    /// Lets a caller hear us before the answer: 183 with what the answer will say.
    pub(super) fn early(&mut self, now: Now, leg: LegId) {
        let Some(Leg::Offered { dialog, offer, .. }) = self.legs.get(&leg) else {
            return;
        };
        let dialog = *dialog;
        if offer.is_empty() {
            // Our offer in a 183 would have to be sent reliably (RFC 3262 §5): it waits for the 200.
            return self.actions.push_back(respond(dialog, 180));
        }
        if let Some(session) = self.accept_offer(now, leg) {
            self.respond_with(dialog, 183, &session);
            self.legs.insert(leg, Leg::Early { dialog, session });
        }
    }

    /// Accepts an inbound call: opens media, negotiates, and sends 200. One that was let hear us
    /// gets the answer that it has already.
    pub(super) fn answer(&mut self, now: Now, leg: LegId) {
        let Some(dialog) = self.legs.get(&leg).and_then(Leg::unanswered) else {
            return;
        };
        let early = matches!(self.legs.get(&leg), Some(Leg::Early { .. }));
        let session = if early {
            self.legs.remove(&leg).and_then(Leg::into_session)
        } else {
            self.accept_offer(now, leg)
        };
        if let Some(session) = session {
            self.respond_with(dialog, 200, &session);
            self.legs.insert(leg, Leg::Accepting { dialog, session });
        }
    }

    /// Opens the session of a caller and settles its offer, or makes ours if it has none (RFC 3261
    /// §13.2.1). One whose offer is no good is refused.
    fn accept_offer(&mut self, now: Now, leg: LegId) -> Option<Session> {
        let Some(Leg::Offered {
            dialog,
            offer,
            hops,
        }) = self.legs.get(&leg)
        else {
            return None;
        };
        let (dialog, hops) = (*dialog, *hops);
        let theirs = (!offer.is_empty()).then(|| Description::parse(offer));
        let Ok(theirs) = theirs.transpose() else {
            self.refused(now, leg, 400, Cause::NotAcceptable, Vec::new());
            return None;
        };
        let family = self.family_of(dialog, theirs.as_ref());
        let Some((worker, local)) = self.port_for(leg.call, family) else {
            self.reject(now, leg, 503, None);
            return None;
        };
        let version = u64::from(self.rng.u32());
        let capabilities = match &theirs {
            None => {
                let hop = self.sip.hop(dialog);
                let secure = self.offers_secure(hop.into_iter().map(|hop| hop.transport));
                self.offering(leg, &[], For::Phone { secure }, None)
            }
            Some(theirs) => self.answering(leg, theirs, (worker, None)),
        };
        let negotiated = match &theirs {
            None => {
                let ours = negotiate::offer(&capabilities, local, version, version);
                Ok((ours, None))
            }
            Some(theirs) => negotiate::answer(theirs, &capabilities, local, version, version)
                .map(|(ours, params)| (ours, Some(params)))
                .map_err(NegotiateError::status),
        };
        let (description, params) = match negotiated {
            Ok(ours) => ours,
            Err(status) => {
                self.ports.give_back(worker, local);
                self.refused(now, leg, status, Cause::NotAcceptable, Vec::new());
                return None;
            }
        };
        let id = self.open(leg, worker, local);
        self.keep_keys(id, capabilities.keys);
        let mut session = Session::new((id, worker, local), description, version, hops);
        if let Some(params) = params {
            self.configure(&mut session, params);
        }
        Some(session)
    }

    /// Answers an INVITE with a session's description.
    fn respond_with(&mut self, dialog: DialogId, status: u16, session: &Session) {
        self.actions.push_back(sip::Action::Respond {
            dialog,
            status,
            headers: Vec::new(),
            body: session.description.to_bytes(),
        });
    }

    /// The IP version for a caller's media: the first in its offer that we have, or without an offer
    /// that of its signalling.
    fn family_of(&self, dialog: DialogId, offer: Option<&Description>) -> Family {
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
        match self.worker_of(call) {
            Some(worker) => Some((worker, self.ports.take_on(worker, family)?)),
            None => self.ports.take(family),
        }
    }

    /// Whether a caller of a call who was not answered would find a port on a worker: whoever is
    /// called for it must leave one. Those that are about to be given back count.
    fn leaves_one(&self, call: CallId, worker: WorkerId) -> bool {
        let offered = self
            .legs
            .range(LegId::all_of(call))
            .find_map(|(_, leg)| match leg {
                Leg::Offered { dialog, offer, .. } => Some((*dialog, offer)),
                Leg::Early { .. }
                | Leg::Accepting { .. }
                | Leg::Dialing { .. }
                | Leg::Up { .. }
                | Leg::Ending { .. } => None,
            });
        let Some((dialog, offer)) = offered else {
            return true;
        };
        let family = self.family_of(dialog, Description::parse(offer).ok().as_ref());
        let closing = || {
            let mut tracks = self.sessions.values();
            tracks.any(|track| track.closing && track.worker == worker)
        };
        self.ports.free_on(worker, family) > 0 || closing()
    }

    /// The worker on which a call's sessions are.
    pub(super) fn worker_of(&self, call: CallId) -> Option<WorkerId> {
        let session = self
            .legs
            .range(LegId::all_of(call))
            .find_map(|(_, leg)| leg.session());
        session.map(|session| session.worker)
    }

    /// Opens the session of a leg we dial, with our offer.
    pub(super) fn open_outbound(
        &mut self,
        leg: LegId,
        codecs: &[String],
        called: Called,
        family: Family,
        hops: u8,
    ) -> Option<Session> {
        let (worker, local) = self.port_for(leg.call, family)?;
        if !self.leaves_one(leg.call, worker) {
            self.ports.give_back(worker, local);
            return None;
        }
        let version = u64::from(self.rng.u32());
        let mut offer = |wanted: bool, whom: For| {
            let capabilities = wanted.then(|| self.offering(leg, codecs, whom, None))?;
            let description = negotiate::offer(&capabilities, local, version, version);
            Some((description, capabilities.keys))
        };
        let browsers = offer(called.browsers, For::Browser(worker));
        let secure = called.secure;
        let phones = offer(called.phones || browsers.is_none(), For::Phone { secure });
        let place = (self.open(leg, worker, local), worker, local);
        let for_browsers = browsers.map(|(description, _)| description);
        let (description, for_browsers) = match (phones, for_browsers) {
            (Some((description, keys)), for_browsers) => {
                self.keep_keys(place.0, keys);
                (description, for_browsers.map(Box::new))
            }
            (None, description) => (description?, None),
        };
        let mut session = Session::new(place, description, version, hops);
        session.codecs = codecs.to_vec();
        session.for_browsers = for_browsers;
        Some(session)
    }

    /// What a browser is told of us on a worker; `None` if none come there.
    fn near(
        &mut self,
        worker: WorkerId,
        credentials: Option<Credentials>,
        role: Option<Role>,
    ) -> Option<Near> {
        let door = self.config.browsers.get(usize::from(worker.0))?;
        Some(Near {
            credentials: credentials.unwrap_or_else(|| Credentials::random(&mut self.rng)),
            fingerprint: door.fingerprint,
            doors: Arc::clone(&door.doors),
            role,
        })
    }

    /// What the way to a leg's far end is, if that is a browser.
    fn way_of(&self, leg: LegId) -> Option<&Agreed> {
        let session = self.legs.get(&leg).and_then(Leg::session)?;
        session.agreed.as_ref()?.webrtc.as_deref()
    }

    /// For whom an offer within a call is.
    pub(super) fn whom(&self, session: &Session, worker: WorkerId) -> For {
        if session.is_browser() {
            For::Browser(worker)
        } else {
            let secure = session.is_secure();
            For::Phone { secure }
        }
    }

    /// What we offer a leg: the codecs that are named, in their order; without any all that we have,
    /// and first those of the others in the call, so that nothing needs to be converted. A name that
    /// is no codec of ours is skipped.
    fn preferring(&self, leg: LegId, names: &[String]) -> Capabilities {
        let mut capabilities = self.config.capabilities.clone();
        let ours = |codec: &Codec| self.config.capabilities.codecs.contains(codec);
        let named = names.iter().filter_map(|name| Codec::of_name(name));
        let named: Vec<Codec> = named.filter(ours).collect();
        if named.is_empty() {
            let others = self.others_codecs(leg);
            let place = |codec: &Codec| others.iter().position(|other| other == codec);
            let last = others.len();
            capabilities
                .codecs
                .sort_by_key(|codec| place(codec).unwrap_or(last));
        } else {
            capabilities.codecs = named;
        }
        capabilities
    }

    /// Whether media is secured in an offer of ours to somebody who is reached by these transports:
    /// keys in a description are worth what its own secrecy is.
    pub(super) fn offers_secure(&self, mut hops: impl Iterator<Item = Transport>) -> bool {
        match self.config.capabilities.srtp {
            Srtp::Off | Srtp::Allow => false,
            Srtp::Offer => hops.all(|hop| matches!(hop, Transport::Tls | Transport::Wss)),
            Srtp::Require => true,
        }
    }

    /// What is offered, with the keys of a session if it has any.
    pub(super) fn offering(
        &mut self,
        leg: LegId,
        codecs: &[String],
        whom: For,
        session: Option<SessionId>,
    ) -> Capabilities {
        let (srtp, mut keys, webrtc) = match whom {
            For::Phone { secure: true } => (Srtp::Require, self.keys(session), None),
            For::Phone { secure: false } => (Srtp::Off, Vec::new(), None),
            For::Browser(worker) => {
                // On another worker it begins anew.
                let its = self.legs.get(&leg).and_then(Leg::session);
                let stays = its.is_some_and(|it| it.worker == worker && session == Some(it.id));
                let own = self.way_of(leg).filter(|_| stays).map(|it| it.own.clone());
                (Srtp::Off, Vec::new(), self.near(worker, own, None))
            }
        };
        // What was agreed is offered again, and nothing else: a change would gain nothing.
        let agreed = self.legs.get(&leg).and_then(Leg::session);
        let agreed = agreed.and_then(|it| it.agreed.as_ref()?.srtp.as_ref());
        if let Some(suite) = agreed.map(|it| it.send.suite()) {
            keys.retain(|it| it.key.suite() == suite);
        }
        Capabilities {
            srtp,
            keys,
            webrtc,
            ..self.preferring(leg, codecs)
        }
    }

    /// What an offer is answered with.
    fn answering(
        &mut self,
        leg: LegId,
        theirs: &Description,
        (worker, session): (WorkerId, Option<SessionId>),
    ) -> Capabilities {
        let mut capabilities = self.like_the_others(leg);
        if let Some(far) = negotiate::browser(theirs) {
            let known = self.way_of(leg);
            let same = known.filter(|it| it.far.fingerprint == far.fingerprint);
            let role = same.map(|it| it.role);
            // Another name of theirs wants another of ours (RFC 8839 §4.4.3.1.1).
            let own = same.filter(|it| it.far.credentials == far.credentials);
            let own = own.map(|it| it.own.clone());
            capabilities.webrtc = self.near(worker, own, role);
        }
        // A leg that is up stays as it is, whatever its trunk or the node would have for a new one.
        let up = self.legs.get(&leg).and_then(Leg::session);
        let secured = up
            .and_then(|it| it.agreed.as_ref())
            .map(|it| it.srtp.is_some());
        capabilities.srtp = match (capabilities.srtp, secured) {
            (Srtp::Off, Some(true)) | (Srtp::Require, Some(false)) => Srtp::Allow,
            (srtp, _) => srtp,
        };
        if capabilities.srtp != Srtp::Off && negotiate::is_secure(theirs) {
            capabilities.keys = self.keys(session);
        }
        capabilities
    }

    /// The keys of a session, or new ones.
    fn keys(&mut self, session: Option<SessionId>) -> Vec<Crypto> {
        let track = session.and_then(|id| self.sessions.get_mut(&id));
        match track {
            Some(track) if !track.keys.is_empty() => track.keys.clone(),
            Some(track) => {
                track.keys = negotiate::keys(&mut self.rng);
                track.keys.clone()
            }
            None => negotiate::keys(&mut self.rng),
        }
    }

    /// A session that was opened goes on with the keys of its first description.
    pub(super) fn keep_keys(&mut self, session: SessionId, keys: Vec<Crypto>) {
        if let Some(track) = self.sessions.get_mut(&session) {
            track.keys = keys;
        }
    }

    /// What we answer a leg's offer with: rather what another leg of the call talks than what it
    /// would like best.
    fn like_the_others(&self, leg: LegId) -> Capabilities {
        let other = self
            .others(leg)
            .find_map(|it| it.session()?.agreed.as_ref());
        Capabilities {
            preferred: other.map(|agreed| agreed.codec),
            ..self.config.capabilities.clone()
        }
    }

    /// What the others in the call talk; or, as long as none does, what a caller would like to.
    fn others_codecs(&self, leg: LegId) -> Vec<Codec> {
        let agreed = self
            .others(leg)
            .find_map(|it| it.session()?.agreed.as_ref());
        if let Some(agreed) = agreed {
            return vec![agreed.codec];
        }
        let offer = self.others(leg).find_map(Leg::offer);
        let offer = offer.and_then(|offer| Description::parse(offer).ok());
        offer.map_or_else(Vec::new, |offer| negotiate::offered(&offer))
    }

    fn others(&self, leg: LegId) -> impl Iterator<Item = &Leg> {
        let all = self.legs.range(LegId::all_of(leg.call));
        all.filter(move |(id, _)| **id != leg).map(|(_, it)| it)
    }

    pub(super) fn open(&mut self, leg: LegId, worker: WorkerId, local: SocketAddr) -> SessionId {
        self.session_last += 1;
        let id = SessionId(self.session_last);
        let track = Track {
            leg,
            carries: leg,
            worker,
            closing: false,
            keys: Vec::new(),
            asked: Asked::default(),
        };
        self.sessions.insert(id, track);
        self.media(worker, media::Command::Open { session: id, local });
        id
    }

    /// Tells a session's worker what was agreed.
    pub(super) fn configure(&mut self, session: &mut Session, params: StreamParams) {
        session.offering = false;
        session.agreed = Some(params.clone());
        let (worker, session) = (session.worker, session.id);
        self.media(worker, media::Command::Configure { session, params });
    }

    /// Takes the far end's answer to our offer.
    ///
    /// # Errors
    /// A cause when the answer cannot be used; the caller then ends the leg.
    pub(super) fn settle_offer(&mut self, leg: LegId, body: &[u8]) -> Result<(), Cause> {
        let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
        let Some(session) = session else {
            return Err(Cause::Failed);
        };
        let answer = Description::parse(body).map_err(|_| Cause::NotAcceptable)?;
        if let Some(other) = &mut session.for_browsers
            && negotiate::is_browser(&answer) != negotiate::is_browser(&session.description)
        {
            std::mem::swap(&mut **other, &mut session.description);
        }
        let params =
            negotiate::accept(&session.description, &answer).map_err(|_| Cause::NotAcceptable)?;
        session.offering = false;
        session.agreed = Some(params.clone());
        let (worker, session) = (session.worker, session.id);
        self.media(worker, media::Command::Configure { session, params });
        Ok(())
    }

    /// Answers a re-INVITE or UPDATE, or the INVITE that replaces the dialog: same ports, new
    /// agreement. Says whether there is one.
    pub(super) fn reoffer(&mut self, leg: LegId, dialog: DialogId, body: &[u8]) -> bool {
        let settled = self.reoffered(leg, body);
        match settled {
            Ok(description) => {
                self.actions.push_back(sip::Action::Respond {
                    dialog,
                    status: 200,
                    headers: Vec::new(),
                    body: description.to_bytes(),
                });
                self.note_hold(leg);
                true
            }
            Err(status) => {
                self.actions.push_back(respond(dialog, status));
                false
            }
        }
    }

    /// Our answer to a new offer of the far end, or our offer if it asks for one.
    ///
    /// # Errors
    /// The status with which it is refused.
    fn reoffered(&mut self, leg: LegId, body: &[u8]) -> Result<Description, u16> {
        let Some(session) = self.legs.get(&leg).and_then(Leg::session) else {
            return Err(500);
        };
        if session.agreed.is_none() {
            return Err(500);
        }
        let (origin, version) = (session.origin, session.version + 1);
        let (local, hold, id) = (session.local, session.hold, session.id);
        let worker = session.worker;
        let (ours, params) = if body.is_empty() {
            let (whom, codecs) = (self.whom(session, session.worker), session.codecs.clone());
            let capabilities = self.offering(leg, &codecs, whom, Some(id));
            let mut ours = negotiate::offer(&capabilities, local, origin, version);
            if hold {
                deafen(&mut ours);
            }
            (ours, None)
        } else {
            let theirs = Description::parse(body).map_err(|_| 400_u16)?;
            let capabilities = self.answering(leg, &theirs, (worker, Some(id)));
            let answer = negotiate::answer(&theirs, &capabilities, local, origin, version);
            let (mut ours, mut params) = answer.map_err(NegotiateError::status)?;
            if hold {
                deafen(&mut ours);
                params.receive = false;
            }
            (ours, Some(params))
        };
        if params.as_ref().is_some_and(|it| it.srtp.is_none())
            && let Some(track) = self.sessions.get_mut(&id)
        {
            // Should it be secured again, then with other keys.
            track.keys.clear();
        }
        let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
        let session = session.ok_or(500_u16)?;
        session.version = version;
        session.description = ours.clone();
        session.offering = params.is_none();
        if let Some(params) = params {
            session.agreed = Some(params.clone());
            let (worker, session) = (session.worker, session.id);
            self.media(worker, media::Command::Configure { session, params });
        }
        Ok(ours)
    }

    /// The far end has put us on hold, or wants to hear us again: reported once, as long as the leg
    /// is up.
    pub(super) fn note_hold(&mut self, leg: LegId) {
        let Some(Leg::Up { session, .. }) = self.legs.get_mut(&leg) else {
            return;
        };
        // We always offer to send, so who does not want to hear us is the far end.
        let held = session.agreed.as_ref().is_some_and(|agreed| !agreed.send);
        if std::mem::replace(&mut session.held, held) != held {
            self.event(if held {
                Event::Held { leg }
            } else {
                Event::Retrieved { leg }
            });
        }
    }

    /// Ends a leg whose negotiation failed after the fact.
    pub(super) fn not_acceptable(&mut self, now: Now, leg: LegId) {
        if let Some(&Leg::Up { dialog, .. }) = self.legs.get(&leg) {
            self.hang_up_dialog(dialog, Cause::NotAcceptable);
        }
        self.end(now, leg, Ending::near(Cause::NotAcceptable, Some(488)));
    }
}

/// Says in a description of ours that we do not hear what comes (RFC 3264 §8.4).
pub(super) fn deafen(description: &mut Description) {
    for media in description.media.iter_mut().filter(|media| media.port != 0) {
        let direction = media.direction.unwrap_or(Direction::SendRecv);
        media.direction = Some(Direction::from_halves(direction.sends(), false));
    }
}
