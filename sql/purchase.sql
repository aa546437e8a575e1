--
-- purchase: the purchases of queries, and who has them
--

-- Whoever changes a row of a purchase locks the purchase here, known or not,
-- before it is read: two sessions that write its rows at once cannot both miss
-- what the other one wrote.  Room for the version that names the member.
CREATE TABLE loyalty.purchase (
	source_id integer NOT NULL,
	source_key text COLLATE "C" NOT NULL,
	member_id bigint,
	CONSTRAINT purchase_pkey PRIMARY KEY (source_id, source_key)
) WITH (fillfactor = 60);
SELECT pg_catalog.pg_extension_config_dump('loyalty.purchase', '');
ALTER TABLE loyalty.purchase ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.purchase IS 'purchases of queries, and who has their entries; written only by the engine';
COMMENT ON COLUMN loyalty.purchase.source_id IS 'the source: a query';
COMMENT ON COLUMN loyalty.purchase.source_key IS 'key of the purchase';
COMMENT ON COLUMN loyalty.purchase.member_id IS 'the member who has its entries; NULL: nobody yet';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.purchase
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.purchase IS 'written only by the engine';
