//! Tells a person who answers from a machine that does.
//!
//! A person says a word or two and waits; a machine talks. Sound is cut into words by level, tones
//! and noise are no words ([`crate::progress`] hears them), and the lengths of words and of the
//! silence around them decide. So do signals that no person makes: a beep, a fax machine, special
//! information, busy.
//!
//! This is a guess, and errs. Who uses it should take [`Answer::Unknown`] for a person: a machine that
//! is put through to an agent wastes seconds, a person who is hung up on is lost (and in many
//! countries counted as an abandoned call).
//!
//! Time is counted in samples that were fed. Whoever feeds it puts in silence where nothing comes:
//! otherwise no time passes, and nothing is decided.

use std::time::Duration;

use crate::progress::{Detector, FEED_MAX, Heard, Moment, Signal, Sound};

/// Length of a moment of [`crate::progress`], in ms.
const MOMENT_MS: u32 = 10;

/// Longest noise within a word, in ms: the hiss of a voice (`s`, `sh`, Mandarin `x`) lasts up to
/// 200 ms. What is longer is the line's.
const HISS_MS_MAX: u32 = 250;

pub use vocab::hearing::{AnswerParams as Params, MessageParams as Message};

/// Who answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Answer {
    /// A person.
    Human,
    /// A machine: an answering machine, an announcement, a fax.
    Machine,
    /// It could not be told in time. To be treated as a person.
    Unknown,
    /// Nobody said anything. Mostly a person who waits, or a line that is dead.
    Silence,
}

/// Why it is who it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// Silence before any word: [`Params::initial_silence`].
    NoWord,
    /// A few words, then silence: [`Params::after_greeting_silence`].
    ShortGreeting,
    /// More voice than [`Params::greeting`].
    LongGreeting,
    /// A sound longer than [`Params::word_max`].
    LongWord,
    /// More words than [`Params::words_max`].
    ManyWords,
    /// A signal that no person makes.
    Signal(Signal),
    /// [`Params::total`] is over.
    TooLong,
}

/// What was decided, and by what.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Decision {
    /// Who answered.
    pub answer: Answer,
    /// Why.
    pub cause: Cause,
    /// What it was decided by.
    pub evidence: Evidence,
}

/// What was heard until a decision, in ms since the first sample.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Evidence {
    /// When it was decided.
    pub at_ms: u32,
    /// Words.
    pub words: u32,
    /// Voice in all.
    pub voice_ms: u32,
    /// Silence before the first word, or until now if there was none.
    pub initial_silence_ms: u32,
    /// Silence since the last word, or from the beginning if there was none.
    pub silence_ms: u32,
    /// When a beep began, if there was one.
    pub beep_at_ms: Option<u32>,
}

/// How a machine's message ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ending {
    /// With a beep: it records now.
    Beep,
    /// With silence.
    Silence,
    /// It did not in time, or by a signal after which nothing is recorded: it hung up.
    Unheard,
}

/// What a detector tells.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Told {
    /// Who answered. The first that is told; also the last, unless it is a machine that takes messages
    /// and [`Params::message`] is given.
    Decided(Decision),
    /// A machine's message is over.
    MessageEnded(Ending, Evidence),
}

/// Listens to who answered.
///
/// | state | input | told | next state |
/// |---|---|---|---|
/// | deciding | enough voice or words, a beep | machine | listening, or over |
/// | deciding | another signal | machine | over |
/// | deciding | silence after a word | human | over |
/// | deciding | silence and no word, or time is over | silence, unknown | over |
/// | listening | a beep, silence after a word, or time is over | message ended | over |
/// | over | anything | nothing | over |
///
/// Costs what a [`Detector`] does.
///
/// ```
/// use jackfield_media::amd::{Answer, Listener, Params, Told};
///
/// let mut listener = Listener::new(&Params::default());
/// let told = (0..250).find_map(|_| listener.feed(&[0; 160]));
/// let Some(Told::Decided(decision)) = told else {
///     panic!("it takes 5 s at most");
/// };
/// assert_eq!(decision.answer, Answer::Silence);
/// ```
#[derive(Clone, Debug)]
pub struct Listener {
    params: Limits,
    state: State,
    ear: Detector,
    words: Words,
    /// Evidence of a beep; in state listening it has not been told yet.
    beep_at_ms: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Deciding,
    Listening,
    Over,
}

