-- Masked rows, control totals, files that are held, the last accepted state of each key, and who looked behind a mask.

ALTER TABLE reject ADD COLUMN masked TEXT;
ALTER TABLE file ADD COLUMN controls TEXT NOT NULL DEFAULT '[]';
ALTER TABLE file ADD COLUMN released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1));

CREATE TABLE record_state (
    job     TEXT NOT NULL,
    key     TEXT NOT NULL,
    state   BLOB NOT NULL CHECK (length(state) = 32),
    present INTEGER NOT NULL CHECK (present IN (0, 1)),
    PRIMARY KEY (job, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_hold (
    job TEXT PRIMARY KEY,
    at  INTEGER NOT NULL,
    who TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    what   TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
