//! Uploads recordings, forgets the files of those that are stored elsewhere, and deletes what is old
//! enough.

// The shell's own task and its waits are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use store::{Audit, Kept};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use vocab::{RecordingId, Wall};

use super::finish::remove;
use super::remote::{Failure, Remote};
use super::uploads::{Input, Output, PAGE, Uploads};
use super::{Inner, names};

/// How often what is old is looked for.
const SWEEP: Duration = Duration::from_secs(600);

/// Time from the start until the first look, when calls are coming back.
const FIRST_SWEEP: Duration = Duration::from_secs(10);

/// Recordings deleted or forgotten in a row, before something else has its turn.
const BATCH: u32 = 100;

/// Longest wait for what is being uploaded when the server stops. What is not done is done after the
/// next start.
const FAREWELL: Duration = Duration::from_secs(2);

/// What became of an upload.
type Uploaded = (RecordingId, Input);

/// Until told to stop.
pub(super) async fn run(archive: Arc<Inner>, mut stop: oneshot::Receiver<()>) {
    let mut uploads = Uploads::default();
    let mut running = JoinSet::new();
    let mut sweep_at = archive.clock.now().mono + FIRST_SWEEP;
    if archive.remote.is_some() {
        feed(&archive, &mut uploads, &mut running, Input::News).await;
    }
    loop {
        let deadline = uploads.deadline().map_or(sweep_at, |at| at.min(sweep_at));
        let wait = archive.clock.until(deadline);
        tokio::select! {
            _ = &mut stop => break,
            () = archive.news.notified() => {
                feed(&archive, &mut uploads, &mut running, Input::News).await;
            }
            Some(done) = running.join_next(), if !running.is_empty() => {
                if let Ok((_, input)) = done {
                    feed(&archive, &mut uploads, &mut running, input).await;
                }
                // Who keeps none here wants the room now.
                let none = archive.remote.as_ref().is_some_and(|remote| remote.keep_local.is_zero());
                if none && running.is_empty() {
                    forget(&archive, archive.clock.now().wall).await;
                }
            }
            () = archive.erase.notified() => erase(&archive).await,
            () = tokio::time::sleep(wait) => {
                let now = archive.clock.now().mono;
                if uploads.deadline().is_some_and(|at| at <= now) {
                    feed(&archive, &mut uploads, &mut running, Input::Timeout).await;
                }
                if sweep_at <= now {
                    sweep_at = if sweep(&archive).await { now } else { now + SWEEP };
                }
            }
        }
    }
    let rest = async { while running.join_next().await.is_some() {} };
    drop(tokio::time::timeout(FAREWELL, rest).await);
}

/// Tells the machine and does what it asks for.
async fn feed(
    archive: &Arc<Inner>,
    uploads: &mut Uploads,
    running: &mut JoinSet<Uploaded>,
    input: Input,
) {
    let now = || archive.clock.now().mono;
    uploads.handle(now(), input);
    while let Some(output) = uploads.poll() {
        match output {
            Output::LookUp(behind) => {
                let found = archive.store.segments_to_upload(behind, PAGE).await;
                let input = match found {
                    Ok(found) => {
                        let ids = found.iter().map(|kept| kept.segment.recording);
                        Input::Found(ids.collect())
                    }
                    Err(error) => {
                        tracing::warn!(%error, "what waits for the object store is not known");
                        Input::NotFound
                    }
                };
                uploads.handle(now(), input);
            }
            Output::Upload(id) => {
                if let Some(remote) = archive.remote.clone() {
                    running.spawn(upload(Arc::clone(archive), remote, id));
                }
            }
            Output::WentAway => archive.counts.away.store(true, Ordering::Relaxed),
            Output::CameBack => {
                archive.counts.away.store(false, Ordering::Relaxed);
                tracing::info!("the object store takes recordings again");
            }
        }
    }
    if let Ok(waiting) = archive.store.segments_waiting().await {
        archive.counts.waiting.store(waiting, Ordering::Relaxed);
    }
}

/// Uploads one.
async fn upload(archive: Arc<Inner>, remote: Remote, id: RecordingId) -> Uploaded {
    let input = match one(&archive, &remote, id).await {
        Ok(()) => Input::Done(id),
        Err(error) => {
            archive.counts.failed.fetch_add(1, Ordering::Relaxed);
            let away = !matches!(error, Failure::File(_) | Failure::NotThere);
            if !away || !archive.counts.away.load(Ordering::Relaxed) {
                tracing::warn!(recording = %id, %error, "a recording could not be uploaded: it is tried again");
            }
            if away {
                Input::Away(id)
            } else {
                Input::Refused(id)
            }
        }
    };
    (id, input)
}

