-- The signalling of calls that are over, packed. Old rows are removed; losing one costs a look back.
-- `bytes` is the length of `trace`, before it in the row so that it is read without it.
CREATE TABLE sip_trace (
    call  TEXT    NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL,
    trace BLOB    NOT NULL
) STRICT;

-- One row: the bytes of all of them, so that nobody has to add them up.
CREATE TABLE sip_trace_total (
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO sip_trace_total (bytes) VALUES (0);

CREATE TRIGGER sip_trace_added AFTER INSERT ON sip_trace BEGIN
    UPDATE sip_trace_total SET bytes = bytes + new.bytes;
END;
CREATE TRIGGER sip_trace_removed AFTER DELETE ON sip_trace BEGIN
    UPDATE sip_trace_total SET bytes = bytes - old.bytes;
END;
