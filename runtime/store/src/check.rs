//! Whether the database holds together: SQLite's own check, and every record against its events.

use std::fmt;
use std::path::Path;

use sqlx::{Row, SqliteConnection};
use vocab::CallId;
use vocab::record::{CallEvent, CallRecord};

use crate::error::{Error, Misfit};
use crate::limits::{CALL_EVENTS_MAX, FINDINGS_MAX};
use crate::project::{Projected, project};
use crate::rows::{event_columns, event_from};

/// Something wrong with the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// SQLite's integrity check says this.
    Damaged(String),
    /// A row of an event or record cannot be understood.
    Unreadable(String),
    /// The call's record is not what its events give, or is missing.
    Differs(CallId),
    /// The call has a record but no events.
    NoEvents(String),
    /// The events before this position are missing: they were refused when the queue was full.
    Hole {
        /// The call.
        call: CallId,
        /// The position after the hole.
        n: u32,
    },
    /// The event cannot follow those before it.
    Misfit {
        /// The call.
        call: CallId,
        /// The event's position.
        n: u32,
        /// What is wrong.
        why: Misfit,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => write!(f, "integrity check: {what}"),
            Self::Unreadable(what) => write!(f, "unreadable row: {what}"),
            Self::Differs(call) => write!(f, "call {call}: the record is not what its events give"),
            Self::NoEvents(call) => write!(f, "call {call}: a record without events"),
            Self::Hole { call, n } => write!(f, "call {call}: events before {n} are missing"),
            Self::Misfit { call, n, why } => write!(f, "call {call}: event {n}: {why}"),
        }
    }
}

/// Events read at a time.
const PAGE: i64 = 1_000;

/// Checks everything, in one picture of the database that later commits do not change.
pub(crate) async fn check(path: &Path, conn: &mut SqliteConnection) -> Result<Vec<Finding>, Error> {
    let sort = |e| Error::sort(path, e);
    sqlx::query("BEGIN")
        .execute(&mut *conn)
        .await
        .map_err(sort)?;
    let findings = check_all(path, conn).await;
    // Ends the picture also after an error; nothing was written.
    sqlx::query("ROLLBACK").execute(conn).await.map_err(sort)?;
    findings
}

async fn check_all(path: &Path, conn: &mut SqliteConnection) -> Result<Vec<Finding>, Error> {
    let mut findings = integrity(path, conn).await?;
    let mut fold = Fold {
        path,
        record: None,
        findings: &mut findings,
    };
    let mut at = (String::new(), 0);
    loop {
        let sql = concat!(
            "SELECT ",
            event_columns!(),
            " FROM call_event WHERE (call, n) > (?, ?) ORDER BY call, n LIMIT ?"
        );
        let rows = sqlx::query(sql).bind(&at.0).bind(at.1).bind(PAGE);
        let rows = rows
            .fetch_all(&mut *conn)
            .await
            .map_err(|e| Error::sort(path, e))?;
        for row in &rows {
            match event_from(path, row) {
                Ok(event) => {
                    if let Some(done) = fold.record.take_if(|record| record.call != event.call) {
                        fold.compare(conn, done).await?;
                    }
                    fold.event(&event);
                }
                Err(error) => fold.unreadable(error)?,
            }
        }
        let Some(last) = rows.last() else { break };
        let corrupt = |e: sqlx::Error| Error::corrupt(path, e.to_string());
        at = (
            last.try_get(0).map_err(corrupt)?,
            last.try_get(1).map_err(corrupt)?,
        );
        if fold.findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    if let Some(done) = fold.record.take() {
        fold.compare(conn, done).await?;
    }
    findings.extend(without_events(path, conn).await?);
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

async fn integrity(path: &Path, conn: &mut SqliteConnection) -> Result<Vec<Finding>, Error> {
    let lines: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(conn)
        .await
        .map_err(|e| Error::sort(path, e))?;
    Ok(lines
        .into_iter()
        .filter(|line| line != "ok")
        .map(Finding::Damaged)
        .collect())
}

async fn without_events(path: &Path, conn: &mut SqliteConnection) -> Result<Vec<Finding>, Error> {
    let calls: Vec<String> = sqlx::query_scalar(
        "SELECT call FROM call_record AS r \
         WHERE NOT EXISTS (SELECT 1 FROM call_event AS e WHERE e.call = r.call) LIMIT ?",
    )
    .bind(i64::try_from(FINDINGS_MAX).expect("a small number"))
    .fetch_all(conn)
    .await
    .map_err(|e| Error::sort(path, e))?;
    Ok(calls.into_iter().map(Finding::NoEvents).collect())
}

/// Folds events in the order of calls and positions.
struct Fold<'a> {
    path: &'a Path,
    /// The call being folded.
    record: Option<CallRecord>,
    findings: &'a mut Vec<Finding>,
}

impl Fold<'_> {
    fn event(&mut self, event: &CallEvent) {
        let last = self.record.as_ref().map_or(0, |record| record.events);
        match project(&mut self.record, event) {
            Ok(Projected::Changed | Projected::Counted) => {
                // Beyond the limit only a call's end is kept.
                if event.n > last + 1 && event.n <= CALL_EVENTS_MAX {
                    self.findings.push(Finding::Hole {
                        call: event.call,
                        n: event.n,
                    });
                }
            }
            Ok(Projected::Repeated) => {}
            Err(misplaced) => {
                let (call, n, why) = (misplaced.call, misplaced.n, misplaced.why);
                self.findings.push(Finding::Misfit { call, n, why });
            }
        }
    }

    /// A row that cannot be understood is a finding, another failure ends the check.
    fn unreadable(&mut self, error: Error) -> Result<(), Error> {
        let Error::Corrupt { what, .. } = error else {
            return Err(error);
        };
        self.findings.push(Finding::Unreadable(what));
        Ok(())
    }

    async fn compare(
        &mut self,
        conn: &mut SqliteConnection,
        folded: CallRecord,
    ) -> Result<(), Error> {
        match crate::read::record(self.path, conn, folded.call).await {
            Ok(stored) if stored.as_ref() == Some(&folded) => {}
            Ok(_) => self.findings.push(Finding::Differs(folded.call)),
            Err(error) => self.unreadable(error)?,
        }
        Ok(())
    }
}
