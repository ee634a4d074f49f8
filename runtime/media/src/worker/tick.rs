//! What the clock does: every session hears 20 ms and says 20 ms.

use vocab::call::Beep;
use vocab::{Mono, Now, SessionId};

use crate::jitter::Heard;
use crate::limits::CATCH_UP_TICKS_MAX;
use crate::rate::Frame;
use crate::session::{Link, Session, Step, TICK};
use crate::worker::{TICK_NS, Worker, guarded};
use crate::{Event, Output};

impl Worker {
    pub(super) fn ticks(&mut self, now: Now) {
        let Some(mut due) = self.next_tick else {
            return;
        };
        if due > now.mono {
            return;
        }
        let skipped = self.left_out(now);
        if skipped > 0 {
            self.skip(now, due, skipped);
            due = Mono(due.0 + skipped * TICK_NS);
        }
        self.wind_browsers(now);
        while due <= now.mono {
            self.counts.late_ticks += u64::from(now.mono.since(due) > TICK);
            self.tick(now, due);
            due = due + TICK;
        }
        self.next_tick = Some(due);
    }

    /// How many ticks a [`crate::Input::Tick`] that came now would leave out.
    pub(super) fn left_out(&self, now: Now) -> u64 {
        self.next_tick
            .filter(|due| *due <= now.mono)
            .map_or(0, |due| {
                let behind = now.mono.since(due).as_nanos() as u64 / TICK_NS + 1;
                behind.saturating_sub(CATCH_UP_TICKS_MAX)
            })
    }

    /// Leaves ticks out: nobody is sent anything for them.
    fn skip(&mut self, now: Now, due: Mono, ticks: u64) {
        self.counts.skipped_ticks += ticks;
        let mut failed = Vec::new();
        for place in 0..self.sessions.len() {
            let id = self.sessions.id(place);
            let session = self.sessions.at_mut(place);
            let mut step = Step::new(now, due, id, &mut self.out, &mut self.counts);
            // The RTP clock wraps every 27 million ticks, so the count may too.
            if guarded(|| session.skip(&mut step, ticks as u32)).is_none() {
                failed.push(id);
            }
        }
        for id in failed {
            self.fail(now, id);
        }
    }

    fn tick(&mut self, now: Now, due: Mono) {
        let mut failed = Vec::new();
        for place in 0..self.sessions.len() {
            match self.sessions.at(place).link() {
                Link::Nobody => self.tick_one(now, due, place, &mut failed),
                Link::Bridge(other) if other > self.sessions.id(place) => {
                    self.tick_pair(now, due, place, other, &mut failed);
                }
                // Its turn came with the other side, or comes with the other members.
                Link::Bridge(_) | Link::Conference(_) => {}
            }
        }
        self.tick_conferences(now, due, &mut failed);
        for id in failed {
            self.fail(now, id);
        }
    }

    fn tick_one(&mut self, now: Now, due: Mono, place: usize, failed: &mut Vec<SessionId>) {
        let id = self.sessions.id(place);
        let session = self.sessions.at_mut(place);
        let mut step = Step::new(now, due, id, &mut self.out, &mut self.counts);
        let [frame, sent, ..] = &mut *self.scratch;
        let done = guarded(|| {
            let heard = session.hear(&mut step, frame);
            session.speak(&mut step, (heard, frame), None, false, sent);
        });
        if done.is_none() {
            failed.push(id);
        }
    }

