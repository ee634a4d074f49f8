//! Taking digits out of the vault: with a token of its own, which those who run the payments have and
//! nobody else.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use store::Audit;
use vocab::SecretToken;

use super::error::Problem;
use super::extract::Named;
use super::{App, Shared};

/// The routes of this module, which have a token of their own.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/secrets/{token}/take", post(take))
}

/// What was pressed. Not shown by anything else.
#[derive(Serialize)]
struct Digits {
    digits: String,
    tenant: String,
    call: String,
}

async fn take(
    State(app): Shared,
    Named(token): Named<SecretToken>,
) -> Result<Json<Digits>, Problem> {
    let now = app.clock.now();
    let taken = app.vault.take(now, token).ok_or_else(|| {
        let detail = "it was taken, its time is over, or there was none: ask the caller again";
        Problem::new(StatusCode::GONE, "secret_gone", detail)
    })?;
    let noted = Audit {
        at: now.wall,
        tenant: taken.tenant.clone(),
        by: "vault".to_owned(),
        action: "secret.taken".to_owned(),
        object: taken.call.to_string(),
        detail: format!("{} digits", taken.digits.len()),
    };
    if let Err(error) = app.store.note(&noted).await {
        // Who took it is to be known: without the entry nobody does.
        tracing::error!(%error, call.id = %taken.call, "a secret is not given, as nothing can be noted");
        return Err(error.into());
    }
    tracing::info!(call.id = %taken.call, "a secret is taken");
    Ok(Json(Digits {
        digits: taken.digits.as_str().to_owned(),
        tenant: taken.tenant.to_string(),
        call: taken.call.to_string(),
    }))
}
