/*
 * reward.c
 *		The rewards of a program, ready to be redeemed.
 *
 * Kept with the configuration: whoever changes a reward or an option has every
 * session read them again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "loyalty.h"
#include "redemption/reward.h"

/* What a row holds; what it points to is allocated in the configuration. */
typedef struct RowReader
{
	Config	   *config;
	HeapTuple	row;
	TupleDesc	desc;
} RowReader;

const char *const reward_voucher_columns[NVOUCHER_COLUMNS] = {
	"voucher", "percent", "maximum", "value", "product", "pool", "uses", "stored", "bearer", "min_amount"
};

static Datum
get(const RowReader *reader, const char *column, bool *isnull)
{
	return SPI_getbinval(reader->row, reader->desc, SPI_fnumber(reader->desc, column), isnull);
}

static char *
get_text(const RowReader *reader, const char *column)
{
	char	   *value = SPI_getvalue(reader->row, reader->desc, SPI_fnumber(reader->desc, column));

	return value == NULL ? NULL : MemoryContextStrdup(reader->config->context, value);
}

/* A value of variable length, copied; NULL where it is null. */
static void *
get_varlena(const RowReader *reader, const char *column)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->config->context);
	bool		isnull;
	Datum		value = get(reader, column, &isnull);
	void	   *copy = isnull ? NULL : PG_DETOAST_DATUM_COPY(value);

	MemoryContextSwitchTo(caller);
	return copy;
}

static Interval *
get_interval(const RowReader *reader, const char *column)
{
	bool		isnull;
	Datum		value = get(reader, column, &isnull);
	Interval   *copy;

	if (isnull)
		return NULL;
	copy = MemoryContextAlloc(reader->config->context, sizeof(Interval));
	*copy = *DatumGetIntervalP(value);
	return copy;
}

static bool
get_bool(const RowReader *reader, const char *column)
{
	bool		isnull;
	Datum		value = get(reader, column, &isnull);

	return !isnull && DatumGetBool(value);
}

static int32
get_int(const RowReader *reader, const char *column, int32 none)
{
	bool		isnull;
	Datum		value = get(reader, column, &isnull);

	return isnull ? none : DatumGetInt32(value);
}

static void
get_active(const RowReader *reader, ActiveTime *active)
{
	bool		isnull;

	active->from = DatumGetTimestampTz(get(reader, "active_from", &isnull));
	active->from_inclusive = get_bool(reader, "from_inclusive");
	active->until = DatumGetTimestampTz(get(reader, "active_until", &isnull));
	active->until_inclusive = get_bool(reader, "until_inclusive");
}

static Expression *
get_condition(const RowReader *reader, Reward *reward)
{
	char	   *source = get_text(reader, "condition");
	MemoryContext caller;
	Expression *condition;

	if (source == NULL)
		return NULL;
	caller = MemoryContextSwitchTo(reader->config->context);
	condition = expression_compile(EXPRESSION_REWARD, source, reward->name, get_text(reader, "owner"));
	MemoryContextSwitchTo(caller);
	reward->reads |= condition->reads & REWARD_FACTS;
	reader->config->uses_types |= condition->uses_types;
	return condition;
}

/* Money that is asked; none of it is NULL. */
static Numeric
get_price(const RowReader *reader)
{
	Numeric		price = get_varlena(reader, "price");

	return price == NULL || rational_sign(rational_from_numeric(price)) == 0 ? NULL : price;
}

