//! The database as the shell sees it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::Mutex;
use vocab::call::{Cause, Side};
use vocab::record::{CallEvent, CallEventKind, CallRecord};
use vocab::{CallId, RecordingId, TenantId, Wall};

use crate::check::{self, Finding};
use crate::error::Error;
use crate::limits::{BATCH_EVENTS_MAX, TRACES_MAX};
use crate::open::{self, Opened, Options};
use crate::project::{PROJECTION, project};
use crate::read::{self, Listing};
use crate::recordings::{self, Audit, Audits, Hold, Kept, Recordings, Segment};
use crate::traces::{self, Retention};
use crate::writer::{Appended, Writer};

/// The event log and the call records, in one SQLite file.
///
/// Share it as an `Arc`: everything takes `&self`. There is one writing connection, so appends
/// queue behind each other, in the order of their calls; reads have connections of their own and
/// neither wait for a commit nor delay one. Needs a tokio runtime with time enabled.
///
/// Dropping it is safe at any time, and so is `kill -9`: what was committed stays, what was not
/// leaves no trace.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    writer: Mutex<Writer>,
    readers: SqlitePool,
    _lock: File,
}

impl Store {
    /// Opens or creates the database and brings it to this release's schema.
    ///
    /// The directory must exist. Besides the file itself, SQLite keeps two with the endings
    /// `-wal` and `-shm` beside it, and the store one with `-lock`.
    ///
    /// # Errors
    ///
    /// One line that says what to do: [`Error::InUse`] by another process (or another `Store`),
    /// [`Error::NotADatabase`], [`Error::Foreign`], [`Error::Newer`], [`Error::ReadOnly`],
    /// [`Error::CannotOpen`], [`Error::Full`]. The file is as before, or migrated up to a step.
    pub async fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let Opened {
            path,
            writer,
            readers,
            outdated,
            lock,
        } = open::open(path, options).await?;
        let mut writer = Writer::new(writer);
        if outdated {
            fold_again(&path, &mut writer).await?;
        }
        writer.interrupted = read::open_calls(&path, writer.conn()).await?;
        Ok(Self {
            path,
            writer: Mutex::new(writer),
            readers,
            _lock: lock,
        })
    }

    /// The database's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds events to the log and folds them into their calls' records, in one transaction.
    ///
    /// When this returns, they are committed. Delivering events again is harmless: those up to the
    /// call's last position are counted as repeated and change nothing. Events that cannot follow
    /// are left out and returned, so that a bug in one call hurts that call only.
    ///
    /// # Errors
    ///
    /// Nothing of the batch is in the database; only if the failure came while committing, the
    /// whole of it may be. Append it again in both cases.
    ///
    /// # Panics
    ///
    /// If the batch has more than [`BATCH_EVENTS_MAX`] events.
    pub async fn append(&self, batch: &[CallEvent]) -> Result<Appended, Error> {
        self.writer.lock().await.append(&self.path, batch).await
    }

    /// Ends the calls that were going on when the process before this one stopped, with
    /// [`Cause::Interrupted`], and returns them, oldest first.
    ///
    /// To be called at start. These are the calls found open when the database was opened, never
    /// those started since; the second time there are none.
    ///
    /// # Errors
    ///
    /// Some may be closed, the others are when it is called again.
    pub async fn close_interrupted(&self, now: Wall) -> Result<Vec<CallId>, Error> {
        let mut writer = self.writer.lock().await;
        let events: Vec<_> = writer
            .interrupted
            .iter()
            .map(|open| interrupted(open, now))
            .collect();
        for batch in events.chunks(BATCH_EVENTS_MAX) {
            let appended = writer.append(&self.path, batch).await?;
            assert!(appended.misplaced.is_empty(), "an open call can end");
        }
        writer.interrupted.clear();
        Ok(events.into_iter().map(|event| event.call).collect())
    }

    /// Call records, newest first.
    ///
    /// Paging with [`Listing::before`] meets every call once, however many start meanwhile.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn records(&self, listing: &Listing) -> Result<Vec<CallRecord>, Error> {
        read::records(&self.path, &self.readers, listing).await
    }

    /// The record of a call, if it is known.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn record(&self, call: CallId) -> Result<Option<CallRecord>, Error> {
        read::record(&self.path, &self.readers, call).await
    }

    /// A call's events in order; none if the call is not known.
    ///
    /// At most [`crate::limits::CALL_EVENTS_MAX`] and one.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn events(&self, call: CallId) -> Result<Vec<CallEvent>, Error> {
        read::events(&self.path, &self.readers, call).await
    }

    /// Keeps the signalling of calls that are over, packed by the caller, and forgets what is
    /// older or more than `retention` allows, both in one transaction. A call's is kept once.
    ///
    /// Traces are no truth: losing one costs nothing but a look back. They share the writing
    /// connection, so a batch should be small.
    ///
    /// # Errors
    ///
    /// Nothing is kept or forgotten.
    ///
    /// # Panics
    ///
    /// If there are more than [`TRACES_MAX`](crate::limits::TRACES_MAX).
    pub async fn keep_traces(
        &self,
        traces: &[(CallId, Arc<[u8]>)],
        retention: Retention,
    ) -> Result<(), Error> {
        assert!(traces.len() <= TRACES_MAX, "a batch is bounded");
        let mut writer = self.writer.lock().await;
        writer.keep_traces(&self.path, traces, retention).await
    }

    /// What was kept of a call's signalling.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn trace(&self, call: CallId) -> Result<Option<Vec<u8>>, Error> {
        traces::read(&self.path, &self.readers, call).await
    }

    /// Adds a segment to the index of recordings, or says anew what is known of it. One that was
    /// deleted stays so.
    ///
    /// # Errors
    ///
    /// Nothing is changed.
    pub async fn put_segment(&self, segment: &Segment, to_upload: bool) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let done = recordings::put(writer.begin().await, segment, to_upload).await;
        writer.end(&self.path, done).await
    }

    /// Segments in the index, newest first.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn segments(&self, wanted: &Recordings) -> Result<Vec<Kept>, Error> {
        recordings::list(&self.path, &self.readers, wanted).await
    }

    /// One segment, if it is in the index.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn segment(&self, recording: RecordingId) -> Result<Option<Kept>, Error> {
        recordings::one(&self.path, &self.readers, recording).await
    }

    /// Segments that wait for the object store, in order of their ids, behind `after`.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn segments_to_upload(
        &self,
        after: Option<RecordingId>,
        limit: u32,
    ) -> Result<Vec<Kept>, Error> {
        recordings::to_upload(&self.path, &self.readers, after, limit).await
    }

    /// How many segments wait for the object store.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn segments_waiting(&self) -> Result<u64, Error> {
        recordings::waiting(&self.path, &self.readers).await
    }

    /// Segments that came to the object store at `until` or before, and are in a file here as well.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn segments_twice(&self, until: Wall, limit: u32) -> Result<Vec<Kept>, Error> {
        recordings::twice(&self.path, &self.readers, until, limit).await
    }

    /// Segments of a tenant that began before `until` and that no hold keeps, oldest first.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn segments_expired(
        &self,
        tenant: &TenantId,
        until: Wall,
        limit: u32,
    ) -> Result<Vec<Kept>, Error> {
        recordings::expired(&self.path, &self.readers, tenant, until, limit).await
    }

    /// Segments that were deleted and whose files are still somewhere, in order of their ids,
    /// behind `after`.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn segments_to_erase(
        &self,
        after: Option<RecordingId>,
        limit: u32,
    ) -> Result<Vec<Kept>, Error> {
        recordings::to_erase(&self.path, &self.readers, after, limit).await
    }

    /// The files of a segment are gone, here and in the object store.
    ///
    /// # Errors
    ///
    /// Nothing is changed.
    pub async fn segment_erased(&self, recording: RecordingId) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let done = recordings::erased(writer.begin().await, recording).await;
        writer.end(&self.path, done).await
    }

    /// A segment is in the object store.
    ///
    /// # Errors
    ///
    /// Nothing is changed.
    pub async fn segment_stored(&self, recording: RecordingId, at: Wall) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let done = recordings::stored(writer.begin().await, recording, at).await;
        writer.end(&self.path, done).await
    }

    /// The file of a segment is no longer on this machine.
    ///
    /// # Errors
    ///
    /// Nothing is changed.
    pub async fn segment_not_local(&self, recording: RecordingId) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let done = recordings::not_local(writer.begin().await, recording).await;
        writer.end(&self.path, done).await
    }

    /// Marks a segment as deleted, with an entry in the audit trail; its row stays. `false` if it is
    /// held, unknown or was deleted before: then nothing is changed.
    ///
    /// # Errors
    ///
    /// Nothing is changed.
    pub async fn delete_segment(
        &self,
        recording: RecordingId,
        entry: &Audit,
    ) -> Result<bool, Error> {
        let mut writer = self.writer.lock().await;
        let done = recordings::delete(writer.begin().await, recording, entry).await;
        writer.end(&self.path, done).await
    }

    /// Keeps everything of an interaction from being deleted, with an entry in the audit trail.
    /// `false` if something does already: then nothing is changed.
    ///
    /// # Errors
    ///
    /// Nothing is changed.
    pub async fn hold(&self, hold: &Hold, entry: &Audit) -> Result<bool, Error> {
        let mut writer = self.writer.lock().await;
        let done = recordings::hold(writer.begin().await, hold, entry).await;
        writer.end(&self.path, done).await
    }

    /// Ends the hold of an interaction, with an entry in the audit trail. `false` if there is none.
    ///
    /// # Errors
    ///
    /// Nothing is changed.
    pub async fn lift_hold(&self, interaction: CallId, entry: &Audit) -> Result<bool, Error> {
        let mut writer = self.writer.lock().await;
        let done = recordings::lift(writer.begin().await, interaction, entry).await;
        writer.end(&self.path, done).await
    }

    /// All holds there ever were of one interaction, or those in force of a tenant or of all;
    /// newest first.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn holds(
        &self,
        interaction: Option<CallId>,
        tenant: Option<&TenantId>,
    ) -> Result<Vec<Hold>, Error> {
        recordings::holds(&self.path, &self.readers, interaction, tenant).await
    }

    /// Adds an entry to the audit trail.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub async fn note(&self, entry: &Audit) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let done = recordings::note(writer.begin().await, entry).await;
        writer.end(&self.path, done).await
    }

    /// Entries of the audit trail with their numbers, newest first.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub async fn audits(&self, wanted: &Audits) -> Result<Vec<(u64, Audit)>, Error> {
        recordings::audits(&self.path, &self.readers, wanted).await
    }

    /// Checks the file and compares every record with its events. Reads everything: for tests and
    /// for a person who asks. Empty is good; at most [`crate::limits::FINDINGS_MAX`] are returned.
    ///
    /// # Errors
    ///
    /// If the database cannot be read at all.
    pub async fn check(&self) -> Result<Vec<Finding>, Error> {
        let mut conn = self
            .readers
            .acquire()
            .await
            .map_err(|e| Error::sort(&self.path, e))?;
        check::check(&self.path, &mut conn).await
    }

    /// Waits for running reads and appends, copies the write-ahead log into the database and
    /// closes it. Without it the next start does that work.
    ///
    /// # Errors
    ///
    /// If the log cannot be copied; nothing is lost.
    pub async fn close(self) -> Result<(), Error> {
        self.readers.close().await;
        open::close(&self.path, self.writer.into_inner().into_conn()).await
    }
}

