-- Wrapped files: `size` is what the laws are about, so of a file that came wrapped it is the size of what was in it, and
-- `wrapped_size` is the size as it came. When a run should be balanced at the latest.

ALTER TABLE file ADD COLUMN wrapped_size INTEGER CHECK (wrapped_size >= 0);
ALTER TABLE run ADD COLUMN expected_by INTEGER;
