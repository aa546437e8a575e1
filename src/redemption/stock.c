/*
 * stock.c
 *		The units of a reward that there are for all members together.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "ledger/slots.h"
#include "loyalty.h"
#include "redemption/stock.h"

static SlotTable stocks = {
	.name = "reward_stock", .id = "reward_id", .total = "stock", .drawn = "taken", .points = false
};

/* Of a reward that has any number by now nothing is drawn; what comes back is counted. */
static SlotCount
stock_count(Config *config, const Reward *reward, DateADT period)
{
	SlotCount	count = {&stocks, config, config->stock_rel, reward->reward_id, period, Max(reward->stock, 0)};

	return count;
}

DateADT
stock_period(const Program *program, const Reward *reward, TimestampTz at)
{
	return calendar_start_of_period(calendar_day(at, program->zone), reward->stock_period);
}

bool
stock_take(Config *config, const Reward *reward, DateADT period, int units)
{
	SlotCount	count = stock_count(config, reward, period);
	int64		taken = slots_draw(&count, units);

	if (taken == units)
		return true;
	if (taken > 0)
		slots_give_back(&count, taken);
	return false;
}

void
stock_return(Config *config, const Reward *reward, DateADT period, int units)
{
	SlotCount	count = stock_count(config, reward, period);

	slots_give_back(&count, units);
}

int64
stock_left(Config *config, const Reward *reward, DateADT period, bool now)
{
	SlotCount	count = stock_count(config, reward, period);

	return slots_left(&count, now);
}

/* Kept: it has nothing that another plan would be better for. */
static SPIPlanPtr
awaited_plan(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {INT4OID};

	if (plan != NULL && !SPI_plan_is_valid(plan))
	{
		SPIPlanPtr	former = plan;

		plan = NULL;
		SPI_freeplan(former);
	}
	if (plan == NULL)
	{
		SPIPlanPtr	fresh = SPI_prepare("SELECT FROM loyalty.redemption WHERE reward_id = $1 AND backordered > 0 LIMIT 1",
										1, types);

		if (fresh == NULL || SPI_keepplan(fresh) != 0)
			elog(ERROR, "could not prepare to look for back-orders");
		plan = fresh;
	}
	return plan;
}

bool
stock_is_awaited(Config *config, const Reward *reward)
{
	Datum		values[1] = {Int32GetDatum(reward->reward_id)};
	EngineScope scope;
	bool		found;

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_plan(awaited_plan(), values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for back-orders");
	found = SPI_processed > 0;
	SPI_finish();
	engine_leave(&scope);
	return found;
}
