/*
 * profile.c
 *		What rules read of members beside their ledger.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/array.h"
#include "utils/fmgroids.h"

#include "earning/profile.h"
#include "ledger/probe.h"

/* Columns of profile. */
enum
{
	Anum_profile_member_id = 1,
	Anum_profile_program_id,
	Anum_profile_birthday,
	Anum_profile_segments,
	Anum_profile_referred_by,
	Anum_profile_data
};

static const struct
{
	Fact		fact;
	int			column;
}			columns[] = {
	{FACT_BIRTHDAY, Anum_profile_birthday},
	{FACT_SEGMENTS, Anum_profile_segments},
	{FACT_MEMBER_DATA, Anum_profile_data}
};

void
profile_load(Config *config, Snapshot snapshot, int64 member_id, FactValues *facts)
{
	Probe		probe;
	ScanKeyData key;
	HeapTuple	row;
	int			i;

	memset(facts->nulls, true, sizeof(facts->nulls));
	ScanKeyInit(&key, Anum_profile_member_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(member_id));
	row = probe_begin(&probe, config->profile_rel, snapshot, &key, 1);
	for (i = 0; row != NULL && i < lengthof(columns); i++)
	{
		Fact		fact = columns[i].fact;
		Datum		value = heap_getattr(row, columns[i].column, RelationGetDescr(probe.rel), &facts->nulls[fact]);

		if (facts->nulls[fact])
			continue;
		if (fact == FACT_SEGMENTS)
			value = PointerGetDatum(fact_texts(DatumGetArrayTypeP(value)));
		else if (fact == FACT_MEMBER_DATA)
			value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		facts->values[fact] = value;
	}
	probe_end(&probe);
}
