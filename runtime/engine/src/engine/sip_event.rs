//! What a report of the signalling means for a leg.

use std::sync::Arc;

use sip::message::{Request, Uri};
use sip::{DialogId, End, Hop};
use vocab::call::{Cause, Event, Side};
use vocab::{CallId, LegId, Now, Party};

use super::Engine;
use super::command::respond;
use crate::leg::{Ending, Leg, Negotiation};
use crate::limits::LEGS_MAX;
use crate::outcome::{ELSEWHERE, cause_of, telling};
use crate::timer::Timer;

impl Engine {
    pub(super) fn sip_event(&mut self, now: Now, leg: Option<LegId>, event: sip::Event) {
        match event {
            sip::Event::Incoming {
                dialog,
                request,
                user,
                replaces: Some(old),
                ..
            } => {
                let known = user.is_some();
                return self.take_over(dialog, old, known, &request.body);
            }
            sip::Event::Incoming {
                dialog,
                request,
                hop,
                user,
                replaces: None,
            } => {
                return self.incoming(now, dialog, &request, hop, user);
            }
            sip::Event::Registered { user, contacts } => {
                return self.event(Event::Registered { user, contacts });
            }
            sip::Event::Unregistered { user } => return self.event(Event::Unregistered { user }),
            sip::Event::AuthFailed { source, user } => {
                return self.event(Event::AuthFailed { source, user });
            }
            sip::Event::Response { id, status, times } => {
                let answer = super::Output::Response { id, status, times };
                return self.out.push_back(answer);
            }
            sip::Event::Cancelled { .. }
            | sip::Event::Trying { .. }
            | sip::Event::Progress { .. }
            | sip::Event::Answered { .. }
            | sip::Event::Failed { .. }
            | sip::Event::Confirmed { .. }
            | sip::Event::Reoffer { .. }
            | sip::Event::Reanswered { .. }
            | sip::Event::Refused { .. }
            | sip::Event::Refer { .. }
            | sip::Event::ReferAnswered { .. }
            | sip::Event::ReferProgress { .. }
            | sip::Event::Info { .. }
            | sip::Event::Ended { .. } => {}
        }
        // Reports of dialogs that were given up cross our hang-up on the wire: nothing to do.
        let Some(leg) = leg else { return };
        match event {
            sip::Event::Cancelled { .. } => {
                let (cause, by) = (Cause::Cancelled, Side::Far);
                self.end(
                    now,
                    leg,
                    Ending {
                        cause,
                        by,
                        status: Some(487),
                    },
                );
            }
            sip::Event::Trying { .. } => self.trying(leg),
            sip::Event::Progress { status, .. } => self.progress(leg, status),
            sip::Event::Answered { dialog, body } => self.answered(now, leg, dialog, &body),
            sip::Event::Failed { dialog, status, .. } => self.failed(now, leg, dialog, status),
            sip::Event::Confirmed { dialog, body } => self.confirmed(now, leg, dialog, &body),
            sip::Event::Reoffer { dialog, body } => {
                self.reoffer(leg, dialog, &body);
            }
            sip::Event::Reanswered { body, .. } => self.reanswered(leg, &body),
            sip::Event::Ended { why, .. } => {
                let (cause, by) = match why {
                    End::Theirs => (Cause::Normal, Side::Far),
                    End::Ours => (Cause::Normal, Side::Near),
                    End::NoAck | End::Lost => (Cause::Lost, Side::Far),
                };
                self.end(
                    now,
                    leg,
                    Ending {
                        cause,
                        by,
                        status: None,
                    },
                );
            }
            // Nobody can be asked yet whether the call may be transferred.
            sip::Event::Refer { dialog, .. } => {
                let status = 603;
                let answer = sip::Action::AnswerRefer { dialog, status };
                self.actions.push_back(answer);
            }
            sip::Event::Refused { .. }
            | sip::Event::ReferAnswered { .. }
            | sip::Event::ReferProgress { .. }
            | sip::Event::Info { .. }
            | sip::Event::Response { .. }
            | sip::Event::Incoming { .. }
            | sip::Event::Registered { .. }
            | sip::Event::Unregistered { .. }
            | sip::Event::AuthFailed { .. } => {}
        }
    }

    /// An INVITE that takes the place of a leg's dialog (RFC 3891 §3): the leg goes on with another
    /// far end, as after a transfer. Whoever has seen the dialog's messages knows its names, so
    /// the caller has to say who it is.
    fn take_over(&mut self, dialog: DialogId, old: DialogId, known: bool, offer: &[u8]) {
        let Some(&leg) = self.dialogs.get(&old) else {
            return self.actions.push_back(respond(dialog, 481));
        };
        if !known {
            return self.actions.push_back(sip::Action::Challenge { dialog });
        }
        if self.reoffer(leg, dialog, offer)
            && let Some(Leg::Up { dialog: kept, .. }) = self.legs.get_mut(&leg)
        {
            *kept = dialog;
            self.dialogs.insert(dialog, leg);
            self.leave(old, ELSEWHERE);
        }
    }

