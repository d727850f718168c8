-- Who is told what happened, and what became of telling them.

-- Tenants that have, or had, somebody to tell. Everybody else's events never enter the queue.
CREATE TABLE webhook_audience (
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  PRIMARY KEY (merchant_id, mode)
);

-- Events that nobody has turned into deliveries yet. The trigger adds a row in the transaction of the event
-- itself, so that none is lost, whatever commits in whichever order.
CREATE TABLE event_queue (
  event_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  queued_at BIGINT NOT NULL
);
CREATE FUNCTION queue_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM webhook_audience WHERE merchant_id = NEW.merchant_id AND mode = NEW.mode) THEN
    INSERT INTO event_queue (event_id, queued_at) VALUES (NEW.id, NEW.created_at);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER event_is_queued AFTER INSERT ON event FOR EACH ROW EXECUTE FUNCTION queue_event();

CREATE TABLE webhook_endpoint (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  dialect TEXT NOT NULL,
  kind TEXT NOT NULL,
  url TEXT NOT NULL,
  event_types TEXT NOT NULL,
  is_one_off INTEGER NOT NULL CHECK (is_one_off IN (0, 1)),
  disabled TEXT CHECK (disabled IN ('merchant', 'gone', 'exhausted')),
  description TEXT,
  facts TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT,
  version BIGINT NOT NULL
);
CREATE INDEX webhook_endpoint_owner ON webhook_endpoint (merchant_id, mode, id)
  WHERE is_one_off = 0 AND deleted_at IS NULL;
CREATE INDEX webhook_one_off_age ON webhook_endpoint (created_at) WHERE is_one_off = 1;

-- What a one-off endpoint hears of.
CREATE TABLE webhook_subject (
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  object_id TEXT NOT NULL,
  endpoint_id TEXT NOT NULL REFERENCES webhook_endpoint (id) ON DELETE CASCADE,
  PRIMARY KEY (merchant_id, mode, object_id, endpoint_id)
);
CREATE INDEX webhook_subject_endpoint ON webhook_subject (endpoint_id);

CREATE TABLE signing_secret (
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  owner TEXT NOT NULL,
  number INTEGER NOT NULL,
  sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  PRIMARY KEY (merchant_id, mode, owner, number)
);

CREATE TABLE webhook_delivery (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  endpoint_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  sequence BIGINT NOT NULL,
  method TEXT NOT NULL,
  url TEXT NOT NULL,
  headers TEXT NOT NULL,
  body BYTEA NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
  created_at BIGINT NOT NULL,
  next_attempt_at BIGINT,
  attempts INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  claims INTEGER NOT NULL,
  last_result TEXT,
  last_status INTEGER,
  closed_at BIGINT,
  CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL))
);
-- An event is told to an endpoint in one delivery, however often somebody begins to.
CREATE UNIQUE INDEX webhook_delivery_once ON webhook_delivery (endpoint_id, event_id);
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_delivery_owner ON webhook_delivery (merchant_id, mode, id);
CREATE INDEX webhook_delivery_subject ON webhook_delivery (merchant_id, mode, subject_id, id);
CREATE INDEX webhook_delivery_age ON webhook_delivery (created_at);

CREATE TABLE webhook_attempt (
  delivery_id TEXT COLLATE "C" NOT NULL REFERENCES webhook_delivery (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  at BIGINT NOT NULL,
  duration_ms INTEGER NOT NULL,
  result TEXT NOT NULL,
  status INTEGER,
  answer TEXT NOT NULL,
  PRIMARY KEY (delivery_id, number)
);
