//! What the system says about this process, under the names that Prometheus' clients use.
//!
//! Read from `/proc`; on a system without it, these values are left out.

use std::fs;

use super::{header, line};

/// Ticks a second in `/proc`, fixed in Linux' interface to programs (`USER_HZ`).
const TICKS_HZ: f64 = 100.0;

/// Writes what can be found out.
pub(super) fn render(out: &mut String) {
    let mut row = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            header(out, name, kind, help);
            line(out, format_args!("{name} {value}"));
        }
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let system = fs::read_to_string("/proc/stat").unwrap_or_default();
    let bytes = |name| field(&status, name).map(|kib| kib * 1_024.0);
    let memory = "Resident memory.";
    row(
        "process_resident_memory_bytes",
        "gauge",
        memory,
        bytes("VmRSS:"),
    );
    row(
        "process_virtual_memory_bytes",
        "gauge",
        "Virtual memory.",
        bytes("VmSize:"),
    );
    row(
        "process_threads",
        "gauge",
        "Threads.",
        field(&status, "Threads:"),
    );
    // The folder that is read is open itself.
    let open = fs::read_dir("/proc/self/fd")
        .ok()
        .map(|list| list.count().saturating_sub(1) as f64);
    row("process_open_fds", "gauge", "Open files.", open);
    let allowed = field(&limits, "Max open files");
    row(
        "process_max_fds",
        "gauge",
        "Files that may be open.",
        allowed,
    );
    let spent = ticks(&stat, 14)
        .zip(ticks(&stat, 15))
        .map(|(user, system)| user + system);
    row(
        "process_cpu_seconds_total",
        "counter",
        "Processor time spent.",
        spent,
    );
    let started = ticks(&stat, 22)
        .zip(field(&system, "btime"))
        .map(|(after, boot)| boot + after);
    let help = "When the process started, in seconds since 1970.";
    row("process_start_time_seconds", "gauge", help, started);
}

/// The number that follows a name at the start of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/self/stat`, counted from 1 as in proc(5), from ticks to seconds.
fn ticks(stat: &str, number: usize) -> Option<f64> {
    // The second field is the program's name in brackets and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: f64 = rest
        .split_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()?;
    Some(ticks / TICKS_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let status = "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(1_234.0));
        assert_eq!(field(status, "VmSize:"), None);
        let stat = "12 (a) b)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 12345 1";
        assert_eq!(ticks(stat, 14), Some(2.5));
        assert_eq!(ticks(stat, 22), Some(123.45));
        assert_eq!(ticks("", 14), None);
    }
}
