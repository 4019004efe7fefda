-- A target that fails is only probed; and the seats of a connection are shared by every process on this folder.

ALTER TABLE rate ADD COLUMN failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0);
ALTER TABLE rate ADD COLUMN next_probe INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rate ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;

CREATE TABLE seat (
    connection  TEXT NOT NULL,
    lease       TEXT NOT NULL,
    owner       TEXT NOT NULL,
    taken       INTEGER NOT NULL CHECK (taken >= 0),
    wants_until INTEGER NOT NULL DEFAULT 0,
    served_at   INTEGER NOT NULL,
    PRIMARY KEY (connection, lease)
) STRICT, WITHOUT ROWID;
