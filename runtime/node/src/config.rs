//! What a node needs to know of its tenants. Checked and complete: the shell reads the files.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use sip::locate::Place;
use vocab::call::Login;
use vocab::{Party, Pii, TenantId};

use crate::catalogue::{Catalogue, Prompts};
use crate::number::{NumberForm, NumberPlan};

/// Everything a node is configured with. Replaced as a whole; live calls keep their route.
#[derive(Clone, Debug, Default)]
pub struct Config {
    tenants: BTreeMap<TenantId, Arc<Tenant>>,
    /// Whose a user is, and whose a number: asked for each registration and each call.
    users: Arc<HashMap<String, TenantId>>,
    numbers: Arc<HashMap<String, TenantId>>,
}

/// One customer of the node.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// IANA zone, such as `Asia/Shanghai`.
    pub time_zone: String,
    /// Language tag of prompts until a flow changes it, such as `zh-CN`.
    pub language: String,
    /// Registered users by name; unique over all tenants.
    pub phones: BTreeMap<String, Phone>,
    /// Routes by dialled number; unique over all tenants.
    pub routes: BTreeMap<String, Arc<Route>>,
    /// Ways out. None: external dialling is off.
    pub trunks: Vec<Arc<Trunk>>,
    /// How numbers are written where it is.
    pub numbers: NumberPlan,
    /// Phones that are rung together, by name.
    pub groups: BTreeMap<String, Group>,
    /// Where calls can wait for any phone.
    pub park: Park,
    /// What a caller hears of a far end that has not answered.
    pub early_media: EarlyMedia,
    /// A call that a phone sends elsewhere (3xx) goes on there.
    pub follow_redirects: bool,
    /// Audio by language and name.
    pub catalogue: Catalogue,
    /// Who is recorded only after it was told or asked.
    pub consent: Option<ConsentPolicy>,
    /// Calls that are made by request are recorded once the two talk. Those to a route are as it says.
    pub record_made: bool,
    /// Whoever is recorded hears a beep as often as this; `None` is never.
    pub beep: Option<Duration>,
}

/// What callers are told, or asked, before they are recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsentPolicy {
    /// What they hear: a prompt of the catalogue.
    pub announcement: String,
    /// They are recorded only if they press this key.
    pub key: Option<char>,
    /// Only callers whose numbers begin so, and those without a number. Empty: all.
    pub prefixes: Vec<String>,
}

impl ConsentPolicy {
    /// Whether it is for this caller.
    pub(crate) fn is_for(&self, caller: &Party) -> bool {
        let begins = |number: &str| {
            let mut prefixes = self.prefixes.iter();
            prefixes.any(|prefix| number.starts_with(prefix.as_str()))
        };
        match caller {
            Party::E164(number) => self.prefixes.is_empty() || begins(number),
            // Nobody knows where it is.
            Party::Sip(_) | Party::Anonymous => true,
        }
    }
}

/// A phone of a tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phone {
    /// Digest password.
    pub password: Pii<String>,
}

/// What a caller hears of a far end that has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum EarlyMedia {
    /// What it sends, such as an announcement of its network.
    #[default]
    Relay,
    /// Our own ringing, whatever it sends.
    Ringback,
}

/// Somebody who can be rung.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Callee {
    /// A user of the tenant, wherever its phones are registered.
    Phone(String),
    /// A number outside, by a trunk.
    Number(Pii<String>),
}

impl Callee {
    /// The user or the number.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Phone(user) => user,
            Self::Number(number) => number.reveal(),
        }
    }
}

/// Phones and numbers that are rung together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Who, at most [`CALLEES_MAX`](crate::CALLEES_MAX).
    pub members: Vec<Callee>,
    /// One after the other instead of all at once.
    pub in_order: bool,
    /// How long each is rung, or all, before it is the next one's turn.
    pub ring: Duration,
}

/// Slots in which calls wait for any phone of the tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Park {
    /// Their numbers.
    pub slots: RangeInclusive<u16>,
    /// How long a call waits before whoever parked it is rung.
    pub timeout: Duration,
}

impl Default for Park {
    fn default() -> Self {
        Self {
            slots: 701..=720,
            timeout: Duration::from_secs(120),
        }
    }
}

/// A number and what answers it.
#[derive(Clone, Debug)]
pub struct Route {
    /// Whose.
    pub tenant: TenantId,
    /// What is dialled.
    pub number: String,
    /// Callers without credentials may reach it.
    pub public: bool,
    /// The plugin that takes the call.
    pub plugin: String,
    /// Its settings.
    pub settings: plugin::Config,
    /// What the operator lets it do.
    pub grant: plugin::Grant,
    /// Announcement played when the plugin breaks: a catalogue name.
    pub fallback: String,
    /// Each party of a call is recorded, from its answer until it leaves.
    pub record: bool,
}

