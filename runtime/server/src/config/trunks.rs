//! Trunks: carriers, and how each wants to be called.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use node::{NumberForm, NumberPlan, ShownNumber, Trunk, TrunkRegistration};
use sip::Transport;
use sip::locate::Place;
use vocab::TenantId;
use vocab::call::Login;

use super::audio;
use super::reader::{At, Table};
use super::spelling::did_you_mean;
use super::tenant::{Surroundings, unique};

/// Transports by the name of `transport`.
const NAMES: [(&str, Transport); 3] = [
    ("udp", Transport::Udp),
    ("tcp", Transport::Tcp),
    ("tls", Transport::Tls),
];

/// How long a registration is asked for (RFC 3261 §10.2.1.1 leaves it to us).
const EXPIRES_S: u64 = 600;

/// How often a trunk is asked whether it is there.
const HEALTH_S: u64 = 30;

/// A host name or address without a port.
struct Domain(String);

impl FromStr for Domain {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match sip::message::Host::parse(text) {
            Ok(host) => Ok(Self(host.to_string())),
            Err(_) => Err(()),
        }
    }
}

/// `[tenant.numbers]`: how numbers are written where the tenant is.
pub(super) fn numbers(mut table: Table<'_>) -> NumberPlan {
    let mut digits = |key| {
        let text = table.text(key)?;
        let good = text.value.len() <= 6 && text.value.bytes().all(|b| b.is_ascii_digit());
        if !good {
            let what = format!("{key} = {:?} is not up to six digits", text.value);
            table.source.error(Some(text.at), what);
        }
        Some(text.value.to_owned())
    };
    let plan = NumberPlan {
        country: digits("country").unwrap_or_default(),
        area: digits("area").unwrap_or_default(),
        national: digits("national_prefix").unwrap_or_default(),
        international: digits("international_prefix").unwrap_or_default(),
    };
    if plan.country.is_empty() && table.at.is_some() {
        table.demand("country", "say which, as in country = \"86\"");
    }
    table.finish();
    plan
}

pub(super) fn read(tables: Vec<Table<'_>>, surroundings: &Surroundings<'_>) -> Vec<Arc<Trunk>> {
    let mut ids = BTreeMap::new();
    let trunks = tables
        .into_iter()
        .filter_map(|table| trunk(table, &mut ids, surroundings));
    trunks.map(Arc::new).collect()
}

fn trunk(
    mut table: Table<'_>,
    ids: &mut BTreeMap<TenantId, usize>,
    surroundings: &Surroundings<'_>,
) -> Option<Trunk> {
    let id = table.parsed::<TenantId>("id", "1 to 63 characters of a-z, 0-9 and -");
    table.demand("id", "name it, as in id = \"carrier\"");
    if let Some(id) = &id {
        unique(&table.source, ids, id.value.clone(), id.at, "trunk");
    }
    let address = address(&mut table);
    let domain = table.parsed::<Domain>("domain", "a host name, as in \"ims.example.com\"");
    let prefixes = prefixes(&mut table);
    let login = login(&mut table, surroundings);
    let registration = registration(&mut table, login.as_ref());
    let health = table.whole("health_s", 0..=3_600).unwrap_or(HEALTH_S);
    let calls_max = table.whole("calls_max", 1..=100_000);
    let calls_per_second = table.whole("calls_per_second", 1..=10_000);
    let priority = table.whole("priority", 0..=1_000).unwrap_or(0);
    let weight = table.whole("weight", 0..=1_000).unwrap_or(1);
    let sends = form(&mut table);
    let shows = match table.text("caller_id").map(|text| text.value) {
        None | Some("caller") => ShownNumber::Caller,
        Some(own) => ShownNumber::Own(own.to_owned()),
    };
    let asserts = table.truth("assert_identity").unwrap_or(false);
    let follow_redirects = table.truth("follow_redirects").unwrap_or(false);
    let progress = table.truth("progress").unwrap_or(true);
    let signals = table.truth("signals").unwrap_or(false);
    let codecs = audio::codecs(&mut table);
    let secure_media = table.truth("srtp");
    let inbound = table.truth("inbound").unwrap_or(false);
    table.finish();
    let small = |number: u64| u16::try_from(number).expect("the range is small");
    let count = |number: u64| u32::try_from(number).expect("the range is small");
    Some(Trunk {
        id: id?.value.to_string(),
        address: address?,
        domain: domain.map(|domain| domain.value.0),
        prefixes,
        priority: small(priority),
        weight: small(weight),
        login,
        registration,
        health: Duration::from_secs(health),
        calls_max: calls_max.map(count),
        calls_per_second: calls_per_second.map(count),
        sends,
        shows,
        asserts,
        follow_redirects,
        progress,
        signals,
        secure_media,
        codecs: codecs.iter().map(|codec| codec.name().to_owned()).collect(),
        inbound,
    })
}

