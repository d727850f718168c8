-- Checkout sessions. What is asked of the buyer (terms) and what happened (history) are JSON. A session's payment
-- changes only where an attempt begins, so that one session never has two payments.

CREATE TABLE checkout_session (
  id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  dialect TEXT NOT NULL,
  state TEXT NOT NULL CHECK (
    state IN ('open', 'locked', 'paying', 'completed', 'failed', 'cancelled', 'expired')
  ),
  kind TEXT NOT NULL,
  terms TEXT NOT NULL,
  reference TEXT,
  customer_id TEXT,
  stored_token_id TEXT,
  metadata TEXT NOT NULL,
  facts TEXT NOT NULL,
  payment_facts TEXT NOT NULL,
  attributes TEXT NOT NULL,
  payment_id TEXT,
  attempts INTEGER NOT NULL,
  lock_id TEXT,
  ended_by TEXT,
  history TEXT NOT NULL,
  sealed_saved BLOB,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  CONSTRAINT paid_session_has_payment CHECK (state NOT IN ('paying', 'completed') OR payment_id IS NOT NULL)
) STRICT;
CREATE INDEX checkout_session_owner ON checkout_session (merchant_id, mode, id);
CREATE INDEX checkout_session_reference ON checkout_session (merchant_id, mode, reference, id)
  WHERE reference IS NOT NULL;
CREATE INDEX checkout_session_due ON checkout_session (expires_at) WHERE state IN ('open', 'locked');
CREATE INDEX checkout_session_paying ON checkout_session (payment_id) WHERE state = 'paying';
CREATE UNIQUE INDEX checkout_session_payment ON checkout_session (payment_id) WHERE payment_id IS NOT NULL;

CREATE TRIGGER checkout_session_moves BEFORE UPDATE OF state ON checkout_session
WHEN NEW.state <> OLD.state AND NOT (
  (OLD.state = 'open' AND NEW.state IN ('locked', 'paying', 'cancelled', 'expired'))
  OR (OLD.state = 'locked' AND NEW.state IN ('open', 'cancelled', 'expired'))
  OR (OLD.state = 'paying' AND NEW.state IN ('open', 'completed', 'failed'))
  OR (OLD.state = 'completed' AND NEW.state = 'cancelled')
)
BEGIN SELECT RAISE(ABORT, 'checkout_session_moves'); END;

CREATE TRIGGER checkout_session_pays_once BEFORE UPDATE OF payment_id ON checkout_session
WHEN NEW.payment_id IS NOT OLD.payment_id AND NOT (OLD.state = 'open' AND NEW.state = 'paying')
BEGIN SELECT RAISE(ABORT, 'checkout_session_pays_once'); END;
