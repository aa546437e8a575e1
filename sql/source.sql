--
-- source: where purchases come from
--

CREATE TABLE loyalty.source (
	source_id integer GENERATED ALWAYS AS IDENTITY
		CONSTRAINT source_pkey PRIMARY KEY
		CONSTRAINT source_source_id_check CHECK (source_id > 0),
	program text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL,
	relation regclass,
	member text,
	amount text,
	at text,
	key text,
	counts text,
	item text,
	category text,
	quantity text,
	channel text,
	store text,
	currency text,
	data text,
	query text,
	watch text[],
	tables regclass[],
	key_type text,
	owner text,
	on_delete text NOT NULL DEFAULT 'reverse'
		CONSTRAINT source_on_delete_check CHECK (on_delete IN ('reverse', 'keep')),
	on_error text NOT NULL DEFAULT 'defer'
		CONSTRAINT source_on_error_check CHECK (on_error IN ('defer', 'fail')),
	attached boolean NOT NULL DEFAULT true,
	attached_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	backfilled_rows bigint NOT NULL DEFAULT 0,
	backfilled_at timestamptz,
	backfilled_key text,
	backfill_finished_at timestamptz,
	CONSTRAINT source_kind_check CHECK (
		CASE WHEN query IS NULL
			THEN num_nulls(relation, member, amount, key) = 0 AND num_nonnulls(watch, tables, key_type, owner) = 0
			ELSE num_nulls(watch, tables, key_type, owner) = 0
				AND num_nonnulls(relation, member, amount, at, key, counts, item, category, quantity,
								 channel, store, currency, data) = 0 END)
);
-- Tables of one name may stand in several schemas.
CREATE UNIQUE INDEX source_query_name ON loyalty.source (program, name) WHERE attached AND query IS NOT NULL;
SELECT pg_catalog.pg_extension_config_dump('loyalty.source', '');
ALTER TABLE loyalty.source ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('loyalty.source_source_id_seq', '');
COMMENT ON SEQUENCE loyalty.source_source_id_seq IS 'numbers for source.source_id';

COMMENT ON TABLE loyalty.source IS 'tables and queries that give purchases, and how to read them; written by attach, attach_query, detach and backfill';
COMMENT ON COLUMN loyalty.source.source_id IS 'number of the source; entries name it';
COMMENT ON COLUMN loyalty.source.program IS 'name of the program that it feeds';
COMMENT ON COLUMN loyalty.source.name IS 'name of the source: the table''s, or that given to attach_query';
COMMENT ON COLUMN loyalty.source.relation IS 'the table; - once it is dropped; NULL: a query';
COMMENT ON COLUMN loyalty.source.member IS 'expression over a row: the shop''s customer id; NULL: a guest';
COMMENT ON COLUMN loyalty.source.amount IS 'expression: what the purchase is worth, negative for a refund; NULL: it does not count yet';
COMMENT ON COLUMN loyalty.source.at IS 'expression: when it took place; none or NULL: the time of the transaction';
COMMENT ON COLUMN loyalty.source.key IS 'expressions that tell purchases apart; NULL: a query, which has them in its column "key"';
COMMENT ON COLUMN loyalty.source.counts IS 'expression: whether it earns as it stands; none: always';
COMMENT ON COLUMN loyalty.source.item IS 'expression: what was bought';
COMMENT ON COLUMN loyalty.source.category IS 'expression: kind of what was bought';
COMMENT ON COLUMN loyalty.source.quantity IS 'expression: how many; none: one';
COMMENT ON COLUMN loyalty.source.channel IS 'expression: sales channel';
COMMENT ON COLUMN loyalty.source.store IS 'expression: shop';
COMMENT ON COLUMN loyalty.source.currency IS 'expression: currency of the amount';
COMMENT ON COLUMN loyalty.source.data IS 'expression: anything else, as jsonb';
COMMENT ON COLUMN loyalty.source.query IS 'the query whose rows are lines of purchases, everything named in full; NULL: a table';
COMMENT ON COLUMN loyalty.source.watch IS 'the tables that it watches, each with the column that holds the key, as they were called when it was attached';
COMMENT ON COLUMN loyalty.source.tables IS 'the same tables as they are called now; - once one is dropped';
COMMENT ON COLUMN loyalty.source.key_type IS 'type of the key that the query gives';
COMMENT ON COLUMN loyalty.source.owner IS 'name of the role with whose rights the query runs: who attached it';
COMMENT ON COLUMN loyalty.source.on_delete IS 'reverse: a deleted row takes its points back; keep: they stay';
COMMENT ON COLUMN loyalty.source.on_error IS 'defer: a purchase that fails to earn is put aside, the order stands; fail: the order fails';
COMMENT ON COLUMN loyalty.source.attached IS 'false once it is detached';
COMMENT ON COLUMN loyalty.source.attached_at IS 'when it was attached; older rows are left to backfill';
COMMENT ON COLUMN loyalty.source.backfilled_rows IS 'rows that backfill has been through';
COMMENT ON COLUMN loyalty.source.backfilled_at IS 'time of the last purchase that backfill has been through';
COMMENT ON COLUMN loyalty.source.backfilled_key IS 'its key';
COMMENT ON COLUMN loyalty.source.backfill_finished_at IS 'when backfill had been through all rows';

