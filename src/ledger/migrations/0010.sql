-- What is sent, and where to, when it is made of the sealed body (another format, a path with fields of the record).
ALTER TABLE batch ADD COLUMN request_sha256 TEXT;
