//! Workers that keep the media border's contract and nothing more.

use std::net::SocketAddr;

use jackfield_engine::WorkerId;
use vocab::call::RecordEnd;
use vocab::{Pii, PlayId, RecordingId, SessionId};

use super::{Chaos, Parcel};
use crate::world::{ms, s};

/// A session as its worker knows it.
pub(super) struct Session {
    worker: WorkerId,
    local: SocketAddr,
    play: Option<PlayId>,
    message: Option<RecordingId>,
}

impl Chaos {
    pub(super) fn report(&mut self, worker: WorkerId, event: media::Event) {
        self.post(ms(5), Parcel::Report(worker, event));
    }

    /// What a worker makes of a command.
    pub(super) fn worker(&mut self, worker: WorkerId, command: media::Command) {
        use media::Command as C;
        match command {
            C::Open { session, local } => {
                let opened = Session {
                    worker,
                    local,
                    play: None,
                    message: None,
                };
                self.sessions.insert(session, opened);
                if self.below(100) == 0 {
                    self.close(session);
                }
            }
            C::Play { session, play, .. } => {
                self.stop_play(session, false);
                if let Some(it) = self.sessions.get_mut(&session) {
                    it.play = Some(play);
                }
            }
            C::Stop { session, play } => {
                if self
                    .sessions
                    .get(&session)
                    .is_some_and(|it| it.play == Some(play))
                {
                    self.stop_play(session, false);
                }
            }
            C::RecordMessage {
                session, recording, ..
            } => {
                self.stop_message(session, RecordEnd::Terminator);
                if let Some(it) = self.sessions.get_mut(&session) {
                    it.message = Some(recording);
                }
            }
            C::StopRecording {
                session,
                recording,
                end,
            } => {
                if self
                    .sessions
                    .get(&session)
                    .is_some_and(|it| it.message == Some(recording))
                {
                    self.stop_message(session, end);
                }
            }
            C::Bridge { a, b } => {
                self.stop_play(a, false);
                self.stop_play(b, false);
            }
            C::Join { session, .. } => self.stop_play(session, false),
            C::Close { session } => self.close(session),
            C::Configure { .. }
            | C::SendDigits { .. }
            | C::RecordCall { .. }
            | C::SetPart { .. }
            | C::Beep { .. }
            | C::Listen { .. }
            | C::EndRecording { .. }
            | C::Unbridge { .. } => {}
        }
    }

    pub(super) fn stop_play(&mut self, session: SessionId, finished: bool) {
        let Some(it) = self.sessions.get_mut(&session) else {
            return;
        };
        if let Some(play) = it.play.take() {
            let worker = it.worker;
            self.report(
                worker,
                media::Event::Played {
                    session,
                    play,
                    finished,
                },
            );
        }
    }

    pub(super) fn stop_message(&mut self, session: SessionId, end: RecordEnd) {
        let Some(it) = self.sessions.get_mut(&session) else {
            return;
        };
        if let Some(recording) = it.message.take() {
            let (worker, length) = (it.worker, s(1));
            self.report(
                worker,
                media::Event::Recorded {
                    session,
                    recording,
                    end,
                    length,
                },
            );
        }
    }

    pub(super) fn close(&mut self, session: SessionId) {
        self.stop_play(session, false);
        self.stop_message(session, RecordEnd::Hangup);
        if let Some(Session { worker, local, .. }) = self.sessions.remove(&session) {
            let stats = media::Stats::default();
            self.report(
                worker,
                media::Event::Closed {
                    session,
                    local,
                    stats,
                },
            );
        }
    }

    /// A worker reports something.
    pub(super) fn media_step(&mut self) {
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        let Some(session) = self.one_of(&sessions) else {
            return;
        };
        let worker = self.sessions[&session].worker;
        match self.below(100) {
            0..40 => {
                let keys: Vec<char> = "0123456789*#ABCD".chars().collect();
                let digit = Pii::new(self.one_of(&keys).expect("not empty"));
                self.report(worker, media::Event::Digit { session, digit });
            }
            40..75 => self.stop_play(session, true),
            75..95 => self.stop_message(session, RecordEnd::Silence),
            95..98 => self.report(worker, media::Event::Inactive { session }),
            _ => self.close(session),
        }
    }
}
