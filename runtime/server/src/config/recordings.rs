//! `[recordings]` and `[tenant.recording]`: where and how recordings are kept.

use std::time::Duration;

use node::{Catalogue, ConsentPolicy};
use store::Format;
use vocab::Pii;

use super::reader::Table;
use super::secret::Environment;
use crate::archive::{Key, Keys, Policy, Remote};

/// Hours that a recording stays in a file here as well: those who listen mostly do on the same day.
const KEEP_LOCAL_H: u64 = 24;

/// Most former keys of a tenant: one a month for ten years.
const KEYS_MAX: usize = 120;

/// Longest time that recordings are kept by a number of days: a century.
const KEEP_DAYS_MAX: u64 = 36_500;

/// Most seconds between beeps that tell of a recording: beyond an hour most calls would have but one.
const BEEP_S_MAX: u64 = 3_600;

/// The object store.
pub(super) fn read(mut table: Table<'_>, environment: &Environment<'_>) -> Option<Remote> {
    let mut s3 = table.table("s3");
    table.finish();
    let endpoint = s3.text("endpoint").filter(|endpoint| {
        let good = endpoint.value.starts_with("https://") || endpoint.value.starts_with("http://");
        if !good {
            let what = "endpoint does not begin with https:// or http://, as in \
                        \"https://s3.example.com\"";
            s3.source.error(Some(endpoint.at), what);
        }
        good
    });
    let region = s3.text("region");
    let bucket = s3.text("bucket");
    let prefix = s3.text("prefix").filter(|prefix| {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let fits = prefix.value.len() <= 200 && prefix.value.chars().all(good);
        let fits = fits && !prefix.value.starts_with('/') && !prefix.value.ends_with('/');
        if !fits {
            let what = "prefix is not letters, digits and - _ . / as in \"jackfield/recordings\"";
            s3.source.error(Some(prefix.at), what);
        }
        fits
    });
    let mut secret = |key: &'static str, what: &str| -> Pii<String> {
        let value = s3.text(key).and_then(|name| {
            let found = environment.secret(name.value);
            let why = |why| s3.source.error(Some(name.at), format!("{what}: {why}"));
            found.map_err(why).ok()
        });
        value.unwrap_or_else(|| Pii::new(String::new()))
    };
    let access_key = secret("access_key_env", "the object store's access key");
    let secret_key = secret("secret_key_env", "the object store's secret key");
    let virtual_host = s3.truth("virtual_host").unwrap_or(false);
    let keep_local = s3.whole("keep_local_h", 0..=87_600);
    if s3.at.is_some() {
        s3.demand("bucket", "name the bucket, as in bucket = \"recordings\"");
        for key in ["access_key_env", "secret_key_env"] {
            s3.demand(key, "name the variable that holds it");
        }
    }
    s3.finish();
    Some(Remote {
        endpoint: endpoint.map(|endpoint| endpoint.value.trim_end_matches('/').to_owned()),
        region: region.map_or("us-east-1", |region| region.value).to_owned(),
        bucket: bucket?.value.to_owned(),
        prefix: prefix.map_or("", |prefix| prefix.value).to_owned(),
        access_key,
        secret_key,
        virtual_host,
        keep_local: Duration::from_secs(keep_local.unwrap_or(KEEP_LOCAL_H) * 3_600),
    })
}

/// What callers of a tenant can be told.
pub(super) struct Heard<'a> {
    pub(super) language: Option<&'a str>,
    pub(super) catalogue: &'a Catalogue,
}

