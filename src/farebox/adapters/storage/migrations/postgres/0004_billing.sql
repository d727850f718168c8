-- Stored credentials by a name of the merchant's own, and subscriptions with what each period came to.

ALTER TABLE stored_token ADD COLUMN name TEXT;
ALTER TABLE stored_token ADD COLUMN shown_string TEXT;
CREATE UNIQUE INDEX stored_token_name ON stored_token (merchant_id, mode, name) WHERE name IS NOT NULL;

CREATE TABLE subscription (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  name TEXT NOT NULL,
  plan_id TEXT NOT NULL,
  token_id TEXT NOT NULL,
  agreement_id TEXT NOT NULL,
  dialect TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'completed', 'suspended', 'cancelled')),
  is_automatic BIGINT NOT NULL,
  currency TEXT NOT NULL,
  amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
  frequency TEXT NOT NULL,
  start_on TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  end_on TEXT,
  length BIGINT NOT NULL,
  skipped BIGINT NOT NULL,
  period BIGINT NOT NULL,
  paid BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  act_on TEXT,
  act_us BIGINT,
  facts TEXT NOT NULL,
  payment_facts TEXT NOT NULL,
  version BIGINT NOT NULL
);
CREATE INDEX subscription_owner ON subscription (merchant_id, mode, id);
CREATE UNIQUE INDEX subscription_name ON subscription (merchant_id, mode, name);
CREATE INDEX subscription_plan ON subscription (merchant_id, mode, plan_id);
CREATE INDEX subscription_due ON subscription (act_us) WHERE act_us IS NOT NULL AND is_automatic = 1;

-- The second guard against billing a period twice.
CREATE TABLE subscription_payment (
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  subscription_id TEXT NOT NULL,
  period BIGINT NOT NULL,
  payment_id TEXT NOT NULL,
  PRIMARY KEY (subscription_id, period)
);
