--
-- feedback: what members answer when they are asked how satisfied they are
--

-- Tier and segments are kept as they were: who answers as gold and falls answered as gold.
CREATE TABLE loyalty.feedback (
	member_id bigint NOT NULL,
	feedback_no integer NOT NULL,
	program_id integer NOT NULL,
	score integer NOT NULL,
	at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL,
	kind text COLLATE "C" NOT NULL,
	tier text COLLATE "C",
	segments text[] NOT NULL DEFAULT '{}',
	about text COLLATE "C",
	comment text,
	key text COLLATE "C",
	role text COLLATE "C" NOT NULL,
	CONSTRAINT feedback_pkey PRIMARY KEY (member_id, feedback_no)
);
SELECT pg_catalog.pg_extension_config_dump('loyalty.feedback', '');
ALTER TABLE loyalty.feedback ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.feedback IS 'what members answered, append-only but for who is forgotten; written only by the engine';
COMMENT ON COLUMN loyalty.feedback.member_id IS 'the member, whose row''s lock guards these too';
COMMENT ON COLUMN loyalty.feedback.feedback_no IS 'number of the answer for its member, 1, 2, 3 and so on';
COMMENT ON COLUMN loyalty.feedback.program_id IS 'the program';
COMMENT ON COLUMN loyalty.feedback.score IS 'nps: 0 to 10; satisfaction: 1 to 5';
COMMENT ON COLUMN loyalty.feedback.at IS 'when he answered';
COMMENT ON COLUMN loyalty.feedback.recorded_at IS 'when it was written down: start of the transaction';
COMMENT ON COLUMN loyalty.feedback.kind IS 'nps: how likely he is to recommend the shop; satisfaction: how satisfied he is';
COMMENT ON COLUMN loyalty.feedback.tier IS 'the tier that he had then; NULL: none';
COMMENT ON COLUMN loyalty.feedback.segments IS 'segments that he belonged to when it was written down; empty once he is forgotten';
COMMENT ON COLUMN loyalty.feedback.about IS 'what he was asked about: a purchase, a reward; NULL: the shop as a whole, or he is forgotten';
COMMENT ON COLUMN loyalty.feedback.comment IS 'what he said; NULL: nothing, or he is forgotten';
COMMENT ON COLUMN loyalty.feedback.key IS 'idempotency key';
COMMENT ON COLUMN loyalty.feedback.role IS 'the role that wrote it down';
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.feedback
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.feedback IS 'written only by the engine';

