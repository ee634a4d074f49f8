//! What the journal is told of a step.

use vocab::record::{CallEventKind, Step};
use vocab::{CallId, Now};

use crate::node::Node;

/// A step and whom it concerns.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    step: Step,
    leg: u16,
    by: Option<u16>,
    other: Option<u16>,
    detail: String,
}

impl Noted {
    pub(crate) fn new(step: Step, leg: u16) -> Self {
        Self {
            step,
            leg,
            by: None,
            other: None,
            detail: String::new(),
        }
    }

    /// Who asked for it.
    pub(crate) fn by(self, by: u16) -> Self {
        Self {
            by: Some(by),
            ..self
        }
    }

    /// The other leg it concerns.
    pub(crate) fn with(self, other: u16) -> Self {
        Self {
            other: Some(other),
            ..self
        }
    }

    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }
}

impl Node {
    pub(crate) fn step(&mut self, now: Now, id: CallId, noted: Noted) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Noted {
            step,
            leg,
            by,
            other,
            detail,
        } = noted;
        let kind = CallEventKind::Step {
            step,
            leg,
            by,
            other,
            detail,
        };
        self.journal.note(call, now.wall, kind);
    }
}
