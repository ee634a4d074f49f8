//! Challenging and judging.

use std::borrow::Cow;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use vocab::{Mono, Rng};

use super::client::Challenge;
use super::digest::{Algorithm, Inputs, Qop, hex};
use super::replay::{NonceId, Replays, Use};
use crate::limits;
use crate::message::{AuthParams, HeaderName, Request, SyntaxError, Uri};

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
    /// The password was right, and its time is over: answer 403, which new ones mend.
    Lapsed,
    /// The nonce is too old or used up and the password right, or the nonce was never sent there:
    /// challenge with `stale`.
    Stale,
    /// Wrong password, unknown user or replay: count it and challenge again.
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
///
/// A nonce is 64 hexadecimal digits: 8 bytes of time, 8 random ones, and the first 16 of
/// HMAC-SHA-256 over both, the realm and the place it is sent to (RFC 7616 §5.4 leaves its form to
/// the server and suggests the client's address). A nonce is good at its place only: who answers
/// with it has received it there, and did not forge its address.
pub struct Verifier {
    realm: String,
    key: [u8; 32],
    lifetime: Duration,
    offers: Vec<Algorithm>,
    replays: Replays,
}

/// Longest client nonce that is read; RFC 7616 sets none.
const CNONCE_BYTES_MAX: usize = 128;

impl Verifier {
    /// A verifier for one realm that offers SHA-256 and MD5. The key comes from operating-system
    /// entropy.
    pub fn new(realm: impl Into<String>, key: [u8; 32], lifetime: Duration) -> Self {
        let replays = Replays::new(limits::NONCES_MAX);
        Self {
            realm: realm.into(),
            key,
            lifetime,
            offers: vec![Algorithm::Sha256, Algorithm::Md5],
            replays,
        }
    }

    /// The same with other offers, strongest first.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn offering(mut self, algorithms: Vec<Algorithm>) -> Self {
        assert!(!algorithms.is_empty(), "a challenge offers something");
        self.offers = algorithms;
        self
    }

    /// The values for `WWW-Authenticate` fields, one for each offer, in that order.
    pub fn challenges(&self, now: Mono, rng: &mut Rng, stale: bool) -> Vec<String> {
        self.challenges_to(now, rng, stale, b"")
    }

    /// The same for a client at a place, such as its address; only there the nonce is good.
    pub fn challenges_to(
        &self,
        now: Mono,
        rng: &mut Rng,
        stale: bool,
        place: &[u8],
    ) -> Vec<String> {
        let id = NonceId {
            issued: now,
            random: rng.u64(),
        };
        let nonce = self.nonce(id, place);
        let challenge = |&algorithm| {
            let challenge = Challenge {
                realm: self.realm.clone(),
                nonce: nonce.clone(),
                opaque: None,
                algorithm,
                qop: true,
                stale,
                proxy: false,
            };
            challenge.to_string()
        };
        self.offers.iter().map(challenge).collect()
    }

    /// Judges a request by its `Authorization`. `password` looks a user's password up.
    ///
    /// The digest's URI must name the same user and host as the request's; parameters and port may
    /// differ, for some phones leave them out. The nonce count stands for RFC 7616 §3.4.6 instead.
    pub fn verify<'a>(
        &mut self,
        now: Mono,
        request: &Request,
        password: impl FnOnce(&str) -> Option<Cow<'a, str>>,
    ) -> Verdict {
        self.verify_from(now, request, b"", password)
    }

    /// The same for a client at a place. A nonce that was not sent there is stale, whatever is
    /// made of it: nobody learns from the answer whether a password was right.
    pub fn verify_from<'a>(
        &mut self,
        now: Mono,
        request: &Request,
        place: &[u8],
        password: impl FnOnce(&str) -> Option<Cow<'a, str>>,
    ) -> Verdict {
        let params = match self.own_params(request) {
            Ok(Some(params)) => params,
            Ok(None) => return Verdict::Absent,
            Err(why) => return Verdict::Malformed(why),
        };
        let answer = match Answer::read(&params) {
            Ok(answer) => answer,
            Err(why) => return Verdict::Malformed(why),
        };
        if self
            .offers
            .iter()
            .all(|offer| offer.is_stronger(answer.algorithm))
        {
            return Verdict::Malformed(SyntaxError("algorithm was not offered"));
        }
        if !same_target(answer.uri, &request.uri) {
            return Verdict::Malformed(SyntaxError("digest is for another URI"));
        }
        let user = answer.user;
        let refused = |why| Verdict::Refused {
            user: user.chars().take(64).collect(),
            why,
        };
        self.replays.expire(now, self.lifetime);
        let Some(nonce) = self.read_nonce(answer.nonce, place) else {
            return Verdict::Stale;
        };

        // An unknown user costs the same work, so that the time tells nothing.
        let known = password(user);
        let expected = |session_cnonce: &str| {
            answer.expected(
                &self.realm,
                known.as_deref().unwrap_or(""),
                request.method.as_str(),
                session_cnonce,
            )
        };
        let mut right = same_text(&expected(answer.cnonce), answer.response);
        if !right && let Some(first) = self.replays.session_cnonce(nonce) {
            right = same_text(&expected(first), answer.response);
        }
        if known.is_none() {
            return refused("unknown user");
        }
        if !right {
            return refused("wrong password");
        }
        if nonce.issued + self.lifetime <= now {
            return Verdict::Stale;
        }
        let session_cnonce = answer.algorithm.is_session().then_some(answer.cnonce);
        match self.replays.note(nonce, answer.count, session_cnonce) {
            Use::Fresh => Verdict::Accepted {
                user: user.to_owned(),
            },
            Use::Replay => refused("nonce count used before"),
            Use::Forgotten => Verdict::Stale,
        }
    }

    /// The Digest credentials for our realm, if there are any.
    fn own_params(&self, request: &Request) -> Result<Option<AuthParams>, SyntaxError> {
        for value in request.headers.all(&HeaderName::Authorization) {
            let params = AuthParams::parse(value)?;
            if params.is("Digest") && params.value("realm") == Some(&self.realm) {
                return Ok(Some(params));
            }
        }
        Ok(None)
    }

    fn nonce(&self, id: NonceId, place: &[u8]) -> String {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&id.issued.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&id.random.to_be_bytes());
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(&bytes[..16]);
        mac.update(self.realm.as_bytes());
        if !place.is_empty() {
            // A realm holds no zero, so the two are told apart.
            mac.update(b"\0");
            mac.update(place);
        }
        bytes[16..].copy_from_slice(&mac.finalize().into_bytes()[..16]);
        hex(&bytes)
    }

    /// What a nonce that we sent to this place says; `None` for any other.
    fn read_nonce(&self, text: &str, place: &[u8]) -> Option<NonceId> {
        let field = |range| u64::from_str_radix(text.get(range)?, 16).ok();
        let id = NonceId {
            issued: Mono(field(0..16)?),
            random: field(16..32)?,
        };
        same_text(&self.nonce(id, place), text).then_some(id)
    }
}