/// What callers are told before they are recorded.
fn consent(table: &mut Table<'_>, heard: &Heard<'_>) -> Option<ConsentPolicy> {
    let announcement = table.text("announce");
    if let (Some(name), Some(language)) = (announcement, heard.language)
        && heard.catalogue.find(language, name.value).is_none()
    {
        let what = format!(
            "announce = {:?}: there is no such prompt in {language} or common; record it, or name another",
            name.value
        );
        table.source.error(Some(name.at), what);
    }
    let key = table.text("consent_key");
    let read = key.and_then(|key| {
        let mut keys = key.value.chars();
        let one = keys
            .next()
            .filter(|one| one.is_ascii_digit() || "*#".contains(*one));
        let one = one.filter(|_| keys.next().is_none());
        if one.is_none() {
            let what = format!("consent_key = {:?} is not one of 0-9, * and #", key.value);
            table.source.error(Some(key.at), what);
        }
        one
    });
    let prefixes = table.texts("consent_prefixes");
    for prefix in &prefixes {
        let digits = prefix.value.strip_prefix('+').unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let what = format!(
                "{:?} is not the beginning of a number, as in \"+49\"",
                prefix.value
            );
            table.source.error(Some(prefix.at), what);
        }
    }
    if announcement.is_none() && (key.is_some() || !prefixes.is_empty()) {
        let what = "callers are asked by a prompt: name it as announce";
        table.source.error(table.at, what);
    }
    Some(ConsentPolicy {
        announcement: announcement?.value.to_owned(),
        key: read,
        prefixes: prefixes
            .iter()
            .map(|prefix| prefix.value.to_owned())
            .collect(),
    })
}

/// What a tenant says of its recordings.
pub(super) struct Recording {
    /// How they are kept.
    pub(super) policy: Policy,
    /// What callers are told before.
    pub(super) consent: Option<ConsentPolicy>,
    /// Calls that are made by request are recorded.
    pub(super) made: bool,
    /// How often those who are recorded hear a beep.
    pub(super) beep: Option<Duration>,
}

/// How the recordings of a tenant are kept, and what those who are recorded are told.
pub(super) fn policy(
    mut table: Table<'_>,
    environment: &Environment<'_>,
    heard: &Heard<'_>,
) -> Recording {
    let consent = consent(&mut table, heard);
    let made = table.truth("made").unwrap_or(true);
    let beep = table.whole("beep_s", 0..=BEEP_S_MAX).unwrap_or(0);
    let format = table.text("format").and_then(|text| {
        let known = Format::ALL
            .into_iter()
            .find(|format| format.name() == text.value);
        if known.is_none() {
            let what = format!("format = {:?} is not \"wav\" or \"opus\"", text.value);
            table.source.error(Some(text.at), what);
        }
        known
    });
    let days = table.whole("keep_days", 0..=KEEP_DAYS_MAX).unwrap_or(0);
    let read = |table: &Table<'_>, name: &str, at: usize| -> Option<Key> {
        let secret = match environment.secret(name) {
            Ok(secret) => secret,
            Err(why) => {
                let what = format!("the key of recordings: {why}");
                table.source.error(Some(at), what);
                return None;
            }
        };
        if !environment.is_real() {
            return None;
        }
        let key = Key::parse(secret.reveal());
        if key.is_none() {
            let what = format!(
                "the key of recordings in {name} is not 64 hexadecimal digits; make one with: \
                 openssl rand -hex 32"
            );
            table.source.error(Some(at), what);
        }
        key
    };
    let key = table.text("key_env");
    let key = key.and_then(|name| read(&table, name.value, name.at));
    let old = table.texts("old_keys_env");
    if old.len() > KEYS_MAX {
        let what = format!("more than {KEYS_MAX} old keys; remove those that nothing needs");
        table.source.error(old.last().map(|name| name.at), what);
    }
    let mut keys = Vec::new();
    for name in &old {
        keys.extend(read(&table, name.value, name.at));
    }
    keys.extend(key.clone());
    table.finish();
    let policy = Policy {
        format: format.unwrap_or(Format::Wav),
        keep: (days > 0).then(|| Duration::from_secs(days * 86_400)),
        key,
        keys: Keys::new(keys),
    };
    Recording {
        policy,
        consent,
        made,
        beep: (beep > 0).then(|| Duration::from_secs(beep)),
    }
}