/// The event that ends a call whose process has gone.
fn interrupted(open: &CallRecord, now: Wall) -> CallEvent {
    CallEvent {
        tenant: open.tenant.clone(),
        call: open.call,
        n: open.events + 1,
        at: now,
        kind: CallEventKind::Ended {
            cause: Cause::Interrupted,
            by: Side::Near,
        },
    }
}

/// Calls folded again in one transaction.
const FOLD_CALLS: i64 = 500;

/// Folds the events of all records that an older release folded. Can be stopped and resumed.
async fn fold_again(path: &Path, writer: &mut Writer) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let calls = read::outdated_calls(path, writer.conn(), &after, FOLD_CALLS).await?;
        let Some(last) = calls.last() else { break };
        after.clone_from(last);
        let mut records = Vec::with_capacity(calls.len());
        for call in &calls {
            let call = call
                .parse()
                .map_err(|_| Error::corrupt(path, "a row with a bad `call`"))?;
            let mut record = None;
            for event in read::events(path, writer.conn(), call).await? {
                project(&mut record, &event)
                    .map_err(|misplaced| Error::corrupt(path, misplaced.to_string()))?;
            }
            records.extend(record);
        }
        writer.rewrite(path, records.iter().collect()).await?;
    }
    let done = format!("PRAGMA user_version = {PROJECTION}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(done))
        .execute(writer.conn())
        .await
        .map(|_| ())
        .map_err(|e| Error::sort(path, e))
}
