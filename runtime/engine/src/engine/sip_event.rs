//! What a report of the signalling means for a leg.

use std::sync::Arc;

use sip::message::Request;
use sip::{DialogId, End, Hop};
use vocab::call::{Cause, Event};
use vocab::{CallId, LegId, Now, Pii};

use super::Engine;
use super::command::respond;
use crate::caller;
use crate::keys::{self, Way};
use crate::leg::{Ending, Leg};
use crate::limits::{HOPS, LEGS_MAX};
use crate::outcome::{ELSEWHERE, Reason, Refusal};

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
                return self.take_over(now, dialog, old, known, &request.body);
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
            sip::Event::Registered {
                user,
                contacts,
                refreshed,
            } => {
                return self.event(Event::Registered {
                    user,
                    contacts,
                    refreshed,
                });
            }
            sip::Event::Unregistered { user, why } => {
                return self.event(Event::Unregistered { user, why });
            }
            sip::Event::Banned {
                source,
                reason,
                lasting,
            } => {
                return self.event(Event::Banned {
                    source,
                    reason: reason.name(),
                    lasting,
                });
            }
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
        if let Some(leg) = leg {
            self.leg_event(now, leg, event);
        }
    }

    /// What a report of one of its dialogs means for a leg.
    fn leg_event(&mut self, now: Now, leg: LegId, event: sip::Event) {
        match event {
            sip::Event::Cancelled { reason, .. } => {
                let q850 = Reason::parse(reason.as_deref()).q850;
                self.end(now, leg, Ending::far(Cause::Cancelled, Some(487), q850));
            }
            sip::Event::Trying { .. } => self.trying(leg),
            sip::Event::Progress {
                dialog,
                status,
                body,
            } => self.progress(leg, dialog, status, &body),
            sip::Event::Answered { dialog, body } => self.answered(now, leg, dialog, &body),
            sip::Event::Failed {
                dialog,
                status,
                reason,
                contacts,
                retry_after,
            } => {
                let reason = Reason::parse(reason.as_deref());
                let refusal = Refusal {
                    status,
                    reason,
                    contacts,
                    retry_after,
                };
                self.failed(now, leg, dialog, refusal);
            }
            sip::Event::Confirmed { dialog, body } => self.confirmed(now, leg, dialog, &body),
            sip::Event::Reoffer { dialog, body } => {
                if self.is_heard(leg, dialog) {
                    self.reoffer(leg, dialog, &body);
                } else {
                    self.actions.push_back(respond(dialog, 500));
                }
            }
            sip::Event::Reanswered { body, .. } => self.reanswered(now, leg, &body),
            sip::Event::Refused { status, .. } => self.not_reanswered(now, leg, status),
            sip::Event::Refer {
                dialog,
                to,
                replaces,
                ..
            } => self.refer_asked(now, leg, dialog, to, replaces.as_ref()),
            sip::Event::ReferAnswered { status, .. } => {
                let over = status.is_none_or(|status| status >= 300);
                self.referred(leg, status, over);
            }
            sip::Event::ReferProgress { status, over, .. } => self.referred(leg, status, over),
            sip::Event::Info {
                content_type, body, ..
            } => {
                if let Some(key) = keys::of_info(&content_type, &body) {
                    self.digit(now, leg, Pii::new(key), Way::Info);
                }
            }
            sip::Event::Ended { why, reason, .. } => {
                let q850 = Reason::parse(reason.as_deref()).q850;
                let end = match why {
                    End::Theirs => Ending::far(Cause::Normal, None, q850),
                    End::Ours => Ending::near(Cause::Normal, None),
                    End::NoAck | End::Lost => Ending::far(Cause::Lost, None, None),
                };
                self.end(now, leg, end);
            }
            sip::Event::Response { .. }
            | sip::Event::Incoming { .. }
            | sip::Event::Registered { .. }
            | sip::Event::Unregistered { .. }
            | sip::Event::AuthFailed { .. }
            | sip::Event::Banned { .. } => {}
        }
    }

    /// An INVITE that takes the place of a leg's dialog (RFC 3891 §3): the leg goes on with another
    /// far end, as after a transfer. Whoever has seen the dialog's messages knows its names, so
    /// the caller has to say who it is.
    fn take_over(&mut self, now: Now, dialog: DialogId, old: DialogId, known: bool, offer: &[u8]) {
        let Some(&leg) = self.dialogs.get(&old) else {
            return self.actions.push_back(respond(dialog, 481));
        };
        if !known {
            return self.actions.push_back(sip::Action::Challenge { dialog });
        }
        let up = matches!(self.legs.get(&leg), Some(Leg::Up { .. }));
        if !up {
            return self.actions.push_back(respond(dialog, 500));
        }
        if self.reoffer(leg, dialog, offer)
            && let Some(Leg::Up { dialog: kept, .. }) = self.legs.get_mut(&leg)
        {
            *kept = dialog;
            self.dialogs.insert(dialog, leg);
            self.answer_refer(leg, 603);
            self.leave(old, ELSEWHERE);
            self.give_up_wishes(now, leg);
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
        if self.legs.len() >= LEGS_MAX || !self.ports.has_room() {
            return self.actions.push_back(respond(dialog, self.full));
        }
        let leg = LegId {
            call: CallId::new(now.wall, &mut self.rng),
            n: 1,
        };
        let from = caller::claimed(request);
        let (asserted, withheld) = (caller::asserted(request), caller::is_withheld(request));
        let to = caller::called(request);
        let sip_call_id: Arc<str> = request.headers.call_id().unwrap_or_default().into();
        self.dialogs.insert(dialog, leg);
        self.legs.insert(
            leg,
            Leg::Offered {
                dialog,
                offer: request.body.to_vec(),
                // Who names no bound gets the usual one.
                hops: request
                    .headers
                    .max_forwards()
                    .ok()
                    .flatten()
                    .unwrap_or(HOPS),
            },
        );
        let source = hop.remote;
        self.event(Event::Incoming {
            leg,
            from,
            asserted,
            withheld,
            to,
            user,
            source,
            sip_call_id,
        });
    }

    /// The far end of this dialog is the one that the leg's session is agreed with.
    fn is_heard(&self, leg: LegId, dialog: DialogId) -> bool {
        match self.legs.get(&leg) {
            Some(Leg::Dialing { dialing, .. }) => dialing.early == Some(dialog),
            Some(
                Leg::Offered { .. }
                | Leg::Early { .. }
                | Leg::Accepting { .. }
                | Leg::Up { .. }
                | Leg::Ending { .. },
            )
            | None => true,
        }
    }

    /// The dialog stands: the leg is up if the two sides can also hear each other.
    pub(super) fn established(
        &mut self,
        now: Now,
        leg: LegId,
        dialog: DialogId,
        settled: Result<(), Cause>,
    ) {
        let session = self.legs.remove(&leg).and_then(Leg::into_session);
        let session = session.expect("what is established has a session");
        self.legs.insert(leg, Leg::Up { dialog, session });
        match settled {
            Ok(()) => {
                self.event(Event::Answered { leg });
                self.perk_up(leg);
                self.note_hold(leg);
            }
            Err(_) => self.not_acceptable(now, leg),
        }
    }

    fn confirmed(&mut self, now: Now, leg: LegId, dialog: DialogId, body: &[u8]) {
        match self.legs.get(&leg) {
            Some(Leg::Accepting { session, .. }) => {
                let settled = if session.offering {
                    self.settle_offer(leg, body)
                } else {
                    Ok(())
                };
                self.established(now, leg, dialog, settled);
            }
            // The ACK of a re-INVITE that asked for our offer.
            Some(Leg::Up { session, .. }) if session.offering => {
                match self.settle_offer(leg, body) {
                    Ok(()) => self.note_hold(leg),
                    Err(_) => self.not_acceptable(now, leg),
                }
            }
            Some(
                Leg::Up { .. }
                | Leg::Offered { .. }
                | Leg::Early { .. }
                | Leg::Dialing { .. }
                | Leg::Ending { .. },
            )
            | None => {}
        }
    }
}
