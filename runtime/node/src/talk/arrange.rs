//! Tells the engine what is different between what parties hear and what they should.

use vocab::call::Command;
use vocab::{CallId, Clip, LegId};

use super::{Hears, Member, Place, Sound, Talk};
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
        let Some(call) = self.calls.get(&id) else {
            return;
        };
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
