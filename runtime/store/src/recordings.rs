//! The index of recordings, what must be kept of them, and who did what with them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqliteConnection, SqliteExecutor};
use vocab::recording::SegmentEnd;
use vocab::{CallId, Party, RecordingId, TenantId, Wall};

use crate::error::Error;
use crate::limits::PAGE_RECORDS_MAX;
use crate::log::{Word, cut, party_from_text, party_text};
use crate::rows::Reading;

/// How audio is coded in a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// 16 bit PCM at 8,000 samples a second.
    Wav,
    /// Opus in Ogg (RFC 7845).
    Opus,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Wav, Self::Opus];

    /// Stable name, used in the configuration and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Opus => "opus",
        }
    }
}

impl Word for Format {
    fn text(self) -> &'static str {
        self.name()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == text)
    }
}

/// The SHA-256 of a file; its text is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(drop)?;
            *byte = u8::from_str_radix(pair, 16).map_err(drop)?;
        }
        Ok(Self(bytes))
    }
}

/// A finished file of audio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its name.
    pub recording: RecordingId,
    /// Whose call.
    pub tenant: TenantId,
    /// Number of the leg within its call.
    pub leg: u16,
    /// Who speaks.
    pub party: Party,
    /// 1: what the leg said. 2: and, right, what it heard.
    pub channels: u16,
    /// When its first sample was heard.
    pub started_at: Wall,
    /// How long it is.
    pub length: Duration,
    /// How long it should be: from its beginning to its end by the clock.
    pub expected: Duration,
    /// Why it ended.
    pub reason: SegmentEnd,
    /// How it is coded.
    pub format: Format,
    /// Which key it is encrypted with, if it is.
    pub key: Option<String>,
    /// Length of the file before it was encrypted.
    pub bytes: u64,
    /// Of the file before it was encrypted.
    pub sha256: Sha256,
}

impl Segment {
    /// How much of it is missing.
    pub fn gap(&self) -> Duration {
        self.expected.saturating_sub(self.length)
    }
}

/// A segment and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// As it was when it was finished.
    pub segment: Segment,
    /// The call with which its interaction began.
    pub interaction: CallId,
    /// It is in a file of this machine.
    pub local: bool,
    /// Since when it is in the object store.
    pub stored_at: Option<Wall>,
    /// It waits for the object store.
    pub to_upload: bool,
    /// It must not be deleted.
    pub held: bool,
    /// When it was deleted, and by whom.
    pub deleted: Option<(Wall, String)>,
}

/// Which segments are listed, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recordings {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only this call's.
    pub call: Option<CallId>,
    /// Only those of this interaction: of its calls.
    pub interaction: Option<CallId>,
    /// Only of this party.
    pub party: Option<Party>,
    /// Only those that began at this time or later.
    pub since: Option<Wall>,
    /// Only those that began before this time.
    pub until: Option<Wall>,
    /// Only those that miss more than this.
    pub gap_over: Option<Duration>,
    /// Those that were deleted as well.
    pub deleted: bool,
    /// Only those behind this one: the last of the page before.
    pub after: Option<RecordingId>,
    /// At most so many; 0 and what is over [`PAGE_RECORDS_MAX`] are that.
    pub limit: u32,
}

/// An interaction of which nothing may be deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// The call with which it began.
    pub interaction: CallId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Wall,
    /// Who said so.
    pub by: String,
    /// When it was lifted, and by whom.
    pub lifted: Option<(Wall, String)>,
}

/// Somebody did something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audit {
    /// When.
    pub at: Wall,
    /// Whose data.
    pub tenant: TenantId,
    /// Who.
    pub by: String,
    /// What was done, as in `recording.deleted`.
    pub action: String,
    /// With what: an id.
    pub object: String,
    /// More for a person to read; may be empty.
    pub detail: String,
}

/// Which entries of the audit trail are listed, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audits {
    /// Only about this tenant's data.
    pub tenant: Option<TenantId>,
    /// Only what this one did.
    pub by: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only about this.
    pub object: Option<String>,
    /// Only at this time or later.
    pub since: Option<Wall>,
    /// Only before this time.
    pub until: Option<Wall>,
    /// Only entries before this number.
    pub before: Option<u64>,
    /// At most so many; 0 and what is over [`PAGE_RECORDS_MAX`] are that.
    pub limit: u32,
}

