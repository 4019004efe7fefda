-- The books. States repeat the enums of `domain`, and the laws are CHECKs: they hold in every committed state.

CREATE TABLE run (
    id              TEXT PRIMARY KEY,
    job             TEXT NOT NULL,
    business_date   TEXT NOT NULL,
    number          INTEGER NOT NULL CHECK (number >= 1),
    scheduled_for   INTEGER,
    "trigger"       TEXT NOT NULL CHECK ("trigger" IN ('schedule', 'manual', 'catch_up', 'backfill', 'webhook')),
    state           TEXT NOT NULL CHECK (state IN ('scheduled', 'waiting', 'running', 'done', 'done_with_rejects',
                                                   'break', 'held', 'failed', 'cancelled', 'skipped')),
    mapping_version TEXT,
    pinned          TEXT,
    started_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    error_code      TEXT,
    error_message   TEXT,
    error_hint      TEXT,
    owner           TEXT,
    lease           TEXT,
    lease_until     INTEGER,
    UNIQUE (job, business_date, number),
    UNIQUE (job, scheduled_for),
    CHECK ((mapping_version IS NULL) = (pinned IS NULL)),
    CHECK ((owner IS NULL) = (lease IS NULL) AND (lease IS NULL) = (lease_until IS NULL)),
    CHECK (state IN ('scheduled', 'waiting', 'running') OR finished_at IS NOT NULL)
) STRICT;

CREATE TABLE file (
    id              INTEGER PRIMARY KEY,
    run             TEXT NOT NULL REFERENCES run (id),
    job             TEXT NOT NULL,
    ordinal         INTEGER NOT NULL,
    folder          TEXT NOT NULL,
    name            BLOB NOT NULL,
    size            INTEGER NOT NULL CHECK (size >= 0),
    mtime           INTEGER,
    sha256          TEXT,
    pass            INTEGER NOT NULL DEFAULT 0 CHECK (pass >= 0),
    state           TEXT NOT NULL CHECK (state IN ('found', 'waiting', 'landed', 'mapped', 'held', 'delivering',
                                                   'settled', 'failed', 'passed_over')),
    reason          TEXT,
    bytes_preamble  INTEGER,
    bytes_header    INTEGER,
    bytes_rows      INTEGER,
    bytes_blank     INTEGER,
    bytes_trailer   INTEGER,
    rows_read       INTEGER NOT NULL DEFAULT 0,
    rows_skipped    INTEGER NOT NULL DEFAULT 0 CHECK (rows_skipped >= 0),
    rows_rejected   INTEGER NOT NULL DEFAULT 0 CHECK (rows_rejected >= 0),
    rows_used       INTEGER NOT NULL DEFAULT 0 CHECK (rows_used >= 0),
    made            INTEGER NOT NULL DEFAULT 0,
    accepted        INTEGER NOT NULL DEFAULT 0 CHECK (accepted >= 0),
    refused         INTEGER NOT NULL DEFAULT 0 CHECK (refused >= 0),
    unanswered      INTEGER NOT NULL DEFAULT 0 CHECK (unanswered >= 0),
    pending         INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
    batches         INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    disposed        INTEGER NOT NULL DEFAULT 0 CHECK (disposed IN (0, 1)),
    warnings        TEXT NOT NULL DEFAULT '[]',
    UNIQUE (run, ordinal),
    CONSTRAINT law_1 CHECK (rows_read = rows_skipped + rows_rejected + rows_used),
    CONSTRAINT law_2 CHECK (made = accepted + refused + unanswered + pending),
    CONSTRAINT law_3 CHECK (bytes_rows IS NULL
                            OR size = bytes_preamble + bytes_header + bytes_rows + bytes_blank + bytes_trailer),
    CHECK (sha256 IS NOT NULL OR state IN ('found', 'waiting', 'failed', 'passed_over')),
    CHECK (reason IS NOT NULL OR state NOT IN ('failed', 'passed_over')),
    CHECK (state <> 'settled' OR pending = 0)
) STRICT;
CREATE INDEX file_content ON file (job, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX file_place ON file (job, folder, name);

CREATE TABLE batch (
    id               INTEGER PRIMARY KEY,
    file             INTEGER NOT NULL REFERENCES file (id),
    ordinal          INTEGER NOT NULL,
    first_record     INTEGER NOT NULL,
    records          INTEGER NOT NULL CHECK (records >= 0),
    spool_offset     INTEGER NOT NULL,
    body_length      INTEGER NOT NULL,
    body_sha256      TEXT NOT NULL,
    key              TEXT NOT NULL UNIQUE,
    state            TEXT NOT NULL CHECK (state IN ('sealed', 'sending', 'unanswered', 'answered')),
    attempts         INTEGER NOT NULL DEFAULT 0,
    first_attempt_at INTEGER,
    not_before       INTEGER,
    accepted         INTEGER NOT NULL DEFAULT 0 CHECK (accepted >= 0),
    refused          INTEGER NOT NULL DEFAULT 0 CHECK (refused >= 0),
    unanswered       INTEGER NOT NULL DEFAULT 0 CHECK (unanswered >= 0),
    pending          INTEGER NOT NULL CHECK (pending >= 0),
    UNIQUE (file, ordinal),
    CONSTRAINT law_2 CHECK (records = accepted + refused + unanswered + pending),
    CHECK (state <> 'answered' OR pending = 0),
    CHECK (state <> 'sealed' OR pending = records),
    CHECK (state NOT IN ('sealed', 'sending', 'unanswered') OR accepted + refused = 0),
    CHECK ((attempts = 0) = (first_attempt_at IS NULL))
) STRICT;
CREATE INDEX batch_open ON batch (file, ordinal) WHERE state <> 'answered';

CREATE TABLE attempt (
    batch       INTEGER NOT NULL REFERENCES batch (id),
    number      INTEGER NOT NULL CHECK (number >= 1),
    lease       TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    status      INTEGER,
    outcome     TEXT NOT NULL CHECK (outcome IN ('open', 'answered', 'not_taken', 'unknown')),
    note        TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (batch, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_open ON attempt (batch) WHERE outcome = 'open';

CREATE TABLE reject (
    id      INTEGER PRIMARY KEY,
    file    INTEGER NOT NULL REFERENCES file (id),
    row     INTEGER,
    byte    INTEGER NOT NULL,
    "column" TEXT,
    code    TEXT NOT NULL,
    message TEXT NOT NULL,
    side    TEXT NOT NULL CHECK (side IN ('mapping', 'target')),
    state   TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'written_off')),
    raw     BLOB NOT NULL
) STRICT;
CREATE INDEX reject_file ON reject (file, row);

-- Pace belongs to a connection, not to a process: every process on this folder reads and writes these rows.
CREATE TABLE rate (
    connection    TEXT PRIMARY KEY,
    tat           INTEGER NOT NULL DEFAULT 0,
    blocked_until INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
