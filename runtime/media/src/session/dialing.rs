//! Keys waiting to be sent, and the one that is.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::DIGITS_MAX;
use crate::rate::{FRAME, Narrow};
use crate::telephone_event::{Report, Sender, Sending, code_of};
use crate::tone::Tone;

/// Length of a tone and of the pause after it, as for events.
const TONE: Duration = Duration::from_millis(100);

/// Sends keys one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialing {
    waiting: VecDeque<char>,
    current: Current,
}

#[derive(Clone, Debug, Default)]
enum Current {
    #[default]
    Nothing,
    Event(Sender),
    Tone(Box<Tone>),
}

/// What a tick is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialed {
    /// Nothing is dialed: other audio may be sent.
    Nothing,
    /// Send this in place of audio.
    Event {
        /// The RTP marker.
        marker: bool,
        /// When the key began.
        timestamp: u32,
        /// The event.
        report: Report,
    },
    /// The frame has a tone, or the pause after a key: send it.
    Frame,
}

impl Dialing {
    /// Adds a key; false if it is none or too many wait.
    pub(crate) fn push(&mut self, key: char) -> bool {
        let good = code_of(key).is_some() && self.waiting.len() < DIGITS_MAX;
        if good {
            self.waiting.push_back(key);
        }
        good
    }

    /// Whether nothing is being sent or waits for it.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.current, Current::Nothing) && self.waiting.is_empty()
    }

    /// Whether a key is being sent as a tone, the pause behind it included.
    pub(crate) fn is_in_tone(&self) -> bool {
        matches!(self.current, Current::Tone(_))
    }

    /// Moves on by 20 ms. The frame, silent so far, is where a tone is written. Keys are sent as
    /// events if there is a clock for them, in ticks a second.
    pub(crate) fn tick(
        &mut self,
        timestamp: u32,
        events: Option<u32>,
        frame: &mut Narrow,
    ) -> Dialed {
        if self.is_idle() {
            return Dialed::Nothing;
        }
        loop {
            match &mut self.current {
                Current::Event(sender) => match sender.tick() {
                    Sending::Report {
                        marker,
                        timestamp,
                        report,
                    } => {
                        return Dialed::Event {
                            marker,
                            timestamp,
                            report,
                        };
                    }
                    Sending::Pause => return Dialed::Frame,
                    Sending::Done => {}
                },
                Current::Tone(tone) => {
                    if tone.fill(frame) == FRAME {
                        return Dialed::Frame;
                    }
                    // A tone has whole frames; what a last part would hold is its pause.
                    frame.fill(0);
                }
                Current::Nothing => {}
            }
            let Some(key) = self.waiting.pop_front() else {
                self.current = Current::Nothing;
                return Dialed::Nothing;
            };
            self.current = match events {
                Some(clock_hz) => {
                    let sender = Sender::new(key, timestamp, clock_hz);
                    Current::Event(sender.expect("push checked the key"))
                }
                None => {
                    let tone = Tone::dtmf(key, TONE, TONE);
                    Current::Tone(Box::new(tone.expect("push checked the key")))
                }
            };
        }
    }
}
