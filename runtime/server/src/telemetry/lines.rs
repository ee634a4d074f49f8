//! What the node reports, as log lines.

use std::net::SocketAddr;

use node::{Notice, Refusal, TrunkState};
use sip::Transport;
use tracing::{debug, error, info, warn};
use vocab::Mono;
use vocab::flow::{Level, PluginRef};

use super::flood::Flood;

/// Writes lines, and leaves out what would be too many of a kind.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    auth_failed: Flood,
    turned_away: Flood,
    /// Wishes without a grant: each is refused, and a plugin may go on wishing.
    denied: Flood,
    /// A full disk refuses every new call.
    not_written: Flood,
    /// Whoever reaches a port can begin handshakes and break them.
    connections: Flood,
    /// A forger can have many addresses banned.
    banned: Flood,
}

impl Lines {
    /// A line for a notice, or none.
    pub(crate) fn notice(&mut self, now: Mono, notice: &Notice) {
        let flood = match notice {
            Notice::AuthFailed { .. } => &mut self.auth_failed,
            Notice::TurnedAway { .. } => &mut self.turned_away,
            Notice::Denied { .. } => &mut self.denied,
            Notice::NotWritten { .. } => &mut self.not_written,
            Notice::Banned { .. } => &mut self.banned,
            Notice::Dialog { .. }
            | Notice::Heard { .. }
            | Notice::Talking { .. }
            | Notice::Speaker { .. } => return,
            Notice::Started { .. }
            | Notice::Answered { .. }
            | Notice::Ended { .. }
            | Notice::Fault { .. }
            | Notice::PluginLog { .. }
            | Notice::PluginLive { .. }
            | Notice::PluginRefused { .. }
            | Notice::PluginRolledBack { .. }
            | Notice::PluginFailing { .. }
            | Notice::PluginDrained { .. }
            | Notice::PluginFreed { .. }
            | Notice::Registered { .. }
            | Notice::Trunk { .. }
            | Notice::Failover { .. }
            | Notice::Unregistered { .. } => return write(notice),
        };
        if flood.admit(now) {
            write(notice);
        }
    }

    /// A line for a connection that could not be made, or broke its handshake.
    pub(crate) fn connection(
        &mut self,
        now: Mono,
        transport: Transport,
        remote: SocketAddr,
        why: &str,
    ) {
        if self.connections.admit(now) {
            let (transport, why) = (transport.via_name(), plain(why));
            warn!(transport, %remote, "connection with {remote} over {transport} failed: {why}");
        }
    }

    /// Says what was left out. To be called now and then, about once a second.
    pub(crate) fn turn(&mut self, now: Mono) {
        if let Some(lines) = self.auth_failed.left_out(now) {
            warn!(lines, "more wrong credentials: lines were left out");
        }
        if let Some(lines) = self.turned_away.left_out(now) {
            info!(lines, "more calls were turned away: lines were left out");
        }
        if let Some(lines) = self.denied.left_out(now) {
            warn!(
                lines,
                "plugins asked for more than they are granted: lines were left out"
            );
        }
        if let Some(lines) = self.connections.left_out(now) {
            warn!(lines, "more connections failed: lines were left out");
        }
        if let Some(lines) = self.banned.left_out(now) {
            warn!(lines, "more addresses were banned: lines were left out");
        }
        if let Some(lines) = self.not_written.left_out(now) {
            warn!(
                lines,
                "events of more calls could not be written: lines were left out"
            );
        }
    }
}

