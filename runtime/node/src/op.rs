//! What each wish of a flow turns into.

use std::collections::BTreeMap;
use std::time::Duration;

use vocab::call::{Cause, Command, GatherSpec};
use vocab::flow::{FlowError, Op, Reply, Taping};
use vocab::record::CallEventKind;
use vocab::recording::SegmentStart;
use vocab::{CallId, Clip, Now, RecordingId};

use crate::border::Output;
use crate::call::{Errand, Flow, Line, Pending, Purpose, Resolving, Turn, total};
use crate::control::RecordStep;
use crate::limits::{ATTRS_MAX, COMMIT_WAIT, MESSAGE_MAX, MESSAGES_MAX, OP_SLACK};
use crate::node::Node;
use crate::wait::Wait;

impl Node {
    pub(crate) fn op(&mut self, now: Now, id: CallId, op: Op) {
        let call = self.calls.get_mut(&id).expect("a flow has a call");
        if let Some(detail) = detail(&op) {
            let kind = CallEventKind::FlowAsked {
                op: op.name().to_owned(),
                detail,
            };
            self.journal.note(call, now.wall, kind);
        }
        let (gone, up) = (call.is_gone(), call.is_up());
        let Some(flow) = call.flow() else { return };
        self.deadlines.clear(id, Wait::Flow);
        // The wish is pending from here on, so that `reply` finds somebody to answer.
        let before = std::mem::replace(&mut flow.turn, Turn::Host(Pending::Answer));
        // One wish at a time is the contract; of a plugin that breaks it the last counts.
        if let Turn::Host(Pending::Dial(dial)) = before {
            self.leave_dialed(now, id, &dial, Cause::Cancelled);
        }
        if gone {
            return self.refuse(
                now,
                id,
                FlowError::Hangup("the caller has hung up".to_owned()),
            );
        }
        let needs_line = matches!(
            op,
            Op::Play { .. } | Op::PlayStart { .. } | Op::Gather { .. } | Op::Record { .. }
        );
        if needs_line && !up {
            let error = FlowError::Invalid("the call is not answered: answer it first".to_owned());
            return self.refuse(now, id, error);
        }
        match op {
            Op::Answer => self.op_answer(now, id),
            Op::Play { prompts } => self.resolve(now, id, &prompts, Purpose::Play),
            Op::PlayStart { prompts, repeat } => {
                self.resolve(now, id, &prompts, Purpose::PlayStart { repeat });
            }
            Op::PlayStop { token } => self.op_play_stop(now, id, token),
            Op::Gather {
                prompts,
                spec,
                secret,
            } => self.resolve(now, id, &prompts, Purpose::Gather { spec, secret }),
            Op::Tape(wish) => self.op_tape(now, id, wish),
            Op::Record { max, silence, beep } => self.op_record(now, id, max, silence, beep),
            Op::Dial { target, options } => {
                let whisper = options.whisper.clone();
                let purpose = Purpose::Dial {
                    target,
                    options,
                    errand: Errand::Dial,
                };
                self.resolve(now, id, &whisper, purpose);
            }
            Op::Transfer { target } => {
                let options = crate::dial::transfer_options();
                let purpose = Purpose::Dial {
                    target,
                    options,
                    errand: Errand::Transfer,
                };
                self.resolve(now, id, &[], purpose);
            }
            Op::Enqueue { .. } => {
                let error = FlowError::Unsupported("this version has no queues".to_owned());
                self.refuse(now, id, error);
            }
            Op::NextEvent { timeout } => self.op_next_event(now, id, timeout),
            Op::Sleep { time } => {
                self.pend(id, Pending::Sleep);
                self.deadlines.set(id, Wait::Op, now.mono + time);
            }
            Op::SetAttr { key, value } => self.op_set_attr(now, id, key, value.into_inner()),
            Op::Hangup { .. } => {
                self.reply(now, id, Ok(Reply::Done));
                self.turn_off(id);
            }
        }
    }

