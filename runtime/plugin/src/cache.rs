//! The ahead-of-time cache: compiled code that is trusted only if we signed it ourselves.
//!
//! An entry is 96 bytes of header and the engine's serialized form:
//! `JFCACHE1`, 24 zero bytes, the key (32 bytes), the signature (32 bytes), the code.
//! The key is SHA-256 over the component's SHA-256 and the engine's compatibility hash; the
//! signature is HMAC-SHA-256 (RFC 2104) over key and code with a secret of this installation.
//! Compiled code from anywhere else is never accepted: the engine runs it as it is.

// Running bytes as machine code cannot be checked by the compiler; the signature is what is checked.
#![allow(unsafe_code)]

use std::hash::{Hash as _, Hasher};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const MAGIC: [u8; 32] = *b"JFCACHE1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const KEY_END: usize = 64;
const CODE: usize = 96;

/// The secret that signs cache entries; made once for each installation from entropy.
///
/// `Debug` prints nothing of it.
#[derive(Clone)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// From 32 random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    fn signer(&self, key: &[u8; 32], code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any size");
        mac.update(key);
        mac.update(code);
        mac
    }
}

impl std::fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CacheKey")
    }
}

/// Why a cache entry was not used. The component is compiled instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheRefusal {
    /// Too short, or not an entry at all.
    #[error("not a cache entry")]
    NotAnEntry,
    /// Of another component, or of another version or configuration of the engine.
    #[error("of another component or engine")]
    Stale,
    /// Not signed with this installation's secret, or changed since.
    #[error("signature does not match")]
    Forged,
    /// Signed by us, and yet the engine does not take it.
    #[error("the engine does not take it")]
    Unusable,
}

/// An entry for `component`, or nothing if the engine cannot serialize it.
pub(crate) fn write(
    engine: &Engine,
    secret: &CacheKey,
    sha256: &[u8; 32],
    component: &Component,
) -> Option<Vec<u8>> {
    let code = component.serialize().ok()?;
    let key = key(engine, sha256);
    let mut entry = Vec::with_capacity(CODE + code.len());
    entry.extend_from_slice(&MAGIC);
    entry.extend_from_slice(&key);
    entry.extend_from_slice(&secret.signer(&key, &code).finalize().into_bytes());
    assert_eq!(entry.len(), CODE, "the header has its fixed length");
    entry.extend_from_slice(&code);
    Some(entry)
}

/// The compiled component in `entry`, if it is ours and of this component.
pub(crate) fn read(
    engine: &Engine,
    secret: &CacheKey,
    sha256: &[u8; 32],
    entry: &[u8],
) -> Result<Component, CacheRefusal> {
    if entry.len() <= CODE || entry[..MAGIC.len()] != MAGIC {
        return Err(CacheRefusal::NotAnEntry);
    }
    let key = key(engine, sha256);
    if entry[MAGIC.len()..KEY_END] != key {
        return Err(CacheRefusal::Stale);
    }
    let code = &entry[CODE..];
    // Compares in constant time.
    secret
        .signer(&key, code)
        .verify_slice(&entry[KEY_END..CODE])
        .map_err(|_| CacheRefusal::Forged)?;
    // SAFETY: `deserialize` asks for bytes that came from `serialize` of a compatible engine. The
    // signature proves that `write` above made them with this installation's secret and that no
    // bit changed since; the key, which is signed too, ties them to this engine's configuration.
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|_| CacheRefusal::Unusable)
}

fn key(engine: &Engine, sha256: &[u8; 32]) -> [u8; 32] {
    let mut hasher = ShaHasher(Sha256::new_with_prefix(sha256));
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

/// Lets `Hash` write into SHA-256, whose result does not depend on the process.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