CREATE FUNCTION loyalty.feedback(member text, score integer, comment text DEFAULT NULL, kind text DEFAULT 'nps', about text DEFAULT NULL,
								 key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'loyalty_feedback' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.feedback(text, integer, text, text, text, text, timestamptz, text) IS 'writes down what a member answered to a survey of kind nps (0 to 10) or satisfaction (1 to 5) and returns the number of the answer for him; it gives no points';
CREATE FUNCTION loyalty.feedback(member bigint, score integer, comment text DEFAULT NULL, kind text DEFAULT 'nps', about text DEFAULT NULL,
								 key text DEFAULT NULL, at timestamptz DEFAULT NULL, program text DEFAULT NULL) RETURNS integer
	AS 'MODULE_PATHNAME', 'loyalty_feedback' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION loyalty.feedback(bigint, integer, text, text, text, text, timestamptz, text) IS 'the same for a numeric customer id';

-- For whoever may read the program: who said so, and in which words, is a
-- person's, and only for who may read persons.  So that persons can be counted
-- all the same, each answer says when the same person had answered before.
CREATE VIEW loyalty.feedback_by_day WITH (security_barrier = true) AS
	SELECT p.name AS program, a.program_id, a.day, a.kind, a.tier, a.segments, a.score, a.previous_day, count(*) AS answers
	FROM (SELECT f.program_id, d.day, f.kind, f.tier, f.segments, f.score, lag(d.day) OVER w AS previous_day
		  FROM loyalty.program p
		  JOIN loyalty.feedback f ON f.program_id = p.program_id
		  JOIN loyalty.persons n ON n.member_id = f.member_id
		  CROSS JOIN LATERAL (SELECT (f.at AT TIME ZONE p.time_zone)::date AS day) d
		  WHERE loyalty.may_read(p.program_id)
		  WINDOW w AS (PARTITION BY f.program_id, f.kind, n.person_id ORDER BY f.at, f.member_id, f.feedback_no)) a
	JOIN loyalty.program p ON p.program_id = a.program_id
	GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
COMMENT ON VIEW loyalty.feedback_by_day IS 'answers to surveys by day, without who gave them';
COMMENT ON COLUMN loyalty.feedback_by_day.program IS 'name of the program';
COMMENT ON COLUMN loyalty.feedback_by_day.program_id IS 'the program';
COMMENT ON COLUMN loyalty.feedback_by_day.day IS 'the day in the program''s time zone';
COMMENT ON COLUMN loyalty.feedback_by_day.kind IS 'nps or satisfaction';
COMMENT ON COLUMN loyalty.feedback_by_day.tier IS 'the tier that they had then; NULL: none';
COMMENT ON COLUMN loyalty.feedback_by_day.segments IS 'the segments that they belonged to';
COMMENT ON COLUMN loyalty.feedback_by_day.score IS 'the score';
COMMENT ON COLUMN loyalty.feedback_by_day.previous_day IS 'when they had answered last before, to the same kind; NULL: never';
COMMENT ON COLUMN loyalty.feedback_by_day.answers IS 'how many answered so';

-- Periods begin where the first answer is.  The lateral joins below are of rows
-- that are always there, so that wrong arguments are errors without answers too.
CREATE FUNCTION loyalty.feedback_by_period(kind text, period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL,
										   by text DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, member_group text, members bigint, respondents bigint, answers bigint, high bigint, low bigint, total bigint)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT loyalty.report_program($6);
	WITH argument AS MATERIALIZED (
		SELECT p.program_id,
			   loyalty.report_choice('kind', $1, '{nps,satisfaction}') AS kind,
			   loyalty.report_period($2) AS period,
			   CASE WHEN $5 IS NOT NULL THEN loyalty.report_choice('by', $5, '{tier,segment}') END AS by,
			   coalesce($3, '-infinity') AS since,
			   coalesce($4, (now() AT TIME ZONE p.time_zone)::date + 1) AS until
		FROM loyalty.program p
		WHERE p.program_id = (SELECT loyalty.report_program($6))
	), answer AS MATERIALIZED (
		SELECT date_trunc(a.period, d.day::timestamp)::date AS starts, g.member_group, sum(d.answers) AS answers,
			   -- who had not answered in this period before
			   sum(d.answers) FILTER (WHERE d.previous_day IS NULL OR d.previous_day < greatest(date_trunc(a.period, d.day::timestamp)::date, a.since)) AS respondents,
			   sum(d.answers) FILTER (WHERE d.score >= CASE a.kind WHEN 'nps' THEN 9 ELSE 4 END) AS high,
			   sum(d.answers) FILTER (WHERE d.score <= CASE a.kind WHEN 'nps' THEN 6 ELSE 2 END) AS low,
			   sum(d.answers * d.score) AS total
		FROM argument a
		JOIN loyalty.feedback_by_day d ON d.program_id = a.program_id AND d.kind = a.kind AND d.day >= a.since AND d.day < a.until
		CROSS JOIN LATERAL unnest(CASE a.by WHEN 'tier' THEN ARRAY[d.tier] WHEN 'segment' THEN coalesce(nullif(d.segments, '{}'), '{NULL}')
									   ELSE '{NULL}' END) g (member_group)
		GROUP BY 1, 2
	), span AS (
		SELECT min(starts)::timestamp AS first, max(starts)::timestamp AS last, array_agg(DISTINCT member_group) AS groups
		FROM answer
	), joined AS MATERIALIZED (
		SELECT greatest(date_trunc(a.period, e.day::timestamp), s.first) AS starts, sum(e.members) AS members
		FROM argument a
		CROSS JOIN span s
		JOIN loyalty.enrollments_by_day e ON e.program_id = a.program_id AND e.day < a.until
		GROUP BY 1
	)
	SELECT t.starts::date, g.member_group,
		   CASE WHEN a.by IS NULL THEN sum(coalesce(j.members, 0)) OVER (PARTITION BY g.member_group ORDER BY t.starts)::bigint END,
		   CASE WHEN a.by IS NULL THEN coalesce(w.respondents, 0)::bigint END,
		   coalesce(w.answers, 0)::bigint, coalesce(w.high, 0)::bigint, coalesce(w.low, 0)::bigint, coalesce(w.total, 0)::bigint
	FROM argument a
	CROSS JOIN span s
	CROSS JOIN LATERAL generate_series(s.first, s.last, CASE a.period WHEN 'quarter' THEN '3 months' ELSE '1 ' || a.period END::interval) t (starts)
	CROSS JOIN LATERAL unnest(s.groups) g (member_group)
	LEFT JOIN joined j ON j.starts = t.starts
	LEFT JOIN answer w ON w.starts = t.starts::date AND w.member_group IS NOT DISTINCT FROM g.member_group
	ORDER BY 1, 2 NULLS FIRST
	$$;
COMMENT ON FUNCTION loyalty.feedback_by_period(text, text, date, date, text, text) IS 'answers of a kind by period from the first to the last one, by nothing, tier or segment: what the reports on feedback are made of; members: who had joined by the end; respondents: persons who answered, also those who joined later; high: scores from 9 (satisfaction: 4) on; low: up to 6 (2); total: the sum';

CREATE FUNCTION loyalty.net_promoter_score(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL,
										   by text DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, member_group text, answers bigint, promoters bigint, passives bigint, detractors bigint,
				   score numeric, margin numeric, response_rate numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT f.starts, f.member_group, f.answers, f.high, f.answers - f.high - f.low, f.low,
		   round(100 * (f.high - f.low)::numeric / nullif(f.answers, 0), 2),
		   round(196 * sqrt(((f.high + f.low) * f.answers - (f.high - f.low) * (f.high - f.low))::numeric) / nullif(f.answers, 0) / sqrt(nullif(f.answers, 0)::numeric), 2),
		   round(f.respondents::numeric / nullif(f.members, 0), 4)
	FROM loyalty.feedback_by_period('nps', $1, $2, $3, $4, $5) f
	$$;
COMMENT ON FUNCTION loyalty.net_promoter_score(text, date, date, text, text) IS 'how likely members are to recommend the shop, by period, and by tier or segment: promoters (9 and 10) less detractors (0 to 6) in percent of all answers; margin: half the width of its 95 % confidence interval; response_rate: persons who answered, also those who joined after it, for each member by the end of the period, so that it can be above 1 where answers from before an enrollment were written down; NULL by tier or segment';

CREATE FUNCTION loyalty.satisfaction(period text DEFAULT 'month', since date DEFAULT NULL, until date DEFAULT NULL,
									 by text DEFAULT NULL, program text DEFAULT NULL)
	RETURNS TABLE (starts date, member_group text, answers bigint, satisfied bigint, dissatisfied bigint,
				   score numeric, mean numeric, response_rate numeric)
	LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
	SELECT f.starts, f.member_group, f.answers, f.high, f.low,
		   round(f.high::numeric / nullif(f.answers, 0), 4),
		   round(f.total::numeric / nullif(f.answers, 0), 4),
		   round(f.respondents::numeric / nullif(f.members, 0), 4)
	FROM loyalty.feedback_by_period('satisfaction', $1, $2, $3, $4, $5) f
	$$;
COMMENT ON FUNCTION loyalty.satisfaction(text, date, date, text, text) IS 'how satisfied members are, by period, and by tier or segment: score is the share of answers 4 and 5 (CSAT), mean that of all scores from 1 to 5; response_rate: persons who answered, also those who joined after it, for each member by the end of the period, so that it can be above 1 where answers from before an enrollment were written down; NULL by tier or segment';