/// The times of [`Params`] in ms.
#[derive(Clone, Copy, Debug)]
struct Limits {
    initial_silence: u32,
    greeting: u32,
    after_greeting_silence: u32,
    total: u32,
    word_min: u32,
    between_words: u32,
    word_max: u32,
    words_max: u32,
    message: Option<(u32, u32)>,
}

/// Words and the silence around them.
#[derive(Clone, Copy, Default, Debug)]
struct Words {
    at_ms: u32,
    words: u32,
    voice_ms: u32,
    /// Silence before the first word.
    initial_ms: u32,
    /// Silence since the last word.
    silence_ms: u32,
    /// The sound that may be a word: how long it is without and with short silences in it, how much
    /// of it is hiss at its end, and the silence since.
    run_ms: u32,
    hiss_ms: u32,
    gap_ms: u32,
    /// It is one.
    counted: bool,
}

impl Answer {
    /// Whether to treat it as a person: one was heard, or it could not be told.
    pub fn is_human(self) -> bool {
        match self {
            Self::Human | Self::Unknown => true,
            Self::Machine | Self::Silence => false,
        }
    }
}

impl Listener {
    /// A listener that has heard nothing.
    pub fn new(params: &Params) -> Self {
        Self {
            params: Limits::of(params),
            state: State::Deciding,
            ear: Detector::with_least(f32::from(params.silence_level)),
            words: Words::default(),
            beep_at_ms: None,
        }
    }

    /// Feeds the next samples and tells what follows from them.
    ///
    /// # Panics
    /// If there are more than [`FEED_MAX`] samples.
    pub fn feed(&mut self, samples: &[i16]) -> Option<Told> {
        assert!(samples.len() <= FEED_MAX, "one thing is told at a time");
        if self.is_over() {
            return None;
        }
        let (params, mut words) = (self.params, self.words);
        // The first 10 ms that decide do so, whatever else the frame holds.
        let mut decided = None;
        let state = self.state;
        let heard = self.ear.hear(samples, |moment| {
            words.take(&moment, &params);
            if decided.is_none() {
                decided = match state {
                    State::Deciding => words.decide(&params),
                    State::Listening | State::Over => None,
                }
                .map(|(answer, cause)| (answer, cause, words));
            }
        });
        self.words = words;
        if let Some(heard) = heard.filter(|heard| heard.signal == Signal::Beep) {
            self.beep_at_ms = Some(ms(heard.since));
        }
        match self.state {
            State::Deciding => {
                let (answer, cause, words) = decided.or_else(|| {
                    let cause = heard.and_then(by_signal)?;
                    Some((Answer::Machine, cause, words))
                })?;
                Some(self.decide(answer, cause, words))
            }
            State::Listening => {
                let ending = self.ending(heard)?;
                self.state = State::Over;
                Some(Told::MessageEnded(ending, self.evidence(self.words)))
            }
            State::Over => None,
        }
    }

    /// Nothing more will be told.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn decide(&mut self, answer: Answer, cause: Cause, words: Words) -> Told {
        // After other signals no message is taken.
        let records = !matches!(cause, Cause::Signal(signal) if signal != Signal::Beep);
        let goes_on = answer == Answer::Machine && self.params.message.is_some() && records;
        self.state = if goes_on {
            State::Listening
        } else {
            State::Over
        };
        Told::Decided(Decision {
            answer,
            cause,
            evidence: self.evidence(words),
        })
    }

    /// Whether and how the message is over.
    fn ending(&self, heard: Option<Heard>) -> Option<Ending> {
        let (silence_ms, timeout_ms) = self.params.message.expect("invariant: listening for it");
        if self.beep_at_ms.is_some() {
            return Some(Ending::Beep);
        }
        if heard.is_some_and(|heard| by_signal(heard).is_some()) {
            return Some(Ending::Unheard);
        }
        if self.words.silence_ms >= silence_ms {
            return Some(Ending::Silence);
        }
        (self.words.at_ms >= timeout_ms).then_some(Ending::Unheard)
    }

    fn evidence(&self, words: Words) -> Evidence {
        Evidence {
            at_ms: words.at_ms,
            words: words.words,
            voice_ms: words.voice_ms,
            initial_silence_ms: words.initial_ms,
            silence_ms: if words.words == 0 {
                words.initial_ms
            } else {
                words.silence_ms
            },
            beep_at_ms: self.beep_at_ms,
        }
    }
}

