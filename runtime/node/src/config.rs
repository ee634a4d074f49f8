//! What a node needs to know of its tenants. Checked and complete: the shell reads the files.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use vocab::{Clip, Pii, TenantId};

/// Everything a node is configured with. Replaced as a whole; live calls keep their route.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Tenants by id.
    pub tenants: BTreeMap<TenantId, Arc<Tenant>>,
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
    pub trunks: Vec<Trunk>,
    /// Audio by language and name.
    pub catalogue: Catalogue,
}

/// A phone of a tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phone {
    /// Digest password.
    pub password: Pii<String>,
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
    /// Keep a stereo recording of each call.
    pub record: bool,
}

/// A way to numbers outside. Matched by destination prefix, longest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trunk {
    /// Its name.
    pub id: String,
    /// Where requests are sent.
    pub address: SocketAddr,
    /// Over TCP instead of UDP.
    pub tcp: bool,
    /// Allowed destinations, such as `+8621`. Empty allows none.
    pub prefixes: Vec<String>,
}

/// Decoded audio by language and name. Looked up in the call's language, then in `common`.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    clips: Arc<BTreeMap<String, BTreeMap<String, Clip>>>,
}

impl Catalogue {
    /// A catalogue from clips by language (or `common`), then name.
    pub fn new(clips: BTreeMap<String, BTreeMap<String, Clip>>) -> Self {
        Self {
            clips: Arc::new(clips),
        }
    }

    /// The clip of this name in this language, or the one for all languages.
    pub fn find(&self, language: &str, name: &str) -> Option<&Clip> {
        [language, "common"]
            .iter()
            .find_map(|key| self.clips.get(*key)?.get(name))
    }

    /// Whether the name exists in any language.
    pub fn has(&self, name: &str) -> bool {
        self.clips.values().any(|clips| clips.contains_key(name))
    }

    /// Languages that have clips, without `common`.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.clips
            .keys()
            .map(String::as_str)
            .filter(|key| *key != "common")
    }

    /// Names that [`Catalogue::find`] knows in this language, each once or twice.
    pub fn names(&self, language: &str) -> impl Iterator<Item = &str> {
        let keys = [language, "common"]
            .into_iter()
            .filter_map(|key| self.clips.get(key));
        keys.flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// Number of clips.
    pub fn len(&self) -> usize {
        self.clips.values().map(BTreeMap::len).sum()
    }

    /// Whether there is no clip at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Config {
    /// The route of a number.
    pub fn route(&self, number: &str) -> Option<&Arc<Route>> {
        self.tenants
            .values()
            .find_map(|tenant| tenant.routes.get(number))
    }

    /// The tenant of a registered user.
    pub fn tenant_of(&self, user: &str) -> Option<&Arc<Tenant>> {
        self.tenants
            .values()
            .find(|tenant| tenant.phones.contains_key(user))
    }

    /// Addresses of trunks, which signalling never limits nor bans.
    pub fn trusted(&self) -> BTreeSet<IpAddr> {
        let trunks = self.tenants.values().flat_map(|tenant| &tenant.trunks);
        trunks.map(|trunk| trunk.address.ip()).collect()
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
