//! When recordings are uploaded: a few at a time, and while the object store is away one now and then
//! to see whether it is back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use vocab::{Mono, RecordingId};

/// Uploads at a time. More would take the network from calls.
pub(super) const AT_ONCE: usize = 4;

/// Recordings that are looked up at a time.
pub(super) const PAGE: u32 = 64;

/// Time until the store is tried again: the first, and the longest, twice as long each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Time until one is tried again that alone was refused.
const SET_ASIDE: Duration = Duration::from_secs(600);

/// Recordings set aside at a time. One more takes the place of the oldest.
const SET_ASIDE_MAX: usize = 1_000;

/// What the uploads are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Input {
    /// There may be something new to upload.
    News,
    /// What [`Output::LookUp`] found, in order; as many as were asked for if there may be more.
    Found(Vec<RecordingId>),
    /// It could not be looked up.
    NotFound,
    /// One is in the store.
    Done(RecordingId),
    /// The store is away, or lets nobody in.
    Away(RecordingId),
    /// The store takes others, but not this one.
    Refused(RecordingId),
    /// [`Uploads::deadline`] has passed.
    Timeout,
}

/// What the uploads ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Output {
    /// Look for [`PAGE`] recordings that wait, behind this one.
    LookUp(Option<RecordingId>),
    /// Upload this one.
    Upload(RecordingId),
    /// The store does not take anything any more.
    WentAway,
    /// It does again.
    CameBack,
}

/// | state | `News` | `Found` | `Away` | `Done` | due |
/// |---|---|---|---|---|---|
/// | here | looks up, if it does not | uploads [`AT_ONCE`] | -> away | the next | |
/// | away | is remembered | is remembered | waits twice as long | -> here | one is tried |
#[derive(Debug, Default)]
pub(super) struct Uploads {
    queue: VecDeque<RecordingId>,
    running: BTreeSet<RecordingId>,
    /// A look-up is going on.
    looking: bool,
    /// Behind this one there is more.
    more: Option<RecordingId>,
    /// Something came since the last look-up began.
    news: bool,
    away: Option<Away>,
    /// Refused alone, and when they are tried again.
    aside: BTreeMap<RecordingId, Mono>,
    out: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug)]
struct Away {
    wait: Duration,
    again: Mono,
}

impl Uploads {
    /// What happened.
    pub(super) fn handle(&mut self, now: Mono, input: Input) {
        match input {
            Input::News => self.news = true,
            Input::Found(found) => {
                assert!(self.looking, "it was asked for");
                self.looking = false;
                let full = found.len() >= PAGE as usize;
                self.more = found.last().copied().filter(|_| full);
                let (running, aside) = (&self.running, &self.aside);
                let new = |id: &RecordingId| !running.contains(id) && !aside.contains_key(id);
                self.queue.extend(found.into_iter().filter(new));
            }
            Input::NotFound => {
                self.looking = false;
                self.news = true;
                self.went_away(now);
            }
            Input::Done(id) => {
                self.running.remove(&id);
                if self.away.take().is_some() {
                    self.out.push_back(Output::CameBack);
                }
            }
            Input::Away(id) => {
                if self.running.remove(&id) {
                    self.queue.push_front(id);
                }
                self.went_away(now);
            }
            Input::Refused(id) => {
                self.running.remove(&id);
                if self.aside.len() >= SET_ASIDE_MAX {
                    self.aside.pop_first();
                }
                self.aside.insert(id, now + SET_ASIDE);
                if self.away.take().is_some() {
                    self.out.push_back(Output::CameBack);
                }
            }
            Input::Timeout => {
                let due: Vec<_> = self.aside.iter().filter(|(_, at)| **at <= now).collect();
                let due: Vec<_> = due.into_iter().map(|(id, _)| *id).collect();
                for id in due {
                    self.aside.remove(&id);
                    self.queue.push_back(id);
                }
            }
        }
        self.go_on(now);
    }

    /// What is to be done.
    pub(super) fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let aside = self.aside.values().min().copied();
        let away = self.away.filter(|_| self.running.is_empty());
        [aside, away.map(|away| away.again)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Nothing is asked of anybody.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.running.is_empty() && !self.looking
    }

    fn went_away(&mut self, now: Mono) {
        let wait = match self.away {
            // Of several at a time, one failure counts.
            Some(away) if away.again > now => return,
            Some(away) => (away.wait * 2).min(RETRY_MAX),
            None => {
                self.out.push_back(Output::WentAway);
                RETRY_FIRST
            }
        };
        self.away = Some(Away {
            wait,
            again: now + wait,
        });
    }

    fn go_on(&mut self, now: Mono) {
        let at_once = match self.away {
            Some(away) if away.again > now => 0,
            Some(_) => 1,
            None => AT_ONCE,
        };
        while self.running.len() < at_once
            && let Some(id) = self.queue.pop_front()
        {
            self.running.insert(id);
            self.out.push_back(Output::Upload(id));
        }
        if self.looking || at_once == 0 || !self.queue.is_empty() {
            return;
        }
        let behind = self.more.take();
        if behind.is_some() || std::mem::take(&mut self.news) {
            self.looking = true;
            self.out.push_back(Output::LookUp(behind));
        }
    }
}

