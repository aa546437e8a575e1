/*
 * reward_guard.c
 *		What may be written into the tables reward and reward_option.
 *
 * A reward must make sense on its own.  Once it has been redeemed its name is
 * fixed, for entries say it; what it costs, and the rest, may change: a
 * redemption keeps what it was.  NULLs where there may be none are left to the
 * tables' own constraints, which are checked after these triggers.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "earning/expression.h"
#include "earning/owner.h"
#include "ledger/access.h"
#include "ledger/config.h"
#include "ledger/guard.h"
#include "loyalty.h"
#include "redemption/redemption.h"
#include "redemption/reward.h"
#include "tiers/tier.h"

PG_FUNCTION_INFO_V1(loyalty_reward_guard);
PG_FUNCTION_INFO_V1(loyalty_reward_option_guard);

/* Years ahead that times can be worked out for, whatever the day. */
#define MAX_INTERVAL_DAYS 36525

/* A column of the table by its name. */
static Datum
column(HeapTuple tuple, TupleDesc desc, const char *name, bool *isnull)
{
	int			attnum = SPI_fnumber(desc, name);

	if (attnum <= 0)
		elog(ERROR, "there is no column \"%s\"", name);
	return heap_getattr(tuple, attnum, desc, isnull);
}

static text *
text_column(HeapTuple tuple, TupleDesc desc, const char *name)
{
	bool		isnull;
	Datum		value = column(tuple, desc, name, &isnull);

	return isnull ? NULL : DatumGetTextPP(value);
}

/* Whether a query over texts and a number finds anything, as of now, whatever the isolation level. */
static bool
finds(const char *query, const text *program, const text *name, int32 reward_id)
{
	Oid			types[3] = {TEXTOID, TEXTOID, INT4OID};
	Datum		values[3] = {PointerGetDatum(program), PointerGetDatum(name), Int32GetDatum(reward_id)};
	EngineScope scope;
	bool		found;

	engine_enter(&scope, config_get()->owner);
	SPI_connect();
	CommandCounterIncrement();
	PushActiveSnapshot(config_snapshot());
	SPI_execute_with_args(query, 3, types, values, NULL, true, 1);
	found = SPI_processed > 0;
	PopActiveSnapshot();
	SPI_finish();
	engine_leave(&scope);
	return found;
}

/* The program is there; NULL: it is not, and a restore may bring it later. */
static Program *
check_program(const text *name)
{
	Config	   *config = config_get();
	Program    *program = access_program_named(config, text_to_cstring(name));

	if (config->nprograms > 0 && program == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program \"%s\" does not exist", text_to_cstring(name))));
	return program;
}

/* It costs something; not a constraint, whose operators whoever writes would need the right to run. */
static void
check_cost(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		cost = column(tuple, desc, "cost", &isnull);

	if (!isnull && DatumGetPoints(cost) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cost must be greater than zero"),
				 errhint("What is given for nothing is a gift: see loyalty.issue_voucher.")));
}

static void
check_condition(HeapTuple tuple, TupleDesc desc)
{
	text	   *name = text_column(tuple, desc, "owner");
	text	   *condition = text_column(tuple, desc, "condition");
	Oid			owner;

	if (name == NULL)
		return;
	owner = owner_check(text_to_cstring(name), "rewards", owner_is_restore());
	if (condition != NULL && OidIsValid(owner) && !owner_is_restore())
		expression_check(EXPRESSION_REWARD, text_to_cstring(condition), owner);
}

static void
check_interval(HeapTuple tuple, TupleDesc desc, const char *name)
{
	bool		isnull;
	Datum		value = column(tuple, desc, name, &isnull);
	Interval   *interval;

	if (isnull)
		return;
	interval = DatumGetIntervalP(value);
	if (interval->month < 0 || interval->day < 0 || interval->time < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not have negative parts", name)));
	if (interval->month * (DAYS_PER_YEAR / MONTHS_PER_YEAR) + interval->day +
		(double) interval->time / USECS_PER_DAY > MAX_INTERVAL_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be longer than %d days", name, MAX_INTERVAL_DAYS)));
}

/* What it says of a voucher is a voucher. */
static void
check_voucher(HeapTuple tuple, TupleDesc desc)
{
	text	   *kind = text_column(tuple, desc, "kind");
	RewardVoucher row;
	VoucherTerms terms;
	int			i;

	if (kind == NULL)
		return;
	row.kind = text_to_cstring(kind);
	for (i = 0; i < NVOUCHER_COLUMNS; i++)
		row.values[i] = column(tuple, desc, reward_voucher_columns[i], &row.nulls[i]);
	if (!row.nulls[VOUCHER_PERCENT] && !row.nulls[VOUCHER_WORTH])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a reward has a value or a percent, not both"),
				 errhint("\"maximum\" is the most that a percentage takes off.")));
	if (reward_voucher_terms(&row, &terms))
	{
		if (terms.pool == NULL)
			voucher_terms_check(&terms);
	}
	else if (!row.nulls[VOUCHER_POOL])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pool is for rewards that give a voucher"),
				 errhint("Set \"voucher\" to true.")));
}

