//! HTTP: probes, metrics, and the API under `/api/v1`.
//!
//! Each module owns one resource: its routes, and the types its JSON is made of. Nothing of the
//! core is serialized as it is; what is written here is a promise. `openapi.rs` has the document
//! that says so, and its tests hold the two together.
//!
//! **Invariant:** nothing under `/api` answers without the token.
//!
//! **Invariant:** neither connections nor requests nor the body of one nor its time are without a
//! bound ([`limits`]).

mod actions;
mod auth;
mod bans;
mod bounds;
mod calls;
mod credentials;
mod door;
mod error;
mod events;
mod extract;
mod holds;
mod limits;
mod openapi;
mod parties;
mod phone;
mod phones;
mod plugins;
mod probes;
mod prompts;
mod record;
mod recordings;
mod registrations;
mod secrets;
mod status;
mod taping;
mod trace;
mod trunks;
mod wire;

use std::sync::Arc;

use axum::{Router, middleware};
use store::Store;
use tokio::sync::Semaphore;
use vocab::Pii;

use crate::archive::Archive;
use crate::clock::Clock;
use crate::control::{Handle, Status};
use crate::disk::Disk;
use crate::feed::Feed;
use crate::metrics::Metrics;
use crate::net::websocket::Origins;
use crate::prompts::Prompts;
use crate::prompts::limits::UPLOADS_MAX;
use crate::trace::Traces;
use crate::vault::Vault;

pub(crate) use door::Door;

/// What requests are answered from.
#[derive(Debug)]
pub(crate) struct App {
    /// Records and events.
    pub(crate) store: Arc<Store>,
    /// Counters and gauges.
    pub(crate) metrics: Arc<Metrics>,
    /// The control thread.
    pub(crate) control: Handle,
    /// What `/api` asks for; without one it answers nobody.
    pub(crate) token: Option<Pii<String>>,
    /// Recordings.
    pub(crate) archive: Archive,
    /// Prompts that were uploaded.
    pub(crate) prompts: Prompts,
    /// Places for those who upload one.
    pub(crate) uploads: Arc<Semaphore>,
    /// Digits that nobody else may know.
    pub(crate) vault: Vault,
    /// What is asked for before one is taken; without one nobody gets any.
    pub(crate) vault_token: Option<Pii<String>>,
    /// For entries of the audit trail.
    pub(crate) clock: Clock,
    /// The signalling of calls.
    pub(crate) traces: Traces,
    /// Whether anything can be written.
    pub(crate) disk: Arc<Disk>,
    /// Whether calls are taken.
    pub(crate) status: Arc<Status>,
    /// Phones in browsers may connect, from pages of these origins.
    pub(crate) websocket: Option<Origins>,
    /// What passwords of phones are for.
    pub(crate) realm: String,
    /// What happens.
    pub(crate) feed: Arc<Feed>,
    /// Places for those who listen to it.
    pub(crate) listeners: Arc<Semaphore>,
}

impl App {
    /// Places for listeners.
    pub(crate) fn listeners() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(limits::LISTENERS_MAX))
    }

    /// Places for those who upload.
    pub(crate) fn uploads() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(UPLOADS_MAX))
    }
}

/// What handlers are given.
type Shared = axum::extract::State<Arc<App>>;

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let token = auth::Token::new(app.token.as_ref());
    let vault = auth::Token::vault(app.vault_token.as_ref());
    let api = Router::new()
        .merge(calls::routes())
        .merge(actions::routes())
        .merge(events::routes())
        .merge(parties::routes())
        .merge(recordings::routes())
        .merge(holds::routes())
        .merge(taping::routes())
        .merge(trace::routes())
        .merge(plugins::routes())
        .merge(prompts::routes())
        .merge(trunks::routes())
        .merge(registrations::routes())
        .merge(credentials::routes())
        .merge(bans::routes())
        .merge(status::routes())
        .merge(openapi::routes())
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(middleware::from_fn_with_state(token, auth::ask));
    let api = api.merge(secrets::routes().layer(middleware::from_fn_with_state(vault, auth::ask)));
    Router::new()
        .nest("/api/v1", api)
        .merge(probes::routes())
        .merge(phones::routes())
        .merge(phone::routes())
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(middleware::from_fn_with_state(
            bounds::Room::new(),
            bounds::keep,
        ))
        .with_state(Arc::new(app))
}

#[cfg(test)]
mod tests;