/// A carrier: a way to numbers outside, and from them. Matched by destination prefix, longest
/// first, then by priority and weight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trunk {
    /// Its name.
    pub id: String,
    /// Where requests are sent: an address, or a name that is looked up (RFC 3263). Over TLS its
    /// certificate must name `domain`, or else this host.
    pub address: Place,
    /// What the carrier calls itself in URIs; `None` is its address.
    pub domain: Option<String>,
    /// Allowed destinations, such as `+8621`. Empty allows none.
    pub prefixes: Vec<String>,
    /// The lower goes first; equals share by weight.
    pub priority: u16,
    /// Share of the calls among equals.
    pub weight: u16,
    /// What we authenticate with, if the carrier asks.
    pub login: Option<Login>,
    /// Set if the carrier finds us by our registration.
    pub registration: Option<TrunkRegistration>,
    /// How often it is asked whether it is there (OPTIONS); zero never.
    pub health: Duration,
    /// Most calls at a time, to it and from it; `None` is any number.
    pub calls_max: Option<u32>,
    /// Most new calls to it a second; `None` is any number.
    pub calls_per_second: Option<u32>,
    /// How it wants numbers written.
    pub sends: NumberForm,
    /// Which number it is shown.
    pub shows: ShownNumber,
    /// Whether the number is asserted too (`P-Asserted-Identity`, RFC 3325).
    pub asserts: bool,
    /// A call that it sends elsewhere (3xx) goes on there, by a trunk that allows it.
    pub follow_redirects: bool,
    /// Tones that it sends before an answer end the attempt, if they say that none will come.
    pub progress: bool,
    /// Tones that come by it after an answer are told: busy, congestion, and those of fax machines.
    pub signals: bool,
    /// Names of the codecs that are offered, most wanted first; without any, all that the node has.
    pub codecs: Vec<String>,
    /// Whether media is offered secured; without it as the node does.
    pub secure_media: Option<bool>,
    /// Calls from its addresses are taken to the tenant's routes.
    pub inbound: bool,
}

impl Default for Trunk {
    /// A trunk that takes nothing, at no address: a start for what is set.
    fn default() -> Self {
        Self {
            id: String::new(),
            address: Place::from(SocketAddr::from(([0, 0, 0, 0], 0))),
            domain: None,
            prefixes: Vec::new(),
            priority: 0,
            weight: 1,
            login: None,
            registration: None,
            health: Duration::ZERO,
            calls_max: None,
            calls_per_second: None,
            sends: NumberForm::E164,
            shows: ShownNumber::Caller,
            asserts: false,
            follow_redirects: false,
            progress: true,
            signals: false,
            codecs: Vec::new(),
            secure_media: None,
            inbound: false,
        }
    }
}

/// How we register with a carrier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrunkRegistration {
    /// The user we are there.
    pub user: String,
    /// How long we ask to be kept.
    pub expires: Duration,
}

/// Which number a carrier is shown as the caller's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShownNumber {
    /// The caller's own.
    Caller,
    /// Always this one.
    Own(String),
}

impl Route {
    /// What a call has that we make: no plugin, and a busy tone if all else fails.
    pub(crate) fn none(tenant: &TenantId, number: &str) -> Self {
        Self {
            tenant: tenant.clone(),
            number: number.to_owned(),
            public: false,
            plugin: String::new(),
            settings: plugin::Config::default(),
            grant: plugin::Grant::none(),
            fallback: String::new(),
            record: false,
        }
    }
}

impl Tenant {
    /// The same with other uploaded prompts.
    pub(crate) fn with_uploaded(&self, uploaded: &Prompts) -> Self {
        Self {
            catalogue: self.catalogue.with_uploaded(uploaded),
            ..self.clone()
        }
    }

    /// The route of a number that a carrier wrote in its own way.
    pub fn route_of(&self, written: &str) -> Option<&Arc<Route>> {
        let number = self.numbers.to_e164(written);
        let mut forms = NumberForm::NAMES.iter().filter_map(|&(_, form)| {
            let number = number.as_deref()?;
            self.routes.get(&self.numbers.write(number, form))
        });
        self.routes.get(written).or_else(|| forms.next())
    }
}

impl Config {
    /// A node's tenants. Of two with the same user or number, the first by id has it.
    pub fn new(tenants: impl IntoIterator<Item = Tenant>) -> Self {
        let tenants = tenants.into_iter();
        let tenants: BTreeMap<TenantId, Arc<Tenant>> = tenants
            .map(|tenant| (tenant.id.clone(), Arc::new(tenant)))
            .collect();
        let (mut users, mut numbers) = (HashMap::new(), HashMap::new());
        for tenant in tenants.values() {
            for user in tenant.phones.keys() {
                users
                    .entry(user.clone())
                    .or_insert_with(|| tenant.id.clone());
            }
            for number in tenant.routes.keys() {
                numbers
                    .entry(number.clone())
                    .or_insert_with(|| tenant.id.clone());
            }
        }
        Self {
            tenants,
            users: Arc::new(users),
            numbers: Arc::new(numbers),
        }
    }

    /// Has a tenant, if it is there, play other uploaded prompts.
    pub(crate) fn set_uploaded(&mut self, tenant: &TenantId, uploaded: &Prompts) {
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            *tenant = Arc::new(tenant.with_uploaded(uploaded));
        }
    }

    /// Tenants by id.
    pub fn tenants(&self) -> &BTreeMap<TenantId, Arc<Tenant>> {
        &self.tenants
    }

    /// The route of a number.
    pub fn route(&self, number: &str) -> Option<&Arc<Route>> {
        self.tenants[self.numbers.get(number)?].routes.get(number)
    }

    /// The tenant of a registered user.
    pub fn tenant_of(&self, user: &str) -> Option<&Arc<Tenant>> {
        self.users.get(user).map(|tenant| &self.tenants[tenant])
    }

    /// All users for the registrar.
    pub fn accounts(&self) -> BTreeMap<String, sip::Account> {
        let phones = self.tenants.values().flat_map(|tenant| &tenant.phones);
        phones
            .map(|(user, phone)| {
                (
                    user.clone(),
                    sip::Account {
                        password: phone.password.clone(),
                    },
                )
            })
            .collect()
    }
}