macro_rules! select_segments {
    () => {
        "SELECT s.recording, s.tenant, s.leg, s.party, s.channels, s.started_at_us, s.length_us, \
         s.expected_us, s.reason, s.format, s.key, s.bytes, s.sha256, \
         coalesce(r.interaction, s.call), s.local, s.stored_at_us, s.to_upload, \
         s.deleted_at_us, s.deleted_by, h.n IS NOT NULL \
         FROM recording_segment AS s LEFT JOIN call_record AS r ON r.call = s.call \
         LEFT JOIN recording_hold AS h ON h.interaction = coalesce(r.interaction, s.call) \
         AND h.lifted_at_us IS NULL"
    };
}

fn page(limit: u32) -> i64 {
    let most = PAGE_RECORDS_MAX;
    i64::from(if limit == 0 { most } else { limit.min(most) })
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

fn kept_from(path: &Path, row: &SqliteRow) -> Result<Kept, Error> {
    let row = Reading { path, row };
    let length = |column| -> Result<Duration, Error> {
        let micros = u64::try_from(row.value::<i64>(column)?).map_err(|_| row.corrupt(column))?;
        Ok(Duration::from_micros(micros))
    };
    let small = |column| -> Result<u16, Error> {
        u16::try_from(row.value::<i64>(column)?).map_err(|_| row.corrupt(column))
    };
    let deleted_at: Option<i64> = row.value(17)?;
    let deleted_by: Option<String> = row.value(18)?;
    Ok(Kept {
        segment: Segment {
            recording: row.parsed(0)?,
            tenant: row.parsed(1)?,
            leg: small(2)?,
            party: party_from_text(row.value(3)?).ok_or_else(|| row.corrupt(3))?,
            channels: small(4)?,
            started_at: Wall(row.value(5)?),
            length: length(6)?,
            expected: length(7)?,
            reason: row.word(8)?.ok_or_else(|| row.corrupt(8))?,
            format: row.word(9)?.ok_or_else(|| row.corrupt(9))?,
            key: row.value(10)?,
            bytes: u64::try_from(row.value::<i64>(11)?).map_err(|_| row.corrupt(11))?,
            sha256: row.parsed(12)?,
        },
        interaction: row.parsed(13)?,
        local: row.value::<i64>(14)? != 0,
        stored_at: row.value::<Option<i64>>(15)?.map(Wall),
        to_upload: row.value::<i64>(16)? != 0,
        deleted: deleted_at.map(Wall).zip(deleted_by),
        held: row.value::<i64>(19)? != 0,
    })
}

/// Adds a segment, or says anew what is known of it.
pub(crate) async fn put(
    conn: &mut SqliteConnection,
    segment: &Segment,
    to_upload: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO recording_segment (recording, call, tenant, leg, party, channels, \
         started_at_us, length_us, expected_us, reason, format, key, bytes, sha256, local, \
         to_upload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?) \
         ON CONFLICT (recording) DO UPDATE SET length_us = excluded.length_us, \
         expected_us = excluded.expected_us, reason = excluded.reason, format = excluded.format, \
         key = excluded.key, bytes = excluded.bytes, sha256 = excluded.sha256, local = 1, \
         to_upload = excluded.to_upload WHERE deleted_at_us IS NULL",
    )
    .bind(segment.recording.to_string())
    .bind(segment.recording.call.to_string())
    .bind(segment.tenant.to_string())
    .bind(i64::from(segment.leg))
    .bind(party_text(&segment.party))
    .bind(i64::from(segment.channels))
    .bind(segment.started_at.0)
    .bind(micros(segment.length))
    .bind(micros(segment.expected))
    .bind(segment.reason.text())
    .bind(segment.format.text())
    .bind(segment.key.clone())
    .bind(i64::try_from(segment.bytes).unwrap_or(i64::MAX))
    .bind(segment.sha256.to_string())
    .bind(to_upload)
    .execute(conn)
    .await?;
    Ok(())
}

