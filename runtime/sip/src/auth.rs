//! Digest authentication, as server and as client (RFC 7616, RFC 8760; RFC 2617 for old peers).

use std::fmt;
use std::time::Duration;

use vocab::{Mono, Rng};

use crate::message::{Headers, Method, Request, SyntaxError};

/// A digest algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Algorithm {
    /// `MD5` (RFC 7616 §3.3); what phones of the last twenty years know.
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256` (RFC 8760).
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
}

/// What a server asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// Shown to the user; part of the digest.
    pub realm: String,
    /// The server's random value.
    pub nonce: String,
    /// Given back unchanged.
    pub opaque: Option<String>,
    /// Hash to use.
    pub algorithm: Algorithm,
    /// The server offers `qop=auth`.
    pub qop: bool,
    /// The last answer was right but its nonce too old.
    pub stale: bool,
}

impl Challenge {
    /// Reads a `WWW-Authenticate` or `Proxy-Authenticate` value.
    ///
    /// # Errors
    /// Another scheme or algorithm, no nonce or realm, or `qop` without `auth`.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let _ = text;
        Err(SyntaxError("not yet"))
    }

    /// The challenge to answer out of a 401 or 407: the topmost we can (RFC 8760 §2.4).
    pub fn choose(headers: &Headers) -> Option<Self> {
        let _ = headers;
        None
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

/// A client's side of one nonce: counts its uses.
pub struct Client {
    challenge: Challenge,
}

impl Client {
    /// Starts to use a challenge's nonce.
    pub fn new(challenge: Challenge) -> Self {
        Self { challenge }
    }

    /// The `Authorization` or `Proxy-Authorization` value for one more request.
    pub fn answer(
        &mut self,
        rng: &mut Rng,
        method: &Method,
        uri: &str,
        credentials: &crate::Credentials,
    ) -> String {
        let _ = (rng, method, uri, credentials, &self.challenge);
        String::new()
    }
}

/// What a server makes of a request's credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The request carries no Digest credentials for our realm: challenge it.
    Absent,
    /// Right.
    Accepted {
        /// The user.
        user: String,
    },
    /// The password is right but the nonce is too old or used up: challenge with `stale`.
    Stale,
    /// Wrong password, unknown user, foreign nonce or replay: count it and challenge again.
    Refused {
        /// The user it claimed, cut to 64 characters.
        user: String,
        /// Why, for the log.
        why: &'static str,
    },
    /// The credentials cannot be read or do not fit the request: answer 400 (RFC 7616 §3.4.6).
    Malformed(SyntaxError),
}

/// A server's side: makes nonces, checks answers and remembers nonce counts.
pub struct Verifier {
    realm: String,
    key: [u8; 32],
    lifetime: Duration,
}

impl Verifier {
    /// A verifier for one realm. The key comes from operating-system entropy.
    pub fn new(realm: impl Into<String>, key: [u8; 32], lifetime: Duration) -> Self {
        Self {
            realm: realm.into(),
            key,
            lifetime,
        }
    }

    /// The values for two `WWW-Authenticate` fields, SHA-256 first (RFC 8760 §2.3).
    pub fn challenges(&self, now: Mono, rng: &mut Rng, stale: bool) -> [String; 2] {
        let _ = (now, rng, stale, &self.realm, &self.key, self.lifetime);
        Default::default()
    }

    /// Judges a request. `password` looks a user's password up.
    pub fn verify<'a>(
        &mut self,
        now: Mono,
        request: &Request,
        password: impl FnOnce(&str) -> Option<&'a str>,
    ) -> Verdict {
        let _ = (now, request, password);
        Verdict::Absent
    }
}
