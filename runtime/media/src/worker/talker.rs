//! Who of a conference is talking, and who is heard most.

use vocab::SessionId;

use crate::voice::VoiceMeter;

/// Frames with a voice that are talking: 100 ms, shorter than the shortest word and longer than a
/// click. Each one without takes one away again.
const BEGINS: u8 = 5;

/// Frames without a voice after which nobody talks any more: half a second, a pause for breath.
const ENDS: u8 = 25;

/// Frames for which somebody has to be louder than who is heard most: 300 ms, more than a word of
/// assent.
const OUTTALKS: u8 = 15;

/// Whether one member is talking.
#[derive(Debug, Default)]
pub(super) struct Talker {
    meter: VoiceMeter,
    /// Frames with a voice, less those without, while it does not talk; frames without, while it does.
    count: u8,
    talks: bool,
    /// Its mean magnitude over the last 300 ms or so.
    level: u32,
}

impl Talker {
    /// Takes what the others hear of it in a tick; tells if that changes whether it is talking.
    pub(super) fn push(&mut self, frame: Option<&[i16]>) -> Option<bool> {
        let level = frame.and_then(|frame| self.meter.push(frame));
        let now = level.unwrap_or_default();
        self.level = (self.level * 15 + now) / 16;
        match (self.talks, level) {
            (false, Some(_)) => self.count += 1,
            (false, None) => self.count = self.count.saturating_sub(1),
            (true, Some(_)) => self.count = 0,
            (true, None) => self.count += 1,
        }
        let enough = if self.talks { ENDS } else { BEGINS };
        if self.count < enough {
            return None;
        }
        self.count = 0;
        self.talks = !self.talks;
        Some(self.talks)
    }
}

/// Who is heard most: the one to be shown large.
#[derive(Debug, Default)]
pub(super) struct Speaker {
    who: Option<SessionId>,
    /// Who has been louder for so many ticks.
    rival: Option<(SessionId, u8)>,
}

impl Speaker {
    /// Looks at everybody after a tick; gives who is heard most if that is somebody else now. Who
    /// was stays it while nobody talks.
    pub(super) fn choose<'a>(
        &mut self,
        all: impl Iterator<Item = (SessionId, &'a Talker)>,
    ) -> Option<SessionId> {
        let mut own = None;
        let mut loudest: Option<(SessionId, u32)> = None;
        for (session, talker) in all.filter(|(_, talker)| talker.talks) {
            if Some(session) == self.who {
                own = Some(talker.level);
            }
            if loudest.is_none_or(|(_, level)| talker.level > level) {
                loudest = Some((session, talker.level));
            }
        }
        let (session, level) = loudest?;
        if Some(session) == self.who {
            self.rival = None;
            return None;
        }
        // A voice that is half as loud again is 3.5 dB above.
        if let Some(own) = own {
            if level * 2 < own * 3 {
                self.rival = None;
                return None;
            }
            let ticks = match self.rival {
                Some((rival, ticks)) if rival == session => ticks + 1,
                Some(_) | None => 1,
            };
            self.rival = Some((session, ticks));
            if ticks < OUTTALKS {
                return None;
            }
        }
        (self.who, self.rival) = (Some(session), None);
        self.who
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: [i16; 160] = [3_000; 160];
    const NOISE: [i16; 160] = [20; 160];

    /// What is told of (frames, samples) pieces: at which frame, and what.
    fn told(pieces: &[(usize, Option<&[i16]>)]) -> Vec<(usize, bool)> {
        let mut talker = Talker::default();
        let frames = pieces.iter().flat_map(|&(n, frame)| vec![frame; n]);
        let told = frames.enumerate();
        told.filter_map(|(n, frame)| Some((n, talker.push(frame)?)))
            .collect()
    }

    #[test]
    fn words_are_talking_and_clicks_are_not() {
        let (voice, noise) = (Some(&VOICE[..]), Some(&NOISE[..]));
        for (name, pieces, expected) in [
            ("noise", &[(500, noise)][..], &[][..]),
            ("nothing", &[(500, None)], &[]),
            ("a click", &[(50, noise), (2, voice), (50, noise)], &[]),
            (
                "a sentence",
                &[(50, noise), (50, voice), (100, noise)],
                &[(54, true), (124, false)],
            ),
            (
                "with pauses for breath",
                &[
                    (50, voice),
                    (24, noise),
                    (50, voice),
                    (24, None),
                    (9, voice),
                ],
                &[(4, true)],
            ),
        ] {
            assert_eq!(told(pieces), expected, "{name}");
        }
    }

    #[test]
    fn who_is_heard_most_changes_with_who_talks_and_not_with_a_yes() {
        let names = [SessionId(1), SessionId(2)];
        let mut talkers = [Talker::default(), Talker::default()];
        let mut speaker = Speaker::default();
        let mut told = Vec::new();
        let mut tick = 0;
        let mut say = |ticks: usize, levels: [i16; 2]| {
            for _ in 0..ticks {
                for (talker, level) in talkers.iter_mut().zip(levels) {
                    talker.push(Some(&[level; 160]));
                }
                let who = speaker.choose(names.into_iter().zip(&talkers));
                told.extend(who.map(|who| (tick, who.0)));
                tick += 1;
            }
        };
        say(50, [0, 0]);
        say(50, [3_000, 0]);
        // As loud, and louder for a moment only.
        say(50, [3_000, 3_000]);
        say(10, [3_000, 9_000]);
        say(50, [3_000, 0]);
        // The other one takes over, and falls silent.
        say(100, [1_000, 9_000]);
        say(100, [0, 0]);
        say(20, [2_000, 0]);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[0], (54, 1));
        assert_eq!(told[1].1, 2);
        assert_eq!(told[2], (414, 1));
    }
}
