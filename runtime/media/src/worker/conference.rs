//! Sessions that all hear each other.

use vocab::SessionId;

use crate::jitter::Heard;
use crate::rate::{FRAME_MAX, Frame, Rate};
use crate::resample::Resampler;

/// Milliseconds over which somebody who joins becomes audible, and hears, and somebody who leaves
/// fades: as long as received audio takes over from concealed, so that neither clicks.
const RAMP_MS: usize = 4;

/// How many rates there are.
const RATES: usize = 3;

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

/// What all members say together: a sum for each rate, because each member's part is taken out of
/// the one that it is in, and what comes from the other rates is brought over once for all.
#[derive(Debug, Default)]
pub(super) struct Mix {
    sums: [Option<Box<Sum>>; RATES],
    /// Members who are audible in this tick.
    audible: usize,
}

/// What the members of one rate say together.
#[derive(Debug)]
struct Sum {
    rate: Rate,
    /// Members of the rate in this tick, audible or not.
    members: usize,
    /// Those who are audible.
    audible: usize,
    samples: [i32; FRAME_MAX],
    /// The last samples of those who have left since the last tick: they fall from here.
    left: i32,
    /// Bring the other rates' sums here; empty for its own.
    from: [Option<Resampler>; RATES],
}

impl Sum {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            members: 0,
            audible: 0,
            samples: [0; FRAME_MAX],
            left: 0,
            from: [const { None }; RATES],
        }
    }

    fn samples(&mut self) -> &mut [i32] {
        &mut self.samples[..self.rate.frame()]
    }

    /// It as a frame, cut off where it is too loud.
    fn to_frame(&self) -> Frame {
        let mut frame = Frame::new(self.rate);
        for (out, sum) in frame.iter_mut().zip(&self.samples) {
            *out = saturate(*sum);
        }
        frame
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
            frame: Frame::default(),
            heard: Heard::Silence,
            part: Frame::default(),
            new: true,
        });
    }

    /// Lets a member go.
    pub(super) fn leave(&mut self, session: SessionId) {
        let place = self.members.iter().position(|it| it.session == session);
        let member = self
            .members
            .remove(place.expect("its link says that it is a member"));
        let last = member.part.last().copied().unwrap_or(0);
        self.mix.sum(member.part.rate()).left += i32::from(last);
    }

    /// Does something with each member in the order in which they came.
    pub(super) fn each(&mut self, mut what: impl FnMut(&mut Member, &mut Mix)) {
        for member in &mut self.members {
            what(member, &mut self.mix);
        }
    }

    /// Everybody has said what there is: what is heard is made of it.
    pub(super) fn end_hearing(&mut self) {
        self.mix.end_hearing();
    }

    /// Everybody has heard the others.
    pub(super) fn end_tick(&mut self) {
        self.mix.audible = 0;
        for place in &mut self.mix.sums {
            let Some(sum) = place else { continue };
            if sum.members == 0 {
                *place = None;
                continue;
            }
            (sum.members, sum.audible, sum.left) = (0, 0, 0);
            sum.samples().fill(0);
        }
    }
}

impl Mix {
    fn sum(&mut self, rate: Rate) -> &mut Sum {
        self.sums[rate as usize].get_or_insert_with(|| Box::new(Sum::new(rate)))
    }

    /// Adds what a member says to the sum.
    pub(super) fn add(&mut self, member: &mut Member) {
        let rate = member.frame.rate();
        let sum = self.sum(rate);
        sum.members += 1;
        if !member.is_audible() {
            member.part.clear(rate);
            return;
        }
        member.part.set_rate(rate);
        member.part.copy_from_slice(&member.frame);
        if member.new {
            rise(&mut member.part);
        }
        sum.audible += 1;
        for (sum, &sample) in sum.samples().iter_mut().zip(&*member.part) {
            *sum += i32::from(sample);
        }
        self.audible += 1;
    }

    /// Lets those who left fade, and brings each rate's sum to the others.
    fn end_hearing(&mut self) {
        let Self { sums, audible } = self;
        let mut heard = [const { None }; RATES];
        let rates = sums.iter().flatten().count();
        for (sum, heard) in sums.iter_mut().zip(&mut heard) {
            let Some(sum) = sum else { continue };
            if sum.left != 0 {
                let (left, length) = (sum.left, sum.rate.ms(RAMP_MS) as i32);
                for (sample, n) in sum.samples().iter_mut().zip(0..length) {
                    *sample += left * (length - n) / length;
                }
                *audible += 1;
            }
            if rates > 1 {
                *heard = Some(sum.to_frame());
            }
        }
        for (from, heard) in heard.iter().enumerate() {
            let Some(heard) = heard else { continue };
            for (to, sum) in sums.iter_mut().enumerate() {
                let Some(sum) = sum else { continue };
                if from == to || sum.members == 0 {
                    continue;
                }
                let rate = sum.rate;
                let resampler =
                    sum.from[from].get_or_insert_with(|| Resampler::new(heard.rate(), rate));
                let mut frame = Frame::new(rate);
                resampler.push(heard, &mut frame);
                for (sample, other) in sum.samples().iter_mut().zip(&*frame) {
                    *sample += i32::from(*other);
                }
            }
        }
    }

    /// Writes what a member hears, cut off where it is too loud; false if that is nothing.
    pub(super) fn without(&self, member: &mut Member, out: &mut Frame) -> bool {
        let new = std::mem::take(&mut member.new);
        let rate = member.part.rate();
        let Some(sum) = &self.sums[rate as usize] else {
            return false;
        };
        if self.audible == usize::from(member.is_audible()) {
            return false;
        }
        out.set_rate(rate);
        let others = sum.samples.iter().zip(&*member.part);
        for (out, (&sum, &own)) in out.iter_mut().zip(others) {
            *out = saturate(sum - i32::from(own));
        }
        if new {
            rise(out);
        }
        true
    }
}

fn rise(frame: &mut Frame) {
    let length = frame.rate().ms(RAMP_MS) as i32;
    for (sample, n) in frame.iter_mut().zip(0..length) {
        *sample = saturate(i32::from(*sample) * n / length);
    }
}

fn saturate(sample: i32) -> i16 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
