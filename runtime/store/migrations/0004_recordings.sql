-- The index of recordings: a row for each file that was finished.
-- `sha256` is that of the file before it was encrypted, which whoever exports it can compare.
-- Times in `_us` are microseconds; `length_us` is what was written, `expected_us` what the clock says.
CREATE TABLE recording_segment (
    recording     TEXT    NOT NULL PRIMARY KEY,
    call          TEXT    NOT NULL,
    tenant        TEXT    NOT NULL,
    leg           INTEGER NOT NULL,
    party         TEXT    NOT NULL,
    channels      INTEGER NOT NULL,
    started_at_us INTEGER NOT NULL,
    length_us     INTEGER NOT NULL,
    expected_us   INTEGER NOT NULL,
    reason        TEXT    NOT NULL,
    format        TEXT    NOT NULL,
    key           TEXT,
    bytes         INTEGER NOT NULL,
    sha256        TEXT    NOT NULL,
    local         INTEGER NOT NULL,
    stored_at_us  INTEGER,
    to_upload     INTEGER NOT NULL,
    deleted_at_us INTEGER,
    deleted_by    TEXT
) STRICT, WITHOUT ROWID;

-- Newest first, of all tenants and of one.
CREATE INDEX recording_segment_time ON recording_segment (started_at_us, recording);
CREATE INDEX recording_segment_tenant ON recording_segment (tenant, started_at_us, recording);
CREATE INDEX recording_segment_call ON recording_segment (call);
-- What is not yet where it belongs, and what may leave this machine: few rows.
CREATE INDEX recording_segment_upload ON recording_segment (recording) WHERE to_upload = 1;
CREATE INDEX recording_segment_both ON recording_segment (stored_at_us)
    WHERE local = 1 AND stored_at_us IS NOT NULL;
CREATE INDEX recording_segment_erase ON recording_segment (recording)
    WHERE deleted_at_us IS NOT NULL AND (local = 1 OR stored_at_us IS NOT NULL);

-- Calls of an interaction by its name, which only those have that did not begin it.
CREATE INDEX call_record_interaction ON call_record (interaction) WHERE interaction IS NOT NULL;

-- Interactions of which nothing may be deleted, and those that were. Rows are never removed.
CREATE TABLE recording_hold (
    n            INTEGER NOT NULL PRIMARY KEY,
    interaction  TEXT    NOT NULL,
    tenant       TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    at_us        INTEGER NOT NULL,
    by           TEXT    NOT NULL,
    lifted_at_us INTEGER,
    lifted_by    TEXT
) STRICT;
CREATE UNIQUE INDEX recording_hold_one ON recording_hold (interaction) WHERE lifted_at_us IS NULL;

-- Who did what, in order. Rows are only ever added.
CREATE TABLE audit (
    n      INTEGER NOT NULL PRIMARY KEY,
    at_us  INTEGER NOT NULL,
    tenant TEXT    NOT NULL,
    by     TEXT    NOT NULL,
    action TEXT    NOT NULL,
    object TEXT    NOT NULL,
    detail TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_tenant ON audit (tenant, n);
CREATE INDEX audit_object ON audit (object, n);
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit trail is only added to');
END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit trail is only added to');
END;
