//! `[sip.trace]` and `[sip.hep]`: what becomes of the signalling's messages.

use std::net::SocketAddr;
use std::time::Duration;

use vocab::Pii;

use super::reader::Table;
use super::secret::Environment;

/// What is kept of the signalling, and who else gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Messages are captured.
    pub enabled: bool,
    /// How long those of past calls are kept; zero for not at all.
    pub keep: Duration,
    /// Bytes of all of them on disk.
    pub keep_bytes: u64,
    /// Where copies are sent.
    pub hep: Option<Hep>,
}

/// A collector that speaks HEP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hep {
    /// Its address.
    pub to: SocketAddr,
    /// Tells our messages from those of other agents.
    pub capture_id: u32,
    /// What it asks of its agents.
    pub key: Option<Pii<String>>,
}

/// Days of traces. A month is longer than most complaints take.
const KEEP_DAYS: u64 = 30;

/// Megabytes of traces: half a million calls of 2 KB.
const KEEP_MB: u64 = 1_024;

/// The number that Homer's own agents begin with.
const CAPTURE_ID: u64 = 2_001;

/// Characters of a key: it has to fit into each packet beside the message.
const KEY_CHARS_MAX: usize = 255;

pub(super) fn read(sip: &mut Table<'_>, environment: &Environment<'_>) -> Trace {
    let mut table = sip.table("trace");
    let enabled = table.truth("enabled").unwrap_or(true);
    let days = table.whole("keep_days", 0..=3_650).unwrap_or(KEEP_DAYS);
    let megabytes = table.whole("keep_mb", 1..=1_000_000).unwrap_or(KEEP_MB);
    table.finish();
    Trace {
        enabled,
        keep: Duration::from_secs(days * 86_400),
        keep_bytes: megabytes << 20,
        hep: hep(sip.table("hep"), environment),
    }
}

fn hep(mut table: Table<'_>, environment: &Environment<'_>) -> Option<Hep> {
    let wanted = "an address with a port, as in \"192.0.2.9:9060\"";
    let to = table.parsed::<SocketAddr>("to", wanted);
    let capture_id = table.whole("capture_id", 0..=u64::from(u32::MAX));
    let name = table.text("key_env");
    let key = name.and_then(|name| match environment.secret(name.value) {
        Ok(key) if key.reveal().len() > KEY_CHARS_MAX => {
            let what = format!("the collector's key is longer than {KEY_CHARS_MAX} characters");
            table.source.error(Some(name.at), what);
            None
        }
        Ok(key) => Some(key),
        Err(why) => {
            table
                .source
                .error(Some(name.at), format!("the collector's key: {why}"));
            None
        }
    });
    if table.at.is_some() {
        table.demand(
            "to",
            "name the collector's address, as in \"192.0.2.9:9060\"",
        );
    }
    table.finish();
    Some(Hep {
        to: to?.value,
        capture_id: u32::try_from(capture_id.unwrap_or(CAPTURE_ID)).unwrap_or(u32::MAX),
        key: key.filter(|key| !key.reveal().is_empty()),
    })
}
