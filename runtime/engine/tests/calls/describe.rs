//! How commands, events and addresses read in a ladder.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use vocab::call::{Command, Event, Target};
use vocab::hearing::{Hearing, Listening};
use vocab::{CallId, LegId, RecordingId, RecordingPart};

/// Short names for calls, in the order in which they appear, and for addresses.
#[derive(Clone, Default)]
pub(crate) struct Names {
    calls: Vec<CallId>,
    places: BTreeMap<SocketAddr, String>,
}

impl Names {
    pub(crate) fn place(&mut self, at: SocketAddr, name: &str) {
        self.places.insert(at, name.to_owned());
    }

    pub(crate) fn of(&self, at: SocketAddr) -> String {
        self.places
            .get(&at)
            .cloned()
            .unwrap_or_else(|| at.to_string())
    }

    /// As in `A1`: the first leg of the first call.
    fn leg(&mut self, leg: LegId) -> String {
        let found = self.calls.iter().position(|call| *call == leg.call);
        let index = found.unwrap_or_else(|| {
            self.calls.push(leg.call);
            self.calls.len() - 1
        });
        let letter = char::from(b'A' + u8::try_from(index % 26).expect("below 26"));
        format!("{letter}{}", leg.n)
    }
}

pub(crate) fn describe_command(command: &Command, names: &mut Names) -> String {
    match command {
        Command::Challenge { leg } => format!("Challenge {}", names.leg(*leg)),
        Command::Ring { leg } => format!("Ring {}", names.leg(*leg)),
        Command::Answer { leg } => format!("Answer {}", names.leg(*leg)),
        Command::Reject { leg, status, .. } => format!("Reject {} {status}", names.leg(*leg)),
        Command::Play { leg, play, .. } => format!("Play {} {play}", names.leg(*leg)),
        Command::Stop { leg, play } => format!("Stop {} {play}", names.leg(*leg)),
        Command::Gather { leg, .. } => format!("Gather {}", names.leg(*leg)),
        Command::Record { leg, recording, .. } => {
            format!("Record {} {}", names.leg(*leg), part(*recording))
        }
        Command::RecordCall { leg, .. } => format!("RecordCall {}", names.leg(*leg)),
        Command::EndRecording { leg, end } => {
            format!("EndRecording {} {}", names.leg(*leg), end.name())
        }
        Command::Dial { leg, target, .. } => {
            let to = match target {
                Target::User(user) => user.clone(),
                Target::Device { user, gr } => format!("{user} at {gr}"),
                Target::Uri { uri, .. } => uri.reveal().clone(),
            };
            format!("Dial {} {to}", names.leg(*leg))
        }
        Command::Bridge { a, b } => format!("Bridge {} {}", names.leg(*a), names.leg(*b)),
        Command::Unbridge { leg } => format!("Unbridge {}", names.leg(*leg)),
        Command::Join { leg } => format!("Join {}", names.leg(*leg)),
        Command::Listen { leg, .. } => format!("Listen {}", names.leg(*leg)),
        Command::SetPart { leg, .. } => format!("SetPart {}", names.leg(*leg)),
        Command::Beep { leg, beep } => format!("Beep {} {beep:?}", names.leg(*leg)),
        Command::Redirect { leg, to } => format!("Redirect {} {}", names.leg(*leg), to.reveal()),
        Command::Progress { leg } => format!("Progress {}", names.leg(*leg)),
        Command::Reoffer { leg, codecs, hold } => {
            format!("Reoffer {} {codecs:?} hold {hold}", names.leg(*leg))
        }
        Command::Refer { leg, to } => format!("Refer {} {}", names.leg(*leg), to.reveal()),
        Command::AnswerRefer { leg, status } => {
            format!("AnswerRefer {} {status}", names.leg(*leg))
        }
        Command::TellRefer { leg, status } => format!("TellRefer {} {status}", names.leg(*leg)),
        Command::Move { from, to, .. } => {
            format!("Move {} to {}", names.leg(*from), names.leg(*to))
        }
        Command::SendDigits { leg, digits } => {
            format!("SendDigits {} {}", names.leg(*leg), digits.reveal())
        }
        Command::Hangup { leg, cause } => format!("Hangup {} {}", names.leg(*leg), cause.name()),
    }
}

