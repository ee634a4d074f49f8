//! Plays clips, frame by frame.

use vocab::{Clip, PlayId};

use crate::rate::{FRAME, Narrow};

/// What is played on one session: at most one playback.
#[derive(Clone, Debug, Default)]
pub struct Player {
    playing: Option<Playing>,
}

#[derive(Clone, Debug)]
struct Playing {
    play: PlayId,
    clips: Vec<Clip>,
    repeat: bool,
    /// The clip that plays, and the next sample in it.
    clip: usize,
    sample: usize,
}

/// What [`Player::fill`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filled {
    /// Nothing plays; the frame was left alone.
    Nothing,
    /// The frame has audio.
    Audio,
    /// The frame has the last audio of this playback, silence after it; nothing plays now.
    Last(PlayId),
}

impl Player {
    /// Begins a playback; gives the one that it stops.
    ///
    /// Clips without samples play in no time; if none has any, the first frame is the last, even
    /// of a playback that repeats.
    pub fn play(&mut self, play: PlayId, clips: Vec<Clip>, repeat: bool) -> Option<PlayId> {
        let repeat = repeat && clips.iter().any(|clip| !clip.samples.is_empty());
        let playing = Playing {
            play,
            clips,
            repeat,
            clip: 0,
            sample: 0,
        };
        self.playing.replace(playing).map(|stopped| stopped.play)
    }

    /// Stops the playback if it plays; tells whether it did.
    pub fn stop(&mut self, play: PlayId) -> bool {
        let plays = self
            .playing
            .as_ref()
            .is_some_and(|playing| playing.play == play);
        if plays {
            self.playing = None;
        }
        plays
    }

    /// Stops whatever plays.
    pub fn stop_all(&mut self) -> Option<PlayId> {
        self.playing.take().map(|playing| playing.play)
    }

    /// Whether something plays.
    pub fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// Writes the next 20 ms over the frame.
    pub fn fill(&mut self, out: &mut Narrow) -> Filled {
        let Some(playing) = &mut self.playing else {
            return Filled::Nothing;
        };
        let mut done = 0;
        while let Some(clip) = playing.clips.get(playing.clip) {
            let rest = &clip.samples[playing.sample..];
            let take = rest.len().min(FRAME - done);
            out[done..done + take].copy_from_slice(&rest[..take]);
            done += take;
            playing.sample += take;
            if playing.sample < clip.samples.len() {
                assert_eq!(done, FRAME, "a clip is left only when it is over");
                return Filled::Audio;
            }
            playing.sample = 0;
            playing.clip += 1;
            if playing.repeat && playing.clip == playing.clips.len() {
                playing.clip = 0;
            }
        }
        out[done..].fill(0);
        let play = playing.play;
        self.playing = None;
        Filled::Last(play)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(samples: std::ops::Range<i16>) -> Clip {
        Clip::new("counting", samples.collect::<Vec<_>>())
    }

    /// Plays to the end, at most `frames` frames, and gives what was heard.
    fn heard(clips: Vec<Clip>, repeat: bool, frames: usize) -> (Vec<i16>, bool) {
        let mut player = Player::default();
        assert_eq!(player.play(PlayId(1), clips, repeat), None);
        let mut all = Vec::new();
        for _ in 0..frames {
            let mut frame = [99; FRAME];
            let filled = player.fill(&mut frame);
            all.extend(frame);
            match filled {
                Filled::Audio => {}
                Filled::Last(play) => {
                    assert_eq!(play, PlayId(1));
                    assert_eq!(player.fill(&mut frame), Filled::Nothing);
                    return (all, true);
                }
                Filled::Nothing => panic!("it plays"),
            }
        }
        (all, false)
    }

    #[test]
    fn clips_follow_one_another_without_a_gap() {
        let (all, ended) = heard(vec![clip(0..100), clip(0..0), clip(100..250)], false, 9);
        assert!(ended);
        assert_eq!(all[..250], (0..250).collect::<Vec<_>>());
        assert_eq!(all[250..], [0; 70]);
    }

    #[test]
    fn a_clip_that_fills_its_frames_ends_with_the_last() {
        assert_eq!(
            heard(vec![clip(0..320)], false, 2),
            ((0..320).collect(), true)
        );
    }

    #[test]
    fn repeats_until_stopped() {
        let (all, ended) = heard(vec![clip(0..90)], true, 3);
        assert!(!ended);
        assert_eq!(all, (0..480).map(|n| n % 90).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_to_play_ends_at_once() {
        for clips in [vec![], vec![clip(0..0), clip(0..0)]] {
            assert_eq!(heard(clips.clone(), false, 2), (vec![0; FRAME], true));
            assert_eq!(heard(clips, true, 2), (vec![0; FRAME], true));
        }
    }

    #[test]
    fn only_the_named_playback_stops() {
        let mut player = Player::default();
        player.play(PlayId(1), vec![clip(0..500)], false);
        assert_eq!(
            player.play(PlayId(2), vec![clip(0..500)], false),
            Some(PlayId(1))
        );
        assert!(!player.stop(PlayId(1)) && player.is_playing());
        assert!(player.stop(PlayId(2)) && !player.is_playing());
        assert_eq!(player.stop_all(), None);
    }
}
