//! Tenants and their phones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZoneDatabase;
use node::{Catalogue, Phone, Tenant};
use vocab::{Pii, TenantId};

use super::reader::{At, Source, Table};
use super::secret::Environment;
use super::spelling::did_you_mean;
use super::{catalogue, groups, limits, recordings, routes, trunks};
use crate::archive::{Policies, Policy};
use crate::prompts::is_language;

/// What a tenant's settings are checked against.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) environment: &'a Environment<'a>,
    pub(super) prompts_dir: &'a Path,
    pub(super) plugins_dir: &'a Path,
    /// SIP is open to other machines.
    pub(super) open: bool,
}

/// What was seen so far, over all tenants.
#[derive(Debug, Default)]
pub(super) struct Seen {
    tenants: BTreeMap<TenantId, usize>,
    users: BTreeMap<String, usize>,
    numbers: BTreeMap<String, usize>,
    /// Prompts by folder: tenants often share one.
    catalogues: BTreeMap<PathBuf, Catalogue>,
}

/// Reads all tenants.
pub(super) fn read(
    tables: Vec<Table<'_>>,
    source: &Source<'_>,
    surroundings: &Surroundings<'_>,
) -> (node::Config, Policies) {
    if tables.is_empty() {
        source.warning(
            None,
            "no [[tenant]]: every call will be told that the number is unknown",
        );
    }
    let mut seen = Seen::default();
    let tenants = tables.into_iter();
    let tenants = tenants.filter_map(|table| tenant(table, surroundings, &mut seen));
    let (tenants, policies): (Vec<_>, Vec<_>) = tenants.unzip();
    let ids = tenants.iter().map(|tenant: &Tenant| tenant.id.clone());
    let policies = ids.zip(policies).collect();
    (node::Config::new(tenants), policies)
}

fn tenant(
    mut table: Table<'_>,
    surroundings: &Surroundings<'_>,
    seen: &mut Seen,
) -> Option<(Tenant, Policy)> {
    let id = table.parsed::<TenantId>("id", "1 to 63 characters of a-z, 0-9 and -");
    table.demand("id", "name the tenant, as in id = \"demo\"");
    if let Some(id) = &id {
        unique(
            &table.source,
            &mut seen.tenants,
            id.value.clone(),
            id.at,
            "tenant",
        );
    }
    let time_zone = time_zone(&mut table);
    let language = table.text("language");
    table.demand(
        "language",
        "name the one its callers hear first, as in language = \"zh-CN\"",
    );
    let prompts_dir = table.path("prompts_dir");
    let at = prompts_dir.as_ref().map(|dir| dir.at);
    let prompts_dir =
        prompts_dir.map_or_else(|| surroundings.prompts_dir.to_owned(), |dir| dir.value);
    let catalogue = seen
        .catalogues
        .entry(prompts_dir.clone())
        .or_insert_with(|| catalogue::load(&prompts_dir, &table.source, at));
    let catalogue = catalogue.clone();
    let language = language.filter(|language| {
        let why = check_language(language.value, &prompts_dir, &catalogue);
        if let Err(why) = &why {
            table.source.error(Some(language.at), why.as_str());
        }
        why.is_ok()
    });
    let phones = phones(
        table.tables("phone", "[[tenant.phone]]"),
        surroundings,
        seen,
    );
    let place = routes::Place {
        tenant: id.as_ref().map(|id| &id.value),
        language: language.map(|language| language.value),
        catalogue: &catalogue,
        plugins_dir: surroundings.plugins_dir,
    };
    let tables = table.tables("route", "[[tenant.route]]");
    let routes = routes::read(tables, &place, &mut seen.numbers);
    let trunks = trunks::read(table.tables("trunk", "[[tenant.trunk]]"), surroundings);
    let numbers = trunks::numbers(table.table("numbers"));
    let groups = groups::read(table.tables("group", "[[tenant.group]]"), &phones, &trunks);
    let park = groups::park(table.table("park"));
    let early_media = groups::early_media(&mut table);
    let follow_redirects = table.truth("follow_redirects").unwrap_or(false);
    let heard = recordings::Heard {
        language: language.as_ref().map(|language| language.value),
        catalogue: &catalogue,
    };
    let recording = table.table("recording");
    let recording = recordings::policy(recording, surroundings.environment, &heard);
    table.finish();
    let tenant = Tenant {
        id: id?.value,
        time_zone: time_zone?,
        language: language?.value.to_owned(),
        phones,
        routes,
        trunks,
        numbers,
        groups,
        park,
        early_media,
        follow_redirects,
        catalogue,
        consent: recording.consent,
        record_made: recording.made,
        beep: recording.beep,
    };
    Some((tenant, recording.policy))
}

