//! Ends of dialogs that we want: CANCEL, BYE, or a refusal (RFC 3261 §9.1, §15).

use vocab::Now;

use super::outbound::cookie;
use super::{Endpoint, Purpose};
use crate::border::{DialogId, End, Event};
use crate::dialog::{Cancel, Inbound, State};
use crate::transaction::{Derived, Key, client_invite, derive};

impl Endpoint {
    /// Ends a dialog, whatever its state.
    pub(super) fn hang_up(&mut self, now: Now, id: DialogId, reason: Option<String>) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        match &mut dialog.state {
            State::Calling(calling) => {
                let invite = calling.transaction;
                let slot = self.client_invites.slot(invite);
                let proceeding = slot.is_some_and(|slot| slot.machine.is_proceeding());
                match calling.cancel {
                    Cancel::No if proceeding => self.cancel(now, id, reason.as_deref()),
                    Cancel::No => {
                        calling.cancel = Cancel::Wanted { reason };
                        self.feed_client_invite(now, invite, client_invite::Input::Abandoned);
                    }
                    Cancel::Wanted { .. } | Cancel::Sent => {}
                }
            }
            State::Ringing(_) => {
                let headers: Vec<(String, String)> = reason
                    .map(|reason| ("Reason".to_owned(), reason))
                    .into_iter()
                    .collect();
                self.respond(now, id, 603, &headers, b"");
                self.event(Event::Ended {
                    dialog: id,
                    why: End::Ours,
                    reason: None,
                });
            }
            State::Up(inbound) => {
                match std::mem::replace(inbound, Inbound::Idle) {
                    Inbound::Accepted(accepted) => {
                        dialog.state = State::Leaving(accepted, reason);
                        self.refuse_pending(now, id);
                        self.abandon_ours(now, id);
                        self.rearm(id);
                    }
                    other @ (Inbound::Idle | Inbound::Pending(_)) => {
                        *inbound = other;
                        self.refuse_pending(now, id);
                        self.bye(now, id, reason.as_deref());
                    }
                }
                self.event(Event::Ended {
                    dialog: id,
                    why: End::Ours,
                    reason: None,
                });
            }
            State::Leaving(..) | State::Ending => {}
        }
    }

    /// Sends CANCEL after our first INVITE (§9.1).
    pub(super) fn cancel(&mut self, now: Now, id: DialogId, reason: Option<&str>) {
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        let State::Calling(calling) = &mut dialog.state else {
            unreachable!("only a pending INVITE is cancelled")
        };
        calling.cancel = Cancel::Sent;
        let (invite, branch) = (calling.transaction, calling.branch.clone());
        self.cancel_invite(now, invite, &branch, reason);
    }

    /// Sends CANCEL after an INVITE with this branch.
    pub(super) fn cancel_invite(
        &mut self,
        now: Now,
        invite: Key,
        branch: &str,
        reason: Option<&str>,
    ) {
        let branch = cookie(branch);
        let slot = self
            .client_invites
            .slot(invite)
            .expect("a pending INVITE has a transaction");
        let request = slot
            .machine
            .request()
            .expect("a pending INVITE keeps its request");
        let (hop, bytes) = (slot.hop, derive(request, Derived::Cancel { reason }));
        let key = self.client_key(&branch, "CANCEL");
        self.add_client(now, key, hop, bytes, Purpose::Farewell);
        self.feed_client_invite(now, invite, client_invite::Input::Cancelled);
    }

    /// Sends BYE; the dialog ends with its answer.
    pub(super) fn bye(&mut self, now: Now, id: DialogId, reason: Option<&str>) {
        let headers: Vec<(&str, &str)> = reason
            .map(|reason| ("Reason", reason))
            .into_iter()
            .collect();
        self.send_bye(now, id, &headers, false);
    }

    pub(super) fn send_bye(
        &mut self,
        now: Now,
        id: DialogId,
        headers: &[(&str, &str)],
        again: bool,
    ) {
        self.abandon_ours(now, id);
        let branch = self.token();
        let dialog = self
            .dialogs
            .get_mut(&id)
            .expect("the caller has just seen it");
        dialog.state = State::Ending;
        let cseq = dialog.next_cseq();
        let own = self.config.own(dialog.hop);
        let bytes = dialog
            .draft("BYE", cseq, (own, &branch))
            .write(headers.iter().copied());
        let hop = dialog.hop;
        self.rearm(id);
        let key = self.client_key(&cookie(&branch), "BYE");
        self.add_client(now, key, hop, bytes, Purpose::Bye { dialog: id, again });
    }
}
