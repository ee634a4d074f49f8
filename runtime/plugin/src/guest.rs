//! What belongs to one run: the state that host functions see, and the desk at which the run and
//! its guest meet.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use jiff::tz::TimeZoneDatabase;
use vocab::flow::{CallInfo, FaultKind, FlowError, Level, Op, Reply};
use vocab::{Now, Rng};
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;

use crate::config::Config;
use crate::error::cut;
use crate::grant::{Capability, Permit};
use crate::limits;
use crate::log::{Gate, Passed};
use crate::run::RunOutput;

/// A host function's verdict that the run is over; carried through the guest as a trap.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Stop {
    pub(crate) kind: FaultKind,
    pub(crate) detail: String,
}

impl Stop {
    pub(crate) fn limit(detail: impl Into<String>) -> Self {
        Self {
            kind: FaultKind::HostLimit,
            detail: detail.into(),
        }
    }
}

/// Where one question and its answer lie.
///
/// | state | on | becomes |
/// |---|---|---|
/// | `Empty` | the guest asks | `Asked` |
/// | `Asked` | the run is told the answer | `Answered` |
/// | `Answered` | the guest takes it | `Empty` |
#[derive(Debug)]
pub(crate) enum Slot {
    Empty,
    Asked,
    Answered(Result<Reply, FlowError>),
}

/// What the run and its guest share. They never run at the same time: the lock is there because
/// a run moves between threads, and it is never contended.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The moment of the last input.
    pub(crate) now: Now,
    pub(crate) slot: Slot,
    /// What the run will report.
    pub(crate) out: VecDeque<RunOutput>,
    /// Why the far end is gone, if it is.
    pub(crate) gone: Option<String>,
    /// Operations answered with `hangup` since.
    pub(crate) calls_after_hangup: u32,
    /// The memory limit was hit.
    pub(crate) memory_refused: bool,
    /// Not yet logged; here the panic message is found.
    pub(crate) stderr: String,
    gate: Gate,
}

pub(crate) type SharedDesk = Arc<Mutex<Desk>>;

/// Locks a desk.
pub(crate) fn lock(desk: &SharedDesk) -> MutexGuard<'_, Desk> {
    desk.lock().expect("nothing panics while it holds a desk")
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            now: Now::default(),
            slot: Slot::Empty,
            out: VecDeque::new(),
            gone: None,
            calls_after_hangup: 0,
            memory_refused: false,
            stderr: String::new(),
            gate: Gate::new(),
        }
    }

    /// Writes a log line, or drops it.
    pub(crate) fn log(&mut self, level: Level, text: &str) -> Result<(), Stop> {
        let passed = self.gate.pass(self.now.mono, level, text);
        self.passed(passed)
    }

    /// Keeps what the guest writes to stderr until the next operation or the end.
    pub(crate) fn stderr(&mut self, text: &str) -> Result<(), Stop> {
        let room = limits::STDERR_BYTES_MAX - self.stderr.len();
        if room < text.len() {
            let passed = self.gate.drop_line();
            return self.passed(passed);
        }
        self.stderr.push_str(text);
        assert!(
            self.stderr.len() <= limits::STDERR_BYTES_MAX,
            "stderr stays bounded"
        );
        Ok(())
    }

    /// Logs what was kept of stderr. A flood is noticed at the next line the guest writes.
    pub(crate) fn log_stderr(&mut self) {
        for line in std::mem::take(&mut self.stderr)
            .lines()
            .filter(|line| !line.is_empty())
        {
            drop(self.log(Level::Warn, line));
        }
    }

    fn passed(&mut self, passed: Passed) -> Result<(), Stop> {
        match passed {
            Passed::Written(line) | Passed::Dropped(Some(line)) => {
                self.out.push_back(RunOutput::Log {
                    level: line.level,
                    message: line.message,
                });
                Ok(())
            }
            Passed::Dropped(None) => Ok(()),
            Passed::Flood => Err(Stop::limit(format!(
                "flooded the log: more than {} lines dropped",
                limits::LOG_LINES_DROPPED_MAX
            ))),
        }
    }
}

/// The data of one store.
pub(crate) struct State {
    pub(crate) desk: SharedDesk,
    pub(crate) memory: MemoryLimit,
    /// Streams of the guest's standard library.
    pub(crate) table: ResourceTable,
    /// No directory is open in it.
    pub(crate) filesystem: WasiFilesystemCtx,
    pub(crate) info: CallInfo,
    pub(crate) attrs: BTreeMap<String, String>,
    pub(crate) config: Config,
    pub(crate) permit: Permit,
    /// Refusals already reported.
    pub(crate) denied: Vec<Capability>,
    pub(crate) rng: Rng,
    pub(crate) zones: TimeZoneDatabase,
}

impl State {
    /// The moment of the last input.
    pub(crate) fn now(&self) -> Now {
        lock(&self.desk).now
    }

    /// Checks a capability; the first refusal of each is reported.
    pub(crate) fn permitted(&mut self, capability: Capability) -> Result<(), FlowError> {
        let checked = self.permit.check(capability);
        if checked.is_err() && !self.denied.contains(&capability) {
            self.denied.push(capability);
            lock(&self.desk)
                .out
                .push_back(RunOutput::Denied { capability });
        }
        assert!(
            self.denied.len() <= Capability::ALL.len(),
            "each is reported once"
        );
        checked
    }

