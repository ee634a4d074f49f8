//! `[sip.guard]`: who is listened to.

use std::ops::RangeInclusive;
use std::time::Duration;

use sip::guard::{Config, Prefix, Rate};
use sip::limits::{PREFIXES_MAX, SCANNERS_MAX};

use super::limits::SCANNER_CHARS_MIN;
use super::reader::Table;

/// Programs on this machine: a proxy, a test phone, the load generator.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

/// Reads the section; what it does not say is as for an address that strangers reach.
pub(super) fn read(mut table: Table<'_>) -> Config {
    let defaults = Config::default();
    let enabled = table.truth("enabled").unwrap_or(true);
    let allow = prefixes(&mut table, "allow").unwrap_or_else(loopback);
    let deny = prefixes(&mut table, "deny").unwrap_or_default();
    let requests = count(&mut table, "requests_per_s", 1..=1_000_000);
    let registers = count(&mut table, "registers_per_s", 1..=1_000_000);
    let invites = count(&mut table, "invites_per_s", 1..=1_000_000);
    let failures = count(&mut table, "auth_failures_per_min", 1..=100_000);
    let malformed = count(&mut table, "malformed_per_min", 1..=1_000_000);
    let scanners = scanners(&mut table).unwrap_or(defaults.scanners);
    let ban_first = seconds(&mut table, "ban_s", 1..=86_400, defaults.ban_first);
    let at = table.at;
    let ban_longest = seconds(&mut table, "ban_max_s", 1..=604_800, defaults.ban_longest);
    if ban_longest < ban_first {
        let what = "ban_max_s is below ban_s; bans grow from the one to the other";
        table.source.error(at, what);
    }
    let streams = table.whole("streams_per_source", 1..=65_536);
    let message_time = seconds(&mut table, "message_s", 1..=600, defaults.message_time);
    // Answers find their stream for 64·T1 (RFC 3261 §18).
    let idle_time = seconds(&mut table, "idle_s", 32..=86_400, defaults.idle_time);
    table.finish();
    Config {
        enabled,
        allow,
        deny,
        requests: requests.map_or(defaults.requests, Rate::per_second),
        registers: registers.map_or(defaults.registers, Rate::per_second),
        invites: invites.map_or(defaults.invites, Rate::per_second),
        failures: failures.map_or(defaults.failures, Rate::per_minute),
        malformed: malformed.map_or(defaults.malformed, Rate::per_minute),
        excess: defaults.excess,
        scanners,
        ban_first,
        ban_longest,
        streams: streams
            .and_then(|streams| usize::try_from(streams).ok())
            .unwrap_or(defaults.streams),
        message_time,
        idle_time,
    }
}

fn loopback() -> Vec<Prefix> {
    let prefixes = LOOPBACK.map(|text| text.parse().expect("written above"));
    prefixes.into()
}

/// `None` if the file does not say; an empty list is one.
fn prefixes(table: &mut Table<'_>, key: &'static str) -> Option<Vec<Prefix>> {
    let there = table.has(key);
    let texts = table.texts(key);
    if let Some(one_more) = texts.get(PREFIXES_MAX) {
        let what = format!("{key} has more than {PREFIXES_MAX} prefixes; join neighbours");
        table.source.error(Some(one_more.at), what);
    }
    let mut prefixes = Vec::new();
    for text in &texts {
        match text.value.parse::<Prefix>() {
            Ok(prefix) => prefixes.push(prefix),
            Err(why) => {
                let what = format!(
                    "{key}: {:?} is no address prefix: {why}; write it as in \"192.0.2.0/24\"",
                    text.value
                );
                table.source.error(Some(text.at), what);
            }
        }
    }
    there.then_some(prefixes)
}

fn scanners(table: &mut Table<'_>) -> Option<Vec<String>> {
    let there = table.has("scanners");
    let words = table.texts("scanners");
    if let Some(one_more) = words.get(SCANNERS_MAX) {
        let what = format!("scanners has more than {SCANNERS_MAX} words");
        table.source.error(Some(one_more.at), what);
    }
    for word in &words {
        // An empty word is in every name, and a short one in many.
        if word.value.trim().len() < SCANNER_CHARS_MIN {
            let what = format!(
                "scanners: {:?} is too short and would ban honest phones; give {SCANNER_CHARS_MIN} \
                 characters or more",
                word.value
            );
            table.source.error(Some(word.at), what);
        }
    }
    let words = words.iter().map(|word| word.value.to_owned());
    there.then(|| words.collect())
}

fn count(table: &mut Table<'_>, key: &'static str, range: RangeInclusive<u64>) -> Option<u32> {
    table.whole(key, range)?.try_into().ok()
}

fn seconds(
    table: &mut Table<'_>,
    key: &'static str,
    range: RangeInclusive<u64>,
    default: Duration,
) -> Duration {
    table.whole(key, range).map_or(default, Duration::from_secs)
}
