//! The conference of a call: all legs that have joined talk with each other.

use std::collections::BTreeSet;

use media::limits::CONFERENCE_MEMBERS_MAX;
use vocab::call::Event;
use vocab::{ConferenceId, LegId, SessionId};

use super::Engine;
use crate::WorkerId;
use crate::leg::Leg;

/// A conference with at least one member. All of them are on one worker.
#[derive(Debug)]
pub(super) struct Conference {
    id: ConferenceId,
    worker: WorkerId,
    members: BTreeSet<LegId>,
}

impl Engine {
    /// Takes a leg into its call's conference, out of its bridge if it is in one.
    pub(super) fn join(&mut self, leg: LegId) {
        if !self.legs.contains_key(&leg) {
            return;
        }
        if self.is_member(leg) {
            return self.event(Event::Joined { leg });
        }
        let Some(Leg::Up { session, .. }) = self.legs.get_mut(&leg) else {
            return self.event(Event::Left { leg });
        };
        let (id, worker) = (session.id, session.worker);
        let room = self.conferences.get(&leg.call).is_none_or(|conference| {
            conference.worker == worker && conference.members.len() < CONFERENCE_MEMBERS_MAX
        });
        if !room {
            return self.event(Event::Left { leg });
        }
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) else {
            return;
        };
        let old = std::mem::take(&mut session.activity);
        self.cut_short(leg, id, worker, old);
        self.unbridge(leg);
        let conference = self.conferences.entry(leg.call).or_insert_with(|| {
            self.conference_last += 1;
            Conference {
                id: ConferenceId(self.conference_last),
                worker,
                members: BTreeSet::new(),
            }
        });
        conference.members.insert(leg);
        let conference = conference.id;
        self.media(
            worker,
            media::Command::Join {
                session: id,
                conference,
            },
        );
        self.event(Event::Joined { leg });
    }

    /// Takes a leg out of its call's conference; nothing happens if it is not in it.
    pub(super) fn leave_conference(&mut self, leg: LegId) {
        let Some(conference) = self.conferences.get_mut(&leg.call) else {
            return;
        };
        if !conference.members.remove(&leg) {
            return;
        }
        let worker = conference.worker;
        if conference.members.is_empty() {
            self.conferences.remove(&leg.call);
        }
        let session = self.legs.get(&leg).and_then(Leg::session);
        // A session that its worker closed by itself is in no conference any more.
        if let Some(session) = session.map(|session| session.id)
            && self.sessions.contains_key(&session)
        {
            self.media(worker, media::Command::Unbridge { session });
        }
        self.event(Event::Left { leg });
    }

    /// A leg goes on in the conference with another session.
    pub(super) fn sit_in(&mut self, leg: LegId, old: SessionId, session: SessionId) {
        let conference = self.conferences.get(&leg.call);
        let Some(conference) = conference.filter(|it| it.members.contains(&leg)) else {
            return;
        };
        let (worker, conference) = (conference.worker, conference.id);
        self.media(worker, media::Command::Unbridge { session: old });
        self.media(
            worker,
            media::Command::Join {
                session,
                conference,
            },
        );
    }

    fn is_member(&self, leg: LegId) -> bool {
        let conference = self.conferences.get(&leg.call);
        conference.is_some_and(|conference| conference.members.contains(&leg))
    }
}
