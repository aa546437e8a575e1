--
-- report: what reports are made of
--

-- Programs are told apart by a join with the few that the caller may read, so
-- that no row of the ledger costs a call, and adding up can go on in parallel
-- below that join.

CREATE FUNCTION loyalty.report_program(program text DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'loyalty_report_program' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION loyalty.report_program(text) IS 'program_id of the program that a report is about, the default one for NULL; an error for who may not read all of it';

-- Each report asks for its program first, in a statement of its own: a WHERE clause
-- is asked only where there are rows to judge, and whoever named a program that is
-- not there, or not his, would see a report without rows.
CREATE FUNCTION loyalty.report_period(period text) RETURNS text
	AS 'MODULE_PATHNAME', 'loyalty_report_period' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.report_period(text) IS 'day, week, month, quarter or year, month for NULL; an error for anything else';
CREATE FUNCTION loyalty.report_choice(argument text, value text, choices text[]) RETURNS text
	AS 'MODULE_PATHNAME', 'loyalty_report_choice' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.report_choice(text, text, text[]) IS 'the value of an argument that can only be one of some words; an error that names them for any other';
CREATE FUNCTION loyalty.report_day(argument text, day date) RETURNS date
	AS 'MODULE_PATHNAME', 'loyalty_report_day' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.report_day(text, date) IS 'the value of an argument that is a day, NULL for none; an error for an infinite one, or one so far away that nothing can be reckoned from it';
CREATE FUNCTION loyalty.report_number(argument text, value integer, lowest integer, highest integer) RETURNS integer
	AS 'MODULE_PATHNAME', 'loyalty_report_number' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION loyalty.report_number(text, integer, integer, integer) IS 'the value of an argument that lies between two numbers; an error for any other';

-- Who was merged has his purchases in his own ledger still, and is somebody else.
CREATE VIEW loyalty.persons WITH (security_barrier = true) AS
	WITH RECURSIVE stands (member_id, person_id) AS (
		SELECT g.member_id, g.into_member_id
		FROM loyalty.member_merge g
		WHERE g.undone_at IS NULL
		UNION
		SELECT s.member_id, g.into_member_id
		FROM stands s
		JOIN loyalty.member_merge g ON g.member_id = s.person_id AND g.undone_at IS NULL
	)
	SELECT m.program_id, m.member_id, coalesce(s.person_id, m.member_id) AS person_id
	FROM loyalty.program p
	JOIN loyalty.member m ON m.program_id = p.program_id
	LEFT JOIN stands s ON s.member_id = m.member_id
		AND NOT EXISTS (SELECT FROM loyalty.member_merge g WHERE g.member_id = s.person_id AND g.undone_at IS NULL)
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.persons IS 'who each member is now: himself, or into whom he was merged';
COMMENT ON COLUMN loyalty.persons.program_id IS 'the program';
COMMENT ON COLUMN loyalty.persons.member_id IS 'the member';
COMMENT ON COLUMN loyalty.persons.person_id IS 'the member who stands for him';

-- Mostly there are none: joins with all persons would cost everybody.
CREATE VIEW loyalty.merged_persons WITH (security_barrier = true) AS
	SELECT g.program_id, g.member_id, s.person_id
	FROM (SELECT program_id, member_id FROM loyalty.member_merge
		  UNION
		  SELECT program_id, into_member_id FROM loyalty.member_merge) g
	-- few, each looked up by himself
	CROSS JOIN LATERAL (SELECT p.person_id FROM loyalty.persons p WHERE p.member_id = g.member_id OFFSET 0) s;
COMMENT ON VIEW loyalty.merged_persons IS 'persons of those who were ever merged, or another with them; nobody is granted it';
COMMENT ON COLUMN loyalty.merged_persons.program_id IS 'the program';
COMMENT ON COLUMN loyalty.merged_persons.member_id IS 'the member';
COMMENT ON COLUMN loyalty.merged_persons.person_id IS 'the member who stands for him now';

CREATE VIEW loyalty.person_map WITH (security_barrier = true) AS
	SELECT p.program_id, (SELECT jsonb_object_agg(g.member_id, g.person_id) FROM loyalty.merged_persons g WHERE g.program_id = p.program_id) AS persons
	FROM loyalty.program p
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.person_map IS 'merged_persons of each program as one value, which a report can look up by member without a join';
COMMENT ON COLUMN loyalty.person_map.program_id IS 'the program';
COMMENT ON COLUMN loyalty.person_map.persons IS 'an object from member_id to person_id; NULL: nobody was ever merged';

-- For the views below.  A purchase that came through record() has a key of this
-- kind, or none: then its first entry says what it was, of a forgotten member too.  How a later posting changed what counts
-- depends on those before it.  Both are looked up where they matter, which is rare.
CREATE VIEW loyalty.movements WITH (security_barrier = true) AS
	SELECT e.program_id, e.member_id, e.seq, e.kind, e.rule_id, e.source_id, e.source_key, e.revision, e.points,
		   e.occurred_at, e.posted_at, (e.occurred_at AT TIME ZONE p.time_zone)::date AS day,
		   CASE WHEN b.purchase THEN e.amount END AS amount,
		   CASE WHEN NOT b.purchase THEN 0
				WHEN e.revision = 1 THEN (e.amount > 0)::integer
				ELSE (SELECT (sum(f.amount) + e.amount > 0)::integer - (sum(f.amount) > 0)::integer
					  FROM loyalty.entry f
					  WHERE f.member_id = e.member_id AND f.source_id = e.source_id AND f.source_key = e.source_key
						AND f.revision < e.revision) END AS purchases
	FROM loyalty.entry e
	JOIN loyalty.program p ON p.program_id = e.program_id
	CROSS JOIN LATERAL (
		SELECT e.amount IS NOT NULL AND e.kind IN ('earn', 'clawback')
			   AND CASE WHEN e.source_id <> 0 OR starts_with(e.source_key, 'purchase:') THEN true
						WHEN NOT starts_with(e.source_key, '#') THEN false
						-- as an aggregate: what is looked up row by row takes no memory
						ELSE (SELECT coalesce(bool_or(coalesce(f.context -> 'request' ->> 'event', f.context ->> 'event') = 'purchase'), false)
							  FROM loyalty.entry f
							  WHERE f.member_id = e.member_id AND f.source_id = 0 AND f.source_key = e.source_key AND f.revision = 1)
						END AS purchase) b
	WHERE loyalty.may_read(p.program_id);
COMMENT ON VIEW loyalty.movements IS 'the entries, with what they changed of purchases; what reports are made of, and nobody is granted';
COMMENT ON COLUMN loyalty.movements.program_id IS 'the program';
COMMENT ON COLUMN loyalty.movements.member_id IS 'the member in whose ledger it stands';
COMMENT ON COLUMN loyalty.movements.seq IS 'number of the entry for its member';
COMMENT ON COLUMN loyalty.movements.kind IS 'kind of the entry';
COMMENT ON COLUMN loyalty.movements.rule_id IS 'the rule that gave the points; 0: none';
COMMENT ON COLUMN loyalty.movements.source_id IS 'where the purchase comes from; 0: an act through a function';
COMMENT ON COLUMN loyalty.movements.source_key IS 'key of the purchase in its source';
COMMENT ON COLUMN loyalty.movements.revision IS 'number of the posting of this purchase, from 1';
COMMENT ON COLUMN loyalty.movements.points IS 'points that it added (negative: took)';
COMMENT ON COLUMN loyalty.movements.occurred_at IS 'when it happened: of a purchase its time, of a change of it when that was posted';
COMMENT ON COLUMN loyalty.movements.posted_at IS 'when it was written down';
COMMENT ON COLUMN loyalty.movements.day IS 'the day of occurred_at in the program''s time zone';
COMMENT ON COLUMN loyalty.movements.amount IS 'what it added to a purchase''s amount (negative: took away); NULL: no purchase, or not the first entry of its posting';
COMMENT ON COLUMN loyalty.movements.purchases IS '1: from here on the purchase counts, being above zero; -1: from here on it does not any more; 0: neither; so that sums over any entries are right';

-- What is not in the rollups yet.  The first bound is met in the scan of the
-- ledger, where it is one value; the second is each program's own.  With an upper
-- bound, which all are below, the planner expects few rows between the two.
CREATE VIEW loyalty.fresh_movements WITH (security_barrier = true) AS
	SELECT e.program_id, e.member_id, e.kind, e.rule_id, e.source_id, e.points, e.occurred_at, e.day, e.amount, e.purchases
	FROM loyalty.movements e
	LEFT JOIN loyalty.rollup r ON r.program_id = e.program_id
	WHERE e.posted_at >= (SELECT min(coalesce(u.until, '-infinity'))
						  FROM loyalty.program p
						  LEFT JOIN loyalty.rollup u ON u.program_id = p.program_id)
	  AND e.posted_at <= 'infinity'
	  AND e.posted_at >= coalesce(r.until, '-infinity');
COMMENT ON VIEW loyalty.fresh_movements IS 'the movements that were posted since the rollups; nobody is granted them';
COMMENT ON COLUMN loyalty.fresh_movements.program_id IS 'the program';
COMMENT ON COLUMN loyalty.fresh_movements.member_id IS 'the member in whose ledger it stands';
COMMENT ON COLUMN loyalty.fresh_movements.kind IS 'kind of the entry';
COMMENT ON COLUMN loyalty.fresh_movements.rule_id IS 'the rule that gave the points; 0: none';
COMMENT ON COLUMN loyalty.fresh_movements.source_id IS 'where the purchase comes from; 0: an act through a function';
COMMENT ON COLUMN loyalty.fresh_movements.points IS 'points that it added (negative: took)';
COMMENT ON COLUMN loyalty.fresh_movements.occurred_at IS 'when it happened';
COMMENT ON COLUMN loyalty.fresh_movements.day IS 'the day of that in the program''s time zone';
COMMENT ON COLUMN loyalty.fresh_movements.amount IS 'what it added to a purchase''s amount';
COMMENT ON COLUMN loyalty.fresh_movements.purchases IS '1: from here on the purchase counts; -1: it does not any more; 0: neither';

CREATE VIEW loyalty.points_by_day WITH (security_barrier = true) AS
	SELECT q.name AS program, d.program_id, d.day, d.kind, d.rule_id, d.source_id, d.entries, d.points, d.gained, d.taken,
		   d.purchases, d.amount
	FROM (SELECT b.program_id, b.day, b.kind, b.rule_id, b.source_id, sum(b.entries)::bigint AS entries, loyalty.sum(b.points) AS points,
				 loyalty.sum(b.gained) AS gained, loyalty.sum(b.taken) AS taken,
				 sum(b.purchases)::bigint AS purchases, sum(b.amount) AS amount
		  FROM (SELECT d.program_id, d.day, d.kind, d.rule_id, d.source_id, d.entries, d.points, d.gained, d.taken,
					   d.purchases, d.amount
				FROM loyalty.rollup_day d
				UNION ALL
				SELECT e.program_id, e.day, e.kind, e.rule_id, e.source_id, count(*), loyalty.sum(e.points),
					   coalesce(loyalty.sum(e.points) FILTER (WHERE e.points OPERATOR(loyalty.>) 0), 0),
					   coalesce(loyalty.sum(e.points) FILTER (WHERE e.points OPERATOR(loyalty.<) 0), 0),
					   sum(e.purchases), coalesce(sum(e.amount), 0)
				FROM loyalty.fresh_movements e
				GROUP BY 1, 2, 3, 4, 5) b
		  GROUP BY 1, 2, 3, 4, 5) d
	JOIN loyalty.program q ON q.program_id = d.program_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.points_by_day IS 'how points and purchases moved, added up by day, kind, rule and source';
COMMENT ON COLUMN loyalty.points_by_day.program IS 'name of the program';
COMMENT ON COLUMN loyalty.points_by_day.program_id IS 'the program';
COMMENT ON COLUMN loyalty.points_by_day.day IS 'when it happened, in the program''s time zone';
COMMENT ON COLUMN loyalty.points_by_day.kind IS 'kind of the entries';
COMMENT ON COLUMN loyalty.points_by_day.rule_id IS 'the rule that gave the points; 0: none';
COMMENT ON COLUMN loyalty.points_by_day.source_id IS 'where the purchases come from; 0: acts through functions';
COMMENT ON COLUMN loyalty.points_by_day.entries IS 'number of entries';
COMMENT ON COLUMN loyalty.points_by_day.points IS 'sum of their points';
COMMENT ON COLUMN loyalty.points_by_day.gained IS 'sum of those that added points';
COMMENT ON COLUMN loyalty.points_by_day.taken IS 'sum of those that took points, below zero';
COMMENT ON COLUMN loyalty.points_by_day.purchases IS 'purchases that came to count, less those that ceased to';
COMMENT ON COLUMN loyalty.points_by_day.amount IS 'what was bought, less what was returned; it stands with one entry of each posting, of whatever rule';

-- Most months of most members are in the rollup alone: they are joined, not
-- grouped, with the few that are not.  That these are unique in what is joined by
-- has the planner hash them; by the program, too, so that it knows how many rows
-- of a program there are.
CREATE VIEW loyalty.activity_by_month WITH (security_barrier = true) AS
	SELECT q.name AS program, a.program_id, a.member_id, a.month, a.purchases, a.amount, a.first_purchase, a.last_purchase,
		   a.earned, a.clawed_back, a.redeemed, a.refunded, a.expired, a.adjusted, a.redemptions
	FROM (SELECT program_id, member_id, month,
				 coalesce(d.purchases + n.purchases, d.purchases, n.purchases) AS purchases,
				 coalesce(d.amount + n.amount, d.amount, n.amount) AS amount,
				 least(d.first_purchase, n.first_purchase) AS first_purchase,
				 greatest(d.last_purchase, n.last_purchase) AS last_purchase,
				 coalesce(d.earned OPERATOR(loyalty.+) n.earned, d.earned, n.earned) AS earned,
				 coalesce(d.clawed_back OPERATOR(loyalty.+) n.clawed_back, d.clawed_back, n.clawed_back) AS clawed_back,
				 coalesce(d.redeemed OPERATOR(loyalty.+) n.redeemed, d.redeemed, n.redeemed) AS redeemed,
				 coalesce(d.refunded OPERATOR(loyalty.+) n.refunded, d.refunded, n.refunded) AS refunded,
				 coalesce(d.expired OPERATOR(loyalty.+) n.expired, d.expired, n.expired) AS expired,
				 coalesce(d.adjusted OPERATOR(loyalty.+) n.adjusted, d.adjusted, n.adjusted) AS adjusted,
				 coalesce(d.redemptions + n.redemptions, d.redemptions, n.redemptions) AS redemptions
		  FROM loyalty.rollup_month d
		  FULL JOIN (SELECT e.program_id, e.member_id, date_trunc('month', e.day::timestamp)::date AS month,
							sum(e.purchases) AS purchases, coalesce(sum(e.amount), 0) AS amount,
							min(e.occurred_at) FILTER (WHERE e.purchases > 0) AS first_purchase,
							max(e.occurred_at) FILTER (WHERE e.purchases > 0) AS last_purchase,
							coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'earn'), 0) AS earned,
							coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'clawback'), 0) AS clawed_back,
							coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'redeem'), 0) AS redeemed,
							coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'refund'), 0) AS refunded,
							coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind = 'expire'), 0) AS expired,
							coalesce(loyalty.sum(e.points) FILTER (WHERE e.kind IN ('adjust', 'transfer', 'import')), 0) AS adjusted,
							count(*) FILTER (WHERE e.kind = 'redeem') AS redemptions
					 FROM loyalty.fresh_movements e
					 GROUP BY 1, 2, 3) n USING (program_id, member_id, month)) a
	JOIN loyalty.program q ON q.program_id = a.program_id
	WHERE loyalty.may_read(q.program_id);
