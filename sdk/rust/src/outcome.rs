//! What a flow returns, and making errors.

use std::fmt::Display;

use crate::Error;
pub use crate::export::bindings::exports::jackfield::ivr::flow::Outcome;

impl Outcome {
    /// A label of one word for reports, such as `sales`.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            detail: None,
        }
    }

    /// Adds a line for a person who looks at the call's record. No private data: it is logged.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::new("done")
    }
}

impl From<&str> for Outcome {
    fn from(label: &str) -> Self {
        Self::new(label)
    }
}

impl From<String> for Outcome {
    fn from(label: String) -> Self {
        Self::new(label)
    }
}

impl Error {
    /// A fault of the plugin's own, with its reason.
    ///
    /// ```
    /// use jackfield::Error;
    ///
    /// let parsed: Result<u8, Error> = "x".parse::<u8>().map_err(Error::failed);
    /// assert_eq!(parsed, Err(Error::Failed("invalid digit found in string".to_owned())));
    /// ```
    pub fn failed(reason: impl Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// Something given to the plugin, such as its configuration, makes no sense.
    pub fn invalid(reason: impl Display) -> Self {
        Self::Invalid(reason.to_string())
    }

    /// The call is over: the caller hung up, or an operator ended it.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Hangup(_) | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use crate::export::IntoFlowResult;
    use crate::{Error, Outcome};

    #[test]
    fn a_flow_may_return_what_is_natural() {
        let done = Ok(Outcome::new("done"));
        assert_eq!(().into_flow_result(), done);
        assert_eq!(Ok::<(), Error>(()).into_flow_result(), done);
        assert_eq!(Ok::<&str, Error>("done").into_flow_result(), done);
        assert_eq!(
            Err::<(), Error>(Error::Timeout).into_flow_result(),
            Err(Error::Timeout)
        );
        let outcome = Outcome::new("sales").detail("main > sales");
        assert_eq!(outcome.clone().into_flow_result(), Ok(outcome));
    }

    #[test]
    fn only_a_gone_caller_is_a_normal_end() {
        assert!(Error::Hangup("bye".to_owned()).is_end());
        assert!(Error::Cancelled.is_end());
        assert!(!Error::Timeout.is_end());
        assert!(!Error::Denied("dial".to_owned()).is_end());
    }
}
