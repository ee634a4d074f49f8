//! A call's plugin: how its run begins, what it says, and what its caller hears when it breaks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use plugin::{RegistryOutput, RunOutput, Ticket};
use vocab::call::{Cause, Command};
use vocab::flow::{CallInfo, Fault, FaultKind, FlowError, FlowEvent, Outcome, PluginRef, Reply};
use vocab::record::CallEventKind;
use vocab::{CallId, FlowId, Now, Party};

use crate::border::{Notice, Output};
use crate::call::{Call, Flow, Line, Pending, Stage, Turn, total};
use crate::limits::{ANSWER_WAIT, EVENTS_MAX, FLOW_WAIT, OP_SLACK};
use crate::node::Node;
use crate::wait::Wait;

impl Node {
    pub(crate) fn start_flow(&mut self, now: Now, id: CallId) {
        let call = self.calls.get_mut(&id).expect("the caller inserted it");
        let route = Arc::clone(&call.route);
        let Some((plugin, ticket)) = self.registry.take(&route.plugin) else {
            let plugin = PluginRef {
                name: route.plugin.as_str().into(),
                version: "none".into(),
            };
            let detail = format!("no plugin named {} is installed", route.plugin);
            return self.fault(
                now,
                id,
                Fault {
                    plugin,
                    kind: FaultKind::Start,
                    detail,
                },
            );
        };
        self.flow_last += 1;
        let flow = FlowId(self.flow_last);
        let reference = plugin.reference().clone();
        let kind = CallEventKind::FlowStarted {
            plugin: reference.clone(),
        };
        self.journal.note(call, now.wall, kind);
        call.stage = Stage::Flow(Box::new(Flow {
            id: flow,
            plugin: reference,
            ticket,
            events: VecDeque::new(),
            plays: BTreeMap::new(),
            turn: Turn::Plugin,
        }));
        let info = CallInfo {
            call: id,
            direction: call.direction,
            caller: call.flow_party().clone(),
            callee: Party::Sip(route.number.clone()),
            started_at: call.started.wall,
            attrs: vec![
                ("language".to_owned(), call.language.clone()),
                ("time-zone".to_owned(), call.tenant.time_zone.clone()),
            ],
        };
        self.flows.insert(flow, id);
        self.deadlines.set(id, Wait::Flow, now.mono + FLOW_WAIT);
        let seed = self.rng.u64();
        self.out.push_back(Output::StartFlow {
            flow,
            plugin,
            info,
            route,
            seed,
        });
    }

    pub(crate) fn flow_output(&mut self, now: Now, flow: FlowId, output: RunOutput) {
        let Some(&id) = self.flows.get(&flow) else {
            return;
        };
        let call = self.calls.get_mut(&id).expect("a flow has a call");
        let Some(state) = call.flow() else { return };
        let plugin = state.plugin.clone();
        match output {
            RunOutput::Yielded => {}
            RunOutput::Log { level, message } => {
                self.notice(Notice::PluginLog {
                    call: id,
                    plugin,
                    level,
                    message,
                });
            }
            RunOutput::Denied { capability } => {
                let capability = capability.name();
                self.notice(Notice::Denied {
                    call: id,
                    plugin,
                    capability,
                });
            }
            RunOutput::Op(op) => self.op(now, id, op),
            RunOutput::Ended(end) => {
                let kind = end.fault().map(|fault| fault.kind);
                self.forget_flow(now, id, kind);
                match end {
                    plugin::End::Outcome(outcome) => self.returned(now, id, outcome),
                    plugin::End::Hangup | plugin::End::Cancelled => {
                        let label = "hangup".to_owned();
                        self.returned(
                            now,
                            id,
                            Outcome {
                                label,
                                detail: None,
                            },
                        );
                    }
                    plugin::End::Fault(fault) => self.fault(now, id, fault),
                }
            }
        }
    }

    /// Gives the flow an event now if it waits for one, else later.
    pub(crate) fn flow_event(&mut self, now: Now, id: CallId, event: FlowEvent) {
        let Some(flow) = self.calls.get_mut(&id).and_then(Call::flow) else {
            return;
        };
        if matches!(flow.turn, Turn::Host(Pending::NextEvent)) {
            return self.reply(now, id, Ok(Reply::Event(event)));
        }
        if flow.events.len() >= EVENTS_MAX {
            flow.events.pop_front();
        }
        flow.events.push_back(event);
    }