bool
reward_voucher_terms(const RewardVoucher *row, VoucherTerms *terms)
{
	const Datum *values = row->values;
	const bool *nulls = row->nulls;
	bool		is_discount = strcmp(row->kind, "discount") == 0;
	bool		is_gift_card = strcmp(row->kind, "gift_card") == 0;
	bool		is_voucher = is_gift_card || strcmp(row->kind, "voucher") == 0;
	bool		is_thing = strcmp(row->kind, "product") == 0 || strcmp(row->kind, "experience") == 0;

	if (nulls[VOUCHER_GIVEN] ? !is_discount && !is_voucher : !DatumGetBool(values[VOUCHER_GIVEN]))
		return false;
	voucher_terms_init(terms, !nulls[VOUCHER_PERCENT] ? VOUCHER_PERCENTAGE : is_thing ? VOUCHER_PRODUCT : VOUCHER_VALUE);
	terms->bearer = nulls[VOUCHER_BEARER] ? is_gift_card : DatumGetBool(values[VOUCHER_BEARER]);
	if (!nulls[VOUCHER_POOL])
		terms->pool = DatumGetTextPCopy(values[VOUCHER_POOL]);
	if (terms->kind == VOUCHER_PERCENTAGE)
	{
		terms->percent = DatumGetNumericCopy(values[VOUCHER_PERCENT]);
		terms->maximum = nulls[VOUCHER_MAXIMUM] ? NULL : DatumGetNumericCopy(values[VOUCHER_MAXIMUM]);
	}
	else if (terms->kind == VOUCHER_PRODUCT)
		terms->product = nulls[VOUCHER_ITEM] ? NULL : DatumGetTextPCopy(values[VOUCHER_ITEM]);
	else
	{
		terms->value = nulls[VOUCHER_WORTH] ? NULL : DatumGetNumericCopy(values[VOUCHER_WORTH]);
		terms->stored = nulls[VOUCHER_STORED] ? is_voucher : DatumGetBool(values[VOUCHER_STORED]);
	}
	/* A stored value is used as often as something is left of it. */
	terms->uses = !nulls[VOUCHER_USES] ? DatumGetInt32(values[VOUCHER_USES]) : terms->stored ? 0 : 1;
	if (!nulls[VOUCHER_MIN_AMOUNT])
		terms->min_amount = DatumGetNumericCopy(values[VOUCHER_MIN_AMOUNT]);
	return true;
}

static void
read_voucher(const RowReader *reader, Reward *reward)
{
	RewardVoucher row = {.kind = reward->kind};
	MemoryContext caller;
	int			i;

	for (i = 0; i < NVOUCHER_COLUMNS; i++)
		row.values[i] = get(reader, reward_voucher_columns[i], &row.nulls[i]);
	caller = MemoryContextSwitchTo(reader->config->context);
	reward->has_voucher = reward_voucher_terms(&row, &reward->voucher);
	MemoryContextSwitchTo(caller);
	reward->valid_for = get_interval(reader, "valid_for");
}

/* What the reward itself asks, as the first option. */
static void
read_base(const RowReader *reader, Reward *reward, RewardOption *option)
{
	bool		isnull;
	Datum		cost = get(reader, "cost", &isnull);

	if (isnull)
		return;
	option->name = MemoryContextStrdup(reader->config->context, BASE_OPTION);
	option->cost = DatumGetPoints(cost);
	option->price = get_price(reader);
	option->active.from = DT_NOBEGIN;
	option->active.until = DT_NOEND;
	reward->noptions = 1;
}

static void
read_reward(const RowReader *reader, Reward *reward)
{
	bool		isnull;
	Datum		stock;

	reward->reward_id = get_int(reader, "reward_id", 0);
	reward->name = get_text(reader, "name");
	reward->kind = get_text(reader, "kind");
	reward->title = get_text(reader, "title");
	reward->condition = get_condition(reader, reward);
	get_active(reader, &reward->active);
	stock = get(reader, "stock", &isnull);
	reward->stock = isnull ? STOCK_UNLIMITED : DatumGetInt64(stock);
	reward->stock_period = calendar_period(get_text(reader, "stock_period"));
	reward->backorder = get_bool(reader, "backorder");
	reward->member_cap = get_int(reader, "member_cap", 0);
	reward->cap_period = calendar_period(get_text(reader, "cap_period"));
	reward->max_quantity = get_int(reader, "max_quantity", 0);
	reward->needs_confirmation = get_bool(reader, "needs_confirmation");
	reward->needs_fulfillment = get_bool(reader, "needs_fulfillment");
	reward->auto_wait = get_interval(reader, "auto_wait");
	read_voucher(reader, reward);
	/* A pool's code is for one unit. */
	if (reward->has_voucher && reward->voucher.pool != NULL)
		reward->max_quantity = 1;
}

static void
read_option(const RowReader *reader, Reward *reward, RewardOption *option)
{
	bool		isnull;

	option->name = get_text(reader, "name");
	option->cost = DatumGetPoints(get(reader, "cost", &isnull));
	option->price = get_price(reader);
	option->tier = get_varlena(reader, "tier");
	option->segment = get_varlena(reader, "segment");
	option->condition = get_condition(reader, reward);
	get_active(reader, &option->active);
	if (option->tier != NULL)
		reward->reads |= FACT_BIT(FACT_TIER);
	if (option->segment != NULL)
		reward->reads |= FACT_BIT(FACT_SEGMENTS);
}

#define ACTIVE_COLUMNS \
	" coalesce(pg_catalog.lower(active), '-infinity') AS active_from, pg_catalog.lower_inc(active) AS from_inclusive," \
	" coalesce(pg_catalog.upper(active), 'infinity') AS active_until, pg_catalog.upper_inc(active) AS until_inclusive"

