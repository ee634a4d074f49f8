//! Interactions of which nothing may be deleted, and the audit trail of who did what.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use store::{Audit, Audits, Hold};
use vocab::{CallId, Wall};

use super::calls::moment;
use super::error::Problem;
use super::extract::{Named, Parameters, TENANT, Told, read};
use super::recordings::index::{Who, entry, limit, text};
use super::{App, Shared};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/holds", get(list))
        .route("/calls/{id}/hold", get(of_call).put(hold).delete(lift))
        .route("/audit", get(audit))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    tenant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    reason: String,
    by: Option<String>,
}

/// A hold. Every field is always there; what is not known is null.
#[derive(Serialize)]
struct Row {
    interaction: String,
    tenant: String,
    reason: String,
    at: String,
    by: String,
    lifted_at: Option<String>,
    lifted_by: Option<String>,
}

impl From<&Hold> for Row {
    fn from(hold: &Hold) -> Self {
        let lifted = hold.lifted.as_ref();
        Self {
            interaction: hold.interaction.to_string(),
            tenant: hold.tenant.to_string(),
            reason: hold.reason.clone(),
            at: hold.at.rfc3339(),
            by: hold.by.clone(),
            lifted_at: lifted.map(|(at, _)| at.rfc3339()),
            lifted_by: lifted.map(|(_, by)| by.clone()),
        }
    }
}

#[derive(Serialize)]
struct Rows {
    items: Vec<Row>,
}

async fn list(
    State(app): Shared,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Rows>, Problem> {
    let tenant = read(wanted.tenant.as_deref(), TENANT)?;
    let holds = app.store.holds(None, tenant.as_ref()).await?;
    let items = holds.iter().map(Row::from).collect();
    Ok(Json(Rows { items }))
}

/// The interaction of a call, and whose it is.
async fn interaction(app: &App, call: CallId) -> Result<(CallId, vocab::TenantId), Problem> {
    let record = app.store.record(call).await?;
    let record =
        record.ok_or_else(|| Problem::not_found("call_not_found", "no call has this id"))?;
    Ok((record.interaction, record.tenant))
}

async fn of_call(State(app): Shared, Named(call): Named<CallId>) -> Result<Json<Rows>, Problem> {
    let (interaction, _) = interaction(&app, call).await?;
    let holds = app.store.holds(Some(interaction), None).await?;
    let items = holds.iter().map(Row::from).collect();
    Ok(Json(Rows { items }))
}

async fn hold(
    State(app): Shared,
    Named(call): Named<CallId>,
    Told(placed): Told<Placed>,
) -> Result<(StatusCode, Json<Row>), Problem> {
    let reason = text("reason", Some(placed.reason))?.unwrap_or_default();
    let by = text("by", placed.by)?;
    let (interaction, tenant) = interaction(&app, call).await?;
    let noted = entry(&app, &tenant, by, "hold.placed", interaction);
    let noted = Audit {
        detail: reason.clone(),
        ..noted
    };
    let hold = Hold {
        interaction,
        tenant,
        reason,
        at: noted.at,
        by: noted.by.clone(),
        lifted: None,
    };
    if app.store.hold(&hold, &noted).await? {
        tracing::info!(interaction = %interaction, "an interaction is held as asked over the API");
        return Ok((StatusCode::CREATED, Json(Row::from(&hold))));
    }
    // Somebody else has held it before: that one stays as it is.
    let holds = app.store.holds(Some(interaction), None).await?;
    let in_force = holds.iter().find(|hold| hold.lifted.is_none());
    let row = Row::from(in_force.unwrap_or(&hold));
    Ok((StatusCode::OK, Json(row)))
}

async fn lift(
    State(app): Shared,
    Named(call): Named<CallId>,
    Parameters(who): Parameters<Who>,
) -> Result<StatusCode, Problem> {
    let (by, reason) = (text("by", who.by)?, text("reason", who.reason)?);
    let (interaction, tenant) = interaction(&app, call).await?;
    let noted = entry(&app, &tenant, by, "hold.lifted", interaction);
    let noted = Audit {
        detail: reason.unwrap_or_default(),
        ..noted
    };
    if !app.store.lift_hold(interaction, &noted).await? {
        return Err(Problem::not_found(
            "not_held",
            "this interaction is not held",
        ));
    }
    tracing::info!(interaction = %interaction, "a hold is lifted as asked over the API");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sought {
    tenant: Option<String>,
    by: Option<String>,
    action: Option<String>,
    object: Option<String>,
    since: Option<String>,
    until: Option<String>,
    before: Option<String>,
    limit: Option<String>,
}

/// An entry of the audit trail.
#[derive(Serialize)]
struct Entry {
    n: u64,
    at: String,
    tenant: String,
    by: String,
    action: String,
    object: String,
    detail: String,
}

#[derive(Serialize)]
struct Entries {
    items: Vec<Entry>,
    next: Option<u64>,
}

async fn audit(
    State(app): Shared,
    Parameters(sought): Parameters<Sought>,
) -> Result<Json<Entries>, Problem> {
    let since = sought.since.as_deref().map(|text| moment("since", text));
    let until = sought.until.as_deref().map(|text| moment("until", text));
    let before = "before: the `next` of the page before";
    let wanted = Audits {
        tenant: read(sought.tenant.as_deref(), TENANT)?,
        by: sought.by,
        action: sought.action,
        object: sought.object,
        since: since.transpose()?,
        until: until.transpose()?,
        before: read(sought.before.as_deref(), before)?,
        limit: limit(sought.limit.as_deref())?,
    };
    let entries = app.store.audits(&wanted).await?;
    let full = entries.len() == wanted.limit as usize;
    let next = entries.last().filter(|_| full).map(|(n, _)| *n);
    let items = entries.into_iter().map(|(n, entry)| Entry {
        n,
        at: Wall::rfc3339(entry.at),
        tenant: entry.tenant.to_string(),
        by: entry.by,
        action: entry.action,
        object: entry.object,
        detail: entry.detail,
    });
    Ok(Json(Entries {
        items: items.collect(),
        next,
    }))
}
