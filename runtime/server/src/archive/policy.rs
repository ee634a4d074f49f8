//! How a tenant's recordings are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use store::Format;
use vocab::TenantId;

use super::sealed::{Key, Keys};

/// How the recordings of a tenant are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    /// How they are coded.
    pub(crate) format: Format,
    /// How long; for ever without it.
    pub(crate) keep: Option<Duration>,
    /// What they are encrypted with, if they are.
    pub(crate) key: Option<Key>,
    /// What they may have been encrypted with.
    pub(crate) keys: Keys,
}

impl Default for Policy {
    /// As they were written, and for ever.
    fn default() -> Self {
        Self {
            format: Format::Wav,
            keep: None,
            key: None,
            keys: Keys::default(),
        }
    }
}

/// Those of all tenants.
pub(crate) type Policies = BTreeMap<TenantId, Policy>;

/// The policies in force. Those of a changed configuration take the place of the ones before.
#[derive(Debug, Default)]
pub(super) struct InForce(RwLock<Arc<Policies>>);

impl InForce {
    pub(super) fn new(policies: Arc<Policies>) -> Self {
        Self(RwLock::new(policies))
    }

    pub(super) fn set(&self, policies: Arc<Policies>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policies;
    }

    pub(super) fn all(&self) -> Arc<Policies> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// That of a tenant; of one that is not configured any more, the default.
    pub(super) fn of(&self, tenant: &TenantId) -> Policy {
        self.all().get(tenant).cloned().unwrap_or_default()
    }
}