-- Not on the progress of a backfill, which every batch writes.
CREATE TRIGGER changed AFTER INSERT OR DELETE OR UPDATE OF source_id, program, name, relation,
		member, amount, at, key, counts, item, category, quantity, channel, store, currency, data,
		query, watch, tables, key_type, owner, on_delete, on_error, attached ON loyalty.source
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.config_changed();
COMMENT ON TRIGGER changed ON loyalty.source IS 'makes every session read sources again';

CREATE FUNCTION loyalty.earn() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_earn' LANGUAGE C;
COMMENT ON FUNCTION loyalty.earn() IS 'trigger that attach puts on a table: brings the ledger in line with the rows that a statement changed';

CREATE FUNCTION loyalty.attach(source regclass, member text, amount text, at text DEFAULT NULL, key text DEFAULT NULL,
							   counts text DEFAULT NULL, item text DEFAULT NULL, category text DEFAULT NULL,
							   quantity text DEFAULT NULL, channel text DEFAULT NULL, store text DEFAULT NULL,
							   currency text DEFAULT NULL, data text DEFAULT NULL, on_delete text DEFAULT 'reverse',
							   on_error text DEFAULT 'defer', program text DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'loyalty_attach' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.attach(regclass, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text) IS 'makes the rows of a table earn points; the arguments are expressions over a row; returns the source_id';

CREATE FUNCTION loyalty.earn_watched() RETURNS trigger
	AS 'MODULE_PATHNAME', 'loyalty_earn_watched' LANGUAGE C;
COMMENT ON FUNCTION loyalty.earn_watched() IS 'trigger that attach_query puts on the tables it watches: reads the purchases again whose keys stand in the rows that a statement changed';

CREATE FUNCTION loyalty.attach_query(name text, query text, watch text[], on_error text DEFAULT 'defer',
									 program text DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'loyalty_attach_query' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.attach_query(text, text, text[], text, text) IS 'makes the rows of a query earn points: all rows with one key are the lines of one purchase; watch names the tables and columns that hold the key, ''{public.orders.order_id}''; returns the source_id';

CREATE FUNCTION loyalty.detach(source text, program text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'loyalty_detach' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.detach(text, text) IS 'ends what attach or attach_query began; points stay as they are';

CREATE FUNCTION loyalty.partitions_changed() RETURNS event_trigger
	AS 'MODULE_PATHNAME', 'loyalty_partitions_changed' LANGUAGE C;
COMMENT ON FUNCTION loyalty.partitions_changed() IS 'puts the triggers of attached partitioned tables on new partitions and takes them off detached ones';
CREATE EVENT TRIGGER loyalty_partitions_changed ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
	EXECUTE FUNCTION loyalty.partitions_changed();
COMMENT ON EVENT TRIGGER loyalty_partitions_changed IS 'keeps partitions of attached tables earning';

CREATE FUNCTION loyalty.tables_dropped() RETURNS event_trigger
	AS 'MODULE_PATHNAME', 'loyalty_tables_dropped' LANGUAGE C;
COMMENT ON FUNCTION loyalty.tables_dropped() IS 'ends the sources of tables that are dropped';
CREATE EVENT TRIGGER loyalty_tables_dropped ON sql_drop
	WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP EXTENSION')
	EXECUTE FUNCTION loyalty.tables_dropped();
COMMENT ON EVENT TRIGGER loyalty_tables_dropped IS 'ends the sources of tables that are dropped';
