-- The audit trail becomes a chain: each entry holds the hash of itself and of the one before.

ALTER TABLE audit ADD COLUMN hash TEXT;