/* Back-orders wait for stock, of which there must be some. */
static void
check_stock(HeapTuple tuple, TupleDesc desc)
{
	bool		backorder_null;
	bool		stock_null;
	Datum		backorder = column(tuple, desc, "backorder", &backorder_null);

	(void) column(tuple, desc, "stock", &stock_null);
	if (!backorder_null && DatumGetBool(backorder) && stock_null)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("backorder is for rewards with a stock"),
				 errdetail("Of this one there is any number.")));
}

static void
check_number(HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		reward_id = column(tuple, desc, "reward_id", &isnull);

	if (!isnull)
		guard_number("loyalty.reward_reward_id_seq", DatumGetInt32(reward_id), 0);
}

static void
check_reward(HeapTuple tuple, TupleDesc desc)
{
	text	   *program = text_column(tuple, desc, "program");

	if (program == NULL)
		return;
	(void) check_program(program);
	check_cost(tuple, desc);
	check_stock(tuple, desc);
	check_interval(tuple, desc, "auto_wait");
	check_interval(tuple, desc, "valid_for");
	check_voucher(tuple, desc);
	check_condition(tuple, desc);
}

/* Options go by the reward's name, and so do entries. */
static void
check_gone(HeapTuple old, TupleDesc desc, const char *what)
{
	text	   *program = text_column(old, desc, "program");
	text	   *name = text_column(old, desc, "name");
	bool		isnull;
	int32		reward_id = DatumGetInt32(column(old, desc, "reward_id", &isnull));

	redemption_keep_others();
	if (finds("SELECT FROM loyalty.redemption WHERE reward_id = $3 LIMIT 1", program, name, reward_id) ||
		finds("SELECT FROM loyalty.reward_choice WHERE reward_id = $3 LIMIT 1", program, name, reward_id))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("%s", what),
				 errdetail("It has been redeemed, or members have chosen it."),
				 errhint("End it by the upper bound of its \"active\" range; \"title\" may change.")));
	if (finds("SELECT FROM loyalty.reward_option WHERE program = $1 AND reward = $2 LIMIT 1", program, name, reward_id))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("%s", what),
				 errdetail("It has options, which go by its name."),
				 errhint("Delete them from loyalty.reward_option first.")));
}

static void
check_identity(HeapTuple old, HeapTuple new, TupleDesc desc)
{
	text	   *program = text_column(new, desc, "program");
	text	   *name = text_column(new, desc, "name");
	bool		isnull;

	if (program == NULL || name == NULL)
		return;
	if (DatumGetInt32(column(old, desc, "reward_id", &isnull)) != DatumGetInt32(column(new, desc, "reward_id", &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("a reward's number is fixed")));
	if (!same_text(text_column(old, desc, "program"), program) || !same_text(text_column(old, desc, "name"), name))
		check_gone(old, desc, "a reward's name is fixed");
}

/* Trigger on reward: before INSERT, UPDATE, DELETE (rows) and TRUNCATE. */
Datum
loyalty_reward_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	tuple;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE trigger", "loyalty.reward_guard")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_FIXED),
				 errmsg("rewards cannot be truncated"),
				 errhint("End a reward by the upper bound of its \"active\" range.")));

	desc = RelationGetDescr(trigdata->tg_relation);
	tuple = trigdata->tg_trigtuple;
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		check_gone(tuple, desc, "the reward cannot be deleted");
		return PointerGetDatum(tuple);
	}
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		check_identity(tuple, trigdata->tg_newtuple, desc);
		tuple = trigdata->tg_newtuple;
	}
	else
		check_number(tuple, desc);
	check_reward(tuple, desc);
	return PointerGetDatum(tuple);
}

/* Trigger on reward_option: before INSERT and UPDATE of rows. */
Datum
loyalty_reward_option_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	tuple;
	text	   *program_name;
	text	   *reward;
	text	   *tier;
	Program    *program;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE trigger", "loyalty.reward_option_guard")));
	desc = RelationGetDescr(trigdata->tg_relation);
	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	program_name = text_column(tuple, desc, "program");
	reward = text_column(tuple, desc, "reward");
	if (program_name == NULL || reward == NULL)
		return PointerGetDatum(tuple);
	program = check_program(program_name);
	/* A restore may bring options before any reward, and before tiers. */
	if (finds("SELECT FROM loyalty.reward WHERE program = $1 LIMIT 1", program_name, reward, 0) &&
		!finds("SELECT FROM loyalty.reward WHERE program = $1 AND name = $2", program_name, reward, 0))
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_REWARD),
				 errmsg("program \"%s\" has no reward \"%s\"", text_to_cstring(program_name), text_to_cstring(reward))));
	tier = text_column(tuple, desc, "tier");
	if (tier != NULL && program != NULL && tier_set(config_get(), program)->ntiers > 0)
		(void) tier_named(program, tier_set(config_get(), program), tier);
	check_cost(tuple, desc);
	check_condition(tuple, desc);
	return PointerGetDatum(tuple);
}
