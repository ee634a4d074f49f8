//! What each command does to its leg.

use sip::Transport;
use sip::message::{Host, SipUri, Uri};
use vocab::call::{Cause, Command, Event, GatherEnd, GatherSpec, RecordEnd, Side, Target};
use vocab::{Clip, LegId, Now, Party, Pii, PlayId, RecordingId, SessionId};

use super::Engine;
use crate::WorkerId;
use crate::gather::{Gather, Step};
use crate::leg::{Activity, Ending, Leg, Message, Session};
use crate::limits::{CLIPS_MAX, DIGITS_MAX, FORKS_MAX, LEGS_MAX, MESSAGES_MAX, PLAYS_MAX};
use crate::outcome::{cause_of, status_of};
use crate::timer::Timer;

/// Name and value.
type Header = (String, String);

impl Engine {
    pub(super) fn command(&mut self, now: Now, command: Command) {
        match command {
            Command::Challenge { leg } => self.challenge(now, leg),
            Command::Ring { leg } => {
                if let Some(Leg::Offered { dialog, .. }) = self.legs.get(&leg) {
                    self.actions.push_back(respond(*dialog, 180));
                }
            }
            Command::Answer { leg } => self.answer(now, leg),
            Command::Reject { leg, status, .. } => self.reject(now, leg, status),
            Command::Play {
                leg,
                play,
                clips,
                repeat,
            } => self.play(leg, play, clips, repeat),
            Command::Stop { leg, play } => {
                if let Some(Leg::Up { session, .. }) = self.legs.get(&leg) {
                    let command = media::Command::Stop {
                        session: session.id,
                        play,
                    };
                    self.media(session.worker, command);
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
            Command::RecordCall { leg, recording } => {
                if let Some(Leg::Up { session, .. } | Leg::Accepting { session, .. }) =
                    self.legs.get(&leg)
                {
                    let command = media::Command::RecordCall {
                        session: session.id,
                        recording,
                    };
                    self.media(session.worker, command);
                }
            }
            Command::Dial {
                leg,
                target,
                caller,
                timeout,
            } => {
                self.dial(leg, target, &caller);
                if matches!(self.legs.get(&leg), Some(Leg::Dialing { .. })) {
                    self.timers.set(leg, Timer::Ring, now.mono + timeout);
                }
            }
            Command::Bridge { a, b } => self.bridge(a, b),
            Command::Unbridge { leg } => self.unbridge(leg),
            Command::Join { leg } => self.join(leg),
            Command::Redirect { .. }
            | Command::Progress { .. }
            | Command::Reoffer { .. }
            | Command::Refer { .. }
            | Command::AnswerRefer { .. }
            | Command::TellRefer { .. }
            | Command::Move { .. } => {}
            Command::SendDigits { leg, digits } => self.send_digits(leg, digits),
            Command::Hangup { leg, cause } => self.hang_up(now, leg, cause),
        }
    }

    fn challenge(&mut self, now: Now, leg: LegId) {
        if let Some(&Leg::Offered { dialog, .. }) = self.legs.get(&leg) {
            self.dialogs.remove(&dialog);
            self.actions.push_back(sip::Action::Challenge { dialog });
            let end = Ending {
                cause: Cause::Challenged,
                by: Side::Near,
                status: Some(401),
            };
            self.end(now, leg, end);
        }
    }

    pub(super) fn reject(&mut self, now: Now, leg: LegId, status: u16) {
        if matches!(self.legs.get(&leg), Some(Leg::Offered { .. })) {
            assert!((300..700).contains(&status), "a refusal is a final status");
            let cause = if status == 503 {
                Cause::Overload
            } else {
                cause_of(Some(status))
            };
            self.refused(now, leg, status, cause);
        }
    }

    /// Refuses an unanswered inbound leg.
    pub(super) fn refused(&mut self, now: Now, leg: LegId, status: u16, cause: Cause) {
        if let Some(&Leg::Offered { dialog, .. }) = self.legs.get(&leg) {
            self.actions.push_back(respond(dialog, status));
            let (by, status) = (Side::Near, Some(status));
            self.end(now, leg, Ending { cause, by, status });
        }
    }

    fn hang_up(&mut self, now: Now, leg: LegId, cause: Cause) {
        let dialogs = match self.legs.get(&leg) {
            Some(Leg::Offered { .. }) => {
                return self.refused(now, leg, status_of(cause), cause);
            }
            Some(Leg::Accepting { dialog, .. } | Leg::Up { dialog, .. }) => vec![*dialog],
            Some(Leg::Dialing { forks, .. }) => forks.clone(),
            Some(Leg::Ending { .. }) | None => return,
        };
        for dialog in dialogs {
            self.hang_up_dialog(dialog, cause);
        }
        self.end(
            now,
            leg,
            Ending {
                cause,
                by: Side::Near,
                status: None,
            },
        );
    }

    fn play(&mut self, leg: LegId, play: PlayId, mut clips: Vec<Clip>, repeat: bool) {
        clips.truncate(CLIPS_MAX);
        let Some(Leg::Up {
            session, activity, ..
        }) = self.legs.get_mut(&leg)
        else {
            if self.legs.contains_key(&leg) {
                self.never_played(leg, play);
            }
            return;
        };
        if session.asked.plays.len() >= PLAYS_MAX {
            return self.never_played(leg, play);
        }
        session.asked.plays.push(play);
        let (id, worker) = (session.id, session.worker);
        let old = std::mem::take(activity);
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
        let Some(Leg::Up {
            session, activity, ..
        }) = self.legs.get_mut(&leg)
        else {
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
        let old = std::mem::replace(activity, Activity::Gathering(gather));
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
        let Some(Leg::Up {
            session, activity, ..
        }) = self.legs.get_mut(&leg)
        else {
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
                *activity = Activity::Idle;
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
        let Some(Leg::Up {
            session, activity, ..
        }) = self.legs.get_mut(&leg)
        else {
            if self.legs.contains_key(&leg) {
                self.never_recorded(leg, recording);
            }
            return;
        };
        if session.asked.messages.len() >= MESSAGES_MAX {
            return self.never_recorded(leg, recording);
        }
        let (id, worker) = (session.id, session.worker);
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
                session.asked.messages.push(recording);
                let command = record_message(id, &message);
                (Activity::Recording { message }, command)
            }
        };
        let old = std::mem::replace(activity, new);
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

    fn dial(&mut self, leg: LegId, target: Target, caller: &Party) {
        assert!(!self.legs.contains_key(&leg), "a dialled leg is new");
        let targets: Vec<(String, sip::Hop, Vec<Header>)> = match &target {
            Target::User(user) => {
                let contacts = self.sip.contacts(user).take(FORKS_MAX);
                contacts
                    .map(|contact| {
                        // The way back through the proxies it registered by (RFC 3327 §5.3).
                        let route = |value| ("Route".to_owned(), value);
                        let routes = contact.path.into_iter().map(route).collect();
                        (contact.uri, contact.hop, routes)
                    })
                    .collect()
            }
            Target::Users(groups) => {
                let users = groups.iter().flat_map(|group| &group.users);
                let contacts = users.flat_map(|user| self.sip.contacts(user));
                contacts
                    .take(FORKS_MAX)
                    .map(|contact| {
                        let route = |value| ("Route".to_owned(), value);
                        let routes = contact.path.into_iter().map(route).collect();
                        (contact.uri, contact.hop, routes)
                    })
                    .collect()
            }
            Target::Uri {
                uri, next_hop, tcp, ..
            } => {
                // What the URI itself asks for goes first (RFC 3263 §4.1).
                let asked = Uri::parse(uri.reveal()).ok();
                let asked = asked
                    .as_ref()
                    .and_then(Uri::sip)
                    .and_then(Transport::of_uri);
                let otherwise = if *tcp { Transport::Tcp } else { Transport::Udp };
                let transport = asked.unwrap_or(otherwise);
                let hop = sip::Hop {
                    transport,
                    remote: *next_hop,
                    conn: None,
                };
                vec![(uri.reveal().clone(), hop, Vec::new())]
            }
        };
        if targets.is_empty() {
            let (cause, by) = (Cause::NotFound, Side::Near);
            return self.event(Event::Ended {
                leg,
                cause,
                by,
                status: Some(404),
                q850: None,
                contacts: Vec::new(),
            });
        }
        let room = self.legs.len() < LEGS_MAX;
        let carrier = match target {
            Target::Uri { carrier, .. } => carrier,
            Target::User(_) | Target::Users(_) => None,
        };
        let codecs = carrier.as_ref().map_or(&[][..], |it| &it.codecs);
        let Some(session) = room.then(|| self.open_outbound(leg, codecs)).flatten() else {
            let (cause, by) = (Cause::Overload, Side::Near);
            return self.event(Event::Ended {
                leg,
                cause,
                by,
                status: Some(503),
                q850: None,
                contacts: Vec::new(),
            });
        };
        let offer = session.description.to_bytes();
        let mut from = self.identity(caller);
        let mut headers = Vec::new();
        let mut credentials = self.config.credentials.clone();
        if let Some(carrier) = carrier {
            from = carrier.from.into_inner();
            let values = carrier.headers.into_iter();
            headers.extend(values.map(|(name, value)| (name, value.into_inner())));
            credentials = carrier.login.map(|login| sip::Credentials {
                user: login.user,
                password: login.password,
            });
        }
        let mut forks = Vec::with_capacity(targets.len());
        for (uri, hop, routes) in targets {
            let dialog = self.sip.allocate();
            self.dialogs.insert(dialog, leg);
            forks.push(dialog);
            self.actions.push_back(sip::Action::Invite {
                dialog,
                // In brackets, or its parameters would be those of the header (RFC 3261 §20.10).
                to: format!("<{uri}>"),
                uri,
                hop,
                from: from.clone(),
                headers: routes.into_iter().chain(headers.iter().cloned()).collect(),
                body: offer.clone(),
                credentials: credentials.clone(),
            });
        }
        self.legs.insert(
            leg,
            Leg::Dialing {
                forks,
                session,
                heard: false,
                ringing: false,
                last: None,
            },
        );
        debug_assert!(self.legs.len() <= LEGS_MAX, "legs are bounded");
    }

    /// How a caller is shown to the called party: our realm vouches for the user part.
    fn identity(&self, caller: &Party) -> String {
        let user = match caller {
            Party::E164(number) => number.as_str(),
            Party::Sip(address) => address.split('@').next().unwrap_or_default(),
            // RFC 3323 §4.1.1.3.
            Party::Anonymous => "",
        };
        if user.is_empty() {
            return "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned();
        }
        // The user may be anything that a stranger wrote into his `From`: it is escaped.
        let sip::Config { realm, udp, .. } = &self.config.sip;
        let host = Host::parse(realm).unwrap_or(Host::Address(udp.ip()));
        format!("<{}>", SipUri::new(Some(user), host, None))
    }

    fn bridge(&mut self, a: LegId, b: LegId) {
        if !self.legs.contains_key(&a) || !self.legs.contains_key(&b) {
            return;
        }
        let up = |leg: LegId| match self.legs.get(&leg) {
            Some(Leg::Up { session, peer, .. }) => Some((session.id, session.worker, *peer)),
            Some(
                Leg::Offered { .. }
                | Leg::Accepting { .. }
                | Leg::Dialing { .. }
                | Leg::Ending { .. },
            )
            | None => None,
        };
        let (a_session, b_session, worker) = match (up(a), up(b)) {
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
        for (leg, session, other) in [(a, a_session, b), (b, b_session, a)] {
            if let Some(Leg::Up { peer, activity, .. }) = self.legs.get_mut(&leg) {
                *peer = Some(other);
                let old = std::mem::take(activity);
                self.cut_short(leg, session, worker, old);
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
        let Some(Leg::Up { session, peer, .. }) = self.legs.get_mut(&leg) else {
            return;
        };
        let session = session.clone();
        if let Some(other) = peer.take() {
            self.part(leg, other, &session);
        }
        self.leave_conference(leg);
    }

    /// Takes a bridge apart, seen from `leg`, whose own `peer` is already taken out.
    pub(super) fn part(&mut self, leg: LegId, other: LegId, session: &Session) {
        if let Some(Leg::Up { peer, .. }) = self.legs.get_mut(&other) {
            assert_eq!(peer.take(), Some(leg), "a bridge has two ends");
        }
        // A session that its worker closed by itself is in no bridge any more.
        if self.sessions.contains_key(&session.id) {
            let command = media::Command::Unbridge {
                session: session.id,
            };
            self.media(session.worker, command);
        }
        self.event(Event::Unbridged { a: leg, b: other });
    }

    fn send_digits(&mut self, leg: LegId, digits: Pii<String>) {
        let Some(Leg::Up { session, .. }) = self.legs.get(&leg) else {
            return;
        };
        let valid: String = digits
            .reveal()
            .chars()
            .filter(|c| c.is_ascii_digit() || "*#ABCD".contains(*c))
            .take(DIGITS_MAX)
            .collect();
        let command = media::Command::SendDigits {
            session: session.id,
            digits: Pii::new(valid),
        };
        self.media(session.worker, command);
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
