/*
 * rate.c
 *		Rates of currencies: finding them, and what may be written.
 *
 * Rates of one currency do not overlap in time; so in the order of the ranges
 * a rate need only be compared with its neighbours, and the one valid at some
 * time is the last that begins by then.
 *
 * Nothing here looks back: a rate may be changed or removed at any time, since
 * a purchase keeps the rate that it was judged by.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "earning/rate.h"
#include "ledger/access.h"
#include "loyalty.h"

PG_FUNCTION_INFO_V1(loyalty_rate_guard);

/* Columns of currency_rate, in order. */
enum
{
	Anum_currency_rate_program = 1,
	Anum_currency_rate_currency,
	Anum_currency_rate_rate,
	Anum_currency_rate_valid
};

typedef struct Rate
{
	text	   *currency;		/* shared by all rates of the currency */
	TimestampTz valid_from;		/* DT_NOBEGIN: always was */
	bool		from_inclusive;
	TimestampTz valid_until;	/* DT_NOEND: always will be */
	bool		until_inclusive;
	Numeric		rate;
} Rate;

typedef struct RateSet
{
	int			nrates;
	Rate	   *rates;			/* by currency, then by time */
} RateSet;

/* Read the program's rates as of the latest snapshot. */
static RateSet *
load_rates(Config *config, const Program *program)
{
	RateSet    *set = MemoryContextAllocZero(config->context, sizeof(RateSet));
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(program->name)};
	EngineScope scope;
	MemoryContext old_context;
	text	   *currency = NULL;
	uint64		i;

	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	/* A range without a bound includes infinity itself, though lower_inc and upper_inc deny it. */
	if (SPI_execute_with_args("SELECT currency, rate,"
							  " coalesce(pg_catalog.lower(valid), '-infinity'),"
							  " pg_catalog.lower_inc(valid) OR pg_catalog.lower_inf(valid),"
							  " coalesce(pg_catalog.upper(valid), 'infinity'),"
							  " pg_catalog.upper_inc(valid) OR pg_catalog.upper_inf(valid)"
							  " FROM loyalty.currency_rate WHERE program = $1"
							  " ORDER BY currency, valid",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read rates");
	PopActiveSnapshot();

	old_context = MemoryContextSwitchTo(config->context);
	set->rates = palloc_extended(sizeof(Rate) * Max(SPI_processed, 1), MCXT_ALLOC_HUGE);
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Rate	   *rate = &set->rates[set->nrates++];
		bool		isnull;
		Datum		value = SPI_getbinval(row, desc, 1, &isnull);

		if (currency == NULL || !same_text(currency, DatumGetTextPP(value)))
			currency = DatumGetTextPCopy(value);
		rate->currency = currency;
		rate->rate = DatumGetNumericCopy(SPI_getbinval(row, desc, 2, &isnull));
		rate->valid_from = DatumGetTimestampTz(SPI_getbinval(row, desc, 3, &isnull));
		rate->from_inclusive = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
		rate->valid_until = DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &isnull));
		rate->until_inclusive = DatumGetBool(SPI_getbinval(row, desc, 6, &isnull));
	}
	MemoryContextSwitchTo(old_context);
	SPI_finish();
	engine_leave(&scope);
	return set;
}

static const RateSet *
rate_set(Config *config, const Program *program)
{
	/* The same program, which is the configuration's to write to and not the caller's. */
	Program    *writable = config_program_by_id(config, program->program_id);

	if (writable->rates == NULL)
		writable->rates = load_rates(config, program);
	return writable->rates;
}

/* Whether the rate is of a lesser currency, or of this one and has begun at that time. */
static bool
begins_by(const Rate *rate, const text *currency, TimestampTz at)
{
	int			order = varstr_cmp(VARDATA_ANY(rate->currency), VARSIZE_ANY_EXHDR(rate->currency),
								   VARDATA_ANY(currency), VARSIZE_ANY_EXHDR(currency),
								   C_COLLATION_OID);

	if (order != 0)
		return order < 0;
	return rate->valid_from < at || (rate->valid_from == at && rate->from_inclusive);
}

/* The rate valid at that time; NULL when there is none. */
static const Rate *
search(const RateSet *set, const text *currency, TimestampTz at)
{
	const Rate *rate;
	int			low = 0;
	int			high = set->nrates;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (begins_by(&set->rates[middle], currency, at))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	rate = &set->rates[low - 1];
	if (!same_text(rate->currency, currency) ||
		at > rate->valid_until || (at == rate->valid_until && !rate->until_inclusive))
		return NULL;
	return rate;
}

