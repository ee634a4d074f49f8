//! What a media worker's report means for a leg.

use std::time::Duration;

use media::webrtc::Failure;
use media::{Stats, Way};
use vocab::call::{Cause, Event, RecordEnd};
use vocab::{LegId, MediaSummary, Now, Pii, PlayId, RecordingId, SessionId};

use super::Engine;
use super::command::{INNER, record_message};
use crate::WorkerId;
use crate::keys::Way as Heard;
use crate::leg::{Activity, Ending, Leg};

impl Engine {
    pub(super) fn media_event(
        &mut self,
        now: Now,
        worker: WorkerId,
        leg: Option<LegId>,
        event: media::Event,
    ) {
        if let media::Event::Closed {
            session,
            local,
            stats,
        } = event
        {
            self.ports.give_back(worker, local);
            self.summarize(session, stats);
            if let Some(leg) = self.gone(session) {
                self.closed(now, leg, session);
            }
            return;
        }
        let Some(leg) = leg.filter(|leg| self.legs.contains_key(leg)) else {
            return;
        };
        match event {
            media::Event::Played {
                session,
                play,
                finished,
            } => self.played(now, leg, (session, play), finished),
            media::Event::Digit { digit, .. } => self.digit(now, leg, digit, Heard::Media),
            media::Event::Recorded {
                session,
                recording,
                end,
                length,
            } => {
                self.recorded((session, recording), end, length);
            }
            media::Event::Heard { hearing, .. } => self.heard(leg, hearing),
            media::Event::Talking { talking, .. } => {
                self.event(Event::Talking { leg, talking });
            }
            media::Event::Speaker { .. } => self.event(Event::Speaker { leg }),
            media::Event::Inactive { .. } => self.inactive(now, leg),
            media::Event::Cut { session, why } => self.cut(now, leg, session, why),
            media::Event::OneWay { missing, .. } => {
                let unheard = missing == Way::Out;
                // Before the answer many phones are silent.
                if let Some(Leg::Up { session, .. }) = self.legs.get_mut(&leg)
                    && !std::mem::replace(&mut session.one_way[usize::from(unheard)], true)
                {
                    self.event(Event::OneWay { leg, unheard });
                }
            }
            media::Event::Closed { .. } => {}
        }
    }

    /// Tells what went over a session's audio, if there was any.
    fn summarize(&mut self, session: SessionId, stats: Stats) {
        let leg = self.sessions.get(&session).map(|track| track.carries);
        let leg = leg.filter(|leg| self.legs.contains_key(leg));
        let (Some(leg), Some(codec)) = (leg, stats.codec) else {
            return;
        };
        let micros = |us: u32| Duration::from_micros(us.into());
        let media = MediaSummary {
            codec: codec.name().to_owned(),
            secured: stats.secured,
            sent: stats.sent,
            received: stats.received,
            lost: stats.lost,
            late: stats.late,
            jitter: micros(stats.jitter_us),
            far_lost: stats.far_lost,
            round_trip: stats.round_trip_us.map(micros),
            mos: stats.mos,
        };
        self.event(Event::Media { leg, media });
    }

    fn recorded(
        &mut self,
        (session, recording): (SessionId, RecordingId),
        end: RecordEnd,
        length: Duration,
    ) {
        let Some(track) = self.sessions.get_mut(&session) else {
            return;
        };
        let messages = &mut track.asked.messages;
        let Some(place) = messages.iter().position(|&(_, known)| known == recording) else {
            return;
        };
        let (leg, _) = messages.remove(place);
        let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
        if let Some(session) = session
            && matches!(&session.activity, Activity::Recording { message } if message.recording == recording)
        {
            session.activity = Activity::Idle;
        }
        self.event(Event::Recorded {
            leg,
            recording,
            end,
            length,
        });
        self.finish_if_quiet(leg);
    }

