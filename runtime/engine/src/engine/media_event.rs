//! What a media worker's report means for a leg.

use vocab::call::{Cause, Event, RecordEnd, Side};
use vocab::{LegId, Now};

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
        let Some(leg) = leg else { return };
        match event {
            media::Event::Played { play, finished, .. } => self.played(now, leg, play, finished),
            media::Event::Digit { digit, .. } => self.digit(now, leg, digit),
            media::Event::Recorded { recording, end, length, .. } => {
                if let Some(Leg::Up { activity, .. }) = self.legs.get_mut(&leg)
                    && matches!(activity, Activity::Recording { .. })
                {
                    *activity = Activity::Idle;
                }
                self.event(Event::Recorded { leg, recording, end, length });
            }
            media::Event::Inactive { .. } => self.inactive(now, leg),
            media::Event::Closed { .. } => {}
        }
    }

    fn played(&mut self, now: Now, leg: LegId, play: vocab::PlayId, finished: bool) {
        if play.0 & INNER == 0 {
            return self.event(Event::Played { leg, play, finished });
        }
        let Some(Leg::Up { session, activity, .. }) = self.legs.get_mut(&leg) else { return };
        let (id, worker) = (session.id, session.worker);
        match activity {
            Activity::Gathering(gather) => {
                let step = gather.played(now.mono, play);
                self.gather_step(leg, step);
            }
            Activity::Beeping { play: beep, message } if *beep == play => {
                let message = message.clone();
                let command = record_message(id, &message);
                *activity = Activity::Recording { message };
                self.media(worker, command);
            }
            Activity::Beeping { .. } | Activity::Idle | Activity::Recording { .. } => {}
        }
    }

    fn digit(&mut self, now: Now, leg: LegId, digit: vocab::Pii<char>) {
        let Some(Leg::Up { session, activity, .. }) = self.legs.get_mut(&leg) else { return };
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
        if let Some(&(Leg::Up { dialog, .. } | Leg::Accepting { dialog, .. })) =
            self.legs.get(&leg)
        {
            self.hang_up_dialog(dialog, Cause::Lost);
            self.end(now, leg, Ending { cause: Cause::Lost, by: Side::Far, status: None });
        }
    }

    fn closed(&mut self, now: Now, leg: LegId) {
        match self.legs.get(&leg) {
            Some(&Leg::Ending { end, .. }) => {
                self.legs.remove(&leg);
                self.report_end(leg, end);
            }
            // The worker gave the session up by itself: it broke, and the call with it.
            Some(Leg::Accepting { .. } | Leg::Up { .. } | Leg::Dialing { .. }) => {
                let dialogs: Vec<_> =
                    self.dialogs.iter().filter(|&(_, &l)| l == leg).map(|(&d, _)| d).collect();
                for dialog in dialogs {
                    self.hang_up_dialog(dialog, Cause::Failed);
                }
                self.end(now, leg, Ending { cause: Cause::Failed, by: Side::Near, status: None });
                if let Some(Leg::Ending { end, .. }) = self.legs.remove(&leg) {
                    self.report_end(leg, end);
                }
            }
            Some(Leg::Offered { .. }) | None => {}
        }
    }
}
