//! Media workers that keep the border's contract and play nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use engine::WorkerId;
use vocab::call::RecordEnd;
use vocab::{PlayId, RecordingId, SessionId};

use super::{Crowd, Happening};

/// How long a worker takes to hear a command and to be heard.
const TICK: Duration = Duration::from_millis(20);

/// How long a clip takes.
const CLIP: Duration = Duration::from_millis(500);

/// The sessions of all workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    sessions: BTreeMap<SessionId, Session>,
}

#[derive(Debug)]
struct Session {
    worker: WorkerId,
    local: SocketAddr,
    play: Option<PlayId>,
    message: Option<RecordingId>,
}

impl Workers {
    /// Sessions that are open.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }
}

impl Crowd {
    /// What a worker makes of a command.
    pub(super) fn media(&mut self, worker: WorkerId, command: media::Command) {
        use media::Command as C;
        match command {
            C::Open { session, local } => {
                let opened = Session {
                    worker,
                    local,
                    play: None,
                    message: None,
                };
                let before = self.workers.sessions.insert(session, opened);
                assert!(before.is_none(), "session {session} is opened once");
            }
            C::Play { session, play, .. } => {
                self.stop_play(session);
                if let Some(it) = self.workers.sessions.get_mut(&session) {
                    it.play = Some(play);
                }
                self.at(
                    CLIP,
                    Happening::Control(super::control::Act::Heard(session, play)),
                );
            }
            C::Stop { session, play } => {
                if self.plays(session, play) {
                    self.stop_play(session);
                }
            }
            C::RecordMessage {
                session, recording, ..
            } => {
                self.stop_message(session, RecordEnd::Terminator);
                if let Some(it) = self.workers.sessions.get_mut(&session) {
                    it.message = Some(recording);
                }
            }
            C::StopRecording { session, end, .. } => self.stop_message(session, end),
            C::Bridge { a, b } => {
                self.stop_play(a);
                self.stop_play(b);
            }
            C::Close { session } => self.close(session),
            C::SetPart { .. }
            | C::Beep { .. }
            | C::Listen { .. }
            | C::Configure { .. }
            | C::SendDigits { .. }
            | C::RecordCall { .. }
            | C::Join { .. }
            | C::EndRecording { .. }
            | C::Unbridge { .. } => {}
        }
    }

    /// A clip is over, if it was not stopped.
    pub(super) fn heard_out(&mut self, session: SessionId, play: PlayId) {
        if self.plays(session, play) {
            self.played(session, true);
        }
    }

    fn plays(&self, session: SessionId, play: PlayId) -> bool {
        let session = self.workers.sessions.get(&session);
        session.is_some_and(|it| it.play == Some(play))
    }

    fn stop_play(&mut self, session: SessionId) {
        self.played(session, false);
    }

    fn played(&mut self, session: SessionId, finished: bool) {
        let Some(it) = self.workers.sessions.get_mut(&session) else {
            return;
        };
        let worker = it.worker;
        if let Some(play) = it.play.take() {
            let event = media::Event::Played {
                session,
                play,
                finished,
            };
            self.at(TICK, Happening::Report(worker, event));
        }
    }

    fn stop_message(&mut self, session: SessionId, end: RecordEnd) {
        let Some(it) = self.workers.sessions.get_mut(&session) else {
            return;
        };
        let worker = it.worker;
        if let Some(recording) = it.message.take() {
            let event = media::Event::Recorded {
                session,
                recording,
                end,
                length: CLIP,
            };
            self.at(TICK, Happening::Report(worker, event));
        }
    }

    fn close(&mut self, session: SessionId) {
        self.stop_play(session);
        self.stop_message(session, RecordEnd::Hangup);
        let closed = self.workers.sessions.remove(&session);
        let Session { worker, local, .. } = closed.expect("a session is closed once");
        let event = media::Event::Closed {
            session,
            local,
            stats: media::Stats::default(),
        };
        self.at(TICK, Happening::Report(worker, event));
    }
}
