//! What the server kept of a call.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::until;
use crate::shell::Server;

/// A finished call as the API shows it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The record, with its events.
    pub json: Value,
}

/// Both sides of a recording.
#[derive(Clone, Debug)]
pub struct Recording {
    /// What the caller said.
    pub caller: Vec<i16>,
    /// What the caller heard.
    pub heard: Vec<i16>,
}

/// The one record of a SIP call, once it is closed.
///
/// # Errors
/// If there is none in time, or more than one.
pub fn of_call(server: &Server, call_id: &str) -> anyhow::Result<Record> {
    until("a closed record", || {
        let found = matching(server, |call| call["sip_call_id"] == call_id)?;
        ensure!(found.len() <= 1, "{} records of {call_id}", found.len());
        let closed = found.into_iter().find(|call| !call["ended_at"].is_null());
        closed.map(|call| whole(server, &call)).transpose()
    })
}

/// The closed records of calls that a registered user made, newest first, once there are `count`.
///
/// # Errors
/// If there are not so many in time, or more.
pub fn of_user(server: &Server, user: &str, count: usize) -> anyhow::Result<Vec<Record>> {
    until("closed records", || {
        let found = matching(server, |call| call["user"] == user)?;
        ensure!(found.len() <= count, "{} records of {user}", found.len());
        let closed = found
            .iter()
            .filter(|call| !call["ended_at"].is_null())
            .count();
        if closed < count {
            return Ok(None);
        }
        found
            .iter()
            .map(|call| whole(server, call))
            .collect::<anyhow::Result<_>>()
            .map(Some)
    })
}

/// All records that are like this, newest first.
///
/// # Errors
/// If the API does not answer as it should.
pub fn matching(server: &Server, like: impl Fn(&Value) -> bool) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut path = "/api/v1/calls?limit=100".to_owned();
    loop {
        let page = server.json(&path)?;
        let items = page["items"].as_array().context("a list of calls")?;
        found.extend(items.iter().filter(|call| like(call)).cloned());
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/calls?limit=100&before={next}"),
            None => return Ok(found),
        }
    }
}

/// The whole record of one that a list names, with its events.
///
/// # Errors
/// If the API does not answer as it should.
pub fn whole(server: &Server, call: &Value) -> anyhow::Result<Record> {
    let id = call["id"].as_str().context("a call has an id")?;
    Ok(Record {
        json: server.json(&format!("/api/v1/calls/{id}"))?,
    })
}

impl Record {
    /// Its id.
    ///
    /// # Panics
    /// If it has none.
    pub fn id(&self) -> &str {
        self.json["id"].as_str().expect("a call has an id")
    }

    /// Its events of this kind, in order.
    ///
    /// # Panics
    /// If it has no list of events.
    pub fn events(&self, kind: &str) -> Vec<&Value> {
        let events = self.json["events"].as_array().expect("a call has events");
        events
            .iter()
            .filter(|event| event["kind"] == kind)
            .collect()
    }

    /// Its recording, once it is complete.
    ///
    /// # Errors
    /// If there is none, or it is not a stereo WAV file.
    pub fn recording(&self, server: &Server) -> anyhow::Result<Recording> {
        let path = format!("/api/v1/calls/{}/recording", self.id());
        let (status, file) = server.get(&path)?;
        ensure!(
            status == 200,
            "{path}: {status}: {}",
            String::from_utf8_lossy(&file)
        );
        ensure!(
            media::wav::channels_of(&file) == Some(2),
            "{path}: not our stereo WAV"
        );
        let frames = file[media::wav::header(2, 0).len()..].chunks_exact(4);
        let side = |at: usize| {
            let sample = move |frame: &[u8]| i16::from_le_bytes([frame[at], frame[at + 1]]);
            frames.clone().map(sample).collect()
        };
        Ok(Recording {
            caller: side(0),
            heard: side(2),
        })
    }
}