/// The segments that were asked for.
pub(crate) async fn list(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    wanted: &Recordings,
) -> Result<Vec<Kept>, Error> {
    let mut filter = Filter::default();
    filter.also(
        "(? OR s.deleted_at_us IS NULL)",
        [Bound::Number(wanted.deleted.into())],
    );
    if let Some(tenant) = &wanted.tenant {
        filter.also("s.tenant = ?", [Bound::Text(tenant.to_string())]);
    }
    if let Some(call) = wanted.call {
        filter.also("s.call = ?", [Bound::Text(call.to_string())]);
    }
    if let Some(interaction) = wanted.interaction {
        // A call may have its name and belong to another one.
        filter.also(
            "s.call IN (SELECT ? UNION SELECT call FROM call_record WHERE interaction = ?) \
             AND coalesce(r.interaction, s.call) = ?",
            [(); 3].map(|()| Bound::Text(interaction.to_string())),
        );
    }
    if let Some(party) = &wanted.party {
        filter.also("s.party = ?", [Bound::Text(party_text(party))]);
    }
    if let Some(since) = wanted.since {
        filter.also("s.started_at_us >= ?", [Bound::Number(since.0)]);
    }
    if let Some(until) = wanted.until {
        filter.also("s.started_at_us < ?", [Bound::Number(until.0)]);
    }
    if let Some(gap) = wanted.gap_over {
        let gap = Bound::Number(micros(gap));
        filter.also("s.expected_us - s.length_us > ?", [gap]);
    }
    if let Some(after) = wanted.after {
        filter.also(
            "(s.started_at_us, s.recording) < \
             (SELECT started_at_us, recording FROM recording_segment WHERE recording = ?)",
            [Bound::Text(after.to_string())],
        );
    }
    let sql = format!(
        "{} WHERE {} ORDER BY s.started_at_us DESC, s.recording DESC LIMIT ?",
        select_segments!(),
        filter.clauses.join(" AND ")
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for value in filter.values {
        query = match value {
            Bound::Text(text) => query.bind(text),
            Bound::Number(number) => query.bind(number),
        };
    }
    all(path, conn, query.bind(page(wanted.limit))).await
}

/// What all that are listed fulfil. Only what is asked for is in the statement, so that the planner
/// sees which index to take.
#[derive(Default)]
struct Filter {
    clauses: Vec<&'static str>,
    values: Vec<Bound>,
}

impl Filter {
    fn also<const N: usize>(&mut self, clause: &'static str, values: [Bound; N]) {
        self.clauses.push(clause);
        self.values.extend(values);
    }
}

/// A value of a clause.
enum Bound {
    Text(String),
    Number(i64),
}

/// One segment.
pub(crate) async fn one(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    recording: RecordingId,
) -> Result<Option<Kept>, Error> {
    let row = sqlx::query(concat!(select_segments!(), " WHERE s.recording = ?"))
        .bind(recording.to_string())
        .fetch_optional(conn)
        .await
        .map_err(|e| Error::sort(path, e))?;
    row.as_ref().map(|row| kept_from(path, row)).transpose()
}

/// The segments that a query finds.
async fn all(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    query: Query<'_, Sqlite, SqliteArguments>,
) -> Result<Vec<Kept>, Error> {
    let rows = query.fetch_all(conn).await;
    let rows = rows.map_err(|e| Error::sort(path, e))?;
    rows.iter().map(|row| kept_from(path, row)).collect()
}

/// What waits for the object store, oldest calls first, behind `after`.
pub(crate) async fn to_upload(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    after: Option<RecordingId>,
    limit: u32,
) -> Result<Vec<Kept>, Error> {
    let sql = concat!(
        select_segments!(),
        " WHERE s.to_upload = 1 AND s.recording > ? ORDER BY s.recording LIMIT ?"
    );
    let query = sqlx::query(sql)
        .bind(after.map_or_else(String::new, |after| after.to_string()))
        .bind(page(limit));
    all(path, conn, query).await
}

/// How many wait for the object store.
pub(crate) async fn waiting(path: &Path, conn: impl SqliteExecutor<'_>) -> Result<u64, Error> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM recording_segment WHERE to_upload = 1")
            .fetch_one(conn)
            .await
            .map_err(|e| Error::sort(path, e))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Those that are in the object store since before `until`, and in a file here as well.
pub(crate) async fn twice(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    until: Wall,
    limit: u32,
) -> Result<Vec<Kept>, Error> {
    let sql = concat!(
        select_segments!(),
        " WHERE s.local = 1 AND s.stored_at_us IS NOT NULL AND s.stored_at_us <= ? \
         AND s.deleted_at_us IS NULL \
         ORDER BY s.stored_at_us LIMIT ?"
    );
    let query = sqlx::query(sql).bind(until.0).bind(page(limit));
    all(path, conn, query).await
}

/// Those that were deleted and whose files are still somewhere, in order, behind `after`.
pub(crate) async fn to_erase(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    after: Option<RecordingId>,
    limit: u32,
) -> Result<Vec<Kept>, Error> {
    let sql = concat!(
        select_segments!(),
        " WHERE s.deleted_at_us IS NOT NULL AND (s.local = 1 OR s.stored_at_us IS NOT NULL) \
         AND s.recording > ? ORDER BY s.recording LIMIT ?"
    );
    let query = sqlx::query(sql)
        .bind(after.map_or_else(String::new, |after| after.to_string()))
        .bind(page(limit));
    all(path, conn, query).await
}

/// Its files are gone.
pub(crate) async fn erased(
    conn: &mut SqliteConnection,
    recording: RecordingId,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE recording_segment SET local = 0, stored_at_us = NULL WHERE recording = ?")
        .bind(recording.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Those of a tenant that began before `until`, may be deleted, and are not yet.
pub(crate) async fn expired(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    tenant: &TenantId,
    until: Wall,
    limit: u32,
) -> Result<Vec<Kept>, Error> {
    let sql = concat!(
        select_segments!(),
        " WHERE s.tenant = ? AND s.started_at_us < ? AND s.deleted_at_us IS NULL \
         AND h.n IS NULL ORDER BY s.started_at_us LIMIT ?"
    );
    let query = sqlx::query(sql)
        .bind(tenant.to_string())
        .bind(until.0)
        .bind(page(limit));
    all(path, conn, query).await
}

/// It is in the object store.
pub(crate) async fn stored(
    conn: &mut SqliteConnection,
    recording: RecordingId,
    at: Wall,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE recording_segment SET to_upload = 0, stored_at_us = ? WHERE recording = ?")
        .bind(at.0)
        .bind(recording.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Its file here is gone.
pub(crate) async fn not_local(
    conn: &mut SqliteConnection,
    recording: RecordingId,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE recording_segment SET local = 0 WHERE recording = ?")
        .bind(recording.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Marks it as deleted and says who did it, unless it is held or was deleted before. Tells whether
/// it is now for the first time.
pub(crate) async fn delete(
    conn: &mut SqliteConnection,
    recording: RecordingId,
    entry: &Audit,
) -> Result<bool, sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    let done = sqlx::query(
        "UPDATE recording_segment AS s SET deleted_at_us = ?, deleted_by = ?, to_upload = 0 \
         WHERE s.recording = ? AND s.deleted_at_us IS NULL AND NOT EXISTS \
         (SELECT 1 FROM recording_hold AS h WHERE h.lifted_at_us IS NULL AND h.interaction = \
          coalesce((SELECT r.interaction FROM call_record AS r WHERE r.call = s.call), s.call))",
    )
    .bind(entry.at.0)
    .bind(cut(&entry.by).to_owned())
    .bind(recording.to_string())
    .execute(&mut *conn)
    .await?
    .rows_affected()
        > 0;
    if done {
        note(conn, entry).await?;
    }
    sqlx::query("COMMIT").execute(conn).await?;
    Ok(done)
}

/// Holds an interaction, unless it is held. Tells whether it is now for the first time.
pub(crate) async fn hold(
    conn: &mut SqliteConnection,
    hold: &Hold,
    entry: &Audit,
) -> Result<bool, sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    let done = sqlx::query(
        "INSERT INTO recording_hold (interaction, tenant, reason, at_us, by) \
         VALUES (?, ?, ?, ?, ?) ON CONFLICT (interaction) WHERE lifted_at_us IS NULL DO NOTHING",
    )
    .bind(hold.interaction.to_string())
    .bind(hold.tenant.to_string())
    .bind(cut(&hold.reason).to_owned())
    .bind(hold.at.0)
    .bind(cut(&hold.by).to_owned())
    .execute(&mut *conn)
    .await?
    .rows_affected()
        > 0;
    if done {
        note(conn, entry).await?;
    }
    sqlx::query("COMMIT").execute(conn).await?;
    Ok(done)
}

/// Lifts the hold of an interaction. Tells whether there was one.
pub(crate) async fn lift(
    conn: &mut SqliteConnection,
    interaction: CallId,
    entry: &Audit,
) -> Result<bool, sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    let done = sqlx::query(
        "UPDATE recording_hold SET lifted_at_us = ?, lifted_by = ? \
         WHERE interaction = ? AND lifted_at_us IS NULL",
    )
    .bind(entry.at.0)
    .bind(cut(&entry.by).to_owned())
    .bind(interaction.to_string())
    .execute(&mut *conn)
    .await?
    .rows_affected()
        > 0;
    if done {
        note(conn, entry).await?;
    }
    sqlx::query("COMMIT").execute(conn).await?;
    Ok(done)
}

/// The holds of one interaction, or of a tenant those that are in force; newest first.
pub(crate) async fn holds(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    interaction: Option<CallId>,
    tenant: Option<&TenantId>,
) -> Result<Vec<Hold>, Error> {
    let rows = sqlx::query(
        "SELECT interaction, tenant, reason, at_us, by, lifted_at_us, lifted_by \
         FROM recording_hold WHERE (?1 IS NULL OR interaction = ?1) \
         AND (?2 IS NULL OR tenant = ?2) AND (?1 IS NOT NULL OR lifted_at_us IS NULL) \
         ORDER BY n DESC LIMIT ?3",
    )
    .bind(interaction.map(|id| id.to_string()))
    .bind(tenant.map(ToString::to_string))
    .bind(page(0))
    .fetch_all(conn)
    .await
    .map_err(|e| Error::sort(path, e))?;
    let read = |row: &SqliteRow| -> Result<Hold, Error> {
        let row = Reading { path, row };
        let lifted_at: Option<i64> = row.value(5)?;
        let lifted_by: Option<String> = row.value(6)?;
        Ok(Hold {
            interaction: row.parsed(0)?,
            tenant: row.parsed(1)?,
            reason: row.value(2)?,
            at: Wall(row.value(3)?),
            by: row.value(4)?,
            lifted: lifted_at.map(Wall).zip(lifted_by),
        })
    };
    rows.iter().map(read).collect()
}

/// Adds an entry to the audit trail.
pub(crate) async fn note(conn: &mut SqliteConnection, entry: &Audit) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit (at_us, tenant, by, action, object, detail) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.at.0)
    .bind(entry.tenant.to_string())
    .bind(cut(&entry.by).to_owned())
    .bind(cut(&entry.action).to_owned())
    .bind(cut(&entry.object).to_owned())
    .bind(cut(&entry.detail).to_owned())
    .execute(conn)
    .await?;
    Ok(())
}

/// Entries of the audit trail with their numbers.
pub(crate) async fn audits(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    wanted: &Audits,
) -> Result<Vec<(u64, Audit)>, Error> {
    let rows = sqlx::query(
        "SELECT n, at_us, tenant, by, action, object, detail FROM audit \
         WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR by = ?2) \
         AND (?3 IS NULL OR action = ?3) AND (?4 IS NULL OR object = ?4) \
         AND (?5 IS NULL OR at_us >= ?5) AND (?6 IS NULL OR at_us < ?6) \
         AND (?7 IS NULL OR n < ?7) ORDER BY n DESC LIMIT ?8",
    )
    .bind(wanted.tenant.as_ref().map(ToString::to_string))
    .bind(wanted.by.clone())
    .bind(wanted.action.clone())
    .bind(wanted.object.clone())
    .bind(wanted.since.map(|at| at.0))
    .bind(wanted.until.map(|at| at.0))
    .bind(wanted.before.map(|n| i64::try_from(n).unwrap_or(i64::MAX)))
    .bind(page(wanted.limit))
    .fetch_all(conn)
    .await
    .map_err(|e| Error::sort(path, e))?;
    let read = |row: &SqliteRow| -> Result<(u64, Audit), Error> {
        let row = Reading { path, row };
        let n = u64::try_from(row.value::<i64>(0)?).map_err(|_| row.corrupt(0))?;
        let entry = Audit {
            at: Wall(row.value(1)?),
            tenant: row.parsed(2)?,
            by: row.value(3)?,
            action: row.value(4)?,
            object: row.value(5)?,
            detail: row.value(6)?,
        };
        Ok((n, entry))
    };
    rows.iter().map(read).collect()
}
