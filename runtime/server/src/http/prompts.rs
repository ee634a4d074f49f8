//! Prompts of a tenant: what its calls can play, and the versions that were uploaded.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use media::limits::WAV_BYTES_MAX;
use media::sound::SoundError;
use media::wav;
use node::Catalogue;
use serde::{Deserialize, Serialize};
use store::Audit;
use vocab::{Clip, TenantId, Wall};

use super::error::Problem;
use super::extract::{Named, Parameters, Told, read};
use super::recordings::index::{entry, limit, text};
use super::{App, Shared};
use crate::prompts::{PromptId, Put, Refused, Shown, Version, of_folder};

/// The routes of this module. A slash in a prompt's name is written `%2F`.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/tenants/{tenant}/prompts", get(list))
        .route(
            "/tenants/{tenant}/prompts/{language}/{name}",
            put(upload).delete(delete),
        )
        .route(
            "/tenants/{tenant}/prompts/{language}/{name}/versions",
            get(versions),
        )
        .route(
            "/tenants/{tenant}/prompts/{language}/{name}/activate",
            post(activate),
        )
        .route(
            "/tenants/{tenant}/prompts/{language}/{name}/audio",
            get(audio),
        )
}

/// The prompt that a path names.
struct One(TenantId, PromptId);

impl<S: Send + Sync> FromRequestParts<S> for One {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String, String)>::from_request_parts(parts, state).await;
        let Ok(Path((tenant, language, name))) = path else {
            let detail = "this path names nothing: check its parts";
            return Err(Problem::not_found("not_found", detail));
        };
        let tenant = tenant.parse().map_err(|_| no_tenant())?;
        let id = PromptId::new(&language, &name).map_err(Problem::parameter)?;
        Ok(Self(tenant, id))
    }
}

fn no_tenant() -> Problem {
    Problem::not_found("tenant_not_found", "no tenant has this id")
}

fn no_prompt() -> Problem {
    Problem::not_found(
        "prompt_not_found",
        "the tenant has no such prompt in this language",
    )
}

fn refused(why: Refused) -> Problem {
    if why.is_full_disk() {
        let detail = "the disk is full: free space in the server's data_dir; nothing was changed";
        return Problem::unavailable("disk_full", detail);
    }
    match why {
        Refused::Sound(SoundError::Unknown) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_sound",
            "the body is no sound file that is read: send a WAV, MP3, FLAC, Opus or Vorbis file alone, \
             without a form around it",
        ),
        Refused::Sound(SoundError::TooLarge) => too_large(),
        Refused::Sound(error) => {
            let detail = format!("{error}; save it as WAV, MP3, FLAC or Opus");
            Problem::new(StatusCode::BAD_REQUEST, "bad_sound", detail)
        }
        Refused::Full(_) => Problem::new(StatusCode::CONFLICT, "prompts_full", why.to_string()),
        Refused::NoVersion => Problem::not_found(
            "version_not_found",
            "there is no such version, or it is not kept any more; see /versions",
        ),
        Refused::NotUploaded => no_prompt(),
        Refused::Damaged => Problem::conflict(
            "version_damaged",
            "the file of this version is damaged: put another in force, or upload it anew",
        ),
        Refused::Disk(error) => {
            tracing::error!(%error, "a prompt cannot be written");
            Problem::internal()
        }
    }
}

fn too_large() -> Problem {
    let detail = format!("the file has more than {WAV_BYTES_MAX} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

/// What a tenant can play, if there is such a tenant.
async fn catalogue(app: &App, tenant: &TenantId) -> Result<Catalogue, Problem> {
    let wanted = tenant.clone();
    let found = app
        .control
        .query(move |node| node.catalogue(&wanted).cloned());
    let found = found.await.ok_or_else(Problem::no_answer)?;
    found.ok_or_else(no_tenant)
}

/// Does what waits for files, to its end even if nobody waits for that any more.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Problem> {
    #[allow(clippy::disallowed_methods)] // The shell's own task.
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| {
        tracing::error!(%error, "work on prompts ended by a panic: this is a bug");
        Problem::internal()
    });
    done?.map_err(refused)
}