/// Where it is, and how it is reached.
fn address(table: &mut Table<'_>) -> Option<Place> {
    let wanted = "a host name or an IP address, as in \"sip.example.com\" or \"192.0.2.1:5060\"";
    let place = table.parsed::<Place>("address", wanted);
    table.demand(
        "address",
        "say where it is, as in address = \"sip.example.com\" or \"192.0.2.1:5060\"",
    );
    let named = table.text("transport");
    let transport = named.and_then(|text| {
        let found = NAMES.iter().find(|(name, _)| *name == text.value);
        if found.is_none() {
            let hint = did_you_mean(text.value, NAMES.map(|(name, _)| name));
            let what = format!(
                "transport = {:?} is none of udp, tcp, tls{hint}",
                text.value
            );
            table.source.error(Some(text.at), what);
        }
        found.map(|&(_, transport)| transport)
    });
    let (tcp, tls) = (table.truth("tcp"), table.truth("tls"));
    // Said before there was `transport`.
    let older = match (tcp, tls) {
        (_, Some(true)) => Some(Transport::Tls),
        (Some(true), _) => Some(Transport::Tcp),
        (Some(false) | None, _) => None,
    };
    if let (Some(named), Some(older)) = (named, older)
        && transport.is_some_and(|transport| transport != older)
    {
        let what = format!(
            "transport = {:?} and tcp or tls say different things; keep transport",
            named.value
        );
        table.source.error(Some(named.at), what);
    }
    Some(place?.value.over(transport.or(older)))
}

fn prefixes(table: &mut Table<'_>) -> Vec<String> {
    let prefixes = table.texts("prefixes");
    table.demand(
        "prefixes",
        "name the destinations it may be used for, as in [\"+8621\"]",
    );
    for prefix in &prefixes {
        let digits = prefix.value.strip_prefix('+').unwrap_or(prefix.value);
        if digits.is_empty() {
            let what = format!(
                "prefix {:?} allows every number there is; name the countries and areas you call",
                prefix.value
            );
            table.source.error(Some(prefix.at), what);
        } else if digits.len() > 15 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            let what = format!(
                "prefix {:?} is not digits with an optional + before them, as in \"+8621\"",
                prefix.value
            );
            table.source.error(Some(prefix.at), what);
        }
    }
    let prefixes = prefixes.into_iter();
    prefixes.map(|prefix| prefix.value.to_owned()).collect()
}

/// What the carrier asks us for, if it does.
fn login(table: &mut Table<'_>, surroundings: &Surroundings<'_>) -> Option<Login> {
    let user = table.text("user");
    let name = table.text("password_env");
    match (user, name) {
        (Some(user), Some(name)) => match surroundings.environment.secret(name.value) {
            Ok(password) => Some(Login {
                user: user.value.to_owned(),
                password,
            }),
            Err(why) => {
                let what = format!("the trunk's password: {why}");
                table.source.error(Some(name.at), what);
                None
            }
        },
        (Some(At { at, .. }), None) => {
            let what = "a user without a password; add password_env = \"CARRIER\"";
            table.source.error(Some(at), what);
            None
        }
        (None, Some(At { at, .. })) => {
            let what = "a password without a user; add user = \"…\", the one the carrier gave you";
            table.source.error(Some(at), what);
            None
        }
        (None, None) => None,
    }
}

fn registration(table: &mut Table<'_>, login: Option<&Login>) -> Option<TrunkRegistration> {
    let wanted = table.truth("register").unwrap_or(false);
    let expires = table.whole("register_s", 60..=86_400).unwrap_or(EXPIRES_S);
    if !wanted {
        return None;
    }
    let Some(login) = login else {
        table.demand(
            "user",
            "register = true needs one; add user and password_env",
        );
        return None;
    };
    Some(TrunkRegistration {
        user: login.user.clone(),
        expires: Duration::from_secs(expires),
    })
}

fn form(table: &mut Table<'_>) -> NumberForm {
    let Some(text) = table.text("numbers") else {
        return NumberForm::default();
    };
    let found = NumberForm::NAMES
        .iter()
        .find(|(name, _)| *name == text.value);
    if found.is_none() {
        let names = NumberForm::NAMES.map(|(name, _)| name);
        let hint = did_you_mean(text.value, names);
        let what = format!(
            "numbers = {:?} is none of {}{hint}",
            text.value,
            names.join(", ")
        );
        table.source.error(Some(text.at), what);
    }
    found.map_or(NumberForm::default(), |&(_, form)| form)
}
