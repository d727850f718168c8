-- What dialects keep: facts that go back to the caller as they came (JSON, never card data), things of
-- their own beside payments, and bearer sessions that end by themselves.

ALTER TABLE payment ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
ALTER TABLE operation ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
ALTER TABLE single_use_token ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
ALTER TABLE stored_token ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
ALTER TABLE customer ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';

CREATE TABLE document (
  id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  parent_id TEXT,
  name TEXT,
  facts TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER,
  version INTEGER NOT NULL
) STRICT;
CREATE INDEX document_owner ON document (merchant_id, mode, kind, id);
CREATE INDEX document_parent ON document (merchant_id, mode, kind, parent_id, id) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX document_name ON document (merchant_id, mode, kind, name) WHERE name IS NOT NULL;

CREATE TABLE access_session (
  mac BLOB NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL REFERENCES merchant (id),
  mode TEXT NOT NULL,
  key_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('access_token', 'visitor')),
  dialect TEXT NOT NULL,
  scopes TEXT NOT NULL,
  attributes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX access_session_end ON access_session (expires_at);

-- A merchant's reference that may not be used again before an instant.
CREATE TABLE reference_use (
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  scope TEXT NOT NULL,
  reference TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, mode, scope, reference)
) STRICT;
CREATE INDEX reference_use_end ON reference_use (until);
