/*
 * households.c
 *		Members who share one balance.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"

#include "ledger/households.h"
#include "ledger/probe.h"
#include "loyalty.h"

/* Columns of household; the first is its key. */
enum
{
	Anum_household_household_id = 1,
	Anum_household_head_member_id,
	Anum_household_created_at,
	Anum_household_program_id,
	Anum_household_max_members,
	Anum_household_name,
	Anum_household_on_leave,
	Anum_household_cooldown
};

/* Columns of household_member; the first is its key. */
enum
{
	Anum_hm_member_id = 1,
	Anum_hm_household_id,
	Anum_hm_joined_at,
	Anum_hm_left_at,
	Anum_hm_program_id,
	Anum_hm_may_spend
};

static int
compare_members(const void *a, const void *b)
{
	const HouseholdMember *x = a;
	const HouseholdMember *y = b;

	return x->member_id < y->member_id ? -1 : x->member_id > y->member_id;
}

static void
read_members(Config *config, Snapshot snapshot, Household *household)
{
	Probe		probe;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	row;

	/* Opens and holds the table; the rows come from its other index. */
	ScanKeyInit(&key, Anum_hm_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(household->head_id));
	(void) probe_begin(&probe, config->household_member_rel, snapshot, &key, 1);
	ScanKeyInit(&key, Anum_hm_household_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(household->household_id));
	scan = systable_beginscan(probe.rel, config->household_member_index, true, snapshot, 1, &key);
	household->nmembers = 0;
	household->members = NULL;
	while ((row = systable_getnext(scan)) != NULL)
	{
		TupleDesc	desc = RelationGetDescr(probe.rel);
		HouseholdMember *member;
		bool		isnull;

		if (!heap_attisnull(row, Anum_hm_left_at, desc))
			continue;
		household->members = household->members == NULL ? palloc(sizeof(HouseholdMember))
			: repalloc(household->members, sizeof(HouseholdMember) * (household->nmembers + 1));
		member = &household->members[household->nmembers++];
		member->member_id = DatumGetInt64(heap_getattr(row, Anum_hm_member_id, desc, &isnull));
		member->may_spend = DatumGetBool(heap_getattr(row, Anum_hm_may_spend, desc, &isnull));
		member->joined_at = DatumGetTimestampTz(heap_getattr(row, Anum_hm_joined_at, desc, &isnull));
	}
	systable_endscan(scan);
	probe_end(&probe);
	if (household->nmembers > 1)
		qsort(household->members, household->nmembers, sizeof(HouseholdMember), compare_members);
}

bool
household_find(Config *config, Snapshot snapshot, int64 household_id, Household *household)
{
	Probe		probe;
	ScanKeyData key;
	HeapTuple	row;

	memset(household, 0, sizeof(*household));
	ScanKeyInit(&key, Anum_household_household_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(household_id));
	row = probe_begin(&probe, config->household_rel, snapshot, &key, 1);
	if (row != NULL)
	{
		TupleDesc	desc = RelationGetDescr(probe.rel);
		bool		isnull;
		Datum		value;
		text	   *on_leave = DatumGetTextPP(heap_getattr(row, Anum_household_on_leave, desc, &isnull));

		household->household_id = household_id;
		household->points_stay = VARSIZE_ANY_EXHDR(on_leave) == 4 && memcmp(VARDATA_ANY(on_leave), "stay", 4) == 0;
		household->program_id = DatumGetInt32(heap_getattr(row, Anum_household_program_id, desc, &isnull));
		household->head_id = DatumGetInt64(heap_getattr(row, Anum_household_head_member_id, desc, &isnull));
		household->name = DatumGetTextPCopy(heap_getattr(row, Anum_household_name, desc, &isnull));
		value = heap_getattr(row, Anum_household_max_members, desc, &isnull);
		household->max_members = isnull ? 0 : DatumGetInt32(value);
		value = heap_getattr(row, Anum_household_cooldown, desc, &isnull);
		if (!isnull)
		{
			household->cooldown = palloc(sizeof(Interval));
			*household->cooldown = *DatumGetIntervalP(value);
		}
	}
	probe_end(&probe);
	if (row == NULL)
		return false;
	read_members(config, snapshot, household);
	return true;
}

/* The member's row; false when there is none. */
static bool
find_row(Config *config, Snapshot snapshot, int64 member_id, int64 *household_id, TimestampTz *left_at)
{
	Probe		probe;
	ScanKeyData key;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_hm_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	row = probe_begin(&probe, config->household_member_rel, snapshot, &key, 1);
	if (row != NULL)
	{
		TupleDesc	desc = RelationGetDescr(probe.rel);
		bool		isnull;
		Datum		value = heap_getattr(row, Anum_hm_left_at, desc, &isnull);

		*left_at = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
		*household_id = DatumGetInt64(heap_getattr(row, Anum_hm_household_id, desc, &isnull));
	}
	probe_end(&probe);
	return row != NULL;
}

bool
household_of(Config *config, Snapshot snapshot, int64 member_id, Household *household)
{
	int64		household_id;
	TimestampTz left_at;

	return find_row(config, snapshot, member_id, &household_id, &left_at) && TIMESTAMP_IS_NOBEGIN(left_at) &&
		household_find(config, snapshot, household_id, household);
}

TimestampTz
household_left_at(Config *config, Snapshot snapshot, int64 member_id)
{
	int64		household_id;
	TimestampTz left_at;

	return find_row(config, snapshot, member_id, &household_id, &left_at) ? left_at : DT_NOBEGIN;
}

HouseholdMember *
household_member(const Household *household, int64 member_id)
{
	int			i;

	for (i = 0; i < household->nmembers; i++)
		if (household->members[i].member_id == member_id)
			return &household->members[i];
	return NULL;
}
