//! What an operator asks for.

use vocab::Now;

use crate::border::Output;
use crate::control::{Control, ControlError, ControlId};
use crate::node::Node;

impl Node {
    pub(crate) fn control(&mut self, _now: Now, id: ControlId, request: Control) {
        let result = match request {
            Control::Hangup { call, .. } if !self.calls.contains_key(&call) => {
                Err(ControlError::NoCall)
            }
            _ => Err(ControlError::Conflict(
                "call control comes with the next change",
            )),
        };
        self.out.push_back(Output::Controlled { id, result });
    }
}
