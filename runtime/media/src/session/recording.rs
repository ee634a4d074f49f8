//! What is recorded of a session.

use std::time::Duration;

use vocab::RecordingId;
use vocab::call::RecordEnd;
use vocab::recording::SegmentEnd;

use crate::Event;
use crate::jitter::Heard;
use crate::limits::RECORDED_SKIP_TICKS_MAX;
use crate::rate::{FRAME, Frame, Rate};
use crate::recorder::{CallRecorder, MessageRecorder};
use crate::session::convert::Converter;
use crate::session::{Inbound, Session, Step};
use crate::worker::RecordingOutput;

/// The recordings of a session, at most one of each kind.
#[derive(Debug, Default)]
pub(crate) struct Recorders {
    call: Option<CallRecorder>,
    message: Option<MessageRecorder>,
    /// Ticks that are recorded already although the clock has not come to them.
    ahead: u64,
    /// Brings what is sent to the rate of a recording.
    lower: Converter,
}

impl Recorders {
    /// Whether anything is recorded.
    pub(crate) fn any(&self) -> bool {
        self.call.is_some() || self.message.is_some()
    }

    /// Takes audio that came too late to be heard, in the order in which it was sent.
    pub(crate) fn fill(&mut self, late: &[i16]) {
        if let Some(call) = &mut self.call {
            call.fill(late);
        }
        if let Some(message) = &mut self.message {
            message.fill(late);
        }
    }
}

impl Session {
    pub(crate) fn record_call(
        &mut self,
        step: &mut Step<'_>,
        recording: RecordingId,
        channels: u16,
    ) {
        self.end_call_recording(step, SegmentEnd::Stopped);
        let at = step.now.wall;
        step.recording(recording, RecordingOutput::Start { channels, at });
        self.recorders.call = Some(CallRecorder::new(recording, step.now.mono, channels));
    }

    /// A message that is being recorded already ends, as if by a key.
    pub(crate) fn record_message(
        &mut self,
        step: &mut Step<'_>,
        recording: RecordingId,
        max: Duration,
        silence: Duration,
    ) {
        self.end_message(step, RecordEnd::Terminator);
        let at = step.now.wall;
        step.recording(recording, RecordingOutput::Start { channels: 1, at });
        self.recorders.message = Some(MessageRecorder::new(recording, max, silence));
    }

    pub(crate) fn stop_recording(
        &mut self,
        step: &mut Step<'_>,
        recording: RecordingId,
        end: RecordEnd,
    ) {
        if self
            .recorders
            .message
            .as_ref()
            .is_some_and(|message| message.recording() == recording)
        {
            self.end_message(step, end);
        } else if self
            .recorders
            .call
            .as_ref()
            .is_some_and(|call| call.recording() == recording)
        {
            self.end_call_recording(step, SegmentEnd::Stopped);
        }
    }

    pub(super) fn end_message(&mut self, step: &mut Step<'_>, end: RecordEnd) {
        let Some(message) = self.recorders.message.take() else {
            return;
        };
        let (recording, length) = (message.recording(), message.length());
        if let Some(samples) = message.finish() {
            step.recording(recording, RecordingOutput::Samples(samples));
        }
        let end_of_file = RecordingOutput::End {
            end: match end {
                RecordEnd::Hangup => SegmentEnd::Gone,
                RecordEnd::Terminator | RecordEnd::MaxTime | RecordEnd::Silence => {
                    SegmentEnd::Stopped
                }
            },
            lasting: length,
        };
        step.recording(recording, end_of_file);
        step.event(Event::Recorded {
            session: step.id,
            recording,
            end,
            length,
        });
    }

    pub(crate) fn end_call_recording(&mut self, step: &mut Step<'_>, end: SegmentEnd) {
        let Some(call) = self.recorders.call.take() else {
            return;
        };
        let recording = call.recording();
        let lasting = step.now.mono.since(call.began());
        if let Some(samples) = call.finish() {
            step.recording(recording, RecordingOutput::Samples(samples));
        }
        step.recording(recording, RecordingOutput::End { end, lasting });
    }

    pub(super) fn record(
        &mut self,
        step: &mut Step<'_>,
        heard: Heard,
        frame: &Frame,
        sent: &Frame,
    ) {
        if !self.recorders.any() {
            return;
        }
        let inbound = self.stream.as_ref().map(|stream| &stream.inbound);
        let heard = match heard {
            Heard::Audio => inbound.map(Inbound::lead),
            Heard::Concealed | Heard::Noise | Heard::Silence => None,
        };
        let received = inbound.and_then(|inbound| inbound.narrow(frame));
        let silence = [0; FRAME];
        let frame = received.or(frame.narrow()).unwrap_or(&silence);
        let mut lowered = [0; FRAME];
        let recorders = &mut self.recorders;
        recorders.lower.lower(sent, sent.rate(), &mut lowered);
        let sent = &lowered;
        if let Some(call) = &mut self.recorders.call
            && let Some(samples) = call.push(frame, heard, sent)
        {
            step.recording(call.recording(), RecordingOutput::Samples(samples));
        }
        if let Some(message) = &mut self.recorders.message {
            let (samples, end) = message.push(frame, heard);
            if let Some(samples) = samples {
                step.recording(message.recording(), RecordingOutput::Samples(samples));
            }
            if let Some(end) = end {
                self.end_message(step, end);
            }
        }
    }

    /// Ticks that were left out: time passed all the same, and a recording keeps what was received
    /// in it.
    pub(crate) fn skip(&mut self, step: &mut Step<'_>, ticks: u32) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        if self.dialing.is_in_tone() {
            // The clock stands still with the tone, or it would be two for the far end.
            self.owed = self.owed.saturating_add(ticks);
        } else {
            stream.outbound.advance(ticks);
        }
        let ahead = std::mem::take(&mut self.recorders.ahead);
        let left = ticks.min(RECORDED_SKIP_TICKS_MAX);
        for _ in ahead..u64::from(left) {
            // Whoever listens counts this time, too.
            if !self.recorders.any() && self.is_unheard() {
                return;
            }
            self.record_unsent(step);
        }
    }

    /// Records ticks that are going to be left out before their turn has come, where the jitter
    /// buffer could not hold what the next packet brings.
    pub(super) fn make_room(&mut self, step: &mut Step<'_>) {
        while self.recorders.ahead < step.left_out
            && self.recorders.any()
            && self
                .stream
                .as_ref()
                .is_some_and(|stream| stream.inbound.is_nearly_full())
        {
            self.recorders.ahead += 1;
            self.record_unsent(step);
        }
    }

    fn record_unsent(&mut self, step: &mut Step<'_>) {
        let mut frame = Frame::new(Rate::Narrow);
        let heard = self.hear(step, &mut frame);
        self.record(step, heard, &frame, &Frame::new(Rate::Narrow));
    }
}
