//! The plugin threads of the simulation: each flow gets its turn after a while.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use plugin::{Plugin, Run, RunInput, RunOutput, Setup};
use vocab::{FlowId, Mono, Now, Rng};

use super::fake::Fake;
use super::house::FAKE;

/// All flows.
#[derive(Debug)]
pub(super) struct Flows {
    slots: BTreeMap<FlowId, Slot>,
    think: (Duration, Duration),
    rng: Rng,
}

#[derive(Debug)]
struct Slot {
    who: Who,
    inputs: VecDeque<RunInput>,
    /// A turn is coming.
    in_line: bool,
    /// What it said last arrives then: its words stay in order.
    said: Mono,
}

#[derive(Debug)]
enum Who {
    Guest(Box<Run>),
    Fake(Box<Fake>),
}

/// What came of a turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// For the node, each with the time it takes to get there.
    pub(super) outputs: Vec<(Mono, RunOutput)>,
    /// The next turn.
    pub(super) next: Option<Mono>,
}

impl Flows {
    pub(super) fn new(think: (Duration, Duration), rng: Rng) -> Self {
        Self {
            slots: BTreeMap::new(),
            think,
            rng,
        }
    }

    /// A new flow; gives the time of its first turn.
    pub(super) fn start(&mut self, now: Mono, flow: FlowId, plugin: &Plugin, setup: Setup) -> Mono {
        let who = match setup.config.lookup(FAKE) {
            Some(habit) => Who::Fake(Box::new(Fake::new(
                &habit,
                plugin.reference().clone(),
                self.rng.fork(),
            ))),
            None => Who::Guest(Box::new(plugin.run(setup))),
        };
        let inputs = VecDeque::from([RunInput::Start]);
        let slot = Slot {
            who,
            inputs,
            in_line: true,
            said: now,
        };
        assert!(
            self.slots.insert(flow, slot).is_none(),
            "flow ids are not used twice"
        );
        now + self.wait()
    }

    /// Gives a flow an input; tells when its turn comes, unless it is in line already.
    pub(super) fn input(&mut self, now: Mono, flow: FlowId, input: RunInput) -> Option<Mono> {
        let wait = self.wait();
        let slot = self.slots.get_mut(&flow)?;
        slot.inputs.push_back(input);
        (!std::mem::replace(&mut slot.in_line, true)).then(|| now + wait)
    }

    /// Drops a flow.
    pub(super) fn stop(&mut self, flow: FlowId) {
        self.slots.remove(&flow);
    }

    /// One slice of a flow.
    pub(super) fn turn(&mut self, now: Now, flow: FlowId) -> Turn {
        let hop = Duration::from_micros(self.rng.below(300));
        let Some(slot) = self.slots.get_mut(&flow) else {
            return Turn::default();
        };
        slot.in_line = false;
        let inputs = match slot.inputs.front() {
            // A slice is given alone, so that others get their turn.
            Some(RunInput::Slice) => slot.inputs.pop_front().into_iter().collect(),
            Some(_) | None => std::mem::take(&mut slot.inputs),
        };
        let mut turn = Turn::default();
        let mut yielded = false;
        slot.said = slot.said.max(now.mono + hop);
        for input in inputs {
            let outputs = match &mut slot.who {
                Who::Guest(run) => {
                    run.handle(now, input);
                    std::iter::from_fn(|| run.poll()).collect()
                }
                Who::Fake(fake) => fake.handle(&input),
            };
            for output in outputs {
                if matches!(output, RunOutput::Yielded) {
                    yielded = true;
                } else {
                    turn.outputs.push((slot.said, output));
                }
            }
        }
        if matches!(&slot.who, Who::Guest(run) if run.is_over()) {
            self.slots.remove(&flow);
            return turn;
        }
        if yielded {
            // What arrived meanwhile is for when the guest asks; first it must get to that.
            slot.inputs.push_front(RunInput::Slice);
        }
        if !slot.inputs.is_empty() {
            slot.in_line = true;
            let slice = if yielded {
                plugin::limits::TICK
            } else {
                Duration::ZERO
            };
            turn.next = Some(now.mono + slice);
        }
        turn
    }

    /// Plugins that run. Liars never end by themselves, and are forgotten with their call.
    pub(super) fn guests(&self) -> usize {
        self.slots
            .values()
            .filter(|slot| matches!(slot.who, Who::Guest(_)))
            .count()
    }

    fn wait(&mut self) -> Duration {
        let (least, most) = self.think;
        let spread = u64::try_from((most - least).as_nanos()).unwrap_or(0);
        least + Duration::from_nanos(self.rng.below(spread + 1))
    }
}
