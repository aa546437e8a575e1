--
-- rollup: what the ledger adds up to by day and by month, for big ledgers
--

-- Entries posted before "until" are in the rollups, all others are added to
-- them by the views that read both (report.sql).  src/operation/rollup.c says
-- why none can come later that was posted before.
--
-- Nothing here is in a dump: it can be made again from the ledger, which takes
-- less time than it would to restore it, and what is not there is never wrong.

CREATE TABLE loyalty.rollup (
	program_id integer CONSTRAINT rollup_pkey PRIMARY KEY,
	until timestamptz NOT NULL DEFAULT '-infinity',
	entries bigint NOT NULL DEFAULT 0,
	rolled_up_at timestamptz,
	latest timestamptz
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rollup', 'WHERE false');
ALTER TABLE loyalty.rollup ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rollup IS 'how far the rollups of each program go; written only by the engine';
COMMENT ON COLUMN loyalty.rollup.program_id IS 'the program';
COMMENT ON COLUMN loyalty.rollup.until IS 'every entry that was posted before is in the rollups, none that was posted then or later';
COMMENT ON COLUMN loyalty.rollup.entries IS 'how many that are';
COMMENT ON COLUMN loyalty.rollup.rolled_up_at IS 'when they were brought up to it; NULL: not yet';
COMMENT ON COLUMN loyalty.rollup.latest IS 'when the latest of them occurred, which may be in the future: what members did in all is only what they did up to then; NULL: there are none';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rollup
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rollup IS 'written only by the engine';

CREATE TABLE loyalty.rollup_day (
	program_id integer NOT NULL,
	day date NOT NULL,
	kind text COLLATE "C" NOT NULL,
	rule_id integer NOT NULL,
	source_id integer NOT NULL,
	entries bigint NOT NULL,
	points loyalty.points NOT NULL,
	gained loyalty.points NOT NULL,
	taken loyalty.points NOT NULL,
	purchases bigint NOT NULL,
	amount numeric NOT NULL,
	CONSTRAINT rollup_day_pkey PRIMARY KEY (program_id, day, kind, rule_id, source_id)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rollup_day', 'WHERE false');
ALTER TABLE loyalty.rollup_day ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rollup_day IS 'points_by_day of the entries before rollup.until; written only by the engine';
COMMENT ON COLUMN loyalty.rollup_day.program_id IS 'the program';
COMMENT ON COLUMN loyalty.rollup_day.day IS 'when it happened, in the program''s time zone';
COMMENT ON COLUMN loyalty.rollup_day.kind IS 'kind of the entries';
COMMENT ON COLUMN loyalty.rollup_day.rule_id IS 'the rule that gave the points; 0: none';
COMMENT ON COLUMN loyalty.rollup_day.source_id IS 'where the purchases come from; 0: acts through functions';
COMMENT ON COLUMN loyalty.rollup_day.entries IS 'number of entries';
COMMENT ON COLUMN loyalty.rollup_day.points IS 'sum of their points';
COMMENT ON COLUMN loyalty.rollup_day.gained IS 'sum of those that added points';
COMMENT ON COLUMN loyalty.rollup_day.taken IS 'sum of those that took points, below zero';
COMMENT ON COLUMN loyalty.rollup_day.purchases IS 'purchases that came to count, less those that ceased to';
COMMENT ON COLUMN loyalty.rollup_day.amount IS 'what was bought, less what was returned';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rollup_day
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rollup_day IS 'written only by the engine';

-- What deferral() adds up: by life span, which days of points have not.  NULL is
-- none at all, as in the view.
CREATE TABLE loyalty.rollup_lots (
	program_id integer NOT NULL,
	day date NOT NULL,
	sales numeric NOT NULL,
	sold_amount numeric NOT NULL,
	sold loyalty.purse,
	returned_amount numeric NOT NULL,
	returned loyalty.purse,
	given loyalty.purse,
	redeemed loyalty.purse,
	expired loyalty.purse,
	moved loyalty.purse,
	CONSTRAINT rollup_lots_pkey PRIMARY KEY (program_id, day)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rollup_lots', 'WHERE false');
ALTER TABLE loyalty.rollup_lots ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rollup_lots IS 'lots_by_day of the entries before rollup.until; written only by the engine';
COMMENT ON COLUMN loyalty.rollup_lots.program_id IS 'the program';
COMMENT ON COLUMN loyalty.rollup_lots.day IS 'when it happened, in the program''s time zone';
COMMENT ON COLUMN loyalty.rollup_lots.sales IS 'what was bought, less what was returned';
COMMENT ON COLUMN loyalty.rollup_lots.sold_amount IS 'what was bought of it with points';
COMMENT ON COLUMN loyalty.rollup_lots.sold IS 'the points that it gave; NULL: none, as of the following';
COMMENT ON COLUMN loyalty.rollup_lots.returned_amount IS 'what was returned, below zero, that points were taken back for';
COMMENT ON COLUMN loyalty.rollup_lots.returned IS 'the points that were taken back, below zero';
COMMENT ON COLUMN loyalty.rollup_lots.given IS 'points given without a sale, less those taken';
COMMENT ON COLUMN loyalty.rollup_lots.redeemed IS 'points redeemed, below zero, and refunded';
COMMENT ON COLUMN loyalty.rollup_lots.expired IS 'points that expired, below zero';
COMMENT ON COLUMN loyalty.rollup_lots.moved IS 'points that moved to another member or another last day';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rollup_lots
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rollup_lots IS 'written only by the engine';

CREATE TABLE loyalty.rollup_month (
	member_id bigint NOT NULL,
	purchases bigint NOT NULL,
	first_purchase timestamptz,
	last_purchase timestamptz,
	earned loyalty.points NOT NULL,
	clawed_back loyalty.points NOT NULL,
	redeemed loyalty.points NOT NULL,
	refunded loyalty.points NOT NULL,
	expired loyalty.points NOT NULL,
	adjusted loyalty.points NOT NULL,
	redemptions bigint NOT NULL,
	month date NOT NULL,
	program_id integer NOT NULL,
	amount numeric NOT NULL,
	CONSTRAINT rollup_month_pkey PRIMARY KEY (member_id, month)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rollup_month', 'WHERE false');
ALTER TABLE loyalty.rollup_month ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rollup_month IS 'activity_by_month of the entries before rollup.until; written only by the engine';
COMMENT ON COLUMN loyalty.rollup_month.member_id IS 'the member in whose ledger it stands';
COMMENT ON COLUMN loyalty.rollup_month.purchases IS 'purchases that came to count in it, less those that ceased to';
COMMENT ON COLUMN loyalty.rollup_month.first_purchase IS 'time of the first purchase that came to count in it; NULL: none did';
COMMENT ON COLUMN loyalty.rollup_month.last_purchase IS 'time of the last one';
COMMENT ON COLUMN loyalty.rollup_month.earned IS 'points earned';
COMMENT ON COLUMN loyalty.rollup_month.clawed_back IS 'points that returns took back, below zero';
COMMENT ON COLUMN loyalty.rollup_month.redeemed IS 'points redeemed, below zero';
COMMENT ON COLUMN loyalty.rollup_month.refunded IS 'points that came back from redemptions';
COMMENT ON COLUMN loyalty.rollup_month.expired IS 'points that expired, below zero';
COMMENT ON COLUMN loyalty.rollup_month.adjusted IS 'points adjusted, transferred and imported';
COMMENT ON COLUMN loyalty.rollup_month.redemptions IS 'number of redemptions';
COMMENT ON COLUMN loyalty.rollup_month.month IS 'first day of the month, in the program''s time zone';
COMMENT ON COLUMN loyalty.rollup_month.program_id IS 'the program';
COMMENT ON COLUMN loyalty.rollup_month.amount IS 'what was bought, less what was returned';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rollup_month
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rollup_month IS 'written only by the engine';

-- Reports over all time need no months.
CREATE TABLE loyalty.rollup_member (
	member_id bigint CONSTRAINT rollup_member_pkey PRIMARY KEY,
	purchases bigint NOT NULL,
	first_purchase timestamptz,
	last_purchase timestamptz,
	last_active timestamptz,
	earned loyalty.points NOT NULL,
	redeemed loyalty.points NOT NULL,
	redemptions bigint NOT NULL,
	program_id integer NOT NULL,
	cohort date,
	amount numeric NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rollup_member', 'WHERE false');
ALTER TABLE loyalty.rollup_member ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rollup_member IS 'what each member did in all, of the entries before rollup.until; written only by the engine';
COMMENT ON COLUMN loyalty.rollup_member.member_id IS 'the member in whose ledger it stands';
COMMENT ON COLUMN loyalty.rollup_member.purchases IS 'purchases that came to count, less those that ceased to';
COMMENT ON COLUMN loyalty.rollup_member.first_purchase IS 'time of the first purchase that came to count; NULL: none did';
COMMENT ON COLUMN loyalty.rollup_member.last_purchase IS 'time of the last one';
COMMENT ON COLUMN loyalty.rollup_member.last_active IS 'when he last bought, earned or redeemed; NULL: never';
COMMENT ON COLUMN loyalty.rollup_member.earned IS 'points earned, less those that returns took back';
COMMENT ON COLUMN loyalty.rollup_member.redeemed IS 'points redeemed, less those that came back';
COMMENT ON COLUMN loyalty.rollup_member.redemptions IS 'number of redemptions';
COMMENT ON COLUMN loyalty.rollup_member.program_id IS 'the program';
COMMENT ON COLUMN loyalty.rollup_member.cohort IS 'month of enrollment under which rollup_point_cohort and rollup_purchase_cohort have him; NULL: they do not, since he was merged, or another with him';
COMMENT ON COLUMN loyalty.rollup_member.amount IS 'what was bought, less what was returned';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rollup_member
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rollup_member IS 'written only by the engine';

-- Both of the following are sums over members, each by himself.  Reports take out
-- the members who did something since, as they were, and put them in again as
-- they are; whoever was merged is never in.
CREATE TABLE loyalty.rollup_point_cohort (
	program_id integer NOT NULL,
	cohort date NOT NULL,
	month date NOT NULL,
	issued loyalty.points NOT NULL,
	redeemed loyalty.points NOT NULL,
	expired loyalty.points NOT NULL,
	CONSTRAINT rollup_point_cohort_pkey PRIMARY KEY (program_id, cohort, month)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rollup_point_cohort', 'WHERE false');
ALTER TABLE loyalty.rollup_point_cohort ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rollup_point_cohort IS 'point_cohorts of the entries before rollup.until; written only by the engine';
COMMENT ON COLUMN loyalty.rollup_point_cohort.program_id IS 'the program';
COMMENT ON COLUMN loyalty.rollup_point_cohort.cohort IS 'first day of the month of issue; infinity: there were no points for it';
COMMENT ON COLUMN loyalty.rollup_point_cohort.month IS 'first day of the month in which it happened; infinity likewise';
COMMENT ON COLUMN loyalty.rollup_point_cohort.issued IS 'points issued, in the row whose month is the cohort''s own';
COMMENT ON COLUMN loyalty.rollup_point_cohort.redeemed IS 'points redeemed, less those that came back';
COMMENT ON COLUMN loyalty.rollup_point_cohort.expired IS 'points expired';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rollup_point_cohort
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rollup_point_cohort IS 'written only by the engine';

CREATE TABLE loyalty.rollup_purchase_cohort (
	program_id integer NOT NULL,
	cohort date NOT NULL,
	month date NOT NULL,
	buyers bigint NOT NULL,
	new_buyers bigint NOT NULL,
	returning_buyers bigint NOT NULL,
	revenue numeric NOT NULL,
	CONSTRAINT rollup_purchase_cohort_pkey PRIMARY KEY (program_id, cohort, month)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rollup_purchase_cohort', 'WHERE false');
ALTER TABLE loyalty.rollup_purchase_cohort ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rollup_purchase_cohort IS 'purchase_cohorts of the entries before rollup.until; written only by the engine';
COMMENT ON COLUMN loyalty.rollup_purchase_cohort.program_id IS 'the program';
COMMENT ON COLUMN loyalty.rollup_purchase_cohort.cohort IS 'first day of the month of enrollment';
COMMENT ON COLUMN loyalty.rollup_purchase_cohort.month IS 'first day of the month of the purchases';
COMMENT ON COLUMN loyalty.rollup_purchase_cohort.buyers IS 'members of the cohort who bought in it';
COMMENT ON COLUMN loyalty.rollup_purchase_cohort.new_buyers IS 'of those, who had not bought in a month before';
COMMENT ON COLUMN loyalty.rollup_purchase_cohort.returning_buyers IS 'of those, who had bought in the month before';
COMMENT ON COLUMN loyalty.rollup_purchase_cohort.revenue IS 'what they bought, less what they returned';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rollup_purchase_cohort
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rollup_purchase_cohort IS 'written only by the engine';

CREATE FUNCTION loyalty.roll_up(program text DEFAULT NULL, until timestamptz DEFAULT NULL, anew boolean DEFAULT false) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'loyalty_roll_up' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.roll_up(text, timestamptz, boolean) IS 'brings the rollups of a program up to a time, the latest that is safe by default, and answers how far they go now; anew: throws them away first. maintain does so once a day';
