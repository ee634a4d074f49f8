//! The part of WASI 0.2 that language runtimes need to start, with nothing behind it.
//!
//! No files, sockets, environment or arguments. Clocks show the moment of the run's last input,
//! random numbers come from the run's seed, stdout is logged, stderr is kept for panic messages.
//! Sleeping is refused, because it would hold the call without the host knowing: `call.sleep` is
//! the way to wait. Of wasmtime-wasi only the bindings and the empty file system are used; none of
//! its clocks, timers or threads.

use vocab::flow::{FaultKind, Level};
use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi_io::bindings::wasi::io;
use wasmtime_wasi_io::bytes::Bytes;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::streams::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, StreamError,
};

use crate::guest::{SharedDesk, State, Stop, lock};
use crate::limits;

/// Interfaces that may be imported in any 0.2 version.
pub(crate) const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The resources of `wasi:io` live in the run's table.
struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Own = HasSelf<State>;

    cli::environment::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::exit::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::stdin::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::stdout::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::stderr::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::terminal_input::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::terminal_output::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::terminal_stdin::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::terminal_stdout::add_to_linker::<_, Own>(linker, |state| state)?;
    cli::terminal_stderr::add_to_linker::<_, Own>(linker, |state| state)?;
    clocks::monotonic_clock::add_to_linker::<_, Own>(linker, |state| state)?;
    clocks::wall_clock::add_to_linker::<_, Own>(linker, |state| state)?;
    random::random::add_to_linker::<_, Own>(linker, |state| state)?;
    random::insecure::add_to_linker::<_, Own>(linker, |state| state)?;
    random::insecure_seed::add_to_linker::<_, Own>(linker, |state| state)?;
    io::error::add_to_linker::<_, Table>(linker, |state| &mut state.table)?;
    io::poll::add_to_linker::<_, Table>(linker, |state| &mut state.table)?;
    io::streams::add_to_linker::<_, Table>(linker, |state| &mut state.table)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, no_files)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, no_files)?;
    Ok(())
}

fn no_files(state: &mut State) -> WasiFilesystemCtxView<'_> {
    WasiFilesystemCtxView {
        ctx: &mut state.filesystem,
        table: &mut state.table,
    }
}

impl cli::environment::Host for State {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl cli::exit::Host for State {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        self.exit_with_code(u8::from(status.is_err()))
    }

    fn exit_with_code(&mut self, status: u8) -> wasmtime::Result<()> {
        let detail = format!("exited with status {status} instead of returning");
        Err(Stop {
            kind: FaultKind::Trap,
            detail,
        }
        .into())
    }
}

/// Stdin: at its end from the start.
struct Nothing;

#[wasmtime_wasi_io::async_trait]
impl Pollable for Nothing {
    async fn ready(&mut self) {}
}

impl InputStream for Nothing {
    fn read(&mut self, _size: usize) -> Result<Bytes, StreamError> {
        Err(StreamError::Closed)
    }
}

/// Stdout or stderr: always ready, never full; what has no room is dropped and counted.
struct Output {
    desk: SharedDesk,
    to: Kept,
}

/// What becomes of output.
enum Kept {
    /// Lines go to the log; holds the line that is not finished.
    Log(String),
    /// Text is kept for the panic message.
    Stderr,
}

#[wasmtime_wasi_io::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        let text = String::from_utf8_lossy(&bytes);
        let mut desk = lock(&self.desk);
        let written = match &mut self.to {
            Kept::Stderr => desk.stderr(&text),
            Kept::Log(line) => text.split_inclusive('\n').try_for_each(|part| {
                // Only as much of a line is kept as will be logged.
                if line.len() < limits::LOG_LINE_BYTES_MAX {
                    line.push_str(part);
                }
                if part.ends_with('\n') {
                    desk.log(Level::Info, &std::mem::take(line))?;
                }
                Ok(())
            }),
        };
        written.map_err(|stop| StreamError::Trap(stop.into()))
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(limits::STDERR_BYTES_MAX)
    }
}

impl State {
    fn output(&mut self, to: Kept) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Output {
            desk: self.desk.clone(),
            to,
        });
        Ok(self.table.push(stream)?)
    }
}

impl cli::stdin::Host for State {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(Nothing);
        Ok(self.table.push(stream)?)
    }
}

impl cli::stdout::Host for State {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output(Kept::Log(String::new()))
    }
}

impl cli::stderr::Host for State {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output(Kept::Stderr)
    }
}

impl cli::terminal_input::Host for State {}

impl cli::terminal_input::HostTerminalInput for State {
    fn drop(&mut self, _: Resource<cli::terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl cli::terminal_output::Host for State {}

impl cli::terminal_output::HostTerminalOutput for State {
    fn drop(&mut self, _: Resource<cli::terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl cli::terminal_stdin::Host for State {
    fn get_terminal_stdin(
        &mut self,
    ) -> wasmtime::Result<Option<Resource<cli::terminal_input::TerminalInput>>> {
        Ok(None)
    }
}

impl cli::terminal_stdout::Host for State {
    fn get_terminal_stdout(
        &mut self,
    ) -> wasmtime::Result<Option<Resource<cli::terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

impl cli::terminal_stderr::Host for State {
    fn get_terminal_stderr(
        &mut self,
    ) -> wasmtime::Result<Option<Resource<cli::terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

/// A moment that has come.
struct Due;

#[wasmtime_wasi_io::async_trait]
impl Pollable for Due {
    async fn ready(&mut self) {}
}

impl State {
    fn wait(&mut self, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
        if nanos > 0 {
            let detail = "slept through WASI; call.sleep is the way to wait".into();
            return Err(Stop {
                kind: FaultKind::HostLimit,
                detail,
            }
            .into());
        }
        let due = self.table.push(Due)?;
        subscribe(&mut self.table, due)
    }
}

impl clocks::monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(State::now(self).mono.0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = State::now(self).mono.0;
        self.wait(when.saturating_sub(now))
    }

    fn subscribe_duration(&mut self, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.wait(nanos)
    }
}

impl clocks::wall_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        let micros = u64::try_from(State::now(self).wall.0).unwrap_or(0);
        Ok(clocks::wall_clock::Datetime {
            seconds: micros / 1_000_000,
            nanoseconds: u32::try_from(micros % 1_000_000 * 1_000)
                .expect("less than a second in nanoseconds fits"),
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<clocks::wall_clock::Datetime> {
        Ok(clocks::wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 1_000,
        })
    }
}

impl State {
    fn random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > limits::RANDOM_BYTES_MAX {
            let most = limits::RANDOM_BYTES_MAX;
            return Err(Stop::limit(format!("more than {most} random bytes at once")).into());
        }
        let mut bytes = vec![0; usize::try_from(len).expect("the limit fits")];
        self.rng.fill(&mut bytes);
        Ok(bytes)
    }
}

impl random::random::Host for State {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.rng.u64())
    }
}

impl random::insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.rng.u64())
    }
}

impl random::insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.rng.u64(), self.rng.u64()))
    }
}
