/*
 * profile.c
 *		What rules read of members beside their ledger.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/datum.h"

#include "earning/profile.h"
#include "loyalty.h"

Profile *
profiles_load(Config *config, const int64 *member_ids, int nmembers)
{
	static const Fact columns[] = {FACT_BIRTHDAY, FACT_SEGMENTS, FACT_MEMBER_DATA};
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1];
	Profile    *profiles = palloc(sizeof(Profile) * nmembers);
	Datum	   *ids = palloc(sizeof(Datum) * nmembers);
	MemoryContext caller = CurrentMemoryContext;
	EngineScope scope;
	int			at = 0;
	uint64		row;
	int			i;

	for (i = 0; i < nmembers; i++)
	{
		profiles[i].member_id = member_ids[i];
		memset(profiles[i].facts.nulls, true, sizeof(profiles[i].facts.nulls));
		ids[i] = Int64GetDatum(member_ids[i]);
	}
	values[0] = PointerGetDatum(construct_array(ids, nmembers, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));

	engine_enter(&scope, config->owner);
	SPI_connect();
	if (SPI_execute_with_args("SELECT member_id, birthday, segments, data FROM loyalty.profile"
							  " WHERE member_id = ANY ($1) ORDER BY member_id",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read profiles");
	for (row = 0; row < SPI_processed; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		int64		member_id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));

		while (profiles[at].member_id != member_id)
			at++;
		for (i = 0; i < lengthof(columns); i++)
		{
			Datum		value = SPI_getbinval(tuple, desc, i + 2, &isnull);
			MemoryContext spi;

			if (isnull)
				continue;
			spi = MemoryContextSwitchTo(caller);
			if (columns[i] == FACT_SEGMENTS)
				value = PointerGetDatum(fact_texts(DatumGetArrayTypeP(value)));
			else if (columns[i] == FACT_MEMBER_DATA)
				value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
			profiles[at].facts.values[columns[i]] = value;
			profiles[at].facts.nulls[columns[i]] = false;
			MemoryContextSwitchTo(spi);
		}
	}
	SPI_finish();
	engine_leave(&scope);
	return profiles;
}
