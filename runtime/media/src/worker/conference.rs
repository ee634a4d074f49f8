//! Sessions that all hear each other.

use vocab::SessionId;

use super::talker::{Speaker, Talker};
use crate::jitter::Heard;
use crate::part::{Voice, fall, rise};
use crate::rate::{FRAME_MAX, Frame, Rate};
use crate::resample::Resampler;
use crate::session::Converter;

/// How many rates there are.
const RATES: usize = 3;

/// A conference: everything is mixed once each tick, and each member hears the sum less its part.
#[derive(Debug, Default)]
pub(super) struct Conference {
    members: Vec<Member>,
    mix: Mix,
    speaker: Speaker,
}

/// One of a conference.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) session: SessionId,
    /// What it says in this tick.
    pub(super) frame: Frame,
    /// What that is.
    pub(super) heard: Heard,
    /// What of that is in the sum; zero while nobody hears it, or one alone.
    said: Frame,
    /// It is in the sum.
    counts: bool,
    /// Its first tick is still to come.
    new: bool,
    talker: Talker,
}

/// What somebody says to one member alone.
#[derive(Debug)]
struct Aside {
    from: SessionId,
    to: SessionId,
    frame: Frame,
    /// Something was said in this tick.
    audible: bool,
    converter: Converter,
}

/// What all members say together: a sum for each rate, because each member's part is taken out of
/// the one that it is in, and what comes from the other rates is brought over once for all.
#[derive(Debug, Default)]
pub(super) struct Mix {
    sums: [Option<Box<Sum>>; RATES],
    /// Members who are audible in this tick.
    audible: usize,
    /// One for each who coaches somebody.
    asides: Vec<Aside>,
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
            said: Frame::default(),
            counts: false,
            new: true,
            talker: Talker::default(),
        });
    }

    /// Lets a member go.
    pub(super) fn leave(&mut self, session: SessionId) {
        let place = self.members.iter().position(|it| it.session == session);
        let member = self
            .members
            .remove(place.expect("its link says that it is a member"));
        self.mix.fade(&member.said);
        self.mix.asides.retain(|aside| aside.from != session);
    }

    /// Does something with each member in the order in which they came.
    pub(super) fn each(&mut self, mut what: impl FnMut(&mut Member, &mut Mix)) {
        for member in &mut self.members {
            what(member, &mut self.mix);
        }
    }

    /// Everybody has said what there is: what is heard is made of it. Gives who is heard most, if that
    /// is somebody else now.
    pub(super) fn end_hearing(&mut self) -> Option<SessionId> {
        self.mix.end_hearing();
        let all = self.members.iter();
        self.speaker
            .choose(all.map(|member| (member.session, &member.talker)))
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

    /// Somebody is no longer in the sum: what it said last falls from there.
    fn fade(&mut self, said: &Frame) {
        let last = said.last().copied().unwrap_or(0);
        self.sum(said.rate()).left += i32::from(last);
    }

    /// Adds what a member says to the sum, or keeps it for the one who is to hear it. Tells if that
    /// changes whether it is talking.
    pub(super) fn add(&mut self, member: &mut Member, voice: &mut Voice) -> Option<bool> {
        let rate = member.frame.rate();
        self.sum(rate).members += 1;
        let coached = voice.coaches();
        if coached.is_some() && member.counts {
            self.fade(&member.said);
        }
        let mut audible = member.is_audible();
        if audible || voice.is_screened() {
            if audible {
                member.said.copy_from(&member.frame);
            } else {
                // What it said before may still be held back.
                member.said.clear(rate);
            }
            audible = voice.say(&mut member.said);
        } else {
            voice.settle();
        }
        let asides = self.asides.len();
        match coached {
            Some(to) => {
                let said = audible.then_some(&member.said);
                self.set_aside((member.session, to), said);
            }
            None => self.asides.retain(|aside| aside.from != member.session),
        }
        let aloud = self.asides.len() < asides;
        member.counts = audible && coached.is_none();
        if !member.counts {
            member.said.clear(rate);
            return member.talker.push(None);
        }
        if member.new || aloud {
            rise(&mut member.said);
        }
        let sum = self.sum(rate);
        sum.audible += 1;
        for (sum, &sample) in sum.samples().iter_mut().zip(&*member.said) {
            *sum += i32::from(sample);
        }
        self.audible += 1;
        member.talker.push(Some(&member.said))
    }

    fn set_aside(&mut self, (from, to): (SessionId, SessionId), said: Option<&Frame>) {
        let known = self.asides.iter().position(|aside| aside.from == from);
        let at = known.unwrap_or_else(|| {
            self.asides.push(Aside {
                from,
                to,
                frame: Frame::default(),
                audible: false,
                converter: Converter::default(),
            });
            self.asides.len() - 1
        });
        let aside = &mut self.asides[at];
        aside.audible = said.is_some();
        aside.to = to;
        if let Some(said) = said {
            aside.frame.copy_from(said);
        }
    }

    /// Lets those who left fade, and brings each rate's sum to the others.
    fn end_hearing(&mut self) {
        let Self { sums, audible, .. } = self;
        let mut heard = [const { None }; RATES];
        let rates = sums.iter().flatten().count();
        for (sum, heard) in sums.iter_mut().zip(&mut heard) {
            let Some(sum) = sum else { continue };
            if sum.left != 0 {
                let fall = fall(sum.left, sum.rate);
                for (sample, left) in sum.samples().iter_mut().zip(fall) {
                    *sample += left;
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
    pub(super) fn without(
        &mut self,
        member: &mut Member,
        voice: &mut Voice,
        out: &mut Frame,
    ) -> bool {
        let new = std::mem::take(&mut member.new);
        let rate = member.said.rate();
        let Some(sum) = &self.sums[rate as usize] else {
            return false;
        };
        let mut audible = self.audible != usize::from(member.counts);
        let to = member.session;
        let mut asides = self
            .asides
            .iter_mut()
            .filter(|it| it.to == to && it.from != to && it.audible);
        let aside = asides.next();
        if !audible && aside.is_none() {
            voice.settle();
            return false;
        }
        out.set_rate(rate);
        if audible {
            let others = sum.samples.iter().zip(&*member.said);
            for (out, (&sum, &own)) in out.iter_mut().zip(others) {
                *out = saturate(sum - i32::from(own));
            }
        } else {
            out.fill(0);
        }
        for aside in aside.into_iter().chain(asides) {
            audible = true;
            let mut spare = Frame::new(rate);
            let frame = aside.converter.convert(&aside.frame, rate, &mut spare);
            for (out, sample) in out.iter_mut().zip(&**frame) {
                *out = out.saturating_add(*sample);
            }
        }
        if new {
            rise(out);
        }
        voice.hear(out) && audible
    }
}

fn saturate(sample: i32) -> i16 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
