//! The server's own log: lines on standard error.
//!
//! A line can be read alone; the same facts are in its fields, for filtering. Numbers, names, SIP
//! addresses and digits are in no line. The one address that is logged is where wrong credentials
//! came from: without it nobody could shut an attacker out.

mod flood;
mod lines;
mod writer;

use tracing_subscriber::EnvFilter;

use crate::config::Log;

pub(crate) use lines::Lines;
pub(crate) use writer::Flush;

/// Starts logging to standard error. Lines are written by a thread of their own, so that no other
/// thread waits for a slow terminal or log collector; dropping what is returned writes the rest.
///
/// # Errors
/// When the filter is not understood, or logging was started before in this process.
pub(crate) fn init(log: &Log) -> anyhow::Result<Flush> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| {
        anyhow::anyhow!(
            "[log] filter: {error}; write error, warn, info, debug or trace, or by part as in \
             \"info,jackfield_sip=debug\""
        )
    })?;
    let (writer, flush) = writer::start()?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    let started = if log.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))?;
    Ok(flush)
}
