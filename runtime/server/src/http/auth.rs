//! The token that `/api` asks for (RFC 6750).

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use vocab::Pii;

use super::error::Problem;

/// SHA-256 of the token, so that comparing takes the same time whatever is sent, however long.
#[derive(Clone)]
pub(super) struct Token {
    hash: Option<[u8; 32]>,
    /// What is said to those who have none, and to everybody if there is none.
    words: Words,
}

/// How a token is asked for.
#[derive(Clone, Copy)]
struct Words {
    closed: &'static str,
    send: &'static str,
}

/// That of the API.
const API: Words = Words {
    closed: "the API is closed: name a variable that holds a token as token_env under [http], and \
             start again",
    send: "send the API's token as `Authorization: Bearer TOKEN`",
};

/// That of the vault.
const VAULT: Words = Words {
    closed: "the vault is closed: name a variable that holds a token of its own as vault_token_env \
             under [http], and start again",
    send: "send the vault's token as `Authorization: Bearer TOKEN`; that of the API does not open it",
};

impl Token {
    /// Without a token, or with an empty one, nobody is let in.
    pub(super) fn new(token: Option<&Pii<String>>) -> Self {
        let token = token.map(|token| token.reveal().as_str());
        Self {
            hash: token.filter(|token| !token.is_empty()).map(digest),
            words: API,
        }
    }

    /// The same for the vault.
    pub(super) fn vault(token: Option<&Pii<String>>) -> Self {
        Self {
            words: VAULT,
            ..Self::new(token)
        }
    }

    fn admits(&self, request: &Request) -> Result<(), Problem> {
        let Some(expected) = &self.hash else {
            // Not 401: there are no credentials that would help.
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "no_token_configured",
                self.words.closed,
            ));
        };
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(bearer);
        let good = given.is_some_and(|given| bool::from(digest(given).ct_eq(expected)));
        if good {
            return Ok(());
        }
        let detail = self.words.send;
        let scheme = HeaderValue::from_static("Bearer realm=\"jackfield\"");
        Err(
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
                .with(header::WWW_AUTHENTICATE, scheme),
        )
    }
}

/// Lets a request through if it carries the token. Answers hold private data: no cache keeps them.
pub(super) async fn ask(State(token): State<Token>, request: Request, next: Next) -> Response {
    let mut response = match token.admits(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// The token of the header. The scheme's name has no case (RFC 9110 §11.1).
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_the_token_is_let_in() {
        let token = Token::new(Some(&Pii::new("secret-1".to_owned())));
        for (value, expected) in [
            ("Bearer secret-1", true),
            ("bearer  secret-1", true),
            ("Bearer secret-12", false),
            ("Bearer secret-", false),
            ("Bearer", false),
            ("Bearer ", false),
            ("Basic secret-1", false),
            ("secret-1", false),
        ] {
            let request = Request::builder().header(header::AUTHORIZATION, value);
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(token.admits(&request).is_ok(), expected, "{value}");
        }
        assert!(token.admits(&Request::new(Body::empty())).is_err());
    }

    #[test]
    fn without_a_token_nobody_is_let_in() {
        for token in [None, Some(Pii::new(String::new()))] {
            let token = Token::new(token.as_ref());
            for value in ["Bearer ", "Bearer x"] {
                let request = Request::builder().header(header::AUTHORIZATION, value);
                let request = request.body(Body::empty()).unwrap();
                let problem = token.admits(&request).unwrap_err();
                assert_eq!(problem.into_response().status(), StatusCode::FORBIDDEN);
            }
        }
    }
}
