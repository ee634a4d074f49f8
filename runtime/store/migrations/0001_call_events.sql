-- "JFLD": marks the file as ours, so that another program's database is refused, not migrated.
PRAGMA application_id = 1246121028;

-- What happened, in order; the truth. Rows are only ever added.
-- `call` is the 26-character text of a call id, which sorts by time; `n` counts from 1 within it.
-- `payload` is JSON with a version field `v`.
CREATE TABLE call_event (
    call    TEXT    NOT NULL,
    n       INTEGER NOT NULL,
    tenant  TEXT    NOT NULL,
    at_us   INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    payload TEXT    NOT NULL,
    PRIMARY KEY (call, n)
) STRICT, WITHOUT ROWID;

-- One row per call, folded from its events; can be rebuilt from them at any time.
-- `projection` is the version of the folding that wrote the row.
CREATE TABLE call_record (
    call           TEXT    NOT NULL PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    direction      TEXT    NOT NULL,
    from_party     TEXT    NOT NULL,
    to_number      TEXT    NOT NULL,
    user           TEXT,
    sip_call_id    TEXT    NOT NULL,
    started_at_us  INTEGER NOT NULL,
    answered_at_us INTEGER,
    ended_at_us    INTEGER,
    disposition    TEXT    NOT NULL,
    cause          TEXT,
    ended_by       TEXT,
    plugin         TEXT,
    plugin_version TEXT,
    outcome        TEXT,
    fault          TEXT,
    recording      TEXT,
    messages       TEXT    NOT NULL,
    events         INTEGER NOT NULL,
    projection     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A tenant's calls, newest first.
CREATE INDEX call_record_tenant ON call_record (tenant, call);

-- Calls still going on; after a crash, the interrupted ones. A few rows, however long the history.
CREATE INDEX call_record_open ON call_record (call) WHERE ended_at_us IS NULL;