/// A prompt in one object. Every field is always there; what is not known is null.
#[derive(Serialize)]
struct Row {
    language: String,
    name: String,
    version: u32,
    versions: usize,
    damaged: bool,
    length_ms: Option<u64>,
    at: Option<String>,
    by: Option<String>,
    kind: Option<String>,
    sha256: Option<String>,
}

/// Milliseconds of so many samples at 8,000 a second.
fn millis(samples: usize) -> u64 {
    samples as u64 / 8
}

impl Row {
    /// From what was uploaded, and the file of the folder.
    fn new(id: &PromptId, shown: Option<&Shown>, file: Option<&Clip>) -> Self {
        let version = shown.and_then(Shown::version);
        let in_folder = file.map(|clip| clip.samples.len());
        let samples = version.map(|it| it.samples).or(in_folder);
        Self {
            language: id.language().to_owned(),
            name: id.name().to_owned(),
            version: version.map_or(0, |it| it.version),
            versions: shown.map_or(0, |it| it.versions.len()) + usize::from(file.is_some()),
            damaged: shown.is_some_and(|it| it.damaged),
            length_ms: samples.map(millis),
            at: version.map(|it| Wall::rfc3339(it.at())),
            by: version.map(|it| it.by.clone()),
            kind: version.map(|it| it.kind.clone()),
            sha256: version.map(|it| it.upload_sha256.clone()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    language: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

#[derive(Serialize)]
struct Page {
    items: Vec<Row>,
    next: Option<String>,
}

async fn list(
    State(app): Shared,
    Named(tenant): Named<TenantId>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Page>, Problem> {
    let catalogue = catalogue(&app, &tenant).await?;
    let limit = limit(wanted.limit.as_deref())? as usize;
    let after = wanted.after.map(|text| {
        let id = text.split_once('/');
        let id = id.and_then(|(language, name)| PromptId::new(language, name).ok());
        id.ok_or_else(|| Problem::parameter("after: the `next` of the page before"))
    });
    let after = after.transpose()?;
    let prompts = app.prompts.clone();
    let uploaded = waiting(move || Ok(prompts.list(&tenant))).await?;
    let in_folder = catalogue.folder().iter().flat_map(|(language, names)| {
        // What could not be named in a request is left out.
        let ids = names.keys();
        ids.filter_map(|name| PromptId::new(language, name).ok())
    });
    let mut ids: BTreeSet<PromptId> = in_folder.collect();
    ids.extend(uploaded.keys().cloned());
    let ids = ids.into_iter();
    let ids = ids.filter(|id| {
        wanted
            .language
            .as_deref()
            .is_none_or(|it| it == id.language())
    });
    let ids = ids.filter(|id| after.as_ref().is_none_or(|after| id > after));
    let ids: Vec<PromptId> = ids.take(limit).collect();
    let rows = ids.iter();
    let rows = rows.map(|id| Row::new(id, uploaded.get(id), of_folder(&catalogue, id)));
    // A full page may be the last: then the next one is empty.
    let last = ids.last().filter(|_| ids.len() == limit);
    Ok(Json(Page {
        items: rows.collect(),
        next: last.map(PromptId::to_string),
    }))
}

/// Who does it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct By {
    by: Option<String>,
}

/// Notes in the audit trail what was done.
async fn note(
    app: &App,
    one: &One,
    by: Option<String>,
    (action, detail): (&str, String),
) -> Result<(), Problem> {
    let One(tenant, id) = one;
    let noted = Audit {
        detail,
        ..entry(app, tenant, by, action, id)
    };
    Ok(app.store.note(&noted).await?)
}

async fn upload(
    State(app): Shared,
    one: One,
    Parameters(by): Parameters<By>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Row>), Problem> {
    let by = text("by", by.by)?;
    let One(tenant, id) = &one;
    let catalogue = catalogue(&app, tenant).await?;
    same_case(&catalogue, id)?;
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > WAV_BYTES_MAX) {
        return Err(too_large());
    }
    let place = Arc::clone(&app.uploads).try_acquire_owned();
    let place =
        place.map_err(|_| Problem::unavailable("busy", "too many uploads at once; try again"))?;
    let bytes = to_bytes(body, WAV_BYTES_MAX).await;
    let bytes = bytes.map_err(|_| too_large())?;
    let (prompts, at) = (app.prompts.clone(), app.clock.now().wall);
    let (tenant, wanted) = (tenant.clone(), id.clone());
    let who = by.clone().unwrap_or_else(|| "api".to_owned());
    let done = waiting(move || {
        // Decoding goes on when the one who asked is gone: until then the place is taken.
        let _place = place;
        prompts.put(&tenant, &wanted, &bytes, (at, who))
    });
    let Put { shown, new } = done.await?;
    let row = Row::new(id, Some(&shown), of_folder(&catalogue, id));
    if !new {
        return Ok((StatusCode::OK, Json(row)));
    }
    let what = format!("version {}", shown.active);
    note(&app, &one, by, ("prompt.uploaded", what)).await?;
    tracing::info!(tenant = %one.0, version = shown.active, "prompt {id} is uploaded over the API");
    Ok((StatusCode::CREATED, Json(row)))
}

/// Refuses a language that differs from the tenant's in nothing but capitals: no call would hear it.
fn same_case(catalogue: &Catalogue, id: &PromptId) -> Result<(), Problem> {
    let mut languages = catalogue.languages();
    let other = languages
        .find(|known| known.eq_ignore_ascii_case(id.language()) && *known != id.language());
    other.map_or(Ok(()), |known| {
        let what = format!("language: the tenant's is written {known}");
        Err(Problem::parameter(what))
    })
}

/// A version in one object. Every field is always there; what is not known is null.
#[derive(Serialize)]
struct VersionRow {
    version: u32,
    active: bool,
    damaged: bool,
    length_ms: u64,
    at: Option<String>,
    by: Option<String>,
    kind: Option<String>,
    sha256: Option<String>,
}

#[derive(Serialize)]
struct Versions {
    items: Vec<VersionRow>,
}

async fn versions(State(app): Shared, one: One) -> Result<Json<Versions>, Problem> {
    let One(tenant, id) = one;
    let catalogue = catalogue(&app, &tenant).await?;
    let file = of_folder(&catalogue, &id);
    let (prompts, wanted) = (app.prompts.clone(), id.clone());
    let shown = waiting(move || Ok(prompts.find(&tenant, &wanted))).await?;
    let active = shown.as_ref().map_or(0, |shown| shown.active);
    let damaged = shown.as_ref().is_some_and(|shown| shown.damaged);
    let uploaded = shown.iter().flat_map(|shown| shown.versions.iter().rev());
    let uploaded = uploaded.map(|it: &Version| VersionRow {
        version: it.version,
        active: it.version == active,
        damaged: it.version == active && damaged,
        length_ms: millis(it.samples),
        at: Some(it.at().rfc3339()),
        by: Some(it.by.clone()),
        kind: Some(it.kind.clone()),
        sha256: Some(it.upload_sha256.clone()),
    });
    let in_folder = file.map(|clip| VersionRow {
        version: 0,
        active: active == 0,
        damaged: false,
        length_ms: millis(clip.samples.len()),
        at: None,
        by: None,
        kind: None,
        sha256: None,
    });
    let items: Vec<_> = uploaded.chain(in_folder).collect();
    if items.is_empty() {
        return Err(no_prompt());
    }
    Ok(Json(Versions { items }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    version: u32,
    by: Option<String>,
}

async fn activate(
    State(app): Shared,
    one: One,
    Told(chosen): Told<Chosen>,
) -> Result<Json<Row>, Problem> {
    let by = text("by", chosen.by)?;
    let One(tenant, id) = &one;
    let catalogue = catalogue(&app, tenant).await?;
    let file = of_folder(&catalogue, id);
    if chosen.version == 0 && file.is_none() {
        let detail = "version 0 is the file in the folder of prompts, and there is none";
        return Err(Problem::not_found("version_not_found", detail));
    }
    let in_folder = file.is_some();
    let (prompts, tenant, wanted) = (app.prompts.clone(), tenant.clone(), id.clone());
    let shown = waiting(
        move || match prompts.activate(&tenant, &wanted, chosen.version) {
            Ok(shown) => Ok(Some(shown)),
            // The folder's is in force, as nothing else is there.
            Err(Refused::NotUploaded) if chosen.version == 0 => Ok(None),
            Err(Refused::NotUploaded) if in_folder => Err(Refused::NoVersion),
            Err(why) => Err(why),
        },
    );
    let Some(shown) = shown.await? else {
        return Ok(Json(Row::new(id, None, file)));
    };
    let what = format!("version {}", chosen.version);
    note(&app, &one, by, ("prompt.activated", what)).await?;
    tracing::info!(
        tenant = %one.0, version = chosen.version, "a version of prompt {id} is put in force over the API"
    );
    Ok(Json(Row::new(id, Some(&shown), file)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heard {
    version: Option<String>,
}

async fn audio(
    State(app): Shared,
    one: One,
    Parameters(heard): Parameters<Heard>,
) -> Result<Response, Problem> {
    let One(tenant, id) = one;
    let version = read::<u32>(heard.version.as_deref(), "version: a number, as listed")?;
    let catalogue = catalogue(&app, &tenant).await?;
    let file = of_folder(&catalogue, &id).cloned();
    let (prompts, wanted) = (app.prompts.clone(), id.clone());
    let (bytes, version) = waiting(move || {
        let shown = prompts.find(&tenant, &wanted);
        let in_force = shown.as_ref().map_or(0, |shown| shown.active);
        let version = version.unwrap_or(in_force);
        let bytes = match (version, file, shown) {
            (0, Some(clip), _) => wav::write(&clip.samples, 1),
            (0, None, Some(_)) => return Err(Refused::NoVersion),
            (_, Some(_), None) => return Err(Refused::NoVersion),
            (_, _, _) => prompts.audio(&tenant, &wanted, version)?,
        };
        Ok((bytes, version))
    })
    .await?;
    let name: String = id.name().replace('/', "-");
    // A header takes no more than this.
    let name = if name.is_ascii() {
        name
    } else {
        "prompt".to_owned()
    };
    let head = [
        (header::CONTENT_TYPE, "audio/wav".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("inline; filename=\"{name}-{version}.wav\""),
        ),
    ];
    Ok((head, bytes).into_response())
}

async fn delete(
    State(app): Shared,
    one: One,
    Parameters(by): Parameters<By>,
) -> Result<StatusCode, Problem> {
    let by = text("by", by.by)?;
    let One(tenant, id) = &one;
    let catalogue = catalogue(&app, tenant).await?;
    let in_folder = of_folder(&catalogue, id).is_some();
    let (prompts, tenant, wanted) = (app.prompts.clone(), tenant.clone(), id.clone());
    let shown = waiting(move || match prompts.delete(&tenant, &wanted) {
        Ok(shown) => Ok(Some(shown)),
        Err(Refused::NotUploaded) if in_folder => Ok(None),
        Err(why) => Err(why),
    });
    let Some(shown) = shown.await? else {
        let detail = "this prompt is a file in the folder of prompts: remove it there";
        return Err(Problem::conflict("prompt_in_folder", detail));
    };
    let what = format!("{} versions", shown.versions.len());
    note(&app, &one, by, ("prompt.deleted", what)).await?;
    tracing::info!(tenant = %one.0, "prompt {id} is deleted over the API");
    Ok(StatusCode::NO_CONTENT)
}
