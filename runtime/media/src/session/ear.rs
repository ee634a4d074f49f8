//! An ear for what is neither words nor keys: signals of the network, and who answered.

use vocab::hearing::{
    Answerer, Answering, Hearing, Listening, MessageEnd, Signal as Heard, SignalHeard,
};

use crate::amd::{self, Ending, Evidence, Listener, Told};
use crate::progress::{self, Detector, Information, Signal};

/// What a session is listened to for. It is fed at every tick, with silence where nothing comes: time
/// passes all the same.
#[derive(Debug, Default)]
pub(super) enum Ear {
    /// Nothing.
    #[default]
    Idle,
    Progress(Box<Detector>),
    Answerer(Box<Listener>),
}

impl Ear {
    pub(super) fn new(listening: Listening) -> Self {
        match listening {
            Listening {
                answerer: Some(params),
                ..
            } => Self::Answerer(Box::new(Listener::new(&params))),
            Listening { progress: true, .. } => Self::Progress(Box::default()),
            Listening { .. } => Self::Idle,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Takes up to 20 ms of narrowband audio; tells what was heard, and listens no more once all is
    /// told.
    pub(super) fn feed(&mut self, frame: &[i16]) -> Option<Hearing> {
        match self {
            Self::Idle => None,
            Self::Progress(detector) => detector.feed(frame).map(signal).map(Hearing::Signal),
            Self::Answerer(listener) => {
                let told = listener.feed(frame);
                if listener.is_over() {
                    *self = Self::Idle;
                }
                told.map(hearing)
            }
        }
    }
}

fn signal(heard: progress::Heard) -> SignalHeard {
    let round = |value: f32| value.round().clamp(0.0, f32::from(u16::MAX)) as u16;
    SignalHeard {
        signal: named(heard.signal),
        hz: heard.hz.map(round),
        lengths_ms: heard
            .lengths_ms
            .map(|ms| u16::try_from(ms).unwrap_or(u16::MAX)),
        level_dbm0: heard.dbm0.round().clamp(-128.0, 127.0) as i8,
    }
}

fn named(signal: Signal) -> Heard {
    match signal {
        Signal::Ringback => Heard::Ringback,
        Signal::Busy => Heard::Busy,
        Signal::Congestion => Heard::Congestion,
        Signal::SpecialInformation(what) => match what {
            Information::Intercept => Heard::Intercept,
            Information::VacantCode => Heard::VacantCode,
            Information::Reorder => Heard::Reorder,
            Information::NoCircuit => Heard::NoCircuit,
            Information::Unnamed => Heard::Information,
        },
        Signal::FaxCalling => Heard::FaxCalling,
        Signal::FaxAnswering => Heard::FaxAnswering,
        Signal::Beep => Heard::Beep,
    }
}

fn hearing(told: Told) -> Hearing {
    match told {
        Told::Decided(decision) => {
            let Evidence {
                at_ms,
                words,
                voice_ms,
                initial_silence_ms,
                silence_ms,
                beep_at_ms,
            } = decision.evidence;
            Hearing::Answerer(Answering {
                answerer: match decision.answer {
                    amd::Answer::Human => Answerer::Human,
                    amd::Answer::Machine => Answerer::Machine,
                    amd::Answer::Unknown => Answerer::Unknown,
                    amd::Answer::Silence => Answerer::Silence,
                },
                cause: match decision.cause {
                    amd::Cause::NoWord => "no_word",
                    amd::Cause::ShortGreeting => "short_greeting",
                    amd::Cause::LongGreeting => "long_greeting",
                    amd::Cause::LongWord => "long_word",
                    amd::Cause::ManyWords => "many_words",
                    amd::Cause::TooLong => "too_long",
                    amd::Cause::Signal(signal) => named(signal).name(),
                }
                .to_owned(),
                at_ms,
                words,
                voice_ms,
                initial_silence_ms,
                silence_ms,
                beep_at_ms,
            })
        }
        Told::MessageEnded(ending, evidence) => Hearing::MessageEnded(MessageEnd {
            beep: ending == Ending::Beep,
            unheard: ending == Ending::Unheard,
            at_ms: evidence.at_ms,
        }),
    }
}
