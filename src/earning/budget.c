/*
 * budget.c
 *		Points that a rule may give to all members together.
 */
#include "postgres.h"

#include "earning/budget.h"
#include "ledger/slots.h"

static SlotTable budgets = {
	.name = "rule_budget", .id = "rule_id", .total = "budget", .drawn = "spent", .points = true
};

static SlotCount
budget_count(Config *config, int32 rule_id, DateADT period, Points budget)
{
	SlotCount	count = {&budgets, config, config->budget_rel, rule_id, period, budget};

	return count;
}

Points
budget_draw(Config *config, int32 rule_id, DateADT period, Points budget, Points wanted)
{
	SlotCount	count = budget_count(config, rule_id, period, budget);

	return slots_draw(&count, wanted);
}

void
budget_give_back(Config *config, int32 rule_id, DateADT period, Points budget, Points points)
{
	SlotCount	count = budget_count(config, rule_id, period, budget);

	slots_give_back(&count, points);
}

Points
budget_left(Config *config, int32 rule_id, DateADT period, Points budget)
{
	SlotCount	count = budget_count(config, rule_id, period, budget);

	return slots_left(&count, false);
}
