/*
 * draw.c
 *		What the purchases of a group draw on the budgets of rules.
 */
#include "postgres.h"

#include "earning/budget.h"
#include "earning/draw.h"

/* One budget, and what is wanted of it. */
typedef struct Drawing
{
	const Rule *rule;
	DateADT		period;
	Points		freed;			/* by purchases that come to less */
	Points		wanted;
	Points		granted;
} Drawing;

typedef struct Drawings
{
	int			count;
	int			capacity;
	Drawing    *list;
} Drawings;

static DateADT
budget_period(const Settlement *settlement, const Case *case_, const Rule *rule)
{
	return calendar_start_of_period(calendar_day(case_->ledger.at, settlement->program->zone),
									rule->limits.budget_period);
}

/* The drawing on the rule's budget for the case; made when there is none. */
static Drawing *
find_drawing(Drawings *drawings, const Settlement *settlement, const Case *case_, const Rule *rule)
{
	DateADT		period = budget_period(settlement, case_, rule);
	Drawing    *drawing;
	int			i;

	for (i = 0; i < drawings->count; i++)
		if (drawings->list[i].rule == rule && drawings->list[i].period == period)
			return &drawings->list[i];
	if (drawings->count == drawings->capacity)
	{
		drawings->capacity = Max(4, drawings->capacity * 2);
		drawings->list = drawings->list == NULL ? palloc(sizeof(Drawing) * drawings->capacity)
			: repalloc(drawings->list, sizeof(Drawing) * drawings->capacity);
	}
	drawing = &drawings->list[drawings->count++];
	memset(drawing, 0, sizeof(*drawing));
	drawing->rule = rule;
	drawing->period = period;
	return drawing;
}

/* Budgets in one order in every session, whichever versions of rules draw on them. */
static int
compare_drawings(const void *a, const void *b)
{
	const Drawing *x = a;
	const Drawing *y = b;

	if (x->rule->lineage != y->rule->lineage)
		return x->rule->lineage < y->rule->lineage ? -1 : 1;
	if (x->period != y->period)
		return x->period < y->period ? -1 : 1;
	return x->rule->rule_id < y->rule->rule_id ? -1 : x->rule->rule_id > y->rule->rule_id;
}

static int
compare_times(const void *a, const void *b)
{
	const Case *x = *(Case *const *) a;
	const Case *y = *(Case *const *) b;

	if (x->ledger.at != y->ledger.at)
		return x->ledger.at < y->ledger.at ? -1 : 1;
	return x < y ? -1 : 1;
}

/*
 * Divide what was granted among the cases, the earlier purchase first: they
 * stand in the order of where members live and of their keys, which is nobody's
 * merit.
 */
static void
grant_cases(const Settlement *settlement, Drawings *drawings, Case *cases, int ncases)
{
	Case	  **order = palloc(sizeof(Case *) * ncases);
	int			i;
	int			j;

	for (i = 0; i < ncases; i++)
		order[i] = &cases[i];
	qsort(order, ncases, sizeof(Case *), compare_times);
	for (i = 0; i < ncases; i++)
	{
		Case	   *case_ = order[i];

		case_->ngrants = 0;
		case_->grants = palloc(sizeof(struct BudgetGrant) * Max(case_->nsteps, 1));
		for (j = 0; !case_->dropped && j < case_->nsteps; j++)
		{
			const Step *step = &case_->steps[j];
			struct BudgetGrant *grant;
			Drawing    *drawing;

			if (step->drawn <= 0)
				continue;
			drawing = find_drawing(drawings, settlement, case_, step->rule);
			grant = &case_->grants[case_->ngrants++];
			grant->rule_id = step->rule_id;
			grant->points = Min(step->drawn, drawing->granted);
			if (step->rule->limits.reject && grant->points < step->drawn)
				grant->points = 0;
			drawing->granted -= grant->points;
		}
	}
	pfree(order);
}

/*
 * Draw on one budget what is wanted of it, by however many versions of its rule.
 * What the same purchases free serves them first, and only the difference is
 * drawn or given back: who does both holds a slot while he waits for another.
 */