async fn one(archive: &Inner, remote: &Remote, id: RecordingId) -> Result<(), Failure> {
    let database = |error: store::Error| Failure::File(std::io::Error::other(error));
    let Some(kept) = archive.store.segment(id).await.map_err(database)? else {
        return Ok(());
    };
    if !kept.to_upload {
        return Ok(());
    }
    let path = names::kept(&archive.folder, &kept.segment);
    remote.put(&kept.segment, &path).await?;
    let at = archive.clock.now().wall;
    archive.store.segment_stored(id, at).await.map_err(database)
}

/// Deletes what is old enough, and forgets files that are in the object store for long enough. Tells
/// whether there is more.
pub(super) async fn sweep(archive: &Inner) -> bool {
    let now = archive.clock.now().wall;
    let mut more = false;
    for (tenant, policy) in archive.policies.all().iter() {
        let Some(keep) = policy.keep else { continue };
        let until = before(now, keep);
        let old = match archive.store.segments_expired(tenant, until, BATCH).await {
            Ok(old) => old,
            Err(error) => {
                tracing::warn!(%error, %tenant, "old recordings are not deleted");
                continue;
            }
        };
        more |= old.len() == BATCH as usize;
        let days = keep.as_secs() / 86_400;
        for kept in &old {
            let entry = Audit {
                at: now,
                tenant: tenant.clone(),
                by: "retention".to_owned(),
                action: "recording.deleted".to_owned(),
                object: kept.segment.recording.to_string(),
                detail: format!("older than {days} days"),
            };
            let id = kept.segment.recording;
            if let Err(error) = archive.store.delete_segment(id, &entry).await {
                tracing::warn!(%error, recording = %id, "an old recording is not deleted");
                more = false;
            }
        }
    }
    erase(archive).await;
    more | forget(archive, now).await
}

/// Removes the files of recordings that were deleted.
async fn erase(archive: &Inner) {
    let mut after = None;
    loop {
        let deleted = match archive.store.segments_to_erase(after, BATCH).await {
            Ok(deleted) => deleted,
            Err(error) => {
                tracing::warn!(%error, "what was deleted is not known: its files stay for now");
                return;
            }
        };
        for kept in &deleted {
            if let Err(error) = erase_one(archive, kept).await {
                let recording = kept.segment.recording;
                tracing::warn!(%error, %recording, "the file of a deleted recording stays for now");
            }
        }
        if deleted.len() < BATCH as usize {
            return;
        }
        after = deleted.last().map(|kept| kept.segment.recording);
    }
}

async fn erase_one(archive: &Inner, kept: &Kept) -> Result<(), Failure> {
    remove(&names::kept(&archive.folder, &kept.segment))?;
    if kept.stored_at.is_some() || kept.to_upload {
        // Without its settings the store cannot be reached: then it is tried again.
        let Some(remote) = &archive.remote else {
            let what = "it is in an object store that is no longer configured";
            return Err(Failure::File(std::io::Error::other(what)));
        };
        remote.delete(&kept.segment).await?;
    }
    let done = archive.store.segment_erased(kept.segment.recording).await;
    done.map_err(|error| Failure::File(std::io::Error::other(error)))
}

/// Removes files that are in the object store. Tells whether there are more.
async fn forget(archive: &Inner, now: Wall) -> bool {
    let Some(remote) = &archive.remote else {
        return false;
    };
    let until = before(now, remote.keep_local);
    let twice = match archive.store.segments_twice(until, BATCH).await {
        Ok(twice) => twice,
        Err(error) => {
            tracing::warn!(%error, "which files are in the object store is not known");
            return false;
        }
    };
    for kept in &twice {
        // The row first: a reader then looks in the store.
        let id = kept.segment.recording;
        let done = archive.store.segment_not_local(id).await;
        let done = done.map_err(std::io::Error::other);
        if let Err(error) = done.and_then(|()| remove(&names::kept(&archive.folder, &kept.segment)))
        {
            tracing::warn!(%error, recording = %id, "the file of a stored recording stays here");
            return false;
        }
    }
    twice.len() == BATCH as usize
}

fn before(now: Wall, length: Duration) -> Wall {
    let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    Wall(now.0.saturating_sub(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_back_and_never_over() {
        assert_eq!(
            before(Wall(5_000_000), Duration::from_secs(2)),
            Wall(3_000_000)
        );
        assert_eq!(before(Wall(i64::MIN + 1), Duration::MAX), Wall(i64::MIN));
    }
}
