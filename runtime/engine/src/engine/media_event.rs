//! What a media worker's report means for a leg.

use std::time::Duration;

use vocab::call::{Cause, Event, RecordEnd, Side};
use vocab::{LegId, Now, RecordingId};

use super::Engine;
use super::command::{INNER, record_message};
use crate::WorkerId;
use crate::leg::{Activity, Ending, Leg};

impl Engine {
    pub(super) fn media_event(
        &mut self,
        now: Now,
        worker: WorkerId,
        leg: Option<LegId>,
        event: media::Event,
    ) {
        if let media::Event::Closed { session, local, .. } = event {
            self.ports.give_back(worker, local);
            self.sessions.remove(&session);
            if let Some(leg) = leg {
                self.closed(now, leg);
            }
            return;
        }
        let Some(leg) = leg.filter(|leg| self.legs.contains_key(leg)) else {
            return;
        };
        match event {
            media::Event::Played { play, finished, .. } => self.played(now, leg, play, finished),
            media::Event::Digit { digit, .. } => self.digit(now, leg, digit),
            media::Event::Recorded {
                recording,
                end,
                length,
                ..
            } => {
                self.recorded(leg, recording, end, length);
            }
            media::Event::Inactive { .. } => self.inactive(now, leg),
            media::Event::Closed { .. } => {}
        }
    }

    fn recorded(&mut self, leg: LegId, recording: RecordingId, end: RecordEnd, length: Duration) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) else {
            return;
        };
        let Some(place) = session
            .asked
            .messages
            .iter()
            .position(|&known| known == recording)
        else {
            return;
        };
        session.asked.messages.remove(place);
        if let Some(Leg::Up { activity, .. }) = self.legs.get_mut(&leg)
            && matches!(activity, Activity::Recording { message } if message.recording == recording)
        {
            *activity = Activity::Idle;
        }
        self.event(Event::Recorded {
            leg,
            recording,
            end,
            length,
        });
    }

    fn played(&mut self, now: Now, leg: LegId, play: vocab::PlayId, finished: bool) {
        if play.0 & INNER == 0 {
            let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
            let plays = session.map(|session| &mut session.asked.plays);
            if let Some(plays) = plays
                && let Some(place) = plays.iter().position(|&known| known == play)
            {
                plays.remove(place);
                self.event(Event::Played {
                    leg,
                    play,
                    finished,
                });
            }
            return;
        }
        let Some(Leg::Up {
            session, activity, ..
        }) = self.legs.get_mut(&leg)
        else {
            return;
        };
        let (id, worker) = (session.id, session.worker);
        match activity {
            Activity::Gathering(gather) => {
                let step = gather.played(now.mono, play);
                self.gather_step(leg, step);
            }
            Activity::Beeping {
                play: beep,
                message,
            } if *beep == play => {
                let message = message.clone();
                let command = record_message(id, &message);
                session.asked.messages.push(message.recording);
                *activity = Activity::Recording { message };
                self.media(worker, command);
            }
            Activity::Beeping { .. } | Activity::Idle | Activity::Recording { .. } => {}
        }
    }

    fn digit(&mut self, now: Now, leg: LegId, digit: vocab::Pii<char>) {
        let Some(Leg::Up {
            session, activity, ..
        }) = self.legs.get_mut(&leg)
        else {
            return;
        };
        match activity {
            Activity::Idle => self.event(Event::Digit { leg, digit }),
            Activity::Gathering(gather) => {
                let step = gather.digit(now.mono, *digit.reveal());
                self.gather_step(leg, step);
            }
            Activity::Recording { message } if message.terminators.contains(*digit.reveal()) => {
                let command = media::Command::StopRecording {
                    session: session.id,
                    recording: message.recording,
                    end: RecordEnd::Terminator,
                };
                let worker = session.worker;
                self.media(worker, command);
            }
            Activity::Recording { .. } | Activity::Beeping { .. } => {}
        }
    }

    /// The far end sends nothing any more although it agreed to: it is gone, and its BYE too.
    fn inactive(&mut self, now: Now, leg: LegId) {
        if let Some(&(Leg::Up { dialog, .. } | Leg::Accepting { dialog, .. })) = self.legs.get(&leg)
        {
            self.hang_up_dialog(dialog, Cause::Lost);
            self.end(
                now,
                leg,
                Ending {
                    cause: Cause::Lost,
                    by: Side::Far,
                    status: None,
                },
            );
        }
    }

    fn closed(&mut self, now: Now, leg: LegId) {
        match self.legs.get(&leg) {
            Some(Leg::Ending { .. }) => {
                if let Some(Leg::Ending { session, end }) = self.legs.remove(&leg) {
                    self.report_end(leg, &session.asked, end);
                }
            }
            // The worker gave the session up by itself: it broke, and the call with it.
            Some(Leg::Accepting { .. } | Leg::Up { .. } | Leg::Dialing { .. }) => {
                self.drop_leg(now, leg);
            }
            Some(Leg::Offered { .. }) | None => {}
        }
    }
}