COMMENT ON VIEW loyalty.activity_by_month IS 'what each member did in a month; only months in which there was something';
COMMENT ON COLUMN loyalty.activity_by_month.program IS 'name of the program';
COMMENT ON COLUMN loyalty.activity_by_month.program_id IS 'the program';
COMMENT ON COLUMN loyalty.activity_by_month.member_id IS 'the member in whose ledger it stands: see persons';
COMMENT ON COLUMN loyalty.activity_by_month.month IS 'first day of the month, in the program''s time zone';
COMMENT ON COLUMN loyalty.activity_by_month.purchases IS 'purchases that came to count in it, less those that ceased to';
COMMENT ON COLUMN loyalty.activity_by_month.amount IS 'what was bought, less what was returned';
COMMENT ON COLUMN loyalty.activity_by_month.first_purchase IS 'time of the first purchase that came to count in it; NULL: none did';
COMMENT ON COLUMN loyalty.activity_by_month.last_purchase IS 'time of the last one';
COMMENT ON COLUMN loyalty.activity_by_month.earned IS 'points earned';
COMMENT ON COLUMN loyalty.activity_by_month.clawed_back IS 'points that returns took back, below zero';
COMMENT ON COLUMN loyalty.activity_by_month.redeemed IS 'points redeemed, below zero';
COMMENT ON COLUMN loyalty.activity_by_month.refunded IS 'points that came back from redemptions';
COMMENT ON COLUMN loyalty.activity_by_month.expired IS 'points that expired, below zero';
COMMENT ON COLUMN loyalty.activity_by_month.adjusted IS 'points adjusted, transferred and imported';
COMMENT ON COLUMN loyalty.activity_by_month.redemptions IS 'number of redemptions';
