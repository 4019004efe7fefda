-- The fate of each record of a batch, batches that carry the records of others, and rejects that are sent again or
-- written off. `batch` and `attempt` are rebuilt, because SQLite cannot change a CHECK.

CREATE TABLE batch_new (
    id               INTEGER PRIMARY KEY,
    file             INTEGER NOT NULL REFERENCES file (id),
    ordinal          INTEGER NOT NULL,
    first_record     INTEGER NOT NULL,
    records          INTEGER NOT NULL CHECK (records >= 0),
    spool_offset     INTEGER NOT NULL,
    body_length      INTEGER NOT NULL,
    body_sha256      TEXT NOT NULL,
    key              TEXT NOT NULL UNIQUE,
    state            TEXT NOT NULL CHECK (state IN ('sealed', 'sending', 'unanswered', 'answered', 'split')),
    attempts         INTEGER NOT NULL DEFAULT 0,
    first_attempt_at INTEGER,
    not_before       INTEGER,
    accepted         INTEGER NOT NULL DEFAULT 0 CHECK (accepted >= 0),
    refused          INTEGER NOT NULL DEFAULT 0 CHECK (refused >= 0),
    unanswered       INTEGER NOT NULL DEFAULT 0 CHECK (unanswered >= 0),
    pending          INTEGER NOT NULL CHECK (pending >= 0),
    -- Records that another batch carries now: halves of a split, or a resend.
    moved            INTEGER NOT NULL DEFAULT 0 CHECK (moved >= 0),
    -- One letter for each record (a, r, u, m), where they are not all the same.
    fates            TEXT CHECK (length(fates) = records),
    -- What the batch was made for; `file`: it lies in the payload spool of the file, otherwise in the second spool.
    origin           TEXT NOT NULL DEFAULT 'file' CHECK (origin IN ('file', 'split', 'resend', 'replay')),
    parent           INTEGER REFERENCES batch_new (id),
    -- Counts the resends of a parent, so that each has keys of its own.
    resend           INTEGER NOT NULL DEFAULT 0 CHECK (resend >= 0),
    UNIQUE (file, ordinal),
    CONSTRAINT law_2 CHECK (records = accepted + refused + unanswered + pending + moved),
    CHECK (state NOT IN ('answered', 'split') OR pending = 0),
    CHECK (state <> 'sealed' OR pending = records),
    CHECK (state NOT IN ('sealed', 'sending', 'unanswered') OR accepted + refused + moved = 0),
    CHECK (state <> 'split' OR moved > 0),
    CHECK ((attempts = 0) = (first_attempt_at IS NULL)),
    CHECK ((parent IS NULL) = (origin IN ('file', 'replay')))
) STRICT;
INSERT INTO batch_new (id, file, ordinal, first_record, records, spool_offset, body_length, body_sha256, key, state, attempts,
                       first_attempt_at, not_before, accepted, refused, unanswered, pending)
SELECT id, file, ordinal, first_record, records, spool_offset, body_length, body_sha256, key, state, attempts,
       first_attempt_at, not_before, accepted, refused, unanswered, pending FROM batch;

CREATE TABLE attempt_new (
    batch       INTEGER NOT NULL REFERENCES batch_new (id),
    number      INTEGER NOT NULL CHECK (number >= 1),
    lease       TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    status      INTEGER,
    outcome     TEXT NOT NULL CHECK (outcome IN ('open', 'answered', 'not_taken', 'unknown')),
    note        TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (batch, number)
) STRICT, WITHOUT ROWID;
INSERT INTO attempt_new SELECT batch, number, lease, started_at, finished_at, status, outcome, note FROM attempt;
DROP TABLE attempt;
DROP TABLE batch;
ALTER TABLE batch_new RENAME TO batch;
ALTER TABLE attempt_new RENAME TO attempt;
CREATE INDEX batch_open ON batch (file, ordinal) WHERE state NOT IN ('answered', 'split');
CREATE INDEX batch_parent ON batch (parent) WHERE parent IS NOT NULL;
CREATE INDEX attempt_open ON attempt (batch) WHERE outcome = 'open';

-- What the target calls each record of a batch, front-coded in the order of the batch.
CREATE TABLE batch_reference (
    batch INTEGER PRIMARY KEY REFERENCES batch (id),
    list  BLOB NOT NULL
) STRICT;

CREATE TABLE write_off (
    id        INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    who       TEXT NOT NULL,
    reason    TEXT NOT NULL,
    note      TEXT NOT NULL,
    undone_at INTEGER,
    undone_by TEXT,
    CHECK ((undone_at IS NULL) = (undone_by IS NULL))
) STRICT;

-- Where a record was refused.
ALTER TABLE reject ADD COLUMN batch INTEGER REFERENCES batch (id);
ALTER TABLE reject ADD COLUMN position INTEGER CHECK ((position IS NULL) = (batch IS NULL));
-- Which batch carries the row again; the reject stays open until the target has answered for it.
ALTER TABLE reject ADD COLUMN carrier INTEGER REFERENCES batch (id);
ALTER TABLE reject ADD COLUMN carrier_position INTEGER CHECK ((carrier_position IS NULL) = (carrier IS NULL));
ALTER TABLE reject ADD COLUMN write_off INTEGER REFERENCES write_off (id)
    CHECK ((write_off IS NULL) = (state <> 'written_off'));
CREATE INDEX reject_carrier ON reject (carrier, carrier_position) WHERE carrier IS NOT NULL;
CREATE INDEX reject_batch ON reject (batch, position) WHERE batch IS NOT NULL;
