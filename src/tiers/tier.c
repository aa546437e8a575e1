/*
 * tier.c
 *		The tiers of a program, and who reaches them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "ledger/access.h"
#include "loyalty.h"
#include "tiers/tier.h"

PG_FUNCTION_INFO_V1(loyalty_base_tier);

/* Columns of the query in load_tiers, in order. */
enum
{
	COL_NAME = 1, COL_RANK,
	COL_REACH,					/* amount, points, purchases */
	COL_KEEP = COL_REACH + 3,	/* likewise */
	COL_EXPIRY = COL_KEEP + 3, COL_PENDING
};

static void
read_minimums(HeapTuple row, TupleDesc desc, int first, TierMinimums *minimums)
{
	bool		isnull;
	Datum		value;

	value = SPI_getbinval(row, desc, first, &isnull);
	minimums->amount = isnull ? NOT_ASKED : tally_amount_from_numeric(DatumGetNumeric(value));
	value = SPI_getbinval(row, desc, first + 1, &isnull);
	minimums->points = isnull ? NOT_ASKED : DatumGetPoints(value);
	value = SPI_getbinval(row, desc, first + 2, &isnull);
	minimums->purchases = isnull ? NOT_ASKED : DatumGetInt32(value);
}

static void
read_tier(Config *config, HeapTuple row, TupleDesc desc, Tier *tier)
{
	MemoryContext caller = MemoryContextSwitchTo(config->context);
	bool		isnull;
	Datum		value;

	tier->name = DatumGetTextPCopy(SPI_getbinval(row, desc, COL_NAME, &isnull));
	MemoryContextSwitchTo(caller);
	tier->rank = DatumGetInt32(SPI_getbinval(row, desc, COL_RANK, &isnull));
	read_minimums(row, desc, COL_REACH, &tier->reach);
	read_minimums(row, desc, COL_KEEP, &tier->keep);
	value = SPI_getbinval(row, desc, COL_EXPIRY, &isnull);
	tier->has_expiry = !isnull;
	tier->expiry = isnull ? 0 : DatumGetExpiry(value);
	value = SPI_getbinval(row, desc, COL_PENDING, &isnull);
	tier->pending_days = isnull ? -1 : config_whole_days(DatumGetIntervalP(value), "pending");
}

/* Read the program's tiers as of the latest snapshot. */
static TierSet *
load_tiers(Config *config, const Program *program)
{
	TierSet    *set = MemoryContextAllocZero(config->context, sizeof(TierSet));
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(program->name)};
	EngineScope scope;
	int			i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	if (SPI_execute_with_args("SELECT name, rank, min_amount, min_points, min_purchases,"
							  " coalesce(keep_amount, min_amount), coalesce(keep_points, min_points),"
							  " coalesce(keep_purchases, min_purchases), expiry, pending"
							  " FROM loyalty.tier WHERE program = $1 ORDER BY rank",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read tiers");
	PopActiveSnapshot();
	set->ntiers = (int) SPI_processed;
	set->tiers = MemoryContextAllocZero(config->context, sizeof(Tier) * Max(set->ntiers, 1));
	for (i = 0; i < set->ntiers; i++)
	{
		Tier	   *tier = &set->tiers[i];

		read_tier(config, SPI_tuptable->vals[i], SPI_tuptable->tupdesc, tier);
		set->has_spans |= tier->has_expiry || tier->pending_days >= 0;
	}
	SPI_finish();
	engine_leave(&scope);
	return set;
}

TierSet *
tier_set(Config *config, Program *program)
{
	if (program->tiers == NULL)
		program->tiers = load_tiers(config, program);
	return program->tiers;
}

int64
tier_terms(const Program *program, const TierSet *set)
{
	uint64		words[6] = {program->expiry, program->tier_window, program->tier_match_all,
		program->tier_has_validity ? program->tier_validity + 1 : 0, program->tier_downgrade, program->tier_grace};
	uint64		hash = hash_bytes_extended((unsigned char *) words, sizeof(words), 0);
	int			i;

	for (i = 0; i < set->ntiers; i++)
	{
		const Tier *tier = &set->tiers[i];
		const TierMinimums *minimums[2] = {&tier->reach, &tier->keep};
		int			j;

		hash = hash_bytes_extended((unsigned char *) VARDATA_ANY(tier->name), VARSIZE_ANY_EXHDR(tier->name), hash);
		hash = hash_bytes_extended((unsigned char *) &tier->rank, sizeof(tier->rank), hash);
		for (j = 0; j < lengthof(minimums); j++)
		{
			uint64		asked[4] = {(uint64) minimums[j]->amount, (uint64) (minimums[j]->amount >> 64),
				minimums[j]->points, minimums[j]->purchases};

			hash = hash_bytes_extended((unsigned char *) asked, sizeof(asked), hash);
		}
	}
	return (int64) hash;
}

int
tier_by_name(const TierSet *set, const text *name)
{
	int			i;

	for (i = 0; i < set->ntiers; i++)
		if (name != NULL && same_text(set->tiers[i].name, name))
			return i;
	return NO_TIER;
}

int
tier_named(const Program *program, const TierSet *set, const text *name)
{
	int			tier = tier_by_name(set, name);
	StringInfoData names;
	int			i;

	if (tier != NO_TIER)
		return tier;
	initStringInfo(&names);
	for (i = 0; i < set->ntiers; i++)
		appendStringInfo(&names, "%s\"%s\"", i > 0 ? ", " : "", text_to_cstring(set->tiers[i].name));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("tier \"%s\" of program \"%s\" does not exist", text_to_cstring(name), program->name),
			 set->ntiers > 0 ? errdetail("Its tiers are %s, from the lowest.", names.data)
			 : errhint("The program has no tiers; INSERT INTO loyalty.tier makes one.")));
}