    pub(crate) fn refuse(&mut self, now: Now, id: CallId, error: FlowError) {
        self.reply(now, id, Err(error));
    }

    /// Notes what the flow waits for.
    pub(crate) fn pend(&mut self, id: CallId, pending: Pending) {
        let flow = self.calls.get_mut(&id).and_then(|call| call.flow());
        flow.expect("the caller looked it up").turn = Turn::Host(pending);
    }

    fn op_answer(&mut self, now: Now, id: CallId) {
        match self.calls[&id].line {
            Line::Up => self.reply(now, id, Ok(Reply::Done)),
            Line::Waiting => self.want_answer(now, id),
            Line::Wanted | Line::Answering | Line::Gone { .. } => {}
        }
    }

    fn op_play_stop(&mut self, now: Now, id: CallId, token: u32) {
        let call = self.calls.get_mut(&id).expect("a flow has a call");
        let leg = call.leg;
        let found = call.flow().and_then(|flow| {
            flow.plays
                .iter()
                .find(|(_, t)| **t == token)
                .map(|(&play, _)| play)
        });
        if let Some(play) = found {
            self.command(Command::Stop { leg, play });
        }
        self.reply(now, id, Ok(Reply::Done));
    }

    fn op_record(&mut self, now: Now, id: CallId, max: Duration, silence: Duration, beep: bool) {
        let call = self.calls.get_mut(&id).expect("a flow has a call");
        if call.message_last >= MESSAGES_MAX {
            let error = FlowError::Limit(format!("a call keeps {MESSAGES_MAX} messages"));
            return self.refuse(now, id, error);
        }
        call.message_last += 1;
        let (leg, n) = (call.leg, call.message_last);
        let recording = RecordingId::message(id, n);
        let max = if max.is_zero() {
            MESSAGE_MAX
        } else {
            max.min(MESSAGE_MAX)
        };
        let beep = if beep {
            vec![self.tones.beep.clone()]
        } else {
            Vec::new()
        };
        self.pend(id, Pending::Record { recording });
        self.deadlines
            .set(id, Wait::Op, now.mono + max + total(&beep) + OP_SLACK);
        let terminators = "#*0123456789".to_owned();
        let call = &self.calls[&id];
        self.out.push_back(Output::Segment(SegmentStart {
            tenant: call.tenant.id.clone(),
            interaction: call.interaction,
            recording,
            leg: leg.n,
            party: call.flow_party().clone(),
            channels: 1,
        }));
        self.command(Command::Record {
            leg,
            recording,
            max,
            silence,
            beep,
            terminators,
        });
    }

    fn op_tape(&mut self, now: Now, id: CallId, wish: Taping) {
        let step = match wish {
            Taping::Start => RecordStep::Start,
            Taping::Pause { lasting } => RecordStep::Pause { lasting },
            Taping::Resume => RecordStep::Resume,
            Taping::Stop => RecordStep::Stop,
        };
        let reply = match self.record_step(now, id, None, step) {
            Ok(_) => Ok(Reply::Done),
            Err(error) => Err(FlowError::Invalid(error.to_string())),
        };
        self.reply(now, id, reply);
    }

    fn op_next_event(&mut self, now: Now, id: CallId, timeout: Duration) {
        let flow = self.calls.get_mut(&id).and_then(|call| call.flow());
        let flow: &mut Flow = flow.expect("the caller looked it up");
        if let Some(event) = flow.events.pop_front() {
            return self.reply(now, id, Ok(Reply::Event(event)));
        }
        self.pend(id, Pending::NextEvent);
        self.deadlines.set(id, Wait::Op, now.mono + timeout);
    }

