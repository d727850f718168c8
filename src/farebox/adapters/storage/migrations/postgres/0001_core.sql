-- The first schema, the same as SQLite's by meaning; a test compares the two.
-- Times are microseconds since 1970, documents are JSON text, digests and ciphertexts are BYTEA.
-- The checks, the partial unique indexes and the triggers are the second guard: they refuse a double
-- spend or an impossible amount even when the code above them is wrong.

-- Real time, also within a transaction: now() would stand still while a lock is waited for.
CREATE FUNCTION farebox_now() RETURNS BIGINT LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT $$;

CREATE TABLE merchant (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  clock_offset_us BIGINT NOT NULL DEFAULT 0,
  CONSTRAINT live_clock_is_real CHECK (mode = 'test' OR clock_offset_us = 0)
);

CREATE TABLE merchant_account (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL REFERENCES merchant (id),
  mode TEXT NOT NULL,
  processor TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  currencies TEXT NOT NULL,
  names TEXT NOT NULL
);
CREATE INDEX merchant_account_owner ON merchant_account (merchant_id, mode);

CREATE TABLE api_key (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL REFERENCES merchant (id),
  mode TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('secret', 'publishable')),
  dialect TEXT NOT NULL,
  key_mac BYTEA NOT NULL,
  scopes TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  label TEXT NOT NULL,
  attributes TEXT NOT NULL,
  revoked_at BIGINT
);
CREATE UNIQUE INDEX api_key_mac ON api_key (key_mac);
CREATE INDEX api_key_owner ON api_key (merchant_id);

CREATE TABLE vault_key (
  key_id BYTEA NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  merchant_id TEXT,
  mode TEXT,
  epoch BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'opening', 'destroyed')),
  created_at BIGINT NOT NULL,
  retires_at BIGINT NOT NULL,
  wrapped_by TEXT NOT NULL,
  wrapped BYTEA NOT NULL,
  mac BYTEA NOT NULL,
  CONSTRAINT destroyed_key_is_empty CHECK (state <> 'destroyed' OR length(wrapped) = 0)
);

CREATE TABLE customer (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  reference TEXT,
  name TEXT,
  email TEXT,
  phone TEXT,
  metadata TEXT NOT NULL,
  deleted_at BIGINT,
  version BIGINT NOT NULL
);
CREATE INDEX customer_owner ON customer (merchant_id, mode, id);

CREATE TABLE agreement (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'ended')),
  reason TEXT NOT NULL,
  consented_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  customer_id TEXT,
  network_transaction_id TEXT,
  reference TEXT,
  description TEXT,
  metadata TEXT NOT NULL,
  version BIGINT NOT NULL
);
CREATE INDEX agreement_owner ON agreement (merchant_id, mode, id);

CREATE TABLE single_use_token (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  token_mac BYTEA NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('minted', 'reserved', 'spent', 'expired', 'revoked')),
  summary TEXT NOT NULL,
  fingerprint BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  dialect TEXT NOT NULL,
  bucket_minute BIGINT NOT NULL,
  payload BYTEA,
  details BYTEA,
  cvc BYTEA,
  operation_id TEXT,
  cvc_operation_id TEXT,
  verifications BIGINT NOT NULL DEFAULT 0,
  customer_id TEXT,
  metadata TEXT NOT NULL,
  CONSTRAINT ended_token_is_empty CHECK (
    state IN ('minted', 'reserved') OR (payload IS NULL AND details IS NULL AND cvc IS NULL)
  )
);
CREATE UNIQUE INDEX single_use_token_mac ON single_use_token (token_mac);
CREATE INDEX single_use_token_due ON single_use_token (expires_at) WHERE state = 'minted';

