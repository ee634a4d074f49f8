//! The index: which recordings there are, what is known of them, and their end.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::limits::PAGE_RECORDS_MAX;
use store::{Audit, Kept, Recordings};
use vocab::{Party, RecordingId, TenantId, Wall};

use super::unreadable;
use crate::http::calls::moment;
use crate::http::error::Problem;
use crate::http::extract::{CALL, Named, Parameters, TENANT, read};
use crate::http::limits::PAGE_RECORDS;
use crate::http::record::party;
use crate::http::{App, Shared};

/// Missing audio that is an alarm.
const GAP: Duration = Duration::from_millis(200);

/// Characters of a name or a reason.
const TEXT_CHARS_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tenant: Option<String>,
    call: Option<String>,
    interaction: Option<String>,
    party: Option<String>,
    since: Option<String>,
    until: Option<String>,
    gaps: Option<bool>,
    deleted: Option<bool>,
    after: Option<String>,
    limit: Option<String>,
}

impl Wanted {
    fn recordings(&self) -> Result<Recordings, Problem> {
        let party = self.party.as_deref().map(|text| {
            let what = "party: as it is listed, such as tel:+862155501234 or sip:1001@example.com";
            read_party(text).ok_or_else(|| Problem::parameter(what))
        });
        let since = self.since.as_deref().map(|text| moment("since", text));
        let until = self.until.as_deref().map(|text| moment("until", text));
        Ok(Recordings {
            tenant: read(self.tenant.as_deref(), TENANT)?,
            call: read(self.call.as_deref(), CALL)?,
            interaction: read(self.interaction.as_deref(), "interaction: a call's id")?,
            party: party.transpose()?,
            since: since.transpose()?,
            until: until.transpose()?,
            gap_over: self.gaps.unwrap_or(false).then_some(GAP),
            deleted: self.deleted.unwrap_or(false),
            after: read(
                self.after.as_deref(),
                "after: the `next` of the page before",
            )?,
            limit: limit(self.limit.as_deref())?,
        })
    }
}

/// How many are wanted.
pub(in crate::http) fn limit(text: Option<&str>) -> Result<u32, Problem> {
    let limit = text.map(|text| {
        let limit = text.parse().ok();
        let limit = limit.filter(|limit| (1..=PAGE_RECORDS_MAX).contains(limit));
        limit.ok_or_else(|| Problem::parameter(format!("limit: from 1 to {PAGE_RECORDS_MAX}")))
    });
    Ok(limit.transpose()?.unwrap_or(PAGE_RECORDS))
}

fn read_party(text: &str) -> Option<Party> {
    match text.split_once(':') {
        Some(("tel", number)) => Some(Party::E164(number.to_owned())),
        Some(("sip", address)) => Some(Party::Sip(address.to_owned())),
        None if text == "anonymous" => Some(Party::Anonymous),
        Some(_) | None => None,
    }
}

