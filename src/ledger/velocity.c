/*
 * velocity.c
 *		How often, and how many points, within a time.
 *
 * What a member has done within the time is read from his entries, so nothing
 * else has to be kept in step; acts by when they were written down, so nobody
 * gets round a limit by the time that he gives.  What was cancelled since has
 * happened, and counts.  Ledgers of those who stand merged into him are his.
 *
 * Only programs with limits pay for it, each act with a walk through the
 * member's entries.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "ledger/act.h"
#include "ledger/actor.h"
#include "ledger/context_field.h"
#include "ledger/fields.h"
#include "ledger/imported.h"
#include "ledger/merges.h"
#include "ledger/posting.h"
#include "ledger/velocity.h"
#include "loyalty.h"

const char *const velocity_kinds[NVELOCITY_KINDS] = {
	"earn", "record", "redeem", "transfer", "adjust", "voucher"
};

/* For what they are, in messages. */
static const char *const kind_verbs[NVELOCITY_KINDS] = {
	"earn", "record events", "redeem", "transfer points", "be adjusted", "use vouchers"
};

/* A row of velocity_limit that refuses. */
typedef struct VelocityLimit
{
	char	   *name;
	VelocityKind kind;
	bool		per_pair;
	int64		span;			/* microseconds */
	char	   *within;			/* the same as it was written */
	int32		max_times;		/* 0: any number; of points likewise */
	Points		max_points;
} VelocityLimit;

typedef struct VelocitySet
{
	int			count;
	VelocityLimit *limits;
} VelocitySet;

int64
velocity_span(const Interval *within)
{
	int64		span;

	if (within->month != 0 || pg_mul_s64_overflow(within->day, USECS_PER_DAY, &span) ||
		pg_add_s64_overflow(span, within->time, &span) || span <= 0 || span > INT64CONST(36525) * USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"within\" must be a number of days or hours greater than zero"),
				 errhint("For instance '24 hours' or '30 days'.")));
	return span;
}

/*
 * The limits of a program
 */

static VelocityKind
kind_from_text(const char *value)
{
	int			i;

	for (i = 0; i < NVELOCITY_KINDS; i++)
		if (strcmp(value, velocity_kinds[i]) == 0)
			return (VelocityKind) i;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("kind of a velocity limit is \"%s\"", value)));
	return VELOCITY_EARN;		/* keep compiler quiet */
}

static void
read_limit(HeapTuple row, TupleDesc desc, MemoryContext context, VelocityLimit *limit)
{
	bool		isnull;
	Datum		value;

	limit->name = MemoryContextStrdup(context, SPI_getvalue(row, desc, 1));
	limit->kind = kind_from_text(SPI_getvalue(row, desc, 2));
	limit->per_pair = strcmp(SPI_getvalue(row, desc, 3), "pair") == 0;
	limit->span = velocity_span(DatumGetIntervalP(SPI_getbinval(row, desc, 4, &isnull)));
	limit->within = MemoryContextStrdup(context, SPI_getvalue(row, desc, 4));
	limit->max_times = DatumGetInt32(SPI_getbinval(row, desc, 5, &isnull));
	if (isnull)
		limit->max_times = 0;
	value = SPI_getbinval(row, desc, 6, &isnull);
	limit->max_points = isnull ? 0 : DatumGetPoints(value);
}

