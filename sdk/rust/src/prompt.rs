//! What is played: the same methods on every builder that plays something.

use std::time::Duration;

use crate::Prompt;

/// A duration in the host's unit; longer than 49 days becomes 49 days.
pub(crate) fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// Adds the prompt methods to a builder that keeps a `Vec<Prompt>` in the named place. A trait would do the
/// same but would have to be imported by every plugin.
macro_rules! prompt_methods {
    ($($place:ident).+) => {
        /// Adds an audio by its name in the catalogue, such as `welcome` or `digits/1`. The call's
        /// language picks the recording.
        pub fn audio(self, name: impl Into<String>) -> Self {
            self.prompt(crate::Prompt::Audio(name.into()))
        }

        /// Adds text to be synthesized in the call's language.
        pub fn say(self, text: impl Into<String>) -> Self {
            self.prompt(crate::Prompt::Say((text.into(), None)))
        }

        /// Adds text to be synthesized in a language such as `en`, or with a named voice.
        pub fn say_in(self, voice: impl Into<String>, text: impl Into<String>) -> Self {
            self.prompt(crate::Prompt::Say((text.into(), Some(voice.into()))))
        }

        /// Adds digits read one by one.
        pub fn digits(self, value: impl Into<String>) -> Self {
            self.value("digits", value)
        }

        /// Adds a number read as one: 21 is "twenty-one".
        pub fn number(self, value: impl Into<i64>) -> Self {
            self.value("number", value.into().to_string())
        }

        /// Adds a date, given as `2026-11-21`.
        pub fn date(self, value: impl Into<String>) -> Self {
            self.value("date", value)
        }

        /// Adds a time of day, given as `09:30`.
        pub fn time(self, value: impl Into<String>) -> Self {
            self.value("time", value)
        }

        /// Adds an amount of money: a currency such as `CNY` and a value such as `12.50`.
        pub fn amount(self, currency: &str, value: impl Into<String>) -> Self {
            self.value(&format!("amount:{currency}"), value)
        }

        /// Adds a pause.
        pub fn silence_ms(self, time_ms: u32) -> Self {
            self.prompt(crate::Prompt::Silence(time_ms))
        }

        /// Adds a value of a kind named as in `wit/ivr`.
        pub fn value(self, kind: &str, value: impl Into<String>) -> Self {
            self.prompt(crate::Prompt::Value((kind.to_owned(), value.into())))
        }

        /// Adds one prompt.
        pub fn prompt(mut self, prompt: crate::Prompt) -> Self {
            self.$($place).+.push(prompt);
            self
        }

        /// Adds several prompts, in order.
        pub fn prompts(mut self, prompts: impl IntoIterator<Item = crate::Prompt>) -> Self {
            self.$($place).+.extend(prompts);
            self
        }
    };
}

pub(crate) use prompt_methods;

impl From<&str> for Prompt {
    /// An audio by its catalogue name.
    fn from(name: &str) -> Self {
        Self::Audio(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_saturate() {
        assert_eq!(millis(Duration::from_secs(5)), 5_000);
        assert_eq!(millis(Duration::from_micros(1_500)), 1);
        assert_eq!(millis(Duration::from_secs(u64::MAX)), u32::MAX);
    }
}
