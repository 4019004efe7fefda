-- The night: what was decided about each job's occurrences, why a firing never started, pauses, and what a person asked of a run.

CREATE TABLE job_clock (
    job             TEXT PRIMARY KEY,
    -- Every occurrence up to this instant was decided about.
    planned_through INTEGER NOT NULL,
    -- Expression, zone and the like that this holds for; with others nothing before now is an occurrence.
    timetable       TEXT NOT NULL
) STRICT;

CREATE TABLE job_pause (
    id    INTEGER PRIMARY KEY,
    job   TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER CHECK (until >= since),
    who   TEXT NOT NULL
) STRICT;
CREATE INDEX job_pause_of ON job_pause (job, until);

ALTER TABLE run ADD COLUMN skip_reason TEXT
    CHECK (skip_reason IN ('missed', 'overlap', 'holiday', 'paused') AND state = 'skipped' OR skip_reason IS NULL);
-- Set while a person wants a run of a living process to end; its holder looks.
ALTER TABLE run ADD COLUMN cancel_asked_by TEXT;

CREATE INDEX run_open ON run (state, job) WHERE state IN ('scheduled', 'waiting', 'running', 'failed');