/* Read when they are first asked for, with the latest snapshot. */
static const VelocitySet *
velocity_set(Config *config, const Program *program)
{
	Program    *kept = config_program_by_id(config, program->program_id);
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(program->name)};
	VelocitySet *set;
	EngineScope scope;
	int			level;
	uint64		i;

	if (kept->velocity != NULL)
		return kept->velocity;
	set = MemoryContextAllocZero(config->context, sizeof(VelocitySet));
	level = settings_pin();
	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	if (SPI_execute_with_args("SELECT name, kind, per, within, max_times, max_points FROM loyalty.velocity_limit"
							  " WHERE program = $1 AND action = 'refuse' ORDER BY name",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read velocity limits");
	PopActiveSnapshot();
	set->limits = MemoryContextAllocZero(config->context, sizeof(VelocityLimit) * Max(SPI_processed, 1));
	for (i = 0; i < SPI_processed; i++)
		read_limit(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, config->context, &set->limits[i]);
	set->count = (int) SPI_processed;
	SPI_finish();
	engine_leave(&scope);
	settings_unpin(level);
	kept->velocity = set;
	return set;
}

/*
 * What the member has done
 */

typedef struct Deed
{
	TimestampTz at;
	int			times;			/* 0: it adds points to an earlier one */
	Points		points;
} Deed;

typedef struct Deeds
{
	VelocityKind kind;
	TimestampTz since;
	MemberIds	with;			/* of transfers with this person only; none: with anybody */
	int			count;
	int			capacity;
	Deed	   *deeds;
} Deeds;

static void
add_deed(Deeds *deeds, TimestampTz at, int times, Points points)
{
	if (deeds->count == deeds->capacity)
	{
		deeds->capacity = Max(16, deeds->capacity * 2);
		deeds->deeds = deeds->deeds == NULL ? palloc(deeds->capacity * sizeof(Deed))
			: repalloc(deeds->deeds, deeds->capacity * sizeof(Deed));
	}
	deeds->deeds[deeds->count++] = (Deed) {at, times, points};
}

/* An amount stands on the first entry of a posting only. */
static bool
begins_purchase(const EntryRow *entry)
{
	return entry->revision == 1 && entry->amount != NULL;
}

static bool
has_number(const EntryRow *entry, const char *field)
{
	JsonbValue	number;

	return context_field_of(entry->context, field, jbvNumeric, &number);
}

static bool
is_with(const EntryRow *entry, const MemberIds *person)
{
	JsonbValue	number;

	return person->count == 0 ||
		(context_field_of(entry->context, TRANSFER_TO_MEMBER, jbvNumeric, &number) &&
		 member_ids_have(person, DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number.val.numeric)))));
}

/* Neither what a merge moved, nor what goes back. */
static bool
is_gift(const EntryRow *entry)
{
	return strcmp(entry->kind, KIND_TRANSFER) == 0 && entry->points < 0 && !moved_by_merge(entry->source_key) &&
		!(VARSIZE_ANY_EXHDR(entry->source_key) >= strlen(TRANSFER_RECEIVED) &&
		  memcmp(VARDATA_ANY(entry->source_key), TRANSFER_RECEIVED, strlen(TRANSFER_RECEIVED)) == 0) &&
		!has_number(entry, FIELD_ENTRY);
}

static void
add_entry(const EntryRow *entry, void *arg)
{
	Deeds	   *deeds = arg;
	JsonbValue	by;
	/* An order is of its own time, whenever it was backfilled. */
	TimestampTz at = entry->source_id == SOURCE_API ? entry->posted_at : entry->occurred_at;

	if (at <= deeds->since)
		return;
	switch (deeds->kind)
	{
		case VELOCITY_EARN:
		case VELOCITY_RECORD:
			if (strcmp(entry->kind, KIND_EARN) == 0)
				add_deed(deeds, at, begins_purchase(entry) ? 1 : 0, entry->points);
			break;
		case VELOCITY_REDEEM:
			if (strcmp(entry->kind, KIND_HOLD) == 0 ||
				(strcmp(entry->kind, KIND_REDEEM) == 0 && !has_number(entry, FIELD_HOLD)))
				add_deed(deeds, at, 1, -entry->points);
			break;
		case VELOCITY_TRANSFER:
			if (is_gift(entry) && is_with(entry, &deeds->with))
				add_deed(deeds, at, 1, -entry->points);
			break;
		case VELOCITY_ADJUST:
			if (strcmp(entry->kind, KIND_ADJUST) == 0 && !has_number(entry, FIELD_ENTRY) &&
				context_field_of(entry->context, FIELD_BY, jbvBinary, &by))
				add_deed(deeds, at, 1, actor_moved_points(entry));
			break;
		case VELOCITY_VOUCHER:
			break;
	}
}

/*
 * Uses of vouchers have rows of their own, not all of them entries.  A use without
 * an entry leaves the member's row as it was, so they are read as they are by now
 * in a transaction of any isolation level.
 */