pub(crate) fn describe_event(event: &Event, names: &mut Names) -> String {
    match event {
        Event::Incoming {
            leg,
            from,
            to,
            user,
            ..
        } => {
            let user = user
                .as_ref()
                .map(|user| format!(", proved {user}"))
                .unwrap_or_default();
            format!(
                "Incoming {} from {} to {to}{user}",
                names.leg(*leg),
                from.reveal()
            )
        }
        Event::Trying { leg } => format!("Trying {}", names.leg(*leg)),
        Event::Ringing { leg } => format!("Ringing {}", names.leg(*leg)),
        Event::Answered { leg } => format!("Answered {}", names.leg(*leg)),
        Event::Played {
            leg,
            play,
            finished,
        } => {
            let how = if *finished { "finished" } else { "stopped" };
            format!("Played {} {play} {how}", names.leg(*leg))
        }
        Event::Digit { leg, digit } => format!("Digit {} {}", names.leg(*leg), digit.reveal()),
        Event::Gathered { leg, digits, end } => {
            format!(
                "Gathered {} \"{}\" {end:?}",
                names.leg(*leg),
                digits.reveal()
            )
        }
        Event::Recorded {
            leg,
            recording,
            end,
            length,
        } => {
            let millis = length.as_millis();
            format!(
                "Recorded {} {} {end:?} {millis} ms",
                names.leg(*leg),
                part(*recording)
            )
        }
        Event::Bridged { a, b } => format!("Bridged {} {}", names.leg(*a), names.leg(*b)),
        Event::Unbridged { a, b } => format!("Unbridged {} {}", names.leg(*a), names.leg(*b)),
        Event::EarlyMedia { leg } => format!("EarlyMedia {}", names.leg(*leg)),
        Event::OneWay { leg, unheard } => {
            let missing = if *unheard { "out" } else { "in" };
            format!("OneWay {} {missing}", names.leg(*leg))
        }
        Event::Media { leg, media } => format!("Media {} {}", names.leg(*leg), media.codec),
        Event::Joined { leg } => format!("Joined {}", names.leg(*leg)),
        Event::Left { leg } => format!("Left {}", names.leg(*leg)),
        Event::Talking { leg, talking } => {
            let what = if *talking { "Talking" } else { "Quiet" };
            format!("{what} {}", names.leg(*leg))
        }
        Event::Heard { leg, hearing } => match hearing {
            Hearing::Signal(heard) => {
                format!("Heard {} {}", names.leg(*leg), heard.signal.name())
            }
            Hearing::Answerer(who) => {
                let (who, why) = (who.answerer.name(), &who.cause);
                format!("Heard {} {who} {why}", names.leg(*leg))
            }
            Hearing::MessageEnded(end) => {
                format!("Heard {} message ended, beep {}", names.leg(*leg), end.beep)
            }
        },
        Event::Speaker { leg } => format!("Speaker {}", names.leg(*leg)),
        Event::Held { leg } => format!("Held {}", names.leg(*leg)),
        Event::Retrieved { leg } => format!("Retrieved {}", names.leg(*leg)),
        Event::Reoffered { leg, refused } => {
            let how = refused.map_or("accepted".to_owned(), |status| status.to_string());
            format!("Reoffered {} {how}", names.leg(*leg))
        }
        Event::ReferAsked {
            leg,
            to,
            replaces,
            elsewhere,
        } => {
            let replaces = replaces
                .map(|leg| format!(" in place of {}", names.leg(leg)))
                .unwrap_or_default();
            let elsewhere = if *elsewhere { " elsewhere" } else { "" };
            let to = to.reveal();
            format!("ReferAsked {} {to}{replaces}{elsewhere}", names.leg(*leg))
        }
        Event::Referred { leg, status, over } => {
            let status = status.map_or("silence".to_owned(), |status| status.to_string());
            let over = if *over { ", over" } else { "" };
            format!("Referred {} {status}{over}", names.leg(*leg))
        }
        Event::Moved { from, to } => {
            format!("Moved {} to {}", names.leg(*from), names.leg(*to))
        }
        Event::Ended {
            leg,
            cause,
            by,
            status,
            q850,
            contacts,
            retry_after,
        } => {
            let again = retry_after
                .map(|after| format!(", again after {} s", after.as_secs()))
                .unwrap_or_default();
            let status = status
                .map(|status| format!(" {status}"))
                .unwrap_or_default();
            let q850 = q850
                .map(|cause| format!(" Q.850 {cause}"))
                .unwrap_or_default();
            let contacts: String = contacts
                .iter()
                .map(|contact| format!(" to {}", contact.reveal()))
                .collect();
            format!(
                "Ended {} {} by {by:?}{status}{q850}{contacts}{again}",
                names.leg(*leg),
                cause.name()
            )
        }
        Event::Registered { user, contacts, .. } => {
            format!("Registered {user}, {contacts} contacts")
        }
        Event::Unregistered { user, .. } => format!("Unregistered {user}"),
        Event::AuthFailed { user, .. } => format!("AuthFailed {user}"),
        Event::Banned { source, reason, .. } => format!("Banned {source}: {reason}"),
    }
}

