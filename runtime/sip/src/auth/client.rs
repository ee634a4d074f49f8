//! Answering a challenge.

use std::fmt;

use vocab::Rng;

use super::digest::{Algorithm, Inputs, Qop};
use crate::Credentials;
use crate::message::{AuthParams, HeaderName, Headers, Method, SyntaxError, quote};

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
    /// The last answer was right but its nonce too old: answer again without asking anybody.
    pub stale: bool,
    /// It came from a proxy (407).
    pub proxy: bool,
}

impl Challenge {
    /// Reads a `WWW-Authenticate` or `Proxy-Authenticate` value.
    ///
    /// # Errors
    /// Another scheme or algorithm, no nonce or realm, or `qop` without `auth`.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let params = AuthParams::parse(text)?;
        if !params.is("Digest") {
            return Err(SyntaxError("scheme is not Digest"));
        }
        let algorithm = Algorithm::parse(params.value("algorithm").unwrap_or("MD5"))
            .ok_or(SyntaxError("unknown algorithm"))?;
        let qop = params.value("qop").map(|offered| {
            offered
                .split(',')
                .any(|qop| qop.trim().eq_ignore_ascii_case("auth"))
        });
        if qop == Some(false) {
            return Err(SyntaxError("qop without auth"));
        }
        Ok(Self {
            realm: params
                .value("realm")
                .ok_or(SyntaxError("no realm"))?
                .to_owned(),
            nonce: params
                .value("nonce")
                .ok_or(SyntaxError("no nonce"))?
                .to_owned(),
            opaque: params.value("opaque").map(str::to_owned),
            algorithm,
            qop: qop.is_some(),
            stale: params
                .value("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            proxy: false,
        })
    }

    /// The challenge to answer out of a 401 or 407: the topmost we can (RFC 8760 §2.4).
    pub fn choose(headers: &Headers) -> Option<Self> {
        let first = |name| headers.all(&name).find_map(|value| Self::parse(value).ok());
        first(HeaderName::WwwAuthenticate).or_else(|| {
            first(HeaderName::ProxyAuthenticate).map(|challenge| Self {
                proxy: true,
                ..challenge
            })
        })
    }

    /// The header that the answer goes into.
    pub fn answer_header(&self) -> HeaderName {
        if self.proxy {
            HeaderName::ProxyAuthorization
        } else {
            HeaderName::Authorization
        }
    }
}

impl fmt::Display for Challenge {
    /// The header value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest realm={}, nonce={}",
            quote(&self.realm),
            quote(&self.nonce)
        )?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        write!(f, ", algorithm={}", self.algorithm.as_str())?;
        if self.qop {
            f.write_str(", qop=\"auth\"")?;
        }
        Ok(())
    }
}

/// A client's side of one nonce: counts its uses.
#[derive(Clone, Debug)]
pub struct Client {
    challenge: Challenge,
    /// Uses so far.
    count: u32,
    /// Made with the first answer and kept: the session key of the `-sess` algorithms holds it.
    cnonce: Option<String>,
}

impl Client {
    /// Starts to use a challenge's nonce.
    pub fn new(challenge: Challenge) -> Self {
        Self {
            challenge,
            count: 0,
            cnonce: None,
        }
    }

    /// The challenge that is answered.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// The value of [`Challenge::answer_header`] for one more request.
    ///
    /// # Panics
    /// After 2^32 - 1 answers to one challenge.
    pub fn answer(
        &mut self,
        rng: &mut Rng,
        method: &Method,
        uri: &str,
        credentials: &Credentials,
    ) -> String {
        self.count = self
            .count
            .checked_add(1)
            .expect("a nonce is not used four billion times");
        let nc = format!("{:08x}", self.count);
        let cnonce = self.cnonce.get_or_insert_with(|| rng.token(20));
        let Challenge {
            realm,
            nonce,
            opaque,
            algorithm,
            qop,
            ..
        } = &self.challenge;
        let response = Inputs {
            algorithm: *algorithm,
            user: &credentials.user,
            realm,
            password: credentials.password.reveal(),
            method: method.as_str(),
            uri,
            nonce,
            session_cnonce: cnonce,
            qop: qop.then_some(Qop { nc: &nc, cnonce }),
        }
        .response();
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}",
            quote(&credentials.user),
            quote(realm),
            quote(nonce),
            quote(uri),
            algorithm.as_str(),
        );
        if *qop {
            value.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\""));
        } else if algorithm.is_session() {
            value.push_str(&format!(", cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = opaque {
            value.push_str(&format!(", opaque={}", quote(opaque)));
        }
        value
    }
}
