//! What is heard besides words and keys: signals of the network, and who answered.

use std::time::Duration;

/// What a leg is listened to for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Listening {
    /// Signals of the network before the answer: busy, no way through, special information.
    pub progress: bool,
    /// The same signals, and those of fax machines, after the answer.
    pub signals: bool,
    /// Who answers, from the answer on. Signals are listened for once that is known.
    pub answerer: Option<AnswerParams>,
}

/// Something was heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hearing {
    /// A signal that machines give.
    Signal(SignalHeard),
    /// Who answered.
    Answerer(Answering),
    /// The message of a machine that answered is over.
    MessageEnded(MessageEnd),
}

/// A signal that machines give.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Signal {
    /// The called phone rings.
    Ringback,
    /// The called party is busy.
    Busy,
    /// No way through the network.
    Congestion,
    /// Special information: the number was changed or is not in service.
    Intercept,
    /// Special information: there is no such number.
    VacantCode,
    /// Special information: a switch could not take the call.
    Reorder,
    /// Special information: all lines are taken.
    NoCircuit,
    /// Special information, about what was not said: an announcement follows.
    Information,
    /// A fax machine that calls (CNG).
    FaxCalling,
    /// A fax machine or modem that answers (CED, ANS).
    FaxAnswering,
    /// An answering machine records from now on.
    Beep,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Ringback,
        Self::Busy,
        Self::Congestion,
        Self::Intercept,
        Self::VacantCode,
        Self::Reorder,
        Self::NoCircuit,
        Self::Information,
        Self::FaxCalling,
        Self::FaxAnswering,
        Self::Beep,
    ];

    /// Stable lower-case name used in records, the API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringback => "ringback",
            Self::Busy => "busy",
            Self::Congestion => "congestion",
            Self::Intercept => "intercept",
            Self::VacantCode => "vacant_code",
            Self::Reorder => "reorder",
            Self::NoCircuit => "no_circuit",
            Self::Information => "information",
            Self::FaxCalling => "fax_calling",
            Self::FaxAnswering => "fax_answering",
            Self::Beep => "beep",
        }
    }

    /// The signal with this [`Signal::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == name)
    }
}

/// A signal, and what it was known by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalHeard {
    /// What it was.
    pub signal: Signal,
    /// Frequencies, in Hz: one or two that sounded together, or the three of special information in
    /// their order. Zero for what there was not.
    pub hz: [u16; 3],
    /// Tone, pause, tone, in ms; of special information its three tones. Zero for what there was not.
    pub lengths_ms: [u16; 3],
    /// Its level in dBm0.
    pub level_dbm0: i8,
}

/// Who answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Answerer {
    /// A person.
    Human,
    /// A machine: an answering machine, an announcement, a fax.
    Machine,
    /// It could not be told in time. To be treated as a person.
    Unknown,
    /// Nobody said anything.
    Silence,
}

impl Answerer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Human, Self::Machine, Self::Unknown, Self::Silence];

    /// Stable lower-case name used in records, the API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Machine => "machine",
            Self::Unknown => "unknown",
            Self::Silence => "silence",
        }
    }

    /// The answerer with this [`Answerer::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|answerer| answerer.name() == name)
    }
}

/// Who answered, and what that was decided by. All times are in ms since the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answering {
    /// Who.
    pub answerer: Answerer,
    /// Why: `no_word`, `short_greeting`, `long_greeting`, `long_word`, `many_words`, `too_long`, or
    /// the [`Signal::name`] of a signal that no person makes.
    pub cause: String,
    /// When it was decided.
    pub at_ms: u32,
    /// Words.
    pub words: u32,
    /// Voice in all.
    pub voice_ms: u32,
    /// Silence before the first word.
    pub initial_silence_ms: u32,
    /// Silence since the last word.
    pub silence_ms: u32,
    /// When a beep began, if there was one.
    pub beep_at_ms: Option<u32>,
}

/// How the message of a machine ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageEnd {
    /// With a beep: it records now. Else with silence, or it was not heard to end in time.
    pub beep: bool,
    /// It was not heard to end.
    pub unheard: bool,
    /// When, in ms since the answer.
    pub at_ms: u32,
}

/// What decides. All times count from the first sample that is fed: the moment the call is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnswerParams {
    /// Silence before the first word after which nobody is there.
    ///
    /// Default 2.5 s, the `initial_silence` of Asterisk's `amd.conf.sample`, where it means a machine;
    /// here it is [`Answer::Silence`]. Twilio has 5 s, SignalWire 4.5.
    pub initial_silence: Duration,
    /// Voice in all after which it is a machine.
    ///
    /// Default 2.4 s, Twilio's `MachineDetectionSpeechThreshold`. Asterisk's 1.5 s takes a person who
    /// gives a company's name for a machine.
    pub greeting: Duration,
    /// Silence after a word after which it is a person.
    ///
    /// Default 1 s, SignalWire's end silence; Twilio has 1.2 s, Asterisk's `after_greeting_silence` is
    /// 800 ms. Shorter takes a machine between two sentences for a person (of 48 synthesized ones
    /// seven instead of one), longer lets a person wait.
    pub after_greeting_silence: Duration,
    /// When to give up. Bounds how long anything takes.
    ///
    /// Default 5 s, the `total_analysis_time` of Asterisk.
    pub total: Duration,
    /// Shortest sound that is a word.
    ///
    /// Default 100 ms, the `min_word_length` of Asterisk.
    pub word_min: Duration,
    /// Silence that ends a word.
    ///
    /// Default 100 ms. The `between_words_silence` of Asterisk is 50 ms, which a `t` or `k` within a
    /// word has as well: in noise a sentence falls into a dozen pieces.
    pub between_words: Duration,
    /// Sound without such a silence after which it is a machine: music, mostly.
    ///
    /// Default 5 s, the `maximum_word_length` of Asterisk; since [`AnswerParams::greeting`] is shorter, it
    /// decides nothing unless that is raised.
    pub word_max: Duration,
    /// Most words of a person; one more is a machine.
    ///
    /// Default 8: jambonz takes nine words for a machine, SignalWire six. Asterisk's three are for
    /// words as a switch hears them in a short hello.
    pub words_max: u32,
    /// Mean magnitude (0 to 32,767) below which nothing is a voice, however silent the line is.
    ///
    /// Default 128. Asterisk's `silence_threshold` is 256, which loses faint voices; it needs to be so
    /// high because it knows no level of noise, which is followed here.
    pub silence_level: u16,
    /// Goes on after a machine was recognized until its message is over; `None` to end with that.
    ///
    /// Default `None`.
    pub message: Option<MessageParams>,
}

/// How to find the end of a machine's message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageParams {
    /// Silence that ends a message of which no beep is heard.
    ///
    /// Default 2 s, the greeting's end of jambonz. Twilio has 1.2 s, which is shorter than the pause
    /// that many machines leave before they beep.
    pub silence: Duration,
    /// When to give up, from the first sample that is fed.
    ///
    /// Default 30 s, Twilio's `MachineDetectionTimeout`.
    pub timeout: Duration,
}

impl Default for AnswerParams {
    fn default() -> Self {
        Self {
            initial_silence: Duration::from_millis(2_500),
            greeting: Duration::from_millis(2_400),
            after_greeting_silence: Duration::from_secs(1),
            total: Duration::from_secs(5),
            word_min: Duration::from_millis(100),
            between_words: Duration::from_millis(100),
            word_max: Duration::from_secs(5),
            words_max: 8,
            silence_level: 128,
            message: None,
        }
    }
}

impl Default for MessageParams {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(2),
            timeout: Duration::from_secs(30),
        }
    }
}
