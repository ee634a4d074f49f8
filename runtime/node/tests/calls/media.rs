//! Media workers that play nothing: they remember who should hear what.

use std::collections::BTreeMap;

use ::media::{Command, Event, Part, Stats};
use vocab::call::Beep;
use vocab::hearing::Listening;
use vocab::{Mono, PlayId, RecordingId, SessionId};

/// What a session was told to hear.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Hears {
    #[default]
    Nothing,
    /// Clips by name, and until when if they do not repeat.
    Clips(String, PlayId, Option<Mono>),
    Session(SessionId),
    Conference,
}

#[derive(Debug, Default)]
pub(crate) struct Session {
    local: Option<std::net::SocketAddr>,
    pub(crate) remote: Option<std::net::SocketAddr>,
    pub(crate) hears: Hears,
    /// What it hears again after a clip: that is mixed with whom it talks with.
    beneath: Hears,
    pub(crate) part: Part,
    pub(crate) listening: Listening,
}

#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// Segments that go on, and whose voice they take.
    pub(crate) recordings: BTreeMap<RecordingId, SessionId>,
    /// Beeps since this was last looked at.
    pub(crate) beeps: Vec<(SessionId, Beep)>,
}

impl Desk {
    /// What the worker says to a command.
    pub(crate) fn command(&mut self, now: Mono, command: &Command) -> Vec<Event> {
        let mut events = Vec::new();
        match command {
            Command::Open { session, local } => {
                let new = Session {
                    local: Some(*local),
                    ..Session::default()
                };
                self.sessions.insert(*session, new);
            }
            Command::Configure { session, params } => {
                self.of(*session).remote = Some(params.remote_rtp);
            }
            Command::Play {
                session,
                play,
                clips,
                repeat,
            } => {
                self.stop(*session, &mut events);
                let names: Vec<_> = clips.iter().map(|clip| &*clip.name).collect();
                let time = clips.iter().map(vocab::Clip::duration).sum();
                let end = (!repeat).then_some(now + time);
                let session = self.of(*session);
                let clips = Hears::Clips(names.join(" "), *play, end);
                session.beneath = std::mem::replace(&mut session.hears, clips);
            }
            Command::Stop { session, play } => {
                if matches!(&self.of(*session).hears, Hears::Clips(_, p, _) if p == play) {
                    self.stop(*session, &mut events);
                }
            }
            Command::Bridge { a, b } => {
                for (from, to) in [(a, b), (b, a)] {
                    self.stop(*from, &mut events);
                    self.of(*from).hears = Hears::Session(*to);
                }
            }
            Command::Join { session, .. } => {
                self.stop(*session, &mut events);
                self.of(*session).hears = Hears::Conference;
            }
            Command::Unbridge { session } => self.part(*session),
            Command::Close { session } => {
                self.part(*session);
                self.recordings.retain(|_, of| of != session);
                let mut closed = self.sessions.remove(session).expect("an open session");
                let local = closed.local.take().expect("it was opened with one");
                events.push(Event::Closed {
                    session: *session,
                    local,
                    stats: Stats::default(),
                });
            }
            Command::RecordCall {
                session, recording, ..
            } => {
                self.recordings.retain(|_, of| of != session);
                self.recordings.insert(*recording, *session);
            }
            Command::EndRecording { session, .. } => {
                self.recordings.retain(|_, of| of != session);
            }
            Command::StopRecording { recording, .. } => {
                self.recordings.remove(recording);
            }
            Command::SetPart { session, part } => self.of(*session).part = *part,
            Command::Listen { session, listening } => self.of(*session).listening = *listening,
            Command::Beep { session, beep } => self.beeps.push((*session, *beep)),
            Command::SendDigits { .. } | Command::RecordMessage { .. } => {}
        }
        events
    }

    /// Playbacks that are over by now.
    pub(crate) fn played(&mut self, now: Mono) -> Vec<Event> {
        let mut events = Vec::new();
        for (id, session) in &mut self.sessions {
            if let Hears::Clips(_, play, Some(end)) = session.hears
                && end <= now
            {
                session.hears = std::mem::take(&mut session.beneath);
                events.push(Event::Played {
                    session: *id,
                    play,
                    finished: true,
                });
            }
        }
        events
    }

    pub(crate) fn deadline(&self) -> Option<Mono> {
        let ends = self.sessions.values().map(|session| match session.hears {
            Hears::Clips(_, _, end) => end,
            Hears::Nothing | Hears::Session(_) | Hears::Conference => None,
        });
        ends.flatten().min()
    }

    fn of(&mut self, session: SessionId) -> &mut Session {
        self.sessions.get_mut(&session).expect("an open session")
    }

    fn stop(&mut self, session: SessionId, events: &mut Vec<Event>) {
        let own = self.of(session);
        if matches!(own.hears, Hears::Session(_) | Hears::Conference) {
            return;
        }
        let beneath = std::mem::take(&mut own.beneath);
        if let Hears::Clips(_, play, _) = std::mem::replace(&mut own.hears, beneath) {
            events.push(Event::Played {
                session,
                play,
                finished: false,
            });
        }
    }

    fn part(&mut self, session: SessionId) {
        let own = self.of(session);
        let link = match own.hears {
            Hears::Clips(..) => &mut own.beneath,
            Hears::Nothing | Hears::Session(_) | Hears::Conference => &mut own.hears,
        };
        if let Hears::Session(other) = std::mem::take(link)
            && let Some(other) = self.sessions.get_mut(&other)
        {
            for link in [&mut other.hears, &mut other.beneath] {
                if *link == Hears::Session(session) {
                    *link = Hears::Nothing;
                }
            }
        }
    }
}
