//! Who is in the calls that are up, and what each of them does.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use node::{PartyState, PartyView, Watching};
use serde::{Deserialize, Serialize};
use vocab::CallId;

use super::error::Problem;
use super::extract::{CALL, Parameters, read};
use super::limits::PARTIES_LISTED_MAX;
use super::record::party;
use super::{App, Shared};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/parties", get(list))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    call: Option<String>,
    user: Option<String>,
    state: Option<String>,
}

#[derive(Serialize)]
struct Parties {
    items: Vec<Party>,
}

/// Every field is always there; what is not known or does not apply is null.
#[derive(Serialize)]
pub(super) struct Party {
    call: String,
    leg: u16,
    user: Option<String>,
    party: String,
    state: &'static str,
    with: Option<u16>,
    slot: Option<u16>,
    /// What a party does that watches another, with `with` for whom.
    mode: Option<&'static str>,
    muted: bool,
    deaf: bool,
    said_db: i8,
    heard_db: i8,
    talking: bool,
    speaker: bool,
}

impl From<(CallId, PartyView)> for Party {
    fn from((call, view): (CallId, PartyView)) -> Self {
        let mode = match view.state {
            PartyState::Watching { mode, .. } => Some(mode.name()),
            PartyState::Ringing
            | PartyState::Waiting
            | PartyState::Flow
            | PartyState::Talking { .. }
            | PartyState::Conference
            | PartyState::Held
            | PartyState::Parked { .. }
            | PartyState::Alone => None,
        };
        let (with, slot) = match view.state {
            PartyState::Talking { with } => (Some(with), None),
            PartyState::Watching { of, .. } => (Some(of), None),
            PartyState::Parked { slot } => (None, Some(slot)),
            PartyState::Ringing
            | PartyState::Waiting
            | PartyState::Flow
            | PartyState::Conference
            | PartyState::Held
            | PartyState::Alone => (None, None),
        };
        Self {
            call: call.to_string(),
            leg: view.leg,
            party: party(&view.party),
            state: view.state.name(),
            user: view.user,
            with,
            slot,
            mode,
            muted: view.loudness.muted.unwrap_or_default(),
            deaf: view.loudness.deaf.unwrap_or_default(),
            said_db: view.loudness.said_db.unwrap_or_default(),
            heard_db: view.loudness.heard_db.unwrap_or_default(),
            talking: view.talks,
            speaker: view.leads,
        }
    }
}

async fn list(
    State(app): Shared,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Parties>, Problem> {
    let call: Option<CallId> = read(wanted.call.as_deref(), CALL)?;
    if let Some(state) = &wanted.state {
        known_state(state)?;
    }
    let (user, state) = (wanted.user, wanted.state);
    let found = app
        .control
        .query(move |node| {
            let fits = |(_, view): &(CallId, PartyView)| {
                user.as_ref()
                    .is_none_or(|user| view.user.as_ref() == Some(user))
                    && state
                        .as_ref()
                        .is_none_or(|state| view.state.name() == state)
            };
            let calls = node
                .live_calls()
                .filter(|live| call.is_none_or(|call| call == *live));
            let all = calls.flat_map(|call| {
                let parties = node.parties(call).into_iter();
                parties.map(move |view| (call, view))
            });
            all.filter(fits)
                .take(PARTIES_LISTED_MAX)
                .collect::<Vec<_>>()
        })
        .await;
    let found = found.ok_or_else(Problem::no_answer)?;
    Ok(Json(Parties {
        items: found.into_iter().map(Party::from).collect(),
    }))
}

fn known_state(text: &str) -> Result<(), Problem> {
    let names = [
        PartyState::Ringing,
        PartyState::Waiting,
        PartyState::Flow,
        PartyState::Talking { with: 0 },
        PartyState::Conference,
        PartyState::Held,
        PartyState::Parked { slot: 0 },
        PartyState::Watching {
            of: 0,
            mode: Watching::Listen,
        },
        PartyState::Alone,
    ]
    .map(PartyState::name);
    if names.contains(&text) {
        return Ok(());
    }
    let what = format!("state: one of {}", names.join(", "));
    Err(Problem::parameter(what))
}