/// The cause that a signal is for a machine. Ringback is none: somebody is being transferred.
fn by_signal(heard: Heard) -> Option<Cause> {
    match heard.signal {
        Signal::Ringback => None,
        Signal::Busy
        | Signal::Congestion
        | Signal::SpecialInformation(_)
        | Signal::FaxCalling
        | Signal::FaxAnswering
        | Signal::Beep => Some(Cause::Signal(heard.signal)),
    }
}

impl Limits {
    fn of(params: &Params) -> Self {
        let ms = |length: Duration| u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
        Self {
            initial_silence: ms(params.initial_silence),
            greeting: ms(params.greeting),
            after_greeting_silence: ms(params.after_greeting_silence),
            total: ms(params.total),
            word_min: ms(params.word_min),
            between_words: ms(params.between_words),
            word_max: ms(params.word_max),
            words_max: params.words_max,
            message: params
                .message
                .map(|message| (ms(message.silence), ms(message.timeout))),
        }
    }
}

impl Words {
    fn take(&mut self, moment: &Moment, limits: &Limits) {
        self.at_ms = ms(moment.at);
        self.take_back(moment.taken_back * MOMENT_MS, limits);
        match moment.sound {
            Sound::Voice => {
                // What was in between belongs to the word.
                self.run_ms += MOMENT_MS + std::mem::take(&mut self.gap_ms);
                self.hiss_ms = 0;
            }
            // A hiss begins no word, but many words hold one.
            Sound::Noise if self.run_ms > 0 && self.hiss_ms < HISS_MS_MAX => {
                self.hiss_ms += MOMENT_MS;
                self.gap_ms += MOMENT_MS;
                self.add(limits, MOMENT_MS);
                return;
            }
            Sound::Quiet | Sound::Noise | Sound::Tone => {
                self.gap_ms += MOMENT_MS;
                if self.gap_ms >= limits.between_words + self.hiss_ms {
                    self.end_run();
                }
            }
        }
        self.add(limits, MOMENT_MS);
    }

    /// Counts a word when it is long enough, and voice or silence.
    fn add(&mut self, limits: &Limits, ms: u32) {
        if !self.counted && self.run_ms >= limits.word_min {
            self.counted = true;
            if self.words == 0 {
                self.initial_ms = self.at_ms.saturating_sub(self.run_ms + self.gap_ms);
            }
            self.words += 1;
            self.voice_ms += self.run_ms;
            self.silence_ms = 0;
        } else if self.counted {
            self.voice_ms += ms;
        } else {
            self.silence_ms += ms;
            if self.words == 0 {
                self.initial_ms = self.at_ms;
            }
        }
    }

    fn end_run(&mut self) {
        if self.counted {
            // The silence that ended it is no voice; its last moment has not been counted as one.
            self.silence_ms = self.gap_ms - MOMENT_MS;
            self.voice_ms = self.voice_ms.saturating_sub(self.silence_ms);
        }
        (self.run_ms, self.hiss_ms, self.gap_ms, self.counted) = (0, 0, 0, false);
    }

    /// What was taken for a voice is a tone. If there was nothing else it never was a word.
    fn take_back(&mut self, ms: u32, limits: &Limits) {
        let tone_ms = ms.min(self.run_ms);
        self.run_ms -= tone_ms;
        if !self.counted || tone_ms == 0 {
            return;
        }
        self.voice_ms = self.voice_ms.saturating_sub(tone_ms);
        if self.run_ms < limits.word_min {
            self.voice_ms = self.voice_ms.saturating_sub(self.run_ms);
            self.words -= 1;
            self.silence_ms = self.run_ms + tone_ms;
            self.counted = false;
        }
    }

    fn decide(&self, limits: &Limits) -> Option<(Answer, Cause)> {
        if self.voice_ms > limits.greeting {
            return Some((Answer::Machine, Cause::LongGreeting));
        }
        if self.words > limits.words_max {
            return Some((Answer::Machine, Cause::ManyWords));
        }
        if self.run_ms >= limits.word_max {
            return Some((Answer::Machine, Cause::LongWord));
        }
        let silent = self.run_ms == 0;
        if self.words > 0 && silent && self.silence_ms >= limits.after_greeting_silence {
            return Some((Answer::Human, Cause::ShortGreeting));
        }
        if self.words == 0 && silent && self.at_ms >= limits.initial_silence {
            return Some((Answer::Silence, Cause::NoWord));
        }
        (self.at_ms >= limits.total).then_some((Answer::Unknown, Cause::TooLong))
    }
}

fn ms(samples: u64) -> u32 {
    u32::try_from(samples / 8).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
