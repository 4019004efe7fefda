-- Differences that a person explains, who has signed what off, and views for people who ask the database themselves.

CREATE TABLE difference (
    id            INTEGER PRIMARY KEY,
    run           TEXT NOT NULL REFERENCES run (id),
    file          INTEGER REFERENCES file (id),
    job           TEXT NOT NULL,
    business_date TEXT NOT NULL,
    type          TEXT NOT NULL CHECK (type IN ('control_total', 'sequence_gap', 'repeated_file', 'refused_by_target',
                                                'unanswered', 'missing_at_target', 'extra_at_target', 'amount_differs')),
    subject       TEXT NOT NULL,
    expected      TEXT NOT NULL,
    found         TEXT NOT NULL,
    records       INTEGER NOT NULL CHECK (records >= 0),
    -- [[title, unit, amount], …]
    amounts       TEXT NOT NULL DEFAULT '[]',
    opened_at     INTEGER NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('open', 'explained', 'resolved', 'signed_off')),
    reason        TEXT,
    note          TEXT,
    explained_by  TEXT,
    explained_at  INTEGER,
    resolved_by   TEXT,
    resolved_at   INTEGER,
    CHECK ((reason IS NULL) = (explained_by IS NULL) AND (explained_by IS NULL) = (explained_at IS NULL)),
    CHECK (state <> 'explained' OR reason IS NOT NULL),
    CHECK ((state IN ('resolved', 'signed_off')) = (resolved_at IS NOT NULL)),
    CHECK ((resolved_by IS NULL) = (resolved_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX difference_subject ON difference (run, coalesce(file, 0), type, subject);
CREATE INDEX difference_current ON difference (job, opened_at) WHERE state IN ('open', 'explained');
CREATE INDEX difference_job ON difference (job, business_date);

CREATE TABLE sign_off (
    id          INTEGER PRIMARY KEY,
    run         TEXT NOT NULL REFERENCES run (id),
    at          INTEGER NOT NULL,
    who         TEXT NOT NULL,
    role        TEXT NOT NULL CHECK (role IN ('signed', 'prepared', 'reviewed')),
    note        TEXT NOT NULL,
    -- What the books said then: records made, accepted, refused, unanswered, pending; explained differences.
    said        TEXT NOT NULL,
    reopened_at INTEGER
) STRICT;
CREATE INDEX sign_off_run ON sign_off (run);

-- Whatever changes the books of a signed run re-opens it, whoever does it.
CREATE TRIGGER a_change_reopens_the_run AFTER UPDATE OF made, accepted, refused, unanswered, pending ON file
WHEN NEW.made <> OLD.made OR NEW.accepted <> OLD.accepted OR NEW.refused <> OLD.refused
     OR NEW.unanswered <> OLD.unanswered OR NEW.pending <> OLD.pending
BEGIN
    UPDATE sign_off SET reopened_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
     WHERE run = NEW.run AND reopened_at IS NULL;
END;

-- A job's runs, newest first, without looking at all of them.
CREATE INDEX run_started ON run (started_at);
CREATE INDEX run_job_started ON run (job, started_at);
CREATE INDEX run_date ON run (business_date);
CREATE INDEX run_held ON run (job) WHERE owner IS NOT NULL;

-- The views keep their columns; later versions only add some at the end.
CREATE VIEW v_runs AS
SELECT r.id AS run, r.job, r.business_date, r.number, r."trigger", r.state,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.started_at / 1000, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.finished_at / 1000, 'unixepoch') AS finished_at,
       count(f.id) AS files, coalesce(sum(f.rows_read), 0) AS rows_read, coalesce(sum(f.rows_skipped), 0) AS rows_skipped,
       coalesce(sum(f.rows_rejected), 0) AS rows_rejected, coalesce(sum(f.rows_used), 0) AS rows_used,
       coalesce(sum(f.made), 0) AS made, coalesce(sum(f.accepted), 0) AS accepted, coalesce(sum(f.refused), 0) AS refused,
       coalesce(sum(f.unanswered), 0) AS unanswered, coalesce(sum(f.pending), 0) AS pending, r.error_code
  FROM run r LEFT JOIN file f ON f.run = r.id AND f.state <> 'passed_over' GROUP BY r.id;

CREATE VIEW v_files AS
SELECT f.id AS file, f.run, f.job, f.ordinal, f.folder, CAST(f.name AS TEXT) AS name, f.size, f.sha256, f.pass, f.state, f.reason,
       f.rows_read, f.rows_skipped, f.rows_rejected, f.rows_used, f.made, f.accepted, f.refused, f.unanswered, f.pending,
       f.batches, f.attempts
  FROM file f;

CREATE VIEW v_records AS
SELECT f.run, f.job, f.id AS file, b.ordinal AS batch, b.first_record, b.records, b.key, b.state, b.accepted, b.refused,
       b.unanswered, b.pending, b.attempts
  FROM batch b JOIN file f ON f.id = b.file;

CREATE VIEW v_breaks AS
SELECT d.id AS break, d.run, d.job, d.business_date, d.type, d.subject, d.expected, d.found, d.records, d.amounts, d.state,
       strftime('%Y-%m-%dT%H:%M:%SZ', d.opened_at / 1000, 'unixepoch') AS opened_at, d.reason, d.note, d.explained_by,
       d.resolved_by, strftime('%Y-%m-%dT%H:%M:%SZ', d.resolved_at / 1000, 'unixepoch') AS resolved_at
  FROM difference d;

CREATE VIEW v_sla AS
SELECT r.id AS run, r.job, r.business_date, r.state,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.scheduled_for / 1000, 'unixepoch') AS scheduled_for,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.started_at / 1000, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.finished_at / 1000, 'unixepoch') AS finished_at,
       (r.finished_at - r.started_at) / 1000.0 AS seconds,
       (SELECT strftime('%Y-%m-%dT%H:%M:%SZ', max(s.at) / 1000, 'unixepoch') FROM sign_off s
         WHERE s.run = r.id AND s.reopened_at IS NULL AND s.role <> 'prepared') AS signed_off_at
  FROM run r;