    fn incoming(
        &mut self,
        now: Now,
        dialog: DialogId,
        request: &Arc<Request>,
        hop: Hop,
        user: Option<String>,
    ) {
        if self.legs.len() >= LEGS_MAX || self.ports.free() == 0 {
            return self.actions.push_back(respond(dialog, self.full));
        }
        let leg = LegId {
            call: CallId::new(now.wall, &mut self.rng),
            n: 1,
        };
        let from = caller(request);
        let to = called(request);
        let sip_call_id: Arc<str> = request.headers.call_id().unwrap_or_default().into();
        self.dialogs.insert(dialog, leg);
        self.legs.insert(
            leg,
            Leg::Offered {
                dialog,
                offer: request.body.to_vec(),
            },
        );
        let source = hop.remote;
        self.event(Event::Incoming {
            leg,
            from,
            to,
            user,
            source,
            sip_call_id,
        });
    }

    /// Something is there, whatever comes of it.
    fn trying(&mut self, leg: LegId) {
        if let Some(Leg::Dialing { heard, .. }) = self.legs.get_mut(&leg)
            && !std::mem::replace(heard, true)
        {
            self.event(Event::Trying { leg });
        }
    }

    fn progress(&mut self, leg: LegId, status: u16) {
        self.trying(leg);
        if let Some(Leg::Dialing { ringing, .. }) = self.legs.get_mut(&leg)
            && status >= 180
            && !std::mem::replace(ringing, true)
        {
            self.event(Event::Ringing { leg });
        }
    }

    /// One of the forks answered: it is the leg now, and the others are called off.
    fn answered(&mut self, now: Now, leg: LegId, dialog: DialogId, body: &[u8]) {
        let Some(Leg::Dialing { forks, session, .. }) = self.legs.get(&leg) else {
            return;
        };
        let (forks, mut session) = (forks.clone(), session.clone());
        self.timers.clear(leg, Timer::Ring);
        for other in forks.into_iter().filter(|&other| other != dialog) {
            self.leave(other, ELSEWHERE);
        }
        let settled = self.settle_offer(&mut session, body);
        self.established(now, leg, Leg::up(dialog, session), settled);
    }

    /// The dialog stands: the leg is up if the two sides can also hear each other.
    fn established(&mut self, now: Now, leg: LegId, up: Leg, settled: Result<(), Cause>) {
        debug_assert!(matches!(up, Leg::Up { .. }), "an established leg is up");
        self.legs.insert(leg, up);
        match settled {
            Ok(()) => self.event(Event::Answered { leg }),
            Err(_) => self.not_acceptable(now, leg),
        }
    }

    fn failed(&mut self, now: Now, leg: LegId, dialog: DialogId, status: Option<u16>) {
        self.dialogs.remove(&dialog);
        let Some(Leg::Dialing { forks, last, .. }) = self.legs.get_mut(&leg) else {
            return;
        };
        forks.retain(|&fork| fork != dialog);
        *last = telling(*last, status);
        let status = *last;
        // A 6xx speaks for the person, not the device: nobody else is asked (RFC 3261 §16.7).
        let everywhere = status.is_some_and(|status| status >= 600);
        if !everywhere && !forks.is_empty() {
            return;
        }
        for other in std::mem::take(forks) {
            self.hang_up_dialog(other, Cause::Cancelled);
        }
        self.end(
            now,
            leg,
            Ending {
                cause: cause_of(status),
                by: Side::Far,
                status,
            },
        );
    }

    fn confirmed(&mut self, now: Now, leg: LegId, dialog: DialogId, body: &[u8]) {
        match self.legs.get(&leg) {
            Some(Leg::Accepting { session, .. }) => {
                let mut session = session.clone();
                let settled = match session.negotiation {
                    Negotiation::Offering => self.settle_offer(&mut session, body),
                    Negotiation::Settled(_) => Ok(()),
                };
                self.established(now, leg, Leg::up(dialog, session), settled);
            }
            // The ACK of a re-INVITE that asked for our offer.
            Some(Leg::Up { session, .. })
                if matches!(session.negotiation, Negotiation::Offering) =>
            {
                let mut session = session.clone();
                if self.settle_offer(&mut session, body).is_err() {
                    return self.not_acceptable(now, leg);
                }
                if let Some(Leg::Up { session: kept, .. }) = self.legs.get_mut(&leg) {
                    *kept = session;
                }
            }
            Some(
                Leg::Up { .. } | Leg::Offered { .. } | Leg::Dialing { .. } | Leg::Ending { .. },
            )
            | None => {}
        }
    }
}

/// Who calls, from `From`.
fn caller(request: &Request) -> Party {
    let Ok(from) = request.headers.from() else {
        return Party::Anonymous;
    };
    let (user, host) = match &from.uri {
        Uri::Sip(uri) => (
            uri.user_decoded().unwrap_or_default(),
            Some(uri.host.to_string()),
        ),
        Uri::Tel(uri) => (uri.digits(), None),
        Uri::Other(_) => return Party::Anonymous,
    };
    if user.is_empty() || user.eq_ignore_ascii_case("anonymous") {
        return Party::Anonymous;
    }
    let digits = user.strip_prefix('+').unwrap_or("");
    if (4..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Party::E164(user);
    }
    match host {
        Some(host) => Party::Sip(format!("{user}@{host}")),
        None => Party::Sip(user),
    }
}

/// What was dialled: the user part of the request URI.
fn called(request: &Request) -> String {
    match request.parse_uri() {
        Ok(Uri::Sip(uri)) => uri.user_decoded().unwrap_or_default(),
        Ok(Uri::Tel(uri)) => uri.digits(),
        Ok(Uri::Other(_)) | Err(_) => String::new(),
    }
}