pub(crate) fn describe_media(command: &media::Command) -> String {
    match command {
        media::Command::Open { session, local } => format!("{session} Open {local}"),
        media::Command::Configure { session, params } => {
            let (send, receive) = (params.send, params.receive);
            let way = match (send, receive) {
                (true, true) => "both ways",
                (true, false) => "sends",
                (false, true) => "receives",
                (false, false) => "rests",
            };
            format!("{session} Configure {:?} {way}", params.codec)
        }
        media::Command::Play { session, .. } => format!("{session} Play"),
        media::Command::Stop { session, .. } => format!("{session} Stop"),
        media::Command::SendDigits { session, .. } => format!("{session} SendDigits"),
        media::Command::RecordMessage {
            session, recording, ..
        } => {
            format!("{session} RecordMessage {}", part(*recording))
        }
        media::Command::RecordCall { session, .. } => format!("{session} RecordCall"),
        media::Command::EndRecording { session, end } => {
            format!("{session} EndRecording {}", end.name())
        }
        media::Command::StopRecording {
            session,
            recording,
            end,
        } => {
            format!("{session} StopRecording {} {end:?}", part(*recording))
        }
        media::Command::Bridge { a, b } => format!("{a} Bridge {b}"),
        media::Command::Join {
            session,
            conference,
        } => format!("{session} Join {conference}"),
        media::Command::Listen { session, listening } => {
            let what = match listening {
                Listening {
                    answerer: Some(_), ..
                } => "who answers",
                Listening { progress: true, .. } => "signals",
                Listening { .. } => "nothing",
            };
            format!("{session} Listen for {what}")
        }
        media::Command::SetPart { session, part } => format!("{session} {}", loudness(part)),
        media::Command::Beep { session, beep } => format!("{session} Beep {beep:?}"),
        media::Command::Unbridge { session } => format!("{session} Unbridge"),
        media::Command::Close { session } => format!("{session} Close"),
    }
}

/// The number of a message, 0 for the call's recording, and a segment's with an `s`.
fn part(recording: RecordingId) -> String {
    match recording.part {
        RecordingPart::Call => "0".to_owned(),
        RecordingPart::Message(n) => n.to_string(),
        RecordingPart::Segment(n) => format!("s{n}"),
    }
}

/// What of a part is out of the ordinary.
fn loudness(part: &media::Part) -> String {
    let words = [
        part.muted.then(|| " muted".to_owned()),
        part.deaf.then(|| " deaf".to_owned()),
        (part.said_db != 0).then(|| format!(" said {}", part.said_db)),
        (part.heard_db != 0).then(|| format!(" heard {}", part.heard_db)),
        part.coaches.map(|it| format!(" coaches {it}")),
        part.keys_to.map(|it| format!(" keys to {it}")),
    ];
    let words: String = words.into_iter().flatten().collect();
    format!("Part{words}")
}