    /// Answers what the flow waits for; the turn is the plugin's.
    pub(crate) fn reply(&mut self, now: Now, id: CallId, reply: Result<Reply, FlowError>) {
        let Some(flow) = self.calls.get_mut(&id).and_then(Call::flow) else {
            return;
        };
        let Turn::Host(_) = &flow.turn else { return };
        flow.turn = Turn::Plugin;
        let flow = flow.id;
        self.deadlines.clear(id, Wait::Op);
        self.deadlines.set(id, Wait::Flow, now.mono + FLOW_WAIT);
        self.out.push_back(Output::Reply { flow, reply });
    }

    /// The call goes on without its flow, which may still finish: whatever it says is ignored.
    pub(crate) fn release_flow(&mut self, now: Now, id: CallId, flow: FlowId, ticket: Ticket) {
        self.secret_over(now, id);
        self.out.push_back(Output::FlowHangup {
            flow,
            reason: "transferred".to_owned(),
        });
        self.flows.remove(&flow);
        self.deadlines.clear(id, Wait::Flow);
        self.deadlines.clear(id, Wait::Op);
        self.release(now, ticket, None);
    }

    /// The flow's run is over; the call has no flow from here on.
    pub(crate) fn forget_flow(&mut self, now: Now, id: CallId, fault: Option<FaultKind>) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let Stage::Flow(flow) = std::mem::replace(&mut call.stage, Stage::Leaving) else {
            panic!("the caller saw a flow");
        };
        self.flows.remove(&flow.id);
        self.secret_over(now, id);
        for wait in [Wait::Flow, Wait::Op, Wait::Trying, Wait::Round, Wait::Grace] {
            self.deadlines.clear(id, wait);
        }
        if let Turn::Host(Pending::Dial(dial)) = flow.turn {
            self.leave_dialed(now, id, &dial, Cause::Cancelled);
        }
        self.release(now, flow.ticket, fault);
    }

    fn release(&mut self, now: Now, ticket: Ticket, fault: Option<FaultKind>) {
        self.registry.release(now, ticket, fault);
        self.registry_news();
    }

    pub(crate) fn registry_news(&mut self) {
        while let Some(output) = self.registry.poll() {
            self.notice(match output {
                RegistryOutput::RolledBack { from, to } => Notice::PluginRolledBack { from, to },
                RegistryOutput::Failing { plugin } => Notice::PluginFailing { plugin },
                RegistryOutput::Drained { plugin } => Notice::PluginDrained { plugin },
                RegistryOutput::Freed { plugin } => Notice::PluginFreed { plugin },
            });
        }
    }

    /// The flow is over as it should be.
    pub(crate) fn returned(&mut self, now: Now, id: CallId, outcome: Outcome) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let kind = CallEventKind::FlowEnded {
            label: outcome.label.clone(),
        };
        self.journal.note(call, now.wall, kind);
        if call.is_gone() {
            return self.finish(now, id);
        }
        if self.come_back(now, id, &outcome) {
            return;
        }
        // A leg that was neither transferred nor enqueued is hung up.
        self.turn_off(id);
    }

    /// The flow broke: its caller hears the announcement, everybody else nothing of it.
    pub(crate) fn fault(&mut self, now: Now, id: CallId, fault: Fault) {
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let kind = CallEventKind::FlowFault {
            fault: fault.clone(),
        };
        self.journal.note(call, now.wall, kind);
        let tenant = call.tenant.id.clone();
        call.stage = Stage::Fallback { play: None };
        let line = call.line;
        let visit = line == Line::Up && call.talk.visit.is_some();
        self.notice(Notice::Fault {
            tenant,
            call: id,
            fault,
        });
        if visit {
            // Whoever waits takes its party back, and hears what went wrong as the result.
            let outcome = Outcome {
                label: "fault".to_owned(),
                detail: None,
            };
            self.come_back(now, id, &outcome);
            return;
        }
        match line {
            Line::Gone { .. } => self.finish(now, id),
            Line::Up => self.announce(now, id),
            Line::Waiting => self.want_answer(now, id),
            Line::Wanted | Line::Answering => {
                self.deadlines.set(id, Wait::Op, now.mono + ANSWER_WAIT);
            }
        }
    }

    /// Plays the route's announcement; a busy tone if it is missing.
    pub(crate) fn announce(&mut self, now: Now, id: CallId) {
        let play = self.next_play();
        let call = self.calls.get_mut(&id).expect("the caller looked it up");
        let clips = vec![call.announcement().unwrap_or(&self.tones.busy).clone()];
        let announcement = clips[0].name.to_string();
        call.stage = Stage::Fallback { play: Some(play) };
        let leg = call.leg;
        self.journal
            .note(call, now.wall, CallEventKind::Fallback { announcement });
        self.deadlines
            .set(id, Wait::Op, now.mono + total(&clips) + OP_SLACK);
        self.commands.push_back(Command::Play {
            leg,
            play,
            clips,
            repeat: false,
        });
    }
}
