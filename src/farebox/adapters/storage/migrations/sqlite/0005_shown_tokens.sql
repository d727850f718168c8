-- Stored tokens whose string a dialect shows again: the string, sealed under the record key of its row and
-- erased with it; whose payment stored the token, the merchant's own name of its customer, and its end.

ALTER TABLE stored_token ADD COLUMN string BLOB
  CONSTRAINT deleted_token_has_no_string CHECK (string IS NULL OR state = 'active');
ALTER TABLE stored_token ADD COLUMN payment_id TEXT;
ALTER TABLE stored_token ADD COLUMN customer_reference TEXT;
ALTER TABLE stored_token ADD COLUMN deleted_at INTEGER;
CREATE INDEX stored_token_payment ON stored_token (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX stored_token_customer_reference ON stored_token (merchant_id, mode, customer_reference, id)
  WHERE customer_reference IS NOT NULL;

-- How often a card was declined without its customer present is counted by its digest.
CREATE INDEX payment_stored_token ON payment (stored_token_id, id) WHERE stored_token_id IS NOT NULL;
