//! Phones and numbers that are rung together, and slots in which calls wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use node::{CALLEES_MAX, Callee, EarlyMedia, Group, Park, Phone, Trunk};
use vocab::Pii;

use super::limits::USER_CHARS_MAX;
use super::reader::Table;
use super::spelling::did_you_mean;
use super::tenant::unique;

/// How long a phone of a group is rung, in seconds.
const RING_S: u64 = 20;

/// How long a call waits in a slot, in seconds.
const PARK_S: u64 = 120;

/// `[[tenant.group]]`: phones and numbers that are rung together.
pub(super) fn read(
    tables: Vec<Table<'_>>,
    phones: &BTreeMap<String, Phone>,
    trunks: &[Arc<Trunk>],
) -> BTreeMap<String, Group> {
    let mut seen = BTreeMap::new();
    let mut groups = BTreeMap::new();
    for mut table in tables {
        let name = name(&mut table, phones);
        if let Some((name, at)) = &name {
            unique(&table.source, &mut seen, name.clone(), *at, "group");
        }
        let members = members(&mut table, phones, trunks);
        let in_order = match table.text("order") {
            None => false,
            Some(order) if order.value == "all" => false,
            Some(order) if order.value == "in_turn" => true,
            Some(order) => {
                let what = format!("order = {:?} is not \"all\" or \"in_turn\"", order.value);
                table.source.error(Some(order.at), what);
                false
            }
        };
        let ring = table.whole("ring_s", 5..=120).unwrap_or(RING_S);
        table.finish();
        if let Some((name, _)) = name {
            let ring = Duration::from_secs(ring);
            let group = Group {
                members,
                in_order,
                ring,
            };
            groups.insert(name, group);
        }
    }
    groups
}

fn name(table: &mut Table<'_>, phones: &BTreeMap<String, Phone>) -> Option<(String, usize)> {
    let name = table.text("name");
    table.demand("name", "name it, as in name = \"sales\"");
    let name = name?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=USER_CHARS_MAX).contains(&name.value.len()) && name.value.chars().all(good);
    if !fits {
        let what = format!(
            "name = {:?} is not a name of letters, digits and . _ -, as in \"sales\"",
            name.value
        );
        table.source.error(Some(name.at), what);
        return None;
    }
    if phones.contains_key(name.value) {
        let what = format!("name = {:?} is a phone; choose another", name.value);
        table.source.error(Some(name.at), what);
        return None;
    }
    Some((name.value.to_owned(), name.at))
}

fn members(
    table: &mut Table<'_>,
    phones: &BTreeMap<String, Phone>,
    trunks: &[Arc<Trunk>],
) -> Vec<Callee> {
    let texts = table.texts("members");
    table.demand(
        "members",
        "list phones and numbers, as in members = [\"1001\", \"+8613800138000\"]",
    );
    if texts.len() > CALLEES_MAX {
        let what = format!("a group has at most {CALLEES_MAX} members");
        table.source.error(table.at, what);
    }
    let mut members: Vec<Callee> = Vec::new();
    for text in texts {
        let callee = match text.value.strip_prefix('+') {
            None if phones.contains_key(text.value) => Callee::Phone(text.value.to_owned()),
            None => {
                let meant = did_you_mean(text.value, phones.keys().map(String::as_str));
                let what = format!(
                    "no phone of this tenant is called {:?}{meant}; a number outside begins with +",
                    text.value
                );
                table.source.error(Some(text.at), what);
                continue;
            }
            Some(digits) => {
                if let Err(why) = check_number(digits, text.value, trunks) {
                    table.source.error(Some(text.at), why);
                    continue;
                }
                Callee::Number(Pii::new(text.value.to_owned()))
            }
        };
        if members.contains(&callee) {
            let what = format!("{:?} is in the group twice", text.value);
            table.source.error(Some(text.at), what);
        } else {
            members.push(callee);
        }
    }
    members
}

/// A number in E.164 form that one of the trunks allows.
fn check_number(digits: &str, number: &str, trunks: &[Arc<Trunk>]) -> Result<(), String> {
    if !(2..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!(
            "{number:?} is not a number in E.164 form, as in \"+8613800138000\""
        ));
    }
    let mut prefixes = trunks.iter().flat_map(|trunk| &trunk.prefixes);
    if prefixes.any(|prefix| number.starts_with(prefix.as_str())) {
        Ok(())
    } else {
        Err(format!(
            "no trunk of this tenant allows {number:?}: add its prefix to one"
        ))
    }
}

/// `[tenant.park]`: slots in which calls wait for any phone.
pub(super) fn park(mut table: Table<'_>) -> Park {
    let default = Park::default();
    let slots = 1..=u64::from(u16::MAX);
    let first = table.whole("first", slots.clone());
    let last = table.whole("last", slots);
    let timeout = table.whole("timeout_s", 10..=3_600).unwrap_or(PARK_S);
    let number = |number: Option<u64>, other: u16| {
        number
            .and_then(|it| u16::try_from(it).ok())
            .unwrap_or(other)
    };
    let first = number(first, *default.slots.start());
    let last = number(last, first.saturating_add(19));
    if last < first || last - first >= node::SLOTS_MAX {
        let most = node::SLOTS_MAX;
        let what = format!("slots {first} to {last}: there are 1 to {most}, the first one first");
        table.source.error(table.at, what);
    }
    table.finish();
    Park {
        slots: first..=last,
        timeout: Duration::from_secs(timeout),
    }
}

/// What callers hear of a far end that has not answered.
pub(super) fn early_media(table: &mut Table<'_>) -> EarlyMedia {
    match table.text("early_media") {
        None => EarlyMedia::default(),
        Some(text) if text.value == "relay" => EarlyMedia::Relay,
        Some(text) if text.value == "ringback" => EarlyMedia::Ringback,
        Some(text) => {
            let what = format!(
                "early_media = {:?} is not \"relay\" or \"ringback\"",
                text.value
            );
            table.source.error(Some(text.at), what);
            EarlyMedia::default()
        }
    }
}
