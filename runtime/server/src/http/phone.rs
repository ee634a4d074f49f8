//! `/phone`: a phone in a page, for whoever has no other.
//!
//! The page is files beside this one, as they are: plain JavaScript that is its own SIP phone over the
//! WebSocket of [`super::phones`]. It holds no secret, so nobody is asked for a token; who uses it signs in
//! with a phone's password, or comes with credentials that were issued for a while.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::error::{Problem, no_route};
use super::{App, Shared};

/// A file of the page: its name, what it is, and what is in it.
type File = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "text/javascript; charset=utf-8";

const PAGE: &str = include_str!("phone/index.html");

const FILES: &[File] = &[
    ("agent.js", SCRIPT, include_str!("phone/agent.js")),
    ("audio.js", SCRIPT, include_str!("phone/audio.js")),
    ("call.js", SCRIPT, include_str!("phone/call.js")),
    ("md5.js", SCRIPT, include_str!("phone/md5.js")),
    ("message.js", SCRIPT, include_str!("phone/message.js")),
    ("page.js", SCRIPT, include_str!("phone/page.js")),
    ("words.js", SCRIPT, include_str!("phone/words.js")),
    (
        "phone.css",
        "text/css; charset=utf-8",
        include_str!("phone/phone.css"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("phone/icon.svg")),
];

/// Nothing but the page's own files runs in it, and nobody else shows it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self' ws: wss:; media-src 'self' blob:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/phone", get(page))
        // Names of files are relative to `/phone`.
        .route("/phone/", get(|| async { Redirect::permanent("/phone") }))
        .route("/phone/{file}", get(file))
}

async fn page(State(app): Shared) -> Response {
    if app.websocket.is_none() {
        let detail = "phones do not connect here: set websocket = true under [http]";
        return Problem::not_found("no_phones", detail).into_response();
    }
    answer("text/html; charset=utf-8", PAGE)
}

async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(own, ..)| *own == name) {
        Some((_, kind, text)) => answer(kind, text),
        None => no_route().await.into_response(),
    }
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, kind),
        // It belongs to the server that it came from, which may be another version tomorrow.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (StatusCode::OK, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_that_the_page_asks_for_are_there() {
        let named = |text: &'static str, mark: &'static str| {
            text.split(mark)
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
        };
        let page = named(PAGE, "\"phone/");
        let imports = FILES.iter().flat_map(|(.., text)| named(text, "from \"./"));
        let mut asked: Vec<&str> = page.chain(imports).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut known: Vec<&str> = FILES.iter().map(|(name, ..)| *name).collect();
        known.sort_unstable();
        assert_eq!(asked, known);
    }

    /// Chinese and English have the same words.
    #[test]
    fn everything_is_said_in_both_languages() {
        let words = include_str!("phone/words.js");
        let (chinese, english) = words.split_once("\n  en: {").expect("two languages");
        let keys = |text: &'static str| {
            let mut keys: Vec<&str> = text
                .split([',', '{', '\n'])
                .filter_map(|part| part.trim().split_once(": \"").map(|(key, _)| key))
                .filter(|key| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
                .collect();
            keys.sort_unstable();
            keys
        };
        let chinese = keys(chinese.split_once("\"zh-CN\": {").expect("Chinese").1);
        assert!(chinese.len() > 60, "{chinese:?}");
        assert_eq!(chinese, keys(english));
    }
}
