//! The server's own log.

use crate::config::Log;

/// Starts logging to standard error.
///
/// # Errors
/// When the filter is not understood, or logging was started before.
pub(crate) fn init(log: &Log) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&log.filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = if log.json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}

/// One line for what the node thinks worth one.
pub(crate) fn notice(notice: &node::Notice) {
    tracing::debug!(?notice, "notice");
}
