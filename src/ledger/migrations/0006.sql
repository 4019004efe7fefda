-- The number in the name of a file, for sequences without gaps.

ALTER TABLE file ADD COLUMN sequence INTEGER CHECK (sequence >= 0);
CREATE INDEX file_sequence ON file (job, sequence) WHERE sequence IS NOT NULL;
