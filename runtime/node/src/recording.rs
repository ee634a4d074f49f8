//! Recordings that are over, as wanted or too early.

use std::time::Duration;

use vocab::call::RecordEnd;
use vocab::flow::{FlowError, Reply};
use vocab::record::CallEventKind;
use vocab::{CallId, Now, RecordingId, RecordingPart};

use crate::call::Pending;
use crate::limits::{MESSAGES_MAX, SEGMENTS_MAX};
use crate::node::Node;

impl Node {
    /// A recording could not be written on. If its call is over, the file alone says it: nothing
    /// follows a call's end.
    pub(crate) fn recording_cut(&mut self, now: Now, recording: RecordingId, length: Duration) {
        let Some(call) = self.calls.get_mut(&recording.call) else {
            return;
        };
        let known = match recording.part {
            RecordingPart::Call => true,
            RecordingPart::Message(n) => n <= MESSAGES_MAX,
            RecordingPart::Segment(n) => n <= SEGMENTS_MAX,
        };
        if !known || call.cut.insert(recording, length).is_some() {
            return;
        }
        let kind = CallEventKind::RecordingCut { recording, length };
        self.journal.note(call, now.wall, kind);
    }

    /// A message is over, as far as the caller is concerned.
    pub(crate) fn recorded(
        &mut self,
        now: Now,
        id: CallId,
        recording: RecordingId,
        length: Duration,
        end: RecordEnd,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let cut = call.cut.get(&recording).copied();
        let length = cut.map_or(length, |kept| kept.min(length));
        // A caller who hung up during the beep left nothing: there is no file. Nor is there one if
        // the disk took nothing of it.
        if !length.is_zero() {
            let kind = CallEventKind::MessageLeft {
                recording,
                length,
                end,
            };
            self.journal.note(call, now.wall, kind);
        }
        if matches!(call.pending(), Some(Pending::Record { recording: r }) if *r == recording) {
            let reply = if cut.is_some_and(|kept| kept.is_zero()) {
                let why = "the message could not be written".to_owned();
                Err(FlowError::Unavailable(why))
            } else {
                Ok(Reply::Recorded(recording.to_string()))
            };
            self.reply(now, id, reply);
        }
    }
}