static void
add_voucher_uses(Config *config, const MemberIds *person, Deeds *deeds)
{
	Oid			types[2] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum	   *ids = palloc(sizeof(Datum) * person->count);
	Datum		values[2];
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	uint64		i;

	for (i = 0; i < person->count; i++)
		ids[i] = Int64GetDatum(person->ids[i]);
	values[0] = PointerGetDatum(construct_array(ids, person->count, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = TimestampTzGetDatum(deeds->since);
	engine_enter(&scope, config->owner);
	SPI_connect();
	PushActiveSnapshot(config_snapshot());
	if (SPI_execute_with_args("SELECT recorded_at, CASE WHEN seq IS NULL THEN 0 ELSE taken END FROM loyalty.voucher_use"
							  " WHERE member_id = ANY ($1) AND recorded_at > $2",
							  2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read uses of vouchers");
	PopActiveSnapshot();
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext spi;
		bool		isnull;
		TimestampTz at = DatumGetTimestampTz(SPI_getbinval(row, desc, 1, &isnull));
		Points		points = points_from_numeric(DatumGetNumeric(SPI_getbinval(row, desc, 2, &isnull)));

		spi = MemoryContextSwitchTo(caller);
		add_deed(deeds, at, 1, points);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	engine_leave(&scope);
}

static void
find_deeds(Config *config, const Program *program, Store *store, const MemberRow *member, Deeds *deeds)
{
	MemberIds	person;
	Snapshot	snapshot;
	int			i;

	merge_person(config, program, member->member_id, &person);
	if (deeds->kind == VELOCITY_VOUCHER)
	{
		add_voucher_uses(config, &person, deeds);
		return;
	}
	snapshot = store_snapshot();
	store_begin_read(store, snapshot);
	for (i = 0; i < person.count; i++)
		store_visit_entries(store, person.ids[i], deeds->kind == VELOCITY_EARN ? ANY_SOURCE : SOURCE_API, NULL,
							add_entry, deeds);
	store_end_read(store);
	UnregisterSnapshot(snapshot);
}

/*
 * Judging
 */

static int
by_time(const void *a, const void *b)
{
	TimestampTz left = ((const Deed *) a)->at;
	TimestampTz right = ((const Deed *) b)->at;

	return left < right ? -1 : left > right;
}

static bool
passes(const VelocityLimit *limit, int64 times, Points total, Points points)
{
	return (limit->max_times > 0 && times >= limit->max_times) ||
		(limit->max_points > 0 && points > limit->max_points - total);
}

/* "at most 3 times and 500 points" */
static char *
limit_text(const VelocityLimit *limit)
{
	if (limit->max_times == 0)
		return psprintf("at most %s points", points_to_cstring(limit->max_points));
	if (limit->max_points == 0)
		return psprintf("at most %d times", limit->max_times);
	return psprintf("at most %d times and %s points", limit->max_times, points_to_cstring(limit->max_points));
}

/* When so many of the oldest are out of the time that the act fits; 0 when it never does. */
static TimestampTz
possible_at(const VelocityLimit *limit, const Deeds *deeds, int64 times, Points total, Points points)
{
	int			i;

	for (i = 0; i < deeds->count; i++)
	{
		times -= deeds->deeds[i].times;
		total -= deeds->deeds[i].points;
		if (!passes(limit, times, total, points))
			return deeds->deeds[i].at + limit->span;
	}
	return 0;
}

static void
check_limit(const Program *program, const MemberRow *member, const VelocityLimit *limit, Deeds *deeds, Points points)
{
	int64		times = 0;
	Points		total = 0;
	TimestampTz again;
	int			i;

	for (i = 0; i < deeds->count; i++)
	{
		times += deeds->deeds[i].times;
		if (pg_add_s64_overflow(total, deeds->deeds[i].points, &total))
			total = POINTS_MAX;
	}
	if (!passes(limit, times, total, points))
		return;
	qsort(deeds->deeds, deeds->count, sizeof(Deed), by_time);
	again = possible_at(limit, deeds, times, total, points);
	ereport(ERROR,
			(errcode(ERRCODE_LOYALTY_VELOCITY),
			 errmsg("velocity limit \"%s\" of program \"%s\" is reached", limit->name, program->name),
			 errdetail("Member \"%s\" may %s %s within %s%s; so far it was " INT64_FORMAT " times with %s points, this one is of %s points.",
					   text_to_cstring(member->ref), kind_verbs[limit->kind], limit_text(limit), limit->within,
					   limit->per_pair ? " with the same member" : "", times,
					   points_to_cstring(total), points_to_cstring(points)),
			 again == 0 ? errhint("So many points are not possible at once.")
			 : errhint("It is possible again from %s.", timestamptz_to_str(again))));
}

void
velocity_check(Config *config, const Program *program, Store *store, const MemberRow *member,
			   VelocityKind kind, Points points, int64 other)
{
	const VelocitySet *set;
	int			i;

	if (!program->has_velocity)
		return;
	set = velocity_set(config, program);
	for (i = 0; i < set->count; i++)
	{
		const VelocityLimit *limit = &set->limits[i];
		Deeds		deeds = {.kind = limit->kind,
			/* Acts have the time of their transaction, of this one too. */
			.since = GetCurrentTransactionStartTimestamp() - limit->span};

		/* What is recorded is earned, too. */
		if (limit->kind != kind && !(kind == VELOCITY_RECORD && limit->kind == VELOCITY_EARN))
			continue;
		if (limit->per_pair)
			merge_person(config, program, other, &deeds.with);
		find_deeds(config, program, store, member, &deeds);
		check_limit(program, member, limit, &deeds, points);
	}
}
