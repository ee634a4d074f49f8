//! Guests run here: on threads of their own, a slice at a time, fair over tenants.

// Threads of their own are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use node::Route;
use plugin::{Host, Plugin, Run, RunInput, RunOutput, Setup};
use vocab::flow::{CallInfo, FaultKind};
use vocab::{FlowId, Rng, TenantId};

use crate::clock::Clock;
use crate::control::{Handle, Message};

/// Inputs that may wait for one run: an answer, a hang-up and a few that crossed.
const INPUTS_MAX: usize = 16;

/// Runs that wait or are busy, over all threads. Clones share it.
#[derive(Clone)]
pub(crate) struct PluginPool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    runs: HashMap<FlowId, Slot>,
    /// Runs with something to do, by tenant; tenants take turns.
    ready: BTreeMap<TenantId, VecDeque<FlowId>>,
    last_tenant: Option<TenantId>,
    stopped: bool,
}

struct Slot {
    tenant: TenantId,
    inputs: VecDeque<RunInput>,
    place: Place,
}

/// Where a run is.
enum Place {
    /// Waiting for an input.
    Idle(Box<Run>),
    /// In line.
    Ready(Box<Run>),
    /// On a thread.
    Busy,
}

impl PluginPool {
    /// A pool without threads.
    pub(crate) fn new() -> Self {
        let shared = Shared {
            state: Mutex::default(),
            work: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Starts the threads, and the ticker that ends slices.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start_threads(
        &self,
        count: usize,
        clock: Clock,
        host: Host,
        control: &Handle,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Vec<std::thread::JoinHandle<()>>> {
        let mut threads = Vec::with_capacity(count + 1);
        for index in 0..count {
            let (pool, control) = (self.clone(), control.clone());
            let name = format!("plugin-{index}");
            let run = move || pool.work(clock, &control);
            threads.push(std::thread::Builder::new().name(name).spawn(run)?);
        }
        let tick = move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(plugin::limits::TICK);
                host.tick();
            }
        };
        threads.push(
            std::thread::Builder::new()
                .name("ticker".to_owned())
                .spawn(tick)?,
        );
        Ok(threads)
    }

    /// Puts a new run in line.
    pub(crate) fn start(
        &self,
        flow: FlowId,
        plugin: &Plugin,
        info: CallInfo,
        route: &Route,
        seed: u64,
    ) {
        let setup = Setup {
            info,
            config: route.settings.clone(),
            grant: route.grant.clone(),
            rng: Rng::from_u64(seed),
        };
        let run = Box::new(plugin.run(setup));
        let tenant = route.tenant.clone();
        let mut state = self.lock();
        let slot = Slot {
            tenant: tenant.clone(),
            inputs: VecDeque::from([RunInput::Start]),
            place: Place::Ready(run),
        };
        let before = state.runs.insert(flow, slot);
        assert!(before.is_none(), "flow ids are not used twice");
        state.ready.entry(tenant).or_default().push_back(flow);
        drop(state);
        self.shared.work.notify_one();
    }

    /// Gives a run an input.
    pub(crate) fn input(&self, flow: FlowId, input: RunInput) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(slot) = state.runs.get_mut(&flow) else {
            return;
        };
        if slot.inputs.len() >= INPUTS_MAX {
            let detail = "more answers than questions".to_owned();
            slot.inputs.clear();
            slot.inputs
                .push_back(RunInput::Kill(FaultKind::HostLimit, detail));
        } else {
            slot.inputs.push_back(input);
        }
        if let Place::Idle(_) = slot.place {
            let Place::Idle(run) = std::mem::replace(&mut slot.place, Place::Busy) else {
                return;
            };
            slot.place = Place::Ready(run);
            let tenant = slot.tenant.clone();
            state.ready.entry(tenant).or_default().push_back(flow);
            self.shared.work.notify_one();
        }
    }

    /// Drops a run. One that is on a thread is dropped at the end of its slice.
    pub(crate) fn stop(&self, flow: FlowId) {
        let removed = self.lock().runs.remove(&flow);
        // Freeing an instance takes a moment: outside the lock.
        drop(removed);
    }

    /// Runs alive.
    pub(crate) fn len(&self) -> usize {
        self.lock().runs.len()
    }

    /// Ends all threads after their slice.
    pub(crate) fn shut_down(&self) {
        self.lock().stopped = true;
        self.shared.work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread: takes a run, gives it its inputs, measures, hands its wishes on.
    fn work(&self, clock: Clock, control: &Handle) {
        while let Some((flow, mut run, inputs)) = self.next() {
            let mut yielded = false;
            for input in inputs {
                let before = clock.now();
                run.handle(before, input);
                // What a slice costs is what it ran, however long it stood in line before.
                run.charge(clock.now().mono.since(before.mono));
                while let Some(output) = run.poll() {
                    if matches!(output, RunOutput::Yielded) {
                        yielded = true;
                    } else {
                        control.send(Message::Flow { flow, output });
                    }
                }
            }
            self.put_back(flow, run, yielded);
        }
    }

    /// Waits for a run with something to do.
    fn next(&self) -> Option<(FlowId, Box<Run>, VecDeque<RunInput>)> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(next) = state.take() {
                return Some(next);
            }
            let wait = self.shared.work.wait_timeout(state, Duration::from_secs(1));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn put_back(&self, flow: FlowId, run: Box<Run>, yielded: bool) {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(slot) = state.runs.get_mut(&flow) else {
            return;
        };
        if run.is_over() {
            state.runs.remove(&flow);
            return;
        }
        if yielded {
            // What arrived meanwhile is for when the guest asks; first it must get to that.
            slot.inputs.push_front(RunInput::Slice);
        }
        if slot.inputs.is_empty() {
            slot.place = Place::Idle(run);
        } else {
            slot.place = Place::Ready(run);
            let tenant = slot.tenant.clone();
            state.ready.entry(tenant).or_default().push_back(flow);
            self.shared.work.notify_one();
        }
    }
}

impl State {
    /// The first run in line of the tenant whose turn it is.
    fn take(&mut self) -> Option<(FlowId, Box<Run>, VecDeque<RunInput>)> {
        loop {
            let after = self.last_tenant.as_ref().and_then(|last| {
                use std::ops::Bound::{Excluded, Unbounded};
                self.ready
                    .range((Excluded(last), Unbounded))
                    .next()
                    .map(|(tenant, _)| tenant)
            });
            let tenant = after.or_else(|| self.ready.keys().next())?.clone();
            let line = self.ready.get_mut(&tenant).expect("its key was just seen");
            let flow = line.pop_front();
            if line.is_empty() {
                self.ready.remove(&tenant);
            }
            self.last_tenant = Some(tenant);
            let Some(flow) = flow else { continue };
            // A run that was stopped while in line is simply not there any more.
            let Some(slot) = self.runs.get_mut(&flow) else {
                continue;
            };
            let inputs = slot.take_inputs();
            if let Place::Ready(run) = std::mem::replace(&mut slot.place, Place::Busy) {
                return Some((flow, run, inputs));
            }
        }
    }
}

impl Slot {
    /// Its inputs, one slice's worth: a `Slice` is given alone, so that others get their turn.
    fn take_inputs(&mut self) -> VecDeque<RunInput> {
        if matches!(self.inputs.front(), Some(RunInput::Slice)) {
            return self.inputs.pop_front().into_iter().collect();
        }
        std::mem::take(&mut self.inputs)
    }
}