/// The line of a notice.
pub(super) fn write(notice: &Notice) {
    match notice {
        // The route is a number, and numbers are in no line: the record has it.
        Notice::Started {
            tenant,
            call,
            route: _,
        } => {
            info!(%tenant, call.id = %call, "call {call} started");
        }
        // The store has the first dialog, the trace all of them. Who talks is no milestone.
        Notice::Dialog { .. }
        | Notice::Heard { .. }
        | Notice::Talking { .. }
        | Notice::Speaker { .. } => {}
        Notice::Answered { call, after } => {
            let ms = millis(*after);
            info!(call.id = %call, duration_ms = ms, "call {call} answered after {ms} ms");
        }
        Notice::Ended {
            tenant,
            call,
            cause,
            duration,
        } => {
            let (cause, ms) = (cause.name(), millis(*duration));
            info!(
                %tenant, call.id = %call, cause, duration_ms = ms,
                "call {call} ended after {ms} ms: {cause}"
            );
        }
        Notice::TurnedAway { source: _, refusal } => turned_away(*refusal),
        Notice::Fault {
            tenant,
            call,
            fault,
        } => {
            let PluginRef { name, version } = &fault.plugin;
            let (kind, detail) = (fault.kind.name(), plain(&fault.detail));
            warn!(
                %tenant, call.id = %call, plugin.name = %name, plugin.version = %version,
                fault = kind,
                "plugin {name} {version} broke in call {call}: {kind}: {detail}"
            );
        }
        Notice::Denied {
            call,
            plugin: PluginRef { name, version },
            capability,
        } => {
            warn!(
                call.id = %call, plugin.name = %name, plugin.version = %version, capability,
                "plugin {name} {version} asked for {capability}, which the route of call {call} \
                 does not grant"
            );
        }
        Notice::PluginLog {
            call,
            plugin,
            level,
            message,
        } => {
            let message = plain(message);
            macro_rules! said {
                ($level:ident) => {
                    tracing::event!(
                        target: "plugin", tracing::Level::$level, call.id = %call,
                        plugin.name = %plugin.name, plugin.version = %plugin.version, "{message}"
                    )
                };
            }
            match level {
                Level::Trace => said!(TRACE),
                Level::Debug => said!(DEBUG),
                Level::Info => said!(INFO),
                Level::Warn => said!(WARN),
                Level::Error => said!(ERROR),
            }
        }
        Notice::PluginLive {
            plugin: PluginRef { name, version },
        } => {
            info!(
                plugin.name = %name, plugin.version = %version,
                "plugin {name} {version} takes new calls"
            );
        }
        Notice::PluginRefused {
            plugin: PluginRef { name, version },
            why,
        } => {
            let why = plain(why);
            warn!(
                plugin.name = %name, plugin.version = %version,
                "plugin {name} {version} was not taken: {why}"
            );
        }
        Notice::PluginRolledBack { from, to } => {
            error!(
                plugin.name = %from.name, plugin.version = %from.version,
                "plugin {from} failed too often: new calls go to {} again", to.version
            );
        }
        Notice::PluginFailing {
            plugin: PluginRef { name, version },
        } => {
            error!(
                plugin.name = %name, plugin.version = %version,
                "plugin {name} {version} fails again and again, and no earlier version is kept: \
                 install a good one"
            );
        }
        Notice::PluginDrained {
            plugin: PluginRef { name, version },
        } => {
            info!(
                plugin.name = %name, plugin.version = %version,
                "plugin {name} {version} has no calls left; it is kept for a rollback"
            );
        }
        Notice::PluginFreed {
            plugin: PluginRef { name, version },
        } => {
            info!(plugin.name = %name, plugin.version = %version, "plugin {name} {version} is gone");
        }
        Notice::Registered { contacts, .. } => debug!(contacts, "a phone registered"),
        Notice::Trunk {
            tenant,
            trunk,
            state: TrunkState::Up,
        } => info!(%tenant, trunk, "trunk {trunk} of {tenant} is up"),
        Notice::Trunk {
            tenant,
            trunk,
            state,
        } => {
            let state = state.name();
            warn!(
                %tenant, trunk, state,
                "trunk {trunk} of {tenant} is {state}: calls go by other trunks while it is"
            );
        }
        Notice::Failover { call, from } => {
            info!(call.id = %call, trunk = from, "call {call} goes on to another trunk than {from}");
        }
        Notice::Unregistered { why, .. } => {
            debug!(why = why.name(), "a phone is no longer registered")
        }
        Notice::AuthFailed { source } => {
            let source = source.ip();
            warn!(source.ip = %source, "wrong credentials from {source}");
        }
        Notice::Banned {
            source,
            reason,
            lasting,
        } => {
            let seconds = lasting.as_secs();
            warn!(
                source.ip = %source, reason, ban_s = seconds,
                "{source} gets no answer for {seconds} s: {reason}"
            );
        }
        Notice::NotWritten { call } => {
            warn!(call.id = %call, "events of call {call} could not be written");
        }
    }
}

fn turned_away(refusal: Refusal) {
    let why = refusal.name();
    match refusal {
        // The first half of every login: most callers come back with their credentials.
        Refusal::Credentials => debug!(refusal = why, "a caller was asked for credentials"),
        Refusal::UnknownNumber | Refusal::Draining | Refusal::SlotEmpty | Refusal::SlotTaken => {
            info!(refusal = why, "a call was turned away: {why}");
        }
        Refusal::TrunkFull | Refusal::Overload => {
            warn!(refusal = why, "a call was turned away: {why}")
        }
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Text of a plugin in one line: it cannot forge another line, nor speak to a terminal.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests;
