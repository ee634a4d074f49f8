//! Who lives in the simulation: two tenants, their numbers and what answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use node::{Catalogue, Config, NumberPlan, Phone, Route, Tenant, Trunk};
use plugin::{Grant, Value};
use vocab::{Clip, Pii, TenantId};

use super::ear;
use super::network::Home;

/// The phones that answer calls for trunks are those whose user names begin so.
pub(super) const TRUNK_USER: &str = "trunk";

/// Settings key that has a flow of the simulation take the call instead of the plugin.
pub(super) const FAKE: &str = "fake";

/// Numbers whose plugin does as it should.
pub(super) const GOOD: [&str; 6] = ["1000", "1010", "1020", "1310", "1311", "1312"];

/// Numbers that break in one way each: a fault is expected there, and nowhere else.
const PROBES: [(&str, &str); 13] = [
    ("1301", "loop"),
    ("1302", "memory"),
    ("1303", "recurse"),
    ("1304", "panic"),
    ("1305", "flood"),
    ("1306", "denied"),
    ("1307", "trap"),
    ("1308", "exit"),
    ("1309", "error"),
    ("1310", "wait"),
    ("1311", "echo"),
    ("1312", "gone"),
    ("1313", "every"),
];

/// Numbers whose flow is no plugin at all, but a liar of the simulation.
const FAKES: [(&str, &str); 5] = [
    ("1401", "silent"),
    ("1402", "mute"),
    ("1403", "twice"),
    ("1404", "nonsense"),
    ("1405", "leaves"),
];

/// A number whose plugin is not installed.
pub(super) const MISSING: &str = "1500";

/// Every number a caller may try, an unknown one included.
pub(super) fn numbers() -> Vec<&'static str> {
    let fixed = GOOD.into_iter().take(3).chain([MISSING, "2000", "7777"]);
    let probes = PROBES.into_iter().map(|(number, _)| number);
    fixed
        .chain(probes)
        .chain(FAKES.into_iter().map(|(number, _)| number))
        .collect()
}

/// Whether a fault of this number's flow is nobody's fault but its own.
pub(super) fn may_fault(number: &str) -> bool {
    // A flow that waits for events is told `timeout` in the end and returns it.
    number.starts_with("13") || number.starts_with("14") || number == MISSING
}

/// The configuration: all phones and routes but those taken out.
pub(super) fn config(
    passwords: &BTreeMap<String, String>,
    without: &BTreeSet<String>,
    trunks: &[usize],
) -> Arc<Config> {
    let demo = tenant("demo", passwords, without, trunks, |user| {
        !user.starts_with('2')
    });
    let shop = tenant("shop", passwords, without, &[], |user| {
        user.starts_with('2')
    });
    Arc::new(Config::new([demo, shop]))
}

fn tenant(
    id: &str,
    passwords: &BTreeMap<String, String>,
    without: &BTreeSet<String>,
    trunks: &[usize],
    lives_here: impl Fn(&str) -> bool,
) -> Tenant {
    let id: TenantId = id.parse().expect("a tenant's name");
    let phones = passwords
        .iter()
        .filter(|(user, _)| lives_here(user) && !without.contains(*user))
        .map(|(user, password)| {
            (
                user.clone(),
                Phone {
                    password: Pii::new(password.clone()),
                },
            )
        })
        .collect();
    let routes = routes(&id)
        .into_iter()
        .filter(|route| !without.contains(&route.number))
        .map(|route| (route.number.clone(), Arc::new(route)))
        .collect();
    let trunks = trunks.iter().enumerate().map(|(n, &phone)| {
        Arc::new(Trunk {
            id: format!("city-{n}"),
            address: Home::new(phone, false).sip().into(),
            prefixes: vec!["+8621".into()],
            priority: u16::try_from(n).expect("a few"),
            calls_max: Some(8),
            health: Duration::from_secs(30 * (n as u64 % 2)),
            ..Trunk::default()
        })
    });
    Tenant {
        id,
        time_zone: "Asia/Shanghai".into(),
        language: "zh-CN".into(),
        phones,
        routes,
        trunks: trunks.collect(),
        numbers: NumberPlan::default(),
        groups: [("desks".to_owned(), desks())].into(),
        park: node::Park::default(),
        early_media: node::EarlyMedia::default(),
        follow_redirects: false,
        consent: None,
        record_made: true,
        beep: None,
        catalogue: catalogue(),
    }
}

/// Two desks and somebody outside.
fn desks() -> node::Group {
    let desk = |user: &str| node::Callee::Phone(user.to_owned());
    let outside = node::Callee::Number(Pii::new("+862155500000".to_owned()));
    node::Group {
        members: vec![desk("1003"), outside, desk("1004")],
        in_order: true,
        ring: Duration::from_secs(4),
    }
}

fn routes(tenant: &TenantId) -> Vec<Route> {
    let menu: toml::Table = include_str!("menu.toml").parse().expect("the menu is TOML");
    let menu = plugin::Config::from(menu);
    let both = || Grant::parse(["dial", "record"]).expect("both words are known");
    let route = |number: &str, plugin: &str, settings: &plugin::Config| Route {
        tenant: tenant.clone(),
        number: number.into(),
        public: true,
        plugin: plugin.into(),
        settings: settings.clone(),
        grant: both(),
        fallback: "sorry".into(),
        record: false,
    };
    if tenant.as_str() == "shop" {
        return vec![Route {
            public: false,
            ..route("2000", "ivr-menu", &menu)
        }];
    }
    let none = plugin::Config::default();
    let mut routes = vec![
        Route {
            record: true,
            ..route("1000", "ivr-menu", &menu)
        },
        Route {
            grant: Grant::none(),
            ..route("1010", "hello-ivr", &none)
        },
        Route {
            public: false,
            ..route("1020", "ivr-menu", &menu)
        },
        route(MISSING, "not-here", &none),
    ];
    for (number, mode) in PROBES {
        let settings = setting("mode", mode);
        let grant = if mode == "denied" {
            Grant::none()
        } else {
            Grant::all()
        };
        routes.push(Route {
            grant,
            ..route(number, "probe", &settings)
        });
    }
    for (number, fake) in FAKES {
        routes.push(route(number, "probe", &setting(FAKE, fake)));
    }
    routes
}

fn setting(key: &str, value: &str) -> plugin::Config {
    plugin::Config::new(vec![(key.into(), Value::Text(value.into()))])
}

/// Every prompt in both languages, each at its own pitch.
fn catalogue() -> Catalogue {
    let clips: BTreeMap<String, Clip> = ear::NAMES
        .into_iter()
        .map(|name| {
            let ms = match name {
                "welcome" | "main" | "sorry" => 800,
                "hold" => 3_000,
                _ if name.starts_with("digits/") => 200,
                _ => 400,
            };
            let hz = ear::pitch_hz(name).expect("a known name");
            (name.to_owned(), Clip::new(name, ear::tone(hz, ms * 8)))
        })
        .collect();
    let languages = ["zh-CN", "en"].map(|language| (language.to_owned(), clips.clone()));
    Catalogue::new(languages.into_iter().collect())
}

/// How long speech of a text is.
pub(super) fn speech(text: &str) -> Clip {
    let time = Duration::from_millis(40) * u32::try_from(text.chars().count()).unwrap_or(1);
    let hz = ear::pitch_hz("says").expect("a known name");
    let samples = usize::try_from(time.as_millis()).unwrap_or(0) * 8;
    Clip::new("speech", ear::tone(hz, samples.min(24_000)))
}