static bool
asks_nothing(const TierMinimums *minimums)
{
	return minimums->amount < 0 && minimums->points < 0 && minimums->purchases < 0;
}

/* Whether the totals meet the minimums, which ask something. */
static bool
meets(const Program *program, const TierMinimums *minimums, const TallyTotals *totals)
{
	bool		amount = totals->amount >= minimums->amount;
	bool		points = totals->points >= minimums->points;
	bool		purchases = totals->purchases >= minimums->purchases;

	if (program->tier_match_all)
		return (minimums->amount < 0 || amount) &&
			(minimums->points < 0 || points) &&
			(minimums->purchases < 0 || purchases);
	return (minimums->amount >= 0 && amount) ||
		(minimums->points >= 0 && points) ||
		(minimums->purchases >= 0 && purchases);
}

/* Nothing is asked for it: it is everyone's, whatever a member's returns come to. */
static bool
is_everyones(const Program *program, const TierMinimums *minimums)
{
	TallyTotals nothing = {0};

	return !asks_nothing(minimums) && meets(program, minimums, &nothing);
}

static bool
is_reached(const Program *program, const TierMinimums *minimums, const TallyTotals *totals)
{
	return !asks_nothing(minimums) &&
		(meets(program, minimums, totals) || is_everyones(program, minimums));
}

bool
tier_is_everyones(const Program *program, const TierSet *set, int tier)
{
	return is_everyones(program, &set->tiers[tier].reach);
}

bool
tier_is_by_hand(const TierSet *set, int tier)
{
	return asks_nothing(&set->tiers[tier].reach);
}

int
tier_reached(const Program *program, const TierSet *set, const TallyTotals *totals)
{
	int			i;

	for (i = set->ntiers - 1; i >= 0; i--)
		if (is_reached(program, &set->tiers[i].reach, totals))
			return i;
	return NO_TIER;
}

bool
tier_kept(const Program *program, const TierSet *set, int tier, const TallyTotals *totals)
{
	const TierMinimums *keep = &set->tiers[tier].keep;

	return asks_nothing(keep) || is_reached(program, keep, totals) ||
		tier_reached(program, set, totals) >= tier;
}

/* base_tier(program_id) → text */
Datum
loyalty_base_tier(PG_FUNCTION_ARGS)
{
	Config	   *config = config_get();
	Program    *program = config_program_by_id(config, PG_GETARG_INT32(0));

	if (program == NULL || program->base_tier == NULL || !access_sees(config, program->program_id))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PointerGetDatum(DatumGetTextPCopy(PointerGetDatum(program->base_tier))));
}