    fn played(
        &mut self,
        now: Now,
        leg: LegId,
        (session, play): (SessionId, PlayId),
        finished: bool,
    ) {
        if play.0 & INNER == 0 {
            let track = self.sessions.get_mut(&session);
            if let Some(plays) = track.map(|track| &mut track.asked.plays)
                && let Some(place) = plays.iter().position(|&(_, known)| known == play)
            {
                let (leg, _) = plays.remove(place);
                self.event(Event::Played {
                    leg,
                    play,
                    finished,
                });
                self.finish_if_quiet(leg);
            }
            return;
        }
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) else {
            return;
        };
        let (id, worker) = (session.id, session.worker);
        match &mut session.activity {
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
                if let Some(track) = self.sessions.get_mut(&id) {
                    track.asked.messages.push((leg, message.recording));
                }
                session.activity = Activity::Recording { message };
                self.media(worker, command);
            }
            Activity::Beeping { .. } | Activity::Idle | Activity::Recording { .. } => {}
        }
    }

    /// A key was pressed, by whichever way it was heard.
    pub(super) fn digit(&mut self, now: Now, leg: LegId, digit: Pii<char>, way: Heard) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::audible) else {
            return;
        };
        if !session.keys.is_new(now.mono, *digit.reveal(), way) {
            return;
        }
        let (id, worker) = (session.id, session.worker);
        match &mut session.activity {
            Activity::Idle => self.event(Event::Digit { leg, digit }),
            Activity::Gathering(gather) => {
                let step = gather.digit(now.mono, *digit.reveal());
                self.gather_step(leg, step);
            }
            Activity::Recording { message } if message.terminators.contains(*digit.reveal()) => {
                let command = media::Command::StopRecording {
                    session: id,
                    recording: message.recording,
                    end: RecordEnd::Terminator,
                };
                self.media(worker, command);
            }
            Activity::Recording { .. } | Activity::Beeping { .. } => {}
        }
    }

    /// The far end sends nothing any more although it agreed to: it is gone, and its BYE too. Before
    /// the answer it need not send, and time begins anew.
    fn inactive(&mut self, now: Now, leg: LegId) {
        match self.legs.get(&leg) {
            Some(&(Leg::Up { dialog, .. } | Leg::Accepting { dialog, .. })) => {
                self.hang_up_dialog(dialog, Cause::Lost);
                self.end(now, leg, Ending::far(Cause::Lost, None, None));
            }
            Some(Leg::Early { session, .. } | Leg::Dialing { session, .. }) => {
                let (worker, session, agreed) =
                    (session.worker, session.id, session.agreed.clone());
                for receive in [false, true] {
                    if let Some(params) = agreed.clone() {
                        let params = media::StreamParams { receive, ..params };
                        self.media(worker, media::Command::Configure { session, params });
                    }
                }
            }
            Some(Leg::Offered { .. } | Leg::Ending { .. }) | None => {}
        }
    }

    /// There is no way to a browser, or none any more.
    fn cut(&mut self, now: Now, leg: LegId, session: SessionId, why: Failure) {
        let its = self.legs.get(&leg).and_then(Leg::session);
        if its.is_none_or(|its| its.id != session) {
            return;
        }
        let cause = match why {
            Failure::Certificate => Cause::NotAcceptable,
            Failure::Unreachable | Failure::Handshake | Failure::Closed => Cause::Lost,
        };
        match self.legs.get(&leg) {
            Some(&(Leg::Up { dialog, .. } | Leg::Accepting { dialog, .. })) => {
                self.hang_up_dialog(dialog, cause);
                self.end(now, leg, Ending::far(cause, None, None));
            }
            Some(Leg::Early { .. }) => self.refused(now, leg, 488, cause, Vec::new()),
            // Its final answer may bring another way, or another of those who are called.
            Some(Leg::Dialing { .. } | Leg::Offered { .. } | Leg::Ending { .. }) | None => {}
        }
    }

    /// A worker has closed a session. If nobody told it to, it broke, and the call with it.
    fn closed(&mut self, now: Now, leg: LegId, session: SessionId) {
        let its = self.legs.get(&leg).and_then(Leg::session);
        if its.is_some_and(|its| its.id == session) {
            self.drop_leg(now, leg);
        }
    }
}