/// The parts of `Authorization` that are judged.
struct Answer<'a> {
    algorithm: Algorithm,
    user: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    /// Empty without `qop`.
    nc: &'a str,
    /// Empty if none was sent.
    cnonce: &'a str,
    count: Option<u32>,
}

impl<'a> Answer<'a> {
    fn read(params: &'a AuthParams) -> Result<Self, SyntaxError> {
        let need = |name, why| params.value(name).ok_or(SyntaxError(why));
        let user = need("username", "no username")?;
        if user.is_empty() || user.len() > limits::USER_BYTES_MAX {
            return Err(SyntaxError("username too short or too long"));
        }
        let algorithm = Algorithm::parse(params.value("algorithm").unwrap_or("MD5"))
            .ok_or(SyntaxError("algorithm was not offered"))?;
        let cnonce = params.value("cnonce").unwrap_or("");
        if cnonce.len() > CNONCE_BYTES_MAX {
            return Err(SyntaxError("cnonce too long"));
        }
        let (nc, count) = match params.value("qop") {
            None => ("", None),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let nc = need("nc", "no nonce count")?;
                (
                    nc,
                    Some(nonce_count(nc).ok_or(SyntaxError("bad nonce count"))?),
                )
            }
            Some(_) => return Err(SyntaxError("qop was not offered")),
        };
        if cnonce.is_empty() && (count.is_some() || algorithm.is_session()) {
            return Err(SyntaxError("no cnonce"));
        }
        Ok(Self {
            algorithm,
            user,
            nonce: need("nonce", "no nonce")?,
            uri: need("uri", "no uri")?,
            response: need("response", "no response")?,
            nc,
            cnonce,
            count,
        })
    }

    fn expected(&self, realm: &str, password: &str, method: &str, session_cnonce: &str) -> String {
        Inputs {
            algorithm: self.algorithm,
            user: self.user,
            realm,
            password,
            method,
            uri: self.uri,
            nonce: self.nonce,
            session_cnonce,
            qop: self.count.map(|_| Qop {
                nc: self.nc,
                cnonce: self.cnonce,
            }),
        }
        .response()
    }
}

/// Eight hexadecimal digits, not all zero (RFC 7616 §3.4).
fn nonce_count(text: &str) -> Option<u32> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits
        .then(|| u32::from_str_radix(text, 16).ok())
        .flatten()
        .filter(|&count| count > 0)
}

/// Compares without telling by its time where the texts differ. Hexadecimal digits of either case
/// are the same.
fn same_text(expected: &str, given: &str) -> bool {
    let given = given.to_ascii_lowercase();
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

fn same_target(digest: &str, request: &str) -> bool {
    if digest == request {
        return true;
    }
    match (Uri::parse(digest), Uri::parse(request)) {
        (Ok(Uri::Sip(a)), Ok(Uri::Sip(b))) => {
            a.host == b.host && a.user_decoded() == b.user_decoded()
        }
        (Ok(a), Ok(b)) => a.matches(&b),
        (Err(_), _) | (_, Err(_)) => false,
    }
}