fn time_zone(table: &mut Table<'_>) -> Option<String> {
    let zone = table.text("time_zone");
    table.demand(
        "time_zone",
        "its hours are counted in one, as in time_zone = \"Asia/Shanghai\"",
    );
    let zone = zone?;
    let zones = TimeZoneDatabase::bundled();
    if zones.get(zone.value).is_ok() {
        return Some(zone.value.to_owned());
    }
    let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    let meant = did_you_mean(zone.value, names.iter().map(String::as_str));
    let what = format!(
        "no time zone is called {:?}{meant}; use an IANA name such as \"Asia/Shanghai\"",
        zone.value
    );
    table.source.error(Some(zone.at), what);
    None
}

/// A tag of the shape of RFC 5646 §2.1, which is also safe as the name of a folder, with prompts.
fn check_language(tag: &str, prompts_dir: &Path, catalogue: &Catalogue) -> Result<(), String> {
    if !is_language(tag) {
        return Err(format!(
            "language = {tag:?} is not a language tag, as in \"zh-CN\""
        ));
    }
    let folder = prompts_dir.join(tag);
    // Where there are no prompts at all, that was reported.
    if folder.is_dir() || !prompts_dir.is_dir() {
        return Ok(());
    }
    let meant = did_you_mean(tag, catalogue.languages());
    Err(format!(
        "no prompts in language {tag:?}{meant}; make the folder {} or choose another",
        folder.display()
    ))
}

fn phones(
    tables: Vec<Table<'_>>,
    surroundings: &Surroundings<'_>,
    seen: &mut Seen,
) -> BTreeMap<String, Phone> {
    let mut phones = BTreeMap::new();
    for mut table in tables {
        let user = table.text("user").filter(|user| {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
            let fits = (1..=limits::USER_CHARS_MAX).contains(&user.value.len())
                && user.value.chars().all(good);
            if !fits {
                let what = format!(
                    "user = {:?} is not a name of letters, digits and . _ - +, as in \"1001\"",
                    user.value
                );
                table.source.error(Some(user.at), what);
            }
            fits
        });
        table.demand("user", "name it, as in user = \"1001\"");
        let password = password(&mut table, user, surroundings);
        if let Some(user) = user {
            let at = user.at;
            unique(
                &table.source,
                &mut seen.users,
                user.value.to_owned(),
                at,
                "user",
            );
        }
        table.finish();
        if let (Some(user), Some(password)) = (user, password) {
            phones.insert(user.value.to_owned(), Phone { password });
        }
    }
    phones
}

fn password(
    table: &mut Table<'_>,
    user: Option<At<&str>>,
    surroundings: &Surroundings<'_>,
) -> Option<Pii<String>> {
    let name = table.text("password_env");
    let example = user.map_or("PHONE_1001".to_owned(), |user| {
        let word = user
            .value
            .to_uppercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        format!("PHONE_{word}")
    });
    table.demand(
        "password_env",
        &format!(
            "without a password anybody could be this phone; add password_env = \"{example}\""
        ),
    );
    let name = name?;
    match surroundings.environment.secret(name.value) {
        Ok(password) => {
            let short = password.reveal().chars().count() < limits::PASSWORD_CHARS_MIN;
            if short && surroundings.open && surroundings.environment.is_real() {
                let what = format!(
                    "the password in {} is too short while SIP is open to other machines; use {} \
                     random characters or more",
                    name.value,
                    limits::PASSWORD_CHARS_MIN
                );
                table.source.error(Some(name.at), what);
            }
            Some(password)
        }
        Err(why) => {
            table
                .source
                .error(Some(name.at), format!("the phone's password: {why}"));
            None
        }
    }
}

/// Reports what is there twice, naming the line of the first.
pub(super) fn unique<K: Ord + std::fmt::Display>(
    source: &Source<'_>,
    seen: &mut BTreeMap<K, usize>,
    key: K,
    at: usize,
    what: &str,
) {
    match seen.get(&key) {
        Some(first) => {
            let first = source.line(*first);
            let what =
                format!("{what} \"{key}\" is on line {first} already; each may be there once");
            source.error(Some(at), what);
        }
        None => {
            seen.insert(key, at);
        }
    }
}