    /// Asks the world outside and suspends the guest until it answers. Once the far end is gone
    /// the answer is `hangup`, at once.
    pub(crate) async fn ask(&mut self, op: Op) -> wasmtime::Result<Result<Reply, FlowError>> {
        {
            let mut desk = lock(&self.desk);
            if let Some(reason) = desk.gone.clone() {
                desk.calls_after_hangup += 1;
                if desk.calls_after_hangup > limits::CALLS_AFTER_HANGUP_MAX {
                    return Err(Stop::limit(format!(
                        "more than {} operations after hang-up",
                        limits::CALLS_AFTER_HANGUP_MAX
                    ))
                    .into());
                }
                return Ok(Err(FlowError::Hangup(reason)));
            }
            assert!(
                matches!(desk.slot, Slot::Empty),
                "a guest asks one thing at a time"
            );
            desk.slot = Slot::Asked;
            desk.log_stderr();
            desk.out.push_back(RunOutput::Op(op));
        }
        let desk = &self.desk;
        // The run polls again after each input, so nobody has to be woken.
        let answer = poll_fn(|_| {
            let mut desk = lock(desk);
            match std::mem::replace(&mut desk.slot, Slot::Empty) {
                Slot::Answered(answer) => Poll::Ready(answer),
                waiting @ (Slot::Asked | Slot::Empty) => {
                    desk.slot = waiting;
                    Poll::Pending
                }
            }
        })
        .await;
        Ok(answer)
    }
}

/// Linear memory and tables of one run, all together.
pub(crate) struct MemoryLimit {
    desk: SharedDesk,
    bytes_max: usize,
    bytes: usize,
}

impl MemoryLimit {
    pub(crate) fn new(desk: SharedDesk, bytes_max: usize) -> Self {
        Self {
            desk,
            bytes_max,
            bytes: 0,
        }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self.bytes.saturating_add(desired.saturating_sub(current));
        if grown > self.bytes_max {
            lock(&self.desk).memory_refused = true;
            return Ok(false);
        }
        self.bytes = grown;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= limits::TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        limits::CORE_INSTANCES as usize + 1
    }

    fn tables(&self) -> usize {
        limits::TABLES as usize
    }

    fn memories(&self) -> usize {
        1
    }
}

/// The kind and detail of what ended a run against its will.
pub(crate) fn classify(
    error: &wasmtime::Error,
    desk: &Desk,
    memory_max: usize,
) -> (FaultKind, String) {
    use wasmtime::Trap;

    if let Some(stop) = error.downcast_ref::<Stop>() {
        return (stop.kind, cut(&stop.detail, limits::DETAIL_CHARS_MAX));
    }
    let trap = error.downcast_ref::<Trap>().copied();
    let place = innermost_function(error)
        .map(|name| format!(" in {name}"))
        .unwrap_or_default();
    let (kind, detail) = match trap {
        Some(Trap::StackOverflow) => (
            FaultKind::StackOverflow,
            format!(
                "more than {} KiB of stack{place}",
                limits::WASM_STACK_BYTES >> 10
            ),
        ),
        Some(Trap::Interrupt | Trap::OutOfFuel) => {
            (FaultKind::OutOfTime, format!("interrupted{place}"))
        }
        _ if desk.memory_refused => (
            FaultKind::OutOfMemory,
            format!("asked for more than {} MiB of memory", memory_max >> 20),
        ),
        Some(Trap::UnreachableCodeReached) if panic_message(&desk.stderr).is_some() => (
            FaultKind::Panic,
            panic_message(&desk.stderr).unwrap_or_default(),
        ),
        Some(trap) => {
            let text = trap.to_string();
            let text = text.strip_prefix("wasm trap: ").unwrap_or(&text);
            (FaultKind::Trap, format!("{text}{place}"))
        }
        None => (FaultKind::HostLimit, crate::error::one_line(error)),
    };
    (kind, cut(&detail, limits::DETAIL_CHARS_MAX))
}

/// The message of Rust's default panic hook, in one line:
/// `thread '…' panicked at <place>:` and the message, up to the note about backtraces.
fn panic_message(stderr: &str) -> Option<String> {
    let (_, rest) = stderr.split_once("panicked at ")?;
    let (place, message) = rest.split_once(":\n").unwrap_or(("", rest));
    let message: Vec<&str> = message
        .lines()
        .take_while(|line| !line.starts_with("note: "))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let message = message.join(" ");
    Some(if place.is_empty() {
        message
    } else {
        format!("{message} ({place})")
    })
}

/// The name of the function the trap happened in, if the component kept its names.
fn innermost_function(error: &wasmtime::Error) -> Option<String> {
    let backtrace = error.downcast_ref::<wasmtime::WasmBacktrace>()?;
    // Its text, not its frames, has readable names: `0: 0x1f4 - plugin.wasm!module::function`.
    let text = backtrace.to_string();
    let (_, name) = text.lines().find_map(|line| line.split_once('!'))?;
    Some(without_hash(name.trim()).to_owned())
}

/// A Rust path without the hash that ends it: `::h` and 16 hexadecimal digits.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            path
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_messages_become_one_line() {
        let stderr = "\nthread '<unnamed>' (1) panicked at src/lib.rs:64:24:\nthe menu has\nno \
                      entry 7\nnote: run with `RUST_BACKTRACE=1` …\n";
        assert_eq!(
            panic_message(stderr).as_deref(),
            Some("the menu has no entry 7 (src/lib.rs:64:24)")
        );
        assert_eq!(panic_message("a line\n"), None);
    }

    #[test]
    fn names_lose_their_hash_only() {
        assert_eq!(
            without_hash("probe::recurse::hc7893cc97dadb0fc"),
            "probe::recurse"
        );
        assert_eq!(without_hash("menu::hello"), "menu::hello");
    }
}
