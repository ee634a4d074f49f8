//! Sessions that all hear each other.

use vocab::SessionId;

use crate::jitter::{FRAME, Frame, Heard};

/// Samples over which somebody who joins becomes audible, and hears, and somebody who leaves fades:
/// 4 ms, as long as received audio takes over from concealed, so that neither clicks.
const RAMP: usize = 32;
const RAMP_I32: i32 = RAMP as i32;

/// A conference: everything is mixed once each tick, and each member hears the sum less its part.
#[derive(Debug, Default)]
pub(super) struct Conference {
    members: Vec<Member>,
    mix: Mix,
}

/// One of a conference.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) session: SessionId,
    /// What it says in this tick.
    pub(super) frame: Frame,
    /// What that is.
    pub(super) heard: Heard,
    /// What of that is in the sum; zero while it is not audible.
    part: Frame,
    /// Its first tick is still to come.
    new: bool,
}

/// What all members say together.
#[derive(Debug)]
pub(super) struct Mix {
    sum: [i32; FRAME],
    /// Members who are audible in this tick.
    audible: usize,
    /// The last samples of those who have left since the last tick: they fall from here.
    left: i32,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            sum: [0; FRAME],
            audible: 0,
            left: 0,
        }
    }
}

impl Member {
    fn is_audible(&self) -> bool {
        self.heard != Heard::Silence
    }
}

impl Conference {
    /// How many are in it.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Takes somebody in who is in no conference.
    pub(super) fn join(&mut self, session: SessionId) {
        self.members.push(Member {
            session,
            frame: [0; FRAME],
            heard: Heard::Silence,
            part: [0; FRAME],
            new: true,
        });
    }

    /// Lets a member go.
    pub(super) fn leave(&mut self, session: SessionId) {
        let place = self.members.iter().position(|it| it.session == session);
        let member = self
            .members
            .remove(place.expect("its link says that it is a member"));
        self.mix.left += i32::from(member.part[FRAME - 1]);
    }

    /// Does something with each member in the order in which they came.
    pub(super) fn each(&mut self, mut what: impl FnMut(&mut Member, &mut Mix)) {
        for member in &mut self.members {
            what(member, &mut self.mix);
        }
    }

    /// Everybody has heard the others.
    pub(super) fn end_tick(&mut self) {
        self.mix = Mix::default();
    }
}

impl Mix {
    /// Adds what a member says to the sum.
    pub(super) fn add(&mut self, member: &mut Member) {
        if !member.is_audible() {
            member.part.fill(0);
            return;
        }
        member.part = member.frame;
        if member.new {
            rise(&mut member.part);
        }
        self.audible += 1;
        for (sum, &sample) in self.sum.iter_mut().zip(&member.part) {
            *sum += i32::from(sample);
        }
    }

    /// Writes what a member hears, cut off where it is too loud; false if that is nothing.
    pub(super) fn without(&self, member: &mut Member, out: &mut Frame) -> bool {
        let new = std::mem::take(&mut member.new);
        if self.audible == usize::from(member.is_audible()) && self.left == 0 {
            return false;
        }
        let others = self.sum.iter().zip(&member.part);
        for (out, (&sum, &own)) in out.iter_mut().zip(others) {
            *out = saturate(sum - i32::from(own));
        }
        if self.left != 0 {
            for (out, n) in out.iter_mut().zip(0..RAMP_I32) {
                let falling = self.left * (RAMP_I32 - n) / RAMP_I32;
                *out = saturate(i32::from(*out) + falling);
            }
        }
        if new {
            rise(out);
        }
        true
    }
}

fn rise(frame: &mut Frame) {
    for (sample, n) in frame.iter_mut().zip(0..RAMP_I32) {
        *sample = saturate(i32::from(*sample) * n / RAMP_I32);
    }
}

fn saturate(sample: i32) -> i16 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
