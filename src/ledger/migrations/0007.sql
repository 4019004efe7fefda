-- Measures: the sums of a file by measure and unit, in whole units of the slot's last decimal, and what each batch adds
-- to them. Law 2 holds for each in every committed state: triggers move an amount with the records it belongs to, and the
-- CHECKs see every step.

CREATE TABLE file_measure (
    file       INTEGER NOT NULL REFERENCES file (id),
    slot       INTEGER NOT NULL,
    measure    INTEGER NOT NULL,
    title      TEXT NOT NULL,
    unit       TEXT NOT NULL,
    counts     INTEGER NOT NULL CHECK (counts IN (0, 1)),
    scale      INTEGER NOT NULL CHECK (scale BETWEEN 0 AND 28),
    tolerance  TEXT NOT NULL,
    made       INTEGER NOT NULL,
    accepted   INTEGER NOT NULL DEFAULT 0,
    refused    INTEGER NOT NULL DEFAULT 0,
    unanswered INTEGER NOT NULL DEFAULT 0,
    pending    INTEGER NOT NULL,
    PRIMARY KEY (file, slot),
    CONSTRAINT law_2 CHECK (made = accepted + refused + unanswered + pending),
    CHECK (counts = 0 OR made = 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE batch_measure (
    batch      INTEGER NOT NULL REFERENCES batch (id),
    slot       INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    accepted   INTEGER NOT NULL DEFAULT 0,
    refused    INTEGER NOT NULL DEFAULT 0,
    unanswered INTEGER NOT NULL DEFAULT 0,
    pending    INTEGER NOT NULL,
    -- Of records that another batch carries now.
    moved      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (batch, slot),
    CONSTRAINT law_2 CHECK (amount = accepted + refused + unanswered + pending + moved)
) STRICT, WITHOUT ROWID;

-- A batch whose records all have one fate takes its amounts along. One with several fates is written by who knows them.
CREATE TRIGGER batch_moves_its_amounts AFTER UPDATE OF accepted, refused, unanswered, pending ON batch
WHEN NEW.records > 0 AND NEW.records IN (NEW.accepted, NEW.refused, NEW.unanswered, NEW.pending)
     AND (NEW.accepted <> OLD.accepted OR NEW.refused <> OLD.refused OR NEW.unanswered <> OLD.unanswered)
BEGIN
    UPDATE batch_measure
       SET accepted   = iif(NEW.accepted = NEW.records, amount, 0),
           refused    = iif(NEW.refused = NEW.records, amount, 0),
           unanswered = iif(NEW.unanswered = NEW.records, amount, 0),
           pending    = iif(NEW.pending = NEW.records, amount, 0),
           moved      = 0
     WHERE batch = NEW.id;
END;

-- What has moved is pending at the file until the batch that carries it now has an answer; inserting that batch changes nothing.
CREATE TRIGGER file_follows_its_amounts AFTER UPDATE ON batch_measure
BEGIN
    UPDATE file_measure
       SET accepted   = accepted + NEW.accepted - OLD.accepted,
           refused    = refused + NEW.refused - OLD.refused,
           unanswered = unanswered + NEW.unanswered - OLD.unanswered,
           pending    = pending + NEW.pending + NEW.moved - OLD.pending - OLD.moved
     WHERE file = (SELECT file FROM batch WHERE id = NEW.batch) AND slot = NEW.slot;
END;

-- Of a file that failed, or was given up, nothing became a record.
CREATE TRIGGER failed_files_measure_nothing AFTER UPDATE OF state ON file WHEN NEW.state = 'failed'
BEGIN
    DELETE FROM file_measure WHERE file = NEW.id;
END;
