//! Registered users and how they are reached.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::extract::Parameters;
use super::limits::{PAGE_RECORDS, PAGE_USERS_MAX};
use super::{App, Shared};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/registrations", get(list))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    before: Option<String>,
    limit: Option<String>,
}

#[derive(Serialize)]
struct Page {
    items: Vec<Registration>,
    next: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Registration {
    user: String,
    contacts: Vec<Contact>,
}

#[derive(Serialize)]
struct Contact {
    uri: String,
    transport: String,
    address: String,
    user_agent: String,
    instance: Option<String>,
    q_thousandths: u16,
    expires_at: String,
}

impl From<(String, Vec<sip::Contact>)> for Registration {
    fn from((user, contacts): (String, Vec<sip::Contact>)) -> Self {
        let contacts = contacts.into_iter().map(Contact::from).collect();
        Self { user, contacts }
    }
}

impl From<sip::Contact> for Contact {
    fn from(contact: sip::Contact) -> Self {
        Self {
            uri: contact.uri,
            transport: contact.hop.transport.via_name().to_ascii_lowercase(),
            address: contact.hop.remote.to_string(),
            user_agent: contact.user_agent,
            instance: contact.instance,
            q_thousandths: contact.q_thousandths,
            expires_at: contact.expires.rfc3339(),
        }
    }
}

async fn list(
    State(app): Shared,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Page>, Problem> {
    let limit = match &wanted.limit {
        None => PAGE_RECORDS as usize,
        Some(text) => {
            let limit = text.parse().ok();
            let limit = limit.filter(|limit| (1..=PAGE_USERS_MAX).contains(limit));
            let what = || Problem::parameter(format!("limit: from 1 to {PAGE_USERS_MAX}"));
            limit.ok_or_else(what)?
        }
    };
    let behind = wanted.before.unwrap_or_default();
    let users = app
        .control
        .query(move |node| {
            let users = node.registrations(&behind).take(limit);
            users
                .map(|(user, contacts)| (user.to_owned(), contacts))
                .collect::<Vec<_>>()
        })
        .await;
    let users = users.ok_or_else(Problem::no_answer)?;
    // A full page may be the last: then the next one is empty.
    let last = users.last().filter(|_| users.len() == limit);
    Ok(Json(Page {
        next: last.map(|(user, _)| user.clone()),
        items: users.into_iter().map(Registration::from).collect(),
    }))
}