static SPITupleTable *
query(const char *text, const Program *program)
{
	Oid			types[2] = {TEXTOID, INT4OID};
	Datum		values[2] = {CStringGetTextDatum(program->name), Int32GetDatum(program->program_id)};

	if (SPI_execute_with_args(text, 2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read rewards");
	return SPI_tuptable;
}

static RewardOption *
allocate_options(Config *config, uint64 count)
{
	return MemoryContextAllocZero(config->context, sizeof(RewardOption) * (count + 1));
}

/* Read the program's rewards as of the latest snapshot. */
static RewardSet *
load_rewards(Config *config, const Program *program)
{
	RewardSet  *set = MemoryContextAllocZero(config->context, sizeof(RewardSet));
	RowReader	reader = {.config = config};
	SPITupleTable *rewards;
	SPITupleTable *options;
	MemoryContext caller;
	EngineScope scope;
	uint64		next = 0;
	uint64		i;
	bool		isnull;

	caller = MemoryContextSwitchTo(config->context);
	machine_begin(&set->machine);
	MemoryContextSwitchTo(caller);
	config_watch(config, config->reward_rel);
	config_watch(config, config->option_rel);

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	rewards = query("SELECT *," ACTIVE_COLUMNS " FROM loyalty.reward WHERE program = $1 ORDER BY name", program);
	options = query("SELECT *," ACTIVE_COLUMNS " FROM loyalty.reward_option WHERE program = $1 ORDER BY reward, name", program);
	(void) query("SELECT EXISTS (SELECT FROM loyalty.reward_choice WHERE program_id = $2)", program);
	PopActiveSnapshot();
	set->has_choices = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));

	set->nrewards = (int) rewards->numvals;
	set->rewards = MemoryContextAllocZero(config->context, sizeof(Reward) * Max(rewards->numvals, 1));
	for (i = 0; i < rewards->numvals; i++)
	{
		Reward	   *reward = &set->rewards[i];
		uint64		count = 0;

		reader.row = rewards->vals[i];
		reader.desc = rewards->tupdesc;
		read_reward(&reader, reward);
		/* Both come in the order of the reward's name; options may be of none. */
		reader.desc = options->tupdesc;
		for (; next < options->numvals; next++)
		{
			char	   *name = SPI_getvalue(options->vals[next], options->tupdesc,
											SPI_fnumber(options->tupdesc, "reward"));

			if (strcmp(name, reward->name) >= 0)
				break;
		}
		while (next + count < options->numvals &&
			   strcmp(SPI_getvalue(options->vals[next + count], options->tupdesc,
								   SPI_fnumber(options->tupdesc, "reward")), reward->name) == 0)
			count++;
		reward->options = allocate_options(config, count);
		reader.desc = rewards->tupdesc;
		read_base(&reader, reward, &reward->options[0]);
		reader.desc = options->tupdesc;
		for (; count > 0; count--, next++)
		{
			reader.row = options->vals[next];
			read_option(&reader, reward, &reward->options[reward->noptions++]);
		}
	}
	SPI_finish();
	engine_leave(&scope);
	return set;
}

RewardSet *
reward_set(Config *config, Program *program)
{
	if (program->rewards == NULL)
		program->rewards = load_rewards(config, program);
	return program->rewards;
}

const Reward *
reward_find(const RewardSet *set, const text *name)
{
	int			i;

	for (i = 0; i < set->nrewards; i++)
		if (strlen(set->rewards[i].name) == VARSIZE_ANY_EXHDR(name) &&
			memcmp(set->rewards[i].name, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0)
			return &set->rewards[i];
	return NULL;
}

const Reward *
reward_by_id(const RewardSet *set, int32 reward_id)
{
	int			i;

	for (i = 0; i < set->nrewards; i++)
		if (set->rewards[i].reward_id == reward_id)
			return &set->rewards[i];
	return NULL;
}

const Reward *
reward_named(const Program *program, const RewardSet *set, const text *name)
{
	const Reward *reward = reward_find(set, name);

	if (reward == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_REWARD),
				 errmsg("program \"%s\" has no reward \"%s\"", program->name, text_to_cstring(name)),
				 errhint("loyalty.catalogue lists the rewards there are.")));
	return reward;
}

bool
reward_is_active(const ActiveTime *active, TimestampTz at)
{
	if (at < active->from ||
		(at == active->from && !active->from_inclusive && !TIMESTAMP_IS_NOBEGIN(active->from)))
		return false;
	return at < active->until ||
		(at == active->until && (active->until_inclusive || TIMESTAMP_IS_NOEND(active->until)));
}
