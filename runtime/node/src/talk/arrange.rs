//! Tells the engine what is different between what parties hear and what they should.

use vocab::call::{Command, Part};
use vocab::{CallId, Clip, LegId};

use super::{Hears, Member, Place, Sound, Talk};
use crate::control::Loudness;
use crate::node::Node;

/// What a party should hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Want {
    Nothing,
    Sound(Sound),
    Bridge(u16),
    Room,
    /// Somebody else sees to it.
    Leave,
}

impl Node {
    /// Has each party hear what its place says.
    pub(crate) fn arrange(&mut self, id: CallId) {
        if !self.calls.contains_key(&id) {
            return;
        }
        self.follow_watched(id);
        let call = &self.calls[&id];
        let wants: Vec<(u16, Want)> = call
            .talk
            .members
            .iter()
            .map(|(&n, member)| (n, want(&call.talk, n, member)))
            .collect();
        // Apart first: a leg is in one bridge at a time, and what plays is stopped by its own name.
        for &(n, want) in &wants {
            self.part(id, n, want);
        }
        for &(n, want) in &wants {
            match want {
                Want::Sound(sound) => self.play_to(id, n, sound),
                Want::Bridge(other) => self.connect(id, n, other),
                Want::Room => self.join(id, n),
                Want::Nothing | Want::Leave => {}
            }
        }
        for &(n, want) in &wants {
            self.tell_part(id, n, want);
        }
        self.seat_watchers(id);
    }

    /// How loud a party is to those it talks with.
    fn tell_part(&mut self, id: CallId, n: u16, want: Want) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let screened = call.talk.screened == Some(n);
        let Some(member) = call.talk.members.get_mut(&n) else {
            return;
        };
        let keys_to = match (member.place, want) {
            // Those who are watched are on no bridge, and are not to notice.
            (Place::With(n), Want::Room) => Some(LegId { call: id, n }),
            _ => None,
        };
        let Loudness {
            muted,
            deaf,
            said_db,
            heard_db,
        } = member.loudness;
        let part = Part {
            muted: muted.unwrap_or_default(),
            deaf: deaf.unwrap_or_default(),
            said_db: said_db.unwrap_or_default(),
            heard_db: heard_db.unwrap_or_default(),
            coaches: None,
            keys_to,
            screened,
        };
        if std::mem::replace(&mut member.told, part) != part {
            let leg = LegId { call: id, n };
            self.commands.push_back(Command::SetPart { leg, part });
        }
    }

    fn part(&mut self, id: CallId, n: u16, want: Want) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let members = &mut call.talk.members;
        let Some(member) = members.get_mut(&n) else {
            return;
        };
        let leg = LegId { call: id, n };
        match (member.hears, want) {
            (_, Want::Leave) | (Hears::Nothing, _) => {}
            (Hears::Bridge(a), Want::Bridge(b)) if a == b => {}
            (Hears::Room, Want::Room) => {}
            (Hears::Sound(a, _), Want::Sound(b)) if a == b => {}
            (Hears::Bridge(other), _) => {
                member.hears = Hears::Nothing;
                if let Some(other) = members.get_mut(&other)
                    && other.hears == Hears::Bridge(n)
                {
                    other.hears = Hears::Nothing;
                }
                self.commands.push_back(Command::Unbridge { leg });
            }
            (Hears::Room, _) => {
                member.hears = Hears::Nothing;
                self.commands.push_back(Command::Unbridge { leg });
            }
            (Hears::Sound(_, play), _) => {
                member.hears = Hears::Nothing;
                self.commands.push_back(Command::Stop { leg, play });
            }
        }
    }

    fn play_to(&mut self, id: CallId, n: u16, sound: Sound) {
        let play = self.next_play();
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let hears = call.talk.members.get(&n).map(|member| member.hears);
        if hears.is_none() || matches!(hears, Some(Hears::Sound(s, _)) if s == sound) {
            return;
        }
        let (music, busy) = (&self.tones.music, &self.tones.busy);
        let clip: Clip = match sound {
            Sound::Music => {
                let own = call.tenant.catalogue.find(&call.language, HOLD_MUSIC);
                own.unwrap_or(music).clone()
            }
            Sound::Ringing => self.tones.ringback.clone(),
            Sound::Last => call.announcement().unwrap_or(busy).clone(),
        };
        let Some(member) = call.talk.members.get_mut(&n) else {
            return;
        };
        member.hears = Hears::Sound(sound, play);
        self.commands.push_back(Command::Play {
            leg: LegId { call: id, n },
            play,
            clips: vec![clip],
            repeat: sound != Sound::Last,
        });
    }

    fn connect(&mut self, id: CallId, n: u16, other: u16) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let members = &mut call.talk.members;
        if members
            .get(&n)
            .is_none_or(|it| it.hears == Hears::Bridge(other))
        {
            return;
        }
        for (n, other) in [(n, other), (other, n)] {
            if let Some(member) = members.get_mut(&n) {
                member.hears = Hears::Bridge(other);
            }
        }
        self.commands.push_back(Command::Bridge {
            a: LegId { call: id, n },
            b: LegId { call: id, n: other },
        });
    }

    fn join(&mut self, id: CallId, n: u16) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        if let Some(member) = call.talk.members.get_mut(&n)
            && member.hears != Hears::Room
        {
            member.hears = Hears::Room;
            let leg = LegId { call: id, n };
            self.commands.push_back(Command::Join { leg });
        }
    }
}

/// The tenant's own music, if its catalogue has it.
const HOLD_MUSIC: &str = "music-on-hold";

fn want(talk: &Talk, n: u16, member: &Member) -> Want {
    match member.place {
        Place::With(other) => match talk.members.get(&other) {
            Some(it) if it.place == Place::With(n) => match (member.holds, it.holds) {
                (false, false) if talk.is_watched(n) || talk.is_watched(other) => Want::Room,
                (false, false) => Want::Bridge(other),
                (true, _) => Want::Nothing,
                (false, true) => Want::Sound(Sound::Music),
            },
            Some(_) | None => Want::Sound(Sound::Music),
        },
        // A phone that holds wants to hear nothing.
        Place::Awaiting | Place::Held | Place::Parked | Place::Room if member.holds => {
            Want::Nothing
        }
        Place::Awaiting => match &talk.attempt {
            Some(dial) if dial.waits() == Some(n) => match dial.early {
                Some(early) => Want::Bridge(early.n),
                None => Want::Sound(Sound::Ringing),
            },
            Some(_) | None => Want::Sound(Sound::Ringing),
        },
        Place::Held | Place::Parked => Want::Sound(Sound::Music),
        Place::Room => Want::Room,
        Place::Holding => Want::Nothing,
        Place::Flow => Want::Leave,
        Place::Last => Want::Sound(Sound::Last),
    }
}