/// A recording in one object. Every field is always there; what is not known is null.
#[derive(Serialize)]
struct Row {
    id: String,
    call: String,
    interaction: String,
    tenant: String,
    leg: u16,
    party: String,
    channels: u16,
    started_at: String,
    length_ms: u64,
    expected_ms: u64,
    gap_ms: u64,
    end: &'static str,
    format: &'static str,
    bytes: u64,
    sha256: String,
    key: Option<String>,
    local: bool,
    stored_at: Option<String>,
    held: bool,
    deleted_at: Option<String>,
    deleted_by: Option<String>,
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Kept> for Row {
    fn from(kept: &Kept) -> Self {
        let segment = &kept.segment;
        let deleted = kept.deleted.as_ref();
        Self {
            id: segment.recording.to_string(),
            call: segment.recording.call.to_string(),
            interaction: kept.interaction.to_string(),
            tenant: segment.tenant.to_string(),
            leg: segment.leg,
            party: party(&segment.party),
            channels: segment.channels,
            started_at: segment.started_at.rfc3339(),
            length_ms: millis(segment.length),
            expected_ms: millis(segment.expected),
            gap_ms: millis(segment.gap()),
            end: segment.reason.name(),
            format: segment.format.name(),
            bytes: segment.bytes,
            sha256: segment.sha256.to_string(),
            key: segment.key.clone(),
            local: kept.local,
            stored_at: kept.stored_at.map(Wall::rfc3339),
            held: kept.held,
            deleted_at: deleted.map(|(at, _)| at.rfc3339()),
            deleted_by: deleted.map(|(_, by)| by.clone()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Page {
    items: Vec<Row>,
    next: Option<String>,
}

pub(super) async fn list(
    State(app): Shared,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Page>, Problem> {
    let wanted = wanted.recordings()?;
    let kept = app.store.segments(&wanted).await?;
    // A full page may be the last: then the next one is empty.
    let full = kept.len() == wanted.limit as usize;
    let last = kept.last().filter(|_| full);
    Ok(Json(Page {
        next: last.map(|kept| kept.segment.recording.to_string()),
        items: kept.iter().map(Row::from).collect(),
    }))
}

fn unknown() -> Problem {
    Problem::not_found(
        "recording_not_found",
        "no finished recording has this id; one that is being made has an entry once it ends",
    )
}

async fn find(app: &App, id: RecordingId) -> Result<Kept, Problem> {
    app.store.segment(id).await?.ok_or_else(unknown)
}

pub(super) async fn one(
    State(app): Shared,
    Named(id): Named<RecordingId>,
) -> Result<Json<impl Serialize>, Problem> {
    Ok(Json(Row::from(&find(&app, id).await?)))
}

#[derive(Serialize)]
pub(super) struct Verified {
    id: String,
    sha256: String,
    same: bool,
}

pub(super) async fn verify(
    State(app): Shared,
    Named(id): Named<RecordingId>,
) -> Result<Json<Verified>, Problem> {
    let kept = find(&app, id).await?;
    if kept.deleted.is_some() {
        return Err(gone());
    }
    let read = app.archive.verify(&kept).await;
    let (sha256, same) = read.map_err(|error| unreadable(&error, id))?;
    if !same {
        tracing::error!(recording = %id, "a recording is not what the index says");
    }
    Ok(Json(Verified {
        id: id.to_string(),
        sha256: sha256.to_string(),
        same,
    }))
}

fn gone() -> Problem {
    Problem::new(
        StatusCode::GONE,
        "recording_deleted",
        "this recording was deleted",
    )
}

/// Who does something, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Who {
    pub(in crate::http) by: Option<String>,
    pub(in crate::http) reason: Option<String>,
}

/// A text of a bounded length without control characters.
pub(in crate::http) fn text(
    name: &'static str,
    text: Option<String>,
) -> Result<Option<String>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let fits = (1..=TEXT_CHARS_MAX).contains(&text.chars().count());
    if !fits || text.chars().any(char::is_control) {
        let what = format!("{name}: 1 to {TEXT_CHARS_MAX} characters in one line");
        return Err(Problem::parameter(what));
    }
    Ok(Some(text))
}

/// An entry of the audit trail about what is done now.
pub(in crate::http) fn entry(
    app: &App,
    tenant: &TenantId,
    by: Option<String>,
    action: &str,
    object: impl ToString,
) -> Audit {
    Audit {
        at: app.clock.now().wall,
        tenant: tenant.clone(),
        by: by.unwrap_or_else(|| "api".to_owned()),
        action: action.to_owned(),
        object: object.to_string(),
        detail: String::new(),
    }
}

pub(super) async fn delete(
    State(app): Shared,
    Named(id): Named<RecordingId>,
    Parameters(who): Parameters<Who>,
) -> Result<StatusCode, Problem> {
    let (by, reason) = (text("by", who.by)?, text("reason", who.reason)?);
    let kept = find(&app, id).await?;
    if kept.deleted.is_some() {
        return Err(gone());
    }
    let entry = entry(&app, &kept.segment.tenant, by, "recording.deleted", id);
    let entry = Audit {
        detail: reason.unwrap_or_default(),
        ..entry
    };
    if !app.store.delete_segment(id, &entry).await? {
        return Err(if find(&app, id).await?.deleted.is_some() {
            gone()
        } else {
            Problem::conflict(
                "held",
                "its interaction is held: nothing of it may be deleted until the hold is lifted",
            )
        });
    }
    app.archive.erase();
    tracing::info!(recording = %id, "a recording is deleted as asked over the API");
    Ok(StatusCode::NO_CONTENT)
}