CREATE TABLE stored_token (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('payment_token', 'recurrence_token')),
  token_mac BYTEA NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'deleted')),
  summary TEXT NOT NULL,
  fingerprint BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  dialect TEXT NOT NULL,
  key_id BYTEA,
  wrapped_key BYTEA,
  payload BYTEA,
  details BYTEA,
  customer_id TEXT,
  agreement_id TEXT,
  network_transaction_id TEXT,
  label TEXT,
  metadata TEXT NOT NULL,
  version BIGINT NOT NULL,
  CONSTRAINT deleted_token_is_empty CHECK (
    state = 'active' OR (wrapped_key IS NULL AND payload IS NULL AND details IS NULL)
  )
);
CREATE UNIQUE INDEX stored_token_mac ON stored_token (token_mac);
CREATE INDEX stored_token_owner ON stored_token (merchant_id, mode, id);
CREATE INDEX stored_token_fingerprint ON stored_token (merchant_id, mode, fingerprint);
CREATE INDEX stored_token_customer ON stored_token (merchant_id, mode, customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX stored_token_key ON stored_token (key_id) WHERE key_id IS NOT NULL;

CREATE TABLE payment (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  status TEXT NOT NULL,
  amount_minor BIGINT NOT NULL,
  currency TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  summary TEXT NOT NULL,
  dialect TEXT NOT NULL,
  processor TEXT NOT NULL,
  authorized_minor BIGINT NOT NULL,
  captured_minor BIGINT NOT NULL,
  refunded_minor BIGINT NOT NULL,
  voided_minor BIGINT NOT NULL,
  capturing_minor BIGINT NOT NULL,
  refunding_minor BIGINT NOT NULL,
  voiding_minor BIGINT NOT NULL,
  single_use_token_id TEXT,
  stored_token_id TEXT,
  saved_token_id TEXT,
  customer_id TEXT,
  agreement_id TEXT,
  initiator TEXT NOT NULL,
  reason TEXT,
  reference TEXT,
  metadata TEXT NOT NULL,
  avs TEXT NOT NULL,
  cvc_check TEXT NOT NULL,
  decline TEXT,
  authorization_code TEXT,
  network_transaction_id TEXT,
  version BIGINT NOT NULL,
  CONSTRAINT amounts_are_not_negative CHECK (
    amount_minor >= 0 AND authorized_minor >= 0 AND captured_minor >= 0 AND refunded_minor >= 0
    AND voided_minor >= 0 AND capturing_minor >= 0 AND refunding_minor >= 0 AND voiding_minor >= 0
  ),
  CONSTRAINT captures_stay_within_authorized CHECK (
    captured_minor + capturing_minor + voided_minor + voiding_minor <= authorized_minor
  ),
  CONSTRAINT refunds_stay_within_captured CHECK (refunded_minor + refunding_minor <= captured_minor)
);
CREATE INDEX payment_owner ON payment (merchant_id, mode, id);
CREATE INDEX payment_reference ON payment (merchant_id, mode, reference, id) WHERE reference IS NOT NULL;

CREATE TABLE operation (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
  currency TEXT NOT NULL,
  state TEXT NOT NULL CHECK (
    state IN ('submitted', 'pending', 'approved', 'declined', 'failed', 'in_doubt', 'reversed')
  ),
  created_at BIGINT NOT NULL,
  send_by BIGINT NOT NULL,
  processor TEXT NOT NULL,
  processor_reference TEXT NOT NULL,
  token_id TEXT,
  consumes_token BIGINT NOT NULL,
  stored_token_id TEXT,
  target_id TEXT,
  target_kind TEXT,
  initiator TEXT NOT NULL,
  reason TEXT,
  processor_id TEXT,
  approved_minor BIGINT NOT NULL,
  authorization_code TEXT,
  avs TEXT NOT NULL,
  cvc_check TEXT NOT NULL,
  decline TEXT,
  network_transaction_id TEXT,
  reference TEXT,
  settled_at BIGINT,
  closed_at BIGINT,
  envelope BYTEA,
  envelope_day BIGINT,
  attempts BIGINT NOT NULL,
  next_attempt_at BIGINT,
  reversing BIGINT NOT NULL
);
CREATE INDEX operation_payment ON operation (payment_id, id);
CREATE INDEX operation_due ON operation (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX operation_unsettled ON operation (processor_reference) WHERE state = 'approved' AND settled_at IS NULL;
CREATE UNIQUE INDEX one_live_operation ON operation (token_id) WHERE consumes_token = 1 AND state <> 'failed';
CREATE UNIQUE INDEX one_processor_reference ON operation (processor, processor_reference) WHERE state <> 'failed';
CREATE UNIQUE INDEX one_live_void ON operation (target_id)
  WHERE kind = 'void' AND target_kind IN ('capture', 'refund')
  AND state NOT IN ('failed', 'declined', 'reversed');

CREATE TABLE idempotency (
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  kind TEXT NOT NULL,
  key_mac BYTEA NOT NULL,
  fingerprint BYTEA NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'finished')),
  created_at BIGINT NOT NULL,
  operation_id TEXT,
  answer BYTEA,
  bucket_minute BIGINT,
  PRIMARY KEY (merchant_id, mode, kind, key_mac)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE event (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  type TEXT NOT NULL,
  object_id TEXT NOT NULL,
  sequence BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  data TEXT NOT NULL
);

CREATE TABLE audit (
  chain TEXT NOT NULL,
  position BIGINT NOT NULL,
  action TEXT NOT NULL,
  at BIGINT NOT NULL,
  merchant_id TEXT,
  actor TEXT NOT NULL,
  object_id TEXT NOT NULL,
  why TEXT NOT NULL,
  request_id TEXT NOT NULL,
  mac BYTEA NOT NULL,
  PRIMARY KEY (chain, position)
);

CREATE TABLE card_shape (
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  day BIGINT NOT NULL,
  shape TEXT NOT NULL,
  fingerprint BYTEA NOT NULL,
  PRIMARY KEY (merchant_id, mode, day, shape, fingerprint)
);

CREATE FUNCTION single_use_token_moves() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'single_use_token_moves',
  MESSAGE = 'single_use_token_moves'; END $$;
CREATE TRIGGER single_use_token_moves BEFORE UPDATE OF state ON single_use_token FOR EACH ROW WHEN (
  NEW.state <> OLD.state AND NOT (
    (OLD.state = 'minted' AND NEW.state IN ('reserved', 'revoked', 'expired'))
    OR (OLD.state = 'reserved' AND NEW.state IN ('minted', 'spent', 'expired'))
  )
) EXECUTE FUNCTION single_use_token_moves();

CREATE FUNCTION operation_moves() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operation_moves',
  MESSAGE = 'operation_moves'; END $$;
CREATE TRIGGER operation_moves BEFORE UPDATE OF state ON operation FOR EACH ROW WHEN (
  NEW.state <> OLD.state AND NOT (
    (OLD.state = 'submitted' AND NEW.state IN ('approved', 'declined', 'pending', 'failed', 'in_doubt'))
    OR (OLD.state = 'pending' AND NEW.state IN ('approved', 'declined'))
    OR (OLD.state = 'in_doubt' AND NEW.state IN ('approved', 'declined', 'pending', 'reversed'))
  )
) EXECUTE FUNCTION operation_moves();

CREATE FUNCTION event_is_final() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'event_is_final',
  MESSAGE = 'event_is_final'; END $$;
CREATE TRIGGER event_is_final BEFORE UPDATE ON event FOR EACH ROW EXECUTE FUNCTION event_is_final();

CREATE FUNCTION audit_is_final() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'audit_is_final',
  MESSAGE = 'audit_is_final'; END $$;
CREATE TRIGGER audit_is_final BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_final();

CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'audit_is_kept',
  MESSAGE = 'audit_is_kept'; END $$;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_kept();
