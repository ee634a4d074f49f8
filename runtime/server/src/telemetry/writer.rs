//! Lines on their way to standard error.

// A thread of its own is what this file is for.
#![allow(clippy::disallowed_methods)]

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait. A busy node writes some 600 a second; past these the reader of standard
/// error is stuck, and lines are dropped and counted, because calls must go on.
const WAITING_MAX: usize = 16_384;

/// Lines written in one go at most.
const BATCH_LINES: usize = 4_096;

/// After a write, lines gather for this long: a wake-up and a system call for each would cost a
/// busy node more than the lines themselves. Too short for a person to notice; a process that is
/// killed loses them.
const GATHER: Duration = Duration::from_millis(10);

enum Piece {
    Line(Vec<u8>),
    Stop,
}

/// Where the formatter puts its lines. Clones share the way.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    sender: SyncSender<Piece>,
    dropped: Arc<AtomicU64>,
}

/// Writes what waits when it is dropped. Lines that come later are dropped.
#[derive(Debug)]
pub(crate) struct Flush {
    sender: SyncSender<Piece>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread that writes to standard error.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start() -> io::Result<(Lines, Flush)> {
    start_with(io::stderr())
}

fn start_with(out: impl Write + Send + 'static) -> io::Result<(Lines, Flush)> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let lines = Lines {
        sender: sender.clone(),
        dropped: Arc::clone(&dropped),
    };
    let thread = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || run(out, &receiver, &dropped))?;
    Ok((
        lines,
        Flush {
            sender,
            thread: Some(thread),
        },
    ))
}

fn run(mut out: impl Write, receiver: &Receiver<Piece>, dropped: &AtomicU64) {
    let mut text = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut stop = false;
        for piece in std::iter::once(first)
            .chain(receiver.try_iter())
            .take(BATCH_LINES)
        {
            match piece {
                Piece::Line(line) => text.extend_from_slice(&line),
                Piece::Stop => stop = true,
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            writeln!(
                text,
                "{lost} log lines were dropped: standard error is read too slowly"
            )
            .expect("a vector takes everything");
        }
        // Nowhere to say that nothing can be said.
        drop(out.write_all(&text).and_then(|()| out.flush()));
        text.clear();
        if stop {
            return;
        }
        // Ends early when lines are to be flushed.
        std::thread::park_timeout(GATHER);
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            lines: self,
            text: Vec::new(),
        }
    }
}

/// One line being formatted; sent off when it is dropped.
#[derive(Debug)]
pub(super) struct Line<'a> {
    lines: &'a Lines,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = Piece::Line(std::mem::take(&mut self.text));
        if let Err(TrySendError::Full(_)) = self.lines.sender.try_send(line) {
            self.lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        // Waits for room if there is none: this is the end, there is time.
        drop(self.sender.send(Piece::Stop));
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_lines_are_written_in_order_before_the_end() {
        let kept = Kept::default();
        let (lines, flush) = start_with(kept.clone()).unwrap();
        for n in 0..1_000 {
            writeln!(lines.make_writer(), "line {n}").unwrap();
        }
        drop(flush);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let expected: String = (0..1_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(text, expected);
    }

    /// Says when it is written to, and waits until the other end is dropped.
    struct Stuck(Sender<()>, Receiver<()>, Kept);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(());
            let _ = self.1.recv();
            self.2.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_that_is_stuck() {
        let kept = Kept::default();
        let ((written, being_written), (release, released)) = (channel(), channel::<()>());
        let (lines, flush) = start_with(Stuck(written, released, kept.clone())).unwrap();
        writeln!(lines.make_writer(), "first").unwrap();
        being_written.recv().unwrap();
        for _ in 0..WAITING_MAX + 10 {
            writeln!(lines.make_writer(), "more").unwrap();
        }
        drop(release);
        drop(flush);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("more\n").count(), WAITING_MAX);
        assert!(text.contains("10 log lines were dropped"), "it is said");
    }
}
