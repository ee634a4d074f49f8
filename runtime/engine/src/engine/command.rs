//! What each command does to its leg.

use sip::message::Uri;
use vocab::call::{Cause, Command, Event, GatherEnd, GatherSpec, RecordEnd};
use vocab::{Clip, LegId, Now, Pii, PlayId, RecordingId, SessionId};

use super::Engine;
use crate::WorkerId;
use crate::gather::{Gather, Step};
use crate::leg::{Activity, Ending, Leg, Message};
use crate::limits::{CLIPS_MAX, DIGITS_MAX, MESSAGES_MAX, PLAYS_MAX};
use crate::outcome::{Reason, cause_of, q850, status_of};
use crate::timer::Timer;

impl Engine {
    pub(super) fn command(&mut self, now: Now, command: Command) {
        match command {
            Command::Challenge { leg } => self.challenge(now, leg),
            Command::Ring { leg } => {
                if let Some(dialog) = self.legs.get(&leg).and_then(Leg::unanswered) {
                    self.actions.push_back(respond(dialog, 180));
                }
            }
            Command::Answer { leg } => self.answer(now, leg),
            Command::Reject { leg, status, q850 } => self.reject(now, leg, status, q850),
            Command::Redirect { leg, to } => self.redirect(now, leg, &to),
            Command::Progress { leg } => self.early(now, leg),
            Command::Play {
                leg,
                play,
                clips,
                repeat,
            } => self.play(leg, play, clips, repeat),
            Command::Stop { leg, play } => {
                if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::audible) {
                    let (worker, session) = (session.worker, session.id);
                    self.media(worker, media::Command::Stop { session, play });
                }
            }
            Command::Gather { leg, clips, spec } => self.gather(now, leg, clips, spec),
            Command::Record {
                leg,
                recording,
                max,
                silence,
                beep,
                terminators,
            } => {
                let message = Message {
                    recording,
                    max,
                    silence,
                    terminators,
                };
                self.record(leg, message, beep);
            }
            Command::RecordCall {
                leg,
                recording,
                channels,
            } => {
                if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) {
                    session.recorded = true;
                    let (worker, session) = (session.worker, session.id);
                    self.media(
                        worker,
                        media::Command::RecordCall {
                            session,
                            recording,
                            channels,
                        },
                    );
                }
            }
            Command::EndRecording { leg, end } => self.end_recording(leg, end),
            Command::Dial {
                leg,
                target,
                caller,
                timeout,
                sent_by,
            } => {
                self.dial(now, leg, target, &caller, sent_by.as_deref());
                if matches!(self.legs.get(&leg), Some(Leg::Dialing { .. })) {
                    self.timers.set(leg, Timer::Ring, now.mono + timeout);
                }
            }
            Command::Bridge { a, b } => self.bridge(a, b),
            Command::Unbridge { leg } => self.unbridge(leg),
            Command::Join { leg } => self.join(leg),
            Command::SetPart { leg, part } => self.set_part(leg, part),
            Command::Beep { leg, beep } => {
                if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::audible) {
                    let (worker, session) = (session.worker, session.id);
                    self.media(worker, media::Command::Beep { session, beep });
                }
            }
            Command::Listen { leg, listening } => self.listen(leg, listening),
            Command::Reoffer { leg, codecs, hold } => self.offer_anew(now, leg, codecs, hold),
            Command::Refer { leg, to } => self.refer(leg, to),
            Command::AnswerRefer { leg, status } => self.answer_refer(leg, status),
            Command::TellRefer { leg, status } => self.tell_refer(leg, status),
            Command::Move { from, to, with } => self.go_on_as(now, from, to, with),
            Command::SendDigits { leg, digits } => self.send_digits(leg, digits),
            Command::Hangup { leg, cause } => self.hang_up(now, leg, cause),
        }
    }

    fn challenge(&mut self, now: Now, leg: LegId) {
        if let Some(dialog) = self.legs.get(&leg).and_then(Leg::unanswered) {
            self.dialogs.remove(&dialog);
            self.actions.push_back(sip::Action::Challenge { dialog });
            self.end(now, leg, Ending::near(Cause::Challenged, Some(401)));
        }
    }

    pub(super) fn reject(&mut self, now: Now, leg: LegId, status: u16, cause: Option<u8>) {
        if self.legs.get(&leg).and_then(Leg::unanswered).is_none() {
            return;
        }
        assert!((300..700).contains(&status), "a refusal is a final status");
        let named = |cause| ("Reason".to_owned(), q850(cause));
        let headers = cause.map(named).into_iter().collect();
        let reason = Reason {
            q850: cause,
            sip: None,
        };
        let cause = if status == 503 {
            Cause::Overload
        } else {
            cause_of(Some(status), reason)
        };
        self.refused(now, leg, status, cause, headers);
    }

    /// Refuses an unanswered inbound leg.
    pub(super) fn refused(
        &mut self,
        now: Now,
        leg: LegId,
        status: u16,
        cause: Cause,
        headers: Vec<(String, String)>,
    ) {
        if let Some(dialog) = self.legs.get(&leg).and_then(Leg::unanswered) {
            let mut answer = respond(dialog, status);
            if let sip::Action::Respond { headers: all, .. } = &mut answer {
                all.extend(headers);
            }
            self.actions.push_back(answer);
            self.end(now, leg, Ending::near(cause, Some(status)));
        }
    }

    /// Sends a caller elsewhere. Where that is no address it would not get anywhere: refused.
    fn redirect(&mut self, now: Now, leg: LegId, to: &Pii<String>) {
        match Uri::parse(to.reveal()) {
            Ok(Uri::Sip(uri)) => {
                let contact = ("Contact".to_owned(), format!("<{uri}>"));
                self.refused(now, leg, 302, Cause::Transferred, vec![contact]);
            }
            Ok(Uri::Tel(_) | Uri::Other(_)) | Err(_) => {
                self.refused(now, leg, 500, Cause::Failed, Vec::new());
            }
        }
    }

    fn hang_up(&mut self, now: Now, leg: LegId, cause: Cause) {
        let Some(known) = self.legs.get(&leg) else {
            return;
        };
        if known.unanswered().is_some() {
            return self.refused(now, leg, status_of(cause), cause, Vec::new());
        }
        for dialog in known.dialogs().to_vec() {
            self.hang_up_dialog(dialog, cause);
        }
        self.end(now, leg, Ending::near(cause, None));
    }

    fn play(&mut self, leg: LegId, play: PlayId, mut clips: Vec<Clip>, repeat: bool) {
        clips.truncate(CLIPS_MAX);
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::audible) else {
            if self.legs.contains_key(&leg) {
                self.never_played(leg, play);
            }
            return;
        };
        let (id, worker) = (session.id, session.worker);
        let track = self.sessions.get_mut(&id);
        let Some(track) = track.filter(|track| track.asked.plays.len() < PLAYS_MAX) else {
            return self.never_played(leg, play);
        };
        track.asked.plays.push((leg, play));
        let old = std::mem::take(&mut session.activity);
        self.cut_short(leg, id, worker, old);
        self.media(
            worker,
            media::Command::Play {
                session: id,
                play,
                clips,
                repeat,
            },
        );
    }

    fn gather(&mut self, now: Now, leg: LegId, mut clips: Vec<Clip>, mut spec: GatherSpec) {
        clips.truncate(CLIPS_MAX);
        spec.max = spec
            .max
            .clamp(1, u8::try_from(DIGITS_MAX).expect("the bound fits"));
        spec.min = spec.min.min(spec.max);
        let prompt = (!clips.is_empty()).then(|| self.inner_play());
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::audible) else {
            if let Some(other) = self.legs.get(&leg) {
                let leaving = matches!(other, Leg::Ending { .. });
                let end = if leaving {
                    GatherEnd::Hangup
                } else {
                    GatherEnd::Timeout
                };
                self.event(Event::Gathered {
                    leg,
                    digits: Pii::new(String::new()),
                    end,
                });
            }
            return;
        };
        let (id, worker) = (session.id, session.worker);
        let (gather, step) = Gather::new(now.mono, spec, prompt);
        let old = std::mem::replace(&mut session.activity, Activity::Gathering(gather));
        self.cut_short(leg, id, worker, old);
        if let Some(play) = prompt {
            self.media(
                worker,
                media::Command::Play {
                    session: id,
                    play,
                    clips,
                    repeat: false,
                },
            );
        }
        self.gather_step(leg, step);
    }

    /// Does what a gather decided.
    pub(super) fn gather_step(&mut self, leg: LegId, step: Step) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::audible) else {
            return;
        };
        let (id, worker) = (session.id, session.worker);
        let stop = match step {
            Step::Stay => return,
            Step::Wait { until, stop } => {
                self.timers.set(leg, Timer::Gather, until);
                stop
            }
            Step::End { digits, end, stop } => {
                session.activity = Activity::Idle;
                self.timers.clear(leg, Timer::Gather);
                self.event(Event::Gathered {
                    leg,
                    digits: Pii::new(digits),
                    end,
                });
                stop
            }
        };
        if let Some(play) = stop {
            self.media(worker, media::Command::Stop { session: id, play });
        }
    }

    fn record(&mut self, leg: LegId, message: Message, mut beep: Vec<Clip>) {
        beep.truncate(CLIPS_MAX);
        let play = (!beep.is_empty()).then(|| self.inner_play());
        let recording = message.recording;
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::audible) else {
            if self.legs.contains_key(&leg) {
                self.never_recorded(leg, recording);
            }
            return;
        };
        let (id, worker) = (session.id, session.worker);
        let track = self.sessions.get_mut(&id);
        let Some(track) = track.filter(|track| track.asked.messages.len() < MESSAGES_MAX) else {
            return self.never_recorded(leg, recording);
        };
        let (new, command) = match play {
            Some(play) => {
                let command = media::Command::Play {
                    session: id,
                    play,
                    clips: beep,
                    repeat: false,
                };
                (Activity::Beeping { play, message }, command)
            }
            None => {
                track.asked.messages.push((leg, recording));
                let command = record_message(id, &message);
                (Activity::Recording { message }, command)
            }
        };
        let old = std::mem::replace(&mut session.activity, new);
        self.cut_short(leg, id, worker, old);
        self.media(worker, command);
    }

    pub(super) fn never_played(&mut self, leg: LegId, play: PlayId) {
        self.event(Event::Played {
            leg,
            play,
            finished: false,
        });
    }

    pub(super) fn never_recorded(&mut self, leg: LegId, recording: RecordingId) {
        let (end, length) = (RecordEnd::Hangup, std::time::Duration::ZERO);
        self.event(Event::Recorded {
            leg,
            recording,
            end,
            length,
        });
    }

    /// Stops what a leg does because something else begins.
    pub(super) fn cut_short(
        &mut self,
        leg: LegId,
        session: SessionId,
        worker: WorkerId,
        activity: Activity,
    ) {
        let playing = match &activity {
            Activity::Idle => None,
            Activity::Gathering(gather) => gather.prompt(),
            Activity::Beeping { play, .. } => Some(*play),
            Activity::Recording { message } => {
                // As the worker itself has it when one message follows another: as if by a key.
                let (recording, end) = (message.recording, RecordEnd::Terminator);
                self.media(
                    worker,
                    media::Command::StopRecording {
                        session,
                        recording,
                        end,
                    },
                );
                None
            }
        };
        if let Some(play) = playing {
            self.media(worker, media::Command::Stop { session, play });
        }
        self.stop_activity(leg, activity);
    }

    /// Reports what was cut short, so that each command has its answer.
    pub(super) fn stop_activity(&mut self, leg: LegId, activity: Activity) {
        self.timers.clear(leg, Timer::Gather);
        match activity {
            // A recording's end is reported by its worker.
            Activity::Idle | Activity::Recording { .. } => {}
            Activity::Gathering(gather) => {
                let digits = Pii::new(gather.hangup());
                self.event(Event::Gathered {
                    leg,
                    digits,
                    end: GatherEnd::Hangup,
                });
            }
            Activity::Beeping { message, .. } => self.never_recorded(leg, message.recording),
        }
    }

    fn bridge(&mut self, a: LegId, b: LegId) {
        if !self.legs.contains_key(&a) || !self.legs.contains_key(&b) {
            return;
        }
        let mut audible = |leg: LegId| {
            let session = self.legs.get_mut(&leg).and_then(Leg::audible)?;
            Some((session.id, session.worker, session.peer))
        };
        let (a_session, b_session, worker) = match (audible(a), audible(b)) {
            (Some((_, _, Some(peer))), Some(_)) if peer == b => {
                return self.event(Event::Bridged { a, b });
            }
            (Some((a_session, a_worker, None)), Some((b_session, b_worker, None)))
                if a_worker == b_worker && a != b =>
            {
                (a_session, b_session, a_worker)
            }
            (Some(_) | None, Some(_) | None) => return self.event(Event::Unbridged { a, b }),
        };
        self.leave_conference(a);
        self.leave_conference(b);
        for (leg, id, other) in [(a, a_session, b), (b, b_session, a)] {
            if let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) {
                session.peer = Some(other);
                session.passed_on = None;
                let old = std::mem::take(&mut session.activity);
                self.cut_short(leg, id, worker, old);
            }
        }
        self.media(
            worker,
            media::Command::Bridge {
                a: a_session,
                b: b_session,
            },
        );
        self.event(Event::Bridged { a, b });
    }

    /// Takes a leg out of its bridge or conference.
    pub(super) fn unbridge(&mut self, leg: LegId) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::session_mut) else {
            return;
        };
        let place = (session.id, session.worker);
        if let Some(other) = session.peer.take() {
            self.part(leg, other, place);
        }
        self.leave_conference(leg);
    }

    /// Takes a bridge apart, seen from `leg`, whose own `peer` is already taken out.
    pub(super) fn part(&mut self, leg: LegId, other: LegId, place: (SessionId, WorkerId)) {
        if let Some(other) = self.legs.get_mut(&other).and_then(Leg::session_mut) {
            assert_eq!(other.peer.take(), Some(leg), "a bridge has two ends");
        }
        // A session that its worker closed by itself is in no bridge any more.
        let (session, worker) = place;
        if self.sessions.contains_key(&session) {
            self.media(worker, media::Command::Unbridge { session });
        }
        self.event(Event::Unbridged { a: leg, b: other });
    }

    fn send_digits(&mut self, leg: LegId, digits: Pii<String>) {
        let Some(session) = self.legs.get_mut(&leg).and_then(Leg::audible) else {
            return;
        };
        let (worker, session) = (session.worker, session.id);
        let valid: String = digits
            .reveal()
            .chars()
            .filter(|c| c.is_ascii_digit() || "*#ABCD".contains(*c))
            .take(DIGITS_MAX)
            .collect();
        let digits = Pii::new(valid);
        self.media(worker, media::Command::SendDigits { session, digits });
    }

    /// A playback of the engine's own, never reported: its ids have the top bit set.
    fn inner_play(&mut self) -> PlayId {
        self.play_last += 1;
        PlayId(self.play_last | INNER)
    }
}

/// Marks the engine's own playbacks.
pub(super) const INNER: u64 = 1 << 63;

pub(super) fn record_message(session: SessionId, message: &Message) -> media::Command {
    media::Command::RecordMessage {
        session,
        recording: message.recording,
        max: message.max,
        silence: message.silence,
    }
}

pub(super) fn respond(dialog: sip::DialogId, status: u16) -> sip::Action {
    let headers = if status == 503 {
        // RFC 3261 §21.5.4: without it the caller would have to treat the answer as a 500.
        vec![("Retry-After".to_owned(), "5".to_owned())]
    } else {
        Vec::new()
    };
    sip::Action::Respond {
        dialog,
        status,
        headers,
        body: Vec::new(),
    }
}
