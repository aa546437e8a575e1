--
-- budget: points that a rule may give to all members together
--

-- A budget is kept in slots, so that sessions that draw from it at the same
-- time seldom want the same row.  The slots always allot exactly the budget
-- that they name, and none spends more than was allotted to it; so no more than
-- the budget can be spent, whichever slot each session takes.
-- fillfactor leaves room for the next versions of the slots on their page (HOT).
CREATE TABLE loyalty.rule_budget (
	rule_id integer NOT NULL,
	period date NOT NULL,
	slot smallint NOT NULL,
	budget loyalty.points NOT NULL DEFAULT 0,
	allotted loyalty.points NOT NULL DEFAULT 0,
	spent loyalty.points NOT NULL DEFAULT 0,
	CONSTRAINT rule_budget_pkey PRIMARY KEY (rule_id, period, slot)
) WITH (fillfactor = 50);
SELECT pg_catalog.pg_extension_config_dump('loyalty.rule_budget', '');
ALTER TABLE loyalty.rule_budget ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE loyalty.rule_budget IS 'budgets of rules with what was spent of them, in slots; written only by the engine';
COMMENT ON COLUMN loyalty.rule_budget.rule_id IS 'the rule; of a revised rule its first version';
COMMENT ON COLUMN loyalty.rule_budget.period IS 'first day of the period; -infinity: one budget for ever';
COMMENT ON COLUMN loyalty.rule_budget.slot IS 'number of the slot, from 0';
COMMENT ON COLUMN loyalty.rule_budget.budget IS 'the whole budget from which the slots were allotted';
COMMENT ON COLUMN loyalty.rule_budget.allotted IS 'this slot''s part of it';
COMMENT ON COLUMN loyalty.rule_budget.spent IS 'what was given from this slot, less what was given back';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON loyalty.rule_budget
	FOR EACH STATEMENT EXECUTE FUNCTION loyalty.engine_guard();
COMMENT ON TRIGGER guard ON loyalty.rule_budget IS 'written only by the engine';

CREATE VIEW loyalty.budget_usage WITH (security_barrier = true) AS
	SELECT b.rule_id, b.period,
		   loyalty.max(b.budget) AS budget,
		   loyalty.sum(b.spent) AS spent,
		   loyalty.max(b.budget) OPERATOR(loyalty.-) loyalty.sum(b.spent) AS left_over
	FROM loyalty.rule_budget b
	LEFT JOIN loyalty.rule r ON r.rule_id OPERATOR(pg_catalog.=) b.rule_id
	WHERE loyalty.may_read(r.program)
	GROUP BY b.rule_id, b.period
	ORDER BY b.rule_id, b.period;
COMMENT ON VIEW loyalty.budget_usage IS 'budgets of rules and what is left of them; those of which nothing was drawn yet are not there';
COMMENT ON COLUMN loyalty.budget_usage.rule_id IS 'the rule; of a revised rule its first version';
COMMENT ON COLUMN loyalty.budget_usage.period IS 'first day of the period; -infinity: one budget for ever';
COMMENT ON COLUMN loyalty.budget_usage.budget IS 'the budget; after a revision the former one, until points are drawn that the new one allows';
COMMENT ON COLUMN loyalty.budget_usage.spent IS 'points given';
COMMENT ON COLUMN loyalty.budget_usage.left_over IS 'points that can still be given';
