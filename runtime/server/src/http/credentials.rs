//! What a browser logs in with, for a while: it never learns its phone's own password.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sip::auth::Pass;
use store::Audit;

use super::error::Problem;
use super::extract::{Named, Told};
use super::limits::{CREDENTIALS_S, CREDENTIALS_S_DEFAULT};
use super::{App, Shared};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/phones/{user}/credentials", post(issue))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    ttl_s: Option<u32>,
}

/// What phones in browsers are set up with.
#[derive(Serialize)]
pub(super) struct Credentials {
    user: String,
    login: String,
    password: String,
    realm: String,
    until: String,
}

impl Credentials {
    pub(super) fn new(user: String, realm: String, pass: &Pass) -> Self {
        Self {
            user,
            login: pass.login.clone(),
            password: pass.password.reveal().clone(),
            realm,
            until: pass.until.rfc3339(),
        }
    }
}

async fn issue(
    State(app): Shared,
    Named(user): Named<String>,
    Told(Wanted { ttl_s }): Told<Wanted>,
) -> Result<Json<Credentials>, Problem> {
    let ttl_s = ttl_s.unwrap_or(CREDENTIALS_S_DEFAULT);
    if !CREDENTIALS_S.contains(&ttl_s) {
        let (least, most) = (CREDENTIALS_S.start(), CREDENTIALS_S.end());
        let detail = format!("ttl_s: from {least} to {most}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_body", detail));
    }
    let now = app.clock.now().wall;
    let until = now + Duration::from_secs(ttl_s.into());
    let name = user.clone();
    let found = app.control.query(move |node| node.pass(&name, until)).await;
    let (tenant, pass) = found.ok_or_else(Problem::no_answer)?.ok_or_else(|| {
        let detail = "there is no such phone: check the user under [[tenant.phone]]";
        Problem::not_found("phone_not_found", detail)
    })?;
    let noted = Audit {
        at: now,
        tenant,
        by: "api".to_owned(),
        action: "phone.credentials".to_owned(),
        object: user.clone(),
        detail: format!("until {}", pass.until.rfc3339()),
    };
    app.store.note(&noted).await?;
    tracing::info!(phone.user = %user, until = %pass.until.rfc3339(), "credentials are issued");
    Ok(Json(Credentials::new(user, app.realm.clone(), &pass)))
}
