//! Numbers and what answers them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use node::{Catalogue, Route};
use plugin::{Capability, Grant};
use vocab::TenantId;

use super::reader::{self, At, Source, Table};
use super::spelling::did_you_mean;
use super::{limits, tenant};

/// The tenant that routes are read for, as far as it could be read.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) tenant: Option<&'a TenantId>,
    pub(super) language: Option<&'a str>,
    pub(super) catalogue: &'a Catalogue,
    pub(super) plugins_dir: &'a Path,
}

/// Reads the routes of a tenant.
pub(super) fn read(
    tables: Vec<Table<'_>>,
    place: &Place<'_>,
    numbers: &mut BTreeMap<String, usize>,
) -> BTreeMap<String, Arc<Route>> {
    let routes = tables
        .into_iter()
        .filter_map(|table| route(table, place, numbers));
    routes
        .map(|route| (route.number.clone(), Arc::new(route)))
        .collect()
}

fn route(
    mut table: Table<'_>,
    place: &Place<'_>,
    numbers: &mut BTreeMap<String, usize>,
) -> Option<Route> {
    let number = number(&mut table);
    if let Some(number) = number {
        tenant::unique(
            &table.source,
            numbers,
            number.value.to_owned(),
            number.at,
            "number",
        );
    }
    let public = table.truth("public").unwrap_or(false);
    let plugin = plugin_name(&mut table, place.plugins_dir);
    let settings = settings(&mut table);
    let grant = grant(&mut table);
    let fallback = fallback(&mut table, place);
    let record = table.truth("record").unwrap_or(true);
    table.finish();
    Some(Route {
        tenant: place.tenant?.clone(),
        number: number?.value.to_owned(),
        public,
        plugin: plugin?.to_owned(),
        settings: settings?,
        grant,
        fallback: fallback?.to_owned(),
        record,
    })
}

fn number<'a>(table: &mut Table<'a>) -> Option<At<&'a str>> {
    let number = table.text("number");
    table.demand("number", "say what is dialled, as in number = \"1000\"");
    number.filter(|number| {
        let dialled = number.value.strip_prefix('+').unwrap_or(number.value);
        let good = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b'#');
        let fits =
            (1..=limits::NUMBER_CHARS_MAX).contains(&dialled.len()) && dialled.bytes().all(good);
        if !fits {
            let what = format!(
                "number = {:?} is not digits, * and # with an optional + before them; write it \
                 without spaces",
                number.value
            );
            table.source.error(Some(number.at), what);
        }
        fits
    })
}

fn plugin_name<'a>(table: &mut Table<'a>, dir: &Path) -> Option<&'a str> {
    let name = table.text("plugin");
    table.demand("plugin", "say what answers, as in plugin = \"ivr-menu\"");
    let name = name?;
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=63).contains(&name.value.len()) || !name.value.bytes().all(good) {
        let what = format!(
            "plugin = {:?} is not a plugin's name; use a-z, 0-9 and -, without .wasm",
            name.value
        );
        table.source.error(Some(name.at), what);
        return None;
    }
    let file = dir.join(format!("{}.wasm", name.value));
    if !file.is_file() {
        let there = installed(dir);
        let meant = did_you_mean(name.value, there.iter().map(String::as_str));
        let what = format!(
            "plugin {:?} is not installed{meant}; until {} is there, callers hear the fallback",
            name.value,
            file.display()
        );
        table.source.warning(Some(name.at), what);
    }
    Some(name.value)
}

/// Names of the plugins in a folder.
fn installed(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| name.strip_suffix(".wasm").map(str::to_owned))
        .collect()
}

/// The tree a plugin reads its settings from; an empty one if the route names none.
fn settings(table: &mut Table<'_>) -> Option<plugin::Config> {
    let Some(path) = table.path("config") else {
        return Some(plugin::Config::default());
    };
    let text = match reader::file(&path.value, limits::FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(why) => {
            let what = format!("config {}: {why}", path.value.display());
            table.source.error(Some(path.at), what);
            return None;
        }
    };
    let source = Source {
        path: &path.value,
        text: &text,
        report: table.source.report,
    };
    source.parse()?;
    match text.parse::<toml::Table>() {
        Ok(tree) => Some(plugin::Config::from(tree)),
        Err(error) => {
            // Syntax was right: what is left are numbers beyond 64 bits.
            let at = error.span().map(|span| span.start);
            source.error(at, error.message());
            None
        }
    }
}

fn grant(table: &mut Table<'_>) -> Grant {
    let words = table.texts("grant");
    let mut good = Vec::new();
    for word in words {
        match word.value.parse::<Capability>() {
            Ok(_) => good.push(word.value),
            Err(error) => {
                let meant = did_you_mean(word.value, Capability::ALL.map(Capability::name));
                table
                    .source
                    .error(Some(word.at), format!("grant: {error}{meant}"));
            }
        }
    }
    Grant::parse(good).unwrap_or_default()
}

fn fallback<'a>(table: &mut Table<'a>, place: &Place<'_>) -> Option<&'a str> {
    let fallback = table.text("fallback");
    table.demand(
        "fallback",
        "name the announcement that callers hear when the plugin breaks, as in fallback = \"sorry\"",
    );
    let fallback = fallback?;
    // Without a language the question has no answer, and that was reported.
    let Some(language) = place.language else {
        return Some(fallback.value);
    };
    if place.catalogue.find(language, fallback.value).is_none() {
        let names = place.catalogue.names(language);
        let meant = did_you_mean(fallback.value, names);
        let what = format!(
            "no announcement is called {:?} in {language} or common{meant}; add {language}/{}.wav \
             to the prompts",
            fallback.value, fallback.value
        );
        table.source.error(Some(fallback.at), what);
    }
    Some(fallback.value)
}