    fn op_set_attr(&mut self, now: Now, id: CallId, key: String, value: String) {
        let call = self.calls.get_mut(&id).expect("a flow has a call");
        if !call.attrs.contains(&key) && call.attrs.len() >= ATTRS_MAX {
            let error = FlowError::Limit(format!("a call keeps {ATTRS_MAX} attributes"));
            return self.refuse(now, id, error);
        }
        if key == "language" {
            if !call
                .tenant
                .catalogue
                .languages()
                .any(|language| language == value)
            {
                let error = FlowError::NotFound("no prompts in this language".to_owned());
                return self.refuse(now, id, error);
            }
            call.language = value;
        }
        call.attrs.insert(key.clone());
        self.journal
            .note(call, now.wall, CallEventKind::AttrSet { key });
        self.reply(now, id, Ok(Reply::Done));
    }

    /// All clips are there: on with what they are for.
    pub(crate) fn resolved(&mut self, now: Now, id: CallId, purpose: Purpose, clips: Vec<Clip>) {
        let leg = self.calls[&id].leg;
        match purpose {
            Purpose::Play => {
                let play = self.next_play();
                self.pend(id, Pending::Play { play });
                self.deadlines
                    .set(id, Wait::Op, now.mono + total(&clips) + OP_SLACK);
                self.command(Command::Play {
                    leg,
                    play,
                    clips,
                    repeat: false,
                });
            }
            Purpose::PlayStart { repeat } => {
                let play = self.next_play();
                // Tokens are u32 in the contract; a call never starts four billion playbacks.
                let token = u32::try_from(play.0 & 0xffff_ffff).expect("masked to 32 bits");
                let flow = self.calls.get_mut(&id).and_then(|call| call.flow());
                flow.expect("the caller looked it up")
                    .plays
                    .insert(play, token);
                self.command(Command::Play {
                    leg,
                    play,
                    clips,
                    repeat,
                });
                self.reply(now, id, Ok(Reply::Token(token)));
            }
            Purpose::Gather { spec, secret } => {
                self.pend(id, Pending::Gather { secret });
                if secret {
                    self.keep_secret(now, id);
                }
                let wait = total(&clips) + gather_time(&spec) + OP_SLACK;
                self.deadlines.set(id, Wait::Op, now.mono + wait);
                self.command(Command::Gather { leg, clips, spec });
            }
            Purpose::Dial {
                target,
                options,
                errand,
            } => {
                if self.calls[&id].written {
                    return self.dial(now, id, &target, &options, clips, errand);
                }
                // As with an answer: what cannot be recorded causes no call out.
                let purpose = Purpose::Dial {
                    target,
                    options,
                    errand,
                };
                self.pend(
                    id,
                    Pending::Resolving(Resolving {
                        purpose,
                        clips: clips.into_iter().map(Some).collect(),
                        waiting: BTreeMap::new(),
                    }),
                );
                self.deadlines.set(id, Wait::Commit, now.mono + COMMIT_WAIT);
            }
        }
    }
}

/// Longest a gather can take after its prompt.
fn gather_time(spec: &GatherSpec) -> Duration {
    spec.first_timeout + spec.inter_timeout * u32::from(spec.max)
}

/// What the journal keeps of a wish: nothing private, and nothing of wishes answered at once.
fn detail(op: &Op) -> Option<String> {
    match op {
        Op::Answer => Some(String::new()),
        Op::Play { prompts } | Op::PlayStart { prompts, .. } | Op::Gather { prompts, .. } => {
            Some(crate::prompt::describe(prompts))
        }
        Op::Record { max, .. } => Some(format!("up to {} s", max.as_secs())),
        Op::Dial { target, .. } | Op::Transfer { target } => {
            Some(crate::dial::describe(target).to_owned())
        }
        Op::Enqueue { queue, .. } => Some(queue.clone()),
        Op::Sleep { time } => Some(format!("{} ms", time.as_millis())),
        Op::Hangup { .. } => Some(String::new()),
        Op::Tape(_) => Some(String::new()),
        Op::PlayStop { .. } | Op::NextEvent { .. } | Op::SetAttr { .. } => None,
    }
}
