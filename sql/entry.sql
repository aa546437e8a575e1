--
-- entry: the ledger, append-only
--

-- One B-tree only: a second one costs the bulk path 1.4 times the time.  The
-- key makes the same award twice for a member impossible, and a member's
-- history and a purchase's entries are ranges of it.
CREATE TABLE loyalty.entry (
	member_id bigint NOT NULL,
	seq bigint NOT NULL,
	points loyalty.points NOT NULL,
	occurred_at timestamptz NOT NULL,
	posted_at timestamptz NOT NULL,
	program_id integer NOT NULL,
	rule_id integer NOT NULL,
	source_id integer NOT NULL,
	revision integer NOT NULL,
	rule_horizon integer NOT NULL,
	kind text COLLATE "C" NOT NULL,
	source_key text COLLATE "C" NOT NULL,
	lots loyalty.purse NOT NULL,
	amount numeric,
	context jsonb,
	note text,
	hash bytea NOT NULL,
	CONSTRAINT entry_pkey PRIMARY KEY (member_id, source_id, source_key, rule_id, revision)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.entry', '');
ALTER TABLE loyalty.entry ENABLE ROW LEVEL SECURITY;

-- What was posted lately, for reports that have the rest in rollups.  It costs
-- postings nothing that can be measured: a few bytes for every 128 pages.
CREATE INDEX entry_posted_at ON loyalty.entry USING brin (posted_at);
COMMENT ON INDEX loyalty.entry_posted_at IS 'leads to what was posted since the last rollup';

COMMENT ON TABLE loyalty.entry IS 'every movement of points, append-only; written only by the engine';
COMMENT ON COLUMN loyalty.entry.member_id IS 'the member';
COMMENT ON COLUMN loyalty.entry.seq IS 'number of the entry for its member, 1, 2, 3 and so on without gaps';
COMMENT ON COLUMN loyalty.entry.points IS 'points that it added (negative: took): the total of its lots';
COMMENT ON COLUMN loyalty.entry.occurred_at IS 'when it happened to the member; of a purchase''s first posting the time of the purchase';
COMMENT ON COLUMN loyalty.entry.posted_at IS 'when it was written down: start of the transaction';
COMMENT ON COLUMN loyalty.entry.program_id IS 'the program';
COMMENT ON COLUMN loyalty.entry.rule_id IS 'the rule that gave the points; 0: none';
COMMENT ON COLUMN loyalty.entry.source_id IS 'where the purchase comes from; 0: an act through a function';
COMMENT ON COLUMN loyalty.entry.revision IS 'number of the posting of this purchase, from 1';
COMMENT ON COLUMN loyalty.entry.rule_horizon IS 'the purchase is judged by rules up to this number, as they were then: those there were when it first counted';
COMMENT ON COLUMN loyalty.entry.kind IS 'earn, clawback, redeem, refund, hold, release, expire, adjust, transfer or import';
COMMENT ON COLUMN loyalty.entry.source_key IS 'key of the purchase in its source; of an act its idempotency key or # and the seq; of points from another member ''transfer from'', his member_id, # and the seq of his entry';
COMMENT ON COLUMN loyalty.entry.lots IS 'what was added to the member''s purse, by life span';
COMMENT ON COLUMN loyalty.entry.amount IS 'purchase amount that this posting changed; stands on the first entry of a posting';
COMMENT ON COLUMN loyalty.entry.context IS 'what the purchase was judged by beside its rows, the shortfall of a clawback, what a spend was for, what is undone, the other side of a transfer; of a forgotten member without what is personal, whose sha256 stands in its place';
COMMENT ON COLUMN loyalty.entry.note IS 'reason given by whoever acted';
COMMENT ON COLUMN loyalty.entry.hash IS 'sha256 of the member''s previous hash and this entry';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.entry
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard('history', 'context', 'note');
COMMENT ON TRIGGER guard ON loyalty.entry IS 'history is never rewritten';