#[cfg(test)]
mod tests {
    use vocab::CallId;

    use super::*;

    fn id(n: usize) -> RecordingId {
        RecordingId::segment(CallId((n as u128) << 80), 1)
    }

    /// An object store with what waits for it, on a clock of its own.
    #[derive(Default)]
    struct World {
        uploads: Uploads,
        now: Mono,
        waiting: BTreeSet<RecordingId>,
        stored: BTreeSet<RecordingId>,
        running: VecDeque<RecordingId>,
        most: usize,
        tries: usize,
        away: bool,
        refused: BTreeSet<RecordingId>,
        said: Vec<(u64, &'static str)>,
    }

    impl World {
        fn tell(&mut self, input: Input) {
            self.uploads.handle(self.now, input);
            while let Some(output) = self.uploads.poll() {
                let second = self.now.0 / 1_000_000_000;
                match output {
                    Output::LookUp(behind) => {
                        let all = self.waiting.iter();
                        let all = all.filter(|id| behind.is_none_or(|behind| **id > behind));
                        let page = all.take(PAGE as usize).copied().collect();
                        self.uploads.handle(self.now, Input::Found(page));
                    }
                    Output::Upload(id) => self.running.push_back(id),
                    Output::WentAway => self.said.push((second, "away")),
                    Output::CameBack => self.said.push((second, "back")),
                }
            }
            self.most = self.most.max(self.running.len());
        }

        fn add(&mut self, n: usize) {
            self.waiting.insert(id(n));
            self.tell(Input::News);
        }

        /// Goes on for so many seconds, in steps of 100 ms, each of which ends what runs.
        fn run(&mut self, seconds: u64) {
            for _ in 0..seconds * 10 {
                self.now = self.now + Duration::from_millis(100);
                for id in std::mem::take(&mut self.running) {
                    self.tries += 1;
                    if self.away {
                        self.tell(Input::Away(id));
                    } else if self.refused.contains(&id) {
                        self.tell(Input::Refused(id));
                    } else {
                        assert!(self.waiting.remove(&id), "once");
                        self.stored.insert(id);
                        self.tell(Input::Done(id));
                    }
                }
                if self.uploads.deadline().is_some_and(|at| at <= self.now) {
                    self.tell(Input::Timeout);
                }
            }
        }
    }

    #[test]
    fn all_are_uploaded_a_few_at_a_time() {
        let mut world = World::default();
        for n in 0..500 {
            world.add(n);
        }
        world.run(20);
        assert_eq!((world.stored.len(), world.most), (500, AT_ONCE));
        assert!(world.uploads.is_idle() && world.uploads.deadline().is_none());
        world.add(500);
        world.run(1);
        assert_eq!((world.stored.len(), world.tries), (501, 501));
    }

    #[test]
    fn a_store_that_is_away_for_five_minutes_is_waited_for() {
        let mut world = World {
            away: true,
            ..World::default()
        };
        for n in 0..300 {
            world.add(n);
            world.run(1);
        }
        assert!(world.stored.is_empty());
        // 1, 2, 4, 8, 16 and then every 30 seconds, each time with one, after the first few.
        assert!((10..=20).contains(&world.tries), "{} tries", world.tries);
        world.away = false;
        world.run(45);
        assert_eq!(world.stored.len(), 300, "soon after it is back");
        assert!(world.waiting.is_empty());
        let words: Vec<_> = world.said.iter().map(|(_, word)| *word).collect();
        assert_eq!(words, ["away", "back"], "said once");
        assert!((300..331).contains(&world.said[1].0));
    }

    #[test]
    fn one_that_is_refused_holds_no_other_up() {
        let mut world = World::default();
        world.refused.insert(id(3));
        for n in 0..10 {
            world.add(n);
        }
        world.run(5);
        assert_eq!((world.stored.len(), world.tries), (9, 10));
        world.refused.clear();
        world.run(590);
        assert_eq!(world.stored.len(), 9);
        world.run(20);
        assert_eq!(world.stored.len(), 10);
    }

    #[test]
    fn a_database_that_cannot_be_read_is_asked_again() {
        let mut uploads = Uploads::default();
        uploads.handle(Mono(0), Input::News);
        assert_eq!(uploads.poll(), Some(Output::LookUp(None)));
        uploads.handle(Mono(0), Input::NotFound);
        assert_eq!(uploads.poll(), Some(Output::WentAway));
        assert_eq!(uploads.poll(), None);
        let again = uploads.deadline().expect("it is tried again");
        uploads.handle(again, Input::Timeout);
        assert_eq!(uploads.poll(), Some(Output::LookUp(None)));
        uploads.handle(again, Input::Found(vec![id(1)]));
        assert_eq!(uploads.poll(), Some(Output::Upload(id(1))));
        uploads.handle(again, Input::Done(id(1)));
        assert_eq!(uploads.poll(), Some(Output::CameBack));
    }
}
