-- Operations belong to lists that dialects name and search by the merchant's reference.

ALTER TABLE operation ADD COLUMN family TEXT;
CREATE INDEX operation_family ON operation (merchant_id, mode, family, reference, id) WHERE family IS NOT NULL;
