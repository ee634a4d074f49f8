//! Digit collection: a small machine of its own, so that its rules can be read in one place.

use vocab::call::{GatherEnd, GatherSpec};
use vocab::{Mono, PlayId};

/// One gather in progress.
///
/// | state | digit | prompt over | time out |
/// |---|---|---|---|
/// | prompt, no barge-in | dropped | wait for the first | - |
/// | prompt, barge-in | stop prompt, take it | wait for the first | - |
/// | waiting for the first | take it | - | `Timeout` |
/// | waiting for the next | take it | - | `Complete` with `min` digits, else `Timeout` |
#[derive(Debug)]
pub(crate) struct Gather {
    spec: GatherSpec,
    digits: String,
    prompt: Option<PlayId>,
}

/// What the leg does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing changes.
    Stay,
    /// Wait for a digit until then; stop the prompt first if there is one.
    Wait { until: Mono, stop: Option<PlayId> },
    /// It is over.
    End {
        digits: String,
        end: GatherEnd,
        stop: Option<PlayId>,
    },
}

impl Gather {
    /// Begins. `prompt` is the playback that was started for it, if any.
    pub(crate) fn new(now: Mono, spec: GatherSpec, prompt: Option<PlayId>) -> (Self, Step) {
        let step = match prompt {
            Some(_) => Step::Stay,
            None => Step::Wait {
                until: now + spec.first_timeout,
                stop: None,
            },
        };
        (
            Self {
                spec,
                digits: String::new(),
                prompt,
            },
            step,
        )
    }

    pub(crate) fn digit(&mut self, now: Mono, digit: char) -> Step {
        if self.prompt.is_some() && !self.spec.barge_in {
            return Step::Stay;
        }
        let stop = self.prompt.take();
        let enough = self.digits.len() >= usize::from(self.spec.min);
        if self.spec.terminators.contains(digit) {
            // With too few digits before it a terminator is a slip of the finger: go on waiting.
            return if enough {
                self.end(GatherEnd::Terminator, stop)
            } else {
                Step::Wait {
                    until: now + self.spec.inter_timeout,
                    stop,
                }
            };
        }
        self.digits.push(digit);
        if self.digits.len() >= usize::from(self.spec.max.max(1)) {
            self.end(GatherEnd::Complete, stop)
        } else {
            Step::Wait {
                until: now + self.spec.inter_timeout,
                stop,
            }
        }
    }

    pub(crate) fn played(&mut self, now: Mono, play: PlayId) -> Step {
        if self.prompt != Some(play) {
            return Step::Stay;
        }
        self.prompt = None;
        Step::Wait {
            until: now + self.spec.first_timeout,
            stop: None,
        }
    }

    pub(crate) fn timeout(&mut self) -> Step {
        let complete = !self.digits.is_empty() && self.digits.len() >= usize::from(self.spec.min);
        let end = if complete {
            GatherEnd::Complete
        } else {
            GatherEnd::Timeout
        };
        let stop = self.prompt.take();
        self.end(end, stop)
    }

    /// Its playback, while that runs.
    pub(crate) fn prompt(&self) -> Option<PlayId> {
        self.prompt
    }

    pub(crate) fn hangup(mut self) -> String {
        std::mem::take(&mut self.digits)
    }

    fn end(&mut self, end: GatherEnd, stop: Option<PlayId>) -> Step {
        Step::End {
            digits: std::mem::take(&mut self.digits),
            end,
            stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const S: u64 = 1_000_000_000;

    fn spec(min: u8, max: u8, barge_in: bool) -> GatherSpec {
        GatherSpec {
            min,
            max,
            terminators: "#".into(),
            first_timeout: Duration::from_secs(5),
            inter_timeout: Duration::from_secs(2),
            barge_in,
        }
    }

    fn end(digits: &str, end: GatherEnd) -> Step {
        Step::End {
            digits: digits.into(),
            end,
            stop: None,
        }
    }

    #[test]
    fn the_last_digit_completes() {
        let (mut gather, step) = Gather::new(Mono(0), spec(1, 2, true), None);
        assert_eq!(
            step,
            Step::Wait {
                until: Mono(5 * S),
                stop: None
            }
        );
        assert_eq!(
            gather.digit(Mono(S), '4'),
            Step::Wait {
                until: Mono(3 * S),
                stop: None
            }
        );
        assert_eq!(
            gather.digit(Mono(2 * S), '2'),
            end("42", GatherEnd::Complete)
        );
    }

    #[test]
    fn barge_in_stops_the_prompt_and_keeps_the_digit() {
        let (mut gather, step) = Gather::new(Mono(0), spec(1, 1, true), Some(PlayId(7)));
        assert_eq!(step, Step::Stay);
        let expected = Step::End {
            digits: "1".into(),
            end: GatherEnd::Complete,
            stop: Some(PlayId(7)),
        };
        assert_eq!(gather.digit(Mono(S), '1'), expected);
    }

    #[test]
    fn without_barge_in_digits_during_the_prompt_are_dropped() {
        let (mut gather, _) = Gather::new(Mono(0), spec(1, 1, false), Some(PlayId(7)));
        assert_eq!(gather.digit(Mono(S), '1'), Step::Stay);
        assert_eq!(gather.played(Mono(2 * S), PlayId(6)), Step::Stay);
        let wait = Step::Wait {
            until: Mono(7 * S),
            stop: None,
        };
        assert_eq!(gather.played(Mono(2 * S), PlayId(7)), wait);
        assert_eq!(
            gather.digit(Mono(3 * S), '1'),
            end("1", GatherEnd::Complete)
        );
    }

    #[test]
    fn terminators_need_enough_digits_before_them() {
        let (mut gather, _) = Gather::new(Mono(0), spec(2, 9, true), None);
        assert_eq!(
            gather.digit(Mono(0), '#'),
            Step::Wait {
                until: Mono(2 * S),
                stop: None
            }
        );
        gather.digit(Mono(0), '1');
        gather.digit(Mono(0), '2');
        assert_eq!(gather.digit(Mono(0), '#'), end("12", GatherEnd::Terminator));
    }

    #[test]
    fn time_out_is_complete_only_with_enough_digits() {
        let (mut gather, _) = Gather::new(Mono(0), spec(2, 9, true), None);
        gather.digit(Mono(0), '1');
        gather.digit(Mono(0), '2');
        assert_eq!(gather.timeout(), end("12", GatherEnd::Complete));

        let (mut gather, _) = Gather::new(Mono(0), spec(2, 9, true), None);
        gather.digit(Mono(0), '1');
        assert_eq!(gather.timeout(), end("1", GatherEnd::Timeout));

        let (mut gather, _) = Gather::new(Mono(0), spec(0, 9, true), None);
        assert_eq!(gather.timeout(), end("", GatherEnd::Timeout));
    }
}
