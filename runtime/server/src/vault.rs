//! Digits that nobody else may know, such as the number of a card: in memory, for a while, until they are
//! taken.
//!
//! They are never on the disk, in a log or in a record, and wiped when they are taken, when their time
//! is over, and when the server ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use node::Secret;
use vocab::{CallId, Mono, Now, SecretToken, TenantId};
use zeroize::Zeroizing;

/// Secrets at a time: some hundred calls a second for a quarter of an hour would be more. Then the
/// oldest goes, whose payment was to be over first.
const SECRETS_MAX: usize = 10_000;

/// The vault. Clones share it.
#[derive(Clone)]
pub(crate) struct Vault {
    keep: Duration,
    kept: Arc<Mutex<BTreeMap<SecretToken, Entry>>>,
}

struct Entry {
    digits: Zeroizing<String>,
    tenant: TenantId,
    call: CallId,
    until: Mono,
}

/// What was taken.
pub(crate) struct Taken {
    pub(crate) digits: Zeroizing<String>,
    pub(crate) tenant: TenantId,
    pub(crate) call: CallId,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.lock().len())
    }
}

impl Vault {
    /// An empty one that keeps secrets for so long.
    pub(crate) fn new(keep: Duration) -> Self {
        Self {
            keep,
            kept: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SecretToken, Entry>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a secret.
    pub(crate) fn put(&self, now: Now, secret: Secret) {
        let mut kept = self.lock();
        kept.retain(|_, entry| entry.until > now.mono);
        if kept.len() >= SECRETS_MAX {
            let oldest = kept.iter().min_by_key(|(_, entry)| entry.until);
            if let Some(oldest) = oldest.map(|(token, _)| *token) {
                kept.remove(&oldest);
                tracing::warn!("too many secrets wait to be taken: the oldest is gone");
            }
        }
        let entry = Entry {
            digits: Zeroizing::new(secret.digits.into_inner()),
            tenant: secret.tenant,
            call: secret.call,
            until: now.mono + self.keep,
        };
        kept.insert(secret.token, entry);
    }

    /// Takes a secret: once, and not after its time.
    pub(crate) fn take(&self, now: Now, token: SecretToken) -> Option<Taken> {
        let mut kept = self.lock();
        kept.retain(|_, entry| entry.until > now.mono);
        let entry = kept.remove(&token)?;
        Some(Taken {
            digits: entry.digits,
            tenant: entry.tenant,
            call: entry.call,
        })
    }

    /// Forgets those whose time is over.
    pub(crate) fn expire(&self, now: Now) {
        self.lock().retain(|_, entry| entry.until > now.mono);
    }
}

#[cfg(test)]
mod tests {
    use vocab::{Pii, Rng, Wall};

    use super::*;

    fn now(seconds: u64) -> Now {
        Now {
            mono: Mono(seconds * 1_000_000_000),
            wall: Wall(0),
        }
    }

    fn secret(token: SecretToken) -> Secret {
        Secret {
            token,
            tenant: "demo".parse().expect("a tenant"),
            call: CallId(7),
            digits: Pii::new("4111111111111111".to_owned()),
        }
    }

    #[test]
    fn a_secret_is_taken_once_and_in_time() {
        let vault = Vault::new(Duration::from_secs(900));
        let mut rng = Rng::from_u64(1);
        let token = SecretToken::new(&mut rng);
        vault.put(now(0), secret(token));
        assert_eq!(format!("{vault:?}"), "Vault(1)");
        assert!(vault.take(now(1), SecretToken::new(&mut rng)).is_none());
        let taken = vault.take(now(899), token).expect("it is there");
        assert_eq!(taken.digits.as_str(), "4111111111111111");
        assert_eq!((taken.tenant.as_str(), taken.call), ("demo", CallId(7)));
        assert!(vault.take(now(899), token).is_none(), "once");

        vault.put(now(0), secret(token));
        assert!(vault.take(now(900), token).is_none(), "its time is over");
        vault.put(now(0), secret(token));
        vault.expire(now(901));
        assert_eq!(vault.lock().len(), 0);
    }

    #[test]
    fn the_vault_has_a_bound() {
        let vault = Vault::new(Duration::from_secs(900));
        for n in 0..=SECRETS_MAX as u64 {
            vault.put(now(n / 100), secret(SecretToken(n.into())));
        }
        assert_eq!(vault.lock().len(), SECRETS_MAX);
        assert!(
            vault.take(now(101), SecretToken(0)).is_none(),
            "the oldest is gone"
        );
    }
}
