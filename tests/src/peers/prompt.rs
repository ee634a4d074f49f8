//! The demo's prompts, and whether they were heard.

use std::sync::Arc;

use media::{Codec, compare, g711};

use crate::shell::project;
use crate::stalls;

/// Samples of the part that tells one prompt from all others: 200 ms.
const CUE: usize = 1_600;

/// Samples softer than this are the pause around a prompt.
const LOUD: u16 = 500;

/// Audio with a name.
#[derive(Clone, Debug)]
pub struct Prompt {
    name: String,
    samples: Arc<[i16]>,
}

/// Mean square of a piece in which nobody speaks.
const PAUSE_POWER: f64 = 2_600.0;

impl Prompt {
    /// A prompt of the demo, such as `zh-CN/main`.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn of_demo(name: &str) -> Self {
        let path = project("examples/demo/prompts").join(format!("{name}.wav"));
        let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::new(name, media::wav::read(&file).expect("a WAV file"))
    }

    /// Audio of one's own.
    pub fn new(name: &str, samples: Vec<i16>) -> Self {
        Self {
            name: name.to_owned(),
            samples: samples.into(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its samples, 8,000 a second.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The first 200 ms of its speech.
    ///
    /// # Panics
    /// If it is all pause.
    pub fn opening(&self) -> &[i16] {
        let speech = self.speech();
        &speech[..speech.len().min(CUE)]
    }

    /// The last 200 ms of its speech.
    ///
    /// # Panics
    /// If it is all pause.
    pub fn ending(&self) -> &[i16] {
        let speech = self.speech();
        &speech[speech.len().saturating_sub(CUE)..]
    }

    /// It without the pauses around it.
    ///
    /// # Panics
    /// If it is all pause.
    pub fn speech(&self) -> &[i16] {
        let loud = |sample: &i16| sample.unsigned_abs() > LOUD;
        let first = self
            .samples
            .iter()
            .position(loud)
            .expect("a prompt is loud");
        let last = self
            .samples
            .iter()
            .rposition(loud)
            .expect("a prompt is loud");
        &self.samples[first..=last]
    }

    /// The share of it that was heard, in order and without holes.
    pub fn share_in(&self, heard: &[i16]) -> f64 {
        compare::coverage_across(&self.samples, heard, heard.len(), stalls::longest())
    }

    /// How much what was heard is like it, from 0.0 to 1.0: the mean correlation of its loud pieces of
    /// 200 ms, each found near where the one before was. For what went through codecs that keep the
    /// sound but not the samples, and players that stretch it: Opus leaves 0.9, other speech has 0.4.
    pub fn likeness_in(&self, heard: &[i16]) -> f64 {
        const PIECE: usize = 1_600;
        const SLIP: usize = 1_200;
        let power = |piece: &[i16]| {
            let sum: f64 = piece.iter().map(|it| f64::from(*it).powi(2)).sum();
            sum / piece.len() as f64
        };
        let pieces = self.samples.chunks_exact(PIECE).enumerate();
        let loud: Vec<(usize, &[i16])> = pieces
            .map(|(n, piece)| (n * PIECE, piece))
            .filter(|(_, piece)| power(piece) > PAUSE_POWER)
            .collect();
        // Where all of it is, by the piece that is found best of the first ones.
        let found = loud.iter().take(8).map(|&(at, piece)| {
            let behind = self.samples.len() - at - PIECE;
            let within = heard.get(at..heard.len().saturating_sub(behind));
            let within = within.unwrap_or(heard);
            let found = compare::similarity(piece, within, within.len());
            (found.score, found.lag)
        });
        let Some((_, mut shift)) = found.max_by(|a, b| a.0.total_cmp(&b.0)) else {
            return 0.0;
        };
        let mut sum = 0.0;
        for &(at, piece) in &loud {
            let from = (at + shift).saturating_sub(SLIP).min(heard.len());
            let to = (at + shift + PIECE + SLIP).min(heard.len());
            let found = compare::similarity(piece, &heard[from..to], 2 * SLIP);
            sum += found.score;
            if found.score > 0.7 {
                shift = (from + found.lag).saturating_sub(at);
            }
        }
        sum / loud.len() as f64
    }

    /// Makes sure that what was heard is like it.
    ///
    /// # Panics
    /// If it is something else, or a tenth of it is missing.
    #[track_caller]
    pub fn assert_like(&self, heard: &[i16], who: &str) {
        let (name, likeness) = (&self.name, self.likeness_in(heard));
        if likeness > 0.8 {
            return;
        }
        let at = std::env::temp_dir().join(format!("jackfield-heard-{}.wav", std::process::id()));
        drop(std::fs::write(&at, media::wav::write(heard, 1)));
        let at = at.display();
        panic!("{who}: {name} is not heard: {likeness:.3}; what is heard is in {at}");
    }

    /// Makes sure that it was heard.
    ///
    /// # Panics
    /// If a twentieth or more of it is missing.
    #[track_caller]
    pub fn assert_in(&self, heard: &[i16], who: &str) {
        let share = self.share_in(heard);
        let name = &self.name;
        assert!(
            share > 0.95,
            "{who}: of {name} only {:.1} % was heard",
            share * 100.0
        );
    }
}

/// Makes sure that one of these was heard.
///
/// # Panics
/// If of each a twentieth or more is missing.
#[track_caller]
pub fn assert_one_in(prompts: &[Prompt], heard: &[i16], who: &str) {
    let shares: Vec<(&str, f64)> = prompts
        .iter()
        .map(|prompt| (prompt.name(), prompt.share_in(heard)))
        .collect();
    assert!(
        shares.iter().any(|(_, share)| *share > 0.95),
        "{who}: heard only {shares:.3?}"
    );
}

/// Samples on the wire.
pub fn encoded(codec: Codec, samples: &[i16]) -> Vec<u8> {
    let mut codes = vec![0; samples.len()];
    g711::encode(super::capture::law(codec), samples, &mut codes);
    codes
}

/// What a caller says in these tests: a tone that climbs from 300 Hz and back every second, for
/// four seconds, each time less high and so more slowly. No key sounds like it, and no part of it
/// like another, or it could not be told what is missing.
pub fn voice() -> Prompt {
    let mut phase = 0.0_f64;
    let sample = |n: usize| {
        let second = (n % 8_000) as f64 / 8_000.0;
        let climb = 1.0 - (2.0 * second - 1.0).abs();
        let height = 2_700.0 - 500.0 * (n / 8_000) as f64;
        phase += (300.0 + height * climb) / 8_000.0;
        ((phase * std::f64::consts::TAU).sin() * 9_000.0) as i16
    };
    Prompt::new("voice", (0..4 * 8_000).map(sample).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_heard_whole_or_not() {
        let voice = voice();
        let mut heard = vec![0; 4_000];
        heard.extend(voice.samples());
        voice.assert_in(&heard, "all");
        heard[8_000..16_000].fill(0);
        assert!(voice.share_in(&heard) < 0.8);
        let signs = voice.samples().chunks_exact(960).enumerate();
        for (n, sign) in signs {
            let before = &voice.samples()[..n * 960];
            let after = &voice.samples()[(n + 1) * 960..];
            for other in [before, after] {
                let found = compare::similarity(sign, other, other.len());
                assert!(found.score < 0.8, "{n}: {found:?}");
            }
        }
        let (opening, ending) = (voice.opening(), voice.ending());
        assert_eq!((opening.len(), ending.len()), (CUE, CUE));
        assert_ne!(opening, ending);
    }
}