Numeric
rate_find(Config *config, const Program *program, const text *currency, TimestampTz at)
{
	char	   *name = text_to_cstring(currency);
	const Rate *rate;

	if (program->currency == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_NO_RATE),
				 errmsg("no rate from \"%s\" at %s", name, timestamptz_to_str(at)),
				 errdetail("Loyalty program \"%s\" has no currency of its own.", program->name),
				 errhint("Set loyalty.program.currency.")));
	if (strcmp(name, program->currency) == 0)
		return int64_to_numeric(1);

	rate = search(rate_set(config, program), currency, at);
	if (rate == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_NO_RATE),
				 errmsg("no rate from \"%s\" to \"%s\" at %s",
						name, program->currency, timestamptz_to_str(at)),
				 errdetail("Loyalty program \"%s\" has no rate for that currency that is valid then.",
						   program->name),
				 errhint("Add one: INSERT INTO loyalty.currency_rate (program, currency, rate, valid)"
						 " VALUES (%s, %s, ..., ...);",
						 quote_literal_cstr(program->name), quote_literal_cstr(name))));
	return DatumGetNumericCopy(NumericGetDatum(rate->rate));
}

/*
 * The range of another rate for the currency that overlaps this one, as text;
 * NULL when there is none.
 */
static char *
overlapping(Oid owner, Datum program, Datum currency, Datum valid)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TSTZRANGEOID};
	Datum		values[3] = {program, currency, valid};
	MemoryContext context = CurrentMemoryContext;
	EngineScope scope;
	char	   *found = NULL;

	/* With the rows of this very statement, and of whoever committed before it got the lock. */
	CommandCounterIncrement();
	engine_enter(&scope, owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	/* The neighbours only, or loading n rates would read n * n. */
	SPI_execute_with_args("SELECT r.valid FROM ("
						  "(SELECT valid FROM loyalty.currency_rate"
						  " WHERE program = $1 AND currency = $2 AND valid < $3"
						  " ORDER BY valid DESC LIMIT 1)"
						  " UNION ALL "
						  "(SELECT valid FROM loyalty.currency_rate"
						  " WHERE program = $1 AND currency = $2 AND valid > $3"
						  " ORDER BY valid LIMIT 1)) r"
						  " WHERE r.valid && $3",
						  3, types, values, NULL, true, 1);
	PopActiveSnapshot();
	if (SPI_processed > 0)
		found = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	engine_leave(&scope);
	return found;
}

/* A rate makes sense on its own. */
static void
check_rate(Relation rel, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Config	   *config = config_get();
	Program    *program;
	bool		program_null;
	bool		currency_null;
	Datum		name = heap_getattr(tuple, Anum_currency_rate_program, desc, &program_null);
	Datum		currency = heap_getattr(tuple, Anum_currency_rate_currency, desc, &currency_null);

	/* NULLs are left to the table's own constraints; a restore may load rates before any program. */
	if (program_null || currency_null || config->nprograms == 0)
		return;
	program = access_program_named(config, TextDatumGetCString(name));
	if (program == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOYALTY_UNKNOWN_PROGRAM),
				 errmsg("loyalty program \"%s\" does not exist", TextDatumGetCString(name))));
	if (program->currency != NULL && strcmp(program->currency, TextDatumGetCString(currency)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is the currency of program \"%s\" itself",
						program->currency, program->name),
				 errdetail("It is always worth one."),
				 errhint("Give rates for other currencies.")));
}

/* No two rates of a program and currency are valid at one time. */
static void
check_overlap(Relation rel, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		isnull;
	Datum		program = heap_getattr(tuple, Anum_currency_rate_program, desc, &isnull);
	Datum		currency = heap_getattr(tuple, Anum_currency_rate_currency, desc, &isnull);
	char	   *other = overlapping(config_get()->owner, program, currency,
									heap_getattr(tuple, Anum_currency_rate_valid, desc, &isnull));

	if (other != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("program \"%s\" already has a rate for \"%s\" at that time",
						TextDatumGetCString(program), TextDatumGetCString(currency)),
				 errdetail("The other rate is valid %s.", other),
				 errhint("End the other rate first (the upper bound of \"valid\"), or change it.")));
}

/*
 * Trigger on currency_rate: before each statement to take the lock, before
 * each row to judge it by itself, after each row to judge it among the others.
 */
Datum
loyalty_rate_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Relation	rel;
	HeapTuple	tuple;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"loyalty.rate_guard")));
	rel = trigdata->tg_relation;

	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
	{
		/* Conflicts with itself and not with the INSERT that we already are. */
		LockRelation(rel, ShareUpdateExclusiveLock);
		PG_RETURN_POINTER(NULL);
	}

	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	if (TRIGGER_FIRED_AFTER(trigdata->tg_event))
	{
		check_overlap(rel, tuple);
		PG_RETURN_POINTER(NULL);
	}
	check_rate(rel, tuple);
	return PointerGetDatum(tuple);
}