static bool
draw_on_budget(const Settlement *settlement, Drawing *list, int count, bool look)
{
	Points		freed = 0;
	bool		enough = true;
	int			i;

	for (i = 0; i < count; i++)
		freed = points_add(freed, list[i].freed);
	for (i = 0; i < count; i++)
	{
		Drawing    *drawing = &list[i];
		int32		rule_id = drawing->rule->lineage;
		Points		budget = drawing->rule->limits.budget;
		Points		rest;

		drawing->granted = Min(drawing->wanted, freed);
		freed -= drawing->granted;
		rest = drawing->wanted - drawing->granted;
		if (rest > 0 && look)
			drawing->granted += Min(rest, budget_left(settlement->config, rule_id, drawing->period, budget));
		else if (rest > 0)
			drawing->granted += budget_draw(settlement->config, rule_id, drawing->period, budget, rest);
		enough &= drawing->granted == drawing->wanted;
	}
	if (freed > 0)
		budget_give_back(settlement->config, list[count - 1].rule->lineage, list[count - 1].period,
						 list[count - 1].rule->limits.budget, freed);
	return enough;
}

/* How many drawings from the first on are on the same budget. */
static int
same_budget(const Drawing *list, int count)
{
	int			n = 1;

	while (n < count && list[n].rule->lineage == list[0].rule->lineage && list[n].period == list[0].period)
		n++;
	return n;
}

static bool
draw(const Settlement *settlement, Case *cases, int ncases, bool look)
{
	Drawings	drawings = {0};
	bool		enough = true;
	int			n;
	int			i;
	int			j;

	for (i = 0; i < ncases; i++)
		for (j = 0; !cases[i].dropped && j < cases[i].nsteps; j++)
		{
			const Step *step = &cases[i].steps[j];
			Drawing    *drawing;

			if (step->drawn == 0 || (look && step->drawn < 0))
				continue;
			drawing = find_drawing(&drawings, settlement, &cases[i], step->rule);
			if (step->drawn > 0)
				drawing->wanted = points_add(drawing->wanted, step->drawn);
			else
				drawing->freed = points_sub(drawing->freed, step->drawn);
		}
	if (drawings.count > 1)
		qsort(drawings.list, drawings.count, sizeof(Drawing), compare_drawings);
	for (i = 0; i < drawings.count; i += n)
	{
		n = same_budget(&drawings.list[i], drawings.count - i);
		enough &= draw_on_budget(settlement, &drawings.list[i], n, look);
	}
	if (enough)
		return true;

	grant_cases(settlement, &drawings, cases, ncases);
	/* What nobody can be given whole. */
	for (i = 0; !look && i < drawings.count; i++)
		if (drawings.list[i].granted > 0)
			budget_give_back(settlement->config, drawings.list[i].rule->lineage, drawings.list[i].period,
							 drawings.list[i].rule->limits.budget, drawings.list[i].granted);
	return false;
}

bool
draw_look(const Settlement *settlement, Case *cases, int ncases)
{
	return draw(settlement, cases, ncases, true);
}

static void
give_back(const Settlement *settlement, Drawings *drawings)
{
	int			i;

	if (drawings->count > 1)
		qsort(drawings->list, drawings->count, sizeof(Drawing), compare_drawings);
	for (i = 0; i < drawings->count; i++)
		budget_give_back(settlement->config, drawings->list[i].rule->lineage, drawings->list[i].period,
						 drawings->list[i].rule->limits.budget, drawings->list[i].granted);
}

bool
draw_budgets(const Settlement *settlement, Case *cases, int ncases)
{
	return draw(settlement, cases, ncases, false);
}

/* What the case draws now on the rule's budget. */
static Points
drawn_by(const Case *case_, int32 rule_id)
{
	int			i;

	for (i = 0; !case_->dropped && i < case_->nsteps; i++)
		if (case_->steps[i].rule_id == rule_id)
			return Max(case_->steps[i].drawn, 0);
	return 0;
}

void
draw_give_back(const Settlement *settlement, Case *cases, int ncases)
{
	Drawings	drawings = {0};
	int			i;
	int			j;

	for (i = 0; i < ncases; i++)
		for (j = 0; j < cases[i].ngrants; j++)
		{
			const struct BudgetGrant *grant = &cases[i].grants[j];
			Points		unused = grant->points - drawn_by(&cases[i], grant->rule_id);
			Drawing    *drawing;

			if (unused <= 0)
				continue;
			drawing = find_drawing(&drawings, settlement, &cases[i],
								   rule_by_id(settlement->rules, grant->rule_id));
			drawing->granted = points_add(drawing->granted, unused);
		}
	give_back(settlement, &drawings);
}