    fn tick_pair(
        &mut self,
        now: Now,
        due: Mono,
        place: usize,
        other: SessionId,
        failed: &mut Vec<SessionId>,
    ) {
        let ids = [self.sessions.id(place), other];
        let through = self.refresh_through(ids[0], ids[1]);
        let other_place = self.sessions.place(other).expect("a bridge has two sides");
        let mut pair = self.sessions.pair_mut(place, other_place);
        let relayed = [1, 0].map(|far| through && pair[far].speaks(now.mono));
        let [first, second, sent, altered] = &mut *self.scratch;
        let frames = [first, second];
        let mut heard = [Heard::Silence; 2];
        for side in 0..2 {
            let id = ids[side];
            let mut step = Step::new(now, due, id, &mut self.out, &mut self.counts);
            match guarded(|| pair[side].hear(&mut step, frames[side])) {
                Some(what) => heard[side] = what,
                None => failed.push(id),
            }
        }
        for side in 0..2 {
            if pair[side].take_hidden_key() {
                pair[1 - side].beep(Beep::Key);
            }
        }
        for side in 0..2 {
            let id = ids[side];
            let mut step = Step::new(now, due, id, &mut self.out, &mut self.counts);
            let far = (heard[1 - side] != Heard::Silence).then_some(&*frames[1 - side]);
            let [a, b] = &mut pair;
            let (near, other) = if side == 0 { (a, b) } else { (b, a) };
            let far = between(other, (near, id), far, altered);
            let own = (heard[side], &*frames[side]);
            let done = guarded(|| near.speak(&mut step, own, far, relayed[side], sent));
            if done.is_none() && !failed.contains(&id) {
                failed.push(id);
            }
        }
    }

    /// All members say their part before anybody hears the others.
    fn tick_conferences(&mut self, now: Now, due: Mono, failed: &mut Vec<SessionId>) {
        for conference in self.conferences.values_mut() {
            // Seldom anybody: it costs no memory then.
            let mut pressed = Vec::new();
            conference.each(|member, mix| {
                let (id, session) = (member.session, self.sessions.member_mut(member.session));
                let mut step = Step::new(now, due, id, &mut self.out, &mut self.counts);
                let heard = guarded(|| session.hear(&mut step, &mut member.frame));
                if heard.is_none() {
                    failed.push(id);
                }
                member.heard = heard.unwrap_or(Heard::Silence);
                if session.take_hidden_key() {
                    pressed.push(id);
                }
                if let Some(talking) = mix.add(member, session.voice_mut()) {
                    let session = id;
                    let event = Event::Talking { session, talking };
                    self.out.push_back(Output::Event(event));
                }
            });
            if let Some(session) = conference.end_hearing() {
                self.out
                    .push_back(Output::Event(Event::Speaker { session }));
            }
            let [frame, sent, ..] = &mut *self.scratch;
            conference.each(|member, mix| {
                let (id, session) = (member.session, self.sessions.member_mut(member.session));
                if failed.contains(&id) {
                    return;
                }
                if pressed.iter().any(|it| *it != id) {
                    session.beep(Beep::Key);
                }
                let mut step = Step::new(now, due, id, &mut self.out, &mut self.counts);
                let others = mix.without(member, session.voice_mut(), frame);
                let others = others.then_some(&*frame);
                let own = (member.heard, &member.frame);
                let done = guarded(|| session.speak(&mut step, own, others, false, sent));
                if done.is_none() {
                    failed.push(id);
                }
            });
            conference.end_tick();
        }
    }
}

/// What one side of a bridge hears of the other, where either may have it louder or not at all.
fn between<'a>(
    from: &mut Session,
    (to, id): (&mut Session, SessionId),
    said: Option<&'a Frame>,
    altered: &'a mut Frame,
) -> Option<&'a Frame> {
    if from.voice_mut().is_plain() && to.voice_mut().is_plain() {
        return said;
    }
    match said {
        Some(said) => altered.copy_from(said),
        // What it said before may still be held back.
        None if from.voice().is_screened() => altered.clear(from.rate()),
        None => {
            from.voice_mut().settle();
            to.voice_mut().settle();
            return None;
        }
    }
    let meant = from.voice_mut().coaches().is_none_or(|only| only == id);
    let audible = from.voice_mut().say(altered) && meant;
    let audible = to.voice_mut().hear(altered) && audible;
    audible.then_some(altered)
}
